/* SPDX-License-Identifier: BSD-3-Clause */
/* A driver with ring and in-flight memory, to be copied; and the device on it. */
#include "inflight_world.h"

#include <string.h>

#include "util.h"

static struct vring_avail *world_avail(struct world *w)
{
	return (struct vring_avail *)w->mem.driver;
}

static struct vring_used *world_used(struct world *w)
{
	return (struct vring_used *)w->mem.device;
}

void world_init(struct world *w, bool packed, unsigned int num, unsigned int size, uint16_t base)
{
	memset(w, 0, sizeof(*w));
	w->packed = packed;
	w->num = num;
	w->size = size;
	w->next_seq = 1;
	w->avail_wrap = w->used_wrap = true;
	if (!packed) {
		w->avail = w->used = base;
		world_avail(w)->idx = world_used(w)->idx = htole16(base);
	}
}

/* Ids of a split ring are heads, each with room for the longest chain behind it. */
static unsigned int world_ids(const struct world *w)
{
	return w->packed ? w->num : w->num / WORLD_CHAIN_MAX;
}

static uint16_t world_head(const struct world *w, unsigned int id)
{
	return (uint16_t)(w->packed ? id : id * WORLD_CHAIN_MAX);
}

static uint16_t world_desc_flags(unsigned int i, unsigned int n)
{
	return (uint16_t)((i + 1 < n ? VRING_DESC_F_NEXT : 0) | (i ? VRING_DESC_F_WRITE : 0));
}

static void world_add_split(struct world *w, unsigned int id, unsigned int n)
{
	uint16_t head = world_head(w, id);
	unsigned int i;

	for (i = 0; i < n; i++) {
		w->mem.desc.split[head + i] = (struct vring_desc){
			.addr = htole64(offsetof(struct world_shared, seq[id])),
			.len = htole32(4),
			.flags = htole16(world_desc_flags(i, n)),
			.next = htole16((uint16_t)(head + i + 1)),
		};
	}
	world_avail(w)->ring[w->avail & (w->num - 1)] = htole16(head);
	ring_store_release(&world_avail(w)->idx, ++w->avail);
}

static void world_move(const struct world *w, uint16_t *slot, bool *wrap, unsigned int n)
{
	unsigned int to = *slot + n;

	if (to >= w->num) {
		to -= w->num;
		*wrap = !*wrap;
	}
	*slot = (uint16_t)to;
}

static void world_add_packed(struct world *w, unsigned int id, unsigned int n)
{
	struct vring_packed_desc *first = &w->mem.desc.packed[w->avail];
	uint16_t first_flags = 0;
	unsigned int i;

	for (i = 0; i < n; i++) {
		struct vring_packed_desc *d = &w->mem.desc.packed[w->avail];
		uint16_t flags = world_desc_flags(i, n) |
				 (w->avail_wrap ? 1u << VRING_PACKED_DESC_F_AVAIL :
						  1u << VRING_PACKED_DESC_F_USED);

		d->addr = htole64(offsetof(struct world_shared, seq[id]));
		d->len = htole32(4);
		d->id = htole16((uint16_t)id);
		if (i)
			ring_store(&d->flags, flags);
		else
			first_flags = flags;
		world_move(w, &w->avail, &w->avail_wrap, 1);
	}
	ring_store_release(&first->flags, first_flags);
	w->used_descs += n;
}

bool world_add(struct world *w, unsigned int n)
{
	unsigned int id;

	for (id = 0; id < world_ids(w) && w->out[id]; id++)
		;
	if (id == world_ids(w) || (w->packed && w->used_descs + n > w->num))
		return false;
	w->descs[id] = (uint8_t)n;
	w->mem.seq[id] = w->out[id] = w->next_seq++;
	if (w->packed)
		world_add_packed(w, id, n);
	else
		world_add_split(w, id, n);
	return true;
}

/* The next used id, -1 for none; and go on behind it. */
static int world_next_split(struct world *w)
{
	if (ring_load_acquire(&world_used(w)->idx) == w->used)
		return -1;
	return (int)le32toh(world_used(w)->ring[w->used++ & (w->num - 1)].id);
}

static int world_next_packed(struct world *w)
{
	struct vring_packed_desc *d = &w->mem.desc.packed[w->used];
	uint16_t flags = ring_load_acquire(&d->flags), id = le16toh(d->id);

	if (!(flags & (1u << VRING_PACKED_DESC_F_AVAIL)) == w->used_wrap ||
	    !(flags & (1u << VRING_PACKED_DESC_F_USED)) == w->used_wrap)
		return -1;
	if (id >= w->num)
		return id;
	w->used_descs -= w->descs[id];
	world_move(w, &w->used, &w->used_wrap, w->descs[id]);
	return id;
}

int world_reap(struct world *w)
{
	int id, n = 0;

	while ((id = w->packed ? world_next_packed(w) : world_next_split(w)) >= 0) {
		if (!w->packed) {
			if (id % (int)WORLD_CHAIN_MAX)
				return -1;
			id /= (int)WORLD_CHAIN_MAX;
		}
		if ((unsigned int)id >= world_ids(w) || !w->out[id])
			return -1;
		w->out[id] = 0;
		n++;
	}
	return n;
}

unsigned int world_outstanding(const struct world *w)
{
	unsigned int id, n = 0;

	for (id = 0; id < world_ids(w); id++)
		n += !!w->out[id];
	return n;
}

const char *world_dev_open(struct world_dev *d, struct world *w, uint32_t base)
{
	memset(d, 0, sizeof(*d));
	d->map.map.count = 1;
	d->map.map.spans[0] = (struct mem_span){ 0, sizeof(w->mem), (uint8_t *)&w->mem };
	d->env = (struct chain_env){ .map = &d->map.map, .direct_max = w->num };
	chain_init(&d->chain);
	d->env.packed = w->packed;
	d->ring.ops = w->packed ? &packed_ops : &split_ops;
	d->ring.conf = (struct ring_conf){
		.desc = &w->mem.desc,
		.driver = w->mem.driver,
		.device = w->mem.device,
		.num = w->num,
		.base = base,
		.inflight = w->mem.region,
		.inflight_size = w->size,
	};
	d->ring.inflight = inflight_new(w->mem.region, w->packed, w->size);
	return d->ring.inflight ? NULL : "out of memory";
}

const char *world_dev_start(struct world_dev *d, struct world *w, uint32_t base)
{
	const char *why = world_dev_open(d, w, base);

	return why ? why : d->ring.ops->start(&d->ring);
}

void world_dev_stop(struct world_dev *d)
{
	inflight_free(d->ring.inflight);
	chain_free(&d->chain);
}

const char *world_dev_take(struct world_dev *d, struct ring_elem *elem, uint32_t *seq)
{
	const char *why = d->ring.ops->take(&d->ring, &d->chain, &d->env, elem);

	if (why)
		return why;
	if (!d->chain.out_cnt || d->chain.iov[0].iov_len != sizeof(*seq))
		return "not the request which was added";
	memcpy(seq, d->chain.iov[0].iov_base, sizeof(*seq));
	elem->len = 0;
	return NULL;
}
