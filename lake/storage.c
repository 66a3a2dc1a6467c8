/* Which kind of storage holds a location, and what is the same for all kinds. */
#include "lake/storage.h"

bool
storage_open(const char *location, struct storage **out, struct err *e)
{
    const char *path;
    if (storage_local_path(location, &path))
        return storage_local_open(out, e);
    return err_set(e, MR_LAKE_UNSUPPORTED, "%s: no storage for such a location", location);
}

void
storage_close(struct storage *s)
{
    if (s)
        s->ops->close(s);
}

bool
storage_create(struct storage *s, const char *location, struct storage_writer **out,
               struct err *e)
{
    return s->ops->create(s, location, out, e);
}

bool
storage_write(struct storage_writer *w, struct bytes b, struct err *e)
{
    if (!w->ops->write(w, b, e))
        return false;
    w->written += b.n;
    return true;
}

bool
storage_finish(struct storage_writer *w, struct err *e)
{
    return w->ops->finish(w, e);
}

void
storage_abandon(struct storage_writer *w)
{
    if (w)
        w->ops->abandon(w);
}

bool
storage_put(struct storage *s, const char *location, struct bytes content, struct err *e)
{
    struct storage_writer *w;
    if (!storage_create(s, location, &w, e))
        return false;
    if (!storage_write(w, content, e)) {
        storage_abandon(w);
        return false;
    }
    return storage_finish(w, e);
}

bool
storage_read(struct storage *s, const char *location, uint64_t offset, size_t n,
             struct buf *out, struct err *e)
{
    return s->ops->read(s, location, offset, n, out, e);
}

bool
storage_read_all(struct storage *s, const char *location, size_t size_max, struct buf *out,
                 struct err *e)
{
    uint64_t size;
    if (!storage_size(s, location, &size, e))
        return false;
    if (size > size_max)
        return err_set(e, MR_LAKE_METADATA, "%s: it is larger than %zu bytes", location,
                       size_max);
    return storage_read(s, location, 0, (size_t)size, out, e);
}

bool
storage_size(struct storage *s, const char *location, uint64_t *size, struct err *e)
{
    return s->ops->size(s, location, size, e);
}

bool
storage_remove(struct storage *s, const char *location, struct err *e)
{
    return s->ops->remove(s, location, e);
}

bool
storage_list(struct storage *s, const char *prefix, storage_entry_fn *each, void *ctx,
             struct err *e)
{
    return s->ops->list(s, prefix, each, ctx, e);
}
