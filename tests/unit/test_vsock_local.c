/* What the list of modules says about vsock. */
#include "transport/vsock_local.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static void a_guest_of_kvm_has_virtio(void **state) {
    (void)state;
    static const char text[] =
        "vmw_vsock_virtio_transport 20480 0 - Live 0xffffffffc0a10000\n"
        "vmw_vsock_virtio_transport_common 53248 1 vmw_vsock_virtio_transport, Live 0x0000000000000000\n"
        "vsock 61440 2 vmw_vsock_virtio_transport,vmw_vsock_virtio_transport_common, Live 0x0\n"
        "ext4 1118208 1 - Live 0x0\n";
    assert_int_equal(vsock_parts_in(text), VSOCK_CORE | VSOCK_VIRTIO);
}

static void a_host_of_kvm_has_vhost_and_may_have_loopback(void **state) {
    (void)state;
    static const char text[] = "vhost_vsock 24576 0 - Live 0x0\nvsock_loopback 16384 0 - Live 0x0\n"
                               "vsock 61440 4 vhost_vsock,vsock_loopback, Live 0x0";
    assert_int_equal(vsock_parts_in(text), VSOCK_CORE | VSOCK_VHOST | VSOCK_LOOPBACK);
}

static void guests_of_hyperv_and_vmware_have_their_own(void **state) {
    (void)state;
    assert_int_equal(vsock_parts_in("hv_sock 24576 0 - Live 0x0 (E)\n"), VSOCK_HYPERV);
    assert_int_equal(vsock_parts_in("vmw_vsock_vmci_transport 36864 1 - Live 0x0\n"), VSOCK_VMCI);
}

static void what_is_not_live_or_only_similar_does_not_count(void **state) {
    (void)state;
    assert_int_equal(vsock_parts_in("vsock 61440 2 - Loading 0x0\nhv_sock 1 0 - Unloading 0x0\n"), 0);
    assert_int_equal(vsock_parts_in("vsock_diag 16384 0 - Live 0x0\nxvsock 1 0 - Live 0x0\n"), 0);
    assert_int_equal(vsock_parts_in("ext4 1 1 vsock,vhost_vsock, Live 0x0\n"), 0);
}

static void text_in_no_form_at_all_means_nothing(void **state) {
    (void)state;
    char longest[4096];
    memset(longest, 'x', sizeof longest - 1);
    longest[sizeof longest - 1] = '\0';
    assert_int_equal(vsock_parts_in(""), 0);
    assert_int_equal(vsock_parts_in("\n\n\n"), 0);
    assert_int_equal(vsock_parts_in("vsock"), 0);
    assert_int_equal(vsock_parts_in("vsock 1 2"), 0);
    assert_int_equal(vsock_parts_in(longest), 0);
}

static void each_part_has_a_module_to_load(void **state) {
    (void)state;
    assert_string_equal(vsock_part_module(VSOCK_CORE), "vsock");
    assert_string_equal(vsock_part_module(VSOCK_VMCI), "vmw_vsock_vmci_transport");
    assert_string_equal(vsock_part_module(VSOCK_HYPERV), "hv_sock");
    assert_string_equal(vsock_part_module((enum vsock_part)64), "");
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_guest_of_kvm_has_virtio),
        cmocka_unit_test(a_host_of_kvm_has_vhost_and_may_have_loopback),
        cmocka_unit_test(guests_of_hyperv_and_vmware_have_their_own),
        cmocka_unit_test(what_is_not_live_or_only_similar_does_not_count),
        cmocka_unit_test(text_in_no_form_at_all_means_nothing),
        cmocka_unit_test(each_part_has_a_module_to_load),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
