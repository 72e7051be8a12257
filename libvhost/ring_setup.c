/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * From what the front-end said about a ring to what its queue is.
 *
 * The only way from the control worker to a queue: ring_setup_conf() makes a value
 * out of a struct ring_setup, ring_setup_apply() sends it, waits for all queues
 * concerned, and only then closes the fds which were replaced and goes on.
 */
#include "internal.h"

#include <errno.h>
#include <linux/virtio_config.h>

void ring_setup_init(struct ring_setup *rs)
{
	*rs = (struct ring_setup){ .kick_fd = -1, .call_fd = -1, .err_fd = -1 };
}

static void ring_setup_close_retired(struct ring_setup *rs)
{
	while (rs->retired)
		close_fd(&rs->retired_fds[--rs->retired]);
}

void ring_setup_exit(struct ring_setup *rs)
{
	ring_setup_close_retired(rs);
	close_fd(&rs->kick_fd);
	close_fd(&rs->call_fd);
	close_fd(&rs->err_fd);
	ring_setup_init(rs);
}

void ring_setup_reset(struct ring_setup *rs)
{
	int call_fd = rs->call_fd, err_fd = rs->err_fd;

	rs->call_fd = rs->err_fd = -1;
	ring_setup_exit(rs);
	rs->call_fd = call_fd;
	rs->err_fd = err_fd;
}

void ring_setup_set_fd(struct ring_setup *rs, int *slot, int fd)
{
	/* Each message replaces one fd, and its change closes it: there is room. */
	if (*slot >= 0)
		rs->retired_fds[rs->retired++] = *slot;
	*slot = fd;
}

bool ring_setup_any_started(const struct vhost_dev *dev)
{
	unsigned int i;

	for (i = 0; i < dev->nqueues; i++) {
		if (dev->rings[i].started)
			return true;
	}
	return false;
}

/*
 * Where the ring's parts are in our memory, event fields included (VIRTIO 2.7; a driver
 * without EVENT_IDX has that space too).  False: not there, or not there yet.
 */
static bool ring_setup_find(const struct vhost_dev *dev, const struct ring_setup *rs, struct ring_conf *conf)
{
	const struct mem_map *map = dev->mem.map;

	if (!map || !rs->num || !rs->have_addr)
		return false;
	conf->desc = mem_find_uva(map, rs->addr.desc, 16 * (uint64_t)rs->num);
	conf->driver = mem_find_uva(map, rs->addr.avail, 6 + 2 * (uint64_t)rs->num);
	conf->device = mem_find_uva(map, rs->addr.used, 6 + 8 * (uint64_t)rs->num);
	/* The front-end's addresses are aligned; the mapping may not be alike. */
	return conf->desc && conf->driver && conf->device && (uintptr_t)conf->desc % 16 == 0 &&
	       (uintptr_t)conf->driver % 2 == 0 && (uintptr_t)conf->device % 4 == 0;
}

static void ring_setup_conf(const struct vhost_dev *dev, const struct ring_setup *rs, struct queue_conf *conf)
{
	*conf = (struct queue_conf){
		.enabled = rs->enabled,
		.poll = rs->poll,
		.ops = &split_ops,
		.ring = {
			.num = rs->num,
			.base = rs->base,
			.event_idx = dev->features & BIT(VIRTIO_RING_F_EVENT_IDX),
			.indirect = dev->features & BIT(VIRTIO_RING_F_INDIRECT_DESC),
		},
		.kick_fd = rs->kick_fd,
		.call_fd = rs->call_fd,
		.err_fd = rs->err_fd,
	};
	conf->live = rs->started && ring_setup_find(dev, rs, &conf->ring);
	conf->map = conf->live ? dev->mem.map : NULL;
}

static void ring_setup_change_step(struct vhost_dev *dev)
{
	void (*then)(struct vhost_dev *dev, int result) = dev->change_then;

	if (--dev->changing)
		return;
	dev->change_then = NULL;
	then(dev, dev->change_result);
}

static void ring_setup_changed(struct queue_change *change)
{
	struct vhost_dev *dev = change->queue->params.dev;
	struct ring_setup *rs = &dev->rings[change->queue->params.index];

	if (change->result < 0)
		dev->change_result = change->result;
	if (rs->live && !change->next.live)
		rs->base = change->base;
	/* A queue which could not start is not live; one which could not change is as before. */
	rs->live = change->next.live && (rs->live || !change->result);
	ring_setup_close_retired(rs);
	ring_setup_change_step(dev);
}

void ring_setup_apply(struct vhost_dev *dev, unsigned int first, unsigned int count,
		 void (*then)(struct vhost_dev *dev, int result))
{
	unsigned int i;

	dev->change_result = 0;
	dev->change_then = then;
	dev->changing = 1;	/* until all are on their way: a queue may answer at once */
	for (i = first; i < first + count; i++) {
		struct vhost_queue *q = &dev->queues[i];

		ring_setup_conf(dev, &dev->rings[i], &q->change.next);
		dev->changing++;
		queue_change(q, ring_setup_changed);
	}
	ring_setup_change_step(dev);
}

void ring_setup_apply_all(struct vhost_dev *dev, void (*then)(struct vhost_dev *dev, int result))
{
	ring_setup_apply(dev, 0, dev->nqueues, then);
}
