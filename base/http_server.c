/* HTTP server over libmicrohttpd: one polling thread of its own. */
#include "base/http_server.h"

#include <arpa/inet.h>
#include <errno.h>
#include <microhttpd.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/mem.h"

#define HTTP_CONNECTIONS_MAX 64
#define HTTP_IDLE_S          30
#define HTTP_MEMORY_MAX      ((size_t)64 << 10) /* of a connection: bounds the headers */

struct http_server {
    struct MHD_Daemon *daemon;
    http_handler_fn *handler;
    void *ctx;
    uint16_t port;
};

/* One request on its way in: made by begin_request, freed by end_request. */
struct http_exchange {
    char *query;
    struct buf body;
    bool begun;
    bool too_large;
};

/* "HOST:PORT" to its parts; the host of "[V6]" without brackets. */
static bool
split_listen(const char *listen, char *host, size_t host_size, const char **port, struct err *e)
{
    const char *colon = strrchr(listen, ':');
    size_t n = colon ? (size_t)(colon - listen) : 0;
    const char *begin = listen;
    if (n >= 2 && listen[0] == '[' && listen[n - 1] == ']') {
        begin++;
        n -= 2;
    }
    if (!colon || !colon[1] || strspn(colon + 1, "0123456789") != strlen(colon + 1) ||
        strtoul(colon + 1, NULL, 10) > 65535 || n >= host_size)
        return err_set(e, MR_CONFIG, "listen: \"%s\" is not HOST:PORT", listen);
    memcpy(host, begin, n);
    host[n] = '\0';
    *port = colon + 1;
    return true;
}

static int
listen_on(const struct addrinfo *a)
{
    const int on = 1;
    const int off = 0;
    int fd = socket(a->ai_family, a->ai_socktype | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0)
        return -1;
    setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
    if (a->ai_family == AF_INET6)
        setsockopt(fd, IPPROTO_IPV6, IPV6_V6ONLY, &off, sizeof(off));
    if (bind(fd, a->ai_addr, a->ai_addrlen) == 0 && listen(fd, SOMAXCONN) == 0)
        return fd;
    int why = errno;
    close(fd);
    errno = why;
    return -1;
}

static bool
open_listener(const char *text, int *out, struct err *e)
{
    char host[256];
    const char *port;
    struct addrinfo *list;
    if (!split_listen(text, host, sizeof(host), &port, e))
        return false;
    struct addrinfo hints = {.ai_socktype = SOCK_STREAM,
                             .ai_flags = AI_PASSIVE | AI_NUMERICSERV};
    int rc = getaddrinfo(*host ? host : NULL, port, &hints, &list);
    if (rc)
        return err_set(e, MR_CONFIG, "listen %s: %s", text, gai_strerror(rc));
    int fd = -1;
    /* Without a host the IPv6 socket serves both families, where there is IPv6. */
    for (int pass = *host ? 1 : 0; fd < 0 && pass < 2; pass++) {
        for (const struct addrinfo *a = list; fd < 0 && a; a = a->ai_next) {
            if (pass || a->ai_family == AF_INET6)
                fd = listen_on(a);
        }
    }
    int why = errno;
    freeaddrinfo(list);
    if (fd < 0)
        return err_set(e, MR_IO, "listen %s: %s", text, strerrordesc_np(why));
    *out = fd;
    return true;
}

static uint16_t
port_of(int fd)
{
    struct sockaddr_storage a = {0};
    socklen_t n = sizeof(a);
    if (getsockname(fd, (struct sockaddr *)&a, &n))
        return 0;
    if (a.ss_family == AF_INET6)
        return ntohs(((struct sockaddr_in6 *)&a)->sin6_port);
    return ntohs(((struct sockaddr_in *)&a)->sin_port);
}

/* MHD calls it first, with the raw address; gives the exchange that travels as *con_cls. */
static void *
begin_request(void *cls, const char *uri, struct MHD_Connection *connection)
{
    (void)cls;
    (void)connection;
    struct http_exchange *x = mem_zalloc(sizeof(*x));
    const char *question = strchr(uri, '?');
    x->query = mem_strdup(question ? question + 1 : "");
    x->body.max = HTTP_BODY_MAX;
    return x;
}

static void
end_request(void *cls, struct MHD_Connection *connection, void **con_cls,
            enum MHD_RequestTerminationCode code)
{
    (void)cls;
    (void)connection;
    (void)code;
    struct http_exchange *x = *con_cls;
    if (!x)
        return;
    free(x->query);
    buf_free(&x->body);
    free(x);
    *con_cls = NULL;
}

static enum MHD_Result
send_response(struct MHD_Connection *connection, struct http_response *res)
{
    /* The body's memory goes to MHD, which frees it. */
    struct MHD_Response *r =
        MHD_create_response_from_buffer(res->body.n, res->body.p, MHD_RESPMEM_MUST_FREE);
    if (!r) {
        buf_free(&res->body);
        return MHD_NO;
    }
    if (res->body.n)
        MHD_add_response_header(r, "Content-Type", res->content_type);
    MHD_add_response_header(r, "X-Content-Type-Options", "nosniff");
    for (size_t i = 0; i < res->headers_len; i++)
        MHD_add_response_header(r, res->headers[i].name, res->headers[i].value);
    enum MHD_Result sent = MHD_queue_response(connection, (unsigned)res->status, r);
    MHD_destroy_response(r);
    return sent;
}

static enum MHD_Result
send_text(struct MHD_Connection *connection, int status, const char *text)
{
    struct http_response res = {.status = status, .content_type = "text/plain; charset=utf-8"};
    buf_add_str(&res.body, text);
    return send_response(connection, &res);
}

static enum MHD_Result
answer(const struct http_server *s, struct http_request *req)
{
    struct http_response res = {.status = 200, .content_type = "application/json"};
    s->handler(s->ctx, req, &res);
    if (!res.body.failed)
        return send_response(req->connection, &res);
    buf_free(&res.body);
    return send_text(req->connection, 500, "the answer is too large\n");
}

/* MHD calls it once with the headers, then with each part of the body, then with none. */
static enum MHD_Result
on_request(void *cls, struct MHD_Connection *connection, const char *url, const char *method,
           const char *version, const char *data, size_t *data_len, void **con_cls)
{
    (void)version;
    struct http_exchange *x = *con_cls;
    if (!x->begun) {
        x->begun = true;
        return MHD_YES;
    }
    if (*data_len) {
        if (!x->too_large)
            buf_add(&x->body, data, *data_len);
        x->too_large = x->too_large || x->body.failed;
        *data_len = 0;
        return MHD_YES;
    }
    if (x->too_large)
        return send_text(connection, MHD_HTTP_CONTENT_TOO_LARGE, "the body is too large\n");
    struct http_request req = {.method = method,
                               .path = url,
                               .query = x->query,
                               .body = buf_bytes(&x->body),
                               .connection = connection};
    return answer(cls, &req);
}

bool
http_server_start(const char *listen, http_handler_fn *handler, void *ctx,
                  struct http_server **out, struct err *e)
{
    int fd;
    if (!open_listener(listen, &fd, e))
        return false;
    struct http_server *s = mem_zalloc(sizeof(*s));
    *s = (struct http_server){.handler = handler, .ctx = ctx, .port = port_of(fd)};
    s->daemon = MHD_start_daemon(
        MHD_USE_POLL_INTERNAL_THREAD, 0, NULL, NULL, on_request, s, MHD_OPTION_LISTEN_SOCKET,
        fd, MHD_OPTION_CONNECTION_LIMIT, (unsigned)HTTP_CONNECTIONS_MAX,
        MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)HTTP_IDLE_S,
        MHD_OPTION_CONNECTION_MEMORY_LIMIT, HTTP_MEMORY_MAX, MHD_OPTION_URI_LOG_CALLBACK,
        begin_request, NULL, MHD_OPTION_NOTIFY_COMPLETED, end_request, NULL, MHD_OPTION_END);
    if (!s->daemon) {
        close(fd);
        free(s);
        return err_set(e, MR_IO, "listen %s: the HTTP server did not start", listen);
    }
    *out = s;
    return true;
}

uint16_t
http_server_port(const struct http_server *s)
{
    return s->port;
}

void
http_server_stop(struct http_server *s)
{
    if (!s)
        return;
    MHD_stop_daemon(s->daemon);
    free(s);
}

const char *
http_request_param(const struct http_request *req, const char *key)
{
    return MHD_lookup_connection_value(req->connection, MHD_GET_ARGUMENT_KIND, key);
}

const char *
http_request_header(const struct http_request *req, const char *name)
{
    return MHD_lookup_connection_value(req->connection, MHD_HEADER_KIND, name);
}

void
http_response_header(struct http_response *res, const char *name, const char *value)
{
    size_t n = strlen(value);
    if (res->headers_len == HTTP_RESPONSE_HEADERS_MAX || n >= sizeof(res->headers[0].value))
        return;
    res->headers[res->headers_len].name = name;
    memcpy(res->headers[res->headers_len++].value, value, n + 1);
}
