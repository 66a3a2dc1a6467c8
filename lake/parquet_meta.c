/* The footer of a Parquet file, read. */
#include "lake/parquet_meta.h"

#define TAIL 8 /* length of the footer, magic */

/* What a SchemaElement says. */
struct element {
    int64_t physical, length, repetition, children, converted, scale, precision, id;
    int16_t logical; /* member of the union LogicalType; 0: none */
    bool utc, micros, has_children;
};

static bool
damaged(const char *what, struct err *e)
{
    return err_set(e, MR_LAKE_DATA_FILE, "%s", what);
}

static void
take_unit(struct thrift_reader *t, struct element *el)
{
    thrift_enter(t);
    for (int16_t id; (id = thrift_next(t));) {
        el->micros = id == 2;
        thrift_skip(t);
    }
}

static void
take_logical(struct thrift_reader *t, struct element *el)
{
    thrift_enter(t);
    for (int16_t member; (member = thrift_next(t));) {
        el->logical = member;
        thrift_enter(t);
        for (int16_t id; (id = thrift_next(t));) {
            bool time = member == 7 || member == 8;
            if (member == 5 && id <= 2)
                *(id == 1 ? &el->scale : &el->precision) = thrift_take_int(t);
            else if (time && id == 1)
                el->utc = thrift_take_bool(t);
            else if (time && id == 2)
                take_unit(t, el);
            else
                thrift_skip(t);
        }
    }
}

static struct element
take_element(struct thrift_reader *t)
{
    struct element el = {.physical = -1, .converted = -1};
    int64_t *const ints[] = {NULL,         &el.physical,  &el.length, &el.repetition, NULL,
                             &el.children, &el.converted, &el.scale,  &el.precision,  &el.id};
    thrift_enter(t);
    for (int16_t id; (id = thrift_next(t));) {
        if (id == 10)
            take_logical(t, &el);
        else if (id < 10 && ints[id])
            *ints[id] = thrift_take_int(t);
        else
            thrift_skip(t);
        el.has_children |= id == 5;
    }
    return el;
}

static bool
decimal_of(const struct element *el, struct lake_type *out)
{
    if (el->precision < 1 || el->precision > LAKE_PRECISION_MAX || el->scale < 0 ||
        el->scale > el->precision)
        return false;
    *out = (struct lake_type){LAKE_DECIMAL, (uint8_t)el->precision, (uint8_t)el->scale, 0};
    return true;
}

static bool
kind_of(const struct element *el, enum lake_kind *out)
{
    static const enum lake_kind plain[] = {
        [PHYSICAL_BOOLEAN] = LAKE_BOOLEAN, [PHYSICAL_INT32] = LAKE_INT,
        [PHYSICAL_INT64] = LAKE_LONG,      [3] = LAKE_KINDS,
        [PHYSICAL_FLOAT] = LAKE_FLOAT,     [PHYSICAL_DOUBLE] = LAKE_DOUBLE,
        [PHYSICAL_BYTES] = LAKE_BINARY,    [PHYSICAL_FIXED] = LAKE_FIXED};
    if (el->physical < 0 || el->physical >= (int64_t)ARRAY_LEN(plain))
        return false;
    *out = plain[el->physical];
    if (el->logical == 1 || (el->logical == 0 && el->converted == 0))
        *out = LAKE_STRING;
    else if (el->logical == 6)
        *out = LAKE_DATE;
    else if (el->logical == 7)
        *out = el->micros && !el->utc ? LAKE_TIME : LAKE_KINDS;
    else if (el->logical == 8)
        *out = !el->micros ? LAKE_KINDS : el->utc ? LAKE_TIMESTAMPTZ : LAKE_TIMESTAMP;
    else if (el->logical == 14)
        *out = LAKE_UUID;
    else if (el->logical != 0)
        *out = LAKE_KINDS;
    return *out != LAKE_KINDS;
}

/* The type, if it is one of ours in the physical form that ours have. */
static bool
type_of(const struct element *el, struct lake_type *out)
{
    *out = (struct lake_type){.kind = LAKE_BINARY};
    if (el->logical == 5 || (el->logical == 0 && el->converted == 5)) {
        if (!decimal_of(el, out))
            return false;
    } else if (!kind_of(el, &out->kind)) {
        return false;
    }
    if (out->kind == LAKE_FIXED) {
        if (el->length < 1 || (uint64_t)el->length > PARQUET_VALUE_MAX)
            return false;
        out->length = (uint32_t)el->length;
    }
    return (int64_t)parquet_physical(out) == el->physical &&
           (el->physical != PHYSICAL_FIXED || (int64_t)parquet_width(out) == el->length);
}

static bool
take_schema(struct thrift_reader *t, struct parquet_meta *m, struct err *e)
{
    size_t n = thrift_take_list(t, THRIFT_STRUCT);
    if (t->r.failed || n < 1 || n - 1 > PARQUET_COLUMNS_MAX || m->leaves)
        return damaged("the footer's schema is damaged", e);
    take_element(t);
    m->leaf_count = (uint32_t)n - 1;
    m->leaves = arena_zalloc(&m->arena, n * sizeof *m->leaves);
    for (uint32_t i = 0; i < m->leaf_count; i++) {
        t->type = THRIFT_STRUCT;
        struct element el = take_element(t);
        struct parquet_leaf *l = &m->leaves[i];
        if (t->r.failed || el.has_children || el.repetition < 0 || el.repetition > 1)
            return damaged("the file has nested or repeated columns, or its schema is damaged",
                           e);
        l->id = el.id > 0 && el.id <= INT32_MAX ? (int32_t)el.id : 0;
        l->optional = el.repetition == REPETITION_OPTIONAL;
        l->known = type_of(&el, &l->type);
        if (l->known)
            l->physical = parquet_physical(&l->type);
    }
    return true;
}

static void
take_statistics(struct thrift_reader *t, struct parquet_chunk_meta *c)
{
    thrift_enter(t);
    for (int16_t id; (id = thrift_next(t));) {
        if (id == 5)
            c->max = thrift_take_binary(t);
        else if (id == 6)
            c->min = thrift_take_binary(t);
        else
            thrift_skip(t);
    }
}

struct chunk_numbers {
    int64_t codec, values, bytes, data, dictionary, bloom, bloom_bytes;
};

static void
take_column_meta(struct thrift_reader *t, struct parquet_chunk_meta *c, struct chunk_numbers *n)
{
    int64_t *const ints[] = {
        [4] = &n->codec,       [5] = &n->values, [7] = &n->bytes,       [9] = &n->data,
        [11] = &n->dictionary, [14] = &n->bloom, [15] = &n->bloom_bytes};
    thrift_enter(t);
    for (int16_t id; (id = thrift_next(t));) {
        if (id == 12)
            take_statistics(t, c);
        else if (id < (int16_t)ARRAY_LEN(ints) && ints[id])
            *ints[id] = thrift_take_int(t);
        else
            thrift_skip(t);
    }
}

/* Within what lies before the footer. */
static bool
in_file(int64_t begin, int64_t bytes, uint64_t end)
{
    return begin >= 4 && bytes >= 0 && (uint64_t)begin <= end &&
           (uint64_t)bytes <= end - (uint64_t)begin;
}

static bool
take_chunk(struct thrift_reader *t, struct parquet_chunk_meta *c, uint64_t end)
{
    struct chunk_numbers n = {.codec = -1, .values = -1, .bytes = -1};
    *c = (struct parquet_chunk_meta){0};
    t->type = THRIFT_STRUCT;
    thrift_enter(t);
    for (int16_t id; (id = thrift_next(t));) {
        if (id == 3)
            take_column_meta(t, c, &n);
        else
            thrift_skip(t);
    }
    bool first = n.dictionary > 0 && n.dictionary < n.data;
    int64_t begin = first ? n.dictionary : n.data;
    if (n.values == 0) { /* some writers say 0 for the offset of a page that is not there */
        begin = 4;
        n.bytes = 0;
    }
    if (t->r.failed || !in_file(begin, n.bytes, end) || n.values < 0)
        return false;
    c->begin = (uint64_t)begin;
    c->bytes = (uint64_t)n.bytes;
    c->values = (uint64_t)n.values;
    for (unsigned k = 0; k < PARQUET_CODECS; k++) {
        if (parquet_codec_number((enum parquet_codec)k) == n.codec) {
            c->codec = (enum parquet_codec)k;
            c->known = true;
        }
    }
    if (n.bloom > 0 && n.bloom_bytes > 0 && in_file(n.bloom, n.bloom_bytes, end)) {
        c->bloom = (uint64_t)n.bloom;
        c->bloom_bytes = (uint64_t)n.bloom_bytes;
    }
    return true;
}

static bool
take_group(struct thrift_reader *t, struct parquet_meta *m, struct parquet_group_meta *g,
           uint64_t end)
{
    int64_t rows = -1;
    t->type = THRIFT_STRUCT;
    thrift_enter(t);
    for (int16_t id; (id = thrift_next(t));) {
        if (id == 1 && !g->chunks) {
            if (thrift_take_list(t, THRIFT_STRUCT) != m->leaf_count)
                return false;
            g->chunks = arena_alloc(&m->arena, (m->leaf_count + 1) * sizeof *g->chunks);
            for (uint32_t i = 0; i < m->leaf_count; i++)
                if (!take_chunk(t, &g->chunks[i], end))
                    return false;
        } else if (id == 3) {
            rows = thrift_take_int(t);
        } else {
            thrift_skip(t);
        }
    }
    if (t->r.failed || rows < 0 || !g->chunks)
        return false;
    for (uint32_t i = 0; i < m->leaf_count; i++)
        if (g->chunks[i].values != (uint64_t)rows)
            return false;
    g->rows = (uint64_t)rows;
    return true;
}

static bool
take_groups(struct thrift_reader *t, struct parquet_meta *m, uint64_t end, struct err *e)
{
    uint64_t first = 0;
    size_t n = thrift_take_list(t, THRIFT_STRUCT);
    if (!m->leaves || m->groups || n > UINT32_MAX)
        return damaged("the footer is out of order", e);
    m->groups = arena_zalloc(&m->arena, (n + 1) * sizeof *m->groups);
    m->group_count = (uint32_t)n;
    for (uint32_t i = 0; i < n; i++) {
        if (!take_group(t, m, &m->groups[i], end) || m->groups[i].rows > INT64_MAX - first)
            return damaged("a row group of the footer is damaged", e);
        m->groups[i].first_row = first;
        first += m->groups[i].rows;
    }
    m->rows = first;
    return true;
}

static bool
take_file(struct parquet_meta *m, uint64_t end, struct err *e)
{
    struct thrift_reader t = thrift_reader_of(buf_bytes(&m->footer));
    int64_t rows = -1;
    for (int16_t id; (id = thrift_next(&t));) {
        if (id == 2) {
            if (!take_schema(&t, m, e))
                return false;
        } else if (id == 4) {
            if (!take_groups(&t, m, end, e))
                return false;
        } else if (id == 3) {
            rows = thrift_take_int(&t);
        } else {
            thrift_skip(&t);
        }
    }
    if (t.r.failed || !m->groups || rows < 0 || (uint64_t)rows != m->rows)
        return damaged("the footer is damaged", e);
    return true;
}

bool
parquet_meta_read(const struct parquet_source *source, struct parquet_meta *m, struct err *e)
{
    uint8_t tail[TAIL];
    if (source->size < 4 + TAIL)
        return damaged("the file is too short", e);
    if (!source->read(source->ctx, source->size - TAIL, TAIL, tail, e))
        return false;
    struct reader r = reader_of(bytes_of(tail, TAIL));
    uint64_t n = reader_le(&r, 4);
    if (memcmp(tail + 4, PARQUET_MAGIC, 4) != 0 || n > source->size - 4 - TAIL ||
        n > PARQUET_FOOTER_MAX)
        return damaged("the file does not end as a Parquet file does", e);
    uint8_t *at = buf_reserve(&m->footer, n);
    if (!at)
        return err_set(e, MR_NO_MEMORY, "footer of %llu bytes", (unsigned long long)n);
    if (!source->read(source->ctx, source->size - TAIL - n, n, at, e))
        return false;
    m->footer.n = n;
    return take_file(m, source->size - TAIL - n, e);
}

void
parquet_meta_free(struct parquet_meta *m)
{
    arena_free(&m->arena);
    buf_free(&m->footer);
}
