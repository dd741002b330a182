/* The gradient of a convolution's kernel in AMX tiles (amx.h) where x has few channels:
 *
 *     dkernel[(tap, c), f] = Σ over places x[place at tap, c] * dy[place, f]
 *
 * Places are laid out flat as in conv_kernel_amx.c. Here x is the operand whose numbers must stand along the places,
 * and with few channels that is cheap: every channel becomes planes of bfloat16, hi and lo, one for each phase of a stride.
 * A row of a tile is a piece of a plane, from the place that the tap reads:
 *
 *     plane of c          x0 x1 x2 x3 x4 x5 x6 ...
 *     row (0, 0, c)       x0 x1 x2 ... x31
 *     row (0, 1, c)       x1 x2 x3 ... x32
 *
 * dy is laid out as pairs of neighbouring places. The sums are [(tap, c) in whole tiles][filters in whole vectors].
 */
#include "conv_kernel_amx.h"

#ifdef AMX

enum { MOST_STEP = 16 };

/* Where things are in a thread's scratch. */
typedef struct {
    i64 rows, row_tiles, filter_tiles;
    i64 phases_down, phases_across;
    i64 plane; /* bytes of a plane; lo stands behind hi */
    i64 *from; /* where each row begins in the planes */
    char *planes, *a, *b; /* A: [depth][row tile][hi, lo]; B: [depth][vector of filters][hi, lo] */
} room;

static room room_of(const conv_kernel_amx_task *t, char *own) {
    room r = {.rows = t->window_height * t->window_width * t->channels, .from = (i64 *)own};
    r.row_tiles = vectors(r.rows);
    r.filter_tiles = vectors(t->filters);
    r.phases_down = phase_count(t->window_height, t->stride_height, t->dilation_height);
    r.phases_across = phase_count(t->window_width, t->stride_width, t->dilation_width);
    r.plane = (2 * t->places + 63) / 64 * 64;
    r.a = own + (r.rows * 8 + 63) / 64 * 64;
    r.b = r.a + t->block * r.row_tiles * 2 * TILE_BYTES;
    r.planes = r.b + t->block * r.filter_tiles * 2 * TILE_BYTES;
    i64 *from = r.from;
    for (i64 i = 0; i < t->window_height; i++)
        for (i64 k = 0; k < t->window_width; k++)
            for (i64 c = 0; c < t->channels; c++) {
                i64 high = i * t->dilation_height, wide = k * t->dilation_width;
                i64 phase = high % t->stride_height * r.phases_across + wide % t->stride_width;
                i64 shift = high / t->stride_height * t->pitch + wide / t->stride_width;
                *from++ = (phase * t->channels + c) * 2 * r.plane + 2 * shift;
            }
    return r;
}

/* 16 numbers of a plane. */
INLINE void put_numbers(vec x, char *hi, char *lo) {
    halves h = split(x);
    _mm256_storeu_si256((__m256i *)hi, _mm512_cvtepi32_epi16(_mm512_srli_epi32((__m512i)h.hi, 16)));
    _mm256_storeu_si256((__m256i *)lo, _mm512_cvtepi32_epi16(_mm512_srli_epi32((__m512i)h.lo, 16)));
}

/* Every step-th of 16 * step floats: vector by vector, the lanes that come from it. Faster than to gather them. */
typedef struct {
    i64 step;
    __m512i lane;             /* of the vector that a number stands in */
    mask from[MOST_STEP];     /* which numbers stand in each vector */
} picker;

static picker picker_of(i64 step, i64 c) {
    picker p = {.step = step};
    for (int i = 0; i < VL; i++) {
        i64 at = i * step + c;
        p.lane[i / 2] |= (at % VL) << (i % 2 * 32);
        p.from[at / VL] |= (mask)(1u << i);
    }
    return p;
}

INLINE vec pick(const picker *p, const float *at) {
    __m512 x = _mm512_setzero_ps();
    for (i64 j = 0; j < p->step; j++) x = _mm512_mask_permutexvar_ps(x, p->from[j], p->lane, (__m512)load(at + j * VL));
    return (vec)x;
}

/* A line of a plane, the numbers at from + c, from + c + step ...: zeros before `before` and from `end` on. Place
 * `whole` and those behind it have less than 16 * step floats before them. Writes up to 15 places too many. */
static void put_line(const picker *p, const float *from, i64 c, i64 before, i64 end, i64 whole, i64 pitch, char *hi,
                     char *lo) {
    __m512i every = _mm512_mullo_epi32(_mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15),
                                       _mm512_set1_epi32((int)p->step));
    for (i64 i = 0; i < pitch; i += VL) {
        const float *at = from + i * p->step;
        i64 left = most(least(before - i, VL), 0), right = most(least(end - i, VL), left);
        mask there = first_lanes(right) & (mask)~first_lanes(left);
        vec x;
        if (there == first_lanes(VL) && i < whole && p->step <= MOST_STEP)
            x = pick(p, at);
        else
            x = (vec)_mm512_mask_i32gather_ps(_mm512_setzero_ps(), there, every, at + c, 4);
        put_numbers(x, hi + 2 * i, lo + 2 * i);
    }
}

static void spread_plane(const conv_kernel_amx_task *t, const room *r, band b, i64 down, i64 across, i64 c, char *to) {
    i64 lines = b.rows + shift_of(t->window_height - 1, t->dilation_height, t->stride_height);
    picker p = picker_of(t->stride_width * t->channels, c);
    i64 left = b.column * t->stride_width + across - t->pad_width;
    i64 before = left < 0 ? least((-left + t->stride_width - 1) / t->stride_width, t->pitch) : 0;
    i64 end = most(least((t->width - left + t->stride_width - 1) / t->stride_width, t->pitch), before);
    i64 whole = (t->width - left) / t->stride_width - VL + 1;
    for (i64 i = 0; i < lines; i++) {
        i64 row = (b.row + i) * t->stride_height + down - t->pad_height;
        int there = row >= 0 && row < t->height;
        const float *from = t->x + ((b.n * t->height + row) * t->width + left) * t->channels;
        char *hi = to + 2 * i * t->pitch;
        put_line(&p, from, c, there ? before : t->pitch, there ? end : t->pitch, whole, t->pitch, hi, hi + r->plane);
    }
    i64 done = 2 * lines * t->pitch;
    memset(to + done, 0, (size_t)(r->plane - done));
    memset(to + r->plane + done, 0, (size_t)(r->plane - done));
}

/* The A tiles: 64 bytes of a plane a row. */
static void lay_rows(const room *r, i64 first, i64 depth) {
    for (i64 k = 0; k < depth; k++)
        for (i64 row = 0; row < r->rows; row++) {
            const char *from = r->planes + r->from[row] + (first + k) * 64;
            char *hi = r->a + (k * r->row_tiles + row / TILE_SIDE) * 2 * TILE_BYTES + row % TILE_SIDE * 64;
            _mm512_store_si512(hi, _mm512_loadu_si512(from));
            _mm512_store_si512(hi + TILE_BYTES, _mm512_loadu_si512(from + r->plane));
        }
}

/* A pair of places of dy, one vector of filters. NULL: zeros. */
INLINE void put_pair(const float *first, const float *second, i64 lanes, char *to) {
    halves a = split(first ? load_part(first, lanes) : zeros());
    halves b = split(second ? load_part(second, lanes) : zeros());
    istore((int32_t *)to, pair_hi(a, b));
    istore((int32_t *)(to + TILE_BYTES), pair_lo(a, b));
}

/* The B tiles: pairs of places of dy. The pitch is even. */
static void spread_dy(const conv_kernel_amx_task *t, const room *r, band b, i64 first, i64 depth) {
    i64 row = first * TILE_DEPTH / t->pitch, column = first * TILE_DEPTH % t->pitch;
    i64 step = r->filter_tiles * 2 * TILE_BYTES;
    const float *pixel = t->dy + ((b.n * t->out_height + b.row + row) * t->out_width + b.column + column) * t->filters;
    for (i64 pair = 0; pair < depth * TILE_SIDE; pair++) {
        i64 there = row < b.rows ? b.columns - column : 0;
        char *to = r->b + pair / TILE_SIDE * step + pair % TILE_SIDE * 64;
        for (i64 f = 0; f < t->filters; f += TILE_SIDE, to += 2 * TILE_BYTES)
            put_pair(there > 0 ? pixel + f : 0, there > 1 ? pixel + t->filters + f : 0,
                     least(TILE_SIDE, t->filters - f), to);
        column += 2, pixel += 2 * t->filters;
        if (column == t->pitch) column = 0, row++, pixel += (t->out_width - t->pitch) * t->filters;
    }
}

/* Up to three tiles of rows with one vector of filters. C 0 1 2, B hi 3, lo 4, A 5 6 7. */
WITH_TILES INLINE void multiply(const room *r, const char *a, const char *b, float *c, i64 depth, i64 add,
                                const int tiles) {
    i64 line = r->filter_tiles * TILE_SIDE * 4;
    char *sums = (char *)c;
    _tile_zero(0);
    _tile_zero(1);
    _tile_zero(2);
    if (add) _tile_loadd(0, sums, line);
    if (add && tiles > 1) _tile_loadd(1, sums + 16 * line, line);
    if (add && tiles > 2) _tile_loadd(2, sums + 32 * line, line);
    for (i64 k = 0; k < depth; k++) {
        _tile_loadd(3, b, 64);
        _tile_loadd(5, a, 64);
        _tile_dpbf16ps(0, 5, 3);
        if (tiles > 1) {
            _tile_loadd(6, a + 2 * TILE_BYTES, 64);
            _tile_dpbf16ps(1, 6, 3);
        }
        if (tiles > 2) {
            _tile_loadd(7, a + 4 * TILE_BYTES, 64);
            _tile_dpbf16ps(2, 7, 3);
        }
        _tile_loadd(4, b + TILE_BYTES, 64);
        _tile_dpbf16ps(0, 5, 4);
        if (tiles > 1) _tile_dpbf16ps(1, 6, 4);
        if (tiles > 2) _tile_dpbf16ps(2, 7, 4);
        _tile_loadd(5, a + TILE_BYTES, 64);
        _tile_dpbf16ps(0, 5, 3);
        if (tiles > 1) {
            _tile_loadd(6, a + 3 * TILE_BYTES, 64);
            _tile_dpbf16ps(1, 6, 3);
        }
        if (tiles > 2) {
            _tile_loadd(7, a + 5 * TILE_BYTES, 64);
            _tile_dpbf16ps(2, 7, 3);
        }
        a += r->row_tiles * 2 * TILE_BYTES;
        b += r->filter_tiles * 2 * TILE_BYTES;
    }
    _tile_stored(0, sums, line);
    if (tiles > 1) _tile_stored(1, sums + 16 * line, line);
    if (tiles > 2) _tile_stored(2, sums + 32 * line, line);
}

/* Two tiles of rows with two vectors of filters. C 0 1 / 2 3, A 4 5, B 6 7. */
WITH_TILES static NOINLINE void multiply_square(const room *r, const char *a, const char *b, float *c, i64 depth,
                                                i64 add) {
    i64 line = r->filter_tiles * TILE_SIDE * 4;
    char *sums = (char *)c;
    _tile_zero(0);
    _tile_zero(1);
    _tile_zero(2);
    _tile_zero(3);
    if (add) {
        _tile_loadd(0, sums, line);
        _tile_loadd(1, sums + 64, line);
        _tile_loadd(2, sums + 16 * line, line);
        _tile_loadd(3, sums + 16 * line + 64, line);
    }
    for (i64 k = 0; k < depth; k++) {
        for (i64 lo = 0; lo < 2; lo++) {
            _tile_loadd(4, a + lo * TILE_BYTES, 64);
            _tile_loadd(6, b, 64);
            _tile_dpbf16ps(0, 4, 6);
            _tile_loadd(7, b + 2 * TILE_BYTES, 64);
            _tile_dpbf16ps(1, 4, 7);
            _tile_loadd(5, a + (2 + lo) * TILE_BYTES, 64);
            _tile_dpbf16ps(2, 5, 6);
            _tile_dpbf16ps(3, 5, 7);
            if (lo) break;
            _tile_loadd(6, b + TILE_BYTES, 64);
            _tile_dpbf16ps(0, 4, 6);
            _tile_loadd(7, b + 3 * TILE_BYTES, 64);
            _tile_dpbf16ps(1, 4, 7);
            _tile_dpbf16ps(2, 5, 6);
            _tile_dpbf16ps(3, 5, 7);
        }
        a += r->row_tiles * 2 * TILE_BYTES;
        b += r->filter_tiles * 2 * TILE_BYTES;
    }
    _tile_stored(0, sums, line);
    _tile_stored(1, sums + 64, line);
    _tile_stored(2, sums + 16 * line, line);
    _tile_stored(3, sums + 16 * line + 64, line);
}

#define MULTIPLY(tiles)                                                                                               \
    WITH_TILES static NOINLINE void multiply_##tiles(const room *r, const char *a, const char *b, float *c, i64 depth, \
                                                     i64 add) {                                                       \
        multiply(r, a, b, c, depth, add, tiles);                                                                      \
    }
MULTIPLY(1)
MULTIPLY(2)
MULTIPLY(3)

INLINE const char *rows_at(const room *r, i64 tile) { return r->a + tile * 2 * TILE_BYTES; }
INLINE const char *filters_at(const room *r, i64 tile) { return r->b + tile * 2 * TILE_BYTES; }
INLINE float *at(const room *r, float *sums, i64 row_tile, i64 filter_tile) {
    return sums + (row_tile * TILE_SIDE * r->filter_tiles + filter_tile) * TILE_SIDE;
}

static void multiply_block(const room *r, float *sums, i64 depth, i64 add) {
    i64 squares_down = r->filter_tiles > 1 ? r->row_tiles / 2 * 2 : 0, squares_across = r->filter_tiles / 2 * 2;
    for (i64 f = 0; f < squares_across; f += 2)
        for (i64 i = 0; i < squares_down; i += 2)
            multiply_square(r, rows_at(r, i), filters_at(r, f), at(r, sums, i, f), depth, add);
    for (i64 f = 0; f < r->filter_tiles; f++)
        for (i64 i = f < squares_across ? squares_down : 0, count; i < r->row_tiles; i += count) {
            count = r->row_tiles - i == 4 ? 2 : least(3, r->row_tiles - i);
            (count == 1 ? multiply_1 : count == 2 ? multiply_2 : multiply_3)(r, rows_at(r, i), filters_at(r, f),
                                                                             at(r, sums, i, f), depth, add);
        }
}

static void sum_band(const conv_kernel_amx_task *t, const room *r, band b, float *sums, i64 add) {
    char *plane = r->planes;
    for (i64 down = 0; down < r->phases_down; down++)
        for (i64 across = 0; across < r->phases_across; across++)
            for (i64 c = 0; c < t->channels; c++, plane += 2 * r->plane) spread_plane(t, r, b, down, across, c, plane);
    for (i64 k = 0; k < t->depth; k += t->block) {
        i64 depth = least(t->block, t->depth - k);
        lay_rows(r, k, depth);
        spread_dy(t, r, b, k, depth);
        multiply_block(r, sums, depth, add || k);
    }
}

WITH_TILES EXPORT void conv_kernel_few(const void *task, const context *at) {
    const conv_kernel_amx_task *t = task;
    room r = room_of(t, at->own);
    i64 bands = band_count(t);
    amx_begin();
    for (i64 part = at->thread; part < t->parts; part += at->threads) {
        i64 first = bands * part / t->parts, end = bands * (part + 1) / t->parts;
        for (i64 i = first; i < end; i++)
            sum_band(t, &r, band_of(t, i), (float *)at->shared + part * t->sums, i > first);
    }
    amx_end();
}

#endif
