/* SPDX-License-Identifier: BSD-3-Clause */
/* The front-end library: kicks and interrupts of packed rings. */
#include <errno.h>
#include <stdint.h>

#include "packed_device.h"
#include "tap.h"

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

int main(void)
{
	Suite *suite = suite_create("frontend-packed-notify");
	TCase *tc = tcase_create("packed-notify");

	tcase_add_test(tc, kicks);
	tcase_add_test(tc, event_kicks);
	tcase_add_loop_test(tc, interrupts, 0, 2);
	suite_add_tcase(suite, tc);
	return tap_main(suite);
}
