/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What tests of a device behind an IOMMU share: its memory, its rings, and the front-end's part
 * of the conversation about translations.
 */
#ifndef TESTS_IOMMU_WORLD_H
#define TESTS_IOMMU_WORLD_H

#include "frontend/fe_iommu.h"
#include "tests/echo.h"

#define ALL ~UINT64_C(0)
#define PAGE 4096u
#define IOVA UINT64_C(0xfff0000000)	/* of region 0; the others follow */
#define RINGS_SIZE (1u << 20)		/* region 0: rings */
#define HALF (8u << 20)			/* regions 1 and 2: buffers */

struct world {
	struct echo e;
	struct echo_rings r;
	struct fe_iommu iommu;
	uint8_t *pages;			/* region 1, from its first page on */
};

/* A device; negotiated and started with n rings: it knows no translation yet. */
void world_up(struct world *w, int run, unsigned int n);

/* The same when there is a device already. */
void world_start(struct world *w, int run, unsigned int n, uint64_t protocol);
void world_down(struct world *w);

/* Add a request of len bytes from out to in; wait for it; both, and compare. */
void submit(struct world *w, unsigned int ring, void *out, void *in, unsigned int len);
void complete(struct world *w, unsigned int ring, unsigned int len);
void check(struct world *w, unsigned int ring, uint8_t *out, uint8_t *in, unsigned int len);

uint64_t iova_of(struct world *w, const void *p);

/* The queue has found an address for which there is nothing: it is parked now. */
void wait_miss(struct world *w, struct fe_msg *msg);

/* Ring 0 is parked because of a page. */
void park(struct world *w, struct fe_msg *msg);

/* Messages whose answers are awaited later. */
void send_iotlb(struct world *w, const struct vu_iotlb *m);
void send_invalidate(struct world *w, uint64_t iova, uint64_t size);
void expect_answer(struct world *w, uint64_t value);

/* More pages than the table holds. */
void use_many_pages(struct world *w, unsigned int first);

#endif /* TESTS_IOMMU_WORLD_H */
