#include "apply/sink.h"

#include <string.h>

extern const struct sink_ops sink_mysql;   /* apply/mysql/target.c */
extern const struct sink_ops sink_iceberg; /* apply/iceberg/lakehouse.c */

static const struct {
    const char *scheme;
    const struct sink_ops *ops;
} kinds[] = {
    {"mysql", &sink_mysql},
    {"mariadb", &sink_mysql},
    {"iceberg+sql", &sink_iceberg},
    {"iceberg+rest", &sink_iceberg},
};

const struct sink_ops *
sink_find(const char *scheme)
{
    for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
        if (!strcmp(kinds[i].scheme, scheme))
            return kinds[i].ops;
    return NULL;
}
