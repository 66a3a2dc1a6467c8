/* Inside kafka/ only: librdkafka configuration, error mapping, logging shared by the clients.
 *
 * Works with librdkafka 2.0.2 and later; properties of newer versions go through
 * client_conf_try. Thread: any; the log callback is called by librdkafka's own threads.
 */
#ifndef MILLRACE_KAFKA_CLIENT_H
#define MILLRACE_KAFKA_CLIENT_H

#include <librdkafka/rdkafka.h>

#include "kafka/settings.h"

/* A configuration with what every client has: bootstrap, sockets without Nagle, quick
 * reconnects, our log. */
MUST bool
client_conf_new(const struct kafka_settings *s, rd_kafka_conf_t **out, struct err *e);
MUST bool
client_conf_set(rd_kafka_conf_t *conf, const char *name, const char *value, struct err *e);
MUST bool
client_conf_set_i64(rd_kafka_conf_t *conf, const char *name, int64_t value, struct err *e);
/* Sets it where the library knows it. */
void
client_conf_try(rd_kafka_conf_t *conf, const char *name, const char *value);
/* Applies the pass-through properties (last, so that they win) and makes the handle; takes conf
 * in either case. */
MUST bool
client_new(rd_kafka_type_t type, rd_kafka_conf_t *conf, const struct kafka_settings *s,
           rd_kafka_t **out, struct err *e);

enum err_code
client_code(rd_kafka_resp_err_t code);
/* client_err(e, code, detail, format, ...) fills e with the code's meaning; text: "<format>:
 * <detail, or librdkafka's text> (NAME)". Visibly false, as err_set. */
#define client_err(...) (client_err_fill(__VA_ARGS__), err_false())
void
client_err_fill(struct err *e, rd_kafka_resp_err_t code, const char *detail, const char *fmt,
                ...) PRINTF_LIKE(4, 5);

/* A non-blocking eventfd, its emptying, its signal. Aborts when the system gives none. */
int
client_eventfd(void);
void
client_eventfd_clear(int fd);
void
client_eventfd_ring(int fd);

#endif
