/* sim.h: the system as a test would have it: threads that take turns on one, a clock that only moves when nothing else
 * can, and randomness that comes from a seed. The same seed gives the same run.
 *
 * The files of this directory implement os/os.h, os/os_file.h, core/log.h and the streams of transport/transport.h. They
 * are linked before the libraries, whose own implementations are then left out. A turn ends where a thread waits, and, as
 * dice fall, at locks, streams and files.
 */
#ifndef SIM_SIM_H
#define SIM_SIM_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct sim_options {
    uint32_t seed;
    uint8_t preempt; /* chance of losing the turn, of 256 */
    unsigned cpus; /* os_cpu_count */
    uint64_t turns_max; /* more are taken for a loop that never ends */
};

/* A new world: nothing of the one before may be left. */
void sim_begin(const struct sim_options *options);
/* A thread that nobody joins. */
void sim_spawn(const char *name, void (*fn)(void *arg), void *arg);
/* Runs until all threads have ended. Ends the program when all of them wait for ever, or run for ever. */
void sim_run(void);
/* Ends the program when a thread was not joined. */
void sim_end(void);

/* ---- for the other files of this directory, and for tests that take part ---- */

/* Waits for sim_wake of the same address. False: the deadline (os_now_ms; INT64_MAX: none) passed. */
bool sim_wait(const void *on, int64_t deadline_ms);
void sim_wake(const void *on);
/* Others may take their turn. */
void sim_preempt(void);
uint32_t sim_dice(void);

/* What was logged last, for whoever finds a fault. */
const char *sim_said(void);
/* The world is not as it must be: says where and why, and what was logged, and ends the program. */
_Noreturn void sim_fault(const char *file, int line, const char *what);
#define SIM_MUST(condition)                                                                                  \
    do {                                                                                                     \
        if (!(condition))                                                                                    \
            sim_fault(__FILE__, __LINE__, #condition);                                                       \
    } while (0)

#endif
