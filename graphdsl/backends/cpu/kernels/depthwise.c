/* Depthwise convolution and its input gradient (depthwise.h).
 *
 * BLOCKS, a block of 2 x 4 outputs of a 3x3 window with stride 1, for one vector of channels after the other:
 *
 *     x  . . . . . .        each row of x is loaded once, 6 vectors, and serves both rows of outputs
 *        . . . . . .        y  o o o o
 *        . . . . . .           o o o o
 *        . . . . . .
 *
 * Threads share the rows of blocks. An input gradient of stride 1 is the convolution with the window turned round; one
 * of another stride goes PLAIN, `back`: output and input change places.
 */
#include "depthwise.h"

typedef struct {
    const float *x, *kernel;
    float *y;
    const float *bias, *add, *mask; /* as in tile.h; or NULL */
    const formula_task *after;      /* applied to rows of y while they are in the cache; or NULL */
    sliding s;
    i64 turned; /* the window is turned round */
    i64 back;   /* the input gradient, PLAIN: x is dy, y is dx, and their sizes have changed places as well */
    double low;
} depthwise_task;
TASK(depthwise_task);

/* Stores a result after what is to be done to it. */
INLINE void finish(const depthwise_task *t, i64 at, i64 channel, vec v, i64 lanes) {
    if (t->bias) v += load_some(t->bias + channel, lanes);
    if (t->add) v += load_some(t->add + at, lanes);
    v = max_or_second(all((float)t->low), v);
    if (t->mask) v = keep(greater(load_some(t->mask + at, lanes), zeros()), v);
    store_some(t->y + at, v, lanes);
}

/* One vector of channels of a block. tap: floats from tap to tap of the kernel. */
INLINE void block_vector(const depthwise_task *t, const spot *p, const float *kernel, i64 tap, i64 at, i64 count, i64 c,
                         i64 lanes, const int size, const int stride, const int rows, const int edge) {
    vec y[BLOCK_ROWS][BLOCK_COLUMNS], x[(BLOCK_COLUMNS - 1) * 2 + MOST_WINDOW];
    UNROLL for (int o = 0; o < rows; o++) UNROLL for (int w = 0; w < BLOCK_COLUMNS; w++) y[o][w] = zeros();
    UNROLL for (int r = 0; r < (rows - 1) * stride + size; r++) {
        if (!p->row[r]) continue;
        const float *from = p->row[r] + c;
        UNROLL for (int i = 0; i < (BLOCK_COLUMNS - 1) * stride + size; i++, from += p->step) {
            x[i] = zeros();
            if (!edge || (i >= p->first && i < p->end)) x[i] = load_some(from, lanes);
        }
        UNROLL for (int o = 0; o < rows; o++) {
            int down = r - o * stride;
            if (down < 0 || down >= size) continue;
            UNROLL for (int k = 0; k < size; k++) {
                vec weight = load_some(kernel + (down * size + k) * tap + c, lanes);
                UNROLL for (int w = 0; w < BLOCK_COLUMNS; w++) y[o][w] += x[w * stride + k] * weight;
            }
        }
    }
    i64 row = t->s.out_width * t->s.channels;
    UNROLL for (int o = 0; o < rows; o++) UNROLL for (int w = 0; w < BLOCK_COLUMNS; w++)
        if (!edge || w < count) finish(t, at + o * row + w * t->s.channels + c, c, y[o][w], lanes);
}

INLINE void block_of(const depthwise_task *t, const spot *p, i64 at, i64 count, const int size, const int stride,
                     const int rows, const int edge) {
    i64 channels = t->s.channels, c = 0, tap = t->turned ? -channels : channels;
    const float *kernel = t->turned ? t->kernel + (size * size - 1) * channels : t->kernel;
    for (; c + VL <= channels; c += VL) block_vector(t, p, kernel, tap, at, count, c, VL, size, stride, rows, edge);
    if (c < channels) block_vector(t, p, kernel, tap, at, count, c, channels - c, size, stride, rows, edge);
}

typedef void (*block)(const depthwise_task *t, const spot *p, i64 at, i64 count);

#define BLOCK(size, stride, rows, edge)                                                                               \
    static NOINLINE void block_##size##stride##rows##edge(const depthwise_task *t, const spot *p, i64 at, i64 count) { \
        block_of(t, p, at, count, size, stride, rows, edge);                                                          \
    }
#define BLOCK_EDGES(size, stride, rows) BLOCK(size, stride, rows, 0) BLOCK(size, stride, rows, 1)
#define BLOCK_STRIDES(size, rows) BLOCK_EDGES(size, 1, rows) BLOCK_EDGES(size, 2, rows)
BLOCK_STRIDES(3, 1)
BLOCK_STRIDES(5, 1)
#if VECTOR_REGISTERS == 32
BLOCK_STRIDES(3, 2)
BLOCK_STRIDES(5, 2)
#define HEIGHTS(size, stride) \
    {{block_##size##stride##10, block_##size##stride##11}, {block_##size##stride##20, block_##size##stride##21}}
#else
#define HEIGHTS(size, stride) {{block_##size##stride##10, block_##size##stride##11}}
#endif
/* By size (3, 5), stride (1, 2), rows, edge. */
static const block blocks[2][2][BLOCK_ROWS][2] = {{HEIGHTS(3, 1), HEIGHTS(3, 2)}, {HEIGHTS(5, 1), HEIGHTS(5, 2)}};

/* One or two rows of outputs, from `row` on. */
static void block_row(const depthwise_task *t, i64 n, i64 row, i64 rows) {
    const sliding *s = &t->s;
    const block *both = blocks[s->window_width / 2 - 1][s->stride_width - 1][rows - 1];
    i64 down = (rows - 1) * s->stride_height + s->window_height;
    i64 across = (BLOCK_COLUMNS - 1) * s->stride_width + s->window_width;
    for (i64 column = 0; column < s->out_width; column += BLOCK_COLUMNS) {
        spot p = spot_of(s, t->x, n, row, column, down, across);
        i64 count = least(BLOCK_COLUMNS, s->out_width - column);
        int edge = p.first || p.end < across || count < BLOCK_COLUMNS;
        both[edge](t, &p, ((n * s->out_height + row) * s->out_width + column) * s->channels, count);
    }
}

/* The kernel as flat vectors meet it: [tap][phase][VL], then the bias. */
static void spread_kernel(const depthwise_task *t, i64 phases, float *spread) {
    const sliding *s = &t->s;
    i64 taps = s->window_height * s->window_width, lanes = phases * VL;
    for (i64 tap = 0; tap < taps; tap++)
        for (i64 i = 0; i < lanes; i++)
            spread[tap * lanes + i] = t->kernel[(t->turned ? taps - 1 - tap : tap) * s->channels + i % s->channels];
    for (i64 i = 0; i < lanes; i++) spread[taps * lanes + i] = t->bias ? t->bias[i % s->channels] : 0;
}

static void flat_outputs(const depthwise_task *t, i64 n, i64 row, i64 phases, const float *spread, float *copies) {
    const sliding *s = &t->s;
    const float *from[s->window_height];
    for (i64 down = 0; down < s->window_height; down++)
        from[down] = flat_input(s, t->x, n, row, down, copies + down * flat_row(s));
    i64 length = s->out_width * s->channels, at = (n * s->out_height + row) * length, phase = 0;
    i64 taps = s->window_height * s->window_width, step = s->dilation_width * s->channels;
    for (i64 i = 0; i < length; i += VL, phase = phase + 1 < phases ? phase + 1 : 0) {
        i64 lanes = least(VL, length - i);
        const float *weight = spread + phase * VL;
        vec y = load(weight + taps * phases * VL);
        for (i64 down = 0; down < s->window_height; down++) {
            const float *x = from[down] + i;
            if (!from[down]) {
                weight += s->window_width * phases * VL;
                continue;
            }
            for (i64 k = 0; k < s->window_width; k++, x += step, weight += phases * VL)
                y += load_some(x, lanes) * load(weight);
        }
        if (t->add) y += load_some(t->add + at + i, lanes);
        y = max_or_second(all((float)t->low), y);
        if (t->mask) y = keep(greater(load_some(t->mask + at + i, lanes), zeros()), y);
        store_some(t->y + at + i, y, lanes);
    }
}

/* The inputs that output `out` meets along an axis, with their taps. Gives how many. */
static i64 met_by(i64 out, i64 window, i64 stride, i64 dilation, i64 pad, i64 size, i64 back, i64 *inputs, i64 *taps) {
    i64 count = 0;
    for (i64 k = 0; k < window; k++) {
        i64 at = back ? out + pad - k * dilation : out * stride + k * dilation - pad;
        if (at < 0 || (back && at % stride)) continue;
        if (back) at /= stride;
        if (at >= size) continue;
        inputs[count] = at;
        taps[count++] = k;
    }
    return count;
}

static void plain_row(const depthwise_task *t, i64 n, i64 row, i64 *scratch) {
    const sliding *s = &t->s;
    i64 *rows = scratch, *down = rows + s->window_height, *columns = down + s->window_height;
    i64 *across = columns + s->window_width, channels = s->channels;
    i64 high = met_by(row, s->window_height, s->stride_height, s->dilation_height, s->pad_height, s->height, t->back,
                      rows, down);
    for (i64 column = 0; column < s->out_width; column++) {
        i64 wide = met_by(column, s->window_width, s->stride_width, s->dilation_width, s->pad_width, s->width, t->back,
                          columns, across);
        i64 at = ((n * s->out_height + row) * s->out_width + column) * channels;
        for (i64 c = 0; c < channels; c += VL) {
            i64 lanes = least(VL, channels - c);
            vec y = zeros();
            for (i64 r = 0; r < high; r++)
                for (i64 k = 0; k < wide; k++) {
                    const float *x = t->x + ((n * s->height + rows[r]) * s->width + columns[k]) * channels + c;
                    const float *weight = t->kernel + (down[r] * s->window_width + across[k]) * channels + c;
                    y += load_some(x, lanes) * load_some(weight, lanes);
                }
            finish(t, at + c, c, y, lanes);
        }
    }
}

/* own: FLAT: the spread kernel and bias, then window_height copies of rows; PLAIN: what an output meets. */
EXPORT void depthwise(const void *task, const context *at) {
    const depthwise_task *t = task;
    const sliding *s = &t->s;
    i64 rows = s->way == BLOCKS ? BLOCK_ROWS : 1, groups = (s->out_height + rows - 1) / rows, first, end;
    i64 phases = s->way == FLAT ? phases_of(s->channels) : 0;
    float *own = (float *)at->own;
    if (s->way == FLAT) spread_kernel(t, phases, own);
    share(s->batch * groups, at, &first, &end);
    for (i64 i = first; i < end; i++) {
        i64 n = i / groups, row = i % groups * rows, count = least(rows, s->out_height - row);
        if (s->way == BLOCKS)
            block_row(t, n, row, count);
        else if (s->way == FLAT)
            flat_outputs(t, n, row, phases, own, own + (s->window_height * s->window_width + 1) * phases * VL);
        else
            plain_row(t, n, row, (i64 *)at->own);
        if (t->after)
            formula_block(t->after, (n * s->out_height + row) * s->out_width, count * s->out_width, 0, s->channels, 0,
                          0);
    }
}
