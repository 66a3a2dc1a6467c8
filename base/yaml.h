/* YAML 1.2 (core schema) to struct json (libyaml, whose header only base/yaml.c sees).
 *
 * One document. Plain scalars become null, bool, int, float or text; quoted ones text.
 * Duplicate keys, keys that are not scalars, merge keys (<<) and unknown tags are errors.
 * Limits: 1 MiB, depth 64, 100,000 nodes counting every use of an alias. An empty document is
 * an empty object. Errors: MR_CONFIG with file and line.
 */
#ifndef MILLRACE_BASE_YAML_H
#define MILLRACE_BASE_YAML_H

#include "base/json.h"

#define YAML_SIZE_MAX ((size_t)1 << 20)

/* name: shown in errors. *out: json_free. */
MUST bool
yaml_parse(struct bytes text, const char *name, struct json **out, struct err *e);
MUST bool
yaml_load(const char *path, struct json **out, struct err *e);

#endif
