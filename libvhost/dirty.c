/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The log of written pages (vhost-user, "Migration").
 *
 * The front-end takes words out of the bitmap and clears them while we set bits, and reads a
 * page after it has taken the bit.  So bits are set by an atomic OR, and after the page
 * was written: whoever finds the bit finds the bytes.
 */
#include "dirty.h"

#include <errno.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/stat.h>

static int dirty_check_place(const struct vu_log *place, int fd)
{
	struct stat st;
	uint64_t end;

	if (!place->size || add_overflows(place->offset, place->size, &end) || end > INT64_MAX)
		return -EINVAL;
	if (fstat(fd, &st))
		return -errno;
	return S_ISREG(st.st_mode) && (uint64_t)st.st_size >= end ? 0 : -EINVAL;
}

static int dirty_map(struct dirty_log *log, const struct vu_log *place, int fd)
{
	uint64_t page = (uint64_t)sysconf(_SC_PAGESIZE);
	uint64_t start = ALIGN_DOWN(place->offset, page);

	/* dirty_check_place() bounded offset + size by INT64_MAX: no overflow. */
	log->map_len = ALIGN_UP(place->offset + place->size - start, page);
	log->map = mmap(NULL, log->map_len, PROT_READ | PROT_WRITE, MAP_SHARED, fd, (off_t)start);
	if (log->map == MAP_FAILED)
		return -errno;
	log->bits = (uint8_t *)log->map + (place->offset - start);
	log->size = place->size;
	return 0;
}

int dirty_log_new(const struct mem *mem, const struct vu_log *place, int fd,
		  struct dirty_log **result)
{
	int ret = dirty_check_place(place, fd);
	struct dirty_log *log;

	if (ret)
		return ret;
	log = calloc(1, sizeof(*log));
	if (!log)
		return -ENOMEM;
	ret = dirty_map(log, place, fd);
	if (ret)
		goto out_free;
	ret = mem_watch(mem, log->map, log->map_len);
	if (ret)
		goto out_unmap;
	*result = log;
	return 0;

out_unmap:
	munmap(log->map, log->map_len);
out_free:
	free(log);
	return ret;
}

void dirty_log_free(struct dirty_log *log)
{
	if (!log)
		return;
	mem_unwatch(log->map);
	munmap(log->map, log->map_len);
	free(log);
}

/* Set the bits of pages [first, last], which lie within the log. */
static void dirty_set(const struct dirty_log *log, uint64_t first, uint64_t last)
{
	uint64_t byte;

	for (byte = first / 8; byte <= last / 8; byte++) {
		unsigned int mask = 0xff;

		if (byte == first / 8)
			mask &= 0xffu << first % 8;
		if (byte == last / 8)
			mask &= 0xffu >> (7 - last % 8);
		/* Pairs with the front-end, which takes the bit and then reads the page. */
		__atomic_fetch_or(&log->bits[byte], (uint8_t)mask, __ATOMIC_SEQ_CST);
	}
}

bool dirty_mark(const struct dirty_log *log, uint64_t gpa, uint64_t len)
{
	uint64_t end;

	if (!len)
		return true;
	if (add_overflows(gpa, len - 1, &end) || end / VU_LOG_PAGE / 8 >= log->size)
		return false;
	dirty_set(log, gpa / VU_LOG_PAGE, end / VU_LOG_PAGE);
	return true;
}

void dirty_mark_map(const struct dirty_log *log, const struct mem_map *map)
{
	/* No page number has more than 52 bits, and no log which is mapped so many bytes. */
	uint64_t pages = log->size * 8;
	unsigned int i;

	for (i = 0; i < map->count; i++) {
		uint64_t first = map->spans[i].start / VU_LOG_PAGE;
		uint64_t last = (map->spans[i].start + map->spans[i].size - 1) / VU_LOG_PAGE;

		if (first < pages)
			dirty_set(log, first, MIN(last, pages - 1));
	}
}
