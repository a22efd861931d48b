#!/usr/bin/env python3
"""A FUSE file system with one file, as another machine serves it: what it says of the file is believed for a minute, and after
the first read somebody there writes all of it anew. Read only, for else the kernel asks after each read.

usage: stale_fs.py MOUNT_POINT SIZE     says "mounted" or why not; ends when it is unmounted"""

import ctypes
import os
import struct
import sys

LOOKUP, FORGET, GETATTR, OPEN, READ, RELEASE, FLUSH, INIT, OPENDIR, READDIR, RELEASEDIR, INTERRUPT, DESTROY, BATCH_FORGET = (
    1, 2, 3, 14, 15, 18, 25, 26, 27, 28, 29, 36, 38, 42)  # fmt: skip
HEADER, MS_RDONLY, ENOENT, ENOSYS, VALID_S = 40, 1, 2, 38, 60
ROOT, FILE = 1, 2


class Server:
    def __init__(self, fd, size):
        self.fd, self.size, self.content, self.mtime = fd, size, b"old", 1700000000

    def attributes(self, inode):
        size, mode = (self.size, 0o100644) if inode == FILE else (4096, 0o40755)
        t = self.mtime
        return struct.pack("<6Q10I", inode, size, (size + 511) // 512, t, t, t, 0, 0, 0, mode, 1, 0, 0, 0, 4096, 0)

    def listing(self):
        entries = b""
        for at, (inode, name, kind) in enumerate([(ROOT, b".", 4), (ROOT, b"..", 4), (FILE, b"file", 8)]):
            entry = struct.pack("<QQII", inode, at + 1, len(name), kind) + name
            entries += entry + bytes(-len(entry) % 8)
        return entries

    def read(self, offset, size):
        data = (self.content * (self.size // 3 + 1))[: self.size][offset : offset + size]
        if self.content == b"old":
            self.content, self.mtime = b"new", self.mtime + 1
        return data

    def answer(self, what, node, body):
        """The bytes of an answer, or an error."""
        if what == INIT:
            return struct.pack("<4I2H2I2H", 7, 31, 1 << 17, 0, 16, 12, 1 << 17, 1, 32, 0) + bytes(32)
        if what == LOOKUP:
            if body.rstrip(b"\0") != b"file":
                return -ENOENT
            return struct.pack("<4Q2I", FILE, 1, VALID_S, VALID_S, 0, 0) + self.attributes(FILE)
        if what == GETATTR:
            return struct.pack("<QII", VALID_S, 0, 0) + self.attributes(node)
        if what in (OPEN, OPENDIR):
            return struct.pack("<QII", 0, 0, 0)
        if what in (READ, READDIR):
            _, offset, size = struct.unpack_from("<QQI", body)
            if what == READ:
                return self.read(offset, size)
            return self.listing() if offset == 0 else b""
        return b"" if what in (RELEASE, RELEASEDIR, FLUSH, DESTROY) else -ENOSYS

    def serve(self):
        while True:
            try:
                message = os.read(self.fd, 1 << 20)
            except OSError:  # it is unmounted
                return
            length, what, unique, node = struct.unpack_from("<IIQQ", message)
            if what in (FORGET, BATCH_FORGET, INTERRUPT):
                continue
            answer = self.answer(what, node, message[HEADER:length])
            error, data = (answer, b"") if isinstance(answer, int) else (0, answer)
            os.write(self.fd, struct.pack("<IiQ", 16 + len(data), error, unique) + data)
            if what == DESTROY:
                return


def main():
    at, size = sys.argv[1], int(sys.argv[2])
    libc = ctypes.CDLL(None, use_errno=True)
    try:
        fd = os.open("/dev/fuse", os.O_RDWR)
    except OSError as error:
        sys.exit(f"no FUSE here: {error}")
    how = f"fd={fd},rootmode=40000,user_id=0,group_id=0".encode()
    if libc.mount(b"hvferry-test", at.encode(), b"fuse", MS_RDONLY, how) != 0:
        sys.exit(f"no FUSE here: {os.strerror(ctypes.get_errno())}")
    print("mounted", flush=True)
    Server(fd, size).serve()


if __name__ == "__main__":
    main()
