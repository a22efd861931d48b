/* Listening and dialing: unix: and tcp://, and whose socket file it is. */
#include "transport/fd.h"
#include "transport_test.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <pthread.h>
#include <sys/file.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/un.h>

static bool exists(const char *path) {
    struct stat st;
    return lstat(path, &st) == 0;
}

static struct err failed_listen(const char *prefix, const char *rest) {
    struct addr addr = address_of(true, prefix, rest);
    struct listener *listener = NULL;
    struct err err = {.code = 0};
    assert_int_equal(listener_open(&addr, &listener, &err), -1);
    assert_null(listener);
    addr_free(&addr);
    return err;
}

/* Both ends, over whatever it is. */
static void expect_conversation(struct conn *client, struct conn *server) {
    put(client, "hello");
    expect(server, "hello");
    put(server, "world");
    expect(client, "world");
    assert_int_equal(conn_close(client, NULL), 0);
    expect_eof(server);
    assert_int_equal(conn_close(server, NULL), 0);
}

static void a_unix_listener_serves_several_streams_in_turn(void **state) {
    (void)state;
    struct place place;
    place_make(&place);
    struct listener *listener = must_listen("unix:", place.path);
    for (int i = 0; i < 3; i++) {
        struct conn *client = must_dial("unix:", place.path);
        expect_conversation(client, must_accept(listener));
    }
    listener_close(listener);
    assert_false(exists(place.path));
    place_remove(&place);
}

static void a_unix_peer_is_named_by_the_kernels_credentials(void **state) {
    (void)state;
    struct place place;
    char want[64];
    place_make(&place);
    struct listener *listener = must_listen("unix:", place.path);
    struct conn *client = must_dial("unix:", place.path), *server = must_accept(listener);
    (void)snprintf(want, sizeof want, "unix uid %u pid %d", (unsigned)getuid(), (int)getpid());
    assert_string_equal(conn_peer(server), want);
    assert_string_equal(conn_peer(client), want);
    for (int i = 0; i < 2; i++) {
        const struct peer_id *id = conn_peer_id(i ? client : server);
        assert_int_equal(id->kind, PEER_UNIX);
        assert_int_equal(id->uid, getuid());
        assert_int_equal(id->gid, getgid());
        assert_int_equal(id->pid, getpid());
    }
    expect_conversation(client, server);
    listener_close(listener);
    place_remove(&place);
}

static void both_ends_of_a_unix_stream_have_large_buffers(void **state) {
    (void)state;
    struct place place;
    int plain_fd = socket(AF_UNIX, SOCK_STREAM, 0), plain, large;
    uint64_t acked;
    socklen_t n = sizeof plain;
    assert_int_equal(getsockopt(plain_fd, SOL_SOCKET, SO_SNDBUF, &plain, &n), 0);
    assert_int_equal(close(plain_fd), 0);
    place_make(&place);
    struct listener *listener = must_listen("unix:", place.path);
    struct conn *ends[2] = {must_dial("unix:", place.path), must_accept(listener)};
    for (size_t i = 0; i < 2; i++) {
        n = sizeof large;
        assert_int_equal(getsockopt(((struct fd_conn *)ends[i])->out, SOL_SOCKET, SO_SNDBUF, &large, &n), 0);
        assert_true(large > plain); /* even a limit at the default doubles it */
        assert_false(conn_acked(ends[i], &acked));
    }
    expect_conversation(ends[0], ends[1]);
    listener_close(listener);
    place_remove(&place);
}

static void dialing_nobody_says_what_to_do(void **state) {
    (void)state;
    struct place place;
    place_make(&place);
    struct err err = failed_dial("unix:", place.path, PATIENT_MS);
    assert_int_equal(err.code, EXIT_SOCKET);
    assert_int_equal(err.sys, ENOENT);
    assert_says(&err, place.path);
    assert_says(&err, "--listen");
    int fd = open(place.path, O_CREAT | O_WRONLY, 0600); /* a file of any kind refuses */
    assert_int_equal(close(fd), 0);
    err = failed_dial("unix:", place.path, PATIENT_MS);
    assert_int_equal(err.code, EXIT_SOCKET);
    assert_int_equal(err.sys, ECONNREFUSED);
    assert_says(&err, "nobody is listening");
    place_remove(&place);
}

/* A socket file that no process serves, as a crash leaves it. */
static void leave_stale(const char *path) {
    struct sockaddr_un un = {.sun_family = AF_UNIX};
    (void)snprintf(un.sun_path, sizeof un.sun_path, "%s", path);
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&un, sizeof un), 0);
    assert_int_equal(close(fd), 0);
    assert_true(exists(path));
}

static void a_stale_socket_is_replaced(void **state) {
    (void)state;
    struct place place;
    place_make(&place);
    leave_stale(place.path);
    struct listener *listener = must_listen("unix:", place.path);
    struct conn *client = must_dial("unix:", place.path);
    expect_conversation(client, must_accept(listener));
    listener_close(listener);
    assert_false(exists(place.path));
    place_remove(&place);
}

static void a_live_socket_is_refused_and_stays_alive(void **state) {
    (void)state;
    struct place place;
    place_make(&place);
    struct listener *listener = must_listen("unix:", place.path);
    struct err err = failed_listen("unix:", place.path);
    assert_int_equal(err.code, EXIT_SOCKET);
    assert_says(&err, "in use");
    struct conn *probe = must_accept(listener);
    expect_eof(probe);
    assert_int_equal(conn_close(probe, NULL), 0);
    struct conn *client = must_dial("unix:", place.path);
    expect_conversation(client, must_accept(listener));
    listener_close(listener);
    place_remove(&place);
}

/* Another process that starts: it has its turn, and has bound the path. */
struct starter {
    int turn, fd;
};

static void starter_begins(struct starter *starter, const struct place *place) {
    struct sockaddr_un un = {.sun_family = AF_UNIX};
    (void)snprintf(un.sun_path, sizeof un.sun_path, "%s", place->path);
    starter->turn = open(place->dir, O_RDONLY | O_DIRECTORY);
    assert_int_equal(flock(starter->turn, LOCK_EX), 0);
    starter->fd = socket(AF_UNIX, SOCK_STREAM, 0);
    assert_int_equal(bind(starter->fd, (struct sockaddr *)&un, sizeof un), 0);
}

static void *starter_listens_soon(void *at) {
    struct starter *starter = at;
    (void)usleep(TINY_MS * 1000);
    assert_int_equal(listen(starter->fd, LISTEN_BACKLOG), 0);
    assert_int_equal(close(starter->turn), 0);
    return NULL;
}

static void what_is_about_to_listen_is_not_taken_for_dead(void **state) {
    (void)state;
    struct place place;
    struct starter starter;
    pthread_t thread;
    place_make(&place);
    starter_begins(&starter, &place);
    assert_int_equal(pthread_create(&thread, NULL, starter_listens_soon, &starter), 0);
    struct err err = failed_listen("unix:", place.path);
    assert_int_equal(pthread_join(thread, NULL), 0);
    assert_int_equal(err.code, EXIT_SOCKET);
    assert_says(&err, "in use");
    assert_true(exists(place.path));
    assert_int_equal(close(starter.fd), 0);
    place_remove(&place);
}

static void who_never_ends_a_turn_keeps_nobody_from_listening(void **state) {
    (void)state;
    struct place place;
    struct starter starter;
    place_make(&place);
    starter_begins(&starter, &place);
    assert_int_equal(close(starter.fd), 0); /* dead, but the lock is still held */
    struct listener *listener = must_listen("unix:", place.path);
    struct conn *client = must_dial("unix:", place.path);
    expect_conversation(client, must_accept(listener));
    listener_close(listener);
    assert_int_equal(close(starter.turn), 0);
    place_remove(&place);
}

static void a_file_in_the_sockets_place_is_kept(void **state) {
    (void)state;
    struct place place;
    place_make(&place);
    int fd = open(place.path, O_CREAT | O_WRONLY, 0600);
    assert_int_equal(close(fd), 0);
    struct err err = failed_listen("unix:", place.path);
    assert_int_equal(err.code, EXIT_SOCKET);
    assert_says(&err, "no socket");
    assert_true(exists(place.path));
    place_remove(&place);
}

static void a_link_in_the_sockets_place_is_kept(void **state) {
    (void)state;
    struct place place;
    place_make(&place);
    leave_stale(place.other);
    assert_int_equal(symlink(place.other, place.path), 0);
    struct err err = failed_listen("unix:", place.path);
    assert_int_equal(err.code, EXIT_SOCKET);
    assert_true(exists(place.path));
    assert_true(exists(place.other));
    place_remove(&place);
}

static void a_missing_directory_is_named_as_the_reason(void **state) {
    (void)state;
    struct err err = failed_listen("unix:", "/tmp/hvferry-no-such-directory/s");
    assert_int_equal(err.code, EXIT_SOCKET);
    assert_says(&err, "directory");
}

static void closing_leaves_a_successors_socket_alone(void **state) {
    (void)state;
    struct place place;
    place_make(&place);
    struct listener *first = must_listen("unix:", place.path);
    assert_int_equal(rename(place.path, place.other), 0); /* the inode lives on, so it is not used again */
    struct listener *second = must_listen("unix:", place.path);
    listener_close(first);
    assert_true(exists(place.path));
    listener_close(second);
    assert_false(exists(place.path));
    place_remove(&place);
}

static void a_full_backlog_ends_in_a_connect_timeout(void **state) {
    (void)state;
    enum { ENOUGH = 2 * LISTEN_BACKLOG + 2 };
    struct place place;
    place_make(&place);
    struct listener *listener = must_listen("unix:", place.path);
    struct addr addr = address_of(false, "unix:", place.path);
    struct conn *conns[ENOUGH];
    struct err err = {.code = 0};
    size_t n = 0;
    while (n < ENOUGH && conn_dial(&addr, TINY_MS, NULL, &conns[n], &err) == 0)
        n++;
    assert_in_range(n, 128, ENOUGH - 1);
    assert_int_equal(err.code, EXIT_CONNECT_TIMEOUT);
    assert_says(&err, "busy");
    assert_int_equal(conn_close(must_accept(listener), NULL), 0); /* makes room for one */
    struct conn *late = must_dial("unix:", place.path);
    assert_int_equal(conn_close(late, NULL), 0);
    while (n > 0)
        assert_int_equal(conn_close(conns[--n], NULL), 0);
    addr_free(&addr);
    listener_close(listener);
    place_remove(&place);
}

static void nobody_connecting_is_a_timeout(void **state) {
    (void)state;
    struct place place;
    struct conn *conn = NULL;
    struct err err = {.code = 0};
    place_make(&place);
    struct listener *listener = must_listen("unix:", place.path);
    assert_int_equal(listener_accept(listener, TINY_MS, &conn, &err), -1);
    assert_int_equal(err.code, EXIT_TIMEOUT);
    assert_null(conn);
    listener_close(listener);
    place_remove(&place);
}

static void *wake_soon(void *listener) {
    (void)usleep(TINY_MS * 1000); /* likely, but not needed: the other thread waits by then */
    listener_wake(listener);
    return NULL;
}

static void another_thread_ends_a_waiting_accept_for_ever(void **state) {
    (void)state;
    struct place place;
    pthread_t thread;
    place_make(&place);
    struct listener *listener = must_listen("unix:", place.path);
    assert_int_equal(pthread_create(&thread, NULL, wake_soon, listener), 0);
    for (int i = 0; i < 2; i++) {
        struct conn *conn = NULL;
        struct err err = {.code = 0};
        assert_int_equal(listener_accept(listener, FOREVER, &conn, &err), -1);
        assert_int_equal(err.code, EXIT_SIGNAL);
    }
    assert_int_equal(pthread_join(thread, NULL), 0);
    listener_close(listener);
    place_remove(&place);
}

static void accepting_survives_a_lack_of_descriptors(void **state) {
    (void)state;
    struct place place;
    struct rlimit before;
    struct conn *conn = NULL;
    struct err err = {.code = 0};
    place_make(&place);
    struct listener *listener = must_listen("unix:", place.path);
    struct conn *client = must_dial("unix:", place.path);
    int next = dup(0);
    assert_int_equal(close(next), 0);
    assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
    struct rlimit none_left = {.rlim_cur = (rlim_t)next, .rlim_max = before.rlim_max};
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &none_left), 0);
    int result = listener_accept(listener, TINY_MS, &conn, &err);
    assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
    assert_int_equal(result, -1);
    assert_int_equal(err.code, EXIT_TIMEOUT);
    expect_conversation(client, must_accept(listener));
    listener_close(listener);
    place_remove(&place);
}

/* An address parsed for `listening`, with a port that the system chose: 0 cannot be written. */
static struct listener *listen_tcp(const char *text, uint32_t *ret_port) {
    struct addr addr = address_of(true, text, "");
    struct listener *listener = NULL;
    struct sockaddr_in6 at; /* sin_port and sin6_port are at the same place */
    socklen_t n = sizeof at;
    addr.port = 0;
    if (listener_open(&addr, &listener, NULL))
        return NULL;
    assert_int_equal(getsockname(listener->fd, (struct sockaddr *)&at, &n), 0);
    *ret_port = ntohs(at.sin6_port);
    return listener;
}

/* What arrives from the peer also says that it has what was sent to it before. */
static void expect_acks(struct conn *client, struct conn *server) {
    uint64_t before, after;
    assert_true(conn_acked(client, &before));
    put(client, "there");
    expect(server, "there");
    put(server, "back");
    expect(client, "back");
    assert_true(conn_acked(client, &after));
    assert_int_equal(after - before, 5);
}

static void tcp_carries_a_stream_over(const char *listen_text, const char *dial_host, const char *peer) {
    uint32_t port;
    char rest[32];
    struct listener *listener = listen_tcp(listen_text, &port);
    if (listener == NULL)
        skip(); /* this machine lacks the address family */
    (void)snprintf(rest, sizeof rest, ":%u", port);
    struct conn *client = must_dial(dial_host, rest), *server = must_accept(listener);
    assert_int_equal(strncmp(conn_peer(server), peer, strlen(peer)), 0);
    assert_int_equal(strncmp(conn_peer(client), peer, strlen(peer)), 0);
    assert_int_equal(conn_peer_id(server)->kind, PEER_TCP);
    assert_int_equal(conn_peer_id(client)->kind, PEER_TCP);
    int on[2] = {0, 0};
    socklen_t n = sizeof on[0];
    assert_int_equal(getsockopt(((struct fd_conn *)client)->out, IPPROTO_TCP, TCP_NODELAY, &on[0], &n), 0);
    assert_int_equal(getsockopt(((struct fd_conn *)server)->out, IPPROTO_TCP, TCP_NODELAY, &on[1], &n), 0);
    assert_true(on[0] && on[1]);
    expect_acks(client, server);
    expect_conversation(client, server);
    listener_close(listener);
}

static void tcp_without_a_host_listens_on_loopback(void **state) {
    (void)state;
    tcp_carries_a_stream_over("tcp://:1", "tcp://127.0.0.1", "127.0.0.1:");
}

static void tcp_speaks_ipv6_in_brackets(void **state) {
    (void)state;
    tcp_carries_a_stream_over("tcp://[::1]:1", "tcp://[::1]", "[::1]:");
}

static void tcp_localhost_is_the_ipv4_loopback_first(void **state) {
    (void)state;
    tcp_carries_a_stream_over("tcp://localhost:1", "tcp://localhost", "127.0.0.1:");
}

static void tcp_localhost_finds_an_ipv6_listener_too(void **state) {
    (void)state;
    tcp_carries_a_stream_over("tcp://[::1]:1", "tcp://localhost", "[::1]:");
}

static void a_refused_tcp_dial_says_what_to_do(void **state) {
    (void)state;
    char rest[32];
    struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t n = sizeof at;
    int fd = socket(AF_INET, SOCK_STREAM, 0); /* bound, so that nobody else has the port, but deaf */
    assert_int_equal(bind(fd, (struct sockaddr *)&at, n), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&at, &n), 0);
    (void)snprintf(rest, sizeof rest, ":%u", ntohs(at.sin_port));
    struct err err = failed_dial("tcp://127.0.0.1", rest, PATIENT_MS);
    assert_int_equal(err.code, EXIT_SOCKET);
    assert_int_equal(err.sys, ECONNREFUSED);
    assert_says(&err, "nobody is listening");
    assert_int_equal(close(fd), 0);
}

static void a_tcp_port_in_use_is_refused(void **state) {
    (void)state;
    uint32_t port;
    char rest[32];
    struct listener *listener = listen_tcp("tcp://:1", &port);
    assert_non_null(listener);
    (void)snprintf(rest, sizeof rest, ":%u", port);
    struct err err = failed_listen("tcp://127.0.0.1", rest);
    assert_int_equal(err.code, EXIT_SOCKET);
    assert_says(&err, "in use");
    listener_close(listener);
}

static void closing_no_listener_is_fine(void **state) {
    (void)state;
    int before = dup(0);
    assert_int_equal(close(before), 0);
    listener_close(NULL);
    int after = dup(0);
    assert_int_equal(after, before);
    assert_int_equal(close(after), 0);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_unix_listener_serves_several_streams_in_turn),
        cmocka_unit_test(a_unix_peer_is_named_by_the_kernels_credentials),
        cmocka_unit_test(both_ends_of_a_unix_stream_have_large_buffers),
        cmocka_unit_test(dialing_nobody_says_what_to_do),
        cmocka_unit_test(a_stale_socket_is_replaced),
        cmocka_unit_test(a_live_socket_is_refused_and_stays_alive),
        cmocka_unit_test(what_is_about_to_listen_is_not_taken_for_dead),
        cmocka_unit_test(who_never_ends_a_turn_keeps_nobody_from_listening),
        cmocka_unit_test(a_file_in_the_sockets_place_is_kept),
        cmocka_unit_test(a_link_in_the_sockets_place_is_kept),
        cmocka_unit_test(a_missing_directory_is_named_as_the_reason),
        cmocka_unit_test(closing_leaves_a_successors_socket_alone),
        cmocka_unit_test(a_full_backlog_ends_in_a_connect_timeout),
        cmocka_unit_test(nobody_connecting_is_a_timeout),
        cmocka_unit_test(another_thread_ends_a_waiting_accept_for_ever),
        cmocka_unit_test(accepting_survives_a_lack_of_descriptors),
        cmocka_unit_test(tcp_without_a_host_listens_on_loopback),
        cmocka_unit_test(tcp_speaks_ipv6_in_brackets),
        cmocka_unit_test(tcp_localhost_is_the_ipv4_loopback_first),
        cmocka_unit_test(tcp_localhost_finds_an_ipv6_listener_too),
        cmocka_unit_test(a_refused_tcp_dial_says_what_to_do),
        cmocka_unit_test(a_tcp_port_in_use_is_refused),
        cmocka_unit_test(closing_no_listener_is_fine),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
