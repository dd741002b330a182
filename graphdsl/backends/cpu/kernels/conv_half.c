/* 3x3 convolutions of stride 2 and their input gradients by Winograd's F(7, 2): see conv_half.h.
 *
 *     x [batch, height, width, channels]  --tiles--> V [points][tiles][channels]
 *                                                       |  x  weights of a point [channels][filters]
 *     y [batch, out height, out width, filters]  <--  M [points][tiles][filters]
 *
 * All weights of points together are nine times as large as the kernel. They are made where they are wanted, from the
 * kernel, which stays near: a panel of those of two two at a time, of the others once for each thread.
 */
#include "conv_half.h"

TASK(conv_half_task);
TASK(conv_half_pack_task);

enum { LINE = 16 }; /* floats of a line of the cache */

/* --- products ------------------------------------------------------------------------------------------------------ */

/* A thread's scratch, and the block of tiles that is in it. */
typedef struct {
    i64 first, tiles;
    i64 depth, columns, in, out;                /* what is read and made; floats from point to point of V, of M */
    const float *kernel;                        /* [9][packed] */
    float *v, *h, *m, *plain, *mixed, *half, *u; /* h: M of two two, of which lines, then columns become results */
    float *sums;                                /* [3][columns]: what is gathered of a line of tiles */
    statistics *statistics;
} work;

static work room_of(const conv_half_task *t, i64 depth, i64 columns, float *own) {
    i64 in = apart_of(&t->size, depth), out = apart_of(&t->size, columns), panel = depth * TILE_WIDEST * VL;
    work w = {.depth = depth, .columns = columns, .in = in, .out = out, .kernel = t->u, .v = own};
    w.h = w.v + POINTS * in;
    w.m = w.h + POINTS * out;
    w.plain = w.m + SIDE * out;
    w.half = w.plain + TILE * out;
    w.u = w.half + 2 * panel;
    w.mixed = w.u + panel;
    w.sums = w.mixed + 2 * SIDE * packed_size(depth, columns);
    return w;
}

/* u = what a point takes of two taps. */
static NOINLINE void take(const float *first, const float *second, const float *takes, i64 count, float *u) {
    vec a = all(takes[0]), b = all(takes[1]);
    for (i64 i = 0; i < count; i += VL) store(u + i, a * load(first + i) + b * load(second + i));
}

/* Weights of two one, then of one two. */
static void mix(const work *w) {
    i64 size = packed_size(w->depth, w->columns);
    for (int i = 0; i < SIDE; i++) {
        take(w->kernel + size, w->kernel + 7 * size, TAKES[i], size, w->mixed + i * size);
        take(w->kernel + 3 * size, w->kernel + 5 * size, TAKES[i], size, w->mixed + (SIDE + i) * size);
    }
}

/* c = a b, or c += a b, for panel p of b and all tiles. */
static void product(const work *w, const float *a, const float *b, i64 p, float *c, int add) {
    i64 wide = panel_width(w->columns, p), line = in_vectors(w->columns);
    c += p * 2 * VL;
    tile t = {
        .a = a,
        .a_stride = in_vectors(w->depth),
        .segments = 1,
        .length = w->depth,
        .b = b,
        .c = c,
        .c_stride = line,
        .columns = wide * VL,
        .add = add ? c : 0,
        .add_stride = line,
        .low = -INFINITY,
    };
    tile_rows(&t, w->tiles, wide);
}

/* Line i of the points of two two. */
static void product_both(const work *w, i64 i) {
    i64 size = packed_size(w->depth, w->columns);
    for (i64 p = 0; p < panel_count(w->columns); p++) {
        i64 count = w->depth * panel_width(w->columns, p) * VL;
        const float *kernel = w->kernel + p * w->depth * 2 * VL;
        take(kernel, kernel + 6 * size, TAKES[i], count, w->half);
        take(kernel + 2 * size, kernel + 8 * size, TAKES[i], count, w->half + count);
        for (i64 j = 0; j < SIDE; j++) {
            take(w->half, w->half + count, TAKES[j], count, w->u);
            product(w, w->v + (i * SIDE + j) * w->in, w->u, p, w->h + (i * SIDE + j) * w->out, 0);
        }
    }
}

/* Eight points, each with weights of its own, to m, `apart`. */
static void product_mixed(const work *w, const float *u, float *m, i64 apart, int add) {
    for (i64 i = 0; i < SIDE; i++, u += packed_size(w->depth, w->columns))
        for (i64 p = 0; p < panel_count(w->columns); p++)
            product(w, w->v + i * w->in, u + p * w->depth * 2 * VL, p, m + i * apart, add);
}

static void product_plain(const work *w) {
    const float *u = w->kernel + 4 * packed_size(w->depth, w->columns);
    for (i64 p = 0; p < panel_count(w->columns); p++)
        for (i64 j = 0; j < TILE; j++)
            product(w, w->v + j * w->in, u + p * w->depth * 2 * VL, p, w->plain + j * w->out, 0);
}

/* --- results ------------------------------------------------------------------------------------------------------- */

/* Where VL columns of a tile go and what is done to them; see conv_half_task. */
typedef struct {
    float *y;
    const float *bias, *add, *mask;
    i64 row, column, high, wide, there;
    float low;
} ending;

INLINE void end_one(const ending *e, vec y, vec bias, i64 at, const int whole) {
    y += bias;
    if (e->add) y += part(e->add + at, e->there, whole);
    y = max_or_second(all(e->low), y);
    if (e->mask) y = keep(greater(part(e->mask + at, e->there, whole), zeros()), y);
    if (whole)
        store(e->y + at, y);
    else
        store_part(e->y + at, y, e->there);
}

/* Of eight points, `apart`, seven results, in place, for all tiles. */
static NOINLINE void line_back(const work *w, float *m, i64 apart) {
    for (float *end = m + w->tiles * in_vectors(w->columns); m < end; m += VL) {
        vec d[SIDE], out[TILE];
        UNROLL for (int j = 0; j < SIDE; j++) d[j] = load(m + j * apart);
        line_out(d, out);
        UNROLL for (int j = 0; j < TILE; j++) store(m + j * apart, out[j]);
    }
}

/* Two two: points -> lines of h, of which columns are points still. */
static void both_back(const work *w, const halved *s, const source *from) {
    half_spread(s, from, BOTH, 0, w->first, w->tiles, w->v, w->in);
    for (i64 i = 0; i < SIDE; i++) {
        product_both(w, i);
        line_back(w, w->h + i * SIDE * w->out, w->out);
    }
}

/* A line of results: h + m A + plain, which lie `apart` each. */
INLINE void sum_out(const ending *e, const float *h, const float *m, const float *plain, i64 apart, const int whole) {
    vec d[SIDE], out[TILE], bias = e->bias ? part(e->bias, e->there, whole) : zeros();
    UNROLL for (int j = 0; j < SIDE; j++) d[j] = load(m + j * apart);
    line_out(d, out);
    UNROLL for (int j = 0; j < TILE; j++) out[j] += load(h + j * apart) + load(plain + j * apart);
    UNROLL for (int j = 0; j < TILE; j++)
        if (j < e->wide) end_one(e, out[j], bias, j * e->column, whole);
}

static NOINLINE void sum_out_whole(const ending *e, const float *h, const float *m, const float *plain, i64 apart) {
    sum_out(e, h, m, plain, apart, 1);
}

static NOINLINE void sum_out_part(const ending *e, const float *h, const float *m, const float *plain, i64 apart) {
    sum_out(e, h, m, plain, apart, 0);
}

/* Adds the results at place number `at` of y to the sums. */
static NOINLINE void add_up(const conv_half_task *t, const work *w, i64 at) {
    statistics *s = w->statistics;
    i64 wide = in_vectors(w->columns), first = !s->count++;
    for (i64 c = 0; c < w->columns; c += VL) {
        i64 n = least(VL, w->columns - c);
        float *sums = w->sums + c;
        vec r = load_part(t->y + at + c, n);
        if (t->gathers == MOMENTS) {
            if (first) store(s->pivots + c, r);
            r -= load(s->pivots + c);
            store(sums + wide, load(sums + wide) + r * r);
        }
        store(sums, load(sums) + r);
        for (i64 k = 0; k < t->gathers - SUMS; k++) {
            vec other = load_part(t->others[k] + at + c, n) - load_part(t->means[k] + c, n);
            store(sums + (k + 1) * wide, load(sums + (k + 1) * wide) + r * other);
        }
    }
}

/* In float32 over a line of a block of tiles, then in double. */
static void hand_over(const conv_half_task *t, const work *w) {
    for (i64 k = 0; w->statistics && k < rows_gathered(t->gathers); k++) {
        float *sums = w->sums + k * in_vectors(w->columns);
        for (i64 c = 0; c < w->columns; c++) w->statistics->sums[k * w->statistics->wide + c] += sums[c];
        memset(sums, 0, 4 * (size_t)w->columns);
    }
}

static void begin_sums(const conv_half_task *t, work *w, i64 thread) {
    if (!t->gathers) return;
    w->statistics = t->statistics + thread;
    w->statistics->count = 0;
    memset(w->sums, 0, 12 * (size_t)in_vectors(w->columns));
    for (i64 k = 0; k < rows_gathered(t->gathers); k++)
        memset(w->statistics->sums + k * w->statistics->wide, 0, sizeof(double) * (size_t)w->columns);
}

/* Filters from f on, of the tile whose first result is number `corner`. */
INLINE void aim(const conv_half_task *t, i64 corner, i64 f, i64 filters, ending *e) {
    e->y = t->y + corner + f;
    e->bias = t->bias ? t->bias + f : 0;
    e->add = t->add ? t->add + corner + f : 0;
    e->mask = t->mask ? t->mask + corner + f : 0;
    e->there = least(VL, filters - f);
}

/* Line i of the results of some tiles. */
static void gather(const conv_half_task *t, const work *w, i64 i) {
    const halved *s = &t->size;
    i64 row = s->out_width * s->filters;
    const float *h = w->h + i * SIDE * w->out, *m = w->m, *plain = w->plain;
    ending e = {.column = s->filters, .low = (float)t->low};
    for (i64 k = 0, here = 0; k < w->tiles; k++, here += in_vectors(s->filters)) {
        tile_at at = place(s, w->first + k);
        i64 line = at.i * TILE + i, corner = (at.n * s->out_height + line) * row + at.j * TILE * e.column;
        if (line >= s->out_height) continue;
        e.wide = s->out_width - at.j * TILE;
        for (i64 f = 0; f < s->filters; f += VL) {
            aim(t, corner, f, s->filters, &e);
            (e.there == VL ? sum_out_whole : sum_out_part)(&e, h + here + f, m + here + f, plain + here + f, w->out);
        }
        for (i64 j = 0; w->statistics && j < least(TILE, e.wide); j++) add_up(t, w, corner + j * e.column);
    }
    hand_over(t, w);
}

static void forward(const conv_half_task *t, const work *w) {
    const halved *s = &t->size;
    source from = pictures(s, t->x);
    both_back(w, s, &from);
    for (i64 j = 0; j < TILE; j++) {
        half_spread(s, &from, DOWN, j, w->first, w->tiles, w->v, w->in);
        product_mixed(w, w->mixed, w->h + j * w->out, SIDE * w->out, 1);
        line_back(w, w->h + j * w->out, SIDE * w->out);
    }
    for (i64 i = 0; i < TILE; i++) {
        half_spread(s, &from, ACROSS, i, w->first, w->tiles, w->v, w->in);
        product_mixed(w, w->mixed + SIDE * packed_size(w->depth, w->columns), w->m, w->out, 0);
        half_spread(s, &from, PLAIN, i, w->first, w->tiles, w->v, w->in);
        product_plain(w);
        gather(t, w, i);
    }
}

/* Seven results of each tile: number k goes to line `line` + k `down`, column `column` + k `across` of its 14 x 14. */
typedef struct {
    i64 line, column, down, across;
} stretch;

/* All channels of one place. next: floats to a place that follows soon. */
static NOINLINE void put_one(const ending *e, const float *m, i64 channels, i64 next) {
    ending at = *e;
    i64 c = 0;
    for (i64 i = next; i < next + channels; i += LINE) {
        __builtin_prefetch(at.y + i, 1);
        if (at.mask) __builtin_prefetch(at.mask + i);
    }
    for (; c + VL <= channels; c += VL) end_one(&at, load(m + c), at.bias ? load(at.bias + c) : zeros(), c, 1);
    at.there = channels - c;
    if (at.there) end_one(&at, load(m + c), at.bias ? load_part(at.bias + c, at.there) : zeros(), c, 0);
}

static void put(const conv_half_task *t, const work *w, const float *m, i64 apart, stretch to) {
    const halved *s = &t->size;
    i64 step = (to.down * s->width + to.across) * s->channels;
    ending e = {.low = (float)t->low};
    for (i64 k = 0; k < w->tiles; k++, m += in_vectors(s->channels)) {
        tile_at at = place(s, w->first + k);
        i64 line = at.i * 2 * TILE + to.line, column = at.j * 2 * TILE + to.column;
        if (line >= s->height || column >= s->width) continue;
        i64 there = least(TILE, to.down ? (s->height - line + 1) / 2 : (s->width - column + 1) / 2);
        i64 corner = ((at.n * s->height + line) * s->width + column) * s->channels;
        for (i64 i = 0; i < there; i++) {
            aim(t, corner + i * step, 0, s->channels, &e);
            put_one(&e, m + i * apart, s->channels, 2 * step);
            if (w->statistics) add_up(t, w, corner + i * step);
        }
    }
    hand_over(t, w);
}

static void backward(const conv_half_task *t, const work *w) {
    const halved *s = &t->size;
    source from = results(s, t->x);
    i64 top = s->top, left = s->left, down = 1 - top, beside = 1 - left;
    both_back(w, s, &from);
    for (i64 j = 0; j < TILE; j++) line_back(w, w->h + j * w->out, SIDE * w->out);
    for (i64 i = 0; i < TILE; i++) put(t, w, w->h + i * SIDE * w->out, w->out, (stretch){top + 2 * i, left, 0, 2});
    for (i64 j = 0; j < TILE; j++) {
        half_spread(s, &from, DOWN, j, w->first, w->tiles, w->v, w->in);
        product_mixed(w, w->mixed, w->m, w->out, 0);
        line_back(w, w->m, w->out);
        put(t, w, w->m, w->out, (stretch){top, beside + 2 * j, 2, 0});
    }
    for (i64 i = 0; i < TILE; i++) {
        half_spread(s, &from, ACROSS, i, w->first, w->tiles, w->v, w->in);
        product_mixed(w, w->mixed + SIDE * packed_size(w->depth, w->columns), w->m, w->out, 0);
        line_back(w, w->m, w->out);
        put(t, w, w->m, w->out, (stretch){down + 2 * i, left, 0, 2});
        half_spread(s, &from, PLAIN, i, w->first, w->tiles, w->v, w->in);
        product_plain(w);
        put(t, w, w->plain, w->out, (stretch){down + 2 * i, beside, 0, 2});
    }
}

/* The formula, on the results of the block, of which a tile has `side` x `side`: tiles side by side together. */
static void apply(const conv_half_task *t, const work *w, i64 side, i64 height, i64 width) {
    const halved *s = &t->size;
    for (i64 k = w->first, last = k + w->tiles, run; k < last; k += run) {
        tile_at at = place(s, k);
        run = least(s->across - at.j, last - k);
        i64 row = (at.n * height + at.i * side) * width + at.j * side, pixels = least(run * side, width - at.j * side);
        for (i64 i = 0; i < least(side, height - at.i * side); i++)
            formula_block(t->after, row + i * width, pixels, 0, w->columns, 0, 0);
    }
}

/* own: V of 64 points of a block, M of 64 + 8 + 7; weights: three panels, and 16 of points; three lines of sums. */
EXPORT void conv_half(const void *task, const context *at) {
    const conv_half_task *t = task;
    const halved *s = &t->size;
    work w = room_of(t, s->channels, s->filters, (float *)at->own);
    i64 last;
    share(s->tiles, at, &w.first, &last);
    begin_sums(t, &w, at->thread);
    if (w.first < last) mix(&w);
    for (; w.first < last; w.first += w.tiles) {
        w.tiles = least(s->block, last - w.first);
        forward(t, &w);
        if (t->after) apply(t, &w, TILE, s->out_height, s->out_width);
    }
}

EXPORT void conv_half_back(const void *task, const context *at) {
    const conv_half_task *t = task;
    const halved *s = &t->size;
    work w = room_of(t, s->filters, s->channels, (float *)at->own);
    i64 last;
    share(s->tiles, at, &w.first, &last);
    begin_sums(t, &w, at->thread);
    if (w.first < last) mix(&w);
    for (; w.first < last; w.first += w.tiles) {
        w.tiles = least(s->block, last - w.first);
        backward(t, &w);
        if (t->after) apply(t, &w, 2 * TILE, s->height, s->width);
    }
}

/* The kernel in panels, tap by tap; turned: its channels are columns, and it is upside down. Work is shared by rows. */
EXPORT void conv_half_pack(const void *task, const context *at) {
    const conv_half_pack_task *t = task;
    i64 rows = t->turned ? t->filters : t->channels, columns = t->turned ? t->channels : t->filters, from, to;
    i64 tap = t->channels * t->filters, stride = t->filters;
    share(rows, at, &from, &to);
    for (i64 k = 0; k < TAPS; k++)
        for (i64 p = 0; p < panel_count(columns); p++) {
            float *u = t->u + k * packed_size(rows, columns);
            if (t->turned)
                pack_columns(t->kernel + (8 - k) * tap + from, stride, columns, rows, from, to - from, p, u);
            else
                pack_rows(t->kernel + k * tap + from * stride, stride, columns, rows, from, to - from, p, u);
        }
}
