/* JSON over jansson: a struct json is a json_t. */
#include <jansson.h>
/* jansson has macros of these names. */
#undef json_is_object
#undef json_is_array
#undef json_is_null

#include "base/json.h"

#include <inttypes.h>
#include <stdio.h>

#include "base/mem.h"
#include "base/text.h"

/* Our pointers are const where nothing changes; jansson's reference counts and lookups are not.
 */
static json_t *
inner(const struct json *j)
{
    union {
        const struct json *c;
        json_t *j;
    } u = {.c = j};
    return u.j;
}

static struct json *
outer(json_t *j)
{
    return (struct json *)j;
}

static struct json *
made(json_t *j)
{
    if (!j)
        mem_die("no memory for a JSON value");
    return outer(j);
}

bool
json_parse(struct bytes text, struct json **out, struct err *e)
{
    json_error_t why;
    const char *p = text.n ? (const char *)text.p : "";
    size_t flags = JSON_REJECT_DUPLICATES | JSON_DECODE_ANY | JSON_ALLOW_NUL;
    json_t *j = json_loadb(p, text.n, flags, &why);
    if (!j)
        return err_set(e, MR_KAFKA_BAD_RECORD, "bad JSON at byte %d: %s", why.position,
                       why.text);
    *out = outer(j);
    return true;
}

void
json_free(struct json *j)
{
    json_decref(inner(j));
}

struct json *
json_ref(struct json *j)
{
    return outer(json_incref(inner(j)));
}

static int
dump_part(const char *p, size_t n, void *out)
{
    buf_add(out, p, n);
    return 0;
}

static void
dump(const struct json *j, size_t flags, struct buf *out)
{
    if (json_dump_callback(inner(j), dump_part, out, flags | JSON_ENCODE_ANY))
        out->failed = true;
}

void
json_dump(const struct json *j, struct buf *out)
{
    dump(j, JSON_COMPACT, out);
}

void
json_dump_pretty(const struct json *j, struct buf *out)
{
    dump(j, JSON_INDENT(2), out);
}

struct json *
json_object_new(void)
{
    return made(json_object());
}

struct json *
json_array_new(void)
{
    return made(json_array());
}

struct json *
json_null_new(void)
{
    return made(json_null());
}

struct json *
json_bool_new(bool v)
{
    return made(json_boolean(v));
}

struct json *
json_i64(int64_t v)
{
    return made(json_integer(v));
}

struct json *
json_u64(uint64_t v)
{
    if (v <= INT64_MAX)
        return json_i64((int64_t)v);
    char text[24];
    snprintf(text, sizeof(text), "%" PRIu64, v);
    return json_str(text);
}

struct json *
json_real_new(double v)
{
    return made(json_real(v));
}

struct json *
json_str(const char *s)
{
    return s ? json_bytes(bytes_str(s)) : json_null_new();
}

struct json *
json_bytes(struct bytes b)
{
    const char *p = b.n ? (const char *)b.p : "";
    json_t *j = json_stringn(p, b.n);
    if (j)
        return outer(j);
    struct buf clean = {0};
    text_utf8(b, &clean);
    j = json_stringn(buf_cstr(&clean), clean.n);
    buf_free(&clean);
    return made(j);
}

void
json_set(struct json *o, const char *key, struct json *v)
{
    json_incref(inner(v));
    int failed = json_object_set_new(inner(o), key, inner(v));
    if (failed) {
        struct buf clean = {0};
        text_utf8(bytes_str(key), &clean);
        failed = json_object_set_new(inner(o), buf_cstr(&clean), json_incref(inner(v)));
        buf_free(&clean);
    }
    if (failed)
        mem_die("a JSON member could not be set");
    json_decref(inner(v));
}

void
json_push(struct json *a, struct json *v)
{
    if (json_array_append_new(inner(a), inner(v)))
        mem_die("a JSON item could not be added");
}

void
json_del(struct json *o, const char *key)
{
    (void)json_object_del(inner(o), key);
}

struct json *
json_clone(const struct json *j)
{
    return made(json_deep_copy(inner(j)));
}

struct json *
json_get(const struct json *o, const char *key)
{
    return outer(json_object_get(inner(o), key));
}

const char *
json_get_str(const struct json *o, const char *key, const char *dflt)
{
    return json_str_value(json_get(o, key), dflt);
}

int64_t
json_get_i64(const struct json *o, const char *key, int64_t dflt)
{
    return json_i64_value(json_get(o, key), dflt);
}

uint64_t
json_get_u64(const struct json *o, const char *key, uint64_t dflt)
{
    return json_u64_value(json_get(o, key), dflt);
}

bool
json_get_bool(const struct json *o, const char *key, bool dflt)
{
    json_t *j = inner(json_get(o, key));
    return json_is_boolean(j) ? json_is_true(j) : dflt;
}

bool
json_is_object(const struct json *j)
{
    return j && json_typeof(inner(j)) == JSON_OBJECT;
}

bool
json_is_array(const struct json *j)
{
    return j && json_typeof(inner(j)) == JSON_ARRAY;
}

bool
json_is_str(const struct json *j)
{
    return j && json_typeof(inner(j)) == JSON_STRING;
}

bool
json_is_null(const struct json *j)
{
    return !j || json_typeof(inner(j)) == JSON_NULL;
}

const char *
json_str_value(const struct json *j, const char *dflt)
{
    return json_is_str(j) ? json_string_value(inner(j)) : dflt;
}

struct bytes
json_bytes_value(const struct json *j)
{
    if (!json_is_str(j))
        return (struct bytes){NULL, 0};
    return bytes_of(json_string_value(inner(j)), json_string_length(inner(j)));
}

int64_t
json_i64_value(const struct json *j, int64_t dflt)
{
    return j && json_is_integer(inner(j)) ? json_integer_value(inner(j)) : dflt;
}

uint64_t
json_u64_value(const struct json *j, uint64_t dflt)
{
    uint64_t v;
    if (json_is_str(j) && text_u64(json_string_value(inner(j)), &v))
        return v;
    int64_t i = json_i64_value(j, -1);
    return i < 0 ? dflt : (uint64_t)i;
}

size_t
json_len(const struct json *j)
{
    return json_is_array(j) ? json_array_size(inner(j)) : json_object_size(inner(j));
}

struct json *
json_at(const struct json *a, size_t i)
{
    return outer(json_array_get(inner(a), i));
}

void *
json_next(const struct json *o, void *it, const char **key, struct json **value)
{
    it = it ? json_object_iter_next(inner(o), it) : json_object_iter(inner(o));
    if (it) {
        *key = json_object_iter_key(it);
        *value = outer(json_object_iter_value(it));
    }
    return it;
}
