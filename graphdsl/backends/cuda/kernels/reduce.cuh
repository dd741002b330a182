/* What becomes of many numbers: sums, mean and variance, the largest. Each is WIDTH floats that numbers are taken into
 * and that are joined with those of other threads. N states stand beside each other. */
#pragma once
#include "device.cuh"
#include "divider.cuh"
#include "vector.cuh"
#include "state.cuh"

enum : int { AXES = 6, MOST_RESULTS = 8 };

/* kept, summed: sizes of the axes; strides in elements. Where the last axis of the operands is summed, its size is in
 * steps of N; where it is kept, it has `columns`, is not among `kept`, and its strides are the last. outputs: of one
 * result. steps: of all summed axes together; part: of a block.
 * partials, came: where the sums are cut into parts: those of each, and how many blocks are done. */
struct reduce_args {
    i64 outputs, columns, steps, part, kept_axes;
    float *partials;
    i32 *came;
    float *results[MOST_RESULTS];
    const void *operands[at_least_one(formula::OPERANDS)];
    divider kept[AXES], summed[AXES];
    i32 kept_strides[at_least_one(formula::OPERANDS)][AXES], summed_strides[at_least_one(formula::OPERANDS)][AXES];
    float k[at_least_one(formula::LITERALS)];
};

struct sums {
    enum : int { WIDTH = formula::RESULTS };
    DEVICE static void begin(float (&s)[WIDTH]) {
        UNROLL for (int j = 0; j < WIDTH; j++) s[j] = 0;
    }
    template <int N> DEVICE static void take(float (&s)[N][WIDTH], int j, const float (&y)[N]) {
        UNROLL for (int i = 0; i < N; i++) s[i][j] += y[i];
    }
    DEVICE static void join(float (&s)[WIDTH], const float (&other)[WIDTH]) {
        UNROLL for (int j = 0; j < WIDTH; j++) s[j] += other[j];
    }
    DEVICE static void finish(const reduce_args &a, i64 at, const float (&s)[WIDTH]) {
        UNROLL for (int j = 0; j < WIDTH; j++) a.results[j][at] = s[j];
    }
};

struct largest {
    enum : int { WIDTH = 1 };
    DEVICE static void begin(float (&s)[1]) { s[0] = -infinity(); }
    template <int N> DEVICE static void take(float (&s)[N][1], int, const float (&y)[N]) {
        UNROLL for (int i = 0; i < N; i++) s[i][0] = larger(s[i][0], y[i]);
    }
    DEVICE static void join(float (&s)[1], const float (&other)[1]) { s[0] = larger(s[0], other[0]); }
    DEVICE static void finish(const reduce_args &a, i64 at, const float (&s)[1]) { a.results[0][at] = s[0]; }
};
