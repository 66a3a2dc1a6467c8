/* A source: the one static table of functions the capture core knows a database by.
 *
 * Objects and threads. `source`: identity, discovery, definitions; used by the core thread, as
 * is its decoder. `source_stream`: the raw change stream; used by one reader thread
 * (stream_stop by any). `source_decoder`: packets -> sink callbacks; no I/O but for looking up
 * a table definition that the log does not carry. `source_loader`: one connection of a loader
 * thread: marks and chunks (loader_stop by any).
 *
 * Life: open -> position_now or a kept position -> decoder_new + stream_open (both at that
 * position) -> the reader thread copies packets into blocks, in order -> the core thread calls
 * decode per packet. After an error of stream or decoder both are freed and opened anew at the
 * last published position; a transaction partly published comes again whole (position.partial
 * tells the core how many rows of it to drop).
 *
 * Memory: cells handed to the sink and their bytes are valid in the callback only; what must be
 * made for them is made in sink->arena, which the decoder resets. Limit: one packet can be
 * 1 GiB; rows of one event are handed over in groups of at most SOURCE_GROUP_ROWS.
 */
#ifndef MILLRACE_CAPTURE_SOURCE_H
#define MILLRACE_CAPTURE_SOURCE_H

#include "base/uri.h"
#include "capture/source_ddl.h"
#include "schema/change.h"
#include "schema/position.h"

struct source;
struct source_stream;
struct source_decoder;
struct source_loader;

#define SOURCE_GROUP_ROWS 1024

struct source_conf {
    const struct uri *uri; /* password resolved; must outlive the source */
    const char *task;      /* id; it and the source's number in it make a stable reader id */
    unsigned number;
    const struct stop *stop; /* ends long waits; NULL: none */
    uint32_t server_id;      /* reader id to use at the source; 0 = chosen */
    bool verify_checksum;    /* of every event */
    const char *scratch; /* folder for what does not fit in memory; must outlive the source */
};

struct source_info {
    char identity[40];     /* as position.server */
    char version[64];      /* "MySQL 9.7.4" */
    const char *connector; /* envelope's source.connector: "mysql" or "mariadb" */
    enum source_flavor flavor;
    enum position_kind kind;
    bool gtid; /* positions carry a GTID set */
};

/* One source transaction. Every one is reported, also without selected rows. The id: GTID, or
 * "file:pos" of its begin; < TXN_ID_MAX bytes. id and file are valid until txn_end returns. */
struct source_txn {
    struct bytes id;
    const char *file; /* where it begins in the log */
    uint64_t pos;
    uint64_t commit_us;
    uint32_t server_id;
};

/* Rows of one event and one table version: `count` rows of table->column_count cells each, row
 * after row. */
struct source_rows {
    struct table *table; /* borrowed: table_ref to keep */
    void *user;          /* what the sink's `table` or `table_version` gave */
    enum change_op op;
    uint32_t count;
    const struct cell *before;   /* NULL for OP_CREATE */
    const struct cell *after;    /* NULL for OP_DELETE */
    struct change_source source; /* of the first; the others: row + i. file, gtid: borrowed */
};

/* What the core knows of a table the log mentions. */
struct source_known {
    bool wanted;         /* false: its rows are skipped unseen */
    struct table *table; /* newest version the core has, borrowed; NULL = none yet */
    bool unproved;       /* which may not be the one of the rows that come */
    void *user;
};

/* As it is now: sealed, version 0, fingerprint 0; NULL: no such table. proved: so it is (or is
 * not) where the decoder stands, too; else why not. */
struct source_definition {
    struct table *table; /* own reference */
    bool proved;
    char why[240];
};

/* Callbacks of the core, all in the thread that calls decode. False + *e ends the decoding at
 * once with that error. Order: txn_begin, { table/table_version, rows | truncate | ddl }*,
 * txn_end. A DDL comes before the core is asked for its tables again: it is for the core to
 * describe them, and to say `unproved` as long as that gave no proof. */
struct source_sink {
    void *ctx;
    struct arena *arena;
    bool (*txn_begin)(void *ctx, const struct source_txn *txn, struct err *e);
    /* Asked when the log mentions a table for the first time, and after each DDL on it. */
    bool (*table)(void *ctx, const struct source_name *name, struct source_known *out,
                  struct err *e);
    /* This is the definition of the rows that come; `table` gave another, or was not sure.
     * Takes the reference t; sets t->version before sharing it; *user is what rows carry from
     * now. */
    bool (*table_version)(void *ctx, struct table *t, void **user, struct err *e);
    /* Rows of an unproved table were skipped. */
    bool (*gap)(void *ctx, const struct source_name *name, void *user, struct err *e);
    bool (*rows)(void *ctx, const struct source_rows *rows, struct err *e);
    bool (*truncate)(void *ctx, const struct source_name *name, struct bytes sql,
                     struct err *e);
    bool (*ddl)(void *ctx, const struct source_ddl *ddl, struct err *e);
    /* The transaction is whole: decoder_position now contains it. */
    bool (*txn_end)(void *ctx, const struct source_txn *txn, struct err *e);
    /* The source had nothing more to send at this moment. Never inside a transaction. */
    bool (*heartbeat)(void *ctx, struct err *e);
    /* This table cannot go on (ERR_TABLE): its rows are skipped until decoder_forget. */
    bool (*table_error)(void *ctx, const struct source_name *name, void *user,
                        const struct err *why, struct err *e);
    /* Rows of the open transaction lie before the first position: any row may have changed. */
    bool (*rows_missed)(void *ctx, struct bytes sql, struct err *e);
};

struct source_packet {
    struct bytes data; /* valid until the next stream_read; never empty */
    bool more; /* further data is already here: read on before passing the block along */
};

/* A table without a key: the next rows of the snapshot that is open, after and upto NULL. At
 * most rows_max rows with key > after and <= upto in key order; a key: key_count cells. */
struct source_chunk_request {
    const struct table *table;
    const struct cell *after; /* NULL: from the first row */
    const struct cell *upto;  /* NULL: to the last row */
    uint32_t rows_max;
    size_t bytes_max;    /* of row data; at least one row is given */
    struct arena *arena; /* cells and bytes of the rows */
};

struct source_chunk {
    const struct cell *rows; /* count * column_count */
    uint32_t count;
    bool last;        /* nothing is left in (after, upto] */
    uint64_t read_us; /* wall clock of the read */
    uint64_t bytes;
};

struct source_estimate {
    uint64_t rows; /* the server's guess */
    uint64_t bytes;
};

enum source_mark { SOURCE_MARK_LOW, SOURCE_MARK_HIGH };

struct source_ops {
    const char *schemes; /* URI schemes, space separated */

    /* Connects, learns the identity, checks what must be right (MR_SOURCE_*), logs what only
     * should. */
    bool (*open)(const struct source_conf *conf, struct source **out, struct err *e);
    /* NULL allowed; streams, decoders and loaders are closed before. */
    void (*close)(struct source *s);
    const struct source_info *(*info)(const struct source *s);
    /* Where the source's log ends now. *out is initialised by the callee. */
    bool (*position_now)(struct source *s, struct position *out, struct err *e);
    /* Calls back for each base table the account sees but the system's own, by name. */
    bool (*list_tables)(struct source *s,
                        bool (*each)(void *ctx, const struct source_name *name, struct err *e),
                        void *ctx, struct err *e);
    /* Definition as it is now, and whether it is the one where d stands. d NULL: not proved. */
    bool (*describe)(struct source *s, struct source_decoder *d, const struct source_name *name,
                     struct source_definition *out, struct err *e);

    /* Checks identity (MR_SOURCE_IDENTITY) and that nothing after `from` is purged
     * (MR_SOURCE_PURGED), then asks for the stream. conf.server_id 0: another id is tried after
     * a clash. */
    bool (*stream_open)(struct source *s, const struct position *from,
                        struct source_stream **out, struct err *e);
    /* Waits for the next packet; heartbeats make it return about once a second. */
    bool (*stream_read)(struct source_stream *st, struct source_packet *out, struct err *e);
    /* From any thread: a waiting read fails at once. */
    void (*stream_stop)(struct source_stream *st);
    void (*stream_close)(struct source_stream *st); /* after the reader thread ended */

    bool (*decoder_new)(struct source *s, const struct position *from, struct source_sink *sink,
                        struct source_decoder **out, struct err *e);
    void (*decoder_free)(struct source_decoder *d);
    bool (*decode)(struct source_decoder *d, struct bytes packet, struct err *e);
    /* After the last whole transaction, xa included; partial is left empty. Borrowed: changes
     * with the next decode. */
    const struct position *(*decoder_position)(const struct source_decoder *d);
    /* Ask `table` again when the log next mentions this table (NULL: every table). */
    void (*decoder_forget)(struct source_decoder *d, const struct source_name *name);

    /* By the core thread. */
    bool (*loader_open)(struct source *s, struct source_loader **out, struct err *e);
    void (*loader_stop)(struct source_loader *l); /* as stream_stop */
    void (*loader_close)(struct source_loader *l);
    /* LOW: every transaction inside it is visible to every read started after its return. HIGH:
     * every transaction a read that ended before the call could see is inside it. (They differ:
     * MySQL shows rows a moment before it adds their GTID to gtid_executed.) Comparable by
     * position_covers with the stream's positions. */
    bool (*mark)(struct source_loader *l, enum source_mark kind, struct position *out,
                 struct err *e);
    /* Cells are those the stream gives for the same row, byte for byte. MR_SOURCE_TABLE_SCHEMA
     * (class RETRY): the definition no longer fits request->table; a chunk that was begun with
     * another version than the stream's at its high mark must be dropped and read again. */
    bool (*chunk)(struct source_loader *l, const struct source_chunk_request *request,
                  struct source_chunk *out, struct err *e);
    /* Opens a consistent snapshot for the chunks of a table without a key; one that was open is
     * given up. *at (initialised by the callee): a transaction that changes the table is in the
     * snapshot if and only if it begins before `at` in the log. No other call but chunk of this
     * table, or another snapshot, until its last chunk. */
    bool (*snapshot)(struct source_loader *l, const struct table *t, struct position *at,
                     struct err *e);
    void (*snapshot_end)(struct source_loader *l); /* its rest is not wanted */
    bool (*estimate)(struct source_loader *l, const struct table *t,
                     struct source_estimate *out, struct err *e);
    /* txn_id: source_txn.id; the mark: LOW. */
    bool (*mark_covers_txn)(const struct position *mark, struct bytes txn_id);
};

extern const struct source_ops source_mysql;

/* A sink that wants no table, does nothing, and fails on a table's error: for those who
 * override what they want to hear. */
void
source_sink_quiet(struct source_sink *out, void *ctx, struct arena *arena);

const struct source_ops *
source_find(const char *scheme); /* of a URI; NULL: none */

#endif
