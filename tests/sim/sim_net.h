/* sim_net.h: streams in memory, between one listener and whoever dials it, with a hook at which what is written can be
 * changed on its way.
 *
 * Direction 0 is from the dialler, 1 from the listener. */
#ifndef SIM_SIM_NET_H
#define SIM_SIM_NET_H

#include "transport/transport.h"

struct sim_stream; /* one stream, both directions */

struct sim_net {
    /* Each write passes here, whole: the preamble alone, or frames. It lets through what it likes by sim_net_put. NULL:
     * all of it goes through at once. */
    void (*tap)(void *ctx, struct sim_stream *s, unsigned direction, const uint8_t *p, size_t n);
    void *ctx;
    size_t capacity; /* bytes on their way, beyond which a writer waits */
    unsigned short_reads; /* chance that a read gives less than it could, of 256 */
    bool close_loses; /* what was written and not read is lost when the writer closes */
};

/* A new net, without streams. */
void sim_net_begin(const struct sim_net *net);
/* Ends the program when a stream or a listener is left open. */
void sim_net_end(void);

extern const struct transport sim_transport; /* for struct addr; one listener at a time */
struct listener *sim_net_listen(void);
/* From now on dialling fails for good. */
void sim_net_give_up(void);
/* Writes that waited for room until the stream was over: nobody has heard of these. */
unsigned sim_net_lost(void);
/* The next `n` dials are refused. */
void sim_net_refuse(unsigned n);

/* A stream whose other end is the test. */
struct conn *sim_net_conn(struct sim_stream **ret);

/* What arrives, delay_ms after what was put before it, or more. */
void sim_net_put(struct sim_stream *s, unsigned direction, const uint8_t *p, size_t n, unsigned delay_ms);
/* Nothing follows in this direction. */
void sim_net_end_direction(struct sim_stream *s, unsigned direction);
/* Both directions end; with `lossy` what is on its way is lost. */
void sim_net_cut(struct sim_stream *s, bool lossy);
unsigned sim_net_number(const struct sim_stream *s); /* streams are counted from 1 */

#endif
