/* The kernel gradient of 3x3 convolutions of stride 2 by Winograd's F(7, 2): see conv_half.h.
 *
 *     x   --tiles--> V [points][tiles][channels] --\
 *                                                   products over the tiles --> D [points][channels][filters] --> dkernel
 *     dy  --tiles--> W [points][tiles][filters]  --/
 *
 * A thread has its tiles, works through them in blocks that stay in its caches, and has a kernel of its own. Eight
 * points at a time go back into its taps, so that D is small. The kernels are then added up in order.
 */
#include "conv_half.h"

#include "outer.h"

TASK(conv_half_kernel_task);
TASK(conv_half_sum_task);

enum { ONCE = TILE * TILE };
static const float ONE[2] = {1, 0};

/* Seven numbers in a row, which may end early -> eight points, or as they are. */
INLINE void results_in(const float *y, i64 step, i64 count, i64 there, float *to, i64 apart, const int points) {
    vec d[TILE], out[SIDE];
    UNROLL for (int i = 0; i < TILE; i++) d[i] = i < count ? load_part(y + i * step, there) : zeros();
    if (points) {
        line_out_back(d, out);
        UNROLL for (int i = 0; i < SIDE; i++) store(to + i * apart, out[i]);
    } else {
        UNROLL for (int i = 0; i < TILE; i++) store(to + i * apart, d[i]);
    }
}

static NOINLINE void results_points(const float *y, i64 step, i64 count, i64 there, float *to, i64 apart) {
    results_in(y, step, count, there, to, apart, 1);
}

static NOINLINE void results_plain(const float *y, i64 step, i64 count, i64 there, float *to, i64 apart) {
    results_in(y, step, count, there, to, apart, 0);
}

/* Columns of eight points, of which seven are there -> lines of eight. */
static NOINLINE void lines_of(float *w, i64 apart) {
    vec d[TILE], out[SIDE];
    UNROLL for (int j = 0; j < TILE; j++) d[j] = load(w + j * apart);
    line_out_back(d, out);
    UNROLL for (int j = 0; j < SIDE; j++) store(w + j * apart, out[j]);
}

/* A thread's scratch, and the block of tiles that is in it. */
typedef struct {
    i64 first, tiles, in, out;
    float *v, *w, *d, *dkernel;
} work;

/* Line or column `which` of the results of every tile. */
static void spread_results(const conv_half_kernel_task *t, const work *k, int kind, i64 which, float *w, i64 apart) {
    const halved *s = &t->size;
    i64 column = s->filters, row = s->out_width * column;
    for (i64 n = 0; n < k->tiles; n++, w += in_vectors(s->filters)) {
        tile_at at = place(s, k->first + n);
        i64 i = at.i * TILE + (kind == DOWN ? 0 : which), j = at.j * TILE + (kind == DOWN ? which : 0);
        i64 count = kind == DOWN ? s->out_height - i : s->out_width - j;
        if (i >= s->out_height || j >= s->out_width) count = 0;
        const float *from = t->dy + (at.n * s->out_height + i) * row + j * column;
        for (i64 f = 0; f < s->filters; f += VL)
            (kind == PLAIN ? results_plain : results_points)(
                from + f, kind == DOWN ? row : column, least(count, TILE), least(VL, s->filters - f), w + f, apart);
    }
}

/* d = v' w, or d += v' w, of `lines` points v_step and w_step apart. */
static void product(const halved *s, const work *k, const float *v, i64 v_step, const float *w, i64 w_step, i64 lines,
                    float *d, int add) {
    line table[ONCE];
    i64 line_floats = in_vectors(s->filters);
    for (i64 i = 0; i < lines; i++) table[i] = (line){i * v_step, i * w_step, k->tiles};
    for (i64 p = 0; p < panel_count(s->filters); p++) {
        outer o = {
            .lines = table,
            .line_count = lines,
            .a = v,
            .a_step = in_vectors(s->channels),
            .b = w + p * 2 * VL,
            .b_step = line_floats,
            .c = d + p * 2 * VL,
            .c_stride = line_floats,
            .add = add,
        };
        outer_rows(&o, s->channels, panel_width(s->filters, p));
    }
}

/* G' D: eight points -> two taps, times what a point takes of two more; added up in first and second. */
static NOINLINE void fold(const float *d, i64 size, const float *takes, float *first[2], float *second[2]) {
    for (i64 i = 0; i < size; i += VL) {
        vec m[SIDE], out[2];
        UNROLL for (int k = 0; k < SIDE; k++) m[k] = load(d + k * size + i);
        line_kernel_back(m, out);
        UNROLL for (int k = 0; k < 2; k++) {
            store(first[k] + i, load(first[k] + i) + takes[0] * out[k]);
            if (second) store(second[k] + i, load(second[k] + i) + takes[1] * out[k]);
        }
    }
}

static void block(const conv_half_kernel_task *t, const work *k) {
    const halved *s = &t->size;
    source from = pictures(s, t->x);
    i64 size = s->channels * in_vectors(s->filters), in = k->in, out = k->out;
    float *tap[TAPS];
    for (int i = 0; i < TAPS; i++) tap[i] = k->dkernel + i * size;
    float *upper[2] = {tap[0], tap[2]}, *lower[2] = {tap[6], tap[8]}, *middle[2] = {tap[3], tap[5]};
    float *centre[2] = {tap[1], tap[7]};

    half_spread(s, &from, BOTH, 0, k->first, k->tiles, k->v, in);
    for (i64 j = 0; j < TILE; j++) spread_results(t, k, DOWN, j, k->w + j * out, SIDE * out);
    for (i64 i = 0; i < SIDE; i++) {
        float *w = k->w + i * SIDE * out;
        for (i64 f = 0; f < k->tiles * in_vectors(s->filters); f += VL) lines_of(w + f, out);
        for (i64 j = 0; j < SIDE; j++)
            product(s, k, k->v + (i * SIDE + j) * in, 0, w + j * out, 0, 1, k->d + j * size, 0);
        fold(k->d, size, TAKES[i], upper, lower);
    }
    for (i64 j = 0; j < TILE; j++) {
        half_spread(s, &from, DOWN, j, k->first, k->tiles, k->v + j * in, TILE * in);
        spread_results(t, k, DOWN, j, k->w + j * out, TILE * out);
    }
    for (i64 i = 0; i < SIDE; i++)
        product(s, k, k->v + i * TILE * in, in, k->w + i * TILE * out, out, TILE, k->d + i * size, 0);
    fold(k->d, size, ONE, centre, 0);
    for (i64 i = 0; i < TILE; i++) {
        half_spread(s, &from, ACROSS, i, k->first, k->tiles, k->v + i * in, TILE * in);
        spread_results(t, k, ACROSS, i, k->w + i * out, TILE * out);
    }
    for (i64 i = 0; i < SIDE; i++)
        product(s, k, k->v + i * TILE * in, in, k->w + i * TILE * out, out, TILE, k->d + i * size, 0);
    fold(k->d, size, ONE, middle, 0);
    for (i64 i = 0; i < TILE; i++) {
        half_spread(s, &from, PLAIN, i, k->first, k->tiles, k->v + i * TILE * in, in);
        spread_results(t, k, PLAIN, i, k->w + i * TILE * out, out);
    }
    product(s, k, k->v, in, k->w, out, ONCE, tap[4], 1);
}

/* own: V and W of 64 points of a block, D of eight; shared: a kernel of each thread, filters in whole vectors. */
EXPORT void conv_half_kernel(const void *task, const context *at) {
    const conv_half_kernel_task *t = task;
    const halved *s = &t->size;
    i64 last, size = s->channels * in_vectors(s->filters);
    work k = {.in = apart_of(s, s->channels), .out = apart_of(s, s->filters), .v = (float *)at->own};
    k.w = k.v + POINTS * k.in;
    k.d = k.w + POINTS * k.out;
    k.dkernel = (float *)at->shared + at->thread * TAPS * size;
    memset(k.dkernel, 0, 4 * (size_t)(TAPS * size));
    share(s->tiles, at, &k.first, &last);
    for (; k.first < last; k.first += k.tiles) {
        k.tiles = least(s->block, last - k.first);
        block(t, &k);
    }
}

/* Work is shared by rows of all taps. shared: kernels as the step before has left them, `parts` of them. */
EXPORT void conv_half_sum(const void *task, const context *at) {
    const conv_half_sum_task *t = task;
    i64 from, to, row = in_vectors(t->filters), part = TAPS * t->channels * row;
    share(TAPS * t->channels, at, &from, &to);
    for (i64 r = from; r < to; r++)
        for (i64 f = 0; f < t->filters; f += VL) {
            const float *d = (const float *)at->shared + r * row + f;
            vec sum = load(d);
            for (i64 k = 1; k < t->parts; k++) sum += load(d + k * part);
            store_part(t->dkernel + r * t->filters + f, sum, least(VL, t->filters - f));
        }
}
