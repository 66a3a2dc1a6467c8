/* Net effect of a batch per key: the last change of each key wins; deletes come before upserts.
 * Where a key names a content that several rows have (TABLE_MULTISET), `net` is the effect.
 *
 * The caller keeps the rows; fold keeps {key, first and last op, reference of the last row}.
 * Keys are borrowed unless fold_conf.copy. About 100 ns a row: one hash, one probe, no
 * allocation once grown. One fold per (batch, table). Thread: one. Limit: 2^31 distinct keys.
 */
#ifndef MILLRACE_APPLY_FOLD_H
#define MILLRACE_APPLY_FOLD_H

#include "schema/change.h"

struct fold_entry {
    struct bytes key;
    uint64_t hash;
    void *row;        /* of the last change, as given */
    uint8_t first_op; /* enum change_op of the first and the last change in this batch */
    uint8_t last_op;
    uint32_t changes;
    int64_t net; /* creates less deletes: what a multiset has more or less of */
};

struct fold {
    struct fold_entry *entries; /* in order of first touch */
    uint32_t len;
    uint32_t cap;
    uint32_t *slots; /* index + 1 */
    uint32_t mask;   /* slots - 1, or 0 */
    uint32_t deletes;
    bool copy; /* keys are copied into the arena */
    struct arena arena;
};

void
fold_init(struct fold *f, bool copy);
void
fold_free(struct fold *f);
void
fold_reset(struct fold *f); /* empty, memory kept */
void
fold_add(struct fold *f, struct bytes key, enum change_op op, void *row);
/* Same, the key's hash known (hash_u64). */
void
fold_add_hashed(struct fold *f, struct bytes key, uint64_t hash, enum change_op op, void *row);

/* The net deletes, then the net upserts, each in order of first touch. NULL: none left. *at
 * starts at 0. for (uint32_t at = 0; (x = fold_next_delete(f, &at)) != NULL;) */
const struct fold_entry *
fold_next_delete(const struct fold *f, uint32_t *at);
const struct fold_entry *
fold_next_upsert(const struct fold *f, uint32_t *at);
/* A delete of a key that this batch itself created: the target cannot have it, unless a batch
 * is replayed over a target that lost its checkpoint; sinks may still send it, it is harmless.
 */
static inline bool
fold_is_transient(const struct fold_entry *x)
{
    return x->last_op == OP_DELETE && x->first_op == OP_CREATE;
}

#endif
