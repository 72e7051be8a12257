/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The driver of a network device under load, for benchmarks: one of its two rings is kept full.
 *
 * Sent packets are one descriptor each, or one for the headers and more for the rest; buffers are
 * what Linux gives for small packets, or for large ones.  Like a real driver it writes the
 * virtio-net header of each packet which it sends, and reads that of each which comes.
 */
#ifndef TESTS_BENCH_NET_LOAD_H
#define TESTS_BENCH_NET_LOAD_H

#include "tests/bench/bench.h"

#define NET_HDR		12u		/* bytes of the virtio-net header */
#define NET_RX		0u
#define NET_TX		1u

/* What is asked for; constant. */
struct net_load_params {
	bool tx;			/* packets go from the guest, or to it */
	bool packed, mergeable, in_order;
	bool irq;			/* sleep until the back-end signals, instead of polling */
	unsigned int ring_size;
	uint64_t features;		/* more of them: offloads */
};

struct net_load {
	struct bench_target base;
	const struct net_load_params *params;
	unsigned int size;		/* bytes of a packet, of the current run */
	unsigned int depth;		/* packets, or buffers, in the ring */
	struct fe_mem mem;
	struct fe_ring ring[2];		/* NET_RX, NET_TX */
	uint8_t *buffers;		/* guest memory, ring_size of them */
	unsigned int more;		/* buffers of the packet which is coming */
	uint64_t bytes;			/* received, with headers */
};

/* Bytes of a buffer; a longer packet takes several. */
#define NET_BUFFER	2048u
#define NET_PACKET_MAX	65550u

void net_load_open(struct net_load *l, const struct net_load_params *params);
void net_load_close(struct net_load *l);

/*
 * The next run's packets: size bytes which begin with head, a virtio-net header and what follows
 * it; NULL: of zeroes.
 */
void net_load_set_packet(struct net_load *l, unsigned int size, const void *head, size_t head_len);

/* As struct bench_plan wants them. */
void net_load_fill(struct bench_target *base);
uint64_t net_load_drive(struct bench_target *base, uint64_t until);
void net_load_drain(struct bench_target *base);
uint64_t net_load_kicks(struct bench_target *base);

/* Take what has come back, at most max; again: into the ring once more.  The number of packets. */
unsigned int net_load_reap(struct net_load *l, bool again, unsigned int max);

static inline struct fe_ring *net_load_ring(struct net_load *l)
{
	return &l->ring[l->params->tx ? NET_TX : NET_RX];
}

#endif /* TESTS_BENCH_NET_LOAD_H */
