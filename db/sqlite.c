/* SQLite: statements, and what its result codes mean. */
#include "db/sqlite.h"

#include <sqlite3.h>
#include <stdlib.h>

#include "base/mem.h"

#define ROWS_MAX 1000000

struct sqlite_conn {
    sqlite3 *db;
    char *path;
};

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

bool
sqlite_conn_open(const char *path, bool make, unsigned busy_ms, struct sqlite_conn **out,
                 struct err *e)
{
    int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | (make ? SQLITE_OPEN_CREATE : 0);
    struct sqlite_conn *c = mem_zalloc(sizeof(*c));
    c->path = mem_strdup(path);
    int rc = sqlite3_open_v2(path, &c->db, flags, NULL);
    bool ok = rc == SQLITE_OK || sqlite_failed(c, rc, e);
    if (ok) {
        sqlite3_extended_result_codes(c->db, 1);
        sqlite3_busy_timeout(c->db, (int)busy_ms);
        ok = sqlite_conn_run(c, "PRAGMA synchronous=FULL", NULL, 0, NULL, NULL, NULL, e);
    }
    if (ok)
        *out = c;
    else
        sqlite_conn_close(c);
    return ok;
}

void
sqlite_conn_close(struct sqlite_conn *c)
{
    if (!c)
        return;
    sqlite3_close(c->db);
    free(c->path);
    free(c);
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
step_all(struct sqlite_conn *c, sqlite3_stmt *s, struct arena *a, struct sqlite_rows *rows,
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

bool
sqlite_conn_run(struct sqlite_conn *c, const char *sql, const char *const *values, size_t n,
                struct arena *a, struct sqlite_rows *rows, unsigned *changed, struct err *e)
{
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

bool
sqlite_conn_begin(struct sqlite_conn *c, struct err *e)
{
    return sqlite_conn_run(c, "BEGIN IMMEDIATE", NULL, 0, NULL, NULL, NULL, e);
}

bool
sqlite_conn_commit(struct sqlite_conn *c, struct err *e)
{
    if (sqlite_conn_run(c, "COMMIT", NULL, 0, NULL, NULL, NULL, e))
        return true;
    int rc = sqlite3_errcode(c->db);
    sqlite_conn_rollback(c);
    /* An I/O error may have struck behind the moment that counts. */
    if (rc == SQLITE_BUSY || rc == SQLITE_FULL || rc == SQLITE_READONLY)
        return false;
    e->code = MR_CATALOG_UNKNOWN_OUTCOME;
    return err_reclass(e, err_info(e->code)->class);
}

void
sqlite_conn_rollback(struct sqlite_conn *c)
{
    struct err ignored;
    if (!sqlite3_get_autocommit(c->db))
        (void)!sqlite_conn_run(c, "ROLLBACK", NULL, 0, NULL, NULL, NULL, &ignored);
}
