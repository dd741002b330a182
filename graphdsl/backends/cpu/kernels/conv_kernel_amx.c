/* The gradient of a convolution's kernel in AMX tiles (amx.h):
 *
 *     dkernel[tap, c, f] = Σ over pixels x[pixel at tap, c] * dy[pixel, f]
 *
 * Both operands of a band (some lines of results of one picture) are laid out flat, in lines of `pitch` places; dy has
 * zeros in the places behind its pixels. Then a tap is a shift:
 *
 *     dy, 3 pixels a line   d0 d1 d2 0  0  | d3 d4 d5 0  0  | ...       transposed: A[filter][place]
 *     x, padded             x0 x1 x2 x3 x4 | x5 x6 x7 x8 x9 | ...       pairs of neighbours: B[place][channel]
 *                           tap (0, 0)      sums d0 x0 + d1 x1 + d2 x2 + d3 x5 ...
 *                           tap (1, 2)      sums the same d with x 7 places on
 *
 * With a stride s there is such a plane of x for every phase: every s-th line and column. A pair starts at every place,
 * so that shifts may be odd; windows of one tap need every second only.
 *
 *     for each vector of channels, up to three taps of a window row, vector of filters:
 *         C[filter][channel] of each tap += A (hi, lo) * B (hi, lo), over all places of a block of bands
 *
 * What comes out is the transpose, [filter][tap][channel]: conv_kernel_ending turns it round and adds up the parts.
 */
#include "conv_kernel_amx.h"

TASK(conv_kernel_amx_task);

#ifdef AMX

/* Where things are in a thread's scratch. */
typedef struct {
    i64 *offset;     /* [block * depth] */
    char *a, *b;     /* A: [band][depth][filters][hi, lo]; B: [band][phase][channels][hi, lo][entry] */
    i64 every, plane; /* places a pair; bytes of a plane, hi and lo */
    i64 phases_down, phases_across, band_bytes;
    i64 first, end;   /* vectors of filters */
} room;

static room room_of(const conv_kernel_amx_task *t, i64 slice, char *own) {
    room r = {.offset = (i64 *)own};
    r.first = vectors(t->filters) * slice / t->slices;
    r.end = vectors(t->filters) * (slice + 1) / t->slices;
    r.every = t->window_height * t->window_width == 1 ? 2 : 1;
    r.plane = 2 * 64 * (t->places / r.every);
    r.phases_down = phase_count(t->window_height, t->stride_height, t->dilation_height);
    r.phases_across = phase_count(t->window_width, t->stride_width, t->dilation_width);
    r.band_bytes = r.phases_down * r.phases_across * vectors(t->channels) * r.plane;
    r.a = own + (t->block * t->depth * 8 + 63) / 64 * 64;
    r.b = r.a + t->block * t->depth * vectors(t->filters) * 2 * TILE_BYTES + 64;
    return r;
}

/* 32 places of dy as the A tiles of each vector of filters from f to end, [vector][hi, lo]. */
static void spread_places(const conv_kernel_amx_task *t, const float *const *pixel, i64 f, i64 end, char *to) {
    for (; f < end; f += TILE_SIDE, to += 2 * TILE_BYTES) {
        i64 lanes = least(TILE_SIDE, t->filters - f);
        ivec hi[16], lo[16];
        for (i64 i = 0; i < 16; i++) {
            halves a = split(pixel[2 * i] ? load_part(pixel[2 * i] + f, lanes) : zeros());
            halves b = split(pixel[2 * i + 1] ? load_part(pixel[2 * i + 1] + f, lanes) : zeros());
            hi[i] = pair_hi(a, b), lo[i] = pair_lo(a, b);
        }
        transpose(hi);
        transpose(lo);
        UNROLL for (int i = 0; i < 16; i++) istore((int32_t *)(to + i * 64), hi[i]);
        UNROLL for (int i = 0; i < 16; i++) istore((int32_t *)(to + TILE_BYTES + i * 64), lo[i]);
    }
}

static void spread_dy(const conv_kernel_amx_task *t, const room *r, band b, char *to) {
    i64 row = 0, column = 0, tile = 2 * TILE_BYTES * (r->end - r->first);
    i64 start = (b.n * t->out_height + b.row) * t->out_width + b.column;
    const float *at = t->dy + start * t->filters;
    for (i64 k = 0; k < t->depth; k++) {
        const float *pixel[TILE_DEPTH];
        for (i64 i = 0; i < TILE_DEPTH; i++) {
            pixel[i] = row < b.rows && column < b.columns ? at : 0;
            at += t->filters;
            if (++column == t->pitch) column = 0, row++, at += (t->out_width - t->pitch) * t->filters;
        }
        spread_places(t, pixel, r->first * TILE_SIDE, least(r->end * TILE_SIDE, t->filters), to + k * tile);
    }
}

/* A plane of x for one vector of channels, being written: pairs go to hi and lo. */
typedef struct {
    halves last;
    char *hi, *lo;
    i64 place, every;
} writer;

INLINE void put(writer *w, vec x) {
    halves now = split(x);
    if (w->every == 1 || (w->place & 1)) {
        istore((int32_t *)w->hi, pair_hi(w->last, now));
        istore((int32_t *)w->lo, pair_lo(w->last, now));
        w->hi += 64, w->lo += 64;
    }
    w->place++;
    w->last = now;
}

INLINE void put_line(const conv_kernel_amx_task *t, writer *w, const float *from, i64 first, i64 before, i64 end, i64 c,
                     i64 every) {
    i64 lanes = least(TILE_SIDE, t->channels - c), step = t->stride_width * t->channels;
    writer own = *w;
    own.every = every;
    for (i64 i = 0; i < before; i++) put(&own, zeros());
    from += first + before * step + c;
    if (lanes == TILE_SIDE)
        for (i64 i = before; i < end; i++, from += step) put(&own, load(from));
    else
        for (i64 i = before; i < end; i++, from += step) put(&own, load_part(from, lanes));
    for (i64 i = end; i < t->pitch; i++) put(&own, zeros());
    *w = own;
}

/* One plane: lines and columns of phase (down, across), channels from c on. The first pair has nothing before it, so it
 * is written one entry early. */
static void spread_plane(const conv_kernel_amx_task *t, band b, i64 down, i64 across, i64 c, i64 every, char *to) {
    i64 entries = t->places / every;
    i64 lines = b.rows + shift_of(t->window_height - 1, t->dilation_height, t->stride_height);
    writer w = {.last = split(zeros()), .every = every};
    w.hi = to - (every == 1 ? 64 : 0), w.lo = w.hi + entries * 64;
    i64 left = b.column * t->stride_width + across - t->pad_width;
    i64 before = left < 0 ? least((-left + t->stride_width - 1) / t->stride_width, t->pitch) : 0;
    i64 end = most(least((t->width - left + t->stride_width - 1) / t->stride_width, t->pitch), before);
    for (i64 r = 0; r < lines; r++) {
        i64 row = (b.row + r) * t->stride_height + down - t->pad_height;
        int there = row >= 0 && row < t->height;
        const float *from = t->x + (b.n * t->height + row) * t->width * t->channels;
        i64 skip = there ? before : t->pitch, stop = there ? end : t->pitch;
        if (every == 1)
            put_line(t, &w, from, left * t->channels, skip, stop, c, 1);
        else
            put_line(t, &w, from, left * t->channels, skip, stop, c, 2);
    }
    for (; w.place < t->places + (every == 1); ) put(&w, zeros());
}

typedef struct {
    const char *a;       /* tiles of a vector of filters: a_step bytes from depth to depth */
    i64 a_step;
    const char *b[3];    /* of each tap */
    i64 lo, b_row;       /* from hi to lo; from row to row */
    const i64 *offset;   /* of each step of depth, in b */
    i64 depth;
    float *c[3];
    i64 c_stride, add;
} product;

WITH_TILES INLINE void begin_sums(const product *p, const int taps) {
    if (p->add) {
        _tile_loadd(0, p->c[0], p->c_stride * 4);
        if (taps > 1) _tile_loadd(1, p->c[1], p->c_stride * 4);
        if (taps > 2) _tile_loadd(2, p->c[2], p->c_stride * 4);
    } else {
        _tile_zero(0);
        _tile_zero(1);
        _tile_zero(2);
    }
}

/* Tiles: C 0 1 2, A hi 3, lo 4, B 5 6 7. */
WITH_TILES INLINE void multiply(const product *p, const int taps) {
    begin_sums(p, taps);
    const char *a = p->a;
    for (i64 k = 0; k < p->depth; k++, a += p->a_step) {
        i64 at = p->offset[k], lo = at + p->lo;
        _tile_loadd(3, a, 64);
        _tile_loadd(5, p->b[0] + at, p->b_row);
        _tile_dpbf16ps(0, 3, 5);
        if (taps > 1) {
            _tile_loadd(6, p->b[1] + at, p->b_row);
            _tile_dpbf16ps(1, 3, 6);
        }
        if (taps > 2) {
            _tile_loadd(7, p->b[2] + at, p->b_row);
            _tile_dpbf16ps(2, 3, 7);
        }
        _tile_loadd(4, a + TILE_BYTES, 64);
        _tile_dpbf16ps(0, 4, 5);
        if (taps > 1) _tile_dpbf16ps(1, 4, 6);
        if (taps > 2) _tile_dpbf16ps(2, 4, 7);
        _tile_loadd(5, p->b[0] + lo, p->b_row);
        _tile_dpbf16ps(0, 3, 5);
        if (taps > 1) {
            _tile_loadd(6, p->b[1] + lo, p->b_row);
            _tile_dpbf16ps(1, 3, 6);
        }
        if (taps > 2) {
            _tile_loadd(7, p->b[2] + lo, p->b_row);
            _tile_dpbf16ps(2, 3, 7);
        }
    }
    _tile_stored(0, p->c[0], p->c_stride * 4);
    if (taps > 1) _tile_stored(1, p->c[1], p->c_stride * 4);
    if (taps > 2) _tile_stored(2, p->c[2], p->c_stride * 4);
}

WITH_TILES static NOINLINE void multiply_1(const product *p) { multiply(p, 1); }
WITH_TILES static NOINLINE void multiply_2(const product *p) { multiply(p, 2); }
WITH_TILES static NOINLINE void multiply_3(const product *p) { multiply(p, 3); }

/* How many taps of a window row, from `across` on, go together: three, or two where four are left. */
INLINE i64 together(const conv_kernel_amx_task *t, i64 across) {
    i64 left = t->window_width - across;
    return left == 4 ? 2 : least(3, left);
}

/* All products of a block of bands that has been spread, for vectors of channels. */
static void multiply_block(const conv_kernel_amx_task *t, const room *r, i64 depth, float *sums, i64 add) {
    i64 taps = t->window_height * t->window_width, channels = vectors(t->channels);
    i64 line = taps * channels * TILE_SIDE;
    product p = {.lo = r->plane / 2, .b_row = 128 / r->every, .offset = r->offset, .depth = depth, .c_stride = line};
    p.a_step = (r->end - r->first) * 2 * TILE_BYTES;
    p.add = add;
    for (i64 c = 0; c < channels; c++)
        for (i64 f = r->first; f < r->end; f++) {
            p.a = r->a + (f - r->first) * 2 * TILE_BYTES;
            for (i64 tap = 0, count; tap < taps; tap += count) {
                i64 high = tap / t->window_width * t->dilation_height, across = tap % t->window_width;
                count = together(t, across);
                for (i64 i = 0; i < count; i++) {
                    i64 wide = (across + i) * t->dilation_width;
                    i64 phase = high % t->stride_height * r->phases_across + wide % t->stride_width;
                    i64 shift = high / t->stride_height * t->pitch + wide / t->stride_width;
                    p.b[i] = r->b + (phase * channels + c) * r->plane + shift / r->every * 64;
                    p.c[i] = sums + f * TILE_SIDE * line + ((tap + i) * channels + c) * TILE_SIDE;
                }
                (count == 1 ? multiply_1 : count == 2 ? multiply_2 : multiply_3)(&p);
            }
        }
}

static void spread_band(const conv_kernel_amx_task *t, const room *r, band b, i64 index) {
    spread_dy(t, r, b, r->a + index * t->depth * (r->end - r->first) * 2 * TILE_BYTES);
    char *to = r->b + index * r->band_bytes;
    for (i64 down = 0; down < r->phases_down; down++)
        for (i64 across = 0; across < r->phases_across; across++)
            for (i64 c = 0; c < vectors(t->channels); c++, to += r->plane)
                spread_plane(t, b, down, across, c * TILE_SIDE, r->every, to);
    for (i64 k = 0; k < t->depth; k++)
        r->offset[index * t->depth + k] = index * r->band_bytes + k * TILE_DEPTH / r->every * 64;
}

WITH_TILES EXPORT void conv_kernel_amx(const void *task, const context *at) {
    const conv_kernel_amx_task *t = task;
    i64 bands = band_count(t);
    amx_begin();
    for (i64 job = at->thread; job < t->parts * t->slices; job += at->threads) {
        i64 part = job / t->slices, first = bands * part / t->parts, end = bands * (part + 1) / t->parts;
        room r = room_of(t, job % t->slices, at->own);
        for (i64 i = first; i < end; i += t->block) {
            i64 count = least(t->block, end - i);
            for (i64 k = 0; k < count; k++) spread_band(t, &r, band_of(t, i + k), k);
            multiply_block(t, &r, count * t->depth, (float *)at->shared + part * t->sums, i > first);
        }
    }
    amx_end();
}

#endif
