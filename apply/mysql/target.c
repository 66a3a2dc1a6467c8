/* MySQL-family target: the control connection, the checkpoint table, who owns it.
 *
 * Table (docs/formats.md, "Checkpoint"): one row per (task, target table), and one with target
 * '' for the task itself, whose owner number every claim raises; so no two claims have the same
 * number, whatever tables there are.
 *
 * Claim, in this order:
 *   1 end the connections whose ids the rows name. Each connection of a task holds the named
 *     lock "mr/<task>/<its id>", so IS_USED_LOCK tells for certain whether an id is still ours:
 *     server restarts and other users' connections with the same number are left alone.
 *   2 lock all rows, end connections that came meanwhile, write the new owner everywhere,
 *     commit.
 * A connection may speak for a row only when the row carries its id, which is written under the
 * condition that the owner is unchanged (session.c). So after step 2 no statement of an earlier
 * owner can take effect: its connections are gone, and a new one of its own finds another
 * owner. That matters for DDL, which no transaction protects.
 *
 * Death between any two lines: before the commit nothing has changed but ended connections,
 * which their owner opens again; after it the rows belong to an owner that does nothing, and
 * the next claim takes the next number.
 *
 * Failpoints: apply.claim.before_commit, apply.claim.after_commit. Thread: the sink's.
 */
#include "apply/mysql/target.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/fault.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/text.h"

#define END_WAIT_MS 30000

static const char checkpoint_columns[] =
    "task BINARY(16) NOT NULL, target VARBINARY(520) NOT NULL, format SMALLINT UNSIGNED NOT "
    "NULL, owner BIGINT UNSIGNED NOT NULL, instance BIGINT UNSIGNED NOT NULL, conn_id BIGINT "
    "UNSIGNED NOT NULL, commits BIGINT UNSIGNED NOT NULL, state LONGBLOB NOT NULL, updated "
    "TIMESTAMP(6) NOT NULL DEFAULT CURRENT_TIMESTAMP(6), PRIMARY KEY (task, target)";

bool
target_cell_u64(struct bytes cell, uint64_t *out, struct err *e)
{
    char text[24];
    if (cell.n >= sizeof text)
        return err_set(e, MR_TARGET_CHECKPOINT, "a number of %zu digits", cell.n);
    memcpy(text, cell.p, cell.n);
    text[cell.n] = 0;
    if (!text_u64(text, out))
        return err_set(e, MR_TARGET_CHECKPOINT, "'%s' is not a number", text);
    return true;
}

void
target_where_task(const struct sink *s, struct buf *sql)
{
    buf_addf(sql, " WHERE task = x'%s'", s->task);
}

bool
target_read_point(const struct mysql_rows *rows, size_t row, struct arena *a,
                  struct sink_point *out, struct err *e)
{
    const struct bytes *c = rows->cells + row * rows->columns;
    out->target = arena_strn(a, c[0]);
    if (!target_cell_u64(c[1], &out->owner, e) || !target_cell_u64(c[2], &out->instance, e) ||
        !target_cell_u64(c[3], &out->commits, e))
        return err_wrap(e, "checkpoint of '%s'", out->target);
    out->state = arena_copy(a, c[4]);
    return true;
}

static unsigned
timeout_s(const struct sink *s)
{
    int64_t ms = config_int(s->conf.config, "send.sql.timeout.ms");
    return ms < 1000 ? 1 : (unsigned)((ms + 999) / 1000);
}

bool
target_connect(const struct sink *s, struct mysql_conn **out, struct err *e)
{
    struct mysql_options o = {
        .side = MYSQL_TARGET,
        .local_infile = true,
        .found_rows = true,
        .read_timeout_s = timeout_s(s),
        .write_timeout_s = timeout_s(s),
    };
    return mysql_conn_open(s->conf.uri, &o, out, e);
}

static bool
table_exists(struct sink *s)
{
    struct err ignored = {0};
    return mysql_conn_execf(s->conn, &ignored, "SELECT task FROM %s LIMIT 0", s->table);
}

MUST static bool
make_table(struct sink *s, struct err *e)
{
    if (table_exists(s))
        return true;
    struct buf name = {0};
    mysql_quote_name(bytes_str(s->schema), &name);
    bool ok =
        mysql_conn_execf(s->conn, e, "CREATE DATABASE IF NOT EXISTS %s", buf_cstr(&name)) &&
        mysql_conn_execf(s->conn, e, "CREATE TABLE IF NOT EXISTS %s (%s) ENGINE=InnoDB",
                         s->table, checkpoint_columns);
    buf_free(&name);
    return ok || err_wrap(e, "making the checkpoint table %s", s->table);
}

/* Names of the server's collations. MariaDB says the full ones elsewhere (10.10). */
MUST static bool
read_collations(struct sink *s, struct err *e)
{
    struct mysql_rows rows;
    struct err ignored = {0};
    bool ok =
        s->maria && mysql_conn_selectf(s->conn, &s->names, &rows, &ignored,
                                       "SELECT full_collation_name FROM information_schema"
                                       ".collation_character_set_applicability");
    if (!ok && !mysql_conn_selectf(s->conn, &s->names, &rows, e,
                                   "SELECT collation_name FROM information_schema.collations"))
        return false;
    s->collations = arena_zalloc(&s->names, (rows.rows + 1) * sizeof(char *));
    for (size_t i = 0; i < rows.rows; i++)
        if (rows.cells[i].p)
            s->collations[s->collations_len++] = arena_strn(&s->names, rows.cells[i]);
    return true;
}

/* What the server can do. */
MUST static bool
probe(struct sink *s, struct err *e)
{
    struct arena a;
    arena_init(&a, 0);
    struct mysql_rows rows;
    uint64_t packet = 0;
    bool ok = mysql_conn_selectf(s->conn, &a, &rows, e,
                                 "SELECT @@max_allowed_packet, @@local_infile") &&
              target_cell_u64(rows.cells[0], &packet, e);
    if (ok) {
        size_t max = (size_t)config_int(s->conf.config, "max.sql.length");
        /* the packet's header, and a margin for what the server adds */
        size_t room = packet > 4096 ? (size_t)packet - 1024 : (size_t)packet;
        s->statement_max = max < room ? max : room;
        s->infile = bytes_eq(rows.cells[1], BYTES_LIT("1"));
        const struct mysql_server *v = mysql_conn_server(s->conn);
        s->maria = v->flavor == MYSQL_FLAVOR_MARIADB;
        s->lacks_vector = v->version < (s->maria ? 110701 : 90000);
        s->row_alias = v->flavor == MYSQL_FLAVOR_MYSQL && v->version >= 80019;
        if (!s->infile)
            log_warn("target_local_infile_off", F_STR("task", s->conf.task),
                     F_STR("effect", "first loads are slower: INSERT instead of LOAD DATA"),
                     F_STR("remedy", "SET GLOBAL local_infile=1 at the target"));
    }
    arena_free(&a);
    return ok && read_collations(s, e);
}

static void
target_close(struct sink *s)
{
    if (!s)
        return;
    mysql_conn_close(s->conn);
    arena_free(&s->names);
    free(s->table);
    free(s->schema);
    free(s);
}

MUST static bool
target_open(const struct sink_conf *c, struct sink **out, struct err *e)
{
    struct sink *s = mem_zalloc(sizeof *s);
    s->conf = *c;
    arena_init(&s->names, 4096);
    size_t n = 0;
    for (const char *p = c->task_id; *p && n < 32; p++)
        if (*p != '-')
            s->task[n++] = *p;
    s->schema = mem_strdup(config_text(c->config, "checkpoint.schema"));
    struct buf name = {0};
    mysql_quote_table(bytes_str(s->schema), BYTES_LIT("millrace_checkpoint"), &name);
    s->table = mem_strdup(buf_cstr(&name));
    buf_free(&name);
    if (!target_connect(s, &s->conn, e) || !make_table(s, e) || !probe(s, e)) {
        target_close(s);
        return err_wrap(e, "target");
    }
    *out = s;
    return true;
}

/* *held: the id is a connection of this task. */
MUST static bool
lock_held(struct sink *s, struct mysql_conn *by, uint64_t id, bool *held, struct err *e)
{
    struct arena a;
    arena_init(&a, 0);
    struct mysql_rows rows;
    bool ok = mysql_conn_selectf(by, &a, &rows, e, "SELECT IS_USED_LOCK('mr/%s/%" PRIu64 "')",
                                 s->task, id);
    uint64_t holder = 0;
    if (ok && rows.rows && rows.cells[0].p)
        ok = target_cell_u64(rows.cells[0], &holder, e);
    *held = ok && holder == id;
    arena_free(&a);
    return ok;
}

bool
target_end_connection(struct sink *s, struct mysql_conn *by, uint64_t id, struct err *e)
{
    bool held;
    if (!lock_held(s, by, id, &held, e))
        return false;
    if (!held)
        return true;
    log_info("target_connection_ended", F_STR("task", s->conf.task), F_U64("connection", id));
    /* "unknown thread" is right too; anything else shows in the wait below */
    struct err refused = {0};
    if (!mysql_conn_execf(by, &refused, "KILL %" PRIu64, id))
        log_debug("target_kill_refused", F_ERR(&refused));
    uint64_t until = clock_mono_ms() + END_WAIT_MS;
    while (clock_mono_ms() < until) {
        if (!lock_held(s, by, id, &held, e))
            return false;
        if (!held)
            return true;
        if (stop_wait(s->conf.stop, 20))
            break;
    }
    return err_set(e, MR_TARGET_BUSY,
                   "connection %" PRIu64 " of the owner before does not end (%s)", id,
                   refused.code ? refused.text : "killed");
}

/* Ends the connections named by the rows; lock: within a transaction that locks them. */
MUST static bool
end_all(struct sink *s, bool lock, struct err *e)
{
    struct arena a;
    arena_init(&a, 0);
    struct mysql_rows rows;
    bool ok =
        mysql_conn_selectf(s->conn, &a, &rows, e, "SELECT conn_id FROM %s WHERE task = x'%s'%s",
                           s->table, s->task, lock ? " FOR UPDATE" : "");
    uint64_t last = 0;
    for (size_t i = 0; ok && i < rows.rows; i++) {
        uint64_t id = 0;
        ok = target_cell_u64(rows.cells[i], &id, e);
        if (ok && id && id != last)
            ok = target_end_connection(s, s->conn, id, e);
        last = id;
    }
    arena_free(&a);
    return ok;
}

MUST static bool
raise_owner(struct sink *s, uint64_t *owner, struct err *e)
{
    struct arena a;
    arena_init(&a, 0);
    struct mysql_rows rows;
    uint64_t highest = 0;
    bool ok =
        mysql_conn_selectf(s->conn, &a, &rows, e,
                           "SELECT MAX(owner) FROM %s WHERE task = x'%s'", s->table, s->task) &&
        target_cell_u64(rows.cells[0], &highest, e);
    arena_free(&a);
    *owner = highest + 1;
    return ok && mysql_conn_execf(s->conn, e,
                                  "UPDATE %s SET owner = %" PRIu64 ", instance = %" PRIu64
                                  ", conn_id = 0, commits = commits + 1, updated = "
                                  "CURRENT_TIMESTAMP(6) WHERE task = x'%s'",
                                  s->table, *owner, s->conf.instance, s->task);
}

MUST static bool
claim_rows(struct sink *s, struct err *e)
{
    uint64_t owner = 0;
    if (!mysql_conn_execf(s->conn, e, "START TRANSACTION") || !end_all(s, true, e) ||
        !raise_owner(s, &owner, e))
        return false;
    FAULT("apply.claim.before_commit");
    if (!mysql_conn_commit(s->conn, e))
        return false;
    FAULT("apply.claim.after_commit");
    s->owner = owner;
    return true;
}

MUST static bool
read_all(struct sink *s, struct arena *a, struct sink_point **points, size_t *n, struct err *e)
{
    struct mysql_rows rows;
    if (!mysql_conn_selectf(s->conn, a, &rows, e,
                            "SELECT target, owner, instance, commits, state, format FROM %s "
                            "WHERE task = x'%s' AND target <> '' ORDER BY target",
                            s->table, s->task))
        return false;
    *points = arena_zalloc(a, (rows.rows + 1) * sizeof **points);
    *n = rows.rows;
    for (size_t i = 0; i < rows.rows; i++) {
        if (!bytes_eq(rows.cells[i * rows.columns + 5], BYTES_LIT("1")))
            return err_set(e, MR_TARGET_CHECKPOINT, "a row of %s has an unknown format",
                           s->table);
        if (!target_read_point(&rows, i, a, *points + i, e))
            return false;
    }
    return true;
}

MUST static bool
target_claim(struct sink *s, struct arena *a, struct sink_point **points, size_t *n,
             struct err *e)
{
    bool ok = mysql_conn_execf(s->conn, e,
                               "INSERT IGNORE INTO %s (task, target, format, owner, instance, "
                               "conn_id, commits, state) VALUES (x'%s', '', 1, 0, 0, 0, 0, '')",
                               s->table, s->task) &&
              end_all(s, false, e) && claim_rows(s, e) && read_all(s, a, points, n, e);
    return ok || err_wrap(e, "taking the target over");
}

MUST static bool
target_forget(struct sink *s, struct err *e)
{
    return end_all(s, false, e) &&
           mysql_conn_execf(s->conn, e, "DELETE FROM %s WHERE task = x'%s'", s->table, s->task);
}

static uint64_t
target_owner(const struct sink *s)
{
    return s->owner;
}

static bool
target_can_load(const struct sink *s)
{
    return s->infile;
}

extern const struct sink_ops sink_mysql;
const struct sink_ops sink_mysql = {
    .name = "mysql",
    .open = target_open,
    .close = target_close,
    .claim = target_claim,
    .forget = target_forget,
    .owner = target_owner,
    .can_load = target_can_load,
    .lane_open = session_open,
    .lane_close = session_close,
    .interrupt = session_interrupt,
    .adopt = session_adopt,
    .begin = session_begin,
    .write = rows_write,
    .commit = session_commit,
    .rollback = session_rollback,
    .look = ddl_look,
    .ddl = ddl_do,
    .ddl_text = ddl_text,
};
