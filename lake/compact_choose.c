/* Which files are worth a rewrite. */
#include <stdlib.h>

#include "base/mem.h"
#include "lake/compact.h"

#define TIERS 6

static uint64_t
deleted_rows(const struct lake_file *f)
{
    int64_t n = f->vector ? f->vector->file.rows : 0;
    for (uint32_t i = 0; i < f->positions_len; i++)
        n += f->positions[i]->file.rows;
    return n > 0 ? (uint64_t)n : 0;
}

static uint64_t
size_of(const struct lake_file *f)
{
    return f->rows->file.size > 0 ? (uint64_t)f->rows->file.size : 0;
}

static bool
is_holed(const struct lake_file *f, const struct compact_limits *l)
{
    uint64_t rows = f->rows->file.rows > 0 ? (uint64_t)f->rows->file.rows : 0;
    return l->deleted_percent && deleted_rows(f) * 100 > rows * l->deleted_percent;
}

/* What is left of it when it is written again, about. */
static uint64_t
live_bytes(const struct lake_file *f)
{
    uint64_t rows = f->rows->file.rows > 0 ? (uint64_t)f->rows->file.rows : 1;
    uint64_t gone = deleted_rows(f);
    return gone >= rows ? 0 : size_of(f) / rows * (rows - gone);
}

static int
by_age(const void *a, const void *b)
{
    const struct lake_file *x = *(const struct lake_file *const *)a;
    const struct lake_file *y = *(const struct lake_file *const *)b;
    return (x->rows->sequence > y->rows->sequence) - (x->rows->sequence < y->rows->sequence);
}

struct choice {
    const struct lake_file **list;
    size_t len;
};

/* The oldest of the choice that fit into one file. */
static size_t
take(struct choice *c, const struct compact_limits *l, const char **paths)
{
    uint64_t bytes = 0;
    size_t n = 0;
    qsort(c->list, c->len, sizeof(*c->list), by_age);
    for (size_t i = 0; i < c->len && n < COMPACT_FILES_MAX; i++) {
        uint64_t more = live_bytes(c->list[i]);
        if (n && bytes + more > l->target_bytes)
            continue;
        bytes += more;
        paths[n++] = c->list[i]->rows->file.path;
    }
    return n;
}

/* Files with too many deleted rows, of at least that size. */
static size_t
holed(const struct lake_files *files, const struct compact_limits *l, uint64_t least,
      struct choice *c, const char **paths)
{
    c->len = 0;
    for (size_t i = 0; i < files->len; i++)
        if (size_of(&files->list[i]) >= least && is_holed(&files->list[i], l))
            c->list[c->len++] = &files->list[i];
    return take(c, l, paths);
}

/* Files below that size; none unless enough of them are within a tier of it. */
static size_t
small(const struct lake_files *files, const struct compact_limits *l, uint64_t below,
      struct choice *c, const char **paths)
{
    size_t within = 0;
    c->len = 0;
    for (size_t i = 0; i < files->len; i++) {
        uint64_t size = size_of(&files->list[i]);
        if (size >= below)
            continue;
        c->list[c->len++] = &files->list[i];
        within += size >= below / l->files_min;
    }
    return within >= l->files_min ? take(c, l, paths) : 0;
}

size_t
compact_choose(const struct lake_files *files, const struct compact_limits *l,
               const char *paths[COMPACT_FILES_MAX])
{
    struct choice c = {.list = mem_array(files->len + 1, sizeof(struct lake_file *))};
    uint64_t below = l->target_bytes / 2;
    /* Large ones first: what makes them slow to read is most. */
    size_t n = holed(files, l, l->target_bytes / 8, &c, paths);
    for (int tier = 0; !n && l->files_min > 1 && tier < TIERS; tier++) {
        n = small(files, l, below, &c, paths);
        below /= l->files_min;
    }
    /* The lowest tier has no bottom. */
    if (!n && l->files_min > 1) {
        c.len = 0;
        for (size_t i = 0; i < files->len; i++)
            if (size_of(&files->list[i]) < below)
                c.list[c.len++] = &files->list[i];
        n = c.len >= l->files_min ? take(&c, l, paths) : 0;
    }
    if (!n)
        n = holed(files, l, 0, &c, paths);
    free(c.list);
    return n;
}
