/* HTTP client over libcurl: an easy handle that keeps its connections. */
#include "base/http_client.h"

#include <curl/curl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "base/text.h"

#define HTTP_CONNECT_MS  5000
#define HTTP_TIMEOUT_MS  30000
#define HTTP_REPLY_MAX   ((size_t)16 << 20)
#define HTTP_HEADERS_MAX ((size_t)64 << 10)

struct http_client {
    CURL *curl;
};

static pthread_once_t curl_once = PTHREAD_ONCE_INIT;

static void
curl_begin(void)
{
    if (curl_global_init(CURL_GLOBAL_DEFAULT))
        mem_die("libcurl could not be started");
}

struct http_client *
http_client_new(void)
{
    pthread_once(&curl_once, curl_begin);
    struct http_client *c = mem_zalloc(sizeof(*c));
    c->curl = curl_easy_init();
    if (!c->curl)
        mem_die("no memory for an HTTP client");
    return c;
}

void
http_client_free(struct http_client *c)
{
    if (!c)
        return;
    curl_easy_cleanup(c->curl);
    free(c);
}

/* An answer on its way in. */
struct incoming {
    struct http_reply *reply;
    size_t body_max;
    size_t above; /* the limit that was passed; 0: none */
};

/* Adds n bytes to a part of at most max; what libcurl wants to hear: n, or 0 to end the
 * transfer. */
static size_t
take(struct incoming *in, struct buf *part, size_t max, const char *p, size_t n)
{
    if (n > max - part->n) {
        in->above = max;
        return 0;
    }
    buf_add(part, p, n);
    return part->failed ? 0 : n;
}

static size_t
take_body(char *p, size_t size, size_t count, void *ctx)
{
    struct incoming *in = ctx;
    return take(in, &in->reply->body, in->body_max, p, size * count);
}

/* A status line begins the headers of another answer (100 Continue, then the real one). */
static size_t
take_header(char *p, size_t size, size_t count, void *ctx)
{
    struct incoming *in = ctx;
    size_t n = size * count;
    if (n >= 5 && memcmp(p, "HTTP/", 5) == 0)
        buf_reset(&in->reply->headers);
    return take(in, &in->reply->headers, HTTP_HEADERS_MAX, p, n);
}

/* The address without user, password and query, for errors. */
static void
shown_url(const char *url, char *out, size_t out_size)
{
    CURLU *u = curl_url();
    char *text = NULL;
    if (u && curl_url_set(u, CURLUPART_URL, url, 0) == CURLUE_OK) {
        curl_url_set(u, CURLUPART_USER, NULL, 0);
        curl_url_set(u, CURLUPART_PASSWORD, NULL, 0);
        curl_url_set(u, CURLUPART_OPTIONS, NULL, 0);
        curl_url_set(u, CURLUPART_QUERY, NULL, 0);
        curl_url_set(u, CURLUPART_FRAGMENT, NULL, 0);
        curl_url_get(u, CURLUPART_URL, &text, 0);
    }
    snprintf(out, out_size, "%s", text ? text : "(not a valid address)");
    curl_free(text);
    curl_url_cleanup(u);
}

static void
set_method(CURL *curl, const struct http_call *call)
{
    const char *method = call->method ? call->method : "GET";
    if (call->body.p) {
        curl_easy_setopt(curl, CURLOPT_POSTFIELDS,
                         call->body.n ? (const char *)call->body.p : "");
        curl_easy_setopt(curl, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)call->body.n);
    }
    if (strcmp(method, "HEAD") == 0)
        curl_easy_setopt(curl, CURLOPT_NOBODY, 1L);
    else
        curl_easy_setopt(curl, CURLOPT_CUSTOMREQUEST, method);
}

static void
set_limits(CURL *curl, const struct http_call *call)
{
    unsigned connect_ms = call->connect_timeout_ms ? call->connect_timeout_ms : HTTP_CONNECT_MS;
    unsigned all_ms = call->timeout_ms ? call->timeout_ms : HTTP_TIMEOUT_MS;
    curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT_MS, (long)connect_ms);
    curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, (long)all_ms);
    if (call->stall_s) {
        curl_easy_setopt(curl, CURLOPT_LOW_SPEED_LIMIT, 1L);
        curl_easy_setopt(curl, CURLOPT_LOW_SPEED_TIME, (long)call->stall_s);
    }
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_FOLLOWLOCATION, 0L);
    curl_easy_setopt(curl, CURLOPT_PROTOCOLS_STR, "http,https");
    curl_easy_setopt(curl, CURLOPT_TCP_KEEPALIVE, 1L);
    curl_easy_setopt(curl, CURLOPT_FRESH_CONNECT, call->once ? 1L : 0L);
}

static void
set_login(CURL *curl, const struct http_call *call)
{
    if (call->ca_file)
        curl_easy_setopt(curl, CURLOPT_CAINFO, call->ca_file);
    if (!call->user)
        return;
    curl_easy_setopt(curl, CURLOPT_HTTPAUTH, CURLAUTH_BASIC);
    curl_easy_setopt(curl, CURLOPT_USERNAME, call->user);
    curl_easy_setopt(curl, CURLOPT_PASSWORD, call->password ? call->password : "");
}

/* curl_slist_free_all. "Expect:" would cost a round trip; a body's type is the caller's to
 * give. */
static struct curl_slist *
header_list(const struct http_call *call)
{
    struct curl_slist *list = curl_slist_append(NULL, "Expect:");
    for (size_t i = 0; list && call->headers && call->headers[i]; i++) {
        struct curl_slist *longer = curl_slist_append(list, call->headers[i]);
        if (!longer)
            curl_slist_free_all(list);
        list = longer;
    }
    if (!list)
        mem_die("no memory for HTTP headers");
    return list;
}

static bool
was_maybe_sent(CURL *curl, CURLcode rc)
{
    curl_off_t begun_us = 0; /* time until the request could begin; 0: it never did */
    if (rc == CURLE_COULDNT_CONNECT || rc == CURLE_COULDNT_RESOLVE_HOST)
        return false;
    curl_easy_getinfo(curl, CURLINFO_PRETRANSFER_TIME_T, &begun_us);
    return begun_us > 0;
}

static bool
call_failed(struct http_client *c, const struct http_call *call, CURLcode rc,
            const struct incoming *in, struct err *e)
{
    char url[512];
    shown_url(call->url, url, sizeof(url));
    enum err_code code = call->unreachable ? call->unreachable : MR_IO;
    const char *method = call->method ? call->method : "GET";
    in->reply->maybe_sent = was_maybe_sent(c->curl, rc);
    if (in->above)
        return err_set(e, code, "%s %s: the answer is larger than %zu bytes", method, url,
                       in->above);
    return err_set(e, code, "%s %s: %s", method, url, curl_easy_strerror(rc));
}

static CURLcode
perform(CURL *curl, const struct http_call *call, struct incoming *in)
{
    struct curl_slist *headers = header_list(call);
    curl_easy_reset(curl);
    curl_easy_setopt(curl, CURLOPT_URL, call->url);
    curl_easy_setopt(curl, CURLOPT_PATH_AS_IS, 1L);
    set_method(curl, call);
    set_limits(curl, call);
    set_login(curl, call);
    curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, take_body);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, in);
    curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, take_header);
    curl_easy_setopt(curl, CURLOPT_HEADERDATA, in);
    CURLcode rc = curl_easy_perform(curl);
    curl_easy_setopt(curl, CURLOPT_HTTPHEADER, NULL);
    curl_slist_free_all(headers);
    return rc;
}

bool
http_client_call(struct http_client *c, const struct http_call *call, struct http_reply *reply,
                 struct err *e)
{
    struct incoming in = {.reply = reply,
                          .body_max = call->reply_max ? call->reply_max : HTTP_REPLY_MAX};
    long status = 0;
    buf_reset(&reply->body);
    buf_reset(&reply->headers);
    reply->status = 0;
    reply->maybe_sent = false;
    CURLcode rc = perform(c->curl, call, &in);
    if (rc != CURLE_OK)
        return call_failed(c, call, rc, &in, e);
    curl_easy_getinfo(c->curl, CURLINFO_RESPONSE_CODE, &status);
    reply->status = (int)status;
    reply->maybe_sent = true;
    return true;
}

bool
http_reply_header(const struct http_reply *r, const char *name, char *out, size_t out_size)
{
    size_t name_len = strlen(name);
    const char *p = (const char *)r->headers.p;
    const char *end = r->headers.n ? p + r->headers.n : p;
    while (p < end) {
        const char *line_end = memchr(p, '\n', (size_t)(end - p));
        const char *next = line_end ? line_end + 1 : end;
        const char *v = p + name_len + 1;
        if (v <= next && p[name_len] == ':' && strncasecmp(p, name, name_len) == 0) {
            size_t n = (size_t)(next - v);
            while (n && strchr(" \t\r\n", v[n - 1]))
                n--;
            for (; n && strchr(" \t", *v); n--)
                v++;
            if (n >= out_size)
                return false;
            memcpy(out, v, n);
            out[n] = '\0';
            return true;
        }
        p = next;
    }
    return false;
}

void
http_reply_free(struct http_reply *r)
{
    buf_free(&r->body);
    buf_free(&r->headers);
}
