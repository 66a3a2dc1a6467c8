/* The table of options, their values, and the getters. */
#include "base/config.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/config_choices.h"
#include "base/config_kafka.h"
#include "base/mem.h"
#include "base/text.h"

#define TASK CONFIG_PER_TASK
#define LIVE (CONFIG_PER_TASK | CONFIG_LIVE)
#define KIB  INT64_C(1024)
#define MIB  (1024 * KIB)
#define GIB  (1024 * MIB)
#define HOUR INT64_C(3600000)
#define DAY  (24 * HOUR)

#define TEXT(name, len_max, dflt, flags, help) \
    {name, CONFIG_TEXT, NULL, 0, len_max, dflt, flags, help}
#define CHOICE(name, choices, dflt, flags, help) \
    {name, CONFIG_CHOICE, choices, 0, 64, dflt, flags, help}
#define CHOICES(name, choices, dflt, flags, help) \
    {name, CONFIG_CHOICES, choices, 0, 1 << 20, dflt, flags, help}
#define BOOL(name, dflt, flags, help) {name, CONFIG_BOOL, NULL, 0, 1, dflt, flags, help}
#define INT(name, min, max, dflt, flags, help) \
    {name, CONFIG_INT, NULL, min, max, dflt, flags, help}
#define SIZE(name, min, max, dflt, flags, help) \
    {name, CONFIG_SIZE, NULL, min, max, dflt, flags, help}
#define MS(name, min, max, dflt, flags, help) \
    {name, CONFIG_MS, NULL, min, max, dflt, flags, help}
#define SECS(name, min, max, dflt, flags, help) \
    {name, CONFIG_S, NULL, min, max, dflt, flags, help}

static const struct config_option options[] = {
    /* The worker. */
    TEXT("kafka.bootstrap", 4096, "", 0, "Kafka brokers, HOST:PORT[,HOST:PORT...]"),
    TEXT("listen", 256, "", 0, "address of the HTTP server, HOST:PORT; empty: none"),
    TEXT("data.dir", 4096, "/var/lib/millrace", 0,
         "folder for scratch files; nothing in it must survive"),
    TEXT("name", 64, "", 0, "name of this worker; empty: the host name"),
    TEXT("group", 64, "", 0,
         "workers of one group share the tasks; empty: each takes every task"),
    CHOICE("log.level", "trace|debug|info|warn|error", "info", 0,
           "least important log line that is written"),
    TEXT("key.file", 4096, "", 0,
         "key that seals passwords; empty: /etc/millrace/key, else ~/.config/millrace/key"),
    MS("heartbeat.ms", 50, HOUR, "1000", 0, "time between two signs of life of a claim"),
    MS("heartbeat.dead.ms", 200, HOUR, "5000", 0, "silence after which a claim counts as dead"),
    /* Kafka. */
    INT("topic.partitions", 1, 10000, "4", TASK, "partitions of a new topic"),
    MS("topic.retention.ms", -1, 3650 * DAY, "604800000", TASK,
       "retention of a new topic; -1: for ever"),
    INT("topic.replication", -1, 100, "-1", TASK,
        "replication factor of a new topic; -1: the broker's default"),
    SIZE("kafka.message.max.bytes", MIB, GIB, "41943040", TASK,
         "largest record; also max.message.bytes of a new topic"),
    MS("kafka.transaction.timeout.ms", 1000, 900000, "60000", 0,
       "after which Kafka aborts a transaction of a dead worker; more than a broker takes to "
       "come back"),
    CHOICE("kafka.compression", "none|lz4|zstd|snappy|gzip", "lz4", TASK,
           "compression of row records"),
    MS("kafka.linger.ms", 0, 1000, "1", TASK, "longest wait of a record for company"),
    MS("kafka.unknown.after.ms", 100, 60000, "2000", TASK,
       "a commit slower than this has an unknown outcome"),
    TEXT("schema.registry.url", 4096, "", 0,
         "Confluent schema registry; empty: the built-in one"),
    TEXT("schema.registry.user", 256, "", 0, "user of the schema registry"),
    TEXT("schema.registry.password", 256, "", CONFIG_SECRET,
         "its password, or ${file:PATH} or ${env:NAME}"),
    /* Capture. */
    MS("commit.min.ms", 0, 60000, "5", LIVE,
       "least age of a Kafka transaction that is closed because nothing more waits"),
    MS("commit.max.ms", 1, 60000, "20", LIVE, "age at which a Kafka transaction is closed"),
    MS("commit.far.ms", 1, 60000, "200", LIVE, "the same while far behind or loading"),
    SIZE("commit.bytes.max", 64 * KIB, GIB, "40MiB", LIVE,
         "size at which a Kafka transaction is closed"),
    SIZE("capture.block.bytes", 64 * KIB, 256 * MIB, "512KiB", 0,
         "size of a block of rows between two threads"),
    INT("capture.blocks", 4, 4096, "24", 0, "blocks of a source: with their size, its memory"),
    INT("load.connections", 0, 64, "2", LIVE,
        "connections of a source for the load; 0: hold the load"),
    SIZE("load.chunk.bytes", 64 * KIB, 256 * MIB, "1MiB", LIVE,
         "size a chunk of the load aims at"),
    CHOICES("keyless", "refuse|append|multiset", "refuse", TASK,
            "tables without a key. append: the target is a log of changes; multiset: it has "
            "the source's rows, each as often"),
    BOOL("tombstones", "on", TASK, "a null value follows each delete, for compacting readers"),
    INT("progress.refresh.records", 1000, 1000000000, "50000", 0,
        "records of the progress topic after which a capture claims again, so that starts stay "
        "short"),
    INT("server.id.base", 1, 4294900000, "5400", TASK,
        "first of the server ids that readers use at a source"),
    SECS("net.write.timeout.s", 10, 86400, "600", TASK,
         "net_write_timeout of our connections at a source"),
    /* Apply. */
    INT("apply.lanes", 1, 64, "1", TASK,
        "connections that write to the target at once; a table has one"),
    SIZE("apply.memory.bytes", 4 * MIB, 64 * GIB, "44MiB", TASK,
         "memory for rows on their way to a target of the MySQL family"),
    INT("apply.batch.rows", 1, 10000000, "20000", LIVE,
        "rows after which a batch is closed at the next cut"),
    MS("apply.commit.ms", 0, HOUR, "20", LIVE,
       "age after which a batch is closed at the next cut"),
    TEXT("checkpoint.schema", 64, "millrace", TASK,
         "schema of millrace_checkpoint at a target of the MySQL family; namespace of a task's "
         "control table in an Iceberg catalog"),
    INT("iceberg.format.version", 2, 3, "3", TASK,
        "format version of new Iceberg tables: 3 has deletion vectors, 2 position deletes"),
    CHOICES(
        "iceberg.mode", "mirror|soft|history", "mirror", TASK,
        "mirror: the source's rows; soft: and _op, deleted rows stay; history: each change"),
    CHOICES("iceberg.deletes", "position|equality", "position", TASK,
            "how rows of an Iceberg table are deleted: position: found, marked; equality: by "
            "value, which readers pay for"),
    CHOICE("iceberg.compression", "zstd|lz4|snappy|none", "zstd", TASK, "of data files"),
    CHOICE("iceberg.time", "time|string", "time", TASK,
           "what a TIME column becomes: time holds 0 to 24 h, another value stops its table; "
           "string holds all"),
    CHOICE("iceberg.tinyint1", "int|boolean", "int", TASK,
           "what a TINYINT(1) column becomes; boolean holds 0 and 1, another value stops its "
           "table"),
    MS("iceberg.commit.ms", 0, HOUR, "10000", TASK,
       "time between two commits of an Iceberg table"),
    SIZE(
        "iceberg.memory.bytes", 4 * MIB, 64 * GIB, "256MiB", TASK,
        "memory for rows on their way to Iceberg tables: half of it for those that wait, which "
        "should be more than two units of publication (commit.bytes.max)"),
    SIZE("iceberg.commit.bytes", 64 * KIB, 64 * GIB, "128MiB", TASK,
         "rows of that size are committed sooner; so are those that fill a quarter of "
         "iceberg.memory.bytes"),
    INT("iceberg.commit.rows", 1, 1000000000, "1000000", TASK,
        "that many rows are committed sooner"),
    MS("iceberg.idle.ms", 1000, DAY, "3600000", TASK,
       "time between two commits of an Iceberg table without changes"),
    MS("iceberg.maintain.ms", 0, DAY, "60000", TASK,
       "time between two looks at an Iceberg table for compaction and expiry; 0: neither, nor "
       "removal of orphans"),
    INT("iceberg.compact.files", 0, 500, "8", TASK,
        "so many small data files of about one size are made one; 0: never"),
    INT("iceberg.compact.deleted.percent", 0, 100, "20", TASK,
        "a data file with more deleted rows is written again; 0: never"),
    MS("iceberg.snapshots.age.ms", 0, 3650 * DAY, "3600000", TASK,
       "age at which snapshots expire; the table's history.expire.max-snapshot-age-ms goes "
       "before it"),
    INT("iceberg.snapshots.min", 1, 1000000, "10", TASK,
        "so many stay whatever their age; the table's history.expire.min-snapshots-to-keep "
        "goes "
        "before it"),
    INT("iceberg.snapshots.max", 0, 1000000, "1000", TASK,
        "above so many the oldest expire however young; 0: no limit"),
    MS("iceberg.orphans.ms", 0, 365 * DAY, "86400000", TASK,
       "time between two searches for files of ours that no snapshot reaches; 0: never"),
    MS("iceberg.orphans.age.ms", DAY, 3650 * DAY, "259200000", TASK,
       "age from which they are removed"),
    INT("iceberg.metadata.versions", 1, 100000, "100", TASK,
        "previous metadata.json files that a new Iceberg table keeps: its property "
        "write.metadata.previous-versions-max"),
    SIZE("load.file.max.size", MIB, 4 * GIB, "128MiB", TASK,
         "size at which a data file of an Iceberg table is closed"),
    MS("send.sql.timeout.ms", 1000, DAY, "600000", TASK,
       "longest time of one statement or commit at the target"),
    SIZE("max.sql.length", 1024, GIB, "4194304", TASK,
         "longest SQL statement; never above the target's max_allowed_packet"),
    INT("atomic.rows.max", 1, 100000000, "100000", TASK,
        "larger source transactions are applied in parts (consistency: task)"),
};

#define OPTIONS_LEN ARRAY_LEN(options)

struct value {
    char *text;     /* TEXT, CHOICE */
    int64_t number; /* the others */
    enum config_source from;
};

struct kafka_property {
    char *name;
    char *value;
    enum config_source from;
};

struct config {
    struct value values[OPTIONS_LEN];
    struct kafka_property *kafka;
    size_t kafka_len;
};

const struct config_option *
config_options(size_t *n)
{
    *n = OPTIONS_LEN;
    return options;
}

const struct config_option *
config_option_find(const char *name)
{
    for (size_t i = 0; i < OPTIONS_LEN; i++) {
        if (strcmp(options[i].name, name) == 0)
            return &options[i];
    }
    return NULL;
}

const char *
config_unit(const struct config_option *o)
{
    switch (o->type) {
    case CONFIG_SIZE:
        return "bytes";
    case CONFIG_MS:
        return "ms";
    case CONFIG_S:
        return "s";
    default:
        return "";
    }
}

struct config *
config_new(void)
{
    struct config *c = mem_zalloc(sizeof(*c));
    struct err e;
    for (size_t i = 0; i < OPTIONS_LEN; i++) {
        if (!config_set(c, options[i].name, options[i].dflt, CONFIG_FROM_DEFAULT, &e))
            mem_die("the default of an option is wrong: %s", e.text);
    }
    return c;
}

struct config *
config_copy(const struct config *c)
{
    struct config *copy = mem_alloc(sizeof(*copy));
    *copy = *c;
    for (size_t i = 0; i < OPTIONS_LEN; i++) {
        if (c->values[i].text)
            copy->values[i].text = mem_strdup(c->values[i].text);
    }
    copy->kafka = mem_array(c->kafka_len, sizeof(*copy->kafka));
    for (size_t i = 0; i < c->kafka_len; i++) {
        copy->kafka[i].name = mem_strdup(c->kafka[i].name);
        copy->kafka[i].value = mem_strdup(c->kafka[i].value);
        copy->kafka[i].from = c->kafka[i].from;
    }
    return copy;
}

void
config_free(struct config *c)
{
    if (!c)
        return;
    for (size_t i = 0; i < OPTIONS_LEN; i++)
        free(c->values[i].text);
    for (size_t i = 0; i < c->kafka_len; i++) {
        free(c->kafka[i].name);
        free(c->kafka[i].value);
    }
    free(c->kafka);
    free(c);
}

static bool
is_choice(const char *choices, const char *text)
{
    size_t n = strchr(text, '|') ? 0 : strlen(text);
    for (const char *at = choices; n && (at = strstr(at, text)) != NULL; at++) {
        if ((at == choices || at[-1] == '|') && (at[n] == '|' || !at[n]))
            return true;
    }
    return false;
}

static bool
check_text(const struct config_option *o, const char *text, struct err *e)
{
    if (strlen(text) > (size_t)o->max)
        return err_set(e, MR_CONFIG, "%s: longer than %lld bytes", o->name, (long long)o->max);
    for (const char *c = text; *c; c++) {
        if (iscntrl((unsigned char)*c))
            return err_set(e, MR_CONFIG, "%s: a control character in its value", o->name);
    }
    if (o->type == CONFIG_CHOICES)
        return config_choices_check(o, text, e);
    if (o->type == CONFIG_CHOICE && !is_choice(o->choices, text))
        return err_set(e, MR_CONFIG, "%s: \"%s\" is none of %s", o->name, text, o->choices);
    return true;
}

static bool
has_text(const struct config_option *o)
{
    return o->type == CONFIG_TEXT || o->type == CONFIG_CHOICE || o->type == CONFIG_CHOICES;
}

static bool
parse_number(const struct config_option *o, const char *text, int64_t *out)
{
    bool yes;
    switch (o->type) {
    case CONFIG_BOOL:
        if (!text_bool(text, &yes))
            return false;
        *out = yes;
        return true;
    case CONFIG_SIZE:
        return text_size(text, out);
    case CONFIG_MS:
        return text_i64(text, out) || text_duration_ms(text, 1, out);
    case CONFIG_S:
        if (!text_duration_ms(text, 1000, out) || *out % 1000)
            return false;
        *out /= 1000;
        return true;
    default:
        return text_i64(text, out);
    }
}

static const char *
type_words(const struct config_option *o)
{
    switch (o->type) {
    case CONFIG_BOOL:
        return "true or false";
    case CONFIG_SIZE:
        return "a size such as 4096 or 16MiB";
    case CONFIG_MS:
        return "milliseconds or a time such as 5s";
    case CONFIG_S:
        return "seconds or a time such as 10m";
    default:
        return "a whole number";
    }
}

static bool
check_number(const struct config_option *o, const char *text, int64_t *out, struct err *e)
{
    if (!parse_number(o, text, out))
        return err_set(e, MR_CONFIG, "%s: \"%s\" is not %s", o->name, text, type_words(o));
    const char *unit = config_unit(o);
    if (*out < o->min || *out > o->max)
        return err_set(e, MR_CONFIG, "%s: %s is outside %lld to %lld%s%s", o->name, text,
                       (long long)o->min, (long long)o->max, *unit ? " " : "", unit);
    return true;
}

static const char *
nearest_option(const char *name)
{
    const char *names[OPTIONS_LEN];
    for (size_t i = 0; i < OPTIONS_LEN; i++)
        names[i] = options[i].name;
    return text_nearest(name, names, OPTIONS_LEN);
}

static bool
set_kafka(struct config *c, const char *property, const char *text, enum config_source from,
          struct err *e)
{
    if (!config_kafka_check(property, e))
        return false;
    if (from == CONFIG_FROM_TASK)
        return err_set(e, MR_CONFIG,
                       CONFIG_KAFKA_PREFIX "%s belongs to the worker: a task cannot set it",
                       property);
    struct kafka_property *p = NULL;
    for (size_t i = 0; i < c->kafka_len; i++) {
        if (strcmp(c->kafka[i].name, property) == 0)
            p = &c->kafka[i];
    }
    if (p && p->from > from)
        return true;
    if (!p) {
        c->kafka = mem_realloc(c->kafka, (c->kafka_len + 1) * sizeof(*c->kafka));
        p = &c->kafka[c->kafka_len++];
        *p = (struct kafka_property){.name = mem_strdup(property)};
    }
    char *value = mem_strdup(text);
    free(p->value);
    p->value = value;
    p->from = from;
    return true;
}

bool
config_set(struct config *c, const char *name, const char *value, enum config_source from,
           struct err *e)
{
    if (text_starts(name, CONFIG_KAFKA_PREFIX))
        return set_kafka(c, name + strlen(CONFIG_KAFKA_PREFIX), value, from, e);
    const struct config_option *o = config_option_find(name);
    if (!o) {
        const char *near = nearest_option(name);
        return err_set(e, MR_CONFIG, "unknown key %s%s%s", name,
                       near ? "; the nearest is " : "", near ? near : "");
    }
    if (from == CONFIG_FROM_TASK && !(o->flags & CONFIG_PER_TASK))
        return err_set(e, MR_CONFIG, "%s belongs to the worker: a task cannot set it", name);
    bool is_text = has_text(o);
    int64_t number = 0;
    if (!(is_text ? check_text(o, value, e) : check_number(o, value, &number, e)))
        return false;
    struct value *v = &c->values[o - options];
    if (v->from > from)
        return true;
    char *text = is_text ? mem_strdup(value) : NULL;
    free(v->text);
    *v = (struct value){.text = text, .number = number, .from = from};
    return true;
}

bool
config_set_pair(struct config *c, const char *pair, enum config_source from, struct err *e)
{
    const char *equals = strchr(pair, '=');
    if (!equals)
        return err_set(e, MR_CONFIG, "\"%s\" is not KEY=VALUE", pair);
    char *name = mem_strn(bytes_of(pair, (size_t)(equals - pair)));
    bool ok = config_set(c, name, equals + 1, from, e);
    free(name);
    return ok;
}

static const struct value *
value_of(const struct config *c, const char *name, bool want_text, bool want_bool)
{
    const struct config_option *o = config_option_find(name);
    if (!o)
        mem_die("there is no option %s", name);
    bool is_text = has_text(o);
    if (is_text != want_text || (o->type == CONFIG_BOOL) != want_bool)
        mem_die("option %s is of another type", name);
    return &c->values[o - options];
}

const char *
config_text(const struct config *c, const char *name)
{
    return value_of(c, name, true, false)->text;
}

int
config_table_choice(const struct config *c, const char *name, const char *db, const char *table)
{
    return config_choices_find(config_option_find(name), config_text(c, name), db, table);
}

bool
config_bool(const struct config *c, const char *name)
{
    return value_of(c, name, false, true)->number != 0;
}

int64_t
config_int(const struct config *c, const char *name)
{
    return value_of(c, name, false, false)->number;
}

enum config_source
config_from(const struct config *c, const char *name)
{
    const struct config_option *o = config_option_find(name);
    if (!o)
        mem_die("there is no option %s", name);
    return c->values[o - options].from;
}

bool
config_kafka(const struct config *c, size_t i, const char **property, const char **value)
{
    if (i >= c->kafka_len)
        return false;
    *property = c->kafka[i].name;
    *value = c->kafka[i].value;
    return true;
}

void
config_print(const struct config *c, struct buf *out)
{
    static const char *const from_words[] = {"default", "file", "environment", "flag", "task"};
    for (size_t i = 0; i < OPTIONS_LEN; i++) {
        const struct value *v = &c->values[i];
        buf_addf(out, "%s = ", options[i].name);
        if (v->text)
            buf_add_str(out, options[i].flags & CONFIG_SECRET && *v->text ? "******" : v->text);
        else if (options[i].type == CONFIG_BOOL)
            buf_add_str(out, v->number ? "true" : "false");
        else
            buf_add_i64_text(out, v->number);
        buf_addf(out, "  (%s)\n", from_words[v->from]);
    }
    for (size_t i = 0; i < c->kafka_len; i++) {
        const struct kafka_property *p = &c->kafka[i];
        buf_addf(out, CONFIG_KAFKA_PREFIX "%s = %s  (%s)\n", p->name,
                 config_kafka_is_secret(p->name) ? "******" : p->value, from_words[p->from]);
    }
}
