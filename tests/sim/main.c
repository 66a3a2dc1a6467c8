/* millrace-sim: seeded schedules over the shipped correctness core.
 *
 *   millrace-sim --schedules N [--seed S] [--mode eo|fast] [--cons table|task] [--loss]
 * [--mutant NAME] [--steps N] millrace-sim --trace SEED ...     the schedule of that seed,
 * shrunk, event by event millrace-sim --mutants            every known-bad variant must be
 * caught Without --mode and --cons the four combinations take turns. Exit 1: a violation, or a
 * mutant that survives.
 */
#include <inttypes.h>
#include <string.h>
#include <time.h>

#include "sim.h"

#define STEPS_DEFAULT 260
#define STEPS_MAX     4000

struct step {
    size_t action;
    uint64_t r;
};

struct schedule {
    struct step s[STEPS_MAX];
    size_t n;
};

struct arguments {
    struct options o;
    uint64_t schedules, seed, trace;
    const char *mode, *cons, *mutant;
    bool has_trace, all_mutants;
};

struct totals {
    uint64_t schedules, events, crashes, violations, stops, lost;
};

static uint64_t
next_random(uint64_t *x)
{
    uint64_t z = (*x += UINT64_C(0x9e3779b97f4a7c15));
    z = (z ^ (z >> 30)) * UINT64_C(0xbf58476d1ce4e5b9);
    z = (z ^ (z >> 27)) * UINT64_C(0x94d049bb133111eb);
    return z ^ (z >> 31);
}

/* The actions of a seed: by weight, and at least one crash of each side. */
static void
make_schedule(uint64_t seed, unsigned steps, struct schedule *out)
{
    uint64_t x = seed * 2 + 1;
    unsigned total = 0;
    for (size_t i = 0; i < action_count(); i++)
        total += action_weight(i);
    for (out->n = 0; out->n < steps; out->n++) {
        unsigned at = (unsigned)(next_random(&x) % total);
        size_t a = 0;
        while (at >= action_weight(a))
            at -= action_weight(a++);
        out->s[out->n] = (struct step){a, next_random(&x) >> 4};
    }
    size_t half = steps / 2, quarter = steps / 4;
    out->s[quarter + next_random(&x) % half].action = action_find("capcrash");
    out->s[quarter + next_random(&x) % half].action = action_find("appcrash");
}

/* Runs it; *out says what was violated, "" if nothing. */
static void
run(const struct options *o, uint64_t seed, const struct schedule *s, char out[256],
    struct totals *t)
{
    struct world *w = mem_alloc(sizeof *w);
    world_init(w, o, seed);
    for (size_t i = 0; i < s->n && !world_over(w); i++) {
        if (o->verbose)
            printf("#%zu %s\n", i + 1, action_name(s->s[i].action));
        world_do(w, s->s[i].action, s->s[i].r);
    }
    if (!world_over(w))
        world_converge(w);
    snprintf(out, 256, "%s", w->violation);
    if (!out[0] && w->stopped && !w->lost)
        snprintf(out, 256, "FALSE STOP: MR%d %.200s", (int)w->stop.code, w->stop.text);
    if (t) {
        t->schedules++;
        t->events += w->events;
        t->crashes += w->crashes;
        t->violations += out[0] != 0;
        t->stops += w->stopped;
        t->lost += w->lost;
    }
    world_free(w);
    free(w);
}

/* The same class of violation: numbers differ from run to run of a shrinking schedule. */
static bool
same_class(const char *a, const char *b)
{
    size_t n = strcspn(a, "0123456789(");
    return n == strcspn(b, "0123456789(") && memcmp(a, b, n) == 0;
}

static void
shrink(const struct options *o, uint64_t seed, struct schedule *s, const char *want)
{
    struct schedule *try = mem_alloc(sizeof *try);
    char got[256];
    for (size_t n = s->n / 2; n >= 1; n /= 2) {
        for (size_t i = 0; i + n <= s->n;) {
            try->n = 0;
            for (size_t k = 0; k < s->n; k++) {
                if (k < i || k >= i + n)
                    try->s[try->n++] = s->s[k];
            }
            run(o, seed, try, got, NULL);
            if (got[0] && same_class(got, want))
                *s = *try;
            else
                i += n;
        }
    }
    free(try);
}

static const struct mutant {
    const char *name;
    size_t at; /* offset of its switch in struct options */
    bool loss;
} mutants[] = {
    {"no-gate", offsetof(struct options, no_gate), false},
    {"no-void-rule", offsetof(struct options, no_void), false},
    {"no-track-first", offsetof(struct options, no_track), false},
    {"no-base-comparison", offsetof(struct options, no_base), false},
    {"prev-not-checked", offsetof(struct options, no_prev), true},
    {"progress-before-acks", offsetof(struct options, ack_first), false},
    {"no-kill-at-takeover", offsetof(struct options, no_kill), false},
    {"claim-read-to-lso", offsetof(struct options, lso), false},
    {"p0-without-open-transactions", offsetof(struct options, p0_short), false},
    {"source-event-dropped", offsetof(struct options, source_drop), false},
    {"source-event-doubled", offsetof(struct options, source_double), false},
    {"source-events-swapped", offsetof(struct options, source_swap), false},
    {"kafka-record-dropped", offsetof(struct options, kafka_drop), false},
    {"kafka-record-doubled", offsetof(struct options, kafka_double), false},
    {"kafka-records-swapped", offsetof(struct options, kafka_swap), false},
    {"no-end-offsets", offsetof(struct options, no_ends), false},
};

static bool
set_mutant(struct options *o, const char *name)
{
    for (size_t i = 0; i < ARRAY_LEN(mutants); i++) {
        if (strcmp(mutants[i].name, name) != 0)
            continue;
        *(bool *)((char *)o + mutants[i].at) = true;
        o->loss = o->loss || mutants[i].loss;
        o->many_events = o->no_kill; /* only DDL at the target is outside its checkpoint */
        return true;
    }
    return false;
}

static void
mode_of(const struct arguments *a, uint64_t seed, struct options *o)
{
    *o = a->o;
    o->fast = a->mode ? strcmp(a->mode, "fast") == 0 : seed & 1;
    o->task = a->cons ? strcmp(a->cons, "task") == 0 : seed >> 1 & 1;
}

static double
cpu_seconds(void)
{
    return (double)clock() / CLOCKS_PER_SEC;
}

/* Seeds with a violation are printed, ten at most of all. True: none. */
static bool
run_many(const struct arguments *a, uint64_t limit, bool first, struct totals *t)
{
    struct schedule *s = mem_alloc(sizeof *s);
    char what[256];
    double start = cpu_seconds();
    for (uint64_t i = 0; i < limit; i++) {
        struct options o;
        uint64_t seed = a->seed + i;
        mode_of(a, seed, &o);
        make_schedule(seed, o.steps, s);
        run(&o, seed, s, what, t);
        if (!what[0])
            continue;
        if (t->violations <= 10)
            printf("seed %" PRIu64 " (%s, %s): %s\n", seed, o.fast ? "fast" : "eo",
                   o.task ? "task" : "table", what);
        if (first)
            break;
    }
    free(s);
    double cpu = cpu_seconds() - start;
    printf("%" PRIu64 " schedules, %" PRIu64 " events, %" PRIu64 " crashes, %" PRIu64
           " with loss, %" PRIu64 " stopped loudly, %" PRIu64
           " violations, %.1f CPU s, %.0f schedules/s\n",
           t->schedules, t->events, t->crashes, t->lost, t->stops, t->violations, cpu,
           cpu > 0 ? (double)t->schedules / cpu : 0.0);
    return t->violations == 0;
}

static bool
run_mutants(const struct arguments *a)
{
    bool all = true;
    for (size_t i = 0; i < ARRAY_LEN(mutants); i++) {
        struct arguments x = *a;
        struct totals t = {0};
        x.o = (struct options){.steps = a->o.steps};
        set_mutant(&x.o, mutants[i].name);
        printf("mutant %s: ", mutants[i].name);
        bool survived = run_many(&x, a->schedules, true, &t);
        printf("  %s\n", survived ? "SURVIVED" : "caught");
        all = all && !survived;
    }
    return all;
}

static void
trace(const struct arguments *a)
{
    struct schedule *s = mem_alloc(sizeof *s);
    struct options o;
    char what[256];
    mode_of(a, a->trace, &o);
    make_schedule(a->trace, o.steps, s);
    run(&o, a->trace, s, what, NULL);
    printf("seed %" PRIu64 ": %s\n", a->trace, what[0] ? what : "no violation");
    if (what[0]) {
        shrink(&o, a->trace, s, what);
        printf("shrunk to %zu steps\n", s->n);
    }
    o.verbose = true;
    run(&o, a->trace, s, what, NULL);
    free(s);
}

static _Noreturn void
usage(void)
{
    fprintf(
        stderr,
        "usage: millrace-sim [--schedules N] [--seed S] [--steps N] [--mode eo|fast] [--cons "
        "table|task]\n"
        "                    [--loss] [--mutant NAME] [--mutants] [--trace SEED]\nmutants:\n");
    for (size_t i = 0; i < ARRAY_LEN(mutants); i++)
        fprintf(stderr, "  %s\n", mutants[i].name);
    exit(2);
}

static uint64_t
number(const char *s)
{
    char *end;
    unsigned long long v = s ? strtoull(s, &end, 10) : 0;
    if (!s || *end || !*s)
        usage();
    return v;
}

static void
parse(int argc, char **argv, struct arguments *a)
{
    for (int i = 1; i < argc; i++) {
        const char *value = i + 1 < argc ? argv[i + 1] : NULL;
        if (strcmp(argv[i], "--loss") == 0) {
            a->o.loss = true;
            continue;
        }
        if (strcmp(argv[i], "--mutants") == 0) {
            a->all_mutants = true;
            continue;
        }
        if (strcmp(argv[i], "--schedules") == 0)
            a->schedules = number(value);
        else if (strcmp(argv[i], "--seed") == 0)
            a->seed = number(value);
        else if (strcmp(argv[i], "--steps") == 0)
            a->o.steps = (unsigned)number(value);
        else if (strcmp(argv[i], "--trace") == 0)
            a->trace = number(value), a->has_trace = true;
        else if (strcmp(argv[i], "--mode") == 0 && value)
            a->mode = value;
        else if (strcmp(argv[i], "--cons") == 0 && value)
            a->cons = value;
        else if (strcmp(argv[i], "--mutant") != 0 || !value || !set_mutant(&a->o, value))
            usage();
        i++;
    }
    if (a->o.steps < 100 || a->o.steps > STEPS_MAX)
        usage();
}

int
main(int argc, char **argv)
{
    struct arguments a = {.schedules = 10000, .seed = 1, .o = {.steps = STEPS_DEFAULT}};
    struct totals t = {0};
    parse(argc, argv, &a);
    if (a.has_trace) {
        trace(&a);
        return 0;
    }
    if (a.all_mutants)
        return run_mutants(&a) ? 0 : 1;
    return run_many(&a, a.schedules, false, &t) ? 0 : 1;
}
