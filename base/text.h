/* Text of humans to values: numbers, sizes, durations; and the nearest of some known names.
 * Thread: any. Nothing here allocates.
 */
#ifndef MILLRACE_BASE_TEXT_H
#define MILLRACE_BASE_TEXT_H

#include "base/bytes.h"

/* Decimal, optional sign, nothing else before or after; false when out of range. *out is set on
 * true only. */
MUST bool
text_i64(const char *s, int64_t *out);
MUST bool
text_u64(const char *s, uint64_t *out);
/* "true yes on 1" or "false no off 0", any case. */
MUST bool
text_bool(const char *s, bool *out);
/* Bytes: a whole number and k, K, M, G, T (powers of 1024), optionally followed by B or iB:
 * "16MiB". */
MUST bool
text_size(const char *s, int64_t *out);
/* Milliseconds: "250" in `unit_ms` each, or parts with units ms, s, m, h, d: "1h30m". */
MUST bool
text_duration_ms(const char *s, int64_t unit_ms, int64_t *out);
/* Edit distance (insert, delete, replace, swap of neighbours), any case; names above 64 bytes
 * give a large number. */
size_t
text_distance(const char *a, const char *b);
/* The name of names[0..n) nearest to s, or NULL when none is near (more than a third of it
 * differs). */
const char *
text_nearest(const char *s, const char *const *names, size_t n);
bool
text_starts(const char *s, const char *prefix);
/* s without case differences of ASCII equals t. */
bool
text_same(const char *s, const char *t);

bool
text_is_utf8(struct bytes b);
/* Appends b with every invalid byte replaced by U+FFFD. */
void
text_utf8(struct bytes b, struct buf *out);

#endif
