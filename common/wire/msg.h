/* msg.h: the bodies of messages, as structs and pure functions on bytes.
 *
 * Each *_encode writes into a cursor (wr->bad says it did not fit) and each *_decode reads a whole body
 * and checks every field: 0, or -1 and err (EXIT_STREAM, "CHUNK: raw_length 0 is not in 1…1048576").
 * Reserved fields are written as 0 and must be 0. Lists are decoded by iterators, one element a call:
 * 1 = an element, 0 = the end, -1 = bad. Spans point into the body and live as long as it does.
 * Nothing allocates; any thread.
 */
#ifndef WIRE_MSG_H
#define WIRE_MSG_H

#include "core/bytes.h"
#include "core/err.h"
#include "core/path.h"
#include "core/win_attr.h"
#include "wire/protocol.h"

/* ---- tags: tag u16 | length u16 | value ---------------------------------------------------------- */

struct tag {
    uint16_t tag;
    struct span value;
};

void tag_encode(struct wr *w, uint16_t tag, const void *value, size_t n);

/* Next tag of `r`, which holds nothing but tags. 1, 0 at the end, -1 when malformed. */
int tag_next(struct rd *r, struct tag *ret);

/* ---- paths: count u8 | per component: length u8, bytes ------------------------------------------- */

/* `path` as in core/path.h. */
void path_encode(struct wr *w, const char *path);

/* Into `to` (PATH_BYTES_MAX bytes). Every component is checked by name_check. 0 or -1 and err
 * (EXIT_STREAM). */
int path_decode(struct rd *r, char *to, struct err *err);

/* ---- handshake ------------------------------------------------------------------------------------ */

/* HELLO and WELCOME have the same body.
 *  0 version u16 | 2 role u8 | 3 intent u8 | 4 features u64 | 12 session_id 16 bytes | 28 codecs u32 |
 * 32 chunk_size u32 | 36 window u64 | 44 stream u16 | 46 streams u16 | 48 processed u64 | 56 tags */
struct msg_hello {
    uint16_t version; /* the chosen one, computed from the preambles by both */
    uint8_t role; /* enum role of who sends this */
    uint8_t intent; /* enum intent; WELCOME repeats it */
    uint64_t features;
    uint8_t session_id[SESSION_ID_SIZE];
    uint32_t codecs; /* bit i: codec i; CODEC_NONE is always there */
    uint32_t chunk_size; /* CHUNK_SIZE_MIN…MAX; WELCOME has the smaller of both: the chosen one */
    uint64_t
        window; /* initial credit that this end grants; at least 2 * (FRAME_COST + BODY_MAX) + 2 * chunk_size for a receiver, at least 2 * (FRAME_COST + BODY_MAX) for a sender */
    uint16_t stream; /* index of this stream, 0 = first */
    uint16_t streams; /* streams wanted / granted, at least 1 */
    uint64_t processed; /* INTENT_RESUME: highest order processed; else 0 */
    struct span tags; /* TAG_AGENT, TAG_NONCE, TAG_MAC */
};
void msg_hello_encode(struct wr *w, const struct msg_hello *m);
int msg_hello_decode(struct span body, struct msg_hello *ret, struct err *err);

/* REJECT and ABORT: code u16 (an exit code, 1…255) | text length u16 | text. FILE_FAIL and FILE_ERROR put
 * file_id u64 before that. Text is at most MESSAGE_TEXT_MAX bytes, any bytes (escape before printing). */
struct msg_text {
    uint16_t code;
    struct span text;
};
void msg_text_encode(struct wr *w, const struct msg_text *m);
int msg_text_decode(struct span body, struct msg_text *ret, struct err *err);

struct msg_file_text {
    uint64_t file_id;
    struct msg_text text;
};
enum { FILE_TEXT_HEAD_SIZE = 12 };
void msg_file_text_encode(struct wr *w, const struct msg_file_text *m);
int msg_file_text_decode(struct span body, struct msg_file_text *ret, struct err *err);

/* UNLISTED: path (of what cannot be listed, or of the directory that it is in when its name cannot be sent), then as
 * REJECT. */
struct msg_unlisted {
    char path[PATH_BYTES_MAX];
    struct msg_text text;
};
void msg_unlisted_encode(struct wr *w, const struct msg_unlisted *m);
int msg_unlisted_decode(struct span body, struct msg_unlisted *ret, struct err *err);

/* AUTH: mac 32 bytes. */
struct msg_auth {
    uint8_t mac[MAC_SIZE];
};
void msg_auth_encode(struct wr *w, const struct msg_auth *m);
int msg_auth_decode(struct span body, struct msg_auth *ret, struct err *err);

/* CHALLENGE: nonce 32 bytes. */
struct msg_challenge {
    uint8_t nonce[NONCE_SIZE];
};
void msg_challenge_encode(struct wr *w, const struct msg_challenge *m);
int msg_challenge_decode(struct span body, struct msg_challenge *ret, struct err *err);

/* ---- the tree ------------------------------------------------------------------------------------- */

/* START: flags u64 | durable u8 | reserved 7 | tags (TAG_INTO). REQUEST: the same (TAG_SELECT).
 * Unknown flags: START is refused (EXIT_UNSUPPORTED); in a REQUEST they are refused too. */
struct msg_start {
    uint64_t flags;
    uint8_t durable;
    struct span tags;
};
void msg_start_encode(struct wr *w, const struct msg_start *m);
int msg_start_decode(struct span body, struct msg_start *ret, struct err *err);

/* One entry of ENTRIES; the body is nothing but entries, at least one.
 *  0 file_id u64 | 8 type u8 | 9 shared u8 | 10 added u8 | 11 reserved u8 | 12 mode u32 | 16 uid u32 |
 * 20 gid u32 | 24 mtime_sec i64 | 32 mtime_nsec u32 | 36 tags_length u32 | 40 size u64 |
 * 48 `added` components (length u8, bytes), then the tags.
 * shared: leading components that are those of the entry before in this frame (0 in the first).
 * A path of no components is the root; only ENTRY_DIR and ENTRY_DIR_END may have it. */
struct entry {
    uint64_t file_id; /* >= 1 */
    uint8_t type; /* enum entry_type */
    uint32_t mode; /* permission bits, 0…07777 */
    uint32_t uid, gid;
    int64_t mtime_sec;
    uint32_t mtime_nsec; /* 0…999999999 */
    uint64_t size; /* bytes; ENTRY_FILE only, at most INT64_MAX */
    const char *path; /* as in core/path.h */
    struct span tags;
    struct win_attr win; /* inner: entry_win_attr reads it from the tags */
};

/* Entries are written one after another; `last` (PATH_BYTES_MAX bytes, "" first) remembers the path before. */
struct entry_writer {
    struct wr w;
    char *last;
    unsigned count;
};
/* False, with nothing written, when the entry does not fit (send the frame, start another). */
bool entry_encode(struct entry_writer *ew, const struct entry *e);

/* `path` (PATH_BYTES_MAX bytes) holds the present path between calls; ret->path points to it. Set `r` and
 * `path`; the rest starts as 0. */
struct entry_reader {
    struct rd r;
    char *path;
    unsigned count;
    unsigned sound; /* inner: leading components of `path` before the first bad one */
    enum name_fault fault; /* inner: what is wrong with that one; also for entries that share it */
};
/* 1, 0 at the end, -1 and err. A bad name (name_check) is not a protocol error of the frame: the
 * entry comes with *ret_fault set and must be answered by FILE_ERROR; its path is for messages only. */
int entry_next(struct entry_reader *er, struct entry *ret, enum name_fault *ret_fault, struct err *err);

/* The value of TAG_LINK_TARGET (1…LINK_TARGET_MAX bytes, no NUL); -1 and err (EXIT_PARTIAL) when missing or
 * bad, or when an unknown critical tag is there. For types other than a link: only the latter is checked
 * and *ret is empty. */
int entry_link_target(const struct entry *e, struct span *ret, struct err *err);

/* TAG_WINDOWS, for the tags of an entry: attributes u32 | seconds i64 | nanoseconds u32 of the time of creation. Nothing
 * where `win` is not known. */
void win_attr_encode(struct wr *tags, const struct win_attr *win);
/* What the entry's tags say of it, into e->win; -1 and err (EXIT_PARTIAL) when it is malformed or comes twice. */
int entry_win_attr(struct entry *e, struct err *err);

/* ---- data ----------------------------------------------------------------------------------------- */

/* FILE_BEGIN: file_id u64 | size u64 | data_size u64 | mtime_sec i64 | mtime_nsec u32 | mode u32.
 * What the file is now, at opening; data_size (<= size): bytes that are not in holes, an estimate for space checks. */
struct msg_file_begin {
    uint64_t file_id, size, data_size;
    int64_t mtime_sec;
    uint32_t mtime_nsec, mode;
};
void msg_file_begin_encode(struct wr *w, const struct msg_file_begin *m);
int msg_file_begin_decode(struct span body, struct msg_file_begin *ret, struct err *err);

/* CHUNK: file_id u64 | offset u64 | raw_length u32 | codec u8 | reserved 3 | digest 16, then the data area:
 * raw_length bytes packed by codec. digest is of the raw bytes. offset grows from chunk to chunk. */
struct msg_chunk {
    uint64_t file_id, offset;
    uint32_t raw_length; /* 1…chunk_size */
    uint8_t codec;
    uint8_t digest[DIGEST_SIZE];
};
void msg_chunk_encode(struct wr *w, const struct msg_chunk *m);
/* data_length and chunk_size: codec none needs data_length == raw_length, any other data_length < raw_length. */
int msg_chunk_decode(struct span body, uint32_t data_length, uint32_t chunk_size, struct msg_chunk *ret,
                     struct err *err);

/* HOLE: file_id u64 | offset u64 | length u64 (>= 1; offset + length <= INT64_MAX). REUSE has the same body. */
struct msg_hole {
    uint64_t file_id, offset, length;
};
enum { REUSE_SIZE = 24 };
void msg_hole_encode(struct wr *w, const struct msg_hole *m);
int msg_hole_decode(struct span body, struct msg_hole *ret, struct err *err);

/* BUNDLE: raw_length u32 | codec u8 | reserved 3 | digest 16 | count u32 | reserved 4 | members: file_id u64 |
 * mtime_sec i64 | mtime_nsec u32 | mode u32 | size u32 | reserved 4 (32 bytes each).
 * Data area: the members' contents one after another. The sizes add up to raw_length, which may be 0
 * (then data_length is 0, codec none). */
struct msg_bundle {
    uint32_t raw_length;
    uint8_t codec;
    uint8_t digest[DIGEST_SIZE];
    uint32_t count; /* 1…BUNDLE_FILES_MAX */
    struct span members;
};
enum { BUNDLE_HEAD_SIZE = 32, BUNDLE_MEMBER_SIZE = 32 };
struct bundle_member {
    uint64_t file_id;
    int64_t mtime_sec;
    uint32_t mtime_nsec, mode, size;
};
void msg_bundle_encode(struct wr *w, const struct msg_bundle *m); /* head and the encoded members */
int msg_bundle_decode(struct span body, uint32_t data_length, uint32_t chunk_size, struct msg_bundle *ret,
                      struct err *err); /* checks every member and the sum */
void bundle_member_encode(struct wr *w, const struct bundle_member *m);
struct bundle_member bundle_member_at(const struct msg_bundle *m, uint32_t i);

/* FILE_END: file_id u64 | size u64 | chunks u64 | digest 16.
 * digest: XXH3-128 over one record a CHUNK in order of offset: offset u64 | raw_length u32 | 0 u32 | digest 16,
 * then the size u64. Holes have no record. */
struct msg_file_end {
    uint64_t file_id, size, chunks;
    uint8_t digest[DIGEST_SIZE];
};
enum { FILE_END_SIZE = 40 };
void msg_file_end_encode(struct wr *w, const struct msg_file_end *m);
int msg_file_end_decode(struct span body, struct msg_file_end *ret, struct err *err);

/* FILE_SAME: file_id u64 | mtime_sec i64 | mtime_nsec u32 | mode u32. */
struct msg_file_same {
    uint64_t file_id;
    int64_t mtime_sec;
    uint32_t mtime_nsec, mode;
};
void msg_file_same_encode(struct wr *w, const struct msg_file_same *m);
int msg_file_same_decode(struct span body, struct msg_file_same *ret, struct err *err);

/* LIST_END, VOID, SYNC, BYE and HEARTBEAT have empty bodies. */
int msg_empty_decode(struct span body, const char *name, struct err *err);

/* ---- the way back --------------------------------------------------------------------------------- */

/* VERDICTS: runs: first_id u64 | count u32 (1…UNSETTLED_MAX) | verdict u8 | reserved 3.
 * DURABLE: the same with verdict 0. */
struct run_of_ids {
    uint64_t first_id;
    uint32_t count;
    uint8_t verdict;
};
enum { RUN_SIZE = 16 };
void run_encode(struct wr *w, const struct run_of_ids *run);
/* `type` is MSG_VERDICTS or MSG_DURABLE. 1, 0 at the end, -1 and err. */
int run_next(struct rd *r, unsigned type, struct run_of_ids *ret, struct err *err);

/* REFUSED: order u64 of the data frame. */
struct msg_refused {
    uint64_t refused_order;
};
void msg_refused_encode(struct wr *w, const struct msg_refused *m);
int msg_refused_decode(struct span body, struct msg_refused *ret, struct err *err);

/* BASIS: file_id u64 | size u64 | kind u8 | reserved 3 | block_size u32 | first_block u64 | count u32 | reserved 4 |
 * digests 16 each. BASIS_CONTENT: one digest, as in FILE_END but over the grid of blocks of block_size (the
 * chunk size) with holes read as zeros, so that it does not depend on the layout. BASIS_BLOCKS: digests of `count` blocks
 * from first_block on; none: no more of this file will come. */
struct msg_basis {
    uint64_t file_id, size, first_block;
    uint8_t kind;
    uint32_t block_size, count;
    struct span digests;
};
void msg_basis_encode(struct wr *w, const struct msg_basis *m);
int msg_basis_decode(struct span body, struct msg_basis *ret, struct err *err);

/* ACK: processed u64 | credit u64 | written u64.
 * processed: every ordered message of the other end up to this order was processed. credit: sum of costs that
 * the other end may send in all, counted from the session's start (starts at `window`; never shrinks).
 * written: raw bytes that reached files (a receiver's; 0 from a sender). */
struct msg_ack {
    uint64_t processed, credit, written;
};
void msg_ack_encode(struct wr *w, const struct msg_ack *m);
int msg_ack_decode(struct span body, struct msg_ack *ret, struct err *err);

/* FINISH and FINISH_ACK: entries u64 | committed u64 | skipped u64 | made u64 | failed u64 | bytes u64.
 * entries: file_ids handed out / seen. committed: files whose data arrived and is durable. made: directories
 * and links. entries counts DIR and DIR_END as two ids; both are `made`. failed: FILE_FAIL
 * and FILE_ERROR. bytes: sizes of the committed files. Both ends' totals must be equal:
 * entries == committed + skipped + made + failed. */
struct msg_totals {
    uint64_t entries, committed, skipped, made, failed, bytes;
};
void msg_totals_encode(struct wr *w, const struct msg_totals *m);
int msg_totals_decode(struct span body, struct msg_totals *ret, struct err *err);
bool msg_totals_equal(const struct msg_totals *a, const struct msg_totals *b);

/* NAMES and DELETE: file_id u64 (of the directory's DIR_END) | last u8 | reserved 3 | count u32 | names (length u8,
 * bytes). NAMES: what the receiver has in that directory; DELETE: those of them that the source lacks. */
struct msg_names {
    uint64_t file_id;
    uint8_t last;
    uint32_t count;
    struct span names;
};
void msg_names_encode(struct wr *w, const struct msg_names *m);
int msg_names_decode(struct span body, struct msg_names *ret, struct err *err);

#endif
