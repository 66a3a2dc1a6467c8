/* Single values of the log and the binary protocol: decimals, temporal types, JSON documents,
 * MariaDB's UUID and INET. Pure. Layouts: [mysql-server strings/decimal.cc,
 * sql-common/my_time.cc, sql-common/json_binary.h].
 */
#ifndef MILLRACE_CAPTURE_MYSQL_VALUE_H
#define MILLRACE_CAPTURE_MYSQL_VALUE_H

#include "base/arena.h"
#include "schema/cell.h"

#define VALUE_DECIMAL_MAX 72 /* sign, 65 digits, point, leading zero */
#define UUID_TEXT         36
#define INET6_TEXT_MAX    46

/* p holds binlog_decimal_size(precision, scale) bytes; out VALUE_DECIMAL_MAX. Returns the
 * text's length. */
size_t
value_decimal(const uint8_t *p, unsigned precision, unsigned scale, char *out);

/* v: DATETIME2's five bytes, big-endian. micro: below 1,000,000. */
void
value_datetime2(uint64_t v, uint32_t micro, uint8_t dec, struct cell *out);
/* seconds + fraction; 0 seconds stand for the zero date. */
void
value_timestamp(uint32_t seconds, uint32_t micro, uint8_t dec, struct cell *out);
/* v: TIME2's three bytes and its fraction bytes as one big-endian number. */
void
value_time2(uint64_t v, uint8_t dec, struct cell *out);
/* YYYYMMDDhhmmss and +-hhmmss of before 5.6. */
void
value_datetime_old(uint64_t v, struct cell *out);
void
value_time_old(int32_t v, struct cell *out);

/* A document of MySQL's JSON column as the server prints it, appended to out. False: damaged.
 */
bool
value_json(struct bytes doc, struct buf *out);
/* The same of the document after the differences (PARTIAL_JSON). The arena is scratch. False:
 * damaged, or they do not fit the document. */
bool
value_json_apply(struct bytes doc, struct bytes diffs, struct arena *a, struct buf *out);

/* 16 bytes as MariaDB logs them -> text; out holds UUID_TEXT. */
void
value_uuid(const uint8_t p[16], char *out);
/* Texts of INET6, INET4; out holds INET6_TEXT_MAX; returns the length. */
size_t
value_inet6(const uint8_t p[16], char *out);
size_t
value_inet4(const uint8_t p[4], char *out);

#endif
