/* Lake files as objects of an S3 service.
 *
 * An object is visible, whole and durable when the answer to its PUT, or to the completion of
 * its multipart upload, came; both carry If-None-Match: *, so a name that exists is left alone.
 * A file above a part's size is sent part by part while it is written: one part is in memory.
 * Each object carries a random x-amz-meta-millrace: an answer that got lost is told apart from
 * somebody else's object by it. Dying before the end leaves at most an upload that was not
 * completed, which no reader sees; storage_sweep aborts it.
 */
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/fault.h"
#include "base/hash.h"
#include "base/mem.h"
#include "base/text.h"
#include "lake/s3_list.h"
#include "lake/s3_xml.h"

#define PARTS_MAX  10000 /* S3's */
#define MARK       "x-amz-meta-millrace"
#define ETAG_MAX   128
#define RANGE_SIZE 64

struct s3_storage {
    struct storage base;
    struct s3_client *client;
};

struct s3_writer {
    struct storage_writer base;
    struct s3_client *client;
    char *location;
    struct s3_place place;
    char mark[33];
    struct buf part;
    char *upload; /* NULL: none begun */
    char **etags; /* of the parts sent */
    size_t parts;
};

static struct s3_client *
client_of(struct storage *s)
{
    return ((struct s3_storage *)s)->client;
}

/* ---- writing ---- */

static void
writer_free(struct s3_writer *w)
{
    for (size_t i = 0; i < w->parts; i++)
        free(w->etags[i]);
    free(w->etags);
    free(w->upload);
    free(w->location);
    buf_free(&w->part);
    free(w);
}

MUST static bool
s3_create(struct storage *s, const char *location, struct storage_writer **out, struct err *e)
{
    uint8_t random[16];
    struct s3_writer *w = mem_zalloc(sizeof(*w));
    w->base.ops = s->ops;
    w->client = client_of(s);
    w->location = mem_strdup(location);
    w->part.max = s3_client_part_bytes(w->client);
    random_bytes(random, sizeof(random));
    hex_encode(bytes_of(random, sizeof(random)), w->mark);
    bool ok = s3_place_of(w->location, &w->place, e);
    if (ok && !*w->place.key)
        ok = err_set(e, MR_LAKE_UNSUPPORTED, "%s: it names no object", location);
    if (ok)
        *out = &w->base;
    else
        writer_free(w);
    return ok;
}

MUST static bool
begin_upload(struct s3_writer *w, struct err *e)
{
    struct s3_reply reply;
    char id[1024];
    const struct s3_request r = {.method = "POST",
                                 .place = &w->place,
                                 .query = {{"uploads", ""}},
                                 .headers = {{MARK, w->mark}},
                                 .body = BYTES_LIT("")};
    bool ok = s3_client_call(w->client, &r, &reply, e);
    if (ok) {
        s3_xml_find(buf_bytes(&reply.http.body), "UploadId", id, sizeof(id));
        ok = *id || err_set(e, MR_STORAGE_ERROR, "%s: the answer names no upload", w->location);
    }
    if (ok)
        w->upload = mem_strdup(id);
    s3_reply_free(&reply);
    return ok;
}

/* Sends what is gathered as the next part. */
MUST static bool
send_part(struct s3_writer *w, struct err *e)
{
    struct s3_reply reply;
    char number[16], etag[ETAG_MAX];
    if (w->parts == PARTS_MAX)
        return err_set(e, MR_STORAGE_ERROR, "%s: more than %d parts", w->location, PARTS_MAX);
    if (!w->upload && !begin_upload(w, e))
        return false;
    FAULT("lake.storage.before_part");
    snprintf(number, sizeof(number), "%zu", w->parts + 1);
    const struct s3_request r = {.method = "PUT",
                                 .place = &w->place,
                                 .query = {{"partNumber", number}, {"uploadId", w->upload}},
                                 .body = buf_bytes(&w->part)};
    bool ok = s3_client_call(w->client, &r, &reply, e);
    if (ok && !http_reply_header(&reply.http, "ETag", etag, sizeof(etag)))
        ok = err_set(e, MR_STORAGE_ERROR, "%s: the answer to a part has no ETag", w->location);
    s3_reply_free(&reply);
    if (!ok)
        return false;
    w->etags = mem_realloc(w->etags, (w->parts + 1) * sizeof(*w->etags));
    w->etags[w->parts++] = mem_strdup(etag);
    buf_reset(&w->part);
    FAULT("lake.storage.after_part");
    return true;
}

MUST static bool
s3_write(struct storage_writer *base, struct bytes b, struct err *e)
{
    struct s3_writer *w = (struct s3_writer *)base;
    while (b.n) {
        size_t room = w->part.max - w->part.n;
        size_t n = b.n < room ? b.n : room;
        if (n == 0) {
            if (!send_part(w, e))
                return false;
            continue;
        }
        buf_add(&w->part, b.p, n);
        if (w->part.failed)
            return err_set(e, MR_NO_MEMORY, "%s: no memory for a part", w->location);
        b = bytes_of(b.p + n, b.n - n);
    }
    return true;
}

/* Is the object that stands there the one that this writer sent? */
static bool
is_ours(struct s3_writer *w)
{
    struct s3_reply reply;
    struct err ignored;
    char mark[64];
    const struct s3_request r = {.method = "HEAD", .place = &w->place};
    bool ours = s3_client_call(w->client, &r, &reply, &ignored) &&
                http_reply_header(&reply.http, MARK, mark, sizeof(mark)) &&
                strcmp(mark, w->mark) == 0;
    s3_reply_free(&reply);
    return ours;
}

/* An answer that says that the name is taken, or the upload gone, may follow one that was lost.
 */
static bool
settle(struct s3_writer *w, bool ok, const struct s3_reply *reply)
{
    int status = reply->http.status;
    return ok || ((status == 412 || status == 404) && is_ours(w));
}

MUST static bool
put_whole(struct s3_writer *w, struct err *e)
{
    struct s3_reply reply;
    const struct s3_request r = {.method = "PUT",
                                 .place = &w->place,
                                 .headers = {{"if-none-match", "*"}, {MARK, w->mark}},
                                 .body = w->part.n ? buf_bytes(&w->part) : BYTES_LIT("")};
    FAULT("lake.storage.before_put");
    bool ok = settle(w, s3_client_call(w->client, &r, &reply, e), &reply);
    s3_reply_free(&reply);
    FAULT("lake.storage.after_put");
    return ok;
}

MUST static bool
complete(struct s3_writer *w, struct err *e)
{
    struct s3_reply reply;
    struct buf body = {0};
    if (w->part.n && !send_part(w, e))
        return false;
    buf_add_str(&body, "<CompleteMultipartUpload>");
    for (size_t i = 0; i < w->parts; i++)
        buf_addf(&body, "<Part><PartNumber>%zu</PartNumber><ETag>%s</ETag></Part>", i + 1,
                 w->etags[i]);
    buf_add_str(&body, "</CompleteMultipartUpload>");
    const struct s3_request r = {.method = "POST",
                                 .place = &w->place,
                                 .query = {{"uploadId", w->upload}},
                                 .headers = {{"if-none-match", "*"}},
                                 .body = buf_bytes(&body)};
    FAULT("lake.storage.before_complete");
    bool ok = settle(w, s3_client_call(w->client, &r, &reply, e), &reply);
    s3_reply_free(&reply);
    buf_free(&body);
    FAULT("lake.storage.after_complete");
    return ok;
}

MUST static bool
abort_upload(struct s3_client *c, const struct s3_place *place, const char *upload,
             struct err *e)
{
    struct s3_reply reply;
    const struct s3_request r = {
        .method = "DELETE", .place = place, .query = {{"uploadId", upload}}};
    bool ok = s3_client_call(c, &r, &reply, e) || strcmp(reply.code, "NoSuchUpload") == 0;
    s3_reply_free(&reply);
    return ok;
}

static void
s3_abandon(struct storage_writer *base)
{
    struct s3_writer *w = (struct s3_writer *)base;
    struct err ignored;
    if (w->upload)
        (void)!abort_upload(w->client, &w->place, w->upload, &ignored);
    writer_free(w);
}

MUST static bool
s3_finish(struct storage_writer *base, struct err *e)
{
    struct s3_writer *w = (struct s3_writer *)base;
    bool ok = w->upload ? complete(w, e) : put_whole(w, e);
    if (!ok)
        s3_abandon(base);
    else
        writer_free(w);
    return ok;
}

/* ---- reading ---- */

/* GET of bytes [offset, offset + n), n > 0. */
MUST static bool
get_range(struct storage *s, const struct s3_place *place, uint64_t offset, size_t n,
          struct s3_reply *reply, struct err *e)
{
    char range[RANGE_SIZE];
    snprintf(range, sizeof(range), "bytes=%" PRIu64 "-%" PRIu64, offset, offset + n - 1);
    const struct s3_request r = {
        .method = "GET", .place = place, .headers = {{"range", range}}, .reply_max = n};
    return s3_client_call(client_of(s), &r, reply, e);
}

MUST static bool
take_range(const struct s3_reply *reply, const char *location, size_t n, struct buf *out,
           struct err *e)
{
    if (reply->http.status != 206)
        return err_set(e, MR_STORAGE_ERROR, "read %s: the server gives no ranges", location);
    if (reply->http.body.n != n)
        return err_set(e, MR_STORAGE_ERROR, "read %s: %zu bytes came, not %zu", location,
                       reply->http.body.n, n);
    size_t before = out->n;
    buf_add_bytes(out, buf_bytes(&reply->http.body));
    if (!out->failed)
        return true;
    out->n = before;
    return err_set(e, MR_NO_MEMORY, "read %s: its buffer is full", location);
}

MUST static bool
s3_read(struct storage *s, const char *location, uint64_t offset, size_t n, struct buf *out,
        struct err *e)
{
    struct s3_place place;
    struct s3_reply reply;
    if (!s3_place_of(location, &place, e))
        return false;
    if (offset > INT64_MAX - n)
        return err_set(e, MR_STORAGE_ERROR, "read %s: no such range", location);
    if (n == 0)
        return true;
    bool ok = get_range(s, &place, offset, n, &reply, e);
    if (ok)
        ok = take_range(&reply, location, n, out, e);
    else if (reply.http.status == 416)
        err_set(e, MR_STORAGE_ERROR, "read %s: it ends before byte %" PRIu64, location, offset);
    s3_reply_free(&reply);
    return ok;
}

/* From "bytes 0-0/SIZE", or the length of a whole answer. */
static bool
size_of(const struct s3_reply *reply, uint64_t *size)
{
    char text[RANGE_SIZE];
    if (reply->http.status == 200)
        return http_reply_header(&reply->http, "Content-Length", text, sizeof(text)) &&
               text_u64(text, size);
    if (!http_reply_header(&reply->http, "Content-Range", text, sizeof(text)))
        return false;
    const char *slash = strrchr(text, '/');
    return slash && text_u64(slash + 1, size);
}

/* Asks for its first byte: an answer to HEAD would not say why it is refused. */
MUST static bool
s3_size(struct storage *s, const char *location, uint64_t *size, struct err *e)
{
    struct s3_place place;
    struct s3_reply reply;
    if (!s3_place_of(location, &place, e))
        return false;
    bool ok = get_range(s, &place, 0, 1, &reply, e);
    if (!ok && reply.http.status == 416) { /* empty */
        *size = 0;
        ok = true;
    } else if (ok && !size_of(&reply, size)) {
        ok = err_set(e, MR_STORAGE_ERROR, "%s: the server does not tell its size", location);
    }
    s3_reply_free(&reply);
    return ok;
}

MUST static bool
s3_remove(struct storage *s, const char *location, struct err *e)
{
    struct s3_place place;
    struct s3_reply reply;
    if (!s3_place_of(location, &place, e))
        return false;
    const struct s3_request r = {.method = "DELETE", .place = &place};
    bool ok = s3_client_call(client_of(s), &r, &reply, e) ||
              (reply.http.status == 404 && strcmp(reply.code, "NoSuchBucket") != 0);
    s3_reply_free(&reply);
    return ok;
}

/* ---- lists ---- */

/* Of all keys below a folder; the caller's. */
static char *
prefix_of(const struct s3_place *place)
{
    size_t n = strlen(place->key);
    return mem_printf("%s%s", place->key, n == 0 || place->key[n - 1] == '/' ? "" : "/");
}

struct objects {
    storage_entry_fn *each;
    void *ctx;
    const char *listed; /* the location, of which the first root_len bytes name the bucket */
    size_t root_len;
};

/* A key that ends with '/' stands for a folder. */
static bool
take_object(void *ctx, const struct s3_listed *l, struct err *e)
{
    const struct objects *to = ctx;
    size_t n = strlen(l->key);
    if (n && l->key[n - 1] == '/')
        return true;
    char *location = mem_printf("%.*s/%s", (int)to->root_len, to->listed, l->key);
    const struct storage_entry entry = {location, l->size, l->time_ms};
    bool ok = to->each(to->ctx, &entry, e);
    free(location);
    return ok;
}

MUST static bool
s3_list(struct storage *s, const char *location, storage_entry_fn *each, void *ctx,
        struct err *e)
{
    struct s3_place place;
    if (!s3_place_of(location, &place, e))
        return false;
    struct objects to = {each, ctx, location, (size_t)(place.key - location)};
    to.root_len -= location[to.root_len - 1] == '/';
    char *prefix = prefix_of(&place);
    place.key = prefix;
    bool ok = s3_list_objects(client_of(s), &place, take_object, &to, e);
    free(prefix);
    return ok;
}

struct sweep {
    struct s3_client *client;
    const struct s3_place *folder;
    const char *names;
    uint64_t older_than_ms;
};

static bool
take_upload(void *ctx, const struct s3_listed *l, struct err *e)
{
    const struct sweep *sweep = ctx;
    const char *slash = strrchr(l->key, '/');
    struct s3_place place = *sweep->folder;
    place.key = l->key;
    if (!text_starts(slash ? slash + 1 : l->key, sweep->names) || !l->upload || !l->time_ms ||
        l->time_ms >= sweep->older_than_ms)
        return true;
    return abort_upload(sweep->client, &place, l->upload, e);
}

MUST static bool
s3_sweep(struct storage *s, const char *location, const char *names, uint64_t older_than_ms,
         struct err *e)
{
    struct s3_place place;
    if (!s3_place_of(location, &place, e))
        return false;
    struct sweep sweep = {client_of(s), &place, names, older_than_ms};
    char *prefix = prefix_of(&place);
    place.key = prefix;
    bool ok = s3_list_uploads(sweep.client, &place, take_upload, &sweep, e);
    free(prefix);
    return ok;
}

/* One entry of the list: the bucket is there and may be read. */
MUST static bool
s3_check(struct storage *s, const char *location, struct err *e)
{
    struct s3_place place;
    struct s3_reply reply;
    if (!s3_place_of(location, &place, e))
        return false;
    char *prefix = prefix_of(&place);
    place.key = "";
    const struct s3_request r = {
        .method = "GET",
        .place = &place,
        .query = {{"list-type", "2"}, {"max-keys", "1"}, {"prefix", prefix}}};
    bool ok = s3_client_call(client_of(s), &r, &reply, e);
    s3_reply_free(&reply);
    free(prefix);
    return ok;
}

MUST static bool
s3_renew(struct storage *s, const struct storage_options *o, struct err *e)
{
    return s3_client_renew(client_of(s), o, e);
}

static void
s3_close(struct storage *s)
{
    s3_client_free(client_of(s));
    free(s);
}

static const struct storage_ops s3_ops = {
    .create = s3_create,
    .write = s3_write,
    .finish = s3_finish,
    .abandon = s3_abandon,
    .read = s3_read,
    .size = s3_size,
    .remove = s3_remove,
    .list = s3_list,
    .sweep = s3_sweep,
    .check = s3_check,
    .renew = s3_renew,
    .close = s3_close,
};

bool
storage_s3_open(const struct storage_options *o, struct storage **out, struct err *e)
{
    struct s3_storage *s = mem_zalloc(sizeof(*s));
    s->base.ops = &s3_ops;
    if (!s3_client_open(o, &s->client, e)) {
        free(s);
        return false;
    }
    *out = &s->base;
    return true;
}
