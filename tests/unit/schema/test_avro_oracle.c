/* What foreign Avro readers make of our bytes and our schema text: avro-c reads every message
 * and writes it back byte by byte; Python's fastavro, when there, checks the values' meaning.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include <cmocka.h>

#include <avro.h>

#include "base/hash.h"
#include "schema/codec.h"
#include "schema/types_mysql.h"
#include "support/schema_random.h"

#define FRAME 5

static const struct codec_conf conf = {.format = CODEC_AVRO,
                                       .prefix = "shop",
                                       .topic = "shop.d-2Eb.1t",
                                       .inc = 0xfedcba9876543210u};

static avro_schema_t
parse_schema(const struct buf *text)
{
    avro_schema_t schema = NULL;
    if (avro_schema_from_json_length((const char *)text->p, text->n, &schema))
        fail_msg("%s\n%.*s", avro_strerror(), (int)text->n, (const char *)text->p);
    return schema;
}

static void
expect_same_bytes(avro_schema_t schema, struct bytes body)
{
    avro_value_iface_t *iface = avro_generic_class_from_schema(schema);
    avro_value_t value;
    size_t size;
    assert_int_equal(avro_generic_value_new(iface, &value), 0);
    avro_reader_t in = avro_reader_memory((const char *)body.p, (int64_t)body.n);
    if (avro_value_read(in, &value))
        fail_msg("%s", avro_strerror());
    assert_int_equal(avro_value_sizeof(&value, &size), 0);
    assert_int_equal(size, body.n);
    char *back = malloc(size + 1);
    avro_writer_t out = avro_writer_memory(back, (int64_t)size);
    assert_int_equal(avro_value_write(out, &value), 0);
    assert_memory_equal(back, body.p, size);
    free(back);
    avro_writer_free(out);
    avro_reader_free(in);
    avro_value_decref(&value);
    avro_value_iface_decref(iface);
}

struct subject {
    struct table *table;
    struct row_encoder *enc;
    struct buf key_schema, value_schema;
};

static void
subject_open(struct subject *s, struct rng *g)
{
    struct err e = {0};
    memset(s, 0, sizeof *s);
    s->table = random_table(g);
    if (!row_encoder_new(s->table, &conf, 7, 8, &s->enc, &e) ||
        !codec_key_schema(s->table, &conf, &s->key_schema, &e) ||
        !codec_value_schema(s->table, &conf, &s->value_schema, &e))
        fail_msg("%s", e.text);
}

static void
subject_close(struct subject *s)
{
    row_encoder_free(s->enc);
    table_unref(s->table);
    buf_free(&s->key_schema);
    buf_free(&s->value_schema);
}

static void
avro_c_reads_and_writes_the_same_bytes(void **state)
{
    struct rng g = rng_seeded();
    for (int i = 0; i < 60; i++) {
        struct subject s;
        struct arena a;
        subject_open(&s, &g);
        arena_init(&a, 0);
        avro_schema_t key = parse_schema(&s.key_schema), value = parse_schema(&s.value_schema);
        for (int k = 0; k < 8; k++) {
            struct change c = random_change(&g, s.table, (enum change_op) "cudr"[k % 4], &a);
            struct buf b = {0};
            struct err e = {0};
            size_t at;
            assert_true(row_encode_value(s.enc, &c, &b, &e));
            expect_same_bytes(value, bytes_of(b.p + FRAME, b.n - FRAME));
            buf_reset(&b);
            assert_true(row_encode_key(s.enc, c.after ? c.after : c.before, &b, &at, &e));
            assert_int_equal(at, FRAME);
            if (s.table->key_count)
                expect_same_bytes(key, bytes_of(b.p + at, b.n - at));
            buf_free(&b);
        }
        avro_schema_decref(key);
        avro_schema_decref(value);
        subject_close(&s);
        arena_free(&a);
    }
}

/* ---- fastavro ---- */

static const char *
python(void)
{
    static char path[512];
    const char *cache = getenv("MILLRACE_CACHE"), *home = getenv("HOME");
    snprintf(path, sizeof path, "%s%s/venv/bin/python",
             cache  ? cache
             : home ? home
                    : "",
             cache ? "" : "/.cache/millrace");
    return access(path, X_OK) == 0 ? path : NULL;
}

static struct json *
describe_row(const struct table *t, const struct cell *row)
{
    struct json *a = json_array_new();
    for (unsigned i = 0; i < t->column_count; i++) {
        struct json *one = json_array_new();
        struct buf text = {0};
        cell_describe(&t->columns[i], &row[i], &text);
        json_push(one, json_str(t->columns[i].name));
        json_push(one, json_str(type_mysql(t->columns[i].type)->name));
        json_push(one, json_bytes(buf_bytes(&text)));
        json_push(one, json_bool_new(cell_is_raw(&t->columns[i], &row[i])));
        json_push(one, json_u64(t->columns[i].scale));
        json_push(a, one);
        buf_free(&text);
    }
    return a;
}

static void
write_case(FILE *to, struct subject *s, struct rng *g)
{
    struct json *o = json_object_new();
    struct buf b = {0}, line = {0};
    struct err e = {0};
    struct arena a;
    arena_init(&a, 0);
    struct cell *row = arena_alloc(&a, s->table->column_count * sizeof *row);
    random_row(g, s->table, false, &a, row);
    struct change c = {.op = OP_CREATE, .table = s->table, .after = row, .id = {1, 2, 3}};
    c.source.gtid = BYTES_LIT("");
    c.source.file = BYTES_LIT("f");
    assert_true(row_encode_value(s->enc, &c, &b, &e));
    char *hex = malloc(b.n * 2 + 1);
    hex_encode(bytes_of(b.p + FRAME, b.n - FRAME), hex);
    json_set(o, "schema", json_bytes(buf_bytes(&s->value_schema)));
    json_set(o, "body", json_str(hex));
    json_set(o, "columns", describe_row(s->table, row));
    json_dump(o, &line);
    fprintf(to, "%s\n", buf_cstr(&line));
    free(hex);
    json_free(o);
    buf_free(&b);
    buf_free(&line);
    arena_free(&a);
}

static void
fastavro_sees_the_values_that_were_meant(void **state)
{
    struct rng g = rng_seeded();
    char path[] = "/tmp/millrace-avro-XXXXXX", command[1200];
    if (!python())
        skip();
    int fd = mkstemp(path);
    assert_true(fd >= 0);
    FILE *to = fdopen(fd, "w");
    for (int i = 0; i < 100; i++) {
        struct subject s;
        subject_open(&s, &g);
        for (int k = 0; k < 3; k++)
            write_case(to, &s, &g);
        subject_close(&s);
    }
    fclose(to);
    snprintf(command, sizeof command, "%s tests/unit/schema/fastavro_check.py %s", python(),
             path);
    assert_int_equal(system(command), 0);
    unlink(path);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(avro_c_reads_and_writes_the_same_bytes),
        cmocka_unit_test(fastavro_sees_the_values_that_were_meant),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
