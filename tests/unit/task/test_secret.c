#include "unit_task.h"

#include <sys/stat.h>
#include <unistd.h>

#include "task/secret.h"

static char key_path[256];

static struct config *
configured(void)
{
    struct err e = {0};
    struct config *c = config_new();
    assert_true(config_set(c, "key.file", key_path, CONFIG_FROM_FLAG, &e));
    return c;
}

static void
seal(const struct config *c, struct task *t, const char *text, struct task_endpoint *out)
{
    struct err e = {0};
    struct uri u;
    assert_true(uri_parse(text, &u, &e));
    if (!secret_seal_endpoint(c, t, &u, out, &e))
        fail_msg("%s", e.text);
    uri_free(&u);
}

static void
a_literal_password_is_sealed_and_comes_back(void **state)
{
    struct config *c = configured();
    struct task *t = sample_task(TASK_ACCOUNT, NULL);
    struct task_endpoint at = {0};
    struct err e = {0};
    struct stat st;
    struct uri u;
    seal(c, t, "mysql://acc:root:p%40ss@h:3306?tls=on", &at);
    assert_null(strstr(at.uri, "p%40ss"));
    assert_non_null(strstr(at.uri, "tls=on"));
    assert_string_equal(at.secret.alg, "aes-256-gcm");
    assert_int_equal(stat(key_path, &st), 0);
    assert_int_equal(st.st_mode & 0777, 0600);
    assert_true(secret_open_endpoint(c, t, &at, &u, &e));
    assert_string_equal(u.password, "p@ss");
    assert_string_equal(u.user, "acc:root");
    uri_free(&u);
    task_unref(t);
    config_free(c);
}

static void
refused(const struct config *c, const struct task *t, const struct task_endpoint *at)
{
    struct err e = {0};
    struct uri u;
    assert_false(secret_open_endpoint(c, t, at, &u, &e));
    assert_int_equal(e.code, MR_SECRET);
}

static void
a_sealed_password_is_bound_to_task_and_server(void **state)
{
    struct config *c = configured();
    struct task *t = sample_task(TASK_ACCOUNT, NULL), *other = sample_task(TASK_ACCOUNT, NULL);
    struct task_endpoint at = {0};
    seal(c, t, "mysql://root:secret@h:3306", &at);
    refused(c, other, &at);
    at.uri = "mysql://root@evil:3306";
    refused(c, t, &at);
    at.uri = "mysql://root@h:3307";
    refused(c, t, &at);
    at.uri = "mysql://boot@h:3306";
    refused(c, t, &at);
    at.uri = "mysql://root@h:3306";
    at.secret.alg = "rot13";
    refused(c, t, &at);
    task_unref(t);
    task_unref(other);
    config_free(c);
}

static void
another_key_file_does_not_open(void **state)
{
    struct config *c = configured();
    struct task *t = sample_task(TASK_ACCOUNT, NULL);
    struct task_endpoint at = {0};
    seal(c, t, "mysql://root:secret@h:3306", &at);
    assert_int_equal(unlink(key_path), 0);
    refused(c, t, &at); /* a worker makes no key */
    assert_int_equal(access(key_path, F_OK), -1);
    struct task_endpoint more = {0};
    seal(c, t, "mysql://root:secret@h:3306", &more);
    refused(c, t, &at);
    task_unref(t);
    config_free(c);
}

static void
references_are_kept_and_resolved_when_opened(void **state)
{
    struct config *c = configured();
    struct task *t = sample_task(TASK_ACCOUNT, NULL);
    struct task_endpoint at = {0};
    struct err e = {0};
    struct uri u;
    seal(c, t, "mysql://root:${env:MILLRACE_TEST_PW}@h:3306", &at);
    assert_string_equal(at.uri, "mysql://root:${env:MILLRACE_TEST_PW}@h:3306");
    assert_null(at.secret.alg);
    unsetenv("MILLRACE_TEST_PW");
    refused(c, t, &at);
    setenv("MILLRACE_TEST_PW", "from env", 1);
    assert_true(secret_open_endpoint(c, t, &at, &u, &e));
    assert_string_equal(u.password, "from env");
    uri_free(&u);
    task_unref(t);
    config_free(c);
}

static void
secret_options_are_references_only(void **state)
{
    struct config *c = configured();
    struct task *t = sample_task(TASK_ACCOUNT, NULL);
    struct task_endpoint at = {0};
    struct err e = {0};
    struct uri u;
    seal(c, t, "iceberg+sql://K:s3cr@/c.db?s3.session-token=${env:MILLRACE_TEST_PW}", &at);
    assert_null(strstr(at.uri, "s3cr"));
    setenv("MILLRACE_TEST_PW", "a&b", 1);
    assert_true(secret_open_endpoint(c, t, &at, &u, &e));
    assert_string_equal(u.password, "s3cr");
    assert_string_equal(uri_param(&u, "s3.session-token", ""), "a&b");
    uri_free(&u);
    unsetenv("MILLRACE_TEST_PW");
    refused(c, t, &at);
    assert_true(uri_parse("iceberg+sql:///c.db?s3.secret-access-key=clear", &u, &e));
    assert_false(secret_seal_endpoint(c, t, &u, &at, &e));
    assert_int_equal(e.code, MR_BAD_URI);
    assert_null(strstr(e.text, "clear"));
    uri_free(&u);
    task_unref(t);
    config_free(c);
}

static void
no_password_is_no_secret(void **state)
{
    struct config *c = configured();
    struct task *t = sample_task(TASK_ACCOUNT, NULL);
    struct task_endpoint at = {0};
    struct err e = {0};
    struct uri u;
    seal(c, t, "mysql://root@h:3306", &at);
    assert_null(at.secret.alg);
    assert_true(secret_open_endpoint(c, t, &at, &u, &e));
    assert_null(u.password);
    uri_free(&u);
    task_unref(t);
    config_free(c);
}

int
main(void)
{
    char folder[] = "/tmp/millrace-secret-XXXXXX";
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_literal_password_is_sealed_and_comes_back),
        cmocka_unit_test(a_sealed_password_is_bound_to_task_and_server),
        cmocka_unit_test(another_key_file_does_not_open),
        cmocka_unit_test(references_are_kept_and_resolved_when_opened),
        cmocka_unit_test(secret_options_are_references_only),
        cmocka_unit_test(no_password_is_no_secret),
    };
    if (mkdtemp(folder) == NULL)
        return 1;
    snprintf(key_path, sizeof(key_path), "%s/key", folder);
    int failed = cmocka_run_group_tests(tests, NULL, NULL);
    unlink(key_path);
    rmdir(folder);
    return failed;
}
