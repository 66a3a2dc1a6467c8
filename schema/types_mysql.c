/* The type table of the MySQL family. Sources: the servers' manuals; Debezium's MySQL connector
 * for wire forms (time.precision.mode adaptive_time_microseconds, decimal.handling.mode and
 * bigint.unsigned.handling.mode precise).
 */
#include "schema/types_mysql.h"

#define JSON_POLICY                                                                 \
    "the target may print JSON documents in its own order and spacing; a decimal, " \
    "date or binary value inside one arrives as the number or text it prints as"
#define DATE_POLICY                                                          \
    "zero, partial and impossible dates are null in the column and kept in " \
    "source.millrace_raw"
#define NARROW_POLICY "the target may lack the type: kept as text"
#define VECTOR_POLICY "the target may lack the type: kept as its bytes, float32 little-endian"

static const struct type_mysql TYPES[COL_TYPES] = {
    [COL_TINYINT] = {"tinyint", CELL_INT, WIRE_INT, "tinyint", "tinyint", NULL},
    [COL_SMALLINT] = {"smallint", CELL_INT, WIRE_INT, "smallint", "smallint", NULL},
    [COL_MEDIUMINT] = {"mediumint", CELL_INT, WIRE_INT, "mediumint", "mediumint", NULL},
    [COL_INT] = {"int", CELL_INT, WIRE_INT, "int", "int", NULL},
    [COL_BIGINT] = {"bigint", CELL_INT, WIRE_LONG, "bigint", "bigint", NULL},
    [COL_FLOAT] = {"float", CELL_FLOAT, WIRE_FLOAT, "float", "float", NULL},
    [COL_DOUBLE] = {"double", CELL_DOUBLE, WIRE_DOUBLE, "double", "double", NULL},
    [COL_DECIMAL] = {"decimal", CELL_DECIMAL, WIRE_DECIMAL, "decimal(%p,%s)", "decimal(%p,%s)",
                     NULL},
    [COL_CHAR] = {"char", CELL_TEXT, WIRE_STRING, "char(%n)", "char(%n)", NULL},
    [COL_VARCHAR] = {"varchar", CELL_TEXT, WIRE_STRING, "varchar(%n)", "varchar(%n)", NULL},
    [COL_TINYTEXT] = {"tinytext", CELL_TEXT, WIRE_STRING, "tinytext", "tinytext", NULL},
    [COL_TEXT] = {"text", CELL_TEXT, WIRE_STRING, "text", "text", NULL},
    [COL_MEDIUMTEXT] = {"mediumtext", CELL_TEXT, WIRE_STRING, "mediumtext", "mediumtext", NULL},
    [COL_LONGTEXT] = {"longtext", CELL_TEXT, WIRE_STRING, "longtext", "longtext", NULL},
    [COL_BINARY] = {"binary", CELL_BYTES, WIRE_BYTES, "binary(%n)", "binary(%n)", NULL},
    [COL_VARBINARY] = {"varbinary", CELL_BYTES, WIRE_BYTES, "varbinary(%n)", "varbinary(%n)",
                       NULL},
    [COL_TINYBLOB] = {"tinyblob", CELL_BYTES, WIRE_BYTES, "tinyblob", "tinyblob", NULL},
    [COL_BLOB] = {"blob", CELL_BYTES, WIRE_BYTES, "blob", "blob", NULL},
    [COL_MEDIUMBLOB] = {"mediumblob", CELL_BYTES, WIRE_BYTES, "mediumblob", "mediumblob", NULL},
    [COL_LONGBLOB] = {"longblob", CELL_BYTES, WIRE_BYTES, "longblob", "longblob", NULL},
    [COL_DATE] = {"date", CELL_DATE, WIRE_DATE, "date", "date", DATE_POLICY},
    [COL_TIME] = {"time", CELL_TIME, WIRE_TIME, "time%f", "time%f", NULL},
    [COL_DATETIME] = {"datetime", CELL_DATETIME, WIRE_DATETIME_MS, "datetime%f", "datetime%f",
                      DATE_POLICY},
    [COL_TIMESTAMP] = {"timestamp", CELL_TIMESTAMP, WIRE_TIMESTAMP, "timestamp%f",
                       "timestamp%f", DATE_POLICY},
    [COL_YEAR] = {"year", CELL_YEAR, WIRE_YEAR, "year", "year", NULL},
    [COL_BIT] = {"bit", CELL_BIT, WIRE_BITS, "bit(%n)", "bit(%n)", NULL},
    [COL_ENUM] = {"enum", CELL_ENUM, WIRE_ENUM, "enum(%l)", "enum(%l)",
                  "the invalid value (index 0) is null in the column and '' in "
                  "source.millrace_raw"},
    [COL_SET] = {"set", CELL_SET, WIRE_SET, "set(%l)", "set(%l)", NULL},
    [COL_JSON] = {"json", CELL_JSON, WIRE_JSON, "json", "json", JSON_POLICY},
    [COL_GEOMETRY] = {"geometry", CELL_GEOMETRY, WIRE_GEOMETRY, "geometry", "geometry", NULL},
    [COL_VECTOR] = {"vector", CELL_VECTOR, WIRE_VECTOR, "vector(%n)", "vector(%n)",
                    VECTOR_POLICY},
    [COL_UUID] = {"uuid", CELL_TEXT, WIRE_STRING, "char(36) character set ascii", "uuid",
                  NARROW_POLICY},
    [COL_INET4] = {"inet4", CELL_TEXT, WIRE_STRING, "varchar(15) character set ascii", "inet4",
                   NARROW_POLICY},
    [COL_INET6] = {"inet6", CELL_TEXT, WIRE_STRING, "varchar(45) character set ascii", "inet6",
                   NARROW_POLICY},
};

static const struct wire_info INFOS[WIRES] = {
    [WIRE_INT] = {"int", NULL, "number"},
    [WIRE_LONG] = {"long", NULL, "number"},
    [WIRE_UINT64] = {"bytes", "org.apache.kafka.connect.data.Decimal",
                     "base64 of the two's complement, big-endian"},
    [WIRE_FLOAT] = {"float", NULL, "number"},
    [WIRE_DOUBLE] = {"double", NULL, "number"},
    [WIRE_DECIMAL] = {"bytes", "org.apache.kafka.connect.data.Decimal",
                      "base64 of the unscaled two's complement, big-endian"},
    [WIRE_STRING] = {"string", NULL, "string"},
    [WIRE_BYTES] = {"bytes", NULL, "base64"},
    [WIRE_DATE] = {"int", "io.debezium.time.Date", "number: days since 1970-01-01"},
    [WIRE_TIME] = {"long", "io.debezium.time.MicroTime", "number: microseconds"},
    [WIRE_DATETIME_MS] = {"long", "io.debezium.time.Timestamp", "number: milliseconds"},
    [WIRE_DATETIME_US] = {"long", "io.debezium.time.MicroTimestamp", "number: microseconds"},
    [WIRE_TIMESTAMP] = {"string", "io.debezium.time.ZonedTimestamp", "string"},
    [WIRE_YEAR] = {"int", "io.debezium.time.Year", "number"},
    [WIRE_BOOL] = {"boolean", NULL, "boolean"},
    [WIRE_BITS] = {"bytes", "io.debezium.data.Bits", "base64, little-endian"},
    [WIRE_ENUM] = {"string", "io.debezium.data.Enum", "string: the label"},
    [WIRE_SET] = {"string", "io.debezium.data.EnumSet", "string: labels, comma between"},
    [WIRE_JSON] = {"string", "io.debezium.data.Json", "string holding JSON"},
    [WIRE_GEOMETRY] = {NULL, "io.debezium.data.geometry.Geometry",
                       "{\"wkb\": base64, \"srid\": number or null}"},
    [WIRE_VECTOR] = {NULL, "io.debezium.data.FloatVector", "array of numbers"},
    [WIRE_DATE_TEXT] = {"string", NULL, "string: 2026-11-20"},
    [WIRE_DATETIME_TEXT] = {"string", NULL, "string: 2026-11-20 22:33:44"},
    [WIRE_TIMESTAMP_TEXT] = {"string", NULL, "string: 2026-11-20T22:33:44Z, or zeros"},
};

const struct type_mysql *
type_mysql(enum column_type type)
{
    return &TYPES[type];
}

const struct wire_info *
wire_info(enum wire w)
{
    return &INFOS[w];
}

enum wire
type_wire(const struct column *c, bool in_key)
{
    switch (c->type) {
    case COL_INT:
        return c->is_unsigned ? WIRE_LONG : WIRE_INT;
    case COL_BIGINT:
        return c->is_unsigned ? WIRE_UINT64 : WIRE_LONG;
    case COL_DATE:
        return in_key ? WIRE_DATE_TEXT : WIRE_DATE;
    case COL_DATETIME:
        if (in_key)
            return WIRE_DATETIME_TEXT;
        return c->scale <= 3 ? WIRE_DATETIME_MS : WIRE_DATETIME_US;
    case COL_TIMESTAMP:
        return in_key ? WIRE_TIMESTAMP_TEXT : WIRE_TIMESTAMP;
    case COL_BIT:
        return c->length == 1 ? WIRE_BOOL : WIRE_BITS;
    default:
        return TYPES[c->type].wire;
    }
}

bool
type_has_raw(enum wire w)
{
    return w == WIRE_DATE || w == WIRE_DATETIME_MS || w == WIRE_DATETIME_US ||
           w == WIRE_TIMESTAMP || w == WIRE_ENUM;
}

bool
type_by_name(const char *name, enum column_type *out)
{
    for (unsigned i = 0; i < COL_TYPES; i++) {
        if (strcmp(TYPES[i].name, name) == 0) {
            *out = (enum column_type)i;
            return true;
        }
    }
    return false;
}

static const char *
fault_of(const struct column *c)
{
    switch (c->type) {
    case COL_DECIMAL:
        return c->precision < 1 || c->precision > 65 || c->scale > 38 || c->scale > c->precision
                   ? "precision or scale out of range"
                   : NULL;
    case COL_TIME:
    case COL_DATETIME:
    case COL_TIMESTAMP:
        return c->scale > 6 ? "more than 6 fraction digits" : NULL;
    case COL_BIT:
        return c->length < 1 || c->length > 64 ? "not 1 to 64 bits" : NULL;
    case COL_ENUM:
        return c->label_count < 1 || c->label_count > 65535 ? "not 1 to 65535 labels" : NULL;
    case COL_SET:
        return c->label_count < 1 || c->label_count > 64 ? "not 1 to 64 labels" : NULL;
    default:
        return NULL;
    }
}

bool
type_check(const struct column *c, struct err *e)
{
    if ((unsigned)c->type >= COL_TYPES)
        return err_set(e, MR_SOURCE_TYPE, "column %s: type %d is not known", c->name,
                       (int)c->type);
    const char *fault = fault_of(c);
    if (fault)
        return err_set(e, MR_SOURCE_TYPE, "column %s (%s): %s", c->name, TYPES[c->type].name,
                       fault);
    return true;
}

bool
type_is_text(enum column_type t)
{
    return t >= COL_CHAR && t <= COL_LONGTEXT;
}

bool
type_is_binary(enum column_type t)
{
    return t >= COL_BINARY && t <= COL_LONGBLOB;
}

bool
type_is_integer(enum column_type t)
{
    return t <= COL_BIGINT;
}
