/* Where the log is: current positions, visibility-exact marks, and whether a kept position can
 * still be served.
 *
 * Marks (measured by tests/bench/source_race.c). MySQL with GTIDs: low = @@gtid_executed, never
 * ahead of what is visible; high = the end of the log, because a row can be seen a moment
 * before its GTID is in gtid_executed. MySQL without: the end of the log, together with locking
 * chunk reads. MariaDB: Binlog_snapshot_file/_position; its @@gtid_binlog_pos runs ahead of
 * what is visible.
 */
#include <inttypes.h>
#include <stdio.h>

#include "base/text.h"
#include "capture/mysql/source_private.h"

#define LOG_BEGIN 4

MUST static bool
select_one(struct mysql_conn *c, struct arena *a, const char *sql, struct mysql_rows *rows,
           struct err *e)
{
    if (!mysql_conn_select(c, bytes_str(sql), a, rows, e))
        return false;
    return rows->rows > 0 || err_set(e, MR_SOURCE_QUERY, "no rows from: %s", sql);
}

static const char *
text(struct bytes cell)
{
    return cell.p ? (const char *)cell.p : "";
}

MUST static bool
set_file(struct position *out, const char *file, const char *pos, struct err *e)
{
    snprintf(out->file, sizeof(out->file), "%s", file);
    return text_u64(pos, &out->pos) ||
           err_set(e, MR_SOURCE_QUERY, "a log position that is no number: %s", pos);
}

/* The end of the log. */
MUST static bool
log_end(struct mysql_conn *c, struct arena *a, struct position *out, struct err *e)
{
    struct mysql_rows rows;
    const struct mysql_server *server = mysql_conn_server(c);
    bool new_name = server->flavor == MYSQL_FLAVOR_MYSQL && server->version >= 80200;
    return select_one(c, a, new_name ? "SHOW BINARY LOG STATUS" : "SHOW MASTER STATUS", &rows,
                      e) &&
           set_file(out, text(rows.cells[0]), text(rows.cells[1]), e);
}

MUST static bool
mysql_gtid(struct mysql_conn *c, struct arena *a, struct position *out, struct err *e)
{
    struct mysql_rows rows;
    return select_one(c, a, "SELECT @@GLOBAL.gtid_executed", &rows, e) &&
           gtid_set_parse(GTID_MYSQL, rows.cells[0], &out->gtid, e);
}

/* *out NULL: the server cannot tell (it reads the file up to there, and gives up at an event
 * above its max_allowed_packet). */
MUST static bool
maria_gtid_at(struct mysql_conn *c, struct arena *a, const struct position *at,
              struct gtid_set **out, struct err *e)
{
    struct mysql_rows rows;
    if (!mysql_conn_selectf(c, a, &rows, e, "SELECT BINLOG_GTID_POS('%s', %" PRIu64 ")",
                            at->file, at->pos))
        return false;
    *out = NULL;
    if (rows.rows == 0 || !rows.cells[0].p)
        return true;
    return gtid_set_parse(GTID_MARIADB, rows.cells[0], out, e);
}

MUST static bool
maria_snapshot(struct mysql_conn *c, struct arena *a, struct position *out, struct err *e)
{
    struct mysql_rows rows;
    const char *file = "", *pos = "";
    if (!select_one(c, a, "SHOW GLOBAL STATUS LIKE 'Binlog\\_snapshot\\_%'", &rows, e))
        return false;
    for (size_t i = 0; i < rows.rows; i++) {
        if (text_same(text(rows.cells[i * 2]), "Binlog_snapshot_file"))
            file = text(rows.cells[i * 2 + 1]);
        if (text_same(text(rows.cells[i * 2]), "Binlog_snapshot_position"))
            pos = text(rows.cells[i * 2 + 1]);
    }
    return set_file(out, file, pos, e);
}

MUST static bool
read_mark(const struct source *s, struct mysql_conn *c, enum source_mark kind, struct arena *a,
          struct position *out, struct err *e)
{
    if (s->info.flavor == FLAVOR_MARIADB)
        return maria_snapshot(c, a, out, e);
    bool by_set = atomic_load(&s->use_gtid) && kind == SOURCE_MARK_LOW;
    return by_set ? mysql_gtid(c, a, out, e) : log_end(c, a, out, e);
}

bool
place_mark(const struct source *s, struct mysql_conn *c, enum source_mark kind,
           struct position *out, struct err *e)
{
    struct arena a;
    arena_init(&a, 4096);
    position_init(out, s->info.kind);
    snprintf(out->server, sizeof(out->server), "%s", s->info.identity);
    bool ok = read_mark(s, c, kind, &a, out, e);
    arena_free(&a);
    if (!ok)
        position_free(out);
    return ok;
}

bool
place_snapshot(const struct source *s, struct mysql_conn *c, struct position *out,
               struct err *e)
{
    return place_mark(s, c, SOURCE_MARK_LOW, out, e);
}

/* File and position are read before the GTID set: used alone, they may repeat but never skip.
 */
MUST static bool
read_now(struct source *s, struct mysql_conn *c, struct arena *a, struct position *out,
         struct err *e)
{
    if (s->info.flavor == FLAVOR_MARIADB)
        return maria_snapshot(c, a, out, e) && maria_gtid_at(c, a, out, &out->gtid, e);
    return log_end(c, a, out, e) && (!s->info.gtid || mysql_gtid(c, a, out, e));
}

bool
place_now(struct source *s, struct position *out, struct err *e)
{
    struct mysql_conn *c;
    struct arena a;
    if (!server_control(s, &c, e))
        return false;
    arena_init(&a, 4096);
    position_init(out, s->info.kind);
    snprintf(out->server, sizeof(out->server), "%s", s->info.identity);
    bool ok = read_now(s, c, &a, out, e);
    arena_free(&a);
    if (!ok) {
        server_control_failed(s, e);
        position_free(out);
    }
    return ok;
}

bool
place_end(struct mysql_conn *c, struct log_place *out, struct err *e)
{
    struct position at;
    struct arena a;
    arena_init(&a, 1024);
    position_init(&at, POSITION_NONE);
    bool ok = log_end(c, &a, &at, e);
    memcpy(out->file, at.file, sizeof(out->file));
    out->pos = at.pos;
    position_free(&at);
    arena_free(&a);
    return ok;
}

/* ---- can a position be served? ---- */

struct log_file {
    bool found;
    uint64_t size;
};

MUST static bool
find_file(struct mysql_conn *c, struct arena *a, const char *file, struct log_file *out,
          struct err *e)
{
    struct mysql_rows rows;
    if (!mysql_conn_select(c, BYTES_LIT("SHOW BINARY LOGS"), a, &rows, e))
        return false;
    for (size_t i = 0; i < rows.rows; i++) {
        const struct bytes *row = &rows.cells[i * rows.columns];
        if (strcmp(text(row[0]), file) != 0)
            continue;
        out->found = text_u64(text(row[1]), &out->size);
    }
    return true;
}

/* The dump command has 32 bits for a position: for one above them the whole file is asked for,
 * and the decoder skips what the position contains. */
static void
start_of_file(struct position *start)
{
    if (start->pos > UINT32_MAX)
        start->pos = LOG_BEGIN;
}

MUST static bool
check_size(const struct log_file *f, const struct position *from, struct err *e)
{
    return !f->found || f->size >= from->pos ||
           err_set(e, MR_SOURCE_REWOUND, "%s has %" PRIu64 " bytes, it was read up to %" PRIu64,
                   from->file, f->size, from->pos);
}

MUST static bool
check_file(const struct source *s, struct mysql_conn *c, struct arena *a,
           const struct position *from, struct position *start, struct err *e)
{
    struct log_file f = {0};
    struct gtid_set *there = NULL;
    if (!find_file(c, a, from->file, &f, e))
        return false;
    if (!f.found)
        return err_set(e, MR_SOURCE_PURGED, "%s is gone from the source", from->file);
    if (!check_size(&f, from, e))
        return false;
    if (s->info.flavor == FLAVOR_MARIADB && from->gtid) {
        if (!maria_gtid_at(c, a, from, &there, e))
            return false;
        bool same = !there || gtid_set_covers(there, from->gtid);
        gtid_set_free(there);
        if (!same)
            return err_set(e, MR_SOURCE_REWOUND,
                           "%s:%" PRIu64 " holds other transactions than it did", from->file,
                           from->pos);
    }
    start_of_file(start);
    return true;
}

/* A server that lost the end of its log gives the lost numbers to other transactions: then the
 * set says nothing, but the file is shorter than what was read of it, and stays so. */
MUST static bool
check_gtid(struct mysql_conn *c, struct arena *a, const struct position *from, struct err *e)
{
    struct buf set = {0};
    struct mysql_rows rows;
    struct log_file f = {0};
    if (!find_file(c, a, from->file, &f, e) || !check_size(&f, from, e))
        return false;
    gtid_set_text(from->gtid, &set);
    bool ok = mysql_conn_execf(c, e, "SET @s = '%s'", buf_cstr(&set)) &&
              select_one(c, a,
                         "SELECT GTID_SUBSET(@@GLOBAL.gtid_purged, @s), GTID_SUBSET(@s, "
                         "@@GLOBAL.gtid_executed), "
                         "LEFT(GTID_SUBTRACT(@@GLOBAL.gtid_purged, @s), 300)",
                         &rows, e);
    buf_free(&set);
    if (!ok)
        return false;
    if (strcmp(text(rows.cells[0]), "1") != 0)
        return err_set(e, MR_SOURCE_PURGED, "purged before they were read: %s",
                       text(rows.cells[2]));
    if (strcmp(text(rows.cells[1]), "1") != 0)
        return err_set(e, MR_SOURCE_REWOUND,
                       "the server lacks transactions that were captured from it");
    return true;
}

/* Where the oldest prepared XA transaction begins. */
MUST static bool
start_at_prepared(struct mysql_conn *c, struct arena *a, const struct position *from,
                  struct position *start, struct err *e)
{
    struct log_file f = {0};
    if (!find_file(c, a, from->xa_file, &f, e))
        return false;
    if (!f.found)
        return err_set(e, MR_SOURCE_PURGED,
                       "%s is gone from the source: an XA transaction prepared at %s:%" PRIu64
                       " has not ended yet",
                       from->xa_file, from->xa_file, from->xa_pos);
    memcpy(start->file, from->xa_file, sizeof(start->file));
    start->pos = from->xa_pos;
    start_of_file(start);
    return true;
}

bool
place_check(struct source *s, struct mysql_conn *c, const struct position *from,
            struct position *start, struct err *e)
{
    bool maria = s->info.flavor == FLAVOR_MARIADB;
    if (strcmp(from->server, s->info.identity) != 0)
        return err_set(e, MR_SOURCE_IDENTITY, "%s is server %s, the kept position is of %s",
                       s->conf.uri->host, s->info.identity, from->server);
    struct arena a;
    arena_init(&a, 4096);
    position_copy(start, from);
    bool gtid = !maria && s->info.gtid && from->gtid;
    atomic_store(&s->use_gtid, gtid);
    bool ok = gtid ? check_gtid(c, &a, from, e) : check_file(s, c, &a, from, start, e);
    ok = ok && (!from->xa_file[0] || start_at_prepared(c, &a, from, start, e));
    arena_free(&a);
    return ok;
}
