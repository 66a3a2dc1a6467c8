/* How to reach a Kafka cluster: what every client of this folder is made from.
 *
 * All text is borrowed and must outlive the client's *_new call only. Properties are
 * librdkafka's own names (settings kafka.librdkafka.*, allow-listed in base/config.c); they are
 * set after ours, so they win. Thread: immutable.
 */
#ifndef MILLRACE_KAFKA_SETTINGS_H
#define MILLRACE_KAFKA_SETTINGS_H

#include "base/bytes.h"

#define KAFKA_PROPERTIES_MAX 64

struct config;

struct kafka_property {
    const char *name;
    const char *value;
};

struct kafka_settings {
    const char *bootstrap; /* host:port[,host:port...] */
    const char *client_id; /* NULL: "millrace" */
    struct kafka_property properties[KAFKA_PROPERTIES_MAX];
    size_t properties_n;
};

enum kafka_isolation { KAFKA_READ_COMMITTED, KAFKA_READ_UNCOMMITTED };

/* Special offsets where an open takes one. */
#define KAFKA_OFFSET_BEGIN   ((int64_t)-2) /* the oldest record that is retained */
#define KAFKA_OFFSET_END     ((int64_t)-1)
#define KAFKA_OFFSET_TAIL(n) ((int64_t)(-2000 - (int64_t)(n))) /* n offsets before the end */

/* bootstrap and pass-through properties of the configuration; client_id is borrowed. */
void
kafka_settings_load(const struct config *c, const char *client_id, struct kafka_settings *out);
/* Version of the linked librdkafka, such as "2.15.1". */
const char *
kafka_library_version(void);

#endif
