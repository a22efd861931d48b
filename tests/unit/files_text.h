/* files_text.h: the part of files_help.h, which includes it, that is the same on every system. */
#ifndef FILES_TEXT_H
#define FILES_TEXT_H

static inline void put_text(struct os_dir at, const char *path, const char *text) {
    put_file(at, path, text, strlen(text));
}

static inline void assert_text(struct os_dir at, const char *path, const char *text) {
    char got[256];
    got[get_file(at, path, got, sizeof got - 1)] = '\0';
    assert_string_equal(got, text);
}

static inline void assert_mtime(const struct os_stat *st, int64_t sec, uint32_t nsec) {
    assert_int_equal(st->mtime_sec, sec);
    assert_int_equal(st->mtime_nsec, os_nsec_kept(nsec));
}

/* For tests of links only. */
static inline void need_links(struct os_dir at) {
    if (!put_link(at, "probe", "nowhere")) {
        print_message("# skipped: no links can be made here\n");
        skip();
    }
    assert_int_equal(os_unlink_at(at, "probe"), 0);
}

/* `mode` as far as the system keeps it. */
static inline void assert_mode(struct os_dir at, const char *path, uint32_t mode) {
    const struct os_stat st = stat_of(at, path);
    assert_int_equal(st.mode, os_mode_kept(st.kind, mode));
}

#endif
