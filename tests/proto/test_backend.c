/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The back-end channel: what the device says to the front-end, and the answers.
 *
 * Each test runs with 0, 1 and 2 workers for the queues, with split and with packed rings.
 */
#include <errno.h>
#include <linux/virtio_config.h>
#include <string.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include "frontend/fe_backend.h"
#include "tests/echo.h"
#include "tests/tap.h"
#include "util.h"

#define ALL ~UINT64_C(0)
#define PAGE 4096u
#define NOTHING 4711

static const uint8_t uuid[16] = { 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15, 16 };
static const uint64_t shmem[] = { 16 * PAGE, 0 };

static int on_object(struct vhost_dev *dev, const uint8_t id[16])
{
	(void)dev, (void)id;
	return -ENOENT;
}

static void talkative(struct vhost_dev_ops *ops, struct vhost_dev_params *params)
{
	ops->shared_object = on_object;
	params->shmem_sizes = shmem;
	params->shmem_count = ARRAY_SIZE(shmem);
	params->flags = VHOST_DEV_HOST_NOTIFIER;
}

static void start(struct echo *e, int run)
{
	echo_start_tweaked(e, echo_run_workers(run), talkative);
}

static void up(struct echo *e, struct echo_rings *r, int run)
{
	start(e, run);
	echo_up(e, r, 1, 16, echo_run_format(run));
}

static void down(struct echo *e, struct echo_rings *r)
{
	echo_down(e, r);
	echo_stop(e);
}

/*
 * What the device says, on its control worker
 */

enum what { ADD, REMOVE, LOOKUP, MAP, UNMAP, NOTIFIER, NOTIFIER_OFF, CONFIG, WHATS };

static const uint32_t requests[WHATS] = {
	[ADD] = VU_BACKEND_SHARED_OBJECT_ADD,
	[REMOVE] = VU_BACKEND_SHARED_OBJECT_REMOVE,
	[LOOKUP] = VU_BACKEND_SHARED_OBJECT_LOOKUP,
	[MAP] = VU_BACKEND_SHMEM_MAP,
	[UNMAP] = VU_BACKEND_SHMEM_UNMAP,
	[NOTIFIER] = VU_BACKEND_VRING_HOST_NOTIFIER_MSG,
	[NOTIFIER_OFF] = VU_BACKEND_VRING_HOST_NOTIFIER_MSG,
	[CONFIG] = VU_BACKEND_CONFIG_CHANGE_MSG,
};

struct say {
	struct echo *e;
	enum what what;
	struct vhost_shmem_map map;
	uint64_t offset;		/* NOTIFIER */
	int ret;			/* of the call */
	atomic_int result;		/* what done was told; NOTHING: not yet */
	atomic_uint dones;
	atomic_int again;		/* 1: done says it once more, and its return value is here */
};

static void say_done(void *arg, int result)
{
	struct say *s = arg;

	if (atomic_load(&s->again) == 1)
		atomic_store(&s->again, vhost_dev_shared_object_lookup(s->e->dev, uuid, say_done,
								       s));
	atomic_store(&s->result, result);
	atomic_fetch_add(&s->dones, 1);
}

static int say_it(struct say *s)
{
	struct vhost_dev *dev = s->e->dev;
	const uint8_t byte = 42;

	switch (s->what) {
	case ADD:
		return vhost_dev_shared_object_add(dev, uuid);
	case REMOVE:
		return vhost_dev_shared_object_remove(dev, uuid);
	case LOOKUP:
		return vhost_dev_shared_object_lookup(dev, uuid, say_done, s);
	case MAP:
		return vhost_dev_shmem_map(dev, &s->map, say_done, s);
	case UNMAP:
		return vhost_dev_shmem_unmap(dev, &s->map, say_done, s);
	case NOTIFIER:
		return vhost_dev_host_notifier(dev, 1, s->map.fd, s->offset);
	case NOTIFIER_OFF:
		return vhost_dev_host_notifier(dev, 1, -1, 0);
	default:
		return vhost_dev_update_config(dev, 8, &byte, 1);
	}
}

static void say_call(void *arg)
{
	struct say *s = arg;

	s->ret = say_it(s);
	/* Never from within. */
	ck_assert_int_eq(atomic_load(&s->result), NOTHING);
}

static int say(struct echo *e, struct say *s, enum what what)
{
	int fd = eventfd(3, EFD_CLOEXEC);

	*s = (struct say){
		.e = e, .what = what, .map = { .writable = true, .fd = fd, .offset = PAGE,
					       .fd_offset = 5 * PAGE, .len = 2 * PAGE },
		.offset = PAGE, .result = NOTHING, .again = NOTHING,
	};
	vhost_worker_call(e->control, say_call, s);
	close(fd);
	return s->ret;
}

static void expect(struct echo *e, enum what what, struct fe_msg *msg)
{
	ck_assert_int_eq(fe_backend_expect(&e->fe, requests[what], msg, FE_TIMEOUT_MS), 0);
	if (what == MAP) {
		ck_assert_uint_eq(msg->u.mmap.shmid, 0);
		ck_assert_uint_eq(msg->u.mmap.fd_offset, 5 * PAGE);
		ck_assert_uint_eq(msg->u.mmap.shm_offset, PAGE);
		ck_assert_uint_eq(msg->u.mmap.len, 2 * PAGE);
		ck_assert_uint_eq(msg->u.mmap.flags, VU_MMAP_F_RW);
	} else if (what == NOTIFIER || what == NOTIFIER_OFF) {
		ck_assert_uint_eq(msg->u.area.u64, what == NOTIFIER ? 1 : 1 | VU_VRING_NOFD);
		ck_assert_uint_eq(msg->u.area.size, (uint64_t)sysconf(_SC_PAGESIZE));
	} else if (what <= LOOKUP) {
		ck_assert_mem_eq(msg->u.shared.uuid, uuid, 16);
	}
	ck_assert_uint_eq(msg->nfds, what == MAP || what == NOTIFIER);
}

static bool has_done(enum what what)
{
	return what == LOOKUP || what == MAP || what == UNMAP;
}

/*
 * proves: backend.no-wait, backend.answers, BACKEND_CONFIG_CHANGE_MSG,
 * BACKEND_VRING_HOST_NOTIFIER_MSG, BACKEND_SHARED_OBJECT_ADD, BACKEND_SHARED_OBJECT_REMOVE,
 * BACKEND_SHARED_OBJECT_LOOKUP, BACKEND_SHMEM_MAP, BACKEND_SHMEM_UNMAP,
 * PROTOCOL_F_BACKEND_SEND_FD, PROTOCOL_F_HOST_NOTIFIER, PROTOCOL_F_SHARED_OBJECT,
 * PROTOCOL_F_SHMEM
 */
START_TEST(each_message_and_its_answer)
{
	struct echo_rings r;
	struct fe_msg msg;
	struct say s;
	struct echo e;
	enum what what;

	up(&e, &r, _i);
	for (what = 0; what < WHATS; what++) {
		int fd = eventfd(9, EFD_CLOEXEC);

		ck_assert_int_eq(say(&e, &s, what), 0);
		expect(&e, what, &msg);
		fe_msg_close(&msg);
		/* Who does not wait does not ask. */
		ck_assert_uint_eq(fe_backend_wants_reply(&msg), has_done(what));
		ck_assert_uint_eq(atomic_load(&s.dones), 0);
		if (what == LOOKUP)
			ck_assert_int_eq(fe_backend_reply_fd(&e.fe, &msg, 0, fd), 0);
		else
			ck_assert_int_eq(fe_backend_reply(&e.fe, &msg, 0), 0);
		close(fd);
		if (!has_done(what))
			continue;
		echo_wait(&s.dones, 1);
		if (what == LOOKUP)
			ck_assert_int_eq(close(atomic_load(&s.result)), 0);
		else
			ck_assert_int_eq(atomic_load(&s.result), 0);
	}
	down(&e, &r);
}
END_TEST

/* proves: backend.answers */
START_TEST(refusals)
{
	struct echo_rings r;
	struct fe_msg msg;
	struct say s;
	struct echo e;

	up(&e, &r, _i);
	ck_assert_int_eq(say(&e, &s, UNMAP), 0);
	expect(&e, UNMAP, &msg);
	ck_assert_int_eq(fe_backend_reply(&e.fe, &msg, 1), 0);
	echo_wait(&s.dones, 1);
	ck_assert_int_eq(atomic_load(&s.result), -EIO);
	ck_assert_int_eq(say(&e, &s, LOOKUP), 0);
	expect(&e, LOOKUP, &msg);
	/* The callback says more. */
	atomic_store(&s.again, 1);
	ck_assert_int_eq(fe_backend_reply(&e.fe, &msg, 1), 0);
	echo_wait(&s.dones, 1);
	ck_assert_int_eq(atomic_load(&s.result), -ENOENT);
	ck_assert_int_eq(atomic_load(&s.again), 0);
	expect(&e, LOOKUP, &msg);
	/* An object without its fd. */
	ck_assert_int_eq(fe_backend_reply(&e.fe, &msg, 0), 0);
	echo_wait(&s.dones, 2);
	ck_assert_int_eq(atomic_load(&s.result), -ENOENT);
	down(&e, &r);
}
END_TEST

/* proves: backend.answers */
START_TEST(answers_in_order)
{
	struct say s[5];
	struct echo_rings r;
	struct fe_msg msg[5];
	struct echo e;
	unsigned int i;

	up(&e, &r, _i);
	for (i = 0; i < 5; i++)
		ck_assert_int_eq(say(&e, &s[i], i % 2 ? ADD : UNMAP), 0);
	for (i = 0; i < 5; i++)
		expect(&e, i % 2 ? ADD : UNMAP, &msg[i]);
	for (i = 0; i < 5; i += 2) {
		ck_assert_int_eq(fe_backend_reply(&e.fe, &msg[i], i == 2), 0);
		echo_wait(&s[i].dones, 1);
		ck_assert_int_eq(atomic_load(&s[i].result), i == 2 ? -EIO : 0);
	}
	down(&e, &r);
}
END_TEST

/* proves: backend.answers */
START_TEST(without_acknowledgements)
{
	struct echo_rings r;
	struct fe_msg msg;
	struct say s;
	struct echo e;

	start(&e, _i);
	e.fe.timeout_ms = FE_TIMEOUT_MS;
	ck_assert_int_eq(fe_negotiate(&e.fe, FE_BIT(VU_F_PROTOCOL_FEATURES) |
				      FE_BIT(VIRTIO_F_VERSION_1) | echo_run_format(_i),
				      ALL & ~FE_BIT(VU_PROTOCOL_F_REPLY_ACK)), 0);
	echo_setup(&e, &r, e.fe.features);
	ck_assert_int_eq(fe_set_vring_base(&e.fe, 0, echo_run_format(_i) ? FE_PACKED_BASE : 0), 0);
	ck_assert_int_eq(fe_set_vring_kick(&e.fe, 0, r.ring[0].kick_fd), 0);
	ck_assert_int_eq(fe_sync(&e.fe), 0);
	ck_assert_int_eq(say(&e, &s, UNMAP), 0);
	expect(&e, UNMAP, &msg);
	ck_assert(!fe_backend_wants_reply(&msg));
	echo_wait(&s.dones, 1);
	ck_assert_int_eq(atomic_load(&s.result), 0);
	/* A lookup is answered nevertheless. */
	ck_assert_int_eq(say(&e, &s, LOOKUP), 0);
	expect(&e, LOOKUP, &msg);
	ck_assert_uint_eq(atomic_load(&s.dones), 0);
	ck_assert_int_eq(fe_backend_reply(&e.fe, &msg, 1), 0);
	echo_wait(&s.dones, 1);
	down(&e, &r);
}
END_TEST

/*
 * proves: backend.gate, PROTOCOL_F_BACKEND_SEND_FD, PROTOCOL_F_HOST_NOTIFIER,
 * PROTOCOL_F_SHARED_OBJECT, PROTOCOL_F_SHMEM
 */
START_TEST(gates)
{
	static const uint32_t gate[] = {
		[ADD] = VU_PROTOCOL_F_SHARED_OBJECT, [REMOVE] = VU_PROTOCOL_F_SHARED_OBJECT,
		[LOOKUP] = VU_PROTOCOL_F_SHARED_OBJECT, [MAP] = VU_PROTOCOL_F_SHMEM,
		[UNMAP] = VU_PROTOCOL_F_SHMEM, [NOTIFIER] = VU_PROTOCOL_F_HOST_NOTIFIER,
	};
	struct say s;
	struct echo e;
	enum what what;

	start(&e, _i);
	/* Nobody is connected who would have said anything; then one gate after the other. */
	for (what = 0; what <= NOTIFIER; what++)
		ck_assert_int_eq(say(&e, &s, what), -ENOTCONN);
	ck_assert_int_eq(fe_negotiate(&e.fe, ALL, ALL), 0);
	for (what = 0; what <= NOTIFIER; what++) {
		uint64_t f = e.fe.protocol_features;

		ck_assert_int_eq(fe_set_protocol_features(&e.fe, f & ~FE_BIT(gate[what])), 0);
		ck_assert_int_eq(say(&e, &s, what), -ENOTCONN);
		ck_assert_int_eq(fe_set_protocol_features(&e.fe, f), 0);
	}
	ck_assert_int_eq(fe_set_protocol_features(&e.fe, e.fe.protocol_features &
			 ~FE_BIT(VU_PROTOCOL_F_BACKEND_SEND_FD)), 0);
	ck_assert_int_eq(say(&e, &s, MAP), -ENOTCONN);
	ck_assert_int_eq(say(&e, &s, NOTIFIER), -ENOTCONN);
	echo_stop(&e);
}
END_TEST

static void say_map_call(void *arg)
{
	struct say *s = arg;

	s->ret = vhost_dev_shmem_map(s->e->dev, &s->map, say_done, s);
}

/* proves: BACKEND_SHMEM_MAP */
START_TEST(bad_ranges)
{
	static const struct vhost_shmem_map bad[] = {
		{ .id = 0, .offset = 0, .len = 0 },
		{ .id = 0, .offset = 16 * PAGE, .len = PAGE },
		{ .id = 0, .offset = 0, .len = 17 * PAGE },
		{ .id = 0, .offset = UINT64_MAX, .len = 2 },
		{ .id = 0, .fd_offset = UINT64_MAX, .len = PAGE },
		{ .id = 0, .fd = -1, .len = PAGE },
		{ .id = 1, .len = PAGE },
		{ .id = 2, .len = PAGE },
	};
	struct echo_rings r;
	struct say s;
	struct echo e;
	size_t i;

	up(&e, &r, _i);
	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		s = (struct say){ .e = &e, .map = bad[i] };
		vhost_worker_call(e.control, say_map_call, &s);
		ck_assert_msg(s.ret == -EINVAL, "range %zu", i);
	}
	ck_assert(!echo_readable(e.fe.backend_fd, 0));
	down(&e, &r);
}
END_TEST

/* A device which is suspended is silent. */
/* proves: backend.suspended, session.reset-device */
START_TEST(silent_while_no_ring_runs)
{
	struct echo_rings r;
	struct fe_msg msg;
	struct say map, config, lookup;
	struct echo e;

	up(&e, &r, _i);
	ck_assert_int_eq(fe_stop(&e.fe, r.list, 1), 0);
	ck_assert_int_eq(say(&e, &map, MAP), 0);
	ck_assert_int_eq(say(&e, &config, CONFIG), 0);
	ck_assert_int_eq(fe_sync(&e.fe), 0);
	ck_assert(!echo_readable(e.fe.backend_fd, ECHO_QUIET_MS));
	ck_assert_int_eq(fe_start(&e.fe, &r.mem, r.list, 1), 0);
	/* In the order in which they can go; the config space is noted, not queued. */
	ck_assert_int_eq(fe_backend_receive(&e.fe, &msg, FE_TIMEOUT_MS), 0);
	ck_assert_uint_eq(msg.hdr.request, VU_BACKEND_SHMEM_MAP);
	fe_msg_close(&msg);
	ck_assert_int_eq(fe_backend_reply(&e.fe, &msg, 0), 0);
	expect(&e, CONFIG, &msg);
	echo_wait(&map.dones, 1);
	/* A reset drops what was not sent. */
	ck_assert_int_eq(fe_stop(&e.fe, r.list, 1), 0);
	ck_assert_int_eq(say(&e, &lookup, LOOKUP), 0);
	ck_assert_int_eq(fe_reset_device(&e.fe), 0);
	echo_wait(&lookup.dones, 1);
	ck_assert_int_eq(atomic_load(&lookup.result), -ECANCELED);
	down(&e, &r);
}
END_TEST

/* proves: backend.gone */
START_TEST(channel_ends)
{
	struct echo_rings r;
	struct say s, later;
	struct fe_msg msg;
	struct echo e;

	up(&e, &r, _i);
	ck_assert_int_eq(say(&e, &s, LOOKUP), 0);
	expect(&e, LOOKUP, &msg);
	atomic_store(&s.again, 1);
	close(e.fe.backend_fd);
	e.fe.backend_fd = -1;
	echo_wait(&s.dones, 1);
	ck_assert_int_eq(atomic_load(&s.result), -ECONNRESET);
	ck_assert_int_eq(atomic_load(&s.again), -ENOTCONN);
	ck_assert_int_eq(say(&e, &later, ADD), -ENOTCONN);
	/* The session goes on, and can have another one. */
	echo_check(&r.ring[0], 10);
	ck_assert_int_eq(fe_set_backend_req_fd(&e.fe), 0);
	ck_assert_int_eq(say(&e, &later, ADD), 0);
	expect(&e, ADD, &msg);
	down(&e, &r);
}
END_TEST

/* proves: backend.replaced */
START_TEST(channel_replaced)
{
	struct echo_rings r;
	struct say s;
	struct fe_msg msg;
	struct echo e;

	up(&e, &r, _i);
	ck_assert_int_eq(say(&e, &s, LOOKUP), 0);
	atomic_store(&s.again, 1);
	ck_assert_int_eq(fe_set_backend_req_fd(&e.fe), 0);
	echo_wait(&s.dones, 1);
	ck_assert_int_eq(atomic_load(&s.result), -ECONNRESET);
	/* What the callback says goes to the new one. */
	ck_assert_int_eq(atomic_load(&s.again), 0);
	expect(&e, LOOKUP, &msg);
	ck_assert_int_eq(fe_backend_reply(&e.fe, &msg, 1), 0);
	echo_wait(&s.dones, 2);
	ck_assert_int_eq(atomic_load(&s.result), -ENOENT);
	down(&e, &r);
}
END_TEST

/* proves: msg.front-end-gone */
START_TEST(connection_ends)
{
	struct echo_rings r;
	struct say s;
	struct echo e;

	up(&e, &r, _i);
	ck_assert_int_eq(say(&e, &s, MAP), 0);
	echo_down(&e, &r);
	echo_stop(&e);
	ck_assert_uint_eq(atomic_load(&s.dones), 1);
	ck_assert_int_eq(atomic_load(&s.result), -ECONNRESET);
}
END_TEST

/* Answers which are none.  Each costs the channel, not the session. */
/* proves: backend.answers, backend.gone */
START_TEST(bad_answers)
{
	static const struct { struct vu_header hdr; uint32_t len; int fds; } bad[] = {
		{ { VU_BACKEND_SHMEM_MAP, 1 | VU_REPLY, 8 }, 8, 0 },	/* to another message */
		{ { VU_BACKEND_SHMEM_UNMAP, 1, 8 }, 8, 0 },		/* no answer */
		{ { VU_BACKEND_SHMEM_UNMAP, 2 | VU_REPLY, 8 }, 8, 0 },
		{ { VU_BACKEND_SHMEM_UNMAP, 1 | VU_REPLY | VU_NEED_REPLY, 8 }, 8, 0 },
		{ { VU_BACKEND_SHMEM_UNMAP, 1 | VU_REPLY | 16, 8 }, 8, 0 },
		{ { VU_BACKEND_SHMEM_UNMAP, 1 | VU_REPLY, 4 }, 4, 0 },
		{ { VU_BACKEND_SHMEM_UNMAP, 1 | VU_REPLY, 16 }, 16, 0 },
		{ { VU_BACKEND_SHMEM_UNMAP, 1 | VU_REPLY, 0 }, 0, 0 },
		{ { VU_BACKEND_SHMEM_UNMAP, 1 | VU_REPLY, UINT32_MAX }, 8, 0 },
		{ { VU_BACKEND_SHMEM_UNMAP, 1 | VU_REPLY, 8 }, 8, 1 },	/* an fd */
		{ { 0, 1 | VU_REPLY, 8 }, 8, 0 },
	};
	uint8_t payload[16] = { 0 };
	struct echo_rings r;
	struct fe_msg msg;
	struct say s;
	struct echo e;
	size_t i;

	up(&e, &r, _i);
	for (i = 0; i < ARRAY_SIZE(bad); i++) {
		struct fe channel = { .fd = e.fe.backend_fd, .timeout_ms = FE_TIMEOUT_MS };

		ck_assert_int_eq(say(&e, &s, UNMAP), 0);
		expect(&e, UNMAP, &msg);
		ck_assert_int_eq(fe_send_raw(&channel, &bad[i].hdr, payload, bad[i].len,
					     &r.ring[0].call_fd, (unsigned int)bad[i].fds), 0);
		echo_wait(&s.dones, 1);
		ck_assert_msg(atomic_load(&s.result) == -ECONNRESET, "answer %zu", i);
		ck_assert_int_eq(fe_wait_closed(&channel), 0);
		echo_check(&r.ring[0], 10);
		ck_assert_int_eq(fe_set_backend_req_fd(&e.fe), 0);
	}
	/* An answer to nothing at all. */
	{
		const struct vu_header hdr = { VU_BACKEND_SHMEM_UNMAP, 1 | VU_REPLY, 8 };
		struct fe channel = { .fd = e.fe.backend_fd, .timeout_ms = FE_TIMEOUT_MS };

		ck_assert_int_eq(fe_send_raw(&channel, &hdr, payload, 8, NULL, 0), 0);
		ck_assert_int_eq(fe_wait_closed(&channel), 0);
	}
	down(&e, &r);
}
END_TEST

/* A front-end which does not read costs a bounded queue, and the control worker goes on. */
/* proves: backend.bounded, backend.no-wait */
START_TEST(front_end_does_not_read)
{
	static struct say s[1000];
	struct echo_rings r;
	struct fe_msg msg;
	struct say config;
	struct echo e;
	unsigned int n, i, configs = 0;

	up(&e, &r, _i);
	for (n = 0; n < ARRAY_SIZE(s) && !say(&e, &s[n], MAP); n++)
		;
	ck_assert_int_eq(s[n].ret, -EAGAIN);
	ck_assert_uint_ge(n, 16);
	for (i = 0; i < 100; i++)
		ck_assert_int_eq(say(&e, &config, CONFIG), 0);
	echo_check(&r.ring[0], 10);
	for (i = 0; i < n + 1; i++) {
		ck_assert_int_eq(fe_backend_receive(&e.fe, &msg, FE_TIMEOUT_MS), 0);
		configs += msg.hdr.request == VU_BACKEND_CONFIG_CHANGE_MSG;
		fe_msg_close(&msg);
		ck_assert_int_eq(fe_backend_reply(&e.fe, &msg, 0), 0);
	}
	for (i = 0; i < n; i++) {
		echo_wait(&s[i].dones, 1);
		ck_assert_int_eq(atomic_load(&s[i].result), 0);
	}
	/* A hundred changes, of which one tells. */
	ck_assert_uint_eq(configs, 1);
	ck_assert(!echo_readable(e.fe.backend_fd, 0));
	down(&e, &r);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		each_message_and_its_answer, refusals, answers_in_order, without_acknowledgements,
		gates, bad_ranges, silent_while_no_ring_runs, channel_ends, channel_replaced,
		connection_ends, bad_answers, front_end_does_not_read,
	};
	Suite *s = suite_create("backend");
	TCase *tc = tcase_create("backend");
	size_t i;

	tcase_set_timeout(tc, 60);
	for (i = 0; i < ARRAY_SIZE(tests); i++)
		tcase_add_loop_test(tc, tests[i], 0, ECHO_RUNS);
	suite_add_tcase(s, tc);
	return tap_main(s);
}
