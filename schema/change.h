/* A change: one captured row, with the identity that makes it exactly-once.
 * (incarnation, epoch, seq) names a record for ever (docs/ARCHITECTURE.md, "Identity").
 */
#ifndef MILLRACE_SCHEMA_CHANGE_H
#define MILLRACE_SCHEMA_CHANGE_H

#include "schema/cell.h"
#include "schema/table.h"

enum change_op { OP_CREATE = 'c', OP_UPDATE = 'u', OP_DELETE = 'd', OP_READ = 'r' };

/* Where a row came from: fills the envelope's `source` block. Borrowed. */
struct change_source {
    uint64_t
        commit_us; /* source commit time, microseconds since the epoch; of a load: read time */
    uint32_t server_id;
    struct bytes gtid; /* "" when none */
    struct bytes file;
    uint64_t pos; /* of the transaction's first row event */
    uint32_t row; /* ordinal of the row within its event */
    uint64_t thread;
    bool snapshot; /* read by a load */
    uint64_t load; /* load id when snapshot, else 0 */
};

struct identity {
    uint64_t inc;
    uint64_t epoch;
    uint64_t seq;
};

struct change {
    enum change_op op;
    const struct table *table;
    const struct cell *before; /* NULL: none. Else table->column_count cells */
    const struct cell *after;
    struct identity id;
    struct change_source source;
};

#endif
