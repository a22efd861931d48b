/* The key's file on Windows: what is taken, what is refused, and who may read what is generated. */
#include "files_help.h"

#include "auth/key.h"

#include <aclapi.h>

struct place {
    struct scratch scratch;
    char path[600];
};

static int start(void **state) {
    struct place *p = calloc(1, sizeof *p);
    assert_non_null(p);
    p->scratch = scratch_new();
    (void)snprintf(p->path, sizeof p->path, "%s\\key", p->scratch.path);
    *state = p;
    return 0;
}

static int stop(void **state) {
    struct place *p = *state;
    scratch_free(&p->scratch);
    free(p);
    return 0;
}

/* Lets everybody read the file, and whoever owns it do everything. */
static void let_everybody_read(const struct place *p) {
    char *path = (char *)(uintptr_t)p->path;
    BYTE sid[SECURITY_MAX_SID_SIZE];
    DWORD n = sizeof sid;
    PSID owner = NULL;
    PACL list = NULL;
    PSECURITY_DESCRIPTOR all = NULL;
    assert_true(CreateWellKnownSid(WinWorldSid, NULL, sid, &n));
    assert_int_equal(GetNamedSecurityInfoA(path, SE_FILE_OBJECT, OWNER_SECURITY_INFORMATION, &owner, NULL,
                                           NULL, NULL, &all),
                     0);
    EXPLICIT_ACCESSW entries[2] = {
        {.grfAccessPermissions = GENERIC_READ, .grfAccessMode = GRANT_ACCESS},
        {.grfAccessPermissions = GENERIC_ALL, .grfAccessMode = GRANT_ACCESS},
    };
    BuildTrusteeWithSidW(&entries[0].Trustee, sid);
    BuildTrusteeWithSidW(&entries[1].Trustee, owner);
    assert_int_equal(SetEntriesInAclW(2, entries, NULL, &list), 0);
    assert_int_equal(SetNamedSecurityInfoA(path, SE_FILE_OBJECT,
                                           DACL_SECURITY_INFORMATION | PROTECTED_DACL_SECURITY_INFORMATION,
                                           NULL, NULL, list, NULL),
                     0);
    (void)LocalFree(list);
    (void)LocalFree(all);
}

static void require_refusal(const struct place *p, int code, const char *why) {
    struct key *key = NULL;
    struct err err = {0};
    assert_int_equal(key_load(p->path, &key, &err), -1);
    assert_null(key);
    assert_int_equal(err.code, code);
    if (strstr(err.msg, why) == NULL)
        fail_msg("'%s' does not say '%s'", err.msg, why);
}

static void generated_keys_can_be_loaded_and_differ(void **state) {
    const struct place *p = *state;
    uint8_t first[64];
    for (unsigned i = 0; i < 2; i++) {
        struct key *key = NULL;
        struct err err = {0};
        if (key_generate(p->path, &err) != 0 || key_load(p->path, &key, &err) != 0)
            fail_msg("%s", err.msg);
        const struct span bytes = key_bytes(key);
        assert_int_equal(bytes.n, 64);
        if (i == 0)
            memcpy(first, bytes.p, sizeof first);
        else
            assert_memory_not_equal(first, bytes.p, sizeof first);
        key_free(key);
        remove_file(p->scratch.dir, "key");
    }
}

static void a_key_that_others_may_read_is_refused(void **state) {
    const struct place *p = *state;
    assert_int_equal(key_generate(p->path, NULL), 0);
    let_everybody_read(p);
    require_refusal(p, EXIT_USAGE, "others may read or change it");
}

static void generating_replaces_nothing(void **state) {
    const struct place *p = *state;
    struct err err = {0};
    put_text(p->scratch.dir, "key", "what is there");
    assert_int_equal(key_generate(p->path, &err), -1);
    assert_int_equal(err.code, EXIT_FILE_IO);
    assert_text(p->scratch.dir, "key", "what is there");
}

static void what_is_no_file_holds_no_key(void **state) {
    const struct place *p = *state;
    require_refusal(p, EXIT_FILE_IO, "No such file");
    make_dir(p->scratch.dir, "key", 0755);
    require_refusal(p, EXIT_FILE_IO, "Permission denied");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, start, stop)

int main(void) {
    const struct CMUnitTest tests[] = {
        TEST(generated_keys_can_be_loaded_and_differ),
        TEST(a_key_that_others_may_read_is_refused),
        TEST(generating_replaces_nothing),
        TEST(what_is_no_file_holds_no_key),
    };
    return cmocka_run_group_tests_name("win_key", tests, NULL, NULL);
}
