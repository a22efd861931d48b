/* What doctor makes of a Linux machine. The facts are invented. */
#include "core/err.h"
#include "program/doctor_linux.h"
#include "transport/vsock_local.h"

#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

static struct findings f;

static const struct machine kvm_guest = {
    .kernel = "6.1.0",
    .version = "Linux version 6.1.0",
    .vendor = "QEMU",
    .product = "Standard PC (Q35 + ICH9, 2009)",
    .virtual_cpu = true,
    .vsock = VSOCK_CORE | VSOCK_VIRTIO,
    .cid = 42,
    .send_most = 212992,
    .receive_most = 212992,
    .systemd = true,
};
static const struct machine host = {
    .kernel = "6.1.0",
    .vendor = "LENOVO",
    .product = "21AH",
    .vsock = VSOCK_CORE | VSOCK_VHOST | VSOCK_LOOPBACK,
    .cid = 2,
};

static void assert_part(const char *text, const char *part) {
    if (strstr(text, part) == NULL)
        fail_msg("'%s' does not say '%s'", text, part);
}

/* The finding of this name among those about `m`. */
static const struct finding *about(const struct machine *m, const char *what) {
    memset(&f, 0, sizeof f);
    judge_machine(&f, m);
    for (unsigned i = 0; i < f.count; i++)
        if (strcmp(f.all[i].what, what) == 0)
            return &f.all[i];
    return NULL;
}

/* The warning about a route, or NULL when there is nothing to say. */
static const struct finding *route(const struct machine *m, uint32_t cid, bool listening) {
    memset(&f, 0, sizeof f);
    judge_vsock_route(&f, m, cid, listening);
    assert_int_equal(findings_code(&f), EXIT_OK); /* the socket itself has the last word */
    return f.count ? &f.all[0] : NULL;
}

static void machines_are_told_apart(void **state) {
    (void)state;
    static const struct {
        struct machine machine;
        enum machine_kind kind;
        const char *says;
    } machines[] = {
        {{.vendor = "LENOVO"}, MACHINE_REAL, "no guest"},
        {{.vendor = "", .product = ""}, MACHINE_REAL, "no guest"},
        {{.vendor = "Microsoft Corporation", .product = "Virtual Machine", .virtual_cpu = true},
         MACHINE_HYPERV,
         "guest of Hyper-V"},
        {{.vendor = "Microsoft Corporation", .product = "Surface Pro"}, MACHINE_REAL, "no guest"},
        {{.version = "Linux version 5.15.153.1-microsoft-standard-WSL2 (root@x)", .virtual_cpu = true},
         MACHINE_WSL,
         "WSL"},
        {{.vendor = "QEMU", .virtual_cpu = true}, MACHINE_KVM, "guest of KVM"},
        {{.vendor = "Cloud Hypervisor", .product = "cloud-hypervisor", .virtual_cpu = true},
         MACHINE_KVM,
         "guest of KVM"},
        {{.vendor = "Amazon EC2", .product = "m5.metal"}, MACHINE_REAL, "no guest"},
        {{.virtual_cpu = true}, MACHINE_MICROVM, "Firecracker"},
        {{.vendor = "VMware, Inc.", .virtual_cpu = true}, MACHINE_VMWARE, "VMware"},
        {{.vendor = "Xen", .hypervisor = "xen", .virtual_cpu = true}, MACHINE_OTHER, "guest of a hypervisor"},
        {{.hypervisor = "xen"}, MACHINE_OTHER, "guest of a hypervisor"},
        {{.user_mode = true}, MACHINE_UML, "user-mode Linux"},
    };
    for (size_t i = 0; i < sizeof machines / sizeof machines[0]; i++) {
        assert_int_equal(machine_kind(&machines[i].machine), machines[i].kind);
        assert_part(about(&machines[i].machine, "system")->detail, machines[i].says);
    }
}

static void a_machine_that_has_all_gets_only_ok(void **state) {
    (void)state;
    about(&kvm_guest, "");
    for (unsigned i = 0; i < f.count; i++)
        assert_int_equal(f.all[i].level, FINDING_OK);
    assert_string_equal(about(&kvm_guest, "system")->detail,
                        "Linux 6.1.0, guest of KVM: QEMU Standard PC (Q35 + ICH9, 2009)");
    assert_string_equal(about(&kvm_guest, "vsock")->detail, "loaded; this machine's CID is 42");
    assert_string_equal(about(&kvm_guest, "carried by")->detail, "vmw_vsock_virtio_transport (to the host)");
    assert_part(about(&kvm_guest, "buffers")->detail, "208.00K out and 208.00K in");
    assert_part(about(&kvm_guest, "systemd")->detail, "runs this machine");
}

static void a_host_is_told_as_one(void **state) {
    (void)state;
    assert_part(about(&host, "vsock")->detail, "CID is 2 (a host)");
    assert_string_equal(about(&host, "carried by")->detail,
                        "vhost_vsock (to guests), vsock_loopback (to CID local)");
    assert_null(about(&host, "buffers")); /* not to be read there */
    assert_part(about(&host, "systemd")->detail, "does not");
}

static void without_the_module_the_remedy_fits_the_machine(void **state) {
    (void)state;
    static const struct {
        struct machine machine;
        const char *load;
    } bare[] = {
        {{.vendor = "LENOVO", .cid_error = ENOENT}, "modprobe vhost_vsock"},
        {{.vendor = "QEMU", .virtual_cpu = true, .cid_error = ENOENT}, "modprobe vmw_vsock_virtio_transport"},
        {{.virtual_cpu = true, .cid_error = ENOENT}, "PUT /vsock"},
        {{.vendor = "Microsoft Corporation", .product = "Virtual Machine", .cid_error = ENOENT},
         "modprobe hv_sock"},
        {{.version = "microsoft WSL2", .cid_error = ENOENT}, "modprobe hv_sock"},
        {{.vendor = "VMware, Inc.", .cid_error = ENOENT}, "modprobe vmw_vsock_vmci_transport"},
        {{.user_mode = true, .cid_error = ENOENT}, "modprobe vsock_loopback"},
    };
    for (size_t i = 0; i < sizeof bare / sizeof bare[0]; i++) {
        const struct finding *found = about(&bare[i].machine, "vsock");
        assert_int_equal(found->level, FINDING_WARN);
        assert_part(found->detail, "has not loaded it");
        assert_part(found->remedy, bare[i].load);
        assert_null(about(&bare[i].machine, "carried by"));
    }
}

static void without_the_device_the_reason_is_told(void **state) {
    (void)state;
    struct machine m = kvm_guest;
    m.cid_error = EACCES;
    assert_int_equal(about(&m, "vsock")->level, FINDING_WARN);
    assert_part(about(&m, "vsock")->detail, "/dev/vsock (Permission denied)");
    assert_part(about(&m, "vsock")->remedy, "as root");
}

static void without_a_transport_there_is_no_cid(void **state) {
    (void)state;
    struct machine m = kvm_guest;
    m.vsock = VSOCK_CORE;
    m.cid = UINT32_MAX;
    assert_part(about(&m, "vsock")->detail, "without a CID");
    assert_part(about(&m, "vsock")->remedy, "modprobe vmw_vsock_virtio_transport");
    assert_int_equal(about(&m, "carried by")->level, FINDING_WARN);
}

static void what_is_missing_never_fails_without_an_address(void **state) {
    (void)state;
    const struct machine nothing = {.cid_error = ENOENT};
    about(&nothing, "");
    assert_int_equal(findings_code(&f), EXIT_OK);
}

static void a_guest_reaches_its_host_and_a_host_its_guests(void **state) {
    (void)state;
    assert_null(route(&kvm_guest, 2, false));
    assert_null(route(&host, 42, false));
    assert_null(route(&kvm_guest, UINT32_MAX, true));
    assert_null(route(&host, UINT32_MAX, true));
}

static void no_route_is_told_with_what_would_make_one(void **state) {
    (void)state;
    struct machine bare = {.vendor = "LENOVO", .cid_error = ENOENT};
    assert_part(route(&bare, 2, false)->detail, "nothing leads to a host");
    assert_part(route(&bare, 3, false)->remedy, "modprobe vhost_vsock");
    assert_part(route(&bare, UINT32_MAX, true)->detail, "nobody can connect");
    bare.vsock = VSOCK_CORE | VSOCK_LOOPBACK;
    assert_part(route(&bare, 2, false)->detail, "stands for this machine itself");
    assert_null(route(&bare, UINT32_MAX, true));
    assert_part(route(&kvm_guest, 43, false)->remedy, "vsock://host:PORT");
    struct machine hyperv = {
        .vendor = "Microsoft Corporation", .product = "Virtual Machine", .cid_error = ENOENT};
    assert_part(route(&hyperv, 2, false)->remedy, "modprobe hv_sock");
}

static void reaching_oneself_takes_the_loopback(void **state) {
    (void)state;
    assert_part(route(&kvm_guest, 1, false)->remedy, "modprobe vsock_loopback");
    assert_part(route(&kvm_guest, 42, false)->remedy, "modprobe vsock_loopback");
    assert_null(route(&host, 1, false));
    assert_null(route(&host, 2, false));
}

static void names_of_the_firmware_are_escaped(void **state) {
    (void)state;
    struct machine m = host;
    memcpy(m.vendor, "bad\033[1m", 8);
    assert_null(strchr(about(&m, "system")->detail, '\033'));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(machines_are_told_apart),
        cmocka_unit_test(a_machine_that_has_all_gets_only_ok),
        cmocka_unit_test(a_host_is_told_as_one),
        cmocka_unit_test(without_the_module_the_remedy_fits_the_machine),
        cmocka_unit_test(without_the_device_the_reason_is_told),
        cmocka_unit_test(without_a_transport_there_is_no_cid),
        cmocka_unit_test(what_is_missing_never_fails_without_an_address),
        cmocka_unit_test(a_guest_reaches_its_host_and_a_host_its_guests),
        cmocka_unit_test(no_route_is_told_with_what_would_make_one),
        cmocka_unit_test(reaching_oneself_takes_the_loopback),
        cmocka_unit_test(names_of_the_firmware_are_escaped),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
