// Sixteen lanes at a time, as one AVX-512 register, two of AVX2 or four of SSE and NEON, each in the
// compiler's own vector types. (Of wider types than the processor's, GCC makes single lanes.) Only
// what these types cannot say is written for a processor by name.
#pragma once

#include <bit>
#include <cstdint>
#include <cstring>

#if defined(__x86_64__)
#include <immintrin.h>
#elif defined(__aarch64__)
#include <arm_neon.h>
#endif

constexpr int LANES = 16;

#if defined(__AVX512BW__)
constexpr int WIDTH = 64;  // bytes of a register
#elif defined(__AVX2__)
constexpr int WIDTH = 32;
#else
constexpr int WIDTH = 16;
#endif
constexpr int PIECES = 64 / WIDTH;

// act(0) … act(PIECES - 1), without a loop: GCC unrolls too late to keep the pieces in registers.
template <class Act> [[gnu::always_inline]] inline void each_piece(Act &&act) {
    act(0);
    if constexpr (PIECES > 1) act(1);
    if constexpr (PIECES > 2) act(2), act(3);
}

template <class T> struct Lanes {
    typedef T Piece __attribute__((vector_size(WIDTH)));
    typedef int32_t Where __attribute__((vector_size(WIDTH)));

    Piece piece[PIECES];

    Lanes() = default;  // Lanes{} is zeros
    Lanes(T value) {
        each_piece([&](int at) { piece[at] = value - Piece{}; });
    }
    T operator[](int lane) const { return piece[lane * sizeof(T) / WIDTH][lane * sizeof(T) % WIDTH / sizeof(T)]; }

#define OPERATOR(sign)                                                              \
    friend Lanes operator sign(Lanes a, Lanes b) {                                  \
        each_piece([&](int at) { a.piece[at] = a.piece[at] sign b.piece[at]; }); \
        return a;                                                                   \
    }                                                                               \
    friend Lanes &operator sign##=(Lanes &a, Lanes b) { return a = a sign b; }
    OPERATOR(+) OPERATOR(-) OPERATOR(*) OPERATOR(/) OPERATOR(&) OPERATOR(|) OPERATOR(^) OPERATOR(<<) OPERATOR(>>)
#undef OPERATOR

#define COMPARISON(sign)                                                            \
    friend Lanes<int32_t> operator sign(Lanes a, Lanes b) {                         \
        Lanes<int32_t> where;  /* -1 where true */                                  \
        each_piece([&](int at) { where.piece[at] = Where(a.piece[at] sign b.piece[at]); }); \
        return where;                                                               \
    }
    COMPARISON(<) COMPARISON(>) COMPARISON(>=)
#undef COMPARISON

    friend Lanes operator-(Lanes a) {
        each_piece([&](int at) { a.piece[at] = -a.piece[at]; });
        return a;
    }
};
using Floats = Lanes<float>;
using Ints = Lanes<int32_t>;
using Words = Lanes<uint32_t>;

template <class To, class T> inline Lanes<To> same_bits(Lanes<T> value) {
    Lanes<To> same;
    each_piece([&](int at) { same.piece[at] = typename Lanes<To>::Piece(value.piece[at]); });
    return same;
}

template <class T> inline Lanes<T> load(const T *from) {
    Lanes<T> value;
    each_piece([&](int at) { std::memcpy(&value.piece[at], from + at * (WIDTH / sizeof(T)), WIDTH); });
    return value;
}
inline Words load(const uint8_t *from) {
    Words value;
    each_piece([&](int at) { std::memcpy(&value.piece[at], from + at * WIDTH, WIDTH); });
    return value;
}
template <class T> inline void store(T *to, Lanes<T> value) {
    each_piece([&](int at) { std::memcpy(to + at * (WIDTH / sizeof(T)), &value.piece[at], WIDTH); });
}
inline Floats as_floats(Ints value) {
    Floats result;
    each_piece([&](int at) { result.piece[at] = __builtin_convertvector(value.piece[at], Floats::Piece); });
    return result;
}
inline Ints counting() {
    static constexpr int32_t lanes[LANES] = {0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15};
    return load(lanes);
}
template <class T> inline Lanes<T> choose(Ints where, Lanes<T> yes, Lanes<T> no) {
    each_piece([&](int at) { no.piece[at] = where.piece[at] ? yes.piece[at] : no.piece[at]; });
    return no;
}
inline Floats larger(Floats a, Floats b) {
    each_piece([&](int at) { a.piece[at] = a.piece[at] > b.piece[at] ? a.piece[at] : b.piece[at]; });
    return a;
}
inline Floats smaller(Floats a, Floats b) {
    each_piece([&](int at) { a.piece[at] = a.piece[at] < b.piece[at] ? a.piece[at] : b.piece[at]; });
    return a;
}
inline Floats magnitude(Floats value) { return same_bits<float>(same_bits<int32_t>(value) & 0x7FFFFFFF); }

inline float sum(Floats value) {
    float lanes[LANES];
    store(lanes, value);
    for (int width = LANES / 2; width; width /= 2)
        for (int lane = 0; lane < width; ++lane) lanes[lane] += lanes[lane + width];
    return lanes[0];
}
inline float largest(Floats value) {
    float most = value[0];
    for (int lane = 1; lane < LANES; ++lane) most = value[lane] > most ? value[lane] : most;
    return most;
}

// One bit for each lane that is true (-1).
inline uint32_t mask(Ints where) {
    uint32_t bits = 0;
#if defined(__AVX512BW__)
    bits = _mm512_movepi32_mask(__m512i(where.piece[0]));
#elif defined(__AVX2__)
    each_piece([&](int at) { bits |= uint32_t(_mm256_movemask_ps(__m256(where.piece[at]))) << 8 * at; });
#elif defined(__SSE2__)
    each_piece([&](int at) { bits |= uint32_t(_mm_movemask_ps(__m128(where.piece[at]))) << 4 * at; });
#else
    for (int lane = 0; lane < LANES; ++lane) bits |= uint32_t(where[lane] & 1) << lane;
#endif
    return bits;
}

// e to the x, to about one unit in the last place: 2^n times a polynomial (Cephes' expf).
inline Floats exponential(Floats x) {
    x = larger(x, -87.0f);
    x = smaller(x, 88.0f);
    const float shift = 12582912.0f;  // 1.5 · 2^23: adding it rounds to a whole number
    Floats whole = x * 1.44269504f + shift;
    Ints power = same_bits<int32_t>(whole) << 23;
    whole -= shift;
    x -= whole * 0.693359375f;
    x -= whole * -2.12194440e-4f;
    Floats series = 1.9875691500e-4f;
    series = series * x + 1.3981999507e-3f;
    series = series * x + 8.3334519073e-3f;
    series = series * x + 4.1665795894e-2f;
    series = series * x + 1.6666665459e-1f;
    series = series * x + 5.0000001201e-1f;
    return same_bits<float>(same_bits<int32_t>(series * x * x + x + 1.0f) + power);
}

// The natural logarithm of positive numbers that are not subnormal (Cephes' logf).
inline Floats logarithm(Floats x) {
    const float root = 0.70710678f;
    Ints bits = same_bits<int32_t>(x), exponent = (bits >> 23) - 126;
    x = same_bits<float>((bits & 0x007FFFFF) | 0x3F000000);  // in [0.5, 1)
    Ints low = x < root;
    exponent += low;
    x = choose(low, x + x, x) - 1.0f;
    Floats square = x * x, series = 7.0376836292e-2f;
    series = series * x - 1.1514610310e-1f;
    series = series * x + 1.1676998740e-1f;
    series = series * x - 1.2420140846e-1f;
    series = series * x + 1.4249322787e-1f;
    series = series * x - 1.6668057665e-1f;
    series = series * x + 2.0000714765e-1f;
    series = series * x - 2.4999993993e-1f;
    series = series * x + 3.3333331174e-1f;
    series = series * x * square - 0.5f * square;
    series += as_floats(exponent) * -2.12194440e-4f;
    return x + series + as_floats(exponent) * 0.693359375f;
}

inline Floats sigmoid(Floats x) { return 1.0f / (1.0f + exponential(-x)); }
inline Floats hyperbolic_tangent(Floats x) { return 2.0f * sigmoid(2.0f * x) - 1.0f; }

// Sixteen numbers of half precision (IEEE 754's binary16), as keys and values are kept: as bits,
// since not every compiler has a type for them.
typedef uint16_t Half;
#if defined(__AVX512BW__)
// The forms with a mask, as GCC 12 warns of its own header's others.
constexpr __mmask16 EVERY_LANE = 0xffff;
inline Floats load(const Half *from) {
    const __m256i halves = _mm256_loadu_si256(reinterpret_cast<const __m256i *>(from));
    return same_bits<float>(std::bit_cast<Words>(_mm512_maskz_cvtph_ps(EVERY_LANE, halves)));
}
inline void store(Half *to, Floats value) {
    _mm256_storeu_si256(reinterpret_cast<__m256i *>(to),
                        _mm512_maskz_cvtps_ph(EVERY_LANE, __m512(value.piece[0]),
                                               _MM_FROUND_TO_NEAREST_INT));
}
#elif defined(__F16C__)
inline Floats load(const Half *from) {
    float lanes[LANES];
    for (int at = 0; at < LANES; at += 8)
        _mm256_storeu_ps(lanes + at, _mm256_cvtph_ps(_mm_loadu_si128(reinterpret_cast<const __m128i *>(from + at))));
    return load(lanes);
}
inline void store(Half *to, Floats value) {
    float lanes[LANES];
    store(lanes, value);
    for (int at = 0; at < LANES; at += 8)
        _mm_storeu_si128(reinterpret_cast<__m128i *>(to + at),
                         _mm256_cvtps_ph(_mm256_loadu_ps(lanes + at), _MM_FROUND_TO_NEAREST_INT));
}
#elif defined(__aarch64__)
inline Floats load(const Half *from) {
    float lanes[LANES];
    for (int at = 0; at < LANES; at += 4)
        vst1q_f32(lanes + at, vcvt_f32_f16(vreinterpret_f16_u16(vld1_u16(from + at))));
    return load(lanes);
}
inline void store(Half *to, Floats value) {
    float lanes[LANES];
    store(lanes, value);
    for (int at = 0; at < LANES; at += 4)
        vst1_u16(to + at, vreinterpret_u16_f16(vcvt_f16_f32(vld1q_f32(lanes + at))));
}
#else
// The exponent's bias differs by 112; subnormal halves are ordinary floats.
inline Floats load(const Half *from) {
    float lanes[LANES];
    for (int lane = 0; lane < LANES; ++lane) {
        uint32_t bits = uint32_t(from[lane] & 0x7FFF) << 13;
        float size = std::bit_cast<float>(bits) * 0x1p112f;
        bits = std::bit_cast<uint32_t>(size) | (size >= 65536.0f ? 0x7F800000 : 0);
        lanes[lane] = std::bit_cast<float>(bits | uint32_t(from[lane] & 0x8000) << 16);
    }
    return load(lanes);
}
inline void store(Half *to, Floats value) {
    for (int lane = 0; lane < LANES; ++lane) {
        uint32_t bits = std::bit_cast<uint32_t>(value[lane]), sign = bits >> 16 & 0x8000;
        float size = std::bit_cast<float>(bits & 0x7FFFFFFF);
        if (!(size < 65520.0f)) bits = size >= 65520.0f ? 0x7C00 : 0x7E00;
        else if (size < 0x1p-14f) bits = std::bit_cast<uint32_t>(size + 0.5f) & 0x7FF;
        else bits = ((bits & 0x7FFFFFFF) + 0xFFF + (bits >> 13 & 1) - (112u << 23)) >> 13;
        to[lane] = Half(sign | bits);
    }
}
#endif

// Sixteen numbers of bfloat16: the upper half of a float.
inline Floats load_brief(const uint16_t *from) {
    uint32_t bits[LANES];
    for (int lane = 0; lane < LANES; ++lane) bits[lane] = uint32_t(from[lane]) << 16;
    return same_bits<float>(load(bits));
}

// Each lane of sums gains the product of four weights (unsigned bytes of that lane, less 128 - EXCESS)
// with the same four inputs (signed bytes), exactly.
#if defined(__ARM_FEATURE_DOTPROD)
constexpr int32_t EXCESS = 0;  // its weights are signed bytes
inline Ints add_products(Ints sums, Words weights, int32_t inputs) {
    int8x16_t four = vreinterpretq_s8_s32(vdupq_n_s32(inputs));
    each_piece([&](int at) {
        int8x16_t weight = vreinterpretq_s8_u32(uint32x4_t(weights.piece[at] ^ 0x80808080));
        sums.piece[at] = Ints::Piece(vdotq_s32(int32x4_t(sums.piece[at]), weight, four));
    });
    return sums;
}
#else
constexpr int32_t EXCESS = 128;
#if defined(__AVX512VNNI__)
inline Ints add_products(Ints sums, Words weights, int32_t inputs) {
    sums.piece[0] = Ints::Piece(
        _mm512_dpbusd_epi32(__m512i(sums.piece[0]), __m512i(weights.piece[0]), _mm512_set1_epi32(inputs)));
    return sums;
}
#elif defined(__AVX512BW__)
inline Ints add_products(Ints sums, Words weights, int32_t inputs) {
    // As 16-bit numbers, bytes 0 and 2 then 1 and 3: pairs whose products cannot overflow.
    __m512i bytes = _mm512_set1_epi32(inputs), words = __m512i(weights.piece[0]);
    __m512i odd = _mm512_srai_epi16(bytes, 8), even = _mm512_srai_epi16(_mm512_slli_epi16(bytes, 8), 8);
    __m512i low = _mm512_and_si512(words, _mm512_set1_epi16(0xFF)), high = _mm512_srli_epi16(words, 8);
    sums.piece[0] += Ints::Piece(_mm512_madd_epi16(low, even)) + Ints::Piece(_mm512_madd_epi16(high, odd));
    return sums;
}
#elif defined(__AVX2__)
inline Ints add_products(Ints sums, Words weights, int32_t inputs) {
    __m256i bytes = _mm256_set1_epi32(inputs);  // as with AVX-512
    __m256i odd = _mm256_srai_epi16(bytes, 8), even = _mm256_srai_epi16(_mm256_slli_epi16(bytes, 8), 8);
    each_piece([&](int at) {
        __m256i low = _mm256_and_si256(__m256i(weights.piece[at]), _mm256_set1_epi16(0xFF));
        __m256i high = _mm256_srli_epi16(__m256i(weights.piece[at]), 8);
        sums.piece[at] += Ints::Piece(_mm256_madd_epi16(low, even)) + Ints::Piece(_mm256_madd_epi16(high, odd));
    });
    return sums;
}
#elif defined(__x86_64__)
inline Ints add_products(Ints sums, Words weights, int32_t inputs) {
    __m128i bytes = _mm_set1_epi32(inputs);  // as with AVX-512
    __m128i odd = _mm_srai_epi16(bytes, 8), even = _mm_srai_epi16(_mm_slli_epi16(bytes, 8), 8);
    each_piece([&](int at) {
        __m128i low = _mm_and_si128(__m128i(weights.piece[at]), _mm_set1_epi16(0xFF));
        __m128i high = _mm_srli_epi16(__m128i(weights.piece[at]), 8);
        sums.piece[at] += Ints::Piece(_mm_madd_epi16(low, even)) + Ints::Piece(_mm_madd_epi16(high, odd));
    });
    return sums;
}
#else
inline Ints add_products(Ints sums, Words weights, int32_t inputs) {
    for (int byte = 0; byte < 4; ++byte)
        sums += same_bits<int32_t>(weights >> (8 * byte) & 0xFF) * int32_t(int8_t(inputs >> (8 * byte)));
    return sums;
}
#endif
#endif
