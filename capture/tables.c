/* Captured tables: see tables.h.
 *
 * A stopped table and the count of a partly published transaction. A cut says how many selected
 * rows of such a transaction are published, and a reading that comes again skips that many; so
 * it must meet the same rows. A table that stops within a transaction has its rows of it
 * uncounted, in the very cut that says it is stopped: whoever reads again knows both or
 * neither. Until all published rows came again (sequencer_settled) none can be uncounted, since
 * how many more of them are its is not known: a load that fails before is told of afterwards
 * (loads_emit), and what else would stop a table then, which it did not in its first reading,
 * stops the task (MR_TXN_RECOUNT). And a stopped table that the operator resumed stays stopped
 * until no transaction is partly published (tables_take_up): its rows of that transaction are
 * not in the count. They are in the load that it begins.
 */
#include "capture/tables.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/map.h"
#include "base/mem.h"
#include "capture/claim.h"
#include "capture/definitions.h"
#include "capture/loads.h"
#include "capture/moves.h"
#include "capture/outbox.h"

/* Units of tables just met that may wait for Kafka: a stop waits for them. */
#define DISCOVER_UNITS 8
#define WATCH_MS       500

struct tables {
    struct map by_name;  /* "db\0name" -> captured */
    struct map by_topic; /* topic -> captured */
    struct captured *first, *last;
    size_t resumed;        /* tables to be taken up */
    struct captured *next; /* to be asked for; NULL: all were */
    size_t asked;
    uint64_t asked_ms; /* it took */
    uint64_t watched_ms;
};

/* ---- the set ---- */

bool
tables_new(struct session *s, struct err *e)
{
    (void)e;
    s->tables = mem_zalloc(sizeof(*s->tables));
    return true;
}

void
tables_free(struct session *s)
{
    if (s->tables == NULL)
        return;
    for (struct captured *t = s->tables->first; t != NULL;) {
        struct captured *next = t->following;
        row_encoder_free(t->encoder);
        table_unref(t->table);
        table_unref(t->shape);
        free(t->wide);
        changes_free(t->changes);
        free(t->slots);
        free(t->parts);
        free(t->db);
        free(t->name);
        free(t->moved);
        free(t);
        t = next;
    }
    for (struct map_slot *m = NULL; (m = map_next(&s->tables->by_name, m)) != NULL;)
        free((void *)(uintptr_t)m->key.p);
    map_free(&s->tables->by_name);
    map_free(&s->tables->by_topic);
    free(s->tables);
    s->tables = NULL;
}

struct captured *
tables_first(const struct session *s)
{
    return s->tables->first;
}

static struct bytes
name_key(struct bytes db, struct bytes name, struct buf *scratch)
{
    buf_reset(scratch);
    buf_add_bytes(scratch, db);
    buf_add_byte(scratch, 0);
    buf_add_bytes(scratch, name);
    return buf_bytes(scratch);
}

struct captured *
tables_find(const struct session *s, struct bytes db, struct bytes name)
{
    struct buf b = {0};
    struct map_slot *m = map_get(&s->tables->by_name, name_key(db, name, &b));
    buf_free(&b);
    return m == NULL ? NULL : m->v.ptr;
}

struct captured *
tables_by_topic(const struct session *s, const char *topic)
{
    struct map_slot *m = map_get(&s->tables->by_topic, bytes_str(topic));
    return m == NULL ? NULL : m->v.ptr;
}

static struct captured *
add_table(struct session *s, const char *db, const char *name)
{
    struct tables *ts = s->tables;
    struct captured *t = mem_zalloc(sizeof(*t));
    t->db = mem_strdup(db);
    t->name = mem_strdup(name);
    topic_name(s->task->prefix, db, name, t->topic);
    if (ts->last == NULL)
        ts->first = t;
    else
        ts->last->following = t;
    ts->last = t;
    struct buf b = {0};
    bool fresh;
    struct map_slot *m =
        map_put(&ts->by_name, name_key(bytes_str(db), bytes_str(name), &b), &fresh);
    m->key.p = b.p; /* the map keeps the scratch buffer; tables_free frees it */
    m->v.ptr = t;
    m = map_put(&ts->by_topic, bytes_str(t->topic), &fresh);
    m->v.ptr = t;
    return t;
}

bool
tables_take(struct session *s, struct bytes db, struct bytes name, struct captured **out,
            struct err *e)
{
    (void)e;
    *out = tables_find(s, db, name);
    if (*out != NULL)
        return true;
    char *d = mem_strn(db), *n = mem_strn(name);
    struct task_target target;
    if (task_selects(s->task, d, n, &target))
        *out = add_table(s, d, n);
    free(d);
    free(n);
    return true;
}

/* ---- topics, schemas, encoder ---- */

static struct codec_conf
codec_of(const struct session *s, const struct captured *t)
{
    return (struct codec_conf){
        .format = s->task->format,
        .prefix = s->task->prefix,
        .topic = t->topic,
        .inc = s->task->inc,
    };
}

static bool
make_topic(struct session *s, struct captured *t, struct err *e)
{
    char retention[32], message[32];
    snprintf(retention, sizeof(retention), "%lld",
             (long long)config_int(s->config, "topic.retention.ms"));
    snprintf(message, sizeof(message), "%lld",
             (long long)config_int(s->config, "kafka.message.max.bytes"));
    const struct kafka_property configs[] = {
        {"cleanup.policy", "delete"},
        {"retention.ms", retention},
        {"max.message.bytes", message},
    };
    struct admin_topic at = {
        .name = t->topic,
        .partitions = t->partitions > 0 ? t->partitions : (int)s->task->partitions,
        .configs = configs,
        .configs_n = ARRAY_LEN(configs),
    };
    bool resumed = t->partitions > 0, created;
    struct admin_topic_info info;
    if (resumed && !admin_topic_known(s->admin, t->topic, &info, e))
        return false;
    if (!admin_topic_create(s->admin, &at, &created, e) ||
        !admin_topic_known(s->admin, t->topic, &info, e))
        return false;
    if (info.compacted)
        return err_set(e, MR_KAFKA_TOPIC_CHANGED, "topic %s is compacted", t->topic);
    /* Told of here, where it stops one table: to the publisher it is the end of all. */
    if (info.max_message_bytes > 0 && info.max_message_bytes < (int64_t)OUTBOX_BATCH_BYTES)
        return err_set(e, MR_KAFKA_ROW_TOO_LARGE,
                       "topic %s takes %lld bytes a batch, %zu are needed", t->topic,
                       (long long)info.max_message_bytes, OUTBOX_BATCH_BYTES);
    t->partitions = at.partitions;
    int64_t own = config_int(s->config, "kafka.message.max.bytes");
    t->limit = info.max_message_bytes > 0 && info.max_message_bytes < own
                   ? info.max_message_bytes
                   : own;
    return true;
}

static void
make_slots(struct session *s, struct captured *t)
{
    if (t->slots != NULL)
        return;
    t->slots = mem_array((size_t)t->partitions, sizeof(*t->slots));
    t->parts = mem_array((size_t)t->partitions, sizeof(*t->parts));
    for (int32_t i = 0; i < t->partitions; i++) {
        t->slots[i] = publisher_slot(s->publisher, t->topic, i, t->limit);
        t->parts[i] = sequencer_part(s->seq, t->topic, i);
    }
}

static bool
register_schema(struct session *s, struct captured *t, bool key, uint32_t *id, struct err *e)
{
    struct codec_conf conf = codec_of(s, t);
    char subject[TOPIC_NAME_MAX + 16];
    struct buf text = {0};
    snprintf(subject, sizeof(subject), "%s-%s", t->topic, key ? "key" : "value");
    bool ok = key ? codec_key_schema(t->shape, &conf, &text, e)
                  : codec_value_schema(t->shape, &conf, &text, e);
    ok = ok && registry_id(s->registry, subject, buf_bytes(&text), id, e);
    buf_free(&text);
    return ok;
}

/* A table without a key is published as the task asks for it. */
static bool
make_shape(struct session *s, struct captured *t, struct err *e)
{
    struct table *shape;
    /* refuse, append, multiset */
    enum table_rows how =
        (enum table_rows)config_table_choice(s->config, "keyless", t->db, t->name);
    bool keyed = t->table->key_count > 0;
    if (!keyed && how == TABLE_KEYED)
        return err_set(e, MR_SOURCE_NO_KEY, "%s.%s", t->db, t->name);
    if (!keyed && how == TABLE_MULTISET && !s->task->full)
        return err_set(e, MR_SOURCE_KEYLESS_NO_LOAD, "%s.%s", t->db, t->name);
    if (keyed)
        shape = table_ref(t->table);
    else if (!table_with_rows(t->table, how, &shape, e))
        return false;
    shape->version = t->table->version; /* unshared, or the same */
    table_unref(t->shape);
    t->shape = shape;
    free(t->wide);
    t->wide = keyed ? NULL : mem_array(2u * shape->column_count + 2u, sizeof(*t->wide));
    return true;
}

/* Topic, ids and encoder of t->table. */
static bool
prepare(struct session *s, struct captured *t, bool ids_known, struct err *e)
{
    struct codec_conf conf = codec_of(s, t);
    if (!make_shape(s, t, e))
        return false;
    if (!make_topic(s, t, e))
        return false;
    make_slots(s, t);
    if (s->task->format == CODEC_AVRO && !ids_known &&
        (!register_schema(s, t, true, &t->key_id, e) ||
         !register_schema(s, t, false, &t->value_id, e)))
        return false;
    struct row_encoder *encoder;
    if (!row_encoder_new(t->shape, &conf, t->key_id, t->value_id, &encoder, e))
        return false;
    row_encoder_free(t->encoder);
    t->encoder = encoder;
    return true;
}

bool
tables_keyless(const struct captured *t)
{
    return t->wide != NULL;
}

const struct cell *
tables_widen(const struct captured *t, unsigned number, const struct cell *row,
             struct buf *scratch)
{
    uint16_t n = t->table->column_count;
    struct cell *out = t->wide + (size_t)number * t->shape->column_count;
    uint8_t *key =
        (uint8_t *)(t->wide + 2u * t->shape->column_count) + number * TABLE_ROW_BYTES;
    memcpy(out, row, n * sizeof(*out));
    table_row_key(row, n, scratch, key);
    out[n] = (struct cell){.kind = CELL_BYTES, .len = TABLE_ROW_BYTES, .v.p = key};
    return out;
}

/* ---- version events ---- */

static struct json *
version_json(const struct session *s, const struct captured *t)
{
    struct json *j = table_to_json(t->shape);
    json_set(j, "key_id", json_u64(t->key_id));
    json_set(j, "value_id", json_u64(t->value_id));
    json_set(j, "partitions", json_u64((uint64_t)t->partitions));
    json_set(j, "loaded", json_bool_new(t->loaded));
    json_set(j, "load", json_u64(t->load));
    json_set(j, "dropped", json_bool_new(t->dropped));
    json_set(j, "altered", json_bool_new(t->changes != NULL));
    json_set(j, "unproved", json_bool_new(t->unproved));
    json_set(j, "gap", json_bool_new(t->gap));
    if (t->renames != NULL)
        json_set(j, "renames", json_ref(t->renames));
    if (t->move != NULL)
        json_set(j, "move", json_ref(t->move));
    json_set(j, "generation", json_u64(s->task->generation));
    json_set(j, "stopped", t->stopped ? status_err_to_json(&t->error) : json_null_new());
    return j;
}

static bool
note(struct session *s, struct captured *t, bool of_txn, struct err *e)
{
    struct json *j = version_json(s, t);
    struct progress_record r = {
        .event = EVENT_VERSION,
        .table = t->topic,
        .version = t->table->version,
        .schema = j,
    };
    bool ok = of_txn ? core_event_of_txn(s, &r, e) : core_event(s, &r, e);
    if (r.seq > 0)
        t->noted = (struct cut_id){s->epoch, r.seq};
    json_free(j);
    tables_report(s, t);
    return ok;
}

bool
tables_note(struct session *s, struct captured *t, struct err *e)
{
    return note(s, t, false, e);
}

bool
tables_note_of_txn(struct session *s, struct captured *t, struct err *e)
{
    return note(s, t, true, e);
}

bool
tables_stop(struct session *s, struct captured *t, const struct err *why, struct err *e)
{
    if (t->stopped)
        return true;
    if (t->partitions > 0 && !sequencer_settled(s->seq))
        return err_set(e, MR_TXN_RECOUNT, "%s.%s cannot be read again (MR%d: %s)", t->db,
                       t->name, (int)why->code, why->text);
    t->stopped = true;
    t->error = *why;
    loads_drop(s, t);
    t->load = 0;
    /* Whoever reads the open transaction again knows that the table is stopped and does not
     * meet its rows. */
    if (s->in_txn && t->txn == s->txn_count)
        sequencer_uncount(s->seq, t->txn_rows);
    log_error("table_stopped", F_STR("unit", unit_name(s->unit)), F_STR("table", t->topic),
              F_ERR(why));
    if (t->shape != NULL && t->partitions > 0)
        return tables_note(s, t, e);
    tables_report(s, t);
    return true;
}

/* The version event, with what became of the columns of the one before. */
static bool
note_version(struct session *s, struct captured *t, struct json *renames, struct err *e)
{
    t->renames = renames;
    bool ok = tables_note(s, t, e);
    t->renames = NULL;
    return ok;
}

static bool
take_version(struct session *s, struct captured *t, struct json *renames, struct err *e)
{
    struct err why;
    bool first = t->table->version == 1;
    if (!prepare(s, t, false, &why)) {
        if (why.class != ERR_TABLE) {
            *e = why;
            return err_wrap(e, "table %s.%s", t->db, t->name);
        }
        return tables_stop(s, t, &why, e);
    }
    loads_reshape(t);
    log_info("table_version", F_STR("unit", unit_name(s->unit)), F_STR("topic", t->topic),
             F_U64("version", t->table->version), F_U64("columns", t->table->column_count));
    if (first)
        t->loaded = t->born || !s->task->full;
    if (first && !t->loaded)
        return loads_begin(s, t, e);
    return note_version(s, t, renames, e);
}

bool
tables_version(struct session *s, struct captured *t, struct table *version,
               struct json *renames, struct err *e)
{
    struct table *old = t->table;
    version->version = old == NULL ? 1 : old->version + 1;
    t->table = version;
    table_unref(old);
    loads_discard(s, t);
    return take_version(s, t, renames, e);
}

static bool
resume_one(struct session *s, const struct progress_record *r, struct err *e)
{
    struct table *version;
    if (!table_from_json(r->schema, &version, e))
        return false;
    struct captured *t;
    if (!tables_take(s, bytes_str(version->database), bytes_str(version->name), &t, e))
        return false;
    if (t == NULL) { /* no longer selected */
        table_unref(version);
        return true;
    }
    t->table = table_without_rows(version);
    t->table->version = r->version;
    table_unref(version);
    t->key_id = (uint32_t)json_get_u64(r->schema, "key_id", 0);
    t->value_id = (uint32_t)json_get_u64(r->schema, "value_id", 0);
    t->partitions = (int)json_get_i64(r->schema, "partitions", 0);
    t->loaded = json_get_bool(r->schema, "loaded", false);
    t->load = json_get_u64(r->schema, "load", 0);
    struct json *stopped = json_get(r->schema, "stopped");
    t->dropped = json_get_bool(r->schema, "dropped", false);
    if (json_get_bool(r->schema, "altered", false))
        changes_lose(&t->changes);
    t->unproved = t->changes != NULL || json_get_bool(r->schema, "unproved", false);
    t->gap = json_get_bool(r->schema, "gap", false);
    t->noted = (struct cut_id){r->epoch, r->seq};
    t->moved = moves_topic(r->schema);
    t->stopped = !json_is_null(stopped);
    if (t->stopped)
        status_err_from_json(stopped, &t->error);
    t->resumed = t->stopped && json_get_u64(r->schema, "generation", 0) < s->task->generation;
    s->tables->resumed += t->resumed;
    tables_report(s, t);
    struct err why;
    if (prepare(s, t, true, &why))
        return true;
    if (why.class == ERR_TABLE)
        return tables_stop(s, t, &why, e);
    *e = why;
    return false;
}

/* What was not published, statements among it, is made good by a load. */
static void
take_up(struct session *s, struct captured *t)
{
    struct source_name name = {bytes_str(t->db), bytes_str(t->name)};
    t->resumed = t->stopped = false;
    t->loaded = false;
    t->load = 0;
    t->unproved = t->gap = true;
    err_clear(&t->error);
    s->ops->decoder_forget(s->decoder, &name);
    tables_report(s, t);
}

void
tables_take_up(struct session *s)
{
    if (s->tables->resumed == 0 || s->in_txn || sequencer_position(s->seq)->partial_count > 0)
        return;
    for (struct captured *t = s->tables->first; t != NULL; t = t->following)
        if (t->resumed)
            take_up(s, t);
    s->tables->resumed = 0;
}

bool
tables_go_on(struct session *s, struct err *e)
{
    uint64_t now = clock_mono_ms();
    if (stop_asked(s->stop))
        return err_set(e, MR_KAFKA_ERROR, "stopped while tables were opened");
    if (now - s->tables->watched_ms < WATCH_MS)
        return true;
    s->tables->watched_ms = now;
    return claim_watch(s, e);
}

bool
tables_resume(struct session *s, struct err *e)
{
    struct buf key = {0}, value = {0};
    uint64_t at = 0;
    bool ok = true;
    while (ok && progress_view_live(s->view, &at, &key, &value)) {
        struct arena a;
        arena_init(&a, 4096);
        struct progress_record r = {0};
        ok = tables_go_on(s, e) &&
             progress_decode(buf_bytes(&key), buf_bytes(&value), &a, &r, e);
        if (ok && r.kind == PROGRESS_EVENT && r.event == EVENT_VERSION && r.inc == s->task->inc)
            ok = resume_one(s, &r, e);
        progress_record_free(&r);
        arena_free(&a);
        buf_reset(&key);
        buf_reset(&value);
    }
    buf_free(&key);
    buf_free(&value);
    tables_take_up(s);
    return ok || err_wrap(e, "table versions of the progress topic");
}

/* ---- discovery ---- */

static bool
discover_one(void *ctx, const struct source_name *name, struct err *e)
{
    struct session *s = ctx;
    struct captured *t;
    return tables_take(s, name->database, name->table, &t, e);
}

bool
tables_discover(struct session *s, struct err *e)
{
    if (!s->ops->list_tables(s->source, discover_one, s, e))
        return err_wrap(e, "listing the source's tables");
    s->tables->next = s->tables->first;
    return true;
}

bool
tables_discovering(const struct session *s)
{
    return s->tables->next != NULL;
}

static void
discovered(const struct session *s)
{
    const struct tables *ts = s->tables;
    if (ts->next == NULL && ts->asked > 0)
        log_info("tables_discovered", F_STR("unit", unit_name(s->unit)),
                 F_U64("tables", ts->asked), F_U64("ms", ts->asked_ms),
                 F_U64("us_per_table", 1000 * ts->asked_ms / ts->asked));
}

bool
tables_discover_step(struct session *s, struct err *e)
{
    struct tables *ts = s->tables;
    struct sequencer_state st;
    sequencer_state(s->seq, &st);
    if (ts->next == NULL || st.unconfirmed >= DISCOVER_UNITS || !sequencer_settled(s->seq))
        return true;
    while (ts->next != NULL && (ts->next->asked || ts->next->table != NULL))
        ts->next = ts->next->following;
    struct captured *t = ts->next;
    uint64_t began = clock_mono_ms();
    if (t != NULL && !definitions_ask(s, t, e))
        return false;
    ts->asked += t != NULL;
    ts->asked_ms += clock_mono_ms() - began;
    discovered(s);
    return true;
}

void
tables_report(struct session *s, const struct captured *t)
{
    struct status_table st = {
        .db = t->db,
        .table = t->name,
        .state = t->stopped   ? STATUS_TABLE_STOPPED
                 : t->dropped ? STATUS_TABLE_DROPPED
                 : !t->loaded ? STATUS_TABLE_LOADING
                              : STATUS_TABLE_STREAMING,
        .follows = !t->stopped && !t->dropped,
        .err = t->error,
    };
    loads_progress(s, t, &st.rows, &st.rows_total);
    unit_report_table(s->unit, &st);
}
