/* Any text as a GTID set, a GTID and a position: refused, or its canonical text reads back as
 * the same set. First byte: the flavor.
 */
#include <stdlib.h>

#include "schema/position.h"

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
read_back(enum gtid_flavor flavor, const struct gtid_set *s)
{
    struct buf text = {0}, wire = {0};
    struct gtid_set *again = NULL, *copy = gtid_set_copy(s);
    struct err e;
    gtid_set_text(s, &text);
    if (!gtid_set_parse(flavor, buf_bytes(&text), &again, &e))
        abort();
    if (!gtid_set_covers(again, s) || !gtid_set_covers(s, again) || !gtid_set_covers(copy, s))
        abort();
    if (flavor == GTID_MYSQL) {
        gtid_set_encode(s, &wire);
        gtid_set_subtract(copy, again);
        if (!gtid_set_empty(copy))
            abort();
    }
    gtid_set_free(again);
    gtid_set_free(copy);
    buf_free(&text);
    buf_free(&wire);
}

static void
as_position(struct bytes text)
{
    struct json *j = NULL;
    struct position p;
    struct err e;
    char line[200];
    if (!json_parse(text, &j, &e))
        return;
    if (position_from_json(j, &p, &e)) {
        struct json *back = position_to_json(&p);
        if (!position_covers(&p, &p) || !*position_text(&p, line, sizeof line))
            abort();
        json_free(back);
        position_free(&p);
    }
    json_free(j);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    struct gtid_set *s = NULL;
    struct err e;
    if (size == 0)
        return 0;
    enum gtid_flavor flavor = data[0] & 1 ? GTID_MARIADB : GTID_MYSQL;
    struct bytes text = {data + 1, size - 1};
    if (gtid_set_parse(flavor, text, &s, &e)) {
        read_back(flavor, s);
        gtid_set_free(s);
    }
    s = gtid_set_new(flavor);
    if (gtid_set_add(s, text, &e) && !gtid_set_has(s, text))
        abort();
    gtid_set_free(s);
    as_position(text);
    return 0;
}
