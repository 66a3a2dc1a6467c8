/* Cells into the values of a page. One function per physical type; each is one loop, and the
 * common kind of cell needs no call in it.
 */
#include "lake/parquet_column.h"

#include "base/hash.h"

#define PROBE 2048 /* values after which a dictionary of nearly as many is given up */

static inline uint32_t
hash_number(uint64_t v)
{
    v *= 0x9e3779b97f4a7c15u;
    return (uint32_t)(v >> 32 ^ v >> 11);
}

static inline uint32_t
hash_bytes(struct bytes b)
{
    return (uint32_t)(hash_u64(b) >> 16);
}

static inline bool
take_cell(struct parquet_column_writer *c, const struct cell *in, struct cell *out,
          struct err *e)
{
    if (in->kind == c->fast) {
        *out = *in;
        return true;
    }
    return lake_native(&c->def->field, c->def->source, in, &c->scratch, out, e);
}

/* buf_reserve without a call when there is room. */
static inline uint8_t *
room_for(struct buf *b, size_t n)
{
    return b->cap - b->n >= n && b->p ? b->p + b->n : buf_reserve(b, n);
}

/* Counts a row; true: it has a value. */
static inline bool
take_row(struct parquet_column_writer *c, bool null)
{
    uint32_t row = c->page_rows++;
    c->valid[row >> 3] = (uint8_t)(c->valid[row >> 3] | (unsigned)!null << (row & 7));
    c->chunk.nulls += null;
    return !null;
}

/* What a new value costs: bounds and filter. Repeated ones skip it while the dictionary is on.
 */
static inline void
note_number(struct parquet_column_writer *c, const struct cell *v, const void *plain, size_t n)
{
    if (c->keep_bounds) {
        if (v->kind == CELL_INT)
            parquet_bounds_int(&c->bounds, v->v.i);
        else if (v->v.d == v->v.d)
            parquet_bounds_float(&c->bounds, v->v.d);
    }
    if (c->keep_bloom)
        parquet_bloom_add(&c->bloom, hash_xxh64(bytes_of(plain, n)));
}

static inline void
note_bytes(struct parquet_column_writer *c, struct bytes v)
{
    if (c->keep_bounds)
        parquet_bounds_bytes(&c->bounds, v);
    if (c->keep_bloom)
        parquet_bloom_add(&c->bloom, hash_xxh64(v));
}

/* The index of a new value; false: the dictionary is given up. */
static bool
dictionary_add(struct parquet_column_writer *c, uint32_t hash, struct bytes v)
{
    uint32_t i = PARQUET_DICTIONARY_FULL;
    bool useless = c->dictionary.count == PROBE && c->chunk.dictionary_pages == 0 &&
                   c->page_values < PROBE + PROBE / 32;
    if (!useless)
        i = parquet_dictionary_add(&c->dictionary, hash, v, c->physical == PHYSICAL_BYTES);
    if (i == PARQUET_DICTIONARY_FULL) {
        parquet_column_drop_dictionary(c);
        return false;
    }
    c->indexes[c->page_values] = i;
    return true;
}

/* True: the dictionary has taken it. */
static inline bool
use_dictionary(struct parquet_column_writer *c, uint32_t hash, struct bytes v, bool *new)
{
    uint32_t i = parquet_dictionary_find(&c->dictionary, hash, v.p, v.n);
    *new = i == PARQUET_DICTIONARY_FULL;
    if (*new)
        return dictionary_add(c, hash, v);
    c->indexes[c->page_values] = i;
    return true;
}

/* INT32, INT64, FLOAT, DOUBLE; the arguments after e are constants. */
static inline __attribute__((always_inline)) bool
append_number(struct parquet_column_writer *c, const struct cell *const *rows, size_t n,
              struct err *e, size_t width, bool floats)
{
    for (size_t k = 0; k < n; k++) {
        struct cell v;
        uint64_t bits;
        bool new = true;
        if (!take_cell(c, &rows[k][c->at], &v, e))
            return false;
        if (!take_row(c, v.kind == CELL_NULL))
            continue;
        if (floats && width == 4) {
            float f = (float)v.v.d;
            bits = 0;
            memcpy(&bits, &f, 4);
        } else {
            memcpy(&bits, &v.v, 8);
        }
        if (floats)
            c->chunk.nans += v.v.d != v.v.d;
        if (!c->dictionary_on ||
            !use_dictionary(c, hash_number(width == 4 ? (uint32_t)bits : bits),
                            bytes_of(&bits, width), &new)) {
            uint8_t *at = room_for(&c->plain, width);
            if (!at)
                return err_set(e, MR_NO_MEMORY, "column %s", c->def->field.name);
            memcpy(at, &bits, width);
            c->plain.n += width;
        }
        c->page_values++;
        if (new)
            note_number(c, &v, &bits, width);
    }
    c->page_bytes = (size_t)c->page_values * width;
    return true;
}

static bool
append_int32(struct parquet_column_writer *c, const struct cell *const *rows, size_t *n,
             struct err *e)
{
    return append_number(c, rows, *n, e, 4, false);
}

static bool
append_int64(struct parquet_column_writer *c, const struct cell *const *rows, size_t *n,
             struct err *e)
{
    return append_number(c, rows, *n, e, 8, false);
}

static bool
append_float(struct parquet_column_writer *c, const struct cell *const *rows, size_t *n,
             struct err *e)
{
    return append_number(c, rows, *n, e, 4, true);
}

static bool
append_double(struct parquet_column_writer *c, const struct cell *const *rows, size_t *n,
              struct err *e)
{
    return append_number(c, rows, *n, e, 8, true);
}

static bool
append_boolean(struct parquet_column_writer *c, const struct cell *const *rows, size_t *n,
               struct err *e)
{
    for (size_t k = 0; k < *n; k++) {
        struct cell v;
        if (!take_cell(c, &rows[k][c->at], &v, e))
            return false;
        if (!take_row(c, v.kind == CELL_NULL))
            continue;
        uint8_t bit = (uint8_t)v.v.u;
        buf_add_byte(&c->plain, bit);
        c->page_values++;
        note_number(c, &v, &bit, 1);
    }
    c->page_bytes = c->page_values;
    return true;
}

static inline bool
put_plain(struct parquet_column_writer *c, struct bytes v, bool with_length)
{
    uint8_t *at = room_for(&c->plain, v.n + 4);
    if (!at)
        return false;
    if (with_length) {
        uint32_t n = (uint32_t)v.n;
        memcpy(at, &n, 4);
        at += 4;
    }
    if (v.n)
        memcpy(at, v.p, v.n);
    c->plain.n += v.n + (with_length ? 4 : 0);
    return true;
}

static inline bool
append_bytes_of(struct parquet_column_writer *c, const struct cell *const *rows, size_t *n,
                struct err *e, bool with_length)
{
    size_t k = 0;
    for (; k < *n && c->page_bytes < c->conf->page_bytes; k++) {
        struct cell cell;
        bool new = true;
        if (!take_cell(c, &rows[k][c->at], &cell, e))
            return false;
        if (!take_row(c, cell.kind == CELL_NULL))
            continue;
        struct bytes v = cell_bytes(&cell);
        if (v.n > PARQUET_VALUE_MAX)
            return err_set(e, MR_LAKE_VALUE, "column %s: a value of %zu bytes",
                           c->def->field.name, v.n);
        if (!c->dictionary_on || !use_dictionary(c, hash_bytes(v), v, &new)) {
            if (!put_plain(c, v, with_length))
                return err_set(e, MR_NO_MEMORY, "column %s", c->def->field.name);
        }
        c->page_values++;
        c->page_bytes += v.n + (with_length ? 4 : 0);
        if (new)
            note_bytes(c, v);
    }
    *n = k;
    return true;
}

static bool
append_bytes(struct parquet_column_writer *c, const struct cell *const *rows, size_t *n,
             struct err *e)
{
    return append_bytes_of(c, rows, n, e, true);
}

static bool
append_fixed(struct parquet_column_writer *c, const struct cell *const *rows, size_t *n,
             struct err *e)
{
    return append_bytes_of(c, rows, n, e, false);
}

void
parquet_column_drop_dictionary(struct parquet_column_writer *c)
{
    bool with_length = c->physical == PHYSICAL_BYTES;
    for (uint32_t i = 0; i < c->page_values; i++)
        if (!put_plain(c, parquet_dictionary_value(&c->dictionary, c->indexes[i]), with_length))
            break; /* the buffer remembers it */
    c->dictionary_on = false;
}

parquet_append_fn *
parquet_append_of(const struct lake_type *t)
{
    switch (parquet_physical(t)) {
    case PHYSICAL_BOOLEAN:
        return append_boolean;
    case PHYSICAL_INT32:
        return append_int32;
    case PHYSICAL_INT64:
        return append_int64;
    case PHYSICAL_FLOAT:
        return append_float;
    case PHYSICAL_DOUBLE:
        return append_double;
    case PHYSICAL_BYTES:
        return append_bytes;
    default:
        return append_fixed;
    }
}
