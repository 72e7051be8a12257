/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The split virtqueue (VIRTIO 2.7).
 *
 * Positions are free-running 16-bit indices.  The used index lives in guest
 * memory only: it is read when the ring starts, since the driver may have been
 * reset meanwhile, and kept here afterwards.
 *
 * Of a ring we write the used ring, its event word included.
 */
#include "ring.h"

static inline struct vring_avail *split_avail_ring(const struct ring *r)
{
	return r->conf.driver;
}

static inline struct vring_used *split_used_ring(const struct ring *r)
{
	return r->conf.device;
}

/* The word behind the available ring: the driver wants a signal when used passes it. */
static inline uint16_t *split_used_event(const struct ring *r)
{
	return &split_avail_ring(r)->ring[r->conf.num];
}

/* The word behind the used ring: we want a kick when the driver's index passes it. */
static inline uint16_t *split_avail_event(const struct ring *r)
{
	return (uint16_t *)&split_used_ring(r)->ring[r->conf.num];
}

/* What was fetched and not given back is known: that wins over the front-end's base. */
static const char *split_start_tracked(struct ring *r)
{
	unsigned int count = 0;
	const char *why = inflight_split_start(r->inflight, r->used, r->conf.num, &count);

	if (!why)
		r->next = r->seen = (uint16_t)(r->used + count);
	return why;
}

static const char *split_start(struct ring *r)
{
	const char *why;

	r->used = ring_load(&split_used_ring(r)->idx);
	r->next = r->seen = (uint16_t)r->conf.base;
	why = r->inflight ? split_start_tracked(r) : NULL;
	if (why)
		return why;
	r->signal_known = r->stale = false;
	/* With event indices the flags are not used and must be 0 (VIRTIO 2.7.10.1). */
	ring_store(&split_used_ring(r)->flags, 0);
	if ((uint16_t)(r->next - r->used) > r->conf.num)
		return "its used index does not fit its base";
	return NULL;
}

static int split_avail(struct ring *r, unsigned int want)
{
	unsigned int again = ring_again(r);
	uint16_t ready = r->seen - r->next;

	if (again + ready >= want)
		return (int)(again + ready);
	/* Pairs with the driver's barrier between its descriptors and idx. */
	r->seen = ring_load_acquire(&split_avail_ring(r)->idx);
	/* What the driver has not got back bounds how far it can be. */
	if (unlikely((uint16_t)(r->seen - r->used) > r->conf.num ||
		     (uint16_t)(r->seen - r->next) > r->conf.num))
		return -1;
	return (int)(again + (uint16_t)(r->seen - r->next));
}

static const char *split_walk(struct ring *r, struct chain *c, struct chain_env *env, uint16_t head)
{
	const struct vring_desc *table = r->conf.desc;
	struct chain_desc d;
	const char *why;

	if (unlikely(head >= r->conf.num))
		return "a descriptor index beyond the ring";
	d = chain_read_desc(&table[head]);
	/* With in-flight memory there was no short way before. */
	if (d.flags & VRING_DESC_F_INDIRECT && chain_set_tabled(c, env, d))
		return NULL;
	chain_begin(c);
	for (;;) {
		why = chain_add(c, env, &d);
		if (unlikely(why) || !(d.flags & VRING_DESC_F_NEXT))
			return why;
		if (unlikely(d.next >= r->conf.num))
			return "a descriptor index beyond the ring";
		d = chain_read_desc(&table[d.next]);
	}
}

static inline uint16_t split_head(const struct ring *r, uint16_t index)
{
	return ring_load(&split_avail_ring(r)->ring[index & (r->conf.num - 1)]);
}

static void split_prefetch(const struct ring *r, const struct chain_env *env, unsigned int n)
{
	const struct vring_desc *table = r->conf.desc;
	const uint16_t *heads = split_avail_ring(r)->ring;
	const unsigned int mask = r->conf.num - 1;
	struct chain_desc d;
	unsigned int i;

	for (i = 0; i < n; i++) {
		d = chain_read_desc(&table[ring_load(&heads[(r->next + i) & mask]) & mask]);
		chain_prefetch_table(env, &d);
	}
}

static const char *split_take(struct ring *r, struct chain *c, struct chain_env *env,
			      struct ring_elem *elem)
{
	bool again = ring_again(r);
	uint16_t head = again ? inflight_peek(r->inflight)->entry : split_head(r, r->next);
	const char *why = split_walk(r, c, env, head);

	if (!why && !again && r->inflight)
		why = inflight_split_take(r->inflight, head);
	if (unlikely(why))
		return why;
	if (again)
		inflight_take_again(r->inflight);
	else
		r->next++;
	*elem = (struct ring_elem){ .id = head, .descs = (uint16_t)c->descs, .again = again };
	return NULL;
}

static unsigned int split_take_usual(struct ring *r, struct ring_req *const *top,
				     struct chain_env *env, unsigned int n)
{
	const struct vring_desc *table = r->conf.desc;
	unsigned int i;

	if (unlikely(r->inflight))
		return 0;
	n = MIN(n, (uint16_t)(r->seen - r->next));
	for (i = 0; i < n; i++) {
		struct ring_req *req = *--top;
		uint16_t head = split_head(r, (uint16_t)(r->next + i));
		struct chain_desc d;

		if (unlikely(head >= r->conf.num))
			break;
		d = chain_read_desc(&table[head]);
		if (!chain_set(&req->chain, env, &d))
			break;
		req->elem = (struct ring_elem){ .id = head, .descs = 1 };
	}
	r->next += (uint16_t)i;
	return i;
}

static void split_untake(struct ring *r, const struct ring_elem *elem)
{
	if (unlikely(elem->again)) {
		inflight_untake_again(r->inflight);
		return;
	}
	if (unlikely(r->inflight))
		inflight_split_untake(r->inflight, elem->id);
	r->next--;
}

/* The two halves of giving back in the in-flight memory, around the move of the used index. */
static void split_track_done(struct ring *r, const struct ring_elem *elems, unsigned int n)
{
	while (n--)
		inflight_split_add_done(r->inflight, elems++->id);
}

static void split_track_settle(struct ring *r, const struct ring_elem *elems, unsigned int n)
{
	while (n--)
		inflight_split_clear(r->inflight, elems++->id);
	inflight_split_settle(r->inflight, r->used);
}

static void split_publish(struct ring *r, const struct ring_elem *elems, unsigned int n)
{
	struct vring_used *used = split_used_ring(r);
	unsigned int mask = r->conf.num - 1, i;

	if (unlikely(r->inflight))
		split_track_done(r, elems, n);
	for (i = 0; i < n; i++) {
		struct vring_used_elem *e = &used->ring[(uint16_t)(r->used + i) & mask];

		__atomic_store_n(&e->id, htole32(elems[i].id), __ATOMIC_RELAXED);
		__atomic_store_n(&e->len, htole32(elems[i].len), __ATOMIC_RELAXED);
	}
	r->used += (uint16_t)n;
	/* Pairs with the driver's barrier between idx and what it reads then. */
	ring_store_release(&used->idx, r->used);
	if (unlikely(r->inflight))
		split_track_settle(r, elems, n);
	r->stale = true;
}

static bool split_signal_needed(struct ring *r)
{
	uint16_t old = r->signalled, event;
	bool known = r->signal_known;

	if (!r->stale)
		return false;
	r->signalled = r->used;
	r->signal_known = true;
	r->stale = false;
	/* idx before flags or used_event; pairs with the driver, which writes its wish and then
	 * looks at idx again. */
	ring_full_barrier();
	if (unlikely(r->conf.notify_on_empty) &&
	    ring_load(&split_avail_ring(r)->idx) == r->used)
		return true;
	if (!r->conf.event_idx)
		return !(ring_load(&split_avail_ring(r)->flags) & VRING_AVAIL_F_NO_INTERRUPT);
	event = ring_load(split_used_event(r));
	return !known || vring_need_event(event, r->used, old);
}

static bool split_arm(struct ring *r)
{
	if (r->conf.event_idx)
		ring_store(split_avail_event(r), r->next);
	else
		ring_store(&split_used_ring(r)->flags, 0);
	/* Our wish before another look at idx; pairs with the driver, which writes idx and then
	 * reads our wish. */
	ring_full_barrier();
	return ring_load(&split_avail_ring(r)->idx) != r->next || ring_again(r);
}

static void split_disarm(struct ring *r)
{
	/* As far as can be from what the driver has published and will: no ring is longer. */
	if (r->conf.event_idx)
		ring_store(split_avail_event(r), (uint16_t)(r->next + 0x8000));
	else
		ring_store(&split_used_ring(r)->flags, VRING_USED_F_NO_NOTIFY);
}

static uint32_t split_base(const struct ring *r)
{
	return r->next;
}

static unsigned int split_written(const struct ring *r, struct iovec *parts)
{
	/* With the avail_event behind the elements. */
	parts[0] = (struct iovec){ r->conf.device, 6 + 8 * (size_t)r->conf.num };
	return 1;
}

const struct ring_ops split_ops = {
	.start = split_start,
	.avail = split_avail,
	.take = split_take,
	.take_usual = split_take_usual,
	.prefetch = split_prefetch,
	.untake = split_untake,
	.publish = split_publish,
	.signal_needed = split_signal_needed,
	.arm = split_arm,
	.disarm = split_disarm,
	.base = split_base,
	.written = split_written,
};
