/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * Messages to the front-end: what each looks like, and the channel on which they go.
 *
 * All of it belongs to the control worker.
 */
#ifndef VHOST_BACKEND_H
#define VHOST_BACKEND_H

#include "msg.h"

struct event;
struct vhost_dev;

#define VU_BACKEND_REQUEST_END (VU_BACKEND_SHMEM_UNMAP + 1)

/* One message to the front-end. */
struct backend_row {
	const char *name;		/* as the specification has it */
	uint16_t size;			/* bytes of payload */
	uint8_t fds_max;
	bool iommu;			/* needs VIRTIO_F_ACCESS_PLATFORM */
	bool answered;			/* has an answer of its own, asked for or not */
	bool ask;			/* asks for an acknowledgement although nobody waits for it */
	uint32_t gates;			/* protocol features which it needs, all of them */
	const char *fn_name;		/* who sends it */
};

/* By number; a row without a name stands for no message. */
extern const struct backend_row backend_table[VU_BACKEND_REQUEST_END];

/* Messages which are on their way or wait for their answers. */
#define BACKEND_QUEUE 64

/* One of them. */
struct backend_out {
	uint32_t request;		/* enum vu_backend_request */
	union {
		struct vu_vring_state state;
		struct vu_vring_area area;
		struct vu_iotlb iotlb;
		struct vu_shared shared;
		struct vu_mmap mmap;
	} payload;
	int fd;				/* owned; -1: none */
	bool answered;			/* the front-end will answer */
	/* The answer has come, or never will; on the control worker. */
	void (*done)(void *arg, int result);
	void *arg;
};

struct backend {
	int fd;				/* -1: no channel */
	struct event *read_ev, *write_ev;
	bool broken;			/* to be closed by the next event */
	struct msg_stream in, out;
	struct backend_out queue[BACKEND_QUEUE];	/* by number, modulo its length */
	/* Messages are numbered; from a channel to the next the numbers go on. */
	uint64_t ended;			/* below: done with */
	uint64_t sent;			/* below: sent as a whole */
	uint64_t added;			/* below: in the queue */
};

#endif /* VHOST_BACKEND_H */
