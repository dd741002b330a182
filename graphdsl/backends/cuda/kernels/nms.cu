/* Non-maximum suppression without a word to the CPU: of boxes that overlap much, the one with the best score stays.
 *
 *   nms_order   ranks the boxes by score, the best first; of equal scores the one that stands first. A thread counts
 *               for one box, over all scores, which pass through shared memory in tiles
 *   nms_masks   for 64 boxes a block, 64 others after them: bit b of masks[i][j] says that box i overlaps box 64 j + b,
 *               which is of the same class. Only words with 64 j + 63 > i are written
 *   nms_sweep   one block goes down the ranks, 64 at a time. One thread decides those 64, of which the diagonal words
 *               tell who removes whom; then a thread each notes down those that stay, and all put their words into what
 *               is removed:
 *
 *                   removed  [0 0 1 0 | 0 1 ... ]     rank 0 stays: removed |= masks[0]
 *                             ^ decided | later words by all threads
 *
 * The operator reads candidates, [batch, n, 5 + classes]: centre x, centre y, width, height, object, classes.
 * `nms_candidates` makes boxes, scores and classes of them, `nms_results` writes the rows that stay: [batch, most, 6],
 * centre x, centre y, width, height, score, class, and 0 behind the last. A thread a row.
 *
 * `nms_soft` takes the place of the three where suppression is soft: a block a sample takes the best, lowers the scores of
 * what shares with it, and so on; each thread sees to every SWEEPERS-th candidate. Scores that are taken stand in
 * `scores` then, and `left` has those that are still to be lowered.
 *
 * The masks are those of torchvision's nms_kernel.cu; there the sweep is the CPU's. Two boxes overlap when
 * intersection > threshold * union; NaN overlaps nothing.
 */
#include "index.cuh"

struct nms_args {
    const float *boxes; /* [n, 4]: left, top, right, bottom */
    const float *scores;
    const i32 *classes; /* or NULL: all of one */
    i64 *kept, *count;  /* [most]: which stay; how many */
    i32 *ranked;        /* [n]: boxes by rank */
    i32 *found;         /* how many have enough score */
    u64 *masks;         /* [n, words] */
    i64 n, words, most;
    float overlap, score;
};

enum { TILE = 256, BITS = 64, SWEEPERS = 1024, PARTS = 4 };

/* Grows as the score falls; all ones where it is not enough. */
DEVICE u32 key_of(const nms_args &a, i64 i) {
    float score = a.scores[i] + 0.0f; /* -0 is 0 */
    u32 bits = float_to_bits(score);
    return !(score >= a.score) ? ~0u : bits >> 31 ? bits : ~bits & 0x7fffffff;
}

KERNEL(TILE) nms_order(const nms_args a) {
    __shared__ u32 tile[TILE];
    i64 own = (i64)blockIdx.x * TILE + threadIdx.x, rank = 0, found = 0;
    u32 key = own < a.n ? key_of(a, own) : 0;
    for (i64 start = 0; start < a.n; start += TILE) {
        i64 there = least(TILE, a.n - start);
        __syncthreads();
        if ((i64)threadIdx.x < there) tile[threadIdx.x] = key_of(a, start + threadIdx.x);
        __syncthreads();
        for (i64 k = 0; k < there; k++) {
            rank += tile[k] < key || (tile[k] == key && start + k < own);
            found += tile[k] != ~0u;
        }
    }
    if (own < a.n) a.ranked[rank] = (i32)own;
    if (own == 0) *a.found = (i32)found;
}

struct box {
    float left, top, right, bottom, area;
    i32 kind;
};

DEVICE box box_at(const nms_args &a, i64 rank) {
    i32 i = a.ranked[rank];
    const float *b = a.boxes + 4 * (i64)i;
    return {b[0], b[1], b[2], b[3], rounded_product(b[2] - b[0], b[3] - b[1]), a.classes ? a.classes[i] : 0};
}

DEVICE bool overlap(const box &one, const box &other, float threshold) {
    float wide = smaller(one.right, other.right) - larger(one.left, other.left);
    float high = smaller(one.bottom, other.bottom) - larger(one.top, other.top);
    float both = rounded_product(larger(wide, 0.0f), larger(high, 0.0f));
    return both > rounded_product(one.area + other.area - both, threshold);
}

KERNEL(BITS) nms_masks(const nms_args a) {
    __shared__ box others[BITS];
    i64 row = (i64)blockIdx.y * BITS + threadIdx.x, first = (i64)blockIdx.x * BITS, found = *a.found;
    if (blockIdx.x < blockIdx.y || first >= found) return;
    if (first + threadIdx.x < found) others[threadIdx.x] = box_at(a, first + threadIdx.x);
    __syncthreads();
    if (row >= found) return;
    box own = box_at(a, row);
    u64 word = 0;
    for (int b = 0; b < BITS && first + b < found; b++)
        if (first + b > row && others[b].kind == own.kind && overlap(others[b], own, a.overlap)) word |= 1ull << b;
    a.masks[row * a.words + blockIdx.x] = word;
}

/* Of so many ranks those that stay, no more than are wanted yet. */
DEVICE u64 decided(const u64 *diagonal, u64 removed, int ranks, i64 wanted) {
    u64 stay = 0;
    for (int b = 0; b < ranks && wanted > 0; b++) {
        if (removed >> b & 1) continue;
        stay |= 1ull << b;
        removed |= diagonal[b];
        wanted--;
    }
    return stay;
}

KERNEL(SWEEPERS) nms_sweep(const nms_args a) {
    SHARED_BYTES(room);
    __shared__ u64 diagonal[BITS], stay;
    i64 count = 0;
    u64 *removed = (u64 *)room;
    i64 found = *a.found, words = (found + BITS - 1) / BITS, part = threadIdx.x / (SWEEPERS / PARTS);
    for (i64 w = threadIdx.x; w < words; w += SWEEPERS) removed[w] = 0;
    for (i64 group = 0; group < words && count < a.most; group++) {
        i64 first = group * BITS;
        int ranks = (int)least(BITS, found - first), own = threadIdx.x;
        i32 here = own < ranks ? a.ranked[first + own] : 0;
        __syncthreads();
        if (own < ranks) diagonal[own] = a.masks[(first + own) * a.words + group];
        __syncthreads();
        if (own == 0) stay = decided(diagonal, removed[group], ranks, a.most - count);
        __syncthreads();
        if (own < ranks && stay >> own & 1) a.kept[count + __popcll(stay & ((1ull << own) - 1))] = here;
        count += __popcll(stay);
        for (i64 w = group + 1 + threadIdx.x % (SWEEPERS / PARTS); w < words; w += SWEEPERS / PARTS) {
            u64 more = 0;
            UNROLL for (int b = 0; b < BITS / PARTS; b++) {
                i64 bit = part * (BITS / PARTS) + b;
                if (stay >> bit & 1) more |= a.masks[(first + bit) * a.words + w];
            }
            if (more) atomicOr(&removed[w], more);
        }
    }
    if (threadIdx.x == 0) *a.count = count;
}

struct soft_args {
    const float *boxes; /* [batch, rows, 4]: left, top, right, bottom */
    float *scores, *left; /* [batch, rows] */
    const i32 *kinds;
    i64 *kept, *count;
    i64 rows, most, together, gaussian;
    float overlap, score, sigma;
};

/* The score of a candidate beside one that was taken. */
DEVICE float lowered(const soft_args &a, float score, const box &best, const box &own) {
    float wide = smaller(best.right, own.right) - larger(best.left, own.left);
    float high = smaller(best.bottom, own.bottom) - larger(best.top, own.top);
    float both = rounded_product(larger(wide, 0.0f), larger(high, 0.0f));
    float share = both / (best.area + own.area - both);
    if (!(share > 0) || (!a.together && best.kind != own.kind)) return score;
    if (a.gaussian) return score * expf(-share * share / a.sigma);
    return share > a.overlap ? score * (1 - share) : score;
}

DEVICE box candidate(const soft_args &a, i64 k) {
    const float *b = a.boxes + 4 * k;
    return {b[0], b[1], b[2], b[3], rounded_product(b[2] - b[0], b[3] - b[1]), a.kinds[k]};
}

KERNEL(SWEEPERS) nms_soft(const soft_args a) {
    __shared__ float best[SWEEPERS];
    __shared__ i32 place[SWEEPERS];
    i64 first = blockIdx.x * a.rows, count = 0, own = threadIdx.x;
    for (i64 k = own; k < a.rows; k += SWEEPERS) a.left[first + k] = a.scores[first + k] + 0.0f;
    for (; count < a.most; count++) {
        best[own] = -infinity();
        place[own] = -1;
        for (i64 k = own; k < a.rows; k += SWEEPERS) {
            float score = a.left[first + k];
            if (score >= a.score && score > best[own]) best[own] = score, place[own] = (i32)k;
        }
        for (int half = SWEEPERS / 2; half; half /= 2) {
            __syncthreads();
            if (own >= half || place[own + half] < 0) continue;
            bool same = best[own + half] == best[own] && place[own + half] < place[own];
            if (best[own + half] > best[own] || same) best[own] = best[own + half], place[own] = place[own + half];
        }
        __syncthreads();
        i32 taken = place[0];
        float score = best[0];
        __syncthreads();
        if (taken < 0) break;
        box winner = candidate(a, first + taken);
        for (i64 k = own; k < a.rows; k += SWEEPERS) {
            float left = a.left[first + k];
            a.left[first + k] = k == taken ? -infinity() : lowered(a, left, winner, candidate(a, first + k));
        }
        if (own == 0) {
            a.kept[blockIdx.x * a.most + count] = taken;
            a.scores[first + taken] = score;
        }
    }
    if (own == 0) a.count[blockIdx.x] = count;
}

struct detections_args {
    const float *x;
    float *boxes, *scores; /* [batch, rows, 4] and [batch, rows] */
    i32 *kinds;
    const i64 *kept, *count; /* [batch, most] and [batch] */
    float *y;
    i64 batch, n, classes, several, most;
};

enum { BEFORE_CLASSES = 5, RESULT = 6 };

/* Rows are candidates, or with `several` candidates times classes. Fewer than 2^31 numbers, so 32 bits count them. */
KERNEL(TILE) nms_candidates(const detections_args a) {
    u32 classes = (u32)a.classes, each = a.several ? classes : 1;
    for EACH(u32, k, (u32)(a.batch * a.n) * each) {
        const float *r = a.x + (i64)(k / each) * (BEFORE_CLASSES + classes);
        u32 kind = k % each, first = a.several ? kind : 0, last = a.several ? kind + 1 : classes;
        float best = -infinity();
        for (u32 c = first; c < last; c++) {
            float score = r[4] * r[BEFORE_CLASSES + c];
            if (score > best) best = score, kind = c;
        }
        float *box = a.boxes + 4 * (i64)k;
        for (int axis = 0; axis < 2; axis++) {
            box[axis] = r[axis] - r[axis + 2] / 2;
            box[axis + 2] = r[axis] + r[axis + 2] / 2;
        }
        a.scores[k] = best;
        a.kinds[k] = (i32)kind;
    }
}

KERNEL(TILE) nms_results(const detections_args a) {
    u32 classes = (u32)a.classes, each = a.several ? classes : 1, most = (u32)a.most;
    for EACH(u32, k, (u32)a.batch * most) {
        u32 sample = k / most;
        bool there = k % most < a.count[sample];
        u32 row = there ? sample * (u32)a.n * each + (u32)a.kept[k] : 0;
        const float *r = a.x + (i64)(row / each) * (BEFORE_CLASSES + classes);
        float *y = a.y + RESULT * (i64)k;
        for (int column = 0; column < 4; column++) y[column] = there ? r[column] : 0.0f;
        y[4] = there ? a.scores[row] : 0.0f;
        y[5] = there ? (float)a.kinds[row] : 0.0f;
    }
}
