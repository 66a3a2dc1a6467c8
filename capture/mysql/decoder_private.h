/* What the files of the decoder share. */
#ifndef MILLRACE_CAPTURE_MYSQL_DECODER_PRIVATE_H
#define MILLRACE_CAPTURE_MYSQL_DECODER_PRIVATE_H

#include "base/map.h"
#include "capture/mysql/binlog_event.h"
#include "capture/mysql/binlog_gtid.h"
#include "capture/mysql/decoder.h"
#include "capture/mysql/row_plan.h"
#include "capture/mysql/xa_store.h"

/* One TABLE_MAP content. */
struct binding {
    struct bytes event_body; /* own copy */
    struct source_name name; /* in it */
    bool resolved;           /* the core was asked */
    bool wanted;
    struct row_plan *plan; /* when wanted */
    void *user;
};

/* A TABLE_MAP of the open statement. */
struct open_map {
    uint64_t id;
    struct binding *binding;
};

struct binlog_decoder {
    struct binlog_decoder_conf conf;
    struct source_sink *sink;
    struct binlog_format format;

    struct position position; /* after the last whole transaction */
    char file[256];
    uint64_t pos;       /* end of the last event */
    uint64_t event_pos; /* begin of the current one */
    uint64_t begin_pos; /* of the open transaction */

    bool in_txn;
    bool began;     /* ends with XID or COMMIT; else with its only statement */
    bool rows_seen; /* rows of it were handed over, or are held */
    bool resume;    /* the stream may still repeat what the position contains */
    bool skip;      /* the open transaction is such a one: nothing of it is told */
    struct xa_store *prepared;
    struct xa_held *xa;    /* between XA START and XA PREPARE: takes the rows */
    struct xa_held *ended; /* by the open transaction: dropped when it is whole */
    bool xa_changed;       /* what is held is not what the position says */
    struct binlog_gtid gtid;
    struct source_txn txn;
    char txn_id[TXN_ID_MAX];
    uint64_t first_row_pos;
    uint32_t thread;

    struct map bindings; /* by TABLE_MAP body behind id and flags */
    struct open_map *open;
    size_t open_count, open_cap;

    struct cell *before, *after; /* of one group */
    size_t cells_cap;
    struct arena scratch; /* of one event */
    struct buf inflated;  /* a payload, or compressed rows */
    unsigned depth;       /* 1 inside a payload */
};

/* decoder_tables.c */
MUST bool
decoder_table_map(struct binlog_decoder *d, struct bytes body, struct err *e);
/* The binding of a rows event, resolved; NULL: no such TABLE_MAP. */
MUST bool
decoder_binding(struct binlog_decoder *d, uint64_t id, struct binding **out, struct err *e);
/* Definitions of these tables may have changed: the sink is asked again. */
void
decoder_tables_altered(struct binlog_decoder *d, const struct source_ddl *ddl);
void
decoder_tables_forget(struct binlog_decoder *d, const struct source_name *name);
void
decoder_tables_clear(struct binlog_decoder *d);
MUST bool
decoder_table_failed(struct binlog_decoder *d, struct binding *b, const struct err *why,
                     struct err *e);

/* decoder_xa.c */
/* An XA transaction's rows begin. */
MUST bool
decoder_xa_start(struct binlog_decoder *d, const struct binlog_xid *id, struct err *e);
/* Keeps an event of its rows. */
MUST bool
decoder_xa_hold(struct binlog_decoder *d, const struct binlog_event *ev, struct err *e);
/* XA_PREPARE: the end of the transaction that holds the rows. */
MUST bool
decoder_xa_prepare(struct binlog_decoder *d, const struct binlog_event *ev, struct err *e);
MUST bool
decoder_xa_statement(struct binlog_decoder *d, struct bytes sql, struct err *e);
/* The open transaction is whole: what it ended is dropped, the oldest place noted. */
void
decoder_xa_settle(struct binlog_decoder *d);

/* decoder_rows.c */
MUST bool
decoder_rows(struct binlog_decoder *d, const struct binlog_event *ev, struct err *e);
/* MariaDB's compressed SQL and rows: header byte (low 3 bits: size of the length), length
 * big-endian, zlib data; into d->inflated. */
MUST bool
decoder_inflate(struct binlog_decoder *d, struct bytes in, struct err *e);

/* decoder_query.c */
MUST bool
decoder_query(struct binlog_decoder *d, const struct binlog_event *ev, struct err *e);

/* decoder.c */
MUST bool
decoder_txn_begin(struct binlog_decoder *d, const struct binlog_event *ev, struct err *e);
MUST bool
decoder_txn_end(struct binlog_decoder *d, struct err *e);

#endif
