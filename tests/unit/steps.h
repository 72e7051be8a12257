/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The network device with nothing around it: device and driver take turns on one thread, so that
 * what a packet costs is the same each time.  It works within stepped_run(), where it can be counted.
 */
#ifndef TESTS_UNIT_STEPS_H
#define TESTS_UNIT_STEPS_H

#include "frontend/frontend.h"
#include "net/virtio_net.h"
#include "tests/stepped.h"

#define STEPS_RING	256u
#define STEPS_BUFFER	2048u
#define STEPS_HDR	12u

struct steps {
	struct stepped s;
	struct port *port;		/* the caller's until steps_open(), then the device's */
	struct virtio_net *net;
	struct fe_mem mem;
	struct fe_ring ring[2];
	uint8_t *buffers;		/* guest memory, STEPS_RING of them */
};

/* A device on the port, whose driver has these features, and polls or wants to be signalled. */
void steps_open(struct steps *s, uint64_t features, unsigned int ring_flags);
/* The port is closed with it. */
void steps_close(struct steps *s);

/* n chains of one descriptor each into the ring, published together, and kicked if wanted. */
void steps_add(struct steps *s, unsigned int ring, unsigned int n, size_t len);
/* Take what has come back, all with len bytes written; the number. */
unsigned int steps_get(struct steps *s, unsigned int ring, size_t len);

#endif /* TESTS_UNIT_STEPS_H */
