/* What upkeep chooses, and what it leaves alone. */
#include <dirent.h>

#include "unit/lake/lake_unit.h"

#include "lake/compact.h"
#include "lake/expire.h"

#define MIB ((int64_t)1 << 20)

static const struct compact_limits limits = {
    .target_bytes = 128 << 20, .files_min = 8, .deleted_percent = 20};

/* Live files of a table that is not there. */
struct crowd {
    struct manifest_entry entries[1000];
    struct manifest_entry vectors[1000];
    struct lake_file list[1000];
    struct lake_files files;
    char names[1000][8];
};

static void
crowd_add(struct crowd *c, int64_t size, int64_t rows, int64_t deleted)
{
    size_t i = c->files.len++;
    snprintf(c->names[i], sizeof c->names[i], "f%zu", i);
    c->entries[i].file = scratch_file(c->names[i], rows);
    c->entries[i].file.size = size;
    c->entries[i].sequence = (int64_t)(1000 - i); /* the last is the oldest */
    c->vectors[i].file = scratch_vector("v", c->names[i], deleted);
    c->list[i] =
        (struct lake_file){.rows = &c->entries[i], .vector = deleted ? &c->vectors[i] : NULL};
    c->files.list = c->list;
}

static size_t
choose(const struct crowd *c, const char **paths)
{
    return compact_choose(&c->files, &limits, paths);
}

static void
files_of_one_size_wait_until_there_are_enough(void **state)
{
    (void)state;
    struct crowd *c = mem_zalloc(sizeof *c);
    const char *paths[COMPACT_FILES_MAX];
    for (int i = 0; i < 7; i++)
        crowd_add(c, 50000 + i, 100, 0);
    crowd_add(c, 20 * MIB, 50000, 0);
    assert_int_equal(choose(c, paths), 0);
    crowd_add(c, 60000, 100, 0);
    assert_int_equal(choose(c, paths), 8);
    assert_string_equal(paths[0], "f8"); /* rows keep the order of their commits */
    free(c);
}

static void
a_file_is_not_made_larger_than_the_target_and_full_ones_are_left_alone(void **state)
{
    (void)state;
    struct crowd *c = mem_zalloc(sizeof *c);
    const char *paths[COMPACT_FILES_MAX];
    for (int i = 0; i < 20; i++)
        crowd_add(c, 100 * MIB, 100000, 1000);
    assert_int_equal(choose(c, paths), 0);
    for (int i = 0; i < 9; i++)
        crowd_add(c, 30 * MIB, 30000, 0);
    assert_int_equal(choose(c, paths), 4);
    free(c);
}

static void
a_file_with_more_than_a_fifth_deleted_is_written_again_alone(void **state)
{
    (void)state;
    struct crowd *c = mem_zalloc(sizeof *c);
    const char *paths[COMPACT_FILES_MAX];
    crowd_add(c, 120 * MIB, 1000, 200);
    assert_int_equal(choose(c, paths), 0);
    crowd_add(c, 120 * MIB, 1000, 201);
    assert_int_equal(choose(c, paths), 1);
    assert_string_equal(paths[0], "f1");
    free(c);
}

/* By random commits of any size: the number of files stays small, each row is written again a
 * few times only. */
static void
many_commits_leave_few_files_for_few_rewrites(void **state)
{
    (void)state;
    const char *paths[COMPACT_FILES_MAX];
    struct crowd *c = mem_zalloc(sizeof *c);
    int64_t written = 0, rewritten = 0;
    uint64_t seed = 7;
    size_t most = 0;
    for (int commit = 0; commit < 5000; commit++) {
        seed = seed * 6364136223846793005u + 1442695040888963407u;
        int64_t size = 2000 + (int64_t)((seed >> 40) % 200000);
        size_t n;
        written += size;
        crowd_add(c, size, size / 100, 0);
        while ((n = choose(c, paths)) > 0) {
            struct crowd *next = mem_zalloc(sizeof *next);
            int64_t sum = 0;
            for (size_t i = 0; i < c->files.len; i++) {
                bool taken = false;
                for (size_t k = 0; k < n; k++)
                    taken |= !strcmp(paths[k], c->names[i]);
                if (taken)
                    sum += c->entries[i].file.size;
                else
                    crowd_add(next, c->entries[i].file.size, c->entries[i].file.rows, 0);
            }
            assert_true(n > 1 && sum <= 128 * MIB);
            crowd_add(next, sum, sum / 100, 0);
            rewritten += sum;
            free(c);
            c = next;
        }
        most = c->files.len > most ? c->files.len : most;
    }
    assert_true(most <= 50);
    assert_true(rewritten <= 6 * written);
    free(c);
}

/* ---- on a real catalog ---- */

struct world {
    char *folder;
    struct catalog *catalog;
    struct lake_table *table;
};

static struct world
world_begin(void)
{
    struct world w = {.folder = scratch_new()};
    w.catalog = scratch_catalog(w.folder);
    w.table = scratch_table(w.catalog, 3);
    return w;
}

static void
world_end(struct world *w)
{
    lake_table_close(w->table);
    catalog_close(w->catalog);
    scratch_free(w->folder);
}

static int64_t
append(struct lake_table *t, const char *path)
{
    struct commit *c = commit_new(t, &(struct commit_conf){.backoff_ms = 1});
    struct data_file f = scratch_file(path, 1);
    commit_add_rows(c, &f);
    MUST_PASS(commit_run(c, &must_e));
    int64_t id = commit_snapshot_id(c);
    commit_free(c);
    return id;
}

static void
set(struct lake_table *t, const char *key, const char *value)
{
    struct commit *c = commit_new(t, &(struct commit_conf){.backoff_ms = 1});
    commit_set_property(c, key, value);
    MUST_PASS(commit_run(c, &must_e));
    commit_free(c);
}

static size_t
metadata_files(const char *folder)
{
    char *path = mem_printf("%s/lake/ns/t/metadata", folder);
    DIR *d = opendir(path);
    size_t n = 0;
    for (struct dirent *f; (f = readdir(d)) != NULL;)
        n += strstr(f->d_name, ".metadata.json") && catalog_is_own_metadata(f->d_name);
    closedir(d);
    free(path);
    return n;
}

static void
previous_metadata_goes_only_when_the_table_says_so(void **state)
{
    (void)state;
    struct world w = world_begin();
    set(w.table, "write.metadata.previous-versions-max", "3");
    for (int i = 0; i < 10; i++)
        append(w.table, "f");
    assert_int_equal(metadata_files(w.folder), 12);
    set(w.table, "write.metadata.delete-after-commit.enabled", "true");
    /* What fell out of the log before is nobody's to find; from now on it stays bounded. */
    size_t before = metadata_files(w.folder);
    for (int i = 0; i < 10; i++)
        append(w.table, "f");
    assert_int_equal(metadata_files(w.folder), before);
    MUST_PASS(lake_table_reload(w.table, &must_e));
    world_end(&w);
}

static void
of_a_dropped_table_only_the_metadata_goes(void **state)
{
    (void)state;
    struct world w = world_begin();
    uint64_t size = 0;
    append(w.table, "f");
    const char *location = w.table->state.metadata->location;
    char *rows = mem_printf("%s/data/millrace-rows.parquet", location);
    char *none = mem_printf("%s-other", location);
    MUST_PASS(storage_put(w.table->catalog->storage, rows, BYTES_LIT("rows"), &must_e));
    MUST_PASS(expire_dropped(w.table->catalog->storage, none, &must_e));
    assert_true(metadata_files(w.folder) > 1);
    MUST_PASS(expire_dropped(w.table->catalog->storage, location, &must_e));
    assert_int_equal(metadata_files(w.folder), 0);
    MUST_PASS(storage_size(w.table->catalog->storage, rows, &size, &must_e));
    assert_int_equal(size, 4);
    free(rows);
    free(none);
    world_end(&w);
}

static const struct storage_ops *real_storage;

static bool
remove_but_lists(struct storage *s, const char *location, struct err *e)
{
    if (strstr(location, "-list-"))
        return err_set(e, MR_STORAGE_REFUSED, "not this one");
    return real_storage->remove(s, location, e);
}

static void
what_stays_of_a_dropped_table_is_told(void **state)
{
    (void)state;
    struct world w = world_begin();
    struct err e;
    append(w.table, "f");
    struct storage *s = w.table->catalog->storage;
    real_storage = s->ops;
    struct storage_ops refusing = *real_storage;
    refusing.remove = remove_but_lists;
    s->ops = &refusing;
    assert_false(expire_dropped(s, w.table->state.metadata->location, &e));
    s->ops = real_storage;
    assert_int_equal(e.code, MR_LAKE_REMNANTS);
    assert_non_null(strstr(e.text, "/metadata: 1 of the "));
    assert_non_null(strstr(e.text, "not this one"));
    assert_int_equal(metadata_files(w.folder), 0);
    world_end(&w);
}

static size_t
would_expire(const struct lake_table *t, struct expire_conf conf)
{
    int64_t oldest;
    return expire_count(t->state.metadata, &conf, &oldest);
}

static void
snapshots_go_by_age_and_count_and_not_behind_the_one_to_keep(void **state)
{
    (void)state;
    struct world w = world_begin();
    int64_t third = 0;
    for (int i = 0; i < 10; i++) {
        int64_t id = append(w.table, "f");
        third = i == 2 ? id : third;
    }
    int64_t future = INT64_MAX;
    assert_int_equal(would_expire(w.table, (struct expire_conf){.keep_min = 1}), 0);
    assert_int_equal(would_expire(w.table, (struct expire_conf){.older_than_ms = future}), 9);
    assert_int_equal(
        would_expire(w.table, (struct expire_conf){.older_than_ms = future, .keep_min = 4}), 6);
    assert_int_equal(would_expire(w.table, (struct expire_conf){.keep_max = 7}), 3);
    assert_int_equal(would_expire(w.table, (struct expire_conf){.older_than_ms = future,
                                                                .keep_from = third}),
                     2);
    world_end(&w);
}

/* Somebody is always quicker. */
static const struct catalog_ops *real_ops;

static bool
losing_commit(struct catalog *c, const struct catalog_name *name,
              const struct catalog_table *base, const struct catalog_commit *commit,
              struct catalog_table *out, struct err *e)
{
    (void)c, (void)name, (void)base, (void)commit, (void)out;
    return err_set(e, MR_CATALOG_CONFLICT, "always");
}

static void
a_commit_that_is_asked_to_stop_tries_no_second_time(void **state)
{
    (void)state;
    struct world w = world_begin();
    struct catalog_ops losing = *w.catalog->ops;
    struct stop stop;
    struct err e;
    real_ops = w.catalog->ops;
    losing.commit = losing_commit;
    w.catalog->ops = &losing;
    stop_init(&stop, NULL);
    stop_ask(&stop);
    struct commit *c = commit_new(
        w.table,
        &(struct commit_conf){.stop = &stop, .attempts_max = 100000, .backoff_ms = 60000});
    struct data_file f = scratch_file("f", 1);
    commit_add_rows(c, &f);
    assert_false(commit_run(c, &e));
    assert_int_equal(e.code, MR_LAKE_STOPPED);
    assert_int_equal(e.class, ERR_RETRY);
    assert_int_equal(commit_conflicts(c), 1);
    commit_free(c);
    w.catalog->ops = real_ops;
    MUST_PASS(lake_table_reload(w.table, &must_e));
    assert_int_equal(w.table->state.metadata->current_snapshot, -1);
    stop_free(&stop);
    world_end(&w);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(files_of_one_size_wait_until_there_are_enough),
        cmocka_unit_test(
            a_file_is_not_made_larger_than_the_target_and_full_ones_are_left_alone),
        cmocka_unit_test(a_file_with_more_than_a_fifth_deleted_is_written_again_alone),
        cmocka_unit_test(many_commits_leave_few_files_for_few_rewrites),
        cmocka_unit_test(previous_metadata_goes_only_when_the_table_says_so),
        cmocka_unit_test(of_a_dropped_table_only_the_metadata_goes),
        cmocka_unit_test(what_stays_of_a_dropped_table_is_told),
        cmocka_unit_test(snapshots_go_by_age_and_count_and_not_behind_the_one_to_keep),
        cmocka_unit_test(a_commit_that_is_asked_to_stop_tries_no_second_time),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
