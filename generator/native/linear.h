// Linear layers with 8-bit weights and 8-bit inputs: the sums are whole numbers, so a row's result
// is the same to the bit whatever rows are beside it.
//
// A weight is w ≈ (byte - 128) · scale[output]; an input is x ≈ q · scale[row, group], with one
// scale for GROUP inputs of one row (after LLM.int8's and ZeroQuant's scales by row and by group:
// one outlier spoils its own group only). Then Σ w·x = Σ_groups scale · (Σ byte·q - 128·Σ q), and
// the last term starts the sum.
#pragma once

#include "threads.h"
#include "tiles.h"
#include "vectors.h"

#include <algorithm>
#include <stdexcept>
#include <vector>

constexpr int GROUP = 128;            // inputs that share a scale
constexpr int BLOCK = 4 * LANES;      // outputs that a task computes together
constexpr int TILE = 6;               // rows at once: 24 sums stay in AVX-512's 32 registers

struct Linear {
    const uint8_t *weights;  // [outputs / 64][inputs / 4][64][4]
    const float *scales;     // [outputs]
    const float *bias;       // [outputs], or null
    int32_t inputs;          // a multiple of 16, padded with zeros
    int32_t outputs;         // a multiple of 64, padded
};

// A model's layers, kept.
template <class Layer> std::vector<Layer> each_layer(const Layer *first, int count) {
    if (count < 1) throw std::invalid_argument("a model has at least one layer");
    return {first, first + count};
}

// Rows of 8-bit inputs.
class Rows {
public:
    void resize(int rows, int inputs) {
        inputs_ = inputs;
        groups_ = (inputs + GROUP - 1) / GROUP;
        grow(bytes_, size_t(rows + 15) * inputs);  // matrix tiles read sixteen rows in any case
        grow(scales_, size_t(rows) * groups_);
        grow(starts_, size_t(rows) * groups_);
    }

    void quantise(int row, const float *from) {
        for (int group = 0; group < groups_; ++group) {
            int begin = group * GROUP, end = std::min(begin + GROUP, inputs_);
            Floats most{};
            for (int at = begin; at < end; at += LANES) most = larger(most, magnitude(load(from + at)));
            float scale = largest(most) / 127.0f;
            float inverse = scale > 0 ? 1.0f / scale : 0.0f;
            Ints total{};
            const float shift = 12582912.0f;  // see exponential()
            for (int at = begin; at < end; at += LANES) {
                Ints whole = same_bits<int32_t>(load(from + at) * inverse + shift) - std::bit_cast<int32_t>(shift);
                total += whole;
                for (int lane = 0; lane < LANES; ++lane) bytes_[size_t(row) * inputs_ + at + lane] = int8_t(whole[lane]);
            }
            int32_t sum = 0;
            for (int lane = 0; lane < LANES; ++lane) sum += total[lane];
            scales_[size_t(row) * groups_ + group] = scale;
            starts_[size_t(row) * groups_ + group] = -EXCESS * sum;
        }
    }

    const int8_t *bytes(int row) const { return &bytes_[size_t(row) * inputs_]; }
    const float *scales(int row) const { return &scales_[size_t(row) * groups_]; }
    const int32_t *starts(int row) const { return &starts_[size_t(row) * groups_]; }
    int groups() const { return groups_; }

private:
    template <class T> static void grow(std::vector<T> &to, size_t size) {
        if (to.size() < size) to.resize(size);
    }

    int inputs_ = 0, groups_ = 0;
    std::vector<int8_t> bytes_;
    std::vector<float> scales_;
    std::vector<int32_t> starts_;
};

// One block of outputs for COUNT rows from `row`, without scales[output] and bias.
template <int COUNT>
inline void multiply(const Linear &layer, const Rows &rows, int row, int block, Floats (&sums)[COUNT][4]) {
    const uint8_t *weights = layer.weights + size_t(block) * BLOCK * layer.inputs;
    for (auto &sum : sums) sum[0] = sum[1] = sum[2] = sum[3] = Floats{};
    for (int group = 0; group < rows.groups(); ++group) {
        Ints products[COUNT][4];
        for (int r = 0; r < COUNT; ++r)
            for (int part = 0; part < 4; ++part) products[r][part] = rows.starts(row + r)[group];
        int end = std::min((group + 1) * GROUP, layer.inputs);
#pragma GCC unroll 2
        for (int input = group * GROUP; input < end; input += 4, weights += 4 * BLOCK) {
            Words first = load(weights), second = load(weights + 64), third = load(weights + 128),
                  fourth = load(weights + 192);
            for (int r = 0; r < COUNT; ++r) {
                int32_t four;
                std::memcpy(&four, rows.bytes(row + r) + input, 4);
                products[r][0] = add_products(products[r][0], first, four);
                products[r][1] = add_products(products[r][1], second, four);
                products[r][2] = add_products(products[r][2], third, four);
                products[r][3] = add_products(products[r][3], fourth, four);
            }
        }
        for (int r = 0; r < COUNT; ++r)
            for (int part = 0; part < 4; ++part)
                sums[r][part] += as_floats(products[r][part]) * rows.scales(row + r)[group];
    }
}

#ifdef MATRIX_TILES
constexpr int FEW = 2;  // rows that are done sooner without tiles

// The same for up to sixteen rows.
inline void multiply_in_tiles(const Linear &layer, const Rows &rows, int row, int count, int block, Floats (&sums)[TILE_ROWS][4]) {
    const uint8_t *weights = layer.weights + size_t(block) * BLOCK * layer.inputs;
    alignas(64) int32_t products[4][TILE_ROWS][LANES];
    for (int group = 0; group < rows.groups(); ++group) {
        int begin = group * GROUP, width = std::min(GROUP, layer.inputs - begin);
        Tiles::multiply(weights + size_t(begin) * BLOCK, rows.bytes(row) + begin, layer.inputs, width, products);
        for (int r = 0; r < count; ++r) {
            Ints start = rows.starts(row + r)[group];
            for (int part = 0; part < 4; ++part) {
                Floats product = as_floats(start + load(products[part][r])) * rows.scales(row + r)[group];
                sums[r][part] = group ? sums[r][part] + product : product;
            }
        }
    }
}
#endif

inline void store(float *to, const Floats (&values)[4]) {
    for (int part = 0; part < 4; ++part) store(to + part * LANES, values[part]);
}

// Calls put(row, output, results) for all rows and each 64 outputs, from several threads.
template <class Put>
void apply(Threads &threads, const Linear &layer, const Rows &rows, int count, Put &&put) {
    threads.run(layer.outputs / BLOCK, [&](int block) {
        auto finish = [&](int row, Floats (&sums)[4]) {
            for (int part = 0; part < 4; ++part) {
                int output = block * BLOCK + part * LANES;
                sums[part] *= load(layer.scales + output);
                if (layer.bias) sums[part] += load(layer.bias + output);
            }
            put(row, block * BLOCK, sums);
        };
        auto tile = [&]<int COUNT>(int row) {
            Floats sums[COUNT][4];
            multiply<COUNT>(layer, rows, row, block, sums);
            for (int r = 0; r < COUNT; ++r) finish(row + r, sums[r]);
        };
        int row = 0;
#ifdef MATRIX_TILES
        if (count > FEW && layer.inputs % TILE_INPUTS == 0 && have_tiles()) {
            Tiles tiles;
            for (int rest; (rest = std::min(count - row, TILE_ROWS)) > FEW; row += rest) {
                Floats sums[TILE_ROWS][4];
                multiply_in_tiles(layer, rows, row, rest, block, sums);
                for (int r = 0; r < rest; ++r) finish(row + r, sums[r]);
            }
        }
#endif
        int first = row, left = count - row, tiles = (left + TILE - 1) / TILE;
        for (int at = 0; at < tiles; ++at) {  // as even as they can be
            int end = first + left * (at + 1) / tiles;
            switch (end - row) {
            case 1: tile.template operator()<1>(row); break;
            case 2: tile.template operator()<2>(row); break;
            case 3: tile.template operator()<3>(row); break;
            case 4: tile.template operator()<4>(row); break;
            case 5: tile.template operator()<5>(row); break;
            default: tile.template operator()<TILE>(row);
            }
            row = end;
        }
    });
}
