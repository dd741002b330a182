/* The mean of each window; and the gradient, which divides each number among its window.
 *
 *   x    [batch, height, width, channels]          y    [batch, out_height, out_width, channels]
 *
 * Both ways one row of the result at a time, in two goes, because a window is a rectangle:
 *
 *     down     sums over the rows of the window, whole rows of numbers as vectors: into scratch of the thread
 *     across   sums over the columns, one vector of channels after another
 *
 *     x  a b c d      down  a+e b+f c+g d+h      across  (a+e + b+f) / 4   (c+g + d+h) / 4
 *        e f g h
 *
 * On the way back the windows over a row are added down, those over a place across. How many numbers a window holds is
 * the product of what it has along both axes, so what to multiply by is a table for each axis: forward once for the
 * sum, back for each window that is added. Shared by rows of the result.
 */
#include "copy.h"

/* down_scale, across_scale: 1 / what window number o counts along an axis. */
typedef struct {
    const float *x, *down_scale, *across_scale;
    float *y;
    i64 batch, height, width, channels, out_height, out_width;
    i64 window_height, window_width, stride_height, stride_width, top, left;
} avg_pool_task;
TASK(avg_pool_task);

/* The sum of `count` vectors of n floats, `step` apart, each times its scale if there are scales. */
INLINE vec sum_of(const float *from, const float *scales, i64 count, i64 step, i64 n) {
    vec sum = zeros();
    for (i64 i = 0; i < count; i++) {
        vec v = n == VL ? load(from + i * step) : load_part(from + i * step, n);
        if (scales) v *= scales[i];
        sum += v;
    }
    return sum;
}

/* to = the sum of `count` stretches of n floats, `step` apart, times scale. */
INLINE void add_up(const float *from, const float *scales, i64 count, i64 step, i64 n, float scale, float *to) {
    i64 k = 0;
    for (; k + VL <= n; k += VL) store(to + k, sum_of(from + k, scales, count, step, VL) * scale);
    if (k < n) store_part(to + k, sum_of(from + k, scales, count, step, n - k) * scale, n - k);
}

NOINLINE static void add_two(const float *from, i64 step, i64 n, float scale, float *to) {
    add_up(from, 0, 2, step, n, scale, to);
}
NOINLINE static void add_three(const float *from, i64 step, i64 n, float scale, float *to) {
    add_up(from, 0, 3, step, n, scale, to);
}
NOINLINE static void add_some(const float *from, i64 count, i64 step, i64 n, float scale, float *to) {
    add_up(from, 0, count, step, n, scale, to);
}
NOINLINE static void add_one_scaled(const float *from, i64 n, float scale, float *to) {
    add_up(from, 0, 1, 0, n, scale, to);
}
NOINLINE static void add_two_scaled(const float *from, const float *scales, i64 step, i64 n, float *to) {
    add_up(from, scales, 2, step, n, 1, to);
}
NOINLINE static void add_some_scaled(const float *from, const float *scales, i64 count, i64 step, i64 n, float *to) {
    add_up(from, scales, count, step, n, 1, to);
}

static void sum(const float *from, i64 count, i64 step, i64 n, float scale, float *to) {
    if (count == 2)
        add_two(from, step, n, scale, to);
    else if (count == 3)
        add_three(from, step, n, scale, to);
    else
        add_some(from, count, step, n, scale, to);
}

static void scaled_sum(const float *from, const float *scales, i64 count, i64 step, i64 n, float *to) {
    if (count == 1)
        add_one_scaled(from, n, scales[0], to);
    else if (count == 2)
        add_two_scaled(from, scales, step, n, to);
    else if (count > 0)
        add_some_scaled(from, scales, count, step, n, to);
    else
        clear_bytes(to, 4 * n);
}

EXPORT void avg_pool(const void *task, const context *at) {
    const avg_pool_task *t = task;
    i64 first, last, n = t->channels, wide = t->width * n;
    float *sums = (float *)at->own;
    share(t->batch * t->out_height, at, &first, &last);
    for (i64 row = first; row < last; row++) {
        i64 oh = row % t->out_height, h = oh * t->stride_height - t->top;
        i64 h0 = most(h, 0), h1 = least(h + t->window_height, t->height);
        float *y = t->y + row * t->out_width * n;
        sum(t->x + (row / t->out_height * t->height + h0) * wide, h1 - h0, wide, wide, t->down_scale[oh], sums);
        for (i64 ow = 0; ow < t->out_width; ow++) {
            i64 w = ow * t->stride_width - t->left;
            i64 w0 = most(w, 0), w1 = least(w + t->window_width, t->width);
            sum(sums + w0 * n, w1 - w0, n, n, t->across_scale[ow], y + ow * n);
        }
    }
}

/* Here x is what comes back, [batch, out_height, out_width, channels], and y as large as the pool's operand. */
EXPORT void avg_pool_gradient(const void *task, const context *at) {
    const avg_pool_task *t = task;
    i64 first, last, n = t->channels, wide = t->out_width * n;
    float *sums = (float *)at->own;
    share(t->batch * t->height, at, &first, &last);
    for (i64 row = first; row < last; row++) {
        i64 reach = row % t->height + t->top, begin = 0, end = least(reach / t->stride_height + 1, t->out_height);
        if (reach >= t->window_height) begin = (reach - t->window_height) / t->stride_height + 1;
        float *y = t->y + row * t->width * n;
        const float *x = t->x + (row / t->height * t->out_height + begin) * wide;
        scaled_sum(x, t->down_scale + begin, end - begin, wide, wide, sums);
        i64 from = 0, to = 0;
        for (i64 w = 0; w < t->width; w++) {
            while (from < t->out_width && from * t->stride_width + t->window_width <= w + t->left) from++;
            while (to < t->out_width && to * t->stride_width <= w + t->left) to++;
            scaled_sum(sums + from * n, t->across_scale + from, to - from, n, n, y + w * n);
        }
    }
}
