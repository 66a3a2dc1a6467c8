/* Nanoseconds per row of the codecs and of SQL text, best of several runs: 10 columns (bigint
 * key, 3 varchar, double, decimal(12,2), 2 datetime, tinyint, int). One line of JSON.
 */
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "schema/codec.h"
#include "schema/position.h"
#include "schema/sql_literal.h"
#include "schema/temporal.h"
#include "schema/tsv.h"

#define ROWS 2000
#define RUNS 60

static struct table *
bench_table(void)
{
    static const struct column columns[] = {
        {.name = "id", .type = COL_BIGINT},
        {.name = "name", .type = COL_VARCHAR, .length = 40, .nullable = true},
        {.name = "city", .type = COL_VARCHAR, .length = 40, .nullable = true},
        {.name = "note", .type = COL_VARCHAR, .length = 100, .nullable = true},
        {.name = "score", .type = COL_DOUBLE, .nullable = true},
        {.name = "price", .type = COL_DECIMAL, .precision = 12, .scale = 2, .nullable = true},
        {.name = "created", .type = COL_DATETIME, .nullable = true},
        {.name = "updated", .type = COL_DATETIME, .scale = 6, .nullable = true},
        {.name = "kind", .type = COL_TINYINT, .nullable = true},
        {.name = "amount", .type = COL_INT, .nullable = true},
    };
    static const uint16_t key[] = {0};
    static const uint32_t prefix[] = {0};
    struct table *t = table_new("shop", "orders");
    t->columns = arena_alloc(&t->arena, sizeof columns);
    memcpy(t->columns, columns, sizeof columns);
    t->column_count = ARRAY_LEN(columns);
    t->uniques = arena_alloc(&t->arena, sizeof *t->uniques);
    t->uniques[0] = (struct unique_key){"PRIMARY", key, prefix, 1};
    t->unique_count = 1;
    table_seal(t);
    return t;
}

static struct cell
text_cell(enum cell_kind kind, const char *s)
{
    struct cell c = {.kind = (uint8_t)kind, .len = (uint32_t)strlen(s)};
    c.v.p = (const uint8_t *)s;
    return c;
}

static void
bench_row(struct arena *a, uint64_t i, struct cell *row)
{
    struct civil d = {2026, 11, (uint8_t)(1 + i % 28), 12, (uint8_t)(i % 60), 30, 0};
    row[0] = (struct cell){.kind = CELL_INT, .v.i = (int64_t)(1000000 + i)};
    row[1] = text_cell(CELL_TEXT, arena_printf(a, "customer %u of many", (unsigned)i));
    row[2] = text_cell(CELL_TEXT, "S\xc3\xa3o Paulo");
    row[3] = text_cell(CELL_TEXT,
                       arena_printf(a, "note %u, a little longer than the rest", (unsigned)i));
    row[4] = (struct cell){.kind = CELL_DOUBLE, .v.d = (double)i * 0.25};
    row[5] =
        text_cell(CELL_DECIMAL, arena_printf(a, "%u.%02u", (unsigned)i * 7, (unsigned)i % 100));
    row[6] = (struct cell){.kind = CELL_DATETIME, .v.u = temporal_pack(&d)};
    d.micro = (uint32_t)i;
    row[7] = (struct cell){.kind = CELL_DATETIME, .dec = 6, .v.u = temporal_pack(&d)};
    row[8] = (struct cell){.kind = CELL_INT, .v.i = (int64_t)(i % 5)};
    row[9] = (struct cell){.kind = CELL_INT, .v.i = (int64_t)i};
}

struct fixture {
    struct table *table;
    struct row_encoder *enc;
    struct row_decoder *dec;
    struct change change[ROWS];
    struct bytes message[ROWS];
    struct arena rows;
    struct buf buf;
    struct buf messages;
    struct arena scratch;
};

typedef void
work_fn(struct fixture *f, unsigned i);

static void
die(const struct err *e)
{
    fprintf(stderr, "%s\n", e->text);
    exit(1);
}

static void
encode_value(struct fixture *f, unsigned i)
{
    struct err e;
    if (!row_encode_value(f->enc, &f->change[i], &f->buf, &e))
        die(&e);
}

static void
encode_key(struct fixture *f, unsigned i)
{
    struct err e;
    size_t at;
    if (!row_encode_key(f->enc, f->change[i].after, &f->buf, &at, &e))
        die(&e);
}

static void
decode_value(struct fixture *f, unsigned i)
{
    struct err e;
    struct change c;
    if (!row_decode(f->dec, f->message[i], &f->scratch, &c, &e))
        die(&e);
}

static void
decode_head(struct fixture *f, unsigned i)
{
    struct err e;
    struct change c;
    uint32_t image_at;
    if (!row_decode_head(f->dec, f->message[i], &c, &image_at, &e))
        die(&e);
}

static void
literals(struct fixture *f, unsigned i)
{
    for (unsigned k = 0; k < f->table->column_count; k++) {
        buf_add_byte(&f->buf, ',');
        sql_literal(&f->table->columns[k], &f->change[i].after[k], &f->buf);
    }
}

static void
tsv(struct fixture *f, unsigned i)
{
    struct err e;
    if (!tsv_row(f->table, f->change[i].after, &f->buf, &e))
        die(&e);
}

static double
best_ns(struct fixture *f, work_fn *work)
{
    double best = 1e9;
    for (unsigned run = 0; run < RUNS; run++) {
        buf_reset(&f->buf);
        arena_reset(&f->scratch);
        uint64_t from = clock_mono_us();
        for (unsigned i = 0; i < ROWS; i++)
            work(f, i);
        double ns = (double)(clock_mono_us() - from) * 1000 / ROWS;
        best = ns < best ? ns : best;
    }
    return best;
}

static void
open_codec(struct fixture *f, enum codec_format format, enum change_op op)
{
    struct codec_conf conf = {
        .format = format, .prefix = "shop", .topic = "shop.shop.orders", .inc = 1};
    struct err e;
    if (!row_encoder_new(f->table, &conf, 1, 2, &f->enc, &e) ||
        !row_decoder_new(f->table, &conf, &f->dec, &e))
        die(&e);
    buf_reset(&f->messages);
    buf_reserve(&f->messages, ROWS * 4096);
    for (unsigned i = 0; i < ROWS; i++) {
        f->change[i].op = op;
        f->change[i].before = op == OP_UPDATE ? f->change[i].after : NULL;
        size_t at = f->messages.n;
        if (!row_encode_value(f->enc, &f->change[i], &f->messages, &e))
            die(&e);
        f->message[i] = bytes_of(f->messages.p + at, f->messages.n - at);
    }
}

static void
measure_codec(struct fixture *f, enum codec_format format, enum change_op op, const char *name)
{
    open_codec(f, format, op);
    printf("\"%s_bytes\":%zu,", name, f->messages.n / ROWS);
    printf("\"%s_encode_ns\":%.0f,", name, best_ns(f, encode_value));
    printf("\"%s_decode_ns\":%.0f,", name, best_ns(f, decode_value));
    printf("\"%s_head_ns\":%.0f,", name, best_ns(f, decode_head));
    printf("\"%s_key_ns\":%.0f,", name, best_ns(f, encode_key));
    row_encoder_free(f->enc);
    row_decoder_free(f->dec);
}

static double
gtid_add_ns(void)
{
    struct gtid_set *s = gtid_set_new(GTID_MYSQL);
    struct err e;
    char text[64];
    uint64_t from = clock_mono_us();
    for (unsigned i = 1; i <= 200000; i++) {
        int n = snprintf(text, sizeof text, "3e11fa47-71ca-11e1-9e33-c80aa9429562:%u", i);
        if (!gtid_set_add(s, bytes_of(text, (size_t)n), &e))
            die(&e);
    }
    double ns = (double)(clock_mono_us() - from) * 1000 / 200000;
    gtid_set_free(s);
    return ns;
}

int
main(void)
{
    static struct fixture f;
    f.table = bench_table();
    for (unsigned i = 0; i < ROWS; i++) {
        struct cell *row = arena_alloc(&f.rows, f.table->column_count * sizeof *row);
        bench_row(&f.rows, i, row);
        f.change[i] = (struct change){
            .op = OP_CREATE, .table = f.table, .after = row, .id = {1, 1785000000000, i + 1}};
        f.change[i].source = (struct change_source){
            .commit_us = 1785000000000000 + i,
            .server_id = 1,
            .gtid = BYTES_LIT("3e11fa47-71ca-11e1-9e33-c80aa9429562:123456"),
            .file = BYTES_LIT("binlog.000012"),
            .pos = 123456789,
            .thread = 17};
    }
    printf("{");
    measure_codec(&f, CODEC_AVRO, OP_CREATE, "avro_insert");
    measure_codec(&f, CODEC_AVRO, OP_UPDATE, "avro_update");
    measure_codec(&f, CODEC_JSON, OP_CREATE, "json_insert");
    measure_codec(&f, CODEC_JSON, OP_UPDATE, "json_update");
    printf("\"sql_literals_ns\":%.0f,", best_ns(&f, literals));
    printf("\"tsv_ns\":%.0f,", best_ns(&f, tsv));
    printf("\"gtid_add_with_snprintf_ns\":%.0f}\n", gtid_add_ns());
    return 0;
}
