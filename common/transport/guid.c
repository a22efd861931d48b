#include "transport/guid.h"

#include <string.h>

/* Where the digits of byte i of a struct guid begin in the text: the first three groups are swapped. */
static const uint8_t digits_at[16] = {6, 4, 2, 0, 11, 9, 16, 14, 19, 21, 24, 26, 28, 30, 32, 34};
static const uint8_t hyphen_at[4] = {8, 13, 18, 23};

/* The template with port 0: HV_GUID_VSOCK_TEMPLATE of hvsocket.h. */
static const struct guid vsock_template = {
    {0, 0, 0, 0, 0xcb, 0xfa, 0xe6, 0x11, 0xbd, 0x58, 0x64, 0x00, 0x6a, 0x79, 0x86, 0xd3}};
enum { PORT_BYTES = 4 };

/* 0…15, or -1. */
static int hex_value(char c) {
    if (c >= '0' && c <= '9')
        return c - '0';
    if (c >= 'a' && c <= 'f')
        return c - 'a' + 10;
    return c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

int guid_parse(const char *text, size_t n, struct guid *ret) {
    struct guid guid;
    if (n == GUID_TEXT_LENGTH + 2 && text[0] == '{' && text[n - 1] == '}') {
        text++;
        n -= 2;
    }
    if (n != GUID_TEXT_LENGTH)
        return -1;
    for (size_t i = 0; i < sizeof hyphen_at; i++)
        if (text[hyphen_at[i]] != '-')
            return -1;
    for (size_t i = 0; i < sizeof guid.b; i++) {
        int high = hex_value(text[digits_at[i]]), low = hex_value(text[digits_at[i] + 1]);
        if (high < 0 || low < 0)
            return -1;
        guid.b[i] = (uint8_t)(high << 4 | low);
    }
    *ret = guid;
    return 0;
}

const char *guid_format(const struct guid *guid, struct guid_text *to) {
    static const char hex[] = "0123456789abcdef";
    for (size_t i = 0; i < sizeof guid->b; i++) {
        to->s[digits_at[i]] = hex[guid->b[i] >> 4];
        to->s[digits_at[i] + 1] = hex[guid->b[i] & 15];
    }
    for (size_t i = 0; i < sizeof hyphen_at; i++)
        to->s[hyphen_at[i]] = '-';
    to->s[GUID_TEXT_LENGTH] = '\0';
    return to->s;
}

bool guid_equal(const struct guid *a, const struct guid *b) {
    return memcmp(a->b, b->b, sizeof a->b) == 0;
}

struct guid guid_of_port(uint32_t port) {
    struct guid guid = vsock_template;
    for (size_t i = 0; i < PORT_BYTES; i++)
        guid.b[i] = (uint8_t)(port >> 8 * i);
    return guid;
}

bool guid_to_port(const struct guid *guid, uint32_t *ret_port) {
    uint32_t port = 0;
    for (size_t i = 0; i < PORT_BYTES; i++)
        port |= (uint32_t)guid->b[i] << 8 * i;
    if (port > GUID_PORT_MAX ||
        memcmp(guid->b + PORT_BYTES, vsock_template.b + PORT_BYTES, sizeof guid->b - PORT_BYTES) != 0)
        return false;
    *ret_port = port;
    return true;
}
