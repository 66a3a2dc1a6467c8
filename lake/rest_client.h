/* Calls to an Iceberg REST catalog: configuration, authorization, answers.
 *
 * Protocol: apache/iceberg open-api/rest-catalog-open-api.yaml. The URI's user and password are
 * OAuth2 client credentials; a password without a user is a bearer token; neither: no
 * authorization. Options: tls=off|on|verify (off; on and verify both check who answers),
 * ca=FILE, warehouse, oauth2-server-uri (the catalog's own /v1/oauth/tokens if not given),
 * scope (catalog). A token is fetched anew a minute before it expires, and once when the
 * catalog refuses it.
 *
 * Owner: the catalog. Thread: one at a time. Errors: MR_CATALOG_*.
 */
#ifndef MILLRACE_LAKE_REST_CLIENT_H
#define MILLRACE_LAKE_REST_CLIENT_H

#include "base/http_client.h"
#include "base/json.h"
#include "base/uri.h"

struct rest_client;

struct rest_call {
    const char *method;
    const char *path;        /* behind BASE/v1/PREFIX: "/namespaces/.." */
    const struct json *body; /* NULL: none */
    const char *etag;        /* If-None-Match; NULL: none */
    const char *key;         /* Idempotency-Key; NULL: none */
};

struct rest_reply {
    int status;
    bool maybe_done;   /* the call failed, or says 5xx: the catalog may have acted */
    struct json *body; /* NULL: none, or no JSON */
    char etag[256];    /* "" when none */
};

/* Asks for the catalog's configuration. */
MUST bool
rest_client_open(const struct uri *u, struct rest_client **out, struct err *e);
void
rest_client_free(struct rest_client *c); /* NULL allowed */
/* The catalog knows Idempotency-Key. */
bool
rest_client_idempotent(const struct rest_client *c);
/* What the catalog said of itself: {defaults, overrides}. */
const struct json *
rest_client_config(const struct rest_client *c);
/* true: an answer came, whatever its status. rest_reply_free in both cases. */
MUST bool
rest_client_call(struct rest_client *c, const struct rest_call *call, struct rest_reply *out,
                 struct err *e);
/* Fills *e for an answer that is no success: by status, with the catalog's own words; false. */
bool
rest_reply_error(const struct rest_reply *r, const char *what, struct err *e);
void
rest_reply_free(struct rest_reply *r);

#endif
