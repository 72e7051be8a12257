/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A virtqueue's ring, of either format, as its queue sees it.
 *
 * Everything here runs on the queue's worker.  The driver writes to the same memory
 * at the same time: each word of its is read once.  Barriers are named by what they
 * pair with in the driver (VIRTIO 2.7.13, 2.8.21).
 */
#ifndef VHOST_RING_H
#define VHOST_RING_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/uio.h>

#include "chain.h"
#include "inflight.h"

/* The base of a fresh packed ring: slot 0, both wrap counters 1. */
#define RING_PACKED_BASE 0x80008000u

/* Where a ring is and how it is read; a value, made by the control worker. */
struct ring_conf {
	void *desc;			/* descriptor table, or packed descriptor ring */
	void *driver;			/* available ring, or driver event suppression */
	void *device;			/* used ring, or device event suppression */
	unsigned int num;		/* entries */
	uint32_t base;			/* position to start from, as in SET_VRING_BASE */
	bool event_idx;			/* VIRTIO_RING_F_EVENT_IDX is negotiated */
	bool indirect;			/* VIRTIO_RING_F_INDIRECT_DESC is negotiated */
	bool notify_on_empty;		/* VIRTIO_F_NOTIFY_ON_EMPTY of a legacy driver */
	bool own_base;			/* base is not of before a crash: the ring has stopped since */
	void *inflight;			/* in-flight memory of this ring; NULL: not tracked */
	unsigned int inflight_size;	/* its entries, num or more */
};

/* One chain as the ring names it, from take to publish. */
struct ring_elem {
	uint16_t id;			/* head of the chain, or buffer id */
	uint16_t descs;			/* ring entries which it occupies */
	uint32_t len;			/* for publish: bytes written */
	uint16_t entry;			/* packed, with in-flight memory: its first entry there */
	bool again;			/* was in flight when the ring started */
};

/* A chain which has been taken. */
struct ring_req {
	struct ring_elem elem;
	struct chain chain;
};

struct ring;

struct ring_ops {
	/* Take up the positions.  NULL, or what is wrong with the ring. */
	const char *(*start)(struct ring *r);
	/* Chains that can be taken now; enough to know whether want are there.  Negative:
	 * the driver's index makes no sense. */
	int (*avail)(struct ring *r, unsigned int want);
	/* Take the next chain, which avail() has promised; first those which were in flight when
	 * the ring started.  NULL, or what is wrong with it. */
	const char *(*take)(struct ring *r, struct chain *c, struct chain_env *env,
			    struct ring_elem *elem);
	/* Take the next chains as long as chain_set() can, n at most, into top[-1], top[-2] and so
	 * on; how many.  What comes then is for take(), if avail() promises it. */
	unsigned int (*take_usual)(struct ring *r, struct ring_req *const *top,
				   struct chain_env *env, unsigned int n);
	/* The next n chains, which avail() has promised, will be taken soon: their tables, if they have
	 * some, had better be on their way. */
	void (*prefetch)(const struct ring *r, const struct chain_env *env, unsigned int n);
	/* Put back the chain taken last. */
	void (*untake)(struct ring *r, const struct ring_elem *elem);
	/* Give chains back to the driver, all at once. */
	void (*publish)(struct ring *r, const struct ring_elem *elems, unsigned int n);
	/* Whether the driver wants a signal for what was published since the last call. */
	bool (*signal_needed)(struct ring *r);
	/* Ask for kicks.  Whether something has become available meanwhile. */
	bool (*arm)(struct ring *r);
	/* Kicks are not wanted. */
	void (*disarm)(struct ring *r);
	/* Where to start the next time, as in GET_VRING_BASE. */
	uint32_t (*base)(const struct ring *r);
	/* The parts of its memory which the device writes, RING_PARTS at most; their number. */
	unsigned int (*written)(const struct ring *r, struct iovec *parts);
};

#define RING_PARTS 2

struct ring {
	const struct ring_ops *ops;
	struct ring_conf conf;
	struct inflight *inflight;	/* NULL: not tracked */
	uint16_t next;			/* index, or slot, of the next chain to take */
	uint16_t used;			/* index, or slot, of the next used element */
	bool signal_known;		/* signal_needed() was asked before */
	union {
		/* split */
		struct {
			uint16_t seen;		/* the driver's index, as last read */
			uint16_t signalled;	/* used, when signal_needed() was asked last */
			bool stale;		/* used moved since then */
		};
		/* packed */
		struct {
			uint16_t held;		/* slots from used to next */
			bool next_wrap, used_wrap;
			unsigned int moved;	/* slots which used has gone since signal_needed()
						 * was asked, at most all */
		};
	};
};

extern const struct ring_ops split_ops, packed_ops;

/* Chains which were in flight when the ring started and are to be taken first. */
static inline unsigned int ring_again(const struct ring *r)
{
	return unlikely(r->inflight) ? inflight_left(r->inflight) : 0;
}

/* A store before and a load after it, both of shared memory, stay in order. */
static inline void ring_full_barrier(void)
{
#if defined(__x86_64__)
	/* Cheaper than mfence, and invisible to the thread sanitizer, which has no fences. */
	__asm__ volatile("lock; addl $0, -4(%%rsp)" : : : "memory", "cc");
#else
	__atomic_thread_fence(__ATOMIC_SEQ_CST);
#endif
}

static inline uint16_t ring_load(const uint16_t *p)
{
	return le16toh(__atomic_load_n(p, __ATOMIC_RELAXED));
}

static inline uint16_t ring_load_acquire(const uint16_t *p)
{
	return le16toh(__atomic_load_n(p, __ATOMIC_ACQUIRE));
}

static inline void ring_store(uint16_t *p, uint16_t v)
{
	__atomic_store_n(p, htole16(v), __ATOMIC_RELAXED);
}

static inline void ring_store_release(uint16_t *p, uint16_t v)
{
	__atomic_store_n(p, htole16(v), __ATOMIC_RELEASE);
}

#endif /* VHOST_RING_H */
