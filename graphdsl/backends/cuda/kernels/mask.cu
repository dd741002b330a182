/* Steps behind the end of a sequence are replaced: x [batch, between, steps, width], words of four bytes whatever they
 * mean. A thread a word. */
#include "index.cuh"

struct step_mask_args {
    const u32 *x;
    const i32 *lengths;
    u32 *y;
    i64 batch, between, steps, width;
    u32 fill, unused;
};

template <class Index> KERNEL(256) step_mask(const step_mask_args a) {
    for EACH(Index, i, a.batch * a.between * a.steps * a.width) {
        Index step = i / (Index)a.width % (Index)a.steps, sample = i / (Index)(a.width * a.steps * a.between);
        a.y[i] = (i64)step < a.lengths[sample] ? a.x[i] : a.fill;
    }
}
