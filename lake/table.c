/* Open tables: the manifests that are kept, and the live files in them. */
#include "lake/table.h"

#include <stdlib.h>

#include "base/mem.h"

#define MANIFEST_BYTES_MAX ((size_t)1 << 30)

bool
lake_table_open(struct catalog *c, const struct catalog_name *name, struct lake_table **out,
                struct err *e)
{
    struct lake_table *t = mem_zalloc(sizeof(*t));
    t->catalog = c;
    t->space = mem_strdup(name->space);
    t->table = mem_strdup(name->table);
    t->name = (struct catalog_name){t->space, t->table};
    if (!lake_table_reload(t, e)) {
        lake_table_close(t);
        return false;
    }
    *out = t;
    return true;
}

static void
manifest_free(struct table_manifest *m)
{
    arena_free(&m->mem);
    free(m);
}

static void
manifests_free(struct table_manifest **list, size_t n)
{
    for (size_t i = 0; i < n; i++)
        if (list[i])
            manifest_free(list[i]);
    free(list);
}

void
lake_table_close(struct lake_table *t)
{
    if (!t)
        return;
    manifests_free(t->manifests, t->manifests_len);
    catalog_table_free(&t->state);
    free(t->space);
    free(t->table);
    free(t);
}

bool
lake_table_reload(struct lake_table *t, struct err *e)
{
    struct catalog_table fresh;
    if (!catalog_load(t->catalog, &t->name, &fresh, e))
        return false;
    lake_table_take(t, &fresh);
    return true;
}

void
lake_table_take(struct lake_table *t, struct catalog_table *state)
{
    catalog_table_free(&t->state);
    t->state = *state;
    *state = (struct catalog_table){0};
    t->listed = false;
}

/* Reads a file of the table into an arena. */
static bool
read_file(struct lake_table *t, const char *path, struct arena *a, struct bytes *out,
          struct err *e)
{
    struct buf b = {0};
    bool ok = storage_read_all(t->catalog->storage, path, MANIFEST_BYTES_MAX, &b, e);
    if (ok)
        *out = arena_copy(a, buf_bytes(&b));
    buf_free(&b);
    return ok;
}

static struct table_manifest *
manifest_new(const struct manifest_file *info)
{
    struct table_manifest *m = mem_zalloc(sizeof(*m));
    arena_init(&m->mem, 0);
    m->info = *info;
    m->info.path = arena_strdup(&m->mem, info->path);
    if (info->key_metadata.p)
        m->info.key_metadata = arena_copy(&m->mem, info->key_metadata);
    return m;
}

/* The new list; manifests that the old one has too move over. */
static void
replace_list(struct lake_table *t, const struct manifest_file *files, size_t n)
{
    struct table_manifest **list = mem_array(n + 1, sizeof(struct table_manifest *));
    struct map old = {0};
    bool fresh;
    for (size_t i = 0; i < t->manifests_len; i++)
        map_put(&old, bytes_str(t->manifests[i]->info.path), &fresh)->v.u = i;
    for (size_t i = 0; i < n; i++) {
        struct map_slot *s = map_get(&old, bytes_str(files[i].path));
        struct table_manifest **kept = s ? &t->manifests[s->v.u] : NULL;
        /* A list may give row ids to a manifest that had none. */
        if (kept && *kept && (*kept)->info.first_row_id == files[i].first_row_id) {
            list[i] = *kept;
            *kept = NULL;
        } else {
            list[i] = manifest_new(&files[i]);
        }
    }
    map_free(&old);
    manifests_free(t->manifests, t->manifests_len);
    t->manifests = list;
    t->manifests_len = n;
}

bool
lake_table_list(struct lake_table *t, struct err *e)
{
    struct snapshot s;
    struct arena a;
    struct bytes file;
    struct manifest_file *files = NULL;
    size_t n = 0;
    bool ok = true;
    if (t->listed)
        return true;
    arena_init(&a, 0);
    if (metadata_snapshot(t->state.metadata, t->state.metadata->current_snapshot, &s))
        ok =
            read_file(t, s.manifest_list, &a, &file, e) &&
            (manifest_list_read(file, &a, &files, &n, e) || err_wrap(e, "%s", s.manifest_list));
    if (ok)
        replace_list(t, files, n);
    t->listed = ok;
    arena_free(&a);
    return ok;
}

bool
lake_table_entries(struct lake_table *t, struct table_manifest *m, struct err *e)
{
    struct bytes file;
    if (m->entries)
        return true;
    return read_file(t, m->info.path, &m->mem, &file, e) &&
           (manifest_read(file, &m->info, &m->mem, &m->entries, &m->entries_len, e) ||
            err_wrap(e, "%s", m->info.path));
}

static bool
is_scoped(const struct data_file *f)
{
    return f->content == DATA_FILE_POSITIONS && f->referenced;
}

static void
add_rows(struct lake_files *f, const struct manifest_entry *m)
{
    bool fresh;
    struct lake_file *file = &f->list[f->len++];
    *file = (struct lake_file){.rows = m};
    map_put(&f->by_path, bytes_str(m->file.path), &fresh)->v.ptr = file;
}

/* A delete file for one data file; one that is no longer there needs no deletes. */
static void
add_deletes(struct lake_files *f, const struct manifest_entry *m)
{
    struct map_slot *s = map_get(&f->by_path, bytes_str(m->file.referenced));
    if (!s)
        return;
    struct lake_file *file = s->v.ptr;
    if (m->file.content_offset >= 0) {
        file->vector = m;
        return;
    }
    const struct manifest_entry **list =
        arena_alloc(&f->mem, (file->positions_len + 1) * sizeof(*list));
    for (uint32_t i = 0; i < file->positions_len; i++)
        list[i] = file->positions[i];
    list[file->positions_len++] = m;
    file->positions = list;
}

static bool
read_all(struct lake_table *t, size_t *data_files, struct err *e)
{
    *data_files = 0;
    if (!lake_table_list(t, e))
        return false;
    for (size_t i = 0; i < t->manifests_len; i++) {
        if (!lake_table_entries(t, t->manifests[i], e))
            return false;
        *data_files += t->manifests[i]->info.deletes ? 0 : t->manifests[i]->entries_len;
    }
    return true;
}

static void
collect(struct lake_table *t, bool deletes, struct lake_files *out)
{
    for (size_t i = 0; i < t->manifests_len; i++) {
        const struct table_manifest *m = t->manifests[i];
        if (m->info.deletes != deletes)
            continue;
        for (size_t k = 0; k < m->entries_len; k++) {
            const struct manifest_entry *entry = &m->entries[k];
            if (entry->status == MANIFEST_DELETED)
                continue;
            if (!deletes)
                add_rows(out, entry);
            else if (is_scoped(&entry->file))
                add_deletes(out, entry);
            else
                out->wide_deletes++;
        }
    }
}

bool
lake_table_files(struct lake_table *t, struct lake_files *out, struct err *e)
{
    size_t n;
    *out = (struct lake_files){0};
    arena_init(&out->mem, 0);
    if (!read_all(t, &n, e))
        return false;
    out->list = arena_zalloc(&out->mem, (n + 1) * sizeof(*out->list));
    collect(t, false, out);
    collect(t, true, out);
    return true;
}

void
lake_files_free(struct lake_files *f)
{
    map_free(&f->by_path);
    arena_free(&f->mem);
    *f = (struct lake_files){0};
}

const struct lake_file *
lake_files_find(const struct lake_files *f, const char *path)
{
    struct map_slot *s = map_get(&f->by_path, bytes_str(path));
    return s ? s->v.ptr : NULL;
}
