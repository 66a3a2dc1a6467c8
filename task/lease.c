#include "task/lease.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/arena.h"
#include "base/mem.h"

#define LEASE_VERSION 1
#define UUID_LEN      36

enum lease_action
lease_decide(const struct lease_id *me, const struct lease_claim *c)
{
    if (c->none)
        return LEASE_CLAIM;
    if (strcmp(c->by.name, me->name) == 0) {
        if (c->by.instance == me->instance)
            return LEASE_RUN;
        return c->by.term > me->term ? LEASE_REPLACED : LEASE_CLAIM;
    }
    return c->alive ? LEASE_STAND_BY : LEASE_CLAIM;
}

/* A worker of our half, by name. */
struct peer {
    char *name;
    uint64_t instance; /* of the newest term */
    uint64_t term;
    uint64_t silence_ms; /* in our own beats, since its last */
    uint64_t ts_ms;      /* its own clock, at its last beat */
    bool stopped;
};

struct claim {
    char *name;
    uint64_t instance;
    uint64_t term;
    bool released;
};

struct lease_log {
    char *beat_prefix; /* "worker/<half>/" */
    char *my_name;
    struct lease_id me;
    uint64_t step_ms; /* what one own beat can add to the silence of others */
    uint64_t dead_ms;
    uint64_t start_wall_ms;
    uint64_t own_beat_ms; /* when our last beat was read; 0: none yet */
    bool begun;
    bool replaced;
    struct map peers;  /* name -> struct peer */
    struct map claims; /* key -> struct claim */
};

struct lease_log *
lease_log_new(const struct lease_conf *c, uint64_t now_wall_ms)
{
    struct lease_log *l = mem_zalloc(sizeof(*l));
    l->beat_prefix = mem_printf("worker/%s/", c->half);
    l->my_name = mem_strdup(c->name);
    l->me = (struct lease_id){l->my_name, c->instance, 0};
    l->step_ms = c->beat_ms * 3 / 2;
    l->dead_ms = c->dead_ms;
    l->start_wall_ms = now_wall_ms;
    return l;
}

static void
claim_free(struct claim *c)
{
    if (c != NULL)
        free(c->name);
    free(c);
}

void
lease_log_free(struct lease_log *l)
{
    if (l == NULL)
        return;
    for (struct map_slot *s = NULL; (s = map_next(&l->peers, s)) != NULL;) {
        struct peer *p = s->v.ptr;
        free(p->name);
        free(p);
    }
    for (struct map_slot *s = NULL; (s = map_next(&l->claims, s)) != NULL;) {
        void *key = (void *)(uintptr_t)s->key.p;
        claim_free(s->v.ptr);
        free(key);
    }
    map_free(&l->peers);
    map_free(&l->claims);
    free(l->beat_prefix);
    free(l->my_name);
    free(l);
}

static struct peer *
find_peer(const struct lease_log *l, const char *name)
{
    struct map_slot *s = map_get(&l->peers, bytes_str(name));
    return s != NULL ? s->v.ptr : NULL;
}

static struct peer *
make_peer(struct lease_log *l, const char *name)
{
    bool fresh = false;
    struct map_slot *s = map_put(&l->peers, bytes_str(name), &fresh);
    if (fresh) {
        struct peer *p = mem_zalloc(sizeof(*p));
        p->name = mem_strdup(name);
        s->key = bytes_str(p->name);
        s->v.ptr = p;
    }
    return s->v.ptr;
}

static uint64_t
record_instance(const struct json *v)
{
    return strtoull(json_get_str(v, "instance", "0"), NULL, 16);
}

/* Our own beat came back: time passes for the others, at most a step. */
static void
own_beat(struct lease_log *l, uint64_t now_ms)
{
    uint64_t step = l->own_beat_ms != 0 ? now_ms - l->own_beat_ms : 0;
    if (step > l->step_ms)
        step = l->step_ms;
    l->own_beat_ms = now_ms != 0 ? now_ms : 1;
    for (struct map_slot *s = NULL; (s = map_next(&l->peers, s)) != NULL;) {
        struct peer *p = s->v.ptr;
        p->silence_ms += step;
    }
}

static bool
is_newer(uint64_t term, uint64_t instance, uint64_t than_term, uint64_t than_instance)
{
    return term != than_term ? term > than_term : instance > than_instance;
}

static void
read_beat(struct lease_log *l, const struct json *v, uint64_t now_ms)
{
    const char *name = json_get_str(v, "name", "");
    uint64_t instance = record_instance(v), term = json_get_u64(v, "term", 0);
    bool own_name = strcmp(name, l->me.name) == 0;
    if (own_name && instance == l->me.instance)
        own_beat(l, now_ms);
    else if (own_name && l->begun && is_newer(term, instance, l->me.term, l->me.instance))
        l->replaced = true;
    struct peer *p = make_peer(l, name);
    if (p->instance != instance && !is_newer(term, instance, p->term, p->instance))
        return; /* a thawed older instance speaks for nobody */
    p->instance = instance;
    p->term = term;
    p->stopped = json_get_bool(v, "stopped", false);
    p->ts_ms = json_get_u64(v, "ts_ms", 0);
    p->silence_ms = 0;
    bool history = l->own_beat_ms == 0;
    if (history && p->ts_ms + LEASE_OLD_MS < l->start_wall_ms)
        p->silence_ms = l->dead_ms;
}

static struct claim *
make_claim(struct lease_log *l, struct bytes key)
{
    bool fresh = false;
    struct map_slot *s = map_put(&l->claims, key, &fresh);
    if (fresh) {
        s->key = bytes_of(mem_strn(key), key.n);
        s->v.ptr = mem_zalloc(sizeof(struct claim));
    }
    return s->v.ptr;
}

static void
read_claim(struct lease_log *l, struct bytes key, const struct json *v)
{
    struct claim *c = make_claim(l, key);
    free(c->name);
    if (json_is_null(v)) {
        *c = (struct claim){.name = NULL, .released = true};
        return;
    }
    *c = (struct claim){.name = mem_strdup(json_get_str(v, "name", "")),
                        .instance = record_instance(v),
                        .term = json_get_u64(v, "term", 0),
                        .released = json_get_bool(v, "released", false)};
}

static bool
starts_with(struct bytes key, const char *prefix)
{
    size_t n = strlen(prefix);
    return key.n > n && memcmp(key.p, prefix, n) == 0;
}

static bool
is_claim_key(struct bytes key)
{
    return key.n > UUID_LEN + 7 && memcmp(key.p + UUID_LEN, "/lease/", 7) == 0;
}

void
lease_log_read(struct lease_log *l, struct bytes key, const struct json *value, uint64_t now_ms)
{
    if (key.p == NULL)
        return;
    bool readable = json_is_null(value) || json_get_i64(value, "v", 0) == LEASE_VERSION;
    if (!readable)
        return;
    if (starts_with(key, l->beat_prefix)) {
        if (!json_is_null(value))
            read_beat(l, value, now_ms);
    } else if (is_claim_key(key)) {
        read_claim(l, key, value);
    }
}

uint64_t
lease_log_begin(struct lease_log *l, uint64_t now_wall_ms)
{
    const struct peer *p = find_peer(l, l->me.name);
    uint64_t above = p != NULL ? p->term + 1 : 0;
    l->me.term = above > now_wall_ms ? above : now_wall_ms;
    l->begun = true;
    return l->me.term;
}

static bool
claim_is_alive(const struct lease_log *l, const struct claim *c)
{
    const struct peer *p = find_peer(l, c->name);
    /* A newer instance of the name speaks for the claim too: it will claim at once. */
    return p != NULL && !p->stopped && p->silence_ms < l->dead_ms;
}

void
lease_log_claim(const struct lease_log *l, const char *unit, struct lease_claim *out)
{
    *out = (struct lease_claim){.none = true};
    struct map_slot *s = map_get(&l->claims, bytes_str(unit));
    const struct claim *c = s != NULL ? s->v.ptr : NULL;
    if (c == NULL || c->released || c->name == NULL)
        return;
    out->none = false;
    out->by = (struct lease_id){c->name, c->instance, c->term};
    out->alive = claim_is_alive(l, c);
}

bool
lease_log_replaced(const struct lease_log *l)
{
    return l->replaced;
}

bool
lease_log_ready(const struct lease_log *l)
{
    return l->own_beat_ms != 0;
}

void
lease_beat_key(const char *half, const char *name, struct buf *out)
{
    buf_addf(out, "worker/%s/%s", half, name);
}

static struct json *
record(const struct lease_id *me, uint64_t now_wall_ms)
{
    char instance[17];
    snprintf(instance, sizeof(instance), "%016" PRIx64, me->instance);
    struct json *j = json_object_new();
    json_set(j, "v", json_i64(LEASE_VERSION));
    json_set(j, "name", json_str(me->name));
    json_set(j, "instance", json_str(instance));
    json_set(j, "term", json_u64(me->term));
    json_set(j, "ts_ms", json_u64(now_wall_ms));
    return j;
}

struct json *
lease_beat(const struct lease_id *me, uint64_t now_wall_ms, bool stopped)
{
    struct json *j = record(me, now_wall_ms);
    json_set(j, "stopped", json_bool_new(stopped));
    return j;
}

struct json *
lease_claim_record(const struct lease_id *me, uint64_t now_wall_ms, bool released)
{
    struct json *j = record(me, now_wall_ms);
    json_set(j, "released", json_bool_new(released));
    return j;
}
