/* HMAC-SHA-256 of the system's library against the vectors of RFC 4231, its comparison, and the memory for keys. */
#include "hex_help.h"

#include "auth/mac.h"

#include <stdlib.h>

static struct span text(const char *s) {
    return (struct span){.p = (const uint8_t *)s, .n = strlen(s)};
}

static void require_mac(struct span key, const struct span *parts, size_t count, const char *wanted) {
    uint8_t mac[MAC_SIZE];
    struct err err = {0};
    assert_int_equal(mac_make(key, parts, count, mac, &err), 0);
    assert_hex(mac, sizeof mac, wanted);
}

static void the_vectors_of_rfc_4231_come_out(void **state) {
    (void)state;
    uint8_t b0[20], aa[131], dd[50], cd[50], counting[25];
    memset(b0, 0x0b, sizeof b0);
    memset(aa, 0xaa, sizeof aa);
    memset(dd, 0xdd, sizeof dd);
    memset(cd, 0xcd, sizeof cd);
    for (unsigned i = 0; i < sizeof counting; i++)
        counting[i] = (uint8_t)(i + 1);
    const struct {
        struct span key, data;
        const char *mac;
    } rows[] = {
        {{b0, 20}, text("Hi There"), "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"},
        {text("Jefe"), text("what do ya want for nothing?"),
         "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"},
        {{aa, 20}, {dd, 50}, "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe"},
        {{counting, 25}, {cd, 50}, "82558a389a443c0ea4cc819899f2083a85f0faa3e578f8077a2e3ff46729665b"},
        {{aa, 131},
         text("Test Using Larger Than Block-Size Key - Hash Key First"),
         "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54"},
        {{aa, 131},
         text("This is a test using a larger than block-size key and a larger than block-size data. The key "
              "needs to be hashed before being used by the HMAC algorithm."),
         "9b09ffa71b942fcb27635fbcd5b0e944bfdc63644f0713938a7f51535c3a35e2"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
        require_mac(rows[i].key, &rows[i].data, 1, rows[i].mac);
}

static void parts_are_one_text(void **state) {
    (void)state;
    static const char words[] = "what do ya want for nothing?";
    for (size_t cut = 0; cut < sizeof words; cut++) {
        const struct span parts[] = {text(""), {(const uint8_t *)words, cut}, text(words + cut)};
        require_mac(text("Jefe"), parts, 3,
                    "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
    }
}

static void a_difference_in_any_bit_is_seen(void **state) {
    (void)state;
    uint8_t a[MAC_SIZE], b[MAC_SIZE];
    memset(a, 0x5A, sizeof a);
    memcpy(b, a, sizeof b);
    assert_true(mac_equal(a, b));
    for (unsigned bit = 0; bit < 8 * MAC_SIZE; bit++) {
        b[bit / 8] ^= (uint8_t)(1u << bit % 8);
        assert_false(mac_equal(a, b));
        assert_false(mac_equal(b, a));
        b[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
}

static void secrets_have_memory_of_any_size(void **state) {
    (void)state;
    static const size_t sizes[] = {1, 15, 32, 4096, 4097, 65536};
    for (size_t i = 0; i < sizeof sizes / sizeof sizes[0]; i++) {
        uint8_t *p = secret_new(sizes[i]);
        assert_non_null(p);
        memset(p, 0xA5, sizes[i]);
        assert_int_equal(p[sizes[i] - 1], 0xA5);
        secret_free(p);
    }
    secret_free(NULL);
}

static void what_is_wiped_is_zero(void **state) {
    (void)state;
    uint8_t bytes[40], zeros[40] = {0};
    memset(bytes, 0xFF, sizeof bytes);
    secret_wipe(bytes + 1, sizeof bytes - 2);
    assert_memory_equal(bytes + 1, zeros, sizeof bytes - 2);
    assert_int_equal(bytes[0], 0xFF);
    assert_int_equal(bytes[sizeof bytes - 1], 0xFF);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_vectors_of_rfc_4231_come_out),
        cmocka_unit_test(parts_are_one_text),
        cmocka_unit_test(a_difference_in_any_bit_is_seen),
        cmocka_unit_test(secrets_have_memory_of_any_size),
        cmocka_unit_test(what_is_wiped_is_zero),
    };
    return cmocka_run_group_tests_name("mac", tests, NULL, NULL);
}
