/* Binary logs of real servers, decoded and folded, hold the rows that an independent client
 * selected there (tests/golden/binlog/make.py). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/file.h"
#include "base/mem.h"
#include "capture/mysql/decoder.h"
#include "support/binlog_support.h"

#define ROWS_MAX 1000

struct fold {
    struct arena arena;
    struct collations collations;
    struct table *tables[32];
    size_t table_count;
    char *rows[ROWS_MAX]; /* "table {...}", nulls left out */
    size_t count;
    size_t begins, ends;
};

/* Numbers of floats as both sides print them. */
static struct json *
normal_cell(const char *text)
{
    char out[64];
    if (strncmp(text, "float ", 6) == 0)
        snprintf(out, sizeof(out), "float %.17g", (double)strtof(text + 6, NULL));
    else if (strncmp(text, "double ", 7) == 0)
        snprintf(out, sizeof(out), "double %.17g", strtod(text + 7, NULL));
    else
        return json_str(text);
    return json_str(out);
}

static char *
row_text(const char *table, const struct json *row)
{
    struct json *o = json_object_new(), *value;
    const char *key;
    for (void *it = NULL; (it = json_next(row, it, &key, &value)) != NULL;)
        if (!json_is_null(value))
            json_set(o, key, normal_cell(json_str_value(value, "")));
    struct buf b = {0};
    buf_addf(&b, "%s ", table);
    json_dump(o, &b);
    char *text = mem_strn(buf_bytes(&b));
    buf_free(&b);
    json_free(o);
    return text;
}

static void
take(struct fold *f, char *text)
{
    size_t i = 0;
    while (i < f->count && strcmp(f->rows[i], text) != 0)
        i++;
    if (i == f->count)
        fail_msg("not there: %s", text);
    free(f->rows[i]);
    f->rows[i] = f->rows[--f->count];
    free(text);
}

static void
put(struct fold *f, char *text)
{
    assert_true(f->count < ROWS_MAX);
    f->rows[f->count++] = text;
}

static char *
cells_text(const struct table *t, const struct cell *row)
{
    struct json *j = support_row(t, row);
    char *text = row_text(t->name, j);
    json_free(j);
    return text;
}

static bool
on_begin(void *ctx, const struct source_txn *txn, struct err *e)
{
    (void)e;
    assert_true(txn->id.n > 0 && txn->commit_us > 0);
    ((struct fold *)ctx)->begins++;
    return true;
}

static bool
on_end(void *ctx, const struct source_txn *txn, struct err *e)
{
    (void)txn;
    (void)e;
    ((struct fold *)ctx)->ends++;
    return true;
}

static bool
on_table(void *ctx, const struct source_name *name, struct source_known *out, struct err *e)
{
    (void)e;
    struct fold *f = ctx;
    *out = (struct source_known){.wanted = bytes_eq(name->database, BYTES_LIT("golden"))};
    for (size_t i = 0; i < f->table_count; i++)
        if (bytes_eq(name->table, bytes_str(f->tables[i]->name)))
            out->table = f->tables[i];
    return true;
}

static bool
on_version(void *ctx, struct table *t, void **user, struct err *e)
{
    (void)user;
    (void)e;
    struct fold *f = ctx;
    assert_true(f->table_count < ARRAY_LEN(f->tables));
    f->tables[f->table_count++] = t;
    return true;
}

static bool
on_rows(void *ctx, const struct source_rows *rows, struct err *e)
{
    (void)e;
    struct fold *f = ctx;
    size_t n = rows->table->column_count;
    for (uint32_t i = 0; i < rows->count; i++) {
        if (rows->before)
            take(f, cells_text(rows->table, rows->before + i * n));
        if (rows->after)
            put(f, cells_text(rows->table, rows->after + i * n));
    }
    return true;
}

static bool
on_ddl(void *ctx, const struct source_ddl *ddl, struct err *e)
{
    (void)ctx;
    (void)e;
    assert_int_not_equal(ddl->kind, SOURCE_DDL_UNCLEAR);
    return true;
}

static bool
no_definition(void *ctx, const struct source_name *name, bool prove, struct definition *out,
              struct err *e)
{
    (void)ctx;
    (void)prove;
    (void)e;
    bool sequence = bytes_eq(name->table, BYTES_LIT("s_seq"));
    *out = (struct definition){.kind = sequence ? DEFINITION_SEQUENCE : DEFINITION_NONE};
    return true;
}

static void
read_golden(const char *name, const char *suffix, struct buf *out)
{
    struct err e;
    char path[200];
    snprintf(path, sizeof(path), "tests/golden/binlog/%s.%s", name, suffix);
    if (!file_read(path, BUF_MAX, out, &e))
        fail_msg("%s", e.text);
}

static void
feed_file(struct fold *f, enum source_flavor flavor, struct bytes file)
{
    struct err e;
    struct position from;
    struct source_sink sink;
    source_sink_quiet(&sink, f, &f->arena);
    sink.txn_begin = on_begin;
    sink.table = on_table;
    sink.table_version = on_version;
    sink.rows = on_rows;
    sink.ddl = on_ddl;
    sink.txn_end = on_end;
    struct binlog_decoder_conf conf = {.flavor = flavor,
                                       .collations = &f->collations,
                                       .verify_checksum = true,
                                       .scratch = "/tmp",
                                       .lookup = no_definition};
    position_init(&from, flavor == FLAVOR_MYSQL ? POSITION_MYSQL : POSITION_MARIADB);
    snprintf(from.file, sizeof(from.file), "golden");
    from.pos = 4;
    struct binlog_decoder *d = binlog_decoder_new(&conf, &from, &sink);
    struct reader r = reader_of(file);
    reader_take(&r, 4);
    while (reader_left(&r)) {
        struct reader head = r;
        reader_take(&head, 9);
        struct bytes event = reader_take(&r, reader_le(&head, 4));
        assert_false(r.failed);
        if (event.p[4] == 4) /* the ROTATE to the next file */
            break;
        if (!binlog_decoder_feed(d, event, &e))
            fail_msg("%s", e.text);
        assert_int_equal(binlog_decoder_position(d)->pos <= (uint64_t)(r.p - file.p), true);
        arena_reset(&f->arena);
    }
    assert_int_equal(f->begins, f->ends);
    binlog_decoder_free(d);
    position_free(&from);
}

static void
compare(struct fold *f, struct bytes expected)
{
    struct err e;
    struct reader r = reader_of(expected);
    while (reader_left(&r)) {
        const uint8_t *end = memchr(r.p, '\n', reader_left(&r));
        struct bytes line = reader_take(&r, (size_t)(end - r.p));
        struct json *j;
        reader_take(&r, 1);
        assert_true(json_parse(line, &j, &e));
        take(f, row_text(json_get_str(j, "table", ""), json_get(j, "row")));
        json_free(j);
    }
    if (f->count)
        fail_msg("too many: %s", f->rows[0]);
}

static void
check_golden(const char *name, enum source_flavor flavor)
{
    struct fold *f = mem_zalloc(sizeof(*f));
    struct buf log = {0}, expected = {0};
    arena_init(&f->arena, 0);
    support_collations(&f->collations);
    read_golden(name, "binlog", &log);
    read_golden(name, "jsonl", &expected);
    feed_file(f, flavor, buf_bytes(&log));
    assert_true(f->count > 20);
    compare(f, buf_bytes(&expected));
    for (size_t i = 0; i < f->table_count; i++)
        table_unref(f->tables[i]);
    collations_free(&f->collations);
    arena_free(&f->arena);
    buf_free(&log);
    buf_free(&expected);
    free(f);
}

static void
the_log_of_mysql_97_holds_what_its_tables_hold(void **state)
{
    (void)state;
    check_golden("mysql97", FLAVOR_MYSQL);
}

static void
the_log_of_mysql_80_holds_what_its_tables_hold(void **state)
{
    (void)state;
    check_golden("mysql80", FLAVOR_MYSQL);
}

static void
the_log_of_mariadb_1011_holds_what_its_tables_hold(void **state)
{
    (void)state;
    check_golden("mariadb1011", FLAVOR_MARIADB);
}

static void
every_kind_of_event_gives_what_the_tables_hold(void **state)
{
    (void)state;
    check_golden("mysql97-events", FLAVOR_MYSQL);
    check_golden("mysql80-events", FLAVOR_MYSQL);
    check_golden("mariadb1011-events", FLAVOR_MARIADB);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_log_of_mysql_97_holds_what_its_tables_hold),
        cmocka_unit_test(the_log_of_mysql_80_holds_what_its_tables_hold),
        cmocka_unit_test(the_log_of_mariadb_1011_holds_what_its_tables_hold),
        cmocka_unit_test(every_kind_of_event_gives_what_the_tables_hold),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
