/* SPDX-License-Identifier: BSD-3-Clause */
/* Inside the driver's side of rings: what the formats share. */
#ifndef FRONTEND_RING_H
#define FRONTEND_RING_H

#include <endian.h>

#include "frontend/frontend.h"

/*
 * What the driver remembers of an id.  A chain takes as many ids as it has descriptors in the ring
 * and goes by the first of them; the others hang behind it.  In a split ring ids are descriptors,
 * in a packed ring the others are taken for the count only.  Guest memory is never asked, since
 * tests scribble there.
 */
struct fe_slot {
	void *cookie;			/* the caller's; NULL: no chain goes by this id */
	uint32_t in_len;		/* bytes which the device may write, saturating */
	uint16_t num;			/* ids the chain has taken */
	uint16_t next;			/* the next of them */
	uint16_t newer;			/* the chain added after this one; only with IN_ORDER */
	struct fe_raw_packed desc;	/* packed: the chain's, if it has one in the ring only */
};

/* What fe_ring_add() was given. */
struct fe_chain {
	const struct iovec *out;
	const struct iovec *in;
	unsigned int nout;
	unsigned int nin;
	unsigned int num;		/* nout + nin */
	uint32_t in_len;		/* bytes of in, saturating */
	void *cookie;
};

/* A ring format. */
struct fe_ring_ops {
	bool counts_chains;		/* an index tells them, also those without used element */
	/* Sizes of the descriptor, driver and device area; -EINVAL: no such ring size. */
	int (*layout)(unsigned int size, size_t len[3]);
	/* The areas are where the ring says. */
	void (*place)(struct fe_ring *ring);
	/* Everything anew but that, the areas are zeroed already. */
	void (*reset)(struct fe_ring *ring, uint32_t base);
	/* Write a chain with so many descriptors in the ring, for which there is room. */
	int (*add)(struct fe_ring *ring, const struct fe_chain *chain, bool indirect);
	/* The others are as the fe_ring_ functions of that name. */
	void (*publish)(struct fe_ring *ring);
	bool (*kick_needed)(struct fe_ring *ring);
	bool (*ready)(const struct fe_ring *ring);
	/* What the device says it has used, once there is something.  Not judged here. */
	void (*peek)(const struct fe_ring *ring, uint32_t *id, uint32_t *len);
	/* Look behind it, or behind a chain which it covers, of num descriptors. */
	void (*advance)(struct fe_ring *ring, unsigned int num);
	/* The chain, of one descriptor in the ring, which peek() has told: available once more. */
	void (*recycle)(struct fe_ring *ring, uint16_t id);
	void (*irq_on)(struct fe_ring *ring);
	void (*irq_off)(struct fe_ring *ring);
	uint32_t (*get_base)(const struct fe_ring *ring);
};

extern const struct fe_ring_ops fe_split_ops;
extern const struct fe_ring_ops fe_packed_ops;

/* The i-th of the ids which are to be taken next. */
uint16_t fe_ring_free_id(const struct fe_ring *ring, unsigned int i);

/* Take a certain id, if it is free. */
bool fe_ring_take_id(struct fe_ring *ring, uint16_t id);

/* Take the next num ids for one chain and return the first. */
uint16_t fe_ring_take(struct fe_ring *ring, unsigned int num);

/* Make the chain id, whose ids are taken, known. */
void fe_ring_note(struct fe_ring *ring, uint16_t id, uint32_t in_len, void *cookie);

/* What the device is told as address of the len bytes at ptr; UINT64_MAX: they have none. */
uint64_t fe_ring_addr_of(const struct fe_ring *ring, const void *ptr, size_t len);

/* The same for a buffer of the caller's.  -EFAULT: it has no address. */
int fe_ring_addr(const struct fe_ring *ring, const struct iovec *iov, uint64_t *addr);

/* Whether there is a chain of this id, whoever says so. */
static inline bool fe_ring_knows(const struct fe_ring *ring, uint32_t id)
{
	return id < ring->size && ring->slots[id].cookie;
}

/* The indirect table of a chain, guest memory. */
static inline struct vring_desc *fe_ring_table(const struct fe_ring *ring, uint16_t id)
{
	return &ring->tables[(size_t)id * ring->table_len];
}

static inline const struct iovec *fe_chain_element(const struct fe_chain *c, unsigned int i)
{
	return i < c->nout ? &c->out[i] : &c->in[i - c->nout];
}

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
