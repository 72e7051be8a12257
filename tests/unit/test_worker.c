/* SPDX-License-Identifier: BSD-3-Clause */
/* Workers: the mailbox, calls, stopping, polling, and life in a caller's event loop. */
#include <errno.h>
#include <event2/event.h>
#include <pthread.h>
#include <stdlib.h>

#include "libvhost/queue.h"
#include "tests/echo.h"
#include "tests/tap.h"
#include "util.h"

#define POSTS 10000

struct counter {
	struct vhost_work work;
	unsigned int *next;		/* expected number; checked on the worker */
	unsigned int number;
	atomic_uint *done;
};

static void count(struct vhost_work *work)
{
	struct counter *c = container_of(work, struct counter, work);

	ck_assert_uint_eq(c->number, (*c->next)++);
	atomic_fetch_add(c->done, 1);
}

START_TEST(work_runs_in_the_order_of_posting)
{
	struct counter *c = calloc(POSTS, sizeof(*c));
	unsigned int next = 0, i;
	struct vhost_worker *w;
	atomic_uint done = 0;

	ck_assert_int_eq(vhost_worker_new(&w, NULL), 0);
	ck_assert_int_eq(vhost_worker_start(w, "test"), 0);
	for (i = 0; i < POSTS; i++) {
		c[i] = (struct counter){ { .fn = count }, &next, i, &done };
		vhost_worker_post(w, &c[i].work);
	}
	echo_wait(&done, POSTS);
	vhost_worker_stop(w);
	vhost_worker_free(w);
	free(c);
}
END_TEST

struct poster {
	struct vhost_worker *w;
	struct counter *c;
};

static void count_unordered(struct vhost_work *work)
{
	atomic_fetch_add(container_of(work, struct counter, work)->done, 1);
}

static void *post_many(void *arg)
{
	struct poster *p = arg;
	unsigned int i;

	for (i = 0; i < POSTS; i++) {
		p->c[i].work.fn = count_unordered;
		vhost_worker_post(p->w, &p->c[i].work);
	}
	return NULL;
}

START_TEST(many_threads_post)
{
	struct poster p[4];
	pthread_t threads[4];
	struct vhost_worker *w;
	atomic_uint done = 0;
	unsigned int i, j;

	ck_assert_int_eq(vhost_worker_new(&w, NULL), 0);
	ck_assert_int_eq(vhost_worker_start(w, "test"), 0);
	for (i = 0; i < 4; i++) {
		p[i] = (struct poster){ w, calloc(POSTS, sizeof(struct counter)) };
		for (j = 0; j < POSTS; j++)
			p[i].c[j].done = &done;
		ck_assert_int_eq(pthread_create(&threads[i], NULL, post_many, &p[i]), 0);
	}
	for (i = 0; i < 4; i++)
		pthread_join(threads[i], NULL);
	echo_wait(&done, 4 * POSTS);
	vhost_worker_stop(w);
	vhost_worker_free(w);
	for (i = 0; i < 4; i++)
		free(p[i].c);
}
END_TEST

static void note_thread(void *arg)
{
	*(pthread_t *)arg = pthread_self();
}

struct nested {
	struct vhost_worker *w;
	pthread_t inner;
};

static void call_again(void *arg)
{
	struct nested *n = arg;

	vhost_worker_call(n->w, note_thread, &n->inner);
}

START_TEST(call_runs_on_the_worker_and_waits)
{
	pthread_t thread = pthread_self(), other;
	struct nested nested;

	ck_assert_int_eq(vhost_worker_new(&nested.w, NULL), 0);
	/* Not running: at once, here. */
	vhost_worker_call(nested.w, note_thread, &other);
	ck_assert(pthread_equal(other, thread));
	ck_assert_int_eq(vhost_worker_start(nested.w, "test"), 0);
	vhost_worker_call(nested.w, note_thread, &other);
	ck_assert(!pthread_equal(other, thread));
	/* From the worker itself: at once, too. */
	vhost_worker_call(nested.w, call_again, &nested);
	ck_assert(pthread_equal(other, nested.inner));
	vhost_worker_stop(nested.w);
	vhost_worker_free(nested.w);
}
END_TEST

START_TEST(stop_before_run)
{
	struct vhost_worker *w;

	ck_assert_int_eq(vhost_worker_new(&w, NULL), 0);
	vhost_worker_stop(w);
	ck_assert_int_eq(vhost_worker_run(w), 0);
	vhost_worker_free(w);
}
END_TEST

START_TEST(start_again_after_stop)
{
	struct vhost_worker *w;
	int i;

	ck_assert_int_eq(vhost_worker_new(&w, NULL), 0);
	for (i = 0; i < 20; i++) {
		ck_assert_int_eq(vhost_worker_start(w, "test"), 0);
		ck_assert_int_eq(vhost_worker_start(w, "test"), -EINVAL);
		vhost_worker_stop(w);
	}
	vhost_worker_free(w);
}
END_TEST

START_TEST(no_fd_is_left)
{
	int fds = echo_count_fds();
	struct vhost_worker *w;
	int i;

	for (i = 0; i < 10; i++) {
		ck_assert_int_eq(vhost_worker_new(&w, NULL), 0);
		vhost_worker_free(w);
	}
	ck_assert_int_eq(echo_count_fds(), fds);
}
END_TEST

struct finder {
	struct vhost_poller poller;
	struct vhost_worker *w;
	atomic_uint looks, finds;
};

static bool find(struct vhost_poller *poller)
{
	struct finder *f = container_of(poller, struct finder, poller);

	/* Every third look finds something. */
	if (atomic_fetch_add(&f->looks, 1) % 3)
		return false;
	atomic_fetch_add(&f->finds, 1);
	return true;
}

static void add_finder(void *arg)
{
	struct finder *f = arg;

	vhost_worker_set_poll(f->w, 1000);
	vhost_worker_add_poller(f->w, &f->poller);
}

static void del_finder(void *arg)
{
	struct finder *f = arg;

	vhost_worker_set_poll(f->w, 0);
	vhost_worker_del_poller(f->w, &f->poller);
}

/* A worker polls for requests, so it needs a queue; a device which echoes has some. */
START_TEST(pollers_are_looked_at_while_it_polls)
{
	struct finder f = { .poller.poll = find };
	struct echo_rings r;
	unsigned int looks;
	struct echo e;

	echo_start(&e, 1, 0);
	f.w = e.workers[0];
	echo_up(&e, &r, 1, 16, 0);
	vhost_worker_call(f.w, add_finder, &f);
	echo_check(&r.ring[0], 100);
	echo_wait(&f.finds, 1000);
	vhost_worker_call(f.w, del_finder, &f);
	looks = atomic_load(&f.looks);
	echo_check(&r.ring[0], 100);
	ck_assert_uint_eq(atomic_load(&f.looks), looks);
	echo_down(&e, &r);
	echo_stop(&e);
}
END_TEST

static void set_poll(void *arg)
{
	vhost_worker_set_poll(arg, 200);
}

START_TEST(polling_serves_without_kicks_and_rests_afterwards)
{
	struct vhost_queue_stats stats;
	struct echo_rings r;
	struct echo e;
	int i;

	echo_start(&e, (unsigned int)_i, 0);
	vhost_worker_call(_i ? e.workers[0] : e.control, set_poll, _i ? e.workers[0] : e.control);
	echo_up(&e, &r, 2, 64, FE_BIT(VIRTIO_RING_F_EVENT_IDX));
	for (i = 0; i < 5000; i++)
		echo_check(&r.ring[i % 2], 8);
	echo_stats(&e, 0, &stats);
	ck_assert_uint_eq(stats.requests, 2500);
	/* On a busy machine the window may not have been wide enough yet. */
	for (i = 0; i < 500000 && !stats.poll_hits; i++) {
		echo_check(&r.ring[0], 8);
		echo_stats(&e, 0, &stats);
	}
	ck_assert_uint_gt(stats.poll_hits, 0);
	echo_down(&e, &r);
	echo_stop(&e);
}
END_TEST

/* What a queue writes for each request is in lines which no other queue's memory begins or ends in. */
static void check_lines(void *arg)
{
	const struct vhost_queue *q = arg;
	const void *const own[] = { q, q->slots, q->free, q->taken, q->done, q->hold };
	size_t i;

	for (i = 0; i < ARRAY_SIZE(own); i++) {
		ck_assert_ptr_nonnull(own[i]);
		ck_assert_uint_eq((uintptr_t)own[i] % LINE, 0);
	}
}

/* Wait until nobody looks at the poller any more. */
static void wait_for_rest(struct finder *f)
{
	const struct timespec quiet = { 0, ECHO_QUIET_MS * 1000000 };
	unsigned int i, looks;

	for (i = 0; i < FE_TIMEOUT_MS / ECHO_QUIET_MS; i++) {
		looks = atomic_load(&f->looks);
		nanosleep(&quiet, NULL);
		if (atomic_load(&f->looks) == looks)
			return;
	}
	ck_abort_msg("the worker does not sleep");
}

static bool find_nothing(struct vhost_poller *poller)
{
	atomic_fetch_add(&container_of(poller, struct finder, poller)->looks, 1);
	return false;
}

static void add_patient_finder(void *arg)
{
	struct finder *f = arg;

	/* As good as for ever, where a driver is awaited. */
	vhost_worker_set_poll(f->w, 1000000000);
	vhost_worker_add_poller(f->w, &f->poller);
}

/* A request which takes its time.  Whether the driver need not have kicked for the next one. */
static bool wait_for_store(struct echo *e, struct finder *f, struct fe_ring *ring)
{
	uint64_t saved;

	atomic_store(&e->hold, true);
	echo_add(ring);
	fe_ring_kick(ring);
	echo_wait(&e->popped, atomic_load(&e->pushed) + 1);
	wait_for_rest(f);
	echo_release(e, 0);
	echo_get(ring);
	saved = ring->stats.kicks_saved;
	echo_check(ring, 8);
	return ring->stats.kicks_saved > saved;
}

/* With all requests in work there is nothing to look for; when one goes back there is. */
START_TEST(it_polls_for_drivers_and_sleeps_while_a_store_works)
{
	const uint64_t events = _i % 2 ? FE_BIT(VIRTIO_RING_F_EVENT_IDX) : 0;
	const uint64_t format = _i / 2 ? FE_BIT(VIRTIO_F_RING_PACKED) : 0;
	struct finder f = { .poller.poll = find_nothing };
	struct vhost_queue_stats stats = { 0 };
	struct echo_rings r;
	unsigned int i;
	struct echo e;

	echo_start(&e, 1, 0);
	f.w = e.workers[0];
	echo_up(&e, &r, 1, 16, events | format);
	vhost_worker_call(f.w, add_patient_finder, &f);
	/* On a busy machine the first windows may be too short for the driver. */
	for (i = 0; i < 100 && !wait_for_store(&e, &f, &r.ring[0]); i++)
		;
	ck_assert_uint_lt(i, 100);
	/* Soon drivers are awaited for minutes, but not when it is not their turn. */
	for (i = 0; i < 10000 && stats.poll_hits < 50; i++) {
		echo_check(&r.ring[0], 8);
		echo_stats(&e, 0, &stats);
	}
	wait_for_store(&e, &f, &r.ring[0]);
	vhost_worker_call(f.w, del_finder, &f);
	echo_down(&e, &r);
	echo_stop(&e);
}
END_TEST

START_TEST(queues_share_no_cache_line)
{
	struct echo_rings r;
	struct echo e;
	unsigned int i;

	ck_assert_uint_eq(sizeof(struct vhost_queue) % LINE, 0);
	echo_start(&e, 2, 0);
	echo_up(&e, &r, 2, 16, 0);
	for (i = 0; i < 2; i++) {
		echo_check(&r.ring[i], 1);
		vhost_worker_call(e.workers[i], check_lines, vhost_dev_queue(e.dev, i));
	}
	echo_down(&e, &r);
	echo_stop(&e);
}
END_TEST

/*
 * The caller's own loop
 */

static void stop_loop(struct vhost_dev *dev, void *arg)
{
	(void)dev;
	event_base_loopbreak(arg);
}

struct other_side {
	struct echo *e;
	struct event_base *base;
};

static void stop_dev(struct vhost_work *work);

struct stop_work {
	struct vhost_work work;
	struct other_side *side;
};

static void stop_dev(struct vhost_work *work)
{
	struct other_side *side = container_of(work, struct stop_work, work)->side;

	vhost_dev_stop(side->e->dev, stop_loop, side->base);
}

static void *drive(void *arg)
{
	struct other_side *side = arg;
	struct stop_work stop = { { .fn = stop_dev }, side };
	struct echo_rings r;
	int i;

	echo_up(side->e, &r, 2, 16, FE_BIT(VIRTIO_RING_F_EVENT_IDX));
	for (i = 0; i < 100; i++)
		echo_check(&r.ring[i % 2], 50);
	echo_down(side->e, &r);
	vhost_worker_post(side->e->control, &stop.work);
	/* Until the loop has ended the work must live: the device closes our socket then. */
	ck_assert_int_eq(fe_wait_closed(&side->e->fe), 0);
	return NULL;
}

static void kick_echo(struct vhost_queue *q)
{
	struct vhost_req *reqs[4];
	unsigned int i, n;
	char buf[64];

	while ((n = vhost_queue_pop(q, reqs, 4))) {
		for (i = 0; i < n; i++) {
			size_t len = vhost_req_read(reqs[i], 0, buf, sizeof(buf));

			vhost_req_push(reqs[i], vhost_req_write(reqs[i], 0, buf, len));
		}
	}
}

START_TEST(device_in_the_callers_event_loop)
{
	static const struct vhost_dev_ops ops = { .kick = kick_echo };
	const struct vhost_dev_params params = { .queues = 2 };
	struct echo e = { 0 };
	struct other_side side = { &e, event_base_new() };
	pthread_t thread;
	int fd;

	ck_assert_int_eq(vhost_worker_new(&e.control, side.base), 0);
	ck_assert_ptr_eq(vhost_worker_base(e.control), side.base);
	ck_assert_int_eq(vhost_worker_run(e.control), -EINVAL);
	ck_assert_int_eq(vhost_dev_new(&e.dev, &ops, &params, &e), 0);
	ck_assert_int_eq(fe_pair(&e.fe, &fd), 0);
	ck_assert_int_eq(vhost_dev_attach(e.dev, e.control, fd), 0);
	ck_assert_int_eq(pthread_create(&thread, NULL, drive, &side), 0);
	ck_assert_int_ge(event_base_dispatch(side.base), 0);
	pthread_join(thread, NULL);
	vhost_dev_free(e.dev);
	vhost_worker_free(e.control);
	event_base_free(side.base);
	fe_close(&e.fe);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("worker");
	TCase *tc = tcase_create("worker");

	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, work_runs_in_the_order_of_posting);
	tcase_add_test(tc, many_threads_post);
	tcase_add_test(tc, call_runs_on_the_worker_and_waits);
	tcase_add_test(tc, stop_before_run);
	tcase_add_test(tc, start_again_after_stop);
	tcase_add_test(tc, no_fd_is_left);
	tcase_add_test(tc, pollers_are_looked_at_while_it_polls);
	tcase_add_loop_test(tc, polling_serves_without_kicks_and_rests_afterwards, 0, 2);
	tcase_add_loop_test(tc, it_polls_for_drivers_and_sleeps_while_a_store_works, 0, 4);
	tcase_add_test(tc, queues_share_no_cache_line);
	tcase_add_test(tc, device_in_the_callers_event_loop);
	suite_add_tcase(suite, tc);
	return tap_main(suite);
}
