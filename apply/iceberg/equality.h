/* Equality deletes, only where iceberg.deletes asks for them: the keys of a unit, in one file,
 * take the place of looking their rows up. A commit costs no reading then; readers pay for it,
 * and some cannot read the table any more (PyIceberg).
 *
 * Format: apache/iceberg format/spec.md, "Equality Delete Files": a Parquet file with the key's
 * columns, by field id; it deletes the rows of every data file with a lower sequence number,
 * never those of its own commit. Rows of the unit itself are deleted by position as ever.
 * Not used: for a key with a float or double, a table without a key, a table in which a load is
 * not done, a hidden table (its files change sequence numbers when they are swapped in).
 * Thread: the lane's.
 */
#ifndef MILLRACE_APPLY_ICEBERG_EQUALITY_H
#define MILLRACE_APPLY_ICEBERG_EQUALITY_H

#include "apply/iceberg/iceberg.h"

struct equality;

/* NULL: positions. f, location: borrowed for its life. */
struct equality *
equality_new(const struct sink *s, const struct sink_part *p, const struct fields *f);
void
equality_free(struct equality *q); /* NULL allowed */
/* A key: native cells in key order. location: of the file, used by the first one. */
MUST bool
equality_add(struct equality *q, struct storage *s, const char *location,
             const struct cell *native, struct err *e);
/* The first key was added. */
bool
equality_open(const struct equality *q);
/* *out in the arena. */
MUST bool
equality_finish(struct equality *q, struct arena *a, struct data_file *out, struct err *e);

#endif
