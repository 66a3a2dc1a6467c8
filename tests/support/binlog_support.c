/* See binlog_support.h. */
#include "support/binlog_support.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"

static const struct collation known[] = {
    {8, "latin1_swedish_ci", "latin1", 1},    {13, "sjis_japanese_ci", "sjis", 2},
    {33, "utf8mb3_general_ci", "utf8mb3", 3}, {35, "ucs2_general_ci", "ucs2", 2},
    {45, "utf8mb4_general_ci", "utf8mb4", 4}, {46, "utf8mb4_bin", "utf8mb4", 4},
    {51, "cp1251_general_ci", "cp1251", 1},   {54, "utf16_general_ci", "utf16", 4},
    {28, "gbk_chinese_ci", "gbk", 2},         {255, "utf8mb4_0900_ai_ci", "utf8mb4", 4},
    {11, "ascii_general_ci", "ascii", 1},     {63, "binary", "binary", 1},
};

void
support_collations(struct collations *out)
{
    *out = (struct collations){.len = 4096};
    arena_init(&out->arena, 0);
    out->by_id = mem_array(out->len, sizeof(*out->by_id));
    for (size_t i = 0; i < ARRAY_LEN(known); i++)
        out->by_id[known[i].id] = known[i];
}

static struct json *
bytes_json(const char *kind, const struct cell *c)
{
    char *hex = mem_alloc(2 * (size_t)c->len + 1);
    hex[0] = 0;
    for (uint32_t i = 0; i < c->len; i++)
        snprintf(hex + 2 * i, 3, "%02x", c->v.p[i]);
    char *text = mem_printf("%s %s", kind, hex);
    struct json *j = json_str(text);
    free(text);
    free(hex);
    return j;
}

static struct json *
text_json(const char *kind, const struct cell *c)
{
    char *text = mem_printf("%s %.*s", kind, (int)c->len, (const char *)c->v.p);
    struct json *j = json_str(text);
    free(text);
    return j;
}

static struct json *
number_json(const char *kind, const struct cell *c)
{
    char text[80];
    bool is_signed = c->kind == CELL_INT || c->kind == CELL_TIME || c->kind == CELL_TIMESTAMP;
    if (c->kind == CELL_FLOAT || c->kind == CELL_DOUBLE)
        snprintf(text, sizeof(text), "%s %.17g", kind, c->v.d);
    else if (is_signed)
        snprintf(text, sizeof(text), "%s%u %" PRId64, kind, c->dec, c->v.i);
    else
        snprintf(text, sizeof(text), "%s%u %" PRIu64, kind, c->dec, c->v.u);
    return json_str(text);
}

static struct json *
cell_json(const struct cell *c)
{
    static const char *const names[] = {
        "absent", "null",  "int",  "uint", "float",    "double",    "decimal",
        "text",   "bytes", "date", "time", "datetime", "timestamp", "year",
        "bit",    "enum",  "set",  "json", "geometry", "vector"};
    switch (c->kind) {
    case CELL_NULL:
        return json_null_new();
    case CELL_DECIMAL:
    case CELL_TEXT:
    case CELL_JSON:
        return text_json(names[c->kind], c);
    case CELL_BYTES:
    case CELL_GEOMETRY:
    case CELL_VECTOR:
        return bytes_json(names[c->kind], c);
    default:
        return number_json(names[c->kind], c);
    }
}

struct json *
support_row(const struct table *t, const struct cell *row)
{
    if (!row)
        return json_null_new();
    struct json *o = json_object_new();
    for (unsigned i = 0; i < t->column_count; i++)
        json_set(o, t->columns[i].name, cell_json(&row[i]));
    return o;
}

struct json *
support_change(const char *op, const struct table *t, const struct cell *before,
               const struct cell *after)
{
    struct json *o = json_object_new();
    json_set(o, "op", json_str(op));
    json_set(o, "db", json_str(t->database));
    json_set(o, "table", json_str(t->name));
    json_set(o, "version", json_u64(t->version));
    json_set(o, "before", support_row(t, before));
    json_set(o, "after", support_row(t, after));
    return o;
}
