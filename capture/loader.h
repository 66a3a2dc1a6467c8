/* Loader: a thread with a source connection of its own that waits for marks and reads chunks.
 *
 * It keeps the key of the last row it read of its range, so that the next order can be given
 * before the chunk before it came back. An order with `restart` begins at the order's `after`.
 * Thread: the loader's; loader_order, loader_free by the core. Limit: LOADER_ORDERS chunks in
 * memory a loader.
 */
#ifndef MILLRACE_CAPTURE_LOADER_H
#define MILLRACE_CAPTURE_LOADER_H

#include "capture/session.h"

#define LOADER_ORDERS 2

struct loader;

struct loader_order {
    struct arena arena;
    void *range;           /* the core's; comes back with the chunk */
    struct window *window; /* likewise; not touched by the loader */
    struct table *table;   /* a reference */
    struct position p0;
    bool whole;   /* a table without a key: the rows of one snapshot, opened with restart */
    bool abandon; /* no chunk: a snapshot that is open goes */
    bool restart;
    const struct cell *after; /* with restart: key cells, NULL = from the first row */
    const struct cell *upto;  /* NULL = to the last row */
    uint32_t rows_max;
    size_t bytes_max;
    bool want_estimate;
};

struct loader_chunk {
    struct inbox_item head;
    struct loader *loader;
    struct loader_order *order;
    struct arena arena;
    struct source_chunk chunk;
    struct source_estimate estimate;
    struct position low;  /* mark before the read: it covers the order's p0 */
    struct position high; /* mark after the read; whole: both are the snapshot's place */
    bool ok;
    struct err err;
};

struct loader *
loader_new(struct session *s, unsigned number, struct source_loader *connection);
struct loader_order *
loader_order_new(void);
/* Takes the order; at most LOADER_ORDERS at a time. */
void
loader_give(struct loader *l, struct loader_order *o);
/* None of its orders is out, and the rest of a snapshot is not wanted. */
void
loader_abandon(struct loader *l);
void
loader_chunk_free(struct loader_chunk *c);
/* Ends the thread; what it still held is freed. */
void
loader_free(struct loader *l);

#endif
