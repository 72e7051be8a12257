/* SPDX-License-Identifier: BSD-3-Clause */
/* The dirty log: a bitmap of guest pages which the back-end has written. */
#include "config.h"

#include <errno.h>
#include <linux/vhost_types.h>
#include <string.h>
#include <sys/mman.h>
#include <unistd.h>

#include "frontend/fe_migrate.h"

int fe_log_init(struct fe_log *log, uint64_t end, uint64_t offset)
{
	uint64_t pages = end / VU_LOG_PAGE + !!(end % VU_LOG_PAGE);
	void *map;
	int err;

	/* In whole words, as all front-ends do. */
	*log = (struct fe_log){ .size = (pages + 63) / 64 * 8, .offset = offset };
	log->fd = memfd_create("dirty log", MFD_CLOEXEC);
	if (log->fd < 0)
		return -errno;
	if (ftruncate(log->fd, (off_t)(offset + log->size)) < 0)
		goto fail;
	map = mmap(NULL, offset + log->size, PROT_READ | PROT_WRITE, MAP_SHARED, log->fd, 0);
	if (map == MAP_FAILED)
		goto fail;
	log->map = map;
	log->bits = log->map + offset;
	return 0;
fail:
	err = -errno;
	close(log->fd);
	return err;
}

void fe_log_free(struct fe_log *log)
{
	munmap(log->map, log->offset + log->size);
	close(log->fd);
}

/* The byte and the bit of a page; NULL: beyond the log. */
static uint8_t *log_find(const struct fe_log *log, uint64_t gpa, uint8_t *bit)
{
	uint64_t page = gpa / VU_LOG_PAGE;

	*bit = (uint8_t)(1u << page % 8);
	return page / 8 < log->size ? &log->bits[page / 8] : NULL;
}

bool fe_log_is_dirty(const struct fe_log *log, uint64_t gpa)
{
	uint8_t bit, *byte = log_find(log, gpa, &bit);

	/* Acquire: pairs with the back-end's OR, before which it wrote the page. */
	return byte && (__atomic_load_n(byte, __ATOMIC_ACQUIRE) & bit);
}

bool fe_log_take(struct fe_log *log, uint64_t gpa)
{
	uint8_t bit, *byte = log_find(log, gpa, &bit);

	return byte && (__atomic_fetch_and(byte, (uint8_t)~bit, __ATOMIC_ACQ_REL) & bit);
}

uint64_t fe_log_count(const struct fe_log *log)
{
	uint64_t num = 0, i;

	for (i = 0; i < log->size; i++)
		num += (unsigned int)__builtin_popcount(
			__atomic_load_n(&log->bits[i], __ATOMIC_ACQUIRE));
	return num;
}

void fe_log_clear(struct fe_log *log)
{
	uint64_t i;

	for (i = 0; i < log->size; i++)
		__atomic_store_n(&log->bits[i], 0, __ATOMIC_RELEASE);
}

int64_t fe_log_copy(struct fe_log *log, const struct fe_mem *from, const struct fe_mem *to)
{
	uint64_t end = log->size * 8 * VU_LOG_PAGE, gpa;
	int64_t num = 0;

	for (gpa = 0; gpa < end; gpa += VU_LOG_PAGE) {
		const void *src = fe_mem_ptr(from, gpa, VU_LOG_PAGE);
		void *dst = fe_mem_ptr(to, gpa, VU_LOG_PAGE);

		if (!fe_log_take(log, gpa))
			continue;
		if (!src || !dst)
			return -EFAULT;
		memcpy(dst, src, VU_LOG_PAGE);
		num++;
	}
	return num;
}

int fe_log_set(struct fe *fe, const struct fe_log *log)
{
	return fe_set_log_base(fe, log->size, log->offset, log->fd);
}

/* The addresses which the back-end has already, with another flag. */
static int log_set_rings(struct fe *fe, struct fe_ring *const *rings, unsigned int num, bool on)
{
	struct vu_vring_addr addr;
	unsigned int i;
	int err = 0;

	for (i = 0; i < num && !err; i++) {
		fe_ring_get_addr(rings[i], &addr);
		if (on) {
			addr.flags = VU_VRING_ADDR_F_LOG;
			addr.log = fe_mem_gpa(rings[i]->mem, rings[i]->device_area, 1);
		}
		err = fe_set_vring_addr(fe, &addr);
	}
	return err;
}

int fe_log_start(struct fe *fe, const struct fe_log *log, struct fe_ring *const *rings,
		 unsigned int num)
{
	int err = fe_log_set(fe, log);

	if (!err)
		err = fe_set_features(fe, fe->features | FE_BIT(VHOST_F_LOG_ALL));
	return err ? err : log_set_rings(fe, rings, num, true);
}

int fe_log_stop(struct fe *fe, struct fe_ring *const *rings, unsigned int num)
{
	int err = fe_set_features(fe, fe->features & ~FE_BIT(VHOST_F_LOG_ALL));

	return err ? err : log_set_rings(fe, rings, num, false);
}
