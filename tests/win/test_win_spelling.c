/* How a name is spelled on disk, where file systems differ in what they tell of an open file. The linker puts a call of this
 * file in the place of the system's, since Wine's file system tells one thing only. */
#include "../unit/win32_help.h"

#include "core/win32/sys_own.h"
#include "os/win32/os_win32.h"

enum { NAME_CLASS = 9, NORMALIZED_NAME_CLASS = 48 };

/* What is told of every open file; NULL: nothing is. */
static const wchar_t *opened, *normalized;

NTSTATUS NTAPI __real_NtQueryInformationFile(HANDLE, PIO_STATUS_BLOCK, PVOID, ULONG, FILE_INFORMATION_CLASS);
NTSTATUS NTAPI __wrap_NtQueryInformationFile(HANDLE, PIO_STATUS_BLOCK, PVOID, ULONG, FILE_INFORMATION_CLASS);

NTSTATUS NTAPI __wrap_NtQueryInformationFile(HANDLE handle, PIO_STATUS_BLOCK io, PVOID to, ULONG n,
                                             FILE_INFORMATION_CLASS class_number) {
    const wchar_t *text = class_number == (FILE_INFORMATION_CLASS)NAME_CLASS ? opened : normalized;
    if (class_number != (FILE_INFORMATION_CLASS)NAME_CLASS &&
        class_number != (FILE_INFORMATION_CLASS)NORMALIZED_NAME_CLASS)
        return __real_NtQueryInformationFile(handle, io, to, n, class_number);
    if (text == NULL)
        return STATUS_NOT_SUPPORTED;
    ULONG bytes = (ULONG)(wcslen(text) * sizeof *text), room = n - (ULONG)sizeof bytes;
    memcpy(to, &bytes, sizeof bytes);
    memcpy((char *)to + sizeof bytes, text, bytes < room ? bytes : room);
    return bytes <= room ? STATUS_SUCCESS : STATUS_BUFFER_OVERFLOW;
}

static struct scratch *s;

static int begin(void **state) {
    (void)state;
    s = scratch_new();
    opened = normalized = NULL;
    return 0;
}

static int end(void **state) {
    (void)state;
    scratch_free(s);
    return 0;
}

static void share_that_tells_how_a_file_was_opened_is_not_believed(void **state) {
    (void)state;
    struct os_stat st;
    struct os_dir d;
    make(s->dir, "Makefile", "upper");
    make(s->dir, "temp", "lower");
    assert_int_equal(os_mkdir_at(s->dir, "Dir", 0700), 0);
    opened = L"\\share\\makefile";
    assert_int_equal(os_stat_at(s->dir, "makefile", &st), -SYS_OTHER_NAME);
    opened = L"\\share\\dir";
    assert_int_equal(os_dir_open(s->dir, "dir", &d), -SYS_OTHER_NAME);
    assert_int_equal(os_mkdir_at(s->dir, "dir", 0700), -SYS_OTHER_NAME);
    opened = L"\\share\\MAKEFILE"; /* and it may be another who opened it */
    assert_int_equal(os_stat_at(s->dir, "Makefile", &st), 0);
    opened = L"\\share\\temp";
    assert_int_equal(os_rename_at(s->dir, "temp", "makefile"), -SYS_OTHER_NAME);
    assert_text(below(s->path, L"Makefile"), "upper");
    assert_text(below(s->path, L"temp"), "lower");
}

static void name_on_disk_decides_where_the_file_system_tells_it(void **state) {
    (void)state;
    struct os_stat st;
    make(s->dir, "name", "text");
    normalized = L"\\dir\\name";
    assert_int_equal(os_stat_at(s->dir, "name", &st), 0);
    static const wchar_t *const others[] = {L"\\dir\\Name", L"\\dir\\xname", L"\\dir\\name2", L"name", L""};
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        normalized = others[i];
        assert_int_equal(os_stat_at(s->dir, "name", &st), -SYS_OTHER_NAME);
    }
}

static void path_that_is_too_long_to_be_told_is_looked_up(void **state) {
    (void)state;
    static wchar_t longest[32767];
    struct os_stat st;
    for (size_t i = 0; i < sizeof longest / sizeof longest[0] - 1; i++)
        longest[i] = i % 200 ? L'd' : L'\\';
    make(s->dir, "Name", "text");
    normalized = longest;
    assert_int_equal(os_stat_at(s->dir, "Name", &st), 0);
    assert_int_equal(os_stat_at(s->dir, "name", &st), -SYS_OTHER_NAME);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(share_that_tells_how_a_file_was_opened_is_not_believed),
        TEST(name_on_disk_decides_where_the_file_system_tells_it),
        TEST(path_that_is_too_long_to_be_told_is_looked_up),
    };
    return cmocka_run_group_tests_name("win_spelling", tests, NULL, NULL);
}
