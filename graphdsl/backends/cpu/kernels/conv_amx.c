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
#include "conv_amx_store.h"

TASK(conv_amx_task);

#ifdef AMX

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
