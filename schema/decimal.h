/* Decimals between MySQL's text and Connect's form: the unscaled value as two's complement,
 * big-endian, shortest. Thread: any; nothing allocates.
 */
#ifndef MILLRACE_SCHEMA_DECIMAL_H
#define MILLRACE_SCHEMA_DECIMAL_H

#include "base/bytes.h"

#define DECIMAL_BYTES_MAX 32
#define DECIMAL_TEXT_MAX  96

/* "-123.4500" with at most `scale` fraction digits (fewer are padded) and 76 digits in all.
 * Gives the number of bytes written, 0 when the text is no such decimal. */
size_t
decimal_to_bytes(struct bytes text, unsigned scale, uint8_t out[DECIMAL_BYTES_MAX]);
size_t
decimal_of_u64(uint64_t v, uint8_t out[DECIMAL_BYTES_MAX]);
/* Text with exactly `scale` fraction digits; 0 when b is empty or above 32 bytes. scale <= 38.
 */
size_t
decimal_to_text(struct bytes b, unsigned scale, char out[DECIMAL_TEXT_MAX]);
/* False when negative, empty or above 2^64 - 1. */
MUST bool
decimal_to_u64(struct bytes b, uint64_t *out);

#endif
