#include "unit_task.h"

#include "task/summary.h"

#define NOW_MS UINT64_C(1700000000000)

static void
put(struct status_map *m, const char *key, struct json *value)
{
    status_map_put(m, bytes_str(key), value);
    json_free(value);
}

static void
beats(struct status_map *m, const char *half, uint64_t age_ms)
{
    char key[64];
    struct json *j = json_object_new();
    snprintf(key, sizeof(key), "worker/%s/w", half);
    json_set(j, "instance", status_hex(7));
    json_set(j, "ts_ms", json_u64(NOW_MS - age_ms));
    put(m, key, j);
}

static struct status_unit
unit_of(const struct task *t, enum status_state state)
{
    return (struct status_unit){.worker = "w",
                                .instance = 7,
                                .generation = t->generation,
                                .inc = t->inc,
                                .state = state,
                                .phase = STATUS_INCREMENTAL,
                                .source_us = 5000000};
}

static void
says(struct status_map *m, const struct task *t, const char *half, struct status_unit s)
{
    char key[80];
    snprintf(key, sizeof(key), "%s/%s%s", t->id, half,
             strcmp(half, "capture") == 0 ? "/0" : "");
    put(m, key, status_unit_to_json(&s));
}

static void
both_say(struct status_map *m, const struct task *t, enum status_state state)
{
    says(m, t, "capture", unit_of(t, state));
    says(m, t, "apply", unit_of(t, state));
}

static void
is(const struct task *t, const struct status_map *m, bool running, const char *reason,
   const char *err)
{
    struct summary s;
    summary_make(t, m, NOW_MS, &s);
    if (s.running != running || strcmp(summary_reason_text(s.reason), reason) != 0)
        fail_msg("running %d, reason '%s'", s.running, summary_reason_text(s.reason));
    if ((err[0] == '\0') != (s.err_msg[0] == '\0') || strstr(s.err_msg, err) == NULL)
        fail_msg("'%s' is not '%s'", s.err_msg, err);
    summary_free(&s);
}

static bool
settled(const struct task *t, const struct status_map *m)
{
    struct summary s;
    summary_make(t, m, NOW_MS, &s);
    bool is_so = s.settled;
    summary_free(&s);
    return is_so;
}

static void
a_new_task_runs_and_misses_its_workers(void **state)
{
    struct task *t = sample_task(TASK_ACCOUNT, NULL);
    struct status_map m = {0};
    is(t, &m, true, "", "MR4012: no capture and apply worker");
    beats(&m, "capture", 100);
    is(t, &m, true, "", "no apply worker");
    beats(&m, "apply", 100);
    is(t, &m, true, "", "");
    beats(&m, "apply", 20000);
    is(t, &m, true, "", "no apply worker");
    t->sink_type = TASK_SINK_KAFKA;
    is(t, &m, true, "", "");
    status_map_free(&m);
    task_unref(t);
}

static void
starting_and_stopping_count_as_the_state_being_left(void **state)
{
    struct task *t = sample_task(TASK_ACCOUNT, NULL);
    struct status_map m = {0};
    beats(&m, "capture", 100);
    beats(&m, "apply", 100);
    both_say(&m, t, STATUS_RUNNING);
    is(t, &m, true, "", "");
    t->generation = 2;
    t->desired = TASK_STOPPED;
    is(t, &m, true, "", "");
    assert_false(settled(t, &m));
    says(&m, t, "capture", unit_of(t, STATUS_STOPPED));
    is(t, &m, true, "", "");
    assert_false(settled(t, &m));
    says(&m, t, "apply", unit_of(t, STATUS_STOPPED));
    is(t, &m, false, "paused", "");
    assert_true(settled(t, &m));
    t->generation = 3;
    t->desired = TASK_RUNNING;
    is(t, &m, false, "paused", "");
    says(&m, t, "capture", unit_of(t, STATUS_STARTING));
    is(t, &m, true, "", "");
    status_map_free(&m);
    task_unref(t);
}

static void
a_stop_that_nobody_can_carry_out_is_done(void **state)
{
    struct task *t = sample_task(TASK_ACCOUNT, NULL);
    struct status_map m = {0};
    beats(&m, "capture", 60000);
    beats(&m, "apply", 60000);
    both_say(&m, t, STATUS_RUNNING);
    t->generation = 2;
    t->desired = TASK_STOPPED;
    is(t, &m, false, "paused", "");
    assert_true(settled(t, &m));
    beats(&m, "apply", 100); /* the worker of the status, back or of another instance */
    assert_false(settled(t, &m));
    status_map_free(&m);
    task_unref(t);
}

static void
a_failed_half_stops_the_task_and_tells_why(void **state)
{
    struct task *t = sample_task(TASK_ACCOUNT, NULL);
    struct status_map m = {0};
    beats(&m, "capture", 100);
    beats(&m, "apply", 100);
    both_say(&m, t, STATUS_RUNNING);
    struct status_unit s = unit_of(t, STATUS_FAILED);
    (void)err_set(&s.err, MR_SOURCE_PURGED, "binlog.000001 is gone");
    says(&m, t, "capture", s);
    is(t, &m, false, "failed", "MR1007: binlog.000001 is gone. Effect: ");
    t->generation = 2; /* resumed: the failure was of the record before */
    is(t, &m, true, "", "");
    status_map_free(&m);
    task_unref(t);
}

static void
an_error_that_is_waited_out_keeps_the_task_running(void **state)
{
    struct task *t = sample_task(TASK_ACCOUNT, NULL);
    struct status_map m = {0};
    beats(&m, "capture", 100);
    beats(&m, "apply", 100);
    both_say(&m, t, STATUS_RUNNING);
    struct status_unit s = unit_of(t, STATUS_RETRYING);
    (void)err_set(&s.err, MR_TARGET_UNREACHABLE, "connection refused");
    says(&m, t, "apply", s);
    is(t, &m, true, "", "MR3001");
    status_map_free(&m);
    task_unref(t);
}

static void
what_an_older_incarnation_said_does_not_count(void **state)
{
    struct task *t = sample_task(TASK_ACCOUNT, NULL);
    struct status_map m = {0};
    struct summary s;
    beats(&m, "capture", 100);
    beats(&m, "apply", 100);
    both_say(&m, t, STATUS_STOPPED);
    t->inc++;
    t->generation++;
    summary_make(t, &m, NOW_MS, &s);
    assert_true(s.running);
    assert_int_equal(s.phase, STATUS_INITIALIZATION);
    assert_int_equal(s.source_us, 0);
    summary_free(&s);
    status_map_free(&m);
    task_unref(t);
}

static void
table_says(struct status_map *m, const struct task *t, const char *prefix,
           struct status_table s)
{
    char key[120];
    struct json *j = status_table_to_json(&s);
    snprintf(key, sizeof(key), "%s/%s%s.%s", t->id, prefix, s.db, s.table);
    json_set(j, "inc", status_hex(t->inc));
    put(m, key, j);
}

static void
tables_follow_their_half_or_lag_behind_it(void **state)
{
    struct task *t = sample_task(TASK_ACCOUNT, NULL);
    struct status_map m = {0};
    struct summary s;
    beats(&m, "capture", 100);
    beats(&m, "apply", 100);
    both_say(&m, t, STATUS_RUNNING);
    struct status_table z = {
        .db = "a", .table = "z", .state = STATUS_TABLE_STREAMING, .follows = true};
    struct status_table b = {
        .db = "a", .table = "b", .state = STATUS_TABLE_STOPPED, .source_us = 123};
    struct status_table load = {
        .db = "a", .table = "z", .state = STATUS_TABLE_LOADING, .rows = 5, .rows_total = 10};
    (void)err_set(&b.err, MR_TARGET_SHAPE, "column x");
    table_says(&m, t, "table/", z);
    table_says(&m, t, "table/", b);
    table_says(&m, t, "capture/0/", load);
    summary_make(t, &m, NOW_MS, &s);
    assert_int_equal(s.tables_len, 2);
    assert_string_equal(s.tables[0].s.table, "b");
    assert_int_equal(s.tables[0].source_us, 123);
    assert_int_equal(s.tables[1].source_us, 5000000);
    assert_int_equal(s.tables[1].s.state, STATUS_TABLE_LOADING);
    assert_int_equal(s.tables[1].load_rows, 5);
    assert_int_equal(s.tables[1].load_total, 10);
    assert_true(s.running);
    assert_non_null(strstr(s.err_msg, "table a.b: MR3004: column x"));
    summary_free(&s);
    status_map_free(&m);
    task_unref(t);
}

static void
table_of(struct status_map *m, const struct task *t, const char *half, const char *name,
         enum status_table_state state)
{
    char key[80];
    struct json *j = status_table_to_json(&(struct status_table){
        .db = "a", .table = name, .state = state, .follows = state == STATUS_TABLE_STREAMING});
    json_set(j, "inc", status_hex(t->inc));
    snprintf(key, sizeof(key), "%s/%s/a.%s", t->id, half, name);
    put(m, key, j);
}

static void
phase_is(const struct task *t, const struct status_map *m, enum status_phase phase)
{
    struct summary s;
    summary_make(t, m, NOW_MS, &s);
    assert_int_equal(s.phase, phase);
    summary_free(&s);
}

static void
a_task_follows_when_apply_has_met_every_table(void **state)
{
    struct task *t = sample_task(TASK_ACCOUNT, NULL);
    struct status_map m = {0};
    both_say(&m, t, STATUS_RUNNING);
    table_of(&m, t, "capture/0", "x", STATUS_TABLE_STREAMING);
    table_of(&m, t, "capture/0", "y", STATUS_TABLE_STREAMING);
    table_of(&m, t, "capture/0", "gone", STATUS_TABLE_DROPPED);
    table_of(&m, t, "capture/0", "keyless", STATUS_TABLE_STOPPED);
    table_of(&m, t, "table", "x", STATUS_TABLE_STREAMING);
    phase_is(t, &m, STATUS_FULL_LOAD);
    table_of(&m, t, "table", "y", STATUS_TABLE_STREAMING);
    phase_is(t, &m, STATUS_INCREMENTAL);
    t->sink_type = TASK_SINK_KAFKA;
    table_of(&m, t, "capture/0", "z", STATUS_TABLE_STREAMING);
    phase_is(t, &m, STATUS_INCREMENTAL);
    status_map_free(&m);
    task_unref(t);
}

static void
a_status_reads_as_it_was_written(void **state)
{
    struct arena a;
    struct err e = {0};
    struct status_unit s = {.worker = "w",
                            .instance = UINT64_MAX,
                            .generation = 3,
                            .inc = UINT64_C(1) << 63,
                            .state = STATUS_RETRYING,
                            .phase = STATUS_FULL_LOAD,
                            .source_us = 1,
                            .rows = 2,
                            .failovers = 4,
                            .since_ms = 5,
                            .ts_ms = 6},
                       r;
    (void)err_set(&s.err, MR_TARGET_BUSY, "lock");
    struct json *j = status_unit_to_json(&s);
    arena_init(&a, 0);
    assert_true(status_unit_from_json(j, &a, &r, &e));
    assert_string_equal(r.worker, "w");
    assert_true(r.instance == s.instance && r.inc == s.inc && r.generation == 3);
    assert_int_equal(r.state, STATUS_RETRYING);
    assert_int_equal(r.phase, STATUS_FULL_LOAD);
    assert_int_equal(r.err.code, MR_TARGET_BUSY);
    assert_int_equal(r.err.class, ERR_RETRY);
    assert_string_equal(r.err.text, "lock");
    assert_true(r.source_us == 1 && r.rows == 2 && r.failovers == 4 && r.ts_ms == 6);
    json_set(j, "v", json_i64(9));
    assert_false(status_unit_from_json(j, &a, &r, &e));
    assert_int_equal(e.code, MR_KAFKA_VERSION);
    json_free(j);
    arena_free(&a);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_new_task_runs_and_misses_its_workers),
        cmocka_unit_test(starting_and_stopping_count_as_the_state_being_left),
        cmocka_unit_test(a_stop_that_nobody_can_carry_out_is_done),
        cmocka_unit_test(a_failed_half_stops_the_task_and_tells_why),
        cmocka_unit_test(an_error_that_is_waited_out_keeps_the_task_running),
        cmocka_unit_test(what_an_older_incarnation_said_does_not_count),
        cmocka_unit_test(tables_follow_their_half_or_lag_behind_it),
        cmocka_unit_test(a_task_follows_when_apply_has_met_every_table),
        cmocka_unit_test(a_status_reads_as_it_was_written),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
