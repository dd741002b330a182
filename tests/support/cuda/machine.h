/* Runs CUDA kernels on the CPU: a fiber for every thread of a block, one block after another (GCC or Clang, x86-64).
 *
 * A fiber runs until it must wait: at a barrier of the block, at an operation of its warp, or at its end. Then the next
 * one runs. Warps of 32 go on together; with a seed the order of threads is shuffled before every round, so that a
 * missing barrier gives other numbers. Where all wait and none can go on, the kernel has a barrier in divergent code.
 *
 * Shared memory and the targets of copies under way are filled with NaN first, so that what is read too early shows.
 */
#pragma once
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <cstring>
#include <vector>

namespace machine {

struct index3 {
    unsigned x, y, z;
};

enum class State : uint8_t { RUNS, AT_BARRIER, IN_WARP, ENDED };

/* A copy to shared memory that is under way. */
struct Copy {
    void *to;
    const void *from;
    int bytes;
    bool there;
};

struct Fiber {
    void *stack_pointer;
    index3 thread;
    unsigned number;
    State state;
    uint64_t round; /* of the barrier that it waits at */
    std::vector<std::vector<Copy>> copies; /* by group; the last is not committed */
};

constexpr unsigned LANES = 32;
constexpr size_t SLOT = 96, STACK = 128 << 10, GUARD = 1024;

/* The threads of a warp that are in an operation together: each lane leaves its part in its slot. */
struct Warp {
    unsigned live, arrived, mask;
    uint64_t round;
    int operation;
    alignas(16) unsigned char slots[2][LANES][SLOT];
};

struct Block {
    index3 grid, size, at;
    unsigned threads, live, arrived;
    uint64_t round;
    int votes[2];
    std::vector<Fiber> fibers;
    std::vector<Warp> warps;
    unsigned char *shared;
    void *scheduler;
    void (*kernel)(const void *);
    const void *arguments;
};

inline Block block;
inline Fiber *current;
inline const char *complaint; /* what went wrong, or NULL */

inline unsigned lane() { return current->number % LANES; }
inline Warp &warp() { return block.warps[current->number / LANES]; }

/* Saves the registers that a call keeps, changes stacks, and goes on where the other was left. */
extern "C" void machine_switch(void **save, void *to);
asm(R"(.text
.globl machine_switch
machine_switch:
    pushq %rbp; pushq %rbx; pushq %r12; pushq %r13; pushq %r14; pushq %r15
    movq %rsp, (%rdi); movq %rsi, %rsp
    popq %r15; popq %r14; popq %r13; popq %r12; popq %rbx; popq %rbp
    ret)");

inline __attribute__((noinline)) void give_way() { machine_switch(&current->stack_pointer, block.scheduler); }

/* Ends the launch: the fiber is never taken up again. */
[[noreturn]] inline void fail(const char *what) {
    complaint = what;
    give_way();
    abort();
}

inline void pass_barrier() {
    block.arrived = 0;
    block.round++;
}

inline void end_of_thread() {
    current->state = State::ENDED;
    warp().live &= ~(1u << lane());
    if (--block.live && block.arrived == block.live) pass_barrier();
    give_way();
    abort();
}

inline void start_of_thread() {
    block.kernel(block.arguments);
    end_of_thread();
}

/* How many threads of the block said yes, once all have come. */
inline int barrier(int vote) {
    uint64_t round = block.round;
    int &votes = block.votes[round & 1];
    if (!block.arrived) votes = 0;
    votes += vote != 0;
    current->round = round;
    if (++block.arrived == block.live) {
        pass_barrier();
    } else {
        current->state = State::AT_BARRIER;
        while (block.round == round) give_way();
        current->state = State::RUNS;
    }
    return votes;
}

/* An operation of the lanes in mask: each brings `bytes`, the last to come works on all slots, each gets its slot. */
template <class Work> unsigned char *together(unsigned mask, int operation, const void *part, size_t bytes, Work work) {
    Warp &w = warp();
    uint64_t round = w.round;
    mask &= w.live;
    if (!w.arrived)
        w.mask = mask, w.operation = operation;
    else if (w.mask != mask || w.operation != operation)
        fail("the lanes of a warp are not in the same operation");
    if (!(mask >> lane() & 1)) fail("a lane is not in its own mask");
    memcpy(w.slots[round & 1][lane()], part, bytes);
    w.arrived |= 1u << lane();
    if (w.arrived == mask) {
        work(w.slots[round & 1]);
        w.arrived = 0;
        w.round++;
    } else {
        current->state = State::IN_WARP;
        while (w.round == round) give_way();
        current->state = State::RUNS;
    }
    return w.slots[round & 1][lane()];
}

/* As together, for what needs every lane's slot. */
inline unsigned char (*slots_of(unsigned mask, int operation, const void *part, size_t bytes))[SLOT] {
    unsigned char *own = together(mask, operation, part, bytes, [](auto &) {});
    return (unsigned char(*)[SLOT])(own - lane() * SLOT);
}

inline bool can_go_on(const Fiber &f) {
    if (f.state == State::ENDED || (f.state == State::AT_BARRIER && block.round == f.round)) return false;
    return f.state != State::IN_WARP || !(block.warps[f.number / LANES].arrived >> (f.number % LANES) & 1);
}

inline void begin_block(unsigned char *stacks, size_t shared) {
    block.live = block.threads;
    block.arrived = 0;
    block.round = 0;
    memset(block.shared, 0xFF, shared);
    for (unsigned w = 0; w < block.warps.size(); w++) {
        unsigned lanes = std::min(LANES, block.threads - w * LANES);
        block.warps[w].live = lanes == LANES ? ~0u : (1u << lanes) - 1;
        block.warps[w].arrived = 0;
        block.warps[w].round = 0;
    }
    for (unsigned i = 0; i < block.threads; i++) {
        Fiber &f = block.fibers[i];
        f.thread = {i % block.size.x, i / block.size.x % block.size.y, i / (block.size.x * block.size.y)};
        f.number = i;
        f.state = State::RUNS;
        f.copies.assign(1, {});
        void **top = (void **)(stacks + STACK * (i + 1) - 64);
        *--top = nullptr;
        *--top = (void *)start_of_thread;
        for (int saved = 0; saved < 6; saved++) *--top = nullptr;
        f.stack_pointer = top;
    }
}

inline void run_block(std::vector<unsigned> &order, uint64_t &random) {
    while (block.live && !complaint) {
        bool moved = false;
        for (unsigned i = block.threads - 1; random && i > 0; i--) {
            random ^= random << 13, random ^= random >> 7, random ^= random << 17;
            std::swap(order[i], order[random % (i + 1)]);
        }
        for (unsigned i = 0; i < block.threads && !complaint; i++) {
            current = &block.fibers[order[i]];
            if (!can_go_on(*current)) continue;
            machine_switch(&block.scheduler, current->stack_pointer);
            moved = true;
        }
        if (!moved && !complaint) complaint = "all threads wait: a barrier in divergent code";
    }
}

/* Runs the kernel on all blocks. What went wrong, or NULL. seed: 0 for threads in their order. */
inline const char *launch(void (*kernel)(const void *), const void *arguments, const unsigned *grid, unsigned threads,
                          size_t shared, uint64_t seed) {
    unsigned char *stacks = (unsigned char *)aligned_alloc(64, STACK * threads);
    unsigned char *room = (unsigned char *)aligned_alloc(1024, shared / 1024 * 1024 + 2048);
    std::vector<unsigned> order(threads);
    for (unsigned i = 0; i < threads; i++) order[i] = i;
    block.grid = {grid[0], grid[1], grid[2]};
    block.size = {threads, 1, 1};
    block.threads = threads;
    block.shared = room;
    block.kernel = kernel;
    block.arguments = arguments;
    block.fibers.resize(threads);
    block.warps.resize((threads + LANES - 1) / LANES);
    complaint = nullptr;
    uint64_t count = (uint64_t)grid[0] * grid[1] * grid[2];
    for (uint64_t b = 0; b < count && !complaint; b++) {
        block.at = {(unsigned)(b % grid[0]), (unsigned)(b / grid[0] % grid[1]), (unsigned)(b / grid[0] / grid[1])};
        uint64_t random = seed ? seed * 0x9E3779B97F4A7C15ull + b + 1 : 0;
        begin_block(stacks, shared);
        run_block(order, random);
    }
    free(stacks);
    free(room);
    return complaint;
}

}  // namespace machine
