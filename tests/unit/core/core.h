/* Progress records in a line each, for the tests of the correctness core. */
#ifndef MILLRACE_TESTS_UNIT_CORE_H
#define MILLRACE_TESTS_UNIT_CORE_H

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "task/progress.h"

#define INC UINT64_C(0x0123456789abcdef)

static inline struct progress_record
claim_of(uint64_t n, uint64_t random)
{
    return (struct progress_record){.kind = PROGRESS_CLAIM,
                                    .inc = INC,
                                    .epoch = n,
                                    .claim = random,
                                    .name = "w",
                                    .instance = random};
}

static inline struct progress_record
epoch_of(uint64_t n, uint64_t from_seq)
{
    return (struct progress_record){
        .kind = PROGRESS_EPOCH, .inc = INC, .epoch = n, .seq = from_seq};
}

/* A cut of epoch n that follows (n, prev). */
static inline struct progress_record
cut_of(uint64_t n, uint64_t prev, uint64_t seq)
{
    return (struct progress_record){.kind = PROGRESS_CUT,
                                    .inc = INC,
                                    .epoch = n,
                                    .prev = {n, prev},
                                    .first_seq = prev + 1,
                                    .seq = seq,
                                    .boundary = true,
                                    .anchor = -1};
}

static inline struct progress_record
event_of(uint64_t n, uint64_t seq, enum progress_event_kind kind, uint32_t version)
{
    return (struct progress_record){.kind = PROGRESS_EVENT,
                                    .inc = INC,
                                    .epoch = n,
                                    .seq = seq,
                                    .event = kind,
                                    .table = "t",
                                    .version = version};
}

#define RUN_TESTS(list) cmocka_run_group_tests(list, NULL, NULL)

#endif
