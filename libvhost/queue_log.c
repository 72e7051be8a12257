/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What a queue writes to guest memory is logged, for a migration.
 *
 * Requests are logged when they go back, by the guest addresses of what was written, which are
 * found from our addresses in the map under which the request was taken; so it does not matter
 * how the driver's addresses were translated.  The ring's own memory is logged at the end of a
 * round, and before it is left.
 *
 * VHOST_F_LOG_ALL can be negotiated before there is a log, and a front-end which starts its rings
 * anew may use another log by then.  Nothing may be lost meanwhile.  The ring's memory stays
 * marked as written until it is in a log that counts; if a request was written, log_missed
 * travels to the control worker with the next change, and the new log gets all pages.
 */
#include "queue.h"

static bool dirty_counts(const struct dirty_conf *c)
{
	return c->log && !c->stale;
}

static void queue_mark(struct vhost_queue *q, uint64_t gpa, uint64_t len)
{
	if (!dirty_mark(q->conf.dirty.log, gpa, len))
		queue_break(q, "it writes to pages beyond the front-end's log");
	q->log_marked = true;
}

static void queue_mark_va(struct vhost_queue *q, const struct mem_map *map, const void *va,
			  uint64_t len)
{
	uint64_t gpa;

	/* What chain.c and ring_setup.c have found lies within one region of its map. */
	if (mem_find_gpa(map, &q->log_hit, va, &gpa))
		queue_mark(q, gpa, len);
	else
		queue_break(q, "it writes to pages which are no guest memory");
}

void queue_log_request(struct vhost_queue *q, const struct slot *s, size_t len)
{
	const struct iovec *in = s->req.in;

	len = MAX(len, s->touched);
	if (len && !dirty_counts(&q->conf.dirty))
		q->log_missed = true;
	if (!q->conf.dirty.log)
		return;
	while (len) {
		size_t n = MIN(len, in->iov_len);

		queue_mark_va(q, s->hold->map, in->iov_base, n);
		len -= n;
		in++;
	}
}

static void queue_mark_ring(struct vhost_queue *q)
{
	const struct dirty_conf *c = &q->conf.dirty;
	struct iovec parts[RING_PARTS];
	unsigned int i, n = q->ring.ops->written(&q->ring, parts);

	for (i = 0; i < n; i++) {
		if (c->ring_known && parts[i].iov_base == q->ring.conf.device)
			queue_mark(q, c->ring_gpa, parts[i].iov_len);
		else
			queue_mark_va(q, q->conf.map, parts[i].iov_base, parts[i].iov_len);
	}
}

/* Log that the ring's memory was written, if that is wanted and possible. */
static void queue_log_ring(struct vhost_queue *q)
{
	const struct dirty_conf *c = &q->conf.dirty;
	bool wanted = c->on && c->ring;

	if (!q->ring_written)
		return;
	if (wanted && c->log)
		queue_mark_ring(q);
	q->ring_written = wanted && !dirty_counts(c);
}

void queue_log_round(struct vhost_queue *q)
{
	queue_log_ring(q);
	if (!q->log_marked)
		return;
	q->log_marked = false;
	queue_notify(q->conf.dirty.fd, q->conf.dirty.pipe);
}

void queue_log_take(struct vhost_queue *q, const struct dirty_conf *next)
{
	queue_log_round(q);
	q->conf.dirty = *next;
	queue_choose_push(q);
	if (!next->on)
		q->log_missed = false;
	queue_log_round(q);
}

void queue_log_leave(struct vhost_queue *q)
{
	queue_log_round(q);
	q->log_missed |= q->ring_written;
	q->ring_written = false;
}
