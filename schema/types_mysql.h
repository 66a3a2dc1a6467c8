/* The types of the MySQL family: one row per column type says how a value travels and what a
 * target makes of it. Codecs, target DDL and the documentation read this table, nothing else
 * decides about types.
 *
 * Wire form = how a value stands in a Debezium envelope: Avro type with logical type and
 * connect.name, and its JSON form. Thread: static tables.
 */
#ifndef MILLRACE_SCHEMA_TYPES_MYSQL_H
#define MILLRACE_SCHEMA_TYPES_MYSQL_H

#include "schema/cell.h"
#include "schema/table.h"

enum wire {
    WIRE_INT, /* int; INT16 in Connect below INT */
    WIRE_LONG,
    WIRE_UINT64, /* Decimal(20, 0) */
    WIRE_FLOAT,
    WIRE_DOUBLE,
    WIRE_DECIMAL, /* unscaled two's complement, big-endian */
    WIRE_STRING,
    WIRE_BYTES,
    WIRE_DATE,        /* days since the epoch */
    WIRE_TIME,        /* microseconds, signed */
    WIRE_DATETIME_MS, /* fraction digits 0..3 */
    WIRE_DATETIME_US, /* fraction digits 4..6 */
    WIRE_TIMESTAMP,   /* ISO text ending in Z */
    WIRE_YEAR,
    WIRE_BOOL, /* BIT(1) */
    WIRE_BITS, /* BIT(n): (n + 7) / 8 bytes, little-endian */
    WIRE_ENUM, /* the label */
    WIRE_SET,  /* labels, comma between */
    WIRE_JSON,
    WIRE_GEOMETRY,  /* {wkb, srid} */
    WIRE_VECTOR,    /* array of float */
    WIRE_DATE_TEXT, /* in keys: MySQL's text, so that zero dates fit */
    WIRE_DATETIME_TEXT,
    WIRE_TIMESTAMP_TEXT,
    WIRES
};

struct wire_info {
    const char *avro;         /* primitive type; NULL: the schema writer builds it */
    const char *connect_name; /* semantic type, or NULL */
    const char *json;         /* JSON form, for the documentation */
};

struct type_mysql {
    const char *name;    /* in the JSON of table versions */
    enum cell_kind cell; /* what a decoder makes of it; decoders may also give CELL_NULL */
    enum wire wire;      /* for the defaults of length, scale and sign: see type_wire */
    const char
        *mysql; /* target type: %n length, %p precision, %s scale, %l labels, %f (scale) */
    const char *mariadb;
    const char *policy; /* NULL: lossless. Else what differs, one sentence */
};

/* Never NULL for a valid type. */
const struct type_mysql *
type_mysql(enum column_type type);
const struct wire_info *
wire_info(enum wire w);
/* How this column travels; in_key: in the key's record. */
enum wire
type_wire(const struct column *c, bool in_key);
/* Its wire form cannot carry all its values, so the column is nullable in the value's schema
 * even if NOT NULL: zero and partial dates, invalid enum values (see millrace_raw). */
bool
type_has_raw(enum wire w);
/* Type by name; false when unknown. */
MUST bool
type_by_name(const char *name, enum column_type *out);
/* Lengths, scales and label counts within what the type can have; codecs rely on it. */
MUST bool
type_check(const struct column *c, struct err *e);
bool
type_is_text(enum column_type t); /* CHAR .. LONGTEXT */
bool
type_is_binary(enum column_type t); /* BINARY .. LONGBLOB */
bool
type_is_integer(enum column_type t);

#endif
