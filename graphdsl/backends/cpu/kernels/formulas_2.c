/* Written by generate.py from formulas.txt: loops for formulas and for sums of them. */
#include "sums.h"

/* v: where(greater(maximum(add(v0, v1), 0), 0), v2, 0) */
LOOP_3(formula_efa8eeba0d7d, LITERALS_0, v, v, v, v,
       choose(greater(max_or_second(zeros(), (x0 + x1)), zeros()), x2, zeros()))

/* v: divide(add(v0, v1), add(absolute(add(v0, v1)), 1)) */
LOOP_2(formula_9d7ba25e3e69, LITERALS_0, v, v, v,
       ({ vec p0 = (x0 + x1); (p0 / (magnitude(p0) + all(1.0f))); }))

/* v: multiply(add(v0, v1), tanh(softplus(add(v0, v1)))) */
LOOP_2(formula_dcb7d81d22fd, LITERALS_0, v, v, v,
       ({ vec p0 = (x0 + x1); (p0 * v_tanh(v_softplus(p0))); }))

/* v: divide(add(multiply(multiply(v0, -1), v1), v2), s3) */
LOOP_4(formula_f2c8c47ef279, LITERALS_0, v, v, v, v, s,
       ((((x0 * all(-1.0f)) * x1) + x2) / x3))

/* v: maximum(add(multiply(subtract(v0, v1), v2), v3), 0) */
LOOP_4(formula_65dcfa7e658b, LITERALS_0, v, v, v, v, v,
       max_or_second(zeros(), (((x0 - x1) * x2) + x3)))

/* v: add(multiply(v0, k0), divide(v1, add(sqrt(v2), k1))) */
LOOP_3(formula_38d71f92b39c, LITERALS_2, v, v, v, v,
       ((x0 * k0) + (x1 / (root(x2) + k1))))

/* v: add(multiply(v0, k0), multiply(multiply(v1, v1), k1)) */
LOOP_2(formula_c8464ea2d477, LITERALS_2, v, v, v,
       ((x0 * k0) + ((x1 * x1) * k1)))

/* v: add(multiply(v0, k0), multiply(where(t1, v2, 0), k1)) */
LOOP_3(formula_592e1ea76272, LITERALS_2, v, v, t, v,
       ((x0 * k0) + (choose(x1, x2, zeros()) * k1)))

/* v: add(multiply(where(t0, v1, 0), s2), multiply(v3, k0)) */
LOOP_4(formula_fde5b5fbbb03, LITERALS_1, v, t, v, s, v,
       ((choose(x0, x1, zeros()) * x2) + (x3 * k0)))

/* v: add(multiply(where(t0, v1, 0), where(t0, v1, 0)), v2) */
LOOP_3(formula_c6deec647f00, LITERALS_0, v, t, v, v,
       ({ vec p0 = choose(x0, x1, zeros()); ((p0 * p0) + x2); }))

/* v: divide(multiply(v0, s1), maximum(subtract(s1, 1), 1)) */
LOOP_2(formula_5e7e2c63e8a9, LITERALS_0, v, v, s,
       ((x0 * x1) / max_or_second(all(1.0f), (x1 - all(1.0f)))))

/* v: multiply(add(subtract(v0, v1), subtract(v0, v1)), s2) */
LOOP_3(formula_7f105fc296de, LITERALS_0, v, v, v, s,
       ({ vec p0 = (x0 - x1); ((p0 + p0) * x2); }))

/* v: subtract(v0, multiply(add(multiply(v1, k0), v2), s3)) */
LOOP_4(formula_5f478022b34a, LITERALS_1, v, v, v, v, s,
       (x0 - (((x1 * k0) + x2) * x3)))

/* v: subtract(v0, multiply(where(t1, add(v2, v3), 0), s4)) */
LOOP_5(formula_86bba88ca45d, LITERALS_0, v, v, t, v, v, s,
       (x0 - (choose(x1, (x2 + x3), zeros()) * x4)))

/* v: where(t0, add(multiply(v1, k0), multiply(v2, k1)), v1) */
LOOP_3(formula_e22328c3d667, LITERALS_2, v, t, v, v,
       choose(x0, ((x1 * k0) + (x2 * k1)), x1))

/* v: where(greater(v0, 0), add(add(add(v1, v2), v3), v4), 0) */
LOOP_5(formula_23f6ca30c55c, LITERALS_0, v, v, v, v, v, v,
       choose(greater(x0, zeros()), (((x1 + x2) + x3) + x4), zeros()))

/* v: minimum(maximum(add(divide(add(v0, v1), k0), k1), 0), 1) */
LOOP_2(formula_5b9786f99fd7, LITERALS_2, v, v, v,
       min_or_second(all(1.0f), max_or_second(zeros(), (((x0 + x1) / k0) + k1))))

/* v: multiply(subtract(v0, s1), divide(1, sqrt(add(s2, k0)))) */
LOOP_3(formula_8666d83fe6ce, LITERALS_1, v, v, s, s,
       ((x0 - x1) * (all(1.0f) / root((x2 + k0)))))

/* v: multiply(subtract(v0, v1), divide(1, sqrt(add(v2, k0)))) */
LOOP_3(formula_49d090396d4e, LITERALS_1, v, v, v, v,
       ((x0 - x1) * (all(1.0f) / root((x2 + k0)))))

/* v: multiply(multiply(v0, k0), add(erf(multiply(v0, k1)), 1)) */
LOOP_1(formula_1f2e03d3301c, LITERALS_2, v, v,
       ((x0 * k0) * (v_erf((x0 * k1)) + all(1.0f))))

/* v: subtract(v0, multiply(divide(v1, add(sqrt(v2), k0)), s3)) */
LOOP_4(formula_e3e9637b268a, LITERALS_1, v, v, v, v, s,
       (x0 - ((x1 / (root(x2) + k0)) * x3)))

/* v: multiply(add(logistic(add(v0, s1)), multiply(v2, -1)), s3) */
LOOP_4(formula_729df0651797, LITERALS_0, v, v, s, v, s,
       ((v_logistic((x0 + x1)) + (x2 * all(-1.0f))) * x3))

/* v: maximum(add(add(multiply(subtract(v0, v1), v2), v3), v4), 0) */
LOOP_5(formula_779fdc646ab7, LITERALS_0, v, v, v, v, v, v,
       max_or_second(zeros(), ((((x0 - x1) * x2) + x3) + x4)))

/* v: where(greater_equal(v0, k0), multiply(divide(v1, k1), k2), 0) */
LOOP_2(formula_63355ad58a1c, LITERALS_3, v, v, v,
       choose(not_less(x0, k0), ((x1 / k1) * k2), zeros()))

/* v: add(multiply(v0, k0), add(where(t1, v2, 0), multiply(v3, k1))) */
LOOP_4(formula_f47b8f2f5273, LITERALS_2, v, v, t, v, v,
       ((x0 * k0) + (choose(x1, x2, zeros()) + (x3 * k1))))

/* v: add(multiply(v0, v1), add(multiply(subtract(v2, v3), v4), v5)) */
LOOP_6(formula_2f3f1d72f316, LITERALS_0, v, v, v, v, v, v, v,
       ((x0 * x1) + (((x2 - x3) * x4) + x5)))

/* v: multiply(multiply(where(greater_equal(v0, k0), k1, 0), v1), k2) */
LOOP_2(formula_2dfe0fb6c6fc, LITERALS_3, v, v, v,
       ((choose(not_less(x0, k0), k1, zeros()) * x1) * k2))

/* v: where(greater(v0, 0), add(where(greater(v1, 0), v2, 0), v3), 0) */
LOOP_4(formula_514cf8f30851, LITERALS_0, v, v, v, v, v,
       choose(greater(x0, zeros()), (choose(greater(x1, zeros()), x2, zeros()) + x3), zeros()))

/* v: where(greater_equal(v0, k0), multiply(maximum(add(v1, v2), 0), 2), 0) */
LOOP_3(formula_e299a86ad2a1, LITERALS_1, v, v, v, v,
       choose(not_less(x0, k0), (max_or_second(zeros(), (x1 + x2)) * all(2.0f)), zeros()))

/* v: where(greater(add(v0, v1), 0), add(v0, v1), multiply(add(v0, v1), k0)) */
LOOP_2(formula_fec7f465345f, LITERALS_1, v, v, v,
       ({ vec p0 = (x0 + x1); choose(greater(p0, zeros()), p0, (p0 * k0)); }))

/* v: where(greater_equal(v0, k0), multiply(maximum(add(v1, v2), 0), k1), 0) */
LOOP_3(formula_221a911f5228, LITERALS_2, v, v, v, v,
       choose(not_less(x0, k0), (max_or_second(zeros(), (x1 + x2)) * k1), zeros()))

/* v: add(add(multiply(v0, v1), v2), add(multiply(subtract(v3, v4), v5), v6)) */
LOOP_7(formula_92793e9c51ec, LITERALS_0, v, v, v, v, v, v, v, v,
       (((x0 * x1) + x2) + (((x3 - x4) * x5) + x6)))

/* v: add(multiply(v0, k0), add(where(t1, add(v2, v3), 0), multiply(v4, k1))) */
LOOP_5(formula_94ebf4cdada2, LITERALS_2, v, v, t, v, v, v,
       ((x0 * k0) + (choose(x1, (x2 + x3), zeros()) + (x4 * k1))))

/* v: subtract(v0, multiply(divide(where(t1, v2, 0), add(sqrt(v3), k0)), s4)) */
LOOP_5(formula_5a02d05fbee7, LITERALS_1, v, v, t, v, v, s,
       (x0 - ((choose(x1, x2, zeros()) / (root(x3) + k0)) * x4)))

/* v: multiply(multiply(add(v0, v1), k0), add(erf(multiply(add(v0, v1), k1)), 1)) */
LOOP_2(formula_a0db05a5a532, LITERALS_2, v, v, v,
       ({ vec p0 = (x0 + x1); ((p0 * k0) * (v_erf((p0 * k1)) + all(1.0f))); }))

/* v: where(greater(add(v0, v1), 0), add(v0, v1), expm1(minimum(add(v0, v1), 0))) */
LOOP_2(formula_c648743d921e, LITERALS_0, v, v, v,
       ({ vec p0 = (x0 + x1); choose(greater(p0, zeros()), p0, v_expm1(min_or_second(zeros(), p0))); }))

/* v: multiply(add(where(greater(v0, 0), 1, 0), where(greater(v0, 0), 0, k0)), v1) */
LOOP_2(formula_66779891978c, LITERALS_1, v, v, v,
       ({ mask p0 = greater(x0, zeros()); ((choose(p0, all(1.0f), zeros()) + choose(p0, zeros(), k0)) * x1); }))

/* v: multiply(where(greater(v0, 0), v0, multiply(expm1(minimum(v0, 0)), k0)), k1) */
LOOP_1(formula_aa8bcaa01727, LITERALS_2, v, v,
       (choose(greater(x0, zeros()), x0, (v_expm1(min_or_second(zeros(), x0)) * k0)) * k1))

/* v: add(multiply(v0, k0), multiply(multiply(where(t1, v2, 0), where(t1, v2, 0)), k1)) */
LOOP_3(formula_4b7cba93a76d, LITERALS_2, v, v, t, v,
       ({ vec p0 = choose(x1, x2, zeros()); ((x0 * k0) + ((p0 * p0) * k1)); }))

/* v: subtract(v0, multiply(divide(divide(v1, s2), add(sqrt(divide(v3, s4)), k0)), s5)) */
LOOP_6(formula_c8d0936dec93, LITERALS_1, v, v, v, s, v, s, s,
       (x0 - (((x1 / x2) / (root((x3 / x4)) + k0)) * x5)))
