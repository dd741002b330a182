/* The largest number of each window and where it stood; and the gradient, which goes back there.
 *
 *   x       [batch, height, width, channels]
 *   y       [batch, out_height, out_width, channels]      winner   the same in int32: h * width + w
 *
 * Work is shared by rows of the result. A window is worked off for one vector of channels after another; its places
 * are compared in row order with the best so far, of which value and place stay in registers:
 *
 *     x   a b . .      best = a, place 0
 *         c d . .      b > best ? best = b, place 1;  c > best ? ..., place width;  d ... , place width + 1
 *
 * NaN counts as greater than any number. Sequences are pictures of height 1. winner may be null.
 *
 * The gradient asks each place of x which windows cover it (one or two along an axis, mostly) and adds what those of
 * them hand back whose winner it is: everything is read and written in order, nothing is zeroed first.
 */
#include "vector.h"

typedef struct {
    const float *x;
    float *y;
    int32_t *winner;
    i64 batch, height, width, channels, out_height, out_width;
    i64 window_height, window_width, stride_height, stride_width, top, left;
} max_pool_task;
TASK(max_pool_task);

/* The part of a window that is not padding: h x w places from x on, the first of them place number `first`. */
typedef struct {
    const float *x;
    i64 h, w, first;
} window;

/* One vector of one window: n channels from c on. */
INLINE void largest(const max_pool_task *t, window at, i64 h, i64 w, i64 c, i64 n, float *y, int32_t *winner) {
    const float *from = at.x + c;
    vec best = n == VL ? load(from) : load_part(from, n);
    ivec place = iall(0);
    UNROLL for (i64 i = 0; i < h; i++) UNROLL for (i64 j = 0; j < w; j++) {
        if (i + j == 0) continue;
        const float *p = from + (i * t->width + j) * t->channels;
        vec next = n == VL ? load(p) : load_part(p, n);
        mask better = either_mask(greater(next, best), is_nan(next));
        best = choose(better, next, best);
        place = ichoose(better, iall((int32_t)(i * t->width + j)), place);
    }
    place += iall((int32_t)at.first);
    if (n == VL) {
        store(y + c, best);
        if (winner) istore(winner + c, place);
    } else {
        store_part(y + c, best, n);
        if (winner) istore_part(winner + c, place, n);
    }
}

/* All channels; the last vector overlaps the one before it where they do not come out even. */
INLINE void all_channels(const max_pool_task *t, window at, i64 h, i64 w, float *y, int32_t *winner) {
    i64 channels = t->channels, c = 0;
    for (; c + VL <= channels; c += VL) largest(t, at, h, w, c, VL, y, winner);
    if (c == channels) return;
    if (c)
        largest(t, at, h, w, channels - VL, VL, y, winner);
    else
        largest(t, at, h, w, 0, channels, y, winner);
}

NOINLINE static void any_window(const max_pool_task *t, window at, float *y, int32_t *winner) {
    all_channels(t, at, at.h, at.w, y, winner);
}

/* Windows from ow on, up to end, that lie inside the row; h and w are constants where this is inlined. */
INLINE void whole_windows(const max_pool_task *t, window at, i64 h, i64 w, i64 count, float *y, int32_t *winner) {
    for (i64 k = 0; k < count; k++) {
        all_channels(t, at, h, w, y, winner);
        at.x += t->stride_width * t->channels;
        at.first += t->stride_width;
        y += t->channels;
        winner = winner ? winner + t->channels : 0;
    }
}

NOINLINE static void windows_2x2(const max_pool_task *t, window at, i64 count, float *y, int32_t *winner) {
    whole_windows(t, at, 2, 2, count, y, winner);
}
NOINLINE static void windows_3x3(const max_pool_task *t, window at, i64 count, float *y, int32_t *winner) {
    whole_windows(t, at, 3, 3, count, y, winner);
}
NOINLINE static void windows_any(const max_pool_task *t, window at, i64 count, float *y, int32_t *winner) {
    whole_windows(t, at, at.h, at.w, count, y, winner);
}

/* The window of one result, cut to what is real. */
INLINE window window_at(const max_pool_task *t, const float *image, i64 oh, i64 ow) {
    i64 h = oh * t->stride_height - t->top, w = ow * t->stride_width - t->left;
    i64 h0 = most(h, 0), h1 = least(h + t->window_height, t->height);
    i64 w0 = most(w, 0), w1 = least(w + t->window_width, t->width);
    return (window){image + (h0 * t->width + w0) * t->channels, h1 - h0, w1 - w0, h0 * t->width + w0};
}

static void pool_row(const max_pool_task *t, i64 row) {
    const float *image = t->x + row / t->out_height * t->height * t->width * t->channels;
    i64 oh = row % t->out_height, ow = 0;
    i64 begin = least((t->left + t->stride_width - 1) / t->stride_width, t->out_width);
    i64 inside = (t->width - t->window_width + t->left + t->stride_width) / t->stride_width; /* first that sticks out */
    i64 end = most(least(inside, t->out_width), begin);
    float *y = t->y + row * t->out_width * t->channels;
    int32_t *winner = t->winner ? t->winner + row * t->out_width * t->channels : 0;
    for (; ow < begin; ow++)
        any_window(t, window_at(t, image, oh, ow), y + ow * t->channels, winner ? winner + ow * t->channels : 0);
    if (ow < end) {
        window at = window_at(t, image, oh, ow);
        void (*run)(const max_pool_task *, window, i64, float *, int32_t *) =
            at.h == 2 && at.w == 2 ? windows_2x2 : at.h == 3 && at.w == 3 ? windows_3x3 : windows_any;
        run(t, at, end - ow, y + ow * t->channels, winner ? winner + ow * t->channels : 0);
        ow = end;
    }
    for (; ow < t->out_width; ow++)
        any_window(t, window_at(t, image, oh, ow), y + ow * t->channels, winner ? winner + ow * t->channels : 0);
}

EXPORT void max_pool(const void *task, const context *at) {
    const max_pool_task *t = task;
    i64 first, last;
    share(t->batch * t->out_height, at, &first, &last);
    for (i64 row = first; row < last; row++) pool_row(t, row);
}

/* --- gradient -------------------------------------------------------------------------------------------------- */

typedef struct {
    const float *dy;
    const int32_t *winner;
    float *dx;
    i64 batch, height, width, channels, out_height, out_width;
    i64 window_height, window_width, stride_height, stride_width, top, left;
} max_pool_gradient_task;
TASK(max_pool_gradient_task);

/* The windows that cover a place along one axis: from first up to last. */
typedef struct {
    i64 first, last;
} covering;

INLINE covering windows_over(i64 place, i64 size, i64 stride, i64 pad, i64 count) {
    i64 reach = place + pad;
    i64 first = reach < size ? 0 : (reach - size) / stride + 1;
    return (covering){first, least(reach / stride + 1, count)};
}

/* n channels of one place: what the windows over it hand back. h and w windows cover it, the first at dy. */
INLINE void collect(const max_pool_gradient_task *t, const float *dy, const int32_t *winner, i64 h, i64 w, ivec place,
                    i64 n, float *dx) {
    vec total = zeros();
    for (i64 i = 0; i < h; i++)
        for (i64 j = 0; j < w; j++) {
            i64 step = (i * t->out_width + j) * t->channels;
            vec part = n == VL ? load(dy + step) : load_part(dy + step, n);
            ivec won = n == VL ? iload(winner + step) : iload_part(winner + step, n);
            total += keep(iequals(won, place), part);
        }
    if (n == VL)
        store(dx, total);
    else
        store_part(dx, total, n);
}

INLINE void collect_channels(const max_pool_gradient_task *t, const float *dy, const int32_t *winner, i64 h, i64 w,
                             ivec place, float *dx) {
    i64 channels = t->channels, c = 0;
    for (; c + VL <= channels; c += VL) collect(t, dy + c, winner + c, h, w, place, VL, dx + c);
    if (c < channels) collect(t, dy + c, winner + c, h, w, place, channels - c, dx + c);
}

/* One row of dx. */
static void collect_row(const max_pool_gradient_task *t, i64 row) {
    i64 h = row % t->height, sample = row / t->height, channels = t->channels;
    covering over = windows_over(h, t->window_height, t->stride_height, t->top, t->out_height);
    i64 high = over.last - over.first;
    float *dx = t->dx + row * t->width * channels;
    if (high <= 0) {
        memset(dx, 0, sizeof(float) * (size_t)(t->width * channels));
        return;
    }
    i64 first_row = (sample * t->out_height + over.first) * t->out_width * channels, first = 0, last = 0;
    for (i64 w = 0; w < t->width; w++) {
        i64 reach = w + t->left;
        while (first < t->out_width && first * t->stride_width + t->window_width <= reach) first++;
        while (last < t->out_width && last * t->stride_width <= reach) last++;
        i64 from = first_row + first * channels, wide = most(last - first, 0);
        ivec place = iall((int32_t)(h * t->width + w));
        const float *dy = t->dy + from;
        const int32_t *winner = t->winner + from;
        if (high == 1 && wide == 1)
            collect_channels(t, dy, winner, 1, 1, place, dx + w * channels);
        else if (high == 1 && wide == 2)
            collect_channels(t, dy, winner, 1, 2, place, dx + w * channels);
        else if (high == 2 && wide == 1)
            collect_channels(t, dy, winner, 2, 1, place, dx + w * channels);
        else if (high == 2 && wide == 2)
            collect_channels(t, dy, winner, 2, 2, place, dx + w * channels);
        else
            collect_channels(t, dy, winner, high, wide, place, dx + w * channels);
    }
}

/* n channels of one window of 2 x 2 that meets no other: to each of its places dy or 0. */
INLINE void hand_back(vec dy, ivec won, int32_t place, i64 width, float *dx, i64 below, i64 beside, i64 n) {
    UNROLL for (i64 i = 0; i < 2; i++) UNROLL for (i64 j = 0; j < 2; j++) {
        vec part = keep(iequals(won, iall((int32_t)(place + i * width + j))), dy);
        if (n == VL)
            store(dx + i * below + j * beside, part);
        else
            store_part(dx + i * below + j * beside, part, n);
    }
}

/* Two rows of dx under one row of windows of 2 x 2 with stride 2. */
static void two_rows(const max_pool_gradient_task *t, i64 sample, i64 oh) {
    i64 channels = t->channels, below = t->width * channels;
    float *dx = t->dx + (sample * t->height + 2 * oh) * below;
    i64 from = (sample * t->out_height + oh) * t->out_width * channels;
    for (i64 ow = 0; ow < t->out_width; ow++, from += channels) {
        int32_t place = (int32_t)(2 * oh * t->width + 2 * ow);
        float *here = dx + 2 * ow * channels;
        i64 c = 0;
        for (; c + VL <= channels; c += VL)
            hand_back(load(t->dy + from + c), iload(t->winner + from + c), place, t->width, here + c, below, channels,
                      VL);
        if (c < channels)
            hand_back(load_part(t->dy + from + c, channels - c), iload_part(t->winner + from + c, channels - c), place,
                      t->width, here + c, below, channels, channels - c);
    }
    size_t left = sizeof(float) * (size_t)((t->width - 2 * t->out_width) * channels);
    if (!left) return;
    memset(dx + 2 * t->out_width * channels, 0, left);
    memset(dx + below + 2 * t->out_width * channels, 0, left);
}

static int apart_by_two(const max_pool_gradient_task *t) {
    return t->window_height == 2 && t->window_width == 2 && t->stride_height == 2 && t->stride_width == 2 &&
           t->top == 0 && t->left == 0 && 2 * t->out_width <= t->width && 2 * t->out_height <= t->height;
}

EXPORT void max_pool_gradient(const void *task, const context *at) {
    const max_pool_gradient_task *t = task;
    i64 first, last, pairs = (t->height + 1) / 2;
    if (!apart_by_two(t)) {
        share(t->batch * t->height, at, &first, &last);
        for (i64 row = first; row < last; row++) collect_row(t, row);
        return;
    }
    share(t->batch * pairs, at, &first, &last);
    for (i64 pair = first; pair < last; pair++) {
        i64 sample = pair / pairs, oh = pair % pairs;
        if (oh < t->out_height)
            two_rows(t, sample, oh);
        else
            for (i64 h = 2 * oh; h < t->height; h++) collect_row(t, sample * t->height + h);
    }
}

/* --- winners of any kind: [batch, places, channels] among [batch, size, channels] ------------------------------- */

typedef struct {
    const float *x;
    float *y;
    int32_t *winner;
    i64 batch, size, places, channels;
} winners_task;
TASK(winners_task);

/* n channels of one sample: the largest over all steps, and where it stood first. */
INLINE void over_steps(const winners_task *t, const float *x, i64 n, float *y, int32_t *winner) {
    vec best = load_part(x, n);
    ivec place = iall(0);
    for (i64 s = 1; s < t->size; s++) {
        vec next = n == VL ? load(x + s * t->channels) : load_part(x + s * t->channels, n);
        mask better = either_mask(greater(next, best), (mask)(is_nan(next) & (mask)~is_nan(best)));
        best = choose(better, next, best);
        place = ichoose(better, iall((int32_t)s), place);
    }
    store_part(y, best, n);
    istore_part(winner, place, n);
}

/* y and winner [batch, 1, channels] of x [batch, size, channels]; shared by vectors of channels. */
EXPORT void global_max_pool(const void *task, const context *at) {
    const winners_task *t = task;
    i64 first, last, vectors = (t->channels + VL - 1) / VL;
    share(t->batch * vectors, at, &first, &last);
    for (i64 k = first; k < last; k++) {
        i64 sample = k / vectors, c = k % vectors * VL, to = sample * t->channels + c;
        const float *x = t->x + sample * t->size * t->channels + c;
        if (c + VL <= t->channels)
            over_steps(t, x, VL, t->y + to, t->winner + to);
        else
            over_steps(t, x, t->channels - c, t->y + to, t->winner + to);
    }
}

/* y [batch, size, channels]: zeros, with x [batch, places, channels] added at the winners; shared by samples. */
EXPORT void put_winners(const void *task, const context *at) {
    const winners_task *t = task;
    i64 first, last;
    share(t->batch, at, &first, &last);
    for (i64 sample = first; sample < last; sample++) {
        float *y = t->y + sample * t->size * t->channels;
        memset(y, 0, sizeof(float) * (size_t)(t->size * t->channels));
        for (i64 row = sample * t->places; row < (sample + 1) * t->places; row++)
            for (i64 c = 0, k = row * t->channels; c < t->channels; c++, k++) {
                i64 place = t->winner[k];
                if ((uint64_t)place < (uint64_t)t->size) y[place * t->channels + c] += t->x[k];
            }
    }
}

/* y [batch, places, channels]: the numbers of x [batch, size, channels] at the winners; shared by rows. */
EXPORT void take_winners(const void *task, const context *at) {
    const winners_task *t = task;
    i64 first, last;
    share(t->batch * t->places, at, &first, &last);
    for (i64 row = first; row < last; row++) {
        const float *x = t->x + row / t->places * t->size * t->channels;
        for (i64 c = 0, k = row * t->channels; c < t->channels; c++, k++) {
            i64 place = t->winner[k];
            t->y[k] = (uint64_t)place < (uint64_t)t->size ? x[place * t->channels + c] : NAN;
        }
    }
}
