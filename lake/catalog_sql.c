/* The SQL catalog on SQLite: PyIceberg's SqlCatalog and Java's JdbcCatalog.
 *
 * Layout: apache/iceberg core/src/main/java/org/apache/iceberg/jdbc/JdbcUtil.java; schema V1
 * has the column iceberg_type more than V0, so INSERT names its columns. A namespace exists
 * when it has a property or a table. The commit is one transaction: UPDATE the pointer where it
 * is still the base's.
 *
 * Dying before the transaction is durable leaves an unreferenced metadata.json (an orphan),
 * dying behind it a committed table. The metadata.json is durable before the transaction
 * begins.
 */
#include <stdio.h>
#include <stdlib.h>

#include "base/fault.h"
#include "base/mem.h"
#include "db/sqlite.h"
#include "lake/catalog.h"

#define BUSY_MS 10000

struct catalog_sql {
    struct catalog base;
    struct sqlite_conn *conn;
    char *path;
    char *name; /* catalog_name of its rows */
    char *warehouse;
};

static struct catalog_sql *
sql_of(struct catalog *c)
{
    return (struct catalog_sql *)c;
}

/* A connection, made anew after one whose COMMIT was of unknown outcome. */
static bool
connect(struct catalog_sql *c, struct err *e)
{
    return c->conn || sqlite_conn_open(c->path, true, BUSY_MS, &c->conn, e);
}

static bool
run(struct catalog_sql *c, const char *sql, const char *const *values, size_t n,
    unsigned *changed, struct err *e)
{
    return connect(c, e) && sqlite_conn_run(c->conn, sql, values, n, NULL, NULL, changed, e);
}

static bool
make_tables(struct catalog_sql *c, struct err *e)
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
    for (size_t i = 0; i < ARRAY_LEN(statements); i++)
        if (!run(c, statements[i], NULL, 0, NULL, e))
            return false;
    return true;
}

static bool
sql_make_namespace(struct catalog *base, const char *space, struct err *e)
{
    struct catalog_sql *c = sql_of(base);
    const char *values[] = {c->name, space};
    return run(c,
               "INSERT INTO iceberg_namespace_properties (catalog_name, namespace, "
               "property_key, property_value) VALUES (?1, ?2, 'exists', 'true') "
               "ON CONFLICT DO NOTHING",
               values, 2, NULL, e);
}

/* The pointer of a table, the caller's. MR_CATALOG_MISSING. */
static bool
find(struct catalog_sql *c, const struct catalog_name *name, char **location, struct err *e)
{
    struct arena a;
    struct sqlite_rows rows = {0};
    const char *values[] = {c->name, name->space, name->table};
    arena_init(&a, 0);
    bool ok = connect(c, e) &&
              sqlite_conn_run(c->conn,
                              "SELECT metadata_location FROM iceberg_tables WHERE catalog_name "
                              "= ?1 AND table_namespace = ?2 AND table_name = ?3",
                              values, 3, &a, &rows, NULL, e);
    if (ok && (rows.rows == 0 || !rows.cells[0]))
        ok = err_set(e, MR_CATALOG_MISSING, "no table %s.%s in %s", name->space, name->table,
                     c->path);
    if (ok)
        *location = mem_strdup(rows.cells[0]);
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

static bool
has_namespace(struct catalog_sql *c, const char *space, struct err *e)
{
    struct arena a;
    struct sqlite_rows rows = {0};
    const char *values[] = {c->name, space};
    arena_init(&a, 0);
    bool ok = connect(c, e) &&
              sqlite_conn_run(
                  c->conn,
                  "SELECT 1 FROM iceberg_namespace_properties WHERE catalog_name = ?1 AND "
                  "namespace = ?2 UNION SELECT 1 FROM iceberg_tables WHERE catalog_name = ?1 "
                  "AND table_namespace = ?2 LIMIT 1",
                  values, 2, &a, &rows, NULL, e);
    arena_free(&a);
    return ok && (rows.rows > 0 ||
                  err_set(e, MR_CATALOG_MISSING, "no namespace %s in %s", space, c->path));
}

/* Runs a statement that must touch one row, as a transaction. *changed tells whether it did.
 * false: not done, or MR_CATALOG_UNKNOWN_OUTCOME. */
static bool
swap(struct catalog_sql *c, const char *sql, const char *const *values, size_t n,
     unsigned *changed, struct err *e)
{
    if (!connect(c, e) || !sqlite_conn_begin(c->conn, e))
        return false;
    FAULT("lake.swap.before");
    bool ok = run(c, sql, values, n, changed, e);
    if (!ok || *changed != 1) {
        sqlite_conn_rollback(c->conn);
        return ok;
    }
    FAULT("lake.swap.before_commit");
    ok = sqlite_conn_commit(c->conn, e);
    FAULT("lake.swap.after_commit");
    if (!ok && e->code == MR_CATALOG_UNKNOWN_OUTCOME) {
        sqlite_conn_close(c->conn);
        c->conn = NULL;
    }
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
                     "metadata_location) VALUES (?1, ?2, ?3, ?4) ON CONFLICT DO NOTHING",
                     values, 4, &changed, e);
    if (done && changed != 1)
        done = err_set(e, MR_CATALOG_EXISTS, "%s.%s in %s", name->space, name->table, c->path);
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
                       name->table, c->path);
    return settle(base, done, location, next, out, e);
}

static bool
sql_drop(struct catalog *base, const struct catalog_name *name, struct err *e)
{
    struct catalog_sql *c = sql_of(base);
    const char *values[] = {c->name, name->space, name->table};
    return run(c,
               "DELETE FROM iceberg_tables WHERE catalog_name = ?1 AND table_namespace = ?2 "
               "AND table_name = ?3",
               values, 3, NULL, e);
}

static void
sql_close(struct catalog *base)
{
    struct catalog_sql *c = sql_of(base);
    sqlite_conn_close(c->conn);
    storage_close(base->storage);
    free(c->path);
    free(c->name);
    free(c->warehouse);
    free(c);
}

static const struct catalog_ops sql_ops = {
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

bool
catalog_sql_open(const struct uri *u, struct catalog **out, struct err *e)
{
    const char *warehouse = uri_param(u, "warehouse", "");
    if (*u->host || u->path[0] != '/' || !u->path[1])
        return err_set(e, MR_BAD_URI, "iceberg+sql:///ABSOLUTE/PATH names the catalog's file");
    if (!*warehouse)
        return err_set(e, MR_BAD_URI, "iceberg+sql: the option warehouse is missing");
    struct catalog_sql *c = mem_zalloc(sizeof(*c));
    c->base.ops = &sql_ops;
    c->path = mem_strdup(u->path);
    c->name = mem_strdup(uri_param(u, "catalog", "millrace"));
    c->warehouse = without_slash(warehouse);
    c->base.warehouse = c->warehouse;
    if (!storage_open(warehouse, &c->base.storage, e) || !make_tables(c, e)) {
        sql_close(&c->base);
        return false;
    }
    *out = &c->base;
    return true;
}
