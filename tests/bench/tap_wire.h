/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The other side of a tap interface for benchmarks: packets into its queue, and the loops without
 * any virtual machine which a back-end is compared with.
 */
#ifndef TESTS_BENCH_TAP_WIRE_H
#define TESTS_BENCH_TAP_WIRE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/uio.h>

#include "frontend/frontend.h"
#include "tools/load.h"

#define WIRE_HDR	12u		/* bytes of the virtio-net header */
#define WIRE_HEAD	(WIRE_HDR + 14 + 20 + 20)

struct wire {
	const char *ifname;
	unsigned int queue;		/* packets which the interface holds */
	unsigned int size;		/* bytes of a packet */
	int sender;			/* packet socket, owned */
	int tap;			/* the bare loops', owned; -1: none */
	uint8_t head[WIRE_HEAD];	/* how each packet begins, with its virtio-net header */
	struct fe_mem mem;		/* what follows; of the kind which a guest's memory is */
	/* As a driver of ours has them, in both directions. */
	struct load_net_shape sent, received;
	uint8_t *packets;		/* WIRE_PACKETS of them */
	uint8_t *buffers;		/* WIRE_PACKETS, and as many as a packet takes */
	uint8_t *spill;			/* for a packet which is longer than what was expected */
	unsigned int next;		/* which is to be written or read to next */
};

/* Longer packets are TCP segments which have to be cut. */
#define WIRE_WHOLE	1514u

/* As many different ones are written and read, as a driver's ring has. */
#define WIRE_PACKETS	256u

/*
 * bare: make the interface.  It is set up, with room for so many packets.  They are of this size:
 * TCP segments to be cut if longer than 1514.  -errno.
 */
int wire_open(struct wire *w, const char *ifname, bool bare, unsigned int queue,
	      unsigned int size);
void wire_close(struct wire *w);

/* Put n packets into the queue of the interface. */
int wire_fill(struct wire *w, unsigned int n);

/* How many packets the interface has got from its tap so far. */
uint64_t wire_received(const struct wire *w);

/* One packet by one call: as one buffer, or header and packet apart; a read as back-ends do it. */
int wire_write(struct wire *w, bool whole);
int wire_read(struct wire *w);

#endif /* TESTS_BENCH_TAP_WIRE_H */
