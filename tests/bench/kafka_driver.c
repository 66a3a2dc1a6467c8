/* Scenarios of kafka/ on a real broker; tests/real/test_kafka_client.py runs them and checks
 * the topics with an independent client. Prints `key=value ...` lines. Arguments: VERB
 * BOOTSTRAP TOPIC and
 * - loop MS COMMIT_MS RATE ID: consecutive numbers and the next one, exactly once
 * - endtxn commit|abort: a late EndTxn; prints `flushed` and waits for a line on stdin, so that
 *   the fault proxy can be told
 * - fence, large, refused, admin
 * - tail: positions behind markers, open and aborted transactions
 * - fill COUNT, back: a large control partition, read from its end
 * - range: offsets out of range, an unknown topic, a deleted one
 */
#include "kafka_tool.h"

#include "kafka/consumer.h"
#include "kafka/log.h"

/* loop: the publishing cycle in small, with every rule of the outcome. */

static bool
last_number(void *ctx, const struct consumer_message *m, struct err *e)
{
    (void)e;
    char text[32];
    snprintf(text, sizeof text, "%.*s", (int)m->value.n, (const char *)m->value.p);
    *(long *)ctx = atol(text);
    return true;
}

static struct producer *
claim(const char *id, const char *control, long *next)
{
    for (;;) {
        struct err e;
        struct producer *p = new_producer(id, NULL);
        struct log_conf lc = {.kafka = {.bootstrap = bootstrap},
                              .topic = control,
                              .from = KAFKA_OFFSET_TAIL(50),
                              .timeout_ms = 20000};
        struct log_reader *r = NULL;
        *next = 0;
        bool ok = producer_init_transactions(p, 5000, &e) && log_reader_open(&lc, &r, &e) &&
                  log_reader_to_end(r, last_number, next, &e);
        log_reader_close(r);
        if (ok)
            return p;
        show("claim", false, &e);
        uint64_t t0 = clock_mono_us();
        producer_destroy(p);
        printf("destroyed ms=%.1f\n", (double)(clock_mono_us() - t0) / 1e3);
    }
}

static bool
publish(struct producer *p, const char *control, long from, long to, struct err *e)
{
    struct producer_topic *rows;
    struct producer_topic *ctl;
    char text[32];
    if (!producer_topic(p, topic, 0, 5000, &rows, e) ||
        !producer_topic(p, control, 0, 5000, &ctl, e) || !producer_begin(p, e))
        return false;
    for (long i = from; i < to; i++) {
        int n = snprintf(text, sizeof text, "%ld", i);
        if (!producer_send_copy(p, rows, 0, (struct bytes){0}, bytes_of(text, (size_t)n), e))
            return false;
    }
    if (!producer_flush(p, 10000, e))
        return false;
    int n = snprintf(text, sizeof text, "%ld", to);
    return producer_send_copy(p, ctl, 0, BYTES_LIT("next"), bytes_of(text, (size_t)n), e) &&
           producer_commit(p, 10000, e);
}

static void
loop(char **v)
{
    uint64_t end = clock_mono_ms() + strtoull(v[0], NULL, 10);
    unsigned every = (unsigned)atoi(v[1]);
    long rate = atol(v[2]);
    char control[200];
    snprintf(control, sizeof control, "%s-control", topic);
    make_topic(1);
    make_topic_of(control, 1, "compact");
    long next;
    size_t claims = 1;
    size_t commits = 0;
    size_t unknown_done = 0;
    uint64_t longest = 0;
    struct producer *p = claim(v[3], control, &next);
    for (uint64_t last = clock_mono_ms(); clock_mono_ms() < end;) {
        struct err e;
        long to = next + rate * (long)every / 1000 + 1;
        clock_sleep_ms(every);
        if (publish(p, control, next, to, &e)) {
            next = to;
            commits++;
            uint64_t gap = clock_mono_ms() - last;
            longest = gap > longest ? gap : longest;
            last = clock_mono_ms();
            continue;
        }
        show("publish", false, &e);
        uint64_t t0 = clock_mono_us();
        producer_destroy(p);
        printf("destroyed ms=%.1f\n", (double)(clock_mono_us() - t0) / 1e3);
        long had = next;
        p = claim(v[3], control, &next);
        claims++;
        unknown_done += next != had;
    }
    producer_destroy(p);
    printf("loop next=%ld commits=%zu claims=%zu unknown_committed=%zu longest_gap_ms=%llu\n",
           next, commits, claims, unknown_done, (unsigned long long)longest);
}

static void
put(struct producer *p, const char *value)
{
    struct err e;
    if (!producer_send_copy(p, open_topic(p, topic), 0, (struct bytes){0}, bytes_str(value),
                            &e))
        die("put", &e);
}

/* T1 {a1} is committed or aborted; the proxy holds its EndTxn, cuts the connection and delivers
 * it 4 s later. Then the rule: destroy, init, T2 {b1} committed; T3 stays open while the late
 * EndTxn arrives, then is aborted. */
static void
endtxn(char **v)
{
    struct err e;
    bool abort = strcmp(v[0], "abort") == 0;
    make_topic(1);
    struct producer *p = transactional(topic);
    must_begin(p);
    put(p, "a1");
    if (!producer_flush(p, 5000, &e))
        die("flush", &e);
    struct producer_stats before;
    struct producer_stats after;
    producer_stats(p, &before);
    printf("flushed\n");
    fflush(stdout);
    getchar();
    bool ok = abort ? producer_abort(p, 5000, &e) : producer_commit(p, 5000, &e);
    show(abort ? "abort" : "commit", ok, &e);
    producer_stats(p, &after);
    printf("sockets_closed=%llu ms=%.1f\n",
           (unsigned long long)(after.sockets_closed - before.sockets_closed),
           (double)after.commit_us_last / 1e3);
    uint64_t t0 = clock_mono_us();
    producer_destroy(p);
    printf("destroyed ms=%.1f\n", (double)(clock_mono_us() - t0) / 1e3);
    p = transactional(topic);
    must_begin(p);
    put(p, "b1");
    show("commit2", producer_commit(p, 5000, &e), &e);
    must_begin(p);
    put(p, "c1");
    clock_sleep_ms(6000);
    put(p, "c2");
    show("flush3", producer_flush(p, 5000, &e), &e);
    show("abort3", producer_abort(p, 5000, &e), &e);
    producer_destroy(p);
}

static void
fence(char **v)
{
    (void)v;
    struct err e;
    make_topic(1);
    struct producer *a = transactional(topic);
    must_begin(a);
    put(a, "a1");
    if (!producer_flush(a, 5000, &e))
        die("flush", &e);
    struct producer *b = transactional(topic);
    show("old_commit", producer_commit(a, 5000, &e), &e);
    show("old_again", producer_begin(a, &e), &e);
    must_begin(b);
    put(b, "b1");
    show("new_commit", producer_commit(b, 5000, &e), &e);
    producer_destroy(a);
    struct producer *c = transactional(topic);
    bool began = producer_begin(b, &e);
    struct producer_topic *t = open_topic(b, topic);
    bool ok = began &&
              producer_send_copy(b, t, 0, (struct bytes){0}, BYTES_LIT("zombie"), &e) &&
              producer_flush(b, 5000, &e) && producer_commit(b, 5000, &e);
    show("zombie", ok, &e);
    producer_destroy(b);
    producer_destroy(c);
}

static void
large(char **v)
{
    (void)v;
    struct err e;
    make_topic(1);
    struct producer *p = transactional(topic);
    struct producer_topic *t = open_topic(p, topic);
    size_t most = (size_t)producer_topic_limit(t);
    uint8_t *big = malloc(most + 1);
    fill_values(big, most + 1, 3);
    int owner;
    struct producer_message m[2] = {{.value = BYTES_LIT("small"), .owner = &owner},
                                    {.value = bytes_of(big, most + 1), .owner = &owner}};
    must_begin(p);
    show("above", producer_send_batch(p, t, 0, m, 2, &e), &e);
    m[1].value.n = most;
    show("at_limit", producer_send_batch(p, t, 0, m, 2, &e), &e);
    m[0].value = (struct bytes){0};
    show("tombstone", producer_send_batch(p, t, 0, m, 1, &e), &e);
    show("commit", producer_commit(p, 20000, &e), &e);
    show("partition", producer_send_batch(p, t, 7, m, 1, &e), &e);
    struct consumer_conf conf;
    struct consumer *c;
    struct consumer_partition *part;
    struct consumer_batch b;
    consumer_conf_default(&conf);
    conf.kafka.bootstrap = bootstrap;
    if (!consumer_new(&conf, &c, &e) || !consumer_open(c, topic, 0, 0, &part, &e))
        die("consumer", &e);
    consumer_batch_init(&b, 10);
    /* The end may come first: the marker of a commit is written after its answer. */
    for (size_t n = 0, polls = 0; n < 3 && polls < 100; n += b.n, polls++) {
        if (!consumer_poll(part, &b, 1000, &e))
            die("poll", &e);
        for (size_t i = 0; i < b.n; i++)
            printf("read offset=%lld size=%zu tombstone=%d\n", (long long)b.msgs[i].offset,
                   b.msgs[i].value.n, b.msgs[i].value.p == NULL);
    }
    consumer_batch_free(&b);
    consumer_free(c);
    producer_destroy(p);
    printf("handed_back=%llu of 3\n", (unsigned long long)handed_back);
    free(big);
}

static void
refused(char **v)
{
    (void)v;
    struct err e;
    struct producer *p = new_producer("refused", NULL);
    show("init", producer_init_transactions(p, 2000, &e), &e);
    struct producer_stats s;
    producer_stats(p, &s);
    uint64_t t0 = clock_mono_us();
    producer_destroy(p);
    printf("sockets_closed=%llu destroyed ms=%.1f\n", (unsigned long long)s.sockets_closed,
           (double)(clock_mono_us() - t0) / 1e3);
}

static bool
count_record(void *ctx, const struct consumer_message *m, struct err *e)
{
    (void)m;
    (void)e;
    ++*(size_t *)ctx;
    return true;
}

static void
to_end(struct log_reader *r, const char *what)
{
    struct err e;
    size_t n = 0;
    int64_t end = 0;
    uint64_t t0 = clock_mono_us();
    if (!log_reader_to_end(r, count_record, &n, &e))
        die(what, &e);
    double ms = (double)(clock_mono_us() - t0) / 1e3;
    if (!log_reader_end(r, &end, &e))
        die("end", &e);
    printf("%s records=%zu position=%lld end=%lld ms=%.1f\n", what, n,
           (long long)log_reader_position(r), (long long)end, ms);
    fflush(stdout);
}

static void
tail(char **v)
{
    (void)v;
    struct err e;
    make_topic_of(topic, 1, "compact");
    struct log_conf lc = {.kafka = {.bootstrap = bootstrap},
                          .topic = topic,
                          .from = KAFKA_OFFSET_BEGIN,
                          .timeout_ms = 20000};
    struct log_reader *r;
    struct producer_topic *t;
    uint64_t t0 = clock_mono_us();
    if (!log_reader_open(&lc, &r, &e))
        die("open", &e);
    printf("open ms=%.1f\n", (double)(clock_mono_us() - t0) / 1e3);
    to_end(r, "empty");
    struct producer *p = transactional(topic);
    t = open_topic(p, topic);
    for (int i = 0; i < 3; i++) {
        must_begin(p);
        if (!producer_send_copy(p, t, 0, BYTES_LIT("k"), BYTES_LIT("v"), &e) ||
            !producer_commit(p, 5000, &e))
            die("commit", &e);
    }
    to_end(r, "committed");
    to_end(r, "again");
    must_begin(p);
    if (!producer_send_copy(p, t, 0, BYTES_LIT("k"), BYTES_LIT("gone"), &e) ||
        !producer_flush(p, 5000, &e))
        die("flush", &e);
    show("abort", producer_abort(p, 5000, &e), &e);
    producer_destroy(p);
    to_end(r, "aborted");
    p = transactional(topic);
    t = open_topic(p, topic);
    must_begin(p);
    if (!producer_send_copy(p, t, 0, BYTES_LIT("k"), BYTES_LIT("open"), &e) ||
        !producer_flush(p, 5000, &e))
        die("flush", &e);
    to_end(r, "open_transaction");
    producer_destroy(p);
    log_reader_close(r);
}

static void
fill(char **v)
{
    size_t count = strtoul(v[0], NULL, 10);
    struct err e;
    make_topic_of(topic, 1, "compact");
    struct producer *p = new_producer(NULL, "lz4");
    struct producer_topic *t = open_topic(p, topic);
    uint64_t began = clock_mono_us();
    double cpu = driver_cpu_seconds();
    for (size_t i = 0; i < count; i++) {
        char key[40];
        char value[200];
        int k = snprintf(key, sizeof key, "progress/%zu", i);
        int n = snprintf(value, sizeof value,
                         "{\"v\":1,\"epoch\":17,\"seq\":%zu,\"pos\":{\"k\":\"mysql\",\"file\":"
                         "\"bin.000001\",\"pos\":%zu},\"boundary\":true,\"touched\":[]}",
                         i, i * 311);
        if (!producer_send_copy(p, t, 0, bytes_of(key, (size_t)k), bytes_of(value, (size_t)n),
                                &e))
            die("send", &e);
        if (i % 1000 == 0)
            producer_poll(p, 0);
    }
    if (!producer_flush(p, 60000, &e))
        die("flush", &e);
    report("fill", count, began, cpu, "");
    producer_destroy(p);
}

static bool
found_some(void *ctx)
{
    return *(size_t *)ctx > 2000;
}

static bool
never(void *ctx)
{
    (void)ctx;
    return false;
}

static void
back(char **v)
{
    (void)v;
    struct err e;
    struct log_conf lc = {.kafka = {.bootstrap = bootstrap},
                          .topic = topic,
                          .from = KAFKA_OFFSET_TAIL(1000),
                          .timeout_ms = 20000};
    struct log_reader *r;
    uint64_t t0 = clock_mono_us();
    if (!log_reader_open(&lc, &r, &e))
        die("open", &e);
    to_end(r, "tail");
    printf("tail_total ms=%.1f\n", (double)(clock_mono_us() - t0) / 1e3);
    size_t n = 0;
    bool found;
    t0 = clock_mono_us();
    if (!log_reader_scan_back(r, 1000, count_record, found_some, &n, &found, &e))
        die("scan", &e);
    printf("scan records=%zu found=%d position=%lld ms=%.1f\n", n, found,
           (long long)log_reader_position(r), (double)(clock_mono_us() - t0) / 1e3);
    n = 0;
    t0 = clock_mono_us();
    double cpu = driver_cpu_seconds();
    if (!log_reader_scan_back(r, 1000, count_record, never, &n, &found, &e))
        die("scan", &e);
    printf("scan_all records=%zu found=%d position=%lld\n", n, found,
           (long long)log_reader_position(r));
    report("scan_all", n, t0, cpu, "");
    log_reader_close(r);
}

static void
poll_until_error(struct consumer *c, const char *what, int64_t offset)
{
    struct err e;
    struct consumer_partition *part;
    struct consumer_batch b;
    consumer_batch_init(&b, 10);
    if (!consumer_open(c, topic, 0, offset, &part, &e))
        die("open", &e);
    bool ok = true;
    size_t n = 0;
    uint64_t t0 = clock_mono_us();
    /* of an unknown topic the library speaks after 10 s, and 10 s later it is believed */
    for (int i = 0; ok && i < 400 && n == 0; i++) {
        ok = consumer_poll(part, &b, 100, &e);
        n += b.n;
    }
    show(what, ok, &e);
    printf("%s records=%zu ms=%.1f\n", what, n, (double)(clock_mono_us() - t0) / 1e3);
    fflush(stdout);
    consumer_batch_free(&b);
    consumer_close(part);
}

static void
deleted(struct consumer *c, int64_t high)
{
    struct kafka_settings s = {.bootstrap = bootstrap};
    struct admin *a;
    struct err e;
    struct consumer_partition *part;
    struct consumer_batch b;
    consumer_batch_init(&b, 10);
    if (!admin_new(&s, 10000, &a, &e) || !consumer_open(c, topic, 0, high, &part, &e) ||
        !consumer_poll(part, &b, 300, &e) || !admin_topic_delete(a, topic, &e))
        die("delete", &e);
    uint64_t t0 = clock_mono_us();
    bool ok = true;
    while (ok && clock_mono_us() - t0 < 40000000)
        ok = consumer_poll(part, &b, 100, &e);
    show("deleted", ok, &e);
    printf("deleted ms=%.1f\n", (double)(clock_mono_us() - t0) / 1e3);
    struct err trouble;
    show("trouble", consumer_trouble(c, &trouble), &trouble);
    consumer_batch_free(&b);
    admin_free(a);
}

static void
range(char **v)
{
    (void)v;
    struct err e;
    struct consumer_conf conf;
    struct consumer *c;
    consumer_conf_default(&conf);
    conf.kafka.bootstrap = bootstrap;
    if (!consumer_new(&conf, &c, &e))
        die("consumer", &e);
    int64_t low;
    int64_t high;
    if (!consumer_watermarks(c, topic, 0, 5000, &low, &high, &e))
        die("watermarks", &e);
    struct consumer_offset o[3] = {{.topic = topic, .timestamp_ms = KAFKA_OFFSET_BEGIN},
                                   {.topic = topic, .timestamp_ms = KAFKA_OFFSET_END},
                                   {.topic = topic, .timestamp_ms = 1}};
    for (size_t i = 0; i < 3; i++)
        if (!consumer_offsets(c, &o[i], 1, 5000, &e))
            die("offsets", &e);
    printf("watermarks %lld %lld offsets %lld %lld %lld\n", (long long)low, (long long)high,
           (long long)o[0].offset, (long long)o[1].offset, (long long)o[2].offset);
    poll_until_error(c, "below", 0);
    poll_until_error(c, "above", high + 5);
    poll_until_error(c, "good", low);
    const char *made = topic;
    topic = "no-such-topic";
    poll_until_error(c, "unknown", 0);
    show("unknown_watermarks", consumer_watermarks(c, topic, 0, 2000, &low, &high, &e), &e);
    topic = made;
    deleted(c, high);
    consumer_free(c);
}

static void
show_topic(void *ctx, const char *name, int partitions)
{
    (void)ctx;
    printf("listed %s %d\n", name, partitions);
}

static void
admin(char **v)
{
    (void)v;
    struct kafka_settings s = {.bootstrap = bootstrap};
    struct admin *a;
    struct admin_topic_info info;
    struct err e;
    char id[64];
    int brokers = 0;
    bool created;
    struct kafka_property configs[] = {{"cleanup.policy", "compact"},
                                       {"segment.ms", "3600000"}};
    struct admin_topic t = {.name = topic, .partitions = 3, .configs = configs, .configs_n = 2};
    if (!admin_new(&s, 10000, &a, &e) || !admin_cluster(a, id, &brokers, &e))
        die("admin", &e);
    printf("cluster=%s brokers=%d\n", id, brokers);
    show("describe_none", admin_topic_describe(a, topic, &info, &e), &e);
    printf("exists=%d\n", info.exists);
    bool ok = admin_topic_create(a, &t, &created, &e);
    show("create", ok, &e);
    printf("created=%d\n", created);
    ok = admin_topic_create(a, &t, &created, &e);
    show("create_again", ok, &e);
    printf("created=%d\n", created);
    t.partitions = 4;
    show("create_other", admin_topic_create(a, &t, &created, &e), &e);
    struct kafka_property raise = {"max.message.bytes", "2000000"};
    show("alter", admin_topic_alter(a, topic, &raise, 1, &e), &e);
    show("describe", admin_topic_describe(a, topic, &info, &e), &e);
    printf("exists=%d partitions=%d id=%s compacted=%d max=%lld retention=%lld isr=%d\n",
           info.exists, info.partitions, info.id, info.compacted,
           (long long)info.max_message_bytes, (long long)info.retention_ms,
           info.min_insync_replicas);
    show("list", admin_topic_list(a, topic, show_topic, NULL, &e), &e);
    show("delete", admin_topic_delete(a, topic, &e), &e);
    show("delete_again", admin_topic_delete(a, topic, &e), &e);
    t.name = "bad name";
    show("bad_name", admin_topic_create(a, &t, &created, &e), &e);
    admin_free(a);
}

int
main(int argc, char **argv)
{
    static const struct verb verbs[] = {
        {"loop", 4, loop},   {"endtxn", 1, endtxn},   {"fence", 0, fence},
        {"large", 0, large}, {"refused", 0, refused}, {"tail", 0, tail},
        {"fill", 1, fill},   {"back", 0, back},       {"range", 0, range},
        {"admin", 0, admin},
    };
    return run_verb(argc, argv, verbs, ARRAY_LEN(verbs));
}
