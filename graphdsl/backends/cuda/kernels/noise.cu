/* y[i] = mix(start + GOLDEN * (i + 1)) >> 40, times 2^-24, where start = mix(key + GOLDEN * (counter + 1)): the bits that
 * ops/noise.py describes. The counter is read where it lies, so that a recorded step draws other numbers every time.
 *
 * A thread makes four neighbours, then those a grid further on; at the end of y, or where y begins at no multiple of 16
 * bytes, one by one. Source: splitmix64, Steele et al. 2014; Vigna's constants.
 */
#include "device.cuh"

struct random_uniform_args {
    const i64 *counter;
    float *y;
    u64 key;
    i64 count;
};

constexpr u64 GOLDEN = 0x9E3779B97F4A7C15ull;

DEVICE u64 mix(u64 z) {
    z = (z ^ z >> 30) * 0xBF58476D1CE4E5B9ull;
    z = (z ^ z >> 27) * 0x94D049BB133111EBull;
    return z ^ z >> 31;
}
DEVICE float drawn(u64 start, i64 i) {
    return (float)(u32)(mix(start + GOLDEN * (u64)(i + 1)) >> 40) * 5.9604644775390625e-8f;
}
DEVICE quad four_drawn(u64 start, i64 i) {
    return {drawn(start, i), drawn(start, i + 1), drawn(start, i + 2), drawn(start, i + 3)};
}

template <int N> KERNEL(256) random_uniform(const random_uniform_args a) {
    const u64 start = mix(a.key + GOLDEN * (u64)(*a.counter + 1));
    const i64 all = (i64)gridDim.x * 256, own = (i64)blockIdx.x * 256 + threadIdx.x, whole = N == 4 ? a.count / 4 : 0;
    for (i64 i = own; i < whole; i += all) ((quad *)a.y)[i] = four_drawn(start, 4 * i);
    for (i64 i = 4 * whole + own; i < a.count; i += all) a.y[i] = drawn(start, i);
}
