/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * How long requests take.
 *
 * The clock is read once for each batch which is popped, and once for each which is published; what
 * is measured is therefore what the driver sees, but for the ways of the two notifications.
 */
#include "queue.h"

static unsigned int latency_bucket(uint64_t ns)
{
	unsigned int bits = ns ? 64 - (unsigned int)__builtin_clzll(ns) : 0;

	return MIN(bits, VHOST_LATENCY_BUCKETS - 1u);
}

void latency_note(struct vhost_queue *q)
{
	uint64_t now = worker_now();
	unsigned int i;

	for (i = 0; i < q->done_cnt; i++) {
		q->latency.count[latency_bucket(now - q->since[i])]++;
		q->latency.sum += now - q->since[i];
	}
}

/* When the oldest of the outstanding ones was popped; now, if there is none. */
static uint64_t latency_oldest(const struct vhost_queue *q, uint64_t now)
{
	uint64_t oldest = now;
	unsigned int i;

	for (i = 0; q->slots && i < q->conf.ring.num; i++) {
		const struct slot *s = (const struct slot *)(q->slots + i * q->slot_size);

		if (s->busy)
			oldest = MIN(oldest, s->since);
	}
	return oldest;
}

void vhost_queue_latency(const struct vhost_queue *q, struct vhost_queue_latency *latency)
{
	uint64_t now = worker_now();

	*latency = q->latency;
	if (q->params.timed)
		latency->oldest = now - latency_oldest(q, now);
}
