/* The decoder of a binary log stream: events in, sink callbacks out.
 *
 * State: the format of the current file, file and position (64 bits: event lengths are summed,
 * because headers have 32 bits and MariaDB 11.8 leaves them 0 inside transactions), the open
 * transaction, the TABLE_MAPs of the open statement, and per TABLE_MAP content a binding: what
 * the core wants of the table, its definition and the decode plan. No I/O but definition
 * lookups.
 *
 * Durable: nothing. `position` moves only when a transaction is whole; a process that dies
 * anywhere starts again from the position the core has published, and sees the same events
 * again. XA transactions: decoder_xa.c. Not understood (stops with MR_SOURCE_EVENT): INCIDENT,
 * unknown types without the ignorable flag. Changes logged as statements: MR_SOURCE_STATEMENT.
 * Owner and thread: the core's. Limit: event 1 GiB, uncompressed payload 2 GiB, 4096 bindings.
 */
#ifndef MILLRACE_CAPTURE_MYSQL_DECODER_H
#define MILLRACE_CAPTURE_MYSQL_DECODER_H

#include "capture/mysql/definition.h"
#include "capture/source.h"

/* Where definitions come from when the log does not say enough; prove: that it holds where the
 * decoder stands (fence_define). */
typedef bool
binlog_lookup_fn(void *ctx, const struct source_name *name, bool prove, struct definition *out,
                 struct err *e);

/* The end of an event. */
struct log_place {
    char file[256];
    uint64_t pos;
};

struct binlog_decoder_conf {
    enum source_flavor flavor;
    const struct collations *collations;
    bool verify_checksum;
    bool use_gtid;            /* transactions are named by GTID; else "file:pos" */
    bool fold_names;          /* the server does not tell t from T */
    const char *scratch;      /* folder for what does not fit in memory; stays */
    binlog_lookup_fn *lookup; /* NULL: the sink wants no table */
    void *lookup_ctx;
};

struct binlog_decoder;

/* The conf is copied, what it points to and the sink stay. The stream may begin anywhere before
 * `from` in the same log: what `from` contains is skipped; where it names a prepared XA
 * transaction, the stream must begin there or before. */
struct binlog_decoder *
binlog_decoder_new(const struct binlog_decoder_conf *conf, const struct position *from,
                   struct source_sink *sink);
void
binlog_decoder_free(struct binlog_decoder *d); /* NULL allowed */
MUST bool
binlog_decoder_feed(struct binlog_decoder *d, struct bytes event, struct err *e);
const struct position *
binlog_decoder_position(const struct binlog_decoder *d);
/* The end of the event being decoded, or of the last one. */
void
binlog_decoder_place(const struct binlog_decoder *d, struct log_place *out);
void
binlog_decoder_forget(struct binlog_decoder *d, const struct source_name *name);

#endif
