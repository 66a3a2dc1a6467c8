#include "unit/base/unit.h"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/fault.h"

/* Runs `passes` passes of each of two failpoints in a child with MILLRACE_FAULT=env; its wait
 * status. */
static int
run_child(const char *env, int passes)
{
    pid_t child = fork();
    if (child == 0) {
        setenv("MILLRACE_FAULT", env, 1);
        for (int i = 0; i < passes; i++) {
            FAULT("test.one");
            FAULT("test.two");
        }
        _exit(0);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    return status;
}

#if defined(MILLRACE_FAULTS) && MILLRACE_FAULTS

static void
assert_killed(const char *env, int passes, bool killed)
{
    int status = run_child(env, passes);
    if (killed ? !WIFSIGNALED(status) || WTERMSIG(status) != SIGKILL : status != 0)
        fail_msg("\"%s\" with %d passes: status %d", env, passes, status);
}

static void
a_failpoint_kills_at_exactly_its_pass(void **state)
{
    assert_killed("", 100, false);
    assert_killed("test.one", 1, true);
    assert_killed("test.one:3", 2, false);
    assert_killed("test.one:3", 3, true);
    assert_killed("other,test.two:2", 2, true);
    assert_killed("test.on", 9, false);
}

static void
a_failpoint_may_sleep_once_and_go_on(void **state)
{
    uint64_t begin_us = clock_mono_us();
    assert_killed("test.one:2:sleep:30", 9, false);
    assert_in_range(clock_mono_us() - begin_us, 30000, 5000000);
}

static void
a_wrong_list_is_not_ignored(void **state)
{
    static const char *const wrong[] = {
        "test.one:0",          "test.one:x", "test.one:1:sleep",
        "test.one:1:sleep:5x", ",",          "test.one:1:nap:5"};
    for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
        int status = run_child(wrong[i], 1);
        assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_failpoint_kills_at_exactly_its_pass),
        cmocka_unit_test(a_failpoint_may_sleep_once_and_go_on),
        cmocka_unit_test(a_wrong_list_is_not_ignored),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

#else

static void
without_failpoints_the_variable_does_nothing(void **state)
{
    uint64_t begin_us = clock_mono_us();
    assert_int_equal(run_child("test.one", 5), 0);
    assert_true(clock_mono_us() >= begin_us);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_failpoints_the_variable_does_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}

#endif
