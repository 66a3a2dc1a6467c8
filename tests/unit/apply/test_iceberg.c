/* The Iceberg sink on a real folder and SQLite catalog: units of work against a model, and what
 * is there after conflicts, lost answers, deaths and take-overs. Rows are read by lake/; that
 * other programs read the same is shown by tests/real/test_sink.py.
 */
#include <dirent.h>
#include <inttypes.h>

#include "lake/rows_file.h"
#include "support/sink_rig.h"
#include "unit/lake/lake_unit.h"

#define IDS    400
#define NONE   INT64_MIN
#define OTHERS "0192aaaa-bbbb-7ccc-8ddd-eeeeffff0002"

struct world {
    char *folder;
    char *uri;
    char *data;
    const char *version;
    int64_t model[IDS]; /* n of each id, NONE: no row */
    unsigned commits;
};

static struct world
world_begin(int version)
{
    struct world w = {.folder = scratch_new()};
    w.uri =
        mem_printf("iceberg+sql://%s/catalog.db?warehouse=file://%s/lake", w.folder, w.folder);
    w.data = mem_printf("data.dir=%s/data", w.folder);
    w.version = version == 2 ? "iceberg.format.version=2" : "iceberg.format.version=3";
    for (int i = 0; i < IDS; i++)
        w.model[i] = NONE;
    return w;
}

static void
world_end(struct world *w)
{
    free(w->uri);
    free(w->data);
    scratch_free(w->folder);
}

static bool
open_as(struct world *w, struct sink_rig *r, const char *task, uint64_t instance, struct err *e)
{
    const char *const settings[] = {w->version, w->data, NULL};
    return sink_rig_open(r, w->uri, settings, task, instance, e);
}

static void
open_rig(struct world *w, struct sink_rig *r, uint64_t instance)
{
    MUST_PASS(open_as(w, r, SINK_RIG_TASK, instance, &must_e));
}

static void
begin(struct sink_rig *r, enum sink_begin want)
{
    enum sink_begin outcome;
    MUST_PASS(sink_rig_begin(r, &outcome, &must_e));
    assert_int_equal(outcome, want);
}

static const char *
next_state(struct world *w, char out[40])
{
    snprintf(out, 40, "{\"unit\":%u}", ++w->commits);
    return out;
}

/* One row a call, so that a key may come several times in a unit. */
static void
put(struct world *w, struct sink_rig *r, int64_t id, int64_t n)
{
    const struct sink_rig_row row = {id, n};
    MUST_PASS(sink_rig_write(r, n == NONE ? SINK_DELETE : SINK_UPSERT, &row, 1, &must_e));
    if (w)
        w->model[id] = n;
}

static void
commit(struct world *w, struct sink_rig *r)
{
    char state[40];
    MUST_PASS(sink_rig_commit(r, next_state(w, state), &must_e));
}

/* A world with a table of rows 0 .. 9 by the unit {"unit":1}. */
static void
first_unit(struct world *w, struct sink_rig *r, int version)
{
    *w = world_begin(version);
    open_rig(w, r, 1);
    MUST_PASS(sink_rig_create(r, &must_e));
    begin(r, SINK_BASE);
    for (int64_t id = 0; id < 10; id++)
        put(w, r, id, id);
    commit(w, r);
}

static void
end(struct world *w, struct sink_rig *r)
{
    sink_rig_close(r);
    world_end(w);
}

/* ---- what is there ---- */

struct view {
    struct catalog *catalog;
    struct lake_table *table;
    struct lake_files files;
};

static struct view
view_begin(const struct world *w)
{
    static const struct catalog_name name = {"shop", "t"};
    struct view v = {.catalog = scratch_catalog(w->folder)};
    MUST_PASS(lake_table_open(v.catalog, &name, &v.table, &must_e));
    MUST_PASS(lake_table_files(v.table, &v.files, &must_e));
    return v;
}

static void
view_end(struct view *v)
{
    lake_files_free(&v->files);
    lake_table_close(v->table);
    catalog_close(v->catalog);
}

typedef void
row_fn(void *ctx, const struct cell *row);

static void
read_file(struct view *v, const struct lake_file *f, row_fn *each, void *ctx)
{
    static const struct lake_field fields[] = {{1, "id", {.kind = LAKE_LONG}, true},
                                               {2, "v", {.kind = LAKE_STRING}, false},
                                               {3, "n", {.kind = LAKE_LONG}, false}};
    struct positions gone = {0};
    struct rows_reader *r;
    struct parquet_batch b;
    MUST_PASS(deletes_read_all(v->catalog->storage, f, &gone, &must_e));
    MUST_PASS(rows_reader_open(v->catalog->storage, &f->rows->file, fields, 3, &r, &must_e));
    struct parquet_reader *p = rows_reader_parquet(r);
    for (uint32_t g = 0; g < parquet_reader_groups(p); g++) {
        MUST_PASS(parquet_reader_seek(p, g, &must_e));
        do {
            MUST_PASS(parquet_reader_next(p, &b, &must_e));
            for (size_t i = 0; i < b.rows; i++)
                if (!positions_has(&gone, b.position + i))
                    each(ctx, b.cells + 3 * i);
        } while (b.rows);
    }
    rows_reader_free(r);
    positions_free(&gone);
}

static void
meet(void *ctx, const struct cell *row)
{
    int64_t *found = ctx, id = row[0].v.i;
    char text[64];
    assert_in_range(id, 0, IDS - 1);
    if (found[id] != NONE)
        fail_msg("id %" PRId64 " is there twice", id);
    snprintf(text, sizeof text, "row %" PRId64 "/%" PRId64, id, row[2].v.i);
    assert_true(bytes_eq(cell_bytes(row + 1), bytes_str(text)));
    found[id] = row[2].v.i;
}

/* The table has the model's rows, each once, and no equality deletes. */
static void
check_rows(const struct world *w)
{
    int64_t found[IDS];
    struct view v = view_begin(w);
    for (int i = 0; i < IDS; i++)
        found[i] = NONE;
    for (size_t i = 0; i < v.files.len; i++)
        read_file(&v, v.files.list + i, meet, found);
    for (int i = 0; i < IDS; i++)
        if (found[i] != w->model[i])
            fail_msg("id %d: %" PRId64 " instead of %" PRId64, i, found[i], w->model[i]);
    assert_int_equal(v.files.wide_deletes, 0);
    view_end(&v);
}

static void
check_state(const struct world *w, const char *want)
{
    struct view v = view_begin(w);
    const char *state = metadata_property(v.table->state.metadata, "millrace." SINK_RIG_TASK);
    assert_string_equal(state ? state : "(none)", want);
    view_end(&v);
}

/* Files of rows and deletes, in a snapshot or not. */
static size_t
files_there(const struct world *w)
{
    char *path = mem_printf("%s/lake/shop/t/data", w->folder);
    DIR *d = opendir(path);
    size_t n = 0;
    for (const struct dirent *f; d && (f = readdir(d)) != NULL;)
        n += f->d_name[0] != '.';
    if (d)
        closedir(d);
    free(path);
    return n;
}

/* ---- a catalog whose answers get lost ---- */

static const struct catalog_ops *real_ops;
static struct catalog_ops lying_ops;
static enum { LIE_DONE, LIE_NOT_DONE } lie;
static bool silent; /* the catalog cannot be read either */

static bool
lost_commit(struct catalog *c, const struct catalog_name *name,
            const struct catalog_table *base, const struct catalog_commit *change,
            struct catalog_table *out, struct err *e)
{
    if (lie == LIE_DONE) {
        if (!real_ops->commit(c, name, base, change, out, e))
            return false;
        catalog_table_free(out);
    }
    silent = true;
    return err_set(e, MR_CATALOG_UNKNOWN_OUTCOME, "the answer was lost");
}

static bool
silent_load(struct catalog *c, const struct catalog_name *name, struct catalog_table *out,
            struct err *e)
{
    if (silent)
        return err_set(e, MR_CATALOG_UNREACHABLE, "no answer");
    return real_ops->load(c, name, out, e);
}

static void
lose_answers(struct sink_rig *r, int what)
{
    struct catalog *c = r->lane->catalog;
    real_ops = c->ops;
    lying_ops = *c->ops;
    lying_ops.commit = lost_commit;
    lying_ops.load = silent_load;
    lie = what;
    silent = false;
    c->ops = &lying_ops;
}

static void
answers_come(struct sink_rig *r)
{
    r->lane->catalog->ops = real_ops;
}

/* ---- the tests ---- */

/* 20 units of up to 60 changes; some of them on one key several times. */
static void
random_units(struct world *w, struct prng *g, struct sink_rig *r)
{
    for (int unit = 0; unit < 20; unit++) {
        size_t n = prng_below(g, 60);
        begin(r, SINK_BASE);
        for (size_t i = 0; i < n; i++) {
            int64_t id = (int64_t)prng_below(g, prng_below(g, 3) ? IDS : 12);
            put(w, r, id, prng_below(g, 4) ? (int64_t)prng_below(g, 1000000) : NONE);
        }
        commit(w, r);
        check_rows(w);
    }
}

static void
check_random_units(int version)
{
    struct prng g = prng_begin("random units");
    struct world w;
    struct sink_rig r;
    first_unit(&w, &r, version);
    random_units(&w, &g, &r);
    end(&w, &r);
}

static void
random_units_leave_the_models_rows_in_version_3(void **state)
{
    check_random_units(3);
}

static void
random_units_leave_the_models_rows_in_version_2(void **state)
{
    check_random_units(2);
}

static void
a_process_that_died_goes_on_from_the_stored_checkpoint(void **state)
{
    struct world w;
    struct sink_rig r;
    first_unit(&w, &r, 3);
    begin(&r, SINK_BASE);
    put(NULL, &r, 3, 333); /* died within the unit: it never was */
    sink_rig_close(&r);
    check_rows(&w);
    open_rig(&w, &r, 2);
    assert_int_equal(r.claimed, 1);
    assert_true(bytes_eq(r.point.state, bytes_str("{\"unit\":1}")));
    assert_int_equal(r.point.owner, 2);
    begin(&r, SINK_BASE);
    put(&w, &r, 3, 444);
    commit(&w, &r);
    check_rows(&w);
    end(&w, &r);
}

static void
a_base_that_is_not_the_stored_one_gets_no_rows(void **state)
{
    struct world w;
    struct sink_rig r;
    enum sink_begin outcome;
    first_unit(&w, &r, 3);
    r.point.state = bytes_str("{\"unit\":0}");
    MUST_PASS(sink_rig_begin(&r, &outcome, &must_e));
    assert_int_equal(outcome, SINK_OTHER);
    assert_true(bytes_eq(r.point.state, bytes_str("{\"unit\":1}")));
    const struct sink_rig_row row = {3, 333};
    struct err e;
    assert_false(sink_rig_write(&r, SINK_UPSERT, &row, 1, &e)); /* no unit is open */
    begin(&r, SINK_BASE);
    r.ops->rollback(r.lane);
    r.point.commits--; /* the same state, but of another commit */
    begin(&r, SINK_OTHER);
    check_rows(&w);
    end(&w, &r);
}

/* The commit's answer is lost and the catalog is silent: the unit fails as unknown, and the
 * next begin tells what became of it. */
static void
lose_a_unit(struct world *w, struct sink_rig *r, int what)
{
    struct err e;
    size_t before = files_there(w);
    lose_answers(r, what);
    begin(r, SINK_BASE);
    put(NULL, r, 3, 333);
    assert_false(sink_rig_commit(r, "{\"unit\":2}", &e));
    assert_int_equal(e.class, ERR_UNKNOWN);
    assert_true(files_there(w) > before); /* they may be the table's */
    enum sink_begin outcome;
    assert_false(sink_rig_begin(r, &outcome, &e));
    answers_come(r);
}

static void
a_unit_that_was_done_though_its_answer_was_lost_is_not_done_again(void **state)
{
    struct world w;
    struct sink_rig r;
    first_unit(&w, &r, 3);
    lose_a_unit(&w, &r, LIE_DONE);
    begin(&r, SINK_OTHER);
    assert_true(bytes_eq(r.point.state, bytes_str("{\"unit\":2}")));
    w.model[3] = 333;
    check_rows(&w);
    w.commits = 2;
    begin(&r, SINK_BASE);
    put(&w, &r, 3, 444);
    commit(&w, &r);
    check_rows(&w);
    end(&w, &r);
}

static void
a_unit_that_was_not_done_is_done_again_once(void **state)
{
    struct world w;
    struct sink_rig r;
    first_unit(&w, &r, 3);
    lose_a_unit(&w, &r, LIE_NOT_DONE);
    check_rows(&w);
    begin(&r, SINK_BASE);
    put(&w, &r, 3, 333);
    commit(&w, &r);
    check_rows(&w);
    check_state(&w, "{\"unit\":2}");
    end(&w, &r);
}

static void
a_unit_that_is_rolled_back_leaves_no_file(void **state)
{
    struct world w;
    struct sink_rig r;
    first_unit(&w, &r, 2);
    size_t before = files_there(&w);
    begin(&r, SINK_BASE);
    for (int64_t id = 0; id < IDS; id++)
        put(NULL, &r, id, 1);
    r.ops->rollback(r.lane);
    assert_int_equal(files_there(&w), before);
    check_rows(&w);
    end(&w, &r);
}

static void
an_owner_that_was_overtaken_within_its_unit_commits_nothing(void **state)
{
    struct world w;
    struct sink_rig zombie, heir;
    struct err e;
    enum sink_begin outcome;
    first_unit(&w, &zombie, 3);
    begin(&zombie, SINK_BASE);
    put(NULL, &zombie, 3, 333);
    open_rig(&w, &heir, 2);
    size_t before = files_there(&w);
    assert_false(sink_rig_commit(&zombie, "{\"unit\":2}", &e));
    assert_int_equal(e.code, MR_LAKE_BASE_CHANGED);
    assert_true(files_there(&w) <= before); /* its own are gone, nobody else's */
    check_rows(&w);
    check_state(&w, "{\"unit\":1}");
    assert_false(sink_rig_begin(&zombie, &outcome, &e));
    assert_int_equal(e.code, MR_TARGET_TAKEN);
    begin(&heir, SINK_BASE);
    put(&w, &heir, 3, 444);
    commit(&w, &heir);
    check_rows(&w);
    sink_rig_close(&zombie);
    sink_rig_close(&heir);
    world_end(&w);
}

static void
a_table_of_another_task_is_refused(void **state)
{
    struct world w;
    struct sink_rig r, other;
    struct err e;
    first_unit(&w, &r, 3);
    assert_false(open_as(&w, &other, OTHERS, 1, &e));
    assert_int_equal(e.code, MR_LAKE_FOREIGN);
    check_state(&w, "{\"unit\":1}");
    sink_rig_close(&other);
    end(&w, &r);
}

static void
a_checkpoint_without_rows_is_no_snapshot(void **state)
{
    struct world w;
    struct sink_rig r;
    first_unit(&w, &r, 3);
    struct view v = view_begin(&w);
    int64_t before = v.table->state.metadata->current_snapshot;
    view_end(&v);
    begin(&r, SINK_BASE);
    commit(&w, &r);
    check_state(&w, "{\"unit\":2}");
    v = view_begin(&w);
    assert_int_equal(v.table->state.metadata->current_snapshot, before);
    view_end(&v);
    end(&w, &r);
}

/* ---- a re-sync: a hidden table is filled and takes the place of the target's ---- */

#define COPYING  "{\"intent\":{\"kind\":\"copy\"},\"loads\":{\"table\":\"t2\"}}"
#define FILLING  "{\"loads\":{\"table\":\"t2\"}}"
#define FILLED   "{\"unit\":1,\"loads\":{\"table\":\"t2\"}}"
#define SWAPPING "{\"intent\":{\"kind\":\"swap\"},\"loads\":{\"table\":\"t2\"}}"
#define SWAPPED  "{\"unit\":2}"

static size_t
snapshots(const struct world *w)
{
    struct snapshot s;
    struct view v = view_begin(w);
    size_t n = 0;
    while (metadata_snapshot_at(v.table->state.metadata, n, &s))
        n++;
    view_end(&v);
    return n;
}

/* Dies, and the next one goes on at the state that it must find. */
static void
die_and_go_on(struct world *w, struct sink_rig *r, uint64_t *instance, const char *state)
{
    sink_rig_close(r);
    open_rig(w, r, ++*instance);
    if (!bytes_eq(r->point.state, bytes_str(state)))
        fail_msg("%.*s is stored, not %s", (int)r->point.state.n,
                 (const char *)r->point.state.p, state);
}

static void
store(struct sink_rig *r, const char *state)
{
    begin(r, SINK_BASE);
    MUST_PASS(sink_rig_commit(r, state, &must_e));
}

/* deaths: behind every step, done or not yet told. */
static void
resync(struct world *w, struct sink_rig *r, bool deaths)
{
    uint64_t instance = 1;
    store(r, COPYING);
    if (deaths)
        die_and_go_on(w, r, &instance, COPYING);
    MUST_PASS(sink_rig_step(r, SINK_COPY, "t2", &must_e));
    if (deaths) {
        die_and_go_on(w, r, &instance, COPYING);
        MUST_PASS(sink_rig_step(r, SINK_COPY, "t2", &must_e));
    }
    store(r, FILLING);
    if (deaths)
        die_and_go_on(w, r, &instance, FILLING);
    check_rows(w);
    r->table = "t2";
    begin(r, SINK_BASE);
    for (int64_t id = 5; id < 15; id++)
        put(NULL, r, id, id + 100);
    MUST_PASS(sink_rig_commit(r, FILLED, &must_e));
    if (deaths)
        die_and_go_on(w, r, &instance, FILLED);
    check_rows(w);
    store(r, SWAPPING);
    size_t before = snapshots(w);
    if (deaths) {
        die_and_go_on(w, r, &instance, SWAPPING);
        before = snapshots(w); /* and the claim's */
    }
    MUST_PASS(sink_rig_step(r, SINK_SWAP, "t2", &must_e));
    assert_int_equal(snapshots(w), before + 1); /* no reader sees a gap */
    if (deaths) {
        die_and_go_on(w, r, &instance, SWAPPING);
        MUST_PASS(sink_rig_step(r, SINK_SWAP, "t2", &must_e));
    }
    store(r, SWAPPED);
}

static void
check_resync(bool deaths)
{
    struct world w;
    struct sink_rig r;
    first_unit(&w, &r, 3);
    resync(&w, &r, deaths);
    for (int64_t id = 0; id < 15; id++)
        w.model[id] = id < 5 ? NONE : id + 100;
    check_rows(&w);
    check_state(&w, SWAPPED);
    r.table = "t";
    begin(&r, SINK_BASE);
    put(&w, &r, 7, 700); /* of a file that was the hidden table's */
    commit(&w, &r);
    check_rows(&w);
    end(&w, &r);
}

static void
a_re_sync_replaces_the_content_in_one_snapshot(void **state)
{
    check_resync(false);
}

static void
a_re_sync_survives_a_death_behind_every_step(void **state)
{
    check_resync(true);
}

/* ---- the index of a large file ---- */

#define LARGE 120000 /* rows: above the index's least */

static void
count(void *ctx, const struct cell *row)
{
    int64_t *sums = ctx;
    sums[0]++;
    sums[1] += row[0].v.i;
    sums[2] += row[2].v.i;
}

static void
check_sums(const struct world *w, int64_t rows, int64_t ids, int64_t n)
{
    int64_t sums[3] = {0};
    struct view v = view_begin(w);
    for (size_t i = 0; i < v.files.len; i++)
        read_file(&v, v.files.list + i, count, sums);
    view_end(&v);
    assert_int_equal(sums[0], rows);
    assert_int_equal(sums[1], ids);
    assert_int_equal(sums[2], n);
}

static void
large_unit(struct world *w, struct sink_rig *r)
{
    struct sink_rig_row *rows = mem_array(LARGE, sizeof *rows);
    open_rig(w, r, 1);
    MUST_PASS(sink_rig_create(r, &must_e));
    begin(r, SINK_BASE);
    for (int64_t i = 0; i < LARGE; i++)
        rows[i] = (struct sink_rig_row){i, 0};
    MUST_PASS(sink_rig_write(r, SINK_UPSERT, rows, LARGE, &must_e));
    commit(w, r);
    free(rows);
}

/* The index files of the only table. */
static void
each_index_file(const struct world *w, void (*change)(const char *path))
{
    char *folder = mem_printf("%s/data/iceberg", w->folder);
    char *command = mem_printf("find %s -name 'keys-*'", folder);
    char line[512];
    unsigned n = 0;
    FILE *list = popen(command, "r");
    assert_non_null(list);
    while (fgets(line, sizeof line, list)) {
        line[strcspn(line, "\n")] = 0;
        change(line);
        n++;
    }
    pclose(list);
    assert_int_equal(n, 1);
    free(command);
    free(folder);
}

static void
remove_it(const char *path)
{
    assert_int_equal(unlink(path), 0);
}

/* Every hash of the file is another. */
static void
spoil_it(const char *path)
{
    FILE *f = fopen(path, "r+b");
    static uint8_t block[4096];
    assert_non_null(f);
    for (long at = 4096; fseek(f, at, SEEK_SET) == 0 && fread(block, 1, 4096, f) == 4096;
         at += 4096) {
        for (size_t i = 0; i < sizeof block; i++)
            block[i] ^= 0x5a;
        fseek(f, at, SEEK_SET);
        fwrite(block, 1, sizeof block, f);
    }
    fclose(f);
}

static void
cut_it(const char *path)
{
    assert_int_equal(truncate(path, 6000), 0);
}

/* The index of something else, under this file's name. */
static void
replace_it(const char *path)
{
    FILE *f = fopen(path, "r+b");
    assert_non_null(f);
    fseek(f, 8, SEEK_SET); /* the identity, and the check of the head with it */
    for (int i = 0; i < 16; i++)
        fputc(i, f);
    fclose(f);
}

static void
upserts_are_right_whatever_became_of_the_index(void **state)
{
    static void (*const changes[])(const char *) = {remove_it, spoil_it, cut_it, replace_it};
    struct world w = world_begin(3);
    struct sink_rig r;
    int64_t all = (int64_t)LARGE * (LARGE - 1) / 2;
    large_unit(&w, &r);
    begin(&r, SINK_BASE);
    put(NULL, &r, 7, 1000); /* makes the index */
    commit(&w, &r);
    for (size_t i = 0; i < ARRAY_LEN(changes); i++) {
        sink_rig_close(&r);
        each_index_file(&w, changes[i]);
        open_rig(&w, &r, 2 + i);
        begin(&r, SINK_BASE);
        const struct sink_rig_row again = {7, 1000 + (int64_t)i},
                                  fresh = {(int64_t)(LARGE / 2 + i), 1};
        MUST_PASS(sink_rig_write(&r, SINK_UPSERT, &again, 1, &must_e));
        MUST_PASS(sink_rig_write(&r, SINK_UPSERT, &fresh, 1, &must_e));
        commit(&w, &r);
        check_sums(&w, LARGE, all, 1000 + 2 * (int64_t)i + 1);
    }
    end(&w, &r);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(random_units_leave_the_models_rows_in_version_3),
        cmocka_unit_test(random_units_leave_the_models_rows_in_version_2),
        cmocka_unit_test(a_process_that_died_goes_on_from_the_stored_checkpoint),
        cmocka_unit_test(a_base_that_is_not_the_stored_one_gets_no_rows),
        cmocka_unit_test(a_unit_that_was_done_though_its_answer_was_lost_is_not_done_again),
        cmocka_unit_test(a_unit_that_was_not_done_is_done_again_once),
        cmocka_unit_test(a_unit_that_is_rolled_back_leaves_no_file),
        cmocka_unit_test(an_owner_that_was_overtaken_within_its_unit_commits_nothing),
        cmocka_unit_test(a_table_of_another_task_is_refused),
        cmocka_unit_test(a_checkpoint_without_rows_is_no_snapshot),
        cmocka_unit_test(a_re_sync_replaces_the_content_in_one_snapshot),
        cmocka_unit_test(a_re_sync_survives_a_death_behind_every_step),
        cmocka_unit_test(upserts_are_right_whatever_became_of_the_index),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
