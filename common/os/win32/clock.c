#include "os/win32/os_win32.h"

#include <stdlib.h>
#include <windows.h>
#include <bcrypt.h>

enum { NS_PER_S = 1000000000 };

int64_t os_now_ns(void) {
    LARGE_INTEGER rate, now;
    (void)QueryPerformanceFrequency(&rate); /* neither fails since Windows XP */
    (void)QueryPerformanceCounter(&now);
    return now.QuadPart / rate.QuadPart * NS_PER_S + now.QuadPart % rate.QuadPart * NS_PER_S / rate.QuadPart;
}

int64_t os_now_ms(void) {
    return os_now_ns() / 1000000;
}

int64_t os_wall_ns(void) {
    FILETIME t;
    GetSystemTimePreciseAsFileTime(&t);
    return (((int64_t)t.dwHighDateTime << 32 | t.dwLowDateTime) - NT_TIME_1970) * NT_TIME_UNIT_NS;
}

void os_sleep_ms(int ms) {
    Sleep(ms > 0 ? (DWORD)ms : 0);
}

void os_random(void *to, size_t n) {
    unsigned char *p = to;
    while (n > 0) {
        ULONG part = n < 1u << 30 ? (ULONG)n : 1u << 30;
        if (!BCRYPT_SUCCESS(BCryptGenRandom(NULL, p, part, BCRYPT_USE_SYSTEM_PREFERRED_RNG)))
            abort(); /* the system has no working generator */
        p += part;
        n -= part;
    }
}

unsigned os_cpu_count(void) {
    DWORD_PTR own, all;
    unsigned n = 0;
    if (GetProcessAffinityMask(GetCurrentProcess(), &own, &all))
        for (; own != 0; own &= own - 1)
            n++;
    if (n == 0) /* the process runs in several processor groups */
        n = GetActiveProcessorCount(ALL_PROCESSOR_GROUPS);
    return n > 0 ? n : 1;
}
