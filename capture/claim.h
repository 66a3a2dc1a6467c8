/* Claim: how a capture becomes the one writer of its (task, source), and learns where to go on
 * (DESIGN: Claim).
 *
 * 1 init_transactions fences every older producer of the id, in `fast` too. 2 The progress
 * partition is read from its anchor to the end, then claim/<n> is committed. 3 It is read on up
 * to our own claim; a claim that is not above every claim before it is none: claim again with a
 * higher number. The later of the last valid progress and epoch record before our claim is the
 * truth. 4 epoch/<n> {from_seq, position, ranges} is committed. 5 Only then is the source
 * opened.
 *
 * Dying after 1: nobody writes until the next claim. After 2: a claim without an epoch,
 * harmless. After 4: an epoch without cuts, its record is the next truth. Failpoints:
 * claim.before_claim, claim.after_claim, claim.after_epoch.
 */
#ifndef MILLRACE_CAPTURE_CLAIM_H
#define MILLRACE_CAPTURE_CLAIM_H

#include "capture/session.h"

/* Steps 1 to 3: publisher, view, log, truth, epoch of the session. What was made is freed by
 * claim_release, also after an error. `done` and ctx as in publisher_conf. */
MUST bool
claim_make(struct session *s, void (*done)(void *ctx, struct publisher_cut *cut),
           struct err *e);
/* Step 4, with the sequencer made from the truth. */
MUST bool
claim_epoch(struct session *s, struct err *e);
/* Reads what is new in the progress partition: a newer claim ends us (MR_CLAIM_LOST); moves the
 * anchor. Cheap. */
MUST bool
claim_watch(struct session *s, struct err *e);
/* The anchor is far behind the end: time to save and claim again, so that the next start stays
 * short. */
bool
claim_is_old(const struct session *s);
void
claim_release(struct session *s);

#endif
