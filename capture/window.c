/* Windows over a running stream: see the header for the rule and why it holds.
 *
 * One map per table: key -> number of its last touch. A window remembers the number at P0; a
 * key is untouched in it when its last touch is not above that. So several windows share one
 * map, and a touch costs one lookup however many are open. Nothing here is durable: a crash
 * forgets every window, and `next` was not moved.
 */
#include "capture/window.h"

#include <stdlib.h>

#include "base/mem.h"

#define TOUCHED_KEEP ((size_t)1 << 16) /* slots not given back between loads */

struct window {
    struct window_table *table;
    uint32_t range;
    uint64_t order; /* of opening */
    uint64_t since; /* touches up to P0 */
    enum window_state state;
    struct position p0;
    struct position high;
    struct window *next; /* oldest first */
};

struct window_table {
    struct window_conf conf;
    struct map touched;
    struct arena keys;
    uint64_t touches;
    uint64_t opened;
    size_t live; /* windows not discarded */
    unsigned shrink;
    struct window *oldest;
};

struct window_table *
window_table_new(const struct window_conf *c)
{
    struct window_table *t = mem_zalloc(sizeof *t);
    t->conf = *c;
    if (!t->conf.touched_max)
        t->conf.touched_max = 1000000;
    if (!t->conf.touched_bytes_max)
        t->conf.touched_bytes_max = (size_t)64 << 20;
    t->shrink = 1;
    arena_init(&t->keys, 0);
    return t;
}

static void
window_free(struct window *w)
{
    position_free(&w->p0);
    position_free(&w->high);
    free(w);
}

static void
touched_clear(struct window_table *t)
{
    if (t->touched.cap > TOUCHED_KEEP)
        map_free(&t->touched);
    else
        map_clear(&t->touched);
    arena_reset(&t->keys);
}

void
window_table_free(struct window_table *t)
{
    if (!t)
        return;
    for (struct window *w = t->oldest, *next; w; w = next) {
        next = w->next;
        window_free(w);
    }
    map_free(&t->touched);
    arena_free(&t->keys);
    free(t);
}

void
window_table_discard(struct window_table *t)
{
    for (struct window *w = t->oldest; w; w = w->next)
        w->state = WINDOW_DISCARDED;
    t->live = 0;
    touched_clear(t);
}

size_t
window_table_open(const struct window_table *t)
{
    return t->live;
}

unsigned
window_table_shrink(const struct window_table *t)
{
    return t->shrink;
}

/* Keeps only the touches that an open window can still ask for. */
static void
touched_rebuild(struct window_table *t)
{
    uint64_t since = UINT64_MAX;
    for (const struct window *w = t->oldest; w; w = w->next) {
        if (w->state != WINDOW_DISCARDED && w->since < since)
            since = w->since;
    }
    struct map old = t->touched;
    struct arena old_keys = t->keys;
    t->touched = (struct map){0};
    arena_init(&t->keys, 0);
    for (struct map_slot *s = NULL; (s = map_next(&old, s)) != NULL;) {
        bool fresh;
        if (s->v.u <= since)
            continue;
        struct map_slot *x = map_put(&t->touched, s->key, &fresh);
        x->key = bytes_of(arena_strn(&t->keys, s->key), s->key.n);
        x->v.u = s->v.u;
    }
    map_free(&old);
    arena_free(&old_keys);
}

static bool
touched_above(const struct window_table *t, size_t divisor)
{
    return t->touched.len >= t->conf.touched_max / divisor ||
           t->keys.used >= t->conf.touched_bytes_max / divisor;
}

void
window_touch(struct window_table *t, struct bytes key)
{
    if (t->live == 0)
        return;
    bool fresh;
    struct map_slot *s = map_put(&t->touched, key, &fresh);
    if (fresh)
        s->key = bytes_of(arena_strn(&t->keys, key), key.n); /* an empty key is a key */
    s->v.u = ++t->touches;
    if (!fresh || !touched_above(t, 1))
        return;
    touched_rebuild(t);
    if (!touched_above(t, 2)) /* half: so that rebuilding is paid by as many touches */
        return;
    window_table_discard(t);
    if (t->shrink < 1u << 16)
        t->shrink *= 2;
}

struct window *
window_open(struct window_table *t, uint32_t range, const struct position *p0)
{
    struct window *w = mem_zalloc(sizeof *w);
    w->table = t;
    w->range = range;
    w->order = ++t->opened;
    w->since = t->touches;
    w->state = WINDOW_TRACKING;
    position_init(&w->p0, POSITION_NONE);
    position_init(&w->high, POSITION_NONE);
    position_copy(&w->p0, p0);
    struct window **at = &t->oldest;
    while (*at)
        at = &(*at)->next;
    *at = w;
    t->live++;
    return w;
}

enum window_state
window_state(const struct window *w)
{
    return w->state;
}

bool
window_may_read(struct window *w, const struct position *mark)
{
    if (w->state == WINDOW_TRACKING && position_covers(mark, &w->p0))
        w->state = WINDOW_READING;
    return w->state == WINDOW_READING;
}

bool
window_read(struct window *w, const struct position *mark)
{
    if (w->state != WINDOW_READING)
        return false;
    position_copy(&w->high, mark);
    w->state = WINDOW_READ;
    return true;
}

bool
window_may_emit(const struct window *w, const struct position *stream)
{
    if (w->state != WINDOW_READ)
        return false;
    for (const struct window *x = w->table->oldest; x && x != w; x = x->next) {
        if (x->range == w->range)
            return false;
    }
    return position_covers(stream, &w->high);
}

bool
window_emits(const struct window *w, struct bytes key)
{
    const struct map_slot *s = map_get(&w->table->touched, key);
    return !s || s->v.u <= w->since;
}

void
window_close(struct window *w)
{
    struct window_table *t = w->table;
    struct window **at = &t->oldest;
    while (*at != w)
        at = &(*at)->next;
    *at = w->next;
    if (w->state != WINDOW_DISCARDED && --t->live == 0)
        touched_clear(t);
    if (w->state == WINDOW_READ && t->shrink > 1)
        t->shrink /= 2;
    window_free(w);
}
