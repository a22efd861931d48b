/* fuzz_sender.c: the fuzzer is the receiver of a real sender. Input: a head (peer.h), then the steps of peer.c.
 *
 * Promises: the session ends, and 0 is returned only when FINISH was sent and FINISH_ACK came. A receiver that reads nothing and
 * makes FINISH_ACK up, while FINISH waits for room, is believed: it could say the same after reading. */
#include "fuzz.h"
#include "peer.h"

#include "../sim/sim.h"
#include "../sim/sim_fs.h"
#include "../sim/sim_net.h"

#include "sender/sender.h"

int LLVMFuzzerTestOneInput(const uint8_t *input, size_t n) {
    enum { LARGE = 150000 };
    struct sim_node *source;
    if (!peer_begin(input, n))
        return 0;
    struct os_dir dir = sim_fs_root(&source);
    struct source_root root = {.base = dir, .name = ""};
    (void)sim_fs_file(source, "small", "small", 5, 1000);
    (void)sim_fs_file(source, "large", NULL, LARGE, 1000);
    (void)sim_fs_file(sim_fs_dir(source, "below"), "other", "other", 5, 1000);
    (void)sim_fs_link(source, "link", "small");
    struct sender_config config = {
        .roots = &root,
        .root_count = 1,
        .flags =
            OPT_RECURSIVE | OPT_LINKS | OPT_PERMS | OPT_TIMES | (input[0] & PEER_CHECKSUM ? OPT_CHECKSUM : 0),
        .chunk_size = CHUNK_SIZE_MIN,
        .timeout_ms = 20 * 1000,
        .handshake_ms = 20 * 1000,
        .dialler = input[0] & PEER_REAL_DIALS,
        .serial = input[0] & PEER_SERIAL,
        .style = {.role = "sender", .progress_fd = -1},
    };
    struct peer_plan plan = {&sender_ops, &config, ROLE_RECEIVER, config.dialler};
    int code = peer_run(&plan, input + PEER_HEAD, n - PEER_HEAD);
    bool heard = peer_heard(MSG_FINISH) > 0 || sim_net_lost() > 0;
    if (code == 0 && (!heard || peer_sent(MSG_FINISH_ACK) == 0))
        SIM_MUST(!plan.real_dials &&
                 peer_heard(MSG_BYE) == 0); /* a server that was stopped without a session */
    os_dir_close(&dir);
    peer_end();
    return 0;
}
