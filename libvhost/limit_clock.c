/* SPDX-License-Identifier: BSD-3-Clause */
/* A clock which lets things through at a rate. */
#include "limit_clock.h"

#include "util.h"

#define SECOND UINT64_C(1000000000)

/* The burst by default: what comes in this time, in ns. */
#define BURST (SECOND / 10)

/* As good as never, and far enough from the end for sums. */
#define NEVER (UINT64_MAX / 4)

__extension__ typedef unsigned __int128 uint128;

void clock_set(struct limit_clock *clock, uint64_t rate, uint64_t burst, uint64_t now)
{
	uint128 ns;

	*clock = (struct limit_clock){ .rate = rate, .at = now };
	if (!rate)
		return;
	/* The first of a burst is for free. */
	ns = burst ? ((uint128)(burst - 1) * SECOND + rate - 1) / rate : BURST;
	clock->burst = (uint64_t)MIN(ns, (uint128)NEVER);
}

uint64_t clock_wait(const struct limit_clock *clock, uint64_t now)
{
	if (!clock->rate || clock->at < now || (clock->at == now && !clock->rest))
		return 0;
	return clock->at - now + !!clock->rest;
}

void clock_forget(struct limit_clock *clock, uint64_t now, bool late)
{
	uint64_t burst = late ? MAX(clock->burst, CLOCK_LATE) : clock->burst;
	uint64_t oldest = now > burst ? now - burst : 0;

	if (clock->rate && clock->at < oldest) {
		clock->at = oldest;
		clock->rest = 0;
	}
}

void clock_charge(struct limit_clock *clock, uint64_t n)
{
	uint128 cost, ns;

	if (!clock->rate)
		return;
	cost = (uint128)n * SECOND + clock->rest;
	ns = cost / clock->rate;
	clock->rest = (uint64_t)(cost % clock->rate);
	clock->at += (uint64_t)MIN(ns, (uint128)NEVER);
	clock->at = MIN(clock->at, UINT64_MAX - NEVER);
}

void clock_give_back(struct limit_clock *clock, uint64_t n)
{
	uint128 cost, have;

	if (!clock->rate)
		return;
	cost = (uint128)n * SECOND;
	have = (uint128)clock->at * clock->rate + clock->rest;
	have -= MIN(cost, have);
	clock->at = (uint64_t)(have / clock->rate);
	clock->rest = (uint64_t)(have % clock->rate);
}
