/* The kernel gradient of 3x3 convolutions by Winograd's F(4x4, 3x3), the transpose of what winograd.c does.
 *
 *     x   [batch, height, width, channels]
 *     dy  [batch, out_height, out_width, filters]
 *     dk  [3, 3, channels, filters]
 *
 *     x  --6x6 tiles--> V [36][tiles][channels] --\
 *                                                  36 products over the tiles --> D [36][channels][filters] --> dk
 *     dy --4x4 tiles--> W [36][tiles][filters]  --/
 *
 *     V  see `layout` in winograd.h
 *     W  [group][panel][36][ROWS][the panel's vectors][VL], or with the points first
 *     D  [36][panel][channels][the panel's vectors][VL]
 *
 * Two ways to split the work. `winograd_kernel`: each thread has its tiles, works through them in blocks that stay in
 * its L2, and has a D of its own; `winograd_kernel_sum` adds these up in order. `winograd_kernel_spread` and then
 * `winograd_kernel_product`: V and W of all tiles first; then each thread has its share of the only D, which is the
 * largest of all where channels are many.
 */
#include "winograd.h"

enum { TALL = VL == 16 ? 8 : 4 };

/* x .. across: see `picture`. Tiles from `first` to `last` are read; `block`: how many a thread takes at a time;
 * room: floats of D, behind which V and W of all tiles lie in shared memory (spread, product). */
typedef struct {
    const float *x;
    i64 height, width, channels, top, left, down, across, first, last, block, room;
    const float *dy;
    i64 out_height, out_width, filters;
} winograd_kernel_task;
TASK(winograd_kernel_task);

/* parts: how many D there are. */
typedef struct {
    float *dk;
    i64 channels, filters, parts;
} winograd_kernel_sum_task;
TASK(winograd_kernel_sum_task);

/* Floats from one point of D to the next. */
INLINE i64 d_point(i64 channels, i64 filters) { return up(channels, VL) * VL * up(filters, VL) * VL; }

/* --- the products ---------------------------------------------------------------------------------------------------
 *
 *     D[tall][width] += V[tiles][tall] ' W[tiles][width]
 */
INLINE void product(const float *v, i64 v_group, const float *w, i64 w_group, i64 tiles, float *d, i64 add,
                    const float *next, const int tall, const int width, const int fetches) {
    vec sum[VL * 2];
    UNROLL for (int i = 0; i < tall * width; i++) sum[i] = zeros();
    for (; tiles > 0; tiles -= ROWS, v += v_group, w += w_group) {
        const float *left = v, *right = w;
        for (const float *end = v + least(tiles, ROWS) * VL; left < end; left += VL, right += width * VL, next += LINE) {
            vec some[2];
            if (fetches) __builtin_prefetch(next, 0, 2);
            UNROLL for (int j = 0; j < width; j++) some[j] = load(right + j * VL);
            UNROLL for (int i = 0; i < tall; i++) {
                vec one = all(left[i]);
                UNROLL for (int j = 0; j < width; j++) sum[i * width + j] += one * some[j];
            }
        }
    }
    if (add) {
        UNROLL for (int i = 0; i < tall * width; i++) store(d + i * VL, load(d + i * VL) + sum[i]);
    } else {
        UNROLL for (int i = 0; i < tall * width; i++) store(d + i * VL, sum[i]);
    }
}

static NOINLINE void product_two(const float *v, i64 v_group, const float *w, i64 w_group, i64 tiles, float *d,
                                 i64 add) {
    product(v, v_group, w, w_group, tiles, d, add, w, TALL, 2, 0);
}

static NOINLINE void product_two_fetching(const float *v, i64 v_group, const float *w, i64 w_group, i64 tiles, float *d,
                                          i64 add, const float *next) {
    product(v, v_group, w, w_group, tiles, d, add, next, TALL, 2, 1);
}

static NOINLINE void product_one(const float *v, i64 v_group, const float *w, i64 w_group, i64 tiles, float *d, i64 add,
                                 const float *next) {
    product(v, v_group, w, w_group, tiles, d, add, next, VL, 1, 1);
}

/* --- the transforms ----------------------------------------------------------------------------------------------- */

/* A Y A' of VL filters. */
INLINE void transform_result(const vec y[TILE][TILE], float *to, const i64 apart) {
    vec half[REACH][TILE];
    UNROLL for (int j = 0; j < TILE; j++) {
        vec column[TILE] = {y[0][j], y[1][j], y[2][j], y[3][j]}, out[REACH];
        line_out_back(column, out);
        UNROLL for (int i = 0; i < REACH; i++) half[i][j] = out[i];
    }
    UNROLL for (int i = 0; i < REACH; i++) {
        vec out[REACH];
        line_out_back(half[i], out);
        UNROLL for (int j = 0; j < REACH; j++) store(to + (i * REACH + j) * apart, out[j]);
    }
}

/* A tile of results: high x wide of them are there, and `there` filters of VL. */
INLINE void result(const float *dy, i64 row, i64 column, i64 high, i64 wide, i64 there, float *to, const i64 apart) {
    vec y[TILE][TILE];
    if (high >= TILE && wide >= TILE && there == VL) {
        UNROLL for (int i = 0; i < TILE; i++) UNROLL for (int j = 0; j < TILE; j++)
            y[i][j] = load(dy + i * row + j * column);
    } else {
        UNROLL for (int i = 0; i < TILE; i++) UNROLL for (int j = 0; j < TILE; j++)
            y[i][j] = i < high && j < wide ? load_part(dy + i * row + j * column, there) : zeros();
    }
    transform_result(y, to, apart);
}

static NOINLINE void result_one(const float *dy, i64 row, i64 column, i64 high, i64 wide, i64 there, float *to,
                                i64 apart) {
    (void)apart;
    result(dy, row, column, high, wide, there, to, BRICK);
}

static NOINLINE void result_two(const float *dy, i64 row, i64 column, i64 high, i64 wide, i64 there, float *to,
                                i64 apart) {
    (void)apart;
    result(dy, row, column, high, wide, there, to, 2 * BRICK);
}

static NOINLINE void result_far(const float *dy, i64 row, i64 column, i64 high, i64 wide, i64 there, float *to,
                                i64 apart) {
    result(dy, row, column, high, wide, there, to, apart);
}

/* Tile t of dy, all filters, as row `slot` of its group. */
static void tile_out(const winograd_kernel_task *q, tile_at t, i64 slot, layout l, float *w) {
    i64 h = t.i * TILE, left = t.j * TILE, row = q->out_width * q->filters, near = l.point == BRICK;
    const float *dy = q->dy + (t.n * q->out_height + h) * row + left * q->filters;
    for (i64 f = 0; f < q->filters; f += VL) {
        i64 vectors = panel_vectors(q->filters, f / WIDE), there = least(VL, q->filters - f);
        float *to = w + f / WIDE * 2 * l.block + slot * vectors * VL + f % WIDE;
        (!near ? result_far : vectors == 1 ? result_one : result_two)(
            dy + f, row, q->filters, q->out_height - h, q->out_width - left, there, to, l.point);
    }
}

/* V and W of some tiles. */
typedef struct {
    float *v, *w;
    layout v_layout, w_layout;
    i64 tiles;
} both;

INLINE both near_both(const winograd_kernel_task *q, i64 tiles, float *v) {
    float *w = v + room_for(q->channels, up(tiles, ROWS));
    return (both){v, w, near_layout(q->channels), near_layout(q->filters), tiles};
}

INLINE both far_both(const winograd_kernel_task *q, i64 tiles, float *v) {
    i64 groups = up(tiles, ROWS);
    float *w = v + room_for(q->channels, groups);
    return (both){v, w, far_layout(q->channels, groups), far_layout(q->filters, groups), tiles};
}

/* Tiles `from` to `to` of those that begin with tile `first`. */
static void spread(const winograd_kernel_task *q, i64 first, i64 from, i64 to, const both *b) {
    picture p = {q->x, q->height, q->width, q->channels, q->top, q->left, q->down, q->across};
    tile_at t = place(&p, first + from);
    for (i64 i = from; i < to; i++, step_on(&p, &t)) {
        tile_in(&p, t, b->v_layout, b->v + i / ROWS * b->v_layout.group + i % ROWS * VL);
        tile_out(q, t, i % ROWS, b->w_layout, b->w + i / ROWS * b->w_layout.group);
    }
}

/* Pieces of D: a vector of channels of a panel of a point. Those from `from` to `to`. wishes: what is fetched
 * meanwhile, or NULL. */
static void multiply(const winograd_kernel_task *q, const both *b, i64 from, i64 to, float *d, i64 add,
                     wanted *wishes) {
    i64 rows = up(q->channels, VL), panels = panels_of(q->filters), apart = d_point(q->channels, q->filters);
    layout v = b->v_layout, w = b->w_layout;
    for (i64 unit = from; unit < to; unit++) {
        i64 row = unit % rows, p = unit / rows % panels, i = unit / rows / panels;
        i64 vectors = panel_vectors(q->filters, p), point = w.point == BRICK ? vectors * BRICK : w.point;
        const float *right = b->w + p * 2 * w.block + i * point, *left = b->v + row * v.block + i * v.point;
        float *here = d + i * apart + p * WIDE * rows * VL + row * VL * vectors * VL;
        if (vectors == 1)
            product_one(left, v.group, right, w.group, b->tiles, here, add,
                        wishes ? take(wishes, b->tiles, here) : here);
        else if (wishes)
            for (i64 c = 0; c < VL; c += TALL)
                product_two_fetching(left + c, v.group, right, w.group, b->tiles, here + c * WIDE, add,
                                     take(wishes, b->tiles, here));
        else
            for (i64 c = 0; c < VL; c += TALL)
                product_two(left + c, v.group, right, w.group, b->tiles, here + c * WIDE, add);
    }
}

/* --- the steps ---------------------------------------------------------------------------------------------------- */

INLINE i64 pieces(const winograd_kernel_task *q) { return POINTS * panels_of(q->filters) * up(q->channels, VL); }

/* What tiles from `start` up to `end` read, and those before them do not. */
static wanted wishes(const winograd_kernel_task *q, i64 start, i64 end) {
    picture p = {q->x, q->height, q->width, q->channels, q->top, q->left, q->down, q->across};
    wanted w = {.count = 0};
    want(&w, q->x, read_until(&p, start - 1) * q->channels, read_until(&p, end - 1) * q->channels);
    want(&w, q->dy, covered_until(&p, q->out_height, q->out_width, start - 1) * q->filters,
         covered_until(&p, q->out_height, q->out_width, end - 1) * q->filters);
    return w;
}

/* own: V and W of `block` tiles; shared: D of each thread. */
EXPORT void winograd_kernel(const void *task, const context *at) {
    const winograd_kernel_task *q = task;
    i64 first, last, size = POINTS * d_point(q->channels, q->filters);
    float *v = (float *)at->own, *d = (float *)at->shared + at->thread * size;
    share(q->last - q->first, at, &first, &last);
    i64 tiles = last - first, blocks = up(tiles, q->block);
    if (!blocks) memset(d, 0, 4 * (size_t)size);
    for (i64 b = 0; b < blocks; b++) {
        i64 from = tiles * b / blocks, now = tiles * (b + 1) / blocks - from;
        i64 start = q->first + first + from, next = q->first + first + tiles * least(b + 2, blocks) / blocks;
        both near = near_both(q, now, v);
        wanted w = wishes(q, start + now, next);
        spread(q, start, 0, now, &near);
        multiply(q, &near, 0, pieces(q), d, b > 0, size <= NEAR ? &w : 0);
    }
}

/* shared: D, `room` floats; V and W of all tiles behind it. */
EXPORT void winograd_kernel_spread(const void *task, const context *at) {
    const winograd_kernel_task *q = task;
    i64 from, to, tiles = q->last - q->first;
    both far = far_both(q, tiles, (float *)at->shared + q->room);
    share(tiles, at, &from, &to);
    spread(q, q->first, from, to, &far);
}

/* shared: as winograd_kernel_spread has left it. */
EXPORT void winograd_kernel_product(const void *task, const context *at) {
    const winograd_kernel_task *q = task;
    i64 from, to;
    float *d = (float *)at->shared;
    both far = far_both(q, q->last - q->first, d + q->room);
    share(pieces(q), at, &from, &to);
    multiply(q, &far, from, to, d, q->first > 0, 0);
}

/* The sum of the D of all parts, and G' D G: VL filters of one channel. */
INLINE void transform_back(const float *d, i64 apart, i64 parts, i64 part, vec dk[9]) {
    vec half[3][REACH];
    UNROLL for (int j = 0; j < REACH; j++) {
        vec column[REACH], out[3];
        UNROLL for (int i = 0; i < REACH; i++) {
            const float *from = d + (i * REACH + j) * apart;
            column[i] = load(from);
            for (i64 k = 1; k < parts; k++) column[i] += load(from + k * part);
        }
        line_kernel_back(column, out);
        UNROLL for (int i = 0; i < 3; i++) half[i][j] = out[i];
    }
    UNROLL for (int i = 0; i < 3; i++) line_kernel_back(half[i], dk + 3 * i);
}

/* Work is shared by channels. shared: D as the steps before have left it, `parts` times. */
EXPORT void winograd_kernel_sum(const void *task, const context *at) {
    const winograd_kernel_sum_task *q = task;
    i64 from, to, apart = d_point(q->channels, q->filters), whole = up(q->channels, VL) * VL;
    share(q->channels, at, &from, &to);
    for (i64 c = from; c < to; c++)
        for (i64 f = 0; f < q->filters; f += VL) {
            vec dk[9];
            i64 p = f / WIDE, vectors = panel_vectors(q->filters, p), n = least(VL, q->filters - f);
            const float *d = (const float *)at->shared + p * WIDE * whole + c * vectors * VL + f % WIDE;
            transform_back(d, apart, q->parts, POINTS * apart, dk);
            float *to = q->dk + c * q->filters + f;
            UNROLL for (int tap = 0; tap < 9; tap++) store_part(to + tap * q->channels * q->filters, dk[tap], n);
        }
}
