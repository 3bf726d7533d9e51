// Threads that share the tasks of one phase after another, many thousand phases a second.
//
// The caller leads: it publishes a phase, takes tasks like everyone, and waits until all are done.
// A helper takes tasks while it is awake and is never waited for while it holds none, so a helper
// that the system has put aside, or that sleeps, slows nothing down. Helpers spin for a moment
// between phases, as a wake-up costs more than most phases last, then sleep.
#pragma once

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <exception>
#include <memory>
#include <system_error>
#include <thread>
#include <type_traits>
#include <utility>
#include <vector>

#if defined(__x86_64__)
#include <immintrin.h>
inline void pause_briefly() { _mm_pause(); }
#else
inline void pause_briefly() { std::this_thread::yield(); }
#endif

class Threads {
public:
    explicit Threads(int count) {
        helpers_.reserve(std::max(count, 1));
        try {
            for (int helper = 1; helper < count; ++helper) helpers_.emplace_back([this] { help(); });
        } catch (const std::system_error &) {  // the system gives no more: those that there are do
        }
    }

    ~Threads() {
        closing_ = true;
        ++signal_;
        signal_.notify_all();
        for (auto &helper : helpers_) helper.join();
    }

    int count() const { return int(helpers_.size()) + 1; }

    // Calls task(0) … task(count - 1), each once, and returns when all have returned. Where one of
    // them threw, so does this.
    template <class Task> void run(int count, Task &&task) {
        if (count <= 1 || helpers_.empty()) {
            for (int index = 0; index < count; ++index) task(index);
            return;
        }
        context_ = &task;
        call_ = [](void *context, int index) {
            (*static_cast<std::remove_reference_t<Task> *>(context))(index);
        };
        done_.store(0, std::memory_order_relaxed);
        failed_.clear(std::memory_order_relaxed);
        ++phase_;
        open_.store(uint64_t(phase_ & 0xFFFF) << 48 | uint64_t(count) << 24);
        if (sleeping_.load() > 0) {
            ++signal_;
            signal_.notify_all();
        }
        while (take()) {}
        for (int spins = 0; done_.load(std::memory_order_acquire) < count; ++spins) {
            if (spins < 2000) pause_briefly();
            else std::this_thread::yield();  // its holder waits for a core, perhaps for this one
        }
        if (error_) std::rethrow_exception(std::exchange(error_, nullptr));
    }

private:
    static constexpr uint64_t field = (1 << 24) - 1;

    // Takes and does one task; false if there is none. `open_` is phase, count and next in one
    // word: when the exchange succeeds the phase is still open, so its task is still there to call.
    bool take() {
        uint64_t open = open_.load(std::memory_order_acquire);
        while ((open & field) < (open >> 24 & field)) {
            if (open_.compare_exchange_weak(open, open + 1, std::memory_order_acq_rel)) {
                try {
                    call_(context_, int(open & field));
                } catch (...) {
                    if (!failed_.test_and_set()) error_ = std::current_exception();
                }
                done_.fetch_add(1, std::memory_order_release);
                return true;
            }
        }
        return false;
    }

    void help() {
        while (!closing_) {
            for (int spins = 0; spins < 10000; ++spins) {  // some 200 microseconds
                if (take()) spins = 0;
                else pause_briefly();
            }
            uint32_t signal = signal_.load();
            ++sleeping_;
            if (!take() && !closing_) signal_.wait(signal);
            --sleeping_;
        }
    }

    std::vector<std::thread> helpers_;
    uint32_t phase_ = 0;
    void (*call_)(void *, int) = nullptr;
    void *context_ = nullptr;
    std::exception_ptr error_;  // of the first task of a phase that threw
    std::atomic_flag failed_;
    alignas(64) std::atomic<uint64_t> open_{0};
    alignas(64) std::atomic<int> done_{0};
    alignas(64) std::atomic<int> sleeping_{0};
    std::atomic<uint32_t> signal_{0};
    std::atomic<bool> closing_{false};
};
