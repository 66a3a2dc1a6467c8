#include "capture/keyless.h"

#include <stdlib.h>

#include "base/map.h"
#include "base/mem.h"

/* A row of the stream met before E was known. */
struct early {
    const struct cell *row;
    const char *file;
    uint64_t pos;
    bool create;
    struct early *next;
};

/* Equal rows whose deletes wait. */
struct waiting {
    const struct cell *row;
    uint64_t count;
    struct waiting *next;
};

enum keyless_state {
    KEYLESS_BEFORE,  /* no order was given: what is met is in the snapshot to come */
    KEYLESS_ORDERED, /* E is not known */
    KEYLESS_OPEN,
};

struct keyless {
    uint16_t columns;
    enum keyless_state state;
    bool published;
    struct arena mem;
    struct early *early, **early_end;
    struct map by_key;       /* -> struct waiting */
    struct waiting *deletes; /* all of them */
    char file[sizeof(((struct position *)0)->file)];
    uint64_t pos;
    const char *last_file; /* in mem: the newest early row's */
};

struct keyless *
keyless_new(uint16_t columns, bool published)
{
    struct keyless *k = mem_zalloc(sizeof(*k));
    k->columns = columns;
    k->published = published;
    arena_init(&k->mem, (size_t)64 << 10);
    k->early_end = &k->early;
    return k;
}

void
keyless_free(struct keyless *k)
{
    if (k == NULL)
        return;
    map_free(&k->by_key);
    arena_free(&k->mem);
    free(k);
}

void
keyless_order(struct keyless *k)
{
    map_clear(&k->by_key);
    arena_reset(&k->mem);
    k->early = NULL;
    k->early_end = &k->early;
    k->deletes = NULL;
    k->last_file = NULL;
    k->state = KEYLESS_ORDERED;
}

static const struct cell *
copy_row(struct keyless *k, const struct cell *row)
{
    struct cell *out = arena_alloc(&k->mem, k->columns * sizeof(*out));
    for (uint16_t i = 0; i < k->columns; i++) {
        out[i] = row[i];
        switch ((enum cell_kind)row[i].kind) {
        case CELL_DECIMAL:
        case CELL_TEXT:
        case CELL_BYTES:
        case CELL_JSON:
        case CELL_GEOMETRY:
        case CELL_VECTOR:
            out[i].v.p = arena_copy(&k->mem, cell_bytes(&row[i])).p;
            break;
        default:
            break;
        }
    }
    return out;
}

static struct bytes
key_of(const struct keyless *k, const struct cell *row)
{
    return cell_bytes(&row[k->columns - 1]);
}

/* `row` is in mem or, when a delete of it waits already, anywhere. */
static void
delete_waits(struct keyless *k, const struct cell *row, bool copied)
{
    struct map_slot *m = map_get(&k->by_key, key_of(k, row));
    if (m != NULL) {
        ((struct waiting *)m->v.ptr)->count++;
        return;
    }
    struct waiting *w = arena_zalloc(&k->mem, sizeof(*w));
    bool fresh;
    w->row = copied ? row : copy_row(k, row);
    w->count = 1;
    w->next = k->deletes;
    k->deletes = w;
    m = map_put(&k->by_key, key_of(k, w->row), &fresh);
    m->v.ptr = w;
}

/* A delete of such a row waits: it goes, and so does the row. */
static bool
absorb(struct keyless *k, const struct cell *row)
{
    struct map_slot *m = map_get(&k->by_key, key_of(k, row));
    struct waiting *w = m == NULL ? NULL : m->v.ptr;
    if (w == NULL || w->count == 0)
        return false;
    w->count--;
    return true;
}

static void
keep_early(struct keyless *k, enum change_op op, const struct cell *row,
           const struct position *begin)
{
    struct early *x = arena_zalloc(&k->mem, sizeof(*x));
    if (k->last_file == NULL || strcmp(k->last_file, begin->file) != 0)
        k->last_file = arena_strdup(&k->mem, begin->file);
    x->row = copy_row(k, row);
    x->file = k->last_file;
    x->pos = begin->pos;
    x->create = op == OP_CREATE;
    *k->early_end = x;
    k->early_end = &x->next;
}

static bool
in_snapshot(const struct keyless *k, const char *file, uint64_t pos)
{
    return position_compare_file(file, pos, k->file, k->pos) < 0;
}

/* Of the early rows those in the snapshot and the deletes leave the list. */
void
keyless_open(struct keyless *k, const struct position *at)
{
    memcpy(k->file, at->file, sizeof(k->file));
    k->pos = at->pos;
    k->state = KEYLESS_OPEN;
    struct early **link = &k->early;
    while (*link != NULL) {
        struct early *x = *link;
        bool in = in_snapshot(k, x->file, x->pos);
        if (!in && !x->create)
            delete_waits(k, x->row, true);
        if (!in && x->create && !absorb(k, x->row))
            link = &x->next;
        else
            *link = x->next;
    }
    k->early_end = link;
}

bool
keyless_row(struct keyless *k, enum change_op op, const struct cell *row,
            const struct position *begin)
{
    switch (k->state) {
    case KEYLESS_BEFORE:
        return false;
    case KEYLESS_ORDERED:
        keep_early(k, op, row, begin);
        return false;
    case KEYLESS_OPEN:
        break;
    }
    if (in_snapshot(k, begin->file, begin->pos))
        return false;
    if (op == OP_DELETE) {
        delete_waits(k, row, false);
        return false;
    }
    bool now = !absorb(k, row);
    k->published |= now;
    return now;
}

bool
keyless_read(struct keyless *k, const struct cell *row)
{
    bool now = !absorb(k, row);
    k->published |= now;
    return now;
}

const struct cell *
keyless_next_create(struct keyless *k)
{
    struct early *x = k->early;
    if (x == NULL)
        return NULL;
    k->early = x->next;
    if (k->early == NULL)
        k->early_end = &k->early;
    k->published = true;
    return x->row;
}

const struct cell *
keyless_next_delete(struct keyless *k)
{
    while (k->deletes != NULL && k->deletes->count == 0)
        k->deletes = k->deletes->next;
    if (k->deletes == NULL)
        return NULL;
    k->deletes->count--;
    return k->deletes->row;
}

bool
keyless_published(const struct keyless *k)
{
    return k->published;
}

bool
keyless_full(const struct keyless *k)
{
    return k->mem.used > KEYLESS_BYTES;
}
