// Draws the next token of many stories, each by its own rules: the same draws as
// generator/sampling/torch_sampler.py, where the rules are explained, without sorting the vocabulary.
#pragma once

#include "threads.h"
#include "vectors.h"

#include <algorithm>
#include <bit>
#include <cmath>
#include <vector>

// One story's rules: the rows of generator/sampling/rules.py, which compares this list with its own.
#define EVERY_RULE(rule)                                                                     \
    rule(float, temperature) rule(int32_t, top_k) rule(float, top_p) rule(float, min_p)      \
    rule(float, repetition_penalty) rule(float, frequency_penalty) rule(float, presence_penalty) \
    rule(int32_t, no_repeat_ngram_size) rule(int32_t, memfree) rule(int32_t, min_length)     \
    rule(int32_t, prompt_length) rule(int32_t, new_word_at) rule(uint64_t, seed)

struct Rules {
#define MEMBER(type, name) type name;
    EVERY_RULE(MEMBER)
#undef MEMBER
};
#define NAMED(type, name) #type " " #name ";"
inline const char *const rules_declared = EVERY_RULE(NAMED);
#undef NAMED

struct Stories {
    const int32_t *history;  // [slots][context]
    const int32_t *ends;     // tokens that end a story
    const int32_t *continuations; // tokens that go on with a word, ascending
    const int32_t *growing; // tokens that would make another word of the one before
    const int32_t *suppressed; // tokens that are never drawn
    const int32_t *bad_words; // [bad_word_count][bad_word_width], runs that no story completes, behind -1
    const uint8_t *memfree;  // Bloom filter of the training texts' n-grams, as in generator/sampling/memfree.py
    uint64_t memfree_bits;
    int32_t end_count, continuation_count, growing_count, suppressed_count, bad_word_count, bad_word_width, context, ngram_size, hashes, vocabulary;
    int32_t stride;  // floats from one row to the next
};

struct Candidate {
    float logit, weight;  // weight: exp(logit - largest), once it is needed
    int32_t token;
};

// Two keys for a story and position (SplitMix64), then sixteen uniform numbers for sixteen tokens
// (MurmurHash3's finaliser), none 0 and none 1.
class Noise {
public:
    Noise(uint64_t seed, int position) {
        uint64_t state = seed + (uint64_t(position) + 1) * 0x9E3779B97F4A7C15u;
        state = (state ^ state >> 30) * 0xBF58476D1CE4E5B9u;
        state = (state ^ state >> 27) * 0x94D049BB133111EBu;
        state ^= state >> 31;
        low_ = uint32_t(state), high_ = uint32_t(state >> 32);
    }

    // Waiting times of an exponential race: -log(uniform).
    Floats waits(Ints tokens) const {
        Words bits = same_bits<uint32_t>(tokens) * 0x9E3779B1u + low_;
        bits = (bits ^ bits >> 16) * 0x85EBCA6Bu;
        bits = ((bits ^ bits >> 13) ^ high_) * 0xC2B2AE35u;
        bits ^= bits >> 16;
        Floats uniform = (as_floats(same_bits<int32_t>(bits >> 9)) + 0.5f) * 0x1p-23f;
        return -logarithm(uniform);
    }

private:
    uint32_t low_, high_;
};

class Drawing {
public:
    Drawing(const Rules &rules, const Stories &stories, int slot, int length, float *logits)
        : rules_(rules), stories_(stories), slot_(slot), length_(length), logits_(logits),
          vocabulary_(stories.vocabulary) {}

    int32_t draw() {
        forbid();
        for (;;) {
            int32_t token = pick();
            if (logits_[token] == -INFINITY || !copies(token)) return token;
            logits_[token] = -INFINITY;
        }
    }

    // The first ways on with this story as a beam of a search, at most `count`; the logits are log
    // probabilities. Of those missing, the keys are -inf. As in generator/sampling/torch_sampler.py.
    void ways(int beam, int count, int least, int32_t *tokens, float *values, float *keys) {
        forbid();
        for (bool struck = true; struck;) {
            rank(beam, count, least);
            struck = false;
            for (const Candidate &one : candidates_)
                if (copies(one.token)) logits_[one.token] = -INFINITY, struck = true;
        }
        for (int at = 0; at < count; ++at) {
            bool there = at < int(candidates_.size());
            tokens[at] = there ? candidates_[at].token : 0;
            values[at] = there ? candidates_[at].logit * inverse_ : -INFINITY;
            keys[at] = there ? candidates_[at].weight : -INFINITY;
        }
    }

private:
    int32_t pick() {
        if (rules_.temperature == 0) return likeliest();
        measure();
        if (!cuts_to_few() && rules_.top_p >= 1 && rules_.min_p == 0) return race();
        narrow(1);
        return race_of_candidates();
    }

    void measure() {
        inverse_ = 1.0f / rules_.temperature;
        largest_ = most();
    }

    bool cuts_to_few() const { return rules_.top_k > 0 && rules_.top_k < vocabulary_; }

    // Leaves what the rules allow as candidates with their weights, and so many of the likeliest in any case.
    void narrow(int least) {
        float top_p = rules_.top_p, min_p = rules_.min_p;
        bool few = cuts_to_few();
        if (few) keep_top_k(std::min(std::max(rules_.top_k, least), vocabulary_));
        if (top_p < 1) keep_top_p(top_p, few);
        if (!few && top_p >= 1) collect(floor_of(min_p));
        weigh();
        if (min_p > 0) std::erase_if(candidates_, [&](const Candidate &one) { return one.weight < min_p; });
        if (least > 1 && int(candidates_.size()) < least) keep_top_k(std::min(least, vocabulary_));
    }

    // Leaves the first candidates of a search, in their order; their weights are what orders them.
    void rank(int beam, int count, int least) {
        if (rules_.temperature == 0) {
            keep_top_k(count);
            for (Candidate &one : candidates_) one.weight = one.logit;
        } else {
            measure();
            narrow(least);
            race_in_search(beam);
        }
        std::erase_if(candidates_, [](const Candidate &one) { return one.logit == -INFINITY; });
        auto sooner = [](const Candidate &one, const Candidate &other) {
            return one.weight != other.weight ? one.weight > other.weight : one.token < other.token;
        };
        auto last = candidates_.begin() + std::min(count, int(candidates_.size()));
        std::partial_sort(candidates_.begin(), last, candidates_.end(), sooner);
        candidates_.erase(last, candidates_.end());
    }

    // Noise by a beam's place and not by its slot, which hangs on the company.
    void race_in_search(int beam) {
        Noise noise(rules_.seed, length_);
        for (size_t at = 0; at < candidates_.size(); at += LANES) {
            int32_t apart[LANES] = {};
            int count = int(std::min<size_t>(LANES, candidates_.size() - at));
            for (int lane = 0; lane < count; ++lane) apart[lane] = candidates_[at + lane].token + beam * vocabulary_;
            Floats late = logarithm(noise.waits(load(apart)));
            for (int lane = 0; lane < count; ++lane) {
                Candidate &one = candidates_[at + lane];
                one.weight = one.logit * inverse_ - late[lane];
            }
        }
    }

    bool continues(int32_t token) const {
        return std::binary_search(stories_.continuations, stories_.continuations + stories_.continuation_count, token);
    }

    // Whether the token there goes on with a word that is just told again, as far as it is told.
    bool spells_again(const int32_t *story, int place) const {
        if (!continues(story[place])) return false;
        for (int back = 1; back <= place; ++back) {
            if (story[place - back] != story[length_ - back]) return false;
            if (!continues(story[length_ - back])) return true;
        }
        return false;
    }

    // Whether the token would complete an n-gram of the training texts.
    bool copies(int32_t token) const {
        int before = stories_.ngram_size - 1;
        if (!rules_.memfree || !stories_.memfree || length_ < before) return false;
        if (continues(token)) return false;
        if (std::find(stories_.ends, stories_.ends + stories_.end_count, token) != stories_.ends + stories_.end_count)
            return false;
        const int32_t *story = stories_.history + size_t(slot_) * stories_.context + length_ - before;
        uint64_t key = 0;
        for (int at = 0; at <= before; ++at) {
            key = (key ^ uint64_t(at < before ? story[at] : token)) * 0x9E3779B97F4A7C15u;
            key ^= key >> 32;
        }
        key = (key ^ key >> 30) * 0xBF58476D1CE4E5B9u;
        key = (key ^ key >> 27) * 0x94D049BB133111EBu;
        key ^= key >> 31;
        uint32_t spread = uint32_t(key), step = uint32_t(key >> 32) | 1;
        for (int hash = 0; hash < stories_.hashes; ++hash, spread += step) {
            uint64_t place = uint64_t(spread) * stories_.memfree_bits >> 32;
            if (!(stories_.memfree[place >> 3] >> (place & 7) & 1)) return false;
        }
        return true;
    }

    // The rules that look at the story so far.
    void forbid() {
        const int32_t *story = stories_.history + size_t(slot_) * stories_.context;
        float penalty = rules_.repetition_penalty;
        if (penalty != 1) {
            thread_local std::vector<float> used;  // first, so that a token counts once
            used.clear();
            for (int at = 0; at < length_; ++at) used.push_back(logits_[story[at]]);
            for (int at = 0; at < length_; ++at)
                logits_[story[at]] = used[at] < 0 ? used[at] * penalty : used[at] / penalty;
        }
        float frequency = rules_.frequency_penalty, presence = rules_.presence_penalty;
        if (frequency != 0 || presence != 0) {
            thread_local std::vector<int32_t> told;
            told.assign(story + rules_.prompt_length, story + length_);
            std::sort(told.begin(), told.end());
            for (auto same = told.begin(); same != told.end();) {
                auto next = std::upper_bound(same, told.end(), *same);
                logits_[*same] -= float(next - same) * frequency + presence;
                same = next;
            }
        }
        int size = rules_.no_repeat_ngram_size;
        if (size > 0)
            for (int at = 0; at + size <= length_; ++at)
                if (std::equal(story + at, story + at + size - 1, story + length_ - size + 1) && !spells_again(story, at + size - 1))
                    logits_[story[at + size - 1]] = -INFINITY;
        for (int word = 0, width = stories_.bad_word_width; word < stories_.bad_word_count; ++word) {
            const int32_t *run = stories_.bad_words + size_t(word) * width;
            int at = width - 1, told = length_;
            while (at > 0 && run[at - 1] >= 0 && told > 0 && story[told - 1] == run[at - 1]) --at, --told;
            if (at == 0 || run[at - 1] < 0) logits_[run[width - 1]] = -INFINITY;
        }
        if (length_ < rules_.min_length)
            for (int end = 0; end < stories_.end_count; ++end) logits_[stories_.ends[end]] = -INFINITY;
        if (length_ == rules_.new_word_at)
            for (int at = 0; at < stories_.growing_count; ++at) logits_[stories_.growing[at]] = -INFINITY;
        for (int at = 0; at < stories_.suppressed_count; ++at) logits_[stories_.suppressed[at]] = -INFINITY;
    }

    float most() const {
        Floats best = -INFINITY;
        for (int at = 0; at < vocabulary_; at += LANES) best = larger(best, tail_safe(at));
        return largest(best);
    }

    int32_t likeliest() const {
        float best = most();
        for (int at = 0; at < vocabulary_; at += LANES)
            if (uint32_t hits = mask(tail_safe(at) >= best)) return at + std::countr_zero(hits);
        return 0;  // the logits are no numbers
    }

    float floor_of(float share) const { return largest_ + std::log(share) / inverse_; }

    void keep_top_k(int count) {
        collect_likeliest(count);
        if (int(candidates_.size()) <= count) return;  // fewer only where the logits are no numbers
        std::nth_element(candidates_.begin(), candidates_.begin() + count - 1, candidates_.end(), likelier);
        candidates_.resize(count);
    }

    // The likeliest whose weights reach the share: of the candidates, or else of the vocabulary.
    void keep_top_p(float share, bool of_candidates) {
        float whole = 0;
        if (of_candidates) {
            whole = weigh();
        } else {
            whole = weigh_all();
            for (int count = 1024;; count *= 4) {
                collect_likeliest(std::min(count, vocabulary_));
                if (weigh() >= share * whole || count >= vocabulary_) break;
            }
        }
        // Quickselect by weight: halves are told apart until the last one needed is found.
        float needed = share * whole;
        auto begin = candidates_.begin(), end = candidates_.end();
        while (end - begin > 1) {
            auto pivot = *(begin + (end - begin) / 2);
            auto middle = std::partition(begin, end, [&](const Candidate &one) { return likelier(one, pivot); });
            if (middle == begin) {  // the pivot is the likeliest here: it goes first, on its own
                std::iter_swap(begin, std::find_if(begin, end, [&](const Candidate &one) { return one.token == pivot.token; }));
                ++middle;
            }
            float weight = 0;
            for (auto one = begin; one != middle; ++one) weight += one->weight;
            if (weight >= needed) {
                end = middle;
            } else {
                needed -= weight;
                begin = middle;
            }
        }
        candidates_.erase(end, candidates_.end());
    }

    // At least so many candidates, among them that many likeliest. A sample of the logits says
    // roughly where the line is; where too few lie above it, it is drawn lower.
    void collect_likeliest(int count) {
        int stride = std::clamp(count / 32, 1, 32);
        thread_local std::vector<float> sample;
        sample.clear();
        for (int at = 0; at < vocabulary_; at += stride) sample.push_back(logits_[at]);
        float expected = float(count) / stride;
        size_t rank = size_t(expected + 3 * std::sqrt(expected) + 4);
        for (;; rank *= 2) {
            if (rank >= sample.size()) return collect(-INFINITY);
            std::nth_element(sample.begin(), sample.begin() + rank, sample.end(), std::greater<>());
            collect(sample[rank]);
            if (int(candidates_.size()) >= count) return;
        }
    }

    // All tokens with logits not below the floor.
    void collect(float floor) {
        candidates_.clear();
        for (int at = 0; at < vocabulary_; at += LANES)
            for (uint32_t hits = mask(tail_safe(at) >= floor); hits; hits &= hits - 1)
                if (int token = at + std::countr_zero(hits); token < vocabulary_)
                    candidates_.push_back({logits_[token], 0.0f, token});
    }

    Floats weights(Floats logits) const { return exponential((logits - largest_) * inverse_); }

    float weigh() {
        float total = 0;
        for (size_t at = 0; at < candidates_.size(); at += LANES) {
            float logits[LANES];
            int count = int(std::min<size_t>(LANES, candidates_.size() - at));
            for (int lane = 0; lane < LANES; ++lane)
                logits[lane] = lane < count ? candidates_[at + lane].logit : -INFINITY;
            Floats weight = weights(load(logits));
            for (int lane = 0; lane < count; ++lane) total += candidates_[at + lane].weight = weight[lane];
        }
        return total;
    }

    float weigh_all() const {
        Floats total{};
        for (int at = 0; at < vocabulary_; at += LANES) total += weights(tail_safe(at));
        return sum(total);
    }

    Floats tail_safe(int at) const {
        if (at + LANES <= vocabulary_) return load(logits_ + at);
        float logits[LANES];
        for (int lane = 0; lane < LANES; ++lane)
            logits[lane] = at + lane < vocabulary_ ? logits_[at + lane] : -INFINITY;
        return load(logits);
    }

    // The winner of the exponential race, argmax(weight / wait), over the whole vocabulary.
    int32_t race() const {
        Noise noise(rules_.seed, length_);
        Floats best = -1.0f;
        Ints winners{}, tokens = counting();
        for (int at = 0; at < vocabulary_; at += LANES, tokens += LANES) {
            Floats speed = weights(tail_safe(at)) / noise.waits(tokens);
            winners = choose(speed > best, tokens, winners);
            best = larger(best, speed);
        }
        int winner = 0;
        for (int lane = 1; lane < LANES; ++lane)
            if (best[lane] > best[winner]) winner = lane;
        return winners[winner];
    }

    int32_t race_of_candidates() const {
        Noise noise(rules_.seed, length_);
        float best = -1;
        int32_t winner = candidates_.empty() ? 0 : candidates_[0].token;
        for (size_t at = 0; at < candidates_.size(); at += LANES) {
            int32_t tokens[LANES] = {};
            int count = int(std::min<size_t>(LANES, candidates_.size() - at));
            for (int lane = 0; lane < count; ++lane) tokens[lane] = candidates_[at + lane].token;
            Floats waits = noise.waits(load(tokens));
            for (int lane = 0; lane < count; ++lane) {
                float speed = candidates_[at + lane].weight / waits[lane];
                if (speed > best) best = speed, winner = tokens[lane];
            }
        }
        return winner;
    }

    static bool likelier(const Candidate &one, const Candidate &other) { return one.logit > other.logit; }

    const Rules &rules_;
    const Stories &stories_;
    int slot_, length_;
    float *logits_;
    int vocabulary_;
    float inverse_ = 1, largest_ = 0;
    static thread_local std::vector<Candidate> candidates_;
};

inline thread_local std::vector<Candidate> Drawing::candidates_;

inline void draw(Threads &threads, const Rules *rules, const Stories &stories, int count,
                 const int32_t *slots, const int32_t *lengths, float *logits, int32_t *drawn) {
    threads.run(count, [&](int row) {
        drawn[row] = Drawing(rules[slots[row]], stories, slots[row], lengths[row], logits + size_t(row) * stories.stride).draw();
    });
}

inline void search(Threads &threads, const Rules *rules, const Stories &stories, int beams,
                   const int32_t *slots, const int32_t *lengths, float *logits, int count, int least,
                   int32_t *tokens, float *values, float *keys) {
    threads.run(beams, [&](int beam) {
        size_t row = size_t(beam) * count;
        Drawing(rules[slots[beam]], stories, slots[beam], lengths[beam], logits + size_t(beam) * stories.stride)
            .ways(beam, count, least, tokens + row, values + row, keys + row);
    });
}
