/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Whether the machine is calm enough to measure.
 *
 * A loop which always does the same takes longer when others use the CPU, or when it runs slower.
 * So it is timed on each CPU which matters, before and after a measurement.
 */
#ifndef TOOLS_CALM_H
#define TOOLS_CALM_H

#include <sched.h>
#include <stdbool.h>
#include <stdint.h>

struct calm {
	cpu_set_t home;			/* where this thread belongs */
	cpu_set_t cpus;			/* where it looks */
	uint64_t best;			/* ns, the shortest time ever */
};

/* Learn how long it takes. */
void calm_init(struct calm *c, const cpu_set_t *home, const cpu_set_t *cpus);

/* How much longer than the best it takes at the moment on the worst of the CPUs: 1 is calm. */
double calm_now(struct calm *c);

/* From where on a measurement is not to be believed. */
#define CALM_LIMIT 1.15

#endif /* TOOLS_CALM_H */
