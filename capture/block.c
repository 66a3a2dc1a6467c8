#include "capture/block.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/ring.h"

#define PAGE_BYTES  ((size_t)4096)
#define EVICTED_MAX 16                 /* more slots than pages: rows go one after the other */
#define BLOCK_SLACK ((size_t)64 << 10) /* for the row that fills the block, in most cases */

struct block_pool {
    struct ring *free;
    size_t block_bytes;
    unsigned blocks;
    struct block *all[]; /* wherever they are */
};

struct block_pool *
block_pool_new(unsigned blocks, size_t block_bytes)
{
    struct block_pool *p = mem_zalloc(sizeof(*p) + blocks * sizeof(p->all[0]));
    p->free = ring_new(blocks);
    p->block_bytes = block_bytes;
    p->blocks = blocks;
    for (unsigned i = 0; i < blocks; i++) {
        struct block *b = mem_zalloc(sizeof(*b));
        b->pool = p;
        p->all[i] = b;
        if (!ring_push(p->free, b))
            mem_die("block pool: a new ring refused a block");
    }
    return p;
}

static void
block_free(struct block *b)
{
    buf_free(&b->data);
    free(b->records);
    free(b->runs);
    free(b);
}

void
block_pool_free(struct block_pool *p)
{
    if (p == NULL)
        return;
    for (unsigned i = 0; i < p->blocks; i++)
        block_free(p->all[i]);
    ring_destroy(p->free);
    free(p);
}

struct block *
block_pool_take(struct block_pool *p, int timeout_ms)
{
    struct block *b = ring_pop(p->free, timeout_ms);
    if (b == NULL)
        return NULL;
    /* Memory is touched only as far as it is used: the reservation is address space. */
    if (b->data.cap == 0 && buf_reserve(&b->data, p->block_bytes + BLOCK_SLACK) == NULL)
        mem_die("block pool: no memory for a block");
    return b;
}

void
block_return(struct block *b)
{
    buf_reset(&b->data);
    if (b->data.cap > 2 * (b->pool->block_bytes + BLOCK_SLACK))
        buf_free(&b->data);
    b->count = 0;
    b->lent = 0;
    b->run_count = 0;
    b->evicted = 0;
    memset(b->pages, 0, sizeof(b->pages));
    if (!ring_push(b->pool->free, b))
        mem_die("block pool: a block came back after its pool was closed");
}

static size_t
bump(struct block *b, size_t n)
{
    size_t at = b->data.n;
    if (buf_reserve(&b->data, n) == NULL)
        mem_die("a block cannot grow by %zu bytes", n);
    b->data.n += n;
    return at;
}

static size_t
room_for(struct block *b, uint32_t slot, size_t n)
{
    struct block_page *page = &b->pages[slot % BLOCK_PAGES];
    bool own = page->slot == slot;
    if (!own || page->end - page->at < n) {
        if (n > PAGE_BYTES / 4 || b->evicted > EVICTED_MAX)
            return bump(b, n);
        b->evicted += !own && page->end - page->at > PAGE_BYTES / 2;
        size_t at = bump(b, PAGE_BYTES);
        *page = (struct block_page){slot, at, at + PAGE_BYTES};
    }
    size_t at = page->at;
    page->at += n;
    return at;
}

static void
append(struct block *b, const struct block_record *r)
{
    if (b->count == b->capacity) {
        uint32_t capacity = b->capacity == 0 ? 1024 : b->capacity * 2;
        b->records = mem_realloc(b->records, capacity * sizeof(*b->records));
        b->capacity = capacity;
    }
    b->records[b->count++] = *r;
}

void
block_add(struct block *b, struct block_record *r, struct bytes row)
{
    r->key_at = room_for(b, r->slot, row.n);
    r->value_at = r->key_at + r->key_len;
    memcpy(b->data.p + r->key_at, row.p, row.n);
    append(b, r);
}

void
block_add_tombstone(struct block *b)
{
    struct block_record r = b->records[b->count - 1];
    r.value_len = BLOCK_TOMBSTONE;
    append(b, &r);
}

bool
block_full(const struct block *b)
{
    return b->data.n >= b->pool->block_bytes;
}

void
block_reserve_runs(struct block *b, uint32_t n)
{
    if (n <= b->run_capacity)
        return;
    free(b->runs);
    b->runs = mem_array(n, sizeof(*b->runs));
    b->run_capacity = n;
}

bool
block_pool_low(const struct block_pool *p)
{
    return ring_len(p->free) <= p->blocks / 4;
}
