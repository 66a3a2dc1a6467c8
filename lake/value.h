/* Cells of a source into native cells (lake/type.h): the one place that knows how a value of a
 * database becomes a value of Iceberg. The writer, the key index and literals use it.
 *
 * Zero and partial dates become null and are counted. A value that its type cannot hold is
 * MR_LAKE_VALUE; the text names the column, never the value.
 * Thread: any; a lake_scratch belongs to one thread.
 */
#ifndef MILLRACE_LAKE_VALUE_H
#define MILLRACE_LAKE_VALUE_H

#include "lake/type.h"

/* Working memory of conversions; zeros are ready. */
struct lake_scratch {
    struct buf text;
    uint8_t wide[32];
    uint64_t zeros; /* dates that became null, counted up */
};

void
lake_scratch_free(struct lake_scratch *s);

/* One value. `source` is needed for the labels of ENUM and SET cells and the width of BIT, else
 * NULL. Native cells pass unchanged. *out borrows from `in`, or from the scratch until the next
 * call. An absent cell and a null in a required field are errors. */
MUST bool
lake_native(const struct lake_field *f, const struct column *source, const struct cell *in,
            struct lake_scratch *s, struct cell *out, struct err *e);
/* A native cell of a narrower type (lake_type_promotes) as one of `to`; not null. Wide decimals
 * get memory of a. */
void
lake_promote(const struct lake_type *to, struct arena *a, struct cell *c);

#endif
