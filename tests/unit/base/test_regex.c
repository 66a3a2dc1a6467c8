#include "unit/base/unit.h"

#include "base/regex.h"

static bool
matches(const char *pattern, struct bytes subject, bool whole)
{
    struct regex *r;
    struct err e;
    bool found;
    if (!regex_compile(pattern, &r, &e))
        fail_msg("%s", e.text);
    assert_string_equal(regex_pattern(r), pattern);
    bool ok =
        whole ? regex_whole(r, subject, &found, &e) : regex_search(r, subject, &found, &e);
    if (!ok)
        fail_msg("%s", e.text);
    regex_free(r);
    return found;
}

static void
search_is_unanchored_and_whole_is_whole(void **state)
{
    assert_true(matches("order", BYTES_LIT("db.orders_1"), false));
    assert_false(matches("order", BYTES_LIT("db.orders_1"), true));
    assert_true(matches("db\\.orders_\\d", BYTES_LIT("db.orders_1"), true));
    assert_false(matches("^orders", BYTES_LIT("db.orders_1"), false));
    assert_true(matches("a|ab", BYTES_LIT("ab"), true));
    assert_false(matches("ab", BYTES_LIT("ab\n"), true));
    assert_true(matches("", BYTES_LIT(""), true));
    assert_true(matches("", (struct bytes){NULL, 0}, false));
}

static void
case_counts_unless_told_otherwise(void **state)
{
    assert_false(matches("ORDER", BYTES_LIT("order"), false));
    assert_true(matches("(?i)ORDER", BYTES_LIT("order"), false));
}

static void
names_are_utf8_and_a_bad_byte_matches_nothing(void **state)
{
    assert_true(matches("^.$", BYTES_LIT("\xc3\xa4"), false));
    assert_false(matches("^.$", BYTES_LIT("\xff"), false));
    assert_true(matches("b", BYTES_LIT("a\xff\x62"), false));
}

static void
a_bad_pattern_is_named_with_the_place(void **state)
{
    struct regex *r;
    struct err e;
    assert_false(regex_compile("ab(c", &r, &e));
    assert_int_equal(e.code, MR_CONFIG);
    assert_non_null(strstr(e.text, "\"ab(c\" is wrong at byte 4"));
    assert_false(regex_compile("a\\Cb", &r, &e));
    char longest[REGEX_PATTERN_MAX + 2];
    memset(longest, 'a', sizeof(longest));
    longest[REGEX_PATTERN_MAX + 1] = '\0';
    assert_false(regex_compile(longest, &r, &e));
    longest[REGEX_PATTERN_MAX] = '\0';
    assert_true(regex_compile(longest, &r, &e));
    regex_free(r);
    regex_free(NULL);
}

static void
a_pattern_that_explodes_is_an_error_not_a_hang(void **state)
{
    struct regex *r;
    struct err e;
    bool found;
    assert_true(regex_compile("^(a+)+$", &r, &e));
    assert_false(regex_search(r, BYTES_LIT("aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaab"),
                              &found, &e));
    assert_int_equal(e.code, MR_CONFIG);
    assert_non_null(strstr(e.text, "too many steps"));
    assert_true(regex_search(r, BYTES_LIT("aaaa"), &found, &e) && found);
    regex_free(r);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(search_is_unanchored_and_whole_is_whole),
        cmocka_unit_test(case_counts_unless_told_otherwise),
        cmocka_unit_test(names_are_utf8_and_a_bad_byte_matches_nothing),
        cmocka_unit_test(a_bad_pattern_is_named_with_the_place),
        cmocka_unit_test(a_pattern_that_explodes_is_an_error_not_a_hang),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
