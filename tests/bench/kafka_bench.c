/* Rates and latencies of kafka/ on a real broker. One `key=value ...` line per result.
 * Arguments: VERB BOOTSTRAP TOPIC and
 * - produce PARTS COUNT SIZE TXN CODEC: TXN messages a transaction, 0 = idempotent only
 * - consume PARTS COUNT QUEUE_KB
 * - follow COUNT: one message after the other, through the consumer's descriptor
 * - cycle COUNT PARTS PAUSE_MS: small transactions in a row
 * - idle PARTS begin|end: the cost of open partitions nobody polls
 */
#include "kafka_tool.h"

#include <poll.h>

#include "kafka/consumer.h"

#define PARTS_MAX 64

static void
produce(char **v)
{
    int parts = atoi(v[0]);
    size_t count = strtoul(v[1], NULL, 10);
    size_t size = strtoul(v[2], NULL, 10);
    size_t txn = strtoul(v[3], NULL, 10);
    enum { BLOCK = 500, VALUES = 4096 };
    static struct producer_message msgs[BLOCK];
    uint8_t *values = malloc(VALUES * size);
    fill_values(values, VALUES * size, 7);
    make_topic(parts);
    struct producer *p = new_producer(txn ? topic : NULL, v[4]);
    struct err e;
    if (txn && !producer_init_transactions(p, 20000, &e))
        die("init", &e);
    struct producer_topic *t = open_topic(p, topic);
    uint64_t began = clock_mono_us();
    double cpu = driver_cpu_seconds();
    int owner;
    uint64_t commit_us = 0;
    size_t commits = 0;
    for (size_t done = 0; done < count;) {
        if (txn && done % txn == 0 && !producer_begin(p, &e))
            die("begin", &e);
        size_t n = txn && txn < BLOCK ? txn : BLOCK;
        for (size_t i = 0; i < n; i++)
            msgs[i] = (struct producer_message){.key = bytes_of(values + i * 8, 8),
                                                .value = bytes_of(values + i * size, size),
                                                .owner = &owner};
        if (!producer_send_batch(p, t, (int32_t)(done / n % (size_t)parts), msgs, n, &e))
            die("send", &e);
        producer_poll(p, 0);
        done += n;
        if (txn && done % txn == 0) {
            uint64_t t0 = clock_mono_us();
            if (!producer_commit(p, 10000, &e))
                die("commit", &e);
            commit_us += clock_mono_us() - t0;
            commits++;
        }
    }
    if (!producer_flush(p, 60000, &e))
        die("flush", &e);
    char more[100] = "";
    if (commits)
        snprintf(more, sizeof more, " commit_ms=%.2f",
                 (double)commit_us / 1e3 / (double)commits);
    report("produce", count, began, cpu, more);
    producer_destroy(p);
    printf("handed_back=%llu of %zu\n", (unsigned long long)handed_back, count);
    free(values);
}

static void
consume(char **v)
{
    int parts = atoi(v[0]);
    size_t count = strtoul(v[1], NULL, 10);
    struct consumer_conf conf;
    struct consumer *c;
    struct consumer_partition *part[PARTS_MAX];
    struct consumer_batch b;
    struct err e;
    consumer_conf_default(&conf);
    conf.kafka.bootstrap = bootstrap;
    conf.queue_bytes = atoll(v[2]) * 1024;
    if (getenv("FETCH_KB"))
        conf.fetch_bytes = atoll(getenv("FETCH_KB")) * 1024;
    if (!consumer_new(&conf, &c, &e))
        die("consumer", &e);
    uint64_t began = clock_mono_us();
    double cpu = driver_cpu_seconds();
    for (int i = 0; i < parts; i++)
        if (!consumer_open(c, topic, i, KAFKA_OFFSET_BEGIN, &part[i], &e))
            die("open", &e);
    consumer_batch_init(&b, 1000);
    size_t n = 0;
    size_t bytes = 0;
    size_t waits = 0;
    while (n < count) {
        size_t before = n;
        consumer_fd_clear(c);
        for (int i = 0; i < parts; i++) {
            if (!consumer_poll(part[i], &b, 0, &e))
                die("poll", &e);
            n += b.n;
            for (size_t j = 0; j < b.n; j++)
                bytes += b.msgs[j].value.n;
        }
        if (n == before) {
            struct pollfd fd = {.fd = consumer_fd(c), .events = POLLIN};
            if (poll(&fd, 1, 20000) <= 0) {
                printf("stuck at %zu\n", n);
                exit(1);
            }
            waits++;
        }
    }
    char more[80];
    snprintf(more, sizeof more, " mb=%zu waits=%zu", bytes >> 20, waits);
    report("consume", n, began, cpu, more);
    consumer_batch_free(&b);
    consumer_free(c);
}

/* What open partitions cost while nobody polls them: at the beginning with full queues, or at
 * the end. */
static void
idle(char **v)
{
    int parts = atoi(v[0]);
    struct consumer_conf conf;
    struct consumer *c;
    struct consumer_partition *part[PARTS_MAX];
    struct err e;
    consumer_conf_default(&conf);
    conf.kafka.bootstrap = bootstrap;
    if (!consumer_new(&conf, &c, &e))
        die("consumer", &e);
    int64_t from = strcmp(v[1], "end") == 0 ? KAFKA_OFFSET_END : KAFKA_OFFSET_BEGIN;
    for (int i = 0; i < parts; i++)
        if (!consumer_open(c, topic, i, from, &part[i], &e))
            die("open", &e);
    clock_sleep_ms(2000);
    double cpu = driver_cpu_seconds();
    clock_sleep_ms(5000);
    struct rusage u;
    getrusage(RUSAGE_SELF, &u);
    printf("idle cpu_percent=%.2f rss_mb=%ld\n", (driver_cpu_seconds() - cpu) * 20,
           u.ru_maxrss / 1024);
    consumer_free(c);
}

/* One message at a time: sent, waited for by poll(2) on the consumer's descriptor, read. */
static void
follow(char **v)
{
    size_t count = strtoul(v[0], NULL, 10);
    struct err e;
    make_topic(2);
    struct producer *p = new_producer(NULL, NULL);
    struct producer_topic *t = open_topic(p, topic);
    struct consumer_conf conf;
    struct consumer *c;
    struct consumer_partition *part[2];
    struct consumer_batch b;
    consumer_conf_default(&conf);
    conf.kafka.bootstrap = bootstrap;
    consumer_batch_init(&b, 10);
    if (!consumer_new(&conf, &c, &e))
        die("consumer", &e);
    for (int i = 0; i < 2; i++)
        if (!consumer_open(c, topic, i, getenv("BEGIN") ? KAFKA_OFFSET_BEGIN : 0, &part[i], &e))
            die("open", &e);
    uint64_t *us = calloc(count, sizeof *us);
    for (size_t i = 0; i < count; i++) {
        uint64_t t0 = clock_mono_us();
        if (!producer_send_copy(p, t, (int32_t)(i % 2), (struct bytes){0}, BYTES_LIT("x"), &e))
            die("send", &e);
        for (bool got = false; !got;) {
            struct pollfd fd[2] = {{.fd = consumer_fd(c), .events = POLLIN},
                                   {.fd = producer_fd(p), .events = POLLIN}};
            if (poll(fd, 2, 10000) <= 0) {
                printf("stuck at %zu\n", i);
                exit(1);
            }
            producer_poll(p, 0);
            consumer_fd_clear(c);
            for (int k = 0; k < 2; k++) {
                if (!consumer_poll(part[k], &b, 0, &e))
                    die("poll", &e);
                got = got || b.n > 0;
            }
        }
        us[i] = clock_mono_us() - t0;
    }
    qsort(us, count, sizeof *us, compare);
    printf("follow p50_us=%llu p99_us=%llu max_us=%llu\n", (unsigned long long)us[count / 2],
           (unsigned long long)us[count * 99 / 100], (unsigned long long)us[count - 1]);
    free(us);
    consumer_batch_free(&b);
    consumer_free(c);
    producer_destroy(p);
}

/* Small transactions one after the other: what a commit interval can be. */
static void
cycle(char **v)
{
    size_t count = strtoul(v[0], NULL, 10);
    int parts = atoi(v[1]);
    unsigned pause_ms = (unsigned)atoi(v[2]);
    struct err e;
    make_topic(parts);
    struct producer *p = transactional(topic);
    struct producer_topic *t = open_topic(p, topic);
    uint64_t *sent = calloc(count, sizeof *sent);
    uint64_t *committed = calloc(count, sizeof *committed);
    for (size_t i = 0; i < count; i++) {
        must_begin(p);
        uint64_t t0 = clock_mono_us();
        for (int k = 0; k < parts; k++)
            if (!producer_send_copy(p, t, k, (struct bytes){0}, BYTES_LIT("x"), &e))
                die("send", &e);
        if (!producer_flush(p, 10000, &e))
            die("flush", &e);
        sent[i] = clock_mono_us() - t0;
        t0 = clock_mono_us();
        if (!producer_commit(p, 10000, &e))
            die("commit", &e);
        committed[i] = clock_mono_us() - t0;
        if (pause_ms)
            clock_sleep_ms(pause_ms);
    }
    percentiles("flush", sent, count);
    percentiles("commit", committed, count);
    free(sent);
    free(committed);
    producer_destroy(p);
}

int
main(int argc, char **argv)
{
    static const struct verb verbs[] = {
        {"produce", 5, produce}, {"consume", 3, consume}, {"follow", 1, follow},
        {"cycle", 3, cycle},     {"idle", 2, idle},
    };
    return run_verb(argc, argv, verbs, ARRAY_LEN(verbs));
}
