/* What a foreign JSON reader (jansson) makes of our messages, and what our reader does with
 * JSON that others write: other orders, spaces, escapes, damage.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/hash.h"
#include "schema/codec.h"
#include "schema/json_scan.h"
#include "schema/types_mysql.h"
#include "support/schema_random.h"

static const struct codec_conf conf = {
    .format = CODEC_JSON, .prefix = "shop", .topic = "shop.d.t", .inc = 0xfedcba9876543210u};

static struct buf
decode_base64(const struct json *j)
{
    struct buf b = {0};
    const char *s = json_str_value(j, NULL);
    assert_non_null(s);
    assert_true(base64_decode(bytes_str(s), &b));
    return b;
}

static void
expect_text(const struct json *j, struct bytes want)
{
    const char *s = json_str_value(j, NULL);
    assert_non_null(s);
    /* jansson refuses a NUL in text; the rows of this test have none. */
    assert_int_equal(strlen(s), want.n);
    assert_memory_equal(s, want.p, want.n);
}

/* The types whose JSON form needs no arithmetic to compare. */
static void
expect_member(const struct column *c, const struct cell *v, const struct json *j)
{
    if (v->kind == CELL_NULL || cell_is_raw(c, v)) {
        assert_true(json_is_null(j));
        return;
    }
    switch ((enum cell_kind)v->kind) {
    case CELL_INT:
    case CELL_TIME:
        assert_int_equal(json_i64_value(j, 0), v->v.i);
        break;
    case CELL_YEAR:
        assert_int_equal(json_u64_value(j, 1), v->v.u);
        break;
    case CELL_TEXT:
    case CELL_JSON:
        expect_text(j, cell_bytes(v));
        break;
    case CELL_ENUM:
        expect_text(j, c->labels[v->v.u - 1]);
        break;
    case CELL_BYTES: {
        struct buf b = decode_base64(j);
        assert_true(bytes_eq(buf_bytes(&b), cell_bytes(v)));
        buf_free(&b);
        break;
    }
    default:
        assert_false(json_is_null(j));
    }
}

static bool
has_nul(const struct cell *row, unsigned n)
{
    for (unsigned i = 0; i < n; i++)
        if (row[i].kind == CELL_TEXT && memchr(row[i].v.p, 0, row[i].len))
            return true;
    return false;
}

static void
jansson_sees_the_values_that_were_meant(void **state)
{
    struct rng g = rng_seeded();
    for (int i = 0; i < 300; i++) {
        struct table *t = random_table(&g);
        struct row_encoder *enc;
        struct err e = {0};
        struct buf b = {0};
        struct arena a;
        struct json *j = NULL;
        arena_init(&a, 0);
        struct cell *row = arena_alloc(&a, t->column_count * sizeof *row);
        random_row(&g, t, false, &a, row);
        struct change c = {.op = OP_CREATE, .table = t, .after = row, .id = {1, 2, 3}};
        c.source.gtid = c.source.file = BYTES_LIT("");
        assert_true(row_encoder_new(t, &conf, 0, 0, &enc, &e));
        assert_true(row_encode_value(enc, &c, &b, &e));
        if (!has_nul(row, t->column_count)) {
            if (!json_parse(buf_bytes(&b), &j, &e))
                fail_msg("%s\n%s", e.text, buf_cstr(&b));
            const struct json *after = json_get(j, "after"), *source = json_get(j, "source");
            assert_int_equal(json_len(after), t->column_count);
            for (unsigned k = 0; k < t->column_count; k++)
                expect_member(&t->columns[k], &row[k], json_get(after, t->columns[k].name));
            assert_string_equal(json_get_str(source, "millrace_inc", ""), "fedcba9876543210");
            assert_string_equal(json_get_str(j, "op", ""), "c");
            json_free(j);
        }
        row_encoder_free(enc);
        table_unref(t);
        arena_free(&a);
        buf_free(&b);
    }
}

static bool
skips(const char *text)
{
    struct reader r = reader_of(bytes_str(text));
    json_scan_skip(&r);
    return json_scan_end(&r);
}

static void
only_json_is_passed_over(void **state)
{
    static const char *const good[] = {
        "1",          " -1.5e3 ",
        "\"a\\\"b\"", "null",
        "true",       "{}",
        "[]",         " { \"a\" : [ 1 , { } , [ ] ] , \"b\":null } ",
        "[[[[]]]]",   "{\"a\":{\"b\":{}}}"};
    static const char *const bad[] = {
        "",   "{",     "[",   "{\"a\"}", "{\"a\":}", "{\"a\":1,}", "[1,]", "[}",
        "{]", "[1 2]", "\"a", "\"\\",    "{,}",      "nul",        "[1]]", "{\"a\":1 \"b\":2}"};
    for (size_t i = 0; i < ARRAY_LEN(good); i++)
        if (!skips(good[i]))
            fail_msg("%s", good[i]);
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        if (skips(bad[i]))
            fail_msg("%s", bad[i]);
}

static void
a_deep_document_is_refused_without_harm(void **state)
{
    struct buf b = {0};
    for (int i = 0; i < 100000; i++)
        buf_add_byte(&b, '[');
    assert_false(skips(buf_cstr(&b)));
    buf_free(&b);
}

static void
strings_are_unescaped(void **state)
{
    static const struct {
        const char *json, *text;
    } cases[] = {{"\"a\\n\\t\\\\\\\"\\/\"", "a\n\t\\\"/"},
                 {"\"\\u00e9\\u6c49\"", "\xc3\xa9\xe6\xb1\x89"},
                 {"\"\\ud83d\\ude00!\"", "\xf0\x9f\x98\x80!"},
                 {"\"\"", ""}};
    static const char *const bad[] = {"\"\\ud83d\"", "\"\\ude00\"",        "\"\\u12\"",
                                      "\"\\x\"",     "\"\\ud83d\\u0041\"", "\"a\nb\""};
    struct arena a;
    arena_init(&a, 0);
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct reader r = reader_of(bytes_str(cases[i].json));
        struct bytes s = json_scan_string(&r, &a);
        assert_false(r.failed);
        assert_true(bytes_eq(s, bytes_str(cases[i].text)));
    }
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct reader r = reader_of(bytes_str(bad[i]));
        json_scan_string(&r, &a);
        assert_true(r.failed);
    }
    arena_free(&a);
}

static void
members_may_come_in_any_order(void **state)
{
    static const char text[] =
        "{ \"op\" : \"u\", \"x\": [1,{\"after\":0}], "
        "\"source\":{\"millrace_seq\":3,\"file\":\"f\","
        "\"millrace_epoch\":2, \"millrace_inc\":\"00000000000000ff\",\"millrace_raw\":{\"d\":"
        "\"0000-00-00\"}}, \"after\" : { \"d\" : null , \"new\": {}, \"id\" : 7 } }";
    struct table *t = table_new("d", "t");
    struct row_decoder *dec;
    struct err e = {0};
    struct arena a;
    struct change c;
    t->columns = arena_zalloc(&t->arena, 2 * sizeof *t->columns);
    t->columns[0] = (struct column){.name = "id", .type = COL_INT};
    t->columns[1] = (struct column){.name = "d", .type = COL_DATE};
    t->column_count = 2;
    table_seal(t);
    arena_init(&a, 0);
    assert_true(row_decoder_new(t, &conf, &dec, &e));
    if (!row_decode(dec, bytes_str(text), &a, &c, &e))
        fail_msg("%s", e.text);
    assert_int_equal(c.op, OP_UPDATE);
    assert_int_equal(c.id.inc, 255);
    assert_int_equal(c.after[0].v.i, 7);
    assert_int_equal(c.after[1].kind, CELL_TEXT);
    assert_true(bytes_eq(cell_bytes(&c.after[1]), BYTES_LIT("0000-00-00")));
    assert_null(c.before);
    row_decoder_free(dec);
    table_unref(t);
    arena_free(&a);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(jansson_sees_the_values_that_were_meant),
        cmocka_unit_test(only_json_is_passed_over),
        cmocka_unit_test(a_deep_document_is_refused_without_harm),
        cmocka_unit_test(strings_are_unescaped),
        cmocka_unit_test(members_may_come_in_any_order),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
