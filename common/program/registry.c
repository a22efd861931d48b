#include "program/registry.h"

#include <stdlib.h>
#include <string.h>

struct registry {
    struct os_mutex lock;
    struct line *first; /* lock */
};

struct registry *registry_new(void) {
    struct registry *r = calloc(1, sizeof *r);
    if (r)
        os_mutex_init(&r->lock);
    return r;
}

void registry_free(struct registry *r) {
    if (r == NULL)
        return;
    os_mutex_free(&r->lock);
    free(r);
}

void registry_add(struct registry *r, struct line *line) {
    os_lock(&r->lock);
    line->next = r->first;
    r->first = line;
    os_unlock(&r->lock);
}

void registry_remove(struct registry *r, struct line *line) {
    os_lock(&r->lock);
    struct line **at = &r->first;
    while (*at && *at != line)
        at = &(*at)->next;
    if (*at)
        *at = line->next;
    os_unlock(&r->lock);
}

bool registry_offer(struct registry *r, const struct comeback *back, struct stream *stream) {
    os_lock(&r->lock);
    bool taken = false;
    for (struct line *line = r->first; line && !taken; line = line->next)
        taken = memcmp(line->agreed.session_id, back->session_id, SESSION_ID_SIZE) == 0 &&
                line_offer(line, back, stream);
    os_unlock(&r->lock);
    return taken;
}

bool registry_all_broken(struct registry *r) {
    os_lock(&r->lock);
    bool all = r->first != NULL;
    for (struct line *line = r->first; line; line = line->next)
        all = all && atomic_load(&line->broken);
    os_unlock(&r->lock);
    return all;
}
