/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The driver's side of packed rings (VIRTIO 2.8), and how to misuse it.
 *
 * Driver and device write the same descriptors in turn, each at its own place in the ring.  A
 * descriptor's flags AVAIL and USED tell whose turn it is, by comparison with a wrap counter which
 * changes with each lap.  What is added stays unseen because the flags of the first descriptor are
 * held back until all is published: the device does not look behind a descriptor which is not its.
 */
#include "config.h"

#include "frontend/ring.h"

#include <errno.h>
#include <string.h>

#define PACKED_SIZE_MAX	32768u
#define PACKED_AVAIL	(1u << VRING_PACKED_DESC_F_AVAIL)
#define PACKED_USED	(1u << VRING_PACKED_DESC_F_USED)
#define PACKED_WRAP	(1u << VRING_PACKED_EVENT_F_WRAP_CTR)

static int packed_layout(unsigned int size, size_t len[3])
{
	if (!size || size > PACKED_SIZE_MAX)
		return -EINVAL;
	len[0] = size * sizeof(struct vring_packed_desc);
	len[1] = len[2] = sizeof(struct vring_packed_desc_event);
	return 0;
}

/* A place as it is written in a base or an event, and back. */
static uint16_t packed_encode(struct fe_packed_pos pos)
{
	return (uint16_t)(pos.slot | (pos.wrap ? PACKED_WRAP : 0));
}

static struct fe_packed_pos packed_decode(uint16_t off_wrap)
{
	return (struct fe_packed_pos){
		.slot = off_wrap & (PACKED_WRAP - 1), .wrap = off_wrap & PACKED_WRAP,
	};
}

/* The place num descriptors, at most a lap, further on. */
static struct fe_packed_pos packed_after(const struct fe_ring *ring, struct fe_packed_pos pos,
					 unsigned int num)
{
	unsigned int slot = pos.slot + num;

	if (slot < ring->size)
		return (struct fe_packed_pos){ .slot = (uint16_t)slot, .wrap = pos.wrap };
	return (struct fe_packed_pos){ .slot = (uint16_t)(slot - ring->size), .wrap = !pos.wrap };
}

static uint16_t packed_avail_bits(bool wrap)
{
	return wrap ? PACKED_AVAIL : PACKED_USED;
}

static uint16_t packed_used_bits(bool wrap)
{
	return wrap ? PACKED_AVAIL | PACKED_USED : 0;
}

/* The device has written to this place, in the lap of this wrap counter. */
static bool packed_is_used(const struct fe_ring *ring, struct fe_packed_pos pos)
{
	/* Acquire: pairs with the device's release of the flags, before which it wrote the rest. */
	uint16_t flags = fe_load16(&ring->packed.desc[pos.slot].flags);

	return (flags & (PACKED_AVAIL | PACKED_USED)) == packed_used_bits(pos.wrap);
}

/* All descriptors are used: those before the base in this lap, the others in the last one. */
static void packed_fill(struct fe_ring *ring)
{
	const struct fe_packed_pos *used = &ring->packed.used;
	unsigned int i;

	for (i = 0; i < ring->size; i++)
		ring->packed.desc[i].flags =
			htole16(packed_used_bits(i < used->slot ? used->wrap : !used->wrap));
}

static void packed_place(struct fe_ring *ring)
{
	ring->packed.desc = ring->desc_area;
	ring->packed.driver = ring->driver_area;
	ring->packed.device = ring->device_area;
}

static void packed_reset(struct fe_ring *ring, uint32_t base)
{
	if (!base)
		base = FE_PACKED_BASE;
	ring->packed.avail = packed_decode((uint16_t)base);
	ring->packed.used = packed_decode((uint16_t)(base >> 16));
	ring->packed.pending = ring->packed.unseen = 0;
	packed_fill(ring);
}

static void packed_write(struct vring_packed_desc *d, uint64_t addr, uint32_t len, uint16_t id)
{
	d->addr = htole64(addr);
	d->len = htole32(len);
	d->id = htole16(id);
}

/* The next descriptor in the ring, with the flags, to which AVAIL and USED are added. */
static void packed_push(struct fe_ring *ring, const struct fe_raw_packed *raw)
{
	struct fe_packed *p = &ring->packed;
	struct vring_packed_desc *d = &p->desc[p->avail.slot];
	uint16_t flags = raw->flags | packed_avail_bits(p->avail.wrap);

	packed_write(d, raw->addr, raw->len, raw->id);
	if (p->pending++) {
		fe_store16(&d->flags, flags);
	} else {
		p->held = p->avail;
		p->held_flags = flags;
	}
	p->avail = packed_after(ring, p->avail, 1);
}

static int packed_add_direct(struct fe_ring *ring, const struct fe_chain *c, uint16_t id)
{
	struct fe_raw_packed raw = { .id = id };
	unsigned int i;

	for (i = 0; i < c->num; i++) {
		const struct iovec *iov = fe_chain_element(c, i);
		/* Nothing can go wrong any more: packed_check() has seen the address. */
		int err = fe_ring_addr(ring, iov, &raw.addr);

		if (err)
			return err;
		raw.len = (uint32_t)iov->iov_len;
		raw.flags = i < c->nout ? 0 : VRING_DESC_F_WRITE;
		if (i + 1 < c->num)
			raw.flags |= VRING_DESC_F_NEXT;
		packed_push(ring, &raw);
	}
	ring->slots[id].desc = raw;
	return 0;
}

/* In a table order is all: neither ids nor NEXT mean anything there. */
static int packed_add_indirect(struct fe_ring *ring, const struct fe_chain *c, uint16_t id)
{
	struct vring_packed_desc *table = (struct vring_packed_desc *)fe_ring_table(ring, id);
	struct fe_raw_packed raw = {
		.id = id, .len = c->num * (uint32_t)sizeof(*table), .flags = VRING_DESC_F_INDIRECT,
	};
	uint64_t addr;
	unsigned int i;

	for (i = 0; i < c->num; i++) {
		const struct iovec *iov = fe_chain_element(c, i);
		int err = fe_ring_addr(ring, iov, &addr);

		if (err)
			return err;
		packed_write(&table[i], addr, (uint32_t)iov->iov_len, 0);
		table[i].flags = htole16(i < c->nout ? 0 : VRING_DESC_F_WRITE);
	}
	raw.addr = fe_ring_addr_of(ring, table, raw.len);
	packed_push(ring, &raw);
	ring->slots[id].desc = raw;
	return 0;
}

/* Whether all elements have addresses, before anything is written into the ring. */
static int packed_check(const struct fe_ring *ring, const struct fe_chain *c)
{
	uint64_t addr;
	unsigned int i;
	int err = 0;

	for (i = 0; i < c->num && !err; i++)
		err = fe_ring_addr(ring, fe_chain_element(c, i), &addr);
	return err;
}

static int packed_add(struct fe_ring *ring, const struct fe_chain *c, bool indirect)
{
	uint16_t id = fe_ring_free_id(ring, 0);
	int err = packed_check(ring, c);

	if (!err)
		err = indirect ? packed_add_indirect(ring, c, id) : packed_add_direct(ring, c, id);
	if (err)
		return err;
	fe_ring_take(ring, indirect ? 1 : c->num);
	fe_ring_note(ring, id, c->in_len, c->cookie);
	return id;
}

static void packed_publish(struct fe_ring *ring)
{
	struct fe_packed *p = &ring->packed;

	if (!p->pending)
		return;
	/* Release: the device, which acquires these flags, finds all that was added. */
	fe_store16(&p->desc[p->held.slot].flags, p->held_flags);
	p->unseen += p->pending;
	p->pending = 0;
}

/* Whether the device asked to be told of one of the num places before pos. */
static bool packed_event_hit(const struct fe_ring *ring, uint16_t off_wrap, unsigned int num,
			     struct fe_packed_pos pos)
{
	struct fe_packed_pos event = packed_decode(off_wrap);
	unsigned int behind;

	/* How far the event lies behind pos: at least 1 and at most one lap, or else ahead. */
	if (event.wrap == pos.wrap)
		behind = event.slot < pos.slot ? pos.slot - event.slot : 0;
	else
		behind = event.slot < ring->size ? ring->size - event.slot + pos.slot : 0;
	return behind && behind <= num;
}

static bool packed_kick_needed(struct fe_ring *ring)
{
	struct fe_packed *p = &ring->packed;
	unsigned int num = p->unseen;
	uint16_t off_wrap, flags;

	p->unseen = 0;
	/* Pairs with the device's, between its asking for kicks and its last look at the ring. */
	fe_barrier();
	fe_packed_device_event(ring, &off_wrap, &flags);
	if (!num || flags == VRING_PACKED_EVENT_FLAG_DISABLE)
		return false;
	if (flags != VRING_PACKED_EVENT_FLAG_DESC || !fe_ring_has(ring, VIRTIO_RING_F_EVENT_IDX))
		return true;
	return packed_event_hit(ring, off_wrap, num, p->pending ? p->held : p->avail);
}

static bool packed_ready(const struct fe_ring *ring)
{
	return packed_is_used(ring, ring->packed.used);
}

static void packed_peek(const struct fe_ring *ring, uint32_t *id, uint32_t *len)
{
	const struct fe_raw_packed raw = fe_packed_get_desc(ring, ring->packed.used.slot);

	*id = raw.id;
	/* Without the flag nothing was written and the length means nothing. */
	*len = raw.flags & VRING_DESC_F_WRITE ? raw.len : 0;
}

static void packed_advance(struct fe_ring *ring, unsigned int num)
{
	ring->packed.used = packed_after(ring, ring->packed.used, num);
}

static void packed_recycle(struct fe_ring *ring, uint16_t id)
{
	ring->packed.used = packed_after(ring, ring->packed.used, 1);
	packed_push(ring, &ring->slots[id].desc);
}

static void packed_irq_on(struct fe_ring *ring)
{
	bool event = fe_ring_has(ring, VIRTIO_RING_F_EVENT_IDX);

	fe_packed_set_driver_event(ring, packed_encode(ring->packed.used),
				   event ? VRING_PACKED_EVENT_FLAG_DESC :
					   VRING_PACKED_EVENT_FLAG_ENABLE);
}

static void packed_irq_off(struct fe_ring *ring)
{
	fe_packed_set_driver_event(ring, packed_encode(ring->packed.used),
				   VRING_PACKED_EVENT_FLAG_DISABLE);
}

/* Descriptors of the chains which come back with id, the next of them being at *oldest. */
static unsigned int packed_span(const struct fe_ring *ring, uint16_t id, uint16_t *oldest,
				unsigned int *left)
{
	unsigned int num = 0;
	bool last;

	if (!fe_ring_has(ring, VIRTIO_F_IN_ORDER))
		*oldest = id;
	for (last = false; *left && !last; (*left)--) {
		last = *oldest == id;
		num += ring->slots[*oldest].num;
		*oldest = ring->slots[*oldest].newer;
	}
	return num;
}

static uint32_t packed_get_base(const struct fe_ring *ring)
{
	struct fe_packed_pos pos = ring->packed.used;
	unsigned int left = ring->outstanding;
	uint16_t oldest = ring->oldest;
	uint32_t id;

	/* There is no index in memory: follow what the device has used and we have not got. */
	if (ring->batch)
		pos = packed_after(ring, pos, packed_span(ring, ring->batch_id, &oldest, &left));
	while (left && packed_is_used(ring, pos)) {
		id = fe_packed_get_desc(ring, pos.slot).id;
		if (!fe_ring_knows(ring, id))
			break;
		pos = packed_after(ring, pos, packed_span(ring, (uint16_t)id, &oldest, &left));
	}
	return (uint32_t)packed_encode(pos) << 16 | packed_encode(pos);
}

const struct fe_ring_ops fe_packed_ops = {
	.layout = packed_layout,
	.place = packed_place,
	.reset = packed_reset,
	.add = packed_add,
	.publish = packed_publish,
	.kick_needed = packed_kick_needed,
	.ready = packed_ready,
	.peek = packed_peek,
	.advance = packed_advance,
	.recycle = packed_recycle,
	.irq_on = packed_irq_on,
	.irq_off = packed_irq_off,
	.get_base = packed_get_base,
};

int fe_packed_add_raw(struct fe_ring *ring, const struct fe_raw_packed *descs, unsigned int n,
		      void *cookie)
{
	unsigned int i;
	uint16_t id;

	if (!n || n > ring->size)
		return -EINVAL;
	id = descs[n - 1].id;
	if (cookie && (n > ring->num_free || !fe_ring_take_id(ring, id)))
		return -EBUSY;
	if (cookie) {
		if (n > 1)
			ring->slots[id].next = fe_ring_take(ring, n - 1);
		ring->slots[id].num = (uint16_t)n;
		fe_ring_note(ring, id, UINT32_MAX, cookie);
	}
	for (i = 0; i < n; i++)
		packed_push(ring, &descs[i]);
	return id;
}

void fe_packed_set_desc(struct fe_ring *ring, uint16_t slot, const struct fe_raw_packed *desc)
{
	struct vring_packed_desc *d = &ring->packed.desc[slot];

	packed_write(d, desc->addr, desc->len, desc->id);
	fe_store16(&d->flags, desc->flags);
}

struct fe_raw_packed fe_packed_get_desc(const struct fe_ring *ring, uint16_t slot)
{
	const struct vring_packed_desc *d = &ring->packed.desc[slot];
	/* The flags first, as everybody should. */
	uint16_t flags = fe_load16(&d->flags);

	return (struct fe_raw_packed){
		.addr = le64toh(d->addr), .len = le32toh(d->len), .id = le16toh(d->id),
		.flags = flags,
	};
}

uint16_t fe_packed_avail_flags(const struct fe_ring *ring)
{
	return packed_avail_bits(ring->packed.avail.wrap);
}

/* The place first: whoever finds the flags finds it, too. */
static void packed_set_event(struct vring_packed_desc_event *event, uint16_t off_wrap,
			     uint16_t flags)
{
	fe_store16(&event->off_wrap, off_wrap);
	fe_store16(&event->flags, flags);
}

void fe_packed_set_driver_event(struct fe_ring *ring, uint16_t off_wrap, uint16_t flags)
{
	packed_set_event(ring->packed.driver, off_wrap, flags);
}

void fe_packed_set_device_event(struct fe_ring *ring, uint16_t off_wrap, uint16_t flags)
{
	packed_set_event(ring->packed.device, off_wrap, flags);
}

void fe_packed_device_event(const struct fe_ring *ring, uint16_t *off_wrap, uint16_t *flags)
{
	*flags = fe_load16(&ring->packed.device->flags) & 3;
	*off_wrap = fe_load16(&ring->packed.device->off_wrap);
}
