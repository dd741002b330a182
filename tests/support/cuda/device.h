/* What kernels/device.cuh says, for a CPU (machine.h), and the words of CUDA that kernels use. */
#pragma once
#include "machine.h"

typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned short bf16;
typedef int i32;
typedef unsigned int u32;
typedef long long i64;
typedef unsigned long long u64;

#define DEVICE inline __attribute__((always_inline))
#define KERNEL(threads) inline void
#define KERNEL_OF(threads, blocks) inline void
#define UNROLL
#define SHARED_BYTES(name) u8 *name = machine::block.shared
#ifdef __SANITIZE_ADDRESS__
#define __shared__ static
#else
#define __shared__ static thread_local
#endif
#define __restrict__ __restrict
#define threadIdx (machine::current->thread)
#define blockIdx (machine::block.at)
#define blockDim (machine::block.size)
#define gridDim (machine::block.grid)

struct alignas(16) quad { float x, y, z, w; };
struct alignas(16) words { u32 x, y, z, w; };
using std::max;
using std::min;

/* Macros, so that each place in the program is known by a number of its own. */
#define __syncthreads() machine::barrier(0, __COUNTER__)
#define __syncthreads_count(vote) machine::barrier(vote, __COUNTER__)
#define __syncthreads_or(vote) (machine::barrier(vote, __COUNTER__) != 0)
inline void __threadfence() {}
inline void __syncwarp(u32 mask = ~0u) { machine::slots_of(mask, 1, "", 1); }

template <class T, class Lane> T shuffled(u32 mask, T value, int width, Lane from) {
    int lane = machine::lane(), base = lane & ~(width - 1);
    auto slots = machine::slots_of(mask, 2, &value, sizeof(T));
    memcpy(&value, slots[base + from(lane - base)], sizeof(T));
    return value;
}
template <class T> T __shfl_sync(u32 mask, T value, int from, int width = 32) {
    return shuffled(mask, value, width, [=](int) { return from & (width - 1); });
}
template <class T> T __shfl_xor_sync(u32 mask, T value, int bits, int width = 32) {
    return shuffled(mask, value, width, [=](int l) { return (l ^ bits) < width ? l ^ bits : l; });
}
template <class T> T __shfl_down_sync(u32 mask, T value, int by, int width = 32) {
    return shuffled(mask, value, width, [=](int l) { return l + by < width ? l + by : l; });
}
template <class T> T __shfl_up_sync(u32 mask, T value, int by, int width = 32) {
    return shuffled(mask, value, width, [=](int l) { return l >= by ? l - by : l; });
}
inline u32 __ballot_sync(u32 mask, int vote) {
    u32 votes = 0;
    u8 own = vote != 0;
    auto slots = machine::slots_of(mask, 3, &own, 1);
    for (u32 i = 0; i < 32; i++)
        if (mask >> i & 1) votes |= (u32)slots[i][0] << i;
    return votes;
}
inline int __any_sync(u32 mask, int vote) { return __ballot_sync(mask, vote) != 0; }
inline int __all_sync(u32 mask, int vote) { return !__ballot_sync(mask, !vote); }
inline int __popc(u32 x) { return __builtin_popcount(x); }
inline int __popcll(u64 x) { return __builtin_popcountll(x); }
inline int __ffs(int x) { return __builtin_ffs(x); }
inline int __ffsll(i64 x) { return __builtin_ffsll(x); }
inline int __clz(int x) { return x ? __builtin_clz((u32)x) : 32; }
inline u32 __umulhi(u32 a, u32 b) { return (u32)((u64)a * b >> 32); }

template <class T> T atomicAdd(T *p, T x) {
    T before = *p;
    *p = before + x;
    return before;
}
template <class T> T atomicOr(T *p, T x) {
    T before = *p;
    *p = before | x;
    return before;
}
template <class T> T atomicMax(T *p, T x) {
    T before = *p;
    *p = std::max(before, x);
    return before;
}
inline float rsqrtf(float x) { return 1.0f / sqrtf(x); }

inline float infinity() { return INFINITY; }
inline float larger(float a, float b) { return a > b || a != a ? a : b; }
inline float smaller(float a, float b) { return a < b || a != a ? a : b; }
inline float reciprocal(float x) { return 1.0f / x; }
inline float rounded_product(float a, float b) { return a * b; }
inline float bits_to_float(u32 bits) {
    float x;
    memcpy(&x, &bits, 4);
    return x;
}
inline u32 float_to_bits(float x) {
    u32 bits;
    memcpy(&bits, &x, 4);
    return bits;
}

inline float from_bf16(bf16 h) { return bits_to_float((u32)h << 16); }
inline bf16 to_bf16(float x) {
    u32 bits = float_to_bits(x);
    if (x != x) return 0x7fff;
    return (bf16)((bits + 0x7fff + (bits >> 16 & 1)) >> 16);
}
inline u32 to_bf16_pair(float low, float high) { return to_bf16(low) | (u32)to_bf16(high) << 16; }
inline u32 to_tf32(float x) {
    u32 bits = float_to_bits(x);
    return (bits & 0x7f800000) == 0x7f800000 ? bits & 0xffffe000 : (bits + 0x1000) & 0xffffe000;
}

/* The bytes come only when they are waited for; until then the target holds NaN. */
inline void copy_later(void *to, const void *from, int bytes, bool there) {
    machine::current->copies.back().push_back({to, from, bytes, there});
    memset(to, 0xFF, bytes);
}
inline void copy_16(void *to, const void *from, bool there) { copy_later(to, from, 16, there); }
inline void copy_4(void *to, const void *from, bool there) { copy_later(to, from, 4, there); }
inline void copies_commit() { machine::current->copies.push_back({}); }
template <int N> void copies_wait() {
    auto &groups = machine::current->copies;
    while ((int)groups.size() - 1 > N) {
        for (const machine::Copy &c : groups.front()) {
            memset(c.to, 0, c.bytes);
            if (c.there) memcpy(c.to, c.from, c.bytes);
        }
        groups.erase(groups.begin());
    }
}

/* slots: every lane's address of a row. */
inline const u8 *matrix_row(unsigned char (*slots)[machine::SLOT], int matrix, int row) {
    const u8 *address;
    memcpy(&address, slots[matrix * 8 + row], sizeof address);
    return address;
}
inline void load_matrices(u32 (&r)[4], const void *row) {
    int lane = machine::lane();
    auto slots = machine::slots_of(~0u, 10, &row, sizeof row);
    for (int m = 0; m < 4; m++) memcpy(&r[m], matrix_row(slots, m, lane / 4) + lane % 4 * 4, 4);
}
inline void load_matrices_turned(u32 (&r)[4], const void *row) {
    int lane = machine::lane();
    auto slots = machine::slots_of(~0u, 11, &row, sizeof row);
    for (int m = 0; m < 4; m++)
        for (int i = 0; i < 2; i++) memcpy((u16 *)&r[m] + i, matrix_row(slots, m, lane % 4 * 2 + i) + lane / 4 * 2, 2);
}

/* What each lane brings to a product of its warp. */
struct fragment {
    u32 a[4], b[2];
    float d[4];
};
template <int K, class Number> void multiply(float (&d)[4], const u32 (&a)[4], u32 b0, u32 b1, int name, Number number) {
    fragment own = {{a[0], a[1], a[2], a[3]}, {b0, b1}, {d[0], d[1], d[2], d[3]}};
    auto work = [&](unsigned char (&slots)[32][machine::SLOT]) {
        constexpr int EACH = K / 8; /* numbers in a register */
        float left[16][K], right[K][8];
        for (int lane = 0; lane < 32; lane++) {
            const fragment *f = (const fragment *)slots[lane];
            int g = lane / 4, t = lane % 4;
            for (int h = 0; h < EACH; h++) {
                for (int i = 0; i < 4; i++) left[g + i % 2 * 8][t * EACH + h + i / 2 * K / 2] = number(f->a[i], h);
                for (int i = 0; i < 2; i++) right[t * EACH + h + i * K / 2][g] = number(f->b[i], h);
            }
        }
        for (int lane = 0; lane < 32; lane++) {
            fragment *f = (fragment *)slots[lane];
            for (int i = 0; i < 4; i++) {
                float sum = 0;
                for (int k = 0; k < K; k++) sum += left[lane / 4 + i / 2 * 8][k] * right[k][lane % 4 * 2 + i % 2];
                f->d[i] += sum;
            }
        }
    };
    const fragment *made = (const fragment *)machine::together(~0u, name, &own, sizeof own, work);
    for (int i = 0; i < 4; i++) d[i] = made->d[i];
}
inline void multiply_bf16(float (&d)[4], const u32 (&a)[4], u32 b0, u32 b1) {
    multiply<16>(d, a, b0, b1, 12, [](u32 pair, int half) { return from_bf16((bf16)(pair >> 16 * half)); });
}
inline void multiply_tf32(float (&d)[4], const u32 (&a)[4], u32 b0, u32 b1) {
    multiply<8>(d, a, b0, b1, 13, [](u32 bits, int) { return bits_to_float(bits & 0xffffe000); });
}
