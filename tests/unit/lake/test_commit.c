/* Commits on a real SQLite catalog: lost races, outcomes that are unknown, files that are gone.
 */
#include <dirent.h>

#include "unit/lake/lake_unit.h"

/* A catalog whose next commit's outcome is not told, done or not. */
static const struct catalog_ops *real_ops;
static struct catalog_ops lying_ops;
static enum { LIE_NO, LIE_DONE, LIE_NOT_DONE } lie;

static bool
lying_commit(struct catalog *c, const struct catalog_name *name,
             const struct catalog_table *base, const struct catalog_commit *commit,
             struct catalog_table *out, struct err *e)
{
    bool ok = lie == LIE_NOT_DONE || real_ops->commit(c, name, base, commit, out, e);
    if (lie == LIE_NO)
        return ok;
    if (lie == LIE_DONE)
        catalog_table_free(out);
    lie = LIE_NO;
    return err_set(e, MR_CATALOG_UNKNOWN_OUTCOME, "the answer was lost");
}

static void
make_liar(struct catalog *c)
{
    real_ops = c->ops;
    lying_ops = *c->ops;
    lying_ops.commit = lying_commit;
    c->ops = &lying_ops;
}

static struct commit *
begin(struct lake_table *t, const char *base_value)
{
    return commit_new(
        t, &(struct commit_conf){.base_key = "k", .base_value = base_value, .backoff_ms = 1});
}

/* One data file, and the property k moved on. */
static struct commit *
append(struct lake_table *t, const char *base_value, const char *value, const char *path,
       int64_t rows)
{
    struct commit *c = begin(t, base_value);
    struct data_file f = scratch_file(path, rows);
    commit_add_rows(c, &f);
    commit_set_property(c, "k", value);
    return c;
}

static void
must_append(struct lake_table *t, const char *base_value, const char *value, const char *path,
            int64_t rows)
{
    struct commit *c = append(t, base_value, value, path, rows);
    MUST_PASS(commit_run(c, &must_e));
    commit_free(c);
}

static size_t
live_files(struct lake_table *t)
{
    struct lake_files files;
    MUST_PASS(lake_table_reload(t, &must_e));
    MUST_PASS(lake_table_files(t, &files, &must_e));
    size_t n = files.len;
    lake_files_free(&files);
    return n;
}

static size_t
metadata_files(const char *folder)
{
    char *path = mem_printf("%s/lake/ns/t/metadata", folder);
    DIR *d = opendir(path);
    size_t n = 0;
    for (struct dirent *f; (f = readdir(d)) != NULL;)
        n += f->d_name[0] != '.';
    closedir(d);
    free(path);
    return n;
}

struct world {
    char *folder;
    struct catalog *catalog;
    struct lake_table *table;
};

static struct world
world_begin(int version)
{
    struct world w = {.folder = scratch_new()};
    w.catalog = scratch_catalog(w.folder);
    w.table = scratch_table(w.catalog, version);
    return w;
}

static void
world_end(struct world *w)
{
    lake_table_close(w->table);
    catalog_close(w->catalog);
    scratch_free(w->folder);
}

static const char *
summary(const struct lake_table *t, const char *key)
{
    struct snapshot s;
    assert_true(metadata_snapshot(t->state.metadata, t->state.metadata->current_snapshot, &s));
    return json_get_str(s.summary, key, "(none)");
}

static void
the_loser_of_a_race_builds_only_its_manifest_list_again(void **state)
{
    struct world w = world_begin(3);
    struct lake_table *other = scratch_open(w.catalog);
    struct commit *mine = commit_new(w.table, &(struct commit_conf){.backoff_ms = 1});
    struct data_file f = scratch_file("mine", 5);
    commit_add_rows(mine, &f);
    must_append(other, NULL, "1", "theirs", 7);
    MUST_PASS(commit_run(mine, &must_e));
    assert_int_equal(commit_conflicts(mine), 1);
    commit_free(mine);
    assert_int_equal(live_files(w.table), 2);
    assert_string_equal(summary(w.table, "total-records"), "12");
    assert_int_equal(w.table->state.metadata->next_row_id, 12);
    assert_string_equal(metadata_property(w.table->state.metadata, "k"), "1");
    /* 3 metadata.json, 2 lists, 2 manifests: the loser's first list is gone. */
    assert_int_equal(metadata_files(w.folder), 7);
    lake_table_close(other);
    world_end(&w);
}

static void
a_base_that_changed_stops_the_batch_and_leaves_nothing(void **state)
{
    struct world w = world_begin(3);
    struct lake_table *zombie = scratch_open(w.catalog);
    struct err e;
    must_append(w.table, NULL, "1", "a", 5);
    size_t before = metadata_files(w.folder);
    struct commit *c = append(zombie, NULL, "1", "b", 5);
    assert_false(commit_run(c, &e));
    assert_int_equal(e.code, MR_LAKE_BASE_CHANGED);
    assert_int_equal(e.class, ERR_UNKNOWN);
    assert_false(commit_unsure(c));
    commit_free(c);
    assert_int_equal(metadata_files(w.folder), before);
    assert_int_equal(live_files(w.table), 1);
    lake_table_close(zombie);
    world_end(&w);
}

static void
a_claim_is_an_empty_snapshot_that_fails_every_older_commit(void **state)
{
    struct world w = world_begin(3);
    struct lake_table *zombie = scratch_open(w.catalog);
    struct err e;
    must_append(w.table, NULL, "1", "a", 5);
    MUST_PASS(lake_table_reload(zombie, &must_e));
    struct commit *old = append(zombie, "1", "2", "b", 5);
    struct commit *claim = begin(w.table, "1");
    commit_claim(claim);
    commit_set_property(claim, "k", "1 owner 2");
    MUST_PASS(commit_run(claim, &must_e));
    commit_free(claim);
    assert_false(commit_run(old, &e));
    assert_int_equal(e.code, MR_LAKE_BASE_CHANGED);
    commit_free(old);
    assert_int_equal(live_files(w.table), 1);
    assert_string_equal(summary(w.table, "total-records"), "5");
    lake_table_close(zombie);
    world_end(&w);
}

static void
an_unknown_outcome_is_looked_up_and_never_done_twice(void **state)
{
    struct world w = world_begin(3);
    make_liar(w.catalog);
    lie = LIE_DONE;
    must_append(w.table, NULL, "1", "a", 5);
    assert_int_equal(metadata_snapshot_count(w.table->state.metadata), 1);
    lie = LIE_NOT_DONE;
    must_append(w.table, "1", "2", "b", 6);
    assert_int_equal(metadata_snapshot_count(w.table->state.metadata), 2);
    assert_int_equal(live_files(w.table), 2);
    lie = LIE_DONE;
    struct commit *c = begin(w.table, "2");
    commit_set_property(c, "k", "3");
    MUST_PASS(commit_run(c, &must_e));
    commit_free(c);
    assert_string_equal(metadata_property(w.table->state.metadata, "k"), "3");
    world_end(&w);
}

static void
while_the_outcome_is_unknown_no_file_is_removed(void **state)
{
    struct world w = world_begin(3);
    struct err e;
    make_liar(w.catalog);
    struct commit *c = commit_new(
        w.table, &(struct commit_conf){.base_key = "k", .backoff_ms = 1, .attempts_max = 1});
    struct data_file f = scratch_file("a", 5);
    commit_add_rows(c, &f);
    commit_set_property(c, "k", "1");
    lie = LIE_DONE;
    assert_false(commit_run(c, &e));
    assert_int_equal(e.class, ERR_UNKNOWN);
    assert_true(commit_unsure(c));
    /* Running it again looks first. */
    MUST_PASS(commit_run(c, &must_e));
    assert_false(commit_unsure(c));
    commit_free(c);
    assert_int_equal(live_files(w.table), 1);
    assert_int_equal(metadata_snapshot_count(w.table->state.metadata), 1);
    world_end(&w);
}

static void
a_vector_is_replaced_and_goes_with_its_data_file(void **state)
{
    struct world w = world_begin(3);
    struct data_file v1 = scratch_vector("v1", "a", 1), v2 = scratch_vector("v2", "a", 3);
    struct data_file a = scratch_file("a", 5);
    struct lake_files files;
    must_append(w.table, NULL, "1", "a", 5);
    must_append(w.table, "1", "2", "b", 5);
    struct commit *c = begin(w.table, "2");
    commit_add_deletes(c, &v1);
    MUST_PASS(commit_run(c, &must_e));
    commit_free(c);
    assert_string_equal(summary(w.table, "operation"), "delete");
    c = begin(w.table, "2");
    commit_remove(c, &v1);
    commit_add_deletes(c, &v2);
    MUST_PASS(commit_run(c, &must_e));
    commit_free(c);
    assert_string_equal(summary(w.table, "total-position-deletes"), "3");
    assert_string_equal(summary(w.table, "removed-dvs"), "1");
    MUST_PASS(lake_table_files(w.table, &files, &must_e));
    assert_string_equal(lake_files_find(&files, "a")->vector->file.path, "v2");
    assert_null(lake_files_find(&files, "b")->vector);
    lake_files_free(&files);
    c = begin(w.table, "2");
    commit_remove(c, &a);
    MUST_PASS(commit_run(c, &must_e));
    commit_free(c);
    assert_string_equal(summary(w.table, "total-position-deletes"), "0");
    assert_string_equal(summary(w.table, "total-delete-files"), "0");
    assert_string_equal(summary(w.table, "total-data-files"), "1");
    assert_string_equal(summary(w.table, "total-records"), "5");
    world_end(&w);
}

static void
deletes_of_a_file_that_was_replaced_meanwhile_are_refused(void **state)
{
    struct world w = world_begin(3);
    struct lake_table *compactor = scratch_open(w.catalog);
    struct data_file a = scratch_file("a", 5), big = scratch_file("big", 5);
    struct data_file v = scratch_vector("v", "a", 1), other = scratch_vector("o", "big", 1);
    struct err e;
    must_append(w.table, NULL, "1", "a", 5);
    MUST_PASS(lake_table_reload(compactor, &must_e));
    struct commit *c = begin(w.table, "1");
    commit_add_deletes(c, &v);
    struct commit *replace = commit_new(compactor, &(struct commit_conf){.backoff_ms = 1});
    commit_remove(replace, &a);
    commit_add_rows(replace, &big);
    commit_set_operation(replace, "replace");
    MUST_PASS(commit_run(replace, &must_e));
    commit_free(replace);
    assert_false(commit_run(c, &e));
    assert_int_equal(e.code, MR_LAKE_FILES_GONE);
    commit_free(c);
    /* Another vector came to the same file meanwhile: one file cannot have two. */
    MUST_PASS(lake_table_reload(w.table, &must_e));
    c = begin(w.table, "1");
    commit_add_deletes(c, &other);
    replace = commit_new(compactor, &(struct commit_conf){.backoff_ms = 1});
    struct data_file first = scratch_vector("first", "big", 1);
    commit_add_deletes(replace, &first);
    MUST_PASS(commit_run(replace, &must_e));
    commit_free(replace);
    assert_false(commit_run(c, &e));
    assert_int_equal(e.code, MR_LAKE_FILES_GONE);
    commit_free(c);
    lake_table_close(compactor);
    world_end(&w);
}

static void
many_small_manifests_become_one_and_row_ids_stay(void **state)
{
    struct world w = world_begin(3);
    struct lake_files files;
    char path[16];
    for (int i = 0; i < 12; i++) {
        struct commit *c = commit_new(w.table, &(struct commit_conf){.merge_at = 5});
        snprintf(path, sizeof(path), "f%d", i);
        struct data_file f = scratch_file(path, 10);
        commit_add_rows(c, &f);
        MUST_PASS(commit_run(c, &must_e));
        commit_free(c);
        MUST_PASS(lake_table_list(w.table, &must_e));
        assert_true(w.table->manifests_len <= 6);
        MUST_PASS(lake_table_files(w.table, &files, &must_e));
        assert_int_equal(files.len, i + 1);
        for (int k = 0; k <= i; k++) {
            snprintf(path, sizeof(path), "f%d", k);
            const struct manifest_entry *m = lake_files_find(&files, path)->rows;
            assert_int_equal(m->sequence, k + 1);
            if (k == 0)
                assert_int_equal(m->file.first_row_id, 0);
        }
        lake_files_free(&files);
    }
    assert_string_equal(summary(w.table, "total-records"), "120");
    world_end(&w);
}

static void
a_table_that_exists_is_not_made_again(void **state)
{
    struct world w = world_begin(2);
    struct catalog_table made;
    struct metadata *m = scratch_metadata("file:///elsewhere", 2);
    struct catalog_name nowhere = {"no", "t"}, unknown = {"ns", "u"};
    struct err e;
    assert_false(catalog_create(w.catalog, &nowhere, m, &made, &e));
    assert_int_equal(e.code, MR_CATALOG_MISSING);
    metadata_free(m);
    char *location = catalog_table_location(w.catalog, &scratch_name);
    m = scratch_metadata(location, 2);
    assert_false(catalog_create(w.catalog, &scratch_name, m, &made, &e));
    assert_int_equal(e.code, MR_CATALOG_EXISTS);
    assert_false(catalog_load(w.catalog, &unknown, &made, &e));
    assert_int_equal(e.code, MR_CATALOG_MISSING);
    assert_int_equal(metadata_files(w.folder), 1);
    metadata_free(m);
    free(location);
    world_end(&w);
}

static void
a_schema_changed_by_somebody_else_stops_the_batch(void **state)
{
    struct world w = world_begin(3);
    struct lake_table *other = scratch_open(w.catalog);
    struct lake_schema next;
    struct arena a;
    struct err e;
    int32_t last = 3;
    arena_init(&a, 0);
    struct schema_change add = {.kind = SCHEMA_ADD, .name = "n", .type = {.kind = LAKE_INT}};
    MUST_PASS(schema_change_apply(&scratch_schema, &add, &last, &a, &next, &must_e));
    struct commit *c = commit_new(other, &(struct commit_conf){.backoff_ms = 1});
    commit_set_schema(c, &next, last);
    MUST_PASS(commit_run(c, &must_e));
    commit_free(c);
    assert_int_equal(other->state.metadata->last_column_id, 4);
    MUST_PASS(metadata_schema(other->state.metadata, -1, &a, &next, &must_e));
    assert_int_equal(next.id, 1);
    assert_int_equal(next.field_count, 4);
    c = append(w.table, NULL, "1", "a", 5);
    assert_false(commit_run(c, &e));
    assert_int_equal(e.code, MR_LAKE_BASE_CHANGED);
    commit_free(c);
    lake_table_close(other);
    arena_free(&a);
    world_end(&w);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_loser_of_a_race_builds_only_its_manifest_list_again),
        cmocka_unit_test(a_base_that_changed_stops_the_batch_and_leaves_nothing),
        cmocka_unit_test(a_claim_is_an_empty_snapshot_that_fails_every_older_commit),
        cmocka_unit_test(an_unknown_outcome_is_looked_up_and_never_done_twice),
        cmocka_unit_test(while_the_outcome_is_unknown_no_file_is_removed),
        cmocka_unit_test(a_vector_is_replaced_and_goes_with_its_data_file),
        cmocka_unit_test(deletes_of_a_file_that_was_replaced_meanwhile_are_refused),
        cmocka_unit_test(many_small_manifests_become_one_and_row_ids_stay),
        cmocka_unit_test(a_table_that_exists_is_not_made_again),
        cmocka_unit_test(a_schema_changed_by_somebody_else_stops_the_batch),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
