/* SPDX-License-Identifier: BSD-3-Clause */
/* Disks behind vhost-user-scsi: unit 0 of target 0, with READ (10) and WRITE (10). */
#include "config.h"

#include <errno.h>
#include <string.h>

#include "tests/bench/bench_disk.h"

static void scsi_put32(uint8_t *p, uint64_t v)
{
	p[0] = (uint8_t)(v >> 24);
	p[1] = (uint8_t)(v >> 16);
	p[2] = (uint8_t)(v >> 8);
	p[3] = (uint8_t)v;
}

static uint32_t scsi_get32(const uint8_t *p)
{
	return (uint32_t)p[0] << 24 | (uint32_t)p[1] << 16 | (uint32_t)p[2] << 8 | p[3];
}

static bool scsi_failed(const void *req)
{
	const struct fe_scsi_resp resp = fe_scsi_resp(req);

	return resp.response != VIRTIO_SCSI_S_OK || resp.status;
}

static int scsi_init(struct disk_target *t, unsigned int requests)
{
	return fe_scsi_init(&t->scsi, &t->ring, requests, t->block);
}

static void scsi_free(struct disk_target *t)
{
	fe_scsi_free(&t->scsi);
}

/* READ CAPACITY (10); the first attempt meets the unit attention of power on. */
static int scsi_ask(struct disk_target *t)
{
	struct fe_scsi_req *req = fe_scsi_get(&t->scsi);
	unsigned int tries;
	int err = -EIO;

	fe_scsi_lun(req->lun, 0, 0);
	req->cdb[0] = 0x25;
	req->in_len = 8;
	for (tries = 0; tries < 2; tries++)
		err = fe_scsi_run(req);
	if (!err && scsi_failed(req))
		err = -EIO;
	t->sectors = ((uint64_t)scsi_get32(fe_scsi_in(req)) + 1) *
		     scsi_get32(fe_scsi_in(req) + 4) / DISK_SECTOR;
	fe_scsi_put(req);
	return err;
}

static void *scsi_get(struct disk_target *t)
{
	struct fe_scsi_req *req = fe_scsi_get(&t->scsi);

	fe_scsi_lun(req->lun, 0, 0);
	req->cdb[0] = t->write ? 0x2a : 0x28;
	req->cdb[7] = (uint8_t)(t->block / DISK_SECTOR >> 8);
	req->cdb[8] = (uint8_t)(t->block / DISK_SECTOR);
	if (t->write)
		req->out_len = t->block;
	else
		req->in_len = t->block;
	return req;
}

static int scsi_add(struct disk_target *t, void *arg, uint64_t sector)
{
	struct fe_scsi_req *req = arg;

	(void)t;
	scsi_put32(&req->cdb[2], sector);
	return fe_scsi_add(req);
}

static void scsi_put(struct disk_target *t, void *req)
{
	(void)t;
	fe_scsi_put(req);
}

const struct disk_kind disk_scsi = {
	.queue = FE_SCSI_REQUEST,
	.descriptors = 3,
	.init = scsi_init, .ask = scsi_ask, .free = scsi_free,
	.get = scsi_get, .add = scsi_add, .failed = scsi_failed, .put = scsi_put,
};
