/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The state machine of connection and device: negotiation, config space, reset, the end.
 *
 * The loop index of each test is as in test_rings.c.  Many have the name of what went wrong in
 * other back-ends.
 */
#include <errno.h>
#include <linux/virtio_config.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <unistd.h>

#include "tests/echo.h"
#include "tests/tap.h"
#include "util.h"

#define EVENT_IDX FE_BIT(VIRTIO_RING_F_EVENT_IDX)
#define INDIRECT FE_BIT(VIRTIO_RING_F_INDIRECT_DESC)
#define WORKERS echo_run_workers(_i)
#define FORMAT echo_run_format(_i)

/* proves: features.while-running, features.protocol-while-running, ring.setup-while-running */
START_TEST(features_while_rings_run)
{
	struct echo_rings r;
	struct echo e;

	echo_start(&e, WORKERS, 0);
	echo_up(&e, &r, 1, 16, EVENT_IDX | FORMAT);
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

/* proves: features.unoffered, SET_FEATURES */
START_TEST(features_which_were_not_offered)
{
	struct echo e;

	/* Of the device type: QEMU adds some by itself.  Of the ring: never. */
	echo_start(&e, WORKERS, 0);
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

	echo_start(&e, WORKERS, 0);
	ck_assert_int_eq(fe_negotiate(&e.fe, ~UINT64_C(0), ~UINT64_C(0)), 0);
	atomic_store(&e.refuse_features, EINVAL);
	ck_assert_int_eq(fe_set_features(&e.fe, e.fe.features), -EIO);
	atomic_store(&e.refuse_features, 0);
	ck_assert_int_eq(fe_set_features(&e.fe, e.fe.features), 0);
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

	echo_start(&e, WORKERS, 0);
	echo_up(&e, &r, 2, 16, EVENT_IDX | FORMAT);
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

	echo_start(&e, WORKERS, 0);
	echo_up(&e, &r, 1, 16, EVENT_IDX | FORMAT);
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

	echo_start(&e, WORKERS, 0);
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

	echo_start(&e, WORKERS, 0);
	echo_up(&e, &r, 1, 16, EVENT_IDX | FORMAT);
	vhost_worker_call(e.control, update_config, e.dev);
	expect_config_change(&e);
	/* While all rings are stopped it must wait for a start. */
	ck_assert_int_eq(fe_stop(&e.fe, r.list, 1), 0);
	vhost_worker_call(e.control, update_config, e.dev);
	ck_assert(!echo_readable(e.fe.backend_fd, ECHO_QUIET_MS));
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

	echo_start(&e, WORKERS, 0);
	echo_up(&e, &r, 1, 16, FORMAT);
	atomic_store(&e.hold, true);
	echo_add(&r.ring[0]);
	fe_ring_kick(&r.ring[0]);
	echo_wait(&e.popped, 1);
	fe_close(&e.fe);
	echo_wait(&e.stops, 1);
	ck_assert_uint_eq(atomic_load(&e.downs), 0);
	ck_assert_uint_eq(atomic_load(&e.unmaps), 0);
	echo_release(&e, 0);
	echo_wait(&e.downs, 1);
	/* Its memory was ours until then: the request was completed and published. */
	ck_assert(fe_ring_ready(&r.ring[0]));
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
	echo_start_listen(&e, WORKERS, path, NULL);
	echo_up(&e, &r, 2, 16, EVENT_IDX | FORMAT);
	atomic_store(&e.hold, true);
	echo_add(&r.ring[1]);
	fe_ring_kick(&r.ring[1]);
	echo_wait(&e.popped, 1);
	fe_close(&e.fe);
	/* The next one comes before the last one's requests are done: it waits. */
	ck_assert_int_eq(fe_connect(&e.fe, path), 0);
	echo_wait(&e.stops, 1);
	ck_assert_uint_eq(atomic_load(&e.ups), 1);
	echo_release(&e, 1);
	echo_up(&e, &r2, 2, 16, EVENT_IDX | FORMAT);
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
	echo_start_listen(&e, WORKERS, path, NULL);
	echo_up(&e, &r, 1, 16, EVENT_IDX | FORMAT);
	ck_assert_int_eq(fe_connect(&second, path), 0);
	second.timeout_ms = ECHO_QUIET_MS;
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
	echo_start_listen(&e, WORKERS, path, NULL);
	ck_assert_int_eq(fe_sync(&e.fe), 0);
	ck_assert_int_eq(fe_connect(&second, path), 0);
	ck_assert_int_eq(getrlimit(RLIMIT_NOFILE, &old), 0);
	none = (struct rlimit){ 3, old.rlim_max };
	ck_assert_int_eq(setrlimit(RLIMIT_NOFILE, &none), 0);
	fe_close(&e.fe);
	echo_wait(&e.downs, 1);
	second.timeout_ms = ECHO_QUIET_MS;
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

/* All that is offered, but of the formats the ring's. */
static uint64_t wanted_features(const struct echo *e, const struct echo_rings *r)
{
	return (e->fe.offered & ~FE_BIT(VIRTIO_F_RING_PACKED)) | r->ring[0].features;
}

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
	case 9: return fe_set_features(&e->fe, wanted_features(e, r));
	case 10: return fe_add_mem_reg(&e->fe, &r->mem.regions[0]);
	case 11: return fe_set_vring_num(&e->fe, 0, 16);
	case 12: return fe_set_vring_base(&e->fe, 0, fe_ring_get_base(&r->ring[0]));
	case 13: return fe_set_vring_addr(&e->fe, &addr);
	case 14: return fe_set_vring_kick(&e->fe, 0, r->ring[0].kick_fd);
	case 15: return fe_set_vring_enable(&e->fe, 0, true);
	case 16: echo_add(&r->ring[0]); fe_ring_kick_always(&r->ring[0]); return 0;
	case 17: return fe_rem_mem_reg(&e->fe, &r->mem.regions[0]);
	case 18: return fe_get_vring_base(&e->fe, 0, &base);
	case 19: return fe_reset_device(&e->fe);
	default: return -ENOENT;
	}
}

/* proves: msg.front-end-gone */
START_TEST(front_end_gone_after_each_message)
{
	const struct fe_ring_params params = { .size = 16, .features = FORMAT };
	struct echo_rings r;
	char path[64];
	struct echo e;
	int last, i;

	temp_socket(path);
	echo_start_listen(&e, WORKERS, path, NULL);
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

	echo_start(&e, WORKERS, 0);
	echo_up(&e, &r, 1, 16, FORMAT);
	atomic_store(&e.hold, true);
	echo_add(&r.ring[0]);
	fe_ring_kick(&r.ring[0]);
	echo_wait(&e.popped, 1);
	call.dev = e.dev;
	vhost_worker_call(e.control, call_stop, &call);
	echo_wait(&e.stops, 1);
	ck_assert_uint_eq(atomic_load(&call.done), 0);
	echo_release(&e, 0);
	echo_wait(&call.done, 1);
	ck_assert(fe_ring_ready(&r.ring[0]));
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
	echo_start(&e, WORKERS, 0);
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

#define ADD(test, runs) tcase_add_loop_test(tc, test, 0, runs)

int main(void)
{
	Suite *suite = suite_create("session");
	TCase *tc = tcase_create("session");

	tcase_set_timeout(tc, 120);
	ADD(features_while_rings_run, ECHO_RUNS);
	ADD(features_which_were_not_offered, ECHO_RUNS_SPLIT);
	ADD(device_refuses_features, ECHO_RUNS_SPLIT);
	ADD(reset_device_keeps_ownership_and_memory, ECHO_RUNS);
	ADD(reset_owner_is_ignored, ECHO_RUNS);
	ADD(config_space_in_every_range, ECHO_RUNS_SPLIT);
	ADD(config_change_is_told, ECHO_RUNS);
	ADD(disconnect_waits_for_requests, ECHO_RUNS);
	ADD(reconnect_with_requests_in_work, ECHO_RUNS);
	ADD(second_front_end_waits, ECHO_RUNS);
	ADD(no_descriptor_left_for_a_front_end, ECHO_RUNS_SPLIT);
	ADD(front_end_gone_after_each_message, ECHO_RUNS);
	ADD(stop_waits_for_requests, ECHO_RUNS);
	ADD(front_end_which_does_not_read_replies, ECHO_RUNS_SPLIT);
	suite_add_tcase(suite, tc);
	return tap_main(suite);
}
