/* The codecs on hostile data. Input: codec u8 | raw_length u24 | data. The data is unpacked into exactly
 * raw_length bytes, at most 1 MiB; then, as raw bytes, it is packed and must come back the same.
 *
 * The libraries are not compiled with a sanitizer, so each buffer ends where a page without access begins. */
#include "codec/codec.h"
#include "fuzz.h"
#include "guarded.h"
#include "wire/protocol.h"

#include <string.h>

enum { HEAD_SIZE = 4, PAGE = 65536 /* a multiple of any page size */, ROOM = 1024 * 1024, GUARD = 64 };

/* The last n bytes before a page without access; those before them are guards to look at afterwards. */
static uint8_t *tail_of(uint8_t **area, size_t n) {
    if (*area == NULL) {
        *area = guarded_area(PAGE + ROOM, PAGE);
        MUST(*area != NULL);
    }
    MUST(n <= ROOM);
    uint8_t *tail = *area + PAGE + ROOM - n;
    memset(tail - GUARD, 0xA5, GUARD);
    return tail;
}

static void check_guard(const uint8_t *tail) {
    for (size_t i = 1; i <= GUARD; i++)
        MUST(tail[-(ptrdiff_t)i] == 0xA5);
}

static void unpack(const struct codec *codec, struct codec_state *state, const uint8_t *data, size_t n,
                   size_t raw_length) {
    static uint8_t *in_area, *out_area;
    struct err err = {.code = 0};
    uint8_t *in = tail_of(&in_area, n), *out = tail_of(&out_area, raw_length);
    memcpy(in, data, n);
    int result = codec->unpack(state, in, n, out, raw_length, &err);
    MUST(result == 0 ? err.code == 0 : result == -1 && err.code == EXIT_VERIFY);
    check_guard(out);
}

static void pack_and_unpack(const struct codec *codec, struct codec_state *state, const uint8_t *raw,
                            size_t n) {
    static uint8_t *packed_area, *out_area;
    struct err err = {.code = 0};
    uint8_t *packed = tail_of(&packed_area, n - 1), *out = tail_of(&out_area, n);
    ptrdiff_t packed_n = codec->pack(state, codec->level_default, raw, n, packed, &err);
    MUST(packed_n >= 0 && (size_t)packed_n < n);
    check_guard(packed);
    if (packed_n == 0)
        return;
    MUST(codec->unpack(state, packed, (size_t)packed_n, out, n, &err) == 0);
    MUST(memcmp(out, raw, n) == 0);
    check_guard(out);
    MUST(codec->unpack(state, packed, (size_t)packed_n, out, n - 1, &err) == -1);
    MUST(codec->unpack(state, packed, (size_t)packed_n - 1, out, n, &err) == -1);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n) {
    static struct codec_state *state; /* one for all inputs: what one leaves behind must not hurt the next */
    if (n <= HEAD_SIZE || n > ROOM)
        return 0;
    if (state == NULL)
        state = codec_state_new();
    MUST(state);
    const struct codec *codec = codec_by_id(CODEC_ZLIB + data[0] % (CODEC_COUNT - CODEC_ZLIB));
    if (codec == NULL)
        return 0;
    size_t raw_length = (size_t)(data[1] | data[2] << 8 | data[3] << 16) % (ROOM + 1);
    unpack(codec, state, data + HEAD_SIZE, n - HEAD_SIZE, raw_length);
    pack_and_unpack(codec, state, data + HEAD_SIZE, n - HEAD_SIZE);
    return 0;
}
