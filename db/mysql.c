/* One connection: see mysql.h. libmariadb does connection, TLS, authentication and the text
 * protocol. */
#include "db/mysql.h"

#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>

#include "base/mem.h"
#include "base/text.h"
#include "db/mysql_private.h"

enum tls_mode { TLS_OFF, TLS_ON, TLS_VERIFY };

static pthread_once_t library_once = PTHREAD_ONCE_INIT;

static void
library_init(void)
{
    if (mysql_library_init(0, NULL, NULL))
        mem_die("libmariadb cannot be initialised");
}

MUST static bool
tls_mode_of(const struct uri *u, enum tls_mode *mode, struct err *e)
{
    static const char *const names[] = {"off", "on", "verify"};
    const char *text = uri_param(u, "tls", "off");
    for (size_t i = 0; i < ARRAY_LEN(names); i++)
        if (strcmp(text, names[i]) == 0) {
            *mode = (enum tls_mode)i;
            return true;
        }
    return err_set(e, MR_BAD_URI, "option tls is not off, on or verify");
}

static void
set_options(MYSQL *h, const struct uri *u, const struct mysql_options *o, enum tls_mode tls)
{
    unsigned connect_s = o->connect_timeout_s ? o->connect_timeout_s : 10;
    unsigned read_s = o->read_timeout_s ? o->read_timeout_s : 60;
    unsigned write_s = o->write_timeout_s ? o->write_timeout_s : 60;
    unsigned local = o->local_infile;
    my_bool enforce = tls != TLS_OFF;
    my_bool verify = tls == TLS_VERIFY;
    my_bool reconnect = 0;
    enum mysql_protocol_type tcp = MYSQL_PROTOCOL_TCP;
    const char *ca = uri_param(u, "ca", NULL);
    mysql_optionsv(h, MYSQL_OPT_CONNECT_TIMEOUT, &connect_s);
    mysql_optionsv(h, MYSQL_OPT_READ_TIMEOUT, &read_s);
    mysql_optionsv(h, MYSQL_OPT_WRITE_TIMEOUT, &write_s);
    mysql_optionsv(h, MYSQL_OPT_LOCAL_INFILE, &local);
    mysql_optionsv(h, MYSQL_OPT_RECONNECT, &reconnect);
    mysql_optionsv(h, MYSQL_OPT_PROTOCOL, &tcp);
    mysql_optionsv(h, MYSQL_SET_CHARSET_NAME, "utf8mb4");
    mysql_optionsv(h, MYSQL_OPT_SSL_ENFORCE, &enforce);
    mysql_optionsv(h, MYSQL_OPT_SSL_VERIFY_SERVER_CERT, &verify);
    if (enforce && ca)
        mysql_optionsv(h, MYSQL_OPT_SSL_CA, ca);
    mysql_optionsv(h, MYSQL_OPT_CONNECT_ATTR_ADD, "program_name", "millrace");
}

/* "5.5.5-10.11.19-MariaDB-..." or "8.0.31" -> 101119, 80031. */
static unsigned
version_number(const char *text)
{
    unsigned part[3] = {0, 0, 0};
    if (strncmp(text, "5.5.5-", 6) == 0)
        text += 6;
    for (int i = 0; i < 3 && *text >= '0' && *text <= '9'; i++) {
        char *end;
        part[i] = (unsigned)strtoul(text, &end, 10) % 10000;
        text = *end == '.' ? end + 1 : end;
    }
    return part[0] * 10000 + part[1] * 100 + part[2];
}

static enum mysql_flavor
flavor_of(const char *text)
{
    if (strcasestr(text, "mariadb"))
        return MYSQL_FLAVOR_MARIADB;
    if (strcasestr(text, "tidb"))
        return MYSQL_FLAVOR_TIDB;
    return strcasestr(text, "matrixone") ? MYSQL_FLAVOR_MATRIXONE : MYSQL_FLAVOR_MYSQL;
}

static void
learn_server(struct mysql_conn *c)
{
    const char *text = mysql_get_server_info(c->handle);
    c->server.text = text ? text : "";
    c->server.flavor = flavor_of(c->server.text);
    c->server.version = version_number(c->server.text);
    c->server.thread_id = mysql_thread_id(c->handle);
    c->server.cipher = mysql_get_ssl_cipher(c->handle);
}

MUST static bool
connect_handle(struct mysql_conn *c, const struct uri *u, const struct mysql_options *o,
               struct err *e)
{
    enum tls_mode tls = TLS_OFF;
    if (!tls_mode_of(u, &tls, e))
        return false;
    set_options(c->handle, u, o, tls);
    unsigned long flags = o->found_rows ? CLIENT_FOUND_ROWS : 0;
    unsigned port = u->port ? u->port : 3306;
    const char *user = u->user ? u->user : "";
    const char *password = u->password ? u->password : "";
    if (!mysql_real_connect(c->handle, u->host, user, password, NULL, port, NULL, flags))
        return mysql_fail_handle(c, e);
    learn_server(c);
    /* libmariadb falls back to plain text without a word when the server has no TLS */
    if (tls != TLS_OFF && !c->server.cipher)
        return mysql_fail(c, 2026, "the server offers no TLS", e);
    return true;
}

bool
mysql_conn_open(const struct uri *u, const struct mysql_options *o, struct mysql_conn **out,
                struct err *e)
{
    pthread_once(&library_once, library_init);
    struct mysql_conn *c = mem_zalloc(sizeof(*c));
    c->side = o->side;
    snprintf(c->where, sizeof(c->where), "%s:%u", u->host, u->port ? u->port : 3306U);
    c->handle = mysql_init(NULL);
    if (!c->handle)
        mem_die("out of memory");
    if (!connect_handle(c, u, o, e)) {
        mysql_conn_close(c);
        return false;
    }
    *out = c;
    return true;
}

void
mysql_conn_close(struct mysql_conn *c)
{
    if (!c)
        return;
    mysql_close(c->handle);
    free(c);
}

const struct mysql_server *
mysql_conn_server(const struct mysql_conn *c)
{
    return &c->server;
}

void
mysql_conn_interrupt(struct mysql_conn *c)
{
    my_socket fd = mysql_get_socket(c->handle);
    if (fd >= 0)
        shutdown(fd, SHUT_RDWR);
}

unsigned
mysql_conn_errno(const struct mysql_conn *c)
{
    return c->last_errno;
}

MUST static bool
send_query(struct mysql_conn *c, struct bytes sql, struct err *e)
{
    c->last_errno = 0;
    if (mysql_real_query(c->handle, (const char *)sql.p, (unsigned long)sql.n))
        return mysql_fail_handle(c, e);
    return true;
}

/* Drops what rows there are. */
MUST static bool
finish_query(struct mysql_conn *c, struct mysql_done *done, struct err *e)
{
    MYSQL_RES *res = mysql_use_result(c->handle);
    if (res)
        mysql_free_result(res);
    if (mysql_errno(c->handle))
        return mysql_fail_handle(c, e);
    if (done) {
        done->affected = mysql_affected_rows(c->handle);
        done->insert_id = mysql_insert_id(c->handle);
        done->warnings = mysql_warning_count(c->handle);
    }
    return true;
}

bool
mysql_conn_exec(struct mysql_conn *c, struct bytes sql, struct mysql_done *done, struct err *e)
{
    return send_query(c, sql, e) && finish_query(c, done, e);
}

bool
mysql_conn_execf(struct mysql_conn *c, struct err *e, const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    AUTO_FREE char *sql = NULL;
    if (vasprintf(&sql, fmt, args) < 0)
        mem_die("out of memory");
    va_end(args);
    return mysql_conn_exec(c, bytes_str(sql), NULL, e);
}

bool
mysql_conn_commit(struct mysql_conn *c, struct err *e)
{
    c->committing = true;
    bool ok = mysql_conn_exec(c, BYTES_LIT("COMMIT"), NULL, e);
    c->committing = false;
    return ok;
}

bool
mysql_conn_each(struct mysql_conn *c, struct bytes sql, mysql_row_fn *each, void *ctx,
                struct err *e)
{
    if (!send_query(c, sql, e))
        return false;
    MYSQL_RES *res = mysql_use_result(c->handle);
    if (!res)
        return mysql_errno(c->handle) ? mysql_fail_handle(c, e) : true;
    unsigned n = mysql_num_fields(res);
    struct bytes *cells = mem_array(n ? n : 1, sizeof(*cells));
    bool ok = true;
    MYSQL_ROW row;
    while (ok && (row = mysql_fetch_row(res))) {
        const unsigned long *lengths = mysql_fetch_lengths(res);
        for (unsigned i = 0; i < n; i++)
            cells[i] = bytes_of(row[i], row[i] ? lengths[i] : 0);
        ok = each(ctx, cells, n, e);
    }
    if (ok && mysql_errno(c->handle))
        ok = mysql_fail_handle(c, e);
    mysql_free_result(res);
    free(cells);
    return ok;
}

struct select_into {
    struct arena *arena;
    struct bytes *cells;
    size_t len, cap;
};

static bool
select_row(void *ctx, const struct bytes *cells, unsigned columns, struct err *e)
{
    (void)e;
    struct select_into *s = ctx;
    if (s->len + columns > s->cap) {
        s->cap = (s->len + columns) * 2;
        s->cells = mem_realloc(s->cells, s->cap * sizeof(*s->cells));
    }
    for (unsigned i = 0; i < columns; i++)
        s->cells[s->len++] =
            cells[i].p ? bytes_of(arena_strn(s->arena, cells[i]), cells[i].n) : cells[i];
    return true;
}

bool
mysql_conn_select(struct mysql_conn *c, struct bytes sql, struct arena *a,
                  struct mysql_rows *out, struct err *e)
{
    struct select_into s = {.arena = a};
    bool ok = mysql_conn_each(c, sql, select_row, &s, e);
    if (ok) {
        unsigned n = mysql_field_count(c->handle);
        struct bytes all = arena_copy(a, bytes_of(s.cells, s.len * sizeof(*s.cells)));
        *out = (struct mysql_rows){.cells = (const struct bytes *)(const void *)all.p,
                                   .rows = n ? s.len / n : 0,
                                   .columns = n};
    }
    free(s.cells);
    return ok;
}

bool
mysql_conn_selectf(struct mysql_conn *c, struct arena *a, struct mysql_rows *out, struct err *e,
                   const char *fmt, ...)
{
    va_list args;
    va_start(args, fmt);
    AUTO_FREE char *sql = NULL;
    if (vasprintf(&sql, fmt, args) < 0)
        mem_die("out of memory");
    va_end(args);
    return mysql_conn_select(c, bytes_str(sql), a, out, e);
}

static int
load_begin(void **state, const char *name, void *user)
{
    (void)name;
    *state = user;
    return 0;
}

static int
load_read(void *state, char *to, unsigned size)
{
    struct bytes *data = &((struct mysql_conn *)state)->load_data;
    size_t n = data->n < size ? data->n : size;
    if (n)
        memcpy(to, data->p, n);
    *data = bytes_of(n ? data->p + n : data->p, data->n - n);
    return (int)n;
}

static void
load_end(void *state)
{
    (void)state;
}

static int
load_error(void *state, char *message, unsigned size)
{
    (void)state;
    snprintf(message, size, "local data could not be read");
    return 2000;
}

bool
mysql_conn_load(struct mysql_conn *c, struct bytes sql, struct bytes data,
                struct mysql_done *done, struct err *e)
{
    c->load_data = data;
    mysql_set_local_infile_handler(c->handle, load_begin, load_read, load_end, load_error, c);
    bool ok = mysql_conn_exec(c, sql, done, e);
    c->load_data = (struct bytes){NULL, 0};
    return ok;
}
