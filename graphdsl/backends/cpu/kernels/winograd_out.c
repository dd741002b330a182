/* The ends of Winograd convolutions: products become results, which are finished, stored and gathered. */
#include "winograd_out.h"

/* A' M A of VL filters. */
INLINE void transform_out(const float *m, const i64 apart, vec y[TILE][TILE]) {
    vec half[TILE][REACH];
    UNROLL for (int j = 0; j < REACH; j++) {
        vec column[REACH], out[TILE];
        UNROLL for (int i = 0; i < REACH; i++) column[i] = load(m + (i * REACH + j) * apart);
        line_out(column, out);
        UNROLL for (int i = 0; i < TILE; i++) half[i][j] = out[i];
    }
    UNROLL for (int i = 0; i < TILE; i++) line_out(half[i], y[i]);
}

/* Where VL filters of a tile go and what is done to them; see winograd_task. high, wide, there: how much of it is. */
typedef struct {
    float *y;
    const float *bias, *add, *mask, *others[2];
    i64 row, column, high, wide, there;
    float low;
} ending;

INLINE vec part(const float *p, i64 n, const int whole) { return whole ? load(p) : load_part(p, n); }

INLINE void finish(const ending *e, vec y, vec bias, i64 at, const int whole, const int adds, const int masks) {
    y += bias;
    if (adds) y += part(e->add + at, e->there, whole);
    y = max_or_second(all(e->low), y);
    if (masks) y = keep(greater(part(e->mask + at, e->there, whole), zeros()), y);
    if (whole)
        store(e->y + at, y);
    else
        store_part(e->y + at, y, e->there);
}

INLINE void put_tile(const ending *e, const float *m, const i64 apart, const int whole, const int adds, const int masks) {
    vec y[TILE][TILE], bias = e->bias ? part(e->bias, e->there, whole) : zeros();
    transform_out(m, apart, y);
    UNROLL for (int i = 0; i < TILE; i++) UNROLL for (int j = 0; j < TILE; j++)
        if (whole || (i < e->high && j < e->wide))
            finish(e, y[i][j], bias, i * e->row + j * e->column, whole, adds, masks);
}

typedef void (*put_of)(const ending *e, const float *m);
#define PUT(name, adds, masks)                                                                                        \
    static NOINLINE void name(const ending *e, const float *m) { put_tile(e, m, BRICK, 1, adds, masks); }
PUT(put, 0, 0)
PUT(put_add, 1, 0)
PUT(put_mask, 0, 1)
PUT(put_both, 1, 1)
static const put_of endings[4] = {put, put_add, put_mask, put_both};

/* All else: at the edges of pictures and of filters. */
static NOINLINE void put_edge(const ending *e, const float *m) {
    float near[POINTS * VL] __attribute__((aligned(64)));
    for (i64 i = 0; i < POINTS; i++) store(near + i * VL, load(m + i * BRICK));
    if (e->add && e->mask)
        put_tile(e, near, VL, 0, 1, 1);
    else if (e->add)
        put_tile(e, near, VL, 0, 1, 0);
    else if (e->mask)
        put_tile(e, near, VL, 0, 0, 1);
    else
        put_tile(e, near, VL, 0, 0, 0);
}

/* --- what is gathered ----------------------------------------------------------------------------------------------
 *
 * In float32 over the tiles of one call, tile by tile, then in double.
 */
typedef struct {
    vec centre[2][2]; /* for each product and vector: what the other factor is taken around */
    vec sums[3][2];
} gathered;

INLINE void add_up(const ending *e, gathered *g, const i64 v, const int kind, const int whole) {
    vec sums[3][2] = {{{0}}}, first = g->centre[0][v], second = g->centre[1][v];
    UNROLL for (int i = 0; i < TILE; i++) UNROLL for (int j = 0; j < TILE; j++) {
        if (!whole && (i >= e->high || j >= e->wide)) continue;
        i64 at = i * e->row + j * e->column;
        vec r = part(e->y + at, e->there, whole);
        if (kind == MOMENTS) r -= first;
        sums[0][j % 2] += r;
        if (kind == MOMENTS) sums[1][j % 2] += r * r;
        if (kind > SUMS) sums[1][j % 2] += r * (part(e->others[0] + at, e->there, whole) - first);
        if (kind > SUMS + 1) sums[2][j % 2] += r * (part(e->others[1] + at, e->there, whole) - second);
    }
    UNROLL for (int k = 0; k < rows_gathered(kind); k++) g->sums[k][v] += sums[k][0] + sums[k][1];
}

typedef void (*add_up_of)(const ending *e, gathered *g, i64 v);
#define ADD_UP(name, kind)                                                                                            \
    static NOINLINE void name(const ending *e, gathered *g, i64 v) { add_up(e, g, v, kind, 1); }                      \
    static NOINLINE void name##_edge(const ending *e, gathered *g, i64 v) { add_up(e, g, v, kind, 0); }
ADD_UP(add_up_moments, MOMENTS)
ADD_UP(add_up_sums, SUMS)
ADD_UP(add_up_product, SUMS + 1)
ADD_UP(add_up_products, SUMS + 2)
static const add_up_of adders[2][4] = {{add_up_moments_edge, add_up_sums_edge, add_up_product_edge, add_up_products_edge},
                                       {add_up_moments, add_up_sums, add_up_product, add_up_products}};

/* Vector v of a panel, whose filters are from f on; the first result of the call is e's. begun: as in winograd_out.h. */
static void begin(const winograd_task *q, const ending *e, i64 f, i64 v, i64 begun, statistics *s, gathered *g) {
    for (int k = 0; k < 3; k++) g->sums[k][v] = zeros();
    for (i64 k = 0; k < rows_gathered(q->gathers) && !begun; k++)
        memset(s->sums + k * s->wide + f, 0, sizeof(double) * VL);
    if (q->gathers == MOMENTS && !begun) store(s->pivots + f, load_part(e->y, e->there));
    g->centre[0][v] = q->gathers == MOMENTS ? load(s->pivots + f) : zeros();
    for (i64 k = 0; k < q->gathers - SUMS; k++) g->centre[k][v] = load_part(q->means[k] + f, e->there);
}

static void hand_over(const winograd_task *q, const gathered *g, i64 f, i64 v, statistics *s) {
    for (int k = 0; k < rows_gathered(q->gathers); k++)
        for (int i = 0; i < VL; i++) s->sums[k * s->wide + f + i] += g->sums[k][v][i];
}

/* --- the results --------------------------------------------------------------------------------------------------*/

/* Tile t, filters from f on. */
INLINE void aim(const winograd_task *q, tile_at t, i64 f, ending *e) {
    i64 at = (t.n * q->out_height + t.i * TILE) * e->row + t.j * TILE * e->column + f;
    e->high = q->out_height - t.i * TILE;
    e->wide = q->out_width - t.j * TILE;
    e->there = least(VL, q->filters - f);
    e->y = q->y + at;
    e->bias = q->bias ? q->bias + f : 0;
    e->add = q->add ? q->add + at : 0;
    e->mask = q->mask ? q->mask + at : 0;
    for (i64 k = 0; k < q->gathers - SUMS; k++) e->others[k] = q->others[k] + at;
}

void winograd_out(const winograd_task *q, i64 p, i64 first, i64 tiles, i64 groups, const float *m, i64 share,
                  i64 begun) {
    picture tiled = read_by(q);
    tile_at t = place(&tiled, first);
    i64 vectors = panel_vectors(q->filters, p);
    put_of inner = endings[(q->add != 0) + 2 * (q->mask != 0)];
    ending e = {.row = q->out_width * q->filters, .column = q->filters, .low = (float)q->low};
    statistics *s = q->gathers ? q->statistics + share : 0;
    gathered sums;
    for (i64 g = 0; g < groups; g++, m += vectors * POINTS * BRICK) {
        i64 rows = group_start(tiles, groups, g + 1) - group_start(tiles, groups, g);
        for (i64 r = 0; r < rows; r++, step_on(&tiled, &t))
            for (i64 v = 0; v < vectors; v++) {
                aim(q, t, p * WIDE + v * VL, &e);
                int whole = e.high >= TILE && e.wide >= TILE && e.there == VL;
                if (whole)
                    inner(&e, m + v * POINTS * BRICK + r * VL);
                else
                    put_edge(&e, m + v * POINTS * BRICK + r * VL);
                if (!s) continue;
                if (!g && !r) begin(q, &e, p * WIDE + v * VL, v, begun, s, &sums);
                adders[whole][q->gathers - MOMENTS](&e, &sums, v);
            }
    }
    for (i64 v = 0; s && v < vectors; v++) hand_over(q, &sums, p * WIDE + v * VL, v, s);
}

/* Lines of tiles that lie side by side. */
void winograd_after(const winograd_task *q, i64 first, i64 last, i64 f, i64 to) {
    for (i64 t = first, run; t < last; t += run) {
        i64 w = t % q->across, line = t / q->across, h = line % q->down * TILE;
        run = least(q->across - w, last - t);
        i64 row = (line / q->down * q->out_height + h) * q->out_width + w * TILE;
        i64 pixels = least(run * TILE, q->out_width - w * TILE);
        for (i64 i = 0; i < least(TILE, q->out_height - h); i++)
            formula_block(q->after, row + i * q->out_width, pixels, f, to - f, 0, 0);
    }
}
