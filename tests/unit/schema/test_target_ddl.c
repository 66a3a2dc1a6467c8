/* DDL text by example, shape comparison, and SQL text of values. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

#include "schema/sql_literal.h"
#include "schema/target_ddl_mysql.h"
#include "schema/tsv.h"

static struct table *
table_of(const struct column *columns, uint16_t n)
{
    static const uint16_t key[] = {0};
    static const uint32_t prefix[] = {0};
    struct table *t = table_new("src", "orders");
    t->columns = arena_alloc(&t->arena, n * sizeof *columns);
    memcpy(t->columns, columns, n * sizeof *columns);
    t->column_count = n;
    t->uniques = arena_zalloc(&t->arena, 2 * sizeof *t->uniques);
    t->uniques[0] = (struct unique_key){"PRIMARY", key, prefix, 1};
    t->unique_count = 1;
    table_seal(t);
    return t;
}

static const struct bytes labels[] = {{(const uint8_t *)"a", 1}, {(const uint8_t *)"it's", 4}};

static const struct column base[] = {
    {.name = "id", .type = COL_BIGINT, .is_unsigned = true},
    {.name = "na`me",
     .type = COL_VARCHAR,
     .length = 40,
     .nullable = true,
     .charset = "utf8mb4",
     .collation = "utf8mb4_0900_ai_ci"},
    {.name = "kind",
     .type = COL_ENUM,
     .labels = labels,
     .label_count = 2,
     .charset = "latin1",
     .collation = "latin1_swedish_ci",
     .default_sql = "'a'"},
    {.name = "at", .type = COL_TIMESTAMP, .scale = 6},
    {.name = "sum", .type = COL_DECIMAL, .precision = 12, .scale = 2, .generated = true},
};
#define BASE_N ((uint16_t)ARRAY_LEN(base))

static const struct ddl_target mysql = {.flavor = FLAVOR_MYSQL, .database = "d", .table = "t"};
static const struct ddl_target mariadb = {
    .flavor = FLAVOR_MARIADB, .database = "d", .table = "t"};

static void
a_table_is_created_as_the_source_has_it(void **state)
{
    struct table *t = table_of(base, BASE_N);
    struct buf sql = {0}, notes = {0};
    struct err e = {0};
    assert_true(ddl_create_table(t, &mysql, &sql, &notes, &e));
    assert_string_equal(
        buf_cstr(&sql),
        "create table `d`.`t` (\n"
        "  `id` bigint unsigned not null,\n"
        "  `na``me` varchar(40) character set utf8mb4 collate utf8mb4_0900_ai_ci null,\n"
        "  `kind` enum('a','it\\'s') character set latin1 collate latin1_swedish_ci not null "
        "default 'a',\n"
        "  `at` timestamp(6) not null default '1970-01-01 00:00:01',\n"
        "  primary key (`id`)\n) engine=InnoDB");
    assert_string_equal(buf_cstr(&notes), "column sum: a generated column, left out: its "
                                          "expression is not known\n");
    buf_free(&sql);
    buf_free(&notes);
    table_unref(t);
}

static void
a_collation_the_target_lacks_becomes_binary_without_padding(void **state)
{
    struct table *t = table_of(base, BASE_N);
    struct buf sql = {0}, notes = {0};
    struct err e = {0};
    assert_true(ddl_create_table(t, &mariadb, &sql, &notes, &e));
    assert_non_null(
        strstr(buf_cstr(&sql), "character set utf8mb4 collate utf8mb4_nopad_bin null"));
    assert_non_null(strstr(buf_cstr(&sql), "character set latin1 collate latin1_swedish_ci"));
    assert_non_null(strstr(buf_cstr(&notes), "column na`me: the target lacks its collation"));
    buf_free(&sql);
    buf_free(&notes);
    table_unref(t);
}

static void
utf8_and_utf8mb3_are_one_character_set(void **state)
{
    static const char *const known[] = {"utf8_general_ci"};
    static const struct column columns[] = {{.name = "k",
                                             .type = COL_CHAR,
                                             .length = 3,
                                             .charset = "utf8mb3",
                                             .collation = "utf8mb3_general_ci"}};
    struct ddl_target to = mysql;
    struct table *t = table_of(columns, 1);
    struct buf sql = {0};
    struct err e = {0};
    to.collations = known;
    to.collation_count = 1;
    assert_true(ddl_create_table(t, &to, &sql, NULL, &e));
    assert_non_null(strstr(buf_cstr(&sql), "character set utf8 collate utf8_general_ci"));
    buf_free(&sql);
    table_unref(t);
}

/* ---- ALTER ---- */

static void
expect_alter(const struct column *from, uint16_t from_n, const struct column *into,
             uint16_t into_n, const struct ddl_rename *renames, size_t rename_n,
             const char *want, bool exact)
{
    struct table *a = table_of(from, from_n), *b = table_of(into, into_n);
    struct buf sql = {0};
    struct ddl_alter info;
    bool some = ddl_alter_table(a, b, &mysql, renames, rename_n, &info, &sql);
    assert_string_equal(buf_cstr(&sql), want);
    assert_int_equal(some, *want != 0);
    assert_int_equal(info.exact, exact);
    buf_free(&sql);
    table_unref(a);
    table_unref(b);
}

static void
a_changed_definition_is_one_alter(void **state)
{
    static const struct column v1[] = {
        {.name = "id", .type = COL_INT},
        {.name = "a", .type = COL_VARCHAR, .length = 10, .nullable = true},
        {.name = "b", .type = COL_INT, .nullable = true}};
    static const struct column v2[] = {
        {.name = "id", .type = COL_INT},
        {.name = "c", .type = COL_INT, .nullable = true, .default_sql = "7"},
        {.name = "a", .type = COL_VARCHAR, .length = 20, .nullable = true}};
    static const struct column v3[] = {
        {.name = "id", .type = COL_INT},
        {.name = "a", .type = COL_VARCHAR, .length = 10, .nullable = true},
        {.name = "z", .type = COL_INT, .nullable = true}};
    static const struct column v4[] = {
        {.name = "id", .type = COL_INT},
        {.name = "a", .type = COL_VARCHAR, .length = 10, .nullable = true},
        {.name = "b", .type = COL_INT, .nullable = true},
        {.name = "n", .type = COL_DATETIME, .default_sql = "CURRENT_TIMESTAMP"}};
    static const struct column v5[] = {{.name = "id", .type = COL_INT},
                                       {.name = "a", .type = COL_INT, .nullable = true},
                                       {.name = "b", .type = COL_INT, .nullable = true}};
    static const struct ddl_rename renames[] = {{"b", "z"}};
    expect_alter(v1, 3, v1, 3, NULL, 0, "", true);
    expect_alter(v1, 3, v2, 3, NULL, 0,
                 "alter table `d`.`t`\n  drop column `b`,\n"
                 "  add column `c` int null default 7 after `id`,\n"
                 "  modify column `a` varchar(20) null",
                 true);
    expect_alter(v1, 3, v3, 3, renames, 1,
                 "alter table `d`.`t`\n  change column `b` `z` int null", true);
    expect_alter(
        v1, 3, v4, 4, NULL, 0,
        "alter table `d`.`t`\n  add column `n` datetime not null default CURRENT_TIMESTAMP",
        false);
    expect_alter(v1, 3, v5, 3, NULL, 0, "alter table `d`.`t`\n  modify column `a` int null",
                 false);
}

static void
a_new_unique_key_follows(void **state)
{
    static const uint16_t second[] = {1};
    static const uint32_t prefix[] = {5};
    struct table *a = table_of(base, BASE_N), *b = table_of(base, BASE_N);
    struct buf sql = {0};
    struct ddl_alter info;
    b->uniques[1] = (struct unique_key){"u", second, prefix, 1};
    b->unique_count = 2;
    table_seal(b);
    assert_true(ddl_alter_table(a, b, &mysql, NULL, 0, &info, &sql));
    assert_string_equal(buf_cstr(&sql),
                        "alter table `d`.`t`\n  add unique key `u` (`na``me`(5))");
    buf_reset(&sql);
    assert_true(ddl_alter_table(b, a, &mysql, NULL, 0, &info, &sql));
    assert_string_equal(buf_cstr(&sql), "alter table `d`.`t`\n  drop index `u`");
    assert_true(info.keys);
    buf_free(&sql);
    table_unref(a);
    table_unref(b);
}

/* ---- shape ---- */

static void
expect_fit(struct column want, struct column have, bool fits)
{
    want.name = have.name = "c";
    if (ddl_column_fits(&want, &have) != fits)
        fail_msg("type %d length %u in type %d length %u", want.type, want.length, have.type,
                 have.length);
}

#define T(...) ((struct column){__VA_ARGS__})

static void
wider_columns_fit_and_narrower_do_not(void **state)
{
    expect_fit(T(.type = COL_INT), T(.type = COL_BIGINT), true);
    expect_fit(T(.type = COL_INT), T(.type = COL_SMALLINT), false);
    expect_fit(T(.type = COL_INT, .is_unsigned = true), T(.type = COL_INT), false);
    expect_fit(T(.type = COL_INT, .is_unsigned = true), T(.type = COL_BIGINT), true);
    expect_fit(T(.type = COL_INT), T(.type = COL_BIGINT, .is_unsigned = true), false);
    expect_fit(T(.type = COL_BIGINT), T(.type = COL_DECIMAL, .precision = 20), true);
    expect_fit(T(.type = COL_VARCHAR, .length = 20), T(.type = COL_VARCHAR, .length = 30),
               true);
    expect_fit(T(.type = COL_VARCHAR, .length = 20), T(.type = COL_VARCHAR, .length = 10),
               false);
    expect_fit(T(.type = COL_VARCHAR, .length = 20), T(.type = COL_CHAR, .length = 20), false);
    expect_fit(T(.type = COL_CHAR, .length = 20), T(.type = COL_VARCHAR, .length = 20), true);
    expect_fit(T(.type = COL_VARCHAR, .length = 20), T(.type = COL_TEXT), true);
    expect_fit(T(.type = COL_VARCHAR, .length = 20), T(.type = COL_BLOB), false);
    expect_fit(T(.type = COL_TEXT), T(.type = COL_VARCHAR, .length = 9000), false);
    expect_fit(T(.type = COL_TEXT), T(.type = COL_TINYTEXT), false);
    expect_fit(T(.type = COL_BINARY, .length = 8), T(.type = COL_BINARY, .length = 9), false);
    expect_fit(T(.type = COL_BINARY, .length = 8), T(.type = COL_VARBINARY, .length = 9), true);
    expect_fit(T(.type = COL_VARCHAR, .length = 9, .charset = "utf8mb4"),
               T(.type = COL_VARCHAR, .length = 9, .charset = "latin1"), false);
    expect_fit(T(.type = COL_DECIMAL, .precision = 10, .scale = 2),
               T(.type = COL_DECIMAL, .precision = 10, .scale = 4), false);
    expect_fit(T(.type = COL_DATETIME, .scale = 3), T(.type = COL_DATETIME), false);
    expect_fit(T(.type = COL_ENUM, .labels = labels, .label_count = 1),
               T(.type = COL_ENUM, .labels = labels, .label_count = 2), true);
    expect_fit(T(.type = COL_ENUM, .labels = labels, .label_count = 2),
               T(.type = COL_ENUM, .labels = labels, .label_count = 1), false);
    expect_fit(T(.type = COL_JSON), T(.type = COL_LONGTEXT), true);
    expect_fit(T(.type = COL_UUID), T(.type = COL_CHAR, .length = 36), true);
}

static void
an_existing_table_is_compared(void **state)
{
    static const struct column want[] = {{.name = "id", .type = COL_INT},
                                         {.name = "a", .type = COL_INT, .nullable = true}};
    static const struct column more[] = {{.name = "id", .type = COL_BIGINT},
                                         {.name = "a", .type = COL_INT, .nullable = true},
                                         {.name = "extra", .type = COL_INT, .nullable = true}};
    static const struct column less[] = {{.name = "id", .type = COL_INT},
                                         {.name = "b", .type = COL_INT}};
    struct table *w = table_of(want, 2), *m = table_of(more, 3), *l = table_of(less, 2);
    struct buf differences = {0};
    assert_true(ddl_compare(w, m, &differences));
    assert_int_equal(differences.n, 0);
    l->unique_count = 0;
    assert_false(ddl_compare(w, l, &differences));
    assert_string_equal(buf_cstr(&differences),
                        "column a is missing\n"
                        "column b is not null, has no default and is not written\n"
                        "no unique key over exactly (id)\n");
    buf_free(&differences);
    table_unref(w);
    table_unref(m);
    table_unref(l);
}

/* ---- values ---- */

static void
expect_literal(struct column c, struct cell v, const char *sql, const char *field)
{
    struct buf a = {0}, b = {0};
    struct err e = {0};
    c.name = "c";
    sql_literal(&c, &v, &a);
    assert_string_equal(buf_cstr(&a), sql);
    assert_true(tsv_field(&c, &v, &b, &e));
    assert_string_equal(buf_cstr(&b), field);
    buf_free(&a);
    buf_free(&b);
}

static struct cell
sized(enum cell_kind kind, const char *p, size_t n)
{
    struct cell c = {.kind = (uint8_t)kind, .len = (uint32_t)n};
    c.v.p = (const uint8_t *)p;
    return c;
}

static void
values_are_written_as_the_servers_read_them(void **state)
{
    struct column time = T(.type = COL_TIME, .scale = 3);
    struct column labelled = T(.type = COL_SET, .labels = labels, .label_count = 2);
    expect_literal(T(.type = COL_INT), (struct cell){.kind = CELL_NULL}, "NULL", "\\N");
    expect_literal(T(.type = COL_TEXT), sized(CELL_TEXT, "it's a\\b\n\0c", 11),
                   "'it\\'s a\\\\b\n\\0c'", "it's a\\\\b\\n\\0c");
    expect_literal(T(.type = COL_BLOB), sized(CELL_BYTES, "\0\xff'", 3), "x'00ff27'", "00ff27");
    expect_literal(T(.type = COL_BLOB), sized(CELL_BYTES, "", 0), "x''", "");
    expect_literal(T(.type = COL_DOUBLE), (struct cell){.kind = CELL_DOUBLE, .v.d = 1.5},
                   "1.5e0", "1.5");
    expect_literal(T(.type = COL_DOUBLE), (struct cell){.kind = CELL_DOUBLE, .v.d = 1e300},
                   "1e+300", "1e+300");
    expect_literal(T(.type = COL_BIT, .length = 10),
                   (struct cell){.kind = CELL_BIT, .v.u = 513}, "513", "513");
    expect_literal(time, (struct cell){.kind = CELL_TIME, .v.i = -1500000}, "'-00:00:01.500'",
                   "-00:00:01.500");
    expect_literal(T(.type = COL_TIMESTAMP),
                   (struct cell){.kind = CELL_TIMESTAMP, .v.i = 1000000},
                   "'1970-01-01 00:00:01'", "1970-01-01 00:00:01");
    expect_literal(T(.type = COL_YEAR), (struct cell){.kind = CELL_YEAR}, "0", "0000");
    expect_literal(labelled, (struct cell){.kind = CELL_SET, .v.u = 3}, "'a,it\\'s'", "a,it's");
    expect_literal(T(.type = COL_DECIMAL), sized(CELL_DECIMAL, "-0.10", 5), "-0.10", "-0.10");
}

static void
binary_columns_load_through_variables(void **state)
{
    static const struct column columns[] = {{.name = "id", .type = COL_INT},
                                            {.name = "b", .type = COL_BLOB},
                                            {.name = "g", .type = COL_INT, .generated = true},
                                            {.name = "f", .type = COL_BIT, .length = 3}};
    struct table *t = table_of(columns, 4);
    struct buf b = {0};
    tsv_columns(t, &b);
    assert_string_equal(buf_cstr(&b),
                        "(`id`,@c1,@c3) SET `b`=UNHEX(@c1),`f`=CAST(@c3 AS UNSIGNED)");
    buf_free(&b);
    table_unref(t);
}

static void
only_the_invalid_enum_value_needs_a_lenient_session(void **state)
{
    struct column c = T(.type = COL_ENUM, .labels = labels, .label_count = 2);
    struct cell zero = {.kind = CELL_ENUM}, one = {.kind = CELL_ENUM, .v.u = 1};
    struct cell empty = sized(CELL_TEXT, "", 0);
    assert_true(sql_needs_lenient(&c, &zero));
    assert_true(sql_needs_lenient(&c, &empty));
    assert_false(sql_needs_lenient(&c, &one));
    c.type = COL_VARCHAR;
    assert_false(sql_needs_lenient(&c, &empty));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_table_is_created_as_the_source_has_it),
        cmocka_unit_test(a_collation_the_target_lacks_becomes_binary_without_padding),
        cmocka_unit_test(utf8_and_utf8mb3_are_one_character_set),
        cmocka_unit_test(a_changed_definition_is_one_alter),
        cmocka_unit_test(a_new_unique_key_follows),
        cmocka_unit_test(wider_columns_fit_and_narrower_do_not),
        cmocka_unit_test(an_existing_table_is_compared),
        cmocka_unit_test(values_are_written_as_the_servers_read_them),
        cmocka_unit_test(binary_columns_load_through_variables),
        cmocka_unit_test(only_the_invalid_enum_value_needs_a_lenient_session),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
