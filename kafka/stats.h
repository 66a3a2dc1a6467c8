/* What we need of librdkafka's statistics JSON (its STATISTICS.md): the transaction
 * coordinator's troubles.
 *
 * "brokers" is an object of broker objects; the coordinator's is named "TxnCoordinator...".
 * Counters only grow for the life of a handle. Thread: any; pure.
 */
#ifndef MILLRACE_KAFKA_STATS_H
#define MILLRACE_KAFKA_STATS_H

#include "base/bytes.h"

struct kafka_stats {
    uint64_t coordinator_disconnects;
    uint64_t coordinator_retries;  /* txretries */
    uint64_t coordinator_timeouts; /* req_timeouts */
    uint64_t queue_messages;       /* msg_cnt */
    uint64_t queue_bytes;          /* msg_size */
    uint64_t tx_bytes;             /* to all brokers */
    uint64_t rx_bytes;
};

MUST bool
kafka_stats_parse(struct bytes json, struct kafka_stats *out, struct err *e);

#endif
