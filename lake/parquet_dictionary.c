/* Dictionary of one column chunk. */
#include "lake/parquet_dictionary.h"

#include <stdlib.h>

#include "base/mem.h"

#define SLOTS_MIN 1024

void
parquet_dictionary_init(struct parquet_dictionary *d, size_t bytes_max)
{
    *d = (struct parquet_dictionary){.mask = SLOTS_MIN - 1, .bytes_max = bytes_max};
    d->slots = mem_array(SLOTS_MIN, sizeof *d->slots);
    d->offsets = mem_array(SLOTS_MIN / 2, sizeof *d->offsets);
    d->lengths = mem_array(SLOTS_MIN / 2, sizeof *d->lengths);
}

void
parquet_dictionary_free(struct parquet_dictionary *d)
{
    free(d->slots);
    free(d->offsets);
    free(d->lengths);
    buf_free(&d->values);
}

void
parquet_dictionary_reset(struct parquet_dictionary *d)
{
    if (d->count)
        memset(d->slots, 0, ((size_t)d->mask + 1) * sizeof *d->slots);
    d->count = 0;
    buf_reset(&d->values);
}

static void
put_slot(struct parquet_dictionary *d, uint32_t hash, uint32_t index)
{
    uint32_t at = hash & d->mask;
    while (d->slots[at].index)
        at = (at + 1) & d->mask;
    d->slots[at] = (struct parquet_dictionary_slot){hash, index + 1};
}

static void
grow(struct parquet_dictionary *d)
{
    struct parquet_dictionary_slot *old = d->slots;
    uint32_t slots = d->mask + 1;
    d->mask = slots * 2 - 1;
    d->slots = mem_array(slots * 2, sizeof *d->slots);
    for (uint32_t i = 0; i < slots; i++)
        if (old[i].index)
            put_slot(d, old[i].hash, old[i].index - 1);
    free(old);
    d->offsets = mem_realloc(d->offsets, slots * sizeof *d->offsets);
    d->lengths = mem_realloc(d->lengths, slots * sizeof *d->lengths);
}

uint32_t
parquet_dictionary_add(struct parquet_dictionary *d, uint32_t hash, struct bytes v,
                       bool with_length)
{
    size_t room = v.n + (with_length ? 4 : 0);
    if (d->count == PARQUET_DICTIONARY_MAX || d->values.n + room > d->bytes_max)
        return PARQUET_DICTIONARY_FULL;
    if (d->count == (d->mask + 1) / 2)
        grow(d);
    if (with_length) {
        uint32_t n = (uint32_t)v.n;
        buf_add(&d->values, &n, 4);
    }
    d->offsets[d->count] = (uint32_t)d->values.n;
    d->lengths[d->count] = (uint32_t)v.n;
    buf_add_bytes(&d->values, v);
    put_slot(d, hash, d->count);
    return d->count++;
}
