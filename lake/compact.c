/* Compaction: the rewrite, and the deletes that came meanwhile. */
#include "lake/compact.h"

#include <stdlib.h>

#include "base/fault.h"
#include "base/hash.h"
#include "base/mem.h"
#include "lake/deletes.h"
#include "lake/rows_file.h"

struct input {
    const char *path;
    struct positions gone; /* deleted when the file was read */
    uint64_t rows;         /* in it */
    uint64_t first;        /* its first row's place in the new file */
};

struct compact {
    struct lake_table *table;
    struct input *inputs;
    size_t inputs_len;
    struct data_file made; /* path NULL: no rows were left */
    uint64_t written;
    uint64_t translated;
    bool lineage; /* version 3 */
    bool placed;  /* the new file exists */
    bool keep;    /* committed, or perhaps */
    struct arena mem;
};

/* The columns of the table, and behind them the lineage columns. */
struct columns {
    struct lake_schema schema;
    struct lake_field *fields;
    struct parquet_column *written;
    uint32_t len;
};

static bool
plan_columns(struct compact *c, struct columns *out, struct err *e)
{
    if (!metadata_schema(c->table->state.metadata, -1, &c->mem, &out->schema, e))
        return false;
    uint32_t n = out->schema.field_count;
    out->fields = arena_zalloc(&c->mem, (n + 2) * sizeof(*out->fields));
    out->written = arena_zalloc(&c->mem, (n + 2) * sizeof(*out->written));
    for (uint32_t i = 0; i < n; i++)
        out->fields[i] = out->schema.fields[i];
    if (c->lineage) {
        out->fields[n++] = LAKE_FIELD_ROW_ID;
        out->fields[n++] = LAKE_FIELD_LAST_UPDATED;
    }
    for (uint32_t i = 0; i < n; i++)
        out->written[i] = (struct parquet_column){.field = out->fields[i],
                                                  .metrics = i < out->schema.field_count
                                                                 ? PARQUET_METRICS_BOUNDS
                                                                 : PARQUET_METRICS_NONE};
    out->len = n;
    return true;
}

/* A row's lineage: its own columns, else what it inherits from its file. */
static void
give_lineage(const struct manifest_entry *from, uint64_t position, struct cell *row_id,
             struct cell *updated)
{
    if (row_id->kind == CELL_NULL && from->file.first_row_id >= 0)
        *row_id =
            (struct cell){.kind = CELL_INT, .v.i = from->file.first_row_id + (int64_t)position};
    if (updated->kind == CELL_NULL)
        *updated = (struct cell){.kind = CELL_INT, .v.i = from->sequence};
}

static bool
copy_batch(struct compact *c, const struct columns *cols, const struct manifest_entry *from,
           const struct input *in, const struct parquet_batch *b, struct parquet_writer *w,
           struct err *e)
{
    struct cell *row = mem_array(cols->len + 1, sizeof(*row));
    const struct cell *one = row;
    bool ok = true;
    for (size_t i = 0; ok && i < b->rows; i++) {
        if (positions_has(&in->gone, b->position + i))
            continue;
        memcpy(row, b->cells + i * cols->len, cols->len * sizeof(*row));
        if (c->lineage)
            give_lineage(from, b->position + i, &row[cols->len - 2], &row[cols->len - 1]);
        ok = parquet_writer_rows(w, &one, 1, e);
        c->written++;
    }
    free(row);
    return ok;
}

static bool
copy_file(struct compact *c, const struct columns *cols, const struct lake_file *f,
          struct input *in, struct parquet_writer *w, struct err *e)
{
    struct rows_reader *r;
    struct parquet_batch b;
    in->first = c->written;
    if (!deletes_read_all(c->table->catalog->storage, f, &in->gone, e) ||
        !rows_reader_open(c->table->catalog->storage, &f->rows->file, cols->fields, cols->len,
                          &r, e))
        return false;
    struct parquet_reader *p = rows_reader_parquet(r);
    bool ok = true;
    in->rows = parquet_reader_rows(p);
    for (uint32_t g = 0; ok && g < parquet_reader_groups(p); g++) {
        ok = parquet_reader_seek(p, g, e);
        while (ok && (ok = parquet_reader_next(p, &b, e)) && b.rows)
            ok = copy_batch(c, cols, f->rows, in, &b, w, e);
    }
    rows_reader_free(r);
    return ok;
}

static bool
find_inputs(struct lake_table *t, const struct lake_files *files, const char *const *paths,
            size_t n, struct err *e)
{
    if (files->wide_deletes)
        return err_set(e, MR_LAKE_UNSUPPORTED,
                       "the table %s.%s has deletes that speak of several files", t->space,
                       t->table);
    for (size_t i = 0; i < n; i++)
        if (!lake_files_find(files, paths[i]))
            return err_set(e, MR_LAKE_FILES_GONE, "%s", paths[i]);
    return true;
}

static bool
write_new(struct compact *c, const struct lake_files *files, struct err *e)
{
    char uuid[37];
    struct columns cols;
    struct rows_file *f;
    uuid_v7(uuid);
    if (!plan_columns(c, &cols, e))
        return false;
    char *path = arena_printf(&c->mem, "%s/data/" COMMIT_NAME_PREFIX "%s.parquet",
                              c->table->state.metadata->location, uuid);
    struct parquet_conf conf = {
        .columns = cols.written, .column_count = cols.len, .codec = PARQUET_ZSTD};
    if (!rows_file_new(c->table->catalog->storage, path, &conf, &f, e))
        return false;
    bool ok = true;
    for (size_t i = 0; ok && i < c->inputs_len; i++)
        ok = copy_file(c, &cols, lake_files_find(files, c->inputs[i].path), &c->inputs[i],
                       rows_file_writer(f), e);
    if (ok && c->written)
        ok = c->placed = rows_file_finish(f, &c->mem, &c->made, e);
    rows_file_free(f);
    FAULT("lake.compact.written");
    return ok;
}

bool
compact_rewrite(struct lake_table *t, const char *const *paths, size_t n, struct compact **out,
                struct err *e)
{
    struct compact *c = mem_zalloc(sizeof(*c));
    struct lake_files files;
    arena_init(&c->mem, 0);
    c->table = t;
    c->lineage = t->state.metadata->version >= 3;
    c->inputs = mem_array(n + 1, sizeof(*c->inputs));
    c->inputs_len = n;
    for (size_t i = 0; i < n; i++)
        c->inputs[i].path = arena_strdup(&c->mem, paths[i]);
    bool ok = lake_table_files(t, &files, e) && find_inputs(t, &files, paths, n, e) &&
              write_new(c, &files, e);
    lake_files_free(&files);
    if (ok)
        *out = c;
    else
        compact_free(c);
    return ok;
}

/* Rows of an input that are deleted now and were not then, as places in the new file. */
static bool
translate(struct compact *c, const struct input *in, const struct lake_file *now,
          struct positions *out, struct err *e)
{
    struct positions gone = {0};
    bool ok = deletes_read_all(c->table->catalog->storage, now, &gone, e);
    for (uint64_t i = 0; ok && positions_next(&gone, i, &i); i++)
        if (!positions_has(&in->gone, i) && i < in->rows)
            positions_add(out, in->first + i - positions_rank(&in->gone, i));
    positions_free(&gone);
    return ok;
}

static bool
fill_commit(struct compact *c, const struct lake_files *files, struct commit *t, struct err *e)
{
    struct positions gone = {0};
    struct data_file deletes;
    bool ok = true;
    for (size_t i = 0; ok && i < c->inputs_len; i++) {
        const struct lake_file *f = lake_files_find(files, c->inputs[i].path);
        commit_remove(t, &f->rows->file);
        commit_expect_deletes(t, f);
        ok = translate(c, &c->inputs[i], f, &gone, e);
    }
    c->translated = gone.count;
    if (ok && c->placed)
        commit_add_rows(t, &c->made);
    if (ok && gone.count) {
        char uuid[37];
        uuid_v7(uuid);
        struct deletes_conf conf = {
            .storage = c->table->catalog->storage,
            .version = c->table->state.metadata->version,
            .location = arena_printf(&c->mem, "%s/data/" COMMIT_NAME_PREFIX "%s",
                                     c->table->state.metadata->location, uuid),
            .data_file = c->made.path};
        ok = deletes_write(&conf, &gone, &c->mem, &deletes, e);
        if (ok)
            commit_add_deletes(t, &deletes);
    }
    positions_free(&gone);
    return ok;
}

bool
compact_commit(struct compact *c, const struct commit_conf *conf, struct err *e)
{
    struct lake_files files = {0};
    if (!lake_table_reload(c->table, e))
        return false;
    struct commit *t = commit_new(c->table, conf);
    commit_set_operation(t, "replace");
    const char **paths = arena_alloc(&c->mem, (c->inputs_len + 1) * sizeof(*paths));
    for (size_t i = 0; i < c->inputs_len; i++)
        paths[i] = c->inputs[i].path;
    bool ok = lake_table_files(c->table, &files, e) &&
              find_inputs(c->table, &files, paths, c->inputs_len, e) &&
              fill_commit(c, &files, t, e);
    lake_files_free(&files);
    ok = ok && commit_run(t, e);
    c->keep = ok || commit_unsure(t);
    commit_free(t);
    return ok;
}

const char *
compact_path(const struct compact *c)
{
    return c->placed ? c->made.path : NULL;
}

uint64_t
compact_translated(const struct compact *c)
{
    return c->translated;
}

void
compact_free(struct compact *c)
{
    struct err ignored;
    if (!c)
        return;
    if (c->placed && !c->keep)
        (void)!storage_remove(c->table->catalog->storage, c->made.path, &ignored);
    for (size_t i = 0; i < c->inputs_len; i++)
        positions_free(&c->inputs[i].gone);
    free(c->inputs);
    arena_free(&c->mem);
    free(c);
}
