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
 * A block of lines is one run of places, lines end to end. With a stride s down the lines 0, s, 2 s ... come first,
 * then 1, s + 1 ..., and pitch is a multiple of the stride across: pitch / across places lead from line to line.
 * Zeros to the right of a line are those to the left of the next, as far as there are such (`shared` pixels).
 * A window line that is no multiple of 32 numbers reads on into what follows, which meets weights of 0.
 *
 *     for each panel of 32 filters, 32 places:    C (2 x 2 tiles) += A (2, hi and lo) * B (2, hi and lo), all k
 *     for a panel of 16 filters, 64 places:       C (4 x 1 tiles)
 *
 * Results are stored while the next product is under way: tiles multiply for long, and vectors are idle meanwhile.
 * So is memory, and the lines of y, mask and others that the results will meet are fetched.
 * What is done to results before they are stored is as in tile.h; moments and sums of them are gathered on the way.
 * Work is split by lines and by panels.
 * x may be made on the way, by a formula, some lines at a time before they are laid out: then threads have whole images.
 */
#include "conv_amx_store.h"

TASK(conv_amx_task);

#ifdef AMX

/* How many results of line i exist. */
INLINE i64 results_in(const conv_amx_task *t, i64 i) {
    return t->limit < 0 ? t->columns : most(least(t->columns, t->limit - i * t->columns), 0);
}

/* A panel of a block: what its products read, and results of the product before, which are stored meanwhile. */
typedef struct {
    const conv_amx_task *t;
    const laid_out *b;
    i64 panel, wide;
    const char *weights;
    ending end;
    gathered g;
    statistics *s;
    const float *c;
    i64 i, j, stored, count; /* of c: its next result is place j of line i, so many are stored, of so many */
} panel_run;

enum { PORTION = 4 }; /* steps of a product between which results are stored, and at least so many of them */

/* Where in y result j of the line that is stored has its place. */
INLINE i64 place_of(const panel_run *run, i64 j) {
    const conv_amx_task *t = run->t;
    return run->b->image * t->y_image + run->i * t->y_line + j * t->y_pixel + run->panel * PANEL;
}

/* The first `until` results of c are stored. */
static void store_until(panel_run *run, i64 until) {
    const conv_amx_task *t = run->t;
    i64 pitch = t->pitch / t->across;
    for (i64 more; run->stored < until; run->stored += more) {
        i64 at = place_of(run, run->j);
        i64 results = results_in(t, run->i), left = until - run->stored;
        more = least((run->j < results ? results : pitch) - run->j, left);
        if (run->j < results)
            store_results(&run->end, run->c + run->stored * run->wide * VL, run->wide, more, at, &run->g);
        run->j += more;
        if (run->j == pitch) run->j = 0, run->i++;
    }
    if (run->g.count >= MOST_GATHERED) hand_over(&run->g, run->s, run->panel);
}

/* A product of the places from one on, all depth, to c. While tiles multiply, the results before it are stored. */
WITH_TILES static void multiply(panel_run *run, product *multiply_part, i64 place, const char *ahead, float *c) {
    const conv_amx_task *t = run->t;
    i64 depth = up(t->length, TILE_DEPTH), segments = t->taps * t->pieces, bytes = run->wide * 2 * TILE_BYTES;
    i64 parts = segments * up(depth, PORTION), part = 0, step = 2 * t->across * t->channels;
    const char *weights = run->weights;
    i64 at_once = run->wide == 2 ? PLACES : MOST_PLACES, each = up(at_once, parts);
    i64 coming_at = place_of(run, least(run->j, results_in(t, run->i))) + run->count * t->y_pixel;
    coming met = coming_to(&run->end, &run->g, coming_at, at_once);
    _tile_zero(0);
    _tile_zero(1);
    _tile_zero(2);
    _tile_zero(3);
    for (i64 s = 0; s < segments; s++) {
        i64 at = run->b->offsets[s] + place * step;
        for (i64 k = 0; k < depth; k += PORTION, at += 64 * PORTION) {
            i64 steps = least(PORTION, depth - k);
            multiply_part((const char *)run->b->hi + at, (const char *)run->b->lo + at, step, weights, ahead, steps);
            weights += steps * bytes;
            if (ahead) ahead += steps * bytes;
            fetch_coming(&met, each, run->wide * 64);
            i64 until = ++part < parts ? run->count * part / parts / PORTION * PORTION : run->count;
            if (until > run->stored) store_until(run, until);
        }
    }
    i64 row = run->wide * 64, next = run->wide == 2 ? 16 : 256;
    _tile_stored(0, c, row);
    _tile_stored(1, c + next, row);
    _tile_stored(2, c + 512, row);
    _tile_stored(3, c + 512 + next, row);
}

/* The places of a block, all of a panel. */
WITH_TILES static void run_places(const conv_amx_task *t, const laid_out *b, i64 panel, statistics *s) {
    i64 wide = vectors_in(t->filters, panel), at_once = wide == 2 ? PLACES : MOST_PLACES;
    i64 places = (b->lines - 1) * (t->pitch / t->across) + t->columns;
    i64 bytes = t->taps * t->pieces * up(t->length, TILE_DEPTH) * 4 * TILE_BYTES;
    const char *weights = t->packed + panel * bytes, *ahead = (panel + 1) * PANEL < t->filters ? weights + bytes : 0;
    panel_run run = {t, b, panel, wide, weights, ending_of(t, panel), gathered_of(t, s, panel), s, .i = b->line};
    int begun = (int)run.g.begun;
    float c[2][1024] __attribute__((aligned(64)));
    for (i64 q = 0, turn = 0; q < places; q += at_once, turn = !turn, ahead = 0) {
        i64 count = least(at_once, places - q);
        if (wide == 2)
            multiply(&run, count > PLACES / 2 ? product_2x2 : product_1x2, q, ahead, c[turn]);
        else
            multiply(&run, count > MOST_PLACES / 2 ? product_4x1 : product_2x1, q, ahead, c[turn]);
        run.c = c[turn], run.stored = 0, run.count = count;
    }
    store_until(&run, run.count);
    hand_over(&run.g, s, panel);
    for (int v = 0; v < 2 && run.g.kind == MOMENTS && !begun; v++)
        store(s->pivots + panel * PANEL + v * VL, run.g.centre[0][v]);
}

WITH_TILES static void work_off(const conv_amx_task *t, laid_out *b, i64 first, i64 last, statistics *s) {
    lay_out_block(t, b);
    for (i64 panel = first; panel < last; panel++) run_places(t, b, panel, s);
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
    s->count = 0;
    for (int k = 0; k < rows_gathered(t->gathers); k++)
        memset(s->sums + k * s->wide + first * PANEL, 0, sizeof(double) * (size_t)((last - first) * PANEL));
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
    i64 segments = t->taps * t->pieces, lines = t->down * lines_of_a_phase(t);
    i64 plane = (lines * t->pitch + t->shared + MOST_PLACES * t->across) * t->channels + SLACK;
    b->hi = (uint16_t *)(at->own + up((i64)sizeof *b + 8 * segments, 64) * 64);
    b->lo = b->hi + up(plane, 32) * 32;
    for (i64 s = 0; s < segments; s++)
        b->offsets[s] =
            2 * t->channels * (slot(t, s / t->pieces * t->dilation) * t->pitch + s % t->pieces * t->piece_step);
    amx_begin();
    for (i64 number = at->thread; number < t->line_shares * t->panel_shares; number += at->threads) {
        context by_line = {number / t->panel_shares, t->line_shares, 0, 0};
        context by_panel = {number % t->panel_shares, t->panel_shares, 0, 0};
        i64 line, last, first_panel, last_panel;
        i64 unit = t->before && t->limit < 0 ? t->rows : 1;
        share(t->images * t->rows / unit, &by_line, &line, &last);
        line *= unit, last *= unit;
        share(up(t->filters, PANEL), &by_panel, &first_panel, &last_panel);
        statistics *s = statistics_of(t, number / t->panel_shares, first_panel, last_panel);
        b->ready = line % t->rows * (t->x_line / t->channels);
        for (; line < last; line += b->lines) {
            b->image = line / t->rows;
            b->line = line % t->rows;
            b->end = least(last - b->image * t->rows, t->rows);
            b->lines = least(t->block, b->end - b->line);
            if (!b->line) b->ready = 0;
            work_off(t, b, first_panel, last_panel, s);
        }
    }
    amx_end();
#else
    (void)task, (void)at;
#endif
}
