#include "unit/base/unit.h"

#include <arpa/inet.h>
#include <stdatomic.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/http_client.h"
#include "base/http_server.h"
#include "base/thread.h"

static struct http_server *server;
static struct http_client *client;
static char base_url[64];

/* Answers with what it was asked, so that the tests see it. */
static void
echo(void *ctx, const struct http_request *req, struct http_response *res)
{
    assert_ptr_equal(ctx, &server);
    const char *size = http_request_param(req, "size");
    if (strcmp(req->path, "/none") == 0) {
        res->status = 204;
        return;
    }
    if (size) {
        for (unsigned long n = strtoul(size, NULL, 10); n; n--)
            buf_add_byte(&res->body, 'x');
        return;
    }
    if (strcmp(req->path, "/fail") == 0) {
        res->body.failed = true;
        return;
    }
    const char *login = http_request_header(req, "authorization");
    const char *key = http_request_param(req, "k");
    res->status = strcmp(req->path, "/missing") == 0 ? 404 : 200;
    res->content_type = "text/plain";
    http_response_header(res, "X-Echo", "  some value ");
    buf_addf(&res->body, "%s %s ?%s k=%s login=%s body=", req->method, req->path, req->query,
             key ? key : "(none)", login ? login : "(none)");
    buf_add_bytes(&res->body, req->body);
}

static int
begin(void **state)
{
    struct err e;
    if (!http_server_start("127.0.0.1:0", echo, &server, &server, &e))
        return -1;
    snprintf(base_url, sizeof(base_url), "http://127.0.0.1:%u", http_server_port(server));
    client = http_client_new();
    return 0;
}

static int
end(void **state)
{
    http_client_free(client);
    http_server_stop(server);
    http_server_stop(NULL);
    http_client_free(NULL);
    return 0;
}

static struct http_reply reply;

/* The reply's body, after a call that must be answered. */
static const char *
asked(const struct http_call *call, const char *path)
{
    struct http_call c = *call;
    struct err e;
    char url[512];
    snprintf(url, sizeof(url), "%s%s", base_url, path);
    c.url = url;
    if (!http_client_call(client, &c, &reply, &e))
        fail_msg("%s", e.text);
    return buf_cstr(&reply.body);
}

static void
requests_and_answers_carry_every_part(void **state)
{
    char value[32];
    assert_string_equal(asked(&(struct http_call){0}, "/a/b?k=1%202&x"),
                        "GET /a/b ?k=1%202&x k=1 2 login=(none) body=");
    assert_int_equal(reply.status, 200);
    assert_true(http_reply_header(&reply, "content-type", value, sizeof(value)));
    assert_string_equal(value, "text/plain");
    assert_true(http_reply_header(&reply, "X-ECHO", value, sizeof(value)));
    assert_string_equal(value, "some value");
    assert_false(http_reply_header(&reply, "X-ECH", value, sizeof(value)));
    assert_false(http_reply_header(&reply, "X-ECHO", value, 10));
    assert_true(http_reply_header(&reply, "X-ECHO", value, 11));
    struct http_call post = {
        .method = "POST", .body = BYTES_LIT("a=1"), .user = "u", .password = "p"};
    assert_string_equal(asked(&post, "/p"), "POST /p ? k=(none) login=Basic dTpw body=a=1");
    struct http_call put = {.method = "PUT", .body = BYTES_LIT("")};
    assert_string_equal(asked(&put, "/p"), "PUT /p ? k=(none) login=(none) body=");
    struct http_call del = {.method = "DELETE", .once = true};
    assert_string_equal(asked(&del, "/p%20q"), "DELETE /p q ? k=(none) login=(none) body=");
    static const char *const headers[] = {"Authorization: Bearer t", NULL};
    struct http_call get = {.headers = headers};
    assert_string_equal(asked(&get, "/"), "GET / ? k=(none) login=Bearer t body=");
}

static void
every_status_is_an_answer(void **state)
{
    asked(&(struct http_call){0}, "/missing");
    assert_int_equal(reply.status, 404);
    assert_string_equal(asked(&(struct http_call){0}, "/none"), "");
    assert_int_equal(reply.status, 204);
    asked(&(struct http_call){0}, "/fail");
    assert_int_equal(reply.status, 500);
    struct http_call head = {.method = "HEAD"};
    assert_string_equal(asked(&head, "/a"), "");
    assert_int_equal(reply.status, 200);
}

static void
a_body_of_the_limit_is_taken_and_one_byte_more_is_413(void **state)
{
    static uint8_t big[(1 << 20) + 1];
    memset(big, 'b', sizeof(big));
    struct http_call post = {.method = "POST", .body = bytes_of(big, HTTP_BODY_MAX)};
    asked(&post, "/p");
    assert_int_equal(reply.status, 200);
    assert_int_equal(reply.body.p[reply.body.n - 1], 'b');
    assert_true(reply.body.n > HTTP_BODY_MAX);
    post.body.n++;
    asked(&post, "/p");
    assert_int_equal(reply.status, 413);
}

static void
an_answer_above_the_caller_s_limit_is_an_error(void **state)
{
    char url[128];
    struct err e;
    struct http_call call = {
        .url = url, .reply_max = 1000, .unreachable = MR_REGISTRY_UNREACHABLE};
    snprintf(url, sizeof(url), "%s/x?size=1000", base_url);
    assert_true(http_client_call(client, &call, &reply, &e));
    assert_int_equal(reply.body.n, 1000);
    snprintf(url, sizeof(url), "%s/x?size=1001", base_url);
    assert_false(http_client_call(client, &call, &reply, &e));
    assert_int_equal(e.code, MR_REGISTRY_UNREACHABLE);
    assert_non_null(strstr(e.text, "larger than 1000"));
    assert_true(reply.maybe_sent);
    snprintf(url, sizeof(url), "%s/x?size=10", base_url);
    assert_true(http_client_call(client, &call, &reply, &e));
    assert_int_equal(reply.body.n, 10);
}

static int
listener(uint16_t *port)
{
    struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t n = sizeof(a);
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&a, n), 0);
    assert_int_equal(listen(fd, 8), 0);
    assert_int_equal(getsockname(fd, (struct sockaddr *)&a, &n), 0);
    *port = ntohs(a.sin_port);
    return fd;
}

static void
errors_hide_the_login_and_tell_whether_it_was_sent(void **state)
{
    uint16_t port;
    char url[128];
    struct err e;
    struct http_call call = {
        .url = url, .method = "POST", .body = BYTES_LIT("x"), .timeout_ms = 200};
    int fd = listener(&port);
    snprintf(url, sizeof(url), "http://user:hunter2@127.0.0.1:%u/p?token=hunter3#f", port);
    assert_false(http_client_call(client, &call, &reply, &e)); /* accepted, never answered */
    assert_true(reply.maybe_sent);
    assert_int_equal(reply.status, 0);
    assert_null(strstr(e.text, "hunter"));
    assert_non_null(strstr(e.text, "POST http://127.0.0.1"));
    close(fd);
    assert_false(http_client_call(client, &call, &reply, &e)); /* refused */
    assert_false(reply.maybe_sent);
    assert_int_equal(e.code, MR_IO);
    assert_null(strstr(e.text, "hunter"));
    static const char *const bad[] = {"file:///etc/passwd", "gopher://127.0.0.1/", "http://",
                                      ""};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        call.url = bad[i];
        assert_false(http_client_call(client, &call, &reply, &e));
        assert_false(reply.maybe_sent);
    }
}

struct canned {
    int fd;
    const char *answer;
};

/* Takes one connection, reads a request, sends the answer, closes. */
static void
serve_canned(void *arg)
{
    const struct canned *c = arg;
    char request[4096];
    int fd = accept(c->fd, NULL, NULL);
    ssize_t n = read(fd, request, sizeof(request));
    if (n > 0)
        n = write(fd, c->answer, strlen(c->answer));
    close(fd);
}

static void
answers_that_break_off_are_errors_and_redirects_are_not_followed(void **state)
{
    static const char *const answers[][2] = {
        {"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nshort", NULL},
        {"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n5\r\nshort", NULL},
        {"", NULL},
        {"HTTP/1.1 302 Found\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n",
         "302"},
        {"HTTP/1.1 100 Continue\r\nX-A: 1\r\n\r\nHTTP/1.1 201 Created\r\nContent-Length: "
         "0\r\n\r\n",
         "201"},
    };
    for (size_t i = 0; i < ARRAY_LEN(answers); i++) {
        uint16_t port;
        char url[64];
        struct err e;
        struct thread t = {0};
        struct canned canned = {.fd = listener(&port), .answer = answers[i][0]};
        struct http_call call = {.url = url};
        thread_start(&t, "canned", serve_canned, &canned);
        snprintf(url, sizeof(url), "http://127.0.0.1:%u/", port);
        bool ok = http_client_call(client, &call, &reply, &e);
        thread_join(&t);
        close(canned.fd);
        if (!answers[i][1]) {
            assert_false(ok);
            assert_true(reply.maybe_sent);
            assert_int_equal(reply.status, 0);
            continue;
        }
        assert_true(ok);
        assert_int_equal(reply.status, strtol(answers[i][1], NULL, 10));
        char value[8];
        assert_false(http_reply_header(&reply, "X-A", value, sizeof(value)));
    }
}

static int
connected(uint16_t port)
{
    struct sockaddr_in a = {.sin_family = AF_INET,
                            .sin_port = htons(port),
                            .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    assert_int_equal(connect(fd, (struct sockaddr *)&a, sizeof(a)), 0);
    return fd;
}

static void
a_request_in_single_bytes_is_understood_and_nonsense_is_not(void **state)
{
    static const char request[] = "POST /slow?k=v HTTP/1.1\r\nHost: x\r\nContent-Length: 3\r\n"
                                  "Connection: close\r\n\r\nabc";
    char answer[1024];
    int fd = connected(http_server_port(server));
    for (size_t i = 0; i < sizeof(request) - 1; i++)
        assert_int_equal(write(fd, request + i, 1), 1);
    size_t got = 0;
    for (ssize_t n; (n = read(fd, answer + got, sizeof(answer) - 1 - got)) > 0;)
        got += (size_t)n;
    answer[got] = '\0';
    assert_non_null(strstr(answer, "POST /slow ?k=v k=v login=(none) body=abc"));
    close(fd);
    fd = connected(http_server_port(server));
    assert_true(write(fd, "\r\nnonsense\r\n\r\n", 14) > 0);
    got = 0;
    for (ssize_t n; (n = read(fd, answer + got, sizeof(answer) - 1 - got)) > 0;)
        got += (size_t)n;
    answer[got] = '\0';
    assert_null(strstr(answer, " 200 "));
    close(fd);
}

static void
listen_takes_addresses_and_names_what_is_wrong(void **state)
{
    static const char *const bad[] = {"",
                                      "127.0.0.1",
                                      "127.0.0.1:",
                                      "127.0.0.1:x",
                                      "127.0.0.1:65536",
                                      "127.0.0.1:-1",
                                      "127.0.0.1:99999999999999999999"};
    static const char *const good[] = {":0", "localhost:0", "[::1]:0", "[127.0.0.1]:0"};
    struct http_server *s;
    struct err e;
    char taken[32];
    for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
        if (http_server_start(bad[i], echo, NULL, &s, &e))
            fail_msg("%s was taken", bad[i]);
        assert_int_equal(e.code, MR_CONFIG);
    }
    for (size_t i = 0; i < ARRAY_LEN(good); i++) {
        if (!http_server_start(good[i], echo, &server, &s, &e)) {
            assert_non_null(strstr(good[i], "::")); /* no IPv6 here */
            continue;
        }
        assert_true(http_server_port(s) > 0);
        if (i == 0)
            close(connected(http_server_port(s)));
        http_server_stop(s);
    }
    snprintf(taken, sizeof(taken), "127.0.0.1:%u", http_server_port(server));
    assert_false(http_server_start(taken, echo, NULL, &s, &e));
    assert_int_equal(e.code, MR_IO);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(requests_and_answers_carry_every_part),
        cmocka_unit_test(every_status_is_an_answer),
        cmocka_unit_test(a_body_of_the_limit_is_taken_and_one_byte_more_is_413),
        cmocka_unit_test(an_answer_above_the_caller_s_limit_is_an_error),
        cmocka_unit_test(errors_hide_the_login_and_tell_whether_it_was_sent),
        cmocka_unit_test(answers_that_break_off_are_errors_and_redirects_are_not_followed),
        cmocka_unit_test(a_request_in_single_bytes_is_understood_and_nonsense_is_not),
        cmocka_unit_test(listen_takes_addresses_and_names_what_is_wrong),
    };
    int failed = cmocka_run_group_tests(tests, begin, end);
    http_reply_free(&reply);
    return failed;
}
