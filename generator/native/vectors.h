// Sixteen lanes at a time, in the compiler's own vector types: they become AVX-512, two AVX2
// registers or four of NEON. Only what these types cannot say is written for a processor by name.
#pragma once

#include <cstdint>
#include <cstring>

#if defined(__x86_64__)
#include <immintrin.h>
#endif

constexpr int LANES = 16;

typedef float Floats __attribute__((vector_size(64)));
typedef int32_t Ints __attribute__((vector_size(64)));
typedef uint32_t Words __attribute__((vector_size(64)));
typedef int8_t Bytes __attribute__((vector_size(16)));

inline Floats load(const float *from) {
    Floats value;
    std::memcpy(&value, from, sizeof value);
    return value;
}
inline Words load(const uint8_t *from) {
    Words value;
    std::memcpy(&value, from, sizeof value);
    return value;
}
inline void store(float *to, Floats value) { std::memcpy(to, &value, sizeof value); }
inline Floats all(float value) { return value - Floats{}; }
inline Ints all(int32_t value) { return value - Ints{}; }
inline Floats as_floats(Ints value) { return __builtin_convertvector(value, Floats); }
inline Ints counting() {
    Ints lanes{};
    for (int lane = 0; lane < LANES; ++lane) lanes[lane] = lane;
    return lanes;
}
inline Floats choose(Ints where, Floats yes, Floats no) { return where ? yes : no; }
inline Floats larger(Floats a, Floats b) { return a > b ? a : b; }
inline Floats magnitude(Floats value) { return Floats(Ints(value) & 0x7FFFFFFF); }

inline float sum(Floats value) {
    for (int width = LANES / 2; width; width /= 2)
        for (int lane = 0; lane < width; ++lane) value[lane] += value[lane + width];
    return value[0];
}
inline float largest(Floats value) {
    float most = value[0];
    for (int lane = 1; lane < LANES; ++lane) most = value[lane] > most ? value[lane] : most;
    return most;
}

// One bit for each lane that is true (-1).
inline uint32_t mask(Ints where) {
#if defined(__AVX512DQ__)
    return _mm512_movepi32_mask(__m512i(where));
#else
    uint32_t bits = 0;
    for (int lane = 0; lane < LANES; ++lane) bits |= uint32_t(where[lane] & 1) << lane;
    return bits;
#endif
}

// e to the x, to about one unit in the last place: 2^n times a polynomial (Cephes' expf).
inline Floats exponential(Floats x) {
    x = larger(x, all(-87.0f));
    x = x < 88.0f ? x : all(88.0f);
    const float shift = 12582912.0f;  // 1.5 · 2^23: adding it rounds to a whole number
    Floats whole = x * 1.44269504f + shift;
    Ints power = Ints(whole) << 23;
    whole -= shift;
    x -= whole * 0.693359375f;
    x -= whole * -2.12194440e-4f;
    Floats series = 1.9875691500e-4f + Floats{};
    series = series * x + 1.3981999507e-3f;
    series = series * x + 8.3334519073e-3f;
    series = series * x + 4.1665795894e-2f;
    series = series * x + 1.6666665459e-1f;
    series = series * x + 5.0000001201e-1f;
    return Floats(Ints(series * x * x + x + 1.0f) + power);
}

// The natural logarithm of positive numbers that are not subnormal (Cephes' logf).
inline Floats logarithm(Floats x) {
    const float root = 0.70710678f;
    Ints exponent = (Ints(x) >> 23) - 126;
    x = Floats((Ints(x) & 0x007FFFFF) | 0x3F000000);  // in [0.5, 1)
    Ints low = x < root;                               // -1 where true
    exponent += low;
    x = choose(low, x + x, x) - 1.0f;
    Floats square = x * x, series = 7.0376836292e-2f + Floats{};
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

// Sixteen numbers of half precision, as keys and values are kept.
typedef _Float16 Half;
#if defined(__AVX512F__)
inline Floats load(const Half *from) {
    return Floats(_mm512_cvtph_ps(_mm256_loadu_si256(reinterpret_cast<const __m256i *>(from))));
}
inline void store(Half *to, Floats value) {
    _mm256_storeu_si256(reinterpret_cast<__m256i *>(to),
                        _mm512_cvtps_ph(__m512(value), _MM_FROUND_TO_NEAREST_INT));
}
#else
inline Floats load(const Half *from) {
    Floats value;
    for (int lane = 0; lane < LANES; ++lane) value[lane] = from[lane];
    return value;
}
inline void store(Half *to, Floats value) {
    for (int lane = 0; lane < LANES; ++lane) to[lane] = Half(value[lane]);
}
#endif

// Each lane of sums gains the product of four weights (unsigned bytes of that lane) with the same
// four inputs (signed bytes), exactly.
#if defined(__AVX512VNNI__)
inline Ints add_products(Ints sums, Words weights, int32_t inputs) {
    return Ints(_mm512_dpbusd_epi32(__m512i(sums), __m512i(weights), _mm512_set1_epi32(inputs)));
}
#elif defined(__AVX2__)
inline Ints add_products(Ints sums, Words weights, int32_t inputs) {
    // As 16-bit numbers, bytes 0 and 2 then 1 and 3: pairs whose products cannot overflow.
    __m256i bytes = _mm256_set1_epi32(inputs);
    __m256i odd = _mm256_srai_epi16(bytes, 8), even = _mm256_srai_epi16(_mm256_slli_epi16(bytes, 8), 8);
    auto *half = reinterpret_cast<__m256i *>(&sums);
    auto *weight = reinterpret_cast<const __m256i *>(&weights);
    for (int side = 0; side < 2; ++side) {
        __m256i low = _mm256_and_si256(weight[side], _mm256_set1_epi16(0xFF));
        __m256i high = _mm256_srli_epi16(weight[side], 8);
        half[side] = _mm256_add_epi32(half[side], _mm256_madd_epi16(low, even));
        half[side] = _mm256_add_epi32(half[side], _mm256_madd_epi16(high, odd));
    }
    return sums;
}
#else
inline Ints add_products(Ints sums, Words weights, int32_t inputs) {
    for (int byte = 0; byte < 4; ++byte)
        sums += Ints(weights >> (8 * byte) & 0xFF) * int32_t(int8_t(inputs >> (8 * byte)));
    return sums;
}
#endif
