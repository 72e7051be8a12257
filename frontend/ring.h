/* SPDX-License-Identifier: BSD-3-Clause */
/* Inside the driver's side of rings: what the formats share. */
#ifndef FRONTEND_RING_H
#define FRONTEND_RING_H

#include <endian.h>

#include "frontend/frontend.h"

/*
 * What the driver remembers of an id.  In a split ring ids are descriptors: a chain goes by its
 * head's, and the others hang behind it.  Guest memory is never asked, since tests scribble there.
 */
struct fe_slot {
	void *cookie;			/* the caller's; NULL: no chain goes by this id */
	uint32_t in_len;		/* bytes which the device may write, saturating */
	uint16_t num;			/* ids the chain has taken */
	uint16_t next;			/* the next of them */
};

/* What fe_ring_add() was given. */
struct fe_chain {
	const struct iovec *out;
	const struct iovec *in;
	unsigned int nout;
	unsigned int nin;
	void *cookie;
};

/* A ring format. */
struct fe_ring_ops {
	/* Sizes of the descriptor, driver and device area; -EINVAL: no such ring size. */
	int (*layout)(unsigned int size, size_t len[3]);
	/* Everything anew, the areas are zeroed already. */
	void (*reset)(struct fe_ring *ring, uint32_t base);
	/* The others are as the fe_ring_ functions of that name. */
	int (*add)(struct fe_ring *ring, const struct fe_chain *chain);
	void (*publish)(struct fe_ring *ring);
	bool (*kick_needed)(struct fe_ring *ring);
	bool (*ready)(const struct fe_ring *ring);
	/* What the device says it has used, once there is something.  Not judged here. */
	void (*get)(struct fe_ring *ring, uint32_t *id, uint32_t *len);
	void (*irq_on)(struct fe_ring *ring);
	void (*irq_off)(struct fe_ring *ring);
	uint32_t (*get_base)(const struct fe_ring *ring);
};

extern const struct fe_ring_ops fe_split_ops;

static inline bool fe_ring_has(const struct fe_ring *ring, unsigned int feature)
{
	return ring->features & FE_BIT(feature);
}

/* Words of guest memory which the device reads or writes at the same time. */
static inline uint16_t fe_load16(const uint16_t *p)
{
	return le16toh(__atomic_load_n(p, __ATOMIC_ACQUIRE));
}

static inline void fe_store16(uint16_t *p, uint16_t value)
{
	__atomic_store_n(p, htole16(value), __ATOMIC_RELEASE);
}

/* Between a store and a load of different words which the device stores and loads crosswise. */
static inline void fe_barrier(void)
{
	__sync_synchronize();
}

#endif /* FRONTEND_RING_H */
