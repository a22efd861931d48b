#include "core/err.h"

#include <string.h>

const char *sys_text(int sys) {
    return strerror(sys);
}
