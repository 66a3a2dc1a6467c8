/* HTTP requests (libcurl, whose header only base/http_client.c sees): registry, REST catalog,
 * S3, webhooks.
 *
 * A client keeps its connections open between calls. Owner: one thread. Only http and https;
 * redirects are not followed; a path is sent as it is, with its dots; URLs in errors are shown
 * without user and query.
 */
#ifndef MILLRACE_BASE_HTTP_CLIENT_H
#define MILLRACE_BASE_HTTP_CLIENT_H

#include "base/bytes.h"

struct http_client;

struct http_call {
    const char *method; /* "GET" when NULL */
    const char *url;
    const char *const *headers; /* "Name: value", NULL-terminated; NULL: none */
    struct bytes body;          /* sent when p is not NULL */
    const char *user;           /* basic authentication; NULL: none */
    const char *password;
    const char *ca_file;         /* NULL: the system's */
    unsigned connect_timeout_ms; /* 0: 5 s */
    unsigned timeout_ms;         /* whole call; 0: 30 s */
    unsigned stall_s;            /* ends a call that passes no byte for so long; 0: none does */
    size_t reply_max;            /* body bytes accepted; 0: 16 MiB */
    bool once; /* never sent twice: libcurl repeats a request whose kept connection was dead */
    enum err_code unreachable; /* code of an error; 0: MR_IO */
};

/* Zero-initialise; reuse or http_reply_free. */
struct http_reply {
    int status;      /* 0: no answer came */
    bool maybe_sent; /* the server may have seen the request, though the call failed */
    struct buf body;
    struct buf headers; /* raw lines of the last answer */
};

struct http_client *
http_client_new(void);
void
http_client_free(struct http_client *c); /* NULL allowed */
/* true: an answer came, whatever its status. */
MUST bool
http_client_call(struct http_client *c, const struct http_call *call, struct http_reply *reply,
                 struct err *e);
/* The value of a reply header (any case), copied into out; false when absent or too long. */
bool
http_reply_header(const struct http_reply *r, const char *name, char *out, size_t out_size);
void
http_reply_free(struct http_reply *r);

#endif
