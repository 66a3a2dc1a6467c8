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
    struct lake_table *table; /* of the rewrite */
    struct compact_conf conf;
    struct input *inputs;
    size_t inputs_len;
    struct data_file made; /* path NULL: no rows were left */
    uint64_t written;
    uint64_t translated;
    const char *deletes; /* file of them, of the last commit; NULL: none */
    bool lineage;        /* version 3 */
    bool placed;         /* the new file exists */
    bool added;          /* the last commit names it */
    bool keep;           /* committed, or perhaps */
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
is_identifier(const struct lake_schema *s, int32_t id)
{
    for (uint32_t i = 0; i < s->identifier_count; i++)
        if (s->identifier_ids[i] == id)
            return true;
    return false;
}

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
        out->written[i] = (struct parquet_column){
            .field = out->fields[i],
            .metrics =
                i < out->schema.field_count ? PARQUET_METRICS_BOUNDS : PARQUET_METRICS_NONE,
            .bloom = is_identifier(&out->schema, out->fields[i].id)};
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
    bool ok = !stop_asked(c->conf.stop) ||
              err_set(e, MR_LAKE_STOPPED, "table %s.%s", c->table->space, c->table->table);
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
check_wide(const struct lake_table *t, const struct lake_files *files, struct err *e)
{
    return !files->wide_deletes ||
           err_set(e, MR_LAKE_UNSUPPORTED,
                   "the table %s.%s has deletes that speak of several files", t->space,
                   t->table);
}

static bool
find_inputs(const struct lake_table *t, const struct lake_files *files,
            const char *const *paths, size_t n, struct err *e)
{
    if (!check_wide(t, files, e))
        return false;
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
        .columns = cols.written, .column_count = cols.len, .codec = c->conf.codec};
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
compact_rewrite(struct lake_table *t, const char *const *paths, size_t n,
                const struct compact_conf *conf, struct compact **out, struct err *e)
{
    struct compact *c = mem_zalloc(sizeof(*c));
    struct lake_files files;
    arena_init(&c->mem, 0);
    c->table = t;
    c->conf = *conf;
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
translate(const struct input *in, struct storage *s, const struct lake_file *now,
          struct positions *out, struct err *e)
{
    struct positions gone = {0};
    bool ok = deletes_read_all(s, now, &gone, e);
    for (uint64_t i = 0; ok && positions_next(&gone, i, &i); i++)
        if (!positions_has(&in->gone, i) && i < in->rows)
            positions_add(out, in->first + i - positions_rank(&in->gone, i));
    positions_free(&gone);
    return ok;
}

/* What the new file must lose, by what the table has now. */
static bool
translate_all(struct compact *c, const struct lake_table *now, const struct lake_files *files,
              struct commit *t, struct positions *gone, struct err *e)
{
    uint64_t lost = 0;
    bool found = false;
    for (size_t i = 0; i < c->inputs_len; i++) {
        const struct input *in = &c->inputs[i];
        const struct lake_file *f = lake_files_find(files, in->path);
        uint64_t rows = in->rows - in->gone.count;
        if (f) {
            found = true;
            commit_remove(t, &f->rows->file);
            commit_expect_deletes(t, f);
            if (!translate(in, now->catalog->storage, f, gone, e))
                return false;
            continue;
        }
        lost += rows;
        for (uint64_t k = 0; k < rows; k++)
            positions_add(gone, in->first + k);
    }
    return (found && lost <= c->written / 2) ||
           err_set(e, MR_LAKE_FILES_GONE, "of %llu rows written again %llu are of files gone",
                   (unsigned long long)c->written, (unsigned long long)lost);
}

/* The new file and its deletes; none when no row of it is left. */
static bool
add_made(struct compact *c, const struct lake_table *now, struct commit *t,
         const struct positions *gone, struct err *e)
{
    struct data_file deletes;
    char uuid[37];
    uuid_v7(uuid);
    struct deletes_conf conf = {.storage = now->catalog->storage,
                                .version = now->state.metadata->version,
                                .location =
                                    arena_printf(&c->mem, "%s/data/" COMMIT_NAME_PREFIX "%s",
                                                 now->state.metadata->location, uuid),
                                .data_file = c->made.path};
    if (!c->placed || gone->count == c->written)
        return true;
    c->added = true;
    commit_add_rows(t, &c->made);
    if (!gone->count)
        return true;
    if (!deletes_write(&conf, gone, &c->mem, &deletes, e))
        return false;
    c->deletes = deletes.path;
    FAULT("lake.compact.deletes");
    commit_add_deletes(t, &deletes);
    return true;
}

static void
tell(struct compact *c, struct commit *t, const struct commit_conf *conf)
{
    commit_set_operation(t, "replace");
    commit_set_summary(t, "millrace.compacted", arena_printf(&c->mem, "%zu", c->inputs_len));
    commit_set_summary(t, "millrace.translated",
                       arena_printf(&c->mem, "%llu", (unsigned long long)c->translated));
    if (conf->base_key && conf->base_value)
        commit_set_summary(t, conf->base_key, conf->base_value);
}

/* The deletes of an attempt that is known to have failed. */
static void
drop_deletes(struct compact *c, struct storage *s)
{
    struct err ignored;
    if (c->deletes)
        (void)!storage_remove(s, c->deletes, &ignored);
}

bool
compact_commit(struct compact *c, struct lake_table *t, const struct commit_conf *conf,
               struct err *e)
{
    struct lake_files files = {0};
    struct positions gone = {0};
    if (!lake_table_reload(t, e))
        return false;
    struct commit *m = commit_new(t, conf);
    c->added = false;
    c->deletes = NULL;
    bool ok = lake_table_files(t, &files, e) && check_wide(t, &files, e) &&
              translate_all(c, t, &files, m, &gone, e) && add_made(c, t, m, &gone, e);
    c->translated = gone.count;
    tell(c, m, conf);
    lake_files_free(&files);
    positions_free(&gone);
    ok = ok && commit_run(m, e);
    c->keep |= commit_unsure(m) || (ok && c->added);
    if (!ok && !commit_unsure(m))
        drop_deletes(c, t->catalog->storage);
    commit_free(m);
    FAULT("lake.compact.committed");
    return ok;
}

const char *
compact_path(const struct compact *c)
{
    return c->placed ? c->made.path : NULL;
}

size_t
compact_files(const struct compact *c)
{
    return c->inputs_len;
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
