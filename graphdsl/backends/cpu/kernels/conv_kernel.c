/* The gradient of a convolution's kernel: dkernel[tap, c, f] = Σ over pixels x[pixel at tap, c] * dy[pixel, f].
 *
 *     x        [batch, height, width, channels]            over time: height = 1
 *     dy       [batch, out height, out width, filters]
 *     dkernel  [window height, window width, channels / groups, filters]
 *
 * A sum of outer products over pixels (outer.h). Rows are (tap, channel), columns are filters; or the other way round
 * where filters fill vectors badly: then what is summed is the transpose.
 *
 *     a block of lines of pixels (it stays in the cache)
 *         x: copied with its padding; taps of a window row and their channels lie side by side: a run
 *
 *              | 0 0 | x00 | x01 | x02 | ...           the run of pixel 0 is x[-1..1], that of pixel 1 is x[0..2], ...
 *              |___run of 0______|                      one run for each row of the window
 *                    |___run of 1______|
 *
 *            with few channels the whole window is gathered: one run, [window height * window width * channels]
 *         dy: a panel of vectors at a time, packed
 *     rows of the tile = a run, columns = the panel
 *
 * Work is split by pixels into `parts`, each with sums of its own, which are then added up in order; by runs and panels
 * into `slices` where dkernel is large.
 */
#include "outer.h"

typedef struct {
    const float *x, *dy;
    float *dkernel;
    i64 batch, height, width, channels;
    i64 out_height, out_width, filters;
    i64 window_height, window_width, stride_height, stride_width;
    i64 pad_height, pad_width, dilation_height, dilation_width, groups;
    i64 piece;    /* the most pixels of a line; longer rows are cut */
    i64 block;    /* the most lines of a block */
    i64 copied;   /* x is copied, with its padding; needed unless there is none */
    i64 gathered; /* windows are gathered from the copy */
    i64 turned;   /* rows are filters, columns are (tap, channel) */
    i64 straight; /* sums go to dkernel itself: parts = groups = 1, not turned, filters fill vectors */
    i64 parts, slices;
    i64 copy_floats, gather_floats; /* room for each in a thread's scratch */
} conv_kernel_task;
TASK(conv_kernel_task);

INLINE i64 in_vectors(i64 n) { return (n + VL - 1) / VL * VL; }

/* What follows from a task. */
typedef struct {
    i64 group_channels, group_filters;
    i64 runs, run;           /* how many, and floats in one */
    i64 columns, column_all; /* of a run's sums; floats between rows of sums */
    i64 sums;                /* floats of a part, all groups */
} plan;

static plan plan_of(const conv_kernel_task *t) {
    plan p = {.group_channels = t->channels / t->groups, .group_filters = t->filters / t->groups};
    i64 joined = t->groups == 1 && t->dilation_width == 1;
    p.runs = t->gathered ? 1 : t->window_height * (joined ? 1 : t->window_width);
    p.run = t->window_height * t->window_width * p.group_channels / p.runs;
    p.columns = t->turned ? p.run : p.group_filters;
    p.column_all = t->turned ? p.runs * in_vectors(p.run) : in_vectors(p.group_filters);
    p.sums = t->groups * p.column_all * (t->turned ? p.group_filters : p.runs * p.run);
    return p;
}

/* A block: its lines, where x is read, how far it is from row to row and from pixel to pixel. */
typedef struct {
    line *lines;
    i64 count;
    const float *x;
    i64 x_row, x_step;
    float *copy, *gather, *panel;
    i64 packed; /* which panel of dy is */
    i64 pixels;
    const float *wanted[2]; /* what the next block reads of dy and of x, fetched meanwhile */
    i64 left[2];            /* floats that are not asked for yet */
} block;

typedef struct {
    i64 n, row, column, count;
} place;

/* Where line i is: picture, row and first column of the result, and its pixels. */
static place place_of(const conv_kernel_task *t, i64 i) {
    i64 cuts = (t->out_width + t->piece - 1) / t->piece;
    i64 column = i % cuts * t->piece;
    return (place){i / cuts / t->out_height, i / cuts % t->out_height, column, least(t->piece, t->out_width - column)};
}

static i64 reach(i64 window, i64 dilation) { return (window - 1) * dilation + 1; }

/* `floats` of row `row` of picture n from column `column`, zeros where there is no picture. */
static void copy_row(const conv_kernel_task *t, i64 n, i64 row, i64 column, i64 columns, float *to) {
    i64 before = least(most(-column, 0), columns), end = most(least(t->width - column, columns), before);
    if (row < 0 || row >= t->height) before = end = columns;
    const float *from = t->x + ((n * t->height + row) * t->width + column) * t->channels;
    memset(to, 0, (size_t)(before * t->channels) * 4);
    if (end > before)
        memcpy(to + before * t->channels, from + before * t->channels, (size_t)((end - before) * t->channels) * 4);
    memset(to + end * t->channels, 0, (size_t)((columns - end) * t->channels) * 4);
}

/* Copies what the block's lines read of x. Lines of one picture that follow each other share their rows. */
static void copy_block(const conv_kernel_task *t, i64 first, block *b) {
    i64 across = reach(t->window_width, t->dilation_width), down = reach(t->window_height, t->dilation_height);
    i64 columns = (least(t->piece, t->out_width) - 1) * t->stride_width + across;
    i64 whole = t->piece >= t->out_width, next = 0, n = -1, have = 0;
    b->x_row = columns * t->channels;
    for (i64 i = 0; i < b->count; i++) {
        place p = place_of(t, first + i);
        i64 row = p.row * t->stride_height - t->pad_height;
        if (p.n != n || !whole || row > have) have = row;
        n = p.n;
        for (; have < row + down; have++, next++)
            copy_row(t, n, have, p.column * t->stride_width - t->pad_width, columns, b->copy + next * b->x_row);
        b->lines[i] = (line){(next - down) * b->x_row, 0, p.count};
    }
    b->x = b->copy;
}

/* Lines that are read where they are: there is no padding. */
static void find_block(const conv_kernel_task *t, i64 first, block *b) {
    for (i64 i = 0; i < b->count; i++) {
        place p = place_of(t, first + i);
        i64 pixel = (p.n * t->height + p.row * t->stride_height) * t->width + p.column * t->stride_width;
        b->lines[i] = (line){pixel * t->channels, 0, p.count};
    }
    b->x = t->x;
    b->x_row = t->width * t->channels;
}

/* Puts the windows of a group one after the other. Vectors write past a piece: what comes next repairs it. */
static void gather_block(const conv_kernel_task *t, const plan *p, i64 group, const line *from, block *b) {
    i64 joined = t->groups == 1 && t->dilation_width == 1;
    i64 piece = joined ? t->window_width * p->group_channels : p->group_channels;
    i64 across = joined ? 1 : t->window_width;
    float *to = b->gather;
    for (i64 i = 0; i < b->count; i++) {
        const float *pixel = b->copy + from[i].a + group * p->group_channels;
        b->lines[i].a = to - b->gather;
        for (i64 n = 0; n < from[i].count; n++, pixel += t->stride_width * t->channels)
            for (i64 row = 0; row < t->window_height; row++)
                for (i64 column = 0; column < across; column++, to += piece) {
                    const float *at = pixel + row * t->dilation_height * b->x_row;
                    at += column * t->dilation_width * t->channels;
                    for (i64 k = 0; k < piece; k += VL) store(to + k, load(at + k));
                }
    }
    b->x = b->gather;
    b->x_step = p->run;
}

/* Where line i is in dy. */
static i64 result_of(const conv_kernel_task *t, i64 i) {
    place p = place_of(t, i);
    return ((p.n * t->out_height + p.row) * t->out_width + p.column) * t->filters;
}

/* Packs `columns` filters of dy from f on. */
static void pack_panel(const conv_kernel_task *t, i64 first, i64 f, i64 columns, i64 width, block *b) {
    float *to = b->panel;
    i64 last = columns - (width - 1) * VL;
    for (i64 i = 0; i < b->count; i++) {
        const float *from = t->dy + result_of(t, first + i) + f;
        b->lines[i].b = to - b->panel;
        for (i64 n = b->lines[i].count; n; n--, from += t->filters, to += width * VL) {
            for (i64 w = 0; w + 1 < width; w++) store(to + w * VL, load(from + w * VL));
            store(to + (width - 1) * VL, last == VL ? load(from + (width - 1) * VL)
                                                    : load_part(from + (width - 1) * VL, last));
        }
    }
}

/* What is to be fetched for a block of so many lines from `first` on; of x only where its pixels are those of dy. */
static void await_block(const conv_kernel_task *t, i64 first, i64 count, block *b) {
    i64 pixels = count * least(t->piece, t->out_width), at = result_of(t, first) / t->filters;
    b->wanted[0] = t->dy + at * t->filters, b->left[0] = pixels * t->filters;
    i64 same = !t->copied && t->height * t->width == t->out_height * t->out_width;
    b->wanted[1] = t->x + at * t->channels, b->left[1] = same ? pixels * t->channels : 0;
}

/* So many floats that the next block reads; NULL where all are asked for. */
static const float *coming(block *b, i64 floats) {
    for (i64 i = 0; i < 2; i++) {
        if (b->left[i] <= 0) continue;
        b->wanted[i] += floats, b->left[i] -= floats;
        return b->wanted[i] - floats;
    }
    return 0;
}

/* Sums a block for some of the units of a group: a unit is a panel and a run. */
static void sum_group(const conv_kernel_task *t, const plan *p, i64 group, i64 first, i64 unit, i64 end, float *sums,
                      i64 add, block *b) {
    i64 joined = p->runs == t->window_height;
    for (; unit < end; unit++) {
        i64 number = unit / p->runs, run = unit % p->runs, width = panel_width(p->columns, number);
        i64 column = number * 2 * VL;
        const float *x = b->x + (t->gathered ? 0 : group * p->group_channels);
        if (!t->gathered && joined) x += run * t->dilation_height * b->x_row;
        if (!t->gathered && !joined)
            x += run / t->window_width * t->dilation_height * b->x_row +
                 run % t->window_width * t->dilation_width * t->channels;
        outer o = {.lines = b->lines, .line_count = b->count, .c_stride = p->column_all, .add = add};
        if (t->turned) {
            o.a = t->dy + group * p->group_filters, o.a_step = t->filters;
            o.b = x + column, o.b_step = b->x_step;
            o.c = sums + group * p->group_filters * p->column_all + run * in_vectors(p->run) + column;
        } else {
            i64 columns = panel_columns(p->columns, number);
            if (b->packed != number) pack_panel(t, first, group * p->group_filters + column, columns, width, b);
            b->packed = number;
            o.a = x, o.a_step = b->x_step;
            o.b = b->panel, o.b_step = width * VL;
            o.c = sums + (group * p->runs + run) * p->run * p->column_all + column;
        }
        i64 rows = t->turned ? p->group_filters : p->run;
        o.next = coming(b, outer_tiles(rows, width) * b->pixels * OUTER_FETCHES);
        outer_rows(&o, rows, width);
    }
}

/* Sums a block of lines from `first` on, for the units of all groups from `unit` to `end`. */
static void sum_block(const conv_kernel_task *t, const plan *p, i64 first, i64 unit, i64 end, float *sums, i64 add,
                      line *found, block *b) {
    line *lines = b->lines;
    b->lines = found;
    b->x_step = t->stride_width * t->channels;
    if (t->copied)
        copy_block(t, first, b);
    else
        find_block(t, first, b);
    b->lines = lines;
    i64 units = panel_count(p->columns) * p->runs;
    for (i64 group = unit / units; group * units < end; group++) {
        memcpy(lines, found, (size_t)b->count * sizeof *lines);
        if (t->gathered) gather_block(t, p, group, found, b);
        if (t->turned)
            for (i64 i = 0; i < b->count; i++) lines[i] = (line){result_of(t, first + i), lines[i].a, lines[i].count};
        b->packed = -1;
        i64 from = most(unit - group * units, 0), to = least(end - group * units, units);
        sum_group(t, p, group, first, from, to, sums, add, b);
    }
}

/* One job: one part of the lines, one slice of the units. */
static void sum_job(const conv_kernel_task *t, const plan *p, i64 part, i64 slice, const context *at) {
    i64 units = t->groups * panel_count(p->columns) * p->runs;
    i64 lines = t->batch * t->out_height * ((t->out_width + t->piece - 1) / t->piece);
    i64 line_first = lines * part / t->parts, line_end = lines * (part + 1) / t->parts;
    i64 first = units * slice / t->slices, end = units * (slice + 1) / t->slices;
    line *found = (line *)at->own;
    block b = {.lines = found + t->block, .copy = (float *)(found + 2 * t->block)};
    b.gather = b.copy + t->copy_floats;
    b.panel = b.gather + t->gather_floats;
    float *sums = t->straight ? t->dkernel : (float *)at->shared + part * p->sums;
    for (i64 i = line_first; i < line_end; i += t->block) {
        b.count = least(t->block, line_end - i);
        b.pixels = b.count * least(t->piece, t->out_width);
        await_block(t, i + b.count, least(t->block, line_end - i - b.count), &b);
        sum_block(t, p, i, first, end, sums, i > line_first, found, &b);
    }
}

EXPORT void conv_kernel(const void *task, const context *at) {
    const conv_kernel_task *t = task;
    plan p = plan_of(t);
    for (i64 job = at->thread; job < t->parts * t->slices; job += at->threads)
        sum_job(t, &p, job / t->slices, job % t->slices, at);
}

/* What is left to do: the sums of all parts are in the shared scratch, each as the task says above. */
typedef struct {
    float *dkernel;
    i64 groups, group_filters;
    i64 runs, run;    /* rows of a group: runs of (tap, channel) */
    i64 line;         /* floats from row to row of sums; turned: from filter to filter */
    i64 turned;       /* sums are [filter][run in whole vectors] */
    i64 parts, sums;  /* how many, and floats in each */
} conv_kernel_ending_task;
TASK(conv_kernel_ending_task);

/* Row `row` of a group: sums lie side by side. */
static void end_row(const conv_kernel_ending_task *t, i64 group, i64 row, const float *sums) {
    const float *from = sums + (group * t->runs * t->run + row) * t->line;
    float *to = t->dkernel + (row * t->groups + group) * t->group_filters;
    for (i64 f = 0; f < t->group_filters; f += VL) {
        vec sum = load(from + f);
        for (i64 part = 1; part < t->parts; part++) sum += load(from + part * t->sums + f);
        if (f + VL <= t->group_filters)
            store(to + f, sum);
        else
            store_part(to + f, sum, t->group_filters - f);
    }
}

/* Rows that lie side by side, `count` of them, at most 16: each filter has its own line of sums. */
static void end_turned(const conv_kernel_ending_task *t, i64 group, i64 row, i64 count, const float *sums) {
    const float *from = sums + group * t->group_filters * t->line;
    from += row / t->run * in_vectors(t->run) + row % t->run;
    i64 filters = t->groups * t->group_filters;
    float *to = t->dkernel + row * filters + group * t->group_filters;
    for (i64 f = 0; f < t->group_filters; f += 16) {
        float square[16][16];
        i64 some = least(16, t->group_filters - f);
        for (i64 k = 0; k < some; k++)
            for (i64 i = 0; i < count; i++) {
                const float *sum = from + (f + k) * t->line + i;
                square[i][k] = *sum;
                for (i64 part = 1; part < t->parts; part++) square[i][k] += sum[part * t->sums];
            }
        for (i64 i = 0; i < count; i++) memcpy(to + i * filters + f, square[i], (size_t)some * 4);
    }
}

/* Adds up the parts, in order, and lays the sums out as the kernel is. */
EXPORT void conv_kernel_ending(const void *task, const context *at) {
    const conv_kernel_ending_task *t = task;
    i64 rows = t->runs * t->run, first, end;
    share(t->groups * rows, at, &first, &end);
    for (i64 i = first; i < end;) {
        i64 group = i / rows, row = i % rows;
        i64 count = t->turned ? least(least(16, end - i), t->run - row % t->run) : 1;
        if (t->turned)
            end_turned(t, group, row, count, (const float *)at->shared);
        else
            end_row(t, group, row, (const float *)at->shared);
        i += count;
    }
}
