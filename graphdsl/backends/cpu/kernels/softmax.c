/* Scores become probabilities: exp(x - largest) divided by its sum, row by row.
 *
 *   x, y    [rows, classes]
 *
 * Shared by rows. Few classes stay in registers from load to store; more are read three times: for the largest, for
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

enum { SHORT = 3 };

INLINE vec part_or_lowest(const float *x, i64 n) { return choose(first_lanes(n), load_part(x, n), all(-INFINITY)); }

/* Classes that fill so many vectors, the last perhaps in part. */
INLINE void short_row(const float *x, float *y, i64 n, const int vectors) {
    vec v[SHORT], top, sum = zeros();
    i64 before = (vectors - 1) * VL, rest = n - before;
    UNROLL for (int i = 0; i + 1 < vectors; i++) v[i] = load(x + i * VL);
    top = v[vectors - 1] = part_or_lowest(x + before, rest);
    UNROLL for (int i = 0; i + 1 < vectors; i++) top = max_or_second(v[i], top);
    top = all(max_lanes(top));
    UNROLL for (int i = 0; i < vectors; i++) v[i] -= top;
    v[vectors - 1] = keep(first_lanes(rest), v[vectors - 1]); /* powers of -infinity would be slow denormals */
    UNROLL for (int i = 0; i < vectors; i++) v[i] = v_exp(v[i]);
    v[vectors - 1] = keep(first_lanes(rest), v[vectors - 1]);
    UNROLL for (int i = 0; i < vectors; i++) sum += v[i];
    vec scale = all(1.0f / sum_lanes(sum));
    UNROLL for (int i = 0; i + 1 < vectors; i++) store(y + i * VL, v[i] * scale);
    store_part(y + before, v[vectors - 1] * scale, rest);
}

#define SHORT_ROWS(vectors)                                                                                           \
    static NOINLINE void short_rows_##vectors(const float *x, float *y, i64 rows, i64 n) {                            \
        for (i64 r = 0; r < rows; r++) short_row(x + r * n, y + r * n, n, vectors);                                   \
    }
SHORT_ROWS(1)
SHORT_ROWS(2)
SHORT_ROWS(3)
static void (*const short_rows[SHORT])(const float *, float *, i64, i64) = {short_rows_1, short_rows_2, short_rows_3};

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
        vec p = keep(first_lanes(count), v_exp(load_part(x + k, count) - top));
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
    if (n && n <= SHORT * VL)
        short_rows[(n - 1) / VL](t->x + first * n, t->y + first * n, last - first, n);
    else
        for (i64 row = first; row < last; row++) long_row(t->x + row * n, t->y + row * n, n);
}
