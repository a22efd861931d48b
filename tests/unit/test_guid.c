/* GUIDs: text, Windows's memory order, and vsock ports. */
#include "transport/guid.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

/* Every digit differs from its neighbours, so that no two bytes can be swapped unseen. */
static const char text[] = "01234567-89ab-cdef-0246-8ace13579bdf";
static const struct guid guid = {
    {0x67, 0x45, 0x23, 0x01, 0xab, 0x89, 0xef, 0xcd, 0x02, 0x46, 0x8a, 0xce, 0x13, 0x57, 0x9b, 0xdf}};

static struct guid parsed(const char *from) {
    struct guid ret;
    memset(&ret, 0xEE, sizeof ret);
    assert_int_equal(guid_parse(from, strlen(from), &ret), 0);
    return ret;
}

static void text_becomes_windows_byte_order(void **state) {
    (void)state;
    struct guid got = parsed(text);
    assert_memory_equal(got.b, guid.b, sizeof guid.b);
}

static void case_and_braces_do_not_matter(void **state) {
    (void)state;
    struct guid upper = parsed("01234567-89AB-CDEF-0246-8ACE13579BDF");
    struct guid braced = parsed("{01234567-89Ab-cDef-0246-8aCE13579bdf}");
    assert_true(guid_equal(&upper, &guid));
    assert_true(guid_equal(&braced, &guid));
}

static void formatting_gives_the_text_back(void **state) {
    (void)state;
    struct guid_text to;
    assert_ptr_equal(guid_format(&guid, &to), to.s);
    assert_string_equal(to.s, text);
}

static void what_is_no_guid_is_refused_and_changes_nothing(void **state) {
    (void)state;
    static const char *const bad[] = {
        "",
        "01234567",
        "0123456789abcdef02468ace13579bdf",
        "01234567-89ab-cdef-0246-8ace13579bd",
        "01234567-89ab-cdef-0246-8ace13579bdf0",
        "01234567-89ab-cdef-0246-8ace13579bdg",
        "g1234567-89ab-cdef-0246-8ace13579bdf",
        "0123456-789ab-cdef-0246-8ace13579bdf",
        "01234567-89ab-cdef-02468-ace13579bdf",
        "01234567 89ab-cdef-0246-8ace13579bdf",
        "{01234567-89ab-cdef-0246-8ace13579bdf",
        "01234567-89ab-cdef-0246-8ace13579bdf}",
        "(01234567-89ab-cdef-0246-8ace13579bdf)",
        " 01234567-89ab-cdef-0246-8ace13579bdf",
        "+1234567-89ab-cdef-0246-8ace13579bdf",
    };
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct guid ret = guid;
        assert_int_equal(guid_parse(bad[i], strlen(bad[i]), &ret), -1);
        assert_true(guid_equal(&ret, &guid));
    }
}

static void only_n_characters_count(void **state) {
    (void)state;
    struct guid ret;
    assert_int_equal(guid_parse("01234567-89ab-cdef-0246-8ace13579bdf/sub", GUID_TEXT_LENGTH, &ret), 0);
    assert_true(guid_equal(&ret, &guid));
    assert_int_equal(guid_parse(text, GUID_TEXT_LENGTH - 1, &ret), -1);
}

static void ports_are_the_first_group_of_the_template(void **state) {
    (void)state;
    static const struct {
        uint32_t port;
        const char *guid;
    } rows[] = {
        {0, "00000000-facb-11e6-bd58-64006a7986d3"},
        {1, "00000001-facb-11e6-bd58-64006a7986d3"},
        {2761, "00000ac9-facb-11e6-bd58-64006a7986d3"},
        {0x01020304, "01020304-facb-11e6-bd58-64006a7986d3"},
        {0x7FFFFFFF, "7fffffff-facb-11e6-bd58-64006a7986d3"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct guid made = guid_of_port(rows[i].port), read = parsed(rows[i].guid);
        uint32_t port = 99;
        assert_string_equal(GUID_TEXT(&made), rows[i].guid);
        assert_true(guid_to_port(&read, &port));
        assert_int_equal(port, rows[i].port);
    }
    static const uint8_t bytes[16] = {0xc9, 0x0a, 0x00, 0x00, 0xcb, 0xfa, 0xe6, 0x11,
                                      0xbd, 0x58, 0x64, 0x00, 0x6a, 0x79, 0x86, 0xd3};
    struct guid made = guid_of_port(2761);
    assert_memory_equal(made.b, bytes, sizeof bytes);
}

static void a_guid_beside_the_template_is_no_port(void **state) {
    (void)state;
    static const char *const others[] = {
        "80000000-facb-11e6-bd58-64006a7986d3", "ffffffff-facb-11e6-bd58-64006a7986d3",
        "00000ac9-facc-11e6-bd58-64006a7986d3", "00000ac9-facb-11e7-bd58-64006a7986d3",
        "00000ac9-facb-11e6-bd59-64006a7986d3", "00000ac9-facb-11e6-bd58-64006a7986d2",
        "01234567-89ab-cdef-0246-8ace13579bdf",
    };
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        struct guid read = parsed(others[i]);
        uint32_t port = 99;
        assert_false(guid_to_port(&read, &port));
        assert_int_equal(port, 99);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(text_becomes_windows_byte_order),
        cmocka_unit_test(case_and_braces_do_not_matter),
        cmocka_unit_test(formatting_gives_the_text_back),
        cmocka_unit_test(what_is_no_guid_is_refused_and_changes_nothing),
        cmocka_unit_test(only_n_characters_count),
        cmocka_unit_test(ports_are_the_first_group_of_the_template),
        cmocka_unit_test(a_guid_beside_the_template_is_no_port),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
