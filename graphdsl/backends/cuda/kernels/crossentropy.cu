/* Cross-entropies of rows: a warp a row.
 *
 *   categorical_crossentropy   y = - Σ t log max(p, 1e-7)
 *   softmax_crossentropy       y = Σ t (log Σ exp(x - largest) - (x - largest)), from scores: no overflow
 */
#include "device.cuh"
#include "block.cuh"

struct crossentropy_args {
    const float *x, *t;
    float *y;
    i64 rows, classes;
};

enum { WARPS = 8 };

KERNEL(32 * WARPS) categorical_crossentropy(const crossentropy_args a) {
    i64 row = (i64)blockIdx.x * WARPS + threadIdx.x / 32;
    if (row >= a.rows) return;
    const float *p = a.x + row * a.classes, *t = a.t + row * a.classes;
    float sum = 0;
    for (i64 i = threadIdx.x % 32; i < a.classes; i += 32) sum += t[i] * logf(larger(p[i], 1e-7f));
    sum = over_warp<add>(sum);
    if (threadIdx.x % 32 == 0) a.y[row] = -sum;
}

KERNEL(32 * WARPS) softmax_crossentropy(const crossentropy_args a) {
    i64 row = (i64)blockIdx.x * WARPS + threadIdx.x / 32;
    if (row >= a.rows) return;
    const float *x = a.x + row * a.classes, *t = a.t + row * a.classes;
    float most = -infinity(), powers = 0, sum = 0;
    for (i64 i = threadIdx.x % 32; i < a.classes; i += 32) most = larger(most, x[i]);
    most = over_warp<take_larger>(most);
    for (i64 i = threadIdx.x % 32; i < a.classes; i += 32) powers += expf(x[i] - most);
    float total = logf(over_warp<add>(powers));
    for (i64 i = threadIdx.x % 32; i < a.classes; i += 32) sum += t[i] * (total - (x[i] - most));
    sum = over_warp<add>(sum);
    if (threadIdx.x % 32 == 0) a.y[row] = sum;
}
