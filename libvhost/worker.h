/* SPDX-License-Identifier: BSD-3-Clause */
/* What the rest of the library asks of a worker: rounds and their members. */
#ifndef VHOST_WORKER_H
#define VHOST_WORKER_H

#include <stdbool.h>
#include <sys/queue.h>

#include "libvhost.h"

struct round_member;

/* What a member has done in a round, for its driver; more is larger. */
enum round_result {
	ROUND_NOTHING,
	ROUND_TOOK,			/* it has taken requests, and given back none */
	ROUND_GAVE,			/* it has given some back: the driver's turn */
};

struct round_ops {
	/* It asked, in an earlier round, to be called again. */
	void (*again)(struct round_member *m);
	/* The end of a round in which it was touched. */
	enum round_result (*end)(struct round_member *m);
	/* The worker polls: look for work and do it; whether there was some. */
	bool (*poll)(struct round_member *m);
	/* The worker stops polling: ask for notifications from now on. */
	void (*rest)(struct round_member *m);
};

/* Somebody who takes part in the rounds of one worker; touched only there. */
struct round_member {
	const struct round_ops *ops;
	struct vhost_worker *worker;
	bool joined, touched, again;
	LIST_ENTRY(round_member) member_entry, touched_entry, again_entry;
};

void worker_join(struct vhost_worker *w, struct round_member *m);
void worker_leave(struct round_member *m);

/* Call ops->end at the end of this round. */
void worker_touch_first(struct round_member *m);
static inline void worker_touch(struct round_member *m)
{
	if (!m->touched)
		worker_touch_first(m);
}
/* Call ops->again in the next round. */
void worker_again(struct round_member *m);

/* CLOCK_MONOTONIC, in ns. */
uint64_t worker_now(void);

/* Whether the worker polls, or is about to, so that notifications are not wanted. */
bool worker_polls(const struct vhost_worker *w);

#endif /* VHOST_WORKER_H */
