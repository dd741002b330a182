/* Division by a number that the launcher knows: a product and a shift in place of some twenty instructions.
 *
 * For n < 2^31 and d >= 2: n / d = (n * multiplier) >> (32 + shift), where multiplier = ceil(2^(31 + l) / d),
 * shift = l - 1, l = ceil(log2(d)). multiplier 0 stands for d = 1. Source: Granlund and Montgomery 1994. */
#pragma once
#include "device.cuh"

struct divider {
    u32 divisor, multiplier, shift;
};

DEVICE u32 quotient(u32 n, const divider &d) { return d.multiplier ? __umulhi(n, d.multiplier) >> d.shift : n; }
DEVICE i64 quotient(i64 n, const divider &d) { return n / d.divisor; }
