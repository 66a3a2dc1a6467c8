/* What the servers say about a new task, at once instead of in a worker's log. */
#include <inttypes.h>
#include <stdio.h>

#include "base/config_choices.h"
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

enum keyless { KEYLESS_REFUSE, KEYLESS_APPEND, KEYLESS_MULTISET };

const char *
create_keyless(const struct command *c, const struct task *t, const struct discover_table *d)
{
    static const char *const texts[] = {"  no key: not captured", "  no key: appended",
                                        "  no key: a multiset"};
    const char *given = json_get_str(t->params, "keyless", config_text(c->config, "keyless"));
    return d->has_key ? ""
                      : texts[config_choices_find(config_option_find("keyless"), given, d->db,
                                                  d->table)];
}

/* Why the table will not be captured. False: it will. */
static bool
refused(const struct command *c, const struct task *t, const struct discover_table *d,
        struct err *why)
{
    const char *given = json_get_str(t->params, "keyless", config_text(c->config, "keyless"));
    int how = config_choices_find(config_option_find("keyless"), given, d->db, d->table);
    if (d->has_key || how == KEYLESS_APPEND || (how == KEYLESS_MULTISET && t->full))
        return false;
    err_fill(why, how == KEYLESS_REFUSE ? MR_SOURCE_NO_KEY : MR_SOURCE_KEYLESS_NO_LOAD,
             "table %s.%s has no key", d->db, d->table);
    return true;
}

static bool
check_keys(const struct command *c, const struct task *t, const struct discover *d,
           struct err *e)
{
    size_t n = 0;
    for (size_t i = 0; i < d->tables_len; i++)
        n += refused(c, t, &d->tables[i], e);
    if (n == d->tables_len)
        return err_set(e, e->code, "%s.%s%s", d->tables[0].db, d->tables[0].table,
                       n > 1 ? " and every other selected table" : "");
    err_clear(e);
    for (size_t i = 0; i < d->tables_len; i++) {
        struct err one = {0};
        char text[ERR_TEXT_MAX + 512];
        if (refused(c, t, &d->tables[i], &one))
            fprintf(stderr, "warning: %s\n", err_format(&one, text, sizeof(text)));
    }
    return true;
}

/* What changes at the source and no log tells. */
static void
warn_cascades(const struct discover *d)
{
    for (size_t i = 0; i < d->cascades_len; i++) {
        struct err one = {0};
        char text[ERR_TEXT_MAX + 512];
        err_fill(&one, MR_SOURCE_CASCADE, "%s", d->cascades[i]);
        fprintf(stderr, "warning: %s\n", err_format(&one, text, sizeof(text)));
    }
}

static bool
check_source(const struct command *c, struct task *t, struct discover *found, struct err *e)
{
    struct mysql_conn *conn = NULL;
    if (!create_connect(c, t, &t->sources[0].at, MYSQL_SOURCE, &conn, e))
        return false;
    bool ok = (discover_source(conn, t, found, e) && discover_types(conn, found, e) &&
               discover_cascades(conn, found, e)) ||
              err_wrap(e, "source");
    mysql_conn_close(conn);
    if (!ok || !check_keys(c, t, found, e))
        return false;
    warn_cascades(found);
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
