/* What the files of the registry share. */
#ifndef MILLRACE_TASK_REGISTRY_PRIVATE_H
#define MILLRACE_TASK_REGISTRY_PRIVATE_H

#include <pthread.h>

#include "base/http_client.h"
#include "kafka/log.h"
#include "kafka/producer.h"
#include "task/registry.h"
#include "task/schema_book.h"

struct registry {
    const struct config *config;
    pthread_mutex_t lock;
    struct schema_book book;
    const char *url; /* NULL: built in */
    char *password;  /* of the registry's user, resolved; NULL: none */
    struct http_client *http;
    struct log_reader *reader;
    struct producer *producer;
    struct producer_topic *topic;
};

MUST bool
registry_external_id(struct registry *r, const char *subject, struct bytes schema, uint32_t *id,
                     struct err *e);
/* Puts the schema of an id into the book. */
MUST bool
registry_external_fetch(struct registry *r, uint32_t id, struct err *e);
/* Takes what has been written since; waits at most timeout_ms. */
MUST bool
registry_follow(struct registry *r, int timeout_ms, struct err *e);

#endif
