/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The log of a device: what the program says of it, what was too much to be said, and what
 * became of a connection.
 *
 * Lines which were too much are told by a timer of the control worker, which runs only then; a
 * queue's worker asks for it by QUEUE_LOG.
 */
#include <event2/event.h>
#include <inttypes.h>

#include "internal.h"
#include "worker.h"

/*
 * What was too much
 */

static void dev_log_event(evutil_socket_t fd, short what, void *arg)
{
	struct vhost_dev *dev = arg;

	(void)fd, (void)what;
	if (log_tell(&dev->log_limit, dev->name))
		dev_log_lost(dev);
}

void dev_log_lost(struct vhost_dev *dev)
{
	const struct timeval tv = { LOG_INTERVAL + 1, 0 };

	if (!dev->control)
		return;
	if (!dev->log_ev)
		dev->log_ev = event_new(vhost_worker_base(dev->control), -1, 0, dev_log_event, dev);
	if (dev->log_ev && !event_pending(dev->log_ev, EV_TIMEOUT, NULL))
		event_add(dev->log_ev, &tv);
}

void dev_log_stop(struct vhost_dev *dev)
{
	if (dev->log_ev)
		event_free(dev->log_ev);
	dev->log_ev = NULL;
}

/*
 * The program's lines
 */

void vhost_dev_log(struct vhost_dev *dev, enum vhost_log_level level, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	if (log_vline(&dev->log_limit, level, dev->name, fmt, ap))
		dev_log_lost(dev);
	va_end(ap);
}

void vhost_queue_log(struct vhost_queue *q, enum vhost_log_level level, const char *fmt, ...)
{
	char text[LOG_LINE];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	queue_log(q, level, "%s", text);
}

/*
 * A connection's life
 */

/* What was done up to now.  No queue runs, so their statistics are nobody's. */
static struct session dev_session(const struct vhost_dev *dev)
{
	struct session s = { .since = worker_now(), .messages = dev->stats.messages };
	unsigned int i;

	for (i = 0; i < dev->nqueues; i++) {
		s.requests += dev->queues[i].stats.requests;
		s.bytes += dev->queues[i].stats.bytes;
	}
	return s;
}

void dev_log_begin(struct vhost_dev *dev)
{
	dev->session = dev_session(dev);
	dev_log(dev, VHOST_LOG_INFO, "front-end connected");
}

void dev_log_end(struct vhost_dev *dev)
{
	const struct session now = dev_session(dev), *begin = &dev->session;
	uint64_t ms = (now.since - begin->since) / 1000000;

	dev_log(dev, VHOST_LOG_INFO, "front-end disconnected after %" PRIu64 ".%03" PRIu64
		" s: %" PRIu64 " messages, %" PRIu64 " requests, %" PRIu64 " bytes", ms / 1000,
		ms % 1000, now.messages - begin->messages, now.requests - begin->requests,
		now.bytes - begin->bytes);
}
