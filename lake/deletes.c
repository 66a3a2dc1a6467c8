/* Deletion vectors in Puffin files, and position delete files. */
#include "lake/deletes.h"

#include "base/hash.h"
#include "lake/rows_file.h"

#define PUFFIN_MAGIC    BYTES_LIT("PFA1")
#define VECTOR_MAGIC    BYTES_LIT("\xD1\xD3\x39\x64")
#define VECTOR_MAX      ((size_t)1 << 30)
#define VECTOR_FRAME    12 /* length, magic, CRC */
#define LAKE_ID_ROW_POS 2147483645
#define ROWS_STEP       1024

static void
put_be32(struct buf *out, uint32_t v)
{
    const uint8_t b[] = {(uint8_t)(v >> 24), (uint8_t)(v >> 16), (uint8_t)(v >> 8), (uint8_t)v};
    buf_add(out, b, sizeof(b));
}

static void
put_le32(struct buf *out, uint32_t v)
{
    put_be32(out, __builtin_bswap32(v));
}

void
deletes_put_blob(const struct positions *p, struct buf *out)
{
    struct buf body = {0};
    buf_add_bytes(&body, VECTOR_MAGIC);
    positions_write(p, &body);
    put_be32(out, (uint32_t)body.n);
    buf_add_bytes(out, buf_bytes(&body));
    put_be32(out, hash_crc32(0, buf_bytes(&body)));
    out->failed = out->failed || body.failed || body.n > VECTOR_MAX;
    buf_free(&body);
}

bool
deletes_take_blob(struct bytes blob, struct positions *p, struct err *e)
{
    struct reader r = reader_of(blob);
    uint64_t n = reader_be(&r, 4);
    struct bytes body = reader_take(&r, r.failed ? 0 : (size_t)n);
    uint64_t crc = reader_be(&r, 4);
    if (r.failed || reader_left(&r) || body.n < VECTOR_MAGIC.n ||
        !bytes_eq(bytes_of(body.p, VECTOR_MAGIC.n), VECTOR_MAGIC))
        return err_set(e, MR_LAKE_METADATA, "not a deletion vector");
    if (crc != hash_crc32(0, body))
        return err_set(e, MR_LAKE_METADATA, "the CRC of a deletion vector is wrong");
    return positions_read(bytes_of(body.p + VECTOR_MAGIC.n, body.n - VECTOR_MAGIC.n), p, e);
}

/* The footer's payload: one blob. */
static void
put_payload(const struct deletes_conf *conf, uint64_t cardinality, uint64_t length,
            struct buf *out)
{
    struct json *blob = json_object_new(), *file = json_object_new();
    struct json *fields = json_array_new(), *blobs = json_array_new();
    struct json *properties = json_object_new(), *made = json_object_new();
    struct buf count = {0};
    buf_add_u64_text(&count, cardinality);
    json_push(fields, json_i64(LAKE_ID_ROW_POS));
    json_set(properties, "referenced-data-file", json_str(conf->data_file));
    json_set(properties, "cardinality", json_str(buf_cstr(&count)));
    json_set(blob, "type", json_str("deletion-vector-v1"));
    json_set(blob, "fields", fields);
    json_set(blob, "snapshot-id", json_i64(-1));
    json_set(blob, "sequence-number", json_i64(-1));
    json_set(blob, "offset", json_u64(PUFFIN_MAGIC.n));
    json_set(blob, "length", json_u64(length));
    json_set(blob, "properties", properties);
    json_push(blobs, blob);
    json_set(made, "created-by", json_str("millrace " MILLRACE_VERSION));
    json_set(file, "blobs", blobs);
    json_set(file, "properties", made);
    json_dump(file, out);
    json_free(file);
    buf_free(&count);
}

static bool
write_vector(const struct deletes_conf *conf, const struct positions *p, struct data_file *out,
             struct err *e)
{
    struct buf file = {0}, payload = {0};
    buf_add_bytes(&file, PUFFIN_MAGIC);
    deletes_put_blob(p, &file);
    out->content_offset = (int64_t)PUFFIN_MAGIC.n;
    out->content_size = (int64_t)(file.n - PUFFIN_MAGIC.n);
    put_payload(conf, p->count, (uint64_t)out->content_size, &payload);
    buf_add_bytes(&file, PUFFIN_MAGIC);
    buf_add_bytes(&file, buf_bytes(&payload));
    put_le32(&file, (uint32_t)payload.n);
    put_le32(&file, 0); /* flags: not compressed */
    buf_add_bytes(&file, PUFFIN_MAGIC);
    out->format = "PUFFIN";
    out->size = (int64_t)file.n;
    bool ok = !file.failed || err_set(e, MR_NO_MEMORY, "a deletion vector above its limit");
    ok = ok && storage_put(conf->storage, out->path, buf_bytes(&file), e);
    buf_free(&file);
    buf_free(&payload);
    return ok;
}

bool
deletes_read_vector(struct storage *s, const struct data_file *vector, struct positions *p,
                    struct err *e)
{
    struct buf blob = {0};
    if (vector->content_offset < 0 || vector->content_size < VECTOR_FRAME ||
        vector->content_size > (int64_t)VECTOR_MAX)
        return err_set(e, MR_LAKE_METADATA, "%s: not a deletion vector's place", vector->path);
    bool ok = storage_read(s, vector->path, (uint64_t)vector->content_offset,
                           (size_t)vector->content_size, &blob, e) &&
              (deletes_take_blob(buf_bytes(&blob), p, e) || err_wrap(e, "%s", vector->path));
    buf_free(&blob);
    return ok;
}

/* Positions of a Parquet file that speaks of `data_file`. */
static bool
take_positions(struct parquet_reader *r, const char *data_file, struct positions *p,
               struct err *e)
{
    struct parquet_batch b;
    bool ok = true;
    for (uint32_t g = 0; ok && g < parquet_reader_groups(r); g++) {
        ok = parquet_reader_seek(r, g, e);
        while (ok && (ok = parquet_reader_next(r, &b, e)) && b.rows)
            for (size_t i = 0; ok && i < b.rows; i++) {
                const struct cell *path = &b.cells[2 * i], *pos = &b.cells[2 * i + 1];
                if (pos->kind != CELL_INT || pos->v.i < 0 || pos->v.i > POSITIONS_MAX)
                    ok = err_set(e, MR_LAKE_METADATA, "a position delete is out of range");
                else if (bytes_eq(cell_bytes(path), bytes_str(data_file)))
                    positions_add(p, (uint64_t)pos->v.i);
            }
    }
    return ok;
}

bool
deletes_read_all(struct storage *s, const struct lake_file *f, struct positions *p,
                 struct err *e)
{
    const struct lake_field fields[] = {LAKE_FIELD_FILE_PATH, LAKE_FIELD_POS};
    bool ok = !f->vector || deletes_read_vector(s, &f->vector->file, p, e);
    for (uint32_t i = 0; ok && i < f->positions_len; i++) {
        struct rows_reader *r;
        if (!rows_reader_open(s, &f->positions[i]->file, fields, ARRAY_LEN(fields), &r, e))
            return false;
        ok = take_positions(rows_reader_parquet(r), f->rows->file.path, p, e);
        rows_reader_free(r);
    }
    return ok;
}

static bool
write_rows(struct parquet_writer *w, const char *data_file, const struct positions *p,
           struct err *e)
{
    struct cell cells[ROWS_STEP][2];
    const struct cell *rows[ROWS_STEP];
    size_t n = 0;
    struct bytes path = bytes_str(data_file);
    for (uint64_t i = 0; positions_next(p, i, &i); i++) {
        cells[n][0] = (struct cell){.kind = CELL_TEXT, .len = (uint32_t)path.n, .v.p = path.p};
        cells[n][1] = (struct cell){.kind = CELL_INT, .v.i = (int64_t)i};
        rows[n] = cells[n];
        if (++n < ROWS_STEP)
            continue;
        if (!parquet_writer_rows(w, rows, n, e))
            return false;
        n = 0;
    }
    return n == 0 || parquet_writer_rows(w, rows, n, e);
}

static bool
write_positions(const struct deletes_conf *conf, const struct positions *p, struct arena *a,
                struct data_file *out, struct err *e)
{
    /* The bounds of file_path, in full, say that the file speaks of one data file. */
    const struct parquet_column columns[] = {
        {.field = LAKE_FIELD_FILE_PATH, .metrics = PARQUET_METRICS_FULL},
        {.field = LAKE_FIELD_POS, .metrics = PARQUET_METRICS_BOUNDS},
    };
    const struct parquet_conf pc = {
        .columns = columns, .column_count = ARRAY_LEN(columns), .codec = PARQUET_ZSTD};
    struct rows_file *f;
    struct data_file done;
    if (!rows_file_new(conf->storage, out->path, &pc, &f, e))
        return false;
    bool ok = write_rows(rows_file_writer(f), conf->data_file, p, e) &&
              rows_file_finish(f, a, &done, e);
    rows_file_free(f);
    if (!ok)
        return false;
    out->metrics = done.metrics;
    out->metrics_len = done.metrics_len;
    out->size = done.size;
    return true;
}

bool
deletes_write(const struct deletes_conf *conf, const struct positions *p, struct arena *a,
              struct data_file *out, struct err *e)
{
    bool vector = conf->version >= 3;
    *out = (struct data_file){.content = DATA_FILE_POSITIONS,
                              .format = "PARQUET",
                              .rows = (int64_t)p->count,
                              .sort_order_id = -1,
                              .first_row_id = -1,
                              .content_offset = -1,
                              .content_size = -1};
    out->path =
        arena_printf(a, "%s%s", conf->location, vector ? ".puffin" : "-deletes.parquet");
    out->referenced = arena_strdup(a, conf->data_file);
    return vector ? write_vector(conf, p, out, e) : write_positions(conf, p, a, out, e);
}
