/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The front-end as IOMMU: translations which the back-end is told, and those it asks for.
 *
 * struct fe_iommu is the guest's table.  A ring which is given one lives behind it: its areas,
 * buffers and tables are known to the device by I/O virtual addresses only.  The back-end learns
 * them by asking on the back-end channel, which fe_iommu_serve() answers; so a test decides when.
 */
#ifndef FRONTEND_FE_IOMMU_H
#define FRONTEND_FE_IOMMU_H

#include "frontend/frontend.h"

/*
 * Messages.  Each has a reply of its own and asks for it also by its flags, as QEMU does.
 */

/* Any IOTLB_MSG. */
int fe_iotlb_msg(struct fe *fe, const struct vu_iotlb *iotlb);

/* The size bytes at iova are at user address uva; perm is one of VU_IOTLB_RO, _WO, _RW. */
int fe_iotlb_update(struct fe *fe, uint64_t iova, uint64_t size, uint64_t uva, uint8_t perm);

/* They are nowhere any more. */
int fe_iotlb_invalidate(struct fe *fe, uint64_t iova, uint64_t size);

/*
 * The table
 */

/* One translation. */
struct fe_iommu_entry {
	uint64_t iova;
	uint64_t size;			/* bytes */
	uint64_t gpa;
	uint8_t *ptr;			/* the same in our mapping of guest memory */
	uint64_t uva;			/* the same as the back-end is told */
	uint8_t perm;			/* VU_IOTLB_RO, _WO or _RW */
};

struct fe_iommu {
	struct fe_iommu_entry *entries;
	unsigned int num;
	uint64_t granule;		/* bytes of one UPDATE, a power of two; 0: a whole entry */
	uint64_t misses;		/* requests answered with an UPDATE */
	uint64_t faults;		/* requests for which there was none */
	uint64_t access_fails;		/* ACCESS_FAIL messages */
};

/*
 * Add a translation to the table; the back-end is not told.  It lies in one region.  To begin with
 * none: struct fe_iommu iommu = { 0 }.  -EFAULT: not guest memory; -EEXIST: overlaps another one.
 */
int fe_iommu_map(struct fe_iommu *iommu, const struct fe_mem *mem, uint64_t iova, uint64_t gpa,
		 uint64_t size, uint8_t perm);

/* The whole of a region, readable and writable. */
int fe_iommu_map_region(struct fe_iommu *iommu, const struct fe_mem *mem, unsigned int i,
			uint64_t iova);

/* Remove all translations which overlap with this; the back-end is not told. */
void fe_iommu_unmap(struct fe_iommu *iommu, uint64_t iova, uint64_t size);

/* Remove all. */
void fe_iommu_free(struct fe_iommu *iommu);

/* The IOVA of the len bytes at ptr; UINT64_MAX: not within one translation. */
uint64_t fe_iommu_addr(const struct fe_iommu *iommu, const void *ptr, size_t len);

/* The translation of iova; NULL: none. */
const struct fe_iommu_entry *fe_iommu_find(const struct fe_iommu *iommu, uint64_t iova);

/* Tell the back-end all there is, without being asked. */
int fe_iommu_push(struct fe *fe, const struct fe_iommu *iommu);

/* Remove translations and tell the back-end; when this returns it does not use them any more. */
int fe_iommu_invalidate(struct fe *fe, struct fe_iommu *iommu, uint64_t iova, uint64_t size);

/*
 * Wait for one request on the back-end channel, which must be an IOTLB_MSG (changes of the
 * configuration are acknowledged on the way), and serve it: send
 * the UPDATE, then the ack if one is wanted.  Where there is no translation with the permission
 * which is asked for there is no UPDATE, and the ack is not 0.  Returns 1 if there was a
 * translation, 0 if not or if the request was ACCESS_FAIL, which only counts; -ETIMEDOUT and the
 * other errors of messages.
 */
int fe_iommu_serve(struct fe *fe, struct fe_iommu *iommu, int timeout_ms);

/* As fe_ring_wait(), with the requests served which come meanwhile. */
int fe_iommu_ring_wait(struct fe *fe, struct fe_iommu *iommu, struct fe_ring *ring, int timeout_ms);

#endif /* FRONTEND_FE_IOMMU_H */
