/* protocol.h: the numbers of hvferry's wire protocol, version 1. The text is docs/protocol.md; field
 * names are the same there, here and in the golden vectors.
 *
 * A session joins a data *sender* and a data *receiver*. On each stream one end is the *dialler* (it
 * opened the stream) and the other the *listener*; either may be the sender. A stream starts with a
 * 16-byte preamble from each end, then carries frames: a 40-byte header, a body and, for CHUNK and
 * BUNDLE, a data area. All integers are little-endian.
 */
#ifndef WIRE_PROTOCOL_H
#define WIRE_PROTOCOL_H

#include <stdbool.h>
#include <stdint.h>

enum {
    PROTOCOL_VERSION_MIN = 1,
    PROTOCOL_VERSION_MAX = 1,

    PREAMBLE_SIZE = 16,
    PREAMBLE_MAGIC_SIZE = 8, /* its first bytes */
    FRAME_HEADER_SIZE = 40,

    HANDSHAKE_BODY_MAX = 4096 - FRAME_HEADER_SIZE, /* body bytes until the handshake is over */
    BODY_MAX = 256 * 1024, /* body bytes of any frame */
    CHUNK_SIZE_MIN = 64 * 1024,
    CHUNK_SIZE_MAX = 16 * 1024 * 1024, /* raw bytes of a chunk or bundle; data_length is never more */
    CHUNK_SIZE_DEFAULT = 1024 * 1024,

    BASIS_BLOCK_MIN = 4096, /* bytes of a block of BASIS; at most CHUNK_SIZE_MAX */
    BASIS_AHEAD_MAX = 32768, /* blocks of BASIS_BLOCKS beyond what the sender has sent, over all files */
    BUNDLE_FILES_MAX = 1024, /* members of one bundle */
    UNSETTLED_MAX = 16384, /* entries: newest file_id - oldest unsettled file_id stays below this */
    UNSETTLED_BYTES_MAX = 8 * 1024 * 1024, /* sum over unsettled entries of path bytes + 64 */
    FRAME_COST = 256, /* credit that any ordered frame costs, besides its body and data */
    MESSAGE_TEXT_MAX = 1024, /* bytes of a text for people */
    SELECTS_MAX = 1024, /* names that a REQUEST asks for */
    LINK_TARGET_MAX = 4095, /* bytes of a symbolic link's target */
    REFUSALS_MAX = 3, /* times the same chunk may be refused */
    HEARTBEAT_MS = 500, /* an end that has sent nothing for so long sends a HEARTBEAT */
    SESSION_ID_SIZE = 16,
    DIGEST_SIZE = 16, /* XXH3-128, canonical (big-endian) byte order as in xxhash's own tools */
    NONCE_SIZE = 32,
    MAC_SIZE = 32,
};

/* Message types. The comment says who sends it, ordered (o) or not, when, and what it means. */
enum msg_type {
    /* The handshake; not ordered. */
    MSG_HELLO = 1, /* dialler, first: what it is, offers and wants */
    MSG_WELCOME = 2, /* listener, answers HELLO: the same fields, chosen */
    MSG_REJECT = 3, /* listener, instead of CHALLENGE or WELCOME: code and text; then close */
    MSG_AUTH = 4, /* dialler, answers CHALLENGE: its MAC */
    MSG_CHALLENGE = 5, /* listener with a key, answers HELLO: its nonce; WELCOME comes after AUTH */

    /* Sender to receiver. */
    MSG_START = 16, /* o  first ordered message: options of the transfer */
    MSG_ENTRIES = 17, /* o  a batch of entries of the tree */
    MSG_LIST_END = 18, /* o  no new file_id follows (held DIR_ENDs still do) */
    MSG_FILE_BEGIN = 19, /* o  the chunks of one wanted file follow; again for the same file: start over */
    MSG_CHUNK = 20, /* o  data: bytes of the open file */
    MSG_HOLE = 21, /* o  a hole in the open file */
    MSG_BUNDLE = 22, /* o  data: many small files, each whole */
    MSG_FILE_END = 23, /* o  the open file is complete: size, digest */
    MSG_FILE_FAIL = 24, /* o  the sender gives a listed file up: code, text */
    MSG_FILE_SAME = 25, /* o  answer to BASIS: contents are equal, only set mode and times */
    MSG_REUSE = 26, /* o  bytes of the open file that equal the basis at the same offset */
    MSG_VOID = 27, /* o  stands in for a refused bundle; its files come again */
    MSG_SYNC = 28, /* o  commit now what is waiting for a batch */
    MSG_DELETE = 29, /* o  answer to NAMES: names that the source does not have */
    MSG_FINISH = 30, /* o  all is settled: the sender's totals */
    MSG_BYE = 31, /* o  totals agree; the receiver closes */

    /* Receiver to sender. */
    MSG_REQUEST = 32, /* o  first ordered message of a receiver that dialled: what it asks for */
    MSG_VERDICTS = 33, /* o  answers to entries: skip, want, made, check */
    MSG_DURABLE = 34, /* o  files that are committed */
    MSG_REFUSED = 35, /* o  a data frame whose digest is wrong: send it again */
    MSG_FILE_ERROR = 36, /* o  the receiver gives a file up: code, text */
    MSG_BASIS = 37, /* o  digests of what the receiver has */
    MSG_NAMES = 38, /* o  names in a directory, to find those to delete */
    MSG_FINISH_ACK = 39, /* o  everything is flushed: the receiver's totals */

    /* Both ways. */
    MSG_ACK = 48, /* credit, and how far the other end's ordered messages are processed */
    MSG_HEARTBEAT = 49, /* nothing to say, but alive */
    MSG_ABORT = 50, /* the session ends here: code, text */

    /* Sender to receiver, as 16 to 31, which are all taken. */
    MSG_UNLISTED = 56, /* o  what is below the sources and gets no file_id, since it cannot be listed: why */
    MSG_TYPE_LIMIT = 64,
};

/* Frame flags. Any other bit is a protocol error. */
enum {
    FRAME_RESENT = 1, /* takes the place of a refused frame with the same order */
    FRAME_OPTIONAL = 2, /* a receiver that does not know this type skips the frame */
};

enum role { ROLE_SENDER = 1, ROLE_RECEIVER = 2 };

enum intent {
    INTENT_NEW = 1, /* a new session, with the dialler's session_id */
    INTENT_JOIN = 2, /* a further stream of the session (needs FEATURE_STREAMS) */
    INTENT_RESUME = 3, /* go on with a session whose streams broke (needs FEATURE_RESUME) */
};

/* Feature bits: offered in HELLO, chosen (a subset) in WELCOME. An unknown bit is never chosen. The low
 * 32 bits are optional; an end that needs a feature it was not granted ends the session (EXIT_PROTOCOL). */
enum {
    FEATURE_STREAMS = 1 << 0,
    FEATURE_RESUME = 1 << 1,
    FEATURE_AUTH = 1 << 2,
    FEATURE_DELTA = 1 << 3, /* send what differs: BASIS kind BLOCKS, REUSE */
    FEATURE_DELETE = 1 << 4,
    FEATURE_XATTR = 1 << 5,
    FEATURE_CHECK = 1 << 6, /* compare by digest: verdict CHECK, BASIS kind CONTENT, FILE_SAME */
};

/* Codecs: bit number in `codecs`, and value of `codec`. */
enum codec_id { CODEC_NONE = 0, CODEC_ZLIB = 1, CODEC_ZSTD = 2, CODEC_COUNT = 3 };

/* START and REQUEST flags. */
enum {
    OPT_RECURSIVE = 1 << 0,
    OPT_LINKS = 1 << 1,
    OPT_PERMS = 1 << 2,
    OPT_TIMES = 1 << 3,
    OPT_IGNORE_TIMES = 1 << 4, /* -I: no file is skipped */
    OPT_CHECKSUM = 1 << 5, /* -c: skip by content digest, not by size and time */
    OPT_OWNER = 1 << 6,
    OPT_GROUP = 1 << 7,
    OPT_DELETE = 1 << 8,
    OPT_INPLACE = 1 << 9,
    OPT_VERIFY = 1 << 10,
    OPT_UPDATE = 1 << 11,
    OPT_DRY_RUN = 1 << 12,
    OPT_XATTRS = 1 << 13,
    OPT_DEVICES = 1 << 14,
    OPT_HARD_LINKS = 1 << 15,
    OPT_FORCE = 1 << 16,
    OPT_KNOWN = (1 << 17) - 1,
    /* What both ends of this version do; the others have their number only. */
    OPT_SUPPORTED = OPT_RECURSIVE | OPT_LINKS | OPT_PERMS | OPT_TIMES | OPT_IGNORE_TIMES | OPT_CHECKSUM |
                    OPT_OWNER | OPT_GROUP | OPT_INPLACE | OPT_VERIFY,
};

enum durable { DURABLE_BATCH = 0, DURABLE_FILE = 1, DURABLE_NONE = 2 };

enum entry_type {
    ENTRY_FILE = 1,
    ENTRY_DIR = 2, /* create it now, writable */
    ENTRY_DIR_END = 3, /* everything before it is settled: set its mode and times */
    ENTRY_SYMLINK = 4,
    ENTRY_HARD_LINK = 5,
    ENTRY_FIFO = 6,
    ENTRY_SOCKET = 7,
    ENTRY_CHAR_DEVICE = 8,
    ENTRY_BLOCK_DEVICE = 9,
};

/* Tags of an entry, HELLO, START or REQUEST: tag u16, length u16, value. Tags with TAG_CRITICAL that
 * are not known fail the entry (or the handshake); others are passed over. */
enum {
    TAG_CRITICAL = 0x8000,
    /* entry */
    TAG_LINK_TARGET = 0x8001, /* bytes */
    TAG_HARD_LINK = 0x8002, /* path of the first name */
    TAG_DEVICE = 0x8003, /* major u32, minor u32 */
    TAG_XATTR = 0x0004, /* name length u8, name, value */
    TAG_USER = 0x0005, /* owner's name */
    TAG_GROUP = 0x0006,
    TAG_WINDOWS = 0x0007, /* attributes u32, creation time i64 s, u32 ns */
    /* handshake */
    TAG_AGENT = 0x0101, /* program and version, UTF-8 */
    TAG_NONCE = 0x8102, /* HELLO: 32 bytes */
    TAG_MAC = 0x8103, /* WELCOME, the last tag: 32 bytes */
    /* REQUEST */
    TAG_SELECT = 0x8201, /* path below which the receiver wants entries; repeatable */
    /* START */
    TAG_INTO = 0x8202, /* path under the receiver's root that everything goes below */
};

enum verdict {
    VERDICT_SKIP = 1, /* the receiver has it; settled */
    VERDICT_WANT = 2, /* send it */
    VERDICT_MADE = 3, /* directory or link: done; settled */
    VERDICT_CHECK = 4, /* BASIS follows; compare, then FILE_SAME or the file */
    VERDICT_GONE = 5, /* answer to FILE_FAIL: given up by the sender; settled, counted as failed */
};

enum basis_kind { BASIS_CONTENT = 1, BASIS_BLOCKS = 2 };

/* True for the types of this version. */
bool msg_type_is_known(unsigned type);

/* "HELLO", … or "message 77" for numbers without a name (the text is static). */
const char *msg_type_name(unsigned type);

#endif
