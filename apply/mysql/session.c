/* A lane's connection: session rules, the locked read that begins every target transaction, the
 * update that ends it.
 *
 * Session: READ COMMITTED, autocommit off, foreign_key_checks 0, time_zone +00:00, strict
 * sql_mode, utf8mb4. It holds the named lock "mr/<task>/<connection id>" (target.c), and its id
 * stands in the rows it speaks for, written only while they belong to our owner number.
 *
 * A transaction: SELECT ... FOR UPDATE of its checkpoint rows, compared with the base; the
 * rows; UPDATE of those checkpoint rows (commits + 1, so that it always changes something);
 * COMMIT. Death between any two lines before COMMIT leaves the server to roll back; after it
 * everything is there. A COMMIT whose answer did not come is decided by the next locked read,
 * which waits until the old connection, ended first, has let go.
 *
 * Failpoints: apply.begin.before, apply.begin.after, apply.checkpoint.before,
 * apply.batch.before_commit, apply.batch.after_commit. Thread: the lane's; session_interrupt
 * any.
 */
#include "apply/mysql/target.h"

#include <inttypes.h>
#include <stdlib.h>

#include "base/fault.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/thread.h"

static const char strict_mode[] =
    "SET SESSION sql_mode = 'STRICT_ALL_TABLES," TARGET_SQL_MODE "'";

static const char *const session_rules[] = {
    "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED",
    "SET SESSION foreign_key_checks = 0, time_zone = '+00:00', max_error_count = 65535, "
    "wait_timeout = 86400",
    strict_mode,
};

static void
drop_connection(struct sink_lane *l)
{
    thread_lock(&l->lock);
    struct mysql_conn *c = l->conn;
    l->conn = NULL;
    thread_unlock(&l->lock);
    if (c) {
        l->lost_id = l->conn_id;
        mysql_conn_close(c);
    }
}

/* An error of a statement: a broken connection is not used again. */
MUST static bool
failed(struct sink_lane *l, struct err *e)
{
    if (e->code == MR_TARGET_UNREACHABLE || e->class == ERR_UNKNOWN)
        drop_connection(l);
    return false;
}

static void
add_names(struct sink_lane *l, struct buf *sql)
{
    buf_add_str(sql, " AND target IN (");
    for (size_t i = 0; i < l->names_len; i++) {
        if (i)
            buf_add_byte(sql, ',');
        mysql_quote_hex(bytes_str(l->names[i]), sql);
    }
    buf_add_byte(sql, ')');
}

/* Writes our connection id into the rows we speak for: only while they are ours. */
MUST static bool
sign_rows(struct sink_lane *l, struct mysql_conn *c, struct err *e)
{
    if (!l->names_len)
        return true;
    struct sink *s = l->sink;
    buf_reset(&l->sql);
    buf_addf(&l->sql, "UPDATE %s SET conn_id = %" PRIu64, s->table, l->conn_id);
    target_where_task(s, &l->sql);
    buf_addf(&l->sql, " AND owner = %" PRIu64 " AND instance = %" PRIu64, s->owner,
             s->conf.instance);
    add_names(l, &l->sql);
    struct mysql_done done;
    if (!mysql_conn_exec(c, buf_bytes(&l->sql), &done, e) || !mysql_conn_commit(c, e))
        return false;
    if (done.affected != l->names_len)
        return err_set(e, MR_TARGET_TAKEN, "%" PRIu64 " of %zu checkpoint rows are still ours",
                       done.affected, l->names_len);
    return true;
}

MUST static bool
apply_rules(struct sink_lane *l, struct mysql_conn *c, struct err *e)
{
    const struct mysql_server *v = mysql_conn_server(c);
    for (size_t i = 0; i < ARRAY_LEN(session_rules); i++)
        if (!mysql_conn_execf(c, e, "%s", session_rules[i]))
            return false;
    /* long lists of keys must stay index lookups */
    if (v->flavor == MYSQL_FLAVOR_MYSQL && v->version >= 50709 &&
        !mysql_conn_execf(c, e, "SET SESSION range_optimizer_max_mem_size = 0"))
        return false;
    return mysql_conn_execf(c, e, "SELECT GET_LOCK('mr/%s/%" PRIu64 "', 0)", l->sink->task,
                            v->thread_id) &&
           mysql_conn_execf(c, e, "SET SESSION autocommit = 0");
}

bool
session_ready(struct sink_lane *l, struct err *e)
{
    if (l->conn)
        return true;
    if (l->interrupted)
        return err_set(e, MR_TARGET_UNREACHABLE, "stopped");
    struct mysql_conn *c;
    if (!target_connect(l->sink, &c, e))
        return false;
    l->conn_id = mysql_conn_server(c)->thread_id;
    bool ok = apply_rules(l, c, e);
    if (ok && l->lost_id) {
        ok = target_end_connection(l->sink, c, l->lost_id, e);
        l->lost_id = ok ? 0 : l->lost_id;
    }
    if (!ok || !sign_rows(l, c, e)) {
        mysql_conn_close(c);
        return err_wrap(e, "lane %u", l->index);
    }
    thread_lock(&l->lock);
    l->conn = c;
    bool interrupted = l->interrupted;
    thread_unlock(&l->lock);
    if (interrupted)
        mysql_conn_interrupt(c);
    return true;
}

bool
session_open(struct sink *s, unsigned index, struct sink_lane **out, struct err *e)
{
    struct sink_lane *l = mem_zalloc(sizeof *l);
    l->sink = s;
    l->index = index;
    thread_lock_init(&l->lock);
    if (!session_ready(l, e)) {
        session_close(l);
        return false;
    }
    *out = l;
    return true;
}

void
session_close(struct sink_lane *l)
{
    if (!l)
        return;
    mysql_conn_close(l->conn);
    for (size_t i = 0; i < l->names_len; i++)
        free(l->names[i]);
    free(l->names);
    buf_free(&l->sql);
    buf_free(&l->data);
    buf_free(&l->cols);
    pthread_mutex_destroy(&l->lock);
    free(l);
}

void
session_interrupt(struct sink_lane *l)
{
    thread_lock(&l->lock);
    l->interrupted = true;
    if (l->conn)
        mysql_conn_interrupt(l->conn);
    thread_unlock(&l->lock);
}

bool
session_exec(struct sink_lane *l, struct mysql_done *done, struct err *e)
{
    if (l->sql.failed)
        return err_set(e, MR_NO_MEMORY, "a statement of %zu bytes", l->sql.n);
    return mysql_conn_exec(l->conn, buf_bytes(&l->sql), done, e) || failed(l, e);
}

static void
remember_name(struct sink_lane *l, const char *target)
{
    for (size_t i = 0; i < l->names_len; i++)
        if (!strcmp(l->names[i], target))
            return;
    l->names = mem_realloc(l->names, (l->names_len + 1) * sizeof *l->names);
    l->names[l->names_len++] = mem_strdup(target);
}

/* Locks the row of a target as it is; rows.rows 0: there is none. */
MUST static bool
lock_row(struct sink_lane *l, const char *target, struct arena *a, struct mysql_rows *rows,
         struct err *e)
{
    buf_reset(&l->sql);
    buf_addf(&l->sql, "SELECT target, owner, instance, commits, state, conn_id FROM %s",
             l->sink->table);
    target_where_task(l->sink, &l->sql);
    buf_add_str(&l->sql, " AND target = ");
    mysql_quote_hex(bytes_str(target), &l->sql);
    buf_add_str(&l->sql, " FOR UPDATE");
    return mysql_conn_select(l->conn, buf_bytes(&l->sql), a, rows, e);
}

/* The task's own row still says that we own it: nobody has claimed after us. */
MUST static bool
still_owner(struct sink_lane *l, struct arena *a, struct err *e)
{
    struct mysql_rows rows;
    struct sink_point p;
    if (!lock_row(l, "", a, &rows, e))
        return false;
    if (rows.rows != 1)
        return err_set(e, MR_TARGET_CHECKPOINT, "the task's own checkpoint row is gone");
    if (!target_read_point(&rows, 0, a, &p, e))
        return false;
    if (p.owner != l->sink->owner || p.instance != l->sink->conf.instance)
        return err_set(e, MR_TARGET_TAKEN, "owner %" PRIu64 " claimed after us (%" PRIu64 ")",
                       p.owner, l->sink->owner);
    return true;
}

static void
upsert_row_sql(struct sink_lane *l, const char *target, struct bytes state)
{
    struct sink *s = l->sink;
    buf_reset(&l->sql);
    buf_addf(&l->sql,
             "INSERT INTO %s (task, target, format, owner, instance, conn_id, commits, state) "
             "VALUES (x'%s', ",
             s->table, s->task);
    mysql_quote_hex(bytes_str(target), &l->sql);
    buf_addf(&l->sql, ", 1, %" PRIu64 ", %" PRIu64 ", %" PRIu64 ", 1, ", s->owner,
             s->conf.instance, l->conn_id);
    mysql_quote_hex(state, &l->sql);
    buf_addf(&l->sql,
             ") ON DUPLICATE KEY UPDATE owner = %" PRIu64 ", instance = %" PRIu64
             ", conn_id = %" PRIu64 ", commits = commits + 1",
             s->owner, s->conf.instance, l->conn_id);
}

MUST static bool
adopt(struct sink_lane *l, const char *target, struct bytes state, struct arena *a,
      struct sink_point *out, struct err *e)
{
    struct mysql_rows rows;
    if (!still_owner(l, a, e) || !lock_row(l, target, a, &rows, e))
        return false;
    if (rows.rows) {
        struct sink_point p;
        uint64_t conn = 0;
        if (!target_read_point(&rows, 0, a, &p, e) || !target_cell_u64(rows.cells[5], &conn, e))
            return false;
        /* a row that an earlier owner made after our claim: the connection is its own */
        if (conn && conn != l->conn_id && p.owner != l->sink->owner &&
            !target_end_connection(l->sink, l->conn, conn, e))
            return false;
    }
    upsert_row_sql(l, target, state);
    if (!session_exec(l, NULL, e) || !lock_row(l, target, a, &rows, e) ||
        !target_read_point(&rows, 0, a, out, e))
        return false;
    return mysql_conn_commit(l->conn, e) || failed(l, e);
}

bool
session_adopt(struct sink_lane *l, const struct sink_name *name, struct bytes state,
              struct arena *a, struct sink_point *out, struct err *e)
{
    if (!session_ready(l, e))
        return false;
    if (!adopt(l, name->target, state, a, out, e)) {
        session_rollback(l);
        return err_wrap(e, "checkpoint of %s", name->target);
    }
    remember_name(l, name->target);
    return true;
}

static void
begin_sql(struct sink_lane *l, const struct sink_point *base, size_t n)
{
    buf_reset(&l->sql);
    buf_addf(&l->sql, "SELECT target, owner, instance, commits, state FROM %s", l->sink->table);
    target_where_task(l->sink, &l->sql);
    buf_add_str(&l->sql, " AND target IN (");
    for (size_t i = 0; i < n; i++) {
        if (i)
            buf_add_byte(&l->sql, ',');
        mysql_quote_hex(bytes_str(base[i].target), &l->sql);
    }
    buf_add_str(&l->sql, ") ORDER BY target FOR UPDATE");
}

static bool
same_point(const struct sink_point *a, const struct sink_point *b)
{
    return !strcmp(a->target, b->target) && a->owner == b->owner &&
           a->instance == b->instance && a->commits == b->commits &&
           bytes_eq(a->state, b->state);
}

/* Reads the locked rows into found and tells whether all are the base. */
MUST static bool
compare(struct sink_lane *l, const struct mysql_rows *rows, const struct sink_point *base,
        struct arena *a, struct sink_point *found, struct err *e)
{
    for (size_t i = 0; i < rows->rows; i++) {
        if (!target_read_point(rows, i, a, found + i, e))
            return false;
        if (found[i].owner != l->sink->owner || found[i].instance != l->sink->conf.instance)
            return err_set(e, MR_TARGET_TAKEN, "owner %" PRIu64 " has %s, we are %" PRIu64,
                           found[i].owner, base[i].target, l->sink->owner);
    }
    return true;
}

bool
session_begin(struct sink_lane *l, const struct sink_point *base, size_t n, struct arena *a,
              struct sink_point *found, enum sink_begin *outcome, struct err *e)
{
    struct mysql_rows rows;
    if (!session_ready(l, e))
        return false;
    begin_sql(l, base, n);
    FAULT("apply.begin.before");
    if (!mysql_conn_select(l->conn, buf_bytes(&l->sql), a, &rows, e))
        return failed(l, e);
    FAULT("apply.begin.after");
    bool ok = true;
    if (rows.rows != n)
        ok = err_set(e, MR_TARGET_CHECKPOINT, "%zu of %zu checkpoint rows are there", rows.rows,
                     n);
    ok = ok && compare(l, &rows, base, a, found, e);
    *outcome = SINK_BASE;
    for (size_t i = 0; ok && i < n; i++)
        if (!same_point(base + i, found + i))
            *outcome = SINK_OTHER;
    if (!ok || *outcome == SINK_OTHER)
        session_rollback(l);
    return ok;
}

bool
session_commit(struct sink_lane *l, const struct sink_point *points, size_t n, struct err *e)
{
    FAULT("apply.checkpoint.before");
    for (size_t i = 0; i < n; i++) {
        buf_reset(&l->sql);
        buf_addf(
            &l->sql,
            "UPDATE %s SET commits = commits + 1, updated = CURRENT_TIMESTAMP(6), state = ",
            l->sink->table);
        mysql_quote_hex(points[i].state, &l->sql);
        target_where_task(l->sink, &l->sql);
        buf_add_str(&l->sql, " AND target = ");
        mysql_quote_hex(bytes_str(points[i].target), &l->sql);
        struct mysql_done done;
        if (!session_exec(l, &done, e))
            return false;
        if (done.affected != 1)
            return err_set(e, MR_TARGET_CHECKPOINT, "the locked row of %s is gone",
                           points[i].target);
    }
    FAULT("apply.batch.before_commit");
    if (!mysql_conn_commit(l->conn, e))
        return failed(l, e);
    FAULT("apply.batch.after_commit");
    return true;
}

void
session_rollback(struct sink_lane *l)
{
    struct err e = {0};
    if (l->conn && (!mysql_conn_execf(l->conn, &e, "ROLLBACK") ||
                    !mysql_conn_execf(l->conn, &e, "%s", strict_mode)))
        drop_connection(l);
}
