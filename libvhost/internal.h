/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A device's private side, grouped by the file which serves it.
 *
 * All of it belongs to the control worker, but for what is constant while the
 * device is attached.
 */
#ifndef VHOST_INTERNAL_H
#define VHOST_INTERNAL_H

#include "libvhost.h"
#include "log.h"
#include "mem.h"
#include "msg.h"
#include "queue.h"
#include "util.h"

struct event;

/* What the front-end has said about one ring. */
struct ring_setup {
	uint32_t num;			/* entries; 0: not said */
	struct vu_vring_addr addr;	/* the front-end's addresses */
	bool have_addr;
	uint32_t base;			/* where to start from */
	bool have_base;			/* base is known; if not, the ring is fresh */
	int kick_fd, call_fd, err_fd;	/* -1: none */
	int retired_fds[3];		/* replaced, while the queue may still know them */
	unsigned int retired;
	bool poll;			/* SET_VRING_KICK brought no fd */
	bool started;			/* SET_VRING_KICK came, GET_VRING_BASE did not */
	bool enabled;			/* SET_VRING_ENABLE */
	bool live;			/* the queue was told that it may touch the ring */
};

/* The connection with the front-end. */
struct conn {
	int fd;				/* -1: none */
	struct event *read_ev, *write_ev;
	struct msg_stream in;		/* the message in work */
	struct msg_stream out;		/* its reply */
	bool busy;			/* the message in work is not answered yet */
	bool replying;			/* its reply waits until the socket takes it */
	bool closing;			/* it has ended, but not all that it has caused */
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
	struct vhost_worker *control;	/* NULL: not attached yet */

	/* the session */
	struct ring_setup *rings;		/* nqueues */
	struct conn conn;
	int backend_fd;			/* to the front-end's other socket; -1: none */
	struct event *backend_ev;
	uint64_t features, protocol_features;	/* acknowledged */
	uint8_t status;			/* SET_STATUS */
	struct mem mem;
	bool settling;			/* the next step waits for mem.old == 0 */

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

#define dev_log(dev, level, ...) log_line(&(dev)->log_limit, level, (dev)->name, __VA_ARGS__)

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

/*
 * proto.c: the message table
 */

/* conn.in holds a complete message. */
void proto_handle(struct vhost_dev *dev);
/* The message in work, whose handler returned PROTO_PENDING, is done. */
void proto_finish(struct vhost_dev *dev, int result);
/* The reply to the message in work brings this fd along, which is the reply's now. */
void proto_reply_fd(struct vhost_dev *dev, int fd);
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

/* proto_mem.c: guest memory */
int proto_set_mem_table(struct vhost_dev *dev, struct msg *msg);
int proto_get_max_mem_slots(struct vhost_dev *dev, struct msg *msg);
int proto_add_mem_reg(struct vhost_dev *dev, struct msg *msg);
int proto_rem_mem_reg(struct vhost_dev *dev, struct msg *msg);

/* proto_type.c: messages of certain device types */
int proto_send_rarp(struct vhost_dev *dev, struct msg *msg);
int proto_net_set_mtu(struct vhost_dev *dev, struct msg *msg);
int proto_create_crypto_session(struct vhost_dev *dev, struct msg *msg);
int proto_close_crypto_session(struct vhost_dev *dev, struct msg *msg);
int proto_gpu_set_socket(struct vhost_dev *dev, struct msg *msg);
int proto_get_shared_object(struct vhost_dev *dev, struct msg *msg);
int proto_get_shmem_config(struct vhost_dev *dev, struct msg *msg);

/* proto_log.c: the log of written pages */
int proto_set_log_base(struct vhost_dev *dev, struct msg *msg);
int proto_set_log_fd(struct vhost_dev *dev, struct msg *msg);

/* proto_inflight.c: requests in flight */
int proto_get_inflight_fd(struct vhost_dev *dev, struct msg *msg);
int proto_set_inflight_fd(struct vhost_dev *dev, struct msg *msg);

/* proto_iotlb.c: translations */
int proto_iotlb_msg(struct vhost_dev *dev, struct msg *msg);

/* postcopy.c: memory which arrives while it is used */
int proto_postcopy_advise(struct vhost_dev *dev, struct msg *msg);
int proto_postcopy_listen(struct vhost_dev *dev, struct msg *msg);
int proto_postcopy_end(struct vhost_dev *dev, struct msg *msg);

/* state.c: the device's own state */
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
/* Whether any ring is started. */
bool ring_setup_any_started(const struct vhost_dev *dev);
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
/* Tell that the config space has changed, now or when it can be told. */
void backend_config_changed(struct vhost_dev *dev);

#endif /* VHOST_INTERNAL_H */
