/* The queue of rows, against a plain array as model. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <cmocka.h>

#include "apply/fifo.h"

#define ROWS_MAX 20000

struct model {
    int64_t offset[ROWS_MAX];
    uint32_t len[ROWS_MAX];
    size_t first, n;
};

static struct bytes
text_of(int64_t offset, uint32_t len, uint8_t *out)
{
    for (uint32_t i = 0; i < len; i++)
        out[i] = (uint8_t)(offset * 31 + i);
    return bytes_of(out, len);
}

static void
push(struct fifo *f, struct model *m, int64_t offset, uint32_t len)
{
    static uint8_t value[200000];
    struct fifo_row row = {.offset = offset, .seq = (uint64_t)offset * 2, .op = 'c'};
    uint8_t key[8] = {(uint8_t)offset};
    fifo_push(f, &row, bytes_of(key, 8), text_of(offset, len, value));
    m->offset[m->first + m->n] = offset;
    m->len[m->first + m->n++] = len;
}

/* The span has n rows, those of the model from its first on. */
static void
check_span(const struct fifo_span *s, const struct model *m, size_t from)
{
    static uint8_t want[200000];
    struct fifo_cursor c = fifo_span_walk(s);
    for (size_t i = 0; i < s->n; i++) {
        const struct fifo_row *r = fifo_next(&c);
        assert_non_null(r);
        assert_int_equal(r->offset, m->offset[from + i]);
        assert_int_equal(fifo_key(r).p[0], (uint8_t)r->offset);
        struct bytes text = text_of(r->offset, m->len[from + i], want);
        assert_true(bytes_eq(fifo_value(r), text));
    }
    assert_null(fifo_next(&c));
}

/* Keys and values of the rows that are left. */
static size_t
bytes_left(const struct model *m)
{
    size_t bytes = 0;
    for (size_t i = 0; i < m->n; i++)
        bytes += 8 + m->len[m->first + i];
    return bytes;
}

static void
spans_hold_exactly_the_rows_taken_whatever_the_order_of_their_release(void **state)
{
    unsigned seed = (unsigned)time(NULL);
    print_message("seed %u\n", seed);
    srand(seed);
    static struct model m;
    m = (struct model){0};
    atomic_size_t used = 0;
    struct fifo f;
    fifo_init(&f, &used);
    struct fifo_span spans[64] = {0};
    size_t from[64];
    int64_t offset = 0;
    while (offset < 9000) {
        for (int i = rand() % 40; i > 0; i--)
            push(&f, &m, offset++, (uint32_t)(rand() % 50 ? rand() % 300 : rand() % 150000));
        size_t at = (size_t)rand() % 64;
        if (spans[at].n) {
            check_span(&spans[at], &m, from[at]);
            fifo_span_free(&spans[at]);
        }
        size_t n = (size_t)rand() % 50;
        from[at] = m.first;
        spans[at] = fifo_take(&f, n);
        assert_int_equal(spans[at].n, n < m.n ? n : m.n);
        m.first += spans[at].n;
        m.n -= spans[at].n;
        assert_int_equal(f.n, m.n);
        assert_int_equal(f.bytes, bytes_left(&m));
    }
    for (size_t i = 0; i < 64; i++) {
        if (spans[i].n)
            check_span(&spans[i], &m, from[i]);
        fifo_span_free(&spans[i]);
    }
    fifo_clear(&f);
    assert_int_equal(used, 0);
}

static void
thin_rows_keep_their_place_and_nothing_else(void **state)
{
    static struct model m;
    m = (struct model){0};
    atomic_size_t used = 0;
    struct fifo f;
    fifo_init(&f, &used);
    for (int64_t i = 0; i < 1000; i++)
        push(&f, &m, i, 500);
    size_t before = used;
    fifo_thin(&f);
    assert_true(used < before / 4);
    assert_int_equal(f.n, 1000);
    assert_int_equal(f.bytes, 0);
    struct fifo_cursor c = fifo_walk(&f);
    for (int64_t i = 0; i < 1000; i++) {
        const struct fifo_row *r = fifo_next(&c);
        assert_int_equal(r->offset, i);
        assert_int_equal(r->seq, (uint64_t)i * 2);
        assert_true(r->thin);
    }
    fifo_clear(&f);
    assert_int_equal(used, 0);
}

static void
an_empty_queue_gives_an_empty_span(void **state)
{
    atomic_size_t used = 0;
    struct fifo f;
    fifo_init(&f, &used);
    struct fifo_span s = fifo_take(&f, 10);
    assert_int_equal(s.n, 0);
    struct fifo_cursor c = fifo_span_walk(&s);
    assert_null(fifo_next(&c));
    fifo_span_free(&s);
    fifo_clear(&f);
}

int
main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(spans_hold_exactly_the_rows_taken_whatever_the_order_of_their_release),
        cmocka_unit_test(thin_rows_keep_their_place_and_nothing_else),
        cmocka_unit_test(an_empty_queue_gives_an_empty_span),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
