/* hyperv:// addresses to the byte, and what errors mean; on every system. */
#include "core/err.h"
#include "transport/hyperv.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#define VM "c1f9a3d2-0b4e-4f60-9a77-5d2e8b6c1034"
#define SERVICE "e3b0c442-98fc-4c14-9afb-f4c8996fb924"
#define ZERO "00000000-0000-0000-0000-000000000000"
#define PORT_2761 "00000ac9-facb-11e6-bd58-64006a7986d3"

enum { DIAL = 0, LISTEN = 1 };

static int parse(int listening, const char *rest, struct addr *ret, struct err *err) {
    const struct addr_rules rules = {.listening = listening};
    *ret = (struct addr){.transport = &hyperv_transport};
    (void)snprintf(ret->text, sizeof ret->text, "hyperv://%s", rest);
    return hyperv_parse_authority(rest, &rules, ret, err);
}

static void every_form_gives_its_vm_and_service(void **state) {
    (void)state;
    static const struct {
        int listening;
        const char *rest, *vm, *service, *lookup, *into, *shown;
    } rows[] = {
        {DIAL, VM ":2761", VM, PORT_2761, "", NULL, NULL},
        {DIAL, "{" VM "}:{" SERVICE "}", VM, SERVICE, "", NULL, NULL},
        {DIAL, "parent:2761", "a42e7cda-d03f-480c-9cc2-a4de20abb878", PORT_2761, "", NULL, NULL},
        {DIAL, "loopback:1", "e0e16197-dd56-4a10-9195-5ee7a155a838", "00000001-facb-11e6-bd58-64006a7986d3",
         "", NULL, NULL},
        {DIAL, "silohost:2147483647", "36bd0c5c-7276-4223-88ba-7d03b654c568",
         "7fffffff-facb-11e6-bd58-64006a7986d3", "", NULL, NULL},
        {LISTEN, "children:2761", "90db8b89-0d35-4f79-8ce9-49ea0ac8b7cd", PORT_2761, "", NULL, NULL},
        {LISTEN, "any:" SERVICE, ZERO, SERVICE, "", NULL, NULL},
        {LISTEN, ":2761", ZERO, PORT_2761, "", NULL, NULL},
        {LISTEN, "parent:2761/", "a42e7cda-d03f-480c-9cc2-a4de20abb878", PORT_2761, "", NULL,
         "hyperv://parent:2761"},
        {LISTEN, VM ":2761", VM, PORT_2761, "", NULL, NULL},
        {DIAL, "wsl:2761", ZERO, PORT_2761, "wsl", NULL, NULL},
        {DIAL, "name:Build box 7:2761", ZERO, PORT_2761, "name:Build box 7", NULL, NULL},
        {DIAL, "name:a:b:2761", ZERO, PORT_2761, "name:a:b", NULL, NULL},
        {DIAL, "name:parent:2761/a/b/", ZERO, PORT_2761, "name:parent", "a/b", "hyperv://name:parent:2761"},
        {DIAL, "parent:" SERVICE "/x", "a42e7cda-d03f-480c-9cc2-a4de20abb878", SERVICE, "", "x",
         "hyperv://parent:" SERVICE},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct addr addr;
        struct err err = {.code = 0};
        if (parse(rows[i].listening, rows[i].rest, &addr, &err))
            fail_msg("%s: %s", rows[i].rest, err.msg);
        assert_string_equal(GUID_TEXT(&addr.vm), rows[i].vm);
        assert_string_equal(GUID_TEXT(&addr.service), rows[i].service);
        assert_string_equal(addr.host, rows[i].lookup);
        assert_int_equal(addr.into != NULL, rows[i].into != NULL);
        if (rows[i].into)
            assert_string_equal(addr.into, rows[i].into);
        if (rows[i].shown)
            assert_string_equal(addr.text, rows[i].shown);
        addr_free(&addr);
    }
}

static void bad_forms_say_what_is_wrong(void **state) {
    (void)state;
    static const struct {
        int listening;
        const char *rest, *says;
    } rows[] = {
        {DIAL, "", "':SERVICE' is missing"},
        {DIAL, "parent", "':SERVICE' is missing"},
        {DIAL, "/a:1", "':SERVICE' is missing"},
        {DIAL, "parent:", "the service is missing"},
        {DIAL, ":2761", "the VM before ':SERVICE' is missing"},
        {DIAL, "parent:0", "1 to 2147483647"},
        {DIAL, "parent:2147483648", "1 to 2147483647"},
        {DIAL, "parent:service", "neither a GUID nor a port"},
        {DIAL, "parent:0xac9", "neither a GUID nor a port"},
        {DIAL, "Parent:2761", "neither a GUID nor parent"},
        {DIAL, "host:2761", "neither a GUID nor parent"},
        {DIAL, "name::2761", "neither a GUID nor parent"},
        {DIAL, "c1f9a3d2-0b4e-4f60-9a77-5d2e8b6c103:2761", "neither a GUID nor parent"},
        {DIAL, "any:2761", "not connected to"},
        {DIAL, ZERO ":2761", "not connected to"},
        {DIAL, "children:2761", "not connected to"},
        {LISTEN, "any:2761/a", "no sub-directory"},
        {DIAL, "parent:2761/../x", "not allowed"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        struct addr addr;
        struct err err = {.code = 0};
        assert_int_equal(parse(rows[i].listening, rows[i].rest, &addr, &err), -1);
        assert_int_equal(err.code, EXIT_USAGE);
        if (strstr(err.msg, rows[i].says) == NULL)
            fail_msg("%s: '%s' does not say '%s'", rows[i].rest, err.msg, rows[i].says);
        addr_free(&addr);
    }
}

static void names_stand_for_their_guids(void **state) {
    (void)state;
    static const char *const names[] = {"any", "children", "loopback", "parent", "silohost"};
    for (size_t i = 0; i < sizeof names / sizeof names[0]; i++) {
        struct addr addr;
        char rest[64];
        (void)snprintf(rest, sizeof rest, "%s:1", names[i]);
        assert_int_equal(parse(LISTEN, rest, &addr, NULL), 0);
        assert_string_equal(hyperv_vm_name(&addr.vm), names[i]);
        addr_free(&addr);
    }
    struct guid vm = {{1}};
    assert_null(hyperv_vm_name(&vm));
}

static void the_socket_address_is_exact_to_the_byte(void **state) {
    (void)state;
    static const uint8_t wanted[36] = {
        34,   0,    0,    0, /* Family, Reserved */
        0xd2, 0xa3, 0xf9, 0xc1, 0x4e, 0x0b, 0x60, 0x4f, 0x9a, 0x77, 0x5d, 0x2e, /* VmId */
        0x8b, 0x6c, 0x10, 0x34, 0xc9, 0x0a, 0x00, 0x00, 0xcb, 0xfa, 0xe6, 0x11, /* ServiceId */
        0xbd, 0x58, 0x64, 0x00, 0x6a, 0x79, 0x86, 0xd3};
    struct addr addr;
    uint8_t got[HYPERV_SOCKADDR_BYTES];
    struct guid vm, service;
    assert_int_equal(parse(DIAL, VM ":2761", &addr, NULL), 0);
    memset(got, 0xEE, sizeof got);
    hyperv_sockaddr(&addr.vm, &addr.service, got);
    assert_memory_equal(got, wanted, sizeof wanted);
    assert_true(hyperv_sockaddr_parse(got, sizeof got, &vm, &service));
    assert_true(guid_equal(&vm, &addr.vm));
    assert_true(guid_equal(&service, &addr.service));
    addr_free(&addr);
}

static void other_socket_addresses_are_refused(void **state) {
    (void)state;
    uint8_t bytes[HYPERV_SOCKADDR_BYTES] = {34};
    struct guid vm = {{7}}, service = {{8}};
    assert_false(hyperv_sockaddr_parse(bytes, sizeof bytes - 1, &vm, &service));
    bytes[0] = 2;
    assert_false(hyperv_sockaddr_parse(bytes, sizeof bytes, &vm, &service));
    bytes[0] = 34;
    bytes[1] = 1;
    assert_false(hyperv_sockaddr_parse(bytes, sizeof bytes, &vm, &service));
    assert_int_equal(vm.b[0], 7);
    assert_int_equal(service.b[0], 8);
}

static void connect_timeouts_stay_within_what_windows_takes(void **state) {
    (void)state;
    assert_int_equal(hyperv_connect_timeout(-1), 300000);
    assert_int_equal(hyperv_connect_timeout(0), 1);
    assert_int_equal(hyperv_connect_timeout(2000), 2000);
    assert_int_equal(hyperv_connect_timeout(300000), 300000);
    assert_int_equal(hyperv_connect_timeout(300001), 300000);
}

static void errors_say_what_to_do(void **state) {
    (void)state;
    static const struct {
        int wsa;
        enum hyperv_step step;
        const char *says;
    } rows[] = {
        {10013, HYPERV_CONNECTING, "administrator"},   {10013, HYPERV_LISTENING, "administrator"},
        {10047, HYPERV_CONNECTING, "Hyper-V feature"}, {10047, HYPERV_LISTENING, "Hyper-V feature"},
        {10048, HYPERV_LISTENING, "in use"},           {10049, HYPERV_CONNECTING, "no such VM"},
        {10049, HYPERV_LISTENING, "listened on"},      {10050, HYPERV_CONNECTING, "start it"},
        {10055, HYPERV_CONNECTING, "fewer streams"},   {10060, HYPERV_CONNECTING, "--listen first"},
        {10060, HYPERV_CONNECTING, "registered"},      {10061, HYPERV_CONNECTING, "--listen first"},
        {10061, HYPERV_CONNECTING, "registered"},      {10061, HYPERV_LISTENING, "socket failed"},
        {10038, HYPERV_CONNECTING, "socket failed"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const char *text = hyperv_advice(rows[i].wsa, rows[i].step);
        if (strstr(text, rows[i].says) == NULL)
            fail_msg("%d: '%s' does not say '%s'", rows[i].wsa, text, rows[i].says);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_form_gives_its_vm_and_service),
        cmocka_unit_test(bad_forms_say_what_is_wrong),
        cmocka_unit_test(names_stand_for_their_guids),
        cmocka_unit_test(the_socket_address_is_exact_to_the_byte),
        cmocka_unit_test(other_socket_addresses_are_refused),
        cmocka_unit_test(connect_timeouts_stay_within_what_windows_takes),
        cmocka_unit_test(errors_say_what_to_do),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
