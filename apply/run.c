/* A run of one task: opens the target, takes it over, begins where its checkpoints say, works
 * until it is stopped or cannot go on, and leaves nothing behind but those checkpoints.
 *
 * Order at the start: connect; claim (from then on no earlier owner can write); gate; lanes;
 * progress topic to its end (which makes the tables and sends their open jobs); rows. At the
 * end: no new jobs; those under way finish, or their connections are interrupted after a while
 * and the server rolls back; then everything is closed. Dying anywhere is the same as that.
 *
 * Thread: the unit's.
 */
#include "apply/run.h"

#include <malloc.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "apply/apply.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "task/secret.h"

#define STOP_PATIENCE_MS  8000
#define ERROR_PATIENCE_MS 2000
#define RESULTS_MAX       65536
#define FETCH_BYTES       ((int64_t)128 << 10) /* at least */
#define KEEP_BYTES        ((uint64_t)128 << 20)
#define FETCHES           256 /* that the memory for rows holds */
#define ROWS_QUEUED       10000
#define ROWS_A_POLL       500

bool
apply_wants(void *ctx, const struct task *t)
{
    (void)ctx;
    return (t->sink_type == TASK_SINK_MYSQL || t->sink_type == TASK_SINK_ICEBERG) &&
           t->sink.uri;
}

/* Where rows may take much memory, what they leave is kept for the next ones: given back to the
 * system and taken again, it costs the thread that fetches half of its time.
 * The allocator is the process's, so this holds for every task of it and until it ends: at most
 * 64 MiB more stay with a worker that was given a task with a budget of twice that. It is not
 * undone: tasks come back (resume, restart), and a worker without such a task never gets here.
 */
static void
keep_memory(uint64_t bytes)
{
    if (bytes < KEEP_BYTES)
        return;
    mallopt(M_MMAP_THRESHOLD, 8 << 20);
    mallopt(M_TRIM_THRESHOLD, 64 << 20);
}

MUST static bool
open_target(struct apply_run *r, struct err *e)
{
    if (!secret_open_endpoint(r->config, r->task, &r->task->sink, &r->uri, e))
        return false;
    r->ops = sink_find(r->uri.scheme);
    if (!r->ops)
        return err_set(e, MR_BAD_URI, "no sink for %s://", r->uri.scheme);
    struct sink_conf conf = {.task_id = r->task->id,
                             .task = r->task->name,
                             .uri = &r->uri,
                             .config = r->config,
                             .instance = worker_instance(unit_worker(r->unit)),
                             .stop = &r->stop};
    if (!r->ops->open(&conf, &r->sink, e))
        return false;
    if (r->ops->manner)
        r->ops->manner(r->sink, &r->manner);
    if (!r->manner.memory_bytes)
        r->manner.memory_bytes = (uint64_t)config_int(r->config, "apply.memory.bytes");
    r->rows_max = (size_t)r->manner.memory_bytes / 2;
    keep_memory(r->manner.memory_bytes);
    return true;
}

MUST static bool
claim(struct apply_run *r, struct err *e)
{
    struct arena a;
    struct sink_point *points;
    size_t n = 0;
    arena_init(&a, 0);
    bool ok = r->ops->claim(r->sink, &a, &points, &n, e);
    r->stored = mem_array(n + 1, sizeof *r->stored);
    r->stored_target = mem_array(n + 1, sizeof(char *));
    for (size_t i = 0; ok && i < n; i++) {
        struct checkpoint *ck = r->stored + i;
        checkpoint_init(ck, r->task->inc);
        r->stored_target[i] = mem_strdup(points[i].target);
        r->stored_len++;
        ok = checkpoint_decode(points[i].state, ck, e) ||
             err_wrap(e, "checkpoint of %s", points[i].target);
    }
    arena_free(&a);
    if (ok)
        log_info("target_claimed", F_STR("task", r->task->name),
                 F_U64("owner", r->ops->owner(r->sink)), F_U64("tables", n));
    return ok;
}

static void
open_gate(struct apply_run *r)
{
    /* What waits for a commit is half of the rows that there is room for (dispatch.c). */
    size_t batch = r->manner.gather_us ? r->rows_max / 2 : r->rows_max / 4;
    struct gate_conf conf = {
        .inc = r->task->inc, .task_consistency = r->by_task, .batch_bytes = batch};
    r->gate = gate_new(&conf);
}

bool
run_is_full(const struct apply_run *r)
{
    return atomic_load_explicit(&r->rows_used, memory_order_relaxed) >= r->rows_max;
}

void
run_forget_tables(struct apply_run *r)
{
    for (size_t i = 0; i < r->tables_len; i++)
        tables_free(r->tables[i]);
    r->tables_len = 0;
    r->opening = 0;
    map_clear(&r->by_topic);
    r->active = NULL;
    gate_free(r->gate);
    open_gate(r);
}

/* The consumer of the rows (apply.h says what of the memory is its). A fetch is small, because
 * compressed rows may be many times larger. */
MUST static bool
open_rows(struct apply_run *r, struct err *e)
{
    struct consumer_conf conf;
    consumer_conf_load(&conf, r->config, "millrace-apply");
    conf.shared = true;
    conf.queue_bytes = (int64_t)r->manner.memory_bytes / 16;
    conf.queue_messages = ROWS_QUEUED;
    conf.fetch_bytes = (int64_t)r->manner.memory_bytes / FETCHES;
    if (conf.fetch_bytes < FETCH_BYTES)
        conf.fetch_bytes = FETCH_BYTES;
    conf.fetch_wait_ms = 50;
    /* of all partitions in one answer; a single record above it still comes, alone */
    char fetch_max[24];
    snprintf(fetch_max, sizeof fetch_max, "%lld", 8LL * conf.fetch_bytes);
    static const char *const limits[] = {"message.max.bytes", "fetch.max.bytes"};
    for (size_t i = 0; i < ARRAY_LEN(limits); i++)
        if (conf.kafka.properties_n < KAFKA_PROPERTIES_MAX)
            conf.kafka.properties[conf.kafka.properties_n++] =
                (struct kafka_property){limits[i], fetch_max};
    consumer_batch_init(&r->batch, ROWS_A_POLL);
    return consumer_new(&conf, &r->data, e);
}

MUST static bool
open_kafka(struct apply_run *r, struct err *e)
{
    struct kafka_settings settings;
    struct consumer_conf conf;
    kafka_settings_load(r->config, "millrace-apply-admin", &settings);
    consumer_conf_load(&conf, r->config, "millrace-apply-ends");
    conf.isolation = KAFKA_READ_UNCOMMITTED;
    return admin_new(&settings, 10000, &r->admin, e) && consumer_new(&conf, &r->ends, e);
}

MUST static bool
open_lanes(struct apply_run *r, struct err *e)
{
    unsigned n = r->by_task ? 1 : (unsigned)config_int(r->config, "apply.lanes");
    r->lanes = mem_array(n, sizeof(struct lane *));
    for (unsigned i = 0; i < n; i++)
        if (!lane_start(r, i, e))
            return false;
    return true;
}

MUST static bool
start(struct apply_run *r, struct err *e)
{
    if (!open_target(r, e) || !claim(r, e))
        return false;
    open_gate(r);
    return open_kafka(r, e) && open_lanes(r, e) && read_progress_start(r, e) && open_rows(r, e);
}

/* Jobs that are still with lanes come back. */
static void
drain(struct apply_run *r, unsigned patience_ms)
{
    uint64_t until = clock_mono_ms() + patience_ms;
    bool interrupted = false;
    while (r->in_flight) {
        struct job *j = ring_pop(r->results, 50);
        if (j) {
            r->in_flight--;
            job_free(j);
        }
        if (interrupted || clock_mono_ms() < until)
            continue;
        interrupted = true;
        for (unsigned i = 0; i < r->lanes_len; i++)
            if (r->lanes[i]->sink)
                r->ops->interrupt(r->lanes[i]->sink);
    }
}

static void
close_all(struct apply_run *r)
{
    for (unsigned i = 0; i < r->lanes_len; i++)
        lane_stop(r->lanes[i]);
    for (unsigned i = 0; i < r->lanes_len; i++)
        lane_free(r->lanes[i]);
    for (size_t i = 0; i < r->tables_len; i++)
        tables_free(r->tables[i]);
    if (r->progress)
        log_reader_close(r->progress);
    consumer_batch_free(&r->batch);
    consumer_free(r->data);
    consumer_free(r->ends);
    if (r->admin)
        admin_free(r->admin);
    gate_free(r->gate);
    if (r->sink)
        r->ops->close(r->sink);
    for (size_t i = 0; i < r->stored_len; i++) {
        checkpoint_free(r->stored + i);
        free(r->stored_target[i]);
    }
    free(r->stored);
    free(r->stored_target);
    free(r->tables);
    map_free(&r->by_topic);
    free(r->lanes);
    ring_destroy(r->results);
    close(r->wake_fd);
    arena_free(&r->scratch);
    uri_free(&r->uri);
    stop_free(&r->stop);
}

static void
init(struct apply_run *r, struct unit *u)
{
    r->unit = u;
    r->task = unit_task(u);
    r->config = unit_config(u);
    r->source_n = r->task->sources[0].n;
    r->by_task = r->task->consistency == TASK_BY_TASK;
    r->part_rows_max = (size_t)config_int(r->config, "apply.batch.rows");
    r->atomic_rows_max = (uint64_t)config_int(r->config, "atomic.rows.max");
    r->results = ring_new(RESULTS_MAX);
    r->wake_fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (r->wake_fd < 0)
        mem_die("eventfd");
    arena_init(&r->scratch, 0);
    stop_init(&r->stop, unit_stop(u));
}

bool
apply_run(void *ctx, struct unit *u, struct err *e)
{
    (void)ctx;
    struct apply_run r = {0};
    init(&r, u);
    report_start(&r);
    bool ok = start(&r, e) && intake_run(&r, e);
    bool stopped = stop_asked(unit_stop(u));
    stop_ask(&r.stop);
    drain(&r, stopped ? STOP_PATIENCE_MS : ERROR_PATIENCE_MS);
    report_stop(&r);
    close_all(&r);
    return ok || stopped;
}

bool
apply_dropped(void *ctx, struct unit *u, struct err *e)
{
    (void)ctx;
    struct apply_run r = {0};
    init(&r, u);
    bool ok = open_target(&r, e) && r.ops->forget(r.sink, e);
    stop_ask(&r.stop);
    close_all(&r);
    return ok;
}
