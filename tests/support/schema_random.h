/* Random tables and rows of all column types, for property tests, benchmarks and fuzzers of
 * schema/. Deterministic in the seed.
 */
#ifndef MILLRACE_TESTS_SUPPORT_SCHEMA_RANDOM_H
#define MILLRACE_TESTS_SUPPORT_SCHEMA_RANDOM_H

#include "schema/change.h"

struct rng {
    uint64_t state;
};

/* From the environment's SEED, else the clock; printed. */
struct rng
rng_seeded(void);
uint64_t
rng_next(struct rng *g);
unsigned
rng_below(struct rng *g, unsigned n);

/* 1 to 40 columns of any type, 0 to 3 of them a key; sealed. */
struct table *
random_table(struct rng *g);
/* A column of that type, named `name`, appended to t (which has room). */
struct column *
random_column(struct rng *g, struct table *t, enum column_type type, const char *name);
/* A row as a source decoder makes it; NULL where allowed, absent cells only when asked for. */
void
random_row(struct rng *g, const struct table *t, bool absent, struct arena *a,
           struct cell *row);
/* A change of that op with random images and source block. */
struct change
random_change(struct rng *g, const struct table *t, enum change_op op, struct arena *a);

/* The value as text, the same for every cell kind that means it: an ENUM's index and its label,
 * a zero date and its text. */
void
cell_describe(const struct column *c, const struct cell *v, struct buf *out);
/* The date, time or label cannot travel as its own type. */
bool
cell_is_raw(const struct column *c, const struct cell *v);

#endif
