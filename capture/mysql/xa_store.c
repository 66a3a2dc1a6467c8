/* Prepared XA transactions in memory and in a scratch file: see xa_store.h.
 *
 * A record: type 1, length of the body 4 (little-endian), body. An extent holds whole records.
 */
#include "capture/mysql/xa_store.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/file.h"
#include "base/log.h"
#include "base/map.h"
#include "base/mem.h"

struct extent {
    off_t at;
    size_t n;
};

struct xa_held {
    struct binlog_xid id;
    char file[256];
    uint64_t pos;
    struct buf tail;
    struct extent *extents;
    size_t extent_count, extent_cap;
    struct xa_held *older, *newer;
};

struct xa_store {
    const char *folder;
    size_t memory_max;
    size_t memory; /* of all tails */
    struct map by_id;
    struct xa_held *oldest, *newest;
    int fd; /* of the scratch file; -1: none yet */
    off_t end;
    size_t extents; /* in use */
    struct buf read;
};

struct xa_store *
xa_store_new(const char *folder, size_t memory_max)
{
    struct xa_store *s = mem_zalloc(sizeof(*s));
    s->folder = folder;
    s->memory_max = memory_max ? memory_max : XA_MEMORY_MAX;
    s->fd = -1;
    return s;
}

void
xa_store_free(struct xa_store *s)
{
    if (!s)
        return;
    while (s->oldest)
        xa_store_drop(s, s->oldest);
    if (s->fd >= 0)
        close(s->fd);
    map_free(&s->by_id);
    buf_free(&s->read);
    free(s);
}

struct xa_held *
xa_store_find(const struct xa_store *s, const struct binlog_xid *id)
{
    struct map_slot *slot = map_get(&s->by_id, binlog_xid_bytes(id));
    return slot ? slot->v.ptr : NULL;
}

bool
xa_held_is(const struct xa_held *h, const struct binlog_xid *id)
{
    return bytes_eq(binlog_xid_bytes(&h->id), binlog_xid_bytes(id));
}

struct xa_held *
xa_store_open(struct xa_store *s, const struct binlog_xid *id, const char *file, uint64_t pos)
{
    struct xa_held *h = xa_store_find(s, id);
    bool fresh;
    if (h) {
        log_warn("xa_forgotten", F_STR("file", h->file), F_U64("pos", h->pos));
        xa_store_drop(s, h);
    }
    h = mem_zalloc(sizeof(*h));
    h->id = *id;
    snprintf(h->file, sizeof(h->file), "%s", file);
    h->pos = pos;
    h->older = s->newest;
    if (s->newest)
        s->newest->newer = h;
    else
        s->oldest = h;
    s->newest = h;
    map_put(&s->by_id, binlog_xid_bytes(&h->id), &fresh)->v.ptr = h;
    return h;
}

/* The file's blocks are given back; a file system that cannot keeps them until all are free. */
static void
free_extents(struct xa_store *s, struct xa_held *h)
{
    s->extents -= h->extent_count;
    for (size_t i = 0; i < h->extent_count && s->extents; i++)
        if (fallocate(s->fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, h->extents[i].at,
                      (off_t)h->extents[i].n) != 0)
            break;
    if (h->extent_count && !s->extents && ftruncate(s->fd, 0) == 0)
        s->end = 0;
    free(h->extents);
}

void
xa_store_drop(struct xa_store *s, struct xa_held *h)
{
    if (h->older)
        h->older->newer = h->newer;
    else
        s->oldest = h->newer;
    if (h->newer)
        h->newer->older = h->older;
    else
        s->newest = h->older;
    map_del(&s->by_id, binlog_xid_bytes(&h->id));
    s->memory -= h->tail.n;
    free_extents(s, h);
    buf_free(&h->tail);
    free(h);
}

bool
xa_store_oldest(const struct xa_store *s, const char **file, uint64_t *pos)
{
    if (!s->oldest)
        return false;
    *file = s->oldest->file;
    *pos = s->oldest->pos;
    return true;
}

/* ---- the scratch file ---- */

static bool
io_failed(const struct xa_store *s, const char *what, struct err *e)
{
    return err_set(e, MR_IO, "%s the scratch file of prepared XA transactions in %s: %s", what,
                   s->folder, strerrordesc_np(errno));
}

MUST static bool
open_file(struct xa_store *s, struct err *e)
{
    if (s->fd >= 0)
        return true;
    if (!file_make_folder(s->folder, e))
        return false;
    char *name = mem_printf("%s/xa.XXXXXX", s->folder);
    s->fd = mkostemp(name, O_CLOEXEC);
    bool ok = s->fd >= 0 && unlink(name) == 0;
    free(name);
    return ok || io_failed(s, "create", e);
}

MUST static bool
write_at(const struct xa_store *s, struct bytes b, struct err *e)
{
    off_t at = s->end;
    while (b.n) {
        ssize_t n = pwrite(s->fd, b.p, b.n, at);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return io_failed(s, "write", e);
        b = bytes_of(b.p + n, b.n - (size_t)n);
        at += n;
    }
    return true;
}

MUST static bool
spill(struct xa_store *s, struct xa_held *h, struct err *e)
{
    if (h->tail.n == 0)
        return true;
    if (!open_file(s, e) || !write_at(s, buf_bytes(&h->tail), e))
        return false;
    if (h->extent_count == h->extent_cap) {
        h->extent_cap = h->extent_cap ? h->extent_cap * 2 : 4;
        h->extents = mem_realloc(h->extents, h->extent_cap * sizeof(*h->extents));
    }
    h->extents[h->extent_count++] = (struct extent){s->end, h->tail.n};
    s->extents++;
    s->end += (off_t)h->tail.n;
    s->memory -= h->tail.n;
    buf_free(&h->tail);
    return true;
}

bool
xa_held_add(struct xa_store *s, struct xa_held *h, const struct xa_event *ev, struct err *e)
{
    size_t before = h->tail.n;
    uint32_t n = (uint32_t)ev->body.n;
    uint8_t head[5] = {ev->type, (uint8_t)n, (uint8_t)(n >> 8), (uint8_t)(n >> 16),
                       (uint8_t)(n >> 24)};
    buf_add(&h->tail, head, sizeof(head));
    buf_add_bytes(&h->tail, ev->body);
    if (h->tail.failed)
        return err_set(e, MR_NO_MEMORY, "an XA transaction's event of %zu bytes", ev->body.n);
    s->memory += h->tail.n - before;
    for (struct xa_held *x = s->oldest; x && s->memory > s->memory_max; x = x->newer)
        if (!spill(s, x, e))
            return false;
    return true;
}

/* ---- reading ---- */

MUST static bool
read_extent(struct xa_store *s, const struct extent *x, struct err *e)
{
    buf_reset(&s->read);
    if (!buf_reserve(&s->read, x->n))
        return err_set(e, MR_NO_MEMORY, "%zu bytes of an XA transaction", x->n);
    while (s->read.n < x->n) {
        ssize_t n =
            pread(s->fd, s->read.p + s->read.n, x->n - s->read.n, x->at + (off_t)s->read.n);
        if (n < 0 && errno == EINTR)
            continue;
        if (n <= 0)
            return io_failed(s, "read", e);
        s->read.n += (size_t)n;
    }
    return true;
}

MUST static bool
each_record(struct bytes records, bool (*each)(void *, const struct xa_event *, struct err *),
            void *ctx, struct err *e)
{
    struct reader r = reader_of(records);
    while (reader_left(&r)) {
        struct xa_event ev = {.type = reader_u8(&r)};
        ev.body = reader_take(&r, reader_le(&r, 4));
        if (r.failed)
            return err_set(e, MR_INTERNAL, "a kept XA transaction is torn");
        if (!each(ctx, &ev, e))
            return false;
    }
    return true;
}

bool
xa_held_each(struct xa_store *s, const struct xa_held *h,
             bool (*each)(void *, const struct xa_event *, struct err *), void *ctx,
             struct err *e)
{
    bool ok = true;
    for (size_t i = 0; ok && i < h->extent_count; i++)
        ok =
            read_extent(s, &h->extents[i], e) && each_record(buf_bytes(&s->read), each, ctx, e);
    if (h->extent_count)
        buf_free(&s->read);
    return ok && each_record(buf_bytes(&h->tail), each, ctx, e);
}
