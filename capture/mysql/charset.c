/* Character sets: see charset.h. */
#include "capture/mysql/charset.h"

#include <iconv.h>
#include <stdlib.h>

#include "base/mem.h"
#include "base/text.h"
#include "capture/mysql/charset_tables.h"

enum charset_kind { CHARSET_UTF8, CHARSET_ASCII, CHARSET_LATIN1, CHARSET_ICONV };

/* How long characters are that are not ASCII. */
enum charset_layout {
    CODES_SINGLE,
    CODES_DOUBLE,
    CODES_KANA, /* 0xa1 to 0xdf are characters */
    CODES_EUC,  /* behind 0x8f come two bytes */
    CODES_GB18030,
    CODES_UNICODE,
};

struct charset {
    enum charset_kind kind;
    enum charset_layout layout;
    iconv_t cd;                                  /* CHARSET_ICONV only */
    const struct charset_exceptions *exceptions; /* of cd, or NULL */
};

/* MySQL's names and iconv's. */
static const struct {
    const char *name;
    const char *iconv;
    enum charset_layout layout;
} names[] = {
    {"armscii8", "ARMSCII-8", CODES_SINGLE},
    {"big5", "BIG5-HKSCS", CODES_DOUBLE},
    {"cp1250", "CP1250", CODES_SINGLE},
    {"cp1251", "CP1251", CODES_SINGLE},
    {"cp1256", "CP1256", CODES_SINGLE},
    {"cp1257", "CP1257", CODES_SINGLE},
    {"cp850", "CP850", CODES_SINGLE},
    {"cp852", "CP852", CODES_SINGLE},
    {"cp866", "CP866", CODES_SINGLE},
    {"cp932", "CP932", CODES_KANA},
    {"dec8", "DEC-MCS", CODES_SINGLE},
    {"eucjpms", "EUC-JP-MS", CODES_EUC},
    {"euckr", "UHC", CODES_DOUBLE},
    {"gb18030", "GB18030", CODES_GB18030},
    {"gb2312", "EUC-CN", CODES_DOUBLE},
    {"gbk", "CP936", CODES_DOUBLE},
    {"geostd8", "GEORGIAN-PS", CODES_SINGLE},
    {"greek", "ISO-8859-7", CODES_SINGLE},
    {"hebrew", "ISO-8859-8", CODES_SINGLE},
    {"hp8", "HP-ROMAN8", CODES_SINGLE},
    {"keybcs2", "ASCII", CODES_SINGLE},
    {"koi8r", "KOI8-R", CODES_SINGLE},
    {"koi8u", "KOI8-U", CODES_SINGLE},
    {"latin2", "ISO-8859-2", CODES_SINGLE},
    {"latin5", "ISO-8859-9", CODES_SINGLE},
    {"latin7", "ISO-8859-13", CODES_SINGLE},
    {"macce", "MAC-CENTRALEUROPE", CODES_SINGLE},
    {"macroman", "MACINTOSH", CODES_SINGLE},
    {"sjis", "SHIFT_JIS", CODES_KANA},
    {"swe7", "SEN_850200_C", CODES_SINGLE},
    {"tis620", "ISO-8859-11", CODES_SINGLE},
    {"ucs2", "UCS-2BE", CODES_UNICODE},
    {"ujis", "EUC-JP-MS", CODES_EUC},
    {"utf16", "UTF-16BE", CODES_UNICODE},
    {"utf16le", "UTF-16LE", CODES_UNICODE},
    {"utf32", "UTF-32BE", CODES_UNICODE},
};

/* 0x80..0x9f of MySQL's latin1: cp1252, its five holes standing for themselves. */
static const uint16_t latin1_high[32] = {
    0x20ac, 0x0081, 0x201a, 0x0192, 0x201e, 0x2026, 0x2020, 0x2021, 0x02c6, 0x2030, 0x0160,
    0x2039, 0x0152, 0x008d, 0x017d, 0x008f, 0x0090, 0x2018, 0x2019, 0x201c, 0x201d, 0x2022,
    0x2013, 0x2014, 0x02dc, 0x2122, 0x0161, 0x203a, 0x0153, 0x009d, 0x017e, 0x0178,
};

/* Length of the leading part without high bits. */
static size_t
ascii_prefix(struct bytes b)
{
    size_t i = 0;
    for (uint64_t word; i + 8 <= b.n; i += 8) {
        memcpy(&word, b.p + i, 8);
        if (word & 0x8080808080808080u)
            break;
    }
    while (i < b.n && b.p[i] < 0x80)
        i++;
    return i;
}

/* Length of the well-formed multi-byte character at p, 0 = none (Unicode, table 3-7). */
static size_t
utf8_character(const uint8_t *p, size_t left)
{
    uint8_t c = p[0];
    size_t n = c >= 0xf0 ? 4 : c >= 0xe0 ? 3 : 2;
    if (c < 0xc2 || c > 0xf4 || left < n)
        return 0;
    uint8_t low = c == 0xe0 ? 0xa0 : c == 0xf0 ? 0x90 : 0x80;
    uint8_t high = c == 0xed ? 0x9f : c == 0xf4 ? 0x8f : 0xbf;
    if (p[1] < low || p[1] > high)
        return 0;
    for (size_t i = 2; i < n; i++)
        if ((p[i] & 0xc0) != 0x80)
            return 0;
    return n;
}

bool
utf8_valid(struct bytes b)
{
    size_t i = ascii_prefix(b);
    while (i < b.n) {
        size_t n = b.p[i] < 0x80 ? 1 : utf8_character(b.p + i, b.n - i);
        if (n == 0)
            return false;
        i += n;
    }
    return true;
}

static uint8_t *
put_utf8(uint8_t *o, unsigned c)
{
    if (c < 0x80) {
        *o++ = (uint8_t)c;
    } else if (c < 0x800) {
        *o++ = (uint8_t)(0xc0 | c >> 6);
        *o++ = (uint8_t)(0x80 | (c & 0x3f));
    } else {
        *o++ = (uint8_t)(0xe0 | c >> 12);
        *o++ = (uint8_t)(0x80 | (c >> 6 & 0x3f));
        *o++ = (uint8_t)(0x80 | (c & 0x3f));
    }
    return o;
}

static struct bytes
latin1_to_utf8(struct bytes in, struct arena *a)
{
    size_t plain = ascii_prefix(in);
    if (plain == in.n)
        return in;
    uint8_t *out = arena_alloc(a, plain + (in.n - plain) * 3);
    uint8_t *o = out;
    memcpy(o, in.p, plain);
    o += plain;
    for (size_t i = plain; i < in.n; i++) {
        uint8_t c = in.p[i];
        o = put_utf8(o, c >= 0x80 && c < 0xa0 ? latin1_high[c - 0x80] : c);
    }
    return bytes_of(out, (size_t)(o - out));
}

struct conversion {
    struct charset *cs;
    char *to;
    size_t room;
};

/* No character set of one byte or more gives above 3 bytes of UTF-8 per byte. */
static bool
convert_run(struct conversion *c, const uint8_t *begin, const uint8_t *end)
{
    char *from = (char *)(uintptr_t)begin;
    size_t left = (size_t)(end - begin);
    return !left || iconv(c->cs->cd, &from, &left, &c->to, &c->room) != (size_t)-1;
}

/* Bytes of the character at p, of sets that are not Unicode. */
static size_t
character_bytes(enum charset_layout layout, const uint8_t *p, size_t left)
{
    size_t n = 2;
    if (p[0] < 0x81 || layout == CODES_SINGLE ||
        (layout == CODES_KANA && p[0] > 0xa0 && p[0] < 0xe0))
        return 1;
    if (layout == CODES_GB18030 && left > 1 && p[1] >= '0' && p[1] <= '9')
        n = 4;
    if (layout == CODES_EUC && p[0] == 0x8f)
        n = 3;
    return n < left ? n : left;
}

static const struct charset_pair *
exception_of(const struct charset_exceptions *x, const uint8_t *p, size_t n)
{
    uint32_t code = 0;
    for (size_t i = 0; i < n; i++)
        code = code << 8 | p[i];
    size_t low = 0, high = x->n;
    while (low < high) {
        size_t middle = (low + high) / 2;
        if (x->pairs[middle].code < code)
            low = middle + 1;
        else
            high = middle;
    }
    return low < x->n && x->pairs[low].code == code ? &x->pairs[low] : NULL;
}

static bool
convert_around(struct conversion *c, struct bytes in)
{
    const struct charset_exceptions *x = c->cs->exceptions;
    const uint8_t *run = in.p, *end = in.p + in.n;
    for (const uint8_t *p = in.p; p < end;) {
        size_t n = character_bytes(c->cs->layout, p, (size_t)(end - p));
        const struct charset_pair *other = exception_of(x, p, n);
        if (other) {
            if (!other->unicode || !convert_run(c, run, p))
                return false;
            char *to = (char *)put_utf8((uint8_t *)c->to, other->unicode);
            c->room -= (size_t)(to - c->to);
            c->to = to;
            run = p + n;
        }
        p += n;
    }
    return convert_run(c, run, end);
}

static bool
iconv_to_utf8(struct charset *cs, struct bytes in, struct arena *a, struct bytes *out)
{
    size_t room = in.n * 3 + 4;
    uint8_t *made = arena_alloc(a, room);
    struct conversion c = {.cs = cs, .to = (char *)made, .room = room};
    iconv(cs->cd, NULL, NULL, NULL, NULL);
    if (cs->exceptions ? !convert_around(&c, in) : !convert_run(&c, in.p, in.p + in.n))
        return false;
    *out = bytes_of(made, (size_t)((uint8_t *)c.to - made));
    return true;
}

bool
charset_open(const char *name, struct charset **out, struct err *e)
{
    struct charset cs = {.kind = CHARSET_ICONV};
    const char *iconv_name = NULL;
    if (text_starts(name, "utf8"))
        cs.kind = CHARSET_UTF8;
    else if (strcmp(name, "ascii") == 0)
        cs.kind = CHARSET_ASCII;
    else if (strcmp(name, "latin1") == 0)
        cs.kind = CHARSET_LATIN1;
    for (size_t i = 0; i < ARRAY_LEN(names) && cs.kind == CHARSET_ICONV; i++)
        if (strcmp(names[i].name, name) == 0) {
            iconv_name = names[i].iconv;
            cs.layout = names[i].layout;
        }
    if (cs.kind == CHARSET_ICONV) {
        if (!iconv_name || (cs.cd = iconv_open("UTF-8", iconv_name)) == (iconv_t)-1)
            return err_set(e, MR_SOURCE_TYPE, "character set %s cannot be converted", name);
        cs.exceptions = charset_exceptions(name);
    }
    *out = mem_alloc(sizeof(cs));
    **out = cs;
    return true;
}

void
charset_close(struct charset *cs)
{
    if (cs && cs->kind == CHARSET_ICONV)
        iconv_close(cs->cd);
    free(cs);
}

bool
charset_to_utf8(struct charset *cs, struct bytes in, struct arena *a, struct bytes *out)
{
    *out = in;
    switch (cs->kind) {
    case CHARSET_UTF8:
        return utf8_valid(in);
    case CHARSET_ASCII:
        return ascii_prefix(in) == in.n;
    case CHARSET_LATIN1:
        *out = latin1_to_utf8(in, a);
        return true;
    case CHARSET_ICONV:
        return iconv_to_utf8(cs, in, a, out);
    }
    return false;
}

bool
charset_show(struct charset *cs, struct bytes in, struct arena *a, struct bytes *out)
{
    if (charset_to_utf8(cs, in, a, out))
        return true;
    if (cs->kind == CHARSET_UTF8 || cs->layout == CODES_UNICODE)
        return false;
    uint8_t *made = arena_alloc(a, in.n * 3 + 4), *o = made;
    for (size_t i = 0, n; i < in.n; i += n) {
        struct bytes one;
        n = character_bytes(cs->layout, in.p + i, in.n - i);
        if (!charset_to_utf8(cs, bytes_of(in.p + i, n), a, &one))
            one = BYTES_LIT("?");
        memcpy(o, one.p, one.n);
        o += one.n;
    }
    *out = bytes_of(made, (size_t)(o - made));
    return true;
}
