/* What the files of the MySQL source share. */
#ifndef MILLRACE_CAPTURE_MYSQL_SOURCE_PRIVATE_H
#define MILLRACE_CAPTURE_MYSQL_SOURCE_PRIVATE_H

#include <pthread.h>
#include <stdatomic.h>

#include "capture/mysql/charset.h"
#include "capture/mysql/decoder.h"
#include "capture/source.h"
#include "db/mysql.h"

/* The server's global variables that matter; "" = it has none of that name. */
struct server_variables {
    char log_bin[8];
    char binlog_format[16];
    char binlog_row_image[16];
    char binlog_row_metadata[16];
    char gtid_mode[24];
    char server_uuid[40];
    char server_id[24];
    char version_comment[64];
    char lower_case_table_names[8];
};

struct source {
    struct source_conf conf;
    struct source_info info;
    struct server_variables vars;
    struct mysql_conn
        *conn; /* the core thread's; NULL after an error: opened again when needed */
    struct collations collations;
    bool fold_names;      /* lower_case_table_names is 1 */
    atomic_bool use_gtid; /* positions are GTID sets: MySQL with gtid_mode exactly ON and a
                             position that has one */
    atomic_uint id_shift; /* reader ids that clashed so far */
};

/* server.c */
MUST bool
server_open(const struct source_conf *conf, struct source **out, struct err *e);
void
server_close(struct source *s);
/* A connection with our session settings; read_timeout_s 0 = default. */
MUST bool
server_connect(const struct source *s, unsigned read_timeout_s, struct mysql_conn **out,
               struct err *e);
/* The core thread's connection, opened again if it was lost. */
MUST bool
server_control(struct source *s, struct mysql_conn **out, struct err *e);
/* After a failed call on it: closed if the network failed. */
void
server_control_failed(struct source *s, const struct err *e);
MUST bool
server_list_tables(struct source *s,
                   bool (*each)(void *, const struct source_name *, struct err *), void *ctx,
                   struct err *e);

/* place.c: where the log is */
/* source_ops.mark. */
MUST bool
place_mark(const struct source *s, struct mysql_conn *c, enum source_mark kind,
           struct position *out, struct err *e);
/* The place of the consistent snapshot that c, of a MariaDB, has open. */
MUST bool
place_snapshot(const struct source *s, struct mysql_conn *c, struct position *out,
               struct err *e);
MUST bool
place_now(struct source *s, struct position *out, struct err *e);
/* MR_SOURCE_IDENTITY, MR_SOURCE_PURGED. *start: what to ask the server for. */
MUST bool
place_check(struct source *s, struct mysql_conn *c, const struct position *from,
            struct position *start, struct err *e);

/* Where the log ends: nothing is in it that was not before. */
MUST bool
place_end(struct mysql_conn *c, struct log_place *out, struct err *e);

/* stream.c */
MUST bool
stream_open(struct source *s, const struct position *from, struct source_stream **out,
            struct err *e);
/* A second stream beside the first, by file and position, under another reader id. The position
 * is not checked. */
MUST bool
stream_open_ahead(struct source *s, const struct position *from, struct source_stream **out,
                  struct err *e);
MUST bool
stream_read(struct source_stream *st, struct source_packet *out, struct err *e);
void
stream_stop(struct source_stream *st);
void
stream_close(struct source_stream *st);

/* loader.c, chunk.c */
struct chunk_reader;
struct snapshot;
struct source_loader {
    struct source *source;
    struct mysql_conn *conn;
    struct chunk_reader *chunks; /* the last statement, kept */
    pthread_mutex_t snapshot_lock;
    struct snapshot *snapshot; /* NULL: none is open */
    atomic_bool stopped;
};
MUST bool
loader_open(struct source *s, struct source_loader **out, struct err *e);
void
loader_stop(struct source_loader *l);
void
loader_close(struct source_loader *l);
MUST bool
loader_mark(struct source_loader *l, enum source_mark kind, struct position *out,
            struct err *e);
MUST bool
loader_estimate(struct source_loader *l, const struct table *t, struct source_estimate *out,
                struct err *e);
MUST bool
chunk_read(struct source_loader *l, const struct source_chunk_request *request,
           struct source_chunk *out, struct err *e);
void
chunk_reader_free(struct chunk_reader *r); /* NULL allowed */
/* Begins to read all rows of a table, in no order; the connection is its until the end. */
MUST bool
chunk_reader_whole(struct mysql_conn *c, const struct table *t, struct chunk_reader **out,
                   struct err *e);
MUST bool
chunk_reader_next(struct chunk_reader *r, const struct source_chunk_request *q,
                  struct source_chunk *out, struct err *e);

/* snapshot.c */
/* source_ops.snapshot. */
MUST bool
snapshot_open(struct source_loader *l, const struct table *t, struct position *at,
              struct err *e);
MUST bool
snapshot_chunk(struct source_loader *l, const struct source_chunk_request *q,
               struct source_chunk *out, struct err *e);
void
snapshot_stop(struct source_loader *l);
void
snapshot_close(struct source_loader *l);

#endif
