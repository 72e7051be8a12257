/* SPDX-License-Identifier: BSD-3-Clause */
/* See iommu_world.h. */
#include <linux/virtio_config.h>
#include <string.h>

#include "frontend/fe_backend.h"
#include "tests/proto/iommu_world.h"
#include "tests/tap.h"
#include "util.h"

static void world_memory(struct world *w)
{
	const struct fe_region_params regions[] = {
		{ .gpa = 0, .size = RINGS_SIZE },
		{ .gpa = RINGS_SIZE, .size = HALF },
		{ .gpa = RINGS_SIZE + HALF, .size = HALF },
	};
	unsigned int i;

	memset(&w->r, 0, sizeof(w->r));
	for (i = 0; i < ARRAY_SIZE(regions); i++) {
		ck_assert_int_eq(fe_mem_add(&w->r.mem, &regions[i]), (int)i);
		ck_assert_int_eq(fe_iommu_map_region(&w->iommu, &w->r.mem, i,
						     IOVA + regions[i].gpa), 0);
	}
	w->pages = w->r.mem.regions[1].ptr;
}

static void world_rings(struct world *w, unsigned int n)
{
	unsigned int i;

	w->r.n = n;
	for (i = 0; i < n; i++) {
		const struct fe_ring_params params = {
			.index = i, .size = 16, .features = w->e.fe.features, .indirect = 8,
			.iommu = &w->iommu,
		};

		ck_assert_int_eq(fe_ring_init(&w->r.ring[i], &w->r.mem, &params), 0);
		w->r.list[i] = &w->r.ring[i];
	}
}

void world_start(struct world *w, int run, unsigned int n, uint64_t protocol)
{
	world_memory(w);
	ck_assert_int_eq(fe_negotiate(&w->e.fe, FE_BIT(VU_F_PROTOCOL_FEATURES) |
				      FE_BIT(VIRTIO_F_VERSION_1) |
				      FE_BIT(VIRTIO_RING_F_INDIRECT_DESC) |
				      FE_BIT(VIRTIO_F_ACCESS_PLATFORM) | echo_run_format(run),
				      protocol), 0);
	ck_assert(w->e.fe.features & FE_BIT(VIRTIO_F_ACCESS_PLATFORM));
	world_rings(w, n);
	ck_assert_int_eq(fe_start(&w->e.fe, &w->r.mem, w->r.list, n), 0);
}

void world_up(struct world *w, int run, unsigned int n)
{
	memset(w, 0, sizeof(*w));
	echo_start(&w->e, echo_run_workers(run), VHOST_DEV_IOMMU);
	w->iommu.granule = PAGE;
	world_start(w, run, n, ALL);
}

void world_down(struct world *w)
{
	echo_down(&w->e, &w->r);
	fe_iommu_free(&w->iommu);
	echo_stop(&w->e);
}

void submit(struct world *w, unsigned int ring, void *out, void *in, unsigned int len)
{
	struct iovec o = { out, len }, i = { in, len };

	ck_assert_int_ge(fe_ring_add(&w->r.ring[ring], &o, 1, &i, 1, in), 0);
	fe_ring_submit(&w->r.ring[ring]);
}

void complete(struct world *w, unsigned int ring, unsigned int len)
{
	uint32_t used;
	void *cookie;

	ck_assert_int_eq(fe_iommu_ring_wait(&w->e.fe, &w->iommu, &w->r.ring[ring],
					    FE_TIMEOUT_MS), 0);
	ck_assert_int_eq(fe_ring_get(&w->r.ring[ring], &cookie, &used), 1);
	ck_assert_uint_eq(used, len);
}

void check(struct world *w, unsigned int ring, uint8_t *out, uint8_t *in,
	   unsigned int len)
{
	static unsigned char next = 1;

	memset(out, next++, len);
	memset(in, 0, len);
	submit(w, ring, out, in, len);
	complete(w, ring, len);
	ck_assert_mem_eq(in, out, len);
}

uint64_t iova_of(struct world *w, const void *p)
{
	uint64_t iova = fe_iommu_addr(&w->iommu, p, 1);

	ck_assert_uint_ne(iova, UINT64_MAX);
	return iova;
}

void wait_miss(struct world *w, struct fe_msg *msg)
{
	ck_assert_int_eq(fe_backend_expect(&w->e.fe, VU_BACKEND_IOTLB_MSG, msg, FE_TIMEOUT_MS), 0);
	ck_assert_uint_eq(msg->u.iotlb.type, VU_IOTLB_MISS);
}

void send_iotlb(struct world *w, const struct vu_iotlb *m)
{
	const struct vu_header hdr = { VU_IOTLB_MSG, VU_VERSION | VU_NEED_REPLY, sizeof(*m) };

	ck_assert_int_eq(fe_send_raw(&w->e.fe, &hdr, m, sizeof(*m), NULL, 0), 0);
}

void send_invalidate(struct world *w, uint64_t iova, uint64_t size)
{
	send_iotlb(w, &(struct vu_iotlb){ .iova = iova, .size = size,
					  .type = VU_IOTLB_INVALIDATE });
}

void expect_answer(struct world *w, uint64_t value)
{
	struct fe_msg reply;

	ck_assert_int_eq(fe_recv_raw(&w->e.fe, &reply), 0);
	ck_assert_uint_eq(reply.hdr.request, VU_IOTLB_MSG);
	ck_assert_uint_eq(reply.hdr.size, 8);
	ck_assert_uint_eq(!!reply.u.u64, value);
}

void use_many_pages(struct world *w, unsigned int first)
{
	unsigned int i;

	for (i = first; i < first + 40; i++)
		check(w, 0, w->r.mem.regions[2].ptr + (i % 40) * 50 * PAGE,
		      w->pages + 200 * PAGE + (i % 20) * 50 * PAGE, 50 * PAGE);
}

void park(struct world *w, struct fe_msg *msg)
{
	check(w, 0, w->pages, w->pages + PAGE, 10);
	submit(w, 0, w->pages + 5 * PAGE, w->pages + PAGE, 10);
	wait_miss(w, msg);
}
