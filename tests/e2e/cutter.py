"""Forwards the streams of a session, and cuts them."""

import socket
import threading

import lib
from lib import KIB

PREAMBLE = 16
WHEN_ALL_STAND = object()


class Between:
    """Accepts connections, each with one of its own to the target; `begin(number, near, far)` says what becomes of them."""

    def __init__(self, listen_path, target_path):
        self.target, self.accepted = target_path, 0
        self.door = socket.socket(socket.AF_UNIX)
        self.door.bind(listen_path)
        self.door.listen(16)
        self.threads = []
        self.start(self.serve)

    def start(self, target, *words):
        self.threads.append(threading.Thread(target=target, args=words, daemon=True))
        self.threads[-1].start()

    def serve(self):
        while True:
            try:
                near, _ = self.door.accept()
            except OSError:
                return
            far = socket.socket(socket.AF_UNIX)
            try:
                far.connect(self.target)
            except OSError:
                near.close()
                continue
            self.accepted += 1
            self.begin(self.accepted - 1, near, far)

    def close(self):
        self.door.shutdown(socket.SHUT_RDWR)
        self.door.close()
        for thread in self.threads:
            thread.join(lib.PATIENCE)


def pump(a, b, left, note=lambda n: None):
    """What a says goes to b, until the last of left[0] bytes (None: no end), which other pumps may count down too."""
    try:
        while data := a.recv(64 * KIB):
            note(len(data))
            if left[0] is not None:
                data = data[: left[0]]
                left[0] -= len(data)
            b.sendall(data)
            if left[0] == 0:
                break
    except OSError:
        pass
    for end in (a, b):
        try:
            end.shutdown(socket.SHUT_RDWR)
        except OSError:
            pass


class Cutter(Between):
    """Forwards connections; cuts the n-th one after cuts[n] bytes in both directions together, later ones and those with
    None never. With `hold`, the first one stands still after so many bytes until that many others stand; it may be cut
    WHEN_ALL_STAND, however little it carries."""

    def __init__(self, listen_path, target_path, cuts, hold=None):
        self.cuts = list(cuts)
        self.hold, self.others = hold or (None, 0)
        self.carried = []  # bytes of each connection, both directions
        self.answered = set()  # connections on which the listener has said something
        self.more_answered = threading.Condition()
        super().__init__(listen_path, target_path)

    def begin(self, number, near, far):
        cut = self.cuts[number] if number < len(self.cuts) else None
        left = [None if cut is WHEN_ALL_STAND else cut]
        self.carried.append(0)
        for a, b in ((near, far), (far, near)):
            self.start(pump, a, b, left, lambda n, answer=a is far: self.note(number, n, answer, cut, left))

    def all_stand(self):
        return self.answered.issuperset(range(1, self.others + 1))

    def note(self, number, n, answer, cut, left):
        """n bytes come on this connection; waits where it has to stand still."""
        with self.more_answered:
            self.carried[number] += n
            if answer and n > PREAMBLE:
                self.answered.add(number)
                self.more_answered.notify_all()
            if self.hold and number == 0 and self.carried[0] > self.hold:
                self.more_answered.wait_for(lambda: self.hold is None or self.all_stand(), lib.PATIENCE)
                self.hold = None
            if cut is WHEN_ALL_STAND and self.all_stand():
                left[0] = 0

    def close(self):
        with self.more_answered:
            self.hold = None
            self.more_answered.notify_all()
        super().close()
