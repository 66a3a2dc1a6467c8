#include "lake/parquet_bloom.h"
#include "lake/parquet_reader.h"
#include "lake/parquet_rle.h"
#include "lake/parquet_writer.h"
#include "lake/thrift.h"
#include "unit/base/unit.h"

static void
packed_numbers_are_those_of_the_format_s_example(void **state)
{
    static const uint32_t v[] = {0, 1, 2, 3, 4, 5, 6, 7};
    struct buf b = {0};
    parquet_rle_put(v, 8, 3, &b);
    assert_true(bytes_eq(buf_bytes(&b), BYTES_LIT("\x03\x88\xc6\xfa")));
    buf_free(&b);
}

static void
runs_and_packed_numbers_come_back_in_every_width(void **state)
{
    struct prng g = prng_begin("rle");
    uint32_t v[700], back[700];
    struct buf b = {0};
    for (unsigned round = 0; round < 600; round++) {
        unsigned width = 1 + round % 20;
        size_t n = prng_below(&g, ARRAY_LEN(v));
        for (size_t i = 0; i < n; i++)
            v[i] = i && prng_below(&g, 100) < round % 100
                       ? v[i - 1]
                       : (uint32_t)(prng_next(&g) % (1ull << width));
        buf_reset(&b);
        parquet_rle_put(v, n, width, &b);
        struct reader r = reader_of(buf_bytes(&b));
        assert_true(parquet_rle_get(&r, width, 1ull << width, back, n));
        assert_memory_equal(v, back, n * sizeof *v);
        assert_int_equal(reader_left(&r), 0);
        r = reader_of(bytes_of(b.p, b.n ? b.n - 1 : 0));
        assert_false(n && parquet_rle_get(&r, width, 1ull << width, back, n));
    }
    buf_free(&b);
}

static void
a_bloom_filter_has_what_was_added_and_little_else(void **state)
{
    struct parquet_bloom f;
    struct buf b = {0};
    struct bytes bits;
    unsigned wrong = 0;
    parquet_bloom_init(&f, 1 << 20);
    for (uint64_t i = 0; i < 20000; i++)
        parquet_bloom_add(&f, hash_xxh64(bytes_of(&i, 8)));
    parquet_bloom_put(&f, &b);
    assert_true(parquet_bloom_read(buf_bytes(&b), &bits));
    assert_int_equal(bits.n, 32768); /* folded from 1 MiB: 10 to 20 bits a value */
    for (uint64_t i = 0; i < 20000; i++)
        assert_true(parquet_bloom_may_have(bits, hash_xxh64(bytes_of(&i, 8))));
    for (uint64_t i = 20000; i < 40000; i++)
        wrong += parquet_bloom_may_have(bits, hash_xxh64(bytes_of(&i, 8)));
    assert_in_range(wrong, 0, 400);
    parquet_bloom_free(&f);
    buf_free(&b);
}

static void
thrift_refuses_what_is_cut_short_or_nested_too_deep(void **state)
{
    struct buf b = {0};
    struct thrift_writer w = {.out = &b};
    thrift_i64(&w, 1, -5);
    thrift_binary(&w, 40, BYTES_LIT("text"));
    thrift_struct(&w, 41);
    thrift_bool(&w, 1, true);
    thrift_end(&w);
    thrift_end(&w);
    for (size_t n = 0; n <= b.n; n++) {
        struct thrift_reader t = thrift_reader_of(bytes_of(b.p, n));
        while (thrift_next(&t))
            thrift_skip(&t);
        assert_int_equal(t.r.failed, n < b.n);
    }
    uint8_t deep[64];
    memset(deep, 0x1c, sizeof deep); /* a struct in a struct in a ... */
    struct thrift_reader t = thrift_reader_of(bytes_of(deep, sizeof deep));
    while (thrift_next(&t))
        thrift_skip(&t);
    assert_true(t.r.failed);
    buf_free(&b);
}

/* ---- files in memory ---- */

static const struct lake_field FIELDS[] = {{1, "id", {.kind = LAKE_LONG}, true},
                                           {2, "name", {.kind = LAKE_STRING}, false}};

#define ROWS 2500

static struct cell cells[ROWS][2];
static const struct cell *rows[ROWS];
static char names[ROWS][16];

static void
make_rows(void)
{
    for (size_t i = 0; i < ROWS; i++) {
        int n = snprintf(names[i], sizeof names[i], "name %u", (unsigned)(i / 3));
        cells[i][0] = (struct cell){.kind = CELL_INT, .v.i = (int64_t)i * 2};
        cells[i][1] = (struct cell){.kind = i % 7 ? CELL_TEXT : CELL_NULL};
        cells[i][1].len = (uint32_t)n;
        cells[i][1].v.p = (const uint8_t *)names[i];
        rows[i] = cells[i];
    }
}

static bool
to_memory(void *ctx, struct bytes b, struct err *e)
{
    buf_add_bytes(ctx, b);
    return true;
}

static bool
refuse(void *ctx, struct bytes b, struct err *e)
{
    size_t *left = ctx;
    if (b.n > *left)
        return err_set(e, MR_IO, "disk full");
    *left -= b.n;
    return true;
}

static bool
read_memory(void *ctx, uint64_t offset, size_t n, uint8_t *out, struct err *e)
{
    const struct buf *b = ctx;
    assert_true(offset + n <= b->n);
    memcpy(out, b->p + offset, n);
    return true;
}

static bool
write_file(size_t n, bool (*sink)(void *, struct bytes, struct err *), void *ctx, struct err *e)
{
    struct parquet_column columns[] = {{.field = FIELDS[0], .bloom = true},
                                       {.field = FIELDS[1], .bloom = true}};
    struct parquet_conf conf = {.columns = columns,
                                .column_count = 2,
                                .codec = PARQUET_ZSTD,
                                .page_rows = 300,
                                .group_rows = 1000,
                                .sink = sink,
                                .sink_ctx = ctx};
    struct parquet_writer *w;
    struct parquet_file f;
    if (!parquet_writer_new(&conf, &w, e))
        return false;
    bool ok = parquet_writer_rows(w, rows, n, e) && parquet_writer_finish(w, &f, e);
    parquet_writer_free(w);
    return ok;
}

/* Rows that are as they were written; false when the file is refused. */
static bool
read_file(struct buf *file, uint64_t *same, struct err *e)
{
    struct parquet_source source = {file->n, read_memory, file};
    struct parquet_reader *r;
    struct parquet_batch b;
    bool ok = parquet_reader_open(&source, FIELDS, 2, &r, e);
    *same = 0;
    for (uint32_t g = 0; ok && g < parquet_reader_groups(r); g++) {
        ok = parquet_reader_seek(r, g, e);
        while (ok && (ok = parquet_reader_next(r, &b, e)) && b.rows)
            for (size_t i = 0; i < b.rows && b.position + i < ROWS; i++) {
                const struct cell *c = &b.cells[2 * i], *want = rows[b.position + i];
                bool equal = c[0].v.i == want[0].v.i && c[1].kind == want[1].kind;
                if (equal && c[1].kind == CELL_TEXT)
                    equal = bytes_eq(cell_bytes(&c[1]), cell_bytes(&want[1]));
                *same += equal;
            }
    }
    parquet_reader_free(r);
    return ok;
}

static void
rows_come_back_over_several_groups_and_pages(void **state)
{
    struct buf file = {0};
    struct err e;
    uint64_t same;
    assert_true(write_file(ROWS, to_memory, &file, &e));
    assert_true(read_file(&file, &same, &e));
    assert_int_equal(same, ROWS);
    buf_free(&file);
}

static void
a_changed_byte_of_a_page_is_refused(void **state)
{
    struct buf file = {0};
    struct err e;
    uint64_t same;
    assert_true(write_file(300, to_memory, &file, &e));
    assert_true(read_file(&file, &same, &e));
    unsigned refused = 0;
    for (size_t i = 0; i < file.n; i++) {
        file.p[i] ^= 0x41;
        refused += !read_file(&file, &same, &e) && e.code == MR_LAKE_DATA_FILE;
        file.p[i] ^= 0x41;
    }
    /* all but bloom filters, statistics, names and what readers need not look at */
    assert_true(refused > file.n / 4);
    size_t page = 60; /* within the first page's body */
    file.p[page] ^= 1;
    assert_false(read_file(&file, &same, &e));
    assert_int_equal(e.code, MR_LAKE_DATA_FILE);
    assert_non_null(strstr(e.text, "checksum"));
    buf_free(&file);
}

/* Java's writer says BIT_PACKED of levels that a required column has not. */
static void
a_required_column_has_no_levels_whatever_encoding_its_pages_name(void **state)
{
    static const uint8_t rle[] = {0x15, 6, 0x15, 6}; /* of a page's header, fields 3 and 4 */
    struct buf file = {0};
    struct err e;
    uint64_t same;
    assert_true(write_file(300, to_memory, &file, &e));
    uint8_t *levels = memmem(file.p, 64, rle, sizeof rle);
    assert_non_null(levels);
    levels[1] = levels[3] = 8;
    assert_true(read_file(&file, &same, &e));
    assert_int_equal(same, 300);
    buf_free(&file);
}

static void
a_file_cut_anywhere_is_refused(void **state)
{
    struct buf file = {0};
    struct err e;
    uint64_t same;
    assert_true(write_file(50, to_memory, &file, &e));
    size_t whole = file.n;
    for (file.n = 0; file.n < whole; file.n++) {
        assert_false(read_file(&file, &same, &e));
        assert_int_equal(e.code, MR_LAKE_DATA_FILE);
    }
    buf_free(&file);
}

static void
an_error_of_the_sink_comes_out_wherever_it_happens(void **state)
{
    struct buf file = {0};
    struct err e;
    assert_true(write_file(ROWS, to_memory, &file, &e));
    for (size_t room = 0; room < file.n; room += 97) {
        size_t left = room;
        assert_false(write_file(ROWS, refuse, &left, &e));
        assert_int_equal(e.code, MR_IO);
    }
    buf_free(&file);
}

static void
row_groups_without_the_value_are_told_by_bounds_and_filter(void **state)
{
    struct buf file = {0};
    struct err e;
    struct parquet_reader *r;
    bool may;
    unsigned maybe = 0;
    assert_true(write_file(ROWS, to_memory, &file, &e));
    struct parquet_source source = {file.n, read_memory, &file};
    assert_true(parquet_reader_open(&source, FIELDS, 2, &r, &e));
    assert_int_equal(parquet_reader_groups(r), 3);
    for (int64_t id = -2; id < 2 * ROWS + 2; id++) {
        struct cell v = {.kind = CELL_INT, .v.i = id};
        for (uint32_t g = 0; g < 3; g++) {
            assert_true(parquet_reader_may_have(r, g, 0, &v, &may, &e));
            bool has = id >= 0 && id % 2 == 0 && id < 2 * ROWS && id / 2000 == g;
            assert_true(may || !has);
            maybe += may && !has;
            if (id / 2000 != g)
                assert_false(may);
        }
    }
    assert_in_range(maybe, 0, 60); /* odd numbers within the bounds: the filter's part */
    parquet_reader_free(r);
    buf_free(&file);
}

static void
columns_that_no_file_can_have_are_refused(void **state)
{
    struct parquet_column wrong[][2] = {
        {{.field = FIELDS[0]}, {.field = FIELDS[0]}},
        {{.field = FIELDS[0]}, {.field = {2, "", {.kind = LAKE_INT}, false}}},
        {{.field = FIELDS[0]}, {.field = {0, "a", {.kind = LAKE_INT}, false}}},
        {{.field = FIELDS[0]}, {.field = {2, "a", {LAKE_DECIMAL, 39, 0, 0}, false}}},
        {{.field = FIELDS[0]}, {.field = {2, "a", {.kind = LAKE_FIXED}, false}}},
    };
    struct buf file = {0};
    struct parquet_writer *w;
    struct err e;
    for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
        struct parquet_conf conf = {
            .columns = wrong[i], .column_count = 2, .sink = to_memory, .sink_ctx = &file};
        assert_false(parquet_writer_new(&conf, &w, &e));
        assert_int_equal(e.code, MR_LAKE_TYPE);
    }
    buf_free(&file);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(packed_numbers_are_those_of_the_format_s_example),
        cmocka_unit_test(runs_and_packed_numbers_come_back_in_every_width),
        cmocka_unit_test(a_bloom_filter_has_what_was_added_and_little_else),
        cmocka_unit_test(thrift_refuses_what_is_cut_short_or_nested_too_deep),
        cmocka_unit_test(rows_come_back_over_several_groups_and_pages),
        cmocka_unit_test(a_changed_byte_of_a_page_is_refused),
        cmocka_unit_test(a_required_column_has_no_levels_whatever_encoding_its_pages_name),
        cmocka_unit_test(a_file_cut_anywhere_is_refused),
        cmocka_unit_test(an_error_of_the_sink_comes_out_wherever_it_happens),
        cmocka_unit_test(row_groups_without_the_value_are_told_by_bounds_and_filter),
        cmocka_unit_test(columns_that_no_file_can_have_are_refused),
    };
    make_rows();
    return cmocka_run_group_tests(tests, NULL, NULL);
}
