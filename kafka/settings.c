#include "kafka/settings.h"

#include "base/config.h"
#include "base/mem.h"

void
kafka_settings_load(const struct config *c, const char *client_id, struct kafka_settings *out)
{
    *out = (struct kafka_settings){.bootstrap = config_text(c, "kafka.bootstrap"),
                                   .client_id = client_id};
    const char *name;
    const char *value;
    for (size_t i = 0; config_kafka(c, i, &name, &value); i++) {
        if (out->properties_n == KAFKA_PROPERTIES_MAX)
            mem_die("more than %d kafka.librdkafka.* properties", KAFKA_PROPERTIES_MAX);
        out->properties[out->properties_n++] = (struct kafka_property){name, value};
    }
}
