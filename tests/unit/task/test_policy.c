#include "unit/base/unit.h"

#include "task/policy.h"

static struct err
error(enum err_code code)
{
    struct err e = {0};
    (void)err_set(&e, code, "x");
    return e;
}

static void
an_unreachable_peer_is_tried_for_ever_at_most_a_minute_apart(void **state)
{
    struct prng rng = prng_begin("unreachable");
    struct policy p = {0};
    struct err e = error(MR_SOURCE_UNREACHABLE);
    uint64_t last = 0;
    for (int i = 0; i < 1000; i++) {
        struct policy_decision d = policy_decide(&p, &e, prng_next(&rng));
        assert_int_equal(d.action, POLICY_RETRY);
        assert_true(d.wait_ms > 0 && d.wait_ms <= 60000);
        last = d.wait_ms;
    }
    assert_true(last >= 40000);
    assert_int_equal(p.failovers, 1000);
}

static void
every_kind_of_peer_is_waited_for(void **state)
{
    static const enum err_code peers[] = {MR_KAFKA_UNREACHABLE, MR_TARGET_UNREACHABLE,
                                          MR_CATALOG_UNREACHABLE, MR_STORAGE_UNREACHABLE};
    (void)state;
    for (size_t i = 0; i < ARRAY_LEN(peers); i++) {
        struct policy p = {0};
        struct err e = error(peers[i]);
        for (int n = 0; n < 3 * POLICY_FAILOVERS_MAX; n++)
            assert_int_equal(policy_decide(&p, &e, 0).action, POLICY_RETRY);
    }
}

static void
waits_begin_small_and_double(void **state)
{
    struct policy p = {0};
    struct err e = error(MR_KAFKA_UNREACHABLE);
    uint64_t first = policy_decide(&p, &e, 0).wait_ms;
    uint64_t second = policy_decide(&p, &e, 0).wait_ms;
    assert_int_equal(first, 200);
    assert_int_equal(second, 400);
    policy_progress(&p);
    assert_int_equal(policy_decide(&p, &e, 0).wait_ms, 200);
}

static void
other_faults_stop_the_task_after_ten_without_progress(void **state)
{
    struct policy p = {0};
    struct err e = error(MR_KAFKA_ERROR);
    for (int i = 0; i < 10; i++)
        assert_int_equal(policy_decide(&p, &e, 0).action, POLICY_RETRY);
    assert_int_equal(policy_decide(&p, &e, 0).action, POLICY_STOP_TASK);
    policy_progress(&p);
    assert_int_equal(policy_decide(&p, &e, 0).action, POLICY_RETRY);
}

static void
each_class_has_its_action(void **state)
{
    struct policy p = {0};
    struct err look = error(MR_KAFKA_UNKNOWN_OUTCOME), table = error(MR_TARGET_ROW);
    struct err task = error(MR_SOURCE_PURGED), usage = error(MR_CONFIG);
    assert_int_equal(policy_decide(&p, &look, 0).action, POLICY_LOOK);
    assert_int_equal(policy_decide(&p, &table, 0).action, POLICY_STOP_TABLE);
    assert_int_equal(policy_decide(&p, &task, 0).action, POLICY_STOP_TASK);
    assert_int_equal(policy_decide(&p, &usage, 0).action, POLICY_STOP_TASK);
    (void)err_reclass(&table, ERR_TASK);
    assert_int_equal(policy_decide(&p, &table, 0).action, POLICY_STOP_TASK);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(an_unreachable_peer_is_tried_for_ever_at_most_a_minute_apart),
        cmocka_unit_test(every_kind_of_peer_is_waited_for),
        cmocka_unit_test(waits_begin_small_and_double),
        cmocka_unit_test(other_faults_stop_the_task_after_ten_without_progress),
        cmocka_unit_test(each_class_has_its_action),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
