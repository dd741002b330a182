/* Connectionist temporal classification: the loss, its slope, and the text frame by frame.
 *
 *   x        [batch, frames, outputs], scores        text  [batch, characters], whole numbers
 *   loss     [batch]                                 slope [batch, frames, outputs], each may be NULL
 *
 * A block walks through the frames of one sample, a thread a state: a blank, then each character and a blank.
 * forward[t][s] is the logarithm of how probable it is to have come to state s by frame t; the way back holds two rows
 * of the same: ctc.c on the CPU has a picture. Logarithms are doubles, since they grow with the text; what is left after
 * the largest is taken off is small, and its functions are those of floats.
 *
 * `ctc_greedy`: a warp a sample finds the best output of 32 frames at a time; those that begin a character count
 * themselves by a vote, which is where each goes.
 */
#include "device.cuh"
#include "block.cuh"

struct softmax_ctc_args {
    const float *x;
    const i32 *text, *frame_counts, *character_counts; /* counts may be NULL: all are real */
    float *loss, *slope;
    double *totals;  /* [batch, frames]: log Σ exp of the scores */
    double *forward; /* [batch, frames, states] */
    double *back;    /* [batch, 3, states]: two rows in turn, and what goes through each state */
    i64 frames, outputs, characters, blank, skip; /* no tensor has 2^31 numbers */
};

enum { THREADS = 128 };

struct ways {
    const float *x;
    const i32 *text;
    const double *totals;
    i32 frames, states, outputs, blank;

    DEVICE i32 output_of(i32 s) const {
        i32 k = s & 1 ? text[s / 2] : blank;
        return s & 1 && k >= blank ? k + 1 : k;
    }
    /* Whether it is a character unlike the one before. */
    DEVICE bool leaps(i32 s) const { return s >= 2 && (s & 1) && text[s / 2] != text[s / 2 - 1]; }
    /* log of how probable it is that a frame says what the state is. */
    DEVICE double says(i32 t, i32 s) const { return x[t * outputs + output_of(s)] - totals[t]; }
};

DEVICE double impossible() { return -(double)infinity(); }

DEVICE double log_of_sum(double a, double b, double c) {
    double top = a > b ? a : b;
    top = top > c ? top : c;
    if (top == impossible()) return a + b + c; /* NaN stays NaN */
    return top + logf(expf((float)(a - top)) + expf((float)(b - top)) + expf((float)(c - top)));
}

/* log Σ exp of each frame's scores, a warp a frame. */
DEVICE void take_totals(const ways &w, double *totals) {
    for (i32 t = (i32)threadIdx.x / 32; t < w.frames; t += THREADS / 32) {
        const float *x = w.x + t * w.outputs;
        float top = -infinity(), sum = 0;
        for (i32 k = (i32)threadIdx.x % 32; k < w.outputs; k += 32) top = larger(top, x[k]);
        top = over_warp<take_larger>(top);
        for (i32 k = (i32)threadIdx.x % 32; k < w.outputs; k += 32) sum += expf(x[k] - top);
        sum = over_warp<add>(sum);
        if (threadIdx.x % 32 == 0) totals[t] = (double)top + logf(sum);
    }
    __syncthreads();
}

DEVICE void walk_forward(const ways &w, double *forward) {
    for (i32 t = 0; t < w.frames; t++) {
        double *here = forward + t * w.states;
        const double *before = here - w.states;
        for (i32 s = (i32)threadIdx.x; s < w.states; s += THREADS) {
            double none = t == 0 && s < 2 ? 0 : impossible();
            double stays = t ? before[s] : none, one = t && s ? before[s - 1] : none;
            double sum = t ? log_of_sum(stays, one, w.leaps(s) ? before[s - 2] : none) : none;
            here[s] = sum + w.says(t, s);
        }
        __syncthreads();
    }
}

/* log of how probable the rest is after frame t: into here, from what it is after frame t + 1. */
DEVICE void step_back(const ways &w, i32 t, const double *next, double *here) {
    for (i32 s = (i32)threadIdx.x; s < w.states; s += THREADS) {
        double stays = next[s] + w.says(t + 1, s);
        double one = s + 1 < w.states ? next[s + 1] + w.says(t + 1, s + 1) : impossible();
        double two = s + 2 < w.states && w.leaps(s + 2) ? next[s + 2] + w.says(t + 1, s + 2) : impossible();
        here[s] = log_of_sum(stays, one, two);
    }
}

DEVICE void slopes(const ways &w, double total, const double *forward, double *back, float *slope) {
    float *through = (float *)(back + 2 * w.states);
    for (i32 t = w.frames - 1; t >= 0; t--) {
        double *here = back + t % 2 * w.states, *next = back + (t + 1) % 2 * w.states;
        if (t + 1 < w.frames) step_back(w, t, next, here);
        for (i32 s = (i32)threadIdx.x; s < w.states; s += THREADS) {
            if (t + 1 == w.frames) here[s] = s + 2 < w.states ? impossible() : 0;
            through[s] = expf((float)(forward[t * w.states + s] + here[s] - total));
        }
        __syncthreads();
        for (i32 k = (i32)threadIdx.x; k < w.outputs; k += THREADS) {
            float said = expf((float)(w.x[t * w.outputs + k] - w.totals[t]));
            for (i32 s = 0; s < w.states; s++)
                if (w.output_of(s) == k) said -= through[s];
            slope[t * w.outputs + k] = said;
        }
        __syncthreads();
    }
}

KERNEL(THREADS) softmax_ctc(const softmax_ctc_args a) {
    i32 b = (i32)blockIdx.x, most_states = 2 * (i32)a.characters + 1;
    i32 characters = a.character_counts ? a.character_counts[b] : (i32)a.characters;
    double *totals = a.totals + b * a.frames, *forward = a.forward + b * a.frames * most_states;
    const ways w = {a.x + b * a.frames * a.outputs, a.text + b * a.characters, totals,
                    a.frame_counts ? a.frame_counts[b] : (i32)a.frames, 2 * characters + 1, (i32)a.outputs,
                    (i32)a.blank};
    take_totals(w, totals);
    walk_forward(w, forward);
    const double *end = forward + w.frames * w.states;
    double total = w.states == 1 ? 0 : impossible();
    if (w.frames) total = log_of_sum(end[-1], w.states > 1 ? end[-2] : impossible(), impossible());
    bool none = total == impossible();
    if (a.loss && threadIdx.x == 0) a.loss[b] = none ? (a.skip ? 0 : infinity()) : (float)-total;
    if (!a.slope) return;
    float *slope = a.slope + b * a.frames * a.outputs;
    i32 real = none ? 0 : w.frames * a.outputs;
    for (i32 k = real + (i32)threadIdx.x; k < a.frames * a.outputs; k += THREADS) slope[k] = 0;
    if (!none) slopes(w, total, forward, a.back + b * 3 * most_states, slope);
}

struct ctc_greedy_args {
    const float *p;
    const i32 *frame_counts; /* or NULL */
    i32 *text;
    i64 batch, frames, outputs, blank;
};

/* The place of the largest, of equal ones the first; NaN is larger than any number. */
DEVICE i64 best(const float *p, i64 n) {
    i64 found = 0;
    for (i64 k = 1; k < n && p[found] == p[found]; k++)
        if (!(p[k] <= p[found])) found = k;
    return found;
}

KERNEL(THREADS) ctc_greedy(const ctc_greedy_args a) {
    i64 b = ((i64)blockIdx.x * THREADS + threadIdx.x) / 32, lane = threadIdx.x % 32, count = 0, last = a.blank;
    if (b >= a.batch) return;
    const float *p = a.p + b * a.frames * a.outputs;
    i32 *text = a.text + b * a.frames;
    i64 real = a.frame_counts ? a.frame_counts[b] : a.frames;
    for (i64 first = 0; first < real; first += 32) {
        i64 t = first + lane;
        i32 k = t < real ? (i32)best(p + t * a.outputs, a.outputs) : (i32)a.blank;
        i32 before = __shfl_sync(~0u, k, lane ? lane - 1 : 0);
        if (lane == 0) before = (i32)last;
        bool begins = k != before && k != a.blank;
        u32 votes = __ballot_sync(~0u, begins);
        if (begins) text[count + __popc(votes & ((1u << lane) - 1))] = k > a.blank ? k - 1 : k;
        count += __popc(votes);
        last = __shfl_sync(~0u, k, 31);
    }
    for (i64 t = count + lane; t < a.frames; t += 32) text[t] = -1;
}
