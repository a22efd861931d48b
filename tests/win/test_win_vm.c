/* VMs by name or id, as Hyper-V's management interface tells them. Wine has none, so the linker puts an interface with the
 * answers of these tests in its place. */
#define COBJMACROS
#include "core/text.h"
#include "transport/hyperv_vm.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>
#include <wchar.h>
#include <windows.h>

#include <wbemcli.h>

#include <cmocka.h>

#define BOX "c1f9a3d2-0b4e-4f60-9a77-5d2e8b6c1034"
#define OTHER "e3b0c442-98fc-4c14-9afb-f4c8996fb924"

struct row {
    const wchar_t *name, *id; /* NULL: the row has none */
    LONG state; /* 0: the row has none */
};

static struct {
    const struct row *rows;
    size_t count, next;
    HRESULT connect, query, end; /* what these calls return; `end` after the last row */
    int open; /* objects that were given and not released */
} wmi;

static ULONG STDMETHODCALLTYPE release(void *self) {
    (void)self;
    return (ULONG)--wmi.open;
}

/* ---- a row ---- */

static void text_variant(VARIANT *ret, const wchar_t *text) {
    ret->vt = text ? VT_BSTR : VT_NULL;
    ret->bstrVal = text ? SysAllocString(text) : NULL;
}

static HRESULT STDMETHODCALLTYPE row_get(IWbemClassObject *self, LPCWSTR name, LONG flags, VARIANT *ret,
                                         CIMTYPE *type, LONG *flavor) {
    (void)self;
    (void)flags;
    (void)type;
    (void)flavor;
    const struct row *row = &wmi.rows[wmi.next - 1];
    if (wcscmp(name, L"ElementName") == 0) {
        text_variant(ret, row->name);
    } else if (wcscmp(name, L"Name") == 0) {
        text_variant(ret, row->id);
    } else {
        assert_int_equal(wcscmp(name, L"EnabledState"), 0);
        ret->vt = row->state ? VT_I4 : VT_NULL;
        ret->lVal = row->state;
    }
    return S_OK;
}

static IWbemClassObjectVtbl row_calls = {.Release = (void *)release, .Get = row_get};
static IWbemClassObject row_object = {&row_calls};

/* ---- the rows ---- */

static HRESULT STDMETHODCALLTYPE rows_next(IEnumWbemClassObject *self, LONG timeout_ms, ULONG wanted,
                                           IWbemClassObject **ret, ULONG *ret_n) {
    (void)self;
    assert_true(timeout_ms > 0);
    assert_int_equal(wanted, 1);
    *ret_n = wmi.next < wmi.count;
    if (*ret_n == 0)
        return wmi.end;
    wmi.next++;
    wmi.open++;
    *ret = &row_object;
    return S_OK;
}

static IEnumWbemClassObjectVtbl rows_calls = {.Release = (void *)release, .Next = rows_next};
static IEnumWbemClassObject rows_object = {&rows_calls};

/* ---- the services and how they are found ---- */

static HRESULT STDMETHODCALLTYPE services_query(IWbemServices *self, const BSTR language, const BSTR query,
                                                LONG flags, IWbemContext *context,
                                                IEnumWbemClassObject **ret) {
    (void)self;
    (void)flags;
    (void)context;
    assert_int_equal(wcscmp(language, L"WQL"), 0);
    assert_non_null(wcsstr(query, L" FROM Msvm_ComputerSystem"));
    assert_null(wcschr(query, L'\'')); /* no name of a user's is in it */
    if (FAILED(wmi.query))
        return wmi.query;
    wmi.open++;
    *ret = &rows_object;
    return S_OK;
}

static IWbemServicesVtbl services_calls = {.Release = (void *)release, .ExecQuery = services_query};
static IWbemServices services_object = {&services_calls};

static HRESULT STDMETHODCALLTYPE locator_connect(IWbemLocator *self, const BSTR name, const BSTR user,
                                                 const BSTR password, const BSTR locale, LONG flags,
                                                 const BSTR authority, IWbemContext *context,
                                                 IWbemServices **ret) {
    (void)self;
    (void)user;
    (void)password;
    (void)locale;
    (void)flags;
    (void)authority;
    (void)context;
    assert_int_equal(_wcsicmp(name, L"root\\virtualization\\v2"), 0);
    if (FAILED(wmi.connect))
        return wmi.connect;
    wmi.open++;
    *ret = &services_object;
    return S_OK;
}

static IWbemLocatorVtbl locator_calls = {.Release = (void *)release, .ConnectServer = locator_connect};
static IWbemLocator locator_object = {&locator_calls};

static HRESULT WINAPI create(REFCLSID class_id, IUnknown *outer, DWORD context, REFIID id, void **ret) {
    (void)outer;
    (void)context;
    assert_true(IsEqualGUID(class_id, &CLSID_WbemLocator) && IsEqualGUID(id, &IID_IWbemLocator));
    wmi.open++;
    *ret = &locator_object;
    return S_OK;
}

static HRESULT WINAPI set_blanket(IUnknown *proxy, DWORD authentication, DWORD authorization, OLECHAR *server,
                                  DWORD level, DWORD impersonation, void *identity, DWORD capabilities) {
    (void)authentication;
    (void)authorization;
    (void)server;
    (void)level;
    (void)identity;
    (void)capabilities;
    assert_ptr_equal(proxy, &services_object);
    assert_int_equal(impersonation, RPC_C_IMP_LEVEL_IMPERSONATE); /* WMI asks as the user */
    return S_OK;
}

extern void *__wrap___imp_CoCreateInstance, *__wrap___imp_CoSetProxyBlanket;
void *__wrap___imp_CoCreateInstance = (void *)create;
void *__wrap___imp_CoSetProxyBlanket = (void *)set_blanket;

/* ---- the tests ---- */

/* The machine itself comes first, as on a host. */
static const struct row rows[] = {
    {L"HOST", L"HOST", 2},
    {L"Build box 7", L"C1F9A3D2-0B4E-4F60-9A77-5D2E8B6C1034", 2},
    {L"Gr\u00fc\u00dfe", L"E3B0C442-98FC-4C14-9AFB-F4C8996FB924", 3},
    {L"twin", L"00000000-0000-0000-0000-000000000001", 9},
    {L"twin", L"00000000-0000-0000-0000-000000000002", 32769},
    {L"stateless", L"00000000-0000-0000-0000-000000000003", 0},
    {NULL, L"00000000-0000-0000-0000-000000000004", 2},
    {L"no id", NULL, 2},
};

static int look(const char *vm, struct hyperv_vm *ret, struct err *err) {
    const struct addr_rules rules = {.listening = false};
    struct addr addr;
    char text[128];
    (void)snprintf(text, sizeof text, "hyperv://%s:2761", vm);
    assert_int_equal(addr_parse(text, &rules, &addr, NULL), 0);
    wmi.next = 0;
    int result = hyperv_vm_look(&addr, ret, err);
    assert_int_equal(wmi.open, 0);
    addr_free(&addr);
    return result;
}

static int fill(void **state) {
    (void)state;
    memset(&wmi, 0, sizeof wmi);
    wmi.rows = rows;
    wmi.count = sizeof rows / sizeof rows[0];
    wmi.end = WBEM_S_FALSE;
    return 0;
}

static void expect_failure(const char *vm, int code, const char *says) {
    struct hyperv_vm found;
    struct err err = {.code = 0};
    assert_int_equal(look(vm, &found, &err), -1);
    if (err.code != code || strstr(err.msg, says) == NULL)
        fail_msg("%s: code %d, message '%s' without '%s'", vm, err.code, err.msg, says);
}

static void a_vm_is_found_by_its_name_and_by_its_id(void **state) {
    (void)state;
    static const struct {
        const char *vm, *id, *name, *state;
    } wanted[] = {
        {"name:Build box 7", BOX, "Build box 7", "running"},
        {"name:build BOX 7", BOX, "Build box 7", "running"}, /* as Get-VM takes it */
        {"name:Gr\u00fc\u00dfe", OTHER, "Gr\u00fc\u00dfe", "off"},
        {BOX, BOX, "Build box 7", "running"},
        {OTHER, OTHER, "Gr\u00fc\u00dfe", "off"},
        {"name:stateless", "00000000-0000-0000-0000-000000000003", "stateless", "in an unknown state"},
        {"00000000-0000-0000-0000-000000000002", "00000000-0000-0000-0000-000000000002", "twin", "saved"},
    };
    for (size_t i = 0; i < sizeof wanted / sizeof wanted[0]; i++) {
        struct hyperv_vm vm;
        struct err err = {.code = 0};
        if (look(wanted[i].vm, &vm, &err))
            fail_msg("%s: %s", wanted[i].vm, err.msg);
        assert_string_equal(GUID_TEXT(&vm.id), wanted[i].id);
        assert_string_equal(vm.name, wanted[i].name);
        assert_string_equal(hyperv_vm_state(vm.state), wanted[i].state);
    }
}

static void a_name_that_is_not_one_vms_is_an_error(void **state) {
    (void)state;
    expect_failure("name:twin", EXIT_SOCKET, "2 VMs have that name");
    expect_failure("name:nobody", EXIT_SOCKET, "no VM of this host has that name");
    expect_failure("name:HOST", EXIT_SOCKET, "no VM of this host has that name"); /* it is the host */
    expect_failure("name:x' OR ElementName='twin", EXIT_SOCKET, "no VM of this host has that name");
    expect_failure("00000000-0000-0000-0000-0000000000ff", EXIT_SOCKET, "no VM of this host has that id");
    expect_failure("name:\xff", EXIT_USAGE, "not UTF-8");
}

static void what_windows_refuses_says_what_to_do(void **state) {
    (void)state;
    wmi.connect = (HRESULT)WBEM_E_INVALID_NAMESPACE;
    expect_failure("name:twin", EXIT_UNSUPPORTED, "no Hyper-V host");
    wmi.connect = (HRESULT)WBEM_E_ACCESS_DENIED;
    expect_failure("name:twin", EXIT_SOCKET, "run as administrator");
    wmi.connect = E_ACCESSDENIED;
    expect_failure("name:twin", EXIT_SOCKET, "run as administrator");
    wmi.connect = S_OK;
    wmi.query = (HRESULT)WBEM_E_PROVIDER_FAILURE;
    expect_failure("name:twin", EXIT_SOCKET, "failed with 0x80041004 (use the VM's id instead)");
    wmi.query = S_OK;
    wmi.end = (HRESULT)WBEM_E_ACCESS_DENIED; /* told late, with the first row */
    wmi.count = 0;
    expect_failure("name:twin", EXIT_SOCKET, "run as administrator");
    wmi.end = WBEM_S_TIMEDOUT;
    expect_failure("name:twin", EXIT_SOCKET, "use the VM's id instead");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(a_vm_is_found_by_its_name_and_by_its_id, fill),
        cmocka_unit_test_setup(a_name_that_is_not_one_vms_is_an_error, fill),
        cmocka_unit_test_setup(what_windows_refuses_says_what_to_do, fill),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
