/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * What the queues of a virtio-scsi device share: virtio_scsi.c has the device and its request
 * queues, virtio_control.c and virtio_event.c the other two, which are the control worker's.
 */
#ifndef SCSI_VIRTIO_QUEUE_H
#define SCSI_VIRTIO_QUEUE_H

#include <stdatomic.h>

#include "scsi/virtio_scsi.h"

/* A worker's nexus; there once a queue of it has started. */
struct vs_via {
	struct vhost_worker *worker;
	struct scsi_nexus *nexus;
};

/* A request queue; on its worker. */
struct vs_queue {
	struct virtio_scsi *vs;
	struct vs_via *via;
	uint64_t features;		/* the driver's choice; constant while the queue runs */
	struct virtio_scsi_stats stats;
};

struct virtio_scsi {
	/* constant */
	struct vhost_dev *dev;
	struct vhost_worker *control;
	struct scsi_target *target;
	unsigned int num_vias, num_queues;	/* of virtqueues, all of them */
	struct vs_via *vias;
	struct vs_queue *queues;
	void *arg;
	void (*connection)(void *arg, bool up);
	void (*io_error)(void *arg, struct vhost_queue *q, const struct scsi_cmd *cmd);

	/* of the control worker */
	struct vs_event *events, **last_event;	/* buffers, the oldest first */
	bool missed;				/* an event was lost */

	/* written by the control worker, bytes */
	atomic_uint cdb_size, sense_size;
};

/* The private bytes of a request: of the control queue, */
struct vs_tmf {
	struct scsi_tmf_request tmf;
	struct vhost_req *req;
};

/* and of the event queue: a buffer for an event. */
struct vs_event {
	struct vhost_req *req;
	struct vs_event *next;
};

static inline struct vs_queue *vs_queue(const struct vhost_queue *q)
{
	const struct virtio_scsi *vs = vhost_queue_opaque(q);

	return &vs->queues[vhost_queue_index(q)];
}

/* It cannot be answered, but the driver gets its descriptors back. */
void vs_malformed(struct vhost_req *req);

void vs_kick_control(struct vhost_queue *q);

void vs_kick_events(struct vhost_queue *q);
/* The event queue stops: the driver gets its buffers back as they were. */
void vs_return_events(struct virtio_scsi *vs, struct vhost_queue *q);
/* As scsi_target_ops have it: something has happened to a unit. */
void vs_event(void *arg, const struct scsi_address *address, uint32_t event, uint32_t reason);

#endif /* SCSI_VIRTIO_QUEUE_H */
