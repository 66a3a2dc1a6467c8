/* metadata.json: what is unknown is kept, what is too new is refused, changes apply. */
#include "unit/lake/lake_unit.h"

static struct metadata *
parsed(const char *text)
{
    struct metadata *m = NULL;
    MUST_PASS(metadata_parse(bytes_str(text), &m, &must_e));
    return m;
}

static struct json *
json_of(const char *text)
{
    struct json *j = NULL;
    MUST_PASS(json_parse(bytes_str(text), &j, &must_e));
    return j;
}

/* A table's text with something put in front of its members. */
static char *
text_with(const char *members)
{
    struct metadata *m = scratch_metadata("file:///t", 3);
    struct buf b = {0};
    metadata_write(m, &b);
    char *text = mem_printf("{%s%s", members, buf_cstr(&b) + 1);
    metadata_free(m);
    buf_free(&b);
    return text;
}

static bool
next_of(struct metadata **m, const char *requirements, const char *updates, struct err *e)
{
    struct json *r = json_of(requirements), *u = json_of(updates);
    struct metadata *next;
    bool ok = metadata_next(*m, "file:///old", r, u, &next, e);
    if (ok) {
        metadata_free(*m);
        *m = next;
    }
    json_free(r);
    json_free(u);
    return ok;
}

static void
members_that_are_not_known_survive_a_commit(void **state)
{
    char *text = text_with("\"encryption-keys\":[{\"key-id\":\"k\"}],\"x\":{\"y\":[1,2.5]},");
    struct metadata *m = parsed(text);
    struct buf b = {0};
    MUST_PASS(next_of(&m, "[]", "[{\"action\":\"set-properties\",\"updates\":{\"a\":\"b\"}}]",
                      &must_e));
    metadata_write(m, &b);
    assert_non_null(strstr(buf_cstr(&b), "\"encryption-keys\":[{\"key-id\":\"k\"}]"));
    assert_non_null(strstr(buf_cstr(&b), "\"x\":{\"y\":[1,2.5]}"));
    assert_non_null(strstr(buf_cstr(&b), "\"metadata-file\":\"file:///old\""));
    assert_string_equal(metadata_property(m, "a"), "b");
    metadata_free(m);
    buf_free(&b);
    free(text);
}

static void
another_format_version_is_named(void **state)
{
    struct metadata *m;
    struct err e;
    assert_false(metadata_parse(BYTES_LIT("{\"format-version\":4}"), &m, &e));
    assert_int_equal(e.code, MR_LAKE_VERSION);
    assert_false(metadata_parse(BYTES_LIT("{\"format-version\":1}"), &m, &e));
    assert_int_equal(e.code, MR_LAKE_UNSUPPORTED);
    assert_false(metadata_parse(BYTES_LIT("{\"format-version\":3}"), &m, &e));
    assert_int_equal(e.code, MR_LAKE_METADATA);
    assert_false(metadata_parse(BYTES_LIT("[]"), &m, &e));
    assert_int_equal(e.code, MR_LAKE_METADATA);
    assert_false(metadata_parse(BYTES_LIT("{"), &m, &e));
    assert_int_equal(e.code, MR_LAKE_METADATA);
}

#define SNAPSHOT(id, sequence, row)                                                        \
    "[{\"action\":\"add-snapshot\",\"snapshot\":{\"snapshot-id\":" id                      \
    ",\"sequence-number\":" sequence ",\"timestamp-ms\":1,\"manifest-list\":\"l\","        \
    "\"first-row-id\":" row ",\"added-rows\":10,\"summary\":{\"operation\":\"append\"}}}," \
    "{\"action\":\"set-snapshot-ref\",\"ref-name\":\"main\",\"type\":\"branch\","          \
    "\"snapshot-id\":" id "}]"

static void
a_snapshot_moves_main_and_takes_its_row_ids(void **state)
{
    struct metadata *m = scratch_metadata("file:///t", 3);
    struct err e;
    MUST_PASS(next_of(&m,
                      "[{\"type\":\"assert-ref-snapshot-id\",\"ref\":\"main\","
                      "\"snapshot-id\":null}]",
                      SNAPSHOT("11", "1", "0"), &must_e));
    assert_int_equal(m->current_snapshot, 11);
    assert_int_equal(m->next_row_id, 10);
    assert_int_equal(m->last_sequence, 1);
    /* Taken row ids, a taken sequence number, another snapshot than demanded. */
    assert_false(next_of(&m, "[]", SNAPSHOT("12", "2", "9"), &e));
    assert_int_equal(e.code, MR_CATALOG_CONFLICT);
    assert_false(next_of(&m, "[]", SNAPSHOT("12", "1", "10"), &e));
    assert_int_equal(e.code, MR_CATALOG_CONFLICT);
    assert_false(next_of(&m,
                         "[{\"type\":\"assert-ref-snapshot-id\",\"ref\":\"main\","
                         "\"snapshot-id\":12}]",
                         "[]", &e));
    assert_int_equal(e.code, MR_CATALOG_CONFLICT);
    assert_false(next_of(&m, "[{\"type\":\"assert-table-uuid\",\"uuid\":\"u\"}]", "[]", &e));
    assert_int_equal(e.code, MR_CATALOG_CONFLICT);
    metadata_free(m);
}

static void
removed_snapshots_leave_a_log_without_holes(void **state)
{
    struct metadata *m = scratch_metadata("file:///t", 3);
    MUST_PASS(next_of(&m, "[]", SNAPSHOT("11", "1", "0"), &must_e));
    MUST_PASS(next_of(&m, "[]", SNAPSHOT("12", "2", "10"), &must_e));
    MUST_PASS(next_of(&m, "[]", SNAPSHOT("13", "3", "20"), &must_e));
    MUST_PASS(next_of(&m, "[]", "[{\"action\":\"remove-snapshots\",\"snapshot-ids\":[12]}]",
                      &must_e));
    assert_int_equal(metadata_snapshot_count(m), 2);
    const struct json *log = json_get(m->doc, "snapshot-log");
    assert_int_equal(json_len(log), 1);
    assert_int_equal(json_get_i64(json_at(log, 0), "snapshot-id", 0), 13);
    assert_false(metadata_is_ancestor(m, 11));
    assert_true(metadata_is_ancestor(m, 13));
    metadata_free(m);
}

static bool
change(struct lake_schema *s, struct schema_change c, int32_t *last, struct arena *a,
       struct err *e)
{
    struct lake_schema next;
    if (!schema_change_apply(s, &c, last, a, &next, e))
        return false;
    *s = next;
    return true;
}

static void
columns_are_added_dropped_renamed_widened_and_moved(void **state)
{
    struct lake_schema s = scratch_schema;
    struct arena a;
    int32_t last = 3;
    arena_init(&a, 0);
#define CHANGE(...) \
    MUST_PASS(change(&s, (struct schema_change){__VA_ARGS__}, &last, &a, &must_e))
    CHANGE(.kind = SCHEMA_ADD, .name = "new", .type = {.kind = LAKE_DOUBLE});
    CHANGE(.kind = SCHEMA_DROP, .id = 2);
    CHANGE(.kind = SCHEMA_RENAME, .id = 3, .name = "name");
    CHANGE(.kind = SCHEMA_WIDEN, .id = 3, .type = {.kind = LAKE_LONG});
    CHANGE(.kind = SCHEMA_MOVE, .id = 4, .after = 0);
#undef CHANGE
    assert_int_equal(s.field_count, 3);
    assert_int_equal(s.fields[0].id, 4);
    assert_false(s.fields[0].required);
    assert_int_equal(s.fields[1].id, 1);
    assert_string_equal(s.fields[2].name, "name");
    assert_int_equal(s.fields[2].type.kind, LAKE_LONG);
    assert_int_equal(last, 4);
    struct json *j = schema_json_write(&s);
    struct lake_schema again;
    MUST_PASS(schema_json_read(j, &a, &again, &must_e));
    assert_int_equal(again.fields[2].id, 3);
    assert_int_equal(again.identifier_ids[0], 1);
    json_free(j);
    arena_free(&a);
}

static void
what_iceberg_cannot_express_is_refused(void **state)
{
    struct lake_schema s = scratch_schema;
    struct arena a;
    struct err e;
    int32_t last = 3;
    const struct schema_change wrong[] = {
        {.kind = SCHEMA_ADD, .name = "id", .type = {.kind = LAKE_INT}},
        {.kind = SCHEMA_DROP, .id = 1},
        {.kind = SCHEMA_DROP, .id = 9},
        {.kind = SCHEMA_RENAME, .id = 2, .name = "small"},
        {.kind = SCHEMA_WIDEN, .id = 2, .type = {.kind = LAKE_INT}},
        {.kind = SCHEMA_WIDEN, .id = 3, .type = {.kind = LAKE_STRING}},
        {.kind = SCHEMA_MOVE, .id = 3, .after = 3},
    };
    arena_init(&a, 0);
    for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
        assert_false(change(&s, wrong[i], &last, &a, &e));
        assert_int_equal(e.code, MR_LAKE_SCHEMA);
    }
    assert_int_equal(last, 3);
    arena_free(&a);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(members_that_are_not_known_survive_a_commit),
        cmocka_unit_test(another_format_version_is_named),
        cmocka_unit_test(a_snapshot_moves_main_and_takes_its_row_ids),
        cmocka_unit_test(removed_snapshots_leave_a_log_without_holes),
        cmocka_unit_test(columns_are_added_dropped_renamed_widened_and_moved),
        cmocka_unit_test(what_iceberg_cannot_express_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
