/* SPDX-License-Identifier: BSD-3-Clause */
/* Looking for completions: an event of the worker's event_base, and a poller. */
#include "storage/notify.h"

#include <errno.h>
#include <event2/event.h>

#include "util.h"

static void notify_event(evutil_socket_t fd, short what, void *arg)
{
	struct notify *n = arg;

	(void)fd, (void)what;
	n->look(n);
}

static bool notify_poll(struct vhost_poller *poller)
{
	struct notify *n = container_of(poller, struct notify, poller);

	return n->look(n);
}

int notify_open(struct notify *n, struct vhost_worker *w, int fd, short what,
		bool (*look)(struct notify *n))
{
	n->event = event_new(vhost_worker_base(w), fd, EV_READ | EV_PERSIST | what,
			     notify_event, n);
	if (!n->event)
		return -ENOMEM;
	if (event_add(n->event, NULL)) {
		event_free(n->event);
		return -ENOMEM;
	}
	n->worker = w;
	n->look = look;
	n->poller.poll = notify_poll;
	vhost_worker_add_poller(w, &n->poller);
	return 0;
}

void notify_close(struct notify *n)
{
	if (!n->worker)
		return;
	vhost_worker_del_poller(n->worker, &n->poller);
	event_free(n->event);
	n->worker = NULL;
}

void notify_again(struct notify *n)
{
	event_active(n->event, EV_READ, 0);
}
