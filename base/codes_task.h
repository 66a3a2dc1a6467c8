/* Error codes 4xxx, task and command; 5xxx, schema; 9xxx, internal: see base/codes.h. */
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
