#include "unit/base/unit.h"

#include "base/yaml.h"

static void
assert_yaml(const char *text, const char *want)
{
    struct json *j;
    struct err e;
    struct buf b = {0};
    if (!yaml_parse(bytes_str(text), "f", &j, &e))
        fail_msg("%s: %s", text, e.text);
    json_dump(j, &b);
    assert_text(&b, want);
    buf_free(&b);
    json_free(j);
}

static void
assert_refused(const char *text, const char *why)
{
    struct json *j;
    struct err e;
    if (yaml_parse(bytes_str(text), "f.yaml", &j, &e))
        fail_msg("%s was taken", text);
    assert_int_equal(e.code, MR_CONFIG);
    if (!strstr(e.text, why) || !strstr(e.text, "f.yaml"))
        fail_msg("%s: %s", text, e.text);
}

static void
maps_and_lists_keep_their_order(void **state)
{
    assert_yaml("z: 1\na:\n  - x\n  - {k: v}\nm: {}\nl: []\n",
                "{\"z\":1,\"a\":[\"x\",{\"k\":\"v\"}],\"m\":{},\"l\":[]}");
}

static void
plain_scalars_follow_the_core_schema(void **state)
{
    assert_yaml("[null, ~, Null, true, FALSE, yes, on]",
                "[null,null,null,true,false,\"yes\",\"on\"]");
    assert_yaml("[0, -0, 12, -12, 9223372036854775807, 9223372036854775808]",
                "[0,\"-0\",12,-12,9223372036854775807,\"9223372036854775808\"]");
    assert_yaml("[007, 0x10, 0o17, +1, 12:30, 1_000, '-1']",
                "[\"007\",\"0x10\",\"0o17\",\"+1\",\"12:30\",\"1_000\",\"-1\"]");
    assert_yaml("[1.5, -.5, 1., 1e3, 25E-2, ., e3, 1e, .inf, .nan]",
                "[1.5,-0.5,1.0,1000.0,0.25,\".\",\"e3\",\"1e\",\".inf\",\".nan\"]");
}

static void
quoted_and_tagged_scalars_are_text(void **state)
{
    assert_yaml("['1', \"true\", !!str 5, ! 6, '']", "[\"1\",\"true\",\"5\",\"6\",\"\"]");
    assert_yaml("a: |\n  x\n  y\n", "{\"a\":\"x\\ny\\n\"}");
}

static void
empty_documents_are_empty_objects(void **state)
{
    assert_yaml("", "{}");
    assert_yaml("# only a comment\n", "{}");
    assert_yaml("---\n", "{}");
    assert_yaml("~", "{}");
}

static void
aliases_repeat_their_anchor(void **state)
{
    assert_yaml("a: &x {k: 1}\nb: *x\nc: &y 5\nd: *y\n",
                "{\"a\":{\"k\":1},\"b\":{\"k\":1},\"c\":5,\"d\":5}");
    assert_yaml("a: &x 1\nb: &x 2\nc: *x\n", "{\"a\":1,\"b\":2,\"c\":2}");
}

static void
what_could_be_misread_is_refused_with_its_line(void **state)
{
    assert_refused("a: 1\nb: 2\na: 3\n", "line 3: key a stands twice");
    assert_refused("a: 1\nb:\n  c: ~\n  c: 2\n", "line 4: key c stands twice");
    assert_refused("? [a]\n: 1\n", "key that is not a plain text");
    assert_refused("a: &x {k: 1}\nb:\n  <<: *x\n", "merge keys");
    assert_refused("a: *x\n", "alias without its anchor");
    assert_refused("a: &x [*x]\n", "alias without its anchor");
    assert_refused("a: !!int 5\n", "tag");
    assert_refused("a: !mine {b: 1}\n", "tag");
    assert_refused("a: 1\n---\nb: 2\n", "more than one document");
    assert_refused("a: [1\n", "line");
    assert_refused("a:\n\t- x\n", "line 2");
}

static void
nested_aliases_cannot_blow_up(void **state)
{
    struct buf b = {0};
    buf_add_str(&b, "a0: &a0 [x, x, x, x, x, x, x, x, x, x]\n");
    for (int i = 1; i < 9; i++) {
        buf_addf(&b, "a%d: &a%d [", i, i);
        for (int j = 0; j < 10; j++)
            buf_addf(&b, "%s*a%d", j ? ", " : "", i - 1);
        buf_add_str(&b, "]\n");
    }
    assert_refused(buf_cstr(&b), "too many nodes");
    buf_free(&b);
}

static void
depth_and_size_are_limited(void **state)
{
    struct buf b = {0};
    for (int i = 0; i < 64; i++)
        buf_add_byte(&b, '[');
    for (int i = 0; i < 64; i++)
        buf_add_byte(&b, ']');
    struct json *j;
    struct err e;
    assert_true(yaml_parse(buf_bytes(&b), "f", &j, &e));
    json_free(j);
    buf_reset(&b);
    for (int i = 0; i < 65; i++)
        buf_add_byte(&b, '[');
    for (int i = 0; i < 65; i++)
        buf_add_byte(&b, ']');
    assert_refused(buf_cstr(&b), "nested too deep");
    buf_reset(&b);
    while (b.n < YAML_SIZE_MAX + 1)
        buf_add_byte(&b, ' ');
    assert_refused(buf_cstr(&b), "larger");
    buf_free(&b);
}

static void
bytes_that_are_not_text_are_refused(void **state)
{
    struct prng r = prng_begin(__func__);
    assert_refused("a: \xff\n", "");
    for (int round = 0; round < 5000; round++) {
        char text[48];
        size_t n = prng_below(&r, sizeof(text));
        static const char chars[] = "ab:-[]{},&*!|>'\"%@ \n\t#?~<0\xc3\xff";
        for (size_t i = 0; i < n; i++)
            text[i] = chars[prng_below(&r, sizeof(chars))];
        struct json *j;
        struct err e = {0};
        if (yaml_parse(bytes_of(text, n), "f", &j, &e))
            json_free(j);
        else
            assert_int_equal(e.code, MR_CONFIG);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(maps_and_lists_keep_their_order),
        cmocka_unit_test(plain_scalars_follow_the_core_schema),
        cmocka_unit_test(quoted_and_tagged_scalars_are_text),
        cmocka_unit_test(empty_documents_are_empty_objects),
        cmocka_unit_test(aliases_repeat_their_anchor),
        cmocka_unit_test(what_could_be_misread_is_refused_with_its_line),
        cmocka_unit_test(nested_aliases_cannot_blow_up),
        cmocka_unit_test(depth_and_size_are_limited),
        cmocka_unit_test(bytes_that_are_not_text_are_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
