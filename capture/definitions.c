#include "capture/definitions.h"

#include "base/clock.h"
#include "base/fault.h"
#include "base/log.h"
#include "capture/ddl.h"
#include "capture/loads.h"

#define RETRY_MS     500
#define RETRY_FACTOR 10 /* asking takes at most this part of the time */

/* ---- proved ---- */

void
definitions_forget_changes(struct captured *t)
{
    changes_free(t->changes);
    t->changes = NULL;
}

/* Loaded again: before the version, as the rows that are there do not follow to it. */
static bool
resync(struct session *s, struct captured *t, bool gap, struct err *e)
{
    log_warn("table_resync", F_STR("unit", unit_name(s->unit)), F_STR("topic", t->topic),
             F_STR("effect", gap ? "loaded again: rows of it could not be read"
                                 : "loaded again: the change cannot be followed in place"));
    FAULT("definition.resync");
    return loads_begin(s, t, e);
}

/* Rows that are there can become those of the new definition at the target. Equal rows are
 * found by all that is in them, so any change makes others of them. */
static bool
follows_from(const struct captured *t, const struct table *version)
{
    bool multiset = t->shape != NULL && t->shape->rows == TABLE_MULTISET;
    if (multiset && !table_same(t->table, version))
        return false;
    return changes_follow(t->changes, t->table, version);
}

static bool
settle(struct session *s, struct captured *t, struct table *version, struct json *renames,
       bool marked, struct err *e)
{
    if (t->table == NULL || !table_same(t->table, version))
        return tables_version(s, t, version, renames, e);
    table_unref(version);
    return !marked || tables_note(s, t, e);
}

/* What was skipped can come with a load only. (A task without full load has a gap only where an
 * operator resumed a stopped table.) */
bool
definitions_proved(struct session *s, struct captured *t, struct table *version, struct err *e)
{
    bool known = t->table != NULL, gap = known && t->gap;
    bool follows = !known || (!gap && follows_from(t, version));
    bool marked = t->unproved || t->gap || t->changes != NULL;
    struct json *renames = known && follows ? changes_renames(t->changes) : NULL;
    bool ok = follows || (!gap && !s->task->full) || resync(s, t, gap, e);
    t->unproved = t->gap = false; /* only now: the load's marks may be durable alone */
    definitions_forget_changes(t);
    if (ok)
        ok = settle(s, t, version, renames, marked, e);
    else
        table_unref(version);
    json_free(renames);
    FAULT("definition.settled");
    return ok;
}

/* ---- not proved ---- */

/* Even so it is good for something: a table that is met first gets its topic and its marks. */
static bool
mark(struct session *s, struct captured *t, struct source_definition *d, struct err *e)
{
    if (!t->unproved)
        log_warn("definition_unproved", F_STR("unit", unit_name(s->unit)),
                 F_STR("table", t->topic), F_STR("why", d->why));
    t->unproved = true;
    if (t->table == NULL && d->table != NULL)
        return tables_version(s, t, d->table, NULL, e);
    table_unref(d->table);
    return true;
}

static bool
answer(struct session *s, struct captured *t, struct source_definition *d, struct err *e)
{
    if (!d->proved)
        return mark(s, t, d, e);
    if (d->table == NULL) /* not there: no rows can come before it is made */
        return true;
    struct source_name name = {bytes_str(t->db), bytes_str(t->name)};
    s->ops->decoder_forget(s->decoder, &name);
    return definitions_proved(s, t, d->table, e);
}

static bool
ask(struct session *s, struct captured *t, struct err *e)
{
    struct source_name name = {bytes_str(t->db), bytes_str(t->name)};
    struct source_definition d;
    struct err why;
    if (s->ops->describe(s->source, s->decoder, &name, &d, &why))
        return answer(s, t, &d, e);
    if (why.class == ERR_TABLE)
        return tables_stop(s, t, &why, e);
    *e = why;
    return err_wrap(e, "definition of %s.%s", t->db, t->name);
}

bool
definitions_ask(struct session *s, struct captured *t, struct err *e)
{
    bool known = t->table != NULL;
    if (t->stopped)
        return true;
    t->asked = true;
    if (!ask(s, t, e))
        return false;
    bool open = t->unproved || t->changes != NULL;
    return !known || t->stopped || !open || tables_note(s, t, e);
}

bool
definitions_altered(struct session *s, struct captured *t, const struct source_ddl *d,
                    struct err *e)
{
    if (t->table != NULL && !t->stopped)
        changes_note(&t->changes, t->table, d);
    return definitions_ask(s, t, e);
}

bool
definitions_ask_all(struct session *s, struct err *e)
{
    for (struct captured *t = tables_first(s); t != NULL; t = t->following)
        if (!t->dropped && (!tables_go_on(s, e) || !definitions_ask(s, t, e)))
            return false;
    return true;
}

/* One table a call: a lost claim or a stop does not wait for many. */
bool
definitions_retry(struct session *s, struct err *e)
{
    uint64_t begin = clock_mono_ms();
    if (s->in_txn || sequencer_position(s->seq)->partial_count > 0 ||
        (s->retrying == NULL && begin < s->definitions_ms))
        return true;
    struct captured *t = s->retrying == NULL ? tables_first(s) : s->retrying;
    while (t != NULL && (!t->unproved || t->dropped || t->stopped))
        t = t->following;
    s->retrying = t == NULL ? NULL : t->following;
    if (t != NULL && !ask(s, t, e))
        return false;
    uint64_t now = clock_mono_ms();
    s->retry_ms += now - begin;
    if (s->retrying != NULL)
        return true;
    s->definitions_ms = now + RETRY_MS + RETRY_FACTOR * s->retry_ms;
    s->retry_ms = 0;
    return true;
}

bool
definitions_gap(void *ctx, const struct source_name *name, void *user, struct err *e)
{
    struct session *s = ctx;
    struct captured *t = user;
    struct err why;
    (void)name;
    if (t->gap || t->stopped)
        return true;
    err_set(&why, MR_SOURCE_UNPROVED, "%s.%s: rows at %s cannot be read", t->db, t->name,
            s->task->full ? "this place" : "this place of a task without full load");
    if (!s->task->full)
        return tables_stop(s, t, &why, e);
    log_warn("table_gap", F_STR("unit", unit_name(s->unit)), F_STR("table", t->topic),
             F_ERR(&why));
    t->gap = true;
    t->born = false; /* not complete by the stream alone */
    FAULT("definition.gap");
    return t->table == NULL || tables_note(s, t, e);
}
