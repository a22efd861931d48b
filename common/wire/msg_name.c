/* msg_name.c: names of the message types, for people. */
#include "wire/protocol.h"

#include <stddef.h>

#define UNNAMED(n) "message " #n
#define TEN(t)                                                                                               \
    UNNAMED(t##0), UNNAMED(t##1), UNNAMED(t##2), UNNAMED(t##3), UNNAMED(t##4), UNNAMED(t##5), UNNAMED(t##6), \
        UNNAMED(t##7), UNNAMED(t##8), UNNAMED(t##9)

/* A type is one byte on the wire, so every number that can arrive has a text. */
static const char *const unnamed[] = {
    TEN(),   TEN(1),  TEN(2),  TEN(3),  TEN(4),  TEN(5),  TEN(6),  TEN(7),  TEN(8),
    TEN(9),  TEN(10), TEN(11), TEN(12), TEN(13), TEN(14), TEN(15), TEN(16), TEN(17),
    TEN(18), TEN(19), TEN(20), TEN(21), TEN(22), TEN(23), TEN(24), TEN(25),
};

static const char *const names[MSG_TYPE_LIMIT] = {
    [MSG_HELLO] = "HELLO",
    [MSG_WELCOME] = "WELCOME",
    [MSG_REJECT] = "REJECT",
    [MSG_AUTH] = "AUTH",
    [MSG_CHALLENGE] = "CHALLENGE",
    [MSG_START] = "START",
    [MSG_ENTRIES] = "ENTRIES",
    [MSG_LIST_END] = "LIST_END",
    [MSG_FILE_BEGIN] = "FILE_BEGIN",
    [MSG_CHUNK] = "CHUNK",
    [MSG_HOLE] = "HOLE",
    [MSG_BUNDLE] = "BUNDLE",
    [MSG_FILE_END] = "FILE_END",
    [MSG_FILE_FAIL] = "FILE_FAIL",
    [MSG_FILE_SAME] = "FILE_SAME",
    [MSG_REUSE] = "REUSE",
    [MSG_VOID] = "VOID",
    [MSG_SYNC] = "SYNC",
    [MSG_DELETE] = "DELETE",
    [MSG_FINISH] = "FINISH",
    [MSG_BYE] = "BYE",
    [MSG_REQUEST] = "REQUEST",
    [MSG_VERDICTS] = "VERDICTS",
    [MSG_DURABLE] = "DURABLE",
    [MSG_REFUSED] = "REFUSED",
    [MSG_FILE_ERROR] = "FILE_ERROR",
    [MSG_BASIS] = "BASIS",
    [MSG_NAMES] = "NAMES",
    [MSG_FINISH_ACK] = "FINISH_ACK",
    [MSG_ACK] = "ACK",
    [MSG_HEARTBEAT] = "HEARTBEAT",
    [MSG_ABORT] = "ABORT",
    [MSG_UNLISTED] = "UNLISTED",
};

bool msg_type_is_known(unsigned type) {
    return type < MSG_TYPE_LIMIT && names[type] != NULL;
}

const char *msg_type_name(unsigned type) {
    if (type < MSG_TYPE_LIMIT && names[type] != NULL)
        return names[type];
    return type < sizeof unnamed / sizeof unnamed[0] ? unnamed[type] : "message ?";
}
