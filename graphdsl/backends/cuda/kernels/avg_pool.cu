/* Means of windows, and the way back. A thread makes one number of the result, as in max_pool.cu.
 *
 *   avg_pool            y[n,i,j,c] = Σ over its window x / count of the window
 *   avg_pool_gradient   dx[n,p,q,c] = Σ over the windows that cover (p, q) of dy / count of that window
 *
 * The count is that of real places, or of all where padding counts.
 */
#include "window.cuh"

struct avg_pool_args {
    const float *x;
    float *y;
    window w;
    i64 count_padding;
};

DEVICE float count_of(const avg_pool_args &a, span rows, span columns) {
    const window &w = a.w;
    return a.count_padding ? (float)(w.window_height * w.window_width)
                           : (float)((rows.end - rows.first) * (columns.end - columns.first));
}

template <class Index> KERNEL(256) avg_pool(const avg_pool_args a) {
    const window &w = a.w;
    for EACH(Index, i, w.batch * w.out_height * w.out_width * w.channels) {
        place<Index> at(i, w.out_height, w.out_width, w.channels);
        span rows = covered(at.row, w.window_height, w.stride_height, w.top, w.height);
        span columns = covered(at.column, w.window_width, w.stride_width, w.left, w.width);
        const float *x = a.x + (i64)at.image * w.height * w.width * w.channels + at.channel;
        float sum = 0;
        for (i64 p = rows.first; p < rows.end; p++)
            for (i64 q = columns.first; q < columns.end; q++) sum += x[(p * w.width + q) * w.channels];
        a.y[i] = sum / count_of(a, rows, columns);
    }
}

template <class Index> KERNEL(256) avg_pool_gradient(const avg_pool_args a) {
    const window &w = a.w;
    for EACH(Index, i, w.batch * w.height * w.width * w.channels) {
        place<Index> at(i, w.height, w.width, w.channels);
        span rows = covering(at.row, w.window_height, w.stride_height, w.top, w.out_height);
        span columns = covering(at.column, w.window_width, w.stride_width, w.left, w.out_width);
        const float *dy = a.x + (i64)at.image * w.out_height * w.out_width * w.channels + at.channel;
        float sum = 0;
        for (i64 r = rows.first; r < rows.end; r++)
            for (i64 s = columns.first; s < columns.end; s++) {
                span down = covered(r, w.window_height, w.stride_height, w.top, w.height);
                span across = covered(s, w.window_width, w.stride_width, w.left, w.width);
                sum += dy[(r * w.out_width + s) * w.channels] / count_of(a, down, across);
            }
        a.y[i] = sum;
    }
}
