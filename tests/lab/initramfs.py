"""The first file system of a lab kernel: a cpio archive ("newc") written here, so that it needs neither root nor
a program to make it. Contents are files of this machine, or texts."""

import os
import stat
from pathlib import Path


class Initramfs:
    """Collects entries; directories above them come by themselves."""

    def __init__(self):
        self.entries = {}  # path without a leading slash: (mode, bytes, or the Path that holds them)

    def _put(self, path, mode, content):
        path = str(path).strip("/")
        for above in reversed(Path(path).parents):
            if str(above) != ".":
                self.entries.setdefault(str(above), (stat.S_IFDIR | 0o755, b""))
        self.entries[path] = (mode, content)

    def directory(self, path):
        self._put(path, stat.S_IFDIR | 0o755, b"")

    def text(self, path, text, mode=0o755):
        self._put(path, stat.S_IFREG | mode, text.encode())

    def file(self, path, source, mode=0o755):
        """`source` is read when the archive is written; a link is followed."""
        self._put(path, stat.S_IFREG | mode, Path(source))

    def link(self, path, target):
        self._put(path, stat.S_IFLNK | 0o777, target.encode())

    def write(self, to):
        with open(to, "wb") as out:
            for number, (path, (mode, content)) in enumerate(self.entries.items(), 1):
                data = content.read_bytes() if isinstance(content, Path) else content
                _write_entry(out, path, number, mode, data)
            _write_entry(out, "TRAILER!!!", 0, 0, b"")


def _write_entry(out, path, number, mode, data):
    """The header's 13 fields of eight hex digits, the name, the data; names and data end on multiples of four."""
    name = os.fsencode(path) + b"\0"
    links, zero = 1, 0
    fields = (number, mode, 0, 0, links, 0, len(data), zero, zero, zero, zero, len(name), 0)
    head = b"070701" + b"".join(b"%08x" % field for field in fields) + name
    out.write(head + bytes(-len(head) % 4))
    out.write(data + bytes(-len(data) % 4))
