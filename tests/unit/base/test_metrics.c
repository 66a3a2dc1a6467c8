#include "unit/base/unit.h"

#include <unistd.h>

#include "base/clock.h"
#include "base/metrics.h"
#include "base/proc.h"
#include "base/thread.h"

static const struct metric_def rows = {"millrace_rows_read_total", "Rows read.", METRIC_COUNTER,
                                       false};
static const struct metric_def lag = {"millrace_lag_seconds", "Lag.", METRIC_GAUGE, true};
static const struct metric_def depth = {"millrace_depth", "Depth.", METRIC_GAUGE, false};
static const struct metric_def delay = {"millrace_delay_seconds", "Delay.", METRIC_HISTOGRAM,
                                        true};
static const struct metric_def fails = {"millrace_failovers_total", "Failovers.",
                                        METRIC_COUNTER, false};
static const struct metric_def many = {"millrace_many_total", "Many.", METRIC_COUNTER, false};

static char *
page(void)
{
    static struct buf b;
    buf_reset(&b);
    metrics_print(&b);
    assert_false(b.failed);
    return (char *)(uintptr_t)buf_cstr(&b);
}

static void
assert_on_page(const char *line, bool there)
{
    if ((strstr(page(), line) != NULL) != there)
        fail_msg("%s %s in:\n%s", line, there ? "is missing" : "stands", page());
}

static void
the_same_labels_are_the_same_series(void **state)
{
    struct metric *a = metrics_get(&rows, (struct metric_labels){.task = "t", .table = "d.x"});
    struct metric *b = metrics_get(&rows, (struct metric_labels){.task = "t", .table = "d.y"});
    assert_ptr_not_equal(a, b);
    assert_ptr_equal(a,
                     metrics_get(&rows, (struct metric_labels){.task = "t", .table = "d.x"}));
    metric_add(a, 3);
    metric_add(a, 4);
    metric_add(b, 1);
    assert_int_equal(metric_value(a), 7);
    assert_on_page("# HELP millrace_rows_read_total Rows read.\n"
                   "# TYPE millrace_rows_read_total counter\n"
                   "millrace_rows_read_total{task=\"t\",table=\"d.x\"} 7\n"
                   "millrace_rows_read_total{task=\"t\",table=\"d.y\"} 1\n",
                   true);
}

static void
gauges_go_both_ways_and_seconds_keep_their_microseconds(void **state)
{
    struct metric *g = metrics_get(&lag, (struct metric_labels){0});
    metric_set(g, 1500000);
    assert_on_page("millrace_lag_seconds 1.500000\n", true);
    metric_set(g, -1);
    assert_on_page("millrace_lag_seconds -0.000001\n", true);
    metric_set(g, 2000000);
    assert_on_page("millrace_lag_seconds 2\n", true);
    metric_set(metrics_get(&depth, (struct metric_labels){.source = "s"}), -5);
    assert_on_page("millrace_depth{source=\"s\"} -5\n", true);
}

static void
label_values_are_escaped(void **state)
{
    struct metric_labels l = {
        .task = "a\"b\\c\nd", .other_name = "reason", .other = "worker lost"};
    metric_add(metrics_get(&fails, l), 1);
    assert_on_page(
        "millrace_failovers_total{task=\"a\\\"b\\\\c\\nd\",reason=\"worker lost\"} 1\n", true);
}

static void
a_histogram_counts_each_value_at_its_bound(void **state)
{
    struct metric *h = metrics_get(&delay, (struct metric_labels){.task = "h"});
    assert_true(metric_quantile_us(h, 0.5) == 0);
    metric_observe_us(h, 100);
    metric_observe_us(h, 101);
    metric_observe_us(h, 600000000);
    metric_observe_us(h, 600000001);
    assert_int_equal(metric_value(h), 4);
    assert_on_page("millrace_delay_seconds_bucket{task=\"h\",le=\"0.000100\"} 1\n"
                   "millrace_delay_seconds_bucket{task=\"h\",le=\"0.000250\"} 2\n",
                   true);
    assert_on_page("le=\"300\"} 2\nmillrace_delay_seconds_bucket{task=\"h\",le=\"600\"} 3\n"
                   "millrace_delay_seconds_bucket{task=\"h\",le=\"+Inf\"} 4\n"
                   "millrace_delay_seconds_sum{task=\"h\"} 1200.000202\n"
                   "millrace_delay_seconds_count{task=\"h\"} 4\n",
                   true);
    assert_true(metric_quantile_us(h, 0.0) == 100);
    assert_true(metric_quantile_us(h, 0.25) == 100);
    assert_true(metric_quantile_us(h, 0.5) == 250);
    assert_true(metric_quantile_us(h, 0.75) == 600000000);
    assert_true(metric_quantile_us(h, 1.0) == UINT64_MAX);
}

static void
a_hidden_series_leaves_the_page_and_keeps_its_count(void **state)
{
    struct metric_labels one = {.task = "gone", .table = "d.x"};
    struct metric_labels two = {.task = "gone", .table = "d.y"};
    metric_add(metrics_get(&rows, one), 5);
    metric_add(metrics_get(&rows, two), 6);
    metrics_hide("gone", "d.x");
    assert_on_page("{task=\"gone\",table=\"d.x\"}", false);
    assert_on_page("{task=\"gone\",table=\"d.y\"} 6", true);
    metrics_hide("gone", NULL);
    assert_on_page("task=\"gone\"", false);
    assert_int_equal(metric_value(metrics_get(&rows, one)), 5);
    assert_on_page("{task=\"gone\",table=\"d.x\"} 5", true);
}

struct sum {
    int64_t total;
    int count;
};

static void
add_up(void *ctx, const struct metric_def *def, const struct metric_labels *l,
       const struct metric *m)
{
    struct sum *sum = ctx;
    if (def != &rows || !l->task || strcmp(l->task, "each") != 0)
        return;
    assert_string_equal(l->table, "d.z");
    sum->total += metric_value(m);
    sum->count++;
}

static void
each_sees_every_shown_series(void **state)
{
    struct sum sum = {0};
    metric_add(metrics_get(&rows, (struct metric_labels){.task = "each", .table = "d.z"}), 8);
    metrics_each(add_up, &sum);
    assert_int_equal(sum.count, 1);
    assert_int_equal(sum.total, 8);
}

static void
count_up(void *arg)
{
    for (int i = 0; i < 20000; i++) {
        metric_add(metrics_get(&rows, (struct metric_labels){.task = "threads"}), 1);
        metric_observe_us(arg, (uint64_t)i);
    }
}

static void
several_threads_lose_no_count(void **state)
{
    struct thread t[3] = {0};
    struct metric *h = metrics_get(&delay, (struct metric_labels){.task = "threads"});
    for (size_t i = 0; i < 3; i++)
        thread_start(&t[i], "counter", count_up, h);
    for (size_t i = 0; i < 3; i++)
        thread_join(&t[i]);
    assert_on_page("millrace_rows_read_total{task=\"threads\"} 60000\n", true);
    assert_int_equal(metric_value(h), 60000);
}

static void
the_process_shows_its_own_figures(void **state)
{
    struct proc_usage u;
    proc_usage(&u);
    assert_in_range(u.rss_bytes, 1 << 19, (uint64_t)8 << 30);
    assert_true(u.rss_peak_bytes >= u.rss_bytes / 2);
    assert_true(u.threads >= 1);
    uint64_t files = u.open_files;
    int copy = dup(STDOUT_FILENO);
    proc_usage(&u);
    assert_int_equal(u.open_files, files + 1);
    close(copy);
    assert_true(u.start_wall_ms <= clock_wall_ms() &&
                u.start_wall_ms + 600000 > clock_wall_ms());
    uint64_t cpu_us = u.cpu_user_us + u.cpu_system_us;
    uint64_t mine_us = proc_thread_cpu_us();
    while (proc_thread_cpu_us() < mine_us + 30000)
        ;
    proc_usage(&u);
    assert_true(u.cpu_user_us + u.cpu_system_us >= cpu_us + 20000);
    assert_on_page("\nprocess_resident_memory_bytes ", true);
    assert_on_page("\nprocess_cpu_seconds_total 0.", true);
    assert_on_page("\nmillrace_metrics_dropped_series 0\n", true);
}

/* Last: it fills the registry. */
static void
above_the_limit_series_are_counted_but_not_shown(void **state)
{
    char name[16];
    struct metric *m = NULL;
    for (int i = 0; i < METRICS_SERIES_MAX + 10; i++) {
        snprintf(name, sizeof(name), "%d", i);
        m = metrics_get(&many, (struct metric_labels){.task = name});
        metric_add(m, 1);
    }
    metric_observe_us(m, 1);
    assert_int_equal(metric_value(metrics_get(&many, (struct metric_labels){.task = "7"})), 1);
    assert_on_page("\nmillrace_metrics_dropped_series 0\n", false);
    assert_on_page("millrace_many_total{task=\"200009\"}", false);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_same_labels_are_the_same_series),
        cmocka_unit_test(gauges_go_both_ways_and_seconds_keep_their_microseconds),
        cmocka_unit_test(label_values_are_escaped),
        cmocka_unit_test(a_histogram_counts_each_value_at_its_bound),
        cmocka_unit_test(a_hidden_series_leaves_the_page_and_keeps_its_count),
        cmocka_unit_test(each_sees_every_shown_series),
        cmocka_unit_test(several_threads_lose_no_count),
        cmocka_unit_test(the_process_shows_its_own_figures),
        cmocka_unit_test(above_the_limit_series_are_counted_but_not_shown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
