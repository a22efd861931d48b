/* The rules for one component of a path. */
#include "core/path.h"
#include "core/text.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

struct name_case {
    const char *name; /* may hold NUL bytes */
    size_t n;
    enum name_fault fault;
};
#define NAME(literal, fault)                                                                                 \
    { (literal), sizeof(literal) - 1, (fault) }

static const struct name_case listed[] = {
    NAME("", NAME_EMPTY),
    /* dots */
    NAME(".", NAME_DOT),
    NAME("..", NAME_DOT),
    NAME("...", NAME_OK),
    NAME("....", NAME_OK),
    NAME(".a", NAME_OK),
    NAME("..a", NAME_OK),
    NAME("a.", NAME_OK),
    NAME("a..", NAME_OK),
    NAME("a..b", NAME_OK),
    NAME(". ", NAME_OK),
    NAME(" .", NAME_OK),
    NAME(".. ", NAME_OK),
    NAME(" ..", NAME_OK),
    NAME(".\n", NAME_OK),
    NAME("..\\", NAME_OK),
    NAME("%2e%2e", NAME_OK),
    NAME("%2e%2e%2f", NAME_OK),
    NAME("\xC0\xAE\xC0\xAE", NAME_OK), /* overlong dots are just bytes */
    NAME("\xEF\xBC\x8E\xEF\xBC\x8E", NAME_OK), /* full-width dots */
    NAME("\xE2\x80\xA5", NAME_OK), /* two-dot leader */
    /* separators */
    NAME("/", NAME_SEPARATOR),
    NAME("//", NAME_SEPARATOR),
    NAME("/etc", NAME_SEPARATOR),
    NAME("etc/", NAME_SEPARATOR),
    NAME("a/b", NAME_SEPARATOR),
    NAME("./", NAME_SEPARATOR),
    NAME("../", NAME_SEPARATOR),
    NAME("/..", NAME_SEPARATOR),
    NAME("../../etc/passwd", NAME_SEPARATOR),
    NAME("a/../b", NAME_SEPARATOR),
    NAME("\0/", NAME_SEPARATOR),
    NAME(".hvferry./x", NAME_SEPARATOR),
    NAME("\xC0\xAF", NAME_OK), /* overlong slash */
    NAME("\xE2\x88\x95", NAME_OK), /* division slash */
    NAME("\xEF\xBC\x8F", NAME_OK), /* full-width slash */
    /* NUL */
    NAME("\0", NAME_NUL),
    NAME("\0\0", NAME_NUL),
    NAME("a\0", NAME_NUL),
    NAME("\0a", NAME_NUL),
    NAME("a\0b", NAME_NUL),
    NAME(".\0", NAME_NUL),
    NAME("..\0", NAME_NUL),
    NAME(".hvferry.\0", NAME_NUL),
    /* near the reserved prefix */
    NAME(".hvferry", NAME_OK),
    NAME(".hvferry-", NAME_OK),
    NAME("hvferry.", NAME_OK),
    NAME("a.hvferry.", NAME_OK),
    NAME("..hvferry.", NAME_OK),
    NAME(" .hvferry.", NAME_OK),
    NAME(".hvferry_", NAME_OK),
    NAME(".hvferr", NAME_OK),
    NAME(".hvferry\xC3\xA9.", NAME_OK),
    NAME(".hvferry..", NAME_RESERVED),
    NAME(".hvferry.1", NAME_RESERVED),
    NAME(".hvferry.tmp", NAME_RESERVED),
    NAME(".HVFERRY.TMP", NAME_RESERVED),
    NAME(".hvferry.\n", NAME_RESERVED),
    NAME(".hvferry.\xFF", NAME_RESERVED),
    /* what a shell or an option parser would stumble over */
    NAME("-", NAME_OK),
    NAME("--", NAME_OK),
    NAME("-rf", NAME_OK),
    NAME("--help", NAME_OK),
    NAME("-rf *", NAME_OK),
    NAME("--rsync-path=x", NAME_OK),
    NAME("*", NAME_OK),
    NAME("?", NAME_OK),
    NAME("~", NAME_OK),
    NAME("~root", NAME_OK),
    NAME("$HOME", NAME_OK),
    NAME("$(reboot)", NAME_OK),
    NAME("`reboot`", NAME_OK),
    NAME("a;b", NAME_OK),
    NAME("a|b", NAME_OK),
    NAME("a&b", NAME_OK),
    NAME("'", NAME_OK),
    NAME("\"", NAME_OK),
    NAME("!", NAME_OK),
    NAME("#a#", NAME_OK),
    NAME("%s%n", NAME_OK),
    NAME("{a,b}", NAME_OK),
    /* blanks and control characters */
    NAME(" ", NAME_OK),
    NAME("  ", NAME_OK),
    NAME(" a", NAME_OK),
    NAME("a ", NAME_OK),
    NAME("\n", NAME_OK),
    NAME("a\nb", NAME_OK),
    NAME("\n..", NAME_OK),
    NAME("a\rb", NAME_OK),
    NAME("\t", NAME_OK),
    NAME("\x1B[2J", NAME_OK),
    NAME("\x7F", NAME_OK),
    NAME("\xC2\x9B", NAME_OK),
    /* UTF-8, and not */
    NAME("\xC3\xA9", NAME_OK),
    NAME("e\xCC\x81", NAME_OK),
    NAME("\xE6\x97\xA5\xE6\x9C\xAC", NAME_OK),
    NAME("\xF0\x9F\x98\x80", NAME_OK),
    NAME("\xE2\x80\xAEtxt.exe", NAME_OK),
    NAME("\xEF\xBB\xBF", NAME_OK),
    NAME("\x80", NAME_OK),
    NAME("\xC3", NAME_OK),
    NAME("\xE2\x82", NAME_OK),
    NAME("\xED\xA0\x80", NAME_OK),
    NAME("\xF5\x80\x80\x80", NAME_OK),
    NAME("\xFF", NAME_OK),
    NAME("\xFE\xFF", NAME_OK),
    /* names that only Windows forbids or reads in its own way */
    NAME("C:", NAME_OK),
    NAME("c:x", NAME_OK),
    NAME("C:\\x", NAME_OK),
    NAME("\\", NAME_OK),
    NAME("\\\\server\\share", NAME_OK),
    NAME("\\\\?\\C:", NAME_OK),
    NAME("\\??\\C:", NAME_OK),
    NAME("..\\..\\x", NAME_OK),
    NAME("a\\b", NAME_OK),
    NAME("a:b", NAME_OK),
    NAME("a::$DATA", NAME_OK),
    NAME("a:b:$DATA", NAME_OK),
    NAME("$MFT", NAME_OK),
    NAME("$Extend", NAME_OK),
    NAME("CON", NAME_OK),
    NAME("con", NAME_OK),
    NAME("Con.txt", NAME_OK),
    NAME("con ", NAME_OK),
    NAME("con .txt", NAME_OK),
    NAME("CONIN$", NAME_OK),
    NAME("CONOUT$", NAME_OK),
    NAME("PRN", NAME_OK),
    NAME("AUX", NAME_OK),
    NAME("aux.c", NAME_OK),
    NAME("NUL", NAME_OK),
    NAME("nul.", NAME_OK),
    NAME("CLOCK$", NAME_OK),
    NAME("COM1", NAME_OK),
    NAME("com9.log", NAME_OK),
    NAME("COM\xC2\xB9", NAME_OK),
    NAME("LPT1", NAME_OK),
    NAME("lpt9", NAME_OK),
    NAME("PROGRA~1", NAME_OK),
    NAME("GIT~1", NAME_OK),
    NAME("a<b", NAME_OK),
    NAME("a>b", NAME_OK),
    NAME("a.lnk", NAME_OK),
    NAME("desktop.ini", NAME_OK),
    NAME("Thumbs.db", NAME_OK),
    /* everyday names */
    NAME("a", NAME_OK),
    NAME("A", NAME_OK),
    NAME("README.md", NAME_OK),
    NAME(".git", NAME_OK),
    NAME(".gitignore", NAME_OK),
    NAME("lost+found", NAME_OK),
    NAME("core.1234", NAME_OK),
    NAME("a,v", NAME_OK),
    NAME("x@y", NAME_OK),
    NAME("a=b", NAME_OK),
    NAME("(copy)", NAME_OK),
    NAME("[1]", NAME_OK),
    NAME("1^2", NAME_OK),
};

static unsigned names_checked;

/* The name is given in memory of exactly its length, so that a sanitizer sees each read past it. */
static void assert_fault(const void *name, size_t n, enum name_fault want) {
    char *exact = malloc(n ? n : 1);
    assert_non_null(exact);
    memcpy(exact, name, n);
    enum name_fault got = name_check(exact, n);
    if (got != want)
        fail_msg("'%s' (%zu bytes): got '%s', want '%s'", escape_text(name, n, &(struct escaped){.s = ""}), n,
                 name_fault_text(got), name_fault_text(want));
    free(exact);
    names_checked++;
}

static void each_listed_name_has_its_fault(void **state) {
    (void)state;
    for (size_t i = 0; i < sizeof listed / sizeof listed[0]; i++)
        assert_fault(listed[i].name, listed[i].n, listed[i].fault);
}

static enum name_fault fault_of_byte(unsigned c) {
    return c == '/' ? NAME_SEPARATOR : c == '\0' ? NAME_NUL : NAME_OK;
}

static void any_byte_but_slash_and_nul_may_stand_anywhere(void **state) {
    (void)state;
    for (unsigned c = 0; c < 256; c++) {
        char b = (char)c;
        assert_fault(&b, 1, c == '.' ? NAME_DOT : fault_of_byte(c));
        char first[] = {b, 'x'}, middle[] = {'x', b, 'y'}, last[] = {'x', b}, after_dot[] = {'.', b};
        assert_fault(first, sizeof first, fault_of_byte(c));
        assert_fault(middle, sizeof middle, fault_of_byte(c));
        assert_fault(last, sizeof last, fault_of_byte(c));
        assert_fault(after_dot, sizeof after_dot, c == '.' ? NAME_DOT : fault_of_byte(c));
    }
}

static void reserved_prefix_is_refused_in_any_case(void **state) {
    (void)state;
    const char *letters = "hvferry";
    for (unsigned mask = 0; mask < 128; mask++) {
        char name[] = ".hvferry.tail";
        for (unsigned i = 0; i < 7; i++)
            if (mask >> i & 1)
                name[1 + i] = (char)(letters[i] - 'a' + 'A');
        for (size_t n = 9; n < sizeof name; n++)
            assert_fault(name, n, NAME_RESERVED);
        assert_fault(name, 8, NAME_OK);
    }
}

static void only_what_a_receiver_names_is_unfinished(void **state) {
    (void)state;
    static const char *const theirs[] = {
        ".hvferry.0123456789abcdef.1", ".hvferry.0123456789abcdef.fedcba9876543210.3f",
        ".hvferry.part.00112233445566778899aabbccddeeff", ".hvferry.live.0123456789abcdef"};
    static const char *const others[] = {"",
                                         "x",
                                         ".hvferry",
                                         ".hvferry.",
                                         ".hvferry.notes",
                                         ".hvferry.0123456789abcdef",
                                         ".hvferry.0123456789abcdef.",
                                         ".hvferry.0123456789abcde.1",
                                         ".hvferry.0123456789abcdef0.1",
                                         ".hvferry.0123456789abcdef..0",
                                         ".hvferry.0123456789abcdef.1.",
                                         ".hvferry.0123456789abcdef.1.0.",
                                         ".hvferry.0123456789abcdef.1.0.0",
                                         ".hvferry.0123456789abcdef.00000000000000001",
                                         ".hvferry.0123456789abcdef.1x",
                                         ".hvferry.0123456789ABCDEF.1",
                                         ".HVFERRY.0123456789abcdef.1",
                                         ".hvferry.part.",
                                         ".hvferry.part.00112233445566778899aabbccddeef",
                                         ".hvferry.part.00112233445566778899aabbccddeeff0",
                                         ".hvferry.part.00112233445566778899aabbccddeeff.1",
                                         ".hvferry.live.0123456789abcdef.1",
                                         ".hvferry.live.0123456789abcde"};
    for (size_t i = 0; i < sizeof theirs / sizeof theirs[0]; i++)
        assert_true(name_is_unfinished(theirs[i]));
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++)
        assert_false(name_is_unfinished(others[i]));
}

/* 'H' is 'h' without bit 5: no other byte may become a letter of the prefix by such a trick. */
static void bytes_near_the_reserved_prefix_are_not_taken_for_it(void **state) {
    (void)state;
    for (size_t at = 0; at < 9; at++) {
        for (unsigned c = 0; c < 256; c++) {
            char name[] = ".hvferry.x";
            char was = name[at];
            name[at] = (char)c;
            bool same = name[at] == was || (was >= 'a' && was <= 'z' && name[at] == was - 'a' + 'A');
            assert_fault(name, 10, same ? NAME_RESERVED : fault_of_byte(c));
        }
    }
}

static void name_of_255_bytes_is_fine_and_of_256_too_long(void **state) {
    (void)state;
    static const size_t lengths[] = {1, 2, 8, 127, 128, 254, 255, 256, 257, 511, 512, 4096, 65536};
    char *name = malloc(65536);
    assert_non_null(name);
    for (size_t i = 0; i < sizeof lengths / sizeof lengths[0]; i++) {
        enum name_fault want = lengths[i] > 255 ? NAME_TOO_LONG : NAME_OK;
        memset(name, 'n', 65536);
        assert_fault(name, lengths[i], want);
        memset(name, 0xFF, 65536);
        assert_fault(name, lengths[i], want);
        name[lengths[i] - 1] = '/';
        assert_fault(name, lengths[i], want == NAME_OK ? NAME_SEPARATOR : want);
        name[lengths[i] - 1] = '\0';
        assert_fault(name, lengths[i], want == NAME_OK ? NAME_NUL : want);
    }
    free(name);
}

static void table_holds_at_least_500_names(void **state) {
    (void)state;
    assert_true(sizeof listed / sizeof listed[0] >= 150);
    assert_true(names_checked >= 500);
}

static void each_fault_has_a_text_of_its_own(void **state) {
    (void)state;
    for (unsigned a = NAME_OK; a <= NAME_RESERVED; a++)
        for (unsigned b = NAME_OK; b < a; b++)
            assert_string_not_equal(name_fault_text((enum name_fault)a), name_fault_text((enum name_fault)b));
    assert_string_equal(name_fault_text(NAME_EMPTY), "name is empty");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(each_listed_name_has_its_fault),
        cmocka_unit_test(any_byte_but_slash_and_nul_may_stand_anywhere),
        cmocka_unit_test(reserved_prefix_is_refused_in_any_case),
        cmocka_unit_test(only_what_a_receiver_names_is_unfinished),
        cmocka_unit_test(bytes_near_the_reserved_prefix_are_not_taken_for_it),
        cmocka_unit_test(name_of_255_bytes_is_fine_and_of_256_too_long),
        cmocka_unit_test(table_holds_at_least_500_names),
        cmocka_unit_test(each_fault_has_a_text_of_its_own),
    };
    return cmocka_run_group_tests_name("name", tests, NULL, NULL);
}
