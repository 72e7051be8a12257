/* SPDX-License-Identifier: BSD-3-Clause */
/*
 * A load on a back-end: requests of one device type, in flight as many as were asked for.
 *
 * A load has a connection, guest memory and rings.  Each request has a slot, which is filled in,
 * added to its ring, and filled in anew when the device has used it.  How requests look, and
 * whether one has come back as it should, is the business of the device type's struct load_ops;
 * all else is here.
 *
 * Nothing waits for ever.  Functions return 0 or a negative errno, and then load_why() says in
 * words what went wrong.
 */
#ifndef TOOLS_LOAD_H
#define TOOLS_LOAD_H

#include <stdbool.h>
#include <stdint.h>

#include "frontend/frontend.h"
#include "tools/hist.h"

#define LOAD_QUEUES_MAX	32u		/* request queues, or pairs of them */
#define LOAD_DEPTH_MAX	4096u
#define LOAD_WHY_SIZE	256u
#define LOAD_PIECES_MAX	18u		/* descriptors of one request */

enum load_rw { LOAD_RANDREAD, LOAD_RANDWRITE, LOAD_READ, LOAD_WRITE, LOAD_RANDRW };
enum load_dir { LOAD_TX, LOAD_RX, LOAD_BOTH };

/* What is asked for. */
struct load_params {
	unsigned int queues;		/* request queues, or pairs of them */
	unsigned int depth;		/* requests in flight on each */
	unsigned int ring_size;		/* entries; 0: what the depth takes, and at least 128 */
	uint64_t block;			/* bytes of a request or packet; 0: the device type's usual */
	unsigned int rw;		/* disks: enum load_rw */
	unsigned int dir;		/* networks: enum load_dir */
	const void *packet;		/* networks: how each begins, with its virtio-net header */
	size_t packet_len;		/* bytes of it; 0: packets of nobody's */
	uint64_t area;			/* disks: bytes in use; 0: all */
	unsigned int target, lun;	/* SCSI */
	uint64_t features;		/* of rings; those which are not offered are an error */
	uint64_t features_maybe;	/* the same, where offered */
	uint64_t protocol;		/* more protocol features, where offered */
	bool no_protocol;		/* as a front-end which knows no protocol features */
	bool indirect;			/* a table for each request */
	bool poll;			/* look at the rings instead of waiting for interrupts */
	bool verify;			/* judge the data, too */
	int timeout_ms;			/* for each answer, and for requests to come back */
};

struct load;
struct load_queue;

/* One request, which is used again and again. */
struct load_slot {
	uint64_t sent;			/* when, see load_clock() */
	uint8_t *head;			/* guest memory, ops->head bytes */
	uint8_t *data;			/* guest memory, queue->data_size bytes, aligned to ops->align */
	unsigned int nout, nin;
	unsigned int index;		/* among those of all queues */
	unsigned int tries;		/* of the same request */

	/* The device type's. */
	uint64_t block;			/* what the request is about */
	uint64_t turn;			/* how many this slot has had */
	bool write;

	struct iovec in[2], out[LOAD_PIECES_MAX];
};

enum load_role {
	LOAD_IDLE,			/* a ring which has to be there */
	LOAD_ACTIVE,			/* requests which the device answers */
	LOAD_PASSIVE,			/* buffers which it fills when it has something */
};

/* One virtqueue. */
struct load_queue {
	struct load *load;
	enum load_role role;
	struct fe_ring ring;
	struct load_slot *slots;	/* [depth], none if it is idle */
	size_t data_size;		/* bytes of a slot's data */
	unsigned int busy;		/* requests which the device has */
	uint64_t done, bytes;		/* since load_reset() */
};

/* A device type. */
struct load_ops {
	const char *name;		/* on the command line */
	const char *title;
	const char *unit;		/* of its requests, per second */
	uint64_t features;		/* wanted, where offered */
	uint32_t block, block_min, block_max, block_unit; /* bytes */
	unsigned int descs;		/* descriptors of a request */
	unsigned int table;		/* the same with indirect tables; 0: as many */
	uint32_t head;			/* bytes of a slot's head */
	uint32_t pad;			/* bytes of a slot's data beside those of the block */
	uint32_t align;			/* of a slot's data; 0: a page */
	bool disk, pairs;		/* which parameters make sense */
	/* All bytes of a slot's data, once features are negotiated; NULL: see pad. */
	size_t (*data_size)(const struct load *l, enum load_role role);

	/*
	 * The connection is negotiated: call load_add_queue() for each virtqueue, in their order.
	 * The rings have been started: find out more, and set up what the slots need.
	 */
	int (*open)(struct load *l);
	int (*started)(struct load *l);
	void (*close)(struct load *l);
	/* Fill in the slot's next request; false: there is none. */
	bool (*prepare)(struct load_queue *q, struct load_slot *s);
	/* Make the same one ready again; NULL: none comes back with -EAGAIN. */
	void (*retry)(struct load_queue *q, struct load_slot *s);
	/*
	 * It came back, of which the device says that it wrote len bytes: bytes moved, or -errno.
	 * 0: a piece of something which is not whole yet.  -EAGAIN: the device asks for the same
	 * once more.
	 */
	int64_t (*done)(struct load_queue *q, struct load_slot *s, uint32_t len);
	/*
	 * The same for a slot whose descriptors are sent again as they are, as cheap as a driver can
	 * be; what they point to may change.  NULL: each request has others.
	 */
	int64_t (*again)(struct load_queue *q, struct load_slot *s, uint32_t len);
	/* Make all further requests check what has been written; or NULL. */
	void (*recheck)(struct load *l);
};

struct load {
	const struct load_ops *ops;
	struct load_params params;
	struct fe fe;			/* connected by the caller */
	struct fe_mem mem;
	struct load_queue queues[2 * LOAD_QUEUES_MAX + 2];
	unsigned int num_queues;
	bool has_active;		/* any of them */
	struct fe_ring *rings[2 * LOAD_QUEUES_MAX + 2];	/* of the queues */
	struct fe_ring *waited[FE_RINGS_MAX];		/* of those with requests */
	unsigned int num_waited;
	struct load_slot *slots;
	unsigned int num_slots;
	void *device;			/* the device type's, freed by its close */
	uint64_t random;		/* state of the generator */

	struct hist *hist;		/* latencies go there; NULL: nowhere; the caller's */
	const volatile bool *stop;	/* set from elsewhere to end soon; NULL: never; the caller's */
	uint64_t left;			/* requests which may still be added */
	uint64_t now;			/* the latest look at the clock */
	uint64_t heard;			/* when a request came back last */
	uint64_t verified;		/* requests whose data was as it must be */
	char why[LOAD_WHY_SIZE];
};

/* What has been done so far. */
struct load_count {
	uint64_t requests, bytes;	/* of active queues */
	uint64_t received, received_bytes; /* of passive ones */
	uint64_t kicks, interrupts;
};

extern const struct load_ops load_blk, load_net, load_scsi, load_rng;

/* Where a driver has its packets: in buffers which follow one upon another. */
struct load_net_shape {
	size_t stride;			/* from one to the next */
	size_t hdr;			/* where in it the virtio-net header begins */
	size_t len;			/* bytes from there, of header and packet */
};

/* For packets of so many bytes which are sent, or received: each as a whole, or in pieces. */
struct load_net_shape load_net_shape(uint64_t packet, enum load_role role, bool whole);

/* The device type of this name; NULL: there is none. */
const struct load_ops *load_find(const char *name);

/* Nanoseconds of the monotonic clock. */
uint64_t load_clock(void);

/* Connect to a socket, and wait so long for somebody to listen there. */
int load_connect(struct load *l, const char *path, int wait_ms);

/*
 * Negotiate, and lay out memory, rings and requests; then start.  l is connected and otherwise as
 * load_connect() left it.
 */
int load_open(struct load *l, const struct load_ops *ops, const struct load_params *params);
int load_start(struct load *l);

/*
 * Add requests of all slots, at most so many in all; and keep them going until then, or until
 * there are none.
 */
int load_begin(struct load *l, uint64_t requests);
int load_drive(struct load *l, uint64_t until);
/* Wait for all that are in flight. */
int load_drain(struct load *l);

/* Count from 0 again; and what was counted since. */
void load_reset(struct load *l);
struct load_count load_count(const struct load *l);

/* Requests which are in flight on active queues. */
unsigned int load_busy(const struct load *l);

/* Stop the rings as a front-end does; and take apart what there is, however far it has come. */
int load_stop(struct load *l);
void load_close(struct load *l);

/* What went wrong, after a function has returned an error. */
const char *load_why(const struct load *l);

/*
 * For device types
 */

struct load_queue *load_add_queue(struct load *l, enum load_role role);

/* Return err, and have load_why() say this, with what err means in the end. */
int load_fail(struct load *l, int err, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
/* The same when there is nothing that an errno could add. */
int load_wrong(struct load *l, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/* One request at a time, from a slot which has been filled in: bytes written, or -errno. */
int64_t load_one(struct load_queue *q, struct load_slot *s);

/* 64 random bits. */
static inline uint64_t load_random(struct load *l)
{
	l->random ^= l->random << 13;
	l->random ^= l->random >> 7;
	l->random ^= l->random << 17;
	return l->random;
}

/* What a function of the front-end's means by its errno. */
const char *load_reason(int err);

#endif /* TOOLS_LOAD_H */
