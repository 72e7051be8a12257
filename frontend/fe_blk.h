/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * virtio-blk requests for the driver's side of a ring.
 *
 * A request lives in guest memory as header, data and status without a gap, so that any
 * framing is only a matter of where the descriptors cut it.  Data which the device reads goes by
 * the header, data which it writes by the status.
 */
#ifndef FRONTEND_FE_BLK_H
#define FRONTEND_FE_BLK_H

#include <linux/virtio_blk.h>

#include "frontend/frontend.h"

#define FE_BLK_SECTOR	512u

/* Written into the status byte before the device gets the request. */
#define FE_BLK_NO_STATUS	0xff

/* Framing: all 0 is the usual header, data, status in a descriptor each. */
#define FE_BLK_CUT_HDR		(1u << 0)	/* the header in descriptors of 5, 5, 5, 1 bytes */
#define FE_BLK_JOIN_HDR		(1u << 1)	/* header and data which follows in one */
#define FE_BLK_JOIN_STATUS	(1u << 2)	/* data and status which follows in one */

/* How far data can be moved off its page border. */
#define FE_BLK_SHIFT_MAX	4096u

/* One request.  fe_blk_get() sets all to 0; the caller what he wants. */
struct fe_blk_req {
	uint32_t type;			/* VIRTIO_BLK_T_* */
	uint32_t len;			/* bytes of data, at most data_max of fe_blk_init() */
	uint64_t sector;
	unsigned int framing;		/* FE_BLK_* */
	uint32_t cut;			/* longest descriptor of data, bytes; 0: all in one */
	uint32_t shift;			/* bytes from a page border to the data */
	void *opaque;			/* the caller's */

	uint32_t used_len;		/* as the device told it */
	uint8_t *mem;			/* guest memory, private */
};

/* Requests for one ring. */
struct fe_blk {
	struct fe_ring *ring;		/* the caller's */
	struct fe_blk_req *reqs;	/* [num] */
	struct fe_blk_req **free;	/* [num], stack */
	unsigned int num;
	unsigned int num_free;
	uint32_t data_max;		/* bytes */
};

/* Room for num requests with up to data_max bytes of data each. */
int fe_blk_init(struct fe_blk *blk, struct fe_ring *ring, unsigned int num, uint32_t data_max);
void fe_blk_free(struct fe_blk *blk);

/* A request to be filled in, NULL when all are in use; and give it back. */
struct fe_blk_req *fe_blk_get(struct fe_blk *blk);
void fe_blk_put(struct fe_blk *blk, struct fe_blk_req *req);

/* Where the data is, once shift is set. */
uint8_t *fe_blk_data(const struct fe_blk_req *req);

/* The status byte. */
uint8_t fe_blk_status(const struct fe_blk_req *req);

/*
 * Add the request to the ring, as fe_ring_add(); or add and fe_ring_submit().  -EINVAL: too much
 * data or shift; -E2BIG: cut into too many pieces.
 */
int fe_blk_add(struct fe_blk *blk, struct fe_blk_req *req);
int fe_blk_submit(struct fe_blk *blk, struct fe_blk_req *req);

/* The next request which comes back.  Errors as of fe_ring_wait() and fe_ring_get(). */
int fe_blk_reap(struct fe_blk *blk, struct fe_blk_req **req, int timeout_ms);

/*
 * Submit a request and wait until it comes back; no other may be outstanding.  Returns the status
 * byte, or a negative errno.
 */
int fe_blk_run(struct fe_blk *blk, struct fe_blk_req *req);

/* The same for whole requests in the usual framing; the last two with one segment. */
int fe_blk_read(struct fe_blk *blk, uint64_t sector, void *buf, uint32_t len);
int fe_blk_write(struct fe_blk *blk, uint64_t sector, const void *buf, uint32_t len);
int fe_blk_flush(struct fe_blk *blk);
int fe_blk_get_id(struct fe_blk *blk, char id[VIRTIO_BLK_ID_BYTES]);
int fe_blk_discard(struct fe_blk *blk, uint64_t sector, uint32_t sectors, uint32_t flags);
int fe_blk_write_zeroes(struct fe_blk *blk, uint64_t sector, uint32_t sectors, uint32_t flags);

#endif /* FRONTEND_FE_BLK_H */
