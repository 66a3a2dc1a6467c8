/* Steps: what happens to a target table besides rows: made, altered, truncated, loaded again.
 *
 * DDL at the target is outside of the checkpoint's transaction. So: the checkpoint that ends at
 * the event is stored with an intent {kind, event, statement, how to do it again}; the
 * statement is executed; the checkpoint is stored without it. Die between any two of these:
 * whoever opens the table finds the intent, executes it again (every step looks first, and
 * doing it twice is the same as once, since no row is written while an intent is pending) and
 * clears it.
 *
 * A restarted task (another incarnation than the checkpoint's) loads every table again: an
 * empty hidden table, made from the target's own definition, takes every row of the new
 * incarnation; at the event that ends the load it takes the target's name, in one RENAME. Until
 * then the target stays as it was, readable; it does not follow the stream, because between the
 * two incarnations changes are missing that later ones may depend on. Rows gone at the source
 * are not in the hidden table, so they are gone after the swap. A load of a task that copies
 * into an existing table for the first time writes to it directly. A table that is loaded again
 * while the task runs (replaced at the source, or stopped and resumed) goes the same way.
 *
 * A load that begins when rows of this incarnation are there already is a re-sync: capture says
 * so where rows changed without row events or a definition cannot be followed in place. It goes
 * the same way, through a hidden table. A version that an empty hidden table cannot be altered
 * to makes it anew.
 *
 * A load ends without its LOAD_END when another table takes the name, or its table leaves it:
 * renamed or dropped at the source. (In a lake the hidden table then holds the newest
 * checkpoint, and goes with the next claim.) The checkpoint that no longer knows the hidden
 * table carries the intent to remove it. So no death leaves one: every checkpoint that was
 * stored names the hidden table, in `loads` or in its intent, or none is there.
 *
 * A table that takes another name at the source does so here: a SWAP without a load, by the
 * lane of the old name; the new name's version event comes after it (apply/moves.c).
 *
 * `loads` of the checkpoint: {own: the table holds nothing but what this incarnation wrote,
 * gone: it was renamed away, absent when it is there, left: dropped or renamed at the source
 * while it was loaded again, until the next load,
 * table: the hidden table, absent when rows go to the target itself, begun: a load began,
 * loaded, others: per
 * partition [offset, epoch, seq] of the last record that other incarnations applied: if it is
 * still there, nothing of ours lies below it}.
 *
 * Failpoints: apply.intent.before (checkpoint with intent), apply.intent.after_commit,
 * apply.ddl.after, apply.intent.cleared. Thread: the table's lane.
 */
#include "apply/apply.h"

#include <inttypes.h>
#include <stdlib.h>

#include "base/fault.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/mem.h"

static const struct {
    enum sink_ddl what;
    const char *kind;
} kinds[] = {
    {SINK_CREATE, "create"}, {SINK_EVOLVE, "evolve"}, {SINK_TRUNCATE, "truncate"},
    {SINK_COPY, "copy"},     {SINK_SWAP, "swap"},     {SINK_REMOVE, "remove"},
};

static const char *
kind_text(enum sink_ddl what)
{
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
        if (kinds[i].what == what)
            return kinds[i].kind;
    return "";
}

static bool
kind_parse(const char *kind, enum sink_ddl *what)
{
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
        if (!strcmp(kinds[i].kind, kind)) {
            *what = kinds[i].what;
            return true;
        }
    return false;
}

/* Name of the hidden table: of the target's, so that a left-over is found again. */
static char *
hidden_name(const struct apply_table *t)
{
    return mem_printf("_millrace_new_%016" PRIx64, (uint64_t)hash_crc32(0, bytes_str(t->target))
                                                           << 32 |
                                                       hash_murmur2(bytes_str(t->target)));
}

static void
set_loads(struct checkpoint *ck, bool own, const char *hidden, bool loaded)
{
    struct json *others = ck->loads ? json_get(ck->loads, "others") : NULL;
    bool begun = ck->loads && json_get_bool(ck->loads, "begun", false);
    others = json_is_null(others) ? NULL : json_ref(others);
    json_free(ck->loads);
    ck->loads = json_object_new();
    if (others)
        json_set(ck->loads, "others", others);
    if (begun)
        json_set(ck->loads, "begun", json_bool_new(true));
    json_set(ck->loads, "own", json_bool_new(own));
    if (hidden)
        json_set(ck->loads, "table", json_str(hidden));
    json_set(ck->loads, "loaded", json_bool_new(loaded));
}

/* own.written and its friends from the stored checkpoint. */
static void
read_loads(struct apply_table *t)
{
    struct lane_table *o = &t->own;
    const char *hidden = o->ck.loads ? json_get_str(o->ck.loads, "table", NULL) : NULL;
    char *written = mem_strdup(hidden ? hidden : t->to_table);
    free(o->written);
    o->written = written;
    o->hidden = hidden != NULL;
    o->own = o->ck.loads && json_get_bool(o->ck.loads, "own", false);
    o->gone = o->ck.loads && json_get_bool(o->ck.loads, "gone", false);
    o->left = o->ck.loads && json_get_bool(o->ck.loads, "left", false);
}

void
steps_refresh(struct apply_table *t)
{
    read_loads(t);
}

/* Its rows stand under another name; made again, it begins without any. */
static void
set_gone(struct checkpoint *ck)
{
    set_loads(ck, true, NULL, true);
    json_set(ck->loads, "gone", json_bool_new(true));
}

/* It holds what was loaded and written under another name. */
static void
set_entered(struct checkpoint *ck)
{
    set_loads(ck, false, NULL, true);
    json_set(ck->loads, "begun", json_bool_new(true));
}

/* The table leaves its name in the middle of a load anew. */
static bool
leaves_load(const struct apply_table *t, const struct job_event *ev)
{
    return t->own.hidden && ev->kind == EVENT_VERSION && ev->plan && ev->dropped &&
           !ev->enters && t->run->task->sink_type == TASK_SINK_MYSQL;
}

/* It holds, in its shape of then, what was written before a load that came to no end. */
static void
set_left(struct checkpoint *ck)
{
    set_entered(ck);
    json_set(ck->loads, "left", json_bool_new(true));
}

MUST static bool
look(struct lane *l, struct apply_table *t, const char *table, const struct table *version,
     struct sink_look *out, struct err *e)
{
    return l->run->ops->look(l->sink, t->to_db, table, version, out, e);
}

/* ---- intents ---- */

static struct json *
intent_json(const struct bytes text)
{
    struct json *j;
    struct err e = {0};
    return json_parse(text, &j, &e) ? j : json_object_new();
}

uint32_t
steps_intent_version(const struct checkpoint *ck)
{
    if (!ck->intent || strcmp(ck->intent->kind, "evolve") != 0)
        return 0;
    struct json *j = intent_json(bytes_str(ck->intent->done));
    uint32_t version = (uint32_t)json_get_u64(j, "version", 0);
    json_free(j);
    return version;
}

/* fresh: a left-over of the table goes first. */
MUST static bool
intend(struct lane *l, struct apply_table *t, const struct sink_step *step, struct cut_id id,
       uint32_t version, bool fresh, struct err *e)
{
    struct buf statement = {0}, done = {0};
    struct err ignored = {0};
    /* a statement that cannot be written is found out when the step is done */
    if (!l->run->ops->ddl_text(l->sink, step, &statement, &ignored))
        buf_reset(&statement);
    struct json *j = json_object_new();
    json_set(j, "table", json_str(step->table));
    if (step->other)
        json_set(j, "other", json_str(step->other));
    json_set(j, "version", json_u64(version));
    json_set(j, "fresh", json_bool_new(fresh));
    if (step->moves)
        json_set(j, "moves", json_bool_new(true));
    json_dump(j, &done);
    json_free(j);
    checkpoint_set_intent(&t->own.next, kind_text(step->what), id, buf_cstr(&statement),
                          buf_cstr(&done));
    bool ok = !statement.failed && !done.failed;
    buf_free(&statement);
    buf_free(&done);
    FAULT("apply.intent.before");
    return ok || err_set(e, MR_NO_MEMORY, "intent");
}

bool
steps_intend(struct lane *l, struct apply_table *t, const struct sink_step *step,
             struct cut_id id, uint32_t version, struct err *e)
{
    bool hidden = strcmp(step->table, t->to_table) != 0;
    return intend(l, t, step, id, version, step->what == SINK_CREATE && hidden, e);
}

/* What the checkpoint says once the step is done. */
MUST static bool
settle(struct lane *l, struct apply_table *t, const struct sink_step *step,
       const struct plan *plan, struct err *e)
{
    struct lane_table *o = &t->own;
    enum sink_ddl what = step->what;
    struct sink_look now;
    lane_next(t);
    checkpoint_set_intent(&o->next, NULL, (struct cut_id){0, 0}, NULL, NULL);
    if (what == SINK_SWAP && step->moves)
        set_gone(&o->next);
    else if (what == SINK_SWAP)
        set_loads(&o->next, o->own, NULL, true);
    if (what == SINK_CREATE || what == SINK_COPY || what == SINK_EVOLVE)
        checkpoint_topic(&o->next, t->topic)->version = plan->number;
    if (what == SINK_CREATE || what == SINK_COPY) {
        if (!look(l, t, o->written, plan->table, &now, e))
            return false;
        if (now.shape != SINK_FITS)
            return err_set(e, MR_TARGET_SHAPE, "%s.%s: %s", t->to_db, o->written, now.why);
        o->more_unique = now.more_unique;
        set_loads(&o->next, now.empty, o->hidden ? o->written : NULL, false);
    }
    if (!lane_store(l, &t, 1, NULL, e))
        return false;
    o->plan = plan;
    read_loads(t);
    return true;
}

/* A table of ours without rows is made anew when it cannot be altered. */
MUST static bool
evolve(struct lane *l, struct apply_table *t, struct sink_step *step, struct err *e)
{
    const struct sink_ops *ops = l->run->ops;
    struct sink_look now;
    if (!look(l, t, step->table, step->to, &now, e))
        return false;
    step->empty = now.empty;
    if (ops->ddl(l->sink, step, e))
        return true;
    if (e->class != ERR_TABLE || !now.empty || !(t->own.hidden || t->own.own))
        return false;
    log_warn("target_made_anew", F_STR("task", l->run->task->name), F_STR("table", step->table),
             F_ERR(e));
    err_clear(e);
    struct sink_step anew = {
        .what = SINK_REMOVE, .db = step->db, .table = step->table, .to = step->to};
    if (!ops->ddl(l->sink, &anew, e))
        return false;
    anew.what = SINK_CREATE;
    return ops->ddl(l->sink, &anew, e);
}

MUST static bool
execute(struct lane *l, struct apply_table *t, struct sink_step *step, bool fresh,
        struct err *e)
{
    const struct sink_ops *ops = l->run->ops;
    if (fresh) {
        struct sink_step gone = *step;
        gone.what = SINK_REMOVE;
        if (!ops->ddl(l->sink, &gone, e))
            return false;
    }
    log_info("target_ddl", F_STR("task", l->run->task->name), F_STR("table", t->target),
             F_STR("step", kind_text(step->what)),
             F_STR("statement", t->own.ck.intent->statement));
    return step->what == SINK_EVOLVE ? evolve(l, t, step, e) : ops->ddl(l->sink, step, e);
}

bool
steps_finish(struct lane *l, struct apply_table *t, struct err *e)
{
    FAULT("apply.intent.after_commit");
    read_loads(t);
    const struct checkpoint_intent *in = t->own.ck.intent;
    struct sink_step step = {.db = t->to_db};
    if (!kind_parse(in->kind, &step.what))
        return err_set(e, MR_TARGET_CHECKPOINT, "intent '%s'", in->kind);
    struct json *j = intent_json(bytes_str(in->done));
    const struct plan *plan = step.what == SINK_EVOLVE ? t->own.intent_plan : t->own.plan;
    step.table = json_get_str(j, "table", t->to_table);
    step.other = json_get_str(j, "other", NULL);
    step.moves = json_get_bool(j, "moves", false);
    step.from = step.what == SINK_EVOLVE ? t->own.plan->table : NULL;
    step.to = plan ? plan->table : NULL;
    step.renames = plan ? plan->renames : NULL;
    step.rename_count = plan ? plan->rename_count : 0;
    bool ok = plan != NULL;
    if (!ok)
        err_set(e, MR_SCHEMA_UNKNOWN, "%s: version of a pending change", t->topic);
    ok = ok && execute(l, t, &step, json_get_bool(j, "fresh", false), e);
    if (ok)
        FAULT("apply.ddl.after");
    ok = ok && settle(l, t, &step, plan, e);
    json_free(j);
    FAULT("apply.intent.cleared");
    return ok;
}

/* ---- events ---- */

/* Columns of the version before that the new one has under no name, or, of_new, the reverse. */
static unsigned
columns_lost(const struct plan *p, const struct table *from, bool of_new)
{
    const struct table *a = of_new ? p->table : from, *b = of_new ? from : p->table;
    unsigned n = 0;
    for (unsigned i = 0; i < a->column_count; i++) {
        const char *name = a->columns[i].name;
        for (size_t k = 0; k < p->rename_count; k++)
            if (!strcmp(name, of_new ? p->renames[k].to : p->renames[k].from))
                name = of_new ? p->renames[k].from : p->renames[k].to;
        n += table_column_find(b, bytes_str(name)) < 0;
    }
    return n;
}

MUST static bool
plan_version(struct lane *l, const struct job_event *ev, struct sink_step *step, bool *needed,
             struct err *e)
{
    struct apply_table *t = ev->table;
    if (!ev->plan)
        return err_set(e, MR_SCHEMA_UNKNOWN, "%s: a version that cannot be read", t->topic);
    struct sink_look now;
    if (!look(l, t, t->own.written, ev->plan->table, &now, e))
        return false;
    if (now.shape == SINK_ABSENT)
        return err_set(e, MR_TARGET_SHAPE, "%s.%s was dropped", t->to_db, t->own.written);
    const struct table *from = t->own.plan->table, *to = ev->plan->table;
    unsigned lost = columns_lost(ev->plan, from, false),
             added = columns_lost(ev->plan, from, true);
    /* Unless capture says what became of the columns: in rows that are there, a renamed one
     * keeps its values, a new one does not. */
    if (lost && added && !now.empty && !ev->plan->changes_known)
        return err_set(
            e, MR_TARGET_DDL,
            "invalid modify column: %u columns went and %u came at once, which may be a rename",
            lost, added);
    *needed = now.shape == SINK_DIFFERS || lost || ev->plan->rename_count;
    if (now.shape == SINK_DIFFERS)
        log_info("target_differs", F_STR("task", l->run->task->name), F_STR("table", t->target),
                 F_STR("difference", now.why));
    step->what = SINK_EVOLVE;
    step->from = from;
    step->to = to;
    step->renames = ev->plan->renames;
    step->rename_count = ev->plan->rename_count;
    step->empty = now.empty;
    t->own.intent_plan = ev->plan;
    return true;
}

/* Rows of this incarnation are in the table, as own.next will say. */
static bool
has_rows(struct apply_table *t)
{
    for (size_t i = 0; i < t->parts_len; i++)
        if (checkpoint_part(&t->own.next, t->topic, t->parts[i].id)->epoch)
            return true;
    return false;
}

/* Loaded again: into a hidden table like the target, or like the version when the target is not
 * like it. */
MUST static bool
plan_load(struct lane *l, struct apply_table *t, struct sink_step *step, bool *needed,
          struct err *e)
{
    struct sink_look now;
    const struct json *loads = t->own.ck.loads;
    *needed = has_rows(t) || (loads && (json_get_bool(loads, "begun", false) ||
                                        json_get_bool(loads, "loaded", false)));
    /* Rows that were there count, where a key does not say which of them is meant. */
    bool multiset = t->own.plan->table->rows == TABLE_MULTISET;
    if (!*needed && !multiset)
        return true;
    if (!look(l, t, t->to_table, t->own.plan->table, &now, e))
        return false;
    *needed |= now.shape != SINK_ABSENT && !now.empty;
    if (!*needed)
        return true;
    char *hidden = hidden_name(t);
    bool like = now.shape == SINK_FITS;
    log_warn("table_resync", F_STR("task", l->run->task->name), F_STR("table", t->target),
             F_STR("effect",
                   "loaded again into a hidden table; the target stays as it is until "
                   "the load ends, then follows"));
    set_loads(&t->own.next, true, hidden, false);
    json_set(t->own.next.loads, "begun", json_bool_new(true));
    step->what = like ? SINK_COPY : SINK_CREATE;
    step->table = like ? t->to_table : arena_strdup(&l->points, hidden);
    step->other = like ? arena_strdup(&l->points, hidden) : NULL;
    step->to = t->own.plan->table;
    free(hidden);
    return true;
}

/* The table takes another name, of a table of this task or of none. */
MUST static bool
plan_leave(struct lane *l, const struct job_event *ev, struct sink_step *step, struct err *e)
{
    struct apply_table *t = ev->table;
    struct sink_look now, there;
    if (!look(l, t, t->own.written, t->own.plan->table, &now, e) ||
        !look(l, t, ev->to_table, t->own.plan->table, &there, e))
        return false;
    if (now.shape == SINK_ABSENT)
        return err_set(e, MR_TARGET_SHAPE, "%s.%s was dropped", t->to_db, t->own.written);
    if (!ev->replaces && there.shape != SINK_ABSENT && !there.empty)
        return err_set(e, MR_TARGET_OCCUPIED, "%s.%s, which becomes %s.%s", t->to_db,
                       t->own.written, t->to_db, ev->to_table);
    step->what = SINK_SWAP;
    step->table = ev->to_table;
    step->other = t->own.written;
    step->moves = true;
    return true;
}

/* It was renamed to this name by the other table's step. A load that was begun under the name
 * will not end: step removes its hidden table. */
MUST static bool
plan_enter(struct lane *l, const struct job_event *ev, struct sink_step *step, bool *needed,
           struct err *e)
{
    struct apply_table *t = ev->table;
    struct sink_look now;
    if (!look(l, t, t->to_table, ev->plan->table, &now, e))
        return false;
    t->own.more_unique = now.more_unique;
    step->what = SINK_REMOVE;
    *needed = t->own.hidden;
    return now.shape == SINK_FITS ||
           err_set(e, MR_TARGET_SHAPE, "%s.%s: %s", t->to_db, t->to_table,
                   now.shape == SINK_ABSENT ? "it was dropped" : now.why);
}

/* Other rows stand under the name that was renamed away: it is made from this version. */
static void
plan_again(const struct job_event *ev, struct sink_step *step)
{
    struct lane_table *o = &ev->table->own;
    o->plan = ev->plan;
    checkpoint_topic(&o->next, ev->table->topic)->version = ev->plan->number;
    step->what = SINK_CREATE;
    step->to = ev->plan->table;
}

MUST static bool
plan_of_version(struct lane *l, const struct job_event *ev, struct sink_step *step,
                bool *needed, struct err *e)
{
    *needed = ev->to_table != NULL;
    if (ev->to_table)
        return plan_leave(l, ev, step, e);
    if (ev->enters && ev->plan)
        return plan_enter(l, ev, step, needed, e);
    if (leaves_load(ev->table, ev)) {
        step->what = SINK_REMOVE;
        *needed = true;
        return true;
    }
    if (ev->table->own.left && ev->plan)
        return true; /* no row comes before the next load begins */
    if (!ev->table->own.gone)
        return plan_version(l, ev, step, needed, e);
    *needed = !ev->dropped && ev->plan;
    if (*needed)
        plan_again(ev, step);
    return true;
}

/* A table that was renamed away is made again. */
static void
plan_truncate(const struct apply_table *t, struct sink_step *step)
{
    step->what = t->own.gone ? SINK_CREATE : SINK_TRUNCATE;
    step->to = t->own.gone ? t->own.plan->table : NULL;
}

bool
steps_plan(struct lane *l, const struct job_event *ev, struct sink_step *step, bool *needed,
           struct err *e)
{
    struct apply_table *t = ev->table;
    *needed = false;
    *step =
        (struct sink_step){.db = t->to_db, .table = t->own.written, .to = t->own.plan->table};
    switch (ev->kind) {
    case EVENT_VERSION:
        return plan_of_version(l, ev, step, needed, e);
    case EVENT_TRUNCATE:
        plan_truncate(t, step);
        *needed = true;
        return true;
    case EVENT_LOAD_END:
        step->what = SINK_SWAP;
        step->table = t->to_table;
        step->other = t->own.written;
        *needed = t->own.hidden;
        return true;
    case EVENT_LOAD_BEGIN:
        return plan_load(l, t, step, needed, e);
    case EVENT_DDL:
        return true;
    }
    return true;
}

void
steps_note(struct apply_table *t, const struct job_event *ev)
{
    struct checkpoint *ck = &t->own.next;
    if (ev->kind == EVENT_VERSION)
        checkpoint_topic(ck, t->topic)->version = ev->plan->number;
    if (ev->enters)
        set_entered(ck);
    else if (leaves_load(t, ev))
        set_left(ck);
    if (ev->kind == EVENT_LOAD_BEGIN) {
        set_loads(ck, t->own.own, t->own.hidden ? t->own.written : NULL, false);
        json_set(ck->loads, "begun", json_bool_new(true));
    }
    if (ev->kind == EVENT_LOAD_END)
        set_loads(ck, t->own.own, t->own.hidden ? t->own.written : NULL, true);
}

/* ---- opening ---- */

MUST static bool
adopt(struct lane *l, struct apply_table *t, struct err *e)
{
    struct lane_table *o = &t->own;
    struct checkpoint first;
    struct buf state = {0};
    struct sink_point p;
    checkpoint_init(&first, l->run->task->inc);
    checkpoint_source(&first, l->run->source_n)->progress_offset = l->run->start;
    checkpoint_encode(&first, &state);
    checkpoint_free(&first);
    arena_reset(&l->points);
    const struct sink_name name = {t->target, t->to_db, t->to_table};
    bool ok = l->run->ops->adopt(l->sink, &name, buf_bytes(&state), &l->points, &p, e) &&
              checkpoint_decode(p.state, &o->ck, e);
    buf_free(&state);
    if (!ok)
        return false;
    o->ck.owner = p.owner;
    o->ck.instance = p.instance;
    o->ck.commits = p.commits;
    buf_reset(&o->state);
    buf_add_bytes(&o->state, p.state);
    struct cut_id cut = {0, 0};
    if (o->ck.source_count)
        cut = checkpoint_source(&o->ck, l->run->source_n)->cut;
    /* somebody wrote between our claim and now: begin again from what is stored */
    if (cut_id_cmp(cut, t->stored_cut) != 0)
        return err_set(e, MR_TARGET_TAKEN, "%s was written after the claim", t->target);
    return true;
}

MUST static bool
store_and_finish(struct lane *l, struct apply_table *t, struct err *e)
{
    if (!lane_store(l, &t, 1, NULL, e))
        return false;
    read_loads(t);
    return t->own.ck.intent ? steps_finish(l, t, e) : true;
}

/* Rows go to the target's own table; own.next is begun. */
MUST static bool
open_direct(struct lane *l, struct apply_table *t, const struct sink_look *now, struct err *e)
{
    struct lane_table *o = &t->own;
    if (now->shape == SINK_DIFFERS)
        return err_set(e, MR_TARGET_SHAPE, "%s.%s: %s", t->to_db, t->to_table, now->why);
    set_loads(&o->next, now->empty, NULL, false);
    o->more_unique = now->more_unique;
    if (now->shape == SINK_FITS) {
        checkpoint_topic(&o->next, t->topic)->version = o->plan->number;
    } else {
        struct sink_step step = {
            .what = SINK_CREATE, .db = t->to_db, .table = t->to_table, .to = o->plan->table};
        if (!intend(l, t, &step, (struct cut_id){0, 0}, o->plan->number, false, e))
            return false;
    }
    return store_and_finish(l, t, e);
}

/* A new incarnation over an existing table: everything goes to a hidden one. */
MUST static bool
open_hidden(struct lane *l, struct apply_table *t, const struct sink_look *now, struct err *e)
{
    struct lane_table *o = &t->own;
    char *hidden = hidden_name(t);
    bool like = now->shape == SINK_FITS;
    struct sink_step step = {.what = like ? SINK_COPY : SINK_CREATE,
                             .db = t->to_db,
                             .table = like ? t->to_table : hidden,
                             .other = like ? hidden : t->to_table,
                             .to = o->plan->table};
    set_loads(&o->next, true, hidden, false);
    if (!like)
        log_warn("target_made_anew", F_STR("task", l->run->task->name),
                 F_STR("table", t->target), F_STR("difference", now->why));
    bool ok = intend(l, t, &step, (struct cut_id){0, 0}, o->plan->number, !like, e) &&
              store_and_finish(l, t, e);
    free(hidden);
    return ok;
}

static struct json *
others_json(const struct apply_table *t)
{
    struct json *list = json_array_new();
    for (size_t i = 0; i < t->parts_len; i++) {
        const struct gate_last *last = &t->parts[i].others;
        struct json *o = json_array_new();
        json_push(o, json_i64(last->offset));
        json_push(o, json_u64(last->epoch));
        json_push(o, json_u64(last->seq));
        json_push(list, o);
    }
    return list;
}

/* own.next := the beginning of our incarnation over what another one applied. */
static void
begin_incarnation(struct apply_table *t)
{
    struct apply_run *r = t->run;
    lane_next(t);
    struct checkpoint *ck = &t->own.next;
    checkpoint_set_intent(ck, NULL, (struct cut_id){0, 0}, NULL, NULL);
    if (ck->inc == r->task->inc)
        return;
    ck->inc = r->task->inc;
    ck->commit_us = 0;
    json_free(ck->loads);
    ck->loads = json_object_new();
    json_set(ck->loads, "others", others_json(t));
    checkpoint_topic_drop(ck, t->topic);
    struct checkpoint_source *s = checkpoint_source(ck, r->source_n);
    s->cut = (struct cut_id){0, 0};
    s->progress_offset = r->start;
}

/* Another table is renamed to it by an event to come: it is not made, and what is there is not
 * its own. */
MUST static bool
open_entered(struct lane *l, struct apply_table *t, struct err *e)
{
    checkpoint_topic(&t->own.next, t->topic)->version = t->own.plan->number;
    set_entered(&t->own.next);
    return store_and_finish(l, t, e);
}

MUST static bool
open_incarnation(struct lane *l, struct apply_table *t, struct err *e)
{
    struct lane_table *o = &t->own;
    struct sink_look now;
    bool restarted = o->ck.inc != l->run->task->inc;
    if (!look(l, t, t->to_table, o->plan->table, &now, e))
        return false;
    begin_incarnation(t);
    if (o->entered)
        return open_entered(l, t, e);
    if (restarted && l->run->task->full && now.shape != SINK_ABSENT)
        return open_hidden(l, t, &now, e);
    return open_direct(l, t, &now, e);
}

/* The table rows go to is as it was left. */
MUST static bool
open_again(struct lane *l, struct apply_table *t, struct err *e)
{
    struct lane_table *o = &t->own;
    struct sink_look now;
    if (o->gone)
        return true;
    if (!look(l, t, o->written, o->plan->table, &now, e))
        return false;
    o->more_unique = now.more_unique;
    /* what is there now may be what the version event to come will say */
    if (now.shape == SINK_FITS || o->entered || o->left)
        return true;
    return err_set(e, MR_TARGET_SHAPE, "%s.%s: %s", t->to_db, o->written,
                   now.shape == SINK_ABSENT ? "it was dropped" : now.why);
}

bool
steps_open(struct lane *l, struct apply_table *t, struct err *e)
{
    struct lane_table *o = &t->own;
    if (!adopt(l, t, e))
        return false;
    read_loads(t);
    if (o->ck.inc != l->run->task->inc || !o->ck.loads)
        return open_incarnation(l, t, e);
    if (o->ck.intent && !steps_finish(l, t, e))
        return false;
    return open_again(l, t, e);
}
