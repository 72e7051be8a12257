/* SPDX-License-Identifier: BSD-3-Clause */
/* The driver's side of split rings (VIRTIO 2.7), and how to misuse it. */
#include "config.h"

#include "frontend/ring.h"

#include <errno.h>
#include <string.h>

#define SPLIT_SIZE_MAX	32768u

static int split_layout(unsigned int size, size_t len[3])
{
	if (!size || size > SPLIT_SIZE_MAX || (size & (size - 1)))
		return -EINVAL;
	len[0] = size * sizeof(struct vring_desc);
	len[1] = sizeof(struct vring_avail) + (size + 1) * sizeof(uint16_t);
	len[2] = sizeof(struct vring_used) + size * sizeof(struct vring_used_elem) +
		 sizeof(uint16_t);
	return 0;
}

static void split_place(struct fe_ring *ring)
{
	ring->split.desc = ring->desc_area;
	ring->split.avail = ring->driver_area;
	ring->split.used = ring->device_area;
}

static void split_reset(struct fe_ring *ring, uint32_t base)
{
	ring->split.avail_idx = (uint16_t)base;
	ring->split.avail_seen = (uint16_t)base;
	ring->split.published = (uint16_t)base;
	ring->split.used_idx = (uint16_t)base;
	fe_store16(&ring->split.used->idx, (uint16_t)base);
	fe_store16(&ring->split.avail->idx, (uint16_t)base);
}

static uint16_t *split_used_event(const struct fe_ring *ring)
{
	return &ring->split.avail->ring[ring->size];
}

static void split_write(struct vring_desc *d, uint64_t addr, uint32_t len, uint16_t flags,
			uint16_t next)
{
	d->addr = htole64(addr);
	d->len = htole32(len);
	d->flags = htole16(flags);
	d->next = htole16(next);
}

/* Write a chain: into the table, or else into the free descriptors. */
static int split_fill(struct fe_ring *ring, const struct fe_chain *c, struct vring_desc *table)
{
	unsigned int i;

	for (i = 0; i < c->num; i++) {
		const struct iovec *iov = fe_chain_element(c, i);
		uint16_t flags = i < c->nout ? 0 : VRING_DESC_F_WRITE;
		uint16_t next = 0;
		uint64_t addr;
		int err = fe_ring_addr(ring, iov, &addr);

		if (err)
			return err;
		if (i + 1 < c->num) {
			flags |= VRING_DESC_F_NEXT;
			next = table ? (uint16_t)(i + 1) : fe_ring_free_id(ring, i + 1);
		}
		split_write(table ? &table[i] : &ring->split.desc[fe_ring_free_id(ring, i)], addr,
			    (uint32_t)iov->iov_len, flags, next);
	}
	return 0;
}

static int split_fill_indirect(struct fe_ring *ring, const struct fe_chain *c)
{
	uint16_t head = fe_ring_free_id(ring, 0);
	struct vring_desc *table = fe_ring_table(ring, head);
	size_t len = c->num * sizeof(*table);
	int err = split_fill(ring, c, table);

	if (!err)
		split_write(&ring->split.desc[head], fe_ring_addr_of(ring, table, len),
			    (uint32_t)len, VRING_DESC_F_INDIRECT, 0);
	return err;
}

static int split_add(struct fe_ring *ring, const struct fe_chain *c, bool indirect)
{
	int err = indirect ? split_fill_indirect(ring, c) : split_fill(ring, c, NULL);
	uint16_t head;

	if (err)
		return err;
	head = fe_ring_take(ring, indirect ? 1 : c->num);
	fe_ring_note(ring, head, c->in_len, c->cookie);
	fe_split_add_head(ring, head);
	return head;
}

static void split_publish(struct fe_ring *ring)
{
	ring->split.published = ring->split.avail_idx;
	/* Release: the device, which acquires the index, finds the heads and descriptors. */
	fe_store16(&ring->split.avail->idx, ring->split.published);
}

static bool split_kick_needed(struct fe_ring *ring)
{
	uint16_t old = ring->split.avail_seen;

	ring->split.avail_seen = ring->split.published;
	/* Pairs with the device's, between its asking for kicks and its last look at the index. */
	fe_barrier();
	if (fe_ring_has(ring, VIRTIO_RING_F_EVENT_IDX))
		return vring_need_event(fe_split_avail_event(ring), ring->split.published, old);
	return !(fe_split_used_flags(ring) & VRING_USED_F_NO_NOTIFY) &&
	       ring->split.published != old;
}

static bool split_ready(const struct fe_ring *ring)
{
	/* Acquire: pairs with the device's release of the index. */
	return fe_split_used_idx(ring) != ring->split.used_idx;
}

static void split_peek(const struct fe_ring *ring, uint32_t *id, uint32_t *len)
{
	const struct vring_used_elem *e =
		&ring->split.used->ring[ring->split.used_idx & (ring->size - 1)];

	*id = le32toh(e->id);
	*len = le32toh(e->len);
}

/* Each chain counts, also those of a batch which have no element of their own. */
static void split_advance(struct fe_ring *ring, unsigned int num)
{
	(void)num;
	ring->split.used_idx++;
}

static void split_recycle(struct fe_ring *ring, uint16_t id)
{
	ring->split.used_idx++;
	fe_split_add_head(ring, id);
}

static void split_irq_on(struct fe_ring *ring)
{
	if (fe_ring_has(ring, VIRTIO_RING_F_EVENT_IDX))
		fe_split_set_used_event(ring, ring->split.used_idx);
	else
		fe_split_set_avail_flags(ring, 0);
}

static void split_irq_off(struct fe_ring *ring)
{
	/* With event index there is no "off", only an event which has passed. */
	if (fe_ring_has(ring, VIRTIO_RING_F_EVENT_IDX))
		fe_split_set_used_event(ring, (uint16_t)(ring->split.used_idx - 1));
	else
		fe_split_set_avail_flags(ring, VRING_AVAIL_F_NO_INTERRUPT);
}

static uint32_t split_get_base(const struct fe_ring *ring)
{
	return fe_split_used_idx(ring);
}

const struct fe_ring_ops fe_split_ops = {
	.counts_chains = true,
	.layout = split_layout,
	.place = split_place,
	.reset = split_reset,
	.add = split_add,
	.publish = split_publish,
	.kick_needed = split_kick_needed,
	.ready = split_ready,
	.peek = split_peek,
	.advance = split_advance,
	.recycle = split_recycle,
	.irq_on = split_irq_on,
	.irq_off = split_irq_off,
	.get_base = split_get_base,
};

/* How many bytes the device may write into these descriptors, as far as one can tell. */
static uint32_t split_raw_len(const struct fe_raw_desc *descs, unsigned int n)
{
	uint64_t sum = 0;
	unsigned int i;

	for (i = 0; i < n; i++) {
		if (descs[i].flags & VRING_DESC_F_INDIRECT)
			return UINT32_MAX;
		if (descs[i].flags & VRING_DESC_F_WRITE)
			sum += descs[i].len;
	}
	return sum > UINT32_MAX ? UINT32_MAX : (uint32_t)sum;
}

int fe_split_add_raw(struct fe_ring *ring, const struct fe_raw_desc *descs, unsigned int n,
		     void *cookie)
{
	uint16_t head, last;
	unsigned int i;

	for (i = 0; i < n; i++)
		if (descs[i].slot >= ring->size)
			return -EINVAL;
	if (!n || !cookie)
		return -EINVAL;
	head = last = descs[0].slot;
	if (!fe_ring_take_id(ring, head))
		return -EBUSY;
	ring->slots[head].num = 1;
	fe_split_set_desc(ring, &descs[0]);
	for (i = 1; i < n; i++) {
		fe_split_set_desc(ring, &descs[i]);
		if (!fe_ring_take_id(ring, descs[i].slot))
			continue;
		ring->slots[last].next = descs[i].slot;
		last = descs[i].slot;
		ring->slots[head].num++;
	}
	fe_ring_note(ring, head, split_raw_len(descs, n), cookie);
	fe_split_add_head(ring, head);
	return head;
}

void fe_split_set_desc(struct fe_ring *ring, const struct fe_raw_desc *desc)
{
	split_write(&ring->split.desc[desc->slot], desc->addr, desc->len, desc->flags,
		    desc->next);
}

void fe_split_add_head(struct fe_ring *ring, uint16_t head)
{
	ring->split.avail->ring[ring->split.avail_idx++ & (ring->size - 1)] = htole16(head);
}

void fe_split_set_avail_idx(struct fe_ring *ring, uint16_t idx)
{
	fe_store16(&ring->split.avail->idx, idx);
}

void fe_split_set_avail_flags(struct fe_ring *ring, uint16_t flags)
{
	fe_store16(&ring->split.avail->flags, flags);
}

void fe_split_set_used_event(struct fe_ring *ring, uint16_t idx)
{
	fe_store16(split_used_event(ring), idx);
}

uint16_t fe_split_used_idx(const struct fe_ring *ring)
{
	return fe_load16(&ring->split.used->idx);
}

uint16_t fe_split_used_flags(const struct fe_ring *ring)
{
	return fe_load16(&ring->split.used->flags);
}

uint16_t fe_split_avail_event(const struct fe_ring *ring)
{
	return fe_load16((const uint16_t *)&ring->split.used->ring[ring->size]);
}
