/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The log of written pages, as the front-end sets it up: SET_LOG_BASE, SET_LOG_FD, and
 * VHOST_F_LOG_ALL in SET_FEATURES.
 *
 * A log is replaced while rings run.  The old one is unmapped when all queues have taken the
 * new one, and only then is the message answered.
 */
#include "internal.h"

#include <errno.h>
#include <string.h>

#include "pipe.h"

void log_setup_init(struct log_setup *ls)
{
	*ls = (struct log_setup){ .fd = -1, .retired_fd = -1 };
}

static void log_setup_drop_retired(struct log_setup *ls)
{
	dirty_log_free(ls->retired);
	ls->retired = NULL;
	close_fd(&ls->retired_fd);
}

void log_setup_exit(struct log_setup *ls)
{
	log_setup_drop_retired(ls);
	dirty_log_free(ls->log);
	close_fd(&ls->fd);
	log_setup_init(ls);
}

void log_setup_switch(struct vhost_dev *dev, bool on)
{
	/* Whoever starts once more may do so with another log, which then comes later. */
	if (dev->log.on && !on)
		dev->log.stale = true;
	dev->log.on = on;
	dev->log.missed &= on;
}

/* The log in use is one which the front-end looks at: give it what went by. */
static void log_catch_up(struct vhost_dev *dev)
{
	struct log_setup *ls = &dev->log;

	if (ls->missed && ls->on && dev->mem.map) {
		dirty_mark_map(ls->log, dev->mem.map);
		queue_notify(ls->fd, ls->pipe);
	}
	ls->missed = false;
}

static void log_base_taken(struct vhost_dev *dev, int result)
{
	log_setup_drop_retired(&dev->log);
	log_catch_up(dev);
	dev->conn.in.msg.payload.u64 = result < 0;
	proto_finish(dev, PROTO_REPLY);
}

int proto_set_log_base(struct vhost_dev *dev, struct msg *msg)
{
	struct dirty_log *log = NULL;
	int ret = -EINVAL;

	/* Without an fd the message says nothing that could be used. */
	if (!dev_has_protocol(dev, VU_PROTOCOL_F_LOG_SHMFD))
		return msg->nfds ? -EINVAL : 0;
	if (msg->header.size == sizeof(msg->payload.log) && msg->nfds == 1)
		ret = dirty_log_new(&dev->mem, &msg->payload.log, msg->fds[0], &log);
	/*
	 * QEMU does not look at what the reply says, and a migration without this log would lose
	 * what we write: unless the front-end has asked for an acknowledgement, it costs the
	 * connection.
	 */
	if (ret)
		return ret;
	dev->log.retired = dev->log.log;
	dev->log.log = log;
	dev->log.stale = false;
	ring_setup_apply_all(dev, log_base_taken);
	return PROTO_PENDING;
}

static void log_fd_taken(struct vhost_dev *dev, int result)
{
	log_setup_drop_retired(&dev->log);
	proto_finish(dev, result);
}

int proto_set_log_fd(struct vhost_dev *dev, struct msg *msg)
{
	int fd, ret = proto_take_event_fd(msg, &fd);

	if (ret)
		return ret;
	dev->log.retired_fd = dev->log.fd;
	dev->log.fd = fd;
	dev->log.pipe = fd_is_pipe(fd);
	ring_setup_apply_all(dev, log_fd_taken);
	return PROTO_PENDING;
}
