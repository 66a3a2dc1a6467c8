#include "unit/base/unit.h"

#include "base/uri.h"

static struct uri
parsed(const char *text)
{
    struct uri u;
    struct err e;
    if (!uri_parse(text, &u, &e))
        fail_msg("%s: %s", text, e.text);
    return u;
}

static void
every_part_is_found_and_decoded(void **state)
{
    struct uri u =
        parsed("MySQL://ro%40ot:p%3Aw%25%2F@db.example:3307/a%20b?tls=on&x&y=a%26b=c");
    assert_string_equal(u.scheme, "mysql");
    assert_string_equal(u.user, "ro@ot");
    assert_string_equal(u.password, "p:w%/");
    assert_string_equal(u.host, "db.example");
    assert_int_equal(u.port, 3307);
    assert_string_equal(u.path, "/a b");
    assert_int_equal(u.params_len, 3);
    assert_string_equal(uri_param(&u, "tls", ""), "on");
    assert_string_equal(uri_param(&u, "x", "d"), "");
    assert_string_equal(uri_param(&u, "y", "d"), "a&b=c");
    assert_string_equal(uri_param(&u, "z", "d"), "d");
    uri_free(&u);
}

static void
the_last_colon_before_the_last_at_begins_the_password(void **state)
{
    struct uri u = parsed("mysql://acc1:admin:111@127.0.0.1:6001");
    assert_string_equal(u.user, "acc1:admin");
    assert_string_equal(u.password, "111");
    uri_free(&u);
    u = parsed("mysql://root:p@ss@host:1");
    assert_string_equal(u.user, "root");
    assert_string_equal(u.password, "p@ss");
    assert_string_equal(u.host, "host");
    uri_free(&u);
    u = parsed("mysql://root@host");
    assert_null(u.password);
    assert_int_equal(u.port, 0);
    assert_string_equal(u.path, "");
    uri_free(&u);
    u = parsed("mysql://host:1");
    assert_null(u.user);
    uri_free(&u);
}

static void
references_are_opaque(void **state)
{
    struct uri u = parsed("mysql://root:${file:/run/a@b:c?}@host:3306/x");
    assert_string_equal(u.user, "root");
    assert_string_equal(u.password, "${file:/run/a@b:c?}");
    assert_string_equal(u.host, "host");
    assert_string_equal(u.path, "/x");
    uri_free(&u);
    u = parsed("mysql://${env:U}:${env:P}@host");
    assert_string_equal(u.user, "${env:U}");
    assert_string_equal(u.password, "${env:P}");
    struct buf b = {0};
    uri_write(&u, URI_PASSWORD_PLAIN, &b);
    assert_text(&b, "mysql://${env:U}:${env:P}@host");
    buf_free(&b);
    uri_free(&u);
}

static void
hosts_may_be_a_list_an_address_or_absent(void **state)
{
    struct uri u = parsed("kafka://a:9092,b,c:9094?prefix=p");
    assert_string_equal(u.hosts, "a:9092,b,c:9094");
    assert_string_equal(u.host, "a");
    assert_int_equal(u.port, 9092);
    uri_free(&u);
    u = parsed("kafka://a,b:9093");
    assert_string_equal(u.host, "a");
    assert_int_equal(u.port, 0);
    uri_free(&u);
    u = parsed("mysql://u:p@[::1]:3306");
    assert_string_equal(u.host, "::1");
    assert_int_equal(u.port, 3306);
    uri_free(&u);
    u = parsed("iceberg+sql:///abs/catalog.db?warehouse=s3://b/w");
    assert_string_equal(u.host, "");
    assert_string_equal(u.path, "/abs/catalog.db");
    assert_string_equal(uri_param(&u, "warehouse", ""), "s3://b/w");
    uri_free(&u);
    u = parsed("file:///with@at");
    assert_string_equal(u.path, "/with@at");
    uri_free(&u);
}

static void
errors_name_the_part_and_never_show_the_text(void **state)
{
    static const char *const cases[][2] = {
        {"", "scheme"},
        {"secret", "scheme"},
        {"://h", "scheme is empty"},
        {"1a://h", "scheme"},
        {"my sql://h", "space"},
        {"mysql://root:secret", "port is not a number"},
        {"mysql://root:secret/x@host:1", "must be %-encoded"},
        {"mysql://root:12/secret@host:1", "must be %-encoded"},
        {"mysql://u:secret@q/w@host:1", "must be %-encoded"},
        {"mysql://root:12?secret@host:1", "must be %-encoded"},
        {"mysql://root:1#secret@host:1", "must be %-encoded"},
        {"mysql://u:p@host#x", "'#'"},
        {"mysql://u:secret%zz@host", "password"},
        {"mysql://u:secret%4@host", "password"},
        {"mysql://u:secret%00@host", "password"},
        {"mysql://%@host", "user"},
        {"mysql://u:secret@host:0", "port is 0"},
        {"mysql://u:secret@host:65536", "above 65535"},
        {"mysql://u:secret@host:", "port"},
        {"mysql://u:secret@host:3306x", "port"},
        {"mysql://u:secret@:3306", "host is empty"},
        {"mysql://u:secret@a%3a1", "its host has a character"},
        {"kafka://a%2cb", "its host has a character"},
        {"mysql://u:secret@[::1", "']'"},
        {"mysql://u:secret@[::1]3306", "follows its host"},
        {"kafka://a,,b", "list is empty"},
        {"kafka://a,b,", "list is empty"},
        {"kafka://a,b:x", "port"},
        {"mysql://h?=v", "no name"},
        {"mysql://h?a=secret&a=2", "option a is given twice"},
        {"mysql://h?a=%f", "options"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct uri u;
        struct err e;
        if (uri_parse(cases[i][0], &u, &e))
            fail_msg("%s was taken", cases[i][0]);
        assert_int_equal(e.code, MR_BAD_URI);
        if (!strstr(e.text, cases[i][1]) || strstr(e.text, "secret"))
            fail_msg("%s: %s", cases[i][0], e.text);
    }
}

static void
lengths_and_counts_are_limited(void **state)
{
    struct uri u;
    struct err e;
    struct buf b = {0};
    buf_add_str(&b, "mysql://h/");
    while (b.n < URI_MAX)
        buf_add_byte(&b, 'x');
    assert_true(uri_parse(buf_cstr(&b), &u, &e));
    uri_free(&u);
    buf_add_byte(&b, 'x');
    assert_false(uri_parse(buf_cstr(&b), &u, &e));
    buf_reset(&b);
    buf_add_str(&b, "mysql://h?");
    for (int i = 0; i < URI_PARAMS_MAX; i++)
        buf_addf(&b, "%sk%d=1", i ? "&" : "", i);
    assert_true(uri_parse(buf_cstr(&b), &u, &e));
    assert_int_equal(u.params_len, URI_PARAMS_MAX);
    uri_free(&u);
    buf_add_str(&b, "&one_more=1");
    assert_false(uri_parse(buf_cstr(&b), &u, &e));
    buf_free(&b);
}

static void
masked_output_has_exactly_six_stars_and_keeps_user_and_account(void **state)
{
    static const char *const cases[][2] = {
        {"mysql://root:111@127.0.0.1:6001", "mysql://root:******@127.0.0.1:6001"},
        {"mysql://acc1:admin:p%40ss@h:1", "mysql://acc1:admin:******@h:1"},
        {"mysql://root:@h", "mysql://root:******@h"},
        {"mysql://root@h", "mysql://root@h"},
        {"mysql://root:${env:P}@h", "mysql://root:******@h"},
        {"mysql://u:p@[::1]:2/a%20b?tls=on", "mysql://u:******@[::1]:2/a%20b?tls=on"},
        {"iceberg+rest://h:1/p?s3.secret-access-key=abc&region=eu",
         "iceberg+rest://h:1/p?s3.secret-access-key=******&region=eu"},
        {"x://h?Token=abc", "x://h?Token=******"},
        {"no uri with secret", "(not a valid connection string)"},
    };
    for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
        struct buf b = {0};
        uri_masked_text(cases[i][0], &b);
        assert_text(&b, cases[i][1]);
        buf_free(&b);
    }
}

static void
assert_same_text(const char *a, const char *b)
{
    assert_int_equal(a != NULL, b != NULL);
    if (a)
        assert_string_equal(a, b);
}

static const char *
random_text(struct prng *r, char *out, size_t max)
{
    static const char chars[] = "ab:@/?#&=%${}[],. +~\xc3\xa4|";
    size_t n = prng_below(r, max);
    for (size_t i = 0; i < n; i++)
        out[i] = chars[prng_below(r, sizeof(chars) - 1)];
    out[n] = '\0';
    /* "${" would begin a reference, which is written as it is. */
    for (char *at; (at = strstr(out, "${")) != NULL;)
        *at = '_';
    return out;
}

static void
what_is_written_parses_to_the_same_parts(void **state)
{
    struct prng r = prng_begin(__func__);
    for (int round = 0; round < 3000; round++) {
        char user[12], password[12], path[12], value[12];
        struct uri in = {.scheme = "mysql", .host = "h", .hosts = "h:3", .port = 3};
        in.user = prng_below(&r, 4) ? random_text(&r, user, sizeof(user)) : NULL;
        in.password = in.user && prng_below(&r, 4) ? random_text(&r, password, 12) : NULL;
        path[0] = '/';
        random_text(&r, path + 1, sizeof(path) - 1);
        in.path = prng_below(&r, 2) ? path : "";
        in.params[0] = (struct uri_param){"k", random_text(&r, value, sizeof(value))};
        in.params_len = prng_below(&r, 2);
        struct buf b = {0};
        uri_write(&in, URI_PASSWORD_PLAIN, &b);
        struct uri out = parsed(buf_cstr(&b));
        assert_same_text(out.user, in.user);
        assert_same_text(out.password, in.password);
        assert_string_equal(out.host, "h");
        assert_int_equal(out.port, 3);
        assert_string_equal(out.path, in.path);
        assert_int_equal(out.params_len, in.params_len);
        if (in.params_len)
            assert_string_equal(out.params[0].value, value);
        uri_free(&out);
        buf_reset(&b);
        uri_write(&in, URI_PASSWORD_LEFT_OUT, &b);
        out = parsed(buf_cstr(&b));
        assert_same_text(out.user, in.user);
        assert_null(out.password);
        uri_free(&out);
        buf_free(&b);
    }
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(every_part_is_found_and_decoded),
        cmocka_unit_test(the_last_colon_before_the_last_at_begins_the_password),
        cmocka_unit_test(references_are_opaque),
        cmocka_unit_test(hosts_may_be_a_list_an_address_or_absent),
        cmocka_unit_test(errors_name_the_part_and_never_show_the_text),
        cmocka_unit_test(lengths_and_counts_are_limited),
        cmocka_unit_test(masked_output_has_exactly_six_stars_and_keeps_user_and_account),
        cmocka_unit_test(what_is_written_parses_to_the_same_parts),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
