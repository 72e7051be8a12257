/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The device's own state on its way to another process, or from there (vhost-user,
 * "Migrating back-end state").
 *
 * SET_DEVICE_STATE_FD brings one end of a pipe.  Its answer does not wait for the transfer,
 * which goes on in the control worker's event loop while the front-end reads or writes the
 * other end; CHECK_DEVICE_STATE asks how it ended, and is answered only then.  What
 * is saved was taken before the answer, what is loaded reaches the device as a whole.
 */
#include "internal.h"

#include <errno.h>
#include <event2/event.h>
#include <stdlib.h>
#include <string.h>

#include "pipe.h"

/* Bytes of a first read; later ones are as many as there are already. */
#define STATE_CHUNK (64u * 1024)

/*
 * The end
 */

/* How the transfer went is told once. */
static int state_result(struct state_transfer *st)
{
	int result = st->over ? st->result : -ENOENT;

	st->over = st->awaited = false;
	return result;
}

static void state_stop(struct state_transfer *st)
{
	if (st->ev)
		event_free(st->ev);
	st->ev = NULL;
	close_fd(&st->fd);
	free(st->buf);
	st->buf = NULL;
	st->len = st->cap = st->done = 0;
}

bool state_drop(struct vhost_dev *dev)
{
	bool awaited = dev->state.awaited;

	state_stop(&dev->state);
	state_result(&dev->state);
	return awaited;
}

static void state_end(struct vhost_dev *dev, int result)
{
	struct state_transfer *st = &dev->state;

	if (result)
		dev_log(dev, VHOST_LOG_WARN, "transfer of the device's state: %s",
			strerrordesc_np(-result));
	state_stop(st);
	st->over = true;
	st->result = result;
	if (!st->awaited)
		return;
	dev->conn.in.msg.payload.u64 = state_result(st) < 0;
	proto_finish(dev, PROTO_REPLY);
}

/*
 * On the way
 */

static void state_save_event(evutil_socket_t fd, short what, void *arg)
{
	struct vhost_dev *dev = arg;
	struct state_transfer *st = &dev->state;
	ssize_t n = 0;

	(void)what;
	if (st->done < st->len)
		n = pipe_write(fd, st->buf + st->done, st->len - st->done);
	if (n < 0 && errno != EAGAIN && errno != EINTR)
		state_end(dev, -errno);
	else if (n >= 0 && (st->done += (size_t)n) == st->len)
		state_end(dev, 0);
}

/* One byte more than a state can have, so that a longer one shows. */
static bool state_grow(struct state_transfer *st)
{
	size_t cap = MIN(MAX(2 * st->cap, STATE_CHUNK), VHOST_STATE_MAX + 1);
	uint8_t *buf = realloc(st->buf, cap);

	if (!buf)
		return false;
	st->buf = buf;
	st->cap = cap;
	return true;
}

static int state_load(struct vhost_dev *dev)
{
	uint8_t *buf = dev->state.buf;
	int ret;

	/* Rings may have been started meanwhile. */
	if (ring_setup_any_started(dev))
		return -EBUSY;
	/* The device may stop itself, which drops the transfer. */
	dev->state.buf = NULL;
	ret = dev->ops.load(dev, buf, dev->state.len);
	free(buf);
	return ret;
}

static void state_load_event(evutil_socket_t fd, short what, void *arg)
{
	struct vhost_dev *dev = arg;
	struct state_transfer *st = &dev->state;
	ssize_t n;

	(void)what;
	if (st->len == st->cap && !state_grow(st)) {
		state_end(dev, -ENOMEM);
		return;
	}
	n = pipe_read(fd, st->buf + st->len, st->cap - st->len);
	if (n > 0)
		st->len += (size_t)n;
	if (!n)
		state_end(dev, state_load(dev));
	else if (n < 0 && errno != EAGAIN && errno != EINTR)
		state_end(dev, -errno);
	else if (st->len > VHOST_STATE_MAX)
		state_end(dev, -E2BIG);
}

/*
 * Messages
 */

static int state_save(struct vhost_dev *dev)
{
	struct state_transfer *st = &dev->state;
	void *buf = NULL;
	size_t len = 0;
	int ret = dev->ops.save(dev, &buf, &len);

	if (!ret && len > VHOST_STATE_MAX)
		ret = -E2BIG;
	if (ret) {
		free(buf);
		return ret;
	}
	st->buf = buf;
	st->len = len;
	return 0;
}

static int state_begin(struct vhost_dev *dev, struct msg *msg)
{
	const struct vu_transfer_state *t = &msg->payload.transfer;
	bool load = t->direction == VU_TRANSFER_LOAD;
	struct state_transfer *st = &dev->state;
	int ret;

	if (t->direction > VU_TRANSFER_LOAD || t->phase != VU_TRANSFER_STOPPED)
		return -EINVAL;
	if (st->ev || ring_setup_any_started(dev))
		return -EBUSY;
	ret = proto_take_event_fd(msg, &st->fd);
	if (!ret && !load)
		ret = state_save(dev);
	if (ret)
		return ret;
	st->ev = event_new(vhost_worker_base(dev->control), st->fd,
			   (load ? EV_READ : EV_WRITE) | EV_PERSIST,
			   load ? state_load_event : state_save_event, dev);
	return st->ev && !event_add(st->ev, NULL) ? 0 : -ENOMEM;
}

int proto_set_device_state_fd(struct vhost_dev *dev, struct msg *msg)
{
	struct state_transfer *st = &dev->state;
	bool running = st->ev;
	int ret = state_begin(dev, msg);

	if (ret) {
		dev_log(dev, VHOST_LOG_WARN, "SET_DEVICE_STATE_FD refused: %s",
			strerrordesc_np(-ret));
		dev->stats.refused++;
	}
	if (ret && !running)
		state_stop(st);
	if (!ret)
		st->over = false;
	msg->payload.u64 = VU_TRANSFER_NO_FD | !!ret;
	return PROTO_REPLY;
}

int proto_check_device_state(struct vhost_dev *dev, struct msg *msg)
{
	struct state_transfer *st = &dev->state;

	if (st->ev) {
		st->awaited = true;
		return PROTO_PENDING;
	}
	msg->payload.u64 = state_result(st) < 0;
	return PROTO_REPLY;
}
