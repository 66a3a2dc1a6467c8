#include "task/registry.h"

#include <inttypes.h>
#include <stdlib.h>

#include "base/crypt.h"
#include "base/fault.h"
#include "base/mem.h"
#include "base/secret.h"
#include "base/thread.h"
#include "task/registry_private.h"
#include "task/topics.h"

#define TIMEOUT_MS 15000
#define TRIES_MAX  100

static bool
read_record(void *ctx, const struct consumer_message *m, struct err *e)
{
    struct registry *r = ctx;
    struct json *j = NULL;
    if (m->value.p == NULL)
        return true;
    if (!json_parse(m->value, &j, e))
        return err_wrap(e, "%s, offset %" PRId64, TOPIC_SCHEMAS, m->offset);
    bool ok = schema_book_read(&r->book, j, e);
    json_free(j);
    return ok || err_wrap(e, "%s, offset %" PRId64, TOPIC_SCHEMAS, m->offset);
}

static bool
open_log(struct registry *r, struct err *e)
{
    struct log_conf conf = {.topic = TOPIC_SCHEMAS,
                            .isolation = KAFKA_READ_COMMITTED,
                            .from = KAFKA_OFFSET_BEGIN,
                            .timeout_ms = TIMEOUT_MS};
    kafka_settings_load(r->config, "millrace-registry", &conf.kafka);
    return log_reader_open(&conf, &r->reader, e) &&
           log_reader_to_end(r->reader, read_record, r, e);
}

static bool
open_external(struct registry *r, const char *url, struct err *e)
{
    struct buf password = {0};
    bool ok = secret_resolve(config_text(r->config, "schema.registry.password"), &password, e);
    if (ok && password.n > 0)
        r->password = mem_strdup(buf_cstr(&password));
    crypt_wipe(password.p, password.n);
    buf_free(&password);
    r->url = url;
    r->http = http_client_new();
    return ok;
}

bool
registry_open(const struct config *c, struct registry **out, struct err *e)
{
    struct registry *r = mem_zalloc(sizeof(*r));
    const char *url = config_text(c, "schema.registry.url");
    r->config = c;
    thread_lock_init(&r->lock);
    schema_book_init(&r->book);
    if (url[0] != '\0' ? open_external(r, url, e) : open_log(r, e)) {
        *out = r;
        return true;
    }
    registry_close(r);
    return false;
}

void
registry_close(struct registry *r)
{
    if (r == NULL)
        return;
    producer_destroy(r->producer);
    log_reader_close(r->reader);
    http_client_free(r->http);
    free(r->password);
    schema_book_free(&r->book);
    pthread_mutex_destroy(&r->lock);
    free(r);
}

static bool
known(const struct registry *r, const char *subject, const char *fingerprint, uint32_t *id)
{
    const struct schema_entry *entry = schema_book_by_fingerprint(&r->book, fingerprint);
    if (entry == NULL || schema_book_version(&r->book, subject, entry) == 0)
        return false;
    *id = entry->id;
    return true;
}

static bool
open_producer(struct registry *r, struct err *e)
{
    struct producer_conf conf;
    if (r->producer != NULL)
        return true;
    producer_conf_load(&conf, r->config, "millrace-registry");
    conf.linger_ms = 0;
    return producer_new(&conf, &r->producer, e) &&
           producer_topic(r->producer, TOPIC_SCHEMAS, 0, TIMEOUT_MS, &r->topic, e);
}

static bool
append(struct registry *r, const char *subject, struct bytes schema, struct err *e)
{
    char fingerprint[SCHEMA_FINGERPRINT_CHARS + 1];
    schema_fingerprint(schema, fingerprint);
    const struct schema_entry *entry = schema_book_by_fingerprint(&r->book, fingerprint);
    uint32_t id = entry != NULL ? entry->id : schema_book_next_id(&r->book);
    struct json *record = schema_book_record(id, subject, schema);
    struct buf text = {0};
    json_dump(record, &text);
    json_free(record);
    bool ok = open_producer(r, e) &&
              producer_send_copy(r->producer, r->topic, 0, bytes_str(fingerprint),
                                 buf_bytes(&text), e) &&
              producer_flush(r->producer, TIMEOUT_MS, e);
    buf_free(&text);
    if (!ok) { /* it may arrive all the same: then it is found at the next try */
        producer_destroy(r->producer);
        r->producer = NULL;
    }
    return ok;
}

static bool
built_in_id(struct registry *r, const char *subject, struct bytes schema, uint32_t *id,
            struct err *e)
{
    char fingerprint[SCHEMA_FINGERPRINT_CHARS + 1];
    schema_fingerprint(schema, fingerprint);
    if (known(r, subject, fingerprint, id))
        return true;
    if (!log_reader_to_end(r->reader, read_record, r, e))
        return false;
    /* Lost the race for an id: its owner has been read, the next id is tried. */
    for (int i = 0; i < TRIES_MAX; i++) {
        if (known(r, subject, fingerprint, id))
            return true;
        if (!append(r, subject, schema, e))
            return false;
        FAULT("schema_after_append");
        if (!log_reader_to_end(r->reader, read_record, r, e))
            return false;
    }
    return err_set(e, MR_KAFKA_ERROR, "%s: no free schema id after %d tries", TOPIC_SCHEMAS,
                   TRIES_MAX);
}

bool
registry_id(struct registry *r, const char *subject, struct bytes schema, uint32_t *id,
            struct err *e)
{
    if (schema.n > REGISTRY_SCHEMA_MAX)
        return err_set(e, MR_REGISTRY_REFUSED,
                       "the schema of %s has %zu bytes, the limit is %zu", subject, schema.n,
                       REGISTRY_SCHEMA_MAX);
    thread_lock(&r->lock);
    bool ok = r->url != NULL ? registry_external_id(r, subject, schema, id, e)
                             : built_in_id(r, subject, schema, id, e);
    thread_unlock(&r->lock);
    return ok || err_wrap(e, "schema of %s", subject);
}

bool
registry_follow(struct registry *r, int timeout_ms, struct err *e)
{
    if (r->reader == NULL)
        return true;
    return log_reader_poll(r->reader, timeout_ms, read_record, r, NULL, e);
}

static bool
fetch(struct registry *r, uint32_t id, struct err *e)
{
    if (schema_book_by_id(&r->book, id) != NULL)
        return true;
    if (r->url != NULL)
        return registry_external_fetch(r, id, e);
    return log_reader_to_end(r->reader, read_record, r, e);
}

bool
registry_schema(struct registry *r, uint32_t id, struct buf *out, struct err *e)
{
    thread_lock(&r->lock);
    bool ok = fetch(r, id, e);
    if (ok) {
        const struct schema_entry *entry = schema_book_by_id(&r->book, id);
        if (entry != NULL)
            buf_add_bytes(out, entry->text);
        else
            ok = err_set(e, MR_SCHEMA_UNKNOWN, "no schema has the id %" PRIu32, id);
    }
    thread_unlock(&r->lock);
    return ok;
}
