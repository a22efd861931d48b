#!/usr/bin/env python3
"""Who breaks off and comes back again and again, and gets nothing done, is left, whatever it does to look busy; who gets on
a little each time is not. And who comes back comes back as what it was.

Time decides nothing here: comebacks are counted until the other end leaves, up to a number that it must not reach."""

import socket
import struct
import threading

import peer  # first: it finds the others
import lib
from golden_build import Entries, basis, hello, joined, preamble, run, start, u
from lib import HVRECV, HVSEND, MIB, case, check, check_equal, each, failed, noise, put, wait_until
from peer import MADE, PREAMBLE, RECEIVER, SENDER, SKIP, WANT, Closed, Listener, Peer

FEATURE_RESUME, FEATURE_DELTA, FEATURE_CHECK = 2, 8, 64
EVERYTHING = FEATURE_RESUME | FEATURE_DELTA | FEATURE_CHECK
FRAME_OPTIONAL, UNKNOWN = 2, 200
BREAKS_MAX, VOIDS_MAX = 64, 256  # of a listening end; of a file
NEVER = 400  # comebacks
RETRIES = 3
AGAIN = ["--retry", str(RETRIES), "--retry-delay", "0.001"]
TALK = ("ACK", "HEARTBEAT")


def resuming(one, role, session, features, processed, **fields):
    """The body of HELLO or WELCOME of who goes on with a session."""
    ours = joined(hello(**{"role": role, "intent": 3, "features": features, "codecs": 1, "processed": processed, **fields}))
    return [(ours[:12] + session + ours[28:], "")]


class Hostile:
    """A peer that breaks off after each bit that it does, and comes back. `act` is what it does on each stream."""

    def __init__(self, role, act, features=FEATURE_RESUME):
        self.role, self.act, self.features = role, act, features
        self.order, self.processed, self.comebacks, self.said = 0, 0, 0, None
        self.ids, self.chunk, self.session, self.answered, self.over = {}, MIB, None, 0, False

    def leave(self, one):
        """The other end gets all that was sent, and then the end of the stream."""
        try:
            one.stream.shutdown(socket.SHUT_WR)
            while one.stream.recv(MIB):
                pass
        except OSError:  # it was the first to leave
            pass
        one.stream.close()

    def take_back(self, one):
        """As a listener: WELCOME for who comes back."""
        one.write(joined(preamble(1, 1)))
        one.read(PREAMBLE)
        asks = one.expect("HELLO")
        check_equal(asks.body[3], 3, "its intent")
        (self.order,) = struct.unpack_from("<Q", asks.body, 48)
        one.send("WELCOME", resuming(one, self.role, self.session, self.features, self.processed, chunk_size=self.chunk))

    def come_back(self, one):
        """As a dialler. False: it is not taken back."""
        one.write(joined(preamble(1, 1)))
        one.read(PREAMBLE)
        one.send("HELLO", resuming(one, self.role, self.session, self.features, self.processed, chunk_size=self.chunk))
        answer = one.expect("WELCOME", "REJECT")
        if answer.kind == "REJECT":
            self.said = answer.text()
            return False
        (self.order,) = struct.unpack_from("<Q", answer.body, 48)
        return True

    def go_on(self, one):
        """One stream of a session that goes on, up to the break."""
        one.order = self.order
        self.comebacks += 1
        try:
            self.act(self, one)
        except Closed:
            pass
        self.leave(one)

    def serve(self, listener, most=NEVER):
        """For a thread: takes back whoever dials, so often at most."""
        while self.comebacks < most:
            one = listener.accept()
            if self.over:
                one.stream.close()
                return
            try:
                self.take_back(one)
            except Closed:
                one.stream.close()
                continue
            self.go_on(one)

    def dial(self, address, most=NEVER):
        """Comes back until it is shown out."""
        while self.comebacks < most:
            try:
                one = Peer.dial(address)
            except OSError:
                return
            with one:
                try:
                    if not self.come_back(one):
                        return
                except Closed:
                    return
                self.go_on(one)

    def stop(self, address):
        """Ends serve(), which waits for a dialler."""
        self.over = True
        Peer.dial(address).stream.close()

    # ---- of a receiver ----------------------------------------------------------------------------------

    def listing(self, one):
        """Everything up to LIST_END: {path: id}."""
        while (message := one.recv()).kind != "LIST_END":
            if message.kind == "ENTRIES":
                self.ids.update(entries_of(message.body))
            check(message.kind in ("START", "ENTRIES", *TALK), f"{message.kind} came instead of the list")
        self.processed = message.order
        return self.ids


def entries_of(body):
    """(path, id) of each; a name stands alone, the end of a directory has "/" behind."""
    at, last = 0, []
    while at < len(body):
        file_id, kind, shared, added = struct.unpack_from("<QBBB", body, at)
        (tags,) = struct.unpack_from("<I", body, at + 36)
        at, last = at + 48, last[:shared]
        for _ in range(added):
            last.append(body[at + 1 : at + 1 + body[at]].decode())
            at += 1 + body[at]
        at += tags
        yield "/".join(last) + "/" * (kind == 3), file_id


# ---- what does not move a transfer ---------------------------------------------------------------------------------


def nothing(me, one):
    """It hangs up at once."""


def unknown(me, one):
    """An ordered message that may be passed over."""
    one.write(one.bytes_of(UNKNOWN, flags=FRAME_OPTIONAL))


def empty(me, one):
    """VERDICTS about nothing."""
    one.send("VERDICTS")


def void(me, one):
    """Takes what stands in the place of the bundle, and breaks off where it comes again."""
    while (message := one.recv()).kind != "BUNDLE":
        me.processed = message.order or me.processed
    check(me.comebacks == 1 or me.processed, "no VOID came")


def make_source(ws, small=1):
    source = ws.dir("source")
    put(source / "big", noise(MIB, "big"))
    for i in range(small):
        put(source / f"small{i:03}", noise(100, i))
    return source


def begin_as_receiver(me, one, asks=None, verdicts=None):
    """The first stream of a session, up to its break."""
    if asks is not None:
        me.session = asks.body[12:28]
        (me.chunk,) = struct.unpack_from("<I", asks.body, 32)
    ids = me.listing(one)
    if verdicts:
        one.send("VERDICTS", verdicts(ids))
        while (message := one.recv()).kind != "BUNDLE":
            me.processed = message.order or me.processed
    me.leave(one)


def only_the_small_one(ids):
    return run(ids[""], 1, MADE) + run(ids["big"], 1, SKIP) + run(ids["small000"], 1, WANT)


def gives_up(dialler, me, listener, address):
    """It comes back to the hostile end a few times only, and says why it does so no more."""
    serving = threading.Thread(target=me.serve, args=(listener,))
    serving.start()
    result = dialler.wait()
    me.stop(address)
    serving.join()
    failed(result, (10, 12), "without any progress")
    check(me.comebacks <= RETRIES + 1, f"it came back {me.comebacks} times")


@each([("nothing", nothing, None), ("unknown messages", unknown, None), ("empty VERDICTS", empty, None),
       ("VOID", void, only_the_small_one)])  # fmt: skip
def a_receiver_that_gets_nothing_done_is_not_dialled_for_ever(ws, value):
    _, act, verdicts = value
    source, address, me = make_source(ws), ws.unix(), Hostile(RECEIVER, act, EVERYTHING)
    with Listener(address) as listener:
        sender = ws.start(HVSEND, "-r", *AGAIN, "--zc", "none", f"{source}/", address)
        one = listener.accept()
        begin_as_receiver(me, one, one.welcome(RECEIVER, codecs=1, features=me.features), verdicts)
        gives_up(sender, me, listener, address)


@each([("nothing", nothing), ("unknown messages", unknown)])
def a_sender_that_gets_nothing_done_is_not_dialled_for_ever(ws, value):
    address, me = ws.unix(), Hostile(SENDER, value[1])
    with Listener(address) as listener:
        receiver = ws.start(HVRECV, "-r", *AGAIN, "--connect", address, ws.dir("dest"))
        with listener.accept() as one:
            asks = one.welcome(SENDER, codecs=1, features=FEATURE_RESUME)
            me.session, (me.chunk,) = asks.body[12:28], struct.unpack_from("<I", asks.body, 32)
            me.processed = one.expect("REQUEST").order
            one.send("START", start(1))
        gives_up(receiver, me, listener, address)


def listening_sender(ws, source, *options):
    address = ws.unix()
    return address, ws.listen(address, HVSEND, "-r", "--zc", "none", *options, "--listen", address, f"{source}/")


def greet(me, address):
    one = Peer.dial(address)
    welcome = one.greet(RECEIVER, codecs=1, features=me.features)
    me.session, (me.chunk,) = welcome.body[12:28], struct.unpack_from("<I", welcome.body, 32)
    return one


@each([("nothing", nothing, None), ("unknown messages", unknown, None), ("empty VERDICTS", empty, None),
       ("VOID", void, only_the_small_one)])  # fmt: skip
def a_receiver_that_gets_nothing_done_is_not_served_for_ever(ws, value):
    _, act, verdicts = value
    address, sender = listening_sender(ws, make_source(ws))
    me = Hostile(RECEIVER, act)
    one = greet(me, address)
    one.send("REQUEST", start(1))
    begin_as_receiver(me, one, verdicts=verdicts)
    me.dial(address)
    check(me.comebacks <= BREAKS_MAX + 2, f"it came back {me.comebacks} times")
    wait_until(lambda: "without any progress" in sender.err(), "the sender says why")
    sender.signal(15)
    sender.wait()


def digest_of_nothing(me, one):
    """Of a block that the file has at the receiver's end only."""
    one.send("BASIS", [u(8, "file_id", me.ids["big"]), *basis(2, 1 << 62, 4096, (1 << 30) + me.comebacks, [bytes(16)])[1:]])


@case
def a_receiver_with_digests_of_nothing_is_not_served_for_ever(ws):
    address, sender = listening_sender(ws, make_source(ws))
    me = Hostile(RECEIVER, digest_of_nothing, EVERYTHING)
    one = greet(me, address)
    one.send("REQUEST", start(1))
    begin_as_receiver(me, one)
    me.dial(address)
    check(me.comebacks <= 2 * BREAKS_MAX, f"it came back {me.comebacks} times")
    wait_until(lambda: "without any progress" in sender.err(), "the sender says why")
    sender.signal(15)
    sender.wait()


@each([("nothing", nothing), ("unknown messages", unknown)])
def a_sender_that_gets_nothing_done_is_not_served_for_ever(ws, value):
    address, me = ws.unix(), Hostile(SENDER, value[1])
    receiver = ws.receiver(address, ws.dir("dest"), once=False)
    with Peer.dial(address) as one:
        welcome = one.greet(SENDER, codecs=1, features=FEATURE_RESUME)
        me.session, (me.chunk,) = welcome.body[12:28], struct.unpack_from("<I", welcome.body, 32)
        one.send("START", start(1))
        one.send("ENTRIES", Entries().add(peer.DIR, "d").parts)
        me.processed = one.expect("VERDICTS").order  # who leaves before is not known yet
    me.dial(address)
    check(me.comebacks <= BREAKS_MAX + 2, f"it came back {me.comebacks} times")
    wait_until(lambda: "without any progress" in receiver.err(), "the receiver says why")
    receiver.signal(15)
    receiver.wait()


def skip_one_more_and_void(me, one):
    """A verdict moves the transfer each time, and one file is never taken."""
    me.answered += 1
    one.send("VERDICTS", run(me.ids[f"small{me.answered:03}"], 1, SKIP))
    void(me, one)


@case
def one_file_is_not_read_again_for_ever(ws):
    address, sender = listening_sender(ws, make_source(ws, small=NEVER + 1))
    me = Hostile(RECEIVER, skip_one_more_and_void)
    one = greet(me, address)
    one.send("REQUEST", start(1))
    begin_as_receiver(me, one, verdicts=only_the_small_one)
    me.dial(address)
    check(VOIDS_MAX - 1 <= me.comebacks <= VOIDS_MAX + 2, f"it came back {me.comebacks} times")
    wait_until(lambda: "small000 was on its way in" in sender.err(), "the sender says why")
    sender.signal(15)
    sender.wait()


def away_for_a_while(me, one):
    me.away.wait(0.4)


@each(["while it is away", "while it is there"])
def a_receiver_that_never_asks_is_not_waited_for_however_often_it_comes_back(ws, value):
    """Fewer times than breaks are allowed, and for longer in all than it may take, on whatever machine."""
    address, sender = listening_sender(ws, make_source(ws), "--contimeout", "2", "--grace", "2")
    me = Hostile(RECEIVER, away_for_a_while if value == "while it is there" else nothing)
    me.away, most = threading.Event(), BREAKS_MAX - 10
    me.leave(greet(me, address))
    while me.said is None and me.comebacks < most:
        me.away.wait(0.4)
        me.dial(address, me.comebacks + 1)
    check(me.comebacks < most, f"it came back {me.comebacks} times")
    sender.signal(15)
    sender.wait()


# ---- what moves it -------------------------------------------------------------------------------------------------


def one_verdict(me, one):
    me.answered += 1
    one.send("VERDICTS", run(me.ids[f"small{me.answered:03}"], 1, SKIP))


def one_digest(me, one):
    one.send("BASIS", [u(8, "file_id", me.ids["big"]), *basis(2, MIB, 4096, me.answered, [bytes(16)])[1:]])
    me.answered += 1


def one_chunk(me, one):
    """Whatever comes next of the file, once; all of it was sent before, so that nothing new comes of it."""
    while not (message := one.recv()).order:
        pass
    me.processed = message.order


def only_the_big_one(ids):
    return run(ids[""], 1, MADE) + run(ids["small000"], 1, WANT) + run(ids["big"], 1, WANT)


@each([("a verdict", one_verdict, None), ("a digest", one_digest, None), ("a chunk", one_chunk, only_the_big_one)])
def a_receiver_that_gets_on_a_little_each_time_is_dialled(ws, value):
    _, act, verdicts = value
    times = 4 * RETRIES
    source, address = make_source(ws, times + 1), ws.unix()
    me = Hostile(RECEIVER, act, EVERYTHING)
    with Listener(address) as listener:
        sender = ws.start(HVSEND, "-r", "--delta=on", "--chunk-size", "64K", *AGAIN, "--zc", "none", f"{source}/", address)
        one = listener.accept()
        begin_as_receiver(me, one, one.welcome(RECEIVER, codecs=1, features=me.features), verdicts)
        me.serve(listener, times)
        check_equal(me.comebacks, times, "how often it came back")
        sender.signal(15)
        sender.wait()


# ---- as what it comes back -----------------------------------------------------------------------------------------


@each([("other features", {"features": FEATURE_RESUME | FEATURE_CHECK}), ("another codec", {"codecs": 3}),
       ("other chunks", {"chunk_size": 65536}), ("another window", {"window": 1 << 50}), ("more streams", {"streams": 2}),
       ("another session", {})])  # fmt: skip
def a_session_goes_on_only_as_it_was_agreed(ws, value):
    what, other = value
    source, address, window = make_source(ws), ws.unix(), 1 << 40
    with Listener(address) as listener:
        sender = ws.start(HVSEND, "-r", *AGAIN, "--zc", "none", f"{source}/", address)
        with listener.accept() as one:
            asks = one.welcome(RECEIVER, codecs=1, features=FEATURE_RESUME, window=window)
            session, (chunk,) = asks.body[12:28], struct.unpack_from("<I", asks.body, 32)
            one.expect("START")
        if what == "another session":
            session = bytes(16)
        with listener.accept() as one:
            one.write(joined(preamble(1, 1)))
            one.read(PREAMBLE)
            one.expect("HELLO")
            fields = {"chunk_size": chunk, "window": window, "codecs": 1, **other}
            one.send("WELCOME", resuming(one, RECEIVER, session, fields.pop("features", FEATURE_RESUME), 1, **fields))
            code, text = one.ended_with()
            check_equal((code, "as was agreed" in text), (12, True), f"what it says ({text})")
        failed(sender.wait(), 12, "as was agreed")


@each([1, 20, 25, 43, 99, 139, 255])
def no_peer_chooses_an_exit_code_that_is_not_its_own(ws, code):
    """In the handshake, and in a session."""
    source = make_source(ws)
    for kind in ("REJECT", "ABORT"):
        address = ws.unix()
        with Listener(address) as listener:
            sender = ws.start(HVSEND, "-r", "--retry", "0", f"{source}/", address)
            with listener.accept() as one:
                if kind == "ABORT":
                    one.welcome(RECEIVER, codecs=1)
                else:
                    one.write(joined(preamble(1, 1)))
                    one.read(PREAMBLE)
                    one.expect("HELLO")
                one.send(kind, peer_text(code))
                one.drain()
        failed(sender.wait(), 12, "bye")


def peer_text(code):
    return [(struct.pack("<HH", code, 3) + b"bye", "")]


lib.main(parallel=8)
