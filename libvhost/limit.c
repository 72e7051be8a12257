/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Queues which are paused, and limits on how fast requests are popped.
 *
 * A limit is two clocks, of requests and of bytes.  Each request moves them on by what it costs
 * at the rate allowed; while one of them is ahead of the time, nothing is let through, and the
 * queue's timer is set to when it is not any more.  A clock which has fallen behind is credit,
 * and the burst says how far it may.  So late timers cost nothing of the rate, and what a large
 * request costs too much is paid by the next ones.
 *
 * The clocks are under a lock, since queues of several workers may share them.
 */
#include <errno.h>
#include <event2/event.h>
#include <pthread.h>
#include <stdlib.h>

#include "queue.h"

#define SECOND UINT64_C(1000000000)

/* The burst by default: what comes in this time, in ns. */
#define BURST (SECOND / 10)

struct limit_clock {
	uint64_t rate;			/* a second; 0: no limit */
	uint64_t burst;			/* ns */
	uint64_t at;			/* ns, as CLOCK_MONOTONIC */
};

struct vhost_limit {
	pthread_mutex_t lock;
	/* under it */
	struct limit_clock requests, bytes;
	uint64_t overhead;		/* bytes */
};

/*
 * Clocks
 */

/* So many of them at this rate, in ns; as good as never if that is beyond all measure. */
static uint64_t clock_cost(uint64_t rate, uint64_t n)
{
	unsigned __int128 ns = (unsigned __int128)n * SECOND / rate;

	return ns > UINT64_MAX / 4 ? UINT64_MAX / 4 : (uint64_t)ns;
}

/* Time until it lets through more, in ns. */
static uint64_t clock_wait(const struct limit_clock *clock, uint64_t now)
{
	return clock->rate && clock->at > now ? clock->at - now : 0;
}

static void clock_charge(struct limit_clock *clock, uint64_t now, uint64_t n)
{
	if (!clock->rate)
		return;
	clock->at = MAX(clock->at, now > clock->burst ? now - clock->burst : 0) +
		    clock_cost(clock->rate, n);
}

static void clock_give_back(struct limit_clock *clock, uint64_t n)
{
	uint64_t cost = clock->rate ? clock_cost(clock->rate, n) : 0;

	clock->at -= MIN(cost, clock->at);
}

static void clock_set(struct limit_clock *clock, uint64_t rate, uint64_t burst, uint64_t now)
{
	*clock = (struct limit_clock){ .rate = rate, .at = now };
	if (!rate)
		return;
	/* The first of a burst is for free. */
	clock->burst = burst ? clock_cost(rate, burst - 1) : BURST;
}

/*
 * Limits
 */

int vhost_limit_new(struct vhost_limit **result)
{
	struct vhost_limit *limit = calloc(1, sizeof(*limit));

	if (!limit)
		return -ENOMEM;
	pthread_mutex_init(&limit->lock, NULL);
	*result = limit;
	return 0;
}

void vhost_limit_free(struct vhost_limit *limit)
{
	pthread_mutex_destroy(&limit->lock);
	free(limit);
}

void vhost_limit_set(struct vhost_limit *limit, const struct vhost_limit_params *params)
{
	uint64_t now = worker_now();

	pthread_mutex_lock(&limit->lock);
	clock_set(&limit->requests, params->requests, params->requests_burst, now);
	clock_set(&limit->bytes, params->bytes, params->bytes_burst, now);
	limit->overhead = params->overhead;
	pthread_mutex_unlock(&limit->lock);
}

static void limit_event(evutil_socket_t fd, short what, void *arg)
{
	(void)fd, (void)what;
	vhost_queue_again(arg);
}

int vhost_queue_set_limit(struct vhost_queue *q, struct vhost_limit *limit)
{
	if (limit && !q->worker)
		return -EINVAL;
	if (limit && !q->limit_ev) {
		q->limit_ev = event_new(vhost_worker_base(q->worker), -1, 0, limit_event, q);
		if (!q->limit_ev)
			return -ENOMEM;
	} else if (!limit && q->limit_ev) {
		event_free(q->limit_ev);
		q->limit_ev = NULL;
	}
	q->limit = limit;
	/* What waits may have waited long enough. */
	vhost_queue_again(q);
	return 0;
}

bool limit_take(struct vhost_queue *q)
{
	struct vhost_limit *limit = q->limit;
	uint64_t now = worker_now(), wait, wait_bytes;
	struct timeval tv;

	pthread_mutex_lock(&limit->lock);
	wait = clock_wait(&limit->requests, now);
	wait_bytes = clock_wait(&limit->bytes, now);
	wait = MAX(wait, wait_bytes);
	if (!wait)
		clock_charge(&limit->requests, now, 1);
	pthread_mutex_unlock(&limit->lock);
	if (!wait)
		return true;
	wait = wait / 1000 + 1;
	tv = (struct timeval){ (time_t)(wait / 1000000), (suseconds_t)(wait % 1000000) };
	event_add(q->limit_ev, &tv);
	return false;
}

/* What counts of them.  Under the lock. */
static uint64_t limit_bytes(const struct vhost_limit *limit, uint64_t bytes)
{
	return bytes - MIN(bytes, limit->overhead);
}

void limit_charge(struct vhost_queue *q, uint64_t bytes)
{
	struct vhost_limit *limit = q->limit;

	pthread_mutex_lock(&limit->lock);
	clock_charge(&limit->bytes, worker_now(), limit_bytes(limit, bytes));
	pthread_mutex_unlock(&limit->lock);
}

void limit_give_back(struct vhost_queue *q, uint64_t bytes)
{
	struct vhost_limit *limit = q->limit;

	pthread_mutex_lock(&limit->lock);
	clock_give_back(&limit->requests, 1);
	clock_give_back(&limit->bytes, limit_bytes(limit, bytes));
	pthread_mutex_unlock(&limit->lock);
}

/*
 * Pauses
 */

static void pause_told(struct vhost_queue *q)
{
	void (*done)(struct vhost_queue *q, void *arg) = q->pause_done;

	q->pause_done = NULL;
	done(q, q->pause_arg);
}

void pause_end_round(struct vhost_queue *q)
{
	if (!q->outstanding && !q->done_cnt)
		pause_told(q);
}

void vhost_queue_pause(struct vhost_queue *q, void (*done)(struct vhost_queue *q, void *arg),
		       void *arg)
{
	q->paused = true;
	q->pause_done = done;
	q->pause_arg = arg;
	if (!q->outstanding && !q->done_cnt)
		pause_told(q);
}

void vhost_queue_resume(struct vhost_queue *q)
{
	q->paused = false;
	q->pause_done = NULL;
	vhost_queue_again(q);
}
