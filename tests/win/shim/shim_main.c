#include "shim.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

enum { LINE_MAX = 256, GUID_LENGTH = 36 };

extern struct {
    const char *name;
    void **real;
} forwards[];

/* The real DLL is in the system's folder; this one must not find itself. */
BOOL WINAPI DllMain(HINSTANCE self, DWORD reason, void *reserved) {
    wchar_t path[MAX_PATH + 16];
    (void)reserved;
    if (reason != DLL_PROCESS_ATTACH)
        return TRUE;
    UINT n = GetSystemDirectoryW(path, MAX_PATH);
    if (n == 0 || n >= MAX_PATH)
        return FALSE;
    (void)wcscat(path, L"\\ws2_32.dll");
    HMODULE real = LoadLibraryExW(path, NULL, 0);
    if (real == NULL || real == (HMODULE)self)
        return FALSE;
    for (size_t i = 0; forwards[i].name; i++) {
        FARPROC found = GetProcAddress(real, forwards[i].name);
        memcpy(forwards[i].real, &found, sizeof found);
    }
    return TRUE;
}

long knob(const char *name) {
    const char *value = getenv(name);
    return value ? atol(value) : 0;
}

bool knob_guid(const char *name, GUID *ret) {
    const char *value = getenv(name);
    wchar_t text[GUID_LENGTH + 3];
    if (value == NULL || strlen(value) != GUID_LENGTH)
        return false;
    (void)_snwprintf(text, sizeof text / sizeof text[0], L"{%hs}", value);
    return CLSIDFromString(text, ret) == S_OK;
}

/* Opened each time: several processes write to it. */
void trace(const char *format, ...) {
    const char *path = getenv("HVSHIM_LOG");
    char line[LINE_MAX];
    va_list args;
    if (path == NULL)
        return;
    va_start(args, format);
    int n = vsnprintf(line, sizeof line, format, args);
    va_end(args);
    HANDLE file = CreateFileA(path, FILE_APPEND_DATA, FILE_SHARE_READ | FILE_SHARE_WRITE, NULL, OPEN_ALWAYS,
                              FILE_ATTRIBUTE_NORMAL, NULL);
    if (file == INVALID_HANDLE_VALUE || n < 0)
        return;
    DWORD written;
    (void)WriteFile(file, line, (DWORD)(n < LINE_MAX ? n : LINE_MAX - 1), &written, NULL);
    (void)CloseHandle(file);
}

int fail(int error) {
    SetLastError((DWORD)error);
    return SOCKET_ERROR;
}
