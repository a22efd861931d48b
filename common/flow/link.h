/* link.h: the two directions of a session, numbered and accounted (docs/protocol.md, "Order and credit").
 *
 * Sans-IO. link_out belongs to the sending thread of a stream; link_in_arrived to its reading thread, or to those of
 * several streams one after another, link_in_done to the one thread that processes ordered messages.
 */
#ifndef FLOW_LINK_H
#define FLOW_LINK_H

#include "flow/item.h"
#include "wire/msg.h"

#include <stdatomic.h>

struct link_out {
    uint32_t next_seq;
    uint64_t next_order; /* starts at 1; of the first stream, for all of the session */
};

void link_out_init(struct link_out *out);
/* Gives the item its order, when it is an ordered message without one. */
void link_out_order(struct link_out *out, struct item *item);
/* Gives the item its seq and, when it is ordered and has none yet, its order, encodes its header and names the
 * parts to write: 1 to 3 spans, whose number is returned. */
unsigned link_out_frame(struct link_out *out, struct item *item, struct span parts[3]);

struct link_in {
    /* Reading threads. */
    uint64_t next_order; /* after the highest that arrived */
    uint64_t missing; /* below it, which have not arrived yet; several streams only */
    uint64_t used; /* cost that arrived */
    /* Both. */
    _Atomic uint64_t granted; /* cost that the other end may send in all */
    /* Processing thread. */
    uint64_t done; /* cost that is processed */
    uint64_t acked_limit; /* granted, as last told */
    uint64_t processed, acked_order;
    uint64_t written; /* raw bytes in files */
    /* Constant. */
    uint64_t window;
    uint32_t chunk_size;
    bool several; /* streams: their messages interleave */
};

void link_in_init(struct link_in *in, uint64_t window, uint32_t chunk_size);
/* A frame arrived: checks order and credit. *ret_cost is what it takes (0 when free). 0, or -1 and err
 * (EXIT_STREAM). An order that comes twice over several streams is for the sequencer to find. */
int link_in_arrived(struct link_in *in, const struct frame *f, uint64_t *ret_cost, struct err *err);
/* An ordered message was processed and its memory is free. True when an ACK is due; *ret_ack is it. */
bool link_in_done(struct link_in *in, uint64_t order, uint64_t cost, struct msg_ack *ret_ack);
/* After a break, while nothing that arrived is left unprocessed but what is forgotten: the message after `processed`
 * is next, and is paid for again. Reading thread. */
void link_in_resume(struct link_in *in);
/* An ACK now, due or not: those before the break may be lost. As link_in_resume. */
struct msg_ack link_in_ack(struct link_in *in);

/* An ACK as an item; NULL: no memory. */
struct item *item_of_ack(const struct msg_ack *ack);
/* ABORT or REJECT; the text is cut to MESSAGE_TEXT_MAX. */
struct item *item_of_text(uint8_t type, int code, const char *text);
/* FILE_FAIL or FILE_ERROR. */
struct item *item_of_file_text(uint8_t type, uint64_t file_id, int code, const char *text);
/* UNLISTED. */
struct item *item_of_unlisted(const char *path, int code, const char *text);

#endif
