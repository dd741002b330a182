/* Convolution in AMX tiles (amx.h): the same windows that slide along lines as in conv.c.
 *
 * The lines of x that a block of results reads are laid out flat in scratch as bfloat16, one plane for hi and one for lo,
 * with the zeros of the padding around them. A line has `pitch` pixels. A window line is then `length` consecutive
 * numbers, the next result's window begins `across` pixels further, and 16 results are the rows of a tile as they stand:
 *
 *     pitch 5, window 3x3:   place 0   a b c | f g h | k l m        A tile: 32 numbers of 16 such rows
 *                            place 1   b c d | g h i | l m n        k -->
 *                            place 2   c d e | h i j | m n o
 *                            place 3   d e f | ...                  crosses lines: computed, not stored
 *
 * With a stride of 1 a block of lines is one run of places, lines end to end; else each line is a run of its own.
 * A window line that is no multiple of 32 numbers reads on into what follows, which meets weights of 0.
 *
 *     for each panel of 32 filters, 32 places:    C (2 x 2 tiles) += A (2, hi and lo) * B (2, hi and lo), all k
 *     for a panel of 16 filters, 64 places:       C (4 x 1 tiles)
 *
 * What is done to results before they are stored is as in tile.h. Work is split by lines and by panels.
 */
#include "conv_amx.h"

TASK(conv_amx_task);

#ifdef AMX

/* 16 bit each, in order. */
INLINE __m256i upper_halves(ivec x) { return _mm512_cvtepi32_epi16(_mm512_srli_epi32((__m512i)x, 16)); }

static void lay_out(const float *from, i64 n, uint16_t *hi, uint16_t *lo) {
    i64 i = 0;
    for (; i + VL <= n; i += VL) {
        halves h = split(load(from + i));
        _mm256_storeu_si256((__m256i *)(hi + i), upper_halves(h.hi));
        _mm256_storeu_si256((__m256i *)(lo + i), upper_halves(h.lo));
    }
    if (i < n) {
        halves h = split(load_part(from + i, n - i));
        _mm256_mask_storeu_epi16(hi + i, first_lanes(n - i), upper_halves(h.hi));
        _mm256_mask_storeu_epi16(lo + i, first_lanes(n - i), upper_halves(h.lo));
    }
}

static void blank(uint16_t *hi, uint16_t *lo, i64 n) {
    memset(hi, 0, 2 * (size_t)n);
    memset(lo, 0, 2 * (size_t)n);
}

/* Line j of an image, with zeros where it is outside. */
static void lay_out_line(const conv_amx_task *t, i64 image, i64 j, uint16_t *hi, uint16_t *lo) {
    i64 c = t->channels, before = least(most(t->left, 0), t->pitch), skipped = most(-t->left, 0);
    i64 pixels = j < 0 || j >= t->height ? 0 : most(least(t->width - skipped, t->pitch - before), 0);
    if (t->limit >= 0) pixels = least(pixels, most(t->limit - j * t->width, 0));
    if (!pixels) before = 0;
    blank(hi, lo, before * c);
    const float *x = t->x + image * t->x_image + j * t->x_line + skipped * t->x_pixel;
    i64 run = t->x_pixel == c ? pixels : 1; /* neighbours in x */
    for (i64 i = 0; i < pixels; i += run)
        lay_out(x + i * t->x_pixel, run * c, hi + (before + i) * c, lo + (before + i) * c);
    blank(hi + (before + pixels) * c, lo + (before + pixels) * c, (t->pitch - before - pixels) * c);
}

typedef struct {
    const char *hi, *lo; /* of the first place */
    i64 step;            /* bytes from place to place */
    const i64 *offsets;  /* bytes from segment to segment */
    i64 segments, depth; /* tiles in a segment */
    const char *ahead;   /* weights that come next, to be fetched meanwhile; or NULL */
} operand;

/* As many bytes as a step of a product reads of its weights. */
INLINE void fetch(const char *ahead, i64 bytes) {
    for (i64 i = 0; i < bytes; i += 64) __builtin_prefetch(ahead + i, 0, 2);
}

/* 32 places times 32 filters. */
WITH_TILES NOINLINE static void product_2x2(const operand *a, const char *b, float *c) {
    _tile_zero(0);
    _tile_zero(1);
    _tile_zero(2);
    _tile_zero(3);
    i64 next = 16 * a->step;
    const char *ahead = a->ahead;
    for (i64 s = 0; s < a->segments; s++) {
        const char *hi = a->hi + a->offsets[s], *lo = a->lo + a->offsets[s];
        for (i64 k = 0; k < a->depth; k++, hi += 64, lo += 64, b += 4 * TILE_BYTES) {
            if (ahead) fetch(ahead, 4 * TILE_BYTES), ahead += 4 * TILE_BYTES;
            _tile_loadd(4, hi, a->step);
            _tile_loadd(6, b + TILE_BYTES, 64);
            _tile_dpbf16ps(0, 4, 6);
            _tile_loadd(7, b + 3 * TILE_BYTES, 64);
            _tile_dpbf16ps(1, 4, 7);
            _tile_loadd(5, hi + next, a->step);
            _tile_dpbf16ps(2, 5, 6);
            _tile_dpbf16ps(3, 5, 7);
            _tile_loadd(6, b, 64);
            _tile_dpbf16ps(0, 4, 6);
            _tile_loadd(7, b + 2 * TILE_BYTES, 64);
            _tile_dpbf16ps(1, 4, 7);
            _tile_dpbf16ps(2, 5, 6);
            _tile_dpbf16ps(3, 5, 7);
            _tile_loadd(4, lo, a->step);
            _tile_dpbf16ps(0, 4, 6);
            _tile_dpbf16ps(1, 4, 7);
            _tile_loadd(5, lo + next, a->step);
            _tile_dpbf16ps(2, 5, 6);
            _tile_dpbf16ps(3, 5, 7);
        }
    }
    _tile_stored(0, c, 128);
    _tile_stored(1, c + 16, 128);
    _tile_stored(2, c + 512, 128);
    _tile_stored(3, c + 528, 128);
}

#define ROUND(plane, weights)                                                                                         \
    _tile_loadd(4, plane, a->step);                                                                                   \
    _tile_dpbf16ps(0, 4, weights);                                                                                    \
    _tile_loadd(5, plane + next, a->step);                                                                            \
    _tile_dpbf16ps(1, 5, weights);                                                                                    \
    _tile_loadd(4, plane + 2 * next, a->step);                                                                        \
    _tile_dpbf16ps(2, 4, weights);                                                                                    \
    _tile_loadd(5, plane + 3 * next, a->step);                                                                        \
    _tile_dpbf16ps(3, 5, weights);

/* 64 places times 16 filters. */
WITH_TILES NOINLINE static void product_4x1(const operand *a, const char *b, float *c) {
    _tile_zero(0);
    _tile_zero(1);
    _tile_zero(2);
    _tile_zero(3);
    i64 next = 16 * a->step;
    const char *ahead = a->ahead;
    for (i64 s = 0; s < a->segments; s++) {
        const char *hi = a->hi + a->offsets[s], *lo = a->lo + a->offsets[s];
        for (i64 k = 0; k < a->depth; k++, hi += 64, lo += 64, b += 2 * TILE_BYTES) {
            if (ahead) fetch(ahead, 2 * TILE_BYTES), ahead += 2 * TILE_BYTES;
            _tile_loadd(6, b, 64);
            _tile_loadd(7, b + TILE_BYTES, 64);
            ROUND(hi, 7)
            ROUND(hi, 6)
            ROUND(lo, 6)
        }
    }
    _tile_stored(0, c, 64);
    _tile_stored(1, c + 256, 64);
    _tile_stored(2, c + 512, 64);
    _tile_stored(3, c + 768, 64);
}

/* What is done to the results of a panel, taken out of the task once for all of them. */
typedef struct {
    vec bias[2], low;
    const float *add, *mask;
    float *y;
    i64 lanes[2]; /* of the two vectors */
    i64 pixel;    /* from result to result */
} ending;

INLINE ending ending_of(const conv_amx_task *t, i64 panel) {
    i64 column = panel * PANEL, count = least(PANEL, t->filters - column);
    ending e = {.low = all((float)t->low), .add = t->add, .mask = t->mask, .y = t->y, .pixel = t->y_pixel};
    e.lanes[0] = least(VL, count), e.lanes[1] = most(count - VL, 0);
    for (int v = 0; v < 2; v++) e.bias[v] = t->bias ? load_part(t->bias + column + v * VL, e.lanes[v]) : zeros();
    return e;
}

/* Sums over some results in float32, to be added to those in double before they lose digits. */
typedef struct {
    vec pivot[2], sums[2], squares[2];
    i64 count, begun;
} gathered;

enum { MOST_GATHERED = 1024 };

INLINE vec finished(const ending *e, int v, vec r, i64 at, int add, int masked) {
    r += e->bias[v];
    if (add) r += load_part(e->add + at, e->lanes[v]);
    r = max_or_second(e->low, r);
    return masked ? keep(greater(load_part(e->mask + at, e->lanes[v]), zeros()), r) : r;
}

/* `count` results of one vector, `step` floats apart in c, e->pixel apart in y. */
INLINE void store_line(const ending *from, int v, const float *c, i64 step, i64 count, i64 at, gathered *g, int add,
                       int masked, int gathers) {
    ending e = *from;
    vec pivot = gathers ? g->pivot[v] : zeros(), sums = zeros(), squares = zeros();
    at += v * VL;
    for (i64 i = 0; i < count; i++, at += e.pixel) {
        vec r = finished(&e, v, load(c + i * step + v * VL), at, add, masked);
        store_part(e.y + at, r, e.lanes[v]);
        if (!gathers) continue;
        r -= pivot;
        sums += r;
        squares += r * r;
    }
    if (gathers) g->sums[v] += sums, g->squares[v] += squares;
}

NOINLINE static void store_results(const ending *e, const float *c, i64 wide, i64 count, i64 at, gathered *g) {
    int form = (e->add ? 4 : 0) | (e->mask ? 2 : 0) | (g ? 1 : 0);
    for (int v = 0; g && !g->begun && v < wide; v++)
        g->pivot[v] = finished(e, v, load(c + v * VL), at + v * VL, form & 4, form & 2);
    for (int v = 0; v < wide; v++) switch (form) {
            case 0: store_line(e, v, c, wide * VL, count, at, g, 0, 0, 0); break;
            case 1: store_line(e, v, c, wide * VL, count, at, g, 0, 0, 1); break;
            case 2: store_line(e, v, c, wide * VL, count, at, g, 0, 1, 0); break;
            case 4: store_line(e, v, c, wide * VL, count, at, g, 1, 0, 0); break;
            case 5: store_line(e, v, c, wide * VL, count, at, g, 1, 0, 1); break;
            case 6: store_line(e, v, c, wide * VL, count, at, g, 1, 1, 0); break;
            default: store_line(e, v, c, wide * VL, count, at, g, form & 4, 1, 1);
        }
    if (g) g->begun = 1, g->count += count;
}

static void hand_over(gathered *g, statistics *s, i64 panel) {
    i64 column = panel * PANEL;
    for (int v = 0; v < 2; v++) {
        for (int i = 0; i < VL; i++) {
            s->sums[column + v * VL + i] += g->sums[v][i];
            s->squares[column + v * VL + i] += g->squares[v][i];
        }
        g->sums[v] = g->squares[v] = zeros();
    }
    g->count = 0;
}

typedef struct {
    i64 image, line, lines;  /* of results */
    uint16_t *hi, *lo;
    i64 offsets[];
} laid_out;

/* How many results of line i exist. */
INLINE i64 results_in(const conv_amx_task *t, i64 i) {
    return t->limit < 0 ? t->columns : most(least(t->columns, t->limit - i * t->columns), 0);
}

/* `places` places from a result's line on, all of a panel. */
WITH_TILES static void run_places(const conv_amx_task *t, const laid_out *b, i64 line, i64 places, i64 panel,
                                  statistics *s) {
    i64 wide = vectors_in(t->filters, panel), at_once = wide == 2 ? PLACES : MOST_PLACES;
    i64 depth = up(t->length, TILE_DEPTH), segments = t->taps * t->pieces;
    i64 step = t->across * t->channels;
    ending end = ending_of(t, panel);
    int begun = s && (s->count > 0 || line > b->line);
    gathered g = {.begun = begun};
    for (int v = 0; v < 2 && begun; v++) g.pivot[v] = load(s->pivots + panel * PANEL + v * VL);
    const char *weights = t->packed + panel * segments * depth * 4 * TILE_BYTES;
    float c[1024] __attribute__((aligned(64)));
    i64 i = line, j = 0;
    for (i64 q = 0; q < places; q += at_once) {
        i64 first = (line - b->line) * t->down * t->pitch * t->channels + q * step;
        i64 last = least(at_once, places - q);
        operand a = {(char *)(b->hi + first), (char *)(b->lo + first), 2 * step, b->offsets, segments, depth, 0};
        if (!q && line == b->line && (panel + 1) * PANEL < t->filters) a.ahead = weights + segments * depth * 4 * TILE_BYTES;
        if (wide == 2)
            product_2x2(&a, weights, c);
        else
            product_4x1(&a, weights, c);
        for (i64 r = 0, more; r < last; r += more) {
            i64 at = b->image * t->y_image + i * t->y_line + j * t->y_pixel + panel * PANEL;
            more = least((j < results_in(t, i) ? results_in(t, i) : t->pitch) - j, last - r);
            if (j < results_in(t, i)) store_results(&end, c + r * wide * VL, wide, more, at, s ? &g : 0);
            j += more;
            if (j == t->pitch) j = 0, i++;
        }
        if (g.count >= MOST_GATHERED) hand_over(&g, s, panel);
    }
    if (s) hand_over(&g, s, panel);
    for (int v = 0; v < 2 && s && !begun; v++) store(s->pivots + panel * PANEL + v * VL, g.pivot[v]);
}

static void lay_out_block(const conv_amx_task *t, laid_out *b) {
    i64 lines = (b->lines - 1) * t->down + (t->taps - 1) * t->dilation + 1, line = t->pitch * t->channels;
    for (i64 j = 0; j < lines; j++)
        lay_out_line(t, b->image, b->line * t->down - t->top + j, b->hi + j * line, b->lo + j * line);
    blank(b->hi + lines * line, b->lo + lines * line, SLACK);
}

WITH_TILES static void work_off(const conv_amx_task *t, laid_out *b, i64 first, i64 last, statistics *s) {
    lay_out_block(t, b);
    int flat = t->down == 1 && t->across == 1;
    for (i64 panel = first; panel < last; panel++)
        for (i64 i = 0; i < b->lines; i += flat ? b->lines : 1)
            run_places(t, b, b->line + i, flat ? (b->lines - 1) * t->pitch + t->columns : t->columns, panel, s);
    for (i64 i = b->line; s && i < b->line + b->lines; i++) s->count += results_in(t, i);
    i64 left = first * PANEL, right = least(last * PANEL, t->filters);
    for (i64 i = b->line; t->after && i < b->line + b->lines; i++) {
        i64 at = (b->image * t->y_image + i * t->y_line) / t->filters;
        formula_block(t->after, at, results_in(t, i), left, right - left, 0, 0);
    }
}

/* Those of a share of lines, for panels first to last, at 0. */
static statistics *statistics_of(const conv_amx_task *t, i64 share, i64 first, i64 last) {
    if (!t->statistics) return 0;
    statistics *s = t->statistics + share;
    size_t bytes = sizeof(double) * (size_t)((last - first) * PANEL);
    s->count = 0;
    memset(s->sums + first * PANEL, 0, bytes);
    memset(s->squares + first * PANEL, 0, bytes);
    return s;
}

#endif

/* own: offsets of segments, then the two planes of a block with SLACK and what MOST_PLACES read behind. */
#ifdef AMX
WITH_TILES
#endif
EXPORT void conv_amx(const void *task, const context *at) {
#ifdef AMX
    const conv_amx_task *t = task;
    laid_out *b = (laid_out *)at->own;
    i64 segments = t->taps * t->pieces, lines = (t->block - 1) * t->down + (t->taps - 1) * t->dilation + 1;
    i64 plane = (lines * t->pitch + MOST_PLACES * t->across) * t->channels + SLACK;
    b->hi = (uint16_t *)(at->own + up((i64)sizeof *b + 8 * segments, 64) * 64);
    b->lo = b->hi + up(plane, 32) * 32;
    for (i64 s = 0; s < segments; s++)
        b->offsets[s] = 2 * t->channels * (s / t->pieces * t->dilation * t->pitch + s % t->pieces * t->piece_step);
    amx_begin();
    for (i64 number = at->thread; number < t->line_shares * t->panel_shares; number += at->threads) {
        context by_line = {number / t->panel_shares, t->line_shares, 0, 0};
        context by_panel = {number % t->panel_shares, t->panel_shares, 0, 0};
        i64 line, last, first_panel, last_panel;
        share(t->images * t->rows, &by_line, &line, &last);
        share(up(t->filters, PANEL), &by_panel, &first_panel, &last_panel);
        statistics *s = statistics_of(t, number / t->panel_shares, first_panel, last_panel);
        for (; line < last; line += b->lines) {
            b->image = line / t->rows;
            b->line = line % t->rows;
            b->lines = least(least(t->block, t->rows - b->line), last - line);
            work_off(t, b, first_panel, last_panel, s);
        }
    }
    amx_end();
#else
    (void)task, (void)at;
#endif
}
