#include "unit/base/unit.h"

#include "base/text.h"

static void
whole_numbers_are_taken_to_their_limits_and_no_further(void **state)
{
    int64_t i = 0;
    uint64_t u = 0;
    assert_true(text_i64("-9223372036854775808", &i) && i == INT64_MIN);
    assert_true(text_i64("9223372036854775807", &i) && i == INT64_MAX);
    assert_true(text_i64("+7", &i) && i == 7);
    assert_false(text_i64("9223372036854775808", &i));
    assert_false(text_i64("-9223372036854775809", &i));
    assert_true(text_u64("18446744073709551615", &u) && u == UINT64_MAX);
    assert_false(text_u64("18446744073709551616", &u));
    assert_false(text_u64("-1", &u));
    static const char *const bad[] = {"", " 1", "1 ", "1x", "-", "+-1", "0x10", "1e3", "--1"};
    for (size_t n = 0; n < ARRAY_LEN(bad); n++) {
        assert_false(text_i64(bad[n], &i));
        assert_false(text_u64(bad[n], &u));
    }
    assert_int_equal(i, 7);
}

static void
sizes_take_binary_units(void **state)
{
    static const struct {
        const char *text;
        int64_t want; /* -1: refused */
    } cases[] = {
        {"0", 0},
        {"4096", 4096},
        {"4096B", 4096},
        {"1k", 1024},
        {"1KiB", 1024},
        {"16MiB", 16 << 20},
        {"16MB", 16 << 20},
        {"2G", INT64_C(2) << 30},
        {"1T", INT64_C(1) << 40},
        {"8388607T", INT64_C(8388607) << 40},
        {"8388608T", -1},
        {"9223372036854775808", -1},
        {"", -1},
        {"M", -1},
        {"1Mi", -1},
        {"1 M", -1},
        {"-1", -1},
        {"1MiBx", -1},
        {"1.5M", -1},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        int64_t v = -1;
        bool ok = text_size(cases[i].text, &v);
        if (ok != (cases[i].want >= 0) || v != cases[i].want)
            fail_msg("\"%s\": %d %lld", cases[i].text, ok, (long long)v);
    }
}

static void
durations_take_units_and_parts(void **state)
{
    static const struct {
        const char *text;
        int64_t unit_ms;
        int64_t want; /* -1: refused */
    } cases[] = {
        {"250", 1, 250},       {"250", 1000, 250000},
        {"250ms", 1000, 250},  {"5s", 1, 5000},
        {"10m", 1, 600000},    {"1h30m", 1, 5400000},
        {"2d", 1, 172800000},  {"0", 1, 0},
        {"1m500ms", 1, 60500}, {"1m30", 1, -1},
        {"", 1, -1},           {"m", 1, -1},
        {"-5s", 1, -1},        {"5x", 1, -1},
        {"5 s", 1, -1},        {"9223372036854775807d", 1, -1},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        int64_t v = -1;
        bool ok = text_duration_ms(cases[i].text, cases[i].unit_ms, &v);
        if (ok != (cases[i].want >= 0) || v != cases[i].want)
            fail_msg("\"%s\": %d %lld", cases[i].text, ok, (long long)v);
    }
}

static void
booleans_have_eight_words(void **state)
{
    bool v = false;
    assert_true(text_bool("YES", &v) && v);
    assert_true(text_bool("on", &v) && v);
    assert_true(text_bool("False", &v) && !v);
    assert_true(text_bool("0", &v) && !v);
    assert_false(text_bool("", &v));
    assert_false(text_bool("2", &v));
    assert_false(text_bool("tru", &v));
    assert_false(text_bool("truee", &v));
}

static void
distance_counts_edits_and_neighbour_swaps(void **state)
{
    assert_int_equal(text_distance("", ""), 0);
    assert_int_equal(text_distance("abc", ""), 3);
    assert_int_equal(text_distance("", "abc"), 3);
    assert_int_equal(text_distance("kitten", "sitting"), 3);
    assert_int_equal(text_distance("Kafka", "kafka"), 0);
    assert_int_equal(text_distance("listne", "listen"), 1);
    assert_int_equal(text_distance("ab", "ba"), 1);
    char longest[66];
    memset(longest, 'a', 65);
    longest[65] = '\0';
    assert_true(text_distance(longest, "a") == SIZE_MAX);
    assert_int_equal(text_distance(longest + 1, "a"), 63);
}

static void
nearest_is_the_nearest_or_nothing(void **state)
{
    static const char *const names[] = {"commit.min.ms", "commit.max.ms", "listen", "name"};
    assert_string_equal(text_nearest("commit.mxa.ms", names, 4), "commit.max.ms");
    assert_string_equal(text_nearest("lsiten", names, 4), "listen");
    assert_null(text_nearest("zookeeper", names, 4));
    assert_null(text_nearest("x", names, 0));
}

static void
utf8_is_checked_as_rfc_3629_says(void **state)
{
    static const char *const good[] = {"",
                                       "a",
                                       "\x7f",
                                       "\xc2\x80",
                                       "\xdf\xbf",
                                       "\xe0\xa0\x80",
                                       "\xed\x9f\xbf",
                                       "\xee\x80\x80",
                                       "\xef\xbf\xbf",
                                       "\xf0\x90\x80\x80",
                                       "\xf4\x8f\xbf\xbf"};
    static const char *const bad[] = {"\x80",
                                      "\xc0\x80",
                                      "\xc1\xbf",
                                      "\xc2",
                                      "\xe0\x9f\xbf",
                                      "\xed\xa0\x80",
                                      "\xed\xbf\xbf",
                                      "\xf0\x8f\xbf\xbf",
                                      "\xf4\x90\x80\x80",
                                      "\xf5\x80\x80\x80",
                                      "\xff",
                                      "\xe2\x82",
                                      "\xc3\x28",
                                      "\xe2\x28\xa1"};
    for (size_t i = 0; i < ARRAY_LEN(good); i++)
        assert_true(text_is_utf8(bytes_str(good[i])));
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        assert_false(text_is_utf8(bytes_str(bad[i])));
    assert_true(text_is_utf8(BYTES_LIT("a\0b")));
}

static void
invalid_bytes_are_replaced_one_by_one(void **state)
{
    struct buf b = {0};
    text_utf8(BYTES_LIT("a\xff\xe2\x82z\xc3\xa4"), &b);
    assert_text(&b, "a\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbdz\xc3\xa4");
    buf_free(&b);
}

static void
same_ignores_case_but_not_length(void **state)
{
    assert_true(text_same("MySQL", "mysql"));
    assert_true(text_same("", ""));
    assert_false(text_same("mysql", "mysq"));
    assert_false(text_same("mysq", "mysql"));
    assert_true(text_starts("kafka.x", "kafka."));
    assert_false(text_starts("kafka", "kafka."));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(whole_numbers_are_taken_to_their_limits_and_no_further),
        cmocka_unit_test(sizes_take_binary_units),
        cmocka_unit_test(durations_take_units_and_parts),
        cmocka_unit_test(booleans_have_eight_words),
        cmocka_unit_test(distance_counts_edits_and_neighbour_swaps),
        cmocka_unit_test(nearest_is_the_nearest_or_nothing),
        cmocka_unit_test(utf8_is_checked_as_rfc_3629_says),
        cmocka_unit_test(invalid_bytes_are_replaced_one_by_one),
        cmocka_unit_test(same_ignores_case_but_not_length),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
