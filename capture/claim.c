#include "capture/claim.h"

#include "base/clock.h"
#include "base/fault.h"
#include "base/hash.h"
#include "base/log.h"

#define LOG_TIMEOUT_MS 30000
#define CLAIM_TRIES    5
#define SCAN_STEP      500
/* Below half of min.compaction.lag.ms compaction cannot have taken anything. */
#define COMPACTABLE_MS ((uint64_t)12 * 3600 * 1000)

/* ---- from where to read ---- */

struct scan {
    bool found;
    int64_t anchor; /* lowest one said by the window's cuts */
};

static bool
scan_record(void *ctx, const struct consumer_message *m, struct err *e)
{
    struct scan *sc = ctx;
    if (m->value.p == NULL)
        return true;
    struct arena a;
    arena_init(&a, 4096);
    struct progress_record r;
    bool ok = progress_decode(m->key, m->value, &a, &r, e);
    if (ok && r.kind == PROGRESS_CUT && r.anchor >= 0) {
        sc->anchor = sc->found && sc->anchor < r.anchor ? sc->anchor : r.anchor;
        sc->found = true;
    }
    progress_record_free(&r);
    arena_free(&a);
    return ok || err_wrap(e, "progress offset %lld", (long long)m->offset);
}

static bool
scan_found(void *ctx)
{
    const struct scan *sc = ctx;
    return sc->found;
}

/* Leaves the log at the anchor. */
static bool
seek_anchor(struct session *s, struct err *e)
{
    struct scan sc = {0};
    if (!log_reader_scan_back(s->log, SCAN_STEP, scan_record, scan_found, &sc, NULL, e))
        return false;
    return log_reader_seek(s->log, sc.found ? sc.anchor : KAFKA_OFFSET_BEGIN, e);
}

/* ---- reading ---- */

struct feed {
    struct session *s;
    bool own_seen;  /* our claim was read */
    bool own_valid; /* and was above every claim before it */
};

/* Somebody else's claim above ours: stop, whatever we were doing. */
static bool
check_rival(struct session *s, const struct progress_record *r, struct err *e)
{
    if (r->epoch <= s->epoch || s->epoch == 0)
        return true;
    return err_set(e, MR_CLAIM_LOST, "claim %llu of worker %s is above our %llu",
                   (unsigned long long)r->epoch, r->name == NULL ? "?" : r->name,
                   (unsigned long long)s->epoch);
}

static bool
feed_decoded(struct feed *f, const struct progress_record *r, const struct consumer_message *m,
             struct err *e)
{
    struct session *s = f->s;
    uint64_t age =
        m->timestamp_ms < 0 ? UINT64_MAX : clock_wall_ms() - (uint64_t)m->timestamp_ms;
    struct progress_at at = {.offset = m->offset, .compactable = age > COMPACTABLE_MS};
    struct progress_fed fed;
    if (!progress_view_feed(s->view, r, at, &fed, e))
        return false;
    if (r->kind != PROGRESS_CLAIM)
        return true;
    if (r->epoch == s->epoch && r->claim == s->claim_random) {
        f->own_seen = true;
        f->own_valid = fed.verdict == PROGRESS_IS_CLAIM;
        progress_truth_free(&s->truth);
        return !f->own_valid || progress_view_truth(s->view, &s->truth, e);
    }
    return !f->own_seen || fed.verdict != PROGRESS_IS_CLAIM || check_rival(s, r, e);
}

static bool
feed_record(void *ctx, const struct consumer_message *m, struct err *e)
{
    if (m->value.p == NULL)
        return true;
    struct arena a;
    arena_init(&a, 4096);
    struct progress_record r;
    bool ok = progress_decode(m->key, m->value, &a, &r, e) && feed_decoded(ctx, &r, m, e);
    progress_record_free(&r);
    arena_free(&a);
    return ok || err_wrap(e, "progress offset %lld", (long long)m->offset);
}

/* ---- claiming ---- */

static bool
write_claim(struct session *s, struct err *e)
{
    s->epoch = progress_view_next_epoch(s->view, clock_wall_ms());
    s->claim_random = random_u64() | 1;
    struct progress_record r = {
        .kind = PROGRESS_CLAIM,
        .inc = s->task->inc,
        .epoch = s->epoch,
        .claim = s->claim_random,
        .name = worker_name(unit_worker(s->unit)),
        .instance = worker_instance(unit_worker(s->unit)),
        .ts_ms = clock_wall_ms(),
    };
    struct buf key = {0}, value = {0};
    progress_encode(&r, &key, &value);
    FAULT("claim.before_claim");
    bool ok = publisher_control(s->publisher, buf_bytes(&key), buf_bytes(&value), e);
    FAULT("claim.after_claim");
    buf_free(&key);
    buf_free(&value);
    return ok;
}

static bool
claim_once(struct session *s, bool *valid, struct err *e)
{
    struct feed f = {.s = s};
    if (!log_reader_to_end(s->log, feed_record, &f, e) || !write_claim(s, e) ||
        !log_reader_to_end(s->log, feed_record, &f, e))
        return false;
    if (!f.own_seen)
        return err_set(e, MR_KAFKA_LOST, "our own claim %llu is not in %s",
                       (unsigned long long)s->epoch, s->progress_topic);
    *valid = f.own_valid;
    return true;
}

static bool
open_log(struct session *s, struct err *e)
{
    struct log_conf c = {
        .kafka = s->kafka,
        .topic = s->progress_topic,
        .partition = (int32_t)s->number,
        .isolation = KAFKA_READ_COMMITTED,
        .from = KAFKA_OFFSET_END,
        .stop = s->stop,
        .timeout_ms = LOG_TIMEOUT_MS,
    };
    return log_reader_open(&c, &s->log, e) && seek_anchor(s, e);
}

static bool
open_publisher(struct session *s, void (*done)(void *, struct publisher_cut *), struct err *e)
{
    struct publisher_conf c = {
        .transactional_id = s->transactional_id,
        .progress_topic = s->progress_topic,
        .progress_partition = (int32_t)s->number,
        .fast = s->task->delivery == TASK_FAST,
        .commit_timeout_ms = PRODUCER_ACK_MS,
        .stop = s->stop,
        .done = done,
        .ctx = s,
    };
    producer_conf_load(&c.rows, s->config, s->kafka.client_id);
    return publisher_open(&c, &s->publisher, e);
}

/* Nothing of ours is open for the coordinator, and still the log cannot be read to its end: it
 * may have ended a transaction without its markers (kafka/producer.h), and then nobody reads on
 * for ever. Its progress record is given up: the rows it was of are published again behind the
 * cut before it, in our epoch, which makes those that were seen void. The unit claims again in
 * either case. */
static void
give_up(struct session *s, const struct err *e)
{
    struct err why = {0};
    if (e->code == MR_KAFKA_UNREACHABLE && publisher_give_up(s->publisher, &why))
        log_warn("progress_given_up", F_STR("unit", unit_name(s->unit)), F_ERR(e));
}

static bool
claim_log(struct session *s, struct err *e)
{
    bool valid = false;
    if (!open_log(s, e))
        return false;
    for (int i = 0; i < CLAIM_TRIES && !valid; i++)
        if (!claim_once(s, &valid, e))
            return false;
    if (!valid)
        return err_set(e, MR_CLAIM_LOST, "%d claims in a row were overtaken", CLAIM_TRIES);
    return true;
}

bool
claim_make(struct session *s, void (*done)(void *ctx, struct publisher_cut *cut), struct err *e)
{
    struct progress_view_conf vc = {.inc = s->task->inc, .strict = false};
    s->epoch = 0;
    s->view = progress_view_new(&vc);
    if (!open_publisher(s, done, e))
        return err_wrap(e, "claim of source %u", s->number);
    if (!claim_log(s, e)) {
        give_up(s, e);
        return err_wrap(e, "claim of source %u", s->number);
    }
    s->claimed_at = log_reader_position(s->log);
    log_info("claimed", F_STR("unit", unit_name(s->unit)), F_U64("epoch", s->epoch),
             F_U64("from_seq", s->truth.seq), F_I64("anchor", progress_view_anchor(s->view)));
    return true;
}

bool
claim_epoch(struct session *s, struct err *e)
{
    struct progress_record r;
    sequencer_epoch_record(s->seq, &r);
    struct buf key = {0}, value = {0};
    progress_encode(&r, &key, &value);
    bool ok = publisher_control(s->publisher, buf_bytes(&key), buf_bytes(&value), e);
    FAULT("claim.after_epoch");
    buf_free(&key);
    buf_free(&value);
    s->refresh = true;
    if (!ok)
        return err_wrap(e, "epoch record");
    /* Our own view knows the epoch record's offset before the first cut names an anchor. */
    struct feed f = {.s = s, .own_seen = true};
    if (!log_reader_to_end(s->log, feed_record, &f, e))
        return false;
    sequencer_set_anchor(s->seq, progress_view_anchor(s->view));
    return true;
}

bool
claim_watch(struct session *s, struct err *e)
{
    struct feed f = {.s = s, .own_seen = true};
    size_t n;
    if (!log_reader_poll(s->log, 0, feed_record, &f, &n, e))
        return false;
    if (n > 0)
        sequencer_set_anchor(s->seq, progress_view_anchor(s->view));
    return true;
}

bool
claim_is_old(const struct session *s)
{
    /* Counted from our own claim, however old the anchor it began with: its first unit writes
     * the live records again, and only a session that goes on gets there. */
    return log_reader_position(s->log) - s->claimed_at >
           config_int(s->config, "progress.refresh.records");
}

void
claim_release(struct session *s)
{
    publisher_close(s->publisher);
    s->publisher = NULL;
    if (s->log != NULL)
        log_reader_close(s->log);
    s->log = NULL;
    progress_view_free(s->view);
    s->view = NULL;
    progress_truth_free(&s->truth);
}
