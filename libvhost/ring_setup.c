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

#include "pipe.h"

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
	bool pipes = rs->pipes;

	rs->call_fd = rs->err_fd = -1;
	ring_setup_exit(rs);
	rs->call_fd = call_fd;
	rs->err_fd = err_fd;
	rs->pipes = pipes;
}

void ring_setup_set_fd(struct ring_setup *rs, int *slot, int fd)
{
	/* Each message replaces one fd, and its change closes it: there is room. */
	if (*slot >= 0)
		rs->retired_fds[rs->retired++] = *slot;
	*slot = fd;
	rs->pipes = fd_is_pipe(rs->call_fd) || fd_is_pipe(rs->err_fd);
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

bool ring_setup_any_broken(const struct vhost_dev *dev)
{
	unsigned int i;

	for (i = 0; i < dev->nqueues; i++) {
		if (dev->rings[i].broken)
			return true;
	}
	return false;
}

static bool dev_packed(const struct vhost_dev *dev)
{
	return dev->features & BIT(VIRTIO_F_RING_PACKED);
}

uint32_t ring_setup_base(const struct vhost_dev *dev, const struct ring_setup *rs)
{
	if (rs->have_base)
		return rs->base;
	return dev_packed(dev) ? RING_PACKED_BASE : 0;
}

void ring_setup_set_base(struct ring_setup *rs, uint32_t base)
{
	rs->base = base;
	rs->have_base = true;
}

#define DESC_ALIGN 16

struct ring_areas ring_areas(const struct vhost_dev *dev, uint64_t num)
{
	if (dev_packed(dev))
		return (struct ring_areas){ 16 * num, 4, 4, 4, 4 };
	/* Event fields included: a driver without EVENT_IDX has that space too. */
	return (struct ring_areas){ 16 * num, 6 + 2 * num, 6 + 8 * num, 2, 4 };
}

bool ring_setup_num_fits(const struct vhost_dev *dev, uint32_t num)
{
	return num && num <= dev->queue_size_max && (dev_packed(dev) || is_power_of_2(num));
}

bool ring_setup_base_fits(const struct vhost_dev *dev, uint32_t base)
{
	return dev_packed(dev) || base <= UINT16_MAX;
}

bool ring_setup_addr_fits(const struct vhost_dev *dev, const struct vu_vring_addr *addr)
{
	struct ring_areas a = ring_areas(dev, 0);

	return addr->desc % DESC_ALIGN == 0 && addr->avail % a.driver_align == 0 &&
	       addr->used % a.device_align == 0;
}

bool ring_setup_fits(const struct vhost_dev *dev, const struct ring_setup *rs)
{
	return ring_setup_num_fits(dev, rs->num) && ring_setup_base_fits(dev, rs->base) &&
	       rs->have_addr && ring_setup_addr_fits(dev, &rs->addr);
}

/* Where the ring's parts are behind an IOMMU, or NULL. */
static void ring_setup_find_iova(struct vhost_dev *dev, struct ring_setup *rs,
				 struct ring_conf *conf)
{
	struct iotlb_range missing;

	if (iotlb_place_ring(dev, rs, &missing))
		return;
	conf->desc = rs->place.desc;
	conf->driver = rs->place.driver;
	conf->device = rs->place.device;
}

/* Where the ring's parts are in our memory.  False: not there, or not there yet. */
static bool ring_setup_find(struct vhost_dev *dev, struct ring_setup *rs, struct ring_conf *conf)
{
	const struct mem_map *map = dev->mem.map;
	struct ring_areas a = ring_areas(dev, rs->num);

	if (!map || !rs->num || !rs->have_addr)
		return false;
	if (dev_has_iommu(dev)) {
		ring_setup_find_iova(dev, rs, conf);
	} else {
		conf->desc = mem_find_uva(map, rs->addr.desc, a.desc);
		conf->driver = mem_find_uva(map, rs->addr.avail, a.driver);
		conf->device = mem_find_uva(map, rs->addr.used, a.device);
	}
	/* The front-end's addresses are aligned; the mapping may not be alike. */
	return conf->desc && conf->driver && conf->device &&
	       (uintptr_t)conf->desc % DESC_ALIGN == 0 &&
	       (uintptr_t)conf->driver % a.driver_align == 0 &&
	       (uintptr_t)conf->device % a.device_align == 0;
}

/* The ring's part of the in-flight memory; NULL: it is not tracked. */
static void *ring_setup_inflight(const struct vhost_dev *dev, const struct ring_setup *rs)
{
	const struct inflight_map *m = &dev->inflight;
	size_t i = (size_t)(rs - dev->rings);

	return m->addr && i < m->queues ? m->addr + i * m->stride : NULL;
}

bool ring_setup_inflight_fits(const struct vhost_dev *dev, const struct ring_setup *rs)
{
	const struct inflight_map *m = &dev->inflight;

	return !ring_setup_inflight(dev, rs) ||
	       (rs->num <= m->size && m->packed == dev_packed(dev));
}

static void ring_setup_dirty(const struct vhost_dev *dev, const struct ring_setup *rs,
			     struct dirty_conf *dirty)
{
	*dirty = (struct dirty_conf){
		.on = dev->log.on,
		.ring = rs->addr.flags & VU_VRING_ADDR_F_LOG,
		/* Behind an IOMMU it is no guest address. */
		.ring_known = !(dev->features & BIT(VIRTIO_F_ACCESS_PLATFORM)),
		.ring_gpa = rs->addr.log,
		.log = dev->log.log,
		.stale = dev->log.stale,
		.fd = dev->log.fd,
		.pipe = dev->log.pipe,
	};
}

static void ring_setup_conf(struct vhost_dev *dev, struct ring_setup *rs, struct queue_conf *conf)
{
	*conf = (struct queue_conf){
		.enabled = rs->enabled,
		.end = rs->end,
		.in_order = dev->features & BIT(VIRTIO_F_IN_ORDER),
		.ops = dev_packed(dev) ? &packed_ops : &split_ops,
		.poll = rs->poll,
		.ring = {
			.num = rs->num,
			.base = ring_setup_base(dev, rs),
			.event_idx = dev->features & BIT(VIRTIO_RING_F_EVENT_IDX),
			.indirect = dev->features & BIT(VIRTIO_RING_F_INDIRECT_DESC),
			.own_base = rs->own_base,
			.inflight = ring_setup_inflight(dev, rs),
			.inflight_size = dev->inflight.size,
			.notify_on_empty = dev->features & BIT(VIRTIO_F_NOTIFY_ON_EMPTY) &&
					   !(dev->features & BIT(VIRTIO_F_VERSION_1)),
		},
		.iotlb = dev_has_iommu(dev) ? &dev->iotlb : NULL,
		.kick_fd = rs->kick_fd,
		.call_fd = rs->call_fd,
		.err_fd = rs->err_fd,
		.pipes = rs->pipes,
		.inband = dev_has_protocol(dev, VU_PROTOCOL_F_INBAND_NOTIFICATIONS),
		.kick = rs->kick,
		.invalidate = dev->invalidating,
		.stale = dev->stale,
	};
	ring_setup_dirty(dev, rs, &conf->dirty);
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
	dev->log.missed |= change->log_missed;
	dev->flushing += change->flushing;
	rs->kick = false;
	if (rs->live && !change->next.live) {
		ring_setup_set_base(rs, change->base);
		rs->own_base = true;
		/* It may free its log while nothing runs, and not say so before there is another. */
		dev->log.stale |= !ring_setup_any_started(dev);
	}
	/* A queue which could not start is not live; one which could not change is as before. */
	rs->live = change->next.live && (rs->live || !change->result);
	rs->broken &= rs->live;
	ring_setup_close_retired(rs);
	iotlb_ring_changed(dev, rs);
	ring_setup_change_step(dev);
}

void ring_setup_news(struct vhost_queue *q, unsigned int news)
{
	struct vhost_dev *dev = q->params.dev;

	if (news & (QUEUE_CALL | QUEUE_ERR))
		backend_ring_news(dev, q->params.index, news & QUEUE_CALL, news & QUEUE_ERR);
	if (news & QUEUE_MISS)
		iotlb_queue_missing(dev, q->params.index);
	if (news & QUEUE_LOG)
		dev_log_lost(dev);
	if (news & QUEUE_FLUSHED)
		iotlb_flushed(dev);
	if (news & QUEUE_BROKE) {
		dev->rings[q->params.index].broken = true;
		/* DEVICE_NEEDS_RESET comes with a configuration change (VIRTIO 2.1.2). */
		if (dev->status & VIRTIO_CONFIG_S_DRIVER_OK)
			backend_config_changed(dev);
	}
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
