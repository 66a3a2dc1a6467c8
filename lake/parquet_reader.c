/* The Parquet reader: columns side by side, row groups as they are asked for. */
#include "lake/parquet_reader.h"

#include <stdlib.h>

#include "base/hash.h"
#include "base/mem.h"
#include "lake/parquet_bloom.h"
#include "lake/parquet_page.h"
#include "lake/value.h"

#define BATCH_ROWS 1024
#define BLOOM_MAX  ((size_t)32 << 20)

struct parquet_reader {
    struct parquet_source source;
    struct parquet_meta meta;
    struct parquet_column_reader *columns;
    uint32_t count;
    struct cell *cells;
    uint64_t position, end; /* rows of the open group */
    struct arena arena;     /* of one may_have */
};

static const struct parquet_leaf *
find_leaf(const struct parquet_meta *m, int32_t id)
{
    for (uint32_t i = 0; i < m->leaf_count; i++)
        if (m->leaves[i].id == id)
            return &m->leaves[i];
    return NULL;
}

static bool
bind_column(struct parquet_reader *r, uint32_t i, const struct lake_field *f, struct err *e)
{
    struct parquet_column_reader *c = &r->columns[i];
    c->source = &r->source;
    c->field = f;
    c->leaf = find_leaf(&r->meta, f->id);
    if (!c->leaf)
        return true;
    if (!c->leaf->known || !lake_type_promotes(&c->leaf->type, &f->type))
        return err_set(e, MR_LAKE_DATA_FILE, "column %s is of another type", f->name);
    c->promote = !lake_type_equal(&c->leaf->type, &f->type);
    return true;
}

bool
parquet_reader_open(const struct parquet_source *source, const struct lake_field *fields,
                    uint32_t field_count, struct parquet_reader **out, struct err *e)
{
    struct parquet_reader *r = mem_zalloc(sizeof *r);
    *out = NULL;
    r->source = *source;
    r->count = field_count;
    r->columns = mem_array(field_count + 1, sizeof *r->columns);
    bool ok = parquet_meta_read(&r->source, &r->meta, e);
    for (uint32_t i = 0; ok && i < field_count; i++)
        ok = bind_column(r, i, &fields[i], e);
    if (!ok) {
        parquet_reader_free(r);
        return false;
    }
    r->cells = mem_array((size_t)BATCH_ROWS * (field_count + 1), sizeof *r->cells);
    *out = r;
    return true;
}

void
parquet_reader_free(struct parquet_reader *r)
{
    if (!r)
        return;
    for (uint32_t i = 0; i < r->count; i++)
        parquet_column_reader_free(&r->columns[i]);
    free(r->columns);
    free(r->cells);
    parquet_meta_free(&r->meta);
    arena_free(&r->arena);
    free(r);
}

uint64_t
parquet_reader_rows(const struct parquet_reader *r)
{
    return r->meta.rows;
}

uint32_t
parquet_reader_groups(const struct parquet_reader *r)
{
    return r->meta.group_count;
}

static struct parquet_chunk_meta *
chunk_of(const struct parquet_reader *r, const struct parquet_column_reader *c, uint32_t group)
{
    return &r->meta.groups[group].chunks[c->leaf - r->meta.leaves];
}

/* False: the value lies outside. */
static bool
within_bounds(struct parquet_reader *r, const struct parquet_column_reader *c,
              const struct parquet_chunk_meta *chunk, const struct cell *value)
{
    const struct lake_type *t = &c->field->type;
    struct cell bound;
    bool floats = t->kind == LAKE_FLOAT || t->kind == LAKE_DOUBLE;
    bool nan = floats && value->v.d != value->v.d;
    struct bytes bounds[] = {chunk->min, chunk->max};
    for (unsigned i = 0; i < 2 && !nan; i++) {
        if (!bounds[i].p || !parquet_plain_cell(c->leaf, bounds[i], &bound))
            continue;
        if (c->promote)
            lake_promote(t, &r->arena, &bound);
        if (floats && value->v.d == bound.v.d) /* zeros of either sign */
            continue;
        int order = lake_value_cmp(t, value, &bound);
        if (i == 0 ? order < 0 : order > 0)
            return false;
    }
    return true;
}

static uint64_t
bloom_hash(const struct parquet_column_reader *c, const struct cell *v)
{
    unsigned width = parquet_width(&c->leaf->type);
    float narrow = (float)v->v.d;
    if (v->kind == CELL_TEXT || v->kind == CELL_BYTES)
        return hash_xxh64(cell_bytes(v));
    if (v->kind == CELL_FLOAT)
        return hash_xxh64(bytes_of(&narrow, sizeof narrow));
    return hash_xxh64(bytes_of(&v->v, width));
}

static bool
load_bloom(struct parquet_column_reader *c, const struct parquet_chunk_meta *chunk,
           uint32_t group, struct err *e)
{
    if (c->bloom_group == group + 1)
        return true;
    c->bloom_group = 0;
    buf_reset(&c->bloom);
    size_t n = (size_t)chunk->bloom_bytes;
    uint8_t *at = buf_reserve(&c->bloom, n);
    if (!at)
        return err_set(e, MR_NO_MEMORY, "bloom filter of %zu bytes", n);
    if (!c->source->read(c->source->ctx, chunk->bloom, n, at, e))
        return false;
    c->bloom.n = n;
    c->bloom_group = group + 1;
    return true;
}

/* Floats are left out: -0.0 and +0.0 are one value with two hashes. */
static bool
uses_bloom(const struct parquet_column_reader *c, const struct parquet_chunk_meta *chunk)
{
    enum lake_kind kind = c->field->type.kind;
    return chunk->bloom && chunk->bloom_bytes <= BLOOM_MAX && !c->promote &&
           kind != LAKE_FLOAT && kind != LAKE_DOUBLE && kind != LAKE_BOOLEAN;
}

bool
parquet_reader_may_have(struct parquet_reader *r, uint32_t group, uint32_t field,
                        const struct cell *value, bool *may, struct err *e)
{
    struct parquet_column_reader *c = &r->columns[field];
    struct bytes bits;
    *may = c->leaf != NULL;
    if (!*may)
        return true;
    const struct parquet_chunk_meta *chunk = chunk_of(r, c, group);
    arena_reset(&r->arena);
    *may = within_bounds(r, c, chunk, value);
    if (!*may || !uses_bloom(c, chunk))
        return true;
    if (!load_bloom(c, chunk, group, e))
        return false;
    if (!parquet_bloom_read(buf_bytes(&c->bloom), &bits))
        return err_set(e, MR_LAKE_DATA_FILE, "column %s: a bloom filter is damaged",
                       c->field->name);
    *may = parquet_bloom_may_have(bits, bloom_hash(c, value));
    return true;
}

bool
parquet_reader_seek(struct parquet_reader *r, uint32_t group, struct err *e)
{
    const struct parquet_group_meta *g = &r->meta.groups[group];
    r->position = r->end = 0;
    for (uint32_t i = 0; i < r->count; i++) {
        struct parquet_column_reader *c = &r->columns[i];
        if (c->leaf && !parquet_column_reader_begin(c, chunk_of(r, c, group), e))
            return false;
    }
    r->position = g->first_row;
    r->end = g->first_row + g->rows;
    return true;
}

/* Rows that every column has in its open page. */
static bool
common_rows(struct parquet_reader *r, uint32_t *out, struct err *e)
{
    uint64_t left = r->end - r->position;
    *out = left < BATCH_ROWS ? (uint32_t)left : BATCH_ROWS;
    for (uint32_t i = 0; i < r->count && *out; i++) {
        uint32_t rows = 0;
        if (!r->columns[i].leaf)
            continue;
        if (!parquet_column_reader_page(&r->columns[i], &rows, e))
            return false;
        *out = rows < *out ? rows : *out;
    }
    return true;
}

bool
parquet_reader_next(struct parquet_reader *r, struct parquet_batch *out, struct err *e)
{
    uint32_t rows;
    *out = (struct parquet_batch){.position = r->position, .cells = r->cells};
    if (!common_rows(r, &rows, e))
        return false;
    for (uint32_t i = 0; i < r->count; i++) {
        if (r->columns[i].leaf) {
            if (!parquet_column_reader_fill(&r->columns[i], r->cells + i, r->count, rows, e))
                return false;
            continue;
        }
        for (uint32_t k = 0; k < rows; k++)
            r->cells[(size_t)k * r->count + i] = (struct cell){.kind = CELL_NULL};
    }
    out->rows = rows;
    r->position += rows;
    return true;
}
