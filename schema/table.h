/* Table version: the one model of a table at a moment. Immutable after table_seal,
 * reference-counted, shared by threads.
 *
 * Made by a source (TABLE_MAP metadata + information_schema), travels to apply as JSON in an
 * `event/` record of kind version (docs/formats.md), and is all that codecs and target DDL
 * need. All strings live in the table's own arena.
 */
#ifndef MILLRACE_SCHEMA_TABLE_H
#define MILLRACE_SCHEMA_TABLE_H

#include "base/arena.h"
#include "base/json.h"

/* Source types of the MySQL family; one row each in schema/types_mysql.c. */
enum column_type {
    COL_TINYINT,
    COL_SMALLINT,
    COL_MEDIUMINT,
    COL_INT,
    COL_BIGINT,
    COL_FLOAT,
    COL_DOUBLE,
    COL_DECIMAL,
    COL_CHAR,
    COL_VARCHAR,
    COL_TINYTEXT,
    COL_TEXT,
    COL_MEDIUMTEXT,
    COL_LONGTEXT,
    COL_BINARY,
    COL_VARBINARY,
    COL_TINYBLOB,
    COL_BLOB,
    COL_MEDIUMBLOB,
    COL_LONGBLOB,
    COL_DATE,
    COL_TIME,
    COL_DATETIME,
    COL_TIMESTAMP,
    COL_YEAR,
    COL_BIT,
    COL_ENUM,
    COL_SET,
    COL_JSON,
    COL_GEOMETRY,
    COL_VECTOR,
    COL_UUID,
    COL_INET4,
    COL_INET6, /* MariaDB */
    COL_TYPES
};

struct column {
    const char *name;
    enum column_type type;
    bool is_unsigned;
    bool nullable;
    bool generated; /* its value is computed: captured, not written at the target */
    bool invisible;
    uint32_t length;         /* characters, bytes, bits of BIT, floats of VECTOR */
    uint8_t precision;       /* DECIMAL */
    uint8_t scale;           /* DECIMAL; fraction digits of TIME, DATETIME, TIMESTAMP */
    uint16_t key_at;         /* 1-based place in the row's key; 0 = not in it */
    const char *charset;     /* text types, ENUM, SET: MySQL's character set name; else NULL */
    const char *collation;   /* likewise */
    const char *source_type; /* information_schema column_type, e.g. "int unsigned"; for reports
                                and DDL */
    const char *default_sql; /* DEFAULT clause as SQL text, or NULL */
    const struct bytes *labels; /* ENUM, SET: UTF-8 */
    uint32_t label_count;
};

struct unique_key {
    const char *name; /* "PRIMARY" for the primary key */
    const uint16_t *columns;
    const uint32_t *prefixes; /* index prefix length per column, 0 = whole */
    uint16_t column_count;
};

enum source_flavor { FLAVOR_MYSQL, FLAVOR_MARIADB };

/* What a row of a published table is. But for KEYED, the last column is TABLE_ROW_COLUMN, the
 * row's key, which any number of rows may have (schema/table_rows.h). */
enum table_rows {
    TABLE_KEYED,    /* what its key names */
    TABLE_APPEND,   /* one change of a table without a key: the target is a log */
    TABLE_MULTISET, /* one of the equal rows of a table without a key */
};
#define TABLE_ROW_COLUMN "_millrace_row"

struct table {
    struct arena arena;
    uint32_t refs; /* atomic */
    enum source_flavor flavor;
    enum table_rows rows;
    const char *database;
    const char *name;
    uint32_t version;     /* 1, 2, ... per table and incarnation */
    uint64_t fingerprint; /* of what TABLE_MAP says, table id left out */
    struct column *columns;
    uint16_t column_count;
    const uint16_t *key; /* column indexes of the row's key in key order; 0 columns = keyless */
    uint16_t key_count;
    struct unique_key *uniques; /* all unique keys, the primary one first */
    uint16_t unique_count;
    const char *charset; /* table default */
    const char *collation;
    const char *comment;
    /* MariaDB: system versioning. Its two columns are none of `columns`: their names, and their
     * places (1, 2, ...) in the log's rows; 0: no system versioning. */
    const char *period_start, *period_end;
    uint16_t period_start_at, period_end_at;
};

/* A new, unshared table with refs = 1; fill it with memory of its arena, then table_seal. */
struct table *
table_new(const char *database, const char *name);
/* Chooses the key (PRIMARY, else the first unique key whose columns are all NOT NULL and
 * without prefixes; not KEYED: the last column), sets key_at. */
void
table_seal(struct table *t);
/* Alike but for version and fingerprint. */
bool
table_same(const struct table *a, const struct table *b);
struct table *
table_ref(struct table *t);
void
table_unref(struct table *t); /* NULL allowed */

struct json *
table_to_json(const struct table *t);
MUST bool
table_from_json(const struct json *j, struct table **out, struct err *e);
/* Column index by exact name, -1 if none. */
int
table_column_find(const struct table *t, struct bytes name);
/* Unique keys that are not the row's key: such a target table is written by DELETE, then plain
 * INSERT. */
bool
table_has_secondary_unique(const struct table *t);

#endif
