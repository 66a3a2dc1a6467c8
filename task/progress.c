/* Records of the progress topic: JSON both ways. Format and rules: task/progress.h.
 *
 * A reader must not act on half a record: decoding fails as a whole, and only a format version
 * above ours is told apart.
 */
#include "task/progress.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/hash.h"
#include "base/text.h"

static const char *const event_names[] = {
    [EVENT_VERSION] = "version",   [EVENT_DDL] = "ddl",
    [EVENT_TRUNCATE] = "truncate", [EVENT_LOAD_BEGIN] = "load_begin",
    [EVENT_LOAD_END] = "load_end",
};

/* ---- encode ---- */

static struct json *
hex64(uint64_t v)
{
    char text[17];
    snprintf(text, sizeof text, "%016" PRIx64, v);
    return json_str(text);
}

static struct json *
base64_or_null(struct bytes b)
{
    if (!b.p)
        return json_null_new();
    struct buf out = {0};
    base64_encode(b, &out);
    struct json *j = json_bytes(buf_bytes(&out));
    buf_free(&out);
    return j;
}

static struct json *
pair(uint64_t a, uint64_t b)
{
    struct json *j = json_array_new();
    json_push(j, json_u64(a));
    json_push(j, json_u64(b));
    return j;
}

static struct json *
ranges_to_json(const struct progress_record *r, bool named)
{
    struct json *list = json_array_new();
    for (uint32_t i = 0; i < r->range_count; i++) {
        const struct progress_range *x = &r->ranges[i];
        struct json *o = json_object_new();
        if (named) {
            json_set(o, "table", json_str(x->table));
            json_set(o, "load", json_u64(x->load));
        }
        json_set(o, "range", json_u64(x->range));
        json_set(o, "begin", base64_or_null(x->begin));
        json_set(o, "next", base64_or_null(x->next));
        json_set(o, "end", base64_or_null(x->end));
        json_set(o, "rows", json_u64(x->rows));
        json_set(o, "state", json_str(x->done ? "done" : "open"));
        json_push(list, o);
    }
    return list;
}

static struct json *
position_json(const struct progress_record *r)
{
    if (r->position)
        return r->position->kind == POSITION_NONE ? json_null_new()
                                                  : position_to_json(r->position);
    return r->pos ? json_ref(r->pos) : json_null_new();
}

static void
claim_to_json(const struct progress_record *r, struct json *o)
{
    json_set(o, "name", json_str(r->name ? r->name : ""));
    json_set(o, "instance", hex64(r->instance));
    json_set(o, "ts_ms", json_u64(r->ts_ms));
}

static void
epoch_to_json(const struct progress_record *r, struct json *o)
{
    json_set(o, "from_seq", json_u64(r->seq));
    json_set(o, "pos", position_json(r));
    json_set(o, "ranges", ranges_to_json(r, true));
    struct json *list = json_array_new();
    for (uint32_t i = 0; i < r->history_count; i++)
        json_push(list, pair(r->history[i].epoch, r->history[i].seq));
    json_set(o, "epochs", list);
}

static struct json *
touched_to_json(const struct progress_record *r)
{
    struct json *list = json_array_new();
    for (uint32_t i = 0; i < r->touched_count; i++) {
        const struct progress_touched *x = &r->touched[i];
        struct json *t = json_array_new();
        json_push(t, json_str(x->topic));
        json_push(t, json_i64(x->partition));
        json_push(t, json_u64(x->rows));
        json_push(t, json_u64(x->last_seq));
        json_push(list, t);
    }
    return list;
}

static void
cut_to_json(const struct progress_record *r, struct json *o)
{
    json_set(o, "prev", pair(r->prev.epoch, r->prev.seq));
    json_set(o, "first_seq", json_u64(r->first_seq));
    json_set(o, "seq", json_u64(r->seq));
    json_set(o, "pos", position_json(r));
    json_set(o, "ranges", ranges_to_json(r, true));
    json_set(o, "spec", json_u64(r->spec));
    json_set(o, "commit_us", json_u64(r->commit_us));
    json_set(o, "boundary", json_bool_new(r->boundary));
    json_set(o, "anchor", json_i64(r->anchor));
    json_set(o, "touched", touched_to_json(r));
    json_set(o, "events", json_u64(r->events));
}

static void
event_to_json(const struct progress_record *r, struct json *o)
{
    if (r->copy) {
        json_set(o, "epoch", json_u64(r->epoch));
        json_set(o, "seq", json_u64(r->seq));
    }
    json_set(o, "kind", json_str(event_names[r->event]));
    json_set(o, "table", json_str(r->table));
    json_set(o, "version", json_u64(r->version));
    if (r->schema)
        json_set(o, "schema", json_ref(r->schema));
    if (r->load)
        json_set(o, "load", json_u64(r->load));
    if (r->sql)
        json_set(o, "sql", json_str(r->sql));
    json_set(o, "pos", position_json(r));
}

static void
load_to_json(const struct progress_record *r, struct json *o)
{
    json_set(o, "seq", json_u64(r->seq));
    json_set(o, "ranges", ranges_to_json(r, false));
}

static void
key_encode(const struct progress_record *r, struct buf *key)
{
    switch (r->kind) {
    case PROGRESS_CLAIM:
        buf_addf(key, "claim/%" PRIu64 "/%016" PRIx64, r->epoch, r->claim);
        break;
    case PROGRESS_EPOCH:
        buf_addf(key, "epoch/%" PRIu64, r->epoch);
        break;
    case PROGRESS_CUT:
        buf_addf(key, "progress/%" PRIu64, r->epoch);
        break;
    case PROGRESS_LOAD:
        buf_addf(key, "load/%s/%" PRIu64 "/%" PRIu64, r->table, r->load, r->epoch);
        break;
    case PROGRESS_EVENT:
        if (r->copy)
            buf_addf(key, "version/%s", r->table);
        else
            buf_addf(key, "event/%" PRIu64 "/%" PRIu64, r->epoch, r->seq);
        break;
    }
}

void
progress_encode(const struct progress_record *r, struct buf *key, struct buf *value)
{
    key_encode(r, key);
    struct json *o = json_object_new();
    json_set(o, "v", json_i64(PROGRESS_FORMAT));
    json_set(o, "inc", hex64(r->inc));
    if (r->kind != PROGRESS_LOAD && r->kind != PROGRESS_EVENT)
        json_set(o, "epoch", json_u64(r->epoch));
    if (r->claim && (r->kind == PROGRESS_EPOCH || r->kind == PROGRESS_CUT))
        json_set(o, "claim", hex64(r->claim));
    if (r->kind == PROGRESS_CLAIM)
        claim_to_json(r, o);
    else if (r->kind == PROGRESS_EPOCH)
        epoch_to_json(r, o);
    else if (r->kind == PROGRESS_CUT)
        cut_to_json(r, o);
    else if (r->kind == PROGRESS_LOAD)
        load_to_json(r, o);
    else
        event_to_json(r, o);
    json_dump(o, value);
    json_free(o);
}

/* ---- decode ---- */

/* State of one decode: any failure sticks in `bad` as the name of the field. */
struct decoding {
    struct arena *arena;
    const char *bad;
};

static void
decoding_fail(struct decoding *d, const char *what)
{
    if (!d->bad)
        d->bad = what;
}

static bool
parse_hex(const char *text, size_t n, uint64_t *out)
{
    uint8_t b[8];
    char copy[17];
    if (n != 16)
        return false;
    memcpy(copy, text, 16);
    copy[16] = 0;
    if (!hex_decode(copy, b, sizeof b))
        return false;
    struct reader r = reader_of(bytes_of(b, sizeof b));
    *out = reader_be(&r, 8);
    return true;
}

static uint64_t
field_hex(struct decoding *d, const struct json *o, const char *name, bool required)
{
    const char *text = json_get_str(o, name, "");
    uint64_t v = 0;
    if ((required || *text) && !parse_hex(text, strlen(text), &v))
        decoding_fail(d, name);
    return v;
}

/* A number that must be there: UINT64_MAX is no value of any field. */
static uint64_t
field_u64(struct decoding *d, const struct json *o, const char *name)
{
    uint64_t v = json_get_u64(o, name, UINT64_MAX);
    if (v == UINT64_MAX)
        decoding_fail(d, name);
    return v;
}

static uint64_t
value_u64(struct decoding *d, const struct json *j, const char *what)
{
    uint64_t v = json_u64_value(j, UINT64_MAX);
    if (v == UINT64_MAX)
        decoding_fail(d, what);
    return v;
}

static struct cut_id
value_pair(struct decoding *d, const struct json *j, const char *what)
{
    struct cut_id c = {0, 0};
    if (!json_is_array(j) || json_len(j) != 2) {
        decoding_fail(d, what);
        return c;
    }
    c.epoch = value_u64(d, json_at(j, 0), what);
    c.seq = value_u64(d, json_at(j, 1), what);
    return c;
}

static struct bytes
field_base64(struct decoding *d, const struct json *o, const char *name)
{
    const char *text = json_get_str(o, name, NULL);
    if (!text)
        return (struct bytes){NULL, 0};
    struct buf b = {0};
    if (!base64_decode(bytes_str(text), &b))
        decoding_fail(d, name);
    /* A copy by arena_strn, since an empty key is a key and not NULL. */
    struct bytes copy = bytes_of(arena_strn(d->arena, buf_bytes(&b)), b.n);
    buf_free(&b);
    return copy;
}

static const char *
field_text(struct decoding *d, const struct json *o, const char *name)
{
    const char *s = json_get_str(o, name, NULL);
    if (!s)
        decoding_fail(d, name);
    return s ? s : "";
}

static void
range_decode(struct decoding *d, const struct json *o, struct progress_record *r,
             struct progress_range *x)
{
    bool named = r->kind != PROGRESS_LOAD;
    x->table = named ? field_text(d, o, "table") : r->table;
    x->load = named ? field_u64(d, o, "load") : r->load;
    uint64_t range = field_u64(d, o, "range");
    if (range > UINT32_MAX)
        decoding_fail(d, "range");
    x->range = (uint32_t)range;
    x->begin = field_base64(d, o, "begin");
    x->next = field_base64(d, o, "next");
    x->end = field_base64(d, o, "end");
    x->rows = field_u64(d, o, "rows");
    const char *state = field_text(d, o, "state");
    x->done = strcmp(state, "done") == 0;
    if (!x->done && strcmp(state, "open") != 0)
        decoding_fail(d, "state");
}

static void
ranges_decode(struct decoding *d, const struct json *o, struct progress_record *r)
{
    const struct json *list = json_get(o, "ranges");
    if (!json_is_array(list) || json_len(list) > UINT32_MAX) {
        decoding_fail(d, "ranges");
        return;
    }
    size_t n = json_len(list);
    struct progress_range *out = arena_zalloc(d->arena, n * sizeof *out);
    for (size_t i = 0; i < n; i++)
        range_decode(d, json_at(list, i), r, &out[i]);
    r->ranges = out;
    r->range_count = (uint32_t)n;
}

static void
pos_decode(struct decoding *d, const struct json *o, struct progress_record *r)
{
    struct json *pos = json_get(o, "pos");
    r->pos = json_is_null(pos) ? NULL : pos;
    if (r->pos && !json_is_object(pos))
        decoding_fail(d, "pos");
}

static void
history_decode(struct decoding *d, const struct json *o, struct progress_record *r)
{
    const struct json *list = json_get(o, "epochs");
    size_t n = json_is_null(list) ? 0 : json_len(list);
    if (n > PROGRESS_HISTORY_MAX) {
        decoding_fail(d, "epochs");
        return;
    }
    struct cut_id *out = arena_zalloc(d->arena, n * sizeof *out);
    for (size_t i = 0; i < n; i++)
        out[i] = value_pair(d, json_at(list, i), "epochs");
    r->history = out;
    r->history_count = (uint32_t)n;
}

static void
touched_decode(struct decoding *d, const struct json *o, struct progress_record *r)
{
    const struct json *list = json_get(o, "touched");
    if (!json_is_array(list) || json_len(list) > UINT32_MAX) {
        decoding_fail(d, "touched");
        return;
    }
    size_t n = json_len(list);
    struct progress_touched *out = arena_zalloc(d->arena, n * sizeof *out);
    for (size_t i = 0; i < n; i++) {
        const struct json *t = json_at(list, i);
        int64_t partition = json_i64_value(json_at(t, 1), -1);
        out[i].topic = json_str_value(json_at(t, 0), "");
        out[i].rows = value_u64(d, json_at(t, 2), "touched");
        out[i].last_seq = value_u64(d, json_at(t, 3), "touched");
        if (partition < 0 || partition > INT32_MAX || !*out[i].topic)
            decoding_fail(d, "touched");
        else
            out[i].partition = (int32_t)partition;
    }
    r->touched = out;
    r->touched_count = (uint32_t)n;
}

static void
epoch_decode(struct decoding *d, const struct json *o, struct progress_record *r)
{
    r->claim = field_hex(d, o, "claim", false);
    r->seq = field_u64(d, o, "from_seq");
    pos_decode(d, o, r);
    ranges_decode(d, o, r);
    history_decode(d, o, r);
}

static void
cut_decode(struct decoding *d, const struct json *o, struct progress_record *r)
{
    r->claim = field_hex(d, o, "claim", false);
    r->prev = value_pair(d, json_get(o, "prev"), "prev");
    r->first_seq = field_u64(d, o, "first_seq");
    r->seq = field_u64(d, o, "seq");
    pos_decode(d, o, r);
    ranges_decode(d, o, r);
    r->spec = (uint32_t)json_get_u64(o, "spec", 0);
    r->commit_us = json_get_u64(o, "commit_us", 0);
    r->boundary = json_get_bool(o, "boundary", false);
    r->anchor = json_get_i64(o, "anchor", -1);
    r->events = (uint32_t)json_get_u64(o, "events", 0);
    touched_decode(d, o, r);
}

static void
event_decode(struct decoding *d, const struct json *o, struct progress_record *r)
{
    if (r->copy) {
        r->epoch = field_u64(d, o, "epoch");
        r->seq = field_u64(d, o, "seq");
    }
    const char *kind = field_text(d, o, "kind");
    size_t i = 0;
    while (i < ARRAY_LEN(event_names) && strcmp(kind, event_names[i]) != 0)
        i++;
    if (i == ARRAY_LEN(event_names))
        decoding_fail(d, "kind");
    r->event = (enum progress_event_kind)i;
    const char *table = field_text(d, o, "table");
    if (r->copy && strcmp(table, r->table) != 0)
        decoding_fail(d, "table");
    r->table = table;
    r->version = (uint32_t)json_get_u64(o, "version", 0);
    r->schema = json_is_object(json_get(o, "schema")) ? json_get(o, "schema") : NULL;
    r->load = json_get_u64(o, "load", 0);
    r->sql = json_get_str(o, "sql", NULL);
    pos_decode(d, o, r);
}

/* The key from its end: a topic name has no slash, but nothing here depends on it. */
static struct bytes
key_tail(struct bytes *key)
{
    size_t at = key->n;
    while (at && key->p[at - 1] != '/')
        at--;
    struct bytes tail = {key->p + at, key->n - at};
    key->n = at ? at - 1 : 0;
    return tail;
}

static uint64_t
key_number(struct decoding *d, struct bytes *key)
{
    uint64_t v = 0;
    if (!text_u64(arena_strn(d->arena, key_tail(key)), &v))
        decoding_fail(d, "key");
    return v;
}

static void
claim_key(struct decoding *d, struct bytes rest, struct progress_record *out)
{
    struct bytes random = key_tail(&rest);
    out->kind = PROGRESS_CLAIM;
    if (!parse_hex((const char *)random.p, random.n, &out->claim))
        decoding_fail(d, "key");
    out->epoch = key_number(d, &rest);
}

static void
load_key(struct decoding *d, struct bytes rest, struct progress_record *out)
{
    out->kind = PROGRESS_LOAD;
    out->epoch = key_number(d, &rest);
    out->load = key_number(d, &rest);
    out->table = arena_strn(d->arena, rest);
}

static void
event_key(struct decoding *d, struct bytes rest, struct progress_record *out)
{
    out->kind = PROGRESS_EVENT;
    out->seq = key_number(d, &rest);
    out->epoch = key_number(d, &rest);
}

static void
version_key(struct decoding *d, struct bytes rest, struct progress_record *out)
{
    out->kind = PROGRESS_EVENT;
    out->copy = true;
    out->table = arena_strn(d->arena, rest);
}

static void
epoch_key(struct decoding *d, struct bytes rest, struct progress_record *out)
{
    out->kind = PROGRESS_EPOCH;
    out->epoch = key_number(d, &rest);
}

static void
cut_key(struct decoding *d, struct bytes rest, struct progress_record *out)
{
    out->kind = PROGRESS_CUT;
    out->epoch = key_number(d, &rest);
}

static void
key_decode(struct decoding *d, struct bytes key, struct progress_record *out)
{
    static const struct {
        const char *name;
        void (*decode)(struct decoding *d, struct bytes rest, struct progress_record *out);
    } kinds[] = {{"claim/", claim_key}, {"epoch/", epoch_key}, {"progress/", cut_key},
                 {"load/", load_key},   {"event/", event_key}, {"version/", version_key}};
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
        size_t n = strlen(kinds[i].name);
        if (key.n > n && memcmp(key.p, kinds[i].name, n) == 0) {
            kinds[i].decode(d, bytes_of(key.p + n, key.n - n), out);
            return;
        }
    }
    decoding_fail(d, "key");
}

static void
value_decode(struct decoding *d, const struct json *o, struct progress_record *out)
{
    out->inc = field_hex(d, o, "inc", true);
    if (out->kind != PROGRESS_LOAD && out->kind != PROGRESS_EVENT &&
        json_get_u64(o, "epoch", UINT64_MAX) != out->epoch)
        decoding_fail(d, "epoch");
    switch (out->kind) {
    case PROGRESS_CLAIM:
        out->name = field_text(d, o, "name");
        out->instance = field_hex(d, o, "instance", true);
        out->ts_ms = json_get_u64(o, "ts_ms", 0);
        break;
    case PROGRESS_EPOCH:
        epoch_decode(d, o, out);
        break;
    case PROGRESS_CUT:
        cut_decode(d, o, out);
        break;
    case PROGRESS_LOAD:
        out->seq = json_get_u64(o, "seq", 0);
        ranges_decode(d, o, out);
        break;
    case PROGRESS_EVENT:
        event_decode(d, o, out);
        break;
    }
}

bool
progress_decode(struct bytes key, struct bytes value, struct arena *a,
                struct progress_record *out, struct err *e)
{
    struct decoding d = {.arena = a};
    *out = (struct progress_record){0};
    if (!json_parse(value, &out->doc, e))
        return err_wrap(e, "progress record");
    /* The version first: a newer writer may have other keys and fields. */
    int64_t version = json_get_i64(out->doc, "v", -1);
    if (version < 1)
        return err_set(e, MR_KAFKA_BAD_RECORD, "progress record without a format version");
    if (version != PROGRESS_FORMAT)
        return err_set(e, MR_KAFKA_VERSION, "progress record of format %" PRId64, version);
    key_decode(&d, key, out);
    if (!d.bad)
        value_decode(&d, out->doc, out);
    if (d.bad)
        return err_set(e, MR_KAFKA_BAD_RECORD, "progress record %.*s: bad field %s",
                       (int)(key.n < 80 ? key.n : 80), (const char *)key.p, d.bad);
    return true;
}

void
progress_record_free(struct progress_record *r)
{
    json_free(r->doc);
    r->doc = NULL;
}

bool
progress_record_position(const struct progress_record *r, struct position *out, struct err *e)
{
    if (r->position) {
        position_copy(out, r->position);
        return true;
    }
    if (!r->pos) {
        position_free(out);
        position_init(out, POSITION_NONE);
        return true;
    }
    position_free(out);
    return position_from_json(r->pos, out, e);
}
