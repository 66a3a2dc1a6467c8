/* Storages by prefix: every call goes to the one that holds its location. */
#include "lake/storage_routes.h"

#include <stdlib.h>

#include "base/mem.h"
#include "base/text.h"

struct route {
    char *prefix;
    struct storage *storage;
};

struct storage_routes {
    struct storage base;
    struct route *list;
    size_t len;
};

static struct storage_routes *
routes_of(struct storage *s)
{
    return (struct storage_routes *)s;
}

/* NULL: none. */
static struct storage *
covering(const struct storage_routes *r, const char *location)
{
    const struct route *best = NULL;
    for (size_t i = 0; i < r->len; i++)
        if (text_starts(location, r->list[i].prefix) &&
            (!best || strlen(r->list[i].prefix) > strlen(best->prefix)))
            best = &r->list[i];
    return best ? best->storage : NULL;
}

bool
storage_routes_cover(const struct storage *routes, const char *location)
{
    return covering((const struct storage_routes *)routes, location) != NULL;
}

MUST static bool
find(struct storage *s, const char *location, struct storage **out, struct err *e)
{
    *out = covering(routes_of(s), location);
    return *out ||
           err_set(e, MR_STORAGE_REFUSED, "%s: the catalog gave no access to it", location);
}

bool
storage_routes_put(struct storage *routes, const char *prefix, const struct storage_options *o,
                   struct err *e)
{
    struct storage_routes *r = routes_of(routes);
    struct storage *storage;
    for (size_t i = 0; i < r->len; i++)
        if (strcmp(r->list[i].prefix, prefix) == 0)
            return storage_renew(r->list[i].storage, o, e);
    if (!storage_open(prefix, o, &storage, e))
        return false;
    r->list = mem_realloc(r->list, (r->len + 1) * sizeof(*r->list));
    r->list[r->len++] = (struct route){mem_strdup(prefix), storage};
    return true;
}

static bool
routes_create(struct storage *s, const char *location, struct storage_writer **out,
              struct err *e)
{
    struct storage *at;
    return find(s, location, &at, e) && storage_create(at, location, out, e);
}

static bool
routes_read(struct storage *s, const char *location, uint64_t offset, size_t n, struct buf *out,
            struct err *e)
{
    struct storage *at;
    return find(s, location, &at, e) && storage_read(at, location, offset, n, out, e);
}

static bool
routes_size(struct storage *s, const char *location, uint64_t *size, struct err *e)
{
    struct storage *at;
    return find(s, location, &at, e) && storage_size(at, location, size, e);
}

static bool
routes_remove(struct storage *s, const char *location, struct err *e)
{
    struct storage *at;
    return find(s, location, &at, e) && storage_remove(at, location, e);
}

static bool
routes_list(struct storage *s, const char *prefix, storage_entry_fn *each, void *ctx,
            struct err *e)
{
    struct storage *at;
    return find(s, prefix, &at, e) && storage_list(at, prefix, each, ctx, e);
}

static bool
routes_sweep(struct storage *s, const char *folder, const char *names, uint64_t older_than_ms,
             struct err *e)
{
    struct storage *at;
    return find(s, folder, &at, e) && storage_sweep(at, folder, names, older_than_ms, e);
}

static bool
routes_check(struct storage *s, const char *folder, struct err *e)
{
    struct storage *at;
    return find(s, folder, &at, e) && storage_check(at, folder, e);
}

/* Each prefix has credentials of its own: storage_routes_put. */
static bool
routes_renew(struct storage *s, const struct storage_options *o, struct err *e)
{
    (void)s;
    (void)o;
    return err_set(e, MR_INTERNAL, "new credentials for no prefix");
}

static void
routes_close(struct storage *s)
{
    struct storage_routes *r = routes_of(s);
    for (size_t i = 0; i < r->len; i++) {
        storage_close(r->list[i].storage);
        free(r->list[i].prefix);
    }
    free(r->list);
    free(r);
}

/* Writers are those of the storage that made them. */
static const struct storage_ops routes_ops = {
    .create = routes_create,
    .read = routes_read,
    .size = routes_size,
    .remove = routes_remove,
    .list = routes_list,
    .sweep = routes_sweep,
    .check = routes_check,
    .renew = routes_renew,
    .close = routes_close,
};

struct storage *
storage_routes_new(void)
{
    struct storage_routes *r = mem_zalloc(sizeof(*r));
    r->base.ops = &routes_ops;
    return &r->base;
}
