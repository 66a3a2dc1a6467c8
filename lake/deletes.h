/* Delete files: which rows of one data file are gone.
 *
 * Version 3: a deletion vector in a Puffin file of its own (one file per vector: DuckDB 1.5
 * applies the first vector of a shared one to every data file). Version 2: a Parquet file of
 * positions that speaks of one data file only. Formats: apache/iceberg format/puffin-spec.md
 * ("deletion-vector-v1"), format/spec.md ("Deletion Vectors", "Position Delete Files").
 *
 * A delete file is durable when deletes_write returns, and part of no table until a commit
 * names it. A data file has at most one deletion vector: the new one holds the old one's
 * positions, and its commit removes the old one (lake/commit.h).
 *
 * Thread: any, with a storage of its own. Errors: MR_STORAGE_*, MR_LAKE_METADATA for a vector
 * that is damaged.
 */
#ifndef MILLRACE_LAKE_DELETES_H
#define MILLRACE_LAKE_DELETES_H

#include "lake/positions.h"
#include "lake/table.h"

struct deletes_conf {
    struct storage *storage;
    int version;           /* of the table */
    const char *location;  /* of the file to make, without its suffix */
    const char *data_file; /* whose rows they are; the path as the manifest has it */
};

/* Writes all of `p` (not empty). *out lives in the arena. */
MUST bool
deletes_write(const struct deletes_conf *conf, const struct positions *p, struct arena *a,
              struct data_file *out, struct err *e);
/* Adds the positions of a deletion vector (its entry in a manifest). */
MUST bool
deletes_read_vector(struct storage *s, const struct data_file *vector, struct positions *p,
                    struct err *e);

/* Adds all positions that are deleted in a data file: of its vector, of its position deletes.
 */
MUST bool
deletes_read_all(struct storage *s, const struct lake_file *f, struct positions *p,
                 struct err *e);

/* The blob of a vector, without the file around it: length, magic, bitmap, CRC-32. */
void
deletes_put_blob(const struct positions *p, struct buf *out);
MUST bool
deletes_take_blob(struct bytes blob, struct positions *p, struct err *e);

#endif
