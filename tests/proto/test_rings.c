/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The state machine of a ring: set up, started, enabled, stopped, started again.
 *
 * Each test runs for both formats, with the queues on the control worker, on one, and on two
 * workers of their own (the loop index, echo_run_...).  Many have the name of what went wrong in
 * other back-ends.
 */
#include <errno.h>
#include <linux/virtio_config.h>
#include <stdio.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "tests/echo.h"
#include "tests/tap.h"
#include "util.h"

#define EVENT_IDX FE_BIT(VIRTIO_RING_F_EVENT_IDX)
#define INDIRECT FE_BIT(VIRTIO_RING_F_INDIRECT_DESC)
#define WORKERS echo_run_workers(_i)
#define FORMAT echo_run_format(_i)

START_TEST(requests_flow)
{
	static const uint64_t features[] = { 0, EVENT_IDX, INDIRECT, EVENT_IDX | INDIRECT };
	struct echo_rings r;
	struct echo e;
	size_t f;
	unsigned int i;

	for (f = 0; f < ARRAY_SIZE(features); f++) {
		echo_start(&e, WORKERS, 0);
		echo_up(&e, &r, ECHO_QUEUES, 16, features[f] | FORMAT);
		for (i = 0; i < 200; i++)
			echo_check(&r.ring[i % ECHO_QUEUES], 1 + i * 7);
		ck_assert_int_eq(fe_stop(&e.fe, r.list, r.n), 0);
		echo_down(&e, &r);
		echo_stop(&e);
	}
}
END_TEST

/* proves: ring.sizes, SET_VRING_NUM */
START_TEST(queue_sizes)
{
	/* A split ring's size is a power of two. */
	static const unsigned int sizes[] = { 1, 2, 128, 256, 1024, 32768, 3, 7, 255 };
	size_t n = FORMAT ? ARRAY_SIZE(sizes) : 6;
	struct echo_rings r;
	struct echo e;
	size_t s;
	unsigned int i;

	for (s = 0; s < n; s++) {
		echo_start(&e, WORKERS, 0);
		/* A ring of one entry needs indirect chains for two buffers. */
		echo_up(&e, &r, 1, sizes[s], EVENT_IDX | INDIRECT | FORMAT);
		for (i = 0; i < 2 * MIN(sizes[s], 1024u) + 3; i++)
			echo_check(&r.ring[0], 8);
		echo_down(&e, &r);
		echo_stop(&e);
	}
}
END_TEST

/* A split ring's index at 65536; a packed one's place when the second round ends. */
/* proves: split.wrap, packed.wrap, ring.base-any, SET_VRING_BASE */
START_TEST(index_wraps)
{
	struct echo_rings r;
	struct echo e;
	unsigned int i;

	echo_start(&e, WORKERS, 0);
	echo_up(&e, &r, 1, 16, EVENT_IDX | FORMAT);
	ck_assert_int_eq(fe_stop(&e.fe, r.list, 1), 0);
	fe_ring_reset(&r.ring[0], FORMAT ? 0x000e000e : 65530);
	ck_assert_int_eq(fe_start_ring(&e.fe, &r.ring[0]), 0);
	ck_assert_int_eq(fe_set_vring_enable(&e.fe, 0, true), 0);
	for (i = 0; i < 20; i++)
		echo_check(&r.ring[0], 100);
	echo_down(&e, &r);
	echo_stop(&e);
}
END_TEST

/* proves: ring.kick-before-enable, SET_VRING_ENABLE */
START_TEST(kick_before_enable_is_not_lost)
{
	struct echo_rings r;
	struct echo e;

	echo_start(&e, WORKERS, 0);
	ck_assert_int_eq(fe_negotiate(&e.fe, ~UINT64_C(0), ~UINT64_C(0)), 0);
	echo_setup(&e, &r, FE_BIT(VIRTIO_F_VERSION_1) | FE_BIT(VU_F_PROTOCOL_FEATURES) | FORMAT);
	echo_add(&r.ring[0]);
	ck_assert_int_eq(fe_set_vring_kick(&e.fe, 0, r.ring[0].kick_fd), 0);
	fe_ring_kick_always(&r.ring[0]);
	ck_assert_int_eq(fe_ring_wait(&r.ring[0], ECHO_QUIET_MS), -ETIMEDOUT);
	ck_assert_int_eq(fe_set_vring_enable(&e.fe, 0, true), 0);
	echo_get(&r.ring[0]);
	echo_down(&e, &r);
	echo_stop(&e);
}
END_TEST

/* proves: ring.check-at-start */
START_TEST(request_before_start_needs_no_kick)
{
	struct echo_rings r;
	struct echo e;

	echo_start(&e, WORKERS, 0);
	ck_assert_int_eq(fe_negotiate(&e.fe, ~UINT64_C(0), ~UINT64_C(0)), 0);
	echo_setup(&e, &r, FE_BIT(VIRTIO_F_VERSION_1) | FE_BIT(VU_F_PROTOCOL_FEATURES) | FORMAT);
	ck_assert_int_eq(fe_set_vring_enable(&e.fe, 0, true), 0);
	echo_add(&r.ring[0]);
	ck_assert_int_eq(fe_set_vring_kick(&e.fe, 0, r.ring[0].kick_fd), 0);
	echo_get(&r.ring[0]);
	echo_down(&e, &r);
	echo_stop(&e);
}
END_TEST

/* proves: ring.kick-does-not-disable, SET_VRING_KICK */
START_TEST(kick_fd_does_not_disable_the_ring)
{
	struct echo_rings r;
	struct echo e;

	echo_start(&e, WORKERS, 0);
	echo_up(&e, &r, 1, 16, EVENT_IDX | FORMAT);
	ck_assert_int_eq(fe_set_vring_kick(&e.fe, 0, r.ring[0].kick_fd), 0);
	echo_check(&r.ring[0], 10);
	echo_down(&e, &r);
	echo_stop(&e);
}
END_TEST

/* proves: ring.enabled-without-protocol-features, VHOST_USER_F_PROTOCOL_FEATURES */
START_TEST(without_protocol_features_rings_are_enabled)
{
	struct echo_rings r;
	struct echo e;

	echo_start(&e, WORKERS, 0);
	echo_setup(&e, &r, FE_BIT(VIRTIO_F_VERSION_1) | FORMAT);
	ck_assert_int_eq(fe_set_vring_kick(&e.fe, 0, r.ring[0].kick_fd), 0);
	echo_check(&r.ring[0], 10);
	echo_down(&e, &r);
	echo_stop(&e);
}
END_TEST

/* proves: ring.enable-num, SET_VRING_ENABLE */
START_TEST(enable_honours_num)
{
	struct echo_rings r;
	struct echo e;

	echo_start(&e, WORKERS, 0);
	echo_up(&e, &r, 2, 16, FORMAT);
	ck_assert_int_eq(fe_set_vring_enable(&e.fe, 0, false), 0);
	echo_add(&r.ring[0]);
	fe_ring_kick_always(&r.ring[0]);
	ck_assert_int_eq(fe_ring_wait(&r.ring[0], ECHO_QUIET_MS), -ETIMEDOUT);
	echo_check(&r.ring[1], 10);
	ck_assert_int_eq(fe_set_vring_enable(&e.fe, 0, true), 0);
	echo_get(&r.ring[0]);
	echo_down(&e, &r);
	echo_stop(&e);
}
END_TEST

/* proves: ring.enable-before-features */
START_TEST(enable_before_features)
{
	struct echo e;

	/* QEMU's virtio-net does that, for rings which may never start. */
	echo_start(&e, WORKERS, 0);
	ck_assert_int_eq(fe_set_vring_enable(&e.fe, 0, true), 0);
	ck_assert_int_eq(fe_set_vring_enable(&e.fe, 1, false), 0);
	ck_assert_int_eq(fe_sync(&e.fe), 0);
	echo_stop(&e);
}
END_TEST

/* proves: ring.stop-keeps-position, GET_VRING_BASE */
START_TEST(get_vring_base_stops_and_does_not_reset)
{
	struct echo_rings r;
	uint32_t base, stopped_at;
	struct echo e;
	int i;

	echo_start(&e, WORKERS, 0);
	echo_up(&e, &r, 1, 16, EVENT_IDX | FORMAT);
	for (i = 0; i < 5; i++)
		echo_check(&r.ring[0], 10);
	/* Five chains of two descriptors each. */
	stopped_at = FORMAT ? 0x800a800a : 5;
	ck_assert_int_eq(fe_get_vring_base(&e.fe, 0, &base), 0);
	ck_assert_uint_eq(base, stopped_at);
	/* Stopped: nothing is taken. */
	echo_add(&r.ring[0]);
	fe_ring_kick_always(&r.ring[0]);
	ck_assert_int_eq(fe_ring_wait(&r.ring[0], ECHO_QUIET_MS), -ETIMEDOUT);
	/* Asked again it says the same; so does a ring that never ran. */
	ck_assert_int_eq(fe_get_vring_base(&e.fe, 0, &base), 0);
	ck_assert_uint_eq(base, stopped_at);
	ck_assert_int_eq(fe_get_vring_base(&e.fe, 2, &base), 0);
	ck_assert_uint_eq(base, FORMAT ? FE_PACKED_BASE : 0);
	ck_assert_int_eq(fe_set_vring_base(&e.fe, 1, 77), 0);
	ck_assert_int_eq(fe_get_vring_base(&e.fe, 1, &base), 0);
	ck_assert_uint_eq(base, 77);
	/* It is still set up and enabled: a kick fd is all it needs. */
	ck_assert_int_eq(fe_set_vring_kick(&e.fe, 0, r.ring[0].kick_fd), 0);
	echo_get(&r.ring[0]);
	echo_down(&e, &r);
	echo_stop(&e);
}
END_TEST

/* Send GET_VRING_BASE and do not wait for the reply. */
static void send_get_vring_base(struct fe *fe, uint32_t index)
{
	const struct vu_header hdr = { VU_GET_VRING_BASE, VU_VERSION, 8 };
	const struct vu_vring_state state = { index, 0 };

	ck_assert_int_eq(fe_send_raw(fe, &hdr, &state, sizeof(state), NULL, 0), 0);
}

/* proves: ring.stop-drains, msg.in-order, GET_VRING_BASE */
START_TEST(get_vring_base_waits_for_requests)
{
	struct fe_msg reply;
	struct echo_rings r;
	struct echo e;

	echo_start(&e, WORKERS, 0);
	echo_up(&e, &r, 2, 16, EVENT_IDX | FORMAT);
	atomic_store(&e.hold, true);
	echo_add(&r.ring[0]);
	fe_ring_kick(&r.ring[0]);
	echo_wait(&e.popped, 1);
	send_get_vring_base(&e.fe, 0);
	echo_wait(&e.stops, 1);
	ck_assert(!echo_readable(e.fe.fd, ECHO_QUIET_MS));
	echo_release(&e, 0);
	ck_assert_int_eq(fe_recv_raw(&e.fe, &reply), 0);
	ck_assert_uint_eq(reply.u.state.num, FORMAT ? 0x80028002 : 1);
	/* It was published, and signalled, before the reply. */
	ck_assert(fe_ring_ready(&r.ring[0]));
	ck_assert(fe_ring_signalled(&r.ring[0]));
	echo_check(&r.ring[1], 10);
	echo_down(&e, &r);
	echo_stop(&e);
}
END_TEST

/* proves: ring.used-index-reread */
START_TEST(used_index_is_read_at_each_start)
{
	struct echo_rings r;
	struct echo e;
	int i;

	/* A guest which boots again begins with fresh rings, on the same connection. */
	echo_start(&e, WORKERS, 0);
	echo_up(&e, &r, 1, 16, EVENT_IDX | FORMAT);
	for (i = 0; i < 7; i++)
		echo_check(&r.ring[0], 10);
	ck_assert_int_eq(fe_stop(&e.fe, r.list, 1), 0);
	fe_ring_reset(&r.ring[0], 0);
	ck_assert_int_eq(fe_start(&e.fe, &r.mem, r.list, 1), 0);
	for (i = 0; i < 20; i++)
		echo_check(&r.ring[0], 10);
	echo_down(&e, &r);
	echo_stop(&e);
}
END_TEST

/* proves: ring.used-index-reread, ring.base-any */
START_TEST(used_index_need_not_be_the_base)
{
	struct echo_rings r;
	struct echo e;
	int i;

	/* After a crash of a back-end: of five requests taken, one was never completed. */
	echo_start(&e, WORKERS, 0);
	echo_up(&e, &r, 1, 16, 0);
	for (i = 0; i < 5; i++)
		echo_check(&r.ring[0], 10);
	ck_assert_int_eq(fe_stop(&e.fe, r.list, 1), 0);
	r.ring[0].split.used->idx = 4;
	ck_assert_int_eq(fe_set_vring_base(&e.fe, 0, 5), 0);
	ck_assert_int_eq(fe_set_vring_kick(&e.fe, 0, r.ring[0].kick_fd), 0);
	ck_assert_int_eq(fe_set_vring_enable(&e.fe, 0, true), 0);
	echo_add(&r.ring[0]);
	fe_ring_kick_always(&r.ring[0]);
	echo_wait(&e.pushed, 6);
	ck_assert_int_eq(fe_stop(&e.fe, r.list, 1), 0);
	ck_assert_uint_eq(fe_split_used_idx(&r.ring[0]), 5);
	echo_down(&e, &r);
	echo_stop(&e);
}
END_TEST

/* proves: ring.disabled-anew */
START_TEST(disabled_ring_set_up_anew)
{
	struct vu_vring_addr addr;
	struct echo_rings r;
	struct echo e;

	/* User-mode Linux resets a device so, without GET_VRING_BASE. */
	echo_start(&e, WORKERS, 0);
	echo_up(&e, &r, 2, 16, EVENT_IDX | FORMAT);
	echo_check(&r.ring[0], 10);
	ck_assert_int_eq(fe_set_vring_enable(&e.fe, 0, false), 0);
	fe_ring_reset(&r.ring[0], 0);
	ck_assert_int_eq(fe_set_features(&e.fe, e.fe.features), 0);
	ck_assert_int_eq(fe_set_vring_num(&e.fe, 0, 16), 0);
	ck_assert_uint_eq(atomic_load(&e.stops), 1);
	ck_assert_int_eq(fe_set_vring_base(&e.fe, 0, 0), 0);
	fe_ring_get_addr(&r.ring[0], &addr);
	ck_assert_int_eq(fe_set_vring_addr(&e.fe, &addr), 0);
	ck_assert_int_eq(fe_set_vring_kick(&e.fe, 0, r.ring[0].kick_fd), 0);
	ck_assert_int_eq(fe_set_vring_enable(&e.fe, 0, true), 0);
	echo_check(&r.ring[0], 10);
	echo_check(&r.ring[1], 10);
	echo_down(&e, &r);
	echo_stop(&e);
}
END_TEST

/* proves: ring.firmware-then-system */
START_TEST(firmware_then_system_with_other_features)
{
	struct echo_rings r, r2;
	struct echo e;

	echo_start(&e, WORKERS, 0);
	echo_up(&e, &r, 1, 16, FORMAT);
	echo_check(&r.ring[0], 10);
	ck_assert_int_eq(fe_stop(&e.fe, r.list, 1), 0);
	while (r.mem.num && e.fe.mem_regs) {
		ck_assert_int_eq(fe_rem_mem_reg(&e.fe, &r.mem.regions[0]), 0);
		e.fe.mem_regs = 0;
	}
	/* In the other format, too. */
	echo_up(&e, &r2, 3, 256, EVENT_IDX | INDIRECT | (FORMAT ^ FE_BIT(VIRTIO_F_RING_PACKED)));
	echo_check(&r2.ring[0], 1000);
	echo_check(&r2.ring[2], 1000);
	echo_down(&e, &r2);
	echo_down(&e, &r);
	echo_stop(&e);
}
END_TEST

/* proves: ring.addr-while-running, ring.setup-while-running, SET_VRING_ADDR */
START_TEST(ring_address_while_it_runs)
{
	struct vu_vring_addr addr;
	struct echo_rings r;
	struct echo e;

	echo_start(&e, WORKERS, 0);
	echo_up(&e, &r, 1, 16, EVENT_IDX | FORMAT);
	fe_ring_get_addr(&r.ring[0], &addr);
	ck_assert_int_eq(fe_set_vring_addr(&e.fe, &addr), 0);
	addr.flags = VU_VRING_ADDR_F_LOG;
	ck_assert_int_eq(fe_set_vring_addr(&e.fe, &addr), 0);
	addr.desc += 16;
	ck_assert_int_eq(fe_set_vring_addr(&e.fe, &addr), -EIO);
	echo_check(&r.ring[0], 10);
	echo_down(&e, &r);
	echo_stop(&e);
}
END_TEST

/* proves: ring.start-refused */
START_TEST(device_refuses_to_start_a_queue)
{
	struct echo_rings r;
	struct echo e;

	echo_start(&e, WORKERS, 0);
	ck_assert_int_eq(fe_negotiate(&e.fe, ~UINT64_C(0), ~UINT64_C(0)), 0);
	echo_setup(&e, &r, FE_BIT(VIRTIO_F_VERSION_1) | FE_BIT(VU_F_PROTOCOL_FEATURES) | FORMAT);
	atomic_store(&e.refuse_start, ENOSPC);
	ck_assert_int_eq(fe_set_vring_kick(&e.fe, 0, r.ring[0].kick_fd), -EIO);
	atomic_store(&e.refuse_start, 0);
	ck_assert_int_eq(fe_set_vring_kick(&e.fe, 0, r.ring[0].kick_fd), 0);
	ck_assert_int_eq(fe_set_vring_enable(&e.fe, 0, true), 0);
	echo_check(&r.ring[0], 10);
	echo_down(&e, &r);
	echo_stop(&e);
}
END_TEST

/* proves: ring.call-replaced, ring.no-call-fd, reply.in-effect, SET_VRING_CALL */
START_TEST(new_call_fd_is_signalled_and_old_one_left_alone)
{
	int old_fd, new_fd;
	struct echo_rings r;
	struct echo e;

	echo_start(&e, WORKERS, 0);
	echo_up(&e, &r, 1, 16, FORMAT);
	echo_check(&r.ring[0], 10);
	old_fd = r.ring[0].call_fd;
	new_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	fe_ring_signalled(&r.ring[0]);
	ck_assert_int_eq(fe_set_vring_call(&e.fe, 0, new_fd), 0);
	ck_assert(echo_readable(new_fd, FE_TIMEOUT_MS));
	r.ring[0].call_fd = new_fd;
	echo_check(&r.ring[0], 10);
	ck_assert(!echo_readable(old_fd, 0));
	/* None at all: the driver polls. */
	ck_assert_int_eq(fe_set_vring_call(&e.fe, 0, -1), 0);
	fe_ring_signalled(&r.ring[0]);
	r.ring[0].flags |= FE_RING_POLL;
	echo_check(&r.ring[0], 10);
	ck_assert(!echo_readable(new_fd, 0));
	close(old_fd);
	echo_down(&e, &r);
	echo_stop(&e);
}
END_TEST

/* proves: ring.before-start, ring.repeated */
START_TEST(call_and_err_for_rings_which_never_start)
{
	int fd;
	struct echo e;
	unsigned int i;

	echo_start(&e, WORKERS, 0);
	fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	for (i = 0; i < 20; i++) {
		ck_assert_int_eq(fe_set_vring_call(&e.fe, i % ECHO_QUEUES, fd), 0);
		ck_assert_int_eq(fe_set_vring_err(&e.fe, i % ECHO_QUEUES, fd), 0);
	}
	ck_assert_int_eq(fe_sync(&e.fe), 0);
	ck_assert(!echo_readable(fd, 0));
	close(fd);
	echo_stop(&e);
}
END_TEST

/* proves: ring.kick-any-file */
START_TEST(kick_fd_which_cannot_be_waited_for)
{
	struct echo_rings r;
	struct echo e;
	FILE *file;

	echo_start(&e, WORKERS, 0);
	ck_assert_int_eq(fe_negotiate(&e.fe, ~UINT64_C(0), ~UINT64_C(0)), 0);
	echo_setup(&e, &r, FE_BIT(VIRTIO_F_VERSION_1) | FE_BIT(VU_F_PROTOCOL_FEATURES) | FORMAT);
	file = tmpfile();
	ck_assert_int_eq(fe_set_vring_kick(&e.fe, 0, fileno(file)), -EIO);
	ck_assert_int_eq(fe_set_vring_call(&e.fe, 0, fileno(file)), -EIO);
	ck_assert_int_eq(fe_set_vring_err(&e.fe, 0, fileno(file)), -EIO);
	fclose(file);
	echo_down(&e, &r);
	echo_stop(&e);
}
END_TEST

/* proves: ring.kick-any-file */
START_TEST(kick_by_a_pipe)
{
	struct echo_rings r;
	int fds[2], i, kick_fd;
	struct echo e;

	echo_start(&e, WORKERS, 0);
	echo_up(&e, &r, 1, 16, FORMAT);
	ck_assert_int_eq(pipe2(fds, 0), 0);
	ck_assert_int_eq(fe_set_vring_kick(&e.fe, 0, fds[0]), 0);
	kick_fd = r.ring[0].kick_fd;
	r.ring[0].kick_fd = fds[1];
	/* More than fit into a pipe, were it not emptied. */
	for (i = 0; i < 10000; i++)
		fe_ring_kick_always(&r.ring[0]);
	echo_check(&r.ring[0], 10);
	r.ring[0].kick_fd = kick_fd;
	close(fds[0]);
	close(fds[1]);
	echo_down(&e, &r);
	echo_stop(&e);
}
END_TEST

/* proves: ring.disabled-served */
START_TEST(serves_disabled_rings_on_request)
{
	struct echo_rings r;
	struct echo e;

	echo_start(&e, WORKERS, VHOST_DEV_KICK_DISABLED);
	echo_up(&e, &r, 1, 16, FORMAT);
	ck_assert_int_eq(fe_set_vring_enable(&e.fe, 0, false), 0);
	echo_check(&r.ring[0], 10);
	echo_down(&e, &r);
	echo_stop(&e);
}
END_TEST

#define ADD(test, runs) tcase_add_loop_test(tc, test, 0, runs)

int main(void)
{
	Suite *suite = suite_create("rings");
	TCase *tc = tcase_create("rings");

	tcase_set_timeout(tc, 120);
	ADD(requests_flow, ECHO_RUNS);
	ADD(queue_sizes, ECHO_RUNS);
	ADD(index_wraps, ECHO_RUNS);
	ADD(kick_before_enable_is_not_lost, ECHO_RUNS);
	ADD(request_before_start_needs_no_kick, ECHO_RUNS);
	ADD(kick_fd_does_not_disable_the_ring, ECHO_RUNS);
	ADD(without_protocol_features_rings_are_enabled, ECHO_RUNS);
	ADD(enable_honours_num, ECHO_RUNS);
	ADD(enable_before_features, ECHO_RUNS_SPLIT);
	ADD(get_vring_base_stops_and_does_not_reset, ECHO_RUNS);
	ADD(get_vring_base_waits_for_requests, ECHO_RUNS);
	ADD(used_index_is_read_at_each_start, ECHO_RUNS);
	ADD(used_index_need_not_be_the_base, ECHO_RUNS_SPLIT);
	ADD(disabled_ring_set_up_anew, ECHO_RUNS);
	ADD(firmware_then_system_with_other_features, ECHO_RUNS);
	ADD(ring_address_while_it_runs, ECHO_RUNS);
	ADD(device_refuses_to_start_a_queue, ECHO_RUNS);
	ADD(new_call_fd_is_signalled_and_old_one_left_alone, ECHO_RUNS);
	ADD(call_and_err_for_rings_which_never_start, ECHO_RUNS_SPLIT);
	ADD(kick_fd_which_cannot_be_waited_for, ECHO_RUNS);
	ADD(kick_by_a_pipe, ECHO_RUNS);
	ADD(serves_disabled_rings_on_request, ECHO_RUNS);
	suite_add_tcase(suite, tc);
	return tap_main(suite);
}
