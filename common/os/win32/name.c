/* name.c: names that Windows cannot hold, or would hold under another name. They are refused, never changed. */
#include "os/win32/os_win32.h"
#include "os/win32/wtf8.h"

#include <ctype.h>
#include <string.h>

/* The part before the first dot or colon decides, and blanks at its end do not count; case neither. From "Naming Files,
 * Paths, and Namespaces" of Microsoft; CONIN$ and CONOUT$ are devices too. */
static const char *const devices[] = {"CON", "PRN", "AUX", "NUL", "CONIN$", "CONOUT$"};

static bool equal(const char *text, size_t n, const char *name) {
    return strlen(name) == n && _strnicmp(text, name, n) == 0;
}

/* COM0…COM9, LPT0…LPT9, and with the superscript digits one to three. */
static bool is_port(const char *text, size_t n) {
    if (n < 4 || (_strnicmp(text, "COM", 3) != 0 && _strnicmp(text, "LPT", 3) != 0))
        return false;
    if (n == 4)
        return isdigit((unsigned char)text[3]);
    return n == 5 && (unsigned char)text[3] == 0xC2 && strchr("\xB9\xB2\xB3", text[4]) != NULL;
}

static bool is_device(const char *name, size_t n) {
    size_t stem = 0;
    while (stem < n && name[stem] != '.' && name[stem] != ':')
        stem++;
    while (stem > 0 && name[stem - 1] == ' ')
        stem--;
    for (size_t i = 0; i < sizeof devices / sizeof devices[0]; i++)
        if (equal(name, stem, devices[i]))
            return true;
    return is_port(name, stem);
}

const char *os_name_fault(const char *name, size_t n) {
    uint16_t units[NAME_BYTES_MAX + 1];
    if (n == 0 || n > NAME_BYTES_MAX)
        return name_fault_text(n == 0 ? NAME_EMPTY : NAME_TOO_LONG);
    for (size_t i = 0; i < n; i++) {
        if ((unsigned char)name[i] < ' ')
            return "Windows has no names with control characters";
        if (name[i] == ':')
            return "on Windows a ':' would name a stream of another file";
        if (strchr("<>\"|?*/\\", name[i]))
            return "Windows has no names with any of < > \" | ? * / \\";
    }
    if (name[n - 1] == '.' || name[n - 1] == ' ')
        return "Windows drops a dot or blank at the end of a name";
    if (is_device(name, n))
        return "on Windows this is the name of a device";
    if (wtf8_to_utf16(name, n, units, NAME_BYTES_MAX) < 0)
        return "the name is not UTF-8, and Windows keeps names as text";
    return NULL;
}
