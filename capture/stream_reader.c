#include "capture/stream_reader.h"

#include <stdlib.h>

#include "base/mem.h"
#include "base/thread.h"

struct stream_reader {
    const struct source_ops *ops;
    struct source_stream *stream;
    struct ring *inbox;
    struct ring *free;
    struct stream_block blocks[STREAM_BLOCKS];
    struct thread thread;
    atomic_uint behind;
};

static void
put_packet(struct stream_block *b, struct bytes data)
{
    uint8_t len[4] = {(uint8_t)data.n, (uint8_t)(data.n >> 8), (uint8_t)(data.n >> 16),
                      (uint8_t)(data.n >> 24)};
    buf_add(&b->data, len, sizeof(len));
    buf_add_bytes(&b->data, data);
}

static void
hand_over(struct stream_reader *r, struct stream_block *b)
{
    atomic_fetch_add(&r->behind, 1);
    if (!ring_push(r->inbox, &b->head))
        stream_block_return(r, b);
}

/* Fills one block; false: it holds the stream's end. */
static bool
fill(struct stream_reader *r, struct stream_block *b)
{
    for (;;) {
        struct source_packet p;
        if (!r->ops->stream_read(r->stream, &p, &b->err)) {
            b->ended = true;
            return false;
        }
        put_packet(b, p.data);
        if (b->data.failed) {
            b->ended = true;
            return err_set(&b->err, MR_NO_MEMORY, "a packet of %zu bytes", p.data.n);
        }
        if (!p.more || b->data.n >= STREAM_BLOCK_BYTES)
            return true;
    }
}

static void
run(void *arg)
{
    struct stream_reader *r = arg;
    bool going = true;
    while (going) {
        struct stream_block *b = ring_pop(r->free, -1);
        if (b == NULL)
            return;
        going = fill(r, b);
        hand_over(r, b);
    }
}

struct stream_reader *
stream_reader_start(struct session *s, struct source_stream *st)
{
    struct stream_reader *r = mem_zalloc(sizeof(*r));
    r->ops = s->ops;
    r->stream = st;
    r->inbox = s->inbox;
    r->free = ring_new(STREAM_BLOCKS);
    for (unsigned i = 0; i < STREAM_BLOCKS; i++) {
        r->blocks[i].head.kind = INBOX_STREAM;
        if (!ring_push(r->free, &r->blocks[i]))
            mem_die("stream reader: a new ring refused a block");
    }
    thread_start(&r->thread, "mr-read", run, r);
    return r;
}

void
stream_block_return(struct stream_reader *r, struct stream_block *b)
{
    buf_reset(&b->data);
    if (b->data.cap > 4 * STREAM_BLOCK_BYTES)
        buf_free(&b->data);
    atomic_fetch_sub(&r->behind, 1);
    /* A closed ring means the reader is being stopped: the block stays where it is. */
    if (!ring_push(r->free, b))
        return;
}

void
stream_reader_stop(struct stream_reader *r)
{
    if (r == NULL)
        return;
    ring_close(r->free);
    r->ops->stream_stop(r->stream);
    thread_join(&r->thread);
    r->ops->stream_close(r->stream);
}

void
stream_reader_free(struct stream_reader *r)
{
    if (r == NULL)
        return;
    while (ring_pop(r->free, 0) != NULL)
        continue;
    for (unsigned i = 0; i < STREAM_BLOCKS; i++)
        buf_free(&r->blocks[i].data);
    ring_destroy(r->free);
    free(r);
}

unsigned
stream_reader_behind(const struct stream_reader *r)
{
    return atomic_load(&r->behind);
}
