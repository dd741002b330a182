/* Every function that formulas are made of, under the name that graphdsl/ops/expression.py gives it; formula.py writes
 * calls of them. NaN and infinity come out as NumPy has them. Whole numbers stay whole where both arguments are. */
#pragma once
#include "device.cuh"
#include "angle.cuh"

namespace scalar {

template <class T> DEVICE T add(T a, T b) { return a + b; }
template <class T> DEVICE T subtract(T a, T b) { return a - b; }
template <class T> DEVICE T multiply(T a, T b) { return a * b; }
template <class T> DEVICE T negative(T a) { return -a; }
template <class T> DEVICE T sign(T a) { return a > 0 ? T(1) : a < 0 ? T(-1) : a; }
template <class T> DEVICE T where(bool choice, T a, T b) { return choice ? a : b; }

template <class T> DEVICE bool greater(T a, T b) { return a > b; }
template <class T> DEVICE bool greater_equal(T a, T b) { return a >= b; }
template <class T> DEVICE bool less(T a, T b) { return a < b; }
template <class T> DEVICE bool less_equal(T a, T b) { return a <= b; }
template <class T> DEVICE bool equal(T a, T b) { return a == b; }
DEVICE bool both(bool a, bool b) { return a && b; }

DEVICE i32 absolute(i32 a) { return a < 0 ? -a : a; }
DEVICE i32 maximum(i32 a, i32 b) { return a > b ? a : b; }
DEVICE i32 minimum(i32 a, i32 b) { return a < b ? a : b; }
DEVICE float absolute(float a) { return fabsf(a); }
DEVICE float maximum(float a, float b) { return larger(a, b); }
DEVICE float minimum(float a, float b) { return smaller(a, b); }

DEVICE float divide(float a, float b) { return a / b; }
DEVICE float power(float a, float b) { return powf(a, b); }
DEVICE float exp(float a) { return expf(a); }
DEVICE float expm1(float a) { return expm1f(a); }
DEVICE float log(float a) { return logf(a); }
DEVICE float log1p(float a) { return log1pf(a); }
DEVICE float sqrt(float a) { return sqrtf(a); }
DEVICE float tanh(float a) { return tanhf(a); }
DEVICE float erf(float a) { return erff(a); }
DEVICE float sin(float a) { return sine(a, 0); }
DEVICE float cos(float a) { return sine(a, 1); }
DEVICE float tan(float a) { return sine(a, 0) / sine(a, 1); }
DEVICE float asin(float a) { return asinf(a); }
DEVICE float acos(float a) { return acosf(a); }
DEVICE float atan(float a) { return atanf(a); }
DEVICE float sinh(float a) { return sinhf(a); }
DEVICE float cosh(float a) { return coshf(a); }
DEVICE float asinh(float a) { return asinhf(a); }
DEVICE float acosh(float a) { return acoshf(a); }
DEVICE float atanh(float a) { return atanhf(a); }
DEVICE float floor(float a) { return floorf(a); }
DEVICE float nearest(float a) { return rintf(a); }
/* 1 / (1 + exp(-a)) and log(1 + exp(a)), with an exponential that never overflows. */
DEVICE float logistic(float a) {
    float e = expf(-fabsf(a));
    return (a >= 0 ? 1.0f : e) / (1.0f + e);
}
DEVICE float softplus(float a) { return larger(a, 0.0f) + log1pf(expf(-fabsf(a))); }

}  // namespace scalar
