/* Iceberg's types, fields and schemas, and their values in native form.
 *
 * Format: apache/iceberg format/spec.md, "Schemas and Data Types", Appendix C (type names) and
 * Appendix D (single-value serialization).
 *
 * A native cell is a struct cell in Iceberg's own units, the form in which readers give values
 * and bounds and in which keys are compared:
 *   boolean               CELL_INT 0 or 1
 *   int, long             CELL_INT
 *   date                  CELL_INT, days since 1970-01-01
 *   time                  CELL_INT, microseconds since midnight
 *   timestamp, -tz        CELL_INT, microseconds since 1970-01-01 (UTC)
 *   float, double         CELL_FLOAT, CELL_DOUBLE
 *   decimal(P <= 18, S)   CELL_INT, the unscaled value
 *   decimal(P > 18, S)    CELL_BYTES, the unscaled value, big-endian two's complement in
 * exactly lake_decimal_width(P) bytes string                CELL_TEXT uuid CELL_BYTES, 16
 *   fixed(L), binary      CELL_BYTES
 * lake/value.h makes native cells of the cells of a source.
 *
 * Ownership: types are values; names and arrays of fields and schemas borrow from whoever made
 * them (an arena). Thread: any; a schema is immutable once made.
 */
#ifndef MILLRACE_LAKE_TYPE_H
#define MILLRACE_LAKE_TYPE_H

#include "base/arena.h"
#include "schema/cell.h"
#include "schema/table.h"

enum lake_kind {
    LAKE_BOOLEAN,
    LAKE_INT,
    LAKE_LONG,
    LAKE_FLOAT,
    LAKE_DOUBLE,
    LAKE_DECIMAL,
    LAKE_DATE,
    LAKE_TIME,        /* microseconds */
    LAKE_TIMESTAMP,   /* microseconds, no zone */
    LAKE_TIMESTAMPTZ, /* microseconds, UTC */
    LAKE_STRING,
    LAKE_UUID,
    LAKE_FIXED,
    LAKE_BINARY,
    LAKE_KINDS
};

#define LAKE_PRECISION_MAX 38

struct lake_type {
    enum lake_kind kind;
    uint8_t precision; /* DECIMAL: 1..38 */
    uint8_t scale;     /* DECIMAL: 0..precision */
    uint32_t length;   /* FIXED: bytes */
};

struct lake_field {
    int32_t id;       /* unique in the table for ever, 1.. */
    const char *name; /* UTF-8 */
    struct lake_type type;
    bool required;
};

struct lake_schema {
    int32_t id; /* schema-id */
    const struct lake_field *fields;
    uint32_t field_count;
    const int32_t *identifier_ids; /* identifier-field-ids: required fields, no floats */
    uint32_t identifier_count;
};

/* Reserved fields (spec, "Reserved Field IDs"). */
#define LAKE_ID_ROW_ID       2147483540 /* _row_id, long, optional */
#define LAKE_ID_LAST_UPDATED 2147483539 /* _last_updated_sequence_number, long, optional */
#define LAKE_ID_FILE_PATH    2147483546 /* file_path of a position delete, string, required */
#define LAKE_ID_POS          2147483545 /* pos of a position delete, long, required */

extern const struct lake_field LAKE_FIELD_ROW_ID;
extern const struct lake_field LAKE_FIELD_LAST_UPDATED;
extern const struct lake_field LAKE_FIELD_FILE_PATH;
extern const struct lake_field LAKE_FIELD_POS;

#define LAKE_TYPE_TEXT_MAX 32

bool
lake_type_equal(const struct lake_type *a, const struct lake_type *b);
/* "decimal(9, 2)", "fixed[16]": as metadata.json and manifests have it. Returns out. */
char *
lake_type_text(const struct lake_type *t, char out[LAKE_TYPE_TEXT_MAX]);
/* Accepts spaces as other writers put them. False: no primitive type that is known here. */
MUST bool
lake_type_parse(struct bytes text, struct lake_type *out);
/* A column may change from one to the other: the same, int -> long, float -> double, a larger
 * precision of the same scale. */
bool
lake_type_promotes(const struct lake_type *from, const struct lake_type *to);
/* Bytes of the smallest two's complement number that holds every value of that precision. */
unsigned
lake_decimal_width(unsigned precision);
/* The same fields in the same order, and the same identifiers; ids of the schemas do not count.
 */
bool
lake_schema_equal(const struct lake_schema *a, const struct lake_schema *b);
/* By id; NULL if none. */
const struct lake_field *
lake_schema_find(const struct lake_schema *s, int32_t id);
/* By exact name; NULL if none. */
const struct lake_field *
lake_schema_find_name(const struct lake_schema *s, struct bytes name);

/* How the columns of a source become fields; zeros are the defaults. */
struct lake_map_conf {
    bool tinyint1_boolean; /* tinyint(1) is boolean, not int */
    bool time_text;        /* TIME is string, which holds -838:59:59 .. 838:59:59; not time */
};

/* The type that a column has in Iceberg. Never fails: what has no type of its own is string or
 * binary. */
struct lake_type
lake_type_of_column(const struct column *c, const struct lake_map_conf *conf);
/* Can hold values that become null (zero dates), so the field is optional if not in the key. */
bool
lake_column_may_null(const struct column *c);
/* The first schema of a table: ids 1.. in column order, generated columns too, the key as
 * identifier-field-ids (none when it has a float). Everything borrows from `a`. */
void
lake_schema_of_table(const struct table *t, const struct lake_map_conf *conf, struct arena *a,
                     struct lake_schema *out);

/* Bounds: single-value serialization of a native cell that is not null, appended. Little-endian
 * numbers, decimals as shortest big-endian two's complement, strings and bytes as they are. */
void
lake_value_put(const struct lake_type *t, const struct cell *native, struct buf *out);
/* The same back. Also takes the form of a type that was promoted to t (4 bytes of int for a
 * long, of float for a double). Text and bytes borrow from b; a wide decimal is widened into
 * `a`. False: b is no value of the type. */
MUST bool
lake_value_get(const struct lake_type *t, struct bytes b, struct arena *a, struct cell *out);
/* Order of two native cells of one type, neither null nor NaN: signed numbers, bytes unsigned,
 * -0.0 below +0.0. */
int
lake_value_cmp(const struct lake_type *t, const struct cell *a, const struct cell *b);

#endif
