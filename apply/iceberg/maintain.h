/* Private to apply/iceberg: upkeep of a lane's tables. See maintain.c for who does what when.
 */
#ifndef MILLRACE_APPLY_ICEBERG_MAINTAIN_H
#define MILLRACE_APPLY_ICEBERG_MAINTAIN_H

#include "apply/iceberg/iceberg.h"
#include "lake/compact.h"
#include "lake/expire.h"

/* ---- maintain.c ---- */
/* Of a lane, with a thread of its own; NULL when it is switched off (iceberg.maintain.ms). */
struct maintain *
maintain_new(const struct sink *s);
/* Behind the stop. NULL allowed. */
void
maintain_free(struct maintain *m);
/* The lane's share: at most one commit. Gives ms until it wants to be called again, -1: not by
 * itself. */
int
maintain_tend(struct maintain *m, struct sink_lane *l);

/* ---- chore.c ---- */
enum chore_kind { CHORE_COMPACT, CHORE_EXPIRE, CHORE_ORPHANS, CHORE_KINDS };
enum chore_phase {
    CHORE_PREPARE, /* the helper's; then ... */
    CHORE_COMMIT,  /* the lane's, if there is something to commit; then ... */
    CHORE_FINISH,  /* the helper's, of an expiry */
    CHORE_DONE,    /* back at the lane */
};

/* One piece of work on one table. Belongs to whoever holds it. */
struct chore {
    enum chore_kind kind;
    enum chore_phase phase;
    size_t place; /* of the lane's */
    char *target; /* of the place, for metrics */
    char *space;
    char *name;
    const struct sink *sink;
    struct lake_table *table; /* the helper's handle */
    struct compact *compact;
    struct expiry *expiry;
    struct expire_done expired;
    size_t orphans;
    bool worked;    /* there was something to do */
    unsigned tries; /* of the commit */
    uint64_t began_ms;
    uint64_t made_at_ms; /* Unix time: before the table was asked whose it is */
    struct err err;      /* code 0: none */
};

/* The table can take it: rows go there, and the outcome of what was tried last is known. */
bool
chore_possible(const struct place *p);
struct chore *
chore_new(const struct sink *s, enum chore_kind kind, size_t place, const struct place *p);
/* While the catalog of its table is open. */
void
chore_free(struct chore *c);
/* The helper's part; on return the phase is COMMIT or DONE. */
void
chore_step(struct chore *c, struct catalog *catalog);
/* The lane's part, with its handle; on return the phase is COMMIT (again, later), FINISH or
 * DONE. */
void
chore_commit(struct chore *c, struct place *p);
/* Tells what it did. */
void
chore_tell(const struct chore *c);

#endif
