/* SPDX-License-Identifier: BSD-3-Clause */
/* The in-flight region, which the front-end keeps for the next back-end. */
#include "config.h"

#include <errno.h>
#include <sys/mman.h>
#include <unistd.h>

#include "frontend/fe_migrate.h"

static int inflight_map(struct fe_inflight *inflight)
{
	uint64_t mask = (uint64_t)sysconf(_SC_PAGESIZE) - 1;
	uint64_t skip = inflight->info.mmap_offset & mask;
	void *page;

	page = mmap(NULL, inflight->info.mmap_size + skip, PROT_READ | PROT_WRITE, MAP_SHARED,
		    inflight->fd, (off_t)(inflight->info.mmap_offset - skip));
	if (page == MAP_FAILED)
		return -errno;
	inflight->page = page;
	inflight->map = inflight->page + skip;
	return 0;
}

int fe_inflight_open(struct fe *fe, struct fe_inflight *inflight, unsigned int num_queues,
		     unsigned int queue_size)
{
	int err;

	fe_inflight_free(inflight);
	inflight->info.num_queues = (uint16_t)num_queues;
	inflight->info.queue_size = (uint16_t)queue_size;
	err = fe_get_inflight_fd(fe, &inflight->info, &inflight->fd);
	if (!err)
		err = inflight_map(inflight);
	if (!err)
		err = fe_inflight_set(fe, inflight);
	if (err)
		fe_inflight_free(inflight);
	return err;
}

int fe_inflight_set(struct fe *fe, const struct fe_inflight *inflight)
{
	return fe_set_inflight_fd(fe, &inflight->info, inflight->fd);
}

uint8_t *fe_inflight_queue(const struct fe_inflight *inflight, unsigned int i)
{
	return inflight->map + i * (inflight->info.mmap_size / inflight->info.num_queues);
}

void fe_inflight_free(struct fe_inflight *inflight)
{
	if (inflight->map)
		munmap(inflight->page, inflight->info.mmap_size +
			       (uint64_t)(inflight->map - inflight->page));
	if (inflight->fd >= 0)
		close(inflight->fd);
	*inflight = FE_INFLIGHT_NONE;
}
