/* Reading partition by partition, and the log reader, on the mock cluster. */
#include "mock.h"

#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "kafka/consumer.h"
#include "kafka/doubt.h"
#include "kafka/log.h"

struct fixture {
    struct mock mock;
    struct consumer_conf conf;
    struct consumer *c;
    struct consumer_batch b;
};

static int
setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    struct err e;
    mock_start(&f->mock);
    consumer_conf_default(&f->conf);
    f->conf.kafka.bootstrap = f->mock.bootstrap;
    assert_ok(consumer_new(&f->conf, &f->c, &e), e);
    consumer_batch_init(&f->b, 100);
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

/* Values are the numbers from..to-1; every tenth is a tombstone. */
static void
write_numbers(struct fixture *f, int32_t partition, int from, int to)
{
    struct err e;
    struct producer_conf conf;
    struct producer *p;
    struct producer_topic *t;
    producer_conf_default(&conf);
    conf.kafka.bootstrap = f->mock.bootstrap;
    assert_ok(producer_new(&conf, &p, &e), e);
    assert_ok(producer_topic(p, "rows", 0, 5000, &t, &e), e);
    for (int i = from; i < to; i++) {
        char text[16];
        int n = snprintf(text, sizeof text, "%d", i);
        struct bytes v = i % 10 == 9 ? (struct bytes){0} : bytes_of(text, (size_t)n);
        assert_ok(producer_send_copy(p, t, partition, bytes_of(text, (size_t)n), v, &e), e);
    }
    assert_ok(producer_flush(p, 5000, &e), e);
    producer_destroy(p);
}

static void
check_message(const struct consumer_message *m, int number)
{
    char text[16];
    snprintf(text, sizeof text, "%d", number);
    assert_true(bytes_eq(m->key, bytes_str(text)));
    if (number % 10 == 9)
        assert_null(m->value.p);
    else
        assert_true(bytes_eq(m->value, bytes_str(text)));
}

/* Reads numbers first..until-1 at offsets of the same numbers. */
static void
read_numbers(struct fixture *f, struct consumer_partition *p, int first, int until)
{
    struct err e;
    for (int next = first; next < until;) {
        assert_ok(consumer_poll(p, &f->b, 5000, &e), e);
        assert_true(f->b.n > 0 && f->b.n <= 100);
        for (size_t i = 0; i < f->b.n; i++) {
            assert_int_equal(f->b.msgs[i].offset, next);
            check_message(&f->b.msgs[i], next++);
        }
        assert_int_equal(consumer_position(p), next);
    }
}

static void
await_eof(struct fixture *f, struct consumer_partition *p)
{
    struct err e;
    for (int i = 0; i < 100 && !f->b.eof; i++)
        assert_ok(consumer_poll(p, &f->b, 100, &e), e);
    assert_true(f->b.eof);
}

static void
records_come_in_order_with_keys_and_tombstones(void **state)
{
    struct fixture *f = *state;
    struct err e;
    struct consumer_partition *p;
    write_numbers(f, 0, 0, 500);
    assert_ok(consumer_open(f->c, "rows", 0, 0, &p, &e), e);
    read_numbers(f, p, 0, 500);
    await_eof(f, p);
    assert_int_equal(consumer_position(p), 500);
}

static void
reading_starts_where_asked(void **state)
{
    struct fixture *f = *state;
    struct err e;
    struct consumer_partition *p;
    static const struct {
        int64_t from;
        int first;
    } starts[] = {{17, 17}, {KAFKA_OFFSET_BEGIN, 0}, {KAFKA_OFFSET_TAIL(5), 95}};
    write_numbers(f, 0, 0, 100);
    for (size_t i = 0; i < ARRAY_LEN(starts); i++) {
        assert_ok(consumer_open(f->c, "rows", 0, starts[i].from, &p, &e), e);
        read_numbers(f, p, starts[i].first, 100);
        consumer_batch_clear(&f->b);
        consumer_close(p);
    }
}

static void
seek_drops_what_was_queued(void **state)
{
    struct fixture *f = *state;
    struct err e;
    struct consumer_partition *p;
    write_numbers(f, 0, 0, 1000);
    assert_ok(consumer_open(f->c, "rows", 0, 0, &p, &e), e);
    read_numbers(f, p, 0, 100);
    static const int places[] = {900, 3, 500, 0, 999};
    for (size_t i = 0; i < ARRAY_LEN(places); i++) {
        assert_ok(consumer_seek(p, places[i], &e), e);
        assert_int_equal(consumer_position(p), places[i]);
        read_numbers(f, p, places[i], places[i] + 1);
    }
}

static void
one_descriptor_wakes_for_all_partitions(void **state)
{
    struct fixture *f = *state;
    struct err e;
    struct consumer_partition *p[2];
    for (int i = 0; i < 2; i++) {
        assert_ok(consumer_open(f->c, "rows", i, 0, &p[i], &e), e);
        consumer_set_ctx(p[i], &p[i]);
        assert_ptr_equal(consumer_ctx(p[i]), &p[i]);
        assert_int_equal(consumer_partition_id(p[i]), i);
    }
    for (int round = 0; round < 4; round++) {
        write_numbers(f, round % 2, round / 2 * 10, round / 2 * 10 + 10);
        size_t n = 0;
        while (n < 10) {
            struct pollfd fd = {.fd = consumer_fd(f->c), .events = POLLIN};
            assert_int_equal(poll(&fd, 1, 5000), 1);
            consumer_fd_clear(f->c);
            for (int i = 0; i < 2; i++) {
                do {
                    assert_ok(consumer_poll(p[i], &f->b, 0, &e), e);
                    n += i == round % 2 ? f->b.n : 0;
                } while (f->b.n > 0);
            }
        }
        assert_int_equal(n, 10);
    }
}

/* How often p is told within `ms`, or until it was. */
static int
told(struct fixture *f, const struct consumer_partition *p, uint64_t ms)
{
    int n = 0;
    for (uint64_t end = clock_mono_ms() + ms; n == 0 && clock_mono_ms() < end;) {
        struct pollfd wait = {.fd = consumer_fd(f->c), .events = POLLIN};
        (void)poll(&wait, 1, 50);
        consumer_fd_clear(f->c);
        for (struct consumer_partition *r; (r = consumer_ready(f->c)) != NULL;)
            n += r == p;
    }
    return n;
}

static void
of_many_partitions_those_with_something_new_are_told_once(void **state)
{
    struct fixture *f = *state;
    struct err e;
    struct consumer_partition *p[2];
    for (int32_t i = 0; i < 2; i++) {
        assert_ok(consumer_open(f->c, "rows", i, 0, &p[i], &e), e);
        await_eof(f, p[i]);
        f->b.eof = false;
    }
    (void)told(f, p[0], 300);
    (void)told(f, p[1], 300);
    write_numbers(f, 1, 0, 5);
    assert_int_equal(told(f, p[1], 5000), 1);
    assert_int_equal(told(f, p[1], 300), 0); /* before it was polled empty */
    read_numbers(f, p[1], 0, 5);
    await_eof(f, p[1]);
    write_numbers(f, 1, 5, 10);
    assert_int_equal(told(f, p[1], 5000), 1);
    write_numbers(f, 0, 0, 5);
    consumer_close(p[0]);
    assert_int_equal(told(f, p[0], 300), 0);
}

static void
a_partition_not_polled_does_not_hold_the_other(void **state)
{
    struct fixture *f = *state;
    struct err e;
    struct consumer_partition *p[2];
    write_numbers(f, 0, 0, 300);
    write_numbers(f, 1, 0, 300);
    for (int i = 0; i < 2; i++)
        assert_ok(consumer_open(f->c, "rows", i, 0, &p[i], &e), e);
    read_numbers(f, p[1], 0, 300);
    read_numbers(f, p[0], 0, 300);
}

static void
a_kept_batch_outlives_its_partition(void **state)
{
    struct fixture *f = *state;
    struct err e;
    struct consumer_partition *p;
    write_numbers(f, 0, 0, 50);
    assert_ok(consumer_open(f->c, "rows", 0, 0, &p, &e), e);
    assert_ok(consumer_poll(p, &f->b, 5000, &e), e);
    consumer_close(p);
    for (size_t i = 0; i < f->b.n; i++)
        check_message(&f->b.msgs[i], (int)i);
    consumer_batch_clear(&f->b);
}

static void
offsets_are_asked_from_the_broker(void **state)
{
    struct fixture *f = *state;
    struct err e;
    int64_t low;
    int64_t high;
    write_numbers(f, 1, 0, 42);
    assert_ok(consumer_watermarks(f->c, "rows", 1, 5000, &low, &high, &e), e);
    assert_int_equal(low, 0);
    assert_int_equal(high, 42);
    struct consumer_offset ends[2] = {
        {.topic = "rows", .partition = 0, .timestamp_ms = KAFKA_OFFSET_END},
        {.topic = "rows", .partition = 1, .timestamp_ms = KAFKA_OFFSET_END}};
    assert_ok(consumer_offsets(f->c, ends, 2, 5000, &e), e);
    assert_int_equal(ends[0].offset, 0);
    assert_int_equal(ends[1].offset, 42);
}

/* The log reader */

struct seen {
    int64_t offsets[2000];
    size_t n;
    size_t fail_at; /* 0: never */
    size_t want;    /* found after so many */
};

static bool
on_record(void *ctx, const struct consumer_message *m, struct err *e)
{
    struct seen *s = ctx;
    if (s->fail_at && s->n + 1 == s->fail_at)
        return err_set(e, MR_KAFKA_BAD_RECORD, "as asked");
    check_message(m, (int)m->offset);
    s->offsets[s->n++] = m->offset;
    return true;
}

static bool
on_found(void *ctx)
{
    const struct seen *s = ctx;
    return s->n >= s->want;
}

static struct log_reader *
open_log(struct fixture *f, int64_t from)
{
    struct err e;
    struct log_reader *r;
    struct log_conf conf = {.kafka = {.bootstrap = f->mock.bootstrap},
                            .topic = "rows",
                            .from = from,
                            .timeout_ms = 10000};
    assert_ok(log_reader_open(&conf, &r, &e), e);
    return r;
}

static void
a_log_is_read_to_its_end_and_followed(void **state)
{
    struct fixture *f = *state;
    struct err e;
    struct seen s = {0};
    write_numbers(f, 0, 0, 1200);
    struct log_reader *r = open_log(f, KAFKA_OFFSET_BEGIN);
    assert_ok(log_reader_to_end(r, on_record, &s, &e), e);
    assert_int_equal(s.n, 1200);
    assert_ok(log_reader_to_end(r, on_record, &s, &e), e);
    assert_int_equal(s.n, 1200);
    write_numbers(f, 0, 1200, 1210);
    for (size_t n; s.n < 1210;)
        assert_ok(log_reader_poll(r, 5000, on_record, &s, &n, &e), e);
    assert_int_equal(log_reader_position(r), 1210);
    for (size_t i = 0; i < s.n; i++)
        assert_int_equal(s.offsets[i], i);
    log_reader_close(r);
}

static void
an_empty_log_has_an_end(void **state)
{
    struct fixture *f = *state;
    struct err e;
    struct seen s = {0};
    struct log_reader *r = open_log(f, KAFKA_OFFSET_TAIL(100));
    assert_ok(log_reader_to_end(r, on_record, &s, &e), e);
    assert_int_equal(s.n, 0);
    log_reader_close(r);
}

static void
a_record_that_was_refused_comes_again(void **state)
{
    struct fixture *f = *state;
    struct err e;
    struct seen s = {.fail_at = 31};
    write_numbers(f, 0, 0, 100);
    struct log_reader *r = open_log(f, 0);
    assert_false(log_reader_to_end(r, on_record, &s, &e));
    assert_int_equal(e.code, MR_KAFKA_BAD_RECORD);
    assert_int_equal(log_reader_position(r), 30);
    s.fail_at = 0;
    assert_ok(log_reader_to_end(r, on_record, &s, &e), e);
    assert_int_equal(s.n, 100);
    log_reader_close(r);
}

static void
reading_to_an_offset_stops_there(void **state)
{
    struct fixture *f = *state;
    struct err e;
    struct seen s = {0};
    write_numbers(f, 0, 0, 100);
    struct log_reader *r = open_log(f, 10);
    assert_ok(log_reader_to_offset(r, 50, on_record, &s, &e), e);
    assert_int_equal(s.n, 40);
    assert_int_equal(log_reader_position(r), 50);
    assert_ok(log_reader_to_end(r, on_record, &s, &e), e);
    assert_int_equal(s.n, 90);
    log_reader_close(r);
}

static void
scanning_back_reads_windows_from_the_end_once(void **state)
{
    struct fixture *f = *state;
    struct err e;
    struct seen s = {.want = 30};
    bool found;
    write_numbers(f, 0, 0, 1000);
    struct log_reader *r = open_log(f, KAFKA_OFFSET_END);
    assert_ok(log_reader_scan_back(r, 10, on_record, on_found, &s, &found, &e), e);
    assert_true(found);
    assert_int_equal(s.n, 50); /* [990, 1000) and [950, 990) */
    assert_int_equal(s.offsets[0], 990);
    assert_int_equal(s.offsets[10], 950);
    assert_int_equal(log_reader_position(r), 1000);
    s = (struct seen){.want = 100000};
    assert_ok(log_reader_scan_back(r, 10, on_record, on_found, &s, &found, &e), e);
    assert_false(found);
    assert_int_equal(s.n, 1000);
    write_numbers(f, 0, 1000, 1001);
    for (size_t n; s.n < 1001;)
        assert_ok(log_reader_poll(r, 5000, on_record, &s, &n, &e), e);
    assert_int_equal(s.offsets[1000], 1000);
    log_reader_close(r);
}

static void
an_offset_above_the_end_is_lost(void **state)
{
    struct fixture *f = *state;
    struct err e;
    struct log_reader *r;
    struct log_conf conf = {.kafka = {.bootstrap = f->mock.bootstrap},
                            .topic = "rows",
                            .from = 7,
                            .timeout_ms = 10000};
    assert_false(log_reader_open(&conf, &r, &e));
    assert_int_equal(e.code, MR_KAFKA_LOST);
}

static void
a_broker_that_is_away_is_a_retry_within_the_time(void **state)
{
    struct fixture *f = *state;
    struct err e;
    struct log_reader *r;
    struct log_conf conf = {
        .kafka = {.bootstrap = f->mock.bootstrap}, .topic = "rows", .timeout_ms = 300};
    rd_kafka_mock_broker_set_down(f->mock.cluster, 1);
    uint64_t began = clock_mono_ms();
    assert_false(log_reader_open(&conf, &r, &e));
    assert_int_equal(e.class, ERR_RETRY);
    assert_true(clock_mono_ms() - began < 4000);
}

/* A broker that has just started answers so until the metadata have come to it. */
static void
say_unknown(struct fixture *f, bool unknown)
{
    rd_kafka_mock_topic_set_error(f->mock.cluster, "rows",
                                  unknown ? RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART
                                          : RD_KAFKA_RESP_ERR_NO_ERROR);
}

static void *
catches_up(void *arg)
{
    clock_sleep_ms(1500);
    say_unknown(arg, false);
    return NULL;
}

static void
a_topic_that_a_broker_does_not_know_yet_is_asked_for_again(void **state)
{
    struct fixture *f = *state;
    struct err e;
    struct producer_conf conf;
    struct producer *p;
    struct producer_topic *t;
    struct consumer_offset end = {.topic = "rows", .timestamp_ms = KAFKA_OFFSET_END};
    for (int way = 0; way < 3; way++) {
        pthread_t thread;
        say_unknown(f, true);
        assert_int_equal(pthread_create(&thread, NULL, catches_up, f), 0);
        if (way == 0) {
            log_reader_close(open_log(f, KAFKA_OFFSET_BEGIN));
        } else if (way == 1) {
            assert_ok(consumer_offsets(f->c, &end, 1, 5000, &e), e);
        } else {
            producer_conf_default(&conf);
            conf.kafka.bootstrap = f->mock.bootstrap;
            assert_ok(producer_new(&conf, &p, &e), e);
            assert_ok(producer_topic(p, "rows", 0, 5000, &t, &e), e);
            producer_destroy(p);
        }
        pthread_join(thread, NULL);
    }
}

/* The mock cluster has no controller; that one's word ends a doubt on real Kafka
 * (tests/real/test_bad_input.py). */
static void
a_topic_that_stays_unknown_is_not_gone_without_a_word_of_the_controller(void **state)
{
    struct fixture *f = *state;
    struct err e;
    struct log_reader *r;
    struct log_conf conf = {.kafka = {.bootstrap = f->mock.bootstrap},
                            .topic = "rows",
                            .timeout_ms = DOUBT_ANSWERS * DOUBT_STEP_MS};
    say_unknown(f, true);
    assert_false(log_reader_open(&conf, &r, &e));
    assert_int_equal(e.code, MR_KAFKA_TOPIC_UNKNOWN);
}

static void
answers_of_one_moment_and_time_without_answers_are_no_deletion(void **state)
{
    (void)state;
    struct doubt d = {0};
    for (int i = 0; i < 1000; i++)
        assert_false(doubt_count(&d, 5000)); /* came at once, of a process that stood still */
    assert_false(doubt_count(&d, 100000));
    assert_false(doubt_count(&d, 200000));
    for (uint64_t i = 1; i < DOUBT_ANSWERS - 3; i++)
        assert_false(doubt_count(&d, 200000 + i * DOUBT_STEP_MS));
    assert_true(doubt_count(&d, 200000 + DOUBT_ANSWERS * DOUBT_STEP_MS));
}

static void
another_answer_between_ends_the_doubt(void **state)
{
    (void)state;
    struct doubt d = {0};
    struct err e;
    for (uint64_t i = 1; i < DOUBT_ANSWERS; i++)
        assert_false(doubt_count(&d, i * DOUBT_STEP_MS));
    err_set(&e, MR_KAFKA_UNREACHABLE, "away");
    assert_false(doubt_ends(&d, &e));
    assert_int_equal(d.answers, 0);
    d.answers = DOUBT_ANSWERS - 1;
    assert_false(doubt_ends(&d, NULL));
    assert_int_equal(d.answers, 0);
}

static void
too_little_time_to_be_sure_is_no_deletion(void **state)
{
    struct fixture *f = *state;
    struct err e;
    struct log_reader *r;
    struct log_conf conf = {
        .kafka = {.bootstrap = f->mock.bootstrap}, .topic = "rows", .timeout_ms = 300};
    say_unknown(f, true);
    assert_false(log_reader_open(&conf, &r, &e));
    assert_int_equal(e.class, ERR_RETRY);
}

static void
reading_goes_on_over_a_moment_in_which_the_topic_is_not_known(void **state)
{
    struct fixture *f = *state;
    struct err e;
    struct consumer_partition *p;
    write_numbers(f, 0, 0, 50);
    assert_ok(consumer_open(f->c, "rows", 0, 0, &p, &e), e);
    read_numbers(f, p, 0, 50);
    say_unknown(f, true);
    rd_kafka_mock_push_request_errors(
        f->mock.cluster, MOCK_FETCH, 3, RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART,
        RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART, RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART);
    for (uint64_t end = clock_mono_ms() + 3000; clock_mono_ms() < end;)
        assert_ok(consumer_poll(p, &f->b, 100, &e), e);
    say_unknown(f, false);
    write_numbers(f, 0, 50, 60);
    for (int i = 0; i < 150 && f->b.n == 0; i++)
        assert_ok(consumer_poll(p, &f->b, 100, &e), e);
    assert_true(f->b.n > 0);
    check_message(&f->b.msgs[0], 50);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int
main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(records_come_in_order_with_keys_and_tombstones),
        TEST(reading_starts_where_asked),
        TEST(seek_drops_what_was_queued),
        TEST(one_descriptor_wakes_for_all_partitions),
        TEST(of_many_partitions_those_with_something_new_are_told_once),
        TEST(a_partition_not_polled_does_not_hold_the_other),
        TEST(a_kept_batch_outlives_its_partition),
        TEST(offsets_are_asked_from_the_broker),
        TEST(a_log_is_read_to_its_end_and_followed),
        TEST(an_empty_log_has_an_end),
        TEST(a_record_that_was_refused_comes_again),
        TEST(reading_to_an_offset_stops_there),
        TEST(scanning_back_reads_windows_from_the_end_once),
        TEST(an_offset_above_the_end_is_lost),
        TEST(a_broker_that_is_away_is_a_retry_within_the_time),
        TEST(a_topic_that_a_broker_does_not_know_yet_is_asked_for_again),
        TEST(a_topic_that_stays_unknown_is_not_gone_without_a_word_of_the_controller),
        TEST(answers_of_one_moment_and_time_without_answers_are_no_deletion),
        TEST(another_answer_between_ends_the_doubt),
        TEST(too_little_time_to_be_sure_is_no_deletion),
        TEST(reading_goes_on_over_a_moment_in_which_the_topic_is_not_known),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
