/* Written by generate.py from formulas.txt: loops for formulas and for sums of them. */
#include "sums.h"

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

/* c: sums(multiply(v0, v1)) */
COLUMN_SUMS_2(formula_6a22c8b2ce41, LITERALS_0, 1, v, v,
       s[0] += (x0 * x1);)

/* r: sums(multiply(v0, v0)) */
ROW_SUMS_1(formula_21a1802ddee7, LITERALS_0, 1, v,
       s[0] += (x0 * x0);)

/* r: sums(multiply(v0, v1)) */
ROW_SUMS_2(formula_15d0e9ae0d3c, LITERALS_0, 1, v, v,
       s[0] += (x0 * x1);)

/* c: sums(maximum(add(v0, v1), 0)) */
COLUMN_SUMS_2(formula_ed87c592704a, LITERALS_0, 1, v, v,
       s[0] += max_or_second(zeros(), (x0 + x1));)

/* c: sums(maximum(add(add(v0, v1), v2), 0)) */
COLUMN_SUMS_3(formula_7374078777b7, LITERALS_0, 1, v, v, v,
       s[0] += max_or_second(zeros(), ((x0 + x1) + x2));)

/* c: sums(v0, multiply(subtract(v1, v2), v0)) */
COLUMN_SUMS_3(formula_979f1cb8c7a3, LITERALS_0, 2, v, v, v,
       s[0] += x0; s[1] += ((x1 - x2) * x0);)

/* c: sums(maximum(add(multiply(v0, v1), v2), 0)) */
COLUMN_SUMS_3(formula_002026eb4b53, LITERALS_0, 1, v, v, v,
       s[0] += max_or_second(zeros(), ((x0 * x1) + x2));)

/* c: sums(maximum(add(add(v0, v1), add(v2, v3)), 0)) */
COLUMN_SUMS_4(formula_7a783d86aabf, LITERALS_0, 1, v, v, v, v,
       s[0] += max_or_second(zeros(), ((x0 + x1) + (x2 + x3)));)

/* r: sums(multiply(subtract(v0, v1), subtract(v0, v1))) */
ROW_SUMS_2(formula_20d33d5398ab, LITERALS_0, 1, v, v,
       vec p0 = (x0 - x1); s[0] += (p0 * p0);)

/* r: sums(multiply(where(t0, v1, 0), where(t0, v1, 0))) */
ROW_SUMS_2(formula_c5e079a4c799, LITERALS_0, 1, t, v,
       vec p0 = choose(x0, x1, zeros()); s[0] += (p0 * p0);)

/* c: sums(maximum(add(multiply(subtract(v0, v1), v2), v3), 0)) */
COLUMN_SUMS_4(formula_f7f121863eea, LITERALS_0, 1, v, v, v, v,
       s[0] += max_or_second(zeros(), (((x0 - x1) * x2) + x3));)

/* r: sums(subtract(softplus(add(v0, s1)), multiply(add(v0, s1), v2))) */
ROW_SUMS_3(formula_210fe7d2ca98, LITERALS_0, 1, v, s, v,
       vec p0 = (x0 + x1); s[0] += (v_softplus(p0) - (p0 * x2));)

/* c: sums(v0, multiply(subtract(v1, v2), v0), multiply(subtract(v3, v4), v0)) */
COLUMN_SUMS_5(formula_ad8d1eff895c, LITERALS_0, 3, v, v, v, v, v,
       s[0] += x0; s[1] += ((x1 - x2) * x0); s[2] += ((x3 - x4) * x0);)

/* c: sums(where(greater(v0, 0), v1, 0), multiply(subtract(v2, v3), where(greater(v0, 0), v1, 0))) */
COLUMN_SUMS_4(formula_03fba6ba4a8c, LITERALS_0, 2, v, v, v, v,
       vec p0 = choose(greater(x0, zeros()), x1, zeros()); s[0] += p0; s[1] += ((x2 - x3) * p0);)

/* c: sums(where(greater(maximum(add(multiply(subtract(v0, v1), v2), v3), 0), 0), v4, 0), multiply(subtract(v0, v1),
 * where(greater(maximum(add(multiply(subtract(v0, v1), v2), v3), 0), 0), v4, 0))) */
COLUMN_SUMS_5(formula_b425c91f797b, LITERALS_0, 2, v, v, v, v, v,
       vec p0 = (x0 - x1); vec p1 = choose(greater(max_or_second(zeros(), ((p0 * x2) + x3)), zeros()), x4, zeros());
       s[0] += p1; s[1] += (p0 * p1);)
