/* Error codes 2xxx, Kafka: see base/codes.h. */
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
MR_CODE(2017, TXN_RECOUNT, ERR_TASK,
        "a transaction that is partly published came again with other rows",
        "nothing more of it is published; the task is stopped",
        "restart the task: it loads every table again")
MR_CODE(2018, KAFKA_NOT_READY, ERR_RETRY, "a Kafka broker has not caught up yet",
        "nothing lost; it is tried again",
        "none needed if it passes; else see the brokers' logs")
MR_CODE(2019, KAFKA_TOPIC_UNKNOWN, ERR_RETRY,
        "a Kafka broker does not know a topic that was there",
        "nothing lost; it is tried again until the topic is there or is known to be deleted",
        "none needed if it passes; else see the brokers' logs")
