/* binlog_cat: drives a source as capture does and prints, or only counts, what it gives. A tool
 * of the real-server tests and of the benchmarks.
 *
 *   binlog_cat URI now                           position of the server, as JSON
 *   binlog_cat URI tables | describe DB TABLE
 *   binlog_cat URI stream POSITION_JSON UNTIL    rows and events, one JSON line each, until
 * UNTIL (a position) is covered binlog_cat URI count POSITION_JSON UNTIL     the same, only
 * counted, with times binlog_cat URI load DB TABLE ROWS_MAX        all rows by chunks
 *   binlog_cat URI loadcount DB TABLE ROWS_MAX
 * A cell is a text: its kind, its digits after the point where there are some, its value (bytes
 * in hex).
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/text.h"
#include "capture/source.h"
#include "support/binlog_support.h"

static const struct source_ops *ops;
static bool counting;
static uint64_t rows_seen, txns_seen, cells_sum;

static void
die(const struct err *e)
{
    char text[2048];
    fprintf(stderr, "%s\n", err_format(e, text, sizeof(text)));
    exit(1);
}

static void
print(struct json *j)
{
    struct buf b = {0};
    json_dump(j, &b);
    puts(buf_cstr(&b));
    buf_free(&b);
    json_free(j);
}

/* ---- the sink ---- */

struct known_table {
    struct table *table;
    struct known_table *next;
};

struct cat {
    struct known_table *tables;
    struct arena arena;
    unsigned versions;
};

static void
event(const char *name, const char *key, struct bytes text)
{
    if (counting)
        return;
    struct json *o = json_object_new();
    json_set(o, "event", json_str(name));
    json_set(o, key, json_bytes(text));
    print(o);
}

static bool
on_begin(void *ctx, const struct source_txn *txn, struct err *e)
{
    (void)ctx;
    (void)e;
    txns_seen++;
    event("begin", "id", txn->id);
    return true;
}

static bool
on_end(void *ctx, const struct source_txn *txn, struct err *e)
{
    (void)ctx;
    (void)e;
    event("end", "id", txn->id);
    return true;
}

static bool
on_table(void *ctx, const struct source_name *name, struct source_known *out, struct err *e)
{
    (void)e;
    struct cat *cat = ctx;
    *out = (struct source_known){.wanted = !bytes_eq(name->database, BYTES_LIT("mysql"))};
    for (struct known_table *k = cat->tables; k; k = k->next)
        if (bytes_eq(name->database, bytes_str(k->table->database)) &&
            bytes_eq(name->table, bytes_str(k->table->name))) {
            out->table = k->table;
            return true;
        }
    return true;
}

/* What a table was before a statement on it is of no use any more. */
static void
forget(struct cat *cat, const struct source_name *name)
{
    for (struct known_table **k = &cat->tables; *k;) {
        const struct table *t = (*k)->table;
        if (bytes_eq(name->database, bytes_str(t->database)) &&
            (name->table.n == 0 || bytes_eq(name->table, bytes_str(t->name))))
            *k = (*k)->next;
        else
            k = &(*k)->next;
    }
}

static bool
on_version(void *ctx, struct table *t, void **user, struct err *e)
{
    (void)user;
    (void)e;
    struct cat *cat = ctx;
    struct known_table *k = mem_zalloc(sizeof(*k));
    t->version = ++cat->versions;
    *k = (struct known_table){t, cat->tables};
    cat->tables = k;
    if (counting)
        return true;
    struct json *o = json_object_new();
    json_set(o, "event", json_str("version"));
    json_set(o, "table", table_to_json(t));
    print(o);
    return true;
}

static bool
on_rows(void *ctx, const struct source_rows *rows, struct err *e)
{
    (void)ctx;
    (void)e;
    const struct table *t = rows->table;
    const char op[2] = {(char)rows->op, 0};
    size_t n = t->column_count;
    rows_seen += rows->count;
    for (uint32_t i = 0; !counting && i < rows->count; i++)
        print(support_change(op, t, rows->before ? rows->before + i * n : NULL,
                             rows->after ? rows->after + i * n : NULL));
    for (size_t i = 0; counting && rows->after && i < n * rows->count; i++)
        cells_sum += rows->after[i].kind;
    return true;
}

static bool
on_truncate(void *ctx, const struct source_name *name, struct bytes sql, struct err *e)
{
    (void)ctx;
    (void)name;
    (void)e;
    event("truncate", "sql", sql);
    return true;
}

static bool
on_ddl(void *ctx, const struct source_ddl *ddl, struct err *e)
{
    static const char *const kinds[] = {"create", "alter",         "drop",
                                        "rename", "drop_database", "unclear"};
    struct cat *cat = ctx;
    (void)e;
    for (size_t i = 0; i < ddl->name_count; i++)
        forget(cat, &ddl->names[i]);
    if (counting)
        return true;
    struct json *o = json_object_new(), *names = json_array_new();
    json_set(o, "event", json_str("ddl"));
    json_set(o, "kind", json_str(kinds[ddl->kind]));
    json_set(o, "sql", json_bytes(ddl->sql));
    json_set(o, "rows_kept", json_bool_new(ddl->rows_kept));
    for (size_t i = 0; i < ddl->name_count; i++) {
        json_push(names, json_bytes(ddl->names[i].database));
        json_push(names, json_bytes(ddl->names[i].table));
    }
    json_set(o, "names", names);
    print(o);
    return true;
}

static bool
on_missed(void *ctx, struct bytes sql, struct err *e)
{
    (void)ctx;
    (void)e;
    event("rows_missed", "sql", sql);
    return true;
}

static bool
on_table_error(void *ctx, const struct source_name *name, void *user, const struct err *why,
               struct err *e)
{
    char text[2048];
    (void)ctx;
    (void)user;
    (void)e;
    (void)name;
    event("table_error", "error", bytes_str(err_format(why, text, sizeof(text))));
    return true;
}

/* ---- commands ---- */

static void
read_position(const char *text, struct position *out)
{
    struct err e;
    struct json *j;
    position_init(out, POSITION_MYSQL);
    if (!json_parse(bytes_str(text), &j, &e) || !position_from_json(j, out, &e))
        die(&e);
    json_free(j);
}

static void
stream(struct source *s, const char *from_text, const char *until_text)
{
    struct cat cat = {0};
    struct err e;
    struct position from, until;
    struct source_stream *st;
    struct source_decoder *d;
    struct source_packet p;
    uint64_t bytes = 0, packets = 0, waits = 0;
    arena_init(&cat.arena, 1 << 20);
    struct source_sink sink;
    source_sink_quiet(&sink, &cat, &cat.arena);
    sink.txn_begin = on_begin;
    sink.table = on_table;
    sink.table_version = on_version;
    sink.rows = on_rows;
    sink.truncate = on_truncate;
    sink.ddl = on_ddl;
    sink.txn_end = on_end;
    sink.table_error = on_table_error;
    sink.rows_missed = on_missed;
    read_position(from_text, &from);
    read_position(until_text, &until);
    if (!ops->decoder_new(s, &from, &sink, &d, &e) || !ops->stream_open(s, &from, &st, &e))
        die(&e);
    uint64_t begin = clock_mono_us();
    while (!position_covers(ops->decoder_position(d), &until)) {
        bool covered = false;
        do {
            if (!ops->stream_read(st, &p, &e) || !ops->decode(d, p.data, &e))
                die(&e);
            bytes += p.data.n;
            covered = ++packets % 4096 == 0;
            arena_reset(&cat.arena);
        } while (p.more && !covered);
        waits++;
    }
    uint64_t us = clock_mono_us() - begin;
    fprintf(stderr,
            "txns=%" PRIu64 " rows=%" PRIu64 " events=%" PRIu64
            " mb=%.1f seconds=%.3f rows_s=%.0f waits=%" PRIu64 " sum=%" PRIu64 "\n",
            txns_seen, rows_seen, packets, (double)bytes / 1e6, (double)us / 1e6,
            (double)rows_seen / ((double)us / 1e6), waits, cells_sum);
    ops->stream_close(st);
    ops->decoder_free(d);
}

static struct table *
look_up(struct source *s, const char *database, const char *table)
{
    struct err e;
    struct source_name name = {bytes_str(database), bytes_str(table)};
    struct source_definition d;
    if (!ops->describe(s, NULL, &name, &d, &e))
        die(&e);
    return d.table;
}

static void
load(struct source *s, const char *database, const char *name, const char *rows_max)
{
    struct err e;
    struct table *t = look_up(s, database, name);
    struct source_loader *l = NULL;
    struct arena arenas[2];
    uint64_t max = 0;
    if (!t || !text_u64(rows_max, &max) || !ops->loader_open(s, &l, &e))
        die(&e);
    arena_init(&arenas[0], 1 << 20);
    arena_init(&arenas[1], 1 << 20);
    struct cell *after = mem_array(t->key_count + 1U, sizeof(*after));
    struct source_chunk_request q = {
        .table = t, .rows_max = (uint32_t)max, .bytes_max = 4 << 20};
    struct source_chunk c = {0};
    uint64_t begin = clock_mono_us(), chunks = 0;
    for (unsigned turn = 0; !c.last; turn ^= 1, chunks++) {
        arena_reset(&arenas[turn]);
        q.arena = &arenas[turn];
        if (!ops->chunk(l, &q, &c, &e))
            die(&e);
        rows_seen += c.count;
        for (uint32_t i = 0; !counting && i < c.count; i++)
            print(support_change("r", t, NULL, c.rows + (size_t)i * t->column_count));
        for (unsigned i = 0; c.count && i < t->key_count; i++)
            after[i] = c.rows[(size_t)(c.count - 1) * t->column_count + t->key[i]];
        q.after = c.count ? after : q.after;
    }
    uint64_t us = clock_mono_us() - begin;
    fprintf(stderr, "rows=%" PRIu64 " chunks=%" PRIu64 " seconds=%.3f rows_s=%.0f\n", rows_seen,
            chunks, (double)us / 1e6, (double)rows_seen / ((double)us / 1e6));
    ops->loader_close(l);
}

static bool
print_name(void *ctx, const struct source_name *name, struct err *e)
{
    (void)ctx;
    (void)e;
    printf("%.*s.%.*s\n", (int)name->database.n, (const char *)name->database.p,
           (int)name->table.n, (const char *)name->table.p);
    return true;
}

static void
now(struct source *s)
{
    struct err e;
    struct position p;
    if (!ops->position_now(s, &p, &e))
        die(&e);
    print(position_to_json(&p));
    position_free(&p);
}

static void
describe(struct source *s, const char *database, const char *name)
{
    struct table *t = look_up(s, database, name);
    print(t ? table_to_json(t) : json_null_new());
}

int
main(int argc, char **argv)
{
    struct err e;
    struct uri uri;
    struct source *s;
    if (argc < 3)
        return 2;
    if (!uri_parse(argv[1], &uri, &e))
        die(&e);
    ops = source_find(uri.scheme);
    struct source_conf conf = {.uri = &uri,
                               .task = "cat",
                               .number = (unsigned)getpid(),
                               .verify_checksum = true,
                               .scratch = "/tmp"};
    if (!ops)
        return 2;
    if (!ops->open(&conf, &s, &e))
        die(&e);
    const char *verb = argv[2];
    counting = strcmp(verb, "count") == 0 || strcmp(verb, "loadcount") == 0;
    if (strcmp(verb, "now") == 0)
        now(s);
    else if (strcmp(verb, "tables") == 0 && !ops->list_tables(s, print_name, NULL, &e))
        die(&e);
    else if (strcmp(verb, "describe") == 0 && argc == 5)
        describe(s, argv[3], argv[4]);
    else if ((strcmp(verb, "stream") == 0 || strcmp(verb, "count") == 0) && argc == 5)
        stream(s, argv[3], argv[4]);
    else if (strncmp(verb, "load", 4) == 0 && argc == 6)
        load(s, argv[3], argv[4], argv[5]);
    ops->close(s);
    uri_free(&uri);
    return 0;
}
