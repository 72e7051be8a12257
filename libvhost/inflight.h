/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * In-flight tracking: which requests a queue has taken and not given back, in memory which
 * outlives this process (vhost-user, "Inflight I/O tracking").
 *
 * Functions over that memory; they know neither messages nor requests.  How they
 * survive a crash is written atop inflight.c.
 */
#ifndef VHOST_INFLIGHT_H
#define VHOST_INFLIGHT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "chain.h"

/*
 * The shared memory of one queue, in host order: the layout of QEMU's and DPDK's libraries,
 * since a migration can bring it from one to another.
 */

#define INFLIGHT_VERSION	1	/* 0: nobody has used it yet */
#define INFLIGHT_ALIGN		64u	/* of each queue's memory, bytes */

struct inflight_split_desc {
	uint8_t inflight;		/* 1: this head was taken and not given back */
	uint8_t pad[5];
	uint16_t next;			/* in the list of the last batch */
	uint64_t counter;		/* order of taking */
};

struct inflight_split {
	uint64_t features;		/* 0 */
	uint16_t version;
	uint16_t desc_num;
	uint16_t last_batch_head;	/* what was given back last, linked by next */
	uint16_t used_idx;		/* used->idx when the last batch was done with */
	struct inflight_split_desc desc[];
};

struct inflight_packed_desc {
	uint8_t inflight;		/* head only: 1, as above */
	uint8_t pad;
	uint16_t next;			/* of its chain, or of the free list; desc_num: the end */
	uint16_t last;			/* head only: the chain's last entry */
	uint16_t num;			/* head only: entries of the chain */
	uint64_t counter;		/* head only: order of taking */
	uint16_t id;			/* the descriptor, as it was in the ring */
	uint16_t flags;
	uint32_t len;
	uint64_t addr;
};

/* Eight bytes which are written in one store. */
struct inflight_used {
	uint16_t idx, old_idx;		/* slot of the next used descriptor */
	uint8_t wrap, old_wrap;		/* its wrap counter */
	uint8_t pad[2];
};

struct inflight_packed {
	uint64_t features;		/* 0 */
	uint16_t version;
	uint16_t desc_num;
	uint16_t free_head;
	uint16_t old_free_head;
	uint64_t used;			/* struct inflight_used */
	uint64_t pad;
	struct inflight_packed_desc desc[];
};

/* Bytes of one queue's memory with size entries, at most 32768. */
size_t inflight_stride(bool packed, unsigned int size);

/* Whether a ring can start on it: not used yet, or by somebody who does it as we do. */
bool inflight_valid(const void *region, unsigned int size);

/* A request to be served once more. */
struct inflight_again {
	uint64_t counter;		/* order of taking */
	uint16_t entry;			/* split: the head; packed: the first entry */
	uint16_t num;			/* packed: entries */
};

/*
 * What a running ring knows about its part of the memory.  After the start the memory is
 * only written, so that nothing depends on what others write there meanwhile.
 */
struct inflight {
	union {
		void *region;		/* the queue's shared memory, not owned */
		struct inflight_split *split;
		struct inflight_packed *packed;
	};
	unsigned int size;		/* entries of region */
	uint64_t counter;		/* for the next request */

	/* To be served once more, in order; the first again_next of them have been taken. */
	struct inflight_again *again;
	unsigned int again_cnt, again_next;

	/* split */
	uint16_t last_head;		/* as last_batch_head */
	uint8_t *busy;			/* by head: in flight */

	/* packed */
	uint16_t *next, *last;		/* as in the entries */
	uint16_t free_head;
	uint16_t fill, fill_num;	/* the chain being added: its next entry, entries so far */
	struct inflight_used used;
};

/*
 * All on the queue's worker.  A text, where one is returned, says what is wrong with the
 * memory or the ring; then the ring cannot go on.
 */

/* NULL: out of memory. */
struct inflight *inflight_new(void *region, bool packed, unsigned int size);
void inflight_free(struct inflight *fl);

/* Requests which must be served once more, before new ones. */
static inline unsigned int inflight_left(const struct inflight *fl)
{
	return fl->again_cnt - fl->again_next;
}

/* The first of these, of which there is one; it is taken by the second function. */
static inline const struct inflight_again *inflight_peek(const struct inflight *fl)
{
	return &fl->again[fl->again_next];
}

static inline void inflight_take_again(struct inflight *fl)
{
	fl->again_next++;
}

/* Undo the latest of these; it stays in flight. */
static inline void inflight_untake_again(struct inflight *fl)
{
	fl->again_next--;
}

/*
 * Split.  Start: used is what the used ring says, num the ring's size; *count becomes the number
 * of requests in flight, which the next position to fetch from is ahead of used.
 */
const char *inflight_split_start(struct inflight *fl, uint16_t used, unsigned int num,
				 unsigned int *count);
/* The head is taken. */
const char *inflight_split_take(struct inflight *fl, uint16_t head);
/* Undo the latest taking. */
void inflight_split_untake(struct inflight *fl, uint16_t head);
/* Give back: before used->idx moves, each head is added to the batch, ... */
void inflight_split_add_done(struct inflight *fl, uint16_t head);
/* ... after it has moved each is cleared, and then it is all done with. */
void inflight_split_clear(struct inflight *fl, uint16_t head);
void inflight_split_settle(struct inflight *fl, uint16_t used);

/* Packed: where a ring starts. */
struct inflight_start {
	const void *ring;		/* descriptors */
	unsigned int num;		/* of these */
	bool own_base;			/* used and wrap are of after a stop: they win if nothing is
					 * in flight */
	uint16_t used;			/* slot of the next used descriptor: as SET_VRING_BASE
					 * says, then as it is */
	bool wrap;			/* its wrap counter */
	unsigned int descs;		/* result: slots in flight, from there on */
};
const char *inflight_packed_start(struct inflight *fl, struct inflight_start *start);
/* Take a chain: begin, add each descriptor, and end, which returns its entry. */
void inflight_packed_begin(struct inflight *fl);
const char *inflight_packed_add(struct inflight *fl, const struct chain_desc *d);
uint16_t inflight_packed_take(struct inflight *fl);
/* Undo the latest taking. */
void inflight_packed_untake(struct inflight *fl, uint16_t entry);
/*
 * Read the descriptor of a chain which is to be served once more at *entry, and let that
 * be the next one's.
 */
struct chain_desc inflight_packed_read(const struct inflight *fl, uint16_t *entry);
/* Give back one chain of descs descriptors: before its used descriptor is written, and after. */
void inflight_packed_add_done(struct inflight *fl, uint16_t entry, unsigned int descs,
			      unsigned int ring_num);
void inflight_packed_settle(struct inflight *fl, uint16_t entry);

#endif /* VHOST_INFLIGHT_H */
