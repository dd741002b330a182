/* The kernel gradient of a depthwise convolution (depthwise.h):
 *
 *     dkernel[tap, c] = Σ over pixels x[pixel at tap, c] * dy[pixel, c]
 *
 * Rows of outputs are split into parts; each has sums of its own, [tap][channels in whole vectors] (FLAT: [tap][phase]
 * [VL]), which are added up in order. BLOCKS: the sums of one vector of channels stay in registers for a block.
 */
#include "depthwise.h"

typedef struct {
    const float *x, *dy;
    float *dkernel;
    sliding s;
    i64 parts;
} depthwise_kernel_task;
TASK(depthwise_kernel_task);

INLINE i64 tap_floats(const sliding *s) {
    return (s->way == FLAT ? phases_of(s->channels) : vectors_of(s->channels)) * VL;
}

/* One vector of channels of a block: dy and sums are at that vector. */
INLINE void sum_vector(const depthwise_kernel_task *t, const spot *p, const float *dy, i64 count, float *sums, i64 tap,
                       i64 c, i64 lanes, const int size, const int stride, const int rows, const int edge) {
    vec d[BLOCK_ROWS][BLOCK_COLUMNS], sum[MOST_WINDOW][MOST_WINDOW];
    i64 row = t->s.out_width * t->s.channels;
    UNROLL for (int k = 0; k < size * size; k++) sum[k / size][k % size] = load(sums + k * tap);
    UNROLL for (int o = 0; o < rows; o++) UNROLL for (int w = 0; w < BLOCK_COLUMNS; w++) {
        d[o][w] = zeros();
        if (!edge || w < count) d[o][w] = load_some(dy + o * row + w * t->s.channels, lanes);
    }
    UNROLL for (int r = 0; r < (rows - 1) * stride + size; r++) {
        if (!p->row[r]) continue;
        const float *from = p->row[r] + c;
        UNROLL for (int i = 0; i < (BLOCK_COLUMNS - 1) * stride + size; i++, from += p->step) {
            if (edge && (i < p->first || i >= p->end)) continue;
            vec x = load_some(from, lanes);
            UNROLL for (int o = 0; o < rows; o++) UNROLL for (int k = 0; k < size; k++) {
                int down = r - o * stride, w = (i - k) / stride;
                if (down < 0 || down >= size || i < k || (i - k) % stride || w >= BLOCK_COLUMNS) continue;
                sum[down][k] += x * d[o][w];
            }
        }
    }
    UNROLL for (int k = 0; k < size * size; k++) store(sums + k * tap, sum[k / size][k % size]);
}

INLINE void sum_of(const depthwise_kernel_task *t, const spot *p, const float *dy, i64 count, float *sums,
                   const int size, const int stride, const int rows, const int edge) {
    i64 channels = t->s.channels, c = 0, tap = vectors_of(channels) * VL;
    for (; c + VL <= channels; c += VL)
        sum_vector(t, p, dy + c, count, sums + c, tap, c, VL, size, stride, rows, edge);
    if (c < channels) sum_vector(t, p, dy + c, count, sums + c, tap, c, channels - c, size, stride, rows, edge);
}

typedef void (*block)(const depthwise_kernel_task *t, const spot *p, const float *dy, i64 count, float *sums);

#define BLOCK(size, stride, rows, edge)                                                                               \
    static NOINLINE void block_##size##stride##rows##edge(const depthwise_kernel_task *t, const spot *p,              \
                                                          const float *dy, i64 count, float *sums) {                  \
        sum_of(t, p, dy, count, sums, size, stride, rows, edge);                                                      \
    }
#define BLOCK_EDGES(size, stride, rows) BLOCK(size, stride, rows, 0) BLOCK(size, stride, rows, 1)
#define BLOCK_STRIDES(size, rows) BLOCK_EDGES(size, 1, rows) BLOCK_EDGES(size, 2, rows)
BLOCK_STRIDES(3, 1)
BLOCK_STRIDES(5, 1)
#if VECTOR_REGISTERS == 32
BLOCK_STRIDES(3, 2)
#define BOTH(size, stride) {{block_##size##stride##10, block_##size##stride##11}, \
                            {block_##size##stride##20, block_##size##stride##21}}
#else
#define BOTH(size, stride) {{block_##size##stride##10, block_##size##stride##11}}
#endif
#define ONE(size, stride) {{block_##size##stride##10, block_##size##stride##11}}
/* By size (3, 5), stride (1, 2), rows, edge. The 25 sums of 5x5 leave no room for a second row. */
static const block blocks[2][2][BLOCK_ROWS][2] = {{BOTH(3, 1), BOTH(3, 2)}, {ONE(5, 1), ONE(5, 2)}};

static void sum_row(const depthwise_kernel_task *t, i64 n, i64 row, i64 rows, float *sums) {
    const sliding *s = &t->s;
    const block *both = blocks[s->window_width / 2 - 1][s->stride_width - 1][rows - 1];
    i64 down = (rows - 1) * s->stride_height + s->window_height;
    i64 across = (BLOCK_COLUMNS - 1) * s->stride_width + s->window_width;
    for (i64 column = 0; column < s->out_width; column += BLOCK_COLUMNS) {
        spot p = spot_of(s, t->x, n, row, column, down, across);
        i64 count = least(BLOCK_COLUMNS, s->out_width - column);
        const float *dy = t->dy + ((n * s->out_height + row) * s->out_width + column) * s->channels;
        both[p.first || p.end < across || count < BLOCK_COLUMNS](t, &p, dy, count, sums);
    }
}

static void flat_sums(const depthwise_kernel_task *t, i64 n, i64 row, float *sums, float *copy) {
    const sliding *s = &t->s;
    i64 length = s->out_width * s->channels, tap = tap_floats(s);
    const float *dy = t->dy + (n * s->out_height + row) * length;
    for (i64 down = 0; down < s->window_height; down++, sums += s->window_width * tap) {
        const float *x = flat_input(s, t->x, n, row, down, copy);
        if (!x) continue;
        for (i64 i = 0, phase = 0; i < length; i += VL, phase = phase + VL < tap ? phase + VL : 0) {
            i64 lanes = least(VL, length - i);
            vec d = load_some(dy + i, lanes);
            for (i64 k = 0; k < s->window_width; k++) {
                float *sum = sums + k * tap + phase;
                store(sum, load(sum) + d * load_some(x + i + k * s->dilation_width * s->channels, lanes));
            }
        }
    }
}

/* One row of outputs, tap by tap. */
static void plain_sums(const depthwise_kernel_task *t, i64 n, i64 row, float *sums) {
    const sliding *s = &t->s;
    i64 tap = tap_floats(s), channels = s->channels, step = s->stride_width * channels;
    for (i64 down = 0; down < s->window_height; down++) {
        i64 at = row * s->stride_height + down * s->dilation_height - s->pad_height;
        if (at < 0 || at >= s->height) continue;
        for (i64 k = 0; k < s->window_width; k++) {
            i64 left = k * s->dilation_width - s->pad_width;
            i64 first = left < 0 ? (-left + s->stride_width - 1) / s->stride_width : 0;
            i64 end = least(s->out_width, (s->width - left + s->stride_width - 1) / s->stride_width);
            const float *x = t->x + ((n * s->height + at) * s->width + left) * channels;
            const float *dy = t->dy + (n * s->out_height + row) * s->out_width * channels;
            float *to = sums + (down * s->window_width + k) * tap;
            for (i64 c = 0; c < channels; c += VL) {
                i64 lanes = least(VL, channels - c);
                vec sum = load(to + c);
                for (i64 w = first; w < end; w++)
                    sum += load_some(x + w * step + c, lanes) * load_some(dy + w * channels + c, lanes);
                store(to + c, sum);
            }
        }
    }
}

/* own: FLAT: a copy of a row. shared: the sums of all parts. */
EXPORT void depthwise_kernel(const void *task, const context *at) {
    const depthwise_kernel_task *t = task;
    const sliding *s = &t->s;
    i64 rows = s->way == BLOCKS && s->window_width == 3 ? BLOCK_ROWS : 1, groups = (s->out_height + rows - 1) / rows;
    i64 all_sums = s->window_height * s->window_width * tap_floats(s);
    for (i64 part = at->thread; part < t->parts; part += at->threads) {
        float *sums = (float *)at->shared + part * all_sums;
        memset(sums, 0, (size_t)all_sums * 4);
        i64 end = s->batch * groups * (part + 1) / t->parts;
        for (i64 i = s->batch * groups * part / t->parts; i < end; i++) {
            i64 n = i / groups, row = i % groups * rows, count = least(rows, s->out_height - row);
            if (s->way == BLOCKS)
                sum_row(t, n, row, count, sums);
            else if (s->way == FLAT)
                flat_sums(t, n, row, sums, (float *)at->own);
            else
                plain_sums(t, n, row, sums);
        }
    }
}

/* Adds up the parts, and what stands in different vectors for one channel. Threads share the taps. */
EXPORT void depthwise_kernel_ending(const void *task, const context *at) {
    const depthwise_kernel_task *t = task;
    const sliding *s = &t->s;
    i64 taps = s->window_height * s->window_width, floats = tap_floats(s), first, end;
    share(taps, at, &first, &end);
    for (i64 tap = first; tap < end; tap++) {
        float *to = t->dkernel + tap * s->channels;
        memset(to, 0, (size_t)s->channels * 4);
        for (i64 part = 0; part < t->parts; part++) {
            const float *sums = (const float *)at->shared + (part * taps + tap) * floats;
            for (i64 i = 0; i < (s->way == FLAT ? floats : s->channels); i += s->channels)
                for (i64 c = 0; c < s->channels; c++) to[c] += sums[i + c];
        }
    }
}
