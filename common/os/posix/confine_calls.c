/* confine_calls.c: the seccomp filter. Which system calls are left.
 *
 * The table below becomes a program of classic BPF, row by row. Three answers: what a transfer needs is allowed, in part
 * under conditions on arguments; what nobody but an intruder would call ends the process (SIGSYS); all else fails with
 * ENOSYS, which a C library that tries something new takes for an old kernel. The filter cannot follow pointers: paths are
 * landlock's, and addresses of sockets nobody's.
 */
#include "os/os_confine.h"

#include "os/posix/os_posix.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/audit.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <sched.h>
#include <stddef.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

/* The numbers of calls are each processor's own; the halves of arguments are looked for in this order of bytes. */
#if defined(__x86_64__) && !defined(__ILP32__)
#define OUR_ARCH AUDIT_ARCH_X86_64
#elif defined(__aarch64__) && defined(__AARCH64EL__)
#define OUR_ARCH AUDIT_ARCH_AARCH64
#else
#define OUR_ARCH 0
#endif

#define ALLOW SECCOMP_RET_ALLOW
#define KILL SECCOMP_RET_KILL_PROCESS
#define REFUSE (SECCOMP_RET_ERRNO | ENOSYS)
#define ANY_BIT UINT32_MAX
enum { STREAM = 1, TYPE_BITS = 0xf }; /* SOCK_STREAM, and what a type is without its flags */
#define FAST_OPEN 0x20000000u /* MSG_FASTOPEN: sending would connect */

/* The lower half of argument `arg` under `mask` is `value`; of UPPER(arg), its upper half, which counts where the argument is a
 * pointer or may be longer than 32 bits. mask 0: no condition. */
struct condition {
    unsigned arg;
    uint32_t mask, value;
};
#define UPPER(arg) (ARGUMENTS + (arg))

enum { ARGUMENTS = 6, CONDITIONS = 3, STEPS_A_ROW = 3 * CONDITIONS + 3 };

struct row {
    long call;
    uint32_t answer;
    struct condition when[CONDITIONS]; /* else the next rows have their say */
};

/* Those that are called most come first: kernels before 5.11 walk through the table at each call. */
static const struct row rows[] = {
    /* streams and files */
    {SYS_futex, ALLOW, {{0}}},
    {SYS_recvfrom, ALLOW, {{0}}},
    {SYS_sendmsg, ALLOW, {{2, FAST_OPEN, 0}}},
    {SYS_pwrite64, ALLOW, {{0}}},
    {SYS_pread64, ALLOW, {{0}}},
    {SYS_read, ALLOW, {{0}}},
    {SYS_write, ALLOW, {{0}}},
    {SYS_readv, ALLOW, {{0}}},
    {SYS_writev, ALLOW, {{0}}},
    {SYS_ppoll, ALLOW, {{0}}},
#ifdef SYS_poll
    {SYS_poll, ALLOW, {{0}}},
#endif
    {SYS_openat2, ALLOW, {{0}}},
    {SYS_openat, ALLOW, {{3, ~0777u, 0}}},
    {SYS_close, ALLOW, {{0}}},
    {SYS_close_range, ALLOW, {{2, ANY_BIT, 0}}},
    {SYS_newfstatat, ALLOW, {{0}}},
    {SYS_fstat, ALLOW, {{0}}},
    {SYS_statx, ALLOW, {{0}}},
    {SYS_renameat, ALLOW, {{0}}},
    {SYS_renameat2, ALLOW, {{4, ~(uint32_t)RENAME_NOREPLACE, 0}}}, /* RENAME_WHITEOUT makes a device */
    {SYS_utimensat, ALLOW, {{0}}},
    {SYS_fchmod, ALLOW, {{1, ~01777u, 0}}}, /* no set-id bits */
    {SYS_fchown, ALLOW, {{0}}},
    {SYS_fchownat, ALLOW, {{0}}},
    {SYS_mkdirat, ALLOW, {{2, ~0777u, 0}}},
    {SYS_unlinkat, ALLOW, {{0}}},
    {SYS_symlinkat, ALLOW, {{0}}},
    {SYS_readlinkat, ALLOW, {{0}}},
    {SYS_getdents64, ALLOW, {{0}}},
    {SYS_lseek, ALLOW, {{0}}},
    {SYS_ftruncate, ALLOW, {{0}}},
    {SYS_fallocate, ALLOW, {{0}}},
    {SYS_copy_file_range, ALLOW, {{0}}},
    {SYS_fadvise64, ALLOW, {{0}}},
    {SYS_fsync, ALLOW, {{0}}},
    {SYS_fdatasync, ALLOW, {{0}}},
#ifdef SYS_sync_file_range
    {SYS_sync_file_range, ALLOW, {{0}}},
#else
    {SYS_sync_file_range2, ALLOW, {{0}}}, /* the same, where the order of arguments matters */
#endif
    {SYS_syncfs, ALLOW, {{0}}},
    {SYS_fstatfs, ALLOW, {{0}}},
    /* locks, and flags but that of a signal at each byte that comes: a signal to whom F_SETOWN would have named */
    {SYS_fcntl, ALLOW, {{1, ANY_BIT, F_OFD_SETLK}}},
    {SYS_fcntl, ALLOW, {{1, ANY_BIT, F_OFD_GETLK}}},
    {SYS_fcntl, ALLOW, {{1, ANY_BIT, F_GETFL}}},
    {SYS_fcntl, ALLOW, {{1, ANY_BIT, F_SETFL}, {2, O_ASYNC, 0}}},
    {SYS_fcntl, ALLOW, {{1, ANY_BIT, F_DUPFD_CLOEXEC}}},
    {SYS_fcntl, ALLOW, {{1, ANY_BIT, F_GETFD}}},
    {SYS_fcntl, ALLOW, {{1, ANY_BIT, F_SETFD}}},
    {SYS_ioctl, ALLOW, {{1, ANY_BIT, TCGETS}}},
    {SYS_ioctl, ALLOW, {{1, ANY_BIT, TIOCGWINSZ}}},
    /* sockets that are there, and those that they accept */
    {SYS_accept4, ALLOW, {{0}}},
    {SYS_eventfd2, ALLOW, {{0}}},
    {SYS_shutdown, ALLOW, {{0}}},
    {SYS_getsockopt, ALLOW, {{0}}},
    {SYS_setsockopt, ALLOW, {{0}}},
    {SYS_getsockname, ALLOW, {{0}}},
    {SYS_getpeername, ALLOW, {{0}}},
    /* memory, of which none becomes a program; what a file gets through shared memory keeps its set-id bits */
    {SYS_mmap, ALLOW, {{2, PROT_EXEC, 0}, {3, MAP_SHARED, 0}}},
    {SYS_mprotect, ALLOW, {{2, PROT_EXEC, 0}}},
    {SYS_munmap, ALLOW, {{0}}},
    {SYS_mremap, ALLOW, {{0}}},
    {SYS_madvise, ALLOW, {{0}}},
    {SYS_brk, ALLOW, {{0}}},
    /* threads, but no processes; glibc goes from clone3 to clone when it hears ENOSYS */
    {SYS_clone, ALLOW, {{0, CLONE_THREAD, CLONE_THREAD}}},
    {SYS_set_robust_list, ALLOW, {{0}}},
#ifdef SYS_rseq
    {SYS_rseq, ALLOW, {{0}}},
#endif
    {SYS_sched_getaffinity, ALLOW, {{0}}},
    {SYS_sched_yield, ALLOW, {{0}}},
    {SYS_getcpu, ALLOW, {{0}}},
    {SYS_prctl, ALLOW, {{0, ANY_BIT, PR_SET_NAME}}},
    {SYS_prlimit64, ALLOW, {{2, ANY_BIT, 0}, {UPPER(2), ANY_BIT, 0}}}, /* to look, not to set */
    {SYS_exit, ALLOW, {{0}}},
    {SYS_exit_group, ALLOW, {{0}}},
    {SYS_rt_sigprocmask, ALLOW, {{0}}},
    {SYS_rt_sigaction, ALLOW, {{0}}},
    {SYS_rt_sigtimedwait, ALLOW, {{0}}},
    {SYS_rt_sigreturn, ALLOW, {{0}}},
    {SYS_setitimer, ALLOW, {{0}}},
    {SYS_sigaltstack, ALLOW, {{0}}},
    {SYS_restart_syscall, ALLOW, {{0}}},
    /* time, chance, who we are */
    {SYS_clock_nanosleep, ALLOW, {{0}}},
    {SYS_nanosleep, ALLOW, {{0}}},
    {SYS_clock_gettime, ALLOW, {{0}}},
    {SYS_clock_getres, ALLOW, {{0}}},
    {SYS_gettimeofday, ALLOW, {{0}}},
    {SYS_getrandom, ALLOW, {{0}}},
    {SYS_getpid, ALLOW, {{0}}},
    {SYS_gettid, ALLOW, {{0}}},
    {SYS_getuid, ALLOW, {{0}}},
    {SYS_geteuid, ALLOW, {{0}}},
    {SYS_getgid, ALLOW, {{0}}},
    {SYS_getegid, ALLOW, {{0}}},
    {SYS_uname, ALLOW, {{0}}},
    {SYS_sysinfo, ALLOW, {{0}}},
    /* no library tries these for a start */
    {SYS_execve, KILL, {{0}}},
    {SYS_execveat, KILL, {{0}}},
    {SYS_ptrace, KILL, {{0}}},
    {SYS_process_vm_readv, KILL, {{0}}},
    {SYS_process_vm_writev, KILL, {{0}}},
    {SYS_mknodat, KILL, {{0}}},
    {SYS_mount, KILL, {{0}}},
    {SYS_umount2, KILL, {{0}}},
    {SYS_pivot_root, KILL, {{0}}},
    {SYS_chroot, KILL, {{0}}},
    {SYS_unshare, KILL, {{0}}},
    {SYS_setns, KILL, {{0}}},
    {SYS_init_module, KILL, {{0}}},
    {SYS_finit_module, KILL, {{0}}},
    {SYS_delete_module, KILL, {{0}}},
    {SYS_kexec_load, KILL, {{0}}},
    {SYS_bpf, KILL, {{0}}},
    {SYS_reboot, KILL, {{0}}},
#ifdef SYS_mknod
    {SYS_mknod, KILL, {{0}}},
#endif
};
enum { ROW_COUNT = sizeof rows / sizeof rows[0], ROWS_ADDED_MAX = OS_FAMILIES_MAX + 5 };
enum { STEPS_MAX = (ROW_COUNT + ROWS_ADDED_MAX) * STEPS_A_ROW + 8 };

struct program {
    struct sock_filter steps[STEPS_MAX];
    unsigned short count;
};

static void add(struct program *p, uint16_t code, uint8_t yes, uint8_t no, uint32_t k) {
    p->steps[p->count++] = (struct sock_filter){code, yes, no, k};
}

static void load(struct program *p, size_t offset) {
    add(p, BPF_LD | BPF_W | BPF_ABS, 0, 0, (uint32_t)offset);
}

/* Of half of an argument, in a little-endian struct seccomp_data. */
static size_t offset_of(unsigned arg) {
    return offsetof(struct seccomp_data, args) + 8 * (arg % ARGUMENTS) + (arg < ARGUMENTS ? 0 : 4);
}

/* Entered and left with the number of the call loaded. */
static void add_row(struct program *p, const struct row *row) {
    unsigned conditions = 0;
    while (conditions < CONDITIONS && row->when[conditions].mask)
        conditions++;
    add(p, BPF_JMP | BPF_JEQ | BPF_K, 0, (uint8_t)(3 * conditions + 1 + (conditions > 0)),
        (uint32_t)row->call);
    for (unsigned i = 0; i < conditions; i++) {
        load(p, offset_of(row->when[i].arg));
        add(p, BPF_ALU | BPF_AND | BPF_K, 0, 0, row->when[i].mask);
        add(p, BPF_JMP | BPF_JEQ | BPF_K, 0, (uint8_t)(3 * (conditions - i - 1) + 1), row->when[i].value);
    }
    add(p, BPF_RET | BPF_K, 0, 0, row->answer);
    if (conditions > 0)
        load(p, offsetof(struct seccomp_data, nr));
}

static void add_kept(struct program *p, const struct os_confinement *keep) {
    add_row(p, &(struct row){SYS_tgkill, ALLOW, {{0, ANY_BIT, (uint32_t)getpid()}}}); /* abort() */
    for (int i = 0; i < OS_FAMILIES_MAX; i++)
        if (keep->families[i])
            add_row(p, &(struct row){SYS_socket,
                                     ALLOW,
                                     {{0, ANY_BIT, (uint32_t)keep->families[i]}, {1, TYPE_BITS, STREAM}}});
    if (keep->families[0]) {
        add_row(p, &(struct row){SYS_connect, ALLOW, {{0}}});
        add_row(p, &(struct row){
                       SYS_sendto,
                       ALLOW,
                       {{3, FAST_OPEN, 0}, {4, ANY_BIT, 0}, {UPPER(4), ANY_BIT, 0}}}); /* to no address */
    }
    if (keep->child) {
        add_row(p, &(struct row){SYS_wait4, ALLOW, {{0}}});
        add_row(p, &(struct row){SYS_kill, ALLOW, {{0}}});
    }
}

static void write_program(struct program *p, const struct os_confinement *keep) {
    p->count = 0;
    load(p, offsetof(struct seccomp_data, arch));
    add(p, BPF_JMP | BPF_JEQ | BPF_K, 1, 0, OUR_ARCH);
    add(p, BPF_RET | BPF_K, 0, 0, KILL); /* the calls of another processor's programs have other numbers */
    load(p, offsetof(struct seccomp_data, nr));
    for (int i = 0; i < ROW_COUNT; i++)
        add_row(p, &rows[i]);
    add_kept(p, keep);
    add(p, BPF_RET | BPF_K, 0, 0, REFUSE);
}

/* On all threads. No untrusted code runs beside ours, so nothing is to be paid for keeping it from guessing at our memory
 * (SPEC_ALLOW, Linux 4.17; before 5.16 it is not the default). 0 or an errno value. */
static int install(struct program *p) {
    struct sock_fprog all = {.len = p->count, .filter = p->steps};
    long result = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER,
                          SECCOMP_FILTER_FLAG_TSYNC | SECCOMP_FILTER_FLAG_SPEC_ALLOW, &all);
    if (result < 0 && errno == EINVAL)
        result = syscall(SYS_seccomp, SECCOMP_SET_MODE_FILTER, SECCOMP_FILTER_FLAG_TSYNC, &all);
    return result == 0 ? 0 : result < 0 ? errno : ESRCH;
}

void confine_calls(const struct os_confinement *keep, char *ret) {
    struct program program;
    const char *why = "there is no list of system calls for this processor";
    char failed[64];
    int sys = OUR_ARCH == 0 ? -1 : 0;
    if (sys == 0) {
        write_program(&program, keep);
        sys = install(&program);
        (void)snprintf(failed, sizeof failed, "seccomp failed with error %d", sys);
        why = sys == ENOSYS || sys == EINVAL ? "this kernel has no seccomp filters" : failed;
    }
    if (sys != 0)
        (void)snprintf(ret, OS_CONFINED_MAX, "not confined: %s", why);
    else
        (void)snprintf(ret, OS_CONFINED_MAX, "confined by seccomp%s",
                       keep->families[0] ? "; sockets can be made" : "");
}
