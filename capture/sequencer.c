/* The sequencer: seqs, units, positions and ranges. Contract and what is durable when:
 * capture/sequencer.h.
 *
 * Three states of a thing (position, range): as published (open unit), as closed (a progress
 * record says it), as confirmed (that record is committed). Only the confirmed one may leave:
 * to the source as acknowledgement, to a load record.
 */
#include "capture/sequencer.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "base/text.h"
#include "capture/sequencer_ranges.h"

#define MIB ((uint64_t)1 << 20)

struct part {
    char *topic;
    int32_t partition;
    uint64_t unit; /* the unit rows and last_seq belong to */
    uint64_t rows;
    uint64_t last_seq;
};

struct open_txn {
    bool open;
    char id[TXN_ID_MAX];
    char file[256];
    uint64_t pos;
    uint64_t index; /* selected rows seen */
    uint64_t skip;  /* of them published by an earlier reading */
};

/* A unit whose record is written but not known to be committed. */
struct closed_unit {
    uint64_t seq;
    struct position pos;
    struct sequencer_snapshot ranges;
    struct closed_unit *next;
};

struct sequencer {
    struct sequencer_conf conf;
    struct cut_id *history;
    uint32_t history_count;
    uint64_t seq;
    struct cut_id prev; /* newest closed cut, or {epoch, from_seq} */
    struct position done;
    struct position closing; /* of the record last given out */
    struct position confirmed;
    uint64_t confirmed_seq;
    struct open_txn txn;
    struct part *parts;
    uint32_t part_count, part_cap;
    /* open unit */
    uint64_t unit; /* 1, 2, ... */
    uint64_t rows, bytes, since_us, commit_us;
    uint32_t events;
    uint32_t *touched;
    uint32_t touched_count, touched_cap;
    uint32_t touched_last;
    uint64_t closed_us;
    struct sequencer_ranges ranges;
    struct closed_unit *oldest, *newest;
    uint32_t unconfirmed;
    int64_t anchor;
    /* memory of the record last given out */
    struct progress_touched *out_touched;
};

static uint64_t
or_default(uint64_t v, uint64_t dflt)
{
    return v ? v : dflt;
}

static void
conf_defaults(struct sequencer_conf *c)
{
    c->min_us = or_default(c->min_us, 5000);
    c->partition_us = or_default(c->partition_us, 2000);
    c->max_us = or_default(c->max_us, 20000);
    c->behind_us = or_default(c->behind_us, 200000);
    c->heartbeat_us = or_default(c->heartbeat_us, 1000000);
    c->bytes_max = or_default(c->bytes_max, 64 * MIB);
    c->rows_max = or_default(c->rows_max, 500000);
}

struct sequencer *
sequencer_new(const struct sequencer_conf *c, const struct progress_truth *t,
              const struct position *start)
{
    struct sequencer *s = mem_zalloc(sizeof *s);
    s->conf = *c;
    conf_defaults(&s->conf);
    s->seq = s->confirmed_seq = t->found ? t->seq : 0;
    s->prev = (struct cut_id){c->epoch, s->seq};
    s->unit = 1;
    s->anchor = -1;
    position_init(&s->closing, POSITION_NONE);
    position_init(&s->confirmed, POSITION_NONE);
    position_init(&s->done, POSITION_NONE);
    position_copy(&s->done,
                  t->found && t->same_inc && t->pos.kind != POSITION_NONE ? &t->pos : start);
    position_copy(&s->confirmed, &s->done);
    for (uint32_t i = 0; i < t->range_count; i++)
        sequencer_ranges_start(&s->ranges, &t->ranges[i], t->recorded[i]);
    s->history_count = t->history_count;
    s->history = mem_array(t->history_count + 1u, sizeof *s->history);
    for (uint32_t i = 0; i < t->history_count; i++)
        s->history[i] = t->history[i];
    return s;
}

static void
closed_free(struct closed_unit *u)
{
    position_free(&u->pos);
    sequencer_snapshot_free(&u->ranges);
    free(u);
}

void
sequencer_free(struct sequencer *s)
{
    if (!s)
        return;
    while (s->oldest) {
        struct closed_unit *u = s->oldest;
        s->oldest = u->next;
        closed_free(u);
    }
    for (uint32_t i = 0; i < s->part_count; i++)
        free(s->parts[i].topic);
    free(s->parts);
    free(s->touched);
    free(s->out_touched);
    free(s->history);
    sequencer_ranges_free(&s->ranges);
    position_free(&s->done);
    position_free(&s->closing);
    position_free(&s->confirmed);
    free(s);
}

void
sequencer_epoch_record(struct sequencer *s, struct progress_record *out)
{
    *out = (struct progress_record){
        .kind = PROGRESS_EPOCH,
        .inc = s->conf.inc,
        .epoch = s->conf.epoch,
        .claim = s->conf.claim,
        .seq = s->seq,
        .position = &s->done,
        .history = s->history,
        .history_count = s->history_count,
    };
    out->ranges = sequencer_ranges_unrecorded(&s->ranges, &out->range_count);
}

uint32_t
sequencer_part(struct sequencer *s, const char *topic, int32_t partition)
{
    for (uint32_t i = 0; i < s->part_count; i++) {
        if (s->parts[i].partition == partition && strcmp(s->parts[i].topic, topic) == 0)
            return i;
    }
    if (s->part_count == s->part_cap) {
        s->part_cap = s->part_cap ? s->part_cap * 2 : 16;
        s->parts = mem_realloc(s->parts, s->part_cap * sizeof *s->parts);
    }
    s->parts[s->part_count] = (struct part){.topic = mem_strdup(topic), .partition = partition};
    return s->part_count++;
}

/* ---- the stream ---- */

static struct partial_txn *
partial_find(struct position *p, const char *id)
{
    for (unsigned i = 0; i < p->partial_count; i++) {
        if (strcmp(p->partial[i].id, id) == 0)
            return &p->partial[i];
    }
    return NULL;
}

static void
partial_drop(struct position *p, const char *id)
{
    struct partial_txn *x = partial_find(p, id);
    if (x)
        *x = p->partial[--p->partial_count];
}

/* The open transaction as a partial one, if any of its rows is out. False: no room. */
static bool
partial_note(const struct open_txn *t, struct position *p)
{
    if (!t->open || (t->index == 0 && t->skip == 0))
        return true;
    struct partial_txn *x = partial_find(p, t->id);
    if (!x) {
        if (p->partial_count == POSITION_PARTIALS)
            return false;
        x = &p->partial[p->partial_count++];
        memcpy(x->id, t->id, sizeof x->id);
    }
    x->rows = t->index > t->skip ? t->index : t->skip;
    memcpy(x->file, t->file, sizeof x->file);
    x->pos = t->pos;
    return true;
}

MUST static bool
rewound(const struct partial_txn *x, const char *file, uint64_t pos, struct err *e)
{
    return err_set(e, MR_SOURCE_REWOUND,
                   "transaction %s at %s:%" PRIu64 ", of which %" PRIu64 " rows are published, "
                   "is gone: the log goes on at %s:%" PRIu64,
                   x->id, x->file, x->pos, x->rows, file, pos);
}

/* One server's log is read in its order, so a partly published transaction comes again before
 * anything behind the place where it begins. */
MUST static bool
partials_ahead(const struct position *p, const char *file, uint64_t pos, struct err *e)
{
    for (unsigned i = 0; i < p->partial_count; i++) {
        const struct partial_txn *x = &p->partial[i];
        if (x->file[0] && position_compare_file(x->file, x->pos, file, pos) < 0)
            return rewound(x, file, pos, e);
    }
    return true;
}

bool
sequencer_begin(struct sequencer *s, struct bytes id, const char *file, uint64_t pos,
                struct err *e)
{
    struct open_txn *t = &s->txn;
    if (t->open)
        return err_set(e, MR_INTERNAL, "a transaction begins inside %s", t->id);
    if (id.n == 0 || id.n >= sizeof t->id || strlen(file) >= sizeof t->file)
        return err_set(e, MR_INTERNAL, "transaction id of %zu bytes", id.n);
    memset(t->id, 0, sizeof t->id);
    memcpy(t->id, id.p, id.n);
    const struct partial_txn *x = partial_find(&s->done, t->id);
    if (x && x->file[0] && position_compare_file(x->file, x->pos, file, pos) != 0)
        return rewound(x, file, pos, e); /* another one has its id now */
    if (!partials_ahead(&s->done, file, pos, e))
        return false;
    if (!x && s->done.partial_count == POSITION_PARTIALS)
        return err_set(e, MR_INTERNAL, "more than %d transactions are partly published",
                       POSITION_PARTIALS);
    snprintf(t->file, sizeof t->file, "%s", file);
    t->pos = pos;
    t->index = 0;
    t->skip = x ? x->rows : 0;
    t->open = true;
    return true;
}

static uint64_t
publish(struct sequencer *s, uint32_t part, uint64_t bytes)
{
    struct part *p = &s->parts[part];
    if (p->unit != s->unit) {
        if (s->touched_count == s->touched_cap) {
            s->touched_cap = s->touched_cap ? s->touched_cap * 2 : 16;
            s->touched = mem_realloc(s->touched, s->touched_cap * sizeof *s->touched);
        }
        s->touched[s->touched_count++] = part;
        p->unit = s->unit;
        p->rows = 0;
    }
    p->rows++;
    p->last_seq = ++s->seq;
    s->rows++;
    s->bytes += bytes;
    return s->seq;
}

bool
sequencer_row(struct sequencer *s, uint32_t part, uint64_t bytes, uint64_t *seq)
{
    if (++s->txn.index <= s->txn.skip)
        return false;
    *seq = publish(s, part, bytes);
    return true;
}

void
sequencer_pass(struct sequencer *s)
{
    s->txn.index++;
}

bool
sequencer_replays(const struct sequencer *s)
{
    return s->txn.open && s->txn.index < s->txn.skip;
}

bool
sequencer_settled(const struct sequencer *s)
{
    const struct open_txn *t = &s->txn;
    const struct position *p = &s->done;
    bool open = t->open && p->partial_count == 1 && strcmp(p->partial[0].id, t->id) == 0;
    return (p->partial_count == 0 || open) && (!t->open || t->index >= t->skip);
}

void
sequencer_uncount(struct sequencer *s, uint64_t rows)
{
    struct open_txn *t = &s->txn;
    if (!sequencer_settled(s) || rows > t->index)
        mem_die("sequencer: %" PRIu64 " rows uncounted before they came again", rows);
    t->index -= rows;
    t->skip = t->skip < t->index ? t->skip : t->index;
}

bool
sequencer_event(struct sequencer *s, uint64_t *seq)
{
    if (++s->txn.index <= s->txn.skip)
        return false;
    s->events++;
    *seq = ++s->seq;
    return true;
}

uint64_t
sequencer_note(struct sequencer *s)
{
    s->events++;
    return ++s->seq;
}

bool
sequencer_skip(struct sequencer *s, const struct sequencer_end *end, struct err *e)
{
    if (end->file && !partials_ahead(&s->done, end->file, end->pos, e))
        return false;
    if (s->done.gtid && end->gtid.n && !gtid_set_add(s->done.gtid, end->gtid, e))
        return false;
    if (end->file)
        snprintf(s->done.file, sizeof s->done.file, "%s", end->file);
    s->done.pos = end->pos;
    if (end->commit_us)
        s->commit_us = end->commit_us;
    return true;
}

bool
sequencer_end(struct sequencer *s, const struct sequencer_end *end, struct err *e)
{
    if (!s->txn.open)
        return err_set(e, MR_INTERNAL, "a transaction ends that did not begin");
    if (s->txn.index < s->txn.skip)
        return err_set(e, MR_TXN_RECOUNT,
                       "transaction %s: %" PRIu64 " rows of it are published, it came again "
                       "with %" PRIu64,
                       s->txn.id, s->txn.skip, s->txn.index);
    partial_drop(&s->done, s->txn.id);
    s->txn.open = false;
    return sequencer_skip(s, end, e);
}

void
sequencer_xa(struct sequencer *s, const char *file, uint64_t pos)
{
    snprintf(s->done.xa_file, sizeof s->done.xa_file, "%s", file);
    s->done.xa_pos = pos;
}

bool
sequencer_reconnect(struct sequencer *s, struct err *e)
{
    if (!partial_note(&s->txn, &s->done))
        return err_set(e, MR_INTERNAL, "more than %d transactions are partly published",
                       POSITION_PARTIALS);
    s->txn.open = false;
    return true;
}

void
sequencer_server(struct sequencer *s, const char *server, const char *file, uint64_t pos)
{
    snprintf(s->done.server, sizeof s->done.server, "%s", server);
    snprintf(s->done.file, sizeof s->done.file, "%s", file);
    s->done.pos = pos;
    for (unsigned i = 0; i < s->done.partial_count; i++)
        s->done.partial[i].file[0] = 0;
    s->txn.file[0] = 0;
}

const struct position *
sequencer_position(struct sequencer *s)
{
    return &s->done;
}

/* p's coordinates are at least one byte behind (file, pos), where a transaction begins: a mark
 * lies on a boundary, so covering that byte means covering the transaction. */
static void
p0_coordinates(struct position *p, const char *file, uint64_t pos)
{
    if (position_compare_file(p->file, p->pos, file, pos + 1) >= 0)
        return;
    snprintf(p->file, sizeof p->file, "%s", file);
    p->pos = pos + 1;
}

/* A partial transaction of a server without GTIDs: "file:pos". */
static void
p0_partial_coordinates(struct position *p, const char *id)
{
    char file[sizeof p->file];
    uint64_t pos;
    snprintf(file, sizeof file, "%.*s", (int)sizeof file - 1, id);
    char *colon = strrchr(file, ':');
    if (!colon || !text_u64(colon + 1, &pos))
        return;
    *colon = 0;
    p0_coordinates(p, file, pos);
}

bool
sequencer_p0(struct sequencer *s, struct position *out, struct err *e)
{
    position_copy(out, &s->done);
    bool noted = partial_note(&s->txn, out);
    for (unsigned i = 0; i < out->partial_count; i++) {
        const struct partial_txn *x = &out->partial[i];
        if (x->file[0])
            p0_coordinates(out, x->file, x->pos);
        else if (!out->gtid)
            p0_partial_coordinates(out, x->id);
        if (out->gtid && !gtid_set_add(out->gtid, bytes_str(x->id), e))
            return false;
    }
    /* MariaDB names it by GTID and marks by place: it is the transaction that begins where the
     * position ends. */
    if (out->partial_count > 0 && out->file[0])
        p0_coordinates(out, s->done.file, s->done.pos);
    out->partial_count = 0;
    if (!noted && out->gtid && !gtid_set_add(out->gtid, bytes_str(s->txn.id), e))
        return false;
    if (s->txn.open && s->txn.file[0])
        p0_coordinates(out, s->txn.file, s->txn.pos);
    return true;
}

/* ---- loads ---- */

uint64_t
sequencer_load_row(struct sequencer *s, uint32_t part, uint64_t bytes)
{
    return publish(s, part, bytes);
}

void
sequencer_range(struct sequencer *s, const struct progress_range *r)
{
    sequencer_ranges_set(&s->ranges, r);
}

void
sequencer_forget(struct sequencer *s, const char *table, uint64_t load)
{
    sequencer_ranges_forget(&s->ranges, table, load);
}

bool
sequencer_range_at(const struct sequencer *s, size_t i, struct progress_range *out)
{
    return sequencer_ranges_at(&s->ranges, i, out);
}

bool
sequencer_load_record(struct sequencer *s, struct progress_record *out)
{
    *out = (struct progress_record){
        .kind = PROGRESS_LOAD,
        .inc = s->conf.inc,
        .epoch = s->conf.epoch,
        .seq = s->confirmed_seq,
    };
    return sequencer_ranges_due(&s->ranges, out);
}

/* ---- units ---- */

static bool
is_boundary(const struct sequencer *s)
{
    return !s->txn.open && s->done.partial_count == 0;
}

void
sequencer_state(const struct sequencer *s, struct sequencer_state *out)
{
    *out = (struct sequencer_state){
        .seq = s->seq,
        .rows = s->rows,
        .bytes = s->bytes,
        .unconfirmed = s->unconfirmed,
        .in_txn = s->txn.open,
        .boundary = is_boundary(s),
    };
}

bool
sequencer_must_close(const struct sequencer *s)
{
    return s->events || s->bytes >= s->conf.bytes_max || s->rows >= s->conf.rows_max;
}

bool
sequencer_should_close(struct sequencer *s, const struct sequencer_moment *m)
{
    const struct sequencer_conf *c = &s->conf;
    if (sequencer_must_close(s))
        return true;
    if (!s->closed_us)
        s->closed_us = m->now_us;
    if (s->txn.open)
        return false;
    if (s->rows == 0 && !sequencer_ranges_changed(&s->ranges))
        return m->now_us - s->closed_us >= c->heartbeat_us;
    if (!s->since_us)
        s->since_us = m->now_us;
    uint64_t age = m->now_us - s->since_us;
    uint64_t least = c->partition_us * s->touched_last;
    least = least > c->min_us ? least : c->min_us;
    if (m->far_behind)
        return age >= c->behind_us;
    if (m->ring_empty)
        return age >= least;
    return age >= (least > c->max_us ? least : c->max_us);
}

static void
unit_queue(struct sequencer *s)
{
    struct closed_unit *u = mem_zalloc(sizeof *u);
    u->seq = s->seq;
    position_init(&u->pos, POSITION_NONE);
    position_copy(&u->pos, &s->closing);
    sequencer_ranges_close(&s->ranges, &u->ranges);
    if (s->newest)
        s->newest->next = u;
    else
        s->oldest = u;
    s->newest = u;
    s->unconfirmed++;
}

static void
unit_touched(struct sequencer *s, struct progress_record *out)
{
    free(s->out_touched);
    s->out_touched = mem_array(s->touched_count + 1u, sizeof *s->out_touched);
    for (uint32_t i = 0; i < s->touched_count; i++) {
        const struct part *p = &s->parts[s->touched[i]];
        s->out_touched[i] =
            (struct progress_touched){p->topic, p->partition, p->rows, p->last_seq};
    }
    out->touched = s->out_touched;
    out->touched_count = s->touched_count;
}

void
sequencer_close(struct sequencer *s, uint64_t now_us, struct progress_record *out)
{
    position_copy(&s->closing, &s->done);
    if (!partial_note(&s->txn, &s->closing))
        mem_die("sequencer: no room for a partial transaction"); /* sequencer_begin saw to it */
    *out = (struct progress_record){
        .kind = PROGRESS_CUT,
        .inc = s->conf.inc,
        .epoch = s->conf.epoch,
        .claim = s->conf.claim,
        .seq = s->seq,
        .prev = s->prev,
        .first_seq = s->prev.seq + 1,
        .position = &s->closing,
        .spec = s->conf.spec,
        .commit_us = s->commit_us,
        .boundary = is_boundary(s),
        .anchor = s->anchor,
        .events = s->events,
    };
    unit_touched(s, out);
    out->ranges = sequencer_ranges_unrecorded(&s->ranges, &out->range_count);
    unit_queue(s);
    s->prev = (struct cut_id){s->conf.epoch, s->seq};
    s->unit++;
    s->touched_last = s->touched_count;
    s->touched_count = 0;
    s->rows = s->bytes = s->since_us = 0;
    s->events = 0;
    s->closed_us = now_us;
}

uint64_t
sequencer_confirm(struct sequencer *s)
{
    struct closed_unit *u = s->oldest;
    if (!u)
        mem_die("sequencer: confirmed a unit that was not closed");
    uint64_t seq = u->seq;
    position_copy(&s->confirmed, &u->pos);
    s->confirmed_seq = seq;
    sequencer_ranges_confirm(&s->ranges, &u->ranges);
    s->oldest = u->next;
    if (!s->oldest)
        s->newest = NULL;
    s->unconfirmed--;
    closed_free(u);
    return seq;
}

const struct position *
sequencer_confirmed(const struct sequencer *s)
{
    return &s->confirmed;
}

void
sequencer_set_anchor(struct sequencer *s, int64_t anchor)
{
    s->anchor = anchor;
}

void
sequencer_set_spec(struct sequencer *s, uint32_t spec)
{
    s->conf.spec = spec;
}
