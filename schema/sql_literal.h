/* SQL text of names and values for targets of the MySQL family. The row path of apply.
 *
 * Holds for sessions as apply opens them: utf8mb4, time_zone '+00:00', backslash escapes on
 * (no NO_BACKSLASH_ESCAPES), ALLOW_INVALID_DATES without NO_ZERO_DATE and NO_ZERO_IN_DATE.
 * Text is '...', bytes, geometries and vectors x'...', bits an integer, doubles and floats have
 * an exponent and read back exactly, temporals are text with the column's fraction.
 * Thread: any. Limit: the buffer's (check `failed` at the end).
 */
#ifndef MILLRACE_SCHEMA_SQL_LITERAL_H
#define MILLRACE_SCHEMA_SQL_LITERAL_H

#include "schema/cell.h"
#include "schema/table.h"

/* `name` with backquotes doubled: the one quoting function for names. */
void
sql_ident(const char *name, struct buf *out);
/* `database`.`name` */
void
sql_table(const char *database, const char *name, struct buf *out);
/* 'text' with \ escapes. */
void
sql_text(struct bytes text, struct buf *out);
/* The value of a cell for that column of the target; CELL_ABSENT gives DEFAULT. Takes what
 * source decoders and codecs make. A cell that is no value of the column (a bug of ours) marks
 * out failed. */
void
sql_literal(const struct column *c, const struct cell *v, struct buf *out);
/* ENUM's invalid value (index 0): strict mode refuses every way to write it, so its statement
 * must run without STRICT_ALL_TABLES and STRICT_TRANS_TABLES. */
bool
sql_needs_lenient(const struct column *c, const struct cell *v);

#endif
