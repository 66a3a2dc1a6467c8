#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lake/key_index.h"
#include "lake/parquet_writer.h"
#include "unit/base/unit.h"

#define FILES 3
#define ROWS  4000
#define KEYS  9000 /* different keys that rows may have */

static const struct lake_field FIELDS[] = {{1, "id", {.kind = LAKE_INT}, true},
                                           {2, "name", {.kind = LAKE_STRING}, true}};
static const struct lake_field WIDER[] = {{1, "id", {.kind = LAKE_LONG}, true},
                                          {2, "name", {.kind = LAKE_STRING}, true}};

/* Key k is (k / 3, "key <k>"); row r of file f has key row_key[f][r]. */
static char names[KEYS][16];
static unsigned row_key[FILES][ROWS];
static struct buf files[FILES];
static char folder[] = "/tmp/millrace-keys-XXXXXX";

static void
set_key(unsigned k, struct cell *out)
{
    out[0] = (struct cell){.kind = CELL_INT, .v.i = k / 3};
    out[1] = (struct cell){.kind = CELL_TEXT, .len = (uint32_t)strlen(names[k])};
    out[1].v.p = (const uint8_t *)names[k];
}

static bool
to_memory(void *ctx, struct bytes b, struct err *e)
{
    buf_add_bytes(ctx, b);
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

static void
make_file(struct prng *g, unsigned f)
{
    struct parquet_column columns[] = {{.field = FIELDS[0], .bloom = true},
                                       {.field = FIELDS[1], .bloom = true}};
    struct parquet_conf conf = {.columns = columns,
                                .column_count = 2,
                                .group_rows = 700,
                                .sink = to_memory,
                                .sink_ctx = &files[f]};
    struct parquet_writer *w;
    struct parquet_file done;
    struct err e;
    assert_true(parquet_writer_new(&conf, &w, &e));
    for (unsigned r = 0; r < ROWS; r++) {
        struct cell row[2];
        const struct cell *rows = row;
        row_key[f][r] = (unsigned)(f * 1000 + prng_below(g, r % 10 ? 4000 : 40));
        set_key(row_key[f][r], row);
        assert_true(parquet_writer_rows(w, &rows, 1, &e));
    }
    assert_true(parquet_writer_finish(w, &done, &e));
    parquet_writer_free(w);
}

static int
make_world(void **state)
{
    struct prng g = prng_begin("key index");
    for (unsigned k = 0; k < KEYS; k++)
        snprintf(names[k], sizeof names[k], "key %u", k);
    for (unsigned f = 0; f < FILES; f++)
        make_file(&g, f);
    return mkdtemp(folder) ? 0 : -1;
}

static struct key_index *
open_index(const struct lake_field *fields, uint64_t rows_min)
{
    struct key_index_conf conf = {folder, fields, 2, rows_min};
    struct key_index *x;
    struct err e;
    assert_true(key_index_open(&conf, &x, &e));
    return x;
}

/* What a find gives: for each row, the key it was found by. */
struct found {
    unsigned file;
    const unsigned *wanted; /* number in the batch -> key */
    bool row[ROWS];
};

static bool
note(void *ctx, size_t key, uint64_t position, struct err *e)
{
    struct found *f = ctx;
    assert_true(position < ROWS);
    assert_false(f->row[position]);
    assert_int_equal(f->wanted[key], row_key[f->file][position]);
    f->row[position] = true;
    return true;
}

static struct key_index_data
data_of(unsigned f)
{
    static const char *const paths[] = {"file:///w/a.parquet", "file:///w/b.parquet",
                                        "file:///w/c.parquet"};
    return (struct key_index_data){paths[f], ROWS, {files[f].n, read_memory, &files[f]}};
}

/* Looks for n random keys, every third one nowhere, in all files: exactly the rows that have
 * them are found. */
static void
find_all(struct key_index *x, struct prng *g, unsigned n)
{
    static unsigned wanted[KEYS];
    static bool is_wanted[KEYS];
    struct key_batch *b = key_batch_new(x);
    struct err e;
    memset(is_wanted, 0, sizeof is_wanted);
    for (unsigned i = 0; i < n; i++) {
        struct cell key[2], nowhere[2];
        unsigned k = (unsigned)prng_below(g, KEYS);
        set_key(k, key);
        set_key((k + 1) % KEYS, nowhere);
        nowhere[0].v.i = -1; /* no row has that pair */
        if (i % 3) {         /* expected or not, a key has its number */
            key_batch_expect(b, key);
            key_batch_expect(b, nowhere);
        }
        size_t before = key_batch_count(b);
        wanted[key_batch_add(b, key)] = k;
        assert_int_equal(is_wanted[k], key_batch_count(b) == before);
        is_wanted[k] = true;
        wanted[key_batch_add(b, nowhere)] = KEYS;
    }
    for (unsigned f = 0; f < FILES; f++) {
        struct found found = {.file = f, .wanted = wanted};
        struct key_index_data data = data_of(f);
        assert_true(key_index_find(x, b, &data, note, &found, &e));
        for (unsigned r = 0; r < ROWS; r++)
            assert_int_equal(found.row[r], is_wanted[row_key[f][r]]);
    }
    key_batch_free(b);
}

static void
rows_are_found_by_reading_and_by_index(void **state)
{
    struct prng g = prng_begin("find");
    struct key_index *x = open_index(FIELDS, ROWS + 1);
    for (unsigned n = 1; n < 3000; n = n * 3 + 1)
        find_all(x, &g, n);
    assert_int_equal(key_index_stats(x)->built, 0);
    assert_true(key_index_stats(x)->groups_skipped > 0);
    key_index_close(x);
    x = open_index(FIELDS, 1);
    for (unsigned n = 1; n < 3000; n = n * 3 + 1)
        find_all(x, &g, n);
    assert_int_equal(key_index_stats(x)->built, FILES);
    assert_int_equal(key_index_stats(x)->scanned, 0);
    key_index_close(x);
    x = open_index(FIELDS, 1); /* it lasts */
    find_all(x, &g, 500);
    assert_int_equal(key_index_stats(x)->built + key_index_stats(x)->refused, 0);
    key_index_close(x);
}

/* Paths of the index files, in no order. */
static unsigned
index_files(char paths[FILES + 1][512])
{
    DIR *d = opendir(folder);
    unsigned n = 0;
    assert_non_null(d);
    for (const struct dirent *f; (f = readdir(d)) != NULL;)
        if (strncmp(f->d_name, "keys-", 5) == 0 && n <= FILES)
            snprintf(paths[n++], 512, "%s/%s", folder, f->d_name);
    closedir(d);
    return n;
}

static void
damage(const char *path, off_t at, uint8_t by)
{
    uint8_t c = 0;
    int fd = open(path, O_RDWR);
    assert_true(fd >= 0 && pread(fd, &c, 1, at) == 1);
    c ^= by;
    assert_int_equal(pwrite(fd, &c, 1, at), 1);
    close(fd);
}

static void
a_damaged_index_is_made_again_and_never_wrong(void **state)
{
    struct prng g = prng_begin("damage");
    char paths[FILES + 1][512];
    struct stat st;
    uint64_t refused = 0;
    for (unsigned round = 0; round < 150; round++) {
        struct key_index *x = open_index(FIELDS, 1);
        find_all(x, &g, 1);
        key_index_close(x);
        assert_int_equal(index_files(paths), FILES);
        const char *path = paths[prng_below(&g, FILES)];
        assert_int_equal(stat(path, &st), 0);
        size_t at = prng_below(&g, (size_t)st.st_size);
        if (round % 5 == 4)
            assert_int_equal(truncate(path, (off_t)at), 0);
        else
            damage(path, (off_t)(round % 5 ? at : at % 64), (uint8_t)(1 + prng_below(&g, 255)));
        x = open_index(FIELDS, 1);
        find_all(x, &g, 2500);
        refused += key_index_stats(x)->refused;
        key_index_close(x);
    }
    /* some bytes are padding of the header, which nobody reads */
    assert_in_range(refused, 100, 150);
}

static void
an_index_damaged_while_open_is_made_again(void **state)
{
    struct prng g = prng_begin("open");
    char paths[FILES + 1][512];
    struct key_index *x = open_index(FIELDS, 1);
    struct key_batch *b = key_batch_new(x);
    struct cell key[2];
    struct err e;
    set_key(0, key);
    key_batch_add(b, key);
    assert_int_equal(index_files(paths), FILES);
    for (unsigned i = 0; i < FILES; i++)
        for (off_t block = 1; block < 16; block++)
            damage(paths[i], block * 4096 + 5, 1);
    for (unsigned f = 0; f < FILES; f++) {
        struct found found = {.file = f, .wanted = (const unsigned[]){0}};
        struct key_index_data data = data_of(f);
        assert_true(key_index_find(x, b, &data, note, &found, &e));
    }
    assert_int_equal(key_index_stats(x)->refused, FILES);
    find_all(x, &g, 2000);
    key_batch_free(b);
    key_index_close(x);
}

static void
an_index_that_is_gone_or_of_something_else_is_made_again(void **state)
{
    struct prng g = prng_begin("stale");
    char paths[FILES + 1][512], seed[512];
    assert_int_equal(index_files(paths), FILES);
    assert_int_equal(unlink(paths[0]), 0);
    assert_int_equal(rename(paths[1], paths[2]), 0); /* another data file's */
    struct key_index *x = open_index(FIELDS, 1);
    find_all(x, &g, 1000);
    assert_int_equal(key_index_stats(x)->built, FILES);
    key_index_close(x);
    x = open_index(WIDER, 1); /* a key whose type was promoted */
    find_all(x, &g, 1000);
    assert_int_equal(key_index_stats(x)->refused, FILES);
    key_index_close(x);
    snprintf(seed, sizeof seed, "%s/seed", folder);
    assert_int_equal(unlink(seed), 0);
    x = open_index(WIDER, 1);
    find_all(x, &g, 1000);
    assert_int_equal(key_index_stats(x)->refused, FILES);
    key_index_close(x);
}

static void
a_folder_that_cannot_be_used_costs_speed_only(void **state)
{
    struct prng g = prng_begin("folder");
    char path[512];
    snprintf(path, sizeof path, "%s/seed/below", folder); /* below a file */
    struct key_index_conf conf = {path, FIELDS, 2, 1};
    struct key_index *x;
    struct err e;
    assert_true(key_index_open(&conf, &x, &e));
    find_all(x, &g, 1000);
    assert_int_equal(key_index_stats(x)->scanned, FILES);
    key_index_close(x);
}

static void
a_damaged_data_file_is_an_error(void **state)
{
    struct key_index *x = open_index(FIELDS, 1);
    struct key_batch *b = key_batch_new(x);
    struct cell key[2];
    struct err e;
    struct key_index_data data = data_of(0);
    struct found found = {.wanted = (const unsigned[]){1}};
    set_key(1, key);
    key_batch_add(b, key);
    data.path = "file:///w/d.parquet";
    files[0].p[500] ^= 1;
    assert_false(key_index_find(x, b, &data, note, &found, &e));
    assert_int_equal(e.code, MR_LAKE_DATA_FILE);
    assert_non_null(strstr(e.text, "d.parquet"));
    files[0].p[500] ^= 1;
    data.rows = ROWS - 1; /* not what the manifest says */
    assert_false(key_index_find(x, b, &data, note, &found, &e));
    key_batch_free(b);
    key_index_close(x);
}

static void
index_files_of_dead_data_files_go(void **state)
{
    char paths[FILES + 1][512];
    struct prng g = prng_begin("keep");
    struct key_index *x = open_index(FIELDS, 1);
    find_all(x, &g, 100);
    key_index_keep(x, (const char *const[]){data_of(1).path}, 1);
    assert_int_equal(index_files(paths), 1);
    find_all(x, &g, 100);
    assert_int_equal(index_files(paths), FILES);
    key_index_keep(x, NULL, 0);
    assert_int_equal(index_files(paths), 0);
    key_index_close(x);
}

static int
end_world(void **state)
{
    char seed[512];
    snprintf(seed, sizeof seed, "%s/seed", folder);
    unlink(seed);
    for (unsigned f = 0; f < FILES; f++)
        buf_free(&files[f]);
    return rmdir(folder);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(rows_are_found_by_reading_and_by_index),
        cmocka_unit_test(a_damaged_index_is_made_again_and_never_wrong),
        cmocka_unit_test(an_index_damaged_while_open_is_made_again),
        cmocka_unit_test(an_index_that_is_gone_or_of_something_else_is_made_again),
        cmocka_unit_test(a_folder_that_cannot_be_used_costs_speed_only),
        cmocka_unit_test(a_damaged_data_file_is_an_error),
        cmocka_unit_test(index_files_of_dead_data_files_go),
    };
    return cmocka_run_group_tests(tests, make_world, end_world);
}
