/* Iceberg schemas as JSON, and their evolution by field id.
 *
 * Format: apache/iceberg format/spec.md, Appendix C ("Schemas") and "Schema Evolution". Only
 * flat schemas of the types of lake/type.h: anything else is MR_LAKE_UNSUPPORTED. Everything
 * made lives in the arena given. Thread: any.
 */
#ifndef MILLRACE_LAKE_SCHEMA_JSON_H
#define MILLRACE_LAKE_SCHEMA_JSON_H

#include "base/json.h"
#include "lake/type.h"

/* {"type":"struct","schema-id":..,"identifier-field-ids":..,"fields":..}; the caller's. */
struct json *
schema_json_write(const struct lake_schema *s);
/* MR_LAKE_UNSUPPORTED for nested or unknown types, MR_LAKE_METADATA for what is no schema. */
MUST bool
schema_json_read(const struct json *j, struct arena *a, struct lake_schema *out, struct err *e);

enum schema_change_kind {
    SCHEMA_ADD,    /* name, type: an optional column behind the others */
    SCHEMA_DROP,   /* id */
    SCHEMA_RENAME, /* id, name */
    SCHEMA_WIDEN,  /* id, type */
    SCHEMA_MOVE,   /* id, after: the id it then follows; 0: first */
};

struct schema_change {
    enum schema_change_kind kind;
    int32_t id;
    const char *name;
    struct lake_type type;
    int32_t after;
};

/* The schema behind one change; *last_column_id grows with SCHEMA_ADD. MR_LAKE_SCHEMA when
 * Iceberg cannot express it, with nothing changed. */
MUST bool
schema_change_apply(const struct lake_schema *now, const struct schema_change *change,
                    int32_t *last_column_id, struct arena *a, struct lake_schema *out,
                    struct err *e);

#endif
