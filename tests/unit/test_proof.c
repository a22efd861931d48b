/* What the ends prove: the same MACs as in the golden vectors, and another one for whatever is changed. */
#include "hex_help.h"

#include "auth/proof.h"
#include "wire/frame.h"
#include "wire/msg.h"

/* good-auth.hex and good-welcome-auth.hex, which scripts/golden.py wrote */
static const char auth_mac[] = "60889adfc0bacda8f7f2d8de8dc83a8e7a1fbff5bf380485c03d13274effa338";
static const char welcome_mac[] = "1f5f11e3c04d48a9858393a4de0a57767c0d31cb1cfb8e12173c75afbb21ba2e";

struct said {
    uint8_t dialler[PREAMBLE_SIZE], listener[PREAMBLE_SIZE], challenge[NONCE_SIZE], hello[256], welcome[256];
    size_t hello_n, welcome_n;
    uint8_t key[33];
    size_t key_n;
};

static void count_up(uint8_t *to, size_t n, unsigned from) {
    for (size_t i = 0; i < n; i++)
        to[i] = (uint8_t)(from + i);
}

static size_t put_hello(uint8_t *to, enum role role, const char *agent, const uint8_t *nonce) {
    struct wr w = wr_of(to, 256);
    struct msg_hello m = {
        .version = 1,
        .role = (uint8_t)role,
        .intent = INTENT_NEW,
        .features = FEATURE_AUTH,
        .codecs = 3,
        .chunk_size = 1 << 20,
        .window = 64 << 20,
        .streams = 1,
    };
    count_up(m.session_id, sizeof m.session_id, 0xA0);
    msg_hello_encode(&w, &m);
    tag_encode(&w, TAG_AGENT, agent, strlen(agent));
    if (nonce)
        tag_encode(&w, TAG_NONCE, nonce, NONCE_SIZE);
    assert_false(w.bad);
    return wr_used(&w);
}

/* What the golden vectors say. */
static struct said usual(void) {
    struct said s = {.key_n = 32};
    uint8_t nonce[NONCE_SIZE];
    count_up(s.key, sizeof s.key, 0);
    count_up(nonce, sizeof nonce, 0x10);
    count_up(s.challenge, sizeof s.challenge, 0x60);
    preamble_encode(&(struct preamble){1, 7}, s.dialler);
    preamble_encode(&(struct preamble){1, 1}, s.listener);
    s.hello_n = put_hello(s.hello, ROLE_SENDER, "hvsend 0.1.0", nonce);
    s.welcome_n = put_hello(s.welcome, ROLE_RECEIVER, "hvrecv 0.1.0", NULL);
    return s;
}

static void prove(const struct said *s, uint8_t dialler[MAC_SIZE], uint8_t listener[MAC_SIZE]) {
    struct key *key = key_new((struct span){s->key, s->key_n});
    const struct greeting g = {
        .dialler_preamble = s->dialler,
        .listener_preamble = s->listener,
        .hello = {s->hello, s->hello_n},
        .challenge = {s->challenge, sizeof s->challenge},
    };
    assert_non_null(key);
    assert_int_equal(proof_of_dialler(key, &g, dialler, NULL), 0);
    assert_int_equal(proof_of_listener(key, dialler, (struct span){s->welcome, s->welcome_n}, listener, NULL),
                     0);
    key_free(key);
}

static void macs_are_those_of_the_golden_vectors(void **state) {
    (void)state;
    struct said s = usual();
    uint8_t dialler[MAC_SIZE], listener[MAC_SIZE];
    prove(&s, dialler, listener);
    assert_hex(dialler, MAC_SIZE, auth_mac);
    assert_hex(listener, MAC_SIZE, welcome_mac);
}

/* Flips each bit of p in turn: the listener's MAC is another one each time, the dialler's if it covers p. */
static void every_bit_counts(struct said *s, uint8_t *p, size_t n, bool dialler_covers) {
    uint8_t before[2][MAC_SIZE], after[2][MAC_SIZE];
    prove(s, before[0], before[1]);
    for (size_t bit = 0; bit < 8 * n; bit++) {
        p[bit / 8] ^= (uint8_t)(1u << bit % 8);
        prove(s, after[0], after[1]);
        assert_true((memcmp(before[0], after[0], MAC_SIZE) != 0) == dialler_covers);
        assert_memory_not_equal(before[1], after[1], MAC_SIZE);
        p[bit / 8] ^= (uint8_t)(1u << bit % 8);
    }
}

static void macs_cover_every_bit_that_was_said(void **state) {
    (void)state;
    struct said s = usual();
    every_bit_counts(&s, s.key, s.key_n, true);
    every_bit_counts(&s, s.dialler, sizeof s.dialler, true);
    every_bit_counts(&s, s.listener, sizeof s.listener, true);
    every_bit_counts(&s, s.challenge, sizeof s.challenge, true);
    every_bit_counts(&s, s.hello, s.hello_n, true);
    every_bit_counts(&s, s.welcome, s.welcome_n, false);
}

static void macs_cover_how_much_was_said(void **state) {
    (void)state;
    struct said s = usual(), longer = usual();
    uint8_t macs[4][2][MAC_SIZE];
    prove(&s, macs[0][0], macs[0][1]);
    longer.hello_n++;
    prove(&longer, macs[1][0], macs[1][1]);
    longer.hello_n--, longer.welcome_n--;
    prove(&longer, macs[2][0], macs[2][1]);
    longer.welcome_n++, longer.key_n++;
    prove(&longer, macs[3][0], macs[3][1]);
    assert_memory_not_equal(macs[0][0], macs[1][0], MAC_SIZE);
    assert_memory_equal(macs[0][0], macs[2][0], MAC_SIZE);
    assert_memory_not_equal(macs[0][1], macs[2][1], MAC_SIZE);
    assert_memory_not_equal(macs[0][0], macs[3][0], MAC_SIZE);
}

static void the_ends_never_prove_the_same(void **state) {
    (void)state;
    struct said s = usual();
    uint8_t dialler[MAC_SIZE], listener[MAC_SIZE];
    memcpy(s.welcome, s.hello, sizeof s.welcome);
    s.welcome_n = s.hello_n;
    prove(&s, dialler, listener);
    assert_memory_not_equal(dialler, listener, MAC_SIZE);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(macs_are_those_of_the_golden_vectors),
        cmocka_unit_test(macs_cover_every_bit_that_was_said),
        cmocka_unit_test(macs_cover_how_much_was_said),
        cmocka_unit_test(the_ends_never_prove_the_same),
    };
    return cmocka_run_group_tests_name("proof", tests, NULL, NULL);
}
