/* The largest along an axis; NaN wins.
 *
 *   x    [outer, size, inner]
 *   y    [outer, inner]
 *
 * Where inner is 1, rows of x, shared by rows; elsewhere columns, a vector of them at a time, shared by such vectors.
 */
#include "vector.h"

typedef struct {
    const float *x;
    float *y;
    i64 outer, size, inner;
} max_task;
TASK(max_task);

/* The largest of n numbers, n > 0; what is left over is met by a vector that overlaps the one before. */
INLINE float largest(const float *x, i64 n) {
    float best = x[0];
    if (n < VL) {
        for (i64 k = 1; k < n; k++) best = best > x[k] || best != best ? best : x[k];
        return best;
    }
    vec a = load(x), b = load(x + n - VL);
    i64 k = VL;
    for (; k + 2 * VL <= n; k += 2 * VL) {
        a = larger(a, load(x + k));
        b = larger(b, load(x + k + VL));
    }
    if (k + VL <= n) a = larger(a, load(x + k));
    a = larger(a, b);
    best = sum_lanes(keep(is_nan(a), a)); /* 0, or NaN */
    return best == 0 ? max_lanes(a) : best;
}

EXPORT void max_of_rows(const void *task, const context *at) {
    const max_task *t = task;
    i64 first, last;
    share(t->outer, at, &first, &last);
    for (i64 row = first; row < last; row++) t->y[row] = largest(t->x + row * t->size, t->size);
}

EXPORT void max_of_columns(const void *task, const context *at) {
    const max_task *t = task;
    i64 first, last, inner = t->inner, vectors = (inner + VL - 1) / VL;
    share(t->outer * vectors, at, &first, &last);
    for (i64 k = first; k < last; k++) {
        i64 o = k / vectors, c = k % vectors * VL, n = least(VL, inner - c);
        const float *x = t->x + o * t->size * inner + c;
        vec best = load_part(x, n);
        if (n == VL)
            for (i64 i = 1; i < t->size; i++) best = larger(best, load(x + i * inner));
        else
            for (i64 i = 1; i < t->size; i++) best = larger(best, load_part(x + i * inner, n));
        store_part(t->y + o * inner + c, best, n);
    }
}
