/* Key cells back to the kinds that a source gives: a load goes on behind the last key it
 * emitted, so the key of a record must compare at the source exactly as the row's own cells
 * did.
 */
#include "schema/codec_plan.h"
#include "schema/temporal.h"

/* The label's index; the empty text is index 0 when no label is empty. */
static bool
enum_cell(const struct column *c, struct bytes text, struct cell *out)
{
    *out = (struct cell){.kind = CELL_ENUM};
    for (uint32_t i = 0; i < c->label_count; i++) {
        if (bytes_eq(c->labels[i], text)) {
            out->v.u = i + 1;
            return true;
        }
    }
    return text.n == 0;
}

static bool
add_member(const struct column *c, struct bytes label, uint64_t *mask)
{
    for (uint32_t i = 0; i < c->label_count; i++) {
        if (bytes_eq(c->labels[i], label)) {
            *mask |= (uint64_t)1 << i;
            return true;
        }
    }
    return false;
}

/* Labels of a SET hold no comma. */
static bool
set_cell(const struct column *c, struct bytes text, struct cell *out)
{
    *out = (struct cell){.kind = CELL_SET};
    while (text.n) {
        const uint8_t *comma = memchr(text.p, ',', text.n);
        size_t n = comma ? (size_t)(comma - text.p) : text.n;
        if (!add_member(c, bytes_of(text.p, n), &out->v.u))
            return false;
        n += comma != NULL;
        text = bytes_of(text.p + n, text.n - n);
    }
    return true;
}

/* Takes n digits and, unless 0, the character behind them. */
static bool
take(struct reader *r, unsigned n, char behind, unsigned *out)
{
    struct bytes b = reader_take(r, n + (behind != 0));
    *out = 0;
    if (!b.p || (behind && b.p[n] != (uint8_t)behind))
        return false;
    for (unsigned i = 0; i < n; i++) {
        unsigned d = (unsigned)b.p[i] - '0';
        if (d > 9)
            return false;
        *out = *out * 10 + d;
    }
    return true;
}

static bool
date_cell(struct bytes text, struct cell *out)
{
    struct reader r = reader_of(text);
    unsigned year, month, day;
    if (!take(&r, 4, '-', &year) || !take(&r, 2, '-', &month) || !take(&r, 2, 0, &day))
        return false;
    *out = (struct cell){.kind = CELL_DATE, .v.u = (uint64_t)year << 9 | month << 5 | day};
    return r.p == r.end && month < 13 && day < 32;
}

static bool
datetime_cell(const struct plan_col *c, struct bytes text, struct cell *out)
{
    struct reader r = reader_of(text);
    unsigned year, month, day, hour, minute, second, micro = 0;
    if (!take(&r, 4, '-', &year) || !take(&r, 2, '-', &month) || !take(&r, 2, ' ', &day) ||
        !take(&r, 2, ':', &hour) || !take(&r, 2, ':', &minute) || !take(&r, 2, 0, &second))
        return false;
    size_t digits = reader_left(&r);
    if (digits) {
        if (*r.p++ != '.' || --digits > 6 || !take(&r, (unsigned)digits, 0, &micro))
            return false;
        for (; digits < 6; digits++)
            micro *= 10;
    }
    struct civil t = {.year = (uint16_t)year,
                      .month = (uint8_t)month,
                      .day = (uint8_t)day,
                      .hour = (uint8_t)hour,
                      .minute = (uint8_t)minute,
                      .second = (uint8_t)second,
                      .micro = micro};
    *out = (struct cell){.kind = CELL_DATETIME, .dec = c->scale, .v.u = temporal_pack(&t)};
    return month < 13 && day < 32 && hour < 24 && minute < 60 && second < 60;
}

static bool
timestamp_cell(const struct plan_col *c, struct bytes text, struct cell *out)
{
    *out = (struct cell){.kind = CELL_TIMESTAMP, .dec = c->scale};
    return temporal_parse_zoned(text, &out->v.i) || datetime_cell(c, text, out);
}

bool
plan_key_cell(const struct plan_col *c, struct cell *v)
{
    struct bytes text = cell_bytes(v);
    switch (c->wire) {
    case WIRE_ENUM:
        return enum_cell(c->column, text, v);
    case WIRE_SET:
        return set_cell(c->column, text, v);
    case WIRE_DATE_TEXT:
        return date_cell(text, v);
    case WIRE_DATETIME_TEXT:
        return datetime_cell(c, text, v);
    case WIRE_TIMESTAMP_TEXT:
        return timestamp_cell(c, text, v);
    default:
        return true;
    }
}
