/* SPDX-License-Identifier: BSD-3-Clause */
/* No allocation for a request of vhost-user-blk in steady state, whatever the engine. */
#include "count_alloc.h"
#include "disk.h"
#include "tap.h"
#include "util.h"

#define DEPTH 32u
#define LEN 4096u

static const struct storage_params storages[] = {
	{ .engine = STORAGE_ENGINE_URING },
	{ .engine = STORAGE_ENGINE_AIO },
	{ .engine = STORAGE_ENGINE_THREADS },
};

static bool submit(struct fe_blk *fb, unsigned int i)
{
	static const uint32_t types[] = { VIRTIO_BLK_T_IN, VIRTIO_BLK_T_OUT, VIRTIO_BLK_T_IN,
					  VIRTIO_BLK_T_FLUSH };
	struct fe_blk_req *req = fe_blk_get(fb);

	if (!req)
		return false;
	req->type = types[i % ARRAY_SIZE(types)];
	req->sector = req->type == VIRTIO_BLK_T_FLUSH ? 0 : i % (DISK_SECTORS / 8) * 8;
	req->len = req->type == VIRTIO_BLK_T_FLUSH ? 0 : LEN;
	req->cut = i % 3 ? 0 : 1000;	/* some in pieces, which O_DIRECT could not take */
	return !fe_blk_submit(fb, req);
}

/* Many requests, DEPTH at a time. */
static bool some_requests(struct fe_blk *fb)
{
	struct fe_blk_req *req;
	unsigned int i, n;

	for (i = 0; i < 20 * DEPTH; i += DEPTH) {
		for (n = 0; n < DEPTH; n++) {
			if (!submit(fb, i + n))
				return false;
		}
		for (n = 0; n < DEPTH; n++) {
			if (fe_blk_reap(fb, &req, FE_TIMEOUT_MS) ||
			    fe_blk_status(req) != VIRTIO_BLK_S_OK)
				return false;
			fe_blk_put(fb, req);
		}
	}
	return true;
}

START_TEST(steady_state)
{
	struct disk_params params = { .storage = storages[_i] };
	static struct disk disk;
	unsigned int i, n;
	bool ok = true;

	disk_up(&disk, &params, DISK_FEATURES);
	for (i = 0; i < 5; i++)
		ck_assert(some_requests(&disk.fb[0]));
	ck_assert_uint_gt(count_allocations(), 0);
	n = count_allocations();
	for (i = 0; ok && i < 5; i++)
		ok = some_requests(&disk.fb[0]);
	n = count_allocations() - n;
	ck_assert(ok);
	ck_assert_uint_eq(n, 0);
	disk_down(&disk);
}
END_TEST

int main(void)
{
	Suite *suite = suite_create("alloc_blk");
	TCase *tc = tcase_create("alloc_blk");

	tcase_set_timeout(tc, 60);
	tcase_add_loop_test(tc, steady_state, 0, ARRAY_SIZE(storages));
	suite_add_tcase(suite, tc);
	return tap_main(suite);
}
