/* Scores become probabilities: exp(x - largest) divided by its sum, row by row.
 *
 *   x, y    [rows, classes]
 *
 * Shared by rows. Few classes stay in one register from load to store; more are read three times: for the largest, for
 * the powers and their sum, for the division. A NaN among the scores is lost in the search for the largest, but comes
 * back with its own power and makes the sum NaN, and so the row.
 */
#include "vmath.h"

typedef struct {
    const float *x;
    float *y;
    i64 rows, classes;
} softmax_task;
TASK(softmax_task);

INLINE vec part_or_lowest(const float *x, i64 n) { return choose(first_lanes(n), load_part(x, n), all(-INFINITY)); }

/* At most VL classes. */
INLINE void short_row(const float *x, float *y, i64 n) {
    vec v = part_or_lowest(x, n);
    vec power = keep(first_lanes(n), v_exp(v - all(max_lanes(v))));
    store_part(y, power * all(1.0f / sum_lanes(power)), n);
}

INLINE float largest(const float *x, i64 n) {
    vec a = all(-INFINITY), b = a;
    i64 k = 0;
    for (; k + 2 * VL <= n; k += 2 * VL) {
        a = max_or_second(load(x + k), a);
        b = max_or_second(load(x + k + VL), b);
    }
    for (; k + VL <= n; k += VL) a = max_or_second(load(x + k), a);
    if (k < n) b = max_or_second(part_or_lowest(x + k, n - k), b);
    return max_lanes(max_or_second(a, b));
}

static void long_row(const float *x, float *y, i64 n) {
    vec top = all(largest(x, n)), a = zeros(), b = zeros();
    i64 k = 0;
    for (; k + 2 * VL <= n; k += 2 * VL) {
        vec p = v_exp(load(x + k) - top), q = v_exp(load(x + k + VL) - top);
        store(y + k, p);
        store(y + k + VL, q);
        a += p;
        b += q;
    }
    for (; k < n; k += VL) {
        i64 count = least(n - k, VL);
        vec p = keep(first_lanes(count), v_exp(part_or_lowest(x + k, count) - top));
        store_part(y + k, p, count);
        a += p;
    }
    vec scale = all(1.0f / sum_lanes(a + b));
    for (k = 0; k + VL <= n; k += VL) store(y + k, load(y + k) * scale);
    if (k < n) store_part(y + k, load_part(y + k, n - k) * scale, n - k);
}

EXPORT void softmax(const void *task, const context *at) {
    const softmax_task *t = task;
    i64 first, last, n = t->classes;
    share(t->rows, at, &first, &last);
    if (n <= VL)
        for (i64 row = first; row < last; row++) short_row(t->x + row * n, t->y + row * n, n);
    else
        for (i64 row = first; row < last; row++) long_row(t->x + row * n, t->y + row * n, n);
}
