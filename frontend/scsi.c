/* SPDX-License-Identifier: BSD-3-Clause */
/* virtio-scsi requests (VIRTIO 5.6.6) in any framing. */
#include "config.h"

#include "frontend/fe_scsi.h"

#include <endian.h>
#include <errno.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#define SCSI_ALIGN	4096u
#define SCSI_HEADER	offsetof(struct virtio_scsi_cmd_req, cdb)
#define SCSI_RESPONSE	offsetof(struct virtio_scsi_cmd_resp, sense)

/* Room before the data, in each direction: data begins on the border of a page. */
#define SCSI_HEAD_MAX	SCSI_ALIGN

/* More descriptors than that make no request. */
#define SCSI_IOVS_MAX	512u

/* One direction of a request as it is being cut. */
struct scsi_iovs {
	struct iovec iov[SCSI_IOVS_MAX];
	unsigned int num;
};

int fe_scsi_init(struct fe_scsi *scsi, struct fe_ring *ring, unsigned int num, uint32_t data_max)
{
	size_t len = 2 * (SCSI_HEAD_MAX + (size_t)data_max);
	unsigned int i;

	*scsi = (struct fe_scsi){
		.ring = ring, .num = num, .num_free = num, .data_max = data_max,
		.cdb_size = VIRTIO_SCSI_CDB_SIZE, .sense_size = VIRTIO_SCSI_SENSE_SIZE,
	};
	scsi->reqs = calloc(num, sizeof(*scsi->reqs));
	scsi->free = calloc(num, sizeof(*scsi->free));
	if (!scsi->reqs || !scsi->free)
		goto fail;
	for (i = 0; i < num; i++) {
		scsi->free[i] = &scsi->reqs[num - 1 - i];
		scsi->reqs[i].mem = fe_mem_alloc(ring->mem, len, SCSI_ALIGN);
		if (!scsi->reqs[i].mem)
			goto fail;
	}
	return 0;
fail:
	fe_scsi_free(scsi);
	return -ENOMEM;
}

void fe_scsi_free(struct fe_scsi *scsi)
{
	free(scsi->reqs);
	free(scsi->free);
	*scsi = (struct fe_scsi){ 0 };
}

struct fe_scsi_req *fe_scsi_get(struct fe_scsi *scsi)
{
	struct fe_scsi_req *req;

	if (!scsi->num_free)
		return NULL;
	req = scsi->free[--scsi->num_free];
	*req = (struct fe_scsi_req){ .scsi = scsi, .mem = req->mem };
	return req;
}

void fe_scsi_put(struct fe_scsi_req *req)
{
	req->scsi->free[req->scsi->num_free++] = req;
}

void fe_scsi_lun(uint8_t lun[8], uint8_t target, uint16_t number)
{
	memset(lun, 0, 8);
	lun[0] = 1;
	lun[1] = target;
	lun[2] = (uint8_t)(0x40 | number >> 8);
	lun[3] = (uint8_t)number;
}

uint8_t *fe_scsi_out(const struct fe_scsi_req *req)
{
	return req->mem + SCSI_HEAD_MAX;
}

uint8_t *fe_scsi_in(const struct fe_scsi_req *req)
{
	return req->mem + SCSI_HEAD_MAX + req->scsi->data_max + SCSI_HEAD_MAX;
}

static size_t scsi_header_len(const struct fe_scsi_req *req)
{
	return SCSI_HEADER + req->scsi->cdb_size;
}

static size_t scsi_response_len(const struct fe_scsi_req *req)
{
	return SCSI_RESPONSE + req->scsi->sense_size;
}

struct fe_scsi_resp fe_scsi_resp(const struct fe_scsi_req *req)
{
	const struct virtio_scsi_cmd_resp *r =
		(const void *)(fe_scsi_in(req) - scsi_response_len(req));

	return (struct fe_scsi_resp){
		.sense_len = le32toh(r->sense_len), .residual = le32toh(r->resid),
		.qualifier = le16toh(r->status_qualifier), .status = r->status,
		.response = r->response, .sense = r->sense,
	};
}

/* Append len bytes in pieces of at most cut; 0: in one. */
static int scsi_cut(struct scsi_iovs *v, uint8_t *ptr, size_t len, size_t cut)
{
	size_t n;

	for (; len; ptr += n, len -= n) {
		if (v->num == SCSI_IOVS_MAX)
			return -E2BIG;
		n = cut && cut < len ? cut : len;
		v->iov[v->num++] = (struct iovec){ .iov_base = ptr, .iov_len = n };
	}
	return 0;
}

/* One direction: len bytes of data, and before them head bytes. */
static int scsi_frame(struct scsi_iovs *v, const struct fe_scsi_req *req, uint8_t *data,
		      size_t head, size_t len)
{
	int err;

	v->num = 0;
	if (req->framing & FE_SCSI_JOIN)
		return scsi_cut(v, data - head, head + len, req->cut);
	err = scsi_cut(v, data - head, head, req->cut);
	return err ? err : scsi_cut(v, data, len, req->cut);
}

static void scsi_write_header(const struct fe_scsi_req *req)
{
	size_t len = scsi_header_len(req);
	uint8_t *at = fe_scsi_out(req) - len;
	struct virtio_scsi_cmd_req head = {
		.tag = htole64(req->tag), .task_attr = req->attr,
	};

	memcpy(head.lun, req->lun, sizeof(head.lun));
	memcpy(at, &head, SCSI_HEADER);
	memcpy(at + SCSI_HEADER, req->cdb, req->scsi->cdb_size);
}

int fe_scsi_add(struct fe_scsi_req *req)
{
	const struct fe_scsi *scsi = req->scsi;
	struct scsi_iovs out, in;
	int err;

	if (req->out_len > scsi->data_max || req->in_len > scsi->data_max ||
	    scsi->cdb_size > FE_SCSI_CDB_MAX || scsi->sense_size > FE_SCSI_SENSE_MAX)
		return -EINVAL;
	err = scsi_frame(&out, req, fe_scsi_out(req), scsi_header_len(req), req->out_len);
	if (!err)
		err = scsi_frame(&in, req, fe_scsi_in(req), scsi_response_len(req), req->in_len);
	if (err)
		return err;
	scsi_write_header(req);
	memset(fe_scsi_in(req) - scsi_response_len(req), FE_SCSI_NO_RESPONSE,
	       scsi_response_len(req));
	err = fe_ring_add(scsi->ring, out.iov, out.num, in.iov, in.num, req);
	return err < 0 ? err : 0;
}

int fe_scsi_submit(struct fe_scsi_req *req)
{
	int err = fe_scsi_add(req);

	if (!err)
		fe_ring_submit(req->scsi->ring);
	return err;
}

int fe_scsi_reap(struct fe_scsi *scsi, struct fe_scsi_req **req, int timeout_ms)
{
	uint32_t used_len;
	void *cookie;
	int err;

	err = fe_ring_wait(scsi->ring, timeout_ms);
	if (!err)
		err = fe_ring_get(scsi->ring, &cookie, &used_len);
	if (err < 0)
		return err;
	*req = cookie;
	(*req)->used_len = used_len;
	return 0;
}

int fe_scsi_run(struct fe_scsi_req *req)
{
	struct fe_scsi_req *back;
	int err;

	err = fe_scsi_submit(req);
	if (!err)
		err = fe_scsi_reap(req->scsi, &back, FE_TIMEOUT_MS);
	return !err && back != req ? -EPROTO : err;
}

/*
 * The control queue
 */

int fe_scsi_ctrl_init(struct fe_scsi_ctrl *ctrl, struct fe_ring *ring)
{
	ctrl->ring = ring;
	ctrl->req = fe_mem_alloc(ring->mem, sizeof(*ctrl->req), 64);
	ctrl->resp = fe_mem_alloc(ring->mem, sizeof(*ctrl->resp), 64);
	return ctrl->req && ctrl->resp ? 0 : -ENOMEM;
}

static int ctrl_submit(struct fe_scsi_ctrl *ctrl, size_t out_len, size_t in_len)
{
	const struct iovec out = { ctrl->req, out_len }, in = { ctrl->resp, in_len };
	int err;

	memset(ctrl->resp, FE_SCSI_NO_RESPONSE, in_len);
	err = fe_ring_add(ctrl->ring, &out, 1, &in, 1, ctrl);
	if (err < 0)
		return err;
	fe_ring_submit(ctrl->ring);
	return 0;
}

/* The next one must be ours, and written in full. */
static int ctrl_reap(struct fe_scsi_ctrl *ctrl, uint32_t in_len, int timeout_ms)
{
	uint32_t used_len;
	void *cookie;
	int err = fe_ring_wait(ctrl->ring, timeout_ms);

	if (!err)
		err = fe_ring_get(ctrl->ring, &cookie, &used_len);
	if (err < 0)
		return err;
	return cookie == ctrl && used_len == in_len ? 0 : -EPROTO;
}

int fe_scsi_tmf_submit(struct fe_scsi_ctrl *ctrl, uint32_t subtype, const uint8_t lun[8],
		       uint64_t tag)
{
	ctrl->req->tmf = (struct virtio_scsi_ctrl_tmf_req){
		.type = htole32(VIRTIO_SCSI_T_TMF), .subtype = htole32(subtype),
		.tag = htole64(tag),
	};
	memcpy(ctrl->req->tmf.lun, lun, 8);
	return ctrl_submit(ctrl, sizeof(ctrl->req->tmf), sizeof(ctrl->resp->tmf));
}

int fe_scsi_tmf_reap(struct fe_scsi_ctrl *ctrl, int timeout_ms)
{
	int err = ctrl_reap(ctrl, sizeof(ctrl->resp->tmf), timeout_ms);

	return err ? err : ctrl->resp->tmf.response;
}

int fe_scsi_tmf(struct fe_scsi_ctrl *ctrl, uint32_t subtype, const uint8_t lun[8], uint64_t tag)
{
	int err = fe_scsi_tmf_submit(ctrl, subtype, lun, tag);

	return err ? err : fe_scsi_tmf_reap(ctrl, FE_TIMEOUT_MS);
}

int fe_scsi_an(struct fe_scsi_ctrl *ctrl, uint32_t type, const uint8_t lun[8], uint32_t events,
	       uint32_t *actual)
{
	int err;

	ctrl->req->an = (struct virtio_scsi_ctrl_an_req){
		.type = htole32(type), .event_requested = htole32(events),
	};
	memcpy(ctrl->req->an.lun, lun, 8);
	err = ctrl_submit(ctrl, sizeof(ctrl->req->an), sizeof(ctrl->resp->an));
	if (!err)
		err = ctrl_reap(ctrl, sizeof(ctrl->resp->an), FE_TIMEOUT_MS);
	if (err)
		return err;
	*actual = le32toh(ctrl->resp->an.event_actual);
	return ctrl->resp->an.response;
}
