/* Cross-entropies, row by row.
 *
 *   x        [rows, classes], scores or probabilities
 *   t        [rows, classes], the truth
 *   y        [rows]
 *
 *   softmax_crossentropy       sum t (log sum exp(x - top) - (x - top))  =  log(total) sum t - sum t (x - top)
 *   categorical_crossentropy   - sum t log max(x, 1e-7)
 *
 * Shared by rows. VL rows are taken together so that their logarithms are one vector.
 */
#include "vmath.h"

typedef struct {
    const float *x, *t;
    float *y;
    i64 rows, classes;
} crossentropy_task;
TASK(crossentropy_task);

/* What a row's cross-entropy is made of. */
typedef struct {
    float total, weight, dot;
} parts;

INLINE vec part_or_lowest(const float *x, i64 n) { return choose(first_lanes(n), load_part(x, n), all(-INFINITY)); }

INLINE float largest(const float *x, i64 n) {
    vec a = all(-INFINITY);
    i64 k = 0;
    for (; k + VL <= n; k += VL) a = max_or_second(load(x + k), a);
    if (k < n) a = max_or_second(part_or_lowest(x + k, n - k), a);
    return max_lanes(a);
}

INLINE parts of_row(const float *x, const float *t, i64 n) {
    vec top = all(largest(x, n)), total = zeros(), weight = zeros(), dot = zeros();
    i64 k = 0;
    for (; k + VL <= n; k += VL) {
        vec s = load(x + k) - top, w = load(t + k);
        total += v_exp(s);
        weight += w;
        dot += w * s;
    }
    if (k < n) {
        mask real = first_lanes(n - k);
        vec s = load_part(x + k, n - k) - top, w = load_part(t + k, n - k);
        total += keep(real, v_exp(s));
        weight += w;
        dot += keep(real, w * s);
    }
    return (parts){sum_lanes(total), sum_lanes(weight), sum_lanes(dot)};
}

EXPORT void softmax_crossentropy(const void *task, const context *at) {
    const crossentropy_task *t = task;
    i64 first, last, n = t->classes;
    share_units(t->rows, VL, at, &first, &last);
    for (i64 row = first; row < last; row += VL) {
        float total[VL] = {0}, weight[VL] = {0}, dot[VL] = {0};
        i64 count = least(VL, last - row);
        for (i64 i = 0; i < count; i++) {
            parts found = of_row(t->x + (row + i) * n, t->t + (row + i) * n, n);
            total[i] = found.total;
            weight[i] = found.weight;
            dot[i] = found.dot;
        }
        store_part(t->y + row, v_log(load(total)) * load(weight) - load(dot), count);
    }
}

EXPORT void categorical_crossentropy(const void *task, const context *at) {
    const crossentropy_task *t = task;
    const vec smallest = all(1e-7f);
    i64 first, last, n = t->classes;
    share(t->rows, at, &first, &last);
    for (i64 row = first; row < last; row++) {
        const float *p = t->x + row * n, *truth = t->t + row * n;
        vec sum = zeros();
        i64 k = 0;
        for (; k + VL <= n; k += VL) sum += load(truth + k) * v_log(larger(load(p + k), smallest));
        if (k < n) sum += load_part(truth + k, n - k) * v_log(larger(load_part(p + k, n - k), smallest));
        t->y[row] = -sum_lanes(sum);
    }
}
