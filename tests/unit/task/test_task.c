#include "unit_task.h"

static struct task *
again(const struct task *t)
{
    struct buf text = {0};
    struct task *copy = NULL;
    struct err e = {0};
    task_to_json(t, &text);
    if (!task_from_json(buf_bytes(&text), &copy, &e))
        fail_msg("%s", e.text);
    buf_free(&text);
    return copy;
}

static void
a_record_reads_as_it_was_written(void **state)
{
    struct err e = {0};
    struct task *t = sample_task(TASK_TABLE, "a.t:b.u, a.s");
    assert_true(task_set_exclude(t, "_old$", &e));
    t->inc = 0xfedcba9876543210;
    t->generation = UINT64_C(1) << 63;
    t->desired = TASK_STOPPED;
    t->sources[0].at.secret = (struct task_seal){"aes-256-gcm", BYTES_LIT("0123456789ab"),
                                                 BYTES_LIT("\x00\xff sealed")};
    t->full = false;
    t->position = json_object_new();
    json_set(t->position, "k", json_str("mysql"));
    t->on_gap = TASK_GAP_RESYNC;
    t->delivery = TASK_FAST;
    t->consistency = TASK_BY_TASK;
    t->format = CODEC_JSON;
    t->partitions = 7;
    json_set(t->params, "max.sql.length", json_str("1M"));

    struct task *r = again(t);
    assert_string_equal(r->id, t->id);
    assert_true(r->inc == t->inc && r->generation == t->generation);
    assert_true(r->created_us == t->created_us);
    assert_int_equal(r->desired, TASK_STOPPED);
    assert_string_equal(r->owner, "repl");
    assert_int_equal(r->level, TASK_TABLE);
    assert_int_equal(r->objects_len, 2);
    assert_string_equal(r->objects[0].table, "s");
    assert_string_equal(r->objects[1].to_table, "u");
    assert_string_equal(r->exclude, "_old$");
    assert_non_null(r->exclude_regex);
    assert_true(bytes_eq(r->sources[0].at.secret.ct, t->sources[0].at.secret.ct));
    assert_string_equal(r->sources[0].at.secret.alg, "aes-256-gcm");
    assert_null(r->sink.secret.alg);
    assert_false(r->full);
    assert_string_equal(json_get_str(r->position, "k", ""), "mysql");
    assert_int_equal(r->on_gap, TASK_GAP_RESYNC);
    assert_int_equal(r->delivery, TASK_FAST);
    assert_int_equal(r->consistency, TASK_BY_TASK);
    assert_int_equal(r->format, CODEC_JSON);
    assert_int_equal(r->partitions, 7);
    assert_string_equal(json_get_str(r->params, "max.sql.length", ""), "1M");
    struct task *copy = task_copy(r);
    assert_string_equal(copy->id, t->id);
    task_unref(copy);
    task_unref(r);
    task_unref(t);
}

static void
refused(const char *from, const char *to, const char *naming)
{
    struct task *t = sample_task(TASK_DATABASE, NULL), *r = NULL;
    struct buf text = {0}, changed = {0};
    struct err e = {0};
    task_to_json(t, &text);
    const char *all = buf_cstr(&text);
    const char *at = strstr(all, from);
    if (at == NULL)
        fail_msg("%s is not in %s", from, all);
    buf_add(&changed, all, (size_t)(at - all));
    buf_add_str(&changed, to);
    buf_add_str(&changed, at + strlen(from));
    assert_false(task_from_json(buf_bytes(&changed), &r, &e));
    assert_null(r);
    assert_int_equal(e.code, MR_TASK_RECORD);
    if (strstr(e.text, naming) == NULL)
        fail_msg("'%s' does not name %s", e.text, naming);
    buf_free(&text);
    buf_free(&changed);
    task_unref(t);
}

static void
a_damaged_or_newer_record_is_refused_and_says_what(void **state)
{
    refused("{\"v\":1", "{\"v\":2", "version 2");
    refused("{\"v\":1", "{\"w\":1", "version 0");
    refused("{\"v\":1", "[\"v\":1", "JSON");
    refused("\"desired\":\"running\"", "\"desired\":\"walking\"", "desired");
    refused("\"inc\":\"", "\"inc\":\"zz", "inc");
    refused("\"generation\":1", "\"generation\":0", "generation");
    refused("\"level\":\"database\"", "\"level\":\"galaxy\"", "select");
    refused("\"merge\":null", "\"merge\":{}", "select");
    refused("\"databases\":[]", "\"databases\":[[\"a\"]]", "select");
    refused("\"databases\":[]", "\"databases\":[[\"a\",5]]", "select");
    refused("\"sources\":[{", "\"sourcez\":[{", "sources");
    refused("\"exclude\":null", "\"exclude\":\"((\"", "exclude");
    refused("\"delivery\":\"exactly-once\"", "\"delivery\":\"twice\"", "delivery");
    refused("\"partitions\":4", "\"partitions\":0", "partitions");
    refused("\"prefix\":\"shop\"", "\"prefix\":null", "prefix");
}

static void
random_damage_never_crashes_the_reader(void **state)
{
    struct prng rng = prng_begin("random_damage");
    struct task *t = sample_task(TASK_TABLE, "a.t:b.u, a.s");
    struct buf text = {0};
    task_to_json(t, &text);
    for (int i = 0; i < 3000; i++) {
        struct buf copy = {0};
        struct task *r = NULL;
        struct err e = {0};
        buf_add_bytes(&copy, buf_bytes(&text));
        for (size_t n = 1 + prng_below(&rng, 3); n > 0; n--)
            copy.p[prng_below(&rng, copy.n)] = (uint8_t)prng_next(&rng);
        if (task_from_json(buf_bytes(&copy), &r, &e))
            task_unref(r);
        else
            assert_int_equal(e.code, MR_TASK_RECORD);
        buf_free(&copy);
    }
    buf_free(&text);
    task_unref(t);
}

static void
names_that_can_be_topics_are_names(void **state)
{
    struct err e = {0};
    char longest[TASK_NAME_MAX + 2];
    memset(longest, 'x', sizeof(longest));
    longest[TASK_NAME_MAX + 1] = '\0';
    assert_true(task_check_name("A-z_0.9", &e));
    assert_false(task_check_name("", &e));
    assert_int_equal(e.class, ERR_USAGE);
    assert_false(task_check_name("a b", &e));
    assert_false(task_check_name("a/b", &e));
    assert_false(task_check_name("\xc3\xa4", &e));
    assert_false(task_check_name(longest, &e));
    longest[TASK_NAME_MAX] = '\0';
    assert_true(task_check_name(longest, &e));
}

static void
a_task_is_checked_as_a_whole(void **state)
{
    struct err e = {0};
    struct task *t = sample_task(TASK_ACCOUNT, NULL);
    assert_true(task_check(t, &e));
    t->prefix = "Millrace";
    assert_false(task_check(t, &e));
    t->prefix = "millrace.x";
    assert_false(task_check(t, &e));
    t->prefix = "shop";
    json_set(t->params, "max.sql.length", json_str("many"));
    assert_false(task_check(t, &e));
    json_set(t->params, "max.sql.length", json_str("4096"));
    assert_true(task_check(t, &e));
    json_set(t->params, "no.such", json_str("1"));
    assert_false(task_check(t, &e));
    json_free(t->params);
    t->params = json_object_new();
    t->sink.uri = NULL;
    assert_false(task_check(t, &e));
    t->sink_type = TASK_SINK_KAFKA;
    assert_true(task_check(t, &e));
    t->level = TASK_DATABASE;
    assert_false(task_check(t, &e));
    task_unref(t);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_record_reads_as_it_was_written),
        cmocka_unit_test(a_damaged_or_newer_record_is_refused_and_says_what),
        cmocka_unit_test(random_damage_never_crashes_the_reader),
        cmocka_unit_test(names_that_can_be_topics_are_names),
        cmocka_unit_test(a_task_is_checked_as_a_whole),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
