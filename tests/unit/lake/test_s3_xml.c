/* Answers of S3 as XML. */
#include "lake/s3_xml.h"
#include "unit/lake/lake_unit.h"

static void
check_elements(const char *text, const char *want, bool fails)
{
    struct s3_xml x = s3_xml_of(bytes_str(text));
    struct s3_element el;
    struct buf got = {0};
    while (s3_xml_next(&x, &el)) {
        char *inner = s3_element_text(&el);
        buf_addf(&got, "%.*s=%s;", (int)el.name.n, (const char *)el.name.p, inner);
        free(inner);
    }
    assert_string_equal(buf_cstr(&got), want);
    assert_int_equal(x.r.failed, fails);
    buf_free(&got);
}

static void
elements_come_in_the_order_of_their_ends(void **state)
{
    check_elements("<?xml version=\"1.0\"?>\n<L xmlns=\"http://x/\"><C><Key>a b</Key><Size>1"
                   "</Size></C>\n<C><Key>c</Key></C><E/><!-- <no> --></L>\n",
                   "Key=a b;Size=1;C=;Key=c;C=;E=;L=;", false);
    check_elements("<a:Key x='1'>v</a:Key>", "Key=v;", false);
    check_elements("", "", false);
}

static void
references_are_resolved(void **state)
{
    check_elements("<K>&lt;&amp;&gt;&quot;&apos;&#65;&#x42;&#xe9;&#x20ac;&#x1F600;</K>",
                   "K=<&>\"'AB\xc3\xa9\xe2\x82\xac\xf0\x9f\x98\x80;", false);
    check_elements("<K>a&what;b&</K>", "K=a&what;b;", false);
}

static void
what_is_no_xml_fails_and_gives_no_more(void **state)
{
    static const char *const bad[] = {"x", "<a", "<a>text", "<>", "<a></a><b", "<!-- <a></a>"};
    static const char *const first[] = {"", "", "", "", "a=;", ""};
    for (size_t i = 0; i < ARRAY_LEN(bad); i++)
        check_elements(bad[i], first[i], true);
}

static void
a_member_is_found_by_name(void **state)
{
    char out[8];
    struct bytes answer = BYTES_LIT("<Error><Code>SlowDown</Code><Message>m</Message></Error>");
    s3_xml_find(answer, "Message", out, sizeof(out));
    assert_string_equal(out, "m");
    s3_xml_find(answer, "Code", out, sizeof(out));
    assert_string_equal(out, "SlowDow");
    s3_xml_find(answer, "None", out, sizeof(out));
    assert_string_equal(out, "");
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(elements_come_in_the_order_of_their_ends),
        cmocka_unit_test(references_are_resolved),
        cmocka_unit_test(what_is_no_xml_fails_and_gives_no_more),
        cmocka_unit_test(a_member_is_found_by_name),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
