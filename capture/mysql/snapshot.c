/* Snapshots of tables without a key: all rows as of one place in the log, known exactly (see
 * capture/keyless.h for what that is good for).
 *
 * MySQL has no such place of its own. So a second connection takes a read lock on the table
 * (LOCK TABLES: it waits until every transaction that changed the table is over, in the log and
 * in the engine, XA PREPARE included); under it the snapshot is opened, the end of the log read
 * and the SELECT begun; then the lock goes. What changes the table is before that end, and in
 * the snapshot, or behind it, and not. The lock lasts a few round trips; it is given up after
 * LOCK_WAIT_S, since writers queue up behind one that waits, and tried again later.
 * MariaDB's consistent snapshot tells its place (Binlog_snapshot_*); no lock.
 *
 * The SELECT reads to its end in one transaction on a connection of its own: meanwhile an ALTER
 * of the table waits at the source. Errors: MR_SOURCE_KEYLESS_LOCK without the right to lock.
 * Thread: the loader's, snapshot_stop any.
 */
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/thread.h"
#include "capture/mysql/source_private.h"

#define LOCK_WAIT_S     3
#define PAUSE_FIRST_MS  500
#define PAUSE_MAX_MS    30000
#define READ_TIMEOUT_S  300
#define LOCK_WAIT       1205
#define DEADLOCK        1213
#define TABLE_CHANGED   1412
#define DENIED_DATABASE 1044
#define DENIED_TABLE    1142

struct snapshot {
    struct mysql_conn *conn;
    struct chunk_reader *rows;
};

/* The connection may be interrupted by another thread until it is taken away here. */
static void
set_conn(struct source_loader *l, struct mysql_conn *c)
{
    pthread_mutex_lock(&l->snapshot_lock);
    l->snapshot->conn = c;
    if (c != NULL && atomic_load(&l->stopped))
        mysql_conn_interrupt(c);
    pthread_mutex_unlock(&l->snapshot_lock);
}

void
snapshot_stop(struct source_loader *l)
{
    pthread_mutex_lock(&l->snapshot_lock);
    atomic_store(&l->stopped, true);
    if (l->snapshot != NULL && l->snapshot->conn != NULL)
        mysql_conn_interrupt(l->snapshot->conn);
    pthread_mutex_unlock(&l->snapshot_lock);
}

/* Rows that were not read go with the connection. */
void
snapshot_close(struct source_loader *l)
{
    struct snapshot *s = l->snapshot;
    if (s == NULL)
        return;
    struct mysql_conn *c = s->conn;
    if (c != NULL)
        mysql_conn_interrupt(c);
    set_conn(l, NULL);
    chunk_reader_free(s->rows);
    mysql_conn_close(c);
    pthread_mutex_lock(&l->snapshot_lock);
    l->snapshot = NULL;
    pthread_mutex_unlock(&l->snapshot_lock);
    free(s);
}

MUST static bool
begin(struct source_loader *l, const struct table *t, struct err *e)
{
    struct snapshot *s = l->snapshot;
    return mysql_conn_execf(s->conn, e, "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ") &&
           mysql_conn_execf(s->conn, e, "START TRANSACTION WITH CONSISTENT SNAPSHOT") &&
           chunk_reader_whole(s->conn, t, &s->rows, e);
}

MUST static bool
lock(struct mysql_conn *c, const struct table *t, struct err *e)
{
    struct buf name = {0};
    mysql_quote_table(bytes_str(t->database), bytes_str(t->name), &name);
    bool ok = mysql_conn_execf(c, e, "SET SESSION lock_wait_timeout = %d", LOCK_WAIT_S) &&
              mysql_conn_execf(c, e, "LOCK TABLES %s READ", buf_cstr(&name));
    buf_free(&name);
    return ok;
}

/* *number: the server's, of what failed. */
MUST static bool
open_locked(struct source_loader *l, const struct table *t, struct position *at,
            unsigned *number, struct err *e)
{
    struct mysql_conn *c;
    if (!server_connect(l->source, READ_TIMEOUT_S, &c, e))
        return false;
    bool locked = lock(c, t, e);
    *number = locked ? 0 : mysql_conn_errno(c);
    bool ok = locked && begin(l, t, e);
    if (locked && !ok)
        *number = mysql_conn_errno(l->snapshot->conn);
    ok = ok && place_mark(l->source, c, SOURCE_MARK_HIGH, at, e);
    mysql_conn_close(c); /* and the lock */
    return ok;
}

/* The place is asked before the SELECT takes the connection. */
MUST static bool
open_placed(struct source_loader *l, const struct table *t, struct position *at,
            unsigned *number, struct err *e)
{
    struct snapshot *s = l->snapshot;
    bool ok = mysql_conn_execf(s->conn, e, "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ") &&
              mysql_conn_execf(s->conn, e, "START TRANSACTION WITH CONSISTENT SNAPSHOT") &&
              place_snapshot(l->source, s->conn, at, e);
    if (ok && !chunk_reader_whole(s->conn, t, &s->rows, e)) {
        position_free(at);
        ok = false;
    }
    *number = ok ? 0 : mysql_conn_errno(s->conn);
    return ok;
}

MUST static bool
open_once(struct source_loader *l, const struct table *t, struct position *at, unsigned *number,
          struct err *e)
{
    struct mysql_conn *c;
    *number = 0;
    snapshot_close(l);
    if (!server_connect(l->source, READ_TIMEOUT_S, &c, e))
        return false;
    struct snapshot *s = mem_zalloc(sizeof(*s));
    pthread_mutex_lock(&l->snapshot_lock);
    l->snapshot = s;
    pthread_mutex_unlock(&l->snapshot_lock);
    set_conn(l, c);
    bool ok = l->source->info.flavor == FLAVOR_MARIADB ? open_placed(l, t, at, number, e)
                                                       : open_locked(l, t, at, number, e);
    if (!ok)
        snapshot_close(l);
    return ok;
}

static bool
pause_ms(struct source_loader *l, uint64_t ms)
{
    uint64_t until = clock_mono_ms() + ms;
    while (clock_mono_ms() < until) {
        if (atomic_load(&l->stopped))
            return false;
        clock_sleep_ms(20);
    }
    return true;
}

bool
snapshot_open(struct source_loader *l, const struct table *t, struct position *at,
              struct err *e)
{
    unsigned number;
    for (uint64_t wait = PAUSE_FIRST_MS;; wait = wait < PAUSE_MAX_MS ? 2 * wait : wait) {
        if (open_once(l, t, at, &number, e))
            return true;
        if (number == DENIED_DATABASE || number == DENIED_TABLE)
            return err_set(e, MR_SOURCE_KEYLESS_LOCK, "%s.%s", t->database, t->name);
        bool busy = number == LOCK_WAIT || number == DEADLOCK || number == TABLE_CHANGED;
        if (!busy || !pause_ms(l, wait))
            return false;
        log_warn("snapshot_again", F_STR("db", t->database), F_STR("table", t->name), F_ERR(e));
        err_clear(e);
    }
}

bool
snapshot_chunk(struct source_loader *l, const struct source_chunk_request *q,
               struct source_chunk *out, struct err *e)
{
    if (l->snapshot == NULL)
        return err_set(e, MR_INTERNAL, "a chunk without a snapshot");
    bool ok = chunk_reader_next(l->snapshot->rows, q, out, e);
    if (!ok || out->last)
        snapshot_close(l);
    return ok;
}
