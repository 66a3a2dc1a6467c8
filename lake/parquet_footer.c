/* FileMetaData. */
#include "lake/parquet_footer.h"

#define STATISTICS_BYTES 64 /* of text and bytes in the file's own statistics */

enum {
    LOGICAL_STRING = 1,
    LOGICAL_DECIMAL = 5,
    LOGICAL_DATE = 6,
    LOGICAL_TIME = 7,
    LOGICAL_TIMESTAMP = 8,
    LOGICAL_UUID = 14
};

enum {
    CONVERTED_UTF8 = 0,
    CONVERTED_DECIMAL = 5,
    CONVERTED_DATE = 6,
    CONVERTED_TIMESTAMP_MICROS = 10
};

static void
empty_struct(struct thrift_writer *t, int16_t id)
{
    thrift_struct(t, id);
    thrift_end(t);
}

/* The older form; times without a zone have none. */
static void
put_converted(struct thrift_writer *t, const struct lake_type *type)
{
    if (type->kind == LAKE_STRING)
        thrift_i32(t, 6, CONVERTED_UTF8);
    else if (type->kind == LAKE_DATE)
        thrift_i32(t, 6, CONVERTED_DATE);
    else if (type->kind == LAKE_TIMESTAMPTZ)
        thrift_i32(t, 6, CONVERTED_TIMESTAMP_MICROS);
    if (type->kind == LAKE_DECIMAL) {
        thrift_i32(t, 6, CONVERTED_DECIMAL);
        thrift_i32(t, 7, type->scale);
        thrift_i32(t, 8, type->precision);
    }
}

static void
put_micros(struct thrift_writer *t, int16_t id, bool utc)
{
    thrift_struct(t, id);
    thrift_bool(t, 1, utc);
    thrift_struct(t, 2);
    empty_struct(t, 2);
    thrift_end(t);
    thrift_end(t);
}

static void
put_logical(struct thrift_writer *t, const struct lake_type *type)
{
    switch (type->kind) {
    case LAKE_STRING:
        empty_struct(t, LOGICAL_STRING);
        break;
    case LAKE_DECIMAL:
        thrift_struct(t, LOGICAL_DECIMAL);
        thrift_i32(t, 1, type->scale);
        thrift_i32(t, 2, type->precision);
        thrift_end(t);
        break;
    case LAKE_DATE:
        empty_struct(t, LOGICAL_DATE);
        break;
    case LAKE_TIME:
        put_micros(t, LOGICAL_TIME, false);
        break;
    case LAKE_TIMESTAMP:
    case LAKE_TIMESTAMPTZ:
        put_micros(t, LOGICAL_TIMESTAMP, type->kind == LAKE_TIMESTAMPTZ);
        break;
    default:
        empty_struct(t, LOGICAL_UUID);
    }
}

static bool
has_logical(const struct lake_type *type)
{
    return (type->kind >= LAKE_DECIMAL && type->kind <= LAKE_UUID);
}

static void
put_field(struct thrift_writer *t, const struct lake_field *f)
{
    thrift_element(t);
    thrift_i32(t, 1, (int32_t)parquet_physical(&f->type));
    if (parquet_physical(&f->type) == PHYSICAL_FIXED)
        thrift_i32(t, 2, (int32_t)parquet_width(&f->type));
    thrift_i32(t, 3, f->required ? REPETITION_REQUIRED : REPETITION_OPTIONAL);
    thrift_binary(t, 4, bytes_str(f->name));
    put_converted(t, &f->type);
    thrift_i32(t, 9, f->id);
    if (has_logical(&f->type)) {
        thrift_struct(t, 10);
        put_logical(t, &f->type);
        thrift_end(t);
    }
    thrift_end(t);
}

/* A bound in PLAIN form, BYTE_ARRAY without its length. */
static void
put_plain(struct thrift_writer *t, int16_t id, const struct parquet_column_writer *c,
          const struct cell *v)
{
    uint8_t le[8];
    float narrow = (float)v->v.d;
    if (v->kind == CELL_TEXT || v->kind == CELL_BYTES) {
        thrift_binary(t, id, cell_bytes(v));
        return;
    }
    if (v->kind == CELL_FLOAT)
        memcpy(le, &narrow, 4);
    else
        memcpy(le, &v->v, 8);
    thrift_binary(t, id, bytes_of(le, c->width));
}

/* No bounds beside NaN: DuckDB (1.5.5 seen) takes a filter that all of them pass for one that
 * NaN passes too. The manifest has bounds and the count of NaN. */
static void
put_statistics(struct thrift_writer *t, struct parquet_column_writer *c)
{
    struct parquet_cut cut = {.bytes = c->physical == PHYSICAL_BYTES ? STATISTICS_BYTES : 0};
    struct cell v;
    bool max_exact = false, min_exact = false;
    if (c->def->metrics == PARQUET_METRICS_NONE)
        return;
    if (c->def->metrics == PARQUET_METRICS_FULL)
        cut.bytes = 0;
    thrift_struct(t, 12);
    thrift_i64(t, 3, (int64_t)c->chunk.nulls);
    bool max = !c->chunk.nans &&
               parquet_bounds_upper(&c->bounds, cut, &c->scratch.text, &v, &max_exact);
    if (max)
        put_plain(t, 5, c, &v);
    bool min = !c->chunk.nans &&
               parquet_bounds_lower(&c->bounds, cut, &c->scratch.text, &v, &min_exact);
    if (min)
        put_plain(t, 6, c, &v);
    if (max)
        thrift_bool(t, 7, max_exact);
    if (min)
        thrift_bool(t, 8, min_exact);
    thrift_end(t);
}

static void
put_encodings(struct thrift_writer *t, const struct parquet_chunk *c)
{
    thrift_list(t, 2, THRIFT_I32, c->has_dictionary ? 3 : 2);
    thrift_element_i32(t, ENCODING_PLAIN);
    thrift_element_i32(t, ENCODING_RLE);
    if (c->has_dictionary)
        thrift_element_i32(t, ENCODING_DICTIONARY);
}

static void
put_page_count(struct thrift_writer *t, int32_t type, int32_t encoding, uint32_t n)
{
    if (!n)
        return;
    thrift_element(t);
    thrift_i32(t, 1, type);
    thrift_i32(t, 2, encoding);
    thrift_i32(t, 3, (int32_t)n);
    thrift_end(t);
}

static void
put_page_counts(struct thrift_writer *t, const struct parquet_chunk *c)
{
    size_t kinds = (size_t)(c->has_dictionary ? 2 : 0) + (c->plain_pages ? 1 : 0);
    thrift_list(t, 13, THRIFT_STRUCT, kinds);
    put_page_count(t, PAGE_DICTIONARY, ENCODING_PLAIN, c->has_dictionary);
    put_page_count(t, PAGE_DATA, ENCODING_DICTIONARY, c->dictionary_pages);
    put_page_count(t, PAGE_DATA, ENCODING_PLAIN, c->plain_pages);
}

static void
put_chunk(struct thrift_writer *t, struct parquet_column_writer *c,
          const struct parquet_place *place)
{
    uint64_t data = place->begin + (c->chunk.has_dictionary ? c->dictionary_page.n : 0);
    thrift_element(t);
    thrift_i64(t, 2, 0);
    thrift_struct(t, 3);
    thrift_i32(t, 1, (int32_t)c->physical);
    put_encodings(t, &c->chunk);
    thrift_list(t, 3, THRIFT_BINARY, 1);
    thrift_element_binary(t, bytes_str(c->def->field.name));
    thrift_i32(t, 4, parquet_codec_number(c->conf->codec));
    thrift_i64(t, 5, (int64_t)c->chunk.rows);
    thrift_i64(t, 6, (int64_t)c->chunk.raw_bytes);
    thrift_i64(t, 7, (int64_t)c->chunk.file_bytes);
    thrift_i64(t, 9, (int64_t)data);
    if (c->chunk.has_dictionary)
        thrift_i64(t, 11, (int64_t)place->begin);
    put_statistics(t, c);
    put_page_counts(t, &c->chunk);
    if (place->bloom) {
        thrift_i64(t, 14, (int64_t)place->bloom);
        thrift_i32(t, 15, (int32_t)place->bloom_bytes);
    }
    thrift_end(t);
    thrift_end(t);
}

void
parquet_footer_group(struct parquet_column_writer *columns, uint32_t count,
                     const struct parquet_place *places, uint32_t ordinal, uint64_t rows,
                     struct buf *out)
{
    struct thrift_writer t = {.out = out};
    uint64_t raw = 0, packed = 0;
    thrift_list(&t, 1, THRIFT_STRUCT, count);
    for (uint32_t i = 0; i < count; i++) {
        put_chunk(&t, &columns[i], &places[i]);
        raw += columns[i].chunk.raw_bytes;
        packed += columns[i].chunk.file_bytes;
    }
    thrift_i64(&t, 2, (int64_t)raw);
    thrift_i64(&t, 3, (int64_t)rows);
    thrift_i64(&t, 5, (int64_t)places[0].begin);
    thrift_i64(&t, 6, (int64_t)packed);
    if (ordinal <= INT16_MAX)
        thrift_i16(&t, 7, (int16_t)ordinal);
    thrift_end(&t);
}

static void
put_properties(struct thrift_writer *t, const struct parquet_conf *conf)
{
    if (!conf->iceberg_schema)
        return;
    thrift_list(t, 5, THRIFT_STRUCT, 1);
    thrift_element(t);
    thrift_binary(t, 1, BYTES_LIT("iceberg.schema"));
    thrift_binary(t, 2, bytes_str(conf->iceberg_schema));
    thrift_end(t);
}

/* TYPE_ORDER for all. */
static void
put_orders(struct thrift_writer *t, uint32_t count)
{
    thrift_list(t, 7, THRIFT_STRUCT, count);
    for (uint32_t i = 0; i < count; i++) {
        thrift_element(t);
        empty_struct(t, 1);
        thrift_end(t);
    }
}

void
parquet_footer_file(const struct parquet_conf *conf, uint64_t rows, struct bytes groups,
                    uint32_t group_count, struct buf *out)
{
    struct thrift_writer t = {.out = out};
    thrift_i32(&t, 1, 2);
    thrift_list(&t, 2, THRIFT_STRUCT, (size_t)conf->column_count + 1);
    thrift_element(&t);
    thrift_binary(&t, 4, BYTES_LIT("table"));
    thrift_i32(&t, 5, (int32_t)conf->column_count);
    thrift_end(&t);
    for (uint32_t i = 0; i < conf->column_count; i++)
        put_field(&t, &conf->columns[i].field);
    thrift_i64(&t, 3, (int64_t)rows);
    thrift_list(&t, 4, THRIFT_STRUCT, group_count);
    buf_add_bytes(out, groups);
    put_properties(&t, conf);
    thrift_binary(&t, 6, BYTES_LIT("millrace version " MILLRACE_VERSION " (build 0)"));
    put_orders(&t, conf->column_count);
    thrift_end(&t);
}
