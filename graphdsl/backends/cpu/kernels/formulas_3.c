/* Written by generate.py from formulas.txt: loops for formulas and for sums of them. */
#include "sums.h"

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

/* v: divide(multiply(add(multiply(multiply(divide(-1, multiply(sqrt(add(v0, k0)), sqrt(add(v0, k0)))), divide(k1,
 * sqrt(add(v0, k0)))), multiply(v1, v2)), v3), 2), s4) */
LOOP_5(formula_eebff36685e1, LITERALS_2, v, v, v, v, v, s,
       ({ vec p0 = root((x0 + k0)); ((((((all(-1.0f) / (p0 * p0)) * (k1 / p0)) * (x1 * x2)) + x3) * all(2.0f)) / x4);
       }))

/* v: multiply(add(multiply(add(erf(multiply(v0, k0)), 1), k1), multiply(multiply(v0, k1),
 * multiply(multiply(exp(multiply(negative(multiply(v0, k0)), multiply(v0, k0))), k2), k0))), v1) */
LOOP_2(formula_2257bca75311, LITERALS_3, v, v, v,
       ({ vec p0 = (x0 * k0); ((((v_erf(p0) + all(1.0f)) * k1) + ((x0 * k1) * ((v_exp(((-p0) * p0)) * k2) * k0))) * x1);
       }))

/* w: results(add(multiply(v0, k0), v1), subtract(v2, multiply(add(multiply(add(multiply(v0, k0), v1), k0), v1), s3)))
 * */
LOOPS_4(formula_8d64e4b22a98, LITERALS_1, 2, v, v, v, s,
       vec p0 = ((x0 * k0) + x1); const vec r0 = p0; const vec r1 = (x2 - (((p0 * k0) + x1) * x3)); PUT(0, r0); PUT(1,
       r1);)

/* w: results(add(multiply(v0, v0), v1), subtract(v2, multiply(divide(v0, add(sqrt(add(multiply(v0, v0), v1)), k0)),
 * s3))) */
LOOPS_4(formula_edb16ebd63d2, LITERALS_1, 2, v, v, v, s,
       vec p0 = ((x0 * x0) + x1); const vec r0 = p0; const vec r1 = (x2 - ((x0 / (root(p0) + k0)) * x3)); PUT(0, r0);
       PUT(1, r1);)

/* w: results(add(multiply(v0, k0), where(t1, v2, 0)), subtract(v3, multiply(add(multiply(v0, k0), where(t1, v2, 0)),
 * s4))) */
LOOPS_5(formula_01ca56309d69, LITERALS_1, 2, v, t, v, v, s,
       vec p0 = ((x0 * k0) + choose(x1, x2, zeros())); const vec r0 = p0; const vec r1 = (x3 - (p0 * x4)); PUT(0, r0);
       PUT(1, r1);)

/* w: results(add(multiply(v0, k0), where(t1, add(v2, v3), 0)), subtract(v4, multiply(add(multiply(v0, k0), where(t1,
 * add(v2, v3), 0)), s5))) */
LOOPS_6(formula_6fc7dbdbfcff, LITERALS_1, 2, v, t, v, v, v, s,
       vec p0 = ((x0 * k0) + choose(x1, (x2 + x3), zeros())); const vec r0 = p0; const vec r1 = (x4 - (p0 * x5)); PUT(0,
       r0); PUT(1, r1);)

/* w: results(add(multiply(v0, k0), add(where(t1, v2, 0), multiply(v3, k1))), subtract(v3, multiply(add(multiply(v0,
 * k0), add(where(t1, v2, 0), multiply(v3, k1))), s4))) */
LOOPS_5(formula_d47d0eec1507, LITERALS_2, 2, v, t, v, v, s,
       vec p0 = ((x0 * k0) + (choose(x1, x2, zeros()) + (x3 * k1))); const vec r0 = p0; const vec r1 = (x3 - (p0 * x4));
       PUT(0, r0); PUT(1, r1);)

/* w: results(add(multiply(v0, k0), multiply(multiply(v1, v1), k1)), subtract(v2, multiply(divide(v1,
 * add(sqrt(add(multiply(v0, k0), multiply(multiply(v1, v1), k1))), k2)), s3))) */
LOOPS_4(formula_f4cb63e6e2a0, LITERALS_3, 2, v, v, v, s,
       vec p0 = ((x0 * k0) + ((x1 * x1) * k1)); const vec r0 = p0; const vec r1 = (x2 - ((x1 / (root(p0) + k2)) * x3));
       PUT(0, r0); PUT(1, r1);)

/* w: results(add(multiply(v0, k0), add(where(t1, add(v2, v3), 0), multiply(v4, k1))), subtract(v4,
 * multiply(add(multiply(v0, k0), add(where(t1, add(v2, v3), 0), multiply(v4, k1))), s5))) */
LOOPS_6(formula_ee3b9e682146, LITERALS_2, 2, v, t, v, v, v, s,
       vec p0 = ((x0 * k0) + (choose(x1, (x2 + x3), zeros()) + (x4 * k1))); const vec r0 = p0; const vec r1 = (x4 - (p0
       * x5)); PUT(0, r0); PUT(1, r1);)

/* w: results(add(multiply(where(t0, v1, 0), where(t0, v1, 0)), v2), subtract(v3, multiply(divide(where(t0, v1, 0),
 * add(sqrt(add(multiply(where(t0, v1, 0), where(t0, v1, 0)), v2)), k0)), s4))) */
LOOPS_5(formula_105c2e97293f, LITERALS_1, 2, t, v, v, v, s,
       vec p0 = choose(x0, x1, zeros()); vec p1 = ((p0 * p0) + x2); const vec r0 = p1; const vec r1 = (x3 - ((p0 /
       (root(p1) + k0)) * x4)); PUT(0, r0); PUT(1, r1);)

/* w: results(add(multiply(v0, k0), multiply(multiply(where(t1, v2, 0), where(t1, v2, 0)), k1)), subtract(v3,
 * multiply(divide(where(t1, v2, 0), add(sqrt(add(multiply(v0, k0), multiply(multiply(where(t1, v2, 0), where(t1, v2,
 * 0)), k1))), k2)), s4))) */
LOOPS_5(formula_c54f4886d30d, LITERALS_3, 2, v, t, v, v, s,
       vec p0 = choose(x1, x2, zeros()); vec p1 = ((x0 * k0) + ((p0 * p0) * k1)); const vec r0 = p1; const vec r1 = (x3
       - ((p0 / (root(p1) + k2)) * x4)); PUT(0, r0); PUT(1, r1);)

/* w: results(add(multiply(v0, k0), multiply(v1, k1)), add(multiply(v2, k2), multiply(multiply(v1, v1), k3)),
 * subtract(v3, multiply(divide(divide(add(multiply(v0, k0), multiply(v1, k1)), s4), add(sqrt(divide(add(multiply(v2,
 * k2), multiply(multiply(v1, v1), k3)), s5)), k4)), s6))) */
LOOPS_7(formula_f00b08e1c5e4, LITERALS_5, 3, v, v, v, v, s, s, s,
       vec p0 = ((x0 * k0) + (x1 * k1)); vec p1 = ((x2 * k2) + ((x1 * x1) * k3)); const vec r0 = p0; const vec r1 = p1;
       const vec r2 = (x3 - (((p0 / x4) / (root((p1 / x5)) + k4)) * x6)); PUT(0, r0); PUT(1, r1); PUT(2, r2);)

/* w: results(add(multiply(v0, k0), multiply(v1, k1)), add(multiply(v2, k2), multiply(multiply(v1, v1), k3)),
 * subtract(v3, multiply(add(divide(divide(add(multiply(v0, k0), multiply(v1, k1)), s4),
 * add(sqrt(divide(add(multiply(v2, k2), multiply(multiply(v1, v1), k3)), s5)), k4)), multiply(v3, k5)), s6))) */
LOOPS_7(formula_0923d685e7b5, LITERALS_6, 3, v, v, v, v, s, s, s,
       vec p0 = ((x0 * k0) + (x1 * k1)); vec p1 = ((x2 * k2) + ((x1 * x1) * k3)); const vec r0 = p0; const vec r1 = p1;
       const vec r2 = (x3 - ((((p0 / x4) / (root((p1 / x5)) + k4)) + (x3 * k5)) * x6)); PUT(0, r0); PUT(1, r1); PUT(2,
       r2);)

/* w: results(add(multiply(v0, k0), multiply(multiply(v1, v1), k1)), add(multiply(v2, k0), divide(v1,
 * add(sqrt(add(multiply(v0, k0), multiply(multiply(v1, v1), k1))), k2))), subtract(v3, multiply(add(multiply(v2, k0),
 * divide(v1, add(sqrt(add(multiply(v0, k0), multiply(multiply(v1, v1), k1))), k2))), s4))) */
LOOPS_5(formula_2cd59660ff76, LITERALS_3, 3, v, v, v, v, s,
       vec p0 = ((x0 * k0) + ((x1 * x1) * k1)); vec p1 = ((x2 * k0) + (x1 / (root(p0) + k2))); const vec r0 = p0; const
       vec r1 = p1; const vec r2 = (x3 - (p1 * x4)); PUT(0, r0); PUT(1, r1); PUT(2, r2);)

/* w: results(add(multiply(v0, k0), multiply(where(t1, v2, 0), k1)), add(multiply(v3, k2), multiply(multiply(where(t1,
 * v2, 0), where(t1, v2, 0)), k3)), subtract(v4, multiply(divide(divide(add(multiply(v0, k0), multiply(where(t1, v2, 0),
 * k1)), s5), add(sqrt(divide(add(multiply(v3, k2), multiply(multiply(where(t1, v2, 0), where(t1, v2, 0)), k3)), s6)),
 * k4)), s7))) */
LOOPS_8(formula_7f73e69bc7de, LITERALS_5, 3, v, t, v, v, v, s, s, s,
       vec p0 = choose(x1, x2, zeros()); vec p1 = ((x0 * k0) + (p0 * k1)); vec p2 = ((x3 * k2) + ((p0 * p0) * k3));
       const vec r0 = p1; const vec r1 = p2; const vec r2 = (x4 - (((p1 / x5) / (root((p2 / x6)) + k4)) * x7)); PUT(0,
       r0); PUT(1, r1); PUT(2, r2);)

/* w: results(add(multiply(v0, k0), multiply(where(t1, v2, 0), k1)), add(multiply(v3, k2), multiply(multiply(where(t1,
 * v2, 0), where(t1, v2, 0)), k3)), subtract(v4, multiply(add(divide(divide(add(multiply(v0, k0), multiply(where(t1, v2,
 * 0), k1)), s5), add(sqrt(divide(add(multiply(v3, k2), multiply(multiply(where(t1, v2, 0), where(t1, v2, 0)), k3)),
 * s6)), k4)), multiply(v4, k5)), s7))) */
LOOPS_8(formula_5819dfa5c27f, LITERALS_6, 3, v, t, v, v, v, s, s, s,
       vec p0 = choose(x1, x2, zeros()); vec p1 = ((x0 * k0) + (p0 * k1)); vec p2 = ((x3 * k2) + ((p0 * p0) * k3));
       const vec r0 = p1; const vec r1 = p2; const vec r2 = (x4 - ((((p1 / x5) / (root((p2 / x6)) + k4)) + (x4 * k5)) *
       x7)); PUT(0, r0); PUT(1, r1); PUT(2, r2);)

/* c: sums(v0) */
COLUMN_SUMS_1(formula_0d455103f783, LITERALS_0, 1, v,
       s[0] += x0;)

/* r: sums(v0) */
ROW_SUMS_1(formula_e69ebf84d565, LITERALS_0, 1, v,
       s[0] += x0;)

/* c: sums(absolute(v0)) */
COLUMN_SUMS_1(formula_b3f73f5e4234, LITERALS_0, 1, v,
       s[0] += magnitude(x0);)

/* r: sums(absolute(v0)) */
ROW_SUMS_1(formula_ec6c991276d8, LITERALS_0, 1, v,
       s[0] += magnitude(x0);)

/* c: sums(multiply(v0, v0)) */
COLUMN_SUMS_1(formula_75b1c8e13565, LITERALS_0, 1, v,
       s[0] += (x0 * x0);)
