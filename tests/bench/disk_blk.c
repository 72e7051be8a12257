/* SPDX-License-Identifier: BSD-3-Clause */
/* Disks behind vhost-user-blk. */
#include "config.h"

#include <endian.h>
#include <stddef.h>

#include "tests/bench/bench_disk.h"

static int blk_init(struct disk_target *t, unsigned int requests)
{
	uint64_t capacity;
	int err;

	err = fe_get_config(&t->base.fe, offsetof(struct virtio_blk_config, capacity), &capacity,
			    sizeof(capacity));
	t->sectors = le64toh(capacity);
	return err ? err : fe_blk_init(&t->blk, &t->ring, requests, t->block);
}

static void blk_free(struct disk_target *t)
{
	fe_blk_free(&t->blk);
}

static void *blk_get(struct disk_target *t)
{
	struct fe_blk_req *req = fe_blk_get(&t->blk);

	req->type = t->write ? VIRTIO_BLK_T_OUT : VIRTIO_BLK_T_IN;
	req->len = t->block;
	return req;
}

static int blk_add(struct disk_target *t, void *arg, uint64_t sector)
{
	struct fe_blk_req *req = arg;

	req->sector = sector;
	return fe_blk_add(&t->blk, req);
}

static bool blk_failed(const void *req)
{
	return fe_blk_status(req) != VIRTIO_BLK_S_OK;
}

static void blk_put(struct disk_target *t, void *req)
{
	fe_blk_put(&t->blk, req);
}

const struct disk_kind disk_blk = {
	.features = FE_BIT(VIRTIO_BLK_F_FLUSH),
	.descriptors = 3,
	.init = blk_init, .free = blk_free,
	.get = blk_get, .add = blk_add, .failed = blk_failed, .put = blk_put,
};
