#include "capture/moves.h"

#include <stdlib.h>

#include "base/fault.h"
#include "base/log.h"
#include "base/mem.h"
#include "capture/definitions.h"
#include "capture/loads.h"

static bool
same_target_database(const struct session *s, const struct captured *a,
                     const struct captured *b)
{
    struct task_target x, y;
    return task_selects(s->task, a->db, a->name, &x) &&
           task_selects(s->task, b->db, b->name, &y) && strcmp(x.db, y.db) == 0;
}

static bool
settled(const struct captured *t)
{
    return t->loaded && t->windows == NULL && !t->unproved && !t->gap && t->changes == NULL;
}

/* Nothing stands under the name where the stream is: it is new, or gone, or was found at a
 * start by looking at the source, which is further on. */
static bool
is_free(const struct captured *t)
{
    return t->table == NULL || (t->dropped && settled(t)) || (t->unproved && !t->loaded);
}

static bool
may_follow(const struct session *s, const struct captured *from, const struct captured *to,
           const struct source_ddl *d)
{
    bool renames = s->task->sink_type == TASK_SINK_MYSQL && d->moves_only;
    return renames && from->table->key_count > 0 && !from->dropped && settled(from) &&
           is_free(to) && same_target_database(s, from, to);
}

/* {after}, when the table has an event to wait for. */
static struct json *
move_json(const struct captured *after)
{
    struct json *j = json_object_new();
    if (after->table == NULL)
        return j;
    struct json *list = json_array_new();
    json_push(list, json_str(after->topic));
    json_push(list, json_u64(after->noted.epoch));
    json_push(list, json_u64(after->noted.seq));
    json_set(j, "after", list);
    return j;
}

char *
moves_topic(const struct json *schema)
{
    const struct json *move = json_get(schema, "move");
    const struct json *to = json_is_null(move) ? NULL : json_get(move, "to");
    const char *topic = json_is_array(to) ? json_str_value(json_at(to, 2), NULL) : NULL;
    return topic == NULL ? NULL : mem_strdup(topic);
}

static struct json *
leave_json(const struct captured *to)
{
    struct json *j = move_json(to), *name = json_array_new();
    json_push(name, json_str(to->db));
    json_push(name, json_str(to->name));
    json_push(name, json_str(to->topic));
    json_set(j, "to", name);
    return j;
}

/* The old name is as dropped; follows: its rows stand under the new one. */
static bool
leave(struct session *s, struct captured *t, const struct captured *to, bool follows,
      struct err *e)
{
    log_warn(follows ? "table_renamed" : "source_table_dropped",
             F_STR("unit", unit_name(s->unit)), F_STR("table", t->topic),
             F_STR("to", to->topic));
    t->loaded = t->loaded || t->windows == NULL;
    loads_drop(s, t);
    t->load = 0;
    definitions_forget_changes(t);
    t->dropped = true;
    free(t->moved);
    t->moved = follows ? mem_strdup(to->topic) : NULL;
    t->move = follows ? leave_json(to) : NULL;
    bool ok = tables_note_of_txn(s, t, e);
    json_free(t->move);
    t->move = NULL;
    FAULT("move.left");
    return ok;
}

static bool
renamed(const struct table *t, const struct captured *to, struct table **out, struct err *e)
{
    struct json *j = table_to_json(t);
    json_set(j, "database", json_str(to->db));
    json_set(j, "name", json_str(to->name));
    bool ok = table_from_json(j, out, e);
    json_free(j);
    return ok;
}

static bool
enter(struct session *s, struct captured *t, const struct captured *from, struct err *e)
{
    struct table *version;
    if (!renamed(from->table, t, &version, e))
        return false;
    definitions_forget_changes(t);
    loads_drop(s, t);
    free(t->moved);
    t->moved = NULL;
    t->dropped = t->unproved = t->gap = false;
    t->born = t->loaded = true; /* complete without a load */
    t->load = 0;
    t->move = move_json(from);
    json_set(t->move, "from", json_str(from->topic));
    bool ok = tables_version(s, t, version, NULL, e);
    json_free(t->move);
    t->move = NULL;
    FAULT("move.entered");
    return ok;
}

/* Counts the event that an earlier reading published. */
static bool
skip(struct session *s, struct captured *from, struct err *e)
{
    struct progress_record none = {.event = EVENT_VERSION, .table = from->topic};
    return core_event_of_txn(s, &none, e);
}

bool
moves_pair(struct session *s, struct captured *from, struct captured *to,
           const struct source_ddl *d, bool *followed, struct err *e)
{
    *followed = true;
    if (!sequencer_replays(s->seq)) {
        *followed = may_follow(s, from, to, d);
        return leave(s, from, to, *followed, e) && (!*followed || enter(s, to, from, e));
    }
    if (!skip(s, from, e))
        return false;
    if (sequencer_replays(s->seq))
        return true; /* more of the statement is published: so is all of this pair */
    *followed = from->moved != NULL && strcmp(from->moved, to->topic) == 0;
    bool entered = to->table != NULL && !to->dropped && to->loaded;
    return !*followed || entered || enter(s, to, from, e);
}
