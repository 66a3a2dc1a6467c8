#include "task/status_map.h"

#include <stdlib.h>

#include "base/log.h"
#include "base/mem.h"
#include "kafka/log.h"
#include "task/topics.h"

#define TIMEOUT_MS 15000

void
status_map_put(struct status_map *m, struct bytes key, struct json *value)
{
    bool fresh = false;
    struct map_slot *s = map_put(&m->records, key, &fresh);
    if (fresh)
        s->key = bytes_of(mem_strn(key), key.n);
    else
        json_free(s->v.ptr);
    s->v.ptr = value != NULL ? json_ref(value) : NULL;
}

const struct json *
status_map_get(const struct status_map *m, const char *key)
{
    struct map_slot *s = map_get(&m->records, bytes_str(key));
    return s != NULL ? s->v.ptr : NULL;
}

void
status_map_free(struct status_map *m)
{
    for (struct map_slot *s = NULL; (s = map_next(&m->records, s)) != NULL;) {
        json_free(s->v.ptr);
        free((void *)(uintptr_t)s->key.p);
    }
    map_free(&m->records);
}

struct status_reader {
    struct log_reader *log;
    struct status_map map;
};

static bool
read_record(void *ctx, const struct consumer_message *m, struct err *e)
{
    struct status_reader *r = ctx;
    struct json *j = NULL;
    struct err why = {0};
    (void)e;
    if (m->key.p == NULL)
        return true;
    if (m->value.p != NULL && !json_parse(m->value, &j, &why)) {
        log_warn("status_record", F_I64("offset", m->offset), F_ERR(&why));
        return true;
    }
    status_map_put(&r->map, m->key, j);
    json_free(j);
    return true;
}

bool
status_reader_open(const struct config *c, struct status_reader **out, struct err *e)
{
    struct status_reader *r = mem_zalloc(sizeof(*r));
    struct log_conf conf = {.topic = TOPIC_STATUS,
                            .isolation = KAFKA_READ_COMMITTED,
                            .from = KAFKA_OFFSET_BEGIN,
                            .timeout_ms = TIMEOUT_MS};
    kafka_settings_load(c, "millrace-status", &conf.kafka);
    if (!log_reader_open(&conf, &r->log, e) || !log_reader_to_end(r->log, read_record, r, e)) {
        status_reader_close(r);
        return false;
    }
    *out = r;
    return true;
}

void
status_reader_close(struct status_reader *r)
{
    if (r == NULL)
        return;
    log_reader_close(r->log);
    status_map_free(&r->map);
    free(r);
}

bool
status_reader_poll(struct status_reader *r, int timeout_ms, struct err *e)
{
    return log_reader_poll(r->log, timeout_ms, read_record, r, NULL, e);
}

const struct status_map *
status_reader_map(const struct status_reader *r)
{
    return &r->map;
}
