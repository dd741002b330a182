/* Rows of a table, and the way back.
 *
 *   gather        y[i] = table[places[i]]              a thread a number; a place outside of the table gives NaN
 *   scatter_add   table[r] = Σ x[i] over places[i] = r, in the order of i, so that sums are the same every time
 *
 * The way back is two kernels. `scatter_order` sorts the numbers 0, 1, 2 ... by their places, equal ones in order: the
 * rank of i is how many have a smaller place, or the same and stand before it. Every thread counts for one i, over all
 * places, which pass through shared memory in tiles:
 *
 *     places  4 0 4 1        sorted  1 3 0 2      (0 is at 1, 1 at 3, 4 at 0 and 2)
 *
 * `scatter_sum` gives each row of the table to a block, which finds its part of the sorted numbers by halving, and adds.
 */
#include "index.cuh"

struct gather_args {
    const float *table;
    const void *places;
    float *y;
    i64 rows, features, count;
};

template <class Place> KERNEL(256) gather(const gather_args a) {
    for EACH(i64, k, a.count * a.features) {
        i64 place = ((const Place *)a.places)[k / a.features];
        bool there = place >= 0 && place < a.rows;
        a.y[k] = there ? a.table[place * a.features + k % a.features] : bits_to_float(0x7fc00000);
    }
}

struct scatter_args {
    const float *x;
    const void *places;
    float *table;
    i32 *sorted; /* [count] */
    i64 rows, features, count;
};

template <class Place> KERNEL(256) scatter_order(const scatter_args a) {
    __shared__ Place tile[256];
    const Place *places = (const Place *)a.places;
    i64 own = (i64)blockIdx.x * 256 + threadIdx.x;
    Place place = own < a.count ? places[own] : 0;
    i64 rank = 0;
    for (i64 start = 0; start < a.count; start += 256) {
        i64 there = least(256, a.count - start);
        __syncthreads();
        if ((i64)threadIdx.x < there) tile[threadIdx.x] = places[start + threadIdx.x];
        __syncthreads();
        for (i64 k = 0; k < there; k++) rank += tile[k] < place || (tile[k] == place && start + k < own);
    }
    if (own < a.count) a.sorted[rank] = (i32)own;
}

/* How many of the sorted have a place below this one. */
template <class Place> DEVICE i64 below(const scatter_args &a, i64 place) {
    i64 first = 0, end = a.count;
    while (first < end) {
        i64 middle = (first + end) / 2;
        if (((const Place *)a.places)[a.sorted[middle]] < place)
            first = middle + 1;
        else
            end = middle;
    }
    return first;
}

template <class Place> KERNEL(128) scatter_sum(const scatter_args a) {
    for (i64 row = blockIdx.x; row < a.rows; row += gridDim.x) {
        i64 first = below<Place>(a, row), end = below<Place>(a, row + 1);
        for (i64 f = threadIdx.x; f < a.features; f += 128) {
            float sum = 0;
            for (i64 k = first; k < end; k++) sum += a.x[a.sorted[k] * a.features + f];
            a.table[row * a.features + f] = sum;
        }
    }
}
