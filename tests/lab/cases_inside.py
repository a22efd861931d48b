"""Cases that need the machine's programs inside: peers that are difficult, and the end-to-end tests over vsock."""

import re

import ends
import trees
from cases import BROKEN, QUICK, WHY
from ends import SOON, good, push
from lib import HVRECV, HVSEND, Pair, check, failed
from runner import REPOSITORY, case, each

RELAY = REPOSITORY / "tests/lab/relay.py"
PIECES = {1: 0, 4088: 2, 16384: 4}  # bytes of a read: MiB of the file that goes through; 0: a small one


def through_relay(host, guest, source, dest, *words, options=()):
    """hvsend and hvrecv in the host, and between them a relay in the guest: all goes over the wire twice."""
    near, far = next(ends.ports), next(ends.ports)
    receiver = host.start(["hvrecv", "--once", *options, "--listen", f"vsock://:{far}", dest])
    relay = guest.start(["python3", RELAY, near, host.cid, far, *words])
    sender = host.start(["hvsend", "-a", *SOON, *options, f"{source}/", guest.address(near)])
    pair = Pair(sender.wait(), receiver.wait())
    relay.wait()
    return pair


@each(PIECES, "programs")
def a_wire_that_is_read_in_pieces_carries_a_tree(_, host, guest, piece):
    source, dest = trees.empty(host), trees.empty(host)
    trees.do(host, f"seq 1000 >{source}/small")
    if PIECES[piece]:
        trees.make_large(host, PIECES[piece], source)
    good(through_relay(host, guest, source, dest, piece))
    trees.check_same(host, source, host, dest)


@case("programs")
def a_peer_that_closes_with_data_unread_is_an_error_at_both_ends(_, host, guest):
    source, dest = trees.make_large(host, 64), trees.empty(host)
    pair = through_relay(host, guest, source, dest, 65536, 5_000_001, options=QUICK)
    failed(pair.sender, BROKEN, WHY)
    failed(pair.receiver, BROKEN, WHY)
    check(not trees.digests(host, dest), "an unfinished file has its name")


@case("programs")
def ports_reach_from_those_for_root_to_the_last(_, host, guest):
    source, dest = trees.make_large(host, 1), trees.empty(guest)
    nobody = f"exec /usr/bin/setpriv --reuid=65534 --clear-groups {HVRECV} --once --listen vsock://:1023 {dest}"
    failed(guest.run(nobody), 10, "not allowed .ports below 1024 are for root")
    for port in (1023, 2**32 - 2):
        good(push(host, guest, source, dest, port=port).end())
    trees.check_same(host, source, guest, dest)


@each(
    [
        "trees_arrive_in_every_role every chunk size",
        "what_meets_what_at_the_destination all of that",
    ],
    "loopback",
)
def the_end_to_end_tests_pass_over_vsock(_, host, __, words):
    name, _, wanted = words.partition(" ")
    result = host.run(
        f"export HVSEND={HVSEND} HVRECV={HVRECV} HVFERRY_TEST_SCALE=small HVFERRY_TEST_SCHEME=vsock;"
        f"exec python3 {REPOSITORY}/tests/e2e/{name}.py {wanted}"
    )
    out = result.out.decode(errors="backslashreplace")
    check(result.code == 0, f"exit {result.code}\n{out}\n{result.err}")
    check(re.search("^ok ", out, re.MULTILINE), f"no case ran\n{out}")
