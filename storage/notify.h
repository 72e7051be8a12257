/* SPDX-License-Identifier: BSD-3-Clause */
/* Looking for completions: when a file descriptor says so, and while the worker polls. */
#ifndef STORAGE_NOTIFY_H
#define STORAGE_NOTIFY_H

#include <stdbool.h>

#include "libvhost.h"

struct event;

struct notify {
	struct vhost_worker *worker;	/* NULL: not open */
	struct event *event;
	struct vhost_poller poller;
	bool (*look)(struct notify *n);	/* take what is there; whether there was anything */
};

/*
 * Call look, on the worker, when fd becomes readable and while the worker polls.  what is
 * EV_ET for an eventfd, which then need not be read.
 */
int notify_open(struct notify *n, struct vhost_worker *w, int fd, short what,
		bool (*look)(struct notify *n));
void notify_close(struct notify *n);

/* Call look in the worker's next round. */
void notify_again(struct notify *n);

#endif /* STORAGE_NOTIFY_H */
