/* hyperv:// in a Linux guest: the host's services are ports of vsock, everything else says why not. */
#include "core/err.h"
#include "transport/vsock.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static void the_parent_is_the_host_of_vsock(void **state) {
    (void)state;
    static const struct {
        const char *text;
        uint32_t port;
    } rows[] = {
        {"hyperv://parent:2761/a", 2761},
        {"hyperv://parent:00000ac9-facb-11e6-bd58-64006a7986d3/a", 2761},
        {"hyperv://a42e7cda-d03f-480c-9cc2-a4de20abb878:{7FFFFFFF-FACB-11E6-BD58-64006A7986D3}/a",
         0x7FFFFFFF},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const struct addr_rules rules = {.listening = false};
        struct addr hyperv, vsock;
        assert_int_equal(addr_parse(rows[i].text, &rules, &hyperv, NULL), 0);
        assert_int_equal(addr_parse("vsock://host:1", &rules, &vsock, NULL), 0);
        assert_ptr_equal(hyperv.transport, vsock.transport);
        struct sockaddr_vm vm = vsock_address(&hyperv);
        assert_int_equal(vm.svm_cid, VMADDR_CID_HOST);
        assert_int_equal(vm.svm_port, rows[i].port);
        assert_string_equal(hyperv.into, "a");
        addr_free(&hyperv);
        addr_free(&vsock);
    }
}

static void what_linux_cannot_reach_says_what_it_can(void **state) {
    (void)state;
    static const struct {
        bool listening;
        const char *text;
        int code;
        const char *says;
    } rows[] = {
        {false, "hyperv://loopback:2761", EXIT_UNSUPPORTED, "vsock://host:PORT"},
        {false, "hyperv://silohost:2761", EXIT_UNSUPPORTED, "vsock://host:PORT"},
        {false, "hyperv://wsl:2761", EXIT_UNSUPPORTED, "vsock://host:PORT"},
        {false, "hyperv://name:parent:2761", EXIT_UNSUPPORTED, "vsock://host:PORT"},
        {false, "hyperv://c1f9a3d2-0b4e-4f60-9a77-5d2e8b6c1034:2761", EXIT_UNSUPPORTED, "vsock://host:PORT"},
        {false, "hyperv://parent:e3b0c442-98fc-4c14-9afb-f4c8996fb924", EXIT_UNSUPPORTED, "this service"},
        {false, "hyperv://parent:80000000-facb-11e6-bd58-64006a7986d3", EXIT_UNSUPPORTED, "this service"},
        {true, "hyperv://any:2761", EXIT_UNSUPPORTED, "vsock://:PORT"},
        {true, "hyperv://parent:2761", EXIT_UNSUPPORTED, "vsock://:PORT"},
        {false, "hyperv://", EXIT_USAGE, "':SERVICE' is missing (example: hyperv://parent:2761)"},
        {false, "hyperv://any:2761", EXIT_USAGE, "not connected to"},
        {true, "hyperv://nobody:2761", EXIT_USAGE, "neither a GUID"},
    };
    for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
        const struct addr_rules rules = {.listening = rows[i].listening};
        struct addr addr;
        struct err err = {.code = 0};
        assert_int_equal(addr_parse(rows[i].text, &rules, &addr, &err), -1);
        assert_int_equal(err.code, rows[i].code);
        if (strstr(err.msg, rows[i].says) == NULL)
            fail_msg("'%s' does not say '%s'", err.msg, rows[i].says);
    }
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_parent_is_the_host_of_vsock),
        cmocka_unit_test(what_linux_cannot_reach_says_what_it_can),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
