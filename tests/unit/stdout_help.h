/* stdout_help.h: what code under test printed on stdout, or on stderr. */
#ifndef STDOUT_HELP_H
#define STDOUT_HELP_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <unistd.h>

#include <cmocka.h>

struct capture {
    FILE *file, *of;
    int saved;
};

static inline struct capture capture_start_of(FILE *of) {
    struct capture c = {.file = tmpfile(), .of = of};
    assert_non_null(c.file);
    (void)fflush(of);
    c.saved = dup(fileno(of));
    assert_true(c.saved >= 0 && dup2(fileno(c.file), fileno(of)) >= 0);
    return c;
}

static inline struct capture capture_start(void) {
    return capture_start_of(stdout);
}

/* What was printed, with a NUL; the caller frees it. */
static inline char *capture_end(struct capture *c) {
    (void)fflush(c->of);
    (void)dup2(c->saved, fileno(c->of));
    (void)close(c->saved);
    assert_int_equal(fseek(c->file, 0, SEEK_END), 0);
    long n = ftell(c->file);
    assert_true(n >= 0);
    char *text = malloc((size_t)n + 1);
    assert_non_null(text);
    rewind(c->file);
    assert_int_equal(fread(text, 1, (size_t)n, c->file), n);
    text[n] = '\0';
    (void)fclose(c->file);
    return text;
}

#endif
