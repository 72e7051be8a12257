/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A device's translations of I/O virtual addresses (VIRTIO_F_ACCESS_PLATFORM).
 *
 * The control worker fills the table and empties it.  Queues look things up in it when
 * their own few latest findings (struct iotlb_recent) do not help, so it has a lock.
 *
 * What is found may be used until an invalidation has been handed to the queue: the table
 * may forget at any time, which says nothing about the translation.
 */
#ifndef VHOST_IOTLB_H
#define VHOST_IOTLB_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

#include "mem.h"
#include "spec.h"

/* Entries; DPDK has as many. */
#define IOTLB_MAX 2048

/* What most IOMMUs have for a page; no more than a hint here. */
#define IOTLB_PAGE 4096

/* Neighbouring pages of one request go to different places. */
#define IOTLB_RECENT 16

struct iotlb_entry {
	uint64_t first, last;		/* I/O virtual addresses, both included */
	uint8_t *hva;			/* of first */
	uint8_t perm;			/* VU_IOTLB_RO | VU_IOTLB_WO */
};

struct iotlb {
	pthread_mutex_t lock;
	struct iotlb_entry *entries;	/* sorted, without overlaps */
	unsigned int count;
	unsigned int victim;		/* where the next one is evicted */
};

/* The latest findings of one queue. */
struct iotlb_recent {
	struct iotlb_entry entries[IOTLB_RECENT];	/* by page number; empty: first > last */
};

/* A range which is needed. */
struct iotlb_range {
	uint64_t first, last;		/* both included */
	uint8_t access;			/* VU_IOTLB_RO | VU_IOTLB_WO */
};

int iotlb_init(struct iotlb *t);
void iotlb_exit(struct iotlb *t);

/*
 * Control worker: add a translation; older ones give way.  *changed: one of them said
 * something else.
 */
void iotlb_add(struct iotlb *t, const struct iotlb_entry *e, bool *changed);
/*
 * Control worker: remove what intersects [*first, *last], as a whole, and widen the range to what
 * that has covered.
 */
void iotlb_remove(struct iotlb *t, uint64_t *first, uint64_t *last);
/* Control worker: keep only what lies in a region of map (NULL: nothing). */
void iotlb_keep(struct iotlb *t, const struct mem_map *map);

/*
 * Our address of a whole range to *va.  -ENOENT: *missing is the first address without a
 * translation; -EFAULT: it is there, but not in one piece here.
 */
int iotlb_find_range(struct iotlb *t, const struct iotlb_range *range, void **va,
		     uint64_t *missing);

void iotlb_forget_recent(struct iotlb_recent *r);
/*
 * Translate an address for a queue.  At most *len bytes are contiguous from there on; *len
 * becomes that number.  NULL: there is no translation which allows access.
 */
void *iotlb_find(struct iotlb *t, struct iotlb_recent *r, uint64_t iova, uint64_t *len,
		 uint8_t access);

/* Whether [a_first, a_last] and [b_first, b_last] have an address in common. */
static inline bool iotlb_intersects(uint64_t a_first, uint64_t a_last, uint64_t b_first,
				    uint64_t b_last)
{
	return a_first <= b_last && b_first <= a_last;
}

#endif /* VHOST_IOTLB_H */
