/* Row images of the log -> cells, by a plan compiled once per table version.
 *
 * Row image [mysql-server rows_event.h]: for the columns of the event's "present" bitmap a NULL
 * bitmap, then the values of those present and not NULL. Cells borrow from the event or live in
 * the arena; nothing else is allocated per row. Owner: the decoder. Thread: the decoder's.
 * Limit: one value is at most what the event holds.
 */
#ifndef MILLRACE_CAPTURE_MYSQL_ROW_PLAN_H
#define MILLRACE_CAPTURE_MYSQL_ROW_PLAN_H

#include "capture/mysql/binlog_map.h"
#include "capture/mysql/charset.h"
#include "schema/cell.h"
#include "schema/table.h"

struct row_plan;

/* The table agrees with the map (definition_agrees). MR_SOURCE_TYPE: a column that cannot be
 * decoded. */
MUST bool
row_plan_new(const struct binlog_map *m, struct table *t, const struct collations *cs,
             struct row_plan **out, struct err *e);
void
row_plan_free(struct row_plan *p); /* NULL allowed */
struct table *
row_plan_table(const struct row_plan *p);
/* Columns of a row in the log. */
unsigned
row_plan_columns(const struct row_plan *p);
/* The rows are versions of rows: each has a time at which it ended. */
bool
row_plan_versioned(const struct row_plan *p);
/* The image read last is the present version of its row. */
bool
row_plan_current(const struct row_plan *p);
/* Reads one image off r into table->column_count cells; columns that are not present become
 * CELL_ABSENT. MR_SOURCE_CORRUPT or MR_SCHEMA_CHARSET. */
MUST bool
row_plan_image(struct row_plan *p, struct reader *r, struct bytes present, struct arena *a,
               struct cell *out, struct err *e);
/* The image after of a PARTIAL_UPDATE_ROWS event, behind its image before: value options
 * (lenenc), when they say PARTIAL_JSON a bit for each JSON column of the table, then the image,
 * where columns with a set bit hold differences [mysql-server rpl_record.cc, unpack_row]. */
MUST bool
row_plan_partial_image(struct row_plan *p, struct reader *r, struct bytes present,
                       struct arena *a, struct cell *out, struct err *e);

#endif
