/* Target tables: looked at, made, altered, truncated, swapped.
 *
 * A step may be done twice, by us or by the next owner: each looks whether there is something
 * left to do. CREATE and EVOLVE are done when the table takes the version's rows; COPY begins
 * by dropping what it made before; SWAP is one RENAME, done when the hidden table is gone,
 * followed by the drop of the old content under a name derived from the hidden one. TRUNCATE
 * and REMOVE are the same done twice.
 *
 * DDL commits implicitly and is not part of any transaction: see apply/steps.c for the intent
 * around it. It runs on the lane's own connection, which a later owner ends before it looks
 * (target.c). Thread: the lane's.
 */
#include "apply/mysql/target.h"

#include <stdio.h>

#include "base/hash.h"
#include "base/log.h"
#include "schema/target_ddl_mysql.h"

static struct ddl_target
ddl_target_of(const struct sink_lane *l, const char *db, const char *table)
{
    return (struct ddl_target){.flavor = l->sink->maria ? FLAVOR_MARIADB : FLAVOR_MYSQL,
                               .database = db,
                               .table = table,
                               .lacks_vector = l->sink->lacks_vector,
                               .collations = l->sink->collations,
                               .collation_count = l->sink->collations_len};
}

static void
add_table(const char *db, const char *table, struct buf *out)
{
    mysql_quote_table(bytes_str(db), bytes_str(table), out);
}

/* Under this name the content that a swap replaced waits for its drop. */
static void
add_old(const struct sink_step *s, struct buf *out)
{
    char name[80];
    if (s->moves)
        snprintf(name, sizeof name, "_millrace_old_%08x", hash_crc32(0, bytes_str(s->table)));
    else
        snprintf(name, sizeof name, "%.59s_old", s->other);
    add_table(s->db, name, out);
}

/* ---- look ---- */

MUST static bool
table_there(struct sink_lane *l, const char *db, const char *table, bool *there, struct err *e)
{
    struct arena a;
    arena_init(&a, 0);
    struct mysql_rows rows;
    buf_reset(&l->sql);
    buf_add_str(&l->sql, "SELECT 1 FROM information_schema.tables WHERE table_schema = ");
    mysql_quote_text(bytes_str(db), &l->sql);
    buf_add_str(&l->sql, " AND table_name = ");
    mysql_quote_text(bytes_str(table), &l->sql);
    bool ok = mysql_conn_select(l->conn, buf_bytes(&l->sql), &a, &rows, e);
    *there = ok && rows.rows > 0;
    arena_free(&a);
    return ok;
}

MUST static bool
table_empty(struct sink_lane *l, const char *db, const char *table, bool *empty, struct err *e)
{
    struct arena a;
    arena_init(&a, 0);
    struct mysql_rows rows;
    buf_reset(&l->sql);
    buf_add_str(&l->sql, "SELECT 1 FROM ");
    add_table(db, table, &l->sql);
    buf_add_str(&l->sql, " LIMIT 1");
    bool ok = mysql_conn_select(l->conn, buf_bytes(&l->sql), &a, &rows, e);
    *empty = ok && rows.rows == 0;
    arena_free(&a);
    return ok;
}

/* The first line of the differences. */
static void
set_why(struct buf *lines, struct sink_look *out)
{
    const char *text = buf_cstr(lines);
    size_t n = strcspn(text, "\n");
    snprintf(out->why, sizeof out->why, "%.*s", (int)(n < 250 ? n : 250), text);
}

MUST static bool
look(struct sink_lane *l, const char *db, const char *table, const struct table *version,
     struct sink_look *out, struct err *e)
{
    *out = (struct sink_look){.shape = SINK_ABSENT};
    struct table *have;
    if (!session_ready(l, e) || !shape_read(l->conn, db, table, &have, e))
        return false;
    if (!have)
        return true;
    struct buf lines = {0};
    out->shape = ddl_compare(version, have, &lines) ? SINK_FITS : SINK_DIFFERS;
    out->more_unique = have->unique_count > 1;
    set_why(&lines, out);
    buf_free(&lines);
    table_unref(have);
    return table_empty(l, db, table, &out->empty, e);
}

bool
ddl_look(struct sink_lane *l, const char *db, const char *table, const struct table *version,
         struct sink_look *out, struct err *e)
{
    bool ok = look(l, db, table, version, out, e);
    session_rollback(l);
    return ok || err_wrap(e, "looking at %s.%s", db, table);
}

/* ---- texts ---- */

/* The new name of a column. */
static const char *
name_now(const struct sink_step *s, const char *name)
{
    for (size_t i = 0; i < s->rename_count; i++)
        if (!strcmp(s->renames[i].from, name))
            return s->renames[i].to;
    return name;
}

/* The row's key must stay what it is: rows are found by it. */
MUST static bool
same_key(const struct sink_step *s, struct err *e)
{
    const struct table *from = s->from, *to = s->to;
    bool same = from->key_count == to->key_count;
    for (unsigned i = 0; same && i < to->key_count; i++)
        same = !strcmp(name_now(s, from->columns[from->key[i]].name),
                       to->columns[to->key[i]].name);
    if (!same)
        return err_set(e, MR_TARGET_DDL, "pk column different");
    for (unsigned i = 0; i < to->key_count; i++)
        if (from->columns[from->key[i]].type != to->columns[to->key[i]].type)
            return err_set(e, MR_TARGET_DDL, "pk column type mismatch: column %s",
                           to->columns[to->key[i]].name);
    return true;
}

MUST static bool
evolve_text(struct sink_lane *l, const struct sink_step *s, struct buf *out, struct err *e)
{
    struct ddl_target to = ddl_target_of(l, s->db, s->table);
    struct ddl_alter what = {0};
    if (!s->from)
        return err_set(e, MR_TARGET_DDL, "the version before is not known");
    if (!s->empty && !same_key(s, e))
        return false;
    if (!ddl_alter_table(s->from, s->to, &to, s->renames, s->rename_count, &what, out))
        return err_set(e, MR_TARGET_DDL, "invalid modify column: the change cannot be written");
    if (!what.exact && !s->empty)
        return err_set(e, MR_TARGET_DDL,
                       "invalid modify column: rows that are there would differ");
    return true;
}

MUST static bool
create_text(struct sink_lane *l, const struct sink_step *s, struct buf *out, struct err *e)
{
    struct ddl_target to = ddl_target_of(l, s->db, s->table);
    struct buf notes = {0};
    bool ok = ddl_create_table(s->to, &to, out, &notes, e);
    if (ok && notes.n)
        log_info("target_table_notes", F_STR("table", s->table),
                 F_STR("notes", buf_cstr(&notes)));
    buf_free(&notes);
    return ok;
}

bool
ddl_text(struct sink_lane *l, const struct sink_step *s, struct buf *out, struct err *e)
{
    struct ddl_target to = ddl_target_of(l, s->db, s->table);
    switch (s->what) {
    case SINK_CREATE:
        return create_text(l, s, out, e);
    case SINK_EVOLVE:
        return evolve_text(l, s, out, e);
    case SINK_TRUNCATE:
        ddl_truncate_table(&to, out);
        return true;
    case SINK_COPY:
        buf_add_str(out, "CREATE TABLE ");
        add_table(s->db, s->other, out);
        buf_add_str(out, " LIKE ");
        add_table(s->db, s->table, out);
        return true;
    case SINK_SWAP:
        buf_add_str(out, "RENAME TABLE ");
        add_table(s->db, s->table, out);
        buf_add_str(out, " TO ");
        add_old(s, out);
        buf_add_str(out, ", ");
        add_table(s->db, s->other, out);
        buf_add_str(out, " TO ");
        add_table(s->db, s->table, out);
        return true;
    case SINK_REMOVE:
        buf_add_str(out, "DROP TABLE IF EXISTS ");
        add_table(s->db, s->table, out);
        return true;
    }
    return err_set(e, MR_INTERNAL, "step %d", (int)s->what);
}

/* ---- steps ---- */

MUST static bool
run_text(struct sink_lane *l, const struct sink_step *s, struct err *e)
{
    buf_reset(&l->sql);
    return ddl_text(l, s, &l->sql, e) && session_exec(l, NULL, e);
}

MUST static bool
drop_old(struct sink_lane *l, const struct sink_step *s, bool other_too, struct err *e)
{
    buf_reset(&l->sql);
    buf_add_str(&l->sql, "DROP TABLE IF EXISTS ");
    add_old(s, &l->sql);
    if (other_too) {
        buf_add_byte(&l->sql, ',');
        add_table(s->db, s->other, &l->sql);
    }
    return session_exec(l, NULL, e);
}

/* A column that the version before had and the new one lacks is still there: a table may keep
 * columns of its own, but not those that the source dropped. */
MUST static bool
column_left(struct sink_lane *l, const struct sink_step *s, bool *left, struct err *e)
{
    struct table *have;
    *left = false;
    if (!s->from)
        return true;
    if (!session_ready(l, e) || !shape_read(l->conn, s->db, s->table, &have, e))
        return false;
    for (unsigned i = 0; have && i < s->from->column_count; i++) {
        struct bytes name = bytes_str(s->from->columns[i].name);
        if (table_column_find(s->to, name) < 0 && table_column_find(have, name) >= 0)
            *left = true;
    }
    table_unref(have);
    return true;
}

/* CREATE and EVOLVE: unless the table fits already; what the server says is only believed after
 * a look. */
MUST static bool
make_fit(struct sink_lane *l, const struct sink_step *s, struct err *e)
{
    struct sink_look now;
    struct err refused = {0};
    bool left;
    if (!look(l, s->db, s->table, s->to, &now, e) || !column_left(l, s, &left, e))
        return false;
    if (now.shape == SINK_FITS && !left)
        return true;
    session_rollback(l);
    if (!session_ready(l, e))
        return false;
    bool done = run_text(l, s, &refused);
    if (!done && refused.class != ERR_TABLE && refused.code != MR_TARGET_QUERY) {
        *e = refused;
        return false;
    }
    if (!look(l, s->db, s->table, s->to, &now, e))
        return false;
    if (now.shape == SINK_FITS)
        return true;
    return err_set(e, MR_TARGET_DDL, "%s.%s: %s", s->db, s->table,
                   done ? now.why : refused.text);
}

MUST static bool
create(struct sink_lane *l, const struct sink_step *s, struct err *e)
{
    struct buf db = {0};
    bool there;
    mysql_quote_name(bytes_str(s->db), &db);
    bool ok = table_there(l, s->db, s->table, &there, e) &&
              (there ||
               mysql_conn_execf(l->conn, e, "CREATE DATABASE IF NOT EXISTS %s", buf_cstr(&db)));
    buf_free(&db);
    return ok && make_fit(l, s, e);
}

MUST static bool
swap(struct sink_lane *l, const struct sink_step *s, struct err *e)
{
    bool hidden, target;
    if (!table_there(l, s->db, s->other, &hidden, e) ||
        !table_there(l, s->db, s->table, &target, e))
        return false;
    if (hidden) {
        if (!drop_old(l, s, false, e))
            return false;
        buf_reset(&l->sql);
        if (target) {
            if (!ddl_text(l, s, &l->sql, e))
                return false;
        } else {
            buf_add_str(&l->sql, "RENAME TABLE ");
            add_table(s->db, s->other, &l->sql);
            buf_add_str(&l->sql, " TO ");
            add_table(s->db, s->table, &l->sql);
        }
        if (!session_exec(l, NULL, e))
            return false;
    }
    return drop_old(l, s, false, e);
}

bool
ddl_do(struct sink_lane *l, const struct sink_step *s, struct err *e)
{
    if (!session_ready(l, e))
        return false;
    bool ok = false;
    switch (s->what) {
    case SINK_CREATE:
        ok = create(l, s, e);
        break;
    case SINK_EVOLVE:
        ok = make_fit(l, s, e);
        break;
    case SINK_COPY:
        ok = drop_old(l, s, true, e) && run_text(l, s, e);
        break;
    case SINK_SWAP:
        ok = swap(l, s, e);
        break;
    case SINK_TRUNCATE:
        ok = s->to->rows == TABLE_APPEND || run_text(l, s, e); /* a log keeps what was */
        break;
    case SINK_REMOVE:
        ok = run_text(l, s, e);
        break;
    }
    session_rollback(l);
    return ok || err_wrap(e, "DDL at %s.%s", s->db, s->table);
}
