/* Many flat formulas in one step: what the weights of a network go through when it learns.
 *
 * A chain is a row of formulas over the same n elements, where later ones read what earlier ones write; it is worked
 * off in blocks that stay in the first-level cache. Chains of different weights lie one after the other, and threads
 * share the whole:
 *
 *     weight        [ w1 .............. ][ w2 .... ][ w3 ....................... ]
 *     blocks          momentum, sgd | momentum, sgd | …
 *     threads       [ 0 ............................ | 1 ........................ ]
 */
#include "formula.h"

#include "vector.h"

enum { BLOCK = 2048, SHARED_UNIT = 64 };

typedef struct {
    const formula_task *const *formulas; /* of all chains, in their order */
    const i64 *chains;                   /* for each: its first formula, how many it has, where it begins, its n */
    i64 count, elements;                 /* of chains; of all of them together */
} chains_task;

TASK(chains_task);

/* Elements first to last of a chain. */
static void run_chain(const chains_task *t, const i64 *chain, i64 first, i64 last) {
    i64 block = chain[1] == 1 ? last - first : BLOCK;
    for (i64 begin = first; begin < last; begin += block) {
        i64 n = least(block, last - begin);
        for (i64 k = chain[0]; k < chain[0] + chain[1]; k++) {
            const formula_task *f = t->formulas[k];
            char *at[f->count];
            i64 row[f->count];
            for (i64 i = 0; i < f->count; i++) {
                at[i] = f->operands[i].base + begin * f->operands[i].column;
                row[i] = 0;
            }
            f->loop(f, at, row, 1, n);
        }
    }
}

EXPORT void run_chains(const void *task, const context *own) {
    const chains_task *t = task;
    i64 first, last;
    share_units(t->elements, SHARED_UNIT, own, &first, &last);
    for (i64 c = 0; c < t->count; c++) {
        const i64 *chain = t->chains + 4 * c;
        i64 begin = most(first, chain[2]), end = least(last, chain[2] + chain[3]);
        if (begin < end) run_chain(t, chain, begin - chain[2], end - chain[2]);
    }
}
