/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A queue's configuration: going live, changing while live, and stopping.
 *
 * A change is taken between two requests.  A stop is taken in two steps: the
 * device begins nothing new, and when its last request has come back and is
 * published, the round's end finishes the stop and reports.
 */
#include "queue.h"

#include <errno.h>
#include <event2/event.h>
#include <stdlib.h>
#include <sys/stat.h>

/* All slots of a queue keep about this many iovec elements for longer chains. */
#define QUEUE_CHAIN_ROOM (256 * 1024)

/* A request's private bytes are aligned as malloc() would. */
#define SLOT_ALIGN 64

/*
 * Kicks.  The eventfd is never read: its event is edge-triggered, and each write is an
 * edge.  That saves a system call for each kick.  A pipe would fill up, and is emptied.
 */

/* As many reads as empty a pipe of the usual size, 64 KiB. */
#define KICK_READS 256

static void queue_empty_fifo(int fd)
{
	char buf[256];
	struct iovec iov = { buf, sizeof(buf) };

	unsigned int i;

	/*
	 * O_NONBLOCK is shared with the front-end, which could take it away meanwhile.  Nor
	 * must it keep us here by writing on: what is left comes with the next edge.
	 */
	for (i = 0; i < KICK_READS; i++) {
		if (preadv2(fd, &iov, 1, -1, RWF_NOWAIT) != (ssize_t)sizeof(buf))
			return;
	}
}

static void queue_kick_event(evutil_socket_t fd, short what, void *arg)
{
	struct vhost_queue *q = arg;

	(void)what;
	if (q->kick_fifo)
		queue_empty_fifo(fd);
	queue_kicked(q);
}

void queue_unwatch_kick(struct vhost_queue *q)
{
	if (q->kick_ev)
		event_free(q->kick_ev);
	q->kick_ev = NULL;
}

static int queue_watch_kick(struct vhost_queue *q, int fd)
{
	struct stat st;

	queue_unwatch_kick(q);
	if (fd < 0 || q->broken)
		return 0;
	q->conf.kick_fd = -1;
	q->kick_fifo = !fstat(fd, &st) && S_ISFIFO(st.st_mode);
	q->kick_ev = event_new(vhost_worker_base(q->worker), fd, EV_READ | EV_PERSIST | EV_ET,
			       queue_kick_event, q);
	if (!q->kick_ev || event_add(q->kick_ev, NULL)) {
		queue_unwatch_kick(q);
		return -EINVAL;
	}
	q->conf.kick_fd = fd;
	return 0;
}

/*
 * Rings without kicks.  The front-end wants them polled; that need not burn a core: after some
 * looks in a row the queue rests for a while between two of them.
 */

static void queue_poll_event(evutil_socket_t fd, short what, void *arg)
{
	struct vhost_queue *q = arg;

	(void)fd, (void)what;
	worker_again(&q->round);
}

void queue_poll_later(struct vhost_queue *q)
{
	static const struct timeval rest = { 0, 1000 };

	if (q->poll_spins) {
		q->poll_spins--;
		worker_again(&q->round);
	} else {
		event_add(q->poll_ev, &rest);
	}
}

static int queue_watch_poll(struct vhost_queue *q, bool poll)
{
	if (poll && !q->poll_ev) {
		q->poll_ev = event_new(vhost_worker_base(q->worker), -1, 0, queue_poll_event, q);
		if (!q->poll_ev)
			return -ENOMEM;
		/* The driver's notifications would go nowhere. */
		q->ring.ops->disarm(&q->ring);
		q->ring_written = true;
		q->armed = false;
		q->poll_spins = QUEUE_POLL_SPINS;
	} else if (!poll && q->poll_ev) {
		event_free(q->poll_ev);
		q->poll_ev = NULL;
	}
	return 0;
}

/*
 * Memory for requests
 */

static struct slot *queue_slot(struct vhost_queue *q, unsigned int i)
{
	return (struct slot *)(q->slots + i * q->slot_size);
}

static void queue_free_slots(struct vhost_queue *q)
{
	unsigned int i;

	for (i = 0; q->slots && i < q->free_cnt; i++) {
		chain_free(&q->free[i]->chain);
		free(container_of(q->free[i], struct slot, ring)->slice);
	}
	free(q->slots);
	free(q->free);
	free(q->taken);
	free(q->done);
	free(q->since);
	q->slots = NULL;
	q->free = NULL;
	q->taken = NULL;
	q->done = NULL;
	q->since = NULL;
	q->free_cnt = 0;
}

static void queue_init_slot(struct vhost_queue *q, struct slot *s)
{
	s->req.queue = q;
	s->req.priv = (uint8_t *)s + ALIGN_UP(sizeof(*s), SLOT_ALIGN);
	chain_init(&s->ring.chain);
}

static unsigned int next_power_of_2(unsigned int n)
{
	return n <= 1 ? 1 : 1u << (32 - __builtin_clz(n - 1));
}

static int queue_alloc_slots(struct vhost_queue *q, unsigned int num)
{
	unsigned int i;

	q->slot_size = ALIGN_UP(ALIGN_UP(sizeof(struct slot), SLOT_ALIGN) + q->params.req_priv,
				SLOT_ALIGN);
	q->taken_mask = next_power_of_2(num) - 1;
	q->slots = line_calloc(num, q->slot_size);
	q->free = line_calloc(num, sizeof(q->free[0]));
	q->taken = line_calloc(q->taken_mask + 1, sizeof(q->taken[0]));
	q->done = line_calloc(num, sizeof(q->done[0]));
	q->since = q->params.timed ? line_calloc(num, sizeof(q->since[0])) : NULL;
	if (!q->slots || !q->free || !q->taken || !q->done || (q->params.timed && !q->since)) {
		queue_free_slots(q);
		return -ENOMEM;
	}
	for (i = 0; i < num; i++) {
		queue_init_slot(q, queue_slot(q, i));
		/* The first slot lies on top. */
		q->free[num - 1 - i] = &queue_slot(q, i)->ring;
	}
	q->free_cnt = num;
	q->chain_keep = MAX(QUEUE_CHAIN_ROOM / num, 32u);
	return 0;
}

/*
 * Memory of the guest
 */

static int queue_use_map(struct vhost_queue *q, struct mem_map *map)
{
	struct mem_hold *old = q->hold, *hold = line_calloc(1, sizeof(*hold));

	if (!hold)
		return -ENOMEM;
	mem_map_get(map);
	hold->map = map;
	q->hold = hold;
	q->env.map = map;
	chain_forget(&q->env);
	if (old)
		queue_drop_hold(q, old);
	return 0;
}

static void queue_leave_map(struct vhost_queue *q)
{
	struct mem_hold *old = q->hold;

	q->hold = NULL;
	q->env.map = NULL;
	chain_forget(&q->env);
	queue_drop_hold(q, old);
}

/*
 * Translations
 */

/*
 * Something was invalidated.  Requests which use it are awaited, while new ones find the
 * new state of things.
 */
static void queue_invalidate(struct vhost_queue *q, const struct iotlb_range *stale)
{
	unsigned int i;

	for (i = 0; i < q->conf.ring.num; i++) {
		struct slot *s = queue_slot(q, i);

		if (s->busy && !s->stale && chain_uses(&s->ring.chain, stale->first, stale->last)) {
			s->stale = true;
			q->stale_cnt++;
		}
	}
	/* Pushed but not published is not yet over for the driver either. */
	q->flushing = q->change.flushing = q->stale_cnt || q->done_cnt;
	if (q->flushing)
		worker_touch(&q->round);
}

/*
 * Start
 */

static int queue_start_inflight(struct vhost_queue *q, const struct queue_conf *next)
{
	const struct ring_conf *conf = &next->ring;
	bool packed = next->ops == &packed_ops;

	if (!conf->inflight)
		return 0;
	q->ring.inflight = inflight_new(conf->inflight, packed, conf->inflight_size);
	return q->ring.inflight ? 0 : -ENOMEM;
}

static void queue_start_ring(struct vhost_queue *q)
{
	const char *why;

	q->ring = (struct ring){
		.ops = q->conf.ops,
		.conf = q->conf.ring,
		.inflight = q->ring.inflight,
	};
	q->env.direct_max = q->conf.ring.num;
	q->env.indirect = q->conf.ring.indirect;
	q->env.packed = q->conf.ops == &packed_ops;
	q->ring_written = true;
	q->env.iotlb = q->conf.iotlb;
	chain_forget(&q->env);
	why = q->ring.ops->start(&q->ring);
	if (why)
		queue_break(q, why);
}

static int queue_call_start(struct vhost_queue *q)
{
	return q->params.ops->queue_start ? q->params.ops->queue_start(q) : 0;
}

static void queue_end_life(struct vhost_queue *q, const struct queue_conf *next)
{
	queue_unwatch_kick(q);
	queue_watch_poll(q, false);
	queue_log_leave(q);
	worker_leave(&q->round);
	queue_leave_map(q);
	queue_free_slots(q);
	inflight_free(q->ring.inflight);
	q->ring.inflight = NULL;
	q->conf = *next;
	q->conf.live = false;
	q->stopping = q->cancelling = q->want_kick = q->armed = q->parked = false;
	q->limited = false;
	q->misses = 0;
}

static int queue_start(struct vhost_queue *q, const struct queue_conf *next)
{
	int ret = queue_alloc_slots(q, next->ring.num);

	if (ret)
		return ret;
	ret = queue_start_inflight(q, next);
	if (!ret)
		ret = queue_use_map(q, next->map);
	if (ret) {
		inflight_free(q->ring.inflight);
		q->ring.inflight = NULL;
		queue_free_slots(q);
		return ret;
	}
	q->conf = *next;
	queue_choose_push(q);
	q->broken = false;
	q->order_seq = q->take_seq;
	q->quota = QUEUE_QUOTA;
	worker_join(q->worker, &q->round);
	queue_start_ring(q);
	ret = queue_watch_kick(q, next->kick_fd);
	if (!ret)
		ret = queue_watch_poll(q, next->poll);
	if (!ret)
		ret = queue_call_start(q);
	if (ret) {
		queue_end_life(q, next);
		return ret;
	}
	/* What the driver was told before the ring was stopped may have been lost on another fd. */
	queue_notify(q->conf.call_fd, q->conf.pipes);
	/* What the driver made available before does not come with a kick. */
	worker_again(&q->round);
	return 0;
}

/*
 * Change while live
 */

/* The ring's pointers move with the map; its positions stay. */
static int queue_move(struct vhost_queue *q, const struct queue_conf *next)
{
	int ret;

	if (next->map == q->conf.map)
		return 0;
	queue_publish(q);
	queue_log_leave(q);
	ret = queue_use_map(q, next->map);
	if (ret)
		return ret;
	q->ring.conf.desc = next->ring.desc;
	q->ring.conf.driver = next->ring.driver;
	q->ring.conf.device = next->ring.device;
	return 0;
}

static int queue_update(struct vhost_queue *q, const struct queue_conf *next)
{
	bool new_call = next->call_fd != q->conf.call_fd;
	bool new_err = next->err_fd != q->conf.err_fd;
	bool was_served = queue_served(q), was_enabled = q->conf.enabled;
	int ret;

	/* First, since it cannot fail: afterwards nobody uses what was replaced. */
	queue_log_take(q, &next->dirty);
	ret = queue_move(q, next);
	if (!ret && next->kick_fd != q->conf.kick_fd) {
		ret = queue_watch_kick(q, next->kick_fd);
		was_served = false;
	}
	/* At last: whoever is told to poll must be able to. */
	if (!ret)
		ret = queue_watch_poll(q, next->poll);
	if (ret)
		return ret;
	q->conf = *next;
	if (q->env.iotlb)
		chain_forget(&q->env);
	if (next->invalidate)
		queue_invalidate(q, &next->stale);
	queue_choose_push(q);
	/* What the previous fd was told may have been lost on it. */
	if (new_call)
		queue_signal(q, q->conf.call_fd, QUEUE_CALL);
	if (new_err && q->broken)
		queue_signal(q, q->conf.err_fd, QUEUE_ERR);
	if (queue_served(q) && (!was_served || was_enabled != q->conf.enabled))
		worker_again(&q->round);
	return 0;
}

/*
 * Stop
 */

static void queue_report(struct vhost_queue *q, int result);

/*
 * What was in flight at the start is for the front-end not waiting in the ring but begun, as
 * long as the ring runs; so a drain begins what is left, also if the ring is disabled now.
 */
static void queue_serve_again(struct vhost_queue *q)
{
	unsigned int left = q->ring.inflight ? inflight_left(q->ring.inflight) : 0;

	if (!left)
		return;
	q->conf.enabled = true;
	q->quota = left;
	if (queue_served(q))
		q->params.ops->kick(q);
}

static void queue_begin_stop(struct vhost_queue *q)
{
	enum queue_end end = q->change.next.end;
	const struct vhost_dev_ops *ops = q->params.ops;

	queue_unwatch_kick(q);
	if (end == QUEUE_FINISH)
		queue_serve_again(q);
	q->stopping = true;
	q->cancelling = end == QUEUE_CANCEL && ops->queue_cancel && q->ring.inflight;
	if (q->cancelling)
		ops->queue_cancel(q);
	else if (ops->queue_stop)
		ops->queue_stop(q);
	worker_touch(&q->round);
}

void queue_finish_stop(struct vhost_queue *q)
{
	q->change.base = q->ring.ops->base(&q->ring);
	queue_close_unordered(q);
	queue_end_life(q, &q->change.next);
	queue_report(q, 0);
}

/*
 * The way of a change
 */

static void queue_send_resume(struct vhost_queue *q);

/* On the control worker. */
static void queue_reported(struct vhost_work *work)
{
	struct queue_change *change = container_of(work, struct queue_change, work);
	struct vhost_queue *q = change->queue;

	q->changing = false;
	if (q->resume_due && change->next.live)
		queue_send_resume(q);
	q->resume_due = false;
	change->done(change);
}

static void queue_report(struct vhost_queue *q, int result)
{
	q->change.result = result;
	q->change.log_missed = q->log_missed;
	q->log_missed = false;
	if (q->worker == q->control) {
		queue_reported(&q->change.work);
		return;
	}
	q->change.work.fn = queue_reported;
	vhost_worker_post(q->control, &q->change.work);
}

/*
 * The driver's notification as a part of a change: its requests are served before the
 * change is reported.  More of them than one round may take come in the next rounds.
 */
static bool queue_begin_kick(struct vhost_queue *q)
{
	if (!q->conf.live || !q->change.next.kick)
		return false;
	q->kick_rounds = 1 + q->conf.ring.num / QUEUE_QUOTA;
	queue_kicked(q);
	worker_touch(&q->round);
	return true;
}

void queue_end_kick(struct vhost_queue *q)
{
	if (--q->kick_rounds && q->round.again)
		return;
	q->kick_rounds = 0;
	queue_report(q, 0);
}

static void queue_apply(struct vhost_work *work)
{
	struct queue_change *change = container_of(work, struct queue_change, work);
	struct vhost_queue *q = change->queue;
	int result = 0;

	change->flushing = false;
	if (q->conf.live && !change->next.live) {
		queue_begin_stop(q);
		return;
	}
	if (!change->next.live)
		q->conf = change->next;
	else if (!q->conf.live)
		result = queue_start(q, &change->next);
	else
		result = queue_update(q, &change->next);
	if (result || !queue_begin_kick(q))
		queue_report(q, result);
}

void queue_change(struct vhost_queue *q, void (*done)(struct queue_change *change))
{
	q->change.done = done;
	q->changing = true;
	if (q->worker == q->control) {
		queue_apply(&q->change.work);
		return;
	}
	q->change.work.fn = queue_apply;
	vhost_worker_post(q->worker, &q->change.work);
}

/*
 * News for the control worker, and its answer
 */

static void queue_deliver_news(struct vhost_work *work)
{
	struct vhost_queue *q = container_of(work, struct vhost_queue, news_work);

	q->params.news(q, atomic_exchange_explicit(&q->news, 0, memory_order_acq_rel));
}

void queue_tell(struct vhost_queue *q, unsigned int news)
{
	/* Whoever finds nothing on its way sends it; the rest goes along. */
	if (atomic_fetch_or_explicit(&q->news, news, memory_order_acq_rel))
		return;
	q->news_work.fn = queue_deliver_news;
	if (q->worker == q->control)
		queue_deliver_news(&q->news_work);
	else
		vhost_worker_post(q->control, &q->news_work);
}

static void queue_resumed(struct vhost_work *work)
{
	struct vhost_queue *q = container_of(work, struct vhost_queue, resume_work);

	if (!q->parked)
		return;		/* it has stopped meanwhile */
	q->parked = false;
	if (q->miss_result)
		queue_break(q, q->miss_result);
	else
		worker_again(&q->round);
}

static void queue_send_resume(struct vhost_queue *q)
{
	q->resume_work.fn = queue_resumed;
	if (q->worker == q->control)
		queue_resumed(&q->resume_work);
	else
		vhost_worker_post(q->worker, &q->resume_work);
}

/*
 * Behind a change which stops the queue nothing may be on its way to it: when that one has come
 * back the queue may be gone.  So this waits for a change which was sent before, and a queue which
 * has stopped waits for nothing.
 */
void queue_resume(struct vhost_queue *q, const char *why)
{
	q->miss_result = why;
	if (q->changing)
		q->resume_due = true;
	else if (q->change.next.live)
		queue_send_resume(q);
}

void queue_init(struct vhost_queue *q, const struct queue_params *params)
{
	*q = (struct vhost_queue){
		.params = *params,
		.round.ops = &queue_round_ops,
		.change.queue = q,
		.conf = { .kick_fd = -1, .call_fd = -1, .err_fd = -1 },
	};
}
