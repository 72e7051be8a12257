/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Packets for virtio-net devices, and from them.
 *
 * What is sent has addresses of nobody's and an Ethernet type for experiments, and tells which
 * packet it is.  What is received may be anybody's; packets which look like ours have been sent
 * back to us, and must be as we sent them, in order, though some may be missing.
 */
#include "config.h"

#include <endian.h>
#include <errno.h>
#include <linux/virtio_net.h>
#include <stdlib.h>
#include <string.h>

#include "tools/load.h"
#include "util.h"

#define NET_HDR		sizeof(struct virtio_net_hdr_mrg_rxbuf)

/* The header stands before the packet, which begins here in a slot's data. */
#define NET_FRAME	64u

/* What a buffer has room for at least, as Linux has it. */
#define NET_RX_MIN	1526u

#define NET_MAC_LEN	6u
#define NET_TYPE	0x88b5		/* IEEE 802: for experiments */

/* What a packet of ours begins with. */
struct net_mark {
	uint8_t dst[NET_MAC_LEN], src[NET_MAC_LEN];
	uint16_t type;			/* big endian, as the wire has it */
	uint16_t queue;			/* of those which send */
	uint32_t run;
	uint64_t number;		/* of the packet in that queue */
} __attribute__((packed));

struct net {
	uint32_t run;			/* which run of the program this is */
	struct {
		uint64_t sent, seen;	/* number of the next packet; and of the last, plus 1 */
	} pairs[LOAD_QUEUES_MAX];
};

static int net_open(struct load *l)
{
	unsigned int i;

	if (l->fe.queue_num && l->params.queues > l->fe.queue_num)
		return load_wrong(l, "the back-end has %llu pairs of queues only",
				  (unsigned long long)l->fe.queue_num);
	if (l->params.verify && l->params.dir != LOAD_RX && l->params.block < sizeof(struct net_mark))
		return load_wrong(l, "packets of %llu bytes have no room for what is to be verified",
				  (unsigned long long)l->params.block);
	for (i = 0; i < l->params.queues; i++) {
		load_add_queue(l, l->params.dir == LOAD_TX ? LOAD_IDLE : LOAD_PASSIVE);
		load_add_queue(l, l->params.dir == LOAD_RX ? LOAD_IDLE : LOAD_ACTIVE);
	}
	return 0;
}

static int net_started(struct load *l)
{
	struct net *n = calloc(1, sizeof(*n));

	if (!n)
		return load_fail(l, -ENOMEM, "the network");
	n->run = (uint32_t)load_clock();
	l->device = n;
	return 0;
}

static void net_close(struct load *l)
{
	free(l->device);
	l->device = NULL;
}

/* The bytes behind the mark. */
static uint8_t net_byte(const struct net_mark *mark, size_t i)
{
	return (uint8_t)(mark->number * 7 + i * 31);
}

static void net_fill(struct load_queue *q, struct load_slot *s)
{
	static const struct net_mark blank = {
		.dst = { 0x02, 0, 0, 0, 0, 2 }, .src = { 0x02, 0, 0, 0, 0, 1 },
	};
	struct net *n = q->load->device;
	size_t i, len = q->load->params.block;
	unsigned int pair = q->ring.index / 2;
	struct net_mark mark = blank;

	mark.type = htobe16(NET_TYPE);
	mark.queue = (uint16_t)pair;
	mark.run = n->run;
	mark.number = n->pairs[pair].sent++;
	memcpy(s->data + NET_FRAME, &mark, MIN(len, sizeof(mark)));
	for (i = sizeof(mark); q->load->params.verify && i < len; i++)
		s->data[NET_FRAME + i] = net_byte(&mark, i);
}

static bool net_prepare(struct load_queue *q, struct load_slot *s)
{
	uint64_t len = q->load->params.block;
	struct iovec iov = { .iov_base = s->data + NET_FRAME - NET_HDR, .iov_len = NET_HDR };

	if (q->role == LOAD_PASSIVE) {
		iov.iov_len += MAX(len, NET_RX_MIN);
		s->in[0] = iov;
		s->nin = 1;
		return true;
	}
	iov.iov_len += len;
	s->out[0] = iov;
	s->nout = 1;
	/* All packets may be the same, and then only the first time costs something. */
	if (!s->turn++ || q->load->params.verify)
		net_fill(q, s);
	return true;
}

/* A packet of this run must be the one it says, and a later one than those which came before. */
static int net_check_ours(struct load *l, const uint8_t *frame, uint32_t len)
{
	struct net *n = l->device;
	struct net_mark mark;
	size_t i;

	memcpy(&mark, frame, MIN(len, sizeof(mark)));
	if (len < sizeof(mark) || be16toh(mark.type) != NET_TYPE || mark.run != n->run ||
	    mark.queue >= l->params.queues)
		return 0;
	if (len < l->params.block)
		return load_wrong(l, "a packet came back cut to %u bytes", len);
	for (i = sizeof(mark); i < l->params.block; i++)
		if (frame[i] != net_byte(&mark, i))
			return load_wrong(l, "a packet came back with byte %zu changed", i);
	if (mark.number < n->pairs[mark.queue].seen || mark.number >= n->pairs[mark.queue].sent)
		return load_wrong(l, "packet %llu came back twice or out of order",
				  (unsigned long long)mark.number);
	n->pairs[mark.queue].seen = mark.number + 1;
	l->verified++;
	return 0;
}

static int net_check(struct load *l, const struct load_slot *s, uint32_t len)
{
	struct virtio_net_hdr_mrg_rxbuf hdr;

	memcpy(&hdr, s->data + NET_FRAME - NET_HDR, sizeof(hdr));
	if (le16toh(hdr.num_buffers) != 1)
		return load_wrong(l, "a packet in %u buffers, which was not agreed upon",
				  le16toh(hdr.num_buffers));
	if (hdr.hdr.gso_type != VIRTIO_NET_HDR_GSO_NONE ||
	    (hdr.hdr.flags & VIRTIO_NET_HDR_F_NEEDS_CSUM))
		return load_wrong(l, "a packet with offloads, which were not agreed upon");
	return net_check_ours(l, s->data + NET_FRAME, len - (uint32_t)NET_HDR);
}

static int64_t net_done(struct load_queue *q, struct load_slot *s, uint32_t len)
{
	struct load *l = q->load;
	int err = 0;

	if (q->role == LOAD_ACTIVE)
		return (int64_t)l->params.block;
	if (len <= NET_HDR)
		return load_wrong(l, "a packet of %u bytes with its header", len);
	if (l->params.verify)
		err = net_check(l, s, len);
	return err ? err : (int64_t)(len - NET_HDR);
}

const struct load_ops load_net = {
	.name = "net",
	.title = "network",
	.unit = "packets",
	.block = 64, .block_min = 14, .block_max = 65535, .block_unit = 1,
	.descs = 1,
	.head = 64,
	.pad = NET_FRAME + NET_RX_MIN,
	.pairs = true,
	.open = net_open,
	.started = net_started,
	.close = net_close,
	.prepare = net_prepare,
	.done = net_done,
};
