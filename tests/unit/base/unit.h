/* What every unit test of base needs: cmocka's includes, and random numbers whose seed is
 * printed. */
#ifndef MILLRACE_TESTS_UNIT_BASE_UNIT_H
#define MILLRACE_TESTS_UNIT_BASE_UNIT_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/bytes.h"
#include "base/hash.h"

/* xorshift64*: the same numbers for the same seed on every machine. */
struct prng {
    uint64_t s;
};

/* Seed from MILLRACE_SEED, else random; printed, so that a failure can be run again. */
static inline struct prng
prng_begin(const char *test)
{
    const char *env = getenv("MILLRACE_SEED");
    uint64_t seed = env ? strtoull(env, NULL, 10) : random_u64();
    seed = seed ? seed : 1;
    printf("%s: MILLRACE_SEED=%llu\n", test, (unsigned long long)seed);
    return (struct prng){seed};
}

static inline uint64_t
prng_next(struct prng *r)
{
    r->s ^= r->s >> 12;
    r->s ^= r->s << 25;
    r->s ^= r->s >> 27;
    return r->s * 0x2545F4914F6CDD1DULL;
}

static inline size_t
prng_below(struct prng *r, size_t n)
{
    return (size_t)(prng_next(r) >> 11) % n;
}

static inline void
assert_text(struct buf *b, const char *want)
{
    assert_string_equal(buf_cstr(b), want);
    assert_int_equal(b->n, strlen(want));
}

#endif
