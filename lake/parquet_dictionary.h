/* Dictionary of one column chunk: distinct values in PLAIN form, found by hash. Thread: one at
 * a time. Limit: `bytes_max` of values and PARQUET_DICTIONARY_MAX of them.
 */
#ifndef MILLRACE_LAKE_PARQUET_DICTIONARY_H
#define MILLRACE_LAKE_PARQUET_DICTIONARY_H

#include "base/bytes.h"

#define PARQUET_DICTIONARY_MAX  65536
#define PARQUET_DICTIONARY_FULL UINT32_MAX

struct parquet_dictionary_slot {
    uint32_t hash;
    uint32_t index; /* + 1; 0: free */
};

struct parquet_dictionary {
    struct parquet_dictionary_slot *slots;
    uint32_t mask;
    uint32_t count;
    size_t bytes_max;
    struct buf values; /* PLAIN */
    uint32_t *offsets; /* of each value in `values`, behind the length of BYTE_ARRAY */
    uint32_t *lengths;
};

void
parquet_dictionary_init(struct parquet_dictionary *d, size_t bytes_max);
void
parquet_dictionary_free(struct parquet_dictionary *d);
void
parquet_dictionary_reset(struct parquet_dictionary *d);
/* Index of a new value (not there yet), or PARQUET_DICTIONARY_FULL. */
uint32_t
parquet_dictionary_add(struct parquet_dictionary *d, uint32_t hash, struct bytes v,
                       bool with_length);

/* Index of a value that is there, or PARQUET_DICTIONARY_FULL. */
static inline uint32_t
parquet_dictionary_find(const struct parquet_dictionary *d, uint32_t hash, const void *p,
                        size_t n)
{
    for (uint32_t at = hash & d->mask; d->slots[at].index; at = (at + 1) & d->mask) {
        uint32_t i = d->slots[at].index - 1;
        if (d->slots[at].hash == hash && d->lengths[i] == n &&
            memcmp(d->values.p + d->offsets[i], p, n) == 0)
            return i;
    }
    return PARQUET_DICTIONARY_FULL;
}

static inline struct bytes
parquet_dictionary_value(const struct parquet_dictionary *d, uint32_t index)
{
    return bytes_of(d->values.p + d->offsets[index], d->lengths[index]);
}

#endif
