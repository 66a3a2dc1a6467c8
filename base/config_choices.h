/* Choices by table: the value of an option that tables may have each their own of.
 *
 * "VALUE", "VALUE,DB.TABLE:VALUE,..." or "DB.TABLE:VALUE,...": the one without a name is every
 * other table's (the option's default when there is none). DB and TABLE are the source's, in
 * backquotes when one has a comma, dot, colon, space or backquote (doubled). Thread: any.
 */
#ifndef MILLRACE_BASE_CONFIG_CHOICES_H
#define MILLRACE_BASE_CONFIG_CHOICES_H

#include "base/config.h"

/* Each table once, each value one of o->choices. MR_CONFIG. */
MUST bool
config_choices_check(const struct config_option *o, const char *text, struct err *e);
/* Of a checked text: the number of the table's value in o->choices. db NULL: of the others. */
int
config_choices_find(const struct config_option *o, const char *text, const char *db,
                    const char *table);

#endif
