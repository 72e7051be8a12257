/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A driver, its ring and the in-flight memory in one piece without pointers, so that it can be
 * copied as it is at any moment; and a device, which can be started on each copy.
 */
#ifndef TESTS_INFLIGHT_WORLD_H
#define TESTS_INFLIGHT_WORLD_H

#include <stdbool.h>
#include <stdint.h>

#include "libvhost/inflight.h"
#include "libvhost/ring.h"

#define WORLD_NUM_MAX	16u		/* entries of the ring, and of the in-flight memory */
#define WORLD_CHAIN_MAX	3u		/* descriptors of a chain, at most */

/* Memory which both sides share: guest memory from guest address 0 on. */
struct world_shared {
	union {
		struct vring_desc split[WORLD_NUM_MAX];
		struct vring_packed_desc packed[WORLD_NUM_MAX];
	} desc;
	_Alignas(8) uint8_t driver[64];	/* available ring, or event suppression */
	_Alignas(8) uint8_t device[256];	/* used ring, or event suppression */
	_Alignas(INFLIGHT_ALIGN) uint8_t region[1024];
	uint32_t seq[WORLD_NUM_MAX];	/* by id, the request's number: what the device reads */
};

struct world {
	struct world_shared mem;

	/* the driver's */
	bool packed;
	unsigned int num;		/* entries of the ring */
	unsigned int size;		/* entries of the in-flight memory */
	uint32_t next_seq;		/* of the next request */
	uint32_t out[WORLD_NUM_MAX];	/* by id, the request's number; 0: none */
	uint8_t descs[WORLD_NUM_MAX];	/* by id, its descriptors */
	unsigned int used_descs;	/* packed: of all requests */
	uint16_t avail, used;		/* split: indices; packed: slots */
	bool avail_wrap, used_wrap;
};

void world_init(struct world *w, bool packed, unsigned int num, unsigned int size, uint16_t base);

/* The driver: add one request of n descriptors; false: no room. */
bool world_add(struct world *w, unsigned int n);
/* Take back what was used; -1: it was never added, or comes twice. */
int world_reap(struct world *w);
/* How many requests have not come back. */
unsigned int world_outstanding(const struct world *w);

/* A device's side: its private state. */
struct world_dev {
	struct ring ring;
	struct chain_env env;
	struct chain chain;
	struct {
		struct mem_map map;
		struct mem_span span;
	} map;
};

/* What comes before the start, and touches nothing in the world. */
const char *world_dev_open(struct world_dev *d, struct world *w, uint32_t base);
/* Start on what is in the world's memory; NULL or what is wrong. */
const char *world_dev_start(struct world_dev *d, struct world *w, uint32_t base);
void world_dev_stop(struct world_dev *d);
/* Take one request if there is one, and its number; NULL or what is wrong. */
const char *world_dev_take(struct world_dev *d, struct ring_elem *elem, uint32_t *seq);

#endif /* TESTS_INFLIGHT_WORLD_H */
