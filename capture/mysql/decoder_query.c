/* QUERY events: transaction brackets, DDL, and statements that should have been rows. See
 * decoder.h.
 *
 * Format: thread 4, seconds 4, length of the database's name 1, error 2, length of status
 * variables 2, variables, database, NUL, text.
 */
#include <stdlib.h>

#include "base/mem.h"
#include "capture/mysql/ddl.h"
#include "capture/mysql/decoder_private.h"

struct query {
    struct bytes database;
    struct bytes sql;
};

MUST static bool
query_parse(struct binlog_decoder *d, const struct binlog_event *ev, struct query *out,
            struct err *e)
{
    struct reader r = reader_of(ev->body);
    d->thread = (uint32_t)reader_le(&r, 4);
    reader_take(&r, 4);
    uint8_t database = reader_u8(&r);
    reader_take(&r, 2);
    uint64_t variables = reader_le(&r, 2);
    reader_take(&r, variables);
    out->database = reader_take(&r, database);
    reader_take(&r, 1);
    out->sql = reader_rest(&r);
    if (r.failed)
        return err_set(e, MR_SOURCE_CORRUPT, "a QUERY event is cut short");
    if (ev->type != BINLOG_MARIA_QUERY_COMPRESSED)
        return true;
    if (!decoder_inflate(d, out->sql, e))
        return false;
    out->sql = buf_bytes(&d->inflated);
    return true;
}

/* A statement that is no bracket is a transaction of its own unless one was begun. */
MUST static bool
statement_done(struct binlog_decoder *d, struct err *e)
{
    return d->began || decoder_txn_end(d, e);
}

MUST static bool
rolled_back(struct binlog_decoder *d, struct err *e)
{
    if (d->rows_seen)
        return err_set(e, MR_SOURCE_EVENT,
                       "the log holds rows of a transaction that was rolled back");
    return true;
}

/* Changes by a statement matter only for tables that are captured; without a plain table name
 * we cannot know. */
MUST static bool
refuse_dml(struct binlog_decoder *d, const struct source_ddl *ddl, struct err *e)
{
    struct source_known known = {.wanted = !d->skip};
    if (known.wanted && ddl->name_count == 1 &&
        !d->sink->table(d->sink->ctx, &ddl->names[0], &known, e))
        return false;
    if (!known.wanted)
        return true;
    return err_set(e, MR_SOURCE_STATEMENT, "%.*s changed rows by a statement (thread %u)",
                   (int)ddl->database.n, (const char *)ddl->database.p, d->thread);
}

MUST static bool
definition_changed(struct binlog_decoder *d, struct ddl *q, struct err *e)
{
    if (d->gtid.repeats_ddl || d->skip)
        return true;
    q->ddl.commit_us = d->txn.commit_us;
    if (q->class == DDL_TRUNCATE)
        return d->sink->truncate(d->sink->ctx, &q->ddl.names[0], q->ddl.sql, e);
    decoder_tables_altered(d, &q->ddl);
    return d->sink->ddl(d->sink->ctx, &q->ddl, e);
}

MUST static bool
statement(struct binlog_decoder *d, struct ddl *q, struct err *e)
{
    switch (q->class) {
    case DDL_BEGIN:
        d->began = true;
        return true;
    case DDL_XA_START:
    case DDL_XA_OTHER:
        return decoder_xa_statement(d, q->ddl.sql, e);
    case DDL_COMMIT:
        return decoder_txn_end(d, e);
    case DDL_ROLLBACK:
        return rolled_back(d, e) && decoder_txn_end(d, e);
    case DDL_ROLLBACK_TO:
        return rolled_back(d, e) && statement_done(d, e);
    case DDL_DML:
        return refuse_dml(d, &q->ddl, e) && statement_done(d, e);
    case DDL_TRUNCATE:
    case DDL_TABLE:
        return definition_changed(d, q, e) && statement_done(d, e);
    default:
        return statement_done(d, e);
    }
}

bool
decoder_query(struct binlog_decoder *d, const struct binlog_event *ev, struct err *e)
{
    struct query in;
    struct ddl q = {.class = DDL_NOTHING};
    if (!query_parse(d, ev, &in, e) || (!d->in_txn && !decoder_txn_begin(d, ev, e)))
        return false;
    if (bytes_eq(in.sql, BYTES_LIT("BEGIN")))
        q.class = DDL_BEGIN;
    else if (bytes_eq(in.sql, BYTES_LIT("COMMIT")))
        q.class = DDL_COMMIT;
    else
        ddl_classify(in.sql, in.database, &d->scratch, &q);
    if (d->conf.fold_names)
        ddl_fold_names(&q, &d->scratch);
    return statement(d, &q, e);
}
