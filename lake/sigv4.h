/* Signatures of requests to AWS and what speaks like it (Signature Version 4).
 *
 * Source: "Signature Version 4 signing process" of the AWS General Reference; for S3
 * "Authenticating requests (AWS Signature Version 4)": a path is encoded once, and
 * x-amz-content-sha256 is sent. Pure: no clock, no network. Thread: any.
 */
#ifndef MILLRACE_LAKE_SIGV4_H
#define MILLRACE_LAKE_SIGV4_H

#include "base/bytes.h"

#define SIGV4_TIME_SIZE 17 /* "20130524T000000Z" */
#define SIGV4_HASH_SIZE 65 /* hex and NUL */

struct sigv4_pair {
    const char *name;
    const char *value;
};

struct sigv4_request {
    const char *method;
    const char *path;               /* as sent: percent-encoded, with its leading '/' */
    const struct sigv4_pair *query; /* plain, in any order */
    size_t query_len;
    const struct sigv4_pair *headers; /* all that are signed, in any order; one is host */
    size_t headers_len;
    const char *payload_hash; /* sigv4_hash of the body */
    const char *time;         /* x-amz-date, UTC */
    const char *region;
    const char *service;
};

struct sigv4_key {
    const char *id;
    const char *secret;
};

/* Lower-case hex of the SHA-256. */
void
sigv4_hash(struct bytes b, char out[SIGV4_HASH_SIZE]);
void
sigv4_time(uint64_t unix_ms, char out[SIGV4_TIME_SIZE]);
/* The query as it is signed and has to be sent: encoded and sorted, without a '?'. */
void
sigv4_query(const struct sigv4_pair *query, size_t n, struct buf *out);
/* Appends the value of the header Authorization. */
void
sigv4_authorization(const struct sigv4_request *r, const struct sigv4_key *key,
                    struct buf *out);

#endif
