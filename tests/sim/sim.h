/* The simulator's world: a source database, Kafka, a target, captures and applies that crash,
 * freeze and multiply, under one seeded schedule. The rules under test are not here: they are
 * the shipped objects of task/progress*.c, task/checkpoint.c, capture/sequencer*.c,
 * capture/window.c, apply/gate*.c, apply/fold.c.
 *
 * A schedule is a list of (action, r); r feeds every choice inside the action, so a schedule
 * replays and shrinks. One thread, no clock, no I/O. Everything of a schedule is freed with its
 * world.
 */
#ifndef MILLRACE_TESTS_SIM_H
#define MILLRACE_TESTS_SIM_H

#include "sim_nodes.h"

/* world.c */
void
world_init(struct world *w, const struct options *o, uint64_t seed);
void
world_free(struct world *w);
void
world_ev(struct world *w, const char *fmt, ...) PRINTF_LIKE(2, 3);
void
world_violation(struct world *w, const char *fmt, ...) PRINTF_LIKE(2, 3);
uint32_t
world_rr(struct world *w);
size_t
action_count(void);
const char *
action_name(size_t i);
unsigned
action_weight(size_t i);
size_t
action_find(const char *name);
void
world_do(struct world *w, size_t action, uint64_t r);
void
world_converge(struct world *w);
bool
world_same(const struct world *w);
bool
world_over(const struct world *w);

/* source.c */
void
source_init(struct source *s, bool gtid);
void
source_state(const struct source *s, const struct set *done, struct state *out);
void
source_all(const struct source *s, struct set *out);
void
source_write(struct world *w, uint64_t r);
void
source_visible(struct world *w, uint64_t r);
bool
source_failover(struct world *w, uint64_t r);
/* A visibility-exact mark; in file mode taking it waits until all is visible. */
void
source_mark(struct source *s, struct position *out);
void
source_server_text(const struct source *s, char out[40]);
/* Where a transaction begins in the log of the current server. */
uint64_t
source_place(const struct source *s, unsigned txn);
uint64_t
source_end_pos(const struct source *s, unsigned txn);

/* kafka.c */
void
kafka_free(struct kafka *k);
void
kafka_decide(struct kafka *k, bool commit);
void
kafka_marker(struct kafka *k, uint64_t i);
bool
kafka_end(struct kafka *k, unsigned pepoch, bool commit);
void
kafka_append(struct kafka *k, int log, const struct record *rec, enum entry_state st);
void
kafka_deliver_row(struct world *w, int log, const struct record *rec, enum entry_state st);
void
kafka_compact(struct world *w, uint64_t r);
void
kafka_lose(struct world *w, uint64_t r);
const struct record *
kafka_progress(struct world *w, const struct progress_record *r);

/* capture.c */
void
capture_reset(struct capture *c);
/* A record in a transaction of its own, committed. */
enum outcome
capture_own(struct capture *c, const struct progress_record *r);
/* capture_claim.c */
void
capture_init(struct capture *c);
enum outcome
capture_claim(struct capture *c);
void
capture_read(struct capture *c);
enum outcome
capture_epoch(struct capture *c);
/* What the server will leave out when asked from the sequencer's position. */
void
capture_source_open(struct capture *c);
/* Decodes and feeds record i of the progress log; progress_record_free after true. */
bool
capture_feed(struct capture *c, struct progress_view *v, size_t i, struct progress_record *rec,
             struct progress_fed *fed, struct arena *a);
/* capture.c, capture_load.c */
struct capture *
capture_new(struct world *w);
void
capture_free(struct capture *c);
void
capture_step(struct capture *c, uint64_t r);
void
capture_check_claims(struct capture *c);
bool
capture_idle(const struct capture *c);
void
capture_source_moved(struct capture *c);
void
capture_reconnect(struct capture *c);
void
capture_send(struct capture *c, int log, const struct record *rec);
void
capture_row(struct capture *c, const struct row *row, uint64_t seq);
void
capture_begin_unit(struct capture *c);
void
capture_plan(struct capture *c);
void
capture_window_step(struct capture *c, uint64_t r);
void
capture_touch(struct capture *c, const struct row *row);
void
capture_windows_discard(struct capture *c);
void
capture_windows_free(struct capture *c);
bool
capture_loaded(const struct capture *c);

/* apply.c */
struct apply *
apply_new(struct world *w);
void
apply_free(struct apply *a);
void
apply_step(struct apply *a, uint64_t r);
bool
apply_idle(const struct apply *a);
bool
apply_waits(const struct apply *a); /* rows are kept that it never got to apply */
void
batch_free(struct batch *b);

/* target.c */
void
target_init(struct target *t);
void
target_free(struct target *t);
bool
target_load(const struct target *t, unsigned table, struct checkpoint *out, struct err *e);
void
target_store(struct target *t, unsigned table, const struct checkpoint *c);
/* False: the stored checkpoints are not the base. */
bool
target_commit(struct world *w, const struct batch *b);
bool
target_busy(const struct target *t, unsigned tables);
bool
target_resolve(struct world *w, uint64_t r);
void
target_kill_below(struct world *w, uint64_t owner);
void
target_ddl_send(struct world *w, const struct ddl *d);
/* Executes it, unless the server has done so already. */
void
target_ddl_finish(struct world *w, uint64_t owner);
/* The server gets to one of the statements sent, whatever became of its client. */
void
target_ddl_any(struct world *w, uint64_t r);

#endif
