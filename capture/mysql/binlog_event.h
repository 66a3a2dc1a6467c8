/* One binary log event: header, checksum, body.
 *
 * Wire format (MySQL "Binary Log Event", version 4): timestamp 4, type 1, server id 4, length
 * 4, next position 4, flags 2, body; the last 4 bytes are a CRC32 when the format description
 * event of the file says so. All little-endian. Events inside a TRANSACTION_PAYLOAD have no
 * checksum and next position 0. MariaDB 11.8 writes next position 0 inside transactions. Pure;
 * the result borrows.
 */
#ifndef MILLRACE_CAPTURE_MYSQL_BINLOG_EVENT_H
#define MILLRACE_CAPTURE_MYSQL_BINLOG_EVENT_H

#include "base/bytes.h"

#define BINLOG_HEADER     19
#define BINLOG_CHECKSUM   4
#define BINLOG_FIRST_POS  4
#define BINLOG_EVENT_MAX  ((size_t)1 << 30)
#define BINLOG_ARTIFICIAL 0x20 /* made by the server for this reader: not in the file */
#define BINLOG_IGNORABLE  0x80

enum binlog_type {
    BINLOG_QUERY = 2,
    BINLOG_STOP = 3,
    BINLOG_ROTATE = 4,
    BINLOG_INTVAR = 5,
    BINLOG_LOAD_OLD = 6,
    BINLOG_CREATE_FILE = 8,
    BINLOG_APPEND_BLOCK = 9,
    BINLOG_EXEC_LOAD = 10,
    BINLOG_DELETE_FILE = 11,
    BINLOG_NEW_LOAD = 12,
    BINLOG_RAND = 13,
    BINLOG_USER_VAR = 14,
    BINLOG_FORMAT = 15,
    BINLOG_XID = 16,
    BINLOG_BEGIN_LOAD_QUERY = 17,
    BINLOG_EXECUTE_LOAD_QUERY = 18,
    BINLOG_TABLE_MAP = 19,
    BINLOG_WRITE_ROWS_V1 = 23,
    BINLOG_UPDATE_ROWS_V1 = 24,
    BINLOG_DELETE_ROWS_V1 = 25,
    BINLOG_INCIDENT = 26,
    BINLOG_HEARTBEAT = 27,
    BINLOG_IGNORABLE_EVENT = 28,
    BINLOG_ROWS_QUERY = 29,
    BINLOG_WRITE_ROWS = 30,
    BINLOG_UPDATE_ROWS = 31,
    BINLOG_DELETE_ROWS = 32,
    BINLOG_GTID = 33,
    BINLOG_ANONYMOUS_GTID = 34,
    BINLOG_PREVIOUS_GTIDS = 35,
    BINLOG_TRANSACTION_CONTEXT = 36,
    BINLOG_VIEW_CHANGE = 37,
    BINLOG_XA_PREPARE = 38,
    BINLOG_PARTIAL_UPDATE_ROWS = 39,
    BINLOG_TRANSACTION_PAYLOAD = 40,
    BINLOG_HEARTBEAT_V2 = 41,
    BINLOG_GTID_TAGGED = 42,
    BINLOG_MARIA_ANNOTATE = 160,
    BINLOG_MARIA_CHECKPOINT = 161,
    BINLOG_MARIA_GTID = 162,
    BINLOG_MARIA_GTID_LIST = 163,
    BINLOG_MARIA_START_ENCRYPTION = 164,
    BINLOG_MARIA_QUERY_COMPRESSED = 165,
    BINLOG_MARIA_WRITE_ROWS_COMPRESSED = 166,
    BINLOG_MARIA_UPDATE_ROWS_COMPRESSED = 167,
    BINLOG_MARIA_DELETE_ROWS_COMPRESSED = 168,
};

struct binlog_event {
    uint32_t timestamp; /* seconds */
    uint8_t type;
    uint32_t server_id;
    uint32_t length; /* of the whole event, as the header says */
    uint32_t next_pos;
    uint16_t flags;
    struct bytes body; /* without header and checksum */
};

/* How the events of the current file end. */
struct binlog_format {
    bool known; /* a format description was seen; before it, an event ends with a CRC32 if it
                   matches */
    bool checksum;
    bool verify; /* compare each CRC32 */
};

/* event: a whole event. A format description event changes *f itself. inner: inside a payload.
 */
MUST bool
binlog_event_parse(struct bytes event, bool inner, struct binlog_format *f,
                   struct binlog_event *out, struct err *e);

#endif
