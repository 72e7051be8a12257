/* SPDX-License-Identifier: BSD-3-Clause */
/* What the files of the network device share, grouped by the file which has it. */
#ifndef NET_INTERNAL_H
#define NET_INTERNAL_H

#include <stdatomic.h>

#include "virtio_net.h"

struct event;

/* A place in a struct virtio_net which belongs to a queue's worker while that runs. */
struct net_queue {
	/* constant */
	struct virtio_net *net;
	struct port *port;
	unsigned int pair;
	struct vhost_queue *queue;	/* the data queue; not the control queue in its place */

	/* the worker's */
	bool live;			/* between queue_start and queue_stop */
	uint64_t features;		/* the driver's choice; constant while the queue is live */
	size_t hdr_len;			/* bytes, likewise */
	struct event *ev;		/* of the port's fd; NULL: there is none to wait for */
	struct virtio_net_stats stats;

	/* any worker */
	struct vhost_work update;	/* on the queue's worker: look after what was decided */
	atomic_bool updating;		/* it is posted */
};

/*
 * Append to an array for the port.  Buffers of a driver often are neighbours, as when it cuts them
 * from larger pieces: those are one element, and the kernel copies them in one go.
 */
static inline unsigned int net_iov_add(struct iovec *iov, unsigned int n, const struct iovec *more)
{
	if (n && (uint8_t *)iov[n - 1].iov_base + iov[n - 1].iov_len == more->iov_base) {
		iov[n - 1].iov_len += more->iov_len;
		return n;
	}
	iov[n] = *more;
	return n + 1;
}

/*
 * rx.c
 */

/* Requests which may be held at a time, and therefore buffers of a packet. */
#define RX_REQS_MAX	1024u
/* Requests which are popped at a time. */
#define RX_BATCH	64u
/* Elements for one call of the port, which takes at most 1024. */
#define RX_IOVS		512u

struct net_rx {
	struct net_queue nq;
	bool mergeable;			/* VIRTIO_NET_F_MRG_RXBUF; constant while the queue is live */
	bool on;			/* the port has been told that packets may come */
	unsigned int opened;		/* as of the device, when it was told */
	bool watching;			/* ev is added */
	bool starved;			/* the last look found no buffers */
	struct vhost_poller poller;	/* added while the queue is live and ev is there */
	unsigned int polls;		/* how often it was asked */
	/* requests which are popped and empty, in order */
	struct vhost_req *reqs[RX_REQS_MAX + 2 * RX_BATCH];
	unsigned int first, count;
	size_t room;			/* bytes in them */
	unsigned int batch;		/* how many to pop the next time */
	unsigned int large;		/* so many packets more may be long */
	size_t pending;			/* bytes of a packet which is read but has no room; 0: none */
	size_t covered;			/* how many of them are in buffers; the rest is in spill */
	struct iovec iov[RX_IOVS];
	size_t lens[RX_REQS_MAX];	/* of what is about to be pushed, bytes */
	unsigned int left;		/* packets which may still come in this turn */
	uint8_t *spill;			/* live only: PORT_HDR_MAX + PORT_PACKET_MAX bytes */
};

int rx_start(struct net_rx *rx);
void rx_stop(struct net_rx *rx);
/* Look after ring, port and what was decided about the pair. */
void rx_run(struct net_rx *rx);

/*
 * tx.c
 */

#define TX_IOVS		512u

struct net_tx {
	struct net_queue nq;
	bool waiting;			/* for the port to have room; ev is added */
	struct iovec iov[TX_IOVS];
	uint8_t *copy;			/* live only: a packet which is to be in one piece */
};

int tx_start(struct net_tx *tx);
void tx_stop(struct net_tx *tx);
void tx_run(struct net_tx *tx);

/*
 * ctrl.c: the control queue, whose commands are carried out on the control worker
 */

/* Bytes of a command which are looked at. */
#define CTRL_DATA_MAX	16u

struct net_ctrl {
	struct virtio_net *net;		/* constant */
	/* the queue's worker, but for the time between posting and return */
	struct vhost_queue *queue;
	struct vhost_req *req;		/* in work; NULL: none */
	uint8_t data[CTRL_DATA_MAX];	/* class, command, parameters */
	size_t len;			/* bytes of it */
	bool ok;			/* how it ended */
	struct vhost_work work;
};

void ctrl_run(struct net_ctrl *ctrl, struct vhost_queue *q);

/*
 * virtio_net.c
 */

struct net_pair {
	struct net_rx rx;
	struct net_tx tx;
};

struct virtio_net {
	/* constant */
	struct vhost_dev *dev;
	struct port *port;
	struct vhost_worker *control;
	unsigned int pairs;
	struct net_pair *pair;		/* [pairs] */
	struct net_ctrl ctrl;
	void *arg;
	void (*connection)(void *arg, bool up);
	void (*news)(void *arg, enum virtio_net_news news);

	/* any worker */
	atomic_bool lost;		/* the interface has gone */
	atomic_bool down;		/* it is there, but down; the control worker changes this */
	atomic_bool pulled;		/* see virtio_net_set_link(); likewise */
	atomic_uint opened;		/* how often the interface has come back */
	atomic_uint pairs_on;		/* as the control queue says; without one all */

	/* the control worker's */
	struct vhost_work lost_work;	/* posted when lost becomes true */
	struct event *reopen_ev;
	struct event *link_ev;		/* of the port's link_fd; NULL: it has none */
	uint16_t status;		/* VIRTIO_NET_S_* of the config space */
	uint64_t features;		/* the driver's choice, with the offloads which it has
					 * switched off since taken out */
};

/* The interface has gone.  Any worker. */
void net_lost(struct virtio_net *net);

/* The driver uses so many pairs.  Any worker. */
void net_set_pairs(struct virtio_net *net, unsigned int pairs);
/* The driver takes these of the offloads it has negotiated.  Control worker. */
int net_set_offloads(struct virtio_net *net, uint64_t offloads);
/* The driver has seen that it is to announce itself.  Control worker. */
void net_announced(struct virtio_net *net);

#endif /* NET_INTERNAL_H */
