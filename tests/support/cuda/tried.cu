/* Kernels that use each word of the machine once, for tests of the simulated one
 * (tests/backends/cuda/test_simulated.py). They read x and write y; what is there, each says. */
#include "device.cuh"

struct tried_args {
    const void *x;
    void *y;
    i32 n;
};

/* y[block][thread][11] = the thread, the block, and the sizes of both. */
KERNEL(64) indices(const tried_args a) {
    i32 block = (blockIdx.z * gridDim.y + blockIdx.y) * gridDim.x + blockIdx.x;
    i32 *y = (i32 *)a.y + (block * blockDim.x + threadIdx.x) * 11;
    y[0] = threadIdx.x, y[1] = threadIdx.y, y[2] = blockIdx.x, y[3] = blockIdx.y, y[4] = blockIdx.z;
    y[5] = blockDim.x, y[6] = blockDim.y, y[7] = gridDim.x, y[8] = gridDim.y, y[9] = gridDim.z, y[10] = block;
}

/* y[i] = x[(i + n) % 128]: in n steps, each one place. WAITS: which of the two barriers of a step are there. */
template <int WAITS> KERNEL(128) shifted_by_one(const tried_args a) {
    __shared__ float places[128];
    i32 t = threadIdx.x;
    float x = ((const float *)a.x)[t];
    for (i32 i = 0; i < a.n; i++) {
        places[t] = x;
        if (WAITS & 1) __syncthreads();
        x = places[(t + 1) % 128];
        if (WAITS & 2) __syncthreads();
    }
    ((float *)a.y)[t] = x;
}

/* y[0][i], y[1][i] = how many of x are not 0, and whether one is, of those threads that have not ended: the first n. */
KERNEL(128) votes_of_block(const tried_args a) {
    i32 t = threadIdx.x, vote = ((const i32 *)a.x)[t], *y = (i32 *)a.y;
    if (t >= a.n) return;
    y[t] = __syncthreads_count(vote);
    y[128 + t] = __syncthreads_or(vote);
}

/* y[width 1, 2, .. 32][from n, xor n, down n, up n][lane], of 64 bits a number. */
KERNEL(64) shuffles(const tried_args a) {
    u64 x = ((const u64 *)a.x)[threadIdx.x], *y = (u64 *)a.y + threadIdx.x;
    for (i32 width = 1; width <= 32; width *= 2, y += 4 * 64) {
        y[0] = __shfl_sync(~0u, x, a.n, width);
        y[64] = __shfl_xor_sync(~0u, x, a.n, width);
        y[128] = __shfl_down_sync(~0u, x, a.n, width);
        y[192] = __shfl_up_sync(~0u, x, a.n, width);
    }
}

/* y[ballot, any, all, ballot of the lanes below n][lane], of what is not 0 in x. */
KERNEL(64) votes_of_warp(const tried_args a) {
    i32 lane = threadIdx.x % 32, vote = ((const i32 *)a.x)[threadIdx.x];
    u32 *y = (u32 *)a.y + threadIdx.x;
    y[0] = __ballot_sync(~0u, vote);
    y[64] = __any_sync(~0u, vote);
    y[128] = __all_sync(~0u, vote);
    y[192] = 0;
    __syncwarp();
    if (lane < a.n) y[192] = __ballot_sync((1u << a.n) - 1, vote);
}

/* y[moment][thread][8]: four words copied at once and four one by one, seen at once, after the first group, and at the
 * end. Threads whose x is odd ask for what is not there. Four of the eight are in the first group: n says which. */
KERNEL(32) copies(const tried_args a) {
    SHARED_BYTES(shared);
    const u32 *x = (const u32 *)a.x + threadIdx.x * 8;
    volatile u32 *own = (volatile u32 *)shared + threadIdx.x * 8;
    bool there = x[0] % 2 == 0;
    for (i32 half = 0; half < 2; half++) {
        if (half == a.n) copy_16((void *)own, x, there);
        else
            for (i32 i = 4; i < 8; i++) copy_4((void *)(own + i), x + i, there);
        copies_commit();
    }
    u32 *y = (u32 *)a.y + threadIdx.x * 8;
    for (i32 i = 0; i < 8; i++) y[i] = own[i];
    copies_wait<1>();
    for (i32 i = 0; i < 8; i++) y[256 + i] = own[i];
    copies_wait<0>();
    for (i32 i = 0; i < 8; i++) y[512 + i] = own[i];
}

/* y[block][declared, asked for][thread] = the bits that shared memory holds when a block begins. */
KERNEL(64) first_seen(const tried_args a) {
    SHARED_BYTES(shared);
    __shared__ u32 declared[64];
    u32 *asked = (u32 *)shared, t = threadIdx.x, *y = (u32 *)a.y + blockIdx.x * 128;
    y[t] = declared[t], y[64 + t] = asked[t];
    declared[t] = asked[t] = t;
}

/* y[plain, turned][matrix][lane] = what a lane gets of four 8 x 8 matrices x, which lie one after another. */
KERNEL(32) matrices(const tried_args a) {
    SHARED_BYTES(shared);
    u32 r[4], *y = (u32 *)a.y + threadIdx.x;
    for (i32 i = 0; i < 4; i++) ((u32 *)shared)[threadIdx.x * 4 + i] = ((const u32 *)a.x)[threadIdx.x * 4 + i];
    __syncwarp();
    load_matrices(r, (u16 *)shared + threadIdx.x * 8);
    for (i32 i = 0; i < 4; i++) y[i * 32] = r[i];
    load_matrices_turned(r, (u16 *)shared + threadIdx.x * 8);
    for (i32 i = 0; i < 4; i++) y[128 + i * 32] = r[i];
}

/* y[16][8] += a[16][16] b[16][8], x = a, b; each lane brings what device.cuh says that it brings. */
KERNEL(32) product_bf16(const tried_args given) {
    const float *a = (const float *)given.x, *b = a + 256;
    float d[4], *y = (float *)given.y;
    i32 g = threadIdx.x / 4, t = threadIdx.x % 4;
    u32 left[4], right[2];
    for (i32 i = 0; i < 4; i++) {
        const float *from = a + (g + i % 2 * 8) * 16 + 2 * t + i / 2 * 8;
        left[i] = to_bf16_pair(from[0], from[1]);
    }
    for (i32 i = 0; i < 2; i++) {
        const float *from = b + (2 * t + 8 * i) * 8 + g;
        right[i] = to_bf16(from[0]) | (u32)to_bf16(from[8]) << 16;
    }
    for (i32 i = 0; i < 4; i++) d[i] = y[(g + i / 2 * 8) * 8 + 2 * t + i % 2];
    multiply_bf16(d, left, right[0], right[1]);
    for (i32 i = 0; i < 4; i++) y[(g + i / 2 * 8) * 8 + 2 * t + i % 2] = d[i];
}

/* y[16][8] += a[16][8] b[8][8], x = a, b. */
KERNEL(32) product_tf32(const tried_args given) {
    const float *a = (const float *)given.x, *b = a + 128;
    float d[4], *y = (float *)given.y;
    i32 g = threadIdx.x / 4, t = threadIdx.x % 4;
    u32 left[4], right[2];
    for (i32 i = 0; i < 4; i++) left[i] = to_tf32(a[(g + i % 2 * 8) * 8 + t + i / 2 * 4]);
    for (i32 i = 0; i < 2; i++) right[i] = to_tf32(b[(t + 4 * i) * 8 + g]);
    for (i32 i = 0; i < 4; i++) d[i] = y[(g + i / 2 * 8) * 8 + 2 * t + i % 2];
    multiply_tf32(d, left, right[0], right[1]);
    for (i32 i = 0; i < 4; i++) y[(g + i / 2 * 8) * 8 + 2 * t + i % 2] = d[i];
}

/* y[bf16 and back, tf32, larger than 1, smaller than 1][i], of x[i]. */
KERNEL(32) numbers(const tried_args a) {
    float x = ((const float *)a.x)[threadIdx.x], *y = (float *)a.y + threadIdx.x;
    y[0] = from_bf16(to_bf16(x)), y[32] = bits_to_float(to_tf32(x)), y[64] = larger(x, 1), y[96] = smaller(x, 1);
}

/* What must not be: mistake n. With n = 0 all is well, and y[i] = 1. */
KERNEL(64) mistaken(const tried_args a) {
    i32 t = threadIdx.x, lane = t % 32;
    if (a.n == 1) {
        if (t < 40) __syncthreads();
        else __syncthreads();
    }
    if (a.n == 2) {
        if (lane < 16) __shfl_sync(~0u, t, 0);
        else __syncthreads();
    }
    if (a.n == 3) {
        if (lane < 16) __shfl_sync(~0u, t, 0);
        else __ballot_sync(~0u, t);
    }
    if (a.n == 4) __shfl_sync(0xffffu, t, 0);
    if (a.n == 5) __ballot_sync(lane < 16 ? 0xffffffffu : 0xffff0000u, t);
    if (a.n == 6 && t == 5) __syncwarp();
    __syncthreads();
    ((i32 *)a.y)[t] = 1;
}
