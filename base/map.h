/* Hash map from byte strings to pointers or 64-bit values (open addressing, key bytes borrowed
 * or copied into an arena). Thread: one at a time. Iteration order is unspecified.
 */
#ifndef MILLRACE_BASE_MAP_H
#define MILLRACE_BASE_MAP_H

#include "base/arena.h"

struct map_slot {
    struct bytes key; /* key.p == NULL: empty */
    uint64_t hash;
    union {
        void *ptr;
        uint64_t u;
    } v;
};

struct map {
    struct map_slot *slots;
    size_t cap; /* power of two, or 0 */
    size_t len;
};

void
map_free(struct map *m);
void
map_clear(struct map *m);
/* The slot of key, or NULL. */
struct map_slot *
map_get(const struct map *m, struct bytes key);
/* The slot of key, made if absent (*fresh tells; its v is then zero). The key's bytes are
 * borrowed: when fresh, the caller may replace slot->key.p by a copy with the same content
 * before the next call. */
struct map_slot *
map_put(struct map *m, struct bytes key, bool *fresh);
bool
map_del(struct map *m, struct bytes key);
/* Iterate: for (struct map_slot *s = NULL; (s = map_next(m, s)) != NULL;). No map_put or
 * map_del meanwhile. */
struct map_slot *
map_next(const struct map *m, const struct map_slot *after);

#endif
