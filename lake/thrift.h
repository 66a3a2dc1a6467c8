/* Thrift's compact protocol, as much of it as Parquet's headers and footers need.
 *
 * Format: apache/thrift doc/specs/thrift-compact-protocol.md. Writers append to a buf and never
 * fail at the call (buf.failed tells). Readers are bounded and sticky: after damage every call
 * gives zero and `failed` is set; nesting and lengths are limited. Thread: one at a time.
 */
#ifndef MILLRACE_LAKE_THRIFT_H
#define MILLRACE_LAKE_THRIFT_H

#include "base/bytes.h"

#define THRIFT_DEPTH_MAX 16

enum thrift_type {
    THRIFT_STOP = 0,
    THRIFT_TRUE = 1,
    THRIFT_FALSE = 2,
    THRIFT_I8 = 3,
    THRIFT_I16 = 4,
    THRIFT_I32 = 5,
    THRIFT_I64 = 6,
    THRIFT_DOUBLE = 7,
    THRIFT_BINARY = 8,
    THRIFT_LIST = 9,
    THRIFT_SET = 10,
    THRIFT_MAP = 11,
    THRIFT_STRUCT = 12
};

/* {.out = &buf} is a writer at the begin of a struct. */
struct thrift_writer {
    struct buf *out;
    int16_t last[THRIFT_DEPTH_MAX]; /* field id before, per open struct */
    unsigned depth;
};

void
thrift_varint(struct buf *out, uint64_t v);
void
thrift_i32(struct thrift_writer *w, int16_t id, int32_t v);
void
thrift_i16(struct thrift_writer *w, int16_t id, int16_t v);
void
thrift_i64(struct thrift_writer *w, int16_t id, int64_t v);
void
thrift_bool(struct thrift_writer *w, int16_t id, bool v);
void
thrift_binary(struct thrift_writer *w, int16_t id, struct bytes v);
/* A struct as a field; thrift_end closes it. */
void
thrift_struct(struct thrift_writer *w, int16_t id);
/* A list as a field: n elements follow, each by thrift_element_* or between thrift_element and
 * thrift_end. */
void
thrift_list(struct thrift_writer *w, int16_t id, enum thrift_type element, size_t n);
void
thrift_element(struct thrift_writer *w);
void
thrift_element_i32(struct thrift_writer *w, int32_t v);
void
thrift_element_binary(struct thrift_writer *w, struct bytes v);
/* Closes the innermost struct; the outermost too. */
void
thrift_end(struct thrift_writer *w);

struct thrift_reader {
    struct reader r;
    int16_t last[THRIFT_DEPTH_MAX];
    unsigned depth;
    enum thrift_type type; /* of the field that thrift_next found */
};

struct thrift_reader
thrift_reader_of(struct bytes b);
/* The next field of the open struct: its id, or 0 at its end or after damage. The caller then
 * takes the value by the call of its type, or thrift_skip. */
int16_t
thrift_next(struct thrift_reader *t);
/* The value of any integer field; another type is damage. */
int64_t
thrift_take_int(struct thrift_reader *t);
bool
thrift_take_bool(struct thrift_reader *t);
struct bytes
thrift_take_binary(struct thrift_reader *t);
/* Goes into a struct: thrift_next gives its fields until 0. */
void
thrift_enter(struct thrift_reader *t);
/* Number of elements, of which each has at least one byte; elements of another type are damage.
 * Struct elements: thrift_enter before each; others: the take of their type. */
size_t
thrift_take_list(struct thrift_reader *t, enum thrift_type element);
void
thrift_skip(struct thrift_reader *t);

#endif
