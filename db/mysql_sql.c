/* Statements of db/sql.h for MySQL: values become literals of the text. */
#include "db/mysql_sql.h"

#include <ctype.h>
#include <stdlib.h>

#include "base/mem.h"
#include "db/mysql.h"

struct mysql_sql {
    struct sql_conn base;
    struct mysql_conn *conn;
};

static struct mysql_conn *
conn_of(struct sql_conn *c)
{
    return ((struct mysql_sql *)c)->conn;
}

void
mysql_sql_text(const char *sql, const char *const *values, size_t n, struct buf *out)
{
    for (const char *p = sql; *p; p++) {
        size_t i = *p == '?' && isdigit((unsigned char)p[1]) ? (size_t)(p[1] - '1') : n;
        if (i >= n) {
            buf_add_byte(out, (uint8_t)*p);
            continue;
        }
        if (values[i])
            mysql_quote_text(bytes_str(values[i]), out);
        else
            buf_add_str(out, "NULL");
        p++;
    }
}

static void
take_rows(const struct mysql_rows *from, struct arena *a, struct sql_rows *rows)
{
    size_t n = from->rows * from->columns;
    rows->cells = arena_zalloc(a, (n + 1) * sizeof(*rows->cells));
    for (size_t i = 0; i < n; i++)
        if (from->cells[i].p)
            rows->cells[i] = arena_strn(a, from->cells[i]);
    rows->rows = from->rows;
    rows->columns = from->columns;
}

static bool
sql_mysql_run(struct sql_conn *c, const char *sql, const char *const *values, size_t n,
              struct arena *a, struct sql_rows *rows, unsigned *changed, struct err *e)
{
    struct buf text = {0};
    struct mysql_rows got = {0};
    struct mysql_done done = {0};
    mysql_sql_text(sql, values, n, &text);
    bool ok = !text.failed || err_set(e, MR_NO_MEMORY, "a statement above its limit");
    if (ok)
        ok = rows ? mysql_conn_select(conn_of(c), buf_bytes(&text), a, &got, e)
                  : mysql_conn_exec(conn_of(c), buf_bytes(&text), &done, e);
    if (ok && rows)
        take_rows(&got, a, rows);
    if (ok && changed)
        *changed = (unsigned)done.affected;
    buf_free(&text);
    return ok;
}

static bool
sql_mysql_begin(struct sql_conn *c, struct err *e)
{
    return mysql_conn_exec(conn_of(c), BYTES_LIT("START TRANSACTION"), NULL, e);
}

static bool
sql_mysql_commit(struct sql_conn *c, struct err *e)
{
    return mysql_conn_commit(conn_of(c), e);
}

static void
sql_mysql_rollback(struct sql_conn *c)
{
    struct err ignored;
    (void)!mysql_conn_exec(conn_of(c), BYTES_LIT("ROLLBACK"), NULL, &ignored);
}

static void
sql_mysql_close(struct sql_conn *c)
{
    mysql_conn_close(conn_of(c));
    free(c);
}

static const struct sql_ops mysql_ops = {
    .table_tail = " ENGINE=InnoDB DEFAULT CHARACTER SET utf8mb4 COLLATE utf8mb4_bin",
    .run = sql_mysql_run,
    .begin = sql_mysql_begin,
    .commit = sql_mysql_commit,
    .rollback = sql_mysql_rollback,
    .close = sql_mysql_close,
};

/* The session: literals mean what mysql_quote_text says, nothing is cut short; a process that
 * stands still within a transaction loses it, and with it its locks. */
static bool
prepare(struct mysql_conn *c, const struct uri *u, struct err *e)
{
    struct buf use = {0};
    buf_add_str(&use, "USE ");
    mysql_quote_name(bytes_str(*u->path ? u->path + 1 : ""), &use);
    bool ok = mysql_conn_exec(c, buf_bytes(&use), NULL, e) &&
              mysql_conn_execf(c, e,
                               "SET SESSION sql_mode = 'STRICT_ALL_TABLES', autocommit = 1, "
                               "innodb_lock_wait_timeout = 10, wait_timeout = 15") &&
              mysql_conn_execf(c, e, "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED");
    buf_free(&use);
    return ok;
}

bool
mysql_sql_open(const struct uri *u, struct sql_conn **out, struct err *e)
{
    static const struct mysql_options options = {.side = MYSQL_CATALOG};
    struct mysql_conn *conn;
    if (!mysql_conn_open(u, &options, &conn, e))
        return false;
    if (!prepare(conn, u, e)) {
        mysql_conn_close(conn);
        return false;
    }
    struct mysql_sql *c = mem_zalloc(sizeof(*c));
    c->base.ops = &mysql_ops;
    c->conn = conn;
    *out = &c->base;
    return true;
}
