"""The wire format's building blocks: frames and bodies as lists of (bytes, comment)."""
import sys

try:
    import xxhash
except ImportError:
    print("skipped: python3-xxhash is missing")
    sys.exit(77)

MAGIC = b"\x89HVF\r\n\x1a\n"
TYPES = {
    "HELLO": 1, "WELCOME": 2, "REJECT": 3, "AUTH": 4, "CHALLENGE": 5,
    "START": 16, "ENTRIES": 17, "LIST_END": 18, "FILE_BEGIN": 19, "CHUNK": 20, "HOLE": 21, "BUNDLE": 22,
    "FILE_END": 23, "FILE_FAIL": 24, "FILE_SAME": 25, "REUSE": 26, "VOID": 27, "SYNC": 28, "DELETE": 29,
    "FINISH": 30, "BYE": 31,
    "REQUEST": 32, "VERDICTS": 33, "DURABLE": 34, "REFUSED": 35, "FILE_ERROR": 36, "BASIS": 37,
    "NAMES": 38, "FINISH_ACK": 39,
    "ACK": 48, "HEARTBEAT": 49, "ABORT": 50, "UNLISTED": 56,
}
RESENT, OPTIONAL = 1, 2
MIB = 1 << 20
KIB64 = 1 << 16
INT64_MAX = (1 << 63) - 1
SESSION_ID = bytes(range(0xA0, 0xB0))
KEY = bytes(range(32))
NONCE_DIALLER = bytes(range(0x10, 0x30))
NONCE_LISTENER = bytes(range(0x60, 0x80))
MTIME = (1700000000, 123456789)
PACKED = bytes.fromhex("789c4b4ca40c0000148d1841")  # zlib: 64 times "a"


def xxh64(data):
    return xxhash.xxh3_64(data).intdigest()


def xxh128(data):
    return xxhash.xxh3_128(data).digest()  # canonical: big-endian


# ---- parts: (bytes, comment) ------------------------------------------------------------------------


def u(size, name, value):
    return (value.to_bytes(size, "little", signed=value < 0), f"{name} = {value}")


def raw(name, data):
    return (data, f"{name} = {data.hex()}")


def text(name, value):
    return (value.encode(), f"{name} = {value}")


def note(data, comment):
    return (data, comment)


def said(comment):
    return (b"", comment)


def reserved(size):
    return (bytes(size), "reserved")


def joined(parts):
    return b"".join(data for data, _ in parts)


def preamble(version_min, version_max, magic=MAGIC, check_xor=0):
    head = magic + version_min.to_bytes(2, "little") + version_max.to_bytes(2, "little")
    check = (xxh64(head) & 0xFFFFFFFF) ^ check_xor
    return [
        note(magic, "magic"),
        u(2, "version_min", version_min),
        u(2, "version_max", version_max),
        note(check.to_bytes(4, "little"), "check"),
    ]


def frame(name, body, data=b"", order=None, seq=0, flags=0, **wrong):
    """`wrong` replaces header fields (before the checks are taken) or spoils checks (after)."""
    kind = TYPES.get(name, name)
    unordered = name in ("HELLO", "WELCOME", "REJECT", "AUTH", "CHALLENGE", "ACK", "HEARTBEAT", "ABORT")
    order = order if order is not None else 0 if unordered else 1
    bytes_of_body = joined(body)
    body_check = xxh64(bytes_of_body) ^ wrong.get("body_check_xor", 0)
    head = [
        (kind.to_bytes(1, "little"), f"type = {kind}"),
        u(1, "flags", flags),
        note(wrong.get("reserved", 0).to_bytes(2, "little"), "reserved"),
        u(4, "body_length", wrong.get("body_length", len(bytes_of_body))),
        u(4, "data_length", wrong.get("data_length", len(data))),
        u(4, "seq", seq),
        u(8, "order", order),
        (body_check.to_bytes(8, "little"), f"body_check = {body_check:016x}"),
    ]
    check = xxh64(joined(head)) ^ wrong.get("header_check_xor", 0)
    head.append(note(check.to_bytes(8, "little"), "header_check"))
    return head + body + ([note(data, "data area")] if data else [])


# ---- bodies -----------------------------------------------------------------------------------------


def tag(number, value):
    return [
        (number.to_bytes(2, "little"), f"tag = {number:#06x}"),
        note(len(value).to_bytes(2, "little"), "length"),
        raw("value", value),
    ]


def path_value(path):
    names = [n.encode() for n in path.split("/")] if path else []
    return bytes([len(names)]) + b"".join(bytes([len(n)]) + n for n in names)


def hello(role=1, intent=1, version=1, features=0, codecs=3, chunk_size=MIB, window=64 * MIB, stream=0,
          streams=1, processed=0, tags=()):
    return [
        u(2, "version", version), u(1, "role", role), u(1, "intent", intent), u(8, "features", features),
        raw("session_id", SESSION_ID), u(4, "codecs", codecs), u(4, "chunk_size", chunk_size),
        u(8, "window", window), u(2, "stream", stream), u(2, "streams", streams),
        u(8, "processed", processed),
    ] + [part for t in tags for part in tag(*t)]


def coded_text(code, words):
    return [u(2, "code", code), note(len(words).to_bytes(2, "little"), "text length"), text("text", words)]


def unlisted(path, code, words):
    return [raw("path", path_value(path))] + coded_text(code, words)


def start(flags, durable=0, tags=(), rest=0):
    return [
        u(8, "flags", flags), u(1, "durable", durable), note(rest.to_bytes(7, "little"), "reserved"),
    ] + [part for t in tags for part in tag(*t)]


class Entries:
    """A body of ENTRIES; components that are those of the entry before are shared."""

    def __init__(self):
        self.parts, self.last, self.next_id = [], [], 1

    def add(self, kind, path, size=0, mode=0o644, tags=(), names=None, file_id=None, **wrong):
        names = names if names is not None else [n.encode() for n in path.split("/")] if path else []
        shared = 0
        while shared < min(len(names), len(self.last)) and names[shared] == self.last[shared]:
            shared += 1
        added = names[wrong.get("shared", shared):]
        coded = [part for t in tags for part in tag(*t)]
        self.parts += [
            u(8, "file_id", self.next_id if file_id is None else file_id), u(1, "entry type", kind),
            note(bytes([wrong.get("shared", shared)]), "shared"),
            note(bytes([wrong.get("added", len(added))]), "added"),
            note(bytes([wrong.get("reserved", 0)]), "reserved"),
            u(4, "mode", mode), u(4, "uid", 1000), u(4, "gid", 100), u(8, "mtime_sec", MTIME[0]),
            u(4, "mtime_nsec", wrong.get("mtime_nsec", MTIME[1])),
            note((wrong.get("tags_length", len(joined(coded)))).to_bytes(4, "little"), "tags_length"),
            u(8, "size", size),
        ]
        for name in added:
            self.parts.append(note(bytes([len(name)]), "length of component"))
            self.parts.append(note(name, "component"))
        self.parts.append(said(f"path = {path}"))
        self.parts += coded
        self.last = names
        self.next_id += 1
        return self


def file_begin(file_id=2, size=100, data_size=100, mtime_sec=MTIME[0], mtime_nsec=MTIME[1], mode=0o644):
    return [
        u(8, "file_id", file_id), u(8, "size", size), u(8, "data_size", data_size),
        u(8, "mtime_sec", mtime_sec), u(4, "mtime_nsec", mtime_nsec), u(4, "mode", mode),
    ]


def chunk(data, file_id=2, offset=0, codec=0, raw_length=None, digest=None, rest=0):
    return [
        u(8, "file_id", file_id), u(8, "offset", offset),
        u(4, "raw_length", len(data) if raw_length is None else raw_length), u(1, "codec", codec),
        note(rest.to_bytes(3, "little"), "reserved"), raw("digest", digest or xxh128(data)),
    ]


def hole(file_id=2, offset=MIB, length=4096):
    return [u(8, "file_id", file_id), u(8, "offset", offset), u(8, "length", length)]


def bundle(members, raw_length=None, codec=0, count=None, mode=0o600, digest=None):
    """members: (file_id, content)"""
    contents = b"".join(content for _, content in members)
    parts = [
        u(4, "raw_length", len(contents) if raw_length is None else raw_length), u(1, "codec", codec),
        reserved(3), raw("digest", digest or xxh128(contents)),
        u(4, "count", len(members) if count is None else count), reserved(4),
    ]
    for file_id, content in members:
        parts += [
            u(8, "file_id", file_id), u(8, "mtime_sec", MTIME[0]), u(4, "mtime_nsec", MTIME[1]),
            u(4, "mode", mode), u(4, "size", len(content)), reserved(4),
        ]
    return parts


def file_digest(chunks, size):
    """chunks: (offset, content)"""
    records = b""
    for offset, content in chunks:
        records += offset.to_bytes(8, "little") + len(content).to_bytes(4, "little") + bytes(4) + xxh128(content)
    return xxh128(records + size.to_bytes(8, "little"))


def file_end(file_id=2, size=100, chunks=1, digest=bytes(16)):
    return [u(8, "file_id", file_id), u(8, "size", size), u(8, "chunks", chunks), raw("digest", digest)]


def file_same(file_id=2, mode=0o644):
    return [u(8, "file_id", file_id), u(8, "mtime_sec", -5), u(4, "mtime_nsec", 999999999), u(4, "mode", mode)]


def run(first_id, count, verdict):
    return [u(8, "first_id", first_id), u(4, "count", count), u(1, "verdict", verdict), reserved(3)]


def basis(kind, size, block_size, first_block, digests, count=None):
    return [
        u(8, "file_id", 2), u(8, "size", size), u(1, "kind", kind), reserved(3),
        u(4, "block_size", block_size), u(8, "first_block", first_block),
        u(4, "count", len(digests) if count is None else count), reserved(4),
    ] + [raw("digest", d) for d in digests]


def names(file_id, last, values):
    parts = [u(8, "file_id", file_id), u(1, "last", last), reserved(3), u(4, "count", len(values))]
    for value in values:
        parts += [note(bytes([len(value)]), "length of name"), text("name", value)]
    return parts


def ack(processed, credit, count):
    return [u(8, "processed", processed), u(8, "credit", credit), u(8, "written", count)]


def totals(entries, committed, skipped, made, failed, count):
    return [
        u(8, "entries", entries), u(8, "committed", committed), u(8, "skipped", skipped), u(8, "made", made),
        u(8, "failed", failed), u(8, "bytes", count),
    ]


# ---- vectors ------------------------------------------------------------------------------------------

written = {}  # name: text


def vector(name, title, parts, phase="session", expect=0, error=None):
    assert name not in written and (expect == 0) == name.startswith("good-") and (expect == 0 or error)
    lines = [f"# {title}", f"# phase: {phase}", f"# expect: {expect}"]
    lines += [f"# error: {error}"] if error else []
    for data, comment in parts:
        pieces = [data[i:i + 16].hex(" ") for i in range(0, len(data), 16)] or [""]
        lines.append(f"{pieces[0]:<47}  # {comment}")
        lines += pieces[1:]
    written[name] = "\n".join(lines) + "\n"


def handshake(name, title, parts, expect=0, error=None):
    vector(name, title, parts, "handshake", expect, error)


def bad_frame(name, title, error, kind, body, data=b"", expect=12, **header):
    vector(name, title, frame(kind, body, data, **header), expect=expect, error=error)
