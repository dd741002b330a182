/* Maxima of windows, and where they stood; maxima of whole sequences; and the ways back.
 *
 * A thread makes one number of the result; neighbours are neighbouring channels, so that a warp reads whole lines.
 *
 *   max_pool            y[n,i,j,c] = largest of its window, winner = its place in the picture, in row order; NaN wins
 *   max_pool_gradient   dx[n,p,q,c] = Σ dy over the windows that cover (p, q) and whose winner it is: no atomics
 *   global_max_pool     a block takes 32 channels of a sample, 8 threads share the steps of a channel
 *   put_winners         dx[n,s,c] = Σ over places of y whose winner is s
 *   take_winners        y[n,p,c] = x[n,winner,c]
 */
#include "window.cuh"

struct max_pool_args {
    const float *x;
    float *y;
    i32 *winner;
    window w;
};

template <class Index> KERNEL(256) max_pool(const max_pool_args a) {
    const window &w = a.w;
    for EACH(Index, i, w.batch * w.out_height * w.out_width * w.channels) {
        place<Index> at(i, w.out_height, w.out_width, w.channels);
        span rows = covered(at.row, w.window_height, w.stride_height, w.top, w.height);
        span columns = covered(at.column, w.window_width, w.stride_width, w.left, w.width);
        const float *x = a.x + (i64)at.image * w.height * w.width * w.channels + at.channel;
        float best = -infinity();
        i64 winner = rows.first * w.width + columns.first;
        for (i64 p = rows.first; p < rows.end; p++)
            for (i64 q = columns.first; q < columns.end; q++) {
                float v = x[(p * w.width + q) * w.channels];
                if (v > best || v != v) best = v, winner = p * w.width + q;
            }
        a.y[i] = best;
        a.winner[i] = (i32)winner;
    }
}

struct max_pool_gradient_args {
    const float *dy;
    const i32 *winner;
    float *dx;
    window w;
};

template <class Index> KERNEL_OF(256, 5) max_pool_gradient(const max_pool_gradient_args a) {
    const window &w = a.w;
    for EACH(Index, i, w.batch * w.height * w.width * w.channels) {
        place<Index> at(i, w.height, w.width, w.channels);
        span rows = covering(at.row, w.window_height, w.stride_height, w.top, w.out_height);
        span columns = covering(at.column, w.window_width, w.stride_width, w.left, w.out_width);
        i64 picture = (i64)at.image * w.out_height * w.out_width * w.channels + at.channel;
        i32 own = (i32)(at.row * w.width + at.column);
        float sum = 0;
        for (i64 r = rows.first; r < rows.end; r++)
            for (i64 s = columns.first; s < columns.end; s++) {
                i64 k = picture + (r * w.out_width + s) * w.channels;
                if (a.winner[k] == own) sum += a.dy[k];
            }
        a.dx[i] = sum;
    }
}

struct winners_args {
    const float *x;
    float *y;
    i32 *winner;
    i64 batch, size, places, channels;
};

struct candidate {
    float value;
    i32 step;
    /* NumPy's argmax: the first NaN, else the first of the largest. */
    DEVICE bool before(const candidate &other) const {
        bool nan = value != value, other_nan = other.value != other.value;
        if (nan != other_nan) return nan;
        if (nan || value == other.value) return step < other.step;
        return value > other.value;
    }
};

enum { CHANNELS = 32, SHARERS = 8 };

KERNEL(CHANNELS * SHARERS) global_max_pool(const winners_args a) {
    __shared__ candidate found[SHARERS][CHANNELS];
    i64 lane = threadIdx.x % CHANNELS, share = threadIdx.x / CHANNELS;
    i64 c = (i64)blockIdx.x * CHANNELS + lane, n = blockIdx.y;
    candidate best = {-infinity(), 0x7fffffff};
    for (i64 s = share; s < a.size && c < a.channels; s += SHARERS) {
        candidate now = {a.x[(n * a.size + s) * a.channels + c], (i32)s};
        if (now.before(best)) best = now;
    }
    found[share][lane] = best;
    __syncthreads();
    if (share || c >= a.channels) return;
    for (int i = 1; i < SHARERS; i++)
        if (found[i][lane].before(best)) best = found[i][lane];
    a.y[n * a.channels + c] = best.value;
    a.winner[n * a.channels + c] = best.step;
}

template <class Index> KERNEL(256) put_winners(const winners_args a) {
    for EACH(Index, i, a.batch * a.size * a.channels) {
        i64 c = i % a.channels, s = i / a.channels % a.size, n = i / a.channels / a.size;
        float sum = 0;
        for (i64 p = 0; p < a.places; p++) {
            i64 k = (n * a.places + p) * a.channels + c;
            if (a.winner[k] == (i32)s) sum += a.x[k];
        }
        a.y[i] = sum;
    }
}

template <class Index> KERNEL(256) take_winners(const winners_args a) {
    for EACH(Index, i, a.batch * a.places * a.channels) {
        i64 c = i % a.channels, n = i / a.channels / a.places;
        a.y[i] = a.x[(n * a.size + a.winner[i]) * a.channels + c];
    }
}
