#include "capture/publisher.h"

#include <stdlib.h>

#include "base/clock.h"
#include "base/fault.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/thread.h"
#include "capture/outbox.h"

#define RING_ITEMS       256
#define INIT_TIMEOUT_MS  30000
#define INIT_SLICE_MS    2000
#define FLUSH_TIMEOUT_MS 30000
#define TOPIC_TIMEOUT_MS 30000
#define IDLE_MS          500
#define POLL_MS          10

enum item_kind { ITEM_BLOCK, ITEM_CUT };

struct item {
    enum item_kind kind;
    void *what;
};

struct publisher {
    struct publisher_conf conf;
    char *transactional_id;
    char *progress_topic;
    struct producer *control; /* transactional */
    struct producer *rows;    /* == control unless fast */
    struct producer_topic *progress;
    bool in_transaction;
    struct ring *ring;
    struct thread thread;
    bool started;
    struct outbox *outbox;
    const struct block_pool *pool; /* of the blocks under way */
    pthread_mutex_t lock;          /* error */
    bool failed;
    struct err error;
};

/* In slices, so that a stop is heard while the broker is away. */
static bool
init_transactions(struct publisher *p, struct err *e)
{
    for (int waited = 0; waited < INIT_TIMEOUT_MS; waited += INIT_SLICE_MS) {
        if (producer_init_transactions(p->control, INIT_SLICE_MS, e))
            return true;
        if (e->class != ERR_RETRY || (p->conf.stop != NULL && stop_asked(p->conf.stop)))
            return false;
    }
    return false;
}

static bool
open_producers(struct publisher *p, struct err *e)
{
    struct producer_conf c = p->conf.rows;
    c.delivered = outbox_delivered;
    c.delivered_ctx = p->outbox;
    /* A batch of the outbox fits one request (outbox.h). */
    c.batch_messages = OUTBOX_BATCH_ROWS;
    c.batch_bytes = (int)OUTBOX_REQUEST_BYTES;
    c.transactional_id = p->transactional_id;
    if (!producer_new(&c, &p->control, e))
        return false;
    if (!init_transactions(p, e))
        return err_wrap(e, "claim of %s", p->transactional_id);
    p->rows = p->control;
    if (p->conf.fast) {
        c.transactional_id = NULL;
        if (!producer_new(&c, &p->rows, e))
            return false;
    }
    return producer_topic(p->control, p->progress_topic, 0, TOPIC_TIMEOUT_MS, &p->progress, e);
}

bool
publisher_open(const struct publisher_conf *conf, struct publisher **out, struct err *e)
{
    struct publisher *p = mem_zalloc(sizeof(*p));
    p->conf = *conf;
    p->transactional_id = mem_strdup(conf->transactional_id);
    p->progress_topic = mem_strdup(conf->progress_topic);
    p->ring = ring_new(RING_ITEMS);
    p->outbox = outbox_new();
    thread_lock_init(&p->lock);
    if (!open_producers(p, e)) {
        publisher_close(p);
        return false;
    }
    *out = p;
    return true;
}

static bool
begin_once(struct publisher *p, struct err *e)
{
    if (p->in_transaction)
        return true;
    if (!producer_begin(p->control, e))
        return false;
    p->in_transaction = true;
    return true;
}

static bool
send_control(struct publisher *p, struct bytes key, struct bytes value, struct err *e)
{
    return producer_send_copy(p->control, p->progress, p->conf.progress_partition, key, value,
                              e);
}

bool
publisher_control(struct publisher *p, struct bytes key, struct bytes value, struct err *e)
{
    if (!begin_once(p, e) || !send_control(p, key, value, e))
        return false;
    p->in_transaction = false;
    return producer_commit(p->control, p->conf.commit_timeout_ms, e);
}

bool
publisher_give_up(struct publisher *p, struct err *e)
{
    if (!begin_once(p, e) || !send_control(p, bytes_str("void"), (struct bytes){0}, e) ||
        !producer_flush(p->control, p->conf.commit_timeout_ms, e))
        return false;
    return producer_abort(p->control, p->conf.commit_timeout_ms, e);
}

uint32_t
publisher_slot(struct publisher *p, const char *topic, int32_t partition, int64_t limit)
{
    return outbox_slot(p->outbox, topic, partition, limit);
}

static bool
take_block(struct publisher *p, struct block *b, struct err *e)
{
    p->pool = b->pool;
    if (b->count == 0) {
        block_return(b);
        return true;
    }
    outbox_put(p->outbox, b);
    return p->conf.fast || begin_once(p, e);
}

/* Hands over all that waits, batch after batch, and awaits every report. */
static bool
send_rows(struct publisher *p, struct err *e)
{
    uint64_t until = clock_mono_ms() + FLUSH_TIMEOUT_MS;
    for (;;) {
        if (!outbox_pump(p->outbox, p->rows, OUTBOX_HURRY, e))
            return false;
        if (outbox_waiting(p->outbox) == 0)
            return producer_flush(p->rows, FLUSH_TIMEOUT_MS, e);
        if (producer_poll(p->rows, POLL_MS) > 0)
            until = clock_mono_ms() + FLUSH_TIMEOUT_MS;
        if (!producer_check(p->rows, e))
            return false;
        if (clock_mono_ms() > until)
            return err_set(e, MR_KAFKA_UNREACHABLE, "no acknowledgement in %d ms",
                           FLUSH_TIMEOUT_MS);
    }
}

static bool
send_cut(struct publisher *p, struct publisher_cut *c, struct err *e)
{
    if (!send_rows(p, e))
        return err_wrap(e, "waiting for acknowledgements");
    FAULT("publish.before_progress");
    if (!begin_once(p, e))
        return false;
    for (size_t i = 0; i < c->count; i++)
        if (!send_control(p, c->records[i].key, c->records[i].value, e))
            return false;
    FAULT("publish.before_commit");
    p->in_transaction = false;
    if (!producer_commit(p->control, p->conf.commit_timeout_ms, e))
        return err_wrap(e, "commit of a cut");
    FAULT("publish.after_commit");
    return true;
}

static void
fail(struct publisher *p, const struct err *e)
{
    thread_lock(&p->lock);
    bool first = !p->failed;
    p->failed = true;
    if (first)
        p->error = *e;
    thread_unlock(&p->lock);
    outbox_drop(p->outbox);
    if (first)
        p->conf.done(p->conf.ctx, NULL);
}

static void
handle(struct publisher *p, struct item *it)
{
    struct err e;
    bool ok = false;
    if (it->kind == ITEM_BLOCK) {
        struct block *b = it->what;
        if (p->failed)
            block_return(b);
        else
            ok = take_block(p, b, &e);
    } else {
        struct publisher_cut *c = it->what;
        ok = !p->failed && send_cut(p, c, &e);
        c->ok = ok;
        p->conf.done(p->conf.ctx, c);
    }
    if (!ok && !p->failed)
        fail(p, &e);
    free(it);
}

/* Waits for what comes first: an item, or, with rows under way, a delivery report. */
static struct item *
next_item(struct publisher *p)
{
    if (producer_outstanding(p->rows) == 0)
        return ring_pop(p->ring, IDLE_MS);
    struct item *it = ring_pop(p->ring, 0);
    if (it != NULL || ring_closed(p->ring))
        return it;
    if (outbox_waiting(p->outbox) == 0)
        return ring_pop(p->ring, 1);
    producer_poll(p->rows, 1);
    return NULL;
}

static bool
send_some(struct publisher *p, struct err *e)
{
    bool low = p->pool != NULL && block_pool_low(p->pool);
    return producer_check(p->rows, e) &&
           outbox_pump(p->outbox, p->rows, low ? OUTBOX_HURRY : OUTBOX_LARGE, e);
}

static void
run(void *arg)
{
    struct publisher *p = arg;
    for (;;) {
        struct item *it = next_item(p);
        if (it != NULL)
            handle(p, it);
        else if (ring_closed(p->ring))
            return;
        producer_poll(p->rows, 0);
        struct err e;
        if (!p->failed && !send_some(p, &e))
            fail(p, &e);
    }
}

void
publisher_start(struct publisher *p)
{
    p->started = true;
    thread_start(&p->thread, "mr-publish", run, p);
}

static void
push(struct publisher *p, enum item_kind kind, void *what)
{
    struct item *it = mem_alloc(sizeof(*it));
    it->kind = kind;
    it->what = what;
    if (!ring_push(p->ring, it))
        mem_die("publisher: used after close");
}

void
publisher_block(struct publisher *p, struct block *b)
{
    push(p, ITEM_BLOCK, b);
}

void
publisher_cut(struct publisher *p, struct publisher_cut *c)
{
    push(p, ITEM_CUT, c);
}

void
publisher_error(struct publisher *p, struct err *e)
{
    thread_lock(&p->lock);
    *e = p->error;
    thread_unlock(&p->lock);
}

void
publisher_close(struct publisher *p)
{
    if (p == NULL)
        return;
    ring_close(p->ring);
    if (p->started)
        thread_join(&p->thread);
    outbox_drop(p->outbox);
    if (p->rows != p->control)
        producer_destroy(p->rows);
    producer_destroy(p->control);
    outbox_free(p->outbox);
    ring_destroy(p->ring);
    free(p->transactional_id);
    free(p->progress_topic);
    pthread_mutex_destroy(&p->lock);
    free(p);
}

void
publisher_stats(const struct publisher *p, struct producer_stats *rows)
{
    producer_stats(p->rows, rows);
}

struct publisher_cut *
publisher_cut_new(void)
{
    struct publisher_cut *c = mem_zalloc(sizeof(*c));
    arena_init(&c->arena, 0);
    return c;
}

void
publisher_cut_free(struct publisher_cut *c)
{
    arena_free(&c->arena);
    free(c);
}
