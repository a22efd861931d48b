#include "receiver/services.h"

#include <stdio.h>
#include <string.h>
#include <windows.h>

#define VIRTUALIZATION L"SOFTWARE\\Microsoft\\Windows NT\\CurrentVersion\\Virtualization"
#define SERVICES VIRTUALIZATION L"\\GuestCommunicationServices"

static const wchar_t name_value[] = L"ElementName";
/* What tells our entries from others'. Hyper-V does not look at it. */
static const wchar_t maker_value[] = L"RegisteredBy", maker[] = L"hvferry";

enum { KEY_NAME_MAX = 256 };

static int failed(LSTATUS status, const char *what, struct err *err) {
    if (status == ERROR_ACCESS_DENIED)
        return err_set(err, EXIT_FILE_IO,
                       "%s: only an administrator may (start the prompt with 'Run as administrator')", what);
    return err_set(err, EXIT_FILE_IO, "%s: the registry says error %ld", what, status);
}

static int open_services(REGSAM rights, HKEY *ret, struct err *err) {
    LSTATUS status = RegOpenKeyExW(HKEY_LOCAL_MACHINE, SERVICES, 0, rights | KEY_WOW64_64KEY, ret);
    if (status == ERROR_FILE_NOT_FOUND)
        return err_set(err, EXIT_UNSUPPORTED,
                       "this Windows is no Hyper-V host (turn the Hyper-V feature on, and start again)");
    return status ? failed(status, "opening the list of services", err) : 0;
}

/* The string `value` of the key as UTF-8; "" where there is none. */
static void read_text(HKEY key, const wchar_t *sub, const wchar_t *value, char ret[SERVICE_NAME_MAX]) {
    wchar_t text[SERVICE_NAME_MAX];
    DWORD n = sizeof text;
    ret[0] = '\0';
    if (RegGetValueW(key, sub, value, RRF_RT_REG_SZ, NULL, text, &n) ||
        !WideCharToMultiByte(CP_UTF8, 0, text, -1, ret, SERVICE_NAME_MAX, NULL, NULL))
        ret[0] = '\0';
}

static bool is_ours(HKEY key, const wchar_t *sub) {
    wchar_t text[SERVICE_NAME_MAX];
    DWORD n = sizeof text;
    return RegGetValueW(key, sub, maker_value, RRF_RT_REG_SZ, NULL, text, &n) == 0 &&
           wcscmp(text, maker) == 0;
}

/* False when the key's name is no GUID. */
static bool read_service(HKEY services, const wchar_t *sub, struct service *ret) {
    char text[KEY_NAME_MAX];
    int n = WideCharToMultiByte(CP_UTF8, 0, sub, -1, text, sizeof text, NULL, NULL);
    if (n <= 0 || guid_parse(text, (size_t)n - 1, &ret->guid))
        return false;
    read_text(services, sub, name_value, ret->name);
    ret->ours = is_ours(services, sub);
    return true;
}

int services_list(bool (*each)(const struct service *service, void *arg), void *arg, struct err *err) {
    HKEY services;
    if (open_services(KEY_READ, &services, err))
        return -1;
    bool more = true;
    for (DWORD i = 0; more; i++) {
        wchar_t sub[KEY_NAME_MAX];
        DWORD n = KEY_NAME_MAX;
        struct service service;
        more = RegEnumKeyExW(services, i, sub, &n, NULL, NULL, NULL, NULL) == 0;
        if (more && read_service(services, sub, &service))
            more = each(&service, arg);
    }
    (void)RegCloseKey(services);
    return 0;
}

/* The name under which the key of `guid` is there, or would be made: as Microsoft shows it, without braces. */
static bool find_key(HKEY services, const struct guid *guid, wchar_t ret[KEY_NAME_MAX]) {
    static const wchar_t *const forms[] = {L"%hs", L"{%hs}"};
    for (size_t i = 2; i-- > 0;) {
        HKEY key;
        (void)_snwprintf(ret, KEY_NAME_MAX, forms[i], GUID_TEXT(guid));
        if (RegOpenKeyExW(services, ret, 0, KEY_READ | KEY_WOW64_64KEY, &key) == 0) {
            (void)RegCloseKey(key);
            return true;
        }
    }
    return false;
}

static int not_ours(const struct guid *guid, struct err *err) {
    return err_set(err, EXIT_USAGE, "%s: another program registered it (--force changes it all the same)",
                   GUID_TEXT(guid));
}

static LSTATUS write_text(HKEY key, const wchar_t *value, const wchar_t *text) {
    return RegSetValueExW(key, value, 0, REG_SZ, (const BYTE *)text,
                          (DWORD)((wcslen(text) + 1) * sizeof *text));
}

int services_add(const struct guid *guid, const char *name, bool force, struct err *err) {
    wchar_t sub[KEY_NAME_MAX], text[SERVICE_NAME_MAX];
    HKEY services, key;
    if (!MultiByteToWideChar(CP_UTF8, MB_ERR_INVALID_CHARS, name, -1, text, SERVICE_NAME_MAX))
        return err_set(err, EXIT_USAGE, "the name is too long, or not UTF-8");
    if (open_services(KEY_READ, &services, err))
        return -1;
    if (find_key(services, guid, sub) && !is_ours(services, sub) && !force) {
        (void)RegCloseKey(services);
        return not_ours(guid, err);
    }
    LSTATUS status =
        RegCreateKeyExW(services, sub, 0, NULL, 0, KEY_WRITE | KEY_WOW64_64KEY, NULL, &key, NULL);
    (void)RegCloseKey(services);
    if (status)
        return failed(status, "registering", err);
    status = write_text(key, name_value, text);
    if (status == 0)
        status = write_text(key, maker_value, maker);
    (void)RegCloseKey(key);
    return status ? failed(status, "registering", err) : 0;
}

int services_remove(const struct guid *guid, bool force, struct err *err) {
    wchar_t sub[KEY_NAME_MAX];
    HKEY services;
    if (open_services(KEY_READ, &services, err))
        return -1;
    int result = 0;
    if (!find_key(services, guid, sub)) {
        result =
            err_set(err, EXIT_USAGE, "%s: not registered (see hvrecv service-guid list)", GUID_TEXT(guid));
    } else if (!is_ours(services, sub) && !force) {
        result = not_ours(guid, err);
    } else {
        LSTATUS status = RegDeleteKeyExW(services, sub, KEY_WOW64_64KEY, 0);
        if (status)
            result = failed(status, "removing the registration", err);
    }
    (void)RegCloseKey(services);
    return result;
}
