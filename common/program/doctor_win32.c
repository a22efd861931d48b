/* What Windows says of itself, of Hyper-V and of its VMs. */
#include "program/doctor.h"

#include "core/text.h"
#include "transport/hyperv.h"
#include "transport/hyperv_vm.h"

#include <stdio.h>
#include <string.h>
#include <windows.h>

#include <winternl.h>

/* The errors of Windows's transports say themselves what to do, so that no cause has to be looked up. */
const struct cause doctor_causes[] = {{.cause = NULL}};

static const wchar_t services_key[] =
    L"SOFTWARE\\Microsoft\\Windows NT\\CurrentVersion\\Virtualization\\GuestCommunicationServices";
/* Hyper-V's data exchange service writes it into guests. */
static const wchar_t guest_key[] = L"SOFTWARE\\Microsoft\\Virtual Machine\\Guest\\Parameters";

enum { NAME_UNITS = 256 };

NTSTATUS WINAPI RtlGetVersion(OSVERSIONINFOW *info); /* GetVersionEx says what the manifest asks for */

static bool has_key(const wchar_t *path) {
    HKEY key;
    if (RegOpenKeyExW(HKEY_LOCAL_MACHINE, path, 0, KEY_READ | KEY_WOW64_64KEY, &key))
        return false;
    (void)RegCloseKey(key);
    return true;
}

/* The string `value` of the key as UTF-8; false when there is none. */
static bool read_text(const wchar_t *path, const wchar_t *value, char ret[NAME_UNITS]) {
    wchar_t text[NAME_UNITS];
    DWORD n = sizeof text;
    return RegGetValueW(HKEY_LOCAL_MACHINE, path, value, RRF_RT_REG_SZ | RRF_SUBKEY_WOW6464KEY, NULL, text,
                        &n) == 0 &&
           WideCharToMultiByte(CP_UTF8, 0, text, -1, ret, NAME_UNITS, NULL, NULL) > 0;
}

static bool is_elevated(void) {
    TOKEN_ELEVATION elevation = {0};
    HANDLE token;
    DWORD n;
    if (!OpenProcessToken(GetCurrentProcess(), TOKEN_QUERY, &token))
        return false;
    (void)GetTokenInformation(token, TokenElevation, &elevation, sizeof elevation, &n);
    (void)CloseHandle(token);
    return elevation.TokenIsElevated;
}

/* Whether the service that manages VMs runs. */
static bool is_management_running(void) {
    SERVICE_STATUS status = {.dwCurrentState = 0};
    SC_HANDLE manager = OpenSCManagerW(NULL, NULL, SC_MANAGER_CONNECT);
    SC_HANDLE service = manager ? OpenServiceW(manager, L"vmms", SERVICE_QUERY_STATUS) : NULL;
    if (service) {
        (void)QueryServiceStatus(service, &status);
        (void)CloseServiceHandle(service);
    }
    if (manager)
        (void)CloseServiceHandle(manager);
    return status.dwCurrentState == SERVICE_RUNNING;
}

static void look_at_hyper_v(struct findings *f) {
    char name[NAME_UNITS] = "";
    if (has_key(services_key)) {
        found_ok(f, "hyper-v", "this is a host");
        if (!is_management_running()) {
            found_warning(f, "hyper-v", "the service that manages VMs (vmms) does not run");
            found_remedy(f, "as administrator: net start vmms");
        }
    } else if (has_key(guest_key)) {
        (void)read_text(guest_key, L"VirtualMachineName", name);
        found_ok(f, "hyper-v", "this is the guest %s; its host is hyperv://parent:PORT", ESCAPED(name));
    } else {
        found_warning(f, "hyper-v", "this is no Hyper-V host, nor a guest, as far as is known");
        found_remedy(f, "on a host, turn it on as administrator: dism /online /enable-feature /all "
                        "/featurename:Microsoft-Hyper-V");
    }
}

void doctor_machine(struct findings *f) {
    OSVERSIONINFOW version = {.dwOSVersionInfoSize = sizeof version};
    (void)RtlGetVersion(&version);
    found_ok(f, "system", "Windows %lu.%lu.%lu", version.dwMajorVersion, version.dwMinorVersion,
             version.dwBuildNumber);
    if (is_elevated())
        found_ok(f, "rights", "administrator");
    else
        found_ok(f, "rights", "no administrator: cannot register services, nor ask for VMs by name");
    look_at_hyper_v(f);
}

/* A host lets its guests reach what is registered. */
static void look_at_service(struct findings *f, const struct addr *addr) {
    const char *guid = GUID_TEXT(&addr->service);
    wchar_t path[sizeof services_key / sizeof services_key[0] + GUID_TEXT_LENGTH + 1];
    char name[NAME_UNITS] = "";
    (void)swprintf(path, sizeof path / sizeof path[0], L"%ls\\%hs", services_key, guid);
    if (has_key(path)) {
        (void)read_text(path, L"ElementName", name);
        found_ok(f, "service", "%s is registered as '%s'", guid, ESCAPED(name));
    } else {
        found_warning(f, "service", "%s is not registered on this host", guid);
        found_remedy(f, "as administrator: hvrecv service-guid register --guid %s --name hvferry", guid);
    }
}

static bool is_one_vm(const struct addr *addr) {
    return strncmp(addr->host, "name:", 5) == 0 || (addr->host[0] == '\0' && !hyperv_vm_name(&addr->vm));
}

/* The VM that the address names, if Hyper-V tells. */
static void look_at_vm(struct findings *f, const struct addr *addr) {
    struct err err = {0};
    struct hyperv_vm vm;
    if (hyperv_vm_look(addr, &vm, &err) != 0) {
        found_warning(f, "vm", "%s", err.msg);
        return;
    }
    if (vm.state == HYPERV_VM_RUNNING) {
        found_ok(f, "vm", "%s (%s) is running", ESCAPED(vm.name), GUID_TEXT(&vm.id));
        return;
    }
    found_failure(f, EXIT_SOCKET, "vm", "%s (%s) is %s", ESCAPED(vm.name), GUID_TEXT(&vm.id),
                  hyperv_vm_state(vm.state));
    found_remedy(f, "start it: Start-VM -Name '%s'", ESCAPED(vm.name));
}

void doctor_route(struct findings *f, const struct addr *addr, bool listening) {
    if (strcmp(addr_scheme(addr), "hyperv") != 0)
        return;
    if (has_key(services_key))
        look_at_service(f, addr);
    if (!listening && is_one_vm(addr))
        look_at_vm(f, addr);
}
