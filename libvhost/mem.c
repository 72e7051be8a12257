/* SPDX-License-Identifier: BSD-3-Clause */
/* Guest memory: regions, snapshots, and what happens when a file is truncated. */
#include "mem.h"

#include <errno.h>
#include <event2/event.h>
#include <linux/magic.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/vfs.h>
#include <unistd.h>

/*
 * Faults.  SIGBUS may arrive on any worker at any access, so its handler can use
 * atomics and system calls only.  It finds the region in a list of blocks which
 * only grows; a slot is free while its len is 0.
 */

struct fault_slot {
	_Atomic(uintptr_t) start;
	_Atomic(size_t) len;
	atomic_int fd;			/* the device's fault_fd */
};

struct fault_block {
	struct fault_slot slots[64];
	_Atomic(struct fault_block *) next;
};

static struct fault_block fault_first;
static pthread_mutex_t fault_lock = PTHREAD_MUTEX_INITIALIZER;

static struct fault_slot *fault_find(uintptr_t addr)
{
	struct fault_block *block;
	size_t i;

	for (block = &fault_first; block; block = atomic_load(&block->next)) {
		for (i = 0; i < ARRAY_SIZE(block->slots); i++) {
			struct fault_slot *slot = &block->slots[i];

			if (addr - atomic_load(&slot->start) < atomic_load(&slot->len))
				return slot;
		}
	}
	return NULL;
}

/* With fault_lock held. */
static struct fault_slot *fault_free_slot(void)
{
	struct fault_block *block = &fault_first, *next;
	size_t i;

	for (;; block = next) {
		for (i = 0; i < ARRAY_SIZE(block->slots); i++) {
			if (!atomic_load(&block->slots[i].len))
				return &block->slots[i];
		}
		next = atomic_load(&block->next);
		if (!next) {
			next = calloc(1, sizeof(*next));
			if (!next)
				return NULL;
			atomic_store(&block->next, next);
		}
	}
}

int mem_watch(const struct mem *mem, const void *start, size_t len)
{
	struct fault_slot *slot;

	pthread_mutex_lock(&fault_lock);
	slot = fault_free_slot();
	if (slot) {
		atomic_store(&slot->fd, mem->fault_fd);
		atomic_store(&slot->start, (uintptr_t)start);
		atomic_store(&slot->len, len);
	}
	pthread_mutex_unlock(&fault_lock);
	return slot ? 0 : -ENOMEM;
}

void mem_unwatch(const void *start)
{
	struct fault_slot *slot;

	pthread_mutex_lock(&fault_lock);
	slot = fault_find((uintptr_t)start);
	if (slot)
		atomic_store(&slot->len, 0);
	pthread_mutex_unlock(&fault_lock);
}

bool vhost_mem_fault(const void *addr)
{
	struct fault_slot *slot = fault_find((uintptr_t)addr);
	const uint64_t one = 1;
	int saved = errno;
	void *start;

	if (!slot)
		return false;
	start = (void *)atomic_load(&slot->start);
	if (mmap(start, atomic_load(&slot->len), PROT_READ | PROT_WRITE,
		 MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_NORESERVE, -1, 0) == MAP_FAILED ||
	    write(atomic_load(&slot->fd), &one, sizeof(one)) < 0)
		start = NULL;
	errno = saved;
	return start;
}

static bool mem_take_faults(struct mem *mem)
{
	uint64_t count;

	return read(mem->fault_fd, &count, sizeof(count)) == sizeof(count);
}

static void mem_fault_event(evutil_socket_t fd, short what, void *arg)
{
	struct mem *mem = arg;

	(void)fd, (void)what;
	if (mem_take_faults(mem))
		mem->ops->lost(mem);
}

void mem_forget_faults(struct mem *mem)
{
	mem_take_faults(mem);
}

/*
 * Regions
 */

size_t mem_map_unit(int fd)
{
	struct statfs fs;

	if (!fstatfs(fd, &fs) && fs.f_type == HUGETLBFS_MAGIC)
		return (size_t)fs.f_bsize;
	return (size_t)sysconf(_SC_PAGESIZE);
}

/* Whether the numbers make sense by themselves, and the file is long enough. */
static int mem_check_place(const struct mem_place *p, int fd, struct stat *st)
{
	uint64_t end, file_end;

	if (!p->size || add_overflows(p->gpa, p->size - 1, &end) ||
	    add_overflows(p->uva, p->size - 1, &end) ||
	    add_overflows(p->offset, p->size, &file_end) || file_end > INT64_MAX)
		return -EINVAL;
	if (fstat(fd, st))
		return -errno;
	if (S_ISREG(st->st_mode) && (uint64_t)st->st_size < file_end)
		return -EINVAL;
	return 0;
}

#define MEM_PROT (PROT_READ | PROT_WRITE)

static int mem_region_map(struct mem_region *r, int fd)
{
	size_t unit = mem_map_unit(fd);
	uint64_t start = ALIGN_DOWN(r->place.offset, unit);

	/* mem_check_place() bounded offset + size by INT64_MAX: no overflow. */
	r->map_len = ALIGN_UP(r->place.offset + r->place.size - start, unit);
	r->map = mmap(NULL, r->map_len, r->guarded ? PROT_NONE : MEM_PROT, MAP_SHARED | MAP_NORESERVE, fd,
		      (off_t)start);
	if (r->map == MAP_FAILED)
		return -errno;
	r->hva = (uint8_t *)r->map + (r->place.offset - start);
	/* A core dump of ours is no place for the guest's memory. */
	madvise(r->map, r->map_len, MADV_DONTDUMP);
	return 0;
}

static int mem_region_new(struct mem *mem, const struct mem_place *place, int fd, bool guarded,
			  struct mem_region **region)
{
	struct mem_region *r;
	struct stat st;
	int ret = mem_check_place(place, fd, &st);

	if (ret)
		return ret;
	r = calloc(1, sizeof(*r));
	if (!r)
		return -ENOMEM;
	r->place = *place;
	r->dev = st.st_dev;
	r->ino = st.st_ino;
	r->guarded = guarded;
	ret = mem_region_map(r, fd);
	if (ret)
		goto out_free;
	ret = mem_watch(mem, r->map, r->map_len);
	if (ret)
		goto out_unmap;
	ret = guarded ? 0 : mem->ops->map(mem, r->hva, place->size);
	if (ret)
		goto out_unwatch;
	LIST_INSERT_HEAD(&mem->regions, r, entry);
	*region = r;
	return 0;

out_unwatch:
	mem_unwatch(r->map);
out_unmap:
	munmap(r->map, r->map_len);
out_free:
	free(r);
	return ret;
}

static void mem_region_put(struct mem *mem, struct mem_region *r)
{
	if (--r->refs)
		return;
	LIST_REMOVE(r, entry);
	if (!r->guarded)
		mem->ops->unmap(mem, r->hva, r->place.size);
	mem_unwatch(r->map);
	munmap(r->map, r->map_len);
	free(r);
}

static int mem_region_open(struct mem *mem, struct mem_region *r)
{
	int ret;

	if (mprotect(r->map, r->map_len, MEM_PROT))
		return -errno;
	ret = mem->ops->map(mem, r->hva, r->place.size);
	if (!ret)
		r->guarded = false;
	return ret;
}

void mem_for_each(struct mem *mem, void (*fn)(void *arg, void *va, size_t len), void *arg)
{
	struct mem_region *r;

	LIST_FOREACH(r, &mem->regions, entry)
		fn(arg, r->map, r->map_len);
}

/*
 * Maps
 */

static void mem_map_free(struct mem_map *map)
{
	unsigned int i;

	for (i = 0; i < map->count; i++)
		mem_region_put(map->mem, map->regions[i]);
	free(map->regions);
	free(map);
}

/* The last hold was dropped somewhere; this is the control worker. */
static void mem_map_home(struct vhost_work *work)
{
	struct mem_map *map = container_of(work, struct mem_map, home);
	struct mem *mem = map->mem;

	mem_map_free(map);
	if (!--mem->old)
		mem->ops->settled(mem);
}

void mem_map_get(struct mem_map *map)
{
	atomic_fetch_add_explicit(&map->refs, 1, memory_order_relaxed);
}

void mem_map_put(struct mem_map *map)
{
	if (atomic_fetch_sub_explicit(&map->refs, 1, memory_order_acq_rel) != 1)
		return;
	map->home.fn = mem_map_home;
	vhost_worker_post(map->mem->control, &map->home);
}

static bool ranges_overlap(uint64_t a, uint64_t b, uint64_t a_size, uint64_t b_size)
{
	return a - b < b_size || b - a < a_size;
}

static bool place_overlaps(const struct mem_place *a, const struct mem_place *b)
{
	return ranges_overlap(a->gpa, b->gpa, a->size, b->size) ||
	       ranges_overlap(a->uva, b->uva, a->size, b->size);
}

static bool place_is(const struct mem_place *a, const struct mem_place *b)
{
	return a->gpa == b->gpa && a->uva == b->uva && a->size == b->size;
}

static struct mem_map *mem_map_alloc(struct mem *mem, unsigned int max)
{
	struct mem_map *map = calloc(1, sizeof(*map) + max * sizeof(map->spans[0]));

	if (!map)
		return NULL;
	map->regions = calloc(max ? max : 1, sizeof(map->regions[0]));
	if (!map->regions) {
		free(map);
		return NULL;
	}
	map->mem = mem;
	atomic_init(&map->refs, 1);
	return map;
}

/* Insert in order of guest addresses, unless it overlaps another region. */
static int mem_map_insert(struct mem_map *map, struct mem_region *region)
{
	unsigned int i, at = map->count;

	for (i = 0; i < map->count; i++) {
		if (place_overlaps(&map->regions[i]->place, &region->place))
			return -EINVAL;
		if (map->regions[i]->place.gpa > region->place.gpa)
			at = MIN(at, i);
	}
	memmove(&map->regions[at + 1], &map->regions[at],
		(map->count - at) * sizeof(map->regions[0]));
	map->regions[at] = region;
	map->count++;
	region->refs++;
	return 0;
}

static int mem_map_add(struct mem_map *map, const struct mem_place *place, int fd, bool guarded)
{
	struct mem_region *region = NULL;
	int ret = mem_region_new(map->mem, place, fd, guarded, &region);

	if (ret)
		return ret;
	region->refs = 1;	/* ours, while the map may refuse it */
	ret = mem_map_insert(map, region);
	mem_region_put(map->mem, region);
	return ret;
}

/* Fill in the regions that stay. */
static int mem_map_inherit(struct mem_map *map, const struct mem_map *from,
			   const struct mem_place *drop)
{
	bool dropped = false;
	unsigned int i;

	for (i = 0; from && i < from->count; i++) {
		if (drop && place_is(&from->regions[i]->place, drop)) {
			dropped = true;
			continue;
		}
		mem_map_insert(map, from->regions[i]);
	}
	return drop && !dropped ? -ENOENT : 0;
}

int mem_map_new(struct mem *mem, const struct mem_change *change, struct mem_map **result)
{
	const struct mem_map *kept = change->from ? change->from : mem->map;
	const struct mem_map *from = change->keep ? kept : NULL;
	unsigned int i, max = (from ? from->count : 0) + change->count;
	struct mem_map *map;
	int ret;

	if (max > MEM_SLOTS_MAX)
		return -E2BIG;
	map = mem_map_alloc(mem, max);
	if (!map)
		return -ENOMEM;
	ret = mem_map_inherit(map, from, change->drop);
	for (i = 0; !ret && i < change->count; i++)
		ret = mem_map_add(map, &change->add[i], change->fds[i], change->guarded);
	if (ret) {
		mem_map_free(map);
		return ret;
	}
	for (i = 0; i < map->count; i++) {
		const struct mem_region *r = map->regions[i];

		map->spans[i] = (struct mem_span){ r->place.gpa, r->place.size, r->hva };
	}
	*result = map;
	return 0;
}

int mem_map_open(struct mem_map *map, int (*prepare)(void *arg, void *va, size_t len), void *arg)
{
	unsigned int i;
	int ret = 0;

	for (i = 0; i < map->count && !ret; i++) {
		struct mem_region *r = map->regions[i];

		if (!r->guarded)
			continue;
		ret = prepare(arg, r->map, r->map_len);
		if (!ret)
			ret = mem_region_open(map->mem, r);
	}
	return ret;
}

void mem_map_discard(struct mem_map *map)
{
	mem_map_free(map);
}

void mem_use(struct mem *mem, struct mem_map *map)
{
	struct mem_map *old = mem->map;

	mem->map = map;
	if (old) {
		mem->old++;
		mem_map_put(old);
	}
}

bool mem_has(const struct mem *mem, const struct mem_place *place, int fd)
{
	unsigned int i;
	struct stat st;

	for (i = 0; mem->map && i < mem->map->count; i++) {
		const struct mem_region *r = mem->map->regions[i];

		if (place_is(&r->place, place))
			return r->place.offset == place->offset && !fstat(fd, &st) &&
			       r->dev == st.st_dev && r->ino == st.st_ino;
	}
	return false;
}

int mem_map_search(const struct mem_map *map, uint64_t addr)
{
	unsigned int low = 0, high = map->count;

	while (low < high) {
		unsigned int mid = low + (high - low) / 2;
		const struct mem_span *span = &map->spans[mid];

		if (addr < span->start)
			high = mid;
		else if (addr - span->start < span->size)
			return (int)mid;
		else
			low = mid + 1;
	}
	return -1;
}

static bool span_has(const struct mem_span *span, const uint8_t *va)
{
	return (uintptr_t)va - (uintptr_t)span->hva < span->size;
}

bool mem_find_gpa(const struct mem_map *map, unsigned int *hit, const void *va, uint64_t *gpa)
{
	const struct mem_span *span;
	unsigned int i = *hit;

	/* The spans are in order of the other address; this is for a migration only. */
	if (i >= map->count || !span_has(&map->spans[i], va)) {
		for (i = 0; i < map->count && !span_has(&map->spans[i], va); i++)
			;
		if (i == map->count)
			return false;
		*hit = i;
	}
	span = &map->spans[i];
	*gpa = span->start + ((uintptr_t)va - (uintptr_t)span->hva);
	return true;
}

bool mem_map_has(const struct mem_map *map, const uint8_t *va, uint64_t last)
{
	unsigned int i;

	for (i = 0; i < map->count; i++) {
		uint64_t off = (uint64_t)((uintptr_t)va - (uintptr_t)map->spans[i].hva);

		if (off < map->spans[i].size)
			return last < map->spans[i].size - off;
	}
	return false;
}

void *mem_find_uva(const struct mem_map *map, uint64_t uva, uint64_t len)
{
	unsigned int i;

	for (i = 0; i < map->count; i++) {
		const struct mem_place *p = &map->regions[i]->place;
		uint64_t off = uva - p->uva;

		if (off < p->size)
			return len <= p->size - off ? map->regions[i]->hva + off : NULL;
	}
	return NULL;
}

/*
 * Life
 */

int mem_init(struct mem *mem, const struct mem_ops *ops, struct vhost_worker *control)
{
	*mem = (struct mem){ .ops = ops, .control = control };
	LIST_INIT(&mem->regions);
	mem->fault_fd = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
	if (mem->fault_fd < 0)
		return -errno;
	mem->fault_ev = event_new(vhost_worker_base(control), mem->fault_fd, EV_READ | EV_PERSIST,
				  mem_fault_event, mem);
	if (!mem->fault_ev || event_add(mem->fault_ev, NULL)) {
		mem_exit(mem);
		return -ENOMEM;
	}
	return 0;
}

void mem_exit(struct mem *mem)
{
	if (mem->fault_ev)
		event_free(mem->fault_ev);
	mem->fault_ev = NULL;
	close_fd(&mem->fault_fd);
}
