/* The published form of a table without a key, and the key of its rows. */
#include <setjmp.h>
#include <stdarg.h>
#include <string.h>

#include <cmocka.h>

#include "schema/table_rows.h"
#include "schema/target_ddl_mysql.h"

static struct table *
keyless(const char *second)
{
    struct table *t = table_new("db", "t");
    t->columns = arena_zalloc(&t->arena, 2 * sizeof *t->columns);
    t->columns[0] = (struct column){.name = "a", .type = COL_INT, .nullable = true};
    t->columns[1] = (struct column){.name = second,
                                    .type = COL_VARCHAR,
                                    .nullable = true,
                                    .length = 9,
                                    .charset = "utf8mb4",
                                    .collation = "utf8mb4_bin"};
    t->column_count = 2;
    table_seal(t);
    return t;
}

static struct table *
published(struct table *t, enum table_rows rows)
{
    struct table *out;
    struct err e;
    assert_true(table_with_rows(t, rows, &out, &e));
    return out;
}

static void
the_published_form_survives_json_and_gives_the_source_form_back(void **state)
{
    struct table *t = keyless("b"), *wide = published(t, TABLE_MULTISET), *again;
    struct err e;
    struct json *j = table_to_json(wide);
    assert_true(table_from_json(j, &again, &e));
    assert_int_equal(again->rows, TABLE_MULTISET);
    assert_int_equal(again->key_count, 1);
    assert_string_equal(again->columns[again->key[0]].name, TABLE_ROW_COLUMN);
    struct table *back = table_without_rows(again);
    assert_true(table_same(back, t));
    json_free(j);
    table_unref(back);
    table_unref(again);
    table_unref(wide);
    table_unref(t);
}

static void
a_column_of_that_name_is_refused(void **state)
{
    struct table *t = keyless(TABLE_ROW_COLUMN), *out;
    struct err e;
    assert_false(table_with_rows(t, TABLE_APPEND, &out, &e));
    assert_int_equal(e.code, MR_SOURCE_TYPE);
    table_unref(t);
}

static void
a_target_table_has_the_key_invisible_and_a_log_its_columns(void **state)
{
    struct table *t = keyless("b");
    const struct ddl_target to = {.flavor = FLAVOR_MYSQL, .database = "db", .table = "t"};
    const char *const wanted[] = {
        [TABLE_APPEND] = "`_seq` bigint unsigned null",
        [TABLE_MULTISET] = "key _millrace_row (_millrace_row)",
    };
    for (enum table_rows rows = TABLE_APPEND; rows <= TABLE_MULTISET; rows++) {
        struct table *wide = published(t, rows);
        struct buf sql = {0};
        struct err e;
        assert_true(ddl_create_table(wide, &to, &sql, NULL, &e));
        assert_non_null(strstr(buf_cstr(&sql), "binary(16) not null default '' invisible"));
        assert_non_null(strstr(buf_cstr(&sql), wanted[rows] + (rows == TABLE_APPEND ? 7 : 0)));
        assert_null(strstr(buf_cstr(&sql), "unique"));
        buf_free(&sql);
        table_unref(wide);
    }
    table_unref(t);
}

static void
rows_have_one_key_exactly_when_every_byte_is_the_same(void **state)
{
    struct cell rows[][2] = {
        {{.kind = CELL_NULL}, {.kind = CELL_TEXT, .len = 1, .v.p = (const uint8_t *)"a"}},
        {{.kind = CELL_NULL}, {.kind = CELL_TEXT, .len = 1, .v.p = (const uint8_t *)"A"}},
        {{.kind = CELL_TEXT, .len = 1, .v.p = (const uint8_t *)"a"}, {.kind = CELL_NULL}},
        {{.kind = CELL_DOUBLE, .v.d = 0.0}, {.kind = CELL_NULL}},
        {{.kind = CELL_DOUBLE, .v.d = -0.0}, {.kind = CELL_NULL}},
        {{.kind = CELL_TEXT, .len = 0}, {.kind = CELL_NULL}},
        {{.kind = CELL_NULL}, {.kind = CELL_NULL}},
        {{.kind = CELL_TEXT, .len = 2, .v.p = (const uint8_t *)"ab"},
         {.kind = CELL_TEXT, .len = 1, .v.p = (const uint8_t *)"c"}},
        {{.kind = CELL_TEXT, .len = 1, .v.p = (const uint8_t *)"a"},
         {.kind = CELL_TEXT, .len = 2, .v.p = (const uint8_t *)"bc"}},
    };
    uint8_t keys[ARRAY_LEN(rows)][TABLE_ROW_BYTES], again[TABLE_ROW_BYTES];
    struct buf scratch = {0};
    for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
        table_row_key(rows[i], 2, &scratch, keys[i]);
        table_row_key(rows[i], 2, &scratch, again);
        assert_memory_equal(keys[i], again, TABLE_ROW_BYTES);
        for (size_t k = 0; k < i; k++)
            assert_memory_not_equal(keys[i], keys[k], TABLE_ROW_BYTES);
    }
    buf_free(&scratch);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_published_form_survives_json_and_gives_the_source_form_back),
        cmocka_unit_test(a_column_of_that_name_is_refused),
        cmocka_unit_test(a_target_table_has_the_key_invisible_and_a_log_its_columns),
        cmocka_unit_test(rows_have_one_key_exactly_when_every_byte_is_the_same),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
