/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The dirty log behind an IOMMU: requests name I/O virtual addresses, and the log speaks of guest
 * addresses.
 *
 * A page's addresses are all different, and the log has room for those of the guest alone, so that
 * none can be taken for another.
 */
#include <linux/virtio_config.h>
#include <string.h>

#include "frontend/fe_iommu.h"
#include "frontend/fe_migrate.h"
#include "tests/echo.h"
#include "tests/tap.h"
#include "util.h"

#define PAGE ((uint64_t)VU_LOG_PAGE)
#define REGION (UINT64_C(1) << 20)
#define IOVA (UINT64_C(1) << 32)
#define BUF (REGION / 2)		/* behind what fe_mem_alloc() has handed out */
#define PAGES 8u
/* Pages of the I/O address space lie in memory the other way round, from here on. */
#define FLIPPED (BUF + 64 * PAGE)
#define FLIPPED_IOVA (2 * IOVA)

struct world {
	struct echo e;
	struct echo_rings r;
	struct fe_iommu iommu;
	struct fe_log log;
	uint8_t before[REGION];
};

static void map_memory(struct world *w)
{
	unsigned int i;

	ck_assert_int_eq(fe_mem_init(&w->r.mem, 0, REGION), 0);
	ck_assert_int_eq(fe_iommu_map(&w->iommu, &w->r.mem, IOVA, 0, FLIPPED, VU_IOTLB_RW), 0);
	for (i = 0; i < PAGES; i++) {
		ck_assert_int_eq(fe_iommu_map(&w->iommu, &w->r.mem, FLIPPED_IOVA + i * PAGE,
					      FLIPPED + (PAGES - 1 - i) * PAGE, PAGE,
					      VU_IOTLB_RW), 0);
	}
}

static void up(struct world *w, int run)
{
	struct fe_ring_params params = { .size = 16, .iommu = &w->iommu };
	uint64_t features = FE_BIT(VU_F_PROTOCOL_FEATURES) | FE_BIT(VIRTIO_F_VERSION_1) |
			    FE_BIT(VIRTIO_F_ACCESS_PLATFORM) | echo_run_format(run);

	memset(w, 0, sizeof(*w));
	echo_start(&w->e, echo_run_workers(run), VHOST_DEV_IOMMU);
	ck_assert_int_eq(fe_negotiate(&w->e.fe, features, ~UINT64_C(0)), 0);
	ck_assert_uint_eq(w->e.fe.features, features);
	map_memory(w);
	params.features = features;
	ck_assert_int_eq(fe_ring_init(&w->r.ring[0], &w->r.mem, &params), 0);
	w->r.list[0] = &w->r.ring[0];
	w->r.n = 1;
	ck_assert_int_eq(fe_start(&w->e.fe, &w->r.mem, w->r.list, 1), 0);
	ck_assert_int_eq(fe_log_init(&w->log, REGION, 0), 0);
	ck_assert_int_eq(fe_log_start(&w->e.fe, &w->log, w->r.list, 1), 0);
}

static void down(struct world *w)
{
	fe_log_free(&w->log);
	echo_down(&w->e, &w->r);
	fe_iommu_free(&w->iommu);
	echo_stop(&w->e);
}

/* A request which is written to len bytes at this I/O address comes back, and is in the log. */
static void request(struct world *w, uint64_t iova, uint32_t len)
{
	struct fe_ring *ring = &w->r.ring[0];
	struct iovec o = { (void *)(uintptr_t)(IOVA + BUF), len };
	struct iovec i = { (void *)(uintptr_t)iova, len };
	uint32_t used;
	void *cookie;

	ring->flags |= FE_RING_ADDR;
	ck_assert_int_ge(fe_ring_add(ring, &o, 1, &i, 1, w), 0);
	fe_ring_submit(ring);
	ck_assert_int_eq(fe_iommu_ring_wait(&w->e.fe, &w->iommu, ring, FE_TIMEOUT_MS), 0);
	ck_assert_int_eq(fe_ring_get(ring, &cookie, &used), 1);
	ck_assert_uint_eq(used, len);
	ck_assert_int_eq(fe_set_vring_enable(&w->e.fe, 0, true), 0);
}

/* Each page of memory which differs from before is in the log; how many these are. */
static unsigned int compare(struct world *w)
{
	unsigned int changed = 0;
	uint64_t gpa;

	for (gpa = 0; gpa < REGION; gpa += PAGE) {
		if (!memcmp(w->before + gpa, w->r.mem.regions[0].ptr + gpa, PAGE))
			continue;
		ck_assert_msg(fe_log_is_dirty(&w->log, gpa), "page %#lx is not in the log",
			      (unsigned long)gpa);
		changed++;
	}
	return changed;
}

/* proves: log.writes, VIRTIO_F_ACCESS_PLATFORM */
START_TEST(logged_by_guest_addresses)
{
	static struct world w;
	unsigned int n;

	up(&w, _i);
	/* From one page on, to all of them: neighbours by their I/O addresses only. */
	for (n = 1; n <= PAGES; n++) {
		memset(w.r.mem.regions[0].ptr + BUF, 'a' + (int)n, n * PAGE);
		memcpy(w.before, w.r.mem.regions[0].ptr, REGION);
		fe_log_clear(&w.log);
		request(&w, FLIPPED_IOVA, (uint32_t)(n * PAGE));
		/* The pages, and the ring's own. */
		ck_assert_uint_gt(compare(&w), n);
		ck_assert(fe_log_is_dirty(&w.log, FLIPPED + (PAGES - n) * PAGE));
		ck_assert(n == PAGES || !fe_log_is_dirty(&w.log, FLIPPED));
	}
	down(&w);
}
END_TEST

/* The same I/O address is another page each time. */
/* proves: log.writes, iotlb.invalidate */
START_TEST(logged_where_the_page_is_now)
{
	static struct world w;
	unsigned int i;

	up(&w, _i);
	for (i = 0; i < 4; i++) {
		uint64_t gpa = FLIPPED + (PAGES + i) * PAGE;

		memset(w.r.mem.regions[0].ptr + BUF, 'A' + (int)i, PAGE);
		memcpy(w.before, w.r.mem.regions[0].ptr, REGION);
		fe_iommu_unmap(&w.iommu, FLIPPED_IOVA, PAGE);
		ck_assert_int_eq(fe_iommu_map(&w.iommu, &w.r.mem, FLIPPED_IOVA, gpa, PAGE,
					      VU_IOTLB_RW), 0);
		ck_assert_int_eq(fe_iotlb_invalidate(&w.e.fe, FLIPPED_IOVA, PAGE), 0);
		fe_log_clear(&w.log);
		request(&w, FLIPPED_IOVA, (uint32_t)PAGE);
		ck_assert_uint_ge(compare(&w), 1);
		ck_assert(fe_log_is_dirty(&w.log, gpa));
		ck_assert(!i || !fe_log_is_dirty(&w.log, gpa - PAGE));
	}
	down(&w);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("migrate iommu");
	TCase *tc = tcase_create("migrate iommu");

	tcase_set_timeout(tc, 60);
	tcase_add_loop_test(tc, logged_by_guest_addresses, 0, ECHO_RUNS);
	tcase_add_loop_test(tc, logged_where_the_page_is_now, 0, ECHO_RUNS);
	suite_add_tcase(suite, tc);
	return tap_main(suite);
}
