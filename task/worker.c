#include "task/worker.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/cli.h"
#include "base/clock.h"
#include "base/hash.h"
#include "base/log.h"
#include "base/mem.h"
#include "task/watch/endpoints.h"
#include "task/worker_private.h"

#define TURN_MS        100
#define RECONNECT_MS   500
#define RECONNECTS_MAX 20 /* sets RECONNECT_MS * n, at most 10 s */

extern char **environ;

static const struct cli_option options[] = {
    {"kafka", 0, false, "HOST:PORT[,...]", "Kafka brokers (also MILLRACE_KAFKA)"},
    {"listen", 0, false, "HOST:PORT",
     "serve /livez, /readyz, /metrics and the schema registry's read calls"},
    {"data", 0, false, "DIR", "folder for scratch files"},
    {"name", 0, false, "NAME", "name of this worker (default: the host name)"},
    {"config", 0, false, "FILE", "YAML file of settings"},
    {"set", 0, true, "K=V", "one setting; may be repeated"},
    {"print-config", 0, false, NULL, "print every setting with its value, and exit"},
    {"version", 0, false, NULL, "print the version, and exit"},
};

static bool
set_flag(struct config *c, const struct cli_spec *spec, const struct cli_args *args,
         const char *flag, const char *name, struct err *e)
{
    const char *value = cli_get(spec, args, flag);
    return value == NULL || config_set(c, name, value, CONFIG_FROM_FLAG, e);
}

static bool
load_config(struct config *c, const struct cli_spec *spec, const struct cli_args *args,
            struct err *e)
{
    const char *file = cli_get(spec, args, "config");
    if (file != NULL && !config_load_file(c, file, e))
        return false;
    if (!config_load_env(c, (const char *const *)environ, e))
        return false;
    const char *pair = NULL;
    for (size_t i = 0; (pair = cli_get_at(spec, args, "set", i)) != NULL; i++) {
        if (!config_set_pair(c, pair, CONFIG_FROM_FLAG, e))
            return err_wrap(e, "--set");
    }
    return set_flag(c, spec, args, "kafka", "kafka.bootstrap", e) &&
           set_flag(c, spec, args, "listen", "listen", e) &&
           set_flag(c, spec, args, "data", "data.dir", e) &&
           set_flag(c, spec, args, "name", "name", e);
}

static bool
check_config(struct worker *w, struct err *e)
{
    enum log_level level = LOG_INFO;
    if (config_text(w->config, "kafka.bootstrap")[0] == '\0')
        return err_set(e, MR_CONFIG, "no Kafka brokers: give --kafka or set MILLRACE_KAFKA");
    if (log_parse_level(config_text(w->config, "log.level"), &level))
        log_set_level(level);
    const char *name = config_text(w->config, "name");
    if (name[0] != '\0')
        snprintf(w->name, sizeof(w->name), "%s", name);
    else if (gethostname(w->name, sizeof(w->name) - 1) != 0 || w->name[0] == '\0')
        snprintf(w->name, sizeof(w->name), "millrace");
    for (const char *p = w->name; *p != '\0'; p++) {
        if (*p == '/' || (unsigned char)*p < ' ')
            return err_set(e, MR_CONFIG,
                           "the worker's name '%s' holds a '/' or a control "
                           "character",
                           w->name);
    }
    return true;
}

static void
handle_http(void *ctx, const struct http_request *req, struct http_response *res)
{
    struct worker *w = ctx;
    struct err e = {0};
    thread_lock(&w->lock);
    struct endpoints_state s = {.registry = w->registry, .ready = w->connected};
    struct reporter *reporter = w->connected ? w->reporter : NULL;
    thread_unlock(&w->lock);
    if (!s.ready)
        s.why_not = "not connected to Kafka yet";
    else if (!reporter_healthy(reporter, &e)) {
        s.ready = false;
        s.why_not = e.text;
    }
    endpoints_serve(&s, req, res);
}

/* Kafka may be away for long: one line when it starts, one when it is over. */
static bool
connect_patiently(struct worker *w, struct err *e)
{
    enum err_code told = MR_OK;
    for (int tries = 1; !stop_asked(&w->stop); tries++) {
        if (worker_connect(w, e)) {
            log_info("worker_ready", F_STR("name", w->name));
            return true;
        }
        if (e->class == ERR_USAGE)
            return false;
        if (stop_asked(&w->stop))
            break;
        if (e->code != told)
            log_error("kafka_not_ready", F_ERR(e));
        told = e->code;
        stop_wait(&w->stop, RECONNECT_MS * (tries < RECONNECTS_MAX ? tries : RECONNECTS_MAX));
    }
    err_clear(e);
    return true;
}

static void
step_all(struct worker *w)
{
    for (size_t i = 0; i < w->units_len; i++) {
        unit_step(w->units[i]);
        if (w->units[i]->gone) {
            unit_free(w->units[i]);
            w->units[i--] = w->units[--w->units_len];
        }
    }
}

/* false: this instance has to go. */
static bool
control(struct worker *w, struct err *e)
{
    enum err_code told = MR_OK;
    while (!stop_asked(&w->stop)) {
        struct err why = {0};
        if (!worker_follow(w, TURN_MS, &why)) {
            if (why.code != told)
                log_warn("control_topics", F_ERR(&why));
            told = why.code;
            stop_wait(&w->stop, RECONNECT_MS);
        } else {
            told = MR_OK;
        }
        if (lease_log_replaced(w->leases))
            return err_set(e, MR_WORKER_REPLACED, "worker '%s'", w->name);
        step_all(w);
    }
    return true;
}

static void
stop_units(struct worker *w)
{
    stop_ask(&w->stop);
    for (size_t i = 0; i < w->units_len; i++)
        unit_join(w->units[i]);
    for (size_t i = 0; i < w->units_len; i++)
        unit_free(w->units[i]);
    free(w->units);
    w->units = NULL;
    w->units_len = 0;
}

static bool
serve(struct worker *w, struct err *e)
{
    const char *listen = config_text(w->config, "listen");
    if (listen[0] != '\0') {
        if (!http_server_start(listen, handle_http, w, &w->http, e))
            return err_wrap(e, "--listen %s", listen);
        log_info("listening", F_U64("port", http_server_port(w->http)));
    }
    bool ok = connect_patiently(w, e);
    if (ok && w->connected)
        ok = control(w, e);
    stop_units(w);
    http_server_stop(w->http);
    worker_disconnect(w);
    return ok;
}

static int
run(struct worker *w)
{
    struct err e = {0};
    stop_init(&w->stop, NULL);
    stop_on_signals(&w->stop);
    thread_lock_init(&w->lock);
    w->instance = random_u64();
    log_info("worker_start", F_STR("program", w->program->name),
             F_STR("version", MILLRACE_VERSION), F_STR("name", w->name));
    bool ok = serve(w, &e);
    if (!ok)
        log_error("worker_failed", F_ERR(&e));
    else
        log_info("worker_stopped", F_STR("name", w->name));
    pthread_mutex_destroy(&w->lock);
    stop_free(&w->stop);
    if (ok)
        return 0;
    return e.class == ERR_USAGE ? 2 : 1;
}

static int
complain(const char *program, const struct err *e)
{
    char text[ERR_TEXT_MAX + 1024];
    fprintf(stderr, "%s: %s\n", program, err_format(e, text, sizeof(text)));
    return 2;
}

static int
print_help(const struct cli_spec *spec)
{
    struct buf text = {0};
    cli_help(spec, &text);
    fputs(buf_cstr(&text), stdout);
    buf_free(&text);
    return 0;
}

static int
print_config(const struct config *c)
{
    struct buf text = {0};
    config_print(c, &text);
    fputs(buf_cstr(&text), stdout);
    buf_free(&text);
    return 0;
}

static int
start(struct worker *w, const struct cli_spec *spec, const struct cli_args *args)
{
    struct err e = {0};
    if (cli_operand(args, 0) != NULL)
        err_set(&e, MR_USAGE, "unexpected '%s'", cli_operand(args, 0));
    else if (load_config(w->config, spec, args, &e) && check_config(w, &e))
        return cli_has(spec, args, "print-config") ? print_config(w->config) : run(w);
    return complain(w->program->name, &e);
}

int
worker_main(const struct worker_program *p, int argc, char **argv)
{
    char *usage = mem_printf("%s --kafka HOST:PORT[,...] [flags]", p->name);
    struct cli_spec spec = {usage, p->about, options, ARRAY_LEN(options), NULL};
    struct cli_args *args = mem_zalloc(sizeof(*args));
    struct worker w = {.program = p, .config = config_new()};
    struct err e = {0};
    int code = 0;
    if (!cli_parse(&spec, argc, argv, args, &e))
        code = complain(p->name, &e);
    else if (args->help)
        code = print_help(&spec);
    else if (cli_has(&spec, args, "version"))
        printf("%s %s\n", p->name, MILLRACE_VERSION);
    else
        code = start(&w, &spec, args);
    config_free(w.config);
    free(args);
    free(usage);
    return code;
}

const char *
worker_name(const struct worker *w)
{
    return w->name;
}

uint64_t
worker_instance(const struct worker *w)
{
    return w->instance;
}

struct registry *
worker_registry(struct worker *w)
{
    return w->registry;
}

const char *
worker_data(const struct worker *w)
{
    return config_text(w->config, "data.dir");
}
