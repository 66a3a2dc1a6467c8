/* What the servers say about a new task, at once instead of in a worker's log. */
#include <inttypes.h>
#include <stdio.h>

#include "base/text.h"
#include "base/uri.h"
#include "cli/create.h"
#include "task/secret.h"

#define CONNECT_S 10

bool
create_connect(const struct command *c, const struct task *t, const struct task_endpoint *at,
               enum mysql_side side, struct mysql_conn **out, struct err *e)
{
    struct uri u;
    struct buf place = {0};
    struct mysql_options o = {.side = side, .connect_timeout_s = CONNECT_S};
    if (!secret_open_endpoint(c->config, t, at, &u, e))
        return false;
    bool ok = mysql_conn_open(&u, &o, out, e);
    uri_masked(&u, &place);
    uri_free(&u);
    if (!ok)
        err_wrap(e, "%s %s", side == MYSQL_SOURCE ? "source" : "target", buf_cstr(&place));
    buf_free(&place);
    return ok;
}

static bool
check_keys(const struct discover *d, struct err *e)
{
    size_t keyless = 0;
    for (size_t i = 0; i < d->tables_len; i++)
        keyless += !d->tables[i].has_key;
    if (keyless == d->tables_len)
        return err_set(e, MR_SOURCE_NO_KEY, "%s.%s%s", d->tables[0].db, d->tables[0].table,
                       keyless > 1 ? " and every other selected table" : "");
    for (size_t i = 0; i < d->tables_len; i++) {
        struct err one = {0};
        char text[ERR_TEXT_MAX + 512];
        if (d->tables[i].has_key)
            continue;
        err_set(&one, MR_SOURCE_NO_KEY, "table %s.%s has no key", d->tables[i].db,
                d->tables[i].table);
        fprintf(stderr, "warning: %s\n", err_format(&one, text, sizeof(text)));
    }
    return true;
}

static bool
check_source(const struct command *c, struct task *t, struct discover *found, struct err *e)
{
    struct mysql_conn *conn = NULL;
    if (!create_connect(c, t, &t->sources[0].at, MYSQL_SOURCE, &conn, e))
        return false;
    bool ok = (discover_source(conn, t, found, e) && discover_types(conn, found, e)) ||
              err_wrap(e, "source");
    mysql_conn_close(conn);
    if (!ok || !check_keys(found, e))
        return false;
    if (t->exclude != NULL && found->excluded == 0)
        fprintf(stderr, "warning: --exclude '%s' matches no table\n", t->exclude);
    if (!t->full)
        t->position = position_to_json(&found->position);
    return true;
}

/* A table that would be copied onto itself. */
static bool
check_loop(struct mysql_conn *conn, const struct discover *found, struct err *e)
{
    struct arena a;
    const char *identity = NULL;
    arena_init(&a, 0);
    bool ok = discover_identity(conn, &a, &identity, e);
    bool same = ok && strcmp(identity, found->identity) == 0;
    arena_free(&a);
    for (size_t i = 0; same && i < found->tables_len; i++) {
        const struct discover_table *d = &found->tables[i];
        if (strcmp(d->db, d->to_db) == 0 && strcmp(d->table, d->to_table) == 0)
            return err_set(e, MR_USAGE,
                           "--source-uri and --sink-uri are one server: %s.%s would be copied "
                           "onto itself",
                           d->db, d->table);
    }
    return ok;
}

static bool
check_packet(const struct command *c, const struct task *t, struct mysql_conn *conn,
             struct err *e)
{
    struct arena a;
    struct mysql_rows r;
    uint64_t packet = 0;
    (void)c;
    arena_init(&a, 0);
    bool ok = mysql_conn_selectf(conn, &a, &r, e, "SELECT @@global.max_allowed_packet");
    if (ok && r.rows == 1 && !text_u64(arena_strn(&a, r.cells[0]), &packet))
        packet = 0;
    arena_free(&a);
    int64_t given = 0;
    const char *text = json_get_str(t->params, "max.sql.length", NULL);
    if (ok && text != NULL && packet > 0 && text_size(text, &given) && (uint64_t)given > packet)
        return err_set(e, MR_USAGE,
                       "--max-sql-length %s is above the target's max_allowed_packet, %" PRIu64,
                       text, packet);
    return ok;
}

/* The schema of the checkpoints is made by apply anyway: the right to do so shows now. */
static bool
check_rights(const struct command *c, const struct task *t, struct mysql_conn *conn,
             struct err *e)
{
    struct buf sql = {0};
    const char *schema = json_get_str(t->params, "checkpoint.schema",
                                      config_text(c->config, "checkpoint.schema"));
    if (command_has(c, "dry-run"))
        return true;
    buf_add_str(&sql, "CREATE DATABASE IF NOT EXISTS ");
    mysql_quote_name(bytes_str(schema), &sql);
    bool ok = mysql_conn_exec(conn, buf_bytes(&sql), NULL, e);
    buf_free(&sql);
    return ok;
}

static bool
check_target(const struct command *c, const struct task *t, const struct discover *found,
             struct err *e)
{
    struct mysql_conn *conn = NULL;
    if (t->sink_type == TASK_SINK_ICEBERG)
        return create_check_lake(c, t, found, e);
    if (t->sink_type != TASK_SINK_MYSQL)
        return true;
    if (!create_connect(c, t, &t->sink, MYSQL_TARGET, &conn, e))
        return false;
    bool ok = check_loop(conn, found, e) && check_packet(c, t, conn, e) &&
              (check_rights(c, t, conn, e) || err_wrap(e, "target"));
    mysql_conn_close(conn);
    return ok;
}

bool
create_check(const struct command *c, struct task *t, struct discover *found, struct err *e)
{
    *found = (struct discover){0};
    return check_source(c, t, found, e) && check_target(c, t, found, e);
}
