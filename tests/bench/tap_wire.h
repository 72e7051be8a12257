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
	uint8_t *packets;		/* WIRE_PACKETS of them */
	uint8_t *buffers;		/* to be read to: WIRE_PACKETS pages, and those of a packet */
	size_t stride;			/* bytes from one to the next */
	unsigned int next;		/* which is to be written next */
};

/* Longer packets are TCP segments which have to be cut. */
#define WIRE_WHOLE	1514u

/* As many different ones are written and read, as a driver's ring has. */
#define WIRE_PACKETS	256u

/* bare: make the interface.  It is set up, with room for so many packets.  -errno. */
int wire_open(struct wire *w, const char *ifname, bool bare, unsigned int queue);
void wire_close(struct wire *w);

/* Packets are of this size from now on: TCP segments to be cut if longer than 1514. */
void wire_set_size(struct wire *w, unsigned int size);

/* Put n packets into the queue of the interface. */
int wire_fill(struct wire *w, unsigned int n);

/* How many packets the interface has got from its tap so far. */
uint64_t wire_received(const struct wire *w);

/* One packet by one call: as one buffer, or header and packet apart; a read as back-ends do it. */
int wire_write(struct wire *w, bool whole);
int wire_read(struct wire *w, uint8_t *buf, size_t size);

#endif /* TESTS_BENCH_TAP_WIRE_H */
