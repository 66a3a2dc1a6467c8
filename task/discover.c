#include "task/discover.h"

#include <stdio.h>
#include <string.h>

#include "base/text.h"

static bool
is_mariadb(struct mysql_conn *c)
{
    return mysql_conn_server(c)->flavor == MYSQL_FLAVOR_MARIADB;
}

static const char *
cell(struct arena *a, const struct mysql_rows *r, size_t row, unsigned column)
{
    if (row >= r->rows || column >= r->columns)
        return "";
    struct bytes b = r->cells[row * r->columns + column];
    return b.p != NULL ? arena_strn(a, b) : "";
}

/* A global variable, "" when the server has none of that name. */
static bool
variable(struct mysql_conn *c, struct arena *a, const char *name, const char **out,
         struct err *e)
{
    struct mysql_rows r;
    if (!mysql_conn_selectf(c, a, &r, e, "SHOW GLOBAL VARIABLES LIKE '%s'", name))
        return false;
    *out = cell(a, &r, 0, 1);
    return true;
}

struct requirement {
    const char *name;
    const char *wanted;
    enum err_code code;
};

static const struct requirement requirements[] = {
    {"log_bin", "ON", MR_SOURCE_BINLOG_OFF},
    {"binlog_format", "ROW", MR_SOURCE_NOT_ROW},
    {"binlog_row_image", "FULL", MR_SOURCE_ROW_IMAGE},
};

static bool
check_settings(struct mysql_conn *c, struct arena *a, struct err *e)
{
    for (size_t i = 0; i < ARRAY_LEN(requirements); i++) {
        const struct requirement *r = &requirements[i];
        const char *is = NULL;
        if (!variable(c, a, r->name, &is, e))
            return false;
        if (!text_same(is, r->wanted))
            return err_set(e, r->code, "%s is %s, needed is %s", r->name,
                           is[0] != '\0' ? is : "not known to this server", r->wanted);
    }
    return true;
}

/* MySQL asks for the very right in SHOW BINLOG EVENTS; MariaDB lists the rights of roles too.
 */
static bool
check_replication(struct mysql_conn *c, struct arena *a, struct err *e)
{
    struct mysql_rows r;
    if (!is_mariadb(c))
        return mysql_conn_selectf(c, a, &r, e, "SHOW BINLOG EVENTS LIMIT 1") ||
               err_wrap(e, "REPLICATION SLAVE");
    if (!mysql_conn_selectf(c, a, &r, e, "SHOW GRANTS"))
        return false;
    for (size_t i = 0; i < r.rows; i++) {
        const char *grant = cell(a, &r, i, 0);
        if (strstr(grant, "REPLICATION SLAVE") != NULL ||
            strstr(grant, "ALL PRIVILEGES ON *.*") != NULL)
            return true;
    }
    return err_set(e, MR_SOURCE_GRANT, "the account has no REPLICATION SLAVE");
}

/* File and position in one row; the statement was renamed in MySQL 8.4. */
static bool
log_status(struct mysql_conn *c, struct arena *a, struct mysql_rows *r, struct err *e)
{
    const struct mysql_server *s = mysql_conn_server(c);
    bool renamed = !is_mariadb(c) && s->version >= 80400;
    if (!mysql_conn_selectf(c, a, r, e, "SHOW %s STATUS", renamed ? "BINARY LOG" : "MASTER"))
        return err_wrap(e, "REPLICATION CLIENT");
    if (r->rows == 0)
        return err_set(e, MR_SOURCE_BINLOG_OFF, "the server reports no binary log");
    return true;
}

bool
discover_check_server(struct mysql_conn *c, struct err *e)
{
    struct arena a;
    struct mysql_rows r;
    arena_init(&a, 0);
    bool ok =
        check_settings(c, &a, e) && log_status(c, &a, &r, e) && check_replication(c, &a, e);
    arena_free(&a);
    return ok;
}

bool
discover_identity(struct mysql_conn *c, struct arena *a, const char **out, struct err *e)
{
    struct mysql_rows r;
    const char *sql = is_mariadb(c) ? "SELECT CONCAT(@@server_id, ' ', @@hostname, ' ', "
                                      "@@port, ' ', @@datadir)"
                                    : "SELECT @@server_uuid";
    if (!mysql_conn_selectf(c, a, &r, e, "%s", sql))
        return false;
    *out = cell(a, &r, 0, 0);
    return true;
}

static bool
take_gtid(struct mysql_conn *c, struct arena *a, struct position *out, struct err *e)
{
    struct mysql_rows r;
    bool ok;
    if (is_mariadb(c))
        ok = mysql_conn_selectf(c, a, &r, e, "SELECT BINLOG_GTID_POS('%s', %llu)", out->file,
                                (unsigned long long)out->pos);
    else
        ok = mysql_conn_selectf(c, a, &r, e,
                                "SELECT IF(@@global.gtid_mode = 'ON', "
                                "@@global.gtid_executed, NULL)");
    if (!ok || r.rows == 0 || r.cells[0].p == NULL)
        return ok;
    enum gtid_flavor flavor = is_mariadb(c) ? GTID_MARIADB : GTID_MYSQL;
    return gtid_set_parse(flavor, r.cells[0], &out->gtid, e);
}

static bool
take_position(struct mysql_conn *c, struct arena *a, struct position *out, struct err *e)
{
    struct mysql_rows r, id;
    const char *sql = is_mariadb(c) ? "SELECT @@server_id" : "SELECT @@server_uuid";
    if (!log_status(c, a, &r, e) || !mysql_conn_selectf(c, a, &id, e, "%s", sql))
        return false;
    snprintf(out->server, sizeof(out->server), "%s", cell(a, &id, 0, 0));
    snprintf(out->file, sizeof(out->file), "%s", cell(a, &r, 0, 0));
    if (!text_u64(cell(a, &r, 0, 1), &out->pos))
        return err_set(e, MR_SOURCE_QUERY, "the server's log position is not a number");
    return take_gtid(c, a, out, e);
}

bool
discover_position(struct mysql_conn *c, struct position *out, struct err *e)
{
    struct arena a;
    arena_init(&a, 0);
    position_init(out, is_mariadb(c) ? POSITION_MARIADB : POSITION_MYSQL);
    bool ok = take_position(c, &a, out, e);
    arena_free(&a);
    return ok;
}

static bool
check_gtid(struct mysql_conn *c, const struct position *p, struct arena *a, struct err *e)
{
    struct buf sql = {0}, set = {0};
    struct mysql_rows r;
    gtid_set_text(p->gtid, &set);
    buf_add_str(&sql, "SELECT GTID_SUBSET(@@global.gtid_purged, ");
    mysql_quote_text(buf_bytes(&set), &sql);
    buf_add_str(&sql, "), @@global.gtid_purged");
    bool ok = mysql_conn_select(c, buf_bytes(&sql), a, &r, e);
    if (ok && strcmp(cell(a, &r, 0, 0), "1") != 0)
        ok = err_set(e, MR_SOURCE_PURGED, "kept is %.200s, purged is %.200s", buf_cstr(&set),
                     cell(a, &r, 0, 1));
    buf_free(&sql);
    buf_free(&set);
    return ok;
}

static bool
check_file(struct mysql_conn *c, const struct position *p, struct arena *a, struct err *e)
{
    struct mysql_rows r;
    if (!mysql_conn_selectf(c, a, &r, e, "SHOW BINARY LOGS"))
        return false;
    for (size_t i = 0; i < r.rows; i++) {
        if (strcmp(cell(a, &r, i, 0), p->file) == 0)
            return true;
    }
    return err_set(e, MR_SOURCE_PURGED, "kept is %s:%llu, the oldest log is %s", p->file,
                   (unsigned long long)p->pos, cell(a, &r, 0, 0));
}

static bool
check_here(struct mysql_conn *c, const struct position *p, struct arena *a, struct err *e)
{
    struct position now;
    bool ok = discover_position(c, &now, e);
    bool here = ok && strcmp(now.server, p->server) == 0;
    bool by_gtid = !is_mariadb(c) && p->gtid != NULL && now.gtid != NULL;
    position_free(&now);
    if (!ok)
        return false;
    if (by_gtid)
        return check_gtid(c, p, a, e);
    if (!here)
        return err_set(e, MR_SOURCE_IDENTITY, "the position is of server %s", p->server);
    return check_file(c, p, a, e);
}

bool
discover_check_position(struct mysql_conn *c, const struct position *p, struct err *e)
{
    struct arena a;
    arena_init(&a, 0);
    bool ok = check_here(c, p, &a, e);
    arena_free(&a);
    return ok;
}

/* Every base table the account sees, whether it has a key of NOT NULL columns, rows. */
static const char tables_sql[] =
    "SELECT t.table_schema, t.table_name, IFNULL(t.table_rows, 0), k.table_name IS NOT NULL "
    "FROM information_schema.tables t LEFT JOIN (SELECT DISTINCT table_schema, table_name FROM "
    "(SELECT table_schema, table_name, index_name, "
    "SUM(nullable = 'YES' OR sub_part IS NOT NULL OR column_name IS NULL) AS bad "
    "FROM information_schema.statistics WHERE non_unique = 0 "
    "GROUP BY table_schema, table_name, index_name) i WHERE bad = 0) k "
    "ON k.table_schema = t.table_schema AND k.table_name = t.table_name "
    "WHERE t.table_type IN ('BASE TABLE', 'SYSTEM VERSIONED') "
    "ORDER BY t.table_schema, t.table_name";

static void
take_table(const struct task *t, struct discover *out, const struct mysql_rows *r, size_t row)
{
    struct arena *a = &out->mem;
    struct task_target to;
    const char *db = cell(a, r, row, 0), *table = cell(a, r, row, 1);
    if (!task_selects(t, db, table, &to)) {
        struct task all = *t;
        all.exclude_regex = NULL;
        out->excluded += task_selects(&all, db, table, &to);
        return;
    }
    struct discover_table *d = &out->tables[out->tables_len++];
    *d =
        (struct discover_table){.db = db, .table = table, .to_db = to.db, .to_table = to.table};
    if (!text_u64(cell(a, r, row, 2), &d->rows))
        d->rows = 0;
    d->has_key = strcmp(cell(a, r, row, 3), "1") == 0;
}

static bool
is_object(const struct task_object *o, const struct bytes *row)
{
    return bytes_eq(row[0], bytes_str(o->db)) &&
           (o->table == NULL || bytes_eq(row[1], bytes_str(o->table)));
}

/* Each object that was named must be there. */
static bool
check_named(const struct task *t, const struct mysql_rows *r, struct err *e)
{
    for (size_t i = 0; i < t->objects_len; i++) {
        const struct task_object *o = &t->objects[i];
        bool found = false;
        for (size_t row = 0; row < r->rows && !found; row++)
            found = is_object(o, &r->cells[row * r->columns]);
        if (!found)
            return err_set(e, MR_SELECT_EMPTY,
                           "'%s%s%s' is not at the source, or the account has no right on it",
                           o->db, o->table != NULL ? "." : "",
                           o->table != NULL ? o->table : "");
    }
    return true;
}

static bool
check_readable(struct mysql_conn *c, const struct discover *d, struct err *e)
{
    for (size_t i = 0; i < d->tables_len; i++) {
        struct buf sql = {0};
        buf_add_str(&sql, "SELECT 1 FROM ");
        mysql_quote_table(bytes_str(d->tables[i].db), bytes_str(d->tables[i].table), &sql);
        buf_add_str(&sql, " LIMIT 0");
        bool ok = mysql_conn_exec(c, buf_bytes(&sql), NULL, e);
        buf_free(&sql);
        if (!ok)
            return err_wrap(e, "table %s.%s", d->tables[i].db, d->tables[i].table);
    }
    return true;
}

static bool
list_tables(struct mysql_conn *c, const struct task *t, struct discover *out, struct err *e)
{
    struct mysql_rows r;
    if (!mysql_conn_select(c, bytes_str(tables_sql), &out->mem, &r, e))
        return false;
    if (!check_named(t, &r, e))
        return false;
    out->tables = arena_alloc(&out->mem, (r.rows + 1) * sizeof(*out->tables));
    for (size_t row = 0; row < r.rows; row++)
        take_table(t, out, &r, row);
    if (out->tables_len == 0)
        return err_set(e, MR_SELECT_EMPTY,
                       "%zu tables are visible to the account, %zu of the "
                       "selected ones are excluded",
                       r.rows, out->excluded);
    return check_readable(c, out, e);
}

bool
discover_source(struct mysql_conn *c, const struct task *t, struct discover *out, struct err *e)
{
    *out = (struct discover){0};
    arena_init(&out->mem, 0);
    position_init(&out->position, POSITION_NONE);
    out->version = arena_strdup(&out->mem, mysql_conn_server(c)->text);
    return discover_check_server(c, e) && discover_identity(c, &out->mem, &out->identity, e) &&
           discover_position(c, &out->position, e) && list_tables(c, t, out, e);
}

void
discover_free(struct discover *d)
{
    position_free(&d->position);
    arena_free(&d->mem);
}
