/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A queue at work: taking requests, giving them back, and when to notify.
 *
 * vhost_queue_pop() takes chains into slots; vhost_req_push() only notes the
 * chain in done[].  queue_round_end() does the rest once per round: it publishes
 * done[], signals if the driver wants it, and asks for kicks if the device found
 * the ring empty.  How a queue starts, changes and stops is in queue_conf.c.
 */
#include "queue.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "iov.h"
#include "pipe.h"
#include "probe.h"

void queue_notify(int fd, bool pipe)
{
	const uint64_t one = 1;

	/* A full counter or a dead peer is no concern of ours. */
	if (fd >= 0 && (unlikely(pipe) ? pipe_write(fd, &one, sizeof(one)) :
					 write(fd, &one, sizeof(one))) < 0)
		return;
}

void queue_signal(struct vhost_queue *q, int fd, unsigned int news)
{
	if (likely(fd >= 0))
		queue_notify(fd, q->conf.pipes);
	else if (q->conf.inband)
		queue_tell(q, news);
}

bool queue_served(const struct vhost_queue *q)
{
	return q->conf.live && !q->broken && !q->stopping && !q->paused &&
	       (q->conf.enabled || q->params.serve_disabled);
}

/*
 * Breaking
 */

void queue_break(struct vhost_queue *q, const char *why)
{
	if (q->broken || !q->conf.live)
		return;
	q->broken = true;
	q->stats.breaks++;
	queue_log(q, VHOST_LOG_WARN, "broken: %s", why);
	/* Its kicks have nothing to say any more. */
	queue_unwatch_kick(q);
	queue_tell(q, QUEUE_BROKE);
	queue_signal(q, q->conf.err_fd, QUEUE_ERR);
}

void vhost_queue_fail(struct vhost_queue *q, const char *fmt, ...)
{
	char why[256];
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(why, sizeof(why), fmt, ap);
	va_end(ap);
	queue_break(q, why);
}

/*
 * Slots
 */

void queue_drop_hold(struct vhost_queue *q, struct mem_hold *hold)
{
	if (hold->reqs || hold == q->hold)
		return;
	mem_map_put(hold->map);
	free(hold);
}

static struct slot *slot_of(const struct vhost_req *req)
{
	return container_of(req, struct slot, req);
}

/* The device writes up to this byte of the request's in part. */
static void slot_touch(struct slot *s, size_t end)
{
	s->touched = MAX(s->touched, end);
}

/* The n slots on top of the stack, whose chains were filled just now, become requests. */
static inline __attribute__((always_inline)) void
queue_open_slots(struct vhost_queue *q, struct vhost_req **reqs, unsigned int n)
{
	unsigned int i;

	for (i = 0; i < n; i++) {
		struct slot *s = container_of(q->free[--q->free_cnt], struct slot, ring);
		const struct chain *c = &s->ring.chain;

		s->req.out = c->iov;
		s->req.out_cnt = c->out_cnt;
		s->req.out_len = c->out_len;
		s->req.in = c->iov + c->out_cnt;
		s->req.in_cnt = c->in_cnt;
		s->req.in_len = c->in_len;
		s->hold = q->hold;
		s->touched = 0;
		s->since = q->popped_at;
		s->busy = true;
		q->taken[q->take_seq++ & q->taken_mask] = s;
		reqs[i] = &s->req;
		PROBE5(pop, q->params.name, q->params.index, &s->req, c->out_len, c->in_len);
	}
	q->hold->reqs += n;
	q->outstanding += n;
}

/* The device has nothing to do with it any more. */
static void queue_end_request(struct vhost_queue *q, struct slot *s)
{
	assert(s->busy);
	s->busy = false;
	if (unlikely(s->stale)) {
		s->stale = false;
		q->stale_cnt--;
	}
	q->outstanding--;
}

/* A part of each push. */
static inline __attribute__((always_inline)) void queue_close_slot(struct vhost_queue *q,
								   struct slot *s)
{
	s->hold->reqs--;
	if (unlikely(s->hold != q->hold))
		queue_drop_hold(q, s->hold);
	chain_shrink(&s->ring.chain, q->chain_keep);
	q->free[q->free_cnt++] = &s->ring;
}

/*
 * Taking
 */

/* More misses than that for one chain: its translations displace each other. */
#define QUEUE_MISSES_MAX (2 * IOTLB_MAX)

/*
 * A translation is missing.  The chain stays in the ring until the control worker says how
 * that went.
 */
static void queue_park(struct vhost_queue *q)
{
	/* A request has been taken since: it is another chain. */
	if (q->missed_at != q->take_seq)
		q->misses = 0;
	q->missed_at = q->take_seq;
	if (q->misses++ >= QUEUE_MISSES_MAX) {
		queue_break(q, "a descriptor chain needs too many translations");
		return;
	}
	q->parked = true;
	q->miss = q->env.missing;
	queue_tell(q, QUEUE_MISS);
}

static __attribute__((noinline)) void queue_take_failed(struct vhost_queue *q, const char *why)
{
	if (why == CHAIN_MISS)
		queue_park(q);
	else
		queue_break(q, why);
}

/*
 * Take one chain, which is there, and whatever it is.  False: it makes no sense, and the queue is
 * broken now; or it has to wait.
 */
static bool queue_take(struct vhost_queue *q, struct vhost_req **req)
{
	struct ring_req *top = q->free[q->free_cnt - 1];
	const char *why = q->ring.ops->take(&q->ring, &top->chain, &q->env, &top->elem);

	if (unlikely(why)) {
		queue_take_failed(q, why);
		return false;
	}
	queue_open_slots(q, req, 1);
	return true;
}

/* How many chains can be taken now, at most max. */
static unsigned int queue_ready(struct vhost_queue *q, unsigned int max)
{
	int ready = q->ring.ops->avail(&q->ring, max);

	if (unlikely(ready < 0)) {
		queue_break(q, "the driver's index makes no sense");
		return 0;
	}
	return MIN(MIN((unsigned int)ready, max), q->free_cnt);
}

/* The device has less than it wanted: when shall it be kicked? */
static void queue_came_short(struct vhost_queue *q)
{
	if (!q->quota)
		worker_again(&q->round);
	else
		q->want_kick = true;
}

static void queue_disarm(struct vhost_queue *q)
{
	q->ring.ops->disarm(&q->ring);
	q->ring_written = true;
	q->armed = false;
}

/* The device is busy: it looks at the ring without being told. */
static void queue_has_work(struct vhost_queue *q)
{
	q->poll_spins = QUEUE_POLL_SPINS;
	if (q->armed)
		queue_disarm(q);
}

/* Take up to max as fast as the limit allows; *max: how many it let through. */
static unsigned int queue_take_limited(struct vhost_queue *q, struct vhost_req **reqs,
				       unsigned int ready, unsigned int *max)
{
	unsigned int n = 0;

	while (n < ready) {
		if (!limit_take(q)) {
			*max = n;
			break;
		}
		if (!queue_take(q, &reqs[n])) {
			limit_give_back(q, 0);
			break;
		}
		limit_charge(q, reqs[n]->out_len + reqs[n]->in_len);
		n++;
	}
	return n;
}

/* Take up to max: those of the usual kind together, and from the first other one on each by itself. */
static unsigned int queue_take_all(struct vhost_queue *q, struct vhost_req **reqs, unsigned int max)
{
	unsigned int ready, n;

	n = q->ring.ops->take_usual(&q->ring, q->free + q->free_cnt, &q->env, max);
	queue_open_slots(q, reqs, n);
	if (n == max)
		return n;
	ready = n + queue_ready(q, max - n);
	while (n < ready && queue_take(q, &reqs[n]))
		n++;
	return n;
}

/*
 * How many chains to try to take, at most max.  To count them is worth it only where it matters
 * before they are taken.
 */
static unsigned int queue_look(struct vhost_queue *q, unsigned int max)
{
	bool counts = q->env.tables || unlikely(q->limit);
	unsigned int ready = queue_ready(q, counts ? max : MIN(max, 1));

	return counts || !ready ? ready : max;
}

unsigned int vhost_queue_pop(struct vhost_queue *q, struct vhost_req **reqs, unsigned int max)
{
	unsigned int ready, n = 0;

	/* A parked queue's device is kicked when it asks for that: it may have other work. */
	if (unlikely(!queue_served(q) || q->parked))
		return 0;
	ready = queue_look(q, MIN(MIN(max, q->quota), q->free_cnt));
	if (ready > 1 && q->env.tables)
		q->ring.ops->prefetch(&q->ring, &q->env, ready);
	if (unlikely(q->params.timed) && ready)
		q->popped_at = worker_now();
	if (unlikely(q->limit))
		n = queue_take_limited(q, reqs, ready, &max);
	else if (ready)
		n = queue_take_all(q, reqs, ready);
	q->quota -= n;
	q->stats.requests += n;
	if (n)
		queue_has_work(q);
	q->want_kick = false;
	if (n < max)
		queue_came_short(q);
	worker_touch(&q->round);
	return n;
}

void vhost_queue_unpop(struct vhost_queue *q, unsigned int n)
{
	/* Of a queue which has never run there is nothing to give back, nor a worker. */
	if (!n)
		return;
	q->stats.requests -= n;
	q->quota += n;
	/* The device knows that these are there, and what it waits for before it pops them. */
	q->want_kick = false;
	while (n--) {
		struct slot *s = q->taken[--q->take_seq & q->taken_mask];

		q->ring.ops->untake(&q->ring, &s->ring.elem);
		if (unlikely(q->limit))
			limit_give_back(q, s->req.out_len + s->req.in_len);
		if (unlikely(q->conf.dirty.on))
			queue_log_request(q, s, 0);
		queue_end_request(q, s);
		queue_close_slot(q, s);
	}
	worker_touch(&q->round);
}

/*
 * Giving back
 */

/* A driver which polls can go on with these while we do the rest; who sleeps is told once only. */
static __attribute__((noinline)) void queue_publish_early(struct vhost_queue *q)
{
	/* What he sends in return will be looked for. */
	if (unlikely(q->armed) && worker_polls(q->worker))
		queue_disarm(q);
	q->ring.ops->publish(&q->ring, q->done, q->done_cnt);
	if (unlikely(q->params.timed))
		latency_note(q);
	q->ring_written = true;
	q->done_cnt = 0;
	q->untold = true;
	q->gave = true;
}

/*
 * The length comes in a register: to store it in the slot's elem and to copy that at once would be
 * a load of several stores' bytes, which has to wait until all stores before, those of a packet
 * too, have reached the cache.
 */
static inline __attribute__((always_inline)) void queue_done(struct vhost_queue *q, struct slot *s,
							     uint32_t len)
{
	struct ring_elem *done = &q->done[q->done_cnt];

	if (unlikely(q->params.timed))
		q->since[q->done_cnt] = s->since;
	*done = s->ring.elem;
	done->len = len;
	q->done_cnt++;
	queue_close_slot(q, s);
}

/* Something is done: perhaps enough to be published. */
static inline void queue_note_done(struct vhost_queue *q)
{
	if (unlikely(q->done_cnt >= QUEUE_EARLY))
		queue_publish_early(q);
	worker_touch(&q->round);
}

/*
 * VIRTIO_F_IN_ORDER: in the order of taking.  A request which was pushed before an older one
 * keeps its slot until that one comes.
 */
static void queue_done_in_order(struct vhost_queue *q)
{
	for (; q->order_seq != q->take_seq; q->order_seq++) {
		struct slot *s = q->taken[q->order_seq & q->taken_mask];

		if (s->busy)
			return;
		queue_done(q, s, s->ring.elem.len);
	}
}

/* With all that a push may have to do besides. */
static __attribute__((noinline)) void queue_push_carefully(struct vhost_queue *q, struct slot *s,
							   uint32_t len)
{
	s->ring.elem.len = len;
	if (q->conf.dirty.on)
		queue_log_request(q, s, len);
	queue_end_request(q, s);
	if (q->conf.in_order)
		queue_done_in_order(q);
	else
		queue_done(q, s, len);
	queue_note_done(q);
}

void queue_choose_push(struct vhost_queue *q)
{
	q->careful = q->conf.dirty.on || q->conf.in_order || q->stale_cnt;
}

void vhost_req_push(struct vhost_req *req, size_t len)
{
	struct vhost_queue *q = req->queue;
	struct slot *s = slot_of(req);
	uint32_t written = (uint32_t)MIN(len, req->in_len);

	q->stats.bytes += s->ring.chain.out_len + written;
	PROBE5(push, q->params.name, q->params.index, req, written, q->outstanding);
	if (unlikely(q->careful)) {
		queue_push_carefully(q, s, written);
		return;
	}
	assert(s->busy);
	s->busy = false;
	q->outstanding--;
	queue_done(q, s, written);
	queue_note_done(q);
}

void vhost_queue_push(struct vhost_queue *q, struct vhost_req *const *reqs, const size_t *lens,
		      unsigned int n)
{
	uint64_t bytes = 0;
	unsigned int i;

	for (i = 0; i < n && !q->careful; i++) {
		struct slot *s = slot_of(reqs[i]);
		uint32_t written = lens ? (uint32_t)MIN(lens[i], reqs[i]->in_len) : 0;

		bytes += s->ring.chain.out_len + written;
		PROBE5(push, q->params.name, q->params.index, reqs[i], written, q->outstanding - i);
		assert(s->busy);
		s->busy = false;
		queue_done(q, s, written);
	}
	q->outstanding -= i;
	q->stats.bytes += bytes;
	queue_note_done(q);
	for (; i < n; i++)
		vhost_req_push(reqs[i], lens ? lens[i] : 0);
}

/*
 * With VIRTIO_F_IN_ORDER nothing behind it can be published any more: it stays busy and keeps its
 * slot, and what is pushed behind it stays in flight as well.
 */
void vhost_req_abandon(struct vhost_req *req)
{
	struct vhost_queue *q = req->queue;
	struct slot *s = slot_of(req);

	/* At other times nobody would ever serve it. */
	assert(q->cancelling && s->busy);
	if (unlikely(q->conf.dirty.on))
		queue_log_request(q, s, 0);
	if (unlikely(q->conf.in_order)) {
		q->outstanding--;
	} else {
		queue_end_request(q, s);
		queue_close_slot(q, s);
	}
	worker_touch(&q->round);
}

void queue_close_unordered(struct vhost_queue *q)
{
	for (; q->conf.in_order && q->order_seq != q->take_seq; q->order_seq++) {
		struct slot *s = q->taken[q->order_seq & q->taken_mask];

		s->busy = false;
		queue_close_slot(q, s);
	}
}

void queue_publish(struct vhost_queue *q)
{
	if (q->done_cnt)
		queue_publish_early(q);
	if (!q->untold)
		return;
	q->untold = false;
	if ((q->conf.call_fd < 0 && !q->conf.inband) || !q->ring.ops->signal_needed(&q->ring)) {
		q->stats.suppressed++;
		return;
	}
	q->stats.signals++;
	PROBE2(signal, q->params.name, q->params.index);
	queue_signal(q, q->conf.call_fd, QUEUE_CALL);
}

void vhost_queue_flush(struct vhost_queue *q)
{
	queue_publish(q);
}

/*
 * Rounds
 */

void vhost_queue_again(struct vhost_queue *q)
{
	if (q->conf.live)
		worker_again(&q->round);
}

static void queue_kick_device(struct vhost_queue *q)
{
	if (queue_served(q))
		q->params.ops->kick(q);
}

void queue_kicked(struct vhost_queue *q)
{
	q->stats.kicks++;
	PROBE2(kick, q->params.name, q->params.index);
	queue_kick_device(q);
}

/* Ask the driver for kicks; what slipped in before it knew is served in the next round. */
static void queue_arm(struct vhost_queue *q)
{
	if (q->armed || !q->want_kick || q->parked || !queue_served(q))
		return;
	if (q->conf.poll) {
		queue_poll_later(q);
		return;
	}
	q->armed = true;
	q->ring_written = true;
	if (q->ring.ops->arm(&q->ring))
		worker_again(&q->round);
}

static void queue_round_again(struct round_member *m)
{
	struct vhost_queue *q = container_of(m, struct vhost_queue, round);

	queue_kick_device(q);
	if (unlikely(q->kick_rounds))
		worker_touch(m);
}

/* What the round, which begins anew with that, was for the driver. */
static enum round_result queue_close_round(struct vhost_queue *q)
{
	enum round_result result = q->quota < QUEUE_QUOTA ? ROUND_TOOK : ROUND_NOTHING;

	queue_publish(q);
	if (q->gave)
		result = ROUND_GAVE;
	q->gave = false;
	q->quota = QUEUE_QUOTA;
	return result;
}

static enum round_result queue_round_end(struct round_member *m)
{
	struct vhost_queue *q = container_of(m, struct vhost_queue, round);
	enum round_result result = queue_close_round(q);

	if (unlikely(q->pause_done))
		pause_end_round(q);
	if (unlikely(q->flushing && !q->stale_cnt)) {
		q->flushing = false;
		queue_choose_push(q);
		queue_tell(q, QUEUE_FLUSHED);
	}
	if (unlikely(q->kick_rounds))
		queue_end_kick(q);
	/* A stop may have begun just now, with what was told: then what came back is not published. */
	if (q->stopping && !q->outstanding && !q->done_cnt) {
		/* All is in the log by then, and afterwards the queue may be gone. */
		queue_finish_stop(q);
		return result;
	}
	if (!worker_polls(q->worker))
		queue_arm(q);
	queue_log_round(q);
	return result;
}

static bool queue_round_poll(struct round_member *m)
{
	struct vhost_queue *q = container_of(m, struct vhost_queue, round);

	if (!q->want_kick || q->parked || !queue_served(q))
		return false;
	if (!queue_ready(q, 1)) {
		q->stats.poll_misses++;
		return false;
	}
	q->stats.poll_hits++;
	queue_kick_device(q);
	return true;
}

static void queue_round_rest(struct round_member *m)
{
	struct vhost_queue *q = container_of(m, struct vhost_queue, round);

	queue_arm(q);
	queue_log_round(q);
}

const struct round_ops queue_round_ops = {
	.again = queue_round_again,
	.end = queue_round_end,
	.poll = queue_round_poll,
	.rest = queue_round_rest,
};

/*
 * Requests
 */

size_t vhost_req_read(const struct vhost_req *req, size_t off, void *buf, size_t n)
{
	return iov_read(req->out, req->out_cnt, off, buf, n);
}

size_t vhost_req_write(const struct vhost_req *req, size_t off, const void *buf, size_t n)
{
	size_t done;

	/* A status, mostly: what ends the request, within its last element. */
	if (likely(req->in_cnt && n == 1 && off == req->in_len - 1)) {
		const struct iovec *last = &req->in[req->in_cnt - 1];

		*((uint8_t *)last->iov_base + last->iov_len - 1) = *(const uint8_t *)buf;
		slot_touch(slot_of(req), req->in_len);
		return 1;
	}
	done = iov_write(req->in, req->in_cnt, off, buf, n);
	if (done)
		slot_touch(slot_of(req), off + done);
	return done;
}

/* The elements which hold exactly [off, off + n), when no element is cut; else NULL. */
static const struct iovec *slice_whole(const struct iovec *iov, unsigned int cnt, size_t off,
				       size_t n, unsigned int *used)
{
	const struct iovec *first;

	for (; cnt && off; cnt--, iov++) {
		if (off < iov->iov_len)
			return NULL;
		off -= iov->iov_len;
	}
	for (first = iov; cnt && n; cnt--, iov++) {
		if (n < iov->iov_len)
			return NULL;
		n -= iov->iov_len;
	}
	*used = (unsigned int)(iov - first);
	return n ? NULL : first;
}

static bool slot_grow_slice(struct slot *s, unsigned int cap)
{
	struct iovec *slice;

	if (cap <= s->slice_cap)
		return true;
	slice = realloc(s->slice, cap * sizeof(*slice));
	if (!slice)
		return false;
	s->slice = slice;
	s->slice_cap = cap;
	return true;
}

const struct iovec *vhost_req_slice(struct vhost_req *req, enum vhost_dir dir, size_t off,
				    size_t n, unsigned int *cnt)
{
	const struct iovec *iov = dir == VHOST_OUT ? req->out : req->in, *whole;
	unsigned int iov_cnt = dir == VHOST_OUT ? req->out_cnt : req->in_cnt;
	size_t len = dir == VHOST_OUT ? req->out_len : req->in_len;
	struct slot *s = slot_of(req);

	*cnt = 0;
	if (unlikely(off > len || n > len - off))
		return NULL;
	if (dir == VHOST_IN && n)
		slot_touch(s, off + n);
	whole = slice_whole(iov, iov_cnt, off, n, cnt);
	if (whole)
		return whole;
	if (!slot_grow_slice(s, iov_cnt))
		return NULL;
	*cnt = iov_slice(s->slice, s->slice_cap, iov, iov_cnt, off, n);
	return s->slice;
}

/*
 * Looking
 */

unsigned int vhost_queue_index(const struct vhost_queue *q)
{
	return q->params.index;
}

struct vhost_dev *vhost_queue_dev(const struct vhost_queue *q)
{
	return q->params.dev;
}

struct vhost_worker *vhost_queue_worker(const struct vhost_queue *q)
{
	return q->worker;
}

void *vhost_queue_opaque(const struct vhost_queue *q)
{
	return vhost_dev_opaque(q->params.dev);
}

unsigned int vhost_queue_size(const struct vhost_queue *q)
{
	return q->conf.live ? q->conf.ring.num : 0;
}

bool vhost_queue_enabled(const struct vhost_queue *q)
{
	return q->conf.live && q->conf.enabled;
}

unsigned int vhost_queue_outstanding(const struct vhost_queue *q)
{
	return q->outstanding;
}

void vhost_queue_stats(const struct vhost_queue *q, struct vhost_queue_stats *stats)
{
	*stats = q->stats;
}
