/* What the files of the worker frame share. */
#ifndef MILLRACE_TASK_WORKER_PRIVATE_H
#define MILLRACE_TASK_WORKER_PRIVATE_H

#include <pthread.h>
#include <stdatomic.h>

#include "base/http_server.h"
#include "base/thread.h"
#include "kafka/log.h"
#include "task/lease.h"
#include "task/policy.h"
#include "task/reporter.h"
#include "task/store.h"
#include "task/worker.h"

struct worker {
    const struct worker_program *program;
    struct config *config;
    char name[65];
    uint64_t instance;
    struct stop stop;
    struct http_server *http;
    pthread_mutex_t lock; /* registry pointer, ready flag, and in each unit what says so */
    struct registry *registry;
    bool connected;
    /* Control thread. */
    struct task_store *store;
    struct log_reader *status;
    struct lease_log *leases;
    struct map stopped; /* status key of a unit -> generation it was stopped at; from the log */
    struct lease_id me;
    struct reporter *reporter;
    struct unit **units;
    size_t units_len;
    size_t units_cap;
    bool failed; /* exit code 1 */
};

enum unit_outcome { UNIT_ENDED, UNIT_FAILED };

struct unit {
    struct worker *worker;
    unsigned source;
    char *status_key; /* "<task>/capture/<n>", "<task>/apply" */
    char *table_key;  /* "<task>/capture/<n>/", "<task>/table/" */
    char *lease_key;
    char *name;
    struct policy policy;      /* under the worker's lock */
    struct status_unit status; /* under the worker's lock */
    /* Control thread. */
    struct task *wanted;
    bool owned;               /* the claim that counts is ours */
    uint64_t claim_sent_ms;   /* 0: none under way */
    uint64_t done_generation; /* the wish of this generation has been carried out */
    bool gone;                /* dropped and cleaned up */
    /* Set before the thread runs, immutable while it does. */
    struct task *running;
    struct config *config;
    bool dropping;
    struct stop stop;
    struct thread thread;
    atomic_bool ended;
    enum unit_outcome outcome; /* valid when ended */
    struct err failure;
};

/* worker_unit.c: all by the control thread. */
void
unit_add(struct worker *w, struct task *t, unsigned source);
void
unit_free(struct unit *u);
/* A new record of the task. Takes a reference. */
void
unit_want(struct unit *u, struct task *t);
/* Does what is to be done now; never waits. */
void
unit_step(struct unit *u);
/* Waits for the end of its thread. */
void
unit_join(struct unit *u);

/* worker_connect.c */
MUST bool
worker_connect(struct worker *w, struct err *e);
void
worker_disconnect(struct worker *w);
/* Every task of the store to its units. */
void
worker_want_all(struct worker *w);
/* Tasks and status as they came since, waits at most timeout_ms. */
MUST bool
worker_follow(struct worker *w, int timeout_ms, struct err *e);

#endif
