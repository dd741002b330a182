/* What the threads of a warp or of a block find together. All of them must call; all get the result. */
#pragma once
#include "device.cuh"

struct add { DEVICE static float of(float a, float b) { return a + b; } };
struct take_larger { DEVICE static float of(float a, float b) { return larger(a, b); } };
struct take_smaller { DEVICE static float of(float a, float b) { return smaller(a, b); } };

/* Over the lanes of a warp, in the order of a butterfly: the same bits every time. */
template <class Join> DEVICE float over_warp(float x) {
    UNROLL for (int step = 16; step; step /= 2) x = Join::of(x, __shfl_xor_sync(~0u, x, step));
    return x;
}

/* Over a block of THREADS along x, a multiple of 32. May be called again at once. */
template <class Join, int THREADS> DEVICE float over_block(float x) {
    __shared__ float parts[THREADS / 32];
    x = over_warp<Join>(x);
    __syncthreads();
    if (threadIdx.x % 32 == 0) parts[threadIdx.x / 32] = x;
    __syncthreads();
    x = parts[0];
    UNROLL for (int i = 1; i < THREADS / 32; i++) x = Join::of(x, parts[i]);
    return x;
}
