/* Error codes 3xxx, the target: see base/codes.h. */
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
        "correct the row at the source, or drop the Iceberg table and restart the task (for a "
        "TIME outside of 0 to 24 h with iceberg.time=string)")
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
MR_CODE(3050, TARGET_MULTISET, ERR_TABLE,
        "the target has fewer rows of a content than the source deleted",
        "rolled back; this table stops, its position is kept; the others go on",
        "somebody else deletes from the target table: restart the task, it loads it again")
MR_CODE(3051, LAKE_KEYLESS_SOFT, ERR_TABLE,
        "iceberg.mode soft needs a key, and the table has none",
        "nothing written; this table stops, its position is kept",
        "create the task with another iceberg.mode, or keyless=append, for this table")
MR_CODE(3060, LAKE_FOREIGN, ERR_TABLE, "the Iceberg table belongs to another task",
        "nothing written; this table stops, its position is kept",
        "drop that task while millrace-apply runs, or choose another namespace")
MR_CODE(3061, LAKE_ROLLED_BACK, ERR_TABLE, "the Iceberg table was rolled back",
        "nothing written; this table stops, its position is kept",
        "make its newest snapshot current again, or restart the task: it loads the table again")
MR_CODE(3070, LAKE_MAINTENANCE, ERR_RETRY, "maintenance of an Iceberg table failed",
        "rows go on; nothing lost; files that nobody needs may stay; it is tried again later",
        "see the message")
MR_CODE(3071, LAKE_STOPPED, ERR_RETRY, "work at an Iceberg table was stopped on the way",
        "nothing of it is visible", "none needed")
MR_CODE(3072, LAKE_REMNANTS, ERR_RETRY,
        "metadata files of an Iceberg table that was dropped could not be removed",
        "rows go on; nothing lost; no table needs the files, and they stay",
        "remove them by hand: the message names their folder")
MR_CODE(3080, CATALOG_REJECTED, ERR_TABLE, "the Iceberg catalog does not accept a request",
        "nothing written; this table stops, its position is kept", "see the catalog's message")
MR_CODE(3081, CATALOG_ADDRESS, ERR_TASK, "no such Iceberg catalog, database or warehouse",
        "nothing written; the task is stopped",
        "correct host, port, path and warehouse of the sink URI, then resume the task")
MR_CODE(3082, CATALOG_NAMESPACE, ERR_TASK,
        "the Iceberg catalog lacks a namespace, and does not let it be made",
        "nothing written; the task is stopped",
        "make the namespace, or let the account make it, then resume the task")
MR_CODE(3090, STORAGE_BUCKET, ERR_TASK, "the bucket of the lake does not exist",
        "nothing written; the task is stopped",
        "make the bucket or correct the warehouse of the sink URI, then resume the task")
MR_CODE(3091, STORAGE_CREDENTIALS, ERR_TASK, "the lake's storage has no usable credentials",
        "nothing written; the task is stopped",
        "give s3.access-key-id and s3.secret-access-key=${file:..} in the sink URI, or "
        "AWS_ACCESS_KEY_ID and AWS_SECRET_ACCESS_KEY in the environment of millrace-apply")
MR_CODE(3092, STORAGE_CLOCK, ERR_RETRY,
        "this machine's clock differs too much from that of the lake's storage",
        "nothing lost; it is tried again", "set the clock: run a time service on this machine")
MR_CODE(3093, STORAGE_EXPIRED, ERR_TASK, "the session token of the lake's storage has expired",
        "nothing lost; the task is stopped", "give a new one, then resume the task")
MR_CODE(3094, STORAGE_REGION, ERR_TASK, "the bucket of the lake is in another region",
        "nothing written; the task is stopped",
        "correct s3.region or s3.endpoint of the sink URI, then resume the task")
