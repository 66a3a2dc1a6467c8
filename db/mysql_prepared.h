/* Prepared statements in the binary protocol, rows delivered raw: about 1.5 x the speed of text
 * queries, and values as typed as in the binary log. Row format: MySQL "Binary Protocol
 * Resultset Row"; mysql_binary_* reads it. Owner: who prepared it; freed before its connection.
 * Thread: the connection's.
 */
#ifndef MILLRACE_DB_MYSQL_PREPARED_H
#define MILLRACE_DB_MYSQL_PREPARED_H

#include "db/mysql.h"

enum mysql_param_kind {
    MYSQL_PARAM_I64,
    MYSQL_PARAM_U64,
    MYSQL_PARAM_DOUBLE,
    MYSQL_PARAM_TEXT, /* UTF-8 */
    MYSQL_PARAM_BINARY,
    MYSQL_PARAM_DECIMAL, /* digits as text, compared as a decimal */
};

struct mysql_param {
    enum mysql_param_kind kind;
    union {
        int64_t i;
        uint64_t u;
        double d;
    } v;
    struct bytes bytes;
};

#define MYSQL_PARAMS_MAX 320

/* Protocol types (enum_field_types). */
enum mysql_type {
    MYSQL_T_DECIMAL = 0,
    MYSQL_T_TINY = 1,
    MYSQL_T_SHORT = 2,
    MYSQL_T_LONG = 3,
    MYSQL_T_FLOAT = 4,
    MYSQL_T_DOUBLE = 5,
    MYSQL_T_NULL = 6,
    MYSQL_T_TIMESTAMP = 7,
    MYSQL_T_LONGLONG = 8,
    MYSQL_T_INT24 = 9,
    MYSQL_T_DATE = 10,
    MYSQL_T_TIME = 11,
    MYSQL_T_DATETIME = 12,
    MYSQL_T_YEAR = 13,
    MYSQL_T_VARCHAR = 15,
    MYSQL_T_BIT = 16,
    MYSQL_T_VECTOR = 242,
    MYSQL_T_JSON = 245,
    MYSQL_T_NEWDECIMAL = 246,
    MYSQL_T_ENUM = 247,
    MYSQL_T_SET = 248,
    MYSQL_T_TINY_BLOB = 249,
    MYSQL_T_MEDIUM_BLOB = 250,
    MYSQL_T_LONG_BLOB = 251,
    MYSQL_T_BLOB = 252,
    MYSQL_T_VAR_STRING = 253,
    MYSQL_T_STRING = 254,
    MYSQL_T_GEOMETRY = 255,
};

struct mysql_result_column {
    const char *name;
    uint8_t type; /* enum mysql_type */
    bool is_unsigned;
    uint16_t charset; /* collation id; 63 = binary */
    uint32_t length;
    uint8_t decimals;
};

struct mysql_prepared;

MUST bool
mysql_prepared_new(struct mysql_conn *c, struct bytes sql, struct mysql_prepared **out,
                   struct err *e);
void
mysql_prepared_free(struct mysql_prepared *p); /* NULL allowed */
/* Runs it with n parameters; rows of an earlier run must have been read to the end. */
MUST bool
mysql_prepared_run(struct mysql_prepared *p, const struct mysql_param *params, unsigned n,
                   struct err *e);
/* Columns of the result: filled by mysql_prepared_new, their types again by each run. */
const struct mysql_result_column *
mysql_prepared_columns(const struct mysql_prepared *p, unsigned *n);
/* The next row's packet, valid until the next call; n == 0: no more rows. */
MUST bool
mysql_prepared_next(struct mysql_prepared *p, struct bytes *row, struct err *e);

/* Where column i's NULL bit is in a row packet of `columns` columns; the values start at
 * mysql_binary_values. */
static inline bool
mysql_binary_null(const uint8_t *row, unsigned i)
{
    return row[1 + (i + 2) / 8] >> ((i + 2) % 8) & 1;
}

static inline size_t
mysql_binary_values(unsigned columns)
{
    return 1 + (columns + 9) / 8;
}

#endif
