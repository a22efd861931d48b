/* os_win32.h: shared by the files of this folder only. */
#ifndef OS_WIN32_OS_WIN32_H
#define OS_WIN32_OS_WIN32_H

#include "os/os.h"
#include "os/os_file.h"

#include <stdint.h>

/* Times of Windows count 100 ns from 1601. */
#define NT_TIME_UNIT_NS INT64_C(100)
#define NT_TIME_1970 INT64_C(116444736000000000)

#endif
