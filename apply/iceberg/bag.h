/* Bag: the rows of a unit that are known by their content (TABLE_MULTISET): which new rows
 * there are of each, and how many are to go. Contents are the numbers of struct keys; places as
 * in its `own`. Memory: 16 bytes a row, 16 a content. Thread: the lane's. */
#ifndef MILLRACE_APPLY_ICEBERG_BAG_H
#define MILLRACE_APPLY_ICEBERG_BAG_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct bag {
    uint64_t *wanted; /* by content: rows to go */
    uint64_t *newest; /* by content: number + 1 of the newest own row left, 0: none */
    size_t cap;
    struct bag_row {
        uint64_t at;
        uint64_t older; /* number + 1 of the one before */
    } *rows;
    size_t len;
    size_t rows_cap;
};
void
bag_free(struct bag *b);
void
bag_add(struct bag *b, size_t content, uint64_t at);
void
bag_remove(struct bag *b, size_t content);
/* One row of the unit's own that goes for a content that still wants rows to go; false: none.
 * *content: from 0 on, between calls. */
bool
bag_cancel(struct bag *b, size_t *content, uint64_t *at);
/* Rows that still are to go. */
uint64_t
bag_wants(const struct bag *b);

#endif
