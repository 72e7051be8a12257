/* SPDX-License-Identifier: BSD-3-Clause */
/* A descriptor chain, walked and translated into iovecs. */
#ifndef VHOST_CHAIN_H
#define VHOST_CHAIN_H

#include <endian.h>
#include <linux/virtio_ring.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/uio.h>

#include "iotlb.h"
#include "mem.h"

/* Descriptors of an indirect table: QEMU's limit; some drivers exceed the ring's size. */
#define CHAIN_INDIRECT_MAX 1024

/* Elements which a chain has room for without memory of its own. */
#define CHAIN_INLINE 6

/* What walking a chain needs to know; constant while a ring runs, but for findings. */
struct chain_env {
	const struct mem_map *map;
	unsigned int hit;		/* see mem_find() */
	struct mem_span span;		/* the region of the last finding; empty: none, or iotlb */
	unsigned int direct_max;	/* descriptors in the ring itself */
	bool indirect;			/* VIRTIO_RING_F_INDIRECT_DESC is negotiated */
	bool packed;			/* the format of the ring, and of tables */
	bool tables;			/* the driver uses indirect descriptors */
	struct iotlb *iotlb;		/* descriptors have I/O virtual addresses; NULL: the guest's */
	struct iotlb_recent recent;	/* with iotlb */
	struct iotlb_range missing;	/* what CHAIN_MISS is about */
};

/*
 * The result: readable elements first, then writable ones, in one array.  The array
 * grows to the longest chain seen and stays, so that nothing is allocated in
 * steady state.
 */
struct chain {
	struct iovec *iov;
	unsigned int cap;		/* elements iov has room for */
	unsigned int iova_cap;		/* elements iova has room for */
	uint64_t *iova;			/* with an IOMMU: the driver's address of each element */
	uint64_t out_len;		/* bytes */
	unsigned int out_cnt, in_cnt;
	uint64_t in_len;		/* bytes; not beside out_len: both would be copied by one load, which
					 * had to wait until both stores have reached the cache */
	unsigned int descs;		/* descriptors walked, those of an indirect table not included */
	struct iovec room[CHAIN_INLINE];
};

/* A descriptor of either format, read once and in host order. */
struct chain_desc {
	uint64_t addr;
	uint32_t len;
	uint16_t flags;			/* VRING_DESC_F_NEXT, _WRITE, _INDIRECT */
	uint16_t next;			/* split: next; packed: buffer id */
};

/*
 * Read a descriptor once: each field goes to a register, which the compiler must not take from
 * guest memory again.  p need not be aligned.
 */
static inline struct chain_desc chain_read_desc(const void *p)
{
	const uint8_t *from = p;
	uint64_t addr;
	uint32_t len;
	uint16_t flags, next;

	memcpy(&addr, from + offsetof(struct vring_desc, addr), sizeof(addr));
	memcpy(&len, from + offsetof(struct vring_desc, len), sizeof(len));
	memcpy(&flags, from + offsetof(struct vring_desc, flags), sizeof(flags));
	memcpy(&next, from + offsetof(struct vring_desc, next), sizeof(next));
	__asm__ volatile("" : "+r"(addr), "+r"(len), "+r"(flags), "+r"(next) : : "memory");
	return (struct chain_desc){ le64toh(addr), le32toh(len), le16toh(flags), le16toh(next) };
}

/* The same for the packed format, where id and flags have changed places. */
static inline struct chain_desc chain_read_packed(const void *p)
{
	struct chain_desc d = chain_read_desc(p);

	return (struct chain_desc){ d.addr, d.len, .flags = d.next, .next = d.flags };
}

void chain_init(struct chain *c);
void chain_free(struct chain *c);
/* Give the memory back, when it is for more than keep elements. */
static inline void chain_shrink(struct chain *c, unsigned int keep)
{
	if (unlikely(c->cap > keep))
		chain_free(c);
}

/* Begin a new chain. */
static inline void chain_begin(struct chain *c)
{
	c->out_cnt = c->in_cnt = 0;
	c->out_len = c->in_len = 0;
	c->descs = 0;
}

/* Whether an element is at one of the I/O virtual addresses [first, last]; with an IOMMU. */
bool chain_uses(const struct chain *c, uint64_t first, uint64_t last);

/* A translation is missing, which env->missing tells; the chain is to be walked again with it. */
extern const char CHAIN_MISS[];

/* The map, or the way in which addresses are translated, is another one. */
static inline void chain_forget(struct chain_env *env)
{
	env->hit = 0;
	env->span = (struct mem_span){ 0 };
	iotlb_forget_recent(&env->recent);
}

/* Where the buffer is if it lies in the region of the last finding as a whole; else NULL. */
static inline void *chain_find_quickly(const struct chain_env *env, const struct chain_desc *d)
{
	uint64_t off = d->addr - env->span.start;

	if (unlikely(off >= env->span.size || !d->len || d->len > env->span.size - off))
		return NULL;
	return env->span.hva + off;
}

/*
 * A descriptor which will be taken soon: if it has a table, that was last in another core's cache.
 * The descriptor is read just to guess; it is read again, and judged, when it is taken.
 */
static inline void chain_prefetch_table(const struct chain_env *env, const struct chain_desc *d)
{
	const uint8_t *table;

	if (!(d->flags & VRING_DESC_F_INDIRECT))
		return;
	table = chain_find_quickly(env, d);
	if (likely(table)) {
		__builtin_prefetch(table);
		__builtin_prefetch(table + MIN(d->len - 1, 127u));
	}
}

/*
 * A request was last in the driver's cache.  What the device will read first, its beginning, is
 * asked for now, so that the requests of a batch come together and not one after another.  As if
 * it were to be written: the driver will write the next request there, and takes a line faster
 * from another core than it makes one its own which both have.  Where the device only writes, that
 * is for who writes: mostly the kernel, which does not wait for lines, while many such wishes in
 * a row wait for one another.
 */
static inline __attribute__((always_inline)) void chain_fetch(const void *va, bool write)
{
	if (!write)
		prefetch_to_write(va);
}

/*
 * The usual descriptor: such a buffer.  A part of those who walk chains, since a call would cost as
 * much.  False: nothing was done, chain_add_slowly() judges.
 */
static inline __attribute__((always_inline)) bool
chain_add_quickly(struct chain *c, const struct chain_env *env, const struct chain_desc *d)
{
	bool write = d->flags & VRING_DESC_F_WRITE;
	uint64_t len = d->len + (write ? c->in_len : c->out_len);
	unsigned int i = c->out_cnt + c->in_cnt;
	void *va = chain_find_quickly(env, d);

	if (unlikely(d->flags & VRING_DESC_F_INDIRECT || !va || i == c->cap ||
		     (!write && c->in_len) || len > UINT32_MAX))
		return false;
	c->iov[i] = (struct iovec){ va, d->len };
	if (!i)
		chain_fetch(va, write);
	if (write) {
		c->in_cnt++;
		c->in_len = len;
	} else {
		c->out_cnt++;
		c->out_len = len;
	}
	return true;
}

/* The usual chain of a network: one such descriptor.  False: begin, and add what there is. */
static inline __attribute__((always_inline)) bool
chain_set_only(struct chain *c, const struct chain_env *env, const struct chain_desc *d)
{
	bool write = d->flags & VRING_DESC_F_WRITE;
	void *va = chain_find_quickly(env, d);

	if (d->flags & VRING_DESC_F_NEXT || unlikely(!va))
		return false;
	chain_fetch(va, write);
	c->iov[0] = (struct iovec){ va, d->len };
	c->out_cnt = !write;
	c->in_cnt = write;
	c->out_len = write ? 0 : d->len;
	c->in_len = write ? d->len : 0;
	c->descs = 1;
	return true;
}

/*
 * The usual chain of a disk: a descriptor with a table of some of those.  False: begin, and add what
 * there is.  The table has been read then, and will be again: only that counts.
 */
bool chain_set_tabled(struct chain *c, const struct chain_env *env, struct chain_desc d);

/* One of these two.  False: begin, and add what there is. */
static inline __attribute__((always_inline)) bool
chain_set(struct chain *c, const struct chain_env *env, const struct chain_desc *d)
{
	return d->flags & VRING_DESC_F_INDIRECT ? chain_set_tabled(c, env, *d) :
						  chain_set_only(c, env, d);
}

const char *chain_add_slowly(struct chain *c, struct chain_env *env, struct chain_desc d);

/*
 * Add one descriptor of the ring; an indirect one brings its table.  NULL, CHAIN_MISS, or what
 * is wrong, as a text for the log.
 */
static inline __attribute__((always_inline)) const char *
chain_add(struct chain *c, struct chain_env *env, const struct chain_desc *d)
{
	if (unlikely(c->descs >= env->direct_max || !chain_add_quickly(c, env, d)))
		return chain_add_slowly(c, env, *d);
	c->descs++;
	return NULL;
}

#endif /* VHOST_CHAIN_H */
