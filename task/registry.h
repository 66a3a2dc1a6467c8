/* Schema registry: ids for Avro schemas, and schemas for ids.
 *
 * External (setting schema.registry.url): the Confluent HTTP calls. Built in, otherwise: topic
 * millrace.schemas, one partition, never compacted, kept for ever. Record: key the fingerprint,
 * value {v, id, fingerprint, subject, schema}; fingerprint = SHA-256 of the schema text, hex. A
 * writer appends and reads up to its own record. In log order: the first record of a
 * fingerprint fixes its id, the first record of an id owns it (a later one with another schema
 * is void, its writer tries the next id), every record adds (subject, id) as the subject's next
 * version. So all readers agree, whoever wrote.
 *
 * Durable when registry_id returns; a process that dies before leaves at most an unused id.
 * Thread: any (one lock; a call that must write waits for Kafka). Limits: 1 MiB a schema.
 */
#ifndef MILLRACE_TASK_REGISTRY_H
#define MILLRACE_TASK_REGISTRY_H

#include "base/config.h"
#include "base/http_server.h"

#define REGISTRY_SCHEMA_MAX ((size_t)1 << 20)

struct registry;

/* Reads what there is; makes the topic when absent. */
MUST bool
registry_open(const struct config *c, struct registry **out, struct err *e);
void
registry_close(struct registry *r); /* NULL allowed */
/* The id of a schema under a subject, registered when new. MR_REGISTRY_REFUSED (ERR_TABLE),
 * MR_REGISTRY_UNREACHABLE and the Kafka errors (ERR_RETRY). */
MUST bool
registry_id(struct registry *r, const char *subject, struct bytes schema, uint32_t *id,
            struct err *e);
/* Appends the schema text of an id; MR_SCHEMA_UNKNOWN. */
MUST bool
registry_schema(struct registry *r, uint32_t id, struct buf *out, struct err *e);
/* The read calls: GET /subjects, /subjects/S/versions,
 * /subjects/S/versions/{N|latest}[/schema], /schemas/ids/ID[/schema|/versions], /schemas/types,
 * /config[/S], /mode. false: not one of them. With an external registry they are not served. */
bool
registry_http(struct registry *r, const struct http_request *req, struct http_response *res);

#endif
