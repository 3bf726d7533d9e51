// One step of a GPT-2 for many stories (Radford et al. 2019): a token for each story under way,
// and runs of tokens for newcomers, in one pass over the weights.
#pragma once

#include "linear.h"

#include <cmath>

struct Norm {
    const float *weight, *bias;
};

struct Block {
    Norm before_attention, before_inner;
    Linear query_key_value, attention_out, inner, inner_out;
};

struct Shape {
    int32_t layers, heads, width, inner, context;
    float epsilon;
};

class GPT2 {
public:
    GPT2(const Shape &shape, const Block *blocks, Norm last, Linear head, const float *tokens,
         const float *positions, Half *cache)
        : shape_(shape), blocks_(each_layer(blocks, shape.layers)), last_(last), head_(head),
          tokens_(tokens), positions_(positions), size_(shape.width / shape.heads),
          blocks_of_slot_((shape.context + LANES - 1) / LANES), cache_(cache) {}

    // Arrays as in generator.models.decoder.Batch; logits: [count][head.outputs].
    void step(Threads &threads, int count, const int32_t *slots, const int32_t *starts,
              const int32_t *counts, const int32_t *tokens, float *logits) {
        slot_.clear(), position_.clear(), first_.clear();
        for (int story = 0; story < count; ++story) {
            first_.push_back(int(slot_.size()));
            for (int at = 0; at < counts[story]; ++at) {
                slot_.push_back(slots[story]);
                position_.push_back(starts[story] + at);
            }
        }
        int rows = int(slot_.size()), width = shape_.width;
        first_.push_back(rows);
        hidden_.resize(size_t(rows) * width);
        query_.resize(size_t(rows) * width);
        results_.resize(size_t(rows) * std::max(width, shape_.inner));
        threads.run(rows, [&](int row) {
            const float *token = tokens_ + size_t(tokens[row]) * width;
            const float *position = positions_ + size_t(position_[row]) * width;
            for (int at = 0; at < width; at += LANES)
                store(&hidden_[size_t(row) * width + at], load(token + at) + load(position + at));
        });
        for (int layer = 0; layer < shape_.layers; ++layer) {
            attend(threads, layer, count, rows);
            feed_forward(threads, blocks_[layer], rows);
        }
        quantised_.resize(count, width);
        results_.resize(std::max(results_.size(), size_t(count) * width));
        threads.run(count, [&](int story) {
            normalise(last_, &hidden_[size_t(first_[story + 1] - 1) * width], &results_[size_t(story) * width]);
            quantised_.quantise(story, &results_[size_t(story) * width]);
        });
        apply(threads, head_, quantised_, count, [&](int story, int output, const Floats(&values)[4]) {
            store(logits + size_t(story) * head_.outputs + output, values);
        });
    }

private:
    // The cache is [slots][blocks of 16 positions][layers][keys, values][heads] pieces: a story's
    // memory grows in one place. Keys are [size][16] there, so that one query meets sixteen of them
    // at once, and values [16][size].
    Half *keys(int slot, int block, int layer, int head) {
        size_t piece = ((size_t(slot) * blocks_of_slot_ + block) * shape_.layers + layer) * 2 * shape_.heads + head;
        return cache_ + piece * size_ * LANES;
    }
    Half *values(int slot, int block, int layer, int head) {
        return keys(slot, block, layer, head) + size_t(shape_.width) * LANES;
    }

    void attend(Threads &threads, int layer, int count, int rows) {
        const Block &block = blocks_[layer];
        int width = shape_.width;
        normalise(threads, block.before_attention, rows);
        apply(threads, block.query_key_value, quantised_, rows, [&](int row, int output, const Floats(&values)[4]) {
            for (const Floats &value : values) {
                if (output < width) store(&query_[size_t(row) * width + output], value);
                else if (output < 3 * width) keep(row, layer, output - width, value);
                output += LANES;
            }
        });
        // Few stories are split by heads, so that every thread has some.
        int parts = std::min(shape_.heads, (2 * threads.count() + count - 1) / count);
        threads.run(count * parts, [&](int task) {
            int story = task / parts, part = task % parts;
            int begin = shape_.heads * part / parts, end = shape_.heads * (part + 1) / parts;
            for (int row = first_[story]; row < first_[story + 1]; ++row) attend_heads(row, layer, begin, end);
        });
        quantise(threads, rows, width);
        add(threads, block.attention_out, rows);
    }

    // Sixteen numbers of a key, or of a value when they come after a width of keys.
    void keep(int row, int layer, int at, Floats numbers) {
        int head = at % shape_.width / size_, dimension = at % size_;
        int block = position_[row] / LANES, place = position_[row] % LANES;
        if (at >= shape_.width) {
            store(values(slot_[row], block, layer, head) + place * size_ + dimension, numbers);
            return;
        }
        Half *to = keys(slot_[row], block, layer, head) + dimension * LANES + place;
        Half halves[LANES];
        store(halves, numbers);
        for (int lane = 0; lane < LANES; ++lane) to[lane * LANES] = halves[lane];
    }

    // Some heads of one token over all positions up to its own. Memory is read as it lies: a block
    // of positions for all these heads, then the next block.
    void attend_heads(int row, int layer, int begin, int end) {
        const size_t apart = keys(0, 1, 0, 0) - keys(0, 0, 0, 0);  // the same piece of the next block
        int length = position_[row] + 1, blocks = (length + LANES - 1) / LANES, slot = slot_[row];
        float scale = 1.0f / std::sqrt(float(size_));
        thread_local std::vector<float> memory;
        memory.resize(size_t(shape_.heads) * blocks * LANES);
        auto scores = [&](int head, int block) { return &memory[(size_t(head) * blocks + block) * LANES]; };
        for (int block = 0; block < blocks; ++block) {
            Ints seen = counting() + block * LANES < length;
            for (int head = begin; head < end; ++head) {
                const float *query = &query_[size_t(row) * shape_.width + head * size_];
                const Half *key = keys(slot, block, layer, head);
                Floats even{}, odd{};
                for (int dimension = 0; dimension < size_; dimension += 2) {
                    __builtin_prefetch(key + apart + dimension * LANES);
                    even += load(key + dimension * LANES) * query[dimension];
                    odd += load(key + (dimension + 1) * LANES) * query[dimension + 1];
                }
                store(scores(head, block), choose(seen, (even + odd) * scale, Floats(-INFINITY)));
            }
        }
        for (int head = begin; head < end; ++head) {  // softmax
            Floats most = Floats(-INFINITY), total{};
            for (int block = 0; block < blocks; ++block) most = larger(most, load(scores(head, block)));
            float best = largest(most);
            for (int block = 0; block < blocks; ++block) {
                Ints seen = counting() + block * LANES < length;
                Floats share = choose(seen, exponential(load(scores(head, block)) - best), Floats{});
                total += share;
                store(scores(head, block), share);
            }
            float whole = 1.0f / sum(total);
            for (int block = 0; block < blocks; ++block)
                store(scores(head, block), load(scores(head, block)) * whole);
        }
        float *result = &results_[size_t(row) * shape_.width];
        std::fill(result + begin * size_, result + end * size_, 0.0f);
        for (int block = 0; block < blocks; ++block) {
            int positions = std::min(LANES, length - block * LANES);
            for (int head = begin; head < end; ++head) {
                const Half *value = values(slot, block, layer, head);
                const float *share = scores(head, block);
                for (int at = 0; at < size_; at += LANES) {
                    Floats even = load(result + head * size_ + at), odd{};
                    int position = 0;
                    for (; position + 1 < positions; position += 2) {
                        __builtin_prefetch(value + apart + position * size_ + at);
                        __builtin_prefetch(value + apart + (position + 1) * size_ + at);
                        even += load(value + position * size_ + at) * share[position];
                        odd += load(value + (position + 1) * size_ + at) * share[position + 1];
                    }
                    if (position < positions) even += load(value + position * size_ + at) * share[position];
                    store(result + head * size_ + at, even + odd);
                }
            }
        }
    }

    void feed_forward(Threads &threads, const Block &block, int rows) {
        normalise(threads, block.before_inner, rows);
        apply(threads, block.inner, quantised_, rows, [&](int row, int output, const Floats(&values)[4]) {
            for (const Floats &x : values) {
                // GELU as GPT-2 has it, by tanh (Hendrycks and Gimpel 2016).
                Floats inside = 0.7978845608f * (x + 0.044715f * x * x * x);
                if (output < shape_.inner)
                    store(&results_[size_t(row) * shape_.inner + output], x * sigmoid(2.0f * inside));
                output += LANES;
            }
        });
        quantise(threads, rows, shape_.inner);
        add(threads, block.inner_out, rows);
    }

    // hidden += layer(quantised)
    void add(Threads &threads, const Linear &layer, int rows) {
        apply(threads, layer, quantised_, rows, [&](int row, int output, const Floats(&values)[4]) {
            for (const Floats &value : values) {
                float *to = &hidden_[size_t(row) * shape_.width + output];
                if (output < shape_.width) store(to, load(to) + value);
                output += LANES;
            }
        });
    }

    // quantised = results, rounded
    void quantise(Threads &threads, int rows, int width) {
        quantised_.resize(rows, width);
        threads.run(rows, [&](int row) { quantised_.quantise(row, &results_[size_t(row) * width]); });
    }

    // quantised = norm(hidden), rounded
    void normalise(Threads &threads, const Norm &norm, int rows) {
        int width = shape_.width;
        quantised_.resize(rows, width);
        threads.run(rows, [&](int row) {
            normalise(norm, &hidden_[size_t(row) * width], &results_[size_t(row) * width]);
            quantised_.quantise(row, &results_[size_t(row) * width]);
        });
    }

    void normalise(const Norm &norm, const float *from, float *to) {
        int width = shape_.width;
        Floats total{}, squares{};
        for (int at = 0; at < width; at += LANES) total += load(from + at);
        float mean = sum(total) / width;
        for (int at = 0; at < width; at += LANES) {
            Floats away = load(from + at) - mean;
            squares += away * away;
        }
        float inverse = 1.0f / std::sqrt(sum(squares) / width + shape_.epsilon);
        for (int at = 0; at < width; at += LANES) {
            Floats value = (load(from + at) - mean) * inverse;
            store(to + at, value * load(norm.weight + at) + load(norm.bias + at));
        }
    }

    Shape shape_;
    std::vector<Block> blocks_;
    Norm last_;
    Linear head_;
    const float *tokens_, *positions_;
    int size_;  // of a head
    int blocks_of_slot_;
    Half *cache_;
    std::vector<int> slot_, position_, first_;  // of each row; first row of each story
    std::vector<float> hidden_, query_, results_;  // [rows][width]; results_ also [rows][inner]
    Rows quantised_;
};
