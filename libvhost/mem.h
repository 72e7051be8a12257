/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Guest memory: mapped regions, and immutable snapshots of which there are.
 *
 *   struct mem_region  one mapping of a piece of guest memory.
 *   struct mem_map     a snapshot: which regions there are.  It never changes.
 *   struct mem         a device's memory: the current snapshot and old ones.
 *
 * The control worker makes maps and regions and destroys them.  Queues find
 * addresses in a map they hold; whoever drops the last hold of a map sends it
 * home to the control worker, which unmaps what no map needs any more.
 */
#ifndef VHOST_MEM_H
#define VHOST_MEM_H

#include <stdatomic.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/queue.h>
#include <sys/types.h>

#include "libvhost.h"
#include "util.h"

/* What the front-end reports and at least what others offer (libvhost-user: 509). */
#define MEM_SLOTS_MAX 512

struct mem;

/* Where a region lies: the guest's, the front-end's and the file's addresses. */
struct mem_place {
	uint64_t gpa;			/* guest physical address */
	uint64_t uva;			/* address in the front-end's process */
	uint64_t size;			/* bytes */
	uint64_t offset;		/* in the file, bytes */
};

struct mem_region {
	struct mem_place place;
	dev_t dev;			/* of the file */
	ino_t ino;
	uint8_t *hva;			/* the region's first byte in our process */
	void *map;			/* what mmap() returned, at or before hva */
	size_t map_len;			/* bytes */
	unsigned int refs;		/* maps which contain it; control worker */
	bool guarded;			/* cannot be accessed yet, and the device does not know it */
	LIST_ENTRY(mem_region) entry;	/* in mem.regions */
};

/* A region as the request path sees it. */
struct mem_span {
	uint64_t start;			/* guest address */
	uint64_t size;
	uint8_t *hva;
};

struct mem_map {
	struct mem *mem;
	atomic_uint refs;		/* the control worker's and one per holding queue */
	struct vhost_work home;		/* to the control worker, when refs is 0 */
	unsigned int count;
	struct mem_region **regions;	/* sorted as spans */
	struct mem_span spans[];	/* sorted by start */
};

struct mem_ops {
	int (*map)(struct mem *mem, void *va, size_t len);
	void (*unmap)(struct mem *mem, void *va, size_t len);
	/* The last old map is gone: what was removed is unmapped. */
	void (*settled)(struct mem *mem);
	/* Shared memory went away under us (SIGBUS); the device must end its connection. */
	void (*lost)(struct mem *mem);
};

/* All on the control worker. */
struct mem {
	const struct mem_ops *ops;
	struct vhost_worker *control;
	struct mem_map *map;		/* current; NULL: no memory */
	unsigned int old;		/* earlier maps which somebody still holds */
	bool repeats;			/* the front-end tells of regions which there are already */
	LIST_HEAD(, mem_region) regions;	/* of all maps */
	int fault_fd;			/* eventfd, written by vhost_mem_fault() */
	struct event *fault_ev;
};

int mem_init(struct mem *mem, const struct mem_ops *ops, struct vhost_worker *control);
void mem_exit(struct mem *mem);

/* The unit in which this file can be mapped: the page, or the huge page. */
size_t mem_map_unit(int fd);

/*
 * Let vhost_mem_fault() replace [start, start + len), a mapping of a file which the front-end can
 * truncate, and tell mem->ops->lost() of it.  Regions of a map are watched by themselves; this
 * is for what else is shared.  Whole pages; before munmap() unwatch.  -ENOMEM.
 */
int mem_watch(const struct mem *mem, const void *start, size_t len);
void mem_unwatch(const void *start);

/*
 * Let vhost_mem_fault() replace [start, start + len), a mapping of a file which the front-end can
 * truncate, and tell mem->ops->lost() of it.  Regions of a map are watched by themselves; this
 * is for what else is shared.  Whole pages; before munmap() unwatch.  -ENOMEM.
 */
int mem_watch(const struct mem *mem, const void *start, size_t len);
void mem_unwatch(const void *start);

/*
 * Make a map: the regions of the current one (if keep) but the one at drop, and
 * the new ones of count places with their fds.  The caller keeps the fds.  On
 * success *map is the new one, not current yet.  -EINVAL: sizes which wrap, overlap,
 * or leave the file; -E2BIG: too many; -ENOENT: drop is not there; -ENOMEM, or
 * what mmap() said.
 */
struct mem_change {
	bool keep;
	const struct mem_map *from;	/* with keep: what to keep; NULL: the current map */
	bool guarded;			/* no access to new regions before mem_map_open() */
	const struct mem_place *drop;	/* offset is ignored; NULL: none */
	const struct mem_place *add;
	const int *fds;
	unsigned int count;		/* of add and fds */
};
int mem_map_new(struct mem *mem, const struct mem_change *change, struct mem_map **map);

/*
 * Let the map's guarded regions be accessed, each after prepare() was called for its mapping.  If
 * that fails some may be accessed nevertheless, but the map is only good to be discarded.
 */
int mem_map_open(struct mem_map *map, int (*prepare)(void *arg, void *va, size_t len), void *arg);
/* Free a map which has never been the current one. */
void mem_map_discard(struct mem_map *map);

/* Call fn for the mapping of each region of all maps, old ones and new ones too. */
void mem_for_each(struct mem *mem, void (*fn)(void *arg, void *va, size_t len), void *arg);

/* What vhost_mem_fault() has replaced so far is known. */
void mem_forget_faults(struct mem *mem);

/* Make it the current map (NULL: no memory), dropping the control worker's hold of the other. */
void mem_use(struct mem *mem, struct mem_map *map);

/* Whether the current map has this very region of this file. */
bool mem_has(const struct mem *mem, const struct mem_place *place, int fd);

/* Any thread: hold a map, or drop a hold. */
void mem_map_get(struct mem_map *map);
void mem_map_put(struct mem_map *map);

/* Index of the span which contains addr, or -1. */
int mem_map_search(const struct mem_map *map, uint64_t addr);

/*
 * Translate a guest address.  *hit is the index of the last finding, and is
 * tried first.  At most *len bytes are contiguous from there on; *len becomes
 * that number.  NULL: not guest memory.
 */
static inline void *mem_find(const struct mem_map *map, unsigned int *hit, uint64_t addr,
			     uint64_t *len)
{
	const struct mem_span *span;
	uint64_t off;

	if (unlikely(*hit >= map->count || addr - map->spans[*hit].start >= map->spans[*hit].size)) {
		int i = mem_map_search(map, addr);

		if (i < 0)
			return NULL;
		*hit = (unsigned int)i;
	}
	span = &map->spans[*hit];
	off = addr - span->start;
	*len = MIN(*len, span->size - off);
	return span->hva + off;
}

/*
 * The guest address of our address va, which is in a region of the map; *hit as in mem_find().
 * False: it is not.
 */
bool mem_find_gpa(const struct mem_map *map, unsigned int *hit, const void *va, uint64_t *gpa);

/* Whether our addresses [va, va + last] lie in a region of the map. */
bool mem_map_has(const struct mem_map *map, const uint8_t *va, uint64_t last);

/* Our address of len contiguous bytes at an address of the front-end's, or NULL. */
void *mem_find_uva(const struct mem_map *map, uint64_t uva, uint64_t len);

#endif /* VHOST_MEM_H */
