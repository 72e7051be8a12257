/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What rounds of two contenders gave, and what follows from it.
 *
 * In each round both have had their turn, one after the other.  What counts is the median of the
 * rounds' ratios, first to second; with it come the medians of each, and the extremes.
 */
#ifndef TOOLS_ROUNDS_H
#define TOOLS_ROUNDS_H

#include <stdbool.h>

#define ROUNDS_MAX 99u

/* What one turn of one of the two gave. */
struct turn {
	double rate;			/* requests per second */
	double cpu;			/* ns of the contender's per request */
	double kicks, interrupts;	/* per request */
	double latency;			/* ns, the median; 0: not told */
};

struct rounds {
	struct turn turns[ROUNDS_MAX][2];
	unsigned int num;		/* done, and counting */
	unsigned int wanted;
	unsigned int tries;		/* as many times as many are tried at most; 0: 3 */
	unsigned int tried;		/* with those which did not count */
	unsigned int disturbed;		/* of those which count */
	unsigned int time_ms;		/* of a turn */

	/* For what is printed. */
	const char *type;		/* of device */
	const char *load;		/* what was done */
	const char *names[2];
};

/*
 * The turns of the round which is being done; and then whether it counts: one which was so much
 * slower than calm (see calm.h) does so only when there would otherwise be too few.
 */
struct turn *rounds_current(struct rounds *r);
void rounds_end(struct rounds *r, double worst);

/* Whether there are as many as were wanted. */
bool rounds_done(const struct rounds *r);

/* A table, or a JSON object; there is at least one round. */
void rounds_print(const struct rounds *r);
void rounds_print_json(const struct rounds *r);

#endif /* TOOLS_ROUNDS_H */
