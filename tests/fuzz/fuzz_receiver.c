/* fuzz_receiver.c: the fuzzer is the sender of a real receiver. Input: a head (peer.h), then the steps of peer.c.
 *
 * Promises: the session ends; what is left at the destination are names that a peer may use, no unfinished files but large
 * ones that are kept, and what is beside the destination is as it was; 0 is returned only when FINISH was acknowledged and BYE
 * came. A sender that reads nothing and says BYE while FINISH_ACK waits for room is believed: what it sent is committed. */
#include "fuzz.h"
#include "peer.h"

#include "../sim/sim.h"
#include "../sim/sim_fs.h"
#include "../sim/sim_net.h"

#include "core/path.h"
#include "receiver/receiver.h"

#include <string.h>

/* A large file that the next session could go on with. */
#define PARTIAL RESERVED_PREFIX "part."

static void must_be_legal(const struct sim_node *dir, unsigned depth) {
    struct sim_seen seen;
    SIM_MUST(depth <= PATH_DEPTH_MAX);
    for (unsigned i = 0; sim_fs_at(dir, i, &seen); i++) {
        bool kept = strncmp(seen.name, PARTIAL, sizeof PARTIAL - 1) == 0;
        SIM_MUST(kept || name_check(seen.name, strlen(seen.name)) == NAME_OK);
        if (sim_fs_kind(seen.node) == OS_DIR)
            must_be_legal(seen.node, depth + 1);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t n) {
    struct sim_node *top, *dest;
    struct sim_seen seen;
    if (!peer_begin(input, n))
        return 0;
    struct os_dir top_dir = sim_fs_root(&top), dest_dir;
    dest = sim_fs_dir(top, "dest");
    (void)sim_fs_file(top, "beside", "x", 1, 1);
    (void)sim_fs_file(dest, "old", "old", 3, 1000);
    (void)sim_fs_link(dest, "out", "..");
    SIM_MUST(os_dir_open(top_dir, "dest", &dest_dir) == 0);
    struct receiver_config config = {
        .session = {.root = dest_dir, .umask = 022},
        .chunk_size = CHUNK_SIZE_MIN,
        .timeout_ms = 20 * 1000,
        .handshake_ms = 20 * 1000,
        .dialler = input[0] & PEER_REAL_DIALS,
        .serial = input[0] & PEER_SERIAL,
        .style = {.role = "receiver", .progress_fd = -1},
    };
    struct peer_plan plan = {&receiver_ops, &config, ROLE_SENDER, config.dialler};
    int code = peer_run(&plan, input + PEER_HEAD, n - PEER_HEAD);
    if (code == 0 && peer_heard(MSG_FINISH_ACK) == 0 && !(peer_sent(MSG_FINISH) > 0 && sim_net_lost() > 0))
        SIM_MUST(!plan.real_dials &&
                 peer_sent(MSG_BYE) == 0); /* a server that was stopped without a session */
    must_be_legal(dest, 0);
    SIM_MUST(!sim_fs_at(top, 2, &seen));
    os_dir_close(&dest_dir);
    os_dir_close(&top_dir);
    peer_end();
    return 0;
}
