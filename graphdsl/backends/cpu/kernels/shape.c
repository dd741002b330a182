/* The same numbers elsewhere: copies, axes in another order.
 *
 *   transpose   y[.., a, .., b, ..] = x[.., b, .., a, ..]   in words of 4 bytes, or in rows where the last axis stays
 *
 * Neighbouring axes that stay neighbours come as one. Where the last axis stays last, rows are copied. Elsewhere
 * squares of VL x VL are turned over in registers, in log2(VL) rounds that exchange ever larger quarters:
 *
 *     a b | c d        a e | c g        a e   i m
 *     e f | g h        b f | d h        b f   j n       rows of the last axis of x in, rows of the last axis of y out
 *     ---------   ->   ---------   ->
 *     i j | k l        i m | k o        c g   k o
 *     m n | o p        j n | l p        d h   l p
 */
#include "copy.h"

typedef struct {
    const char *x;
    char *y;
    i64 bytes;
} copy_task;
TASK(copy_task);

/* Shared by cache lines. */
EXPORT void copy(const void *task, const context *at) {
    const copy_task *t = task;
    i64 first, last;
    share_units(t->bytes, 64, at, &first, &last);
    if (first < last) memcpy(t->y + first, t->x + first, (size_t)(last - first));
}

/* sizes: of y's axes, the last counted in bytes for transpose_rows, in words for transpose_squares.
 * strides: in x, of y's axes, in bytes; turned: the axis of y that is the last of x. */
typedef struct {
    const char *x;
    char *y;
    const i64 *sizes, *strides;
    i64 rank, turned;
} transpose_task;
TASK(transpose_task);

/* Where row number `row` of y begins in x: all axes of y but the last count. */
static i64 row_place(const transpose_task *t, i64 row) {
    i64 place = 0;
    for (i64 axis = t->rank - 2; axis >= 0; axis--) {
        place += row % t->sizes[axis] * t->strides[axis];
        row /= t->sizes[axis];
    }
    return place;
}

/* The last axis stays last; shared by rows. */
EXPORT void transpose_rows(const void *task, const context *at) {
    const transpose_task *t = task;
    i64 first, last, rows = 1, wide = t->sizes[t->rank - 1], inner = t->sizes[t->rank - 2];
    for (i64 axis = 0; axis < t->rank - 1; axis++) rows *= t->sizes[axis];
    share(rows, at, &first, &last);
    while (first < last) {
        i64 run = least(inner - first % inner, last - first), step = t->strides[t->rank - 2];
        const char *x = t->x + row_place(t, first);
        for (i64 k = 0; k < run; k++) copy_bytes(t->y + (first + k) * wide, x + k * step, wide);
        first += run;
    }
}

#if VL == 16
#define LANES(f, s) \
    f(0, s), f(1, s), f(2, s), f(3, s), f(4, s), f(5, s), f(6, s), f(7, s), f(8, s), f(9, s), f(10, s), f(11, s), \
        f(12, s), f(13, s), f(14, s), f(15, s)
#elif VL == 8
#define LANES(f, s) f(0, s), f(1, s), f(2, s), f(3, s), f(4, s), f(5, s), f(6, s), f(7, s)
#else
#define LANES(f, s) f(0, s), f(1, s), f(2, s), f(3, s)
#endif
#define UPPER(lane, s) ((lane) & (s) ? VL + (lane) - (s) : (lane))
#define LOWER(lane, s) ((lane) & (s) ? VL + (lane) : (lane) + (s))

#define EXCHANGE(s)                                                                 \
    UNROLL for (int i = 0; i < VL; i++) {                                           \
        if (i & (s)) continue;                                                      \
        vec a = r[i], b = r[i + (s)];                                               \
        r[i] = __builtin_shufflevector(a, b, LANES(UPPER, s));                      \
        r[i + (s)] = __builtin_shufflevector(a, b, LANES(LOWER, s));                \
    }

INLINE void turn_over(vec *r) {
    EXCHANGE(1)
    EXCHANGE(2)
#if VL >= 8
    EXCHANGE(4)
#endif
#if VL >= 16
    EXCHANGE(8)
#endif
}

NOINLINE static void whole_square(const char *x, i64 x_step, char *y, i64 y_step) {
    vec r[VL];
    UNROLL for (int i = 0; i < VL; i++) r[i] = load((const float *)(x + i * x_step));
    turn_over(r);
    UNROLL for (int i = 0; i < VL; i++) store((float *)(y + i * y_step), r[i]);
}

/* The corner: rows of x and columns of x that are left. */
NOINLINE static void part_square(const char *x, i64 x_step, i64 rows, char *y, i64 y_step, i64 columns) {
    vec r[VL];
    UNROLL for (int i = 0; i < VL; i++) r[i] = i < rows ? load_part((const float *)(x + i * x_step), columns) : zeros();
    turn_over(r);
    UNROLL for (int i = 0; i < VL; i++) if (i < columns) store_part((float *)(y + i * y_step), r[i], rows);
}

/* The bytes between neighbours of an axis of y. */
static i64 step_in_y(const transpose_task *t, i64 axis) {
    i64 step = 4;
    for (i64 k = axis + 1; k < t->rank; k++) step *= t->sizes[k];
    return step;
}

/* The last axis changes; shared by strips: VL places along the axis that was last in x, all along the one that is. */
EXPORT void transpose_squares(const void *task, const context *at) {
    const transpose_task *t = task;
    i64 wide = t->sizes[t->rank - 1], step = t->strides[t->rank - 1], turned = t->sizes[t->turned];
    i64 first, last, strips = (turned + VL - 1) / VL, others = 1, y_step = step_in_y(t, t->turned);
    for (i64 axis = 0; axis < t->rank - 1; axis++) others *= axis == t->turned ? 1 : t->sizes[axis];
    share(others * strips, at, &first, &last);
    for (i64 k = first; k < last; k++) {
        i64 b = k % strips * VL, rest = k / strips, x_place = 4 * b, y_place = b * y_step, span = 4 * wide;
        for (i64 axis = t->rank - 2; axis >= 0; span *= t->sizes[axis--]) {
            if (axis == t->turned) continue;
            x_place += rest % t->sizes[axis] * t->strides[axis];
            y_place += rest % t->sizes[axis] * span;
            rest /= t->sizes[axis];
        }
        for (i64 a = 0; a < wide; a += VL) {
            const char *x = t->x + x_place + a * step;
            char *y = t->y + y_place + 4 * a;
            if (wide - a >= VL && turned - b >= VL)
                whole_square(x, step, y, y_step);
            else
                part_square(x, step, least(wide - a, VL), y, y_step, least(turned - b, VL));
        }
    }
}
