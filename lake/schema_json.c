/* Schemas: to JSON and back, and from one to the next. */
#include "lake/schema_json.h"

#define FIELDS_MAX 10000

static struct json *
field_json(const struct lake_field *f)
{
    char type[LAKE_TYPE_TEXT_MAX];
    struct json *j = json_object_new();
    json_set(j, "id", json_i64(f->id));
    json_set(j, "name", json_str(f->name));
    json_set(j, "required", json_bool_new(f->required));
    json_set(j, "type", json_str(lake_type_text(&f->type, type)));
    return j;
}

struct json *
schema_json_write(const struct lake_schema *s)
{
    struct json *j = json_object_new();
    struct json *fields = json_array_new();
    struct json *ids = json_array_new();
    for (uint32_t i = 0; i < s->field_count; i++)
        json_push(fields, field_json(&s->fields[i]));
    for (uint32_t i = 0; i < s->identifier_count; i++)
        json_push(ids, json_i64(s->identifier_ids[i]));
    json_set(j, "type", json_str("struct"));
    json_set(j, "schema-id", json_i64(s->id));
    json_set(j, "identifier-field-ids", ids);
    json_set(j, "fields", fields);
    return j;
}

static bool
read_field(const struct json *j, struct arena *a, struct lake_field *out, struct err *e)
{
    int64_t id = json_get_i64(j, "id", -1);
    const struct json *type = json_get(j, "type");
    struct bytes name = json_bytes_value(json_get(j, "name"));
    if (id < 0 || id > INT32_MAX || !name.p || memchr(name.p, 0, name.n) || json_is_null(type))
        return err_set(e, MR_LAKE_METADATA, "a field of the schema lacks id, name or type");
    out->id = (int32_t)id;
    out->name = arena_strn(a, name);
    out->required = json_get_bool(j, "required", false);
    if (!json_is_str(type) || !lake_type_parse(json_bytes_value(type), &out->type))
        return err_set(e, MR_LAKE_UNSUPPORTED, "column %s: type %s", out->name,
                       json_str_value(type, "nested"));
    return true;
}

static bool
read_identifiers(const struct json *list, struct arena *a, struct lake_schema *out,
                 struct err *e)
{
    size_t n = json_len(list);
    int32_t *ids = arena_zalloc(a, (n + 1) * sizeof(*ids));
    for (size_t i = 0; i < n; i++) {
        int64_t id = json_i64_value(json_at(list, i), -1);
        if (id < 0 || id > INT32_MAX || !lake_schema_find(out, (int32_t)id))
            return err_set(e, MR_LAKE_METADATA, "an identifier field is not in the schema");
        ids[i] = (int32_t)id;
    }
    out->identifier_ids = ids;
    out->identifier_count = (uint32_t)n;
    return true;
}

bool
schema_json_read(const struct json *j, struct arena *a, struct lake_schema *out, struct err *e)
{
    const struct json *list = json_get(j, "fields");
    size_t n = json_len(list);
    int64_t id = json_get_i64(j, "schema-id", 0);
    if (!json_is_array(list) || n > FIELDS_MAX || id < 0 || id > INT32_MAX)
        return err_set(e, MR_LAKE_METADATA, "not a schema of a table");
    struct lake_field *fields = arena_zalloc(a, (n + 1) * sizeof(*fields));
    for (size_t i = 0; i < n; i++)
        if (!read_field(json_at(list, i), a, &fields[i], e))
            return false;
    *out =
        (struct lake_schema){.id = (int32_t)id, .fields = fields, .field_count = (uint32_t)n};
    return read_identifiers(json_get(j, "identifier-field-ids"), a, out, e);
}

static bool
change_refused(const struct lake_field *f, const char *why, struct err *e)
{
    return err_set(e, MR_LAKE_SCHEMA, "column %s: %s", f ? f->name : "(unknown)", why);
}

static bool
is_identifier(const struct lake_schema *s, int32_t id)
{
    for (uint32_t i = 0; i < s->identifier_count; i++)
        if (s->identifier_ids[i] == id)
            return true;
    return false;
}

static uint32_t
index_of(const struct lake_field *fields, uint32_t n, int32_t id)
{
    uint32_t i = 0;
    while (i < n && fields[i].id != id)
        i++;
    return i;
}

/* Moves fields[from] to index `to`, the others close up. */
static void
move_field(struct lake_field *fields, uint32_t from, uint32_t to)
{
    struct lake_field f = fields[from];
    if (from < to)
        memmove(&fields[from], &fields[from + 1], (to - from) * sizeof(f));
    else
        memmove(&fields[to + 1], &fields[to], (from - to) * sizeof(f));
    fields[to] = f;
}

static bool
place_field(struct lake_field *fields, uint32_t n, uint32_t at, int32_t after, struct err *e)
{
    uint32_t prior = index_of(fields, n, after);
    if (after == 0) {
        move_field(fields, at, 0);
        return true;
    }
    if (prior == n || prior == at)
        return change_refused(&fields[at], "cannot be moved behind itself or an unknown one",
                              e);
    move_field(fields, at, prior < at ? prior + 1 : prior);
    return true;
}

static bool
name_is_free(const struct lake_schema *s, const char *name, struct err *e)
{
    const struct lake_field *f = lake_schema_find_name(s, bytes_str(name));
    return !f || change_refused(f, "a column of that name exists", e);
}

bool
schema_change_apply(const struct lake_schema *now, const struct schema_change *change,
                    int32_t *last_column_id, struct arena *a, struct lake_schema *out,
                    struct err *e)
{
    uint32_t n = now->field_count;
    struct lake_field *fields = arena_zalloc(a, (n + 1) * sizeof(*fields));
    if (n)
        memcpy(fields, now->fields, n * sizeof(*fields));
    uint32_t at = index_of(fields, n, change->id);
    if (change->kind != SCHEMA_ADD && at == n)
        return change_refused(NULL, "no such column", e);
    switch (change->kind) {
    case SCHEMA_ADD:
        if (!name_is_free(now, change->name, e))
            return false;
        fields[n++] = (struct lake_field){++*last_column_id, arena_strdup(a, change->name),
                                          change->type, false};
        break;
    case SCHEMA_DROP:
        if (is_identifier(now, change->id))
            return change_refused(&fields[at], "it is part of the key", e);
        move_field(fields, at, --n);
        break;
    case SCHEMA_RENAME:
        if (strcmp(fields[at].name, change->name) != 0 && !name_is_free(now, change->name, e))
            return false;
        fields[at].name = arena_strdup(a, change->name);
        break;
    case SCHEMA_WIDEN:
        if (!lake_type_promotes(&fields[at].type, &change->type))
            return change_refused(&fields[at], "its type cannot become the new one", e);
        fields[at].type = change->type;
        break;
    case SCHEMA_MOVE:
        if (!place_field(fields, n, at, change->after, e))
            return false;
        break;
    }
    *out = *now;
    out->fields = fields;
    out->field_count = n;
    return true;
}
