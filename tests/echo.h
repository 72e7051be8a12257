/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * The device of the protocol tests, on workers of its own, and a front-end on it.
 *
 * A request's out bytes are copied to its in bytes, as far as there is room, and that many
 * bytes are told as written.  While it holds, requests are kept and completed only
 * when it is told to go on.
 */
#ifndef TESTS_ECHO_H
#define TESTS_ECHO_H

#include <stdatomic.h>

#include "frontend/frontend.h"
#include "libvhost.h"

#define ECHO_QUEUES	3
#define ECHO_CONFIG	20		/* bytes; the first four are writable */
#define ECHO_FEATURES	(BIT(0) | BIT(5))
#define ECHO_HELD_MAX	256
#define ECHO_PRIV	24		/* private bytes of a request */

/* How long nothing must happen to be taken for "does not happen". */
#define ECHO_QUIET_MS	30

/*
 * Most tests run with 0, 1 and 2 workers for the queues, and so for split and then for packed
 * rings, by the index of a loop test; those without rings have no use for the latter.
 */
#define ECHO_RUNS_SPLIT	3
#define ECHO_RUNS	(2 * ECHO_RUNS_SPLIT)

static inline unsigned int echo_run_workers(int i)
{
	return (unsigned int)i % ECHO_RUNS_SPLIT;
}

/* The format's feature bit, if it has one. */
static inline uint64_t echo_run_format(int i)
{
	return i / ECHO_RUNS_SPLIT % 2 ? FE_BIT(VIRTIO_F_RING_PACKED) : 0;
}

struct echo {
	struct vhost_dev *dev;
	struct vhost_worker *control, *workers[2];
	unsigned int nworkers;		/* 0: the control worker serves the queues */
	int fd_count;			/* open fds of the process before all this */
	struct fe fe;			/* attached by echo_start() */

	atomic_bool hold;		/* keep requests */
	atomic_uint kicks, stops, resets, ups, downs, maps, unmaps;
	atomic_uint popped, pushed;
	atomic_uint cancels, cancel_keep;	/* queue_cancel: calls; requests to be awaited */
	atomic_int refuse_features, refuse_start, refuse_map;	/* errno to refuse with */
	struct vhost_req *held[ECHO_QUEUES][ECHO_HELD_MAX];	/* on the queue's worker */
	unsigned int nheld[ECHO_QUEUES];
};

/* Workers, device, socketpair, front-end; nothing is negotiated yet. */
void echo_start(struct echo *e, unsigned int nworkers, unsigned int flags);

/* The same with another kick; req_priv of its requests is ECHO_PRIV. */
void echo_start_with(struct echo *e, unsigned int nworkers, void (*kick)(struct vhost_queue *q));
void echo_start_as(struct echo *e, unsigned int nworkers, unsigned int flags,
		   void (*kick)(struct vhost_queue *q));

/* The same, but tweak changes what the device does and is. */
typedef void echo_tweak(struct vhost_dev_ops *ops, struct vhost_dev_params *params);
void echo_start_tweaked(struct echo *e, unsigned int nworkers, echo_tweak *tweak);

/* Close the front-end, stop the device, and check that no fd is left. */
void echo_stop(struct echo *e);

/* The same connection's device, served on a listening socket at path instead; tweak may be NULL. */
void echo_start_listen(struct echo *e, unsigned int nworkers, const char *path, echo_tweak *tweak);

/* The same device calls at path, where the caller listens; e->fe is the caller's to attach. */
void echo_start_connect(struct echo *e, unsigned int nworkers, const char *path);

/* Everything negotiated, rings [0, n) of size up and running in one memory region. */
struct echo_rings {
	struct fe_mem mem;
	struct fe_ring ring[ECHO_QUEUES], *list[ECHO_QUEUES];
	unsigned int n;
};
void echo_up(struct echo *e, struct echo_rings *r, unsigned int n, unsigned int size,
	     uint64_t features);
void echo_down(struct echo *e, struct echo_rings *r);

/* Negotiate these features and set up ring 0, but leave out what comes after its addresses. */
void echo_setup(struct echo *e, struct echo_rings *r, uint64_t features);

/* Publish one request of 64 bytes without waiting for it; wait for one. */
void echo_add(struct fe_ring *ring);
void echo_get(struct fe_ring *ring);

/* Send len bytes through the ring and check that they come back. */
void echo_check(struct fe_ring *ring, unsigned int len);

/* Complete a request as the device does; on the queue's worker. */
void echo_complete(struct echo *e, struct vhost_req *req);

/* Complete what is held on queue i; hold no more. */
void echo_release(struct echo *e, unsigned int i);

/* The statistics of queue i, as its worker sees them. */
void echo_stats(struct echo *e, unsigned int i, struct vhost_queue_stats *stats);

/* Wait until *counter is at least n. */
void echo_wait(atomic_uint *counter, unsigned int n);

/* Handle SIGBUS as a program must in which truncated memory costs only the connection. */
void echo_catch_sigbus(void);

bool echo_readable(int fd, int timeout_ms);

/* The number of open fds of this process. */
int echo_count_fds(void);

#endif /* TESTS_ECHO_H */
