/* Prepared XA transactions: the events of each, kept until the log says how it ended.
 *
 * Kept in memory up to a limit for all of them, above it in one scratch file of the --data
 * folder, which has no name: a process that dies leaves nothing. A transaction's events are a
 * list of extents of that file and a tail in memory; the space of one that ended is given back
 * at once. Durable: nothing, the log has it all (decoder_xa.c). Thread: the decoder's. Limit:
 * XA_MEMORY_MAX and one event in memory; the disk.
 */
#ifndef MILLRACE_CAPTURE_MYSQL_XA_STORE_H
#define MILLRACE_CAPTURE_MYSQL_XA_STORE_H

#include "capture/mysql/binlog_xid.h"

#define XA_MEMORY_MAX ((size_t)16 << 20)

struct xa_store;
struct xa_held;

struct xa_event {
    uint8_t type;
    struct bytes body;
};

/* folder: made when first needed; it must outlive the store. memory_max 0: XA_MEMORY_MAX. */
struct xa_store *
xa_store_new(const char *folder, size_t memory_max);
void
xa_store_free(struct xa_store *s); /* NULL allowed */
/* A transaction begins at (file, pos): the newest of all. One of the same id, whose end the log
 * does not have, is forgotten: its id is free again at the server, so it is gone there. */
struct xa_held *
xa_store_open(struct xa_store *s, const struct binlog_xid *id, const char *file, uint64_t pos);
/* NULL: not known. */
struct xa_held *
xa_store_find(const struct xa_store *s, const struct binlog_xid *id);
bool
xa_held_is(const struct xa_held *h, const struct binlog_xid *id);
/* Copies the event. MR_IO: the scratch file failed. */
MUST bool
xa_held_add(struct xa_store *s, struct xa_held *h, const struct xa_event *ev, struct err *e);
/* Calls back for each event in order; its body is valid in the callback. The store must not
 * change meanwhile. */
MUST bool
xa_held_each(struct xa_store *s, const struct xa_held *h,
             bool (*each)(void *ctx, const struct xa_event *ev, struct err *e), void *ctx,
             struct err *e);
void
xa_store_drop(struct xa_store *s, struct xa_held *h);
/* Where the oldest begins; false: none is held. *file is valid until the next call. */
bool
xa_store_oldest(const struct xa_store *s, const char **file, uint64_t *pos);

#endif
