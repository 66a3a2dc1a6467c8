/* The published examples: the test suite of Signature Version 4 (aws-sig-v4-test-suite), and
 * those of "Signature Calculations for the Authorization Header" in the Amazon S3 API
 * Reference. */
#include "lake/sigv4.h"
#include "unit/lake/lake_unit.h"

#define PAIRS(...)              \
    (const struct sigv4_pair[]) \
    {                           \
        __VA_ARGS__             \
    }
#define EMPTY "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

static const struct sigv4_key suite_key = {"AKIDEXAMPLE",
                                           "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY"};
static const struct sigv4_key s3_key = {"AKIAIOSFODNN7EXAMPLE",
                                        "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY"};

static void
check(const struct sigv4_request *r, const struct sigv4_key *key, const char *headers,
      const char *signature)
{
    struct buf got = {0};
    sigv4_authorization(r, key, &got);
    char *want = mem_printf("AWS4-HMAC-SHA256 Credential=%s/%.8s/us-east-1/%s/aws4_request, "
                            "SignedHeaders=%s, Signature=%s",
                            key->id, r->time, r->service, headers, signature);
    assert_string_equal(buf_cstr(&got), want);
    free(want);
    buf_free(&got);
}

static void
check_suite(const char *method, const char *path, const struct sigv4_pair *query,
            size_t query_len, const char *signature)
{
    const struct sigv4_request r = {
        .method = method,
        .path = path,
        .query = query,
        .query_len = query_len,
        .headers = PAIRS({"X-Amz-Date", "20150830T123600Z"}, {"Host", "example.amazonaws.com"}),
        .headers_len = 2,
        .payload_hash = EMPTY,
        .time = "20150830T123600Z",
        .region = "us-east-1",
        .service = "service"};
    check(&r, &suite_key, "host;x-amz-date", signature);
}

static void
the_suite_of_aws_signs_alike(void **state)
{
    check_suite("GET", "/", NULL, 0,
                "5fa00fa31553b73ebf1942676e86291e8372ff2a2260956d9b8aae1d763fbf31");
    check_suite("POST", "/", NULL, 0,
                "5da7c1a2acd57cee7505fc6676e4e544621c30862966e37dddb68e92efbe5d6b");
    check_suite("GET", "/", PAIRS({"Param2", "value2"}, {"Param1", "value1"}), 2,
                "b97d918cfa904a5beff61c982a1b6f458b799221646efd99d3219ec94cdf2500");
    check_suite("GET", "/", PAIRS({"\xe1\x88\xb4", "bar"}), 1,
                "2cdec8eed098649ff3a119c94853b13c643bcf08f8b0a1d91e12c9027818dd04");
}

static void
values_of_headers_are_trimmed(void **state)
{
    const struct sigv4_request r = {
        .method = "GET",
        .path = "/",
        .headers = PAIRS({"Host", "example.amazonaws.com"}, {"My-Header1", " value1"},
                         {"My-Header2", " \"a   b   c\""}, {"X-Amz-Date", "20150830T123600Z"}),
        .headers_len = 4,
        .payload_hash = EMPTY,
        .time = "20150830T123600Z",
        .region = "us-east-1",
        .service = "service"};
    check(&r, &suite_key, "host;my-header1;my-header2;x-amz-date",
          "acc3ed3afb60bb290fc8d2dd0098b9911fcaa05412b367055dee359757a9c736");
}

static void
the_examples_of_s3_sign_alike(void **state)
{
    const char *body = "Welcome to Amazon S3.", *host = "examplebucket.s3.amazonaws.com";
    char hash[SIGV4_HASH_SIZE], time[SIGV4_TIME_SIZE];
    sigv4_time(1369353600000, time);
    struct sigv4_request r = {.method = "GET",
                              .path = "/test.txt",
                              .headers =
                                  PAIRS({"Host", host}, {"Range", "bytes=0-9"},
                                        {"x-amz-content-sha256", EMPTY}, {"x-amz-date", time}),
                              .headers_len = 4,
                              .payload_hash = EMPTY,
                              .time = time,
                              .region = "us-east-1",
                              .service = "s3"};
    check(&r, &s3_key, "host;range;x-amz-content-sha256;x-amz-date",
          "f0e8bdb87c964420e857bd35b5d6ed310bd44f0170aba48dd91039c6036bdb41");
    sigv4_hash(bytes_str(body), hash);
    r = (struct sigv4_request){
        .method = "PUT",
        .path = "/test%24file.text",
        .headers = PAIRS({"Host", host}, {"Date", "Fri, 24 May 2013 00:00:00 GMT"},
                         {"x-amz-date", time}, {"x-amz-storage-class", "REDUCED_REDUNDANCY"},
                         {"x-amz-content-sha256", hash}),
        .headers_len = 5,
        .payload_hash = hash,
        .time = time,
        .region = "us-east-1",
        .service = "s3"};
    check(&r, &s3_key, "date;host;x-amz-content-sha256;x-amz-date;x-amz-storage-class",
          "98ad721746da40c64f1a55b78f14c238d841ea1380cd77a1b5971af0ece108bd");
    r = (struct sigv4_request){
        .method = "GET",
        .path = "/",
        .query = PAIRS({"lifecycle", ""}),
        .query_len = 1,
        .headers = PAIRS({"Host", host}, {"x-amz-date", time}, {"x-amz-content-sha256", EMPTY}),
        .headers_len = 3,
        .payload_hash = EMPTY,
        .time = time,
        .region = "us-east-1",
        .service = "s3"};
    check(&r, &s3_key, "host;x-amz-content-sha256;x-amz-date",
          "fea454ca298b7da1c68078a5d1bdbfbbe0d65c699e0f91ac7a200a0136783543");
    r.query = PAIRS({"prefix", "J"}, {"max-keys", "2"});
    r.query_len = 2;
    check(&r, &s3_key, "host;x-amz-content-sha256;x-amz-date",
          "34b48302e7b5fa45bde8084f4b7868a86f0a534bc59db6670ed5711ef69dc6f7");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_suite_of_aws_signs_alike),
        cmocka_unit_test(values_of_headers_are_trimmed),
        cmocka_unit_test(the_examples_of_s3_sign_alike),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
