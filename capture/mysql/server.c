/* The source's server: connections, checks before the start, tables. See capture/source.h. */
#include <stdio.h>
#include <stdlib.h>

#include "base/log.h"
#include "base/mem.h"
#include "base/text.h"
#include "capture/mysql/source_private.h"

static const char system_schemas[] =
    "'mysql', 'information_schema', 'performance_schema', 'sys', 'ndbinfo'";

struct variable {
    const char *name;
    size_t at, size;
};

#define VARIABLE(n) \
    {#n, offsetof(struct server_variables, n), sizeof(((struct server_variables *)0)->n)}

static const struct variable variables[] = {
    VARIABLE(log_bin),
    VARIABLE(binlog_format),
    VARIABLE(binlog_row_image),
    VARIABLE(binlog_row_metadata),
    VARIABLE(gtid_mode),
    VARIABLE(server_uuid),
    VARIABLE(server_id),
    VARIABLE(version_comment),
    VARIABLE(lower_case_table_names),
};

/* ---- connections ---- */

MUST static bool
set_session(struct mysql_conn *c, struct err *e)
{
    const struct mysql_server *server = mysql_conn_server(c);
    bool maria = server->flavor == MYSQL_FLAVOR_MARIADB;
    if (!mysql_conn_execf(
            c, e, "SET SESSION time_zone = '+00:00', sql_mode = '', net_write_timeout = 600"))
        return false;
    if (!mysql_conn_execf(c, e, "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED"))
        return false;
    if (maria)
        return mysql_conn_execf(c, e, "SET SESSION max_statement_time = 0");
    return server->version < 50708 ||
           mysql_conn_execf(c, e, "SET SESSION max_execution_time = 0");
}

bool
server_connect(const struct source *s, unsigned read_timeout_s, struct mysql_conn **out,
               struct err *e)
{
    struct mysql_options o = {.side = MYSQL_SOURCE, .read_timeout_s = read_timeout_s};
    if (!mysql_conn_open(s->conf.uri, &o, out, e))
        return false;
    if (set_session(*out, e))
        return true;
    mysql_conn_close(*out);
    *out = NULL;
    return false;
}

bool
server_control(struct source *s, struct mysql_conn **out, struct err *e)
{
    if (!s->conn && !server_connect(s, 0, &s->conn, e))
        return false;
    *out = s->conn;
    return true;
}

void
server_control_failed(struct source *s, const struct err *e)
{
    if (e->code != MR_SOURCE_LOST && e->code != MR_SOURCE_UNREACHABLE)
        return;
    mysql_conn_close(s->conn);
    s->conn = NULL;
}

/* ---- checks ---- */

MUST static bool
read_variables(struct source *s, struct err *e)
{
    struct arena a;
    struct mysql_rows rows;
    struct buf sql = {0};
    arena_init(&a, 4096);
    buf_add_str(&sql, "SHOW GLOBAL VARIABLES WHERE variable_name IN (''");
    for (size_t i = 0; i < ARRAY_LEN(variables); i++)
        buf_addf(&sql, ", '%s'", variables[i].name);
    buf_add_str(&sql, ")");
    bool ok = mysql_conn_select(s->conn, buf_bytes(&sql), &a, &rows, e);
    for (size_t i = 0; ok && i < rows.rows; i++)
        for (size_t k = 0; k < ARRAY_LEN(variables); k++)
            if (text_same((const char *)rows.cells[i * 2].p, variables[k].name) &&
                rows.cells[i * 2 + 1].p)
                snprintf((char *)&s->vars + variables[k].at, variables[k].size, "%s",
                         (const char *)rows.cells[i * 2 + 1].p);
    buf_free(&sql);
    arena_free(&a);
    return ok;
}

static bool
is_one_of(const char *value, const char *a, const char *b)
{
    return !*value || text_same(value, a) || text_same(value, b);
}

MUST static bool
check_variables(const struct source *s, struct err *e)
{
    const struct server_variables *v = &s->vars;
    if (!text_same(v->log_bin, "ON"))
        return err_set(e, MR_SOURCE_BINLOG_OFF, "%s: log_bin is %s", s->conf.uri->host,
                       v->log_bin);
    if (!is_one_of(v->binlog_format, "ROW", "ROW"))
        return err_set(e, MR_SOURCE_NOT_ROW, "%s: binlog_format is %s", s->conf.uri->host,
                       v->binlog_format);
    if (!is_one_of(v->binlog_row_image, "FULL", "FULL_NODUP"))
        return err_set(e, MR_SOURCE_ROW_IMAGE, "%s: binlog_row_image is %s", s->conf.uri->host,
                       v->binlog_row_image);
    if (strcmp(v->server_id, "0") == 0)
        return err_set(e, MR_SOURCE_BINLOG_OFF, "%s: server_id is 0, so it serves no readers",
                       s->conf.uri->host);
    if (!text_same(v->binlog_row_metadata, "FULL"))
        log_info("source_metadata", F_STR("host", s->conf.uri->host),
                 F_STR("binlog_row_metadata", v->binlog_row_metadata),
                 F_STR("names", "from information_schema"));
    return true;
}

/* Needs the same right as the stream's positions do; tells its lack before anything is begun.
 */
MUST static bool
check_rights(struct source *s, struct err *e)
{
    struct arena a;
    struct mysql_rows rows;
    arena_init(&a, 4096);
    bool ok = mysql_conn_selectf(s->conn, &a, &rows, e, "SHOW BINARY LOGS");
    arena_free(&a);
    return ok;
}

static void
learn_info(struct source *s)
{
    const struct mysql_server *server = mysql_conn_server(s->conn);
    bool maria = server->flavor == MYSQL_FLAVOR_MARIADB;
    s->info = (struct source_info){
        .connector = maria ? "mariadb" : "mysql",
        .flavor = maria ? FLAVOR_MARIADB : FLAVOR_MYSQL,
        .kind = maria ? POSITION_MARIADB : POSITION_MYSQL,
        .gtid = maria || strcmp(s->vars.gtid_mode, "ON") == 0,
    };
    snprintf(s->info.identity, sizeof(s->info.identity), "%s",
             maria ? s->vars.server_id : s->vars.server_uuid);
    snprintf(s->info.version, sizeof(s->info.version), "%s %u.%u.%u",
             maria ? "MariaDB" : "MySQL", server->version / 10000, server->version / 100 % 100,
             server->version % 100);
    atomic_store(&s->use_gtid, s->info.gtid && !maria);
    s->fold_names = strcmp(s->vars.lower_case_table_names, "1") == 0;
}

MUST static bool
prepare(struct source *s, struct err *e)
{
    if (!server_connect(s, 0, &s->conn, e) || !read_variables(s, e) || !check_variables(s, e))
        return false;
    learn_info(s);
    return check_rights(s, e) && collations_load(s->conn, &s->collations, e);
}

bool
server_open(const struct source_conf *conf, struct source **out, struct err *e)
{
    struct source *s = mem_zalloc(sizeof(*s));
    s->conf = *conf;
    if (!prepare(s, e)) {
        server_close(s);
        return false;
    }
    *out = s;
    return true;
}

void
server_close(struct source *s)
{
    if (!s)
        return;
    mysql_conn_close(s->conn);
    if (s->collations.by_id)
        collations_free(&s->collations);
    free(s);
}

/* ---- tables ---- */

bool
server_list_tables(struct source *s,
                   bool (*each)(void *, const struct source_name *, struct err *), void *ctx,
                   struct err *e)
{
    struct arena a;
    struct mysql_rows rows;
    struct mysql_conn *c;
    if (!server_control(s, &c, e))
        return false;
    arena_init(&a, 0);
    bool ok =
        mysql_conn_execf(c, e, "SET SESSION lock_wait_timeout = DEFAULT") &&
        mysql_conn_selectf(c, &a, &rows, e,
                           "SELECT table_schema, table_name FROM information_schema.tables "
                           "WHERE table_type IN ('BASE TABLE', 'SYSTEM VERSIONED') AND "
                           "table_schema NOT IN (%s) "
                           "ORDER BY table_schema, table_name",
                           system_schemas);
    if (!ok)
        server_control_failed(s, e);
    for (size_t i = 0; ok && i < rows.rows; i++) {
        struct source_name name = {rows.cells[i * 2], rows.cells[i * 2 + 1]};
        ok = each(ctx, &name, e);
    }
    arena_free(&a);
    return ok;
}
