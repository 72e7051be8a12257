/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A queue's private side: its configuration as a value, its slots, its rounds.
 *
 * The control worker describes what a queue shall be in a struct queue_conf and hands
 * it over by queue_change(); the queue takes it between two requests on its own
 * worker and reports back.  Nothing else of a queue is touched by both.
 */
#ifndef VHOST_QUEUE_H
#define VHOST_QUEUE_H

#include <stdatomic.h>

#include "dirty.h"
#include "libvhost.h"
#include "log.h"
#include "mem.h"
#include "ring.h"
#include "worker.h"

struct event;

/* How a queue stops. */
enum queue_end {
	QUEUE_DRAIN,			/* what was popped is awaited */
	QUEUE_FINISH,			/* and what was in flight when the ring started, too */
	QUEUE_CANCEL,			/* as little as possible is awaited; the rest stays in flight */
};

/*
 * What a queue shall be.  The fds belong to the control worker, which keeps those
 * that the queue knows open until a change without them has been taken.
 */
struct queue_conf {
	bool live;			/* the ring may be touched */
	bool enabled;			/* the driver may be served */
	bool in_order;			/* VIRTIO_F_IN_ORDER is negotiated */
	bool poll;			/* no kicks will come: look at the ring by yourself */
	enum queue_end end;		/* not live only */
	const struct ring_ops *ops;
	struct ring_conf ring;
	struct mem_map *map;		/* live only */
	struct iotlb *iotlb;		/* see struct chain_env */
	int kick_fd, call_fd, err_fd;	/* -1: none */
	bool pipes;			/* one of the latter two is no eventfd */
	struct dirty_conf dirty;
	bool inband;			/* without call_fd or err_fd, tell the control worker */
	/* Not a state but something to be done once, when this is taken: */
	bool kick;			/* the driver's notification; report after its round */
	bool invalidate;		/* tell QUEUE_FLUSHED when no request uses stale any more */
	struct iotlb_range stale;
};

/*
 * One change of a queue's configuration, on its way to the queue's worker and
 * back.  At most one per queue is under way.
 */
struct queue_change {
	struct vhost_work work;
	struct vhost_queue *queue;
	struct queue_conf next;
	/* the outcome */
	int result;			/* negative: not taken; the queue is as before, or not live */
	uint32_t base;			/* after a stop: where to go on */
	bool log_missed;		/* pages were written which the next log has to have */
	bool flushing;			/* QUEUE_FLUSHED follows */
	/* on the control worker, when the queue has taken it */
	void (*done)(struct queue_change *change);
};

/* A map which requests still need; a queue has one for the current map and each older one. */
struct mem_hold {
	struct mem_map *map;
	unsigned int reqs;		/* requests which were taken under it */
};

/* A request with what the library keeps about it.  The device's bytes follow. */
struct slot {
	struct vhost_req req;
	struct ring_req ring;
	uint64_t since;			/* when it was popped, ns; with params.timed */
	bool busy;			/* popped and not pushed; pushed, it may wait for its turn */
	bool stale;			/* an invalidation waits for it */
	struct mem_hold *hold;
	size_t touched;			/* end of what the device wrote through us, bytes */
	struct iovec *slice;		/* room for vhost_req_slice() */
	unsigned int slice_cap;		/* elements */
};

/* What a queue may have to tell the control worker. */
enum {
	QUEUE_CALL = 1u << 0,		/* the driver is to be signalled, and there is no fd */
	QUEUE_ERR = 1u << 1,		/* likewise, the front-end */
	QUEUE_MISS = 1u << 2,		/* see queue->miss; queue_resume() has to follow */
	QUEUE_FLUSHED = 1u << 3,	/* no request uses what was invalidated */
	QUEUE_BROKE = 1u << 4,		/* until it is started again */
	QUEUE_LOG = 1u << 5,		/* a line was too much for the log */
};

/* What a queue is, for good. */
struct queue_params {
	struct vhost_dev *dev;
	const struct vhost_dev_ops *ops;
	const char *name;		/* the device's, for the log */
	struct log_limit *log_limit;
	unsigned int index;
	size_t req_priv;		/* bytes */
	bool serve_disabled;		/* VHOST_DEV_KICK_DISABLED */
	bool timed;			/* VHOST_DEV_LATENCY */
	/* On the control worker: the queue has news, QUEUE_* */
	void (*news)(struct vhost_queue *q, unsigned int news);
};

struct vhost_queue {
	/* constant while the device is attached */
	struct queue_params params;
	struct vhost_worker *worker, *control;
	struct queue_change change;

	/* on their way */
	atomic_uint news;		/* QUEUE_*, to the control worker; together with news_work */
	struct vhost_work news_work, resume_work;
	/* the control worker's from QUEUE_MISS to queue_resume() */
	struct iotlb_range miss;
	const char *miss_result;	/* NULL: try again; otherwise break */
	/* the control worker's */
	bool changing;			/* change is on its way */
	bool resume_due;		/* queue_resume() waits for that */

	/* the worker's */
	struct round_member round;
	struct queue_conf conf;		/* in effect */
	struct ring ring;
	struct chain_env env;
	struct mem_hold *hold;		/* of conf.map; NULL when not live */
	struct event *kick_ev;
	bool kick_fifo;			/* kick_fd is a pipe, which must be emptied */
	struct event *poll_ev;		/* conf.poll only: the next look */
	unsigned int poll_spins;	/* looks in a row before the next rest */
	bool broken;			/* until the next start */
	bool paused;			/* nothing is popped */
	void (*pause_done)(struct vhost_queue *q, void *arg);	/* NULL: not awaited any more */
	void *pause_arg;
	struct vhost_limit *limit;	/* NULL: none */
	bool limited;			/* the latest pop had to wait */
	struct event *limit_ev;		/* when the limit lets through more; with limit */
	bool stopping;			/* a change waits for outstanding to become 0 */
	bool cancelling;		/* stopping by queue_cancel: requests may be abandoned */
	bool parked;			/* a translation is awaited, see miss */
	unsigned int misses;		/* of the chain which is to be taken next */
	unsigned int missed_at;		/* take_seq of the latest of them */
	unsigned int stale_cnt;		/* requests which an invalidation waits for */
	bool flushing;			/* QUEUE_FLUSHED is due when stale_cnt is 0 */
	bool careful;			/* what is pushed is logged, awaited, or has to wait */
	unsigned int kick_rounds;	/* a change is reported after so many rounds; 0: none */
	bool want_kick;			/* the last pop ended short: the device waits for more */
	bool armed;			/* the driver knows that we want kicks */
	uint8_t *slots;			/* conf.ring.num times slot_size bytes */
	size_t slot_size;		/* bytes */
	unsigned int chain_keep;	/* elements which a free slot's chain may keep */
	struct ring_req **free;		/* those of free slots: a stack, hot ones on top */
	unsigned int free_cnt;
	struct slot **taken;		/* the latest pops, at take_seq & taken_mask */
	unsigned int take_seq, taken_mask;
	unsigned int order_seq;		/* in_order: the oldest one not yet in done */
	struct ring_elem *done;		/* pushed and not published */
	uint64_t *since;		/* when each of these was popped; params.timed only */
	unsigned int done_cnt;
	bool untold;			/* published, and whether to signal is still to be decided */
	bool gave;			/* something was published in this round */
	unsigned int outstanding;	/* popped, not pushed and not abandoned */
	bool ring_written;		/* the ring's memory, and that is not in the log yet */
	bool log_missed;		/* requests, without a log or with a stale one */
	bool log_marked;		/* in this round, so that the log's fd is to be signalled */
	unsigned int log_hit;		/* see mem_find_gpa() */
	unsigned int quota;		/* requests which may still be taken in this round */
	struct vhost_queue_stats stats;
	uint64_t popped_at;		/* the latest pop, ns; params.timed */
	struct vhost_queue_latency latency;
} line_aligned;

void queue_init(struct vhost_queue *q, const struct queue_params *params);

/* Control worker: take q->change.next, and call done when that has happened. */
void queue_change(struct vhost_queue *q, void (*done)(struct queue_change *change));

/* Control worker: what follows QUEUE_MISS.  NULL: try again; otherwise break because of why. */
void queue_resume(struct vhost_queue *q, const char *why);

/*
 * Between queue.c, which serves requests, and queue_conf.c, which starts, changes and
 * stops a queue.  All on the queue's worker.
 */

/* Looks at a ring without kicks, in consecutive rounds, before resting for a while. */
#define QUEUE_POLL_SPINS 1000

/* Requests of one queue in one round, so that others get their turn. */
#define QUEUE_QUOTA 256

/* So many are published at once, without waiting for the round's end. */
#define QUEUE_EARLY 8

extern const struct round_ops queue_round_ops;

/* Whether the device may be served now. */
bool queue_served(const struct vhost_queue *q);
/* Publish what was pushed, and signal. */
void queue_publish(struct vhost_queue *q);
/* Add 1 to an eventfd of the peer's, if there is one; or write to the pipe that it is instead. */
void queue_notify(int fd, bool pipe);
void queue_break(struct vhost_queue *q, const char *why);
/* The driver's notification. */
void queue_kicked(struct vhost_queue *q);
/* The configuration, or stale_cnt, has changed: does a push have more to do? */
void queue_choose_push(struct vhost_queue *q);
/* Close the slots which wait for a request that was abandoned, and its own. */
void queue_close_unordered(struct vhost_queue *q);
/* Give a hold back when no request needs it and it is not the current one. */
void queue_drop_hold(struct vhost_queue *q, struct mem_hold *hold);

/* Tell the control worker, QUEUE_*. */
void queue_tell(struct vhost_queue *q, unsigned int news);
/* Signal the driver or the front-end: by the fd, or as news. */
void queue_signal(struct vhost_queue *q, int fd, unsigned int news);

/* The ring is empty, and nobody will tell when that changes: look again, soon. */
void queue_poll_later(struct vhost_queue *q);
void queue_unwatch_kick(struct vhost_queue *q);
/* A round has ended in which a change was to be done. */
void queue_end_kick(struct vhost_queue *q);
/* The last request of a stopping queue has been published. */
void queue_finish_stop(struct vhost_queue *q);

/*
 * limit.c: pauses and limits, on the queue's worker
 */

/*
 * Let one request through; false: not yet, and the queue's device is to be called when it is time.
 * Its bytes are charged afterwards.
 */
bool limit_take(struct vhost_queue *q);
void limit_charge(struct vhost_queue *q, uint64_t bytes);
/* The last one was not there, or has been given back. */
void limit_give_back(struct vhost_queue *q, uint64_t bytes);
/* The end of a round of a queue with pause_done. */
void pause_end_round(struct vhost_queue *q);

/*
 * latency.c: how long requests take, on the queue's worker
 */

/* done[] is published now. */
void latency_note(struct vhost_queue *q);

/*
 * queue_log.c: what is written is logged, on the queue's worker
 */

/* What is written of the request, its first len bytes or more; it is about to go back. */
void queue_log_request(struct vhost_queue *q, const struct slot *s, size_t len);
/* The end of a round: the ring's memory, and tell the front-end. */
void queue_log_round(struct vhost_queue *q);
/* Use another log, or none, from now on. */
void queue_log_take(struct vhost_queue *q, const struct dirty_conf *next);
/* The ring is about to leave its memory. */
void queue_log_leave(struct vhost_queue *q);

#define queue_log(q, level, fmt, ...) do {						\
	if (log_line((q)->params.log_limit, level, (q)->params.name, "queue %u: " fmt,	\
		     (q)->params.index, ##__VA_ARGS__))					\
		queue_tell(q, QUEUE_LOG);						\
} while (0)

#endif /* VHOST_QUEUE_H */
