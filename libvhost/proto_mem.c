/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Handlers of memory messages.
 *
 * The new map becomes current, all queues take it, and where memory was
 * removed the answer waits until no request uses the old one any more.
 */
#include "internal.h"

#include <errno.h>

static struct mem_place place_of(const struct vu_region *r)
{
	return (struct mem_place){ r->guest_addr, r->user_addr, r->size, r->mmap_offset };
}

/* All queues use the new map. */
static void mem_added(struct vhost_dev *dev, int result)
{
	/* A queue may still have the old map: nothing that we could answer would be true. */
	if (result)
		conn_close(dev, "out of memory for the guest's memory map");
	proto_finish(dev, result);
}

static void mem_removed(struct vhost_dev *dev, int result)
{
	if (result || !dev->mem.old)
		mem_added(dev, result);
	else
		conn_await_memory(dev);	/* conn_memory_settled() goes on */
}

static int mem_apply(struct vhost_dev *dev, const struct mem_change *change,
		     void (*then)(struct vhost_dev *dev, int result))
{
	struct mem_map *map;
	int ret = mem_map_new(&dev->mem, change, &map);

	if (ret)
		return ret;
	mem_use(&dev->mem, map);
	ring_setup_apply_all(dev, then);
	return PROTO_PENDING;
}

int proto_set_mem_table(struct vhost_dev *dev, struct msg *msg)
{
	const struct vu_memory *m = &msg->payload.memory;
	struct mem_place places[VU_FDS_MAX];
	uint32_t i, n = m->num_regions;

	/* QEMU sends the regions there are, others the whole array. */
	if (n > VU_FDS_MAX || msg->nfds != n ||
	    msg->header.size < offsetof(struct vu_memory, regions) + n * sizeof(m->regions[0]))
		return -EINVAL;
	if (dev_has_protocol(dev, VU_PROTOCOL_F_CONFIGURE_MEM_SLOTS))
		return -EPERM;
	for (i = 0; i < n; i++)
		places[i] = place_of(&m->regions[i]);
	return mem_apply(dev, &(struct mem_change){ .add = places, .fds = msg->fds, .count = n },
			 mem_removed);
}

int proto_get_max_mem_slots(struct vhost_dev *dev, struct msg *msg)
{
	(void)dev;
	msg->payload.u64 = MEM_SLOTS_MAX;
	return PROTO_REPLY;
}

int proto_add_mem_reg(struct vhost_dev *dev, struct msg *msg)
{
	struct mem_place place = place_of(&msg->payload.mem_reg.region);

	if (msg->header.size != sizeof(msg->payload.mem_reg) || msg->nfds != 1)
		return -EINVAL;
	return mem_apply(dev, &(struct mem_change){ .keep = true, .add = &place, .fds = msg->fds,
						    .count = 1 }, mem_added);
}

int proto_rem_mem_reg(struct vhost_dev *dev, struct msg *msg)
{
	struct mem_place place = place_of(&msg->payload.mem_reg.region);

	/* Older front-ends send an fd along, which is of no use. */
	return mem_apply(dev, &(struct mem_change){ .keep = true, .drop = &place }, mem_removed);
}
