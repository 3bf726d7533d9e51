// Intel's matrix tiles (AMX; Sapphire Rapids and later): sixteen rows meet sixteen outputs and 64
// inputs in one instruction, so that many rows cost little more than reading the weights. The sums
// are whole numbers as everywhere, so a row's result is the same to the bit as without tiles.
#pragma once

#if defined(__AMX_INT8__) && defined(__linux__)
#define MATRIX_TILES
#include <cstdint>
#include <immintrin.h>
#include <sys/syscall.h>
#include <unistd.h>

constexpr int TILE_ROWS = 16, TILE_INPUTS = 64;

// Whether the kernel lets this process have tiles: it must be asked, as they grow every thread's state.
inline bool have_tiles() {
    constexpr int request_permission = 0x1023, tile_data = 18;  // ARCH_REQ_XCOMP_PERM, XFEATURE_XTILEDATA
    static const bool granted = syscall(SYS_arch_prctl, request_permission, tile_data) == 0;
    return granted;
}

// This thread's tiles, all of 16 rows of 64 bytes, until the end of the scope: other libraries in the
// process shape theirs as they like.
class Tiles {
public:
    Tiles() {
        static const struct {
            uint8_t palette = 1, start = 0, reserved[14] = {};
            uint16_t bytes[16] = {64, 64, 64, 64, 64, 64, 64, 64};
            uint8_t rows[16] = {16, 16, 16, 16, 16, 16, 16, 16};
        } shape;
        // Not _tile_loadconfig: GCC 12's lets the compiler drop what it writes into a shape.
        asm volatile("ldtilecfg %0" : : "m"(shape));
    }
    ~Tiles() { _tile_release(); }
    Tiles(const Tiles &) = delete;

    // sums[part][row][16] = Σ inputs · weights, of 16 rows and four times 16 outputs.
    // weights: [count / 4][64][4] unsigned; inputs: signed, `stride` bytes from row to row; count is
    // a multiple of 64.
    static void multiply(const uint8_t *weights, const int8_t *inputs, int stride, int count, int32_t (&sums)[4][16][16]) {
        _tile_zero(0);
        _tile_zero(1);
        _tile_zero(2);
        _tile_zero(3);
        for (int at = 0; at < count; at += TILE_INPUTS, weights += 64 * TILE_INPUTS) {
            _tile_loadd(4, inputs + at, stride);
            _tile_loadd(5, weights, 256);
            _tile_dpbsud(0, 4, 5);
            _tile_loadd(6, weights + 64, 256);
            _tile_dpbsud(1, 4, 6);
            _tile_loadd(5, weights + 128, 256);
            _tile_dpbsud(2, 4, 5);
            _tile_loadd(6, weights + 192, 256);
            _tile_dpbsud(3, 4, 6);
        }
        _tile_stored(0, sums[0], 64);
        _tile_stored(1, sums[1], 64);
        _tile_stored(2, sums[2], 64);
        _tile_stored(3, sums[3], 64);
    }
};
#endif
