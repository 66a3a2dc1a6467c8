/* What a bucket holds: objects, and uploads that were not completed, page by page.
 *
 * Protocol: ListObjectsV2 and ListMultipartUploads of the Amazon S3 API Reference. Owner: the
 * caller. Thread: the client's. Errors: MR_STORAGE_*.
 */
#ifndef MILLRACE_LAKE_S3_LIST_H
#define MILLRACE_LAKE_S3_LIST_H

#include "lake/s3_client.h"

struct s3_listed {
    char *key;        /* valid during the call, as are all of it */
    char *upload;     /* its id; NULL for an object */
    uint64_t size;    /* of an object */
    uint64_t time_ms; /* Unix; written last, or begun; 0: the server did not tell */
};

typedef bool
s3_listed_fn(void *ctx, const struct s3_listed *entry, struct err *e);

/* place->key: the prefix of the keys, as it stands. */
MUST bool
s3_list_objects(struct s3_client *c, const struct s3_place *place, s3_listed_fn *each,
                void *ctx, struct err *e);
MUST bool
s3_list_uploads(struct s3_client *c, const struct s3_place *place, s3_listed_fn *each,
                void *ctx, struct err *e);

#endif
