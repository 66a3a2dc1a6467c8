/* Foreign keys whose actions change selected tables without rows in the log: see discover.h.
 *
 * InnoDB carries out CASCADE and SET NULL itself; only the parent's change is logged. MySQL
 * does it in SQL, and logs it, from 9.6 on unless innodb_native_foreign_keys is ON.
 */
#include "task/discover.h"

#define LOGGED_FROM 90600

static const char cascades_sql[] =
    "SELECT constraint_schema, table_name, constraint_name, referenced_table_name, "
    "delete_rule, "
    "update_rule FROM information_schema.referential_constraints WHERE "
    "delete_rule IN ('CASCADE', 'SET NULL', 'SET DEFAULT') OR "
    "update_rule IN ('CASCADE', 'SET NULL', 'SET DEFAULT') "
    "ORDER BY constraint_schema, table_name, constraint_name";

/* The server logs what its foreign keys do. */
MUST static bool
are_logged(struct mysql_conn *c, struct arena *a, bool *out, struct err *e)
{
    struct mysql_rows r;
    const struct mysql_server *server = mysql_conn_server(c);
    *out = false;
    if (server->flavor == MYSQL_FLAVOR_MARIADB || server->version < LOGGED_FROM)
        return true;
    if (!mysql_conn_selectf(c, a, &r, e,
                            "SHOW GLOBAL VARIABLES LIKE 'innodb_native_foreign_keys'"))
        return false;
    *out = r.rows == 0 || !bytes_eq(r.cells[1], BYTES_LIT("ON"));
    return true;
}

static bool
is_selected(const struct discover *d, struct bytes db, struct bytes table)
{
    for (size_t i = 0; i < d->tables_len; i++)
        if (bytes_eq(bytes_str(d->tables[i].db), db) &&
            bytes_eq(bytes_str(d->tables[i].table), table))
            return true;
    return false;
}

static const char *
rule(struct discover *d, struct bytes text)
{
    return arena_strn(&d->mem, text);
}

bool
discover_cascades(struct mysql_conn *c, struct discover *d, struct err *e)
{
    struct mysql_rows r;
    bool logged;
    if (!are_logged(c, &d->mem, &logged, e))
        return false;
    if (logged)
        return true;
    if (!mysql_conn_select(c, bytes_str(cascades_sql), &d->mem, &r, e))
        return false;
    d->cascades = arena_zalloc(&d->mem, (r.rows + 1) * sizeof(char *));
    for (size_t i = 0; i < r.rows; i++) {
        const struct bytes *row = r.cells + i * r.columns;
        if (!is_selected(d, row[0], row[1]))
            continue;
        d->cascades[d->cascades_len++] = arena_printf(
            &d->mem, "table %s.%s, foreign key %s to %s (on delete %s, on update %s)",
            rule(d, row[0]), rule(d, row[1]), rule(d, row[2]), rule(d, row[3]), rule(d, row[4]),
            rule(d, row[5]));
    }
    return true;
}
