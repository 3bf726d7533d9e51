// What Python calls, through ctypes: see generator/models/quantised.py and generator/sampling/samplers.py.
#include "gpt2.h"
#include "lstm.h"
#include "sampling.h"

extern "C" {

void *threads_open(int count) { return new Threads(count); }

void threads_close(void *threads) { delete static_cast<Threads *>(threads); }

void *gpt2_open(const Shape *shape, const Block *blocks, const Norm *last, const Linear *head,
                const float *tokens, const float *positions, Half *cache) {
    return new GPT2(*shape, blocks, *last, *head, tokens, positions, cache);
}

void gpt2_close(void *model) { delete static_cast<GPT2 *>(model); }

void gpt2_step(void *model, void *threads, int count, const int32_t *slots, const int32_t *starts,
               const int32_t *counts, const int32_t *tokens, float *logits) {
    static_cast<GPT2 *>(model)->step(*static_cast<Threads *>(threads), count, slots, starts, counts,
                                     tokens, logits);
}

void *lstm_open(const Layers *layers, const State *state) { return new LSTM(*layers, *state); }

void lstm_close(void *model) { delete static_cast<LSTM *>(model); }

void lstm_step(void *model, void *threads, int count, const int32_t *slots, const int32_t *starts,
               const int32_t *counts, const int32_t *tokens, float *logits) {
    static_cast<LSTM *>(model)->step(*static_cast<Threads *>(threads), count, slots, starts, counts,
                                     tokens, logits);
}

const char *rules_layout() { return rules_declared; }

void draw_tokens(void *threads, const Rules *rules, const Stories *stories, int count,
                 const int32_t *slots, const int32_t *lengths, float *logits, int32_t *drawn) {
    draw(*static_cast<Threads *>(threads), rules, *stories, count, slots, lengths, logits, drawn);
}
}
