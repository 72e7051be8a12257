/* SPDX-License-Identifier: BSD-3-Clause */
/* See packed_device.h. */
#include <string.h>

#include "packed_device.h"
#include "tap.h"

struct fe_mem mem;
struct fe_ring ring;

struct place dev_avail, dev_used;

void dev_reset(uint32_t base)
{
	dev_avail = (struct place){ base & 0x7fff, base >> 15 & 1 };
	dev_used = (struct place){ base >> 16 & 0x7fff, base >> 31 };
}

void open_ring(const struct fe_ring_params *params)
{
	ck_assert_int_eq(fe_mem_init(&mem, GPA, MEM_SIZE), 0);
	ck_assert_int_eq(fe_ring_init(&ring, &mem, params), 0);
	dev_reset(params->base ? params->base : 0x80008000);
}

void close_ring(void)
{
	fe_ring_free(&ring);
	fe_mem_free(&mem);
}

void step(struct place *place, unsigned int n)
{
	for (; n; n--) {
		if (++place->slot < ring.size)
			continue;
		place->slot = 0;
		place->wrap ^= 1;
	}
}

volatile struct vring_packed_desc *dev_desc(unsigned int slot)
{
	return (struct vring_packed_desc *)ring.desc_area + slot;
}

bool dev_may_pop(void)
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

bool dev_pop(struct dev_chain *c)
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

void dev_push(uint16_t id, uint32_t len, unsigned int slots)
{
	volatile struct vring_packed_desc *d = dev_desc(dev_used.slot);

	d->addr = 0xdeadbeef;
	d->id = id;
	d->len = len;
	d->flags = (uint16_t)((dev_used.wrap ? 0x8080 : 0) | (len ? 2 : 0));
	step(&dev_used, slots);
}

void dev_push_chain(const struct dev_chain *c, uint32_t len)
{
	dev_push(c->id, len, c->slots);
}

void dev_want(unsigned int flags, unsigned int slot, unsigned int wrap)
{
	uint16_t *event = ring.device_area;

	event[0] = (uint16_t)(slot | wrap << 15);
	event[1] = (uint16_t)flags;
}

void check_base(void)
{
	uint32_t used = dev_used.slot | dev_used.wrap << 15;

	ck_assert_uint_eq(fe_ring_get_base(&ring), used << 16 | used);
}

void *cookie_of(unsigned int i)
{
	return (char *)&ring + i;
}

int add(unsigned int n, unsigned int cookie)
{
	uint8_t *p = fe_mem_ptr(&mem, GPA, 4096);
	struct iovec iov[ELEMENTS_MAX];
	unsigned int i;

	for (i = 0; i < n; i++)
		iov[i] = (struct iovec){ p + 100 * i, i + 1 < n ? i : 64 };
	return fe_ring_add(&ring, iov, n - 1, &iov[n - 1], 1, cookie_of(cookie));
}

void get(unsigned int cookie, uint32_t expected)
{
	uint32_t len;
	void *got;

	ck_assert(fe_ring_ready(&ring));
	ck_assert_int_eq(fe_ring_get(&ring, &got, &len), 1);
	ck_assert_ptr_eq(got, cookie_of(cookie));
	ck_assert_uint_eq(len, expected);
}

void get_none(void)
{
	uint32_t len;
	void *got;

	ck_assert(!fe_ring_ready(&ring));
	ck_assert_int_eq(fe_ring_get(&ring, &got, &len), 0);
}

void check_elements(const struct dev_chain *c, unsigned int n)
{
	unsigned int i;

	ck_assert_uint_eq(c->num, n);
	for (i = 0; i < n; i++) {
		ck_assert_uint_eq(c->elements[i].addr, GPA + 100 * i);
		ck_assert_uint_eq(c->elements[i].len, i + 1 < n ? i : 64);
		ck_assert_uint_eq(c->elements[i].flags & 2, i + 1 < n ? 0 : 2);
	}
}
