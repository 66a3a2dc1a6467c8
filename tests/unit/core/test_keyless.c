/* The load of a table without a key: what is published when, and that counts are right at the
 * end, whatever the order of snapshot, stream and answers. */
#include "core.h"

#include "capture/keyless.h"

#define COLUMNS 2

static struct position
at(uint64_t pos)
{
    struct position p;
    position_init(&p, POSITION_MYSQL);
    memcpy(p.file, "b.000001", 9);
    p.pos = pos;
    return p;
}

/* A row whose content is the letter. */
static const struct cell *
row(const char *letter)
{
    static struct cell cells[COLUMNS];
    cells[0] = (struct cell){.kind = CELL_TEXT, .len = 1, .v.p = (const uint8_t *)letter};
    cells[1] = (struct cell){.kind = CELL_BYTES, .len = 1, .v.p = (const uint8_t *)letter};
    return cells;
}

static bool
stream(struct keyless *k, enum change_op op, const char *letter, uint64_t begin)
{
    struct position p = at(begin);
    return keyless_row(k, op, row(letter), &p);
}

static void
open_at(struct keyless *k, uint64_t pos)
{
    struct position p = at(pos);
    keyless_open(k, &p);
}

static void
what_begins_before_the_snapshot_is_passed_over(void **state)
{
    struct keyless *k = keyless_new(COLUMNS, false);
    assert_false(stream(k, OP_CREATE, "a", 10));
    keyless_order(k);
    assert_false(stream(k, OP_CREATE, "b", 20));
    assert_false(stream(k, OP_CREATE, "c", 100));
    open_at(k, 100);
    assert_memory_equal(keyless_next_create(k)[0].v.p, "c", 1);
    assert_null(keyless_next_create(k));
    assert_false(stream(k, OP_DELETE, "d", 99));
    assert_true(stream(k, OP_CREATE, "d", 101));
    assert_null(keyless_next_delete(k));
    keyless_free(k);
}

static void
a_delete_waits_for_its_row_or_for_the_end(void **state)
{
    struct keyless *k = keyless_new(COLUMNS, false);
    keyless_order(k);
    assert_false(stream(k, OP_DELETE, "a", 120)); /* before the answer */
    open_at(k, 100);
    assert_false(stream(k, OP_DELETE, "b", 130));
    assert_false(stream(k, OP_DELETE, "b", 140));
    assert_false(keyless_read(k, row("a"))); /* the two vanish */
    assert_true(keyless_read(k, row("a")));
    assert_false(keyless_read(k, row("b")));
    assert_memory_equal(keyless_next_delete(k)[0].v.p, "b", 1);
    assert_null(keyless_next_delete(k));
    keyless_free(k);
}

static void
a_new_order_forgets_what_the_new_snapshot_has(void **state)
{
    struct keyless *k = keyless_new(COLUMNS, false);
    keyless_order(k);
    assert_false(stream(k, OP_DELETE, "a", 120));
    open_at(k, 100);
    assert_false(keyless_published(k));
    keyless_order(k);
    open_at(k, 200);
    assert_true(keyless_read(k, row("a")));
    assert_null(keyless_next_delete(k));
    assert_true(keyless_published(k));
    keyless_free(k);
}

/* Random histories: published = creates - deletes never goes below 0 for a content, and ends as
 * the source. */
#define LETTERS 4
#define EVENTS  60

struct world {
    struct keyless *k;
    int source[LETTERS], target[LETTERS], snapshot[LETTERS];
};

static char letters[] = "abcd";

static void
published(struct world *w, const struct cell *r, int by)
{
    int *n = &w->target[r[0].v.p[0] - 'a'];
    *n += by;
    assert_true(*n >= 0);
}

static void
one_event(struct world *w, uint64_t begin, bool to_stream)
{
    unsigned i = (unsigned)rand() % LETTERS;
    bool create = w->source[i] == 0 || rand() % 2;
    w->source[i] += create ? 1 : -1;
    if (!to_stream)
        return;
    if (stream(w->k, create ? OP_CREATE : OP_DELETE, letters + i, begin))
        published(w, row(letters + i), create ? 1 : -1);
}

static void
read_some(struct world *w, bool all)
{
    for (unsigned i = 0; i < LETTERS; i++)
        while (w->snapshot[i] > 0 && (all || rand() % 3)) {
            w->snapshot[i]--;
            if (keyless_read(w->k, row(letters + i)))
                published(w, row(letters + i), 1);
        }
}

static void
one_history(unsigned seed)
{
    struct world w = {.k = keyless_new(COLUMNS, false)};
    srand(seed);
    unsigned order = (unsigned)rand() % 20, place = order + (unsigned)rand() % 20;
    unsigned answer = place + (unsigned)rand() % 10;
    for (unsigned i = 0; i < EVENTS; i++) {
        if (i == order)
            keyless_order(w.k);
        if (i == place)
            memcpy(w.snapshot, w.source, sizeof(w.source));
        if (i == answer) {
            const struct cell *r;
            open_at(w.k, 1000 + place);
            while ((r = keyless_next_create(w.k)) != NULL)
                published(&w, r, 1);
        }
        if (i > answer)
            read_some(&w, false);
        one_event(&w, 1000 + i, true);
    }
    read_some(&w, true);
    for (const struct cell *r; (r = keyless_next_delete(w.k)) != NULL;)
        published(&w, r, -1);
    if (memcmp(w.source, w.target, sizeof(w.source)) != 0)
        fail_msg("seed %u", seed);
    keyless_free(w.k);
}

static void
ten_thousand_histories_end_with_the_rows_of_the_source(void **state)
{
    for (unsigned seed = 1; seed <= 10000; seed++)
        one_history(seed);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_begins_before_the_snapshot_is_passed_over),
        cmocka_unit_test(a_delete_waits_for_its_row_or_for_the_end),
        cmocka_unit_test(a_new_order_forgets_what_the_new_snapshot_has),
        cmocka_unit_test(ten_thousand_histories_end_with_the_rows_of_the_source),
    };
    return RUN_TESTS(tests);
}
