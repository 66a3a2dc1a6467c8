/* Positions in chunks of 65,536: a sorted array up to 4,096 of them, else a bitmap. */
#include "lake/positions.h"

#include <assert.h>
#include <stdlib.h>

#include "base/mem.h"

#define CHUNK_BITS     16
#define CHUNK_SIZE     65536
#define CHUNK_LOW(pos) ((uint16_t)((pos) & 0xffff))
#define ARRAY_MAX      4096
#define WORDS          (CHUNK_SIZE / 64)
#define COOKIE         12346
#define COOKIE_RUNS    12347
#define BITMAPS_MAX    ((uint64_t)1 << 30) /* upper halves of positions */

struct position_chunk {
    uint64_t key;   /* position >> 16 */
    uint32_t count; /* 1.. */
    uint32_t cap;   /* of the array */
    uint16_t *array;
    uint64_t *bits; /* instead of the array */
};

void
positions_free(struct positions *p)
{
    for (size_t i = 0; i < p->len; i++) {
        free(p->chunks[i].array);
        free(p->chunks[i].bits);
    }
    free(p->chunks);
    *p = (struct positions){0};
}

/* Index of the first chunk with a key >= key. */
static size_t
find_chunk(const struct positions *p, uint64_t key)
{
    size_t lo = 0, hi = p->len;
    if (hi && p->chunks[hi - 1].key < key)
        return hi;
    while (lo < hi) {
        size_t mid = (lo + hi) / 2;
        if (p->chunks[mid].key < key)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}

static struct position_chunk *
chunk_of(struct positions *p, uint64_t key)
{
    size_t at = find_chunk(p, key);
    if (at < p->len && p->chunks[at].key == key)
        return &p->chunks[at];
    if (p->len == p->cap) {
        p->cap = p->cap ? 2 * p->cap : 4;
        p->chunks = mem_realloc(p->chunks, p->cap * sizeof(*p->chunks));
    }
    memmove(&p->chunks[at + 1], &p->chunks[at], (p->len - at) * sizeof(*p->chunks));
    p->len++;
    p->chunks[at] = (struct position_chunk){.key = key};
    return &p->chunks[at];
}

/* Index of the first item >= low. */
static uint32_t
find_low(const struct position_chunk *c, uint16_t low)
{
    uint32_t lo = 0, hi = c->count;
    if (hi && c->array[hi - 1] < low)
        return hi;
    while (lo < hi) {
        uint32_t mid = (lo + hi) / 2;
        if (c->array[mid] < low)
            lo = mid + 1;
        else
            hi = mid;
    }
    return lo;
}

static bool
chunk_has(const struct position_chunk *c, uint16_t low)
{
    if (c->bits)
        return c->bits[low / 64] >> (low % 64) & 1;
    uint32_t at = find_low(c, low);
    return at < c->count && c->array[at] == low;
}

static void
chunk_to_bits(struct position_chunk *c)
{
    c->bits = mem_array(WORDS, sizeof(*c->bits));
    for (uint32_t i = 0; i < c->count; i++)
        c->bits[c->array[i] / 64] |= UINT64_C(1) << (c->array[i] % 64);
    free(c->array);
    c->array = NULL;
    c->cap = 0;
}

static void
array_add(struct position_chunk *c, uint16_t low)
{
    uint32_t at = find_low(c, low);
    if (c->count == c->cap) {
        c->cap = c->cap ? 2 * c->cap : 8;
        c->array = mem_realloc(c->array, c->cap * sizeof(*c->array));
    }
    memmove(&c->array[at + 1], &c->array[at], (c->count - at) * sizeof(*c->array));
    c->array[at] = low;
}

static bool
chunk_add(struct position_chunk *c, uint16_t low)
{
    if (c->count && chunk_has(c, low))
        return false;
    if (!c->bits && c->count == ARRAY_MAX)
        chunk_to_bits(c);
    if (c->bits)
        c->bits[low / 64] |= UINT64_C(1) << (low % 64);
    else
        array_add(c, low);
    c->count++;
    return true;
}

bool
positions_add(struct positions *p, uint64_t pos)
{
    assert(pos <= POSITIONS_MAX);
    bool fresh = chunk_add(chunk_of(p, pos >> CHUNK_BITS), CHUNK_LOW(pos));
    p->count += fresh;
    return fresh;
}

void
positions_add_all(struct positions *p, const struct positions *other)
{
    for (uint64_t i = 0; positions_next(other, i, &i); i++)
        positions_add(p, i);
}

bool
positions_has(const struct positions *p, uint64_t pos)
{
    size_t at = find_chunk(p, pos >> CHUNK_BITS);
    return at < p->len && p->chunks[at].key == pos >> CHUNK_BITS &&
           chunk_has(&p->chunks[at], CHUNK_LOW(pos));
}

static uint32_t
chunk_rank(const struct position_chunk *c, uint16_t low)
{
    uint32_t n = 0;
    if (!c->bits)
        return find_low(c, low);
    for (unsigned w = 0; w < low / 64u; w++)
        n += (uint32_t)__builtin_popcountll(c->bits[w]);
    uint64_t below = (UINT64_C(1) << (low % 64)) - 1;
    return n + (uint32_t)__builtin_popcountll(c->bits[low / 64] & below);
}

uint64_t
positions_rank(const struct positions *p, uint64_t pos)
{
    uint64_t n = 0;
    size_t at = find_chunk(p, pos >> CHUNK_BITS);
    for (size_t i = 0; i < at; i++)
        n += p->chunks[i].count;
    if (at < p->len && p->chunks[at].key == pos >> CHUNK_BITS)
        n += chunk_rank(&p->chunks[at], CHUNK_LOW(pos));
    return n;
}

/* The first item >= low. */
static bool
chunk_next(const struct position_chunk *c, uint16_t low, uint16_t *out)
{
    if (!c->bits) {
        uint32_t at = find_low(c, low);
        if (at < c->count)
            *out = c->array[at];
        return at < c->count;
    }
    uint64_t word = c->bits[low / 64] >> (low % 64) << (low % 64);
    for (unsigned w = low / 64u; w < WORDS; word = ++w < WORDS ? c->bits[w] : 0)
        if (word) {
            *out = (uint16_t)(w * 64 + (unsigned)__builtin_ctzll(word));
            return true;
        }
    return false;
}

bool
positions_next(const struct positions *p, uint64_t from, uint64_t *out)
{
    uint16_t low = CHUNK_LOW(from);
    for (size_t at = find_chunk(p, from >> CHUNK_BITS); at < p->len; at++, low = 0) {
        const struct position_chunk *c = &p->chunks[at];
        if (c->key != from >> CHUNK_BITS)
            low = 0;
        if (chunk_next(c, low, &low)) {
            *out = c->key << CHUNK_BITS | low;
            return true;
        }
    }
    return false;
}

static void
put_le(struct buf *out, uint64_t v, size_t n)
{
    for (; n > 0; n--, v >>= 8)
        buf_add_byte(out, (uint8_t)v);
}

static size_t
chunk_bytes(const struct position_chunk *c)
{
    return c->bits ? WORDS * 8 : 2 * (size_t)c->count;
}

static void
put_chunk(struct buf *out, const struct position_chunk *c)
{
    for (uint32_t i = 0; !c->bits && i < c->count; i++)
        put_le(out, c->array[i], 2);
    for (unsigned w = 0; c->bits && w < WORDS; w++)
        put_le(out, c->bits[w], 8);
}

/* A 32-bit bitmap of n chunks. */
static void
put_bitmap(struct buf *out, const struct position_chunk *chunks, size_t n)
{
    size_t offset = 8 + 8 * n;
    put_le(out, COOKIE, 4);
    put_le(out, n, 4);
    for (size_t i = 0; i < n; i++) {
        put_le(out, chunks[i].key & 0xffff, 2);
        put_le(out, chunks[i].count - 1, 2);
    }
    for (size_t i = 0; i < n; i++) {
        put_le(out, offset, 4);
        offset += chunk_bytes(&chunks[i]);
    }
    for (size_t i = 0; i < n; i++)
        put_chunk(out, &chunks[i]);
}

/* Chunks from `at` on with the upper 32 bits of the first. */
static size_t
same_upper(const struct positions *p, size_t at)
{
    size_t n = 1;
    while (at + n < p->len && p->chunks[at + n].key >> 16 == p->chunks[at].key >> 16)
        n++;
    return n;
}

void
positions_write(const struct positions *p, struct buf *out)
{
    uint64_t bitmaps = 0;
    for (size_t at = 0; at < p->len; at += same_upper(p, at))
        bitmaps++;
    put_le(out, bitmaps, 8);
    for (size_t at = 0, n; at < p->len; at += n) {
        n = same_upper(p, at);
        put_le(out, p->chunks[at].key >> 16, 4);
        put_bitmap(out, &p->chunks[at], n);
    }
}

/* The containers of a 32-bit bitmap: their heads {key, count - 1} and which are runs. */
struct heads {
    struct bytes list;
    struct bytes runs; /* a bit each; p NULL: none */
    uint32_t len;
};

static void
take_heads(struct reader *r, struct heads *h)
{
    uint64_t cookie = reader_le(r, 4);
    *h = (struct heads){0};
    if (cookie == COOKIE) {
        h->len = (uint32_t)reader_le(r, 4);
    } else if ((cookie & 0xffff) == COOKIE_RUNS) {
        h->len = (uint32_t)(cookie >> 16) + 1;
        h->runs = reader_take(r, (h->len + 7) / 8);
    } else {
        r->failed = true;
    }
    if (h->len > CHUNK_SIZE)
        r->failed = true;
    if (r->failed)
        return;
    h->list = reader_take(r, (size_t)h->len * 4);
    if (!h->runs.p || h->len >= 4)
        reader_take(r, (size_t)h->len * 4); /* offsets: the order says the same */
}

static void
take_array(struct reader *r, uint64_t base, uint32_t count, struct positions *p)
{
    for (uint32_t i = 0; i < count && !r->failed; i++) {
        uint64_t low = reader_le(r, 2);
        if (!r->failed && !positions_add(p, base | low))
            r->failed = true;
    }
}

static void
take_bits(struct reader *r, uint64_t base, struct positions *p)
{
    for (unsigned w = 0; w < WORDS && !r->failed; w++)
        for (uint64_t word = reader_le(r, 8); word; word &= word - 1)
            positions_add(p, base | (w * 64 + (unsigned)__builtin_ctzll(word)));
}

static void
take_runs(struct reader *r, uint64_t base, struct positions *p)
{
    uint64_t runs = reader_le(r, 2);
    for (; runs > 0 && !r->failed; runs--) {
        uint64_t first = reader_le(r, 2);
        uint64_t last = first + reader_le(r, 2);
        if (last >= CHUNK_SIZE)
            r->failed = true;
        for (; first <= last && !r->failed; first++)
            if (!positions_add(p, base | first))
                r->failed = true;
    }
}

static void
take_container(struct reader *r, const struct heads *h, uint32_t i, uint64_t upper,
               struct positions *p)
{
    struct reader head = reader_of(bytes_of(h->list.p + (size_t)i * 4, 4));
    uint64_t base = upper << 32 | reader_le(&head, 2) << CHUNK_BITS;
    uint32_t count = (uint32_t)reader_le(&head, 2) + 1;
    uint64_t before = p->count;
    if (h->runs.p && h->runs.p[i / 8] >> (i % 8) & 1)
        take_runs(r, base, p);
    else if (count <= ARRAY_MAX)
        take_array(r, base, count, p);
    else
        take_bits(r, base, p);
    if (p->count - before != count)
        r->failed = true;
}

/* Into an empty set, where every position must be new. */
static bool
read_into_empty(struct bytes b, struct positions *p)
{
    struct reader r = reader_of(b);
    uint64_t bitmaps = reader_le(&r, 8);
    for (; bitmaps > 0 && !r.failed; bitmaps--) {
        uint64_t upper = reader_le(&r, 4);
        struct heads h;
        take_heads(&r, &h);
        if (upper >= BITMAPS_MAX)
            r.failed = true;
        for (uint32_t i = 0; i < h.len && !r.failed; i++)
            take_container(&r, &h, i, upper, p);
    }
    return !r.failed && reader_left(&r) == 0;
}

bool
positions_read(struct bytes b, struct positions *p, struct err *e)
{
    struct positions fresh = {0};
    if (!read_into_empty(b, &fresh)) {
        positions_free(&fresh);
        return err_set(e, MR_LAKE_METADATA, "a deletion vector's bitmap is damaged");
    }
    if (p->len == 0) {
        positions_free(p);
        *p = fresh;
        return true;
    }
    positions_add_all(p, &fresh);
    positions_free(&fresh);
    return true;
}
