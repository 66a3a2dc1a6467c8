/* What a source says of a DDL statement: of which tables, and what becomes of their columns and
 * rows. Borrowed: valid in the callback that gets it.
 */
#ifndef MILLRACE_CAPTURE_SOURCE_DDL_H
#define MILLRACE_CAPTURE_SOURCE_DDL_H

#include "base/bytes.h"

enum source_ddl_kind {
    SOURCE_DDL_CREATE,
    SOURCE_DDL_ALTER,
    SOURCE_DDL_DROP,
    SOURCE_DDL_RENAME, /* names in pairs: old, new; ALTER ... RENAME TO and swaps too */
    SOURCE_DDL_DROP_DATABASE,
    SOURCE_DDL_UNCLEAR, /* speaks of tables but was not understood: names may be missing */
};

struct source_name {
    struct bytes database;
    struct bytes table; /* empty: the whole database */
};

struct source_rename {
    struct bytes from, to;
};

struct source_added {
    struct bytes name;
    bool has_default;
    struct bytes value; /* of the DEFAULT, when it is one literal: SQL text as written */
};

struct source_ddl {
    enum source_ddl_kind kind;
    struct bytes sql;      /* UTF-8 as logged */
    struct bytes database; /* default database of the statement */
    const struct source_name *names;
    const struct source_rename *columns; /* renamed columns of an ALTER */
    const struct bytes *dropped;         /* its columns that go, and those that come */
    const struct source_added *added;
    const struct bytes *redefined; /* columns whose values may have been converted */
    size_t name_count, column_count, dropped_count, added_count, redefined_count;
    bool rows_kept; /* false: rows may have changed without row events (partitions, import, drop
                       + add of one column, computed defaults) */
    bool moves_only;   /* RENAME: tables get other names, nothing else happens */
    bool converts_all; /* any column of text may be among the redefined */
    uint64_t commit_us;
};

#endif
