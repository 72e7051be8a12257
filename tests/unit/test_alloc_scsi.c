/* SPDX-License-Identifier: BSD-3-Clause */
/* No allocation for a request of vhost-user-scsi in steady state. */
#include "count_alloc.h"
#include "scsi_world.h"
#include "tap.h"
#include "util.h"

#define DEPTH 32u

static struct world world;

/* Reads, writes, flushes and commands without data; one unit and the other. */
static bool submit(unsigned int i)
{
	static const uint8_t flush[10] = { 0x35 }, ready[6];
	uint16_t lun = i / 4 % 2;
	struct fe_scsi_req *req;

	switch (i % 4) {
	case 0:
		req = world_read(&world, 0, 0, lun, i, 8);
		break;
	case 1:
		req = world_write(&world, 0, 0, lun, i, 8, 1);
		break;
	case 2:
		req = world_req(&world, 0, 0, lun, flush, sizeof(flush));
		break;
	default:
		req = world_req(&world, 0, 0, lun, ready, sizeof(ready));
	}
	req->cut = i % 3 ? 0 : 1000;
	req->framing = i % 5 ? 0 : FE_SCSI_JOIN;
	return !fe_scsi_submit(req);
}

/* Many requests, DEPTH at a time. */
static bool some_requests(void)
{
	struct fe_scsi_req *req;
	unsigned int i, n;

	for (i = 0; i < 20 * DEPTH; i += DEPTH) {
		for (n = 0; n < DEPTH; n++) {
			if (!submit(i + n))
				return false;
		}
		for (n = 0; n < DEPTH; n++) {
			if (fe_scsi_reap(&world.fs[0], &req, FE_TIMEOUT_MS) ||
			    fe_scsi_resp(req).response || fe_scsi_resp(req).status)
				return false;
			fe_scsi_put(req);
		}
	}
	return true;
}

START_TEST(steady_state)
{
	const struct world_params params = {
		.units = { { .sectors = WORLD_SECTORS }, { .lun = 1, .sectors = WORLD_SECTORS } },
	};
	unsigned int i, n;
	bool ok = true;

	world_up(&world, &params, WORLD_FEATURES);
	for (i = 0; i < 5; i++)
		ck_assert(some_requests());
	ck_assert_uint_gt(count_allocations(), 0);
	n = count_allocations();
	for (i = 0; ok && i < 5; i++)
		ok = some_requests();
	n = count_allocations() - n;
	ck_assert(ok);
	ck_assert_uint_eq(n, 0);
	world_down(&world);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("alloc_scsi");
	TCase *tc = tcase_create("alloc_scsi");

	tcase_set_timeout(tc, 60);
	tcase_add_test(tc, steady_state);
	suite_add_tcase(suite, tc);
	return tap_main(suite);
}
