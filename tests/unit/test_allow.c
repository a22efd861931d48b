/* --allow-peer: who is named, and who is served. */
#include "core/err.h"
#include "program/allow.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

static const char guid[] = "0a1b2c3d-4E5F-6071-8293-a4b5c6d7e8f9";
static const struct peer_id vm = {
    .kind = PEER_HYPERV,
    .vm = {{0x3d, 0x2c, 0x1b, 0x0a, 0x5f, 0x4e, 0x71, 0x60, 0x82, 0x93, 0xa4, 0xb5, 0xc6, 0xd7, 0xe8, 0xf9}},
};

static struct allow_list listed(const char *one, const char *other) {
    struct allow_list list = {.count = 0};
    assert_int_equal(allow_add(&list, one, NULL), 0);
    if (other)
        assert_int_equal(allow_add(&list, other, NULL), 0);
    return list;
}

static struct peer_id cid(uint32_t n) {
    return (struct peer_id){.kind = PEER_VSOCK, .cid = n};
}

static struct peer_id user(uint32_t uid) {
    return (struct peer_id){.kind = PEER_UNIX, .uid = uid, .gid = 3, .pid = 4};
}

static bool admits(const struct allow_list *list, struct peer_id peer) {
    return allow_admits(list, &peer);
}

static void without_a_list_everybody_is_served(void **state) {
    (void)state;
    struct allow_list none = {.count = 0};
    assert_true(admits(&none, cid(3)));
    assert_true(admits(&none, user(0)));
    assert_true(admits(&none, (struct peer_id){.kind = PEER_TCP}));
    assert_true(admits(&none, (struct peer_id){.kind = PEER_UNKNOWN}));
}

static void only_the_named_cids_are_served(void **state) {
    (void)state;
    struct allow_list list = listed("3", "4294967294");
    assert_true(admits(&list, cid(3)));
    assert_true(admits(&list, cid(4294967294u)));
    assert_false(admits(&list, cid(4)));
    assert_false(admits(&list, cid(0)));
    assert_false(admits(&list, cid(UINT32_MAX)));
}

static void host_and_local_are_cids(void **state) {
    (void)state;
    struct allow_list host = listed("host", NULL), local = listed("local", NULL);
    assert_true(admits(&host, cid(2)));
    assert_false(admits(&host, cid(1)));
    assert_true(admits(&local, cid(1)));
    assert_false(admits(&local, cid(2)));
}

static void users_are_named_by_number(void **state) {
    (void)state;
    struct allow_list list = listed("uid:0", "uid:1000");
    assert_true(admits(&list, user(0)));
    assert_true(admits(&list, user(1000)));
    assert_false(admits(&list, user(1001)));
}

static void vms_are_named_by_guid_in_either_case(void **state) {
    (void)state;
    struct allow_list list = listed(guid, NULL);
    struct peer_id other = vm;
    other.vm.b[15] ^= 1;
    assert_true(admits(&list, vm));
    assert_false(admits(&list, other));
}

static void a_number_of_one_kind_is_not_one_of_another(void **state) {
    (void)state;
    struct allow_list list = listed("1000", NULL), users = listed("uid:3", NULL);
    assert_false(admits(&list, user(1000)));
    assert_false(admits(&users, cid(3)));
    assert_false(admits(&list, vm));
}

static void who_is_not_identified_is_on_no_list(void **state) {
    (void)state;
    struct allow_list list = listed("0", "uid:0");
    assert_false(admits(&list, (struct peer_id){.kind = PEER_UNKNOWN}));
    assert_false(admits(&list, (struct peer_id){.kind = PEER_TCP}));
    list.peers[0].kind = PEER_UNKNOWN;
    list.peers[1].kind = PEER_TCP;
    assert_false(admits(&list, (struct peer_id){.kind = PEER_UNKNOWN}));
    assert_false(admits(&list, (struct peer_id){.kind = PEER_TCP}));
}

static void peers_are_the_same_by_what_the_system_says(void **state) {
    (void)state;
    const struct peer_id unknown = {.kind = PEER_UNKNOWN}, tcp = {.kind = PEER_TCP};
    struct peer_id a = user(3), b = user(3);
    a.pid = 7;
    b.pid = 8;
    assert_true(peer_is_same(&a, &b));
    b = user(4);
    assert_false(peer_is_same(&a, &b));
    b = cid(3);
    assert_false(peer_is_same(&a, &b));
    assert_false(peer_is_same(&tcp, &tcp)); /* the system does not say */
    assert_true(peer_may_be_same(&tcp, &tcp));
    assert_true(peer_may_be_same(&unknown, &unknown));
    assert_false(peer_may_be_same(&tcp, &unknown));
}

static void a_list_knows_which_kinds_it_names(void **state) {
    (void)state;
    struct allow_list list = listed("3", guid);
    assert_true(allow_names_kind(&list, PEER_VSOCK));
    assert_true(allow_names_kind(&list, PEER_HYPERV));
    assert_false(allow_names_kind(&list, PEER_UNIX));
    assert_false(allow_names_kind(&list, PEER_TCP));
    assert_false(allow_names_kind(&list, PEER_UNKNOWN));
}

static void what_names_no_peer_is_refused(void **state) {
    (void)state;
    static const char *const bad[] = {
        "",
        "any",
        "Host",
        "-1",
        "3 ",
        "0x3",
        "4294967295",
        "uid:",
        "uid:root",
        "uid:-1",
        "uid:4294967295",
        "gid:0",
        "0a1b2c3d-4E5F-6071-8293-a4b5c6d7e8f",
        "0a1b2c3d-4E5F-6071-8293-a4b5c6d7e8f90",
        "0a1b2c3d-4E5F-6071-8293xa4b5c6d7e8f9",
        "0a1b2c3d-4E5F-6071-8293-a4b5c6d7e8fg",
        "0a1b2c3d04E5F-6071-8293-a4b5c6d7e8f9",
    };
    struct allow_list list = {.count = 0};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        struct err err = {.code = 0};
        if (allow_add(&list, bad[i], &err) == 0)
            fail_msg("'%s' was taken", bad[i]);
        assert_int_equal(err.code, EXIT_USAGE);
        assert_non_null(strstr(err.msg, "--allow-peer: '"));
    }
    assert_int_equal(list.count, 0);
}

static void a_list_has_a_limit(void **state) {
    (void)state;
    struct allow_list list = {.count = 0};
    struct err err = {.code = 0};
    for (int i = 0; i < ALLOW_MAX; i++)
        assert_int_equal(allow_add(&list, "7", NULL), 0);
    assert_int_equal(allow_add(&list, "8", &err), -1);
    assert_int_equal(err.code, EXIT_USAGE);
    assert_true(admits(&list, cid(7)));
    assert_false(admits(&list, cid(8)));
}

int main(void) {
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_a_list_everybody_is_served),
        cmocka_unit_test(only_the_named_cids_are_served),
        cmocka_unit_test(host_and_local_are_cids),
        cmocka_unit_test(users_are_named_by_number),
        cmocka_unit_test(vms_are_named_by_guid_in_either_case),
        cmocka_unit_test(a_number_of_one_kind_is_not_one_of_another),
        cmocka_unit_test(who_is_not_identified_is_on_no_list),
        cmocka_unit_test(peers_are_the_same_by_what_the_system_says),
        cmocka_unit_test(a_list_knows_which_kinds_it_names),
        cmocka_unit_test(what_names_no_peer_is_refused),
        cmocka_unit_test(a_list_has_a_limit),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
