/* Classifies the text of QUERY events: a tokenizer, not a parser. It knows comments, version
 * comments, quotes and the first words of statements; of ALTER TABLE also what renames or
 * touches rows. What columns a table has comes from TABLE_MAP, never from here. Pure. Never
 * fails: what it does not understand and speaks of tables is SOURCE_DDL_UNCLEAR.
 */
#ifndef MILLRACE_CAPTURE_MYSQL_DDL_H
#define MILLRACE_CAPTURE_MYSQL_DDL_H

#include "capture/source.h"

enum ddl_class {
    DDL_NOTHING, /* of no concern: GRANT, ANALYZE, CREATE VIEW, ... */
    DDL_BEGIN,
    DDL_COMMIT,
    DDL_ROLLBACK,
    DDL_SAVEPOINT,
    DDL_ROLLBACK_TO,
    DDL_XA_START,
    DDL_XA_OTHER,
    DDL_TRUNCATE, /* names[0] */
    DDL_TABLE,    /* a change of definitions: out->ddl */
    DDL_DML,      /* rows changed by a statement; names[0] when there is one plain target */
};

struct ddl {
    enum ddl_class class;
    struct source_ddl ddl;
};

/* Names and lists live in the arena or borrow from sql. */
void
ddl_classify(struct bytes sql, struct bytes database, struct arena *a, struct ddl *out);

/* The names as a server writes them that ignores their case: in lower case. */
void
ddl_fold_names(struct ddl *d, struct arena *a);
/* Is `said` in a statement the table `name`? said->table empty: any of the database. fold: the
 * server ignores case in names; then non-ASCII bytes are not looked at, so that it says yes too
 * often rather than too seldom. */
bool
ddl_name_means(const struct source_name *said, const struct source_name *name, bool fold);

#endif
