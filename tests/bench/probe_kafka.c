/* The limits of Kafka, from librdkafka itself, and what a reader sees. One `key=value ...` line
 * each.
 *
 *   probe_kafka produce BOOTSTRAP SAMPLE TOPIC PARTS COUNT CODEC
 *       COUNT messages taken from topic SAMPLE (keys and values as they are), idempotent,
 *       produce_batch of 1,000 a partition
 *   probe_kafka consume BOOTSTRAP TOPIC PARTS COUNT
 *       the first COUNT messages, read_committed, each looked at once
 *   probe_kafka loop BOOTSTRAP TOPIC PARTS RATE SECONDS INTERVAL_US SIZE
 *       RATE messages a second in transactions one after the other, one every INTERVAL_US:
 *       from the moment a message was due to the moment a read_committed reader has it
 *   probe_kafka follow BOOTSTRAP TOPIC PARTS URI DB TABLE RATE TXN_ROWS SECONDS
 *       inserts RATE rows a second, TXN_ROWS a transaction: from the return of a commit to the
 *       moment a read_committed reader has the row's record (Avro key of one long)
 */
#include <inttypes.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <librdkafka/rdkafka.h>

#include "base/bytes.h"
#include "base/clock.h"
#include "base/mem.h"
#include "base/thread.h"
#include "db/mysql.h"
#include "support/driver.h"

#define SAMPLE_MESSAGES 50000
#define BATCH           1000
#define PARTS_MAX       64

static const char *bootstrap;

static void
die(const char *what, const char *why)
{
    fprintf(stderr, "%s: %s\n", what, why);
    exit(1);
}

static rd_kafka_t *
client(rd_kafka_type_t type, const char *const *settings)
{
    char text[512];
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    rd_kafka_conf_set(conf, "bootstrap.servers", bootstrap, text, sizeof(text));
    for (size_t i = 0; settings[i] != NULL; i += 2)
        if (rd_kafka_conf_set(conf, settings[i], settings[i + 1], text, sizeof(text)) !=
            RD_KAFKA_CONF_OK)
            die(settings[i], text);
    rd_kafka_t *rk = rd_kafka_new(type, conf, text, sizeof(text));
    if (rk == NULL)
        die("client", text);
    return rk;
}

static rd_kafka_t *
reader(const char *topic, int parts, int64_t offset)
{
    static const char *const settings[] = {"group.id",
                                           "probe",
                                           "enable.auto.commit",
                                           "false",
                                           "isolation.level",
                                           "read_committed",
                                           "fetch.wait.max.ms",
                                           "100",
                                           "socket.nagle.disable",
                                           "true",
                                           NULL};
    rd_kafka_t *rk = client(RD_KAFKA_CONSUMER, settings);
    rd_kafka_topic_partition_list_t *l = rd_kafka_topic_partition_list_new(parts);
    for (int i = 0; i < parts; i++)
        rd_kafka_topic_partition_list_add(l, topic, i)->offset = offset;
    rd_kafka_poll_set_consumer(rk);
    rd_kafka_assign(rk, l);
    rd_kafka_topic_partition_list_destroy(l);
    return rk;
}

/* ---- produce ---- */

struct sample {
    rd_kafka_message_t *first[PARTS_MAX];
    size_t n[PARTS_MAX];
    uint64_t bytes;
    size_t total;
};

static void
keep(struct sample *s, const rd_kafka_message_t *m, int parts)
{
    int part = m->partition % parts;
    if (s->first[part] == NULL)
        s->first[part] = mem_array(SAMPLE_MESSAGES, sizeof(rd_kafka_message_t));
    rd_kafka_message_t *to = &s->first[part][s->n[part]++];
    *to = (rd_kafka_message_t){.len = m->len, .key_len = m->key_len};
    to->payload = m->payload ? memcpy(mem_alloc(m->len + 1), m->payload, m->len) : NULL;
    to->key = memcpy(mem_alloc(m->key_len + 1), m->key, m->key_len);
    s->bytes += m->len + m->key_len;
    s->total++;
}

static void
take_sample(struct sample *s, const char *topic, int parts)
{
    rd_kafka_t *rk = reader(topic, parts, RD_KAFKA_OFFSET_BEGINNING);
    for (int quiet = 0; s->total < SAMPLE_MESSAGES && quiet < 30;) {
        rd_kafka_message_t *m = rd_kafka_consumer_poll(rk, 100);
        quiet = m == NULL ? quiet + 1 : 0;
        if (m == NULL)
            continue;
        if (!m->err)
            keep(s, m, parts);
        rd_kafka_message_destroy(m);
    }
    if (s->total == 0)
        die(topic, "no messages");
    rd_kafka_consumer_close(rk);
    rd_kafka_destroy(rk);
}

static void
on_report(rd_kafka_t *rk, const rd_kafka_message_t *m, void *opaque)
{
    (void)rk;
    (void)opaque;
    if (m->err)
        die("delivery", rd_kafka_err2str(m->err));
}

static rd_kafka_t *
producer(const char *codec, const char *id)
{
    char text[512];
    const char *settings[] = {"enable.idempotence",
                              "true",
                              "linger.ms",
                              "5",
                              "batch.size",
                              "1000000",
                              "queue.buffering.max.messages",
                              "200000",
                              "socket.nagle.disable",
                              "true",
                              "compression.codec",
                              codec,
                              id ? "transactional.id" : NULL,
                              id,
                              NULL};
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    rd_kafka_conf_set(conf, "bootstrap.servers", bootstrap, text, sizeof(text));
    for (size_t i = 0; settings[i] != NULL; i += 2)
        if (rd_kafka_conf_set(conf, settings[i], settings[i + 1], text, sizeof(text)) !=
            RD_KAFKA_CONF_OK)
            die(settings[i], text);
    rd_kafka_conf_set_dr_msg_cb(conf, on_report);
    rd_kafka_t *rk = rd_kafka_new(RD_KAFKA_PRODUCER, conf, text, sizeof(text));
    if (rk == NULL)
        die("producer", text);
    return rk;
}

static void
send_all(rd_kafka_t *rk, rd_kafka_topic_t *t, int part, rd_kafka_message_t *m, size_t n)
{
    for (size_t sent = 0; sent < n;) {
        sent += (size_t)rd_kafka_produce_batch(t, part, 0, m + sent, (int)(n - sent));
        if (sent < n && m[sent].err != RD_KAFKA_RESP_ERR__QUEUE_FULL)
            die("produce", rd_kafka_err2str(m[sent].err));
        rd_kafka_poll(rk, sent < n ? 5 : 0);
    }
}

static void
produce(char **v)
{
    int parts = atoi(v[2]);
    size_t count = strtoul(v[3], NULL, 10), at[PARTS_MAX] = {0};
    struct sample s = {0};
    take_sample(&s, v[0], parts);
    rd_kafka_t *rk = producer(v[4], NULL);
    rd_kafka_topic_t *t = rd_kafka_topic_new(rk, v[1], NULL);
    const struct rd_kafka_metadata *md;
    if (rd_kafka_metadata(rk, 0, t, &md, 10000))
        die(v[1], "no metadata");
    rd_kafka_metadata_destroy(md);
    /* The id of an idempotent producer comes half a second late. */
    for (int i = 0; i < parts; i++)
        if (s.n[i] > 0)
            send_all(rk, t, i, s.first[i], 1);
    rd_kafka_flush(rk, 10000);
    printf("ready\n");
    fflush(stdout);
    getchar();
    uint64_t began = clock_mono_us();
    double cpu = driver_cpu_seconds();
    size_t done = 0;
    for (int part = 0; done < count; part = (part + 1) % parts) {
        size_t left = s.n[part] - at[part];
        size_t n = left < BATCH ? left : BATCH;
        n = n < count - done ? n : count - done;
        send_all(rk, t, part, s.first[part] + at[part], n);
        at[part] = at[part] + n == s.n[part] ? 0 : at[part] + n;
        done += n;
    }
    rd_kafka_flush(rk, 60000);
    printf("produce n=%zu bytes=%.0f seconds=%.4f cpu_us=%.4f\n", done,
           (double)s.bytes / (double)s.total, (double)(clock_mono_us() - began) / 1e6,
           (driver_cpu_seconds() - cpu) * 1e6 / (double)done);
    rd_kafka_topic_destroy(t);
    rd_kafka_destroy(rk);
}

/* ---- consume ---- */

static void
consume(char **v)
{
    enum { BATCH_MESSAGES = 1000 };
    static rd_kafka_message_t *messages[BATCH_MESSAGES];
    size_t count = strtoul(v[2], NULL, 10), done = 0, bytes = 0;
    double cpu = driver_cpu_seconds();
    uint64_t began = clock_mono_us();
    rd_kafka_t *rk = reader(v[0], atoi(v[1]), RD_KAFKA_OFFSET_BEGINNING);
    rd_kafka_queue_t *queue = rd_kafka_queue_get_consumer(rk);
    while (done < count && clock_mono_us() - began < 300000000) {
        ssize_t n = rd_kafka_consume_batch_queue(queue, 100, messages, BATCH_MESSAGES);
        for (ssize_t i = 0; i < n; i++) {
            done += !messages[i]->err;
            bytes += messages[i]->len + messages[i]->key_len;
            rd_kafka_message_destroy(messages[i]);
        }
    }
    double seconds = (double)(clock_mono_us() - began) / 1e6;
    if (done < count)
        die(v[0], "messages are missing");
    printf("consume seconds=%.4f bytes=%zu cpu_us=%.4f\n", seconds, bytes,
           (driver_cpu_seconds() - cpu) * 1e6 / (double)done);
    rd_kafka_queue_destroy(queue);
    rd_kafka_consumer_close(rk);
    rd_kafka_destroy(rk);
}

/* ---- latency ---- */

struct watch {
    rd_kafka_t *rk;
    struct thread thread;
    atomic_bool stop;
    bool avro_key;
    uint64_t rows;
    _Atomic uint64_t *began; /* by row number, 0 = not yet */
    _Atomic uint64_t *seen;
};

/* Row number: the zigzag varint behind the five bytes of the wire format, or eight bytes. */
static uint64_t
number_of(const struct watch *w, const rd_kafka_message_t *m)
{
    const uint8_t *p = m->key;
    uint64_t n = 0;
    if (!w->avro_key) {
        memcpy(&n, m->key, sizeof(n));
        return n;
    }
    for (size_t i = 5, shift = 0; i < m->key_len; i++, shift += 7)
        n |= (uint64_t)(p[i] & 127) << shift;
    return n >> 1;
}

static void
watch_run(void *arg)
{
    struct watch *w = arg;
    while (!atomic_load(&w->stop)) {
        rd_kafka_message_t *m = rd_kafka_consumer_poll(w->rk, 100);
        if (m == NULL)
            continue;
        uint64_t n = m->err || m->key == NULL ? w->rows : number_of(w, m);
        if (n < w->rows)
            atomic_store(&w->seen[n], clock_mono_us());
        rd_kafka_message_destroy(m);
    }
}

static struct watch *
watch_start(const char *topic, int parts, uint64_t rows, bool avro_key)
{
    struct watch *w = mem_zalloc(sizeof(*w));
    w->avro_key = avro_key;
    w->rows = rows;
    w->began = mem_array(rows, sizeof(*w->began));
    w->seen = mem_array(rows, sizeof(*w->seen));
    memset(w->began, 0, rows * sizeof(*w->began));
    memset(w->seen, 0, rows * sizeof(*w->seen));
    w->rk = reader(topic, parts, RD_KAFKA_OFFSET_END);
    thread_start(&w->thread, "watch", watch_run, w);
    clock_sleep_ms(1500);
    return w;
}

static int
compare(const void *a, const void *b)
{
    int64_t x = *(const int64_t *)a, y = *(const int64_t *)b;
    return x < y ? -1 : x > y;
}

/* The first second is left out. */
static void
watch_report(struct watch *w, const char *what, uint64_t rate, double interval_us)
{
    uint64_t n = 0, missing = 0, until = clock_mono_us() + 5000000;
    while (atomic_load(&w->seen[w->rows - 1]) == 0 && clock_mono_us() < until)
        clock_sleep_ms(10);
    clock_sleep_ms(500);
    atomic_store(&w->stop, true);
    thread_join(&w->thread);
    int64_t *us = mem_array(w->rows, sizeof(*us));
    for (uint64_t i = rate; i < w->rows; i++) {
        if (w->seen[i] == 0)
            missing++;
        else
            us[n++] = (int64_t)(w->seen[i] - w->began[i]);
    }
    qsort(us, n, sizeof(*us), compare);
    printf("%s n=%" PRIu64 " missing=%" PRIu64 " p50_us=%" PRId64 " p99_us=%" PRId64
           " interval_us=%.0f\n",
           what, n, missing, n ? us[n / 2] : 0, n ? us[n * 99 / 100] : 0, interval_us);
    free(us);
    rd_kafka_consumer_close(w->rk);
    rd_kafka_destroy(w->rk);
}

static void
must(rd_kafka_error_t *err)
{
    if (err != NULL)
        die("transaction", rd_kafka_error_string(err));
}

static void
wait_until(uint64_t us)
{
    uint64_t now = clock_mono_us();
    if (us > now) {
        struct timespec t = {.tv_sec = (time_t)((us - now) / 1000000),
                             .tv_nsec = (long)((us - now) % 1000000 * 1000)};
        nanosleep(&t, NULL);
    }
}

static void
loop(char **v)
{
    int parts = atoi(v[1]);
    uint64_t rate = strtoull(v[2], NULL, 10), rows = rate * strtoull(v[3], NULL, 10);
    uint64_t interval = strtoull(v[4], NULL, 10);
    size_t size = strtoul(v[5], NULL, 10);
    char *value = mem_alloc(size);
    for (size_t i = 0; i < size; i++)
        value[i] = (char)('a' + i * 7 % 26);
    struct watch *w = watch_start(v[0], parts, rows, false);
    rd_kafka_t *rk = producer("lz4", v[0]);
    rd_kafka_topic_t *t = rd_kafka_topic_new(rk, v[0], NULL);
    must(rd_kafka_init_transactions(rk, 20000));
    uint64_t began = clock_mono_us(), sent = 0, txns = 0;
    while (sent < rows) {
        wait_until(began + ++txns * interval);
        uint64_t due = (clock_mono_us() - began) * rate / 1000000;
        due = due < rows ? due : rows;
        must(rd_kafka_begin_transaction(rk));
        for (; sent < due; sent++) {
            atomic_store(&w->began[sent], began + sent * 1000000 / rate);
            rd_kafka_produce(t, (int32_t)(sent % (uint64_t)parts), RD_KAFKA_MSG_F_COPY, value,
                             size, &sent, sizeof(sent), NULL);
        }
        must(rd_kafka_commit_transaction(rk, 20000));
        uint64_t late = (clock_mono_us() - began) / interval;
        txns = txns > late ? txns : late;
    }
    watch_report(w, "loop", rate, (double)interval);
    rd_kafka_topic_destroy(t);
    rd_kafka_destroy(rk);
}

static void
insert(struct mysql_conn *c, char **v, uint64_t from, uint64_t n)
{
    struct err e;
    struct buf sql = {0};
    buf_addf(&sql, "INSERT INTO `%s`.`%s` VALUES ", v[3], v[4]);
    for (uint64_t i = from; i < from + n; i++)
        buf_addf(&sql,
                 "%s(%" PRIu64 ",'name %" PRIu64 "','abcdefghijklmnopqrstuvwx%" PRIu64
                 "','street %" PRIu64 " nr 7',%" PRIu64 "/7,%" PRIu64
                 "/100,'2024-05-06 07:08:09','2024-05-06 07:08:09.123456',%" PRIu64 ",%" PRIu64
                 ")",
                 i > from ? "," : "", i, i, i, i, i, i, i % 100, i);
    if (!mysql_conn_exec(c, buf_bytes(&sql), NULL, &e))
        die("insert", e.text);
    buf_free(&sql);
}

static void
follow(char **v)
{
    uint64_t rate = strtoull(v[5], NULL, 10), txn = strtoull(v[6], NULL, 10);
    uint64_t rows = rate * strtoull(v[7], NULL, 10);
    struct uri uri;
    struct mysql_conn *c;
    struct err e;
    struct mysql_options o = {.side = MYSQL_SOURCE};
    if (!uri_parse(v[2], &uri, &e) || !mysql_conn_open(&uri, &o, &c, &e))
        die("source", e.text);
    struct watch *w = watch_start(v[0], atoi(v[1]), rows, true);
    uint64_t began = clock_mono_us();
    for (uint64_t i = 0; i + txn <= rows; i += txn) {
        wait_until(began + i * 1000000 / rate);
        insert(c, v, i, txn);
        uint64_t now = clock_mono_us();
        for (uint64_t k = i; k < i + txn; k++)
            atomic_store(&w->began[k], now);
    }
    double took = (double)(clock_mono_us() - began) / 1e6;
    watch_report(w, "follow", rate, 0);
    printf("rate=%.0f\n", (double)rows / took);
    mysql_conn_close(c);
}

int
main(int argc, char **argv)
{
    static const struct {
        const char *name;
        int args;
        void (*run)(char **v);
    } verbs[] = {{"produce", 5, produce},
                 {"consume", 3, consume},
                 {"loop", 6, loop},
                 {"follow", 8, follow}};
    for (size_t i = 0; argc > 2 && i < ARRAY_LEN(verbs); i++) {
        if (strcmp(argv[1], verbs[i].name) == 0 && argc == 3 + verbs[i].args) {
            bootstrap = argv[2];
            verbs[i].run(argv + 3);
            return 0;
        }
    }
    fprintf(stderr, "see the file header\n");
    return 2;
}
