/* Written by generate.py from formulas.txt: loops for formulas and for sums of them. */
#include "sums.h"

/* v: add(add(add(add(v0, v1), v2), v3), v4) */
LOOP_5(formula_2dc954960c90, LITERALS_0, v, v, v, v, v, v,
       ((((x0 + x1) + x2) + x3) + x4))

/* v: add(multiply(multiply(v0, -1), v1), v2) */
LOOP_3(formula_cddeb93e16a3, LITERALS_0, v, v, v, v,
       (((x0 * all(-1.0f)) * x1) + x2))

/* v: add(multiply(subtract(v0, v1), v2), v3) */
LOOP_4(formula_cdfa9ea1be7c, LITERALS_0, v, v, v, v, v,
       (((x0 - x1) * x2) + x3))

/* v: add(multiply(v0, k0), multiply(v1, k1)) */
LOOP_2(formula_c24d9d162c32, LITERALS_2, v, v, v,
       ((x0 * k0) + (x1 * k1)))

/* v: add(multiply(v0, k0), where(t1, v2, 0)) */
LOOP_3(formula_8b18c9889d3d, LITERALS_1, v, v, t, v,
       ((x0 * k0) + choose(x1, x2, zeros())))

/* v: add(where(t0, v1, 0), multiply(v2, k0)) */
LOOP_3(formula_857e70f017fa, LITERALS_1, v, t, v, v,
       (choose(x0, x1, zeros()) + (x2 * k0)))

/* v: maximum(add(add(v0, v1), add(v2, v3)), 0) */
LOOP_4(formula_94b2bfcf0de3, LITERALS_0, v, v, v, v, v,
       max_or_second(zeros(), ((x0 + x1) + (x2 + x3))))

/* v: divide(multiply(multiply(v0, -1), v1), s2) */
LOOP_3(formula_2cada2426b54, LITERALS_0, v, v, v, s,
       (((x0 * all(-1.0f)) * x1) / x2))

/* v: multiply(divide(1, sqrt(add(v0, k0))), v1) */
LOOP_2(formula_44fbc31f0d6f, LITERALS_1, v, v, v,
       ((all(1.0f) / root((x0 + k0))) * x1))

/* v: multiply(multiply(subtract(1, v0), v0), v1) */
LOOP_2(formula_b2bcb5759a78, LITERALS_0, v, v, v,
       (((all(1.0f) - x0) * x0) * x1))

/* v: multiply(subtract(1, multiply(v0, v0)), v1) */
LOOP_2(formula_2c6a317144f7, LITERALS_0, v, v, v,
       ((all(1.0f) - (x0 * x0)) * x1))

/* v: where(greater(v0, 0), v0, multiply(v0, k0)) */
LOOP_1(formula_b88c1da7116d, LITERALS_1, v, v,
       choose(greater(x0, zeros()), x0, (x0 * k0)))

/* v: multiply(add(v0, v1), logistic(add(v0, v1))) */
LOOP_2(formula_dc6f0e197d73, LITERALS_0, v, v, v,
       ({ vec p0 = (x0 + x1); (p0 * v_logistic(p0)); }))

/* v: multiply(multiply(subtract(v0, v1), s2), k0) */
LOOP_3(formula_6a30d6b105c9, LITERALS_1, v, v, v, s,
       (((x0 - x1) * x2) * k0))

/* v: subtract(v0, multiply(where(t1, v2, 0), s3)) */
LOOP_4(formula_038860d62d0f, LITERALS_0, v, v, t, v, s,
       (x0 - (choose(x1, x2, zeros()) * x3)))

/* v: where(greater(v0, 0), add(add(v1, v2), v3), 0) */
LOOP_4(formula_f279cf3c480c, LITERALS_0, v, v, v, v, v,
       choose(greater(x0, zeros()), ((x1 + x2) + x3), zeros()))

/* v: minimum(maximum(add(divide(v0, k0), k1), 0), 1) */
LOOP_1(formula_572c37508b16, LITERALS_2, v, v,
       min_or_second(all(1.0f), max_or_second(zeros(), ((x0 / k0) + k1))))

/* v: add(add(multiply(subtract(v0, v1), v2), v3), v4) */
LOOP_5(formula_9b14e78e6ad5, LITERALS_0, v, v, v, v, v, v,
       ((((x0 - x1) * x2) + x3) + x4))

/* v: add(multiply(v0, k0), where(t1, add(v2, v3), 0)) */
LOOP_4(formula_f2987d6f8a04, LITERALS_1, v, v, t, v, v,
       ((x0 * k0) + choose(x1, (x2 + x3), zeros())))

/* v: add(where(t0, add(v1, v2), 0), multiply(v3, k0)) */
LOOP_4(formula_c213f3e235f1, LITERALS_1, v, t, v, v, v,
       (choose(x0, (x1 + x2), zeros()) + (x3 * k0)))

/* v: multiply(where(greater_equal(v0, k0), 2, 0), v1) */
LOOP_2(formula_569897780777, LITERALS_1, v, v, v,
       (choose(not_less(x0, k0), all(2.0f), zeros()) * x1))

/* v: where(greater(v0, 0), v0, expm1(minimum(v0, 0))) */
LOOP_1(formula_47df66aa4b56, LITERALS_0, v, v,
       choose(greater(x0, zeros()), x0, v_expm1(min_or_second(zeros(), x0))))

/* v: where(greater_equal(v0, k0), multiply(v1, 2), 0) */
LOOP_2(formula_3e1ca7e16ccb, LITERALS_1, v, v, v,
       choose(not_less(x0, k0), (x1 * all(2.0f)), zeros()))

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
