/* Fields: table versions of the source against schemas of Iceberg tables.
 *
 * A column and a field belong together by name; the field's id is what its values are known by
 * in files. Only key columns are required: what may be NULL at the source can change without
 * the table. Columns of the table that the source does not have stay, as null.
 * Thread: any.
 */
#include <stdio.h>
#include <stdlib.h>

#include "apply/iceberg/iceberg.h"
#include "base/mem.h"

/* The columns that a mode has besides the source's. */
struct extra {
    const char *name;
    struct lake_type type;
    int from;
};

static const struct extra extras[] = {
    {"_op", {.kind = LAKE_STRING}, FIELDS_OP},
    {"_seq", {.kind = LAKE_LONG}, FIELDS_SEQ},
    {"_commit_ts", {.kind = LAKE_TIMESTAMPTZ}, FIELDS_COMMIT},
};

static size_t
extras_len(const struct sink *s, const struct table *version)
{
    enum iceberg_mode mode = lakehouse_mode(s, version);
    return mode == ICEBERG_MIRROR ? 0 : mode == ICEBERG_SOFT ? 1 : ARRAY_LEN(extras);
}

/* The rows' keys are different in each. */
static bool
keys_differ(const struct sink *s, const struct table *version)
{
    return version->rows == TABLE_KEYED && lakehouse_mode(s, version) != ICEBERG_HISTORY;
}

static const struct extra *
extra_find(const struct sink *s, const struct table *version, const char *name)
{
    for (size_t i = 0, n = extras_len(s, version); i < n; i++)
        if (!strcmp(extras[i].name, name))
            return extras + i;
    return NULL;
}

void
fields_schema(const struct sink *s, const struct table *version, struct arena *a,
              struct lake_schema *out)
{
    lake_schema_of_table(version, &s->map, a, out);
    size_t more = extras_len(s, version);
    uint32_t n = out->field_count;
    struct lake_field *fields = arena_zalloc(a, (n + more) * sizeof *fields);
    for (uint32_t i = 0; i < n; i++) {
        fields[i] = out->fields[i];
        fields[i].required = fields[i].required && version->columns[i].key_at;
    }
    for (size_t i = 0; i < more; i++, n++)
        fields[n] = (struct lake_field){(int32_t)n + 1, extras[i].name, extras[i].type, false};
    out->fields = fields;
    out->field_count = n;
    if (!keys_differ(s, version))
        out->identifier_count = 0;
}

/* ---- the map of a version's cells ---- */

static bool
has_bloom(const struct lake_type *t)
{
    return t->kind != LAKE_BOOLEAN && t->kind != LAKE_FLOAT && t->kind != LAKE_DOUBLE;
}

static void
map_field(const struct sink *s, struct fields *f, uint32_t i)
{
    const struct lake_field *field = f->schema.fields + i;
    const struct extra *x = extra_find(s, f->version, field->name);
    int at = table_column_find(f->version, bytes_str(field->name));
    const struct column *c = at < 0 ? NULL : f->version->columns + at;
    f->from[i] = c ? at : x ? x->from : -1;
    f->columns[i] = (struct parquet_column){.field = *field,
                                            .source = c,
                                            .metrics = PARQUET_METRICS_BOUNDS,
                                            .bloom = c && c->key_at && has_bloom(&field->type)};
}

MUST static bool
map_key(struct fields *f, struct err *e)
{
    const struct table *v = f->version;
    f->key = arena_zalloc(&f->mem, (v->key_count + 1u) * sizeof *f->key);
    for (f->key_len = 0; f->key_len < v->key_count; f->key_len++) {
        int from = v->key[f->key_len];
        uint32_t i = 0;
        while (i < f->schema.field_count && f->from[i] != from)
            i++;
        if (i == f->schema.field_count)
            return err_set(e, MR_TARGET_SHAPE, "no column %s of the key",
                           v->columns[from].name);
        f->key[f->key_len] = i;
    }
    return true;
}

bool
fields_new(const struct sink *s, const struct metadata *m, const struct table *version,
           struct fields **out, struct err *e)
{
    struct fields *f = mem_zalloc(sizeof *f);
    arena_init(&f->mem, 0);
    f->version = version;
    bool ok = metadata_schema(m, -1, &f->mem, &f->schema, e);
    uint32_t n = ok ? f->schema.field_count : 0;
    f->columns = arena_zalloc(&f->mem, (n + 1) * sizeof *f->columns);
    f->from = arena_zalloc(&f->mem, (n + 1) * sizeof *f->from);
    f->same = n == version->column_count;
    for (uint32_t i = 0; i < n; i++) {
        map_field(s, f, i);
        f->same &= f->from[i] == (int)i;
    }
    if (ok && map_key(f, e)) {
        *out = f;
        return true;
    }
    fields_free(f);
    return false;
}

void
fields_free(struct fields *f)
{
    if (!f)
        return;
    arena_free(&f->mem);
    free(f);
}

/* ---- looking ---- */

static bool
differs(char why[256], const char *name, const char *what)
{
    snprintf(why, 256, "column %s %s", name, what);
    return false;
}

static bool
field_fits(const struct lake_schema *schema, const char *name, const struct lake_type *type,
           char why[256])
{
    char have[LAKE_TYPE_TEXT_MAX], want[LAKE_TYPE_TEXT_MAX];
    const struct lake_field *f = lake_schema_find_name(schema, bytes_str(name));
    if (!f)
        return differs(why, name, "is missing");
    if (lake_type_equal(&f->type, type))
        return true;
    snprintf(why, 256, "column %s is %s, not %s", name, lake_type_text(&f->type, have),
             lake_type_text(type, want));
    return false;
}

bool
fields_fit(const struct sink *s, const struct lake_schema *schema, const struct table *version,
           char why[256])
{
    for (unsigned i = 0; i < version->column_count; i++) {
        const struct lake_type type = lake_type_of_column(version->columns + i, &s->map);
        if (!field_fits(schema, version->columns[i].name, &type, why))
            return false;
    }
    for (size_t i = 0, n = extras_len(s, version); i < n; i++)
        if (!field_fits(schema, extras[i].name, &extras[i].type, why))
            return false;
    for (uint32_t i = 0; i < schema->field_count; i++) {
        const struct lake_field *f = schema->fields + i;
        int at = table_column_find(version, bytes_str(f->name));
        if (f->required && (at < 0 || !version->columns[at].key_at))
            return differs(why, f->name, "is required");
    }
    return true;
}

/* ---- evolution ---- */

struct evolution {
    const struct sink *sink;
    const struct sink_step *step;
    bool replace;
    struct arena *mem;
    struct lake_schema *now;
    int32_t *last;
};

MUST static bool
change(struct evolution *v, struct schema_change c, struct err *e)
{
    struct lake_schema next;
    if (!schema_change_apply(v->now, &c, v->last, v->mem, &next, e))
        return false;
    *v->now = next;
    return true;
}

/* Renamed columns get names that nothing has, ... */
MUST static bool
rename_away(struct evolution *v, struct err *e)
{
    for (size_t i = 0; i < v->step->rename_count; i++) {
        const struct lake_field *f =
            lake_schema_find_name(v->now, bytes_str(v->step->renames[i].from));
        const char *name = arena_printf(v->mem, "_millrace_rename_%zu", i);
        if (f &&
            !change(v, (struct schema_change){.kind = SCHEMA_RENAME, .id = f->id, .name = name},
                    e))
            return false;
    }
    return true;
}

/* ... and, when those that are dropped are gone, their own. */
MUST static bool
rename_back(struct evolution *v, struct err *e)
{
    for (size_t i = 0; i < v->step->rename_count; i++) {
        const char *name = arena_printf(v->mem, "_millrace_rename_%zu", i);
        const struct lake_field *f = lake_schema_find_name(v->now, bytes_str(name));
        if (f &&
            !change(v,
                    (struct schema_change){
                        .kind = SCHEMA_RENAME, .id = f->id, .name = v->step->renames[i].to},
                    e))
            return false;
    }
    return true;
}

/* A column that the source had and has no more; without a version before, all it does not have.
 * What has a renamed column's new name now is not that column. */
static bool
is_dropped(const struct evolution *v, const char *name)
{
    const struct sink_step *step = v->step;
    bool ours = !step->from || table_column_find(step->from, bytes_str(name)) >= 0;
    bool stays = table_column_find(step->to, bytes_str(name)) >= 0;
    for (size_t i = 0; i < step->rename_count; i++) {
        char away[48];
        snprintf(away, sizeof away, "_millrace_rename_%zu", i);
        stays &= strcmp(step->renames[i].to, name) != 0;
        ours &= strcmp(away, name) != 0;
    }
    return ours && !stays && !extra_find(v->sink, step->to, name);
}

MUST static bool
drop_fields(struct evolution *v, struct err *e)
{
    for (uint32_t i = 0; i < v->now->field_count;) {
        const struct lake_field *f = v->now->fields + i;
        if (!is_dropped(v, f->name)) {
            i++;
            continue;
        }
        if (!change(v, (struct schema_change){.kind = SCHEMA_DROP, .id = f->id}, e))
            return false;
    }
    return true;
}

MUST static bool
take_field(struct evolution *v, const char *name, const struct lake_type *type, struct err *e)
{
    const struct lake_field *f = lake_schema_find_name(v->now, bytes_str(name));
    if (f && lake_type_equal(&f->type, type))
        return true;
    if (f && (!v->replace || lake_type_promotes(&f->type, type)))
        return change(
            v, (struct schema_change){.kind = SCHEMA_WIDEN, .id = f->id, .type = *type}, e);
    if (f && !change(v, (struct schema_change){.kind = SCHEMA_DROP, .id = f->id}, e))
        return false;
    return change(v, (struct schema_change){.kind = SCHEMA_ADD, .name = name, .type = *type},
                  e);
}

/* The source's columns in its order, first. */
MUST static bool
order_fields(struct evolution *v, struct err *e)
{
    int32_t after = 0;
    for (unsigned i = 0; i < v->step->to->column_count; i++) {
        const struct lake_field *f =
            lake_schema_find_name(v->now, bytes_str(v->step->to->columns[i].name));
        int32_t id = f->id;
        bool there = i < v->now->field_count && v->now->fields[i].id == id;
        if (!there &&
            !change(v, (struct schema_change){.kind = SCHEMA_MOVE, .id = id, .after = after},
                    e))
            return false;
        after = id;
    }
    return true;
}

/* Identifier fields must be required: a key that is not all required has none. */
static void
set_identifiers(struct evolution *v)
{
    const struct table *to = v->step->to;
    int32_t *ids = arena_zalloc(v->mem, (to->key_count + 1u) * sizeof *ids);
    uint32_t n = 0;
    for (unsigned i = 0; i < to->key_count; i++) {
        const struct lake_field *f =
            lake_schema_find_name(v->now, bytes_str(to->columns[to->key[i]].name));
        if (f->required && has_bloom(&f->type))
            ids[n++] = f->id;
    }
    v->now->identifier_ids = ids;
    v->now->identifier_count = n == to->key_count && keys_differ(v->sink, to) ? n : 0;
}

/* The row's key must stay what it is: rows are found by it. */
MUST static bool
same_key(const struct sink_step *step, struct err *e)
{
    const struct table *from = step->from, *to = step->to;
    bool same = from && from->key_count == to->key_count;
    for (unsigned i = 0; same && i < to->key_count; i++) {
        const char *name = from->columns[from->key[i]].name;
        for (size_t k = 0; k < step->rename_count; k++)
            if (!strcmp(step->renames[k].from, name)) {
                name = step->renames[k].to;
                break;
            }
        same = !strcmp(name, to->columns[to->key[i]].name);
    }
    return same || err_set(e, MR_TARGET_DDL, "pk column different");
}

MUST static bool
take_all(struct evolution *v, struct err *e)
{
    const struct table *to = v->step->to;
    for (unsigned i = 0; i < to->column_count; i++) {
        const struct lake_type type = lake_type_of_column(to->columns + i, &v->sink->map);
        if (!take_field(v, to->columns[i].name, &type, e))
            return false;
    }
    for (size_t i = 0, n = extras_len(v->sink, to); i < n; i++)
        if (!take_field(v, extras[i].name, &extras[i].type, e))
            return false;
    return true;
}

bool
fields_evolve(const struct sink *s, const struct lake_schema *now, const struct sink_step *step,
              struct fields_next *next, struct err *e)
{
    next->schema = *now;
    struct evolution v = {.sink = s,
                          .step = step,
                          .replace = step->what == SINK_CREATE || step->empty,
                          .mem = next->mem,
                          .now = &next->schema,
                          .last = &next->last_column_id};
    if (v.replace)
        next->schema.identifier_count = 0;
    else if (!same_key(step, e))
        return false;
    if (!rename_away(&v, e) || !drop_fields(&v, e) || !rename_back(&v, e) || !take_all(&v, e) ||
        !order_fields(&v, e))
        return false;
    if (v.replace)
        set_identifiers(&v);
    return true;
}
