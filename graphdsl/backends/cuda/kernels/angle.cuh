/* sin and cos to 2 units in the last place for every float. (sinf and cosf of math.h keep an array on the stack.)
 *
 *     x = n * pi/2 + r, |r| <= pi/4: a polynomial in r, which one and with which sign n mod 4 says
 *
 * Sources: of the polynomials, Moshier's Cephes; of large numbers times the right 96 bits of 2/pi, Payne and Hanek 1983.
 */
#pragma once
#include "device.cuh"

/* r; n is changed by as much as was taken. */
DEVICE float small_angle(float x, u32 &n) {
    double quarters = rint((double)x * 0.63661977236758134308);
    n += (u32)(i64)quarters;
    return (float)fma(-quarters, 6.123233995736766e-17, fma(-quarters, 1.5707963267948966, (double)x));
}
DEVICE float large_angle(float x, u32 &n) {
    static const u32 bits[] = {0x000000a2, 0x0000a2f9, 0x00a2f983, 0xa2f9836e, 0xf9836e4e, 0x836e4e44,
                               0x6e4e4415, 0x4e441529, 0x441529fc, 0x1529fc27, 0x29fc2757, 0xfc2757d1,
                               0x2757d1f5, 0x57d1f534, 0xd1f534dd, 0xf534ddc0, 0x34ddc0db, 0xddc0db62,
                               0xc0db6295, 0xdb629599, 0x6295993c, 0x95993c43, 0x993c4390, 0x3c439041};
    u32 all = float_to_bits(x), first = all >> 26 & 15;
    u32 mantissa = (all & 0xffffff | 0x800000) << (all >> 23 & 7);
    u64 high = (u64)(mantissa * bits[first]) << 32, low = (u64)mantissa * bits[first + 8] >> 32;
    u64 product = (high | low) + (u64)mantissa * bits[first + 4];
    u64 quarters = (product + (1ull << 61)) >> 62;
    double rest = (double)(i64)(product - (quarters << 62)) * 3.4061215800304889e-19; /* pi / 2^63 */
    n += x < 0 ? 0u - (u32)quarters : (u32)quarters;
    return (float)(x < 0 ? -rest : rest);
}
/* The sine of x + n * pi/2. */
DEVICE float sine(float x, u32 n) {
    float r = fabsf(x) < 1e6f ? small_angle(x, n) : fabsf(x) < infinity() ? large_angle(x, n) : x - x;
    float z = r * r;
    float even = 1.0f - 0.5f * z + z * z * (4.166664568e-2f + z * (-1.388731625e-3f + z * 2.443315712e-5f));
    float odd = r + r * z * (-1.666665461e-1f + z * (8.332160874e-3f + z * -1.951529589e-4f));
    float y = n & 1 ? even : odd;
    return n & 2 ? -y : y;
}
