/* Weighted sums of a few elements along an axis.
 *
 *   x    [outer, before, inner]
 *   y    [outer, after, inner];  y[o, j] = sum over k below counts[j] of weights[j, k] x[o, places[j, k]]
 *
 * Shared by (outer, j). Vectors run along inner; where inner is 1, along nothing.
 */
#include "vector.h"

typedef struct {
    const float *x, *weights;
    const i64 *places, *counts;
    float *y;
    i64 outer, before, after, inner, most; /* most: weights in a row of the table */
} taps_task;
TASK(taps_task);

INLINE vec weighted(const float *x, const float *weights, const i64 *places, i64 count, i64 inner, i64 n) {
    vec sum = zeros();
    for (i64 k = 0; k < count; k++) {
        vec v = n == VL ? load(x + places[k] * inner) : load_part(x + places[k] * inner, n);
        sum += v * weights[k];
    }
    return sum;
}

EXPORT void taps(const void *task, const context *at) {
    const taps_task *t = task;
    i64 first, last, inner = t->inner;
    share(t->outer * t->after, at, &first, &last);
    for (i64 row = first; row < last; row++) {
        i64 o = row / t->after, j = row % t->after, count = t->counts[j], c = 0;
        const float *x = t->x + o * t->before * inner, *weights = t->weights + j * t->most;
        const i64 *places = t->places + j * t->most;
        float *y = t->y + row * inner;
        for (; c + VL <= inner; c += VL) store(y + c, weighted(x + c, weights, places, count, inner, VL));
        if (c < inner) store_part(y + c, weighted(x + c, weights, places, count, inner, inner - c), inner - c);
    }
}
