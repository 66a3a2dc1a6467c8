/* A control partition read as a log: to its end, then followed. Progress, tasks, status,
 * schemas, claims.
 *
 * Its own consumer and memory, so that row data can never delay it. read_committed by default.
 * log_reader_to_end takes the *high* watermark (read_uncommitted: an open transaction must not
 * hide newer records) and returns when the position has reached it, whatever the last offsets
 * are (markers, aborted records); an open transaction below it makes it wait, at most as long
 * as the broker lets the transaction live.
 *
 * Thread: one, the owner. Limit: 4 MiB + one fetch of memory.
 */
#ifndef MILLRACE_KAFKA_LOG_H
#define MILLRACE_KAFKA_LOG_H

#include "kafka/consumer.h"

struct log_reader;
struct stop;

struct log_conf {
    struct kafka_settings kafka;
    const char *topic;
    int32_t partition;
    enum kafka_isolation isolation;
    int64_t from; /* offset or KAFKA_OFFSET_BEGIN, _END, _TAIL(n); moved up to the oldest
                     retained */
    const struct stop *stop; /* waiting ends when asked, with ERR_RETRY; NULL: none */
    int timeout_ms;          /* of opening and of one log_reader_to_end */
};

/* Called for each record in offset order; false with *e filled ends the reading with that
 * error. */
typedef bool
log_record_fn(void *ctx, const struct consumer_message *m, struct err *e);

/* Waits for the broker, to resolve `from` (KAFKA_OFFSET_TAIL counts from the high watermark).
 * MR_KAFKA_TOPIC_GONE, ERR_RETRY. Strings are copied. */
MUST bool
log_reader_open(const struct log_conf *conf, struct log_reader **out, struct err *e);
void
log_reader_close(struct log_reader *r);

/* Every record up to the end as it was at the call. */
MUST bool
log_reader_to_end(struct log_reader *r, log_record_fn *fn, void *ctx, struct err *e);
/* Every record until the position is at least `offset` (one past the last wanted). */
MUST bool
log_reader_to_offset(struct log_reader *r, int64_t offset, log_record_fn *fn, void *ctx,
                     struct err *e);
/* What is there; waits up to timeout_ms for the first. *n (may be NULL): records handed out. */
MUST bool
log_reader_poll(struct log_reader *r, int timeout_ms, log_record_fn *fn, void *ctx, size_t *n,
                struct err *e);
/* Goes on at offset (number or KAFKA_OFFSET_*, as in log_conf.from). */
MUST bool
log_reader_seek(struct log_reader *r, int64_t offset, struct err *e);
/* The next offset to read: see consumer_position. */
int64_t
log_reader_position(const struct log_reader *r);
/* The first offset there was when it was opened or last sought. */
int64_t
log_reader_low(const struct log_reader *r);
/* The high watermark now. */
MUST bool
log_reader_end(struct log_reader *r, int64_t *end, struct err *e);
/* Readable when records wait; log_reader_poll clears it. */
int
log_reader_fd(const struct log_reader *r);

/* Said after each window: true = found, stop. */
typedef bool
log_found_fn(void *ctx);

/* Newest first, without reading from the beginning: reads [end - step, end) forward through fn,
 * asks found; then the window before it (four times as large, and so on) until found or the
 * oldest record. Windows do not overlap, and each is read in offset order; ctx can tell a new
 * window by an offset that is lower. Leaves the position at the end it took: log_reader_poll
 * follows from there. *was_found may be NULL. */
MUST bool
log_reader_scan_back(struct log_reader *r, int64_t step, log_record_fn *fn, log_found_fn *found,
                     void *ctx, bool *was_found, struct err *e);

#endif
