/* Keys: which rows of the table's files a batch replaces or deletes.
 *
 * The keys of a batch are kept as bytes of their key cells. A live data file is read, key
 * columns only, when its bounds meet those of the batch's keys, and of it the row groups that,
 * by their bounds and bloom filters, may have one of them. Nothing is remembered between
 * batches that could be wrong: the table itself is asked.
 *
 * Limit: filters are asked key by key while that is cheaper than reading (PROBES_MAX). Memory:
 * the keys. Thread: the lane's.
 */
#include <stdlib.h>

#include "apply/iceberg/iceberg.h"
#include "base/mem.h"
#include "lake/parquet_reader.h"

#define PROBES_MAX 5000

void
keys_init(struct keys *k, const struct fields *f)
{
    *k = (struct keys){.fields = f};
    arena_init(&k->mem, 0);
    k->low = mem_array(f->key_len + 1, sizeof *k->low);
    k->high = mem_array(f->key_len + 1, sizeof *k->high);
}

void
keys_free(struct keys *k)
{
    map_free(&k->map);
    arena_free(&k->mem);
    buf_free(&k->text);
    free(k->low);
    free(k->high);
    *k = (struct keys){0};
}

static const struct lake_type *
key_type(const struct fields *f, uint32_t i)
{
    return &f->schema.fields[f->key[i]].type;
}

void
keys_text(const struct fields *f, const struct cell *native, struct buf *out)
{
    buf_reset(out);
    for (uint32_t i = 0; i < f->key_len; i++) {
        size_t at = out->n;
        uint32_t n = 0;
        buf_add(out, &n, sizeof n);
        lake_value_put(key_type(f, i), native + i, out);
        if (out->failed)
            return;
        n = (uint32_t)(out->n - at - sizeof n);
        memcpy(out->p + at, &n, sizeof n);
    }
}

static struct cell
keep(struct keys *k, const struct cell *c)
{
    struct cell out = *c;
    if (c->kind == CELL_TEXT || c->kind == CELL_BYTES)
        out.v.p = arena_copy(&k->mem, cell_bytes(c)).p;
    return out;
}

static void
widen(struct keys *k, const struct cell *native)
{
    for (uint32_t i = 0; i < k->fields->key_len; i++) {
        const struct lake_type *t = key_type(k->fields, i);
        bool first = k->map.len == 1;
        if (first || lake_value_cmp(t, native + i, k->low + i) < 0)
            k->low[i] = keep(k, native + i);
        if (first || lake_value_cmp(t, native + i, k->high + i) > 0)
            k->high[i] = keep(k, native + i);
    }
}

struct map_slot *
keys_put(struct keys *k, const struct cell *native)
{
    bool fresh;
    keys_text(k->fields, native, &k->text);
    struct map_slot *slot = map_put(&k->map, buf_bytes(&k->text), &fresh);
    if (fresh) {
        slot->key = arena_copy(&k->mem, slot->key);
        widen(k, native);
    }
    return slot;
}

/* ---- one data file ---- */

struct scan {
    struct lake_table *table;
    const struct keys *keys;
    const struct data_file *file;
    struct parquet_reader *reader;
    struct positions hits;
    struct buf text;
    struct arena mem;
};

MUST static bool
read_source(void *ctx, uint64_t offset, size_t n, uint8_t *out, struct err *e)
{
    struct scan *s = ctx;
    struct buf b = {0};
    bool ok = storage_read(s->table->catalog->storage, s->file->path, offset, n, &b, e);
    if (ok)
        memcpy(out, b.p, n);
    buf_free(&b);
    return ok;
}

static const struct file_metric *
metric_of(const struct data_file *f, int32_t id)
{
    for (uint32_t i = 0; i < f->metrics_len; i++)
        if (f->metrics[i].id == id)
            return f->metrics + i;
    return NULL;
}

/* The bounds of the file meet those of the keys, in every column of the key. */
static bool
bounds_meet(struct scan *s)
{
    const struct fields *f = s->keys->fields;
    for (uint32_t i = 0; i < f->key_len; i++) {
        const struct lake_type *t = key_type(f, i);
        const struct file_metric *m = metric_of(s->file, f->schema.fields[f->key[i]].id);
        struct cell bound;
        if (m && m->has_lower && lake_value_get(t, m->lower, &s->mem, &bound) &&
            lake_value_cmp(t, &bound, s->keys->high + i) > 0)
            return false;
        if (m && m->has_upper && lake_value_get(t, m->upper, &s->mem, &bound) &&
            lake_value_cmp(t, &bound, s->keys->low + i) < 0)
            return false;
    }
    return true;
}

/* The cells of a key of one column, from its bytes. */
static bool
key_cell(struct scan *s, struct bytes key, struct cell *out)
{
    return lake_value_get(key_type(s->keys->fields, 0),
                          bytes_of(key.p + sizeof(uint32_t), key.n - sizeof(uint32_t)), &s->mem,
                          out);
}

MUST static bool
group_may_have(struct scan *s, uint32_t group, bool *may, struct err *e)
{
    *may = true;
    if (s->keys->fields->key_len != 1 || s->keys->map.len > PROBES_MAX)
        return true;
    for (struct map_slot *k = NULL; (k = map_next(&s->keys->map, k)) != NULL;) {
        struct cell c;
        if (!key_cell(s, k->key, &c))
            return true;
        if (!parquet_reader_may_have(s->reader, group, 0, &c, may, e))
            return false;
        if (*may)
            return true;
    }
    return true;
}

MUST static bool
scan_group(struct scan *s, uint32_t group, struct err *e)
{
    uint32_t width = s->keys->fields->key_len;
    if (!parquet_reader_seek(s->reader, group, e))
        return false;
    for (struct parquet_batch b;;) {
        if (!parquet_reader_next(s->reader, &b, e))
            return false;
        if (!b.rows)
            return true;
        for (size_t i = 0; i < b.rows; i++) {
            keys_text(s->keys->fields, b.cells + i * width, &s->text);
            if (map_get(&s->keys->map, buf_bytes(&s->text)))
                positions_add(&s->hits, b.position + i);
        }
    }
}

MUST static bool
scan_file(struct scan *s, struct err *e)
{
    const struct fields *f = s->keys->fields;
    struct lake_field *fields = arena_zalloc(&s->mem, (f->key_len + 1) * sizeof *fields);
    for (uint32_t i = 0; i < f->key_len; i++)
        fields[i] = f->schema.fields[f->key[i]];
    struct parquet_source source = {(uint64_t)s->file->size, read_source, s};
    bool ok = parquet_reader_open(&source, fields, f->key_len, &s->reader, e);
    for (uint32_t g = 0; ok && g < parquet_reader_groups(s->reader); g++) {
        bool may;
        ok = group_may_have(s, g, &may, e) && (!may || scan_group(s, g, e));
    }
    parquet_reader_free(s->reader);
    s->reader = NULL;
    return ok || err_wrap(e, "%s", s->file->path);
}

/* Rows of a file of positions (version 2). */
MUST static bool
read_positions(struct scan *s, struct positions *into, struct err *e)
{
    const struct lake_field fields[] = {LAKE_FIELD_POS};
    struct parquet_source source = {(uint64_t)s->file->size, read_source, s};
    bool ok = parquet_reader_open(&source, fields, 1, &s->reader, e);
    for (uint32_t g = 0; ok && g < parquet_reader_groups(s->reader); g++) {
        struct parquet_batch b = {.rows = 1};
        ok = parquet_reader_seek(s->reader, g, e);
        while (ok && b.rows && (ok = parquet_reader_next(s->reader, &b, e)))
            for (size_t i = 0; i < b.rows; i++)
                positions_add(into, (uint64_t)b.cells[i].v.i);
    }
    parquet_reader_free(s->reader);
    s->reader = NULL;
    return ok || err_wrap(e, "%s", s->file->path);
}

/* What was gone in the file before, and what goes now. */
MUST static bool
merge(struct scan *s, const struct lake_file *file, struct found *out, struct err *e)
{
    bool ok = true;
    if (file->vector)
        ok =
            deletes_read_vector(s->table->catalog->storage, &file->vector->file, &out->rows, e);
    for (uint32_t i = 0; ok && i < file->positions_len; i++) {
        s->file = &file->positions[i]->file;
        ok = read_positions(s, &out->rows, e);
    }
    uint64_t before = out->rows.count;
    positions_add_all(&out->rows, &s->hits);
    out->fresh = out->rows.count - before;
    out->file = file;
    return ok;
}

MUST static bool
look_in(struct scan *s, const struct lake_file *file, struct found *out, struct err *e)
{
    s->file = &file->rows->file;
    if (!bounds_meet(s))
        return true;
    return scan_file(s, e) && (!s->hits.count || merge(s, file, out, e));
}

bool
find_rows(struct lake_table *t, const struct lake_files *files, const struct keys *k,
          struct found **out, size_t *n, struct err *e)
{
    struct scan s = {.table = t, .keys = k};
    bool ok = true;
    *out = mem_array(files->len + 1, sizeof **out);
    *n = 0;
    arena_init(&s.mem, 0);
    for (size_t i = 0; ok && i < files->len; i++) {
        ok = look_in(&s, files->list + i, *out + *n, e);
        *n += (*out)[*n].rows.count > 0;
        positions_free(&s.hits);
        s.hits = (struct positions){0};
        arena_reset(&s.mem);
    }
    buf_free(&s.text);
    arena_free(&s.mem);
    return ok;
}

void
found_free(struct found *f, size_t n)
{
    for (size_t i = 0; f && i <= n; i++)
        positions_free(&f[i].rows);
    free(f);
}
