/* SQL catalogs: the layout of PyIceberg's SqlCatalog and Java's JdbcCatalog, in a SQLite file
 * or in a PostgreSQL or MySQL database.
 *
 * Layout: apache/iceberg core/src/main/java/org/apache/iceberg/jdbc/JdbcUtil.java; schema V1
 * has the column iceberg_type more than V0, so INSERT names its columns. A namespace exists
 * when it has a property or a table. The commit is one transaction: UPDATE the pointer where it
 * is still the base's. The tables are made with the first namespace. Names are compared byte by
 * byte, whatever collation the tables of others have.
 *
 * Dying before the transaction is durable leaves an unreferenced metadata.json (an orphan),
 * dying behind it a committed table. The metadata.json is durable before the transaction
 * begins. A connection that is lost within COMMIT leaves the outcome unknown; a later UPDATE
 * waits for the lock of that transaction, if it still runs.
 */
#include <stdio.h>
#include <stdlib.h>

#include "base/fault.h"
#include "base/mem.h"
#include "db/mysql_sql.h"
#include "db/pg.h"
#include "db/sqlite.h"
#include "lake/catalog.h"

#define BUSY_MS 10000

struct catalog_sql {
    struct catalog base;
    struct sql_conn *conn; /* NULL: lost, made anew when needed */
    struct uri uri;        /* a lost connection is made anew */
    char *where;           /* for errors */
    char *name;            /* catalog_name of its rows */
    char *warehouse;
    bool ready; /* the tables are there */
};

static struct catalog_sql *
sql_of(struct catalog *c)
{
    return (struct catalog_sql *)c;
}

/* The connection, made when there is none; NULL: *e. */
static struct sql_conn *
connection(struct catalog_sql *c, struct err *e)
{
    bool ok = true;
    if (c->conn)
        return c->conn;
    if (!*c->uri.host)
        ok = sqlite_conn_open(c->uri.path, true, BUSY_MS, &c->conn, e);
    else if (strcmp(uri_param(&c->uri, "driver", ""), "mysql") == 0)
        ok = mysql_sql_open(&c->uri, &c->conn, e);
    else
        ok = pg_conn_open(&c->uri, &c->conn, e);
    return ok ? c->conn : NULL;
}

/* Behind an error: is the connection lost? Then it is closed. */
static bool
is_lost(struct catalog_sql *c, const struct err *e)
{
    if (e->code != MR_CATALOG_UNREACHABLE && e->code != MR_CATALOG_UNKNOWN_OUTCOME)
        return false;
    sql_conn_close(c->conn);
    c->conn = NULL;
    return true;
}

/* A statement that may be sent twice, outside of a transaction: an idle connection may have
 * been closed by the server long ago. */
MUST static bool
query(struct catalog_sql *c, const char *sql, const char *const *values, size_t n,
      struct arena *a, struct sql_rows *rows, struct err *e)
{
    bool idle = c->conn != NULL;
    struct sql_conn *conn = connection(c, e);
    if (!conn)
        return false;
    if (sql_conn_run(conn, sql, values, n, a, rows, NULL, e))
        return true;
    conn = is_lost(c, e) && idle ? connection(c, e) : NULL;
    return conn && sql_conn_run(conn, sql, values, n, a, rows, NULL, e);
}

/* ---- the tables ---- */

MUST static bool
create_tables(struct catalog_sql *c, struct err *e)
{
    static const char *const statements[] = {
        "CREATE TABLE IF NOT EXISTS iceberg_tables (catalog_name VARCHAR(255) NOT NULL, "
        "table_namespace VARCHAR(255) NOT NULL, table_name VARCHAR(255) NOT NULL, "
        "metadata_location VARCHAR(1000), previous_metadata_location VARCHAR(1000), "
        "iceberg_type VARCHAR(5), PRIMARY KEY (catalog_name, table_namespace, table_name))",
        "CREATE TABLE IF NOT EXISTS iceberg_namespace_properties (catalog_name VARCHAR(255) "
        "NOT NULL, namespace VARCHAR(255) NOT NULL, property_key VARCHAR(255) NOT NULL, "
        "property_value VARCHAR(1000), PRIMARY KEY (catalog_name, namespace, property_key))",
    };
    const struct sql_conn *conn = connection(c, e);
    bool ok = conn != NULL;
    const char *tail = ok ? conn->ops->table_tail : "";
    for (size_t i = 0; ok && i < ARRAY_LEN(statements); i++) {
        char *sql = mem_printf("%s%s", statements[i], tail);
        ok = query(c, sql, NULL, 0, NULL, NULL, e);
        free(sql);
    }
    return ok;
}

/* Are they there, with the columns that count? Absent ones are no error: c->ready tells. SQLite
 * does not say what is wrong, so its tables are made first. */
MUST static bool
look(struct catalog_sql *c, struct err *e)
{
    static const char *const probes[] = {
        "SELECT catalog_name, table_namespace, table_name, metadata_location, "
        "previous_metadata_location FROM iceberg_tables WHERE 1 = 0",
        "SELECT catalog_name, namespace, property_key, property_value FROM "
        "iceberg_namespace_properties WHERE 1 = 0"};
    bool all = true;
    if (c->ready)
        return true;
    if (!*c->uri.host && !create_tables(c, e))
        return false;
    for (size_t i = 0; i < ARRAY_LEN(probes); i++) {
        if (query(c, probes[i], NULL, 0, NULL, NULL, e))
            continue;
        if (e->code == MR_CATALOG_ERROR || e->code == MR_CATALOG_INVALID)
            return err_set(e, MR_CATALOG_INVALID,
                           "%s: iceberg_tables or iceberg_namespace_properties are not an "
                           "Iceberg catalog's",
                           c->where);
        if (e->code != MR_CATALOG_MISSING)
            return false;
        all = false;
        err_clear(e);
    }
    c->ready = all;
    return true;
}

MUST static bool
make_tables(struct catalog_sql *c, struct err *e)
{
    if (!look(c, e))
        return false;
    if (!c->ready && (!create_tables(c, e) || !look(c, e)))
        return false;
    return c->ready || err_set(e, MR_CATALOG_INVALID, "%s: its tables vanish", c->where);
}

static bool
sql_make_namespace(struct catalog *base, const char *space, struct err *e)
{
    struct catalog_sql *c = sql_of(base);
    const char *values[] = {c->name, space};
    if (!make_tables(c, e))
        return false;
    if (query(c,
              "INSERT INTO iceberg_namespace_properties (catalog_name, namespace, "
              "property_key, property_value) VALUES (?1, ?2, 'exists', 'true')",
              values, 2, NULL, NULL, e))
        return true;
    if (e->code != MR_CATALOG_EXISTS)
        return false;
    err_clear(e);
    return true;
}

/* ---- tables ---- */

/* A row of just this namespace and table, not of one that a collation takes for it. */
static const char *
location_in(const struct sql_rows *rows, const struct catalog_name *name)
{
    for (size_t i = 0; i < rows->rows; i++) {
        const char **row = rows->cells + i * rows->columns;
        if (row[0] && row[1] && row[2] && strcmp(row[1], name->space) == 0 &&
            strcmp(row[2], name->table) == 0)
            return row[0];
    }
    return NULL;
}

/* The pointer of a table, the caller's. MR_CATALOG_MISSING. */
MUST static bool
find(struct catalog_sql *c, const struct catalog_name *name, char **location, struct err *e)
{
    struct arena a;
    struct sql_rows rows = {0};
    const char *values[] = {c->name, name->space, name->table};
    arena_init(&a, 0);
    bool ok = look(c, e) &&
              (!c->ready ||
               query(c,
                     "SELECT metadata_location, table_namespace, table_name FROM "
                     "iceberg_tables WHERE catalog_name = ?1 AND table_namespace = ?2 AND "
                     "table_name = ?3",
                     values, 3, &a, &rows, e));
    const char *at = ok ? location_in(&rows, name) : NULL;
    if (ok && !at)
        ok = err_set(e, MR_CATALOG_MISSING, "no table %s.%s in %s", name->space, name->table,
                     c->where);
    if (ok)
        *location = mem_strdup(at);
    arena_free(&a);
    return ok;
}

static bool
sql_load(struct catalog *base, const struct catalog_name *name, struct catalog_table *out,
         struct err *e)
{
    char *location;
    if (!find(sql_of(base), name, &location, e))
        return false;
    if (!catalog_read_metadata(base, location, &out->metadata, e)) {
        free(location);
        return false;
    }
    out->location = location;
    return true;
}

MUST static bool
has_namespace(struct catalog_sql *c, const char *space, struct err *e)
{
    struct arena a;
    struct sql_rows rows = {0};
    const char *values[] = {c->name, space};
    arena_init(&a, 0);
    bool ok =
        look(c, e) &&
        (!c->ready ||
         query(c,
               "SELECT 1 FROM iceberg_namespace_properties WHERE catalog_name = ?1 AND "
               "namespace = ?2 UNION SELECT 1 FROM iceberg_tables WHERE catalog_name = ?1 "
               "AND table_namespace = ?2 LIMIT 1",
               values, 2, &a, &rows, e));
    arena_free(&a);
    return ok && (rows.rows > 0 ||
                  err_set(e, MR_CATALOG_MISSING, "no namespace %s in %s", space, c->where));
}

/* The connection, within a transaction; NULL: *e. */
static struct sql_conn *
begin(struct catalog_sql *c, struct err *e)
{
    bool idle = c->conn != NULL;
    struct sql_conn *conn = connection(c, e);
    if (!conn)
        return NULL;
    if (sql_conn_begin(conn, e))
        return conn;
    conn = is_lost(c, e) && idle ? connection(c, e) : NULL;
    return conn && sql_conn_begin(conn, e) ? conn : NULL;
}

/* Runs a statement that must touch one row, as a transaction. *changed tells whether it did.
 * false: not done, or MR_CATALOG_UNKNOWN_OUTCOME. */
MUST static bool
swap(struct catalog_sql *c, const char *sql, const char *const *values, size_t n,
     unsigned *changed, struct err *e)
{
    struct sql_conn *conn = begin(c, e);
    if (!conn)
        return false;
    FAULT("lake.swap.before");
    bool ok = sql_conn_run(conn, sql, values, n, NULL, NULL, changed, e);
    if (!ok || *changed != 1) {
        if (ok || !is_lost(c, e))
            sql_conn_rollback(conn);
        return ok;
    }
    FAULT("lake.swap.before_commit");
    ok = sql_conn_commit(conn, e);
    FAULT("lake.swap.after_commit");
    if (!ok)
        is_lost(c, e);
    return ok;
}

/* Ends a swap: the new table in *out, or the file that nobody refers to removed. */
static bool
settle(struct catalog *base, bool done, char *location, struct metadata *m,
       struct catalog_table *out, const struct err *e)
{
    struct err ignored;
    if (done) {
        *out = (struct catalog_table){m, location};
        return true;
    }
    if (e->code != MR_CATALOG_UNKNOWN_OUTCOME)
        (void)!storage_remove(base->storage, location, &ignored);
    metadata_free(m);
    free(location);
    return false;
}

static bool
sql_create(struct catalog *base, const struct catalog_name *name, const struct metadata *m,
           struct catalog_table *out, struct err *e)
{
    struct catalog_sql *c = sql_of(base);
    unsigned changed = 0;
    char *location;
    struct metadata *copy;
    if (!has_namespace(c, name->space, e) || !metadata_of_json(json_clone(m->doc), &copy, e))
        return false;
    if (!catalog_write_metadata(base, m, NULL, &location, e)) {
        metadata_free(copy);
        return false;
    }
    const char *values[] = {c->name, name->space, name->table, location};
    bool done = swap(c,
                     "INSERT INTO iceberg_tables (catalog_name, table_namespace, table_name, "
                     "metadata_location) VALUES (?1, ?2, ?3, ?4)",
                     values, 4, &changed, e);
    if (!done && e->code == MR_CATALOG_EXISTS)
        err_set(e, MR_CATALOG_EXISTS, "%s.%s in %s", name->space, name->table, c->where);
    return settle(base, done, location, copy, out, e);
}

static bool
sql_commit(struct catalog *base, const struct catalog_name *name,
           const struct catalog_table *from, const struct catalog_commit *commit,
           struct catalog_table *out, struct err *e)
{
    struct catalog_sql *c = sql_of(base);
    struct metadata *next;
    char *location;
    unsigned changed = 0;
    if (!metadata_next(from->metadata, from->location, commit->requirements, commit->updates,
                       &next, e))
        return false;
    FAULT("lake.metadata.before");
    if (!catalog_write_metadata(base, next, from->location, &location, e)) {
        metadata_free(next);
        return false;
    }
    FAULT("lake.metadata.after");
    const char *values[] = {c->name, name->space, name->table, location, from->location};
    bool done = swap(c,
                     "UPDATE iceberg_tables SET metadata_location = ?4, "
                     "previous_metadata_location = ?5 WHERE catalog_name = ?1 AND "
                     "table_namespace = ?2 AND table_name = ?3 AND metadata_location = ?5",
                     values, 5, &changed, e);
    if (done && changed != 1)
        done = err_set(e, MR_CATALOG_CONFLICT, "%s.%s in %s has another state", name->space,
                       name->table, c->where);
    return settle(base, done, location, next, out, e);
}

static bool
sql_drop(struct catalog *base, const struct catalog_name *name, struct err *e)
{
    struct catalog_sql *c = sql_of(base);
    const char *values[] = {c->name, name->space, name->table};
    return look(c, e) &&
           (!c->ready || query(c,
                               "DELETE FROM iceberg_tables WHERE catalog_name = ?1 AND "
                               "table_namespace = ?2 AND table_name = ?3",
                               values, 3, NULL, NULL, e));
}

static void
sql_close(struct catalog *base)
{
    struct catalog_sql *c = sql_of(base);
    sql_conn_close(c->conn);
    storage_close(base->storage);
    uri_free(&c->uri);
    free(c->where);
    free(c->name);
    free(c->warehouse);
    free(c);
}

static const struct catalog_ops sql_ops = {
    .keeps_metadata = true,
    .make_namespace = sql_make_namespace,
    .load = sql_load,
    .create = sql_create,
    .commit = sql_commit,
    .drop = sql_drop,
    .close = sql_close,
};

static char *
without_slash(const char *s)
{
    size_t n = strlen(s);
    while (n > 1 && s[n - 1] == '/')
        n--;
    return mem_strn(bytes_of(s, n));
}

/* The URI names a file or a database. */
MUST static bool
check_uri(const struct uri *u, struct err *e)
{
    const char *driver = uri_param(u, "driver", "");
    if (!*uri_param(u, "warehouse", ""))
        return err_set(e, MR_BAD_URI, "iceberg+sql: the option warehouse is missing");
    if (!*u->host)
        return (u->path[0] == '/' && u->path[1]) ||
               err_set(e, MR_BAD_URI, "iceberg+sql:///ABSOLUTE/PATH names the catalog's file");
    if (strcmp(driver, "postgresql") != 0 && strcmp(driver, "mysql") != 0)
        return err_set(e, MR_BAD_URI, "iceberg+sql: option driver is postgresql or mysql");
    return (u->path[0] == '/' && u->path[1]) ||
           err_set(e, MR_BAD_URI, "iceberg+sql://USER@HOST:PORT/DATABASE names the catalog");
}

bool
catalog_sql_open(const struct uri *u, struct catalog **out, struct err *e)
{
    struct uri copy;
    if (!check_uri(u, e) || !uri_copy(u, &copy, e))
        return false;
    struct catalog_sql *c = mem_zalloc(sizeof(*c));
    c->base.ops = &sql_ops;
    c->uri = copy;
    c->where = *u->host ? mem_printf("%s%s", u->hosts, u->path) : mem_strdup(u->path);
    c->name = mem_strdup(uri_param(u, "catalog", "millrace"));
    c->warehouse = without_slash(uri_param(u, "warehouse", ""));
    c->base.warehouse = c->warehouse;
    struct storage_options o;
    if (!storage_options_of_uri(u, &o, e) ||
        !storage_open(c->warehouse, &o, &c->base.storage, e) || !look(c, e)) {
        sql_close(&c->base);
        return false;
    }
    *out = &c->base;
    return true;
}
