/* The read calls of the Confluent schema registry API over the built-in registry, enough for
 * its deserializers. Thread: the HTTP server's. */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/text.h"
#include "base/thread.h"
#include "task/registry_private.h"

#define PARTS_MAX    6
#define CONTENT_TYPE "application/vnd.schemaregistry.v1+json"

struct path {
    char text[1024];
    const char *parts[PARTS_MAX];
    size_t n;
};

static bool
split(const char *text, struct path *p)
{
    size_t n = strlen(text);
    if (n >= sizeof(p->text))
        return false;
    memcpy(p->text, text, n + 1);
    char *rest = NULL;
    for (char *s = strtok_r(p->text, "/", &rest); s != NULL; s = strtok_r(NULL, "/", &rest)) {
        if (p->n == PARTS_MAX)
            return false;
        p->parts[p->n++] = s;
    }
    return p->n > 0;
}

static bool
is(const struct path *p, size_t i, const char *word)
{
    return i < p->n && strcmp(p->parts[i], word) == 0;
}

static void
answer(struct http_response *res, struct json *j)
{
    res->content_type = CONTENT_TYPE;
    json_dump(j, &res->body);
    json_free(j);
}

static void
answer_error(struct http_response *res, int status, int code, const char *message)
{
    struct json *j = json_object_new();
    json_set(j, "error_code", json_i64(code));
    json_set(j, "message", json_str(message));
    res->status = status;
    answer(res, j);
}

static void
answer_version(struct http_response *res, const struct schema_subject *s, size_t version)
{
    const struct schema_entry *entry = s->versions[version - 1];
    struct json *j = json_object_new();
    json_set(j, "subject", json_str(s->name));
    json_set(j, "version", json_u64(version));
    json_set(j, "id", json_i64(entry->id));
    json_set(j, "schema", json_bytes(entry->text));
    answer(res, j);
}

/* /subjects/S/versions[/V[/schema]] */
static void
serve_versions(const struct schema_book *b, const struct path *p, struct http_response *res)
{
    const struct schema_subject *s = schema_book_subject(b, p->parts[1]);
    if (s == NULL) {
        answer_error(res, 404, 40401, "Subject not found.");
        return;
    }
    if (p->n == 3) {
        struct json *list = json_array_new();
        for (size_t i = 1; i <= s->len; i++)
            json_push(list, json_u64(i));
        answer(res, list);
        return;
    }
    uint64_t version = s->len;
    if (!is(p, 3, "latest") && !is(p, 3, "-1") &&
        (!text_u64(p->parts[3], &version) || version < 1 || version > s->len)) {
        answer_error(res, 404, 40402, "Version not found.");
        return;
    }
    if (is(p, 4, "schema")) {
        res->content_type = CONTENT_TYPE;
        buf_add_bytes(&res->body, s->versions[version - 1]->text);
    } else {
        answer_version(res, s, version);
    }
}

static struct json *
versions_of(const struct schema_book *b, const struct schema_entry *entry)
{
    struct json *list = json_array_new();
    for (size_t i = 0; i < b->subjects_len; i++) {
        size_t version = schema_book_version(b, b->subjects[i]->name, entry);
        if (version == 0)
            continue;
        struct json *j = json_object_new();
        json_set(j, "subject", json_str(b->subjects[i]->name));
        json_set(j, "version", json_u64(version));
        json_push(list, j);
    }
    return list;
}

/* /schemas/ids/ID[/schema|/versions|/subjects] */
static void
serve_id(const struct schema_book *b, const struct path *p, struct http_response *res)
{
    uint64_t id = 0;
    const struct schema_entry *entry = NULL;
    if (text_u64(p->parts[2], &id) && id <= UINT32_MAX)
        entry = schema_book_by_id(b, (uint32_t)id);
    if (entry == NULL) {
        answer_error(res, 404, 40403, "Schema not found");
        return;
    }
    if (is(p, 3, "schema")) {
        res->content_type = CONTENT_TYPE;
        buf_add_bytes(&res->body, entry->text);
    } else if (is(p, 3, "versions")) {
        answer(res, versions_of(b, entry));
    } else {
        struct json *j = json_object_new();
        json_set(j, "schema", json_bytes(entry->text));
        answer(res, j);
    }
}

static void
serve_subjects(const struct schema_book *b, struct http_response *res)
{
    struct json *list = json_array_new();
    for (size_t i = 0; i < b->subjects_len; i++)
        json_push(list, json_str(b->subjects[i]->name));
    answer(res, list);
}

static void
serve_word(struct http_response *res, const char *key, const char *value)
{
    struct json *j = json_object_new();
    json_set(j, key, json_str(value));
    answer(res, j);
}

static bool
serve(const struct schema_book *b, const struct path *p, struct http_response *res)
{
    if (is(p, 0, "subjects") && p->n == 1) {
        serve_subjects(b, res);
    } else if (is(p, 0, "subjects") && is(p, 2, "versions") && p->n <= 5) {
        serve_versions(b, p, res);
    } else if (is(p, 0, "schemas") && is(p, 1, "ids") && p->n >= 3 && p->n <= 4) {
        serve_id(b, p, res);
    } else if (is(p, 0, "schemas") && is(p, 1, "types") && p->n == 2) {
        struct json *list = json_array_new();
        json_push(list, json_str("AVRO"));
        answer(res, list);
    } else if (is(p, 0, "config") && p->n <= 2) {
        serve_word(res, "compatibilityLevel", "NONE");
    } else if (is(p, 0, "mode") && p->n <= 2) {
        serve_word(res, "mode", "READONLY");
    } else {
        return false;
    }
    return true;
}

bool
registry_http(struct registry *r, const struct http_request *req, struct http_response *res)
{
    struct path p = {.n = 0};
    struct err e = {0};
    if (r->url != NULL || strcmp(req->method, "GET") != 0 || !split(req->path, &p))
        return false;
    thread_lock(&r->lock);
    bool served = true;
    if (!registry_follow(r, 0, &e))
        answer_error(res, 500, 50001, e.text);
    else
        served = serve(&r->book, &p, res);
    thread_unlock(&r->lock);
    return served;
}
