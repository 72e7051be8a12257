/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * virtio-scsi (VIRTIO 5.6): the device between a vhost_dev and the units of a scsi_target.
 *
 * It knows the layout of requests, not what is in a CDB.  Sockets, threads and options are its
 * user's business.
 */
#ifndef SCSI_VIRTIO_SCSI_H
#define SCSI_VIRTIO_SCSI_H

#include <stdint.h>

#include "libvhost.h"
#include "scsi/scsi.h"

/* Virtqueues before the request queues. */
enum { VIRTIO_SCSI_QUEUE_CONTROL, VIRTIO_SCSI_QUEUE_EVENT, VIRTIO_SCSI_QUEUE_REQUEST };

/* Request queues which a device can have. */
#define VIRTIO_SCSI_QUEUES_MAX	254u

/* What a device is to be. */
struct virtio_scsi_params {
	const char *name;		/* for the log */
	struct vhost_worker *control;	/* the control worker; it serves control and event queue */
	/* request queue i is served by workers[i % num_workers]; 0: by the control worker */
	struct vhost_worker *const *workers;
	unsigned int num_workers;
	unsigned int queues;		/* number of request queues */
	unsigned int queue_size;	/* entries a ring may have; 0: default */
	unsigned int flags;		/* VHOST_DEV_* */
	uint64_t features_off;		/* of rings and transport, not to be offered */
	void *arg;			/* for this, which may be NULL: */

	/* As in vhost_dev_ops.  Control worker. */
	void (*connection)(void *arg, bool up);
	/* A command of queue q has failed since the storage has: cmd->error, cmd->io.  Queue's worker. */
	void (*io_error)(void *arg, struct vhost_queue *q, const struct scsi_cmd *cmd);
};

/* What a command does with data. */
enum virtio_scsi_kind { VIRTIO_SCSI_NO_DATA, VIRTIO_SCSI_DATA_IN, VIRTIO_SCSI_DATA_OUT,
			VIRTIO_SCSI_KINDS };

/* Since the device was created. */
struct virtio_scsi_stats {
	uint64_t commands[VIRTIO_SCSI_KINDS];	/* which ended with GOOD */
	uint64_t bytes[VIRTIO_SCSI_KINDS];	/* of these */
	uint64_t refused;		/* commands with another status */
	uint64_t failed;		/* commands without one: no target, aborted, reset, overrun */
	uint64_t malformed;		/* requests without room for header or response */
};

struct virtio_scsi;

/*
 * Create a device without units; its queues are bound already.  It is to be listened for and
 * stopped by its user.
 */
int virtio_scsi_new(struct virtio_scsi **scsi, const struct virtio_scsi_params *params);
struct vhost_dev *virtio_scsi_dev(const struct virtio_scsi *scsi);
/* Where units come and go. */
struct scsi_target *virtio_scsi_target(const struct virtio_scsi *scsi);

/* Free the device, which is stopped, and its units while the workers are there.  Control worker. */
void virtio_scsi_free(struct virtio_scsi *scsi);

/* On the worker of this virtqueue. */
void virtio_scsi_stats(const struct virtio_scsi *scsi, unsigned int queue,
		       struct virtio_scsi_stats *stats);

/*
 * address.c: the lun field (VIRTIO 5.6.6.1)
 */

#define VIRTIO_SCSI_LUN_LEN	8

/* False: none of the formats which there are. */
bool virtio_scsi_get_address(struct scsi_address *address,
			     const uint8_t lun[VIRTIO_SCSI_LUN_LEN]);
void virtio_scsi_put_address(uint8_t lun[VIRTIO_SCSI_LUN_LEN],
			     const struct scsi_address *address);

#endif /* SCSI_VIRTIO_SCSI_H */
