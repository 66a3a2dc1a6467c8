/* Error codes 1xxx, the source: see base/codes.h. */
MR_CODE(1001, SOURCE_UNREACHABLE, ERR_RETRY, "the source does not answer",
        "nothing lost; the position is kept and the connection is tried again",
        "check host, port, network and that the server runs")
MR_CODE(1002, SOURCE_LOGIN, ERR_TASK, "the source refused the login",
        "nothing lost; the task is stopped and its position kept",
        "correct the source URI, or unlock the account, then resume the task")
MR_CODE(1003, SOURCE_GRANT, ERR_TASK, "the source account lacks a right",
        "nothing lost; the task is stopped and its position kept",
        "GRANT REPLICATION SLAVE, REPLICATION CLIENT ON *.* and SELECT on the tables, then "
        "resume the task")
MR_CODE(1004, SOURCE_BINLOG_OFF, ERR_TASK, "the source writes no binary log",
        "nothing can be captured",
        "set log_bin=ON (needs a restart of the server), then resume the task")
MR_CODE(1005, SOURCE_NOT_ROW, ERR_TASK, "binlog_format is not ROW", "nothing can be captured",
        "SET GLOBAL binlog_format='ROW' and renew client sessions, then resume the task")
MR_CODE(1006, SOURCE_ROW_IMAGE, ERR_TASK, "binlog_row_image is not FULL",
        "rows would be incomplete; the task is stopped and its position kept",
        "SET GLOBAL binlog_row_image='FULL' and renew client sessions, then restart the task")
MR_CODE(1007, SOURCE_PURGED, ERR_TASK, "the source has purged log that was not read yet",
        "changes between the kept position and the oldest log are gone from the source",
        "restart the task: it loads every table again")
MR_CODE(1008, SOURCE_IDENTITY, ERR_TASK, "another server answers at the source's address",
        "nothing read from it; the position is kept",
        "correct the address; if the new server is there for good, restart the task")
MR_CODE(1009, SOURCE_EVENT, ERR_TASK, "the binary log holds an event that is not understood",
        "nothing skipped; the position before it is kept",
        "report the event type and server version")
MR_CODE(1010, SOURCE_CORRUPT, ERR_TASK, "an event of the binary log is damaged",
        "nothing skipped; the position before it is kept",
        "check the server's disk; then restart the task")
MR_CODE(1011, SOURCE_STATEMENT, ERR_TASK, "a change was logged as a statement, not as rows",
        "the change cannot be followed; the position before it is kept",
        "set binlog_format=ROW for every session, then restart the task")
MR_CODE(1012, SOURCE_NO_KEY, ERR_TABLE,
        "the table has no primary key and no unique key of NOT NULL columns",
        "this table is not captured; the others go on",
        "add a primary key, exclude the table, or ask for keyless=append or keyless=multiset")
MR_CODE(1013, SOURCE_QUERY, ERR_RETRY, "a query at the source failed",
        "nothing lost; it is tried again", "see the server's message")
MR_CODE(1014, SOURCE_TABLE_SCHEMA, ERR_TABLE,
        "the table's definition does not match its logged rows",
        "this table stops, its position is kept; the others go on",
        "resume the task: it loads the table again")
MR_CODE(1015, SOURCE_TYPE, ERR_TABLE, "a column type is not supported",
        "this table is not captured; the others go on",
        "exclude the table, or change the column's type")
/* 1016 was: binlog_row_metadata is not FULL. */
MR_CODE(1017, SOURCE_DUPLICATE_ID, ERR_RETRY, "another reader uses our server id at the source",
        "nothing lost; another id is tried", "find the other reader if this repeats")
MR_CODE(1018, SOURCE_LOST, ERR_RETRY, "the connection to the source broke",
        "nothing lost; it is opened again at the kept position",
        "none needed if it passes; else check the network")
MR_CODE(1019, SOURCE_TLS, ERR_TASK, "TLS to the source failed", "nothing read",
        "check certificates and the tls options of the URI")
MR_CODE(1020, SOURCE_UNPROVED, ERR_TABLE,
        "the log has no column names, and the table was altered again before it was read",
        "its rows up to the next proof cannot be read; the others go on",
        "none with full load: it is loaded again by itself; else resume the task; "
        "binlog_row_metadata='FULL' at the source avoids it")
MR_CODE(1024, SOURCE_KEYLESS_NO_LOAD, ERR_TABLE,
        "keyless: multiset needs the full load, and the task has none",
        "this table is not captured; the others go on",
        "create the task without --no-full, or with keyless=append for this table")
MR_CODE(
    1025, SOURCE_KEYLESS_LOCK, ERR_TABLE,
    "a table without a key is loaded under a short read lock, which the account may not take",
    "this table is not captured; the others go on",
    "GRANT LOCK TABLES on its database to the source account, then resume the task")
MR_CODE(1026, SOURCE_KEYLESS_BUSY, ERR_TABLE,
        "too many rows of a table without a key were deleted while it was loaded",
        "this table stops, its position is kept; the others go on",
        "resume the task at a quieter time: it loads the table again")
MR_CODE(1027, SOURCE_CASCADE, ERR_TABLE,
        "a foreign key changes rows of this table and the server does not log it",
        "rows that it deletes or sets at the source stay as they are at the target",
        "let the application change the child rows itself, or re-sync the table after such "
        "changes; MySQL logs them from 9.6 on")
MR_CODE(1030, SOURCE_XA, ERR_TABLE,
        "an XA transaction was committed whose rows were logged before the task began",
        "its rows are unknown; the table stops, its position is kept", "restart the task")
MR_CODE(1031, TARGET_OCCUPIED, ERR_TABLE,
        "a table was renamed at the source, and rows that are not the task's stand under the "
        "new name at the target",
        "the table stops, its position is kept; the others go on",
        "drop or rename the target's table of the new name, then resume the task")
MR_CODE(1032, RENAME_WAITS, ERR_TABLE,
        "a table was renamed at the source, and the table it was has stopped at the target",
        "the table stops, its position is kept; the others go on",
        "mend what stopped the other table, then resume the task")
MR_CODE(1033, SOURCE_REWOUND, ERR_TASK,
        "the source lost the end of its log, with changes that were captured from it",
        "the target may hold changes that the source does not; nothing more is read, the "
        "position is kept",
        "restart the task: it loads every table again; sync_binlog=1 at the source avoids it")
