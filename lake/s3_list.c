/* Lists of S3: pages of XML, an entry at a time. */
#include "lake/s3_list.h"

#include <stdlib.h>
#include <time.h>

#include "base/hash.h"
#include "base/mem.h"
#include "lake/s3_xml.h"

#define MARKS_MAX 2

/* What differs between the two lists. */
struct s3_list_kind {
    struct sigv4_pair query[2];
    const char *entry; /* elements: an entry, and its time */
    const char *time;
    const char *next[MARKS_MAX];  /* where the next page begins, and as which parameters */
    const char *marks[MARKS_MAX]; /* that is asked for */
};

static const struct s3_list_kind objects = {
    .query = {{"list-type", "2"}, {"encoding-type", "url"}},
    .entry = "Contents",
    .time = "LastModified",
    .next = {"NextContinuationToken"},
    .marks = {"continuation-token"}};
static const struct s3_list_kind uploads = {.query = {{"uploads", ""}},
                                            .entry = "Upload",
                                            .time = "Initiated",
                                            .next = {"NextKeyMarker", "NextUploadIdMarker"},
                                            .marks = {"key-marker", "upload-id-marker"}};

struct listing {
    const struct s3_list_kind *kind;
    struct s3_listed entry; /* at hand */
    char *at[MARKS_MAX];    /* where the next page begins; NULL: not told */
    bool encoded;           /* the page's keys are */
    bool more;
    s3_listed_fn *each;
    void *ctx;
};

static void
replace(char **at, char *text)
{
    free(*at);
    *at = text;
}

static void
forget_entry(struct listing *l)
{
    replace(&l->entry.key, NULL);
    replace(&l->entry.upload, NULL);
    l->entry = (struct s3_listed){0};
}

/* "2024-01-31T23:59:59.000Z" in Unix milliseconds; 0: not such a text. */
static uint64_t
time_of(const char *text)
{
    struct tm tm = {0};
    const char *rest = strptime(text, "%Y-%m-%dT%H:%M:%S", &tm);
    time_t seconds = rest ? timegm(&tm) : 0;
    return seconds < 0 ? 0 : (uint64_t)seconds * 1000;
}

/* In place: %XX, and '+' for a space. */
static void
decode_url(char *s)
{
    char *to = s;
    for (; *s; s++) {
        uint8_t byte = 0;
        const char digits[3] = {s[1], s[1] ? s[2] : '\0', '\0'};
        if (*s == '%' && hex_decode(digits, &byte, 1)) {
            *to++ = (char)byte;
            s += 2;
        } else {
            *to++ = *s == '+' ? ' ' : *s;
        }
    }
    *to = '\0';
}

MUST static bool
end_entry(struct listing *l, struct err *e)
{
    if (!l->entry.key)
        return err_set(e, MR_STORAGE_ERROR, "an entry has no key");
    if (l->encoded)
        decode_url(l->entry.key);
    bool ok = l->each(l->ctx, &l->entry, e);
    forget_entry(l);
    return ok;
}

/* A member of an entry or of the page; text: the listing's from here on. */
static void
take_member(struct listing *l, const struct s3_element *el, char *text)
{
    if (s3_element_is(el, "Size"))
        l->entry.size = strtoull(text, NULL, 10);
    else if (s3_element_is(el, l->kind->time))
        l->entry.time_ms = time_of(text);
    else if (s3_element_is(el, "IsTruncated"))
        l->more = strcmp(text, "true") == 0;
    char **keeps = s3_element_is(el, "Key")        ? &l->entry.key
                   : s3_element_is(el, "UploadId") ? &l->entry.upload
                                                   : NULL;
    for (size_t i = 0; i < MARKS_MAX; i++) {
        if (l->kind->next[i] && s3_element_is(el, l->kind->next[i]))
            keeps = &l->at[i];
    }
    if (keeps)
        replace(keeps, text);
    else
        free(text);
}

MUST static bool
take_page(struct listing *l, struct bytes answer, struct err *e)
{
    char encoding[8];
    struct s3_xml x = s3_xml_of(answer);
    struct s3_element el;
    bool ok = true;
    s3_xml_find(answer, "EncodingType", encoding, sizeof(encoding));
    l->encoded = strcmp(encoding, "url") == 0;
    l->more = false;
    for (size_t i = 0; i < MARKS_MAX; i++)
        replace(&l->at[i], NULL);
    while (ok && s3_xml_next(&x, &el)) {
        if (s3_element_is(&el, l->kind->entry))
            ok = end_entry(l, e);
        else
            take_member(l, &el, s3_element_text(&el));
    }
    if (!ok)
        return false;
    if (x.r.failed)
        return err_set(e, MR_STORAGE_ERROR, "the server's list is no XML");
    return !l->more || l->at[0] ||
           err_set(e, MR_STORAGE_ERROR, "the server's list does not say how it goes on");
}

static struct s3_request
page_request(const struct listing *l, const struct s3_place *bucket, const char *prefix)
{
    struct s3_request r = {.method = "GET", .place = bucket};
    size_t n = 0;
    for (size_t i = 0; i < ARRAY_LEN(l->kind->query) && l->kind->query[i].name; i++)
        r.query[n++] = l->kind->query[i];
    r.query[n++] = (struct sigv4_pair){"prefix", prefix};
    for (size_t i = 0; i < MARKS_MAX; i++) {
        if (l->at[i])
            r.query[n++] = (struct sigv4_pair){l->kind->marks[i], l->at[i]};
    }
    return r;
}

MUST static bool
read_all(struct s3_client *c, struct listing *l, const struct s3_place *place, struct err *e)
{
    struct s3_place bucket = *place;
    bool ok = true;
    bucket.key = "";
    do {
        struct s3_reply reply;
        struct s3_request r = page_request(l, &bucket, place->key);
        ok = s3_client_call(c, &r, &reply, e) && take_page(l, buf_bytes(&reply.http.body), e);
        s3_reply_free(&reply);
    } while (ok && l->more);
    forget_entry(l);
    for (size_t i = 0; i < MARKS_MAX; i++)
        replace(&l->at[i], NULL);
    return ok || err_wrap(e, "list s3://%s/%s", place->bucket, place->key);
}

bool
s3_list_objects(struct s3_client *c, const struct s3_place *place, s3_listed_fn *each,
                void *ctx, struct err *e)
{
    struct listing l = {.kind = &objects, .each = each, .ctx = ctx};
    return read_all(c, &l, place, e);
}

bool
s3_list_uploads(struct s3_client *c, const struct s3_place *place, s3_listed_fn *each,
                void *ctx, struct err *e)
{
    struct listing l = {.kind = &uploads, .each = each, .ctx = ctx};
    return read_all(c, &l, place, e);
}
