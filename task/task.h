/* Task record: what one task copies, from where, to where, and what its operator wants of it.
 *
 * Format (millrace.tasks, key = id, version 1): JSON {v, id, name, generation, inc, desired,
 * owner, created_us, updated_us, sources:[{n, name, uri, secret}], sink:{type, uri, secret},
 * select:{level, databases:[[src, dst]], tables:[[db, table, to db, to table]], exclude,
 * merge}, load:{full, start_ts, end_ts, position}, on_error, on_gap, delivery, consistency,
 * format, prefix, partitions, params:{}}. inc = 16 hex digits; secret = {alg, nonce, ct} in
 * base64, or null: the URI then has no password, or a reference. load.position: where a task
 * without a full load begins (schema/position.h), or null.
 *
 * Every edit is a whole new record with generation + 1 (task/store.h). Owner: reference
 * counted; immutable once it is shared. Thread: a shared one, any. Limits: below.
 */
#ifndef MILLRACE_TASK_TASK_H
#define MILLRACE_TASK_TASK_H

#include "base/arena.h"
#include "base/json.h"
#include "base/regex.h"
#include "schema/codec.h"

#define TASK_VERSION        1
#define TASK_ID_LEN         36
#define TASK_NAME_MAX       64
#define TASK_SOURCES_MAX    64
#define TASK_RECORD_MAX     ((size_t)4 << 20)
#define TASK_PARTITIONS_MAX 1000

enum task_desired { TASK_RUNNING, TASK_STOPPED, TASK_UNDEPLOYED, TASK_DROPPED };
enum task_level { TASK_ACCOUNT, TASK_DATABASE, TASK_TABLE };
enum task_delivery { TASK_EXACTLY_ONCE, TASK_FAST };
enum task_consistency { TASK_BY_TABLE, TASK_BY_TASK };
enum task_on_error { TASK_ERROR_STOP, TASK_ERROR_IGNORE };
enum task_on_gap { TASK_GAP_STOP, TASK_GAP_RESYNC };
enum task_sink { TASK_SINK_MYSQL, TASK_SINK_MATRIXONE, TASK_SINK_ICEBERG, TASK_SINK_KAFKA };

/* A sealed literal password; alg NULL: none. */
struct task_seal {
    const char *alg;
    struct bytes nonce;
    struct bytes ct;
};

/* A connection as it is stored: open it with task/secret.h. */
struct task_endpoint {
    const char *uri; /* password left out, or a reference ${env:..} ${file:..} */
    struct task_seal secret;
};

struct task_source {
    unsigned n; /* 0, 1, ...: never used twice in a task */
    const char *name;
    struct task_endpoint at;
};

/* One selected object. Level database: table and to_table are NULL. */
struct task_object {
    const char *db;
    const char *table;
    const char *to_db;
    const char *to_table;
};

struct task {
    struct arena arena;
    uint32_t refs; /* atomic */

    char id[TASK_ID_LEN + 1]; /* UUID version 7 */
    const char *name;
    uint64_t generation; /* 1 at create, + 1 with every edit */
    uint64_t inc;        /* incarnation: new with restart */
    enum task_desired desired;
    const char *owner; /* user (and account) of the source URI */
    uint64_t created_us;
    uint64_t updated_us;

    struct task_source *sources;
    size_t sources_len;
    enum task_sink sink_type;
    struct task_endpoint sink; /* uri NULL: none (kafka) */

    enum task_level level;
    struct task_object *objects; /* by (db, table) */
    size_t objects_len;
    const char *exclude; /* NULL: none */
    struct regex *exclude_regex;

    bool full;
    struct json *position; /* NULL: none */

    enum task_on_error on_error;
    enum task_on_gap on_gap;
    enum task_delivery delivery;
    enum task_consistency consistency;
    enum codec_format format;
    const char *prefix; /* of the topics */
    unsigned partitions;
    struct json *params; /* object: config option -> text; never NULL */
};

/* A new record with refs = 1, a fresh id and incarnation, generation 1 and the defaults. */
struct task *
task_new(void);
struct task *
task_ref(struct task *t);
void
task_unref(struct task *t); /* NULL allowed */
/* An unshared copy to edit; task_check before it is stored. */
struct task *
task_copy(const struct task *t);

void
task_to_json(const struct task *t, struct buf *out);
/* MR_TASK_RECORD: not a record, or of a version this program does not know. */
MUST bool
task_from_json(struct bytes text, struct task **out, struct err *e);

/* "a, b:c" (level database) or "a.t, b.t:c.u" (level table) into t->objects. Names with comma,
 * dot, colon or backquote stand in backquotes, a backquote in them doubled. flag: its name for
 * errors. MR_USAGE. */
MUST bool
task_parse_objects(struct task *t, const char *flag, const char *text, struct err *e);
/* Compiles the exclude pattern. */
MUST bool
task_set_exclude(struct task *t, const char *pattern, struct err *e);
/* Name, prefix, selection, partitions, params: what can be known without a server. */
MUST bool
task_check(const struct task *t, struct err *e);
MUST bool
task_check_name(const char *name, struct err *e);

/* Where a selected table goes. Borrowed from the task or from the arguments. */
struct task_target {
    const char *db;
    const char *table;
};

/* false: not selected. Level account leaves the system schemas out; exclude is searched,
 * unanchored, in "db.table" at every level. */
bool
task_selects(const struct task *t, const char *db, const char *table, struct task_target *out);
/* Some table of the database may be selected. */
bool
task_selects_database(const struct task *t, const char *db);
bool
task_is_system_schema(const char *db);

const char *
task_desired_text(enum task_desired d);
const char *
task_sink_text(enum task_sink s);
/* Any case; "lakehouse" is iceberg. */
MUST bool
task_parse_sink(const char *text, enum task_sink *out, struct err *e);
const char *
task_level_text(enum task_level l);
MUST bool
task_parse_level(const char *text, enum task_level *out, struct err *e);

#define TASK_TOPIC_MAX 250
/* "millrace.progress.<id>" */
void
task_progress_topic(const struct task *t, char out[TASK_TOPIC_MAX]);
/* "millrace.<id>.<n>" */
void
task_transactional_id(const struct task *t, unsigned source, char out[TASK_TOPIC_MAX]);

#endif
