/* Hash map: open addressing, linear probing, deletion by shifting back (no tombstones). */
#include "base/map.h"

#include <stdlib.h>

#include "base/hash.h"
#include "base/mem.h"

#define MAP_CAP_MIN ((size_t)16)

static const uint8_t map_empty_key[1] = {0};

void
map_free(struct map *m)
{
    free(m->slots);
    *m = (struct map){0};
}

void
map_clear(struct map *m)
{
    if (m->len)
        memset(m->slots, 0, m->cap * sizeof(*m->slots));
    m->len = 0;
}

/* The slot that holds key, or the empty one where it belongs. m->cap > m->len. */
static struct map_slot *
map_find(const struct map *m, struct bytes key, uint64_t hash)
{
    size_t mask = m->cap - 1;
    for (size_t i = hash & mask;; i = (i + 1) & mask) {
        struct map_slot *s = &m->slots[i];
        if (!s->key.p || (s->hash == hash && bytes_eq(s->key, key)))
            return s;
    }
}

struct map_slot *
map_get(const struct map *m, struct bytes key)
{
    if (m->len == 0)
        return NULL;
    struct map_slot *s = map_find(m, key, hash_u64(key));
    return s->key.p ? s : NULL;
}

static void
map_grow(struct map *m)
{
    struct map old = *m;
    m->cap = old.cap ? old.cap * 2 : MAP_CAP_MIN;
    m->slots = mem_array(m->cap, sizeof(*m->slots));
    for (size_t i = 0; i < old.cap; i++) {
        if (old.slots[i].key.p)
            *map_find(m, old.slots[i].key, old.slots[i].hash) = old.slots[i];
    }
    free(old.slots);
}

struct map_slot *
map_put(struct map *m, struct bytes key, bool *fresh)
{
    if (m->len >= m->cap / 4 * 3)
        map_grow(m);
    uint64_t hash = hash_u64(key);
    struct map_slot *s = map_find(m, key, hash);
    *fresh = !s->key.p;
    if (*fresh) {
        *s = (struct map_slot){.key = key, .hash = hash};
        if (!key.p)
            s->key.p = map_empty_key;
        m->len++;
    }
    return s;
}

bool
map_del(struct map *m, struct bytes key)
{
    struct map_slot *s = map_get(m, key);
    if (!s)
        return false;
    size_t mask = m->cap - 1;
    size_t hole = (size_t)(s - m->slots);
    for (size_t i = (hole + 1) & mask; m->slots[i].key.p; i = (i + 1) & mask) {
        size_t home = m->slots[i].hash & mask;
        /* Whoever may not stand before its home cannot fill the hole. */
        if (((i - home) & mask) >= ((i - hole) & mask)) {
            m->slots[hole] = m->slots[i];
            hole = i;
        }
    }
    m->slots[hole] = (struct map_slot){0};
    m->len--;
    return true;
}

struct map_slot *
map_next(const struct map *m, const struct map_slot *after)
{
    size_t i = after ? (size_t)(after - m->slots) + 1 : 0;
    for (; i < m->cap; i++) {
        if (m->slots[i].key.p)
            return &m->slots[i];
    }
    return NULL;
}
