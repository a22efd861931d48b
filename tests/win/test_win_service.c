/* What Windows is asked for when hvrecv becomes a service or registers one, and what a user hears who may not. In Wine
 * everybody is an administrator, and no service is started again, so the linker puts the calls of this file in the place of
 * the system's. */
#include "receiver/services.h"
#include "receiver/win32/service.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <wchar.h>
#include <windows.h>

#include <cmocka.h>

static const SC_HANDLE manager = (SC_HANDLE)1, service = (SC_HANDLE)2;
static const HKEY services_key = (HKEY)3;

static struct {
    bool denied;
    int open; /* handles that were given and not closed */
    int created, restarts, on_exit_codes, described;
} windows;

/* ---- the service control manager ---- */

static SC_HANDLE give(SC_HANDLE handle) {
    SetLastError(ERROR_ACCESS_DENIED);
    windows.open += !windows.denied;
    return windows.denied ? NULL : handle;
}

static SC_HANDLE WINAPI open_manager(const wchar_t *machine, const wchar_t *database, DWORD rights) {
    assert_true(machine == NULL && database == NULL);
    return give(rights == SC_MANAGER_CONNECT || rights == SC_MANAGER_CREATE_SERVICE ? manager : NULL);
}

static SC_HANDLE WINAPI open_service(SC_HANDLE from, const wchar_t *name, DWORD rights) {
    assert_ptr_equal(from, manager);
    assert_int_equal(wcscmp(name, L"hvferry"), 0);
    assert_int_not_equal(rights, SERVICE_ALL_ACCESS);
    return give(service);
}

static bool ends_with(const wchar_t *text, const wchar_t *end) {
    size_t n = wcslen(text), end_n = wcslen(end);
    return n >= end_n && wcscmp(text + n - end_n, end) == 0;
}

static SC_HANDLE WINAPI create_service(SC_HANDLE from, const wchar_t *name, const wchar_t *title,
                                       DWORD rights, DWORD type, DWORD start, DWORD on_error,
                                       const wchar_t *line, const wchar_t *group, DWORD *tag,
                                       const wchar_t *needs, const wchar_t *user, const wchar_t *password) {
    (void)title;
    (void)rights;
    (void)on_error;
    assert_ptr_equal(from, manager);
    assert_int_equal(wcscmp(name, L"hvferry"), 0);
    assert_int_equal(type, SERVICE_WIN32_OWN_PROCESS);
    assert_int_equal(start, SERVICE_AUTO_START);
    assert_int_equal(line[0], L'"');
    assert_true(
        ends_with(line, L".exe\" \"run-service\" \"--listen\" \"hyperv://any:2761\" \"D:\\in box\\\\\""));
    assert_true(group == NULL && tag == NULL && needs == NULL && password == NULL);
    assert_int_equal(wcscmp(user, L"NT AUTHORITY\\LocalService"), 0);
    windows.created++;
    return give(service);
}

static BOOL WINAPI change(SC_HANDLE of, DWORD level, void *info) {
    assert_ptr_equal(of, service);
    if (level == SERVICE_CONFIG_FAILURE_ACTIONS) {
        const SERVICE_FAILURE_ACTIONSW *actions = info;
        assert_true(actions->dwResetPeriod > 0);
        for (DWORD i = 0; i < actions->cActions; i++)
            windows.restarts +=
                actions->lpsaActions[i].Type == SC_ACTION_RESTART && actions->lpsaActions[i].Delay >= 1000;
    } else if (level == SERVICE_CONFIG_FAILURE_ACTIONS_FLAG) {
        windows.on_exit_codes += ((SERVICE_FAILURE_ACTIONS_FLAG *)info)->fFailureActionsOnNonCrashFailures;
    } else {
        assert_int_equal(level, SERVICE_CONFIG_DESCRIPTION);
        windows.described += ((SERVICE_DESCRIPTIONW *)info)->lpDescription[0] != L'\0';
    }
    return TRUE;
}

static BOOL WINAPI close_handle(SC_HANDLE handle) {
    assert_true(handle == manager || handle == service);
    windows.open--;
    return TRUE;
}

/* ---- the registry: a host whose list has one service, of ours ---- */

static LSTATUS WINAPI open_key(HKEY from, const wchar_t *sub, DWORD options, REGSAM rights, HKEY *ret) {
    (void)options;
    assert_true(rights & KEY_WOW64_64KEY);
    if (from == services_key && wcschr(sub, L'{'))
        return ERROR_FILE_NOT_FOUND;
    windows.open++;
    *ret = services_key;
    return ERROR_SUCCESS;
}

static LSTATUS WINAPI close_key(HKEY key) {
    assert_ptr_equal(key, services_key);
    windows.open--;
    return ERROR_SUCCESS;
}

static LSTATUS WINAPI get_value(HKEY key, const wchar_t *sub, const wchar_t *value, DWORD flags, DWORD *type,
                                void *ret, DWORD *n) {
    (void)key;
    (void)sub;
    (void)value;
    (void)flags;
    (void)type;
    assert_true(*n >= sizeof L"hvferry");
    memcpy(ret, L"hvferry", sizeof L"hvferry");
    return ERROR_SUCCESS;
}

static LSTATUS WINAPI create_key(void) {
    return ERROR_ACCESS_DENIED;
}

static LSTATUS WINAPI delete_key(void) {
    return ERROR_ACCESS_DENIED;
}

#define IN_PLACE_OF(NAME, OURS)                                                                              \
    extern void *__wrap___imp_##NAME;                                                                        \
    void *__wrap___imp_##NAME = (void *)OURS

IN_PLACE_OF(OpenSCManagerW, open_manager);
IN_PLACE_OF(OpenServiceW, open_service);
IN_PLACE_OF(CreateServiceW, create_service);
IN_PLACE_OF(ChangeServiceConfig2W, change);
IN_PLACE_OF(CloseServiceHandle, close_handle);
IN_PLACE_OF(RegOpenKeyExW, open_key);
IN_PLACE_OF(RegCloseKey, close_key);
IN_PLACE_OF(RegGetValueW, get_value);
IN_PLACE_OF(RegCreateKeyExW, create_key);
IN_PLACE_OF(RegDeleteKeyExW, delete_key);

/* ---- the tests ---- */

static int forget(void **state) {
    (void)state;
    memset(&windows, 0, sizeof windows);
    return 0;
}

static void a_service_starts_by_itself_and_again_after_failures(void **state) {
    (void)state;
    char *words[] = {(char[]){"--listen"}, (char[]){"hyperv://any:2761"}, (char[]){"D:\\in box\\"}};
    struct err err = {.code = 0};
    if (service_install(3, words, &err))
        fail_msg("%s", err.msg);
    assert_int_equal(windows.created, 1);
    assert_int_equal(windows.restarts, 3);
    assert_int_equal(windows.on_exit_codes, 1); /* not only after a crash */
    assert_int_equal(windows.described, 1);
    assert_int_equal(windows.open, 0);
}

static void expect_denied(int result, const struct err *err) {
    assert_int_equal(result, -1);
    assert_int_equal(err->code, EXIT_FILE_IO);
    if (strstr(err->msg, "only an administrator may") == NULL)
        fail_msg("'%s' does not say who may", err->msg);
    assert_int_equal(windows.open, 0);
}

static void services_are_for_administrators(void **state) {
    (void)state;
    char *words[] = {(char[]){"--listen"}};
    struct err err = {.code = 0};
    windows.denied = true;
    expect_denied(service_install(1, words, &err), &err);
    assert_int_equal(windows.created, 0);
    expect_denied(service_start(0, NULL, &err), &err);
    expect_denied(service_stop(0, NULL, &err), &err);
    expect_denied(service_remove(0, NULL, &err), &err);
}

static void registering_is_for_administrators(void **state) {
    (void)state;
    const struct guid guid = guid_of_port(2761);
    struct err err = {.code = 0};
    expect_denied(services_add(&guid, "files", false, &err), &err);
    expect_denied(services_remove(&guid, false, &err), &err);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(a_service_starts_by_itself_and_again_after_failures, forget),
        cmocka_unit_test_setup(services_are_for_administrators, forget),
        cmocka_unit_test_setup(registering_is_for_administrators, forget),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
