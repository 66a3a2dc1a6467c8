/* Files that are written once. */
#include <sys/stat.h>

#include "lake/storage.h"
#include "unit/lake/lake_unit.h"

static struct storage *
opened(void)
{
    struct storage *s = NULL;
    MUST_PASS(storage_open("file:///", NULL, &s, &must_e));
    return s;
}

static bool
count_entry(void *ctx, const struct storage_entry *entry, struct err *e)
{
    (void)e;
    size_t *n = ctx;
    assert_int_equal(entry->size, 5);
    assert_true(entry->mtime_ms > 1600000000000);
    ++*n;
    return true;
}

static void
a_file_appears_whole_or_not_at_all(void **state)
{
    char *folder = scratch_new();
    struct storage *s = opened();
    struct storage_writer *w;
    struct buf got = {0};
    uint64_t size;
    struct err e;
    char *path = mem_printf("file://%s/a/b/c.bin", folder);
    MUST_PASS(storage_create(s, path, &w, &must_e));
    MUST_PASS(storage_write(w, BYTES_LIT("he"), &must_e));
    assert_false(storage_size(s, path, &size, &e));
    assert_int_equal(e.code, MR_STORAGE_MISSING);
    MUST_PASS(storage_write(w, BYTES_LIT("llo"), &must_e));
    MUST_PASS(storage_finish(w, &must_e));
    MUST_PASS(storage_read(s, path, 1, 3, &got, &must_e));
    assert_text(&got, "ell");
    assert_false(storage_read(s, path, 3, 3, &got, &e));
    assert_int_equal(got.n, 3);
    MUST_PASS(storage_create(s, path, &w, &must_e));
    storage_abandon(w);
    size_t n = 0;
    char *all = mem_printf("file://%s", folder);
    MUST_PASS(storage_list(s, all, count_entry, &n, &must_e));
    assert_int_equal(n, 1);
    MUST_PASS(storage_remove(s, path, &must_e));
    MUST_PASS(storage_remove(s, path, &must_e));
    free(all);
    free(path);
    buf_free(&got);
    storage_close(s);
    scratch_free(folder);
}

static void
a_name_that_exists_is_refused_and_stays_as_it_is(void **state)
{
    char *folder = scratch_new();
    struct storage *s = opened();
    struct buf got = {0};
    struct err e;
    char *path = mem_printf("%s/x", folder);
    MUST_PASS(storage_put(s, path, BYTES_LIT("first"), &must_e));
    assert_false(storage_put(s, path, BYTES_LIT("second"), &e));
    assert_int_equal(e.code, MR_STORAGE_EXISTS);
    MUST_PASS(storage_read_all(s, path, 100, &got, &must_e));
    assert_text(&got, "first");
    assert_false(storage_read_all(s, path, 4, &got, &e));
    free(path);
    buf_free(&got);
    storage_close(s);
    scratch_free(folder);
}

static void
what_cannot_be_written_is_named(void **state)
{
    struct storage *s = opened();
    struct err e;
    assert_false(storage_put(s, "file:///dev/null/x", BYTES_LIT("x"), &e));
    assert_int_equal(e.code, MR_STORAGE_MISSING);
    assert_false(storage_put(s, "/proc/none/x", BYTES_LIT("x"), &e));
    struct storage *other;
    assert_false(storage_open("ftp://host/x", NULL, &other, &e));
    assert_int_equal(e.code, MR_LAKE_UNSUPPORTED);
    storage_close(s);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_file_appears_whole_or_not_at_all),
        cmocka_unit_test(a_name_that_exists_is_refused_and_stays_as_it_is),
        cmocka_unit_test(what_cannot_be_written_is_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
