/* test_frame_reader.c: the frame reader, fed in steps of every size. */
#include "wire_help.h"

#include "wire/frame.h"

enum { LIMIT = 256 };

static const uint8_t sample_body[100] = "a body";

static struct frame sample_frame(uint8_t type, uint32_t body_length, uint32_t data_length) {
    return (struct frame){.type = type, .body_length = body_length, .data_length = data_length, .order = 1};
}

enum { STREAM_MAX = 1024, FRAMES = 5 };

struct stream {
    uint8_t bytes[STREAM_MAX];
    size_t n;
    size_t ends[FRAMES]; /* of each frame */
};

static void add_frame(struct stream *s, unsigned index, uint8_t type, uint32_t body_length,
                      uint32_t data_length) {
    struct frame f = sample_frame(type, body_length, data_length);
    f.seq = index;
    f.order = index + 1;
    frame_encode(&f, sample_body, s->bytes + s->n);
    memcpy(s->bytes + s->n + FRAME_HEADER_SIZE, sample_body, body_length);
    memset(s->bytes + s->n + FRAME_HEADER_SIZE + body_length, 'd', data_length);
    s->n += FRAME_HEADER_SIZE + body_length + data_length;
    s->ends[index] = s->n;
}

/* With and without body and data, in every combination that there is. */
static struct stream sample_stream(void) {
    struct stream s = {.n = 0};
    add_frame(&s, 0, MSG_HEARTBEAT, 0, 0);
    add_frame(&s, 1, MSG_CHUNK, 40, 13);
    add_frame(&s, 2, MSG_ENTRIES, 100, 0);
    add_frame(&s, 3, MSG_BUNDLE, 0, 1);
    add_frame(&s, 4, MSG_BYE, 0, 0);
    return s;
}

struct reading {
    unsigned frames;
    bool bad, idle;
    struct err err;
};

static void check_ready(const struct frame_reader *fr, const uint8_t *data, unsigned index) {
    assert_int_equal(fr->frame.seq, index);
    assert_int_equal(fr->frame.order, index + 1);
    assert_memory_equal(fr->body, sample_body, fr->frame.body_length);
    for (uint32_t i = 0; i < fr->frame.data_length; i++)
        assert_true(data[i] == 'd' || data[i] == 'd' + 1);
}

/* Feed n bytes in steps of at most `step`; buffers are exactly as large as they must be. */
static struct reading read_stream(const uint8_t *bytes, size_t n, size_t step) {
    struct reading got = {.frames = 0};
    uint8_t *body = malloc(sizeof sample_body), *data = NULL;
    struct frame_reader fr;
    frame_reader_init(&fr, body, sizeof sample_body, 13);
    for (size_t at = 0; at < n && !got.bad;) {
        struct room room = frame_reader_space(&fr);
        size_t take = n - at < step ? n - at : step;
        take = take < room.n ? take : room.n;
        assert_true(take > 0);
        memcpy(room.p, bytes + at, take);
        at += take;
        switch (frame_reader_fed(&fr, take, &got.err)) {
        case FRAME_MORE: break;
        case FRAME_BAD: got.bad = true; break;
        case FRAME_NEED_DATA:
            data = malloc(fr.frame.data_length);
            frame_reader_give(&fr, data);
            break;
        case FRAME_READY:
            check_ready(&fr, data, got.frames++);
            frame_reader_next(&fr);
            free(data);
            data = NULL;
        }
    }
    got.idle = frame_reader_is_idle(&fr);
    free(data);
    free(body);
    return got;
}

static void frames_arrive_whole_whatever_the_steps(void **state) {
    (void)state;
    struct stream s = sample_stream();
    for (size_t step = 1; step <= s.n + 1; step++) {
        struct reading got = read_stream(s.bytes, s.n, step);
        assert_false(got.bad);
        assert_true(got.idle);
        assert_int_equal(got.frames, FRAMES);
    }
}

static void a_stream_cut_inside_a_frame_is_not_idle(void **state) {
    (void)state;
    struct stream s = sample_stream();
    unsigned whole = 0;
    for (size_t n = 0; n <= s.n; n++) {
        struct reading got = read_stream(s.bytes, n, SIZE_MAX);
        whole += whole < FRAMES && n == s.ends[whole];
        assert_false(got.bad);
        assert_int_equal(got.frames, whole);
        assert_true(got.idle == (n == 0 || (whole > 0 && n == s.ends[whole - 1])));
    }
}

static bool is_in_data(size_t at, const struct stream *s) {
    return (at >= s->ends[1] - 13 && at < s->ends[1]) || at == s->ends[3] - 1;
}

static void every_flipped_bit_outside_of_data_ends_the_stream(void **state) {
    (void)state;
    struct stream s = sample_stream();
    for (size_t at = 0; at < s.n; at++) {
        for (unsigned bit = 0; bit < 8; bit++) {
            bool data = is_in_data(at, &s);
            if (data && bit > 0)
                continue; /* the data area has its digest; the reader passes it on as it is */
            s.bytes[at] ^= (uint8_t)(1U << bit);
            struct reading got = read_stream(s.bytes, s.n, 7);
            assert_true(got.bad == !data);
            assert_int_equal(got.err.code, data ? 0 : EXIT_STREAM);
            s.bytes[at] ^= (uint8_t)(1U << bit);
        }
    }
}

static void a_lost_or_repeated_frame_is_found_by_seq(void **state) {
    (void)state;
    struct stream s = sample_stream();
    struct reading lost = read_stream(s.bytes + s.ends[0], s.n - s.ends[0], SIZE_MAX);
    assert_int_equal(lost.err.code, EXIT_STREAM);
    assert_non_null(strstr(lost.err.msg, "seq is 1, not 0"));
    memcpy(s.bytes + s.ends[0], s.bytes, s.ends[0]);
    struct reading again = read_stream(s.bytes, 2 * s.ends[0], SIZE_MAX);
    assert_int_equal(again.frames, 1);
    assert_non_null(strstr(again.err.msg, "seq is 0, not 1"));
}

/* Feed one frame without data whole. */
static enum frame_status feed(struct frame_reader *fr, const struct frame *f, struct err *err) {
    uint8_t header[FRAME_HEADER_SIZE];
    frame_encode(f, sample_body, header);
    memcpy(frame_reader_space(fr).p, header, sizeof header);
    enum frame_status status = frame_reader_fed(fr, sizeof header, err);
    if (status != FRAME_MORE)
        return status;
    memcpy(frame_reader_space(fr).p, sample_body, f->body_length);
    return frame_reader_fed(fr, f->body_length, err);
}

static void seq_goes_on_at_0_after_2_32(void **state) {
    (void)state;
    uint8_t body[LIMIT];
    struct frame_reader fr;
    struct frame f = sample_frame(MSG_SYNC, 0, 0);
    frame_reader_init(&fr, body, LIMIT, 0);
    fr.next_seq = UINT32_MAX;
    f.seq = UINT32_MAX;
    assert_int_equal(feed(&fr, &f, NULL), FRAME_READY);
    frame_reader_next(&fr);
    f.seq = 0;
    assert_int_equal(feed(&fr, &f, NULL), FRAME_READY);
}

static void limits_can_change_between_frames(void **state) {
    (void)state;
    uint8_t body[LIMIT];
    struct frame_reader fr;
    struct frame f = sample_frame(MSG_ENTRIES, 50, 0);
    frame_reader_init(&fr, body, 50, 0);
    assert_int_equal(feed(&fr, &f, NULL), FRAME_READY);
    frame_reader_next(&fr);
    fr.body_max = 51;
    f = sample_frame(MSG_ENTRIES, 51, 0);
    f.seq = 1;
    assert_int_equal(feed(&fr, &f, NULL), FRAME_READY);
    frame_reader_next(&fr);
    fr.body_max = 50;
    f.seq = 2;
    assert_int_equal(feed(&fr, &f, NULL), FRAME_BAD);
}

static void a_broken_reader_stays_broken(void **state) {
    (void)state;
    uint8_t body[LIMIT];
    struct frame_reader fr;
    struct err err = {.code = 0};
    struct frame f = sample_frame(MSG_SYNC, 0, 0);
    frame_reader_init(&fr, body, LIMIT, 0);
    f.seq = 1;
    assert_int_equal(feed(&fr, &f, &err), FRAME_BAD);
    frame_reader_next(&fr);
    frame_reader_give(&fr, body);
    assert_int_equal(frame_reader_space(&fr).n, 0);
    err.code = 0;
    assert_int_equal(frame_reader_fed(&fr, 0, &err), FRAME_BAD);
    assert_int_equal(err.code, EXIT_STREAM);
    assert_false(frame_reader_is_idle(&fr));
}

static void more_bytes_than_there_was_room_for_are_refused(void **state) {
    (void)state;
    uint8_t body[LIMIT];
    struct frame_reader fr;
    struct err err = {.code = 0};
    frame_reader_init(&fr, body, LIMIT, 0);
    assert_int_equal(frame_reader_fed(&fr, FRAME_HEADER_SIZE + 1, &err), FRAME_BAD);
    assert_int_equal(err.code, EXIT_STREAM);
}

static void reader_waits_for_a_buffer_and_for_next(void **state) {
    (void)state;
    struct stream s = sample_stream();
    uint8_t body[LIMIT], data[LIMIT];
    const uint8_t *from = s.bytes + s.ends[0];
    struct frame_reader fr;
    frame_reader_init(&fr, body, LIMIT, LIMIT);
    fr.next_seq = 1;
    memcpy(frame_reader_space(&fr).p, from, FRAME_HEADER_SIZE);
    assert_int_equal(frame_reader_fed(&fr, FRAME_HEADER_SIZE, NULL), FRAME_MORE);
    frame_reader_give(&fr, data); /* too early: no effect */
    memcpy(frame_reader_space(&fr).p, from + FRAME_HEADER_SIZE, 40);
    assert_int_equal(frame_reader_fed(&fr, 40, NULL), FRAME_NEED_DATA);
    assert_int_equal(frame_reader_space(&fr).n, 0);
    assert_int_equal(frame_reader_fed(&fr, 0, NULL), FRAME_NEED_DATA);
    frame_reader_give(&fr, data);
    assert_ptr_equal(frame_reader_space(&fr).p, data);
    assert_int_equal(frame_reader_space(&fr).n, 13);
    frame_reader_next(&fr); /* too early: no effect */
    assert_int_equal(frame_reader_fed(&fr, 13, NULL), FRAME_READY);
    assert_int_equal(frame_reader_space(&fr).n, 0);
    assert_int_equal(frame_reader_fed(&fr, 0, NULL), FRAME_READY);
    frame_reader_next(&fr);
    assert_int_equal(frame_reader_space(&fr).n, FRAME_HEADER_SIZE);
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(frames_arrive_whole_whatever_the_steps),
        cmocka_unit_test(a_stream_cut_inside_a_frame_is_not_idle),
        cmocka_unit_test(every_flipped_bit_outside_of_data_ends_the_stream),
        cmocka_unit_test(a_lost_or_repeated_frame_is_found_by_seq),
        cmocka_unit_test(seq_goes_on_at_0_after_2_32),
        cmocka_unit_test(limits_can_change_between_frames),
        cmocka_unit_test(a_broken_reader_stays_broken),
        cmocka_unit_test(more_bytes_than_there_was_room_for_are_refused),
        cmocka_unit_test(reader_waits_for_a_buffer_and_for_next),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
