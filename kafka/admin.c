#include "kafka/admin.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/text.h"
#include "kafka/client.h"
#include "kafka/doubt.h"

#define LOOK_AGAIN_MS 20 /* between looks for a topic to appear or go */

struct admin {
    rd_kafka_t *rk;
    rd_kafka_queue_t *q;
    int timeout_ms;
};

bool
admin_new(const struct kafka_settings *settings, int timeout_ms, struct admin **out,
          struct err *e)
{
    rd_kafka_conf_t *rc;
    rd_kafka_t *rk;
    if (!client_conf_new(settings, &rc, e) ||
        !client_new(RD_KAFKA_PRODUCER, rc, settings, &rk, e))
        return false;
    struct admin *a = mem_zalloc(sizeof *a);
    a->rk = rk;
    a->q = rd_kafka_queue_new(rk);
    a->timeout_ms = timeout_ms;
    *out = a;
    return true;
}

void
admin_free(struct admin *a)
{
    if (!a)
        return;
    rd_kafka_queue_destroy(a->q);
    rd_kafka_destroy(a->rk);
    free(a);
}

/* Requests: options in, one event out. */

static rd_kafka_AdminOptions_t *
options(struct admin *a, rd_kafka_admin_op_t op)
{
    char text[256];
    rd_kafka_AdminOptions_t *o = rd_kafka_AdminOptions_new(a->rk, op);
    rd_kafka_AdminOptions_set_request_timeout(o, a->timeout_ms, text, sizeof text);
    return o;
}

/* The answer to the request just made, or NULL and *e. */
static rd_kafka_event_t *
answer(struct admin *a, const char *what, struct err *e)
{
    rd_kafka_event_t *ev = rd_kafka_queue_poll(a->q, a->timeout_ms + 1000);
    if (!ev) {
        client_err(e, RD_KAFKA_RESP_ERR__TIMED_OUT, NULL, "%s", what);
        return NULL;
    }
    rd_kafka_resp_err_t err = rd_kafka_event_error(ev);
    if (!err)
        return ev;
    client_err(e, err, rd_kafka_event_error_string(ev), "%s", what);
    rd_kafka_event_destroy(ev);
    return NULL;
}

/* Metadata */

static bool
metadata(struct admin *a, const char *name, const struct rd_kafka_metadata **out, struct err *e)
{
    rd_kafka_topic_t *rkt = NULL;
    if (name) {
        rkt = rd_kafka_topic_new(a->rk, name, NULL);
        if (!rkt)
            return client_err(e, rd_kafka_last_error(), NULL, "topic %s", name);
    }
    rd_kafka_resp_err_t err = rd_kafka_metadata(a->rk, name ? 0 : 1, rkt, out, a->timeout_ms);
    if (rkt)
        rd_kafka_topic_destroy(rkt);
    if (err)
        return client_err(e, err, NULL, "metadata of %s", name ? name : "the cluster");
    return true;
}

static bool
all_led(const struct rd_kafka_metadata_topic *t)
{
    for (int i = 0; i < t->partition_cnt; i++) {
        if (t->partitions[i].leader < 0)
            return false;
    }
    return t->partition_cnt > 0;
}

/* *partitions = 0 when there is no such topic; *ready: each partition has a leader. */
static bool
look(struct admin *a, const char *name, int *partitions, bool *ready, struct err *e)
{
    const struct rd_kafka_metadata *md;
    *partitions = 0;
    *ready = false;
    if (!metadata(a, name, &md, e))
        return false;
    rd_kafka_resp_err_t err = RD_KAFKA_RESP_ERR_NO_ERROR;
    if (md->topic_cnt == 1) {
        err = md->topics[0].err;
        *partitions = md->topics[0].partition_cnt;
        *ready = !err && all_led(&md->topics[0]);
    }
    rd_kafka_metadata_destroy(md);
    if (err && err != RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART &&
        err != RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE)
        return client_err(e, err, NULL, "topic %s", name);
    return true;
}

/* Create */

static rd_kafka_NewTopic_t *
new_topic(const struct admin_topic *t, struct err *e)
{
    char text[256] = "";
    int replication = t->replication > 0 ? t->replication : -1;
    rd_kafka_NewTopic_t *n =
        rd_kafka_NewTopic_new(t->name, t->partitions, replication, text, sizeof text);
    if (!n) {
        err_set(e, MR_KAFKA_ERROR, "topic %s: %s", t->name, text);
        return NULL;
    }
    for (size_t i = 0; i < t->configs_n; i++)
        rd_kafka_NewTopic_set_config(n, t->configs[i].name, t->configs[i].value);
    return n;
}

static bool
create(struct admin *a, const struct admin_topic *t, bool *created, struct err *e)
{
    rd_kafka_NewTopic_t *n = new_topic(t, e);
    if (!n)
        return false;
    char text[256];
    rd_kafka_AdminOptions_t *o = options(a, RD_KAFKA_ADMIN_OP_CREATETOPICS);
    rd_kafka_AdminOptions_set_operation_timeout(o, a->timeout_ms, text, sizeof text);
    rd_kafka_CreateTopics(a->rk, &n, 1, o, a->q);
    rd_kafka_AdminOptions_destroy(o);
    rd_kafka_NewTopic_destroy(n);
    rd_kafka_event_t *ev = answer(a, "creating a topic", e);
    if (!ev)
        return false;
    size_t count;
    const rd_kafka_topic_result_t **r =
        rd_kafka_CreateTopics_result_topics(rd_kafka_event_CreateTopics_result(ev), &count);
    rd_kafka_resp_err_t err = rd_kafka_topic_result_error(r[0]);
    *created = err == RD_KAFKA_RESP_ERR_NO_ERROR;
    bool ok = *created || err == RD_KAFKA_RESP_ERR_TOPIC_ALREADY_EXISTS;
    if (!ok)
        client_err(e, err, rd_kafka_topic_result_error_string(r[0]), "creating topic %s",
                   t->name);
    rd_kafka_event_destroy(ev);
    return ok;
}

static bool
wait_ready(struct admin *a, const char *name, int *partitions, struct err *e)
{
    uint64_t deadline = clock_mono_ms() + (uint64_t)a->timeout_ms;
    for (;;) {
        bool ready;
        if (!look(a, name, partitions, &ready, e))
            return false;
        if (ready)
            return true;
        if (clock_mono_ms() >= deadline)
            return err_set(e, MR_KAFKA_UNREACHABLE, "topic %s has partitions without leader",
                           name);
        clock_sleep_ms(LOOK_AGAIN_MS);
    }
}

bool
admin_topic_create(struct admin *a, const struct admin_topic *t, bool *created, struct err *e)
{
    bool made = false;
    int partitions;
    bool ready;
    if (!look(a, t->name, &partitions, &ready, e))
        return false;
    if (partitions == 0 && !create(a, t, &made, e))
        return false;
    if (!ready && !wait_ready(a, t->name, &partitions, e))
        return false;
    if (created)
        *created = made;
    if (partitions != t->partitions)
        return err_set(e, MR_KAFKA_TOPIC_CHANGED, "topic %s has %d partitions, not %d", t->name,
                       partitions, t->partitions);
    return true;
}

/* Delete */

static bool delete(struct admin *a, const char *name, struct err *e)
{
    rd_kafka_DeleteTopic_t *d = rd_kafka_DeleteTopic_new(name);
    rd_kafka_AdminOptions_t *o = options(a, RD_KAFKA_ADMIN_OP_DELETETOPICS);
    rd_kafka_DeleteTopics(a->rk, &d, 1, o, a->q);
    rd_kafka_AdminOptions_destroy(o);
    rd_kafka_DeleteTopic_destroy(d);
    rd_kafka_event_t *ev = answer(a, "deleting a topic", e);
    if (!ev)
        return false;
    size_t count;
    const rd_kafka_topic_result_t **r =
        rd_kafka_DeleteTopics_result_topics(rd_kafka_event_DeleteTopics_result(ev), &count);
    rd_kafka_resp_err_t err = rd_kafka_topic_result_error(r[0]);
    bool ok = !err || err == RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART;
    if (!ok)
        client_err(e, err, rd_kafka_topic_result_error_string(r[0]), "deleting topic %s", name);
    rd_kafka_event_destroy(ev);
    return ok;
}

bool
admin_topic_delete(struct admin *a, const char *name, struct err *e)
{
    if (!delete (a, name, e))
        return false;
    uint64_t deadline = clock_mono_ms() + (uint64_t)a->timeout_ms;
    for (;;) {
        int partitions;
        bool ready;
        if (!look(a, name, &partitions, &ready, e))
            return false;
        if (partitions == 0)
            return true;
        if (clock_mono_ms() >= deadline)
            return err_set(e, MR_KAFKA_UNREACHABLE, "topic %s is still listed", name);
        clock_sleep_ms(LOOK_AGAIN_MS);
    }
}

/* Configs */

bool
admin_topic_configs(struct admin *a, const char *name, admin_config_fn *fn, void *ctx,
                    struct err *e)
{
    rd_kafka_ConfigResource_t *c = rd_kafka_ConfigResource_new(RD_KAFKA_RESOURCE_TOPIC, name);
    rd_kafka_AdminOptions_t *o = options(a, RD_KAFKA_ADMIN_OP_DESCRIBECONFIGS);
    rd_kafka_DescribeConfigs(a->rk, &c, 1, o, a->q);
    rd_kafka_AdminOptions_destroy(o);
    rd_kafka_ConfigResource_destroy(c);
    rd_kafka_event_t *ev = answer(a, "reading topic configs", e);
    if (!ev)
        return false;
    size_t n;
    const rd_kafka_ConfigResource_t **r = rd_kafka_DescribeConfigs_result_resources(
        rd_kafka_event_DescribeConfigs_result(ev), &n);
    rd_kafka_resp_err_t err = rd_kafka_ConfigResource_error(r[0]);
    if (err) {
        client_err(e, err, rd_kafka_ConfigResource_error_string(r[0]), "configs of topic %s",
                   name);
    } else {
        const rd_kafka_ConfigEntry_t **entry = rd_kafka_ConfigResource_configs(r[0], &n);
        for (size_t i = 0; i < n; i++) {
            const char *value = rd_kafka_ConfigEntry_value(entry[i]);
            fn(ctx, rd_kafka_ConfigEntry_name(entry[i]), value ? value : "");
        }
    }
    rd_kafka_event_destroy(ev);
    return !err;
}

#if RD_KAFKA_VERSION >= 0x02030000
static bool
topic_id(struct admin *a, const char *name, char out[ADMIN_TOPIC_ID_MAX], struct err *e)
{
    rd_kafka_TopicCollection_t *tc = rd_kafka_TopicCollection_of_topic_names(&name, 1);
    rd_kafka_AdminOptions_t *o = options(a, RD_KAFKA_ADMIN_OP_DESCRIBETOPICS);
    rd_kafka_DescribeTopics(a->rk, tc, o, a->q);
    rd_kafka_AdminOptions_destroy(o);
    rd_kafka_TopicCollection_destroy(tc);
    rd_kafka_event_t *ev = answer(a, "describing a topic", e);
    if (!ev)
        return false;
    size_t n;
    const rd_kafka_TopicDescription_t **d =
        rd_kafka_DescribeTopics_result_topics(rd_kafka_event_DescribeTopics_result(ev), &n);
    const rd_kafka_error_t *err = rd_kafka_TopicDescription_error(d[0]);
    const rd_kafka_Uuid_t *id = rd_kafka_TopicDescription_topic_id(d[0]);
    bool failed = err && rd_kafka_error_code(err);
    if (failed)
        client_err(e, rd_kafka_error_code(err), rd_kafka_error_string(err), "topic %s", name);
    else if (id)
        snprintf(out, ADMIN_TOPIC_ID_MAX, "%s", rd_kafka_Uuid_base64str(id));
    rd_kafka_event_destroy(ev);
    return !failed;
}
#else
static bool
topic_id(struct admin *a, const char *name, char out[ADMIN_TOPIC_ID_MAX], struct err *e)
{
    (void)a;
    (void)name;
    (void)e;
    out[0] = '\0';
    return true;
}
#endif

static int64_t
number(const char *text)
{
    int64_t v;
    return text_i64(text, &v) ? v : 0;
}

static void
on_config(void *ctx, const char *name, const char *value)
{
    struct admin_topic_info *info = ctx;
    if (strcmp(name, "cleanup.policy") == 0)
        info->compacted = strstr(value, "compact") != NULL;
    else if (strcmp(name, "max.message.bytes") == 0)
        info->max_message_bytes = number(value);
    else if (strcmp(name, "retention.ms") == 0)
        info->retention_ms = number(value);
    else if (strcmp(name, "retention.bytes") == 0)
        info->retention_bytes = number(value);
    else if (strcmp(name, "min.insync.replicas") == 0)
        info->min_insync_replicas = (int)number(value);
}

bool
admin_topic_describe(struct admin *a, const char *name, struct admin_topic_info *out,
                     struct err *e)
{
    bool ready;
    *out = (struct admin_topic_info){0};
    if (!look(a, name, &out->partitions, &ready, e))
        return false;
    if (out->partitions == 0)
        return true;
    out->exists = true;
    return topic_id(a, name, out->id, e) && admin_topic_configs(a, name, on_config, out, e);
}

bool
admin_topic_known(struct admin *a, const char *name, struct admin_topic_info *out,
                  struct err *e)
{
    uint64_t until = clock_mono_ms() + DOUBT_SURE_MS + (uint64_t)a->timeout_ms;
    struct doubt doubt = {.rk = a->rk, .topic = name};
    for (;;) {
        if (!admin_topic_describe(a, name, out, e)) {
            if (!doubt_again(&doubt, e, until))
                return false;
        } else if (out->exists) {
            return true;
        } else {
            err_set(e, MR_KAFKA_TOPIC_UNKNOWN, "no broker knows topic %s", name);
            if (!doubt_again(&doubt, e, until))
                return false;
        }
    }
}

/* Alter. The old request replaces every override of the topic, so without the incremental one
 * (library < 2.2) what is set now is written again with it. */

#if RD_KAFKA_VERSION >= 0x02020000
static bool
alter(struct admin *a, rd_kafka_ConfigResource_t *c, const struct kafka_property *configs,
      size_t n, struct err *e)
{
    for (size_t i = 0; i < n; i++) {
        rd_kafka_error_t *err = rd_kafka_ConfigResource_add_incremental_config(
            c, configs[i].name, RD_KAFKA_ALTER_CONFIG_OP_TYPE_SET, configs[i].value);
        if (err) {
            client_err(e, rd_kafka_error_code(err), rd_kafka_error_string(err), "config %s",
                       configs[i].name);
            rd_kafka_error_destroy(err);
            return false;
        }
    }
    rd_kafka_AdminOptions_t *o = options(a, RD_KAFKA_ADMIN_OP_INCREMENTALALTERCONFIGS);
    rd_kafka_IncrementalAlterConfigs(a->rk, &c, 1, o, a->q);
    rd_kafka_AdminOptions_destroy(o);
    return true;
}

static const rd_kafka_ConfigResource_t **
altered(rd_kafka_event_t *ev, size_t *n)
{
    return rd_kafka_IncrementalAlterConfigs_result_resources(
        rd_kafka_event_IncrementalAlterConfigs_result(ev), n);
}
#else
static bool
copy_overrides(struct admin *a, rd_kafka_ConfigResource_t *to, struct err *e)
{
    rd_kafka_ConfigResource_t *c =
        rd_kafka_ConfigResource_new(RD_KAFKA_RESOURCE_TOPIC, rd_kafka_ConfigResource_name(to));
    rd_kafka_AdminOptions_t *o = options(a, RD_KAFKA_ADMIN_OP_DESCRIBECONFIGS);
    rd_kafka_DescribeConfigs(a->rk, &c, 1, o, a->q);
    rd_kafka_AdminOptions_destroy(o);
    rd_kafka_ConfigResource_destroy(c);
    rd_kafka_event_t *ev = answer(a, "reading topic configs", e);
    if (!ev)
        return false;
    size_t n;
    const rd_kafka_ConfigResource_t **r = rd_kafka_DescribeConfigs_result_resources(
        rd_kafka_event_DescribeConfigs_result(ev), &n);
    const rd_kafka_ConfigEntry_t **entry = rd_kafka_ConfigResource_configs(r[0], &n);
    for (size_t i = 0; i < n; i++) {
        const char *value = rd_kafka_ConfigEntry_value(entry[i]);
        if (value && rd_kafka_ConfigEntry_source(entry[i]) ==
                         RD_KAFKA_CONFIG_SOURCE_DYNAMIC_TOPIC_CONFIG)
            rd_kafka_ConfigResource_set_config(to, rd_kafka_ConfigEntry_name(entry[i]), value);
    }
    rd_kafka_event_destroy(ev);
    return true;
}

static bool
alter(struct admin *a, rd_kafka_ConfigResource_t *c, const struct kafka_property *configs,
      size_t n, struct err *e)
{
    if (!copy_overrides(a, c, e))
        return false;
    for (size_t i = 0; i < n; i++)
        rd_kafka_ConfigResource_set_config(c, configs[i].name, configs[i].value);
    rd_kafka_AdminOptions_t *o = options(a, RD_KAFKA_ADMIN_OP_ALTERCONFIGS);
    rd_kafka_AlterConfigs(a->rk, &c, 1, o, a->q);
    rd_kafka_AdminOptions_destroy(o);
    return true;
}

static const rd_kafka_ConfigResource_t **
altered(rd_kafka_event_t *ev, size_t *n)
{
    return rd_kafka_AlterConfigs_result_resources(rd_kafka_event_AlterConfigs_result(ev), n);
}
#endif

bool
admin_topic_alter(struct admin *a, const char *name, const struct kafka_property *configs,
                  size_t n, struct err *e)
{
    rd_kafka_ConfigResource_t *c = rd_kafka_ConfigResource_new(RD_KAFKA_RESOURCE_TOPIC, name);
    bool asked = alter(a, c, configs, n, e);
    rd_kafka_ConfigResource_destroy(c);
    rd_kafka_event_t *ev = asked ? answer(a, "altering topic configs", e) : NULL;
    if (!ev)
        return false;
    size_t count;
    const rd_kafka_ConfigResource_t **r = altered(ev, &count);
    rd_kafka_resp_err_t err = rd_kafka_ConfigResource_error(r[0]);
    if (err)
        client_err(e, err, rd_kafka_ConfigResource_error_string(r[0]), "configs of topic %s",
                   name);
    rd_kafka_event_destroy(ev);
    return !err;
}

/* Cluster */

bool
admin_topic_list(struct admin *a, const char *prefix, admin_topic_fn *fn, void *ctx,
                 struct err *e)
{
    const struct rd_kafka_metadata *md;
    if (!metadata(a, NULL, &md, e))
        return false;
    for (int i = 0; i < md->topic_cnt; i++) {
        if (text_starts(md->topics[i].topic, prefix))
            fn(ctx, md->topics[i].topic, md->topics[i].partition_cnt);
    }
    rd_kafka_metadata_destroy(md);
    return true;
}

bool
admin_cluster(struct admin *a, char id[64], int *brokers, struct err *e)
{
    const struct rd_kafka_metadata *md;
    if (!metadata(a, NULL, &md, e))
        return false;
    *brokers = md->broker_cnt;
    rd_kafka_metadata_destroy(md);
    char *text = rd_kafka_clusterid(a->rk, a->timeout_ms);
    snprintf(id, 64, "%s", text ? text : "");
    rd_kafka_mem_free(a->rk, text);
    return true;
}
