/* The excerpt has the shape librdkafka's STATISTICS.md gives. */
#include "mock.h"

#include "kafka/stats.h"

static void
the_coordinators_troubles_are_found(void **state)
{
    (void)state;
    static const char text[] =
        "{\"name\":\"a\",\"msg_cnt\":7,\"msg_size\":700,\"brokers\":{"
        "\"127.0.0.1:9092/1\":{\"txbytes\":10,\"rxbytes\":1,\"disconnects\":9,\"txretries\":9},"
        "\"TxnCoordinator/1\":{\"txbytes\":5,\"rxbytes\":2,\"disconnects\":3,\"txretries\":4,"
        "\"req_timeouts\":5}},\"topics\":{}}";
    struct kafka_stats s;
    struct err e;
    assert_ok(kafka_stats_parse(BYTES_LIT(text), &s, &e), e);
    assert_int_equal(s.coordinator_disconnects, 3);
    assert_int_equal(s.coordinator_retries, 4);
    assert_int_equal(s.coordinator_timeouts, 5);
    assert_int_equal(s.queue_messages, 7);
    assert_int_equal(s.queue_bytes, 700);
    assert_int_equal(s.tx_bytes, 15);
    assert_int_equal(s.rx_bytes, 3);
}

static void
text_that_is_not_json_is_an_error(void **state)
{
    (void)state;
    struct kafka_stats s;
    struct err e;
    assert_false(kafka_stats_parse(BYTES_LIT("{\"brokers\":"), &s, &e));
    assert_ok(kafka_stats_parse(BYTES_LIT("{}"), &s, &e), e);
    assert_int_equal(s.coordinator_disconnects, 0);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_coordinators_troubles_are_found),
        cmocka_unit_test(text_that_is_not_json_is_an_error),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
