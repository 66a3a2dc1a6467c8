/* A small HTTP/1.1 server on its own thread (libmicrohttpd, whose header only
 * base/http_server.c sees).
 *
 * One handler answers every request, called on the server's thread: it must not wait long.
 * Limits: body HTTP_BODY_MAX (413), 64 connections, 30 s idle. A response without body is fine.
 * Owner: whoever started it; http_server_stop waits for the running handler.
 */
#ifndef MILLRACE_BASE_HTTP_SERVER_H
#define MILLRACE_BASE_HTTP_SERVER_H

#include "base/bytes.h"

#define HTTP_BODY_MAX             ((size_t)1 << 20)
#define HTTP_RESPONSE_HEADERS_MAX 8

struct http_server;

struct http_request {
    const char *method; /* "GET", ... */
    const char *path;   /* decoded, begins with '/' */
    const char *query;  /* raw text after '?', "" when none */
    struct bytes body;
    void *connection; /* private */
};

struct http_response {
    int status;               /* 200 unless set */
    const char *content_type; /* static text; "application/json" unless set */
    struct buf body;          /* freed by the server */
    struct {
        const char *name; /* static text */
        char value[256];
    } headers[HTTP_RESPONSE_HEADERS_MAX];
    size_t headers_len;
};

typedef void
http_handler_fn(void *ctx, const struct http_request *req, struct http_response *res);

/* listen: "HOST:PORT", "[V6]:PORT", ":PORT" (every address); port 0 = any free one. MR_CONFIG
 * on a bad text, MR_IO when the port is taken. */
MUST bool
http_server_start(const char *listen, http_handler_fn *handler, void *ctx,
                  struct http_server **out, struct err *e);
uint16_t
http_server_port(const struct http_server *s);
void
http_server_stop(struct http_server *s); /* NULL allowed */

/* Inside a handler: the decoded value of a query key or a header, or NULL. Borrowed until the
 * handler returns. */
const char *
http_request_param(const struct http_request *req, const char *key);
const char *
http_request_header(const struct http_request *req, const char *name);
/* Adds a response header; name must be static text. Beyond the limits it is dropped. */
void
http_response_header(struct http_response *res, const char *name, const char *value);

#endif
