/* SPDX-License-Identifier: BSD-3-Clause */
/* Rings without a kick fd, which the device has to poll. */
#include <check.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "tests/echo.h"
#include "tests/tap.h"

/* Send len bytes without any kick and check that they come back. */
static void check_without_kick(struct fe_ring *ring, unsigned int len)
{
	close(ring->kick_fd);
	ring->kick_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);	/* which nobody else knows */
	ck_assert_int_ge(ring->kick_fd, 0);
	echo_check(ring, len);
}

static bool wants_kicks(const struct fe_ring *ring)
{
	uint16_t off_wrap, flags;

	if (!(ring->features & FE_BIT(VIRTIO_F_RING_PACKED)))
		return !(fe_split_used_flags(ring) & VRING_USED_F_NO_NOTIFY);
	fe_packed_device_event(ring, &off_wrap, &flags);
	return flags != VRING_PACKED_EVENT_FLAG_DISABLE;
}

/* proves: ring.no-kick-fd, SET_VRING_KICK */
START_TEST(ring_without_kick_fd_is_polled)
{
	struct vhost_queue_stats stats;
	struct echo_rings r;
	struct echo e;
	int i;

	echo_start(&e, echo_run_workers(_i), 0);
	echo_up(&e, &r, 2, 16, FE_BIT(VIRTIO_RING_F_EVENT_IDX) | echo_run_format(_i));
	ck_assert_int_eq(fe_set_vring_kick(&e.fe, 0, -1), 0);
	for (i = 0; i < 20; i++)
		check_without_kick(&r.ring[0], 100);
	echo_stats(&e, 0, &stats);
	ck_assert_uint_eq(stats.kicks, 0);
	/* The other ring's kicks count as before. */
	echo_check(&r.ring[1], 10);
	echo_down(&e, &r);
	echo_stop(&e);
}
END_TEST

/* proves: ring.no-kick-fd */
START_TEST(kicks_are_not_wanted_while_polled)
{
	struct echo_rings r;
	struct echo e;

	echo_start(&e, echo_run_workers(_i), 0);
	echo_up(&e, &r, 1, 16, echo_run_format(_i));
	ck_assert_int_eq(fe_set_vring_kick(&e.fe, 0, -1), 0);
	check_without_kick(&r.ring[0], 100);
	ck_assert(!wants_kicks(&r.ring[0]));
	echo_down(&e, &r);
	echo_stop(&e);
}
END_TEST

/* proves: ring.no-kick-fd */
START_TEST(a_kick_fd_ends_the_polling)
{
	struct vhost_queue_stats before, after;
	struct echo_rings r;
	struct echo e;
	int i;

	echo_start(&e, echo_run_workers(_i), 0);
	echo_up(&e, &r, 1, 16, echo_run_format(_i));
	for (i = 0; i < 3; i++) {
		ck_assert_int_eq(fe_set_vring_kick(&e.fe, 0, -1), 0);
		check_without_kick(&r.ring[0], 100);
		ck_assert_int_eq(fe_set_vring_kick(&e.fe, 0, r.ring[0].kick_fd), 0);
		/* Once the queue is idle again it must ask for kicks, and get them. */
		echo_stats(&e, 0, &before);
		while (!wants_kicks(&r.ring[0]))
			ck_assert_int_eq(fe_sync(&e.fe), 0);
		echo_check(&r.ring[0], 100);
		echo_stats(&e, 0, &after);
		ck_assert_uint_gt(after.kicks, before.kicks);
	}
	echo_down(&e, &r);
	echo_stop(&e);
}
END_TEST

/* proves: ring.no-kick-fd */
START_TEST(stop_and_start_while_polled)
{
	struct echo_rings r;
	uint32_t base;
	struct echo e;

	echo_start(&e, echo_run_workers(_i), 0);
	echo_up(&e, &r, 1, 16, echo_run_format(_i));
	ck_assert_int_eq(fe_set_vring_kick(&e.fe, 0, -1), 0);
	check_without_kick(&r.ring[0], 100);
	ck_assert_int_eq(fe_get_vring_base(&e.fe, 0, &base), 0);
	ck_assert_uint_eq(base, echo_run_format(_i) ? 0x80028002 : 1);
	ck_assert_int_eq(fe_set_vring_base(&e.fe, 0, base), 0);
	ck_assert_int_eq(fe_set_vring_kick(&e.fe, 0, -1), 0);
	check_without_kick(&r.ring[0], 100);
	echo_down(&e, &r);
	echo_stop(&e);
}
END_TEST

int main(void)
{
	Suite *s = suite_create("poll");
	TCase *t = tcase_create("poll");

	tcase_set_timeout(t, 60);
	tcase_add_loop_test(t, ring_without_kick_fd_is_polled, 0, ECHO_RUNS);
	tcase_add_loop_test(t, kicks_are_not_wanted_while_polled, 0, ECHO_RUNS);
	tcase_add_loop_test(t, a_kick_fd_ends_the_polling, 0, ECHO_RUNS);
	tcase_add_loop_test(t, stop_and_start_while_polled, 0, ECHO_RUNS);
	suite_add_tcase(s, t);
	return tap_main(s);
}
