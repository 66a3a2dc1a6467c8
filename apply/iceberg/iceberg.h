/* Private to apply/iceberg: the state behind struct sink and struct sink_lane. See owner.c for
 * who may write, place.c for where a checkpoint is, fill.c for the commit.
 *
 * Properties of a table:
 *   millrace.<task id>   the checkpoint (task/checkpoint.h), also in each snapshot's summary
 *   millrace.owner       owner/instance/commits of it, decimal; every claim and every commit
 *                        changes it, so it is what a commit demands of its base
 *   millrace.task        id of the task that the table belongs to
 *   millrace.snapshot    the last snapshot with rows of ours
 *   millrace.evolved     commits of the checkpoint whose change of the schema was made last
 *   millrace.hidden      name of the table that a re-sync fills
 *   millrace.created     Unix ms: nothing of ours in its place is older
 * The task's control table (setting checkpoint.schema; task_<32 hex digits>) has no rows; its
 * properties are millrace.owner and, per target, millrace.target.<target> = [namespace, table].
 */
#ifndef MILLRACE_APPLY_ICEBERG_ICEBERG_H
#define MILLRACE_APPLY_ICEBERG_ICEBERG_H

#include <stdatomic.h>

#include "apply/sink.h"
#include "lake/commit.h"
#include "lake/deletes.h"
#include "lake/parquet_writer.h"
#include "lake/positions.h"
#include "lake/rows_file.h"
#include "lake/value.h"
#include "task/checkpoint.h"

#define ICEBERG_SNAPSHOT "millrace.snapshot"
#define ICEBERG_EVOLVED  "millrace.evolved"
#define ICEBERG_HIDDEN   "millrace.hidden"
#define ICEBERG_TARGET   "millrace.target."
#define ICEBERG_CREATED  "millrace.created"

/* The source's rows | and _op, a deleted row stays, with D | changes: _op, _seq, _commit_ts */
enum iceberg_mode { ICEBERG_MIRROR, ICEBERG_SOFT, ICEBERG_HISTORY };

struct sink {
    struct sink_conf conf;
    struct catalog *catalog; /* the sink's thread's */
    const char *space;       /* namespace of all tables; NULL: the target's database */
    const char *checkpoint_space;
    char control[40]; /* name of the control table */
    char key[64];     /* "millrace.<task id>" */
    uint64_t owner;   /* 0: not claimed */
    int version;      /* of new tables */
    uint64_t file_bytes;
    enum parquet_codec codec;
    const char *codec_name;   /* in the property write.parquet.compression-codec */
    struct lake_map_conf map; /* of new tables and columns */
    struct arena mem;
};

/* Of a source's table; one of changes without a key is a history. */
enum iceberg_mode
lakehouse_mode(const struct sink *s, const struct table *version);
struct place;
struct sink_lane {
    struct sink *sink;
    unsigned index;
    struct catalog *catalog;
    struct place **places; /* of the targets adopted */
    size_t len;
    struct place *open;        /* between begin and commit or rollback */
    struct fill *fill;         /* its rows; NULL: none yet */
    struct maintain *maintain; /* NULL: none */
    uint64_t files;            /* names given */
    atomic_bool interrupted;
};

/* ---- owner.c ---- */
struct stamp { /* the value of millrace.owner */
    uint64_t owner;
    uint64_t instance;
    uint64_t commits;
};
#define STAMP_MAX 72
char *
stamp_text(const struct stamp *s, char out[STAMP_MAX]);
MUST bool
stamp_read(const struct lake_table *t, struct stamp *out, bool *there, struct err *e);
MUST bool
owner_claim(struct sink *s, struct arena *a, struct sink_point **points, size_t *n,
            struct err *e);
MUST bool
owner_forget(struct sink *s, struct err *e);
/* Writes the name of a target into the control table, if that is still ours. */
MUST bool
owner_register(struct sink *s, struct catalog *c, const struct sink_name *name, struct err *e);
/* Makes `t` ours, unless a later owner has it (MR_TARGET_TAKEN). */
MUST bool
owner_take(struct sink *s, struct lake_table *t, struct err *e);

struct keys_index { /* of a table (lake/key_index.h) */
    struct key_index *index;
    char *identity;
};
/* ---- place.c ---- */
/* A target: its table, the hidden one of a re-sync, and the checkpoint as read last. */
struct place {
    struct sink *sink;
    struct catalog *catalog;
    char *target;
    char *db;
    char *space;
    char *table;
    struct lake_table *main;    /* NULL: not there */
    struct lake_table *hidden;  /* NULL: not there */
    char *hidden_name;          /* as apply knows it; NULL: no re-sync */
    bool at_hidden;             /* the checkpoint is the hidden table's */
    bool known;                 /* state is set */
    bool stored;                /* it is in a table, not only in memory */
    bool unsure;                /* a commit's outcome is not known yet */
    struct keys_index index[2]; /* of main and hidden */
    struct stamp stamp;
    char *state;
};

struct place *
place_new(struct sink *s, struct catalog *c, const struct sink_name *n);
void
place_free(struct place *p);
MUST bool
place_read(struct place *p, struct err *e); /* what the catalog has now */
MUST bool
place_claim(struct place *p, struct err *e); /* makes its tables ours, then reads */
struct sink_point
place_point(const struct place *p, struct arena *a);
void
place_stored(struct place *p, const struct stamp *stamp, const char *state);
struct place * /* of a table of apply's name, main or hidden (*hidden); NULL: none */
place_find(struct sink_lane *l, const char *db, const char *table, bool *hidden);
char * /* of the hidden table at the catalog */
place_hidden_name(const struct place *p);
/* Of this name, if it is there: no row in it counts, or they are the target's by now. */
MUST bool
place_drop_hidden(struct place *p, const char *name, struct err *e);
/* Opens or reloads; *out NULL: no such table. */
MUST bool
place_load(struct catalog *c, const struct catalog_name *n, struct lake_table **out,
           struct err *e);
struct catalog_name
place_name(const struct place *p);
/* The name for a hidden table that the state's intent is to make, with the owner's number in it
 * (alter.c); the caller's. NULL: no such intent (state NULL: none). */
char *
place_new_hidden(const struct sink *s, const char *state);

/* ---- fields.c ---- */
/* How the cells of a table version become those of a table's current schema. */
struct fields {
    const struct table *version;
    struct lake_schema schema;
    struct parquet_column *columns; /* schema.field_count */
    int *from;                      /* column of the version; -1: null; or one of FIELDS_ */
    bool same;                      /* the fields are the version's columns, in its order */
    uint32_t *key;                  /* fields, in key order */
    uint32_t key_len;
    struct arena mem;
};
enum { FIELDS_OP = -2, FIELDS_SEQ = -3, FIELDS_COMMIT = -4 };

void /* of a new table */
fields_schema(const struct sink *s, const struct table *version, struct arena *a,
              struct lake_schema *out);
MUST bool
fields_new(const struct sink *s, const struct metadata *m, const struct table *version,
           struct fields **out, struct err *e);
void
fields_free(struct fields *f);
/* Does the schema take the rows of the version? *why: the first difference. */
bool
fields_fit(const struct sink *s, const struct lake_schema *schema, const struct table *version,
           char why[256]);
struct fields_next {
    struct arena *mem; /* the caller's */
    struct lake_schema schema;
    int32_t last_column_id; /* of the table; grows */
};
/* The schema behind the one that is, for the rows of step->to. Where there are no rows (CREATE,
 * step->empty) a column whose type cannot become the new one is made anew. */
MUST bool
fields_evolve(const struct sink *s, const struct lake_schema *now, const struct sink_step *step,
              struct fields_next *next, struct err *e);

/* ---- keys.c ---- */
/* Opens an index, or another one when the table or its key is another. data: scratch folder. */
MUST bool
keys_index_open(struct keys_index *x, const char *data, struct lake_table *t,
                const struct fields *f, struct err *e);
void
keys_index_close(struct keys_index *x);
/* Index files of data files that the table no longer has go. */
MUST bool
keys_index_tidy(struct keys_index *x, struct lake_table *t, struct err *e);

/* Keys of a batch, each with the place of its row in the batch's own files. */
struct keys {
    struct key_batch *batch;
    struct key_index *index;
    uint64_t *own; /* by number of the key: 0, or file + 1 << 48 | position */
    size_t cap;
    struct cell *low; /* key_len; smallest and largest of each key column */
    struct cell *high;
    const struct fields *fields;
    uint64_t *wanted; /* by number: rows that go, find_rows counts down; NULL: all */
    const atomic_bool *interrupted; /* ends find_rows; NULL: nobody does */
    struct arena mem;
};
void
keys_init(struct keys *k, const struct fields *f, struct key_index *index);
void
keys_free(struct keys *k);
size_t
keys_count(const struct keys *k);
/* Native cells in key order. Its place, valid until the next call. */
uint64_t *
keys_put(struct keys *k, const struct cell *native);

/* Rows of live data files with these keys. */
struct found {
    const struct lake_file *file;
    struct positions rows; /* all that are gone in it, with those of before */
    uint64_t fresh;        /* of them, not gone before */
};
MUST bool
find_rows(struct lake_table *t, const struct lake_files *files, const struct keys *k,
          struct found **out, size_t *n, struct err *e);
void
found_free(struct found *f, size_t n);

/* ---- fill.c ---- */
MUST bool
fill_write(struct sink_lane *l, const struct sink_part *p, struct err *e);
MUST bool
fill_commit(struct sink_lane *l, const struct sink_point *points, size_t n, struct err *e);
void
fill_drop(struct sink_lane *l);

/* ---- alter.c ---- */
MUST bool
alter_look(struct sink_lane *l, const char *db, const char *table, const struct table *version,
           struct sink_look *out, struct err *e);
MUST bool
alter_do(struct sink_lane *l, const struct sink_step *step, struct err *e);
MUST bool
alter_text(struct sink_lane *l, const struct sink_step *step, struct buf *out, struct err *e);

#endif
