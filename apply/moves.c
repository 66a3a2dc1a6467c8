/* Moves: a table that takes another name at the source (capture/moves.h says what the version
 * events hold).
 *
 * The old name's event renames the target table, in its lane, with an intent as any step; the
 * new name's event then only finds it there. What an event names in `after` is executed before:
 * lanes of different tables know nothing of each other, so intake holds the event back until
 * the checkpoint of the table it waits for says so. Waiting never goes round in a circle: an
 * event only waits for older ones.
 *
 * A table that is met for the first time by such an event is opened without being made or
 * looked at (steps.c).
 *
 * Nothing is kept here: a run that begins anew finds the events again, because a checkpoint
 * does not pass them before they are executed. Thread: intake.
 */
#include "apply/apply.h"

#include <stdlib.h>

#include "base/mem.h"

/* What one event is to wait for. topic NULL: nothing. Borrowed of the schema. */
struct after {
    const char *topic;
    struct cut_id id;
};

static struct after
after_of(const struct json *move)
{
    const struct json *list = json_is_null(move) ? NULL : json_get(move, "after");
    if (!json_is_array(list))
        return (struct after){0};
    return (struct after){
        json_str_value(json_at(list, 0), NULL),
        {json_u64_value(json_at(list, 1), 0), json_u64_value(json_at(list, 2), 0)}};
}

/* False with *e: it will never be executed, or (*e empty) not yet. */
static bool
executed(const struct apply_run *r, const struct after *a, struct err *e)
{
    const struct apply_table *t = a->topic ? tables_find(r, a->topic) : NULL;
    if (!a->topic || (t && cut_id_cmp(t->done_cut, a->id) >= 0))
        return true;
    if (!t || t->state == TABLE_STOPPED)
        err_set(e, MR_RENAME_WAITS, "it waits for %s", t ? t->target : a->topic);
    return false;
}

void
moves_note(struct apply_table *t, const struct progress_record *rec)
{
    const struct json *move = json_get(rec->schema, "move");
    const struct cut_id id = {rec->epoch, rec->seq};
    bool enters = !json_is_null(move) && !json_is_null(json_get(move, "from"));
    if (enters && cut_id_cmp(id, t->done_cut) > 0 && cut_id_cmp(id, t->enters) > 0)
        t->enters = id;
}

MUST static bool
decode(struct apply_run *r, const struct gate_event *ev, struct progress_record *rec,
       struct err *e)
{
    *rec = (struct progress_record){0};
    if (progress_decode(ev->key, ev->value, &r->scratch, rec, e))
        return true;
    progress_record_free(rec);
    return false;
}

static void
forget(struct apply_run *r, struct progress_record *rec)
{
    progress_record_free(rec);
    arena_reset(&r->scratch);
}

bool
moves_may(struct apply_run *r, const struct gate_decision *d, bool *may, struct err *e)
{
    struct progress_record rec;
    *may = true;
    if (!d->event || d->event->kind != EVENT_VERSION)
        return true;
    if (!decode(r, d->event, &rec, e))
        return false;
    struct err never = {0};
    const struct after a = after_of(json_get(rec.schema, "move"));
    *may = executed(r, &a, &never);
    forget(r, &rec);
    *e = never;
    return !never.code;
}

static void
read_move(const struct apply_run *r, const struct json *move, struct job_event *ev)
{
    const struct json *to = json_get(move, "to");
    struct task_target target;
    ev->enters = !json_is_null(json_get(move, "from"));
    if (!json_is_array(to) || !task_selects(r->task, json_str_value(json_at(to, 0), ""),
                                            json_str_value(json_at(to, 1), ""), &target))
        return;
    ev->to_table = mem_strdup(target.table);
    ev->replaces = after_of(move).topic != NULL;
}

bool
moves_take(struct apply_run *r, const struct gate_event *from, struct job_event *ev,
           struct err *e)
{
    struct progress_record rec;
    if (!decode(r, from, &rec, e))
        return false;
    const struct json *move = json_get(rec.schema, "move");
    ev->dropped = json_get_bool(rec.schema, "dropped", false);
    if (!json_is_null(move))
        read_move(r, move, ev);
    forget(r, &rec);
    return true;
}
