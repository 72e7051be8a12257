/* SPDX-License-Identifier: BSD-3-Clause */
/* The front-end library: rings used in order, packed and split. */
#include <errno.h>
#include <stdint.h>

#include "packed_device.h"
#include "tap.h"

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

int main(void)
{
	Suite *suite = suite_create("frontend-in-order");
	TCase *tc = tcase_create("in-order");

	tcase_add_test(tc, in_order_packed);
	tcase_add_test(tc, in_order_split);
	tcase_add_test(tc, in_order_lies);
	suite_add_tcase(suite, tc);
	return tap_main(suite);
}
