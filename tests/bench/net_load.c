/* SPDX-License-Identifier: BSD-3-Clause */
/* See net_load.h. */
#include "config.h"

#include <endian.h>
#include <errno.h>
#include <linux/virtio_config.h>
#include <linux/virtio_net.h>
#include <string.h>

#include "tests/bench/net_load.h"
#include "util.h"

#define MEM_SIZE	(96u << 20)
#define BURST		32u		/* chains between two publications */

/* A packet of more than one buffer's size: headers, and pages of the rest. */
#define LARGE_HEAD	128u
#define LARGE_PIECE	4096u
#define PIECES_MAX	(NET_PACKET_MAX / LARGE_PIECE + 2)

#define FEATURES	(FE_BIT(VIRTIO_F_VERSION_1) | FE_BIT(VIRTIO_RING_F_EVENT_IDX) | \
			 FE_BIT(VIRTIO_RING_F_INDIRECT_DESC) | FE_BIT(VU_F_PROTOCOL_FEATURES))
#define PROTOCOL	(FE_BIT(VU_PROTOCOL_F_MQ) | FE_BIT(VU_PROTOCOL_F_REPLY_ACK))

static struct net_load *load_of(struct bench_target *base)
{
	return container_of(base, struct net_load, base);
}

static void check(const struct net_load *l, const char *what, int err)
{
	bench_check(&l->base, what, err);
}

/*
 * Chains
 */

/* Bytes from one packet, or buffer, to the next in guest memory. */
static size_t load_stride(const struct net_load *l)
{
	if (l->size + NET_HDR <= NET_BUFFER)
		return NET_BUFFER;
	return l->params->tx ? ALIGN_UP(NET_HDR + l->size, 4096u) : LARGE_PIECE;
}

/* Cut a packet to be sent as Linux does; the number of pieces. */
static unsigned int load_cut(const struct net_load *l, uint8_t *packet, struct iovec *iov)
{
	size_t left = NET_HDR + l->size, n = left <= NET_BUFFER ? left : LARGE_HEAD;
	unsigned int cnt = 0;

	for (; left; left -= n, packet += n, n = LARGE_PIECE) {
		n = MIN(n, left);
		iov[cnt++] = (struct iovec){ packet, n };
	}
	return cnt;
}

/* As each packet has its own header; what is in it does not change. */
static void load_touch(uint8_t *mem)
{
	((volatile uint8_t *)mem)[0] = mem[0];
}

static void load_add(struct net_load *l, uint8_t *mem)
{
	struct iovec iov[PIECES_MAX] = { { mem, load_stride(l) } };
	struct fe_ring *ring = net_load_ring(l);
	int err;

	if (l->params->tx)
		err = fe_ring_add(ring, iov, load_cut(l, mem, iov), NULL, 0, mem);
	else
		err = fe_ring_add(ring, NULL, 0, iov, 1, mem);
	check(l, "packet", err);
}

/* The next chain which has come back, if there is one; again: and goes there once more. */
static int load_get(struct net_load *l, bool again, void **mem, uint32_t *len)
{
	struct fe_ring *ring = net_load_ring(l);
	int got;

	if (again && !l->params->in_order)
		return fe_ring_recycle(ring, mem, len);
	got = fe_ring_get(ring, mem, len);
	if (again && got > 0)
		load_add(l, *mem);
	return got;
}

unsigned int net_load_reap(struct net_load *l, bool again, unsigned int max)
{
	unsigned int n = 0, packets = 0;
	int got = 0;
	uint32_t len;
	void *mem;

	while (n < max && (got = load_get(l, again, &mem, &len)) > 0) {
		if (l->params->tx)
			load_touch(mem);
		else if (l->params->mergeable && !l->more)
			l->more = le16toh(((struct virtio_net_hdr_v1 *)mem)->num_buffers);
		l->more -= l->more > 0;
		packets += !l->more;
		l->bytes += len;
		n++;
	}
	check(l, "used ring", got);
	if (again && n)
		fe_ring_submit(net_load_ring(l));
	return packets;
}

/*
 * Rounds
 */

void net_load_set_packet(struct net_load *l, unsigned int size, const void *head, size_t head_len)
{
	unsigned int i;

	l->size = size;
	for (i = 0; i < l->depth; i++) {
		uint8_t *mem = l->buffers + i * load_stride(l);

		memset(mem, 0, load_stride(l));
		if (head)
			memcpy(mem, head, head_len);
	}
}

void net_load_fill(struct bench_target *base)
{
	struct net_load *l = load_of(base);
	unsigned int i;

	for (i = 0; i < l->depth; i++)
		load_add(l, l->buffers + i * load_stride(l));
	fe_ring_submit(net_load_ring(l));
}

uint64_t net_load_drive(struct bench_target *base, uint64_t until)
{
	struct net_load *l = load_of(base);
	uint64_t n = 0;

	while (bench_time(base) < until) {
		check(l, "waiting for packets", fe_ring_wait(net_load_ring(l), FE_TIMEOUT_MS));
		n += net_load_reap(l, true, BURST);
	}
	return n;
}

void net_load_drain(struct bench_target *base)
{
	struct net_load *l = load_of(base);

	while (net_load_ring(l)->outstanding) {
		check(l, "waiting for the last", fe_ring_wait(net_load_ring(l), FE_TIMEOUT_MS));
		net_load_reap(l, false, l->depth);
	}
}

uint64_t net_load_kicks(struct bench_target *base)
{
	return net_load_ring(load_of(base))->stats.kicks;
}

/*
 * Life
 */

void net_load_open(struct net_load *l, const struct net_load_params *params)
{
	struct fe_ring *rings[] = { &l->ring[NET_RX], &l->ring[NET_TX] };
	uint64_t features = FEATURES | params->features;
	unsigned int i;

	l->params = params;
	l->depth = params->ring_size;
	features |= params->packed ? FE_BIT(VIRTIO_F_RING_PACKED) : 0;
	features |= params->mergeable ? FE_BIT(VIRTIO_NET_F_MRG_RXBUF) : 0;
	features |= params->in_order ? FE_BIT(VIRTIO_F_IN_ORDER) : 0;
	check(l, "negotiation", fe_negotiate(&l->base.fe, features, PROTOCOL));
	if (features & ~l->base.fe.features)
		bench_die(l->base.name, "it lacks a feature", -ENOTSUP);
	check(l, "memory", fe_mem_init(&l->mem, 0, MEM_SIZE));
	for (i = 0; i < ARRAY_SIZE(rings); i++)
		check(l, "ring", fe_ring_init(rings[i], &l->mem, &(struct fe_ring_params){
			.index = i,
			.size = params->ring_size,
			.features = l->base.fe.features,
			.indirect = PIECES_MAX,
			.flags = params->irq ? 0 : FE_RING_POLL,
		}));
	l->buffers = fe_mem_alloc(&l->mem, (size_t)l->depth * ALIGN_UP(NET_PACKET_MAX, 4096u), 4096);
	check(l, "buffers", l->buffers ? 0 : -ENOMEM);
	check(l, "start", fe_start(&l->base.fe, &l->mem, rings, ARRAY_SIZE(rings)));
}

void net_load_close(struct net_load *l)
{
	struct fe_ring *rings[] = { &l->ring[NET_RX], &l->ring[NET_TX] };

	check(l, "stop", fe_stop(&l->base.fe, rings, ARRAY_SIZE(rings)));
	fe_close(&l->base.fe);
	fe_ring_free(&l->ring[NET_RX]);
	fe_ring_free(&l->ring[NET_TX]);
	fe_mem_free(&l->mem);
}
