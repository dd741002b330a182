/* Written by generate.py from formulas.txt: loops for formulas and for sums of them. */
#include "sums.h"

/* v: minimum(maximum(v0, 0), k0) */
LOOP_1(formula_bd8ce64c2d7e, LITERALS_1, v, v,
       min_or_second(k0, max_or_second(zeros(), x0)))

/* v: divide(1, sqrt(add(v0, k0))) */
LOOP_1(formula_b129a74a730b, LITERALS_1, v, v,
       (all(1.0f) / root((x0 + k0))))

/* v: where(greater(j0, 0), v1, 0) */
LOOP_2(formula_ef1c5fcbeed6, LITERALS_0, v, j, v,
       choose(greater(x0, zeros()), x1, zeros()))

/* v: where(greater(v0, 0), v1, 0) */
LOOP_2(formula_5394ffa57c14, LITERALS_0, v, v, v,
       choose(greater(x0, zeros()), x1, zeros()))

/* v: add(add(add(v0, v1), v2), v3) */
LOOP_4(formula_ad972926dfa1, LITERALS_0, v, v, v, v, v,
       (((x0 + x1) + x2) + x3))

/* v: multiply(multiply(v0, -1), v1) */
LOOP_2(formula_f52d3ca23e57, LITERALS_0, v, v, v,
       ((x0 * all(-1.0f)) * x1))

/* v: multiply(subtract(v0, s1), s2) */
LOOP_3(formula_d436f79ee1e2, LITERALS_0, v, v, s, s,
       ((x0 - x1) * x2))

/* v: multiply(subtract(v0, v1), s2) */
LOOP_3(formula_c30d7e5b781b, LITERALS_0, v, v, v, s,
       ((x0 - x1) * x2))

/* v: multiply(subtract(v0, v1), v2) */
LOOP_3(formula_0670a6a17dbe, LITERALS_0, v, v, v, v,
       ((x0 - x1) * x2))

/* v: subtract(v0, multiply(v1, s2)) */
LOOP_3(formula_ffc358f31cb4, LITERALS_0, v, v, v, s,
       (x0 - (x1 * x2)))

/* v: divide(v0, add(absolute(v0), 1)) */
LOOP_1(formula_42c14ba89925, LITERALS_0, v, v,
       (x0 / (magnitude(x0) + all(1.0f))))

/* v: maximum(add(add(v0, v1), v2), 0) */
LOOP_3(formula_85304a74389c, LITERALS_0, v, v, v, v,
       max_or_second(zeros(), ((x0 + x1) + x2)))

/* v: multiply(tanh(softplus(v0)), v0) */
LOOP_1(formula_7fa101532896, LITERALS_0, v, v,
       (v_tanh(v_softplus(x0)) * x0))

/* v: add(multiply(negative(v0), v1), v2) */
LOOP_3(formula_c4c906981a46, LITERALS_0, v, v, v, v,
       (((-x0) * x1) + x2))

/* v: minimum(maximum(add(v0, v1), 0), k0) */
LOOP_2(formula_1c1aa8dcc930, LITERALS_1, v, v, v,
       min_or_second(k0, max_or_second(zeros(), (x0 + x1))))

/* v: maximum(add(multiply(v0, v1), v2), 0) */
LOOP_3(formula_63534a4a9f06, LITERALS_0, v, v, v, v,
       max_or_second(zeros(), ((x0 * x1) + x2)))

/* v: where(greater(v0, 0), add(v1, v2), 0) */
LOOP_3(formula_1b3f42fb7cef, LITERALS_0, v, v, v, v,
       choose(greater(x0, zeros()), (x1 + x2), zeros()))

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
