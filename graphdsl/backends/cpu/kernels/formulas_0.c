/* Written by generate.py from formulas.txt: loops for formulas and for sums of them. */
#include "sums.h"

/* v: v0 */
LOOP_1(formula_f484e3c7c72a, LITERALS_0, v, v,
       x0)

/* v: tanh(v0) */
LOOP_1(formula_0ee859b20a04, LITERALS_0, v, v,
       v_tanh(x0))

/* v: add(v0, s1) */
LOOP_2(formula_6dfe92a7f04a, LITERALS_0, v, v, s,
       (x0 + x1))

/* v: add(v0, v1) */
LOOP_2(formula_29bd8596db06, LITERALS_0, v, v, v,
       (x0 + x1))

/* v: logistic(v0) */
LOOP_1(formula_bd2b5a8359ac, LITERALS_0, v, v,
       v_logistic(x0))

/* v: softplus(v0) */
LOOP_1(formula_a3c86eb34a5f, LITERALS_0, v, v,
       v_softplus(x0))

/* v: divide(v0, k0) */
LOOP_1(formula_0abc18b1d0f5, LITERALS_1, v, v,
       (x0 / k0))

/* v: divide(v0, s1) */
LOOP_2(formula_088c4b581f84, LITERALS_0, v, v, s,
       (x0 / x1))

/* v: maximum(v0, 0) */
LOOP_1(formula_07f1b9957f9a, LITERALS_0, v, v,
       max_or_second(zeros(), x0))

/* v: multiply(v0, k0) */
LOOP_1(formula_92571febb664, LITERALS_1, v, v,
       (x0 * k0))

/* v: multiply(v0, v1) */
LOOP_2(formula_12d515162c1c, LITERALS_0, v, v, v,
       (x0 * x1))

/* v: where(t0, v1, 0) */
LOOP_2(formula_b85efa8a18bf, LITERALS_0, v, t, v,
       choose(x0, x1, zeros()))

/* v: tanh(add(v0, v1)) */
LOOP_2(formula_66e7ab245bb6, LITERALS_0, v, v, v,
       v_tanh((x0 + x1)))

/* v: logistic(add(v0, s1)) */
LOOP_2(formula_37be9fe1e4aa, LITERALS_0, v, v, s,
       v_logistic((x0 + x1)))

/* v: logistic(add(v0, v1)) */
LOOP_2(formula_c1f02e55a4ad, LITERALS_0, v, v, v,
       v_logistic((x0 + x1)))

/* v: softplus(add(v0, v1)) */
LOOP_2(formula_4ffb478ae1db, LITERALS_0, v, v, v,
       v_softplus((x0 + x1)))

/* v: maximum(add(v0, v1), 0) */
LOOP_2(formula_121a2450293f, LITERALS_0, v, v, v,
       max_or_second(zeros(), (x0 + x1)))

/* v: add(multiply(v0, k0), v1) */
LOOP_2(formula_aedd57c9f80e, LITERALS_1, v, v, v,
       ((x0 * k0) + x1))

/* v: add(multiply(v0, v0), v1) */
LOOP_2(formula_cb150905adce, LITERALS_0, v, v, v,
       ((x0 * x0) + x1))

/* v: add(multiply(v0, v1), v2) */
LOOP_3(formula_7b47be473ad5, LITERALS_0, v, v, v, v,
       ((x0 * x1) + x2))

/* v: multiply(logistic(v0), v0) */
LOOP_1(formula_fa12835b99df, LITERALS_0, v, v,
       (v_logistic(x0) * x0))

/* v: multiply(logistic(v0), v1) */
LOOP_2(formula_9bbf60133b4d, LITERALS_0, v, v, v,
       (v_logistic(x0) * x1))

/* v: where(equal(v0, i1), 1, 0) */
LOOP_2(formula_912e38a2a45e, LITERALS_0, v, v, i,
       choose(equals(x0, x1), all(1.0f), zeros()))

/* v: where(equal(v0, j1), 1, 0) */
LOOP_2(formula_b2dd9c554e6d, LITERALS_0, v, v, j,
       choose(equals(x0, x1), all(1.0f), zeros()))

/* v: divide(multiply(v0, 2), s1) */
LOOP_2(formula_c9c839890a73, LITERALS_0, v, v, s,
       ((x0 * all(2.0f)) / x1))

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

/* v: multiply(subtract(v0, v1), s2) */
LOOP_3(formula_c30d7e5b781b, LITERALS_0, v, v, v, s,
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
