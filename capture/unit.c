#include "capture/unit.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/thread.h"
#include "capture/claim.h"
#include "capture/definitions.h"
#include "capture/loader.h"
#include "capture/loads.h"
#include "capture/stream_reader.h"
#include "task/secret.h"

#define ADMIN_TIMEOUT_MS 15000
#define WATCH_MS         100
#define REPORT_MS        1000
#define STOP_WAIT_MS     15000
/* Inbox items handled before timers are looked at again. */
#define BURST 16

/* ---- what the publisher's thread says ---- */

static void
on_done(void *ctx, struct publisher_cut *cut)
{
    static struct inbox_item wake = {.kind = INBOX_WAKE};
    struct session *s = ctx;
    if (cut == NULL) {
        atomic_store(&s->publisher_failed, true);
    } else {
        pthread_mutex_lock(&s->done_lock);
        if (s->done_count == s->done_capacity) {
            s->done_capacity = s->done_capacity == 0 ? 16 : 2 * s->done_capacity;
            s->done = mem_realloc(s->done, s->done_capacity * sizeof(struct publisher_cut *));
        }
        s->done[s->done_count++] = cut;
        pthread_mutex_unlock(&s->done_lock);
    }
    /* One at a time: a core that is busy opening must not meet an inbox full of them, which
     * the reader and the loaders would wait for, also to end. */
    if (!atomic_exchange(&s->woken, true) && !ring_try_push(s->inbox, &wake))
        atomic_store(&s->woken, false);
}

/* Of the inbox, NULL: none came. */
static struct inbox_item *
next_item(struct session *s, int timeout_ms)
{
    struct inbox_item *it = ring_pop(s->inbox, timeout_ms);
    if (it != NULL && it->kind == INBOX_WAKE)
        atomic_store(&s->woken, false);
    return it;
}

/* ---- opening ---- */

static bool
open_source(struct session *s, struct err *e)
{
    const struct task_source *ts = &s->task->sources[unit_source(s->unit)];
    if (!secret_open_endpoint(s->config, s->task, &ts->at, &s->uri, e))
        return false;
    s->ops = source_find(s->uri.scheme);
    if (s->ops == NULL)
        return err_set(e, MR_BAD_URI, "no source of scheme %s", s->uri.scheme);
    struct source_conf c = {
        .uri = &s->uri,
        .task = s->task->id,
        .number = s->number,
        .verify_checksum = true,
        .scratch = config_text(s->config, "data.dir"),
        .stop = s->stop,
    };
    if (!s->ops->open(&c, &s->source, e))
        return false;
    s->info = s->ops->info(s->source);
    return true;
}

/* The progress topic, one partition per source. Formats: docs/formats.md. */
static bool
open_topics(struct session *s, struct err *e)
{
    static const struct kafka_property configs[] = {
        {"cleanup.policy", "compact"},
        {"min.compaction.lag.ms", "86400000"},
        {"segment.ms", "3600000"},
    };
    struct admin_topic t = {
        .name = s->progress_topic,
        .partitions = (int)s->task->sources_len,
        .configs = configs,
        .configs_n = ARRAY_LEN(configs),
    };
    return admin_new(&s->kafka, ADMIN_TIMEOUT_MS, &s->admin, e) &&
           admin_topic_create(s->admin, &t, NULL, e);
}

static bool
make_sequencer(struct session *s, struct err *e)
{
    struct position start;
    if (!s->ops->position_now(s->source, &start, e))
        return false;
    bool resumed = s->truth.found && s->truth.same_inc && s->truth.pos.kind != POSITION_NONE;
    struct sequencer_conf c = {
        .inc = s->task->inc,
        .epoch = s->epoch,
        .claim = s->claim_random,
        .spec = (uint32_t)s->task->generation,
        .min_us = (uint64_t)config_int(s->config, "commit.min.ms") * 1000,
        .max_us = (uint64_t)config_int(s->config, "commit.max.ms") * 1000,
        .behind_us = (uint64_t)config_int(s->config, "commit.far.ms") * 1000,
        .bytes_max = (uint64_t)config_int(s->config, "commit.bytes.max"),
    };
    bool ok = true;
    if (!resumed && s->task->position != NULL) {
        position_free(&start);
        position_init(&start, POSITION_NONE);
        ok = position_from_json(s->task->position, &start, e);
    }
    if (ok)
        s->seq = sequencer_new(&c, &s->truth, &start);
    position_free(&start);
    return ok && claim_epoch(s, e);
}

static bool
open_stream(struct session *s, struct err *e)
{
    struct source_stream *st;
    const struct position *from = sequencer_position(s->seq);
    if (!s->ops->decoder_new(s->source, from, &s->sink, &s->decoder, e) ||
        !s->ops->stream_open(s->source, from, &st, e))
        return err_wrap(e, "opening the stream");
    s->reader = stream_reader_start(s, st);
    return true;
}

static bool
session_open(struct session *s, struct err *e)
{
    if (!open_source(s, e) || !open_topics(s, e) || !claim_make(s, on_done, e) ||
        !make_sequencer(s, e))
        return false;
    s->pool = block_pool_new((unsigned)config_int(s->config, "capture.blocks"),
                             (size_t)config_int(s->config, "capture.block.bytes"));
    publisher_start(s->publisher);
    core_init(s);
    if (!tables_new(s, e) || !loads_new(s, e) || !open_stream(s, e) || !tables_resume(s, e) ||
        !tables_discover(s, e) || !loads_resume(s, e))
        return false;
    if (tables_first(s) == NULL && s->task->level != TASK_ACCOUNT)
        log_warn("selection_empty", F_STR("unit", unit_name(s->unit)));
    log_info("streaming", F_STR("unit", unit_name(s->unit)), F_STR("source", s->info->version),
             F_U64("epoch", s->epoch));
    return true;
}

/* ---- closing: in any state of opening ---- */

static void
drain_inbox(struct session *s)
{
    struct inbox_item *it;
    while ((it = next_item(s, 0)) != NULL)
        if (it->kind == INBOX_CHUNK)
            loader_chunk_free((struct loader_chunk *)it);
}

/* Reader and loaders; their items still in the inbox go with them. */
static void
stop_threads(struct session *s)
{
    stream_reader_stop(s->reader);
    loads_free(s);
    drain_inbox(s);
    stream_reader_free(s->reader);
    s->reader = NULL;
}

static void
free_done(struct session *s)
{
    for (size_t i = 0; i < s->done_count; i++)
        publisher_cut_free(s->done[i]);
    free(s->done);
    if (s->cut != NULL)
        publisher_cut_free(s->cut);
}

static void
session_close(struct session *s)
{
    stop_threads(s);
    if (s->block != NULL)
        block_return(s->block);
    claim_release(s);
    block_pool_free(s->pool);
    free_done(s);
    tables_free(s);
    if (s->decoder != NULL)
        s->ops->decoder_free(s->decoder);
    sequencer_free(s->seq);
    arena_free(&s->scratch);
    buf_free(&s->row);
    if (s->source != NULL)
        s->ops->close(s->source);
    admin_free(s->admin);
    uri_free(&s->uri);
    ring_close(s->inbox);
    ring_destroy(s->inbox);
    pthread_mutex_destroy(&s->done_lock);
}

/* ---- running ---- */

static bool
decode_block(struct session *s, struct stream_block *b, struct err *e)
{
    struct reader r = reader_of(buf_bytes(&b->data));
    bool ok = true;
    while (ok && reader_left(&r) > 0) {
        struct bytes packet = reader_take(&r, (size_t)reader_le(&r, 4));
        if (r.failed)
            return err_set(e, MR_INTERNAL, "a torn block of packets");
        ok = s->ops->decode(s->decoder, packet, e);
        arena_reset(&s->scratch);
        bool empty = reader_left(&r) == 0 && stream_reader_behind(s->reader) <= 1;
        ok = ok && core_close_if_due(s, empty, e);
    }
    return ok;
}

static bool
handle_item(struct session *s, struct inbox_item *it, struct err *e)
{
    switch (it->kind) {
    case INBOX_STREAM: {
        struct stream_block *b = (struct stream_block *)it;
        bool ok = decode_block(s, b, e);
        if (ok && b->ended) {
            *e = b->err;
            ok = false;
        }
        stream_block_return(s->reader, b);
        return ok;
    }
    case INBOX_CHUNK:
        return loads_chunk(s, (struct loader_chunk *)it, e);
    case INBOX_WAKE:
        break;
    }
    return true;
}

static void
report(struct session *s)
{
    uint64_t now = clock_mono_ms();
    if (now - s->last_report_ms < REPORT_MS)
        return;
    s->last_report_ms = now;
    bool loading = loads_running(s) || tables_discovering(s);
    struct status_unit st = {
        .state = STATUS_RUNNING,
        .phase = loading ? STATUS_FULL_LOAD : STATUS_INCREMENTAL,
        .source_us = s->caught_up_us > s->txn_commit_us ? s->caught_up_us : s->txn_commit_us,
        .rows = s->rows_total,
        .position = position_to_json(sequencer_confirmed(s->seq)),
    };
    unit_report(s->unit, &st);
    json_free(st.position);
    for (struct captured *t = tables_first(s); loading && t != NULL; t = t->following)
        if (t->windows != NULL)
            tables_report(s, t);
}

static void
show_gauges(struct session *s)
{
    struct sequencer_state st;
    sequencer_state(s->seq, &st);
    uint64_t now = clock_wall_us();
    bool behind = stream_reader_behind(s->reader) > 0 && now > s->txn_commit_us;
    metric_set(s->gauges.unit_rows, (int64_t)st.rows);
    metric_set(s->gauges.in_flight, (int64_t)(s->rows_open + st.rows));
    metric_set(s->gauges.behind, stream_reader_behind(s->reader));
    metric_set(s->gauges.loading, loads_running(s));
    metric_set(s->gauges.source_lag, behind ? (int64_t)(now - s->txn_commit_us) : 0);
}

static int
wait_ms(const struct session *s)
{
    struct sequencer_state st;
    sequencer_state(s->seq, &st);
    if (st.rows > 0 || st.unconfirmed > 0 || tables_discovering(s))
        return 1;
    return loads_running(s) ? 2 : 50;
}

static bool
session_step(struct session *s, uint64_t *watched_ms, struct err *e)
{
    struct inbox_item *it = next_item(s, wait_ms(s));
    for (int i = 0; it != NULL; i++) {
        if (!handle_item(s, it, e))
            return false;
        it = i < BURST ? next_item(s, 0) : NULL;
    }
    tables_take_up(s);
    if (!core_confirm(s, e) || !tables_discover_step(s, e) || !definitions_retry(s, e) ||
        !loads_emit(s, e) || !loads_pump(s, e))
        return false;
    if (!core_close_if_due(s, stream_reader_behind(s->reader) == 0, e))
        return false;
    show_gauges(s);
    uint64_t now = clock_mono_ms();
    if (now - *watched_ms >= WATCH_MS) {
        *watched_ms = now;
        if (!claim_watch(s, e))
            return false;
        report(s);
    }
    return true;
}

/* The position is saved when the last cut is confirmed. One without rows is one, too: a row
 * that stopped its table must not be met again by who resumes it. */
static bool
session_save(struct session *s, struct err *e)
{
    struct sequencer_state st;
    sequencer_state(s->seq, &st);
    bool moved = !position_covers(sequencer_confirmed(s->seq), sequencer_position(s->seq));
    if ((st.rows > 0 || moved) && !core_close(s, e))
        return false;
    uint64_t until = clock_mono_ms() + STOP_WAIT_MS;
    for (;;) {
        if (!core_confirm(s, e))
            return false;
        sequencer_state(s->seq, &st);
        if (st.unconfirmed == 0)
            return true;
        if (clock_mono_ms() > until)
            return err_set(e, MR_KAFKA_UNREACHABLE, "the last cut is not confirmed");
        (void)next_item(s, 20);
    }
}

static bool
session_run(struct session *s, struct err *e)
{
    uint64_t watched_ms = 0;
    while (!stop_asked(s->stop) && !claim_is_old(s))
        if (!session_step(s, &watched_ms, e))
            return false;
    stop_threads(s);
    return session_save(s, e);
}

/* One claim. True: saved, because a stop was asked or the claim had grown old. */
static bool
run_session(struct unit *u, struct err *e)
{
    struct session *s = mem_zalloc(sizeof(*s));
    s->unit = u;
    s->task = unit_task(u);
    s->config = unit_config(u);
    s->stop = unit_stop(u);
    s->number = s->task->sources[unit_source(u)].n;
    s->registry = worker_registry(unit_worker(u));
    s->tombstones = config_bool(s->config, "tombstones");
    s->inbox = ring_new(INBOX_ITEMS);
    thread_lock_init(&s->done_lock);
    gauges_open(&s->gauges, s->task->name, s->number);
    kafka_settings_load(s->config, "millrace-capture", &s->kafka);
    task_progress_topic(s->task, s->progress_topic);
    task_transactional_id(s->task, s->number, s->transactional_id);
    bool ok = session_open(s, e) && session_run(s, e);
    session_close(s);
    free(s);
    return ok;
}

bool
capture_run(void *ctx, struct unit *u, struct err *e)
{
    (void)ctx;
    do {
        if (!run_session(u, e))
            return false;
    } while (!stop_asked(unit_stop(u)));
    return true;
}
