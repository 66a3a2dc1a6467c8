/* Bytes by value, a growable buffer, and a bounded reader with sticky failure.
 *
 * Ownership: struct bytes never owns. struct buf owns its memory (buf_free). A reader borrows.
 * Thread: one at a time. Limit: a buf refuses to grow above `max` (default BUF_MAX) and sets
 * `failed`.
 */
#ifndef MILLRACE_BASE_BYTES_H
#define MILLRACE_BASE_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include "base/err.h"

struct bytes {
    const uint8_t *p;
    size_t n;
};

#define BYTES_LIT(s) ((struct bytes){(const uint8_t *)(s), sizeof(s) - 1})

static inline struct bytes
bytes_of(const void *p, size_t n)
{
    return (struct bytes){p, n};
}

static inline struct bytes
bytes_str(const char *s)
{
    return (struct bytes){(const uint8_t *)s, strlen(s)};
}

static inline bool
bytes_eq(struct bytes a, struct bytes b)
{
    return a.n == b.n && (a.n == 0 || memcmp(a.p, b.p, a.n) == 0);
}

/* memcmp order, shorter first when one is a prefix of the other. */
int
bytes_cmp(struct bytes a, struct bytes b);

#define BUF_MAX ((size_t)2 << 30)

/* Zero-initialised = empty, usable. Appending never fails at the call: check `failed` once at
 * the end (set when memory or `max` ran out; content is then truncated, never used). */
struct buf {
    uint8_t *p;
    size_t n;
    size_t cap;
    size_t max; /* 0 = BUF_MAX */
    bool failed;
};

void
buf_free(struct buf *b);
void
buf_reset(struct buf *b); /* n = 0, failed = false, keeps memory */
/* Room for n more bytes at the returned pointer (not yet counted in b->n), or NULL and failed.
 */
uint8_t *
buf_reserve(struct buf *b, size_t n);
void
buf_add(struct buf *b, const void *p, size_t n);
void
buf_add_bytes(struct buf *b, struct bytes v);
void
buf_add_str(struct buf *b, const char *s);
void
buf_add_byte(struct buf *b, uint8_t c);
void
buf_addf(struct buf *b, const char *fmt, ...) PRINTF_LIKE(2, 3);
void
buf_add_u64_text(struct buf *b, uint64_t v);
void
buf_add_i64_text(struct buf *b, int64_t v);
/* Appends a NUL that is not counted; returns the text ("" when empty or failed). */
const char *
buf_cstr(struct buf *b);
static inline struct bytes
buf_bytes(const struct buf *b)
{
    return (struct bytes){b->p, b->n};
}

/* A short read returns zero *and* marks the reader failed; nothing leaves a failed reader. */
struct reader {
    const uint8_t *p;
    const uint8_t *end;
    bool failed;
};

static inline struct reader
reader_of(struct bytes b)
{
    return (struct reader){b.p, b.n ? b.p + b.n : b.p, false};
}

static inline size_t
reader_left(const struct reader *r)
{
    return (size_t)(r->end - r->p);
}

/* n bytes, or {NULL,0} and failed. */
static inline struct bytes
reader_take(struct reader *r, size_t n)
{
    if (r->failed || reader_left(r) < n) {
        r->failed = true;
        return (struct bytes){NULL, 0};
    }
    struct bytes b = {r->p, n};
    if (n)
        r->p += n;
    return b;
}

uint8_t
reader_u8(struct reader *r);
/* Little-endian, n = 1..8 bytes. */
uint64_t
reader_le(struct reader *r, size_t n);
/* Big-endian, n = 1..8 bytes. */
uint64_t
reader_be(struct reader *r, size_t n);
/* MySQL length-encoded integer; NULL marker (0xfb) and 0xff fail. */
uint64_t
reader_lenenc(struct reader *r);
struct bytes
reader_lenenc_bytes(struct reader *r);
struct bytes
reader_rest(struct reader *r);

#endif
