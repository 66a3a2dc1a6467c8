/* The list of sources, and a sink that hears nothing. */
#include "capture/source.h"

static const struct source_ops *const sources[] = {&source_mysql};

const struct source_ops *
source_find(const char *scheme)
{
    size_t n = strlen(scheme);
    for (size_t i = 0; i < ARRAY_LEN(sources); i++)
        for (const char *s = sources[i]->schemes; *s;) {
            size_t word = strcspn(s, " ");
            if (word == n && memcmp(s, scheme, n) == 0)
                return sources[i];
            s += word + strspn(s + word, " ");
        }
    return NULL;
}

static bool
quiet_txn(void *ctx, const struct source_txn *txn, struct err *e)
{
    (void)ctx;
    (void)txn;
    (void)e;
    return true;
}

static bool
quiet_table(void *ctx, const struct source_name *name, struct source_known *out, struct err *e)
{
    (void)ctx;
    (void)name;
    (void)e;
    *out = (struct source_known){.wanted = false};
    return true;
}

static bool
quiet_version(void *ctx, struct table *t, void **user, struct err *e)
{
    (void)ctx;
    (void)user;
    (void)e;
    table_unref(t);
    return true;
}

static bool
quiet_gap(void *ctx, const struct source_name *name, void *user, struct err *e)
{
    (void)ctx;
    (void)name;
    (void)user;
    (void)e;
    return true;
}

static bool
quiet_rows(void *ctx, const struct source_rows *rows, struct err *e)
{
    (void)ctx;
    (void)rows;
    (void)e;
    return true;
}

static bool
quiet_truncate(void *ctx, const struct source_name *name, struct bytes sql, struct err *e)
{
    (void)ctx;
    (void)name;
    (void)sql;
    (void)e;
    return true;
}

static bool
quiet_ddl(void *ctx, const struct source_ddl *ddl, struct err *e)
{
    (void)ctx;
    (void)ddl;
    (void)e;
    return true;
}

static bool
quiet_heartbeat(void *ctx, struct err *e)
{
    (void)ctx;
    (void)e;
    return true;
}

static bool
quiet_table_error(void *ctx, const struct source_name *name, void *user, const struct err *why,
                  struct err *e)
{
    (void)ctx;
    (void)name;
    (void)user;
    *e = *why;
    return false;
}

static bool
quiet_rows_missed(void *ctx, struct bytes sql, struct err *e)
{
    (void)ctx;
    (void)sql;
    (void)e;
    return true;
}

void
source_sink_quiet(struct source_sink *out, void *ctx, struct arena *arena)
{
    *out = (struct source_sink){
        .ctx = ctx,
        .arena = arena,
        .txn_begin = quiet_txn,
        .table = quiet_table,
        .table_version = quiet_version,
        .gap = quiet_gap,
        .rows = quiet_rows,
        .truncate = quiet_truncate,
        .ddl = quiet_ddl,
        .txn_end = quiet_txn,
        .heartbeat = quiet_heartbeat,
        .table_error = quiet_table_error,
        .rows_missed = quiet_rows_missed,
    };
}
