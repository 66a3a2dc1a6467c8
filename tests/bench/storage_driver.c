/* A storage of lake/, as a script tells; tests/real/test_s3*.py look at the service with other
 * clients. Arguments: a location, then options KEY=VALUE (s3.endpoint=..); renew=FILE holds
 * {KEY: VALUE, ..} that is read when credentials are to be renewed. A JSON object a line on
 * stdin, one a line on stdout: {"ok":true,..} or {"ok":false,"code":..,"text":..}.
 *
 * {"op":"put","location":L,"hex":H}
 * {"op":"put","location":L,"size":N,"chunk":N,"abandon":BOOL}   byte i is (i * 31 + (i >> 8)) &
 * 255
 * {"op":"read","location":L,"offset":N,"n":N}
 * {"op":"size","location":L}   {"op":"remove","location":L}   {"op":"check","location":L}
 * {"op":"list","location":L}
 * {"op":"sweep","location":L,"names":TEXT,"older_than_ms":T}
 * {"op":"sign","method":..,"path":..,"query":[[NAME,VALUE],..],"headers":[[NAME,VALUE],..],
 *  "hash":..,"time":..,"region":..,"service":..,"id":..,"secret":..}
 */
#include <stdio.h>
#include <stdlib.h>

#include "base/file.h"
#include "base/hash.h"
#include "base/json.h"
#include "base/mem.h"
#include "lake/sigv4.h"
#include "lake/storage.h"
#include "support/driver.h"

static struct storage *storage;

static bool
write_generated(struct storage_writer *w, uint64_t size, size_t chunk, struct err *e)
{
    uint8_t *p = mem_alloc(chunk);
    bool ok = true;
    for (uint64_t at = 0; ok && at < size;) {
        size_t n = size - at < chunk ? (size_t)(size - at) : chunk;
        for (size_t i = 0; i < n; i++)
            p[i] = (uint8_t)((at + i) * 31 + ((at + i) >> 8));
        ok = storage_write(w, bytes_of(p, n), e);
        at += n;
    }
    free(p);
    return ok;
}

static bool
do_put(const struct json *cmd, const char *location, struct err *e)
{
    const char *hex = json_get_str(cmd, "hex", NULL);
    struct storage_writer *w;
    if (hex) {
        size_t n = strlen(hex) / 2;
        uint8_t *raw = mem_alloc(n + 1);
        bool ok = hex_decode(hex, raw, n) ? storage_put(storage, location, bytes_of(raw, n), e)
                                          : err_set(e, MR_USAGE, "not hex");
        free(raw);
        return ok;
    }
    if (!storage_create(storage, location, &w, e))
        return false;
    if (!write_generated(w, json_get_u64(cmd, "size", 0),
                         (size_t)json_get_u64(cmd, "chunk", 100000), e)) {
        storage_abandon(w);
        return false;
    }
    if (!json_get_bool(cmd, "abandon", false))
        return storage_finish(w, e);
    storage_abandon(w);
    return true;
}

static bool
do_read(const struct json *cmd, const char *location, struct json *out, struct err *e)
{
    struct buf b = {0};
    bool ok = storage_read(storage, location, json_get_u64(cmd, "offset", 0),
                           (size_t)json_get_u64(cmd, "n", 0), &b, e);
    if (ok) {
        char *hex = mem_alloc(b.n * 2 + 1);
        hex_encode(buf_bytes(&b), hex);
        json_set(out, "hex", json_str(hex));
        free(hex);
    }
    buf_free(&b);
    return ok;
}

static bool
add_entry(void *ctx, const struct storage_entry *entry, struct err *e)
{
    (void)e;
    struct json *one = json_array_new();
    json_push(one, json_str(entry->location));
    json_push(one, json_u64(entry->size));
    json_push(one, json_u64(entry->mtime_ms));
    json_push(ctx, one);
    return true;
}

static bool
do_list(const char *location, struct json *out, struct err *e)
{
    struct json *entries = json_array_new();
    bool ok = storage_list(storage, location, add_entry, entries, e);
    json_set(out, "entries", entries);
    return ok;
}

/* The caller's. */
static struct sigv4_pair *
pairs_of(const struct json *list)
{
    struct sigv4_pair *pairs = mem_array(json_len(list) + 1, sizeof(*pairs));
    for (size_t i = 0; i < json_len(list); i++)
        pairs[i] = (struct sigv4_pair){json_str_value(json_at(json_at(list, i), 0), ""),
                                       json_str_value(json_at(json_at(list, i), 1), "")};
    return pairs;
}

static void
do_sign(const struct json *cmd, struct json *out)
{
    struct buf header = {0}, query_text = {0};
    const struct json *query = json_get(cmd, "query"), *headers = json_get(cmd, "headers");
    struct sigv4_pair *query_pairs = pairs_of(query), *header_pairs = pairs_of(headers);
    const struct sigv4_request r = {.method = json_get_str(cmd, "method", ""),
                                    .path = json_get_str(cmd, "path", ""),
                                    .query = query_pairs,
                                    .query_len = json_len(query),
                                    .headers = header_pairs,
                                    .headers_len = json_len(headers),
                                    .payload_hash = json_get_str(cmd, "hash", ""),
                                    .time = json_get_str(cmd, "time", ""),
                                    .region = json_get_str(cmd, "region", ""),
                                    .service = json_get_str(cmd, "service", "")};
    const struct sigv4_key key = {json_get_str(cmd, "id", ""), json_get_str(cmd, "secret", "")};
    sigv4_authorization(&r, &key, &header);
    sigv4_query(query_pairs, json_len(query), &query_text);
    json_set(out, "authorization", json_str(buf_cstr(&header)));
    json_set(out, "query", json_str(buf_cstr(&query_text)));
    free(query_pairs);
    free(header_pairs);
    buf_free(&header);
    buf_free(&query_text);
}

static bool
run_command(const struct json *cmd, struct json *out, struct err *e)
{
    const char *op = json_get_str(cmd, "op", ""), *at = json_get_str(cmd, "location", "");
    uint64_t size = 0;
    if (strcmp(op, "put") == 0)
        return do_put(cmd, at, e);
    if (strcmp(op, "read") == 0)
        return do_read(cmd, at, out, e);
    if (strcmp(op, "remove") == 0)
        return storage_remove(storage, at, e);
    if (strcmp(op, "check") == 0)
        return storage_check(storage, at, e);
    if (strcmp(op, "list") == 0)
        return do_list(at, out, e);
    if (strcmp(op, "sweep") == 0)
        return storage_sweep(storage, at, json_get_str(cmd, "names", ""),
                             json_get_u64(cmd, "older_than_ms", 0), e);
    if (strcmp(op, "sign") == 0) {
        do_sign(cmd, out);
        return true;
    }
    if (strcmp(op, "size") != 0)
        return err_set(e, MR_USAGE, "no command %s", op);
    if (!storage_size(storage, at, &size, e))
        return false;
    json_set(out, "size", json_u64(size));
    return true;
}

/* ctx: the path; what was read last stays for the storage to copy. */
static bool
renew(void *ctx, struct storage_options *out, struct err *e)
{
    static struct json *last;
    struct buf text = {0};
    const char *key;
    struct json *value;
    json_free(last);
    last = NULL;
    bool ok = file_read(ctx, 65536, &text, e) && json_parse(buf_bytes(&text), &last, e);
    for (void *it = NULL; ok && (it = json_next(last, it, &key, &value)) != NULL;)
        ok = storage_options_set(out, key, json_str_value(value, "")) ||
             err_set(e, MR_USAGE, "no option %s", key);
    buf_free(&text);
    return ok;
}

static bool
take_option(struct storage_options *o, char *text, struct err *e)
{
    char *equals = strchr(text, '=');
    if (!equals)
        return err_set(e, MR_USAGE, "%s is not KEY=VALUE", text);
    *equals = '\0';
    if (strcmp(text, "renew") == 0) {
        o->renew = renew;
        o->renew_ctx = equals + 1;
        return true;
    }
    return storage_options_set(o, text, equals + 1) ||
           err_set(e, MR_USAGE, "no option %s", text);
}

static bool
open_storage(int argc, char **argv, struct err *e)
{
    struct storage_options o = {0};
    bool ok = argc > 1 || err_set(e, MR_USAGE, "a location is needed");
    for (int i = 2; ok && i < argc; i++)
        ok = take_option(&o, argv[i], e);
    return ok && storage_open(argv[1], &o, &storage, e);
}

int
main(int argc, char **argv)
{
    struct err e;
    char *line = NULL;
    size_t cap = 0;
    ssize_t n;
    if (!open_storage(argc, argv, &e)) {
        driver_reply_error(&e);
        return 1;
    }
    while ((n = getline(&line, &cap, stdin)) > 0) {
        struct json *cmd = NULL, *out = json_object_new();
        json_set(out, "ok", json_bool_new(true));
        if (json_parse(bytes_of(line, (size_t)n), &cmd, &e) && run_command(cmd, out, &e)) {
            driver_reply(out);
        } else {
            json_free(out);
            driver_reply_error(&e);
        }
        json_free(cmd);
    }
    storage_close(storage);
    free(line);
    return 0;
}
