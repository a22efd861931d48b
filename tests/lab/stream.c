/* stream: the bare stream that transfers are measured against. Runs inside a kernel of the lab.
 *
 * usage: stream sink PORT COUNT BUFFER [FILE]      takes so many connections at once, and reads each to its end
 *        stream source CID PORT COUNT BUFFER WRITE MIB [FILE]
 *                                                  sends so many MiB in all, in writes of so many bytes
 *
 * With FILE, of one connection: the sink writes what it reads there, the source sends what it reads from there. That
 * is the least that carrying a file takes.
 * BUFFER is the credit of a socket in bytes (SO_VM_SOCKETS_BUFFER_SIZE), 0 for the kernel's own. The source prints
 * the seconds from its first write until every sink has read all that it was sent. */
#include <errno.h>
#include <fcntl.h>
#include <inttypes.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <linux/vm_sockets.h>

enum { STREAMS_MAX = 16, READ_BYTES = 1 << 20, TRIES = 200, TRY_US = 50000 };

static void die(const char *what) {
    (void)fprintf(stderr, "stream: %s: %s\n", what, strerror(errno));
    exit(1);
}

/* The vsock device of a machine may lead anywhere: only kernels of the lab have the mark. */
static void refuse_outside_the_lab(void) {
    char words[4096] = " ";
    FILE *f = fopen("/proc/cmdline", "re");
    bool found = f && fgets(words + 1, sizeof words - 2, f);
    if (f)
        (void)fclose(f);
    if (found)
        words[strcspn(words, "\n")] = ' ';
    if (!found || !strstr(words, " labvsock ")) {
        (void)fprintf(stderr,
                      "stream: this kernel is none of the lab's (its command line has no word labvsock)\n");
        exit(1);
    }
}

static uint64_t number(const char *text) {
    char *end;
    errno = 0;
    uint64_t n = strtoull(text, &end, 10);
    if (errno || end == text || *end != '\0') {
        (void)fprintf(stderr, "stream: '%s' is no number\n", text);
        exit(1);
    }
    return n;
}

static int vsock_socket(uint64_t buffer) {
    int fd = socket(AF_VSOCK, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0)
        die("socket");
    if (buffer > 0 && (setsockopt(fd, AF_VSOCK, SO_VM_SOCKETS_BUFFER_MAX_SIZE, &buffer, sizeof buffer) ||
                       setsockopt(fd, AF_VSOCK, SO_VM_SOCKETS_BUFFER_SIZE, &buffer, sizeof buffer)))
        die("buffer size");
    return fd;
}

static void *memory(size_t n) {
    void *p = malloc(n);
    if (!p)
        die("memory");
    memset(p, 0x5a, n);
    return p;
}

static int file_or_none(const char *path, int flags) {
    int fd = path ? open(path, flags | O_CLOEXEC, 0600) : -1;
    if (path && fd < 0)
        die(path);
    return fd;
}

/* Reads to the end of the source's half, then says so with one byte. */
static void drain(int fd, const char *path) {
    char *data = memory(READ_BYTES);
    int file = file_or_none(path, O_WRONLY | O_CREAT | O_TRUNC);
    ssize_t n;
    while ((n = read(fd, data, READ_BYTES)) > 0)
        if (file >= 0 && write(file, data, (size_t)n) != n)
            die("write");
    if (n < 0)
        die("read");
    if (write(fd, "E", 1) != 1)
        die("the answer");
    free(data);
    exit(0);
}

/* Sends `total` bytes, and waits for the answer. */
static void fill(int fd, size_t piece, uint64_t total, const char *path) {
    char *data = memory(piece), answer;
    int file = file_or_none(path, O_RDONLY);
    for (uint64_t left = total; left > 0;) {
        size_t n = left < piece ? (size_t)left : piece;
        if (file >= 0 && read(file, data, n) != (ssize_t)n)
            die(path);
        for (size_t at = 0; at < n;) {
            ssize_t done = write(fd, data + at, n - at);
            if (done <= 0)
                die("write");
            at += (size_t)done;
        }
        left -= n;
    }
    if (shutdown(fd, SHUT_WR) || read(fd, &answer, 1) != 1)
        die("the answer");
    free(data);
    exit(0);
}

static int wait_for_all(unsigned count) {
    int result = 0, status;
    for (unsigned i = 0; i < count; i++)
        if (wait(&status) < 0 || status != 0)
            result = 1;
    return result;
}

static int run_sink(unsigned port, unsigned count, uint64_t buffer, const char *path) {
    int listener = vsock_socket(buffer);
    const struct sockaddr_vm at = {.svm_family = AF_VSOCK, .svm_cid = VMADDR_CID_ANY, .svm_port = port};
    if (bind(listener, (const struct sockaddr *)&at, sizeof at) || listen(listener, STREAMS_MAX))
        die("listen");
    for (unsigned i = 0; i < count; i++) {
        int fd = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
        if (fd < 0)
            die("accept");
        if (fork() == 0)
            drain(fd, path);
        (void)close(fd);
    }
    return wait_for_all(count);
}

/* The sink may have been started only just now. */
static int connected(unsigned cid, unsigned port, uint64_t buffer) {
    const struct sockaddr_vm to = {.svm_family = AF_VSOCK, .svm_cid = cid, .svm_port = port};
    for (int i = 0; i < TRIES; i++) {
        int fd = vsock_socket(buffer);
        if (connect(fd, (const struct sockaddr *)&to, sizeof to) == 0)
            return fd;
        if (errno != ECONNRESET)
            die("connect");
        (void)close(fd);
        (void)usleep(TRY_US);
    }
    die("connect");
    return -1;
}

static double now(void) {
    struct timespec t;
    (void)clock_gettime(CLOCK_MONOTONIC, &t);
    return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static int run_source(unsigned cid, unsigned port, unsigned count, uint64_t buffer, size_t piece,
                      uint64_t total, const char *path) {
    int fds[STREAMS_MAX];
    for (unsigned i = 0; i < count; i++)
        fds[i] = connected(cid, port, buffer);
    double start = now();
    for (unsigned i = 0; i < count; i++)
        if (fork() == 0)
            fill(fds[i], piece, total / count, path);
    int result = wait_for_all(count);
    printf("%.6f\n", now() - start);
    return result;
}

int main(int argc, char **argv) {
    bool sink = (argc == 5 || argc == 6) && strcmp(argv[1], "sink") == 0;
    if (!sink && ((argc != 8 && argc != 9) || strcmp(argv[1], "source") != 0)) {
        (void)fprintf(stderr, "usage: stream sink PORT COUNT BUFFER [FILE]\n"
                              "       stream source CID PORT COUNT BUFFER WRITE MIB [FILE]\n");
        return 1;
    }
    refuse_outside_the_lab();
    unsigned count = (unsigned)number(argv[sink ? 3 : 4]);
    if (count < 1 || count > STREAMS_MAX) {
        (void)fprintf(stderr, "stream: COUNT is from 1 to %d\n", STREAMS_MAX);
        return 1;
    }
    if (sink)
        return run_sink((unsigned)number(argv[2]), count, number(argv[4]), argv[5]);
    return run_source((unsigned)number(argv[2]), (unsigned)number(argv[3]), count, number(argv[5]),
                      (size_t)number(argv[6]), number(argv[7]) << 20, argv[8]);
}
