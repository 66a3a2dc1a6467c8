#include "kafka/client.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"

const char *
kafka_library_version(void)
{
    return rd_kafka_version_str();
}

/* Details only: what matters comes back through calls and callbacks, and the loop that owns the
 * unit of work logs it. */
static void
log_line(const rd_kafka_t *rk, int level, const char *fac, const char *text)
{
    log_debug("librdkafka", F_STR("client", rk ? rd_kafka_name(rk) : ""),
              F_STR("facility", fac), F_I64("severity", level), F_STR("text", text));
}

bool
client_conf_set(rd_kafka_conf_t *conf, const char *name, const char *value, struct err *e)
{
    char text[512];
    if (rd_kafka_conf_set(conf, name, value, text, sizeof text) == RD_KAFKA_CONF_OK)
        return true;
    return err_set(e, MR_CONFIG, "Kafka property %s: %s", name, text);
}

bool
client_conf_set_i64(rd_kafka_conf_t *conf, const char *name, int64_t value, struct err *e)
{
    char text[24];
    snprintf(text, sizeof text, "%lld", (long long)value);
    return client_conf_set(conf, name, text, e);
}

void
client_conf_try(rd_kafka_conf_t *conf, const char *name, const char *value)
{
    char text[512];
    (void)rd_kafka_conf_set(conf, name, value, text, sizeof text);
}

bool
client_conf_new(const struct kafka_settings *s, rd_kafka_conf_t **out, struct err *e)
{
    rd_kafka_conf_t *conf = rd_kafka_conf_new();
    rd_kafka_conf_set_log_cb(conf, log_line);
    if (!client_conf_set(conf, "bootstrap.servers", s->bootstrap, e) ||
        !client_conf_set(conf, "client.id", s->client_id ? s->client_id : "millrace", e) ||
        !client_conf_set(conf, "socket.nagle.disable", "true", e) ||
        !client_conf_set(conf, "socket.keepalive.enable", "true", e) ||
        !client_conf_set(conf, "reconnect.backoff.ms", "50", e) ||
        !client_conf_set(conf, "reconnect.backoff.max.ms", "1000", e) ||
        !client_conf_set(conf, "log.connection.close", "false", e)) {
        rd_kafka_conf_destroy(conf);
        return false;
    }
    client_conf_try(conf, "enable.metrics.push", "false");
    *out = conf;
    return true;
}

bool
client_new(rd_kafka_type_t type, rd_kafka_conf_t *conf, const struct kafka_settings *s,
           rd_kafka_t **out, struct err *e)
{
    for (size_t i = 0; i < s->properties_n; i++) {
        const struct kafka_property *p = &s->properties[i];
        if (!client_conf_set(conf, p->name, p->value, e)) {
            rd_kafka_conf_destroy(conf);
            return false;
        }
    }
    char text[512] = "";
    rd_kafka_t *rk = rd_kafka_new(type, conf, text, sizeof text);
    if (!rk) {
        rd_kafka_conf_destroy(conf);
        return err_set(e, MR_CONFIG, "Kafka client: %s", text);
    }
    *out = rk;
    return true;
}

enum err_code
client_code(rd_kafka_resp_err_t code)
{
    switch ((int)code) {
    case RD_KAFKA_RESP_ERR__TRANSPORT:
    case RD_KAFKA_RESP_ERR__ALL_BROKERS_DOWN:
    case RD_KAFKA_RESP_ERR__RESOLVE:
    case RD_KAFKA_RESP_ERR__TIMED_OUT:
    case RD_KAFKA_RESP_ERR__TIMED_OUT_QUEUE:
    case RD_KAFKA_RESP_ERR__MSG_TIMED_OUT:
    case RD_KAFKA_RESP_ERR__WAIT_COORD:
    case RD_KAFKA_RESP_ERR_REQUEST_TIMED_OUT:
    case RD_KAFKA_RESP_ERR_BROKER_NOT_AVAILABLE:
    case RD_KAFKA_RESP_ERR_NETWORK_EXCEPTION:
        return MR_KAFKA_UNREACHABLE;
    case RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION:
    case RD_KAFKA_RESP_ERR_NOT_COORDINATOR:
    case RD_KAFKA_RESP_ERR_COORDINATOR_LOAD_IN_PROGRESS:
    case RD_KAFKA_RESP_ERR_COORDINATOR_NOT_AVAILABLE:
    case RD_KAFKA_RESP_ERR_LEADER_NOT_AVAILABLE:
    case RD_KAFKA_RESP_ERR_REPLICA_NOT_AVAILABLE:
    case RD_KAFKA_RESP_ERR_NOT_CONTROLLER:
    case RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS:
    case RD_KAFKA_RESP_ERR_NOT_ENOUGH_REPLICAS_AFTER_APPEND:
    case RD_KAFKA_RESP_ERR_CONCURRENT_TRANSACTIONS:
    case RD_KAFKA_RESP_ERR_KAFKA_STORAGE_ERROR:
    case RD_KAFKA_RESP_ERR_FENCED_LEADER_EPOCH:
    case RD_KAFKA_RESP_ERR_UNKNOWN_LEADER_EPOCH:
    case RD_KAFKA_RESP_ERR_OFFSET_NOT_AVAILABLE:
        return MR_KAFKA_NOT_READY;
    case RD_KAFKA_RESP_ERR__UNKNOWN_TOPIC:
    case RD_KAFKA_RESP_ERR__UNKNOWN_PARTITION:
    case RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART:
        return MR_KAFKA_TOPIC_UNKNOWN;
    case RD_KAFKA_RESP_ERR__FENCED:
    case RD_KAFKA_RESP_ERR_PRODUCER_FENCED:
    case RD_KAFKA_RESP_ERR_INVALID_PRODUCER_EPOCH:
    case RD_KAFKA_RESP_ERR_INVALID_PRODUCER_ID_MAPPING:
        return MR_KAFKA_FENCED;
    case RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE:
    case RD_KAFKA_RESP_ERR_RECORD_LIST_TOO_LARGE:
        return MR_KAFKA_ROW_TOO_LARGE;
    case RD_KAFKA_RESP_ERR__AUTHENTICATION:
    case RD_KAFKA_RESP_ERR__SSL:
    case RD_KAFKA_RESP_ERR_SASL_AUTHENTICATION_FAILED:
    case RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED:
    case RD_KAFKA_RESP_ERR_GROUP_AUTHORIZATION_FAILED:
    case RD_KAFKA_RESP_ERR_CLUSTER_AUTHORIZATION_FAILED:
    case RD_KAFKA_RESP_ERR_TRANSACTIONAL_ID_AUTHORIZATION_FAILED:
        return MR_KAFKA_AUTH;
    case RD_KAFKA_RESP_ERR__AUTO_OFFSET_RESET:
    case RD_KAFKA_RESP_ERR_OFFSET_OUT_OF_RANGE:
        return MR_KAFKA_PURGED;
    default:
        return MR_KAFKA_ERROR;
    }
}

void
client_err_fill(struct err *e, rd_kafka_resp_err_t code, const char *detail, const char *fmt,
                ...)
{
    char where[512];
    va_list a;
    va_start(a, fmt);
    vsnprintf(where, sizeof where, fmt, a);
    va_end(a);
    err_set(e, client_code(code), "%s: %s (%s)", where,
            detail && *detail ? detail : rd_kafka_err2str(code), rd_kafka_err2name(code));
}

int
client_eventfd(void)
{
    int fd = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
    if (fd < 0)
        mem_die("eventfd: %s", strerror(errno));
    return fd;
}

void
client_eventfd_clear(int fd)
{
    uint64_t count;
    while (read(fd, &count, sizeof count) < 0 && errno == EINTR)
        continue;
}

void
client_eventfd_ring(int fd)
{
    static const uint64_t one = 1;
    while (write(fd, &one, sizeof one) < 0 && errno == EINTR)
        continue;
}
