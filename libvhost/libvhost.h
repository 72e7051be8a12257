/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * libvhost: the device side (back-end) of a vhost-user connection.
 *
 * A program which includes this header becomes the device behind a virtual
 * machine's virtio driver.  The library speaks the vhost-user protocol with
 * the front-end (QEMU, User-mode Linux, DPDK's virtio-user …), maps the guest's
 * memory, and turns virtqueues into a stream of requests.  The program says
 * which device it is and serves the requests.
 *
 *
 * Four nouns
 *
 *   struct vhost_dev     one vhost-user endpoint: features, config space,
 *                        queues, and at most one front-end at a time.
 *   struct vhost_queue   one virtqueue.
 *   struct vhost_req     one request of the driver: a descriptor chain as two
 *                        iovec arrays, plus private bytes of the device.
 *   struct vhost_worker  one execution context: a libevent event_base, a
 *                        mailbox, optional busy polling.  It runs on a thread
 *                        of the library, on a thread of the caller, or within
 *                        the caller's own event loop.
 *
 *
 * Five rules
 *
 *   1. A queue and its requests are touched only on the queue's worker.  From
 *      elsewhere use vhost_worker_post() or vhost_worker_call().
 *   2. Pop until you get fewer than you asked for; then you will be kicked.
 *      That is all there is to know about notifications and fairness.
 *   3. Push is cheap and publishing happens by itself: what was pushed during
 *      one round of the worker reaches the driver at the round's end, with at
 *      most one signal per queue.
 *   4. Nothing changes under a request.  Its memory stays mapped until it is
 *      pushed, and a queue stops only when all its requests have come back.
 *   5. The peer is hostile.  What it writes is read once, checked, and then
 *      used.  A descriptor chain which makes no sense breaks its queue, a
 *      message which makes no sense costs the connection, nothing costs the
 *      process.
 *
 *
 * Which worker
 *
 * Each device has one control worker, given to vhost_dev_listen(),
 * vhost_dev_attach() or vhost_dev_connect(), and a worker per queue, given to
 * vhost_dev_bind() or else the control worker too.  Functions marked "control
 * worker" and "queue's worker" may be called on that worker only: from its
 * callbacks, or from any thread while the worker does not run.  Functions
 * marked "any thread" have no such limit.
 *
 *
 * Errors
 *
 * Functions which return int return 0 (or a count) on success and a negative
 * errno value on failure.  The library never ends the process, prints nothing,
 * installs no signal handler and leaves the process's state alone.
 *
 * The standards: "VIRTIO" is Virtual I/O Device (VIRTIO) Version 1.2,
 * "vhost-user" is the vhost-user protocol specification of QEMU.
 */
#ifndef LIBVHOST_H
#define LIBVHOST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>
#include <sys/uio.h>

#ifdef __cplusplus
extern "C" {
#endif

/* The library hides all but what is declared here. */
#pragma GCC visibility push(default)

struct event_base;
struct vhost_dev;
struct vhost_queue;
struct vhost_worker;

/*
 * Requests
 */

/*
 * One request: a descriptor chain (VIRTIO 2.6) which the driver made available
 * and which the device owns from vhost_queue_pop() until vhost_req_push() or
 * vhost_queue_unpop().  The arrays and the memory they point at stay valid as
 * long.  The memory belongs to the guest, which can change it at any time: copy
 * a field before checking it.
 */
struct vhost_req {
	struct vhost_queue *queue;
	const struct iovec *out;	/* driver to device: read only */
	const struct iovec *in;		/* device to driver: write */
	unsigned int out_cnt;		/* elements of out */
	unsigned int in_cnt;		/* elements of in */
	size_t out_len;			/* bytes in out */
	size_t in_len;			/* bytes in in */
	void *priv;			/* params.req_priv bytes of the device, aligned as by
					 * malloc(); zero when the queue starts, otherwise as the
					 * slot's previous request left them */
};

/* The two directions of a request, for vhost_req_slice(). */
enum vhost_dir {
	VHOST_OUT,			/* driver to device */
	VHOST_IN,			/* device to driver */
};

/*
 * Devices
 */

/*
 * What a device does.  Only kick is required.  A callback which is not set
 * means that the device takes no interest, or does not offer the function.
 */
struct vhost_dev_ops {
	/* On the queue's worker: */

	/*
	 * Requests may be available: pop and work.  Called after the driver's
	 * notification, after the ring was started or enabled (with
	 * VHOST_DEV_KICK_DISABLED: or disabled), after vhost_queue_again(), and after
	 * a pop which ended with the queue's share of the round.  May be called when
	 * nothing is available.
	 */
	void (*kick)(struct vhost_queue *q);

	/*
	 * The ring is about to go live: open what the queue needs on this
	 * worker.  A negative errno refuses: the front-end's message fails.
	 */
	int (*queue_start)(struct vhost_queue *q);

	/*
	 * Begin nothing new; the requests which are outstanding are awaited
	 * afterwards.  Give back, by vhost_queue_unpop() or vhost_req_push(), those which
	 * wait for an event that may never come.  No kick follows until the
	 * next queue_start.
	 */
	void (*queue_stop)(struct vhost_queue *q);

	/*
	 * As queue_stop, and called instead of it, but the front-end does not want to
	 * wait for the requests (vhost-user, GET_VRING_BASE_SKIP_DRAIN): end what can be
	 * ended now by vhost_req_abandon(), after which the memory of the
	 * request must not be written to any more.  Together with VHOST_DEV_INFLIGHT this
	 * callback makes the library offer that message.
	 */
	void (*queue_cancel)(struct vhost_queue *q);

	/* On the control worker: */

	/*
	 * The driver chose these features (VIRTIO 2.2); queues do not run.
	 * A negative errno refuses: the front-end's message fails.
	 */
	int (*features)(struct vhost_dev *dev, uint64_t acked);

	/*
	 * The driver writes len bytes at offset off of the config space (VIRTIO
	 * 2.5); the range lies within params.config_len.  To accept, return 0:
	 * the library then stores the bytes.  A negative errno refuses.
	 * Without this callback the config space is read-only.
	 */
	int (*set_config)(struct vhost_dev *dev, uint32_t off, const void *buf, uint32_t len);

	/* A front-end has connected (up), or its connection has ended. */
	void (*connection)(struct vhost_dev *dev, bool up);

	/*
	 * Back to the initial state (VIRTIO 2.4): no feature is negotiated, no
	 * queue runs.  Follows RESET_DEVICE and the end of each connection.
	 * The config space is as it was given to vhost_dev_new(), apart from
	 * what vhost_dev_update_config() has changed since.
	 */
	void (*reset)(struct vhost_dev *dev);

	/*
	 * Guest memory appeared, or is about to go.  A negative errno from
	 * mem_map refuses the memory: the front-end's message fails.  Neither may touch the
	 * memory, also by asking the kernel to: in a postcopy migration its pages come
	 * later, and this worker must not wait for them.
	 */
	int (*mem_map)(struct vhost_dev *dev, void *va, size_t len);
	void (*mem_unmap)(struct vhost_dev *dev, void *va, size_t len);

	/*
	 * The device's own state, for a migration (vhost-user, "Migrating back-end state");
	 * no queue runs.  save allocates *buf by malloc(), which the library frees, and
	 * sets *len, at most VHOST_STATE_MAX bytes.  load takes what save has given elsewhere,
	 * or what a hostile peer has made of it.  Both or none.
	 */
	int (*save)(struct vhost_dev *dev, void **buf, size_t *len);
	int (*load)(struct vhost_dev *dev, const void *buf, size_t len);

	/*
	 * Messages for certain device types (vhost-user, "Front-end message types").  Each
	 * callback which is set makes the library offer the protocol feature it belongs
	 * to.  0, or a negative errno which fails the front-end's message.
	 */

	/* SEND_RARP: announce this Ethernet address to the outer network. */
	int (*send_rarp)(struct vhost_dev *dev, const uint8_t mac[6]);
	/* NET_SET_MTU: 68 to 65535 bytes. */
	int (*set_mtu)(struct vhost_dev *dev, uint16_t mtu);
	/*
	 * CREATE_CRYPTO_SESSION: len bytes of operation code and parameters, to be judged by
	 * the device; *id becomes the session's number, not negative.  CLOSE_CRYPTO_SESSION.
	 * Both or none.
	 */
	int (*crypto_create)(struct vhost_dev *dev, const void *session, size_t len, int64_t *id);
	int (*crypto_close)(struct vhost_dev *dev, uint64_t id);
	/* GPU_SET_SOCKET: the device owns fd now, also if it refuses. */
	int (*gpu_socket)(struct vhost_dev *dev, int fd);
	/*
	 * GET_SHARED_OBJECT: an fd of the object with this UUID (RFC 9562), which remains the
	 * device's, or a negative errno.
	 */
	int (*shared_object)(struct vhost_dev *dev, const uint8_t uuid[16]);
};

/* The most that a device's state may be, in bytes. */
#define VHOST_STATE_MAX	(16u << 20)

/*
 * What a device is.  Zero means the default, so that a caller names only what
 * matters.  The structure may grow at its end; its size travels along.
 */
struct vhost_dev_params {
	const char *name;		/* for logs and statistics; default "vhost" */
	uint64_t features;		/* the device type's feature bits; those of rings and
					 * transport are the library's (24 to 40) */
	unsigned int queues;		/* number of virtqueues, 1 to 256; default 1 */
	unsigned int queue_size_max;	/* entries, 1 to 32768; default 1024 */
	const void *config;		/* initial config space (little endian), copied */
	size_t config_len;		/* bytes, at most 256 */
	size_t req_priv;		/* private bytes in each struct vhost_req, at most 65535 */
	unsigned int flags;		/* VHOST_DEV_* */
	uint64_t features_off;		/* bits of rings and transport not to be offered */
	const uint64_t *shmem_sizes;	/* bytes of each shared memory region (VIRTIO 2.10), by
					 * its id; multiples of the page size, 0: none; copied */
	unsigned int shmem_count;	/* elements of shmem_sizes, at most 256 */
	unsigned int queue_num;		/* what GET_QUEUE_NUM tells, which QEMU takes for the number
					 * of pairs of a network device, and of the request queues of
					 * a SCSI one; default queues */
};

/*
 * Call kick also while a ring is started but disabled (vhost-user, "Ring
 * states"), for devices which must consume requests without side effects then.
 * Ask vhost_queue_enabled().  Default: requests wait until the ring is enabled.
 */
#define VHOST_DEV_KICK_DISABLED	(1u << 0)
/*
 * Track requests in memory which the front-end keeps (vhost-user, "Inflight I/O
 * tracking"): after a crash of the process, those which were popped and not yet
 * published are popped again, before all others and in the original order, by the next
 * one.  Nothing tells them apart from new ones, and how much of them was done before is not known.
 */
#define VHOST_DEV_INFLIGHT	(1u << 1)
/*
 * Offer VIRTIO_F_ACCESS_PLATFORM: the device works behind an IOMMU which the front-end
 * emulates.  Not for front-ends which accept the feature without having an IOMMU, as
 * User-mode Linux does.
 */
#define VHOST_DEV_IOMMU		(1u << 2)
/*
 * Offer VIRTIO_F_IN_ORDER.  The device may push in any order nevertheless; what comes early
 * then waits.  For devices which finish their requests in order by nature.
 */
#define VHOST_DEV_IN_ORDER	(1u << 3)
/*
 * Offer notifications as messages (VHOST_USER_PROTOCOL_F_INBAND_NOTIFICATIONS), for
 * simulators.  Not for QEMU, which accepts the feature without knowing it.
 */
#define VHOST_DEV_INBAND	(1u << 4)
/*
 * Offer VHOST_USER_PROTOCOL_F_HOST_NOTIFIER, for vhost_dev_host_notifier().  For devices with
 * hardware behind them.
 */
#define VHOST_DEV_HOST_NOTIFIER	(1u << 5)

/*
 * Measure how long requests take, for vhost_queue_latency().  It costs two looks at the clock for
 * each batch of requests.
 */
#define VHOST_DEV_LATENCY	(1u << 6)

/* Statistics of a queue; all counters since the device was created. */
struct vhost_queue_stats {
	uint64_t requests;		/* taken from the ring, less those given back */
	uint64_t kicks;			/* notifications received */
	uint64_t signals;		/* interrupts sent */
	uint64_t suppressed;		/* publications which needed none */
	uint64_t poll_hits;		/* busy polls which found requests */
	uint64_t poll_misses;		/* busy polls which found none */
	uint64_t breaks;		/* times the queue broke */
	uint64_t bytes;			/* of requests which were pushed: their out parts, and what
					 * was written of their in parts */
};

/*
 * How long requests took, from the pop to the publication, since the device was created; and the
 * age of the oldest which is outstanding.
 */
#define VHOST_LATENCY_BUCKETS	40
struct vhost_queue_latency {
	uint64_t count[VHOST_LATENCY_BUCKETS]; /* i: those below 2^i ns and not in an earlier one;
						 * the last one: all others */
	uint64_t sum;			/* of all, ns */
	uint64_t oldest;		/* ns; 0: none is outstanding */
};

/* Statistics of a device, since it was created. */
struct vhost_dev_stats {
	uint64_t connections;		/* front-ends which came */
	uint64_t messages;		/* messages received */
	uint64_t refused;		/* messages answered with an error */
	uint64_t connection_errors;	/* connections closed because of an error */
};

/*
 * Create a device.  ops, params and what params points at are copied.  opaque is
 * the caller's.  Any thread.  -EINVAL: a value out of range; -ENOMEM.
 */
#define vhost_dev_new(dev, ops, params, opaque) \
	vhost_dev_new_sized(dev, ops, sizeof(struct vhost_dev_ops), \
			    params, sizeof(struct vhost_dev_params), opaque)
int vhost_dev_new_sized(struct vhost_dev **dev,
			const struct vhost_dev_ops *ops, size_t ops_size,
			const struct vhost_dev_params *params, size_t params_size,
			void *opaque);

/*
 * Serve queue i on workers[i % n].  Without this call the control worker serves
 * all queues.  The workers must outlive the device.  Any thread, before the device is
 * served.  -EINVAL: n is 0; -EBUSY: it is served already.
 * In a postcopy migration a request for a page which is missing stops the whole worker until
 * the page comes; with other workers than the control worker, messages are answered meanwhile.
 */
int vhost_dev_bind(struct vhost_dev *dev, struct vhost_worker *const *workers, unsigned int n);

/*
 * Serve front-ends which connect to the listening socket fd, one after the other;
 * control becomes the device's control worker.  A front-end which comes while
 * another is connected waits in the socket's backlog.  The device owns fd from
 * now on, also when this fails.  Control worker.  -EBUSY: the device is served already;
 * -ENOMEM, or what the kernel said.
 */
int vhost_dev_listen(struct vhost_dev *dev, struct vhost_worker *control, int fd);

/*
 * Serve the one front-end at the other end of the connected socket fd.  The device
 * owns fd from now on, also when this fails.  Control worker.  Errors as above.
 */
int vhost_dev_attach(struct vhost_dev *dev, struct vhost_worker *control, int fd);

/*
 * Be the client of the Unix socket at path: connect to the front-end which listens there,
 * and whenever the connection is missing or lost try again, after 100 ms at first and up to
 * 5 s later.  -ENAMETOOLONG, and errors as above; that nobody listens yet is none.
 * path is copied.  Control worker.
 */
int vhost_dev_connect(struct vhost_dev *dev, struct vhost_worker *control, const char *path);

/*
 * Close a connection whose front-end does not say its first word, stops in the middle of a message,
 * or does not read a reply, for so many milliseconds; 0, the default: do not.  For connections to
 * come.  Control worker.
 */
void vhost_dev_set_patience(struct vhost_dev *dev, unsigned int ms);

/*
 * Stop: drain the queues, disconnect, close the sockets.  done(dev, arg) runs on
 * the control worker when nothing of the device is in use any more; it may free
 * the device.  If the device is not served, it runs at once.  While a stop is under way
 * another one is ignored.  Control worker.
 */
void vhost_dev_stop(struct vhost_dev *dev, void (*done)(struct vhost_dev *dev, void *arg),
		    void *arg);

/* Free a device which has never been served, or has stopped.  Any thread. */
void vhost_dev_free(struct vhost_dev *dev);

/*
 * Change len bytes at offset off of the config space and tell the front-end (VIRTIO
 * 2.5, configuration change notification); if it cannot be told now it will
 * be when the rings start.  -EINVAL: out of range.  Control worker.
 */
int vhost_dev_update_config(struct vhost_dev *dev, uint32_t off, const void *buf, uint32_t len);

/*
 * Messages to the front-end (vhost-user, "Back-end message types").  Control worker.
 *
 * -ENOTCONN: there is no channel to the front-end, or its feature was not negotiated;
 * -EAGAIN: too many messages are on their way; -EINVAL: out of range.  While no ring runs the
 * message waits.  After 0, done (if not NULL) is called later on the control worker, once, with
 * arg and the front-end's answer: 0, or a negative errno; -EIO when the front-end refuses,
 * -ECONNRESET when its end of the channel has gone, -ECANCELED when the device was reset before
 * the message was sent.  A front-end without acknowledgements (REPLY_ACK) says nothing: 0 then
 * means that the message was sent.
 */

/* Offer, or take back, an object which other devices can get from the front-end. */
int vhost_dev_shared_object_add(struct vhost_dev *dev, const uint8_t uuid[16]);
int vhost_dev_shared_object_remove(struct vhost_dev *dev, const uint8_t uuid[16]);
/*
 * Get an object of another device: the answer is an fd, which done owns, or -ENOENT.  done is
 * required.
 */
int vhost_dev_shared_object_lookup(struct vhost_dev *dev, const uint8_t uuid[16],
				   void (*done)(void *arg, int result), void *arg);

/* A piece of a shared memory region. */
struct vhost_shmem_map {
	uint8_t id;			/* index into params.shmem_sizes */
	bool writable;
	int fd;				/* for map; remains the caller's */
	uint64_t fd_offset;		/* bytes */
	uint64_t offset;		/* in the region, bytes */
	uint64_t len;			/* bytes */
};

/* Show a part of fd to the driver in a shared memory region, or hide it again. */
int vhost_dev_shmem_map(struct vhost_dev *dev, const struct vhost_shmem_map *map,
			void (*done)(void *arg, int result), void *arg);
int vhost_dev_shmem_unmap(struct vhost_dev *dev, const struct vhost_shmem_map *map,
			  void (*done)(void *arg, int result), void *arg);

/*
 * Let the driver's notifications of queue i go directly to the page at this offset of fd,
 * a hardware doorbell; fd remains the caller's, -1 undoes it.  With VHOST_DEV_HOST_NOTIFIER.
 */
int vhost_dev_host_notifier(struct vhost_dev *dev, unsigned int i, int fd, uint64_t offset);

/* Queue i, or NULL when there is none.  Any thread. */
struct vhost_queue *vhost_dev_queue(struct vhost_dev *dev, unsigned int i);
/* What was given to vhost_dev_new(); the name is the device's.  Any thread. */
void *vhost_dev_opaque(const struct vhost_dev *dev);
const char *vhost_dev_name(const struct vhost_dev *dev);
/* The features which the driver chose, 0 before that.  Control or queue's worker. */
uint64_t vhost_dev_features(const struct vhost_dev *dev);
/* Fill *stats.  Control worker. */
void vhost_dev_stats(const struct vhost_dev *dev, struct vhost_dev_stats *stats);

/*
 * Queues.  All on the queue's worker, unless marked.
 */

/*
 * Take up to max requests, in the order in which the driver made them
 * available.  Returns how many were taken.  If that is fewer than max, kick will
 * be called when there is more.
 */
unsigned int vhost_queue_pop(struct vhost_queue *q, struct vhost_req **reqs, unsigned int max);

/*
 * Give back the n requests taken last, none of which was pushed.  They will be popped again,
 * when the device thinks fit: no kick tells it about them, nor about what comes behind them.
 */
void vhost_queue_unpop(struct vhost_queue *q, unsigned int n);

/*
 * The request is done; it is gone with this call.  The first len bytes of its in
 * part may have been written; len is what the driver is told (VIRTIO 2.7.8.2) and
 * must not exceed what was written from the start on without a gap.  For a migration the
 * library notes these bytes as written, and besides, whatever len is, all up to the end of what
 * vhost_req_write() wrote and vhost_req_slice() gave out.
 */
void vhost_req_push(struct vhost_req *req, size_t len);

/*
 * vhost_req_push() for n requests of this queue in this order, each with its length of lens; NULL:
 * nothing was written to any of them.  It costs less than n calls.
 */
void vhost_queue_push(struct vhost_queue *q, struct vhost_req *const *reqs, const size_t *lens,
		      unsigned int n);

/*
 * The request will not be finished here (see queue_cancel); it is gone with this call, and
 * another process goes on with it.  Only between queue_cancel and the queue's next start.
 * With VIRTIO_F_IN_ORDER, those which were popped after it are not finished here either, pushed
 * or not.
 */
void vhost_req_abandon(struct vhost_req *req);

/* Publish now what was pushed, instead of at the end of the round. */
void vhost_queue_flush(struct vhost_queue *q);

/* Call kick again in the next round. */
void vhost_queue_again(struct vhost_queue *q);

/*
 * What the driver put into this queue makes no sense: break the queue.  Nothing
 * more is popped until the driver restarts it, the front-end is told through
 * the queue's err fd, and the message is logged.  Requests which are
 * outstanding, the one in question included, are pushed as usual.
 */
void vhost_queue_fail(struct vhost_queue *q, const char *fmt, ...)
	__attribute__((format(printf, 2, 3)));

/*
 * Copy up to n bytes between buf and the request's bytes from offset off on,
 * wherever the borders of its descriptors are.  Returns the number of bytes
 * copied, which is smaller than n where the request ends before.
 */
size_t vhost_req_read(const struct vhost_req *req, size_t off, void *buf, size_t n);
size_t vhost_req_write(const struct vhost_req *req, size_t off, const void *buf, size_t n);

/*
 * The bytes [off, off + n) of one direction as *cnt iovecs.  Valid until the
 * request is pushed or the next slice of it is taken.  NULL: the range leaves
 * the request, or there is no memory.  With n == 0, *cnt is 0.
 */
const struct iovec *vhost_req_slice(struct vhost_req *req, enum vhost_dir dir, size_t off,
				    size_t n, unsigned int *cnt);

/* Its number in the device, its device, its worker (NULL before there is one).  Any thread. */
unsigned int vhost_queue_index(const struct vhost_queue *q);
struct vhost_dev *vhost_queue_dev(const struct vhost_queue *q);
struct vhost_worker *vhost_queue_worker(const struct vhost_queue *q);
/* The opaque pointer of the device.  Any thread. */
void *vhost_queue_opaque(const struct vhost_queue *q);
/* Entries of the ring; 0 when the queue is stopped. */
unsigned int vhost_queue_size(const struct vhost_queue *q);
/* Whether the front-end has enabled the ring; false when it is stopped. */
bool vhost_queue_enabled(const struct vhost_queue *q);
/* Requests popped and not yet pushed. */
unsigned int vhost_queue_outstanding(const struct vhost_queue *q);
/* Fill *latency; zeroes without VHOST_DEV_LATENCY. */
void vhost_queue_latency(const struct vhost_queue *q, struct vhost_queue_latency *latency);

/*
 * From now on pop gives nothing, until vhost_queue_resume(), also if the ring is stopped and
 * started meanwhile.  done is called when nothing is outstanding and all that was pushed is
 * published, possibly at once.  Again, or after a resume, only the last done is called.
 */
void vhost_queue_pause(struct vhost_queue *q, void (*done)(struct vhost_queue *q, void *arg),
		       void *arg);
void vhost_queue_resume(struct vhost_queue *q);

/*
 * A limit on how fast requests are popped, of one queue or of several together, of one or several
 * workers.  0: no limit.
 */
struct vhost_limit;
struct vhost_limit_params {
	uint64_t requests;		/* a second */
	uint64_t requests_burst;	/* as many may come at once after a pause; default: those of
					 * 100 ms, at least 1 */
	uint64_t bytes;			/* a second, of requests as the driver made them */
	uint64_t bytes_burst;		/* likewise */
	uint64_t overhead;		/* bytes of each request which do not count: its header */
};

/* Any thread.  To be freed when no queue has it any more; -ENOMEM. */
int vhost_limit_new(struct vhost_limit **limit);
void vhost_limit_free(struct vhost_limit *limit);
/* Any thread.  Queues which wait find out by vhost_queue_set_limit(). */
void vhost_limit_set(struct vhost_limit *limit, const struct vhost_limit_params *params);
/*
 * Pop heeds this limit from now on; NULL: none, as must be before the device is freed.  -ENOMEM;
 * -EINVAL: the queue has no worker yet.
 */
int vhost_queue_set_limit(struct vhost_queue *q, struct vhost_limit *limit);

/* Fill *stats. */
void vhost_queue_stats(const struct vhost_queue *q, struct vhost_queue_stats *stats);

/*
 * Workers
 */

/*
 * A piece of work to be run on a worker.  It belongs to the caller, who embeds
 * it into something of his own; from post until fn is called it belongs to
 * the worker and must not be posted again.
 */
struct vhost_work {
	void (*fn)(struct vhost_work *work);
	struct vhost_work *next;	/* the library's */
};

/*
 * Something to be looked at while a worker polls busily.  poll says whether it
 * found something to do, and did it.
 */
struct vhost_poller {
	bool (*poll)(struct vhost_poller *poller);
	struct vhost_poller *next;	/* the library's */
};

/*
 * Create a worker.  With base == NULL it gets an event_base of its own, and a
 * thread by vhost_worker_start() or vhost_worker_run().  Otherwise it lives in
 * the caller's base, which the caller dispatches, on the thread which calls
 * this.  -ENOMEM, or what the kernel said.
 */
int vhost_worker_new(struct vhost_worker **w, struct event_base *base);

/*
 * Run the worker on a new thread named name (at most 15 bytes), with all signals blocked.  Any
 * thread.  -EINVAL: it lives in a caller's base, or has been started; -EAGAIN: no more threads.
 */
int vhost_worker_start(struct vhost_worker *w, const char *name);

/*
 * Run the worker on this thread until vhost_worker_stop().  -EINVAL: it lives in a caller's base.
 */
int vhost_worker_run(struct vhost_worker *w);

/*
 * End vhost_worker_run(), or the thread of vhost_worker_start(), and wait for that thread
 * unless it is this one.  A stop which comes before run ends the run at once.  Any thread.
 */
void vhost_worker_stop(struct vhost_worker *w);

/*
 * Free a worker which does not run, which no device uses any more, and to which nobody
 * posts: where workers work together, stop all of them before the first is freed.  Any thread,
 * with a base of the caller's only the one that dispatches it.
 */
void vhost_worker_free(struct vhost_worker *w);

/*
 * Its event_base, which is the worker's unless the caller made it: add events of your own to it, on
 * the worker.  Any thread.
 */
struct event_base *vhost_worker_base(struct vhost_worker *w);

/* Run work->fn(work) on the worker, in the order of posting.  Any thread. */
void vhost_worker_post(struct vhost_worker *w, struct vhost_work *work);

/*
 * Run fn(arg) on the worker and wait until it has returned.  At once when this
 * is the worker, or when the worker does not run.  Any thread; two workers
 * must not call each other.
 */
void vhost_worker_call(struct vhost_worker *w, void (*fn)(void *arg), void *arg);

/*
 * Poll rings and pollers for up to usec microseconds after the last finding before sleeping.  How
 * long is found out: where polling finds something it goes on for longer, where it does not it
 * ends sooner, and soon does not begin any more but for a rare attempt.  While all requests that
 * came are with the device it is an eighth of that at most.  Who is idle sleeps, in any case.
 * 0, the default: do not poll.  Not for workers in a caller's base.  On the worker.
 */
void vhost_worker_set_poll(struct vhost_worker *w, unsigned int usec);

/* Add or remove a poller; it belongs to the caller, who keeps it until then.  On the worker. */
void vhost_worker_add_poller(struct vhost_worker *w, struct vhost_poller *poller);
void vhost_worker_del_poller(struct vhost_worker *w, struct vhost_poller *poller);

/*
 * The rest.  Any thread.
 */

/* Levels of the log, as syslog has them. */
enum vhost_log_level {
	VHOST_LOG_ERR = 3,		/* something of ours failed */
	VHOST_LOG_WARN = 4,		/* the peer misbehaves */
	VHOST_LOG_INFO = 6,		/* a connection comes or goes */
	VHOST_LOG_DEBUG = 7,		/* each message */
};

/*
 * Give the log's lines (no newline at the end) to fn, on whichever thread they
 * arise.  NULL, the default: no log.  Call it before the first device is created.
 */
void vhost_set_log(void (*fn)(void *arg, enum vhost_log_level level, const char *line), void *arg);

/*
 * Log a line of the program's about a device, on its control worker, or a queue, on its worker.  The
 * line begins with the device's name and the queue's number.
 *
 * What a peer can cause may be logged: all lines of one fmt, which is a literal, are one kind, and
 * so are all of vhost_queue_log(); of each kind there are a few in some seconds, then how many
 * more there were.  Lines of VHOST_LOG_DEBUG are not limited.
 */
void vhost_dev_log(struct vhost_dev *dev, enum vhost_log_level level, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));
void vhost_queue_log(struct vhost_queue *q, enum vhost_log_level level, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/* "MAJOR.MINOR.PATCH" of the library in use. */
const char *vhost_version(void);

/*
 * A listening Unix stream socket at path with these permissions.  A stale socket
 * file, one which nobody listens on, is replaced.  Returns the fd, which is the caller's;
 * the file is not removed at the end.  -EADDRINUSE: somebody listens there; -EEXIST: the
 * path is something else than a socket; -ENAMETOOLONG, or what the kernel said.
 */
int vhost_listen_unix(const char *path, mode_t mode);

/*
 * Guest memory, and what else is shared with the front-end, can be truncated by it: a later
 * access raises SIGBUS.  A program which wants to survive that installs a SIGBUS handler
 * that calls this function with the fault's address.  True: the address was shared
 * memory; the memory is replaced by zeroes, its device will disconnect, and the
 * handler should return.  The same happens when the front-end leaves while pages of a
 * postcopy migration are missing; postcopy is offered only where SIGBUS has a handler.
 * False: the fault is something else.  Async-signal-safe.
 */
bool vhost_mem_fault(const void *addr);

#pragma GCC visibility pop

#ifdef __cplusplus
}
#endif
#endif /* LIBVHOST_H */
