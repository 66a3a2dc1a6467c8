/* XA transactions: their rows are in the log when they are prepared, and count when they are
 * committed, which can be days and server restarts later, or never. See decoder.h.
 *
 * In the log there are two transactions: the rows, ended by an XA_PREPARE event (one phase: it
 * is the commit as well); and later XA COMMIT or XA ROLLBACK, which only names the first. The
 * rows are held, and handed over as rows of the second: its id, its commit time, its place in
 * the order. No other transaction touches the same rows between the two, because a prepared one
 * keeps its locks, and no DDL the same tables. Held are raw events: what they mean is decided
 * when they are handed over, by their own TABLE_MAPs.
 *
 * Durable: nothing but position.xa, the place where the oldest one still held begins. It moves
 * in the same call that makes the position contain the transaction that prepared, committed or
 * rolled back (decoder_xa_settle, before the sink's txn_end), so a cut says both or neither:
 *   die before the cut that contains the prepare: it is read again, as anything behind a
 * position; die behind it: the stream begins at position.xa; what the position contains is
 * skipped (told to nobody), but its XA rows are held again, and dropped at an end that is
 * skipped too; die among the rows of a commit: the cut's `partial` counts those published under
 * the id of the XA COMMIT; they are held again and handed over in the same order, so the
 * sequencer skips as many; position.xa still names them, because the transaction that ends them
 * is not whole; die behind the cut that contains the end: position.xa is beyond them (or, for
 * an older one still held, they are held again and dropped at the skipped end). A commit whose
 * rows no place names was prepared before the task's first position: the sink is told that rows
 * were missed, and loads again. An id that starts anew while it is held is gone at the server:
 * forgotten. Failpoints: xa.prepare, xa.prepared, xa.commit, xa.event, xa.handed, xa.settled.
 */
#include <stdio.h>

#include "base/fault.h"
#include "base/log.h"
#include "capture/mysql/decoder_private.h"

bool
decoder_xa_start(struct binlog_decoder *d, const struct binlog_xid *id, struct err *e)
{
    if (d->xa)
        return err_set(e, MR_SOURCE_CORRUPT, "an XA transaction begins inside another");
    d->xa = xa_store_open(d->prepared, id, d->file, d->begin_pos);
    d->began = d->xa_changed = true;
    return true;
}

bool
decoder_xa_hold(struct binlog_decoder *d, const struct binlog_event *ev, struct err *e)
{
    d->rows_seen = true;
    return xa_held_add(d->prepared, d->xa, &(struct xa_event){ev->type, ev->body}, e);
}

static bool
hand_over(void *ctx, const struct xa_event *held, struct err *e)
{
    struct binlog_decoder *d = ctx;
    struct binlog_event ev = {.type = held->type, .body = held->body};
    FAULT("xa.event");
    return ev.type == BINLOG_TABLE_MAP ? decoder_table_map(d, ev.body, e)
                                       : decoder_rows(d, &ev, e);
}

MUST static bool
commit(struct binlog_decoder *d, struct xa_held *h, struct err *e)
{
    d->ended = h;
    if (d->skip)
        return true;
    FAULT("xa.commit");
    if (!xa_held_each(d->prepared, h, hand_over, d, e))
        return false;
    FAULT("xa.handed");
    return true;
}

bool
decoder_xa_prepare(struct binlog_decoder *d, const struct binlog_event *ev, struct err *e)
{
    struct binlog_xid id;
    struct xa_held *h = d->xa;
    bool one_phase;
    if (!binlog_xa_prepare(ev->body, &one_phase, &id, e))
        return false;
    if (!h || !xa_held_is(h, &id))
        return err_set(e, MR_SOURCE_CORRUPT, "an XA_PREPARE event without its XA START");
    FAULT("xa.prepare");
    d->xa = NULL;
    if ((one_phase && !commit(d, h, e)) || !decoder_txn_end(d, e))
        return false;
    FAULT("xa.prepared");
    return true;
}

/* ROLLBACK of one that was not prepared is logged when it changed tables that cannot roll back.
 */
MUST static bool
finish(struct binlog_decoder *d, enum xa_verb verb, const struct binlog_xid *id,
       struct bytes sql, struct err *e)
{
    struct xa_held *h = xa_store_find(d->prepared, id);
    if (d->xa)
        return err_set(e, MR_SOURCE_EVENT,
                       "the log holds rows of an XA transaction that was not prepared");
    if (verb == XA_ROLLBACK)
        d->ended = h;
    else if (h && !commit(d, h, e))
        return false;
    if (verb == XA_COMMIT && !h && !d->skip) {
        log_warn("xa_rows_missed", F_STR("file", d->file), F_U64("pos", d->event_pos));
        if (!d->sink->rows_missed(d->sink->ctx, sql, e))
            return false;
    }
    return decoder_txn_end(d, e);
}

bool
decoder_xa_statement(struct binlog_decoder *d, struct bytes sql, struct err *e)
{
    enum xa_verb verb;
    struct binlog_xid id;
    if (!binlog_xa_statement(sql, &verb, &id))
        return err_set(e, MR_SOURCE_EVENT, "an XA statement cannot be read");
    switch (verb) {
    case XA_START:
        return decoder_xa_start(d, &id, e);
    case XA_COMMIT:
    case XA_ROLLBACK:
        return finish(d, verb, &id, sql, e);
    default:
        return true;
    }
}

void
decoder_xa_settle(struct binlog_decoder *d)
{
    struct position *p = &d->position;
    const char *file = "";
    uint64_t pos = 0;
    d->xa_changed = d->xa_changed || d->ended;
    if (d->ended)
        xa_store_drop(d->prepared, d->ended);
    if (d->xa) /* began, and has no end */
        xa_store_drop(d->prepared, d->xa);
    d->ended = d->xa = NULL;
    if (d->skip || !d->xa_changed)
        return;
    d->xa_changed = false;
    if (!xa_store_oldest(d->prepared, &file, &pos))
        pos = 0;
    snprintf(p->xa_file, sizeof(p->xa_file), "%s", file);
    p->xa_pos = pos;
    FAULT("xa.settled");
}
