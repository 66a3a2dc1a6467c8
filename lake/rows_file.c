/* Parquet to storage, and its metrics to a manifest's entry. */
#include "lake/rows_file.h"

#include <stdlib.h>

#include "base/mem.h"

struct rows_file {
    struct storage_writer *file;
    struct parquet_writer *writer;
    char *location;
};

static bool
sink(void *ctx, struct bytes b, struct err *e)
{
    return storage_write(ctx, b, e);
}

bool
rows_file_new(struct storage *s, const char *location, const struct parquet_conf *conf,
              struct rows_file **out, struct err *e)
{
    struct rows_file *f = mem_zalloc(sizeof(*f));
    struct parquet_conf own = *conf;
    f->location = mem_strdup(location);
    bool ok = storage_create(s, location, &f->file, e);
    own.sink = sink;
    own.sink_ctx = f->file;
    if (ok && parquet_writer_new(&own, &f->writer, e)) {
        *out = f;
        return true;
    }
    rows_file_free(f);
    return false;
}

struct parquet_writer *
rows_file_writer(struct rows_file *f)
{
    return f->writer;
}

static void
take_metric(const struct parquet_column_metrics *c, struct arena *a, struct file_metric *out)
{
    *out = (struct file_metric){.id = c->id,
                                .bytes = c->has_counts ? (int64_t)c->bytes : -1,
                                .values = c->has_counts ? (int64_t)c->values : -1,
                                .nulls = c->has_counts ? (int64_t)c->nulls : -1,
                                .nans = c->has_nans ? (int64_t)c->nans : -1,
                                .has_lower = c->has_lower,
                                .has_upper = c->has_upper};
    if (c->has_lower)
        out->lower = arena_copy(a, c->lower);
    if (c->has_upper)
        out->upper = arena_copy(a, c->upper);
}

static int
compare_ids(const void *a, const void *b)
{
    const struct file_metric *x = a, *y = b;
    return x->id < y->id ? -1 : x->id > y->id;
}

static void
describe(const struct rows_file *f, const struct parquet_file *p, struct arena *a,
         struct data_file *out)
{
    struct file_metric *metrics = arena_zalloc(a, (p->column_count + 1) * sizeof(*metrics));
    int64_t *splits = arena_zalloc(a, (p->split_count + 1) * sizeof(*splits));
    for (uint32_t i = 0; i < p->column_count; i++)
        take_metric(&p->columns[i], a, &metrics[i]);
    qsort(metrics, p->column_count, sizeof(*metrics), compare_ids);
    for (uint32_t i = 0; i < p->split_count; i++)
        splits[i] = p->split_offsets[i];
    *out = (struct data_file){.content = DATA_FILE_ROWS,
                              .path = arena_strdup(a, f->location),
                              .format = "PARQUET",
                              .rows = (int64_t)p->rows,
                              .size = (int64_t)p->bytes,
                              .metrics = metrics,
                              .metrics_len = p->column_count,
                              .split_offsets = splits,
                              .splits_len = p->split_count,
                              .sort_order_id = 0,
                              .first_row_id = -1,
                              .content_offset = -1,
                              .content_size = -1};
}

bool
rows_file_finish(struct rows_file *f, struct arena *a, struct data_file *out, struct err *e)
{
    struct parquet_file done;
    if (!parquet_writer_finish(f->writer, &done, e))
        return false;
    describe(f, &done, a, out);
    struct storage_writer *file = f->file;
    f->file = NULL;
    return storage_finish(file, e);
}

void
rows_file_free(struct rows_file *f)
{
    if (!f)
        return;
    storage_abandon(f->file);
    parquet_writer_free(f->writer);
    free(f->location);
    free(f);
}

struct rows_reader {
    struct storage *storage;
    char *location;
    struct parquet_reader *parquet;
    struct buf window;
};

static bool
read_range(void *ctx, uint64_t offset, size_t n, uint8_t *out, struct err *e)
{
    struct rows_reader *r = ctx;
    buf_reset(&r->window);
    if (!storage_read(r->storage, r->location, offset, n, &r->window, e))
        return false;
    memcpy(out, r->window.p, n);
    return true;
}

bool
rows_reader_open(struct storage *s, const struct data_file *f, const struct lake_field *fields,
                 uint32_t field_count, struct rows_reader **out, struct err *e)
{
    struct rows_reader *r = mem_zalloc(sizeof(*r));
    r->storage = s;
    r->location = mem_strdup(f->path);
    struct parquet_source source = {(uint64_t)f->size, read_range, r};
    if (parquet_reader_open(&source, fields, field_count, &r->parquet, e)) {
        *out = r;
        return true;
    }
    err_prefix(e, "%s", f->path);
    rows_reader_free(r);
    return false;
}

struct parquet_reader *
rows_reader_parquet(struct rows_reader *r)
{
    return r->parquet;
}

void
rows_reader_free(struct rows_reader *r)
{
    if (!r)
        return;
    parquet_reader_free(r->parquet);
    buf_free(&r->window);
    free(r->location);
    free(r);
}
