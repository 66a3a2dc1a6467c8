/* Fuzz: any text as a statement of the log: classified, never read past; what it gives lies in
 * the statement or the arena, and is the same the second time. */
#include <stdlib.h>

#include "capture/mysql/ddl.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static uint64_t
sum(uint64_t n, struct bytes b)
{
    for (size_t i = 0; i < b.n; i++)
        n = n * 31 + b.p[i];
    return n * 31 + b.n;
}

/* Touches every byte that was handed out. */
static uint64_t
all(const struct ddl *d)
{
    const struct source_ddl *s = &d->ddl;
    uint64_t n = (uint64_t)d->class * 64 + (uint64_t)s->kind;
    for (size_t i = 0; i < s->name_count; i++)
        n = sum(sum(n, s->names[i].database), s->names[i].table);
    for (size_t i = 0; i < s->column_count; i++)
        n = sum(sum(n, s->columns[i].from), s->columns[i].to);
    for (size_t i = 0; i < s->dropped_count; i++)
        n = sum(n, s->dropped[i]);
    for (size_t i = 0; i < s->added_count; i++)
        n = sum(sum(n, s->added[i].name), s->added[i].value);
    return n * 4 + s->rows_kept * 2u + s->moves_only;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct arena a;
    struct ddl d, again;
    struct bytes sql = bytes_of(data, size), database = bytes_str("db");
    arena_init(&a, 4096);
    ddl_classify(sql, database, &a, &d);
    ddl_classify(sql, database, &a, &again);
    if (all(&d) != all(&again))
        abort();
    if (d.class == DDL_TABLE && d.ddl.kind == SOURCE_DDL_UNCLEAR && d.ddl.rows_kept)
        abort();
    if (d.ddl.moves_only && d.ddl.kind != SOURCE_DDL_RENAME)
        abort();
    ddl_fold_names(&d, &a);
    for (size_t i = 0; i < d.ddl.name_count; i++)
        if (!ddl_name_means(&again.ddl.names[i], &d.ddl.names[i], true))
            abort();
    arena_free(&a);
    return 0;
}
