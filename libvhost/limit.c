/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Queues which are paused, and limits on how fast requests are popped.
 *
 * A limit is two clocks, of requests and of bytes (limit_clock.c).  While one of them is ahead of
 * the time, nothing is let through, and the queue's timer is set to when it is not any more.  That
 * may come late: timers are in milliseconds, and the worker has other work, or no processor.  Who
 * has waited, and who comes soon after, finds what the time could have given, whatever the burst.
 *
 * The clocks are under a lock, since queues of several workers may share them.
 */
#include <errno.h>
#include <event2/event.h>
#include <pthread.h>
#include <stdlib.h>

#include "limit_clock.h"
#include "queue.h"

/* How long after somebody had to wait who comes has not been away, in ns. */
#define LIMIT_GRACE UINT64_C(100000000)

struct vhost_limit {
	pthread_mutex_t lock;
	/* under it */
	struct limit_clock requests, bytes;
	uint64_t overhead;		/* bytes */
	uint64_t waited;		/* ns: who waited latest did so until then; 0: nobody yet */
};

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
	limit->waited = 0;
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
	q->limited = false;
	/* What waits may have waited long enough. */
	vhost_queue_again(q);
	return 0;
}

/* Let one through at this time, or tell how long to wait, in ns.  Under the lock. */
static uint64_t limit_try(struct vhost_limit *limit, uint64_t now, bool waited)
{
	uint64_t wait = clock_wait(&limit->requests, now);
	uint64_t wait_bytes = clock_wait(&limit->bytes, now);
	bool late;

	wait = MAX(wait, wait_bytes);
	if (wait || waited)
		limit->waited = now + wait;
	if (wait)
		return wait;
	late = limit->waited && now < limit->waited + LIMIT_GRACE;
	/* Of both, since the bytes are charged as of now, too. */
	clock_forget(&limit->requests, now, late);
	clock_forget(&limit->bytes, now, late);
	clock_charge(&limit->requests, 1);
	return 0;
}

bool limit_take(struct vhost_queue *q)
{
	struct vhost_limit *limit = q->limit;
	struct timeval tv;
	uint64_t wait;

	pthread_mutex_lock(&limit->lock);
	wait = limit_try(limit, worker_now(), q->limited);
	pthread_mutex_unlock(&limit->lock);
	q->limited = wait;
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
	clock_charge(&limit->bytes, limit_bytes(limit, bytes));
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
	q->limited = false;
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
