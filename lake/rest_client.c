/* REST calls: tokens, headers, and what a status means. */
#include "lake/rest_client.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/crypt.h"
#include "base/mem.h"

#define REPLY_MAX      ((size_t)256 << 20)
#define EXPIRY_SPARE_S 60
#define TOKEN_LIFE_S   3600 /* when the server does not tell */

struct rest_client {
    struct http_client *http;
    char *base;   /* http://host:port/path, without a '/' at its end */
    char *prefix; /* "" or "/prefix" */
    char *client_id;
    char *client_secret;
    char *token;             /* NULL: none */
    uint64_t token_until_ms; /* monotonic; UINT64_MAX: for ever */
    char *token_uri;
    char *scope;
    char *ca_file;
    struct json *config; /* NULL: not asked yet */
    bool idempotent;
};

static void
free_secret(char *s)
{
    if (s)
        crypt_wipe(s, strlen(s));
    free(s);
}

void
rest_client_free(struct rest_client *c)
{
    if (!c)
        return;
    http_client_free(c->http);
    free_secret(c->client_secret);
    free_secret(c->token);
    json_free(c->config);
    free(c->base);
    free(c->prefix);
    free(c->client_id);
    free(c->token_uri);
    free(c->scope);
    free(c->ca_file);
    free(c);
}

void
rest_reply_free(struct rest_reply *r)
{
    json_free(r->body);
    *r = (struct rest_reply){0};
}

bool
rest_client_idempotent(const struct rest_client *c)
{
    return c->idempotent;
}

const struct json *
rest_client_config(const struct rest_client *c)
{
    return c->config;
}

bool
rest_reply_error(const struct rest_reply *r, const char *what, struct err *e)
{
    const char *said = json_get_str(json_get(r->body, "error"), "message", "");
    enum err_code code = MR_CATALOG_ERROR;
    if (r->status == 401 || r->status == 403 || r->status == 419)
        code = MR_CATALOG_REFUSED;
    else if (r->status == 404)
        code = MR_CATALOG_MISSING;
    else if (r->status == 429 || (r->status >= 502 && r->status <= 504))
        code = MR_CATALOG_UNREACHABLE;
    else if (r->status >= 400 && r->status < 500)
        code = MR_CATALOG_REJECTED;
    return err_set(e, code, "%s: status %d: %.300s", what, r->status, said);
}

static void
add_form(struct buf *out, const char *key, const char *value)
{
    buf_addf(out, "%s%s=", out->n ? "&" : "", key);
    uri_encode(bytes_str(value), "", out);
}

/* The token of an answer to client credentials. */
static bool
take_token(struct rest_client *c, struct bytes text, struct err *e)
{
    struct json *j = NULL;
    bool ok = json_parse(text, &j, e);
    const char *token = json_get_str(j, "access_token", NULL);
    if (!ok || !token) {
        json_free(j);
        return err_set(e, MR_CATALOG_REFUSED, "%s: the answer holds no token", c->token_uri);
    }
    int64_t life = json_get_i64(j, "expires_in", TOKEN_LIFE_S);
    free_secret(c->token);
    c->token = mem_strdup(token);
    life = life > 2 * EXPIRY_SPARE_S ? life - EXPIRY_SPARE_S : life / 2;
    c->token_until_ms = clock_mono_ms() + (uint64_t)(life > 0 ? life : 0) * 1000;
    json_free(j);
    return true;
}

static enum err_code
token_code(int status)
{
    if (status >= 500 || status == 429)
        return MR_CATALOG_UNREACHABLE;
    return status == 404 || status == 405 ? MR_CATALOG_ADDRESS : MR_CATALOG_REFUSED;
}

static bool
fetch_token(struct rest_client *c, struct err *e)
{
    static const char *const headers[] = {"Content-Type: application/x-www-form-urlencoded",
                                          NULL};
    struct buf form = {0};
    struct http_reply reply = {0};
    add_form(&form, "grant_type", "client_credentials");
    add_form(&form, "client_id", c->client_id);
    add_form(&form, "client_secret", c->client_secret);
    add_form(&form, "scope", c->scope);
    struct http_call call = {.method = "POST",
                             .url = c->token_uri,
                             .headers = headers,
                             .body = buf_bytes(&form),
                             .ca_file = c->ca_file,
                             .unreachable = MR_CATALOG_UNREACHABLE};
    bool ok = http_client_call(c->http, &call, &reply, e);
    if (ok && reply.status != 200)
        ok = err_set(e, token_code(reply.status), "%s: status %d", c->token_uri, reply.status);
    ok = ok && take_token(c, buf_bytes(&reply.body), e);
    if (form.p)
        crypt_wipe(form.p, form.n);
    buf_free(&form);
    http_reply_free(&reply);
    return ok;
}

static bool
have_token(struct rest_client *c, struct err *e)
{
    if (!c->client_id || (c->token && clock_mono_ms() < c->token_until_ms))
        return true;
    return fetch_token(c, e);
}

struct header_list {
    char *lines[8];
    const char *borrowed[9];
    size_t len;
};

static void
add_header(struct header_list *h, const char *name, const char *value)
{
    if (!value)
        return;
    h->lines[h->len] = mem_printf("%s: %s", name, value);
    h->borrowed[h->len] = h->lines[h->len];
    h->len++;
}

static void
make_headers(const struct rest_client *c, const struct rest_call *call, struct header_list *h)
{
    char *bearer = c->token ? mem_printf("Bearer %s", c->token) : NULL;
    add_header(h, "Accept", "application/json");
    add_header(h, "Content-Type", call->body ? "application/json" : NULL);
    add_header(h, "Authorization", bearer);
    add_header(h, "If-None-Match", call->etag);
    add_header(h, "Idempotency-Key", call->key);
    add_header(h, "X-Iceberg-Access-Delegation", "vended-credentials");
    free_secret(bearer);
}

static void
free_headers(struct header_list *h)
{
    for (size_t i = 0; i < h->len; i++)
        free_secret(h->lines[i]);
}

static void
take_reply(const struct http_reply *reply, struct rest_reply *out)
{
    struct err ignored;
    out->status = reply->status;
    out->maybe_done = reply->status >= 500;
    if (!http_reply_header(reply, "ETag", out->etag, sizeof(out->etag)))
        out->etag[0] = '\0';
    if (reply->body.n && !json_parse(buf_bytes(&reply->body), &out->body, &ignored))
        out->body = NULL;
}

/* One call with the token as it is. */
static bool
call_once(struct rest_client *c, const struct rest_call *call, struct rest_reply *out,
          struct err *e)
{
    struct header_list h = {0};
    struct buf body = {0};
    struct http_reply reply = {0};
    char *url = mem_printf("%s/v1%s%s", c->base, c->prefix, call->path);
    rest_reply_free(out);
    make_headers(c, call, &h);
    if (call->body)
        json_dump(call->body, &body);
    struct http_call hc = {.method = call->method,
                           .url = url,
                           .headers = h.borrowed,
                           .body = call->body ? buf_bytes(&body) : bytes_of(NULL, 0),
                           .ca_file = c->ca_file,
                           .reply_max = REPLY_MAX,
                           .once = strcmp(call->method, "GET") != 0,
                           .unreachable = MR_CATALOG_UNREACHABLE};
    bool ok = http_client_call(c->http, &hc, &reply, e);
    if (ok)
        take_reply(&reply, out);
    else
        out->maybe_done = reply.maybe_sent;
    free_headers(&h);
    buf_free(&body);
    http_reply_free(&reply);
    free(url);
    return ok;
}

bool
rest_client_call(struct rest_client *c, const struct rest_call *call, struct rest_reply *out,
                 struct err *e)
{
    *out = (struct rest_reply){0};
    if (!have_token(c, e) || !call_once(c, call, out, e))
        return false;
    if (!c->client_id || (out->status != 401 && out->status != 419))
        return true;
    /* Refused before it was looked at: a new token, once. */
    return fetch_token(c, e) && call_once(c, call, out, e);
}

/* Overrides of the catalog, then ours, then its defaults. */
static const char *
setting(const struct json *config, const char *key, const char *ours)
{
    const char *over = json_get_str(json_get(config, "overrides"), key, NULL);
    return over ? over : (ours ? ours : json_get_str(json_get(config, "defaults"), key, NULL));
}

/* The first answer is not a catalog's: the address or the warehouse is wrong, or the login. */
static bool
not_a_catalog(const struct rest_client *c, const struct rest_reply *r, struct err *e)
{
    (void)!rest_reply_error(r, c->base, e);
    if (e->code == MR_CATALOG_REFUSED || e->code == MR_CATALOG_UNREACHABLE)
        return false;
    e->code = MR_CATALOG_ADDRESS;
    return err_reclass(e, err_info(e->code)->class);
}

static bool
configure(struct rest_client *c, const char *warehouse, struct err *e)
{
    struct buf path = {0};
    struct rest_reply r;
    buf_add_str(&path, "/config");
    if (*warehouse) {
        buf_add_str(&path, "?warehouse=");
        uri_encode(bytes_str(warehouse), "", &path);
    }
    bool ok = rest_client_call(c, &(struct rest_call){.method = "GET", .path = buf_cstr(&path)},
                               &r, e);
    if (ok && r.status >= 500)
        ok = err_set(e, MR_CATALOG_UNREACHABLE, "%s: status %d", c->base, r.status);
    else if (ok && (r.status != 200 || !json_is_object(r.body)))
        ok = not_a_catalog(c, &r, e);
    c->config = ok ? json_ref(r.body) : NULL;
    const char *prefix = ok ? setting(r.body, "prefix", NULL) : NULL;
    if (prefix && *prefix) {
        free(c->prefix);
        c->prefix = mem_printf("/%s", prefix);
    }
    c->idempotent = ok && !json_is_null(json_get(r.body, "idempotency-key-lifetime"));
    rest_reply_free(&r);
    buf_free(&path);
    return ok;
}

/* A URI without a user has the token as its password. */
static void
take_credentials(struct rest_client *c, const struct uri *u)
{
    if (u->user && *u->user) {
        c->client_id = mem_strdup(u->user);
        c->client_secret = mem_strdup(u->password ? u->password : "");
    } else if (u->password) {
        c->token = mem_strdup(u->password);
        c->token_until_ms = UINT64_MAX;
    }
}

bool
rest_client_open(const struct uri *u, struct rest_client **out, struct err *e)
{
    const char *mode = uri_param(u, "tls", "off");
    bool tls = strcmp(mode, "off") != 0;
    if (tls && strcmp(mode, "on") != 0 && strcmp(mode, "verify") != 0)
        return err_set(e, MR_BAD_URI, "option tls is not off, on or verify");
    if (!*u->host)
        return err_set(e, MR_BAD_URI, "iceberg+rest://HOST:PORT/PATH names the catalog");
    struct rest_client *c = mem_zalloc(sizeof(*c));
    size_t n = strlen(u->path);
    while (n && u->path[n - 1] == '/')
        n--;
    c->http = http_client_new();
    c->base = mem_printf("%s://%s%.*s", tls ? "https" : "http", u->hosts, (int)n, u->path);
    c->prefix = mem_strdup("");
    c->scope = mem_strdup(uri_param(u, "scope", "catalog"));
    c->token_uri = *uri_param(u, "oauth2-server-uri", "")
                       ? mem_strdup(uri_param(u, "oauth2-server-uri", ""))
                       : mem_printf("%s/v1/oauth/tokens", c->base);
    if (*uri_param(u, "ca", ""))
        c->ca_file = mem_strdup(uri_param(u, "ca", ""));
    take_credentials(c, u);
    if (!configure(c, uri_param(u, "warehouse", ""), e)) {
        rest_client_free(c);
        return false;
    }
    *out = c;
    return true;
}
