/* Fill: the rows of a unit of work, and the commit that makes them visible with the checkpoint.
 *
 * Rows are upserts and deletes by key. The new rows go to data files; where a key had a row
 * before, its position is found (keys.c) and joins the deletes of its data file: a deletion
 * vector (version 3), a file of positions (version 2); a data file without a row left is
 * removed. Of two rows of one key in the same unit the earlier one, in a file of ours, is
 * deleted likewise. Equality deletes are only written where iceberg.deletes asks (equality.h).
 *
 * What is durable when, and what a death leaves:
 *   1 data files, each when it is full, the last one in commit        orphans
 *   2 the delete files                                                orphans
 *   3 manifests, manifest list, metadata.json (lake/commit.h)         orphans
 *   4 the catalog's pointer: rows, deletes, checkpoint, together      the unit is done
 * Behind 4 the caller forgets the rows. Dying before 4 the table is as it was, and the unit is
 * built again from the stored checkpoint; behind it the next run reads the new one and goes on
 * behind it. Who else could have committed meanwhile:
 *   a later owner     its claim changed millrace.owner: MR_LAKE_BASE_CHANGED
 *   another program   lake/commit.h retries on the new state; if files whose rows we delete are
 *                     gone (MR_LAKE_FILES_GONE), the whole unit is done again by the lane
 * An unknown outcome is decided by the next begin: the stored checkpoint is the base, or ours.
 * Until it is known no file is removed. Two attempts of one unit cannot both be in: each
 * demands the base's millrace.owner, which either of them changes.
 *
 * Failpoints: apply.checkpoint.before, iceberg.rows.after, iceberg.deletes.after,
 * apply.batch.before_commit, apply.batch.after_commit, and lake/'s. Memory: a row group and the
 * keys of a unit. Thread: the lane's.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "apply/iceberg/bag.h"
#include "apply/iceberg/equality.h"
#include "base/fault.h"
#include "base/hash.h"
#include "base/mem.h"
#include "base/text.h"
#include "lake/key_index.h"

#define ROWS_STEP  256
#define FILE_SHIFT 48
#define POS_MASK   ((UINT64_C(1) << FILE_SHIFT) - 1)
#define FILES_MAX  60000u

struct new_file {
    struct data_file data;
    struct positions gone; /* rows of it that later ones of the unit replaced */
};

struct fill {
    struct place *place;
    struct lake_table *table;
    bool is_hidden;
    struct fields *fields; /* of the open file */
    struct fields *first;  /* the keys' */
    struct keys keys;
    struct bag bag; /* TABLE_MULTISET */
    enum iceberg_mode mode;
    struct equality *equality; /* NULL: rows that go are looked up */
    struct rows_file *file;
    struct new_file *files; /* the open one is the last */
    size_t len;
    char **written; /* paths of ours */
    size_t written_len;
    struct commit *commit;
    struct lake_scratch *scratch; /* per key column */
    struct cell *native;
    struct cell *cells; /* ROWS_STEP rows */
    const struct cell **rows;
    size_t waiting; /* of them */
    struct arena mem;
};

/* ---- its life ---- */

static void
free_scratch(struct fill *f)
{
    for (uint32_t i = 0; f->first && f->scratch && i < f->first->key_len; i++)
        lake_scratch_free(f->scratch + i);
    free(f->scratch);
}

void
fill_drop(struct sink_lane *l)
{
    struct fill *f = l->fill;
    struct err ignored;
    if (!f)
        return;
    l->fill = NULL;
    rows_file_free(f->file);
    bool keep = f->commit && commit_unsure(f->commit);
    for (size_t i = 0; i < f->written_len; i++) {
        if (!keep)
            (void)!storage_remove(l->catalog->storage, f->written[i], &ignored);
        free(f->written[i]);
    }
    commit_free(f->commit);
    for (size_t i = 0; i < f->len; i++)
        positions_free(&f->files[i].gone);
    free_scratch(f);
    keys_free(&f->keys);
    bag_free(&f->bag);
    equality_free(f->equality);
    if (f->fields != f->first)
        fields_free(f->fields);
    fields_free(f->first);
    free(f->files);
    free(f->written);
    free(f->native);
    free(f->cells);
    free(f->rows);
    arena_free(&f->mem);
    free(f);
}

/* Somebody made an older snapshot current: rows that the checkpoint counts are not there. */
MUST static bool
check_rolled_back(const struct lake_table *t, struct err *e)
{
    const struct metadata *m = t->state.metadata;
    const char *text = metadata_property(m, ICEBERG_SNAPSHOT);
    struct snapshot s;
    int64_t id;
    if (!text || !text_i64(text, &id) || !metadata_snapshot(m, id, &s) ||
        metadata_is_ancestor(m, id))
        return true;
    return err_set(e, MR_LAKE_ROLLED_BACK, "%s.%s: snapshot %s is no longer in its history",
                   t->space, t->table, text);
}

MUST static bool
fill_new(struct sink_lane *l, const struct sink_part *p, struct err *e)
{
    bool hidden = false;
    struct place *place = place_find(l, p->db, p->table, &hidden);
    if (!place || place != l->open)
        return err_set(e, MR_INTERNAL, "rows of %s.%s outside of its unit", p->db, p->table);
    struct lake_table *t = hidden ? place->hidden : place->main;
    if (!t)
        return err_set(e, MR_TARGET_SHAPE, "%s.%s was dropped", place->space, p->table);
    if (!check_rolled_back(t, e))
        return false;
    struct fill *f = mem_zalloc(sizeof *f);
    l->fill = f;
    arena_init(&f->mem, 0);
    f->place = place;
    f->table = t;
    f->is_hidden = hidden;
    f->mode = lakehouse_mode(l->sink, p->version);
    if (!fields_new(l->sink, t->state.metadata, p->version, &f->first, e))
        return false;
    f->fields = f->first;
    f->scratch = mem_array(f->first->key_len + 1, sizeof *f->scratch);
    f->native = mem_array(f->first->key_len + 1, sizeof *f->native);
    f->cells =
        mem_array((size_t)ROWS_STEP * (f->first->schema.field_count + 1), sizeof *f->cells);
    f->rows = mem_array(ROWS_STEP, sizeof(struct cell *));
    struct keys_index *index = place->index + hidden;
    if (!keys_index_open(index, config_text(l->sink->conf.config, "data.dir"), t, f->first, e))
        return false;
    keys_init(&f->keys, f->first, index->index);
    f->equality = hidden ? NULL : equality_new(l->sink, p, f->first);
    f->keys.interrupted = &l->interrupted;
    return true;
}

/* A path of ours, without its suffix; remembered with it. In the arena. */
static char *
name_file(struct sink_lane *l, const char *suffix)
{
    struct fill *f = l->fill;
    const struct lake_table *home = f->place->main ? f->place->main : f->table;
    char *path = arena_printf(
        &f->mem, "%s/data/" COMMIT_NAME_PREFIX "%.8s-%" PRIu64 "-%u-%" PRIu64 "-%016" PRIx64,
        home->state.metadata->location, l->sink->conf.task_id, l->sink->owner, l->index,
        l->files++, random_u64());
    f->written = mem_realloc(f->written, (f->written_len + 1) * sizeof(char *));
    f->written[f->written_len++] = mem_printf("%s%s", path, suffix);
    return path;
}

/* ---- files of rows ---- */

MUST static bool
open_file(struct sink_lane *l, struct err *e)
{
    struct fill *f = l->fill;
    if (f->len >= FILES_MAX)
        return err_set(e, MR_NO_MEMORY, "a unit of %u files", FILES_MAX);
    struct parquet_conf conf = {.columns = f->fields->columns,
                                .column_count = f->fields->schema.field_count,
                                .codec = l->sink->codec};
    const char *path = name_file(l, ".parquet");
    f->files = mem_realloc(f->files, (f->len + 1) * sizeof *f->files);
    f->files[f->len] = (struct new_file){0};
    if (!rows_file_new(l->catalog->storage, arena_printf(&f->mem, "%s.parquet", path), &conf,
                       &f->file, e))
        return false;
    f->len++;
    return true;
}

MUST static bool
send_waiting(struct fill *f, struct err *e)
{
    size_t n = f->waiting;
    f->waiting = 0;
    return !n || parquet_writer_rows(rows_file_writer(f->file), f->rows, n, e);
}

MUST static bool
close_file(struct fill *f, struct err *e)
{
    if (!f->file)
        return true;
    bool ok =
        send_waiting(f, e) && rows_file_finish(f->file, &f->mem, &f->files[f->len - 1].data, e);
    rows_file_free(f->file);
    f->file = NULL;
    return ok;
}

static struct cell
text_cell(const char *text)
{
    return (struct cell){
        .kind = CELL_TEXT, .len = (uint32_t)strlen(text), .v.p = (const uint8_t *)text};
}

static struct cell
cell_of(const struct fields *f, uint32_t field, const struct cell *row,
        const struct sink_change *c)
{
    static const struct {
        char op;
        const char *text;
    } ops[] = {{'I', "I"}, {'U', "U"}, {'D', "D"}};
    int from = f->from[field];
    if (from >= 0)
        return row[from];
    if (from == FIELDS_OP)
        for (size_t i = 0; c && i < ARRAY_LEN(ops); i++)
            if (ops[i].op == c->op)
                return text_cell(ops[i].text);
    if (from == FIELDS_SEQ && c)
        return (struct cell){.kind = CELL_INT, .v.i = (int64_t)c->seq};
    if (from == FIELDS_COMMIT && c)
        return (struct cell){.kind = CELL_INT, .v.i = (int64_t)c->commit_us};
    return (struct cell){.kind = CELL_NULL};
}

/* Appends a row; *at: where it is. */
MUST static bool
add_row(struct sink_lane *l, const struct cell *row, const struct sink_change *c, uint64_t *at,
        struct err *e)
{
    struct fill *f = l->fill;
    if (f->file && parquet_writer_bytes(rows_file_writer(f->file)) >= l->sink->file_bytes &&
        !close_file(f, e))
        return false;
    if (!f->file && !open_file(l, e))
        return false;
    uint32_t width = f->fields->schema.field_count;
    struct cell *out = f->cells + f->waiting * width;
    for (uint32_t i = 0; !f->fields->same && i < width; i++)
        out[i] = cell_of(f->fields, i, row, c);
    uint64_t pos = parquet_writer_row_count(rows_file_writer(f->file)) + f->waiting;
    *at = (uint64_t)f->len << FILE_SHIFT | pos;
    f->rows[f->waiting++] = f->fields->same ? row : out;
    return f->waiting < ROWS_STEP || send_waiting(f, e);
}

/* ---- keys ---- */

/* The row's key, into f->native. */
MUST static bool
take_key(struct fill *f, const struct cell *row, struct err *e)
{
    const struct fields *x = f->fields;
    for (uint32_t i = 0; i < x->key_len; i++) {
        uint32_t at = x->key[i];
        const struct lake_field *field = x->schema.fields + at;
        if (!lake_native(field, x->columns[at].source, row + x->from[at], f->scratch + i,
                         f->native + i, e))
            return false;
        if (f->native[i].kind == CELL_NULL)
            return err_set(e, MR_LAKE_VALUE, "column %s: no value in the key", field->name);
    }
    return true;
}

MUST static bool
key_slot(struct sink_lane *l, const struct cell *row, uint64_t **out, struct err *e)
{
    struct fill *f = l->fill;
    size_t before = keys_count(&f->keys);
    if (!take_key(f, row, e))
        return false;
    *out = keys_put(&f->keys, f->native);
    if (!f->equality || keys_count(&f->keys) == before)
        return true;
    const char *location = "";
    if (!equality_open(f->equality))
        location = arena_printf(&f->mem, "%s.parquet", name_file(l, ".parquet"));
    return equality_add(f->equality, l->catalog->storage, location, f->native, e);
}

/* A row that the unit wrote is gone. */
static void
forget_row(struct fill *f, uint64_t at)
{
    positions_add(&f->files[(at >> FILE_SHIFT) - 1].gone, at & POS_MASK);
}

/* The one of the key before. */
static void
forget_own(struct fill *f, uint64_t *slot)
{
    if (*slot)
        forget_row(f, *slot);
    *slot = 0;
}

/* One row more or less of a content. */
MUST static bool
count_row(struct sink_lane *l, const struct sink_part *p, size_t i, struct err *e)
{
    struct fill *f = l->fill;
    uint64_t *slot, at;
    if (!key_slot(l, p->rows[i], &slot, e))
        return false;
    size_t content = (size_t)(slot - f->keys.own);
    if (p->op == SINK_DELETE)
        bag_remove(&f->bag, content);
    else if (add_row(l, p->rows[i], NULL, &at, e))
        bag_add(&f->bag, content, at);
    else
        return false;
    return true;
}

MUST static bool
write_row(struct sink_lane *l, const struct sink_part *p, size_t i, struct err *e)
{
    struct fill *f = l->fill;
    const struct sink_change *c = p->changes ? p->changes + i : NULL;
    uint64_t *slot, at;
    if (p->op == SINK_APPEND)
        return add_row(l, p->rows[i], c, &at, e);
    if (p->version->rows == TABLE_MULTISET)
        return count_row(l, p, i, e);
    if (!key_slot(l, p->rows[i], &slot, e))
        return false;
    forget_own(f, slot);
    if (p->op == SINK_DELETE && f->mode == ICEBERG_MIRROR)
        return true;
    if (!add_row(l, p->rows[i], c, &at, e))
        return false;
    *slot = at;
    return true;
}

/* Some rows from `from` on, their keys looked for beforehand. */
MUST static bool
write_step(struct sink_lane *l, const struct sink_part *p, size_t from, struct err *e)
{
    struct fill *f = l->fill;
    size_t to = p->n - from < KEY_BATCH_AHEAD ? p->n : from + KEY_BATCH_AHEAD;
    for (size_t i = from; p->op != SINK_APPEND && i < to; i++) {
        if (!take_key(f, p->rows[i], e))
            return false;
        key_batch_expect(f->keys.batch, f->native);
    }
    for (size_t i = from; i < to; i++)
        if (!write_row(l, p, i, e))
            return false;
    return true;
}

/* Another version of the table: another file. */
MUST static bool
take_version(struct sink_lane *l, const struct table *version, struct err *e)
{
    struct fill *f = l->fill;
    struct fields *next;
    if (f->fields->version == version)
        return true;
    if (!close_file(f, e) || !fields_new(l->sink, f->table->state.metadata, version, &next, e))
        return false;
    if (f->fields != f->first)
        fields_free(f->fields);
    f->fields = next;
    return true;
}

bool
fill_write(struct sink_lane *l, const struct sink_part *p, struct err *e)
{
    if (!l->fill && !fill_new(l, p, e))
        return false;
    if (!take_version(l, p->version, e))
        return false;
    for (size_t i = 0; i < p->n; i += KEY_BATCH_AHEAD)
        if (!write_step(l, p, i, e))
            return err_wrap(e, "%s.%s", l->fill->place->space, p->table);
    /* cells borrow from the caller's rows */
    return !l->fill->file || send_waiting(l->fill, e);
}

/* ---- the commit ---- */

MUST static bool
add_deletes(struct sink_lane *l, const char *data_file, const struct positions *rows,
            struct err *e)
{
    struct fill *f = l->fill;
    int version = f->table->state.metadata->version;
    struct deletes_conf conf = {.storage = l->catalog->storage,
                                .version = version,
                                .location = name_file(l, version >= 3 ? ".puffin" : ".parquet"),
                                .data_file = data_file};
    struct data_file out;
    if (!deletes_write(&conf, rows, &f->mem, &out, e))
        return false;
    free(f->written[f->written_len - 1]);
    f->written[f->written_len - 1] = mem_strdup(out.path);
    commit_add_deletes(f->commit, &out);
    return true;
}

MUST static bool
add_own_files(struct sink_lane *l, struct err *e)
{
    struct fill *f = l->fill;
    for (size_t i = 0; i < f->len; i++) {
        struct new_file *n = f->files + i;
        if ((uint64_t)n->data.rows == n->gone.count)
            continue;
        commit_add_rows(f->commit, &n->data);
        if (n->gone.count && !add_deletes(l, n->data.path, &n->gone, e))
            return false;
    }
    return true;
}

MUST static bool
delete_found(struct sink_lane *l, const struct found *x, struct err *e)
{
    struct commit *c = l->fill->commit;
    const struct data_file *file = &x->file->rows->file;
    if (!x->fresh)
        return true;
    if (x->rows.count >= (uint64_t)file->rows) {
        commit_remove(c, file);
        return true;
    }
    if (x->file->vector)
        commit_remove(c, &x->file->vector->file);
    for (uint32_t i = 0; i < x->file->positions_len; i++)
        commit_remove(c, &x->file->positions[i]->file);
    return add_deletes(l, file->path, &x->rows, e);
}

/* Rows of the table that the unit's keys had, without looking for them. */
MUST static bool
delete_equal(struct sink_lane *l, struct err *e)
{
    struct fill *f = l->fill;
    struct data_file out;
    if (!equality_open(f->equality))
        return true;
    if (!equality_finish(f->equality, &f->mem, &out, e))
        return false;
    commit_add_deletes(f->commit, &out);
    return true;
}

/* Of the rows of a multiset that go, the unit's own go first. */
static void
cancel_own(struct fill *f)
{
    uint64_t at;
    for (size_t content = 0; bag_cancel(&f->bag, &content, &at);)
        forget_row(f, at);
    f->keys.wanted = f->bag.wanted;
}

/* Rows of the table that the unit's keys had. */
MUST static bool
delete_old(struct sink_lane *l, struct err *e)
{
    struct fill *f = l->fill;
    struct lake_files files = {0};
    struct found *found = NULL;
    size_t n = 0;
    bool counted = f->first->version->rows == TABLE_MULTISET;
    if (counted)
        cancel_own(f);
    if (!keys_count(&f->keys) || (counted && !bag_wants(&f->bag)))
        return true;
    bool ok = lake_table_files(f->table, &files, e) &&
              find_rows(f->table, &files, &f->keys, &found, &n, e);
    for (size_t i = 0; ok && i < n; i++)
        ok = delete_found(l, found + i, e);
    found_free(found, n);
    lake_files_free(&files);
    uint64_t lacking = counted ? bag_wants(&f->bag) : 0;
    if (ok && lacking)
        return err_set(e, MR_TARGET_MULTISET,
                       "%s.%s: %" PRIu64 " rows that the source deleted are not there",
                       f->table->space, f->table->table, lacking);
    return ok;
}

static struct commit *
checkpoint_commit(struct sink_lane *l, struct lake_table *t, const struct stamp *stamp,
                  const char *state)
{
    char text[STAMP_MAX];
    const char *key = l->sink->key;
    struct commit_conf conf = {.base_key = CHECKPOINT_LAKE_OWNER,
                               .base_value =
                                   metadata_property(t->state.metadata, CHECKPOINT_LAKE_OWNER),
                               .stop = l->sink->conf.stop};
    struct commit *c = commit_new(t, &conf);
    char *hidden = t == l->open->main ? place_new_hidden(l->sink, state) : NULL;
    commit_set_property(c, key, state);
    commit_set_property(c, CHECKPOINT_LAKE_OWNER, stamp_text(stamp, text));
    commit_set_property(c, CHECKPOINT_LAKE_TASK, l->sink->conf.task_id);
    if (hidden)
        commit_set_property(c, ICEBERG_HIDDEN, hidden);
    commit_set_summary(c, key, state);
    commit_set_summary(c, CHECKPOINT_LAKE_OWNER, text);
    free(hidden);
    return c;
}

static void
note_snapshot(struct commit *c)
{
    char text[24];
    snprintf(text, sizeof text, "%" PRId64, commit_snapshot_id(c));
    if (commit_snapshot_id(c) >= 0)
        commit_set_property(c, ICEBERG_SNAPSHOT, text);
}

MUST static bool
build(struct sink_lane *l, struct err *e)
{
    if (!close_file(l->fill, e))
        return false;
    FAULT("iceberg.rows.after");
    bool ok =
        (l->fill->equality ? delete_equal(l, e) : delete_old(l, e)) && add_own_files(l, e);
    FAULT("iceberg.deletes.after");
    return ok;
}

bool
fill_commit(struct sink_lane *l, const struct sink_point *points, size_t n, struct err *e)
{
    struct place *p = l->open;
    if (!n)
        return true;
    FAULT("apply.checkpoint.before");
    struct stamp stamp = {l->sink->owner, l->sink->conf.instance, p->stamp.commits + 1};
    char *state = mem_strn(points->state);
    struct lake_table *t = l->fill ? l->fill->table : p->at_hidden ? p->hidden : p->main;
    bool ok = true;
    if (t) {
        struct commit *c = checkpoint_commit(l, t, &stamp, state);
        if (l->fill)
            l->fill->commit = c;
        ok = !l->fill || build(l, e);
        note_snapshot(c);
        FAULT("apply.batch.before_commit");
        ok = ok && commit_run(c, e);
        if (!l->fill)
            commit_free(c);
        FAULT("apply.batch.after_commit");
    }
    if (ok) {
        p->stored = t != NULL;
        p->at_hidden = t && t == p->hidden;
        place_stored(p, &stamp, state);
        if (l->fill) /* its files are the table's now */
            while (l->fill->written_len)
                free(l->fill->written[--l->fill->written_len]);
        fill_drop(l);
    }
    free(state);
    return ok;
}
