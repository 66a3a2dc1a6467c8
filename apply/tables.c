/* Tables of a run: made when their version event is read, with the plans that read their rows.
 *
 * A table is known to the gate from its version event on, with the base of its stored
 * checkpoint; its partitions are opened when its lane has brought the target to where rows can
 * be written. A table that stops loses its queues; its checkpoint stays where it was.
 *
 * Owner and thread: intake; struct lane_table is the lane's while the table runs.
 */
#include "apply/apply.h"

#include <inttypes.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"

#define POLL_MS        100
#define OTHERS_WAIT_MS 10000

struct apply_table *
tables_find(const struct apply_run *r, const char *topic)
{
    const struct map_slot *m = map_get(&r->by_topic, bytes_str(topic));
    return m ? m->v.ptr : NULL;
}

/* ---- active ones ---- */

void
tables_wake(struct apply_table *t)
{
    struct apply_run *r = t->run;
    if (t->active)
        return;
    t->active = true;
    t->next_active = NULL;
    if (!r->active)
        r->active_end = &r->active;
    *r->active_end = t;
    r->active_end = &t->next_active;
}

void
tables_touch(struct apply_table *t)
{
    t->dirty = true;
    tables_wake(t);
}

static bool
waits(const struct apply_table *t)
{
    if (t->state != TABLE_RUNNING)
        return false;
    if (t->dirty || t->due_us || t->wants_end_us)
        return true;
    for (size_t i = 0; i < t->parts_len; i++) {
        if (t->parts[i].rows.n)
            return true;
    }
    return false;
}

void
tables_rest(struct apply_run *r)
{
    struct apply_table **at = &r->active;
    while (*at) {
        struct apply_table *t = *at;
        t->active = waits(t);
        if (t->active)
            at = &t->next_active;
        else
            *at = t->next_active;
    }
    r->active_end = at;
}

/* ---- plans ---- */

const struct plan *
tables_plan(const struct apply_table *t, uint32_t number)
{
    for (const struct plan *p = t->plans; p; p = p->older)
        if (p->number == number)
            return p;
    return NULL;
}

static struct codec_conf
codec_of(const struct apply_table *t)
{
    return (struct codec_conf){.format = t->run->task->format,
                               .prefix = t->run->task->prefix,
                               .topic = t->topic,
                               .inc = t->run->task->inc};
}

MUST static bool
plan_learn_id(struct apply_table *t, struct plan *p, struct err *e)
{
    struct codec_conf conf = codec_of(t);
    struct buf text = {0}, subject = {0};
    buf_addf(&subject, "%s-value", t->topic);
    bool ok = codec_value_schema(p->table, &conf, &text, e) &&
              registry_id(worker_registry(unit_worker(t->run->unit)), buf_cstr(&subject),
                          buf_bytes(&text), &p->schema_id, e);
    p->id_known = ok;
    buf_free(&text);
    buf_free(&subject);
    return ok;
}

bool
tables_plan_of_id(struct apply_table *t, uint32_t id, struct plan **out, struct err *e)
{
    *out = NULL;
    for (struct plan *p = t->plans; p; p = p->older) {
        if (!p->id_known && !plan_learn_id(t, p, e))
            return err_wrap(e, "schema of %s version %u", t->topic, p->number);
        if (p->schema_id == id) {
            *out = p;
            return true;
        }
    }
    return true;
}

/* The key of the checkpoint row: db.table, in backquotes when a dot or backquote is in it. */
static char *
target_key(const char *db, const char *table)
{
    if (!strpbrk(db, ".`") && !strpbrk(table, ".`"))
        return mem_printf("%s.%s", db, table);
    struct buf out = {0};
    const char *const parts[] = {db, table};
    for (size_t i = 0; i < 2; i++) {
        buf_add_str(&out, i ? ".`" : "`");
        for (const char *p = parts[i]; *p; p++) {
            if (*p == '`')
                buf_add_byte(&out, '`');
            buf_add_byte(&out, (uint8_t)*p);
        }
        buf_add_byte(&out, '`');
    }
    char *text = mem_strdup(buf_cstr(&out));
    buf_free(&out);
    return text;
}

struct checkpoint *
tables_stored(struct apply_run *r, const char *target)
{
    for (size_t i = 0; i < r->stored_len; i++)
        if (!strcmp(r->stored_target[i], target))
            return r->stored + i;
    return NULL;
}

/* What is stored of a partition. What another incarnation applied says nothing but where our
 * own records begin. */
static void
part_stored(struct apply_part *p, struct checkpoint *ck)
{
    const struct apply_table *t = p->table;
    p->stored = p->others = (struct gate_last){.offset = -1};
    if (!ck)
        return;
    const struct checkpoint_part *s = checkpoint_part(ck, t->topic, p->id);
    const struct gate_last last = {s->offset, s->epoch, s->seq};
    if (ck->inc != t->run->task->inc)
        p->others = last;
    else
        p->stored = last;
    const struct json *of = ck->loads ? json_get(ck->loads, "others") : NULL;
    const struct json *o = json_is_array(of) ? json_at(of, (size_t)p->id) : NULL;
    if (p->others.offset < 0 && json_is_array(o))
        p->others = (struct gate_last){json_i64_value(json_at(o, 0), -1),
                                       json_u64_value(json_at(o, 1), 0),
                                       json_u64_value(json_at(o, 2), 0)};
}

/* The gate's part of the table: base and partitions as stored. */
static void
gate_join(struct apply_table *t)
{
    struct apply_run *r = t->run;
    struct checkpoint *ck = tables_stored(r, t->target);
    struct cut_id base = {0, 0};
    if (ck && ck->source_count)
        base = checkpoint_source(ck, r->source_n)->cut;
    t->stored_cut = base;
    if (ck && ck->inc != r->task->inc)
        base = (struct cut_id){0, 0};
    t->done_cut = base;
    t->gate = gate_table_add(r->gate, t->topic, base);
    for (size_t i = 0; i < t->parts_len; i++) {
        struct apply_part *p = t->parts + i;
        part_stored(p, ck);
        p->gate = gate_part_add(r->gate, t->gate, p->id, p->stored);
    }
}

static void
make_parts(struct apply_table *t, size_t n)
{
    t->parts = mem_array(n, sizeof *t->parts);
    t->parts_len = n;
    for (size_t i = 0; i < n; i++) {
        struct apply_part *p = t->parts + i;
        p->table = t;
        p->id = (int32_t)i;
        fifo_init(&p->rows, &t->run->rows_used);
    }
}

MUST static bool
table_make(struct apply_run *r, const char *topic, const struct table *version,
           const struct task_target *to, struct apply_table **out, struct err *e)
{
    struct admin_topic_info info;
    if (stop_asked(&r->stop))
        return err_set(e, MR_KAFKA_ERROR, "stopped while tables were opened");
    if (!admin_topic_known(r->admin, topic, &info, e))
        return false;
    if (info.compacted)
        return err_set(e, MR_KAFKA_TOPIC_CHANGED, "topic %s is compacted", topic);
    struct apply_table *t = mem_zalloc(sizeof *t);
    t->run = r;
    t->topic = mem_strdup(topic);
    t->db = mem_strdup(version->database);
    t->name = mem_strdup(version->name);
    t->to_db = mem_strdup(to->db);
    t->to_table = mem_strdup(to->table);
    t->target = target_key(to->db, to->table);
    t->lane = r->lanes[r->tables_len % r->lanes_len];
    checkpoint_init(&t->own.ck, r->task->inc);
    checkpoint_init(&t->own.next, r->task->inc);
    make_parts(t, (size_t)info.partitions);
    gate_join(t);
    r->tables = mem_realloc(r->tables, (r->tables_len + 1) * sizeof(struct apply_table *));
    r->tables[r->tables_len++] = t;
    r->opening++;
    bool fresh;
    map_put(&r->by_topic, bytes_str(t->topic), &fresh)->v.ptr = t;
    report_table_start(t);
    *out = t;
    return true;
}

/* [[from, to], ...] */
static void
read_renames(struct plan *p, const struct json *schema)
{
    const struct json *list = json_get(schema, "renames");
    p->changes_known = json_is_array(list);
    if (!p->changes_known)
        return;
    size_t n = json_len(list);
    p->renames = mem_array(n + 1, sizeof *p->renames);
    for (size_t i = 0; i < n; i++) {
        const struct json *pair = json_at(list, i);
        const char *from = json_str_value(json_at(pair, 0), NULL);
        const char *to = json_str_value(json_at(pair, 1), NULL);
        if (from && to)
            p->renames[p->rename_count++] = (struct ddl_rename){
                arena_strdup(&p->table->arena, from), arena_strdup(&p->table->arena, to)};
    }
}

MUST static bool
plan_add(struct apply_table *t, const struct progress_record *rec, struct table *version,
         struct err *e)
{
    struct plan *p = mem_zalloc(sizeof *p);
    struct codec_conf conf = codec_of(t);
    if (!row_decoder_new(version, &conf, &p->decoder, e)) {
        free(p);
        return err_wrap(e, "%s version %u", t->topic, rec->version);
    }
    p->number = rec->version;
    p->seq = rec->seq;
    p->table = table_ref(version);
    read_renames(p, rec->schema);
    p->older = t->plans;
    t->plans = p;
    return true;
}

MUST static bool
version_of_table(struct apply_run *r, const struct progress_record *rec, struct table *version,
                 struct apply_table **out, struct err *e)
{
    struct apply_table *t = tables_find(r, rec->table);
    struct task_target to;
    if (!t && !task_selects(r->task, version->database, version->name, &to))
        return true;
    bool fresh = !t;
    if (!t && !table_make(r, rec->table, version, &to, &t, e))
        return false;
    /* made or renamed to this name at the source: complete without a load */
    t->loading = t->loading && !(fresh && json_get_bool(rec->schema, "loaded", false));
    *out = t;
    moves_note(t, rec);
    const struct plan *known = tables_plan(t, rec->version);
    if (known && known->table->fingerprint == version->fingerprint)
        return true;
    if (!plan_add(t, rec, version, e)) {
        if (e->class != ERR_TABLE)
            return false;
        tables_stop(t, e);
        err_clear(e);
        return true;
    }
    log_info("table_version", F_STR("task", r->task->name), F_STR("topic", t->topic),
             F_U64("version", rec->version), F_STR("target", t->target));
    if (fresh && r->started)
        dispatch_open(r, t);
    return true;
}

bool
tables_version(struct apply_run *r, const struct progress_record *rec, struct apply_table **out,
               struct err *e)
{
    *out = NULL;
    struct table *version;
    if (!table_from_json(rec->schema, &version, e))
        return err_wrap(e, "version %u of %s", rec->version, rec->table);
    bool ok = version_of_table(r, rec, version, out, e);
    table_unref(version);
    return ok;
}

void
tables_close_part(struct apply_part *p)
{
    if (!p->from)
        return;
    consumer_batch_drop(&p->table->run->batch, p->from);
    consumer_close(p->from);
    p->from = NULL;
}

static void
part_close(struct apply_part *p)
{
    tables_close_part(p);
    fifo_clear(&p->rows);
}

/* The last record that another incarnation applied is where it was: ours lie behind it. Else
 * this is another topic, or a schema that no version of ours has: *same false. */
MUST static bool
others_judge(struct apply_part *p, const struct consumer_message *m, bool *same, struct err *e)
{
    struct apply_table *t = p->table;
    struct plan *plan = t->plans;
    uint32_t id;
    *same = false;
    if (m->offset != p->others.offset || !m->value.p)
        return true;
    if (t->run->task->format == CODEC_AVRO) {
        if (!codec_schema_id(CODEC_AVRO, m->value, &id))
            return true;
        if (!tables_plan_of_id(t, id, &plan, e))
            return false;
    }
    struct change c;
    struct err unreadable;
    uint32_t image_at;
    if (plan && row_decode_head(plan->decoder, m->value, &c, &image_at, &unreadable))
        *same = c.id.epoch == p->others.epoch && c.id.seq == p->others.seq;
    return true;
}

MUST static bool
others_read(struct apply_part *p, bool *same, struct err *e)
{
    struct apply_run *r = p->table->run;
    struct consumer_partition *from;
    struct consumer_batch b;
    uint64_t until = clock_mono_ms() + OTHERS_WAIT_MS;
    if (!consumer_open(r->ends, p->table->topic, p->id, p->others.offset, &from, e))
        return false;
    consumer_batch_init(&b, 1);
    bool ok = true;
    while ((ok = consumer_poll(from, &b, POLL_MS, e)) && b.n == 0 && !b.eof) {
        if (stop_asked(&r->stop) || clock_mono_ms() > until) {
            ok = err_set(e, MR_KAFKA_ERROR, "%s:%d offset %" PRId64 " was not read",
                         p->table->topic, p->id, p->others.offset);
            break;
        }
    }
    *same = false;
    ok = ok && (b.n == 0 || others_judge(p, b.msgs, same, e));
    consumer_batch_free(&b);
    consumer_close(from);
    return ok;
}

/* Where the rows of a partition begin that nothing of ours was applied from. */
MUST static bool
part_begin(struct apply_part *p, int64_t low, int64_t high, int64_t *from, struct err *e)
{
    bool same = false;
    if (p->stored.offset >= 0 || p->others.offset < low || p->others.offset >= high)
        return true;
    if (!others_read(p, &same, e))
        return false;
    if (same)
        *from = p->others.offset + 1;
    return true;
}

bool
tables_open_parts(struct apply_run *r, struct apply_table *t, struct err *e)
{
    size_t n = t->parts_len;
    struct consumer_offset *list = mem_array(2 * n, sizeof *list);
    for (size_t i = 0; i < n; i++) {
        list[i] = (struct consumer_offset){t->topic, t->parts[i].id, KAFKA_OFFSET_BEGIN, 0};
        list[n + i] = (struct consumer_offset){t->topic, t->parts[i].id, KAFKA_OFFSET_END, 0};
    }
    bool ok = consumer_offsets(r->ends, list, n, 10000, e) &&
              consumer_offsets(r->ends, list + n, n, 10000, e);
    int64_t lag = 0;
    for (size_t i = 0; ok && i < n; i++) {
        struct apply_part *p = t->parts + i;
        int64_t from;
        ok = gate_part_start(r->gate, p->gate, list[i].offset, list[n + i].offset, &from, e);
        ok = ok && part_begin(p, list[i].offset, list[n + i].offset, &from, e) &&
             consumer_open(r->data, t->topic, p->id, from, &p->from, e);
        if (ok)
            consumer_set_ctx(p->from, p);
        p->next = from;
        lag += list[n + i].offset - from;
    }
    free(list);
    tables_touch(t);
    pace_opened(t, lag);
    return ok || err_wrap(e, "%s", t->topic);
}

void
tables_stop(struct apply_table *t, const struct err *e)
{
    if (t->state == TABLE_STOPPED)
        return;
    t->run->opening -= t->state == TABLE_OPENING;
    t->state = TABLE_STOPPED;
    t->err = *e;
    t->reported = false;
    t->run->thin_tables -= t->thin;
    t->thin = false;
    gate_table_drop(t->run->gate, t->gate);
    for (size_t i = 0; i < t->parts_len; i++)
        part_close(t->parts + i);
    log_error("table_stopped", F_STR("task", t->run->task->name), F_STR("table", t->target),
              F_ERR(e));
}

void
tables_free(struct apply_table *t)
{
    for (size_t i = 0; i < t->parts_len; i++) {
        part_close(t->parts + i);
    }
    for (struct plan *p = t->plans, *older; p; p = older) {
        older = p->older;
        row_decoder_free(p->decoder);
        free(p->renames);
        table_unref(p->table);
        free(p);
    }
    checkpoint_free(&t->own.ck);
    checkpoint_free(&t->own.next);
    buf_free(&t->own.state);
    buf_free(&t->own.next_state);
    free(t->own.written);
    free(t->parts);
    free(t->topic);
    free(t->db);
    free(t->name);
    free(t->to_db);
    free(t->to_table);
    free(t->target);
    free(t);
}
