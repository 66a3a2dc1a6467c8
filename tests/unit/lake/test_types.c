#include "lake/value.h"
#include "schema/temporal.h"
#include "unit/base/unit.h"

static struct lake_type
type_of(const char *text)
{
    struct lake_type t;
    assert_true(lake_type_parse(bytes_str(text), &t));
    return t;
}

static void
type_names_are_read_and_written(void **state)
{
    static const char *const names[] = {"boolean",       "int",
                                        "long",          "float",
                                        "double",        "date",
                                        "time",          "timestamp",
                                        "uuid",          "timestamptz",
                                        "string",        "binary",
                                        "decimal(9, 2)", "decimal(38, 38)",
                                        "fixed[16]"};
    static const char *const wrong[] = {"",
                                        "integer",
                                        "decimal",
                                        "decimal(0, 0)",
                                        "decimal(39, 0)",
                                        "decimal(4, 5)",
                                        "decimal(4,2) ",
                                        "fixed[0]",
                                        "fixed[]",
                                        "fixed[99999999999]",
                                        "list"};
    char text[LAKE_TYPE_TEXT_MAX];
    struct lake_type t;
    for (size_t i = 0; i < ARRAY_LEN(names); i++) {
        t = type_of(names[i]);
        assert_string_equal(lake_type_text(&t, text), names[i]);
    }
    t = type_of("decimal(9,2)");
    assert_string_equal(lake_type_text(&t, text), "decimal(9, 2)");
    for (size_t i = 0; i < ARRAY_LEN(wrong); i++)
        assert_false(lake_type_parse(bytes_str(wrong[i]), &t));
}

static void
only_widening_is_a_promotion(void **state)
{
    static const struct {
        const char *from, *to;
        bool ok;
    } cases[] = {{"int", "long", true},
                 {"long", "int", false},
                 {"float", "double", true},
                 {"int", "double", false},
                 {"decimal(9, 2)", "decimal(20, 2)", true},
                 {"decimal(9, 2)", "decimal(20, 3)", false},
                 {"decimal(20, 2)", "decimal(9, 2)", false},
                 {"string", "string", true},
                 {"fixed[4]", "fixed[5]", false},
                 {"date", "timestamp", false}};
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct lake_type from = type_of(cases[i].from), to = type_of(cases[i].to);
        assert_int_equal(lake_type_promotes(&from, &to), cases[i].ok);
    }
}

static void
expect_type(struct column c, const char *want)
{
    struct lake_map_conf conf = {0};
    char text[LAKE_TYPE_TEXT_MAX];
    struct lake_type t = lake_type_of_column(&c, &conf);
    assert_string_equal(lake_type_text(&t, text), want);
}

static void
columns_of_a_source_have_the_types_that_hold_their_values(void **state)
{
    struct lake_map_conf text_times = {.tinyint1_boolean = true, .time_text = true};
    struct column flag = {.type = COL_TINYINT, .source_type = "tinyint(1)"};
    struct column time = {.type = COL_TIME};
    expect_type((struct column){.type = COL_INT}, "int");
    expect_type((struct column){.type = COL_INT, .is_unsigned = true}, "long");
    expect_type((struct column){.type = COL_SMALLINT, .is_unsigned = true}, "int");
    expect_type((struct column){.type = COL_BIGINT, .is_unsigned = true}, "decimal(20, 0)");
    expect_type((struct column){.type = COL_DECIMAL, .precision = 38, .scale = 30},
                "decimal(38, 30)");
    expect_type((struct column){.type = COL_DECIMAL, .precision = 65, .scale = 2}, "string");
    expect_type((struct column){.type = COL_BIT, .length = 1}, "boolean");
    expect_type((struct column){.type = COL_BIT, .length = 9}, "binary");
    expect_type((struct column){.type = COL_DATETIME}, "timestamp");
    expect_type((struct column){.type = COL_TIMESTAMP}, "timestamptz");
    expect_type((struct column){.type = COL_UUID}, "uuid");
    expect_type((struct column){.type = COL_SET}, "string");
    expect_type(flag, "int");
    expect_type(time, "time");
    assert_int_equal(lake_type_of_column(&flag, &text_times).kind, LAKE_BOOLEAN);
    assert_int_equal(lake_type_of_column(&time, &text_times).kind, LAKE_STRING);
}

static void
a_table_becomes_a_schema_with_its_key(void **state)
{
    struct lake_map_conf conf = {0};
    struct lake_schema s;
    struct arena a;
    static const uint16_t key[] = {1};
    static const uint32_t prefix[] = {0};
    struct table *t = table_new("d", "t");
    arena_init(&a, 0);
    t->columns = arena_zalloc(&t->arena, 3 * sizeof *t->columns);
    t->column_count = 3;
    t->columns[0] = (struct column){.name = "day", .type = COL_DATE};
    t->columns[1] = (struct column){.name = "id", .type = COL_BIGINT};
    t->columns[2] = (struct column){.name = "note", .type = COL_TEXT, .nullable = true};
    t->uniques = arena_zalloc(&t->arena, sizeof *t->uniques);
    t->uniques[0] = (struct unique_key){"PRIMARY", key, prefix, 1};
    t->unique_count = 1;
    table_seal(t);
    lake_schema_of_table(t, &conf, &a, &s);
    assert_int_equal(s.field_count, 3);
    assert_false(s.fields[0].required); /* a zero date becomes null */
    assert_true(s.fields[1].required);
    assert_false(s.fields[2].required);
    assert_int_equal(s.identifier_count, 1);
    assert_int_equal(s.identifier_ids[0], 2);
    assert_ptr_equal(lake_schema_find_name(&s, BYTES_LIT("note")), lake_schema_find(&s, 3));
    assert_null(lake_schema_find(&s, 4));
    table_unref(t);
    arena_free(&a);
}

static void
expect_single(const char *type, struct cell c, const char *hex)
{
    struct lake_type t = type_of(type);
    struct buf b = {0};
    struct arena a;
    struct cell back;
    char text[128];
    arena_init(&a, 0);
    lake_value_put(&t, &c, &b);
    hex_encode(buf_bytes(&b), text);
    assert_string_equal(text, hex);
    assert_true(lake_value_get(&t, buf_bytes(&b), &a, &back));
    assert_int_equal(lake_value_cmp(&t, &c, &back), 0);
    buf_free(&b);
    arena_free(&a);
}

static struct cell
int_cell(int64_t v)
{
    return (struct cell){.kind = CELL_INT, .v.i = v};
}

static struct cell
bytes_cell(enum cell_kind kind, const void *p, size_t n)
{
    return (struct cell){.kind = (uint8_t)kind, .len = (uint32_t)n, .v.p = p};
}

static void
single_values_are_those_of_the_specification(void **state)
{
    /* decimal(14, 2) 14.20 is 0x058c: Appendix D's own example */
    expect_single("decimal(14, 2)", int_cell(1420), "058c");
    expect_single("decimal(14, 2)", int_cell(-1), "ff");
    expect_single("decimal(14, 2)", int_cell(128), "0080");
    expect_single("decimal(14, 2)", int_cell(0), "00");
    expect_single("decimal(20, 0)", bytes_cell(CELL_BYTES, "\0\0\0\0\0\0\0\x01\x80", 9),
                  "0180");
    expect_single("int", int_cell(-2), "feffffff");
    expect_single("long", int_cell(1), "0100000000000000");
    expect_single("boolean", int_cell(1), "01");
    expect_single("float", (struct cell){.kind = CELL_FLOAT, .v.d = -1}, "000080bf");
    expect_single("double", (struct cell){.kind = CELL_DOUBLE, .v.d = -1}, "000000000000f0bf");
    expect_single("string", bytes_cell(CELL_TEXT, "iceberg", 7), "69636562657267");
}

static void
bounds_of_a_narrower_type_are_read_as_the_wider_one(void **state)
{
    struct lake_type wide = type_of("long"), number = type_of("double");
    struct arena a;
    struct cell c;
    arena_init(&a, 0);
    assert_true(lake_value_get(&wide, BYTES_LIT("\xfe\xff\xff\xff"), &a, &c));
    assert_int_equal(c.v.i, -2);
    assert_true(lake_value_get(&number, BYTES_LIT("\0\0\x80\xbf"), &a, &c));
    assert_true(c.kind == CELL_DOUBLE && c.v.d == -1);
    assert_false(lake_value_get(&wide, BYTES_LIT("\xfe\xff\xff"), &a, &c));
    arena_free(&a);
}

static bool
native(const char *type, bool required, const struct column *source, struct cell in,
       struct lake_scratch *s, struct cell *out, struct err *e)
{
    struct lake_field f = {1, "f", type_of(type), required};
    return lake_native(&f, source, &in, s, out, e);
}

static void
zero_dates_become_null_and_are_counted(void **state)
{
    struct lake_scratch s = {0};
    struct cell out;
    struct err e;
    struct cell zero = {.kind = CELL_DATETIME};
    struct cell partial = {.kind = CELL_DATE, .v.u = 2026 << 9 | 11 << 5};
    assert_true(native("timestamptz", false, NULL, zero, &s, &out, &e));
    assert_int_equal(out.kind, CELL_NULL);
    assert_true(native("date", false, NULL, partial, &s, &out, &e));
    assert_int_equal(out.kind, CELL_NULL);
    assert_int_equal(s.zeros, 2);
    assert_false(native("date", true, NULL, partial, &s, &out, &e));
    assert_int_equal(e.code, MR_LAKE_VALUE);
    lake_scratch_free(&s);
}

static void
values_that_do_not_fit_are_refused_by_column_not_by_value(void **state)
{
    struct lake_scratch s = {0};
    struct cell out;
    struct err e;
    const struct {
        const char *type;
        struct cell in;
    } cases[] = {
        {"int", int_cell(4000000123)},
        {"boolean", int_cell(2)},
        {"long", {.kind = CELL_UINT, .v.u = 1ull << 63}},
        {"time", {.kind = CELL_TIME, .v.i = -1}},
        {"time", {.kind = CELL_TIME, .v.i = 86400000000}},
        {"decimal(3, 1)", bytes_cell(CELL_DECIMAL, "123.4", 5)},
        {"decimal(20, 1)", bytes_cell(CELL_DECIMAL, "12345678901234567890.1", 22)},
        {"string", int_cell(7)},
        {"uuid", bytes_cell(CELL_TEXT, "00112233-4455-6677-8899-aabbccddeefg", 36)},
        {"fixed[4]", bytes_cell(CELL_BYTES, "123", 3)},
        {"int", {.kind = CELL_ABSENT}},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        assert_false(native(cases[i].type, false, NULL, cases[i].in, &s, &out, &e));
        assert_int_equal(e.code, MR_LAKE_VALUE);
        assert_non_null(strstr(e.text, "column f"));
        assert_null(strstr(e.text, "123"));
    }
    lake_scratch_free(&s);
}

static void
labels_times_and_bits_become_what_people_read(void **state)
{
    static const struct bytes labels[] = {{(const uint8_t *)"red", 3},
                                          {(const uint8_t *)"green", 5}};
    struct column color = {.name = "f", .labels = labels, .label_count = 2, .length = 12};
    struct lake_scratch s = {0};
    struct cell out;
    struct err e;
    struct cell set = {.kind = CELL_SET, .v.u = 3}, label = {.kind = CELL_ENUM, .v.u = 2};
    struct cell none = {.kind = CELL_ENUM}, time = {.kind = CELL_TIME, .v.i = -3600000000};
    struct cell bit = {.kind = CELL_BIT, .v.u = 0xabc}, third = {.kind = CELL_ENUM, .v.u = 3};
    assert_true(native("string", false, &color, set, &s, &out, &e));
    assert_true(bytes_eq(cell_bytes(&out), BYTES_LIT("red,green")));
    assert_true(native("string", false, &color, label, &s, &out, &e));
    assert_true(bytes_eq(cell_bytes(&out), BYTES_LIT("green")));
    assert_true(native("string", false, &color, none, &s, &out, &e));
    assert_int_equal(out.len, 0);
    assert_false(native("string", false, &color, third, &s, &out, &e));
    assert_true(native("string", false, &color, time, &s, &out, &e));
    assert_true(bytes_eq(cell_bytes(&out), BYTES_LIT("-01:00:00")));
    assert_true(native("binary", false, &color, bit, &s, &out, &e));
    assert_true(bytes_eq(cell_bytes(&out), BYTES_LIT("\x0a\xbc")));
    lake_scratch_free(&s);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(type_names_are_read_and_written),
        cmocka_unit_test(only_widening_is_a_promotion),
        cmocka_unit_test(columns_of_a_source_have_the_types_that_hold_their_values),
        cmocka_unit_test(a_table_becomes_a_schema_with_its_key),
        cmocka_unit_test(single_values_are_those_of_the_specification),
        cmocka_unit_test(bounds_of_a_narrower_type_are_read_as_the_wider_one),
        cmocka_unit_test(zero_dates_become_null_and_are_counted),
        cmocka_unit_test(values_that_do_not_fit_are_refused_by_column_not_by_value),
        cmocka_unit_test(labels_times_and_bits_become_what_people_read),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
