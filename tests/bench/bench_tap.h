/* SPDX-License-Identifier: BSD-3-Clause */
/* What the files of bench_tap share, grouped by the file which has it. */
#ifndef TESTS_BENCH_TAP_H
#define TESTS_BENCH_TAP_H

#include <pthread.h>
#include <semaphore.h>
#include <stdatomic.h>
#include <sys/types.h>
#include <time.h>

#include "tests/bench/tap_wire.h"
#include "tools/load.h"

#define TAP_BACKEND_CORE	1

/* What is asked for on the command line. */
struct tap_bench {
	struct load_params params;	/* dir: LOAD_TX or LOAD_RX */
	unsigned int rounds, tries;	/* see struct rounds */
	unsigned int time_ms;		/* of a turn */
	unsigned int pace_us;		/* one packet in this time only; 0: as many as possible */
	bool json;
};

/* Who is driven: a back-end with its tap, or a loop of ours. */
struct tap_target {
	const char *name;
	const struct tap_bench *bench;
	pid_t pid;			/* of the back-end; 0: there is none */
	clockid_t clock;		/* CPU time of its process, or of the loop's thread */
	uint64_t idle_ns, idle_cpu_ns;	/* spent on preparations in a turn, not to be counted */
	struct wire wire;
	struct load load;		/* of a back-end */

	/* tap_bare.c: a thread on the back-end's core does what a back-end would */
	bool bare, whole;		/* whole: packets are written as one buffer */
	pthread_t thread;
	sem_t work;
	uint64_t (*fn)(struct tap_target *t, uint64_t arg);
	uint64_t arg, result;
	atomic_bool done;
};

/*
 * bench_tap.c
 */

/* End with a message, if err is negative. */
void tap_check(const struct tap_target *t, const char *what, int err);

/* Nanoseconds of any clock; of the monotonic one, as far as they count. */
uint64_t tap_clock(clockid_t clock);
uint64_t tap_time(const struct tap_target *t);

/* This thread runs there. */
void tap_run_on(unsigned int core);

/* The process of who is not driven stands still, and goes on. */
void tap_pause(const struct tap_target *t);
void tap_resume(const struct tap_target *t);

/* Put packets into the interface while nobody takes them; this does not count. */
void tap_prepare(struct tap_target *t, unsigned int n);

/* How many at once: about as many bytes as a cache has, or more. */
unsigned int tap_burst(const struct tap_target *t);

/*
 * tap_bare.c: without a back-end.  Drive until then; how many packets.
 */

void tap_bare_open(struct tap_target *t);
void tap_bare_close(struct tap_target *t);
uint64_t tap_bare_drive(struct tap_target *t, uint64_t until);

/*
 * tap_guest.c: the same through a back-end.  What begins a turn, and what ends it.
 */

void tap_guest_open(struct tap_target *t, const char *socket);
void tap_guest_close(struct tap_target *t);
void tap_guest_begin(struct tap_target *t);
uint64_t tap_guest_drive(struct tap_target *t, uint64_t until);
void tap_guest_end(struct tap_target *t);

#endif /* TESTS_BENCH_TAP_H */
