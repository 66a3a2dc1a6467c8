#include "unit/base/unit.h"

static void
set_takes_the_class_of_its_code(void **state)
{
    struct err e;
    assert_false(err_set(&e, MR_SOURCE_NO_KEY, "table %s", "db.t"));
    assert_int_equal(e.class, ERR_TABLE);
    assert_int_equal(e.code, 1012);
    assert_string_equal(e.text, "table db.t");
}

static void
wrap_puts_context_in_front_and_keeps_code_and_class(void **state)
{
    struct err e;
    err_set(&e, MR_TARGET_BUSY, "deadlock");
    err_reclass(&e, ERR_TASK);
    assert_false(err_wrap(&e, "lane %d", 3));
    assert_string_equal(e.text, "lane 3: deadlock");
    assert_int_equal(e.code, MR_TARGET_BUSY);
    assert_int_equal(e.class, ERR_TASK);
}

static void
set_may_quote_the_error_it_replaces(void **state)
{
    struct err e;
    err_set(&e, MR_IO, "disk");
    err_set(&e, MR_CONFIG, "config: %s", e.text);
    assert_string_equal(e.text, "config: disk");
}

static void
long_texts_are_cut_and_stay_terminated(void **state)
{
    for (size_t len = ERR_TEXT_MAX - 8; len < ERR_TEXT_MAX + 8; len++) {
        char *text = test_malloc(len + 1);
        memset(text, 'x', len);
        text[len] = '\0';
        struct err e;
        err_set(&e, MR_IO, "%s", text);
        assert_int_equal(strlen(e.text), len < ERR_TEXT_MAX ? len : ERR_TEXT_MAX - 1);
        err_wrap(&e, "ab");
        assert_memory_equal(e.text, "ab: x", 5);
        size_t want = len + 4 < ERR_TEXT_MAX ? len + 4 : ERR_TEXT_MAX - 1;
        assert_int_equal(strlen(e.text), want);
        err_set(&e, MR_IO, "short");
        err_wrap(&e, "%s", text);
        assert_true(strlen(e.text) < ERR_TEXT_MAX);
        test_free(text);
    }
}

static void
every_code_is_ascending_and_says_cause_effect_and_remedy(void **state)
{
    size_t n;
    const struct err_info *all = err_info_all(&n);
    assert_true(n > 60);
    for (size_t i = 0; i < n; i++) {
        assert_true(i == 0 || all[i - 1].code < all[i].code);
        assert_true(all[i].class != ERR_NONE);
        assert_true(*all[i].name && *all[i].cause && *all[i].effect && *all[i].remedy);
        assert_ptr_equal(err_info(all[i].code), &all[i]);
    }
}

static void
an_unknown_code_gives_the_facts_of_internal(void **state)
{
    assert_int_equal(err_info((enum err_code)7777)->code, MR_INTERNAL);
}

static void
format_says_code_text_effect_and_remedy(void **state)
{
    struct err e;
    char out[256];
    err_set(&e, MR_USAGE, "unknown flag --x");
    assert_string_equal(err_format(&e, out, sizeof(out)),
                        "MR4001: unknown flag --x. Effect: nothing done. Remedy: see --help.");
    assert_string_equal(err_format(&e, out, 7), "MR4001");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(set_takes_the_class_of_its_code),
        cmocka_unit_test(wrap_puts_context_in_front_and_keeps_code_and_class),
        cmocka_unit_test(set_may_quote_the_error_it_replaces),
        cmocka_unit_test(long_texts_are_cut_and_stay_terminated),
        cmocka_unit_test(every_code_is_ascending_and_says_cause_effect_and_remedy),
        cmocka_unit_test(an_unknown_code_gives_the_facts_of_internal),
        cmocka_unit_test(format_says_code_text_effect_and_remedy),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
