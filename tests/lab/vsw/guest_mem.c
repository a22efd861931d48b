/* guest_mem.c: see guest_mem.h. */
#include "guest_mem.h"

#include "core/bytes.h"

#include <errno.h>
#include <signal.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

/* Every mapped region, for the SIGBUS handler. Written by the one thread that also touches guest memory, so the
 * handler, which runs on that thread, never sees half a change that matters: `at` is set last. */
enum { GUARDED_MAX = 256 };
static struct guarded {
    uint8_t *volatile at; /* NULL: free */
    size_t bytes;
    volatile sig_atomic_t is_lost;
} guarded[GUARDED_MAX];
static volatile sig_atomic_t any_lost; /* so that the common case is one look */

static void guard_add(void *at, size_t bytes) {
    for (unsigned i = 0; i < GUARDED_MAX; i++) {
        if (!guarded[i].at) {
            guarded[i].bytes = bytes;
            guarded[i].is_lost = 0;
            guarded[i].at = at;
            return;
        }
    }
}

static struct guarded *guard_find(const void *address) {
    for (unsigned i = 0; i < GUARDED_MAX; i++)
        if (guarded[i].at && (uintptr_t)address - (uintptr_t)guarded[i].at < guarded[i].bytes)
            return &guarded[i];
    return NULL;
}

/* Puts zero pages in the place of the file, so that the access that failed goes on. */
static void on_sigbus(int sig, siginfo_t *info, void *context) {
    (void)context;
    int saved = errno;
    struct guarded *g = guard_find(info->si_addr);
    if (!g || mmap(g->at, g->bytes, PROT_READ | PROT_WRITE,
                   MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_NORESERVE, -1, 0) == MAP_FAILED) {
        (void)signal(sig, SIG_DFL);
        return;
    }
    g->is_lost = 1;
    any_lost = 1;
    errno = saved;
}

void guest_mem_guard(void) {
    struct sigaction action = {.sa_sigaction = on_sigbus, .sa_flags = SA_SIGINFO};
    (void)sigemptyset(&action.sa_mask);
    (void)sigaction(SIGBUS, &action, NULL);
}

bool guest_mem_is_lost(const struct guest_mem *mem) {
    for (unsigned i = 0; any_lost && i < mem->count; i++) {
        const struct guarded *g = guard_find(mem->region[i].map);
        if (g && g->is_lost)
            return true;
    }
    return false;
}

void guest_mem_unmap(struct guest_mem *mem) {
    for (unsigned i = 0; i < mem->count; i++) {
        struct guarded *g = guard_find(mem->region[i].map);
        if (g)
            g->at = NULL;
        (void)munmap(mem->region[i].map, mem->region[i].map_bytes);
    }
    mem->count = 0;
}

static bool overlap(uint64_t a, uint64_t b, uint64_t a_bytes, uint64_t b_bytes) {
    return a < b ? b - a < a_bytes : a - b < b_bytes;
}

static int check_region(const struct guest_mem *mem, const struct vu_region *r, struct err *err) {
    uint64_t end;
    if (r->size == 0 || !add_u64(r->guest, r->size - 1, &end) || !add_u64(r->user, r->size - 1, &end) ||
        !add_u64(r->offset, r->size, &end) || end > SIZE_MAX / 2)
        return err_set(err, EXIT_PROTOCOL, "region of %#llx bytes at %#llx is empty or wraps around",
                       (unsigned long long)r->size, (unsigned long long)r->guest);
    for (unsigned i = 0; i < mem->count; i++)
        if (overlap(mem->region[i].guest, r->guest, mem->region[i].size, r->size) ||
            overlap(mem->region[i].user, r->user, mem->region[i].size, r->size))
            return err_set(err, EXIT_PROTOCOL, "region at %#llx overlaps another one",
                           (unsigned long long)r->guest);
    return 0;
}

static int map_region(struct guest_mem *mem, const struct vu_region *r, int fd, struct err *err) {
    struct stat st;
    size_t bytes = (size_t)(r->offset + r->size);
    if (fstat(fd, &st) != 0)
        return err_sys(err, EXIT_PROTOCOL, errno, "file of guest memory");
    if (!S_ISREG(st.st_mode) || st.st_size < 0 || (uint64_t)st.st_size < bytes)
        return err_set(err, EXIT_PROTOCOL, "region at %#llx is not inside its file",
                       (unsigned long long)r->guest);
    void *map = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_NORESERVE, fd, 0);
    if (map == MAP_FAILED)
        return err_sys(err, EXIT_MEMORY, errno, "map %zu bytes of guest memory", bytes);
    guard_add(map, bytes);
    mem->region[mem->count++] = (struct guest_region){.guest = r->guest,
                                                      .user = r->user,
                                                      .size = r->size,
                                                      .at = (uint8_t *)map + r->offset,
                                                      .map = map,
                                                      .map_bytes = bytes};
    return 0;
}

int guest_mem_map(struct guest_mem *mem, const struct vu_region *regions, const int *fds, unsigned count,
                  struct err *err) {
    guest_mem_unmap(mem);
    for (unsigned i = 0; i < count; i++) {
        if (check_region(mem, &regions[i], err) != 0 || map_region(mem, &regions[i], fds[i], err) != 0) {
            guest_mem_unmap(mem);
            return -1;
        }
    }
    return 0;
}

/* Where `bytes` at `address` are in a region that begins at `start`. */
static void *inside(const struct guest_region *r, uint64_t start, uint64_t address, uint64_t bytes) {
    uint64_t offset = address - start; /* huge when the address is before the start */
    return bytes > 0 && offset < r->size && bytes <= r->size - offset ? r->at + offset : NULL;
}

void *guest_mem_at(const struct guest_mem *mem, uint64_t guest, uint64_t bytes) {
    void *at = NULL;
    for (unsigned i = 0; i < mem->count && !at; i++)
        at = inside(&mem->region[i], mem->region[i].guest, guest, bytes);
    return at;
}

void *guest_mem_at_user(const struct guest_mem *mem, uint64_t user, uint64_t bytes) {
    void *at = NULL;
    for (unsigned i = 0; i < mem->count && !at; i++)
        at = inside(&mem->region[i], mem->region[i].user, user, bytes);
    return at;
}
