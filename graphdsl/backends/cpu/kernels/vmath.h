/* Functions of vectors, in float32, as NumPy has them at zeros, infinities, NaN and at both ends of the range.
 *
 * Error in units of the last place, over all floats, measured against float64 (tests/backends/cpu/test_vmath.py):
 *
 *     exp, log, log1p             1          erf, expm1, softplus   2
 *     logistic, tanh, sin, cos    2.5        power                  1 (libm, lane by lane)
 *     tan, sinh, their inverses, those of sin, cos and cosh         2.5 (libm, lane by lane)
 *
 * Every function takes its operand apart, so that what is left is near 0 and a short polynomial serves: exp(x) =
 * 2^n exp(r), log(2^n m) = n log(2) + log(m), sin(x) = ±sin(r) or ±cos(r). The polynomials are minimax fits of ours
 * (weighted least squares, reweighted until the error is level); ways to take apart: W. J. Cody and W. Waite,
 * "Software Manual for the Elementary Functions", 1980.
 */
#ifndef VMATH_H
#define VMATH_H

#include "vector.h"

typedef uint32_t uvec __attribute__((vector_size(4 * VL), may_alias));

INLINE vec with_sign_of(vec a, vec s) { return (vec)(((ivec)a & 0x7fffffff) | ((ivec)s & (int32_t)0x80000000)); }

#if VL == 16
INLINE int any_lane(mask m) { return m != 0; }
INLINE vec times_two_to(vec p, vec n) { return (vec)_mm512_scalef_ps((__m512)p, (__m512)n); }
/* a / b to 1 unit, for b neither 0 nor infinite nor denormal: a third of the time of a division. */
INLINE vec quotient(vec a, vec b) {
    vec r = (vec)_mm512_rcp14_ps((__m512)b);
    r = r + r * (1.0f - b * r);
    vec q = a * r;
    return q + r * (a - b * q);
}
#else
INLINE int any_lane(mask m) {
#if VL == 8
    return _mm256_movemask_ps((__m256)m) != 0;
#elif defined(__SSE2__)
    return _mm_movemask_ps((__m128)m) != 0;
#else
    int32_t found = 0;
    for (int i = 0; i < VL; i++) found |= m[i];
    return found != 0;
#endif
}
/* In two steps: what is too small becomes denormal and rounds once, what is too large becomes infinite. */
INLINE vec times_two_to(vec p, vec n) {
    ivec whole = to_int(n), half = whole >> 1;
    return p * (vec)((half + 127) << 23) * (vec)((whole - half + 127) << 23);
}
INLINE vec quotient(vec a, vec b) { return a / b; }
#endif

#define LOG2_E 1.442695041f
/* log(2), the first part so short that its product with an exponent is exact. */
#define LOG_2_HIGH 0.693359375f
#define LOG_2_LOW -2.12194440e-4f

/* x between low and high, NaN left alone. */
INLINE vec clamped(vec x, float low, float high) { return min_or_second(all(high), max_or_second(all(low), x)); }

/* (exp(r) - 1 - r) / r² for |r| < 0.35 */
INLINE vec exp_tail(vec r) {
    vec p = 8.369418792e-03f + r * 1.381314243e-03f;
    p = 4.166845605e-02f + r * p;
    p = 1.666651517e-01f + r * p;
    return 4.999999404e-01f + r * p;
}

INLINE vec v_exp(vec x) {
    x = clamped(x, -104.0f, 89.0f);
    vec n = nearest(x * LOG2_E);
    vec r = (x - n * LOG_2_HIGH) - n * LOG_2_LOW;
    return times_two_to(1.0f + (r + r * r * exp_tail(r)), n);
}

/* exp(c) - 1 for c from -18 to 89 */
INLINE vec expm1_within(vec c) {
    vec n = nearest(c * LOG2_E);
    vec r = (c - n * LOG_2_HIGH) - n * LOG_2_LOW;
    vec half = (vec)((to_int(n) + 126) << 23);
    vec y = half * (r + r * r * exp_tail(r)) + (half - 0.5f);
    return y + y;
}

INLINE vec v_expm1(vec x) { return choose(equals(x, zeros()), x, expm1_within(clamped(x, -18.0f, 89.0f))); }

/* log(1 + f) - f for 1 + f from sqrt(1/2) to sqrt(2) */
INLINE vec log_tail(vec f) {
    vec p = -1.167750508e-01f + f * 6.747692078e-02f;
    p = 1.188870892e-01f + f * p;
    p = -1.240534261e-01f + f * p;
    p = 1.421945095e-01f + f * p;
    p = -1.666800529e-01f + f * p;
    p = 2.000212371e-01f + f * p;
    p = -2.500000894e-01f + f * p;
    p = 3.333331347e-01f + f * p;
    vec square = f * f;
    return f * square * p - 0.5f * square;
}

/* log(x) + correction for positive finite x that is not denormal; scale: the power of two that x was multiplied by */
INLINE vec log_of_normal(vec x, vec correction, vec scale) {
    const int32_t root_half = 0x3f3504f3;
    ivec bits = (ivec)((uvec)x - (uint32_t)root_half);
    vec n = to_float(bits >> 23), m = (vec)((bits & 0x7fffff) + root_half);
    vec f = m - 1.0f;
    n -= scale;
    return n * LOG_2_HIGH + (f + (log_tail(f) + (n * LOG_2_LOW + correction)));
}

/* y = log(x) where x is positive and finite; else what log gives at 0, infinity, NaN and below 0. */
INLINE vec log_at_edges(vec x, vec y) {
    y = choose(greater(x, zeros()), y, choose(equals(x, zeros()), all(-INFINITY), all(NAN)));
    y = choose(equals(x, all(INFINITY)), x, y);
    return choose(is_nan(x), x, y);
}

INLINE vec v_log(vec x) {
    mask tiny = greater(all(1.17549435e-38f), x);
    vec big = choose(tiny, x * 33554432.0f, x);
    return log_at_edges(x, log_of_normal(big, zeros(), keep(tiny, all(25.0f))));
}

INLINE vec v_log1p(vec x) {
    vec u = 1.0f + x;
    vec lost = choose(greater(x, all(1.0f)), 1.0f - (u - x), x - (u - 1.0f));
    vec y = log_at_edges(u, log_of_normal(u, quotient(lost, u), zeros()));
    return choose(equals(u, all(1.0f)), x, y);
}

INLINE vec v_tanh(vec x) {
    vec e = expm1_within(clamped(magnitude(x) * 2.0f, 0.0f, 20.0f));
    return with_sign_of(quotient(e, e + 2.0f), x);
}

INLINE vec v_logistic(vec x) {
    vec e = v_exp(-magnitude(x));
    return quotient(choose(not_less(x, zeros()), all(1.0f), e), 1.0f + e);
}

INLINE vec v_softplus(vec x) {
    vec e = v_exp(-magnitude(x)), u = 1.0f + e;
    vec y = log_of_normal(u, quotient(e - (u - 1.0f), u), zeros());
    return max_or_second(zeros(), x) + choose(equals(u, all(1.0f)), e, y);
}

INLINE vec v_erf(vec x) {
    vec s = x * x, t = clamped(magnitude(x), 0.0f, 4.0f);
    vec p = 4.973116796e-03f + s * -5.886773579e-04f;
    p = -2.675333433e-02f + s * p;
    p = 1.128146648e-01f + s * p;
    p = -3.761246204e-01f + s * p;
    p = 1.283791512e-01f + s * p;
    vec q = 3.219982143e-03f + t * -2.145958861e-04f;
    q = -2.290605009e-02f + t * q;
    q = 1.052868813e-01f + t * q;
    q = 6.356993318e-01f + t * q;
    q = 1.285199523e-01f + t * q;
    vec far = with_sign_of(1.0f - v_exp(-(t + t * q)), x);
    return choose(greater(magnitude(x), all(0.92f)), far, x + x * p);
}

/* Lane by lane, where the vector way is not exact enough or not worth it. */
#define BY_LANES(name, function)                                                                                      \
    __attribute__((unused)) static NOINLINE vec name(vec x) {                                                         \
        for (int i = 0; i < VL; i++) x[i] = function(x[i]);                                                           \
        return x;                                                                                                     \
    }
BY_LANES(sin_by_lanes, sinf)
BY_LANES(cos_by_lanes, cosf)
BY_LANES(v_tan, tanf)
BY_LANES(v_asin, asinf)
BY_LANES(v_acos, acosf)
BY_LANES(v_atan, atanf)
BY_LANES(v_sinh, sinhf)
BY_LANES(v_cosh, coshf)
BY_LANES(v_asinh, asinhf)
BY_LANES(v_acosh, acoshf)
BY_LANES(v_atanh, atanhf)

/* sin(x + quarter·π/2), |x| < 12,000: π/2 in parts so short that their products with n are exact. */
INLINE vec sine(vec x, int32_t quarter) {
    vec n = nearest(x * 0.636619772f);
    vec r = ((x - n * 1.5703125f) - n * 4.837512969970703e-04f) - n * 7.549533620476723e-08f;
    r = r - n * 2.563282919e-12f;
    vec s = r * r;
    vec odd = r + r * s * (-1.666666716e-01f + s * (8.333329111e-03f + s * (-1.983925613e-04f + s * 2.717564485e-06f)));
    vec even = 4.166666791e-02f + s * (-1.388888340e-03f + s * (2.479943578e-05f + s * -2.720330201e-07f));
    even = 1.0f - (0.5f * s - s * s * even);
    ivec k = to_int(n) + quarter;
    vec y = choose(equals(to_float(k & 1), zeros()), odd, even);
    return (vec)((ivec)y ^ ((k & 2) << 30));
}

INLINE vec v_sin(vec x) {
    if (any_lane(greater(magnitude(x), all(12000.0f)))) return sin_by_lanes(x);
    return choose(equals(x, zeros()), x, sine(x, 0));
}

INLINE vec v_cos(vec x) {
    if (any_lane(greater(magnitude(x), all(12000.0f)))) return cos_by_lanes(x);
    return sine(x, 1);
}

__attribute__((unused)) static NOINLINE vec v_power(vec x, vec y) {
    for (int i = 0; i < VL; i++) x[i] = powf(x[i], y[i]);
    return x;
}

INLINE vec v_sign(vec x) {
    vec y = choose(greater(x, zeros()), all(1.0f), choose(greater(zeros(), x), all(-1.0f), zeros()));
    return choose(is_nan(x), x, y);
}

#endif
