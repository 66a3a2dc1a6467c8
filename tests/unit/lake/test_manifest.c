/* Manifests and lists: what is written is read again, what is inherited is filled in, what is
 * damaged is refused. */
#include "lake/ocf.h"
#include "unit/lake/lake_unit.h"

static const int64_t splits[] = {4, 4000};

static struct file_metric metrics[] = {
    {1,
     10,
     100,
     0,
     -1,
     true,
     true,
     {(const uint8_t *)"\1\0\0\0\0\0\0\0", 8},
     {(const uint8_t *)"\7\0\0\0\0\0\0\0", 8}},
    {2, 20, 100, 3, 0, true, false, {(const uint8_t *)"a", 1}, {NULL, 0}},
    {3, -1, -1, -1, -1, false, false, {NULL, 0}, {NULL, 0}},
};

static struct manifest_entry
entry(enum manifest_status status, const char *path, int64_t rows)
{
    struct manifest_entry m = {.status = status,
                               .snapshot_id = 77,
                               .sequence = status == MANIFEST_ADDED ? -1 : 5,
                               .file_sequence = status == MANIFEST_ADDED ? -1 : 4,
                               .file = scratch_file(path, rows)};
    m.file.metrics = metrics;
    m.file.metrics_len = 2;
    m.file.split_offsets = splits;
    m.file.splits_len = 2;
    m.file.sort_order_id = 0;
    m.file.first_row_id = status == MANIFEST_ADDED ? -1 : 1000;
    return m;
}

static void
write_manifest(int version, const struct manifest_entry *m, size_t n, struct buf *out,
               struct manifest_file *info)
{
    struct json *schema = schema_json_write(&scratch_schema);
    struct manifest_conf conf = {.version = version, .schema = schema, .snapshot_id = 99};
    MUST_PASS(manifest_write(&conf, m, n, out, info, &must_e));
    json_free(schema);
}

static void
added_entries_inherit_and_existing_ones_keep_theirs(void **state)
{
    struct manifest_entry in[] = {
        entry(MANIFEST_ADDED, "a", 10), entry(MANIFEST_EXISTING, "b", 20),
        entry(MANIFEST_DELETED, "c", 5), entry(MANIFEST_ADDED, "d", 7)};
    struct manifest_entry *out;
    struct manifest_file info;
    struct buf file = {0};
    struct arena a;
    size_t n;
    arena_init(&a, 0);
    write_manifest(3, in, 4, &file, &info);
    assert_int_equal(info.counts[MANIFEST_ADDED], 2);
    assert_int_equal(info.rows[MANIFEST_EXISTING], 20);
    assert_int_equal(info.min_sequence, 5);
    info.sequence = 9;
    info.first_row_id = 300;
    MUST_PASS(manifest_read(buf_bytes(&file), &info, &a, &out, &n, &must_e));
    assert_int_equal(n, 4);
    assert_int_equal(out[0].sequence, 9);
    assert_int_equal(out[0].file_sequence, 9);
    assert_int_equal(out[0].file.first_row_id, 300);
    assert_int_equal(out[1].sequence, 5);
    assert_int_equal(out[1].file_sequence, 4);
    assert_int_equal(out[1].file.first_row_id, 1000);
    assert_int_equal(out[2].status, MANIFEST_DELETED);
    assert_int_equal(out[3].file.first_row_id, 310);
    assert_string_equal(out[3].file.path, "d");
    assert_int_equal(out[3].file.metrics_len, 2);
    assert_int_equal(out[3].file.metrics[1].nulls, 3);
    assert_int_equal(out[3].file.metrics[0].nans, -1);
    assert_int_equal(out[3].file.metrics[1].nans, 0);
    assert_true(out[3].file.metrics[1].has_lower && !out[3].file.metrics[1].has_upper);
    assert_int_equal(out[3].file.split_offsets[1], 4000);
    arena_free(&a);
    buf_free(&file);
}

static void
a_manifest_of_version_2_has_no_row_ids_and_no_vectors_place(void **state)
{
    struct manifest_entry in[] = {entry(MANIFEST_EXISTING, "b", 20)};
    struct manifest_entry *out;
    struct manifest_file info;
    struct buf file = {0};
    struct arena a;
    size_t n;
    arena_init(&a, 0);
    write_manifest(2, in, 1, &file, &info);
    info.sequence = 9;
    MUST_PASS(manifest_read(buf_bytes(&file), &info, &a, &out, &n, &must_e));
    assert_int_equal(out[0].file.first_row_id, -1);
    assert_null(memmem(file.p, file.n, "content_offset", 14));
    arena_free(&a);
    buf_free(&file);
}

static void
a_list_is_read_as_it_was_written(void **state)
{
    struct manifest_file in[] = {{.path = "m0",
                                  .length = 7,
                                  .sequence = 3,
                                  .min_sequence = 2,
                                  .added_snapshot = 5,
                                  .counts = {1, 2, 3},
                                  .rows = {10, 20, 30},
                                  .first_row_id = 44},
                                 {.path = "m1",
                                  .length = 8,
                                  .deletes = true,
                                  .sequence = 4,
                                  .min_sequence = 4,
                                  .added_snapshot = 6,
                                  .first_row_id = -1}};
    struct manifest_list_conf conf = {
        .version = 3, .snapshot_id = 1, .parent = -1, .sequence = 4};
    struct manifest_file *out;
    struct buf file = {0};
    struct arena a;
    size_t n;
    arena_init(&a, 0);
    MUST_PASS(manifest_list_write(&conf, in, 2, &file, &must_e));
    MUST_PASS(manifest_list_read(buf_bytes(&file), &a, &out, &n, &must_e));
    assert_int_equal(n, 2);
    assert_memory_equal(out[0].counts, in[0].counts, sizeof(in[0].counts));
    assert_memory_equal(out[0].rows, in[0].rows, sizeof(in[0].rows));
    assert_int_equal(out[0].first_row_id, 44);
    assert_int_equal(out[1].first_row_id, -1);
    assert_true(out[1].deletes);
    arena_free(&a);
    buf_free(&file);
}

static void
no_cut_and_no_changed_byte_crashes_the_reader(void **state)
{
    struct manifest_entry in[] = {entry(MANIFEST_ADDED, "a", 10),
                                  entry(MANIFEST_EXISTING, "b", 20)};
    struct manifest_entry *out;
    struct manifest_file info;
    struct buf file = {0};
    struct arena a;
    struct err e;
    size_t n;
    arena_init(&a, 0);
    write_manifest(3, in, 2, &file, &info);
    info.sequence = 9;
    for (size_t i = 0; i < file.n; i++) {
        assert_true(!manifest_read(bytes_of(file.p, i), &info, &a, &out, &n, &e) || n == 0);
        file.p[i] ^= 0x41;
        if (!manifest_read(buf_bytes(&file), &info, &a, &out, &n, &e))
            assert_true(e.code == MR_LAKE_METADATA || e.code == MR_LAKE_UNSUPPORTED);
        file.p[i] ^= 0x41;
        arena_reset(&a);
    }
    arena_free(&a);
    buf_free(&file);
}

static void
a_file_without_compression_and_with_other_fields_is_read_by_field_id(void **state)
{
    static const char schema[] =
        "{\"type\":\"record\",\"name\":\"r\",\"fields\":["
        "{\"name\":\"x\",\"type\":\"double\"},"
        "{\"name\":\"renamed\",\"type\":[\"null\",\"string\"],\"field-id\":500},"
        "{\"name\":\"m\",\"type\":{\"type\":\"map\",\"values\":\"int\"},\"field-id\":7}]}";
    struct buf f = {0};
    struct ocf_file got;
    struct arena a;
    double d = 1.5;
    arena_init(&a, 0);
    buf_add(&f, "Obj\1", 4);
    ocf_put_long(&f, 1);
    ocf_put_bytes(&f, BYTES_LIT("avro.schema"));
    ocf_put_bytes(&f, bytes_str(schema));
    ocf_put_long(&f, 0);
    buf_add(&f, "0123456789abcdef", 16);
    struct buf r = {0};
    buf_add(&r, &d, 8);
    ocf_put_long(&r, 1);
    ocf_put_bytes(&r, BYTES_LIT("hello"));
    ocf_put_long(&r, -1); /* a block of one pair, with its size */
    ocf_put_long(&r, 3);
    ocf_put_bytes(&r, BYTES_LIT("k"));
    ocf_put_long(&r, 12);
    ocf_put_long(&r, 0);
    ocf_put_long(&f, 1);
    ocf_put_bytes(&f, buf_bytes(&r));
    buf_add(&f, "0123456789abcdef", 16);
    MUST_PASS(ocf_read(buf_bytes(&f), &a, &got, &must_e));
    assert_int_equal(got.records_len, 1);
    assert_memory_equal(ocf_field(&got.records[0], 500)->v.b.p, "hello", 5);
    assert_int_equal(ocf_field(&got.records[0], 7)->v.list.len, 1);
    assert_null(ocf_field(&got.records[0], 8));
    arena_free(&a);
    buf_free(&f);
    buf_free(&r);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(added_entries_inherit_and_existing_ones_keep_theirs),
        cmocka_unit_test(a_manifest_of_version_2_has_no_row_ids_and_no_vectors_place),
        cmocka_unit_test(a_list_is_read_as_it_was_written),
        cmocka_unit_test(no_cut_and_no_changed_byte_crashes_the_reader),
        cmocka_unit_test(a_file_without_compression_and_with_other_fields_is_read_by_field_id),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
