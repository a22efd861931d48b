/* The whole switch, turned by the test: front-ends on sockets, and a control client. */
#include "fake_guest.h"
#include "vsw.h"

#include "core/bytes.h"
#include "core/log.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum { HOST, GUEST, GUESTS };

static const struct vsock_addr address[GUESTS] = {{2, 1000}, {42, 5000}};

struct rig {
    struct vsw vsw;
    struct fake_guest guest[GUESTS];
    char dir[64], path[GUESTS][96], control[96];
};

static void turn(struct rig *rig) {
    for (unsigned i = 0; i < 200; i++)
        (void)vsw_turn(&rig->vsw, 0, (const int[VSW_EXTRA]){-1, -1});
}

static int dial(const char *path) {
    struct sockaddr_un a = {.sun_family = AF_UNIX};
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    (void)snprintf(a.sun_path, sizeof a.sun_path, "%s", path);
    assert_int_equal(connect(fd, (struct sockaddr *)&a, sizeof a), 0);
    return fd;
}

/* A new guest on port `i`, as after a boot. */
static void boot(struct rig *rig, unsigned i) {
    fake_guest_init(&rig->guest[i]);
    fake_guest_dial(&rig->guest[i], dial(rig->path[i]));
    turn(rig);
    fake_guest_post(&rig->guest[i], FAKE_RING_NUM, FAKE_RX_BYTES);
}

static int setup(void **state) {
    struct rig *rig = calloc(1, sizeof *rig);
    struct err err = {.code = 0};
    assert_non_null(rig);
    log_setup("test", LOG_ERROR);
    (void)snprintf(rig->dir, sizeof rig->dir, "/tmp/vsw.XXXXXX");
    assert_non_null(mkdtemp(rig->dir));
    assert_int_equal(vsw_init(&rig->vsw, &err), 0);
    for (unsigned i = 0; i < GUESTS; i++) {
        (void)snprintf(rig->path[i], sizeof rig->path[i], "%s/%u", rig->dir, i);
        struct port *p = vsw_add_port(&rig->vsw, address[i].cid, &err);
        assert_non_null(p);
        assert_int_equal(port_listen(p, rig->path[i], &err), 0);
    }
    (void)snprintf(rig->control, sizeof rig->control, "%s/control", rig->dir);
    assert_int_equal(control_listen(&rig->vsw.control, rig->control, &err), 0);
    for (unsigned i = 0; i < GUESTS; i++)
        boot(rig, i);
    *state = rig;
    return 0;
}

static int teardown(void **state) {
    struct rig *rig = *state;
    for (unsigned i = 0; i < GUESTS; i++)
        fake_guest_end(&rig->guest[i]);
    vsw_end(&rig->vsw);
    assert_int_equal(rmdir(rig->dir), 0); /* no socket is left */
    free(rig);
    return 0;
}

static void kick(struct rig *rig, unsigned i, unsigned ring) {
    static const uint64_t one = 1;
    assert_int_equal(write(rig->guest[i].ring[ring].kick, &one, sizeof one), sizeof one);
    turn(rig);
}

static void say(struct rig *rig, unsigned from, uint16_t op, const void *data, uint32_t len) {
    struct vsock_hdr h = vsock_hdr_make(address[from], address[1 - from], VIRTIO_VSOCK_TYPE_STREAM, op);
    h.len = len;
    fake_guest_send(&rig->guest[from], &h, data);
    kick(rig, from, RING_TX);
}

static void expect(struct rig *rig, unsigned to, uint16_t op) {
    struct vsock_hdr h;
    uint8_t data[FAKE_RX_BYTES];
    assert_true(fake_guest_receive(&rig->guest[to], &h, data, sizeof data));
    assert_int_equal(h.op, op);
}

/* The front-end of the guest does something wrong: its connection is closed, the other's is not. */
static void must_be_closed(struct rig *rig) {
    uint8_t reply[VU_PAYLOAD_MAX];
    uint32_t request;
    turn(rig);
    assert_int_equal(fake_guest_hear(&rig->guest[GUEST], &request, reply, sizeof reply), -1);
    assert_int_equal(rig->vsw.port[GUEST].conn, -1);
    assert_true(rig->vsw.port[HOST].conn >= 0);
    fake_guest_end(&rig->guest[GUEST]);
    boot(rig, GUEST); /* and the port takes the next one */
    say(rig, HOST, VIRTIO_VSOCK_OP_REQUEST, NULL, 0);
    expect(rig, GUEST, VIRTIO_VSOCK_OP_REQUEST);
}

static void two_guests_talk_over_real_sockets(void **state) {
    struct rig *rig = *state;
    say(rig, HOST, VIRTIO_VSOCK_OP_REQUEST, NULL, 0);
    expect(rig, GUEST, VIRTIO_VSOCK_OP_REQUEST);
    say(rig, GUEST, VIRTIO_VSOCK_OP_RESPONSE, NULL, 0);
    expect(rig, HOST, VIRTIO_VSOCK_OP_RESPONSE);
    for (unsigned i = 0; i < GUESTS; i++) {
        say(rig, i, VIRTIO_VSOCK_OP_RW, "hello", 5);
        expect(rig, 1 - i, VIRTIO_VSOCK_OP_RW);
    }
}

static void the_handshake_is_answered_as_front_ends_want_it(void **state) {
    struct rig *rig = *state;
    struct fake_guest *g = &rig->guest[GUEST];
    uint8_t reply[VU_PAYLOAD_MAX], config[12 + 8] = {0};
    uint32_t request;
    put_le32(config + 4, 8);
    fake_guest_say(g, VU_GET_FEATURES, 1, NULL, 0, NULL, 0);
    fake_guest_say(g, VU_GET_PROTOCOL_FEATURES, 1, NULL, 0, NULL, 0);
    fake_guest_say(g, VU_GET_QUEUE_NUM, 1, NULL, 0, NULL, 0);
    fake_guest_say(g, VU_GET_CONFIG, 1, config, sizeof config, NULL, 0);
    fake_guest_say(g, VU_SET_OWNER, 9, NULL, 0, NULL, 0);
    turn(rig);
    assert_int_equal(fake_guest_hear(g, &request, reply, sizeof reply), 8);
    assert_true(le64(reply) == (1ULL << 32 | 1ULL << 30 | 1ULL << 1));
    assert_int_equal(fake_guest_hear(g, &request, reply, sizeof reply), 8);
    assert_true(le64(reply) == (1ULL << 3 | 1ULL << 5 | 1ULL << 9));
    assert_int_equal(fake_guest_hear(g, &request, reply, sizeof reply), 8);
    assert_int_equal(le64(reply), 3);
    assert_int_equal(fake_guest_hear(g, &request, reply, sizeof reply), 20);
    assert_true(request == VU_GET_CONFIG && le64(reply + 12) == 42);
    assert_int_equal(fake_guest_hear(g, &request, reply, sizeof reply), 8);
    assert_true(request == VU_SET_OWNER && le64(reply) == 0);
}

static void a_request_may_come_in_pieces(void **state) {
    struct rig *rig = *state;
    struct fake_guest *g = &rig->guest[GUEST];
    uint8_t bytes[VU_HEADER_BYTES + 20] = {VU_GET_CONFIG, 0, 0, 0, 1, 0, 0, 0, 20, 0, 0, 0, 0, 0, 0, 0, 8};
    uint8_t reply[VU_PAYLOAD_MAX];
    uint32_t request;
    for (unsigned i = 0; i < sizeof bytes; i++) {
        assert_int_equal(send(g->socket, &bytes[i], 1, 0), 1);
        turn(rig);
    }
    assert_int_equal(fake_guest_hear(g, &request, reply, sizeof reply), 20);
    assert_int_equal(le64(reply + 12), 42);
}

static void a_guest_that_is_killed_resets_its_streams_and_may_boot_anew(void **state) {
    struct rig *rig = *state;
    say(rig, HOST, VIRTIO_VSOCK_OP_REQUEST, NULL, 0);
    expect(rig, GUEST, VIRTIO_VSOCK_OP_REQUEST);
    fake_guest_end(&rig->guest[GUEST]);
    turn(rig);
    expect(rig, HOST, VIRTIO_VSOCK_OP_RST);
    boot(rig, GUEST);
    say(rig, GUEST, VIRTIO_VSOCK_OP_REQUEST, NULL, 0);
    expect(rig, HOST, VIRTIO_VSOCK_OP_REQUEST);
}

static void a_second_front_end_waits_for_the_first_to_leave(void **state) {
    struct rig *rig = *state;
    struct fake_guest first = rig->guest[GUEST];
    fake_guest_init(&rig->guest[GUEST]);
    fake_guest_dial(&rig->guest[GUEST], dial(rig->path[GUEST]));
    fake_guest_post(&rig->guest[GUEST], FAKE_RING_NUM, FAKE_RX_BYTES);
    turn(rig);
    fake_guest_end(&first);
    turn(rig);
    say(rig, HOST, VIRTIO_VSOCK_OP_REQUEST, NULL, 0);
    expect(rig, GUEST, VIRTIO_VSOCK_OP_REQUEST);
}

static void a_guest_that_breaks_its_ring_is_closed(void **state) {
    struct rig *rig = *state;
    rig->guest[GUEST].ring[RING_TX].avail->idx = 0x8000;
    kick(rig, GUEST, RING_TX);
    must_be_closed(rig);
}

static void a_request_that_is_too_long_is_closed(void **state) {
    struct rig *rig = *state;
    uint8_t head[VU_HEADER_BYTES] = {VU_SET_FEATURES, 0, 0, 0, 1, 0, 0, 0, 1, 2, 0, 0};
    assert_int_equal(send(rig->guest[GUEST].socket, head, sizeof head, 0), sizeof head);
    must_be_closed(rig);
}

static void noise_is_closed(void **state) {
    struct rig *rig = *state;
    assert_int_equal(send(rig->guest[GUEST].socket, "GET / HTTP/1.0\r\n\r\n", 18, 0), 18);
    must_be_closed(rig);
}

static unsigned open_files(void) {
    unsigned count = 0;
    for (int fd = 0; fd < 256; fd++)
        count += fcntl(fd, F_GETFD) >= 0;
    return count;
}

static void too_many_files_are_closed_and_none_is_kept(void **state) {
    struct rig *rig = *state;
    int fds[30];
    unsigned before = open_files();
    for (unsigned i = 0; i < 30; i++)
        fds[i] = rig->guest[GUEST].fd;
    for (unsigned i = 0; i < 2; i++) {
        fake_guest_say(&rig->guest[GUEST], VU_SET_MEM_TABLE, 1, NULL, 0, fds, i == 0 ? 30 : VU_FDS_MAX + 1);
        must_be_closed(rig);
        assert_int_equal(open_files(), before);
    }
}

static void files_that_no_request_wants_are_closed(void **state) {
    struct rig *rig = *state;
    unsigned before = open_files();
    fake_guest_say(&rig->guest[GUEST], VU_GET_FEATURES, 1, NULL, 0, &rig->guest[GUEST].fd, 1);
    must_be_closed(rig);
    assert_int_equal(open_files(), before);
}

static void bad_requests_of_every_kind_are_closed(void **state) {
    static const struct {
        uint32_t request, ring, value;
    } bad[] = {
        {VU_SET_VRING_NUM, 0, 0},      {VU_SET_VRING_NUM, 0, 3},           {VU_SET_VRING_NUM, 0, 2048},
        {VU_SET_VRING_NUM, 3, 16},     {VU_SET_VRING_NUM, UINT32_MAX, 16}, {VU_SET_VRING_ENABLE, 3, 1},
        {VU_SET_FEATURES, 1, 0},       {VU_SET_PROTOCOL_FEATURES, 1, 0},   {VU_GET_VRING_BASE, 255, 0},
        {VU_SET_VRING_KICK, 0x100, 0},
    };
    struct rig *rig = *state;
    for (unsigned i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        uint8_t p[8];
        put_le32(p, bad[i].ring);
        put_le32(p + 4, bad[i].value);
        fake_guest_say(&rig->guest[GUEST], bad[i].request, 1, p, sizeof p, NULL, 0);
        must_be_closed(rig);
    }
}

static void a_kick_file_that_ends_is_closed(void **state) {
    struct rig *rig = *state;
    uint8_t p[8] = {RING_TX};
    int pipes[2];
    assert_int_equal(pipe2(pipes, O_CLOEXEC), 0);
    fake_guest_say(&rig->guest[GUEST], VU_SET_VRING_KICK, 1, p, sizeof p, &pipes[0], 1);
    turn(rig);
    assert_true(rig->vsw.port[GUEST].conn >= 0);
    (void)close(pipes[0]);
    (void)close(pipes[1]);
    must_be_closed(rig);
}

static void a_call_file_that_is_full_blocks_nobody(void **state) {
    struct rig *rig = *state;
    uint8_t p[8] = {RING_RX}, block[4096] = {0};
    int pipes[2];
    assert_int_equal(pipe2(pipes, O_CLOEXEC | O_NONBLOCK), 0);
    while (write(pipes[1], block, sizeof block) > 0)
        ;
    assert_int_equal(fcntl(pipes[1], F_SETFL, 0), 0);
    fake_guest_say(&rig->guest[GUEST], VU_SET_VRING_CALL, 1, p, sizeof p, &pipes[1], 1);
    turn(rig);
    say(rig, HOST, VIRTIO_VSOCK_OP_REQUEST, NULL, 0);
    expect(rig, GUEST, VIRTIO_VSOCK_OP_REQUEST);
    (void)close(pipes[0]);
    (void)close(pipes[1]);
}

/* What the control socket answers to these bytes. */
static void ask(struct rig *rig, int fd, const char *text, const char *answer) {
    char got[COMMAND_REPLY_MAX] = "";
    assert_int_equal(send(fd, text, strlen(text), 0), (ssize_t)strlen(text));
    turn(rig);
    assert_true(recv(fd, got, sizeof got - 1, MSG_DONTWAIT) > 0);
    assert_string_equal(got, answer);
}

static void the_control_socket_answers_each_line(void **state) {
    struct rig *rig = *state;
    int fd = dial(rig->control);
    ask(rig, fd, "delay 5\n", "ok delay=5\n");
    ask(rig, fd, "vanish 42\nreturn 42\nclear\n", "ok\nok\nok\n");
    assert_int_equal(send(fd, "res", 3, 0), 3);
    turn(rig);
    ask(rig, fd, "et\n", "ok streams=0\n");
    (void)close(fd);
}

static void a_line_that_never_ends_closes_its_client_only(void **state) {
    struct rig *rig = *state;
    char text[CONTROL_LINE_MAX];
    int noisy = dial(rig->control), other = dial(rig->control);
    memset(text, 'x', sizeof text);
    assert_int_equal(send(noisy, text, sizeof text, 0), sizeof text);
    turn(rig);
    assert_int_equal(recv(noisy, text, sizeof text, MSG_DONTWAIT), 0);
    ask(rig, other, "clear\n", "ok\n");
    (void)close(noisy);
    (void)close(other);
}

static void cids_that_no_guest_can_have_are_refused(void **state) {
    struct rig *rig = *state;
    static const uint64_t bad[] = {0, 1, 2, 42, 0xFFFFFFFF, 1ULL << 32, UINT64_MAX};
    for (unsigned i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_null(vsw_add_port(&rig->vsw, bad[i], NULL));
    for (unsigned i = GUESTS; i < PORTS_MAX; i++)
        assert_non_null(vsw_add_port(&rig->vsw, 100 + i, NULL));
    assert_null(vsw_add_port(&rig->vsw, 200, NULL));
}

#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void) {
    const struct CMUnitTest tests[] = {
        CASE(two_guests_talk_over_real_sockets),
        CASE(the_handshake_is_answered_as_front_ends_want_it),
        CASE(a_request_may_come_in_pieces),
        CASE(a_guest_that_is_killed_resets_its_streams_and_may_boot_anew),
        CASE(a_second_front_end_waits_for_the_first_to_leave),
        CASE(a_guest_that_breaks_its_ring_is_closed),
        CASE(a_request_that_is_too_long_is_closed),
        CASE(noise_is_closed),
        CASE(too_many_files_are_closed_and_none_is_kept),
        CASE(files_that_no_request_wants_are_closed),
        CASE(bad_requests_of_every_kind_are_closed),
        CASE(a_kick_file_that_ends_is_closed),
        CASE(a_call_file_that_is_full_blocks_nobody),
        CASE(the_control_socket_answers_each_line),
        CASE(a_line_that_never_ends_closes_its_client_only),
        CASE(cids_that_no_guest_can_have_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
