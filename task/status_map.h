/* Status map: what millrace.status says now, for the command. Owner and thread: one. */
#ifndef MILLRACE_TASK_STATUS_MAP_H
#define MILLRACE_TASK_STATUS_MAP_H

#include "base/config.h"
#include "base/json.h"
#include "base/map.h"

/* key -> struct json, the last record of each. Zero-initialised = empty. */
struct status_map {
    struct map records;
};

/* value NULL: a tombstone. A reference is taken. */
void
status_map_put(struct status_map *m, struct bytes key, struct json *value);
/* Borrowed, NULL: none. */
const struct json *
status_map_get(const struct status_map *m, const char *key);
void
status_map_free(struct status_map *m);

struct status_reader;

/* Reads all there is. */
MUST bool
status_reader_open(const struct config *c, struct status_reader **out, struct err *e);
void
status_reader_close(struct status_reader *r); /* NULL allowed */
/* Takes what came, waits at most timeout_ms. */
MUST bool
status_reader_poll(struct status_reader *r, int timeout_ms, struct err *e);
const struct status_map *
status_reader_map(const struct status_reader *r);

#endif
