#include "capture/ddl.h"

#include "base/log.h"
#include "capture/definitions.h"
#include "capture/loads.h"
#include "capture/moves.h"

static struct progress_record
truncate_record(const struct captured *t, struct bytes sql, struct arena *a)
{
    return (struct progress_record){
        .event = EVENT_TRUNCATE,
        .table = t->topic,
        .version = t->table->version,
        .sql = arena_strn(a, sql),
    };
}

bool
ddl_truncate(void *ctx, const struct source_name *name, struct bytes sql, struct err *e)
{
    struct session *s = ctx;
    struct captured *t = tables_find(s, name->database, name->table);
    if (t == NULL || t->stopped || t->table == NULL)
        return true;
    loads_discard(s, t);
    struct arena a;
    arena_init(&a, 1024);
    struct progress_record r = truncate_record(t, sql, &a);
    bool ok = core_event_of_txn(s, &r, e);
    arena_free(&a);
    return ok;
}

/* A captured table is gone at the source: its rows stay at the target, marked. */
static bool
table_dropped(struct session *s, struct captured *t, struct err *e)
{
    if (t->table == NULL || t->dropped)
        return true;
    log_warn("source_table_dropped", F_STR("unit", unit_name(s->unit)),
             F_STR("table", t->topic));
    /* Half a load is none: should the table be made again, it is loaded. */
    t->loaded = t->loaded || t->windows == NULL;
    loads_drop(s, t);
    t->load = 0;
    definitions_forget_changes(t);
    t->dropped = true;
    return tables_note(s, t, e);
}

static bool
database_dropped(struct session *s, struct bytes db, struct err *e)
{
    for (struct captured *t = tables_first(s); t != NULL; t = t->following)
        if (bytes_eq(bytes_str(t->db), db) && !t->stopped && !table_dropped(s, t, e))
            return false;
    return true;
}

bool
ddl_empty(struct session *s, const struct captured *t, struct bytes sql, struct err *e)
{
    struct arena a;
    arena_init(&a, 1024);
    struct progress_record r = truncate_record(t, sql, &a);
    bool ok = core_event(s, &r, e);
    arena_free(&a);
    return ok;
}

/* The topic and the target table are made without waiting for rows. */
static bool
table_created(struct session *s, struct captured *t, const struct source_ddl *d, struct err *e)
{
    if (t->table == NULL)
        t->born = true;
    bool anew = t->dropped || !d->rows_kept; /* else CREATE TABLE IF NOT EXISTS */
    if (t->table != NULL && anew) {
        t->dropped = false;
        definitions_forget_changes(t);
        if (!ddl_empty(s, t, d->sql, e) ||
            !(t->loaded ? tables_note(s, t, e) : loads_begin(s, t, e)))
            return false;
    }
    return definitions_ask(s, t, e);
}

/* Other rows may stand under the name now: as after a statement that says nothing of them. */
static bool
table_replaced(struct session *s, struct captured *t, struct err *e)
{
    t->dropped = t->born = false;
    if (t->table != NULL)
        changes_lose(&t->changes);
    return definitions_ask(s, t, e);
}

static bool
on_table(struct session *s, const struct source_ddl *d, size_t i, struct err *e)
{
    struct captured *t;
    if (!tables_take(s, d->names[i].database, d->names[i].table, &t, e))
        return false;
    if (t == NULL || t->stopped)
        return true;
    log_info("source_ddl", F_STR("unit", unit_name(s->unit)), F_STR("table", t->topic),
             F_I64("kind", d->kind));
    if (d->kind == SOURCE_DDL_CREATE)
        return table_created(s, t, d, e);
    return d->kind == SOURCE_DDL_DROP ? table_dropped(s, t, e)
                                      : definitions_altered(s, t, d, e);
}

/* From the i-th name to the one behind it. */
static bool
on_rename(struct session *s, const struct source_ddl *d, size_t i, struct err *e)
{
    const struct source_name *n = &d->names[i];
    struct captured *from, *to;
    bool followed = false;
    if (!tables_take(s, n[0].database, n[0].table, &from, e) ||
        !tables_take(s, n[1].database, n[1].table, &to, e))
        return false;
    from = from == NULL || from->stopped ? NULL : from;
    to = to == NULL || to->stopped ? NULL : to;
    bool pair = from != NULL && to != NULL && from->table != NULL;
    if (pair && !moves_pair(s, from, to, d, &followed, e))
        return false;
    if (!pair && from != NULL && !table_dropped(s, from, e))
        return false;
    return to == NULL || followed || table_replaced(s, to, e);
}

static bool
renames(struct session *s, const struct source_ddl *d, struct err *e)
{
    for (size_t i = 0; i + 1 < d->name_count; i += 2)
        if (!on_rename(s, d, i, e))
            return false;
    return true;
}

bool
ddl_statement(void *ctx, const struct source_ddl *d, struct err *e)
{
    struct session *s = ctx;
    if (d->kind == SOURCE_DDL_RENAME)
        return renames(s, d, e);
    for (size_t i = 0; i < d->name_count; i++) {
        const struct source_name *n = &d->names[i];
        bool ok = n->table.n > 0 ? on_table(s, d, i, e)
                                 : d->kind != SOURCE_DDL_DROP_DATABASE ||
                                       database_dropped(s, n->database, e);
        if (!ok)
            return false;
    }
    return d->kind != SOURCE_DDL_UNCLEAR || definitions_ask_all(s, e);
}

bool
ddl_rows_missed(void *ctx, struct bytes sql, struct err *e)
{
    struct session *s = ctx;
    struct err why;
    err_fill(&why, MR_SOURCE_XA, "%.*s: prepared before the task's first position",
             (int)(sql.n < 200 ? sql.n : 200), (const char *)sql.p);
    for (struct captured *t = tables_first(s); t != NULL; t = t->following) {
        if (t->table == NULL || t->stopped || t->dropped)
            continue;
        if (!(s->task->full ? loads_begin(s, t, e) : tables_stop(s, t, &why, e)))
            return false;
    }
    return true;
}
