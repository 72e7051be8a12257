/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The law of a worker's polling window.
 *
 * Polling pays when the next request comes soon, and when the one who sends it has a processor to
 * run on meanwhile.  Neither can be known, but whether it did pay last time is: the
 * window doubles with each finding up to its maximum, and is quartered with each time that it ends
 * in vain, soon to nothing.
 *
 * A worker which does not poll finds nothing, so it tries again when work keeps coming soon after
 * it fell asleep.  Each attempt in vain doubles how often that has to happen before the
 * next one, and each finding halves it: where polling never pays, as on a single processor, which
 * it would only take away from the driver, it costs one short window in POLL_WANTED_MAX sleeps.  An
 * idle worker is not woken, so it does not poll.
 */
#include "window.h"

#include "util.h"

/* A shorter window would not be longer than it takes to sleep and to wake. */
#define POLL_LEN_MIN	2000u

/* Sleeps of up to so many windows are short: much of such a time is that of waking up, on both sides. */
#define POLL_SOON	8u

#define POLL_WANTED_MAX	512u

void poll_set(struct poll_window *p, uint64_t max)
{
	*p = (struct poll_window){ .max = max, .wanted = 1 };
}

void poll_hit(struct poll_window *p)
{
	if (likely(p->len == p->max && p->wanted == 1))
		return;
	p->len = MIN(2 * p->len, p->max);
	p->wanted = MAX(p->wanted / 2, 1u);
}

void poll_miss(struct poll_window *p)
{
	p->len /= 4;
	if (p->len < POLL_LEN_MIN)
		p->len = 0;
	p->soon = 0;
	p->wanted = MIN(2 * p->wanted, POLL_WANTED_MAX);
}

bool poll_wake(struct poll_window *p, uint64_t gap)
{
	if (p->len || !p->max)
		return p->len;
	p->soon = gap <= POLL_SOON * p->max ? p->soon + 1 : 0;
	if (p->soon < p->wanted)
		return false;
	p->len = MIN(2 * gap, p->max);
	return p->len;
}
