/* SPDX-License-Identifier: BSD-3-Clause */
/* See hist.h. */
#include "config.h"

#include "tools/hist.h"

void hist_reset(struct hist *h)
{
	*h = (struct hist){ .min = UINT64_MAX };
}

/*
 * Values below 2 * HIST_SUB have a bucket each.  Above, the highest HIST_BITS + 1 bits choose it:
 * the place of the first, and those behind it.
 */
unsigned int hist_bucket(uint64_t value)
{
	unsigned int shift;

	if (value < 2 * HIST_SUB)
		return (unsigned int)value;
	shift = 63 - (unsigned int)__builtin_clzll(value) - HIST_BITS;
	return shift * HIST_SUB + (unsigned int)(value >> shift);
}

uint64_t hist_bound(unsigned int bucket)
{
	unsigned int shift;

	if (bucket < 2 * HIST_SUB)
		return bucket;
	shift = bucket / HIST_SUB - 1;
	return ((uint64_t)(bucket - shift * HIST_SUB) << shift) + ((UINT64_C(1) << shift) - 1);
}

uint64_t hist_percentile(const struct hist *h, double percent)
{
	double wanted = (double)h->total * percent / 100;
	uint64_t seen = 0, bound;
	unsigned int i;

	for (i = 0; i < HIST_BUCKETS; i++) {
		seen += h->counts[i];
		if (!seen || (double)seen < wanted)
			continue;
		/* No value is higher than the highest. */
		bound = hist_bound(i);
		return bound < h->max ? bound : h->max;
	}
	return h->total ? h->max : 0;
}

uint64_t hist_mean(const struct hist *h)
{
	return h->total ? h->sum / h->total : 0;
}
