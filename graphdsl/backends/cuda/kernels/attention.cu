/* Attention: of every head softmax(q · k * scale) · v, and the way back.
 *
 *   q, dq [batch, queries, heads * depth]      k, dk [batch, keys, heads * depth]
 *   y, dy [batch, queries, heads * width]      v, dv [batch, keys, heads * width]
 *   sums, shift [batch, heads, queries]        lengths [batch], or NULL where all steps are real
 *
 * A warp takes one query (on the way back also one key) of a head and walks over 32 keys (queries) at a time:
 *
 *     lane 0   score of key 0  ─┐  largest, sum       ┌─  lane 0   features 0, 32, 64 … of the result
 *     lane 1   score of key 1  ─┼─────────────────────┼─  lane 1   features 1, 33, 65 …
 *       …                      ─┘  weights by shuffle └─    …
 *
 * No weights are kept: of each query the logarithm of the sum of powers is, and from it the way back has them again.
 * Steps of padding give 0 and are never read. No sum is shared by warps, so the bits never change.
 */
#include "device.cuh"
#include "block.cuh"

struct attention_args {
    const float *q, *k, *v;
    const i32 *query_lengths, *key_lengths;
    float *y, *sums; /* sums may be NULL */
    i64 batch, queries, keys, heads, depth, width, causal;
    float scale;
};

struct attention_gradient_args {
    const float *q, *k, *v, *y, *sums, *dy;
    const i32 *query_lengths, *key_lengths;
    float *dq, *dk, *dv; /* each may be NULL */
    i64 batch, queries, keys, heads, depth, width, causal;
    float scale;
};

enum { THREADS = 128 };

/* Which head of which sample a warp has, and its own step. */
struct place {
    i64 sample, head, step;
    bool there;
    i32 lane;
};

/* In 32 bits: a quotient of 64 is a call, around which registers are spilled, and there are no 2^32 steps of heads. */
DEVICE place place_of(i64 batch, i64 heads, i64 steps) {
    u32 n = (u32)(((i64)blockIdx.x * THREADS + threadIdx.x) / 32), row = n / (u32)steps;
    return place{row / (u32)heads, row % (u32)heads, n % (u32)steps, n < batch * heads * steps, (i32)threadIdx.x % 32};
}

DEVICE i64 real(const i32 *lengths, i64 sample, i64 steps) {
    return !lengths ? steps : lengths[sample] < steps ? lengths[sample] : steps;
}

DEVICE const float *row(const float *x, i64 sample, i64 step, i64 head, i64 steps, i64 heads, i64 size) {
    return x + ((sample * steps + step) * heads + head) * size;
}

DEVICE float dot(const float *a, const float *b, i64 n) {
    float sum = 0;
    for (i64 i = 0; i < n; i++) sum += a[i] * b[i];
    return sum;
}

/* sum[p] += what each of the `count` lanes weighs times its row's feature lane + 32 p. */
template <int PARTS> DEVICE void take(float *sum, float weight, const float *rows, i64 stride, i64 count, i64 size, i32 lane) {
    for (i32 j = 0; j < 32; j++) {
        float w = __shfl_sync(~0u, weight, j);
        if (j >= count) continue;
        UNROLL for (int p = 0; p < PARTS; p++)
            if (lane + 32 * p < size) sum[p] += w * rows[j * stride + lane + 32 * p];
    }
}

template <int PARTS> DEVICE void put(float *to, const float *sum, float by, i64 size, i32 lane) {
    UNROLL for (int p = 0; p < PARTS; p++)
        if (lane + 32 * p < size) to[lane + 32 * p] = sum[p] * by;
}

template <int PARTS> KERNEL_OF(THREADS, 5) attention(const attention_args a) {
    place w = place_of(a.batch, a.heads, a.queries);
    if (!w.there) return;
    i64 keys = w.step < real(a.query_lengths, w.sample, a.queries) ? real(a.key_lengths, w.sample, a.keys) : 0;
    if (a.causal && keys > w.step + 1) keys = w.step + 1;
    const float *q = row(a.q, w.sample, w.step, w.head, a.queries, a.heads, a.depth);
    float sum[PARTS] = {}, top = -infinity(), total = 0;
    for (i64 first = 0; first < keys; first += 32) {
        i64 count = keys - first < 32 ? keys - first : 32;
        bool mine = w.lane < count;
        const float *k = row(a.k, w.sample, first + w.lane, w.head, a.keys, a.heads, a.depth);
        float score = mine ? dot(q, k, a.depth) * a.scale : -infinity();
        float next = larger(top, over_warp<take_larger>(score)), kept = first ? expf(top - next) : 0.0f;
        float power = mine ? expf(score - next) : 0.0f;
        total = total * kept + over_warp<add>(power);
        top = next;
        UNROLL for (int p = 0; p < PARTS; p++) sum[p] *= kept;
        const float *v = row(a.v, w.sample, first, w.head, a.keys, a.heads, a.width);
        take<PARTS>(sum, power, v, a.heads * a.width, count, a.width, w.lane);
    }
    float *y = a.y + ((w.sample * a.queries + w.step) * a.heads + w.head) * a.width;
    put<PARTS>(y, sum, keys ? 1.0f / total : 0.0f, a.width, w.lane);
    if (a.sums && w.lane == 0) a.sums[(w.sample * a.heads + w.head) * a.queries + w.step] = keys ? top + logf(total) : 0;
}

/* What flows back into the score of one key from one query, and the weight of the key. */
struct flow {
    float weight, score;
};

DEVICE flow flow_of(const attention_gradient_args &a, i64 sample, i64 head, i64 query, i64 key) {
    const float *q = row(a.q, sample, query, head, a.queries, a.heads, a.depth);
    const float *k = row(a.k, sample, key, head, a.keys, a.heads, a.depth);
    const float *v = row(a.v, sample, key, head, a.keys, a.heads, a.width);
    const float *y = row(a.y, sample, query, head, a.queries, a.heads, a.width);
    const float *dy = row(a.dy, sample, query, head, a.queries, a.heads, a.width);
    float sum = a.sums[(sample * a.heads + head) * a.queries + query], scale = a.scale;
    float weight = expf(dot(q, k, a.depth) * scale - sum);
    float shifted = 0;
    for (i64 i = 0; i < a.width; i++) shifted += dy[i] * (v[i] - y[i]);
    return flow{weight, weight * shifted * scale};
}

template <int PARTS> KERNEL(THREADS) attention_back_to_queries(const attention_gradient_args a) {
    place w = place_of(a.batch, a.heads, a.queries);
    if (!w.there) return;
    i64 keys = w.step < real(a.query_lengths, w.sample, a.queries) ? real(a.key_lengths, w.sample, a.keys) : 0;
    if (a.causal && keys > w.step + 1) keys = w.step + 1;
    float sum[PARTS] = {};
    for (i64 first = 0; first < keys; first += 32) {
        i64 count = keys - first < 32 ? keys - first : 32;
        flow f = {0, 0};
        if (w.lane < count) f = flow_of(a, w.sample, w.head, w.step, first + w.lane);
        const float *k = row(a.k, w.sample, first, w.head, a.keys, a.heads, a.depth);
        take<PARTS>(sum, f.score, k, a.heads * a.depth, count, a.depth, w.lane);
    }
    put<PARTS>(a.dq + ((w.sample * a.queries + w.step) * a.heads + w.head) * a.depth, sum, 1, a.depth, w.lane);
}

template <int PARTS> KERNEL(THREADS) attention_back_to_keys(const attention_gradient_args a) {
    place w = place_of(a.batch, a.heads, a.keys);
    if (!w.there) return;
    i64 queries = w.step < real(a.key_lengths, w.sample, a.keys) ? real(a.query_lengths, w.sample, a.queries) : 0;
    float dk[PARTS] = {}, dv[PARTS] = {};
    for (i64 first = a.causal ? w.step : 0; first < queries; first += 32) {
        i64 count = queries - first < 32 ? queries - first : 32;
        flow f = {0, 0};
        if (w.lane < count) f = flow_of(a, w.sample, w.head, first + w.lane, w.step);
        const float *q = row(a.q, w.sample, first, w.head, a.queries, a.heads, a.depth);
        const float *dy = row(a.dy, w.sample, first, w.head, a.queries, a.heads, a.width);
        take<PARTS>(dk, f.score, q, a.heads * a.depth, count, a.depth, w.lane);
        take<PARTS>(dv, f.weight, dy, a.heads * a.width, count, a.width, w.lane);
    }
    i64 at = (w.sample * a.keys + w.step) * a.heads + w.head;
    if (a.dk) put<PARTS>(a.dk + at * a.depth, dk, 1, a.depth, w.lane);
    if (a.dv) put<PARTS>(a.dv + at * a.width, dv, 1, a.width, w.lane);
}
