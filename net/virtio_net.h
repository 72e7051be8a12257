/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * virtio-net (VIRTIO 5.1): the device between a vhost_dev and a port.
 *
 * It knows packets in virtqueues and ports.  Sockets, threads and options are its user's
 * business.
 */
#ifndef NET_VIRTIO_NET_H
#define NET_VIRTIO_NET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "libvhost.h"
#include "port.h"

/* What becomes of the interface; of the cable, so to speak, which virtio_net_set_link() pulls. */
enum virtio_net_news { NET_GONE, NET_BACK, NET_DOWN, NET_UP, NET_PULLED, NET_PLUGGED };

/* What a device is to be. */
struct virtio_net_params {
	const char *name;		/* for the log */
	struct port *port;		/* outlives the device */
	struct vhost_worker *control;	/* the device's control worker to be */
	unsigned int queue_size;	/* entries a ring may have; 0: default */
	unsigned int flags;		/* VHOST_DEV_* */
	uint64_t features_off;		/* of rings and transport, not to be offered */
	const uint8_t *mac;		/* to be told to the driver, 6 bytes; NULL: none */
	unsigned int mtu;		/* to be told to the driver, bytes; 0: none */
	void *arg;			/* for these, which may be NULL; control worker: */

	/* As in vhost_dev_ops. */
	void (*connection)(void *arg, bool up);
	void (*link)(void *arg, enum virtio_net_news news);
};

/* Of a queue, since the device was created. */
struct virtio_net_stats {
	uint64_t packets;
	uint64_t bytes;			/* without headers */
	uint64_t malformed;		/* dropped: no packet behind a header, or no sense in that;
					 * received: buffers without room for a header */
	uint64_t too_long;		/* dropped: longer than a packet, or than all buffers */
	uint64_t refused;		/* dropped: the port returned an error */
	uint64_t discarded;		/* dropped: the ring is disabled, or its pair is not in use */
	uint64_t no_link;		/* dropped: the interface is down, or has gone */
};

struct virtio_net;

/* Create a device, to be bound, listened for and stopped by its user. */
int virtio_net_new(struct virtio_net **net, const struct virtio_net_params *params);
struct vhost_dev *virtio_net_dev(const struct virtio_net *net);

/*
 * Free the device, which is stopped, when its control worker does not run any more, and its
 * other workers still do.
 */
void virtio_net_free(struct virtio_net *net);

/*
 * Let the guest have a link, if the interface has one, or pull its cable: it is told, and no packet
 * goes either way.  Control worker.
 */
void virtio_net_set_link(struct virtio_net *net, bool up);
/* Whether packets go anywhere.  Any worker. */
bool virtio_net_has_link(const struct virtio_net *net);

/* Queue 2 i receives for pair i, queue 2 i + 1 sends.  Queue's worker. */
void virtio_net_stats(const struct virtio_net *net, unsigned int queue,
		      struct virtio_net_stats *stats);

#endif /* NET_VIRTIO_NET_H */
