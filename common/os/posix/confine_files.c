/* confine_files.c: landlock. Which files may be opened, made and removed; which TCP ports may be connected to.
 *
 * The numbers are the kernel's (linux/landlock.h), written out because older headers lack the newer ones. A right that a
 * ruleset handles is denied wherever no rule gives it; a kernel knows those up to its ABI version, and is given no more.
 * https://docs.kernel.org/userspace-api/landlock.html
 */
#include "os/os_confine.h"

#include "os/posix/os_posix.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/syscall.h>
#include <unistd.h>

/* The same numbers on all processors, since Linux 5.13. */
enum { CALL_CREATE_RULESET = 444, CALL_ADD_RULE = 445, CALL_RESTRICT_SELF = 446 };
enum { ASK_VERSION = 1, RULE_PATH_BENEATH = 1, RULE_NET_PORT = 2 };

#define FS_EXECUTE (1ull << 0)
#define FS_WRITE_FILE (1ull << 1)
#define FS_READ_FILE (1ull << 2)
#define FS_READ_DIR (1ull << 3)
#define FS_REMOVE_DIR (1ull << 4)
#define FS_REMOVE_FILE (1ull << 5)
#define FS_MAKE_DIR (1ull << 7)
#define FS_MAKE_REG (1ull << 8)
#define FS_MAKE_SYM (1ull << 12)
#define FS_TRUNCATE (1ull << 14)
#define FS_FIRST 0x1fffull /* of version 1, the devices, FIFOs and sockets among them that nobody may make */
#define FS_REFER (1ull << 13)
#define FS_IOCTL_DEV (1ull << 15)
#define NET_BIND_TCP (1ull << 0)
#define NET_CONNECT_TCP (1ull << 1)
#define SCOPE_ABSTRACT_UNIX_SOCKET (1ull << 0)
#define SCOPE_SIGNAL (1ull << 1)

struct ruleset {
    uint64_t fs, net, scoped;
};
struct path_rule {
    uint64_t access;
    int32_t at;
} __attribute__((packed));
struct port_rule {
    uint64_t access, port;
};

static const uint64_t rights_of[] = {
    [OS_REACH_READ] = FS_READ_FILE | FS_READ_DIR,
    [OS_REACH_WRITE] = FS_READ_FILE | FS_READ_DIR | FS_WRITE_FILE | FS_TRUNCATE | FS_REMOVE_FILE |
                       FS_REMOVE_DIR | FS_MAKE_DIR | FS_MAKE_REG | FS_MAKE_SYM | FS_REFER,
    [OS_REACH_REMOVE] = FS_REMOVE_FILE,
};
#define RIGHTS_OF_A_FILE (FS_READ_FILE | FS_WRITE_FILE | FS_TRUNCATE)

/* Everything that this version knows. A child outside of the fence must stay in reach of a signal. */
static struct ruleset handled_by(long version, const struct os_confinement *keep) {
    struct ruleset all = {.fs = FS_FIRST};
    if (version >= 2)
        all.fs |= FS_REFER;
    if (version >= 3)
        all.fs |= FS_TRUNCATE;
    if (version >= 4)
        all.net = NET_BIND_TCP | NET_CONNECT_TCP;
    if (version >= 5)
        all.fs |= FS_IOCTL_DEV;
    if (version >= 6)
        all.scoped = SCOPE_ABSTRACT_UNIX_SOCKET | (keep->child ? 0 : SCOPE_SIGNAL);
    return all;
}

/* A kernel refuses structs that are longer than its own, unless the rest is zero: this says the right length. */
static size_t size_for(long version) {
    return version >= 6 ? 24 : version >= 4 ? 16 : 8;
}

/* What is neither file nor directory needs no right to be looked at. 0 or an errno value. */
static int allow_path(int rules, uint64_t handled, const struct os_reach *reach) {
    struct stat st;
    int own = reach->name[0] ? openat(reach->at.fd, reach->name, O_PATH | O_NOFOLLOW | O_CLOEXEC) : -1;
    int at = reach->name[0] ? own : reach->at.fd;
    int sys = at < 0 || fstat(at, &st) != 0 ? errno : 0;
    if (sys == 0 && (S_ISDIR(st.st_mode) || S_ISREG(st.st_mode))) {
        struct path_rule rule = {.access = rights_of[reach->kind] & handled, .at = at};
        if (!S_ISDIR(st.st_mode))
            rule.access &= RIGHTS_OF_A_FILE;
        sys = syscall(CALL_ADD_RULE, rules, RULE_PATH_BENEATH, &rule, 0) != 0 ? errno : 0;
    }
    if (own >= 0)
        (void)close(own);
    return sys;
}

/* What is gone by now stays out of reach, and is found missing when it is looked for. 0 or an errno value. */
static int add_rules(int rules, const struct ruleset *handled, const struct os_confinement *keep) {
    for (size_t i = 0; i < keep->reach_count; i++) {
        int sys = allow_path(rules, handled->fs, &keep->reach[i]);
        if (sys != 0 && sys != ENOENT)
            return sys;
    }
    for (size_t i = 0; i < keep->tcp_port_count && handled->net; i++) {
        struct port_rule port = {.access = NET_CONNECT_TCP, .port = keep->tcp_ports[i]};
        if (syscall(CALL_ADD_RULE, rules, RULE_NET_PORT, &port, 0) != 0)
            return errno;
    }
    return 0;
}

void confine_files(const struct os_confinement *keep, char *ret) {
    long version = syscall(CALL_CREATE_RULESET, NULL, 0, ASK_VERSION);
    if (version < 1) {
        (void)snprintf(ret, OS_CONFINED_MAX, "not confined: %s",
                       errno == EOPNOTSUPP
                           ? "landlock is switched off in this kernel (boot it with lsm=landlock,...)"
                           : "this kernel has no landlock (Linux 5.13 and later may)");
        return;
    }
    struct ruleset handled = handled_by(version, keep);
    int rules = (int)syscall(CALL_CREATE_RULESET, &handled, size_for(version), 0);
    int sys = rules < 0 ? errno : add_rules(rules, &handled, keep);
    if (sys == 0 && syscall(CALL_RESTRICT_SELF, rules, 0) != 0)
        sys = errno;
    if (rules >= 0)
        (void)close(rules);
    if (sys != 0)
        (void)snprintf(ret, OS_CONFINED_MAX, "not confined: landlock failed with error %d", sys);
    else
        (void)snprintf(ret, OS_CONFINED_MAX, "confined by landlock, version %ld%s", version,
                       version < 3 ? " (truncating is not, before Linux 6.2)" : "");
}
