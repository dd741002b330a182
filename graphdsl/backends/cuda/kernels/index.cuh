/* Where threads find their elements. */
#pragma once
#include "device.cuh"

/* The elements of a thread, one grid apart: for (Index i = first(); i < count; i += stride()) */
template <class Index> DEVICE Index first_element() { return (Index)blockIdx.x * blockDim.x + threadIdx.x; }
template <class Index> DEVICE Index grid_stride() { return (Index)gridDim.x * blockDim.x; }
#define EACH(Index, i, count) (Index i = first_element<Index>(); i < (Index)(count); i += grid_stride<Index>())

DEVICE i64 least(i64 a, i64 b) { return a < b ? a : b; }
DEVICE i64 most(i64 a, i64 b) { return a > b ? a : b; }
