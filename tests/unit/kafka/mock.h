/* librdkafka's mock cluster for the unit tests of kafka/, where it does right: plain produce
 * and fetch, request errors, broken connections. Not for isolation, fencing or compaction; its
 * log holds 5 MiB a partition. */
#ifndef MILLRACE_TESTS_UNIT_KAFKA_MOCK_H
#define MILLRACE_TESTS_UNIT_KAFKA_MOCK_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include <librdkafka/rdkafka.h>

#include <librdkafka/rdkafka_mock.h>

#include "kafka/producer.h"

#define MOCK_END_TXN 26
#define MOCK_PRODUCE 0
#define MOCK_FETCH   1

struct mock {
    rd_kafka_t *rk;
    rd_kafka_mock_cluster_t *cluster;
    const char *bootstrap;
};

static inline void
mock_start(struct mock *m)
{
    char text[256];
    m->rk = rd_kafka_new(RD_KAFKA_PRODUCER, rd_kafka_conf_new(), text, sizeof text);
    assert_non_null(m->rk);
    m->cluster = rd_kafka_mock_cluster_new(m->rk, 1);
    assert_non_null(m->cluster);
    m->bootstrap = rd_kafka_mock_cluster_bootstraps(m->cluster);
    assert_int_equal(rd_kafka_mock_topic_create(m->cluster, "rows", 2, 1), 0);
}

static inline void
mock_stop(struct mock *m)
{
    rd_kafka_mock_cluster_destroy(m->cluster);
    rd_kafka_destroy(m->rk);
}

#define assert_ok(call, e)                                         \
    do {                                                           \
        if (!(call))                                               \
            fail_msg("%s: %d %s", #call, (int)(e).code, (e).text); \
    } while (0)

#endif
