/* SPDX-License-Identifier: BSD-3-Clause */
/* The front-end library: the driver's side of packed rings. */
#include <errno.h>
#include <stdint.h>

#include "packed_device.h"
#include "tap.h"

#include "frontend.h"
#include "tap.h"

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
	tcase_add_test(tc, lies);
	tcase_add_test(tc, raw);
	suite_add_tcase(suite, tc);
	return tap_main(suite);
}
