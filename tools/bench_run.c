/* SPDX-License-Identifier: BSD-3-Clause */
/* One measurement of a back-end which runs. */
#include "config.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "tools/bench.h"
#include "tools/tool.h"
#include "util.h"

#define RUN_WARMUP_NS	UINT64_C(100000000)
#define RUN_TICK_NS	UINT64_C(250000000)

volatile bool bench_stopped;

int bench_clock(pid_t pid, clockid_t *clock)
{
	return -clock_getcpuclockid(pid, clock);
}

static uint64_t run_clock(clockid_t clock)
{
	struct timespec ts;

	/* It fails when the process is gone, which is noticed elsewhere. */
	if (clock_gettime(clock, &ts) < 0)
		return 0;
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

/* Drive until then, and tell now and then how it goes. */
static int run_until(struct load *l, uint64_t until, const struct bench_watch *watch)
{
	uint64_t start = l->now, tick;
	int err;

	do {
		tick = watch ? MIN(until, l->now + RUN_TICK_NS) : until;
		err = load_drive(l, tick);
		if (watch && !err)
			watch->tell(watch->arg, l, start);
		/* It ended early: there is nothing left to do. */
		if (l->now < tick)
			break;
	} while (!err && l->now < until && !bench_stopped);
	return err;
}

/* Read once more what has been written. */
static int run_recheck(struct load *l)
{
	int err = load_drain(l);

	if (err || !l->ops->recheck)
		return err;
	l->ops->recheck(l);
	/* To the end, even if somebody is in a hurry: it is what was asked for. */
	l->stop = NULL;
	err = load_begin(l, UINT64_MAX);
	return err ? err : load_drive(l, UINT64_MAX);
}

/* Until the time is over, or so many requests are done. */
static int run_drive(struct load *l, const struct bench *b, const struct bench_watch *watch)
{
	uint64_t until = b->requests ? UINT64_MAX : l->now + b->time_ms * UINT64_C(1000000);

	return run_until(l, until, watch);
}

/* Requests of the first moment are not typical; but when they are counted, all count. */
static int run_warm(struct load *l, const struct bench *b)
{
	int err = load_begin(l, b->requests ? b->requests : UINT64_MAX);

	if (err || b->requests)
		return err;
	err = load_drive(l, l->now + RUN_WARMUP_NS);
	load_reset(l);
	return err;
}

int bench_measure(struct load *l, const struct bench *b, const clockid_t *clock,
		  const struct bench_watch *watch, struct bench_result *r)
{
	uint64_t start, cpu, backend;
	int err;

	l->stop = &bench_stopped;
	err = run_warm(l, b);
	if (err)
		return err;
	hist_reset(&r->hist);
	l->hist = &r->hist;
	start = load_clock();
	cpu = run_clock(CLOCK_PROCESS_CPUTIME_ID);
	backend = clock ? run_clock(*clock) : 0;
	err = run_drive(l, b, watch);
	r->seconds = (double)(load_clock() - start) / 1e9;
	r->cpu = run_clock(CLOCK_PROCESS_CPUTIME_ID) - cpu;
	r->backend_cpu = clock ? run_clock(*clock) - backend : 0;
	r->has_backend_cpu = clock;
	r->count = load_count(l);
	l->hist = NULL;
	if (!err && l->params.verify)
		err = run_recheck(l);
	else if (!err)
		err = load_drain(l);
	r->verified = l->verified;
	if (!err && !bench_total(&r->count))
		err = load_wrong(l, "not one request was done");
	return err;
}

static int run_report(const struct bench *b, const char *path, const struct bench_result *r)
{
	struct json_object *json;

	if (!b->json) {
		bench_print(b, path, r);
		return tool_end(TOOL_OK);
	}
	json = bench_json(b, path, r);
	printf("%s\n", json_object_to_json_string_ext(json, JSON_C_TO_STRING_PRETTY |
						      JSON_C_TO_STRING_NOSLASHESCAPE));
	json_object_put(json);
	return tool_end(TOOL_OK);
}

int bench_single(const struct bench *b, const char *path)
{
	const struct bench_watch watch = { .tell = bench_progress };
	bool live = isatty(STDERR_FILENO);
	struct bench_result *r;
	clockid_t clock;
	struct load *l;
	int err, status = TOOL_BROKEN;

	if (b->pid && bench_clock((pid_t)b->pid, &clock)) {
		tool_err("--pid=%u: there is no such process", b->pid);
		return TOOL_BROKEN;
	}
	l = malloc(sizeof(*l));
	r = calloc(1, sizeof(*r));
	err = l && r ? load_connect(l, path, 0) : -ENOMEM;
	if (!err)
		err = load_open(l, b->ops, &b->params);
	if (!err)
		err = load_start(l);
	if (!err)
		err = bench_measure(l, b, b->pid ? &clock : NULL, live ? &watch : NULL, r);
	if (live)
		bench_progress_end();
	if (!err)
		err = load_stop(l);
	if (err)
		tool_err("%s: %s", path, l && r ? load_why(l) : load_reason(err));
	else
		status = run_report(b, path, r);
	if (l && r)
		load_close(l);
	free(l);
	free(r);
	return status;
}
