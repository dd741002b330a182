/* What becomes of many numbers: sums, mean and variance, the largest. Each is WIDTH floats that numbers are taken into
 * and that are joined with those of other threads. N states stand beside each other. */
#pragma once
#include "device.cuh"
#include "divider.cuh"
#include "vector.cuh"

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

/* Count, mean, and the sum of squares of the differences from it: nothing cancels.
 * Sources: Welford 1962, of one more number; Chan, Golub and LeVeque 1979, of two groups. */
struct moments {
    enum : int { WIDTH = 3 };
    DEVICE static void begin(float (&s)[3]) { s[0] = s[1] = s[2] = 0; }
    template <int N> DEVICE static void take(float (&s)[N][3], int, const float (&y)[N]) {
        float count = s[0][0] + 1, share = 1 / count;
        UNROLL for (int i = 0; i < N; i++) {
            float off = y[i] - s[i][1];
            s[i][0] = count;
            s[i][1] += off * share;
            s[i][2] += off * (y[i] - s[i][1]);
        }
    }
    DEVICE static void join(float (&s)[3], const float (&other)[3]) {
        float count = s[0] + other[0];
        if (!(other[0] > 0)) return;
        float off = other[1] - s[1], share = other[0] / count;
        s[1] += off * share;
        s[2] += other[2] + off * off * (s[0] * share);
        s[0] = count;
    }
    DEVICE static void finish(const reduce_args &a, i64 at, const float (&s)[3]) {
        a.results[0][at] = s[1];
        a.results[1][at] = s[2] / s[0];
    }
};
