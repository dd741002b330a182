/* Putting tensors together and taking them apart.
 *
 *   join     y [rows, sum of widths] of pieces [rows, width]; widths in bytes
 *   box      y[i, .., j] = x[i + offset, .., j + offset], 0 where that is outside of x; the last axis in bytes
 *
 *        slice: x . . . . .      pad: y 0 0 0 0 0       both at once along different axes: a box moved over x
 *               . a b c .             0 a b c 0
 *               . . . . .             0 0 0 0 0
 *
 * Shared by rows of y; joined rows that are few and long, by cache lines of each piece.
 */
#include "copy.h"

typedef struct {
    char *y;
    const char *const *pieces;
    const i64 *widths;
    i64 count, rows, width;
} join_task;
TASK(join_task);

EXPORT void join(const void *task, const context *at) {
    const join_task *t = task;
    int long_rows = t->rows < 8 * at->threads;
    i64 first = 0, last = t->rows;
    if (!long_rows) share(t->rows, at, &first, &last);
    for (i64 row = first; row < last; row++) {
        char *y = t->y + row * t->width;
        for (i64 k = 0; k < t->count; y += t->widths[k++]) {
            i64 begin = 0, end = t->widths[k];
            if (long_rows) share_units(end, 64, at, &begin, &end);
            if (begin < end) copy_bytes(y + begin, t->pieces[k] + row * t->widths[k] + begin, end - begin);
        }
    }
}

/* sizes, limits: of y's and x's axes, the last in bytes; offsets: what to add to a place in y to find it in x. */
typedef struct {
    const char *x;
    char *y;
    const i64 *sizes, *limits, *offsets;
    i64 rank;
} box_task;
TASK(box_task);

/* Where the rows of y that begin with row `row` are in x, in bytes; -1: outside, by an axis before the last but one. */
static i64 place_of_rows(const box_task *t, i64 row) {
    i64 place = 0, stride = t->limits[t->rank - 1] * t->limits[t->rank - 2];
    row /= t->sizes[t->rank - 2];
    for (i64 axis = t->rank - 3; axis >= 0; axis--) {
        i64 k = row % t->sizes[axis] + t->offsets[axis];
        if (k < 0 || k >= t->limits[axis]) return -1;
        place += k * stride;
        stride *= t->limits[axis];
        row /= t->sizes[axis];
    }
    return place;
}

EXPORT void box(const void *task, const context *at) {
    const box_task *t = task;
    i64 wide = t->sizes[t->rank - 1], limit = t->limits[t->rank - 1], offset = t->offsets[t->rank - 1];
    i64 inner = t->sizes[t->rank - 2], first, last, rows = 1;
    i64 before = most(-offset, 0), end = most(least(limit - offset, wide), before), from = before + offset;
    for (i64 axis = 0; axis < t->rank - 1; axis++) rows *= t->sizes[axis];
    share(rows, at, &first, &last);
    while (first < last) {
        i64 begin = first % inner, run = least(inner - begin, last - first), place = place_of_rows(t, first);
        for (i64 k = begin; k < begin + run; k++, first++) {
            i64 row = k + t->offsets[t->rank - 2];
            char *y = t->y + first * wide;
            if (place < 0 || row < 0 || row >= t->limits[t->rank - 2]) {
                clear_bytes(y, wide);
                continue;
            }
            if (before) clear_bytes(y, before);
            copy_bytes(y + before, t->x + place + row * limit + from, end - before);
            if (end < wide) clear_bytes(y + end, wide - end);
        }
    }
}
