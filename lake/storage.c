/* Which kind of storage holds a location, and what is the same for all kinds. */
#include "lake/storage.h"

#include "base/text.h"
#include "lake/s3_client.h"

bool
storage_options_set(struct storage_options *o, const char *key, const char *value)
{
    const struct {
        const char *key;
        const char **at;
    } known[] = {
        {"s3.endpoint", &o->endpoint},
        {"s3.region", &o->region},
        {"client.region", &o->region},
        {"s3.access-key-id", &o->access_key_id},
        {"s3.secret-access-key", &o->secret_access_key},
        {"s3.session-token", &o->session_token},
        {"s3.session-token-expires-at-ms", &o->expires_at_ms},
        {"s3.path-style-access", &o->path_style},
        {"s3.path-style", &o->path_style},
        {"s3.multipart.part-size-bytes", &o->part_bytes},
        {"s3.ca", &o->ca_file},
    };
    for (size_t i = 0; i < ARRAY_LEN(known); i++) {
        if (strcmp(key, known[i].key) == 0) {
            *known[i].at = value;
            return true;
        }
    }
    return false;
}

bool
storage_options_of_uri(const struct uri *u, struct storage_options *o, struct err *e)
{
    *o = (struct storage_options){0};
    if (!*u->host && u->user && *u->user) {
        o->access_key_id = u->user;
        o->secret_access_key = u->password;
    }
    for (size_t i = 0; i < u->params_len; i++) {
        const struct uri_param *p = &u->params[i];
        if (text_starts(p->key, "s3.") && !storage_options_set(o, p->key, p->value))
            return err_set(e, MR_BAD_URI, "%s: no such option", p->key);
    }
    return true;
}

bool
storage_open(const char *location, const struct storage_options *o, struct storage **out,
             struct err *e)
{
    static const struct storage_options none = {0};
    const char *path;
    if (storage_local_path(location, &path))
        return storage_local_open(out, e);
    if (s3_is_location(location))
        return storage_s3_open(o ? o : &none, out, e);
    return err_set(e, MR_LAKE_UNSUPPORTED, "%s: no storage for such a location", location);
}

bool
storage_renew(struct storage *s, const struct storage_options *o, struct err *e)
{
    return s->ops->renew(s, o, e);
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

bool
storage_sweep(struct storage *s, const char *folder, const char *names, uint64_t older_than_ms,
              struct err *e)
{
    return s->ops->sweep(s, folder, names, older_than_ms, e);
}

bool
storage_check(struct storage *s, const char *folder, struct err *e)
{
    return s->ops->check(s, folder, e);
}
