/* One call: its address, its signature, its repetitions, and what became of it. */
#include "lake/s3_client.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/crypt.h"
#include "base/hash.h"
#include "base/mem.h"
#include "base/text.h"
#include "base/uri.h"
#include "lake/s3_xml.h"

#define CONNECT_MS      5000
#define STALL_S         20               /* without a byte, either way */
#define CALL_MS         (10 * 60 * 1000) /* a slow line may take long */
#define RETRY_MS        10000            /* behind the first failure, which may be a stall */
#define PAUSE_FIRST_MS  100U
#define PAUSE_MAX_MS    4000U
#define ERROR_REPLY_MAX ((size_t)64 << 10)
#define REPLY_MAX       ((size_t)16 << 20)
#define PART_BYTES      ((int64_t)8 << 20)
#define PART_BYTES_MIN  ((int64_t)5 << 20) /* S3's */
#define PART_BYTES_MAX  ((int64_t)1 << 30)
#define EXPIRY_SPARE_MS 60000

struct s3_client {
    struct http_client *http;
    char *scheme;
    char *host; /* of the endpoint, with its port if that is not the scheme's */
    char *region;
    char *key_id;
    char *secret;
    char *token;   /* NULL: none */
    char *ca_file; /* NULL: the system's */
    bool path_style;
    size_t part_bytes;
    bool away;           /* the last call got no answer that helps, to its end */
    uint64_t expires_ms; /* of the token, Unix time; 0: not known */
    storage_renew_fn *renew;
    void *renew_ctx;
};

static void
set_secret(char **at, const char *value)
{
    if (*at)
        crypt_wipe(*at, strlen(*at));
    free(*at);
    *at = value ? mem_strdup(value) : NULL;
}

void
s3_client_free(struct s3_client *c)
{
    if (!c)
        return;
    set_secret(&c->secret, NULL);
    set_secret(&c->token, NULL);
    http_client_free(c->http);
    free(c->scheme);
    free(c->host);
    free(c->region);
    free(c->key_id);
    free(c->ca_file);
    free(c);
}

void
s3_reply_free(struct s3_reply *r)
{
    http_reply_free(&r->http);
}

size_t
s3_client_part_bytes(const struct s3_client *c)
{
    return c->part_bytes;
}

/* ---- how it is opened ---- */

static const char *
given(const char *option, const char *variable)
{
    const char *value = option ? option : getenv(variable);
    return value && *value ? value : NULL;
}

bool
s3_client_renew(struct s3_client *c, const struct storage_options *o, struct err *e)
{
    bool own = !o->access_key_id && !o->secret_access_key;
    const char *id = own ? given(NULL, "AWS_ACCESS_KEY_ID") : o->access_key_id;
    const char *secret = own ? given(NULL, "AWS_SECRET_ACCESS_KEY") : o->secret_access_key;
    const char *token = own ? given(NULL, "AWS_SESSION_TOKEN") : o->session_token;
    if (!id || !*id || !secret || !*secret)
        return err_set(e, MR_STORAGE_CREDENTIALS, "S3: %s is not given",
                       id && *id ? "the secret access key" : "the access key id");
    set_secret(&c->key_id, id);
    set_secret(&c->secret, secret);
    set_secret(&c->token, token && *token ? token : NULL);
    c->renew = o->renew;
    c->renew_ctx = o->renew_ctx;
    c->expires_ms = 0;
    return !o->expires_at_ms || text_u64(o->expires_at_ms, &c->expires_ms) ||
           err_set(e, MR_STORAGE_CREDENTIALS, "S3: the time of expiry is no number");
}

/* SCHEME://HOST[:PORT]. The host is signed as libcurl sends it: without the scheme's own port.
 */
static bool
take_endpoint(struct s3_client *c, const char *text, struct err *e)
{
    struct uri u;
    if (!uri_parse(text, &u, e))
        return err_wrap(e, "s3.endpoint");
    bool http = strcmp(u.scheme, "http") == 0;
    bool bare = !*u.path || strcmp(u.path, "/") == 0;
    bool ok = (http || strcmp(u.scheme, "https") == 0) && *u.host && bare && !u.user &&
              u.params_len == 0;
    if (!ok)
        err_set(e, MR_BAD_URI, "s3.endpoint is not http://HOST[:PORT] or https://HOST[:PORT]");
    const char *quote = strchr(u.host, ':') ? "[" : "";
    bool usual = u.port == 0 || u.port == (http ? 80 : 443);
    c->scheme = mem_strdup(u.scheme);
    c->host = usual ? mem_printf("%s%s%s", quote, u.host, *quote ? "]" : "")
                    : mem_printf("%s%s%s:%u", quote, u.host, *quote ? "]" : "", u.port);
    uri_free(&u);
    return ok;
}

static bool
take_address(struct s3_client *c, const struct storage_options *o, struct err *e)
{
    const char *region = given(o->region, "AWS_REGION");
    c->region = mem_strdup(region ? region : "us-east-1");
    c->path_style = o->endpoint != NULL;
    if (o->path_style && !text_bool(o->path_style, &c->path_style))
        return err_set(e, MR_BAD_URI, "s3.path-style-access is true or false");
    char *own = mem_printf("https://s3.%s.amazonaws.com", c->region);
    bool ok = take_endpoint(c, o->endpoint ? o->endpoint : own, e);
    free(own);
    return ok;
}

static bool
take_part_bytes(struct s3_client *c, const struct storage_options *o, struct err *e)
{
    int64_t n = PART_BYTES;
    if (o->part_bytes &&
        (!text_size(o->part_bytes, &n) || n < PART_BYTES_MIN || n > PART_BYTES_MAX))
        return err_set(e, MR_BAD_URI,
                       "s3.multipart.part-size-bytes is between 5 MiB and 1 GiB");
    c->part_bytes = (size_t)n;
    return true;
}

bool
s3_client_open(const struct storage_options *o, struct s3_client **out, struct err *e)
{
    struct s3_client *c = mem_zalloc(sizeof(*c));
    c->http = http_client_new();
    c->ca_file = o->ca_file && *o->ca_file ? mem_strdup(o->ca_file) : NULL;
    if (!take_address(c, o, e) || !take_part_bytes(c, o, e) || !s3_client_renew(c, o, e)) {
        s3_client_free(c);
        return false;
    }
    *out = c;
    return true;
}

/* ---- places ---- */

static const char *
behind_scheme(const char *location)
{
    static const char *const schemes[] = {"s3://", "s3a://", "s3n://"};
    for (size_t i = 0; i < ARRAY_LEN(schemes); i++) {
        if (text_starts(location, schemes[i]))
            return location + strlen(schemes[i]);
    }
    return NULL;
}

bool
s3_is_location(const char *location)
{
    return behind_scheme(location) != NULL;
}

/* A bucket is 3 to 63 lower-case letters, digits, '-', '.'; older ones also have others. */
static bool
is_bucket(const char *p, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (!isalnum((unsigned char)p[i]) && !strchr("-._", p[i]))
            return false;
    }
    return n >= 3 && n <= 63;
}

bool
s3_place_of(const char *location, struct s3_place *out, struct err *e)
{
    const char *bucket = behind_scheme(location);
    size_t n = bucket ? strcspn(bucket, "/") : 0;
    if (!bucket || !is_bucket(bucket, n))
        return err_set(e, MR_LAKE_UNSUPPORTED, "%s: not a location s3://BUCKET/KEY", location);
    snprintf(out->bucket, sizeof(out->bucket), "%.*s", (int)n, bucket);
    out->key = bucket[n] == '/' ? bucket + n + 1 : bucket + n;
    return true;
}

/* ---- one attempt ---- */

/* What is made for one attempt. */
struct attempt {
    struct sigv4_pair signed_headers[S3_HEADERS_MAX + 4];
    size_t signed_len;
    char *lines[S3_HEADERS_MAX + 6];
    size_t lines_len;
    char *host;
    struct buf path;
    struct buf url;
    char time[SIGV4_TIME_SIZE];
    char hash[SIGV4_HASH_SIZE];
};

static void
attempt_free(struct attempt *a)
{
    for (size_t i = 0; i < a->lines_len; i++)
        set_secret(&a->lines[i], NULL);
    free(a->host);
    buf_free(&a->path);
    buf_free(&a->url);
}

static void
add_signed(struct attempt *a, const char *name, const char *value)
{
    if (value)
        a->signed_headers[a->signed_len++] = (struct sigv4_pair){name, value};
}

static size_t
query_len(const struct s3_request *r)
{
    size_t n = 0;
    while (n < S3_PARAMS_MAX && r->query[n].name)
        n++;
    return n;
}

static void
make_address(const struct s3_client *c, const struct s3_request *r, struct attempt *a)
{
    const struct s3_place *p = r->place;
    a->host = c->path_style ? mem_strdup(c->host) : mem_printf("%s.%s", p->bucket, c->host);
    if (c->path_style)
        buf_addf(&a->path, "/%s", p->bucket);
    if (*p->key || !c->path_style)
        buf_add_byte(&a->path, '/');
    uri_encode(bytes_str(p->key), "/", &a->path);
    buf_addf(&a->url, "%s://%s", c->scheme, a->host);
    buf_add_bytes(&a->url, buf_bytes(&a->path));
    if (query_len(r)) {
        buf_add_byte(&a->url, '?');
        sigv4_query(r->query, query_len(r), &a->url);
    }
}

static void
make_headers(const struct s3_client *c, const struct s3_request *r, struct attempt *a)
{
    sigv4_time(clock_wall_ms(), a->time);
    sigv4_hash(r->body, a->hash);
    add_signed(a, "host", a->host);
    add_signed(a, "x-amz-content-sha256", a->hash);
    add_signed(a, "x-amz-date", a->time);
    add_signed(a, "x-amz-security-token", c->token);
    for (size_t i = 0; i < S3_HEADERS_MAX && r->headers[i].name; i++)
        add_signed(a, r->headers[i].name, r->headers[i].value);
}

static void
sign(const struct s3_client *c, const struct s3_request *r, struct attempt *a)
{
    struct buf authorization = {0};
    const struct sigv4_request s = {.method = r->method,
                                    .path = buf_cstr(&a->path),
                                    .query = r->query,
                                    .query_len = query_len(r),
                                    .headers = a->signed_headers,
                                    .headers_len = a->signed_len,
                                    .payload_hash = a->hash,
                                    .time = a->time,
                                    .region = c->region,
                                    .service = "s3"};
    sigv4_authorization(&s, &(struct sigv4_key){c->key_id, c->secret}, &authorization);
    for (size_t i = 0; i < a->signed_len; i++)
        a->lines[a->lines_len++] =
            mem_printf("%s: %s", a->signed_headers[i].name, a->signed_headers[i].value);
    a->lines[a->lines_len++] = mem_printf("authorization: %s", buf_cstr(&authorization));
    if (r->body.p)
        a->lines[a->lines_len++] = mem_strdup("content-type: application/octet-stream");
    buf_free(&authorization);
}

static bool
send_once(struct s3_client *c, const struct s3_request *r, struct s3_reply *reply,
          struct err *e)
{
    struct attempt a = {0};
    size_t reply_max = r->reply_max ? r->reply_max : REPLY_MAX;
    make_address(c, r, &a);
    make_headers(c, r, &a);
    sign(c, r, &a);
    const char *lines[ARRAY_LEN(a.lines) + 1] = {0};
    memcpy(lines, a.lines, a.lines_len * sizeof(*lines));
    const struct http_call call = {.method = r->method,
                                   .url = buf_cstr(&a.url),
                                   .headers = lines,
                                   .body = r->body,
                                   .ca_file = c->ca_file,
                                   .connect_timeout_ms = CONNECT_MS,
                                   .timeout_ms = CALL_MS,
                                   .stall_s = STALL_S,
                                   .reply_max = reply_max > ERROR_REPLY_MAX ? reply_max
                                                                            : ERROR_REPLY_MAX,
                                   .unreachable = MR_STORAGE_UNREACHABLE};
    bool ok = http_client_call(c->http, &call, &reply->http, e);
    attempt_free(&a);
    reply->code[0] = '\0';
    /* What completes an upload may answer 200 and say only then that it failed. */
    if (ok && (reply->http.status >= 300 || strcmp(r->method, "POST") == 0))
        s3_xml_find(buf_bytes(&reply->http.body), "Code", reply->code, sizeof(reply->code));
    return ok;
}

/* ---- what an answer means ---- */

static bool
is_one_of(const char *code, const char *const *codes, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (strcmp(code, codes[i]) == 0)
            return true;
    }
    return false;
}

static bool
is_passing(const struct s3_reply *r)
{
    static const char *const codes[] = {"RequestTimeout",   "SlowDown",
                                        "InternalError",    "ConditionalRequestConflict",
                                        "OperationAborted", "ServiceUnavailable"};
    int s = r->http.status;
    return s == 0 || s == 500 || s == 502 || s == 503 || s == 504 || s == 429 || s == 408 ||
           is_one_of(r->code, codes, ARRAY_LEN(codes));
}

static bool
is_expired(const struct s3_reply *r)
{
    static const char *const codes[] = {"ExpiredToken", "TokenRefreshRequired"};
    return is_one_of(r->code, codes, ARRAY_LEN(codes));
}

static enum err_code
meaning(const struct s3_reply *r)
{
    static const struct {
        const char *code;
        enum err_code means;
    } known[] = {
        {"NoSuchBucket", MR_STORAGE_BUCKET},
        {"RequestTimeTooSkewed", MR_STORAGE_CLOCK},
        {"RequestInTheFuture", MR_STORAGE_CLOCK},
        {"ExpiredToken", MR_STORAGE_EXPIRED},
        {"TokenRefreshRequired", MR_STORAGE_EXPIRED},
        {"InvalidToken", MR_STORAGE_REFUSED},
        {"PermanentRedirect", MR_STORAGE_REGION},
        {"TemporaryRedirect", MR_STORAGE_REGION},
        {"AuthorizationHeaderMalformed", MR_STORAGE_REGION},
        {"IllegalLocationConstraintException", MR_STORAGE_REGION},
        {"QuotaExceeded", MR_STORAGE_FULL},
        {"XMinioStorageFull", MR_STORAGE_FULL},
    };
    for (size_t i = 0; i < ARRAY_LEN(known); i++) {
        if (strcmp(r->code, known[i].code) == 0)
            return known[i].means;
    }
    int s = r->http.status;
    return is_passing(r)          ? MR_STORAGE_UNREACHABLE
           : s == 401 || s == 403 ? MR_STORAGE_REFUSED
           : s == 404             ? MR_STORAGE_MISSING
           : s == 412             ? MR_STORAGE_EXISTS
           : s == 507             ? MR_STORAGE_FULL
           : s == 301 || s == 307 ? MR_STORAGE_REGION
                                  : MR_STORAGE_ERROR;
}

/* Fills *e for an answer that is no success. */
static bool
refused(const struct s3_client *c, const struct s3_request *r, const struct s3_reply *reply,
        struct err *e)
{
    char message[256], date[64], region[64];
    enum err_code code = meaning(reply);
    s3_xml_find(buf_bytes(&reply->http.body), "Message", message, sizeof(message));
    err_set(e, code, "%s s3://%s/%s: status %d%s%s%s%s", r->method, r->place->bucket,
            r->place->key, reply->http.status, *reply->code ? " " : "", reply->code,
            *message ? ": " : "", message);
    if (code == MR_STORAGE_CLOCK && http_reply_header(&reply->http, "Date", date, sizeof(date)))
        err_prefix(e, "the server's clock says %s", date);
    if (code == MR_STORAGE_REGION &&
        http_reply_header(&reply->http, "x-amz-bucket-region", region, sizeof(region)))
        err_prefix(e, "the bucket is in %s, not in %s", region, c->region);
    return false;
}

/* ---- all attempts ---- */

static bool
renew(struct s3_client *c, struct err *e)
{
    struct storage_options fresh = {0};
    if (!c->renew(c->renew_ctx, &fresh, e))
        return err_wrap(e, "new credentials of the storage");
    fresh.renew = fresh.renew ? fresh.renew : c->renew;
    fresh.renew_ctx = fresh.renew_ctx ? fresh.renew_ctx : c->renew_ctx;
    return s3_client_renew(c, &fresh, e);
}

static bool
renew_before_expiry(struct s3_client *c, struct err *e)
{
    if (!c->renew || !c->expires_ms || clock_wall_ms() + EXPIRY_SPARE_MS < c->expires_ms)
        return true;
    return renew(c, e);
}

/* Half of it by chance, so that many writers do not come back at once. */
static unsigned
pause_ms(unsigned attempt)
{
    unsigned ms = PAUSE_FIRST_MS << (attempt < 6 ? attempt : 6);
    ms = ms < PAUSE_MAX_MS ? ms : PAUSE_MAX_MS;
    return ms / 2 + (unsigned)(random_u64() % (ms / 2 + 1));
}

bool
s3_client_call(struct s3_client *c, const struct s3_request *r, struct s3_reply *reply,
               struct err *e)
{
    uint64_t until = 0;
    bool renewed = false;
    *reply = (struct s3_reply){0};
    if (!renew_before_expiry(c, e))
        return false;
    for (unsigned attempt = 0;; attempt++) {
        bool answered = send_once(c, r, reply, e);
        if (!attempt)
            until = clock_mono_ms() + (c->away ? 0 : RETRY_MS);
        c->away = c->away && is_passing(reply);
        if (answered && reply->http.status < 300 && !*reply->code)
            return true;
        if (answered)
            refused(c, r, reply, e);
        if (answered && is_expired(reply) && c->renew && !renewed) {
            renewed = true;
            if (!renew(c, e))
                return false;
            continue;
        }
        unsigned ms = pause_ms(attempt);
        if (!is_passing(reply))
            return false;
        if (clock_mono_ms() + ms > until) {
            c->away = true;
            return false;
        }
        clock_sleep_ms(ms);
    }
}
