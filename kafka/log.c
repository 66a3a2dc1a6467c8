#include "kafka/log.h"

#include <stdlib.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/stop.h"
#include "kafka/doubt.h"

#define LOG_BATCH      1000
#define LOG_QUEUE      (4 << 20)
#define LOG_FETCH      (1 << 20)
#define LOG_FETCH_WAIT 20 /* ms; how late an end without a record behind it is seen */
#define SLICE_MS       100
#define ASK_MS         1000
#define SCAN_GROWTH    4

struct log_reader {
    struct consumer *c;
    struct consumer *ends; /* read_uncommitted, for the high watermark */
    struct consumer_partition *part;
    struct consumer_batch batch;
    size_t next; /* of batch: not yet handed out, after a callback failed or a limit was met */
    char *topic;
    int32_t partition;
    int64_t low;
    int timeout_ms;
    const struct stop *stop;
};

static bool
waited_enough(const struct log_reader *r, uint64_t deadline, struct err *e)
{
    if (r->stop && stop_asked(r->stop))
        return !err_set(e, MR_KAFKA_ERROR, "stopped while reading %s", r->topic);
    if (clock_mono_ms() < deadline)
        return false;
    return !err_set(e, MR_KAFKA_UNREACHABLE, "%s [%d] was not read to its end in %d ms",
                    r->topic, (int)r->partition, r->timeout_ms);
}

static uint64_t
deadline_of(const struct log_reader *r)
{
    return clock_mono_ms() + (uint64_t)r->timeout_ms;
}

/* Asks again while the broker is away, or does not know its topics yet, until the deadline. */
static bool
ask_ends(struct log_reader *r, int64_t *low, int64_t *high, struct err *e)
{
    uint64_t deadline = deadline_of(r);
    struct doubt doubt = consumer_doubt(r->ends, r->topic);
    while (!consumer_watermarks(r->ends, r->topic, r->partition, ASK_MS, low, high, e))
        if (!doubt_again(&doubt, e, deadline) || waited_enough(r, deadline, e))
            return false;
    return true;
}

static bool
resolve(struct log_reader *r, int64_t from, int64_t *at, struct err *e)
{
    int64_t high;
    if (!ask_ends(r, &r->low, &high, e))
        return false;
    if (from == KAFKA_OFFSET_BEGIN)
        from = r->low;
    else if (from == KAFKA_OFFSET_END)
        from = high;
    else if (from < 0)
        from = high - (KAFKA_OFFSET_TAIL(0) - from);
    if (from > high)
        return err_set(e, MR_KAFKA_LOST, "%s [%d] ends at %lld, before the kept offset %lld",
                       r->topic, (int)r->partition, (long long)high, (long long)from);
    *at = from < r->low ? r->low : from;
    return true;
}

static bool
connect_both(struct log_reader *r, const struct log_conf *conf, struct err *e)
{
    struct consumer_conf cc;
    consumer_conf_default(&cc);
    cc.kafka = conf->kafka;
    cc.isolation = conf->isolation;
    cc.queue_bytes = LOG_QUEUE;
    cc.fetch_bytes = LOG_FETCH;
    cc.fetch_wait_ms = LOG_FETCH_WAIT;
    if (!consumer_new(&cc, &r->c, e))
        return false;
    if (conf->isolation == KAFKA_READ_UNCOMMITTED) {
        r->ends = r->c;
        return true;
    }
    cc.isolation = KAFKA_READ_UNCOMMITTED;
    return consumer_new(&cc, &r->ends, e);
}

bool
log_reader_open(const struct log_conf *conf, struct log_reader **out, struct err *e)
{
    struct log_reader *r = mem_zalloc(sizeof *r);
    r->topic = mem_strdup(conf->topic);
    r->partition = conf->partition;
    r->timeout_ms = conf->timeout_ms;
    r->stop = conf->stop;
    consumer_batch_init(&r->batch, LOG_BATCH);
    int64_t at = 0;
    if (!connect_both(r, conf, e) || !resolve(r, conf->from, &at, e) ||
        !consumer_open(r->c, r->topic, r->partition, at, &r->part, e)) {
        log_reader_close(r);
        return false;
    }
    *out = r;
    return true;
}

void
log_reader_close(struct log_reader *r)
{
    if (!r)
        return;
    consumer_batch_free(&r->batch);
    consumer_close(r->part);
    if (r->ends != r->c)
        consumer_free(r->ends);
    consumer_free(r->c);
    free(r->topic);
    free(r);
}

/* Hands out what the batch still holds below `limit`. */
static bool
hand_out(struct log_reader *r, int64_t limit, log_record_fn *fn, void *ctx, size_t *n,
         struct err *e)
{
    while (r->next < r->batch.n) {
        const struct consumer_message *m = &r->batch.msgs[r->next];
        if (m->offset >= limit)
            return true;
        if (!fn(ctx, m, e))
            return false;
        r->next++;
        if (n)
            ++*n;
    }
    return true;
}

int64_t
log_reader_position(const struct log_reader *r)
{
    if (r->next < r->batch.n)
        return r->batch.msgs[r->next].offset;
    return consumer_position(r->part);
}

static bool
fetch(struct log_reader *r, int timeout_ms, struct err *e)
{
    r->next = 0;
    return consumer_poll(r->part, &r->batch, timeout_ms, e);
}

bool
log_reader_to_offset(struct log_reader *r, int64_t offset, log_record_fn *fn, void *ctx,
                     struct err *e)
{
    uint64_t deadline = deadline_of(r);
    for (;;) {
        if (!hand_out(r, offset, fn, ctx, NULL, e))
            return false;
        if (log_reader_position(r) >= offset)
            return true;
        if (waited_enough(r, deadline, e) || !fetch(r, SLICE_MS, e))
            return false;
        if (r->batch.n > 0)
            deadline = deadline_of(r);
    }
}

bool
log_reader_end(struct log_reader *r, int64_t *end, struct err *e)
{
    int64_t low;
    return ask_ends(r, &low, end, e);
}

bool
log_reader_to_end(struct log_reader *r, log_record_fn *fn, void *ctx, struct err *e)
{
    int64_t end;
    return log_reader_end(r, &end, e) && log_reader_to_offset(r, end, fn, ctx, e);
}

bool
log_reader_poll(struct log_reader *r, int timeout_ms, log_record_fn *fn, void *ctx, size_t *n,
                struct err *e)
{
    if (n)
        *n = 0;
    if (r->next >= r->batch.n) {
        consumer_fd_clear(r->c);
        if (!fetch(r, timeout_ms, e))
            return false;
    }
    return hand_out(r, INT64_MAX, fn, ctx, n, e);
}

static bool
seek_to(struct log_reader *r, int64_t at, struct err *e)
{
    consumer_batch_clear(&r->batch);
    r->next = 0;
    return consumer_seek(r->part, at, e);
}

bool
log_reader_seek(struct log_reader *r, int64_t offset, struct err *e)
{
    int64_t at = 0;
    return resolve(r, offset, &at, e) && seek_to(r, at, e);
}

int64_t
log_reader_low(const struct log_reader *r)
{
    return r->low;
}

int
log_reader_fd(const struct log_reader *r)
{
    return consumer_fd(r->c);
}

bool
log_reader_scan_back(struct log_reader *r, int64_t step, log_record_fn *fn, log_found_fn *found,
                     void *ctx, bool *was_found, struct err *e)
{
    int64_t end;
    if (!ask_ends(r, &r->low, &end, e))
        return false;
    bool done = false;
    for (int64_t high = end; !done && high > r->low; step *= SCAN_GROWTH) {
        int64_t low = high - step > r->low ? high - step : r->low;
        if (!seek_to(r, low, e) || !log_reader_to_offset(r, high, fn, ctx, e))
            return false;
        done = found(ctx);
        high = low;
    }
    if (was_found)
        *was_found = done;
    return log_reader_position(r) == end || seek_to(r, end, e);
}
