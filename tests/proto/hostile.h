/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What tests of hostile drivers have in common, whatever the ring's format.
 *
 * An attack goes to queue 0.  What makes no sense breaks that queue: its err fd is signalled
 * and nothing more is taken.  What is odd but allowed is served.  Either way queue 1 goes
 * on, the queue works again after a restart, and the device serves the next front-end.
 */
#ifndef TESTS_HOSTILE_H
#define TESTS_HOSTILE_H

#include "tests/echo.h"

#define HOSTILE_SIZE 16u		/* of the rings */

/* Guest addresses: BUF is memory, NOWHERE is not, END is its last page. */
#define MEM_SIZE (UINT64_C(16) << 20)
#define BUF (UINT64_C(15) << 20)
#define TABLE (UINT64_C(14) << 20)
#define END (MEM_SIZE - 4096)
#define NOWHERE (UINT64_C(1) << 40)

struct hostile_case {
	const char *name;
	bool allowed;			/* odd, but it has to be served */
	uint32_t used;			/* when served: the length which is told */
	bool fresh;			/* it counts on a ring which has not been used */
};

/*
 * Let attack, which kicks, loose on queue 0 of a device of its own, and judge what comes of it.
 * With a worker for the queues (nworkers), on one which has served requests before: what it has
 * learned from them lets it go shorter ways.
 */
void hostile_run(const struct hostile_case *c,
		 void (*attack)(struct fe_ring *ring, const struct hostile_case *c),
		 unsigned int nworkers, uint64_t features);

/* The err fd is signalled and nothing is used any more. */
void hostile_expect_broken(struct fe_ring *ring, const char *name);

/* Stop the ring and start it as a fresh one. */
void hostile_restart(struct fe *fe, struct fe_ring *ring);

#endif /* TESTS_HOSTILE_H */
