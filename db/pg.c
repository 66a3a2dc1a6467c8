/* PostgreSQL through libpq: see pg.h. */
#include "db/pg.h"

#include <libpq-fe.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "base/text.h"

struct pg_conn {
    struct sql_conn base;
    PGconn *pg;
    char where[300]; /* "host:port/database", for errors */
};

static struct pg_conn *
pg_of(struct sql_conn *c)
{
    return (struct pg_conn *)c;
}

enum err_code
pg_error_code(const char *s)
{
    static const struct {
        const char *prefix;
        enum err_code code;
    } known[] = {
        {"08", MR_CATALOG_UNREACHABLE},    /* connection */
        {"22001", MR_CATALOG_REJECTED},    /* a text is too long */
        {"23505", MR_CATALOG_EXISTS},      /* a row of that key */
        {"25006", MR_CATALOG_REFUSED},     /* read only */
        {"28", MR_CATALOG_REFUSED},        /* login */
        {"3D000", MR_CATALOG_ADDRESS},     /* no such database */
        {"42501", MR_CATALOG_REFUSED},     /* privilege */
        {"42P01", MR_CATALOG_MISSING},     /* no such table */
        {"42", MR_CATALOG_INVALID},        /* other columns, or no table at all */
        {"53100", MR_STORAGE_FULL},        /* disk full */
        {"53300", MR_CATALOG_UNREACHABLE}, /* too many connections */
        {"57P", MR_CATALOG_UNREACHABLE},   /* shutdown, starting up, dropped */
    };
    for (size_t i = 0; s && i < ARRAY_LEN(known); i++)
        if (text_starts(s, known[i].prefix))
            return known[i].code;
    return MR_CATALOG_ERROR;
}

/* libpq's messages are several lines; the first one says it. */
static bool
pg_failed(const struct pg_conn *c, enum err_code code, const char *message, struct err *e)
{
    return err_set(e, code, "%s: %.*s", c->where, (int)strcspn(message, "\n"), message);
}

/* What a login was refused for: libpq gives no SQLSTATE, only the server's words. */
static enum err_code
login_code(const char *message)
{
    static const char *const refused[] = {
        "authentication failed", "pg_hba.conf", "no password supplied", "role \"",
        "permission denied",     "certificate", "does not support SSL"};
    if (strstr(message, "database \"") && strstr(message, "does not exist"))
        return MR_CATALOG_ADDRESS;
    for (size_t i = 0; i < ARRAY_LEN(refused); i++)
        if (strstr(message, refused[i]))
            return MR_CATALOG_REFUSED;
    return MR_CATALOG_UNREACHABLE;
}

static bool
result_failed(struct pg_conn *c, const PGresult *r, struct err *e)
{
    const char *state = r ? PQresultErrorField(r, PG_DIAG_SQLSTATE) : NULL;
    bool lost = PQstatus(c->pg) != CONNECTION_OK;
    const char *message =
        r && *PQresultErrorMessage(r) ? PQresultErrorMessage(r) : PQerrorMessage(c->pg);
    return pg_failed(c, lost ? MR_CATALOG_UNREACHABLE : pg_error_code(state), message, e);
}

/* ?1 is $1 here. */
static char *
numbered(const char *sql)
{
    char *copy = mem_strdup(sql);
    for (char *p = copy; *p; p++)
        if (*p == '?')
            *p = '$';
    return copy;
}

static void
take_rows(const PGresult *r, struct arena *a, struct sql_rows *rows)
{
    size_t n = (size_t)PQntuples(r), columns = (size_t)PQnfields(r);
    rows->cells = arena_zalloc(a, (n * columns + 1) * sizeof(*rows->cells));
    for (size_t i = 0; i < n * columns; i++) {
        int row = (int)(i / columns), column = (int)(i % columns);
        if (!PQgetisnull(r, row, column))
            rows->cells[i] = arena_strdup(a, PQgetvalue(r, row, column));
    }
    rows->rows = n;
    rows->columns = (unsigned)columns;
}

static bool
pg_run(struct sql_conn *base, const char *sql, const char *const *values, size_t n,
       struct arena *a, struct sql_rows *rows, unsigned *changed, struct err *e)
{
    struct pg_conn *c = pg_of(base);
    uint64_t touched = 0;
    char *text = numbered(sql);
    PGresult *r = PQexecParams(c->pg, text, (int)n, NULL, values, NULL, NULL, 0);
    ExecStatusType status = PQresultStatus(r);
    bool ok = status == PGRES_COMMAND_OK || status == PGRES_TUPLES_OK;
    if (!ok)
        result_failed(c, r, e);
    else if (rows)
        take_rows(r, a, rows);
    if (ok && changed && text_u64(PQcmdTuples(r), &touched))
        *changed = (unsigned)touched;
    PQclear(r);
    free(text);
    return ok;
}

static bool
pg_begin(struct sql_conn *c, struct err *e)
{
    return pg_run(c, "BEGIN ISOLATION LEVEL READ COMMITTED", NULL, 0, NULL, NULL, NULL, e);
}

static bool
pg_commit(struct sql_conn *base, struct err *e)
{
    struct pg_conn *c = pg_of(base);
    PGresult *r = PQexec(c->pg, "COMMIT");
    bool ok = PQresultStatus(r) == PGRES_COMMAND_OK;
    if (!ok)
        result_failed(c, r, e);
    else if (strcmp(PQcmdStatus(r), "COMMIT") != 0) /* of a failed transaction: ROLLBACK */
        ok = pg_failed(c, MR_CATALOG_ERROR, "the transaction was rolled back", e);
    PQclear(r);
    if (ok || (e->code != MR_CATALOG_UNREACHABLE && PQstatus(c->pg) == CONNECTION_OK))
        return ok;
    e->code = MR_CATALOG_UNKNOWN_OUTCOME;
    return err_reclass(e, err_info(e->code)->class);
}

static void
pg_rollback(struct sql_conn *c)
{
    if (PQtransactionStatus(pg_of(c)->pg) != PQTRANS_IDLE)
        PQclear(PQexec(pg_of(c)->pg, "ROLLBACK"));
}

static void
pg_close(struct sql_conn *base)
{
    struct pg_conn *c = pg_of(base);
    PQfinish(c->pg);
    free(c);
}

static void
no_notice(void *ctx, const char *message)
{
    (void)ctx;
    (void)message;
}

static const struct sql_ops pg_ops = {
    .table_tail = "",
    .run = pg_run,
    .begin = pg_begin,
    .commit = pg_commit,
    .rollback = pg_rollback,
    .close = pg_close,
};

static bool
sslmode_of(const struct uri *u, const char **out, struct err *e)
{
    const char *tls = uri_param(u, "tls", "off");
    *out = !strcmp(tls, "off")      ? "disable"
           : !strcmp(tls, "on")     ? "require"
           : !strcmp(tls, "verify") ? "verify-full"
                                    : NULL;
    return *out || err_set(e, MR_BAD_URI, "option tls is not off, on or verify");
}

static bool
start(struct pg_conn *c, const struct uri *u, const char *sslmode, struct err *e)
{
    char port[8];
    const char *database = *u->path ? u->path + 1 : "";
    const char *const keys[] = {"host",
                                "port",
                                "user",
                                "password",
                                "dbname",
                                "sslmode",
                                "sslrootcert",
                                "keepalives_idle",
                                "keepalives_interval",
                                "keepalives_count",
                                "tcp_user_timeout",
                                "connect_timeout",
                                "client_encoding",
                                "application_name",
                                NULL};
    const char *const values[] = {
        u->host, port, u->user, u->password, database, sslmode, uri_param(u, "ca", ""),
        "10",    "10", "5",     "60000",     "10",     "UTF8",  "millrace",
        NULL};
    snprintf(port, sizeof(port), "%u", u->port ? u->port : 5432U);
    snprintf(c->where, sizeof(c->where), "%s:%s/%s", u->host, port, database);
    c->pg = PQconnectdbParams(keys, values, 0);
    if (!c->pg)
        mem_die("out of memory");
    if (PQstatus(c->pg) != CONNECTION_OK)
        return pg_failed(c, login_code(PQerrorMessage(c->pg)), PQerrorMessage(c->pg), e);
    PQsetNoticeProcessor(c->pg, no_notice, NULL);
    return pg_run(&c->base, "SET statement_timeout = 60000", NULL, 0, NULL, NULL, NULL, e) &&
           pg_run(&c->base, "SET lock_timeout = 10000", NULL, 0, NULL, NULL, NULL, e) &&
           pg_run(&c->base, "SET idle_in_transaction_session_timeout = 15000", NULL, 0, NULL,
                  NULL, NULL, e);
}

bool
pg_conn_open(const struct uri *u, struct sql_conn **out, struct err *e)
{
    const char *sslmode;
    if (!sslmode_of(u, &sslmode, e))
        return false;
    struct pg_conn *c = mem_zalloc(sizeof(*c));
    c->base.ops = &pg_ops;
    if (!start(c, u, sslmode, e)) {
        pg_close(&c->base);
        return false;
    }
    *out = &c->base;
    return true;
}
