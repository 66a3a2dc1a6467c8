/* Numbers to decimal text and back, for the row path: no locale, no allocation. Thread: any. */
#ifndef MILLRACE_SCHEMA_NUMBER_TEXT_H
#define MILLRACE_SCHEMA_NUMBER_TEXT_H

#include "base/bytes.h"

#define NUMBER_TEXT_MAX 32

/* Need NUMBER_TEXT_MAX bytes at p; return the end of what they wrote (no NUL). */
char *
number_put_u64(char *p, uint64_t v);
char *
number_put_i64(char *p, int64_t v);
/* v with exactly n digits, n <= 10 (leading zeros; higher digits are dropped). */
char *
number_put_digits(char *p, uint32_t v, unsigned n);
/* Shortest text, or nearly, that reads back as d. Finite values only: others give "0". Has
 * always a '.' or an 'e' when `approximate`, so that SQL takes it for a double. */
char *
number_put_double(char *p, double d, bool approximate);
/* The same for the value of a float: reads back, as a double turned into a float, as d. Never
 * above FLT_MAX. */
char *
number_put_float(char *p, float f, bool approximate);
/* JSON's number syntax. False when it is not a number, or longer than 400 bytes. */
MUST bool
number_parse_double(struct bytes text, double *out);
MUST bool
number_parse_i64(struct bytes text, int64_t *out);

#endif
