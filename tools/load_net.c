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

/*
 * Buffers as Linux has them, aligned to cache lines.  One to be received into begins with the header
 * and has room for a usual packet at least; for a page at most, where packets may take several.  A
 * packet to be sent is aligned, with the header before it, and something else of the driver's
 * stands between it and the next one.
 */
#define NET_ALIGN	64u
#define NET_RX_MIN	1536u
#define NET_RX_MAX	4096u
#define NET_FRAME	64u
#define NET_FRAME_HDR	(NET_FRAME - NET_HDR)
#define NET_GAP		512u

/* How a long packet is cut, with --indirect: headers, and pages of the rest. */
#define NET_WHOLE	2048u
#define NET_HEAD	128u
#define NET_PIECE	4096u

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
		uint64_t bytes;		/* of the packet which is coming, so far */
		unsigned int more;	/* buffers of it which are still to come */
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

struct load_net_shape load_net_shape(uint64_t packet, enum load_role role, bool whole)
{
	size_t len = NET_HDR + (size_t)packet, hdr = NET_FRAME_HDR, gap = NET_GAP;

	if (role == LOAD_PASSIVE) {
		len = whole ? MAX(len, NET_RX_MIN) : MIN(MAX(len, NET_RX_MIN), NET_RX_MAX);
		hdr = gap = 0;
	}
	return (struct load_net_shape){
		.hdr = hdr, .len = len, .stride = ALIGN_UP(hdr + len + gap, NET_ALIGN),
	};
}

static bool net_mergeable(const struct load *l)
{
	return l->fe.features & FE_BIT(VIRTIO_NET_F_MRG_RXBUF);
}

static struct load_net_shape net_shape(const struct load *l, enum load_role role)
{
	/* Who judges packets wants to see them whole. */
	return load_net_shape(l->params.block, role, !net_mergeable(l) || l->params.verify);
}

static size_t net_data_size(const struct load *l, enum load_role role)
{
	return net_shape(l, role).stride;
}

/* Where the virtio-net header of a packet to be sent is. */
static uint8_t *net_hdr(const struct load_slot *s)
{
	return s->data + NET_FRAME_HDR;
}

/* The pieces of a packet to be sent: one, or as Linux cuts it. */
static void net_cut(const struct load *l, struct load_slot *s)
{
	size_t left = NET_HDR + l->params.block, n = left;
	uint8_t *at = net_hdr(s);

	if (l->params.indirect && left > NET_WHOLE)
		n = NET_HEAD;
	for (s->nout = 0; left; left -= n, at += n, n = NET_PIECE) {
		n = MIN(n, left);
		s->out[s->nout++] = (struct iovec){ .iov_base = at, .iov_len = n };
	}
}

static bool net_prepare(struct load_queue *q, struct load_slot *s)
{
	const struct load *l = q->load;

	if (q->role == LOAD_PASSIVE) {
		s->in[0] = (struct iovec){ s->data, net_shape(l, LOAD_PASSIVE).len };
		s->nin = 1;
		return true;
	}
	net_cut(l, s);
	/* All packets may be the same, and then only the first time costs something. */
	if (l->params.packet && !s->turn)
		memcpy(net_hdr(s), l->params.packet, l->params.packet_len);
	else if (!s->turn || l->params.verify)
		net_fill(q, s);
	s->turn++;
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

	memcpy(&hdr, s->data, sizeof(hdr));
	if (le16toh(hdr.num_buffers) != 1)
		return load_wrong(l, "a packet in %u buffers, which was not agreed upon",
				  le16toh(hdr.num_buffers));
	if (hdr.hdr.gso_type != VIRTIO_NET_HDR_GSO_NONE ||
	    (hdr.hdr.flags & VIRTIO_NET_HDR_F_NEEDS_CSUM))
		return load_wrong(l, "a packet with offloads, which were not agreed upon");
	return net_check_ours(l, s->data + NET_HDR, len - (uint32_t)NET_HDR);
}

/* A buffer has come with a packet, or with a piece of one. */
static int64_t net_receive(struct load_queue *q, const struct load_slot *s, uint32_t len)
{
	struct load *l = q->load;
	struct net *n = l->device;
	unsigned int pair = q->ring.index / 2;
	struct virtio_net_hdr_mrg_rxbuf hdr;

	if (!n->pairs[pair].more) {
		if (len <= NET_HDR)
			return load_wrong(l, "a packet of %u bytes with its header", len);
		memcpy(&hdr, s->data, sizeof(hdr));
		n->pairs[pair].more = net_mergeable(l) ? le16toh(hdr.num_buffers) : 1;
		if (!n->pairs[pair].more)
			return load_wrong(l, "a packet in no buffers");
		n->pairs[pair].bytes = 0;
		len -= (uint32_t)NET_HDR;
	}
	n->pairs[pair].bytes += len;
	return --n->pairs[pair].more ? 0 : (int64_t)n->pairs[pair].bytes;
}

static int64_t net_done(struct load_queue *q, struct load_slot *s, uint32_t len)
{
	int64_t bytes;
	int err;

	if (q->role == LOAD_ACTIVE)
		return (int64_t)q->load->params.block;
	bytes = net_receive(q, s, len);
	if (bytes < 0 || !q->load->params.verify)
		return bytes;
	err = net_check(q->load, s, len);
	return err ? err : bytes;
}

/* A driver writes each packet's header anew; what is behind it does not change. */
static int64_t net_again(struct load_queue *q, struct load_slot *s, uint32_t len)
{
	static const uint8_t no_offloads[NET_HDR];
	const void *hdr = q->load->params.packet;

	if (q->role == LOAD_PASSIVE)
		return net_receive(q, s, len);
	memcpy(net_hdr(s), hdr ? hdr : no_offloads, NET_HDR);
	return (int64_t)q->load->params.block;
}

const struct load_ops load_net = {
	.name = "net",
	.title = "network",
	.unit = "packets",
	.block = 64, .block_min = 14, .block_max = 65535, .block_unit = 1,
	.descs = 1,
	.table = LOAD_PIECES_MAX,
	.align = NET_ALIGN,
	.pairs = true,
	.data_size = net_data_size,
	.open = net_open,
	.started = net_started,
	.close = net_close,
	.prepare = net_prepare,
	.done = net_done,
	.again = net_again,
};
