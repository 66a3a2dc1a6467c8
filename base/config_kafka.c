/* Allow-list of librdkafka properties. */
#include "base/config_kafka.h"

#include <string.h>

#include "base/text.h"

static const char *const allowed[] = {
    "batch.size",
    "broker.address.family",
    "broker.address.ttl",
    "client.dns.lookup",
    "client.id",
    "client.rack",
    "compression.codec",
    "compression.level",
    "compression.type",
    "connections.max.idle.ms",
    "debug",
    "enable.ssl.certificate.verification",
    "fetch.error.backoff.ms",
    "fetch.max.bytes",
    "fetch.message.max.bytes",
    "fetch.min.bytes",
    "fetch.queue.backoff.ms",
    "fetch.wait.max.ms",
    "https.ca.location",
    "linger.ms",
    "log_level",
    "max.partition.fetch.bytes",
    "metadata.max.age.ms",
    "queue.buffering.max.kbytes",
    "queue.buffering.max.messages",
    "queued.max.messages.kbytes",
    "queued.min.messages",
    "receive.message.max.bytes",
    "reconnect.backoff.max.ms",
    "reconnect.backoff.ms",
    "request.timeout.ms",
    "retry.backoff.max.ms",
    "retry.backoff.ms",
    "sasl.kerberos.keytab",
    "sasl.kerberos.min.time.before.relogin",
    "sasl.kerberos.principal",
    "sasl.kerberos.service.name",
    "sasl.mechanism",
    "sasl.mechanisms",
    "sasl.oauthbearer.client.id",
    "sasl.oauthbearer.client.secret",
    "sasl.oauthbearer.extensions",
    "sasl.oauthbearer.method",
    "sasl.oauthbearer.scope",
    "sasl.oauthbearer.token.endpoint.url",
    "sasl.password",
    "sasl.username",
    "security.protocol",
    "socket.connection.setup.timeout.ms",
    "socket.keepalive.enable",
    "socket.max.fails",
    "socket.nagle.disable",
    "socket.receive.buffer.bytes",
    "socket.send.buffer.bytes",
    "socket.timeout.ms",
    "ssl.ca.location",
    "ssl.ca.pem",
    "ssl.certificate.location",
    "ssl.certificate.pem",
    "ssl.cipher.suites",
    "ssl.crl.location",
    "ssl.curves.list",
    "ssl.endpoint.identification.algorithm",
    "ssl.key.location",
    "ssl.key.password",
    "ssl.key.pem",
    "ssl.keystore.location",
    "ssl.keystore.password",
    "ssl.sigalgs.list",
    "topic.metadata.refresh.interval.ms",
};

/* Loads code or runs a program. */
static const char *const dangerous[] = {
    "plugin.library.paths", "sasl.kerberos.kinit.cmd", "ssl.engine.location",
    "ssl.engine.id",        "ssl.providers",
};

/* Set by Millrace itself. */
static const char *const ours[] = {
    "acks",
    "auto.offset.reset",
    "bootstrap.servers",
    "delivery.timeout.ms",
    "enable.auto.commit",
    "enable.auto.offset.store",
    "enable.gapless.guarantee",
    "enable.idempotence",
    "enable.partition.eof",
    "group.id",
    "isolation.level",
    "max.in.flight",
    "max.in.flight.requests.per.connection",
    "message.max.bytes",
    "message.send.max.retries",
    "message.timeout.ms",
    "metadata.broker.list",
    "partitioner",
    "request.required.acks",
    "retries",
    "statistics.interval.ms",
    "transaction.timeout.ms",
    "transactional.id",
};

static bool
is_one_of(const char *s, const char *const *names, size_t n)
{
    for (size_t i = 0; i < n; i++) {
        if (strcmp(s, names[i]) == 0)
            return true;
    }
    return false;
}

bool
config_kafka_check(const char *property, struct err *e)
{
    if (is_one_of(property, allowed, ARRAY_LEN(allowed)))
        return true;
    if (is_one_of(property, dangerous, ARRAY_LEN(dangerous)))
        return err_set(e, MR_CONFIG,
                       CONFIG_KAFKA_PREFIX "%s is refused: it loads code or runs a program",
                       property);
    if (is_one_of(property, ours, ARRAY_LEN(ours)))
        return err_set(e, MR_CONFIG,
                       CONFIG_KAFKA_PREFIX "%s is refused: Millrace sets it itself", property);
    const char *near = text_nearest(property, allowed, ARRAY_LEN(allowed));
    return err_set(e, MR_CONFIG, "unknown key " CONFIG_KAFKA_PREFIX "%s%s%s", property,
                   near ? "; the nearest is " CONFIG_KAFKA_PREFIX : "", near ? near : "");
}

const char *const *
config_kafka_allowed(size_t *n)
{
    *n = ARRAY_LEN(allowed);
    return allowed;
}

bool
config_kafka_is_secret(const char *property)
{
    return strstr(property, "password") || strstr(property, "secret") ||
           strcmp(property, "ssl.key.pem") == 0;
}
