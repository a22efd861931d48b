/* frame_bits.c: one reference session, again and again; in each, one bit of one of its frames is turned, until every
 * bit of every frame was: of preambles, headers, bodies and data. Whatever is turned must be mended or reported.
 *
 * usage: frame_bits FIRST STEP COUNT     cases FIRST, FIRST + STEP, …: at most COUNT of them
 *        frame_bits                      how many cases there are
 * Prints a line for each failure, and at its end: cases done, failures, cases whose frame did not come.
 */
#include "session_pair.h"

#include <stdio.h>

enum {
    TEXT_BYTES = 70 * 1000, /* more than a chunk, and a few hundred bytes on the wire */
    SPARSE_AT = 64 * 1024,
    TRIES = 5, /* frames that do not come in every run: ACK, HEARTBEAT */
};

enum part { PART_PREAMBLE, PART_HEADER, PART_BODY, PART_DATA, PARTS };

static struct stage_set set;

/* ---- the reference session ------------------------------------------------------------------------------ */

static void put_verse(struct os_dir at, const char *path, size_t n) {
    uint8_t *text = malloc(n + 1);
    assert_non_null(text);
    for (size_t i = 0; i < n; i++)
        text[i] = (uint8_t)("a ferry goes and comes "[i % 23]);
    put_file(at, path, text, n);
    free(text);
}

static void make_source(struct os_dir at) {
    assert_int_equal(mkdirat(at.fd, "a", 0755), 0);
    put_verse(at, "a/one", 100);
    put_verse(at, "a/nothing", 0);
    put_verse(at, "large", TEXT_BYTES);
    put_verse(at, "sparse", 0);
    int fd = openat(at.fd, "sparse", O_WRONLY | O_CLOEXEC);
    assert_true(fd >= 0);
    assert_int_equal(pwrite(fd, "not a hole", 10, SPARSE_AT), 10);
    assert_int_equal(ftruncate(fd, 3 * (off_t)SPARSE_AT), 0);
    assert_int_equal(close(fd), 0);
    assert_int_equal(symlinkat("a/one", at.fd, "link"), 0);
}

static void set_up(void) {
    set.scratch = tree_scratch();
    assert_int_equal(mkdirat(set.scratch.dir.fd, "source", 0755), 0);
    assert_int_equal(os_dir_open(set.scratch.dir, "source", &set.source), 0);
    make_source(set.source);
    set.wanted = tree_look(set.source);
    set.dest = OS_DIR_NONE;
    stage_set_reset(&set);
    set.old = tree_look(set.dest);
}

static struct pair_options options_of(bool serial, const struct plan *plan) {
    return (struct pair_options){
        .codec = CODEC_ZLIB, .sender_serial = serial, .receiver_serial = serial, .plan = plan};
}

/* ---- cases ------------------------------------------------------------------------------------------------ */

struct bits_of_frame {
    bool serial;
    struct fault fault; /* all but `bit` */
    unsigned bits;
};
static struct bits_of_frame frames[2 * DIRECTIONS * RECORD_FRAMES * PARTS];
static size_t frame_count;
static unsigned long case_count;

static void add(bool serial, enum direction direction, enum fault_kind kind, uint8_t type, unsigned index,
                uint32_t bytes) {
    if (bytes == 0)
        return;
    frames[frame_count++] = (struct bits_of_frame){
        .serial = serial,
        .fault = {.kind = kind, .direction = direction, .type = type, .index = index},
        .bits = bytes * 8,
    };
    case_count += bytes * 8;
}

static void add_direction(bool serial, enum direction direction, const struct passed *passed) {
    unsigned of_type[256] = {0};
    unsigned count = passed->count < RECORD_FRAMES ? passed->count : RECORD_FRAMES;
    add(serial, direction, FAULT_FLIP_PREAMBLE, 0, 0, PREAMBLE_SIZE);
    for (unsigned i = 0; i < count; i++) {
        const struct frame *f = &passed->frames[i];
        unsigned index = of_type[f->type]++;
        add(serial, direction, FAULT_FLIP_HEADER, f->type, index, FRAME_HEADER_SIZE);
        add(serial, direction, FAULT_FLIP_BODY, f->type, index, f->body_length);
        add(serial, direction, FAULT_FLIP_DATA, f->type, index, f->data_length);
    }
}

/* False: the reference itself failed. */
static bool list_cases(void) {
    for (int serial = 0; serial < 2; serial++) {
        struct pair_options opt = options_of(serial, NULL);
        struct pair_result r;
        const char *problem = stage_run(&set, &opt, &r);
        if (problem || r.sender.code != 0 || r.receiver.code != 0) {
            printf("the reference session failed: %s; %s\n", problem ? problem : "its codes", pair_said());
            return false;
        }
        for (unsigned d = 0; d < DIRECTIONS; d++)
            add_direction(serial, (enum direction)d, &r.passed[d]);
    }
    return true;
}

static const struct bits_of_frame *find(unsigned long number, unsigned *ret_bit) {
    size_t i = 0;
    while (number >= frames[i].bits)
        number -= frames[i++].bits;
    *ret_bit = (unsigned)number;
    return &frames[i];
}

/* ---- running ------------------------------------------------------------------------------------------------ */

static void show(unsigned long number, const struct fault *f, bool serial, const struct pair_result *r,
                 const char *problem) {
    printf("case %lu, %s %u of %s to the %s, bit %llu%s: %s (sender %d, receiver %d; %s)\n", number,
           fault_names[f->kind], f->index, msg_type_name(f->type),
           f->direction == TO_RECEIVER ? "receiver" : "sender", (unsigned long long)f->bit,
           serial ? ", one thread" : "", problem, r->sender.code, r->receiver.code, pair_said());
}

/* Turned bits of data are mended, so both ends are content; but for those that change nothing (the padding of a
 * compressed block), they were sent again. */
static const char *judge(const struct fault *f, const struct pair_result *r) {
    if (f->kind == FAULT_FLIP_DATA && (r->sender.code != 0 || r->receiver.code != 0))
        return "damaged data was not healed";
    return NULL;
}

/* 1: done, 0: the frame did not come in this run, -1: failed. */
static int turn(unsigned long number) {
    unsigned bit;
    const struct bits_of_frame *frame = find(number, &bit);
    struct plan plan = {.faults = {frame->fault}, .count = 1};
    plan.faults[0].bit = bit;
    struct pair_options opt = options_of(frame->serial, &plan);
    for (unsigned i = 0; i < TRIES; i++) {
        struct pair_result r;
        const char *problem = stage_run(&set, &opt, &r);
        const struct passed *passed = &r.passed[frame->fault.direction];
        if (problem == NULL && passed->hits == 0)
            continue;
        if (problem == NULL)
            problem = judge(&frame->fault, &r);
        if (problem)
            show(number, &plan.faults[0], frame->serial, &r, problem);
        return problem ? -1 : 1;
    }
    return 0;
}

int main(int argc, char **argv) {
    unsigned long done = 0, failed = 0, missed = 0;
    set_up();
    if (!list_cases())
        return 1;
    if (argc != 4) {
        printf("%lu\n", case_count);
        stage_set_free(&set);
        return 0;
    }
    unsigned long first = strtoul(argv[1], NULL, 10), step = strtoul(argv[2], NULL, 10);
    unsigned long count = strtoul(argv[3], NULL, 10);
    for (unsigned long n = first; step > 0 && n < case_count && done < count; n += step, done++) {
        int result = turn(n);
        failed += result < 0;
        missed += result == 0;
    }
    printf("%lu %lu %lu\n", done, failed, missed);
    stage_set_free(&set);
    return failed > 0;
}
