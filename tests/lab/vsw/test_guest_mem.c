/* Guest memory: no address and no length leads outside a region, and no region outside its file. */
#include "guest_mem.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdlib.h>

#include <cmocka.h>
#include <sys/mman.h>
#include <unistd.h>

enum { FILE_BYTES = 64 << 10 };

static int make_file(void) {
    int fd = memfd_create("guest", MFD_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(ftruncate(fd, FILE_BYTES), 0);
    return fd;
}

/* Maps one region; the result of guest_mem_map(). */
static int map_one(struct guest_mem *mem, int fd, struct vu_region r) {
    struct err err = {.code = 0};
    int result = guest_mem_map(mem, &r, &fd, 1, &err);
    assert_true(result == 0 || (mem->count == 0 && err.code == EXIT_PROTOCOL));
    return result;
}

static void ranges_inside_a_region_are_found_and_others_are_not(void **state) {
    struct guest_mem mem = {.count = 0};
    int fd = make_file();
    (void)state;
    const struct vu_region r = {.guest = 0x10000, .size = 0x4000, .user = 0x900000, .offset = 0x1000};
    assert_int_equal(map_one(&mem, fd, r), 0);
    assert_int_equal(pwrite(fd, "here", 4, 0x1000 + 0x3FFC), 4);
    assert_memory_equal(guest_mem_at(&mem, 0x13FFC, 4), "here", 4);
    assert_memory_equal(guest_mem_at_user(&mem, 0x903FFC, 4), "here", 4);
    assert_non_null(guest_mem_at(&mem, 0x10000, 0x4000));
    assert_null(guest_mem_at(&mem, 0x10000, 0x4001));
    assert_null(guest_mem_at(&mem, 0x13FFC, 5));
    assert_null(guest_mem_at(&mem, 0x14000, 1));
    assert_null(guest_mem_at(&mem, 0xFFFF, 1));
    assert_null(guest_mem_at(&mem, 0xFFFF, 2));
    assert_null(guest_mem_at(&mem, 0x10000, 0));
    assert_null(guest_mem_at(&mem, 0x900000, 1));
    assert_null(guest_mem_at_user(&mem, 0x10000, 1));
    guest_mem_unmap(&mem);
    assert_null(guest_mem_at(&mem, 0x10000, 1));
    (void)close(fd);
}

static void lengths_and_addresses_that_wrap_around_are_not_found(void **state) {
    struct guest_mem mem = {.count = 0};
    int fd = make_file();
    (void)state;
    const struct vu_region r = {.guest = 0 - 0x4000ULL, .size = 0x4000, .user = 0x1000};
    assert_int_equal(map_one(&mem, fd, r), 0); /* up to the last address there is */
    assert_non_null(guest_mem_at(&mem, UINT64_MAX, 1));
    assert_null(guest_mem_at(&mem, UINT64_MAX, 2));
    assert_null(guest_mem_at(&mem, UINT64_MAX, UINT64_MAX));
    assert_null(guest_mem_at(&mem, 0, 1));
    assert_null(guest_mem_at(&mem, 0 - 0x4000ULL, UINT64_MAX));
    assert_null(guest_mem_at_user(&mem, 0x1000, UINT64_MAX - 0xFFF));
    guest_mem_unmap(&mem);
    (void)close(fd);
}

static void regions_that_cannot_be_are_refused(void **state) {
    static const struct vu_region bad[] = {
        {.guest = 0, .size = 0, .user = 0},
        {.guest = 0, .size = FILE_BYTES + 1, .user = 0},
        {.guest = 0, .size = FILE_BYTES, .user = 0, .offset = 1},
        {.guest = 0, .size = 0x1000, .user = 0, .offset = UINT64_MAX},
        {.guest = 0, .size = UINT64_MAX, .user = 0, .offset = 1},
        {.guest = 0, .size = UINT64_MAX, .user = 0},
        {.guest = UINT64_MAX - 0xFFE, .size = 0x1000, .user = 0},
        {.guest = 0, .size = 0x1000, .user = UINT64_MAX - 0xFFE},
    };
    struct guest_mem mem = {.count = 0};
    int fd = make_file(), pipes[2];
    (void)state;
    for (unsigned i = 0; i < sizeof bad / sizeof bad[0]; i++)
        assert_int_equal(map_one(&mem, fd, bad[i]), -1);
    assert_int_equal(pipe(pipes), 0);
    assert_int_equal(map_one(&mem, pipes[0], (struct vu_region){.size = 0x1000}), -1);
    assert_int_equal(map_one(&mem, -1, (struct vu_region){.size = 0x1000}), -1);
    (void)close(pipes[0]);
    (void)close(pipes[1]);
    (void)close(fd);
}

static void regions_do_not_overlap(void **state) {
    struct guest_mem mem = {.count = 0};
    int fds[2] = {make_file(), -1};
    struct vu_region r[2] = {{.guest = 0x1000, .size = 0x1000, .user = 0x1000},
                             {.guest = 0x2000, .size = 0x1000, .user = 0x2000}};
    (void)state;
    fds[1] = fds[0];
    assert_int_equal(guest_mem_map(&mem, r, fds, 2, NULL), 0);
    assert_null(guest_mem_at(&mem, 0x1800, 0x1000)); /* side by side for the guest, not here */
    r[1].guest = 0x1FFF;
    assert_int_equal(guest_mem_map(&mem, r, fds, 2, NULL), -1);
    r[1].guest = 0x2000;
    r[1].user = 0x1;
    assert_int_equal(guest_mem_map(&mem, r, fds, 2, NULL), -1);
    assert_int_equal(mem.count, 0);
    (void)close(fds[0]);
}

static void a_file_that_is_cut_short_reads_as_zero_and_is_noticed(void **state) {
    struct guest_mem mem = {.count = 0};
    int fd = make_file();
    (void)state;
    guest_mem_guard();
    assert_int_equal(map_one(&mem, fd, (struct vu_region){.guest = 0, .size = FILE_BYTES, .user = 0}), 0);
    const volatile uint8_t *p = guest_mem_at(&mem, FILE_BYTES - 1, 1);
    assert_int_equal(pwrite(fd, "x", 1, FILE_BYTES - 1), 1);
    assert_int_equal(*p, 'x');
    assert_false(guest_mem_is_lost(&mem));
    assert_int_equal(ftruncate(fd, 0), 0);
    assert_int_equal(*p, 0);
    assert_true(guest_mem_is_lost(&mem));
    guest_mem_unmap(&mem);
    assert_false(guest_mem_is_lost(&mem));
    (void)close(fd);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(ranges_inside_a_region_are_found_and_others_are_not),
        cmocka_unit_test(lengths_and_addresses_that_wrap_around_are_not_found),
        cmocka_unit_test(regions_that_cannot_be_are_refused),
        cmocka_unit_test(regions_do_not_overlap),
        cmocka_unit_test(a_file_that_is_cut_short_reads_as_zero_and_is_noticed),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
