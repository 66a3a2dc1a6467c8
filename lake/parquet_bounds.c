/* Bounds and how they are cut. */
#include "lake/parquet_bounds.h"

#define KEEP 64 /* 16 characters, whatever their length */

void
parquet_bounds_init(struct parquet_bounds *b, const struct lake_type *t, bool full)
{
    size_t width = parquet_width(t);
    *b = (struct parquet_bounds){.type = *t, .keep = width > KEEP ? width : KEEP};
    if (full)
        b->keep = SIZE_MAX;
}

void
parquet_bounds_free(struct parquet_bounds *b)
{
    buf_free(&b->min);
    buf_free(&b->max);
}

void
parquet_bounds_reset(struct parquet_bounds *b)
{
    b->any = b->min_cut = b->max_cut = false;
    buf_reset(&b->min);
    buf_reset(&b->max);
}

static void
keep(struct buf *out, struct bytes v)
{
    buf_reset(out);
    buf_add_bytes(out, v);
}

/* Decimals are signed: their first bit turned makes memcmp right. */
static uint64_t
head_of(const struct parquet_bounds *b, struct bytes v)
{
    uint64_t h = 0;
    memcpy(&h, v.p, v.n < 8 ? v.n : 8);
    h = __builtin_bswap64(h);
    return b->type.kind == LAKE_DECIMAL ? h ^ (uint64_t)1 << 63 : h;
}

static int
order(uint64_t head, struct bytes v, uint64_t bound_head, const struct buf *bound)
{
    if (head != bound_head)
        return head < bound_head ? -1 : 1;
    return bytes_cmp(v, buf_bytes(bound));
}

static void
take_bytes(struct parquet_bounds *b, struct bytes v, bool cut)
{
    uint64_t head = v.n ? head_of(b, v) : 0;
    int low = b->any ? order(head, v, b->min_head, &b->min) : -1;
    int high = b->any ? order(head, v, b->max_head, &b->max) : 1;
    if (low < 0) {
        keep(&b->min, v);
        b->min_head = head;
    }
    if (high > 0) {
        keep(&b->max, v);
        b->max_head = head;
    }
    if (low <= 0)
        b->min_cut = cut || (low == 0 && b->min_cut);
    if (high >= 0)
        b->max_cut = cut || (high == 0 && b->max_cut);
    b->any = true;
}

void
parquet_bounds_bytes(struct parquet_bounds *b, struct bytes v)
{
    if (b->any && v.n >= 8) {
        uint64_t head = head_of(b, v);
        if (head > b->min_head && head < b->max_head)
            return;
    }
    bool cut = v.n > b->keep;
    take_bytes(b, bytes_of(v.p, cut ? b->keep : v.n), cut);
}

void
parquet_bounds_merge(struct parquet_bounds *into, const struct parquet_bounds *from)
{
    if (!from->any)
        return;
    switch (parquet_physical(&from->type)) {
    case PHYSICAL_FLOAT:
    case PHYSICAL_DOUBLE:
        parquet_bounds_float(into, from->min_d);
        parquet_bounds_float(into, from->max_d);
        break;
    case PHYSICAL_BYTES:
    case PHYSICAL_FIXED:
        take_bytes(into, buf_bytes(&from->min), from->min_cut);
        take_bytes(into, buf_bytes(&from->max), from->max_cut);
        break;
    default:
        parquet_bounds_int(into, from->min_i);
        parquet_bounds_int(into, from->max_i);
    }
}

static bool
continues(uint8_t c)
{
    return (c & 0xc0) == 0x80;
}

/* Length of the longest prefix that is allowed and ends where a character does. */
static size_t
text_prefix(struct bytes v, bool cut_already, struct parquet_cut cut)
{
    size_t n = 0, characters = 0;
    while (n < v.n && (!cut.characters || characters < cut.characters)) {
        size_t next = n + 1;
        while (next < v.n && continues(v.p[next]))
            next++;
        if (cut.bytes && next > cut.bytes)
            break;
        if (next == v.n && cut_already) { /* the last character may lack its end */
            unsigned need = v.p[n] < 0x80 ? 1 : v.p[n] < 0xe0 ? 2 : v.p[n] < 0xf0 ? 3 : 4;
            if (next - n < need)
                break;
        }
        n = next;
        characters++;
    }
    return n;
}

static size_t
prefix_of(const struct parquet_bounds *b, struct bytes v, bool cut_already,
          struct parquet_cut cut)
{
    if (b->type.kind == LAKE_STRING)
        return text_prefix(v, cut_already, cut);
    bool whole = b->type.kind == LAKE_UUID || b->type.kind == LAKE_DECIMAL;
    return cut.bytes && v.n > cut.bytes && !whole ? cut.bytes : v.n;
}

static bool
raise_bytes(struct buf *b)
{
    while (b->n && b->p[b->n - 1] == 0xff)
        b->n--;
    if (b->n)
        b->p[b->n - 1]++;
    return b->n != 0;
}

static uint32_t
last_character(const struct buf *b, size_t *at)
{
    size_t i = b->n - 1;
    while (i > 0 && b->n - i < 4 && continues(b->p[i]))
        i--;
    unsigned n = (unsigned)(b->n - i);
    uint32_t c = n == 1 ? b->p[i] : b->p[i] & (0x7fu >> n);
    for (unsigned k = 1; k < n; k++)
        c = c << 6 | (b->p[i + k] & 0x3f);
    *at = i;
    return c;
}

static void
add_character(struct buf *b, uint32_t c)
{
    unsigned n = c < 0x80 ? 1 : c < 0x800 ? 2 : c < 0x10000 ? 3 : 4;
    uint8_t head = n == 1 ? 0 : (uint8_t)(0xf00 >> n);
    buf_add_byte(b, (uint8_t)(head | c >> (6 * (n - 1))));
    for (unsigned k = n - 1; k-- > 0;)
        buf_add_byte(b, (uint8_t)(0x80 | (c >> (6 * k) & 0x3f)));
}

/* The last character that has a successor becomes it; what is behind goes. */
static bool
raise_text(struct buf *b)
{
    while (b->n) {
        size_t at;
        uint32_t c = last_character(b, &at);
        b->n = at;
        if (c < 0x10ffff) {
            add_character(b, c == 0xd7ff ? 0xe000 : c + 1);
            return true;
        }
    }
    return false;
}

static bool
is_bytes(const struct parquet_bounds *b)
{
    enum parquet_physical p = parquet_physical(&b->type);
    return p == PHYSICAL_BYTES || p == PHYSICAL_FIXED;
}

static void
number_cell(const struct parquet_bounds *b, int64_t i, double d, struct cell *c)
{
    enum parquet_physical p = parquet_physical(&b->type);
    *c = (struct cell){.kind = CELL_INT, .v.i = i};
    if (p == PHYSICAL_FLOAT || p == PHYSICAL_DOUBLE)
        *c = (struct cell){.kind = p == PHYSICAL_FLOAT ? CELL_FLOAT : CELL_DOUBLE, .v.d = d};
}

static void
bytes_cell(const struct parquet_bounds *b, const struct buf *out, struct cell *c)
{
    *c = (struct cell){.kind = b->type.kind == LAKE_STRING ? CELL_TEXT : CELL_BYTES,
                       .len = (uint32_t)out->n,
                       .v.p = out->p};
}

bool
parquet_bounds_lower(const struct parquet_bounds *b, struct parquet_cut cut, struct buf *out,
                     struct cell *c, bool *exact)
{
    *exact = true;
    if (!is_bytes(b)) {
        number_cell(b, b->min_i, b->min_d == 0 ? -0.0 : b->min_d, c);
        return b->any;
    }
    struct bytes v = buf_bytes(&b->min);
    size_t n = prefix_of(b, v, b->min_cut, cut);
    keep(out, bytes_of(v.p, n));
    bytes_cell(b, out, c);
    *exact = n == v.n && !b->min_cut;
    return b->any && !out->failed && !b->min.failed;
}

bool
parquet_bounds_upper(const struct parquet_bounds *b, struct parquet_cut cut, struct buf *out,
                     struct cell *c, bool *exact)
{
    *exact = true;
    if (!is_bytes(b)) {
        number_cell(b, b->max_i, b->max_d == 0 ? 0.0 : b->max_d, c);
        return b->any;
    }
    struct bytes v = buf_bytes(&b->max);
    size_t n = prefix_of(b, v, b->max_cut, cut);
    keep(out, bytes_of(v.p, n));
    *exact = n == v.n && !b->max_cut;
    bool ok = *exact || (b->type.kind == LAKE_STRING ? raise_text(out) : raise_bytes(out));
    bytes_cell(b, out, c);
    return b->any && ok && !out->failed && !b->max.failed;
}
