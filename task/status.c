#include "task/status.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/hash.h"

static const char *const state_texts[] = {"starting", "running", "retrying", "stopped",
                                          "failed"};
static const char *const phase_texts[] = {"Initialization", "Full Load", "Incremental Sync"};
static const char *const table_texts[] = {"waiting", "loading", "streaming", "stopped",
                                          "dropped at the source"};

const char *
status_state_text(enum status_state s)
{
    return state_texts[s];
}

const char *
status_phase_text(enum status_phase p)
{
    return phase_texts[p];
}

const char *
status_table_state_text(enum status_table_state s)
{
    return table_texts[s];
}

static unsigned
find_text(const char *s, const char *const *texts, unsigned n)
{
    for (unsigned i = 0; i < n; i++) {
        if (strcmp(s, texts[i]) == 0)
            return i;
    }
    return 0;
}

struct json *
status_err_to_json(const struct err *err)
{
    if (err->code == MR_OK)
        return json_null_new();
    char code[16];
    snprintf(code, sizeof(code), "MR%04d", (int)err->code);
    struct json *j = json_object_new();
    json_set(j, "code", json_str(code));
    json_set(j, "text", json_str(err->text));
    return j;
}

void
status_err_from_json(const struct json *j, struct err *out)
{
    err_clear(out);
    const char *code = json_get_str(j, "code", "");
    if (code[0] != 'M' || code[1] != 'R')
        return;
    const struct err_info *info = err_info((enum err_code)strtol(code + 2, NULL, 10));
    out->code = info->code;
    out->class = info->class;
    snprintf(out->text, sizeof(out->text), "%s", json_get_str(j, "text", ""));
}

struct json *
status_hex(uint64_t v)
{
    char text[17];
    snprintf(text, sizeof(text), "%016" PRIx64, v);
    return json_str(text);
}

uint64_t
status_hex_value(const struct json *j, const char *key)
{
    return strtoull(json_get_str(j, key, "0"), NULL, 16);
}

struct json *
status_unit_to_json(const struct status_unit *s)
{
    struct json *j = json_object_new();
    json_set(j, "v", json_i64(STATUS_VERSION));
    json_set(j, "worker", json_str(s->worker));
    json_set(j, "instance", status_hex(s->instance));
    json_set(j, "generation", json_u64(s->generation));
    json_set(j, "inc", status_hex(s->inc));
    json_set(j, "state", json_str(status_state_text(s->state)));
    json_set(j, "phase", json_str(status_phase_text(s->phase)));
    json_set(j, "err", status_err_to_json(&s->err));
    json_set(j, "source_us", json_u64(s->source_us));
    json_set(j, "rows", json_u64(s->rows));
    json_set(j, "failovers", json_u64(s->failovers));
    json_set(j, "since_ms", json_u64(s->since_ms));
    json_set(j, "ts_ms", json_u64(s->ts_ms));
    json_set(j, "pos", s->position != NULL ? json_ref(s->position) : json_null_new());
    return j;
}

static bool
check_version(const struct json *j, struct err *e)
{
    int64_t v = json_get_i64(j, "v", 0);
    if (v != STATUS_VERSION)
        return err_set(e, MR_KAFKA_VERSION,
                       "a status record has format version %" PRId64 ", this program knows %d",
                       v, STATUS_VERSION);
    return true;
}

bool
status_unit_from_json(const struct json *j, struct arena *a, struct status_unit *out,
                      struct err *e)
{
    if (!check_version(j, e))
        return false;
    *out = (struct status_unit){
        .worker = arena_strdup(a, json_get_str(j, "worker", "")),
        .instance = status_hex_value(j, "instance"),
        .generation = json_get_u64(j, "generation", 0),
        .inc = status_hex_value(j, "inc"),
        .state = (enum status_state)find_text(json_get_str(j, "state", ""), state_texts,
                                              (unsigned)ARRAY_LEN(state_texts)),
        .phase = (enum status_phase)find_text(json_get_str(j, "phase", ""), phase_texts,
                                              (unsigned)ARRAY_LEN(phase_texts)),
        .source_us = json_get_u64(j, "source_us", 0),
        .rows = json_get_u64(j, "rows", 0),
        .failovers = json_get_u64(j, "failovers", 0),
        .since_ms = json_get_u64(j, "since_ms", 0),
        .ts_ms = json_get_u64(j, "ts_ms", 0),
    };
    status_err_from_json(json_get(j, "err"), &out->err);
    if (json_is_object(json_get(j, "pos")))
        out->position = json_ref(json_get(j, "pos"));
    return true;
}

struct json *
status_table_to_json(const struct status_table *t)
{
    struct json *j = json_object_new();
    json_set(j, "v", json_i64(STATUS_VERSION));
    json_set(j, "db", json_str(t->db));
    json_set(j, "table", json_str(t->table));
    json_set(j, "target_db", json_str(t->target_db));
    json_set(j, "target_table", json_str(t->target_table));
    json_set(j, "state", json_str(status_table_state_text(t->state)));
    json_set(j, "follows", json_bool_new(t->follows));
    json_set(j, "source_us", json_u64(t->source_us));
    json_set(j, "rows", json_u64(t->rows));
    json_set(j, "rows_total", json_u64(t->rows_total));
    json_set(j, "updated_us", json_u64(t->updated_us));
    json_set(j, "err", status_err_to_json(&t->err));
    return j;
}

static const char *
text_or_null(struct arena *a, const struct json *j, const char *key)
{
    const char *s = json_get_str(j, key, NULL);
    return s != NULL ? arena_strdup(a, s) : NULL;
}

bool
status_table_from_json(const struct json *j, struct arena *a, struct status_table *out,
                       struct err *e)
{
    if (!check_version(j, e))
        return false;
    *out = (struct status_table){
        .db = arena_strdup(a, json_get_str(j, "db", "")),
        .table = arena_strdup(a, json_get_str(j, "table", "")),
        .target_db = text_or_null(a, j, "target_db"),
        .target_table = text_or_null(a, j, "target_table"),
        .state = (enum status_table_state)find_text(json_get_str(j, "state", ""), table_texts,
                                                    (unsigned)ARRAY_LEN(table_texts)),
        .follows = json_get_bool(j, "follows", false),
        .source_us = json_get_u64(j, "source_us", 0),
        .rows = json_get_u64(j, "rows", 0),
        .rows_total = json_get_u64(j, "rows_total", 0),
        .updated_us = json_get_u64(j, "updated_us", 0),
    };
    status_err_from_json(json_get(j, "err"), &out->err);
    return true;
}
