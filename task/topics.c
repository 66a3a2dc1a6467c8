#include "task/topics.h"

#include "kafka/admin.h"

static const struct kafka_property tasks_configs[] = {
    {"cleanup.policy", "compact"},
    {"max.message.bytes", "4718592"},
};

/* Beats come every second: small, short segments keep what a worker reads at its start small.
 */
static const struct kafka_property status_configs[] = {
    {"cleanup.policy", "compact"},      {"segment.ms", "600000"},
    {"segment.bytes", "16777216"},      {"min.cleanable.dirty.ratio", "0.1"},
    {"delete.retention.ms", "3600000"},
};

static const struct kafka_property schemas_configs[] = {
    {"cleanup.policy", "delete"},
    {"retention.ms", "-1"},
    {"retention.bytes", "-1"},
    {"max.message.bytes", "4718592"},
};

static const struct admin_topic topics[] = {
    {TOPIC_TASKS, 1, 0, tasks_configs, ARRAY_LEN(tasks_configs)},
    {TOPIC_STATUS, 1, 0, status_configs, ARRAY_LEN(status_configs)},
    {TOPIC_SCHEMAS, 1, 0, schemas_configs, ARRAY_LEN(schemas_configs)},
};

static bool
make(struct admin *a, const struct config *c, struct err *e)
{
    for (size_t i = 0; i < ARRAY_LEN(topics); i++) {
        struct admin_topic t = topics[i];
        int replication = (int)config_int(c, "topic.replication");
        t.replication = replication > 0 ? replication : 0;
        if (!admin_topic_create(a, &t, NULL, e))
            return err_wrap(e, "%s", t.name);
    }
    struct admin_topic_info info;
    if (!admin_topic_known(a, TOPIC_SCHEMAS, &info, e))
        return false;
    if (info.compacted)
        return err_set(e, MR_KAFKA_TOPIC_CHANGED,
                       "%s is compacted: set its cleanup.policy to delete", TOPIC_SCHEMAS);
    return true;
}

bool
topics_make(const struct config *c, int timeout_ms, struct err *e)
{
    struct kafka_settings settings;
    struct admin *a = NULL;
    kafka_settings_load(c, "millrace-admin", &settings);
    if (!admin_new(&settings, timeout_ms, &a, e))
        return false;
    bool ok = make(a, c, e);
    admin_free(a);
    return ok;
}
