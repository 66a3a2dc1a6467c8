#include "apply/fifo.h"

#include <stdlib.h>

#include "base/mem.h"

#define BLOCK_MIN ((size_t)4 << 10)
#define BLOCK_MAX ((size_t)64 << 10)

struct fifo_block {
    struct fifo_block *next;
    atomic_uint refs; /* the fifo, the block before it, and spans that begin in it */
    atomic_uint used; /* bytes of rows; a span may be walked while the fifo grows */
    uint32_t room;
    uint32_t rows; /* in it; the fifo's thread only, as bytes is */
    size_t bytes;  /* of their keys and values */
    atomic_size_t *counter;
    _Alignas(8) uint8_t data[];
};

static uint32_t
block_used(const struct fifo_block *b)
{
    return atomic_load_explicit(&b->used, memory_order_relaxed);
}

static void
block_ref(struct fifo_block *b)
{
    atomic_fetch_add_explicit(&b->refs, 1, memory_order_relaxed);
}

/* Each block holds one reference of the next, so letting go of the first frees the chain as far
 * as nobody else is in it. */
static void
block_unref(struct fifo_block *b)
{
    while (b && atomic_fetch_sub_explicit(&b->refs, 1, memory_order_acq_rel) == 1) {
        struct fifo_block *next = b->next;
        atomic_fetch_sub_explicit(b->counter, sizeof *b + b->room, memory_order_relaxed);
        free(b);
        b = next;
    }
}

static struct fifo_block *
block_new(struct fifo *f, size_t room)
{
    struct fifo_block *b = mem_alloc(sizeof *b + room);
    b->next = NULL;
    atomic_init(&b->refs, 1);
    atomic_init(&b->used, 0);
    b->room = (uint32_t)room;
    b->rows = 0;
    b->bytes = 0;
    b->counter = f->used;
    atomic_fetch_add_explicit(f->used, sizeof *b + room, memory_order_relaxed);
    return b;
}

void
fifo_init(struct fifo *f, atomic_size_t *used)
{
    *f = (struct fifo){.used = used, .block_size = BLOCK_MIN};
}

void
fifo_clear(struct fifo *f)
{
    block_unref(f->tail);
    block_unref(f->head);
    fifo_init(f, f->used);
}

static size_t
row_size(size_t key, size_t value)
{
    return (sizeof(struct fifo_row) + key + value + 7) & ~(size_t)7;
}

/* References: head has one of the fifo's, tail another (the same block has two). */
static void
add_block(struct fifo *f, size_t least)
{
    size_t room = f->block_size > least ? f->block_size : least;
    if (f->block_size < BLOCK_MAX)
        f->block_size *= 2;
    struct fifo_block *b = block_new(f, room);
    block_ref(b);
    if (f->tail) {
        f->tail->next = b; /* one reference: its predecessor's */
        block_unref(f->tail);
    } else {
        f->head = b;
        f->at = f->head_rows = 0;
        f->head_bytes = 0;
    }
    f->tail = b;
}

void
fifo_push(struct fifo *f, const struct fifo_row *row, struct bytes key, struct bytes value)
{
    size_t key_n = row->thin ? 0 : key.n, value_n = row->thin ? 0 : value.n;
    size_t size = row_size(key_n, value_n);
    if (!f->tail || f->tail->room - block_used(f->tail) < size)
        add_block(f, size);
    struct fifo_block *b = f->tail;
    struct fifo_row *r = (struct fifo_row *)(void *)(b->data + block_used(b));
    *r = *row;
    r->key_len = (uint32_t)key_n;
    r->value_len = (uint32_t)value_n;
    uint8_t *p = (uint8_t *)(r + 1);
    if (key_n)
        memcpy(p, key.p, key_n);
    if (value_n)
        memcpy(p + key_n, value.p, value_n);
    atomic_store_explicit(&b->used, block_used(b) + (uint32_t)size, memory_order_relaxed);
    b->rows++;
    b->bytes += key_n + value_n;
    f->n++;
    f->bytes += key_n + value_n;
}

struct fifo_row *
fifo_next(struct fifo_cursor *c)
{
    if (!c->left)
        return NULL;
    while (c->at == block_used(c->block)) {
        c->block = c->block->next;
        c->at = 0;
    }
    struct fifo_row *r = (struct fifo_row *)(void *)(c->block->data + c->at);
    c->at += (uint32_t)row_size(r->key_len, r->value_len);
    c->left--;
    for (size_t line = 0; line < 4; line++) /* the next row, which another thread wrote */
        __builtin_prefetch(c->block->data + c->at + 64 * line);
    return r;
}

struct fifo_cursor
fifo_walk(const struct fifo *f)
{
    return (struct fifo_cursor){f->head, f->at, f->n};
}

struct fifo_cursor
fifo_span_walk(const struct fifo_span *s)
{
    return (struct fifo_cursor){s->block, s->at, s->n};
}

struct bytes
fifo_key(const struct fifo_row *r)
{
    return bytes_of(r + 1, r->key_len);
}

struct bytes
fifo_value(const struct fifo_row *r)
{
    return bytes_of((const uint8_t *)(r + 1) + r->key_len, r->value_len);
}

/* Over n rows from the front on; whole blocks without looking into them. */
static struct fifo_block *
pass_rows(struct fifo *f, size_t n)
{
    struct fifo_block *b = f->head;
    f->n -= n;
    while (n && n >= b->rows - f->head_rows && b->next) {
        n -= b->rows - f->head_rows;
        f->bytes -= b->bytes - f->head_bytes;
        b = b->next;
        f->at = f->head_rows = 0;
        f->head_bytes = 0;
    }
    struct fifo_cursor c = {b, f->at, n};
    for (const struct fifo_row *r; (r = fifo_next(&c)) != NULL;) {
        f->head_rows++;
        f->head_bytes += r->key_len + r->value_len;
        f->bytes -= r->key_len + r->value_len;
    }
    f->at = c.at;
    return b;
}

struct fifo_span
fifo_take(struct fifo *f, size_t n)
{
    if (n > f->n)
        n = f->n;
    if (!n)
        return (struct fifo_span){0};
    struct fifo_span s = {f->head, f->at, n};
    block_ref(s.block);
    struct fifo_block *head = pass_rows(f, n);
    if (!f->n) {
        fifo_clear(f);
    } else if (head != f->head) {
        block_ref(head);
        block_unref(f->head);
        f->head = head;
    }
    return s;
}

void
fifo_thin(struct fifo *f)
{
    struct fifo thin;
    fifo_init(&thin, f->used);
    struct fifo_cursor c = fifo_walk(f);
    for (const struct fifo_row *r; (r = fifo_next(&c)) != NULL;) {
        struct fifo_row row = *r;
        row.thin = true;
        fifo_push(&thin, &row, (struct bytes){0}, (struct bytes){0});
    }
    fifo_clear(f);
    *f = thin;
}

void
fifo_span_free(struct fifo_span *s)
{
    block_unref(s->block);
    *s = (struct fifo_span){0};
}
