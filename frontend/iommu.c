/* SPDX-License-Identifier: BSD-3-Clause */
/* The front-end as IOMMU. */
#include "config.h"

#include "frontend/fe_iommu.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#include "frontend/deadline.h"
#include "frontend/fe_backend.h"
#include "frontend/msg.h"

int fe_iotlb_msg(struct fe *fe, const struct vu_iotlb *iotlb)
{
	return fe_msg_demand(fe, VU_IOTLB_MSG, iotlb, sizeof(*iotlb));
}

int fe_iotlb_update(struct fe *fe, uint64_t iova, uint64_t size, uint64_t uva, uint8_t perm)
{
	return fe_iotlb_msg(fe, &(struct vu_iotlb){
		.iova = iova, .size = size, .user_addr = uva, .perm = perm,
		.type = VU_IOTLB_UPDATE,
	});
}

int fe_iotlb_invalidate(struct fe *fe, uint64_t iova, uint64_t size)
{
	return fe_iotlb_msg(fe, &(struct vu_iotlb){
		.iova = iova, .size = size, .type = VU_IOTLB_INVALIDATE,
	});
}

/* Sizes are at least 1 and do not run over the end: fe_iommu_map() has seen to that. */
static bool iommu_overlaps(const struct fe_iommu_entry *e, uint64_t iova, uint64_t size)
{
	return e->iova <= iova + (size - 1) && iova <= e->iova + (e->size - 1);
}

int fe_iommu_map(struct fe_iommu *iommu, const struct fe_mem *mem, uint64_t iova, uint64_t gpa,
		 uint64_t size, uint8_t perm)
{
	struct fe_iommu_entry e = {
		.iova = iova, .size = size, .gpa = gpa, .ptr = fe_mem_ptr(mem, gpa, size),
		.perm = perm,
	};
	struct fe_iommu_entry *entries;
	unsigned int i;

	if (!size || iova + (size - 1) < iova)
		return -EINVAL;
	if (!e.ptr)
		return -EFAULT;
	for (i = 0; i < iommu->num; i++)
		if (iommu_overlaps(&iommu->entries[i], iova, size))
			return -EEXIST;
	entries = realloc(iommu->entries, (iommu->num + 1) * sizeof(e));
	if (!entries)
		return -ENOMEM;
	e.uva = fe_mem_uva(mem, e.ptr, size);
	entries[iommu->num++] = e;
	iommu->entries = entries;
	return 0;
}

int fe_iommu_map_region(struct fe_iommu *iommu, const struct fe_mem *mem, unsigned int i,
			uint64_t iova)
{
	const struct fe_region *r = &mem->regions[i];

	return fe_iommu_map(iommu, mem, iova, r->gpa, r->size, VU_IOTLB_RW);
}

void fe_iommu_unmap(struct fe_iommu *iommu, uint64_t iova, uint64_t size)
{
	unsigned int i, kept = 0;

	for (i = 0; i < iommu->num; i++)
		if (!iommu_overlaps(&iommu->entries[i], iova, size))
			iommu->entries[kept++] = iommu->entries[i];
	iommu->num = kept;
}

void fe_iommu_free(struct fe_iommu *iommu)
{
	free(iommu->entries);
	*iommu = (struct fe_iommu){ 0 };
}

uint64_t fe_iommu_addr(const struct fe_iommu *iommu, const void *ptr, size_t len)
{
	unsigned int i;

	for (i = 0; i < iommu->num; i++) {
		const struct fe_iommu_entry *e = &iommu->entries[i];
		uint64_t off = (uintptr_t)ptr - (uintptr_t)e->ptr;

		if (off < e->size && len <= e->size - off)
			return e->iova + off;
	}
	return UINT64_MAX;
}

const struct fe_iommu_entry *fe_iommu_find(const struct fe_iommu *iommu, uint64_t iova)
{
	unsigned int i;

	for (i = 0; i < iommu->num; i++)
		if (iommu_overlaps(&iommu->entries[i], iova, 1))
			return &iommu->entries[i];
	return NULL;
}

/* The part of a translation which one UPDATE tells: the granule around iova. */
static int iommu_tell(struct fe *fe, const struct fe_iommu *iommu, const struct fe_iommu_entry *e,
		      uint64_t iova)
{
	uint64_t begin = e->iova, last = e->iova + (e->size - 1);
	uint64_t from = iova & ~(iommu->granule - 1), to = iova | (iommu->granule - 1);

	if (iommu->granule) {
		begin = from > begin ? from : begin;
		last = to < last ? to : last;
	}
	return fe_iotlb_update(fe, begin, last - begin + 1, e->uva + (begin - e->iova), e->perm);
}

int fe_iommu_push(struct fe *fe, const struct fe_iommu *iommu)
{
	unsigned int i;
	int err = 0;

	for (i = 0; i < iommu->num && !err; i++) {
		const struct fe_iommu_entry *e = &iommu->entries[i];

		err = fe_iotlb_update(fe, e->iova, e->size, e->uva, e->perm);
	}
	return err;
}

int fe_iommu_invalidate(struct fe *fe, struct fe_iommu *iommu, uint64_t iova, uint64_t size)
{
	fe_iommu_unmap(iommu, iova, size);
	return fe_iotlb_invalidate(fe, iova, size);
}

/* Returns 1 or 0 as fe_iommu_serve(). */
static int iommu_serve_miss(struct fe *fe, struct fe_iommu *iommu, const struct vu_iotlb *miss)
{
	const struct fe_iommu_entry *e = fe_iommu_find(iommu, miss->iova);
	int err;

	if (!e || (miss->perm & ~e->perm)) {
		iommu->faults++;
		return 0;
	}
	err = iommu_tell(fe, iommu, e, miss->iova);
	if (err)
		return err;
	iommu->misses++;
	return 1;
}

/* The next message but for changes of the configuration, which may come at any time. */
static int iommu_receive(struct fe *fe, struct fe_msg *msg, int timeout_ms)
{
	int64_t deadline = fe_deadline(timeout_ms);
	int err;

	do {
		err = fe_backend_receive(fe, msg, fe_deadline_left(deadline));
		if (err || msg->hdr.request != VU_BACKEND_CONFIG_CHANGE_MSG)
			break;
		err = fe_backend_reply(fe, msg, 0);
	} while (!err);
	if (!err && msg->hdr.request != VU_BACKEND_IOTLB_MSG) {
		fe_msg_close(msg);
		err = -EPROTO;
	}
	return err;
}

int fe_iommu_serve(struct fe *fe, struct fe_iommu *iommu, int timeout_ms)
{
	struct fe_msg msg;
	int err, found = 0;

	err = iommu_receive(fe, &msg, timeout_ms);
	if (err)
		return err;
	if (msg.u.iotlb.type == VU_IOTLB_ACCESS_FAIL) {
		iommu->access_fails++;
		err = fe_backend_reply(fe, &msg, 0);
	} else {
		found = iommu_serve_miss(fe, iommu, &msg.u.iotlb);
		err = fe_backend_reply(fe, &msg, found != 1);
	}
	return err && found >= 0 ? err : found;
}

int fe_iommu_ring_wait(struct fe *fe, struct fe_iommu *iommu, struct fe_ring *ring, int timeout_ms)
{
	int64_t deadline = fe_deadline(timeout_ms);
	struct pollfd fds[3] = {
		{ .fd = fe->backend_fd, .events = POLLIN },
		{ .fd = ring->call_fd, .events = POLLIN },
		{ .fd = ring->err_fd, .events = POLLIN },
	};
	int n, err = 0;

	while (!fe_ring_irq_on(ring) && err >= 0) {
		n = poll(fds, 3, fe_deadline_left(deadline));
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return -ETIMEDOUT;
		if (fds[0].revents)
			err = fe_iommu_serve(fe, iommu, 0);
		else if (!fe_ring_signalled(ring))
			return -EIO;
		if (err == -ETIMEDOUT)
			err = 0;	/* it was something else */
	}
	return err < 0 ? err : 0;
}
