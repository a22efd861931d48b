#include "transport/hyperv.h"

#include <string.h>

/* HV_GUID_* of hvsocket.h, in memory order. `many` stand for several partitions: they can only listen. */
static const struct {
    const char *name;
    bool many;
    struct guid vm;
} vm_names[] = {
    {"any", true, {{0}}},
    {"children",
     true,
     {{0x89, 0x8b, 0xdb, 0x90, 0x35, 0x0d, 0x79, 0x4f, 0x8c, 0xe9, 0x49, 0xea, 0x0a, 0xc8, 0xb7, 0xcd}}},
    {"loopback",
     false,
     {{0x97, 0x61, 0xe1, 0xe0, 0x56, 0xdd, 0x10, 0x4a, 0x91, 0x95, 0x5e, 0xe7, 0xa1, 0x55, 0xa8, 0x38}}},
    {"parent",
     false,
     {{0xda, 0x7c, 0x2e, 0xa4, 0x3f, 0xd0, 0x0c, 0x48, 0x9c, 0xc2, 0xa4, 0xde, 0x20, 0xab, 0xb8, 0x78}}},
    {"silohost",
     false,
     {{0x5c, 0x0c, 0xbd, 0x36, 0x76, 0x72, 0x23, 0x42, 0x88, 0xba, 0x7d, 0x03, 0xb6, 0x54, 0xc5, 0x68}}},
};
enum { VM_NAMES = sizeof vm_names / sizeof vm_names[0] };

static const char lookup_prefix[] = "name:", wsl_name[] = "wsl";

static bool is_word(const char *text, size_t n, const char *word) {
    return n == strlen(word) && memcmp(text, word, n) == 0;
}

static bool is_to_be_looked_up(const char *vm, size_t n) {
    size_t prefix = strlen(lookup_prefix);
    return is_word(vm, n, wsl_name) || (n > prefix && memcmp(vm, lookup_prefix, prefix) == 0);
}

static int parse_vm(const char *vm, size_t n, const struct addr_rules *rules, struct addr *addr,
                    struct err *why) {
    if (n == 0 && !rules->listening)
        return err_set(why, EXIT_USAGE, "the VM before ':SERVICE' is missing");
    if (n >= sizeof addr->host)
        return err_set(why, EXIT_USAGE, "what stands before ':SERVICE' is too long");
    if (is_to_be_looked_up(vm, n)) {
        memcpy(addr->host, vm, n);
        addr->host[n] = '\0';
        return 0;
    }
    if (n == 0 || guid_parse(vm, n, &addr->vm) == 0)
        return 0;
    for (size_t i = 0; i < VM_NAMES; i++)
        if (is_word(vm, n, vm_names[i].name)) {
            addr->vm = vm_names[i].vm;
            return 0;
        }
    return err_set(why, EXIT_USAGE,
                   "the VM is neither a GUID nor parent, children, loopback, any, silohost, wsl or "
                   "name:VMNAME");
}

static int parse_service(const char *service, size_t n, struct addr *addr, struct err *why) {
    if (guid_parse(service, n, &addr->service) == 0)
        return 0;
    if (n == 0)
        return err_set(why, EXIT_USAGE, "the service is missing");
    uint32_t port;
    if (addr_parse_port(service, n, GUID_PORT_MAX, &port, why))
        return err_set(why, EXIT_USAGE, "the service is neither a GUID nor a port from 1 to %d",
                       GUID_PORT_MAX);
    addr->service = guid_of_port(port);
    return 0;
}

/* A partition that can be connected to. */
static int check_one_vm(const struct addr *addr, struct err *why) {
    for (size_t i = 0; i < VM_NAMES; i++)
        if (vm_names[i].many && addr->host[0] == '\0' && guid_equal(&addr->vm, &vm_names[i].vm))
            return err_set(why, EXIT_USAGE, "'%s' can be listened on, but not connected to; name one VM",
                           vm_names[i].name);
    return 0;
}

int hyperv_parse_authority(const char *rest, const struct addr_rules *rules, struct addr *addr,
                           struct err *why) {
    size_t n = strcspn(rest, "/"), vm_n = n;
    addr->no_connected_suspend = rules->no_connected_suspend;
    while (vm_n > 0 && rest[vm_n - 1] != ':')
        vm_n--;
    if (vm_n == 0)
        return err_set(why, EXIT_USAGE, "':SERVICE' is missing");
    if (parse_vm(rest, vm_n - 1, rules, addr, why) || parse_service(rest + vm_n, n - vm_n, addr, why) ||
        (!rules->listening && check_one_vm(addr, why)))
        return -1;
    return addr_end_authority(rest, n, rules, addr, why);
}

const char *hyperv_vm_name(const struct guid *vm) {
    for (size_t i = 0; i < VM_NAMES; i++)
        if (guid_equal(vm, &vm_names[i].vm))
            return vm_names[i].name;
    return NULL;
}

enum { FAMILY_AT = 0, RESERVED_AT = 2, VM_AT = 4, SERVICE_AT = 20 };

void hyperv_sockaddr(const struct guid *vm, const struct guid *service, uint8_t ret[HYPERV_SOCKADDR_BYTES]) {
    put_le16(ret + FAMILY_AT, HYPERV_FAMILY);
    put_le16(ret + RESERVED_AT, 0);
    memcpy(ret + VM_AT, vm->b, sizeof vm->b);
    memcpy(ret + SERVICE_AT, service->b, sizeof service->b);
}

bool hyperv_sockaddr_parse(const uint8_t *from, size_t n, struct guid *ret_vm, struct guid *ret_service) {
    if (n < HYPERV_SOCKADDR_BYTES || le16(from + FAMILY_AT) != HYPERV_FAMILY)
        return false;
    memcpy(ret_vm->b, from + VM_AT, sizeof ret_vm->b);
    memcpy(ret_service->b, from + SERVICE_AT, sizeof ret_service->b);
    return true;
}

uint32_t hyperv_connect_timeout(int timeout_ms) {
    if (timeout_ms < 0 || timeout_ms > HYPERV_CONNECT_TIMEOUT_MAX_MS)
        return HYPERV_CONNECT_TIMEOUT_MAX_MS;
    return timeout_ms > 0 ? (uint32_t)timeout_ms : 1; /* zero would mean the system's own */
}
