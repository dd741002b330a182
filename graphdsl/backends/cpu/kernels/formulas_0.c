/* Written by generate.py from formulas.txt: loops for formulas and for sums of them. */
#include "sums.h"

/* v: v0 */
LOOP_1(formula_f484e3c7c72a, LITERALS_0, v, v,
       x0)

/* v: exp(v0) */
LOOP_1(formula_2da11d3bb9dd, LITERALS_0, v, v,
       v_exp(x0))

/* v: log(v0) */
LOOP_1(formula_9c75dbba4ac3, LITERALS_0, v, v,
       v_log(x0))

/* v: sqrt(v0) */
LOOP_1(formula_51517d1a3f72, LITERALS_0, v, v,
       root(x0))

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

/* v: divide(v0, v1) */
LOOP_2(formula_1dde43f867b4, LITERALS_0, v, v, v,
       (x0 / x1))

/* v: maximum(v0, 0) */
LOOP_1(formula_07f1b9957f9a, LITERALS_0, v, v,
       max_or_second(zeros(), x0))

/* v: maximum(v0, s1) */
LOOP_2(formula_4b307d2bb3f5, LITERALS_0, v, v, s,
       larger(x0, x1))

/* v: maximum(v0, v1) */
LOOP_2(formula_6f65bee1c2ea, LITERALS_0, v, v, v,
       larger(x0, x1))

/* v: minimum(v0, s1) */
LOOP_2(formula_fac19093b8a9, LITERALS_0, v, v, s,
       smaller(x0, x1))

/* v: minimum(v0, v1) */
LOOP_2(formula_b6f7a46195d3, LITERALS_0, v, v, v,
       smaller(x0, x1))

/* v: multiply(v0, k0) */
LOOP_1(formula_92571febb664, LITERALS_1, v, v,
       (x0 * k0))

/* v: multiply(v0, s1) */
LOOP_2(formula_2bdacf4f65f8, LITERALS_0, v, v, s,
       (x0 * x1))

/* v: multiply(v0, v1) */
LOOP_2(formula_12d515162c1c, LITERALS_0, v, v, v,
       (x0 * x1))

/* v: subtract(s0, v1) */
LOOP_2(formula_794a6e3768f1, LITERALS_0, v, s, v,
       (x0 - x1))

/* v: subtract(v0, s1) */
LOOP_2(formula_f257f0f4d6f5, LITERALS_0, v, v, s,
       (x0 - x1))

/* v: subtract(v0, v1) */
LOOP_2(formula_05ef1e611d01, LITERALS_0, v, v, v,
       (x0 - x1))

/* v: where(t0, v1, 0) */
LOOP_2(formula_b85efa8a18bf, LITERALS_0, v, t, v,
       choose(x0, x1, zeros()))

/* v: tanh(add(v0, v1)) */
LOOP_2(formula_66e7ab245bb6, LITERALS_0, v, v, v,
       v_tanh((x0 + x1)))

/* v: add(add(v0, s1), s2) */
LOOP_3(formula_debaffa2898c, LITERALS_0, v, v, s, s,
       ((x0 + x1) + x2))

/* v: add(add(v0, v1), v2) */
LOOP_3(formula_d104256f1662, LITERALS_0, v, v, v, v,
       ((x0 + x1) + x2))

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

/* v: add(multiply(v0, s1), s2) */
LOOP_3(formula_dba11fae9afc, LITERALS_0, v, v, s, s,
       ((x0 * x1) + x2))

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
