/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * virtio-scsi requests for the driver's side of a request queue, and those of the control queue.
 *
 * A request lives in guest memory as header and data which the device reads, and response and
 * data which it writes, each without a gap, so that any framing is only a matter of where the
 * descriptors cut it.
 */
#ifndef FRONTEND_FE_SCSI_H
#define FRONTEND_FE_SCSI_H

#include <linux/virtio_scsi.h>

#include "frontend/frontend.h"

/* Virtqueues. */
#define FE_SCSI_CONTROL		0u
#define FE_SCSI_EVENT		1u
#define FE_SCSI_REQUEST		2u

/* Bytes of a CDB and of sense data at most, whatever the config space says. */
#define FE_SCSI_CDB_MAX		260u
#define FE_SCSI_SENSE_MAX	252u

/* Written into the response before the device gets the request. */
#define FE_SCSI_NO_RESPONSE	0xee

/* Framing: all 0 is header, data, response and data in a descriptor each. */
#define FE_SCSI_JOIN	(1u << 0)	/* header and data in one, response and data in one */

/* One request.  fe_scsi_get() sets all to 0; the caller what he wants. */
struct fe_scsi_req {
	uint8_t lun[8];			/* see fe_scsi_lun() */
	uint64_t tag;
	uint8_t attr;			/* VIRTIO_SCSI_S_SIMPLE … */
	uint8_t cdb[FE_SCSI_CDB_MAX];
	uint32_t out_len, in_len;	/* bytes of data, at most data_max of fe_scsi_init() */
	unsigned int framing;		/* FE_SCSI_* */
	uint32_t cut;			/* longest descriptor, bytes; 0: as framing says */
	void *opaque;			/* the caller's */

	uint32_t used_len;		/* as the device told it */
	struct fe_scsi *scsi;		/* private */
	uint8_t *mem;			/* guest memory, private */
};

/* What the device has answered, in our byte order; its sense is in guest memory. */
struct fe_scsi_resp {
	uint32_t sense_len, residual;
	uint16_t qualifier;
	uint8_t status, response;
	const uint8_t *sense;
};

/* Requests for one ring. */
struct fe_scsi {
	struct fe_ring *ring;		/* the caller's */
	struct fe_scsi_req *reqs;	/* [num] */
	struct fe_scsi_req **free;	/* [num], stack */
	unsigned int num, num_free;
	uint32_t data_max;		/* bytes, in each direction */
	uint32_t cdb_size, sense_size;	/* as in the config space: 32 and 96, unless changed */
};

/* Room for num requests with up to data_max bytes of data in each direction. */
int fe_scsi_init(struct fe_scsi *scsi, struct fe_ring *ring, unsigned int num, uint32_t data_max);
void fe_scsi_free(struct fe_scsi *scsi);

/* A request to be filled in, NULL when all are in use; and give it back. */
struct fe_scsi_req *fe_scsi_get(struct fe_scsi *scsi);
void fe_scsi_put(struct fe_scsi_req *req);

/* The address as Linux writes it: flat space addressing. */
void fe_scsi_lun(uint8_t lun[8], uint8_t target, uint16_t number);

/* Where the data is. */
uint8_t *fe_scsi_out(const struct fe_scsi_req *req);
uint8_t *fe_scsi_in(const struct fe_scsi_req *req);

struct fe_scsi_resp fe_scsi_resp(const struct fe_scsi_req *req);

/* Add the request to the ring, as fe_ring_add(); or add and fe_ring_submit().  -EINVAL, -E2BIG. */
int fe_scsi_add(struct fe_scsi_req *req);
int fe_scsi_submit(struct fe_scsi_req *req);

/* The next request which comes back.  Errors as of fe_ring_wait() and fe_ring_get(). */
int fe_scsi_reap(struct fe_scsi *scsi, struct fe_scsi_req **req, int timeout_ms);

/* Submit a request and wait until it comes back; no other may be outstanding. */
int fe_scsi_run(struct fe_scsi_req *req);

/* A request of the control queue: what the device reads and writes, in guest memory. */
struct fe_scsi_ctrl {
	struct fe_ring *ring;		/* the caller's */
	union {
		struct virtio_scsi_ctrl_tmf_req tmf;
		struct virtio_scsi_ctrl_an_req an;
	} *req;
	union {
		struct virtio_scsi_ctrl_tmf_resp tmf;
		struct virtio_scsi_ctrl_an_resp an;
	} *resp;
};

int fe_scsi_ctrl_init(struct fe_scsi_ctrl *ctrl, struct fe_ring *ring);
/* Submit a task management function; the chain's cookie is ctrl. */
int fe_scsi_tmf_submit(struct fe_scsi_ctrl *ctrl, uint32_t subtype, const uint8_t lun[8],
		       uint64_t tag);
/* Wait for its end: the response, or a negative errno. */
int fe_scsi_tmf_reap(struct fe_scsi_ctrl *ctrl, int timeout_ms);
int fe_scsi_tmf(struct fe_scsi_ctrl *ctrl, uint32_t subtype, const uint8_t lun[8], uint64_t tag);
/* Query or subscribe: the response, or a negative errno; the events go to *actual. */
int fe_scsi_an(struct fe_scsi_ctrl *ctrl, uint32_t type, const uint8_t lun[8], uint32_t events,
	       uint32_t *actual);

#endif /* FRONTEND_FE_SCSI_H */
