/* Reachable files, expiry, orphans. */
#include "lake/expire.h"

#include <stdlib.h>

#include "base/fault.h"
#include "base/mem.h"

#define LIST_BYTES_MAX ((size_t)256 << 20)

/* Paths reached by some snapshots: manifest lists, manifests, files. */
struct reach {
    struct lake_table *table;
    struct map paths;
    struct arena mem;
};

static void
reach_begin(struct reach *r, struct lake_table *t)
{
    *r = (struct reach){.table = t};
    arena_init(&r->mem, 0);
}

static void
reach_end(struct reach *r)
{
    map_free(&r->paths);
    arena_free(&r->mem);
}

/* true: it was not reached before. */
static bool
reach_path(struct reach *r, const char *path)
{
    bool fresh;
    struct map_slot *s = map_put(&r->paths, bytes_str(path), &fresh);
    if (fresh)
        s->key = bytes_str(arena_strdup(&r->mem, path));
    return fresh;
}

static bool
reach_manifest(struct reach *r, const struct manifest_file *m, struct err *e)
{
    struct buf file = {0};
    struct arena a;
    struct manifest_entry *entries;
    size_t n = 0;
    if (!reach_path(r, m->path))
        return true;
    arena_init(&a, 0);
    bool ok = storage_read_all(r->table->catalog->storage, m->path, LIST_BYTES_MAX, &file, e) &&
              manifest_read(buf_bytes(&file), m, &a, &entries, &n, e);
    for (size_t i = 0; ok && i < n; i++)
        if (entries[i].status != MANIFEST_DELETED)
            reach_path(r, entries[i].file.path);
    arena_free(&a);
    buf_free(&file);
    return ok;
}

static bool
reach_snapshot(struct reach *r, const struct snapshot *s, struct err *e)
{
    struct buf file = {0};
    struct arena a;
    struct manifest_file *list;
    size_t n = 0;
    arena_init(&a, 0);
    reach_path(r, s->manifest_list);
    bool ok = storage_read_all(r->table->catalog->storage, s->manifest_list, LIST_BYTES_MAX,
                               &file, e) &&
              manifest_list_read(buf_bytes(&file), &a, &list, &n, e);
    for (size_t i = 0; ok && i < n; i++)
        ok = reach_manifest(r, &list[i], e);
    arena_free(&a);
    buf_free(&file);
    return ok;
}

static bool
reach_all(struct reach *r, struct err *e)
{
    struct snapshot s;
    for (size_t i = 0; metadata_snapshot_at(r->table->state.metadata, i, &s); i++)
        if (!reach_snapshot(r, &s, e))
            return false;
    return true;
}

/* A branch or tag points to it. */
static bool
is_referenced(const struct metadata *m, int64_t id)
{
    const char *name;
    struct json *ref;
    for (void *it = NULL; (it = json_next(json_get(m->doc, "refs"), it, &name, &ref)) != NULL;)
        if (json_get_i64(ref, "snapshot-id", -1) == id)
            return true;
    return m->current_snapshot == id;
}

/* Ids of the snapshots to forget, oldest first in the metadata's order. */
static size_t
choose(const struct metadata *m, const struct expire_conf *conf, int64_t *ids)
{
    size_t count = metadata_snapshot_count(m), n = 0;
    size_t keep = conf->keep_min > 1 ? conf->keep_min : 1;
    struct snapshot s;
    for (size_t i = 0; i + keep < count; i++)
        if (metadata_snapshot_at(m, i, &s) && s.timestamp_ms < conf->older_than_ms &&
            !is_referenced(m, s.id))
            ids[n++] = s.id;
    return n;
}

static bool
commit_forgetting(struct lake_table *t, const struct expire_conf *conf, const int64_t *ids,
                  size_t n, struct err *e)
{
    struct commit *c = commit_new(t, &conf->commit);
    commit_expire(c, ids, n);
    bool ok = commit_run(c, e);
    commit_free(c);
    return ok;
}

static size_t
remove_unreached(struct lake_table *t, const struct reach *old, const struct reach *kept)
{
    struct err ignored;
    size_t n = 0;
    for (struct map_slot *s = NULL; (s = map_next(&old->paths, s)) != NULL;) {
        if (map_get(&kept->paths, s->key))
            continue;
        FAULT("lake.expire.remove");
        char *path = mem_strn(s->key);
        n += storage_remove(t->catalog->storage, path, &ignored);
        free(path);
    }
    return n;
}

static bool
expire_chosen(struct lake_table *t, const struct expire_conf *conf, const int64_t *ids,
              size_t n, struct expire_done *done, struct err *e)
{
    struct reach old, kept;
    struct snapshot s;
    bool ok = true;
    reach_begin(&old, t);
    reach_begin(&kept, t);
    for (size_t i = 0; ok && i < n; i++)
        ok = metadata_snapshot(t->state.metadata, ids[i], &s) && reach_snapshot(&old, &s, e);
    ok = ok && commit_forgetting(t, conf, ids, n, e);
    FAULT("lake.expire.committed");
    ok = ok && reach_all(&kept, e);
    if (ok)
        *done = (struct expire_done){n, remove_unreached(t, &old, &kept)};
    reach_end(&old);
    reach_end(&kept);
    return ok;
}

bool
expire_snapshots(struct lake_table *t, const struct expire_conf *conf, struct expire_done *done,
                 struct err *e)
{
    *done = (struct expire_done){0};
    if (!lake_table_reload(t, e))
        return false;
    size_t count = metadata_snapshot_count(t->state.metadata);
    int64_t *ids = mem_array(count + 1, sizeof(*ids));
    size_t n = choose(t->state.metadata, conf, ids);
    bool ok = n == 0 || expire_chosen(t, conf, ids, n, done, e);
    free(ids);
    return ok;
}

/* Files of our names, old enough. */
struct candidates {
    uint64_t older_than_ms;
    char **paths;
    size_t len;
};

static bool
take_candidate(void *ctx, const struct storage_entry *entry, struct err *e)
{
    (void)e;
    struct candidates *c = ctx;
    const char *slash = strrchr(entry->location, '/');
    const char *name = slash ? slash + 1 : entry->location;
    if (strncmp(name, COMMIT_NAME_PREFIX, strlen(COMMIT_NAME_PREFIX)) != 0 ||
        entry->mtime_ms >= c->older_than_ms)
        return true;
    c->paths = mem_realloc(c->paths, (c->len + 1) * sizeof(*c->paths));
    c->paths[c->len++] = mem_strdup(entry->location);
    return true;
}

static bool
list_candidates(struct lake_table *t, struct candidates *c, struct err *e)
{
    static const char *const folders[] = {"data", "metadata"};
    bool ok = true;
    for (size_t i = 0; ok && i < ARRAY_LEN(folders); i++) {
        char *prefix = mem_printf("%s/%s", t->state.metadata->location, folders[i]);
        ok = storage_list(t->catalog->storage, prefix, take_candidate, c, e);
        free(prefix);
    }
    return ok;
}

/* The list is taken first: what a commit of meanwhile reaches is then never taken for an
 * orphan.
 */
bool
orphans_remove(struct lake_table *t, uint64_t older_than_ms, size_t *removed, struct err *e)
{
    struct candidates c = {.older_than_ms = older_than_ms};
    struct reach r;
    reach_begin(&r, t);
    *removed = 0;
    bool ok = lake_table_reload(t, e) && list_candidates(t, &c, e) && lake_table_reload(t, e) &&
              reach_all(&r, e);
    for (size_t i = 0; i < c.len; i++) {
        if (ok && !map_get(&r.paths, bytes_str(c.paths[i]))) {
            ok = storage_remove(t->catalog->storage, c.paths[i], e);
            *removed += ok;
        }
        free(c.paths[i]);
    }
    free(c.paths);
    reach_end(&r);
    return ok;
}
