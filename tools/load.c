/* SPDX-License-Identifier: BSD-3-Clause */
/* See load.h: the life of a load. */
#include "config.h"

#include "tools/load.h"

#include <errno.h>
#include <linux/virtio_config.h>
#include <linux/virtio_net.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "util.h"

#define LOAD_RING_MIN	128u
#define LOAD_RING_MAX	32768u
#define LOAD_PAGE	4096u
#define LOAD_MEM_MAX	(UINT64_C(4) << 30)

#define LOAD_PROTOCOL	(FE_BIT(VU_PROTOCOL_F_MQ) | FE_BIT(VU_PROTOCOL_F_REPLY_ACK) | \
			 FE_BIT(VU_PROTOCOL_F_CONFIG))

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
	uint64_t head = ALIGN_UP((uint64_t)l->ops->head, 64), size = l->num_queues * ring;
	unsigned int i;

	for (i = 0; i < l->num_queues; i++)
		if (l->queues[i].role != LOAD_IDLE)
			size += l->params.depth * (head + l->queues[i].data_size);
	return ALIGN_UP(size + LOAD_PAGE, 2 << 20);
}

static size_t load_align(const struct load *l)
{
	return l->ops->align ? l->ops->align : LOAD_PAGE;
}

static size_t load_data_size(const struct load *l, enum load_role role)
{
	size_t size = l->ops->data_size ? l->ops->data_size(l, role) :
					  (size_t)l->params.block + l->ops->pad;

	return ALIGN_UP(size, load_align(l));
}

static int load_init_slots(struct load *l, struct load_queue *q, unsigned int first)
{
	unsigned int i;

	q->slots = &l->slots[first];
	for (i = 0; i < l->params.depth; i++) {
		struct load_slot *s = &q->slots[i];

		s->index = first + i;
		s->head = fe_mem_alloc(&l->mem, l->ops->head, 64);
		s->data = fe_mem_alloc(&l->mem, q->data_size, load_align(l));
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

	for (i = 0; i < l->num_queues; i++)
		l->queues[i].data_size = load_data_size(l, l->queues[i].role);
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
