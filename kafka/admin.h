/* Topics: create, describe, list, delete; the cluster's identity. Synchronous.
 *
 * Codes: MR_KAFKA_UNREACHABLE, MR_KAFKA_TOPIC_UNKNOWN (RETRY), MR_KAFKA_TOPIC_CHANGED,
 * MR_KAFKA_AUTH, MR_KAFKA_ERROR. Thread: one at a time. Every call waits at most timeout_ms of
 * admin_new's, admin_topic_known longer.
 */
#ifndef MILLRACE_KAFKA_ADMIN_H
#define MILLRACE_KAFKA_ADMIN_H

#include "kafka/settings.h"

#define ADMIN_TOPIC_ID_MAX 32

struct admin;

MUST bool
admin_new(const struct kafka_settings *settings, int timeout_ms, struct admin **out,
          struct err *e);
void
admin_free(struct admin *a);

struct admin_topic {
    const char *name;
    int partitions;                       /* >= 1 */
    int replication;                      /* 0: the broker's default */
    const struct kafka_property *configs; /* cleanup.policy, retention.ms, ... */
    size_t configs_n;
};

/* True when the topic is there with that many partitions, each with a leader, whoever made it;
 * *created (may be NULL): it was made now. An existing one with another count:
 * MR_KAFKA_TOPIC_CHANGED. Configs of an existing one are not compared: admin_topic_describe. */
MUST bool
admin_topic_create(struct admin *a, const struct admin_topic *t, bool *created, struct err *e);

struct admin_topic_info {
    bool exists; /* false: the rest is zero */
    int partitions;
    char id[ADMIN_TOPIC_ID_MAX]; /* base64 topic id; "" when library (< 2.3) or broker have none
                                  */
    bool compacted;              /* cleanup.policy has compact */
    int64_t max_message_bytes;
    int64_t retention_ms; /* -1: for ever */
    int64_t retention_bytes;
    int min_insync_replicas;
};

MUST bool
admin_topic_describe(struct admin *a, const char *name, struct admin_topic_info *out,
                     struct err *e);
/* Of a topic that was there. MR_KAFKA_TOPIC_GONE: kafka/doubt.h says when. */
MUST bool
admin_topic_known(struct admin *a, const char *name, struct admin_topic_info *out,
                  struct err *e);
/* Every config entry of the topic. MR_KAFKA_TOPIC_UNKNOWN. */
typedef void
admin_config_fn(void *ctx, const char *name, const char *value);
MUST bool
admin_topic_configs(struct admin *a, const char *name, admin_config_fn *fn, void *ctx,
                    struct err *e);
/* Sets entries, leaves all others as they are. */
MUST bool
admin_topic_alter(struct admin *a, const char *name, const struct kafka_property *configs,
                  size_t n, struct err *e);
/* True when it is gone, or was not there. Returns when the brokers no longer list it. */
MUST bool
admin_topic_delete(struct admin *a, const char *name, struct err *e);

/* Topics whose name begins with prefix ("" = all); no order. */
typedef void
admin_topic_fn(void *ctx, const char *name, int partitions);
MUST bool
admin_topic_list(struct admin *a, const char *prefix, admin_topic_fn *fn, void *ctx,
                 struct err *e);

/* Also the cheapest test that a broker answers. */
MUST bool
admin_cluster(struct admin *a, char id[64], int *brokers, struct err *e);

#endif
