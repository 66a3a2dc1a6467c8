/* An external registry: the Confluent HTTP calls. What it told is kept for ever (ids never
 * change their schema). Source: Confluent Schema Registry API reference. */
#include <inttypes.h>
#include <stdio.h>

#include "base/uri.h"
#include "task/registry_private.h"

static bool
call(struct registry *r, const char *method, const char *path, struct bytes body,
     struct http_reply *reply, struct err *e)
{
    static const char *const headers[] = {
        "Content-Type: application/vnd.schemaregistry.v1+json",
        "Accept: application/vnd.schemaregistry.v1+json, application/json", NULL};
    struct buf url = {0};
    size_t n = strlen(r->url);
    while (n > 0 && r->url[n - 1] == '/')
        n--;
    buf_addf(&url, "%.*s%s", (int)n, r->url, path);
    const char *user = config_text(r->config, "schema.registry.user");
    struct http_call c = {.method = method,
                          .url = buf_cstr(&url),
                          .headers = headers,
                          .body = body,
                          .user = user[0] != '\0' ? user : NULL,
                          .password = r->password,
                          .unreachable = MR_REGISTRY_UNREACHABLE};
    bool ok = http_client_call(r->http, &c, reply, e);
    buf_free(&url);
    return ok;
}

/* What the registry said against it. */
static bool
refuse(const struct http_reply *reply, const char *subject, struct err *e)
{
    struct json *j = NULL;
    struct err ignored = {0};
    char message[400] = "";
    if (json_parse(buf_bytes(&reply->body), &j, &ignored))
        snprintf(message, sizeof(message), "%s", json_get_str(j, "message", ""));
    json_free(j);
    bool refused = reply->status == 409 || reply->status == 422 || reply->status == 400;
    return err_set(e, refused ? MR_REGISTRY_REFUSED : MR_REGISTRY_UNREACHABLE,
                   "%s: the registry answered HTTP %d: %s", subject, reply->status, message);
}

static bool
take_id(struct registry *r, const struct http_reply *reply, const char *subject,
        struct bytes schema, uint32_t *id, struct err *e)
{
    struct json *j = NULL;
    if (reply->status != 200)
        return refuse(reply, subject, e);
    if (!json_parse(buf_bytes(&reply->body), &j, e))
        return err_set(e, MR_REGISTRY_UNREACHABLE, "the registry's answer is not JSON");
    int64_t value = json_get_i64(j, "id", -1);
    json_free(j);
    if (value < 0 || value > INT32_MAX)
        return err_set(e, MR_REGISTRY_UNREACHABLE, "the registry's answer has no id");
    *id = (uint32_t)value;
    schema_book_add(&r->book, *id, subject, schema);
    return true;
}

bool
registry_external_id(struct registry *r, const char *subject, struct bytes schema, uint32_t *id,
                     struct err *e)
{
    char fingerprint[SCHEMA_FINGERPRINT_CHARS + 1];
    schema_fingerprint(schema, fingerprint);
    const struct schema_entry *entry = schema_book_by_fingerprint(&r->book, fingerprint);
    if (entry != NULL && schema_book_version(&r->book, subject, entry) != 0) {
        *id = entry->id;
        return true;
    }
    struct buf path = {0}, body = {0};
    struct http_reply reply = {0};
    struct json *j = json_object_new();
    json_set(j, "schema", json_bytes(schema));
    json_dump(j, &body);
    json_free(j);
    buf_add_str(&path, "/subjects/");
    uri_encode(bytes_str(subject), "", &path);
    buf_add_str(&path, "/versions");
    bool ok = call(r, "POST", buf_cstr(&path), buf_bytes(&body), &reply, e) &&
              take_id(r, &reply, subject, schema, id, e);
    http_reply_free(&reply);
    buf_free(&path);
    buf_free(&body);
    return ok;
}

static bool
take_schema(struct registry *r, const struct http_reply *reply, uint32_t id, struct err *e)
{
    struct json *j = NULL;
    char what[32];
    snprintf(what, sizeof(what), "schema id %" PRIu32, id);
    if (reply->status == 404)
        return err_set(e, MR_SCHEMA_UNKNOWN, "the registry has no %s", what);
    if (reply->status != 200)
        return refuse(reply, what, e);
    if (!json_parse(buf_bytes(&reply->body), &j, e))
        return err_set(e, MR_REGISTRY_UNREACHABLE, "the registry's answer is not JSON");
    schema_book_add(&r->book, id, NULL, bytes_str(json_get_str(j, "schema", "")));
    json_free(j);
    return true;
}

bool
registry_external_fetch(struct registry *r, uint32_t id, struct err *e)
{
    char path[64];
    struct http_reply reply = {0};
    snprintf(path, sizeof(path), "/schemas/ids/%" PRIu32, id);
    bool ok = call(r, "GET", path, (struct bytes){NULL, 0}, &reply, e) &&
              take_schema(r, &reply, id, e);
    http_reply_free(&reply);
    return ok;
}
