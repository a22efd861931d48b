"""What is to hold between the host and its guest, on every recipe that can do what a case needs."""

import ends
import trees
from ends import good, pull, push
from lib import check, check_equal, failed
from runner import case, each

QUICK = ["--timeout", "3"]  # seconds of silence after which an end gives up
WATCHED = ["--progress-fd", "2"]
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
def the_log_names_the_cid_of_the_peer(lab, host, guest):
    source, dest = trees.empty(host), trees.empty(guest)
    pair = push(host, guest, source, dest, send=["-vv"], recv=["-vv"]).end()
    check(f"vsock cid {guest.cid} port " in pair.sender.err, f"the sender does not name it\n{pair}")
    check(f"vsock cid {host.cid} port " in pair.receiver.err, f"the receiver does not name it\n{pair}")


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


# ---- streams that break -----------------------------------------------------------------------------------


class Slowly:
    """With a switch, data moves so slowly that nothing is over before a case has seen it begin."""

    def __init__(self, lab):
        self.switch = lab.switch

    def __enter__(self):
        if self.switch:
            self.switch.rate(8 << 20)

    def __exit__(self, *_):
        if self.switch:
            self.switch.clear()


def make_files(guest, path, mib):
    """Several files, so that a transfer that is cut has finished some."""
    return trees.make_large(guest, mib // 4, path, names="a b c d")


def check_old_or_new(guest, dest, old, new):
    """Every file is wholly of one of the two."""
    mixed = trees.digests(guest, dest) - old - new
    check(not mixed, f"neither old nor new: {mixed}")


class Break:
    """A transfer over files that are there already, which something breaks in the middle."""

    def __init__(self, lab, how, sender, receiver, kept=None, more=()):
        self.sender_guest, self.receiver_guest, self.how = sender, receiver, how
        self.source = make_files(sender, trees.new_room(sender), lab.size(MIB, MIB))
        self.dest = make_files(receiver, kept or trees.new_room(receiver), 4)
        self.old, self.new = trees.digests(receiver, self.dest), trees.digests(sender, self.source)
        options = [*WATCHED, "--timeout", str(lab.silence), *more]
        self.session = how(sender, receiver, self.source, self.dest, send=options, recv=options)

    def check_old_or_new(self):
        check_old_or_new(self.receiver_guest, self.dest, self.old, self.new)

    def both_end(self, codes=BROKEN):
        """Each with a message, and nothing is mixed."""
        pair = self.session.end()
        failed(pair.sender, codes, WHY)
        failed(pair.receiver, codes, WHY)
        self.check_old_or_new()

    def both_go_on(self):
        """The session comes back by itself."""
        pair = self.session.end()
        check((pair.sender.code, pair.receiver.code) == (0, 0), f"it did not come back\n{pair}")
        check("the session goes on" in pair.sender.err, f"nothing broke\n{pair}")
        check_equal(trees.digests(self.receiver_guest, self.dest), self.new, "what has arrived")

    def again(self):
        """The same transfer succeeds now. Where files are kept, times may be coarse: content is what counts."""
        good(self.how(self.sender_guest, self.receiver_guest, self.source, self.dest).end())
        check_equal(trees.digests(self.receiver_guest, self.dest), self.new, "what has arrived")


@case("pair")
def a_receiving_guest_that_crashes_is_noticed_and_has_old_or_new_files(lab, host, guest):
    kept = f"{guest.kept}/crash" if guest.kept else None
    with Slowly(lab):
        broken = Break(lab, push, host, guest, kept)
        ends.wait_for_progress(broken.session.sender)
        guest.kill()
        failed(broken.session.sender.wait(), BROKEN, WHY)
    lab.restart_guest()
    broken.receiver_guest = lab.guest
    if kept:
        broken.check_old_or_new()
    else:
        broken.dest = trees.empty(lab.guest)
    broken.again()


@case("pair")
def a_sending_guest_that_crashes_is_noticed_and_leaves_old_or_new_files(lab, host, guest):
    with Slowly(lab):
        broken = Break(lab, pull, guest, host)
        ends.wait_for_progress(broken.session.receiver)
        guest.kill()
        failed(broken.session.receiver.wait(), BROKEN, WHY)
    broken.check_old_or_new()
    lab.restart_guest()
    broken.sender_guest = lab.guest
    make_files(lab.guest, broken.source, lab.size(MIB, MIB))  # its memory is gone
    broken.new = trees.digests(lab.guest, broken.source)
    broken.again()


@case("pair")
def a_receiving_guest_that_freezes_is_given_up(lab, host, guest):
    with Slowly(lab):
        broken = Break(lab, push, host, guest)
        ends.wait_for_progress(broken.session.sender)
        guest.freeze()
        try:
            failed(broken.session.sender.wait(), 30, GIVEN_UP)
        finally:
            guest.thaw()
        failed(broken.session.receiver.wait(), BROKEN, WHY)
    broken.check_old_or_new()
    broken.again()


@case("pair")
def a_sending_guest_that_freezes_is_given_up(lab, host, guest):
    with Slowly(lab):
        broken = Break(lab, pull, guest, host)
        ends.wait_for_progress(broken.session.receiver)
        guest.freeze()
        try:
            failed(broken.session.receiver.wait(), 30, GIVEN_UP)
        finally:
            guest.thaw()
        failed(broken.session.sender.wait(), BROKEN, WHY)
    broken.check_old_or_new()
    broken.again()


@case("switch")
def a_session_to_a_guest_goes_on_when_its_stream_is_reset(lab, host, guest):
    with Slowly(lab):
        broken = Break(lab, push, host, guest, more=["-v"])
        ends.wait_for_progress(broken.session.sender)
        lab.switch.reset(guest.cid)
        broken.both_go_on()


@case("switch")
def a_session_from_a_guest_goes_on_when_its_stream_is_reset(lab, host, guest):
    with Slowly(lab):
        broken = Break(lab, pull, guest, host, more=["-v"])
        ends.wait_for_progress(broken.session.receiver)
        lab.switch.reset(guest.cid)
        broken.both_go_on()


@each(["vanish", "stall"], "switch")
def both_ends_end_when_the_wire_of_a_receiving_guest_is_damaged(lab, host, guest, damage):
    with Slowly(lab):
        broken = Break(lab, push, host, guest)
        ends.wait_for_progress(broken.session.sender)
        getattr(lab.switch, damage)(guest.cid)
        broken.both_end()
    broken.again()


@each(["vanish", "stall"], "switch")
def both_ends_end_when_the_wire_of_a_sending_guest_is_damaged(lab, host, guest, damage):
    with Slowly(lab):
        broken = Break(lab, pull, guest, host)
        ends.wait_for_progress(broken.session.receiver)
        getattr(lab.switch, damage)(guest.cid)
        broken.both_end()
    broken.again()


@case("switch")
def a_wire_with_a_long_delay_carries_a_tree(lab, host, guest):
    lab.switch.delay(20)
    try:
        a_tree_arrives(lab, push, host, guest)
    finally:
        lab.switch.clear()
