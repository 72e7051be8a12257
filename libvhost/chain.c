/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Descriptor chain to iovecs; the one place which judges what a driver wrote there.
 *
 * VIRTIO 2.7.5: readable descriptors come before writable ones, the whole
 * is shorter than 2^32 bytes, and one indirect table may end a chain, also
 * behind direct descriptors.  A table of a split ring is walked by its next fields;
 * since the table may change meanwhile, the number of steps is bounded, not the path.
 * One of a packed ring is a plain array: NEXT and id mean nothing in it (2.8.7).
 */
#include "chain.h"

#include <stdlib.h>

const char CHAIN_MISS[] = "a translation is missing";

void chain_init(struct chain *c)
{
	c->iov = c->room;
	c->cap = CHAIN_INLINE;
	chain_begin(c);
}

void chain_free(struct chain *c)
{
	if (c->iov != c->room)
		free(c->iov);
	free(c->iova);
	c->iova = NULL;
	c->iova_cap = 0;
	chain_init(c);
}

static bool chain_grow(struct chain *c)
{
	unsigned int cap = c->cap * 2;
	struct iovec *iov;

	/* At most a region's worth of borders per descriptor: far from overflow. */
	iov = realloc(c->iov == c->room ? NULL : c->iov, cap * sizeof(*iov));
	if (!iov)
		return false;
	if (c->iov == c->room)
		memcpy(iov, c->room, sizeof(c->room));
	c->iov = iov;
	c->cap = cap;
	return true;
}

/*
 * Addresses behind an IOMMU
 */

/* Translate an address; NULL: a translation is missing. */
static void *chain_find_iova(struct chain_env *env, uint64_t addr, uint64_t *len, bool write)
{
	uint8_t access = write ? VU_IOTLB_WO : VU_IOTLB_RO;
	void *va = iotlb_find(env->iotlb, &env->recent, addr, len, access);

	if (!va)
		env->missing = (struct iotlb_range){ addr, addr, access };
	return va;
}

/* Room for the driver's address of each element. */
static bool chain_grow_iova(struct chain *c)
{
	uint64_t *iova = realloc(c->iova, c->cap * sizeof(*iova));

	if (!iova)
		return false;
	c->iova = iova;
	c->iova_cap = c->cap;
	return true;
}

bool chain_uses(const struct chain *c, uint64_t first, uint64_t last)
{
	unsigned int i;

	for (i = 0; i < c->out_cnt + c->in_cnt; i++) {
		if (iotlb_intersects(first, last, c->iova[i], c->iova[i] + c->iov[i].iov_len - 1))
			return true;
	}
	return false;
}

/*
 * As chain_add_buffer().  Pages which are neighbours here too become one element.  Not inlined: its
 * registers would be saved for those, too, who have no IOMMU.
 */
static __attribute__((noinline)) const char *chain_add_iova(struct chain *c, struct chain_env *env,
							    uint64_t addr, uint64_t len,
							    bool write)
{
	struct iovec *prev = NULL;

	while (len) {
		unsigned int i = c->out_cnt + c->in_cnt;
		uint64_t n = len;
		uint8_t *va = chain_find_iova(env, addr, &n, write);

		if (!va)
			return CHAIN_MISS;
		if (prev && addr && (uint8_t *)prev->iov_base + prev->iov_len == va) {
			prev->iov_len += n;
		} else {
			if ((i == c->cap && !chain_grow(c)) ||
			    (c->cap > c->iova_cap && !chain_grow_iova(c)))
				return "out of memory for a descriptor chain";
			prev = &c->iov[i];
			*prev = (struct iovec){ va, n };
			c->iova[i] = addr;
			c->out_cnt += !write;
			c->in_cnt += write;
		}
		addr += n;
		len -= n;
	}
	return NULL;
}

/*
 * Elements
 */

/* Append [addr, addr + len), which may cross regions that are neighbours. */
static const char *chain_add_buffer(struct chain *c, struct chain_env *env, uint64_t addr,
				    uint64_t len, bool write)
{
	if (unlikely(env->iotlb))
		return chain_add_iova(c, env, addr, len, write);
	while (len) {
		uint64_t n = len;
		void *va = mem_find(env->map, &env->hit, addr, &n);

		if (unlikely(!va))
			return "a descriptor points outside of guest memory";
		env->span = env->map->spans[env->hit];
		if (unlikely(c->out_cnt + c->in_cnt == c->cap) && !chain_grow(c))
			return "out of memory for a descriptor chain";
		c->iov[c->out_cnt + c->in_cnt] = (struct iovec){ va, n };
		if (write)
			c->in_cnt++;
		else
			c->out_cnt++;
		addr += n;
		len -= n;
	}
	return NULL;
}

/* A descriptor which is a buffer, in the ring or in a table. */
static const char *chain_add_plain(struct chain *c, struct chain_env *env,
				   const struct chain_desc *d)
{
	bool write = d->flags & VRING_DESC_F_WRITE;
	uint64_t *len = write ? &c->in_len : &c->out_len;

	if (unlikely(!write && c->in_len))
		return "a readable descriptor follows a writable one";
	*len += d->len;
	if (unlikely(*len > UINT32_MAX))
		return "a descriptor chain of 4 GiB or more";
	return chain_add_buffer(c, env, d->addr, d->len, write);
}

static void *chain_find(struct chain_env *env, uint64_t addr, uint64_t *len)
{
	if (unlikely(env->iotlb))
		return chain_find_iova(env, addr, len, false);
	return mem_find(env->map, &env->hit, addr, len);
}

/* An indirect table. */
struct chain_table {
	uint64_t addr;			/* the driver's */
	const uint8_t *whole;		/* ours; NULL: it lies across regions */
	unsigned int count;		/* entries */
};

/* Bytes of a table which are asked for at once; the processor sees by itself how it goes on. */
#define CHAIN_FETCH	256u

/* False: it is not in guest memory, or a translation is missing. */
static bool chain_find_table(struct chain_table *t, struct chain_env *env,
			     const struct chain_desc *d)
{
	uint64_t n = d->len;
	unsigned int off;

	t->addr = d->addr;
	t->count = d->len / sizeof(struct vring_desc);
	t->whole = chain_find(env, d->addr, &n);
	if (!t->whole)
		return false;
	for (off = 64; off < MIN(n, CHAIN_FETCH); off += 64)
		__builtin_prefetch(t->whole + off);
	if (unlikely(n < d->len))
		t->whole = NULL;
	return true;
}

static __attribute__((noinline)) bool chain_copy_entry(struct chain_env *env, uint64_t addr,
						       uint8_t copy[sizeof(struct vring_desc)])
{
	size_t done = 0;

	while (done < sizeof(struct vring_desc)) {
		uint64_t n = sizeof(struct vring_desc) - done;
		void *va = chain_find(env, addr + done, &n);

		if (!va)
			return false;
		memcpy(copy + done, va, n);
		done += n;
	}
	return true;
}

/* Read entry i of a table. */
static inline bool chain_read_entry(const struct chain_table *t, struct chain_env *env,
				    unsigned int i, struct chain_desc *d)
{
	const size_t off = i * sizeof(struct vring_desc);
	uint8_t copy[sizeof(struct vring_desc)];
	const uint8_t *entry = copy;

	if (likely(t->whole))
		entry = t->whole + off;
	else if (!chain_copy_entry(env, t->addr + off, copy))
		return false;
	*d = env->packed ? chain_read_packed(entry) : chain_read_desc(entry);
	return true;
}

/* Link entry i of a packed ring's table, which has no links, to the one behind it. */
static void chain_link_entry(struct chain_desc *d, unsigned int i, unsigned int count)
{
	d->flags &= (uint16_t)~VRING_DESC_F_NEXT;
	if (i + 1 < count)
		d->flags |= VRING_DESC_F_NEXT;
	d->next = (uint16_t)(i + 1);
}

/*
 * The usual table, which is all of its chain: buffers in the region of the last finding, linked in
 * their order.  All is kept in registers until it is known to be good.  False: nothing was done.
 */
static inline __attribute__((always_inline)) bool
chain_set_table(struct chain *c, const struct chain_env *env, const uint8_t *entries,
		unsigned int count, bool packed)
{
	const uint64_t start = env->span.start, size = env->span.size;
	uint8_t *const hva = env->span.hva;
	struct iovec *const iov = c->iov;
	uint64_t out_len = 0, in_len = 0;
	unsigned int i, out_cnt = 0;

	for (i = 0; i < count; i++) {
		const void *entry = entries + i * sizeof(struct vring_desc);
		const struct chain_desc d = packed ? chain_read_packed(entry) :
						     chain_read_desc(entry);
		const uint64_t off = d.addr - start;

		if (unlikely(off >= size || !d.len || d.len > size - off ||
			     d.flags & VRING_DESC_F_INDIRECT))
			return false;
		iov[i] = (struct iovec){ hva + off, d.len };
		if (!i)
			chain_fetch(hva + off, d.flags & VRING_DESC_F_WRITE);
		if (d.flags & VRING_DESC_F_WRITE) {
			in_len += d.len;
		} else {
			if (unlikely(in_len))
				return false;
			out_len += d.len;
			out_cnt++;
		}
		/* In a packed ring's table NEXT means nothing. */
		if (packed ? i + 1 == count : !(d.flags & VRING_DESC_F_NEXT))
			break;
		if (!packed && unlikely(d.next != i + 1))
			return false;
	}
	if (unlikely(i == count || out_len > UINT32_MAX || in_len > UINT32_MAX))
		return false;
	c->descs = 1;
	c->out_cnt = out_cnt;
	c->in_cnt = i + 1 - out_cnt;
	c->out_len = out_len;
	c->in_len = in_len;
	return true;
}

bool chain_set_tabled(struct chain *c, const struct chain_env *env, struct chain_desc d)
{
	const unsigned int count = d.len / sizeof(struct vring_desc);
	const uint8_t *entries = chain_find_quickly(env, &d);

	if (unlikely(!entries || !env->indirect || d.flags & VRING_DESC_F_NEXT ||
		     d.len % sizeof(struct vring_desc) || count > c->cap))
		return false;
	return env->packed ? chain_set_table(c, env, entries, count, true) :
			     chain_set_table(c, env, entries, count, false);
}

static const char *chain_walk_table(struct chain *c, struct chain_env *env,
				    const struct chain_table *t)
{
	unsigned int i = 0, steps;
	struct chain_desc d;
	const char *why;

	for (steps = 0; steps < t->count; steps++) {
		if (unlikely(!chain_read_entry(t, env, i, &d)))
			return env->iotlb ? CHAIN_MISS :
					    "an indirect table outside of guest memory";
		if (env->packed)
			chain_link_entry(&d, i, t->count);
		if (unlikely(d.flags & VRING_DESC_F_INDIRECT))
			return "an indirect table within an indirect table";
		why = chain_add_quickly(c, env, &d) ? NULL : chain_add_plain(c, env, &d);
		if (unlikely(why) || !(d.flags & VRING_DESC_F_NEXT))
			return why;
		i = d.next;
		if (unlikely(i >= t->count))
			return "an indirect descriptor's next leaves its table";
	}
	return "an indirect descriptor chain which loops";
}

static const char *chain_add_table(struct chain *c, struct chain_env *env,
				   const struct chain_desc *d)
{
	struct chain_table t;

	if (!d->len || d->len % sizeof(struct vring_desc))
		return "an indirect table of odd length";
	if (d->len / sizeof(struct vring_desc) > MAX(env->direct_max, CHAIN_INDIRECT_MAX))
		return "an indirect table which is too long";
	if (unlikely(!chain_find_table(&t, env, d)))
		return env->iotlb ? CHAIN_MISS : "an indirect table outside of guest memory";
	return chain_walk_table(c, env, &t);
}

const char *chain_add_slowly(struct chain *c, struct chain_env *env, struct chain_desc d)
{
	if (unlikely(++c->descs > env->direct_max))
		return "a descriptor chain which loops";
	if (likely(!(d.flags & VRING_DESC_F_INDIRECT)))
		return chain_add_plain(c, env, &d);
	if (unlikely(!env->indirect))
		return "an indirect descriptor, which was not negotiated";
	if (unlikely(d.flags & VRING_DESC_F_NEXT))
		return "a descriptor with both INDIRECT and NEXT";
	env->tables = true;
	return chain_add_table(c, env, &d);
}
