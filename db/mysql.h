/* One connection to a MySQL-protocol server: connect, TLS, login, queries, error classes. The
 * only user of libmariadb's headers, together with db/mysql_*.c.
 *
 * URI: mysql://user:password@host:port?tls=off|on|verify&ca=FILE (password resolved, see
 * base/secret.h). tls=on encrypts without checking who answers; verify checks the certificate
 * and the host name. Session: utf8mb4, one statement per call, never reconnects by itself:
 * after a network error the connection is useless. Errors: MR_SOURCE_*, MR_TARGET_* or
 * MR_CATALOG_* by mysql_options.side, class by the server's error number (mysql_errors.c).
 * Owner: who opened it. Thread: one at a time, but mysql_conn_interrupt from any.
 */
#ifndef MILLRACE_DB_MYSQL_H
#define MILLRACE_DB_MYSQL_H

#include "base/arena.h"
#include "base/uri.h"

enum mysql_side { MYSQL_SOURCE, MYSQL_TARGET, MYSQL_CATALOG };

struct mysql_options {
    enum mysql_side side;
    bool local_infile;          /* mysql_conn_load is wanted */
    bool found_rows;            /* affected rows of UPDATE: matched instead of changed */
    unsigned connect_timeout_s; /* 0 = 10 */
    unsigned read_timeout_s;    /* 0 = 60; the longest silence of the server */
    unsigned write_timeout_s;   /* 0 = 60 */
};

enum mysql_flavor {
    MYSQL_FLAVOR_MYSQL,
    MYSQL_FLAVOR_MARIADB,
    MYSQL_FLAVOR_TIDB,
    MYSQL_FLAVOR_MATRIXONE
};

struct mysql_server {
    enum mysql_flavor flavor;
    unsigned version;   /* 80031, 90704, 101119 */
    const char *text;   /* as the server says it */
    uint64_t thread_id; /* of this connection, as in KILL */
    const char *cipher; /* NULL: not encrypted */
};

struct mysql_conn;

MUST bool
mysql_conn_open(const struct uri *u, const struct mysql_options *o, struct mysql_conn **out,
                struct err *e);
void
mysql_conn_close(struct mysql_conn *c); /* NULL allowed */
const struct mysql_server *
mysql_conn_server(const struct mysql_conn *c);
/* From any thread: a waiting call fails at once, and so does every later one. */
void
mysql_conn_interrupt(struct mysql_conn *c);
/* The server's or client's number of the last error, 0 = none. */
unsigned
mysql_conn_errno(const struct mysql_conn *c);

/* What a statement without rows did. */
struct mysql_done {
    uint64_t affected;
    uint64_t insert_id;
    unsigned warnings;
};

/* A statement; rows it gives are dropped. done NULL: not wanted. */
MUST bool
mysql_conn_exec(struct mysql_conn *c, struct bytes sql, struct mysql_done *done, struct err *e);
MUST bool
mysql_conn_execf(struct mysql_conn *c, struct err *e, const char *fmt, ...) PRINTF_LIKE(3, 4);
/* COMMIT. A lost connection leaves the outcome unknown: class ERR_UNKNOWN (target:
 * MR_TARGET_UNKNOWN_OUTCOME). */
MUST bool
mysql_conn_commit(struct mysql_conn *c, struct err *e);

/* All rows of a query, as text: cells[row * columns + column], NULL value: p == NULL. In the
 * arena. */
struct mysql_rows {
    const struct bytes *cells;
    size_t rows;
    unsigned columns;
};

MUST bool
mysql_conn_select(struct mysql_conn *c, struct bytes sql, struct arena *a,
                  struct mysql_rows *out, struct err *e);
MUST bool
mysql_conn_selectf(struct mysql_conn *c, struct arena *a, struct mysql_rows *out, struct err *e,
                   const char *fmt, ...) PRINTF_LIKE(5, 6);
/* Row by row, without keeping them: each() gets `columns` cells, valid during the call; false +
 * *e stops. */
typedef bool
mysql_row_fn(void *ctx, const struct bytes *cells, unsigned columns, struct err *e);
MUST bool
mysql_conn_each(struct mysql_conn *c, struct bytes sql, mysql_row_fn *each, void *ctx,
                struct err *e);

/* LOAD DATA LOCAL INFILE '...': `data` is what the server reads as that file, whatever its
 * name. */
MUST bool
mysql_conn_load(struct mysql_conn *c, struct bytes sql, struct bytes data,
                struct mysql_done *done, struct err *e);

/* The one quoting of identifiers: `a``b`. */
void
mysql_quote_name(struct bytes name, struct buf *out);
/* `db`.`table` */
void
mysql_quote_table(struct bytes database, struct bytes table, struct buf *out);
/* Text literal 'a\'b' of UTF-8 (needs an sql_mode without NO_BACKSLASH_ESCAPES). */
void
mysql_quote_text(struct bytes text, struct buf *out);
/* Binary literal x'00ff'. */
void
mysql_quote_hex(struct bytes b, struct buf *out);

#endif
