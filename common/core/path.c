#include "core/path.h"

#include "core/text.h"

#include <stdlib.h>
#include <string.h>

static const char HEX[] = "0123456789abcdef";

static bool is_reserved(const char *name, size_t n) {
    const char *prefix = RESERVED_PREFIX;
    size_t len = strlen(prefix);
    if (n < len)
        return false;
    for (size_t i = 0; i < len; i++) {
        char c = name[i];
        if (c >= 'A' && c <= 'Z')
            c = (char)(c - 'A' + 'a');
        if (c != prefix[i])
            return false;
    }
    return true;
}

enum name_fault name_check(const void *name, size_t n) {
    const char *s = name;
    if (n == 0)
        return NAME_EMPTY;
    if (n > NAME_BYTES_MAX)
        return NAME_TOO_LONG;
    if (s[0] == '.' && (n == 1 || (n == 2 && s[1] == '.')))
        return NAME_DOT;
    if (memchr(s, '/', n))
        return NAME_SEPARATOR;
    if (memchr(s, '\0', n))
        return NAME_NUL;
    return is_reserved(s, n) ? NAME_RESERVED : NAME_OK;
}

static bool is_hex(const char *s, size_t digits) {
    return strspn(s, HEX) == digits && s[digits] == '\0';
}

unsigned name_read_temp(const char *name, uint64_t ret_numbers[3]) {
    const char *at = name + sizeof RESERVED_PREFIX - 1;
    if (strncmp(name, RESERVED_PREFIX, sizeof RESERVED_PREFIX - 1) != 0)
        return 0;
    for (unsigned i = 0; i < 3; i++) {
        size_t digits = strspn(at, HEX);
        if (digits == 0 || digits > NAME_SALT_DIGITS || (i == 0 && digits != NAME_SALT_DIGITS))
            return 0;
        ret_numbers[i] = strtoull(at, NULL, 16);
        at += digits;
        if (*at == '\0')
            return i > 0 ? i + 1 : 0;
        if (*at++ != '.')
            return 0;
    }
    return 0;
}

bool name_is_unfinished(const char *name) {
    enum { DIGEST_DIGITS = 32 };
    uint64_t numbers[3];
    const char *at = name + sizeof RESERVED_PREFIX - 1;
    if (strncmp(name, RESERVED_PREFIX, sizeof RESERVED_PREFIX - 1) != 0)
        return false;
    if (strncmp(at, "part.", 5) == 0)
        return is_hex(at + 5, DIGEST_DIGITS);
    if (strncmp(at, "live.", 5) == 0)
        return is_hex(at + 5, NAME_SALT_DIGITS);
    return name_read_temp(name, numbers) != 0;
}

const char *name_fault_text(enum name_fault fault) {
    static const char *const texts[] = {
        [NAME_OK] = "name is fine",
        [NAME_EMPTY] = "name is empty",
        [NAME_TOO_LONG] = "name is longer than 255 bytes",
        [NAME_DOT] = "name is '.' or '..'",
        [NAME_SEPARATOR] = "name holds a '/'",
        [NAME_NUL] = "name holds a NUL byte",
        [NAME_RESERVED] = "name begins with the reserved prefix '" RESERVED_PREFIX "'",
    };
    return texts[fault];
}

int path_check(const char *path, struct err *err) {
    if (path[0] == '\0')
        return 0;
    unsigned depth = 0;
    for (const char *at = path;;) {
        const char *slash = strchr(at, '/');
        size_t n = slash ? (size_t)(slash - at) : strlen(at);
        enum name_fault fault = name_check(at, n);
        if (fault != NAME_OK)
            return err_set(err, EXIT_PARTIAL, "%s: %s", ESCAPED(path), name_fault_text(fault));
        if (++depth > PATH_DEPTH_MAX)
            return err_set(err, EXIT_PARTIAL, "%s: deeper than %d levels", ESCAPED(path), PATH_DEPTH_MAX);
        if (!slash)
            return 0;
        at = slash + 1;
    }
}

unsigned path_depth(const char *path) {
    if (path[0] == '\0')
        return 0;
    unsigned depth = 1;
    for (; *path; path++)
        depth += *path == '/';
    return depth;
}

const char *path_base(const char *path, size_t *ret_parent_len) {
    const char *slash = strrchr(path, '/');
    *ret_parent_len = slash ? (size_t)(slash - path) : 0;
    return slash ? slash + 1 : path;
}

bool path_are_neighbours(const char *a, const char *b) {
    size_t n, m;
    (void)path_base(a, &n);
    (void)path_base(b, &m);
    return n == m && memcmp(a, b, n) == 0;
}

size_t path_parent_length(const char *path, size_t n) {
    while (n > 0 && path[--n] != '/') {
    }
    return n;
}

bool path_is_within(const char *path, const char *above) {
    size_t n = strlen(above);
    return n == 0 || (strncmp(path, above, n) == 0 && (path[n] == '\0' || path[n] == '/'));
}
