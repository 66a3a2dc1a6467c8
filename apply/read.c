/* Reading: the progress topic into the gate, row records into the gate and the queues.
 *
 * Start of the progress topic: the least progress_offset of the stored checkpoints of this
 * incarnation (a new row stores where this run began, so a table is never read from behind its
 * own events); without any, the first record of the incarnation, found from the end backwards.
 * Every record a checkpoint needs (epochs, table versions, events to come) is at or behind its
 * progress_offset.
 *
 * A row of a schema that no known version has waits until the progress topic was read up to its
 * end as it was when the row was met: a row of ours always comes after its version event. If it
 * is unknown then, it is of another incarnation, and void; were it ours after all, the gate
 * would miss it in a cut's count and stop. The end is asked once for all rows that were polled
 * together: a topic may begin with millions of rows of a task that was dropped.
 *
 * Rows of all partitions come through one queue. A row that has to wait, for the progress topic
 * or for room, holds up all behind it; a table for whose rows there is no room while others
 * need none (thin ones) is closed instead, and goes on later from where it was (pace.c).
 * Progress records have their own consumer, so they always come. Thread: intake.
 */
#include "apply/apply.h"

#include <inttypes.h>

#include "base/clock.h"
#include "base/log.h"

#define SCAN_STEP      2000
#define COMPACTABLE_MS (12ull * 3600 * 1000) /* half of the topic's compaction lag */
#define POLLS_A_TURN   16
#define AHEAD          2 /* messages */

/* ---- progress ---- */

/* Whose table the gate is to be asked for: those whose rows a cut counts; any, where an event,
 * the cut that closes it, or another epoch was read. */
static void
note_record(struct apply_run *r, const struct progress_record *rec)
{
    r->event_read |= rec->kind == PROGRESS_EVENT || rec->kind == PROGRESS_EPOCH || rec->events;
    for (uint32_t i = 0; i < rec->touched_count; i++) {
        struct apply_table *t = tables_find(r, rec->touched[i].topic);
        if (t)
            tables_touch(t);
    }
}

MUST static bool
feed(struct apply_run *r, const struct consumer_message *m, struct progress_record *rec,
     struct err *e)
{
    if (!progress_decode(m->key, m->value, &r->scratch, rec, e))
        return err_wrap(e, "progress offset %" PRId64, m->offset);
    uint64_t now = clock_wall_ms();
    uint64_t at_ms = m->timestamp_ms < 0 ? 0 : (uint64_t)m->timestamp_ms;
    struct progress_at at = {m->offset, at_ms + COMPACTABLE_MS < now};
    enum progress_verdict verdict;
    if (!gate_progress(r->gate, rec, at, &verdict, e))
        return err_wrap(e, "progress offset %" PRId64, m->offset);
    note_record(r, rec);
    if (rec->kind != PROGRESS_EVENT || rec->event != EVENT_VERSION ||
        rec->inc != r->task->inc ||
        (verdict != PROGRESS_IS_EVENT && verdict != PROGRESS_IS_REPEAT))
        return true;
    struct apply_table *t;
    return tables_version(r, rec, &t, e);
}

static bool
on_progress(void *ctx, const struct consumer_message *m, struct err *e)
{
    struct apply_run *r = ctx;
    if (!m->value.p)
        return true;
    struct progress_record rec = {0};
    bool ok = feed(r, m, &rec, e);
    progress_record_free(&rec);
    arena_reset(&r->scratch);
    return ok;
}

static bool
table_waits(const struct apply_table *t)
{
    for (size_t i = 0; i < t->parts_len; i++)
        if (t->parts[i].rows.n)
            return true;
    return false;
}

/* The gate is asked again for tables with rows, and for those that the records name. */
bool
read_progress(struct apply_run *r, bool *worked, struct err *e)
{
    size_t n = 0;
    if (!log_reader_poll(r->progress, 0, on_progress, r, &n, e))
        return err_wrap(e, "progress");
    if (!n)
        return true;
    *worked = true;
    for (size_t i = 0; r->event_read && i < r->tables_len; i++)
        tables_touch(r->tables[i]);
    r->event_read = false;
    for (struct apply_table *t = r->active; t; t = t->next_active)
        t->dirty |= table_waits(t);
    return true;
}

/* From the end backwards, window by window, to one without a record of our incarnation: that
 * one lies before everything of ours. */
struct scan {
    struct apply_run *run;
    int64_t window; /* first offset of the present one */
    int64_t last;
    bool ours;
};

static bool
on_scan(void *ctx, const struct consumer_message *m, struct err *e)
{
    struct scan *s = ctx;
    if (s->last < 0 || m->offset < s->last) {
        s->window = m->offset;
        s->ours = false;
    }
    s->last = m->offset;
    if (!m->value.p || s->ours)
        return true;
    struct progress_record rec = {0};
    bool ok = progress_decode(m->key, m->value, &s->run->scratch, &rec, e);
    s->ours = ok && rec.inc == s->run->task->inc;
    progress_record_free(&rec);
    arena_reset(&s->run->scratch);
    return ok;
}

static bool
scan_found(void *ctx)
{
    const struct scan *s = ctx;
    return s->last >= 0 && !s->ours;
}

/* Least progress_offset stored by this incarnation, and the least cut it is of. False: none. */
static bool
least_stored(struct apply_run *r, int64_t *offset, uint64_t *seq)
{
    bool any = false;
    for (size_t i = 0; i < r->stored_len; i++) {
        struct checkpoint *ck = r->stored + i;
        if (ck->inc != r->task->inc || !ck->source_count)
            continue;
        const struct checkpoint_source *s = checkpoint_source(ck, r->source_n);
        if (!any || s->progress_offset < *offset)
            *offset = s->progress_offset;
        if (!any || s->cut.seq < *seq)
            *seq = s->cut.seq;
        any = true;
    }
    return any;
}

MUST static bool
wait_topic(struct apply_run *r, const char *topic, struct err *e)
{
    struct admin_topic_info info;
    if (r->stored_len)
        return admin_topic_known(r->admin, topic, &info, e);
    for (;;) {
        if (!admin_topic_describe(r->admin, topic, &info, e))
            return false;
        if (info.exists)
            return true;
        if (stop_wait(&r->stop, 100))
            return err_set(e, MR_KAFKA_ERROR, "stopped while waiting for topic %s", topic);
    }
}

MUST static bool
find_beginning(struct apply_run *r, int64_t *start, struct err *e)
{
    struct scan s = {.run = r, .last = -1};
    bool found;
    if (!log_reader_scan_back(r->progress, SCAN_STEP, on_scan, scan_found, &s, &found, e))
        return false;
    *start = found ? s.window : KAFKA_OFFSET_BEGIN;
    return true;
}

MUST static bool
read_from(struct apply_run *r, int64_t start, struct err *e)
{
    log_info("apply_start", F_STR("task", r->task->name), F_I64("progress_offset", start),
             F_U64("tables_stored", r->stored_len));
    if (!log_reader_seek(r->progress, start, e))
        return false;
    r->start = start < 0 ? 0 : start;
    return log_reader_to_end(r->progress, on_progress, r, e);
}

/* A table without a stored checkpoint of this incarnation whose first version is not above the
 * stored cuts: its version was read, but its row was not made, before the end of the last run.
 */
static bool
table_forgotten(struct apply_run *r, uint64_t stored_seq)
{
    for (size_t i = 0; i < r->tables_len; i++) {
        const struct apply_table *t = r->tables[i];
        const struct checkpoint *ck = tables_stored(r, t->target);
        if (ck && ck->inc == r->task->inc && ck->source_count)
            continue;
        for (const struct plan *p = t->plans; p; p = p->older)
            if (p->seq <= stored_seq)
                return true;
    }
    return false;
}

MUST static bool
read_all(struct apply_run *r, struct err *e)
{
    int64_t start = 0;
    uint64_t seq = 0;
    if (least_stored(r, &start, &seq)) {
        if (!read_from(r, start, e))
            return false;
        if (!table_forgotten(r, seq))
            return true;
        run_forget_tables(r);
    }
    return find_beginning(r, &start, e) && read_from(r, start, e);
}

bool
read_progress_start(struct apply_run *r, struct err *e)
{
    char topic[TASK_TOPIC_MAX];
    task_progress_topic(r->task, topic);
    struct log_conf conf = {.topic = topic,
                            .partition = (int32_t)r->source_n,
                            .isolation = KAFKA_READ_COMMITTED,
                            .from = KAFKA_OFFSET_END,
                            .stop = &r->stop,
                            .timeout_ms = 30000};
    kafka_settings_load(r->config, "millrace-apply-progress", &conf.kafka);
    if (!wait_topic(r, topic, e) || !log_reader_open(&conf, &r->progress, e) || !read_all(r, e))
        return err_wrap(e, "progress");
    r->started = true;
    for (size_t i = 0; i < r->tables_len; i++)
        if (r->tables[i]->state != TABLE_STOPPED)
            dispatch_open(r, r->tables[i]);
    return true;
}

/* ---- rows ---- */

/* The plan of a record; NULL with *wait: come again; NULL without: of nobody, drop it. */
MUST static bool
plan_of(struct apply_part *p, const struct consumer_message *m, struct plan **out, bool *wait,
        struct err *e)
{
    struct apply_table *t = p->table;
    struct apply_run *r = t->run;
    *wait = false;
    *out = t->plans;
    if (r->task->format == CODEC_JSON)
        return true;
    uint32_t id;
    *out = NULL;
    if (!codec_schema_id(CODEC_AVRO, m->value, &id))
        return err_set(e, MR_SCHEMA_UNKNOWN, "%s:%d offset %" PRId64 " is not Avro", t->topic,
                       p->id, m->offset);
    for (struct plan *q = t->plans; q; q = q->older)
        if (q->id_known && q->schema_id == id)
            *out = q;
    if (!*out && !tables_plan_of_id(t, id, out, e))
        return false;
    if (*out)
        return true;
    if (r->wait_progress < 0 && !log_reader_end(r->progress, &r->wait_progress, e))
        return false;
    *wait = log_reader_position(r->progress) < r->wait_progress;
    return true;
}

MUST static bool
keep_row(struct apply_part *p, const struct consumer_message *m, const struct plan *plan,
         struct err *e)
{
    struct apply_run *r = p->table->run;
    struct change c;
    uint32_t image_at;
    if (!row_decode_head(plan->decoder, m->value, &c, &image_at, e))
        return err_wrap(e, "%s:%d offset %" PRId64, p->table->topic, p->id, m->offset);
    enum gate_keep keep;
    uint32_t bytes = (uint32_t)(m->key.n + m->value.n);
    if (!gate_row(r->gate, p->gate, m->offset, &c.id, bytes, &keep, e))
        return err_wrap(e, "%s:%d offset %" PRId64, p->table->topic, p->id, m->offset);
    if (keep == GATE_DROP)
        return true;
    struct fifo_row row = {.offset = m->offset,
                           .seq = c.id.seq,
                           .plan = r->task->format == CODEC_JSON ? NULL : plan,
                           .op = (uint8_t)c.op,
                           .thin = p->table->thin,
                           .image_at = image_at};
    fifo_push(&p->rows, &row, m->key, m->value);
    return true;
}

/* The beginning of a message, which a thread of the library wrote, is on its way from there. */
static inline void
fetch_ahead(const struct consumer_message *m)
{
    for (size_t line = 0; line < 4; line++)
        __builtin_prefetch((const void *)((uintptr_t)m->value.p + 64 * line));
}

/* *stay: the message has to wait, for room or for the progress topic, and all behind it. */
MUST static bool
take_row(struct apply_part *p, const struct consumer_message *m, bool *stay, struct err *e)
{
    struct apply_run *r = p->table->run;
    struct plan *plan = NULL;
    if (run_is_full(r) && !p->table->thin) {
        *stay = !r->thin_tables;
        if (r->thin_tables)
            pace_rest(p->table);
        return true;
    }
    if (m->value.p && !plan_of(p, m, &plan, stay, e))
        return false;
    if (*stay) {
        gate_position(r->gate, p->gate, m->offset);
        return true;
    }
    if (plan && !keep_row(p, m, plan, e))
        return false;
    p->next = m->offset + 1;
    p->eof = false;
    gate_position(r->gate, p->gate, p->next);
    pace_read(p->table, m->key.n + m->value.n);
    return true;
}

static void
take_end(struct apply_part *p, const struct consumer_message *m)
{
    if (m->offset > p->next)
        p->next = m->offset;
    gate_position(p->table->run->gate, p->gate, p->next);
    p->eof = true;
    pace_eof(p->table);
}

/* The error is its table's, or the run's. */
MUST static bool
part_failed(struct apply_part *p, struct err *why, struct err *e)
{
    struct apply_table *t = p->table;
    if (why->class != ERR_TABLE || t->run->by_task) {
        *e = *why;
        return false;
    }
    tables_stop(t, why);
    return true;
}

MUST static bool
take_message(const struct consumer_message *m, bool *stay, struct err *e)
{
    struct apply_part *p = consumer_ctx(m->from);
    struct err why = {0};
    bool ok = true;
    tables_touch(p->table);
    if (m->kind == CONSUMER_RECORD)
        ok = take_row(p, m, stay, &why);
    else if (m->kind == CONSUMER_END)
        take_end(p, m);
    else
        ok = consumer_check(m->from, &why) || err_wrap(&why, "%s:%d", p->table->topic, p->id);
    return ok || part_failed(p, &why, e);
}

/* Partitions that the library has doubts of. */
MUST static bool
check_parts(struct apply_run *r, struct err *e)
{
    for (struct consumer_partition *c; (c = consumer_ready(r->data)) != NULL;) {
        struct apply_part *p = consumer_ctx(c);
        struct err why = {0};
        if (!p || consumer_check(c, &why))
            continue;
        err_wrap(&why, "%s:%d", p->table->topic, p->id);
        if (!part_failed(p, &why, e))
            return false;
    }
    return true;
}

/* What is left of the batch; *stay: its next message has to wait. */
MUST static bool
drain(struct apply_run *r, bool *worked, bool *stay, struct err *e)
{
    while (r->batch_at < r->batch.n) {
        const struct consumer_message *m = r->batch.msgs + r->batch_at;
        if (r->batch_at + AHEAD < r->batch.n)
            fetch_ahead(m + AHEAD);
        if (m->from && !take_message(m, stay, e))
            return false;
        if (*stay)
            return true;
        r->batch_at++;
        *worked = true;
    }
    consumer_batch_clear(&r->batch);
    r->batch_at = 0;
    return true;
}

bool
read_rows(struct apply_run *r, bool *worked, struct err *e)
{
    bool stay = false;
    if (!check_parts(r, e))
        return false;
    for (int i = 0; i < POLLS_A_TURN; i++) {
        if (!drain(r, worked, &stay, e))
            return false;
        if (stay)
            return true;
        consumer_poll_all(r->data, &r->batch);
        r->wait_progress = -1;
        if (!r->batch.n)
            return true;
    }
    return drain(r, worked, &stay, e);
}
