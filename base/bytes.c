/* Growable buffer and bounded reader. */
#include "base/bytes.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

int
bytes_cmp(struct bytes a, struct bytes b)
{
    size_t n = a.n < b.n ? a.n : b.n;
    int c = n ? memcmp(a.p, b.p, n) : 0;
    if (c)
        return c;
    return (a.n > b.n) - (a.n < b.n);
}

void
buf_free(struct buf *b)
{
    free(b->p);
    size_t max = b->max;
    *b = (struct buf){.max = max};
}

void
buf_reset(struct buf *b)
{
    b->n = 0;
    b->failed = false;
}

static bool
buf_grow(struct buf *b, size_t n)
{
    size_t max = b->max ? b->max : BUF_MAX;
    if (b->n > max || n > max - b->n)
        return false;
    size_t need = b->n + n;
    size_t cap = b->cap < 64 ? 64 : b->cap;
    while (cap < need)
        cap = cap > max / 2 ? max : cap * 2;
    uint8_t *p = realloc(b->p, cap);
    if (!p)
        return false;
    b->p = p;
    b->cap = cap;
    return true;
}

uint8_t *
buf_reserve(struct buf *b, size_t n)
{
    if (b->failed)
        return NULL;
    if ((!b->p || n > b->cap - b->n) && !buf_grow(b, n)) {
        b->failed = true;
        return NULL;
    }
    return b->p + b->n;
}

void
buf_add(struct buf *b, const void *p, size_t n)
{
    uint8_t *at = buf_reserve(b, n);
    if (at && n) {
        memcpy(at, p, n);
        b->n += n;
    }
}

void
buf_add_bytes(struct buf *b, struct bytes v)
{
    buf_add(b, v.p, v.n);
}

void
buf_add_str(struct buf *b, const char *s)
{
    buf_add(b, s, strlen(s));
}

void
buf_add_byte(struct buf *b, uint8_t c)
{
    uint8_t *at = buf_reserve(b, 1);
    if (at) {
        *at = c;
        b->n++;
    }
}

void
buf_addf(struct buf *b, const char *fmt, ...)
{
    va_list ap;
    va_start(ap, fmt);
    int n = vsnprintf(NULL, 0, fmt, ap);
    va_end(ap);
    uint8_t *at = n < 0 ? NULL : buf_reserve(b, (size_t)n + 1);
    if (!at) {
        b->failed = true;
        return;
    }
    va_start(ap, fmt);
    vsnprintf((char *)at, (size_t)n + 1, fmt, ap);
    va_end(ap);
    b->n += (size_t)n;
}

void
buf_add_u64_text(struct buf *b, uint64_t v)
{
    char text[20];
    size_t at = sizeof(text);
    do {
        text[--at] = (char)('0' + v % 10);
        v /= 10;
    } while (v);
    buf_add(b, text + at, sizeof(text) - at);
}

void
buf_add_i64_text(struct buf *b, int64_t v)
{
    if (v < 0)
        buf_add_byte(b, '-');
    buf_add_u64_text(b, v < 0 ? 0 - (uint64_t)v : (uint64_t)v);
}

const char *
buf_cstr(struct buf *b)
{
    uint8_t *at = buf_reserve(b, 1);
    if (!at)
        return "";
    *at = '\0';
    return (const char *)b->p;
}

uint8_t
reader_u8(struct reader *r)
{
    struct bytes b = reader_take(r, 1);
    return b.p ? b.p[0] : 0;
}

uint64_t
reader_le(struct reader *r, size_t n)
{
    struct bytes b = reader_take(r, n);
    uint64_t v = 0;
    for (size_t i = b.n; i > 0; i--)
        v = v << 8 | b.p[i - 1];
    return v;
}

uint64_t
reader_be(struct reader *r, size_t n)
{
    struct bytes b = reader_take(r, n);
    uint64_t v = 0;
    for (size_t i = 0; i < b.n; i++)
        v = v << 8 | b.p[i];
    return v;
}

uint64_t
reader_lenenc(struct reader *r)
{
    uint8_t first = reader_u8(r);
    switch (first) {
    case 0xfb:
    case 0xff:
        r->failed = true;
        return 0;
    case 0xfc:
        return reader_le(r, 2);
    case 0xfd:
        return reader_le(r, 3);
    case 0xfe:
        return reader_le(r, 8);
    default:
        return first;
    }
}

struct bytes
reader_lenenc_bytes(struct reader *r)
{
    uint64_t n = reader_lenenc(r);
    if (n > reader_left(r))
        r->failed = true;
    return reader_take(r, (size_t)n);
}

struct bytes
reader_rest(struct reader *r)
{
    return reader_take(r, reader_left(r));
}
