"""What is to hold between the host and its guest, on every recipe that can do what a case needs."""

import re
import signal

import ends
import trees
from ends import PATIENT, good, pull, push
from guest import PATIENCE
from lib import check, check_equal, failed, wait_until
from runner import case, each

QUICK = ["--timeout", "3"]  # seconds of silence after which an end gives up
WATCHED = ["--progress-fd", "2", "--chunk-size", "256k"]  # soon something has moved
# However a stream broke: 10 socket, 12 stream, 30 silence.
BROKEN = (10, 12, 30)
MIB = 32  # of a transfer that something breaks; lab.size() may make less of it
GIVEN_UP = "silent|nothing was heard|(sent|took) nothing"
WHY = r"(sender|receiver|hvsend|hvrecv).*\w"


# ---- roles ------------------------------------------------------------------------------------------------


def a_tree_arrives(lab, how, sender, receiver):
    source, dest = trees.make_everything(lab, sender), trees.empty(receiver)
    good(how(sender, receiver, source, dest).end())
    trees.check_same(sender, source, receiver, dest)


@case()
def the_host_sends_to_a_guest_that_listens(lab, host, guest):
    a_tree_arrives(lab, push, host, guest)


@case()
def the_host_pulls_from_a_guest_that_listens(lab, host, guest):
    a_tree_arrives(lab, pull, guest, host)


@case()
def a_guest_sends_to_the_host_that_listens(lab, host, guest):
    a_tree_arrives(lab, push, guest, host)


@case()
def a_guest_pulls_from_the_host_that_listens(lab, host, guest):
    a_tree_arrives(lab, pull, host, guest)


@case()
def log_and_events_name_the_cid_of_the_peer(lab, host, guest):
    source, dest = trees.empty(host), trees.empty(guest)
    pair = push(host, guest, source, dest, send=["-vv"], recv=["-vv", "--json"]).end()
    check(f"vsock cid {guest.cid} port " in pair.sender.err, f"the sender does not name it\n{pair}")
    check("vsock buffer 4.00M of 4.00M" in pair.sender.err, f"the buffer is not what was asked for\n{pair}")
    check(f"vsock cid {host.cid} port " in pair.receiver.err, f"the receiver does not name it\n{pair}")
    check(f'"peer":"vsock cid {host.cid} port ' in pair.receiver.out.decode(), f"the events do not name it\n{pair}")


@case()
def a_peer_is_known_by_its_cid(lab, host, guest):
    source, dest = trees.make_large(host, 1), trees.empty(guest)
    pair = push(host, guest, source, dest, recv=["--allow-peer", "4077"]).end()
    failed(pair.sender, 42, "it does not serve this peer")
    failed(pair.receiver, 42, f"vsock cid {host.cid} port .*--allow-peer does not name it")
    check_equal(trees.digests(guest, dest), set(), "what has arrived")
    good(push(host, guest, source, dest, recv=["--allow-peer", host.cid]).end())


# ---- much -------------------------------------------------------------------------------------------------


@case()
def one_large_file_arrives(lab, host, guest):
    source, dest = trees.make_large(host, lab.size(1024, 32)), trees.empty(guest)
    good(push(host, guest, source, dest).end())
    trees.check_same(host, source, guest, dest)


@case()
def many_small_files_arrive(lab, host, guest):
    source, dest = trees.make_many(guest, lab.size(20, 1), lab.size(1000, 1000)), trees.empty(host)
    good(pull(guest, host, source, dest).end())
    trees.check_same(guest, source, host, dest)


@case()
def two_sessions_at_once_do_not_disturb_each_other(lab, host, guest):
    mib = lab.size(64, 8)
    up, down = trees.make_large(host, mib), trees.make_large(guest, mib)
    at_guest, at_host = trees.empty(guest), trees.empty(host)
    sessions = [push(host, guest, up, at_guest), pull(guest, host, down, at_host)]
    for session in sessions:
        good(session.end())
    trees.check_same(host, up, guest, at_guest)
    trees.check_same(guest, down, host, at_host)


@case()
def large_data_goes_by_four_streams(lab, host, guest):
    source, dest = trees.make_large(host, lab.size(256, 32)), trees.empty(guest)
    pair = push(host, guest, source, dest, send=["-v", "--streams", "4"], recv=["--streams", "4"]).end()
    check((pair.sender.code, pair.receiver.code) == (0, 0), f"it failed\n{pair}")
    for number in (2, 3, 4):
        check(f"stream {number} of 4" in pair.sender.err, f"there is no stream {number}\n{pair}")
    trees.check_same(host, source, guest, dest)


# ---- who is there -----------------------------------------------------------------------------------------


@case()
def a_listener_that_starts_five_seconds_later_is_reached(lab, host, guest):
    source, dest = trees.make_large(host, 1), trees.empty(guest)
    port = next(ends.ports)
    sender = host.start(["hvsend", "-a", f"{source}/", guest.address(port)])
    receiver = guest.run(f"sleep 5; exec hvrecv --once --listen vsock://:{port} {dest}")
    good(ends.Pair(sender.wait(), receiver))
    trees.check_same(host, source, guest, dest)


@case()
def without_a_listener_the_message_says_so(lab, host, guest):
    source = trees.empty(host)
    result = host.run(["hvsend", "-a", "--retry", "0", f"{source}/", guest.address(next(ends.ports))])
    failed(result, (10, 35), "nobody is listening there")
    dest = trees.empty(guest)
    result = guest.run(["hvrecv", "--retry", "0", "--connect", host.address(next(ends.ports)), dest])
    failed(result, (10, 35), "nobody is listening there")


@case()
def a_cid_that_nobody_has_is_an_error_soon(lab, host, guest):
    source = trees.empty(host)
    result = host.run(["hvsend", "-a", "--retry", "0", "--contimeout", "5", f"{source}/", "vsock://4077:5"])
    failed(result, (10, 35), r"vsock://4077:5: \w")


def doctor_says(guest, code, finding, *words):
    """Its last finding, and below it the remedy if something is wrong."""
    result = guest.run(["hvsend", "doctor", *PATIENT, *words])
    lines = result.out.decode().splitlines()
    if code:
        check(lines.pop().startswith("      do: "), f"there is no remedy\n{result}")
    check(result.code == code and re.search(finding, lines[-1]), f"not '{finding}' and {code}\n{result}")


@case()
def doctor_tells_who_is_there(lab, host, guest):
    dest, port = trees.empty(guest), next(ends.ports)
    address = guest.address(port)
    doctor_says(host, 10, f"^fail  connect: nobody listens at CID {guest.cid} on port {port} ", address)
    doctor_says(host, 10, r"^fail  (connect|route): .*\b4077\b", "vsock://4077:5")
    receiver = guest.start(["hvrecv", "--listen", f"vsock://:{port}", dest])
    wait_until(lambda: receiver.ended() or host.run(["hvsend", "doctor", address]).code == 0, "it listens", PATIENCE)
    doctor_says(host, 0, "^ok    peer: hvferry, protocol 1$", address)
    doctor_says(guest, 10, f"^fail  listen: another process listens on port {port} ", "--listen", f"vsock://:{port}")
    receiver.signal(signal.SIGTERM)
    check_equal(receiver.wait().code, 0, "its exit code")
    doctor_says(guest, 0, "^ok    listen: ", "--listen", f"vsock://:{port}")


@case("switch")
def doctor_tells_that_a_guest_does_not_answer(lab, host, guest):
    lab.switch.vanish(guest.cid)
    try:
        doctor_says(host, 35, f"^fail  connect: CID {guest.cid} does not answer: ", "--contimeout", "1",
                    guest.address(next(ends.ports)))  # fmt: skip
    finally:
        lab.switch.clear()


# ---- streams that break -----------------------------------------------------------------------------------


class Slowly:
    """With a switch, data moves so slowly that nothing is over before a case has seen it begin."""

    def __init__(self, lab):
        self.switch = lab.switch

    def __enter__(self):
        if self.switch:
            self.switch.rate(2 << 20)

    def __exit__(self, *_):
        if self.switch:
            self.switch.clear()


def make_files(guest, path, mib):
    """Several files, so that a transfer that is cut has finished some."""
    return trees.make_large(guest, mib // 4, path, names="a b c d")


class Transfer:
    """One over files that are there already, which something is to break in the middle. The guest takes or sends."""

    def __init__(self, lab, guest_takes):
        self.lab, self.guest_takes = lab, guest_takes
        self.how = push if guest_takes else pull
        sender, receiver = self.ends()
        self.source = make_files(sender, trees.new_room(sender), lab.size(MIB, MIB))
        room = trees.new_room(receiver)
        if guest_takes and receiver.kept:
            room = room.replace(receiver.data, receiver.kept)
        self.dest = make_files(receiver, room, 4)
        self.old, self.new = trees.digests(receiver, self.dest), trees.digests(sender, self.source)

    def ends(self):
        """The sender and the receiver; a guest that was booted again is another."""
        at = self.lab.host, self.lab.guest
        return at if self.guest_takes else at[::-1]

    def start(self, *options):
        self.session = self.how(*self.ends(), self.source, self.dest, send=options, recv=options)
        at = self.session.sender, self.session.receiver
        self.at_host, self.at_guest = at if self.guest_takes else at[::-1]

    def check_old_or_new(self):
        """Every file is wholly of one of the two. Of a guest that crashed only what it has `kept` can be seen."""
        _, receiver = self.ends()
        mixed = trees.digests(receiver, self.dest) - self.old - self.new
        check(not mixed, f"neither old nor new: {mixed}")

    def both_end(self):
        """Each with a message, and nothing is mixed."""
        pair = self.session.end()
        failed(pair.sender, BROKEN, WHY)
        failed(pair.receiver, BROKEN, WHY)
        self.check_old_or_new()

    def both_go_on(self):
        """The session comes back by itself."""
        pair = self.session.end()
        check((pair.sender.code, pair.receiver.code) == (0, 0), f"it did not come back\n{pair}")
        check("the session goes on" in pair.sender.err, f"nothing broke\n{pair}")
        self.check_arrived()

    def make_again(self):
        """What a guest that was booted again has lost."""
        sender, receiver = self.ends()
        if self.guest_takes:
            trees.do(receiver, f"mkdir -p {self.dest}")
        else:
            make_files(sender, self.source, self.lab.size(MIB, MIB))
            self.old |= self.new
            self.new = trees.digests(sender, self.source)

    def check_arrived(self):
        """Where files are kept, times may be coarse: content is what counts."""
        check_equal(trees.digests(self.ends()[1], self.dest), self.new, "what has arrived")


def in_the_middle(lab, *more):
    """A guest takes files and sends others at the same time, and both have begun."""
    transfers = [Transfer(lab, guest_takes) for guest_takes in (True, False)]
    for transfer in transfers:
        transfer.start(*WATCHED, "--timeout", str(lab.silence), *more)
    for transfer in transfers:
        ends.wait_for_progress(transfer.at_host)
    return transfers


def again(transfers):
    """The same succeeds now."""
    for transfer in transfers:
        transfer.start()
    for transfer in transfers:
        good(transfer.session.end())
        transfer.check_arrived()


@case("pair")
def a_guest_that_crashes_is_noticed_and_files_are_old_or_new(lab, host, guest):
    with Slowly(lab):
        transfers = in_the_middle(lab)
        guest.kill()
        for transfer in transfers:
            failed(transfer.at_host.wait(), BROKEN, WHY)
    lab.restart_guest()
    for transfer in transfers:
        transfer.make_again()
        transfer.check_old_or_new()
    again(transfers)


@case("switch")
def sessions_go_on_when_their_streams_are_reset(lab, host, guest):
    with Slowly(lab):
        transfers = in_the_middle(lab, "-v")
        lab.switch.reset(guest.cid)
    for transfer in transfers:
        transfer.both_go_on()


@case("pair")
def a_guest_that_freezes_is_given_up(lab, host, guest):
    with Slowly(lab):
        transfers = in_the_middle(lab)
        guest.freeze()
        try:
            for transfer in transfers:
                failed(transfer.at_host.wait(), 30, GIVEN_UP)
        finally:
            guest.thaw()
        for transfer in transfers:
            failed(transfer.at_guest.wait(), BROKEN, WHY)
    for transfer in transfers:
        transfer.check_old_or_new()
    again(transfers)


@each(["vanish", "stall"], "switch")
def both_ends_end_when_the_wire_is_damaged(lab, host, guest, damage):
    with Slowly(lab):
        transfers = in_the_middle(lab)
        getattr(lab.switch, damage)(guest.cid)
        for transfer in transfers:
            transfer.both_end()
    again(transfers)


@case("switch")
def a_wire_with_a_long_delay_carries_a_tree(lab, host, guest):
    lab.switch.delay(20)
    try:
        a_tree_arrives(lab, push, host, guest)
    finally:
        lab.switch.clear()
