/* Checkpoint state: JSON both ways, base comparison. See the header. */
#include "task/checkpoint.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/hash.h"
#include "base/mem.h"
#include "base/text.h"

void
checkpoint_init(struct checkpoint *c, uint64_t inc)
{
    *c = (struct checkpoint){.inc = inc};
}

static void
intent_free(struct checkpoint_intent *i)
{
    if (!i)
        return;
    free(i->kind);
    free(i->statement);
    free(i->done);
    free(i);
}

static void
topic_clear(struct checkpoint_topic *t)
{
    free(t->topic);
    free(t->parts);
}

void
checkpoint_free(struct checkpoint *c)
{
    for (uint32_t i = 0; i < c->topic_count; i++)
        topic_clear(&c->topics[i]);
    free(c->topics);
    free(c->sources);
    intent_free(c->intent);
    json_free(c->loads);
    *c = (struct checkpoint){0};
}

void
checkpoint_set_intent(struct checkpoint *c, const char *kind, struct cut_id id,
                      const char *statement, const char *done)
{
    intent_free(c->intent);
    c->intent = NULL;
    if (!kind)
        return;
    c->intent = mem_zalloc(sizeof *c->intent);
    c->intent->kind = mem_strdup(kind);
    c->intent->id = id;
    c->intent->statement = mem_strdup(statement ? statement : "");
    c->intent->done = mem_strdup(done ? done : "");
}

void
checkpoint_copy(struct checkpoint *dst, const struct checkpoint *src)
{
    if (dst == src)
        return;
    checkpoint_free(dst);
    *dst = *src;
    dst->sources = mem_array(src->source_count + 1u, sizeof *dst->sources);
    for (uint32_t i = 0; i < src->source_count; i++)
        dst->sources[i] = src->sources[i];
    dst->topics = mem_array(src->topic_count + 1u, sizeof *dst->topics);
    for (uint32_t i = 0; i < src->topic_count; i++) {
        const struct checkpoint_topic *t = &src->topics[i];
        struct checkpoint_topic *x = &dst->topics[i];
        *x = *t;
        x->topic = mem_strdup(t->topic);
        x->parts = mem_array(t->part_count + 1u, sizeof *x->parts);
        for (uint32_t p = 0; p < t->part_count; p++)
            x->parts[p] = t->parts[p];
    }
    dst->intent = NULL;
    if (src->intent)
        checkpoint_set_intent(dst, src->intent->kind, src->intent->id, src->intent->statement,
                              src->intent->done);
    dst->loads = src->loads ? json_ref(src->loads) : NULL;
}

struct checkpoint_source *
checkpoint_source(struct checkpoint *c, uint32_t n)
{
    uint32_t at = 0;
    while (at < c->source_count && c->sources[at].n < n)
        at++;
    if (at < c->source_count && c->sources[at].n == n)
        return &c->sources[at];
    c->sources = mem_realloc(c->sources, (c->source_count + 1u) * sizeof *c->sources);
    memmove(&c->sources[at + 1], &c->sources[at], (c->source_count - at) * sizeof *c->sources);
    c->source_count++;
    c->sources[at] = (struct checkpoint_source){.n = n};
    return &c->sources[at];
}

struct checkpoint_topic *
checkpoint_topic(struct checkpoint *c, const char *topic)
{
    uint32_t at = 0;
    while (at < c->topic_count && strcmp(c->topics[at].topic, topic) < 0)
        at++;
    if (at < c->topic_count && strcmp(c->topics[at].topic, topic) == 0)
        return &c->topics[at];
    c->topics = mem_realloc(c->topics, (c->topic_count + 1u) * sizeof *c->topics);
    memmove(&c->topics[at + 1], &c->topics[at], (c->topic_count - at) * sizeof *c->topics);
    c->topic_count++;
    c->topics[at] = (struct checkpoint_topic){.topic = mem_strdup(topic)};
    return &c->topics[at];
}

struct checkpoint_part *
checkpoint_part(struct checkpoint *c, const char *topic, int32_t partition)
{
    struct checkpoint_topic *t = checkpoint_topic(c, topic);
    uint32_t at = 0;
    while (at < t->part_count && t->parts[at].partition < partition)
        at++;
    if (at < t->part_count && t->parts[at].partition == partition)
        return &t->parts[at];
    t->parts = mem_realloc(t->parts, (t->part_count + 1u) * sizeof *t->parts);
    memmove(&t->parts[at + 1], &t->parts[at], (t->part_count - at) * sizeof *t->parts);
    t->part_count++;
    t->parts[at] = (struct checkpoint_part){.partition = partition, .offset = -1};
    return &t->parts[at];
}

void
checkpoint_topic_drop(struct checkpoint *c, const char *topic)
{
    for (uint32_t i = 0; i < c->topic_count; i++) {
        if (strcmp(c->topics[i].topic, topic) != 0)
            continue;
        topic_clear(&c->topics[i]);
        memmove(&c->topics[i], &c->topics[i + 1], (c->topic_count - i - 1) * sizeof *c->topics);
        c->topic_count--;
        return;
    }
}

/* ---- encode ---- */

static void
set_number(struct json *o, uint64_t name, struct json *v)
{
    char key[24];
    snprintf(key, sizeof key, "%" PRIu64, name);
    json_set(o, key, v);
}

static struct json *
cut_to_json(struct cut_id id)
{
    struct json *a = json_array_new();
    json_push(a, json_u64(id.epoch));
    json_push(a, json_u64(id.seq));
    return a;
}

static void
sources_to_json(const struct checkpoint *c, struct json *o)
{
    struct json *cut = json_object_new(), *offset = json_object_new();
    for (uint32_t i = 0; i < c->source_count; i++) {
        set_number(cut, c->sources[i].n, cut_to_json(c->sources[i].cut));
        set_number(offset, c->sources[i].n, json_i64(c->sources[i].progress_offset));
    }
    json_set(o, "cut", cut);
    json_set(o, "progress_offset", offset);
}

static void
topics_to_json(const struct checkpoint *c, struct json *o)
{
    struct json *parts = json_object_new(), *versions = json_object_new();
    for (uint32_t i = 0; i < c->topic_count; i++) {
        const struct checkpoint_topic *t = &c->topics[i];
        struct json *p = json_object_new();
        for (uint32_t k = 0; k < t->part_count; k++) {
            if (t->parts[k].offset < 0)
                continue; /* nothing applied: the same as no entry */
            struct json *a = json_array_new();
            json_push(a, json_i64(t->parts[k].offset));
            json_push(a, json_u64(t->parts[k].epoch));
            json_push(a, json_u64(t->parts[k].seq));
            set_number(p, (uint64_t)t->parts[k].partition, a);
        }
        if (json_len(p) > 0)
            json_set(parts, t->topic, p);
        else
            json_free(p);
        if (t->version)
            json_set(versions, t->topic, json_u64(t->version));
    }
    json_set(o, "parts", parts);
    json_set(o, "versions", versions);
}

static struct json *
intent_to_json(const struct checkpoint_intent *i)
{
    if (!i)
        return json_null_new();
    struct json *o = json_object_new();
    json_set(o, "kind", json_str(i->kind));
    json_set(o, "id", cut_to_json(i->id));
    json_set(o, "statement", json_str(i->statement));
    json_set(o, "done", json_str(i->done));
    return o;
}

void
checkpoint_encode(const struct checkpoint *c, struct buf *out)
{
    char inc[17];
    struct json *o = json_object_new();
    snprintf(inc, sizeof inc, "%016" PRIx64, c->inc);
    json_set(o, "v", json_i64(CHECKPOINT_FORMAT));
    json_set(o, "inc", json_str(inc));
    sources_to_json(c, o);
    json_set(o, "commit_us", json_u64(c->commit_us));
    topics_to_json(c, o);
    json_set(o, "intent", intent_to_json(c->intent));
    json_set(o, "loads", c->loads ? json_ref(c->loads) : json_null_new());
    json_dump(o, out);
    json_free(o);
}

/* ---- decode ---- */

static bool
bad(struct err *e, const char *what)
{
    return err_set(e, MR_TARGET_CHECKPOINT, "checkpoint: bad %s", what);
}

static bool
cut_from_json(const struct json *j, struct cut_id *out)
{
    out->epoch = json_u64_value(json_at(j, 0), UINT64_MAX);
    out->seq = json_u64_value(json_at(j, 1), UINT64_MAX);
    return json_is_array(j) && json_len(j) == 2 && out->epoch != UINT64_MAX &&
           out->seq != UINT64_MAX;
}

static bool
sources_from_json(const struct json *o, struct checkpoint *c, struct err *e)
{
    const char *name;
    struct json *v;
    const struct json *cut = json_get(o, "cut"), *offset = json_get(o, "progress_offset");
    if (!json_is_object(cut) || !json_is_object(offset))
        return bad(e, "cut");
    for (void *it = NULL; (it = json_next(cut, it, &name, &v)) != NULL;) {
        uint64_t n;
        struct cut_id id;
        if (!text_u64(name, &n) || n > UINT32_MAX || !cut_from_json(v, &id))
            return bad(e, "cut");
        struct checkpoint_source *s = checkpoint_source(c, (uint32_t)n);
        s->cut = id;
        s->progress_offset = json_get_i64(offset, name, 0);
    }
    return true;
}

static bool
part_from_json(struct checkpoint *c, const char *topic, const char *name, const struct json *v)
{
    uint64_t n;
    if (!text_u64(name, &n) || n > INT32_MAX || !json_is_array(v) || json_len(v) != 3)
        return false;
    struct checkpoint_part *p = checkpoint_part(c, topic, (int32_t)n);
    p->offset = json_i64_value(json_at(v, 0), -2);
    p->epoch = json_u64_value(json_at(v, 1), UINT64_MAX);
    p->seq = json_u64_value(json_at(v, 2), UINT64_MAX);
    return p->offset >= -1 && p->epoch != UINT64_MAX && p->seq != UINT64_MAX;
}

static bool
topics_from_json(const struct json *o, struct checkpoint *c, struct err *e)
{
    const char *topic, *name;
    struct json *list, *v;
    const struct json *parts = json_get(o, "parts"), *versions = json_get(o, "versions");
    if (!json_is_object(parts) || !json_is_object(versions))
        return bad(e, "parts");
    for (void *it = NULL; (it = json_next(parts, it, &topic, &list)) != NULL;) {
        for (void *at = NULL; (at = json_next(list, at, &name, &v)) != NULL;) {
            if (!part_from_json(c, topic, name, v))
                return bad(e, "parts");
        }
    }
    for (void *it = NULL; (it = json_next(versions, it, &topic, &v)) != NULL;)
        checkpoint_topic(c, topic)->version = (uint32_t)json_u64_value(v, 0);
    return true;
}

static bool
intent_from_json(const struct json *j, struct checkpoint *c, struct err *e)
{
    struct cut_id id;
    if (json_is_null(j))
        return true;
    const char *kind = json_get_str(j, "kind", NULL);
    if (!kind || !cut_from_json(json_get(j, "id"), &id))
        return bad(e, "intent");
    checkpoint_set_intent(c, kind, id, json_get_str(j, "statement", ""),
                          json_get_str(j, "done", ""));
    return true;
}

static bool
inc_from_json(const struct json *o, struct checkpoint *c, struct err *e)
{
    uint8_t b[8];
    const char *inc = json_get_str(o, "inc", "");
    if (strlen(inc) != 16 || !hex_decode(inc, b, sizeof b))
        return bad(e, "inc");
    struct reader r = reader_of(bytes_of(b, sizeof b));
    c->inc = reader_be(&r, 8);
    return true;
}

static bool
fields_from_json(const struct json *o, struct checkpoint *c, struct err *e)
{
    int64_t v = json_get_i64(o, "v", -1);
    if (v != CHECKPOINT_FORMAT)
        return err_set(e, MR_TARGET_CHECKPOINT, "checkpoint of format %" PRId64, v);
    if (!inc_from_json(o, c, e) || !sources_from_json(o, c, e) || !topics_from_json(o, c, e) ||
        !intent_from_json(json_get(o, "intent"), c, e))
        return false;
    c->commit_us = json_get_u64(o, "commit_us", 0);
    struct json *loads = json_get(o, "loads");
    c->loads = json_is_null(loads) ? NULL : json_ref(loads);
    return true;
}

bool
checkpoint_decode(struct bytes state, struct checkpoint *out, struct err *e)
{
    struct json *o;
    checkpoint_free(out);
    if (!json_parse(state, &o, e))
        return err_set(e, MR_TARGET_CHECKPOINT, "checkpoint is not JSON");
    bool ok = fields_from_json(o, out, e);
    json_free(o);
    if (!ok)
        checkpoint_free(out);
    return ok;
}

/* ---- comparison ---- */

static bool
same_state(const struct checkpoint *a, const struct checkpoint *b)
{
    struct buf x = {0}, y = {0};
    checkpoint_encode(a, &x);
    checkpoint_encode(b, &y);
    bool same = bytes_eq(buf_bytes(&x), buf_bytes(&y));
    buf_free(&x);
    buf_free(&y);
    return same;
}

bool
checkpoint_is_base(const struct checkpoint *stored, const struct checkpoint *base)
{
    return stored->owner == base->owner && stored->instance == base->instance &&
           stored->commits == base->commits && same_state(stored, base);
}

enum checkpoint_outcome
checkpoint_after_unknown(const struct checkpoint *stored, const struct checkpoint *base,
                         const struct checkpoint *written)
{
    if (checkpoint_is_base(stored, base))
        return CHECKPOINT_NOT_COMMITTED;
    if (checkpoint_is_base(stored, written))
        return CHECKPOINT_COMMITTED;
    return CHECKPOINT_TAKEN;
}
