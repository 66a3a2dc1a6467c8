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
#include "base/map.h"
#include "base/mem.h"
#include "lake/catalog.h"
#include "lake/rest_client.h"
#include "lake/vended.h"

#define REPEATS   3
#define REPEAT_MS 200

/* A table as it was loaded last. */
struct seen {
    char *path;
    char *etag;
    char *location;
    struct json *doc;
};

struct catalog_rest {
    struct catalog base;
    struct rest_client *client;
    struct uri uri;
    char *warehouse;
    struct vended *vended; /* owns base.storage */
    struct map seen;       /* path -> v.ptr: struct seen */
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
seen_free(struct seen *s)
{
    free(s->path);
    free(s->etag);
    free(s->location);
    json_free(s->doc);
    free(s);
}

static void
forget(struct catalog_rest *c, const char *path)
{
    const struct map_slot *slot = map_get(&c->seen, bytes_str(path));
    struct seen *s = slot ? slot->v.ptr : NULL;
    if (!s)
        return;
    map_del(&c->seen, bytes_str(path));
    seen_free(s);
}

/* A name that may be a location: then tables are made below it. */
static bool
is_location(const char *s)
{
    return *s == '/' || strstr(s, ":/");
}

/* {metadata-location, metadata} of an answer. */
static bool
take_table(struct catalog_rest *c, const char *path, const struct rest_reply *r,
           struct catalog_table *out, struct err *e)
{
    const struct json *doc = json_get(r->body, "metadata");
    const char *location = json_get_str(r->body, "metadata-location", NULL);
    if (!json_is_object(doc))
        return err_set(e, MR_LAKE_METADATA, "the catalog's answer holds no table metadata");
    if (!metadata_of_json(json_clone(doc), &out->metadata, e))
        return false;
    out->location = location ? mem_strdup(location) : NULL;
    if (vended_take(c->vended, path, r->body, out->metadata->location, e))
        return true;
    catalog_table_free(out);
    return false;
}

static void
remember(struct catalog_rest *c, const char *path, const struct rest_reply *r)
{
    bool fresh;
    forget(c, path);
    if (!*r->etag)
        return;
    const char *location = json_get_str(r->body, "metadata-location", NULL);
    struct seen *s = mem_zalloc(sizeof(*s));
    s->path = mem_strdup(path);
    s->etag = mem_strdup(r->etag);
    s->location = location ? mem_strdup(location) : NULL;
    s->doc = json_clone(json_get(r->body, "metadata"));
    map_put(&c->seen, bytes_str(s->path), &fresh)->v.ptr = s;
}

static bool
take_seen(const struct seen *s, struct catalog_table *out, struct err *e)
{
    if (!metadata_of_json(json_clone(s->doc), &out->metadata, e))
        return false;
    out->location = s->location ? mem_strdup(s->location) : NULL;
    return true;
}

static bool
rest_load(struct catalog *base, const struct catalog_name *name, struct catalog_table *out,
          struct err *e)
{
    struct catalog_rest *c = rest_of(base);
    struct rest_reply r;
    char *path = table_path(name);
    const struct map_slot *slot = map_get(&c->seen, bytes_str(path));
    const struct seen *seen = slot ? slot->v.ptr : NULL;
    struct rest_call call = {.method = "GET", .path = path, .etag = seen ? seen->etag : NULL};
    bool ok = rest_client_call(c->client, &call, &r, e);
    if (ok && r.status == 304 && seen) {
        ok = take_seen(seen, out, e);
    } else if (ok && r.status != 200) {
        ok = rest_reply_error(&r, path, e);
    } else if (ok) {
        ok = take_table(c, path, &r, out, e);
        if (ok)
            remember(c, path, &r);
    }
    rest_reply_free(&r);
    free(path);
    return ok;
}

/* ---- namespaces ---- */

static char *
space_path(const char *space)
{
    struct buf b = {0};
    buf_add_str(&b, "/namespaces/");
    uri_encode(bytes_str(space), "", &b);
    char *path = mem_strn(buf_bytes(&b));
    buf_free(&b);
    return path;
}

/* *there: the catalog has it. An account may see a namespace that it may not make. */
static bool
find_namespace(struct catalog_rest *c, const char *space, bool *there, struct err *e)
{
    struct rest_reply r;
    char *path = space_path(space);
    struct rest_call call = {.method = "GET", .path = path};
    bool ok = rest_client_call(c->client, &call, &r, e);
    *there = ok && r.status == 200;
    if (ok && r.status != 200 && r.status != 404)
        ok = rest_reply_error(&r, path, e);
    rest_reply_free(&r);
    free(path);
    return ok;
}

/* The catalog said no to a new namespace: that is what the user must know, whatever the status.
 */
static bool
namespace_refused(const struct rest_reply *r, const char *space, struct err *e)
{
    (void)!rest_reply_error(r, space, e);
    if (r->status < 400 || r->status >= 500 || e->code == MR_CATALOG_UNREACHABLE)
        return false;
    e->code = MR_CATALOG_NAMESPACE;
    return err_reclass(e, err_info(e->code)->class);
}

static bool
rest_make_namespace(struct catalog *base, const char *space, struct err *e)
{
    struct catalog_rest *c = rest_of(base);
    struct rest_reply r;
    bool there;
    if (!find_namespace(c, space, &there, e) || there)
        return there;
    struct json *body = json_object_new(), *levels = json_array_new();
    json_push(levels, json_str(space));
    json_set(body, "namespace", levels);
    json_set(body, "properties", json_object_new());
    struct rest_call call = {.method = "POST", .path = "/namespaces", .body = body};
    bool ok = rest_client_call(c->client, &call, &r, e);
    if (ok && r.status != 200 && r.status != 409)
        ok = namespace_refused(&r, space, e);
    rest_reply_free(&r);
    json_free(body);
    return ok;
}

/* ---- commits ---- */

static struct json *
push_action(struct json *list, const char *action)
{
    struct json *o = json_object_new();
    json_set(o, "action", json_str(action));
    json_push(list, o);
    return o;
}

/* The catalog counts column ids by the schemas it sees. An id that only a dropped column had
 * must not be given again, so it is shown in a schema of its own, which never is current. */
static void
reserve_id(struct json *updates, int64_t last)
{
    struct json *add = push_action(updates, "add-schema"), *schema = json_object_new();
    struct json *fields = json_array_new(), *field = json_object_new();
    json_set(field, "id", json_i64(last));
    json_set(field, "name", json_str("_millrace_reserved"));
    json_set(field, "type", json_str("int"));
    json_set(field, "required", json_bool_new(false));
    json_push(fields, field);
    json_set(schema, "type", json_str("struct"));
    json_set(schema, "fields", fields);
    json_set(add, "schema", schema);
    json_set(add, "last-column-id", json_i64(last));
}

/* updates, and the ids that they want reserved. */
static struct json *
updates_for(const struct json *updates)
{
    struct json *list = json_clone(updates);
    for (size_t i = 0; i < json_len(updates); i++) {
        const struct json *u = json_at(updates, i), *schema = json_get(u, "schema");
        const struct json *fields = json_get(schema, "fields");
        int64_t last = json_get_i64(u, "last-column-id", 0), highest = 0;
        for (size_t k = 0; k < json_len(fields); k++) {
            int64_t id = json_get_i64(json_at(fields, k), "id", 0);
            highest = id > highest ? id : highest;
        }
        if (schema && last > highest)
            reserve_id(list, last);
    }
    return list;
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
    json_set(body, "updates", updates_for(commit->updates));
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
    return take_table(c, path, r, out, e) ||
           unknown(e, path, "done, but the answer cannot be read");
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

/* ---- creating ---- */

/* What the catalog makes of a new table: where it lies. Nothing is stored yet. */
static bool
stage(struct catalog_rest *c, const struct catalog_name *name, const struct metadata *m,
      char **location, struct err *e)
{
    struct rest_reply r;
    char *path = table_path(name), *space = space_path(name->space);
    char *tables = mem_printf("%s/tables", space);
    struct json *body = json_object_new(), *properties = json_object_new();
    json_set(properties, "format-version", json_str(m->version >= 3 ? "3" : "2"));
    json_set(body, "name", json_str(name->table));
    if (is_location(m->location))
        json_set(body, "location", json_str(m->location));
    json_set(body, "schema", json_clone(json_at(json_get(m->doc, "schemas"), 0)));
    json_set(body, "stage-create", json_bool_new(true));
    json_set(body, "properties", properties);
    struct rest_call call = {.method = "POST", .path = tables, .body = body};
    bool ok = rest_client_call(c->client, &call, &r, e);
    if (ok && r.status == 409)
        ok = err_set(e, MR_CATALOG_EXISTS, "%s.%s", name->space, name->table);
    else if (ok && r.status != 200)
        ok = rest_reply_error(&r, tables, e);
    const char *at = json_get_str(json_get(r.body, "metadata"), "location", NULL);
    if (ok && !at)
        ok = err_set(e, MR_LAKE_METADATA, "%s: the answer holds no location", tables);
    ok = ok && vended_take(c->vended, path, r.body, at, e);
    if (ok)
        *location = mem_strdup(at);
    rest_reply_free(&r);
    json_free(body);
    free(tables);
    free(space);
    free(path);
    return ok;
}

static void
push_member(struct json *updates, const char *action, const char *key, struct json *value)
{
    json_set(push_action(updates, action), key, value);
}

/* The table's first state, in full: a catalog that makes tables itself would number the
 * columns anew. */
static struct json *
first_updates(const struct metadata *m, const char *location)
{
    struct json *list = json_array_new();
    push_member(list, "assign-uuid", "uuid", json_str(m->uuid));
    push_member(list, "upgrade-format-version", "format-version", json_i64(m->version));
    struct json *add = push_action(list, "add-schema");
    json_set(add, "schema", json_clone(json_at(json_get(m->doc, "schemas"), 0)));
    json_set(add, "last-column-id", json_i64(m->last_column_id));
    push_member(list, "set-current-schema", "schema-id", json_i64(-1));
    push_member(list, "add-spec", "spec",
                json_clone(json_at(json_get(m->doc, "partition-specs"), 0)));
    push_member(list, "set-default-spec", "spec-id", json_i64(-1));
    push_member(list, "add-sort-order", "sort-order",
                json_clone(json_at(json_get(m->doc, "sort-orders"), 0)));
    push_member(list, "set-default-sort-order", "sort-order-id", json_i64(-1));
    push_member(list, "set-location", "location", json_str(location));
    push_member(list, "set-properties", "updates", json_clone(json_get(m->doc, "properties")));
    return list;
}

static bool
rest_create(struct catalog *base, const struct catalog_name *name, const struct metadata *m,
            struct catalog_table *out, struct err *e)
{
    char *location;
    struct json *requirements = json_array_new(), *absent = json_object_new();
    json_set(absent, "type", json_str("assert-create"));
    json_push(requirements, absent);
    bool ok = stage(rest_of(base), name, m, &location, e);
    if (ok) {
        struct json *updates = first_updates(m, location);
        const struct catalog_commit commit = {requirements, updates};
        ok = rest_commit(base, name, NULL, &commit, out, e);
        if (!ok && e->code == MR_CATALOG_CONFLICT)
            ok = err_set(e, MR_CATALOG_EXISTS, "%s.%s", name->space, name->table);
        json_free(updates);
        free(location);
    }
    json_free(requirements);
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
    for (struct map_slot *s = NULL; (s = map_next(&c->seen, s)) != NULL;)
        seen_free(s->v.ptr);
    map_free(&c->seen);
    vended_free(c->vended);
    rest_client_free(c->client);
    uri_free(&c->uri);
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
    struct uri copy;
    size_t n = strlen(warehouse);
    while (n > 1 && warehouse[n - 1] == '/')
        n--;
    if (!uri_copy(u, &copy, e))
        return false;
    struct catalog_rest *c = mem_zalloc(sizeof(*c));
    c->base.ops = &rest_ops;
    c->uri = copy;
    c->warehouse = mem_strn(bytes_of(warehouse, n));
    c->base.warehouse = c->warehouse;
    if (!rest_client_open(&c->uri, &c->client, e) ||
        !vended_new(c->client, &c->uri, &c->vended, e)) {
        rest_close(&c->base);
        return false;
    }
    c->base.storage = vended_storage(c->vended);
    *out = &c->base;
    return true;
}
