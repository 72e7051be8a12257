/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Handlers of memory messages.
 *
 * The new map becomes current, all queues take it, and where memory was
 * removed the answer waits until no request uses the old one any more.
 */
#include "internal.h"

#include <errno.h>

static struct mem_place place_of(const struct vhost_dev *dev, const struct vu_region *r)
{
	/* With the feature the front-end has no addresses of its own, or does not tell. */
	bool gpa = dev_has_protocol(dev, VU_PROTOCOL_F_GPA_ADDRESSES);

	return (struct mem_place){
		.gpa = r->guest_addr,
		.uva = gpa ? r->guest_addr : r->user_addr,
		.size = r->size,
		.offset = r->mmap_offset,
	};
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
	/* Without a connection the drain has to come first: see conn_give_up_waiting(). */
	if (result || !dev->mem.old || dev->conn.closing)
		mem_added(dev, result);
	else
		dev->settling = true;	/* conn_memory_settled() goes on */
}

int proto_use_map(struct vhost_dev *dev, struct mem_map *map, bool removes)
{
	mem_use(&dev->mem, map);
	iotlb_memory_changed(dev, map);
	ring_setup_apply_all(dev, removes ? mem_removed : mem_added);
	return PROTO_PENDING;
}

static int mem_apply(struct vhost_dev *dev, const struct mem_change *change)
{
	struct mem_map *map;
	int ret = mem_map_new(&dev->mem, change, &map);

	return ret ? ret : proto_use_map(dev, map, !change->keep || change->drop);
}

/* In postcopy the reply is the message itself with our addresses in place of the front-end's. */
static int mem_stage(struct vhost_dev *dev, struct mem_change *change, struct vu_region *regions)
{
	int ret = postcopy_stage(dev, change);
	unsigned int i;

	if (ret)
		return ret;
	for (i = 0; i < change->count; i++)
		regions[i].user_addr = postcopy_address(dev, regions[i].guest_addr);
	return PROTO_REPLY;
}

/* Without a region, behind those which were staged: they may be used. */
static bool mem_is_go_ahead(const struct vhost_dev *dev, const struct msg *msg)
{
	return dev->postcopy.listening && msg->header.size == sizeof(msg->payload.u64);
}

int proto_set_mem_table(struct vhost_dev *dev, struct msg *msg)
{
	struct vu_memory *m = &msg->payload.memory;
	struct mem_place places[VU_FDS_MAX];
	struct mem_change change = { .add = places, .fds = msg->fds };
	uint32_t i, n = m->num_regions;

	if (dev->postcopy.staged && mem_is_go_ahead(dev, msg))
		return postcopy_go_ahead(dev, msg);
	/* QEMU sends the regions there are, others the whole array. */
	if (n > VU_FDS_MAX || msg->nfds != n ||
	    msg->header.size < offsetof(struct vu_memory, regions) + n * sizeof(m->regions[0]))
		return -EINVAL;
	if (dev_has_protocol(dev, VU_PROTOCOL_F_CONFIGURE_MEM_SLOTS))
		return -EPERM;
	for (i = 0; i < n; i++)
		places[i] = place_of(dev, &m->regions[i]);
	change.count = n;
	if (!dev->postcopy.listening)
		return mem_apply(dev, &change);
	return dev->postcopy.staged ? -EBUSY : mem_stage(dev, &change, m->regions);
}

int proto_get_max_mem_slots(struct vhost_dev *dev, struct msg *msg)
{
	(void)dev;
	msg->payload.u64 = MEM_SLOTS_MAX;
	return PROTO_REPLY;
}

/*
 * To QEMU 7.2 each pair of queues of a network device is a device of its own, which tells us what
 * regions go and what regions come; we hear it as often as there are pairs.  The first time counts.
 */
static bool mem_is_repeated(struct vhost_dev *dev, const struct mem_place *place, int fd)
{
	bool repeated = mem_has(&dev->mem, place, fd);

	dev->mem.repeats |= repeated;
	return repeated;
}

int proto_add_mem_reg(struct vhost_dev *dev, struct msg *msg)
{
	struct vu_region *region = &msg->payload.mem_reg.region;
	struct mem_place place = place_of(dev, region);
	struct mem_change change = { .keep = true, .add = &place, .fds = msg->fds, .count = 1 };

	if (mem_is_go_ahead(dev, msg))
		return postcopy_go_ahead(dev, msg);
	if (msg->header.size != sizeof(msg->payload.mem_reg) || msg->nfds != 1)
		return -EINVAL;
	if (dev->postcopy.listening)
		return mem_stage(dev, &change, region);
	return mem_is_repeated(dev, &place, msg->fds[0]) ? 0 : mem_apply(dev, &change);
}

int proto_rem_mem_reg(struct vhost_dev *dev, struct msg *msg)
{
	struct mem_place place = place_of(dev, &msg->payload.mem_reg.region);
	int ret;

	if (mem_is_go_ahead(dev, msg))
		return postcopy_go_ahead(dev, msg);
	if (msg->header.size != sizeof(msg->payload.mem_reg))
		return -EINVAL;
	if (dev->postcopy.staged)
		return -EBUSY;
	/* Older front-ends send an fd along, which is of no use. */
	ret = mem_apply(dev, &(struct mem_change){ .keep = true, .drop = &place });
	return ret == -ENOENT && dev->mem.repeats ? 0 : ret;
}
