/* Weighted sums of a few elements along an axis: x [outer, before, inner] becomes y [outer, after, inner]. Each of the
 * `after` results has counts of its places and weights, in rows of `most`. A thread a number. */
#include "index.cuh"

struct taps_args {
    const float *x, *weights;
    const i64 *places, *counts;
    float *y;
    i64 outer, before, after, inner, most;
};

template <class Index> KERNEL(256) taps(const taps_args a) {
    for EACH(Index, i, a.outer * a.after * a.inner) {
        i64 column = i % (Index)a.inner, result = i / (Index)a.inner % (Index)a.after;
        const float *x = a.x + (i / (Index)(a.inner * a.after)) * a.before * a.inner + column;
        const float *weights = a.weights + result * a.most;
        const i64 *places = a.places + result * a.most;
        float sum = 0;
        for (i64 k = 0; k < a.counts[result]; k++) sum += weights[k] * x[places[k] * a.inner];
        a.y[i] = sum;
    }
}
