/* YAML events of libyaml to struct json. */
#include "base/yaml.h"

#include <stdlib.h>
#include <yaml.h>

#include "base/file.h"
#include "base/map.h"
#include "base/mem.h"
#include "base/text.h"

#define YAML_DEPTH_MAX 64
#define YAML_NODES_MAX 100000

struct anchor {
    struct json *value;
    size_t nodes; /* how many nodes a use of it adds */
};

struct loader {
    yaml_parser_t parser;
    const char *name;
    struct map anchors; /* name -> struct anchor */
    struct arena mem;
    size_t nodes;
    size_t depth;
    struct err *e;
};

static bool
fail_at(struct loader *l, const yaml_event_t *ev, const char *what)
{
    return err_set(l->e, MR_CONFIG, "%s line %zu: %s", l->name, ev->start_mark.line + 1, what);
}

static bool
next_event(struct loader *l, yaml_event_t *ev)
{
    if (yaml_parser_parse(&l->parser, ev))
        return true;
    const char *problem = l->parser.problem ? l->parser.problem : "not YAML";
    return err_set(l->e, MR_CONFIG, "%s line %zu: %s", l->name, l->parser.problem_mark.line + 1,
                   problem);
}

static struct bytes
scalar_bytes(const yaml_event_t *ev)
{
    return bytes_of(ev->data.scalar.value, ev->data.scalar.length);
}

static bool
is_word(const char *s, const char *const *words, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (strcmp(s, words[i]) == 0)
            return true;
    }
    return false;
}

/* [-+]? digits with a '.' or an exponent. */
static bool
is_float(const char *s)
{
    s += *s == '-' || *s == '+';
    size_t whole = strspn(s, "0123456789");
    s += whole;
    size_t part = 0;
    bool point = *s == '.';
    if (point) {
        part = strspn(++s, "0123456789");
        s += part;
    }
    if (whole + part == 0)
        return false;
    bool exponent = *s == 'e' || *s == 'E';
    if (exponent) {
        s++;
        s += *s == '-' || *s == '+';
        size_t digits = strspn(s, "0123456789");
        s += digits;
        if (!digits)
            return false;
    }
    return !*s && (point || exponent);
}

/* A plain scalar by the core schema. A whole number that would be written differently again
 * (007, +1, 0x10) stays text: nobody knows whether it was meant as a number. */
static struct json *
plain_value(struct bytes b)
{
    static const char *const nulls[] = {"", "~", "null", "Null", "NULL"};
    static const char *const trues[] = {"true", "True", "TRUE"};
    static const char *const falses[] = {"false", "False", "FALSE"};
    const char *s = (const char *)b.p; /* libyaml ends it with a NUL */
    if (strlen(s) != b.n)
        return json_bytes(b);
    if (is_word(s, nulls, ARRAY_LEN(nulls)))
        return json_null_new();
    bool yes = is_word(s, trues, ARRAY_LEN(trues));
    if (yes || is_word(s, falses, ARRAY_LEN(falses)))
        return json_bool_new(yes);
    int64_t i;
    const char *digits = s + (*s == '-');
    if (*s != '+' && (*digits != '0' || strcmp(s, "0") == 0) && text_i64(s, &i))
        return json_i64(i);
    return is_float(s) ? json_real_new(strtod(s, NULL)) : json_bytes(b);
}

static bool
is_tag(const yaml_char_t *tag, const char *name)
{
    return tag && strcmp((const char *)tag, name) == 0;
}

static bool
scalar_value(struct loader *l, const yaml_event_t *ev, struct json **out)
{
    const yaml_char_t *tag = ev->data.scalar.tag;
    bool is_text = is_tag(tag, YAML_STR_TAG) || is_tag(tag, "!");
    if (tag && !is_text)
        return fail_at(l, ev, "a tag other than !!str");
    if (is_text || ev->data.scalar.style != YAML_PLAIN_SCALAR_STYLE)
        *out = json_bytes(scalar_bytes(ev));
    else
        *out = plain_value(scalar_bytes(ev));
    return true;
}

static bool
node_value(struct loader *l, yaml_event_t *ev, struct json **out);

static bool
fill_sequence(struct loader *l, struct json *list)
{
    for (;;) {
        yaml_event_t ev;
        struct json *item;
        if (!next_event(l, &ev))
            return false;
        bool end = ev.type == YAML_SEQUENCE_END_EVENT;
        bool ok = end || node_value(l, &ev, &item);
        yaml_event_delete(&ev);
        if (!ok || end)
            return ok;
        json_push(list, item);
    }
}

static bool
check_key(struct loader *l, const yaml_event_t *ev, const struct json *map)
{
    if (ev->type != YAML_SCALAR_EVENT)
        return fail_at(l, ev, "a key that is not a plain text");
    const char *key = (const char *)ev->data.scalar.value;
    if (strlen(key) != ev->data.scalar.length || !text_is_utf8(scalar_bytes(ev)))
        return fail_at(l, ev, "a key that is not a plain text");
    if (strcmp(key, "<<") == 0 && ev->data.scalar.style == YAML_PLAIN_SCALAR_STYLE)
        return fail_at(l, ev, "merge keys (<<) are not supported");
    if (json_get(map, key))
        return err_set(l->e, MR_CONFIG, "%s line %zu: key %s stands twice", l->name,
                       ev->start_mark.line + 1, key);
    return true;
}

static bool
fill_member(struct loader *l, const yaml_event_t *key, struct json *map)
{
    yaml_event_t ev;
    struct json *value;
    if (!check_key(l, key, map) || !next_event(l, &ev))
        return false;
    bool ok = node_value(l, &ev, &value);
    yaml_event_delete(&ev);
    if (ok)
        json_set(map, (const char *)key->data.scalar.value, value);
    return ok;
}

static bool
fill_mapping(struct loader *l, struct json *map)
{
    for (;;) {
        yaml_event_t ev;
        if (!next_event(l, &ev))
            return false;
        bool end = ev.type == YAML_MAPPING_END_EVENT;
        bool ok = end || fill_member(l, &ev, map);
        yaml_event_delete(&ev);
        if (!ok || end)
            return ok;
    }
}

static bool
collection_value(struct loader *l, const yaml_event_t *ev, struct json **out)
{
    bool map = ev->type == YAML_MAPPING_START_EVENT;
    const yaml_char_t *tag = map ? ev->data.mapping_start.tag : ev->data.sequence_start.tag;
    if (tag && !is_tag(tag, map ? YAML_MAP_TAG : YAML_SEQ_TAG))
        return fail_at(l, ev, "an unknown tag");
    if (++l->depth > YAML_DEPTH_MAX)
        return fail_at(l, ev, "nested too deep");
    struct json *j = map ? json_object_new() : json_array_new();
    bool ok = map ? fill_mapping(l, j) : fill_sequence(l, j);
    l->depth--;
    if (ok)
        *out = j;
    else
        json_free(j);
    return ok;
}

static bool
alias_value(struct loader *l, const yaml_event_t *ev, struct json **out)
{
    struct map_slot *s = map_get(&l->anchors, bytes_str((const char *)ev->data.alias.anchor));
    if (!s)
        return fail_at(l, ev, "an alias without its anchor");
    const struct anchor *a = s->v.ptr;
    l->nodes += a->nodes;
    *out = json_ref(a->value);
    return true;
}

/* The anchor's value counts from now on; a later anchor of the same name replaces it. */
static void
keep_anchor(struct loader *l, const yaml_char_t *name, struct json *value, size_t nodes)
{
    bool fresh;
    struct bytes key = arena_copy(&l->mem, bytes_str((const char *)name));
    struct map_slot *s = map_put(&l->anchors, key, &fresh);
    if (fresh)
        s->v.ptr = arena_zalloc(&l->mem, sizeof(struct anchor));
    struct anchor *a = s->v.ptr;
    json_free(a->value);
    a->value = json_ref(value);
    a->nodes = nodes;
}

static bool
node_value(struct loader *l, yaml_event_t *ev, struct json **out)
{
    size_t nodes_before = l->nodes++;
    const yaml_char_t *anchor = NULL;
    bool ok;
    switch (ev->type) {
    case YAML_ALIAS_EVENT:
        ok = alias_value(l, ev, out);
        break;
    case YAML_SCALAR_EVENT:
        anchor = ev->data.scalar.anchor;
        ok = scalar_value(l, ev, out);
        break;
    case YAML_SEQUENCE_START_EVENT:
        anchor = ev->data.sequence_start.anchor;
        ok = collection_value(l, ev, out);
        break;
    case YAML_MAPPING_START_EVENT:
        anchor = ev->data.mapping_start.anchor;
        ok = collection_value(l, ev, out);
        break;
    default:
        return fail_at(l, ev, "something unexpected");
    }
    if (ok && l->nodes > YAML_NODES_MAX) {
        json_free(*out);
        return fail_at(l, ev, "too many nodes");
    }
    if (ok && anchor)
        keep_anchor(l, anchor, *out, l->nodes - nodes_before);
    return ok;
}

/* Reads one event and says whether it is of the wanted type. */
static bool
skip_event(struct loader *l, yaml_event_type_t want, bool *is)
{
    yaml_event_t ev;
    if (!next_event(l, &ev))
        return false;
    *is = ev.type == want;
    yaml_event_delete(&ev);
    return true;
}

static bool
load_document(struct loader *l, struct json **out)
{
    bool is;
    yaml_event_t ev;
    if (!skip_event(l, YAML_STREAM_START_EVENT, &is) ||
        !skip_event(l, YAML_DOCUMENT_START_EVENT, &is))
        return false;
    if (!is) {
        *out = json_object_new();
        return true;
    }
    if (!next_event(l, &ev))
        return false;
    bool ok = node_value(l, &ev, out);
    yaml_event_delete(&ev);
    if (!ok)
        return false;
    ok = skip_event(l, YAML_DOCUMENT_END_EVENT, &is) &&
         skip_event(l, YAML_STREAM_END_EVENT, &is);
    if (ok && !is)
        ok = err_set(l->e, MR_CONFIG, "%s: more than one document", l->name);
    if (!ok)
        json_free(*out);
    return ok;
}

bool
yaml_parse(struct bytes text, const char *name, struct json **out, struct err *e)
{
    struct loader l = {.name = name, .e = e};
    if (text.n > YAML_SIZE_MAX)
        return err_set(e, MR_CONFIG, "%s: larger than %zu bytes", name, YAML_SIZE_MAX);
    if (!yaml_parser_initialize(&l.parser))
        return err_set(e, MR_NO_MEMORY, "reading %s", name);
    arena_init(&l.mem, 4096);
    yaml_parser_set_input_string(&l.parser, text.n ? text.p : (const uint8_t *)"", text.n);
    struct json *j = NULL;
    bool ok = load_document(&l, &j);
    yaml_parser_delete(&l.parser);
    for (struct map_slot *s = NULL; (s = map_next(&l.anchors, s)) != NULL;)
        json_free(((struct anchor *)s->v.ptr)->value);
    map_free(&l.anchors);
    arena_free(&l.mem);
    if (ok && json_is_null(j)) {
        json_free(j);
        j = json_object_new();
    }
    if (ok)
        *out = j;
    return ok;
}

bool
yaml_load(const char *path, struct json **out, struct err *e)
{
    struct buf text = {0};
    bool ok = file_read(path, YAML_SIZE_MAX, &text, e);
    if (!ok)
        err_set(e, MR_CONFIG, "%s", e->text);
    ok = ok && yaml_parse(buf_bytes(&text), path, out, e);
    buf_free(&text);
    return ok;
}
