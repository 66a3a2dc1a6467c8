#include "unit/base/unit.h"

#include "base/thread.h"
#include "task/registry_private.h"

static void
read_record(struct schema_book *b, uint32_t id, const char *subject, const char *schema)
{
    struct err e = {0};
    struct json *j = schema_book_record(id, subject, bytes_str(schema));
    if (!schema_book_read(b, j, &e))
        fail_msg("%s", e.text);
    json_free(j);
}

static uint32_t
id_of(const struct schema_book *b, const char *schema)
{
    char fingerprint[SCHEMA_FINGERPRINT_CHARS + 1];
    schema_fingerprint(bytes_str(schema), fingerprint);
    const struct schema_entry *s = schema_book_by_fingerprint(b, fingerprint);
    return s != NULL ? s->id : 0;
}

static void
the_first_record_wins_for_a_fingerprint_and_for_an_id(void **state)
{
    struct schema_book b;
    schema_book_init(&b);
    assert_int_equal(schema_book_next_id(&b), 1);
    read_record(&b, 1, "s-value", "\"int\"");
    read_record(&b, 1, "t-value", "\"long\""); /* lost the race for id 1: void */
    read_record(&b, 2, "t-value", "\"long\"");
    read_record(&b, 3, "u-value", "\"int\""); /* the schema has id 1 already */
    assert_int_equal(id_of(&b, "\"int\""), 1);
    assert_int_equal(id_of(&b, "\"long\""), 2);
    assert_null(schema_book_by_id(&b, 3));
    assert_int_equal(schema_book_next_id(&b), 3);
    assert_int_equal(schema_book_version(&b, "u-value", schema_book_by_id(&b, 1)), 1);
    assert_int_equal(schema_book_subject(&b, "t-value")->len, 1);
    schema_book_free(&b);
}

/* Two writers with stale knowledge: after reading the same log both know the same. */
static void
readers_of_one_log_agree_whoever_wrote(void **state)
{
    struct prng rng = prng_begin("readers_agree");
    for (int round = 0; round < 200; round++) {
        struct schema_book b;
        schema_book_init(&b);
        uint32_t first[20] = {0};
        for (int i = 0; i < 300; i++) {
            char schema[16], subject[16];
            size_t n = prng_below(&rng, 20);
            snprintf(schema, sizeof(schema), "schema %zu", n);
            snprintf(subject, sizeof(subject), "s%zu", prng_below(&rng, 5));
            uint32_t id = 1 + (uint32_t)prng_below(&rng, schema_book_next_id(&b) + 1);
            read_record(&b, id, subject, schema);
            uint32_t now = id_of(&b, schema);
            if (first[n] == 0)
                first[n] = now;
            assert_int_equal(first[n], now); /* never changes once it is there */
            if (now != 0) {
                const struct schema_entry *s = schema_book_by_id(&b, now);
                assert_true(bytes_eq(s->text, bytes_str(schema)));
                assert_true(schema_book_version(&b, subject, s) > 0);
            }
        }
        schema_book_free(&b);
    }
}

static void
records_of_another_version_are_refused(void **state)
{
    struct schema_book b;
    struct err e = {0};
    schema_book_init(&b);
    struct json *j = schema_book_record(1, "s", bytes_str("\"int\""));
    json_set(j, "v", json_i64(2));
    assert_false(schema_book_read(&b, j, &e));
    assert_int_equal(e.code, MR_KAFKA_VERSION);
    json_set(j, "v", json_i64(1));
    json_set(j, "id", json_i64(0));
    assert_false(schema_book_read(&b, j, &e));
    assert_int_equal(e.code, MR_KAFKA_BAD_RECORD);
    json_free(j);
    schema_book_free(&b);
}

static void
get(struct registry *r, const char *path, int status, const char *body)
{
    struct http_request req = {.method = "GET", .path = path, .query = ""};
    struct http_response res = {.status = 200};
    assert_true(registry_http(r, &req, &res));
    if (res.status != status || strcmp(buf_cstr(&res.body), body) != 0)
        fail_msg("%s: %d %s, not %d %s", path, res.status, buf_cstr(&res.body), status, body);
    buf_free(&res.body);
}

static void
read_calls_answer_as_the_confluent_api_does(void **state)
{
    struct registry r = {.url = NULL};
    struct http_request post = {.method = "POST", .path = "/subjects/a/versions"};
    struct http_request other = {.method = "GET", .path = "/metrics"};
    struct http_response res = {0};
    thread_lock_init(&r.lock);
    schema_book_init(&r.book);
    read_record(&r.book, 1, "shop.a-key", "\"int\"");
    read_record(&r.book, 2, "shop.a-value", "\"long\"");
    read_record(&r.book, 3, "shop.a-value", "{\"type\": \"string\"}");
    get(&r, "/subjects", 200, "[\"shop.a-key\",\"shop.a-value\"]");
    get(&r, "/subjects/shop.a-value/versions", 200, "[1,2]");
    const char *second = "{\"subject\":\"shop.a-value\",\"version\":2,\"id\":3,"
                         "\"schema\":\"{\\\"type\\\": \\\"string\\\"}\"}";
    get(&r, "/subjects/shop.a-value/versions/2", 200, second);
    get(&r, "/subjects/shop.a-value/versions/latest", 200, second);
    get(&r, "/subjects/shop.a-value/versions/2/schema", 200, "{\"type\": \"string\"}");
    get(&r, "/schemas/ids/2", 200, "{\"schema\":\"\\\"long\\\"\"}");
    get(&r, "/schemas/ids/2/schema", 200, "\"long\"");
    get(&r, "/schemas/ids/2/versions", 200, "[{\"subject\":\"shop.a-value\",\"version\":1}]");
    get(&r, "/schemas/ids/9", 404, "{\"error_code\":40403,\"message\":\"Schema not found\"}");
    get(&r, "/schemas/ids/x", 404, "{\"error_code\":40403,\"message\":\"Schema not found\"}");
    get(&r, "/subjects/nobody/versions", 404,
        "{\"error_code\":40401,\"message\":\"Subject not found.\"}");
    get(&r, "/subjects/shop.a-key/versions/3", 404,
        "{\"error_code\":40402,\"message\":\"Version not found.\"}");
    get(&r, "/schemas/types", 200, "[\"AVRO\"]");
    get(&r, "/config", 200, "{\"compatibilityLevel\":\"NONE\"}");
    get(&r, "/mode", 200, "{\"mode\":\"READONLY\"}");
    assert_false(registry_http(&r, &post, &res));
    assert_false(registry_http(&r, &other, &res));
    schema_book_free(&r.book);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_first_record_wins_for_a_fingerprint_and_for_an_id),
        cmocka_unit_test(readers_of_one_log_agree_whoever_wrote),
        cmocka_unit_test(records_of_another_version_are_refused),
        cmocka_unit_test(read_calls_answer_as_the_confluent_api_does),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
