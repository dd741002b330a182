/* 5x5 convolutions of stride 1 and their input gradients by Winograd's F(4x4, 5x5): see conv_five.h.
 *
 *     x [batch, height, width, channels]  --tiles of 8x8--> V [64][tiles][channels]
 *                                                              |  x  U [64][channels][filters], packed: tile.h
 *     y [batch, out height, out width, filters]  <--4x4----  M [64][tiles][filters]
 *
 * The input gradient goes the other way round, with tiles of 4x4 of y and of 8x8 of x, which overlap. So a thread has
 * whole pictures there, and adds tiles up in the result itself.
 */
#include "conv_five.h"

TASK(conv_five_task);
TASK(conv_five_pack_task);

/* --- tiles of pictures and results as points ----------------------------------------------------------------------- */

/* B' X B of VL channels; lines and columns in the ranges are there. */
INLINE void patch_in(const float *x, i64 row, i64 column, range lines, range columns, i64 there, float *to, i64 apart,
                     const int inner, const int whole) {
    float half[POINTS * VL] __attribute__((aligned(64)));
    for (int j = 0; j < SIDE; j++) {
        vec d[SIDE], out[SIDE];
        int known = inner || (j >= columns.first && j < columns.last);
        UNROLL for (int i = 0; i < SIDE; i++)
            d[i] = known && (inner || (i >= lines.first && i < lines.last)) ? part(x + i * row + j * column, there, whole)
                                                                           : zeros();
        line_in(d, out);
        UNROLL for (int i = 0; i < SIDE; i++) store(half + (i * SIDE + j) * VL, out[i]);
    }
    for (int i = 0; i < SIDE; i++) {
        vec d[SIDE], out[SIDE];
        UNROLL for (int j = 0; j < SIDE; j++) d[j] = load(half + (i * SIDE + j) * VL);
        line_in(d, out);
        UNROLL for (int j = 0; j < SIDE; j++) store(to + (i * SIDE + j) * apart, out[j]);
    }
}

static NOINLINE void patch_whole(const float *x, i64 row, i64 column, float *to, i64 apart) {
    patch_in(x, row, column, (range){0, 0}, (range){0, 0}, VL, to, apart, 1, 1);
}

static NOINLINE void patch_part(const float *x, i64 row, i64 column, i64 there, float *to, i64 apart) {
    patch_in(x, row, column, (range){0, 0}, (range){0, 0}, there, to, apart, 1, 0);
}

static NOINLINE void patch_edge(const float *x, i64 row, i64 column, range lines, range columns, i64 there, float *to,
                                i64 apart) {
    patch_in(x, row, column, lines, columns, there, to, apart, 0, 0);
}

void five_spread(const five *s, const float *x, i64 first, i64 tiles, float *v) {
    laid l = laid_out(s, s->channels);
    i64 row = s->width * s->channels, column = s->channels;
    for (i64 t = 0; t < tiles; t++, v += l.tile) {
        tile_at at = place(s, first + t);
        i64 up = at.i * TILE - s->top, left = at.j * TILE - s->left;
        range lines = inside(up, s->height, SIDE), columns = inside(left, s->width, SIDE);
        int inner = lines.first == 0 && lines.last == SIDE && columns.first == 0 && columns.last == SIDE;
        const float *from = x + (at.n * s->height + up) * row + left * column;
        for (i64 c = 0; c < s->channels; c += VL) {
            i64 there = least(VL, s->channels - c);
            if (!inner)
                patch_edge(from + c, row, column, lines, columns, there, v + c, l.point);
            else if (there == VL)
                patch_whole(from + c, row, column, v + c, l.point);
            else
                patch_part(from + c, row, column, there, v + c, l.point);
        }
    }
}

/* A Y A' of VL filters, of which `there` are there, and so many lines and columns. */
INLINE void result_in(const float *y, i64 row, i64 column, i64 high, i64 wide, i64 there, float *to, i64 apart,
                      const int inner, const int whole) {
    vec half[SIDE][TILE];
    UNROLL for (int j = 0; j < TILE; j++) {
        vec d[TILE], out[SIDE];
        UNROLL for (int i = 0; i < TILE; i++)
            d[i] = inner || (i < high && j < wide) ? part(y + i * row + j * column, there, whole) : zeros();
        line_out_back(d, out);
        UNROLL for (int i = 0; i < SIDE; i++) half[i][j] = out[i];
    }
    for (int i = 0; i < SIDE; i++) {
        vec out[SIDE];
        line_out_back(half[i], out);
        UNROLL for (int j = 0; j < SIDE; j++) store(to + (i * SIDE + j) * apart, out[j]);
    }
}

static NOINLINE void result_whole(const float *y, i64 row, i64 column, float *to, i64 apart) {
    result_in(y, row, column, TILE, TILE, VL, to, apart, 1, 1);
}

static NOINLINE void result_part(const float *y, i64 row, i64 column, i64 there, float *to, i64 apart) {
    result_in(y, row, column, TILE, TILE, there, to, apart, 1, 0);
}

static NOINLINE void result_edge(const float *y, i64 row, i64 column, i64 high, i64 wide, i64 there, float *to,
                                 i64 apart) {
    result_in(y, row, column, high, wide, there, to, apart, 0, 0);
}

void five_spread_results(const five *s, const float *y, i64 first, i64 tiles, float *w) {
    laid l = laid_out(s, s->filters);
    i64 row = s->out_width * s->filters, column = s->filters;
    for (i64 t = 0; t < tiles; t++, w += l.tile) {
        tile_at at = place(s, first + t);
        i64 high = s->out_height - at.i * TILE, wide = s->out_width - at.j * TILE;
        const float *from = y + (at.n * s->out_height + at.i * TILE) * row + at.j * TILE * column;
        for (i64 f = 0; f < s->filters; f += VL) {
            i64 there = least(VL, s->filters - f);
            if (high < TILE || wide < TILE)
                result_edge(from + f, row, column, high, wide, there, w + f, l.point);
            else if (there == VL)
                result_whole(from + f, row, column, w + f, l.point);
            else
                result_part(from + f, row, column, there, w + f, l.point);
        }
    }
}

/* --- products ------------------------------------------------------------------------------------------------------ */

/* m = v u at every point, for tiles of so many numbers each. */
static void multiply(const float *v, laid from, i64 depth, const float *u, i64 columns, i64 tiles, float *m, laid to) {
    for (i64 i = 0; i < POINTS; i++)
        for (i64 p = 0; p < panel_count(columns); p++) {
            tile next = {
                .a = v + i * from.point,
                .a_stride = from.tile,
                .segments = 1,
                .length = depth,
                .b = u + i * packed_size(depth, columns) + p * depth * 2 * VL,
                .c = m + i * to.point + p * 2 * VL,
                .c_stride = to.tile,
                .columns = panel_width(columns, p) * VL,
                .low = -INFINITY,
            };
            tile_rows(&next, tiles, panel_width(columns, p));
        }
}

/* --- points as tiles of results ------------------------------------------------------------------------------------ */

/* Where VL filters of a tile go and what is done to them; see conv_five_task. */
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

/* A' M A of VL filters. */
INLINE void result_out(const ending *e, const float *m, i64 apart, const int whole) {
    vec half[TILE][SIDE], bias = e->bias ? part(e->bias, e->there, whole) : zeros();
    UNROLL for (int j = 0; j < SIDE; j++) {
        vec d[SIDE], out[TILE];
        UNROLL for (int i = 0; i < SIDE; i++) d[i] = load(m + (i * SIDE + j) * apart);
        line_out(d, out);
        UNROLL for (int i = 0; i < TILE; i++) half[i][j] = out[i];
    }
    for (int i = 0; i < TILE && i < e->high; i++) {
        vec out[TILE];
        line_out(half[i], out);
        UNROLL for (int j = 0; j < TILE; j++)
            if (j < e->wide) end_one(e, out[j], bias, i * e->row + j * e->column, whole);
    }
}

static NOINLINE void result_out_whole(const ending *e, const float *m, i64 apart) { result_out(e, m, apart, 1); }
static NOINLINE void result_out_part(const ending *e, const float *m, i64 apart) { result_out(e, m, apart, 0); }

static void gather(const conv_five_task *t, i64 first, i64 tiles, const float *m) {
    const five *s = &t->size;
    laid l = laid_out(s, s->filters);
    ending e = {.row = s->out_width * s->filters, .column = s->filters, .low = (float)t->low};
    for (i64 k = 0; k < tiles; k++, m += l.tile) {
        tile_at at = place(s, first + k);
        i64 corner = (at.n * s->out_height + at.i * TILE) * e.row + at.j * TILE * e.column;
        e.high = s->out_height - at.i * TILE;
        e.wide = s->out_width - at.j * TILE;
        for (i64 f = 0; f < s->filters; f += VL) {
            e.y = t->y + corner + f;
            e.bias = t->bias ? t->bias + f : 0;
            e.add = t->add ? t->add + corner + f : 0;
            e.mask = t->mask ? t->mask + corner + f : 0;
            e.there = least(VL, s->filters - f);
            (e.there == VL ? result_out_whole : result_out_part)(&e, m + f, l.point);
        }
    }
}

/* The formula, on tiles from `first` to `last`: lines of tiles that lie side by side. */
static void apply(const conv_five_task *t, i64 first, i64 last) {
    const five *s = &t->size;
    for (i64 k = first, run; k < last; k += run) {
        tile_at at = place(s, k);
        run = least(s->across - at.j, last - k);
        i64 row = (at.n * s->out_height + at.i * TILE) * s->out_width + at.j * TILE;
        i64 pixels = least(run * TILE, s->out_width - at.j * TILE);
        for (i64 i = 0; i < least(TILE, s->out_height - at.i * TILE); i++)
            formula_block(t->after, row + i * s->out_width, pixels, 0, s->filters, 0, 0);
    }
}

/* own: V and M of a block. */
EXPORT void conv_five(const void *task, const context *at) {
    const conv_five_task *t = task;
    const five *s = &t->size;
    laid in = laid_out(s, s->channels), out = laid_out(s, s->filters);
    float *v = (float *)at->own, *m = v + POINTS * in.point;
    i64 first, last;
    share(s->tiles, at, &first, &last);
    for (i64 now; first < last; first += now) {
        now = least(s->block, last - first);
        five_spread(s, t->x, first, now, v);
        multiply(v, in, s->channels, t->u, s->filters, now, m, out);
        gather(t, first, now, m);
        if (t->after) apply(t, first, first + now);
    }
}

/* --- points as tiles of pictures ----------------------------------------------------------------------------------- */

/* Adds B P B' of VL channels to x. */
INLINE void patch_out(const float *p, i64 apart, float *x, i64 row, i64 column, range lines, range columns, i64 there,
                      const int inner, const int whole) {
    float half[POINTS * VL] __attribute__((aligned(64)));
    for (int j = 0; j < SIDE; j++) {
        vec d[SIDE], out[SIDE];
        UNROLL for (int i = 0; i < SIDE; i++) d[i] = load(p + (i * SIDE + j) * apart);
        line_in_back(d, out);
        UNROLL for (int i = 0; i < SIDE; i++) store(half + (i * SIDE + j) * VL, out[i]);
    }
    for (int i = 0; i < SIDE; i++) {
        vec d[SIDE], out[SIDE];
        if (!inner && (i < lines.first || i >= lines.last)) continue;
        UNROLL for (int j = 0; j < SIDE; j++) d[j] = load(half + (i * SIDE + j) * VL);
        line_in_back(d, out);
        UNROLL for (int j = 0; j < SIDE; j++) {
            float *to = x + i * row + j * column;
            if (!inner && (j < columns.first || j >= columns.last)) continue;
            if (whole)
                store(to, load(to) + out[j]);
            else
                store_part(to, load_part(to, there) + out[j], there);
        }
    }
}

static NOINLINE void patch_out_whole(const float *p, i64 apart, float *x, i64 row, i64 column) {
    patch_out(p, apart, x, row, column, (range){0, 0}, (range){0, 0}, VL, 1, 1);
}

static NOINLINE void patch_out_part(const float *p, i64 apart, float *x, i64 row, i64 column, i64 there) {
    patch_out(p, apart, x, row, column, (range){0, 0}, (range){0, 0}, there, 1, 0);
}

static NOINLINE void patch_out_edge(const float *p, i64 apart, float *x, i64 row, i64 column, range lines,
                                    range columns, i64 there) {
    patch_out(p, apart, x, row, column, lines, columns, there, 0, 0);
}

static void add_tile(const five *s, tile_at at, const float *p, i64 apart, float *x) {
    i64 row = s->width * s->channels, column = s->channels;
    i64 up = at.i * TILE - s->top, left = at.j * TILE - s->left;
    range lines = inside(up, s->height, SIDE), columns = inside(left, s->width, SIDE);
    int inner = lines.first == 0 && lines.last == SIDE && columns.first == 0 && columns.last == SIDE;
    float *to = x + (at.n * s->height + up) * row + left * column;
    for (i64 c = 0; c < s->channels; c += VL) {
        i64 there = least(VL, s->channels - c);
        if (!inner)
            patch_out_edge(p + c, apart, to + c, row, column, lines, columns, there);
        else if (there == VL)
            patch_out_whole(p + c, apart, to + c, row, column);
        else
            patch_out_part(p + c, apart, to + c, row, column, there);
    }
}

/* What is done to picture n when all its tiles have been added. */
static void end_picture(const conv_five_task *t, i64 n) {
    const five *s = &t->size;
    i64 pixels = s->height * s->width, at = n * pixels * s->channels;
    finish f = {t->bias, t->add ? t->add + at : 0, t->mask ? t->mask + at : 0, 1, s->channels, s->channels,
                (float)t->low};
    if (t->bias || t->add || t->mask || t->low > -INFINITY)
        finish_rows(&f, t->y + at, s->channels, pixels, s->channels);
    if (t->after) formula_block(t->after, n * pixels, pixels, 0, s->channels, 0, 0);
}

static void add_tiles(const conv_five_task *t, i64 first, i64 tiles, const float *p) {
    const five *s = &t->size;
    laid l = laid_out(s, s->channels);
    i64 picture = s->height * s->width * s->channels;
    for (i64 k = 0; k < tiles; k++, p += l.tile) {
        tile_at at = place(s, first + k);
        if (!at.i && !at.j) memset(t->y + at.n * picture, 0, 4 * (size_t)picture);
        add_tile(s, at, p, l.point, t->y);
        if (at.i + 1 == s->down && at.j + 1 == s->across) end_picture(t, at.n);
    }
}

/* own: tiles of y and of x. */
EXPORT void conv_five_back(const void *task, const context *at) {
    const conv_five_task *t = task;
    const five *s = &t->size;
    laid in = laid_out(s, s->filters), out = laid_out(s, s->channels);
    float *w = (float *)at->own, *p = w + POINTS * in.point;
    i64 first, last, each = s->down * s->across;
    share(s->tiles / each, at, &first, &last);
    first *= each, last *= each;
    for (i64 now; first < last; first += now) {
        now = least(s->block, last - first);
        five_spread_results(s, t->x, first, now, w);
        multiply(w, in, s->filters, t->u, s->channels, now, p, out);
        add_tiles(t, first, now, p);
    }
}

/* --- weights ------------------------------------------------------------------------------------------------------- */

/* G g G' of VL columns: 25 vectors -> 64, `apart`. */
INLINE void kernel_in(const vec g[TAPS * TAPS], float *u, i64 apart) {
    vec half[SIDE][TAPS];
    UNROLL for (int j = 0; j < TAPS; j++) {
        vec column[TAPS] = {g[j], g[5 + j], g[10 + j], g[15 + j], g[20 + j]}, out[SIDE];
        line_kernel(column, out);
        UNROLL for (int i = 0; i < SIDE; i++) half[i][j] = out[i];
    }
    for (int i = 0; i < SIDE; i++) {
        vec out[SIDE];
        line_kernel(half[i], out);
        UNROLL for (int j = 0; j < SIDE; j++) store(u + (i * SIDE + j) * apart, out[j]);
    }
}

/* VL floats, `stride` apart, of which n are there. */
static vec load_column(const float *p, i64 stride, i64 n) {
    float lanes[VL] = {0};
    for (i64 i = 0; i < n; i++) lanes[i] = p[i * stride];
    return load(lanes);
}

/* Columns of U are filters; turned: channels. Work is shared by rows. */
EXPORT void conv_five_pack(const void *task, const context *at) {
    const conv_five_pack_task *t = task;
    i64 rows = t->turned ? t->filters : t->channels, columns = t->turned ? t->channels : t->filters;
    i64 apart = packed_size(rows, columns), tap = t->channels * t->filters, from, to;
    share(rows, at, &from, &to);
    for (i64 c = 0; c < columns; c += VL) {
        i64 p = least(c / (2 * VL), panel_count(columns) - 1), n = least(VL, columns - c);
        float *u = t->u + p * rows * 2 * VL + c - p * 2 * VL;
        for (i64 r = from; r < to; r++) {
            vec g[TAPS * TAPS];
            const float *weights = t->kernel + (t->turned ? c * t->filters + r : r * t->filters + c);
            for (int k = 0; k < TAPS * TAPS; k++)
                g[k] = t->turned ? load_column(weights + k * tap, t->filters, n) : load_part(weights + k * tap, n);
            kernel_in(g, u + r * panel_width(columns, p) * VL, apart);
        }
    }
}
