/* SQLite: statements, and what its result codes mean. */
#include "db/sqlite.h"

#include <sqlite3.h>
#include <stdlib.h>

#include "base/mem.h"

#define ROWS_MAX 1000000

struct sqlite_conn {
    struct sql_conn base;
    sqlite3 *db;
    char *path;
};

static struct sqlite_conn *
sqlite_of(struct sql_conn *c)
{
    return (struct sqlite_conn *)c;
}

static enum err_code
code_of(int rc)
{
    switch (rc & 0xff) {
    case SQLITE_CANTOPEN:
        return MR_CATALOG_UNREACHABLE;
    case SQLITE_PERM:
    case SQLITE_READONLY:
    case SQLITE_AUTH:
        return MR_CATALOG_REFUSED;
    case SQLITE_FULL:
        return MR_STORAGE_FULL;
    case SQLITE_CONSTRAINT:
        return MR_CATALOG_EXISTS;
    case SQLITE_NOTADB:
    case SQLITE_CORRUPT:
        return MR_CATALOG_INVALID;
    default:
        return MR_CATALOG_ERROR;
    }
}

static bool
sqlite_failed(const struct sqlite_conn *c, int rc, struct err *e)
{
    return err_set(e, code_of(rc), "%s: %s", c->path,
                   c->db ? sqlite3_errmsg(c->db) : sqlite3_errstr(rc));
}

static void
take_row(sqlite3_stmt *s, unsigned columns, struct arena *a, struct buf *cells)
{
    for (unsigned i = 0; i < columns; i++) {
        const unsigned char *text = sqlite3_column_text(s, (int)i);
        const char *copy = text ? arena_strdup(a, (const char *)text) : NULL;
        buf_add(cells, &copy, sizeof(copy));
    }
}

static bool
step_all(struct sqlite_conn *c, sqlite3_stmt *s, struct arena *a, struct sql_rows *rows,
         struct err *e)
{
    struct buf cells = {0};
    unsigned columns = (unsigned)sqlite3_column_count(s);
    size_t n = 0;
    int rc;
    while ((rc = sqlite3_step(s)) == SQLITE_ROW && n < ROWS_MAX)
        if (rows) {
            take_row(s, columns, a, &cells);
            n++;
        }
    bool ok = rc == SQLITE_DONE || sqlite_failed(c, rc, e);
    if (ok && rows) {
        rows->cells = (const char **)(uintptr_t)arena_copy(a, buf_bytes(&cells)).p;
        rows->rows = n;
        rows->columns = columns;
    }
    buf_free(&cells);
    return ok;
}

static bool
sqlite_run(struct sql_conn *base, const char *sql, const char *const *values, size_t n,
           struct arena *a, struct sql_rows *rows, unsigned *changed, struct err *e)
{
    struct sqlite_conn *c = sqlite_of(base);
    sqlite3_stmt *s = NULL;
    int rc = sqlite3_prepare_v2(c->db, sql, -1, &s, NULL);
    for (size_t i = 0; rc == SQLITE_OK && i < n; i++)
        rc = values[i] ? sqlite3_bind_text(s, (int)i + 1, values[i], -1, SQLITE_STATIC)
                       : sqlite3_bind_null(s, (int)i + 1);
    bool ok = rc == SQLITE_OK ? step_all(c, s, a, rows, e) : sqlite_failed(c, rc, e);
    if (ok && changed)
        *changed = (unsigned)sqlite3_changes(c->db);
    sqlite3_finalize(s);
    return ok;
}

static bool
sqlite_begin(struct sql_conn *c, struct err *e)
{
    return sqlite_run(c, "BEGIN IMMEDIATE", NULL, 0, NULL, NULL, NULL, e);
}

static void
sqlite_rollback(struct sql_conn *c)
{
    struct err ignored;
    if (!sqlite3_get_autocommit(sqlite_of(c)->db))
        (void)!sqlite_run(c, "ROLLBACK", NULL, 0, NULL, NULL, NULL, &ignored);
}

static bool
sqlite_commit(struct sql_conn *c, struct err *e)
{
    if (sqlite_run(c, "COMMIT", NULL, 0, NULL, NULL, NULL, e))
        return true;
    int rc = sqlite3_errcode(sqlite_of(c)->db);
    sqlite_rollback(c);
    /* An I/O error may have struck behind the moment that counts. */
    if (rc == SQLITE_BUSY || rc == SQLITE_FULL || rc == SQLITE_READONLY)
        return false;
    e->code = MR_CATALOG_UNKNOWN_OUTCOME;
    return err_reclass(e, err_info(e->code)->class);
}

static void
sqlite_close(struct sql_conn *base)
{
    struct sqlite_conn *c = sqlite_of(base);
    sqlite3_close(c->db);
    free(c->path);
    free(c);
}

static const struct sql_ops sqlite_ops = {
    .table_tail = "",
    .run = sqlite_run,
    .begin = sqlite_begin,
    .commit = sqlite_commit,
    .rollback = sqlite_rollback,
    .close = sqlite_close,
};

bool
sqlite_conn_open(const char *path, bool make, unsigned busy_ms, struct sql_conn **out,
                 struct err *e)
{
    int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | (make ? SQLITE_OPEN_CREATE : 0);
    struct sqlite_conn *c = mem_zalloc(sizeof(*c));
    c->base.ops = &sqlite_ops;
    c->path = mem_strdup(path);
    int rc = sqlite3_open_v2(path, &c->db, flags, NULL);
    bool ok = rc == SQLITE_OK || sqlite_failed(c, rc, e);
    if (ok) {
        sqlite3_extended_result_codes(c->db, 1);
        sqlite3_busy_timeout(c->db, (int)busy_ms);
        ok = sqlite_run(&c->base, "PRAGMA synchronous=FULL", NULL, 0, NULL, NULL, NULL, e);
    }
    if (ok)
        *out = &c->base;
    else
        sqlite_close(&c->base);
    return ok;
}
