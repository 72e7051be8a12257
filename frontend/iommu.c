/* SPDX-License-Identifier: BSD-3-Clause */
/* The front-end as IOMMU. */
#include "config.h"

#include "frontend/fe_iommu.h"

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
