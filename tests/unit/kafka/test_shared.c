/* Reading many partitions through one queue, on the mock cluster. */
#include "mock.h"

#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "kafka/consumer.h"

#define WIDE      20 /* partitions of topic wide */
#define VALUE     2000
#define QUEUE     ((int64_t)256 << 10)
#define QUIET_US  20000
#define BATCH_MAX 100000

struct fixture {
    struct mock mock;
    struct consumer *c;
    struct consumer_batch b;
};

static int
setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    struct consumer_conf conf;
    struct err e;
    mock_start(&f->mock);
    assert_int_equal(rd_kafka_mock_topic_create(f->mock.cluster, "wide", WIDE, 1), 0);
    consumer_conf_default(&conf);
    conf.kafka.bootstrap = f->mock.bootstrap;
    conf.shared = true;
    conf.queue_bytes = QUEUE;
    conf.fetch_bytes = (int64_t)64 << 10;
    conf.message_max_bytes = (int64_t)64 << 10;
    assert_ok(consumer_new(&conf, &f->c, &e), e);
    consumer_batch_init(&f->b, BATCH_MAX);
    *state = f;
    return 0;
}

static int
teardown(void **state)
{
    struct fixture *f = *state;
    consumer_batch_free(&f->b);
    consumer_free(f->c);
    mock_stop(&f->mock);
    free(f);
    return 0;
}

/* n records of VALUE bytes; the first four say which. */
static void
write_records(struct fixture *f, const char *topic, int32_t partition, uint32_t n)
{
    struct err e;
    struct producer_conf conf;
    struct producer *p;
    struct producer_topic *t;
    char value[VALUE] = {0};
    producer_conf_default(&conf);
    conf.kafka.bootstrap = f->mock.bootstrap;
    conf.compression = "none";
    conf.batch_bytes = 16 << 10;
    assert_ok(producer_new(&conf, &p, &e), e);
    assert_ok(producer_topic(p, topic, 0, 5000, &t, &e), e);
    for (uint32_t i = 0; i < n; i++) {
        memcpy(value, &i, sizeof i);
        assert_ok(producer_send_copy(p, t, partition, bytes_of("k", 1),
                                     bytes_of(value, sizeof value), &e),
                  e);
    }
    assert_ok(producer_flush(p, 10000, &e), e);
    producer_destroy(p);
}

static struct consumer_partition *
open_at(struct fixture *f, const char *topic, int32_t partition, int64_t offset)
{
    struct consumer_partition *p;
    struct err e;
    assert_ok(consumer_open(f->c, topic, partition, offset, &p, &e), e);
    return p;
}

static void
wait_queued(struct fixture *f)
{
    struct pollfd fd = {.fd = consumer_fd(f->c), .events = POLLIN};
    assert_int_equal(poll(&fd, 1, 10000), 1);
    consumer_fd_clear(f->c);
}

/* Polls until p's end came; every record of p has the offset after the one before it, `next`
 * first. */
static void
read_to_end(struct fixture *f, const struct consumer_partition *p, int64_t next)
{
    bool end = false;
    for (uint64_t until = clock_mono_ms() + 20000; !end && clock_mono_ms() < until;) {
        consumer_poll_all(f->c, &f->b);
        if (!f->b.n)
            usleep(1000);
        for (size_t i = 0; i < f->b.n; i++) {
            const struct consumer_message *m = f->b.msgs + i;
            if (m->from != p)
                continue;
            assert_int_equal(m->offset, next);
            uint32_t number;
            if (m->kind == CONSUMER_RECORD) {
                memcpy(&number, m->value.p, sizeof number);
                assert_int_equal(number, next++);
            }
            end = m->kind == CONSUMER_END;
        }
    }
    assert_true(end);
}

static void
partitions_come_through_one_queue_each_in_order_and_with_its_end(void **state)
{
    struct fixture *f = *state;
    int64_t next[2] = {0, 0};
    int ends = 0;
    for (int32_t i = 0; i < 2; i++) {
        write_records(f, "rows", i, 500);
        consumer_set_ctx(open_at(f, "rows", i, 0), &next[i]);
    }
    for (uint64_t until = clock_mono_ms() + 20000; ends < 2 && clock_mono_ms() < until;) {
        consumer_poll_all(f->c, &f->b);
        if (!f->b.n)
            usleep(1000);
        for (size_t i = 0; i < f->b.n; i++) {
            int64_t *at = consumer_ctx(f->b.msgs[i].from);
            assert_int_equal(f->b.msgs[i].offset, *at);
            *at += f->b.msgs[i].kind == CONSUMER_RECORD;
            ends += f->b.msgs[i].kind == CONSUMER_END;
        }
    }
    assert_int_equal(ends, 2);
    assert_int_equal(next[0], 500);
    assert_int_equal(next[1], 500);
}

static void
what_was_queued_of_a_closed_partition_never_comes(void **state)
{
    struct fixture *f = *state;
    write_records(f, "rows", 0, 100);
    write_records(f, "rows", 1, 100);
    struct consumer_partition *p = open_at(f, "rows", 0, 0);
    wait_queued(f);
    consumer_close(p);
    p = open_at(f, "rows", 0, 40);
    struct consumer_partition *other = open_at(f, "rows", 1, 7);
    read_to_end(f, p, 40);
    consumer_batch_clear(&f->b);
    consumer_close(p);
    consumer_close(other);
    read_to_end(f, open_at(f, "rows", 1, 0), 0);
}

static void
a_batch_forgets_a_partition_that_is_closed_and_keeps_the_others(void **state)
{
    struct fixture *f = *state;
    write_records(f, "rows", 0, 10);
    write_records(f, "rows", 1, 10);
    struct consumer_partition *p[2] = {open_at(f, "rows", 0, 0), NULL};
    wait_queued(f);
    p[1] = open_at(f, "rows", 1, 0);
    size_t of[2] = {0, 0};
    for (uint64_t until = clock_mono_ms() + 20000; !of[1] && clock_mono_ms() < until;) {
        usleep(QUIET_US);
        consumer_poll_all(f->c, &f->b);
        consumer_batch_drop(&f->b, p[0]);
        for (size_t i = 0; i < f->b.n; i++) {
            of[0] += f->b.msgs[i].from == p[0];
            of[1] += f->b.msgs[i].from == p[1];
        }
    }
    assert_int_equal(of[0], 0);
    assert_true(of[1] > 0);
}

/* The library may fetch as it likes; what it has fetched when it stops is looked at. */
static void
what_is_queued_of_all_partitions_together_stays_within_the_bound(void **state)
{
    struct fixture *f = *state;
    for (int32_t i = 0; i < WIDE; i++)
        write_records(f, "wide", i, 100);
    for (int32_t i = 0; i < WIDE; i++)
        (void)open_at(f, "wide", i, 0);
    wait_queued(f);
    usleep(25 * QUIET_US);
    int64_t bytes = 0, all = 0;
    consumer_poll_all(f->c, &f->b);
    for (size_t i = 0; i < f->b.n; i++)
        bytes += (int64_t)f->b.msgs[i].value.n;
    assert_true(bytes >= QUEUE / 2);
    assert_true(bytes <= 3 * QUEUE);
    all = bytes;
    for (uint64_t until = clock_mono_ms() + 20000; clock_mono_ms() < until;) {
        consumer_poll_all(f->c, &f->b);
        for (size_t i = 0; i < f->b.n; i++)
            all += (int64_t)f->b.msgs[i].value.n;
        if (all == (int64_t)WIDE * 100 * VALUE)
            break;
    }
    assert_int_equal(all, (int64_t)WIDE * 100 * VALUE);
}

static void
an_offset_above_the_end_fails_its_partition_alone(void **state)
{
    struct fixture *f = *state;
    struct err e;
    write_records(f, "rows", 0, 10);
    write_records(f, "rows", 1, 10);
    struct consumer_partition *bad = open_at(f, "rows", 0, 1000);
    bool failed = false;
    for (uint64_t until = clock_mono_ms() + 30000; !failed && clock_mono_ms() < until;) {
        consumer_poll_all(f->c, &f->b);
        if (!f->b.n)
            usleep(1000);
        for (size_t i = 0; i < f->b.n; i++)
            failed |= f->b.msgs[i].kind == CONSUMER_FAILED && f->b.msgs[i].from == bad;
    }
    assert_true(failed);
    assert_false(consumer_check(bad, &e));
    assert_int_equal(e.code, MR_KAFKA_LOST);
    read_to_end(f, open_at(f, "rows", 1, 0), 0);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(partitions_come_through_one_queue_each_in_order_and_with_its_end),
        TEST(what_was_queued_of_a_closed_partition_never_comes),
        TEST(a_batch_forgets_a_partition_that_is_closed_and_keeps_the_others),
        TEST(what_is_queued_of_all_partitions_together_stays_within_the_bound),
        TEST(an_offset_above_the_end_fails_its_partition_alone),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
