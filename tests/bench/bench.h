/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What benchmarks of running back-ends share: interleaved rounds, medians, and CPU time.
 *
 * Machines are noisy, above all those which share their cores with others.  So nothing is
 * compared across time: all back-ends stay connected, each round drives one after the other,
 * in turns forwards and backwards, and what counts is the median of the rounds' ratios.  While one
 * is driven the others sleep; those which never do by themselves are stopped by a signal.
 *
 * The back-end's CPU time is that of its process with all threads, which includes
 * io_uring's workers.
 */
#ifndef TESTS_BENCH_H
#define TESTS_BENCH_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <time.h>

#include "frontend/frontend.h"

#define BENCH_TARGETS_MAX	2u
#define BENCH_ROUNDS_MAX	99u

/* What one round of one back-end gave. */
struct bench_result {
	double rate;			/* requests per second */
	double cpu_ns;			/* per request */
	double kicks;			/* per request */
};

/* One back-end; a benchmark has more to say of it. */
struct bench_target {
	const char *name;
	pid_t pid;			/* its process; 0: this one */
	clockid_t clock;		/* CPU time of its process */
	uint64_t idle_ns, idle_cpu_ns;	/* spent on preparations in rounds, not to be counted */
	struct fe fe;
	struct bench_result results[BENCH_ROUNDS_MAX];	/* of the latest run */
};

/* What is done in each round. */
struct bench_plan {
	unsigned int rounds;
	unsigned int time_ms;		/* of a round */
	const char *unit;		/* requests per second, in a word */
	bool pause;			/* stop the process of who is not driven */

	/* Fill the queues; keep them so until then, for so many requests; empty them. */
	void (*fill)(struct bench_target *t);
	uint64_t (*drive)(struct bench_target *t, uint64_t until);
	void (*drain)(struct bench_target *t);

	/* How often the back-end was kicked so far. */
	uint64_t (*kicks)(struct bench_target *t);
};

/* All rounds of num back-ends, and a table of what they gave, whose lines begin with the label. */
void bench_run(const struct bench_plan *plan, struct bench_target *const *ts, unsigned int num,
	       unsigned int label);

/* Connect to the back-end NAME=PID:SOCKET. */
void bench_connect(struct bench_target *t, char *arg);

/* With bench_plan.pause: the process of who is not driven stands still, and goes on. */
void bench_pause(const struct bench_target *t);
void bench_resume(const struct bench_target *t);

/* End with a message; the same if err is negative. */
void bench_die(const char *who, const char *what, int err) __attribute__((noreturn));
void bench_check(const struct bench_target *t, const char *what, int err);

/* Nanoseconds. */
uint64_t bench_now(clockid_t clock);
/* Of CLOCK_MONOTONIC, as far as they count. */
uint64_t bench_time(const struct bench_target *t);

/* A number of the command line; false, with a message, if it is none or not in the range. */
bool bench_number(const char *text, unsigned int min, unsigned int max, unsigned int *number);

#endif /* TESTS_BENCH_H */
