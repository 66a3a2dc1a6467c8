#include "unit/base/unit.h"

#include "task/lease.h"

#define UNIT "0190f0f0-0000-7000-8000-000000000001/lease/capture/0"

/* One topic as every worker reads it, and the worker whose eyes the test uses. */
struct world {
    struct lease_log *log;
    struct lease_id me;
    uint64_t now;
};

static void
put(struct world *w, const char *key, struct json *value)
{
    lease_log_read(w->log, bytes_str(key), value, w->now);
    json_free(value);
}

static void
beats(struct world *w, const struct lease_id *id)
{
    struct buf key = {0};
    lease_beat_key("capture", id->name, &key);
    put(w, buf_cstr(&key), lease_beat(id, 1000000 + w->now, false));
    buf_free(&key);
}

static void
claims(struct world *w, const struct lease_id *id)
{
    put(w, UNIT, lease_claim_record(id, 1000000 + w->now, false));
}

static struct world
born(const char *name, uint64_t instance)
{
    struct lease_conf c = {"capture", name, instance, 1000, 5000};
    struct world w = {.log = lease_log_new(&c, 1000000), .me = {name, instance, 0}, .now = 1};
    return w;
}

static void
begin(struct world *w)
{
    w->me.term = lease_log_begin(w->log, 1000000);
    beats(w, &w->me);
}

static enum lease_action
decision(struct world *w)
{
    struct lease_claim c;
    lease_log_claim(w->log, UNIT, &c);
    return lease_decide(&w->me, &c);
}

static void
pass(struct world *w, unsigned beats_of_mine, const struct lease_id *with)
{
    for (unsigned i = 0; i < beats_of_mine; i++) {
        w->now += 1000;
        beats(w, &w->me);
        if (with != NULL)
            beats(w, with);
    }
}

static void
a_free_unit_is_claimed_and_then_run(void **state)
{
    struct world w = born("a", 1);
    begin(&w);
    assert_int_equal(decision(&w), LEASE_CLAIM);
    claims(&w, &w.me);
    assert_int_equal(decision(&w), LEASE_RUN);
    put(&w, UNIT, lease_claim_record(&w.me, 0, true));
    assert_int_equal(decision(&w), LEASE_CLAIM);
    lease_log_free(w.log);
}

static void
a_second_worker_stands_by_until_the_beats_stop(void **state)
{
    struct world w = born("b", 2);
    struct lease_id a = {"a", 1, 999999};
    beats(&w, &a);
    claims(&w, &a);
    begin(&w);
    assert_int_equal(decision(&w), LEASE_STAND_BY);
    pass(&w, 60, &a);
    assert_int_equal(decision(&w), LEASE_STAND_BY);
    pass(&w, 4, NULL);
    assert_int_equal(decision(&w), LEASE_STAND_BY);
    pass(&w, 1, NULL);
    assert_int_equal(decision(&w), LEASE_CLAIM);
    lease_log_free(w.log);
}

static void
an_outage_of_kafka_ages_nobody(void **state)
{
    struct world w = born("b", 2);
    struct lease_id a = {"a", 1, 999999};
    beats(&w, &a);
    claims(&w, &a);
    begin(&w);
    w.now += 600000; /* nothing could be written for ten minutes; we are first to be back */
    beats(&w, &w.me);
    assert_int_equal(decision(&w), LEASE_STAND_BY);
    beats(&w, &a);
    pass(&w, 4, NULL);
    assert_int_equal(decision(&w), LEASE_STAND_BY);
    lease_log_free(w.log);
}

static void
a_worker_that_stopped_leaves_its_units_at_once(void **state)
{
    struct world w = born("b", 2);
    struct lease_id a = {"a", 1, 999999};
    beats(&w, &a);
    claims(&w, &a);
    begin(&w);
    assert_int_equal(decision(&w), LEASE_STAND_BY);
    put(&w, "worker/capture/a", lease_beat(&a, 0, true));
    assert_int_equal(decision(&w), LEASE_CLAIM);
    lease_log_free(w.log);
}

static void
a_claim_that_was_silent_long_before_we_started_is_dead(void **state)
{
    struct world w = born("b", 2);
    struct lease_id a = {"a", 1, 5};
    put(&w, "worker/capture/a", lease_beat(&a, 1000000 - LEASE_OLD_MS - 1, false));
    claims(&w, &a);
    begin(&w);
    assert_int_equal(decision(&w), LEASE_CLAIM);
    lease_log_free(w.log);
}

static void
a_claim_whose_beats_were_never_seen_is_dead(void **state)
{
    struct world w = born("b", 2);
    struct lease_id a = {"a", 1, 5};
    claims(&w, &a);
    begin(&w);
    assert_int_equal(decision(&w), LEASE_CLAIM);
    lease_log_free(w.log);
}

static void
the_same_name_claims_at_once(void **state)
{
    struct world w = born("a", 2);
    struct lease_id before = {"a", 1, 999999};
    beats(&w, &before);
    claims(&w, &before);
    begin(&w);
    assert_int_equal(decision(&w), LEASE_CLAIM);
    assert_false(lease_log_replaced(w.log));
    beats(&w, &before); /* it has not noticed yet, or it thawed */
    assert_int_equal(decision(&w), LEASE_CLAIM);
    assert_false(lease_log_replaced(w.log));
    lease_log_free(w.log);
}

static void
an_older_instance_that_sees_a_newer_one_has_to_go(void **state)
{
    struct world w = born("a", 1);
    struct lease_id newer = {"a", 2, 1000001};
    begin(&w);
    claims(&w, &w.me);
    assert_false(lease_log_replaced(w.log));
    beats(&w, &newer);
    assert_true(lease_log_replaced(w.log));
    claims(&w, &newer);
    assert_int_equal(decision(&w), LEASE_REPLACED);
    lease_log_free(w.log);
}

static void
a_term_is_above_all_that_was_read_of_the_name(void **state)
{
    struct world w = born("a", 2);
    struct lease_id before = {"a", 1, 5000000}; /* its clock was ahead */
    beats(&w, &before);
    begin(&w);
    assert_int_equal(w.me.term, 5000001);
    assert_false(lease_log_replaced(w.log));
    lease_log_free(w.log);
}

static void
the_last_of_two_claims_is_the_owner(void **state)
{
    struct world w = born("b", 2);
    struct lease_id c = {"c", 3, 999999};
    begin(&w);
    beats(&w, &c);
    claims(&w, &w.me);
    assert_int_equal(decision(&w), LEASE_RUN);
    claims(&w, &c);
    assert_int_equal(decision(&w), LEASE_STAND_BY);
    lease_log_free(w.log);
}

static void
a_thawed_instance_does_not_speak_for_its_name(void **state)
{
    struct world w = born("b", 2);
    struct lease_id old = {"a", 1, 10}, newer = {"a", 9, 20};
    beats(&w, &newer);
    claims(&w, &newer);
    begin(&w);
    pass(&w, 5, &old);
    assert_int_equal(decision(&w), LEASE_CLAIM);
    lease_log_free(w.log);
}

static void
foreign_records_are_ignored(void **state)
{
    struct world w = born("b", 2);
    struct lease_id a = {"a", 1, 5};
    begin(&w);
    struct json *newer = lease_claim_record(&a, 0, false);
    json_set(newer, "v", json_i64(2));
    put(&w, UNIT, newer);
    put(&w, "worker/apply/a", lease_beat(&a, 2000000, false));
    put(&w, "0190f0f0-0000-7000-8000-000000000001/table/x/lease/y",
        lease_claim_record(&a, 0, false));
    put(&w, "x", NULL);
    put(&w, UNIT, NULL);
    assert_int_equal(decision(&w), LEASE_CLAIM);
    lease_log_free(w.log);
}

/* Whatever the order of beats and claims: at most one of the workers that have read the same
 * log believes that the unit is its own. */
static void
two_readers_of_one_log_never_both_run(void **state)
{
    struct prng rng = prng_begin("two_readers");
    for (int round = 0; round < 300; round++) {
        struct world w[2] = {born("a", 1), born("b", 2)};
        begin(&w[0]);
        beats(&w[1], &w[0].me);
        begin(&w[1]);
        beats(&w[0], &w[1].me);
        for (int i = 0; i < 200; i++) {
            size_t who = prng_below(&rng, 2);
            bool beat = prng_below(&rng, 4) > 0;
            enum lease_action d = decision(&w[who]);
            for (size_t r = 0; r < 2; r++) {
                w[r].now += 300;
                if (beat)
                    beats(&w[r], &w[who].me);
                else if (d == LEASE_CLAIM)
                    claims(&w[r], &w[who].me);
            }
            bool both = decision(&w[0]) == LEASE_RUN && decision(&w[1]) == LEASE_RUN;
            assert_false(both);
        }
        lease_log_free(w[0].log);
        lease_log_free(w[1].log);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_free_unit_is_claimed_and_then_run),
        cmocka_unit_test(a_second_worker_stands_by_until_the_beats_stop),
        cmocka_unit_test(an_outage_of_kafka_ages_nobody),
        cmocka_unit_test(a_worker_that_stopped_leaves_its_units_at_once),
        cmocka_unit_test(a_claim_that_was_silent_long_before_we_started_is_dead),
        cmocka_unit_test(a_claim_whose_beats_were_never_seen_is_dead),
        cmocka_unit_test(the_same_name_claims_at_once),
        cmocka_unit_test(an_older_instance_that_sees_a_newer_one_has_to_go),
        cmocka_unit_test(a_term_is_above_all_that_was_read_of_the_name),
        cmocka_unit_test(the_last_of_two_claims_is_the_owner),
        cmocka_unit_test(a_thawed_instance_does_not_speak_for_its_name),
        cmocka_unit_test(foreign_records_are_ignored),
        cmocka_unit_test(two_readers_of_one_log_never_both_run),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
