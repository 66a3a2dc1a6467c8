/* Foreign keys whose actions change selected tables without rows in the log: see discover.h.
 *
 * InnoDB carries out CASCADE and SET NULL itself; only the parent's change is logged. MySQL
 * does it in SQL, and logs it, from 9.6 on unless innodb_native_foreign_keys is ON.
 */
#include "task/discover.h"

#define LOGGED_FROM 90600

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
has(struct bytes line, const char *text)
{
    return memmem(line.p, line.n, text, strlen(text)) != NULL;
}

/* Is it a line of SHOW CREATE TABLE that says a foreign key with an action? */
static bool
acts(struct bytes line)
{
    static const char *const actions[] = {"ON DELETE CASCADE", "ON DELETE SET",
                                          "ON UPDATE CASCADE", "ON UPDATE SET"};
    if (line.n < 14 || memcmp(line.p, "  CONSTRAINT `", 14) != 0 ||
        !has(line, " FOREIGN KEY ("))
        return false;
    size_t tail = line.n;
    while (tail > 0 && line.p[tail - 1] != ')')
        tail--;
    for (size_t i = 0; i < ARRAY_LEN(actions); i++)
        if (has(bytes_of(line.p + tail, line.n - tail), actions[i]))
            return true;
    return false;
}

static void
take_lines(struct discover *d, const struct discover_table *t, struct bytes text)
{
    while (text.n > 0) {
        const uint8_t *end = memchr(text.p, '\n', text.n);
        size_t n = end ? (size_t)(end - text.p) : text.n;
        struct bytes line = bytes_of(text.p, n);
        text = bytes_of(text.p + n, text.n - n);
        text.p += text.n > 0;
        text.n -= text.n > 0;
        if (!acts(line))
            continue;
        line = bytes_of(line.p + 2, line.n - 2 - (line.p[line.n - 1] == ','));
        const char **list = arena_alloc(&d->mem, (d->cascades_len + 1) * sizeof(char *));
        for (size_t i = 0; i < d->cascades_len; i++)
            list[i] = d->cascades[i];
        list[d->cascades_len++] =
            arena_printf(&d->mem, "table %s.%s: %.*s", t->db, t->table,
                         (int)(line.n < 300 ? line.n : 300), (const char *)line.p);
        d->cascades = list;
    }
}

/* By SHOW CREATE TABLE: information_schema shows foreign keys only to who may do more than
 * SELECT. */
MUST static bool
look_at(struct mysql_conn *c, struct discover *d, const struct discover_table *t, struct err *e)
{
    struct mysql_rows r;
    struct arena a;
    struct buf sql = {0};
    arena_init(&a, 0);
    buf_add_str(&sql, "SHOW CREATE TABLE ");
    mysql_quote_table(bytes_str(t->db), bytes_str(t->table), &sql);
    bool ok = mysql_conn_select(c, buf_bytes(&sql), &a, &r, e);
    if (ok && r.rows == 1 && r.columns >= 2 && r.cells[1].p)
        take_lines(d, t, r.cells[1]);
    buf_free(&sql);
    arena_free(&a);
    return ok;
}

bool
discover_cascades(struct mysql_conn *c, struct discover *d, struct err *e)
{
    bool logged;
    if (!are_logged(c, &d->mem, &logged, e))
        return false;
    for (size_t i = 0; !logged && i < d->tables_len; i++)
        if (!look_at(c, d, &d->tables[i], e))
            return false;
    return true;
}
