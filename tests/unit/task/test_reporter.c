/* The reporter on librdkafka's mock cluster: what is written when, by the records' timestamps.
 */
#include "unit/kafka/mock.h"

#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/config.h"
#include "task/reporter.h"
#include "task/topics.h"

#define ROUNDS    5
#define APART_MS  300
#define ARRIVE_MS 20000

struct fixture {
    struct mock mock;
    struct config *config;
    struct reporter *reporter;
    rd_kafka_t *reader;
    rd_kafka_topic_t *topic;
};

static int
setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    struct err e;
    char text[256];
    mock_start(&f->mock);
    assert_int_equal(rd_kafka_mock_topic_create(f->mock.cluster, TOPIC_STATUS, 1, 1), 0);
    f->config = config_new();
    assert_ok(config_set(f->config, "kafka.bootstrap", f->mock.bootstrap, CONFIG_FROM_FLAG, &e),
              e);
    f->reporter =
        reporter_start(f->config, "apply", &(struct lease_id){.name = "a", .instance = 1});
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    rd_kafka_conf_set(conf, "bootstrap.servers", f->mock.bootstrap, NULL, 0);
    f->reader = rd_kafka_new(RD_KAFKA_CONSUMER, conf, text, sizeof text);
    assert_non_null(f->reader);
    f->topic = rd_kafka_topic_new(f->reader, TOPIC_STATUS, NULL);
    assert_int_equal(rd_kafka_consume_start(f->topic, 0, RD_KAFKA_OFFSET_BEGINNING), 0);
    *state = f;
    return 0;
}

static int
teardown(void **state)
{
    struct fixture *f = *state;
    reporter_stop(f->reporter);
    config_free(f->config);
    rd_kafka_consume_stop(f->topic, 0);
    rd_kafka_topic_destroy(f->topic);
    rd_kafka_destroy(f->reader);
    mock_stop(&f->mock);
    free(f);
    return 0;
}

static struct json *
table(const char *state, uint64_t rows)
{
    struct json *j = json_object_new();
    json_set(j, "state", json_str(state));
    json_set(j, "rows", json_u64(rows));
    return j;
}

static bool
is_key(const rd_kafka_message_t *m, const char *key)
{
    return m->key_len == strlen(key) && memcmp(m->key, key, m->key_len) == 0;
}

/* Reads until a record of each has come: when they were produced, in ms. */
static void
times_of_next(struct fixture *f, const char *a, const char *b, int64_t *at_a, int64_t *at_b)
{
    uint64_t end = clock_mono_ms() + ARRIVE_MS;
    *at_a = *at_b = 0;
    while (*at_a == 0 || *at_b == 0) {
        assert_true(clock_mono_ms() < end);
        rd_kafka_message_t *m = rd_kafka_consume(f->topic, 0, 100);
        if (m != NULL && !m->err && is_key(m, a))
            *at_a = rd_kafka_message_timestamp(m, NULL);
        else if (m != NULL && !m->err && is_key(m, b))
            *at_b = rd_kafka_message_timestamp(m, NULL);
        if (m != NULL)
            rd_kafka_message_destroy(m);
    }
}

/* Both are lazy; a busy machine may hold a round up, so one of some has to show it. */
static void
another_state_is_written_before_another_count(void **state)
{
    struct fixture *f = *state;
    int64_t at_a, at_b;
    reporter_keep(f->reporter, "a", table("loading", 0), REPORT_LAZY, false);
    reporter_keep(f->reporter, "b", table("loading", 0), REPORT_LAZY, false);
    times_of_next(f, "a", "b", &at_a, &at_b);
    for (uint64_t i = 1; i <= ROUNDS; i++) {
        reporter_keep(f->reporter, "a", table("loading", i), REPORT_LAZY, false);
        reporter_keep(f->reporter, "b", table(i % 2 ? "streaming" : "loading", 0), REPORT_LAZY,
                      false);
        times_of_next(f, "a", "b", &at_a, &at_b);
        if (at_b + APART_MS <= at_a)
            return;
    }
    fail_msg("the state came no sooner than the count, %d times", ROUNDS);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(another_state_is_written_before_another_count, setup,
                                        teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
