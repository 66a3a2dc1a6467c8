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

static void
check_options(const char *text, enum err_code code, struct storage_options *o, struct uri *u)
{
    struct err e = {0};
    MUST_PASS(uri_parse(text, u, &must_e));
    assert_int_equal(storage_options_of_uri(u, o, &e), code == MR_OK);
    assert_int_equal(e.code, code);
}

static void
options_of_a_uri_are_those_of_s3_and_a_login_without_a_host(void **state)
{
    struct storage_options o;
    struct uri u;
    check_options("iceberg+sql://KEY:a%2Fb@/c.db?warehouse=s3://b/p&s3.endpoint=http://h:1&s3."
                  "path-style=true",
                  MR_OK, &o, &u);
    assert_string_equal(o.access_key_id, "KEY");
    assert_string_equal(o.secret_access_key, "a/b");
    assert_string_equal(o.endpoint, "http://h:1");
    assert_string_equal(o.path_style, "true");
    uri_free(&u);
    check_options("iceberg+rest://id:secret@host/?s3.access-key-id=K", MR_OK, &o, &u);
    assert_string_equal(o.access_key_id, "K");
    assert_null(o.secret_access_key);
    uri_free(&u);
    check_options("iceberg+sql:///c.db?s3.key=x", MR_BAD_URI, &o, &u);
    uri_free(&u);
}

static void
check_open(struct storage_options o, enum err_code code)
{
    struct storage *s = NULL;
    struct err e = {0};
    o.access_key_id = o.access_key_id ? o.access_key_id : "k";
    o.secret_access_key = o.secret_access_key ? o.secret_access_key : "s";
    assert_int_equal(storage_open("s3://bucket/x", &o, &s, &e), code == MR_OK);
    assert_int_equal(e.code, code);
    storage_close(s);
}

static void
an_object_storage_is_opened_with_whole_options_only(void **state)
{
    check_open((struct storage_options){0}, MR_OK);
    check_open((struct storage_options){.endpoint = "http://[::1]:80"}, MR_OK);
    check_open((struct storage_options){.endpoint = "https://h/path"}, MR_BAD_URI);
    check_open((struct storage_options){.endpoint = "h:80"}, MR_BAD_URI);
    check_open((struct storage_options){.path_style = "maybe"}, MR_BAD_URI);
    check_open((struct storage_options){.part_bytes = "1MiB"}, MR_BAD_URI);
    check_open((struct storage_options){.part_bytes = "64MiB"}, MR_OK);
    check_open((struct storage_options){.secret_access_key = ""}, MR_STORAGE_CREDENTIALS);
    check_open((struct storage_options){.expires_at_ms = "soon"}, MR_STORAGE_CREDENTIALS);
}

static void
what_is_no_location_of_a_bucket_is_named(void **state)
{
    static const char *const bad[] = {"s3://", "s3://b/x", "s3://a b/x", "s3:///x", "/x"};
    const struct storage_options o = {.access_key_id = "k", .secret_access_key = "s"};
    struct storage *s = NULL;
    struct err e;
    uint64_t size;
    MUST_PASS(storage_open("s3a://bucket", &o, &s, &must_e));
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        assert_false(storage_size(s, bad[i], &size, &e));
        assert_int_equal(e.code, MR_LAKE_UNSUPPORTED);
    }
    assert_false(storage_put(s, "s3://bucket/", BYTES_LIT("x"), &e));
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
        cmocka_unit_test(options_of_a_uri_are_those_of_s3_and_a_login_without_a_host),
        cmocka_unit_test(an_object_storage_is_opened_with_whole_options_only),
        cmocka_unit_test(what_is_no_location_of_a_bucket_is_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
