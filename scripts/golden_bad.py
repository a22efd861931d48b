"""The bad and unsupported vectors: each breaks one rule."""
from golden_build import (
    Entries, INT64_MAX, KIB64, MAGIC, MIB, PACKED, ack, bad_frame, basis, bundle, chunk, coded_text,
    file_begin, file_end, file_same, frame, handshake, hello, hole, names, note, path_value, preamble, run,
    start, totals, u, unlisted, vector, written,
)


def bad_preambles():
    def http(name, words, error):
        vector(name, "not hvferry", [note(words, "what it sent")], "preamble", 2, error)

    http("bad-preamble-http", b"HTTP/1.1 400 Bad", "HTTP")
    http("bad-preamble-ssh", b"SSH-2.0-OpenSSH_", "SSH")
    http("bad-preamble-tls", b"\x16\x03\x01\x02\x00\x01" + bytes(10), "TLS")
    http("bad-preamble-noise", bytes(range(16)), "something else")
    vector("bad-preamble-text-mode", "the magic after a newline translation", [note(
        MAGIC.replace(b"\r\n", b"\n") + bytes(9), "magic without CR")], "preamble", 2, "something else")
    vector("bad-preamble-check", "one bit of the check is wrong", preamble(1, 1, check_xor=1 << 31), "preamble",
           12, "check is wrong")
    vector("bad-preamble-versions", "version_min above version_max", preamble(3, 2), "preamble", 2, "no sense")
    vector("bad-preamble-version-0", "there is no version 0", preamble(0, 1), "preamble", 2, "no sense")
    vector("unsupported-version-2", "a peer that speaks only version 2", preamble(2, 2), "preamble", 2,
           "this end is older")


def bad_frames():
    bad_frame("bad-frame-header-check", "one bit of header_check is wrong", "header_check", "SYNC", [],
              header_check_xor=1)
    bad_frame("bad-frame-body-check", "body_check is wrong", "body_check", "ACK", ack(1, 2, 3), body_check_xor=4)
    bad_frame("bad-frame-reserved", "reserved of the header is not 0", "reserved", "SYNC", [], reserved=0x100)
    bad_frame("bad-frame-flags", "an unknown flag", "flags", "SYNC", [], flags=4)
    bad_frame("bad-frame-seq", "the first frame has seq 1", "seq is 1", "SYNC", [], seq=1)
    bad_frame("bad-frame-seq-repeated", "a frame comes twice", "seq is 0", "SYNC", [])
    written["bad-frame-seq-repeated"] += written["bad-frame-seq-repeated"].split("seq is 0\n", 1)[1]
    bad_frame("bad-frame-body-too-long", "body_length above BODY_MAX", "body_length 262145", "SYNC", [],
              body_length=262145)
    bad_frame("bad-frame-data-too-long", "data_length above chunk_size", "data_length 1048577", "CHUNK", chunk(b"x"),
              data_length=MIB + 1)
    bad_frame("bad-frame-data-area", "SYNC may not have data", "may not have a data area", "SYNC", [], b"x")
    bad_frame("bad-frame-chunk-without-data", "CHUNK must have data", "no data area", "CHUNK", chunk(b"x"))
    cut = frame("ACK", ack(1, 2, 3))
    vector("bad-frame-cut-body", "the stream ends inside a body", cut[:-1], expect=12, error="cut")
    vector("bad-frame-cut-header", "the stream ends inside a header", cut[:4], expect=12, error="cut")
    vector("bad-frame-cut-data", "the stream ends inside a data area", frame(
        "CHUNK", chunk(b"ab"), b"a", data_length=2), expect=12, error="cut")
    handshake("bad-handshake-too-long", "body_length above 4056 in the handshake", frame(
        "HELLO", hello(), body_length=4057), 12, "body_length 4057")
    vector("unsupported-message-type", "an unknown type that may not be passed over", frame(60, [], order=1),
           expect=12, error="message 60")


def bad_handshakes():
    def bad(name, title, error, expect=12, **fields):
        handshake(name, title, frame("HELLO", hello(**fields)), expect, error)

    bad("bad-hello-version", "version 2 was not chosen", "version", version=2)
    bad("bad-hello-role", "role 3", "role", role=3)
    bad("bad-hello-intent", "intent 0", "intent", intent=0)
    bad("bad-hello-codecs", "codec none is missing", "codec none", codecs=2)
    bad("bad-hello-chunk-size-small", "chunk_size below the least", "chunk_size 65535", chunk_size=KIB64 - 1)
    bad("bad-hello-chunk-size-large", "chunk_size above the most", "chunk_size", chunk_size=16 * MIB + 1)
    bad("bad-hello-window", "a receiver's window of one byte too few", "window", role=2,
        window=2 * (256 + 262144) + 2 * MIB - 1)
    bad("bad-hello-stream", "a new session starts with stream 0", "stream 1", stream=1, streams=2)
    bad("bad-hello-join-stream", "stream 2 of 2", "stream 2", intent=2, stream=2, streams=2)
    bad("bad-hello-join-first", "stream 0 opens a session, it joins none", "stream 0", intent=2, stream=0, streams=2)
    bad("bad-hello-processed", "a new session has processed nothing", "processed", processed=1)
    bad("bad-hello-nonce", "a nonce of 31 bytes", "TAG_NONCE", tags=[(0x8102, bytes(31))])
    bad("bad-hello-nonce-twice", "two nonces", "twice", tags=[(0x8102, bytes(32)), (0x8102, bytes(32))])
    handshake("bad-hello-tags", "a tag that is longer than the body", frame("HELLO", hello() + [
        note(b"\x01\x01\x05\x00abcd", "5 bytes are promised")]), 12, "malformed tags")
    handshake("bad-hello-short", "HELLO without its last byte", frame("HELLO", hello()[:-1] + [
        note(bytes(7), "7 bytes of processed")]), 12, "too short")
    handshake("bad-reject-code", "code 0 is no refusal", frame("REJECT", coded_text(0, "?")), 12, "code 0")
    handshake("bad-challenge-long", "a nonce of 33 bytes", frame("CHALLENGE", [note(bytes(33), "nonce")]), 12,
              "too many")
    handshake("bad-auth-short", "a MAC of 31 bytes", frame("AUTH", [note(bytes(31), "mac")]), 12, "too short")
    bad("unsupported-hello-tag", "a critical tag of later versions", "0x81f0", 4, tags=[(0x81F0, b"")])


def bad_trees():
    def bad(name, title, error, entries, expect=12):
        bad_frame(name, title, error, "ENTRIES", entries.parts, expect=expect)

    bad_frame("bad-start-durable", "durable 3", "durable", "START", start(0, 3))
    bad_frame("bad-start-reserved", "reserved is not 0", "reserved", "START", start(0, rest=1))
    bad_frame("bad-start-into", "TAG_INTO leads upwards", "'..'", "START", start(0, tags=[(
        0x8202, path_value("a/.."))]))
    bad_frame("bad-start-into-twice", "TAG_INTO comes twice", "twice", "START", start(0, tags=[(
        0x8202, path_value("a")), (0x8202, path_value("a"))]))
    bad_frame("unsupported-start-flag", "a flag of later versions", "0x20000", "START", start(1 << 17), expect=4)
    bad_frame("unsupported-request-tag", "a critical tag of later versions", "0x82f0", "REQUEST", start(
        0, tags=[(0x82F0, b"")]), expect=4)
    bad("bad-entries-empty", "ENTRIES without an entry", "too short", Entries())
    bad("bad-entry-id", "file_id 0", "file_id", Entries().add(1, "a", file_id=0))
    bad("bad-entry-type", "type 10", "type 10", Entries().add(10, "a"))
    bad("bad-entry-root-file", "the root is no file", "depth 0", Entries().add(1, ""))
    bad("bad-entry-shared", "shares with nothing before it", "shared 1", Entries().add(
        1, "a", shared=1, added=0))
    bad("bad-entry-depth", "65 components", "65", Entries().add(1, "/".join(["d"] * 65)))
    bad("bad-entry-mode", "mode 010000", "mode 4096", Entries().add(1, "a", mode=0o10000))
    bad("bad-entry-nsec", "a whole second of nanoseconds", "mtime_nsec", Entries().add(1, "a", mtime_nsec=10**9))
    bad("bad-entry-size", "a size above 2^63-1", "size", Entries().add(1, "a", size=INT64_MAX + 1))
    bad("bad-entry-dir-size", "a directory with a size", "size 1", Entries().add(2, "a", size=1))
    bad("bad-entry-tags", "tags that end beyond the frame", "too short", Entries().add(1, "a", tags_length=1))
    bad("bad-entry-reserved", "reserved is not 0", "reserved", Entries().add(1, "a", reserved=1))
    for name, component in (("dot", b"."), ("dotdot", b".."), ("empty", b""), ("slash", b"a/b"), ("nul", b"a\0b"),
                            ("reserved", b".HVferry.x")):
        bad(f"bad-entry-name-{name}", "the frame is right, this entry is answered by FILE_ERROR", "name", Entries()
            .add(1, "(only for messages)", names=[b"dir", component]), 23)
    bad("bad-entry-link", "a symbolic link without a target", "target", Entries().add(4, "a"), 23)
    bad("bad-entry-windows", "attributes of Windows that are cut short", "Windows", Entries().add(1, "a", tags=[
        (0x0007, b"\0" * 15)]), 23)
    bad("unsupported-entry-tag", "a critical tag of later versions", "0x80f0", Entries().add(
        1, "a", tags=[(0x80F0, b"")]), 23)


def bad_data():
    one = b"x"
    bad_frame("bad-file-begin-size", "size above 2^63-1", "size", "FILE_BEGIN", file_begin(size=1 << 63))
    bad_frame("bad-file-begin-data-size", "more data than size", "data_size", "FILE_BEGIN", file_begin(
        data_size=101))
    bad_frame("bad-file-begin-long", "a byte too many", "too many", "FILE_BEGIN", file_begin() + [
        note(b"\0", "one more")])
    bad_frame("bad-chunk-raw-length-0", "a chunk of nothing", "raw_length 0", "CHUNK", chunk(b""), one)
    bad_frame("bad-chunk-raw-length", "raw_length above chunk_size", "raw_length 1048577", "CHUNK", chunk(
        one, raw_length=MIB + 1, codec=1), one)
    bad_frame("bad-chunk-offset", "the chunk ends beyond 2^63-1", "offset", "CHUNK", chunk(one, offset=INT64_MAX),
              one)
    bad_frame("bad-chunk-stored-length", "stored, but data_length is not raw_length", "data_length 1", "CHUNK",
              chunk(b"xy"), one)
    bad_frame("bad-chunk-packed-length", "packed, but not smaller", "data_length 2", "CHUNK", chunk(
        b"xy", codec=1), b"xy")
    bad_frame("bad-chunk-reserved", "reserved is not 0", "reserved", "CHUNK", chunk(one, rest=1), one)
    bad_frame("bad-chunk-digest", "the data is not that of the digest: answered by REFUSED", "digest", "CHUNK",
              chunk(b"ab"), b"ac", expect=40)
    bad_frame("bad-chunk-bomb", "the packed data is longer than raw_length", "zlib", "CHUNK", chunk(
        b"a" * 63, codec=1), PACKED, expect=40)
    bad_frame("unsupported-codec", "codec 3", "codec 3", "CHUNK", chunk(b"xy", codec=3), one)
    bad_frame("bad-hole-length", "a hole of nothing", "length 0", "HOLE", hole(length=0))
    bad_frame("bad-hole-end", "the hole ends beyond 2^63-1", "offset", "HOLE", hole(
        offset=1, length=INT64_MAX))
    bad_frame("bad-bundle-sum", "sizes do not add up", "add up", "BUNDLE", bundle(
        [(3, b"one")], raw_length=4), b"onex")
    bad_frame("bad-bundle-count", "count and members differ", "length of members", "BUNDLE", bundle(
        [(3, one)], count=2), one)
    bad_frame("bad-bundle-none", "a bundle of no files", "count 0", "BUNDLE", bundle([]))
    bad_frame("bad-bundle-mode", "a member's mode", "mode", "BUNDLE", bundle([(3, one)], mode=0o10000), one)
    bad_frame("bad-file-end-chunks", "more chunks than bytes", "chunks 2", "FILE_END", file_end(size=1, chunks=2))
    bad_frame("bad-file-fail-id", "file_id 0", "file_id", "FILE_FAIL", [u(8, "file_id", 0)] + coded_text(24, ""))
    bad_frame("bad-unlisted-path", "a path with a name ..", "path", "UNLISTED", unlisted("a/..", 23, ""))
    bad_frame("bad-unlisted-code", "code 0", "code", "UNLISTED", unlisted("a", 0, ""))
    bad_frame("bad-file-same-mode", "mode 010000", "mode", "FILE_SAME", file_same(mode=0o10000))
    bad_frame("bad-sync-body", "SYNC has no body", "body", "SYNC", [note(b"\0", "one byte")])
    bad_frame("bad-finish-sum", "entries is not the sum", "entries", "FINISH", totals(11, 4, 3, 2, 1, 0))
    bad_frame("bad-finish-overflow", "a sum modulo 2^64", "entries", "FINISH", totals(
        1, (1 << 64) - 1, 2, 0, 0, 0))


def bad_replies():
    bad_frame("bad-verdict", "verdict 6", "verdict", "VERDICTS", run(1, 1, 6))
    bad_frame("bad-verdict-count-0", "an empty run", "count 0", "VERDICTS", run(1, 0, 2))
    bad_frame("bad-verdict-count", "more than can be unsettled", "count 16385", "VERDICTS", run(1, 16385, 2))
    bad_frame("bad-verdict-first-id", "first_id 0", "first_id", "VERDICTS", run(0, 1, 2))
    bad_frame("bad-durable-verdict", "DURABLE has no verdict", "verdict", "DURABLE", run(1, 1, 2))
    bad_frame("bad-durable-overflow", "ids beyond 2^64", "first_id", "DURABLE", run((1 << 64) - 1, 1, 0))
    bad_frame("bad-verdicts-cut", "half a run", "too short", "VERDICTS", run(1, 1, 2) + run(2, 1, 2)[:2])
    bad_frame("bad-basis-kind", "kind 3", "kind", "BASIS", basis(3, 100, MIB, 0, [bytes(16)]))
    bad_frame("bad-basis-block-size", "block_size 0", "block_size", "BASIS", basis(2, 100, 0, 0, [bytes(16)]))
    bad_frame("bad-basis-blocks", "a block behind the end", "first_block", "BASIS", basis(
        2, KIB64, KIB64, 1, [bytes(16)]))
    bad_frame("bad-basis-count", "count and digests differ", "length of digests", "BASIS", basis(
        2, MIB, KIB64, 0, [bytes(16)], count=2))
    bad_frame("bad-names-name", "a name with a separator", "'/'", "NAMES", names(9, 1, ["a/b"]))
    bad_frame("bad-names-count", "a name too many", "too many", "NAMES", names(9, 1, ["a"]) + [
        note(b"\x01b", "another name")])
    bad_frame("bad-delete-dotdot", "a name that leads upwards", "'..'", "DELETE", names(9, 1, [".."]))
    bad_frame("bad-ack-credit", "credit above 2^63-1", "credit", "ACK", ack(0, 1 << 63, 0))
    bad_frame("bad-abort-text", "a text of 1025 bytes", "text length 1025", "ABORT", coded_text(1, "x" * 1025))


ALL = (bad_preambles, bad_frames, bad_handshakes, bad_trees, bad_data, bad_replies)
