/* Table definitions: from information_schema, from TABLE_MAP, and whether the two agree.
 *
 * information_schema tells how a table is now, TABLE_MAP how it was when its rows were written.
 * So what information_schema says is taken only when it agrees with the TABLE_MAP in everything
 * that one says. Where that one says little (no names), it must be proved too: see fence.h.
 * Where it says all (binlog_row_metadata=FULL) and they differ, the TABLE_MAP alone makes the
 * definition, helped by an older definition for what the log cannot say (MariaDB's uuid, inet
 * and json, display types), column by column.
 */
#ifndef MILLRACE_CAPTURE_MYSQL_DEFINITION_H
#define MILLRACE_CAPTURE_MYSQL_DEFINITION_H

#include "capture/mysql/binlog_map.h"
#include "capture/mysql/charset.h"
#include "capture/source.h"
#include "schema/table.h"

enum definition_kind {
    DEFINITION_NONE, /* there is no such table */
    DEFINITION_TABLE,
    DEFINITION_SEQUENCE,
    DEFINITION_OTHER, /* view */
};

/* What is known of a table, and of where that is true: see fence.h. */
struct definition {
    enum definition_kind kind;
    struct table *table; /* own reference, sealed, version 0; NULL: see kind */
    bool proved;         /* it holds at the place it was asked for */
    char why[240];       /* when not proved */
};

/* Sealed, version 0, fingerprint 0; *out only for DEFINITION_TABLE, else NULL. */
MUST bool
definition_read(struct mysql_conn *c, const struct collations *cs,
                const struct source_name *name, enum definition_kind *kind, struct table **out,
                struct err *e);
/* Everything the map says is true of t. */
bool
definition_agrees(const struct binlog_map *m, const struct table *t,
                  const struct collations *cs);
/* From the map, needs m->has_names. hint NULL: none. Sealed, version 0, fingerprint the map's.
 */
MUST bool
definition_from_map(const struct binlog_map *m, const struct table *hint,
                    const struct collations *cs, enum source_flavor flavor, struct table **out,
                    struct err *e);
#endif
