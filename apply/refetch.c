/* Thin rows, read from Kafka again when they are applied.
 *
 * A consumer of the lane's own, made when first needed. A partition is opened at the first thin
 * row and read forward, since they are asked for in offset order; it stays open for the next
 * batch, for opening one costs half a second (the library looks for the leader anew), and is
 * closed behind a batch that had no thin row of it. Only a batch that is tried again, or a long
 * way over rows that are not thin, begins anew. The log does not change under us: the same
 * offset gives the same record; anything else is MR_KAFKA_LOST. Owner and thread: the lane.
 */
#include "apply/apply.h"

#include <inttypes.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/mem.h"

#define POLL_MS     200
#define PATIENCE_MS 30000
#define PASS_MAX    20000 /* offsets that are passed over rather than left out */

struct again {
    struct consumer_partition *from;
    struct consumer_batch batch;
    size_t at;
    int64_t next; /* what comes is not below it */
    bool used;    /* by this batch */
    const struct apply_table *table;
    int32_t partition;
};

struct refetch {
    struct consumer *consumer;
    struct again *list;
    size_t len;
};

MUST static bool
refetch_new(struct lane *l, struct err *e)
{
    struct consumer_conf conf;
    consumer_conf_load(&conf, l->run->config, "millrace-apply-again");
    conf.queue_bytes = (int64_t)256 << 10;
    conf.fetch_bytes = (int64_t)128 << 10;
    struct refetch *f = mem_zalloc(sizeof *f);
    if (!consumer_new(&conf, &f->consumer, e)) {
        free(f);
        return false;
    }
    l->refetch = f;
    return true;
}

/* From an offset on, wherever the batches before have left it. */
MUST static bool
go_to(struct again *a, int64_t offset, struct err *e)
{
    a->used = true;
    if (offset >= a->next && offset - a->next <= PASS_MAX)
        return true;
    consumer_batch_clear(&a->batch);
    a->at = 0;
    a->next = offset;
    return consumer_seek(a->from, offset, e);
}

MUST static bool
again_of(struct refetch *f, const struct apply_table *t, int32_t partition, int64_t offset,
         struct again **out, struct err *e)
{
    for (size_t i = 0; i < f->len; i++) {
        *out = f->list + i;
        if ((*out)->table == t && (*out)->partition == partition)
            return go_to(*out, offset, e);
    }
    f->list = mem_realloc(f->list, (f->len + 1) * sizeof *f->list);
    struct again *a = f->list + f->len;
    *a = (struct again){.table = t, .partition = partition, .next = offset, .used = true};
    if (!consumer_open(f->consumer, t->topic, partition, offset, &a->from, e))
        return false;
    consumer_batch_init(&a->batch, 100);
    f->len++;
    *out = a;
    return true;
}

/* The message of an offset; those before it are passed over. */
MUST static bool
find(struct lane *l, struct again *a, int64_t offset, const struct consumer_message **out,
     struct err *e)
{
    uint64_t until = clock_mono_ms() + PATIENCE_MS;
    for (;;) {
        for (; a->at < a->batch.n; a->at++) {
            *out = a->batch.msgs + a->at;
            a->next = (*out)->offset;
            if (a->next == offset)
                return true;
            if (a->next > offset)
                return err_set(e, MR_KAFKA_LOST, "%s:%d offset %" PRId64 " is gone",
                               a->table->topic, a->partition, offset);
            a->next++;
        }
        a->at = 0;
        if (stop_asked(&l->run->stop) || clock_mono_ms() > until)
            return err_set(e, MR_KAFKA_ERROR, "%s:%d offset %" PRId64 " was not read again",
                           a->table->topic, a->partition, offset);
        if (!consumer_poll(a->from, &a->batch, POLL_MS, e)) {
            a->next = INT64_MAX; /* it is in error until a seek */
            return false;
        }
    }
}

bool
refetch_row(struct lane *l, const struct apply_table *t, int32_t partition,
            const struct fifo_row *thin, const struct fifo_row **out, struct err *e)
{
    struct again *a;
    const struct consumer_message *m;
    if ((!l->refetch && !refetch_new(l, e)) ||
        !again_of(l->refetch, t, partition, thin->offset, &a, e) ||
        !find(l, a, thin->offset, &m, e))
        return err_wrap(e, "reading again");
    struct fifo_row *r = arena_alloc(&l->copies, sizeof *r + m->key.n + m->value.n);
    *r = *thin;
    r->key_len = (uint32_t)m->key.n;
    r->value_len = (uint32_t)m->value.n;
    uint8_t *p = (uint8_t *)(r + 1);
    if (m->key.n)
        memcpy(p, m->key.p, m->key.n);
    if (m->value.n)
        memcpy(p + m->key.n, m->value.p, m->value.n);
    *out = r;
    return true;
}

static void
close_again(struct again *a)
{
    consumer_batch_free(&a->batch);
    consumer_close(a->from);
}

void
refetch_end(struct lane *l)
{
    struct refetch *f = l->refetch;
    size_t kept = 0;
    if (!f)
        return;
    for (size_t i = 0; i < f->len; i++) {
        struct again *a = f->list + i;
        if (a->used) {
            a->used = false;
            f->list[kept++] = *a;
        } else {
            close_again(a);
        }
    }
    f->len = kept;
}

void
refetch_free(struct refetch *f)
{
    if (!f)
        return;
    for (size_t i = 0; i < f->len; i++)
        close_again(f->list + i);
    consumer_free(f->consumer);
    free(f->list);
    free(f);
}
