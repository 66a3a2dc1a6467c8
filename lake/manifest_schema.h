/* The Avro schemas of manifests and manifest lists, as text.
 *
 * Format: field ids of apache/iceberg format/spec.md, "Manifests" and "Manifest Lists"; maps
 * with int keys as arrays of records, as Appendix A ("Avro") says.
 */
#ifndef MILLRACE_LAKE_MANIFEST_SCHEMA_H
#define MILLRACE_LAKE_MANIFEST_SCHEMA_H

#include "base/bytes.h"

/* Both append the schema of a table of that format version, 2 or 3. */
void
manifest_schema_put(int version, struct buf *out);
void
manifest_list_schema_put(int version, struct buf *out);

#endif
