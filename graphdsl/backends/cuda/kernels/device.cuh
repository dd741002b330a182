/* The one layer between our kernels and the machine: types, and instructions that C++ has no words for. No CUDA header
 * is needed. Tests replace this file by one that says the same for a CPU (tests/support/cuda/), so kernels use nothing
 * of CUDA but what stands here, threadIdx and its kin, __shared__, __syncthreads and its kin, the shuffles and votes of
 * a warp (__shfl_*_sync, __ballot_sync, __syncwarp), integer atomics, and the functions of math.h. */
#pragma once

typedef unsigned char u8;
typedef unsigned short u16;
typedef unsigned short bf16; /* the upper half of a float */
typedef int i32;
typedef unsigned int u32;
typedef long long i64;
typedef unsigned long long u64;

#define DEVICE __device__ __forceinline__
#define KERNEL(threads) __global__ void __launch_bounds__(threads)
/* Of which a processor is to hold so many blocks at once: it says how many registers a thread may take. */
#define KERNEL_OF(threads, blocks) __global__ void __launch_bounds__(threads, blocks)
#define UNROLL _Pragma("unroll")
/* The shared memory that a launch asks for, aligned as tiles want it. */
#define SHARED_BYTES(name) extern __shared__ __align__(1024) u8 name[]

struct __align__(16) quad { float x, y, z, w; };
struct __align__(16) words { u32 x, y, z, w; };

DEVICE float infinity() { return __int_as_float(0x7f800000); }

/* NaN if either is, as NumPy has it; fmaxf and fminf would drop it. */
DEVICE float larger(float a, float b) {
    float r;
    asm("max.NaN.f32 %0, %1, %2;" : "=f"(r) : "f"(a), "f"(b));
    return r;
}
DEVICE float smaller(float a, float b) {
    float r;
    asm("min.NaN.f32 %0, %1, %2;" : "=f"(r) : "f"(a), "f"(b));
    return r;
}

/* 1 / x to a unit in the last place, without the branches of a division; x is no denormal. */
DEVICE float reciprocal(float x) {
    float r;
    asm("rcp.approx.ftz.f32 %0, %1;" : "=f"(r) : "f"(x));
    return r;
}

/* Rounded by itself, whatever it is added to. */
DEVICE float rounded_product(float a, float b) { return __fmul_rn(a, b); }

DEVICE float bits_to_float(u32 bits) { return __uint_as_float(bits); }
DEVICE u32 float_to_bits(float x) { return __float_as_uint(x); }

/* To the nearest, ties to even. */
DEVICE float from_bf16(bf16 h) { return __uint_as_float((u32)h << 16); }
DEVICE bf16 to_bf16(float x) {
    bf16 h;
    asm("cvt.rn.bf16.f32 %0, %1;" : "=h"(h) : "f"(x));
    return h;
}
DEVICE u32 to_bf16_pair(float low, float high) {
    u32 r;
    asm("cvt.rn.bf16x2.f32 %0, %1, %2;" : "=r"(r) : "f"(high), "f"(low));
    return r;
}
/* 10 bits of mantissa, ties away from zero: what tensor cores read of a float. */
DEVICE u32 to_tf32(float x) {
    u32 r;
    asm("cvt.rna.tf32.f32 %0, %1;" : "=r"(r) : "f"(x));
    return r;
}

DEVICE u32 shared_address(const void *p) { return (u32)__cvta_generic_to_shared(p); }

/* Copies from global to shared memory that go on beside the program: 16 (or 4) bytes, zeros where not `there`. They are
 * seen after copies_wait<N>, which leaves the last N committed groups under way, and, by other threads, a barrier. */
DEVICE void copy_16(void *to, const void *from, bool there) {
    int bytes = there ? 16 : 0;
    asm volatile("cp.async.cg.shared.global [%0], [%1], 16, %2;" ::"r"(shared_address(to)), "l"(from), "r"(bytes));
}
DEVICE void copy_4(void *to, const void *from, bool there) {
    int bytes = there ? 4 : 0;
    asm volatile("cp.async.ca.shared.global [%0], [%1], 4, %2;" ::"r"(shared_address(to)), "l"(from), "r"(bytes));
}
DEVICE void copies_commit() { asm volatile("cp.async.commit_group;"); }
template <int N> DEVICE void copies_wait() { asm volatile("cp.async.wait_group %0;" ::"n"(N)); }

/* Four 8 x 8 matrices of 16 bit: lane l gives the address of row l % 8 of matrix l / 8, and gets of each matrix the
 * pair (row l / 4, columns 2 (l % 4) and one more); of the transposed matrices in the second form. */
DEVICE void load_matrices(u32 (&r)[4], const void *row) {
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.shared.b16 {%0,%1,%2,%3}, [%4];"
                 : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3]) : "r"(shared_address(row)));
}
DEVICE void load_matrices_turned(u32 (&r)[4], const void *row) {
    asm volatile("ldmatrix.sync.aligned.m8n8.x4.trans.shared.b16 {%0,%1,%2,%3}, [%4];"
                 : "=r"(r[0]), "=r"(r[1]), "=r"(r[2]), "=r"(r[3]) : "r"(shared_address(row)));
}

/* d[16][8] += a[16][16] * b[16][8] by a warp, bfloat16 times bfloat16 in float. With g = lane / 4, t = lane % 4:
 * a: (g, 2t..) (g + 8, 2t..) (g, 2t + 8..) (g + 8, 2t + 8..)   b: (2t.., g) (2t + 8.., g)
 * d: (g, 2t) (g, 2t + 1) (g + 8, 2t) (g + 8, 2t + 1) */
DEVICE void multiply_bf16(float (&d)[4], const u32 (&a)[4], u32 b0, u32 b1) {
    asm volatile("mma.sync.aligned.m16n8k16.row.col.f32.bf16.bf16.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
                 : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
                 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}
/* d[16][8] += a[16][8] * b[8][8], tf32. a: (g, t) (g + 8, t) (g, t + 4) (g + 8, t + 4)   b: (t, g) (t + 4, g) */
DEVICE void multiply_tf32(float (&d)[4], const u32 (&a)[4], u32 b0, u32 b1) {
    asm volatile("mma.sync.aligned.m16n8k8.row.col.f32.tf32.tf32.f32 {%0,%1,%2,%3}, {%4,%5,%6,%7}, {%8,%9}, {%0,%1,%2,%3};"
                 : "+f"(d[0]), "+f"(d[1]), "+f"(d[2]), "+f"(d[3])
                 : "r"(a[0]), "r"(a[1]), "r"(a[2]), "r"(a[3]), "r"(b0), "r"(b1));
}
