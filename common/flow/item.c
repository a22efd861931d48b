#include "flow/item.h"

#include <stdlib.h>
#include <string.h>

struct item *item_new(uint8_t type, uint32_t capacity) {
    struct item *item = malloc(sizeof *item + capacity);
    if (item == NULL)
        return NULL;
    memset(item, 0, sizeof *item);
    item->frame.type = type;
    item->capacity = capacity;
    item->ordered = type != MSG_ACK && type != MSG_HEARTBEAT && type != MSG_ABORT && type >= MSG_START;
    return item;
}

void item_free(struct item *item) {
    if (item == NULL)
        return;
    buf_release(item->data);
    free(item);
}

struct item *item_fit(struct item *item) {
    struct item *less = realloc(item, sizeof *item + item->frame.body_length);
    if (less == NULL)
        return item;
    less->capacity = less->frame.body_length;
    return less;
}

void item_make_void(struct item *item) {
    item->frame.type = MSG_VOID;
    item->frame.body_length = item->frame.data_length = item->raw_length = 0;
}

void item_drop(void *item) {
    item_free(item);
}
void item_drop_ticketed(struct ticketed *t) {
    item_free((struct item *)t);
}
