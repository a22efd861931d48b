#include "os/os.h"

#include <errno.h>
#include <process.h>
#include <stdlib.h>
#include <windows.h>

/* As on POSIX: no function of ours puts more than 33 KiB on a stack. */
enum { THREAD_STACK_BYTES = 256 * 1024 };

/* os_types.h knows them as pointers. */
_Static_assert(sizeof(SRWLOCK) == sizeof(void *), "SRWLOCK is one pointer");
_Static_assert(sizeof(CONDITION_VARIABLE) == sizeof(void *), "CONDITION_VARIABLE is one pointer");

static PSRWLOCK srw_of(struct os_mutex *m) {
    return (PSRWLOCK)(void *)&m->srw;
}
static PCONDITION_VARIABLE cv_of(struct os_cond *c) {
    return (PCONDITION_VARIABLE)(void *)&c->cv;
}

void os_mutex_init(struct os_mutex *m) {
    InitializeSRWLock(srw_of(m));
}
void os_mutex_free(struct os_mutex *m) {
    (void)m; /* holds nothing */
}
void os_lock(struct os_mutex *m) {
    AcquireSRWLockExclusive(srw_of(m));
}
void os_unlock(struct os_mutex *m) {
    ReleaseSRWLockExclusive(srw_of(m));
}

void os_cond_init(struct os_cond *c) {
    InitializeConditionVariable(cv_of(c));
}
void os_cond_free(struct os_cond *c) {
    (void)c;
}
void os_cond_signal(struct os_cond *c) {
    WakeConditionVariable(cv_of(c));
}
void os_cond_broadcast(struct os_cond *c) {
    WakeAllConditionVariable(cv_of(c));
}
void os_cond_wait(struct os_cond *c, struct os_mutex *m) {
    (void)SleepConditionVariableSRW(cv_of(c), srw_of(m), INFINITE, 0);
}

bool os_cond_wait_until(struct os_cond *c, struct os_mutex *m, int64_t deadline_ms) {
    int64_t left = deadline_ms - os_now_ms();
    if (left <= 0)
        return false;
    DWORD ms = left < INT32_MAX ? (DWORD)left
                                : INT32_MAX; /* a wait that ends early is one more turn of the caller */
    return SleepConditionVariableSRW(cv_of(c), srw_of(m), ms, 0) || left > INT32_MAX;
}

struct start {
    void *(*fn)(void *);
    void *arg;
};

static unsigned __stdcall thread_main(void *arg) {
    struct start start = *(struct start *)arg;
    free(arg);
    (void)start.fn(start.arg);
    return 0;
}

int os_thread_start(struct os_thread *ret, const char *name, void *(*fn)(void *), void *arg,
                    struct err *err) {
    struct start *start = malloc(sizeof *start);
    if (start == NULL)
        return err_sys(err, EXIT_MEMORY, ENOMEM, "cannot start the %s thread", name);
    *start = (struct start){.fn = fn, .arg = arg};
    uintptr_t handle =
        _beginthreadex(NULL, THREAD_STACK_BYTES, thread_main, start, STACK_SIZE_PARAM_IS_A_RESERVATION, NULL);
    if (handle == 0) {
        int sys = errno;
        free(start);
        return err_sys(err, EXIT_MEMORY, sys, "cannot start the %s thread", name);
    }
    ret->handle = (void *)handle;
    return 0;
}

void os_thread_join(struct os_thread *t) {
    (void)WaitForSingleObject(t->handle, INFINITE);
    (void)CloseHandle(t->handle);
}
