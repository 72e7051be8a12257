/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Translations: what the front-end says about them, and what it has to be asked.
 *
 * IOTLB_MSG fills the device's table and empties it.  An invalidation is a change of all queues,
 * like that of anything else; and it is answered when no request uses what was invalidated.
 *
 * What a queue or a ring lacks is noted in ring->miss, asked on the back-end channel, and comes as
 * an update on the main one.  The acknowledgement of the question says that nothing will come any
 * more: then the queue breaks.  Nobody waits in between; a queue which is parked takes part in
 * changes and stops like any other.
 */
#include "internal.h"

#include <errno.h>
#include <inttypes.h>
#include <string.h>

/*
 * Rings
 */

/* Areas of a ring: descriptors, the driver's, the device's. */
#define RING_AREAS 3

/* Where a ring's areas are for the driver. */
static void iotlb_ring_ranges(const struct vhost_dev *dev, const struct ring_setup *rs,
			      struct iotlb_range ranges[RING_AREAS])
{
	const uint64_t start[RING_AREAS] = { rs->addr.desc, rs->addr.avail, rs->addr.used };
	const struct ring_areas a = ring_areas(dev, rs->num);
	const uint64_t len[RING_AREAS] = { a.desc, a.driver, a.device };
	/* Used descriptors of a packed ring replace the available ones. */
	const uint8_t access[RING_AREAS] = {
		dev->features & BIT(VIRTIO_F_RING_PACKED) ? VU_IOTLB_RW : VU_IOTLB_RO,
		VU_IOTLB_RO, VU_IOTLB_WO,
	};
	unsigned int i;

	for (i = 0; i < RING_AREAS; i++)
		ranges[i] = (struct iotlb_range){ start[i], start[i] + len[i] - 1, access[i] };
}

int iotlb_place_ring(struct vhost_dev *dev, struct ring_setup *rs, struct iotlb_range *missing)
{
	struct iotlb_range ranges[RING_AREAS];
	void *va[RING_AREAS];
	unsigned int i;

	if (rs->place.known)
		return 0;
	iotlb_ring_ranges(dev, rs, ranges);
	for (i = 0; i < RING_AREAS; i++) {
		int ret = ranges[i].first > ranges[i].last ? -EFAULT :
			  iotlb_find_range(&dev->iotlb, &ranges[i], &va[i], &missing->first);

		if (ret) {
			missing->last = missing->first;
			missing->access = ranges[i].access;
			return ret;
		}
	}
	rs->place = (struct ring_place){ true, va[0], va[1], va[2] };
	return 0;
}

/* Rings which lie there have to be found anew. */
static void iotlb_displace_rings(struct vhost_dev *dev, uint64_t first, uint64_t last)
{
	struct iotlb_range ranges[RING_AREAS];
	unsigned int i, j;

	for (i = 0; i < dev->nqueues; i++) {
		iotlb_ring_ranges(dev, &dev->rings[i], ranges);
		for (j = 0; j < RING_AREAS; j++) {
			if (iotlb_intersects(ranges[j].first, ranges[j].last, first, last))
				dev->rings[i].place.known = false;
		}
	}
}

/*
 * Misses
 */

/* What a ring lacked is there (why is NULL), or will not come. */
static void iotlb_miss_end(struct vhost_dev *dev, struct ring_setup *rs, const char *why)
{
	struct vhost_queue *q = &dev->queues[rs - dev->rings];
	struct ring_miss miss = rs->miss;

	rs->miss = (struct ring_miss){ .kind = MISS_NONE };
	if (miss.kind == MISS_QUEUE)
		queue_resume(q, why);
	else if (miss.kind == MISS_RING && why)
		dev_log(dev, VHOST_LOG_WARN, "queue %td: its ring at %#" PRIx64 ": %s",
			rs - dev->rings, miss.range.first, why);
}

/* Whether the ring itself is what lacks a translation. */
static bool iotlb_ring_lacks(struct vhost_dev *dev, struct ring_setup *rs,
			     struct iotlb_range *missing)
{
	int ret;

	if (!dev_has_iommu(dev) || !dev->mem.map || !rs->started || rs->live)
		return false;
	ret = iotlb_place_ring(dev, rs, missing);
	if (ret == -EFAULT)
		dev_log(dev, VHOST_LOG_WARN, "queue %td: its ring is not in one piece of memory",
			rs - dev->rings);
	return ret == -ENOENT;
}

void iotlb_ring_changed(struct vhost_dev *dev, struct ring_setup *rs)
{
	struct ring_miss *miss = &rs->miss;
	struct iotlb_range lacks;

	if (rs->live && miss->kind == MISS_QUEUE)
		return;
	if (!iotlb_ring_lacks(dev, rs, &lacks)) {
		iotlb_miss_end(dev, rs, NULL);
	} else if (miss->kind != MISS_RING || miss->range.first != lacks.first) {
		iotlb_miss_end(dev, rs, NULL);
		*miss = (struct ring_miss){ .kind = MISS_RING, .range = lacks };
		iotlb_ask(dev, rs);
	}
}

static bool iotlb_has(struct vhost_dev *dev, const struct iotlb_range *range)
{
	uint64_t missing;
	void *va;

	return !iotlb_find_range(&dev->iotlb, range, &va, &missing);
}

/* Somebody who waits for the answer to the same question, or NULL. */
static const struct ring_miss *iotlb_same_question(const struct vhost_dev *dev,
						   const struct ring_miss *miss)
{
	unsigned int i;

	for (i = 0; i < dev->nqueues; i++) {
		const struct ring_miss *m = &dev->rings[i].miss;

		if (m != miss && m->kind && m->asked && !m->acked &&
		    m->range.access == miss->range.access &&
		    m->range.first / IOTLB_PAGE == miss->range.first / IOTLB_PAGE)
			return m;
	}
	return NULL;
}

void iotlb_ask(struct vhost_dev *dev, struct ring_setup *rs)
{
	struct ring_miss *miss = &rs->miss;
	const struct ring_miss *same = iotlb_same_question(dev, miss);
	int ret = 0;

	miss->shared = same;
	if (same)
		miss->number = same->number;
	else
		ret = backend_ask_iotlb(dev, miss->range.first, miss->range.access,
					&miss->number);
	miss->asked = !ret;
	if (ret == -ENOTCONN)
		iotlb_miss_end(dev, rs, "a translation is missing, and nobody can be asked");
}

void iotlb_queue_missing(struct vhost_dev *dev, unsigned int ring)
{
	struct ring_setup *rs = &dev->rings[ring];

	rs->miss = (struct ring_miss){ .kind = MISS_QUEUE, .range = dev->queues[ring].miss };
	if (iotlb_has(dev, &rs->miss.range))
		iotlb_miss_end(dev, rs, NULL);
	else
		iotlb_ask(dev, rs);
}

/* An update has come: parked queues may find what they lack. */
static void iotlb_resume(struct vhost_dev *dev)
{
	unsigned int i;

	for (i = 0; i < dev->nqueues; i++) {
		struct ring_setup *rs = &dev->rings[i];

		if (rs->miss.kind == MISS_QUEUE && iotlb_has(dev, &rs->miss.range))
			iotlb_miss_end(dev, rs, NULL);
	}
}

static void iotlb_judge_one(struct vhost_dev *dev, struct ring_setup *rs)
{
	if (iotlb_has(dev, &rs->miss.range)) {
		iotlb_miss_end(dev, rs, NULL);
	} else if (rs->miss.shared) {
		/* The question may be older than the translation: ask again. */
		rs->miss.asked = rs->miss.acked = false;
		iotlb_ask(dev, rs);
	} else {
		iotlb_miss_end(dev, rs, "the front-end has no translation");
	}
}

void iotlb_judge(struct vhost_dev *dev)
{
	unsigned int i;

	/* The update, on the main socket, may be older than the acknowledgement. */
	if (!dev->misses_acked || dev->conn.fd < 0 || conn_has_input(dev))
		return;
	dev->misses_acked = false;
	for (i = 0; i < dev->nqueues; i++) {
		if (dev->rings[i].miss.kind && dev->rings[i].miss.acked)
			iotlb_judge_one(dev, &dev->rings[i]);
	}
}

void iotlb_asked(struct vhost_dev *dev, uint64_t number, int result)
{
	unsigned int i;

	if (result == -ECONNRESET)
		return;
	for (i = 0; i < dev->nqueues; i++) {
		struct ring_miss *miss = &dev->rings[i].miss;

		if (miss->kind && miss->asked && miss->number == number)
			miss->acked = dev->misses_acked = true;
	}
	iotlb_judge(dev);
}

void iotlb_channel_closed(struct vhost_dev *dev)
{
	unsigned int i;

	/* At the end of the connection the queues stop anyway. */
	for (i = 0; i < dev->nqueues && dev->conn.fd >= 0; i++)
		iotlb_miss_end(dev, &dev->rings[i], "a translation is missing, and the channel "
						    "for asking was closed");
}

void iotlb_channel_replaced(struct vhost_dev *dev)
{
	unsigned int i;

	for (i = 0; i < dev->nqueues; i++) {
		struct ring_miss *miss = &dev->rings[i].miss;

		/* An answer which has come counts. */
		if (!miss->acked)
			miss->asked = false;
	}
}

/*
 * Messages
 */

/* The answer is always a u64. */
static int iotlb_answer(struct msg *msg, int result)
{
	msg->payload.u64 = !!result;
	return PROTO_REPLY;
}

static void iotlb_done(struct vhost_dev *dev)
{
	proto_finish(dev, iotlb_answer(&dev->conn.in.msg, 0));
}

void iotlb_flushed(struct vhost_dev *dev)
{
	if (--dev->flushing || !dev->flush_pending)
		return;
	dev->flush_pending = false;
	iotlb_done(dev);
}

static void iotlb_applied(struct vhost_dev *dev, int result)
{
	dev->invalidating = false;
	if (result) {
		/* A queue may go on as before: nothing that we could answer would be true. */
		conn_close(dev, "a queue did not take a change of translations");
		proto_finish(dev, result);
	} else if (dev->flushing && !dev->conn.closing) {
		dev->flush_pending = true;
	} else {
		iotlb_done(dev);
	}
}

/* Nothing in [first, last] is as it was: have queues and rings know it. */
static int iotlb_invalidate_all(struct vhost_dev *dev, uint64_t first, uint64_t last)
{
	iotlb_displace_rings(dev, first, last);
	dev->stale = (struct iotlb_range){ .first = first, .last = last };
	dev->invalidating = true;
	ring_setup_apply_all(dev, iotlb_applied);
	return PROTO_PENDING;
}

static bool iotlb_ring_waits(const struct vhost_dev *dev)
{
	unsigned int i;

	for (i = 0; i < dev->nqueues; i++) {
		if (dev->rings[i].started && !dev->rings[i].live)
			return true;
	}
	return false;
}

static int iotlb_update(struct vhost_dev *dev, const struct vu_iotlb *m, uint64_t last)
{
	struct iotlb_entry e = { .first = m->iova, .last = last, .perm = m->perm };
	bool changed;

	if (!m->perm || m->perm & ~VU_IOTLB_RW || !dev->mem.map)
		return -EINVAL;
	e.hva = mem_find_uva(dev->mem.map, m->user_addr, m->size);
	if (!e.hva)
		return -EFAULT;
	iotlb_add(&dev->iotlb, &e, &changed);
	iotlb_resume(dev);
	if (changed)
		return iotlb_invalidate_all(dev, e.first, e.last);
	if (!iotlb_ring_waits(dev))
		return 0;
	ring_setup_apply_all(dev, iotlb_applied);
	return PROTO_PENDING;
}

static int iotlb_invalidate(struct vhost_dev *dev, const struct vu_iotlb *m, uint64_t last)
{
	uint64_t first = m->iova;

	iotlb_remove(&dev->iotlb, &first, &last);
	return iotlb_invalidate_all(dev, first, last);
}

static int iotlb_take(struct vhost_dev *dev, const struct vu_iotlb *m)
{
	uint64_t last;

	/* The end is included: 2^64 - 1 bytes from 0 on may mean all. */
	if (!m->size || add_overflows(m->iova, m->size - 1, &last))
		return -EINVAL;
	if (m->size == UINT64_MAX)
		last = UINT64_MAX;
	switch (m->type) {
	case VU_IOTLB_UPDATE:
		return iotlb_update(dev, m, last);
	case VU_IOTLB_INVALIDATE:
		return iotlb_invalidate(dev, m, last);
	default:
		return -EINVAL;
	}
}

int proto_iotlb_msg(struct vhost_dev *dev, struct msg *msg)
{
	const struct vu_iotlb m = msg->payload.iotlb;
	int ret = iotlb_take(dev, &m);

	if (ret == PROTO_PENDING)
		return ret;
	if (ret) {
		dev->stats.refused++;
		dev_log(dev, VHOST_LOG_WARN, "IOTLB_MSG refused: %s", strerrordesc_np(-ret));
	}
	return iotlb_answer(msg, ret);
}

/*
 * Memory
 */

/* Whether the ring lies in this memory as well. */
static bool iotlb_place_stays(const struct vhost_dev *dev, const struct ring_setup *rs,
			      const struct mem_map *map)
{
	const void *va[RING_AREAS] = { rs->place.desc, rs->place.driver, rs->place.device };
	struct iotlb_range ranges[RING_AREAS];
	unsigned int i;

	iotlb_ring_ranges(dev, rs, ranges);
	for (i = 0; i < RING_AREAS; i++) {
		if (!mem_map_has(map, va[i], ranges[i].last - ranges[i].first))
			return false;
	}
	return true;
}

void iotlb_memory_changed(struct vhost_dev *dev, const struct mem_map *map)
{
	unsigned int i;

	iotlb_keep(&dev->iotlb, map);
	for (i = 0; i < dev->nqueues; i++) {
		struct ring_setup *rs = &dev->rings[i];

		rs->place.known = rs->place.known && map && iotlb_place_stays(dev, rs, map);
	}
}
