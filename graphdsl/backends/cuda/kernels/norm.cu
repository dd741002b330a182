/* y = (x - mean) / sqrt(variance + eps), row by row: [rows, columns].
 *
 * GROUP threads take a row: lanes of a warp, or a whole block. They go over it twice, N numbers at once; the second
 * time it comes from the cache. Source of the statistics: state.cuh.
 */
#include "device.cuh"
#include "vector.cuh"
#include "state.cuh"

struct standardize_args {
    const float *x;
    float *y, *mean, *variance, *count;
    i64 rows, columns;
    float eps;
};

/* Every thread of the group gets the state of its first. */
template <int GROUP> DEVICE void tell_all(float (&s)[3]) {
    if (GROUP == 256) {
        __shared__ float told[3];
        if (threadIdx.x == 0) UNROLL for (int j = 0; j < 3; j++) told[j] = s[j];
        __syncthreads();
        UNROLL for (int j = 0; j < 3; j++) s[j] = told[j];
    } else {
        UNROLL for (int j = 0; j < 3; j++) s[j] = __shfl_sync(~0u, s[j], 0, GROUP);
    }
}

template <int GROUP, int N> KERNEL(256) standardize_rows(const standardize_args a) {
    const i64 own = (i64)blockIdx.x * (256 / GROUP) + threadIdx.x / GROUP, row = own < a.rows ? own : 0;
    const int lane = threadIdx.x % GROUP, columns = (int)a.columns;
    const float *x = a.x + row * columns;
    float state[N][3], v[N];
    UNROLL for (int i = 0; i < N; i++) moments::begin(state[i]);
#pragma unroll 4
    for (int c = lane * N; c < columns; c += GROUP * N) {
        read(x + c, v);
        moments::take(state, 0, v);
    }
    UNROLL for (int i = 1; i < N; i++) moments::join(state[0], state[i]);
    if (GROUP == 256)
        join_block<moments>(state[0]);
    else
        join_lanes<moments, GROUP>(state[0]);
    tell_all<GROUP>(state[0]);
    if (own >= a.rows) return;
    const float mean = state[0][1], variance = state[0][2] / state[0][0], factor = 1 / sqrtf(variance + a.eps);
    for (int c = lane * N; c < columns; c += GROUP * N) {
        read(x + c, v);
        UNROLL for (int i = 0; i < N; i++) v[i] = (v[i] - mean) * factor;
        write(a.y + row * columns + c, v);
    }
    if (lane) return;
    a.mean[row] = mean;
    a.variance[row] = variance;
    if (row == 0) *a.count = (float)a.columns;
}
