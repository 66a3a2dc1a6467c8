/* Rows that a unit wrote and that later ones of it delete go first: they are in its own files,
 * nothing has to be looked up. */
#include "apply/iceberg/bag.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

void
bag_free(struct bag *b)
{
    free(b->wanted);
    free(b->newest);
    free(b->rows);
    *b = (struct bag){0};
}

static void
grow(struct bag *b, size_t content)
{
    size_t cap = b->cap ? b->cap : 256;
    while (cap <= content)
        cap *= 2;
    if (cap == b->cap)
        return;
    b->wanted = mem_realloc(b->wanted, cap * sizeof *b->wanted);
    b->newest = mem_realloc(b->newest, cap * sizeof *b->newest);
    memset(b->wanted + b->cap, 0, (cap - b->cap) * sizeof *b->wanted);
    memset(b->newest + b->cap, 0, (cap - b->cap) * sizeof *b->newest);
    b->cap = cap;
}

void
bag_add(struct bag *b, size_t content, uint64_t at)
{
    grow(b, content);
    if (b->len == b->rows_cap) {
        b->rows_cap = b->rows_cap ? 2 * b->rows_cap : 256;
        b->rows = mem_realloc(b->rows, b->rows_cap * sizeof *b->rows);
    }
    b->rows[b->len] = (struct bag_row){at, b->newest[content]};
    b->newest[content] = ++b->len;
}

void
bag_remove(struct bag *b, size_t content)
{
    grow(b, content);
    b->wanted[content]++;
}

bool
bag_cancel(struct bag *b, size_t *content, uint64_t *at)
{
    while (*content < b->cap && (!b->wanted[*content] || !b->newest[*content]))
        ++*content;
    if (*content >= b->cap)
        return false;
    const struct bag_row *row = b->rows + b->newest[*content] - 1;
    b->newest[*content] = row->older;
    b->wanted[*content]--;
    *at = row->at;
    return true;
}

uint64_t
bag_wants(const struct bag *b)
{
    uint64_t n = 0;
    for (size_t i = 0; i < b->cap; i++)
        n += b->wanted[i];
    return n;
}
