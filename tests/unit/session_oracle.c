/* session_oracle.c: what must hold after a session, whatever happened to it. */
#include "session_pair.h"

void stage_set_up(struct stage_set *set) {
    set->scratch = tree_scratch();
    make_dir(set->scratch.dir, "source", 0755);
    assert_int_equal(os_dir_open(set->scratch.dir, "source", &set->source), 0);
    tree_make_source(set->source);
    set->wanted = tree_look(set->source);
    set->dest = OS_DIR_NONE;
    stage_set_reset(set);
    set->old = tree_look(set->dest);
}

void stage_set_reset(struct stage_set *set) {
    os_dir_close(&set->dest);
    remove_tree(set->scratch.dir, "dest");
    make_dir(set->scratch.dir, "dest", 0755);
    assert_int_equal(os_dir_open(set->scratch.dir, "dest", &set->dest), 0);
    tree_make_old(set->dest);
}

void stage_set_free(struct stage_set *set) {
    tree_free(&set->wanted);
    tree_free(&set->old);
    os_dir_close(&set->source);
    os_dir_close(&set->dest);
    scratch_free(&set->scratch);
}

/* A code without a word about it would be silent. */
static const char *check_message(const struct side *side) {
    if (side->code == 0)
        return NULL;
    if (side->message[0] && strstr(pair_said(), side->message) == NULL)
        return "an end failed and its message was not printed";
    return pair_said()[0] ? NULL : "an end failed without a message";
}

const char *stage_run(struct stage_set *set, const struct pair_options *opt, struct pair_result *ret) {
    stage_set_reset(set);
    pair_run(opt, set->source, set->dest, ret);
    struct tree now = tree_look(set->dest);
    const char *problem = ret->leak;
    if (!problem && (ret->passed[TO_RECEIVER].unreadable || ret->passed[TO_SENDER].unreadable))
        problem = "an end sent what is no frame";
    if (!problem)
        problem = tree_mixed(&now, &set->old, &set->wanted);
    /* Whoever returns 0 has heard that all is well, and nothing before that was harmed. */
    if (!problem && ret->sender.code == 0 && !ret->passed[TO_SENDER].finish_ack)
        problem = "the sender did not notice";
    if (!problem && ret->receiver.code == 0 && !ret->passed[TO_RECEIVER].bye)
        problem = "the receiver did not notice";
    bool done = ret->sender.code == 0 || ret->receiver.code == 0;
    if (!problem && done && opt->selects == NULL)
        problem = tree_lacks(&now, &set->wanted);
    if (!problem)
        problem = check_message(&ret->sender);
    if (!problem)
        problem = check_message(&ret->receiver);
    tree_free(&now);
    return problem;
}

static const char *must_heal(const struct pair_result *r) {
    if (r->sender.code != 0 || r->receiver.code != 0)
        return "damaged data was not healed";
    if (r->passed[TO_RECEIVER].hits == r->passed[TO_RECEIVER].unseen)
        return NULL; /* nobody need notice; stage_run has compared the trees */
    if (r->sender.resent == 0 || r->receiver.resent == 0)
        return "damaged data was not counted as sent again";
    return NULL;
}

const char *stage_run_fault(struct stage_set *set, const struct pair_options *opt, struct pair_result *ret) {
    const char *problem = stage_run(set, opt, ret);
    const struct passed *forth = &ret->passed[TO_RECEIVER], *back = &ret->passed[TO_SENDER];
    bool failed = ret->sender.code != 0 || ret->receiver.code != 0;
    bool hurried =
        opt->timeout_ms > 0 && (ret->sender.code == EXIT_TIMEOUT || ret->receiver.code == EXIT_TIMEOUT);
    if (problem)
        return problem;
    if (forth->harms + back->harms == 0 && forth->hits > 0 && !hurried)
        return must_heal(ret);
    if (forth->hits + back->hits == 0 && failed && !hurried)
        return "a session failed though nothing was done to it";
    if (forth->harms == 1 && forth->hit_type == MSG_BYE && back->harms == 0 && ret->sender.code != 0 &&
        !hurried)
        return "the sender failed after all was acknowledged";
    return NULL;
}

void pair_require(const char *problem, const struct pair_options *opt, const struct pair_result *r) {
    if (problem == NULL)
        return;
    for (unsigned i = 0; opt->plan && i < opt->plan->count; i++) {
        const struct fault *f = &opt->plan->faults[i];
        print_message("# %s: frame %u of type %u to the %s, bit %llu, repeat %u\n", fault_names[f->kind],
                      f->index, f->type, f->direction == TO_RECEIVER ? "receiver" : "sender",
                      (unsigned long long)f->bit, f->repeat);
    }
    for (unsigned d = 0; d < DIRECTIONS; d++)
        print_message("# to the %s: %u frames, %u hit, the first a %s\n",
                      d == TO_RECEIVER ? "receiver" : "sender", r->passed[d].count, r->passed[d].hits,
                      msg_type_name(r->passed[d].hit_type));
    print_message("# codec %s; serial: sender %d, receiver %d; stopped after: %u, %u us\n",
                  codec_id_name(opt->codec), opt->sender_serial, opt->receiver_serial, opt->stop_sender_us,
                  opt->stop_receiver_us);
    print_message("# sender %d (%s), resent %llu\n# receiver %d (%s), resent %llu\n# they said: %s\n",
                  r->sender.code, r->sender.message, (unsigned long long)r->sender.resent, r->receiver.code,
                  r->receiver.message, (unsigned long long)r->receiver.resent, pair_said());
    print_message("# %s\n", problem);
    fail_msg("%s", problem);
}
