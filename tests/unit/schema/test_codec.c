/* Rows of all types through both codecs and back; what a foreign reader sees is
 * test_avro_oracle.c's and test_json_oracle.c's.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "schema/codec.h"
#include "support/schema_random.h"

static const struct codec_conf avro_conf = {.format = CODEC_AVRO,
                                            .prefix = "shop",
                                            .topic = "shop.d-2Eb.1t",
                                            .inc = 0xfedcba9876543210u};
static const struct codec_conf json_conf = {
    .format = CODEC_JSON, .prefix = "sh\"op", .topic = "shop.d.t", .inc = 0xfedcba9876543210u};

static void
expect_cell(const struct column *c, const struct cell *want, const struct cell *got)
{
    struct buf a = {0}, b = {0};
    cell_describe(c, want, &a);
    cell_describe(c, got, &b);
    if (strcmp(buf_cstr(&a), buf_cstr(&b)) != 0)
        fail_msg("column %s type %d: want %s (kind %d), got %s (kind %d)", c->name, c->type,
                 buf_cstr(&a), want->kind, buf_cstr(&b), got->kind);
    bool text = want->kind == CELL_ENUM || want->kind == CELL_SET || cell_is_raw(c, want);
    assert_int_equal(got->kind, text ? CELL_TEXT : want->kind);
    buf_free(&a);
    buf_free(&b);
}

static void
expect_row(const struct table *t, const struct cell *want, const struct cell *got)
{
    if (!want) {
        assert_null(got);
        return;
    }
    assert_non_null(got);
    for (unsigned i = 0; i < t->column_count; i++)
        expect_cell(&t->columns[i], &want[i], &got[i]);
}

static void
expect_head(const struct change *want, uint64_t inc, const struct change *got)
{
    assert_int_equal(got->op, want->op);
    assert_int_equal(got->id.inc, inc);
    assert_int_equal(got->id.epoch, want->id.epoch);
    assert_int_equal(got->id.seq, want->id.seq);
    assert_int_equal(got->source.load, want->source.load);
    assert_int_equal(got->source.snapshot, want->source.snapshot);
    assert_int_equal(got->source.commit_us, want->source.commit_us);
}

static void
expect_source(const struct change_source *want, const struct change_source *got)
{
    assert_int_equal(got->server_id, want->server_id);
    assert_int_equal(got->pos, want->pos);
    assert_int_equal(got->row, want->row);
    assert_int_equal(got->thread, want->thread);
    assert_true(bytes_eq(got->gtid, want->gtid));
    assert_true(bytes_eq(got->file, want->file));
}

/* Exact copies, so that a sanitizer sees every read past the end. */
static struct bytes
exact(struct buf *b, uint8_t **owner)
{
    *owner = malloc(b->n ? b->n : 1);
    memcpy(*owner, b->p, b->n);
    return bytes_of(*owner, b->n);
}

static unsigned images_alone; /* values whose image was read by itself */

static void
check_value(const struct row_encoder *enc, const struct row_decoder *dec,
            const struct change *c)
{
    struct buf b = {0};
    struct err e = {0};
    struct change got, head;
    struct arena a;
    uint8_t *owner;
    arena_init(&a, 0);
    if (!row_encode_value(enc, c, &b, &e))
        fail_msg("%s", e.text);
    struct bytes msg = exact(&b, &owner);
    uint32_t image_at = 0;
    if (!row_decode(dec, msg, &a, &got, &e) || !row_decode_head(dec, msg, &head, &image_at, &e))
        fail_msg("%s\n%.*s", e.text, (int)msg.n, (const char *)msg.p);
    expect_head(c, avro_conf.inc, &got);
    expect_head(c, avro_conf.inc, &head);
    expect_source(&c->source, &got.source);
    expect_row(c->table, c->before, got.before);
    expect_row(c->table, c->after, got.after);
    if (image_at) {
        const struct cell *image;
        if (!row_decode_image(dec, msg, image_at, &a, &image, &e))
            fail_msg("%s", e.text);
        expect_row(c->table, c->op == OP_DELETE ? c->before : c->after, image);
    }
    images_alone += image_at != 0;
    for (size_t n = 0; n < msg.n; n += 1 + msg.n / 37) {
        assert_false(row_decode(dec, bytes_of(msg.p, n), &a, &got, &e));
        assert_false(row_decode_head(dec, bytes_of(msg.p, n), &got, &image_at, &e) &&
                     n + 60 < msg.n);
    }
    free(owner);
    arena_free(&a);
    buf_free(&b);
}

static void
check_key(const struct row_encoder *enc, const struct row_decoder *dec, const struct cell *row)
{
    const struct table *t = row_encoder_table(enc);
    struct buf b = {0};
    struct err e = {0};
    struct arena a;
    struct cell got[64];
    size_t at;
    arena_init(&a, 0);
    if (!row_encode_key(enc, row, &b, &at, &e))
        fail_msg("%s", e.text);
    if (!row_decode_key(dec, bytes_of(b.p + at, b.n - at), &a, got, &e))
        fail_msg("%s", e.text);
    for (unsigned i = 0; i < t->column_count; i++) {
        struct buf x = {0}, y = {0};
        if (!t->columns[i].key_at) {
            assert_int_equal(got[i].kind, CELL_ABSENT);
            continue;
        }
        cell_describe(&t->columns[i], &row[i], &x);
        cell_describe(&t->columns[i], &got[i], &y);
        assert_string_equal(buf_cstr(&x), buf_cstr(&y));
        assert_int_equal(got[i].kind, row[i].kind);
        buf_free(&x);
        buf_free(&y);
    }
    buf_free(&b);
    arena_free(&a);
}

static void
random_rows_round_trip(const struct codec_conf *conf, int tables)
{
    struct rng g = rng_seeded();
    for (int i = 0; i < tables; i++) {
        struct table *t = random_table(&g);
        struct row_encoder *enc;
        struct row_decoder *dec;
        struct err e = {0};
        struct arena a;
        arena_init(&a, 0);
        assert_true(row_encoder_new(t, conf, 7, 8, &enc, &e));
        assert_true(row_decoder_new(t, conf, &dec, &e));
        for (int k = 0; k < 8; k++) {
            struct change c = random_change(&g, t, (enum change_op) "cudr"[k % 4], &a);
            check_value(enc, dec, &c);
            check_key(enc, dec, c.after ? c.after : c.before);
        }
        row_encoder_free(enc);
        row_decoder_free(dec);
        table_unref(t);
        arena_free(&a);
    }
}

static void
avro_gives_back_what_was_written(void **state)
{
    images_alone = 0;
    random_rows_round_trip(&avro_conf, 400);
    assert_true(images_alone > 100);
}

static void
json_gives_back_what_was_written(void **state)
{
    random_rows_round_trip(&json_conf, 200);
}

static void
a_table_version_survives_json(void **state)
{
    struct rng g = rng_seeded();
    for (int i = 0; i < 100; i++) {
        struct table *t = random_table(&g), *back = NULL;
        struct buf a = {0}, b = {0}, sa = {0}, sb = {0};
        struct err e = {0};
        struct json *j = table_to_json(t), *parsed = NULL;
        json_dump(j, &a);
        assert_true(json_parse(buf_bytes(&a), &parsed, &e));
        if (!table_from_json(parsed, &back, &e))
            fail_msg("%s", e.text);
        json_free(j);
        j = table_to_json(back);
        json_dump(j, &b);
        assert_string_equal(buf_cstr(&a), buf_cstr(&b));
        assert_int_equal(back->key_count, t->key_count);
        assert_true(codec_value_schema(t, &avro_conf, &sa, &e));
        assert_true(codec_value_schema(back, &avro_conf, &sb, &e));
        assert_string_equal(buf_cstr(&sa), buf_cstr(&sb));
        json_free(j);
        json_free(parsed);
        table_unref(t);
        table_unref(back);
        buf_free(&a);
        buf_free(&b);
        buf_free(&sa);
        buf_free(&sb);
    }
}

static void
the_frame_holds_the_schema_id(void **state)
{
    uint32_t id;
    static const uint8_t framed[] = {0, 0x01, 0x02, 0x03, 0x04, 9};
    assert_true(codec_schema_id(CODEC_AVRO, bytes_of(framed, sizeof framed), &id));
    assert_int_equal(id, 0x01020304);
    assert_false(codec_schema_id(CODEC_AVRO, bytes_of(framed, 4), &id));
    assert_false(codec_schema_id(CODEC_AVRO, bytes_of(framed + 1, 5), &id));
    assert_true(codec_schema_id(CODEC_JSON, BYTES_LIT("{}"), &id));
    assert_int_equal(id, 0);
}

static struct table *
one_column(enum column_type type, const char *name)
{
    struct table *t = table_new("d", "t");
    struct rng g = {1};
    t->columns = arena_zalloc(&t->arena, 4 * sizeof *t->columns);
    random_column(&g, t, type, name);
    t->columns[0].nullable = false;
    return t;
}

static void
a_value_that_does_not_fit_is_an_error_of_its_table(void **state)
{
    static const struct {
        enum column_type type;
        struct cell cell;
    } bad[] = {
        {COL_INT, {.kind = CELL_TEXT}},
        {COL_INT, {.kind = CELL_NULL}},
        {COL_TINYINT, {.kind = CELL_INT, .v.i = (int64_t)1 << 40}},
        {COL_ENUM, {.kind = CELL_ENUM, .v.u = 1000}},
        {COL_VARCHAR, {.kind = CELL_INT}},
        {COL_GEOMETRY, {.kind = CELL_GEOMETRY, .len = 3}},
        {COL_DECIMAL, {.kind = CELL_DECIMAL, .len = 3, .v.p = (const uint8_t *)"1x2"}},
        {COL_DATE, {.kind = CELL_UINT}},
    };
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct table *t = one_column(bad[i].type, "c");
        struct change c = {.op = OP_CREATE, .table = t, .after = &bad[i].cell};
        const struct codec_conf *confs[] = {&avro_conf, &json_conf};
        c.source.gtid = c.source.file = BYTES_LIT("");
        table_seal(t);
        for (unsigned k = 0; k < 2; k++) {
            struct row_encoder *enc;
            struct buf b = {0};
            struct err e = {0};
            assert_true(row_encoder_new(t, confs[k], 1, 2, &enc, &e));
            assert_false(row_encode_value(enc, &c, &b, &e));
            assert_int_equal(e.class, ERR_TABLE);
            assert_int_equal(b.n, 0);
            row_encoder_free(enc);
            buf_free(&b);
        }
        table_unref(t);
    }
}

static void
names_that_millrace_raw_would_mix_up_are_refused(void **state)
{
    struct table *t = one_column(COL_DATE, "x");
    struct rng g = {1};
    struct row_encoder *enc;
    struct err e = {0};
    random_column(&g, t, COL_DATE, "before.x");
    table_seal(t);
    assert_false(row_encoder_new(t, &avro_conf, 1, 2, &enc, &e));
    assert_int_equal(e.code, MR_SOURCE_TYPE);
    table_unref(t);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(avro_gives_back_what_was_written),
        cmocka_unit_test(json_gives_back_what_was_written),
        cmocka_unit_test(a_table_version_survives_json),
        cmocka_unit_test(the_frame_holds_the_schema_id),
        cmocka_unit_test(a_value_that_does_not_fit_is_an_error_of_its_table),
        cmocka_unit_test(names_that_millrace_raw_would_mix_up_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
