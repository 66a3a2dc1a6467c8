/* The Parquet writer: columns side by side, row groups one after another. */
#include "lake/parquet_writer.h"

#include <stdlib.h>

#include "base/mem.h"
#include "lake/parquet_footer.h"

#define STEP 256 /* rows a column takes before the next column does: they stay in the cache */

struct parquet_writer {
    struct parquet_conf conf;
    struct parquet_column_writer *columns;
    struct parquet_place *places;
    struct parquet_block block;
    struct buf body;   /* of the page that is closed */
    struct buf groups; /* RowGroup structs */
    struct buf bloom;
    uint64_t written;
    uint64_t rows;
    uint64_t group_rows;
    uint32_t group_count;
    int64_t *splits;
    struct parquet_column_metrics *metrics;
    struct buf bounds; /* of the metrics */
};

static size_t
at_most(size_t v, size_t max)
{
    return v < max ? v : max;
}

static void
fill_defaults(struct parquet_conf *c)
{
    c->level = c->level ? c->level : 1;
    c->page_bytes = c->page_bytes ? c->page_bytes : (size_t)1 << 20;
    c->page_rows = c->page_rows ? c->page_rows : 20000;
    c->group_bytes = c->group_bytes ? c->group_bytes : (size_t)32 << 20;
    c->group_rows = c->group_rows ? c->group_rows : (uint64_t)1 << 20;
    c->dictionary_bytes = c->dictionary_bytes ? c->dictionary_bytes : (size_t)1 << 20;
    c->bloom_bytes = c->bloom_bytes ? c->bloom_bytes : (size_t)1 << 20;
    /* What the format's numbers and our reader can hold. */
    c->page_bytes = at_most(c->page_bytes, (size_t)64 << 20);
    c->page_rows = (uint32_t)at_most(c->page_rows, PARQUET_PAGE_ROWS_MAX);
    c->dictionary_bytes = at_most(c->dictionary_bytes, (size_t)64 << 20);
    c->bloom_bytes = at_most(c->bloom_bytes, (size_t)32 << 20);
}

static bool
check_field(const struct lake_field *f, struct err *e)
{
    const struct lake_type *t = &f->type;
    bool ok = t->kind < LAKE_KINDS && f->name && f->name[0] && f->id > 0;
    if (ok && t->kind == LAKE_DECIMAL)
        ok = t->precision && t->precision <= LAKE_PRECISION_MAX && t->scale <= t->precision;
    if (ok && t->kind == LAKE_FIXED)
        ok = t->length && t->length <= PARQUET_VALUE_MAX;
    return ok || err_set(e, MR_LAKE_TYPE, "field %d (%s) is not valid", f->id,
                         f->name ? f->name : "");
}

static bool
check_columns(const struct parquet_conf *c, struct err *e)
{
    if (!c->column_count || c->column_count > PARQUET_COLUMNS_MAX)
        return err_set(e, MR_LAKE_TYPE, "a file of %u columns", c->column_count);
    for (uint32_t i = 0; i < c->column_count; i++) {
        const struct lake_field *f = &c->columns[i].field;
        if (!check_field(f, e))
            return false;
        for (uint32_t k = 0; k < i; k++)
            if (c->columns[k].field.id == f->id || !strcmp(c->columns[k].field.name, f->name))
                return err_set(e, MR_LAKE_TYPE, "field %d (%s) is there twice", f->id, f->name);
    }
    return true;
}

static bool
emit(struct parquet_writer *w, struct bytes b, struct err *e)
{
    if (!b.n)
        return true;
    w->written += b.n;
    return w->conf.sink(w->conf.sink_ctx, b, e);
}

bool
parquet_writer_new(const struct parquet_conf *conf, struct parquet_writer **out, struct err *e)
{
    *out = NULL;
    if (!check_columns(conf, e))
        return false;
    struct parquet_writer *w = mem_zalloc(sizeof *w);
    w->conf = *conf;
    fill_defaults(&w->conf);
    w->columns = mem_array(conf->column_count, sizeof *w->columns);
    w->places = mem_array(conf->column_count, sizeof *w->places);
    w->metrics = mem_array(conf->column_count, sizeof *w->metrics);
    parquet_block_init(&w->block, conf->codec, w->conf.level);
    for (uint32_t i = 0; i < conf->column_count; i++)
        parquet_column_init(&w->columns[i], &w->conf, i);
    if (!emit(w, bytes_str(PARQUET_MAGIC), e)) {
        parquet_writer_free(w);
        return false;
    }
    *out = w;
    return true;
}

void
parquet_writer_free(struct parquet_writer *w)
{
    if (!w)
        return;
    for (uint32_t i = 0; i < w->conf.column_count; i++)
        parquet_column_free(&w->columns[i]);
    free(w->columns);
    free(w->places);
    free(w->metrics);
    free(w->splits);
    parquet_block_free(&w->block);
    buf_free(&w->body);
    buf_free(&w->groups);
    buf_free(&w->bloom);
    buf_free(&w->bounds);
    free(w);
}

static bool
emit_chunk(struct parquet_writer *w, uint32_t i, struct err *e)
{
    struct parquet_column_writer *c = &w->columns[i];
    if (!parquet_column_end(c, &w->block, &w->body, e))
        return false;
    w->places[i] = (struct parquet_place){.begin = w->written};
    if (c->chunk.has_dictionary && !emit(w, buf_bytes(&c->dictionary_page), e))
        return false;
    return emit(w, buf_bytes(&c->pages), e);
}

static bool
emit_bloom(struct parquet_writer *w, uint32_t i, struct err *e)
{
    struct parquet_column_writer *c = &w->columns[i];
    if (!c->keep_bloom)
        return true;
    buf_reset(&w->bloom);
    parquet_bloom_put(&c->bloom, &w->bloom);
    if (w->bloom.failed)
        return err_set(e, MR_NO_MEMORY, "bloom filter of column %s", c->def->field.name);
    w->places[i].bloom = w->written;
    w->places[i].bloom_bytes = (uint32_t)w->bloom.n;
    return emit(w, buf_bytes(&w->bloom), e);
}

static bool
end_group(struct parquet_writer *w, struct err *e)
{
    uint32_t count = w->conf.column_count;
    for (uint32_t i = 0; i < count; i++)
        if (!emit_chunk(w, i, e))
            return false;
    for (uint32_t i = 0; i < count; i++)
        if (!emit_bloom(w, i, e))
            return false;
    parquet_footer_group(w->columns, count, w->places, w->group_count, w->group_rows,
                         &w->groups);
    for (uint32_t i = 0; i < count; i++)
        parquet_column_next(&w->columns[i]);
    w->splits = mem_realloc(w->splits, (w->group_count + 1) * sizeof *w->splits);
    w->splits[w->group_count++] = (int64_t)w->places[0].begin;
    w->group_rows = 0;
    return !w->groups.failed || err_set(e, MR_NO_MEMORY, "footer of the file");
}

static size_t
open_bytes(const struct parquet_writer *w)
{
    size_t n = 0;
    for (uint32_t i = 0; i < w->conf.column_count; i++)
        n += parquet_column_bytes(&w->columns[i]);
    return n;
}

static bool
take_step(struct parquet_writer *w, const struct cell *const *rows, size_t n, struct err *e)
{
    for (uint32_t i = 0; i < w->conf.column_count; i++)
        if (!parquet_column_rows(&w->columns[i], rows, n, &w->block, &w->body, e))
            return false;
    w->rows += n;
    w->group_rows += n;
    if (w->group_rows < w->conf.group_rows && open_bytes(w) < w->conf.group_bytes)
        return true;
    return end_group(w, e);
}

bool
parquet_writer_rows(struct parquet_writer *w, const struct cell *const *rows, size_t n,
                    struct err *e)
{
    while (n) {
        uint64_t room = w->conf.group_rows - w->group_rows;
        size_t take = n < STEP ? n : STEP;
        take = take < room ? take : (size_t)room;
        if (!take_step(w, rows, take, e))
            return false;
        rows += take;
        n -= take;
    }
    return true;
}

uint64_t
parquet_writer_bytes(const struct parquet_writer *w)
{
    return w->written + open_bytes(w);
}

uint64_t
parquet_writer_row_count(const struct parquet_writer *w)
{
    return w->rows;
}

static bool
emit_footer(struct parquet_writer *w, struct err *e)
{
    struct buf *b = &w->body;
    buf_reset(b);
    parquet_footer_file(&w->conf, w->rows, buf_bytes(&w->groups), w->group_count, b);
    uint32_t n = (uint32_t)b->n;
    buf_add(b, &n, 4);
    buf_add_str(b, PARQUET_MAGIC);
    if (b->failed)
        return err_set(e, MR_NO_MEMORY, "footer of the file");
    return emit(w, buf_bytes(b), e);
}

/* A bound appended to w->bounds; `at` gets its length alone, for the buffer may still move. */
static bool
put_bound(struct parquet_writer *w, struct parquet_column_writer *c, bool upper,
          struct bytes *at)
{
    struct parquet_cut cut = {16, 16};
    struct cell v;
    bool exact;
    if (c->def->metrics == PARQUET_METRICS_FULL)
        cut = (struct parquet_cut){0};
    else if (c->def->field.type.kind == LAKE_STRING)
        cut.bytes = 0;
    size_t before = w->bounds.n;
    bool any = (upper ? parquet_bounds_upper : parquet_bounds_lower)(
        &c->file_bounds, cut, &c->scratch.text, &v, &exact);
    if (any)
        lake_value_put(&c->def->field.type, &v, &w->bounds);
    *at = (struct bytes){NULL, w->bounds.n - before};
    return any;
}

static void
fill_metrics(struct parquet_writer *w, uint32_t i)
{
    struct parquet_column_writer *c = &w->columns[i];
    struct parquet_column_metrics *m = &w->metrics[i];
    enum lake_kind kind = c->def->field.type.kind;
    *m = (struct parquet_column_metrics){
        .id = c->def->field.id,
        .bytes = c->file.file_bytes,
        .values = c->file.rows,
        .nulls = c->file.nulls,
        .nans = c->file.nans,
        .has_counts = c->def->metrics != PARQUET_METRICS_NONE,
    };
    m->has_nans = m->has_counts && (kind == LAKE_FLOAT || kind == LAKE_DOUBLE);
    m->has_lower = put_bound(w, c, false, &m->lower);
    m->has_upper = put_bound(w, c, true, &m->upper);
}

bool
parquet_writer_finish(struct parquet_writer *w, struct parquet_file *out, struct err *e)
{
    uint64_t zeros = 0;
    if (w->group_rows && !end_group(w, e))
        return false;
    if (!emit_footer(w, e))
        return false;
    for (uint32_t i = 0; i < w->conf.column_count; i++) {
        fill_metrics(w, i);
        zeros += w->columns[i].scratch.zeros;
    }
    if (w->bounds.failed)
        return err_set(e, MR_NO_MEMORY, "bounds of the file");
    const uint8_t *at = w->bounds.p;
    for (uint32_t i = 0; i < w->conf.column_count; i++) {
        w->metrics[i].lower.p = at;
        w->metrics[i].upper.p = at ? at + w->metrics[i].lower.n : NULL;
        at = at ? w->metrics[i].upper.p + w->metrics[i].upper.n : NULL;
    }
    *out = (struct parquet_file){.rows = w->rows,
                                 .bytes = w->written,
                                 .zeros_nulled = zeros,
                                 .columns = w->metrics,
                                 .column_count = w->conf.column_count,
                                 .split_offsets = w->splits,
                                 .split_count = w->group_count};
    return true;
}
