/* What ocf.c and ocf_value.c share: the file's schema, compiled, and the bounded reading of
 * values. */
#ifndef MILLRACE_LAKE_OCF_PRIVATE_H
#define MILLRACE_LAKE_OCF_PRIVATE_H

#include "lake/ocf.h"

enum ocf_type_kind {
    OCF_T_NULL,
    OCF_T_BOOLEAN,
    OCF_T_LONG, /* int too */
    OCF_T_FLOAT,
    OCF_T_DOUBLE,
    OCF_T_BYTES, /* string too */
    OCF_T_FIXED,
    OCF_T_ENUM,
    OCF_T_UNION,
    OCF_T_RECORD,
    OCF_T_ARRAY,
    OCF_T_MAP, /* string keys: read as an array of records {key, value} */
};

struct ocf_type {
    enum ocf_type_kind kind;
    size_t size;             /* FIXED: bytes; ENUM: symbols */
    struct ocf_type **inner; /* branches, field types, or the one item type */
    int32_t *field_ids;      /* RECORD */
    size_t len;
    size_t types;     /* all that are in it */
    size_t width_min; /* bytes of the smallest value: what a count is checked against */
};

/* Named types may be used again by name, but not inside themselves. */
MUST bool
ocf_type_parse(struct bytes schema, struct arena *a, struct ocf_type **out, struct err *e);
/* *out is valid, perhaps zero, when the reader failed too. */
void
ocf_take_value(struct reader *r, const struct ocf_type *type, struct arena *a,
               struct ocf_value *out);
int64_t
ocf_take_long(struct reader *r);
struct bytes
ocf_take_bytes(struct reader *r);
/* Items of the next block of an array or map; 0 at its end. */
int64_t
ocf_take_count(struct reader *r);

#endif
