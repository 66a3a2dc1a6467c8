/* What the drivers of kafka/ share: errors, figures, topics, producers. Every program that
 * includes it has its own. */
#ifndef MILLRACE_TESTS_BENCH_KAFKA_TOOL_H
#define MILLRACE_TESTS_BENCH_KAFKA_TOOL_H

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>

#include "base/clock.h"
#include "kafka/admin.h"
#include "kafka/producer.h"
#include "support/driver.h"

static const char *bootstrap;
static const char *topic;
static uint64_t handed_back;

struct verb {
    const char *name;
    int args;
    void (*run)(char **v);
};

static inline void
die(const char *what, const struct err *e)
{
    printf("failed=%s code=%d class=%d text=\"%s\"\n", what, (int)e->code, (int)e->class,
           e->text);
    fflush(stdout);
    exit(1);
}

static inline void
show(const char *what, bool ok, const struct err *e)
{
    if (ok)
        printf("%s ok\n", what);
    else
        printf("%s code=%d class=%d text=\"%s\"\n", what, (int)e->code, (int)e->class, e->text);
    fflush(stdout);
}

static inline void
report(const char *what, size_t n, uint64_t began_us, double cpu, const char *more)
{
    double s = (double)(clock_mono_us() - began_us) / 1e6;
    struct rusage u;
    getrusage(RUSAGE_SELF, &u);
    printf("%s n=%zu seconds=%.3f per_second=%.0f cpu_us=%.3f rss_mb=%ld%s\n", what, n, s,
           (double)n / s, (driver_cpu_seconds() - cpu) * 1e6 / (double)n, u.ru_maxrss / 1024,
           more);
    fflush(stdout);
}

static inline void
make_topic_of(const char *name, int partitions, const char *policy)
{
    struct kafka_settings s = {.bootstrap = bootstrap};
    struct admin *a;
    struct err e;
    if (!admin_new(&s, 10000, &a, &e))
        die("admin", &e);
    struct kafka_property configs[] = {{"cleanup.policy", policy},
                                       {"max.message.bytes", "41943040"}};
    struct admin_topic t = {
        .name = name, .partitions = partitions, .configs = configs, .configs_n = 2};
    if (!admin_topic_create(a, &t, NULL, &e))
        die("create", &e);
    admin_free(a);
}

static inline void
make_topic(int partitions)
{
    make_topic_of(topic, partitions, "delete");
}

static inline void
on_delivered(void *ctx, void *owner, size_t n)
{
    (void)ctx;
    (void)owner;
    handed_back += n;
}

static inline struct producer *
new_producer(const char *id, const char *codec)
{
    struct producer_conf conf;
    struct producer *p;
    struct err e;
    producer_conf_default(&conf);
    conf.kafka.bootstrap = bootstrap;
    conf.transactional_id = id;
    conf.transaction_timeout_ms = 10000; /* readers of one that stays open wait for it */
    conf.delivered = on_delivered;
    if (getenv("LINGER"))
        conf.linger_ms = atoi(getenv("LINGER"));
    if (getenv("BATCH"))
        conf.batch_bytes = atoi(getenv("BATCH"));
    if (codec)
        conf.compression = codec;
    if (!producer_new(&conf, &p, &e))
        die("producer_new", &e);
    return p;
}

static inline struct producer_topic *
open_topic(struct producer *p, const char *name)
{
    struct producer_topic *t;
    struct err e;
    if (!producer_topic(p, name, 0, 5000, &t, &e))
        die("topic", &e);
    return t;
}

/* Rows as they come: a constant envelope, some digits, some text. */
static inline void
fill_values(uint8_t *p, size_t n, unsigned seed)
{
    static const char words[] = "{\"id\":,\"name\":\"aeioust\",\"amount\":0123456789}";
    for (size_t i = 0; i < n; i++) {
        seed = seed * 1664525u + 1013904223u;
        p[i] = (uint8_t)((i & 64) ? words[(seed >> 16) % (sizeof words - 1)]
                                  : "source_constant_part_of_it_"[i % 27]);
    }
}

static inline struct producer *
transactional(const char *id)
{
    struct err e;
    struct producer *p = new_producer(id, NULL);
    uint64_t t0 = clock_mono_us();
    if (!producer_init_transactions(p, 20000, &e))
        die("init", &e);
    printf("init ms=%.1f\n", (double)(clock_mono_us() - t0) / 1e3);
    return p;
}

static inline void
must_begin(struct producer *p)
{
    struct err e;
    if (!producer_begin(p, &e))
        die("begin", &e);
}

static inline int
compare(const void *a, const void *b)
{
    uint64_t x = *(const uint64_t *)a;
    uint64_t y = *(const uint64_t *)b;
    return x < y ? -1 : x > y;
}

static inline void
percentiles(const char *what, uint64_t *us, size_t n)
{
    qsort(us, n, sizeof *us, compare);
    printf("%s p50_us=%llu p99_us=%llu max_us=%llu\n", what, (unsigned long long)us[n / 2],
           (unsigned long long)us[n * 99 / 100], (unsigned long long)us[n - 1]);
}

/* VERB BOOTSTRAP TOPIC ARGUMENTS... */
static inline int
run_verb(int argc, char **argv, const struct verb *verbs, size_t n)
{
    for (size_t i = 0; argc > 3 && i < n; i++) {
        if (strcmp(argv[1], verbs[i].name) == 0 && argc == 4 + verbs[i].args) {
            bootstrap = argv[2];
            topic = argv[3];
            setvbuf(stdout, NULL, _IOLBF, 0);
            printf("librdkafka=%s\n", kafka_library_version());
            verbs[i].run(argv + 4);
            return 0;
        }
    }
    fprintf(stderr, "see the file header\n");
    return 2;
}

#endif
