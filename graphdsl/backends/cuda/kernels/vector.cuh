/* Neighbours in memory, one or four at once: four lie at a multiple of as many times their size. */
#pragma once
#include "device.cuh"

constexpr int at_least_one(int n) { return n > 0 ? n : 1; }

template <class T> DEVICE void read(const T *p, T (&x)[1]) { x[0] = *p; }
DEVICE void read(const float *p, float (&x)[4]) {
    quad q = *(const quad *)p;
    x[0] = q.x, x[1] = q.y, x[2] = q.z, x[3] = q.w;
}
DEVICE void read(const i32 *p, i32 (&x)[4]) {
    words q = *(const words *)p;
    x[0] = q.x, x[1] = q.y, x[2] = q.z, x[3] = q.w;
}
DEVICE void read(const bool *p, bool (&x)[4]) {
    u32 all = *(const u32 *)p;
    UNROLL for (int i = 0; i < 4; i++) x[i] = all >> 8 * i & 1;
}
template <class T> DEVICE void write(T *p, const T (&y)[1]) { *p = y[0]; }
DEVICE void write(float *p, const float (&y)[4]) { *(quad *)p = quad{y[0], y[1], y[2], y[3]}; }
DEVICE void write(i32 *p, const i32 (&y)[4]) { *(words *)p = words{(u32)y[0], (u32)y[1], (u32)y[2], (u32)y[3]}; }
DEVICE void write(bool *p, const bool (&y)[4]) {
    *(u32 *)p = (u32)y[0] | (u32)y[1] << 8 | (u32)y[2] << 16 | (u32)y[3] << 24;
}
