/* proof.h: what each end of a stream proves to the other with the key (docs/protocol.md, "Authentication"). */
#ifndef AUTH_PROOF_H
#define AUTH_PROOF_H

#include "auth/key.h"
#include "wire/protocol.h"

/* What was said on a stream before the dialler proves that it has the key. Both ends have seen the same bytes, or
 * somebody changed them. All are borrowed. */
struct greeting {
    const uint8_t *dialler_preamble, *listener_preamble; /* PREAMBLE_SIZE */
    struct span hello, challenge; /* bodies */
};

/* The mac of AUTH. 0, or -1 and err (see mac_make). */
int proof_of_dialler(const struct key *key, const struct greeting *g, uint8_t ret[MAC_SIZE], struct err *err);
/* The TAG_MAC of WELCOME. It stands on AUTH's, and so on all that was said before; `welcome` is the body up to that tag. */
int proof_of_listener(const struct key *key, const uint8_t auth[MAC_SIZE], struct span welcome,
                      uint8_t ret[MAC_SIZE], struct err *err);

#endif
