/* SPDX-License-Identifier: BSD-3-Clause */
/* The front-end as IOMMU: translations which the back-end is told, and those it asks for. */
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

#endif /* FRONTEND_FE_IOMMU_H */
