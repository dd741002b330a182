/* y[row][class] = exp(x - largest) / Σ exp(x - largest), over the last axis.
 *
 * A warp takes a row of few classes, a block a row of many. Each thread reads every 32nd (256th) score, three times:
 * the second and third time they come from the cache.
 */
#include "device.cuh"
#include "block.cuh"

struct softmax_args {
    const float *x;
    float *y;
    i64 rows, classes;
};

template <int WARPS> KERNEL(32 * WARPS) softmax_by_warp(const softmax_args a) {
    i64 row = (i64)blockIdx.x * WARPS + threadIdx.x / 32;
    if (row >= a.rows) return;
    const float *x = a.x + row * a.classes;
    float *y = a.y + row * a.classes;
    float most = -infinity(), sum = 0;
    for (i64 i = threadIdx.x % 32; i < a.classes; i += 32) most = larger(most, x[i]);
    most = over_warp<take_larger>(most);
    for (i64 i = threadIdx.x % 32; i < a.classes; i += 32) sum += expf(x[i] - most);
    sum = over_warp<add>(sum);
    for (i64 i = threadIdx.x % 32; i < a.classes; i += 32) y[i] = expf(x[i] - most) / sum;
}

template <int THREADS> KERNEL(THREADS) softmax_by_block(const softmax_args a) {
    const float *x = a.x + blockIdx.x * a.classes;
    float *y = a.y + blockIdx.x * a.classes;
    float most = -infinity(), sum = 0;
    for (i64 i = threadIdx.x; i < a.classes; i += THREADS) most = larger(most, x[i]);
    most = over_block<take_larger, THREADS>(most);
    for (i64 i = threadIdx.x; i < a.classes; i += THREADS) sum += expf(x[i] - most);
    sum = over_block<add, THREADS>(sum);
    for (i64 i = threadIdx.x; i < a.classes; i += THREADS) y[i] = expf(x[i] - most) / sum;
}
