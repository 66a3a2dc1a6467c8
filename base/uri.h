/* Connection strings: scheme://user:password@host:port/path?key=value&...
 *
 * User and password split at the LAST ':' before the last '@', so "account:user:password@" has
 * the user "account:user". Everything is percent-decoded; `${env:NAME}` and `${file:PATH}` are
 * opaque: nothing in them separates. Several hosts ("a:1,b:2") are kept as text in `hosts`;
 * host and port are then the first's. An IPv6 host stands in brackets, kept without them.
 * Errors name the wrong part, never its content. Owner: the caller (uri_free). Thread:
 * immutable after uri_parse.
 */
#ifndef MILLRACE_BASE_URI_H
#define MILLRACE_BASE_URI_H

#include "base/arena.h"

#define URI_MAX        8192
#define URI_PARAMS_MAX 64

struct uri_param {
    const char *key;
    const char *value; /* "" when there is no '=' */
};

struct uri {
    struct arena mem;
    const char *scheme;   /* lower case */
    const char *user;     /* NULL: none */
    const char *password; /* NULL: none; may be a reference, see secret.h */
    const char *host;     /* "" when the authority is empty: file:///x */
    const char *hosts;    /* "host:port[,host:port...]" as given */
    uint16_t port;        /* 0: not given */
    const char *path;     /* with its leading '/', or "" */
    struct uri_param params[URI_PARAMS_MAX];
    size_t params_len;
};

enum uri_password {
    URI_PASSWORD_MASKED,   /* exactly six '*', however long it is */
    URI_PASSWORD_LEFT_OUT, /* for a record: it is sealed beside the text */
    URI_PASSWORD_PLAIN,    /* for sealing only */
};

/* MR_BAD_URI. On false *out holds nothing. */
MUST bool
uri_parse(const char *text, struct uri *out, struct err *e);
void
uri_free(struct uri *u);
/* A copy of its own, password included. */
MUST bool
uri_copy(const struct uri *u, struct uri *out, struct err *e);
/* The value of a query key, or dflt. */
const char *
uri_param(const struct uri *u, const char *key, const char *dflt);
/* Speaks the key of a password, secret or token? */
bool
uri_is_secret_key(const char *key);
/* Writes u again so that uri_parse reads the same (but for the password). Query values whose
 * key speaks of a password, secret or token are masked with it, and written otherwise. */
void
uri_write(const struct uri *u, enum uri_password password, struct buf *out);
/* uri_write with URI_PASSWORD_MASKED: the only form that may be shown or logged. */
void
uri_masked(const struct uri *u, struct buf *out);
/* The masked form of a text, "(not a valid connection string)" when it cannot be parsed. */
void
uri_masked_text(const char *text, struct buf *out);
/* Percent-encodes everything but unreserved characters and those of `keep`. */
void
uri_encode(struct bytes b, const char *keep, struct buf *out);

#endif
