/* Rows of tables without a key.
 *
 * Such a table is published with one column more, TABLE_ROW_COLUMN: 16 bytes of SHA-256 over
 * the row's values as the source has them (kind, length, bytes of each cell, in column order).
 * It is the row's key: equal rows have the same one, different rows never (a collision would
 * need 2^64 rows). The key names a content, not a row: how many rows have it is what changes.
 * An update is a delete of the row before and a create of the row after.
 * Unique keys of the source (all of them nullable) stay in the version, no target has them.
 * Thread: any.
 */
#ifndef MILLRACE_SCHEMA_TABLE_ROWS_H
#define MILLRACE_SCHEMA_TABLE_ROWS_H

#include "schema/cell.h"
#include "schema/table.h"

#define TABLE_ROW_BYTES 16

/* The published form of a sealed table without a key; MR_SOURCE_TYPE when it has a column of
 * that name. *out: the caller's reference. */
MUST bool
table_with_rows(const struct table *t, enum table_rows rows, struct table **out, struct err *e);
/* The source's form of a published one (the caller's reference). */
struct table *
table_without_rows(struct table *t);
/* The key of a row of `columns` cells, the source's. scratch: reset, may grow. */
void
table_row_key(const struct cell *row, uint16_t columns, struct buf *scratch,
              uint8_t out[TABLE_ROW_BYTES]);

#endif
