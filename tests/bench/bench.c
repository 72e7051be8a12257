/* SPDX-License-Identifier: BSD-3-Clause */
/* See bench.h. */
#include "config.h"

#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "tests/bench/bench.h"

#define WARMUP_NS	50000000u

void bench_die(const char *who, const char *what, int err)
{
	fprintf(stderr, "%s: %s: %s: %s\n", program_invocation_short_name, who, what,
		strerror(-err));
	exit(1);
}

void bench_check(const struct bench_target *t, const char *what, int err)
{
	if (err < 0)
		bench_die(t->name, what, err);
}

uint64_t bench_now(clockid_t clock)
{
	struct timespec ts;

	if (clock_gettime(clock, &ts) < 0)
		bench_die("CPU clock of the back-end", "gone", -errno);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

uint64_t bench_time(const struct bench_target *t)
{
	return bench_now(CLOCK_MONOTONIC) - t->idle_ns;
}

void bench_connect(struct bench_target *t, char *arg)
{
	char *pid = strchr(arg, '='), *socket = pid ? strchr(pid, ':') : NULL;
	int err;

	if (!socket)
		bench_die(arg, "want NAME=PID:SOCKET", -EINVAL);
	*pid++ = *socket++ = '\0';
	t->name = arg;
	t->pid = atoi(pid);
	err = clock_getcpuclockid(t->pid, &t->clock);
	if (err)
		bench_die(t->name, "no such process", -err);
	bench_check(t, socket, fe_connect(&t->fe, socket));
}

void bench_pause(const struct bench_target *t)
{
	if (t->pid)
		kill(t->pid, SIGSTOP);
}

void bench_resume(const struct bench_target *t)
{
	if (t->pid)
		kill(t->pid, SIGCONT);
}

bool bench_number(const char *text, unsigned int min, unsigned int max, unsigned int *number)
{
	char *end;
	unsigned long n = strtoul(text, &end, 10);

	if (end == text || *end || n < min || n > max) {
		fprintf(stderr, "%s: %s: want a number from %u to %u\n",
			program_invocation_short_name, text, min, max);
		return false;
	}
	*number = (unsigned int)n;
	return true;
}

/* What a counter of each kind says at one time. */
struct moment {
	uint64_t time, cpu, kicks;
};

static struct moment moment_now(struct bench_target *t, const struct bench_plan *plan)
{
	return (struct moment){ bench_time(t), bench_now(t->clock) - t->idle_cpu_ns,
				plan->kicks(t) };
}

static void bench_round(struct bench_target *t, const struct bench_plan *plan,
			struct bench_result *r)
{
	struct moment start, end;
	uint64_t n;

	if (plan->pause)
		bench_resume(t);
	plan->fill(t);
	plan->drive(t, bench_time(t) + WARMUP_NS);
	start = moment_now(t, plan);
	n = plan->drive(t, start.time + plan->time_ms * UINT64_C(1000000));
	end = moment_now(t, plan);
	plan->drain(t);
	if (plan->pause)
		bench_pause(t);
	if (!n)
		bench_die(t->name, "not one request was done", -ETIMEDOUT);
	r->rate = (double)n * 1e9 / (double)(end.time - start.time);
	r->cpu_ns = (double)(end.cpu - start.cpu) / (double)n;
	r->kicks = (double)(end.kicks - start.kicks) / (double)n;
}

static int compare(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return (x > y) - (x < y);
}

/* Sort what get says of each round; the median is then in the middle. */
static void collect(const struct bench_plan *plan, struct bench_target *const *ts, double *v,
		    double (*get)(struct bench_target *const *ts, unsigned int round))
{
	unsigned int i;

	for (i = 0; i < plan->rounds; i++)
		v[i] = get(ts, i);
	qsort(v, plan->rounds, sizeof(*v), compare);
}

static double get_rate(struct bench_target *const *ts, unsigned int round)
{
	return ts[0]->results[round].rate;
}

static double get_cpu(struct bench_target *const *ts, unsigned int round)
{
	return ts[0]->results[round].cpu_ns;
}

static double get_kicks(struct bench_target *const *ts, unsigned int round)
{
	return ts[0]->results[round].kicks;
}

static double get_rate_ratio(struct bench_target *const *ts, unsigned int round)
{
	return ts[0]->results[round].rate / ts[1]->results[round].rate;
}

static double get_cpu_ratio(struct bench_target *const *ts, unsigned int round)
{
	return ts[0]->results[round].cpu_ns / ts[1]->results[round].cpu_ns;
}

static void bench_print(const struct bench_plan *plan, struct bench_target *const *ts,
			unsigned int num, unsigned int label)
{
	const unsigned int middle = plan->rounds / 2, last = plan->rounds - 1;
	double v[BENCH_ROUNDS_MAX];
	unsigned int i;

	for (i = 0; i < num; i++) {
		printf("%5u  %-20s", label, ts[i]->name);
		collect(plan, &ts[i], v, get_rate);
		printf(" %9.0f %s", v[middle], plan->unit);
		collect(plan, &ts[i], v, get_cpu);
		printf(" %8.0f CPU-ns", v[middle]);
		collect(plan, &ts[i], v, get_kicks);
		printf(" %5.2f kicks\n", v[middle]);
	}
	if (num < 2)
		return;
	collect(plan, ts, v, get_rate_ratio);
	printf("%5u  ratio   %s %.2f (%.2f to %.2f)", label, plan->unit, v[middle], v[0], v[last]);
	collect(plan, ts, v, get_cpu_ratio);
	printf("   CPU per request %.2f (%.2f to %.2f)\n", v[middle], v[0], v[last]);
}

void bench_run(const struct bench_plan *plan, struct bench_target *const *ts, unsigned int num,
	       unsigned int label)
{
	unsigned int round, i;

	for (i = 0; plan->pause && i < num; i++)
		bench_pause(ts[i]);
	for (round = 0; round < plan->rounds; round++)
		for (i = 0; i < num; i++) {
			struct bench_target *t = ts[round % 2 ? num - 1 - i : i];

			bench_round(t, plan, &t->results[round]);
		}
	for (i = 0; plan->pause && i < num; i++)
		bench_resume(ts[i]);
	bench_print(plan, ts, num, label);
	fflush(stdout);
}
