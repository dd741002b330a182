/* Runs CUDA kernels on the CPU: a fiber for every thread of a block, one block after another (GCC or Clang, x86-64).
 *
 * A fiber runs until it must wait: at a barrier of the block, at an operation of its warp, or at its end. Then the next
 * one runs. Warps of 32 go on together; with a seed the order of threads is shuffled before every round, so that a
 * missing barrier gives other numbers. A barrier in divergent code is where all wait and none can go on, or where
 * threads are at different ones.
 *
 * Shared memory and the targets of copies under way are filled with NaN first, so that what is read too early shows.
 * What kernels declare as __shared__ is thread-local: so it lies together, apart from everything else, and can be
 * filled. Under AddressSanitizer, which sees past the end of plain static arrays only, it is static and not filled.
 */
#pragma once
#include <link.h>
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
constexpr size_t SLOT = 96, STACK = 128 << 10;

/* The threads of a warp that are in an operation together: each lane leaves its part in its slot. One operation at a
 * time: a GPU lets two halves of a warp be in two, this machine takes it for a mistake. */
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
    int votes[2], site;
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

/* How many threads of the block said yes, once all have come. site: which barrier of the program it is. */
inline int barrier(int vote, int site) {
    uint64_t round = block.round;
    int &votes = block.votes[round & 1];
    if (!block.arrived) votes = 0, block.site = site;
    if (block.site != site) fail("threads of a block are at different barriers: a barrier in divergent code");
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

/* What kernels declare as shared. */
struct Declared {
    unsigned char *start;
    size_t size;
};

#ifdef __SANITIZE_ADDRESS__
inline Declared declared() { return {nullptr, 0}; }
#else
inline thread_local unsigned char anchor;

/* Whether this library is ours, whose thread-local memory holds the anchor; and if so, where that memory is. */
inline int found(dl_phdr_info *library, size_t, void *declared) {
    unsigned char *start = (unsigned char *)library->dlpi_tls_data;
    for (int i = 0; start && i < library->dlpi_phnum; i++) {
        const auto &part = library->dlpi_phdr[i];
        if (part.p_type != PT_TLS || &anchor < start || &anchor >= start + part.p_memsz) continue;
        *(Declared *)declared = {start, part.p_memsz};
        return 1;
    }
    return 0;
}
inline Declared declared() {
    Declared where = {nullptr, 0};
    anchor = 0; /* so that it is there */
    dl_iterate_phdr(found, &where);
    return where;
}
#endif

inline void begin_block(unsigned char *stacks, size_t shared, Declared statics) {
    block.live = block.threads;
    block.arrived = 0;
    block.round = 0;
    memset(block.shared, 0xFF, shared);
    if (statics.size) memset(statics.start, 0xFF, statics.size);
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
    void *room = nullptr; /* exactly as large as asked for, so that a sanitizer sees what goes beyond */
    if (posix_memalign(&room, 1024, shared)) return "no memory for shared memory";
    std::vector<unsigned> order(threads);
    for (unsigned i = 0; i < threads; i++) order[i] = i;
    block.grid = {grid[0], grid[1], grid[2]};
    block.size = {threads, 1, 1};
    block.threads = threads;
    block.shared = (unsigned char *)room;
    Declared statics = declared();
    block.kernel = kernel;
    block.arguments = arguments;
    block.fibers.resize(threads);
    block.warps.resize((threads + LANES - 1) / LANES);
    complaint = nullptr;
    uint64_t count = (uint64_t)grid[0] * grid[1] * grid[2];
    for (uint64_t b = 0; b < count && !complaint; b++) {
        block.at = {(unsigned)(b % grid[0]), (unsigned)(b / grid[0] % grid[1]), (unsigned)(b / grid[0] / grid[1])};
        uint64_t random = seed ? seed * 0x9E3779B97F4A7C15ull + b + 1 : 0;
        begin_block(stacks, shared, statics);
        run_block(order, random);
    }
    free(stacks);
    free(room);
    return complaint;
}

}  // namespace machine
