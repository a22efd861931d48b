#include "auth/key.h"

#include "auth/key_file.h"
#include "auth/mac.h"
#include "core/text.h"
#include "os/os.h"

#include <stdlib.h>

struct key {
    uint8_t *bytes; /* secret_new */
    size_t n;
};

struct key *key_new(struct span bytes) {
    struct key *key = calloc(1, sizeof *key);
    uint8_t *copy = secret_new(bytes.n);
    if (key == NULL || copy == NULL) {
        free(key);
        secret_free(copy);
        return NULL;
    }
    memcpy(copy, bytes.p, bytes.n);
    *key = (struct key){.bytes = copy, .n = bytes.n};
    return key;
}

struct span key_bytes(const struct key *key) {
    return (struct span){.p = key->bytes, .n = key->n};
}

void key_free(struct key *key) {
    if (key)
        secret_free(key->bytes);
    free(key);
}

/* Without the line end that editors and shells put there; a key of the least length has none to lose. */
static size_t without_line_end(const uint8_t *p, size_t n) {
    if (n > KEY_BYTES_MIN && p[n - 1] == '\n')
        n--;
    if (n > KEY_BYTES_MIN && p[n - 1] == '\r')
        n--;
    return n;
}

int key_load(const char *path, struct key **ret, struct err *err) {
    enum { TAKEN = KEY_BYTES_MAX + 1 };
    size_t n = 0;
    secret_hide_process();
    uint8_t *bytes = secret_new(TAKEN);
    if (bytes == NULL)
        return err_set(err, EXIT_MEMORY, "out of memory for a key");
    int result = key_file_read(path, bytes, TAKEN, &n, err);
    if (result == 0 && n < KEY_BYTES_MIN)
        result =
            err_set(err, EXIT_USAGE,
                    "--key-file %s: it has %zu bytes, and a key at least %d; hvrecv --generate-key makes one",
                    ESCAPED(path), n, KEY_BYTES_MIN);
    if (result == 0 && n > KEY_BYTES_MAX)
        result = err_set(err, EXIT_USAGE, "--key-file %s: it is longer than %d bytes, so it is hardly a key",
                         ESCAPED(path), KEY_BYTES_MAX);
    if (result == 0 && (*ret = key_new((struct span){.p = bytes, .n = without_line_end(bytes, n)})) == NULL)
        result = err_set(err, EXIT_MEMORY, "out of memory for a key");
    secret_free(bytes);
    return result;
}

int key_generate(const char *path, struct err *err) {
    static const char digits[] = "0123456789abcdef";
    uint8_t random[KEY_BYTES_MIN];
    char text[2 * KEY_BYTES_MIN + 1];
    os_random(random, sizeof random);
    for (size_t i = 0; i < sizeof random; i++) {
        text[2 * i] = digits[random[i] >> 4];
        text[2 * i + 1] = digits[random[i] & 15];
    }
    text[sizeof text - 1] = '\n';
    int result = key_file_create(path, text, sizeof text, err);
    secret_wipe(random, sizeof random);
    secret_wipe(text, sizeof text);
    return result;
}
