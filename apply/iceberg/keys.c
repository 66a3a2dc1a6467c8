/* Keys: which rows of the table's files a batch replaces or deletes.
 *
 * A live data file is asked for the batch's keys when its bounds meet theirs. lake/key_index.h
 * answers, from its index files or from the file's key columns; the index is a cache in the
 * worker's scratch folder (data.dir), bound to each data file, and which files are alive is the
 * snapshot's matter. So losing it, or another process's table, changes nothing but the time.
 *
 * Memory: the keys of a batch. Thread: the lane's.
 */
#include <stdio.h>
#include <stdlib.h>

#include "apply/iceberg/iceberg.h"
#include "base/mem.h"
#include "lake/key_index.h"
#include "lake/parquet_reader.h"

#define STALE_MAX 16 /* index files of dead data files that are not worth a look */

static const struct lake_type *
key_type(const struct fields *f, uint32_t i)
{
    return &f->schema.fields[f->key[i]].type;
}

/* ---- the index of a table ---- */

/* The table and its key: another one has another index. */
static char *
identity_of(const struct lake_table *t, const struct fields *f)
{
    char type[LAKE_TYPE_TEXT_MAX];
    struct buf b = {0};
    buf_add_str(&b, t->state.metadata->uuid);
    for (uint32_t i = 0; i < f->key_len; i++)
        buf_addf(&b, ",%d %s", f->schema.fields[f->key[i]].id,
                 lake_type_text(key_type(f, i), type));
    char *text = mem_strdup(buf_cstr(&b));
    buf_free(&b);
    return text;
}

void
keys_index_close(struct keys_index *x)
{
    key_index_close(x->index);
    free(x->identity);
    *x = (struct keys_index){0};
}

/* Index files of data files that the table no longer has go. */
static void
forget_others(const struct lake_files *files, struct key_index *x)
{
    const char **paths = mem_array(files->len + 1, sizeof *paths);
    for (size_t i = 0; i < files->len; i++)
        paths[i] = files->list[i].rows->file.path;
    key_index_keep(x, paths, files->len);
    free(paths);
}

bool
keys_index_tidy(struct keys_index *x, struct lake_table *t, struct err *e)
{
    struct lake_files files = {0};
    if (!x->index)
        return true;
    bool ok = lake_table_files(t, &files, e);
    if (ok)
        forget_others(&files, x->index);
    lake_files_free(&files);
    return ok;
}

bool
keys_index_open(struct keys_index *x, const char *data, struct lake_table *t,
                const struct fields *f, struct err *e)
{
    char *identity = identity_of(t, f);
    if (x->identity && !strcmp(x->identity, identity)) {
        free(identity);
        return true;
    }
    keys_index_close(x);
    x->identity = identity;
    struct lake_field *fields = mem_array(f->key_len + 1, sizeof *fields);
    for (uint32_t i = 0; i < f->key_len; i++)
        fields[i] = f->schema.fields[f->key[i]];
    char *folder = mem_printf("%s/iceberg/%s", data, t->state.metadata->uuid);
    const struct key_index_conf conf = {
        .folder = folder, .fields = fields, .field_count = f->key_len};
    bool ok = key_index_open(&conf, &x->index, e) && keys_index_tidy(x, t, e);
    free(folder);
    free(fields);
    if (!ok)
        keys_index_close(x);
    return ok;
}

/* ---- the keys of a batch ---- */

void
keys_init(struct keys *k, const struct fields *f, struct key_index *index)
{
    *k = (struct keys){.fields = f, .index = index, .batch = key_batch_new(index)};
    arena_init(&k->mem, 0);
    k->low = mem_array(f->key_len + 1, sizeof *k->low);
    k->high = mem_array(f->key_len + 1, sizeof *k->high);
}

void
keys_free(struct keys *k)
{
    key_batch_free(k->batch);
    arena_free(&k->mem);
    free(k->own);
    free(k->low);
    free(k->high);
    *k = (struct keys){0};
}

size_t
keys_count(const struct keys *k)
{
    return k->batch ? key_batch_count(k->batch) : 0;
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
        bool first = keys_count(k) == 1;
        if (first || lake_value_cmp(t, native + i, k->low + i) < 0)
            k->low[i] = keep(k, native + i);
        if (first || lake_value_cmp(t, native + i, k->high + i) > 0)
            k->high[i] = keep(k, native + i);
    }
}

uint64_t *
keys_put(struct keys *k, const struct cell *native)
{
    size_t before = keys_count(k);
    size_t at = key_batch_add(k->batch, native);
    if (at < before)
        return k->own + at;
    if (at == k->cap) {
        k->cap = k->cap ? 2 * k->cap : 256;
        k->own = mem_realloc(k->own, k->cap * sizeof *k->own);
    }
    k->own[at] = 0;
    widen(k, native);
    return k->own + at;
}

/* ---- one data file ---- */

struct scan {
    struct lake_table *table;
    const struct keys *keys;
    const struct data_file *file;
    struct positions hits;
    const struct positions *gone; /* of the file, when keys->wanted */
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

MUST static bool
hit(void *ctx, size_t key, uint64_t position, struct err *e)
{
    struct scan *s = ctx;
    uint64_t *wanted = s->keys->wanted;
    (void)e;
    if (wanted && (!wanted[key] || positions_has(s->gone, position)))
        return true;
    if (positions_add(&s->hits, position) && wanted)
        wanted[key]--;
    return true;
}

MUST static bool
scan_file(struct scan *s, struct err *e)
{
    const struct key_index_data data = {
        s->file->path, (uint64_t)s->file->rows, {(uint64_t)s->file->size, read_source, s}};
    return key_index_find(s->keys->index, s->keys->batch, &data, hit, s, e) ||
           err_wrap(e, "%s", s->file->path);
}

/* Rows of a file of positions (version 2). */
MUST static bool
read_positions(struct scan *s, struct positions *into, struct err *e)
{
    const struct lake_field fields[] = {LAKE_FIELD_POS};
    const struct parquet_source source = {(uint64_t)s->file->size, read_source, s};
    struct parquet_reader *r = NULL;
    bool ok = parquet_reader_open(&source, fields, 1, &r, e);
    for (uint32_t g = 0; ok && g < parquet_reader_groups(r); g++) {
        struct parquet_batch b = {.rows = 1};
        ok = parquet_reader_seek(r, g, e);
        while (ok && b.rows && (ok = parquet_reader_next(r, &b, e)))
            for (size_t i = 0; i < b.rows; i++)
                positions_add(into, (uint64_t)b.cells[i].v.i);
    }
    parquet_reader_free(r);
    return ok || err_wrap(e, "%s", s->file->path);
}

/* What was gone in the file before. */
MUST static bool
read_gone(struct scan *s, const struct lake_file *file, struct positions *into, struct err *e)
{
    bool ok = true;
    if (file->vector)
        ok = deletes_read_vector(s->table->catalog->storage, &file->vector->file, into, e);
    for (uint32_t i = 0; ok && i < file->positions_len; i++) {
        s->file = &file->positions[i]->file;
        ok = read_positions(s, into, e);
    }
    s->file = &file->rows->file;
    return ok;
}

/* And what goes now. */
static void
join(struct scan *s, const struct lake_file *file, struct found *out)
{
    uint64_t before = out->rows.count;
    positions_add_all(&out->rows, &s->hits);
    out->fresh = out->rows.count - before;
    out->file = file;
}

/* Of rows that are counted those that are gone must be known first. */
MUST static bool
look_counted(struct scan *s, const struct lake_file *file, struct found *out, struct err *e)
{
    s->gone = &out->rows;
    if (!read_gone(s, file, &out->rows, e) || !scan_file(s, e))
        return false;
    if (s->hits.count)
        join(s, file, out);
    else
        positions_free(&out->rows);
    return true;
}

MUST static bool
look_in(struct scan *s, const struct lake_file *file, struct found *out, struct err *e)
{
    s->file = &file->rows->file;
    if (s->keys->interrupted && atomic_load(s->keys->interrupted))
        return err_set(e, MR_LAKE_STOPPED, "looking for rows");
    if (!bounds_meet(s))
        return true;
    if (s->keys->wanted)
        return look_counted(s, file, out, e);
    if (!scan_file(s, e) || (s->hits.count && !read_gone(s, file, &out->rows, e)))
        return false;
    if (s->hits.count)
        join(s, file, out);
    return true;
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
    arena_free(&s.mem);
    if (key_index_files(k->index) > 2 * files->len + STALE_MAX)
        forget_others(files, k->index);
    return ok;
}

void
found_free(struct found *f, size_t n)
{
    for (size_t i = 0; f && i <= n; i++)
        positions_free(&f[i].rows);
    free(f);
}
