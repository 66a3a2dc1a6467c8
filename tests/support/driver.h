/* What programs that a script drives have in common: replies of one JSON line, the CPU they
 * cost.
 */
#ifndef MILLRACE_TESTS_SUPPORT_DRIVER_H
#define MILLRACE_TESTS_SUPPORT_DRIVER_H

#include "base/err.h"
#include "base/json.h"

/* One line on stdout, flushed. Takes o. */
void
driver_reply(struct json *o);
/* {"ok": false, "code", "class", "text"}. */
void
driver_reply_error(const struct err *e);
/* User and system time of the process so far, in seconds. */
double
driver_cpu_seconds(void);

#endif
