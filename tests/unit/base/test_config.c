#include "unit/base/unit.h"

#include <unistd.h>

#include "base/config.h"
#include "base/config_kafka.h"

#define GIVEN(call, e)                \
    do {                              \
        if (!(call))                  \
            fail_msg("%s", (e).text); \
    } while (0)

static void
load_yaml(struct config *c, const char *text)
{
    struct err e;
    GIVEN(config_load_yaml(c, bytes_str(text), "millrace.yaml", &e), e);
}

static void
every_option_has_a_valid_default_and_a_help_text(void **state)
{
    size_t n;
    const struct config_option *o = config_options(&n);
    struct config *c = config_new();
    assert_true(n >= 25);
    for (size_t i = 0; i < n; i++) {
        assert_true(*o[i].name && *o[i].help);
        assert_ptr_equal(config_option_find(o[i].name), &o[i]);
        assert_int_equal(config_from(c, o[i].name), CONFIG_FROM_DEFAULT);
    }
    assert_int_equal(config_int(c, "heartbeat.ms"), 1000);
    assert_int_equal(config_int(c, "commit.bytes.max"), 40 << 20);
    assert_int_equal(config_int(c, "topic.retention.ms"), 604800000);
    assert_int_equal(config_int(c, "net.write.timeout.s"), 600);
    assert_string_equal(config_text(c, "checkpoint.schema"), "millrace");
    assert_string_equal(config_text(c, "log.level"), "info");
    config_free(c);
}

static void
flag_beats_environment_beats_file_in_any_order(void **state)
{
    static const char *const env[] = {"PATH=/bin", "MILLRACE_COMMIT_MAX_MS=30",
                                      "MILLRACE_COMMIT_FAR_MS=31", NULL};
    for (int order = 0; order < 2; order++) {
        struct config *c = config_new();
        struct err e;
        if (order)
            GIVEN(config_set_pair(c, "commit.max.ms=40", CONFIG_FROM_FLAG, &e), e);
        GIVEN(config_load_env(c, env, &e), e);
        load_yaml(c, "commit:\n  max: {ms: 50}\n  far.ms: 51\n  min.ms: 9\n");
        if (!order)
            GIVEN(config_set_pair(c, "commit.max.ms=40", CONFIG_FROM_FLAG, &e), e);
        assert_int_equal(config_int(c, "commit.max.ms"), 40);
        assert_int_equal(config_int(c, "commit.far.ms"), 31);
        assert_int_equal(config_int(c, "commit.min.ms"), 9);
        assert_int_equal(config_from(c, "commit.max.ms"), CONFIG_FROM_FLAG);
        assert_int_equal(config_from(c, "commit.far.ms"), CONFIG_FROM_ENV);
        assert_int_equal(config_from(c, "commit.min.ms"), CONFIG_FROM_FILE);
        config_free(c);
    }
}

static void
the_later_of_two_flags_counts(void **state)
{
    struct config *c = config_new();
    struct err e;
    GIVEN(config_set_pair(c, "name=a", CONFIG_FROM_FLAG, &e), e);
    GIVEN(config_set_pair(c, "name=b=c", CONFIG_FROM_FLAG, &e), e);
    assert_string_equal(config_text(c, "name"), "b=c");
    config_free(c);
}

static void
values_take_units(void **state)
{
    struct config *c = config_new();
    struct err e;
    GIVEN(config_set_pair(c, "heartbeat.ms=5s", CONFIG_FROM_FLAG, &e), e);
    GIVEN(config_set_pair(c, "net.write.timeout.s=10m", CONFIG_FROM_FLAG, &e), e);
    GIVEN(config_set_pair(c, "apply.memory.bytes=1GiB", CONFIG_FROM_FLAG, &e), e);
    GIVEN(config_set_pair(c, "topic.retention.ms=-1", CONFIG_FROM_FLAG, &e), e);
    assert_int_equal(config_int(c, "heartbeat.ms"), 5000);
    assert_int_equal(config_int(c, "net.write.timeout.s"), 600);
    assert_int_equal(config_int(c, "apply.memory.bytes"), 1 << 30);
    assert_int_equal(config_int(c, "topic.retention.ms"), -1);
    GIVEN(config_set_pair(c, "net.write.timeout.s=30", CONFIG_FROM_FLAG, &e), e);
    assert_int_equal(config_int(c, "net.write.timeout.s"), 30);
    config_free(c);
}

static void
wrong_values_are_refused_with_the_reason(void **state)
{
    static const char *const cases[][2] = {
        {"commit.max.ms", "not KEY=VALUE"},
        {"comit.max.ms=1", "unknown key comit.max.ms; the nearest is commit.max.ms"},
        {"zookeeper.connect.string=x", "unknown key"},
        {"commit.max.ms=fast", "is not milliseconds"},
        {"commit.max.ms=0", "outside 1 to 60000 ms"},
        {"commit.max.ms=60001", "outside 1 to 60000 ms"},
        {"topic.partitions=4k", "is not a whole number"},
        {"apply.memory.bytes=1", "bytes"},
        {"net.write.timeout.s=1500ms", "is not seconds"},
        {"log.level=loud", "is none of trace|debug|info|warn|error"},
        {"log.level=inf", "is none of"},
        {"log.level=", "is none of"},
        {"log.level=debug|info", "is none of"},
        {"name=a\nb", "control character"},
        {"checkpoint.schema=12345678901234567890123456789012345678901234567890123456789012345",
         "longer than 64"},
    };
    struct config *c = config_new();
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct err e;
        if (config_set_pair(c, cases[i][0], CONFIG_FROM_FLAG, &e))
            fail_msg("%s was taken", cases[i][0]);
        assert_int_equal(e.code, MR_CONFIG);
        if (!strstr(e.text, cases[i][1]))
            fail_msg("%s: %s", cases[i][0], e.text);
    }
    config_free(c);
}

static void
limits_themselves_are_taken(void **state)
{
    struct config *c = config_new();
    struct err e;
    GIVEN(config_set_pair(c, "commit.max.ms=1", CONFIG_FROM_FLAG, &e), e);
    GIVEN(config_set_pair(c, "commit.max.ms=60000", CONFIG_FROM_FLAG, &e), e);
    GIVEN(config_set_pair(
              c, "name=1234567890123456789012345678901234567890123456789012345678901234",
              CONFIG_FROM_FLAG, &e),
          e);
    config_free(c);
}

static void
a_file_is_checked_even_where_a_flag_wins(void **state)
{
    struct config *c = config_new();
    struct err e;
    GIVEN(config_set_pair(c, "commit.max.ms=40", CONFIG_FROM_FLAG, &e), e);
    assert_false(config_load_yaml(c, BYTES_LIT("commit.max.ms: never"), "f.yaml", &e));
    assert_int_equal(e.code, MR_CONFIG);
    assert_non_null(strstr(e.text, "f.yaml"));
    assert_int_equal(config_int(c, "commit.max.ms"), 40);
    config_free(c);
}

static void
files_take_lists_nulls_and_nested_keys(void **state)
{
    struct config *c = config_new();
    struct err e;
    load_yaml(c, "kafka:\n  bootstrap: [a:9092, b:9092]\n  librdkafka.client.id: me\n"
                 "listen: ~\nname: 007\n");
    assert_string_equal(config_text(c, "kafka.bootstrap"), "a:9092,b:9092");
    assert_string_equal(config_text(c, "name"), "007");
    assert_int_equal(config_from(c, "listen"), CONFIG_FROM_DEFAULT);
    load_yaml(c, "");
    assert_false(config_load_yaml(c, BYTES_LIT("- a\n"), "f", &e));
    assert_false(config_load_yaml(c, BYTES_LIT("name: [[a]]"), "f", &e));
    assert_false(config_load_yaml(c, BYTES_LIT("name: a\nname: b"), "f", &e));
    assert_false(config_load_yaml(c, BYTES_LIT("name: \"a\\0b\""), "f", &e));
    assert_false(config_load_yaml(c, BYTES_LIT("kafka:\n  bootstrp: a"), "f", &e));
    assert_non_null(strstr(e.text, "kafka.bootstrap"));
    assert_false(config_load_file(c, "/nonexistent/millrace.yaml", &e));
    assert_int_equal(e.code, MR_CONFIG);
    config_free(c);
}

static void
the_environment_may_name_the_brokers_in_short(void **state)
{
    static const char *const both[] = {"MILLRACE_KAFKA_BOOTSTRAP=long:1",
                                       "MILLRACE_KAFKA=short:1", NULL};
    static const char *const one[] = {"MILLRACE_KAFKA=short:1", NULL};
    static const char *const others[] = {
        "MILLRACE_", "MILLRACE", "MILLRACE_SERVICE_HOST=10.0.0.1", "MILLRACE_FAULT=x", "=",
        "",          NULL};
    static const char *const bad[] = {"MILLRACE_COMMIT_MAX_MS=x", NULL};
    struct config *c = config_new();
    struct err e;
    GIVEN(config_load_env(c, others, &e), e);
    GIVEN(config_load_env(c, one, &e), e);
    assert_string_equal(config_text(c, "kafka.bootstrap"), "short:1");
    config_free(c);
    c = config_new();
    GIVEN(config_load_env(c, both, &e), e);
    assert_string_equal(config_text(c, "kafka.bootstrap"), "long:1");
    assert_false(config_load_env(c, bad, &e));
    assert_non_null(strstr(e.text, "MILLRACE_COMMIT_MAX_MS"));
    config_free(c);
}

static void
kafka_properties_pass_through_an_allow_list(void **state)
{
    static const char *const env[] = {"MILLRACE_KAFKA_LIBRDKAFKA_SASL_USERNAME=u", NULL};
    static const char *const refused[][2] = {
        {"kafka.librdkafka.plugin.library.paths=/x.so", "loads code"},
        {"kafka.librdkafka.sasl.kerberos.kinit.cmd=rm", "runs a program"},
        {"kafka.librdkafka.ssl.engine.location=/x.so", "loads code"},
        {"kafka.librdkafka.ssl.providers=x", "loads code"},
        {"kafka.librdkafka.acks=0", "Millrace sets it itself"},
        {"kafka.librdkafka.enable.idempotence=false", "Millrace sets it itself"},
        {"kafka.librdkafka.security.protocl=ssl", "security.protocol"},
        {"kafka.librdkafka.=x", "unknown key"},
    };
    struct config *c = config_new();
    struct err e;
    const char *property;
    const char *value;
    GIVEN(config_set_pair(c, "kafka.librdkafka.security.protocol=ssl", CONFIG_FROM_FILE, &e),
          e);
    GIVEN(config_load_env(c, env, &e), e);
    GIVEN(
        config_set_pair(c, "kafka.librdkafka.security.protocol=sasl_ssl", CONFIG_FROM_FLAG, &e),
        e);
    GIVEN(
        config_set_pair(c, "kafka.librdkafka.security.protocol=plaintext", CONFIG_FROM_ENV, &e),
        e);
    assert_true(config_kafka(c, 0, &property, &value));
    assert_string_equal(property, "security.protocol");
    assert_string_equal(value, "sasl_ssl");
    assert_true(config_kafka(c, 1, &property, &value));
    assert_string_equal(property, "sasl.username");
    assert_false(config_kafka(c, 2, &property, &value));
    for (size_t i = 0; i < ARRAY_LEN(refused); i++) {
        assert_false(config_set_pair(c, refused[i][0], CONFIG_FROM_FLAG, &e));
        if (!strstr(e.text, refused[i][1]))
            fail_msg("%s: %s", refused[i][0], e.text);
    }
    assert_false(config_kafka(c, 2, &property, &value));
    config_free(c);
}

static void
a_task_sets_only_its_own_options_on_its_own_copy(void **state)
{
    struct config *c = config_new();
    struct err e;
    GIVEN(config_set_pair(c, "commit.max.ms=40", CONFIG_FROM_FLAG, &e), e);
    GIVEN(config_set_pair(c, "kafka.librdkafka.client.id=a", CONFIG_FROM_FLAG, &e), e);
    struct config *task = config_copy(c);
    GIVEN(config_set(task, "commit.max.ms", "50", CONFIG_FROM_TASK, &e), e);
    GIVEN(config_set(task, "checkpoint.schema", "other", CONFIG_FROM_TASK, &e), e);
    assert_false(config_set(task, "listen", ":80", CONFIG_FROM_TASK, &e));
    assert_int_equal(e.code, MR_CONFIG);
    assert_false(config_set(task, "kafka.librdkafka.client.id", "b", CONFIG_FROM_TASK, &e));
    assert_int_equal(config_int(task, "commit.max.ms"), 50);
    assert_int_equal(config_int(c, "commit.max.ms"), 40);
    assert_string_equal(config_text(c, "checkpoint.schema"), "millrace");
    config_free(c);
    assert_string_equal(config_text(task, "checkpoint.schema"), "other");
    const char *property;
    const char *value;
    assert_true(config_kafka(task, 0, &property, &value));
    assert_string_equal(value, "a");
    config_free(task);
}

static void
printing_masks_secrets(void **state)
{
    struct config *c = config_new();
    struct err e;
    struct buf b = {0};
    GIVEN(config_set_pair(c, "schema.registry.password=hunter2", CONFIG_FROM_FLAG, &e), e);
    GIVEN(config_set_pair(c, "kafka.librdkafka.sasl.password=hunter2", CONFIG_FROM_FILE, &e),
          e);
    config_print(c, &b);
    assert_null(strstr(buf_cstr(&b), "hunter2"));
    assert_non_null(strstr(buf_cstr(&b), "schema.registry.password = ******  (flag)\n"));
    assert_non_null(strstr(buf_cstr(&b), "kafka.librdkafka.sasl.password = ******  (file)\n"));
    assert_non_null(strstr(buf_cstr(&b), "schema.registry.user =   (default)\n"));
    assert_non_null(strstr(buf_cstr(&b), "commit.max.ms = 20  (default)\n"));
    buf_free(&b);
    config_free(c);
}

static void
a_choice_may_be_each_table_s_own(void **state)
{
    struct config *c = config_new();
    struct err e;
    assert_int_equal(config_table_choice(c, "keyless", "d", "t"), 0);
    GIVEN(config_set(c, "keyless", "append,d.t:multiset,`a.``b`.`x,y`:refuse", CONFIG_FROM_TASK,
                     &e),
          e);
    assert_int_equal(config_table_choice(c, "keyless", "d", "other"), 1);
    assert_int_equal(config_table_choice(c, "keyless", NULL, NULL), 1);
    assert_int_equal(config_table_choice(c, "keyless", "d", "t"), 2);
    assert_int_equal(config_table_choice(c, "keyless", "a.`b", "x,y"), 0);
    GIVEN(config_set(c, "keyless", "d.t:multiset", CONFIG_FROM_TASK, &e), e);
    assert_int_equal(config_table_choice(c, "keyless", "d", "u"), 0);
    static const char *const wrong[] = {"",
                                        "all",
                                        "append,",
                                        "d.t",
                                        ",append",
                                        "d.t:x",
                                        "append,append",
                                        "d.:append",
                                        "`d.t:append",
                                        "d.t:append,d.t:refuse",
                                        "append multiset"};
    for (size_t i = 0; i < ARRAY_LEN(wrong); i++)
        if (config_set(c, "keyless", wrong[i], CONFIG_FROM_TASK, &e))
            fail_msg("'%s' was taken", wrong[i]);
    config_free(c);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_option_has_a_valid_default_and_a_help_text),
        cmocka_unit_test(flag_beats_environment_beats_file_in_any_order),
        cmocka_unit_test(the_later_of_two_flags_counts),
        cmocka_unit_test(values_take_units),
        cmocka_unit_test(wrong_values_are_refused_with_the_reason),
        cmocka_unit_test(limits_themselves_are_taken),
        cmocka_unit_test(a_file_is_checked_even_where_a_flag_wins),
        cmocka_unit_test(files_take_lists_nulls_and_nested_keys),
        cmocka_unit_test(the_environment_may_name_the_brokers_in_short),
        cmocka_unit_test(kafka_properties_pass_through_an_allow_list),
        cmocka_unit_test(a_task_sets_only_its_own_options_on_its_own_copy),
        cmocka_unit_test(printing_masks_secrets),
        cmocka_unit_test(a_choice_may_be_each_table_s_own),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
