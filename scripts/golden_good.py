"""The good vectors: at least one of every message type."""
import hmac
import zlib

from golden_build import (
    Entries, INT64_MAX, KEY, KIB64, MIB, NONCE_DIALLER, NONCE_LISTENER, OPTIONAL, PACKED, RESENT, ack,
    basis, bundle, chunk, coded_text, file_begin, file_digest, file_end, file_same, frame, handshake, hello,
    hole, joined, names, note, path_value, preamble, raw, run, start, tag, totals, u, unlisted, vector,
    xxh128,
)


def good_handshake():
    vector("good-preamble", "preamble of an end that speaks version 1", preamble(1, 1), "preamble")
    vector("good-preamble-newer", "a newer peer that still speaks version 1", preamble(1, 7), "preamble")
    handshake("good-hello", "HELLO of a sender that dials, opening a session", frame("HELLO", hello(
        tags=[(0x0101, b"hvsend 0.1.0")])))
    handshake("good-hello-unknown-tag", "HELLO with a tag that may be passed over", frame("HELLO", hello(
        tags=[(0x01F0, b"later"), (0x0101, b"")])))
    handshake("good-hello-join", "HELLO of stream 2 of 4", frame("HELLO", hello(
        role=2, intent=2, features=1, chunk_size=KIB64, stream=2, streams=4)))
    handshake("good-hello-resume", "HELLO that goes on after order 77", frame("HELLO", hello(
        intent=3, features=2, processed=77)))
    handshake("good-hello-smallest", "HELLO of a sender with the least window and chunk", frame("HELLO", hello(
        codecs=1, chunk_size=KIB64, window=2 * (256 + 262144))))
    handshake("good-welcome", "WELCOME of a receiver", frame("WELCOME", hello(
        role=2, codecs=2 | 1, window=2 * (256 + 262144) + 2 * MIB, tags=[(0x0101, b"hvrecv 0.1.0")])))
    handshake("good-reject", "REJECT", frame("REJECT", coded_text(42, "vsock CID 7 is not allowed")))
    good_auth()


def good_auth():
    """The MACs as docs/protocol.md, "Authentication", builds them; the key is the bytes 00 to 1f."""
    asks = hello(features=4, tags=[(0x0101, b"hvsend 0.1.0"), (0x8102, NONCE_DIALLER)])
    answer = hello(role=2, features=4, tags=[(0x0101, b"hvrecv 0.1.0")])
    both = joined(preamble(1, 7)) + joined(preamble(1, 1))  # the dialler is a newer one

    def mac(*parts):
        return hmac.new(KEY, b"".join(parts), "sha256").digest()

    dialler = mac(b"hvferry dialler ", both, NONCE_LISTENER, joined(asks))
    answer += tag(0x8103, mac(b"hvferry listener", dialler, joined(answer)))
    handshake("good-hello-auth", "HELLO that offers FEATURE_AUTH, after the preamble of good-preamble-newer", frame(
        "HELLO", asks))
    handshake("good-challenge", "CHALLENGE to good-hello-auth, after the preamble of good-preamble", frame(
        "CHALLENGE", [raw("nonce", NONCE_LISTENER)]))
    handshake("good-auth", "AUTH after good-challenge, key 00 01 … 1f", frame("AUTH", [raw("mac", dialler)], seq=0))
    handshake("good-welcome-auth", "WELCOME after good-auth, same key", frame("WELCOME", answer))


def good_tree():
    vector("good-request", "REQUEST: recursive, links, perms, times; two selections", frame("REQUEST", start(
        0x0F, tags=[(0x8201, path_value("photos/2024")), (0x8201, path_value(""))])))
    vector("good-start", "START into a directory, durable=file, an unknown tag to pass over", frame("START", start(
        0x1F, 1, [(0x8202, path_value("backup/monday")), (0x02F0, b"\x01")])))
    tree = Entries().add(2, "", mode=0o755).add(2, "a", mode=0o700).add(1, "a/one", size=5)
    tree.add(1, "a/two", size=INT64_MAX).add(4, "a/link", mode=0o777, tags=[(0x8001, b"../x")])
    tree.add(3, "a", mode=0o555).add(5, "b", tags=[(0x8002, path_value("a/one"))])
    tree.add(8, "null", tags=[(0x8003, b"\x01\0\0\0\x03\0\0\0"), (0x0005, b"root")]).add(3, "", mode=0o7777)
    vector("good-entries", "ENTRIES: a small tree with every kind of path", frame("ENTRIES", tree.parts))
    vector("good-entries-windows", "ENTRIES: a hidden file, and a directory that was made before 1970", frame("ENTRIES", Entries().add(
        1, "f", size=1, tags=[(0x0007, b"\x22\0\0\0" + (1000).to_bytes(8, "little") + b"\x64\0\0\0")]).add(
            3, "d", tags=[(0x0007, b"\x02\0\0\0" + b"\xff" * 8 + b"\0\0\0\0")]).parts))
    deep = "/".join(["d"] * 64)
    vector("good-entries-deepest", "ENTRIES: as deep as a path may be", frame("ENTRIES", Entries().add(
        2, "d" * 255).add(1, deep, size=0).parts, order=2))
    vector("good-list-end", "LIST_END", frame("LIST_END", [], order=9))


def good_data():
    text64 = b"a" * 64
    assert zlib.decompress(PACKED) == text64
    hundred = bytes(range(100))
    vector("good-file-begin", "FILE_BEGIN", frame("FILE_BEGIN", file_begin(size=3 * MIB, data_size=2 * MIB)))
    vector("good-chunk", "CHUNK, stored", frame("CHUNK", chunk(hundred), hundred, order=3))
    vector("good-chunk-zlib", "CHUNK, packed by zlib", frame("CHUNK", chunk(text64, codec=1, offset=MIB), PACKED))
    vector("good-chunk-last-offset", "CHUNK that ends at the largest offset", frame("CHUNK", chunk(
        b"z", offset=INT64_MAX - 1), b"z"))
    vector("good-chunk-resent", "CHUNK in the place of a refused one", frame("CHUNK", chunk(hundred), hundred,
                                                                           order=3, flags=RESENT))
    vector("good-hole", "HOLE", frame("HOLE", hole()))
    members = [(3, b"one"), (4, b""), (7, b"three")]
    vector("good-bundle", "BUNDLE of three files", frame("BUNDLE", bundle(members), b"onethree"))
    vector("good-bundle-zlib", "BUNDLE, packed by zlib", frame("BUNDLE", bundle(
        [(8, b"a" * 40), (9, b"a" * 24)], codec=1), PACKED))
    vector("good-bundle-empty", "BUNDLE of empty files has no data area", frame("BUNDLE", bundle(
        [(5, b""), (6, b"")])))
    vector("good-file-end", "FILE_END of a file with a hole between two chunks", frame("FILE_END", file_end(
        size=200000, chunks=2, digest=file_digest([(0, hundred), (199936, text64)], 200000))))
    vector("good-file-end-empty", "FILE_END of an empty file", frame("FILE_END", file_end(
        size=0, chunks=0, digest=file_digest([], 0))))
    vector("good-file-fail", "FILE_FAIL", frame("FILE_FAIL", [u(8, "file_id", 2)] + coded_text(
        24, "changed while it was read")))
    vector("good-unlisted", "UNLISTED, of a directory", frame("UNLISTED", unlisted(
        "a/closed", 23, "a/closed: cannot read the directory"), flags=OPTIONAL))
    vector("good-unlisted-root", "UNLISTED, of the root, without a word", frame("UNLISTED", unlisted("", 24, "")))
    vector("good-file-same", "FILE_SAME, with a time before 1970", frame("FILE_SAME", file_same()))
    vector("good-reuse", "REUSE of two blocks", frame("REUSE", hole(offset=KIB64, length=2 * KIB64)))
    vector("good-void", "VOID in the place of a refused bundle", frame("VOID", [], order=12, flags=RESENT))
    vector("good-sync", "SYNC", frame("SYNC", []))
    vector("good-delete", "DELETE", frame("DELETE", names(9, 1, ["old"])))
    vector("good-finish", "FINISH", frame("FINISH", totals(10, 4, 3, 2, 1, 12345), order=40))
    vector("good-bye", "BYE", frame("BYE", []))


def good_replies():
    vector("good-verdicts", "VERDICTS: every verdict", frame("VERDICTS", run(1, 3, 3) + run(4, 16384, 2) + run(
        20000, 1, 1) + run(20001, 1, 4) + run(20002, 1, 5)))
    vector("good-durable", "DURABLE", frame("DURABLE", run(4, 2, 0) + run((1 << 64) - 2, 1, 0), order=7))
    vector("good-refused", "REFUSED", frame("REFUSED", [u(8, "refused_order", 12)]))
    vector("good-refused-taken-back", "REFUSED, taken back after a break", frame("REFUSED", [
        u(8, "refused_order", 0)]))
    vector("good-file-error", "FILE_ERROR", frame("FILE_ERROR", [u(8, "file_id", 6)] + coded_text(
        41, "a/b: No space left on device")))
    content = b"x" * 100
    vector("good-basis-content", "BASIS: digest of the content", frame("BASIS", basis(
        1, 100, MIB, 0, [file_digest([(0, content)], 100)])))
    vector("good-basis-blocks", "BASIS: blocks 1 and 2 of three", frame("BASIS", basis(
        2, 2 * KIB64 + 1, KIB64, 1, [xxh128(bytes(KIB64)), xxh128(b"\0")])))
    vector("good-names", "NAMES, not the last of its directory", frame("NAMES", names(9, 0, ["old", "new.txt"])))
    vector("good-names-empty", "NAMES of an empty directory", frame("NAMES", names(9, 1, [])))
    vector("good-finish-ack", "FINISH_ACK", frame("FINISH_ACK", totals(0, 0, 0, 0, 0, 0)))
    vector("good-ack", "ACK", frame("ACK", ack(41, INT64_MAX, 123456789)))
    vector("good-heartbeat", "HEARTBEAT", frame("HEARTBEAT", []))
    vector("good-abort", "ABORT without a text", frame("ABORT", coded_text(255, "")))
    vector("good-two-frames", "HEARTBEAT, then LIST_END: seq counts", frame("HEARTBEAT", []) + frame(
        "LIST_END", [], seq=1, order=5))
    vector("good-unknown-optional", "a type of later versions that may be passed over", frame(
        60, [note(b"any", "body of an unknown type")], flags=OPTIONAL, order=3))


ALL = (good_handshake, good_tree, good_data, good_replies)
