/* SPDX-License-Identifier: BSD-3-Clause */
/* What the files of vhost-bench share, grouped by the file which has it. */
#ifndef TOOLS_BENCH_H
#define TOOLS_BENCH_H

#include <json-c/json.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>
#include <time.h>

#include "tools/load.h"

/* What is asked for on the command line. */
struct bench {
	const struct load_ops *ops;
	struct load_params params;
	unsigned int time_ms;		/* of a run or round */
	unsigned int requests;		/* instead; 0: as many as fit into the time */
	unsigned int pid;		/* of the back-end; 0: not told */
	bool json;
	unsigned int rounds, tries;	/* of a comparison; see struct rounds */
	const struct load_ops *second;	/* the device type of the second one */
	bool second_split;		/* it gets split rings in any case */
	const char *load_cpu, *backend_cpus; /* for it; NULL: chosen */
};

/*
 * bench_run.c: one measurement
 */

struct bench_result {
	double seconds;
	struct load_count count;
	uint64_t cpu, backend_cpu;	/* ns of ours and of the back-end's */
	bool has_backend_cpu;
	uint64_t verified;
	struct hist hist;
};

/* Whoever wants to tell how it goes. */
struct bench_watch {
	void (*tell)(void *arg, const struct load *l, uint64_t start);
	void *arg;
};

/* The clock of a process's CPU time. */
int bench_clock(pid_t pid, clockid_t *clock);

/*
 * Drive a load which has been started, and measure; watch may be NULL.  An errno leaves its reason
 * in the load.
 */
int bench_measure(struct load *l, const struct bench *b, const clockid_t *clock,
		  const struct bench_watch *watch, struct bench_result *r);

/* Connect to a socket, measure, print: the exit status. */
int bench_single(const struct bench *b, const char *path);

/* SIGINT or SIGTERM has come: measure no longer, and tell what there is. */
extern volatile bool bench_stopped;

/*
 * bench_print.c
 */

void bench_print(const struct bench *b, const char *path, const struct bench_result *r);
struct json_object *bench_json(const struct bench *b, const char *path,
			       const struct bench_result *r);

/* What is done, in words: "random reads of 4096 bytes, depth 32 ...". */
void bench_describe(const struct bench *b, char *text, size_t size);

/* Packets or requests, in both directions. */
uint64_t bench_total(const struct load_count *c);
double bench_rate(const struct bench_result *r);

/* The line on a terminal. */
void bench_progress(void *arg, const struct load *l, uint64_t start);
void bench_progress_end(void);

/*
 * bench_compare.c
 */

/* Two commands, each ended by NULL: the exit status. */
int bench_compare(const struct bench *b, char **a_argv, char **b_argv);

#endif /* TOOLS_BENCH_H */
