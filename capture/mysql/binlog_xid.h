/* XA transaction ids: in statements, in XA_PREPARE events, in MariaDB's GTID events.
 *
 * Both servers log the statements as they print them: XA START X'<hex>',X'<hex>',<format id>.
 * XA_PREPARE [mysql-server control_events.h, XA_prepare_event; the same in MariaDB]: one phase
 * 1, format id 4, length of the global part 4, of the branch 4, both. GTID [mariadb
 * log_event.h]: format id 4, lengths 1 and 1, both. Pure.
 */
#ifndef MILLRACE_CAPTURE_MYSQL_BINLOG_XID_H
#define MILLRACE_CAPTURE_MYSQL_BINLOG_XID_H

#include "base/bytes.h"

#define XID_PART_MAX 64
#define XID_MAX      (4 + 1 + 1 + 2 * XID_PART_MAX)

/* As in MariaDB's GTID event; equal ids have equal bytes. */
struct binlog_xid {
    uint8_t p[XID_MAX];
    size_t n; /* 0: none */
};

enum xa_verb { XA_START, XA_END, XA_PREPARE, XA_COMMIT, XA_ROLLBACK };

static inline struct bytes
binlog_xid_bytes(const struct binlog_xid *x)
{
    return bytes_of(x->p, x->n);
}

/* False, and a failed reader, when it is cut short or its lengths are impossible. */
bool
binlog_xid_read(struct reader *r, struct binlog_xid *out);
/* An XA statement of the log; false: it is none that the servers write. */
bool
binlog_xa_statement(struct bytes sql, enum xa_verb *verb, struct binlog_xid *out);
/* Body of an XA_PREPARE event. */
MUST bool
binlog_xa_prepare(struct bytes body, bool *one_phase, struct binlog_xid *out, struct err *e);

#endif
