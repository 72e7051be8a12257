/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The front-end library: the driver's side of packed rings, and of rings used in order.
 *
 * The device of these tests is written from VIRTIO 2.8 and works on the raw ring; it shares
 * nothing with the driver.
 */
#include "config.h"

#include <errno.h>
#include <stdint.h>
#include <string.h>

#include "frontend.h"
#include "tap.h"

#define GPA		UINT64_C(0x100000)
#define MEM_SIZE	(4u << 20)
#define PACKED		FE_BIT(VIRTIO_F_RING_PACKED)
#define IN_ORDER	FE_BIT(VIRTIO_F_IN_ORDER)
#define EVENT_IDX	FE_BIT(VIRTIO_RING_F_EVENT_IDX)
#define INDIRECT	FE_BIT(VIRTIO_RING_F_INDIRECT_DESC)

#define ELEMENTS_MAX	16
#define SHORT_MS	10

static struct fe_mem mem;
static struct fe_ring ring;

/* A place of the device's, which counts laps in its own way. */
struct place {
	unsigned int slot;
	unsigned int wrap;
};

static struct place dev_avail, dev_used;

/* A chain as the device has found it. */
struct dev_chain {
	uint16_t id;
	unsigned int slots;		/* places it takes in the ring */
	unsigned int num;		/* elements */
	struct vring_packed_desc elements[ELEMENTS_MAX];
};

static void dev_reset(uint32_t base)
{
	dev_avail = (struct place){ base & 0x7fff, base >> 15 & 1 };
	dev_used = (struct place){ base >> 16 & 0x7fff, base >> 31 };
}

static void open_ring(const struct fe_ring_params *params)
{
	ck_assert_int_eq(fe_mem_init(&mem, GPA, MEM_SIZE), 0);
	ck_assert_int_eq(fe_ring_init(&ring, &mem, params), 0);
	dev_reset(params->base ? params->base : 0x80008000);
}

static void close_ring(void)
{
	fe_ring_free(&ring);
	fe_mem_free(&mem);
}

static void step(struct place *place, unsigned int n)
{
	for (; n; n--) {
		if (++place->slot < ring.size)
			continue;
		place->slot = 0;
		place->wrap ^= 1;
	}
}

static volatile struct vring_packed_desc *dev_desc(unsigned int slot)
{
	return (struct vring_packed_desc *)ring.desc_area + slot;
}

static bool dev_may_pop(void)
{
	uint16_t flags = dev_desc(dev_avail.slot)->flags;

	return (flags >> 7 & 1) == dev_avail.wrap && (flags >> 15) != dev_avail.wrap;
}

static void dev_take_table(struct dev_chain *c, uint64_t addr, uint32_t len)
{
	const void *table = fe_mem_ptr(&mem, addr, len);

	ck_assert_ptr_nonnull(table);
	c->num = len / 16;
	ck_assert_uint_le(c->num, ELEMENTS_MAX);
	memcpy(c->elements, table, len);
}

static bool dev_pop(struct dev_chain *c)
{
	struct vring_packed_desc d;

	*c = (struct dev_chain){ 0 };
	if (!dev_may_pop())
		return false;
	do {
		ck_assert(dev_may_pop());
		d = *dev_desc(dev_avail.slot);
		step(&dev_avail, 1);
		c->slots++;
		if (d.flags & 4)
			dev_take_table(c, d.addr, d.len);
		else
			c->elements[c->num++] = d;
	} while (d.flags & 1);
	c->id = d.id;
	return true;
}

/* Give back slots places by one descriptor. */
static void dev_push(uint16_t id, uint32_t len, unsigned int slots)
{
	volatile struct vring_packed_desc *d = dev_desc(dev_used.slot);

	d->addr = 0xdeadbeef;
	d->id = id;
	d->len = len;
	d->flags = (uint16_t)((dev_used.wrap ? 0x8080 : 0) | (len ? 2 : 0));
	step(&dev_used, slots);
}

static void dev_push_chain(const struct dev_chain *c, uint32_t len)
{
	dev_push(c->id, len, c->slots);
}

/* What the device asks for: 0 all kicks, 1 none, 2 that for the place. */
static void dev_want(unsigned int flags, unsigned int slot, unsigned int wrap)
{
	uint16_t *event = ring.device_area;

	event[0] = (uint16_t)(slot | wrap << 15);
	event[1] = (uint16_t)flags;
}

/* Where the device is: there the driver would let the next one begin. */
static void check_base(void)
{
	uint32_t used = dev_used.slot | dev_used.wrap << 15;

	ck_assert_uint_eq(fe_ring_get_base(&ring), used << 16 | used);
}

static void *cookie_of(unsigned int i)
{
	return (char *)&ring + i;
}

/* Add a chain of n elements, of which the device may write the last, of 64 bytes. */
static int add(unsigned int n, unsigned int cookie)
{
	uint8_t *p = fe_mem_ptr(&mem, GPA, 4096);
	struct iovec iov[ELEMENTS_MAX];
	unsigned int i;

	for (i = 0; i < n; i++)
		iov[i] = (struct iovec){ p + 100 * i, i + 1 < n ? i : 64 };
	return fe_ring_add(&ring, iov, n - 1, &iov[n - 1], 1, cookie_of(cookie));
}

static void get(unsigned int cookie, uint32_t expected)
{
	uint32_t len;
	void *got;

	ck_assert(fe_ring_ready(&ring));
	ck_assert_int_eq(fe_ring_get(&ring, &got, &len), 1);
	ck_assert_ptr_eq(got, cookie_of(cookie));
	ck_assert_uint_eq(len, expected);
}

static void get_none(void)
{
	uint32_t len;
	void *got;

	ck_assert(!fe_ring_ready(&ring));
	ck_assert_int_eq(fe_ring_get(&ring, &got, &len), 0);
}

static void check_elements(const struct dev_chain *c, unsigned int n)
{
	unsigned int i;

	ck_assert_uint_eq(c->num, n);
	for (i = 0; i < n; i++) {
		ck_assert_uint_eq(c->elements[i].addr, GPA + 100 * i);
		ck_assert_uint_eq(c->elements[i].len, i + 1 < n ? i : 64);
		ck_assert_uint_eq(c->elements[i].flags & 2, i + 1 < n ? 0 : 2);
	}
}

START_TEST(sizes)
{
	const unsigned int bad[] = { 0, 32769, 65536 };
	struct vu_vring_addr addr;
	unsigned int i;

	ck_assert_int_eq(fe_mem_init(&mem, GPA, MEM_SIZE), 0);
	for (i = 0; i < 3; i++)
		ck_assert_int_eq(fe_ring_init(&ring, &mem, &(struct fe_ring_params){
			.features = PACKED, .size = bad[i] }), -EINVAL);
	mem.regions[0].uva = 0x5000;
	ck_assert_int_eq(fe_ring_init(&ring, &mem, &(struct fe_ring_params){
		.features = PACKED, .size = 32767, .index = 3 }), 0);
	fe_ring_get_addr(&ring, &addr);
	ck_assert_uint_eq(addr.index, 3);
	ck_assert_uint_eq(addr.desc, 0x5000);
	ck_assert_uint_eq(addr.avail, 0x5000 + ((16 * 32767 + 63) & ~63));
	ck_assert_uint_eq(addr.used, addr.avail + 64);
	ck_assert_uint_eq(fe_ring_get_base(&ring), 0x80008000);
	close_ring();
}
END_TEST

START_TEST(direct)
{
	struct dev_chain c;
	int id;

	open_ring(&(struct fe_ring_params){ .size = 7, .features = PACKED });
	id = add(4, 1);
	ck_assert_int_ge(id, 0);
	ck_assert(!dev_pop(&c));
	ck_assert_int_ge(add(1, 2), 0);
	ck_assert(!dev_pop(&c));
	fe_ring_publish(&ring);
	ck_assert(dev_pop(&c));
	ck_assert_uint_eq(c.id, (unsigned int)id);
	ck_assert_uint_eq(c.slots, 4);
	check_elements(&c, 4);
	ck_assert(dev_pop(&c));
	ck_assert_uint_ne(c.id, (unsigned int)id);
	check_elements(&c, 1);
	ck_assert(!dev_pop(&c));
	ck_assert_uint_eq(ring.num_free, 2);
	ck_assert_int_eq(add(3, 3), -ENOSPC);
	get_none();
	close_ring();
}
END_TEST

START_TEST(indirect)
{
	struct dev_chain c;
	int id;

	open_ring(&(struct fe_ring_params){
		.size = 3, .features = PACKED | INDIRECT, .indirect = 8 });
	id = add(8, 1);
	ck_assert_int_ge(add(5, 2), 0);
	ck_assert_int_ge(add(1, 3), 0);
	ck_assert_int_eq(add(1, 4), -ENOSPC);
	fe_ring_publish(&ring);
	ck_assert(dev_pop(&c));
	ck_assert_uint_eq(c.id, (unsigned int)id);
	ck_assert_uint_eq(c.slots, 1);
	check_elements(&c, 8);
	ck_assert(dev_pop(&c));
	check_elements(&c, 5);
	ck_assert(dev_pop(&c));
	check_elements(&c, 1);
	ck_assert_uint_eq(dev_desc(2)->flags & 4, 0);
	ck_assert(!dev_pop(&c));
	close_ring();
}
END_TEST

/* What has no guest address leaves the ring as it was, whichever element it is. */
START_TEST(not_guest_memory)
{
	struct dev_chain c;
	char here[8];
	struct iovec iov[2] = { { NULL, 8 }, { here, 8 } };
	unsigned int i;

	open_ring(&(struct fe_ring_params){
		.size = 4, .features = PACKED | INDIRECT, .indirect = 2 });
	iov[0].iov_base = fe_mem_ptr(&mem, GPA, 8);
	for (i = 0; i < 2; i++) {
		ck_assert_int_eq(fe_ring_add(&ring, iov, 2, NULL, 0, &ring), -EFAULT);
		ring.indirect = 0;
	}
	ck_assert_int_eq(fe_ring_add(&ring, iov, 1, NULL, 0, NULL), -EINVAL);
	ck_assert_int_eq(fe_ring_add(&ring, NULL, 0, NULL, 0, &ring), -EINVAL);
	ck_assert_int_ge(add(1, 1), 0);
	fe_ring_publish(&ring);
	ck_assert(dev_pop(&c));
	check_elements(&c, 1);
	ck_assert(!dev_pop(&c));
	close_ring();
}
END_TEST

/* The device gives back the first chain last: ids go by another way than places. */
START_TEST(out_of_order)
{
	struct dev_chain a, b, c;

	open_ring(&(struct fe_ring_params){ .size = 6, .features = PACKED });
	add(1, 1);
	add(3, 2);
	add(2, 3);
	fe_ring_publish(&ring);
	ck_assert(dev_pop(&a) && dev_pop(&b) && dev_pop(&c));
	dev_push_chain(&c, 5);
	get(3, 5);
	ck_assert_uint_eq(ring.num_free, 2);
	dev_push_chain(&b, 0);
	dev_push_chain(&a, 64);
	get(2, 0);
	get(1, 64);
	get_none();
	ck_assert_uint_eq(ring.num_free, 6);
	ck_assert_uint_eq(fe_ring_get_base(&ring), 0);
	close_ring();
}
END_TEST

/* Without the WRITE flag the length means nothing. */
START_TEST(used_len)
{
	struct dev_chain c;

	open_ring(&(struct fe_ring_params){ .size = 1, .features = PACKED });
	add(1, 1);
	fe_ring_publish(&ring);
	ck_assert(dev_pop(&c));
	dev_push_chain(&c, 0);
	dev_desc(0)->len = 12345;
	get(1, 0);
	close_ring();
}
END_TEST

/* Every size, start and kind of chain, against a device which returns them in any order. */
static void run_random(const struct fe_ring_params *params, unsigned int rounds)
{
	static struct dev_chain held[1024];
	static unsigned int lens[4096];
	unsigned int seed = params->size, num_held = 0, added = 0, i;
	unsigned int max = params->size < 4 ? params->size : 4;
	struct dev_chain c;

	open_ring(params);
	while (rounds--) {
		while (add(1 + (seed = seed * 1103515245 + 12345) / 65536 % max,
			   1 + added % 4096) >= 0)
			added++;
		fe_ring_publish(&ring);
		while (dev_pop(&c))
			held[num_held++] = c;
		ck_assert_uint_eq(num_held, ring.outstanding);
		while (num_held > seed / 8192 % 4) {
			void *cookie;
			uint32_t len;

			i = (seed = seed * 1103515245 + 12345) / 65536 % num_held;
			check_elements(&held[i], held[i].num);
			lens[held[i].id] = seed % 65;
			dev_push_chain(&held[i], lens[held[i].id]);
			ck_assert_int_eq(fe_ring_get(&ring, &cookie, &len), 1);
			ck_assert_uint_eq(len, lens[held[i].id]);
			held[i] = held[--num_held];
		}
		get_none();
		check_base();
	}
	ck_assert_uint_gt(ring.stats.got, 2 * params->size);
	close_ring();
}

static const struct fe_ring_params random_rings[] = {
	{ .size = 1, .features = PACKED },
	{ .size = 2, .features = PACKED },
	{ .size = 3, .features = PACKED | INDIRECT, .indirect = 3 },
	{ .size = 7, .features = PACKED },
	{ .size = 64, .features = PACKED },
	{ .size = 1000, .features = PACKED | INDIRECT, .indirect = 2 },
	{ .size = 7, .features = PACKED, .base = 0x00060006 },
	{ .size = 7, .features = PACKED, .base = 0x80068006 },
	{ .size = 5, .features = PACKED, .base = 0x00030003 },
};

START_TEST(random_order)
{
	run_random(&random_rings[_i], random_rings[_i].size > 100 ? 8 : 100);
}
END_TEST

/* Some laps of the largest ring: places are 15 bits, counters must not run over. */
START_TEST(large)
{
	struct dev_chain c;
	unsigned int i;

	open_ring(&(struct fe_ring_params){ .size = 32768, .features = PACKED });
	for (i = 0; i < 15000; i++) {
		ck_assert_int_ge(add(7, i), 0);
		fe_ring_publish(&ring);
		ck_assert(dev_pop(&c));
		dev_push_chain(&c, 1);
		get(i, 1);
	}
	close_ring();
}
END_TEST

/* A whole lap at once. */
START_TEST(full)
{
	static struct dev_chain c[5];
	unsigned int lap, i;

	open_ring(&(struct fe_ring_params){ .size = 5, .features = PACKED });
	for (lap = 0; lap < 3; lap++) {
		for (i = 0; i < 5; i++)
			ck_assert_int_ge(add(1, i), 0);
		ck_assert_int_eq(add(1, 9), -ENOSPC);
		fe_ring_publish(&ring);
		for (i = 0; i < 5; i++)
			ck_assert(dev_pop(&c[i]));
		ck_assert(!dev_may_pop());
		for (i = 0; i < 5; i++)
			dev_push_chain(&c[i], i);
		for (i = 0; i < 5; i++)
			get(i, i);
		get_none();
	}
	close_ring();
}
END_TEST

/* Behind what is used, whether we have got it or not. */
START_TEST(base)
{
	struct dev_chain a, b;

	open_ring(&(struct fe_ring_params){
		.size = 7, .features = PACKED, .base = 0x80058005 });
	ck_assert_uint_eq(fe_ring_get_base(&ring), 0x80058005);
	add(1, 1);
	add(3, 2);
	fe_ring_publish(&ring);
	ck_assert_uint_eq(fe_ring_get_base(&ring), 0x80058005);
	ck_assert(dev_pop(&a) && dev_pop(&b));
	dev_push_chain(&a, 1);
	ck_assert_uint_eq(fe_ring_get_base(&ring), 0x80068006);
	dev_push_chain(&b, 1);
	ck_assert_uint_eq(fe_ring_get_base(&ring), 0x00020002);
	get(1, 1);
	ck_assert_uint_eq(fe_ring_get_base(&ring), 0x00020002);
	get(2, 1);
	ck_assert_uint_eq(fe_ring_get_base(&ring), 0x00020002);

	fe_ring_reset(&ring, 0);
	ck_assert_uint_eq(fe_ring_get_base(&ring), 0x80008000);
	dev_reset(0x80008000);
	get_none();
	ck_assert(!dev_may_pop());
	close_ring();
}
END_TEST

START_TEST(kicks)
{
	unsigned int i;

	open_ring(&(struct fe_ring_params){ .size = 8, .features = PACKED });
	ck_assert(!fe_ring_kick_needed(&ring));
	add(1, 1);
	ck_assert(!fe_ring_kick_needed(&ring));
	fe_ring_publish(&ring);
	ck_assert(fe_ring_kick_needed(&ring));
	ck_assert(!fe_ring_kick_needed(&ring));
	dev_want(1, 0, 0);
	add(1, 2);
	fe_ring_submit(&ring);
	ck_assert_uint_eq(ring.stats.kicks, 0);
	ck_assert_uint_eq(ring.stats.kicks_saved, 1);
	/* Not negotiated, or reserved: rather one kick too many. */
	for (i = 2; i < 4; i++) {
		dev_want(i, 7, 0);
		add(1, 3);
		fe_ring_submit(&ring);
		ck_assert_uint_eq(ring.stats.kicks, i - 1);
	}
	close_ring();
}
END_TEST

/*
 * From each place of the ring, each number of descriptors, each event: a kick is needed if the
 * event is among them, found by walking.
 */
static void check_event(unsigned int from, unsigned int num, unsigned int event)
{
	unsigned int wrap = event >= ring.size, i;
	struct place place = dev_avail;
	struct dev_chain c;
	bool hit = false;

	ck_assert_uint_eq(place.slot, from);
	for (i = 0; i < num; i++) {
		hit |= place.slot == event % ring.size && place.wrap == wrap;
		step(&place, 1);
	}
	dev_want(2, event % ring.size, wrap);
	for (i = 0; i < num; i++)
		add(1, i);
	fe_ring_publish(&ring);
	ck_assert_int_eq(fe_ring_kick_needed(&ring), hit);
	for (i = 0; i < num; i++) {
		ck_assert(dev_pop(&c));
		dev_push_chain(&c, 1);
		get(i, 1);
	}
}

START_TEST(event_kicks)
{
	const unsigned int size = 5;
	unsigned int from, num, event, wrap;

	open_ring(&(struct fe_ring_params){ .size = size, .features = PACKED | EVENT_IDX });
	for (wrap = 0; wrap < 2; wrap++)
		for (from = 0; from < size; from++)
			for (num = 0; num <= size; num++)
				for (event = 0; event < 2 * size; event++) {
					uint32_t b = from | wrap << 15;

					if (!b)
						continue;
					fe_ring_reset(&ring, b << 16 | b);
					dev_reset(b << 16 | b);
					check_event(from, num, event);
				}
	dev_want(0, 0, 0);
	add(1, 1);
	fe_ring_publish(&ring);
	ck_assert(fe_ring_kick_needed(&ring));
	dev_want(1, 0, 0);
	add(1, 1);
	fe_ring_publish(&ring);
	ck_assert(!fe_ring_kick_needed(&ring));
	close_ring();
}
END_TEST

static void check_wanted(unsigned int off_wrap, unsigned int flags)
{
	const uint16_t *event = ring.driver_area;

	ck_assert_uint_eq(event[1], flags);
	if (flags == 2)
		ck_assert_uint_eq(event[0], off_wrap);
}

START_TEST(interrupts)
{
	const bool event_idx = _i;
	struct dev_chain c;

	open_ring(&(struct fe_ring_params){
		.size = 3, .features = PACKED | (event_idx ? EVENT_IDX : 0) });
	check_wanted(0x8000, event_idx ? 2 : 0);
	fe_ring_irq_off(&ring);
	check_wanted(0, 1);
	add(2, 1);
	fe_ring_publish(&ring);
	ck_assert(!fe_ring_irq_on(&ring));
	check_wanted(0x8000, event_idx ? 2 : 0);
	ck_assert_int_eq(fe_ring_wait(&ring, SHORT_MS), -ETIMEDOUT);
	ck_assert(dev_pop(&c));
	dev_push_chain(&c, 1);
	ck_assert(fe_ring_irq_on(&ring));
	get(1, 1);
	ck_assert(!fe_ring_irq_on(&ring));
	check_wanted(0x8002, event_idx ? 2 : 0);
	add(2, 2);
	fe_ring_publish(&ring);
	ck_assert(dev_pop(&c));
	dev_push_chain(&c, 1);
	get(2, 1);
	ck_assert(!fe_ring_irq_on(&ring));
	check_wanted(0x0001, event_idx ? 2 : 0);
	close_ring();
	open_ring(&(struct fe_ring_params){
		.size = 3, .features = PACKED | EVENT_IDX, .flags = FE_RING_POLL });
	check_wanted(0, 1);
	close_ring();
}
END_TEST

/* The device says what cannot be. */
START_TEST(lies)
{
	struct dev_chain c;
	uint32_t len;
	void *cookie;

	open_ring(&(struct fe_ring_params){ .size = 8, .features = PACKED });
	add(1, 1);
	fe_ring_publish(&ring);
	ck_assert(dev_pop(&c));
	dev_push(8, 1, 1);
	ck_assert_int_eq(fe_ring_get(&ring, &cookie, &len), -EPROTO);
	dev_push(0xffff, 1, 1);
	ck_assert_int_eq(fe_ring_get(&ring, &cookie, &len), -EPROTO);
	dev_push((uint16_t)(c.id + 1), 1, 1);
	ck_assert_int_eq(fe_ring_get(&ring, &cookie, &len), -EPROTO);
	dev_push(c.id, 65, 1);
	ck_assert_int_eq(fe_ring_get(&ring, &cookie, &len), -EPROTO);
	ck_assert_uint_eq(ring.outstanding, 0);
	dev_push(c.id, 1, 1);
	ck_assert_int_eq(fe_ring_get(&ring, &cookie, &len), -EPROTO);
	get_none();
	close_ring();
}
END_TEST

/* In order, one descriptor stands for all chains up to its own; the others were used in full. */
START_TEST(in_order_packed)
{
	struct dev_chain c[4];
	unsigned int round, i;

	open_ring(&(struct fe_ring_params){ .size = 11, .features = PACKED | IN_ORDER });
	for (round = 0; round < 50; round++) {
		for (i = 0; i < 4; i++)
			add(i + 1, i);
		fe_ring_publish(&ring);
		for (i = 0; i < 4; i++)
			ck_assert(dev_pop(&c[i]));
		dev_push_chain(&c[0], 7);
		dev_push(c[3].id, 9, 2 + 3 + 4);
		check_base();
		get(0, 7);
		get(1, 64);
		check_base();
		get(2, 64);
		get(3, 9);
		get_none();
		check_base();
		ck_assert_uint_eq(ring.num_free, 11);
	}
	close_ring();
}
END_TEST

/* The split ring's: descriptors lie in ring order, and one element stands for many chains. */
START_TEST(in_order_split)
{
	uint16_t used = 0;
	unsigned int round, next = 0, i, k;
	int head = 0;

	open_ring(&(struct fe_ring_params){ .size = 16, .features = IN_ORDER });
	for (round = 0; round < 50; round++) {
		for (i = 0; i < 4; i++) {
			head = add(i + 1, i);
			ck_assert_int_eq(head, (int)next);
			for (k = 0; k < i; k++)
				ck_assert_uint_eq(ring.split.desc[(next + k) % 16].next,
						  (next + k + 1) % 16);
			next = (next + i + 1) % 16;
		}
		fe_ring_publish(&ring);
		ring.split.used->ring[used % 16] = (struct vring_used_elem){ (uint32_t)head, 9 };
		ring.split.used->idx = used += 4;
		ck_assert_uint_eq(fe_ring_get_base(&ring), used);
		for (i = 0; i < 3; i++)
			get(i, 64);
		get(3, 9);
		get_none();
	}
	close_ring();
}
END_TEST

/* An index which does not cover the batch; an id which nobody has. */
START_TEST(in_order_lies)
{
	uint32_t len;
	void *cookie;

	open_ring(&(struct fe_ring_params){ .size = 8, .features = IN_ORDER });
	add(1, 1);
	add(1, 2);
	fe_ring_publish(&ring);
	ring.split.used->ring[0] = (struct vring_used_elem){ 1, 9 };
	ring.split.used->idx = 1;
	get(1, 64);
	ck_assert_int_eq(fe_ring_get(&ring, &cookie, &len), -EPROTO);
	close_ring();
	open_ring(&(struct fe_ring_params){ .size = 8, .features = PACKED | IN_ORDER });
	add(1, 1);
	add(1, 2);
	fe_ring_publish(&ring);
	dev_push(5, 1, 1);
	ck_assert_int_eq(fe_ring_get(&ring, &cookie, &len), -EPROTO);
	ck_assert_uint_eq(ring.outstanding, 2);
	close_ring();
}
END_TEST

START_TEST(raw)
{
	const struct fe_raw_packed descs[] = {
		{ .addr = 1, .len = 2, .id = 3, .flags = VRING_DESC_F_NEXT },
		{ .addr = 4, .len = 5, .id = 2, .flags = VRING_DESC_F_WRITE },
	};
	struct fe_raw_packed d;
	uint16_t off_wrap, flags;
	struct dev_chain c;

	open_ring(&(struct fe_ring_params){ .size = 4, .features = PACKED });
	ck_assert_int_eq(fe_packed_add_raw(&ring, descs, 2, cookie_of(1)), 2);
	ck_assert_int_eq(fe_packed_add_raw(&ring, descs, 2, cookie_of(2)), -EBUSY);
	ck_assert_int_eq(fe_packed_add_raw(&ring, descs, 0, cookie_of(2)), -EINVAL);
	ck_assert_uint_eq(ring.num_free, 2);
	ck_assert(!dev_pop(&c));
	fe_ring_publish(&ring);
	ck_assert(dev_pop(&c));
	ck_assert_uint_eq(c.id, 2);
	ck_assert_uint_eq(c.num, 2);
	ck_assert_uint_eq(c.elements[0].addr, 1);
	ck_assert_uint_eq(c.elements[0].len, 2);
	ck_assert_uint_eq(c.elements[0].id, 3);
	ck_assert_uint_eq(c.elements[1].addr, 4);
	dev_push_chain(&c, 100);
	get(1, 100);
	ck_assert_uint_eq(ring.num_free, 4);

	/* Without cookie nothing is expected back. */
	ck_assert_int_eq(fe_packed_add_raw(&ring, descs, 1, NULL), 3);
	ck_assert_uint_eq(ring.num_free, 4);
	ck_assert_uint_eq(ring.outstanding, 0);

	ck_assert_uint_eq(fe_packed_avail_flags(&ring), 0x80);
	fe_packed_set_desc(&ring, 3, &(struct fe_raw_packed){ 6, 7, 8, 0xffff });
	ck_assert_uint_eq(dev_desc(3)->addr, 6);
	ck_assert_uint_eq(dev_desc(3)->len, 7);
	ck_assert_uint_eq(dev_desc(3)->id, 8);
	ck_assert_uint_eq(dev_desc(3)->flags, 0xffff);
	d = fe_packed_get_desc(&ring, 3);
	ck_assert(d.addr == 6 && d.len == 7 && d.id == 8 && d.flags == 0xffff);

	fe_packed_set_driver_event(&ring, 0x1234, 3);
	ck_assert_uint_eq(((uint16_t *)ring.driver_area)[0], 0x1234);
	ck_assert_uint_eq(((uint16_t *)ring.driver_area)[1], 3);
	dev_want(2, 3, 1);
	fe_packed_device_event(&ring, &off_wrap, &flags);
	ck_assert_uint_eq(off_wrap, 0x8003);
	ck_assert_uint_eq(flags, 2);
	fe_packed_set_device_event(&ring, 1, 1);
	fe_packed_device_event(&ring, &off_wrap, &flags);
	ck_assert(off_wrap == 1 && flags == 1);
	close_ring();
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("frontend-packed");
	TCase *tc = tcase_create("packed");
	const int rings = sizeof(random_rings) / sizeof(random_rings[0]);

	tcase_add_test(tc, sizes);
	tcase_add_test(tc, direct);
	tcase_add_test(tc, indirect);
	tcase_add_test(tc, not_guest_memory);
	tcase_add_test(tc, out_of_order);
	tcase_add_test(tc, used_len);
	tcase_add_loop_test(tc, random_order, 0, rings);
	tcase_add_test(tc, large);
	tcase_add_test(tc, full);
	tcase_add_test(tc, base);
	tcase_add_test(tc, kicks);
	tcase_add_test(tc, event_kicks);
	tcase_add_loop_test(tc, interrupts, 0, 2);
	tcase_add_test(tc, lies);
	tcase_add_test(tc, raw);
	suite_add_tcase(suite, tc);
	tc = tcase_create("in-order");
	tcase_add_test(tc, in_order_packed);
	tcase_add_test(tc, in_order_split);
	tcase_add_test(tc, in_order_lies);
	suite_add_tcase(suite, tc);
	return tap_main(suite);
}
