/* The REST catalog: the server keeps metadata.json and decides.
 *
 * Protocol: lake/rest_client.h. A commit that the server answers with 409 did not happen; one
 * that it answers with 5xx, or does not answer, may have happened, now or later. Where the
 * catalog knows Idempotency-Key, such a request is sent again with its key, which is safe; else
 * the caller looks. A table that did not change (ETag, 304) is not sent again.
 *
 * Dying before the POST: nothing. Behind it: the commit is the server's, done or not.
 */
#include <stdlib.h>

#include "base/clock.h"
#include "base/fault.h"
#include "base/hash.h"
#include "base/mem.h"
#include "lake/catalog.h"
#include "lake/rest_client.h"

#define REPEATS   3
#define REPEAT_MS 200

struct catalog_rest {
    struct catalog base;
    struct rest_client *client;
    char *warehouse;
    /* The table loaded last. */
    char *seen_path;
    char *seen_etag;
    char *seen_location;
    struct json *seen_doc;
};

static struct catalog_rest *
rest_of(struct catalog *c)
{
    return (struct catalog_rest *)c;
}

static char *
table_path(const struct catalog_name *name)
{
    struct buf b = {0};
    buf_add_str(&b, "/namespaces/");
    uri_encode(bytes_str(name->space), "", &b);
    buf_add_str(&b, "/tables/");
    uri_encode(bytes_str(name->table), "", &b);
    char *path = mem_strn(buf_bytes(&b));
    buf_free(&b);
    return path;
}

static void
forget(struct catalog_rest *c)
{
    free(c->seen_path);
    free(c->seen_etag);
    free(c->seen_location);
    json_free(c->seen_doc);
    c->seen_path = c->seen_etag = c->seen_location = NULL;
    c->seen_doc = NULL;
}

/* A name that may be a location: then tables are made below it. */
static bool
is_location(const char *s)
{
    return *s == '/' || strstr(s, ":/");
}

static bool
open_storage(struct catalog_rest *c, const char *location, struct err *e)
{
    return c->base.storage || storage_open(location, &c->base.storage, e);
}

/* {metadata-location, metadata} of an answer. */
static bool
take_table(struct catalog_rest *c, const struct rest_reply *r, struct catalog_table *out,
           struct err *e)
{
    const struct json *doc = json_get(r->body, "metadata");
    const char *location = json_get_str(r->body, "metadata-location", NULL);
    if (!json_is_object(doc))
        return err_set(e, MR_LAKE_METADATA, "the catalog's answer holds no table metadata");
    if (!metadata_of_json(json_clone(doc), &out->metadata, e))
        return false;
    out->location = location ? mem_strdup(location) : NULL;
    if (open_storage(c, out->metadata->location, e))
        return true;
    catalog_table_free(out);
    return false;
}

static void
remember(struct catalog_rest *c, const char *path, const struct rest_reply *r)
{
    forget(c);
    if (!*r->etag)
        return;
    const char *location = json_get_str(r->body, "metadata-location", NULL);
    c->seen_path = mem_strdup(path);
    c->seen_etag = mem_strdup(r->etag);
    c->seen_location = location ? mem_strdup(location) : NULL;
    c->seen_doc = json_clone(json_get(r->body, "metadata"));
}

static bool
take_seen(const struct catalog_rest *c, struct catalog_table *out, struct err *e)
{
    if (!metadata_of_json(json_clone(c->seen_doc), &out->metadata, e))
        return false;
    out->location = c->seen_location ? mem_strdup(c->seen_location) : NULL;
    return true;
}

static bool
rest_load(struct catalog *base, const struct catalog_name *name, struct catalog_table *out,
          struct err *e)
{
    struct catalog_rest *c = rest_of(base);
    struct rest_reply r;
    char *path = table_path(name);
    bool known = c->seen_path && strcmp(c->seen_path, path) == 0;
    struct rest_call call = {
        .method = "GET", .path = path, .etag = known ? c->seen_etag : NULL};
    bool ok = rest_client_call(c->client, &call, &r, e);
    if (ok && r.status == 304 && known) {
        ok = take_seen(c, out, e);
    } else if (ok && r.status != 200) {
        ok = rest_reply_error(&r, path, e);
    } else if (ok) {
        ok = take_table(c, &r, out, e);
        if (ok)
            remember(c, path, &r);
    }
    rest_reply_free(&r);
    free(path);
    return ok;
}

static bool
rest_make_namespace(struct catalog *base, const char *space, struct err *e)
{
    struct rest_reply r;
    struct json *body = json_object_new(), *levels = json_array_new();
    json_push(levels, json_str(space));
    json_set(body, "namespace", levels);
    json_set(body, "properties", json_object_new());
    struct rest_call call = {.method = "POST", .path = "/namespaces", .body = body};
    bool ok = rest_client_call(rest_of(base)->client, &call, &r, e);
    if (ok && r.status != 200 && r.status != 409)
        ok = rest_reply_error(&r, space, e);
    rest_reply_free(&r);
    json_free(body);
    return ok;
}

static struct json *
create_body(const struct catalog_name *name, const struct metadata *m)
{
    struct json *body = json_object_new();
    const struct json *given = json_get(m->doc, "properties");
    struct json *properties = json_is_object(given) ? json_clone(given) : json_object_new();
    json_set(properties, "format-version", json_str(m->version >= 3 ? "3" : "2"));
    json_set(body, "name", json_str(name->table));
    if (is_location(m->location))
        json_set(body, "location", json_str(m->location));
    json_set(body, "schema", json_clone(json_at(json_get(m->doc, "schemas"), 0)));
    json_set(body, "stage-create", json_bool_new(false));
    json_set(body, "properties", properties);
    return body;
}

static bool
rest_create(struct catalog *base, const struct catalog_name *name, const struct metadata *m,
            struct catalog_table *out, struct err *e)
{
    struct catalog_rest *c = rest_of(base);
    struct rest_reply r;
    struct buf path = {0};
    struct json *body = create_body(name, m);
    buf_add_str(&path, "/namespaces/");
    uri_encode(bytes_str(name->space), "", &path);
    buf_add_str(&path, "/tables");
    struct rest_call call = {.method = "POST", .path = buf_cstr(&path), .body = body};
    bool ok = rest_client_call(c->client, &call, &r, e);
    if (ok && r.status == 409)
        ok = err_set(e, MR_CATALOG_EXISTS, "%s.%s", name->space, name->table);
    else if (ok && r.status != 200)
        ok = rest_reply_error(&r, buf_cstr(&path), e);
    ok = ok && take_table(c, &r, out, e);
    rest_reply_free(&r);
    json_free(body);
    buf_free(&path);
    return ok;
}

static struct json *
commit_body(const struct catalog_name *name, const struct catalog_commit *commit)
{
    struct json *body = json_object_new(), *identifier = json_object_new();
    struct json *levels = json_array_new();
    json_push(levels, json_str(name->space));
    json_set(identifier, "namespace", levels);
    json_set(identifier, "name", json_str(name->table));
    json_set(body, "identifier", identifier);
    json_set(body, "requirements", json_clone(commit->requirements));
    json_set(body, "updates", json_clone(commit->updates));
    return body;
}

/* Sends the commit, and where that is safe once more while its outcome is unknown. *maybe: a
 * request before the last one may have been carried out, or the last one without telling. */
static bool
post_commit(struct catalog_rest *c, const struct rest_call *call, struct rest_reply *r,
            bool *maybe, struct err *e)
{
    unsigned left = call->key ? REPEATS : 1;
    *maybe = false;
    for (;;) {
        FAULT("lake.rest.before_post");
        bool ok = rest_client_call(c->client, call, r, e);
        FAULT("lake.rest.after_post");
        *maybe = *maybe || r->maybe_done;
        if ((ok && r->status < 500) || !r->maybe_done || --left == 0)
            return ok;
        rest_reply_free(r);
        clock_sleep_ms(REPEAT_MS);
    }
}

static bool
unknown(struct err *e, const char *path, const char *why)
{
    return err_set(e, MR_CATALOG_UNKNOWN_OUTCOME, "%s: %s", path, why);
}

/* What the answer to a commit means. */
static bool
judge(struct catalog_rest *c, const char *path, const struct rest_reply *r,
      struct catalog_table *out, struct err *e)
{
    if (r->status == 409)
        return err_set(e, MR_CATALOG_CONFLICT, "%s: %.300s", path,
                       json_get_str(json_get(r->body, "error"), "message", ""));
    if (r->status != 200)
        return rest_reply_error(r, path, e);
    /* Done; an answer that cannot be read is looked up. */
    return take_table(c, r, out, e) || unknown(e, path, "done, but the answer cannot be read");
}

static bool
rest_commit(struct catalog *base, const struct catalog_name *name,
            const struct catalog_table *from, const struct catalog_commit *commit,
            struct catalog_table *out, struct err *e)
{
    (void)from;
    struct catalog_rest *c = rest_of(base);
    struct rest_reply r = {0};
    char key[37];
    char *path = table_path(name);
    struct json *body = commit_body(name, commit);
    uuid_v7(key);
    struct rest_call call = {.method = "POST",
                             .path = path,
                             .body = body,
                             .key = rest_client_idempotent(c->client) ? key : NULL};
    bool maybe, ok = post_commit(c, &call, &r, &maybe, e) && judge(c, path, &r, out, e);
    if (!ok && maybe)
        ok = unknown(e, path, "no answer, or an error of the catalog's own");
    rest_reply_free(&r);
    json_free(body);
    free(path);
    return ok;
}

static bool
rest_drop(struct catalog *base, const struct catalog_name *name, struct err *e)
{
    struct rest_reply r;
    char *path = table_path(name);
    struct rest_call call = {.method = "DELETE", .path = path};
    bool ok = rest_client_call(rest_of(base)->client, &call, &r, e);
    if (ok && r.status != 204 && r.status != 200 && r.status != 404)
        ok = rest_reply_error(&r, path, e);
    rest_reply_free(&r);
    free(path);
    return ok;
}

static void
rest_close(struct catalog *base)
{
    struct catalog_rest *c = rest_of(base);
    forget(c);
    rest_client_free(c->client);
    storage_close(base->storage);
    free(c->warehouse);
    free(c);
}

static const struct catalog_ops rest_ops = {
    .make_namespace = rest_make_namespace,
    .load = rest_load,
    .create = rest_create,
    .commit = rest_commit,
    .drop = rest_drop,
    .close = rest_close,
};

bool
catalog_rest_open(const struct uri *u, struct catalog **out, struct err *e)
{
    const char *warehouse = uri_param(u, "warehouse", "");
    struct catalog_rest *c = mem_zalloc(sizeof(*c));
    size_t n = strlen(warehouse);
    while (n > 1 && warehouse[n - 1] == '/')
        n--;
    c->base.ops = &rest_ops;
    c->warehouse = mem_strn(bytes_of(warehouse, n));
    c->base.warehouse = c->warehouse;
    if (!rest_client_open(u, &c->client, e)) {
        rest_close(&c->base);
        return false;
    }
    *out = &c->base;
    return true;
}
