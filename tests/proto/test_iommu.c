/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Behind an IOMMU: misses, updates, invalidations, and queues which wait for them.
 *
 * Each test runs with 0, 1 and 2 workers for the queues, with split and with packed rings.
 */
#include <errno.h>
#include <linux/virtio_config.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "frontend/fe_backend.h"
#include "frontend/fe_iommu.h"
#include "tests/echo.h"
#include "tests/tap.h"
#include "util.h"

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

/* Negotiated and started; the device knows no translation yet. */
static void world_start(struct world *w, int run, unsigned int n, uint64_t protocol)
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

static void world_up(struct world *w, int run, unsigned int n)
{
	memset(w, 0, sizeof(*w));
	echo_start(&w->e, echo_run_workers(run), VHOST_DEV_IOMMU);
	w->iommu.granule = PAGE;
	world_start(w, run, n, ALL);
}

static void world_down(struct world *w)
{
	echo_down(&w->e, &w->r);
	fe_iommu_free(&w->iommu);
	echo_stop(&w->e);
}

/* Add a request of len bytes from out to in. */
static void submit(struct world *w, unsigned int ring, void *out, void *in, unsigned int len)
{
	struct iovec o = { out, len }, i = { in, len };

	ck_assert_int_ge(fe_ring_add(&w->r.ring[ring], &o, 1, &i, 1, in), 0);
	fe_ring_submit(&w->r.ring[ring]);
}

static void complete(struct world *w, unsigned int ring, unsigned int len)
{
	uint32_t used;
	void *cookie;

	ck_assert_int_eq(fe_iommu_ring_wait(&w->e.fe, &w->iommu, &w->r.ring[ring],
					    FE_TIMEOUT_MS), 0);
	ck_assert_int_eq(fe_ring_get(&w->r.ring[ring], &cookie, &used), 1);
	ck_assert_uint_eq(used, len);
}

static void check(struct world *w, unsigned int ring, uint8_t *out, uint8_t *in,
		  unsigned int len)
{
	static unsigned char next = 1;

	memset(out, next++, len);
	memset(in, 0, len);
	submit(w, ring, out, in, len);
	complete(w, ring, len);
	ck_assert_mem_eq(in, out, len);
}

static uint64_t iova_of(struct world *w, const void *p)
{
	uint64_t iova = fe_iommu_addr(&w->iommu, p, 1);

	ck_assert_uint_ne(iova, UINT64_MAX);
	return iova;
}

/* The queue has found an address for which there is nothing: it is parked now. */
static void wait_miss(struct world *w, struct fe_msg *msg)
{
	ck_assert_int_eq(fe_backend_expect(&w->e.fe, VU_BACKEND_IOTLB_MSG, msg, FE_TIMEOUT_MS), 0);
	ck_assert_uint_eq(msg->u.iotlb.type, VU_IOTLB_MISS);
}

static void send_iotlb(struct world *w, const struct vu_iotlb *m)
{
	const struct vu_header hdr = { VU_IOTLB_MSG, VU_VERSION | VU_NEED_REPLY, sizeof(*m) };

	ck_assert_int_eq(fe_send_raw(&w->e.fe, &hdr, m, sizeof(*m), NULL, 0), 0);
}

static void send_invalidate(struct world *w, uint64_t iova, uint64_t size)
{
	send_iotlb(w, &(struct vu_iotlb){ .iova = iova, .size = size,
					  .type = VU_IOTLB_INVALIDATE });
}

static void expect_answer(struct world *w, uint64_t value)
{
	struct fe_msg reply;

	ck_assert_int_eq(fe_recv_raw(&w->e.fe, &reply), 0);
	ck_assert_uint_eq(reply.hdr.request, VU_IOTLB_MSG);
	ck_assert_uint_eq(reply.hdr.size, 8);
	ck_assert_uint_eq(!!reply.u.u64, value);
}

/* proves: iotlb.rings, iotlb.miss, IOTLB_MSG, BACKEND_IOTLB_MSG, VIRTIO_F_ACCESS_PLATFORM */
START_TEST(requests_flow)
{
	struct world w;
	unsigned int len;

	world_up(&w, _i, 2);
	for (len = 1; len <= 64 * PAGE; len *= 3) {
		check(&w, 0, w.pages + 100, w.pages + 100 * PAGE + 5, len);
		check(&w, 1, w.pages + 200 * PAGE - 1, w.pages + 300 * PAGE - 1, len);
	}
	/* All of it is known now. */
	w.iommu.misses = 0;
	check(&w, 0, w.pages + 100, w.pages + 100 * PAGE + 5, 8 * PAGE);
	ck_assert_uint_eq(w.iommu.misses, 0);
	ck_assert_uint_eq(w.iommu.faults, 0);
	world_down(&w);
}
END_TEST

/* proves: iotlb.miss, chain.indirect */
START_TEST(indirect_tables_and_long_chains)
{
	struct iovec out[4], in[4];
	struct world w;
	unsigned int i;

	world_up(&w, _i, 1);
	for (i = 0; i < 4; i++) {
		out[i] = (struct iovec){ w.pages + i * 3 * PAGE + 10, 5000 };
		in[i] = (struct iovec){ w.pages + (100 + i * 3) * PAGE, 5000 };
		memset(out[i].iov_base, (int)i + 1, 5000);
	}
	for (i = 0; i < 2; i++) {
		w.r.ring[0].indirect = i ? 0 : 8;
		ck_assert_int_ge(fe_ring_add(&w.r.ring[0], out, 4, in, 4, &w), 0);
		fe_ring_submit(&w.r.ring[0]);
		complete(&w, 0, 20000);
	}
	for (i = 0; i < 4; i++)
		ck_assert_mem_eq(in[i].iov_base, out[i].iov_base, 5000);
	world_down(&w);
}
END_TEST

/* proves: mem.cross-region */
START_TEST(buffer_across_regions)
{
	struct world w;
	struct iovec o, i;
	uint64_t border = IOVA + RINGS_SIZE + HALF;

	world_up(&w, _i, 1);
	memset(w.r.mem.regions[1].ptr + HALF - PAGE, 7, PAGE);
	memset(w.r.mem.regions[2].ptr, 8, PAGE);
	w.r.ring[0].indirect = 0;
	w.r.ring[0].flags |= FE_RING_ADDR;
	o = (struct iovec){ (void *)(uintptr_t)(border - 100), 200 };
	i = (struct iovec){ (void *)(uintptr_t)(IOVA + RINGS_SIZE + 50), 200 };
	ck_assert_int_ge(fe_ring_add(&w.r.ring[0], &o, 1, &i, 1, &w), 0);
	fe_ring_submit(&w.r.ring[0]);
	complete(&w, 0, 200);
	ck_assert_uint_eq(w.pages[50], 7);
	ck_assert_uint_eq(w.pages[149], 7);
	ck_assert_uint_eq(w.pages[150], 8);
	ck_assert_uint_eq(w.pages[249], 8);
	world_down(&w);
}
END_TEST

/* All updates before the first request: then nothing is asked. */
/* proves: iotlb.update, IOTLB_MSG */
START_TEST(pushed_updates_are_enough)
{
	struct world w;

	memset(&w, 0, sizeof(w));
	echo_start(&w.e, echo_run_workers(_i), VHOST_DEV_IOMMU);
	world_start(&w, _i, 1, ALL);
	ck_assert_int_eq(fe_iommu_push(&w.e.fe, &w.iommu), 0);
	/* The ring itself was asked for when it was started. */
	ck_assert_int_ge(fe_iommu_serve(&w.e.fe, &w.iommu, FE_TIMEOUT_MS), 0);
	check(&w, 0, w.pages, w.pages + PAGE * 7, PAGE * 5);
	ck_assert(!echo_readable(w.e.fe.backend_fd, 0));
	world_down(&w);
}
END_TEST

/* The question about the ring is asked once, whatever else is said meanwhile. */
/* proves: iotlb.rings, iotlb.miss */
START_TEST(one_question_for_a_ring)
{
	struct fe_msg msg;
	struct world w;

	world_up(&w, _i, 1);
	wait_miss(&w, &msg);
	ck_assert_uint_eq(msg.u.iotlb.iova, iova_of(&w, w.r.ring[0].desc_area));
	ck_assert_uint_eq(msg.hdr.flags, VU_VERSION | VU_NEED_REPLY);
	ck_assert_int_eq(fe_set_vring_enable(&w.e.fe, 0, false), 0);
	ck_assert_int_eq(fe_set_vring_enable(&w.e.fe, 0, true), 0);
	ck_assert_int_eq(fe_sync(&w.e.fe), 0);
	ck_assert(!echo_readable(w.e.fe.backend_fd, 0));
	/* Without an update the ring stays as it is, and nothing is asked again. */
	ck_assert_int_eq(fe_backend_reply(&w.e.fe, &msg, 1), 0);
	ck_assert(!echo_readable(w.e.fe.backend_fd, ECHO_QUIET_MS));
	ck_assert_int_eq(fe_iommu_push(&w.e.fe, &w.iommu), 0);
	check(&w, 0, w.pages, w.pages + PAGE, 10);
	world_down(&w);
}
END_TEST

/* proves: iotlb.permission, queue.one-breaks */
START_TEST(wrong_permission_breaks_the_queue)
{
	struct world w;
	uint8_t *in;

	world_up(&w, _i, 2);
	check(&w, 0, w.pages, w.pages + PAGE, 10);
	in = w.pages + 10 * PAGE;
	fe_iommu_unmap(&w.iommu, iova_of(&w, in), 1);
	ck_assert_int_eq(fe_iommu_map(&w.iommu, &w.r.mem, IOVA + RINGS_SIZE, RINGS_SIZE, HALF,
				      VU_IOTLB_RO), 0);
	ck_assert_int_eq(fe_iotlb_invalidate(&w.e.fe, IOVA + RINGS_SIZE, HALF), 0);
	/* So the device knows the page, as one to be read. */
	check(&w, 0, in, w.r.mem.regions[2].ptr, 10);
	memset(in, 0x55, 10);
	submit(&w, 0, w.pages, in, 10);
	ck_assert_int_eq(fe_iommu_ring_wait(&w.e.fe, &w.iommu, &w.r.ring[0], FE_TIMEOUT_MS), -EIO);
	ck_assert_uint_ge(w.iommu.faults, 1);
	ck_assert_uint_eq(in[0], 0x55);
	/* The other queue lives. */
	check(&w, 1, w.r.mem.regions[2].ptr, w.r.mem.regions[2].ptr + PAGE, 10);
	world_down(&w);
}
END_TEST

/* proves: iotlb.denied, queue.one-breaks */
START_TEST(failed_lookup_breaks_the_queue)
{
	struct world w;

	world_up(&w, _i, 2);
	check(&w, 0, w.pages, w.pages + PAGE, 10);
	submit(&w, 0, w.pages + 5 * PAGE, w.pages + PAGE, 10);
	fe_iommu_unmap(&w.iommu, IOVA + RINGS_SIZE, 1);
	ck_assert_int_eq(fe_iommu_ring_wait(&w.e.fe, &w.iommu, &w.r.ring[0], FE_TIMEOUT_MS), -EIO);
	check(&w, 1, w.r.mem.regions[2].ptr, w.r.mem.regions[2].ptr + PAGE, 10);
	world_down(&w);
}
END_TEST

/* The update may be on its way on the other socket when the acknowledgement is read. */
/* proves: iotlb.miss, BACKEND_IOTLB_MSG */
START_TEST(update_and_acknowledgement_at_once)
{
	struct world w;
	unsigned int i;

	world_up(&w, _i, 1);
	check(&w, 0, w.pages, w.pages + PAGE, 10);
	for (i = 0; i < 200; i++) {
		uint8_t *out = w.pages + (100 + i) * PAGE;
		struct fe_msg msg;

		submit(&w, 0, out, w.pages + PAGE, 10);
		wait_miss(&w, &msg);
		send_iotlb(&w, &(struct vu_iotlb){ .iova = msg.u.iotlb.iova & ~(uint64_t)(PAGE - 1),
						   .size = PAGE, .perm = VU_IOTLB_RW,
						   .type = VU_IOTLB_UPDATE,
						   .user_addr = fe_mem_uva(&w.r.mem, out, PAGE) });
		ck_assert_int_eq(fe_backend_reply(&w.e.fe, &msg, 0), 0);
		complete(&w, 0, 10);
		expect_answer(&w, 0);
	}
	world_down(&w);
}
END_TEST

/* proves: iotlb.miss, iotlb.denied */
START_TEST(two_queues_ask_once)
{
	struct fe_msg msg;
	struct world w;

	world_up(&w, _i, 2);
	check(&w, 0, w.pages, w.pages + PAGE, 10);
	check(&w, 1, w.pages + 60 * PAGE, w.pages + 61 * PAGE, 10);
	submit(&w, 0, w.pages + 5 * PAGE, w.pages + PAGE, 10);
	wait_miss(&w, &msg);
	submit(&w, 1, w.pages + 5 * PAGE + 100, w.pages + 61 * PAGE, 20);
	ck_assert(!echo_readable(w.e.fe.backend_fd, ECHO_QUIET_MS));
	/* A failure is the first one's only: the other asks for itself. */
	ck_assert_int_eq(fe_backend_reply(&w.e.fe, &msg, 1), 0);
	ck_assert_int_eq(fe_ring_wait_err(&w.r.ring[0], FE_TIMEOUT_MS), 0);
	complete(&w, 1, 20);
	world_down(&w);
}
END_TEST

/* More pages than the table holds. */
static void use_many_pages(struct world *w, unsigned int first)
{
	unsigned int i;

	for (i = first; i < first + 40; i++)
		check(w, 0, w->r.mem.regions[2].ptr + (i % 40) * 50 * PAGE,
		      w->pages + 200 * PAGE + (i % 20) * 50 * PAGE, 50 * PAGE);
}

/* proves: iotlb.bounded */
START_TEST(eviction)
{
	struct world w;
	uint64_t misses;

	world_up(&w, _i, 1);
	use_many_pages(&w, 0);
	misses = w.iommu.misses;
	ck_assert_uint_gt(misses, 2500);
	use_many_pages(&w, 0);
	ck_assert_uint_gt(w.iommu.misses, misses);
	world_down(&w);
}
END_TEST

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

static void park(struct world *w, struct fe_msg *msg)
{
	check(w, 0, w->pages, w->pages + PAGE, 10);
	submit(w, 0, w->pages + 5 * PAGE, w->pages + PAGE, 10);
	wait_miss(w, msg);
}

/* proves: iotlb.miss, ring.stop-keeps-position */
START_TEST(base_while_parked)
{
	struct fe_msg msg;
	struct world w;
	uint32_t before, base;

	world_up(&w, _i, 1);
	check(&w, 0, w.pages, w.pages + PAGE, 10);
	before = fe_ring_get_base(&w.r.ring[0]);
	submit(&w, 0, w.pages + 5 * PAGE, w.pages + PAGE, 10);
	wait_miss(&w, &msg);
	ck_assert_int_eq(fe_stop_ring(&w.e.fe, &w.r.ring[0], &base), 0);
	/* Nothing was taken from the ring. */
	ck_assert_uint_eq(base, before);
	ck_assert_int_eq(fe_start_ring(&w.e.fe, &w.r.ring[0]), 0);
	/* The answer to the former life's question breaks nothing. */
	ck_assert_int_eq(fe_backend_reply(&w.e.fe, &msg, 1), 0);
	complete(&w, 0, 10);
	world_down(&w);
}
END_TEST

/* proves: iotlb.dropped, session.reset-device */
START_TEST(reset_while_parked)
{
	struct fe_msg msg;
	struct world w;

	world_up(&w, _i, 1);
	park(&w, &msg);
	ck_assert_int_eq(fe_reset_device(&w.e.fe), 0);
	ck_assert_int_eq(fe_sync(&w.e.fe), 0);
	ck_assert_int_eq(fe_backend_reply(&w.e.fe, &msg, 1), 0);
	fe_ring_reset(&w.r.ring[0], echo_run_format(_i) ? FE_PACKED_BASE : 0);
	ck_assert_int_eq(fe_start(&w.e.fe, &w.r.mem, w.r.list, 1), 0);
	w.iommu.misses = 0;
	check(&w, 0, w.pages, w.pages + PAGE, 10);
	/* All translations went with the reset: those of the ring and of two pages. */
	ck_assert_uint_ge(w.iommu.misses, 3);
	world_down(&w);
}
END_TEST

/*
 * QEMU does not tell what becomes void while no ring runs, and starts with the features of
 * before: after the driver was unbound and bound, its new rings are where the old ones were.
 *
 * proves: iotlb.dropped
 */
START_TEST(translations_end_with_the_last_ring)
{
	uint32_t base;
	struct world w;

	world_up(&w, _i, 2);
	check(&w, 0, w.pages, w.pages + PAGE, 10);
	check(&w, 1, w.pages, w.pages + PAGE, 10);
	ck_assert_int_eq(fe_stop_ring(&w.e.fe, &w.r.ring[1], &base), 0);
	w.iommu.misses = 0;
	check(&w, 0, w.pages, w.pages + PAGE, 10);
	ck_assert_uint_eq(w.iommu.misses, 0);
	ck_assert_int_eq(fe_stop_ring(&w.e.fe, &w.r.ring[0], &base), 0);
	ck_assert_int_eq(fe_start_ring(&w.e.fe, &w.r.ring[0]), 0);
	check(&w, 0, w.pages, w.pages + PAGE, 10);
	/* Those of the ring and of two pages. */
	ck_assert_uint_ge(w.iommu.misses, 3);
	world_down(&w);
}
END_TEST

/* proves: msg.front-end-gone */
START_TEST(front_end_gone_while_parked)
{
	struct fe_msg msg;
	struct world w;

	world_up(&w, _i, 1);
	park(&w, &msg);
	world_down(&w);
}
END_TEST

/* proves: iotlb.denied, backend.gone */
START_TEST(channel_closes_while_parked)
{
	struct fe_msg msg;
	struct world w;

	world_up(&w, _i, 2);
	check(&w, 1, w.pages + 60 * PAGE, w.pages + 61 * PAGE, 10);
	park(&w, &msg);
	close(w.e.fe.backend_fd);
	w.e.fe.backend_fd = -1;
	ck_assert_int_eq(fe_ring_wait_err(&w.r.ring[0], FE_TIMEOUT_MS), 0);
	/* The session goes on; who needs nothing does so, too. */
	submit(&w, 1, w.pages + 60 * PAGE, w.pages + 61 * PAGE, 10);
	ck_assert_int_eq(fe_ring_wait(&w.r.ring[1], FE_TIMEOUT_MS), 0);
	/* Who does, breaks. */
	submit(&w, 1, w.pages + 50 * PAGE, w.pages + PAGE, 10);
	ck_assert_int_eq(fe_ring_wait_err(&w.r.ring[1], FE_TIMEOUT_MS), 0);
	ck_assert_int_eq(fe_sync(&w.e.fe), 0);
	world_down(&w);
}
END_TEST

/* proves: iotlb.miss, backend.replaced */
START_TEST(channel_replaced_while_parked)
{
	struct fe_msg msg;
	struct world w;

	world_up(&w, _i, 1);
	park(&w, &msg);
	ck_assert_int_eq(fe_set_backend_req_fd(&w.e.fe), 0);
	/* The question is asked anew. */
	complete(&w, 0, 10);
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

/* proves: msg.front-end-gone */
START_TEST(front_end_gone_while_an_invalidation_waits)
{
	struct world w;

	memset(&w, 0, sizeof(w));
	echo_start_tweaked(&w.e, echo_run_workers(_i), give_back_tweak);
	world_start(&w, _i, 1, ALL);
	check(&w, 0, w.pages, w.pages + PAGE, 10);
	atomic_store(&w.e.popped, 0);
	atomic_store(&w.e.hold, true);
	submit(&w, 0, w.pages, w.pages + PAGE, 10);
	echo_wait(&w.e.popped, 1);
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

	memset(&w, 0, sizeof(w));
	echo_start_tweaked(&w.e, echo_run_workers(_i), give_back_tweak);
	world_start(&w, _i, 1, ALL);
	check(&w, 0, w.pages, w.pages + PAGE, 10);
	atomic_store(&w.e.popped, 0);
	atomic_store(&w.e.hold, true);
	submit(&w, 0, w.pages, w.pages + PAGE, 10);
	echo_wait(&w.e.popped, 1);
	region = &w.r.mem.regions[1];
	reg.region = (struct vu_region){ region->gpa, region->size, region->uva, 0 };
	ck_assert_int_eq(fe_send_raw(&w.e.fe, &hdr, &reg, sizeof(reg), NULL, 0), 0);
	ck_assert(!echo_readable(w.e.fe.fd, ECHO_QUIET_MS));
	world_down(&w);
}
END_TEST

/* proves: iotlb.dropped, mem.ring-region */
START_TEST(memory_removed_and_added)
{
	struct world w;
	int i;

	world_up(&w, _i, 1);
	for (i = 0; i < 3; i++) {
		check(&w, 0, w.pages, w.pages + PAGE, 10);
		w.iommu.misses = 0;
		ck_assert_int_eq(fe_rem_mem_reg(&w.e.fe, &w.r.mem.regions[1]), 0);
		ck_assert_int_eq(fe_add_mem_reg(&w.e.fe, &w.r.mem.regions[1]), 0);
		check(&w, 0, w.pages, w.pages + PAGE, 10);
		/* The ring stayed where it was. */
		ck_assert_uint_eq(w.iommu.misses, 2);
		ck_assert_int_eq(fe_rem_mem_reg(&w.e.fe, &w.r.mem.regions[0]), 0);
		ck_assert_int_eq(fe_add_mem_reg(&w.e.fe, &w.r.mem.regions[0]), 0);
		check(&w, 0, w.pages, w.pages + PAGE, 10);
	}
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

/* proves: iotlb.update, iotlb.everything, reply.honest */
START_TEST(bad_messages)
{
	struct world w;
	uint64_t uva;
	unsigned int i;

	world_up(&w, _i, 1);
	uva = w.r.mem.regions[1].uva;
	{
		const struct vu_iotlb bad[] = {
			{ .iova = 1, .size = 0, .user_addr = uva, .perm = 3, .type = 2 },
			{ .iova = 1, .size = 0, .type = 3 },
			{ .iova = 0, .size = PAGE, .user_addr = uva, .perm = 0, .type = 2 },
			{ .iova = 0, .size = PAGE, .user_addr = uva, .perm = 4, .type = 2 },
			{ .iova = 0, .size = PAGE, .user_addr = uva - 1, .perm = 3, .type = 2 },
			{ .iova = 0, .size = HALF + 1, .user_addr = uva, .perm = 3, .type = 2 },
			{ .iova = 0, .size = UINT64_MAX, .user_addr = uva, .perm = 3, .type = 2 },
			{ .iova = UINT64_MAX - 10, .size = 12, .user_addr = uva, .perm = 3,
			  .type = 2 },
			{ .iova = 2, .size = UINT64_MAX, .type = 3 },
			{ .iova = 0, .size = PAGE, .user_addr = uva, .perm = 3, .type = 0 },
			{ .iova = 0, .size = PAGE, .user_addr = uva, .perm = 3, .type = 1 },
			{ .iova = 0, .size = PAGE, .user_addr = uva, .perm = 3, .type = 4 },
			{ .iova = 0, .size = PAGE, .user_addr = uva, .perm = 3, .type = 5 },
			{ .iova = 0, .size = PAGE, .user_addr = uva, .perm = 3, .type = 255 },
		};

		for (i = 0; i < ARRAY_SIZE(bad); i++)
			ck_assert_msg(fe_iotlb_msg(&w.e.fe, &bad[i]) == -EIO, "message %u", i);
	}
	/* The last address there is. */
	ck_assert_int_eq(fe_iotlb_update(&w.e.fe, UINT64_MAX - PAGE + 1, PAGE, uva, 3), 0);
	ck_assert_int_eq(fe_iotlb_update(&w.e.fe, 0, PAGE, uva, 3), 0);
	check(&w, 0, w.pages, w.pages + PAGE, 10);
	world_down(&w);
}
END_TEST

/* proves: msg.gate, VIRTIO_F_ACCESS_PLATFORM */
START_TEST(not_without_the_feature)
{
	struct echo e;

	echo_start(&e, echo_run_workers(_i), _i < ECHO_RUNS_SPLIT ? VHOST_DEV_IOMMU : 0);
	ck_assert_int_eq(fe_negotiate(&e.fe, ALL & ~FE_BIT(VIRTIO_F_ACCESS_PLATFORM), ALL), 0);
	ck_assert_uint_eq(!!(e.fe.offered & FE_BIT(VIRTIO_F_ACCESS_PLATFORM)),
			  _i < ECHO_RUNS_SPLIT);
	ck_assert_int_eq(fe_set_features(&e.fe, e.fe.features), 0);
	ck_assert_int_eq(fe_iotlb_update(&e.fe, 0, PAGE, 0, VU_IOTLB_RW), -ECONNRESET);
	echo_stop(&e);
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
		requests_flow, indirect_tables_and_long_chains, buffer_across_regions,
		pushed_updates_are_enough, one_question_for_a_ring,
		wrong_permission_breaks_the_queue, failed_lookup_breaks_the_queue,
		update_and_acknowledgement_at_once, two_queues_ask_once, eviction,
		invalidation_waits_for_requests, invalidation_of_what_was_evicted,
		invalidation_of_a_ring_and_return, base_while_parked, reset_while_parked,
		translations_end_with_the_last_ring,
		front_end_gone_while_parked, channel_closes_while_parked,
		channel_replaced_while_parked, front_end_gone_while_an_invalidation_waits,
		front_end_gone_while_a_removal_waits, memory_removed_and_added,
		update_moves_a_page, bad_messages, not_without_the_feature, pages_move_under_load,
	};
	Suite *s = suite_create("iommu");
	TCase *tc = tcase_create("iommu");
	size_t i;

	tcase_set_timeout(tc, 120);
	for (i = 0; i < ARRAY_SIZE(tests); i++)
		tcase_add_loop_test(tc, tests[i], 0, ECHO_RUNS);
	suite_add_tcase(s, tc);
	return tap_main(s);
}
