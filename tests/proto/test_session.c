/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The state machine of connection, device and rings.
 *
 * Each test runs with the queues on the control worker, on one, and on two workers of
 * their own (the loop index).  Many have the name of what went wrong in other back-ends.
 */
#include <errno.h>
#include <linux/virtio_config.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/resource.h>
#include <unistd.h>

#include "tests/echo.h"
#include "tests/tap.h"
#include "util.h"

#define EVENT_IDX FE_BIT(VIRTIO_RING_F_EVENT_IDX)
#define INDIRECT FE_BIT(VIRTIO_RING_F_INDIRECT_DESC)

/* How long nothing must happen to be taken for "does not happen". */
#define QUIET_MS 30

static bool readable(int fd, int timeout_ms)
{
	struct pollfd p = { fd, POLLIN, 0 };

	return poll(&p, 1, timeout_ms) == 1;
}

/* Add one request without waiting for it. */
static void add_request(struct fe_ring *ring)
{
	struct iovec o = { fe_mem_alloc(ring->mem, 64, 1), 64 };
	struct iovec i = { fe_mem_alloc(ring->mem, 64, 1), 64 };

	ck_assert_int_ge(fe_ring_add(ring, &o, 1, &i, 1, o.iov_base), 0);
	fe_ring_publish(ring);
}

static void get_request(struct fe_ring *ring)
{
	uint32_t len;
	void *cookie;

	ck_assert_int_eq(fe_ring_wait(ring, FE_TIMEOUT_MS), 0);
	ck_assert_int_eq(fe_ring_get(ring, &cookie, &len), 1);
	ck_assert_uint_eq(len, 64);
}

/* Negotiate and set up ring 0, but leave out what comes after its addresses. */
static void setup_ring(struct echo *e, struct echo_rings *r, uint64_t features)
{
	const struct fe_ring_params params = { .size = 16, .features = features };
	struct vu_vring_addr addr;

	memset(r, 0, sizeof(*r));
	r->n = 1;
	ck_assert_int_eq(fe_mem_init(&r->mem, 0, 1 << 20), 0);
	ck_assert_int_eq(fe_ring_init(&r->ring[0], &r->mem, &params), 0);
	ck_assert_int_eq(fe_set_features(&e->fe, features), 0);
	ck_assert_int_eq(fe_start_mem(&e->fe, &r->mem), 0);
	ck_assert_int_eq(fe_set_vring_num(&e->fe, 0, 16), 0);
	ck_assert_int_eq(fe_set_vring_base(&e->fe, 0, 0), 0);
	fe_ring_get_addr(&r->ring[0], &addr);
	ck_assert_int_eq(fe_set_vring_addr(&e->fe, &addr), 0);
	ck_assert_int_eq(fe_set_vring_call(&e->fe, 0, r->ring[0].call_fd), 0);
}

START_TEST(requests_flow)
{
	static const uint64_t features[] = { 0, EVENT_IDX, INDIRECT, EVENT_IDX | INDIRECT };
	struct echo_rings r;
	struct echo e;
	size_t f;
	unsigned int i;

	for (f = 0; f < ARRAY_SIZE(features); f++) {
		echo_start(&e, (unsigned int)_i, 0);
		echo_up(&e, &r, ECHO_QUEUES, 16, features[f]);
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
	static const unsigned int sizes[] = { 1, 2, 128, 256, 1024, 32768 };
	struct echo_rings r;
	struct echo e;
	size_t s;
	unsigned int i;

	for (s = 0; s < ARRAY_SIZE(sizes); s++) {
		echo_start(&e, (unsigned int)_i, 0);
		/* A ring of one entry needs indirect chains for two buffers. */
		echo_up(&e, &r, 1, sizes[s], EVENT_IDX | INDIRECT);
		for (i = 0; i < 2 * MIN(sizes[s], 1024u) + 3; i++)
			echo_check(&r.ring[0], 8);
		echo_down(&e, &r);
		echo_stop(&e);
	}
}
END_TEST

/* proves: split.wrap, ring.base-any, SET_VRING_BASE */
START_TEST(index_wraps_at_65536)
{
	struct echo_rings r;
	struct echo e;
	unsigned int i;

	echo_start(&e, (unsigned int)_i, 0);
	echo_up(&e, &r, 1, 16, EVENT_IDX);
	ck_assert_int_eq(fe_stop(&e.fe, r.list, 1), 0);
	fe_ring_reset(&r.ring[0], 65530);
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

	echo_start(&e, (unsigned int)_i, 0);
	ck_assert_int_eq(fe_negotiate(&e.fe, ~UINT64_C(0), ~UINT64_C(0)), 0);
	setup_ring(&e, &r, FE_BIT(VIRTIO_F_VERSION_1) | FE_BIT(VU_F_PROTOCOL_FEATURES));
	add_request(&r.ring[0]);
	ck_assert_int_eq(fe_set_vring_kick(&e.fe, 0, r.ring[0].kick_fd), 0);
	fe_ring_kick_always(&r.ring[0]);
	ck_assert_int_eq(fe_ring_wait(&r.ring[0], QUIET_MS), -ETIMEDOUT);
	ck_assert_int_eq(fe_set_vring_enable(&e.fe, 0, true), 0);
	get_request(&r.ring[0]);
	echo_down(&e, &r);
	echo_stop(&e);
}
END_TEST

/* proves: ring.check-at-start */
START_TEST(request_before_start_needs_no_kick)
{
	struct echo_rings r;
	struct echo e;

	echo_start(&e, (unsigned int)_i, 0);
	ck_assert_int_eq(fe_negotiate(&e.fe, ~UINT64_C(0), ~UINT64_C(0)), 0);
	setup_ring(&e, &r, FE_BIT(VIRTIO_F_VERSION_1) | FE_BIT(VU_F_PROTOCOL_FEATURES));
	ck_assert_int_eq(fe_set_vring_enable(&e.fe, 0, true), 0);
	add_request(&r.ring[0]);
	ck_assert_int_eq(fe_set_vring_kick(&e.fe, 0, r.ring[0].kick_fd), 0);
	get_request(&r.ring[0]);
	echo_down(&e, &r);
	echo_stop(&e);
}
END_TEST

/* proves: ring.kick-does-not-disable, SET_VRING_KICK */
START_TEST(kick_fd_does_not_disable_the_ring)
{
	struct echo_rings r;
	struct echo e;

	echo_start(&e, (unsigned int)_i, 0);
	echo_up(&e, &r, 1, 16, EVENT_IDX);
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

	echo_start(&e, (unsigned int)_i, 0);
	setup_ring(&e, &r, FE_BIT(VIRTIO_F_VERSION_1));
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

	echo_start(&e, (unsigned int)_i, 0);
	echo_up(&e, &r, 2, 16, 0);
	ck_assert_int_eq(fe_set_vring_enable(&e.fe, 0, false), 0);
	add_request(&r.ring[0]);
	fe_ring_kick_always(&r.ring[0]);
	ck_assert_int_eq(fe_ring_wait(&r.ring[0], QUIET_MS), -ETIMEDOUT);
	echo_check(&r.ring[1], 10);
	ck_assert_int_eq(fe_set_vring_enable(&e.fe, 0, true), 0);
	get_request(&r.ring[0]);
	echo_down(&e, &r);
	echo_stop(&e);
}
END_TEST

/* proves: ring.enable-before-features */
START_TEST(enable_before_features)
{
	struct echo e;

	/* QEMU's virtio-net does that, for rings which may never start. */
	echo_start(&e, (unsigned int)_i, 0);
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
	struct echo e;
	uint32_t base;
	int i;

	echo_start(&e, (unsigned int)_i, 0);
	echo_up(&e, &r, 1, 16, EVENT_IDX);
	for (i = 0; i < 5; i++)
		echo_check(&r.ring[0], 10);
	ck_assert_int_eq(fe_get_vring_base(&e.fe, 0, &base), 0);
	ck_assert_uint_eq(base, 5);
	/* Stopped: nothing is taken. */
	add_request(&r.ring[0]);
	fe_ring_kick_always(&r.ring[0]);
	ck_assert_int_eq(fe_ring_wait(&r.ring[0], QUIET_MS), -ETIMEDOUT);
	/* Asked again it says the same; so does a ring that never ran. */
	ck_assert_int_eq(fe_get_vring_base(&e.fe, 0, &base), 0);
	ck_assert_uint_eq(base, 5);
	ck_assert_int_eq(fe_set_vring_base(&e.fe, 1, 77), 0);
	ck_assert_int_eq(fe_get_vring_base(&e.fe, 1, &base), 0);
	ck_assert_uint_eq(base, 77);
	/* It is still set up and enabled: a kick fd is all it needs. */
	ck_assert_int_eq(fe_set_vring_kick(&e.fe, 0, r.ring[0].kick_fd), 0);
	get_request(&r.ring[0]);
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

	echo_start(&e, (unsigned int)_i, 0);
	echo_up(&e, &r, 2, 16, EVENT_IDX);
	atomic_store(&e.hold, true);
	add_request(&r.ring[0]);
	fe_ring_kick(&r.ring[0]);
	echo_wait(&e.popped, 1);
	send_get_vring_base(&e.fe, 0);
	echo_wait(&e.stops, 1);
	ck_assert(!readable(e.fe.fd, QUIET_MS));
	echo_release(&e, 0);
	ck_assert_int_eq(fe_recv_raw(&e.fe, &reply), 0);
	ck_assert_uint_eq(reply.u.state.num, 1);
	/* It was published, and signalled, before the reply. */
	ck_assert_uint_eq(fe_split_used_idx(&r.ring[0]), 1);
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
	echo_start(&e, (unsigned int)_i, 0);
	echo_up(&e, &r, 1, 16, EVENT_IDX);
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
	echo_start(&e, (unsigned int)_i, 0);
	echo_up(&e, &r, 1, 16, 0);
	for (i = 0; i < 5; i++)
		echo_check(&r.ring[0], 10);
	ck_assert_int_eq(fe_stop(&e.fe, r.list, 1), 0);
	r.ring[0].split.used->idx = 4;
	ck_assert_int_eq(fe_set_vring_base(&e.fe, 0, 5), 0);
	ck_assert_int_eq(fe_set_vring_kick(&e.fe, 0, r.ring[0].kick_fd), 0);
	ck_assert_int_eq(fe_set_vring_enable(&e.fe, 0, true), 0);
	add_request(&r.ring[0]);
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
	echo_start(&e, (unsigned int)_i, 0);
	echo_up(&e, &r, 2, 16, EVENT_IDX);
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

	echo_start(&e, (unsigned int)_i, 0);
	echo_up(&e, &r, 1, 16, 0);
	echo_check(&r.ring[0], 10);
	ck_assert_int_eq(fe_stop(&e.fe, r.list, 1), 0);
	while (r.mem.num && e.fe.mem_regs) {
		ck_assert_int_eq(fe_rem_mem_reg(&e.fe, &r.mem.regions[0]), 0);
		e.fe.mem_regs = 0;
	}
	echo_up(&e, &r2, 3, 256, EVENT_IDX | INDIRECT);
	echo_check(&r2.ring[0], 1000);
	echo_check(&r2.ring[2], 1000);
	echo_down(&e, &r2);
	echo_down(&e, &r);
	echo_stop(&e);
}
END_TEST

/* proves: features.while-running, features.protocol-while-running, ring.setup-while-running */
START_TEST(features_while_rings_run)
{
	struct echo_rings r;
	struct echo e;

	echo_start(&e, (unsigned int)_i, 0);
	echo_up(&e, &r, 1, 16, EVENT_IDX);
	/* QEMU repeats itself. */
	ck_assert_int_eq(fe_set_features(&e.fe, e.fe.features), 0);
	ck_assert_int_eq(fe_set_features(&e.fe, e.fe.features ^ EVENT_IDX), -EIO);
	ck_assert_int_eq(fe_set_protocol_features(&e.fe, e.fe.protocol_features), 0);
	ck_assert_int_eq(fe_set_protocol_features(&e.fe, e.fe.protocol_features ^
						  FE_BIT(VU_PROTOCOL_F_STATUS)), -EIO);
	ck_assert_int_eq(fe_set_vring_num(&e.fe, 0, 32), -EIO);
	ck_assert_int_eq(fe_set_vring_base(&e.fe, 0, 0), -EIO);
	echo_check(&r.ring[0], 10);
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

	echo_start(&e, (unsigned int)_i, 0);
	echo_up(&e, &r, 1, 16, EVENT_IDX);
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

/* proves: features.unoffered, SET_FEATURES */
START_TEST(features_which_were_not_offered)
{
	struct echo e;

	/* Of the device type: QEMU adds some by itself.  Of the ring: never. */
	echo_start(&e, (unsigned int)_i, 0);
	ck_assert_int_eq(fe_negotiate(&e.fe, ~UINT64_C(0), ~UINT64_C(0)), 0);
	ck_assert_int_eq(fe_set_features(&e.fe, e.fe.features | FE_BIT(2)), 0);
	ck_assert_int_eq(fe_set_features(&e.fe, e.fe.features | FE_BIT(VIRTIO_F_ACCESS_PLATFORM)),
			 -EIO);
	ck_assert_int_eq(fe_set_features(&e.fe, e.fe.features | FE_BIT(VIRTIO_F_IN_ORDER)), -EIO);
	echo_stop(&e);
}
END_TEST

/* proves: features.device-refuses, reply.honest */
START_TEST(device_refuses_features)
{
	struct echo e;

	echo_start(&e, (unsigned int)_i, 0);
	ck_assert_int_eq(fe_negotiate(&e.fe, ~UINT64_C(0), ~UINT64_C(0)), 0);
	atomic_store(&e.refuse_features, EINVAL);
	ck_assert_int_eq(fe_set_features(&e.fe, e.fe.features), -EIO);
	atomic_store(&e.refuse_features, 0);
	ck_assert_int_eq(fe_set_features(&e.fe, e.fe.features), 0);
	echo_stop(&e);
}
END_TEST

/* proves: ring.start-refused */
START_TEST(device_refuses_to_start_a_queue)
{
	struct echo_rings r;
	struct echo e;

	echo_start(&e, (unsigned int)_i, 0);
	ck_assert_int_eq(fe_negotiate(&e.fe, ~UINT64_C(0), ~UINT64_C(0)), 0);
	setup_ring(&e, &r, FE_BIT(VIRTIO_F_VERSION_1) | FE_BIT(VU_F_PROTOCOL_FEATURES));
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

	echo_start(&e, (unsigned int)_i, 0);
	echo_up(&e, &r, 1, 16, 0);
	echo_check(&r.ring[0], 10);
	old_fd = r.ring[0].call_fd;
	new_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	fe_ring_signalled(&r.ring[0]);
	ck_assert_int_eq(fe_set_vring_call(&e.fe, 0, new_fd), 0);
	ck_assert(readable(new_fd, FE_TIMEOUT_MS));
	r.ring[0].call_fd = new_fd;
	echo_check(&r.ring[0], 10);
	ck_assert(!readable(old_fd, 0));
	/* None at all: the driver polls. */
	ck_assert_int_eq(fe_set_vring_call(&e.fe, 0, -1), 0);
	fe_ring_signalled(&r.ring[0]);
	r.ring[0].flags |= FE_RING_POLL;
	echo_check(&r.ring[0], 10);
	ck_assert(!readable(new_fd, 0));
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

	echo_start(&e, (unsigned int)_i, 0);
	fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	for (i = 0; i < 20; i++) {
		ck_assert_int_eq(fe_set_vring_call(&e.fe, i % ECHO_QUEUES, fd), 0);
		ck_assert_int_eq(fe_set_vring_err(&e.fe, i % ECHO_QUEUES, fd), 0);
	}
	ck_assert_int_eq(fe_sync(&e.fe), 0);
	ck_assert(!readable(fd, 0));
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

	echo_start(&e, (unsigned int)_i, 0);
	ck_assert_int_eq(fe_negotiate(&e.fe, ~UINT64_C(0), ~UINT64_C(0)), 0);
	setup_ring(&e, &r, FE_BIT(VIRTIO_F_VERSION_1) | FE_BIT(VU_F_PROTOCOL_FEATURES));
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

	echo_start(&e, (unsigned int)_i, 0);
	echo_up(&e, &r, 1, 16, 0);
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

/*
 * proves: session.reset-device, RESET_DEVICE, PROTOCOL_F_RESET_DEVICE, GET_STATUS, SET_STATUS,
 * PROTOCOL_F_STATUS
 */
START_TEST(reset_device_keeps_ownership_and_memory)
{
	struct echo_rings r;
	struct echo e;
	uint8_t status, config;

	echo_start(&e, (unsigned int)_i, 0);
	echo_up(&e, &r, 2, 16, EVENT_IDX);
	echo_check(&r.ring[0], 10);
	ck_assert_int_eq(fe_set_status(&e.fe, 15), 0);
	config = 200;
	ck_assert_int_eq(fe_set_config(&e.fe, 0, &config, 1, VU_CONFIG_WRITABLE), 0);
	ck_assert_int_eq(fe_reset_device(&e.fe), 0);
	ck_assert_uint_eq(atomic_load(&e.resets), 1);
	ck_assert_int_eq(fe_get_status(&e.fe, &status), 0);
	ck_assert_uint_eq(status, 0);
	ck_assert_int_eq(fe_get_config(&e.fe, 0, &config, 1), 0);
	ck_assert_uint_eq(config, 1);
	ck_assert_uint_eq(atomic_load(&e.unmaps), 0);
	fe_ring_reset(&r.ring[0], 0);
	/* Protocol features and memory are still there: features and rings are enough. */
	ck_assert_int_eq(fe_set_features(&e.fe, e.fe.features), 0);
	ck_assert_int_eq(fe_start_ring(&e.fe, &r.ring[0]), 0);
	ck_assert_int_eq(fe_set_vring_enable(&e.fe, 0, true), 0);
	echo_check(&r.ring[0], 10);
	echo_down(&e, &r);
	echo_stop(&e);
}
END_TEST

/* proves: session.reset-owner, RESET_OWNER, SET_OWNER */
START_TEST(reset_owner_is_ignored)
{
	struct echo_rings r;
	struct echo e;

	echo_start(&e, (unsigned int)_i, 0);
	echo_up(&e, &r, 1, 16, EVENT_IDX);
	ck_assert_int_eq(fe_set_owner(&e.fe), 0);
	ck_assert_int_eq(fe_reset_owner(&e.fe), 0);
	echo_check(&r.ring[0], 10);
	echo_down(&e, &r);
	echo_stop(&e);
}
END_TEST

/* proves: config.any-range, config.read-only, GET_CONFIG, SET_CONFIG, PROTOCOL_F_CONFIG */
START_TEST(config_space_in_every_range)
{
	uint8_t buf[VU_CONFIG_MAX];
	uint32_t off, len, i;
	struct echo e;

	echo_start(&e, (unsigned int)_i, 0);
	ck_assert_int_eq(fe_negotiate(&e.fe, ~UINT64_C(0), ~UINT64_C(0)), 0);
	for (off = 0; off <= VU_CONFIG_MAX; off += 1 + off / 24) {
		for (len = 0; len <= VU_CONFIG_MAX - off; len += 1 + len / 24) {
			ck_assert_int_eq(fe_get_config(&e.fe, off, buf, len), 0);
			for (i = 0; i < len; i++)
				ck_assert_uint_eq(buf[i], off + i < ECHO_CONFIG ? off + i + 1 : 0);
		}
	}
	for (off = 0; off < ECHO_CONFIG; off++) {
		for (len = 1; len <= ECHO_CONFIG - off; len++) {
			for (i = 0; i < len; i++)
				buf[i] = (uint8_t)(off + i + 1);
			ck_assert_int_eq(fe_set_config(&e.fe, off, buf, len, VU_CONFIG_WRITABLE),
					 off + len <= 4 ? 0 : -EIO);
		}
	}
	buf[0] = 99;
	ck_assert_int_eq(fe_set_config(&e.fe, 2, buf, 1, VU_CONFIG_MIGRATION), 0);
	ck_assert_int_eq(fe_get_config(&e.fe, 1, buf, 3), 0);
	ck_assert_mem_eq(buf, "\2\143\4", 3);
	echo_stop(&e);
}
END_TEST

static void update_config(void *arg)
{
	ck_assert_int_eq(vhost_dev_update_config(arg, 10, "xyz", 3), 0);
	ck_assert_int_eq(vhost_dev_update_config(arg, ECHO_CONFIG, "x", 1), -EINVAL);
	ck_assert_int_eq(vhost_dev_update_config(arg, UINT32_MAX, "xy", 2), -EINVAL);
}

static void expect_config_change(struct echo *e)
{
	struct fe_msg msg;
	uint8_t buf[3];

	ck_assert_int_eq(fe_backend_recv(&e->fe, &msg), 0);
	ck_assert_uint_eq(msg.hdr.request, VU_BACKEND_CONFIG_CHANGE_MSG);
	ck_assert_uint_eq(msg.hdr.size, 0);
	ck_assert_int_eq(fe_get_config(&e->fe, 10, buf, 3), 0);
	ck_assert_mem_eq(buf, "xyz", 3);
}

/*
 * proves: config.told, backend.suspended, backend.gone, BACKEND_CONFIG_CHANGE_MSG,
 * SET_BACKEND_REQ_FD, PROTOCOL_F_BACKEND_REQ
 */
START_TEST(config_change_is_told)
{
	struct echo_rings r;
	struct echo e;

	echo_start(&e, (unsigned int)_i, 0);
	echo_up(&e, &r, 1, 16, EVENT_IDX);
	vhost_worker_call(e.control, update_config, e.dev);
	expect_config_change(&e);
	/* While all rings are stopped it must wait for a start. */
	ck_assert_int_eq(fe_stop(&e.fe, r.list, 1), 0);
	vhost_worker_call(e.control, update_config, e.dev);
	ck_assert(!readable(e.fe.backend_fd, QUIET_MS));
	ck_assert_int_eq(fe_set_vring_kick(&e.fe, 0, r.ring[0].kick_fd), 0);
	expect_config_change(&e);
	/* A front-end which has hung up that channel does not matter. */
	close(e.fe.backend_fd);
	e.fe.backend_fd = -1;
	vhost_worker_call(e.control, update_config, e.dev);
	ck_assert_int_eq(fe_sync(&e.fe), 0);
	echo_down(&e, &r);
	echo_stop(&e);
}
END_TEST

/* proves: session.disconnect-drains */
START_TEST(disconnect_waits_for_requests)
{
	struct echo_rings r;
	struct echo e;

	echo_start(&e, (unsigned int)_i, 0);
	echo_up(&e, &r, 1, 16, 0);
	atomic_store(&e.hold, true);
	add_request(&r.ring[0]);
	fe_ring_kick(&r.ring[0]);
	echo_wait(&e.popped, 1);
	fe_close(&e.fe);
	echo_wait(&e.stops, 1);
	ck_assert_uint_eq(atomic_load(&e.downs), 0);
	ck_assert_uint_eq(atomic_load(&e.unmaps), 0);
	echo_release(&e, 0);
	echo_wait(&e.downs, 1);
	/* Its memory was ours until then: the request was completed and published. */
	ck_assert_uint_eq(fe_split_used_idx(&r.ring[0]), 1);
	echo_down(&e, &r);
	echo_stop(&e);
}
END_TEST

static void temp_socket(char path[static 64])
{
	snprintf(path, 64, "/tmp/libvhost-test-%d.sock", getpid());
	unlink(path);
}

/* proves: session.reconnect, session.disconnect-drains */
START_TEST(reconnect_with_requests_in_work)
{
	struct echo_rings r, r2;
	char path[64];
	struct echo e;

	temp_socket(path);
	echo_start_listen(&e, (unsigned int)_i, path);
	echo_up(&e, &r, 2, 16, EVENT_IDX);
	atomic_store(&e.hold, true);
	add_request(&r.ring[1]);
	fe_ring_kick(&r.ring[1]);
	echo_wait(&e.popped, 1);
	fe_close(&e.fe);
	/* The next one comes before the last one's requests are done: it waits. */
	ck_assert_int_eq(fe_connect(&e.fe, path), 0);
	echo_wait(&e.stops, 1);
	ck_assert_uint_eq(atomic_load(&e.ups), 1);
	echo_release(&e, 1);
	echo_up(&e, &r2, 2, 16, EVENT_IDX);
	echo_check(&r2.ring[0], 10);
	echo_check(&r2.ring[1], 10);
	ck_assert_uint_eq(atomic_load(&e.ups), 2);
	echo_down(&e, &r2);
	echo_down(&e, &r);
	unlink(path);
	echo_stop(&e);
}
END_TEST

/* proves: session.one-at-a-time */
START_TEST(second_front_end_waits)
{
	uint64_t features;
	struct echo_rings r;
	struct fe second;
	char path[64];
	struct echo e;

	temp_socket(path);
	echo_start_listen(&e, (unsigned int)_i, path);
	echo_up(&e, &r, 1, 16, EVENT_IDX);
	ck_assert_int_eq(fe_connect(&second, path), 0);
	second.timeout_ms = QUIET_MS;
	ck_assert_int_eq(fe_get_features(&second, &features), -ETIMEDOUT);
	echo_check(&r.ring[0], 10);
	fe_close(&e.fe);
	/* The reply to its request, which was there all the time. */
	second.timeout_ms = FE_TIMEOUT_MS;
	ck_assert_int_eq(fe_recv_raw(&second, &(struct fe_msg){ 0 }), 0);
	ck_assert_int_eq(fe_sync(&second), 0);
	fe_close(&second);
	echo_down(&e, &r);
	unlink(path);
	echo_stop(&e);
}
END_TEST

/* proves: session.no-fds */
START_TEST(no_descriptor_left_for_a_front_end)
{
	struct rlimit old, none;
	char path[64];
	struct fe second;
	struct echo e;

	/* It waits until there is one; or the device stops before that. */
	temp_socket(path);
	echo_start_listen(&e, (unsigned int)_i, path);
	ck_assert_int_eq(fe_sync(&e.fe), 0);
	ck_assert_int_eq(fe_connect(&second, path), 0);
	ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &old), 0);
	none = (struct rlimit){ 3, old.rlim_max };
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &none), 0);
	fe_close(&e.fe);
	echo_wait(&e.downs, 1);
	second.timeout_ms = QUIET_MS;
	ck_assert_int_eq(fe_sync(&second), -ETIMEDOUT);
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &old), 0);
	second.timeout_ms = FE_TIMEOUT_MS;
	if (_i)
		ck_assert_int_eq(fe_recv_raw(&second, &(struct fe_msg){ 0 }), 0);
	fe_close(&second);
	unlink(path);
	echo_stop(&e);
}
END_TEST

/* What QEMU sends until a ring runs; a front-end may die behind each. */
static int step(struct echo *e, struct echo_rings *r, int i)
{
	struct vu_vring_addr addr;
	uint32_t base;
	uint64_t u64;

	fe_ring_get_addr(&r->ring[0], &addr);
	switch (i) {
	case 0: return fe_get_features(&e->fe, &u64);
	case 1: return fe_get_protocol_features(&e->fe, &u64);
	case 2: return fe_set_protocol_features(&e->fe, u64 = e->fe.protocol_offered);
	case 3: return fe_get_queue_num(&e->fe, &u64);
	case 4: return fe_get_max_mem_slots(&e->fe, &u64);
	case 5: return fe_set_backend_req_fd(&e->fe);
	case 6: return fe_set_owner(&e->fe);
	case 7: return fe_set_vring_call(&e->fe, 0, r->ring[0].call_fd);
	case 8: return fe_set_vring_err(&e->fe, 0, r->ring[0].err_fd);
	case 9: return fe_set_features(&e->fe, e->fe.offered);
	case 10: return fe_add_mem_reg(&e->fe, &r->mem.regions[0]);
	case 11: return fe_set_vring_num(&e->fe, 0, 16);
	case 12: return fe_set_vring_base(&e->fe, 0, 0);
	case 13: return fe_set_vring_addr(&e->fe, &addr);
	case 14: return fe_set_vring_kick(&e->fe, 0, r->ring[0].kick_fd);
	case 15: return fe_set_vring_enable(&e->fe, 0, true);
	case 16: add_request(&r->ring[0]); fe_ring_kick_always(&r->ring[0]); return 0;
	case 17: return fe_rem_mem_reg(&e->fe, &r->mem.regions[0]);
	case 18: return fe_get_vring_base(&e->fe, 0, &base);
	case 19: return fe_reset_device(&e->fe);
	default: return -ENOENT;
	}
}

/* proves: msg.front-end-gone */
START_TEST(front_end_gone_after_each_message)
{
	const struct fe_ring_params params = { .size = 16, .features = 0 };
	struct echo_rings r;
	char path[64];
	struct echo e;
	int last, i;

	temp_socket(path);
	echo_start_listen(&e, (unsigned int)_i, path);
	for (last = 0; last < 20; last++) {
		ck_assert_int_eq(fe_mem_init(&r.mem, 0, 1 << 20), 0);
		ck_assert_int_eq(fe_ring_init(&r.ring[0], &r.mem, &params), 0);
		r.n = 1;
		for (i = 0; i <= last; i++)
			ck_assert_msg(!step(&e, &r, i), "step %d of %d", i, last);
		fe_close(&e.fe);
		echo_down(&e, &r);
		ck_assert_int_eq(fe_connect(&e.fe, path), 0);
	}
	unlink(path);
	echo_stop(&e);
}
END_TEST

static void stopped(struct vhost_dev *dev, void *arg)
{
	(void)dev;
	atomic_fetch_add((atomic_uint *)arg, 1);
}

struct stop_call {
	struct vhost_dev *dev;
	atomic_uint done;
};

static void call_stop(void *arg)
{
	struct stop_call *call = arg;

	vhost_dev_stop(call->dev, stopped, &call->done);
}

/* proves: session.stop */
START_TEST(stop_waits_for_requests)
{
	struct stop_call call = { 0 };
	struct echo_rings r;
	struct echo e;

	echo_start(&e, (unsigned int)_i, 0);
	echo_up(&e, &r, 1, 16, 0);
	atomic_store(&e.hold, true);
	add_request(&r.ring[0]);
	fe_ring_kick(&r.ring[0]);
	echo_wait(&e.popped, 1);
	call.dev = e.dev;
	vhost_worker_call(e.control, call_stop, &call);
	echo_wait(&e.stops, 1);
	ck_assert_uint_eq(atomic_load(&call.done), 0);
	echo_release(&e, 0);
	echo_wait(&call.done, 1);
	ck_assert_uint_eq(fe_split_used_idx(&r.ring[0]), 1);
	ck_assert_int_eq(fe_wait_closed(&e.fe), 0);
	echo_down(&e, &r);
	echo_stop(&e);
}
END_TEST

/* proves: msg.front-end-stuck */
START_TEST(front_end_which_does_not_read_replies)
{
	const struct vu_header hdr = { VU_GET_FEATURES, VU_VERSION, 0 };
	struct fe_msg reply;
	struct echo e;
	int i, sent = 0;

	/* The device stops reading when it cannot reply, and goes on when it can. */
	echo_start(&e, (unsigned int)_i, 0);
	e.fe.timeout_ms = 200;
	while (sent < 100000 && !fe_send_raw(&e.fe, &hdr, NULL, 0, NULL, 0))
		sent++;
	e.fe.timeout_ms = FE_TIMEOUT_MS;
	ck_assert_int_lt(sent, 100000);
	for (i = 0; i < sent; i++) {
		ck_assert_int_eq(fe_recv_raw(&e.fe, &reply), 0);
		ck_assert_uint_eq(reply.hdr.request, VU_GET_FEATURES);
	}
	echo_stop(&e);
}
END_TEST

/* proves: ring.disabled-served */
START_TEST(serves_disabled_rings_on_request)
{
	struct echo_rings r;
	struct echo e;

	echo_start(&e, (unsigned int)_i, VHOST_DEV_KICK_DISABLED);
	echo_up(&e, &r, 1, 16, 0);
	ck_assert_int_eq(fe_set_vring_enable(&e.fe, 0, false), 0);
	echo_check(&r.ring[0], 10);
	echo_down(&e, &r);
	echo_stop(&e);
}
END_TEST

#define ADD(test) tcase_add_loop_test(tc, test, 0, 3)

int main(void)
{
	Suite *suite = suite_create("session");
	TCase *tc = tcase_create("session");

	tcase_set_timeout(tc, 120);
	ADD(requests_flow);
	ADD(queue_sizes);
	ADD(index_wraps_at_65536);
	ADD(kick_before_enable_is_not_lost);
	ADD(request_before_start_needs_no_kick);
	ADD(kick_fd_does_not_disable_the_ring);
	ADD(without_protocol_features_rings_are_enabled);
	ADD(enable_honours_num);
	ADD(enable_before_features);
	ADD(get_vring_base_stops_and_does_not_reset);
	ADD(get_vring_base_waits_for_requests);
	ADD(used_index_is_read_at_each_start);
	ADD(used_index_need_not_be_the_base);
	ADD(disabled_ring_set_up_anew);
	ADD(firmware_then_system_with_other_features);
	ADD(features_while_rings_run);
	ADD(ring_address_while_it_runs);
	ADD(features_which_were_not_offered);
	ADD(device_refuses_features);
	ADD(device_refuses_to_start_a_queue);
	ADD(new_call_fd_is_signalled_and_old_one_left_alone);
	ADD(call_and_err_for_rings_which_never_start);
	ADD(kick_fd_which_cannot_be_waited_for);
	ADD(kick_by_a_pipe);
	ADD(reset_device_keeps_ownership_and_memory);
	ADD(reset_owner_is_ignored);
	ADD(config_space_in_every_range);
	ADD(config_change_is_told);
	ADD(disconnect_waits_for_requests);
	ADD(reconnect_with_requests_in_work);
	ADD(second_front_end_waits);
	ADD(no_descriptor_left_for_a_front_end);
	ADD(front_end_gone_after_each_message);
	ADD(stop_waits_for_requests);
	ADD(front_end_which_does_not_read_replies);
	ADD(serves_disabled_rings_on_request);
	suite_add_tcase(suite, tc);
	return tap_main(suite);
}
