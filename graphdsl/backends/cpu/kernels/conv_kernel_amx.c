/* The gradient of a convolution's kernel in AMX tiles (amx.h):
 *
 *     dkernel[tap, c, f] = Σ over pixels x[pixel at tap, c] * dy[pixel, f]
 *
 * Both operands of a band (some lines of results of one picture) are laid out flat, in lines of `pitch` places; dy has
 * zeros in the places behind its pixels. Then a tap is a shift:
 *
 *     dy, 3 pixels a line   d0 d1 d2 0  0  | d3 d4 d5 0  0  | ...
 *     x, padded             x0 x1 x2 x3 x4 | x5 x6 x7 x8 x9 | ...
 *                           tap (0, 0)      sums d0 x0 + d1 x1 + d2 x2 + d3 x5 ...
 *                           tap (1, 2)      sums the same d with x 7 places on
 *
 * With a stride s there is such a plane of x for every phase: every s-th line and column. Two bands, d and e with x and
 * z, make the pairs of tiles, so that a shift by any number of places finds its pairs:
 *
 *     A    a filter a row    (d0 e0) (d1 e1) (d2 e2) ...         transposed
 *     B    a place a row     (x0 z0) of each of 16 channels
 *
 * The tiles of a block of bands stay in the second cache, and `chunk` of them along the places in the first one:
 *
 *     for each chunk, vector of channels, two vectors of filters, two taps:
 *         C[filter][channel] of each += A (hi, lo) * B (hi, lo)
 *
 * Sums are tiles [part][filters][channels][tap]: conv_kernel_amx_ending adds up the parts and turns them round.
 */
#include "conv_kernel_amx.h"

TASK(conv_kernel_amx_task);

typedef struct {
    float *dkernel;
    i64 channels, filters, taps, parts, sums;
} conv_kernel_amx_ending_task;
TASK(conv_kernel_amx_ending_task);

#ifdef AMX

/* Where things are in a thread's scratch, and which work is its own. */
typedef struct {
    i64 *offset;  /* [block * depth] */
    i64 *column;  /* [channels][tap]: where the plane of a column of tiles begins, from the place that the tap reads */
    char *a, *b;  /* A: [block * depth][vector of filters][hi, lo]; B: [block][phase][channels][hi, lo][place] */
    i64 plane;    /* bytes, hi and lo */
    i64 phases_down, phases_across, pair_bytes;
    i64 first, end; /* vectors of filters */
    i64 band, pairs, stop; /* bands band + k and band + pairs + k are a pair, where before `stop` */
} room;

static void find_columns(const conv_kernel_amx_task *t, room *r) {
    i64 *at = r->column;
    for (i64 c = 0; c < vectors(t->channels); c++)
        for (i64 i = 0; i < t->window_height; i++)
            for (i64 k = 0; k < t->window_width; k++) {
                i64 high = i * t->dilation_height, wide = k * t->dilation_width;
                i64 phase = high % t->stride_height * r->phases_across + wide % t->stride_width;
                i64 shift = high / t->stride_height * t->pitch + wide / t->stride_width;
                *at++ = (phase * vectors(t->channels) + c) * r->plane + shift * 64;
            }
}

static room room_of(const conv_kernel_amx_task *t, i64 part, i64 slice, char *own) {
    room r = {.offset = (i64 *)own};
    r.first = vectors(t->filters) * slice / t->slices;
    r.end = vectors(t->filters) * (slice + 1) / t->slices;
    r.plane = 2 * 64 * t->places;
    r.phases_down = phase_count(t->window_height, t->stride_height, t->dilation_height);
    r.phases_across = phase_count(t->window_width, t->stride_width, t->dilation_width);
    r.pair_bytes = r.phases_down * r.phases_across * vectors(t->channels) * r.plane;
    r.column = r.offset + t->block * t->depth;
    i64 columns = vectors(t->channels) * t->window_height * t->window_width;
    r.a = own + ((t->block * t->depth + columns) * 8 + 63) / 64 * 64;
    r.b = r.a + t->block * t->depth * vectors(t->filters) * 2 * TILE_BYTES;
    i64 bands = band_count(t);
    r.band = bands * part / t->parts, r.stop = bands * (part + 1) / t->parts;
    r.pairs = (r.stop - r.band + 1) / 2;
    find_columns(t, &r);
    return r;
}

/* Pair k of bands; where there is no second one, it has no lines. */
typedef struct {
    band bands[2];
} pair;

static pair pair_of(const conv_kernel_amx_task *t, const room *r, i64 k) {
    i64 second = r->band + r->pairs + k;
    pair p = {{band_of(t, r->band + k), band_of(t, least(second, r->stop - 1))}};
    if (second >= r->stop) p.bands[1].rows = 0;
    return p;
}

/* Pixels of the next 16 places. They lie one behind another, which the order of spread_places would not show. */
INLINE void fetch_places(const conv_kernel_amx_task *t, const float *const (*pixel)[16], i64 first, i64 end) {
    for (i64 j = 0; j < 2; j++)
        for (i64 i = first; i < end; i++)
            for (i64 f = 0; pixel[j][i] && f < t->filters; f += 16)
                __builtin_prefetch(pixel[j][i] + 16 * t->filters + f, 0, 3);
}

/* 16 places of two bands of dy as the A tiles of each vector of filters from f to end, [vector][hi, lo]. */
static void spread_places(const conv_kernel_amx_task *t, const float *const (*pixel)[16], i64 f, i64 end, char *to) {
    i64 each = most(TILE_SIDE * TILE_SIDE / t->filters, 1), fetched = 0;
    for (; f < end; f += TILE_SIDE, to += 2 * TILE_BYTES) {
        fetch_places(t, pixel, fetched, least(fetched + each, 16));
        fetched = least(fetched + each, 16);
        i64 lanes = least(TILE_SIDE, t->filters - f);
        ivec hi[16], lo[16];
        for (i64 i = 0; i < 16; i++) {
            halves a = split(pixel[0][i] ? load_part(pixel[0][i] + f, lanes) : zeros());
            halves b = split(pixel[1][i] ? load_part(pixel[1][i] + f, lanes) : zeros());
            hi[i] = pair_hi(a, b), lo[i] = pair_lo(a, b);
        }
        transpose(hi);
        transpose(lo);
        UNROLL for (int i = 0; i < 16; i++) istore((int32_t *)(to + i * 64), hi[i]);
        UNROLL for (int i = 0; i < 16; i++) istore((int32_t *)(to + TILE_BYTES + i * 64), lo[i]);
    }
}

static void spread_dy(const conv_kernel_amx_task *t, const room *r, const pair *p, char *to) {
    i64 row = 0, column = 0, tile = 2 * TILE_BYTES * (r->end - r->first);
    const float *at[2];
    for (int i = 0; i < 2; i++) {
        const band *b = &p->bands[i];
        at[i] = t->dy + ((b->n * t->out_height + b->row) * t->out_width + b->column) * t->filters;
    }
    for (i64 k = 0; k < t->depth; k++) {
        const float *pixel[2][16];
        for (i64 i = 0; i < 16; i++) {
            for (int j = 0; j < 2; j++) {
                const band *b = &p->bands[j];
                int there = row < b->rows && column < b->columns;
                pixel[j][i] = there ? at[j] + (row * t->out_width + column) * t->filters : 0;
            }
            if (++column == t->pitch) column = 0, row++;
        }
        spread_places(t, pixel, r->first * TILE_SIDE, least(r->end * TILE_SIDE, t->filters), to + k * tile);
    }
}

/* A line of x: place i is at from + i * step for first <= i < end, and zero elsewhere. */
typedef struct {
    const float *from;
    i64 first, end;
} line;

INLINE vec place_of(const line *l, i64 i, i64 step, i64 c, i64 lanes) {
    return i >= l->first && i < l->end ? load_part(l->from + i * step + c, lanes) : zeros();
}

INLINE void put(vec x, vec z, char *hi, char *lo) {
    halves a = split(x), b = split(z);
    istore((int32_t *)hi, pair_hi(a, b));
    istore((int32_t *)lo, pair_lo(a, b));
}

/* Places of a line, all channels: each vector of channels has a plane of its own. */
static void put_places(const conv_kernel_amx_task *t, const line *x, const line *z, i64 i, i64 end, char *to) {
    i64 step = t->stride_width * t->channels, lo = 64 * t->places;
    for (; i < end; i++) {
        char *at = to + 64 * i;
        for (i64 c = 0; c < t->channels; c += TILE_SIDE, at += 2 * lo) {
            i64 lanes = least(TILE_SIDE, t->channels - c);
            put(place_of(x, i, step, c, lanes), place_of(z, i, step, c, lanes), at, at + lo);
        }
    }
}

static void put_line(const conv_kernel_amx_task *t, const line *x, const line *z, char *to) {
    i64 step = t->stride_width * t->channels, lo = 64 * t->places;
    i64 first = most(x->first, z->first), end = t->channels % TILE_SIDE ? first : most(least(x->end, z->end), first);
    put_places(t, x, z, 0, first, to);
    const float *from = x->from + first * step, *other = z->from + first * step;
    for (i64 i = first; i < end; i++, from += step, other += step) {
        char *at = to + 64 * i;
        for (i64 c = 0; c < t->channels; c += TILE_SIDE, at += 2 * lo)
            put(load(from + c), load(other + c), at, at + lo);
    }
    put_places(t, x, z, end, t->pitch, to);
}

/* Line `row` of phase (down, across) of a band. */
static line line_of(const conv_kernel_amx_task *t, const band *b, i64 row, i64 down, i64 across) {
    i64 at = (b->row + row) * t->stride_height + down - t->pad_height;
    i64 lines = b->rows + shift_of(t->window_height - 1, t->dilation_height, t->stride_height);
    i64 left = b->column * t->stride_width + across - t->pad_width;
    line l = {.from = t->x + ((b->n * t->height + at) * t->width + left) * t->channels};
    if (!b->rows || row >= lines || at < 0 || at >= t->height) return l;
    l.first = left < 0 ? least((-left + t->stride_width - 1) / t->stride_width, t->pitch) : 0;
    l.end = most(least((t->width - left + t->stride_width - 1) / t->stride_width, t->pitch), l.first);
    return l;
}

/* The planes of x that have lines of phase `down`. */
static void spread_planes(const conv_kernel_amx_task *t, const room *r, const pair *p, i64 down, char *to) {
    i64 lines = most(p->bands[0].rows, p->bands[1].rows), phase = vectors(t->channels) * r->plane;
    lines += shift_of(t->window_height - 1, t->dilation_height, t->stride_height);
    for (i64 row = 0; row < lines; row++)
        for (i64 across = 0; across < r->phases_across; across++) {
            line x = line_of(t, &p->bands[0], row, down, across), z = line_of(t, &p->bands[1], row, down, across);
            put_line(t, &x, &z, to + across * phase + row * 64 * t->pitch);
        }
    i64 done = lines * 64 * t->pitch, half = r->plane / 2;
    for (char *plane = to; plane < to + r->phases_across * phase; plane += half)
        memset(plane + done, 0, (size_t)(half - done));
}

static void spread_pair(const conv_kernel_amx_task *t, const room *r, const pair *p, i64 index) {
    spread_dy(t, r, p, r->a + index * t->depth * (r->end - r->first) * 2 * TILE_BYTES);
    char *to = r->b + index * r->pair_bytes;
    for (i64 down = 0; down < r->phases_down; down++)
        spread_planes(t, r, p, down, to + down * r->phases_across * vectors(t->channels) * r->plane);
    for (i64 k = 0; k < t->depth; k++) r->offset[index * t->depth + k] = index * r->pair_bytes + k * 16 * 64;
}

static void (*const products[2][MOST_COUNT])(const product *) = {
    {multiply_1x1, multiply_1x2, multiply_1x3, multiply_1x4, multiply_1x5},
    {multiply_2x1, multiply_2x2},
};

/* How many of `left` columns of tiles go together, with one vector of filters or two. */
INLINE i64 together(i64 left, i64 filters) {
    if (filters == 2) return least(2, left);
    i64 groups = (left + MOST_COUNT - 1) / MOST_COUNT;
    return (left + groups - 1) / groups;
}

/* All products of `depth` steps from `first` on, of pairs of bands that have been spread. */
static void multiply_chunk(const conv_kernel_amx_task *t, const room *r, i64 first, i64 depth, float *sums, i64 add) {
    i64 taps = t->window_height * t->window_width, columns = vectors(t->channels) * taps;
    i64 near = t->near, width = r->end - r->first;
    product p = {.lo = r->plane / 2, .offset = r->offset + first, .depth = depth, .c_step = 256 * columns, .add = add};
    p.a_step = width * 2 * TILE_BYTES;
    for (i64 from = 0; from < columns; from += near) {
        i64 end = least(from + near, columns);
        for (i64 f = r->first, filters; f < r->end; f += filters) {
            filters = least(2, r->end - f);
            p.a = r->a + first * p.a_step + (f - r->first) * 2 * TILE_BYTES;
            for (i64 column = from, count; column < end; column += count) {
                count = together(end - column, filters);
                for (i64 i = 0; i < count; i++) p.b[i] = r->b + r->column[column + i];
                p.c = sums + (f * columns + column) * 256;
                products[filters - 1][count - 1](&p);
            }
        }
    }
}

WITH_TILES EXPORT void conv_kernel_amx(const void *task, const context *at) {
    const conv_kernel_amx_task *t = task;
    amx_begin();
    for (i64 job = at->thread; job < t->parts * t->slices; job += at->threads) {
        i64 part = job / t->slices;
        room r = room_of(t, part, job % t->slices, at->own);
        float *sums = (float *)at->shared + part * t->sums;
        for (i64 k = 0; k < r.pairs; k += t->block) {
            i64 count = least(t->block, r.pairs - k), depth = count * t->depth;
            for (i64 i = 0; i < count; i++) {
                pair p = pair_of(t, &r, k + i);
                spread_pair(t, &r, &p, i);
            }
            for (i64 i = 0; i < depth; i += t->chunk)
                multiply_chunk(t, &r, i, least(t->chunk, depth - i), sums, k || i);
        }
    }
    amx_end();
}

/* The sum of all parts of a tile, turned round: a row for each channel. */
static void end_tile(const conv_kernel_amx_ending_task *t, const float *sums, i64 rows, float *to, i64 lanes) {
    ivec sum[16];
    for (i64 i = 0; i < 16; i++) {
        vec row = load(sums + i * 16);
        for (i64 part = 1; part < t->parts; part++) row += load(sums + part * t->sums + i * 16);
        sum[i] = (ivec)row;
    }
    transpose(sum);
    for (i64 i = 0; i < rows; i++) store_part(to + i * t->filters, (vec)sum[i], lanes);
}

/* Adds up the parts, in order, and lays the sums out as the kernel is. */
EXPORT void conv_kernel_amx_ending(const void *task, const context *at) {
    const conv_kernel_amx_ending_task *t = task;
    i64 columns = vectors(t->channels) * t->taps, first, end;
    share(columns, at, &first, &end);
    for (i64 column = first; column < end; column++) {
        i64 c = column / t->taps * TILE_SIDE, tap = column % t->taps;
        float *to = t->dkernel + (tap * t->channels + c) * t->filters;
        for (i64 f = 0; f < t->filters; f += TILE_SIDE) {
            const float *sums = (const float *)at->shared + (f / TILE_SIDE * columns + column) * 256;
            end_tile(t, sums, least(TILE_SIDE, t->channels - c), to + f, least(TILE_SIDE, t->filters - f));
        }
    }
}

#endif
