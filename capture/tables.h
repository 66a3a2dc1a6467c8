/* Captured tables: what the unit knows of each selected table, and how its versions become
 * durable.
 *
 * A version event carries table_to_json plus {key_id, value_id, partitions, loaded, load,
 * altered, unproved, gap, stopped} and, of a rename, what capture/moves.h says: all that a
 * restart of capture and that apply need. `loaded` is false while the table needs a load;
 * `load` is the one that makes it complete, 0: none yet. Ranges of any other load that the log
 * still has are history: what they say is read was changed since. `stopped` is null or the
 * error that ended the table's capture: its rows are not published after it, and only a new
 * load makes it complete again. Owner and thread: the session's core.
 */
#ifndef MILLRACE_CAPTURE_TABLES_H
#define MILLRACE_CAPTURE_TABLES_H

#include "capture/changes.h"
#include "capture/keyless.h"
#include "capture/session.h"
#include "schema/codec.h"
#include "schema/topic.h"

struct captured {
    char *db;
    char *name;
    char topic[TOPIC_NAME_MAX + 1];
    struct table *table; /* newest version, as the source has it; NULL: its first rows were
                            not seen yet */
    struct table *shape; /* as it is published: the same, but for one without a key; NULL while
                            it cannot be */
    struct row_encoder *encoder; /* NULL while stopped before its first version */
    uint32_t key_id, value_id;
    int partitions;
    uint32_t *slots; /* publisher_slot per partition */
    uint32_t *parts; /* sequencer_part per partition */
    int64_t limit;   /* largest key + value */
    bool born;       /* its CREATE was in the stream: complete without a load */
    bool loaded;
    uint64_t load; /* that makes it complete; 0: none */
    bool dropped;  /* at the source; its rows stay at the target until it is made again */
    bool asked;    /* for its definition, since the session began */
    char *moved;   /* topic of the name it was renamed to, by its newest event; NULL: none */
    struct cut_id noted; /* its newest version event */
    bool unproved;       /* see capture/definitions.h */
    bool gap;            /* likewise */
    bool stopped;
    bool resumed; /* stopped, and to be taken up again */
    uint64_t txn; /* the session's txn_count that txn_rows belongs to */
    uint64_t txn_rows;
    struct err error;
    struct window_table *windows; /* NULL: no load runs */
    struct keyless *keyless;      /* of its load; NULL: none, or the table has a key */
    unsigned keyless_tries;       /* loads in which too much waited */
    struct cell *wide;            /* two rows of shape; NULL when it is `table` */
    struct changes *changes;      /* ALTERs since the newest version; NULL: none */
    struct json *renames;         /* of the version event being written */
    struct json *move;            /* likewise: capture/moves.h; NULL: none */
    struct captured *following;   /* in the order they were met */
};

MUST bool
tables_new(struct session *s, struct err *e);
void
tables_free(struct session *s);
struct captured *
tables_first(const struct session *s);
struct captured *
tables_find(const struct session *s, struct bytes db, struct bytes name);
struct captured *
tables_by_topic(const struct session *s, const char *topic);
/* The table, made when it is selected and new; NULL: not selected. */
MUST bool
tables_take(struct session *s, struct bytes db, struct bytes name, struct captured **out,
            struct err *e);
/* Between the tables of a long list that takes a while: false when a stop was asked or the
 * claim is lost. */
MUST bool
tables_go_on(struct session *s, struct err *e);
/* From the version events of the view: what an earlier session knew. */
MUST bool
tables_resume(struct session *s, struct err *e);
/* Those that were stopped when the operator resumed the task, once no transaction is partly
 * published. */
void
tables_take_up(struct session *s);
/* Lists the selected tables of the source. Those that are not known yet are asked for one by
 * one, by tables_discover_step between what the stream brings, or when the stream mentions
 * them: thousands of them hold up neither the stream nor a stop. */
MUST bool
tables_discover(struct session *s, struct err *e);
MUST bool
tables_discover_step(struct session *s, struct err *e);
bool
tables_discovering(const struct session *s);
/* A new definition: topic, schemas, encoder, version event. Takes the reference. renames: what
 * became of columns of the version before, borrowed; NULL: not known. A table error stops the
 * table only. */
MUST bool
tables_version(struct session *s, struct captured *t, struct table *version,
               struct json *renames, struct err *e);
/* Writes the version event again with the present flags. */
MUST bool
tables_note(struct session *s, struct captured *t, struct err *e);
/* The same, counted as a row of the open transaction. */
MUST bool
tables_note_of_txn(struct session *s, struct captured *t, struct err *e);
/* This table cannot go on: durable, logged, reported; the others go on. MR_TXN_RECOUNT: before
 * the published rows of a transaction came again (sequencer_settled). */
MUST bool
tables_stop(struct session *s, struct captured *t, const struct err *why, struct err *e);
/* Without a key: its rows, and those of its load, go another way (capture/keyless.h). */
bool
tables_keyless(const struct captured *t);
/* A source's row as the shape has it, valid until the next call with the same number (0, 1).
 * scratch: reset. */
const struct cell *
tables_widen(const struct captured *t, unsigned number, const struct cell *row,
             struct buf *scratch);
/* Status record of the table. */
void
tables_report(struct session *s, const struct captured *t);

#endif
