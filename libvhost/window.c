/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The law of a worker's polling windows.
 *
 * What a poll saves is one sleep, so it may cost about as much as one, and no more.  For whom a
 * worker waits decides what that is, and how long it takes, so there is a window for each:
 *
 *   the driver, once it got something back.  If it is about to answer, it does so within a
 *   microsecond or a few.  If the worker sleeps by then, the driver has to kick, which takes an
 *   exit of its virtual machine, and the worker to be woken;
 *
 *   a store, when all that was taken is with it: a driver seldom sends more before something comes
 *   back.  The store kicks nobody; its interrupt comes whether the worker sleeps or not.  So only
 *   the wake-up is saved, some three microseconds of a processor, and this window is a small part
 *   of the other one.  Fast memory answers within it.  A disk does not, and a worker which watched
 *   it working would use all of a processor for a tenth more of requests.
 *
 * Which of the two follows is known at the end of each round (worker.c): something was published
 * in it, or something was taken only.  A disk with one request at a time shows both in turn: the
 * worker looks for the next request, hands it over, sleeps, is woken by the disk, gives back and
 * looks again.  That is one sleep and no kick for each request.  Stores which are done at once
 * (memory, the page cache) have the driver's window only.
 *
 * Of each window this holds.  Polling pays when the next request comes soon, and when the one who
 * sends it has a processor to run on meanwhile.  Neither can be known, but whether it did pay
 * last time is: the window doubles with each finding up to its maximum, and is quartered with
 * each time that it ends in vain, soon to nothing.
 *
 * A worker which does not poll finds nothing, so it tries again when work keeps coming soon after
 * it fell asleep.  Each window in vain quadruples how often that has to happen before the next
 * attempt, and each finding halves it: where polling never pays, as on a single processor, which it
 * would only take away from the driver, or not at every second time, as when a disk is waited for
 * and then the driver, it costs one short window in POLL_WANTED_MAX sleeps.  An idle worker is not
 * woken, so it does not poll.
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
	p->wanted = MIN(4 * p->wanted, POLL_WANTED_MAX);
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
