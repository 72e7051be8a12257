/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Packed rings: positions and their wrap counters, event suppression.
 *
 * What does not depend on the format is in test_rings.c and its neighbours, which run
 * for both; hostile drivers are in test_packed_hostile.c.
 */
#include <errno.h>
#include <linux/virtio_config.h>
#include <string.h>

#include "tests/echo.h"
#include "tests/proto/hostile.h"
#include "tests/tap.h"
#include "util.h"

#define SIZE HOSTILE_SIZE
#define F_EVENT_IDX FE_BIT(VIRTIO_RING_F_EVENT_IDX)
#define F_PACKED FE_BIT(VIRTIO_F_RING_PACKED)

/*
 * Bases
 */

/* Stop ring 0 and start it again at base, with its memory as it is. */
static int start_at(struct echo *e, struct echo_rings *r, uint32_t base)
{
	ck_assert_int_eq(fe_stop(&e->fe, r->list, 1), 0);
	ck_assert_int_eq(fe_set_vring_base(&e->fe, 0, base), 0);
	ck_assert_int_eq(fe_set_vring_enable(&e->fe, 0, true), 0);
	return fe_set_vring_kick(&e->fe, 0, r->ring[0].kick_fd);
}

static uint32_t stop_base(struct echo *e)
{
	uint32_t base;

	ck_assert_int_eq(fe_get_vring_base(&e->fe, 0, &base), 0);
	return base;
}

static const struct {
	uint32_t base;			/* as it is told */
	uint32_t start;			/* where the driver is then; 0: such a base makes no sense */
	uint32_t then;			/* after one request of two descriptors */
} bases[] = {
	{ 0x80008000, 0x80008000, 0x80028002 },
	{ 0x80058005, 0x80058005, 0x80078007 },
	{ 0x00050005, 0x00050005, 0x00070007 },
	{ 0x000f000f, 0x000f000f, 0x80018001 },	/* a chain across the end */
	{ 0x800e800e, 0x800e800e, 0x00000000 },
	/* two held, of which the device knows nothing */
	{ 0x80038005, 0x80038005, 0x80058007 },
	{ 0x800f0001, 0x800f0001, 0x00010003 },
	/* all held: nothing can be available */
	{ 0x00038003, 0, 0x00038003 },
	/* 16 bits only */
	{ 0x00008005, 0x80058005, 0x80078007 },
	{ 0x00000005, 0x00050005, 0x00070007 },
	{ 0x00008000, 0x80008000, 0x80028002 },
};

/* proves: packed.base, GET_VRING_BASE, SET_VRING_BASE */
START_TEST(base_as_it_is_told)
{
	const uint32_t value = bases[_i].base, start = bases[_i].start;
	struct echo_rings r;
	struct echo e;

	echo_start(&e, (unsigned int)_i % 2, 0);
	echo_up(&e, &r, 1, SIZE, F_PACKED | F_EVENT_IDX);
	ck_assert_int_eq(fe_stop(&e.fe, r.list, 1), 0);
	fe_ring_reset(&r.ring[0], start ? start : value);
	ck_assert_int_eq(start_at(&e, &r, value), 0);
	if (start)
		echo_check(&r.ring[0], 10);
	ck_assert_uint_eq(stop_base(&e), bases[_i].then);
	ck_assert_int_eq(fe_ring_wait_err(&r.ring[0], 0), -ETIMEDOUT);
	echo_down(&e, &r);
	echo_stop(&e);
}
END_TEST

static const uint32_t wrong_bases[] = {
	0x80008010,	/* next beyond the ring */
	0x80108010, 0x8010800f, 0xffffffff, 0x7fff7fff,
	0x80108000,	/* used beyond the ring */
	0x80058003, 0x00050003,	/* used in front of next */
	0x00058006, 0x8003000f, 0x0001800f,	/* more than a round apart */
	0x00000010, 0x0000ffff,	/* 16 bits only */
};

/* proves: packed.base, ring.base-out-of-range */
START_TEST(wrong_base)
{
	struct echo_rings r;
	struct echo e;

	echo_start(&e, (unsigned int)_i % 2, 0);
	echo_up(&e, &r, 1, SIZE, F_PACKED);
	ck_assert_int_eq(start_at(&e, &r, wrong_bases[_i]), 0);
	ck_assert_int_eq(fe_ring_wait_err(&r.ring[0], FE_TIMEOUT_MS), 0);
	hostile_restart(&e.fe, &r.ring[0]);
	echo_check(&r.ring[0], 10);
	echo_down(&e, &r);
	echo_stop(&e);
}
END_TEST

/* proves: packed.base */
START_TEST(base_0_of_a_fresh_ring)
{
	struct echo_rings r;
	struct echo e;

	/* As User-mode Linux sends it, with and without something in the ring already. */
	echo_start(&e, echo_run_workers(_i), 0);
	echo_up(&e, &r, 1, SIZE, F_PACKED | F_EVENT_IDX);
	ck_assert_int_eq(start_at(&e, &r, 0), 0);
	echo_check(&r.ring[0], 10);
	ck_assert_int_eq(fe_stop(&e.fe, r.list, 1), 0);
	fe_ring_reset(&r.ring[0], 0);
	echo_add(&r.ring[0]);
	ck_assert_int_eq(start_at(&e, &r, 0), 0);
	echo_get(&r.ring[0]);
	ck_assert_uint_eq(stop_base(&e), 0x80028002);
	echo_down(&e, &r);
	echo_stop(&e);
}
END_TEST

/* A request of n writable descriptors, there and back. */
static void check_chain(struct fe_ring *ring, unsigned int n)
{
	struct iovec in[4];
	uint32_t len;
	unsigned int i;
	void *cookie;

	for (i = 0; i < n; i++)
		in[i] = (struct iovec){ fe_mem_alloc(ring->mem, 8, 8), 8 };
	ck_assert_int_ge(fe_ring_add(ring, NULL, 0, in, n, in), 0);
	fe_ring_submit(ring);
	ck_assert_int_eq(fe_ring_wait(ring, FE_TIMEOUT_MS), 0);
	ck_assert_int_eq(fe_ring_get(ring, &cookie, &len), 1);
	ck_assert_ptr_eq(cookie, in);
}

/* proves: packed.base */
START_TEST(base_0_of_a_ring_which_goes_on)
{
	/* Chains which end a round with both counters 0, the last row's with slot 0 skipped. */
	static const unsigned int rows[][12] = {
		{ 1, 1, 1, 1 }, { 2, 2 }, { 3, 1 }, { 4 }, { 1, 1, 1, 1, 4, 4 },
		{ 1, 1, 1, 1, 3, 2, 3 }, { 4, 2, 4, 1, 1 },
	};
	struct echo_rings r;
	unsigned int i, j;
	struct echo e;

	echo_start(&e, echo_run_workers(_i), 0);
	echo_up(&e, &r, 1, 4, F_PACKED | F_EVENT_IDX);
	for (i = 0; i < ARRAY_SIZE(rows); i++) {
		for (j = 0; rows[i][j]; j++)
			check_chain(&r.ring[0], rows[i][j]);
		ck_assert_uint_eq(stop_base(&e), 0);
		if (i % 2)
			echo_add(&r.ring[0]);
		ck_assert_int_eq(start_at(&e, &r, 0), 0);
		if (i % 2)
			echo_get(&r.ring[0]);
		check_chain(&r.ring[0], 1);
		hostile_restart(&e.fe, &r.ring[0]);
	}
	echo_down(&e, &r);
	echo_stop(&e);
}
END_TEST

/*
 * What is judged at a start, when the format is known at last
 */

/*
 * proves: features.from-set-features, packed.base, ring.sizes, ring.size-invalid,
 * ring.addr-valid
 */
START_TEST(size_and_base_before_features)
{
	const struct fe_ring_params params = { .size = 3, .features = F_PACKED };
	struct vu_vring_addr addr;
	struct echo_rings r;
	struct echo e;

	/* Good for a packed ring. */
	echo_start(&e, echo_run_workers(_i), 0);
	ck_assert_int_eq(fe_negotiate(&e.fe, ~UINT64_C(0), ~UINT64_C(0)), 0);
	memset(&r, 0, sizeof(r));
	r.n = 1;
	ck_assert_int_eq(fe_mem_init(&r.mem, 0, 1 << 20), 0);
	ck_assert_int_eq(fe_ring_init(&r.ring[0], &r.mem, &params), 0);
	fe_ring_get_addr(&r.ring[0], &addr);
	ck_assert_int_eq(fe_start_mem(&e.fe, &r.mem), 0);
	ck_assert_int_eq(fe_set_vring_num(&e.fe, 0, 3), 0);
	ck_assert_int_eq(fe_set_vring_base(&e.fe, 0, FE_PACKED_BASE), 0);
	ck_assert_int_eq(fe_set_vring_addr(&e.fe, &addr), 0);
	/* Not for a split one. */
	ck_assert_int_eq(fe_set_vring_kick(&e.fe, 0, r.ring[0].kick_fd), -EIO);
	ck_assert_int_eq(fe_set_features(&e.fe, FE_BIT(VIRTIO_F_VERSION_1) |
					 FE_BIT(VU_F_PROTOCOL_FEATURES)), 0);
	ck_assert_int_eq(fe_set_vring_kick(&e.fe, 0, r.ring[0].kick_fd), -EIO);
	ck_assert_int_eq(fe_set_vring_num(&e.fe, 0, 3), -EIO);
	ck_assert_int_eq(fe_set_vring_base(&e.fe, 0, FE_PACKED_BASE), -EIO);
	ck_assert_int_eq(fe_set_features(&e.fe, FE_BIT(VIRTIO_F_VERSION_1) | F_PACKED |
					 FE_BIT(VU_F_PROTOCOL_FEATURES)), 0);
	/* The event areas are words of four bytes. */
	addr.avail += 2;
	ck_assert_int_eq(fe_set_vring_addr(&e.fe, &addr), -EIO);
	ck_assert_int_eq(fe_set_vring_num(&e.fe, 0, 0), -EIO);
	ck_assert_int_eq(fe_set_vring_num(&e.fe, 0, 32769), -EIO);
	ck_assert_int_eq(fe_set_vring_kick(&e.fe, 0, r.ring[0].kick_fd), 0);
	ck_assert_int_eq(fe_set_vring_call(&e.fe, 0, r.ring[0].call_fd), 0);
	ck_assert_int_eq(fe_set_vring_enable(&e.fe, 0, true), 0);
	echo_check(&r.ring[0], 10);
	echo_down(&e, &r);
	echo_stop(&e);
}
END_TEST

/* proves: packed.base, ring.enabled-without-protocol-features */
START_TEST(ring_without_base)
{
	const struct fe_ring_params params = { .size = SIZE, .features = F_PACKED };
	struct vu_vring_addr addr;
	struct echo_rings r;
	struct echo e;

	/* Nobody has told where it begins: at the beginning, with wrap counters of 1. */
	echo_start(&e, echo_run_workers(_i), 0);
	ck_assert_int_eq(fe_negotiate(&e.fe, F_PACKED | FE_BIT(VIRTIO_F_VERSION_1), 0), 0);
	ck_assert_int_eq(fe_set_features(&e.fe, F_PACKED | FE_BIT(VIRTIO_F_VERSION_1)), 0);
	memset(&r, 0, sizeof(r));
	r.n = 1;
	ck_assert_int_eq(fe_mem_init(&r.mem, 0, 1 << 20), 0);
	ck_assert_int_eq(fe_ring_init(&r.ring[0], &r.mem, &params), 0);
	fe_ring_get_addr(&r.ring[0], &addr);
	ck_assert_int_eq(fe_start_mem(&e.fe, &r.mem), 0);
	ck_assert_int_eq(fe_set_vring_num(&e.fe, 0, SIZE), 0);
	ck_assert_int_eq(fe_set_vring_addr(&e.fe, &addr), 0);
	ck_assert_int_eq(fe_set_vring_call(&e.fe, 0, r.ring[0].call_fd), 0);
	ck_assert_int_eq(fe_set_vring_kick(&e.fe, 0, r.ring[0].kick_fd), 0);
	echo_check(&r.ring[0], 10);
	ck_assert_uint_eq(stop_base(&e), 0x80028002);
	echo_down(&e, &r);
	echo_stop(&e);
}
END_TEST

/*
 * Positions and wraps
 */

static const unsigned int wrap_sizes[] = { 1, 2, 3, 7, 16 };

/* proves: packed.wrap, packed.any-size, packed.available, packed.base, VIRTIO_F_RING_PACKED */
START_TEST(every_position)
{
	const unsigned int size = wrap_sizes[_i / 2];
	struct echo_rings r;
	unsigned int pos, i;
	struct echo e;

	/* From each slot with each wrap counter, chains of all lengths, more than a round. */
	echo_start(&e, (unsigned int)_i % 2, 0);
	echo_up(&e, &r, 1, size, F_PACKED | (_i % 2 ? F_EVENT_IDX : 0));
	for (pos = 0; pos < 2 * size; pos++) {
		uint32_t base = pos % size | (pos < size ? 0x8000 : 0);

		/* fe_ring_reset() takes 0 for the beginning; round 0 gets there by itself. */
		if (!base)
			continue;
		ck_assert_int_eq(fe_stop(&e.fe, r.list, 1), 0);
		fe_ring_reset(&r.ring[0], base << 16 | base);
		ck_assert_int_eq(fe_start_ring(&e.fe, &r.ring[0]), 0);
		ck_assert_int_eq(fe_set_vring_enable(&e.fe, 0, true), 0);
		for (i = 0; i < 2 * size + 3; i++)
			check_chain(&r.ring[0], 1 + i % MIN(size, 4u));
		ck_assert_uint_eq(stop_base(&e), fe_ring_get_base(&r.ring[0]));
	}
	echo_down(&e, &r);
	echo_stop(&e);
}
END_TEST

/* Publish n requests at once, take them back, and say how many signals there were. */
static uint64_t signals_of(struct echo *e, struct fe_ring *ring, unsigned int n)
{
	struct vhost_queue_stats before, after;
	struct iovec in = { fe_mem_alloc(ring->mem, 8, 8), 8 };
	unsigned int i;
	uint32_t len;
	void *cookie;

	echo_stats(e, 0, &before);
	for (i = 0; i < n; i++)
		ck_assert_int_ge(fe_ring_add(ring, NULL, 0, &in, 1, ring), 0);
	fe_ring_submit(ring);
	ring->flags |= FE_RING_POLL;
	for (i = 0; i < n; i++) {
		ck_assert_int_eq(fe_ring_wait(ring, FE_TIMEOUT_MS), 0);
		ck_assert_int_eq(fe_ring_get(ring, &cookie, &len), 1);
	}
	/* The signal belongs to the same round, and this is another one. */
	echo_stats(e, 0, &after);
	return after.signals - before.signals;
}

/* A position of the ring, as event areas have it, ahead of where the driver is. */
static uint16_t ahead(const struct fe_ring *ring, unsigned int n)
{
	unsigned int slot = ring->packed.used.slot + n;
	bool wrap = ring->packed.used.wrap;

	for (; slot >= ring->size; slot -= ring->size)
		wrap = !wrap;
	return (uint16_t)(slot | (wrap ? 0x8000 : 0));
}

/* proves: packed.interrupt, packed.wrap, VIRTIO_F_EVENT_IDX */
START_TEST(event_at_every_position)
{
	const unsigned int size = wrap_sizes[_i / 2];
	unsigned int first, event, batch, i;
	struct echo_rings r;
	struct echo e;

	/* From wherever the ring is, the signal comes with the event's descriptor and only then. */
	echo_start(&e, (unsigned int)_i % 2, 0);
	echo_up(&e, &r, 1, size, F_PACKED | F_EVENT_IDX);
	signals_of(&e, &r.ring[0], 1);	/* the first one after a start is always told */
	for (first = 0; first < 2 * size; first++) {
		for (event = 0; event < size; event++) {
			batch = 1 + (first + event) % size;
			fe_packed_set_driver_event(&r.ring[0], ahead(&r.ring[0], event),
						   VRING_PACKED_EVENT_FLAG_DESC);
			for (i = 0; i < size; i += batch) {
				bool hit = event >= i && event < i + batch;

				ck_assert_msg(signals_of(&e, &r.ring[0], batch) == hit,
					      "from %u event %u batch %u at %u", first, event,
					      batch, i);
			}
		}
		signals_of(&e, &r.ring[0], 1);
	}
	echo_down(&e, &r);
	echo_stop(&e);
}
END_TEST

/* proves: packed.interrupt, queue.suppressed */
START_TEST(event_flags)
{
	struct echo_rings r;
	struct fe_ring *ring = &r.ring[0];
	struct echo e;

	echo_start(&e, (unsigned int)_i % 2, 0);
	echo_up(&e, &r, 1, SIZE, F_PACKED | (_i < 2 ? 0 : F_EVENT_IDX));
	signals_of(&e, ring, 1);
	fe_packed_set_driver_event(ring, 0x8000, VRING_PACKED_EVENT_FLAG_DISABLE);
	ck_assert_uint_eq(signals_of(&e, ring, 3), 0);
	fe_packed_set_driver_event(ring, 0x8000, VRING_PACKED_EVENT_FLAG_ENABLE);
	ck_assert_uint_eq(signals_of(&e, ring, 3), 1);
	/* A position which is long past: it counts only with its feature. */
	fe_packed_set_driver_event(ring, 0x8001, VRING_PACKED_EVENT_FLAG_DESC);
	ck_assert_uint_eq(signals_of(&e, ring, 3), _i < 2);
	/* Positions which are not in the ring mean nothing, and do no harm. */
	fe_packed_set_driver_event(ring, 0xffff, VRING_PACKED_EVENT_FLAG_DESC);
	signals_of(&e, ring, 3);
	fe_packed_set_driver_event(ring, 0x7fff, VRING_PACKED_EVENT_FLAG_DESC);
	signals_of(&e, ring, 3);
	/* Reserved: rather a signal too many. */
	fe_packed_set_driver_event(ring, 0, 3);
	ck_assert_uint_eq(signals_of(&e, ring, 3), 1);
	echo_down(&e, &r);
	echo_stop(&e);
}
END_TEST

/* proves: packed.kick */
START_TEST(kicks_are_asked_for)
{
	const uint16_t wanted = _i < 2 ? VRING_PACKED_EVENT_FLAG_ENABLE :
				VRING_PACKED_EVENT_FLAG_DESC;
	uint16_t off_wrap, flags;
	struct echo_rings r;
	struct echo e;
	unsigned int i;

	/* When it is idle the device asks for a kick at exactly the next position. */
	echo_start(&e, (unsigned int)_i % 2, 0);
	echo_up(&e, &r, 1, 7, F_PACKED | (_i < 2 ? 0 : F_EVENT_IDX));
	for (i = 0; i < 40; i++) {
		check_chain(&r.ring[0], 1 + i % 3);
		do {
			ck_assert_int_eq(fe_sync(&e.fe), 0);
			fe_packed_device_event(&r.ring[0], &off_wrap, &flags);
		} while (flags != wanted);
		if (_i >= 2)
			ck_assert_uint_eq(off_wrap, ahead(&r.ring[0], 0));
	}
	echo_down(&e, &r);
	echo_stop(&e);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("packed");
	TCase *tc = tcase_create("packed");

	tcase_set_timeout(tc, 120);
	tcase_add_loop_test(tc, base_as_it_is_told, 0, ARRAY_SIZE(bases));
	tcase_add_loop_test(tc, wrong_base, 0, ARRAY_SIZE(wrong_bases));
	tcase_add_loop_test(tc, base_0_of_a_fresh_ring, 0, 3);
	tcase_add_loop_test(tc, base_0_of_a_ring_which_goes_on, 0, 3);
	tcase_add_loop_test(tc, size_and_base_before_features, 0, 3);
	tcase_add_loop_test(tc, ring_without_base, 0, 3);
	tcase_add_loop_test(tc, every_position, 0, 2 * ARRAY_SIZE(wrap_sizes));
	tcase_add_loop_test(tc, event_at_every_position, 0, 2 * ARRAY_SIZE(wrap_sizes));
	tcase_add_loop_test(tc, event_flags, 0, 4);
	tcase_add_loop_test(tc, kicks_are_asked_for, 0, 4);
	suite_add_tcase(suite, tc);
	return tap_main(suite);
}
