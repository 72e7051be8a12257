/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * VIRTIO_F_IN_ORDER: a device may complete its requests as it likes, and the driver gets them back
 * in its own order.  Each test runs for both formats, as in test_rings.c.
 */
#include <linux/virtio_config.h>
#include <stdlib.h>
#include <string.h>

#include "tests/echo.h"
#include "tests/tap.h"
#include "util.h"

#define IN_ORDER FE_BIT(VIRTIO_F_IN_ORDER)
#define EVENT_IDX FE_BIT(VIRTIO_RING_F_EVENT_IDX)
#define WORKERS echo_run_workers(_i)
#define FORMAT echo_run_format(_i)

#define N 24u

/* Requests which can be told apart by their content, and by how much comes back. */
struct batch {
	struct fe_ring *ring;
	uint8_t *out[N], *in[N];
	unsigned int n;
};

/* Each has some bytes more than the one before, and room for more than that. */
static void batch_add(struct batch *b)
{
	unsigned int i = b->n++;
	struct iovec o = { fe_mem_alloc(b->ring->mem, i + 1, 1), i + 1 };
	struct iovec in = { fe_mem_alloc(b->ring->mem, 2 * N, 1), 2 * N };

	b->out[i] = o.iov_base;
	b->in[i] = in.iov_base;
	memset(b->out[i], 'A' + (int)i, i + 1);
	ck_assert_int_ge(fe_ring_add(b->ring, &o, 1, &in, 1, b->out[i]), 0);
}

static void batch_submit(struct batch *b, struct fe_ring *ring, unsigned int n)
{
	memset(b, 0, sizeof(*b));
	b->ring = ring;
	while (b->n < n)
		batch_add(b);
	fe_ring_submit(ring);
}

/*
 * The next one is number i.  Its length tells that the device has reported it by itself: the driver
 * would take one that was left out for written in full.
 */
static void batch_expect(struct batch *b, unsigned int i)
{
	uint32_t len;
	void *cookie;

	ck_assert_int_eq(fe_ring_wait(b->ring, FE_TIMEOUT_MS), 0);
	ck_assert_int_eq(fe_ring_get(b->ring, &cookie, &len), 1);
	ck_assert_ptr_eq(cookie, b->out[i]);
	ck_assert_uint_eq(len, i + 1);
	ck_assert_mem_eq(b->in[i], b->out[i], i + 1);
}

/* Complete held requests in this order; on the queue's worker. */
struct completion {
	struct echo *e;
	const unsigned int *order;
	unsigned int n;
};

static void complete(void *arg)
{
	struct completion *c = arg;
	unsigned int i;

	for (i = 0; i < c->n; i++)
		echo_complete(c->e, c->e->held[0][c->order[i]]);
}

static void complete_some(struct echo *e, const unsigned int *order, unsigned int n)
{
	struct completion c = { e, order, n };

	vhost_worker_call(vhost_queue_worker(vhost_dev_queue(e->dev, 0)), complete, &c);
}

/* n of them, of which each number comes once: backwards, or as seed says. */
static void shuffle(unsigned int *order, unsigned int n, unsigned int seed)
{
	unsigned int i, j, swap;

	for (i = 0; i < n; i++)
		order[i] = n - 1 - i;
	for (i = n - 1; seed && i; i--) {
		j = (unsigned int)rand_r(&seed) % (i + 1);
		swap = order[i];
		order[i] = order[j];
		order[j] = swap;
	}
}

static void up(struct echo *e, struct echo_rings *r, int run, uint64_t features)
{
	echo_start(e, echo_run_workers(run), VHOST_DEV_IN_ORDER);
	echo_up(e, r, 1, 64, IN_ORDER | features | echo_run_format(run));
	ck_assert(e->fe.features & IN_ORDER);
}

/* proves: split.in-order, packed.in-order, VIRTIO_F_IN_ORDER */
START_TEST(completed_in_any_order)
{
	unsigned int order[N], round, i;
	struct echo_rings r;
	struct batch b;
	struct echo e;

	up(&e, &r, _i, _i % 2 ? EVENT_IDX : 0);
	for (round = 0; round < 20; round++) {
		atomic_store(&e.hold, true);
		atomic_store(&e.popped, 0);
		batch_submit(&b, &r.ring[0], N);
		echo_wait(&e.popped, N);
		shuffle(order, N, round);
		/* In two parts, so that what waits is carried over a round's end. */
		complete_some(&e, order, N / 2);
		complete_some(&e, order + N / 2, N - N / 2);
		e.nheld[0] = 0;
		for (i = 0; i < N; i++)
			batch_expect(&b, i);
	}
	echo_down(&e, &r);
	echo_stop(&e);
}
END_TEST

/* proves: split.in-order, packed.in-order */
START_TEST(what_comes_early_waits)
{
	static const unsigned int early[] = { 2, 1, 4 }, first[] = { 0 }, last[] = { 3 };
	struct vhost_queue_stats before, after;
	struct echo_rings r;
	struct batch b;
	struct echo e;
	unsigned int i;

	up(&e, &r, _i, 0);
	atomic_store(&e.hold, true);
	batch_submit(&b, &r.ring[0], 5);
	echo_wait(&e.popped, 5);
	echo_stats(&e, 0, &before);
	complete_some(&e, early, 3);
	/* The statistics are those of a later round. */
	echo_stats(&e, 0, &after);
	ck_assert(!fe_ring_ready(&r.ring[0]));
	ck_assert_uint_eq(after.signals, before.signals);
	complete_some(&e, first, 1);
	for (i = 0; i < 3; i++)
		batch_expect(&b, i);
	echo_stats(&e, 0, &after);
	ck_assert(!fe_ring_ready(&r.ring[0]));
	ck_assert_uint_eq(after.signals - before.signals, 1);
	complete_some(&e, last, 1);
	for (; i < 5; i++)
		batch_expect(&b, i);
	echo_down(&e, &r);
	echo_stop(&e);
}
END_TEST

/* proves: ring.stop-drains */
START_TEST(a_stop_publishes_all)
{
	static const unsigned int order[] = { 3, 1, 2, 0 };
	const struct vu_header hdr = { VU_GET_VRING_BASE, VU_VERSION, 8 };
	const struct vu_vring_state state = { 0, 0 };
	struct fe_msg reply;
	struct echo_rings r;
	struct batch b;
	struct echo e;
	unsigned int i;

	up(&e, &r, _i, 0);
	atomic_store(&e.hold, true);
	batch_submit(&b, &r.ring[0], 4);
	echo_wait(&e.popped, 4);
	ck_assert_int_eq(fe_send_raw(&e.fe, &hdr, &state, sizeof(state), NULL, 0), 0);
	echo_wait(&e.stops, 1);
	complete_some(&e, order, 3);
	ck_assert(!echo_readable(e.fe.fd, ECHO_QUIET_MS));
	complete_some(&e, order + 3, 1);
	ck_assert_int_eq(fe_recv_raw(&e.fe, &reply), 0);
	ck_assert_uint_eq(reply.u.state.num, FORMAT ? 0x80088008 : 4);
	e.nheld[0] = 0;
	for (i = 0; i < 4; i++)
		batch_expect(&b, i);
	/* And it goes on where it was. */
	atomic_store(&e.hold, false);
	ck_assert_int_eq(fe_set_vring_kick(&e.fe, 0, r.ring[0].kick_fd), 0);
	echo_check(&r.ring[0], 10);
	echo_down(&e, &r);
	echo_stop(&e);
}
END_TEST

/* Takes some, gives some of these back, and completes the others and older ones in any order. */
static void kick_shuffle(struct vhost_queue *q)
{
	static _Thread_local unsigned int seed = 1;
	struct echo *e = vhost_queue_opaque(q);
	struct vhost_req *reqs[8], **held = e->held[0];
	unsigned int n = vhost_queue_pop(q, reqs, 8), back, i;

	back = n ? (unsigned int)rand_r(&seed) % n : 0;
	vhost_queue_unpop(q, back);
	for (i = 0; i < n - back; i++)
		held[e->nheld[0]++] = reqs[i];
	/* All in the end: there is one less each time when nothing is to be taken. */
	for (i = n ? (unsigned int)rand_r(&seed) % (e->nheld[0] + 1) : MIN(e->nheld[0], 1u); i; i--) {
		unsigned int pick = (unsigned int)rand_r(&seed) % e->nheld[0];

		echo_complete(e, held[pick]);
		held[pick] = held[--e->nheld[0]];
	}
	if (n || e->nheld[0])
		vhost_queue_again(q);
}

/* proves: split.in-order, packed.in-order */
START_TEST(with_some_given_back)
{
	struct vhost_queue_stats stats;
	unsigned int round, i;
	struct echo_rings r;
	struct batch b;
	struct echo e;

	echo_start_as(&e, WORKERS, VHOST_DEV_IN_ORDER, kick_shuffle);
	echo_up(&e, &r, 1, 64, IN_ORDER | EVENT_IDX | FORMAT);
	for (round = 0; round < 30; round++) {
		batch_submit(&b, &r.ring[0], N);
		for (i = 0; i < N; i++)
			batch_expect(&b, i);
	}
	echo_stats(&e, 0, &stats);
	ck_assert_uint_eq(stats.requests, 30 * N);
	echo_down(&e, &r);
	echo_stop(&e);
}
END_TEST

/* proves: VIRTIO_F_IN_ORDER */
START_TEST(not_offered_by_other_devices)
{
	struct echo e;

	echo_start(&e, 0, 0);
	ck_assert_int_eq(fe_negotiate(&e.fe, ~UINT64_C(0), ~UINT64_C(0)), 0);
	ck_assert(!(e.fe.offered & IN_ORDER));
	ck_assert(e.fe.offered & FE_BIT(VIRTIO_F_RING_PACKED));
	echo_stop(&e);
}
END_TEST

/*
 * VIRTIO_F_NOTIFY_ON_EMPTY
 */

#define ON_EMPTY FE_BIT(VIRTIO_F_NOTIFY_ON_EMPTY)

/* A legacy driver's ring, or another one; two requests are held. */
static void two_held(struct echo *e, struct echo_rings *r, unsigned int nworkers, uint64_t features)
{
	echo_start(e, nworkers, 0);
	echo_setup(e, r, features);
	ck_assert_int_eq(fe_set_vring_kick(&e->fe, 0, r->ring[0].kick_fd), 0);
	/* What comes first after a start may be signalled in any case. */
	echo_check(&r->ring[0], 10);
	fe_ring_irq_off(&r->ring[0]);
	atomic_store(&e->hold, true);
	echo_add(&r->ring[0]);
	echo_add(&r->ring[0]);
	fe_ring_kick_always(&r->ring[0]);
	echo_wait(&e->popped, 3);
}

static uint64_t signals_of(struct echo *e, unsigned int i)
{
	struct vhost_queue_stats before, after;
	unsigned int pushed = atomic_load(&e->pushed);

	echo_stats(e, 0, &before);
	complete_some(e, &i, 1);
	echo_wait(&e->pushed, pushed + 1);
	echo_stats(e, 0, &after);
	return after.signals - before.signals;
}

/* proves: queue.notify-on-empty, VIRTIO_F_NOTIFY_ON_EMPTY */
START_TEST(signal_when_nothing_is_left)
{
	const uint64_t features = ON_EMPTY | (_i / 3 ? EVENT_IDX : 0);
	struct echo_rings r;
	struct echo e;

	/* The driver wants no signals, but for the last. */
	two_held(&e, &r, (unsigned int)_i % 3, features);
	ck_assert_uint_eq(signals_of(&e, 0), 0);
	ck_assert_uint_eq(signals_of(&e, 1), 1);
	echo_down(&e, &r);
	echo_stop(&e);
}
END_TEST

/* proves: queue.suppressed, VIRTIO_F_NOTIFY_ON_EMPTY */
START_TEST(no_signal_when_nothing_is_left)
{
	static const uint64_t features[] = {
		0, EVENT_IDX, ON_EMPTY | FE_BIT(VIRTIO_F_VERSION_1),
		ON_EMPTY | FE_BIT(VIRTIO_F_VERSION_1) | FE_BIT(VIRTIO_F_RING_PACKED),
	};
	struct echo_rings r;
	struct echo e;

	/* Not without the feature, and it is a legacy one. */
	two_held(&e, &r, 1, features[_i]);
	ck_assert_uint_eq(signals_of(&e, 0), 0);
	ck_assert_uint_eq(signals_of(&e, 1), 0);
	echo_down(&e, &r);
	echo_stop(&e);
}
END_TEST

#define ADD(test) tcase_add_loop_test(tc, test, 0, ECHO_RUNS)

int main(void)
{
	Suite *suite = suite_create("order");
	TCase *tc = tcase_create("order");

	tcase_set_timeout(tc, 60);
	ADD(completed_in_any_order);
	ADD(what_comes_early_waits);
	ADD(a_stop_publishes_all);
	ADD(with_some_given_back);
	tcase_add_test(tc, not_offered_by_other_devices);
	tcase_add_loop_test(tc, signal_when_nothing_is_left, 0, 6);
	tcase_add_loop_test(tc, no_signal_when_nothing_is_left, 0, 4);
	suite_add_tcase(suite, tc);
	return tap_main(suite);
}
