/* Net effect per key: one open-addressing table of entry numbers, entries in order of first
 * touch. */
#include "apply/fold.h"

#include <stdlib.h>

#include "base/hash.h"
#include "base/mem.h"

#define FOLD_SLOTS_MIN 256u

void
fold_init(struct fold *f, bool copy)
{
    *f = (struct fold){.copy = copy};
    arena_init(&f->arena, 0);
}

void
fold_free(struct fold *f)
{
    free(f->entries);
    free(f->slots);
    arena_free(&f->arena);
    *f = (struct fold){0};
}

/* A small batch after a large one must not pay for the large one's table. */
static void
slots_clear(struct fold *f)
{
    if (f->len > f->mask / 16) {
        memset(f->slots, 0, ((size_t)f->mask + 1) * sizeof *f->slots);
        return;
    }
    for (uint32_t i = 0; i < f->len; i++) {
        uint32_t at = (uint32_t)f->entries[i].hash & f->mask;
        while (f->slots[at] != i + 1)
            at = (at + 1) & f->mask;
        f->slots[at] = 0;
    }
}

void
fold_reset(struct fold *f)
{
    if (f->len)
        slots_clear(f);
    f->len = 0;
    f->deletes = 0;
    arena_reset(&f->arena);
}

/* Twice the entries' room: at most half of the slots are used. */
static void
fold_grow(struct fold *f)
{
    if (f->cap >= 1u << 31)
        mem_die("fold: too many keys");
    uint32_t slots = f->mask ? (f->mask + 1) * 2 : FOLD_SLOTS_MIN;
    f->cap = slots / 2;
    f->entries = mem_realloc(f->entries, f->cap * sizeof *f->entries);
    free(f->slots);
    f->slots = mem_array(slots, sizeof *f->slots);
    f->mask = slots - 1;
    for (uint32_t i = 0; i < f->len; i++) {
        uint32_t at = (uint32_t)f->entries[i].hash & f->mask;
        while (f->slots[at])
            at = (at + 1) & f->mask;
        f->slots[at] = i + 1;
    }
}

static int
net_of(enum change_op op)
{
    return op == OP_DELETE ? -1 : op == OP_UPDATE ? 0 : 1;
}

static void
entry_change(struct fold *f, struct fold_entry *x, enum change_op op, void *row)
{
    f->deletes -= x->last_op == OP_DELETE;
    f->deletes += op == OP_DELETE;
    x->last_op = (uint8_t)op;
    x->row = row;
    x->changes++;
    x->net += net_of(op);
}

void
fold_add_hashed(struct fold *f, struct bytes key, uint64_t hash, enum change_op op, void *row)
{
    if (f->len == f->cap)
        fold_grow(f);
    uint32_t at = (uint32_t)hash & f->mask;
    for (; f->slots[at]; at = (at + 1) & f->mask) {
        struct fold_entry *x = &f->entries[f->slots[at] - 1];
        if (x->hash == hash && bytes_eq(x->key, key)) {
            entry_change(f, x, op, row);
            return;
        }
    }
    f->entries[f->len] = (struct fold_entry){
        .key = f->copy ? arena_copy(&f->arena, key) : key,
        .hash = hash,
        .row = row,
        .first_op = (uint8_t)op,
        .last_op = (uint8_t)op,
        .changes = 1,
        .net = net_of(op),
    };
    f->deletes += op == OP_DELETE;
    f->slots[at] = ++f->len;
}

void
fold_add(struct fold *f, struct bytes key, enum change_op op, void *row)
{
    fold_add_hashed(f, key, hash_u64(key), op, row);
}

const struct fold_entry *
fold_next_delete(const struct fold *f, uint32_t *at)
{
    while (*at < f->len) {
        const struct fold_entry *x = &f->entries[(*at)++];
        if (x->last_op == OP_DELETE)
            return x;
    }
    return NULL;
}

const struct fold_entry *
fold_next_upsert(const struct fold *f, uint32_t *at)
{
    while (*at < f->len) {
        const struct fold_entry *x = &f->entries[(*at)++];
        if (x->last_op != OP_DELETE)
            return x;
    }
    return NULL;
}
