/* Task records as JSON, both ways. The format is in task/task.h. */
#include <inttypes.h>
#include <stdio.h>

#include "base/hash.h"
#include "base/text.h"
#include "task/select.h"

static const char *const delivery_texts[] = {"exactly-once", "fast"};
static const char *const consistency_texts[] = {"table", "task"};
static const char *const on_error_texts[] = {"stop", "ignore"};
static const char *const on_gap_texts[] = {"stop", "resync"};
static const char *const format_texts[] = {"avro", "json"};

static struct json *
base64_json(struct bytes b)
{
    struct buf text = {0};
    base64_encode(b, &text);
    struct json *j = json_bytes(buf_bytes(&text));
    buf_free(&text);
    return j;
}

static struct json *
seal_to_json(const struct task_seal *s)
{
    if (s->alg == NULL)
        return json_null_new();
    struct json *j = json_object_new();
    json_set(j, "alg", json_str(s->alg));
    json_set(j, "nonce", base64_json(s->nonce));
    json_set(j, "ct", base64_json(s->ct));
    return j;
}

static struct json *
sources_to_json(const struct task *t)
{
    struct json *list = json_array_new();
    for (size_t i = 0; i < t->sources_len; i++) {
        const struct task_source *s = &t->sources[i];
        struct json *j = json_object_new();
        json_set(j, "n", json_i64(s->n));
        json_set(j, "name", json_str(s->name));
        json_set(j, "uri", json_str(s->at.uri));
        json_set(j, "secret", seal_to_json(&s->at.secret));
        json_push(list, j);
    }
    return list;
}

static struct json *
objects_to_json(const struct task *t)
{
    struct json *list = json_array_new();
    for (size_t i = 0; i < t->objects_len; i++) {
        const struct task_object *o = &t->objects[i];
        struct json *j = json_array_new();
        json_push(j, json_str(o->db));
        if (t->level == TASK_TABLE)
            json_push(j, json_str(o->table));
        json_push(j, json_str(o->to_db));
        if (t->level == TASK_TABLE)
            json_push(j, json_str(o->to_table));
        json_push(list, j);
    }
    return list;
}

static struct json *
select_to_json(const struct task *t)
{
    struct json *j = json_object_new();
    json_set(j, "level", json_str(task_level_text(t->level)));
    json_set(j, "databases", t->level == TASK_DATABASE ? objects_to_json(t) : json_array_new());
    json_set(j, "tables", t->level == TASK_TABLE ? objects_to_json(t) : json_array_new());
    json_set(j, "exclude", json_str(t->exclude));
    json_set(j, "merge", json_null_new());
    return j;
}

static struct json *
load_to_json(const struct task *t)
{
    struct json *j = json_object_new();
    json_set(j, "full", json_bool_new(t->full));
    json_set(j, "start_ts", json_null_new());
    json_set(j, "end_ts", json_null_new());
    json_set(j, "position", t->position != NULL ? json_ref(t->position) : json_null_new());
    return j;
}

static struct json *
sink_to_json(const struct task *t)
{
    struct json *j = json_object_new();
    json_set(j, "type", json_str(task_sink_text(t->sink_type)));
    json_set(j, "uri", json_str(t->sink.uri));
    json_set(j, "secret", seal_to_json(&t->sink.secret));
    return j;
}

void
task_to_json(const struct task *t, struct buf *out)
{
    char inc[17];
    snprintf(inc, sizeof(inc), "%016" PRIx64, t->inc);
    struct json *j = json_object_new();
    json_set(j, "v", json_i64(TASK_VERSION));
    json_set(j, "id", json_str(t->id));
    json_set(j, "name", json_str(t->name));
    json_set(j, "generation", json_u64(t->generation));
    json_set(j, "inc", json_str(inc));
    json_set(j, "desired", json_str(task_desired_text(t->desired)));
    json_set(j, "owner", json_str(t->owner));
    json_set(j, "created_us", json_u64(t->created_us));
    json_set(j, "updated_us", json_u64(t->updated_us));
    json_set(j, "sources", sources_to_json(t));
    json_set(j, "sink", sink_to_json(t));
    json_set(j, "select", select_to_json(t));
    json_set(j, "load", load_to_json(t));
    json_set(j, "on_error", json_str(on_error_texts[t->on_error]));
    json_set(j, "on_gap", json_str(on_gap_texts[t->on_gap]));
    json_set(j, "delivery", json_str(delivery_texts[t->delivery]));
    json_set(j, "consistency", json_str(consistency_texts[t->consistency]));
    json_set(j, "format", json_str(format_texts[t->format]));
    json_set(j, "prefix", json_str(t->prefix));
    json_set(j, "partitions", json_i64(t->partitions));
    json_set(j, "params", json_ref(t->params));
    json_dump(j, out);
    json_free(j);
}

/* One pass over a record: the first thing that is wrong, and where. */
struct record {
    struct task *t;
    const char *wrong; /* NULL: fine so far */
};

static const char *
take_text(struct record *r, const struct json *j, const char *key)
{
    const char *s = json_get_str(j, key, NULL);
    if (s == NULL) {
        r->wrong = key;
        return "";
    }
    return arena_strdup(&r->t->arena, s);
}

static unsigned
take_choice(struct record *r, const struct json *j, const char *key, const char *const *texts,
            unsigned n)
{
    const char *s = json_get_str(j, key, "");
    for (unsigned i = 0; i < n; i++) {
        if (strcmp(s, texts[i]) == 0)
            return i;
    }
    r->wrong = key;
    return 0;
}

#define TAKE_CHOICE(r, j, key, texts) take_choice(r, j, key, texts, (unsigned)ARRAY_LEN(texts))

static struct bytes
take_base64(struct record *r, const struct json *j, const char *key)
{
    struct buf b = {0};
    struct bytes out = {NULL, 0};
    if (base64_decode(bytes_str(json_get_str(j, key, "")), &b))
        out = arena_copy(&r->t->arena, buf_bytes(&b));
    else
        r->wrong = key;
    buf_free(&b);
    return out;
}

static struct task_seal
take_seal(struct record *r, const struct json *j)
{
    struct task_seal s = {0};
    struct json *secret = json_get(j, "secret");
    if (json_is_null(secret))
        return s;
    s.alg = take_text(r, secret, "alg");
    s.nonce = take_base64(r, secret, "nonce");
    s.ct = take_base64(r, secret, "ct");
    return s;
}

static void
take_sources(struct record *r, const struct json *list)
{
    struct task *t = r->t;
    size_t n = json_len(list);
    if (n == 0 || n > TASK_SOURCES_MAX || !json_is_array(list)) {
        r->wrong = "sources";
        return;
    }
    t->sources = arena_zalloc(&t->arena, n * sizeof(*t->sources));
    t->sources_len = n;
    for (size_t i = 0; i < n; i++) {
        const struct json *j = json_at(list, i);
        struct task_source *s = &t->sources[i];
        s->n = (unsigned)json_get_u64(j, "n", i);
        s->name = take_text(r, j, "name");
        s->at.uri = take_text(r, j, "uri");
        s->at.secret = take_seal(r, j);
    }
}

static void
take_sink(struct record *r, const struct json *j)
{
    struct err ignored = {0};
    if (!task_parse_sink(json_get_str(j, "type", ""), &r->t->sink_type, &ignored))
        r->wrong = "sink";
    if (json_is_str(json_get(j, "uri")))
        r->t->sink.uri = take_text(r, j, "uri");
    r->t->sink.secret = take_seal(r, j);
}

static void
take_object(struct record *r, const struct json *j, struct task_object *o)
{
    struct arena *a = &r->t->arena;
    size_t at = 0, n = r->t->level == TASK_TABLE ? 4 : 2;
    bool ok = json_len(j) == n;
    for (size_t i = 0; i < n; i++)
        ok = ok && json_is_str(json_at(j, i));
    if (!ok) {
        r->wrong = "select";
        return;
    }
    o->db = arena_strdup(a, json_str_value(json_at(j, at++), ""));
    if (n == 4)
        o->table = arena_strdup(a, json_str_value(json_at(j, at++), ""));
    o->to_db = arena_strdup(a, json_str_value(json_at(j, at++), ""));
    if (n == 4)
        o->to_table = arena_strdup(a, json_str_value(json_at(j, at), ""));
}

static void
take_select(struct record *r, const struct json *j)
{
    struct task *t = r->t;
    struct err why = {0};
    if (!task_parse_level(json_get_str(j, "level", ""), &t->level, &why) ||
        !json_is_null(json_get(j, "merge"))) {
        r->wrong = "select";
        return;
    }
    const struct json *list = json_get(j, t->level == TASK_TABLE ? "tables" : "databases");
    size_t n = t->level == TASK_ACCOUNT ? 0 : json_len(list);
    t->objects = arena_zalloc(&t->arena, (n + 1) * sizeof(*t->objects));
    t->objects_len = n;
    for (size_t i = 0; i < n && r->wrong == NULL; i++)
        take_object(r, json_at(list, i), &t->objects[i]);
    if (r->wrong == NULL)
        select_sort(t);
    const char *exclude = json_get_str(j, "exclude", NULL);
    if (exclude != NULL && !task_set_exclude(t, exclude, &why))
        r->wrong = "exclude";
}

static void
take_identity(struct record *r, const struct json *j)
{
    struct task *t = r->t;
    uint8_t raw[16], inc[8] = {0};
    const char *id = json_get_str(j, "id", "");
    if (strlen(id) != TASK_ID_LEN || !uuid_parse(id, raw))
        r->wrong = "id";
    else
        memcpy(t->id, id, TASK_ID_LEN + 1);
    const char *hex = json_get_str(j, "inc", "");
    if (strlen(hex) != 16 || !hex_decode(hex, inc, sizeof(inc)))
        r->wrong = "inc";
    struct reader in = reader_of(bytes_of(inc, sizeof(inc)));
    t->inc = reader_be(&in, 8);
    t->generation = json_get_u64(j, "generation", 0);
    if (t->generation == 0)
        r->wrong = "generation";
    t->created_us = json_get_u64(j, "created_us", 0);
    t->updated_us = json_get_u64(j, "updated_us", 0);
}

static enum task_desired
take_desired(struct record *r, const struct json *j)
{
    const char *s = json_get_str(j, "desired", "");
    for (unsigned i = TASK_RUNNING; i <= TASK_DROPPED; i++) {
        if (strcmp(s, task_desired_text((enum task_desired)i)) == 0)
            return (enum task_desired)i;
    }
    r->wrong = "desired";
    return TASK_STOPPED;
}

static void
take_record(struct record *r, const struct json *j)
{
    struct task *t = r->t;
    take_identity(r, j);
    t->name = take_text(r, j, "name");
    t->owner = take_text(r, j, "owner");
    t->desired = take_desired(r, j);
    take_sources(r, json_get(j, "sources"));
    take_sink(r, json_get(j, "sink"));
    take_select(r, json_get(j, "select"));
    const struct json *load = json_get(j, "load");
    t->full = json_get_bool(load, "full", true);
    if (json_is_object(json_get(load, "position")))
        t->position = json_ref(json_get(load, "position"));
    t->on_error = (enum task_on_error)TAKE_CHOICE(r, j, "on_error", on_error_texts);
    t->on_gap = (enum task_on_gap)TAKE_CHOICE(r, j, "on_gap", on_gap_texts);
    t->delivery = (enum task_delivery)TAKE_CHOICE(r, j, "delivery", delivery_texts);
    t->consistency = (enum task_consistency)TAKE_CHOICE(r, j, "consistency", consistency_texts);
    t->format = (enum codec_format)TAKE_CHOICE(r, j, "format", format_texts);
    t->prefix = take_text(r, j, "prefix");
    int64_t partitions = json_get_i64(j, "partitions", 0);
    if (partitions < 1 || partitions > TASK_PARTITIONS_MAX)
        r->wrong = "partitions";
    t->partitions = (unsigned)partitions;
    if (json_is_object(json_get(j, "params"))) {
        json_free(t->params);
        t->params = json_ref(json_get(j, "params"));
    }
}

bool
task_from_json(struct bytes text, struct task **out, struct err *e)
{
    struct json *j = NULL;
    struct err why = {0};
    *out = NULL;
    if (text.n > TASK_RECORD_MAX)
        return err_set(e, MR_TASK_RECORD, "a task record of %zu bytes", text.n);
    if (!json_parse(text, &j, &why))
        return err_set(e, MR_TASK_RECORD, "a task record is not JSON: %s", why.text);
    int64_t version = json_get_i64(j, "v", 0);
    if (version != TASK_VERSION) {
        json_free(j);
        return err_set(e, MR_TASK_RECORD,
                       "a task record has format version %" PRId64 ", this program knows %d",
                       version, TASK_VERSION);
    }
    struct record r = {task_new(), NULL};
    take_record(&r, j);
    json_free(j);
    if (r.wrong != NULL) {
        err_set(e, MR_TASK_RECORD, "task '%.64s': '%s' of its record is not valid", r.t->name,
                r.wrong);
        task_unref(r.t);
        return false;
    }
    *out = r.t;
    return true;
}
