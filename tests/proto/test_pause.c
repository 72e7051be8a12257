/* SPDX-License-Identifier: BSD-3-Clause */
/* Rings which are stopped and started again, all of them or one: nothing gets lost on the way. */
#include <errno.h>
#include <linux/virtio_config.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "tests/echo.h"
#include "tests/tap.h"
#include "util.h"

#define EVENT_IDX FE_BIT(VIRTIO_RING_F_EVENT_IDX)

static void add(struct fe_ring *ring, unsigned int n)
{
	while (n--) {
		struct iovec o = { fe_mem_alloc(ring->mem, 8, 1), 8 };
		struct iovec i = { fe_mem_alloc(ring->mem, 8, 1), 8 };

		ck_assert_int_ge(fe_ring_add(ring, &o, 1, &i, 1, ring), 0);
	}
}

static void get(struct fe_ring *ring)
{
	uint32_t len;
	void *cookie;

	ck_assert_int_eq(fe_ring_get(ring, &cookie, &len), 1);
	ck_assert_uint_eq(len, 8);
}

/* proves: ring.pause-resume, ring.call-replaced, ring.check-at-start, GET_VRING_BASE */
START_TEST(pause_and_resume)
{
	struct echo_rings r;
	struct echo e;
	int i, fd;

	/*
	 * As a machine which is paused and resumed, in the worst moment: a completion was signalled
	 * to the fd that is about to go, and a request was made available without a kick.
	 */
	echo_start(&e, (unsigned int)_i / 2, 0);
	echo_up(&e, &r, 2, 16, _i % 2 ? EVENT_IDX : 0);
	for (i = 0; i < 30; i++) {
		unsigned int pushed = atomic_load(&e.pushed);

		fe_ring_irq_on(&r.ring[0]);
		add(&r.ring[0], 1);
		fe_ring_submit(&r.ring[0]);
		echo_wait(&e.pushed, pushed + 1);
		ck_assert_int_eq(fe_stop(&e.fe, r.list, 2), 0);
		add(&r.ring[0], 2);
		fe_ring_publish(&r.ring[0]);
		fd = r.ring[0].call_fd;
		r.ring[0].call_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
		ck_assert_int_ge(r.ring[0].call_fd, 0);
		atomic_store(&e.hold, true);
		ck_assert_int_eq(fe_start(&e.fe, &r.mem, r.list, 2), 0);
		/* The new fd tells about what the old one told before; there is nothing else yet. */
		ck_assert_int_eq(fe_ring_wait_signal(&r.ring[0], FE_TIMEOUT_MS), 0);
		get(&r.ring[0]);
		ck_assert(!fe_ring_ready(&r.ring[0]));
		echo_wait(&e.popped, pushed + 3);
		echo_release(&e, 0);
		ck_assert_int_eq(fe_ring_wait(&r.ring[0], FE_TIMEOUT_MS), 0);
		get(&r.ring[0]);
		ck_assert_int_eq(fe_ring_wait(&r.ring[0], FE_TIMEOUT_MS), 0);
		get(&r.ring[0]);
		echo_check(&r.ring[1], 10);
		close(fd);
	}
	echo_down(&e, &r);
	echo_stop(&e);
}
END_TEST

/* proves: ring.reset-one, ring.sizes, VIRTIO_F_RING_RESET, GET_VRING_BASE */
START_TEST(one_ring_is_reset)
{
	static const unsigned int sizes[] = { 64, 1, 2, 128, 16 };
	struct fe_ring_params params = { .index = 0 };
	struct echo_rings r;
	struct echo e;
	size_t i;

	echo_start(&e, (unsigned int)_i, 0);
	echo_up(&e, &r, 2, 16, FE_BIT(VIRTIO_F_RING_RESET) | FE_BIT(VIRTIO_RING_F_INDIRECT_DESC));
	ck_assert(e.fe.features & FE_BIT(VIRTIO_F_RING_RESET));
	params.features = e.fe.features;
	params.indirect = 8;
	for (i = 0; i < ARRAY_SIZE(sizes); i++) {
		echo_check(&r.ring[0], 10);
		/* A request of the other ring is in work all the time. */
		atomic_store(&e.hold, true);
		add(&r.ring[1], 1);
		fe_ring_submit(&r.ring[1]);
		echo_wait(&e.popped, atomic_load(&e.pushed) + 1);
		ck_assert_int_eq(fe_set_vring_enable(&e.fe, 0, false), 0);
		ck_assert_int_eq(fe_stop_ring(&e.fe, &r.ring[0], NULL), 0);
		fe_ring_free(&r.ring[0]);
		params.size = sizes[i];
		ck_assert_int_eq(fe_ring_init(&r.ring[0], &r.mem, &params), 0);
		ck_assert_int_eq(fe_start_ring(&e.fe, &r.ring[0]), 0);
		ck_assert_int_eq(fe_set_vring_enable(&e.fe, 0, true), 0);
		echo_release(&e, 1);
		ck_assert_int_eq(fe_ring_wait(&r.ring[1], FE_TIMEOUT_MS), 0);
		get(&r.ring[1]);
		echo_check(&r.ring[0], 10);
		echo_check(&r.ring[1], 10);
	}
	ck_assert_uint_eq(atomic_load(&e.stops), ARRAY_SIZE(sizes));
	echo_down(&e, &r);
	echo_stop(&e);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("pause");
	TCase *tc = tcase_create("pause");

	tcase_set_timeout(tc, 60);
	tcase_add_loop_test(tc, pause_and_resume, 0, 6);
	tcase_add_loop_test(tc, one_ring_is_reset, 0, 3);
	suite_add_tcase(suite, tc);
	return tap_main(suite);
}
