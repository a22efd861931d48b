#include "program/doctor_linux.h"

#include "core/text.h"
#include "transport/vsock_local.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <unistd.h>

#define CID_NONE UINT32_MAX /* VMADDR_CID_ANY: no transport has given one */
enum { CID_LOCAL = 1, CID_HOST = 2 };

/* ---- Facts ---- */

/* The first line of a file of the kernel's; "" when there is none. */
static void read_line(const char *path, char *to, size_t size) {
    FILE *file = fopen(path, "re");
    to[0] = '\0';
    if (file == NULL)
        return;
    if (fgets(to, (int)size, file))
        to[strcspn(to, "\n")] = '\0';
    (void)fclose(file);
}

static unsigned long read_number(const char *path) {
    char line[32];
    uint64_t n = 0;
    read_line(path, line, sizeof line);
    return parse_number(line, 0, UINT32_MAX, &n, NULL) == 0 ? (unsigned long)n : 0;
}

static void read_cpu(struct machine *m) {
    char line[4096];
    FILE *file = fopen("/proc/cpuinfo", "re");
    while (file && fgets(line, sizeof line, file)) {
        m->virtual_cpu |= strncmp(line, "flags", 5) == 0 && strstr(line, " hypervisor") != NULL;
        m->user_mode |= strstr(line, "User Mode Linux") != NULL;
    }
    if (file)
        (void)fclose(file);
}

void machine_look(struct machine *ret) {
    struct machine m = {.cid = CID_NONE};
    struct utsname name;
    if (uname(&name) == 0)
        (void)snprintf(m.kernel, sizeof m.kernel, "%s", name.release);
    read_line("/proc/version", m.version, sizeof m.version);
    read_line("/sys/class/dmi/id/sys_vendor", m.vendor, sizeof m.vendor);
    read_line("/sys/class/dmi/id/product_name", m.product, sizeof m.product);
    read_line("/sys/hypervisor/type", m.hypervisor, sizeof m.hypervisor);
    read_cpu(&m);
    m.vsock = vsock_parts();
    m.cid_error = vsock_local_cid(&m.cid);
    m.send_most = read_number("/proc/sys/net/core/wmem_max");
    m.receive_most = read_number("/proc/sys/net/core/rmem_max");
    m.systemd = access("/run/systemd/system", F_OK) == 0;
    *ret = m;
}

/* ---- Judgement ---- */

enum machine_kind machine_kind(const struct machine *m) {
    if (m->user_mode)
        return MACHINE_UML;
    if (strcasestr(m->version, "microsoft") && strcasestr(m->version, "wsl"))
        return MACHINE_WSL;
    if (strcmp(m->vendor, "Microsoft Corporation") == 0 && strcmp(m->product, "Virtual Machine") == 0)
        return MACHINE_HYPERV;
    if (strcasestr(m->vendor, "vmware"))
        return MACHINE_VMWARE;
    if (strcasestr(m->vendor, "qemu") || strcasestr(m->product, "kvm") ||
        strcasestr(m->vendor, "cloud hypervisor") || strcasestr(m->vendor, "google") ||
        strcasestr(m->vendor, "amazon"))
        return m->virtual_cpu ? MACHINE_KVM : MACHINE_REAL;
    if (m->virtual_cpu)
        return m->vendor[0] || m->hypervisor[0] ? MACHINE_OTHER : MACHINE_MICROVM;
    return m->hypervisor[0] ? MACHINE_OTHER : MACHINE_REAL;
}

static const struct {
    const char *text;
    const char *load; /* what brings vsock to it */
} kinds[] = {
    [MACHINE_REAL] = {"no guest, as far as is known", "modprobe vhost_vsock"},
    [MACHINE_HYPERV] = {"guest of Hyper-V", "modprobe hv_sock"},
    [MACHINE_WSL] = {"WSL", "modprobe hv_sock"},
    [MACHINE_KVM] = {"guest of KVM",
                     "modprobe vmw_vsock_virtio_transport; the VM needs a device, too (QEMU: -device "
                     "vhost-vsock-pci,guest-cid=3)"},
    [MACHINE_MICROVM] =
        {"guest of a small monitor (Firecracker or the like)",
         "modprobe vmw_vsock_virtio_transport; the VM needs a device, too (Firecracker: PUT /vsock)"},
    [MACHINE_VMWARE] = {"guest of VMware", "modprobe vmw_vsock_vmci_transport"},
    [MACHINE_UML] = {"user-mode Linux",
                     "modprobe vsock_loopback, or vmw_vsock_virtio_transport with a device"},
    [MACHINE_OTHER] = {"guest of a hypervisor", "modprobe vmw_vsock_virtio_transport"},
};

static void judge_system(struct findings *f, const struct machine *m) {
    const char *gap = m->vendor[0] || m->product[0] ? ": " : "";
    found_ok(f, "system", "Linux %s, %s%s%s%s%s", ESCAPED(m->kernel), kinds[machine_kind(m)].text, gap,
             ESCAPED(m->vendor), m->vendor[0] && m->product[0] ? " " : "", ESCAPED(m->product));
}

static void judge_vsock(struct findings *f, const struct machine *m) {
    const char *load = kinds[machine_kind(m)].load;
    if (!(m->vsock & VSOCK_CORE)) {
        found_warning(f, "vsock", "the kernel has not loaded it");
        found_remedy(f, "%s", load);
    } else if (m->cid_error) {
        found_warning(f, "vsock", "loaded; this machine's CID cannot be asked for at /dev/vsock (%s)",
                      strerror(m->cid_error));
        if (m->cid_error == EACCES)
            found_remedy(f, "run it as root to see the CID");
    } else if (m->cid == CID_NONE) {
        found_warning(f, "vsock", "loaded, but without a CID: nothing carries it to another machine");
        found_remedy(f, "%s", load);
    } else {
        found_ok(f, "vsock", "loaded; this machine's CID is %u%s", m->cid,
                 m->cid == CID_HOST    ? " (a host)"
                 : m->cid == CID_LOCAL ? " (itself alone)"
                                       : "");
    }
}

static void judge_carriers(struct findings *f, const struct machine *m) {
    static const struct {
        enum vsock_part part;
        const char *leads;
    } carriers[] = {
        {VSOCK_VIRTIO, "to the host"}, {VSOCK_HYPERV, "to the Hyper-V host"}, {VSOCK_VHOST, "to guests"},
        {VSOCK_VMCI, "VMware"},        {VSOCK_LOOPBACK, "to CID local"},
    };
    char text[512] = "";
    size_t used = 0;
    for (size_t i = 0; i < sizeof carriers / sizeof carriers[0]; i++)
        if (m->vsock & carriers[i].part)
            used += (size_t)snprintf(text + used, sizeof text - used, "%s%s (%s)", used ? ", " : "",
                                     vsock_part_module(carriers[i].part), carriers[i].leads);
    if (used)
        found_ok(f, "carried by", "%s", text);
    else if (m->vsock & VSOCK_CORE)
        found_warning(f, "carried by", "nothing: no transport is loaded below vsock");
}

static void judge_buffers(struct findings *f, const struct machine *m) {
    if (m->send_most && m->receive_most)
        found_ok(f, "buffers", "at most %s out and %s in for sockets of unix and hv_sock; vsock sets its own",
                 SIZE_TEXT(m->send_most, true), SIZE_TEXT(m->receive_most, true));
}

void judge_machine(struct findings *f, const struct machine *m) {
    judge_system(f, m);
    judge_vsock(f, m);
    judge_carriers(f, m);
    judge_buffers(f, m);
    found_ok(f, "systemd", "%s", m->systemd ? "runs this machine" : "does not run this machine");
}

/* The parts of the kernel of which one has to be there, and the command for the likeliest. */
static void need_one(struct findings *f, const struct machine *m, unsigned parts, const char *lack,
                     const char *remedy) {
    if (m->vsock & parts)
        return;
    found_warning(f, "route", "%s", lack);
    found_remedy(f, "%s", remedy);
}

void judge_vsock_route(struct findings *f, const struct machine *m, uint32_t cid, bool listening) {
    unsigned to_host = VSOCK_VIRTIO | VSOCK_HYPERV | VSOCK_VMCI, to_guest = VSOCK_VHOST | VSOCK_VMCI;
    const char *load = kinds[machine_kind(m)].load;
    bool own = m->cid_error == 0 && m->cid != CID_NONE && cid == m->cid;
    if (listening)
        need_one(f, m, to_host | to_guest | VSOCK_LOOPBACK, "nobody can connect: nothing carries vsock here",
                 load);
    else if (cid == CID_LOCAL || own)
        need_one(f, m, VSOCK_LOOPBACK, "this machine cannot reach itself by vsock",
                 "modprobe vsock_loopback");
    else if (cid == CID_HOST)
        need_one(f, m, to_host,
                 m->vsock & VSOCK_LOOPBACK
                     ? "nothing leads to a host from here: its CID stands for this machine itself"
                     : "nothing leads to a host from here: this is no guest, or it has no vsock device",
                 load);
    else
        need_one(f, m, to_guest, "nothing leads to guests from here; that is what their host has",
                 "on their host: modprobe vhost_vsock; a guest reaches its host as vsock://host:PORT");
}

/* ---- What doctor.h asks for ---- */

/* There is no socket for doctor: what counts is why not. */
static void look_at_systemd(struct findings *f) {
    const struct addr_rules rules = {.listening = true};
    struct addr addr;
    struct err err = {0};
    if (addr_parse("systemd:", &rules, &addr, &err) == 0)
        addr_free(&addr);
    found_ok(f, "activation", "%s",
             err.code == EXIT_UNSUPPORTED
                 ? "no socket activation: this program was built without libsystemd"
                 : "--listen systemd: takes the socket of a unit (hvrecv@vsock.socket)");
}

void doctor_machine(struct findings *f) {
    struct machine m;
    machine_look(&m);
    judge_machine(f, &m);
    look_at_systemd(f);
}

/* A path that is there and is no socket: connecting would only say "refused". */
static void judge_socket_file(struct findings *f, const char *path) {
    struct stat st;
    if (stat(path, &st) == 0 && !S_ISSOCK(st.st_mode)) {
        found_failure(f, EXIT_SOCKET, "route", "%s is there and is no socket", ESCAPED(path));
        found_remedy(f, "correct the path");
    }
}

void doctor_route(struct findings *f, const struct addr *addr, bool listening) {
    const char *scheme = addr_scheme(addr);
    struct machine m;
    if (strcmp(scheme, "vsock") == 0) {
        machine_look(&m);
        judge_vsock_route(f, &m, addr->cid, listening);
    } else if (addr->path[0] && !(listening && strcmp(scheme, "vsock-mux") == 0)) {
        judge_socket_file(f, addr->path);
    }
}
