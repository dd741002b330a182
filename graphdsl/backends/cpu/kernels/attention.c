/* Attention: of every head softmax(q · k * scale) · v, and the way back.
 *
 *   q [batch, queries, heads * depth]   k [batch, keys, heads * depth]   v, y [batch, …, heads * width]
 *   sums [batch, heads, queries]        lengths [batch], or NULL where all steps are real
 *
 * Shared by samples, heads and, forward, stretches of queries. Keys are walked block by block, and for each block
 * queries block by block:
 *
 *                   keys                      a block of keys is turned over once, so that scores are products of rows;
 *              | b 0  | b 1  |                a block of scores stays in the first cache until it has become weights
 *     q 0  ----+------+------+                and these have been multiplied with values. Causal: blocks above the
 *     q 1  ----+------+------+                diagonal are left out, and what is above it in a block becomes 0.
 *
 * Of each query the largest score so far and the sum of powers are kept; where a later block has a larger one, what is
 * in y is scaled down (Milakov and Gimelshein 2018; Dao et al. 2022). A NaN among the scores makes the row's sum NaN.
 * The way back gets the weights again from scores and sums. Rows of padding are set to 0 and never read.
 */
#include "product.h"
#include "vmath.h"

typedef struct {
    const float *q, *k, *v;
    const int32_t *query_lengths, *key_lengths;
    float *y, *sums;
    i64 batch, queries, keys, heads, depth, width, causal, parts; /* parts: stretches that queries are cut into */
    double scale;
} attention_task;
TASK(attention_task);

typedef struct {
    const float *q, *k, *v, *y, *sums, *dy;
    const int32_t *query_lengths, *key_lengths;
    float *dq, *dk, *dv;
    i64 batch, queries, keys, heads, depth, width, causal;
    double scale;
} attention_gradient_task;
TASK(attention_gradient_task);

enum { QUERIES = 32, KEYS = 192, FEW_QUERIES = 4 };

EXPORT const i64 attention_queries = QUERIES;
EXPORT const i64 attention_keys = KEYS;

/* Matrices of one head: rows are a stride apart. */
typedef struct {
    const float *at;
    i64 stride;
} rows;

INLINE const float *row(rows m, i64 i) { return m.at + i * m.stride; }

/* The head of a sample in [batch, steps, heads * size]. */
INLINE rows head_of(const float *x, i64 sample, i64 head, i64 steps, i64 heads, i64 size) {
    return (rows){x + (sample * steps * heads + head) * size, heads * size};
}

INLINE i64 real(const int32_t *lengths, i64 sample, i64 steps) {
    return lengths ? most(least(lengths[sample], steps), 0) : steps;
}

/* c [count][columns] = a [count][depth] · b [depth][columns], added to c where `more`; a_step from number to number. */
INLINE void multiply(const float *a, i64 a_row, i64 a_step, rows b, i64 padded, float *c, i64 c_stride, i64 count,
                     i64 columns, i64 depth, int more) {
    product p = {.a = a, .a_row = a_row, .a_step = a_step, .b_stride = b.stride, .depth = depth,
                 .c_stride = c_stride, .padded = padded, .last = NO_FINISH};
    for (i64 j = 0; j < columns; j += p.columns) {
        p.columns = next_columns(columns - j);
        p.b = b.at + j;
        p.c = c + j;
        p.last.add = more ? p.c : 0;
        p.last.add_stride = c_stride;
        product_rows(&p, count);
    }
}

static void clear(float *x, i64 stride, i64 first, i64 last, i64 size) {
    for (i64 i = first; i < last; i++) memset(x + i * stride, 0, sizeof(float) * (size_t)size);
}

/* How many of a block's keys query i reads. */
INLINE i64 read_by(i64 i, i64 first, i64 count, i64 causal) { return causal ? least(count, i - first + 1) : count; }

INLINE float largest(const float *x, i64 n) {
    vec top = all(-INFINITY);
    i64 j = 0;
    for (; j + VL <= n; j += VL) top = max_or_second(load(x + j), top);
    if (j < n) top = max_or_second(choose(first_lanes(n - j), load_part(x + j, n - j), top), top);
    return max_lanes(top);
}

/* x becomes exp(x * scale - shift) up to n and 0 up to end; gives the sum. */
INLINE float to_powers(float *x, i64 n, i64 end, float scale, float shift) {
    vec sum = zeros();
    i64 j = 0;
    for (; j + VL <= n; j += VL) {
        vec p = v_exp(load(x + j) * scale - shift);
        store(x + j, p);
        sum += p;
    }
    if (j < n) {
        vec p = keep(first_lanes(n - j), v_exp(load_part(x + j, n - j) * scale - shift));
        store_part(x + j, p, n - j);
        sum += p;
    }
    if (n < end) memset(x + n, 0, sizeof(float) * (size_t)(end - n));
    return sum_lanes(sum);
}

INLINE void scale_row(float *x, i64 n, float by) {
    for (i64 j = 0; j < n; j += VL) {
        i64 part = least(n - j, VL);
        store_part(x + j, load_part(x + j, part) * by, part);
    }
}

/* A block of keys, turned over: [size][count, in whole vectors]. */
INLINE rows turn_over(rows m, i64 first, i64 count, i64 size, float *into) {
    gather_columns(row(m, first), m.stride, size, count, into);
    return (rows){into, (count + VL - 1) / VL * VL};
}

/* One head of a sample, forward. y: where its results stand. Scratch of the thread: a block of keys turned over, a
 * block of scores, and of each query the largest score so far and the sum of powers. */
typedef struct {
    rows q, k, v;
    float *y, *turned, *scores, *top, *total;
    i64 y_stride, depth, width, causal;
    float scale;
    int dots; /* so few queries that keys are not turned over for them */
} head;

/* Scores of one query become powers; what is in y is scaled down where the largest so far has grown. */
static void weigh(const head *h, i64 i, float *x, i64 own, i64 columns, int first) {
    float top = largest(x, own) * h->scale, kept = 0.0f;
    if (!first) {
        top = fmaxf(h->top[i], top);
        kept = expf(h->top[i] - top);
    }
    float sum = to_powers(x, own, columns, h->scale, top);
    h->total[i] = first ? sum : h->total[i] * kept + sum;
    h->top[i] = top;
    if (!first && kept != 1.0f) scale_row(h->y + i * h->y_stride, h->width, kept);
}

/* A block of keys for queries from `first` to `last`. */
static void read_block(const head *h, i64 first, i64 last, i64 from, i64 block) {
    rows turned = {0};
    if (!h->dots) turned = turn_over(h->k, from, block, h->depth, h->turned);
    for (i64 i = h->causal ? most(first, from) : first; i < last; i += QUERIES) {
        i64 count = least(last - i, QUERIES), columns = read_by(i + count - 1, from, block, h->causal);
        if (h->dots)
            dot_rows(&(dots){.a = row(h->q, i), .b = row(h->k, from), .c = h->scores, .a_stride = h->q.stride,
                             .b_stride = h->k.stride, .c_stride = KEYS, .rows = count, .columns = columns,
                             .depth = h->depth});
        else
            multiply(row(h->q, i), h->q.stride, 1, turned, 1, h->scores, KEYS, count, columns, h->depth, 0);
        for (i64 n = 0; n < count; n++)
            weigh(h, i + n, h->scores + n * KEYS, read_by(i + n, from, block, h->causal), columns, from == 0);
        multiply(h->scores, KEYS, 1, (rows){row(h->v, from), h->v.stride}, 0, h->y + i * h->y_stride, h->y_stride,
                 count, h->width, columns, from > 0);
    }
}

static void attend(const attention_task *t, i64 sample, i64 place, i64 part, float *scratch) {
    i64 queries = real(t->query_lengths, sample, t->queries), keys = real(t->key_lengths, sample, t->keys), first, last;
    share_units(t->queries, QUERIES, &(context){.thread = part, .threads = t->parts}, &first, &last);
    i64 end = keys ? most(least(last, queries), first) : first;
    head h = {.q = head_of(t->q, sample, place, t->queries, t->heads, t->depth),
              .k = head_of(t->k, sample, place, t->keys, t->heads, t->depth),
              .v = head_of(t->v, sample, place, t->keys, t->heads, t->width),
              .y = t->y + (sample * t->queries * t->heads + place) * t->width, .y_stride = t->heads * t->width,
              .depth = t->depth, .width = t->width, .causal = t->causal, .scale = (float)t->scale,
              .dots = t->queries <= FEW_QUERIES, .scores = scratch, .turned = scratch + QUERIES * KEYS};
    h.top = h.turned + KEYS * t->depth;
    h.total = h.top + t->queries;
    if (t->causal) keys = least(keys, end);
    for (i64 from = 0; from < keys; from += KEYS) read_block(&h, first, end, from, least(keys - from, KEYS));
    float *sums = t->sums ? t->sums + (sample * t->heads + place) * t->queries : 0;
    for (i64 i = first; i < end; i++) {
        scale_row(h.y + i * h.y_stride, t->width, 1.0f / h.total[i]);
        if (sums) sums[i] = h.top[i] + logf(h.total[i]);
    }
    clear(h.y, h.y_stride, end, last, t->width);
    if (sums) clear(sums, 1, end, last, 1);
}

EXPORT void attention(const void *task, const context *at) {
    const attention_task *t = task;
    i64 first, last;
    share(t->batch * t->heads * t->parts, at, &first, &last);
    for (i64 n = first; n < last; n++)
        attend(t, n / (t->heads * t->parts), n / t->parts % t->heads, n % t->parts, (float *)at->own);
}

/* One head of a sample, on the way back. shift: of each query the sum of y times dy. */
typedef struct {
    rows q, k, v, y, dy;
    float *dq, *dk, *dv, *keys_turned, *values_turned, *weights, *flows, *shift;
    const float *sums;
    i64 stride, wide, depth, width, causal; /* stride: of q, dq, k, dk; wide: of the others */
    float scale;
} back;

static float product_of(const float *x, const float *y, i64 n) {
    vec sum = zeros();
    for (i64 j = 0; j < n; j += VL) sum += load_part(x + j, least(n - j, VL)) * load_part(y + j, least(n - j, VL));
    return sum_lanes(sum);
}

/* flows become weights * (flows - shift) * scale up to n, 0 up to end. */
static void flow_back(float *flows, const float *weights, i64 n, i64 end, float shift, float scale) {
    i64 j = 0;
    for (; j + VL <= n; j += VL) store(flows + j, load(weights + j) * (load(flows + j) - shift) * scale);
    if (j < n) store_part(flows + j, load_part(weights + j, n - j) * (load_part(flows + j, n - j) - shift) * scale, n - j);
    if (n < end) memset(flows + n, 0, sizeof(float) * (size_t)(end - n));
}

/* A block of keys and values for all queries that read them. */
static void flow_block(const back *h, i64 queries, i64 from, i64 block) {
    rows k = turn_over(h->k, from, block, h->depth, h->keys_turned);
    rows v = turn_over(h->v, from, block, h->width, h->values_turned);
    for (i64 i = h->causal ? from : 0; i < queries; i += QUERIES) {
        i64 count = least(queries - i, QUERIES), columns = read_by(i + count - 1, from, block, h->causal);
        multiply(row(h->q, i), h->stride, 1, k, 1, h->weights, KEYS, count, columns, h->depth, 0);
        multiply(row(h->dy, i), h->wide, 1, v, 1, h->flows, KEYS, count, columns, h->width, 0);
        for (i64 n = 0; n < count; n++) {
            float *weights = h->weights + n * KEYS;
            i64 own = read_by(i + n, from, block, h->causal);
            to_powers(weights, own, columns, h->scale, h->sums[i + n]);
            flow_back(h->flows + n * KEYS, weights, own, columns, h->shift[i + n], h->scale);
        }
        multiply(h->weights, 1, KEYS, (rows){row(h->dy, i), h->wide}, 0, h->dv + from * h->wide, h->wide, columns,
                 h->width, count, 1);
        multiply(h->flows, 1, KEYS, (rows){row(h->q, i), h->stride}, 0, h->dk + from * h->stride, h->stride, columns,
                 h->depth, count, 1);
        multiply(h->flows, KEYS, 1, (rows){row(h->k, from), h->stride}, 0, h->dq + i * h->stride, h->stride, count,
                 h->depth, columns, 1);
    }
}

static void attend_back(const attention_gradient_task *t, i64 sample, i64 place, float *scratch) {
    i64 queries = real(t->query_lengths, sample, t->queries), keys = real(t->key_lengths, sample, t->keys);
    i64 asked = (sample * t->queries * t->heads + place) * t->depth, read = (sample * t->keys * t->heads + place);
    back h = {.q = head_of(t->q, sample, place, t->queries, t->heads, t->depth),
              .k = head_of(t->k, sample, place, t->keys, t->heads, t->depth),
              .v = head_of(t->v, sample, place, t->keys, t->heads, t->width),
              .y = head_of(t->y, sample, place, t->queries, t->heads, t->width),
              .dy = head_of(t->dy, sample, place, t->queries, t->heads, t->width),
              .dq = t->dq + asked, .dk = t->dk + read * t->depth, .dv = t->dv + read * t->width,
              .sums = t->sums + (sample * t->heads + place) * t->queries, .stride = t->heads * t->depth,
              .wide = t->heads * t->width, .depth = t->depth, .width = t->width, .causal = t->causal,
              .scale = (float)t->scale, .weights = scratch, .flows = scratch + QUERIES * KEYS};
    h.keys_turned = h.flows + QUERIES * KEYS;
    h.values_turned = h.keys_turned + KEYS * t->depth;
    h.shift = h.values_turned + KEYS * t->width;
    clear(h.dq, h.stride, 0, t->queries, t->depth);
    clear(h.dk, h.stride, 0, t->keys, t->depth);
    clear(h.dv, h.wide, 0, t->keys, t->width);
    for (i64 i = 0; i < queries; i++) h.shift[i] = product_of(row(h.y, i), row(h.dy, i), t->width);
    if (t->causal) keys = least(keys, queries);
    for (i64 from = 0; from < keys; from += KEYS) flow_block(&h, queries, from, least(keys - from, KEYS));
}

EXPORT void attention_gradient(const void *task, const context *at) {
    const attention_gradient_task *t = task;
    i64 first, last;
    share(t->batch * t->heads, at, &first, &last);
    for (i64 n = first; n < last; n++) attend_back(t, n / t->heads, n % t->heads, (float *)at->own);
}
