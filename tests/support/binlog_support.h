/* Helpers of the binary log's tests: collations without a server, and changes as JSON text.
 *
 * A cell is a text: its kind, its digits after the point where there are some, its value (bytes
 * in hex); NULL is null.
 */
#ifndef MILLRACE_TESTS_SUPPORT_BINLOG_SUPPORT_H
#define MILLRACE_TESTS_SUPPORT_BINLOG_SUPPORT_H

#include "base/json.h"
#include "capture/mysql/charset.h"
#include "schema/cell.h"
#include "schema/table.h"

/* The collations that the test servers' tables use. */
void
support_collations(struct collations *out);
struct json *
support_row(const struct table *t, const struct cell *row);
struct json *
support_change(const char *op, const struct table *t, const struct cell *before,
               const struct cell *after);

#endif
