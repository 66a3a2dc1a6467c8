/* JSON documents of the control plane (task records, progress, checkpoints, registry replies):
 * a thin face over jansson, whose header only base/json.c sees. Not for the row path
 * (schema/json_codec.c has its own writer and reader).
 *
 * A `struct json` is reference-counted: functions named *_get_* borrow, json_set_* / json_push
 * steal the value given. Integers are 64-bit signed; u64 above INT64_MAX travel as decimal
 * strings (json_u64 / json_get_u64 handle both).
 */
#ifndef MILLRACE_BASE_JSON_H
#define MILLRACE_BASE_JSON_H

#include "base/bytes.h"

struct json;

MUST bool
json_parse(struct bytes text, struct json **out,
           struct err *e); /* MR_KAFKA_BAD_RECORD on bad text */
void
json_free(struct json *j); /* decref; NULL allowed */
struct json *
json_ref(struct json *j);
void
json_dump(const struct json *j, struct buf *out); /* compact, keys in insertion order */
void
json_dump_pretty(const struct json *j, struct buf *out); /* indent 2 */

struct json *
json_object_new(void);
struct json *
json_array_new(void);
struct json *
json_null_new(void);
struct json *
json_bool_new(bool v);
struct json *
json_i64(int64_t v);
struct json *
json_u64(uint64_t v);
struct json *
json_real_new(double v);
struct json *
json_str(const char *s); /* NULL s gives JSON null; invalid UTF-8 is replaced */
struct json *
json_bytes(struct bytes b);

void
json_set(struct json *o, const char *key, struct json *v); /* steals v */
void
json_push(struct json *a, struct json *v); /* steals v */
void
json_del(struct json *o, const char *key); /* absent is fine */
/* A deep copy: changes of one do not show in the other. */
struct json *
json_clone(const struct json *j);

/* Lookups: absent or of another kind gives the default. */
struct json *
json_get(const struct json *o, const char *key); /* borrowed or NULL */
const char *
json_get_str(const struct json *o, const char *key, const char *dflt);
int64_t
json_get_i64(const struct json *o, const char *key, int64_t dflt);
uint64_t
json_get_u64(const struct json *o, const char *key, uint64_t dflt);
bool
json_get_bool(const struct json *o, const char *key, bool dflt);
bool
json_is_object(const struct json *j);
bool
json_is_array(const struct json *j);
bool
json_is_str(const struct json *j);
bool
json_is_null(const struct json *j); /* true for NULL too */
const char *
json_str_value(const struct json *j, const char *dflt);
/* The text with its length (it may hold NUL bytes); {NULL, 0} when j is no text. Borrowed. */
struct bytes
json_bytes_value(const struct json *j);
int64_t
json_i64_value(const struct json *j, int64_t dflt);
uint64_t
json_u64_value(const struct json *j, uint64_t dflt);
size_t
json_len(const struct json *j); /* of an array or object, else 0 */
struct json *
json_at(const struct json *a, size_t i);
/* Object iteration: for (void *it = NULL; (it = json_next(o, it, &key, &value)) != NULL;) */
void *
json_next(const struct json *o, void *it, const char **key, struct json **value);

#endif
