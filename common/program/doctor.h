/* doctor.h: `hvsend doctor` and `hvrecv doctor`: what this machine can do, and why an address cannot be reached.
 *
 * Each step adds findings. Those about the machine, and the causes of errors, are the platform's (doctor_linux.c);
 * a socket is made only for the address that the user names.
 */
#ifndef PROGRAM_DOCTOR_H
#define PROGRAM_DOCTOR_H

#include "program/findings.h"
#include "program/options.h"
#include "transport/transport.h"

/* argv[0] is "doctor". Prints on stdout. The exit code. */
int doctor_main(enum program program, int argc, char **argv);

enum doctor_step { STEP_CONNECT, STEP_LISTEN, STEP_PEER };

/* Why a step failed, by what it failed with. In `remedy` and `cause`, {port}, {cid}, {path}, {service} (the GUID of a
 * Hyper-V service for the port) and {there} (the address for the other end to listen on) stand for the address's. */
struct cause {
    const char *scheme; /* NULL: every one; ends the list when `cause` is NULL, too */
    enum doctor_step step;
    int sys; /* errno value, or Windows's; 0: any */
    int code; /* enum exit_code; 0: any */
    const char *cause, *remedy;
};

/* ---- The platform's part ---- */

extern const struct cause doctor_causes[];

/* What the machine is and has. Makes no socket. */
void doctor_machine(struct findings *f);
/* What the address needs of this machine, before a socket is made. */
void doctor_route(struct findings *f, const struct addr *addr, bool listening);

/* ---- For tests ---- */

/* The failure of a step as a finding: the cause that is known, or else the err's own words. */
void doctor_explain(struct findings *f, enum doctor_step step, const struct addr *addr,
                    const struct err *err);
/* Parsing, route, and connecting with a look at who answers, or listening. Stops at the first failure. */
void doctor_address(struct findings *f, const char *text, const struct options *o);

#endif
