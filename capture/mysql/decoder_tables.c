/* TABLE_MAPs, bindings and table versions: see decoder.h. */
#include <stdlib.h>

#include "base/log.h"
#include "base/mem.h"
#include "capture/mysql/ddl.h"
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

static void
binding_forget(struct binding *b)
{
    b->resolved = false;
    row_plan_free(b->plan);
    b->plan = NULL;
}

/* keep NULL: none is kept. */
static void
forget(struct binlog_decoder *d, const struct source_name *name, const struct binding *keep)
{
    for (struct map_slot *s = NULL; (s = map_next(&d->bindings, s)) != NULL;) {
        struct binding *b = s->v.ptr;
        if (b != keep && (!name || ddl_name_means(name, &b->name, d->conf.fold_names)))
            binding_forget(b);
    }
}

void
decoder_tables_forget(struct binlog_decoder *d, const struct source_name *name)
{
    forget(d, name, NULL);
}

void
decoder_tables_altered(struct binlog_decoder *d, const struct source_ddl *ddl)
{
    if (ddl->kind == SOURCE_DDL_UNCLEAR)
        forget(d, NULL, NULL);
    for (size_t i = 0; i < ddl->name_count; i++)
        forget(d, &ddl->names[i], NULL);
}

/* What is chosen for the rows of a TABLE_MAP. */
struct choice {
    struct table *table; /* own reference; NULL: rows are skipped */
    bool gap;            /* because it is not known how to read them */
};

/* With names in it the map says which definition is right; without, a proof must. */
MUST static bool
judge(struct binlog_decoder *d, struct binlog_map *m, const struct source_known *known,
      const struct definition *now, struct choice *out, struct err *e)
{
    if (now->kind == DEFINITION_SEQUENCE)
        return true;
    if (now->table)
        binlog_map_hide(m, now->table);
    if (!m->has_names && !now->proved)
        return err_set(e, MR_SOURCE_UNPROVED, "%s", now->why);
    if (now->table && definition_agrees(m, now->table, d->conf.collations)) {
        now->table->fingerprint = binlog_map_fingerprint(m);
        out->table = table_ref(now->table);
        return true;
    }
    if (!m->has_names)
        return err_set(e, MR_SOURCE_TABLE_SCHEMA,
                       "the log does not agree with the definition: was the table altered "
                       "with sql_log_bin=0?");
    return definition_from_map(m, known->table ? known->table : now->table, d->conf.collations,
                               d->conf.flavor, &out->table, e);
}

MUST static bool
look_up(struct binlog_decoder *d, struct binlog_map *m, const struct source_known *known,
        struct choice *out, struct err *e)
{
    struct source_name name = {m->database, m->table};
    struct definition now;
    if (!d->conf.lookup(d->conf.lookup_ctx, &name, !m->has_names, &now, e))
        return false;
    bool ok = judge(d, m, known, &now, out, e);
    table_unref(now.table);
    return ok;
}

/* The version rows of this map belong to. */
MUST static bool
choose_table(struct binlog_decoder *d, struct binlog_map *m, const struct source_known *known,
             struct choice *out, struct err *e)
{
    struct table *old = known->table;
    *out = (struct choice){0};
    if (old)
        binlog_map_hide(m, old);
    if (known->unproved && !m->has_names) {
        out->gap = true;
        return true;
    }
    if (old && !known->unproved &&
        (old->fingerprint == binlog_map_fingerprint(m) ||
         definition_agrees(m, old, d->conf.collations))) {
        out->table = table_ref(old);
        return true;
    }
    if (!look_up(d, m, known, out, e))
        return false;
    if (out->table && old && table_same(old, out->table)) {
        table_unref(out->table);
        out->table = table_ref(old);
    }
    return true;
}

/* Not kept: the core is asked again at the next rows. */
MUST static bool
skip_gap(struct binlog_decoder *d, struct binding *b, struct err *e)
{
    b->resolved = false;
    b->wanted = false;
    return d->sink->gap(d->sink->ctx, &b->name, b->user, e);
}

MUST static bool
bind_table(struct binlog_decoder *d, struct binding *b, struct source_known *known,
           struct err *e)
{
    struct binlog_map m;
    struct choice c;
    if (!binlog_map_parse(b->event_body, d->conf.flavor, &d->scratch, &m, e) ||
        !choose_table(d, &m, known, &c, e))
        return false;
    b->wanted = c.table != NULL;
    if (!c.table)
        return !c.gap || skip_gap(d, b, e);
    if (!row_plan_new(&m, c.table, d->conf.collations, &b->plan, e)) {
        table_unref(c.table);
        return false;
    }
    if (c.table == known->table && !known->unproved) {
        table_unref(c.table);
        return true;
    }
    forget(d, &b->name, b); /* other maps of this table led to the version before */
    return d->sink->table_version(d->sink->ctx, c.table, &b->user, e);
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
