/* Names derived from source names: topics, subjects, Avro names. Reversible encoding:
 * docs/formats.md. */
#ifndef MILLRACE_SCHEMA_TOPIC_H
#define MILLRACE_SCHEMA_TOPIC_H

#include "base/bytes.h"

#define TOPIC_NAME_MAX 249

/* "<prefix>.<db>.<table>"; in each part bytes outside [A-Za-z0-9_] become -HH; above 240 bytes:
 * first 200 + -H + 16 hex. */
void
topic_name(const char *prefix, const char *database, const char *table,
           char out[TOPIC_NAME_MAX + 1]);
/* Avro name of anything: bytes outside [A-Za-z0-9_] become _, a leading digit gets _ before it
 * (Debezium's adjustment). */
void
topic_avro_name(struct bytes name, struct buf *out);

#endif
