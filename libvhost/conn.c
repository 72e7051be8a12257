/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The connection with the front-end: reading, replying, and its end.
 *
 * One message is in work at a time: between proto_handle() and conn_continue()
 * the connection is busy and its socket is not read.  A connection which ends
 * while busy waits for that; then the queues are drained, the memory is given
 * back, and dev_session_ended() tells that the next front-end may come.
 */
#include <errno.h>
#include <event2/event.h>
#include <poll.h>
#include <string.h>

#include "internal.h"

/*
 * The end
 */

void conn_memory_settled(struct vhost_dev *dev)
{
	if (!dev->settling)
		return;
	dev->settling = false;
	if (dev->conn.busy)
		proto_finish(dev, 0);
	else
		dev_session_ended(dev);
}

/* The queues are drained: nothing needs the memory any more. */
static void conn_drained(struct vhost_dev *dev, int result)
{
	(void)result;
	mem_use(&dev->mem, NULL);
	dev->mem.repeats = false;
	dev->settling = true;
	if (!dev->mem.old)
		conn_memory_settled(dev);
}

static void conn_drain(struct vhost_dev *dev)
{
	unsigned int i;

	for (i = 0; i < dev->nqueues; i++)
		dev->rings[i].started = false;
	ring_setup_apply_all(dev, conn_drained);
}

static void conn_free_events(struct conn *c)
{
	if (c->read_ev)
		event_free(c->read_ev);
	if (c->write_ev)
		event_free(c->write_ev);
	if (c->close_ev)
		event_free(c->close_ev);
	if (c->patience_ev)
		event_free(c->patience_ev);
	c->read_ev = c->write_ev = c->close_ev = c->patience_ev = NULL;
}

/*
 * The message in work waits for requests.  Those which themselves wait, for what may
 * never come, end with the queue_stop of the drain only.
 */
static void conn_give_up_waiting(struct vhost_dev *dev)
{
	dev->settling = dev->flush_pending = false;
	proto_finish(dev, 0);
}

void conn_close(struct vhost_dev *dev, const char *why)
{
	struct conn *c = &dev->conn;

	if (c->fd < 0)
		return;
	if (why) {
		dev->stats.connection_errors++;
		dev_log(dev, VHOST_LOG_WARN, "connection closed: %s", why);
	}
	conn_free_events(c);
	close_fd(&c->fd);
	/* Before anybody is told, who might stop the device: it has not stopped yet. */
	c->closing = true;
	backend_close(dev);
	/* Before the drain: a queue may wait for a page. */
	postcopy_abort(dev);
	if (c->replying) {
		/* Nobody is left to whom the reply could go. */
		msg_close_fds(&c->out.msg);
		c->replying = c->busy = false;
	}
	/* A message which waits for the peer's pipe waits for nothing any more. */
	if (state_drop(dev))
		c->busy = false;
	if (!c->busy)
		conn_drain(dev);
	else if (dev->settling || dev->flush_pending)
		conn_give_up_waiting(dev);
}

/*
 * Patience: the front-end owes us its first word, the rest of a message, or room for a reply
 */

static void conn_patience_event(evutil_socket_t fd, short what, void *arg)
{
	struct vhost_dev *dev = arg;
	struct conn *c = &dev->conn;

	(void)fd, (void)what;
	msg_close_fds(&c->in.msg);
	conn_close(dev, c->replying ? "the front-end does not read its reply" :
			c->in.done ? "the front-end stopped in the middle of a message" :
			"the front-end says nothing");
}

/* It owes us something from now on, or has since. */
static void conn_expect(struct vhost_dev *dev)
{
	const struct timeval tv = { dev->patience_ms / 1000, dev->patience_ms % 1000 * 1000 };
	struct conn *c = &dev->conn;

	if (c->patience_ev && !event_pending(c->patience_ev, EV_TIMEOUT, NULL))
		event_add(c->patience_ev, &tv);
}

static void conn_expect_nothing(struct conn *c)
{
	if (c->patience_ev)
		event_del(c->patience_ev);
}

static int conn_new_patience(struct vhost_dev *dev)
{
	if (!dev->patience_ms)
		return 0;
	dev->conn.patience_ev = event_new(vhost_worker_base(dev->control), -1, 0,
					  conn_patience_event, dev);
	if (!dev->conn.patience_ev)
		return -ENOMEM;
	conn_expect(dev);
	return 0;
}

void vhost_dev_set_patience(struct vhost_dev *dev, unsigned int ms)
{
	dev->patience_ms = ms;
}

/*
 * Messages
 */

void conn_continue(struct vhost_dev *dev)
{
	struct conn *c = &dev->conn;

	c->busy = false;
	c->in.done = 0;
	c->in.msg.nfds = 0;
	if (c->closing) {
		conn_drain(dev);
		return;
	}
	event_del(c->close_ev);
	event_add(c->read_ev, NULL);
	iotlb_judge(dev);
}

bool conn_has_input(const struct vhost_dev *dev)
{
	const struct conn *c = &dev->conn;
	struct pollfd p = { c->fd, POLLIN, 0 };

	return c->busy || c->in.done || poll(&p, 1, 0) == 1;
}

void conn_reply(struct vhost_dev *dev)
{
	struct conn *c = &dev->conn;
	int ret = msg_send(&c->out, c->fd);

	c->replying = ret == -EAGAIN;
	if (c->replying) {
		/* A front-end which does not read its replies gets no further ones. */
		event_add(c->write_ev, NULL);
		conn_expect(dev);
		return;
	}
	conn_expect_nothing(c);
	msg_close_fds(&c->out.msg);
	c->out.done = 0;
	if (ret)
		conn_close(dev, ret == -EPIPE || ret == -ECONNRESET ? NULL :
				strerrordesc_np(-ret));
	conn_continue(dev);
}

static void conn_write_event(evutil_socket_t fd, short what, void *arg)
{
	(void)fd, (void)what;
	conn_reply(arg);
}

/*
 * The front-end has gone while its message is in work, and so does not read the answer.  What
 * the message waits for may depend on it, so this cannot wait for the answer.
 */
static void conn_close_event(evutil_socket_t fd, short what, void *arg)
{
	(void)fd, (void)what;
	conn_close(arg, NULL);
}

static void conn_read_event(evutil_socket_t fd, short what, void *arg)
{
	struct vhost_dev *dev = arg;
	struct conn *c = &dev->conn;
	const char *why;
	int ret = msg_receive(&c->in, fd, &why);

	(void)what;
	if (ret == -EAGAIN) {
		conn_expect(dev);
		return;
	}
	conn_expect_nothing(c);
	if (ret <= 0) {
		msg_close_fds(&c->in.msg);
		if (ret && ret != -ECONNRESET && !why)
			why = strerrordesc_np(-ret);
		conn_close(dev, why);
		return;
	}
	c->busy = true;
	proto_handle(dev);
	if (c->busy && c->read_ev) {
		event_del(c->read_ev);
		event_add(c->close_ev, NULL);
	}
}

int conn_open(struct vhost_dev *dev, int fd)
{
	struct event_base *base = vhost_worker_base(dev->control);
	struct conn *c = &dev->conn;

	*c = (struct conn){ .fd = fd };
	c->read_ev = event_new(base, fd, EV_READ | EV_PERSIST, conn_read_event, dev);
	c->write_ev = event_new(base, fd, EV_WRITE, conn_write_event, dev);
	c->close_ev = event_new(base, fd, EV_CLOSED, conn_close_event, dev);
	if (!c->read_ev || !c->write_ev || !c->close_ev || conn_new_patience(dev) ||
	    event_add(c->read_ev, NULL)) {
		conn_free_events(c);
		close_fd(&c->fd);
		return -ENOMEM;
	}
	dev->stats.connections++;
	dev_log_begin(dev);
	if (dev->ops.connection)
		dev->ops.connection(dev, true);
	return 0;
}
