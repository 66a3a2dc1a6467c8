/* lake_parquet ROWS CODEC PATH: our Parquet writer's time per row, ten columns as in
 * bench/codec.c, rows in memory before the clock starts. One line of JSON {rows, bytes,
 * seconds, cpu_us}; cpu_us is CPU a row. CODEC: none, snappy, zstd (level 1), lz4.
 */
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "lake/parquet_writer.h"
#include "schema/temporal.h"
#include "support/driver.h"

#define COLUMNS 10
#define BATCH   4096

static void
die(const char *what)
{
    fprintf(stderr, "lake_parquet: %s\n", what);
    exit(1);
}

static struct cell
text_cell(enum cell_kind kind, const char *s)
{
    struct cell c = {.kind = (uint8_t)kind, .len = (uint32_t)strlen(s)};
    c.v.p = (const uint8_t *)s;
    return c;
}

/* Written so that SQL can make the same rows: tests/bench/probe_duckdb.py. */
static void
make_row(struct arena *a, uint64_t i, struct cell *row)
{
    static const char *const cities[] = {"Shanghai", "Beijing", "Shenzhen", "Hangzhou",
                                         "Berlin",   "Paris",   "London",   "New York"};
    uint64_t mixed = i * 2654435761u % 4294967296u;
    struct civil d = {2026,
                      (uint8_t)(1 + i % 12),
                      (uint8_t)(1 + i % 28),
                      (uint8_t)(mixed % 24),
                      (uint8_t)(mixed % 60),
                      (uint8_t)(i % 60),
                      0};
    row[0] = (struct cell){.kind = CELL_INT, .v.i = (int64_t)i};
    row[1] = text_cell(CELL_TEXT, arena_printf(a, "customer %u of many", (unsigned)mixed));
    row[2] = text_cell(CELL_TEXT, cities[mixed % 8]);
    row[3] = text_cell(CELL_TEXT, arena_printf(a, "note %u, a little longer than the rest",
                                               (unsigned)(mixed % 1000)));
    row[4] = (struct cell){.kind = CELL_DOUBLE, .v.d = (double)mixed * 0.25};
    row[5] = text_cell(CELL_DECIMAL, arena_printf(a, "%u.%02u", (unsigned)(mixed % 1000000),
                                                  (unsigned)(i % 100)));
    row[6] = (struct cell){.kind = CELL_DATETIME, .v.u = temporal_pack(&d)};
    row[7] = (struct cell){.kind = CELL_TIMESTAMP, .v.i = 1790000000000000 + (int64_t)i * 1000};
    row[8] = (struct cell){.kind = CELL_INT, .v.i = (int64_t)(i % 5)};
    row[9] = (struct cell){.kind = i % 20 ? CELL_INT : CELL_NULL,
                           .v.i = (int64_t)(mixed % 16777216)};
}

static const struct parquet_column COLUMN[COLUMNS] = {
    {.field = {1, "id", {.kind = LAKE_LONG}, true}, .bloom = true},
    {.field = {2, "name", {.kind = LAKE_STRING}, false}},
    {.field = {3, "city", {.kind = LAKE_STRING}, false}},
    {.field = {4, "note", {.kind = LAKE_STRING}, false}},
    {.field = {5, "score", {.kind = LAKE_DOUBLE}, false}},
    {.field = {6, "price", {LAKE_DECIMAL, 12, 2, 0}, false}},
    {.field = {7, "created", {.kind = LAKE_TIMESTAMP}, false}},
    {.field = {8, "updated", {.kind = LAKE_TIMESTAMPTZ}, false}},
    {.field = {9, "kind", {.kind = LAKE_INT}, false}},
    {.field = {10, "amount", {.kind = LAKE_INT}, false}},
};

static bool
to_file(void *ctx, struct bytes b, struct err *e)
{
    return fwrite(b.p, 1, b.n, ctx) == b.n || err_set(e, MR_IO, "the file cannot be written");
}

static enum parquet_codec
codec_of(const char *name)
{
    static const char *const names[] = {"none", "snappy", "zstd", "lz4", "gzip"};
    for (unsigned i = 0; i < ARRAY_LEN(names); i++)
        if (!strcmp(name, names[i]))
            return (enum parquet_codec)i;
    die("an unknown codec");
    return PARQUET_PLAIN;
}

static void
write_rows(const struct parquet_conf *conf, const struct cell *const *rows, size_t n,
           struct parquet_file *file)
{
    struct err e;
    struct parquet_writer *w;
    if (!parquet_writer_new(conf, &w, &e))
        die(e.text);
    for (size_t i = 0; i < n; i += BATCH)
        if (!parquet_writer_rows(w, rows + i, n - i < BATCH ? n - i : BATCH, &e))
            die(e.text);
    if (!parquet_writer_finish(w, file, &e))
        die(e.text);
    parquet_writer_free(w);
}

int
main(int argc, char **argv)
{
    if (argc != 4)
        die("usage: lake_parquet ROWS CODEC PATH");
    size_t n = strtoull(argv[1], NULL, 10);
    struct arena a;
    struct parquet_file file;
    arena_init(&a, (size_t)4 << 20);
    const struct cell **rows = arena_alloc(&a, n * sizeof *rows);
    for (size_t i = 0; i < n; i++) {
        struct cell *row = arena_alloc(&a, COLUMNS * sizeof *row);
        make_row(&a, i, row);
        rows[i] = row;
    }
    FILE *out = fopen(argv[3], "wb");
    if (!out)
        die("no file");
    struct parquet_conf conf = {.columns = COLUMN,
                                .column_count = COLUMNS,
                                .codec = codec_of(argv[2]),
                                .sink = to_file,
                                .sink_ctx = out};
    uint64_t begin = clock_mono_us();
    double cpu = driver_cpu_seconds();
    write_rows(&conf, rows, n, &file);
    fclose(out);
    cpu = driver_cpu_seconds() - cpu;
    printf("bytes=%llu seconds=%.4f cpu_us=%.4f\n", (unsigned long long)file.bytes,
           (double)(clock_mono_us() - begin) * 1e-6, cpu * 1e6 / (double)n);
    arena_free(&a);
    return 0;
}
