/* SPDX-License-Identifier: BSD-3-Clause */
/* See calm.h. */
#include "config.h"

#include "tools/calm.h"

#include "tools/load.h"
#include "util.h"

#define CALM_STEPS	2000000u	/* some milliseconds */
#define CALM_LEARN	8u

/* Each step needs the result of the one before, and none of them memory. */
static uint64_t calm_loop(void)
{
	volatile uint64_t result;
	uint64_t x = 88172645463325252u, start = load_clock();
	unsigned int i;

	for (i = 0; i < CALM_STEPS; i++)
		x = (x ^ x >> 29) * 0xbf58476d1ce4e5b9u;
	result = x;
	(void)result;
	return load_clock() - start;
}

/* The time on the slowest CPU. */
static uint64_t calm_worst(struct calm *c)
{
	uint64_t worst = 0, ns;
	cpu_set_t one;
	int cpu;

	for (cpu = 0; cpu < CPU_SETSIZE; cpu++) {
		if (!CPU_ISSET(cpu, &c->cpus))
			continue;
		CPU_ZERO(&one);
		CPU_SET(cpu, &one);
		sched_setaffinity(0, sizeof(one), &one);
		ns = calm_loop();
		c->best = MIN(c->best, ns);
		worst = MAX(worst, ns);
	}
	sched_setaffinity(0, sizeof(c->home), &c->home);
	return worst;
}

void calm_init(struct calm *c, const cpu_set_t *home, const cpu_set_t *cpus)
{
	unsigned int i;

	*c = (struct calm){ .home = *home, .cpus = *cpus, .best = UINT64_MAX };
	for (i = 0; i < CALM_LEARN; i++)
		calm_worst(c);
}

double calm_now(struct calm *c)
{
	uint64_t ns = calm_worst(c);

	return (double)ns / (double)c->best;
}
