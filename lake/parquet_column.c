/* Pages and chunks of a column. */
#include "lake/parquet_column.h"

#include <stdlib.h>

#include "base/hash.h"
#include "base/mem.h"
#include "lake/parquet_rle.h"

static enum cell_kind
fast_kind(const struct lake_type *t)
{
    switch (t->kind) {
    case LAKE_LONG:
        return CELL_INT;
    case LAKE_FLOAT:
        return CELL_FLOAT;
    case LAKE_DOUBLE:
        return CELL_DOUBLE;
    case LAKE_STRING:
        return CELL_TEXT;
    case LAKE_BINARY:
        return CELL_BYTES;
    default:
        return CELL_ABSENT;
    }
}

/* None for floats, whose two zeros are equal and hash apart; none for bytes, because DuckDB
 * (1.5.5 seen) looks for the hash of their printed form and skips row groups that have the
 * value.
 */
static bool
has_bloom(const struct lake_type *t)
{
    return t->kind != LAKE_BOOLEAN && t->kind != LAKE_FLOAT && t->kind != LAKE_DOUBLE &&
           t->kind != LAKE_BINARY && t->kind != LAKE_FIXED;
}

static bool
begin_dictionary(const struct parquet_column_writer *c)
{
    return c->physical != PHYSICAL_BOOLEAN;
}

void
parquet_column_init(struct parquet_column_writer *c, const struct parquet_conf *conf,
                    uint32_t at)
{
    const struct parquet_column *def = &conf->columns[at];
    const struct lake_type *t = &def->field.type;
    bool bounds =
        def->metrics == PARQUET_METRICS_BOUNDS || def->metrics == PARQUET_METRICS_FULL;
    *c = (struct parquet_column_writer){
        .def = def,
        .conf = conf,
        .at = at,
        .width = parquet_width(t),
        .physical = parquet_physical(t),
        .fast = fast_kind(t),
        .keep_bounds = bounds,
        .keep_bloom = def->bloom && has_bloom(t),
        .append = parquet_append_of(t),
    };
    c->valid = mem_zalloc(conf->page_rows / 8 + 1);
    c->indexes = mem_array(conf->page_rows, sizeof *c->indexes);
    parquet_dictionary_init(&c->dictionary, conf->dictionary_bytes);
    parquet_bounds_init(&c->bounds, t, def->metrics == PARQUET_METRICS_FULL);
    parquet_bounds_init(&c->file_bounds, t, def->metrics == PARQUET_METRICS_FULL);
    if (c->keep_bloom)
        parquet_bloom_init(&c->bloom, conf->bloom_bytes);
    c->dictionary_on = begin_dictionary(c);
}

void
parquet_column_free(struct parquet_column_writer *c)
{
    free(c->valid);
    free(c->indexes);
    buf_free(&c->plain);
    buf_free(&c->pages);
    buf_free(&c->dictionary_page);
    parquet_dictionary_free(&c->dictionary);
    parquet_bounds_free(&c->bounds);
    parquet_bounds_free(&c->file_bounds);
    parquet_bloom_free(&c->bloom);
    lake_scratch_free(&c->scratch);
}

static void
put_header(struct buf *out, int32_t type, struct bytes body, struct bytes packed,
           uint32_t values, int32_t encoding)
{
    struct thrift_writer t = {.out = out};
    thrift_i32(&t, 1, type);
    thrift_i32(&t, 2, (int32_t)body.n);
    thrift_i32(&t, 3, (int32_t)packed.n);
    thrift_i32(&t, 4, (int32_t)hash_crc32(0, packed));
    thrift_struct(&t, type == PAGE_DATA ? 5 : 7);
    thrift_i32(&t, 1, (int32_t)values);
    thrift_i32(&t, 2, encoding);
    if (type == PAGE_DATA) {
        thrift_i32(&t, 3, ENCODING_RLE);
        thrift_i32(&t, 4, ENCODING_RLE);
    }
    thrift_end(&t);
    thrift_end(&t);
}

static bool
put_page(struct parquet_column_writer *c, struct buf *out, int32_t type, struct bytes body,
         int32_t encoding, struct parquet_block *block, struct err *e)
{
    struct bytes packed;
    size_t before = out->n;
    uint32_t values = type == PAGE_DATA ? c->page_rows : c->dictionary.count;
    if (!parquet_block_compress(block, body, &packed, e))
        return false;
    if (body.n > INT32_MAX || packed.n > INT32_MAX)
        return err_set(e, MR_LAKE_VALUE, "column %s: a page of %zu bytes", c->def->field.name,
                       body.n);
    put_header(out, type, body, packed, values, encoding);
    c->chunk.raw_bytes += out->n - before + body.n;
    buf_add_bytes(out, packed);
    c->chunk.file_bytes += out->n - before;
    return !out->failed || err_set(e, MR_NO_MEMORY, "column %s", c->def->field.name);
}

static void
put_levels(const struct parquet_column_writer *c, struct buf *body)
{
    if (c->def->field.required)
        return;
    size_t at = body->n;
    uint32_t n = 0;
    buf_add(body, &n, 4);
    parquet_rle_put_bits(c->valid, c->page_rows, c->page_values, body);
    n = (uint32_t)(body->n - at - 4);
    if (!body->failed)
        memcpy(body->p + at, &n, 4);
}

static void
put_booleans(const struct buf *values, struct buf *body)
{
    for (size_t i = 0; i < values->n; i += 8) {
        unsigned byte = 0;
        for (size_t k = i; k < values->n && k < i + 8; k++)
            byte |= (unsigned)values->p[k] << (k - i);
        buf_add_byte(body, (uint8_t)byte);
    }
}

static unsigned
index_width(uint32_t count)
{
    return count <= 2 ? 1 : 32 - (unsigned)__builtin_clz(count - 1);
}

static void
put_indexes(const struct parquet_column_writer *c, struct buf *body)
{
    unsigned width = index_width(c->dictionary.count);
    buf_add_byte(body, (uint8_t)width);
    parquet_rle_put(c->indexes, c->page_values, width, body);
}

/* Asked at the first page's end: later pages would be like it. */
static bool
dictionary_pays(const struct parquet_column_writer *c)
{
    size_t indexes = (size_t)c->page_values * index_width(c->dictionary.count) / 8;
    return c->dictionary.values.n + indexes < c->page_bytes - c->page_bytes / 5;
}

static bool
end_page(struct parquet_column_writer *c, struct parquet_block *block, struct buf *body,
         struct err *e)
{
    if (c->dictionary_on && c->page_values && !c->chunk.dictionary_pages && !dictionary_pays(c))
        parquet_column_drop_dictionary(c);
    bool indexed = c->dictionary_on && c->page_values;
    buf_reset(body);
    put_levels(c, body);
    if (indexed)
        put_indexes(c, body);
    else if (c->physical == PHYSICAL_BOOLEAN)
        put_booleans(&c->plain, body);
    else
        buf_add_bytes(body, buf_bytes(&c->plain));
    if (body->failed || c->plain.failed)
        return err_set(e, MR_NO_MEMORY, "column %s", c->def->field.name);
    if (!put_page(c, &c->pages, PAGE_DATA, buf_bytes(body),
                  indexed ? ENCODING_DICTIONARY : ENCODING_PLAIN, block, e))
        return false;
    *(indexed ? &c->chunk.dictionary_pages : &c->chunk.plain_pages) += 1;
    c->chunk.rows += c->page_rows;
    memset(c->valid, 0, c->page_rows / 8 + 1);
    c->page_rows = c->page_values = 0;
    c->page_bytes = 0;
    buf_reset(&c->plain);
    return true;
}

bool
parquet_column_rows(struct parquet_column_writer *c, const struct cell *const *rows, size_t n,
                    struct parquet_block *block, struct buf *body, struct err *e)
{
    while (n) {
        size_t take = c->conf->page_rows - c->page_rows;
        take = take < n ? take : n;
        if (!c->append(c, rows, &take, e))
            return false;
        rows += take;
        n -= take;
        if ((c->page_rows == c->conf->page_rows || c->page_bytes >= c->conf->page_bytes) &&
            !end_page(c, block, body, e))
            return false;
    }
    return true;
}

bool
parquet_column_end(struct parquet_column_writer *c, struct parquet_block *block,
                   struct buf *body, struct err *e)
{
    if (c->page_rows && !end_page(c, block, body, e))
        return false;
    c->chunk.has_dictionary = c->chunk.dictionary_pages > 0;
    buf_reset(&c->dictionary_page);
    if (c->chunk.has_dictionary &&
        !put_page(c, &c->dictionary_page, PAGE_DICTIONARY, buf_bytes(&c->dictionary.values),
                  ENCODING_PLAIN, block, e))
        return false;
    return !c->bounds.min.failed && !c->bounds.max.failed
               ? true
               : err_set(e, MR_NO_MEMORY, "column %s", c->def->field.name);
}

void
parquet_column_next(struct parquet_column_writer *c)
{
    c->file.rows += c->chunk.rows;
    c->file.nulls += c->chunk.nulls;
    c->file.nans += c->chunk.nans;
    c->file.file_bytes += c->chunk.file_bytes;
    parquet_bounds_merge(&c->file_bounds, &c->bounds);
    c->chunk = (struct parquet_chunk){0};
    buf_reset(&c->pages);
    parquet_bounds_reset(&c->bounds);
    parquet_dictionary_reset(&c->dictionary);
    c->dictionary_on = begin_dictionary(c);
    if (c->keep_bloom)
        parquet_bloom_reset(&c->bloom);
}
