/* y[i] = i + start: shows that kernels compile, load and run here. One thread a number. */
#include "device.cuh"

struct probe_args {
    i32 *y;
    i32 start;
};

KERNEL(32) probe(const probe_args a) { a.y[threadIdx.x] = (i32)threadIdx.x + a.start; }
