/* TABLE_MAP: what the log says of a table before its rows.
 *
 * Wire format: table id 6, flags 2, database (1 byte length, text, NUL), table likewise, column
 * count (lenenc), types, metadata block (lenenc length), nullability bitmap, then optional
 * fields (type 1, lenenc length, value) of binlog_row_metadata: [mysql-server
 * libs/mysql/binlog/event/rows_event.h, Table_map_event]. Everything after the flags is the
 * same for the same table definition: its hash is the fingerprint. Pure; bytes borrow, arrays
 * come from the arena. Limit: 4096 columns.
 */
#ifndef MILLRACE_CAPTURE_MYSQL_BINLOG_MAP_H
#define MILLRACE_CAPTURE_MYSQL_BINLOG_MAP_H

#include "schema/table.h"

#define BINLOG_COLUMNS_MAX 4096
#define COLLATION_BINARY   63

/* Column types of the log (enum_field_types); after parsing never LOG_VAR_STRING. */
enum log_type {
    LOG_TINY = 1,
    LOG_SHORT = 2,
    LOG_LONG = 3,
    LOG_FLOAT = 4,
    LOG_DOUBLE = 5,
    LOG_NULL = 6,
    LOG_TIMESTAMP = 7,
    LOG_LONGLONG = 8,
    LOG_INT24 = 9,
    LOG_DATE = 10,
    LOG_TIME = 11,
    LOG_DATETIME = 12,
    LOG_YEAR = 13,
    LOG_NEWDATE = 14,
    LOG_VARCHAR = 15,
    LOG_BIT = 16,
    LOG_TIMESTAMP2 = 17,
    LOG_DATETIME2 = 18,
    LOG_TIME2 = 19,
    LOG_BLOB_COMPRESSED = 140,
    LOG_VARCHAR_COMPRESSED = 141,
    LOG_VECTOR = 242,
    LOG_JSON = 245,
    LOG_NEWDECIMAL = 246,
    LOG_ENUM = 247,
    LOG_SET = 248,
    LOG_TINY_BLOB = 249,
    LOG_MEDIUM_BLOB = 250,
    LOG_LONG_BLOB = 251,
    LOG_BLOB = 252,
    LOG_VAR_STRING = 253,
    LOG_STRING = 254,
    LOG_GEOMETRY = 255,
};

struct map_column {
    uint8_t type; /* enum log_type, ENUM and SET told from STRING */
    /* VARCHAR, STRING: bytes at most. BLOB family, JSON, GEOMETRY, VECTOR: length bytes.
     * NEWDECIMAL: precision << 8 | scale. BIT: bytes << 8 | bits. ENUM, SET: bytes. TIME2,
     * DATETIME2, TIMESTAMP2: fraction digits. */
    uint16_t meta;
    bool nullable;
    bool is_unsigned;
    bool invisible;
    uint16_t collation;  /* 0: not said */
    struct bytes name;   /* p == NULL: not said */
    struct bytes labels; /* of ENUM, SET: label_count length-prefixed texts in the column's
                            character set */
    uint32_t label_count;
    uint32_t dimensions; /* VECTOR */
    uint8_t geometry;    /* GEOMETRY: 0 any, 1 point, ... as in WKB */
};

struct map_key {
    uint16_t column;
    uint32_t prefix; /* 0: whole column */
};

struct binlog_map {
    uint64_t id;
    struct bytes database;
    struct bytes table;
    struct bytes body; /* all but id and flags */
    struct map_column *columns;
    uint16_t column_count;
    bool maria;     /* of a MariaDB */
    bool has_names; /* binlog_row_metadata=FULL */
    bool has_sign;
    bool has_geometry;
    struct map_key *key; /* primary key, in key order */
    uint16_t key_count;
    /* Taken out by binlog_map_hide: places (0, 1, ...) in the rows, ascending. */
    struct map_column hidden[2];
    uint16_t hidden_at[2];
    uint16_t hidden_count; /* 0 or 2 */
    uint16_t row_end;      /* which of the two says when a row ended */
};

/* Only id, body and the names: enough to find a known definition again. */
MUST bool
binlog_map_head(struct bytes event_body, struct binlog_map *out, struct err *e);
MUST bool
binlog_map_parse(struct bytes event_body, enum source_flavor flavor, struct arena *a,
                 struct binlog_map *out, struct err *e);
/* Takes the columns of t's system versioning out of columns and key, if the map has them: by
 * name, else by place. Once. */
void
binlog_map_hide(struct binlog_map *m, const struct table *t);
uint64_t
binlog_map_fingerprint(const struct binlog_map *m);
/* Label i's raw bytes are taken from the front of *labels. */
struct bytes
binlog_map_label(struct bytes *labels);
/* Bytes of a DECIMAL(precision, scale) value. */
unsigned
binlog_decimal_size(unsigned precision, unsigned scale);

#endif
