/* sim_thread.c: threads, locks, conditions and the clock of os/os.h. */
#include "sim.h"

#include "os/os.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <ucontext.h>

enum {
    FIBERS_MAX = 256,
    STACK_BYTES = 512 * 1024, /* frames are larger under a sanitizer */
    GUARD_BYTES = 64 * 1024, /* a multiple of any page size */
    TICK_NS = 1000, /* what a look at the clock takes */
};

/* What the sanitizers want to know of other stacks; each has some of these, or none. */
extern void __sanitizer_start_switch_fiber(void **fake, const void *bottom, size_t size)
    __attribute__((weak));
extern void __sanitizer_finish_switch_fiber(void *fake, const void **bottom, size_t *size)
    __attribute__((weak));
extern void __msan_start_switch_fiber(const void *bottom, size_t size) __attribute__((weak));
extern void __msan_finish_switch_fiber(const void **bottom, size_t *size) __attribute__((weak));

struct fiber {
    enum { FIBER_FREE, FIBER_READY, FIBER_WAITS, FIBER_OVER } state;
    bool detached, timed_out;
    const char *name;
    void *(*fn)(void *arg);
    void *arg;
    const void *on; /* FIBER_WAITS */
    int64_t deadline_ms;
    ucontext_t context;
    uint8_t *stack; /* kept for the next one */
    void *fake; /* sanitizer's */
};

static struct {
    struct sim_options opt;
    uint32_t dice;
    int64_t now_ns;
    uint64_t turns;
    struct fiber *current; /* NULL: the scheduler */
    unsigned used; /* fibers beyond were never started */
    ucontext_t scheduler;
    const void *scheduler_stack;
    size_t scheduler_size;
    struct fiber fibers[FIBERS_MAX];
} sim;

/* A lock lies in the bytes of the system's own. */
struct sim_mutex {
    const void *owner;
};
static struct sim_mutex *of(struct os_mutex *m) {
    _Static_assert(sizeof(struct sim_mutex) <= sizeof *m, "a lock fits");
    return (struct sim_mutex *)(void *)m;
}

/* ---- dice ---------------------------------------------------------------------------------------------- */

uint32_t sim_dice(void) {
    sim.dice ^= sim.dice << 13;
    sim.dice ^= sim.dice >> 17;
    sim.dice ^= sim.dice << 5;
    return sim.dice >> 8;
}

void os_random(void *to, size_t n) {
    for (size_t i = 0; i < n; i++)
        ((uint8_t *)to)[i] = (uint8_t)sim_dice();
}

/* ---- turns ---------------------------------------------------------------------------------------------- */

/* On the stack that is left for another one; NULL: it is not come back to. */
static void announce(void **fake, const void *bottom, size_t size) {
    if (__sanitizer_start_switch_fiber)
        __sanitizer_start_switch_fiber(fake, bottom, size);
    if (__msan_start_switch_fiber)
        __msan_start_switch_fiber(bottom, size);
}

static void arrived(void *fake, const void **bottom, size_t *size) {
    if (__sanitizer_finish_switch_fiber)
        __sanitizer_finish_switch_fiber(fake, bottom, size);
    if (__msan_finish_switch_fiber)
        __msan_finish_switch_fiber(bottom, size);
}

static void back_to_scheduler(void) {
    struct fiber *f = sim.current;
    announce(f->state == FIBER_OVER || f->state == FIBER_FREE ? NULL : &f->fake, sim.scheduler_stack,
             sim.scheduler_size);
    (void)swapcontext(&f->context, &sim.scheduler);
    arrived(f->fake, &sim.scheduler_stack, &sim.scheduler_size);
}

static void begin_fiber(void) {
    arrived(NULL, &sim.scheduler_stack, &sim.scheduler_size);
    struct fiber *f = sim.current;
    (void)f->fn(f->arg);
    f->state = f->detached ? FIBER_FREE : FIBER_OVER;
    sim_wake(f);
    back_to_scheduler();
}

static void give_turn(struct fiber *f) {
    void *fake;
    sim.current = f;
    announce(&fake, f->stack, STACK_BYTES);
    (void)swapcontext(&sim.scheduler, &f->context);
    arrived(fake, NULL, NULL);
    sim.current = NULL;
}

static struct fiber *any_ready(void) {
    struct fiber *ready[FIBERS_MAX];
    unsigned n = 0;
    for (unsigned i = 0; i < sim.used; i++)
        if (sim.fibers[i].state == FIBER_READY)
            ready[n++] = &sim.fibers[i];
    return n == 0 ? NULL : ready[sim_dice() % n];
}

/* Time passes until the next deadline. False when there is none. */
static bool pass_time(void) {
    int64_t next = INT64_MAX;
    for (unsigned i = 0; i < sim.used; i++)
        if (sim.fibers[i].state == FIBER_WAITS && sim.fibers[i].deadline_ms < next)
            next = sim.fibers[i].deadline_ms;
    if (next == INT64_MAX)
        return false;
    if (next > os_now_ms())
        sim.now_ns = next * 1000000;
    for (unsigned i = 0; i < sim.used; i++) {
        struct fiber *f = &sim.fibers[i];
        if (f->state == FIBER_WAITS && f->deadline_ms <= next) {
            f->state = FIBER_READY;
            f->timed_out = true;
        }
    }
    return true;
}

static bool all_over(void) {
    for (unsigned i = 0; i < sim.used; i++)
        if (sim.fibers[i].state == FIBER_READY || sim.fibers[i].state == FIBER_WAITS)
            return false;
    return true;
}

static _Noreturn void stuck(const char *why) {
    for (unsigned i = 0; i < sim.used; i++)
        if (sim.fibers[i].state == FIBER_READY || sim.fibers[i].state == FIBER_WAITS)
            fprintf(stderr, "thread %u (%s) %s\n", i, sim.fibers[i].name,
                    sim.fibers[i].state == FIBER_READY ? "runs" : "waits");
    sim_fault(__FILE__, __LINE__, why);
}

void sim_run(void) {
    while (!all_over()) {
        struct fiber *f = any_ready();
        if (f == NULL && !pass_time())
            stuck("all threads wait for ever");
        if (sim.turns++ > sim.opt.turns_max)
            stuck("the threads run for ever");
        if (f)
            give_turn(f);
    }
}

void sim_begin(const struct sim_options *options) {
    sim.opt = *options;
    sim.dice = options->seed * 2654435761u | 1;
    sim.now_ns = (int64_t)1000000 * 1000000;
    sim.turns = 0;
}

void sim_end(void) {
    for (unsigned i = 0; i < sim.used; i++)
        SIM_MUST(sim.fibers[i].state == FIBER_FREE);
    sim.used = 0;
}

/* ---- waiting -------------------------------------------------------------------------------------------- */

bool sim_wait(const void *on, int64_t deadline_ms) {
    struct fiber *f = sim.current;
    SIM_MUST(f != NULL); /* only threads wait */
    f->state = FIBER_WAITS;
    f->on = on;
    f->deadline_ms = deadline_ms;
    f->timed_out = false;
    back_to_scheduler();
    return !f->timed_out;
}

static bool wake_first(const void *on, unsigned from, unsigned to) {
    for (unsigned i = from; i < to; i++)
        if (sim.fibers[i].state == FIBER_WAITS && sim.fibers[i].on == on) {
            sim.fibers[i].state = FIBER_READY;
            return true;
        }
    return false;
}

void sim_wake(const void *on) {
    while (wake_first(on, 0, sim.used))
        ;
}

void sim_preempt(void) {
    if (sim.current && sim.opt.preempt > 0 && sim_dice() % 256 < sim.opt.preempt) {
        sim.current->state = FIBER_READY;
        back_to_scheduler();
    }
}

/* ---- threads -------------------------------------------------------------------------------------------- */

/* The stack is given once; what is on it afterwards is not looked at again. */
static uint8_t *new_stack(void) {
    uint8_t *p = mmap(NULL, GUARD_BYTES + STACK_BYTES, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    SIM_MUST(p != MAP_FAILED && mprotect(p + GUARD_BYTES, STACK_BYTES, PROT_READ | PROT_WRITE) == 0);
    return p + GUARD_BYTES;
}

static struct fiber *start(const char *name, void *(*fn)(void *), void *arg, bool detached) {
    unsigned i = 0;
    while (i < FIBERS_MAX && sim.fibers[i].state != FIBER_FREE)
        i++;
    SIM_MUST(i < FIBERS_MAX);
    struct fiber *f = &sim.fibers[i];
    if (i >= sim.used)
        sim.used = i + 1;
    if (f->stack == NULL)
        f->stack = new_stack();
    f->name = name;
    f->fn = fn;
    f->arg = arg;
    f->detached = detached;
    f->state = FIBER_READY;
    SIM_MUST(getcontext(&f->context) == 0);
    f->context.uc_stack.ss_sp = f->stack;
    f->context.uc_stack.ss_size = STACK_BYTES;
    f->context.uc_link = NULL;
    makecontext(&f->context, begin_fiber, 0);
    f->context.uc_stack.ss_size = 0; /* else a sanitizer forgets all it knows of the stack at each switch */
    return f;
}

struct spawned {
    void (*fn)(void *arg);
    void *arg;
};

static void *run_spawned(void *arg) {
    struct spawned s = *(struct spawned *)arg;
    free(arg);
    s.fn(s.arg);
    return NULL;
}

void sim_spawn(const char *name, void (*fn)(void *arg), void *arg) {
    struct spawned *s = malloc(sizeof *s);
    SIM_MUST(s != NULL);
    *s = (struct spawned){fn, arg};
    (void)start(name, run_spawned, s, true);
}

int os_thread_start(struct os_thread *ret, const char *name, void *(*fn)(void *), void *arg,
                    struct err *err) {
    (void)err;
    ret->t = (pthread_t)(start(name, fn, arg, false) - sim.fibers);
    sim_preempt();
    return 0;
}

void os_thread_join(struct os_thread *t) {
    struct fiber *f = &sim.fibers[t->t];
    SIM_MUST(t->t < sim.used && !f->detached && f->state != FIBER_FREE);
    while (f->state != FIBER_OVER)
        (void)sim_wait(f, INT64_MAX);
    f->state = FIBER_FREE;
}

/* ---- locks and conditions --------------------------------------------------------------------------------- */

static const void *myself(void) {
    return sim.current ? (const void *)sim.current : &sim;
}

void os_mutex_init(struct os_mutex *m) {
    memset(m, 0, sizeof *m);
}
void os_mutex_free(struct os_mutex *m) {
    SIM_MUST(of(m)->owner == NULL);
}

void os_lock(struct os_mutex *m) {
    sim_preempt();
    SIM_MUST(of(m)->owner != myself());
    while (of(m)->owner)
        (void)sim_wait(m, INT64_MAX);
    of(m)->owner = myself();
}

static void let_go(struct os_mutex *m) {
    SIM_MUST(of(m)->owner == myself());
    of(m)->owner = NULL;
    sim_wake(m);
}

void os_unlock(struct os_mutex *m) {
    let_go(m);
    sim_preempt();
}

void os_cond_init(struct os_cond *c) {
    memset(c, 0, sizeof *c);
}

void os_cond_free(struct os_cond *c) {
    for (unsigned i = 0; i < sim.used; i++)
        SIM_MUST(sim.fibers[i].state != FIBER_WAITS || sim.fibers[i].on != c);
}

void os_cond_signal(struct os_cond *c) {
    unsigned from = sim.used ? sim_dice() % sim.used : 0;
    if (!wake_first(c, from, sim.used))
        (void)wake_first(c, 0, from);
}

void os_cond_broadcast(struct os_cond *c) {
    sim_wake(c);
}

bool os_cond_wait_until(struct os_cond *c, struct os_mutex *m, int64_t deadline_ms) {
    if (deadline_ms <= os_now_ms())
        return false;
    let_go(m);
    bool woken = sim_wait(c, deadline_ms);
    os_lock(m);
    return woken;
}

void os_cond_wait(struct os_cond *c, struct os_mutex *m) {
    (void)os_cond_wait_until(c, m, INT64_MAX);
}

/* ---- the clock -------------------------------------------------------------------------------------------- */

int64_t os_now_ns(void) {
    return sim.now_ns += TICK_NS;
}
int64_t os_now_ms(void) {
    return os_now_ns() / 1000000;
}
int64_t os_wall_ns(void) {
    enum { WALL_S = 1700000000 };
    return (int64_t)WALL_S * 1000000000 + os_now_ns();
}
void os_sleep_ms(int ms) {
    (void)sim_wait(&sim, os_now_ms() + ms);
}
unsigned os_cpu_count(void) {
    return sim.opt.cpus;
}
