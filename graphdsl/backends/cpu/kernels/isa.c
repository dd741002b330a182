/* What this build of the kernels is for. */
#include "vector.h"

EXPORT const i64 lanes = VL;
