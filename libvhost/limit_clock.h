/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A clock which lets things through at a rate.
 *
 * Each thing moves it on by what it costs at that rate; while it is ahead of the time nothing is let
 * through.  What it is behind is credit, and the burst says how far it may be behind when a thing
 * comes after a pause.  So what a large thing costs too much is paid by the next ones,
 * and nothing is lost to who comes late from waiting.  Times are exact: what is left of a
 * division is kept for the next one.
 */
#ifndef VHOST_LIMIT_CLOCK_H
#define VHOST_LIMIT_CLOCK_H

#include <stdbool.h>
#include <stdint.h>

/* What who comes late can find at most, in ns. */
#define CLOCK_LATE UINT64_C(1000000000)

struct limit_clock {
	uint64_t rate;			/* a second; 0: no limit */
	uint64_t burst;			/* ns */
	uint64_t at;			/* ns, as CLOCK_MONOTONIC */
	uint64_t rest;			/* of at, in ns / rate: below rate */
};

/* From now on this rate; burst: so many at once after a pause, 0: those of 100 ms. */
void clock_set(struct limit_clock *clock, uint64_t rate, uint64_t burst, uint64_t now);

/* Time until it lets through more, in ns; 0: now. */
uint64_t clock_wait(const struct limit_clock *clock, uint64_t now);

/* Something comes, before it is charged; late: something had to wait a moment ago. */
void clock_forget(struct limit_clock *clock, uint64_t now, bool late);
void clock_charge(struct limit_clock *clock, uint64_t n);
/* Undo that. */
void clock_give_back(struct limit_clock *clock, uint64_t n);

#endif /* VHOST_LIMIT_CLOCK_H */
