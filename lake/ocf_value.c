/* Avro schemas compiled, and values read by them.
 *
 * Limits: schemas OCF_DEPTH_MAX deep, a record with all that is in it OCF_TYPES_MAX types, the
 * values of a file OCF_MEMORY_MAX bytes. A value of width 0 (null, an empty record) in an array
 * would let a small file claim any number of items: refused.
 */
#include <stdlib.h>

#include "base/json.h"
#include "lake/ocf_private.h"

#define OCF_DEPTH_MAX  24
#define OCF_TYPES_MAX  4096
#define OCF_MEMORY_MAX ((size_t)512 << 20)

struct ocf_compiler {
    struct arena *a;
    unsigned types;
    const char *names[64];
    struct ocf_type *named[64];
    size_t named_len;
};

static bool
compile(struct ocf_compiler *c, const struct json *j, unsigned depth, struct ocf_type **out,
        struct err *e);

static bool
bad_schema(struct err *e, const char *what)
{
    return err_set(e, MR_LAKE_METADATA, "the schema of an Avro file: %s", what);
}

/* A type used again counts again: so does its value. */
static bool
count_in(struct ocf_type *t, const struct ocf_type *inner, struct err *e)
{
    t->types += inner->types + 1;
    return t->types <= OCF_TYPES_MAX || bad_schema(e, "too many types");
}

static bool
compile_name(struct ocf_compiler *c, const char *name, struct ocf_type *t,
             struct ocf_type **out, struct err *e)
{
    static const struct {
        const char *name;
        enum ocf_type_kind kind;
        size_t width;
    } primitives[] = {
        {"null", OCF_T_NULL, 0},   {"boolean", OCF_T_BOOLEAN, 1}, {"int", OCF_T_LONG, 1},
        {"long", OCF_T_LONG, 1},   {"float", OCF_T_FLOAT, 4},     {"double", OCF_T_DOUBLE, 8},
        {"bytes", OCF_T_BYTES, 1}, {"string", OCF_T_BYTES, 1},
    };
    for (size_t i = 0; i < ARRAY_LEN(primitives); i++)
        if (strcmp(name, primitives[i].name) == 0) {
            t->kind = primitives[i].kind;
            t->width_min = primitives[i].width;
            *out = t;
            return true;
        }
    for (size_t i = 0; i < c->named_len; i++)
        if (strcmp(name, c->names[i]) == 0 && c->named[i]) {
            *out = c->named[i];
            return true;
        }
    return bad_schema(e, "a type that is not defined before it is used");
}

static bool
compile_union(struct ocf_compiler *c, const struct json *j, unsigned depth, struct ocf_type *t,
              struct err *e)
{
    t->kind = OCF_T_UNION;
    t->len = json_len(j);
    t->width_min = 1;
    t->inner = arena_zalloc(c->a, (t->len + 1) * sizeof(struct ocf_type *));
    for (size_t i = 0; i < t->len; i++)
        if (!compile(c, json_at(j, i), depth, &t->inner[i], e) || !count_in(t, t->inner[i], e))
            return false;
    return t->len > 0 || bad_schema(e, "an empty union");
}

static bool
compile_record(struct ocf_compiler *c, const struct json *j, unsigned depth, struct ocf_type *t,
               struct err *e)
{
    const struct json *fields = json_get(j, "fields");
    if (!json_is_array(fields))
        return bad_schema(e, "a record without fields");
    t->kind = OCF_T_RECORD;
    t->len = json_len(fields);
    t->inner = arena_zalloc(c->a, (t->len + 1) * sizeof(struct ocf_type *));
    t->field_ids = arena_zalloc(c->a, (t->len + 1) * sizeof(int32_t));
    for (size_t i = 0; i < t->len; i++) {
        const struct json *f = json_at(fields, i);
        t->field_ids[i] = (int32_t)json_get_i64(f, "field-id", -1);
        if (!compile(c, json_get(f, "type"), depth, &t->inner[i], e) ||
            !count_in(t, t->inner[i], e))
            return false;
        t->width_min += t->inner[i]->width_min;
    }
    return true;
}

static bool
compile_list(struct ocf_compiler *c, const struct json *items, enum ocf_type_kind kind,
             unsigned depth, struct ocf_type *t, struct err *e)
{
    t->kind = kind;
    t->len = 1;
    t->width_min = 1;
    t->inner = arena_zalloc(c->a, sizeof(struct ocf_type *));
    if (!compile(c, items, depth, &t->inner[0], e) || !count_in(t, t->inner[0], e))
        return false;
    return kind == OCF_T_MAP || t->inner[0]->width_min > 0 ||
           bad_schema(e, "an array of items without bytes");
}

static bool
compile_sized(const struct json *j, bool is_enum, struct ocf_type *t, struct err *e)
{
    t->kind = is_enum ? OCF_T_ENUM : OCF_T_FIXED;
    int64_t size =
        is_enum ? (int64_t)json_len(json_get(j, "symbols")) : json_get_i64(j, "size", -1);
    if (size < 0 || size > INT32_MAX)
        return bad_schema(e, "a size out of range");
    t->size = (size_t)size;
    t->width_min = is_enum ? 1 : t->size;
    return true;
}

static bool
compile_object(struct ocf_compiler *c, const struct json *j, unsigned depth, struct ocf_type *t,
               struct ocf_type **out, struct err *e)
{
    const char *kind = json_get_str(j, "type", NULL);
    const char *name = json_get_str(j, "name", NULL);
    bool ok;
    if (!kind)
        return compile(c, json_get(j, "type"), depth, out, e);
    size_t slot = c->named_len;
    if (name && slot < ARRAY_LEN(c->names))
        c->names[c->named_len++] = arena_strdup(c->a, name);
    if (strcmp(kind, "record") == 0)
        ok = compile_record(c, j, depth, t, e);
    else if (strcmp(kind, "array") == 0)
        ok = compile_list(c, json_get(j, "items"), OCF_T_ARRAY, depth, t, e);
    else if (strcmp(kind, "map") == 0)
        ok = compile_list(c, json_get(j, "values"), OCF_T_MAP, depth, t, e);
    else if (strcmp(kind, "fixed") == 0 || strcmp(kind, "enum") == 0)
        ok = compile_sized(j, *kind == 'e', t, e);
    else
        return compile_name(c, kind, t, out, e);
    if (name && slot < ARRAY_LEN(c->names))
        c->named[slot] = t;
    *out = t;
    return ok;
}

static bool
compile(struct ocf_compiler *c, const struct json *j, unsigned depth, struct ocf_type **out,
        struct err *e)
{
    if (depth > OCF_DEPTH_MAX || ++c->types > OCF_TYPES_MAX)
        return bad_schema(e, "too deep, or too many types");
    struct ocf_type *t = arena_zalloc(c->a, sizeof(*t));
    *out = t;
    if (json_is_str(j))
        return compile_name(c, json_str_value(j, ""), t, out, e);
    if (json_is_array(j))
        return compile_union(c, j, depth + 1, t, e);
    if (json_is_object(j))
        return compile_object(c, j, depth + 1, t, out, e);
    return bad_schema(e, "a type is missing");
}

bool
ocf_type_parse(struct bytes schema, struct arena *a, struct ocf_type **out, struct err *e)
{
    struct ocf_compiler c = {.a = a};
    struct json *j;
    if (!json_parse(schema, &j, e)) {
        err_prefix(e, "the schema of an Avro file");
        e->code = MR_LAKE_METADATA;
        return err_reclass(e, err_info(MR_LAKE_METADATA)->class);
    }
    bool ok = compile(&c, j, 0, out, e) &&
              ((*out)->kind == OCF_T_RECORD || bad_schema(e, "it is not a record"));
    json_free(j);
    return ok && ((*out)->width_min > 0 || bad_schema(e, "a record without bytes"));
}

static void
take_record(struct reader *r, const struct ocf_type *type, struct arena *a,
            struct ocf_value *out)
{
    struct ocf_value *fields = arena_zalloc(a, (type->len + 1) * sizeof(*fields));
    r->failed = r->failed || a->used > OCF_MEMORY_MAX;
    for (size_t i = 0; i < type->len && !r->failed; i++) {
        ocf_take_value(r, type->inner[i], a, &fields[i]);
        fields[i].field_id = type->field_ids[i];
    }
    out->kind = OCF_RECORD;
    out->v.list.items = fields;
    out->v.list.len = type->len;
}

/* {key, value} of a map as a record. */
static void
take_pair(struct reader *r, const struct ocf_type *type, struct arena *a, struct ocf_value *out)
{
    struct ocf_value *pair = arena_zalloc(a, 2 * sizeof(*pair));
    pair[0] = (struct ocf_value){.kind = OCF_BYTES, .field_id = -1};
    pair[0].v.b = ocf_take_bytes(r);
    ocf_take_value(r, type->inner[0], a, &pair[1]);
    *out = (struct ocf_value){.kind = OCF_RECORD, .field_id = -1};
    out->v.list.items = pair;
    out->v.list.len = 2;
}

static void
take_list(struct reader *r, const struct ocf_type *type, struct arena *a, struct ocf_value *out)
{
    struct buf items = {.max = OCF_MEMORY_MAX};
    size_t width = type->kind == OCF_T_MAP ? 1 : type->inner[0]->width_min;
    for (int64_t n; (n = ocf_take_count(r)) > 0 && !r->failed;) {
        if ((uint64_t)n > reader_left(r) / width)
            r->failed = true;
        for (; n > 0 && !r->failed; n--) {
            struct ocf_value v;
            if (type->kind == OCF_T_MAP)
                take_pair(r, type, a, &v);
            else
                ocf_take_value(r, type->inner[0], a, &v);
            buf_add(&items, &v, sizeof(v));
        }
    }
    out->kind = OCF_ARRAY;
    out->v.list.len = items.n / sizeof(struct ocf_value);
    out->v.list.items =
        (const struct ocf_value *)(const void *)arena_copy(a, buf_bytes(&items)).p;
    r->failed = r->failed || items.failed;
    buf_free(&items);
}

static double
take_float(struct reader *r, size_t n)
{
    uint64_t bits = reader_le(r, n);
    uint32_t narrow = (uint32_t)bits;
    float f;
    double d;
    memcpy(&f, &narrow, sizeof(f));
    memcpy(&d, &bits, sizeof(d));
    return n == 4 ? (double)f : d;
}

static void
take_union(struct reader *r, const struct ocf_type *type, struct arena *a,
           struct ocf_value *out)
{
    int64_t branch = ocf_take_long(r);
    if (branch < 0 || (uint64_t)branch >= type->len)
        r->failed = true;
    if (!r->failed)
        ocf_take_value(r, type->inner[branch], a, out);
}

void
ocf_take_value(struct reader *r, const struct ocf_type *type, struct arena *a,
               struct ocf_value *out)
{
    *out = (struct ocf_value){.kind = OCF_NULL, .field_id = -1};
    switch (type->kind) {
    case OCF_T_NULL:
        break;
    case OCF_T_BOOLEAN:
        out->kind = OCF_BOOL;
        out->v.i = reader_u8(r) != 0;
        break;
    case OCF_T_LONG:
    case OCF_T_ENUM:
        out->kind = OCF_LONG;
        out->v.i = ocf_take_long(r);
        break;
    case OCF_T_FLOAT:
    case OCF_T_DOUBLE:
        out->kind = OCF_DOUBLE;
        out->v.d = take_float(r, type->width_min);
        break;
    case OCF_T_BYTES:
        out->kind = OCF_BYTES;
        out->v.b = ocf_take_bytes(r);
        break;
    case OCF_T_FIXED:
        out->kind = OCF_BYTES;
        out->v.b = reader_take(r, type->size);
        break;
    case OCF_T_UNION:
        take_union(r, type, a, out);
        break;
    case OCF_T_RECORD:
        take_record(r, type, a, out);
        break;
    case OCF_T_ARRAY:
    case OCF_T_MAP:
        take_list(r, type, a, out);
        break;
    }
}
