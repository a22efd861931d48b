#include "auth/proof.h"

#include "auth/mac.h"

/* Neither end's proof can be taken for the other's. */
static const char dialler_label[] = "hvferry dialler ", listener_label[] = "hvferry listener";
enum { LABEL_SIZE = sizeof listener_label - 1 };
_Static_assert(sizeof dialler_label == sizeof listener_label, "the labels have one length");

static struct span label(const char *text) {
    return (struct span){.p = (const uint8_t *)text, .n = LABEL_SIZE};
}

int proof_of_dialler(const struct key *key, const struct greeting *g, uint8_t ret[MAC_SIZE],
                     struct err *err) {
    const struct span parts[] = {
        label(dialler_label),
        {.p = g->dialler_preamble, .n = PREAMBLE_SIZE},
        {.p = g->listener_preamble, .n = PREAMBLE_SIZE},
        g->challenge,
        g->hello,
    };
    return mac_make(key_bytes(key), parts, sizeof parts / sizeof parts[0], ret, err);
}

int proof_of_listener(const struct key *key, const uint8_t auth[MAC_SIZE], struct span welcome,
                      uint8_t ret[MAC_SIZE], struct err *err) {
    const struct span parts[] = {label(listener_label), {.p = auth, .n = MAC_SIZE}, welcome};
    return mac_make(key_bytes(key), parts, sizeof parts / sizeof parts[0], ret, err);
}
