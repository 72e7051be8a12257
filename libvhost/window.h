/* SPDX-License-Identifier: BSD-3-Clause */
/* How long a worker polls before it sleeps: a window which learns from what polling has found. */
#ifndef VHOST_WINDOW_H
#define VHOST_WINDOW_H

#include <stdbool.h>
#include <stdint.h>

struct poll_window {
	uint64_t max;			/* ns; 0: there is no polling */
	uint64_t len;			/* ns which polling lasts after a finding; 0: it does not begin */
	unsigned int soon;		/* sleeps in a row which were short, while len is 0 */
	unsigned int wanted;		/* so many of them before polling is tried again, not 0 */
};

/* Begin anew with windows up to max, in ns. */
void poll_set(struct poll_window *p, uint64_t max);

/* Something was found within the window. */
void poll_hit(struct poll_window *p);
/* The window has ended without a finding. */
void poll_miss(struct poll_window *p);
/* The worker was woken, gap ns after it had been busy.  Whether it is to poll now. */
bool poll_wake(struct poll_window *p, uint64_t gap);

#endif /* VHOST_WINDOW_H */
