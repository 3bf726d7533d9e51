// One step of a GPT-2 (Radford et al. 2019), or of a Llama (Touvron et al. 2023) and what is built like
// one, for many stories: a token for each story under way, and runs of tokens for newcomers, in one
// pass over the weights.
#pragma once

#include "linear.h"

#include <cmath>

struct Norm {
    const float *weight;
    const float *bias;  // null: the norm takes no mean off either (RMSNorm, Zhang and Sennrich 2019)
};

struct Block {
    Norm before_attention, before_inner;
    Linear query_key_value, attention_out, inner, inner_out;
};

// A row of numbers for each token, as the model's file has them.
struct Table {
    const void *rows;
    int32_t kind;  // 0: float, 1: half precision, 2: bfloat16

    Floats load(size_t at) const {
        if (kind == 1) return ::load(static_cast<const Half *>(rows) + at);
        if (kind == 2) return load_brief(static_cast<const uint16_t *>(rows) + at);
        return ::load(static_cast<const float *>(rows) + at);
    }
};

struct Shape {
    int32_t layers, heads;
    int32_t key_heads;  // each read by as many heads of queries
    int32_t size;       // of a head; where heads are turned, a multiple of 32
    int32_t width, inner, context;
    int32_t gated;      // the inner layer has sixteen outputs of its gate, then those that it lets through
    int32_t smooth;     // the activation is SiLU, else GELU
    float epsilon;
    float scale;        // of the products of queries and keys
};

// Where a token stands in its story: one of these, the other null.
struct Positions {
    const float *added;   // [context][width], to the token's numbers
    const float *turned;  // [context][size]: cosines, then sines, by which a head is turned (Su et al. 2021)
};

class Transformer {
public:
    Transformer(const Shape &shape, const Block *blocks, Norm last, Linear head, Table tokens,
                Positions positions, Half *cache)
        : shape_(shape), blocks_(each_layer(blocks, shape.layers)), last_(last), head_(head),
          tokens_(tokens), positions_(positions), size_(shape.size), queries_(shape.heads * shape.size),
          keys_(shape.key_heads * shape.size), group_(shape.heads / shape.key_heads),
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
        query_.resize(size_t(rows) * queries_);
        results_.resize(size_t(rows) * std::max({width, queries_, shape_.inner}));
        threads.run(rows, [&](int row) {
            size_t token = size_t(tokens[row]) * width, position = size_t(position_[row]) * width;
            float *to = &hidden_[size_t(row) * width];
            for (int at = 0; at < width; at += LANES) {
                Floats numbers = tokens_.load(token + at);
                if (positions_.added) numbers += load(positions_.added + position + at);
                store(to + at, numbers);
            }
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
        size_t piece = ((size_t(slot) * blocks_of_slot_ + block) * shape_.layers + layer) * 2 * shape_.key_heads + head;
        return cache_ + piece * size_ * LANES;
    }
    Half *values(int slot, int block, int layer, int head) {
        return keys(slot, block, layer, head) + size_t(keys_) * LANES;
    }

    void attend(Threads &threads, int layer, int count, int rows) {
        const Block &block = blocks_[layer];
        normalise(threads, block.before_attention, rows);
        apply(threads, block.query_key_value, quantised_, rows, [&](int row, int output, Floats(&values)[4]) {
            if (positions_.turned) turn(row, output, values);
            for (const Floats &value : values) {
                if (output < queries_) store(&query_[size_t(row) * queries_ + output], value);
                else if (output < queries_ + 2 * keys_) keep(row, layer, output - queries_, value);
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
        quantise(threads, rows, queries_);
        add(threads, block.attention_out, rows);
    }

    // Turns 64 outputs by their row's position, as far as they are queries or keys: sixteen numbers of
    // a head's first half with those sixteen of its second that follow here (see packed_transformer.py).
    void turn(int row, int output, Floats (&values)[4]) {
        const float *cosines = positions_.turned + size_t(position_[row]) * size_, *sines = cosines + size_ / 2;
        for (int part = 0; part < 4; part += 2, output += 2 * LANES) {
            if (output >= queries_ + keys_) return;
            int at = output % size_ / 2;
            Floats first = values[part], second = values[part + 1], cosine = load(cosines + at), sine = load(sines + at);
            values[part] = first * cosine - second * sine;
            values[part + 1] = second * cosine + first * sine;
        }
    }

    // Sixteen numbers of a key, or of a value when they come after all keys.
    void keep(int row, int layer, int at, Floats numbers) {
        int head = at % keys_ / size_, dimension = at % size_;
        int block = position_[row] / LANES, place = position_[row] % LANES;
        if (at >= keys_) {
            store(values(slot_[row], block, layer, head) + place * size_ + dimension, numbers);
            return;
        }
        Half *to = keys(slot_[row], block, layer, head) + dimension * LANES + place;
        Half halves[LANES];
        store(halves, numbers);
        for (int lane = 0; lane < LANES; ++lane) to[lane * LANES] = halves[lane];
    }

    // Calls act<COUNT>(head) for all heads from begin to end, COUNT at a time that read the same keys.
    template <class Act> void each_few(int begin, int end, Act &&act) {
        while (begin < end) {
            int same = std::min({end, (begin / group_ + 1) * group_, begin + TOGETHER}) - begin;
            switch (same) {
            case 1: act.template operator()<1>(begin); break;
            case 2: act.template operator()<2>(begin); break;
            case 3: act.template operator()<3>(begin); break;
            default: act.template operator()<4>(begin);
            }
            begin += same;
        }
    }

    // Some heads of one token over all positions up to its own. Memory is read as it lies: a block
    // of positions for all these heads, then the next block.
    void attend_heads(int row, int layer, int begin, int end) {
        const size_t apart = keys(0, 1, 0, 0) - keys(0, 0, 0, 0);  // the same piece of the next block
        int length = position_[row] + 1, blocks = (length + LANES - 1) / LANES, slot = slot_[row];
        thread_local std::vector<float> memory;
        memory.resize(size_t(shape_.heads) * blocks * LANES);
        auto scores = [&](int head, int block) { return &memory[(size_t(head) * blocks + block) * LANES]; };
        for (int block = 0; block < blocks; ++block) {
            Ints seen = counting() + block * LANES < length;
            each_few(begin, end, [&]<int COUNT>(int head) {
                const float *query = &query_[size_t(row) * queries_ + head * size_];
                const Half *key = keys(slot, block, layer, head / group_);
                Floats even[COUNT]{}, odd[COUNT]{};
                for (int dimension = 0; dimension < size_; dimension += 2) {
                    __builtin_prefetch(key + apart + dimension * LANES);
                    Floats one = load(key + dimension * LANES), other = load(key + (dimension + 1) * LANES);
                    for (int of = 0; of < COUNT; ++of) {
                        even[of] += one * query[of * size_ + dimension];
                        odd[of] += other * query[of * size_ + dimension + 1];
                    }
                }
                for (int of = 0; of < COUNT; ++of)
                    store(scores(head + of, block), choose(seen, (even[of] + odd[of]) * shape_.scale, Floats(-INFINITY)));
            });
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
        float *result = &results_[size_t(row) * queries_];
        std::fill(result + begin * size_, result + end * size_, 0.0f);
        for (int block = 0; block < blocks; ++block) {
            int positions = std::min(LANES, length - block * LANES);
            each_few(begin, end, [&]<int COUNT>(int head) {
                const Half *value = values(slot, block, layer, head / group_);
                const float *share[COUNT];
                for (int of = 0; of < COUNT; ++of) share[of] = scores(head + of, block);
                for (int at = 0; at < size_; at += LANES) {
                    float *to = result + head * size_ + at;
                    Floats even[COUNT], odd[COUNT]{};
                    for (int of = 0; of < COUNT; ++of) even[of] = load(to + of * size_);
                    int position = 0;
                    for (; position + 1 < positions; position += 2) {
                        __builtin_prefetch(value + apart + position * size_ + at);
                        __builtin_prefetch(value + apart + (position + 1) * size_ + at);
                        Floats one = load(value + position * size_ + at), other = load(value + (position + 1) * size_ + at);
                        for (int of = 0; of < COUNT; ++of) {
                            even[of] += one * share[of][position];
                            odd[of] += other * share[of][position + 1];
                        }
                    }
                    if (position < positions) {
                        Floats one = load(value + position * size_ + at);
                        for (int of = 0; of < COUNT; ++of) even[of] += one * share[of][position];
                    }
                    for (int of = 0; of < COUNT; ++of) store(to + of * size_, even[of] + odd[of]);
                }
            });
        }
    }

    void feed_forward(Threads &threads, const Block &block, int rows) {
        normalise(threads, block.before_inner, rows);
        apply(threads, block.inner, quantised_, rows, [&](int row, int output, const Floats(&values)[4]) {
            int step = shape_.gated ? 2 : 1;
            float *to = &results_[size_t(row) * shape_.inner + output / step];
            const float *end = &results_[size_t(row) * shape_.inner] + shape_.inner;
            for (int part = 0; part < 4 && to < end; part += step, to += LANES) {
                Floats result = activated(values[part]);
                store(to, shape_.gated ? result * values[part + 1] : result);
            }
        });
        quantise(threads, rows, shape_.inner);
        add(threads, block.inner_out, rows);
    }

    Floats activated(Floats x) const {
        if (shape_.smooth) return x * sigmoid(x);
        // GELU as GPT-2 has it, by tanh (Hendrycks and Gimpel 2016).
        Floats inside = 0.7978845608f * (x + 0.044715f * x * x * x);
        return x * sigmoid(2.0f * inside);
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
        if (norm.bias)
            for (int at = 0; at < width; at += LANES) total += load(from + at);
        float mean = sum(total) / width;
        for (int at = 0; at < width; at += LANES) {
            Floats away = load(from + at) - mean;
            squares += away * away;
        }
        float inverse = 1.0f / std::sqrt(sum(squares) / width + shape_.epsilon);
        for (int at = 0; at < width; at += LANES) {
            Floats value = (load(from + at) - mean) * inverse * load(norm.weight + at);
            store(to + at, norm.bias ? value + load(norm.bias + at) : value);
        }
    }

    // Heads that share keys and are computed at once: their sums are to stay in registers.
    static constexpr int TOGETHER = PIECES == 1 ? 4 : 2;

    Shape shape_;
    std::vector<Block> blocks_;
    Norm last_;
    Linear head_;
    Table tokens_;
    Positions positions_;
    int size_, queries_, keys_;  // numbers of a head, of all its queries, of all its keys
    int group_;                  // heads of queries that share one of keys
    int blocks_of_slot_;
    Half *cache_;
    std::vector<int> slot_, position_, first_;  // of each row; first row of each story
    std::vector<float> hidden_, query_, results_;  // [rows][width], [rows][queries], [rows][either, or inner]
    Rows quantised_;
};
