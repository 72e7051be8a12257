/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a device sees of its requests, and how often driver and device notify each other.
 *
 * Numbers of notifications are exact: they count what a round does, not how fast it is.
 */
#include <linux/virtio_config.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <time.h>
#include <unistd.h>

#include "frontend/fe_backend.h"
#include "iov.h"
#include "tests/echo.h"
#include "tests/tap.h"
#include "util.h"

#define EVENT_IDX FE_BIT(VIRTIO_RING_F_EVENT_IDX)
#define INDIRECT FE_BIT(VIRTIO_RING_F_INDIRECT_DESC)
#define WORKERS echo_run_workers(_i)
#define FORMAT echo_run_format(_i)
/* Those which run twice as often. */
#define EVENT_IDX_TOO (_i < ECHO_RUNS ? 0 : EVENT_IDX)

static void add(struct fe_ring *ring, unsigned int n)
{
	while (n--) {
		struct iovec o = { fe_mem_alloc(ring->mem, 16, 1), 16 };
		struct iovec i = { fe_mem_alloc(ring->mem, 16, 1), 16 };

		ck_assert_int_ge(fe_ring_add(ring, &o, 1, &i, 1, ring), 0);
	}
}

static void get(struct fe_ring *ring, unsigned int n)
{
	uint32_t len;
	void *cookie;

	while (n--) {
		ck_assert_int_eq(fe_ring_wait(ring, FE_TIMEOUT_MS), 0);
		ck_assert_int_eq(fe_ring_get(ring, &cookie, &len), 1);
		ck_assert_uint_eq(len, 16);
	}
}

/* proves: queue.one-signal, split.avail-event, packed.kick, VIRTIO_F_EVENT_IDX */
START_TEST(one_kick_and_one_signal_for_a_batch)
{
	struct vhost_queue_stats before, after;
	struct echo_rings r;
	struct echo e;
	int round;

	echo_start(&e, WORKERS, 0);
	echo_up(&e, &r, 1, 64, EVENT_IDX_TOO | FORMAT);
	add(&r.ring[0], 1);
	fe_ring_submit(&r.ring[0]);
	get(&r.ring[0], 1);
	for (round = 0; round < 50; round++) {
		uint64_t kicks = r.ring[0].stats.kicks;

		echo_stats(&e, 0, &before);
		/* The driver wants to know when all are done: that is one signal. */
		add(&r.ring[0], 20);
		fe_ring_submit(&r.ring[0]);
		echo_wait(&e.pushed, 1 + 20 * ((unsigned int)round + 1));
		get(&r.ring[0], 20);
		echo_stats(&e, 0, &after);
		ck_assert_uint_eq(r.ring[0].stats.kicks - kicks, 1);
		ck_assert_uint_eq(after.kicks - before.kicks, 1);
		ck_assert_uint_eq(after.requests - before.requests, 20);
		ck_assert_uint_le(after.signals - before.signals, 1);
	}
	echo_down(&e, &r);
	echo_stop(&e);
}
END_TEST

/*
 * proves: queue.suppressed, split.interrupt, split.used-event, packed.interrupt,
 * VIRTIO_F_EVENT_IDX
 */
START_TEST(no_signal_for_a_driver_which_polls)
{
	struct vhost_queue_stats before, after;
	struct echo_rings r;
	struct echo e;
	int i;

	echo_start(&e, WORKERS, 0);
	echo_up(&e, &r, 1, 64, EVENT_IDX_TOO | FORMAT);
	/* The first one after a start is always signalled. */
	add(&r.ring[0], 1);
	fe_ring_submit(&r.ring[0]);
	get(&r.ring[0], 1);
	fe_ring_irq_off(&r.ring[0]);
	r.ring[0].flags |= FE_RING_POLL;
	echo_stats(&e, 0, &before);
	for (i = 0; i < 100; i++) {
		add(&r.ring[0], 1);
		fe_ring_submit(&r.ring[0]);
		get(&r.ring[0], 1);
	}
	echo_stats(&e, 0, &after);
	ck_assert_uint_eq(after.signals, before.signals);
	ck_assert_uint_ge(after.suppressed - before.suppressed, 1);
	echo_down(&e, &r);
	echo_stop(&e);
}
END_TEST

/* proves: queue.one-signal */
START_TEST(completions_of_one_round_are_one_signal)
{
	struct vhost_queue_stats before, after;
	struct echo_rings r;
	struct echo e;

	echo_start(&e, WORKERS, 0);
	echo_up(&e, &r, 1, 64, FORMAT);
	atomic_store(&e.hold, true);
	add(&r.ring[0], 30);
	fe_ring_submit(&r.ring[0]);
	echo_wait(&e.popped, 30);
	echo_stats(&e, 0, &before);
	echo_release(&e, 0);
	get(&r.ring[0], 30);
	echo_stats(&e, 0, &after);
	ck_assert_uint_eq(after.signals - before.signals, 1);
	echo_down(&e, &r);
	echo_stop(&e);
}
END_TEST

/* A request of one byte, with room for an answer. */
static void add_byte(struct echo_rings *r, unsigned int value, size_t room)
{
	uint8_t *out = fe_mem_alloc(&r->mem, 1, 1);
	struct iovec o = { out, 1 }, in = { fe_mem_alloc(&r->mem, room, 1), room };

	*out = (uint8_t)value;
	ck_assert_int_ge(fe_ring_add(&r->ring[0], &o, 1, &in, 1, out), 0);
}

/* The byte of the next one which is done, and the length of its answer. */
static unsigned int get_byte(struct echo_rings *r, uint32_t *len)
{
	void *cookie;

	ck_assert_int_eq(fe_ring_wait(&r->ring[0], FE_TIMEOUT_MS), 0);
	ck_assert_int_eq(fe_ring_get(&r->ring[0], &cookie, len), 1);
	return *(uint8_t *)cookie;
}

/* Takes ten and gives them back together, with lengths and then without. */
static void kick_together(struct vhost_queue *q)
{
	struct vhost_req *reqs[10];
	size_t lens[ARRAY_SIZE(reqs)];
	unsigned int n = vhost_queue_pop(q, reqs, ARRAY_SIZE(reqs)), i;

	for (i = 0; i < n; i++)
		lens[i] = 2 * i;
	vhost_queue_push(q, reqs, n && *(const uint8_t *)reqs[0]->out[0].iov_base ? lens : NULL, n);
	ck_assert_uint_eq(vhost_queue_outstanding(q), 0);
	if (n)
		vhost_queue_again(q);
}

/* Each of them has what it was given, at most its room of 16; in order or not. */
START_TEST(pushed_together)
{
	const unsigned int flags = _i < ECHO_RUNS ? 0 : VHOST_DEV_IN_ORDER;
	struct vhost_queue_stats stats;
	struct echo_rings r;
	struct echo e;
	uint32_t len;
	unsigned int i;

	echo_start_as(&e, WORKERS, flags, kick_together);
	echo_up(&e, &r, 1, 128, FORMAT | (flags ? FE_BIT(VIRTIO_F_IN_ORDER) : 0));
	/* The first of each ten says how. */
	for (i = 0; i < 40; i++)
		add_byte(&r, i / 10 % 2, 16);
	fe_ring_submit(&r.ring[0]);
	for (i = 0; i < 40; i++) {
		ck_assert_uint_eq(get_byte(&r, &len), i / 10 % 2);
		ck_assert_uint_eq(len, i / 10 % 2 ? MIN(2 * (i % 10), 16) : 0);
	}
	echo_stats(&e, 0, &stats);
	ck_assert_uint_eq(stats.requests, 40);
	ck_assert_uint_eq(stats.bytes, 40 + 2 * (2 + 4 + 6 + 8 + 10 + 12 + 14 + 16 + 16));
	echo_down(&e, &r);
	echo_stop(&e);
}
END_TEST

/* Takes eight, gives back all but one, and asks to be called again. */
static void kick_unpop(struct vhost_queue *q)
{
	struct vhost_req *reqs[8];
	unsigned int n = vhost_queue_pop(q, reqs, 8);

	if (!n)
		return;
	vhost_queue_unpop(q, n - 1);
	echo_complete(vhost_queue_opaque(q), reqs[0]);
	ck_assert_uint_eq(vhost_queue_outstanding(q), 0);
	vhost_queue_again(q);
}

START_TEST(requests_given_back_come_again_in_order)
{
	struct vhost_queue_stats stats;
	struct echo_rings r;
	struct echo e;
	uint32_t len;
	unsigned int i;

	echo_start_with(&e, WORKERS, kick_unpop);
	echo_up(&e, &r, 1, 64, EVENT_IDX | FORMAT);
	for (i = 0; i < 30; i++)
		add_byte(&r, i, 1);
	fe_ring_submit(&r.ring[0]);
	for (i = 0; i < 30; i++)
		ck_assert_uint_eq(get_byte(&r, &len), i);
	echo_stats(&e, 0, &stats);
	ck_assert_uint_eq(stats.requests, 30);
	echo_down(&e, &r);
	echo_stop(&e);
}
END_TEST

/* Checks reading, writing and slicing against the flat content, at every offset and length. */
static void check_slices(struct vhost_req *req, enum vhost_dir dir, const uint8_t *flat, size_t len)
{
	size_t off, n;

	for (off = 0; off <= len; off++) {
		for (n = 0; n <= len - off; n++) {
			uint8_t buf[64];
			unsigned int cnt;
			const struct iovec *iov = vhost_req_slice(req, dir, off, n, &cnt);

			ck_assert_ptr_nonnull(iov);
			ck_assert_uint_eq(iov_size(iov, cnt), n);
			ck_assert_uint_eq(iov_read(iov, cnt, 0, buf, n), n);
			ck_assert(!memcmp(buf, flat + off, n));
		}
		ck_assert_ptr_null(vhost_req_slice(req, dir, off, len - off + 1, &(unsigned){ 0 }));
	}
	ck_assert_ptr_null(vhost_req_slice(req, dir, SIZE_MAX, 2, &(unsigned){ 0 }));
	ck_assert_ptr_null(vhost_req_slice(req, dir, 1, SIZE_MAX, &(unsigned){ 0 }));
}

static void kick_slices(struct vhost_queue *q)
{
	struct vhost_req *req;
	uint8_t flat[64], in[64];

	while (vhost_queue_pop(q, &req, 1)) {
		ck_assert_uint_eq(req->out_len, iov_size(req->out, req->out_cnt));
		ck_assert_uint_eq(req->in_len, iov_size(req->in, req->in_cnt));
		ck_assert_uint_eq(vhost_req_read(req, 0, flat, sizeof(flat)), req->out_len);
		check_slices(req, VHOST_OUT, flat, req->out_len);
		iov_read(req->in, req->in_cnt, 0, in, sizeof(in));
		check_slices(req, VHOST_IN, in, req->in_len);
		echo_complete(vhost_queue_opaque(q), req);
	}
}

/* proves: chain.header-split, chain.header-copied */
START_TEST(slices_of_every_range)
{
	/* Lengths of the descriptors: readable ones, 0, writable ones, 0. */
	static const uint8_t framings[][12] = {
		{ 16, 0, 16, 0 }, { 1, 2, 3, 10, 0, 1, 15, 0 }, { 5, 0, 1, 1, 1, 2, 0 },
		{ 4, 4, 4, 4, 0, 8, 8, 0 },
	};
	struct echo_rings r;
	struct echo e;
	size_t f;

	echo_start_with(&e, WORKERS, kick_slices);
	echo_up(&e, &r, 1, 64, INDIRECT | FORMAT);
	for (f = 0; f < ARRAY_SIZE(framings); f++) {
		const uint8_t *len = framings[f];
		struct iovec iov[12];
		unsigned int n = 0, nout;
		void *cookie;
		uint32_t used;

		for (; *len; len++, n++)
			iov[n] = (struct iovec){ fe_mem_alloc(&r.mem, *len, 1), *len };
		nout = n;
		for (len++; *len; len++, n++)
			iov[n] = (struct iovec){ fe_mem_alloc(&r.mem, *len, 1), *len };
		for (unsigned int i = 0; i < n; i++)
			memset(iov[i].iov_base, 'a' + (int)i, iov[i].iov_len);
		ck_assert_int_ge(fe_ring_add(&r.ring[0], iov, nout, iov + nout, n - nout, &r), 0);
		fe_ring_submit(&r.ring[0]);
		ck_assert_int_eq(fe_ring_wait(&r.ring[0], FE_TIMEOUT_MS), 0);
		ck_assert_int_eq(fe_ring_get(&r.ring[0], &cookie, &used), 1);
	}
	echo_down(&e, &r);
	echo_stop(&e);
}
END_TEST

/* The private bytes: aligned, zero at first, the device's own afterwards. */
static void kick_priv(struct vhost_queue *q)
{
	static const uint8_t zero[ECHO_PRIV];
	struct vhost_req *req;

	while (vhost_queue_pop(q, &req, 1)) {
		ck_assert_uint_eq((uintptr_t)req->priv % _Alignof(max_align_t), 0);
		if (memcmp(req->priv, zero, ECHO_PRIV))
			ck_assert_uint_eq(*(uint8_t *)req->priv, 0xa5);
		memset(req->priv, 0xa5, ECHO_PRIV);
		echo_complete(vhost_queue_opaque(q), req);
	}
}

START_TEST(private_bytes)
{
	struct echo_rings r;
	struct echo e;
	int i;

	echo_start_with(&e, WORKERS, kick_priv);
	echo_up(&e, &r, 2, 16, FORMAT);
	for (i = 0; i < 100; i++)
		echo_check(&r.ring[i % 2], 10);
	echo_down(&e, &r);
	echo_stop(&e);
}
END_TEST

static atomic_uint waits;

/* Waits for something else than requests, of which fewer are there than it asks for. */
static void kick_wait(struct vhost_queue *q)
{
	struct vhost_req *reqs[8];

	atomic_fetch_add(&waits, 1);
	vhost_queue_unpop(q, vhost_queue_pop(q, reqs, 8));
}

START_TEST(requests_given_back_bring_no_kicks)
{
	struct vhost_queue_stats stats;
	struct echo_rings r;
	struct echo e;
	unsigned int i;

	echo_start_with(&e, WORKERS, kick_wait);
	echo_up(&e, &r, 1, 16, EVENT_IDX | FORMAT);
	add(&r.ring[0], 3);
	fe_ring_submit(&r.ring[0]);
	for (i = 0; i < 200; i++)
		echo_stats(&e, 0, &stats);
	/* At the start, for the kick, and for what may have slipped in between. */
	ck_assert_uint_gt(atomic_load(&waits), 0);
	ck_assert_uint_le(atomic_load(&waits), 5);
	echo_down(&e, &r);
	echo_stop(&e);
}
END_TEST

/* One queue which is never empty must not keep the other from being served. */
static void kick_forever(struct vhost_queue *q)
{
	struct vhost_req *req;

	/* A driver in a hurry: as soon as a request is back it is available again. */
	while (vhost_queue_pop(q, &req, 1)) {
		if (vhost_queue_index(q))
			echo_complete(vhost_queue_opaque(q), req);
		else
			vhost_queue_unpop(q, 1);
		if (!vhost_queue_index(q)) {
			vhost_queue_again(q);
			return;
		}
	}
}

/* proves: queue.fair */
START_TEST(a_busy_queue_leaves_room_for_others)
{
	struct echo_rings r;
	struct echo e;
	int i;

	echo_start_with(&e, WORKERS, kick_forever);
	echo_up(&e, &r, 2, 16, EVENT_IDX | FORMAT);
	add(&r.ring[0], 4);
	fe_ring_submit(&r.ring[0]);
	for (i = 0; i < 50; i++)
		echo_check(&r.ring[1], 10);
	ck_assert_int_eq(fe_sync(&e.fe), 0);
	ck_assert_int_eq(fe_stop(&e.fe, r.list, 2), 0);
	echo_down(&e, &r);
	echo_stop(&e);
}
END_TEST

/* Breaks its queue at the third request. */
static void kick_fail(struct vhost_queue *q)
{
	struct echo *e = vhost_queue_opaque(q);
	struct vhost_req *req;

	while (vhost_queue_pop(q, &req, 1)) {
		if (atomic_fetch_add(&e->popped, 1) == 2)
			vhost_queue_fail(q, "request %d is one too many", 2);
		echo_complete(e, req);
	}
}

/* proves: queue.one-breaks, ring.err-fd */
START_TEST(device_breaks_a_queue)
{
	struct echo_rings r;
	struct echo e;

	echo_start_with(&e, WORKERS, kick_fail);
	echo_up(&e, &r, 2, 16, EVENT_IDX | FORMAT);
	echo_check(&r.ring[0], 10);
	echo_check(&r.ring[1], 10);
	add(&r.ring[0], 2);
	fe_ring_submit(&r.ring[0]);
	/* The request itself is completed, the one behind it not taken. */
	ck_assert_int_eq(fe_ring_wait_err(&r.ring[0], FE_TIMEOUT_MS), 0);
	echo_wait(&e.pushed, 3);
	ck_assert_int_eq(fe_sync(&e.fe), 0);
	get(&r.ring[0], 1);
	ck_assert(!fe_ring_ready(&r.ring[0]));
	echo_check(&r.ring[1], 10);
	echo_down(&e, &r);
	echo_stop(&e);
}
END_TEST

/* proves: queue.needs-reset, GET_STATUS */
START_TEST(broken_queue_shows_in_the_status)
{
	struct echo_rings r;
	struct fe_msg msg;
	uint8_t status;
	struct echo e;

	echo_start_with(&e, WORKERS, kick_fail);
	echo_up(&e, &r, 2, 16, EVENT_IDX | FORMAT);
	ck_assert_int_eq(fe_set_status(&e.fe, VIRTIO_CONFIG_S_DRIVER_OK), 0);
	echo_check(&r.ring[0], 10);
	ck_assert_int_eq(fe_get_status(&e.fe, &status), 0);
	ck_assert_uint_eq(status, VIRTIO_CONFIG_S_DRIVER_OK);
	add(&r.ring[0], 2);
	fe_ring_submit(&r.ring[0]);
	ck_assert_int_eq(fe_backend_expect(&e.fe, VU_BACKEND_CONFIG_CHANGE_MSG, &msg,
					   FE_TIMEOUT_MS), 0);
	ck_assert_int_eq(fe_get_status(&e.fe, &status), 0);
	ck_assert_uint_eq(status, VIRTIO_CONFIG_S_DRIVER_OK | VIRTIO_CONFIG_S_NEEDS_RESET);
	/* The driver has done it. */
	ck_assert_int_eq(fe_stop(&e.fe, r.list, 2), 0);
	ck_assert_int_eq(fe_set_status(&e.fe, VIRTIO_CONFIG_S_DRIVER), 0);
	ck_assert_int_eq(fe_get_status(&e.fe, &status), 0);
	ck_assert_uint_eq(status, VIRTIO_CONFIG_S_DRIVER);
	echo_down(&e, &r);
	echo_stop(&e);
}
END_TEST

static void note_tid(void *arg)
{
	*(pid_t *)arg = gettid();
}

static pid_t worker_tid(struct vhost_worker *w)
{
	pid_t tid;

	vhost_worker_call(w, note_tid, &tid);
	return tid;
}

/* A line of a file about one thread of this process. */
static bool find_line(pid_t tid, const char *name, const char *start, char *line, int size)
{
	char path[64];
	FILE *file;
	bool found;

	snprintf(path, sizeof(path), "/proc/self/task/%d/%s", tid, name);
	file = fopen(path, "re");
	if (!file)
		return false;
	do {
		found = fgets(line, size, file);
	} while (found && strncmp(line, start, strlen(start)));
	fclose(file);
	return found;
}

/* How often the thread has gone to sleep. */
static unsigned long sleeps(pid_t tid)
{
	unsigned long n = 0;
	char line[256];

	ck_assert(find_line(tid, "status", "voluntary_ctxt_switches:", line, sizeof(line)));
	ck_assert_int_eq(sscanf(line, "voluntary_ctxt_switches: %lu", &n), 1);
	ck_assert_uint_gt(n, 0);
	return n;
}

/* The thread waits for its file descriptors, and there is no time at which it would wake up. */
static bool waits_for_ever(pid_t tid)
{
	unsigned long timeout;
	char line[256];
	long call;

	ck_assert_msg(find_line(tid, "syscall", "", line, sizeof(line)),
		      "this kernel does not tell what a thread waits for");
	if (sscanf(line, "%ld %*x %*x %*x %lx", &call, &timeout) != 2)
		return false;
#ifdef SYS_epoll_wait
	if (call == SYS_epoll_wait)
		return (int)timeout == -1;
#endif
	return call == SYS_epoll_pwait && (int)timeout == -1;
}

/* Nor does a file descriptor become ready by time alone. */
static void check_no_timer(void)
{
	char path[64], target[64];
	int fd;

	for (fd = 0; fd < 256; fd++) {
		ssize_t n;

		snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
		n = readlink(path, target, sizeof(target) - 1);
		target[MAX(n, 0)] = '\0';
		ck_assert_ptr_null(strstr(target, "[timerfd]"));
	}
}

static void wait_for_ever(pid_t tid)
{
	const struct timespec pause = { 0, 100000 };
	int i;

	for (i = 0; i < FE_TIMEOUT_MS * 10 && !waits_for_ever(tid); i++)
		nanosleep(&pause, NULL);
	ck_assert(waits_for_ever(tid));
}

/* Whatever others do meanwhile: a device of the same process with workers of its own. */
static void others_are_busy(void)
{
	struct echo_rings r;
	struct echo e;
	int i;

	echo_start(&e, 1, 0);
	echo_up(&e, &r, 1, 16, 0);
	for (i = 0; i < 300; i++)
		echo_check(&r.ring[0], 10);
	echo_down(&e, &r);
	echo_stop(&e);
}

/* proves: queue.idle */
START_TEST(an_idle_device_does_not_wake_up)
{
	unsigned long before[2];
	struct echo_rings r;
	pid_t tid[2];
	struct echo e;
	int i;

	echo_start(&e, WORKERS, 0);
	echo_up(&e, &r, 2, 16, EVENT_IDX | FORMAT);
	echo_check(&r.ring[0], 10);
	echo_check(&r.ring[1], 10);
	tid[0] = worker_tid(e.control);
	tid[1] = worker_tid(vhost_queue_worker(vhost_dev_queue(e.dev, 0)));
	for (i = 0; i < 2; i++) {
		wait_for_ever(tid[i]);
		before[i] = sleeps(tid[i]);
	}
	check_no_timer();
	others_are_busy();
	for (i = 0; i < 2; i++) {
		ck_assert_uint_eq(sleeps(tid[i]), before[i]);
		ck_assert(waits_for_ever(tid[i]));
	}
	echo_down(&e, &r);
	echo_stop(&e);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("requests");
	TCase *tc = tcase_create("requests");

	tcase_set_timeout(tc, 60);
	tcase_add_loop_test(tc, one_kick_and_one_signal_for_a_batch, 0, 2 * ECHO_RUNS);
	tcase_add_loop_test(tc, no_signal_for_a_driver_which_polls, 0, 2 * ECHO_RUNS);
	tcase_add_loop_test(tc, completions_of_one_round_are_one_signal, 0, ECHO_RUNS);
	tcase_add_loop_test(tc, pushed_together, 0, 2 * ECHO_RUNS);
	tcase_add_loop_test(tc, requests_given_back_come_again_in_order, 0, ECHO_RUNS);
	tcase_add_loop_test(tc, requests_given_back_bring_no_kicks, 0, ECHO_RUNS);
	tcase_add_loop_test(tc, slices_of_every_range, 0, ECHO_RUNS);
	tcase_add_loop_test(tc, private_bytes, 0, ECHO_RUNS);
	tcase_add_loop_test(tc, a_busy_queue_leaves_room_for_others, 0, ECHO_RUNS);
	tcase_add_loop_test(tc, device_breaks_a_queue, 0, ECHO_RUNS);
	tcase_add_loop_test(tc, broken_queue_shows_in_the_status, 0, ECHO_RUNS);
	tcase_add_loop_test(tc, an_idle_device_does_not_wake_up, 0, ECHO_RUNS);
	suite_add_tcase(suite, tc);
	return tap_main(suite);
}
