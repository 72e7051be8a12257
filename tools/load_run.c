/* SPDX-License-Identifier: BSD-3-Clause */
/* See load.h: the way of a load's requests through the rings. */
#include "config.h"

#include <errno.h>
#include <linux/virtio_config.h>
#include <poll.h>
#include <time.h>

#include "tools/load.h"
#include "util.h"

#define LOAD_TRIES_MAX	16u
#define LOAD_BURST	32u		/* requests which are sent again before the device sees them */

/* How long to wait in one piece; in between it is seen what else happens. */
#define LOAD_SLICE_MS	50

uint64_t load_clock(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

/*
 * Requests
 */

static bool load_stopped(const struct load *l)
{
	return l->stop && *l->stop;
}

static int load_put(struct load_queue *q, struct load_slot *s)
{
	int err = fe_ring_add(&q->ring, s->out, s->nout, s->in, s->nin, s);

	if (err < 0)
		return load_fail(q->load, err, "adding a request");
	q->busy++;
	return 0;
}

/* Add what the slot is to do next, if anything. */
static int load_add(struct load_queue *q, struct load_slot *s)
{
	struct load *l = q->load;

	/* Buffers wait for what comes; nobody asked for them. */
	if ((q->role == LOAD_ACTIVE && !l->left) || !l->ops->prepare(q, s))
		return 0;
	if (q->role == LOAD_ACTIVE)
		l->left--;
	s->sent = l->now;
	s->tries = 0;
	return load_put(q, s);
}

/* The device wants to be asked again, which has to end some time. */
static int load_retry(struct load_queue *q, struct load_slot *s)
{
	if (++s->tries == LOAD_TRIES_MAX)
		return load_wrong(q->load, "the back-end asks for the same request again and again");
	q->load->ops->retry(q, s);
	return load_put(q, s);
}

/* So many bytes of the slot's request have been moved. */
static void load_account(struct load_queue *q, const struct load_slot *s, int64_t bytes)
{
	struct load *l = q->load;

	if (!bytes)
		return;
	q->done++;
	q->bytes += (uint64_t)bytes;
	/* Where all is received, that is what was asked for. */
	if (!l->has_active && l->left)
		l->left--;
	if (l->hist && q->role == LOAD_ACTIVE)
		hist_add(l->hist, l->now - s->sent);
}

/* The slot's request has come back. */
static int load_back(struct load_queue *q, struct load_slot *s, uint32_t len)
{
	int64_t bytes = q->load->ops->done(q, s, len);

	q->busy--;
	if (bytes == -EAGAIN)
		return load_retry(q, s);
	if (bytes < 0)
		return (int)bytes;
	load_account(q, s, bytes);
	return load_add(q, s);
}

int load_begin(struct load *l, uint64_t requests)
{
	unsigned int i, k, busy;
	int err = 0;

	l->left = requests;
	l->now = l->heard = load_clock();
	for (k = 0; k < l->num_queues; k++) {
		struct load_queue *q = &l->queues[k];

		/* What is there from the time before stays. */
		busy = q->busy;
		for (i = 0; q->slots && !busy && i < l->params.depth && !err; i++)
			err = load_add(q, &q->slots[i]);
		if (err)
			return err;
		if (q->busy)
			fe_ring_submit(&q->ring);
	}
	return 0;
}

/* Whether requests go there again as they come back. */
static bool load_recycles(const struct load_queue *q)
{
	const struct load *l = q->load;

	return l->ops->again && !l->params.verify && l->left > LOAD_BURST &&
	       (l->params.indirect || l->ops->descs == 1) && l->params.rw != LOAD_RANDRW &&
	       !(l->fe.features & FE_BIT(VIRTIO_F_IN_ORDER));
}

/* Take the next which has come back, and send it again; as fe_ring_get(). */
static int load_recycle(struct load_queue *q)
{
	struct load *l = q->load;
	struct load_slot *s;
	void *cookie;
	uint32_t len;
	int64_t bytes;
	int got = fe_ring_recycle(&q->ring, &cookie, &len);

	if (got <= 0)
		return got ? load_fail(l, got, "used ring of queue %u", q->ring.index) : 0;
	s = cookie;
	bytes = l->ops->again(q, s, len);
	if (bytes < 0)
		return (int)bytes;
	load_account(q, s, bytes);
	s->sent = l->now;
	if (q->role == LOAD_ACTIVE)
		l->left--;
	return 1;
}

/* The same for requests which change. */
static int load_replace(struct load_queue *q)
{
	void *cookie;
	uint32_t len;
	int got = fe_ring_get(&q->ring, &cookie, &len), err;

	if (got <= 0)
		return got ? load_fail(q->load, got, "used ring of queue %u", q->ring.index) : 0;
	err = load_back(q, cookie, len);
	return err ? err : 1;
}

/* Take those which have come back, and send them once more. */
static int load_reap(struct load_queue *q)
{
	int (*const next)(struct load_queue *) = load_recycles(q) ? load_recycle : load_replace;
	struct load *l = q->load;
	unsigned int n;
	int got = 1;

	for (n = 0; n < LOAD_BURST && (got = next(q)) > 0; n++)
		;
	if (got < 0)
		return got;
	if (n) {
		l->heard = l->now;
		fe_ring_submit(&q->ring);
	}
	return 0;
}

static bool load_gone(const struct load *l)
{
	struct pollfd pfd = { .fd = l->fe.fd, .events = POLLIN };

	return poll(&pfd, 1, 0) > 0;
}

static bool load_ready(const struct load *l)
{
	unsigned int i;

	for (i = 0; i < l->num_waited; i++)
		if (fe_ring_ready(l->waited[i]))
			return true;
	return false;
}

/* Wait until something has come back, or a while. */
static int load_wait(struct load *l, int timeout_ms)
{
	uint64_t patience = (uint64_t)l->params.timeout_ms * 1000000u;
	int err;

	if (load_ready(l))
		return 0;
	err = fe_rings_wait(l->waited, l->num_waited, timeout_ms);
	if (!err)
		return 0;
	if (err != -ETIMEDOUT)
		return load_wrong(l, "the back-end reports that a queue is broken");
	if (load_gone(l))
		return load_fail(l, -ECONNRESET, "requests are in flight");
	if (load_clock() - l->heard > patience)
		return load_wrong(l, "no request has come back for %d ms", l->params.timeout_ms);
	return 0;
}

static int load_slice(const struct load *l, uint64_t until)
{
	uint64_t left = until > l->now ? (until - l->now) / 1000000u : 0;

	return left < LOAD_SLICE_MS ? (int)left + 1 : LOAD_SLICE_MS;
}

static int load_turn(struct load *l, uint64_t until)
{
	unsigned int i;
	int err = load_wait(l, load_slice(l, until));

	l->now = load_clock();
	for (i = 0; i < l->num_queues && !err; i++)
		if (l->queues[i].busy)
			err = load_reap(&l->queues[i]);
	return err;
}

unsigned int load_busy(const struct load *l)
{
	unsigned int i, n = 0;

	for (i = 0; i < l->num_queues; i++)
		if (l->queues[i].role == LOAD_ACTIVE)
			n += l->queues[i].busy;
	return n;
}

/* Whether there is something to wait for: not for buffers alone, when nothing more is wanted. */
static bool load_goes_on(const struct load *l)
{
	unsigned int i;

	if (!l->left && !load_busy(l))
		return false;

	for (i = 0; i < l->num_queues; i++)
		if (l->queues[i].busy)
			return true;
	return false;
}

int load_drive(struct load *l, uint64_t until)
{
	int err = 0;

	while (!err && l->now < until && !load_stopped(l) && load_goes_on(l))
		err = load_turn(l, until);
	return err;
}

int load_drain(struct load *l)
{
	int err = 0;

	l->left = 0;
	l->heard = load_clock();
	while (!err && load_busy(l))
		err = load_turn(l, UINT64_MAX);
	return err;
}

int64_t load_one(struct load_queue *q, struct load_slot *s)
{
	struct fe_ring *ring = &q->ring;
	uint32_t len;
	void *cookie;
	int err;

	err = fe_ring_add(ring, s->out, s->nout, s->in, s->nin, s);
	if (err >= 0) {
		fe_ring_submit(ring);
		err = fe_ring_wait(ring, q->load->params.timeout_ms);
	}
	if (!err)
		err = fe_ring_get(ring, &cookie, &len);
	if (err < 0)
		return load_fail(q->load, err, "a request on queue %u", ring->index);
	return len;
}

/*
 * Counters
 */

struct load_count load_count(const struct load *l)
{
	struct load_count c = { 0 };
	unsigned int i;

	for (i = 0; i < l->num_queues; i++) {
		const struct load_queue *q = &l->queues[i];
		bool active = q->role == LOAD_ACTIVE;

		c.requests += active ? q->done : 0;
		c.bytes += active ? q->bytes : 0;
		c.received += active ? 0 : q->done;
		c.received_bytes += active ? 0 : q->bytes;
		c.kicks += q->ring.stats.kicks;
		c.interrupts += q->ring.stats.interrupts;
	}
	return c;
}

void load_reset(struct load *l)
{
	unsigned int i;

	for (i = 0; i < l->num_queues; i++) {
		struct load_queue *q = &l->queues[i];

		q->done = q->bytes = 0;
		q->ring.stats = (struct fe_ring_stats){ 0 };
	}
}
