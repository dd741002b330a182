/* Convolution of pictures and sequences [images, lines, pixels, channels], and its input gradient as convolutions.
 *
 * The channels under a window are, line by line, consecutive floats of x. So a line of results is a product of
 * matrices as it stands, without a copy: its rows overlap in x, x_pixel apart, cut into a segment for each line
 * of the window (for each tap, where taps are dilated):
 *
 *      x    line i     |  a  b  c  d  e |     result   row 0   a b c | f g h | k l m
 *           line i+1   |  f  g  h  i  j |              row 1   b c d | g h i | l m n     times packed weights
 *           line i+2   |  k  l  m  n  o |              row 2   c d e | h i j | m n o
 *
 * Lines of the window above and below the picture are left out. Where windows reach past the sides, the lines that a
 * block of results reads are first copied to scratch with zeros around them ("staged"): once a line, not once a tap.
 *
 * Long lines are cut into parts; an image is then so many strips side by side. A window of one pixel knows no lines:
 * the whole batch is one line. So it is where windows are gathered, each a row of its own: where lines are too short to
 * fill tiles, and where single pixels are far apart.
 *
 * Work is split into line_shares * panel_shares: lines of results by panels of filters. A block of lines stays in the
 * second cache while all panels pass over it.
 */
#include "conv.h"

TASK(conv_task);

typedef struct {
    i64 start, end;  /* lines of results, counted through all strips */
    i64 whole;       /* staged strips begin with line 0 of x, not with the first that is read */
    i64 first;       /* the line of x that a staged strip begins with */
    float *lines;    /* staged */
    i64 panel;       /* the first of the share */
    i64 after;       /* where the next block ends, which is fetched meanwhile; 0: weights are */
} block;

/* Weights that stay in the second cache from block to block. */
enum { NEAR = 1 << 17 };
/* Floats of a row that are multiplied at a time where weights are read once: their panel stays in the first cache. */
enum { SLICE = 256 };

/* The taps that lie in the picture, for results in line i: from *first up to *last. */
static void reached(const conv_task *t, i64 i, i64 *first, i64 *last) {
    i64 corner = i * t->down - t->top, d = t->dilation;
    *first = corner < 0 ? least((-corner + d - 1) / d, t->taps) : 0;
    *last = corner < t->height ? least((t->height - corner + d - 1) / d, t->taps) : 0;
    *last = most(*first, *last);
}

/* The lines of x that lines i up to `end` of a strip read. */
static void lines_read(const conv_task *t, i64 i, i64 end, i64 *first, i64 *last) {
    *first = least(most(i * t->down - t->top, 0), t->height);
    *last = most(least((end - 1) * t->down - t->top + (t->taps - 1) * t->dilation + 1, t->height), *first);
}

/* Where line j of a strip is staged. */
static float *staged(const conv_task *t, const block *b, i64 strip, i64 j) {
    return b->lines + (strip - b->start / t->rows) * t->staged_image + (j - b->first) * t->staged_line;
}

/* `count` floats of a line of x from `start` on, zeros where there are none. */
static void copy_part(const conv_task *t, const float *x, i64 start, i64 count, float *to) {
    i64 end = start + count, from = least(most(start, 0), t->x_wide), until = most(least(end, t->x_wide), from);
    i64 before = most(least(from - start, count), 0);
    memset(to, 0, 4 * (size_t)before);
    memcpy(to + before, x + from, 4 * (size_t)(until - from));
    memset(to + before + until - from, 0, 4 * (size_t)(count - before - (until - from)));
}

static void stage_line(const conv_task *t, i64 strip, i64 j, float *to) {
    const float *x = t->x + strip / t->parts * t->x_image + j * t->x_line;
    copy_part(t, x, strip % t->parts * t->x_part + t->from, t->staged_line, to);
}

/* The windows of a strip, one after the other. */
static void gather(const conv_task *t, i64 strip, float *to) {
    i64 first = strip * t->wide, pixels = strip + 1 < t->parts ? t->wide : t->last, length = t->length / t->window;
    for (i64 p = first; p < first + pixels; p++, to += t->x_pixel) {
        i64 line = p / t->gathered, top = line % t->gathered_lines * t->down - t->window_top;
        const float *x = t->x + line / t->gathered_lines * t->x_image;
        for (i64 k = 0; k < t->window; k++) {
            i64 j = top + k * t->dilation;
            if (j >= 0 && j < t->height)
                copy_part(t, x + j * t->x_line, p % t->gathered * t->window_pixel + t->from, length, to + k * length);
            else
                memset(to + k * length, 0, 4 * (size_t)length);
        }
    }
}

static void stage(const conv_task *t, block *b) {
    if (t->gathered) {
        b->first = 0;
        for (i64 l = b->start; l < b->end; l++) gather(t, l, staged(t, b, l, 0));
        return;
    }
    for (i64 l = b->start, end; l < b->end; l = end) {
        i64 strip = l / t->rows, first, last;
        end = least((strip + 1) * t->rows, b->end);
        lines_read(t, l - strip * t->rows, end - strip * t->rows, &first, &last);
        if (l == b->start) b->first = b->whole ? 0 : first;
        for (i64 j = first; j < last; j++) stage_line(t, strip, j, staged(t, b, strip, j));
    }
}

/* The weights of panel q, counted through all groups. */
static const float *weights_of(const conv_task *t, i64 q) {
    i64 panels = panel_count(t->filters), k = t->taps * t->pieces * t->length;
    return t->packed + q / panels * packed_size(k, t->filters) + q % panels * 2 * VL * k;
}

/* The floats that lie `asked` behind the first of what the next block reads and writes, one thing after another; NULL
 * behind all of it. */
static const float *coming(const conv_task *t, const block *b, i64 asked) {
    const float *all[] = {t->x, t->y, t->add};
    i64 part[] = {t->x_part, t->y_part, t->add ? t->y_part : 0};
    for (int i = 0; i < 3; i++) {
        i64 floats = (b->after - b->end) * part[i];
        if (asked < floats) return all[i] + b->end * part[i] + asked;
        asked -= floats;
    }
    return 0;
}

/* The pace at which so many tiles fetch so many floats. */
static i64 pace_of(const conv_task *t, i64 floats, i64 tiles) {
    i64 each = tiles * tile_fetches(t->taps * t->pieces, t->length, 1);
    return each ? least((floats + each - 1) / each, 4) : 0;
}

/* What line l of a block, of so many tiles, fetches while it works on panel q: its share of the weights of the next
 * panel, or of the next block. */
static void fetch(const conv_task *t, const block *b, i64 l, i64 tiles, i64 q, i64 end, tile *next) {
    i64 lines = b->end - b->start, line = l - b->start;
    i64 floats = t->taps * t->pieces * t->length * panel_width(t->filters, q % panel_count(t->filters)) * VL;
    if (b->after) {
        line += (q - b->panel) * lines, lines *= end - b->panel;
        floats = (b->after - b->end) * (t->x_part + (t->add ? 2 : 1) * t->y_part);
    }
    i64 pace = pace_of(t, floats, lines * tiles);
    i64 asked = line * tiles * tile_fetches(t->taps * t->pieces, t->length, pace);
    if (b->after)
        next->next = coming(t, b, asked);
    else
        next->next = q + 1 < end && asked < floats ? weights_of(t, q + 1) + asked : 0;
    next->pace = next->next ? pace : 0;
}

/* All rows, a slice of their sums after the other, each of which fetches the weights behind it; `last`: of these there
 * are none behind the last slice. */
static void slices(const tile *whole, i64 rows, i64 width, int last) {
    i64 count = whole->length / SLICE, tiles = (rows + TILE_ROWS(width) - 1) / TILE_ROWS(width);
    for (i64 i = 0; i < count; i++) {
        tile next = *whole;
        i64 from = whole->length * i / count, end = whole->length * (i + 1) / count;
        next.a += from, next.b += from * width * VL, next.length = end - from;
        if (i) next.bias = 0, next.add = next.c, next.add_stride = next.c_stride;
        if (i + 1 < count) next.low = -INFINITY, next.mask = 0;
        if (i + 1 < count || !last) {
            next.next = next.b + next.length * width * VL;
            next.pace = least((4 * width * VL / CACHE_LINE + tiles - 1) / tiles, 4);
        }
        tile_rows(&next, rows, width);
    }
}

/* Line l of results, its columns from panel q on, of which `end` is behind the last of this share. */
static void line(const conv_task *t, const block *b, i64 l, i64 q, i64 end) {
    i64 panels = panel_count(t->filters), group = q / panels, p = q % panels;
    i64 strip = l / t->rows, i = l % t->rows, part = strip % t->parts, first, last;
    i64 depth = t->pieces * t->length, width = panel_width(t->filters, p);
    reached(t, i, &first, &last);
    i64 j = i * t->down - t->top + first * t->dilation;
    const float *x = t->x + strip / t->parts * t->x_image + part * t->x_part + t->from;
    const float *a = t->staged_line ? staged(t, b, strip, j) : x + j * t->x_line;
    i64 pixels = part + 1 < t->parts ? t->wide : t->last;
    i64 column = group * t->filters + p * 2 * VL;
    i64 at = strip / t->parts * t->y_image + part * t->y_part + i * t->y_line + column;
    tile next = {
        .a = a + group * t->channels,
        .a_stride = t->x_pixel,
        .segments = (last - first) * t->pieces,
        .offsets = t->offsets,
        .length = t->length,
        .b = weights_of(t, q) + first * width * depth * VL,
        .c = t->y + at,
        .c_stride = t->y_pixel,
        .columns = panel_columns(t->filters, p),
        .bias = t->bias ? t->bias + column : 0,
        .add = t->add ? t->add + at : 0,
        .add_stride = t->y_pixel,
        .low = (float)t->low,
        .mask = t->mask ? t->mask + at : 0,
        .mask_stride = t->y_pixel,
    };
    if (b->end - b->start == 1 && next.segments == 1 && t->length >= 2 * SLICE) {
        slices(&next, pixels, width, q + 1 == end);
        return;
    }
    fetch(t, b, l, (pixels + TILE_ROWS(width) - 1) / TILE_ROWS(width), q, end, &next);
    tile_rows(&next, pixels, width);
}

/* Blocks of less than a strip end with it; larger ones are of whole strips but for the first and the last. */
static i64 block_end(const conv_task *t, i64 start, i64 last) {
    i64 end = start + t->block;
    if (t->block < t->rows) return least(least(end, (start / t->rows + 1) * t->rows), last);
    return least(end / t->rows * t->rows, last);
}

/* The formula, on the results of panels first to last in the lines of a block. */
static void finish(const conv_task *t, const block *b, i64 first, i64 last) {
    i64 panels = panel_count(t->filters), total = t->groups * t->filters;
    i64 left = first / panels * t->filters + first % panels * 2 * VL;
    i64 right = last == t->groups * panels ? total : last / panels * t->filters + last % panels * 2 * VL;
    for (i64 l = b->start; l < b->end; l++) {
        i64 strip = l / t->rows, part = strip % t->parts;
        i64 at = strip / t->parts * t->y_image + part * t->y_part + l % t->rows * t->y_line;
        formula_block(t->after, at / total, part + 1 < t->parts ? t->wide : t->last, left, right - left, 0, 0);
    }
}

/* Panels first to last of a block of lines. */
static void work_off(const conv_task *t, block *b, i64 first, i64 last) {
    if (t->staged_line) stage(t, b);
    for (i64 q = first; q < last; q++)
        for (i64 l = b->start; l < b->end; l++) line(t, b, l, q, last);
    if (t->after) finish(t, b, first, last);
}

/* The lines, of so many, and the panels that belong to a share of the work. */
static void shares(const conv_task *t, i64 number, i64 lines, i64 *line_range, i64 *panel_range) {
    context by_line = {number / t->panel_shares, t->line_shares, 0, 0};
    context by_panel = {number % t->panel_shares, t->panel_shares, 0, 0};
    share(lines, &by_line, line_range, line_range + 1);
    share(t->groups * panel_count(t->filters), &by_panel, panel_range, panel_range + 1);
}

EXPORT void conv(const void *task, const context *at) {
    const conv_task *t = task;
    for (i64 number = at->thread; number < t->line_shares * t->panel_shares; number += at->threads) {
        i64 lines[2], panels[2];
        shares(t, number, t->images * t->parts * t->rows, lines, panels);
        i64 near = t->images * t->rows * t->panel_shares == 1 && !t->staged_line && t->length * t->filters <= NEAR;
        block b = {.whole = t->block >= t->rows, .lines = (float *)at->own, .panel = panels[0]};
        for (b.start = lines[0]; b.start < lines[1]; b.start = b.end) {
            b.end = block_end(t, b.start, lines[1]);
            if (near && b.start > lines[0]) b.after = block_end(t, b.end, lines[1]);
            work_off(t, &b, panels[0], panels[1]);
        }
    }
}

TASK(conv_phases_task);

/* All sweeps of a block of lines before the next block, so that y is written while it is in the cache. */
EXPORT void conv_phases(const void *task, const context *at) {
    const conv_phases_task *p = task;
    const conv_task *t = p->sweeps[0];
    i64 blocks = (t->rows + p->block - 1) / p->block;
    for (i64 number = at->thread; number < t->line_shares * t->panel_shares; number += at->threads) {
        i64 range[2], panels[2];
        shares(t, number, t->images * t->parts * blocks, range, panels);
        for (i64 u = range[0]; u < range[1]; u++)
            for (i64 s = 0; s < p->count; s++) {
                i64 rows = p->sweeps[s]->rows, strip = u / blocks * rows, start = u % blocks * p->block;
                block b = {.start = strip + least(start, rows), .end = strip + least(start + p->block, rows),
                           .lines = (float *)at->own, .panel = panels[0]};
                if (b.start < b.end) work_off(p->sweeps[s], &b, panels[0], panels[1]);
            }
    }
}

TASK(conv_pack_task);

/* The weights of each tap, in the order given, as panels of filters (see tile.h) for each group. Split by panel and
 * tap. */
EXPORT void conv_pack(const void *task, const context *at) {
    const conv_pack_task *t = task;
    i64 panels = panel_count(t->columns), k = t->taps * t->depth, first, last;
    share(t->groups * panels * t->taps, at, &first, &last);
    for (i64 u = first; u < last; u++) {
        i64 tap = u % t->taps, p = u / t->taps % panels, group = u / t->taps / panels;
        const float *from = t->kernel + t->offsets[tap] + group * t->group_step;
        float *to = t->packed + group * packed_size(k, t->columns);
        if (t->turned)
            pack_columns(from, t->stride, t->columns, k, tap * t->depth, t->depth, p, to);
        else
            pack_rows(from, t->stride, t->columns, k, tap * t->depth, t->depth, p, to);
    }
}
