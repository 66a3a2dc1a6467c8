/* The events that begin a transaction: GTID, ANONYMOUS_GTID, GTID_TAGGED (MySQL), GTID
 * (MariaDB).
 *
 * Formats: [mysql-server control_events.h, Gtid_event; libs/mysql/serialization for the tagged
 * form: varints whose first byte's trailing ones count the further bytes], [mariadb
 * log_event.h, Gtid_log_event]. Pure.
 */
#ifndef MILLRACE_CAPTURE_MYSQL_BINLOG_GTID_H
#define MILLRACE_CAPTURE_MYSQL_BINLOG_GTID_H

#include "capture/mysql/binlog_event.h"
#include "capture/mysql/binlog_xid.h"
#include "schema/position.h"

struct binlog_gtid {
    char text[TXN_ID_MAX]; /* "" for ANONYMOUS_GTID */
    uint64_t commit_us;
    /* MariaDB only */
    bool standalone;            /* one statement without BEGIN and COMMIT */
    struct binlog_xid prepares; /* rows of an XA transaction follow, up to its XA_PREPARE */
    bool repeats_ddl; /* the statement of a two-phase ALTER that only starts, or was rolled back
                       */
};

MUST bool
binlog_gtid_parse(const struct binlog_event *ev, struct binlog_gtid *out, struct err *e);

#endif
