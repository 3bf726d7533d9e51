// What Python calls, through ctypes: see generator/models/packed.py, generator/sampling/native_sampler.py.
// No exception leaves it: a function that failed returns null or false, and `failure` says why.
#include "lstm.h"
#include "sampling.h"
#include "transformer.h"

#include <exception>
#include <string>

static thread_local std::string reason;

template <class Act> static bool succeeds(Act &&act) noexcept {
    try {
        act();
        return true;
    } catch (const std::exception &error) {
        reason = error.what();
    } catch (...) {
        reason = "an unknown exception";
    }
    return false;
}

template <class Make> static void *made(Make &&make) noexcept {
    void *object = nullptr;
    succeeds([&] { object = make(); });
    return object;
}

extern "C" {

const char *failure() { return reason.c_str(); }

void *threads_open(int count) {
    return made([&] { return new Threads(count); });
}

void threads_close(void *threads) { delete static_cast<Threads *>(threads); }

void *transformer_open(const Shape *shape, const Block *blocks, const Norm *last, const Linear *head,
                       const Table *tokens, const Positions *positions, Half *cache) {
    return made([&] { return new Transformer(*shape, blocks, *last, *head, *tokens, *positions, cache); });
}

void transformer_close(void *model) { delete static_cast<Transformer *>(model); }

bool transformer_step(void *model, void *threads, int count, const int32_t *slots, const int32_t *starts,
                      const int32_t *counts, const int32_t *tokens, float *logits) {
    return succeeds([&] {
        static_cast<Transformer *>(model)->step(*static_cast<Threads *>(threads), count, slots, starts,
                                                counts, tokens, logits);
    });
}

void *lstm_open(const Layers *layers, const State *state) {
    return made([&] { return new LSTM(*layers, *state); });
}

void lstm_close(void *model) { delete static_cast<LSTM *>(model); }

bool lstm_step(void *model, void *threads, int count, const int32_t *slots, const int32_t *starts,
               const int32_t *counts, const int32_t *tokens, float *logits) {
    return succeeds([&] {
        static_cast<LSTM *>(model)->step(*static_cast<Threads *>(threads), count, slots, starts, counts,
                                         tokens, logits);
    });
}

const char *rules_layout() { return rules_declared; }

bool draw_tokens(void *threads, const Rules *rules, const Stories *stories, int count,
                 const int32_t *slots, const int32_t *lengths, float *logits, int32_t *drawn) {
    return succeeds([&] {
        draw(*static_cast<Threads *>(threads), rules, *stories, count, slots, lengths, logits, drawn);
    });
}

bool search_tokens(void *threads, const Rules *rules, const Stories *stories, int beams,
                   const int32_t *slots, const int32_t *lengths, float *logits, int count, int least,
                   int32_t *tokens, float *values, float *keys) {
    return succeeds([&] {
        search(*static_cast<Threads *>(threads), rules, *stories, beams, slots, lengths, logits, count,
               least, tokens, values, keys);
    });
}
}
