#include "unit/base/unit.h"

#include "base/cli.h"

static const struct cli_option options[] = {
    {.name = "task-name", .value = "NAME", .help = "name of the task"},
    {.name = "task", .value = "ID", .help = "id of the task"},
    {.name = "file", .letter = 'f', .value = "FILE", .help = "read the task from a file"},
    {.name = "all", .letter = 'a', .help = "every task"},
    {.name = "yes", .letter = 'y', .help = "ask nothing"},
    {.name = "set", .value = "KEY=VALUE", .repeat = true, .help = "set an option"},
    {.name = "a-flag-with-a-very-long-name", .value = "PLACEHOLDER", .help = "on its own line"},
};

static const struct cli_spec spec = {
    .usage = "millrace task show [flags]",
    .about = "Shows tasks.",
    .options = options,
    .options_len = ARRAY_LEN(options),
    .more = "More text.",
};

enum { WORDS_MAX = 16 };

/* Splits at spaces; "''" is an empty word. */
static bool
parse(const char *line, struct cli_args *a, struct err *e)
{
    static char text[512];
    static char empty[] = "";
    char *argv[WORDS_MAX] = {empty};
    int argc = 1;
    snprintf(text, sizeof(text), "%s", line);
    for (char *rest = text, *word; (word = strsep(&rest, " ")) != NULL;) {
        if (*word)
            argv[argc++] = strcmp(word, "''") == 0 ? empty : word;
    }
    return cli_parse(&spec, argc, argv, a, e);
}

static void
given(const char *line, struct cli_args *a)
{
    struct err e;
    if (!parse(line, a, &e))
        fail_msg("%s: %s", line, e.text);
}

static void
flags_stand_anywhere_in_every_form(void **state)
{
    struct cli_args a;
    given("show --task-name=a -ay x -ffile --set k=v --set=l=w y", &a);
    assert_string_equal(cli_get(&spec, &a, "task-name"), "a");
    assert_true(cli_has(&spec, &a, "all") && cli_has(&spec, &a, "yes"));
    assert_string_equal(cli_get(&spec, &a, "file"), "file");
    assert_string_equal(cli_get_at(&spec, &a, "set", 0), "k=v");
    assert_string_equal(cli_get_at(&spec, &a, "set", 1), "l=w");
    assert_null(cli_get_at(&spec, &a, "set", 2));
    assert_string_equal(cli_operand(&a, 0), "show");
    assert_string_equal(cli_operand(&a, 1), "x");
    assert_string_equal(cli_operand(&a, 2), "y");
    assert_null(cli_operand(&a, 3));
    assert_null(cli_get(&spec, &a, "task"));
    assert_false(a.help);
}

static void
values_may_look_like_flags_or_be_empty(void **state)
{
    struct cli_args a;
    given("--task-name --all -f '' - -- --yes -x", &a);
    assert_string_equal(cli_get(&spec, &a, "task-name"), "--all");
    assert_string_equal(cli_get(&spec, &a, "file"), "");
    assert_false(cli_has(&spec, &a, "yes"));
    assert_string_equal(cli_operand(&a, 0), "-");
    assert_string_equal(cli_operand(&a, 1), "--yes");
    assert_string_equal(cli_operand(&a, 2), "-x");
    given("--task-name=", &a);
    assert_string_equal(cli_get(&spec, &a, "task-name"), "");
}

static void
nothing_is_something_too(void **state)
{
    struct cli_args a;
    given("", &a);
    assert_int_equal(a.values_len, 0);
    assert_null(cli_operand(&a, 0));
}

static void
errors_are_usage_and_name_the_flag(void **state)
{
    static const char *const cases[][2] = {
        {"--tsak-name x", "unknown flag --tsak-name; did you mean --task-name"},
        {"--tas x", "unknown flag --tas; did you mean --task"},
        {"--xyzzyx", "unknown flag --xyzzyx"},
        {"--hepl", "did you mean --help"},
        {"-z", "unknown flag -z"},
        {"-az", "unknown flag -z"},
        {"--task-name", "--task-name needs a value: --task-name NAME"},
        {"-f", "--file needs a value"},
        {"--all=yes", "--all takes no value"},
        {"--all --all", "--all is given twice"},
        {"-f a --file b", "--file is given twice"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct cli_args a;
        struct err e;
        if (parse(cases[i][0], &a, &e))
            fail_msg("%s was taken", cases[i][0]);
        assert_int_equal(e.code, MR_USAGE);
        assert_int_equal(e.class, ERR_USAGE);
        if (!strstr(e.text, cases[i][1]))
            fail_msg("%s: %s", cases[i][0], e.text);
    }
}

static void
help_is_seen_before_later_mistakes(void **state)
{
    struct cli_args a;
    given("--help --nonsense", &a);
    assert_true(a.help);
    given("show -h", &a);
    assert_true(a.help);
}

static void
too_many_arguments_are_refused_at_the_limit(void **state)
{
    static char word[] = "x";
    static char *argv[CLI_VALUES_MAX + 3];
    static struct cli_args a;
    struct err e;
    for (size_t i = 0; i < ARRAY_LEN(argv); i++)
        argv[i] = word;
    assert_true(cli_parse(&spec, CLI_VALUES_MAX + 1, argv, &a, &e));
    assert_false(cli_parse(&spec, CLI_VALUES_MAX + 2, argv, &a, &e));
}

static void
help_shows_every_flag_in_columns(void **state)
{
    struct buf b = {0};
    cli_help(&spec, &b);
    assert_text(&b, "Shows tasks.\n\nUsage:\n  millrace task show [flags]\n\nFlags:\n"
                    "      --task-name NAME            name of the task\n"
                    "      --task ID                   id of the task\n"
                    "  -f, --file FILE                 read the task from a file\n"
                    "  -a, --all                       every task\n"
                    "  -y, --yes                       ask nothing\n"
                    "      --set KEY=VALUE             set an option\n"
                    "      --a-flag-with-a-very-long-name PLACEHOLDER\n"
                    "                                  on its own line\n"
                    "  -h, --help                      this text\n"
                    "\nMore text.\n");
    buf_free(&b);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(flags_stand_anywhere_in_every_form),
        cmocka_unit_test(values_may_look_like_flags_or_be_empty),
        cmocka_unit_test(nothing_is_something_too),
        cmocka_unit_test(errors_are_usage_and_name_the_flag),
        cmocka_unit_test(help_is_seen_before_later_mistakes),
        cmocka_unit_test(too_many_arguments_are_refused_at_the_limit),
        cmocka_unit_test(help_shows_every_flag_in_columns),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
