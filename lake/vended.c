#include "lake/vended.h"

#include <stdlib.h>

#include "base/mem.h"
#include "base/text.h"
#include "lake/storage_routes.h"

/* Where a prefix's credentials come from. */
struct grant {
    struct vended *owner;
    char *path;
    char *prefix;
    struct json *answer; /* holds the texts of the options given last */
};

struct vended {
    struct rest_client *client;
    const struct uri *uri;
    struct storage *storage;
    struct grant **grants;
    size_t len;
};

bool
vended_new(struct rest_client *client, const struct uri *u, struct vended **out, struct err *e)
{
    struct storage_options ignored;
    if (!storage_options_of_uri(u, &ignored, e))
        return false;
    struct vended *v = mem_zalloc(sizeof(*v));
    v->client = client;
    v->uri = u;
    v->storage = storage_routes_new();
    *out = v;
    return true;
}

void
vended_free(struct vended *v)
{
    if (!v)
        return;
    storage_close(v->storage);
    for (size_t i = 0; i < v->len; i++) {
        json_free(v->grants[i]->answer);
        free(v->grants[i]->path);
        free(v->grants[i]->prefix);
        free(v->grants[i]);
    }
    free(v->grants);
    free(v);
}

struct storage *
vended_storage(const struct vended *v)
{
    return v->storage;
}

/* What an object of texts says of a storage. */
static void
set_all(struct storage_options *o, const struct json *config)
{
    const char *key;
    struct json *value;
    for (void *it = NULL; (it = json_next(config, it, &key, &value)) != NULL;)
        if (json_is_str(value))
            storage_options_set(o, key, json_str_value(value, ""));
}

static void
set_uri(struct storage_options *o, const struct uri *u)
{
    for (size_t i = 0; i < u->params_len; i++)
        if (text_starts(u->params[i].key, "s3."))
            storage_options_set(o, u->params[i].key, u->params[i].value);
}

/* The config of the credentials for a prefix; NULL: none. */
static const struct json *
credentials_for(const struct json *answer, const char *prefix)
{
    const struct json *all = json_get(answer, "storage-credentials"), *best = NULL;
    size_t length = 0;
    for (size_t i = 0; i < json_len(all); i++) {
        const char *p = json_get_str(json_at(all, i), "prefix", "");
        if (text_starts(prefix, p) && (!best || strlen(p) > length)) {
            best = json_get(json_at(all, i), "config");
            length = strlen(p);
        }
    }
    return best;
}

MUST static bool
renew(void *ctx, struct storage_options *out, struct err *e);

static void
fill_options(struct grant *g, struct storage_options *o)
{
    const struct json *catalog = rest_client_config(g->owner->client);
    const struct json *own = credentials_for(g->answer, g->prefix);
    const struct json *config = json_get(g->answer, "config");
    *o = (struct storage_options){0};
    set_all(o, json_get(catalog, "defaults"));
    set_uri(o, g->owner->uri);
    set_all(o, json_get(catalog, "overrides"));
    set_all(o, config);
    set_all(o, own);
    if (json_get(own, "s3.access-key-id") || json_get(config, "s3.access-key-id")) {
        o->renew = renew;
        o->renew_ctx = g;
    }
}

static void
keep_answer(struct grant *g, const struct json *answer)
{
    static const char *const keys[] = {"config", "storage-credentials"};
    struct json *kept = json_object_new();
    for (size_t i = 0; i < ARRAY_LEN(keys); i++)
        if (json_get(answer, keys[i]))
            json_set(kept, keys[i], json_ref(json_get(answer, keys[i])));
    json_free(g->answer);
    g->answer = kept;
}

static bool
renew(void *ctx, struct storage_options *out, struct err *e)
{
    struct grant *g = ctx;
    struct rest_reply r;
    const struct rest_call call = {.method = "GET", .path = g->path};
    bool ok = rest_client_call(g->owner->client, &call, &r, e);
    if (ok && r.status != 200)
        ok = rest_reply_error(&r, g->path, e);
    if (ok) {
        keep_answer(g, r.body);
        fill_options(g, out);
    }
    rest_reply_free(&r);
    return ok;
}

static struct grant *
grant_of(struct vended *v, const char *path, const char *prefix)
{
    for (size_t i = 0; i < v->len; i++)
        if (strcmp(v->grants[i]->prefix, prefix) == 0)
            return v->grants[i];
    struct grant *g = mem_zalloc(sizeof(*g));
    g->owner = v;
    g->prefix = mem_strdup(prefix);
    v->grants = mem_realloc(v->grants, (v->len + 1) * sizeof(struct grant *));
    v->grants[v->len++] = g;
    g->path = mem_strdup(path);
    return g;
}

MUST static bool
put(struct vended *v, const char *path, const struct json *answer, const char *prefix,
    struct err *e)
{
    struct storage_options o;
    struct grant *g = grant_of(v, path, prefix);
    free(g->path); /* of two tables that share a prefix, the one seen last */
    g->path = mem_strdup(path);
    keep_answer(g, answer);
    fill_options(g, &o);
    return storage_routes_put(v->storage, prefix, &o, e);
}

bool
vended_take(struct vended *v, const char *path, const struct json *answer, const char *location,
            struct err *e)
{
    const struct json *all = json_get(answer, "storage-credentials");
    bool told = json_len(json_get(answer, "config")) || json_len(all);
    /* A commit's answer tells nothing. */
    if (!told && storage_routes_cover(v->storage, location))
        return true;
    for (size_t i = 0; i < json_len(all); i++) {
        const char *prefix = json_get_str(json_at(all, i), "prefix", "");
        if (*prefix && !put(v, path, answer, prefix, e))
            return false;
    }
    return (json_len(all) && storage_routes_cover(v->storage, location)) ||
           put(v, path, answer, location, e);
}
