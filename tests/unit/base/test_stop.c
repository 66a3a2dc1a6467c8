#include "unit/base/unit.h"

#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/stop.h"
#include "base/thread.h"

static void
a_token_is_asked_once_and_stays_asked(void **state)
{
    struct stop s;
    stop_init(&s, NULL);
    assert_false(stop_asked(&s));
    assert_false(stop_wait(&s, 0));
    stop_ask(&s);
    stop_ask(&s);
    for (int i = 0; i < 3; i++) {
        assert_true(stop_asked(&s));
        assert_true(stop_wait(&s, -1));
        struct pollfd p = {.fd = s.fd, .events = POLLIN};
        assert_int_equal(poll(&p, 1, 0), 1);
    }
    stop_free(&s);
}

static void
a_child_stops_with_its_ancestors_but_not_they_with_it(void **state)
{
    struct stop program, task, unit, sibling;
    stop_init(&program, NULL);
    stop_init(&task, &program);
    stop_init(&unit, &task);
    stop_init(&sibling, &program);
    stop_ask(&task);
    assert_true(stop_asked(&unit));
    assert_true(stop_wait(&unit, -1));
    assert_false(stop_asked(&program));
    assert_false(stop_asked(&sibling));
    stop_ask(&program);
    assert_true(stop_wait(&sibling, -1));
    stop_free(&sibling);
    stop_free(&unit);
    stop_free(&task);
    stop_free(&program);
}

static void
ask_it(void *arg)
{
    stop_ask(arg);
}

static void
another_thread_ends_a_wait(void **state)
{
    struct stop program, task;
    struct thread t = {0};
    stop_init(&program, NULL);
    stop_init(&task, &program);
    thread_start(&t, "asker", ask_it, &program);
    assert_true(stop_wait(&task, -1));
    thread_join(&t);
    stop_free(&task);
    stop_free(&program);
}

static void
a_wait_that_is_not_asked_lasts_its_time(void **state)
{
    struct stop s;
    stop_init(&s, NULL);
    uint64_t begin_us = clock_mono_us();
    assert_false(stop_wait(&s, 25));
    assert_in_range(clock_mono_us() - begin_us, 25000, 5000000);
    stop_free(&s);
}

static void
poll_tells_a_ready_descriptor_from_a_stop_and_from_time(void **state)
{
    struct stop s;
    int ends[2];
    stop_init(&s, NULL);
    assert_int_equal(pipe(ends), 0);
    assert_false(stop_poll(&s, ends[0], POLLIN, 5));
    assert_int_equal(write(ends[1], "x", 1), 1);
    assert_true(stop_poll(&s, ends[0], POLLIN, -1));
    char c;
    assert_int_equal(read(ends[0], &c, 1), 1);
    stop_ask(&s);
    assert_false(stop_poll(&s, ends[0], POLLIN, -1));
    close(ends[1]);
    assert_true(stop_poll(&s, ends[0], POLLIN, -1)); /* hung up counts: the read will tell */
    close(ends[0]);
    stop_free(&s);
}

/* The child's end after `signals` times SIGTERM: its wait status. */
static int
child_after(int signals)
{
    pid_t child = fork();
    if (child == 0) {
        static struct stop s;
        stop_init(&s, NULL);
        stop_on_signals(&s);
        raise(SIGPIPE);
        for (int i = 0; i < signals; i++)
            raise(SIGTERM);
        _exit(stop_wait(&s, -1) ? 42 : 1);
    }
    int status;
    assert_int_equal(waitpid(child, &status, 0), child);
    return status;
}

static void
sigterm_asks_and_a_second_one_ends_the_process(void **state)
{
    int status = child_after(1);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 42);
    status = child_after(2);
    assert_true(WIFEXITED(status));
    assert_int_equal(WEXITSTATUS(status), 128 + SIGTERM);
}

struct seen {
    char name[16];
    bool blocked;
};

static void
look_at_self(void *arg)
{
    struct seen *seen = arg;
    sigset_t now;
    pthread_getname_np(pthread_self(), seen->name, sizeof(seen->name));
    pthread_sigmask(SIG_SETMASK, NULL, &now);
    seen->blocked = sigismember(&now, SIGTERM);
}

static void
threads_carry_their_name_and_block_signals(void **state)
{
    struct seen seen = {0};
    struct thread t = {0};
    thread_start(&t, "a-name-that-is-too-long", look_at_self, &seen);
    assert_true(t.running);
    thread_join(&t);
    thread_join(&t);
    assert_string_equal(seen.name, "a-name-that-is-");
    assert_true(seen.blocked);
    sigset_t now;
    pthread_sigmask(SIG_SETMASK, NULL, &now);
    assert_false(sigismember(&now, SIGTERM));
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_token_is_asked_once_and_stays_asked),
        cmocka_unit_test(a_child_stops_with_its_ancestors_but_not_they_with_it),
        cmocka_unit_test(another_thread_ends_a_wait),
        cmocka_unit_test(a_wait_that_is_not_asked_lasts_its_time),
        cmocka_unit_test(poll_tells_a_ready_descriptor_from_a_stop_and_from_time),
        cmocka_unit_test(sigterm_asks_and_a_second_one_ends_the_process),
        cmocka_unit_test(threads_carry_their_name_and_block_signals),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
