/* SPDX-License-Identifier: BSD-3-Clause */
/* virtio-blk requests (VIRTIO 5.2.6) in any framing. */
#include "config.h"

#include "frontend/fe_blk.h"

#include <endian.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#define BLK_PAGE	4096u
#define BLK_HDR_LEN	sizeof(struct virtio_blk_outhdr)
#define BLK_HDR_CUT	5u

/* More descriptors than that make no request. */
#define BLK_IOVS_MAX	512u

/* One direction of a request as it is being cut. */
struct blk_iovs {
	struct iovec iov[BLK_IOVS_MAX];
	unsigned int num;
};

int fe_blk_init(struct fe_blk *blk, struct fe_ring *ring, unsigned int num, uint32_t data_max)
{
	/* The header goes into the page before the data, the status behind it. */
	size_t len = BLK_PAGE + (size_t)data_max + FE_BLK_SHIFT_MAX + 1;
	unsigned int i;

	*blk = (struct fe_blk){ .ring = ring, .num = num, .num_free = num, .data_max = data_max };
	blk->reqs = calloc(num, sizeof(*blk->reqs));
	blk->free = calloc(num, sizeof(*blk->free));
	if (!blk->reqs || !blk->free)
		goto fail;
	for (i = 0; i < num; i++) {
		blk->free[i] = &blk->reqs[num - 1 - i];
		blk->reqs[i].mem = fe_mem_alloc(ring->mem, len, BLK_PAGE);
		if (!blk->reqs[i].mem)
			goto fail;
	}
	return 0;
fail:
	fe_blk_free(blk);
	return -ENOMEM;
}

void fe_blk_free(struct fe_blk *blk)
{
	free(blk->reqs);
	free(blk->free);
	*blk = (struct fe_blk){ 0 };
}

struct fe_blk_req *fe_blk_get(struct fe_blk *blk)
{
	struct fe_blk_req *req;

	if (!blk->num_free)
		return NULL;
	req = blk->free[--blk->num_free];
	*req = (struct fe_blk_req){ .mem = req->mem };
	return req;
}

void fe_blk_put(struct fe_blk *blk, struct fe_blk_req *req)
{
	blk->free[blk->num_free++] = req;
}

uint8_t *fe_blk_data(const struct fe_blk_req *req)
{
	return req->mem + BLK_PAGE + req->shift;
}

static uint8_t *blk_status(const struct fe_blk_req *req)
{
	return fe_blk_data(req) + req->len;
}

uint8_t fe_blk_status(const struct fe_blk_req *req)
{
	return __atomic_load_n(blk_status(req), __ATOMIC_RELAXED);
}

/* Whether the device reads the data of such a request. */
static bool blk_is_out(uint32_t type)
{
	switch (type) {
	case VIRTIO_BLK_T_OUT:
	case VIRTIO_BLK_T_DISCARD:
	case VIRTIO_BLK_T_WRITE_ZEROES:
	case VIRTIO_BLK_T_SECURE_ERASE:
		return true;
	default:
		return false;
	}
}

/* Append len bytes in pieces of at most cut; 0: in one. */
static int blk_cut(struct blk_iovs *v, uint8_t *ptr, size_t len, size_t cut)
{
	size_t n;

	for (; len; ptr += n, len -= n) {
		if (v->num == BLK_IOVS_MAX)
			return -E2BIG;
		n = cut && cut < len ? cut : len;
		v->iov[v->num++] = (struct iovec){ .iov_base = ptr, .iov_len = n };
	}
	return 0;
}

/* What the device reads: the header, and data if it goes that way. */
static int blk_frame_out(struct blk_iovs *v, const struct fe_blk_req *req)
{
	size_t len = blk_is_out(req->type) ? req->len : 0;
	uint8_t *hdr = fe_blk_data(req) - BLK_HDR_LEN;
	int err;

	if (len && (req->framing & FE_BLK_JOIN_HDR))
		return blk_cut(v, hdr, BLK_HDR_LEN + len, req->cut);
	err = blk_cut(v, hdr, BLK_HDR_LEN, req->framing & FE_BLK_CUT_HDR ? BLK_HDR_CUT : 0);
	return err ? err : blk_cut(v, fe_blk_data(req), len, req->cut);
}

/* What the device writes: data if it goes that way, and the status. */
static int blk_frame_in(struct blk_iovs *v, const struct fe_blk_req *req)
{
	size_t len = blk_is_out(req->type) ? 0 : req->len;
	int err;

	if (len && (req->framing & FE_BLK_JOIN_STATUS))
		return blk_cut(v, fe_blk_data(req), len + 1, req->cut);
	err = blk_cut(v, fe_blk_data(req), len, req->cut);
	return err ? err : blk_cut(v, blk_status(req), 1, 0);
}

int fe_blk_add(struct fe_blk *blk, struct fe_blk_req *req)
{
	const struct virtio_blk_outhdr hdr = {
		.type = htole32(req->type), .sector = htole64(req->sector),
	};
	struct blk_iovs out, in;
	int err;

	if (req->len > blk->data_max || req->shift > FE_BLK_SHIFT_MAX)
		return -EINVAL;
	out.num = in.num = 0;
	err = blk_frame_out(&out, req);
	if (!err)
		err = blk_frame_in(&in, req);
	if (err)
		return err;
	memcpy(fe_blk_data(req) - BLK_HDR_LEN, &hdr, sizeof(hdr));
	*blk_status(req) = FE_BLK_NO_STATUS;
	err = fe_ring_add(blk->ring, out.iov, out.num, in.iov, in.num, req);
	return err < 0 ? err : 0;
}

int fe_blk_submit(struct fe_blk *blk, struct fe_blk_req *req)
{
	int err = fe_blk_add(blk, req);

	if (!err)
		fe_ring_submit(blk->ring);
	return err;
}

int fe_blk_reap(struct fe_blk *blk, struct fe_blk_req **req, int timeout_ms)
{
	uint32_t used_len;
	void *cookie;
	int err;

	err = fe_ring_wait(blk->ring, timeout_ms);
	if (err)
		return err;
	err = fe_ring_get(blk->ring, &cookie, &used_len);
	if (err < 0)
		return err;
	*req = cookie;
	(*req)->used_len = used_len;
	return 0;
}

int fe_blk_run(struct fe_blk *blk, struct fe_blk_req *req)
{
	struct fe_blk_req *back;
	int err;

	err = fe_blk_submit(blk, req);
	if (!err)
		err = fe_blk_reap(blk, &back, FE_TIMEOUT_MS);
	if (!err && back != req)
		err = -EPROTO;
	return err ? err : fe_blk_status(req);
}

/* Run one request with data from out, or into in. */
static int blk_do(struct fe_blk *blk, uint32_t type, uint64_t sector, const void *out, void *in,
		  uint32_t len)
{
	struct fe_blk_req *req = fe_blk_get(blk);
	int status;

	if (!req)
		return -ENOSPC;
	req->type = type;
	req->sector = sector;
	req->len = len;
	status = len > blk->data_max ? -EINVAL : 0;
	if (!status) {
		if (out)
			memcpy(fe_blk_data(req), out, len);
		status = fe_blk_run(blk, req);
		if (in)
			memcpy(in, fe_blk_data(req), len);
	}
	fe_blk_put(blk, req);
	return status;
}

int fe_blk_read(struct fe_blk *blk, uint64_t sector, void *buf, uint32_t len)
{
	return blk_do(blk, VIRTIO_BLK_T_IN, sector, NULL, buf, len);
}

int fe_blk_write(struct fe_blk *blk, uint64_t sector, const void *buf, uint32_t len)
{
	return blk_do(blk, VIRTIO_BLK_T_OUT, sector, buf, NULL, len);
}

int fe_blk_flush(struct fe_blk *blk)
{
	return blk_do(blk, VIRTIO_BLK_T_FLUSH, 0, NULL, NULL, 0);
}

int fe_blk_get_id(struct fe_blk *blk, char id[VIRTIO_BLK_ID_BYTES])
{
	return blk_do(blk, VIRTIO_BLK_T_GET_ID, 0, NULL, id, VIRTIO_BLK_ID_BYTES);
}

static int blk_range(struct fe_blk *blk, uint32_t type, uint64_t sector, uint32_t sectors,
		     uint32_t flags)
{
	const struct virtio_blk_discard_write_zeroes range = {
		.sector = htole64(sector), .num_sectors = htole32(sectors), .flags = htole32(flags),
	};

	return blk_do(blk, type, 0, &range, NULL, sizeof(range));
}

int fe_blk_discard(struct fe_blk *blk, uint64_t sector, uint32_t sectors, uint32_t flags)
{
	return blk_range(blk, VIRTIO_BLK_T_DISCARD, sector, sectors, flags);
}

int fe_blk_write_zeroes(struct fe_blk *blk, uint64_t sector, uint32_t sectors, uint32_t flags)
{
	return blk_range(blk, VIRTIO_BLK_T_WRITE_ZEROES, sector, sectors, flags);
}
