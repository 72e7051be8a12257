/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * virtio-blk (VIRTIO 5.2): the device between a vhost_dev and a storage.
 *
 * It knows requests and storage operations.  Sockets, threads and options are its
 * user's business.
 */
#ifndef BLK_VIRTIO_BLK_H
#define BLK_VIRTIO_BLK_H

#include <linux/virtio_blk.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "libvhost.h"
#include "storage/storage.h"

/* VIRTIO's unit of offsets and lengths, whatever the block size. */
#define VIRTIO_BLK_SECTOR	512u

/* A legacy driver's name for a flush. */
#define VIRTIO_BLK_T_FLUSH_OUT	5

/* Ranges in one discard or write zeroes request. */
#define VIRTIO_BLK_RANGES_MAX	64u

/* Bytes of the config space: up to the limits of write zeroes, and padding. */
#define VIRTIO_BLK_CONFIG_LEN	60u

/* What a device is to be. */
struct virtio_blk_params {
	const char *name;		/* for the log */
	struct storage *storage;	/* outlives the device */
	unsigned int block_size;	/* bytes, 512 or 4096: the driver's logical block */
	unsigned int queues;		/* number of request queues */
	unsigned int queue_size;	/* entries a ring may have; 0: default */
	unsigned int flags;		/* VHOST_DEV_* */
	uint64_t features_off;		/* of rings and transport, not to be offered */
	unsigned int workers;		/* queue i is served by worker i % workers; 0: one for all */
	const char *serial;		/* up to VIRTIO_BLK_ID_BYTES; NULL: none */
	void *arg;			/* for these, which may be NULL: */

	/* As in vhost_dev_ops.  Control worker. */
	void (*connection)(void *arg, bool up);
	/* An operation failed which the image ought to support.  Queue's worker. */
	void (*io_error)(void *arg, struct vhost_queue *q, const struct storage_io *io, int err);
};

/* Of a queue, since the device was created. */
struct virtio_blk_stats {
	uint64_t malformed;		/* requests without room for header or status */
	uint64_t ops[STORAGE_OPS];	/* operations of the storage which ended well */
	uint64_t bytes[STORAGE_OPS];	/* of these */
	uint64_t errors[STORAGE_OPS];	/* operations which failed */
};

struct virtio_blk;

/* Create a device, to be bound, listened for and stopped by its user. */
int virtio_blk_new(struct virtio_blk **blk, const struct virtio_blk_params *params);
struct vhost_dev *virtio_blk_dev(const struct virtio_blk *blk);

/* Free the device, which is stopped, while its workers are there.  Control worker. */
void virtio_blk_free(struct virtio_blk *blk);

/*
 * The storage's size changes, see storage_resize(); before how->done() the config space has the new
 * capacity, and the front-end is told.  how->done may be NULL.  Control worker.
 */
int virtio_blk_resize(struct virtio_blk *blk, const struct storage_resize *how, char *why,
		      size_t why_size);

/* Queue's worker. */
void virtio_blk_stats(const struct virtio_blk *blk, unsigned int queue,
		      struct virtio_blk_stats *stats);

/*
 * config.c: what the driver is offered
 */

uint64_t virtio_blk_features(const struct virtio_blk_params *params,
			     const struct storage_info *info);
void virtio_blk_fill_config(struct virtio_blk_config *config,
			    const struct virtio_blk_params *params,
			    const struct storage_info *info);

#endif /* BLK_VIRTIO_BLK_H */
