/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Notifications as messages, and rings told by guest addresses.
 *
 * Each test runs with 0, 1 and 2 workers for the queues, with split and with packed rings.
 */
#include <errno.h>
#include <linux/virtio_config.h>
#include <string.h>
#include <unistd.h>

#include "frontend/fe_backend.h"
#include "tests/echo.h"
#include "tests/tap.h"
#include "util.h"

#define ALL ~UINT64_C(0)
#define INBAND FE_BIT(VU_PROTOCOL_F_INBAND_NOTIFICATIONS)

/* Negotiated; a ring without any fd is set up but for its start. */
static void up(struct echo *e, struct echo_rings *r, int run)
{
	uint64_t features = FE_BIT(VU_F_PROTOCOL_FEATURES) | FE_BIT(VIRTIO_F_VERSION_1) |
			    echo_run_format(run);

	echo_start(e, echo_run_workers(run), VHOST_DEV_INBAND);
	ck_assert_int_eq(fe_negotiate(&e->fe, features, ALL), 0);
	ck_assert(e->fe.protocol_features & INBAND);
	echo_setup(e, r, features);
	if (echo_run_format(run))
		ck_assert_int_eq(fe_set_vring_base(&e->fe, 0, FE_PACKED_BASE), 0);
	ck_assert_int_eq(fe_set_vring_call(&e->fe, 0, -1), 0);
}

/* VRING_CALL or VRING_ERR for ring 0. */
static void expect(struct echo *e, uint32_t request, struct fe_msg *msg)
{
	ck_assert_int_eq(fe_backend_expect(&e->fe, request, msg, FE_TIMEOUT_MS), 0);
	ck_assert_uint_eq(msg->u.state.index, 0);
	ck_assert_uint_eq(msg->hdr.flags, VU_VERSION | VU_NEED_REPLY);
}

/* proves: ring.in-band, VRING_KICK, BACKEND_VRING_CALL, PROTOCOL_F_INBAND_NOTIFICATIONS */
START_TEST(kick_starts_the_ring_and_serves_it)
{
	struct echo_rings r;
	struct fe_msg msg;
	struct echo e;
	int i;

	up(&e, &r, _i);
	ck_assert_int_eq(fe_set_vring_enable(&e.fe, 0, true), 0);
	for (i = 0; i < 5; i++) {
		echo_add(&r.ring[0]);
		ck_assert(!fe_ring_ready(&r.ring[0]));
		ck_assert_int_eq(fe_vring_kick(&e.fe, 0), 0);
		/* The answer means that it is done, and that the call is on its way. */
		ck_assert(fe_ring_ready(&r.ring[0]));
		ck_assert(echo_readable(e.fe.backend_fd, 0));
		expect(&e, VU_BACKEND_VRING_CALL, &msg);
		ck_assert_int_eq(fe_backend_reply(&e.fe, &msg, 0), 0);
		echo_get(&r.ring[0]);
	}
	echo_down(&e, &r);
	echo_stop(&e);
}
END_TEST

/* proves: ring.in-band, VRING_KICK */
START_TEST(kick_without_an_fd)
{
	struct vhost_queue_stats stats;
	struct echo_rings r;
	struct fe_msg msg;
	struct echo e;

	up(&e, &r, _i);
	ck_assert_int_eq(fe_set_vring_kick(&e.fe, 0, -1), 0);
	ck_assert_int_eq(fe_set_vring_enable(&e.fe, 0, true), 0);
	/* The look at the ring which comes with the start is over. */
	echo_wait(&e.kicks, 1);
	echo_stats(&e, 0, &stats);
	echo_add(&r.ring[0]);
	/* Nobody polls: without a kick nothing happens. */
	ck_assert(!echo_readable(e.fe.backend_fd, ECHO_QUIET_MS));
	ck_assert(!fe_ring_ready(&r.ring[0]));
	ck_assert_int_eq(fe_vring_kick(&e.fe, 0), 0);
	expect(&e, VU_BACKEND_VRING_CALL, &msg);
	echo_get(&r.ring[0]);
	echo_down(&e, &r);
	echo_stop(&e);
}
END_TEST

START_TEST(fds_are_preferred)
{
	struct echo_rings r;
	struct echo e;

	up(&e, &r, _i);
	ck_assert_int_eq(fe_set_vring_call(&e.fe, 0, r.ring[0].call_fd), 0);
	ck_assert_int_eq(fe_set_vring_kick(&e.fe, 0, r.ring[0].kick_fd), 0);
	ck_assert_int_eq(fe_set_vring_enable(&e.fe, 0, true), 0);
	echo_check(&r.ring[0], 100);
	echo_check(&r.ring[0], 100);
	ck_assert(!echo_readable(e.fe.backend_fd, 0));
	echo_down(&e, &r);
	echo_stop(&e);
}
END_TEST

/* What is published by a stop is told before the stop is answered. */
/* proves: ring.stop-drains, BACKEND_VRING_CALL */
START_TEST(call_at_the_stop)
{
	struct echo_rings r;
	struct fe_msg msg;
	uint32_t base;
	struct echo e;

	up(&e, &r, _i);
	ck_assert_int_eq(fe_set_vring_enable(&e.fe, 0, true), 0);
	atomic_store(&e.hold, true);
	echo_add(&r.ring[0]);
	ck_assert_int_eq(fe_vring_kick(&e.fe, 0), 0);
	echo_wait(&e.popped, 1);
	ck_assert(!echo_readable(e.fe.backend_fd, 0));
	{
		const struct vu_header hdr = { VU_GET_VRING_BASE, VU_VERSION, 8 };
		const struct vu_vring_state state = { 0, 0 };
		struct fe_msg reply;

		ck_assert_int_eq(fe_send_raw(&e.fe, &hdr, &state, 8, NULL, 0), 0);
		echo_wait(&e.stops, 1);
		echo_release(&e, 0);
		ck_assert_int_eq(fe_recv_raw(&e.fe, &reply), 0);
		base = reply.u.state.num;
	}
	ck_assert(echo_readable(e.fe.backend_fd, 0));
	expect(&e, VU_BACKEND_VRING_CALL, &msg);
	echo_get(&r.ring[0]);
	ck_assert_uint_eq(base, fe_ring_get_base(&r.ring[0]));
	echo_down(&e, &r);
	echo_stop(&e);
}
END_TEST

/* However many calls there are, one that waits is enough. */
/* proves: backend.bounded, BACKEND_VRING_CALL */
START_TEST(calls_coalesce)
{
	struct echo_rings r;
	struct fe_msg msg;
	struct echo e;
	unsigned int i, calls = 0;

	up(&e, &r, _i);
	ck_assert_int_eq(fe_set_vring_enable(&e.fe, 0, true), 0);
	/* Nobody reads the channel; more calls than it can keep. */
	for (i = 0; i < 1000; i++) {
		echo_add(&r.ring[0]);
		ck_assert_int_eq(fe_vring_kick(&e.fe, 0), 0);
		echo_get(&r.ring[0]);
	}
	while (echo_readable(e.fe.backend_fd, ECHO_QUIET_MS)) {
		expect(&e, VU_BACKEND_VRING_CALL, &msg);
		ck_assert_int_eq(fe_backend_reply(&e.fe, &msg, 0), 0);
		calls++;
	}
	ck_assert_uint_gt(calls, 1);
	ck_assert_uint_lt(calls, 200);
	echo_down(&e, &r);
	echo_stop(&e);
}
END_TEST

/* proves: BACKEND_VRING_ERR */
START_TEST(error_as_a_message)
{
	struct echo_rings r;
	struct fe_msg msg;
	struct iovec nowhere = { (void *)(uintptr_t)0xdead0000, 10 };
	struct echo e;

	up(&e, &r, _i);
	ck_assert_int_eq(fe_set_vring_enable(&e.fe, 0, true), 0);
	r.ring[0].flags |= FE_RING_ADDR;
	ck_assert_int_ge(fe_ring_add(&r.ring[0], &nowhere, 1, NULL, 0, &r), 0);
	fe_ring_publish(&r.ring[0]);
	ck_assert_int_eq(fe_vring_kick(&e.fe, 0), 0);
	expect(&e, VU_BACKEND_VRING_ERR, &msg);
	echo_down(&e, &r);
	echo_stop(&e);
}
END_TEST

/* proves: msg.index, VRING_KICK */
START_TEST(bad_kicks)
{
	const struct vu_vring_state bad[] = { { ECHO_QUEUES, 0 }, { 0, 1 }, { 1, 0 } };
	struct echo_rings r;
	struct echo e;
	size_t i;

	up(&e, &r, _i);
	/* No such queue; not zero; a ring of which nothing was said. */
	for (i = 0; i < ARRAY_SIZE(bad); i++)
		ck_assert_int_eq(fe_request(&e.fe, VU_VRING_KICK, &bad[i], 8, NULL, 0), -EIO);
	echo_down(&e, &r);
	echo_stop(&e);
}
END_TEST

/* proves: features.protocol-dependencies */
START_TEST(needs_channel_and_acknowledgements)
{
	uint64_t without = FE_BIT(_i % 2 ? VU_PROTOCOL_F_REPLY_ACK : VU_PROTOCOL_F_BACKEND_REQ);
	uint64_t offered;
	struct echo e;

	echo_start(&e, 0, VHOST_DEV_INBAND);
	ck_assert_int_eq(fe_get_protocol_features(&e.fe, &offered), 0);
	ck_assert(offered & INBAND);
	/* There is no other way to say no: the connection ends. */
	e.fe.no_ack = true;
	fe_set_protocol_features(&e.fe, offered & ~without);
	ck_assert_int_eq(fe_wait_closed(&e.fe), 0);
	echo_stop(&e);
}
END_TEST

/*
 * GPA_ADDRESSES: neither the regions' user addresses nor rings' are the front-end's.
 */
/* proves: mem.gpa-addresses, PROTOCOL_F_GPA_ADDRESSES */
START_TEST(guest_addresses)
{
	struct echo_rings r;
	struct echo e;
	unsigned int i;

	echo_start(&e, echo_run_workers(_i), 0);
	e.fe.gpa = true;
	echo_up(&e, &r, 2, 16, echo_run_format(_i));
	ck_assert(e.fe.protocol_features & FE_BIT(VU_PROTOCOL_F_GPA_ADDRESSES));
	for (i = 0; i < 2; i++)
		echo_check(&r.ring[i], 1000);
	/* What is told as user address when the region goes has no meaning either. */
	r.mem.regions[0].uva += 4096;
	ck_assert_int_eq(fe_rem_mem_reg(&e.fe, &r.mem.regions[0]), 0);
	r.mem.regions[0].uva = UINT64_MAX - 5;
	ck_assert_int_eq(fe_add_mem_reg(&e.fe, &r.mem.regions[0]), 0);
	for (i = 0; i < 2; i++)
		echo_check(&r.ring[i], 1000);
	/* Other addresses need other regions. */
	ck_assert_int_eq(fe_stop(&e.fe, r.list, 2), 0);
	e.fe.no_ack = false;
	ck_assert_int_lt(fe_request(&e.fe, VU_SET_PROTOCOL_FEATURES,
				    &(uint64_t){ e.fe.protocol_features &
						 ~FE_BIT(VU_PROTOCOL_F_GPA_ADDRESSES) },
				    8, NULL, 0), 0);
	echo_down(&e, &r);
	echo_stop(&e);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		kick_starts_the_ring_and_serves_it, kick_without_an_fd, fds_are_preferred,
		call_at_the_stop, calls_coalesce, error_as_a_message, bad_kicks,
		needs_channel_and_acknowledgements, guest_addresses,
	};
	Suite *s = suite_create("inband");
	TCase *tc = tcase_create("inband");
	size_t i;

	tcase_set_timeout(tc, 60);
	for (i = 0; i < ARRAY_SIZE(tests); i++)
		tcase_add_loop_test(tc, tests[i], 0, ECHO_RUNS);
	suite_add_tcase(s, tc);
	return tap_main(s);
}
