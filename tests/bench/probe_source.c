/* The limits of a source and a target of the MySQL family: what any copier pays, and nothing
 * more. One `key=value ...` line each.
 *
 *   probe_source select URI DB TABLE          a prepared SELECT of all rows, drained unread
 *   probe_source fetch URI FROM UNTIL         the binary log between two positions (JSON), raw
 *   probe_source load URI DB TABLE FILE ROWS  LOAD DATA LOCAL of FILE, ROWS lines a transaction
 *   probe_source run URI FILE                 the statements of FILE, one a line
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/file.h"
#include "base/json.h"
#include "base/mem.h"
#include "capture/source.h"
#include "db/mysql.h"
#include "db/mysql_prepared.h"
#include "support/driver.h"

static struct err e;

static void
check(bool ok)
{
    char text[2048];
    if (ok)
        return;
    fprintf(stderr, "%s\n", err_format(&e, text, sizeof(text)));
    exit(1);
}

static void
report(const char *what, uint64_t n, uint64_t bytes, uint64_t began_us, double cpu)
{
    printf("%s n=%" PRIu64 " bytes=%" PRIu64 " seconds=%.4f cpu_us=%.4f\n", what, n, bytes,
           (double)(clock_mono_us() - began_us) / 1e6,
           (driver_cpu_seconds() - cpu) * 1e6 / (double)(n ? n : 1));
}

static struct mysql_conn *
connect_to(const char *text, struct uri *uri)
{
    struct mysql_conn *c = NULL;
    struct mysql_options o = {
        .side = MYSQL_TARGET, .local_infile = true, .read_timeout_s = 600};
    check(uri_parse(text, uri, &e) && mysql_conn_open(uri, &o, &c, &e));
    return c;
}

static void
select_all(char **v)
{
    struct uri uri;
    struct mysql_conn *c = connect_to(v[0], &uri);
    struct buf sql = {0};
    struct mysql_prepared *stmt;
    struct bytes row;
    uint64_t n = 0, bytes = 0;
    buf_addf(&sql, "SELECT * FROM `%s`.`%s`", v[1], v[2]);
    check(mysql_prepared_new(c, buf_bytes(&sql), &stmt, &e));
    uint64_t began = clock_mono_us();
    double cpu = driver_cpu_seconds();
    check(mysql_prepared_run(stmt, NULL, 0, &e));
    for (;;) {
        check(mysql_prepared_next(stmt, &row, &e));
        if (row.n == 0)
            break;
        n++;
        bytes += row.n;
    }
    report("select", n, bytes, began, cpu);
    mysql_prepared_free(stmt);
    mysql_conn_close(c);
    buf_free(&sql);
    uri_free(&uri);
}

static void
position(const char *text, struct position *out)
{
    struct json *j;
    check(json_parse(bytes_str(text), &j, &e) && position_from_json(j, out, &e));
    json_free(j);
}

/* The position behind the event is in its header [binlog event header: timestamp 4, type 1,
 * server id 4, size 4, log position 4, flags 2]; a rotation changes the file. */
static bool
reached(struct bytes event, const struct position *until, char *file, size_t room)
{
    struct reader r = reader_of(event);
    reader_take(&r, 4);
    unsigned type = reader_u8(&r);
    reader_take(&r, 8);
    uint64_t pos = reader_le(&r, 4);
    reader_take(&r, 2);
    if (type == 4) {
        reader_take(&r, 8);
        struct bytes name = reader_rest(&r);
        size_t n = 0;
        while (n < name.n && n + 1 < room && name.p[n] > ' ' && name.p[n] < 127)
            n++;
        snprintf(file, room, "%.*s", (int)n, (const char *)name.p);
        return false;
    }
    size_t n = strlen(until->file);
    return strncmp(file, until->file, n) == 0 && pos >= until->pos;
}

static void
fetch(char **v)
{
    struct uri uri;
    struct position from, until;
    struct source *s;
    struct source_stream *st;
    char file[256] = "";
    position_init(&from, POSITION_NONE);
    position_init(&until, POSITION_NONE);
    check(uri_parse(v[0], &uri, &e));
    const struct source_ops *ops = source_find(uri.scheme);
    struct source_conf conf = {.uri = &uri, .task = "probe"};
    check(ops->open(&conf, &s, &e));
    position(v[1], &from);
    position(v[2], &until);
    check(ops->stream_open(s, &from, &st, &e));
    uint64_t n = 0, bytes = 0, began = clock_mono_us();
    double cpu = driver_cpu_seconds();
    for (;;) {
        struct source_packet p;
        check(ops->stream_read(st, &p, &e));
        n++;
        bytes += p.data.n;
        if (reached(p.data, &until, file, sizeof(file)))
            break;
    }
    report("fetch", n, bytes, began, cpu);
    ops->stream_close(st);
    ops->close(s);
    uri_free(&uri);
}

static struct buf
read_file(const char *path)
{
    struct buf b = {0};
    FILE *f = fopen(path, "rb");
    if (f == NULL) {
        perror(path);
        exit(1);
    }
    for (;;) {
        uint8_t *to = buf_reserve(&b, (size_t)1 << 20);
        size_t n = fread(to, 1, (size_t)1 << 20, f);
        b.n += n;
        if (n == 0)
            break;
    }
    fclose(f);
    return b;
}

static size_t
lines_end(const struct buf *b, size_t at, uint64_t lines)
{
    while (lines > 0 && at < b->n) {
        const uint8_t *end = memchr(b->p + at, '\n', b->n - at);
        at = end == NULL ? b->n : (size_t)(end - b->p) + 1;
        lines--;
    }
    return at;
}

static void
load(char **v)
{
    struct uri uri;
    struct mysql_conn *c = connect_to(v[0], &uri);
    struct buf data = read_file(v[3]), sql = {0};
    uint64_t rows = strtoull(v[4], NULL, 10), n = 0;
    buf_addf(&sql, "LOAD DATA LOCAL INFILE 'x' INTO TABLE `%s`.`%s` CHARACTER SET utf8mb4",
             v[1], v[2]);
    uint64_t began = clock_mono_us();
    double cpu = driver_cpu_seconds();
    for (size_t at = 0; at < data.n;) {
        size_t end = lines_end(&data, at, rows);
        struct mysql_done done;
        check(mysql_conn_load(c, buf_bytes(&sql), bytes_of(data.p + at, end - at), &done, &e));
        n += done.affected;
        at = end;
    }
    report("load", n, data.n, began, cpu);
    mysql_conn_close(c);
    buf_free(&data);
    buf_free(&sql);
    uri_free(&uri);
}

static void
run(char **v)
{
    struct uri uri;
    struct mysql_conn *c = connect_to(v[0], &uri);
    struct buf data = read_file(v[1]);
    uint64_t n = 0, began = clock_mono_us();
    double cpu = driver_cpu_seconds();
    for (size_t at = 0; at < data.n;) {
        size_t end = lines_end(&data, at, 1);
        check(mysql_conn_exec(c, bytes_of(data.p + at, end - at - 1), NULL, &e));
        n++;
        at = end;
    }
    report("run", n, data.n, began, cpu);
    mysql_conn_close(c);
    buf_free(&data);
    uri_free(&uri);
}

int
main(int argc, char **argv)
{
    static const struct {
        const char *name;
        int args;
        void (*run)(char **v);
    } verbs[] = {
        {"select", 3, select_all}, {"fetch", 3, fetch}, {"load", 5, load}, {"run", 2, run}};
    for (size_t i = 0; argc > 1 && i < ARRAY_LEN(verbs); i++) {
        if (strcmp(argv[1], verbs[i].name) == 0 && argc == 2 + verbs[i].args) {
            verbs[i].run(argv + 2);
            return 0;
        }
    }
    fprintf(stderr, "see the file header\n");
    return 2;
}
