/* What Python and C agree on.
 *
 * A program is a table of steps. A pool of threads runs it: every thread runs every step on its own share of the work,
 * with a barrier between steps:
 *
 *     thread 0   conv ------| pool --------| s1 | s2 | dense ---|
 *     thread 1   conv --|...| pool ------|...............| dense |      | a barrier   . waiting
 *
 * Serial steps (s1, s2) are too small to share: thread 0 runs them one after the other without barriers. A program of
 * serial steps alone wakes nobody.
 *
 * A task is a struct of pointers, int64_t and double only, so that its layout is the same everywhere. Python fills it
 * once; kernels never write to it.
 */
#ifndef GRAPHDSL_H
#define GRAPHDSL_H

#include <stdint.h>

typedef int64_t i64;

#define EXPORT __attribute__((visibility("default")))

/* What a kernel knows of where it runs. own: scratch of this thread; shared: scratch of all, kept between the steps of
 * one call. Both are aligned to 64 bytes, as large as the step asked for, and hold garbage. */
typedef struct {
    i64 thread, threads;
    char *own, *shared;
} context;

typedef void (*kernel)(const void *task, const context *at);

typedef struct {
    kernel run;
    const void *task;
    i64 serial;
} step;

typedef struct {
    const step *steps;
    i64 count;
    i64 own_bytes, shared_bytes; /* the most that any step wants */
} program;

/* Lets Python check that it lays the struct out as the compiler does. */
#define TASK(name) EXPORT const i64 size_of_##name = (i64)sizeof(name)

/* The share of n pieces of work that belongs to this thread: from *first up to *last. */
static inline void share(i64 n, const context *at, i64 *first, i64 *last) {
    *first = n * at->thread / at->threads;
    *last = n * (at->thread + 1) / at->threads;
}

/* The same, in multiples of unit (the last piece may be shorter). */
static inline void share_units(i64 n, i64 unit, const context *at, i64 *first, i64 *last) {
    share((n + unit - 1) / unit, at, first, last);
    *first = *first * unit < n ? *first * unit : n;
    *last = *last * unit < n ? *last * unit : n;
}

static inline i64 least(i64 a, i64 b) { return a < b ? a : b; }
static inline i64 most(i64 a, i64 b) { return a > b ? a : b; }

#endif
