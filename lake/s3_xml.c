/* S3's XML, tag by tag. */
#include "lake/s3_xml.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"

struct s3_xml
s3_xml_of(struct bytes answer)
{
    return (struct s3_xml){.r = reader_of(answer)};
}

/* The bytes before the next `stop`, which is passed; failed when there is none. */
static struct bytes
take_until(struct reader *r, char stop)
{
    const uint8_t *end =
        r->failed || !reader_left(r) ? NULL : memchr(r->p, stop, reader_left(r));
    if (!end) {
        r->failed = true;
        return bytes_of(NULL, 0);
    }
    struct bytes b = reader_take(r, (size_t)(end - r->p));
    reader_u8(r);
    return b;
}

/* The bytes of a tag between '<' and '>'; a comment ends with "-->". */
static struct bytes
take_tag(struct reader *r)
{
    struct bytes tag = take_until(r, '>');
    if (tag.n < 3 || memcmp(tag.p, "!--", 3) != 0)
        return tag;
    struct bytes last = tag;
    while (!r->failed && (last.n < 2 || memcmp(last.p + last.n - 2, "--", 2) != 0))
        last = take_until(r, '>');
    return bytes_of(tag.p, 1);
}

/* The element's name without its namespace's prefix. */
static struct bytes
name_of(struct bytes tag)
{
    size_t n = 0, from = 0;
    for (; n < tag.n && !strchr(" \t\r\n/", tag.p[n]); n++) {
        if (tag.p[n] == ':')
            from = n + 1;
    }
    return bytes_of(tag.p + from, n - from);
}

/* Takes one tag; is it an end of an element? */
static bool
pass_tag(struct s3_xml *x, struct s3_element *out)
{
    struct bytes text = take_until(&x->r, '<');
    struct bytes tag = take_tag(&x->r);
    bool leaf = x->opened;
    if (x->r.failed || tag.n == 0) {
        x->r.failed = true;
        return false;
    }
    if (tag.p[0] == '?' || tag.p[0] == '!')
        return false;
    bool closes = tag.p[0] == '/';
    bool empty = !closes && tag.p[tag.n - 1] == '/';
    x->opened = !closes && !empty;
    if (!closes && !empty)
        return false;
    out->name = name_of(closes ? bytes_of(tag.p + 1, tag.n - 1) : tag);
    out->text = closes && leaf ? text : bytes_of(NULL, 0);
    return true;
}

static bool
only_spaces(const struct reader *r)
{
    for (const uint8_t *p = r->p; p < r->end; p++) {
        if (!strchr(" \t\r\n", *p))
            return false;
    }
    return true;
}

bool
s3_xml_next(struct s3_xml *x, struct s3_element *out)
{
    while (!x->r.failed && !only_spaces(&x->r)) {
        if (pass_tag(x, out))
            return true;
    }
    return false;
}

bool
s3_element_is(const struct s3_element *el, const char *name)
{
    return bytes_eq(el->name, bytes_str(name));
}

static void
add_utf8(struct buf *out, unsigned long c)
{
    if (c < 0x80) {
        buf_add_byte(out, (uint8_t)c);
    } else if (c < 0x800) {
        buf_add_byte(out, (uint8_t)(0xc0 | c >> 6));
        buf_add_byte(out, (uint8_t)(0x80 | (c & 0x3f)));
    } else if (c < 0x10000) {
        buf_add_byte(out, (uint8_t)(0xe0 | c >> 12));
        buf_add_byte(out, (uint8_t)(0x80 | (c >> 6 & 0x3f)));
        buf_add_byte(out, (uint8_t)(0x80 | (c & 0x3f)));
    } else if (c < 0x110000) {
        buf_add_byte(out, (uint8_t)(0xf0 | c >> 18));
        buf_add_byte(out, (uint8_t)(0x80 | (c >> 12 & 0x3f)));
        buf_add_byte(out, (uint8_t)(0x80 | (c >> 6 & 0x3f)));
        buf_add_byte(out, (uint8_t)(0x80 | (c & 0x3f)));
    }
}

/* name: between '&' and ';'. An unknown one stays as it is. */
static void
add_reference(struct buf *out, struct bytes name)
{
    static const struct {
        const char *name;
        char c;
    } known[] = {{"amp", '&'}, {"lt", '<'}, {"gt", '>'}, {"quot", '"'}, {"apos", '\''}};
    char digits[12];
    for (size_t i = 0; i < ARRAY_LEN(known); i++) {
        if (bytes_eq(name, bytes_str(known[i].name))) {
            buf_add_byte(out, (uint8_t)known[i].c);
            return;
        }
    }
    if (name.n < 2 || name.p[0] != '#' || name.n > sizeof(digits)) {
        buf_addf(out, "&%.*s;", (int)name.n, (const char *)name.p);
        return;
    }
    bool hex = name.p[1] == 'x';
    snprintf(digits, sizeof(digits), "%.*s", (int)name.n - 1 - hex, name.p + 1 + hex);
    add_utf8(out, strtoul(digits, NULL, hex ? 16 : 10));
}

char *
s3_element_text(const struct s3_element *el)
{
    struct buf b = {0};
    struct reader r = reader_of(el->text);
    while (reader_left(&r)) {
        const uint8_t *at = memchr(r.p, '&', reader_left(&r));
        buf_add_bytes(&b, reader_take(&r, at ? (size_t)(at - r.p) : reader_left(&r)));
        if (!at)
            break;
        reader_u8(&r);
        struct bytes name = take_until(&r, ';');
        if (r.failed)
            break;
        add_reference(&b, name);
    }
    char *text = mem_strn(buf_bytes(&b));
    buf_free(&b);
    return text;
}

void
s3_xml_find(struct bytes answer, const char *name, char *out, size_t out_size)
{
    struct s3_xml x = s3_xml_of(answer);
    struct s3_element el;
    out[0] = '\0';
    while (s3_xml_next(&x, &el)) {
        if (!s3_element_is(&el, name))
            continue;
        char *text = s3_element_text(&el);
        snprintf(out, out_size, "%s", text);
        free(text);
        return;
    }
}
