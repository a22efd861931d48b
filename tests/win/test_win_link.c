/* Symbolic links, as far as they can be seen without a Windows that makes any: what is asked for, and the privilege. The
 * linker puts the calls of this file in the place of the system's. */
#include "../unit/win32_help.h"

#include <errno.h>
#include <winioctl.h>

enum { BUFFER_MAX = 256, PRIVILEGE = 35 };

static struct {
    bool held, enabled; /* the privilege */
    DWORD other_error; /* what setting fails with even so */
    int calls;
    uint8_t asked[BUFFER_MAX];
    DWORD asked_n;
} windows;

static BOOL WINAPI control(HANDLE handle, DWORD code, void *in, DWORD in_n, void *out, DWORD out_n, DWORD *n,
                           OVERLAPPED *overlapped) {
    (void)handle;
    (void)out;
    (void)out_n;
    (void)n;
    (void)overlapped;
    assert_int_equal(code, FSCTL_SET_REPARSE_POINT);
    assert_true(in_n <= BUFFER_MAX);
    windows.calls++;
    memcpy(windows.asked, in, in_n);
    windows.asked_n = in_n;
    SetLastError(windows.enabled ? windows.other_error : ERROR_PRIVILEGE_NOT_HELD);
    return windows.enabled && windows.other_error == 0;
}

static BOOL WINAPI look_up(const wchar_t *system, const wchar_t *name, LUID *ret) {
    assert_null(system);
    assert_int_equal(wcscmp(name, L"SeCreateSymbolicLinkPrivilege"), 0);
    *ret = (LUID){.LowPart = PRIVILEGE};
    return TRUE;
}

static BOOL WINAPI adjust(HANDLE token, BOOL none, TOKEN_PRIVILEGES *wanted, DWORD n,
                          TOKEN_PRIVILEGES *before, DWORD *before_n) {
    (void)token;
    (void)n;
    (void)before;
    (void)before_n;
    assert_false(none);
    assert_int_equal(wanted->PrivilegeCount, 1);
    assert_int_equal(wanted->Privileges[0].Luid.LowPart, PRIVILEGE);
    assert_int_equal(wanted->Privileges[0].Attributes, SE_PRIVILEGE_ENABLED);
    windows.enabled = windows.held;
    SetLastError(windows.held ? ERROR_SUCCESS : ERROR_NOT_ALL_ASSIGNED);
    return TRUE; /* also when it was not */
}

extern void *__wrap___imp_DeviceIoControl, *__wrap___imp_LookupPrivilegeValueW,
    *__wrap___imp_AdjustTokenPrivileges;
void *__wrap___imp_DeviceIoControl = (void *)control;
void *__wrap___imp_LookupPrivilegeValueW = (void *)look_up;
void *__wrap___imp_AdjustTokenPrivileges = (void *)adjust;

static int forget(void **state) {
    (void)state;
    memset(&windows, 0, sizeof windows);
    return 0;
}

static void the_privilege_is_enabled_when_it_is_held(void **state) {
    (void)state;
    struct scratch *s = scratch_new();
    windows.held = true;
    assert_int_equal(os_symlink_at("target", s->dir, "one"), 0);
    assert_int_equal(windows.calls, 2);
    assert_int_equal(os_symlink_at("target", s->dir, "two"), 0);
    assert_int_equal(windows.calls, 3);
    scratch_free(s);
}

static void without_the_privilege_nothing_is_left(void **state) {
    (void)state;
    struct scratch *s = scratch_new();
    assert_int_equal(os_symlink_at("target", s->dir, "link"), -EPERM);
    assert_int_equal(windows.calls, 1);
    assert_false(exists(below(s->path, L"link")));
    windows.enabled = true;
    windows.other_error = ERROR_INVALID_FUNCTION; /* FAT has no links */
    assert_true(os_symlink_at("target", s->dir, "link") < 0);
    assert_int_equal(windows.calls, 2);
    assert_false(exists(below(s->path, L"link")));
    scratch_free(s);
}

/* REPARSE_DATA_BUFFER of ntifs.h: tag, bytes that follow, the places of two names, flags, names. */
static void a_link_is_asked_for_to_the_byte(void **state) {
    (void)state;
    static const uint8_t wanted[] = {0x0C, 0, 0,    0xA0, 18,   0, 0, 0, /* IO_REPARSE_TAG_SYMLINK */
                                     0,    0, 6,    0,    0,    0, 6, 0, /* both names are the same text */
                                     1,    0, 0,    0, /* SYMLINK_FLAG_RELATIVE */
                                     'a',  0, '\\', 0,    0xFC, 0};
    struct scratch *s = scratch_new();
    windows.enabled = true;
    assert_int_equal(os_symlink_at("a/\u00fc", s->dir, "link"), 0);
    assert_int_equal(windows.asked_n, sizeof wanted);
    assert_memory_equal(windows.asked, wanted, sizeof wanted);
    scratch_free(s);
}

static void a_link_to_a_directory_is_made_as_one(void **state) {
    (void)state;
    struct scratch *s = scratch_new();
    windows.enabled = true;
    assert_int_equal(os_mkdir_at(s->dir, "dir", 0755), 0);
    assert_int_equal(os_symlink_at("dir", s->dir, "to-dir"), 0);
    assert_int_equal(os_symlink_at("nowhere", s->dir, "to-file"), 0);
    assert_true(GetFileAttributesW(below(s->path, L"to-dir")) & FILE_ATTRIBUTE_DIRECTORY);
    assert_false(GetFileAttributesW(below(s->path, L"to-file")) & FILE_ATTRIBUTE_DIRECTORY);
    scratch_free(s);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(the_privilege_is_enabled_when_it_is_held, forget),
        cmocka_unit_test_setup(without_the_privilege_nothing_is_left, forget),
        cmocka_unit_test_setup(a_link_is_asked_for_to_the_byte, forget),
        cmocka_unit_test_setup(a_link_to_a_directory_is_made_as_one, forget),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
