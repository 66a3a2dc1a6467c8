/* TABLE_MAPs, bindings and table versions: see decoder.h. */
#include <stdlib.h>

#include "base/log.h"
#include "base/mem.h"
#include "capture/mysql/decoder_private.h"

#define BINDINGS_MAX 4096

static void
binding_free(struct binding *b)
{
    row_plan_free(b->plan);
    free((void *)(uintptr_t)b->event_body.p);
    free(b);
}

void
decoder_tables_clear(struct binlog_decoder *d)
{
    for (struct map_slot *s = NULL; (s = map_next(&d->bindings, s)) != NULL;)
        binding_free(s->v.ptr);
    map_clear(&d->bindings);
    d->open_count = 0;
}

static struct binding *
binding_new(struct bytes event_body)
{
    struct binding *b = mem_zalloc(sizeof(*b));
    struct binlog_map head;
    struct err e;
    uint8_t *copy = mem_alloc(event_body.n);
    memcpy(copy, event_body.p, event_body.n);
    b->event_body = bytes_of(copy, event_body.n);
    if (!binlog_map_head(b->event_body, &head, &e))
        mem_die("a checked TABLE_MAP cannot be read again");
    b->name = (struct source_name){head.database, head.table};
    return b;
}

/* The map of an id replaces an older one of the same statement. */
static void
open_map(struct binlog_decoder *d, uint64_t id, struct binding *b)
{
    for (size_t i = 0; i < d->open_count; i++)
        if (d->open[i].id == id) {
            d->open[i].binding = b;
            return;
        }
    if (d->open_count == d->open_cap) {
        d->open_cap = d->open_cap ? d->open_cap * 2 : 16;
        d->open = mem_realloc(d->open, d->open_cap * sizeof(*d->open));
    }
    d->open[d->open_count++] = (struct open_map){id, b};
}

bool
decoder_table_map(struct binlog_decoder *d, struct bytes body, struct err *e)
{
    struct binlog_map head;
    bool fresh;
    if (!binlog_map_head(body, &head, e))
        return false;
    if (d->bindings.len >= BINDINGS_MAX && d->open_count == 0)
        decoder_tables_clear(d);
    struct map_slot *slot = map_put(&d->bindings, head.body, &fresh);
    if (fresh) {
        struct binding *b = binding_new(body);
        slot->v.ptr = b;
        slot->key = bytes_of(b->event_body.p + (body.n - head.body.n), head.body.n);
    }
    open_map(d, head.id, slot->v.ptr);
    return true;
}

/* ---- definitions ---- */

static struct bytes
stale_key(const struct source_name *n, struct arena *a)
{
    uint8_t *p = arena_alloc(a, n->database.n + n->table.n + 1);
    memcpy(p, n->database.p, n->database.n);
    p[n->database.n] = 0;
    memcpy(p + n->database.n + 1, n->table.p, n->table.n);
    return bytes_of(p, n->database.n + n->table.n + 1);
}

static bool
name_matches(const struct source_name *pattern, const struct source_name *n)
{
    return bytes_eq(pattern->database, n->database) &&
           (pattern->table.n == 0 || bytes_eq(pattern->table, n->table));
}

static void
binding_forget(struct binding *b)
{
    b->resolved = false;
    row_plan_free(b->plan);
    b->plan = NULL;
}

void
decoder_tables_forget(struct binlog_decoder *d, const struct source_name *name)
{
    for (struct map_slot *s = NULL; (s = map_next(&d->bindings, s)) != NULL;) {
        struct binding *b = s->v.ptr;
        if (!name || name_matches(name, &b->name))
            binding_forget(b);
    }
}

static void
make_stale(struct binlog_decoder *d, const struct source_name *name)
{
    bool fresh;
    map_put(&d->stale, stale_key(name, &d->stale_arena), &fresh);
}

void
decoder_tables_stale(struct binlog_decoder *d, const struct source_ddl *ddl)
{
    bool all = ddl->kind == SOURCE_DDL_UNCLEAR;
    for (size_t i = 0; i < ddl->name_count; i++)
        make_stale(d, &ddl->names[i]);
    for (struct map_slot *s = NULL; (s = map_next(&d->bindings, s)) != NULL;) {
        struct binding *b = s->v.ptr;
        bool hit = all;
        for (size_t i = 0; i < ddl->name_count && !hit; i++)
            hit = name_matches(&ddl->names[i], &b->name);
        if (!hit)
            continue;
        make_stale(d, &b->name);
        binding_forget(b);
    }
}

/* Once: the caller looks the definition up. */
static bool
take_stale(struct binlog_decoder *d, const struct source_name *name)
{
    bool was = d->stale.len && map_del(&d->stale, stale_key(name, &d->scratch));
    if (d->stale.len == 0)
        arena_reset(&d->stale_arena);
    return was;
}

/* *out: a definition that fits the map, own reference; NULL + *wanted false: not a table. */
MUST static bool
look_up(struct binlog_decoder *d, const struct binlog_map *m, const struct source_known *known,
        bool *wanted, struct table **out, struct err *e)
{
    struct source_name name = {m->database, m->table};
    enum definition_kind kind;
    struct table *now;
    if (!d->conf.lookup(d->conf.lookup_ctx, &name, &kind, &now, e))
        return false;
    if (kind == DEFINITION_SEQUENCE) {
        *wanted = false;
        return true;
    }
    if (kind == DEFINITION_VERSIONED)
        return err_set(e, MR_SOURCE_TYPE, "tables with system versioning are not supported");
    if (now && definition_agrees(m, now, d->conf.collations)) {
        now->fingerprint = binlog_map_fingerprint(m);
        *out = now;
        return true;
    }
    bool ok = m->has_names ? definition_from_map(m, known->table ? known->table : now,
                                                 d->conf.collations, d->conf.flavor, out, e)
                           : err_set(e, MR_SOURCE_TABLE_SCHEMA,
                                     "the log carries no column names (binlog_row_metadata) "
                                     "and the table's definition has "
                                     "changed since");
    table_unref(now);
    return ok;
}

/* The version rows of this map belong to. *fresh: it is new to the core. */
MUST static bool
choose_table(struct binlog_decoder *d, const struct binlog_map *m,
             const struct source_known *known, bool *wanted, struct table **out, struct err *e)
{
    struct source_name name = {m->database, m->table};
    struct table *old = known->table;
    bool stale = take_stale(d, &name);
    *out = NULL;
    if (old && !stale &&
        (old->fingerprint == binlog_map_fingerprint(m) ||
         definition_agrees(m, old, d->conf.collations))) {
        *out = table_ref(old);
        return true;
    }
    if (!look_up(d, m, known, wanted, out, e)) {
        if (stale)
            make_stale(d, &name);
        return false;
    }
    if (*out && old && table_same(old, *out)) {
        table_unref(*out);
        *out = table_ref(old);
    }
    return true;
}

MUST static bool
bind_table(struct binlog_decoder *d, struct binding *b, struct source_known *known,
           struct err *e)
{
    struct binlog_map m;
    struct table *t;
    if (!binlog_map_parse(b->event_body, d->conf.flavor, &d->scratch, &m, e) ||
        !choose_table(d, &m, known, &b->wanted, &t, e))
        return false;
    if (!t)
        return true;
    if (!row_plan_new(&m, t, d->conf.collations, &b->plan, e)) {
        table_unref(t);
        return false;
    }
    if (t != known->table)
        return d->sink->table_version(d->sink->ctx, t, &b->user, e);
    table_unref(t);
    return true;
}

bool
decoder_table_failed(struct binlog_decoder *d, struct binding *b, const struct err *why,
                     struct err *e)
{
    struct source_name name = b->name;
    void *user = b->user;
    b->resolved = true;
    b->wanted = false;
    row_plan_free(b->plan);
    b->plan = NULL;
    return d->sink->table_error(d->sink->ctx, &name, user, why, e);
}

MUST static bool
resolve(struct binlog_decoder *d, struct binding *b, struct err *e)
{
    struct source_known known = {0};
    struct err why;
    if (!d->sink->table(d->sink->ctx, &b->name, &known, e))
        return false;
    b->resolved = true;
    b->wanted = known.wanted;
    b->user = known.user;
    if (!b->wanted || bind_table(d, b, &known, &why))
        return true;
    if (why.class == ERR_TABLE)
        return decoder_table_failed(d, b, &why, e);
    b->resolved = false;
    *e = why;
    return false;
}

bool
decoder_binding(struct binlog_decoder *d, uint64_t id, struct binding **out, struct err *e)
{
    *out = NULL;
    for (size_t i = d->open_count; i-- > 0 && !*out;)
        if (d->open[i].id == id)
            *out = d->open[i].binding;
    return !*out || (*out)->resolved || resolve(d, *out, e);
}
