/* Pages of a column, read. */
#include "lake/parquet_page.h"

#include <stdlib.h>

#include "base/hash.h"
#include "base/mem.h"
#include "lake/parquet_rle.h"
#include "lake/value.h"

#define WINDOW_BYTES            ((size_t)256 << 10)
#define HEADER_BYTES            512
#define HEADER_BYTES_MAX        ((size_t)64 << 10)
#define RATIO_MAX               ((uint64_t)1 << 17) /* of sizes before and after compression */
#define ENCODING_OLD_DICTIONARY 2
#define PAGE_INDEX              1

struct page_header {
    int64_t type, raw, packed, crc;
    int64_t values, encoding, levels;
    bool has_crc, has_body;
};

static bool
damaged(const struct parquet_column_reader *c, const char *what, struct err *e)
{
    return err_set(e, MR_LAKE_DATA_FILE, "column %s: %s", c->field->name, what);
}

void
parquet_column_reader_free(struct parquet_column_reader *c)
{
    parquet_block_free(&c->block);
    buf_free(&c->window);
    buf_free(&c->dictionary_page);
    buf_free(&c->bloom);
    arena_free(&c->dictionary_wide);
    arena_free(&c->wide);
    free(c->dictionary);
    free(c->levels);
    free(c->indexes);
}

bool
parquet_column_reader_begin(struct parquet_column_reader *c,
                            const struct parquet_chunk_meta *chunk, struct err *e)
{
    if (!chunk->known)
        return damaged(c, "a codec that is not known", e);
    if (!c->chunk || c->block.codec != chunk->codec) {
        parquet_block_free(&c->block);
        parquet_block_init(&c->block, chunk->codec, 1);
    }
    c->chunk = chunk;
    c->next = chunk->begin;
    c->end = chunk->begin + chunk->bytes;
    c->rows_left = chunk->values;
    c->page_rows = c->page_at = 0;
    c->has_dictionary = false;
    c->dictionary_count = 0;
    return true;
}

/* At least n bytes of the file at c->next, which lie before c->end. */
static bool
window_need(struct parquet_column_reader *c, size_t n, struct bytes *out, struct err *e)
{
    uint64_t end = c->window_at + c->window.n;
    if (c->next < c->window_at || c->next + n > end) {
        size_t take = n > WINDOW_BYTES ? n : WINDOW_BYTES;
        take = take < c->end - c->next ? take : (size_t)(c->end - c->next);
        buf_reset(&c->window);
        uint8_t *at = buf_reserve(&c->window, take);
        if (!at)
            return err_set(e, MR_NO_MEMORY, "column %s: a page of %zu bytes", c->field->name,
                           n);
        if (!c->source->read(c->source->ctx, c->next, take, at, e))
            return false;
        c->window.n = take;
        c->window_at = c->next;
    }
    *out = bytes_of(c->window.p + (c->next - c->window_at), n);
    return true;
}

static void
take_body_header(struct thrift_reader *t, struct page_header *h)
{
    int64_t *const ints[] = {NULL, &h->values, &h->encoding, &h->levels};
    h->has_body = true;
    thrift_enter(t);
    for (int16_t id; (id = thrift_next(t));) {
        if (id < (int16_t)ARRAY_LEN(ints) && (t->type == THRIFT_I32))
            *ints[id] = thrift_take_int(t);
        else
            thrift_skip(t);
    }
}

static bool
parse_header(struct bytes b, struct page_header *h, size_t *used)
{
    struct thrift_reader t = thrift_reader_of(b);
    int64_t *const ints[] = {NULL, &h->type, &h->raw, &h->packed, &h->crc};
    *h = (struct page_header){-1, -1, -1, 0, -1, -1, ENCODING_RLE, false, false};
    for (int16_t id; (id = thrift_next(&t));) {
        if (id <= 4)
            *ints[id] = thrift_take_int(&t);
        else if ((id == 5 && h->type == PAGE_DATA) || (id == 7 && h->type == PAGE_DICTIONARY))
            take_body_header(&t, h);
        else
            thrift_skip(&t);
        h->has_crc |= id == 4;
    }
    *used = b.n - reader_left(&t.r);
    return !t.r.failed;
}

static bool
read_header(struct parquet_column_reader *c, struct page_header *h, struct err *e)
{
    uint64_t left = c->end - c->next;
    size_t used = 0;
    for (size_t try = HEADER_BYTES;; try = HEADER_BYTES_MAX) {
        struct bytes b;
        size_t n = left < try ? (size_t)left : try;
        if (!window_need(c, n, &b, e))
            return false;
        if (parse_header(b, h, &used))
            break;
        if (n == left || try == HEADER_BYTES_MAX)
            return damaged(c, "a page's header is damaged", e);
    }
    c->next += used;
    left -= used;
    if (h->raw < 0 || h->packed < 0 || (uint64_t)h->packed > left ||
        (uint64_t)h->raw > PARQUET_PAGE_BYTES_MAX ||
        (uint64_t)h->raw > ((uint64_t)h->packed + 64) * RATIO_MAX)
        return damaged(c, "a page's size is damaged", e);
    return true;
}

static bool
read_body(struct parquet_column_reader *c, const struct page_header *h, struct bytes *body,
          struct err *e)
{
    struct bytes packed;
    if (!window_need(c, (size_t)h->packed, &packed, e))
        return false;
    c->next += (uint64_t)h->packed;
    if (h->has_crc && hash_crc32(0, packed) != (uint32_t)h->crc)
        return damaged(c, "a page's checksum is wrong", e);
    if (!parquet_block_decompress(&c->block, packed, (size_t)h->raw, body, e))
        return err_wrap(e, "column %s", c->field->name);
    return true;
}

bool
parquet_plain_cell(const struct parquet_leaf *leaf, struct bytes b, struct cell *out)
{
    unsigned width = parquet_width(&leaf->type);
    if (width && b.n != width)
        return false;
    uint64_t bits = 0;
    float narrow;
    if (width && width <= 8)
        memcpy(&bits, b.p, width);
    *out = (struct cell){.kind = CELL_INT, .v.u = bits};
    switch (leaf->physical) {
    case PHYSICAL_BOOLEAN:
        return bits <= 1;
    case PHYSICAL_INT32:
        out->v.i = (int32_t)(uint32_t)bits;
        return true;
    case PHYSICAL_INT64:
        return true;
    case PHYSICAL_FLOAT:
        memcpy(&narrow, &bits, sizeof narrow);
        *out = (struct cell){.kind = CELL_FLOAT, .v.d = (double)narrow};
        return true;
    case PHYSICAL_DOUBLE:
        out->kind = CELL_DOUBLE;
        return true;
    default:
        *out = (struct cell){.kind = leaf->type.kind == LAKE_STRING ? CELL_TEXT : CELL_BYTES,
                             .len = (uint32_t)b.n,
                             .v.p = b.p};
        return b.n <= UINT32_MAX;
    }
}

/* The next value of a run of PLAIN ones, no BOOLEAN. */
static inline bool
take_plain(struct parquet_column_reader *c, struct reader *r, unsigned width,
           struct arena *wide, struct cell *out)
{
    size_t n = width;
    if (c->leaf->physical == PHYSICAL_BYTES)
        n = (size_t)reader_le(r, 4);
    struct bytes b = reader_take(r, n);
    if (r->failed || !parquet_plain_cell(c->leaf, b, out))
        return false;
    if (c->promote)
        lake_promote(&c->field->type, wide, out);
    return true;
}

static bool
read_dictionary(struct parquet_column_reader *c, const struct page_header *h, struct err *e)
{
    struct bytes body;
    unsigned width = parquet_width(&c->leaf->type);
    if (!read_body(c, h, &body, e))
        return false;
    bool plain = h->encoding == ENCODING_PLAIN || h->encoding == ENCODING_OLD_DICTIONARY;
    uint64_t least = width ? width : 4;
    if (!h->has_body || !plain || c->has_dictionary || h->values < 0 ||
        (uint64_t)h->values > body.n / least || c->leaf->physical == PHYSICAL_BOOLEAN)
        return damaged(c, "a dictionary is damaged", e);
    buf_reset(&c->dictionary_page);
    buf_add_bytes(&c->dictionary_page, body);
    if (c->dictionary_page.failed)
        return err_set(e, MR_NO_MEMORY, "column %s: dictionary", c->field->name);
    c->dictionary_count = (uint32_t)h->values;
    if (c->dictionary_count > c->dictionary_cap) {
        c->dictionary_cap = c->dictionary_count;
        c->dictionary = mem_realloc(c->dictionary, c->dictionary_cap * sizeof *c->dictionary);
    }
    arena_reset(&c->dictionary_wide);
    struct reader r = reader_of(buf_bytes(&c->dictionary_page));
    for (uint32_t i = 0; i < c->dictionary_count; i++)
        if (!take_plain(c, &r, width, &c->dictionary_wide, &c->dictionary[i]))
            return damaged(c, "a value of the dictionary is damaged", e);
    c->has_dictionary = true;
    return true;
}

static void
room_for(uint32_t **at, uint32_t *cap, uint32_t n)
{
    if (n <= *cap)
        return;
    *at = mem_realloc(*at, n * sizeof **at);
    *cap = n;
}

/* Definition levels: which rows have a value. A column whose rows all have one has no levels,
 * whatever encoding its pages name (Java's writer: BIT_PACKED). */
static bool
read_levels(struct parquet_column_reader *c, struct reader *r)
{
    c->values = c->page_rows;
    if (!c->leaf->optional)
        return true;
    struct reader levels = reader_of(reader_take(r, (size_t)reader_le(r, 4)));
    if (r->failed)
        return false;
    room_for(&c->levels, &c->levels_cap, c->page_rows);
    if (!parquet_rle_get(&levels, 1, 2, c->levels, c->page_rows))
        return false;
    c->values = 0;
    for (uint32_t i = 0; i < c->page_rows; i++)
        c->values += c->levels[i];
    return true;
}

static bool
read_values(struct parquet_column_reader *c, struct reader *r, int64_t encoding)
{
    c->indexed = encoding == ENCODING_DICTIONARY || encoding == ENCODING_OLD_DICTIONARY;
    c->value_at = 0;
    c->plain = *r;
    if (!c->indexed)
        return encoding == ENCODING_PLAIN;
    if (c->values == 0)
        return true;
    uint8_t width = reader_u8(r);
    room_for(&c->indexes, &c->indexes_cap, c->values);
    return !r->failed && c->has_dictionary &&
           parquet_rle_get(r, width, c->dictionary_count, c->indexes, c->values);
}

static bool
read_data(struct parquet_column_reader *c, const struct page_header *h, struct err *e)
{
    struct bytes body;
    if (!read_body(c, h, &body, e))
        return false;
    if (!h->has_body || h->values < 0 || h->values > PARQUET_PAGE_ROWS_MAX ||
        (uint64_t)h->values > c->rows_left || (c->leaf->optional && h->levels != ENCODING_RLE))
        return damaged(c, "a page's header is damaged", e);
    struct reader r = reader_of(body);
    c->page_rows = (uint32_t)h->values;
    c->page_at = 0;
    c->rows_left -= c->page_rows;
    arena_reset(&c->wide);
    if (!read_levels(c, &r) || !read_values(c, &r, h->encoding))
        return damaged(c, "a page is damaged, or of an encoding that is not known", e);
    return true;
}

static bool
read_page(struct parquet_column_reader *c, struct err *e)
{
    struct page_header h;
    if (c->next >= c->end || c->rows_left == 0)
        return damaged(c, "a page is missing", e);
    if (!read_header(c, &h, e))
        return false;
    if (h.type == PAGE_DICTIONARY)
        return read_dictionary(c, &h, e);
    if (h.type == PAGE_DATA)
        return read_data(c, &h, e);
    if (h.type != PAGE_INDEX)
        return damaged(c, "a page of a kind that is not known", e);
    c->next += (uint64_t)h.packed;
    return true;
}

bool
parquet_column_reader_page(struct parquet_column_reader *c, uint32_t *rows, struct err *e)
{
    while (c->page_at == c->page_rows)
        if (!read_page(c, e))
            return false;
    *rows = c->page_rows - c->page_at;
    return true;
}

static bool
take_boolean(struct parquet_column_reader *c, struct cell *out)
{
    size_t bit = c->value_at;
    if (bit / 8 >= reader_left(&c->plain))
        return false;
    *out = (struct cell){.kind = CELL_INT, .v.u = c->plain.p[bit / 8] >> (bit % 8) & 1};
    return true;
}

bool
parquet_column_reader_fill(struct parquet_column_reader *c, struct cell *out, size_t stride,
                           size_t n, struct err *e)
{
    unsigned width = parquet_width(&c->leaf->type);
    bool boolean = c->leaf->physical == PHYSICAL_BOOLEAN, ok = true;
    for (size_t i = 0; i < n && ok; i++, out += stride) {
        if (c->leaf->optional && !c->levels[c->page_at + i]) {
            *out = (struct cell){.kind = CELL_NULL};
            continue;
        }
        if (c->indexed)
            *out = c->dictionary[c->indexes[c->value_at]];
        else if (boolean)
            ok = take_boolean(c, out);
        else
            ok = take_plain(c, &c->plain, width, &c->wide, out);
        c->value_at++;
    }
    c->page_at += (uint32_t)n;
    return ok || damaged(c, "a value is cut short", e);
}
