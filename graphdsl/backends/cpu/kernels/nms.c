/* Non-maximum suppression: of boxes that overlap much, the one with the best score stays.
 *
 *   boxes    [n, 4]: left, top, right, bottom        scores   [n]
 *   classes  [n], from 0 to class_count - 1, or null: all of one class
 *   kept     [most]: which boxes stay, the best first; of equal scores the one that stands first
 *   count    how many those are
 *
 * Candidates go from the best score down. Each is held against the boxes of its class that were kept so far, a vector
 * of them at a time, and dropped at the first that it overlaps: n times kept over VL steps at most. Kept boxes stand
 * by coordinate, class by class, in room for all candidates of a class:
 *
 *     left    a c . | b . . . |        class 0 has kept a and c, class 1 has kept b
 *     top     a c . | b . . . |
 *     ...
 *
 * Two boxes overlap when intersection > threshold * union; NaN overlaps nothing. Serial.
 */
#include "vector.h"

typedef struct {
    const float *boxes, *scores;
    const int32_t *classes;
    i64 *kept, *count;
    i64 n, class_count, most;
    double overlap, score; /* thresholds */
} nms_task;
TASK(nms_task);

enum { COORDINATES = 5 }; /* left, top, right, bottom, area */

/* Scratch of one call; nms.py asks for as much. */
typedef struct {
    uint64_t *keys, *spare; /* n: score and index */
    i64 *starts, *lengths;  /* class_count + 1: where a class's kept boxes stand, and how many there are */
    float *kept;            /* COORDINATES x n */
} room;

static room room_in(const nms_task *t, char *own) {
    room r;
    r.keys = (uint64_t *)own;
    r.spare = r.keys + t->n;
    r.starts = (i64 *)(r.spare + t->n);
    r.lengths = r.starts + t->class_count + 1;
    r.kept = (float *)(r.lengths + t->class_count + 1);
    return r;
}

INLINE i64 class_of(const nms_task *t, i64 i) { return t->classes ? t->classes[i] : 0; }

/* A number that grows as the score falls. */
INLINE uint64_t descending(float score) {
    uint32_t bits;
    memcpy(&bits, &score, sizeof bits);
    return bits >> 31 ? bits : ~bits & 0x7fffffff;
}

/* Indices of the boxes with enough score, as keys; counts the boxes of each class into starts. Gives how many. */
static i64 candidates(const nms_task *t, room r) {
    i64 found = 0;
    memset(r.starts, 0, sizeof(i64) * (size_t)(t->class_count + 1));
    memset(r.lengths, 0, sizeof(i64) * (size_t)(t->class_count + 1));
    for (i64 i = 0; i < t->n; i++) {
        float score = t->scores[i] + 0.0f; /* -0 is 0 */
        if (!(score >= (float)t->score)) continue;
        r.keys[found++] = descending(score) << 32 | (uint64_t)i;
        r.starts[class_of(t, i) + 1]++;
    }
    for (i64 c = 0; c < t->class_count; c++) r.starts[c + 1] += r.starts[c];
    return found;
}

/* Orders keys by their upper halves, a byte at a time; equal ones stay in order. */
static void sort(uint64_t *keys, uint64_t *spare, i64 n) {
    for (int shift = 32; shift < 64; shift += 8) {
        i64 places[257] = {0};
        for (i64 i = 0; i < n; i++) places[(keys[i] >> shift & 255) + 1]++;
        for (int b = 0; b < 256; b++) places[b + 1] += places[b];
        for (i64 i = 0; i < n; i++) spare[places[keys[i] >> shift & 255]++] = keys[i];
        uint64_t *other = keys;
        keys = spare;
        spare = other;
    }
}

/* Which of n boxes that stand by coordinate from `at` on, `stride` apart, overlap box. */
INLINE mask overlapping(const float *at, i64 stride, i64 n, const float *box, float threshold) {
    vec left = load_part(at, n), top = load_part(at + stride, n), right = load_part(at + 2 * stride, n);
    vec bottom = load_part(at + 3 * stride, n), area = load_part(at + 4 * stride, n);
    vec wide = min_or_second(right, all(box[2])) - max_or_second(left, all(box[0]));
    vec high = min_or_second(bottom, all(box[3])) - max_or_second(top, all(box[1]));
    vec both = larger(wide, zeros()) * larger(high, zeros());
    return both_masks(greater(both, (area + box[4] - both) * threshold), first_lanes(n));
}

INLINE int any(mask over) {
#if VL == 16
    return over != 0;
#else
    int32_t found = 0;
    for (int i = 0; i < VL; i++) found |= over[i];
    return found != 0;
#endif
}

static int overlaps_kept(const float *at, i64 stride, i64 count, const float *box, float threshold) {
    for (i64 k = 0; k < count; k += VL)
        if (any(overlapping(at + k, stride, least(VL, count - k), box, threshold))) return 1;
    return 0;
}

EXPORT void nms(const void *task, const context *at) {
    const nms_task *t = task;
    if (at->thread != 0) return;
    room r = room_in(t, at->own);
    i64 found = candidates(t, r), count = 0;
    sort(r.keys, r.spare, found);
    for (i64 k = 0; k < found && count < t->most; k++) {
        i64 i = (i64)(r.keys[k] & 0xffffffff), c = class_of(t, i), stands = r.starts[c] + r.lengths[c];
        const float *b = t->boxes + 4 * i;
        float box[COORDINATES] = {b[0], b[1], b[2], b[3], (b[2] - b[0]) * (b[3] - b[1])};
        if (overlaps_kept(r.kept + r.starts[c], t->n, r.lengths[c], box, (float)t->overlap)) continue;
        for (int axis = 0; axis < COORDINATES; axis++) r.kept[axis * t->n + stands] = box[axis];
        r.lengths[c]++;
        t->kept[count++] = i;
    }
    *t->count = count;
}

/* --- the operator --------------------------------------------------------------------------------------------------
 *
 *   x       [batch, n, 5 + classes]: centre x, centre y, width, height, object, classes
 *   y       [batch, most, 6]: centre x, centre y, width, height, score, class; 0 where there are no more
 *
 * Candidates are numbered row * classes + class. What was kept stands by coordinate, its class behind the area: so few
 * are kept that all classes can stand together. Where classes do not matter, all are class 0 there. Shared by samples.
 *
 * Soft suppression drops nobody for an overlap: it takes the best, lowers the scores of the others of its class by what
 * they share with it, leaves out those that fall below the threshold, and takes the best of what is left.
 */
typedef struct {
    const float *x;
    float *y;
    i64 batch, n, classes, most, several, together, soft;
    double overlap, score, sigma; /* thresholds; how much a share lowers a score */
} detections_task;
TASK(detections_task);

enum { BEFORE_CLASSES = 5, RESULT = 6 };
enum { HARD, LINEAR, GAUSSIAN };

/* Adds a candidate where its score is enough. */
INLINE i64 offered(uint64_t *keys, i64 found, float score, float enough, i64 number) {
    if (!(score >= enough)) return found;
    keys[found] = descending(score + 0.0f) << 32 | (uint64_t)number;
    return found + 1;
}

static i64 offered_by_row(const detections_task *t, const float *row, i64 i, uint64_t *keys, i64 found) {
    float enough = (float)t->score, best = -INFINITY;
    i64 kind = 0;
    for (i64 c = 0; c < t->classes; c++) {
        float score = row[4] * row[BEFORE_CLASSES + c];
        if (t->several) found = offered(keys, found, score, enough, i * t->classes + c);
        if (score > best) best = score, kind = c;
    }
    return t->several ? found : offered(keys, found, best, enough, i * t->classes + kind);
}

static int overlaps_its_class(const float *kept, i64 stride, i64 count, const float *box, float threshold) {
    for (i64 k = 0; k < count; k += VL) {
        i64 n = least(VL, count - k);
        mask same = equals(load_part(kept + COORDINATES * stride + k, n), all(box[COORDINATES]));
        if (any(both_masks(same, overlapping(kept + k, stride, n, box, threshold)))) return 1;
    }
    return 0;
}

/* Left, top, right, bottom, area, and the class that suppression goes by. */
INLINE void stands(const detections_task *t, const float *r, i64 c, float *box) {
    box[0] = r[0] - r[2] / 2, box[1] = r[1] - r[3] / 2, box[2] = r[0] + r[2] / 2, box[3] = r[1] + r[3] / 2;
    box[4] = (box[2] - box[0]) * (box[3] - box[1]);
    box[COORDINATES] = t->together ? 0.0f : (float)c;
}

INLINE void told(const float *r, float score, i64 c, float *to) {
    memcpy(to, r, 4 * sizeof(float));
    to[4] = score;
    to[5] = (float)c;
}

static void hard(const detections_task *t, const float *x, float *y, uint64_t *keys, i64 found, float *kept) {
    i64 width = BEFORE_CLASSES + t->classes, count = 0;
    for (i64 k = 0; k < found && count < t->most; k++) {
        i64 number = (i64)(keys[k] & 0xffffffff), i = number / t->classes, c = number % t->classes;
        const float *r = x + i * width;
        float box[COORDINATES + 1];
        stands(t, r, c, box);
        if (overlaps_its_class(kept, t->most, count, box, (float)t->overlap)) continue;
        for (int axis = 0; axis <= COORDINATES; axis++) kept[axis * t->most + count] = box[axis];
        told(r, r[4] * r[BEFORE_CLASSES + c], c, y + RESULT * count++);
    }
}

/* A candidate that is still there; nms.py asks for as much room. */
typedef struct {
    float score, box[COORDINATES + 1];
    uint32_t number;
} rival;

static float lowered(const detections_task *t, const rival *best, const rival *other) {
    const float *a = best->box, *b = other->box;
    float wide = fminf(a[2], b[2]) - fmaxf(a[0], b[0]), high = fminf(a[3], b[3]) - fmaxf(a[1], b[1]);
    if (a[COORDINATES] != b[COORDINATES] || !(wide > 0 && high > 0)) return other->score;
    float both = wide * high, share = both / (a[4] + b[4] - both);
    if (!(share > 0)) return other->score;
    if (t->soft == GAUSSIAN) return other->score * expf(-share * share / (float)t->sigma);
    return share > (float)t->overlap ? other->score * (1 - share) : other->score;
}

/* Leaves out the rival at `taken`, lowers the others, and drops those that fall too low. Gives how many are left. */
static i64 those_left(const detections_task *t, rival *all, i64 count, i64 taken) {
    rival best = all[taken];
    i64 left = 0;
    for (i64 k = 0; k < count; k++) {
        rival next = all[k];
        next.score = lowered(t, &best, &next);
        if (k != taken && next.score >= (float)t->score) all[left++] = next;
    }
    return left;
}

static void soft(const detections_task *t, const float *x, float *y, const uint64_t *keys, i64 found, rival *all) {
    i64 width = BEFORE_CLASSES + t->classes;
    for (i64 k = 0; k < found; k++) {
        i64 number = (i64)(keys[k] & 0xffffffff), i = number / t->classes, c = number % t->classes;
        all[k].number = (uint32_t)number;
        all[k].score = x[i * width + 4] * x[i * width + BEFORE_CLASSES + c];
        stands(t, x + i * width, c, all[k].box);
    }
    for (i64 count = 0; count < t->most && found > 0; count++) {
        i64 best = 0;
        for (i64 k = 1; k < found; k++)
            if (all[k].score > all[best].score) best = k;
        i64 i = all[best].number / t->classes, c = all[best].number % t->classes;
        told(x + i * width, all[best].score, c, y + RESULT * count);
        found = those_left(t, all, found, best);
    }
}

static void detections_of_one(const detections_task *t, const float *x, float *y, char *own) {
    i64 width = BEFORE_CLASSES + t->classes, room = t->several ? t->n * t->classes : t->n, found = 0;
    uint64_t *keys = (uint64_t *)own;
    for (i64 i = 0; i < t->n; i++) found = offered_by_row(t, x + i * width, i, keys, found);
    memset(y, 0, sizeof(float) * (size_t)(t->most * RESULT));
    if (t->soft != HARD) {
        soft(t, x, y, keys, found, (rival *)(keys + room));
        return;
    }
    sort(keys, keys + room, found);
    hard(t, x, y, keys, found, (float *)(keys + 2 * room));
}

EXPORT void detections(const void *task, const context *at) {
    const detections_task *t = task;
    i64 first, last, width = BEFORE_CLASSES + t->classes;
    share(t->batch, at, &first, &last);
    for (i64 b = first; b < last; b++)
        detections_of_one(t, t->x + b * t->n * width, t->y + b * t->most * RESULT, at->own);
}
