/* The kernel gradient of 5x5 convolutions of stride 1 by Winograd's F(4x4, 5x5): see conv_five.h.
 *
 *     x   --tiles of 8x8--> V [64][tiles][channels] --\
 *                                                      products over the tiles --> D [64][channels][filters] --> dkernel
 *     dy  --tiles of 4x4--> W [64][tiles][filters]  --/
 *
 * A thread has its tiles, works through them in blocks that stay in its caches, and has a D of its own. These are then
 * added up in order.
 */
#include "conv_five.h"

#include "outer.h"

TASK(conv_five_kernel_task);
TASK(conv_five_sum_task);

/* d += v' w at every point. */
static void multiply(const five *s, const float *v, const float *w, i64 tiles, float *d, i64 add) {
    laid left = laid_out(s, s->channels), right = laid_out(s, s->filters);
    line lines = {0, 0, tiles};
    for (i64 i = 0; i < POINTS; i++)
        for (i64 p = 0; p < panel_count(s->filters); p++) {
            outer o = {
                .lines = &lines,
                .line_count = 1,
                .a = v + i * left.point,
                .a_step = left.tile,
                .b = w + i * right.point + p * 2 * VL,
                .b_step = right.tile,
                .c = d + i * s->channels * right.tile + p * 2 * VL,
                .c_stride = right.tile,
                .add = add,
            };
            outer_rows(&o, s->channels, panel_width(s->filters, p));
        }
}

/* own: V and W of a block; shared: D of each thread. */
EXPORT void conv_five_kernel(const void *task, const context *at) {
    const conv_five_kernel_task *t = task;
    const five *s = &t->size;
    i64 first, last, size = POINTS * s->channels * in_vectors(s->filters);
    float *v = (float *)at->own, *w = v + POINTS * laid_out(s, s->channels).point;
    float *d = (float *)at->shared + at->thread * size;
    share(s->tiles, at, &first, &last);
    if (first == last) memset(d, 0, 4 * (size_t)size);
    for (i64 begin = first, now; begin < last; begin += now) {
        now = least(s->block, last - begin);
        five_spread(s, t->x, begin, now, v);
        five_spread_results(s, t->dy, begin, now, w);
        multiply(s, v, w, now, d, begin > first);
    }
}

/* G' D G of VL filters of one channel, D the sum of all parts. */
INLINE void kernel_out(const float *d, i64 apart, i64 parts, i64 part, vec g[TAPS * TAPS]) {
    vec half[TAPS][SIDE];
    UNROLL for (int j = 0; j < SIDE; j++) {
        vec column[SIDE], out[TAPS];
        UNROLL for (int i = 0; i < SIDE; i++) {
            const float *from = d + (i * SIDE + j) * apart;
            column[i] = load(from);
            for (i64 k = 1; k < parts; k++) column[i] += load(from + k * part);
        }
        line_kernel_back(column, out);
        UNROLL for (int i = 0; i < TAPS; i++) half[i][j] = out[i];
    }
    UNROLL for (int i = 0; i < TAPS; i++) line_kernel_back(half[i], g + TAPS * i);
}

/* Work is shared by channels. shared: D as the step before has left it, `parts` times. */
EXPORT void conv_five_sum(const void *task, const context *at) {
    const conv_five_sum_task *t = task;
    i64 from, to, line = in_vectors(t->filters), apart = t->channels * line;
    share(t->channels, at, &from, &to);
    for (i64 c = from; c < to; c++)
        for (i64 f = 0; f < t->filters; f += VL) {
            vec g[TAPS * TAPS];
            kernel_out((const float *)at->shared + c * line + f, apart, t->parts, POINTS * apart, g);
            float *to_kernel = t->dkernel + c * t->filters + f;
            for (int k = 0; k < TAPS * TAPS; k++)
                store_part(to_kernel + k * t->channels * t->filters, g[k], least(VL, t->filters - f));
        }
}
