/* Column types of the selected tables that do not arrive as they are: see discover.h. */
#include <stdlib.h>

#include "base/map.h"
#include "schema/types_mysql.h"
#include "task/discover.h"

static const char columns_sql[] =
    "SELECT table_schema, table_name, LOWER(data_type), COUNT(*), MIN(column_name) "
    "FROM information_schema.columns WHERE table_schema NOT IN "
    "('mysql', 'sys', 'information_schema', 'performance_schema') "
    "GROUP BY table_schema, table_name, LOWER(data_type) ORDER BY table_schema, table_name";

/* "db\0table" */
static struct bytes
table_key(struct bytes db, struct bytes table, struct arena *a)
{
    uint8_t *p = arena_alloc(a, db.n + table.n + 1);
    memcpy(p, db.p, db.n);
    p[db.n] = 0;
    memcpy(p + db.n + 1, table.p, table.n);
    return bytes_of(p, db.n + table.n + 1);
}

/* NULL: it arrives as it is. */
static const char *
policy_of(struct bytes type, struct arena *a)
{
    enum column_type t;
    const char *name = arena_strn(a, type);
    if (type_by_name(name, &t))
        return type_mysql(t)->policy;
    bool geometry = strstr(name, "point") || strstr(name, "line") || strstr(name, "polygon") ||
                    strstr(name, "geom");
    return geometry ? NULL : "not supported: its table is not captured";
}

static void
count_type(struct discover *d, const struct bytes *row, const char *policy)
{
    struct discover_type *t = d->types;
    const char *name = arena_strn(&d->mem, row[2]);
    while (t < d->types + d->types_len && strcmp(t->name, name) != 0)
        t++;
    if (t == d->types + d->types_len) {
        if (d->types_len == ARRAY_LEN(d->types))
            return;
        d->types_len++;
        *t = (struct discover_type){
            .name = name,
            .policy = policy,
            .first = arena_printf(&d->mem, "%.*s.%.*s.%.*s", (int)row[0].n,
                                  (const char *)row[0].p, (int)row[1].n, (const char *)row[1].p,
                                  (int)row[4].n, (const char *)row[4].p)};
    }
    t->columns += strtoull(arena_strn(&d->mem, row[3]), NULL, 10);
}

bool
discover_types(struct mysql_conn *c, struct discover *d, struct err *e)
{
    struct mysql_rows r;
    struct map selected = {0};
    if (!mysql_conn_select(c, bytes_str(columns_sql), &d->mem, &r, e))
        return false;
    for (size_t i = 0; i < d->tables_len; i++) {
        bool fresh;
        map_put(&selected,
                table_key(bytes_str(d->tables[i].db), bytes_str(d->tables[i].table), &d->mem),
                &fresh);
    }
    for (size_t i = 0; i < r.rows; i++) {
        const struct bytes *row = r.cells + i * r.columns;
        const char *policy = policy_of(row[2], &d->mem);
        if (policy && map_get(&selected, table_key(row[0], row[1], &d->mem)))
            count_type(d, row, policy);
    }
    map_free(&selected);
    return true;
}
