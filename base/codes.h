/* The list of error codes: MR_CODE(number, NAME, class, cause, effect, remedy). No include
 * guard: an X-macro. 1xxx source, 2xxx Kafka, 3xxx target, 4xxx task and command, 5xxx schema,
 * 9xxx internal. A number never changes its meaning and is never used again.
 */
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
        "add a primary key, or exclude the table")
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
MR_CODE(1030, SOURCE_XA, ERR_TABLE,
        "an XA transaction was committed whose rows were logged before the task began",
        "its rows are unknown; the table stops, its position is kept", "restart the task")
MR_CODE(2001, KAFKA_UNREACHABLE, ERR_RETRY, "no Kafka broker answers",
        "nothing lost; it is tried again", "check --kafka, the brokers and the network")
MR_CODE(2002, KAFKA_TOPIC_GONE, ERR_TASK, "a topic of the task was deleted",
        "rows that were only in it are gone; the task is stopped",
        "restart the task: it loads every table again")
MR_CODE(2003, KAFKA_TOPIC_CHANGED, ERR_TASK, "a topic of the task was re-created or altered",
        "nothing applied from it; the task is stopped",
        "restart the task: it loads every table again")
MR_CODE(2004, KAFKA_LOST, ERR_TASK, "Kafka lost committed records",
        "nothing applied past the gap; the task is stopped",
        "restart the task: it loads every table again")
MR_CODE(2005, KAFKA_PURGED, ERR_TASK, "records not yet applied are no longer retained",
        "nothing applied past the gap; the task is stopped",
        "raise the topics' retention, then restart the task: it loads every table again")
MR_CODE(2006, KAFKA_ROW_TOO_LARGE, ERR_TABLE, "a row is above the topic's message limit",
        "this table stops before the row, its position is kept; the others go on",
        "raise max.message.bytes of the topic, kafka.message.max.bytes; resume the task")
MR_CODE(2007, KAFKA_FENCED, ERR_UNKNOWN, "the producer was fenced",
        "nothing lost; the claims are read before anything else is written", "none needed")
MR_CODE(2008, KAFKA_UNKNOWN_OUTCOME, ERR_UNKNOWN,
        "the outcome of a Kafka transaction is unknown",
        "nothing lost; the durable state is read before anything else is written",
        "none needed")
MR_CODE(2009, KAFKA_AUTH, ERR_TASK, "Kafka refused access", "nothing lost; stopped",
        "correct the credentials or ACLs")
MR_CODE(2010, KAFKA_ERROR, ERR_RETRY, "a Kafka call failed", "nothing lost; it is tried again",
        "see the message")
MR_CODE(2011, KAFKA_BAD_RECORD, ERR_TASK, "a record of the task's topics cannot be read",
        "nothing skipped; stopped before it",
        "somebody else writes to the topic, or a newer version did: see the offset")
MR_CODE(2012, KAFKA_VERSION, ERR_TASK,
        "a record has a format version this program does not know",
        "nothing skipped; stopped before it", "upgrade this program")
MR_CODE(2013, REGISTRY_UNREACHABLE, ERR_RETRY, "the schema registry does not answer",
        "tables with known schemas go on; new schemas wait", "check schema.registry.url")
MR_CODE(2014, REGISTRY_REFUSED, ERR_TABLE, "the schema registry refused a schema",
        "this table stops, its position is kept; the others go on",
        "set the subject's compatibility to NONE, then resume the task")
MR_CODE(2015, CLAIM_LOST, ERR_UNKNOWN, "a newer worker claimed this unit",
        "nothing lost; this worker stands by", "none needed")
MR_CODE(2016, WORKER_REPLACED, ERR_TASK, "a newer instance of this worker's name is running",
        "nothing lost; this instance exits",
        "give workers that run together different --name values")
MR_CODE(3001, TARGET_UNREACHABLE, ERR_RETRY, "the target does not answer",
        "nothing lost; it is tried again", "check host, port, network and that the server runs")
MR_CODE(3002, TARGET_LOGIN, ERR_TASK, "the target refused the login",
        "nothing lost; the task is stopped",
        "correct the sink URI or the account, then resume the task")
MR_CODE(3003, TARGET_GRANT, ERR_TASK, "the target account lacks a right",
        "nothing lost; the task is stopped",
        "GRANT ALL on the target schemas and on the checkpoint schema")
MR_CODE(3004, TARGET_SHAPE, ERR_TABLE, "the target table differs from what the source needs",
        "this table stops, its position is kept; the others go on",
        "alter or drop the target table, then resume or restart the task")
MR_CODE(3005, TARGET_ROW, ERR_TABLE, "the target refused a row",
        "rolled back; this table stops, its position is kept; the others go on",
        "see the server's message")
MR_CODE(3006, TARGET_BUSY, ERR_RETRY,
        "the target could not do it now (lock, deadlock, timeout)",
        "rolled back; the whole batch is tried again", "none needed if it passes")
MR_CODE(3007, TARGET_UNKNOWN_OUTCOME, ERR_UNKNOWN, "the outcome of a target commit is unknown",
        "the stored checkpoint is read before anything else", "none needed")
MR_CODE(3008, TARGET_CHECKPOINT, ERR_TASK, "the stored checkpoint cannot be read",
        "nothing applied", "a newer version wrote it, or it was altered: see the message")
MR_CODE(3009, TARGET_TAKEN, ERR_UNKNOWN, "another worker took the target over",
        "nothing lost; this worker stands by", "none needed")
MR_CODE(
    3010, TARGET_DUPLICATE, ERR_TABLE, "a unique key of the target collides",
    "rolled back; this table stops, its position is kept; the others go on",
    "somebody else writes to the target table: remove the colliding row, then resume the task")
MR_CODE(3011, TARGET_DDL, ERR_TABLE,
        "the target cannot follow a change of the table's definition",
        "this table stops, its position is kept; the others go on",
        "restart the task: it loads the table again")
MR_CODE(3012, TARGET_QUERY, ERR_RETRY, "a statement at the target failed",
        "rolled back; it is tried again", "see the server's message")
MR_CODE(3013, TARGET_TLS, ERR_TASK, "TLS to the target failed", "nothing written",
        "check certificates and the tls options of the URI")
MR_CODE(3020, STORAGE_UNREACHABLE, ERR_RETRY, "the lake's storage does not answer",
        "nothing lost; it is tried again", "check the endpoint, the network and the disk")
MR_CODE(3021, STORAGE_REFUSED, ERR_TASK, "the lake's storage refused access",
        "nothing written; the task is stopped",
        "correct credentials, rights or the machine's clock, then resume the task")
MR_CODE(3022, STORAGE_FULL, ERR_RETRY, "the lake's storage is full",
        "nothing lost; it is tried again", "make room")
MR_CODE(3023, STORAGE_MISSING, ERR_TABLE, "a file of a lake table does not exist",
        "this table stops, its position is kept; the others go on",
        "somebody removed it: restore it, or restart the task")
MR_CODE(3024, STORAGE_EXISTS, ERR_TABLE, "a file of that name exists in the lake",
        "the existing file was left alone", "two workers use one name: see the message")
MR_CODE(3025, STORAGE_ERROR, ERR_RETRY, "an operation of the lake's storage failed",
        "nothing lost; it is tried again", "see the message")
MR_CODE(3026, CATALOG_UNREACHABLE, ERR_RETRY, "the Iceberg catalog does not answer",
        "nothing lost; it is tried again", "check the sink URI, the network and the service")
MR_CODE(3027, CATALOG_REFUSED, ERR_TASK, "the Iceberg catalog refused access",
        "nothing written; the task is stopped",
        "correct the credentials of the sink URI, then resume the task")
MR_CODE(3028, CATALOG_MISSING, ERR_TABLE, "the Iceberg catalog has no such table or namespace",
        "nothing written", "see the name in the message")
MR_CODE(3029, CATALOG_EXISTS, ERR_TABLE, "the Iceberg catalog has a table of that name already",
        "the existing table was left alone", "none needed if another worker made it")
MR_CODE(3030, LAKE_VALUE, ERR_TABLE, "a value does not fit its column of the Iceberg table",
        "nothing of the batch is visible; this table stops, its position is kept; the others "
        "go on",
        "correct the row at the source, or drop the Iceberg table and restart the task")
MR_CODE(3031, LAKE_DATA_FILE, ERR_TABLE, "a data file of the Iceberg table is damaged",
        "nothing read from it; this table stops, its position is kept; the others go on",
        "restore the file, or roll the table back to a snapshot without it, then resume the "
        "task")
MR_CODE(3032, LAKE_TYPE, ERR_TABLE, "a column has no form in the Iceberg table",
        "this table stops, its position is kept; the others go on",
        "exclude the column or the table, or change the column's type")
MR_CODE(3040, CATALOG_CONFLICT, ERR_RETRY, "another commit to the Iceberg table came first",
        "nothing of this commit is visible; it is built again on the new state", "none needed")
MR_CODE(3041, CATALOG_UNKNOWN_OUTCOME, ERR_UNKNOWN,
        "the outcome of an Iceberg commit is unknown",
        "the table is read before anything else; no file is deleted", "none needed")
MR_CODE(3042, CATALOG_ERROR, ERR_RETRY, "an operation of the Iceberg catalog failed",
        "nothing lost; it is tried again", "see the message")
MR_CODE(3043, LAKE_METADATA, ERR_TABLE, "metadata of an Iceberg table cannot be read",
        "nothing written; this table stops, its position is kept",
        "another writer wrote what the specification does not allow, or a file is damaged")
MR_CODE(3044, LAKE_VERSION, ERR_TABLE, "an Iceberg table has a format version above 3",
        "nothing written; this table stops, its position is kept", "upgrade this program")
MR_CODE(3045, LAKE_UNSUPPORTED, ERR_TABLE, "an Iceberg table uses what is not written here",
        "nothing written; this table stops, its position is kept", "see the message")
MR_CODE(3046, LAKE_BASE_CHANGED, ERR_UNKNOWN,
        "the table does not have the checkpoint that the batch was built on",
        "nothing of the batch is visible; the stored checkpoint is read first", "none needed")
MR_CODE(3047, LAKE_FILES_GONE, ERR_UNKNOWN,
        "a data file whose rows were to be deleted is no longer in the table",
        "nothing of the batch is visible; the keys are looked up again", "none needed")
MR_CODE(3048, LAKE_SCHEMA, ERR_TABLE, "Iceberg cannot express a change of the table",
        "this table stops, its position is kept; the others go on",
        "restart the task: it loads the table again")
MR_CODE(3049, CATALOG_INVALID, ERR_TASK, "the Iceberg catalog is not one",
        "nothing written; the task is stopped",
        "correct the sink URI: another program's data lies there")
MR_CODE(3060, LAKE_FOREIGN, ERR_TABLE, "the Iceberg table belongs to another task",
        "nothing written; this table stops, its position is kept",
        "drop that task while millrace-apply runs, or choose another namespace")
MR_CODE(3061, LAKE_ROLLED_BACK, ERR_TABLE, "the Iceberg table was rolled back",
        "nothing written; this table stops, its position is kept",
        "make its newest snapshot current again, or restart the task: it loads the table again")
MR_CODE(4001, USAGE, ERR_USAGE, "the command was not understood", "nothing done", "see --help")
MR_CODE(4002, CONFIG, ERR_USAGE, "the configuration is not valid", "nothing done", "correct it")
MR_CODE(4003, BAD_URI, ERR_USAGE, "a connection string is not valid", "nothing done",
        "write mysql://user:password@host:port, special characters percent-encoded")
MR_CODE(4004, TASK_UNKNOWN, ERR_TASK, "no task of that name", "nothing done",
        "see task show --all")
MR_CODE(4005, TASK_EXISTS, ERR_TASK, "a task of that name exists", "nothing done",
        "choose another name, or drop the task")
MR_CODE(4006, TASK_STATE, ERR_TASK, "the task is not in a state that allows this",
        "nothing done", "see task show")
MR_CODE(4007, TASK_RECORD, ERR_TASK, "a task record cannot be read", "the task is left alone",
        "upgrade this program, or drop the task")
MR_CODE(4008, TASK_EDIT_RACE, ERR_TASK, "somebody else changed the task meanwhile",
        "nothing done", "look at it, then try again")
MR_CODE(4009, SECRET, ERR_TASK, "a secret cannot be opened", "nothing done",
        "give every worker the same key file (setting key.file), or the environment the "
        "reference names")
MR_CODE(4010, SELECT_EMPTY, ERR_TASK, "no table matches the selection", "nothing done",
        "correct --databases, --tables or --exclude")
MR_CODE(4011, WAIT_TIMEOUT, ERR_TASK, "a worker did not answer in time",
        "the wish is recorded and will be carried out", "see that the workers run")
MR_CODE(4012, NO_WORKER, ERR_RETRY, "no worker is on line for a half of the task",
        "nothing lost; the task waits", "start millrace-capture and millrace-apply")
MR_CODE(4013, NOT_YET, ERR_USAGE, "this version cannot do that yet", "nothing done",
        "see --help for what it can")
MR_CODE(5001, SCHEMA_DECODE, ERR_TABLE, "a value cannot be decoded by its schema",
        "this table stops before it, its position is kept; the others go on",
        "see the column; report it")
MR_CODE(5002, SCHEMA_UNKNOWN, ERR_TABLE, "a record's schema is not known",
        "this table stops before it, its position is kept; the others go on",
        "somebody else writes to the topic?")
MR_CODE(5003, SCHEMA_CHARSET, ERR_TABLE, "text is not valid in its character set",
        "this table stops before it, its position is kept; the others go on",
        "correct the row at the source")
MR_CODE(9001, INTERNAL, ERR_TASK, "a fault of this program", "stopped before any harm",
        "report it with the log")
MR_CODE(9002, NO_MEMORY, ERR_TASK, "out of memory", "stopped before any harm",
        "give the process more memory")
MR_CODE(9003, IO, ERR_TASK, "a file or socket of this machine failed", "nothing lost",
        "see the message")
