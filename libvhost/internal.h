/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A device's private side, grouped by the file which serves it.
 *
 * All of it belongs to the control worker, but for what is constant while the
 * device is attached.
 */
#ifndef VHOST_INTERNAL_H
#define VHOST_INTERNAL_H

#include <linux/virtio_config.h>

#include "backend.h"
#include "iotlb.h"
#include "libvhost.h"
#include "log.h"
#include "mem.h"
#include "msg.h"
#include "queue.h"
#include "util.h"

struct event;

/* A translation which is lacking, and whose front-end is to be asked for it. */
struct ring_miss {
	enum {
		MISS_NONE,
		MISS_RING,		/* the ring itself cannot be found: it is started and not live */
		MISS_QUEUE,		/* its queue is parked until queue_resume() */
	} kind;
	struct iotlb_range range;
	bool asked;
	bool shared;			/* somebody else's question, which may be an older one */
	bool acked;			/* the front-end has no more to say about it */
	uint64_t number;		/* of the question */
};

/* Where a ring was found behind an IOMMU; good until that is invalidated. */
struct ring_place {
	bool known;
	void *desc, *driver, *device;
};

/* What the front-end has said about one ring. */
struct ring_setup {
	uint32_t num;			/* entries; 0: not said */
	struct vu_vring_addr addr;	/* the front-end's addresses */
	bool have_addr;
	uint32_t base;			/* where to start from */
	bool have_base;			/* base is known; if not, the ring is fresh */
	bool own_base;			/* the ring has been stopped since it is tracked */
	enum queue_end end;		/* how it stops */
	int kick_fd, call_fd, err_fd;	/* -1: none */
	bool pipes;			/* one of the latter two is no eventfd */
	int retired_fds[3];		/* replaced, while the queue may still know them */
	unsigned int retired;
	bool poll;			/* SET_VRING_KICK brought no fd */
	bool started;			/* SET_VRING_KICK came, GET_VRING_BASE did not */
	bool enabled;			/* SET_VRING_ENABLE */
	bool live;			/* the queue was told that it may touch the ring */
	bool broken;			/* and what it found there made no sense */
	bool kick;			/* VRING_KICK, for the change under way */
	bool note_call, note_err;	/* to be told on the back-end channel */
	struct ring_place place;	/* with an IOMMU */
	struct ring_miss miss;		/* with an IOMMU */
};

/* Memory of the front-end's in which requests in flight are noted. */
struct inflight_map {
	uint8_t *addr;			/* NULL: none */
	size_t len;			/* of the mapping, bytes */
	size_t stride;			/* from queue to queue, bytes */
	unsigned int queues;
	unsigned int size;		/* entries per queue */
	bool packed;			/* the layout */
};

/* The log of written pages, as the front-end wants it. */
struct log_setup {
	struct dirty_log *log;		/* NULL: none yet */
	struct dirty_log *retired;	/* replaced, while queues may still use it */
	int fd;				/* to be signalled after marking; -1: none */
	bool pipe;			/* it is no eventfd */
	int retired_fd;
	bool on;			/* VHOST_F_LOG_ALL is negotiated */
	bool stale;			/* rings were stopped, or logging was off, since log came */
	bool missed;			/* something was written that the next log has to have */
};

/* The device's state on its way through a pipe. */
struct state_transfer {
	struct event *ev;		/* NULL: none is under way */
	int fd;				/* the pipe; -1: none */
	uint8_t *buf;
	size_t len;			/* bytes in buf */
	size_t cap;			/* load: bytes which buf has room for */
	size_t done;			/* save: bytes written */
	bool over;			/* one has ended, and nobody has asked yet how */
	int result;			/* of that */
	bool awaited;			/* CHECK_DEVICE_STATE is in work */
};

/* A migration whose pages come while they are used. */
struct postcopy {
	int uffd;			/* the front-end has it, too; -1: none */
	int nothing_fd;			/* an empty file, in place of what is lost; -1: none */
	bool listening;			/* memory that comes is memory whose pages are missing */
	struct mem_map *staged;		/* waits for the front-end's go-ahead; or NULL */
	bool replaces;			/* staged: without any of the current regions */
};

/* The connection with the front-end. */
struct conn {
	int fd;				/* -1: none */
	struct event *read_ev, *write_ev;
	struct event *close_ev;		/* the peer has left while a message is in work */
	struct event *patience_ev;	/* the peer owes us something for too long; NULL: so be it */
	struct msg_stream in;		/* the message in work */
	struct msg_stream out;		/* its reply */
	bool busy;			/* the message in work is not answered yet */
	bool replying;			/* its reply waits until the socket takes it */
	bool closing;			/* it has ended, but not all that it has caused */
	bool told;			/* the log knows what was negotiated */
};

/* Counters at the beginning of a connection. */
struct session {
	uint64_t since;			/* ns */
	uint64_t messages, requests, bytes;
};

/* Where front-ends come from; none of it after vhost_dev_attach(). */
struct endpoint {
	int listen_fd;			/* -1: none */
	struct event *listen_ev;
	struct event *retry_ev;		/* a timer: accept or connect once more */
	char *path;			/* connect to it; NULL: listen */
	unsigned int wait_ms;		/* before the next connect */
	uint64_t messages;		/* stats.messages at the latest connect */
};

struct vhost_dev {
	/* constant */
	unsigned int patience_ms;	/* for a connection, see vhost_dev_set_patience() */
	struct vhost_dev_ops ops;
	char *name;
	void *opaque;
	uint64_t device_features;	/* the device type's */
	uint64_t features_off;		/* of the library's, not to be offered */
	unsigned int nqueues, queue_size_max, flags;
	unsigned int queue_num;		/* for GET_QUEUE_NUM */
	uint64_t *shmem_sizes;		/* shmem_count, bytes */
	unsigned int shmem_count;
	struct vhost_queue *queues;	/* nqueues */
	struct log_limit log_limit;
	struct event *log_ev;		/* something was lost of the log; NULL: not yet */
	struct vhost_worker *control;	/* NULL: not attached yet */

	/* the session */
	struct ring_setup *rings;		/* nqueues */
	struct conn conn;
	struct session session;
	struct backend backend;		/* to the front-end's other socket */
	uint64_t features;		/* acknowledged, but VHOST_F_LOG_ALL: that is log.on */
	uint64_t protocol_features;	/* acknowledged */
	uint8_t status;			/* SET_STATUS */
	struct mem mem;
	struct inflight_map inflight;
	struct log_setup log;
	struct state_transfer state;
	struct postcopy postcopy;
	bool settling;			/* the next step waits for mem.old == 0 */
	struct iotlb iotlb;		/* with VHOST_DEV_IOMMU */
	struct iotlb_range stale;	/* invalidated by the message in work */
	bool invalidating;		/* stale is something */
	bool flush_pending;		/* the message in work waits for flushing to become 0 */
	unsigned int flushing;		/* queues with requests that use stale */
	bool misses_acked;		/* a question of rings[].miss is answered and not judged */

	/* a change of queues under way */
	unsigned int changing;		/* queues which have not taken it, and its own 1 */
	int change_result;
	void (*change_then)(struct vhost_dev *dev, int result);

	/* life */
	struct endpoint endpoint;
	bool stopping;
	void (*stop_done)(struct vhost_dev *dev, void *arg);
	void *stop_arg;
	struct vhost_work stop_work;

	uint8_t config[VU_CONFIG_MAX];
	uint8_t config_initial[VU_CONFIG_MAX];	/* without what the driver has written */
	uint32_t config_len;
	bool config_changed;		/* the front-end is still to be told */
	struct vhost_dev_stats stats;
};

/* On the control worker. */
#define dev_log(dev, level, ...) do {							\
	if (log_line(&(dev)->log_limit, level, (dev)->name, __VA_ARGS__))		\
		dev_log_lost(dev);							\
} while (0)

/*
 * dev_log.c, on the control worker
 */

/* A line was too much: that is told when it may be. */
void dev_log_lost(struct vhost_dev *dev);
void dev_log_stop(struct vhost_dev *dev);
/* A connection begins; it has ended, and no queue runs. */
void dev_log_begin(struct vhost_dev *dev);
void dev_log_end(struct vhost_dev *dev);

/*
 * dev.c: life and session
 */

/* The features which the device offers, transport bits included. */
uint64_t dev_features_offered(const struct vhost_dev *dev);
/* The driver starts anew: no feature, no status, rings as at the start of a session. */
void dev_reset(struct vhost_dev *dev);

/* The device begins, or ends, to have a control worker.  -EBUSY: it has one. */
int dev_set_control(struct vhost_dev *dev, struct vhost_worker *control);
void dev_clear_control(struct vhost_dev *dev);

/* The connection has ended and nothing of it is in use any more. */
void dev_session_ended(struct vhost_dev *dev);

/*
 * endpoint.c: how front-ends come
 */

/* The session is over: look for the next front-end. */
void endpoint_next(struct vhost_dev *dev);
void endpoint_close(struct vhost_dev *dev);

/*
 * conn.c: the connection
 */

int conn_open(struct vhost_dev *dev, int fd);
/* End the connection because of why (NULL: the front-end has left), and drain. */
void conn_close(struct vhost_dev *dev, const char *why);
/* The message in work is answered by conn.out, which is filled in. */
void conn_reply(struct vhost_dev *dev);
/* The message in work is done: go on with the next. */
void conn_continue(struct vhost_dev *dev);
/* What a change of memory has removed is gone. */
void conn_memory_settled(struct vhost_dev *dev);
/* Whether the front-end has said something which is not dealt with yet. */
bool conn_has_input(const struct vhost_dev *dev);

/*
 * proto.c: the message table
 */

/* conn.in holds a complete message. */
void proto_handle(struct vhost_dev *dev);
/* The message in work, whose handler returned PROTO_PENDING, is done. */
void proto_finish(struct vhost_dev *dev, int result);
/* The reply to the message in work brings this fd along, which is the reply's now. */
void proto_reply_fd(struct vhost_dev *dev, int fd);
/* words.c: tell the log what was negotiated, if it has not been told. */
void words_log(struct vhost_dev *dev);

/* The protocol features which the device offers. */
uint64_t proto_features_offered(const struct vhost_dev *dev);

static inline bool dev_has_protocol(const struct vhost_dev *dev, enum vu_protocol_feature bit)
{
	return dev->protocol_features & BIT(bit);
}

/*
 * What a handler returns besides 0 (done) and a negative errno (refused): the
 * reply lies in the message; or proto_finish() will be called.
 */
enum { PROTO_REPLY = 1, PROTO_PENDING = 2 };

/* Whether addresses are I/O virtual ones. */
static inline bool dev_has_iommu(const struct vhost_dev *dev)
{
	return dev->features & BIT(VIRTIO_F_ACCESS_PLATFORM);
}

/*
 * Handlers of messages, by file.
 */

/* proto_dev.c: the device as a whole */
int proto_get_features(struct vhost_dev *dev, struct msg *msg);
int proto_set_features(struct vhost_dev *dev, struct msg *msg);
int proto_set_owner(struct vhost_dev *dev, struct msg *msg);
int proto_reset_owner(struct vhost_dev *dev, struct msg *msg);
int proto_get_protocol_features(struct vhost_dev *dev, struct msg *msg);
int proto_set_protocol_features(struct vhost_dev *dev, struct msg *msg);
int proto_get_queue_num(struct vhost_dev *dev, struct msg *msg);
int proto_set_backend_req_fd(struct vhost_dev *dev, struct msg *msg);
int proto_get_config(struct vhost_dev *dev, struct msg *msg);
int proto_set_config(struct vhost_dev *dev, struct msg *msg);
int proto_reset_device(struct vhost_dev *dev, struct msg *msg);
int proto_set_status(struct vhost_dev *dev, struct msg *msg);
int proto_get_status(struct vhost_dev *dev, struct msg *msg);
int proto_unsupported(struct vhost_dev *dev, struct msg *msg);

/* proto_vring.c: rings */
int proto_set_vring_num(struct vhost_dev *dev, struct msg *msg);
int proto_set_vring_addr(struct vhost_dev *dev, struct msg *msg);
int proto_set_vring_base(struct vhost_dev *dev, struct msg *msg);
int proto_get_vring_base(struct vhost_dev *dev, struct msg *msg);
int proto_get_vring_base_skip_drain(struct vhost_dev *dev, struct msg *msg);
int proto_set_vring_kick(struct vhost_dev *dev, struct msg *msg);
int proto_set_vring_call(struct vhost_dev *dev, struct msg *msg);
int proto_set_vring_err(struct vhost_dev *dev, struct msg *msg);
int proto_set_vring_enable(struct vhost_dev *dev, struct msg *msg);
int proto_vring_kick(struct vhost_dev *dev, struct msg *msg);
/* Take the message's fd, which is to be polled or signalled, without ever blocking. */
int proto_take_event_fd(struct msg *msg, int *fd);

/* proto_mem.c: guest memory */
int proto_set_mem_table(struct vhost_dev *dev, struct msg *msg);
int proto_get_max_mem_slots(struct vhost_dev *dev, struct msg *msg);
int proto_add_mem_reg(struct vhost_dev *dev, struct msg *msg);
int proto_rem_mem_reg(struct vhost_dev *dev, struct msg *msg);
/* Make the map the current one; removes: the answer waits until the old one is not used. */
int proto_use_map(struct vhost_dev *dev, struct mem_map *map, bool removes);

/* proto_type.c: messages of certain device types */
int proto_send_rarp(struct vhost_dev *dev, struct msg *msg);
int proto_net_set_mtu(struct vhost_dev *dev, struct msg *msg);
int proto_create_crypto_session(struct vhost_dev *dev, struct msg *msg);
int proto_close_crypto_session(struct vhost_dev *dev, struct msg *msg);
int proto_gpu_set_socket(struct vhost_dev *dev, struct msg *msg);
int proto_get_shared_object(struct vhost_dev *dev, struct msg *msg);
int proto_get_shmem_config(struct vhost_dev *dev, struct msg *msg);

/* proto_log.c: the log of written pages */
void log_setup_init(struct log_setup *ls);
/* No queue uses the log any more: forget it. */
void log_setup_exit(struct log_setup *ls);
/* Log, or not, from the next change of the queues on. */
void log_setup_switch(struct vhost_dev *dev, bool on);
int proto_set_log_base(struct vhost_dev *dev, struct msg *msg);
int proto_set_log_fd(struct vhost_dev *dev, struct msg *msg);

/* proto_inflight.c: requests in flight */
int proto_get_inflight_fd(struct vhost_dev *dev, struct msg *msg);
int proto_set_inflight_fd(struct vhost_dev *dev, struct msg *msg);
/* Unmap the memory; no ring runs. */
void inflight_drop(struct vhost_dev *dev);

/* proto_iotlb.c: translations */
int proto_iotlb_msg(struct vhost_dev *dev, struct msg *msg);
/*
 * Where a ring is behind an IOMMU, to rs->place.  -ENOENT: *missing is to be asked for;
 * -EFAULT: it is not in one piece.
 */
int iotlb_place_ring(struct vhost_dev *dev, struct ring_setup *rs, struct iotlb_range *missing);
/* A ring's queue has taken a change: ask for what the ring lacks; forget what it did. */
void iotlb_ring_changed(struct vhost_dev *dev, struct ring_setup *rs);
/* A queue lacks queue->miss. */
void iotlb_queue_missing(struct vhost_dev *dev, unsigned int ring);
/* Ask the front-end for what a ring lacks, unless that has been done. */
void iotlb_ask(struct vhost_dev *dev, struct ring_setup *rs);
/* The front-end has dealt with a question. */
void iotlb_asked(struct vhost_dev *dev, uint64_t number, int result);
/* Judge answered questions, once no update can be on its way any more. */
void iotlb_judge(struct vhost_dev *dev);
/* There is no channel for questions any more; or another one. */
void iotlb_channel_closed(struct vhost_dev *dev);
void iotlb_channel_replaced(struct vhost_dev *dev);
/* A queue no longer uses what was invalidated. */
void iotlb_flushed(struct vhost_dev *dev);
/* The map has changed, or (NULL) all translations are void. */
void iotlb_memory_changed(struct vhost_dev *dev, const struct mem_map *map);

/* postcopy.c: memory which arrives while it is used */
void postcopy_init(struct postcopy *pc);
/* The connection has ended: nobody waits for a page any more. */
void postcopy_abort(struct vhost_dev *dev);
/* Whether this process may have a userfaultfd, and survives what can follow from it. */
bool postcopy_available(void);
/* While listening, instead of using the change's map: let it wait for the go-ahead. */
int postcopy_stage(struct vhost_dev *dev, struct mem_change *change);
/* Where the staged map has this guest address, to be told to the front-end. */
uint64_t postcopy_address(const struct vhost_dev *dev, uint64_t gpa);
/* The front-end is ready for the faults of what was staged. */
int postcopy_go_ahead(struct vhost_dev *dev, const struct msg *msg);
int proto_postcopy_none(struct vhost_dev *dev, struct msg *msg);
int proto_postcopy_advise(struct vhost_dev *dev, struct msg *msg);
int proto_postcopy_listen(struct vhost_dev *dev, struct msg *msg);
int proto_postcopy_end(struct vhost_dev *dev, struct msg *msg);

/* state.c: the device's own state */
/* Give up the transfer, if there is one.  Whether a message was in work which waited for it. */
bool state_drop(struct vhost_dev *dev);
int proto_set_device_state_fd(struct vhost_dev *dev, struct msg *msg);
int proto_check_device_state(struct vhost_dev *dev, struct msg *msg);

/*
 * ring_setup.c: from what the front-end said to what the queues are
 */

void ring_setup_init(struct ring_setup *rs);
/* Forget everything, and close the fds. */
void ring_setup_exit(struct ring_setup *rs);
/* Forget everything but where to signal. */
void ring_setup_reset(struct ring_setup *rs);
/* Replace one of the ring's fds; the old one is closed when the queue knows the new one. */
void ring_setup_set_fd(struct ring_setup *v, int *slot, int fd);
/* A ring's three areas: bytes, and alignment (VIRTIO 2.7, 2.8). */
struct ring_areas {
	uint64_t desc, driver, device;
	unsigned int driver_align, device_align;
};
struct ring_areas ring_areas(const struct vhost_dev *dev, uint64_t num);
/* What the queues have to tell (queue_params.news). */
void ring_setup_news(struct vhost_queue *q, unsigned int news);
/* Where the ring starts from: what was said, or where fresh rings begin. */
void ring_setup_set_base(struct ring_setup *rs, uint32_t base);
uint32_t ring_setup_base(const struct vhost_dev *dev, const struct ring_setup *rs);
/*
 * Whether these are right for the negotiated format; and all that was said.  Without features it is
 * the split one; but then they may still come, and bring the packed one.
 */
bool ring_setup_num_fits(const struct vhost_dev *dev, uint32_t num);
bool ring_setup_base_fits(const struct vhost_dev *dev, uint32_t base);
bool ring_setup_addr_fits(const struct vhost_dev *dev, const struct vu_vring_addr *addr);
bool ring_setup_fits(const struct vhost_dev *dev, const struct ring_setup *rs);
/* Whether the in-flight memory, if there is any for this ring, is such that it can start. */
bool ring_setup_inflight_fits(const struct vhost_dev *dev, const struct ring_setup *rs);
/* Whether any ring is started, or broken. */
bool ring_setup_any_started(const struct vhost_dev *dev);
bool ring_setup_any_broken(const struct vhost_dev *dev);
/*
 * Hand the rings [first, first + count) as they are now to their queues, and call then when all
 * of them have taken it; its result is the worst one.  One such change at a time.
 */
void ring_setup_apply(struct vhost_dev *dev, unsigned int first, unsigned int count,
		 void (*then)(struct vhost_dev *dev, int result));
void ring_setup_apply_all(struct vhost_dev *dev, void (*then)(struct vhost_dev *dev, int result));

/*
 * backend_msg.c: messages to the front-end
 */

int backend_open(struct vhost_dev *dev, int fd);
void backend_close(struct vhost_dev *dev);
/* The device starts anew: drop what has not been sent. */
void backend_reset(struct vhost_dev *dev);
/* A ring runs: send what had to wait for that. */
void backend_ring_started(struct vhost_dev *dev);
/* Tell that the config space has changed, now or when it can be told. */
void backend_config_changed(struct vhost_dev *dev);
/* Signal the driver, or the front-end, without an fd. */
void backend_ring_news(struct vhost_dev *dev, unsigned int ring, bool call, bool err);
/*
 * Ask for a translation; iotlb_asked() follows with *number if the front-end
 * acknowledges.  -ENOTCONN: there is nobody to ask; -EAGAIN: iotlb_ask() will be called.
 */
int backend_ask_iotlb(struct vhost_dev *dev, uint64_t iova, uint8_t access, uint64_t *number);

#endif /* VHOST_INTERNAL_H */
