/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The packed virtqueue (VIRTIO 2.8).
 *
 * One ring of descriptors, which the driver makes available and we overwrite by used
 * ones.  A position is a slot and a wrap counter, which turns over each time round; a
 * descriptor is available or used depending on how its two flags compare with
 * that counter.  There are two positions, next and used; between them lie the slots
 * which we hold, and nothing there is read again, whatever the driver writes.
 *
 * Buffer ids are the driver's affair: one within the ring is given back as it came.
 * Nothing here is found by an id, so one which is outstanding twice harms nobody else.
 *
 * Of a ring we write the descriptors (publish) and the device area.
 */
#include "ring.h"

#define PACKED_AVAIL (1u << VRING_PACKED_DESC_F_AVAIL)
#define PACKED_USED (1u << VRING_PACKED_DESC_F_USED)
#define PACKED_WRAP (1u << VRING_PACKED_EVENT_F_WRAP_CTR)
#define PACKED_OFF (PACKED_WRAP - 1)
#define PACKED_EVENT_FLAGS 3u

static inline struct vring_packed_desc *packed_slot(const struct ring *r, unsigned int slot)
{
	return (struct vring_packed_desc *)r->conf.desc + slot;
}

static inline struct vring_packed_desc_event *packed_driver(const struct ring *r)
{
	return r->conf.driver;
}

static inline struct vring_packed_desc_event *packed_device(const struct ring *r)
{
	return r->conf.device;
}

/* Positions as the protocol and the event areas have them: the slot, and the wrap on top. */
static inline uint16_t packed_pos(uint16_t slot, bool wrap)
{
	return (uint16_t)(slot | (wrap ? PACKED_WRAP : 0));
}

/* Go on by n slots, at most the whole ring; n may be negative. */
static inline void packed_move(const struct ring *r, uint16_t *slot, bool *wrap, int n)
{
	int to = *slot + n, num = (int)r->conf.num;

	if (to >= num || to < 0) {
		to += to < 0 ? num : -num;
		*wrap = !*wrap;
	}
	*slot = (uint16_t)to;
}

static inline bool packed_is_avail(uint16_t flags, bool wrap)
{
	return !(flags & PACKED_AVAIL) == !wrap && !(flags & PACKED_USED) == wrap;
}

/*
 * Start
 */

/*
 * A base of 0 says slot 0 with both wrap counters 0, which is where a ring may well go on after
 * its first round.  But User-mode Linux and DPDK also send it for a fresh ring, whose
 * counters are 1.  In a ring which has been round there is a used descriptor, the one which
 * ended that round, and USED remains set in it when it is made available again; in a
 * fresh one, which the driver has zeroed, USED is nowhere.
 */
static bool packed_is_fresh(const struct ring *r)
{
	unsigned int i;

	for (i = r->conf.num; i; i--) {
		if (ring_load(&packed_slot(r, i - 1)->flags) & PACKED_USED)
			return false;
	}
	return true;
}

static uint32_t packed_true_base(const struct ring *r)
{
	uint32_t base = r->conf.base;

	if (!base && packed_is_fresh(r))
		return RING_PACKED_BASE;
	/* Some peers have 16 bits only.  Then nothing is in flight, or we could not know it. */
	if (!(base >> 16))
		return base << 16 | base;
	return base;
}

/* What was fetched and not given back is known: that wins over the front-end's base. */
static const char *packed_start_tracked(struct ring *r)
{
	struct inflight_start start = {
		.ring = r->conf.desc,
		.num = r->conf.num,
		.own_base = r->conf.own_base,
		.used = r->used,
		.wrap = r->used_wrap,
	};
	const char *why = inflight_packed_start(r->inflight, &start);

	if (why)
		return why;
	r->next = r->used = start.used;
	r->next_wrap = r->used_wrap = start.wrap;
	packed_move(r, &r->next, &r->next_wrap, (int)start.descs);
	r->held = (uint16_t)start.descs;
	return NULL;
}

static const char *packed_start(struct ring *r)
{
	uint32_t base = packed_true_base(r);
	int held;

	r->next = base & PACKED_OFF;
	r->next_wrap = base & PACKED_WRAP;
	r->used = base >> 16 & PACKED_OFF;
	r->used_wrap = base >> 16 & PACKED_WRAP;
	r->moved = 0;
	r->signal_known = false;
	ring_store(&packed_device(r)->flags, VRING_PACKED_EVENT_FLAG_ENABLE);
	if (r->inflight)
		return packed_start_tracked(r);
	held = r->next - r->used + (r->next_wrap != r->used_wrap ? (int)r->conf.num : 0);
	if (r->next >= r->conf.num || r->used >= r->conf.num || held < 0 ||
	    held > (int)r->conf.num)
		return "its base does not fit the ring";
	r->held = (uint16_t)held;
	return NULL;
}

/*
 * Taking
 */

/*
 * Counts heads.  What is behind a head belongs to it, available or not, as far as NEXT says;
 * taking the chain will judge that.
 */
static int packed_avail(struct ring *r, unsigned int want)
{
	unsigned int left = r->conf.num - r->held, slot = r->next, n = ring_again(r);
	uint16_t avail = r->next_wrap ? PACKED_AVAIL : PACKED_USED, flags = 0;

	for (; left && n < want; left--) {
		bool head = !(flags & VRING_DESC_F_NEXT);

		/* Pairs with the driver's barrier between a descriptor and its flags. */
		flags = ring_load_acquire(&packed_slot(r, slot)->flags);
		if ((flags & (PACKED_AVAIL | PACKED_USED)) != avail)
			break;
		n += head;
		if (++slot == r->conf.num) {
			slot = 0;
			avail ^= PACKED_AVAIL | PACKED_USED;
		}
	}
	return (int)n;
}

/* Read the descriptor in a slot once, its flags first.  False: it is not available. */
static inline bool packed_read(const struct ring *r, unsigned int slot, bool wrap,
			       struct chain_desc *d)
{
	uint16_t flags = ring_load_acquire(&packed_slot(r, slot)->flags);

	*d = chain_read_packed(packed_slot(r, slot));
	/* The flags which were judged, whatever they have become. */
	d->flags = flags;
	return packed_is_avail(flags, wrap);
}

/* The chain is in the in-flight memory: in the ring it may be overwritten. */
static const char *packed_take_again(struct ring *r, struct chain *c, struct chain_env *env,
				     struct ring_elem *elem)
{
	const struct inflight_again *again = inflight_peek(r->inflight);
	uint16_t entry = again->entry;
	struct chain_desc d;
	const char *why;

	chain_begin(c);
	do {
		d = inflight_packed_read(r->inflight, &entry);
		why = chain_add(c, env, &d);
		if (why)
			return why;
	} while (c->descs < again->num);
	if (d.next >= r->conf.num)
		return "a buffer id beyond the ring";
	*elem = (struct ring_elem){ .id = d.next, .descs = again->num, .entry = again->entry,
				    .again = true };
	inflight_take_again(r->inflight);
	return NULL;
}

static const char *packed_take(struct ring *r, struct chain *c, struct chain_env *env,
			       struct ring_elem *elem)
{
	unsigned int left = r->conf.num - r->held;
	uint16_t slot = r->next;
	bool wrap = r->next_wrap;
	struct chain_desc d;
	const char *why;

	if (unlikely(r->inflight && ring_again(r)))
		return packed_take_again(r, c, env, elem);
	chain_begin(c);
	if (unlikely(r->inflight))
		inflight_packed_begin(r->inflight);
	do {
		if (unlikely(c->descs == left))
			return "a descriptor chain which is longer than the free part of the ring";
		if (unlikely(!packed_read(r, slot, wrap, &d)))
			return "a descriptor which is not available in a chain which is";
		/* With in-flight memory there was no short way before. */
		if (!c->descs && d.flags & VRING_DESC_F_INDIRECT && chain_set_tabled(c, env, d))
			why = NULL;
		else
			why = chain_add(c, env, &d);
		if (!why && unlikely(r->inflight))
			why = inflight_packed_add(r->inflight, &d);
		if (unlikely(why))
			return why;
		packed_move(r, &slot, &wrap, 1);
	} while (d.flags & VRING_DESC_F_NEXT);
	/* Of the last one: only there it counts (VIRTIO 2.8.6). */
	if (unlikely(d.next >= r->conf.num))
		return "a buffer id beyond the ring";
	r->next = slot;
	r->next_wrap = wrap;
	r->held += (uint16_t)c->descs;
	*elem = (struct ring_elem){ .id = d.next, .descs = (uint16_t)c->descs };
	if (unlikely(r->inflight))
		elem->entry = inflight_packed_take(r->inflight);
	return NULL;
}

static unsigned int packed_take_usual(struct ring *r, struct ring_req *const *top,
				      struct chain_env *env, unsigned int n)
{
	uint16_t slot = r->next;
	bool wrap = r->next_wrap;
	unsigned int i;

	if (unlikely(r->inflight))
		return 0;
	n = MIN(n, r->conf.num - r->held);
	for (i = 0; i < n; i++) {
		struct ring_req *req = *--top;
		struct chain_desc d;

		if (!packed_read(r, slot, wrap, &d) || unlikely(d.next >= r->conf.num) ||
		    !chain_set(&req->chain, env, &d))
			break;
		packed_move(r, &slot, &wrap, 1);
		req->elem = (struct ring_elem){ .id = d.next, .descs = 1 };
	}
	r->next = slot;
	r->next_wrap = wrap;
	r->held += (uint16_t)i;
	return i;
}

/* What is behind a head may belong to it, so there may be fewer chains: no harm is done. */
static void packed_prefetch(const struct ring *r, const struct chain_env *env, unsigned int n)
{
	unsigned int slot = r->next;
	struct chain_desc d;

	for (; n; n--) {
		d = chain_read_packed(packed_slot(r, slot));
		chain_prefetch_table(env, &d);
		if (++slot == r->conf.num)
			slot = 0;
	}
}

static void packed_untake(struct ring *r, const struct ring_elem *elem)
{
	if (unlikely(elem->again)) {
		inflight_untake_again(r->inflight);
		return;
	}
	if (unlikely(r->inflight))
		inflight_packed_untake(r->inflight, elem->entry);
	packed_move(r, &r->next, &r->next_wrap, -(int)elem->descs);
	r->held -= elem->descs;
}

/*
 * Giving back
 */

static inline void packed_store_used(const struct ring *r, unsigned int slot, bool wrap,
				     const struct ring_elem *e)
{
	struct vring_packed_desc *d = packed_slot(r, slot);

	__atomic_store_n(&d->len, htole32(e->len), __ATOMIC_RELAXED);
	ring_store(&d->id, e->id);
	/* Pairs with the driver's barrier between flags and what it reads then. */
	ring_store_release(&d->flags, (uint16_t)((wrap ? PACKED_AVAIL | PACKED_USED : 0) |
						 (e->len ? VRING_DESC_F_WRITE : 0)));
}

/*
 * A used descriptor takes one slot and stands for all those of its chain; the next one comes
 * behind them.  The driver, or who recovers the ring after a crash, looks at the first one: it is
 * written last, and shows the whole batch.  From the end on, since the driver may look at the
 * first one all the time: so its cache line is fetched from there once only.
 */
static void packed_write_used(struct ring *r, const struct ring_elem *elems, unsigned int n)
{
	unsigned int i, descs = 0;
	uint16_t slot;
	bool wrap;

	for (i = 0; i < n; i++)
		descs += elems[i].descs;
	packed_move(r, &r->used, &r->used_wrap, (int)descs);
	slot = r->used;
	wrap = r->used_wrap;
	while (n--) {
		packed_move(r, &slot, &wrap, -(int)elems[n].descs);
		packed_store_used(r, slot, wrap, &elems[n]);
	}
	r->held -= (uint16_t)descs;
	/* All round is as good as many times round. */
	r->moved = MIN(r->moved + descs, r->conf.num);
}

static void packed_publish(struct ring *r, const struct ring_elem *elems, unsigned int n)
{
	unsigned int i;

	if (likely(!r->inflight)) {
		packed_write_used(r, elems, n);
		return;
	}
	for (i = 0; i < n; i++) {
		inflight_packed_add_done(r->inflight, elems[i].entry, elems[i].descs, r->conf.num);
		packed_write_used(r, &elems[i], 1);
		inflight_packed_settle(r->inflight, elems[i].entry);
	}
}

/*
 * Notifications
 */

/* Whether used has passed the driver's position, which is ahead of it or up to a round behind. */
static bool packed_has_passed(const struct ring *r, uint16_t event, unsigned int moved)
{
	int ahead = r->used - (int)(event & PACKED_OFF);

	if (!(event & PACKED_WRAP) == r->used_wrap)
		ahead += (int)r->conf.num;
	return ahead > 0 && ahead <= (int)moved;
}

static bool packed_signal_needed(struct ring *r)
{
	bool known = r->signal_known;
	unsigned int moved = r->moved;
	uint16_t flags;

	if (!moved)
		return false;
	r->signal_known = true;
	r->moved = 0;
	/* Used flags before the driver's wish; pairs with the driver, which writes its wish and
	 * then looks at the ring again. */
	ring_full_barrier();
	/* The driver writes its position first. */
	flags = ring_load_acquire(&packed_driver(r)->flags) & PACKED_EVENT_FLAGS;
	if (flags == VRING_PACKED_EVENT_FLAG_DISABLE)
		return false;
	if (flags != VRING_PACKED_EVENT_FLAG_DESC || !r->conf.event_idx || !known)
		return true;
	return packed_has_passed(r, ring_load(&packed_driver(r)->off_wrap), moved);
}

static bool packed_arm(struct ring *r)
{
	uint16_t flags = VRING_PACKED_EVENT_FLAG_ENABLE;

	if (r->conf.event_idx) {
		flags = VRING_PACKED_EVENT_FLAG_DESC;
		ring_store(&packed_device(r)->off_wrap, packed_pos(r->next, r->next_wrap));
	}
	/* The position before the flags which refer to it. */
	ring_store_release(&packed_device(r)->flags, flags);
	/* Our wish before another look at the ring; pairs with the driver, which writes a
	 * descriptor's flags and then reads our wish. */
	ring_full_barrier();
	return packed_avail(r, 1);
}

static void packed_disarm(struct ring *r)
{
	ring_store(&packed_device(r)->flags, VRING_PACKED_EVENT_FLAG_DISABLE);
}

static uint32_t packed_base(const struct ring *r)
{
	return (uint32_t)packed_pos(r->used, r->used_wrap) << 16 |
	       packed_pos(r->next, r->next_wrap);
}

static unsigned int packed_written(const struct ring *r, struct iovec *parts)
{
	parts[0] = (struct iovec){ r->conf.desc, r->conf.num * sizeof(struct vring_packed_desc) };
	parts[1] = (struct iovec){ r->conf.device, sizeof(struct vring_packed_desc_event) };
	return 2;
}

const struct ring_ops packed_ops = {
	.start = packed_start,
	.avail = packed_avail,
	.take = packed_take,
	.take_usual = packed_take_usual,
	.prefetch = packed_prefetch,
	.untake = packed_untake,
	.publish = packed_publish,
	.signal_needed = packed_signal_needed,
	.arm = packed_arm,
	.disarm = packed_disarm,
	.base = packed_base,
	.written = packed_written,
};
