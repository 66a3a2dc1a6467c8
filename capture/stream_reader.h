/* Stream reader: the thread that empties the source's socket. It copies raw packets into blocks
 * and never looks inside.
 *
 * A block goes to the core when it is full or when nothing more is waiting at the socket; the
 * core gives it back. When the core is slow the blocks run out and the socket is not read:
 * back-pressure (the source's write timeout is set to `net.write.timeout.s`). Limit:
 * STREAM_BLOCKS x STREAM_BLOCK_BYTES + one packet.
 */
#ifndef MILLRACE_CAPTURE_STREAM_READER_H
#define MILLRACE_CAPTURE_STREAM_READER_H

#include "capture/session.h"

#define STREAM_BLOCKS      6
#define STREAM_BLOCK_BYTES ((size_t)256 << 10)

/* Packets, each behind its length (4 bytes, little-endian). */
struct stream_block {
    struct inbox_item head;
    struct buf data;
    bool ended; /* the stream is over: err says why; nothing follows */
    struct err err;
};

struct stream_reader *
stream_reader_start(struct session *s, struct source_stream *st);
/* Back to the pool. */
void
stream_block_return(struct stream_reader *r, struct stream_block *b);
/* Ends the thread and closes the stream; its blocks stay readable until stream_reader_free.
 * NULL allowed for both. */
void
stream_reader_stop(struct stream_reader *r);
void
stream_reader_free(struct stream_reader *r);
/* Blocks the reader has handed over that did not come back, that is: how far the core is
 * behind. */
unsigned
stream_reader_behind(const struct stream_reader *r);

#endif
