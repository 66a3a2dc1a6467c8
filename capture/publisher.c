#include "capture/publisher.h"

#include <stdlib.h>

#include "base/fault.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/thread.h"

#define RING_ITEMS       256
#define INIT_TIMEOUT_MS  30000
#define INIT_SLICE_MS    2000
#define FLUSH_TIMEOUT_MS 30000
#define TOPIC_TIMEOUT_MS 30000

struct slot {
    char *topic;
    int32_t partition;
    int64_t limit;
    struct producer_topic *handle;
    uint32_t first, last; /* of the block being sent */
    uint32_t n;
};

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
    pthread_mutex_t lock; /* slots, error */
    struct slot **slots;
    uint32_t slot_count, slot_capacity;
    struct slot **seen; /* scratch of one block */
    struct producer_message *batch;
    uint32_t batch_capacity;
    bool failed;
    struct err error;
};

static void
on_delivered(void *ctx, void *owner, size_t n)
{
    (void)ctx;
    struct block *b = owner;
    b->lent -= (uint32_t)n;
    if (b->lent == 0)
        block_return(b);
}

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
    c.delivered = on_delivered;
    c.delivered_ctx = p;
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

uint32_t
publisher_slot(struct publisher *p, const char *topic, int32_t partition, int64_t limit)
{
    struct slot *s = mem_zalloc(sizeof(*s));
    s->topic = mem_strdup(topic);
    s->partition = partition;
    s->limit = limit;
    s->first = BLOCK_NONE;
    thread_lock(&p->lock);
    if (p->slot_count == p->slot_capacity) {
        p->slot_capacity = p->slot_capacity == 0 ? 64 : p->slot_capacity * 2;
        p->slots = mem_realloc(p->slots, p->slot_capacity * sizeof(*p->slots));
    }
    uint32_t at = p->slot_count++;
    p->slots[at] = s;
    thread_unlock(&p->lock);
    return at;
}

/* Chains the block's records by slot, keeping their order; gives the number of slots seen. */
static uint32_t
group_by_slot(struct publisher *p, struct block *b)
{
    uint32_t seen = 0;
    thread_lock(&p->lock);
    p->seen = mem_realloc(p->seen, p->slot_count * sizeof(*p->seen));
    for (uint32_t i = 0; i < b->count; i++) {
        struct slot *s = p->slots[b->records[i].slot];
        b->records[i].next = BLOCK_NONE;
        if (s->first == BLOCK_NONE) {
            s->first = i;
            s->n = 0;
            p->seen[seen++] = s;
        } else {
            b->records[s->last].next = i;
        }
        s->last = i;
        s->n++;
    }
    thread_unlock(&p->lock);
    return seen;
}

static bool
send_slot(struct publisher *p, struct block *b, struct slot *s, struct err *e)
{
    if (s->handle == NULL &&
        !producer_topic(p->rows, s->topic, s->limit, TOPIC_TIMEOUT_MS, &s->handle, e))
        return false;
    if (s->n > p->batch_capacity) {
        p->batch = mem_realloc(p->batch, s->n * sizeof(*p->batch));
        p->batch_capacity = s->n;
    }
    uint32_t n = 0;
    for (uint32_t i = s->first; i != BLOCK_NONE; i = b->records[i].next) {
        const struct block_record *r = &b->records[i];
        struct producer_message *m = &p->batch[n++];
        m->key = bytes_of(b->data.p + r->key_at, r->key_len);
        m->value = r->value_len == BLOCK_TOMBSTONE
                       ? bytes_of(NULL, 0)
                       : bytes_of(b->data.p + r->value_at, r->value_len);
        m->owner = b;
    }
    return producer_send_batch(p->rows, s->handle, s->partition, p->batch, n, e);
}

static uint64_t
sent_count(const struct publisher *p)
{
    struct producer_stats st;
    producer_stats(p->rows, &st);
    return st.sent;
}

static bool
send_block(struct publisher *p, struct block *b, struct err *e)
{
    if (b->count == 0) {
        block_return(b);
        return true;
    }
    FAULT("publish.before_produce");
    uint32_t seen = group_by_slot(p, b);
    /* One more than its records: the block cannot come back while it is still being sent. */
    b->lent = b->count + 1;
    uint64_t before = sent_count(p);
    bool ok = p->conf.fast || begin_once(p, e);
    for (uint32_t i = 0; i < seen; i++) {
        struct slot *s = p->seen[i];
        ok = ok && send_slot(p, b, s, e);
        s->first = BLOCK_NONE;
    }
    /* What a failed send did not take is not lent; destroying the producer gives back the rest.
     */
    on_delivered(p, b, b->count - (uint32_t)(sent_count(p) - before) + 1);
    FAULT("publish.after_produce");
    return ok;
}

static bool
send_cut(struct publisher *p, struct publisher_cut *c, struct err *e)
{
    if (!producer_flush(p->rows, FLUSH_TIMEOUT_MS, e))
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
            ok = send_block(p, b, &e);
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

static void
run(void *arg)
{
    struct publisher *p = arg;
    for (;;) {
        bool waiting = producer_outstanding(p->rows) > 0;
        struct item *it = ring_pop(p->ring, waiting ? 1 : 500);
        if (it != NULL)
            handle(p, it);
        else if (ring_closed(p->ring))
            return;
        producer_poll(p->rows, 0);
        struct err e;
        if (!p->failed && !producer_check(p->rows, &e))
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
    if (p->rows != p->control)
        producer_destroy(p->rows);
    producer_destroy(p->control);
    for (uint32_t i = 0; i < p->slot_count; i++) {
        free(p->slots[i]->topic);
        free(p->slots[i]);
    }
    free(p->slots);
    free(p->seen);
    free(p->batch);
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
