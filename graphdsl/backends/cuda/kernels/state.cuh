/* What threads have found so far, and how it is joined: a Way has WIDTH floats, `begin`, `take` and `join`. */
#pragma once
#include "device.cuh"

/* The first of GROUP lanes gets what all have. */
template <class Way, int GROUP> DEVICE void join_lanes(float (&s)[Way::WIDTH]) {
    UNROLL for (int step = GROUP / 2; step; step /= 2) {
        float other[Way::WIDTH];
        UNROLL for (int j = 0; j < Way::WIDTH; j++) other[j] = __shfl_xor_sync(~0u, s[j], step);
        Way::join(s, other);
    }
}
/* Thread 0 of 256 gets what all have. */
template <class Way> DEVICE void join_block(float (&s)[Way::WIDTH]) {
    __shared__ float parts[8][Way::WIDTH];
    join_lanes<Way, 32>(s);
    __syncthreads();
    if (threadIdx.x % 32 == 0)
        UNROLL for (int j = 0; j < Way::WIDTH; j++) parts[threadIdx.x / 32][j] = s[j];
    __syncthreads();
    if (threadIdx.x) return;
    for (int i = 1; i < 8; i++) Way::join(s, parts[i]);
}

/* Count, mean, and the sum of squares of the differences from it: nothing cancels.
 * Sources: Welford 1962, of one more number; Chan, Golub and LeVeque 1979, of two groups. */
struct moments {
    enum : int { WIDTH = 3 };
    DEVICE static void begin(float (&s)[3]) { s[0] = s[1] = s[2] = 0; }
    template <int N> DEVICE static void take(float (&s)[N][3], int, const float (&y)[N]) {
        float count = s[0][0] + 1, share = reciprocal(count);
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
    template <class Arguments> DEVICE static void finish(const Arguments &a, i64 at, const float (&s)[3]) {
        a.results[0][at] = s[1];
        a.results[1][at] = s[2] / s[0];
    }
};
