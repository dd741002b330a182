/* Written by generate.py from formulas.txt: loops for formulas and for sums of them. */
#include "sums.h"

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

/* v: add(multiply(where(greater(v0, 0), v1, 0), v2), add(multiply(subtract(v3, v4), v5), v6)) */
LOOP_7(formula_7e86db060f19, LITERALS_0, v, v, v, v, v, v, v, v,
       ((choose(greater(x0, zeros()), x1, zeros()) * x2) + (((x3 - x4) * x5) + x6)))

/* v: multiply(where(greater(maximum(add(multiply(subtract(v0, v1), v2), v3), 0), 0), v4, 0), v2) */
LOOP_5(formula_3e2254b6279b, LITERALS_0, v, v, v, v, v, v,
       (choose(greater(max_or_second(zeros(), (((x0 - x1) * x2) + x3)), zeros()), x4, zeros()) * x2))

/* v: where(greater(maximum(add(v0, v1), 0), 0), multiply(where(greater_equal(v2, k0), 2, 0), v3), 0) */
LOOP_4(formula_47c7f6e86f80, LITERALS_1, v, v, v, v, v,
       choose(greater(max_or_second(zeros(), (x0 + x1)), zeros()), (choose(not_less(x2, k0), all(2.0f), zeros()) * x3),
       zeros()))

/* v: multiply(add(logistic(v0), multiply(multiply(logistic(v0), subtract(1, logistic(v0))), v0)), v1) */
LOOP_2(formula_d186fb7f25e3, LITERALS_0, v, v, v,
       ({ vec p0 = v_logistic(x0); ((p0 + ((p0 * (all(1.0f) - p0)) * x0)) * x1); }))

/* v: where(greater(maximum(add(v0, v1), 0), 0), multiply(where(greater_equal(v2, k0), k1, 0), v3), 0) */
LOOP_4(formula_a39edfa95eb6, LITERALS_2, v, v, v, v, v,
       choose(greater(max_or_second(zeros(), (x0 + x1)), zeros()), (choose(not_less(x2, k0), k1, zeros()) * x3),
       zeros()))

/* v: maximum(add(add(multiply(subtract(v0, v1), v2), v3), add(multiply(subtract(v4, v5), v6), v7)), 0) */
LOOP_8(formula_59faa9840c18, LITERALS_0, v, v, v, v, v, v, v, v, v,
       max_or_second(zeros(), ((((x0 - x1) * x2) + x3) + (((x4 - x5) * x6) + x7))))

/* v: where(greater(v0, 0), add(add(multiply(v1, v2), v3), add(multiply(subtract(v0, v4), v5), v6)), 0) */
LOOP_7(formula_ac1b4d529e8b, LITERALS_0, v, v, v, v, v, v, v, v,
       choose(greater(x0, zeros()), (((x1 * x2) + x3) + (((x0 - x4) * x5) + x6)), zeros()))

/* v: multiply(where(greater(add(v0, v1), 0), add(v0, v1), multiply(expm1(minimum(add(v0, v1), 0)), k0)), k1) */
LOOP_2(formula_2a998d4fdf28, LITERALS_2, v, v, v,
       ({ vec p0 = (x0 + x1); (choose(greater(p0, zeros()), p0, (v_expm1(min_or_second(zeros(), p0)) * k0)) * k1); }))

/* v: subtract(v0, multiply(add(divide(divide(v1, s2), add(sqrt(divide(v3, s4)), k0)), multiply(v0, k1)), s5)) */
LOOP_6(formula_4ed6ec8be1d8, LITERALS_2, v, v, v, s, v, s, s,
       (x0 - ((((x1 / x2) / (root((x3 / x4)) + k0)) + (x0 * k1)) * x5)))

/* v: multiply(where(greater(k0, minimum(maximum(v0, 0), k0)), where(greater(maximum(v0, 0), 0), 1, 0), 0), v1) */
LOOP_2(formula_f21c925692e1, LITERALS_1, v, v, v,
       ({ vec p0 = max_or_second(zeros(), x0); (choose(greater(k0, min_or_second(k0, p0)), choose(greater(p0, zeros()),
       all(1.0f), zeros()), zeros()) * x1); }))

/* v: multiply(multiply(divide(-1, multiply(sqrt(add(v0, k0)), sqrt(add(v0, k0)))), divide(k1, sqrt(add(v0, k0)))),
 * multiply(v1, v2)) */
LOOP_3(formula_c09ca75a9cc6, LITERALS_2, v, v, v, v,
       ({ vec p0 = root((x0 + k0)); (((all(-1.0f) / (p0 * p0)) * (k1 / p0)) * (x1 * x2)); }))

/* v: multiply(add(where(greater(v0, 0), 1, 0), where(greater(v0, 0), 0, where(greater(v0, minimum(v0, 0)), 0,
 * exp(minimum(v0, 0))))), v1) */
LOOP_2(formula_ba0d93c34087, LITERALS_0, v, v, v,
       ({ mask p0 = greater(x0, zeros()); vec p1 = min_or_second(zeros(), x0); ((choose(p0, all(1.0f), zeros()) +
       choose(p0, zeros(), choose(greater(x0, p1), zeros(), v_exp(p1)))) * x1); }))

/* v: add(multiply(multiply(divide(-1, multiply(sqrt(add(v0, k0)), sqrt(add(v0, k0)))), divide(k1, sqrt(add(v0, k0)))),
 * multiply(v1, v2)), v3) */
LOOP_4(formula_b4761eb3cf1c, LITERALS_2, v, v, v, v, v,
       ({ vec p0 = root((x0 + k0)); ((((all(-1.0f) / (p0 * p0)) * (k1 / p0)) * (x1 * x2)) + x3); }))

/* v: add(multiply(where(greater(maximum(add(multiply(subtract(v0, v1), v2), v3), 0), 0), v4, 0), v2),
 * add(multiply(subtract(v0, v1), v5), v6)) */
LOOP_7(formula_f0ea32a69cb6, LITERALS_0, v, v, v, v, v, v, v, v,
       ({ vec p0 = (x0 - x1); ((choose(greater(max_or_second(zeros(), ((p0 * x2) + x3)), zeros()), x4, zeros()) * x2) +
       ((p0 * x5) + x6)); }))

/* v: multiply(add(tanh(softplus(v0)), multiply(multiply(subtract(1, multiply(tanh(softplus(v0)), tanh(softplus(v0)))),
 * logistic(v0)), v0)), v1) */
LOOP_2(formula_bfc7b74a66e7, LITERALS_0, v, v, v,
       ({ vec p0 = v_tanh(v_softplus(x0)); ((p0 + (((all(1.0f) - (p0 * p0)) * v_logistic(x0)) * x0)) * x1); }))

/* v: multiply(add(divide(1, add(absolute(v0), 1)), multiply(divide(negative(v0), multiply(add(absolute(v0), 1),
 * add(absolute(v0), 1))), sign(v0))), v1) */
LOOP_2(formula_aeaa7f76b38e, LITERALS_0, v, v, v,
       ({ vec p0 = (magnitude(x0) + all(1.0f)); (((all(1.0f) / p0) + (((-x0) / (p0 * p0)) * v_sign(x0))) * x1); }))

/* v: multiply(where(greater(1, minimum(maximum(add(divide(v0, k0), k1), 0), 1)), where(greater(maximum(add(divide(v0,
 * k0), k1), 0), 0), k2, 0), 0), v1) */
LOOP_2(formula_7aac7e9cad59, LITERALS_3, v, v, v,
       ({ vec p0 = max_or_second(zeros(), ((x0 / k0) + k1)); (choose(greater(all(1.0f), min_or_second(all(1.0f), p0)),
       choose(greater(p0, zeros()), k2, zeros()), zeros()) * x1); }))

/* v: divide(multiply(multiply(multiply(divide(-1, multiply(sqrt(add(v0, k0)), sqrt(add(v0, k0)))), divide(k1,
 * sqrt(add(v0, k0)))), multiply(v1, v2)), 2), s3) */
LOOP_4(formula_397a1a133271, LITERALS_2, v, v, v, v, s,
       ({ vec p0 = root((x0 + k0)); (((((all(-1.0f) / (p0 * p0)) * (k1 / p0)) * (x1 * x2)) * all(2.0f)) / x3); }))

/* v: multiply(multiply(add(where(greater(v0, 0), 1, 0), where(greater(v0, 0), 0, multiply(where(greater(v0, minimum(v0,
 * 0)), 0, exp(minimum(v0, 0))), k0))), k1), v1) */
LOOP_2(formula_5fe8f17ea6ec, LITERALS_2, v, v, v,
       ({ mask p0 = greater(x0, zeros()); vec p1 = min_or_second(zeros(), x0); (((choose(p0, all(1.0f), zeros()) +
       choose(p0, zeros(), (choose(greater(x0, p1), zeros(), v_exp(p1)) * k0))) * k1) * x1); }))
