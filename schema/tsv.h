/* Rows as LOAD DATA LOCAL reads them.
 *
 * One line a row: fields separated by a tab, ended by a newline, \ escapes, \N for NULL; the
 * defaults of LOAD DATA, to be sent with CHARACTER SET utf8mb4. Bytes, geometries and vectors
 * are hex and bits decimal: they go through user variables (tsv_columns), because the server
 * checks and converts every plain field as text. Generated columns are left out. Thread: any.
 * Limit: the buffer's.
 */
#ifndef MILLRACE_SCHEMA_TSV_H
#define MILLRACE_SCHEMA_TSV_H

#include "schema/cell.h"
#include "schema/table.h"

/* What stands after the options of LOAD DATA: "(`a`,@c1) SET `b`=UNHEX(@c1)". */
void
tsv_columns(const struct table *t, struct buf *out);
/* One field, without its tab. */
MUST bool
tsv_field(const struct column *c, const struct cell *v, struct buf *out, struct err *e);
/* One line. MR_TARGET_ROW on a cell that no line can carry: an absent one, a wrong label. */
MUST bool
tsv_row(const struct table *t, const struct cell *row, struct buf *out, struct err *e);

#endif
