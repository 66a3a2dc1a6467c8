/* Thrift's compact protocol. */
#include "lake/thrift.h"

#include <assert.h>

void
thrift_varint(struct buf *out, uint64_t v)
{
    for (; v >= 0x80; v >>= 7)
        buf_add_byte(out, (uint8_t)(v | 0x80));
    buf_add_byte(out, (uint8_t)v);
}

static void
put_zigzag(struct buf *out, int64_t v)
{
    thrift_varint(out, (uint64_t)v << 1 ^ (uint64_t)(v >> 63));
}

static void
put_field(struct thrift_writer *w, int16_t id, enum thrift_type type)
{
    int delta = id - w->last[w->depth];
    if (delta > 0 && delta < 16) {
        buf_add_byte(w->out, (uint8_t)(delta << 4 | (int)type));
    } else {
        buf_add_byte(w->out, (uint8_t)type);
        put_zigzag(w->out, id);
    }
    w->last[w->depth] = id;
}

void
thrift_i32(struct thrift_writer *w, int16_t id, int32_t v)
{
    put_field(w, id, THRIFT_I32);
    put_zigzag(w->out, v);
}

void
thrift_i16(struct thrift_writer *w, int16_t id, int16_t v)
{
    put_field(w, id, THRIFT_I16);
    put_zigzag(w->out, v);
}

void
thrift_i64(struct thrift_writer *w, int16_t id, int64_t v)
{
    put_field(w, id, THRIFT_I64);
    put_zigzag(w->out, v);
}

void
thrift_bool(struct thrift_writer *w, int16_t id, bool v)
{
    put_field(w, id, v ? THRIFT_TRUE : THRIFT_FALSE);
}

void
thrift_binary(struct thrift_writer *w, int16_t id, struct bytes v)
{
    put_field(w, id, THRIFT_BINARY);
    thrift_element_binary(w, v);
}

void
thrift_struct(struct thrift_writer *w, int16_t id)
{
    put_field(w, id, THRIFT_STRUCT);
    thrift_element(w);
}

void
thrift_list(struct thrift_writer *w, int16_t id, enum thrift_type element, size_t n)
{
    put_field(w, id, THRIFT_LIST);
    if (n < 15) {
        buf_add_byte(w->out, (uint8_t)(n << 4 | (unsigned)element));
    } else {
        buf_add_byte(w->out, (uint8_t)(0xf0 | element));
        thrift_varint(w->out, n);
    }
}

void
thrift_element(struct thrift_writer *w)
{
    assert(w->depth + 1 < THRIFT_DEPTH_MAX);
    w->last[++w->depth] = 0;
}

void
thrift_element_i32(struct thrift_writer *w, int32_t v)
{
    put_zigzag(w->out, v);
}

void
thrift_element_binary(struct thrift_writer *w, struct bytes v)
{
    thrift_varint(w->out, v.n);
    buf_add_bytes(w->out, v);
}

void
thrift_end(struct thrift_writer *w)
{
    buf_add_byte(w->out, THRIFT_STOP);
    if (w->depth)
        w->depth--;
}

struct thrift_reader
thrift_reader_of(struct bytes b)
{
    return (struct thrift_reader){.r = reader_of(b)};
}

static uint64_t
take_varint(struct reader *r)
{
    uint64_t v = 0;
    for (unsigned shift = 0; shift < 64; shift += 7) {
        uint8_t c = reader_u8(r);
        v |= (uint64_t)(c & 0x7f) << shift;
        if (!(c & 0x80))
            return r->failed ? 0 : v;
    }
    r->failed = true;
    return 0;
}

static int64_t
take_zigzag(struct reader *r)
{
    uint64_t v = take_varint(r);
    return (int64_t)(v >> 1) ^ -(int64_t)(v & 1);
}

int16_t
thrift_next(struct thrift_reader *t)
{
    uint8_t head = reader_u8(&t->r);
    t->type = (enum thrift_type)(head & 15);
    if (t->r.failed || t->type == THRIFT_STOP) {
        if (t->depth)
            t->depth--;
        return 0;
    }
    int64_t id = head >> 4 ? t->last[t->depth] + (head >> 4) : take_zigzag(&t->r);
    if (id <= 0 || id > INT16_MAX || t->type > THRIFT_STRUCT)
        t->r.failed = true;
    if (t->r.failed)
        return 0;
    t->last[t->depth] = (int16_t)id;
    return (int16_t)id;
}

int64_t
thrift_take_int(struct thrift_reader *t)
{
    if (t->type != THRIFT_I16 && t->type != THRIFT_I32 && t->type != THRIFT_I64)
        t->r.failed = true;
    return t->r.failed ? 0 : take_zigzag(&t->r);
}

bool
thrift_take_bool(struct thrift_reader *t)
{
    if (t->type != THRIFT_TRUE && t->type != THRIFT_FALSE)
        t->r.failed = true;
    return t->type == THRIFT_TRUE && !t->r.failed;
}

struct bytes
thrift_take_binary(struct thrift_reader *t)
{
    if (t->type != THRIFT_BINARY)
        t->r.failed = true;
    uint64_t n = t->r.failed ? 0 : take_varint(&t->r);
    return reader_take(&t->r, n);
}

void
thrift_enter(struct thrift_reader *t)
{
    if (t->type != THRIFT_STRUCT || t->depth + 1 >= THRIFT_DEPTH_MAX) {
        t->r.failed = true;
        return;
    }
    t->last[++t->depth] = 0;
}

static size_t
take_list_head(struct thrift_reader *t, enum thrift_type *element)
{
    uint8_t head = reader_u8(&t->r);
    uint64_t n = head >> 4 == 15 ? take_varint(&t->r) : head >> 4;
    *element = (enum thrift_type)(head & 15);
    if (n > reader_left(&t->r))
        t->r.failed = true;
    return t->r.failed ? 0 : (size_t)n;
}

size_t
thrift_take_list(struct thrift_reader *t, enum thrift_type element)
{
    enum thrift_type found;
    if (t->type != THRIFT_LIST) {
        t->r.failed = true;
        return 0;
    }
    size_t n = take_list_head(t, &found);
    if (n && found != element)
        t->r.failed = true;
    t->type = element;
    return t->r.failed ? 0 : n;
}

static void
skip_list(struct thrift_reader *t)
{
    enum thrift_type element;
    size_t n = take_list_head(t, &element);
    bool flags = element == THRIFT_TRUE || element == THRIFT_FALSE;
    for (size_t i = 0; i < n && !t->r.failed; i++) {
        t->type = element;
        if (flags) /* an element of its own byte, unlike a field */
            reader_u8(&t->r);
        else
            thrift_skip(t);
    }
}

static void
skip_struct(struct thrift_reader *t)
{
    thrift_enter(t);
    while (!t->r.failed && thrift_next(t))
        thrift_skip(t);
}

void
thrift_skip(struct thrift_reader *t)
{
    switch (t->type) {
    case THRIFT_TRUE:
    case THRIFT_FALSE:
        break;
    case THRIFT_I8:
        reader_u8(&t->r);
        break;
    case THRIFT_I16:
    case THRIFT_I32:
    case THRIFT_I64:
        take_varint(&t->r);
        break;
    case THRIFT_DOUBLE:
        reader_le(&t->r, 8);
        break;
    case THRIFT_BINARY:
        thrift_take_binary(t);
        break;
    case THRIFT_LIST:
    case THRIFT_SET:
        /* Lists of lists nest without structs: counted as depth. */
        if (t->depth + 1 >= THRIFT_DEPTH_MAX) {
            t->r.failed = true;
            break;
        }
        t->depth++;
        skip_list(t);
        t->depth--;
        break;
    case THRIFT_STRUCT:
        skip_struct(t);
        break;
    default:
        t->r.failed = true;
    }
}
