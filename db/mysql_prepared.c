/* Prepared statements: see mysql_prepared.h. libmariadb prepares and executes; rows are read
 * past it as raw packets. */
#include "db/mysql_prepared.h"

#include <stdlib.h>

#include "base/mem.h"
#include "db/mysql_private.h"
#include "db/mysql_raw.h"

struct mysql_prepared {
    struct mysql_conn *conn;
    MYSQL_STMT *stmt;
    struct arena arena;
    struct mysql_result_column *columns;
    unsigned column_count;
    bool reading; /* rows are still to come */
};

static bool
fail(struct mysql_prepared *p, struct err *e)
{
    return mysql_fail(p->conn, mysql_stmt_errno(p->stmt), mysql_stmt_error(p->stmt), e);
}

/* Types come with every result: the table may have been altered since. */
static void
refresh_columns(struct mysql_prepared *p)
{
    for (unsigned i = 0; i < p->column_count; i++) {
        const MYSQL_FIELD *f = &p->stmt->fields[i];
        p->columns[i].type = (uint8_t)f->type;
        p->columns[i].is_unsigned = (f->flags & UNSIGNED_FLAG) != 0;
        p->columns[i].charset = (uint16_t)f->charsetnr;
        p->columns[i].length = (uint32_t)f->length;
        p->columns[i].decimals = (uint8_t)f->decimals;
    }
}

static void
learn_columns(struct mysql_prepared *p)
{
    p->column_count = mysql_stmt_field_count(p->stmt);
    p->columns = arena_zalloc(&p->arena, (p->column_count + 1) * sizeof(*p->columns));
    for (unsigned i = 0; i < p->column_count; i++)
        p->columns[i].name = arena_strdup(&p->arena, p->stmt->fields[i].name);
    refresh_columns(p);
}

bool
mysql_prepared_new(struct mysql_conn *c, struct bytes sql, struct mysql_prepared **out,
                   struct err *e)
{
    struct mysql_prepared *p = mem_zalloc(sizeof(*p));
    p->conn = c;
    arena_init(&p->arena, 4096);
    p->stmt = mysql_stmt_init(c->handle);
    if (!p->stmt)
        mem_die("out of memory");
    if (mysql_stmt_prepare(p->stmt, (const char *)sql.p, (unsigned long)sql.n)) {
        fail(p, e);
        mysql_prepared_free(p);
        return false;
    }
    learn_columns(p);
    *out = p;
    return true;
}

void
mysql_prepared_free(struct mysql_prepared *p)
{
    if (!p)
        return;
    mysql_stmt_close(p->stmt);
    arena_free(&p->arena);
    free(p);
}

const struct mysql_result_column *
mysql_prepared_columns(const struct mysql_prepared *p, unsigned *n)
{
    *n = p->column_count;
    return p->columns;
}

static void
bind_param(const struct mysql_param *from, MYSQL_BIND *to)
{
    static const enum enum_field_types types[] = {
        [MYSQL_PARAM_I64] = MYSQL_TYPE_LONGLONG,  [MYSQL_PARAM_U64] = MYSQL_TYPE_LONGLONG,
        [MYSQL_PARAM_DOUBLE] = MYSQL_TYPE_DOUBLE, [MYSQL_PARAM_TEXT] = MYSQL_TYPE_STRING,
        [MYSQL_PARAM_BINARY] = MYSQL_TYPE_BLOB,   [MYSQL_PARAM_DECIMAL] = MYSQL_TYPE_NEWDECIMAL,
    };
    *to = (MYSQL_BIND){.buffer_type = types[from->kind],
                       .is_unsigned = from->kind == MYSQL_PARAM_U64};
    if (from->kind < MYSQL_PARAM_TEXT) {
        to->buffer = (void *)(uintptr_t)&from->v;
        return;
    }
    to->buffer = from->bytes.n ? (void *)(uintptr_t)from->bytes.p : (void *)(uintptr_t)"";
    to->buffer_length = (unsigned long)from->bytes.n;
}

bool
mysql_prepared_run(struct mysql_prepared *p, const struct mysql_param *params, unsigned n,
                   struct err *e)
{
    MYSQL_BIND binds[MYSQL_PARAMS_MAX];
    if (n > MYSQL_PARAMS_MAX || n != mysql_stmt_param_count(p->stmt) || p->reading)
        return err_set(e, MR_INTERNAL, "a prepared statement was run the wrong way");
    for (unsigned i = 0; i < n; i++)
        bind_param(&params[i], &binds[i]);
    if (n && mysql_stmt_bind_param(p->stmt, binds))
        return fail(p, e);
    if (mysql_stmt_execute(p->stmt))
        return fail(p, e);
    if (mysql_stmt_field_count(p->stmt) != p->column_count)
        return mysql_fail(p->conn, 2057, "the result has other columns than when prepared", e);
    refresh_columns(p);
    p->reading = p->column_count > 0;
    return true;
}

/* Tells libmariadb that its result has been read, as its own fetch would. */
static void
rows_done(struct mysql_prepared *p)
{
    p->reading = false;
    p->conn->handle->status = MYSQL_STATUS_READY;
    p->stmt->state = MYSQL_STMT_FETCH_DONE;
}

bool
mysql_prepared_next(struct mysql_prepared *p, struct bytes *row, struct err *e)
{
    if (!p->reading) {
        *row = (struct bytes){NULL, 0};
        return true;
    }
    if (!mysql_raw_read(p->conn, row, NULL, e)) {
        rows_done(p);
        return false;
    }
    if (row->n == 0)
        rows_done(p);
    return true;
}
