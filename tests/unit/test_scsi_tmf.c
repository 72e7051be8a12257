/* SPDX-License-Identifier: BSD-3-Clause */
/* Task management, task attributes and unit attentions, while commands are in work. */
#include "scsi_world.h"

#include <string.h>

#include "tap.h"
#include "util.h"

static struct world world;
static const struct world_params plain = {
	.units = {
		{ .sectors = WORLD_SECTORS }, { .lun = 1, .sectors = WORLD_SECTORS },
		{ .target = 1, .sectors = WORLD_SECTORS },
	},
};
static const struct world_params threads = {
	.units = {
		{ .sectors = WORLD_SECTORS }, { .lun = 1, .sectors = WORLD_SECTORS },
		{ .target = 1, .sectors = WORLD_SECTORS },
	},
	.scsi.queues = 2, .workers = 2,
};

static const uint8_t unit0[8] = { 1, 0, 0x40, 0 }, unit1[8] = { 1, 0, 0x40, 1 };

static int tmf(uint32_t subtype, const uint8_t lun[8], uint64_t tag)
{
	return fe_scsi_tmf(&world.ctrl[0], subtype, lun, tag);
}

static void tmf_begin(unsigned int i, uint32_t subtype, const uint8_t lun[8], uint64_t tag)
{
	ck_assert_int_eq(fe_scsi_tmf_submit(&world.ctrl[i], subtype, lun, tag), 0);
}

static int tmf_end(unsigned int i)
{
	return fe_scsi_tmf_reap(&world.ctrl[i], FE_TIMEOUT_MS);
}

/* Which of them ends next, well. */
static unsigned int tmf_end_any(void)
{
	struct fe_scsi_ctrl *ctrl;
	void *cookie;
	uint32_t len;

	ck_assert_int_eq(fe_ring_wait(&world.control_ring, FE_TIMEOUT_MS), 0);
	ck_assert_int_eq(fe_ring_get(&world.control_ring, &cookie, &len), 1);
	ctrl = cookie;
	ck_assert_uint_eq(ctrl->resp->tmf.response, 0);
	return (unsigned int)(ctrl - world.ctrl);
}

/*
 * A read of one block with this tag and attribute.  Those of a unit are no neighbours: they would
 * be done together, and perhaps behind what was sent to another unit later.
 */
static struct fe_scsi_req *submit(unsigned int ring, uint8_t target, uint16_t lun, uint64_t tag,
				  uint8_t attr)
{
	struct fe_scsi_req *req = world_read(&world, ring, target, lun, 2 * (uint32_t)tag, 1);

	req->tag = tag;
	req->attr = attr;
	ck_assert_int_eq(fe_scsi_submit(req), 0);
	return req;
}

/* What was put into ring 0 before has been begun, as far as it can be. */
static void settle(void)
{
	ck_assert_int_eq(world_test(&world, 1, 0), 0);
}

/*
 * Answers without commands
 */

static const struct {
	uint32_t subtype;
	uint8_t lun[8];
	int response;
} idle[] = {
	{ VIRTIO_SCSI_T_TMF_ABORT_TASK, { 1, 0 }, VIRTIO_SCSI_S_OK },
	{ VIRTIO_SCSI_T_TMF_ABORT_TASK_SET, { 1, 0 }, VIRTIO_SCSI_S_OK },
	{ VIRTIO_SCSI_T_TMF_CLEAR_TASK_SET, { 1, 0 }, VIRTIO_SCSI_S_OK },
	{ VIRTIO_SCSI_T_TMF_I_T_NEXUS_RESET, { 1, 0 }, VIRTIO_SCSI_S_OK },
	{ VIRTIO_SCSI_T_TMF_I_T_NEXUS_RESET, { 1, 0, 0x40, 7 }, VIRTIO_SCSI_S_OK },
	{ VIRTIO_SCSI_T_TMF_LOGICAL_UNIT_RESET, { 1, 1 }, VIRTIO_SCSI_S_OK },
	{ VIRTIO_SCSI_T_TMF_QUERY_TASK, { 1, 0 }, VIRTIO_SCSI_S_OK },
	{ VIRTIO_SCSI_T_TMF_QUERY_TASK_SET, { 1, 0 }, VIRTIO_SCSI_S_OK },
	{ VIRTIO_SCSI_T_TMF_CLEAR_ACA, { 1, 0 }, VIRTIO_SCSI_S_FUNCTION_REJECTED },
	{ 8, { 1, 0 }, VIRTIO_SCSI_S_FUNCTION_REJECTED },
	{ UINT32_MAX, { 1, 0 }, VIRTIO_SCSI_S_FUNCTION_REJECTED },
	{ VIRTIO_SCSI_T_TMF_ABORT_TASK, { 1, 0, 0x40, 2 }, VIRTIO_SCSI_S_INCORRECT_LUN },
	{ VIRTIO_SCSI_T_TMF_LOGICAL_UNIT_RESET, { 1, 1, 0, 1 }, VIRTIO_SCSI_S_INCORRECT_LUN },
	{ VIRTIO_SCSI_T_TMF_LOGICAL_UNIT_RESET, { 1, 0, 0xc1, 1 }, VIRTIO_SCSI_S_INCORRECT_LUN },
	{ VIRTIO_SCSI_T_TMF_ABORT_TASK, { 1, 2 }, VIRTIO_SCSI_S_BAD_TARGET },
	{ VIRTIO_SCSI_T_TMF_I_T_NEXUS_RESET, { 1, 2 }, VIRTIO_SCSI_S_BAD_TARGET },
	{ VIRTIO_SCSI_T_TMF_CLEAR_ACA, { 1, 2 }, VIRTIO_SCSI_S_BAD_TARGET },
	{ VIRTIO_SCSI_T_TMF_ABORT_TASK, { 0, 0 }, VIRTIO_SCSI_S_BAD_TARGET },
	{ VIRTIO_SCSI_T_TMF_ABORT_TASK, { 1, 0, 0, 0, 1 }, VIRTIO_SCSI_S_BAD_TARGET },
};

START_TEST(answers)
{
	size_t i;

	world_up(&world, _i ? &threads : &plain, WORLD_FEATURES);
	for (i = 0; i < ARRAY_SIZE(idle); i++) {
		int found = tmf(idle[i].subtype, idle[i].lun, 5);

		ck_assert_msg(found == idle[i].response, "function %zu: %d", i, found);
	}
	world_down(&world);
}
END_TEST

START_TEST(notifications)
{
	static const uint8_t absent[8] = { 1, 0, 0x40, 9 }, nowhere[8] = { 1, 9 }, bad[8] = { 9 };
	struct fe_scsi_ctrl *ctrl = &world.ctrl[0];
	uint32_t actual, type;

	world_up(&world, &plain, WORLD_FEATURES);
	for (type = VIRTIO_SCSI_T_AN_QUERY; type <= VIRTIO_SCSI_T_AN_SUBSCRIBE; type++) {
		ck_assert_int_eq(fe_scsi_an(ctrl, type, unit0, 126, &actual), VIRTIO_SCSI_S_OK);
		ck_assert_uint_eq(actual, 0);
		ck_assert_int_eq(fe_scsi_an(ctrl, type, absent, 2, &actual),
				 VIRTIO_SCSI_S_INCORRECT_LUN);
		ck_assert_int_eq(fe_scsi_an(ctrl, type, nowhere, 2, &actual),
				 VIRTIO_SCSI_S_BAD_TARGET);
		ck_assert_int_eq(fe_scsi_an(ctrl, type, bad, 2, &actual), VIRTIO_SCSI_S_BAD_TARGET);
	}
	world_down(&world);
}
END_TEST

/*
 * Commands in work.  _i: 1 for workers of their own
 */

START_TEST(abort_task)
{
	struct fe_scsi_req *a, *b;

	world_up(&world, _i ? &threads : &plain, WORLD_FEATURES);
	gate_close();
	a = submit(0, 0, 0, 7, 0);
	b = submit(0, 0, 0, 8, 0);
	gate_wait(2);
	ck_assert_int_eq(tmf(VIRTIO_SCSI_T_TMF_QUERY_TASK, unit0, 8),
			 VIRTIO_SCSI_S_FUNCTION_SUCCEEDED);
	ck_assert_int_eq(tmf(VIRTIO_SCSI_T_TMF_QUERY_TASK, unit0, 9), 0);
	ck_assert_int_eq(tmf(VIRTIO_SCSI_T_TMF_QUERY_TASK, unit1, 8), 0);
	/* Another tag's is answered at once, this one's not before the command has ended. */
	ck_assert_int_eq(tmf(VIRTIO_SCSI_T_TMF_ABORT_TASK, unit0, 9), 0);
	tmf_begin(1, VIRTIO_SCSI_T_TMF_ABORT_TASK, unit0, 8);
	ck_assert_int_eq(tmf(VIRTIO_SCSI_T_TMF_QUERY_TASK_SET, unit0, 0),
			 VIRTIO_SCSI_S_FUNCTION_SUCCEEDED);
	gate_open(&world);
	ck_assert_int_eq(tmf_end(1), 0);
	world_reap(&world, 0, a, VIRTIO_SCSI_S_OK, 0);
	world_reap(&world, 0, b, VIRTIO_SCSI_S_ABORTED, 0);
	ck_assert_int_eq(tmf(VIRTIO_SCSI_T_TMF_QUERY_TASK_SET, unit0, 0), 0);
	world_expect_alive(&world, 0, 0, 0, 0);
	world_down(&world);
}
END_TEST

/* Several functions wait for the same commands. */
START_TEST(abort_again)
{
	struct fe_scsi_req *a;
	unsigned int i, done = 0;

	world_up(&world, _i ? &threads : &plain, WORLD_FEATURES);
	gate_close();
	a = submit(0, 0, 0, 7, 0);
	gate_wait(1);
	tmf_begin(0, VIRTIO_SCSI_T_TMF_ABORT_TASK, unit0, 7);
	tmf_begin(1, VIRTIO_SCSI_T_TMF_ABORT_TASK_SET, unit0, 0);
	tmf_begin(2, VIRTIO_SCSI_T_TMF_LOGICAL_UNIT_RESET, unit0, 0);
	ck_assert_int_eq(fe_scsi_tmf(&world.ctrl[3], VIRTIO_SCSI_T_TMF_QUERY_TASK, unit0, 7),
			 VIRTIO_SCSI_S_FUNCTION_SUCCEEDED);
	gate_open(&world);
	for (i = 0; i < 3; i++)
		done |= 1u << tmf_end_any();
	ck_assert_uint_eq(done, 7);
	world_reap(&world, 0, a, VIRTIO_SCSI_S_RESET, 0);
	world_down(&world);
}
END_TEST

static void reset_both(uint32_t subtype, uint16_t attention, int other)
{
	struct fe_scsi_req *reqs[6];
	uint16_t codes[4];
	unsigned int i;

	gate_close();
	for (i = 0; i < 4; i++)
		reqs[i] = submit(i / 2, 0, 0, i, 0);
	for (; i < 6; i++)
		reqs[i] = submit(i % 2, i == 4 ? 0 : 1, i == 4 ? 1 : 0, i, 0);
	gate_wait(6);
	tmf_begin(1, subtype, unit0, 0);
	ck_assert_int_eq(tmf(VIRTIO_SCSI_T_TMF_QUERY_TASK, unit0, 3),
			 VIRTIO_SCSI_S_FUNCTION_SUCCEEDED);
	gate_open(&world);
	ck_assert_int_eq(tmf_end(1), 0);
	/* Now all can be seen, without waiting. */
	ck_assert(fe_ring_ready(&world.ring[0]) && fe_ring_ready(&world.ring[1]));
	for (i = 0; i < 4; i++)
		world_reap(&world, i / 2, reqs[i], VIRTIO_SCSI_S_RESET, 0);
	world_reap(&world, 0, reqs[4], (uint8_t)other, 0);
	world_reap(&world, 1, reqs[5], VIRTIO_SCSI_S_OK, 0);
	ck_assert_uint_eq(world_take_attentions(&world, 0, 0, codes, 4), 1);
	ck_assert_uint_eq(codes[0], attention);
	ck_assert_uint_eq(world_take_attentions(&world, 0, 1, codes, 4), other ? 1 : 0);
	ck_assert_int_eq(world_test(&world, 1, 0), 0);
	world_expect_alive(&world, 1, 0, 0, 0);
}

START_TEST(unit_reset)
{
	world_up(&world, &threads, WORLD_FEATURES);
	reset_both(VIRTIO_SCSI_T_TMF_LOGICAL_UNIT_RESET, 0x2903, VIRTIO_SCSI_S_OK);
	world_down(&world);
}
END_TEST

START_TEST(nexus_reset)
{
	world_up(&world, &threads, WORLD_FEATURES);
	reset_both(VIRTIO_SCSI_T_TMF_I_T_NEXUS_RESET, 0x2907, VIRTIO_SCSI_S_RESET);
	world_down(&world);
}
END_TEST

/*
 * When a function is answered, the driver can see the end of its commands.  _i: 1 for packed rings,
 * 2 for workers of their own, which end commands while the control worker answers
 */
START_TEST(seen_before)
{
	unsigned int i;

	world_up(&world, _i & 2 ? &threads : &plain, _i & 1 ? UINT64_MAX : WORLD_FEATURES);
	world.control_ring.flags |= FE_RING_POLL;
	for (i = 0; i < TAP_TIMES(500); i++) {
		struct fe_scsi_req *req;

		gate_close();
		req = submit(0, 0, 0, i, 0);
		gate_wait(1);
		tmf_begin(1, VIRTIO_SCSI_T_TMF_ABORT_TASK, unit0, i);
		ck_assert_int_eq(tmf(VIRTIO_SCSI_T_TMF_QUERY_TASK, unit0, i),
				 VIRTIO_SCSI_S_FUNCTION_SUCCEEDED);
		gate_open(&world);
		ck_assert_int_eq(tmf_end(1), 0);
		ck_assert(fe_ring_ready(&world.ring[0]));
		world_reap(&world, 0, req, VIRTIO_SCSI_S_ABORTED, 0);
	}
	world_down(&world);
}
END_TEST

/*
 * Task attributes
 */

START_TEST(ordered)
{
	struct fe_scsi_req *a, *b, *c, *d;

	world_up(&world, &plain, WORLD_FEATURES);
	gate_close();
	a = submit(0, 0, 0, 1, VIRTIO_SCSI_S_SIMPLE);
	b = submit(0, 0, 0, 2, VIRTIO_SCSI_S_ORDERED);
	c = submit(0, 0, 0, 3, VIRTIO_SCSI_S_SIMPLE);
	settle();
	ck_assert_uint_eq(gate_count(), 1);
	d = submit(0, 0, 0, 4, VIRTIO_SCSI_S_HEAD);
	gate_wait(2);
	settle();
	ck_assert_uint_eq(gate_count(), 2);
	gate_pass(&world);
	world_reap(&world, 0, a, VIRTIO_SCSI_S_OK, 0);
	world_reap(&world, 0, d, VIRTIO_SCSI_S_OK, 0);
	gate_wait(1);
	settle();
	ck_assert_uint_eq(gate_count(), 1);
	gate_pass(&world);
	world_reap(&world, 0, b, VIRTIO_SCSI_S_OK, 0);
	gate_wait(1);
	gate_open(&world);
	world_reap(&world, 0, c, VIRTIO_SCSI_S_OK, 0);
	world_down(&world);
}
END_TEST

/* What is held back is aborted at once, and then others need not wait for it. */
START_TEST(abort_held)
{
	struct fe_scsi_req *a, *b, *c;

	world_up(&world, _i ? &threads : &plain, WORLD_FEATURES);
	gate_close();
	a = submit(0, 0, 0, 1, VIRTIO_SCSI_S_SIMPLE);
	b = submit(0, 0, 0, 2, VIRTIO_SCSI_S_ORDERED);
	c = submit(0, 0, 0, 3, VIRTIO_SCSI_S_SIMPLE);
	settle();
	ck_assert_int_eq(tmf(VIRTIO_SCSI_T_TMF_ABORT_TASK, unit0, 2), 0);
	ck_assert(fe_ring_ready(&world.ring[0]));
	world_reap(&world, 0, b, VIRTIO_SCSI_S_ABORTED, 0);
	gate_wait(2);
	gate_open(&world);
	world_reap(&world, 0, a, VIRTIO_SCSI_S_OK, 0);
	world_reap(&world, 0, c, VIRTIO_SCSI_S_OK, 0);
	world_down(&world);
}
END_TEST

/* Many which wait for each other end one after the other, and leave the unit in order. */
START_TEST(many_ordered)
{
	struct fe_scsi_req *reqs[WORLD_DEPTH], *back;
	unsigned int i, j;

	world_up(&world, &plain, WORLD_FEATURES);
	for (j = 0; j < TAP_TIMES(50); j++) {
		for (i = 0; i < WORLD_DEPTH; i++) {
			reqs[i] = world_read(&world, 0, 0, 0, i, i % 3 ? 1 : 0);
			reqs[i]->attr = i % 4 == 3 ? VIRTIO_SCSI_S_SIMPLE : VIRTIO_SCSI_S_ORDERED;
			ck_assert_int_eq(fe_scsi_add(reqs[i]), 0);
		}
		fe_ring_submit(&world.ring[0]);
		for (i = 0; i < WORLD_DEPTH; i++) {
			ck_assert_int_eq(fe_scsi_reap(&world.fs[0], &back, FE_TIMEOUT_MS), 0);
			/* Each simple one is alone between two ordered ones. */
			ck_assert_ptr_eq(back, reqs[i]);
			ck_assert_uint_eq(fe_scsi_resp(back).status, 0);
			fe_scsi_put(back);
		}
	}
	world_down(&world);
}
END_TEST

/*
 * The driver goes while commands and functions are under way
 */

START_TEST(disconnect)
{
	unsigned int i;

	world_up(&world, &threads, WORLD_FEATURES);
	gate_close();
	for (i = 0; i < 8; i++)
		submit(i % 2, 0, (uint16_t)(i / 2 % 2), i, i == 5 ? VIRTIO_SCSI_S_ORDERED : 0);
	gate_wait(7);
	tmf_begin(0, VIRTIO_SCSI_T_TMF_LOGICAL_UNIT_RESET, unit0, 0);
	tmf_begin(1, VIRTIO_SCSI_T_TMF_ABORT_TASK_SET, unit1, 0);
	world_disconnect(&world);
	gate_open(&world);
	world_connect(&world, WORLD_FEATURES, 2);
	world_take_attentions(&world, 0, 0, NULL, 0);
	world_expect_alive(&world, 1, 0, 0, 0);
	world_down(&world);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("scsi_tmf");
	TCase *tc = tcase_create("scsi_tmf");

	tcase_set_timeout(tc, 60);
	tcase_add_loop_test(tc, answers, 0, 2);
	tcase_add_test(tc, notifications);
	tcase_add_loop_test(tc, abort_task, 0, 2);
	tcase_add_loop_test(tc, abort_again, 0, 2);
	tcase_add_test(tc, unit_reset);
	tcase_add_test(tc, nexus_reset);
	tcase_add_loop_test(tc, seen_before, 0, 4);
	tcase_add_test(tc, ordered);
	tcase_add_loop_test(tc, abort_held, 0, 2);
	tcase_add_test(tc, many_ordered);
	tcase_add_test(tc, disconnect);
	suite_add_tcase(suite, tc);
	return tap_main(suite);
}
