/* Connectionist temporal classification: the loss, its slope, and the text frame by frame.
 *
 *   x            [batch, frames, outputs], scores; p: probabilities
 *   text         [batch, characters], whole numbers
 *   frame_counts, character_counts   [batch], or null: all are real
 *   loss         [batch], slope [batch, frames, outputs], each may be null
 *
 * A text passes through states: a blank, then each character and a blank. forward[t][s] is the logarithm of how
 * probable it is to have come to state s by frame t, that frame included; the backward pass has the same of what is
 * left, frame by frame, and needs no table:
 *
 *     t        0   1   2   3   4                  a state follows itself, the one before it, or (x) a character unlike
 *   _   0      *   *   *   .   .                  the one before follows that:    _ - a - _ - b - _
 *   a   1      *   *   *   *   .                                                       \___x___/
 *   _   2      .   *   *   *   .
 *   b   3      .   *   *   *   *                  only the states marked * can be on a way: from frame t two states a
 *   _   4      .   .   *   *   *                  frame reach back to 0 or 1, and forward to one of the last two
 *
 * In double precision: logarithms of texts of a hundred characters reach -1000, of which float32 leaves 4 digits.
 * Shared by samples.
 */
#include "vmath.h"

typedef struct {
    const float *x;
    const int32_t *text, *frame_counts, *character_counts;
    float *loss, *slope;
    i64 batch, frames, outputs, characters, blank, skip;
} softmax_ctc_task;
TASK(softmax_ctc_task);

/* One sample, and scratch for it; ctc.py asks for as much. */
typedef struct {
    const float *x;
    i64 frames, states, outputs;
    double *logs;    /* frames x states: of what a state says in a frame */
    double *forward; /* frames x states */
    double *back, *next, *said; /* states, states, outputs */
    i64 *outputs_of; /* states */
} ways;

static double log_of_sum(double a, double b, double c) {
    double top = a > b ? a : b;
    top = top > c ? top : c;
    if (top == -INFINITY) return a + b + c; /* NaN stays NaN */
    return top + log(exp(a - top) + exp(b - top) + exp(c - top));
}

/* log sum exp of a frame's scores. */
static double log_total(const float *x, i64 n) {
    double top = x[0], total = 0;
    for (i64 k = 1; k < n; k++) top = x[k] > top ? x[k] : top;
    for (i64 k = 0; k < n; k++) total += exp(x[k] - top);
    return top + log(total);
}

/* Whether a state is a character unlike the one before it. */
INLINE int leaps(const ways *w, i64 s) { return s >= 2 && (s & 1) && w->outputs_of[s] != w->outputs_of[s - 2]; }

/* The states that a way can be in at frame t: from *first up to *last. */
INLINE void reachable(const ways *w, i64 t, i64 *first, i64 *last) {
    *first = most(0, w->states - 2 * (w->frames - t));
    *last = least(w->states, 2 * t + 2);
}

static void take_logs(const ways *w) {
    for (i64 t = 0; t < w->frames; t++) {
        const float *x = w->x + t * w->outputs;
        double total = log_total(x, w->outputs);
        for (i64 s = 0; s < w->states; s++) w->logs[t * w->states + s] = x[w->outputs_of[s]] - total;
    }
}

static void walk_forward(const ways *w) {
    i64 first, last, n = w->states;
    for (i64 k = 0; k < w->frames * n; k++) w->forward[k] = -INFINITY;
    for (i64 s = 0; s < least(2, n); s++) w->forward[s] = w->logs[s];
    for (i64 t = 1; t < w->frames; t++) {
        const double *before = w->forward + (t - 1) * n;
        reachable(w, t, &first, &last);
        for (i64 s = first; s < last; s++) {
            double one = s >= 1 ? before[s - 1] : -INFINITY, two = leaps(w, s) ? before[s - 2] : -INFINITY;
            w->forward[t * n + s] = log_of_sum(before[s], one, two) + w->logs[t * n + s];
        }
    }
}

/* log p(text) */
static double found(const ways *w) {
    if (w->frames == 0) return w->states == 1 ? 0 : -INFINITY;
    const double *end = w->forward + (w->frames - 1) * w->states;
    return log_of_sum(end[w->states - 1], w->states > 1 ? end[w->states - 2] : -INFINITY, -INFINITY);
}

/* back[s]: log of how probable the rest is after frame t, from what it is after frame t + 1. */
static void step_back(const ways *w, i64 t) {
    i64 first, last, n = w->states;
    const double *logs = w->logs + (t + 1) * n;
    for (i64 s = 0; s < n; s++) w->next[s] = w->back[s] + logs[s];
    for (i64 s = 0; s < n; s++) w->back[s] = -INFINITY;
    reachable(w, t, &first, &last);
    for (i64 s = first; s < last; s++) {
        double one = s + 1 < n ? w->next[s + 1] : -INFINITY;
        double two = s + 2 < n && leaps(w, s + 2) ? w->next[s + 2] : -INFINITY;
        w->back[s] = log_of_sum(w->next[s], one, two);
    }
}

/* softmax(x) minus how probable each output is in this frame, given the text. */
static void slope_of_frame(const ways *w, i64 t, double total, float *slope) {
    i64 first, last;
    const float *x = w->x + t * w->outputs;
    double whole = log_total(x, w->outputs);
    for (i64 k = 0; k < w->outputs; k++) w->said[k] = exp(x[k] - whole);
    reachable(w, t, &first, &last);
    for (i64 s = first; s < last; s++)
        w->said[w->outputs_of[s]] -= exp(w->forward[t * w->states + s] + w->back[s] - total);
    for (i64 k = 0; k < w->outputs; k++) slope[k] = (float)w->said[k];
}

static void slopes(const ways *w, double total, float *slope) {
    for (i64 s = 0; s < w->states; s++) w->back[s] = s + 2 < w->states ? -INFINITY : 0;
    for (i64 t = w->frames - 1; t >= 0; t--) {
        if (t < w->frames - 1) step_back(w, t);
        slope_of_frame(w, t, total, slope + t * w->outputs);
    }
}

static ways ways_in(const softmax_ctc_task *t, char *own) {
    ways w;
    i64 states = 2 * t->characters + 1;
    w.outputs = t->outputs;
    w.logs = (double *)own;
    w.forward = w.logs + t->frames * states;
    w.back = w.forward + t->frames * states;
    w.next = w.back + states;
    w.said = w.next + states;
    w.outputs_of = (i64 *)(w.said + t->outputs);
    return w;
}

static void sample(const softmax_ctc_task *t, i64 b, ways w) {
    i64 characters = t->character_counts ? t->character_counts[b] : t->characters;
    w.frames = t->frame_counts ? t->frame_counts[b] : t->frames;
    w.states = 2 * characters + 1;
    w.x = t->x + b * t->frames * t->outputs;
    for (i64 s = 0; s < w.states; s++) {
        i64 k = s & 1 ? t->text[b * t->characters + s / 2] : t->blank;
        w.outputs_of[s] = s & 1 && k >= t->blank ? k + 1 : k;
    }
    take_logs(&w);
    walk_forward(&w);
    double total = found(&w);
    int none = total == -INFINITY;
    if (t->loss) t->loss[b] = none ? (t->skip ? 0 : INFINITY) : (float)-total;
    if (!t->slope) return;
    float *slope = t->slope + b * t->frames * t->outputs;
    memset(slope, 0, sizeof(float) * (size_t)(t->frames * t->outputs));
    if (!none) slopes(&w, total, slope);
}

EXPORT void softmax_ctc(const void *task, const context *at) {
    const softmax_ctc_task *t = task;
    i64 first, last;
    ways w = ways_in(t, at->own);
    share(t->batch, at, &first, &last);
    for (i64 b = first; b < last; b++) sample(t, b, w);
}

/* --- the text, frame by frame; -1 behind its end --------------------------------------------------------- */

typedef struct {
    const float *p;
    const int32_t *frame_counts;
    int32_t *text;
    i64 batch, frames, outputs, blank;
} ctc_greedy_task;
TASK(ctc_greedy_task);

/* The place of the largest, of equal ones the first; NaN is larger than any number. */
static i64 best(const float *p, i64 n) {
    i64 found = 0;
    for (i64 k = 1; k < n && p[found] == p[found]; k++)
        if (!(p[k] <= p[found])) found = k;
    return found;
}

EXPORT void ctc_greedy(const void *task, const context *at) {
    const ctc_greedy_task *t = task;
    i64 first, last;
    share(t->batch, at, &first, &last);
    for (i64 b = first; b < last; b++) {
        int32_t *text = t->text + b * t->frames;
        i64 real = t->frame_counts ? t->frame_counts[b] : t->frames, count = 0, before = t->blank;
        for (i64 f = 0; f < real; f++) {
            i64 k = best(t->p + (b * t->frames + f) * t->outputs, t->outputs);
            if (k != before && k != t->blank) text[count++] = (int32_t)(k > t->blank ? k - 1 : k);
            before = k;
        }
        for (; count < t->frames; count++) text[count] = -1;
    }
}
