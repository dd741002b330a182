/* What this build of the kernels is for. */
#include "amx.h"

#ifdef AMX
#include <sys/syscall.h>
#include <unistd.h>
#endif

EXPORT const i64 lanes = VL;

/* Asks the system for AMX tiles, once a process. 0: there are none, or this build does not use them. */
EXPORT i64 amx_granted(void) {
#ifdef AMX
    enum { REQUEST = 0x1023, TILE_DATA = 18 };
    return syscall(SYS_arch_prctl, REQUEST, TILE_DATA) == 0;
#else
    return 0;
#endif
}
