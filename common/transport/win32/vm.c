/* A VM by its name or id, from Hyper-V's management interface: WMI, namespace root\virtualization\v2, class
 * Msvm_ComputerSystem, whose Name is the id and whose ElementName is the name that people gave. */
#define COBJMACROS
#include "find_vm.h"

#include "transport/hyperv_vm.h"

#include "core/text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <wchar.h>
#include <windows.h>

#include <wbemcli.h>

/* Every name is compared here, so that no name can change the query. */
static const wchar_t namespace_name[] = L"ROOT\\virtualization\\v2";
static const wchar_t query_text[] = L"SELECT Name, ElementName, EnabledState FROM Msvm_ComputerSystem";

enum { NAME_MAX_UNITS = 256, ROW_TIMEOUT_MS = 30000 };

struct search {
    const char *text; /* the address, safe to print */
    wchar_t name[NAME_MAX_UNITS]; /* "": it is looked for by its id */
    struct guid id;
    struct hyperv_vm vm;
    unsigned found;
};

static int failed(const struct search *s, HRESULT result, struct err *err) {
    switch ((ULONG)result) {
    case WBEM_E_INVALID_NAMESPACE:
    case WBEM_E_INVALID_CLASS:
        return err_set(err, EXIT_UNSUPPORTED,
                       "%s: this Windows is no Hyper-V host, so that no VM has a name here", s->text);
    case WBEM_E_ACCESS_DENIED:
    case (ULONG)E_ACCESSDENIED:
        return err_set(
            err, EXIT_SOCKET,
            "%s: asking Hyper-V for its VMs is not allowed (run as administrator or as a member of "
            "Hyper-V Administrators)",
            s->text);
    default:
        return err_set(err, EXIT_SOCKET,
                       "%s: asking Hyper-V for its VMs failed with 0x%08lx (use the VM's id instead)",
                       s->text, (unsigned long)result);
    }
}

/* The property `name` of a row, when it has that type. The caller clears it. */
static bool get(IWbemClassObject *row, const wchar_t *name, VARTYPE type, VARIANT *ret) {
    VariantInit(ret);
    return SUCCEEDED(IWbemClassObject_Get(row, name, 0, ret, NULL, NULL)) && ret->vt == type;
}

static bool is_wanted(const struct search *s, const wchar_t *name, const struct guid *id) {
    return s->name[0] ? _wcsicmp(name, s->name) == 0 : guid_equal(id, &s->id);
}

/* One computer system. The host itself is in the list, too; its Name is no GUID. */
static void look_at(IWbemClassObject *row, struct search *s) {
    VARIANT name, id, state;
    struct hyperv_vm vm = {.state = 0};
    char text[GUID_TEXT_LENGTH + 1] = "";
    bool has_name = get(row, L"ElementName", VT_BSTR, &name), has_id = get(row, L"Name", VT_BSTR, &id);
    if (get(row, L"EnabledState", VT_I4, &state))
        vm.state = (unsigned)state.lVal;
    if (has_name && has_id &&
        WideCharToMultiByte(CP_UTF8, 0, id.bstrVal, -1, text, sizeof text, NULL, NULL) &&
        guid_parse(text, strlen(text), &vm.id) == 0 && is_wanted(s, name.bstrVal, &vm.id)) {
        (void)WideCharToMultiByte(CP_UTF8, 0, name.bstrVal, -1, vm.name, sizeof vm.name, NULL, NULL);
        s->vm = vm;
        s->found++;
    }
    (void)VariantClear(&name);
    (void)VariantClear(&id);
    (void)VariantClear(&state);
}

static HRESULT read_rows(IWbemServices *services, struct search *s) {
    IEnumWbemClassObject *rows = NULL;
    BSTR language = SysAllocString(L"WQL"), query = SysAllocString(query_text);
    HRESULT result = E_OUTOFMEMORY;
    if (language && query)
        result = IWbemServices_ExecQuery(services, language, query,
                                         WBEM_FLAG_FORWARD_ONLY | WBEM_FLAG_RETURN_IMMEDIATELY, NULL, &rows);
    while (SUCCEEDED(result)) {
        IWbemClassObject *row = NULL;
        ULONG n = 0;
        result = IEnumWbemClassObject_Next(rows, ROW_TIMEOUT_MS, 1, &row, &n);
        if (n == 0)
            break;
        look_at(row, s);
        (void)IWbemClassObject_Release(row);
    }
    if (rows)
        (void)IEnumWbemClassObject_Release(rows);
    SysFreeString(language);
    SysFreeString(query);
    return result == WBEM_S_TIMEDOUT ? E_FAIL : result;
}

static HRESULT connect_and_read(struct search *s) {
    IWbemLocator *locator = NULL;
    IWbemServices *services = NULL;
    BSTR name = SysAllocString(namespace_name);
    HRESULT result = name ? CoCreateInstance(&CLSID_WbemLocator, NULL, CLSCTX_INPROC_SERVER,
                                             &IID_IWbemLocator, (void **)&locator)
                          : E_OUTOFMEMORY;
    if (SUCCEEDED(result))
        result = IWbemLocator_ConnectServer(locator, name, NULL, NULL, NULL, 0, NULL, NULL, &services);
    if (SUCCEEDED(result))
        result = CoSetProxyBlanket((IUnknown *)services, RPC_C_AUTHN_WINNT, RPC_C_AUTHZ_NONE, NULL,
                                   RPC_C_AUTHN_LEVEL_CALL, RPC_C_IMP_LEVEL_IMPERSONATE, NULL, EOAC_NONE);
    if (SUCCEEDED(result))
        result = read_rows(services, s);
    if (services)
        (void)IWbemServices_Release(services);
    if (locator)
        (void)IWbemLocator_Release(locator);
    SysFreeString(name);
    return result;
}

static int look(struct search *s, struct hyperv_vm *ret, struct err *err) {
    HRESULT started = CoInitializeEx(NULL, COINIT_MULTITHREADED), result = started;
    if (SUCCEEDED(started)) {
        result = connect_and_read(s);
        CoUninitialize();
    }
    if (FAILED(result))
        return failed(s, result, err);
    if (s->found == 0)
        return err_set(err, EXIT_SOCKET, "%s: no VM of this host has that %s (see Get-VM)", s->text,
                       s->name[0] ? "name" : "id");
    if (s->found > 1)
        return err_set(err, EXIT_SOCKET, "%s: %u VMs have that name (use the id of one: (Get-VM NAME).Id)",
                       s->text, s->found);
    *ret = s->vm;
    return 0;
}

int hyperv_vm_look(const struct addr *addr, struct hyperv_vm *ret, struct err *err) {
    static const char by_name[] = "name:";
    const char *text = ESCAPED(addr->text);
    struct search s = {.text = text, .id = addr->vm};
    if (strncmp(addr->host, by_name, strlen(by_name)) == 0 &&
        !MultiByteToWideChar(CP_UTF8, MB_ERR_INVALID_CHARS, addr->host + strlen(by_name), -1, s.name,
                             NAME_MAX_UNITS))
        return err_set(err, EXIT_USAGE, "%s: the name of the VM is not UTF-8", text);
    return look(&s, ret, err);
}

const char *hyperv_vm_state(unsigned state) {
    static const struct {
        unsigned state;
        const char *text;
    } states[] = {{HYPERV_VM_RUNNING, "running"},
                  {3, "off"},
                  {4, "shutting down"},
                  {6, "saved"},
                  {9, "paused"},
                  {10, "starting"},
                  {32768, "paused"},
                  {32769, "saved"},
                  {32770, "starting"},
                  {32773, "saving"},
                  {32774, "stopping"},
                  {32776, "pausing"},
                  {32777, "resuming"}};
    for (size_t i = 0; i < sizeof states / sizeof states[0]; i++)
        if (states[i].state == state)
            return states[i].text;
    return "in an unknown state";
}
