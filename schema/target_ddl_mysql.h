/* DDL text for targets of the MySQL family, made from table versions. Pure text: nothing here
 * talks to a server.
 *
 * Text columns keep the source's character set and collation where the target has them; else
 * they become utf8mb4 with a binary NO PAD collation (utf8mb4_0900_bin, utf8mb4_nopad_bin), so
 * that no two keys of the source meet. A generated column keeps its expression when default_sql
 * holds it
 * ("GENERATED ALWAYS AS (...)") and the flavors are alike, else it is left out. Every such
 * deviation is a line of `notes` (may be NULL).
 * Tables without a key (schema/table_rows.h) have TABLE_ROW_COLUMN invisible, under an index
 * when their rows are deleted by it, and no unique keys.
 * Thread: any.
 */
#ifndef MILLRACE_SCHEMA_TARGET_DDL_MYSQL_H
#define MILLRACE_SCHEMA_TARGET_DDL_MYSQL_H

#include "schema/table.h"

struct ddl_target {
    enum source_flavor flavor;
    const char *database;
    const char *table;
    bool lacks_vector; /* no type VECTOR: kept as its bytes */
    /* Collations of the target, any order. NULL: not known, then a target of the source's
     * flavor has them all and another one those without a flavor's mark (0900, uca1400, nopad).
     */
    const char *const *collations;
    size_t collation_count;
};

/* Columns of a table of changes (TABLE_APPEND) behind the source's. */
struct ddl_log_column {
    const char *name;
    const char *type;
};
extern const struct ddl_log_column ddl_log_columns[3];

struct ddl_rename {
    const char *from;
    const char *to;
};

/* What an ALTER means for the rows already there. */
struct ddl_alter {
    unsigned added, dropped, modified, renamed;
    bool keys;  /* unique keys change */
    bool exact; /* false: rows at the target may come out otherwise than at the source (a
                   default that is not constant, a conversion): load the table again */
};

/* CREATE TABLE [IF NOT EXISTS is not used]. MR_TARGET_DDL when nothing can be written. */
MUST bool
ddl_create_table(const struct table *t, const struct ddl_target *to, struct buf *sql,
                 struct buf *notes, struct err *e);
/* One ALTER TABLE that turns version `from` into version `into`, columns matched by name after
 * the renames; nothing is appended when they are alike. */
MUST bool
ddl_alter_table(const struct table *from, const struct table *into, const struct ddl_target *to,
                const struct ddl_rename *renames, size_t rename_count, struct ddl_alter *out,
                struct buf *sql);
void
ddl_drop_table(const struct ddl_target *to, struct buf *sql);
void
ddl_truncate_table(const struct ddl_target *to, struct buf *sql);

/* Can rows of `want` be written to an existing table `have`? Else one line per difference, for
 * MR_TARGET_SHAPE. Tolerated: wider types, nullable or defaulted extra columns, extra keys. */
MUST bool
ddl_compare(const struct table *want, const struct table *have, struct buf *differences);
/* A value of `want` always fits a column like `have`; names play no part. */
bool
ddl_column_fits(const struct column *want, const struct column *have);
/* A column like this, added by an ALTER at any target of the family, holds in the rows that are
 * there what it holds at the source. */
bool
ddl_fills_alike(const struct column *c);
/* Both flavors' type text of a column, for messages: "varchar(20)", "int unsigned". */
void
ddl_type_text(const struct column *c, enum source_flavor flavor, struct buf *out);

#endif
