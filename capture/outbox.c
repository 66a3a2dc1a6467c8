#include "capture/outbox.h"

#include <stdlib.h>

#include "base/fault.h"
#include "base/mem.h"
#include "base/thread.h"

#define TOPIC_TIMEOUT_MS 30000
#define SLICE            256
#define WIRE_OVERHEAD    36 /* varints of a record of format 2 */

struct slot {
    char *topic;
    int32_t partition;
    int64_t limit;
    struct producer_topic *handle;
    struct block_run *first, *last; /* waiting */
    size_t bytes;                   /* waiting */
    size_t sent;                    /* rows with the producer */
    bool listed;
    struct slot *next; /* of the slots that wait */
};

struct outbox {
    pthread_mutex_t lock; /* the array of slots */
    struct slot **slots;
    uint32_t slot_count, slot_capacity;
    struct slot *first, **end; /* slots with rows waiting */
    size_t waiting;            /* rows */
    size_t sent;
    struct producer_message slice[SLICE]; /* of a batch */
};

struct outbox *
outbox_new(void)
{
    struct outbox *o = mem_zalloc(sizeof(*o));
    thread_lock_init(&o->lock);
    o->end = &o->first;
    return o;
}

void
outbox_free(struct outbox *o)
{
    for (uint32_t i = 0; i < o->slot_count; i++) {
        free(o->slots[i]->topic);
        free(o->slots[i]);
    }
    free(o->slots);
    pthread_mutex_destroy(&o->lock);
    free(o);
}

uint32_t
outbox_slot(struct outbox *o, const char *topic, int32_t partition, int64_t limit)
{
    struct slot *s = mem_zalloc(sizeof(*s));
    s->topic = mem_strdup(topic);
    s->partition = partition;
    s->limit = limit;
    thread_lock(&o->lock);
    if (o->slot_count == o->slot_capacity) {
        o->slot_capacity = o->slot_capacity == 0 ? 64 : o->slot_capacity * 2;
        o->slots = mem_realloc(o->slots, o->slot_capacity * sizeof(struct slot *));
    }
    uint32_t at = o->slot_count++;
    o->slots[at] = s;
    thread_unlock(&o->lock);
    return at;
}

/* What a record takes in a request at most: librdkafka counts so when it fills one. */
static size_t
wire_bytes(const struct block_record *r)
{
    return block_record_bytes(r) + WIRE_OVERHEAD;
}

/* ---- blocks in ---- */

static void
list(struct outbox *o, struct slot *s)
{
    s->listed = true;
    s->next = NULL;
    *o->end = s;
    o->end = &s->next;
}

/* Every slot of the block knows its run there while the block is being grouped: its last one.
 */
static struct block_run *
run_of(struct outbox *o, struct block *b, uint32_t at)
{
    struct slot *s = o->slots[at];
    if (s->last != NULL && s->last->block == b)
        return s->last;
    struct block_run *r = &b->runs[b->run_count++];
    *r = (struct block_run){.block = b, .slot = s, .first = BLOCK_NONE};
    if (s->last == NULL)
        s->first = r;
    else
        s->last->next = r;
    s->last = r;
    if (!s->listed)
        list(o, s);
    return r;
}

/* Records of one slot are chained in their order. */
static void
group(struct outbox *o, struct block *b)
{
    for (uint32_t i = 0; i < b->count; i++) {
        struct block_record *record = &b->records[i];
        struct block_run *r = run_of(o, b, record->slot);
        struct slot *s = r->slot;
        record->next = BLOCK_NONE;
        if (r->first == BLOCK_NONE)
            r->first = i;
        else
            b->records[r->last].next = i;
        r->last = i;
        s->bytes += wire_bytes(record);
    }
}

void
outbox_put(struct outbox *o, struct block *b)
{
    thread_lock(&o->lock);
    block_reserve_runs(b, o->slot_count);
    group(o, b);
    thread_unlock(&o->lock);
    b->lent = b->count;
    o->waiting += b->count;
}

/* ---- batches out ---- */

static void
fill(struct producer_message *m, struct block_run *r, const struct block_record *record)
{
    const uint8_t *data = r->block->data.p;
    m->key = bytes_of(data + record->key_at, record->key_len);
    m->value = record->value_len == BLOCK_TOMBSTONE
                   ? bytes_of(NULL, 0)
                   : bytes_of(data + record->value_at, record->value_len);
    m->owner = r;
    /* The core's CPU wrote it; librdkafka copies it when the slice is full. */
    __builtin_prefetch(m->key.p);
}

/* Takes the next rows of the slot into the slice, at most `rows` and `bytes`; a row of any
 * size when nothing was taken of the batch. */
static uint32_t
take(struct outbox *o, struct slot *s, uint32_t rows, size_t bytes)
{
    uint32_t n = 0;
    size_t taken = 0;
    while (s->first != NULL && n < rows && n < SLICE) {
        struct block_run *r = s->first;
        const struct block_record *record = &r->block->records[r->first];
        size_t size = wire_bytes(record);
        if (taken + size > bytes && (n > 0 || bytes < OUTBOX_BATCH_BYTES))
            break;
        fill(&o->slice[n++], r, record);
        taken += size;
        r->first = record->next;
        if (r->first == BLOCK_NONE)
            s->first = r->next;
        else
            __builtin_prefetch(&r->block->records[r->first]);
    }
    if (s->first == NULL)
        s->last = NULL;
    s->bytes -= taken;
    o->waiting -= n;
    s->sent += n;
    o->sent += n;
    return n;
}

static uint64_t
taken_by(const struct producer *p)
{
    struct producer_stats st;
    producer_stats(p, &st);
    return st.sent;
}

static bool
send_slice(struct outbox *o, struct producer *p, struct slot *s, uint32_t n, struct err *e)
{
    uint64_t before = taken_by(p);
    FAULT("publish.before_produce");
    bool ok = producer_send_batch(p, s->handle, s->partition, o->slice, n, e);
    FAULT("publish.after_produce");
    /* What a failed call did not take never comes back through a report. */
    for (uint64_t i = taken_by(p) - before; i < n; i++)
        outbox_delivered(o, o->slice[i].owner, 1);
    return ok;
}

/* One batch. */
static bool
send_slot(struct outbox *o, struct producer *p, struct slot *s, struct err *e)
{
    if (s->handle == NULL &&
        !producer_topic(p, s->topic, s->limit, TOPIC_TIMEOUT_MS, &s->handle, e))
        return false;
    uint32_t rows = 0;
    size_t bytes = 0;
    while (s->first != NULL && rows < OUTBOX_BATCH_ROWS && bytes < OUTBOX_BATCH_BYTES) {
        size_t waiting = s->bytes;
        uint32_t n = take(o, s, OUTBOX_BATCH_ROWS - rows, OUTBOX_BATCH_BYTES - bytes);
        if (n == 0)
            break;
        rows += n;
        bytes += waiting - s->bytes;
        if (!send_slice(o, p, s, n, e))
            return false;
    }
    return true;
}

static bool
may_go(const struct outbox *o, const struct slot *s, enum outbox_mode mode)
{
    return s->sent == 0 && o->sent < OUTBOX_SENT &&
           (mode == OUTBOX_HURRY || s->bytes >= OUTBOX_LEAST_BYTES);
}

bool
outbox_pump(struct outbox *o, struct producer *p, enum outbox_mode mode, struct err *e)
{
    struct slot *s = o->first;
    bool ok = true;
    o->first = NULL;
    o->end = &o->first;
    while (s != NULL) {
        struct slot *next = s->next;
        ok = ok && (!may_go(o, s, mode) || send_slot(o, p, s, e));
        s->listed = false;
        if (s->first != NULL)
            list(o, s);
        s = next;
    }
    return ok;
}

size_t
outbox_waiting(const struct outbox *o)
{
    return o->waiting;
}

void
outbox_delivered(void *ctx, void *owner, size_t n)
{
    struct outbox *o = ctx;
    struct block_run *r = owner;
    struct block *b = r->block;
    struct slot *s = r->slot;
    o->sent -= n;
    s->sent -= n;
    b->lent -= (uint32_t)n;
    if (b->lent == 0)
        block_return(b);
}

void
outbox_drop(struct outbox *o)
{
    for (struct slot *s = o->first; s != NULL; s = s->next) {
        s->listed = false;
        while (s->first != NULL) {
            uint32_t n = take(o, s, SLICE, SIZE_MAX);
            for (uint32_t i = 0; i < n; i++)
                outbox_delivered(o, o->slice[i].owner, 1);
        }
    }
    o->first = NULL;
    o->end = &o->first;
}
