/* The manifests of one attempt: added ones (once), rewritten ones (once per manifest of a
 * base), merged ones, and the list. */
#include <stdio.h>
#include <stdlib.h>

#include "base/fault.h"
#include "base/mem.h"
#include "lake/commit_private.h"

#define MERGE_BYTES_MAX (8 << 20) /* a manifest above it stays as it is */

void
commit_attempt_free(struct commit_attempt *t)
{
    free(t->files);
    arena_free(&t->mem);
}

static void
list_file(struct commit_attempt *t, const struct manifest_file *f)
{
    if (t->len == t->cap) {
        t->cap = t->cap ? 2 * t->cap : 16;
        t->files = mem_realloc(t->files, t->cap * sizeof(*t->files));
    }
    t->files[t->len++] = *f;
}

/* The table's schema as it will be. */
static const struct json *
schema_of(const struct commit *c)
{
    const struct json *list = json_get(c->table->state.metadata->doc, "schemas");
    if (c->schema)
        return c->schema;
    for (size_t i = 0; i < json_len(list); i++)
        if (json_get_i64(json_at(list, i), "schema-id", -1) == c->base_schema)
            return json_at(list, i);
    return NULL;
}

static bool
write_manifest(struct commit *c, const char *suffix, bool deletes, const struct entry_list *l,
               struct manifest_file *out, struct err *e)
{
    struct buf file = {0};
    struct manifest_conf conf = {.version = c->table->state.metadata->version,
                                 .deletes = deletes,
                                 .schema = schema_of(c),
                                 .snapshot_id = c->snapshot_id};
    const char *path = NULL;
    bool ok = conf.schema || err_set(e, MR_LAKE_METADATA, "the current schema is missing");
    ok = ok && manifest_write(&conf, l->items, l->len, &file, out, e) &&
         commit_write_file(c, suffix, buf_bytes(&file), &path, e);
    out->path = path;
    buf_free(&file);
    return ok;
}

/* The manifests of what is added: written once, whatever the attempts. */
static bool
write_added(struct commit *c, struct err *e)
{
    if (c->added_written)
        return true;
    if (c->rows.len && !c->added[0].path &&
        !write_manifest(c, "rows", false, &c->rows, &c->added[0], e))
        return false;
    FAULT("lake.commit.rows_manifest");
    if (c->deletes.len && !write_manifest(c, "deletes", true, &c->deletes, &c->added[1], e))
        return false;
    FAULT("lake.commit.deletes_manifest");
    c->added_written = true;
    return true;
}

static void
add_sums(struct file_sums *s, const struct file_sums *more)
{
    s->files += more->files;
    s->rows += more->rows;
    s->bytes += more->bytes;
}

static int64_t
content_bytes(const struct data_file *f)
{
    return f->content_offset >= 0 ? f->content_size : f->size;
}

/* Is the entry removed: itself, or as a delete file of a removed data file? *asked: by the
 * caller. */
static bool
is_removed(const struct commit *c, const struct data_file *f, struct arena *a, bool *asked)
{
    *asked = map_get(&c->removed, commit_key(f, a)) != NULL;
    if (*asked || f->content == DATA_FILE_ROWS || !f->referenced || !c->removed_data)
        return *asked;
    struct data_file data = {
        .content = DATA_FILE_ROWS, .path = f->referenced, .content_offset = -1};
    return map_get(&c->removed, commit_key(&data, a)) != NULL;
}

/* The entries of the manifest as the new snapshot has them: removed ones DELETED, live ones
 * EXISTING, earlier DELETED ones gone. */
static void
take_live(struct commit *c, const struct table_manifest *m, struct entry_list *out,
          struct commit_rewrite *w, struct arena *a)
{
    for (size_t i = 0; i < m->entries_len; i++) {
        struct manifest_entry entry = m->entries[i];
        bool asked;
        if (entry.status == MANIFEST_DELETED)
            continue;
        entry.status = MANIFEST_EXISTING;
        if (is_removed(c, &entry.file, a, &asked)) {
            struct file_sums one = {1, entry.file.rows, content_bytes(&entry.file)};
            entry.status = MANIFEST_DELETED;
            entry.snapshot_id = c->snapshot_id;
            add_sums(m->info.deletes ? &w->deletes : &w->data, &one);
            w->removed += asked;
        }
        entry_list_add(out, &entry);
    }
}

static struct commit_rewrite *
find_rewrite(const struct commit *c, const char *from)
{
    for (size_t i = 0; i < c->rewrites_len; i++)
        if (strcmp(c->rewrites[i].from, from) == 0)
            return &c->rewrites[i];
    return NULL;
}

static struct commit_rewrite *
keep_rewrite(struct commit *c, const struct commit_rewrite *w, const char *from)
{
    c->rewrites = mem_realloc(c->rewrites, (c->rewrites_len + 1) * sizeof(*c->rewrites));
    c->rewrites[c->rewrites_len] = *w;
    c->rewrites[c->rewrites_len].from = mem_strdup(from);
    return &c->rewrites[c->rewrites_len++];
}

/* The manifest without what is removed; NULL when it loses nothing. */
static bool
rewrite(struct commit *c, struct table_manifest *m, struct commit_rewrite **out, struct err *e)
{
    struct commit_rewrite w = {0};
    struct entry_list l = {0};
    struct arena a;
    char suffix[40];
    *out = find_rewrite(c, m->info.path);
    if (*out)
        return true;
    if (!lake_table_entries(c->table, m, e))
        return false;
    arena_init(&a, 0);
    take_live(c, m, &l, &w, &a);
    arena_free(&a);
    bool ok = true, loses = w.data.files + w.deletes.files > 0;
    if (loses) {
        snprintf(suffix, sizeof(suffix), "rewrite-%zu", c->rewrites_len);
        ok = write_manifest(c, suffix, m->info.deletes, &l, &w.into, e);
        FAULT("lake.commit.rewrite");
    }
    free(l.items);
    if (ok && loses)
        *out = keep_rewrite(c, &w, m->info.path);
    return ok;
}

/* Can the manifest hold what is removed? Deletes may go with their data files. */
static bool
may_lose(const struct commit *c, const struct table_manifest *m)
{
    return m->info.deletes ? c->removed.len > 0 : c->removed_data > 0;
}

static bool
list_base(struct commit *c, struct commit_attempt *t, struct err *e)
{
    for (size_t i = 0; i < c->table->manifests_len; i++) {
        struct table_manifest *m = c->table->manifests[i];
        struct commit_rewrite *w = NULL;
        if (may_lose(c, m) && !rewrite(c, m, &w, e))
            return false;
        if (w) {
            add_sums(&t->removed_data, &w->data);
            add_sums(&t->removed_deletes, &w->deletes);
            t->removed += w->removed;
            list_file(t, &w->into);
        } else if (m->info.counts[MANIFEST_ADDED] || m->info.counts[MANIFEST_EXISTING]) {
            list_file(t, &m->info);
        }
    }
    return t->removed == c->removed.len ||
           err_set(e, MR_LAKE_FILES_GONE, "%zu of %zu files to be removed are not in the table",
                   c->removed.len - t->removed, c->removed.len);
}

/* A data file of this very commit. */
static bool
is_added(const struct commit *c, const char *path)
{
    for (size_t i = 0; path && i < c->rows.len; i++)
        if (strcmp(c->rows.items[i].file.path, path) == 0)
            return true;
    return false;
}

static bool
is_expected(const struct commit_expected *x, const struct data_file *f, struct arena *a)
{
    struct bytes key = commit_key(f, a);
    for (uint32_t i = 0; i < x->len; i++)
        if (bytes_eq(x->deletes[i], key))
            return true;
    return false;
}

static bool
has_expected_deletes(const struct commit_expected *x, const struct lake_file *f,
                     struct arena *a)
{
    if (!f || f->positions_len + (f->vector != NULL) != x->len)
        return false;
    bool same = !f->vector || is_expected(x, &f->vector->file, a);
    for (uint32_t i = 0; same && i < f->positions_len; i++)
        same = is_expected(x, &f->positions[i]->file, a);
    return same;
}

/* On another base than the deletes were built on: the data files are there, and no other vector
 * came to them. */
static bool
check_deletes(struct commit *c, struct err *e)
{
    struct lake_files files;
    struct arena a;
    bool ok = true;
    if ((c->deletes.len == 0 && c->expected_len == 0) ||
        c->table->state.metadata->current_snapshot == c->base_snapshot)
        return true;
    arena_init(&a, 0);
    ok = lake_table_files(c->table, &files, e);
    for (size_t i = 0; ok && i < c->deletes.len; i++) {
        const char *path = c->deletes.items[i].file.referenced;
        if (!path) /* by value: of every older file, whichever there are */
            continue;
        const struct lake_file *f = path ? lake_files_find(&files, path) : NULL;
        if (!f && is_added(c, path))
            continue;
        if (!f)
            ok = err_set(e, MR_LAKE_FILES_GONE, "%s", path ? path : "a data file");
        else if (f->vector && !map_get(&c->removed, commit_key(&f->vector->file, &a)))
            ok = err_set(e, MR_LAKE_FILES_GONE, "%s has another deletion vector", path);
    }
    /* An equality delete of a foreign writer would not reach rows that get a newer number. */
    if (ok && c->expected_len && files.wide_deletes)
        ok = err_set(e, MR_LAKE_FILES_GONE, "deletes that speak of several files came");
    for (size_t i = 0; ok && i < c->expected_len; i++) {
        const struct commit_expected *x = &c->expected[i];
        if (!has_expected_deletes(x, lake_files_find(&files, x->path), &a))
            ok = err_set(e, MR_LAKE_FILES_GONE, "%s has other deletes now", x->path);
    }
    lake_files_free(&files);
    arena_free(&a);
    return ok;
}

static struct table_manifest *
base_manifest(const struct commit *c, const char *path)
{
    for (size_t i = 0; i < c->table->manifests_len; i++)
        if (strcmp(c->table->manifests[i]->info.path, path) == 0)
            return c->table->manifests[i];
    return NULL;
}

/* Small manifests of the base that the attempt lists unchanged, into one. */
static bool
merge(struct commit *c, struct commit_attempt *t, bool deletes, struct err *e)
{
    struct entry_list l = {0};
    struct commit_rewrite ignored = {0};
    struct manifest_file merged = {0};
    char suffix[40];
    size_t kept = 0, small = 0;
    bool ok = true;
    for (size_t i = 0; i < t->len; i++)
        small += t->files[i].deletes == deletes && t->files[i].length < MERGE_BYTES_MAX;
    if (small <= c->conf.merge_at)
        return true;
    for (size_t i = 0; ok && i < t->len; i++) {
        struct manifest_file *f = &t->files[i];
        struct table_manifest *m = f->deletes == deletes && f->length < MERGE_BYTES_MAX
                                       ? base_manifest(c, f->path)
                                       : NULL;
        if (!m) {
            t->files[kept++] = *f;
            continue;
        }
        ok = lake_table_entries(c->table, m, e);
        if (ok)
            take_live(c, m, &l, &ignored, &t->mem);
    }
    t->len = kept;
    snprintf(suffix, sizeof(suffix), "merge-%u-%d", c->attempt, deletes);
    ok = ok && (l.len == 0 || write_manifest(c, suffix, deletes, &l, &merged, e));
    if (ok && l.len)
        list_file(t, &merged);
    free(l.items);
    FAULT("lake.commit.merge");
    return ok;
}

/* Sequence numbers of what is new in the list; row ids of data manifests that have none. */
static void
number_files(const struct commit *c, struct commit_attempt *t)
{
    const struct metadata *m = c->table->state.metadata;
    int64_t next = m->next_row_id;
    t->sequence = m->last_sequence + 1;
    t->first_row_id = next;
    for (size_t i = 0; i < t->len; i++) {
        struct manifest_file *f = &t->files[i];
        if (f->sequence < 0) {
            f->sequence = t->sequence;
            f->min_sequence = f->min_sequence < 0 ? t->sequence : f->min_sequence;
        }
        if (m->version < 3 || f->deletes || f->first_row_id >= 0)
            continue;
        f->first_row_id = next;
        next += f->rows[MANIFEST_ADDED] + f->rows[MANIFEST_EXISTING];
    }
    t->added_rows = next - t->first_row_id;
}

static bool
write_list(struct commit *c, struct commit_attempt *t, struct err *e)
{
    const struct metadata *m = c->table->state.metadata;
    struct buf file = {0};
    char suffix[40];
    const char *path;
    struct manifest_list_conf conf = {.version = m->version,
                                      .snapshot_id = c->snapshot_id,
                                      .parent = m->current_snapshot,
                                      .sequence = t->sequence,
                                      .first_row_id = t->first_row_id};
    snprintf(suffix, sizeof(suffix), "list-%u", c->attempt);
    bool ok = manifest_list_write(&conf, t->files, t->len, &file, e) &&
              commit_write_file(c, suffix, buf_bytes(&file), &path, e);
    if (ok)
        t->list_path = arena_strdup(&t->mem, path);
    buf_free(&file);
    FAULT("lake.commit.list");
    return ok;
}

bool
commit_build(struct commit *c, struct commit_attempt *t, struct err *e)
{
    if (!lake_table_list(c->table, e) || !check_deletes(c, e) || !write_added(c, e))
        return false;
    for (size_t i = 0; i < ARRAY_LEN(c->added); i++)
        if (c->added[i].path)
            list_file(t, &c->added[i]);
    if (!list_base(c, t, e) || !merge(c, t, false, e) || !merge(c, t, true, e))
        return false;
    number_files(c, t);
    return write_list(c, t, e);
}
