/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Behind an IOMMU: misses, updates, and queues which wait for them.
 *
 * Each test runs with 0, 1 and 2 workers for the queues, with split and with packed rings.
 */
#include <errno.h>
#include <linux/virtio_config.h>
#include <string.h>
#include <unistd.h>

#include "frontend/fe_backend.h"
#include "tests/proto/iommu_world.h"
#include "tests/tap.h"
#include "util.h"

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

	/* Each queue has pages of its own, since nothing orders their workers. */
	world_up(&w, _i, 2);
	check(&w, 0, w.pages, w.pages + PAGE, 10);
	check(&w, 1, w.pages + 2 * PAGE, w.pages + 3 * PAGE, 10);
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

int main(void)
{
	const TTest *const tests[] = {
		requests_flow, indirect_tables_and_long_chains, buffer_across_regions,
		pushed_updates_are_enough, one_question_for_a_ring,
		wrong_permission_breaks_the_queue, failed_lookup_breaks_the_queue,
		update_and_acknowledgement_at_once, two_queues_ask_once, eviction,
		base_while_parked, reset_while_parked, translations_end_with_the_last_ring,
		front_end_gone_while_parked, channel_closes_while_parked,
		channel_replaced_while_parked, memory_removed_and_added, bad_messages,
		not_without_the_feature,
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
