/* SPDX-License-Identifier: BSD-3-Clause */
/* See load.h: the life of a load, and its requests' way through the rings. */
#include "config.h"

#include "tools/load.h"

#include <errno.h>
#include <linux/virtio_config.h>
#include <linux/virtio_net.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "util.h"

#define LOAD_RING_MIN	128u
#define LOAD_RING_MAX	32768u
#define LOAD_PAGE	4096u
#define LOAD_MEM_MAX	(UINT64_C(4) << 30)
#define LOAD_TRIES_MAX	16u
#define LOAD_BURST	32u		/* requests which are sent again before the device sees them */

/* How long to wait in one piece; in between it is seen what else happens. */
#define LOAD_SLICE_MS	50

#define LOAD_PROTOCOL	(FE_BIT(VU_PROTOCOL_F_MQ) | FE_BIT(VU_PROTOCOL_F_REPLY_ACK) | \
			 FE_BIT(VU_PROTOCOL_F_CONFIG))

uint64_t load_clock(void)
{
	struct timespec ts;

	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (uint64_t)ts.tv_sec * 1000000000u + (uint64_t)ts.tv_nsec;
}

/*
 * What went wrong
 */

const char *load_reason(int err)
{
	switch (err) {
	case -EIO:
		return "the back-end refused";
	case -EPROTO:
		return "the back-end's answer is not what the protocol says";
	case -ETIMEDOUT:
		return "no answer from the back-end";
	case -ECONNRESET:
		return "the back-end has closed the connection";
	default:
		return strerror(-err);
	}
}

const char *load_why(const struct load *l)
{
	return l->why;
}

__attribute__((format(printf, 2, 0)))
static size_t load_format(struct load *l, const char *fmt, va_list ap)
{
	int n = vsnprintf(l->why, sizeof(l->why), fmt, ap);

	return MIN((size_t)n, sizeof(l->why) - 1);
}

int load_fail(struct load *l, int err, const char *fmt, ...)
{
	va_list ap;
	size_t n;

	va_start(ap, fmt);
	n = load_format(l, fmt, ap);
	va_end(ap);
	snprintf(l->why + n, sizeof(l->why) - n, ": %s", load_reason(err));
	return err;
}

int load_wrong(struct load *l, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	load_format(l, fmt, ap);
	va_end(ap);
	return -EINVAL;
}

/*
 * Setting up
 */

const struct load_ops *load_find(const char *name)
{
	static const struct load_ops *const types[] = {
		&load_blk, &load_net, &load_scsi, &load_rng,
	};
	size_t i;

	for (i = 0; i < ARRAY_SIZE(types); i++)
		if (!strcmp(types[i]->name, name))
			return types[i];
	return NULL;
}

int load_connect(struct load *l, const char *path, int wait_ms)
{
	int err;

	memset(l, 0, sizeof(*l));
	err = fe_connect_within(&l->fe, path, wait_ms);
	l->fe.any_log_reply = true;
	return err ? load_fail(l, err, "cannot connect") : 0;
}

struct load_queue *load_add_queue(struct load *l, enum load_role role)
{
	struct load_queue *q = &l->queues[l->num_queues];

	*q = (struct load_queue){ .load = l, .role = role };
	/* To be freed at any time. */
	q->ring.kick_fd = q->ring.call_fd = q->ring.err_fd = -1;
	l->rings[l->num_queues++] = &q->ring;
	l->has_active |= role == LOAD_ACTIVE;
	if (role != LOAD_IDLE) {
		l->waited[l->num_waited++] = &q->ring;
		l->num_slots += l->params.depth;
	}
	return q;
}

static int load_check_block(struct load *l)
{
	const struct load_ops *ops = l->ops;

	if (!l->params.block)
		l->params.block = ops->block;
	if (l->params.block < ops->block_min || l->params.block > ops->block_max ||
	    l->params.block % ops->block_unit)
		return load_wrong(l, "%llu bytes are no size of a request: want %u to %u, "
				  "in multiples of %u", (unsigned long long)l->params.block,
				  ops->block_min, ops->block_max, ops->block_unit);
	return 0;
}

static const char *load_feature_name(uint64_t features)
{
	if (features & FE_BIT(VIRTIO_F_RING_PACKED))
		return "packed rings";
	if (features & FE_BIT(VIRTIO_F_IN_ORDER))
		return "requests in order";
	if (features & FE_BIT(VIRTIO_NET_F_MRG_RXBUF))
		return "packets in several buffers";
	if (features & FE_BIT(VIRTIO_RING_F_INDIRECT_DESC))
		return "indirect descriptors";
	if (features & FE_BIT(VIRTIO_RING_F_EVENT_IDX))
		return "event indices";
	return "what was asked for";
}

static int load_negotiate(struct load *l)
{
	const struct load_params *p = &l->params;
	uint64_t wanted = p->features, missing;
	int err;

	if (p->indirect)
		wanted |= FE_BIT(VIRTIO_RING_F_INDIRECT_DESC);
	err = fe_negotiate(&l->fe, wanted | p->features_maybe | l->ops->features |
			   FE_BIT(VIRTIO_F_VERSION_1) |
			   (p->no_protocol ? 0 : FE_BIT(VU_F_PROTOCOL_FEATURES)),
			   LOAD_PROTOCOL | p->protocol);
	if (err)
		return load_fail(l, err, "negotiation");
	missing = wanted & ~l->fe.features;
	if (missing)
		return load_wrong(l, "the back-end does not offer %s", load_feature_name(missing));
	if (!(l->fe.features & FE_BIT(VIRTIO_F_VERSION_1)))
		return load_wrong(l, "the back-end does not offer VIRTIO 1");
	return 0;
}

/* The shortest ring which has room for all that are in flight. */
static unsigned int load_ring_size(const struct load *l)
{
	unsigned int need = l->params.depth * (l->params.indirect ? 1 : l->ops->descs);
	unsigned int size = LOAD_RING_MIN;

	while (size < need)
		size *= 2;
	return size;
}

static int load_check_ring(struct load *l)
{
	struct load_params *p = &l->params;
	unsigned int need = load_ring_size(l);

	if (!p->ring_size)
		p->ring_size = need;
	if (p->ring_size > LOAD_RING_MAX ||
	    p->depth * (p->indirect ? 1 : l->ops->descs) > p->ring_size)
		return load_wrong(l, "a depth of %u takes a ring of %u entries", p->depth, need);
	return 0;
}

/* The longest indirect table. */
static unsigned int load_table(const struct load *l)
{
	return l->ops->table ? l->ops->table : l->ops->descs;
}

/* Bytes of guest memory for all. */
static uint64_t load_mem_size(const struct load *l)
{
	uint64_t ring = (uint64_t)l->params.ring_size *
			(sizeof(struct vring_desc) * (1 + load_table(l)) + 2 + 8) + LOAD_PAGE;
	uint64_t slot = ALIGN_UP((uint64_t)l->ops->head, 64) + l->data_size;

	return ALIGN_UP(l->num_queues * ring + l->num_slots * slot + LOAD_PAGE, 2 << 20);
}

static size_t load_align(const struct load *l)
{
	return l->ops->align ? l->ops->align : LOAD_PAGE;
}

static int load_init_slots(struct load *l, struct load_queue *q, unsigned int first)
{
	unsigned int i;

	q->slots = &l->slots[first];
	for (i = 0; i < l->params.depth; i++) {
		struct load_slot *s = &q->slots[i];

		s->index = first + i;
		s->head = fe_mem_alloc(&l->mem, l->ops->head, 64);
		s->data = fe_mem_alloc(&l->mem, l->data_size, load_align(l));
		if (!s->head || !s->data)
			return -ENOMEM;
	}
	return 0;
}

static int load_init_queue(struct load *l, unsigned int index)
{
	return fe_ring_init(&l->queues[index].ring, &l->mem, &(struct fe_ring_params){
		.index = index,
		.size = l->params.ring_size,
		.features = l->fe.features,
		.indirect = l->params.indirect ? load_table(l) : 0,
		.flags = l->params.poll ? FE_RING_POLL : 0,
	});
}

static int load_layout(struct load *l)
{
	unsigned int i, slots = 0;
	uint64_t size;
	int err;

	l->data_size = ALIGN_UP((size_t)l->params.block + l->ops->pad, load_align(l));
	size = load_mem_size(l);
	if (size > LOAD_MEM_MAX)
		return load_wrong(l, "so many requests of this size take too much memory");
	l->slots = calloc(l->num_slots, sizeof(*l->slots));
	err = l->slots ? fe_mem_init(&l->mem, 0, size) : -ENOMEM;
	for (i = 0; i < l->num_queues && !err; i++)
		err = load_init_queue(l, i);
	for (i = 0; i < l->num_queues && !err; i++) {
		if (l->queues[i].role == LOAD_IDLE)
			continue;
		err = load_init_slots(l, &l->queues[i], slots);
		slots += l->params.depth;
	}
	return err ? load_fail(l, err, "rings and memory") : 0;
}

int load_open(struct load *l, const struct load_ops *ops, const struct load_params *params)
{
	int err;

	l->ops = ops;
	l->params = *params;
	l->fe.timeout_ms = params->timeout_ms;
	l->random = 88172645463325252u;
	err = load_check_block(l);
	if (!err)
		err = load_check_ring(l);
	if (!err)
		err = load_negotiate(l);
	if (!err)
		err = ops->open(l);
	return err ? err : load_layout(l);
}

int load_start(struct load *l)
{
	int err = fe_start(&l->fe, &l->mem, l->rings, l->num_queues);

	return err ? load_fail(l, err, "start") : l->ops->started(l);
}

int load_stop(struct load *l)
{
	int err = fe_stop(&l->fe, l->rings, l->num_queues);

	return err ? load_fail(l, err, "stop") : 0;
}

void load_close(struct load *l)
{
	unsigned int i;

	fe_close(&l->fe);
	if (l->ops)
		l->ops->close(l);
	for (i = 0; i < l->num_queues; i++)
		fe_ring_free(&l->queues[i].ring);
	l->num_queues = 0;
	free(l->slots);
	l->slots = NULL;
	fe_mem_free(&l->mem);
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
