/* Definitions under the table's metadata lock: see fence.h. */
#include "capture/mysql/fence.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/fault.h"
#include "base/log.h"
#include "base/mem.h"
#include "capture/mysql/lookahead.h"

#define DENIED_DATABASE  1044
#define UNKNOWN_DATABASE 1049
#define DENIED_TABLE     1142
#define NO_SUCH_TABLE    1146
#define LOCK_WAIT        1205
#define LOCK_WAIT_S      2

struct fence {
    struct source *source;
    struct lookahead *ahead;
};

struct fence *
fence_new(struct source *s)
{
    struct fence *f = mem_zalloc(sizeof(*f));
    f->source = s;
    f->ahead = lookahead_new(s);
    return f;
}

void
fence_free(struct fence *f)
{
    if (!f)
        return;
    lookahead_free(f->ahead);
    free(f);
}

void
fence_rest(struct fence *f)
{
    lookahead_rest(f->ahead);
}

enum locked { LOCKED, NOT_THERE, NOT_ALLOWED, BUSY };

/* Takes the lock, until the transaction ends. */
MUST static bool
take_lock(struct mysql_conn *c, const struct source_name *name, enum locked *out, struct err *e)
{
    struct buf table = {0};
    struct arena a;
    struct mysql_rows rows;
    arena_init(&a, 256);
    mysql_quote_table(name->database, name->table, &table);
    *out = LOCKED;
    bool ok = mysql_conn_selectf(c, &a, &rows, e, "SELECT 1 FROM %s LIMIT 0", buf_cstr(&table));
    buf_free(&table);
    arena_free(&a);
    if (ok)
        return true;
    switch (mysql_conn_errno(c)) {
    case UNKNOWN_DATABASE:
    case NO_SUCH_TABLE:
        *out = NOT_THERE;
        return true;
    case DENIED_DATABASE:
    case DENIED_TABLE:
        *out = NOT_ALLOWED;
        return true;
    case LOCK_WAIT:
        *out = BUSY;
        return true;
    default:
        return false;
    }
}

/* Everything inside the transaction. *end: N. */
MUST static bool
read_locked(struct fence *f, struct mysql_conn *c, const struct source_name *name,
            struct definition *out, struct log_place *end, struct err *e)
{
    enum locked lock;
    if (!take_lock(c, name, &lock, e))
        return false;
    FAULT("definition.locked");
    out->proved = lock == LOCKED || lock == NOT_THERE;
    if (lock == NOT_ALLOWED)
        snprintf(out->why, sizeof(out->why), "the account may not read the table");
    if (lock == BUSY)
        snprintf(out->why, sizeof(out->why), "the table is locked at the source");
    if (lock != NOT_THERE &&
        !definition_read(c, &f->source->collations, name, &out->kind, &out->table, e))
        return false;
    FAULT("definition.read");
    return place_end(c, end, e);
}

MUST static bool
read_now(struct fence *f, const struct source_name *name, struct definition *out,
         struct log_place *end, struct err *e)
{
    struct mysql_conn *c;
    struct err ignored;
    if (!server_control(f->source, &c, e))
        return false;
    /* the core waits for this: not for long */
    bool ok = mysql_conn_execf(c, e, "SET SESSION lock_wait_timeout = %d", LOCK_WAIT_S) &&
              mysql_conn_execf(c, e, "START TRANSACTION") &&
              read_locked(f, c, name, out, end, e);
    if (!mysql_conn_execf(c, ok ? e : &ignored, "ROLLBACK"))
        ok = false;
    if (!ok)
        server_control_failed(f->source, e);
    return ok;
}

bool
fence_define(struct fence *f, const struct source_name *name, const struct fence_place *at,
             struct definition *out, struct err *e)
{
    struct log_place end;
    *out = (struct definition){.kind = DEFINITION_NONE};
    bool ok = read_now(f, name, out, &end, e);
    if (ok && (!at || !out->proved)) {
        out->proved = false;
        return true;
    }
    ok = ok && lookahead_clear(f->ahead, name, at, &end, out, e);
    FAULT("definition.proved");
    if (!ok) {
        table_unref(out->table);
        out->table = NULL;
    }
    return ok;
}
