#include "kafka/stats.h"

#include "base/json.h"
#include "base/text.h"

static void
add_broker(struct kafka_stats *s, const char *name, const struct json *broker)
{
    s->tx_bytes += json_get_u64(broker, "txbytes", 0);
    s->rx_bytes += json_get_u64(broker, "rxbytes", 0);
    if (!text_starts(name, "TxnCoordinator"))
        return;
    s->coordinator_disconnects += json_get_u64(broker, "disconnects", 0);
    s->coordinator_retries += json_get_u64(broker, "txretries", 0);
    s->coordinator_timeouts += json_get_u64(broker, "req_timeouts", 0);
}

bool
kafka_stats_parse(struct bytes text, struct kafka_stats *out, struct err *e)
{
    struct json *doc = NULL;
    if (!json_parse(text, &doc, e))
        return err_wrap(e, "librdkafka statistics");
    struct kafka_stats s = {.queue_messages = json_get_u64(doc, "msg_cnt", 0),
                            .queue_bytes = json_get_u64(doc, "msg_size", 0)};
    const struct json *brokers = json_get(doc, "brokers");
    const char *name;
    struct json *broker;
    for (void *it = NULL; brokers && (it = json_next(brokers, it, &name, &broker)) != NULL;)
        add_broker(&s, name, broker);
    json_free(doc);
    *out = s;
    return true;
}
