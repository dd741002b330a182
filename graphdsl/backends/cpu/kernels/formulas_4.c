/* Written by generate.py from formulas.txt: loops for formulas and for sums of them. */
#include "sums.h"

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
