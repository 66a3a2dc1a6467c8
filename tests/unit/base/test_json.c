#include "unit/base/unit.h"

#include "base/json.h"

static struct json *
parsed(const char *text)
{
    struct json *j;
    struct err e;
    if (!json_parse(bytes_str(text), &j, &e))
        fail_msg("%s", e.text);
    return j;
}

static void
assert_dumps(struct json *j, const char *want)
{
    struct buf b = {0};
    json_dump(j, &b);
    assert_text(&b, want);
    buf_free(&b);
    json_free(j);
}

static void
members_are_written_in_the_order_they_were_set(void **state)
{
    struct json *o = json_object_new();
    struct json *a = json_array_new();
    json_push(a, json_i64(INT64_MIN));
    json_push(a, json_u64(UINT64_MAX));
    json_push(a, json_u64(INT64_MAX));
    json_set(o, "z", json_i64(1));
    json_set(o, "a", a);
    json_set(o, "m", json_str("x"));
    json_set(o, "n", json_str(NULL));
    json_set(o, "b", json_bool_new(true));
    json_set(o, "r", json_real_new(0.5));
    assert_dumps(o, "{\"z\":1,\"a\":[-9223372036854775808,\"18446744073709551615\","
                    "9223372036854775807],\"m\":\"x\",\"n\":null,\"b\":true,\"r\":0.5}");
}

static void
setting_a_member_again_replaces_it(void **state)
{
    struct json *o = json_object_new();
    json_set(o, "k", json_i64(1));
    json_set(o, "k", json_i64(2));
    assert_dumps(o, "{\"k\":2}");
}

static void
unsigned_numbers_come_back_whole(void **state)
{
    struct json *j =
        parsed("{\"a\":\"18446744073709551615\",\"b\":7,\"c\":-1,\"d\":\"x\",\"e\":1.5}");
    assert_true(json_get_u64(j, "a", 3) == UINT64_MAX);
    assert_true(json_get_u64(j, "b", 3) == 7);
    assert_true(json_get_u64(j, "c", 3) == 3);
    assert_true(json_get_u64(j, "d", 3) == 3);
    assert_true(json_get_u64(j, "e", 3) == 3);
    assert_true(json_get_u64(j, "f", 3) == 3);
    assert_int_equal(json_get_i64(j, "c", 3), -1);
    assert_int_equal(json_get_i64(j, "a", 3), 3);
    json_free(j);
}

static void
absent_or_other_kinds_give_the_default(void **state)
{
    struct json *j = parsed("{\"n\":null,\"b\":false,\"s\":\"t\",\"o\":{\"x\":1},\"a\":[1,2]}");
    assert_string_equal(json_get_str(j, "s", "d"), "t");
    assert_string_equal(json_get_str(j, "n", "d"), "d");
    assert_string_equal(json_get_str(j, "b", "d"), "d");
    assert_false(json_get_bool(j, "b", true));
    assert_true(json_get_bool(j, "n", true));
    assert_true(json_is_null(json_get(j, "n")) && json_is_null(json_get(j, "zz")));
    assert_true(json_is_object(json_get(j, "o")) && json_is_array(json_get(j, "a")));
    assert_false(json_is_object(NULL) || json_is_array(NULL) || json_is_str(NULL));
    assert_int_equal(json_len(json_get(j, "a")), 2);
    assert_int_equal(json_len(json_get(j, "o")), 1);
    assert_int_equal(json_len(json_get(j, "s")), 0);
    assert_int_equal(json_len(NULL), 0);
    assert_null(json_get(json_get(j, "zz"), "k"));
    assert_null(json_at(json_get(j, "a"), 2));
    assert_int_equal(json_i64_value(json_at(json_get(j, "a"), 1), 0), 2);
    json_free(j);
    json_free(NULL);
}

static void
bad_texts_are_errors_with_a_place(void **state)
{
    static const char *const bad[] = {
        "",    "{",        "{\"a\":1,\"a\":2}",    "[1,]",      "{} x",
        "nul", "\"\xff\"", "99999999999999999999", "{\"a\":1}{"};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        struct json *j;
        struct err e;
        if (json_parse(bytes_str(bad[i]), &j, &e))
            fail_msg("%s was taken", bad[i]);
        assert_int_equal(e.code, MR_KAFKA_BAD_RECORD);
        assert_non_null(strstr(e.text, "byte"));
    }
}

static void
invalid_utf8_is_replaced_and_nul_bytes_survive(void **state)
{
    assert_dumps(json_str("a\xff"), "\"a\xef\xbf\xbd\"");
    struct json *o = json_object_new();
    json_set(o, "k\xff", json_i64(1));
    assert_dumps(o, "{\"k\xef\xbf\xbd\":1}");
    struct buf b = {0};
    struct json *j = json_bytes(BYTES_LIT("a\0b"));
    json_dump(j, &b);
    json_free(j);
    j = parsed(buf_cstr(&b));
    assert_true(bytes_eq(json_bytes_value(j), BYTES_LIT("a\0b")));
    assert_null(json_bytes_value(NULL).p);
    json_free(j);
    buf_free(&b);
}

static void
iteration_sees_every_member_once(void **state)
{
    struct json *j = parsed("{\"a\":1,\"b\":2,\"c\":3}");
    const char *key;
    struct json *value;
    char seen[16] = "";
    for (void *it = NULL; (it = json_next(j, it, &key, &value)) != NULL;)
        snprintf(seen + strlen(seen), 8, "%s%d", key, (int)json_i64_value(value, 0));
    assert_string_equal(seen, "a1b2c3");
    json_free(j);
    j = json_object_new();
    assert_null(json_next(j, NULL, &key, &value));
    json_free(j);
}

static void
a_reference_outlives_its_container(void **state)
{
    struct json *j = parsed("{\"a\":[1]}");
    struct json *a = json_ref(json_get(j, "a"));
    json_free(j);
    assert_dumps(a, "[1]");
}

static void
pretty_output_is_indented_by_two(void **state)
{
    struct json *j = parsed("[{\"a\":1}]");
    struct buf b = {0};
    json_dump_pretty(j, &b);
    assert_text(&b, "[\n  {\n    \"a\": 1\n  }\n]");
    buf_free(&b);
    json_free(j);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(members_are_written_in_the_order_they_were_set),
        cmocka_unit_test(setting_a_member_again_replaces_it),
        cmocka_unit_test(unsigned_numbers_come_back_whole),
        cmocka_unit_test(absent_or_other_kinds_give_the_default),
        cmocka_unit_test(bad_texts_are_errors_with_a_place),
        cmocka_unit_test(invalid_utf8_is_replaced_and_nul_bytes_survive),
        cmocka_unit_test(iteration_sees_every_member_once),
        cmocka_unit_test(a_reference_outlives_its_container),
        cmocka_unit_test(pretty_output_is_indented_by_two),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
