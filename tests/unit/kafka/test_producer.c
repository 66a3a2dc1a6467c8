/* The producer's promises that do not need a real broker. */
#include "mock.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/stop.h"

struct fixture {
    struct mock mock;
    struct producer_conf conf;
    struct producer *p;
    struct producer_topic *rows;
    size_t handed_back[2];
    size_t runs;
};

static int owners[2];

static void
on_delivered(void *ctx, void *owner, size_t n)
{
    struct fixture *f = ctx;
    f->handed_back[owner == &owners[1]] += n;
    f->runs++;
}

static int
setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    mock_start(&f->mock);
    producer_conf_default(&f->conf);
    f->conf.kafka.bootstrap = f->mock.bootstrap;
    f->conf.delivered = on_delivered;
    f->conf.delivered_ctx = f;
    *state = f;
    return 0;
}

static int
teardown(void **state)
{
    struct fixture *f = *state;
    producer_destroy(f->p);
    mock_stop(&f->mock);
    free(f);
    return 0;
}

static void
start(struct fixture *f, const char *id)
{
    struct err e;
    f->conf.transactional_id = id;
    assert_ok(producer_new(&f->conf, &f->p, &e), e);
    if (id)
        assert_ok(producer_init_transactions(f->p, 10000, &e), e);
    assert_ok(producer_topic(f->p, "rows", 0, 5000, &f->rows, &e), e);
}

static struct producer_message
message(const char *value, int owner)
{
    return (struct producer_message){
        .key = BYTES_LIT("key"), .value = bytes_str(value), .owner = &owners[owner]};
}

static void
every_owner_is_handed_back_in_runs(void **state)
{
    struct fixture *f = *state;
    struct err e;
    struct producer_message m[100];
    start(f, NULL);
    for (size_t i = 0; i < 100; i++)
        m[i] = message("value", i >= 60);
    assert_ok(producer_send_batch(f->p, f->rows, 1, m, 100, &e), e);
    assert_ok(producer_flush(f->p, 5000, &e), e);
    assert_int_equal(f->handed_back[0], 60);
    assert_int_equal(f->handed_back[1], 40);
    assert_true(f->runs < 10);
    assert_int_equal(producer_outstanding(f->p), 0);
}

static void
sizes_are_checked_before_anything_is_sent(void **state)
{
    struct fixture *f = *state;
    struct err e;
    f->conf.message_max_bytes = 100000;
    f->conf.batch_bytes = 50000;
    start(f, NULL);
    size_t most = (size_t)producer_topic_limit(f->rows);
    uint8_t *big = calloc(1, most + 1);
    struct producer_message m[2] = {message("small", 0),
                                    {.value = bytes_of(big, most + 1), .owner = &owners[0]}};
    assert_false(producer_send_batch(f->p, f->rows, 0, m, 2, &e));
    assert_int_equal(e.code, MR_KAFKA_ROW_TOO_LARGE);
    assert_int_equal(e.class, ERR_TABLE);
    assert_int_equal(producer_outstanding(f->p), 0);
    m[1].value.n = most;
    assert_ok(producer_send_batch(f->p, f->rows, 0, m, 2, &e), e);
    assert_ok(producer_flush(f->p, 5000, &e), e);
    free(big);
}

static void
a_topic_below_the_batch_size_is_refused(void **state)
{
    struct fixture *f = *state;
    struct err e;
    struct producer_topic *t;
    start(f, NULL);
    assert_int_equal(rd_kafka_mock_topic_create(f->mock.cluster, "narrow", 1, 1), 0);
    assert_false(producer_topic(f->p, "narrow", 1000, 5000, &t, &e));
    assert_int_equal(e.code, MR_KAFKA_ROW_TOO_LARGE);
    assert_ok(producer_check(f->p, &e), e);
}

static void
a_partition_that_is_not_there_is_refused(void **state)
{
    struct fixture *f = *state;
    struct err e;
    struct producer_message m = message("value", 0);
    start(f, NULL);
    assert_int_equal(producer_topic_partitions(f->rows), 2);
    assert_false(producer_send_batch(f->p, f->rows, 2, &m, 1, &e));
    assert_int_equal(e.code, MR_KAFKA_TOPIC_CHANGED);
}

static void
a_topic_opened_twice_is_one(void **state)
{
    struct fixture *f = *state;
    struct err e;
    struct producer_topic *again;
    start(f, NULL);
    assert_ok(producer_topic(f->p, "rows", 0, 5000, &again, &e), e);
    assert_ptr_equal(again, f->rows);
}

static void
a_full_queue_makes_send_wait(void **state)
{
    struct fixture *f = *state;
    struct err e;
    enum { COUNT = 5000 };
    struct producer_message *m = calloc(COUNT, sizeof *m);
    f->conf.queue_messages = 100;
    start(f, NULL);
    for (size_t i = 0; i < COUNT; i++)
        m[i] = message("value", 0);
    assert_ok(producer_send_batch(f->p, f->rows, 0, m, COUNT, &e), e);
    assert_true(producer_outstanding(f->p) <= 100);
    assert_ok(producer_flush(f->p, 5000, &e), e);
    assert_int_equal(f->handed_back[0], COUNT);
    free(m);
}

static void
a_stop_ends_the_wait_of_a_full_queue(void **state)
{
    struct fixture *f = *state;
    struct err e;
    struct stop stop;
    struct producer_message m[50];
    stop_init(&stop, NULL);
    f->conf.queue_messages = 10;
    f->conf.stop = &stop;
    start(f, NULL);
    rd_kafka_mock_broker_set_down(f->mock.cluster, 1);
    for (size_t i = 0; i < ARRAY_LEN(m); i++)
        m[i] = message("value", 0);
    stop_ask(&stop);
    assert_false(producer_send_batch(f->p, f->rows, 0, m, ARRAY_LEN(m), &e));
    assert_int_equal(e.class, ERR_RETRY);
    producer_destroy(f->p);
    f->p = NULL;
    stop_free(&stop);
}

static void
destroy_is_quick_and_complete_with_the_broker_gone(void **state)
{
    struct fixture *f = *state;
    struct err e;
    struct producer_message m[1000];
    start(f, NULL);
    rd_kafka_mock_broker_set_down(f->mock.cluster, 1);
    for (size_t i = 0; i < ARRAY_LEN(m); i++)
        m[i] = message("value", 0);
    assert_ok(producer_send_batch(f->p, f->rows, 0, m, ARRAY_LEN(m), &e), e);
    assert_false(producer_flush(f->p, 50, &e));
    assert_int_equal(e.code, MR_KAFKA_UNREACHABLE);
    uint64_t began = clock_mono_ms();
    producer_destroy(f->p);
    f->p = NULL;
    assert_true(clock_mono_ms() - began < 1000);
    assert_int_equal(f->handed_back[0], ARRAY_LEN(m));
}

static void
the_first_delivery_error_answers_every_call(void **state)
{
    struct fixture *f = *state;
    struct err e;
    struct producer_message m = message("value", 0);
    start(f, "tx");
    assert_ok(producer_begin(f->p, &e), e);
    rd_kafka_mock_push_request_errors(f->mock.cluster, MOCK_PRODUCE, 1,
                                      RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED);
    assert_ok(producer_send_batch(f->p, f->rows, 0, &m, 1, &e), e);
    assert_false(producer_flush(f->p, 5000, &e));
    assert_int_equal(e.code, MR_KAFKA_AUTH);
    assert_false(producer_commit(f->p, 5000, &e));
    assert_int_equal(e.code, MR_KAFKA_AUTH);
    assert_false(producer_send_batch(f->p, f->rows, 0, &m, 1, &e));
    assert_int_equal(e.code, MR_KAFKA_AUTH);
    assert_int_equal(f->handed_back[0], 1);
}

static void
init_without_a_broker_may_be_called_again(void **state)
{
    struct fixture *f = *state;
    struct err e;
    f->conf.transactional_id = "tx";
    rd_kafka_mock_broker_set_down(f->mock.cluster, 1);
    assert_ok(producer_new(&f->conf, &f->p, &e), e);
    assert_false(producer_init_transactions(f->p, 300, &e));
    assert_int_equal(e.class, ERR_RETRY);
    rd_kafka_mock_broker_set_up(f->mock.cluster, 1);
    assert_ok(producer_init_transactions(f->p, 10000, &e), e);
}

static void
one_row(struct fixture *f)
{
    struct err e;
    struct producer_message m = message("value", 0);
    assert_ok(producer_begin(f->p, &e), e);
    assert_ok(producer_send_batch(f->p, f->rows, 0, &m, 1, &e), e);
    assert_ok(producer_flush(f->p, 5000, &e), e);
}

static void
an_undisturbed_commit_is_true(void **state)
{
    struct fixture *f = *state;
    struct err e;
    struct producer_stats s;
    start(f, "tx");
    for (int i = 0; i < 3; i++) {
        one_row(f);
        assert_ok(producer_commit(f->p, 5000, &e), e);
    }
    producer_stats(f->p, &s);
    assert_int_equal(s.commits, 3);
    assert_int_equal(s.unknown, 0);
    assert_int_equal(s.acked, 3);
}

static void
a_commit_whose_connection_breaks_is_unknown_though_the_library_says_ok(void **state)
{
    struct fixture *f = *state;
    struct err e;
    start(f, "tx");
    one_row(f);
    rd_kafka_mock_push_request_errors(f->mock.cluster, MOCK_END_TXN, 1,
                                      RD_KAFKA_RESP_ERR__TRANSPORT);
    assert_false(producer_commit(f->p, 5000, &e));
    assert_int_equal(e.code, MR_KAFKA_UNKNOWN_OUTCOME);
    assert_int_equal(e.class, ERR_UNKNOWN);
    assert_false(producer_begin(f->p, &e));
    assert_int_equal(e.code, MR_KAFKA_UNKNOWN_OUTCOME);
}

static void
a_slow_commit_is_unknown(void **state)
{
    struct fixture *f = *state;
    struct err e;
    f->conf.unknown_ms = 200;
    start(f, "tx");
    one_row(f);
    rd_kafka_mock_broker_push_request_error_rtts(f->mock.cluster, 1, MOCK_END_TXN, 1,
                                                 RD_KAFKA_RESP_ERR_NO_ERROR, 600);
    assert_false(producer_commit(f->p, 5000, &e));
    assert_int_equal(e.code, MR_KAFKA_UNKNOWN_OUTCOME);
}

static void
a_producer_is_not_used_after_an_abort(void **state)
{
    struct fixture *f = *state;
    struct err e;
    start(f, "tx");
    one_row(f);
    assert_ok(producer_abort(f->p, 5000, &e), e);
    assert_false(producer_begin(f->p, &e));
    assert_int_equal(e.class, ERR_UNKNOWN);
}

static void
a_fenced_commit_says_so(void **state)
{
    struct fixture *f = *state;
    struct err e;
    start(f, "tx");
    one_row(f);
    rd_kafka_mock_push_request_errors(f->mock.cluster, MOCK_END_TXN, 1,
                                      RD_KAFKA_RESP_ERR_PRODUCER_FENCED);
    assert_false(producer_commit(f->p, 5000, &e));
    assert_int_equal(e.code, MR_KAFKA_FENCED);
}

static void
the_descriptor_wakes_for_delivery_reports(void **state)
{
    struct fixture *f = *state;
    struct err e;
    struct stop stop;
    struct producer_message m = message("value", 0);
    stop_init(&stop, NULL);
    start(f, NULL);
    producer_poll(f->p, 0);
    assert_ok(producer_send_batch(f->p, f->rows, 0, &m, 1, &e), e);
    uint64_t end = clock_mono_ms() + 5000;
    while (f->handed_back[0] == 0 && clock_mono_ms() < end) {
        assert_true(stop_poll(&stop, producer_fd(f->p), 1, 5000));
        producer_poll(f->p, 0);
    }
    assert_int_equal(f->handed_back[0], 1);
    stop_free(&stop);
}

static void
a_wrong_property_is_named(void **state)
{
    struct fixture *f = *state;
    struct err e;
    f->conf.kafka.properties[0] = (struct kafka_property){"no.such.property", "1"};
    f->conf.kafka.properties_n = 1;
    assert_false(producer_new(&f->conf, &f->p, &e));
    f->p = NULL;
    assert_int_equal(e.code, MR_CONFIG);
    assert_non_null(strstr(e.text, "no.such.property"));
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(every_owner_is_handed_back_in_runs),
        TEST(sizes_are_checked_before_anything_is_sent),
        TEST(a_topic_below_the_batch_size_is_refused),
        TEST(a_partition_that_is_not_there_is_refused),
        TEST(a_topic_opened_twice_is_one),
        TEST(a_full_queue_makes_send_wait),
        TEST(a_stop_ends_the_wait_of_a_full_queue),
        TEST(destroy_is_quick_and_complete_with_the_broker_gone),
        TEST(the_first_delivery_error_answers_every_call),
        TEST(init_without_a_broker_may_be_called_again),
        TEST(an_undisturbed_commit_is_true),
        TEST(a_commit_whose_connection_breaks_is_unknown_though_the_library_says_ok),
        TEST(a_slow_commit_is_unknown),
        TEST(a_producer_is_not_used_after_an_abort),
        TEST(a_fenced_commit_says_so),
        TEST(the_descriptor_wakes_for_delivery_reports),
        TEST(a_wrong_property_is_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
