/* Any bytes as a Parquet file: refused or read, never read past. What is read is written again
 * by our writer, and must then be read as the same.
 */
#include <stdlib.h>

#include "lake/parquet_meta.h"
#include "lake/parquet_reader.h"
#include "lake/parquet_writer.h"

#define ROWS_MAX  3000
#define FIELD_MAX 16

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static bool
read_memory(void *ctx, uint64_t offset, size_t n, uint8_t *out, struct err *e)
{
    const struct bytes *file = ctx;
    if (offset > file->n || n > file->n - offset)
        abort(); /* the reader asks for what is there */
    if (n)
        memcpy(out, file->p + offset, n);
    return true;
}

static bool
to_memory(void *ctx, struct bytes b, struct err *e)
{
    buf_add_bytes(ctx, b);
    return true;
}

/* Fields as the file has them; one that it lacks. */
static uint32_t
fields_of(struct bytes *file, struct lake_field *fields)
{
    static const char *const names[] = {"a", "b", "c", "d", "e", "f", "g", "h",
                                        "i", "j", "k", "l", "m", "n", "o", "p"};
    struct parquet_source source = {file->n, read_memory, file};
    struct parquet_meta m = {0};
    struct err e;
    uint32_t n = 0;
    fields[n++] = (struct lake_field){2147483000, names[0], {.kind = LAKE_LONG}, false};
    if (parquet_meta_read(&source, &m, &e)) {
        for (uint32_t i = 0; i < m.leaf_count && n < FIELD_MAX; i++) {
            bool there = !m.leaves[i].known || m.leaves[i].id == 0;
            for (uint32_t k = 0; k < n; k++)
                there |= fields[k].id == m.leaves[i].id;
            if (there)
                continue;
            fields[n] = (struct lake_field){m.leaves[i].id, names[n], m.leaves[i].type, false};
            n++;
        }
    }
    parquet_meta_free(&m);
    return n;
}

static bool
equal(const struct cell *a, const struct cell *b)
{
    if (a->kind != b->kind)
        return false;
    if (a->kind == CELL_TEXT || a->kind == CELL_BYTES)
        return bytes_eq(cell_bytes(a), cell_bytes(b));
    return a->kind == CELL_NULL || memcmp(&a->v, &b->v, sizeof a->v) == 0;
}

static struct cell
keep(struct arena *a, const struct cell *c)
{
    struct cell out = *c;
    if (c->kind == CELL_TEXT || c->kind == CELL_BYTES)
        out.v.p = arena_copy(a, cell_bytes(c)).p;
    return out;
}

/* Rows of the file until ROWS_MAX or damage. */
static size_t
read_rows(struct bytes *file, const struct lake_field *fields, uint32_t n, struct arena *a,
          const struct cell **rows)
{
    struct parquet_source source = {file->n, read_memory, file};
    struct parquet_reader *r;
    struct err e;
    size_t count = 0;
    bool ok = parquet_reader_open(&source, fields, n, &r, &e), may;
    for (uint32_t g = 0; ok && g < parquet_reader_groups(r) && count < ROWS_MAX; g++) {
        struct parquet_batch b = {.rows = 1};
        ok = parquet_reader_seek(r, g, &e);
        while (ok && b.rows && count < ROWS_MAX && (ok = parquet_reader_next(r, &b, &e))) {
            for (size_t i = 0; i < b.rows && count < ROWS_MAX; i++, count++) {
                struct cell *row = arena_alloc(a, n * sizeof *row);
                for (uint32_t k = 0; k < n; k++)
                    row[k] = keep(a, &b.cells[i * n + k]);
                rows[count] = row;
            }
        }
        for (uint32_t k = 0; ok && count && k < n; k++)
            if (rows[count - 1][k].kind != CELL_NULL)
                ok = parquet_reader_may_have(r, g, k, &rows[count - 1][k], &may, &e);
    }
    if (r)
        parquet_reader_free(r);
    return count;
}

static void
write_rows(const struct lake_field *fields, uint32_t n, const struct cell *const *rows,
           size_t count, struct buf *out)
{
    struct parquet_column columns[FIELD_MAX] = {0};
    struct parquet_writer *w;
    struct parquet_file file;
    struct err e;
    for (uint32_t i = 0; i < n; i++)
        columns[i] = (struct parquet_column){.field = fields[i], .bloom = true};
    struct parquet_conf conf = {.columns = columns,
                                .column_count = n,
                                .codec = (enum parquet_codec)(count % 4),
                                .page_rows = 100,
                                .group_rows = 1000,
                                .bloom_bytes = 4096,
                                .sink = to_memory,
                                .sink_ctx = out};
    if (!parquet_writer_new(&conf, &w, &e))
        abort();
    bool ok = parquet_writer_rows(w, rows, count, &e) && parquet_writer_finish(w, &file, &e);
    parquet_writer_free(w);
    if (!ok) /* numbers that the type cannot have */
        buf_reset(out);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct cell *rows[ROWS_MAX], *again[ROWS_MAX];
    struct lake_field fields[FIELD_MAX];
    struct bytes file = {data, size};
    struct arena a;
    struct buf out = {0};
    arena_init(&a, 0);
    uint32_t n = fields_of(&file, fields);
    size_t count = read_rows(&file, fields, n, &a, rows);
    write_rows(fields, n, rows, count, &out);
    struct bytes copy = buf_bytes(&out);
    if (out.n && read_rows(&copy, fields, n, &a, again) != count)
        abort();
    for (size_t i = 0; out.n && i < count; i++)
        for (uint32_t k = 0; k < n; k++)
            if (!equal(&rows[i][k], &again[i][k]))
                abort();
    buf_free(&out);
    arena_free(&a);
    return 0;
}
