/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A histogram of times, log-linear: each power of two is divided into equal buckets.
 *
 * Adding costs a few instructions and no memory; what comes out again is at most 1/HIST_SUB too
 * high.
 */
#ifndef TOOLS_HIST_H
#define TOOLS_HIST_H

#include <stdint.h>

#define HIST_BITS	5		/* of precision */
#define HIST_SUB	(1u << HIST_BITS)
#define HIST_BUCKETS	((64 - HIST_BITS + 1) * HIST_SUB)

struct hist {
	uint64_t counts[HIST_BUCKETS];
	uint64_t total, sum, min, max;
};

void hist_reset(struct hist *h);

/* The bucket of a value, and the largest value which goes there. */
unsigned int hist_bucket(uint64_t value);
uint64_t hist_bound(unsigned int bucket);

static inline void hist_add(struct hist *h, uint64_t value)
{
	h->counts[hist_bucket(value)]++;
	h->total++;
	h->sum += value;
	if (value < h->min)
		h->min = value;
	if (value > h->max)
		h->max = value;
}

/* The value which so many percent of all do not exceed; 0: there are none. */
uint64_t hist_percentile(const struct hist *h, double percent);
uint64_t hist_mean(const struct hist *h);

#endif /* TOOLS_HIST_H */
