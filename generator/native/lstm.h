// One step of an LSTM for many stories (Hochreiter and Schmidhuber 1997; gates as in torch.nn.LSTM).
#pragma once

#include "linear.h"

struct State {
    // [slots][layers][hidden]
    float *hidden, *cell;
};

struct Layers {
    const Linear *layers;      // from [input, hidden] to the gates i, f, g, o, by sixteen units
    const Linear *projection;  // or null
    Linear head;
    const float *embedding;    // [vocabulary][input]
    int32_t count, input, hidden;  // sizes are multiples of 16, padded with zeros
};

class LSTM {
public:
    LSTM(const Layers &layers, State state)
        : layers_(layers), stack_(each_layer(layers.layers, layers.count)), state_(state) {
        if (layers.projection) projection_.push_back(*layers.projection);
    }

    // Arrays as in generator.models.decoder.Batch; logits: [count][head.outputs].
    void step(Threads &threads, int count, const int32_t *slots, const int32_t *starts,
              const int32_t *counts, const int32_t *tokens, float *logits) {
        size_t size = size_t(layers_.count) * layers_.hidden;
        std::vector<const int32_t *> next;  // each story's tokens
        for (int story = 0; story < count; ++story) {
            next.push_back(tokens);
            tokens += counts[story];
            if (starts[story] == 0) {
                std::fill_n(state_.hidden + slots[story] * size, size, 0.0f);
                std::fill_n(state_.cell + slots[story] * size, size, 0.0f);
            }
        }
        // An LSTM reads one token after the other; stories read theirs side by side.
        for (int time = 0, left = count; left > 0; ++time) {
            rows_.clear();
            for (int story = 0; story < count; ++story)
                if (time < counts[story]) rows_.push_back({slots[story], next[story][time]});
            if (!rows_.empty()) read(threads);
            left = int(rows_.size());
        }
        rows_.clear();
        for (int story = 0; story < count; ++story) rows_.push_back({slots[story], 0});
        project(threads, count, logits);
    }

private:
    struct Row {
        int32_t slot, token;
    };

    float *hidden(int slot, int layer) {
        return state_.hidden + (size_t(slot) * layers_.count + layer) * layers_.hidden;
    }
    float *cell(int slot, int layer) {
        return state_.cell + (size_t(slot) * layers_.count + layer) * layers_.hidden;
    }

    // One token of each row, through all layers.
    void read(Threads &threads) {
        int rows = int(rows_.size());
        for (int layer = 0; layer < layers_.count; ++layer) {
            int below = layer ? layers_.hidden : layers_.input, width = below + layers_.hidden;
            inputs_.resize(size_t(rows) * width);
            quantised_.resize(rows, width);
            threads.run(rows, [&](int row) {
                auto [slot, token] = rows_[row];
                const float *input = layer ? hidden(slot, layer - 1) : layers_.embedding + size_t(token) * below;
                float *both = &inputs_[size_t(row) * width];
                std::copy_n(input, below, both);
                std::copy_n(hidden(slot, layer), layers_.hidden, both + below);
                quantised_.quantise(row, both);
            });
            apply(threads, stack_[layer], quantised_, rows, [&](int row, int output, const Floats(&gates)[4]) {
                int unit = output / 4;
                float *held = cell(rows_[row].slot, layer) + unit;
                Floats kept = sigmoid(gates[1]) * load(held) + sigmoid(gates[0]) * hyperbolic_tangent(gates[2]);
                store(held, kept);
                store(hidden(rows_[row].slot, layer) + unit, sigmoid(gates[3]) * hyperbolic_tangent(kept));
            });
        }
    }

    // Logits from the top layer.
    void project(Threads &threads, int count, float *logits) {
        quantised_.resize(count, layers_.hidden);
        threads.run(count, [&](int row) { quantised_.quantise(row, hidden(rows_[row].slot, layers_.count - 1)); });
        for (const Linear &projection : projection_) {
            inputs_.resize(size_t(count) * projection.outputs);
            apply(threads, projection, quantised_, count, [&](int row, int output, const Floats(&values)[4]) {
                store(&inputs_[size_t(row) * projection.outputs + output], values);
            });
            quantised_.resize(count, layers_.head.inputs);
            threads.run(count, [&](int row) { quantised_.quantise(row, &inputs_[size_t(row) * projection.outputs]); });
        }
        apply(threads, layers_.head, quantised_, count, [&](int row, int output, const Floats(&values)[4]) {
            store(logits + size_t(row) * layers_.head.outputs + output, values);
        });
    }

    Layers layers_;
    std::vector<Linear> stack_, projection_;  // of the projection: one or none
    State state_;
    std::vector<Row> rows_;
    std::vector<float> inputs_;
    Rows quantised_;
};
