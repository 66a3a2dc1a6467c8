/* Options from the environment and from a YAML file. */
#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/config.h"
#include "base/config_kafka.h"
#include "base/file.h"
#include "base/log.h"
#include "base/text.h"
#include "base/yaml.h"

#define ENV_PREFIX     "MILLRACE_"
#define ENV_KAFKA      "MILLRACE_KAFKA"
#define CONFIG_KEY_MAX 128

/* prefix + name as a variable: upper case, '.' and '-' as '_'. */
static void
env_name(const char *prefix, const char *name, char out[CONFIG_KEY_MAX])
{
    snprintf(out, CONFIG_KEY_MAX, ENV_PREFIX "%s%s", prefix, name);
    for (char *c = out; *c; c++)
        *c = *c == '.' || *c == '-' ? '_' : (char)toupper((unsigned char)*c);
}

/* The option or Kafka property whose variable is `variable`; false when there is none. */
static bool
env_option(const char *variable, char out[CONFIG_KEY_MAX])
{
    size_t n;
    char candidate[CONFIG_KEY_MAX];
    const struct config_option *options = config_options(&n);
    for (size_t i = 0; i < n; i++) {
        env_name("", options[i].name, candidate);
        if (strcmp(variable, candidate) == 0) {
            snprintf(out, CONFIG_KEY_MAX, "%s", options[i].name);
            return true;
        }
    }
    const char *const *properties = config_kafka_allowed(&n);
    for (size_t i = 0; i < n; i++) {
        env_name(CONFIG_KAFKA_PREFIX, properties[i], candidate);
        if (strcmp(variable, candidate) == 0) {
            snprintf(out, CONFIG_KEY_MAX, CONFIG_KAFKA_PREFIX "%s", properties[i]);
            return true;
        }
    }
    return false;
}

/* Others own MILLRACE_* names too (an orchestrator's service links): only a likely slip is
 * worth a line. */
static void
env_warn(const char *variable)
{
    size_t n;
    char candidate[CONFIG_KEY_MAX];
    const struct config_option *options = config_options(&n);
    for (size_t i = 0; i < n; i++) {
        env_name("", options[i].name, candidate);
        if (text_distance(variable, candidate) <= 2)
            log_warn("config_variable_unknown", F_STR("variable", variable),
                     F_STR("nearest", candidate));
    }
}

static bool
env_set(struct config *c, const char *variable, const char *value, struct err *e)
{
    char name[CONFIG_KEY_MAX];
    if (!env_option(variable, name)) {
        env_warn(variable);
        return true;
    }
    if (!config_set(c, name, value, CONFIG_FROM_ENV, e))
        return err_wrap(e, "environment %s", variable);
    return true;
}

bool
config_load_env(struct config *c, const char *const *environment, struct err *e)
{
    const char *brokers = NULL;
    for (; *environment; environment++) {
        char variable[CONFIG_KEY_MAX];
        const char *equals = strchr(*environment, '=');
        size_t n = equals ? (size_t)(equals - *environment) : 0;
        if (!n || n >= sizeof(variable) || !text_starts(*environment, ENV_PREFIX))
            continue;
        memcpy(variable, *environment, n);
        variable[n] = '\0';
        if (strcmp(variable, ENV_KAFKA) == 0)
            brokers = equals + 1;
        else if (!env_set(c, variable, equals + 1, e))
            return false;
    }
    if (!brokers || config_from(c, "kafka.bootstrap") >= CONFIG_FROM_ENV)
        return true;
    return config_set(c, "kafka.bootstrap", brokers, CONFIG_FROM_ENV, e);
}

/* A scalar as the text an option takes. */
static bool
scalar_text(const char *name, const struct json *v, struct buf *out, struct err *e)
{
    if (json_is_str(v))
        buf_add_bytes(out, json_bytes_value(v));
    else if (json_is_object(v) || json_is_array(v))
        return err_set(e, MR_CONFIG, "%s: a list of lists or maps", name);
    else
        json_dump(v, out);
    if (memchr(buf_cstr(out), '\0', out->n))
        return err_set(e, MR_CONFIG, "%s: a NUL byte in its value", name);
    return true;
}

static bool
list_text(const char *name, const struct json *list, struct buf *out, struct err *e)
{
    for (size_t i = 0; i < json_len(list); i++) {
        if (i)
            buf_add_byte(out, ',');
        if (!scalar_text(name, json_at(list, i), out, e))
            return false;
    }
    return true;
}

static bool
load_leaf(struct config *c, const char *name, const struct json *v, struct err *e)
{
    struct buf text = {0};
    bool ok = json_is_array(v) ? list_text(name, v, &text, e) : scalar_text(name, v, &text, e);
    ok = ok && config_set(c, name, buf_cstr(&text), CONFIG_FROM_FILE, e);
    buf_free(&text);
    return ok;
}

/* Sets every leaf under `node`, whose dotted name is `name` ("" at the top). */
static bool
load_node(struct config *c, const char *name, const struct json *node, struct err *e)
{
    if (json_is_null(node))
        return true;
    if (!json_is_object(node))
        return load_leaf(c, name, node, e);
    const char *key;
    struct json *value;
    for (void *it = NULL; (it = json_next(node, it, &key, &value)) != NULL;) {
        char inner[CONFIG_KEY_MAX];
        int n = snprintf(inner, sizeof(inner), "%s%s%s", name, *name ? "." : "", key);
        if (n < 0 || (size_t)n >= sizeof(inner))
            return err_set(e, MR_CONFIG, "unknown key %.60s...", inner);
        if (!load_node(c, inner, value, e))
            return false;
    }
    return true;
}

bool
config_load_yaml(struct config *c, struct bytes text, const char *path, struct err *e)
{
    struct json *top;
    if (!yaml_parse(text, path, &top, e))
        return false;
    bool ok = json_is_object(top) ? load_node(c, "", top, e)
                                  : err_set(e, MR_CONFIG, "its top is not a map of keys");
    json_free(top);
    return ok || err_wrap(e, "%s", path);
}

bool
config_load_file(struct config *c, const char *path, struct err *e)
{
    struct buf text = {0};
    bool ok = file_read(path, YAML_SIZE_MAX, &text, e);
    if (!ok)
        err_set(e, MR_CONFIG, "%s", e->text);
    ok = ok && config_load_yaml(c, buf_bytes(&text), path, e);
    buf_free(&text);
    return ok;
}
