/* The librdkafka properties that users may set as kafka.librdkafka.<property>: an allow-list.
 * What decides correctness (acks, idempotence, isolation, offsets) is ours; what loads code or
 * runs programs is refused. Thread: any.
 */
#ifndef MILLRACE_BASE_CONFIG_KAFKA_H
#define MILLRACE_BASE_CONFIG_KAFKA_H

#include "base/err.h"

#define CONFIG_KAFKA_PREFIX "kafka.librdkafka."

/* MR_CONFIG says why not. */
MUST bool
config_kafka_check(const char *property, struct err *e);
/* The allowed properties, for docs and the environment. */
const char *const *
config_kafka_allowed(size_t *n);
/* Its value is a secret. */
bool
config_kafka_is_secret(const char *property);

#endif
