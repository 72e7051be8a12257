/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Behind an IOMMU: invalidations, which wait for what uses a translation.
 *
 * Each test runs with 0, 1 and 2 workers for the queues, with split and with packed rings.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "tests/proto/iommu_world.h"
#include "tests/tap.h"
#include "util.h"

/* proves: iotlb.invalidate, reply.in-effect */
START_TEST(invalidation_waits_for_requests)
{
	struct world w;
	uint64_t iova;

	world_up(&w, _i, 2);
	check(&w, 0, w.pages, w.pages + PAGE, 10);
	check(&w, 1, w.pages + 60 * PAGE, w.pages + 61 * PAGE, 10);
	atomic_store(&w.e.popped, 0);
	atomic_store(&w.e.hold, true);
	/* It wants its second page. */
	submit(&w, 0, w.pages, w.pages + 2 * PAGE - 5, 10);
	while (!atomic_load(&w.e.popped))
		ck_assert_int_ge(fe_iommu_serve(&w.e.fe, &w.iommu, 50) + ETIMEDOUT, 0);
	atomic_store(&w.e.hold, false);
	iova = iova_of(&w, w.pages);
	/* Another page is nobody's concern. */
	ck_assert_int_eq(fe_iotlb_invalidate(&w.e.fe, iova + 3 * PAGE, PAGE), 0);
	send_invalidate(&w, iova + 2 * PAGE, PAGE);
	ck_assert(!echo_readable(w.e.fe.fd, ECHO_QUIET_MS));
	/* The others go on meanwhile. */
	submit(&w, 1, w.pages + 60 * PAGE, w.pages + 61 * PAGE, 10);
	ck_assert_int_eq(fe_ring_wait(&w.r.ring[1], FE_TIMEOUT_MS), 0);
	ck_assert(!echo_readable(w.e.fe.fd, 0));
	echo_release(&w.e, 0);
	expect_answer(&w, 0);
	ck_assert(fe_ring_ready(&w.r.ring[0]));
	world_down(&w);
}
END_TEST

/* That the table has forgotten a translation does not mean that nobody uses it. */
/* proves: iotlb.invalidate */
START_TEST(invalidation_of_what_was_evicted)
{
	struct world w;
	uint64_t iova;

	world_up(&w, _i, 2);
	check(&w, 1, w.pages + 60 * PAGE, w.pages + 61 * PAGE, 10);
	atomic_store(&w.e.popped, 0);
	atomic_store(&w.e.hold, true);
	submit(&w, 1, w.pages + 60 * PAGE, w.pages + 61 * PAGE, 10);
	echo_wait(&w.e.popped, 1);
	atomic_store(&w.e.hold, false);
	use_many_pages(&w, 0);
	use_many_pages(&w, 0);
	iova = iova_of(&w, w.pages + 61 * PAGE);
	send_invalidate(&w, iova, PAGE);
	ck_assert(!echo_readable(w.e.fe.fd, ECHO_QUIET_MS));
	echo_release(&w.e, 1);
	expect_answer(&w, 0);
	world_down(&w);
}
END_TEST

/* Also when it says that everything is void. */
/* proves: iotlb.rings, iotlb.invalidate, iotlb.everything */
START_TEST(invalidation_of_a_ring_and_return)
{
	static const uint64_t sizes[] = { PAGE, UINT64_MAX };
	struct world w;
	unsigned int i;

	world_up(&w, _i, 2);
	for (i = 0; i < 6; i++) {
		check(&w, 0, w.pages, w.pages + PAGE, 10);
		check(&w, 1, w.pages + 60 * PAGE, w.pages + 61 * PAGE, 10);
		/* Requests may be made available while it is away. */
		submit(&w, 0, w.pages, w.pages + PAGE, 10);
		complete(&w, 0, 10);
		ck_assert_int_eq(fe_iotlb_invalidate(&w.e.fe, i % 2 ? 0 :
				 iova_of(&w, w.r.ring[0].device_area) & ~(uint64_t)(PAGE - 1),
				 sizes[i % 2]), 0);
		submit(&w, 0, w.pages, w.pages + PAGE, 10);
		complete(&w, 0, 10);
	}
	ck_assert_uint_ge(atomic_load(&w.e.stops), 6);
	world_down(&w);
}
END_TEST

/* An update which says something else is an invalidation of what was said before. */
/* proves: iotlb.update */
START_TEST(update_moves_a_page)
{
	struct world w;
	uint8_t *in, *other;

	world_up(&w, _i, 1);
	in = w.pages + PAGE;
	other = w.pages + 20 * PAGE;
	check(&w, 0, w.pages, in, 10);
	ck_assert_int_eq(fe_iotlb_update(&w.e.fe, iova_of(&w, in), PAGE,
					 fe_mem_uva(&w.r.mem, other, PAGE), VU_IOTLB_RW), 0);
	memset(in, 0, 10);
	memset(w.pages, 0x77, 10);
	submit(&w, 0, w.pages, in, 10);
	complete(&w, 0, 10);
	ck_assert_uint_eq(in[0], 0);
	ck_assert_uint_eq(other[0], 0x77);
	world_down(&w);
}
END_TEST

/* Requests that wait for something are given back by the stop, not by an invalidation. */
static void give_back(struct vhost_queue *q)
{
	struct echo *e = vhost_queue_opaque(q);
	unsigned int i = vhost_queue_index(q), n;

	for (n = 0; n < e->nheld[i]; n++)
		echo_complete(e, e->held[i][n]);
	e->nheld[i] = 0;
}

static void give_back_tweak(struct vhost_dev_ops *ops, struct vhost_dev_params *params)
{
	ops->queue_stop = give_back;
	params->flags = VHOST_DEV_IOMMU;
}

/* A request waits for ever. */
static void world_up_held(struct world *w, int run)
{
	memset(w, 0, sizeof(*w));
	echo_start_tweaked(&w->e, echo_run_workers(run), give_back_tweak);
	world_start(w, run, 1, ALL);
	check(w, 0, w->pages, w->pages + PAGE, 10);
	atomic_store(&w->e.popped, 0);
	atomic_store(&w->e.hold, true);
	submit(w, 0, w->pages, w->pages + PAGE, 10);
	echo_wait(&w->e.popped, 1);
}

/* proves: msg.front-end-gone */
START_TEST(front_end_gone_while_an_invalidation_waits)
{
	struct world w;

	world_up_held(&w, _i);
	send_invalidate(&w, iova_of(&w, w.pages), PAGE);
	ck_assert(!echo_readable(w.e.fe.fd, ECHO_QUIET_MS));
	world_down(&w);
}
END_TEST

/* The same for memory which is removed while a request waits for ever. */
/* proves: msg.front-end-gone */
START_TEST(front_end_gone_while_a_removal_waits)
{
	const struct vu_header hdr = { VU_REM_MEM_REG, VU_VERSION | VU_NEED_REPLY, 40 };
	struct vu_mem_reg reg = { 0 };
	const struct fe_region *region;
	struct world w;

	world_up_held(&w, _i);
	region = &w.r.mem.regions[1];
	reg.region = (struct vu_region){ region->gpa, region->size, region->uva, 0 };
	ck_assert_int_eq(fe_send_raw(&w.e.fe, &hdr, &reg, sizeof(reg), NULL, 0), 0);
	ck_assert(!echo_readable(w.e.fe.fd, ECHO_QUIET_MS));
	world_down(&w);
}
END_TEST

/*
 * Pages move while requests fly: I/O page i is at physical page where[i]; there are more physical
 * pages, which nobody may touch.  Each is filled with a pattern when its invalidation is
 * answered, and must still be so when it comes into use again.
 */
#define MOVING 32
#define SPARE 32
#define MOVES 300
#define PATTERN 0xa5
#define IN_USE 0x11

struct moving {
	unsigned int where[MOVING], spare[SPARE];
	unsigned int flying;
	unsigned int waited;		/* invalidations which requests were in the way of */
	unsigned int seed;
};

/* Requests are completed at the next kick after that. */
static void lazy_kick(struct vhost_queue *q)
{
	struct echo *e = vhost_queue_opaque(q);
	unsigned int i = vhost_queue_index(q), n;

	if (!atomic_load(&e->hold)) {
		for (n = 0; n < e->nheld[i]; n++)
			echo_complete(e, e->held[i][n]);
		e->nheld[i] = 0;
	}
	while (vhost_queue_pop(q, &e->held[i][e->nheld[i]], 1))
		e->nheld[i]++;
	if (e->nheld[i])
		vhost_queue_again(q);
}

static uint64_t moving_iova(unsigned int i)
{
	return (UINT64_C(1) << 40) + i * PAGE;
}

static void moving_map(struct world *w, struct moving *m, unsigned int i)
{
	ck_assert_int_eq(fe_iommu_map(&w->iommu, &w->r.mem, moving_iova(i),
				      RINGS_SIZE + (uint64_t)m->where[i] * PAGE, PAGE,
				      VU_IOTLB_RW), 0);
}

static void moving_check_page(const uint8_t *page)
{
	unsigned int i;

	for (i = 0; i < PAGE; i++)
		ck_assert_uint_eq(page[i], PATTERN);
}

static void move_page(struct world *w, struct moving *m)
{
	unsigned int i = (unsigned int)rand_r(&m->seed) % MOVING;
	unsigned int *s = &m->spare[(unsigned int)rand_r(&m->seed) % SPARE], old = m->where[i];

	moving_check_page(w->pages + *s * PAGE);
	fe_iommu_unmap(&w->iommu, moving_iova(i), PAGE);
	m->where[i] = *s;
	memset(w->pages + *s * PAGE, IN_USE, PAGE);
	moving_map(w, m, i);
	send_invalidate(w, moving_iova(i), PAGE);
	/* If nothing is in its way the answer comes before the requests end; otherwise behind. */
	if (!echo_readable(w->e.fe.fd, 1)) {
		m->waited++;
		atomic_store(&w->e.hold, false);
	}
	expect_answer(w, 0);
	memset(w->pages + old * PAGE, PATTERN, PAGE);
	*s = old;
	atomic_store(&w->e.hold, false);
}

static void moving_submit(struct world *w, struct moving *m, unsigned int ring)
{
	/* Each ring has its half of the pages, but the one which both read. */
	unsigned int i = (unsigned int)rand_r(&m->seed) % (MOVING / 2 - 2) + ring * MOVING / 2;
	struct iovec o = { (void *)(uintptr_t)moving_iova(MOVING - 1), 3000 };
	struct iovec in = { (void *)(uintptr_t)(moving_iova(i) + PAGE - 1000), 3000 };

	if (fe_ring_add(&w->r.ring[ring], &o, 1, &in, 1, w) < 0)
		return;
	fe_ring_submit(&w->r.ring[ring]);
	m->flying++;
}

/* Serve what there is to serve; with wait at least one request comes back. */
static void moving_reap(struct world *w, struct moving *m, unsigned int ring, bool wait)
{
	uint32_t used;
	void *cookie;

	/* A moment for the queue to come to its next miss, so that requests get into flight. */
	while (echo_readable(w->e.fe.backend_fd, 1))
		ck_assert_int_eq(fe_iommu_serve(&w->e.fe, &w->iommu, FE_TIMEOUT_MS), 1);
	if (wait)
		ck_assert_int_eq(fe_iommu_ring_wait(&w->e.fe, &w->iommu, &w->r.ring[ring],
						    FE_TIMEOUT_MS), 0);
	while (fe_ring_get(&w->r.ring[ring], &cookie, &used) == 1)
		m->flying--;
}

static void moving_init(struct world *w, struct moving *m)
{
	unsigned int i;

	*m = (struct moving){ .seed = 4711 };
	fe_iommu_unmap(&w->iommu, IOVA + RINGS_SIZE, HALF);
	memset(w->pages, IN_USE, MOVING * PAGE);
	memset(w->pages + MOVING * PAGE, PATTERN, SPARE * PAGE);
	for (i = 0; i < MOVING; i++) {
		m->where[i] = i;
		moving_map(w, m, i);
	}
	for (i = 0; i < SPARE; i++)
		m->spare[i] = MOVING + i;
	for (i = 0; i < 2; i++) {
		w->r.ring[i].indirect = 0;
		w->r.ring[i].flags |= FE_RING_ADDR;
	}
}

/* proves: iotlb.invalidate */
START_TEST(pages_move_under_load)
{
	struct moving m;
	struct world w;
	unsigned int n;

	memset(&w, 0, sizeof(w));
	echo_start_as(&w.e, echo_run_workers(_i), VHOST_DEV_IOMMU, lazy_kick);
	w.iommu.granule = PAGE;
	world_start(&w, _i, 2, ALL);
	moving_init(&w, &m);
	for (n = 0; n < MOVES; n++) {
		unsigned int k = (unsigned int)rand_r(&m.seed) % 8;

		atomic_store(&w.e.hold, true);
		while (k--)
			moving_submit(&w, &m, k % 2);
		moving_reap(&w, &m, 0, false);
		moving_reap(&w, &m, 1, false);
		move_page(&w, &m);
	}
	for (n = 0; n < 2; n++) {
		while (w.r.ring[n].outstanding)
			moving_reap(&w, &m, n, true);
	}
	ck_assert_uint_eq(m.flying, 0);
	for (n = 0; n < SPARE; n++)
		moving_check_page(w.pages + m.spare[n] * PAGE);
	ck_assert_uint_gt(atomic_load(&w.e.pushed), MOVES / 2);
	ck_assert_uint_gt(m.waited, 5);
	world_down(&w);
}
END_TEST

int main(void)
{
	const TTest *const tests[] = {
		invalidation_waits_for_requests, invalidation_of_what_was_evicted,
		invalidation_of_a_ring_and_return, update_moves_a_page,
		front_end_gone_while_an_invalidation_waits, front_end_gone_while_a_removal_waits,
		pages_move_under_load,
	};
	Suite *s = suite_create("iommu-invalidate");
	TCase *tc = tcase_create("iommu-invalidate");
	size_t i;

	tcase_set_timeout(tc, 120);
	for (i = 0; i < ARRAY_SIZE(tests); i++)
		tcase_add_loop_test(tc, tests[i], 0, ECHO_RUNS);
	suite_add_tcase(s, tc);
	return tap_main(s);
}
