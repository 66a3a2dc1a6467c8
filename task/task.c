#include "task/task.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/config.h"
#include "base/hash.h"
#include "base/mem.h"
#include "base/text.h"

#define PARTITIONS_DEFAULT 4

struct task *
task_new(void)
{
    struct task *t = mem_zalloc(sizeof(*t));
    arena_init(&t->arena, 4096);
    t->refs = 1;
    uuid_v7(t->id);
    t->inc = random_u64();
    t->generation = 1;
    t->name = "";
    t->owner = "";
    t->prefix = "";
    t->full = true;
    t->partitions = PARTITIONS_DEFAULT;
    t->format = CODEC_AVRO;
    t->params = json_object_new();
    t->created_us = clock_wall_us();
    t->updated_us = t->created_us;
    return t;
}

struct task *
task_ref(struct task *t)
{
    __atomic_add_fetch(&t->refs, 1, __ATOMIC_RELAXED);
    return t;
}

void
task_unref(struct task *t)
{
    if (t == NULL || __atomic_sub_fetch(&t->refs, 1, __ATOMIC_ACQ_REL) > 0)
        return;
    regex_free(t->exclude_regex);
    json_free(t->position);
    json_free(t->params);
    arena_free(&t->arena);
    free(t);
}

struct task *
task_copy(const struct task *t)
{
    struct buf text = {0};
    struct task *copy = NULL;
    struct err e = {0};
    task_to_json(t, &text);
    if (!task_from_json(buf_bytes(&text), &copy, &e))
        mem_die("a task record of ours cannot be read: %s", e.text);
    buf_free(&text);
    return copy;
}

static const char *const desired_texts[] = {"running", "stopped", "undeployed", "dropped"};
static const char *const sink_texts[] = {"mysql", "matrixone", "iceberg", "kafka"};
static const char *const level_texts[] = {"account", "database", "table"};

const char *
task_desired_text(enum task_desired d)
{
    return desired_texts[d];
}

const char *
task_sink_text(enum task_sink s)
{
    return sink_texts[s];
}

const char *
task_level_text(enum task_level l)
{
    return level_texts[l];
}

bool
task_parse_sink(const char *text, enum task_sink *out, struct err *e)
{
    for (size_t i = 0; i < ARRAY_LEN(sink_texts); i++) {
        if (text_same(text, sink_texts[i])) {
            *out = (enum task_sink)i;
            return true;
        }
    }
    if (text_same(text, "lakehouse")) {
        *out = TASK_SINK_ICEBERG;
        return true;
    }
    return err_set(e, MR_USAGE, "--sink-type is mysql, matrixone, iceberg or kafka, not '%s'",
                   text);
}

bool
task_parse_level(const char *text, enum task_level *out, struct err *e)
{
    for (size_t i = 0; i < ARRAY_LEN(level_texts); i++) {
        if (text_same(text, level_texts[i])) {
            *out = (enum task_level)i;
            return true;
        }
    }
    return err_set(e, MR_USAGE, "--level is account, database or table, not '%s'", text);
}

static bool
is_name_byte(char c)
{
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
           c == '_' || c == '.' || c == '-';
}

bool
task_check_name(const char *name, struct err *e)
{
    size_t n = strlen(name);
    bool ok = n >= 1 && n <= TASK_NAME_MAX;
    for (size_t i = 0; i < n && ok; i++)
        ok = is_name_byte(name[i]);
    if (!ok)
        return err_set(e, MR_USAGE,
                       "a task name is 1 to %d characters of A-Z a-z 0-9 _ . -, not '%.80s'",
                       TASK_NAME_MAX, name);
    return true;
}

static bool
check_prefix(const struct task *t, struct err *e)
{
    struct err why = {0};
    if (!task_check_name(t->prefix, &why))
        return err_set(e, MR_USAGE,
                       "the topic prefix '%.80s' is not 1 to %d characters of A-Z a-z 0-9 _ . "
                       "- (--prefix)",
                       t->prefix, TASK_NAME_MAX);
    if (text_same(t->prefix, "millrace") || strncmp(t->prefix, "millrace.", 9) == 0)
        return err_set(e, MR_USAGE,
                       "the topic prefix '%s' is taken by Millrace's own topics: choose "
                       "another --prefix",
                       t->prefix);
    return true;
}

static bool
check_params(const struct task *t, struct err *e)
{
    struct config *c = config_new();
    const char *key = NULL;
    struct json *value = NULL;
    bool ok = true;
    for (void *it = NULL; ok && (it = json_next(t->params, it, &key, &value)) != NULL;)
        ok = config_set(c, key, json_str_value(value, ""), CONFIG_FROM_TASK, e);
    config_free(c);
    return ok;
}

bool
task_check(const struct task *t, struct err *e)
{
    if (!task_check_name(t->name, e) || !check_prefix(t, e))
        return false;
    if (t->partitions < 1 || t->partitions > TASK_PARTITIONS_MAX)
        return err_set(e, MR_USAGE, "--partitions is 1 to %d, not %u", TASK_PARTITIONS_MAX,
                       t->partitions);
    if (t->sources_len == 0)
        return err_set(e, MR_USAGE, "a task needs a source (--source-uri)");
    if (t->sink.uri == NULL && t->sink_type != TASK_SINK_KAFKA)
        return err_set(e, MR_USAGE, "--sink-uri is needed with --sink-type %s",
                       task_sink_text(t->sink_type));
    if (t->level == TASK_ACCOUNT && t->objects_len > 0)
        return err_set(e, MR_USAGE, "level account takes no list of objects");
    if (t->level != TASK_ACCOUNT && t->objects_len == 0)
        return err_set(e, MR_USAGE, "%s is needed with --level %s",
                       t->level == TASK_TABLE ? "--tables" : "--databases",
                       task_level_text(t->level));
    return check_params(t, e);
}

void
task_progress_topic(const struct task *t, char out[TASK_TOPIC_MAX])
{
    snprintf(out, TASK_TOPIC_MAX, "millrace.progress.%s", t->id);
}

void
task_transactional_id(const struct task *t, unsigned source, char out[TASK_TOPIC_MAX])
{
    snprintf(out, TASK_TOPIC_MAX, "millrace.%s.%u", t->id, source);
}
