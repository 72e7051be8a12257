/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Handlers of ring messages.
 *
 * The message table has checked sizes, fds, the ring's index, and whether the
 * ring may be started.  A handler notes what was said in the ring's struct
 * vring and applies it; the answer goes out when the queue has taken it.
 */
#include "internal.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/epoll.h>
#include <unistd.h>

/* Apply one ring, then answer. */
static int vring_pending(struct vhost_dev *dev, unsigned int index)
{
	ring_setup_apply(dev, index, 1, proto_finish);
	return PROTO_PENDING;
}

int proto_set_vring_num(struct vhost_dev *dev, struct msg *msg)
{
	const struct vu_vring_state *s = &msg->payload.state;

	if (!s->num || s->num > dev->queue_size_max ||
	    (dev->features && !ring_setup_num_fits(dev, s->num)))
		return -EINVAL;
	dev->rings[s->index].num = s->num;
	dev->rings[s->index].place.known = false;
	return 0;
}

/* While a ring runs only the log may change. */
static bool vring_same_addr(const struct vu_vring_addr *a, const struct vu_vring_addr *b)
{
	return a->desc == b->desc && a->used == b->used && a->avail == b->avail;
}

int proto_set_vring_addr(struct vhost_dev *dev, struct msg *msg)
{
	const struct vu_vring_addr *a = &msg->payload.addr;
	struct ring_setup *rs = &dev->rings[a->index];

	if (a->flags & ~VU_VRING_ADDR_F_LOG || !ring_setup_addr_fits(dev, a))
		return -EINVAL;
	if (rs->started && !vring_same_addr(a, &rs->addr))
		return -EBUSY;
	if (!rs->started)
		rs->place.known = false;
	rs->addr = *a;
	rs->have_addr = true;
	return rs->started ? vring_pending(dev, a->index) : 0;
}

int proto_set_vring_base(struct vhost_dev *dev, struct msg *msg)
{
	const struct vu_vring_state *s = &msg->payload.state;

	if (dev->features && !ring_setup_base_fits(dev, s->num))
		return -EINVAL;
	ring_setup_set_base(&dev->rings[s->index], s->num);
	return 0;
}

static void vring_base_known(struct vhost_dev *dev, int result)
{
	struct vu_vring_state *s = &dev->conn.in.msg.payload.state;

	s->num = ring_setup_base(dev, &dev->rings[s->index]);
	dev->rings[s->index].end = QUEUE_DRAIN;
	/* QEMU sends no invalidations while nothing runs, and the driver may unmap all. */
	if (!ring_setup_any_started(dev))
		iotlb_memory_changed(dev, NULL);
	proto_finish(dev, result ? result : PROTO_REPLY);
}

static int vring_stop(struct vhost_dev *dev, uint32_t index, enum queue_end end)
{
	struct ring_setup *rs = &dev->rings[index];

	rs->started = false;
	rs->end = end;
	ring_setup_set_fd(rs, &rs->kick_fd, -1);
	ring_setup_apply(dev, index, 1, vring_base_known);
	return PROTO_PENDING;
}

int proto_get_vring_base(struct vhost_dev *dev, struct msg *msg)
{
	return vring_stop(dev, msg->payload.state.index, QUEUE_FINISH);
}

/* A ring which is not tracked is drained nevertheless: its requests would be lost. */
int proto_get_vring_base_skip_drain(struct vhost_dev *dev, struct msg *msg)
{
	return vring_stop(dev, msg->payload.state.index, QUEUE_CANCEL);
}

/* Whether epoll can wait for it: not so for files, which could also block us. */
static bool fd_is_pollable(int fd)
{
	struct epoll_event ev = { .events = EPOLLIN };
	int ep = epoll_create1(EPOLL_CLOEXEC);
	bool pollable = ep >= 0 && !epoll_ctl(ep, EPOLL_CTL_ADD, fd, &ev);

	close_fd(&ep);
	return pollable;
}

int proto_take_event_fd(struct msg *msg, int *fd)
{
	int flags = fcntl(msg->fds[0], F_GETFL);

	if (flags < 0 || !fd_is_pollable(msg->fds[0]) ||
	    (!(flags & O_NONBLOCK) && fcntl(msg->fds[0], F_SETFL, flags | O_NONBLOCK)))
		return -EINVAL;
	*fd = msg_take_fd(msg);
	return 0;
}

/*
 * The fd of SET_VRING_KICK, _CALL or _ERR, -1 for none, to *fd.  The table has
 * checked that there is one if and only if the message says so.
 */
static int vring_take_fd(struct msg *msg, int *fd)
{
	*fd = -1;
	return msg->payload.u64 & VU_VRING_NOFD ? 0 : proto_take_event_fd(msg, fd);
}

static void vring_started(struct vhost_dev *dev, unsigned int index, int result)
{
	if (result < 0)
		dev->rings[index].started = false;
	else
		backend_ring_started(dev);
	proto_finish(dev, result);
}

static void vring_kicked(struct vhost_dev *dev, int result)
{
	unsigned int index = dev->conn.in.msg.payload.u64 & VU_VRING_INDEX_MASK;

	vring_started(dev, index, result);
}

int proto_set_vring_kick(struct vhost_dev *dev, struct msg *msg)
{
	unsigned int index = msg->payload.u64 & VU_VRING_INDEX_MASK;
	struct ring_setup *rs = &dev->rings[index];
	int fd, ret;

	if (!ring_setup_fits(dev, rs) || !ring_setup_inflight_fits(dev, rs))
		return -EINVAL;
	ret = vring_take_fd(msg, &fd);
	if (ret)
		return ret;
	ring_setup_set_fd(rs, &rs->kick_fd, fd);
	rs->poll = fd < 0 && !dev_has_protocol(dev, VU_PROTOCOL_F_INBAND_NOTIFICATIONS);
	rs->started = true;
	words_log(dev);
	ring_setup_apply(dev, index, 1, vring_kicked);
	return PROTO_PENDING;
}

int proto_set_vring_call(struct vhost_dev *dev, struct msg *msg)
{
	unsigned int index = msg->payload.u64 & VU_VRING_INDEX_MASK;
	struct ring_setup *rs = &dev->rings[index];
	int fd, ret = vring_take_fd(msg, &fd);

	if (ret)
		return ret;
	ring_setup_set_fd(rs, &rs->call_fd, fd);
	return vring_pending(dev, index);
}

int proto_set_vring_err(struct vhost_dev *dev, struct msg *msg)
{
	unsigned int index = msg->payload.u64 & VU_VRING_INDEX_MASK;
	struct ring_setup *rs = &dev->rings[index];
	int fd, ret = vring_take_fd(msg, &fd);

	if (ret)
		return ret;
	ring_setup_set_fd(rs, &rs->err_fd, fd);
	return vring_pending(dev, index);
}

int proto_set_vring_enable(struct vhost_dev *dev, struct msg *msg)
{
	const struct vu_vring_state *s = &msg->payload.state;

	if (s->num > 1)
		return -EINVAL;
	dev->rings[s->index].enabled = s->num;
	return vring_pending(dev, s->index);
}

static void vring_kicked_inband(struct vhost_dev *dev, int result)
{
	vring_started(dev, dev->conn.in.msg.payload.state.index, result);
}

/* The answer comes when the queue has had its kick and has published what that led to. */
int proto_vring_kick(struct vhost_dev *dev, struct msg *msg)
{
	const struct vu_vring_state *s = &msg->payload.state;
	struct ring_setup *rs = &dev->rings[s->index];

	if (s->num || !ring_setup_fits(dev, rs) || !ring_setup_inflight_fits(dev, rs))
		return -EINVAL;
	rs->started = rs->kick = true;
	ring_setup_apply(dev, s->index, 1, vring_kicked_inband);
	return PROTO_PENDING;
}
