/* Signed requests to an S3 service, repeated where that is right.
 *
 * Protocol: Amazon S3 API Reference, REST, version 2006-03-01. A bucket is the first part of
 * the path (path style) or of the host. Transport failures, 500, 502, 503, 504, 429 and what S3
 * asks to be tried again are, with growing pauses, until RETRY_MS have passed since the first
 * failure: every request here may be sent twice. What a status and its <Code> mean is in
 * s3_client.c. An expired session token is renewed once by the owner's function (struct
 * storage_options), or a minute before it expires.
 *
 * Owner: the storage. Thread: one at a time. Errors: MR_STORAGE_*; no key material in them.
 */
#ifndef MILLRACE_LAKE_S3_CLIENT_H
#define MILLRACE_LAKE_S3_CLIENT_H

#include "base/http_client.h"
#include "lake/sigv4.h"
#include "lake/storage.h"

#define S3_PARAMS_MAX  4
#define S3_HEADERS_MAX 4

struct s3_client;

/* Where an object is. Borrowed from the location, but for the bucket. */
struct s3_place {
    char bucket[64];
    const char *key; /* as it is, not encoded; "": the bucket itself */
};

struct s3_request {
    const char *method;
    const struct s3_place *place;
    struct sigv4_pair query[S3_PARAMS_MAX];    /* up to the first without a name */
    struct sigv4_pair headers[S3_HEADERS_MAX]; /* likewise */
    struct bytes body;                         /* p NULL: none */
    size_t reply_max;                          /* of a success; 0: 16 MiB */
};

struct s3_reply {
    struct http_reply http;
    char code[64]; /* S3's own word for an error; "" when it gave none */
};

MUST bool
s3_client_open(const struct storage_options *o, struct s3_client **out, struct err *e);
void
s3_client_free(struct s3_client *c);
/* Other credentials from here on, and how they are renewed. */
MUST bool
s3_client_renew(struct s3_client *c, const struct storage_options *o, struct err *e);
size_t
s3_client_part_bytes(const struct s3_client *c);
/* true: a success (2xx). false: reply->http.status (0: no answer) and reply->code tell what was
 * answered last. s3_reply_free in both cases. */
MUST bool
s3_client_call(struct s3_client *c, const struct s3_request *r, struct s3_reply *reply,
               struct err *e);
void
s3_reply_free(struct s3_reply *r);

/* s3://BUCKET/KEY, and s3a, s3n as Hadoop writes it. */
bool
s3_is_location(const char *location);
MUST bool
s3_place_of(const char *location, struct s3_place *out, struct err *e);

#endif
