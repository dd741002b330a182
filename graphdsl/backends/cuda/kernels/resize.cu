/* Interpolation along an axis, and the reverse: x [outer, before, inner] becomes y [outer, after, inner]. Each of the
 * `after` places has its first operand and `most` weights from there on, 0 behind those it has. A thread a number. */
#include "index.cuh"

struct interpolate_args {
    const float *x, *weights;
    const i64 *firsts;
    float *y;
    i64 outer, before, after, inner, most;
};

template <class Index> KERNEL(256) interpolate(const interpolate_args a) {
    for EACH(Index, i, a.outer * a.after * a.inner) {
        i64 column = i % (Index)a.inner, place = i / (Index)a.inner % (Index)a.after;
        i64 first = a.firsts[place], end = least(first + a.most, a.before);
        const float *x = a.x + (i / (Index)(a.inner * a.after)) * a.before * a.inner + column;
        float sum = 0;
        for (i64 k = first; k < end; k++) {
            float weight = a.weights[place * a.most + k - first];
            if (weight != 0) sum += weight * x[k * a.inner];
        }
        a.y[i] = sum;
    }
}
