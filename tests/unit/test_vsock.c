/* vsock.c without a single AF_VSOCK socket: what it would ask the system for. */
#include "core/err.h"
#include "transport/vsock.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/time.h>

#include <cmocka.h>

static struct call {
    int fd, level, name;
    socklen_t n;
    uint8_t value[16];
} calls[8];
static size_t call_count;
static int call_result; /* what the recorder answers */

static int record(int fd, int level, int name, const void *value, socklen_t n) {
    assert_true(call_count < sizeof calls / sizeof calls[0]);
    assert_true(n <= sizeof calls[0].value);
    struct call *call = &calls[call_count++];
    *call = (struct call){.fd = fd, .level = level, .name = name, .n = n};
    memcpy(call->value, value, n);
    return call_result;
}

static int fresh(void **state) {
    (void)state;
    memset(calls, 0, sizeof calls);
    call_count = 0;
    call_result = 0;
    return 0;
}

static uint64_t u64_of(const struct call *call) {
    uint64_t v;
    assert_int_equal(call->n, sizeof v);
    memcpy(&v, call->value, sizeof v);
    return v;
}

static int int_of(const struct call *call) {
    int v;
    assert_int_equal(call->n, sizeof v);
    memcpy(&v, call->value, sizeof v);
    return v;
}

static struct sockaddr_vm address_of(const char *text, bool listening) {
    const struct addr_rules rules = {.listening = listening};
    struct addr addr;
    assert_int_equal(addr_parse(text, &rules, &addr, NULL), 0);
    struct sockaddr_vm vm = vsock_address(&addr);
    addr_free(&addr);
    return vm;
}

static void an_address_becomes_family_cid_and_port(void **state) {
    (void)state;
    struct sockaddr_vm vm = address_of("vsock://42:2761", false);
    assert_int_equal(vm.svm_family, AF_VSOCK);
    assert_int_equal(vm.svm_cid, 42);
    assert_int_equal(vm.svm_port, 2761);
    assert_int_equal(vm.svm_reserved1, 0);
}

static void cid_names_stand_for_the_systems_numbers(void **state) {
    (void)state;
    assert_int_equal(address_of("vsock://host:1", false).svm_cid, VMADDR_CID_HOST);
    assert_int_equal(address_of("vsock://local:1", false).svm_cid, VMADDR_CID_LOCAL);
    assert_int_equal(address_of("vsock://any:1", true).svm_cid, VMADDR_CID_ANY);
    assert_int_equal(address_of("vsock://:1", true).svm_cid, VMADDR_CID_ANY);
}

static void the_maximum_is_raised_before_the_size(void **state) {
    (void)state;
    vsock_set_buffers(7, record);
    assert_int_equal(call_count, 4);
    for (size_t i = 0; i < call_count; i++)
        assert_int_equal(calls[i].fd, 7);
    assert_int_equal(calls[0].level, AF_VSOCK);
    assert_int_equal(calls[0].name, SO_VM_SOCKETS_BUFFER_MAX_SIZE);
    assert_int_equal(calls[1].level, AF_VSOCK);
    assert_int_equal(calls[1].name, SO_VM_SOCKETS_BUFFER_SIZE);
    assert_int_equal(u64_of(&calls[0]), u64_of(&calls[1]));
    assert_in_range(u64_of(&calls[1]), 1 << 20, 8 << 20);
}

static void rings_get_a_size_that_fragmented_guests_can_give(void **state) {
    (void)state;
    vsock_set_buffers(7, record);
    assert_int_equal(calls[2].level, SOL_SOCKET);
    assert_int_equal(calls[2].name, SO_SNDBUF);
    assert_int_equal(int_of(&calls[2]), 64 << 10);
    assert_int_equal(calls[3].level, SOL_SOCKET);
    assert_int_equal(calls[3].name, SO_RCVBUF);
    assert_int_equal(int_of(&calls[3]), 64 << 10);
}

static void an_option_that_is_refused_does_not_stop_the_others(void **state) {
    (void)state;
    call_result = -1;
    vsock_set_buffers(7, record);
    assert_int_equal(call_count, 4);
}

static struct timeval timeout_of(int ms) {
    struct timeval tv;
    call_count = 0;
    vsock_set_connect_timeout(9, ms, record);
    assert_int_equal(call_count, 1);
    assert_int_equal(calls[0].level, AF_VSOCK);
    assert_int_equal(calls[0].name, SO_VM_SOCKETS_CONNECT_TIMEOUT);
    assert_int_equal(calls[0].n, sizeof tv);
    memcpy(&tv, calls[0].value, sizeof tv);
    return tv;
}

static void the_connect_timeout_is_passed_in_seconds_and_microseconds(void **state) {
    (void)state;
    struct timeval tv = timeout_of(2500);
    assert_int_equal(tv.tv_sec, 2);
    assert_int_equal(tv.tv_usec, 500000);
    tv = timeout_of(999);
    assert_int_equal(tv.tv_sec, 0);
    assert_int_equal(tv.tv_usec, 999000);
}

static void no_time_left_is_not_the_systems_default(void **state) {
    (void)state;
    struct timeval tv = timeout_of(0);
    assert_int_equal(tv.tv_sec, 0);
    assert_int_equal(tv.tv_usec, 1000);
}

static void without_a_bound_the_timeout_is_left_alone(void **state) {
    (void)state;
    vsock_set_connect_timeout(9, -1, record);
    assert_int_equal(call_count, 0);
}

/* What the system would say: the vsock buffer, then SO_SNDBUF, then SO_RCVBUF. */
static uint64_t system_credit;
static int system_result;

static int tell(int fd, int level, int name, void *value, socklen_t *n) {
    assert_int_equal(fd, 9);
    if (level == AF_VSOCK) {
        assert_int_equal(name, SO_VM_SOCKETS_BUFFER_SIZE);
        assert_int_equal(*n, sizeof system_credit);
        memcpy(value, &system_credit, sizeof system_credit);
    } else {
        assert_int_equal(level, SOL_SOCKET);
        assert_int_equal(*n, sizeof(int));
        *(int *)value = name == SO_SNDBUF ? 128 << 10 : 64 << 10;
        assert_true(name == SO_SNDBUF || name == SO_RCVBUF);
    }
    return system_result;
}

static void what_became_of_the_buffers_is_told(void **state) {
    (void)state;
    char text[128];
    system_result = 0;
    system_credit = 4 << 20;
    vsock_tell_buffers(9, tell, text, sizeof text);
    assert_string_equal(text,
                        "vsock buffer 4.00M of 4.00M; where hv_sock carries it, 128.00K out and 64.00K in");
    system_credit = 256 << 10;
    vsock_tell_buffers(9, tell, text, sizeof text);
    assert_non_null(strstr(text, "vsock buffer 256.00K of 4.00M;"));
}

static void buffers_that_the_system_does_not_tell_are_not_told(void **state) {
    (void)state;
    char text[128] = "old";
    system_result = -1;
    vsock_tell_buffers(9, tell, text, sizeof text);
    assert_string_equal(text, "");
}

static void a_peer_is_its_cid(void **state) {
    (void)state;
    const struct peer_id id = vsock_peer_id(&(struct sockaddr_vm){.svm_cid = 42, .svm_port = 1024});
    assert_int_equal(id.kind, PEER_VSOCK);
    assert_int_equal(id.cid, 42);
}

static void on_hv_sock_a_peer_without_a_cid_is_the_host(void **state) {
    (void)state;
    const struct peer_id id = vsock_peer_id(&(struct sockaddr_vm){.svm_cid = VMADDR_CID_ANY});
    assert_int_equal(id.kind, PEER_VSOCK);
    assert_int_equal(id.cid, VMADDR_CID_HOST);
}

static void ports_are_free_up_to_the_last_but_one(void **state) {
    (void)state;
    assert_int_equal(address_of("vsock://3:4294967294", false).svm_port, 4294967294u);
    assert_int_equal(address_of("vsock://:2147483648", true).svm_port, 2147483648u);
    struct addr addr;
    const struct addr_rules rules = {.listening = false};
    assert_int_equal(addr_parse("vsock://3:4294967295", &rules, &addr, NULL), -1);
    assert_int_equal(addr_parse("vsock://3:0", &rules, &addr, NULL), -1);
}

static void privileged_ports_are_named_as_the_reason(void **state) {
    (void)state;
    assert_non_null(strstr(vsock_advice(EACCES), "below 1024"));
}

static void likely_failures_have_their_own_advice(void **state) {
    (void)state;
    static const int known[] = {ECONNRESET,   ETIMEDOUT,  EAFNOSUPPORT,  ENODEV,
                                EHOSTUNREACH, EADDRINUSE, EADDRNOTAVAIL, EACCES};
    const char *unknown = vsock_advice(EXDEV);
    for (size_t i = 0; i < sizeof known / sizeof known[0]; i++)
        assert_string_not_equal(vsock_advice(known[i]), unknown);
    assert_non_null(strstr(vsock_advice(ECONNRESET), "--listen"));
    assert_non_null(strstr(vsock_advice(ETIMEDOUT), "registered"));
    assert_non_null(strstr(vsock_advice(ENODEV), "modprobe"));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup(an_address_becomes_family_cid_and_port, fresh),
        cmocka_unit_test_setup(cid_names_stand_for_the_systems_numbers, fresh),
        cmocka_unit_test_setup(the_maximum_is_raised_before_the_size, fresh),
        cmocka_unit_test_setup(rings_get_a_size_that_fragmented_guests_can_give, fresh),
        cmocka_unit_test_setup(an_option_that_is_refused_does_not_stop_the_others, fresh),
        cmocka_unit_test_setup(the_connect_timeout_is_passed_in_seconds_and_microseconds, fresh),
        cmocka_unit_test_setup(no_time_left_is_not_the_systems_default, fresh),
        cmocka_unit_test_setup(without_a_bound_the_timeout_is_left_alone, fresh),
        cmocka_unit_test(what_became_of_the_buffers_is_told),
        cmocka_unit_test(buffers_that_the_system_does_not_tell_are_not_told),
        cmocka_unit_test(a_peer_is_its_cid),
        cmocka_unit_test(on_hv_sock_a_peer_without_a_cid_is_the_host),
        cmocka_unit_test(ports_are_free_up_to_the_last_but_one),
        cmocka_unit_test(privileged_ports_are_named_as_the_reason),
        cmocka_unit_test_setup(likely_failures_have_their_own_advice, fresh),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
