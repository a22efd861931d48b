/* bare: the bare loop that transfers are measured against, as simple and as fast as two processes and one socket
 * allow: read, digest, send; receive, digest, write. It keeps no promise of hvferry's but the digests.
 *
 * usage: bare receive SOCKET FILE      listens, takes one file, ends
 *        bare send FILE SOCKET         ends when the other end has the whole file and agrees on every digest
 *
 * Over the stream go the size (8 bytes, of this machine), then for each chunk its bytes and their XXH3-128; one byte
 * comes back at the end. One system call reads a chunk, one sends it, one receives it, one writes it. */
#include <errno.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <xxhash.h>

/* The least processor time of the 30 pairs that were tried: a chunk stays in a core's own cache. */
enum { CHUNK = 128 * 1024, SOCKET_BUFFER = 1024 * 1024, FILE_MODE = 0644 };

static _Noreturn void die(const char *what) {
    (void)fprintf(stderr, "bare: %s: %s\n", what, strerror(errno));
    exit(1);
}

static uint8_t *buffer_of_chunk(void) {
    void *p = mmap(NULL, CHUNK + sizeof(XXH128_hash_t), PROT_READ | PROT_WRITE,
                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_POPULATE, -1, 0);
    if (p == MAP_FAILED)
        die("memory");
    return p;
}

static struct sockaddr_un address(const char *path) {
    struct sockaddr_un at = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof at.sun_path) {
        errno = ENAMETOOLONG;
        die(path);
    }
    strcpy(at.sun_path, path);
    return at;
}

static int unix_socket(void) {
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        die("socket");
    return fd;
}

/* More than the limit of the system where this process may (root), else up to it. */
static void widen(int fd) {
    const int size = SOCKET_BUFFER;
    if (setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &size, sizeof size) &&
        setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &size, sizeof size))
        die("socket buffer");
}

static void send_all(int fd, const void *p, size_t n) {
    for (const uint8_t *at = p; n > 0;) {
        ssize_t done = send(fd, at, n, MSG_NOSIGNAL);
        if (done < 0)
            die("send");
        at += done;
        n -= (size_t)done;
    }
}

static void receive_all(int fd, void *p, size_t n) {
    for (uint8_t *at = p; n > 0;) {
        ssize_t done = recv(fd, at, n, MSG_WAITALL);
        if (done <= 0)
            die(done ? "receive" : "the stream ended early");
        at += done;
        n -= (size_t)done;
    }
}

static void read_all(int fd, void *p, size_t n) {
    for (uint8_t *at = p; n > 0;) {
        ssize_t done = read(fd, at, n);
        if (done <= 0)
            die(done ? "read" : "the file became shorter");
        at += done;
        n -= (size_t)done;
    }
}

static void write_all(int fd, const void *p, size_t n) {
    for (const uint8_t *at = p; n > 0;) {
        ssize_t done = write(fd, at, n);
        if (done < 0)
            die("write");
        at += done;
        n -= (size_t)done;
    }
}

static size_t chunk_of(uint64_t left) {
    return left < CHUNK ? (size_t)left : CHUNK;
}

static void send_file(const char *name, const char *path) {
    int file = open(name, O_RDONLY | O_CLOEXEC), peer = unix_socket();
    const struct sockaddr_un at = address(path);
    struct stat st;
    if (file < 0 || fstat(file, &st))
        die(name);
    widen(peer);
    if (connect(peer, (const struct sockaddr *)&at, sizeof at))
        die(path);
    uint8_t *data = buffer_of_chunk();
    uint64_t left = (uint64_t)st.st_size;
    send_all(peer, &left, sizeof left);
    while (left > 0) {
        size_t n = chunk_of(left);
        read_all(file, data, n);
        const XXH128_hash_t digest = XXH3_128bits(data, n);
        memcpy(data + n, &digest, sizeof digest);
        send_all(peer, data, n + sizeof digest);
        left -= n;
    }
    char agreed;
    receive_all(peer, &agreed, 1);
}

static int accept_one(const char *path) {
    int listener = unix_socket();
    const struct sockaddr_un at = address(path);
    (void)unlink(path);
    if (bind(listener, (const struct sockaddr *)&at, sizeof at) || listen(listener, 1))
        die(path);
    int peer = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
    if (peer < 0)
        die("accept");
    return peer;
}

static void receive_file(const char *path, const char *name) {
    int peer = accept_one(path);
    int file = open(name, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, FILE_MODE);
    if (file < 0)
        die(name);
    uint8_t *data = buffer_of_chunk();
    uint64_t left;
    receive_all(peer, &left, sizeof left);
    while (left > 0) {
        size_t n = chunk_of(left);
        XXH128_hash_t digest;
        receive_all(peer, data, n + sizeof digest);
        memcpy(&digest, data + n, sizeof digest);
        if (!XXH128_isEqual(digest, XXH3_128bits(data, n))) {
            errno = EBADMSG;
            die("digest");
        }
        write_all(file, data, n);
        left -= n;
    }
    send_all(peer, "", 1);
}

int main(int argc, char **argv) {
    if (argc == 4 && strcmp(argv[1], "receive") == 0)
        receive_file(argv[2], argv[3]);
    else if (argc == 4 && strcmp(argv[1], "send") == 0)
        send_file(argv[2], argv[3]);
    else {
        (void)fprintf(stderr, "usage: bare receive SOCKET FILE | bare send FILE SOCKET\n");
        return 2;
    }
    return 0;
}
