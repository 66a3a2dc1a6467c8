/* Reachable files, expiry, orphans. */
#include "lake/expire.h"

#include <stdlib.h>

#include "base/fault.h"
#include "base/mem.h"

#define LIST_BYTES_MAX ((size_t)256 << 20)

/* Paths reached by some snapshots: manifest lists, manifests, files. */
struct reach {
    struct lake_table *table;
    const struct stop *stop;
    struct map paths;
    struct arena mem;
};

static void
reach_begin(struct reach *r, struct lake_table *t, const struct stop *stop)
{
    *r = (struct reach){.table = t, .stop = stop};
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
go_on(const struct reach *r, struct err *e)
{
    return !stop_asked(r->stop) ||
           err_set(e, MR_LAKE_STOPPED, "table %s.%s", r->table->space, r->table->table);
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
    if (!go_on(r, e))
        return false;
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
    if (!go_on(r, e))
        return false;
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

/* The metadata.json of now and those that it remembers. */
static void
reach_metadata(struct reach *r)
{
    const struct json *log = json_get(r->table->state.metadata->doc, "metadata-log");
    if (r->table->state.location)
        reach_path(r, r->table->state.location);
    for (size_t i = 0; i < json_len(log); i++)
        reach_path(r, json_get_str(json_at(log, i), "metadata-file", ""));
}

/* ---- expiry ---- */

struct expiry {
    struct lake_table *table;
    struct reach old; /* by the snapshots that go */
    int64_t *ids;
    size_t len;
};

/* ids NULL: only counted. The oldest first, none left out in between but what branches and tags
 * point to: so the history of what stays has no holes. */
static size_t
choose(const struct metadata *m, const struct expire_conf *conf, int64_t *ids,
       int64_t *oldest_ms)
{
    size_t count = metadata_snapshot_count(m), n = 0;
    size_t keep = conf->keep_min > 1 ? conf->keep_min : 1;
    struct snapshot s;
    for (size_t i = 0; i + keep < count && metadata_snapshot_at(m, i, &s); i++) {
        bool above = conf->keep_max && count - i > conf->keep_max;
        if (s.id == conf->keep_from || (s.timestamp_ms >= conf->older_than_ms && !above))
            break;
        if (metadata_is_referenced(m, s.id))
            continue;
        if (ids)
            ids[n] = s.id;
        if (!n++)
            *oldest_ms = s.timestamp_ms;
    }
    return n;
}

size_t
expire_count(const struct metadata *m, const struct expire_conf *conf, int64_t *oldest_ms)
{
    return choose(m, conf, NULL, oldest_ms);
}

bool
expire_plan(struct lake_table *t, const struct expire_conf *conf, struct expiry **out,
            struct err *e)
{
    const struct metadata *m = t->state.metadata;
    struct snapshot s;
    int64_t oldest_ms;
    bool ok = true;
    *out = NULL;
    size_t n = expire_count(m, conf, &oldest_ms);
    if (!n)
        return true;
    struct expiry *x = mem_zalloc(sizeof(*x));
    x->table = t;
    x->ids = mem_array(n, sizeof(*x->ids));
    x->len = choose(m, conf, x->ids, &oldest_ms);
    reach_begin(&x->old, t, conf->stop);
    for (size_t i = 0; ok && i < x->len; i++)
        ok = metadata_snapshot(m, x->ids[i], &s) && reach_snapshot(&x->old, &s, e);
    FAULT("lake.expire.planned");
    if (ok)
        *out = x;
    else
        expire_free(x);
    return ok;
}

bool
expire_commit(struct expiry *x, struct lake_table *t, const struct commit_conf *conf,
              struct err *e)
{
    if (!lake_table_reload(t, e))
        return false;
    struct commit *c = commit_new(t, conf);
    commit_expire(c, x->ids, x->len);
    bool ok = commit_run(c, e);
    commit_free(c);
    FAULT("lake.expire.committed");
    return ok;
}

static size_t
remove_unreached(struct lake_table *t, const struct reach *old, const struct reach *kept)
{
    struct err ignored;
    size_t n = 0;
    for (struct map_slot *s = NULL; (s = map_next(&old->paths, s)) != NULL;) {
        if (map_get(&kept->paths, s->key) || stop_asked(old->stop))
            continue;
        FAULT("lake.expire.remove");
        char *path = mem_strn(s->key);
        n += storage_remove(t->catalog->storage, path, &ignored);
        free(path);
    }
    return n;
}

bool
expire_finish(struct expiry *x, struct expire_done *done, struct err *e)
{
    struct reach kept;
    *done = (struct expire_done){0};
    if (!lake_table_reload(x->table, e))
        return false;
    reach_begin(&kept, x->table, x->old.stop);
    bool ok = reach_all(&kept, e);
    if (ok)
        *done = (struct expire_done){x->len, remove_unreached(x->table, &x->old, &kept)};
    reach_end(&kept);
    return ok;
}

void
expire_free(struct expiry *x)
{
    if (!x)
        return;
    reach_end(&x->old);
    free(x->ids);
    free(x);
}

/* ---- dropped tables ---- */

struct paths {
    char **list;
    size_t len;
};

static void
paths_add(struct paths *p, const char *path)
{
    p->list = mem_realloc(p->list, (p->len + 1) * sizeof(*p->list));
    p->list[p->len++] = mem_strdup(path);
}

static void
paths_free(struct paths *p)
{
    for (size_t i = 0; i < p->len; i++)
        free(p->list[i]);
    free(p->list);
}

static bool
take_path(void *ctx, const struct storage_entry *entry, struct err *e)
{
    (void)e;
    paths_add(ctx, entry->location);
    return true;
}

bool
expire_dropped(struct storage *s, const char *location, struct err *e)
{
    struct paths p = {0};
    struct err why;
    size_t left = 0;
    char *folder = mem_printf("%s/metadata", location);
    bool ok = storage_list(s, folder, take_path, &p, &why);
    for (size_t i = 0; i < p.len; i++)
        left += !storage_remove(s, p.list[i], &why);
    if (!ok || left)
        ok = err_set(e, MR_LAKE_REMNANTS, "%s: %zu of the %zu files found stay: MR%04d %.600s",
                     folder, left, p.len, why.code, why.text);
    paths_free(&p);
    free(folder);
    return ok;
}

/* ---- orphans ---- */

/* Files of our names, old enough. */
struct candidates {
    const struct orphans_conf *conf;
    struct paths found;
};

static bool
is_ours(const char *name)
{
    return strncmp(name, COMMIT_NAME_PREFIX, strlen(COMMIT_NAME_PREFIX)) == 0 ||
           catalog_is_own_metadata(name);
}

static bool
take_candidate(void *ctx, const struct storage_entry *entry, struct err *e)
{
    struct candidates *c = ctx;
    const char *slash = strrchr(entry->location, '/');
    if (stop_asked(c->conf->stop))
        return err_set(e, MR_LAKE_STOPPED, "looking for orphans");
    if (!is_ours(slash ? slash + 1 : entry->location) ||
        entry->mtime_ms >= c->conf->older_than_ms || entry->mtime_ms < c->conf->newer_than_ms)
        return true;
    paths_add(&c->found, entry->location);
    return true;
}

static bool
list_candidates(struct lake_table *t, struct candidates *c, struct err *e)
{
    static const char *const folders[] = {"data", "metadata"};
    bool ok = true;
    for (size_t i = 0; ok && i < ARRAY_LEN(folders); i++) {
        char *prefix = mem_printf("%s/%s", t->state.metadata->location, folders[i]);
        ok = storage_list(t->catalog->storage, prefix, take_candidate, c, e) &&
             storage_sweep(t->catalog->storage, prefix, COMMIT_NAME_PREFIX,
                           c->conf->older_than_ms, e);
        free(prefix);
    }
    return ok;
}

/* The list is taken first: what a commit of meanwhile reaches is then never taken for an
 * orphan. */
bool
orphans_remove(struct lake_table *t, const struct orphans_conf *conf, size_t *removed,
               struct err *e)
{
    struct candidates c = {.conf = conf};
    struct reach r;
    reach_begin(&r, t, conf->stop);
    *removed = 0;
    bool ok = lake_table_reload(t, e) && list_candidates(t, &c, e);
    FAULT("lake.orphans.listed");
    ok = ok && lake_table_reload(t, e) && reach_all(&r, e);
    if (ok)
        reach_metadata(&r);
    for (size_t i = 0; ok && i < c.found.len; i++) {
        if (map_get(&r.paths, bytes_str(c.found.list[i])))
            continue;
        FAULT("lake.orphans.remove");
        ok = go_on(&r, e) && storage_remove(t->catalog->storage, c.found.list[i], e);
        *removed += ok;
    }
    paths_free(&c.found);
    reach_end(&r);
    return ok;
}
