#include "unit/base/unit.h"

#include <fcntl.h>
#include <unistd.h>

#include "base/log.h"
#include "base/thread.h"

static int saved_stderr;

/* Sends stderr to a new unnamed file; its descriptor. */
static int
catch_begin(void)
{
    int fd = open("/tmp", O_TMPFILE | O_RDWR, 0600);
    assert_true(fd >= 0);
    saved_stderr = dup(STDERR_FILENO);
    dup2(fd, STDERR_FILENO);
    return fd;
}

static const char *
catch_end(int fd)
{
    static char text[1 << 20];
    dup2(saved_stderr, STDERR_FILENO);
    close(saved_stderr);
    ssize_t n = pread(fd, text, sizeof(text) - 1, 0);
    assert_true(n >= 0);
    text[n] = '\0';
    close(fd);
    return text;
}

/* What follows "ts=2026-01-01T00:00:00.000000Z". */
static const char *
after_time(const char *line)
{
    static const char form[] = "ts=dddd-dd-ddTdd:dd:dd.ddddddZ";
    for (size_t i = 0; form[i]; i++) {
        bool digit = line[i] >= '0' && line[i] <= '9';
        if (form[i] == 'd' ? !digit : line[i] != form[i])
            fail_msg("no time: %s", line);
    }
    return line + strlen(form);
}

static void
a_line_has_time_level_event_and_fields(void **state)
{
    struct err e;
    err_set(&e, MR_USAGE, "no \"x\"");
    int fd = catch_begin();
    log_info("task_started", F_STR("task", "orders"), F_I64("min", INT64_MIN),
             F_U64("max", UINT64_MAX), F_BYTES("key", BYTES_LIT("a\0b")), F_STR("none", NULL));
    const char *text = catch_end(fd);
    assert_string_equal(after_time(text),
                        " level=info event=task_started task=orders min=-9223372036854775808 "
                        "max=18446744073709551615 key=\"a\\x00b\" none=\"\"\n");
    fd = catch_begin();
    log_warn("bare");
    log_error("failed", F_ERR(&e));
    text = catch_end(fd);
    assert_non_null(strstr(text, "Z level=warn event=bare\n"));
    assert_non_null(strstr(text, " level=error event=failed code=MR4001 error=\"no \\\"x\\\"\" "
                                 "effect=\"nothing done\" remedy=\"see --help\"\n"));
}

static void
values_cannot_break_the_line_or_forge_a_field(void **state)
{
    int fd = catch_begin();
    log_info("e", F_STR("v", "x\n level=error"), F_STR("w", "a=b"), F_STR("x", "back\\slash"),
             F_STR("u", "\xc3\xa4"), F_STR("t", "\t\x7f"));
    const char *text = catch_end(fd);
    assert_string_equal(after_time(text),
                        " level=info event=e v=\"x\\n level=error\" w=\"a=b\" "
                        "x=\"back\\\\slash\" u=\xc3\xa4 t=\"\\x09\\x7f\"\n");
}

static void
lines_below_the_level_are_not_written(void **state)
{
    enum log_level level = LOG_INFO;
    assert_true(log_parse_level("warn", &level));
    assert_int_equal(level, LOG_WARN);
    assert_false(log_parse_level("Warn", &level));
    assert_false(log_parse_level("", &level));
    log_set_level(level);
    assert_false(log_enabled(LOG_INFO));
    assert_true(log_enabled(LOG_WARN));
    int fd = catch_begin();
    log_info("hidden");
    log_warn("shown");
    const char *text = catch_end(fd);
    log_set_level(LOG_INFO);
    assert_null(strstr(text, "hidden"));
    assert_non_null(strstr(text, "shown"));
}

static void
a_line_that_is_too_long_is_cut_but_ends(void **state)
{
    static char value[100000];
    memset(value, 'x', sizeof(value) - 1);
    int fd = catch_begin();
    log_info("long", F_STR("v", value));
    log_info("next");
    const char *text = catch_end(fd);
    const char *end = strchr(text, '\n');
    assert_non_null(end);
    assert_int_equal(end + 1 - text, 16384);
    assert_non_null(strstr(end, "event=next\n"));
}

enum { WRITERS = 4, LINES = 300 };

static void
write_lines(void *arg)
{
    for (int i = 0; i < LINES; i++)
        log_info("line", F_STR("text", arg), F_I64("i", i));
}

static void
lines_of_several_threads_do_not_mix(void **state)
{
    static char texts[WRITERS][200];
    struct thread threads[WRITERS] = {0};
    int fd = catch_begin();
    for (size_t i = 0; i < WRITERS; i++) {
        memset(texts[i], 'a' + (int)i, sizeof(texts[i]) - 1);
        thread_start(&threads[i], "writer", write_lines, texts[i]);
    }
    for (size_t i = 0; i < WRITERS; i++)
        thread_join(&threads[i]);
    const char *text = catch_end(fd);
    size_t lines = 0;
    for (; *text; lines++) {
        const char *value = strstr(text, "text=") + 5;
        assert_int_equal(strspn(value, (const char[]){*value, '\0'}), sizeof(texts[0]) - 1);
        text = strchr(text, '\n') + 1;
    }
    assert_int_equal(lines, WRITERS * LINES);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_line_has_time_level_event_and_fields),
        cmocka_unit_test(values_cannot_break_the_line_or_forge_a_field),
        cmocka_unit_test(lines_below_the_level_are_not_written),
        cmocka_unit_test(a_line_that_is_too_long_is_cut_but_ends),
        cmocka_unit_test(lines_of_several_threads_do_not_mix),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
